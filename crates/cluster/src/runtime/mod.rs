//! The container runtime of each node (containerd): images, sandboxes, containers.

pub(crate) mod environment;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod logs;
pub(crate) mod process;
mod remote;
pub(crate) mod user;
pub(crate) mod volumes;

pub use exec::{ExecError, Output};
pub use logs::{Line, Logs};
pub use process::Process;
pub use remote::{Remote, RemoteState};

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use kubarium_linux::NamespaceId;
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_posix::Files;

use crate::cluster::Cluster;
use crate::cni::HostLocal;
use crate::event::{Action, Component};
use crate::images::{self, Found, Image, Reference};
use crate::machine::Token;
use crate::time::Time;

/// What a node's runtime holds.
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    /// The images on the node, by reference.
    pub images: BTreeMap<Text, Pulled>,
    /// The pods' sandboxes, by the pod's uid.
    pub sandboxes: BTreeMap<Text, Arc<Sandbox>>,
    /// The addresses that the host-local plugin has given.
    pub ipam: HostLocal,
    /// Which container has which number: its sandbox and its place there.
    pub(crate) numbers: BTreeMap<u32, (Text, u8)>,
    next_number: u32,
}

/// An image on a node.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The reference in full.
    pub reference: Reference,
    /// `docker.io/library/nginx@sha256:…`
    pub id: Text,
    /// Bytes.
    pub size: u32,
    /// The catalogue's row; `None` for an image that nothing is known of.
    pub image: Option<&'static Image>,
}

/// A pod's sandbox: its namespaces, held by a pause container, and the containers in it.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Its id, 64 hexadecimal digits.
    pub id: Text,
    /// Its pod.
    pub pod: ObjectKey,
    /// Its pod's uid.
    pub uid: Text,
    /// Its network namespace; the node's for a pod on the host's network.
    pub netns: NamespaceId,
    /// Whether it has the node's network.
    pub host_network: bool,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The node's end of its cable; empty on the host's network.
    pub veth: Text,
    /// Its containers, in the pod's order: init containers first.
    pub containers: Vec<Container>,
    /// What volumes have in them, by name; those that somebody has written to.
    pub(crate) volumes: files::Volumes,
    /// What its volumes still show of ConfigMaps and Secrets that have changed.
    pub(crate) kept: volumes::Kept,
    /// When it was made.
    pub created: Time,
}

/// A container: what was made last under its name, and the one before.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its name in the pod.
    pub name: Text,
    /// Its id; empty where it was never made.
    pub id: ContainerId,
    /// The image's reference in full.
    pub image: Text,
    /// How often it was started again.
    pub attempt: u32,
    /// Where it stands.
    pub state: State,
    /// What runs in it.
    pub(crate) process: Option<Process>,
    /// What it has written.
    pub logs: Logs,
    /// The one before it.
    pub previous: Option<Arc<Previous>>,
    /// Its number on the node: what its sockets are called by.
    pub(crate) number: u32,
    /// The variables that tell it of Services: of those that there were when it was made.
    pub(crate) services: Option<Arc<environment::Variables>>,
    /// Whether it was made in a sandbox that is gone: it counts as never made.
    pub(crate) stale: bool,
    /// Its own files, where somebody has looked at or changed them.
    pub(crate) files: Option<Arc<kubarium_posix::MemoryFiles>>,
    /// Its environment, where it comes from objects that may change.
    pub(crate) env: Option<Arc<environment::Environment>>,
    /// ConfigMaps and Secrets as they were when it mounted paths within their volumes.
    pub(crate) pinned: Option<Arc<volumes::Kept>>,
}

/// A container's id, 64 hexadecimal digits, kept as a pod's status names it. Reads as the digits alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerId(Text);

impl ContainerId {
    const SCHEME: &str = "containerd://";

    fn new(digits: &str) -> ContainerId {
        ContainerId(format!("{}{digits}", Self::SCHEME).into())
    }

