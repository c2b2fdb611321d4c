//! Commands that are run from outside: `kubectl exec`, lifecycle hooks, exec probes, and what a
//! person types on a node.

use std::time::Duration;

use kubarium_linux::NamespaceId;
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_posix::{Found, Progress, Stream};

use super::Container;
use super::environment::{self, Variables};
use super::files::{self, View};
use super::process::{
    SIGKILL, SLICE, Shell, base_name, check_found, is_shell, place, shell, simulated, turn,
};
use crate::cluster::Cluster;
use crate::event::{Action, Component, EventId};
use crate::images::Tools;
use crate::kubelet::{Unwell, containers};
use crate::programs::{self, Place, Program};

/// How long a command from outside may run in simulated time.
const EXEC_MAX: Duration = Duration::from_secs(3600);
/// What a command from outside may print.
const OUTPUT_MAX: usize = 4 << 20;

/// What a command has printed, and its exit status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The exit status.
    pub status: i32,
    /// Both outputs in the order in which they were written.
    pub merged: Vec<u8>,
    /// The same, with where each piece went.
    pub pieces: Vec<(Stream, Vec<u8>)>,
}

/// Runs a command in a container without letting the cluster's time go on: how long it takes, its
/// status, what it printed.
fn try_out(
    cluster: &mut Cluster,
    node: &Text,
    uid: &Text,
    at: usize,
    argv: &[String],
    limit: Duration,
) -> (Duration, Option<i32>, String) {
    let nothing = (Duration::ZERO, None, String::new());
    let (Some(place), Some(sandbox)) = (
        place(cluster, node, uid, at),
        cluster.sandbox(node, uid).cloned(),
    ) else {
        return nothing;
    };
    let pod = cluster.etcd.get(&sandbox.pod).cloned().unwrap_or_default();
    let view = files::view(cluster, node, &sandbox, &pod, at);
    if let Err(why) = check_command(&place, &view, argv) {
        return (Duration::ZERO, None, why);
    }
    let env = environment::of_running(cluster, node, uid, &pod, at).variables();
    let mut shell = shell(argv, env, "/", Vec::new(), None, 1);
    let start = cluster.now;
    let mut now = start;
    let mut text = Vec::new();
    loop {
        let (progress, output) = turn(cluster, &place, &pod, &mut shell, now);
        output.into_iter().for_each(|(_, bytes)| text.extend(bytes));
        text.truncate(10 << 10);
        let printed = || String::from_utf8_lossy(&text).into_owned();
        now = match progress {
            Progress::Finished(status) => return (now - start, Some(status), printed()),
            Progress::OutOfMemory => return (now - start, Some(128 + SIGKILL), printed()),
            Progress::Ran => now + SLICE,
            Progress::Blocked(until) => until
                .map_or(start + limit, simulated)
                .max(now + Duration::from_nanos(1)),
        };
        if now.since(start) >= limit {
            return (limit, None, printed());
        }
    }
}

fn check_command(place: &Place, view: &View, argv: &[String]) -> Result<(), String> {
    let name = argv.first().map_or("", String::as_str);
    if is_shell(base_name(name)) && place.tools.has(Tools::SHELL) {
        return Ok(());
    }
    check_found(place, view, argv)
}

/// A lifecycle hook: how long it takes, and whether it works.
pub(crate) fn hook(
    cluster: &mut Cluster,
    node: &Text,
    uid: Text,
    at: usize,
    hook: &Value,
) -> (Duration, bool) {
    if let Some(action) = hook.get("exec") {
        let argv: Vec<String> = action["command"]
            .items()
            .iter()
            .map(|w| w.str().to_owned())
            .collect();
        let (takes, status, _) = try_out(cluster, node, &uid, at, &argv, EXEC_MAX);
        return (takes, status == Some(0));
    }
    if let Some(action) = hook.get("sleep") {
        return (
            Duration::from_secs(action["seconds"].as_i64().unwrap_or(0).unsigned_abs()),
            true,
        );
    }
    if let Some(action) = hook.get("httpGet") {
        let Some(sandbox) = cluster.sandbox(node, &uid) else {
            return (Duration::ZERO, false);
        };
        let host = action["host"]
            .as_str()
            .map_or_else(|| sandbox.ip.to_string(), str::to_owned);
        let pod = cluster.etcd.get(&sandbox.pod).cloned().unwrap_or_default();
        let spec = containers(&pod).nth(at).cloned().unwrap_or_default();
        let Ok(port) = crate::kubelet::port(&spec, &action["port"]) else {
            return (Duration::ZERO, false);
        };
        let scheme = action["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let path = match action["path"].str() {
            path if path.starts_with('/') => path.to_owned(),
            path => format!("/{path}"),
        };
        let done = programs::probe_http(
            cluster,
            node,
            &scheme,
            &host,
            port,
            &path,
            Duration::from_secs(30),
        );
        return (Duration::from_millis(5), done.is_ok());
    }
    (Duration::ZERO, true)
}

