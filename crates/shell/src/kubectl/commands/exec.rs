//! `kubectl exec`, and the attached `kubectl run`

use std::time::Duration;

use kubarium_cluster::runtime::{ExecError, Remote};
use kubarium_objects::{ObjectMeta, Status, Value, go};

use super::logs;
use crate::kubectl::Kubectl;
use crate::kubectl::command::{Command, FILES};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch, text};
use crate::kubectl::request::DeleteOptions;
use crate::kubectl::resource::Info;
use crate::session::Stream;
use crate::visit::Visit;

const FLAGS: &[Flag] = &[
    text("container", "Container name. If omitted, use the kubectl.kubernetes.io/default-container annotation for selecting the container to be attached or the first container in the pod will be chosen").short('c'),
    flag("pod-running-timeout", Kind::Duration, "1m0s", "The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is running"),
    switch("quiet", "Only print output from the remote session").short('q'),
    switch("stdin", "Pass stdin to the container").short('i'),
    switch("tty", "Stdin is a TTY").short('t'),
];

pub(crate) const COMMAND: Command = Command::new(
    "exec",
    "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...] [options]",
    "Execute a command in a container",
    exec,
)
.flags(&[FILES, FLAGS])
.changing();

fn exec(k: &mut Kubectl) -> Result {
    let args = k.flags.args.clone();
    let dash = k.flags.dash;
    if dash.is_none() && args.len() > 1 {
        return Err(k.usage(
            "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead",
        ));
    }
    k.pod_running_timeout()?;
    let Some(target) = args.first().filter(|_| dash != Some(0)) else {
        return plain("pod, type/name or --filename must be specified");
    };
    let words: Vec<String> = args
        .iter()
        .skip(dash.unwrap_or(args.len()))
        .cloned()
        .collect();
    if words.is_empty() {
        return plain("you must specify at least one command for the container");
    }
    let pod = pod_of(k, target)?;
    if matches!(pod.object["status"]["phase"].str(), "Succeeded" | "Failed") {
        return plain(format!(
            "cannot exec into a container in a completed pod; current phase is {}",
            pod.object["status"]["phase"].str()
        ));
    }
    let container = container_of(k, &pod.object)?;
    let stdin = std::mem::take(&mut k.stdin);
    let is_typed = k.session.attended && k.flags.bool("stdin") && k.flags.bool("tty");
    if !k.session.attended {
        no_terminal(k);
    }
    let what = if is_typed && stdin.is_empty() && Remote::is_meant(&words) {
        Input::Typed
    } else {
        Input::Given(stdin)
    };
    run_in(k, &pod, &container, &words, what)
}

/// `-it` where nobody types: `TTYOptions.SetupTTY` says so and goes on without.
pub(super) fn no_terminal(k: &mut Kubectl) {
    if k.flags.bool("stdin") && k.flags.bool("tty") && !k.flags.bool("quiet") {
        k.err("Unable to use a TTY - input is not a terminal or the right kind of file\n");
    }
}

/// What a command in a container reads.
enum Input {
    /// What a person types, line by line.
    Typed,
    /// This, whole.
    Given(Vec<u8>),
}

/// Runs a command in a container and prints what it writes; a shell that reads what is typed goes on.
fn run_in(k: &mut Kubectl, pod: &Info, container: &str, words: &[String], input: Input) -> Result {
    let key = pod.key();
    k.authorize("create", &pod.resource, "exec", &pod.namespace, &pod.name)?;
    let object = k.current(&key).unwrap_or_default();
    if let Some((_, error)) = k.cluster().kubelet_dial_error(&object) {
        return plain(format!(
            "unable to upgrade connection: error dialing backend: {error}"
        ));
    }
    let container = Some(container);
    let answer = match input {
        Input::Given(stdin) if k.session.attended => k
            .change(|cluster| cluster.begin_exec(&key, container, words, &stdin))
            .map(|remote| {
                k.session.visit(Visit { remote, host: None });
                Default::default()
            }),
        Input::Given(stdin) => k.change(|cluster| cluster.exec(&key, container, words, &stdin)),
        Input::Typed => k
            .change(|cluster| cluster.open_shell(&key, container, words))
            .map(|remote| {
                k.session.visit(Visit { remote, host: None });
                Default::default()
            }),
    };
    let output = match answer {
        Ok(output) => output,
        Err(why) => return Err(refused(why, &pod.name)),
    };
    for (stream, bytes) in &output.pieces {
        let text = String::from_utf8_lossy(bytes).into_owned();
        match stream {
            Stream::Out => k.out(text),
            Stream::Err => k.err(text),
        }
    }
    match output.status {
        0 => Ok(()),
        status => Err(Error::Exit(
            status,
            format!("command terminated with exit code {status}"),
        )),
    }
}

/// Why nothing can be run in a container, as kubectl tells it.
pub(super) fn refused(why: ExecError, pod: &str) -> Error {
    Error::Plain(match why {
        ExecError::NoPod => return Status::not_found("pods", pod).into(),
        ExecError::NoHost => {
            format!("unable to upgrade connection: pod {pod} does not have a host assigned")
        }
        ExecError::Completed(phase) => {
            format!("cannot exec into a container in a completed pod; current phase is {phase}")
        }
        ExecError::NoSuchContainer(name) => {
            format!("container {name} is not valid for pod {pod}")
        }
        ExecError::NotRunning(name) => format!(
            "unable to upgrade connection: container not found ({})",
            go::quote(&name)
        ),
        ExecError::Refused(why) => {
            format!("Internal error occurred: Internal error occurred: {why}")
        }
    })
}