    /// `containerd://…`
    pub fn uri(&self) -> &Text {
        &self.0
    }
}

impl Deref for ContainerId {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.get(Self::SCHEME.len()..).unwrap_or("")
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// Who listens at a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// A server of the machine itself: `kubelet`.
    Daemon(&'static str),
    /// A container of a pod.
    Container(ObjectKey, Text),
}

/// What is left of a container that was started again.
#[derive(Clone, Debug)]
pub struct Previous {
    /// Its id.
    pub id: ContainerId,
    /// How it ended.
    pub end: End,
    /// What it had written.
    pub logs: Logs,
}

/// Where a container stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, not started.
    Created,
    /// Running since then.
    Running(Time),
    /// Ended.
    Exited(Box<End>),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its exit code.
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, …
    pub reason: Text,
    /// More words, for a start that failed.
    pub message: Text,
    /// When it was started.
    pub started: Time,
    /// When it ended.
    pub finished: Time,
}

impl Container {
    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<&End> {
        match &self.state {
            State::Exited(end) => Some(end),
            _ => None,
        }
    }
}

impl Sandbox {
    /// The container of a name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| *c.name == *name)
    }
}

impl Runtime {
    /// A number for a container's sockets.
    fn number(&mut self, uid: &Text, place: usize) -> u32 {
        self.next_number += 1;
        self.numbers.insert(
            self.next_number,
            (uid.clone(), u8::try_from(place).unwrap_or(u8::MAX)),
        );
        self.next_number
    }
}

/// A pull's end.
pub(crate) struct Pull {
    pub result: Result<Pulled, String>,
    pub takes: Duration,
}

/// CRI PullImage: how it will end, and how long it takes; `soon_here` where a pull before it brings
/// the image.
pub(crate) fn pull(cluster: &mut Cluster, node: &Text, image: &str, soon_here: bool) -> Pull {
    let milliseconds = |ms| Duration::from_millis(ms);
    let here = cluster
        .machines
        .get(node)
        .is_some_and(|m| soon_here || m.runtime.images.contains_key(image));
    let timing = &cluster.config.timing;
    let Some(reference) = Reference::parse(image) else {
        let result = Err(format!(
            "failed to parse image reference {image:?}: invalid reference format"
        ));
        return Pull {
            result,
            takes: milliseconds(1),
        };
    };
    if let Some(why) = cluster.faults().pull_error(&reference) {
        return Pull {
            result: Err(why),
            takes: milliseconds(timing.pull_ms / 3),
        };
    }
    match images::find(&cluster.config, &reference) {
        Found::None => {
            let name = reference.to_string();
            let result = Err(format!(
                "rpc error: code = NotFound desc = failed to pull and unpack image \"{name}\": failed to resolve reference \"{name}\": {name}: not found"
            ));
            Pull {
                result,
                takes: milliseconds(timing.pull_ms / 3),
            }
        }
        found => {
            let known = match found {
                Found::Known(image) => Some(image),
                _ => None,
            };
            let size = known.map_or(25_000_000, |image| image.size);
            let id = format!("{}@{}", reference.repository, images::digest(&reference));
            let takes = milliseconds(if here {
                timing.pull_ms / 15
            } else {
                timing.pull_ms
            });
            Pull {
                result: Ok(Pulled {
                    reference,
                    id: id.into(),
                    size,
                    image: known,
                }),
                takes,
            }
        }
    }
}

