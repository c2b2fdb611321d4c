//! `kubectl cp` (kubectl v1.37, `pkg/cmd/cp`). The real one pipes through `tar` in the container; here files
//! are read and written there one by one, by the container's own `cat`.

use kubarium_objects::ObjectKey;

use super::{exec, logs};
use crate::kubectl::Kubectl;
use crate::kubectl::command::Command;
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Kind, flag, switch, text};
use crate::session::Stream;

pub(crate) const COPY: Command = Command::new(
    "cp",
    "<file-spec-src> <file-spec-dest> [options]",
    "Copy files and directories to and from containers",
    copy,
)
.flags(&[&[
    text("container", "Container name. If omitted, use the kubectl.kubernetes.io/default-container annotation for selecting the container to be attached or the first container in the pod will be chosen").short('c'),
    switch("no-preserve", "The copied file/directory's ownership and permissions will not be preserved in the container"),
    flag("retries", Kind::Int, "0", "Set number of retries to complete a copy operation from a container. Specify 0 to disable or any negative value for infinite retrying. The default is 0 (no retry)."),
]])
.partly("modes and owners are not copied");

/// `[[NAMESPACE/]POD:]FILE`
struct Spec {
    namespace: Option<String>,
    pod: String,
    file: String,
}

impl Spec {
    fn parse(text: &str) -> Result<Spec> {
        let Some((pod, file)) = text.split_once(':') else {
            return Ok(Spec {
                namespace: None,
                pod: String::new(),
                file: text.to_owned(),
            });
        };
        let parts: Vec<&str> = pod.split('/').collect();
        let (namespace, pod) = match parts[..] {
            [""] => (None, ""),
            [pod] => (None, pod),
            [namespace, pod] => (Some(namespace.to_owned()), pod),
            _ => (None, ""),
        };
        if pod.is_empty() {
            return plain("filespec must match the canonical format: [[namespace/]pod:]file/path");
        }
        Ok(Spec {
            namespace,
            pod: pod.to_owned(),
            file: file.to_owned(),
        })
    }
}

/// A running container and how to run something in it.
struct There {
    pod: ObjectKey,
    container: String,
    /// What the container's `tar` says where a path begins at the root.
    remark: &'static str,
}

impl There {
    fn of(k: &mut Kubectl, spec: &Spec) -> Result<There> {
        if let Some(namespace) = &spec.namespace {
            k.flags.give("namespace", namespace.clone());
        }
        let pod = exec::pod_of(k, &format!("pods/{}", spec.pod))?;
        let wanted = k.flags.str("container");
        let container = match wanted {
            "" => logs::default_container(&pod.object).0,
            wanted => wanted.to_owned(),
        };
        k.authorize("create", &pod.resource, "exec", &pod.namespace, &pod.name)?;
        let key = pod.key();
        let tar = k.change(|cluster| cluster.tar_is_busybox(&key, Some(&*container)));
        let remark = match tar.map_err(|why| exec::refused(why, &pod.name))? {
            true => "tar: removing leading '/' from member names\n",
            false => "tar: Removing leading `/' from member names\n",
        };
        Ok(There {
            pod: key,
            container,
            remark,
        })
    }

    /// What a command in the container writes; its errors where it fails.
    fn run(&self, k: &mut Kubectl, words: &[&str], stdin: &[u8]) -> Result<Vec<u8>> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let answer = k.change(|c| c.exec(&self.pod, Some(&*self.container), &words, stdin));
        let output = answer.map_err(|why| exec::refused(why, &self.pod.name))?;
        let of = |wanted: Stream| {
            let pieces = output.pieces.iter().filter(|(stream, _)| *stream == wanted);
            pieces
                .flat_map(|(_, bytes)| bytes.to_vec())
                .collect::<Vec<u8>>()
        };
        if output.status == 0 {
            return Ok(of(Stream::Out));
        }
        let said = String::from_utf8_lossy(&of(Stream::Err)).into_owned();
        Err(Error::Exit(
            output.status,
            format!("{said}command terminated with exit code {}", output.status),
        ))
    }

    fn is_directory(&self, k: &mut Kubectl, path: &str) -> bool {
        self.run(k, &["test", "-d", path], &[]).is_ok()
    }
}

fn copy(k: &mut Kubectl) -> Result {
    let [from, to] = &k.flags.args[..] else {
        return plain("source and destination are required");
    };
    let (from, to) = (Spec::parse(from)?, Spec::parse(to)?);
    if !from.pod.is_empty() && !to.pod.is_empty() {
        return plain("one of src or dest must be a local file specification");
    }
    if from.file.is_empty() || to.file.is_empty() {
        return plain("filepath can not be empty");
    }
    match (from.pod.is_empty(), to.pod.is_empty()) {
        (false, true) => out_of(k, &from, &to.file),
        (true, false) => into(k, &from.file, &to),
        _ => plain("one of src or dest must be a remote file specification"),
    }
}

/// A file of the session, or those below a directory, with their paths below it.
fn local_files(k: &Kubectl, path: &str) -> Option<Vec<(String, Vec<u8>)>> {
    if let Some(bytes) = k.session.read_file(path) {
        return Some(vec![(String::new(), bytes)]);
    }
    let below = |file: String| {
        let bytes = k.session.read_file(&file).unwrap_or_default();
        (file.get(path.len()..).unwrap_or("").to_owned(), bytes)
    };
    let files = k.session.files_below(path, true);
    let there = k.session.is_directory(path);
    there.then(|| files.into_iter().map(below).collect())
}

fn into(k: &mut Kubectl, source: &str, to: &Spec) -> Result {
    let path = k.session.absolute(&k.cwd, source);
    let Some(files) = local_files(k, &path) else {
        return plain(format!("{source} doesn't exist in local filesystem"));
    };
    let there = There::of(k, to)?;
    let mut target = to.file.trim_end_matches('/').to_owned();
    if there.is_directory(k, &to.file) {
        target = format!("{target}/{}", path.rsplit('/').next().unwrap_or(""));
    }
    for (below, bytes) in files {
        let file = format!("{target}{below}");
        if let Some((directory, _)) = file.rsplit_once('/').filter(|_| !below.is_empty()) {
            there.run(k, &["mkdir", "-p", directory], &[])?;
        }
        there.run(k, &["sh", "-c", "cat > \"$0\"", &file], &bytes)?;
    }
    Ok(())
}

fn out_of(k: &mut Kubectl, from: &Spec, target: &str) -> Result {
    let there = There::of(k, from)?;
    let source = from.file.trim_end_matches('/');
    let list = match there.is_directory(k, source) {
        true => there.run(k, &["find", source, "-type", "f"], &[])?,
        false => source.as_bytes().to_vec(),
    };
    if source.starts_with('/') {
        k.err(there.remark);
    }
    for file in String::from_utf8_lossy(&list).lines() {
        let bytes = there.run(k, &["cat", file], &[])?;
        let below = file.strip_prefix(source).unwrap_or("");
        let path = k.session.absolute(&k.cwd, &format!("{target}{below}"));
        if k.session.put_file(&path, &bytes).is_err() {
            return plain(format!("open {target}{below}: no such file or directory"));
        }
    }
    Ok(())
}