/// The pod that `POD` or `TYPE/NAME` means.
pub(super) fn pod_of(k: &mut Kubectl, target: &str) -> Result<Info> {
    let info = object_of(k, target)?;
    pod_behind(k, &info)
}

/// The object that `POD` or `TYPE/NAME` means.
pub(super) fn object_of(k: &mut Kubectl, target: &str) -> Result<Info> {
    let (kind, name) = target.split_once('/').unwrap_or(("pods", target));
    if kind.is_empty() || name.is_empty() || kind.contains(',') {
        return plain("arguments in resource/name form must have a single resource and name");
    }
    if name.contains('/') {
        return plain("arguments in resource/name form may not have more than one slash");
    }
    let resource = k.mapping(kind)?;
    let namespace = if resource.namespaced {
        k.namespace()
    } else {
        "".into()
    };
    let object = k.read(&resource, &namespace, name)?;
    Ok(Info {
        resource,
        namespace,
        name: name.into(),
        object,
        source: String::new(),
    })
}

/// A pod itself, or the first of the pods that another object selects
/// (`polymorphichelpers/attachablepodforobject.go`).
pub(super) fn pod_behind(k: &mut Kubectl, info: &Info) -> Result<Info> {
    if &*info.resource.id() == "pods" {
        return Ok(info.clone());
    }
    let mut pods = logs::pods_of(k, info, "attach")?;
    if pods.is_empty() {
        return plain("timed out waiting for the condition");
    }
    logs::most_active_first(&mut pods);
    Ok(pods.swap_remove(0))
}

/// The container that `-c` names, or the default one, which is said where there are several.
fn container_of(k: &mut Kubectl, pod: &Value) -> Result<String> {
    let wanted = k.flags.str("container").to_owned();
    let all = logs::container_names(pod);
    if !wanted.is_empty() {
        if all.iter().all(|(name, _)| *name != wanted) {
            return plain(format!(
                "container {wanted} is not valid for pod {} out of: {}",
                pod.name(),
                logs::listed(&all)
            ));
        }
        return Ok(wanted);
    }
    let (name, said) = logs::default_container(pod);
    if said && !k.flags.bool("quiet") {
        k.err(format!(
            "Defaulted container {} out of: {}\n",
            go::quote(&name),
            logs::listed(&all)
        ));
    }
    Ok(name)
}

/// How long an attached `kubectl run` waits for its pod to end.
const ATTACHED_MAX: Duration = Duration::from_secs(300);

/// `kubectl run -i`: the pod is made, what it writes is printed when it has ended, and with `--rm` it
/// is deleted.
pub(super) fn run_attached(k: &mut Kubectl, pod: Value) -> Result {
    let Some(resource) = k.cluster().resource_by_kind("v1", "Pod") else {
        return Ok(());
    };
    let namespace = k.namespace();
    let object = k.create(&resource, &namespace, pod, None)?;
    let info = Info {
        resource,
        namespace,
        name: object["metadata"]["name"].text(),
        object,
        source: String::new(),
    };
    let key = info.key();
    let phase = |o: &Value| o["status"]["phase"].str().to_owned();
    let ended = k.wait(ATTACHED_MAX, |cluster| {
        cluster.etcd.get(&key).is_none_or(|o| {
            let status = &o["status"]["containerStatuses"][0];
            let over = !status["state"]["terminated"].is_null()
                || !status["lastState"]["terminated"].is_null();
            over || matches!(phase(o).as_str(), "Succeeded" | "Failed")
        })
    });
    let now = k.current(&key).unwrap_or_default();
    let text = logs::text_of(k, &info, now["spec"]["containers"][0]["name"].str(), false)
        .unwrap_or_default();
    k.out(text);
    if !ended {
        k.err("(the pod still runs: on a real cluster this terminal would stay attached to it)\n");
    }
    let terminated = &now["status"]["containerStatuses"][0]["state"]["terminated"];
    let code = i32::try_from(terminated["exitCode"].as_i64().unwrap_or(0)).unwrap_or(1);
    if k.flags.bool("rm") {
        let options = DeleteOptions {
            grace_seconds: Some(1),
            ..DeleteOptions::default()
        };
        // It may be gone already.
        let _ = k.delete(&key, &options);
        k.wait(ATTACHED_MAX, |cluster| cluster.etcd.get(&key).is_none());
        let namespace = info.namespace.clone();
        if !k.flags.bool("quiet") {
            k.out(format!(
                "pod {} deleted from {namespace} namespace\n",
                go::quote(&info.name)
            ));
        }
    }
    match code {
        0 => Ok(()),
        code => Err(Error::Exit(
            code,
            format!(
                "pod {}/{} terminated ({})",
                info.namespace,
                info.name,
                terminated["reason"].str()
            ),
        )),
    }
}