/// The machine has no power: all processes end, and the pods' networks are gone.
pub(crate) fn power_off(cluster: &mut Cluster, node: &Text) {
    let now = cluster.now;
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let mut gone = Vec::new();
    for sandbox in machine.runtime.sandboxes.values_mut().map(Arc::make_mut) {
        for container in &mut sandbox.containers {
            if let State::Running(started) = container.state {
                gone.push((sandbox.netns, container.number));
                container.process = None;
                container.state = State::Exited(Box::new(End {
                    code: 255,
                    reason: "Unknown".into(),
                    message: Text::from(""),
                    started,
                    finished: now,
                }));
            }
        }
    }
    let number = machine.number;
    let networks: Vec<(NamespaceId, Ipv4Addr)> = machine
        .runtime
        .sandboxes
        .values()
        .filter(|s| !s.host_network)
        .map(|s| (s.netns, s.ip))
        .collect();
    for (netns, container) in gone {
        let token = Token {
            machine: number,
            container,
        };
        cluster.net.close(netns, token.number());
    }
    for (netns, ip) in networks {
        if cluster.net.namespace(netns).is_some() {
            cluster.net.remove_namespace(netns);
            if let Some(machine) = cluster.machine_mut(node) {
                machine.runtime.ipam.remove(ip);
            }
        }
    }
}

/// Makes places for containers that a pod has got since its sandbox was made.
pub(crate) fn add_containers(cluster: &mut Cluster, node: &Text, uid: &Text, names: &[Text]) {
    let has = cluster.sandbox(node, uid).map_or(0, |s| s.containers.len());
    if has == 0 || has >= names.len() {
        return;
    }
    let sandbox = cluster
        .machine_mut(node)
        .and_then(|m| m.runtime.sandboxes.get_mut(uid));
    if let Some(sandbox) = sandbox {
        let new = names[has..]
            .iter()
            .map(|name| Container::none(name.clone()));
        Arc::make_mut(sandbox).containers.extend(new);
    }
}

/// CRI RunPodSandbox, with the CNI's ADD.
///
/// # Errors
/// What the kubelet says in its event.
pub(crate) fn run_sandbox(
    cluster: &mut Cluster,
    node: &Text,
    pod: &ObjectKey,
    uid: &Text,
    host_network: bool,
    names: &[Text],
) -> Result<(), String> {
    let id: Text = cluster.rng.hex(64).into();
    let Some(machine) = cluster.machines.get(node) else {
        return Err("no such machine".to_owned());
    };
    let (netns, ip, veth) = if host_network {
        (machine.netns, machine.address, Text::from(""))
    } else {
        let attached = crate::cni::add(cluster, node, pod, &id).map_err(|e| {
            format!(
                "rpc error: code = Unknown desc = failed to setup network for sandbox \"{id}\": {e}"
            )
        })?;
        (attached.netns, attached.ip, attached.veth)
    };
    let now = cluster.now;
    let Some(machine) = cluster.machine_mut(node) else {
        return Ok(());
    };
    // A sandbox that takes the place of another keeps what its volumes hold, and the record of the
    // containers that ran in it.
    let before = machine.runtime.sandboxes.get(uid).cloned();
    let containers = match &before {
        Some(before) => {
            let mut kept = before.containers.clone();
            kept.iter_mut().for_each(|c| c.stale = c.exists());
            kept
        }
        None => names
            .iter()
            .map(|name| Container::none(name.clone()))
            .collect(),
    };
    let sandbox = Sandbox {
        id,
        pod: pod.clone(),
        uid: uid.clone(),
        netns,
        host_network,
        ip,
        veth,
        containers,
        volumes: before.map(|b| b.volumes.clone()).unwrap_or_default(),
        kept: volumes::Kept::new(),
        created: now,
    };
    machine
        .runtime
        .sandboxes
        .insert(uid.clone(), Arc::new(sandbox));
    Ok(())
}

impl Container {
    /// A place for a container that was not made yet.
    fn none(name: Text) -> Container {
        Container {
            name,
            id: ContainerId::default(),
            image: Text::from(""),
            attempt: 0,
            state: State::Created,
            process: None,
            logs: Logs::default(),
            previous: None,
            number: 0,
            services: None,
            stale: false,
            files: None,
            env: None,
            pinned: None,
        }
    }

    /// Whether it was ever made.
    pub(crate) fn exists(&self) -> bool {
        !self.id.is_empty()
    }
}