/// An exec probe.
pub(crate) fn exec_probe(
    cluster: &mut Cluster,
    node: &Text,
    uid: &Text,
    at: usize,
    argv: &[String],
    timeout: Duration,
) -> Result<(), Unwell> {
    let (takes, status, text) = try_out(cluster, node, uid, at, argv, timeout);
    match status {
        Some(0) => Ok(()),
        None if takes >= timeout => Err(Unwell::Failed(format!(
            "command timed out: {argv:?} timed out after {}s",
            timeout.as_secs()
        ))),
        None if !text.is_empty() => {
            let id = cluster.rng.hex(64);
            Err(Unwell::Errored(format!(
                "rpc error: code = Unknown desc = failed to exec in container: failed to start exec \"{id}\": OCI runtime exec failed: exec failed: unable to start container process: {text}"
            )))
        }
        _ => Err(Unwell::Failed(text)),
    }
}

/// Why a command could not be run in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecError {
    /// There is no such pod, or its node is gone.
    NoPod,
    /// The pod is not bound to a node yet: `pod x does not have a host assigned`.
    NoHost,
    /// The pod has ended; its phase.
    Completed(Text),
    /// The pod has no container of that name; the names that it has.
    NoSuchContainer(Text),
    /// The container does not run.
    NotRunning(Text),
    /// The runtime could not start the program: the whole message.
    Refused(String),
}

/// Where a command in a container runs, and what is around it.
pub(super) struct Target {
    pub place: Place,
    pub pod: Value,
    pub env: Variables,
    pub cwd: String,
    /// The event that tells of it.
    pub event: EventId,
}

impl Cluster {
    /// Runs a command in a container of a pod, as `kubectl exec` does; simulated time goes on while
    /// it waits. Without a container's name the pod's first one (or its default one) is meant.
    ///
    /// # Errors
    /// Why it could not be begun.
    pub fn exec(
        &mut self,
        pod: &ObjectKey,
        container: Option<&str>,
        argv: &[String],
        stdin: &[u8],
    ) -> Result<Output, ExecError> {
        let (target, shell) = self.exec_shell(pod, container, argv, stdin)?;
        Ok(self.caused_by(Some(target.event), |cluster| {
            cluster.run_shell(&target.place, &target.pod, shell)
        }))
    }

    /// What runs a command in a container.
    pub(super) fn exec_shell(
        &mut self,
        pod: &ObjectKey,
        container: Option<&str>,
        argv: &[String],
        stdin: &[u8],
    ) -> Result<(Target, Shell), ExecError> {
        let mut target = self.exec_target(pod, container, argv)?;
        let seed = self.rng.next_u64();
        let env = std::mem::take(&mut target.env);
        let shell = shell(argv, env, &target.cwd, stdin.to_vec(), None, seed);
        Ok((target, shell))
    }

    /// Whether the `tar` that a container has is BusyBox' and not GNU's.
    ///
    /// # Errors
    /// As of [`Cluster::exec`]; also where the container has none.
    pub fn tar_is_busybox(
        &mut self,
        pod: &ObjectKey,
        container: Option<&str>,
    ) -> Result<bool, ExecError> {
        let target = self.exec_target(pod, container, &["tar".to_owned()])?;
        Ok(target.place.tools.has(Tools::BUSYBOX))
    }