/// CRI StopPodSandbox and RemovePodSandbox.
pub(crate) fn remove_sandbox(cluster: &mut Cluster, node: &Text, uid: &Text) {
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let Some(sandbox) = machine.runtime.sandboxes.remove(uid) else {
        return;
    };
    for container in &sandbox.containers {
        machine.runtime.numbers.remove(&container.number);
    }
    release_network(cluster, node, &sandbox);
}

/// CRI StopPodSandbox: the network goes, the record of the containers stays.
pub(crate) fn stop_sandbox(cluster: &mut Cluster, node: &Text, uid: &Text) {
    let Some(sandbox) = cluster
        .machines
        .get(node)
        .and_then(|m| m.runtime.sandboxes.get(uid))
        .cloned()
    else {
        return;
    };
    release_network(cluster, node, &sandbox);
}

fn release_network(cluster: &mut Cluster, node: &Text, sandbox: &Sandbox) {
    if !sandbox.host_network && cluster.net.namespace(sandbox.netns).is_some() {
        crate::cni::del(cluster, node, &sandbox.pod, sandbox.netns, sandbox.ip);
    }
}

/// CRI CreateContainer: the next container under that name; the one before is remembered.
pub(crate) fn create(
    cluster: &mut Cluster,
    node: &Text,
    uid: &Text,
    pod: &Value,
    place: usize,
    image: &str,
) {
    let id = cluster.rng.hex(64);
    let services = environment::services(cluster, pod);
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let number = machine.runtime.number(uid, place);
    let known = machine.runtime.images.get_key_value(image);
    let image = known.map_or_else(|| image.into(), |(name, _)| name.clone());
    let Some(sandbox) = machine.runtime.sandboxes.get_mut(uid).map(Arc::make_mut) else {
        return;
    };
    let Some(container) = sandbox.containers.get_mut(place) else {
        return;
    };
    let mut next = Container::none(container.name.clone());
    let mut old = 0;
    if container.exists() {
        old = container.number;
        next.attempt = container.attempt + 1;
        if let State::Exited(end) = &container.state {
            next.previous = Some(Arc::new(Previous {
                id: container.id.clone(),
                end: End::clone(end),
                logs: std::mem::take(&mut container.logs),
            }));
        }
    }
    next.id = ContainerId::new(&id);
    next.image = image;
    next.number = number;
    next.services = Some(services);
    *container = next;
    machine.runtime.numbers.remove(&old);
}

impl Cluster {
    /// A pod's sandbox on a node, to be changed.
    pub(crate) fn sandbox_mut(&mut self, node: &str, uid: &str) -> Option<&mut Sandbox> {
        self.machine_mut(node)?
            .runtime
            .sandboxes
            .get_mut(uid)
            .map(Arc::make_mut)
    }

    /// A pod's sandbox on a node.
    pub fn sandbox(&self, node: &str, uid: &str) -> Option<&Arc<Sandbox>> {
        self.machines.get(node)?.runtime.sandboxes.get(uid)
    }

    /// The pod's sandbox, wherever it is.
    pub fn sandbox_of(&self, pod: &ObjectKey) -> Option<(&Text, &Arc<Sandbox>)> {
        let object = self.etcd.get(pod)?;
        let (node, _) = self
            .machines
            .get_key_value(object["spec"]["nodeName"].str())?;
        let sandbox = self.sandbox(node, &crate::kubelet::uid_on_node(object))?;
        Some((node, sandbox))
    }

    /// What a container of a pod has written: the one that runs or ran last, or the one before it.
    /// `None` where there is none (yet).
    pub fn logs(&self, pod: &ObjectKey, container: &str, previous: bool) -> Option<&Logs> {
        let (_, sandbox) = self.sandbox_of(pod)?;
        let container = sandbox.container(container).filter(|c| c.exists())?;
        if previous {
            return container.previous.as_ref().map(|p| &p.logs);
        }
        match (&container.state, &container.previous) {
            // A container that is being made has nothing to say: its predecessor's output is shown.
            (State::Created, Some(previous)) => Some(&previous.logs),
            _ => Some(&container.logs),
        }
    }

    /// Who listens at a socket, by its token: a daemon's name, or a container of a pod.
    pub fn who_listens(&self, token: u64) -> Option<Listening> {
        if let Some((_, sandbox, at)) = self.container_of(token) {
            let container = sandbox.containers.get(at)?.name.clone();
            return Some(Listening::Container(sandbox.pod.clone(), container));
        }
        crate::machine::daemon::name(token).map(Listening::Daemon)
    }

    /// The container that a listening socket's token belongs to.
    pub(crate) fn container_of(&self, token: u64) -> Option<(&Text, &Arc<Sandbox>, usize)> {
        let token = Token::of(token)?;
        let node = self.ground.machines.get(token.machine as usize)?;
        let machine = self.machines.get(node)?;
        let (uid, place) = machine.runtime.numbers.get(&token.container)?;
        Some((
            node,
            machine.runtime.sandboxes.get(uid)?,
            usize::from(*place),
        ))
    }
}

/// What a container leaves as its last words (kubelet v1.37, getTerminationMessage): its file, or the
/// end of its output where it failed without one and its policy says so.
fn termination_message(
    cluster: &Cluster,
    node: &Text,
    uid: &Text,
    place: usize,
    code: i32,
) -> Text {
    const FILE_MAX: usize = 4096;
    const LOG_MAX: usize = 2048;
    const LINES_MAX: usize = 80;
    let none = Text::from("");
    let Some(sandbox) = cluster.sandbox(node, uid) else {
        return none;
    };
    let pod = cluster.etcd.get(&sandbox.pod);
    let (Some(container), Some(spec)) = (
        sandbox.containers.get(place),
        pod.and_then(|pod| crate::kubelet::containers(pod).nth(place)),
    ) else {
        return none;
    };
    let path = spec["terminationMessagePath"].str();
    let file = container.files.as_ref().and_then(|f| f.read(path).ok());
    if let Some(bytes) = file.filter(|bytes| !bytes.is_empty()) {
        let kept = bytes.get(..FILE_MAX).unwrap_or(&bytes);
        return String::from_utf8_lossy(kept).into_owned().into();
    }
    if code == 0 || spec["terminationMessagePolicy"].str() != "FallbackToLogsOnError" {
        return none;
    }
    let mut kept = Vec::new();
    let mut bytes = 0;
    for line in container.logs.lines().rev().take(LINES_MAX) {
        bytes += line.text.len() + 1;
        if bytes > LOG_MAX {
            break;
        }
        kept.push(format!("{}\n", line.text));
    }
    kept.reverse();
    kept.concat().into()
}

/// A container has ended: its sockets are closed, the log has it.
pub(crate) fn exited(
    cluster: &mut Cluster,
    node: &Text,
    uid: &Text,
    place: usize,
    code: i32,
    reason: Option<&str>,
) {
    let now = cluster.now;
    let Some(machine) = cluster.machines.get(node) else {
        return;
    };
    let number = machine.number;
    let message = termination_message(cluster, node, uid, place, code);
    let Some(sandbox) = cluster.sandbox_mut(node, uid) else {
        return;
    };
    let (netns, pod) = (sandbox.netns, sandbox.pod.clone());
    let Some(container) = sandbox.containers.get_mut(place) else {
        return;
    };
    let State::Running(started) = container.state else {
        return;
    };
    let reason = reason.unwrap_or(if code == 0 { "Completed" } else { "Error" });
    container.state = State::Exited(Box::new(End {
        code,
        reason: reason.into(),
        message,
        started,
        finished: now,
    }));
    container.process = None;
    let text = format!("{} exited with {code} ({reason})", container.name);
    let token = Token {
        machine: number,
        container: container.number,
    }
    .number();
    cluster.net.close(netns, token);
    cluster.log(
        &Component::Runtime(node.clone()),
        Action::Process,
        Some(&pod),
        text,
    );
    crate::kubelet::container_changed(cluster, node, uid);
}