    /// Where a command would run that `kubectl exec` is given, and with what around it.
    pub(super) fn exec_target(
        &mut self,
        pod: &ObjectKey,
        container: Option<&str>,
        argv: &[String],
    ) -> Result<Target, ExecError> {
        let object = self.etcd.get(pod).cloned().ok_or(ExecError::NoPod)?;
        let phase = object["status"]["phase"].text();
        if matches!(&*phase, "Succeeded" | "Failed") {
            return Err(ExecError::Completed(phase));
        }
        let node = object["spec"]["nodeName"].text();
        if node.is_empty() {
            return Err(ExecError::NoHost);
        }
        let default =
            object["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
        let wanted = container
            .or(default)
            .unwrap_or(object["spec"]["containers"][0]["name"].str());
        let at = containers(&object).position(|c| c["name"].str() == wanted);
        let at = at.ok_or_else(|| ExecError::NoSuchContainer(wanted.into()))?;
        let uid = crate::kubelet::uid_on_node(&object);
        let runs = self
            .sandbox(&node, &uid)
            .and_then(|s| s.containers.get(at))
            .is_some_and(Container::is_running);
        let place = place(self, &node, &uid, at).filter(|_| runs);
        let place = place.ok_or_else(|| ExecError::NotRunning(wanted.into()))?;
        let sandbox = self.sandbox(&node, &uid).cloned().ok_or(ExecError::NoPod)?;
        let view = files::view(self, &node, &sandbox, &object, at);
        if let Err(why) = check_command(&place, &view, argv) {
            let id = self.rng.hex(64);
            return Err(ExecError::Refused(format!(
                "error executing command in container: failed to exec in container: failed to start exec \"{id}\": OCI runtime exec failed: exec failed: unable to start container process: {why}"
            )));
        }
        let env = environment::of_running(self, &node, &uid, &object, at).variables();
        let spec = containers(&object).nth(at).cloned().unwrap_or_default();
        let cwd = match spec["workingDir"].str() {
            "" => place.image.map_or("/", |i| i.workdir),
            given => given,
        }
        .to_owned();
        let text = format!("exec {} in {wanted}", argv.join(" "));
        let event = self.log(
            &Component::Process(format!("{}/{}", pod.namespace, pod.name).into()),
            Action::Process,
            Some(pod),
            text,
        );
        Ok(Target {
            place,
            pod: object,
            env,
            cwd,
            event,
        })
    }

    /// Runs a command on a node, or on the host `outside`; simulated time goes on while it waits.
    ///
    /// # Errors
    /// A sentence: there is no such machine.
    pub fn run_on_node(
        &mut self,
        node: &str,
        argv: &[String],
        stdin: &[u8],
    ) -> Result<Output, String> {
        Ok(match self.node_shell(node, argv, stdin)? {
            Ok((place, shell)) => self.run_shell(&place, &Value::Null, shell),
            Err(output) => output,
        })
    }

    /// What runs a command on a node, or what is said where there is no such command.
    pub(super) fn node_shell(
        &mut self,
        node: &str,
        argv: &[String],
        stdin: &[u8],
    ) -> Result<Result<(Place, Shell), Output>, String> {
        let netns = self
            .node_netns(node)
            .ok_or_else(|| format!("there is no machine {node:?}"))?;
        let place = node_place(node, netns);
        let seed = self.rng.next_u64();
        let name = argv.first().map_or("", String::as_str);
        if !is_shell(base_name(name))
            && matches!(
                programs::find(&place, &files::node_view(self, node), argv),
                Found::Missing
            )
        {
            let stderr = format!("bash: line 1: {name}: command not found\n").into_bytes();
            return Ok(Err(Output {
                merged: stderr.clone(),
                pieces: vec![(Stream::Err, stderr.clone())],
                stderr,
                status: 127,
                ..Output::default()
            }));
        }
        let shell = shell(argv, node_env(node), "/root", stdin.to_vec(), None, seed);
        Ok(Ok((place, shell)))
    }

    fn run_shell(&mut self, place: &Place, pod: &Value, mut shell: Shell) -> Output {
        let mut result = Output::default();
        let start = self.now;
        loop {
            let (progress, output) = turn(self, place, pod, &mut shell, self.now);
            for (stream, bytes) in output {
                let target = if stream == Stream::Out {
                    &mut result.stdout
                } else {
                    &mut result.stderr
                };
                target.extend_from_slice(&bytes);
                result.merged.extend_from_slice(&bytes);
                result.pieces.push((stream, bytes));
            }
            let next = match progress {
                Progress::Finished(status) => {
                    result.status = status;
                    break;
                }
                Progress::OutOfMemory => {
                    result.status = 128 + SIGKILL;
                    break;
                }
                Progress::Ran => self.now + SLICE,
                Progress::Blocked(Some(until)) => {
                    simulated(until).max(self.now + Duration::from_nanos(1))
                }
                // Nothing but the world outside could wake it.
                Progress::Blocked(None) => self.now + Duration::from_secs(1),
            };
            if next.since(start) > EXEC_MAX || result.merged.len() > OUTPUT_MAX {
                let text = b"kubarium: stopped: the command went on for an hour of simulated time, or printed too much\n";
                result.stderr.extend_from_slice(text);
                result.merged.extend_from_slice(text);
                result.pieces.push((Stream::Err, text.to_vec()));
                result.status = 124;
                break;
            }
            self.run_until(next);
            if !self.is_alive(place) {
                result.status = 128 + SIGKILL;
                break;
            }
        }
        self.close(place, &shell);
        result
    }

    /// Whether what runs at a place can still run: the container does, or the machine is there.
    pub(super) fn is_alive(&self, place: &Place) -> bool {
        match &place.pod {
            Some((uid, at)) => self
                .sandbox(&place.node, uid)
                .and_then(|s| s.containers.get(*at))
                .is_some_and(Container::is_running),
            None => self.node_netns(&place.node).is_some(),
        }
    }

    /// Closes what a shell that has ended listened on.
    pub(super) fn close(&mut self, place: &Place, shell: &Shell) {
        for program in shell.jobs.running.values() {
            if let Program::Serve(serve) = program {
                serve.close(self, place);
            }
        }
    }
}

/// What a person's shell on a machine has in its environment.
pub(super) fn node_env(node: &str) -> Variables {
    let mut env = Variables::new();
    env.insert("HOME".into(), "/root".into());
    env.insert("HOSTNAME".into(), node.to_owned());
    env
}

/// Where a node's own processes are.
pub(crate) fn node_place(node: &str, netns: NamespaceId) -> Place {
    let all = Tools::BUSYBOX
        .and(Tools::CURL)
        .and(Tools::BIND)
        .and(Tools::NET)
        .and(Tools::IP)
        .and(Tools::NETCAT)
        .and(Tools::GETENT);
    Place {
        node: node.into(),
        pod: None,
        netns,
        hostname: node.to_owned(),
        tools: all,
        image: None,
        token: 0,
    }
}
