//! What a person breaks on purpose, and mends: components, machines, links, images, containers.
//!
//! A fault that lasts has a number until it is mended. Each is an event of its own, and what it sets
//! off has it as its cause.

mod component;
mod grammar;
mod machine;
mod reach;

pub use grammar::{FORMS, Form, complete};

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubarium_linux::NamespaceId;
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Text};

use crate::cluster::Cluster;
use crate::event::{Action, Component, EventId};
use crate::kubelet::Pressure;
use crate::runtime;
use crate::task::Task;
use crate::time::Time;

/// Something that can be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A component does nothing.
    Stop(Part),
    /// A component does everything later by this much.
    Slow(Part, Duration),
    /// A component is started anew; nothing is left to mend.
    Restart(Part),
    /// A machine has no power.
    Node(Text),
    /// A machine's kubelet and kube-proxy do not reach the API server.
    Cut(Text),
    /// A network card is down: a machine's, or a pod's end of its cable.
    LinkDown(Place),
    /// A network card loses that share of what it sends, in hundredths.
    Loss(Place, u32),
    /// What a network card sends arrives later by this much.
    Delay(Place, Duration),
    /// These machines reach each other, but none of the others.
    Partition(Vec<Text>),
    /// A container's process is killed. Over at once.
    Kill(ObjectKey, Option<Text>),
    /// A container's process is killed for want of memory. Over at once.
    OutOfMemory(ObjectKey, Option<Text>),
    /// An image is not in the registry.
    Image(Text),
    /// The registry does not answer.
    Registry,
    /// A machine runs out of something.
    Pressure(Text, Pressure),
    /// A rule of a machine's tables is deleted: table, chain, number.
    Rule(Text, Text, Text, u32),
}

/// A component, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// kube-apiserver
    ApiServer,
    /// etcd
    Etcd,
    /// kube-scheduler
    Scheduler,
    /// kube-controller-manager with all of its loops
    ControllerManager,
    /// One loop of it
    Controller(&'static str),
    /// kubelet NODE
    Kubelet(Text),
    /// kube-proxy NODE
    KubeProxy(Text),
    /// containerd NODE
    Runtime(Text),
}

/// Where a network card is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A machine.
    Node(Text),
    /// A pod.
    Pod(ObjectKey),
}

/// A fault that lasts.
#[derive(Clone, Debug)]
pub struct Active {
    /// What is broken.
    pub fault: Fault,
    /// Since when.
    pub since: Time,
    /// The event that tells of it.
    pub event: EventId,
}

/// All that is broken, and what follows from it.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    active: BTreeMap<u32, Active>,
    last: u32,
    /// Machines without power.
    off: BTreeSet<Text>,
    /// Machines whose kubelets do not reach the API server.
    cut: BTreeSet<Text>,
    /// Those of them whose network a person has changed so that nothing gets through.
    apart: BTreeSet<Text>,
    etcd_down: bool,
    /// Machines whose container runtime is stopped.
    runtime_down: BTreeSet<Text>,
    slow: BTreeMap<Component, Duration>,
    /// Tasks that have had their delay.
    delayed: BTreeSet<Task>,
    images: BTreeSet<Text>,
    registry_down: bool,
    /// Since when the node controller hears of nodes again.
    heard_since: Time,
}

impl Faults {
    /// What is broken, by its number.
    pub fn active(&self) -> &BTreeMap<u32, Active> {
        &self.active
    }

    /// Whether anything is broken.
    pub(crate) fn any(&self) -> bool {
        !self.active.is_empty() || !self.off.is_empty()
    }

    /// Whether a machine has no power.
    pub fn is_off(&self, node: &str) -> bool {
        self.off.contains(node)
    }

    /// Whether a machine's kubelet does not reach the API server.
    pub fn is_cut(&self, node: &str) -> bool {
        self.cut.contains(node) || self.off.contains(node)
    }

    /// The earliest moment from which missing heartbeats count.
    pub(crate) fn heard_since(&self) -> Time {
        self.heard_since
    }

    /// Why an image cannot be pulled, if a fault says so.
    pub(crate) fn pull_error(&self, reference: &crate::images::Reference) -> Option<String> {
        let name = reference.to_string();
        let failed = |why: String| {
            format!(
                "failed to pull and unpack image \"{name}\": failed to resolve reference \"{name}\": {why}"
            )
        };
        if self.registry_down {
            let repository = reference.repository.split_once('/');
            let (host, path) =
                repository.unwrap_or(("registry-1.docker.io", &reference.repository));
            let host = if host == "docker.io" {
                "registry-1.docker.io"
            } else {
                host
            };
            let why = format!(
                "failed to do request: Head \"https://{host}/v2/{path}/manifests/{}\": dial tcp: lookup {host}: i/o timeout",
                reference.tag
            );
            return Some(format!("rpc error: code = Unknown desc = {}", failed(why)));
        }
        self.images.contains(&*name).then(|| {
            format!(
                "rpc error: code = NotFound desc = {}",
                failed(format!("{name}: not found"))
            )
        })
    }
}

impl Cluster {
    /// What is broken.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Breaks something. The number under which it is to be mended, or `None` where it is over at
    /// once.
    ///
    /// # Errors
    /// A sentence: there is no such thing, or it is broken already.
    pub fn break_it(&mut self, fault: Fault) -> Result<Option<u32>, String> {
        if self
            .faults
            .active
            .values()
            .any(|active| active.fault == fault)
        {
            return Err(format!(
                "{fault}: this is so already; sim fault list shows it"
            ));
        }
        self.check(&fault)?;
        let event = self.log(&Component::Fault, Action::Fault, None, fault.to_string());
        let lasts = self.caused_by(Some(event), |cluster| cluster.apply(&fault))?;
        if !lasts {
            return Ok(None);
        }
        self.faults.last += 1;
        let active = Active {
            fault,
            since: self.now,
            event,
        };
        self.faults.active.insert(self.faults.last, active);
        self.caused_by(Some(event), Cluster::find_cut);
        Ok(Some(self.faults.last))
    }

    /// Mends the fault of that number.
    ///
    /// # Errors
    /// A sentence when there is no such fault.
    pub fn mend(&mut self, number: u32) -> Result<Fault, String> {
        let Some(Active { fault, event, .. }) = self.faults.active.remove(&number) else {
            return Err(format!(
                "there is no fault {number}; sim fault list shows those that there are"
            ));
        };
        let text = format!("mended: {fault}");
        let mended = self.caused_by(Some(event), |c| {
            c.log(&Component::Fault, Action::Fault, None, text)
        });
        self.caused_by(Some(mended), |cluster| {
            cluster.undo_fault(&fault);
            cluster.find_cut();
        });
        Ok(fault)
    }

    /// Mends all that is broken.
    pub fn mend_all(&mut self) -> Vec<Fault> {
        let numbers: Vec<u32> = self.faults.active.keys().copied().collect();
        numbers
            .into_iter()
            .filter_map(|number| self.mend(number).ok())
            .collect()
    }

    /// Whether the things that a fault names are there.
    fn check(&self, fault: &Fault) -> Result<(), String> {
        let machine = |name: &Text| {
            if self.machines.contains_key(name) {
                return Ok(());
            }
            let known: Vec<&str> = self.machines.keys().map(|n| &**n).collect();
            Err(format!(
                "there is no machine {name:?}; there are {}",
                known.join(", ")
            ))
        };
        match fault {
            Fault::Stop(part) | Fault::Slow(part, _) | Fault::Restart(part) => match part {
                Part::Kubelet(node) | Part::KubeProxy(node) | Part::Runtime(node) => machine(node),
                _ => Ok(()),
            },
            Fault::Node(node)
            | Fault::Cut(node)
            | Fault::Pressure(node, _)
            | Fault::Rule(node, ..) => machine(node),
            Fault::LinkDown(place) | Fault::Loss(place, _) | Fault::Delay(place, _) => {
                match place {
                    Place::Node(node) => machine(node),
                    Place::Pod(pod) => self.card(place).map(drop).ok_or_else(|| {
                        format!(
                            "pod {}/{} has no network card of its own now",
                            pod.namespace, pod.name
                        )
                    }),
                }
            }
            Fault::Partition(nodes) => nodes.iter().try_for_each(machine),
            Fault::Kill(pod, container) | Fault::OutOfMemory(pod, container) => {
                self.running_container(pod, container.as_deref()).map(drop)
            }
            Fault::Image(image) => match crate::images::Reference::parse(image) {
                Some(_) => Ok(()),
                None => Err(format!("{image:?} is no image's name")),
            },
            Fault::Registry => Ok(()),
        }
    }

    /// Carries a fault out; whether it lasts.
    fn apply(&mut self, fault: &Fault) -> Result<bool, String> {
        match fault {
            Fault::Stop(part) => self.stop_part(part),
            Fault::Slow(part, delay) => {
                for component in self.components(part) {
                    self.faults.slow.insert(component, *delay);
                }
            }
            Fault::Restart(part) => {
                self.restart_part(part);
                return Ok(false);
            }
            Fault::Node(node) => self.power_off(node),
            Fault::Cut(_) => {}
            Fault::LinkDown(place) => self.plug(place, false),
            Fault::Loss(place, percent) => {
                let loss = (u64::from((*percent).min(100)) << 31) / 100;
                self.set_loss(place, u32::try_from(loss).unwrap_or(u32::MAX));
            }
            Fault::Delay(place, delay) => self.set_delay(place, *delay),
            Fault::Partition(nodes) => self.partition(nodes, true),
            Fault::Kill(pod, container) | Fault::OutOfMemory(pod, container) => {
                let (node, uid, at) = self.running_container(pod, container.as_deref())?;
                let reason = matches!(fault, Fault::OutOfMemory(..)).then_some("OOMKilled");
                runtime::exited(self, &node, &uid, at, 137, reason);
                return Ok(false);
            }
            Fault::Image(image) => {
                if let Some(reference) = crate::images::Reference::parse(image) {
                    self.faults.images.insert(reference.to_string().into());
                }
            }
            Fault::Registry => self.faults.registry_down = true,
            Fault::Pressure(node, pressure) => {
                crate::kubelet::under_pressure(self, node, *pressure, true)
            }
            Fault::Rule(node, table, chain, number) => {
                self.delete_rule(node, table, chain, *number)?;
            }
        }
        Ok(true)
    }

    fn undo_fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Stop(part) => self.start_part(part),
            Fault::Slow(part, _) => {
                for component in self.components(part) {
                    self.faults.slow.remove(&component);
                }
            }
            Fault::Node(node) => self.power_on(node),
            Fault::LinkDown(place) => {
                if !matches!(place, Place::Node(node) if self.faults.is_off(node)) {
                    self.plug(place, true);
                }
            }
            Fault::Loss(place, _) => self.set_loss(place, 0),
            Fault::Delay(place, _) => self.set_delay(place, Duration::ZERO),
            Fault::Partition(nodes) => self.partition(nodes, false),
            Fault::Image(image) => {
                if let Some(reference) = crate::images::Reference::parse(image) {
                    self.faults.images.remove(&*reference.to_string());
                }
            }
            Fault::Registry => self.faults.registry_down = false,
            Fault::Pressure(node, pressure) => {
                crate::kubelet::under_pressure(self, node, *pressure, false);
            }
            // kube-proxy's next full sync writes what is missing; a restart brings it at once.
            Fault::Rule(node, ..) => self.restart_part(&Part::KubeProxy(node.clone())),
            Fault::Cut(_) | Fault::Restart(_) | Fault::Kill(..) | Fault::OutOfMemory(..) => {}
        }
    }

    /// A running container of a pod: its node, the pod's uid, its place.
    fn running_container(
        &self,
        pod: &ObjectKey,
        name: Option<&str>,
    ) -> Result<(Text, Text, usize), String> {
        let Some((node, sandbox)) = self.sandbox_of(pod) else {
            return Err(format!("pod {}/{} does not run", pod.namespace, pod.name));
        };
        let mut places = sandbox.containers.iter().enumerate();
        let found = places.find(|(_, c)| c.is_running() && name.is_none_or(|n| *c.name == *n));
        match (found, name) {
            (Some((at, _)), _) => Ok((node.clone(), sandbox.uid.clone(), at)),
            (None, Some(name)) => Err(format!(
                "pod {}/{} has no running container {name:?}",
                pod.namespace, pod.name
            )),
            (None, None) => Err(format!(
                "no container of pod {}/{} runs",
                pod.namespace, pod.name
            )),
        }
    }

    fn delete_rule(
        &mut self,
        node: &Text,
        table: &str,
        chain: &str,
        number: u32,
    ) -> Result<(), String> {
        crate::kube_proxy::bring_up_to_date(self, node);
        let Some(netns) = self.machines.get(node).map(|m| m.netns) else {
            return Ok(());
        };
        let number = number.to_string();
        let argv: Vec<String> = ["iptables", "-t", table, "-D", chain, &number]
            .map(str::to_owned)
            .into();
        let now = kubarium_linux::Time(self.now.0);
        let output = kubarium_linux::tools::run(&mut self.net, netns, &argv, now);
        if output.status != 0 {
            let why = output.stderr.trim().to_owned();
            return Err(format!("the rule could not be deleted: {why}"));
        }
        crate::kube_proxy::rules_changed(self, node);
        Ok(())
    }

    // --- The API server's door ----------------------------------------------------------------

    /// Why a component's request does not come to anything at the moment.
    pub(crate) fn api_error(&self, by: &Component) -> Option<Status> {
        if matches!(by, Component::ApiServer) {
            return None;
        }
        let cut = matches!(by, Component::Kubelet(node) if self.faults.is_cut(node));
        if cut || self.is_api_server_down() {
            return Some(Status::service_unavailable(
                "the API server does not answer",
            ));
        }
        self.faults.etcd_down.then(|| {
            let mut status = Status::timeout("etcdserver: request timed out");
            status.code = 500;
            status.reason = "".into();
            status
        })
    }

    /// Whether the API server is stopped, or its machine without power.
    pub fn is_api_server_down(&self) -> bool {
        self.stopped().contains(&Component::ApiServer) || self.is_control_plane_off()
    }

    fn is_control_plane_off(&self) -> bool {
        !self.faults.off.is_empty()
            && self
                .control_planes()
                .all(|node| self.faults.off.contains(node))
    }

    pub(crate) fn control_planes(&self) -> impl Iterator<Item = &Text> {
        self.machines
            .iter()
            .filter(|(_, m)| m.config.role == crate::config::Role::ControlPlane)
            .map(|(name, _)| name)
    }

    /// What kubectl says where the API server cannot be asked: the whole line.
    pub fn connection_error(&self) -> Option<String> {
        let machine = self
            .control_planes()
            .next()
            .and_then(|n| self.machines.get(n))?;
        let at = format!("{}:6443", machine.address);
        if self.is_control_plane_off() || !self.is_plugged(machine.eth0) {
            return Some(format!(
                "Unable to connect to the server: dial tcp {at}: connect: no route to host"
            ));
        }
        if self.stopped().contains(&Component::ApiServer) {
            return Some(format!(
                "The connection to the server {at} was refused - did you specify the right host or port?"
            ));
        }
        self.faults
            .etcd_down
            .then(|| "Error from server: etcdserver: request timed out".to_owned())
    }

    /// Works out which machines' kubelets reach the API server; those that do again look at
    /// everything anew.
    fn find_cut(&mut self) {
        let mut cut: BTreeSet<Text> = BTreeSet::new();
        let masters: Vec<Text> = self.control_planes().cloned().collect();
        cut.extend(self.faults.apart.iter().cloned());
        for active in self.faults.active.values() {
            match &active.fault {
                Fault::Cut(node) => drop(cut.insert(node.clone())),
                Fault::LinkDown(Place::Node(node)) => {
                    if masters.contains(node) {
                        cut.extend(self.machines.keys().filter(|n| *n != node).cloned());
                    } else {
                        cut.insert(node.clone());
                    }
                }
                Fault::Partition(nodes) => {
                    let with_master = nodes.iter().any(|n| masters.contains(n));
                    let apart = self
                        .machines
                        .keys()
                        .filter(|n| nodes.contains(n) != with_master);
                    cut.extend(apart.cloned());
                }
                _ => {}
            }
        }
        if masters.is_empty() {
            cut.retain(|node| {
                self.faults
                    .active
                    .values()
                    .any(|a| a.fault == Fault::Cut(node.clone()))
            });
        }
        let back: Vec<Text> = self.faults.cut.difference(&cut).cloned().collect();
        let gone: Vec<Text> = cut.difference(&self.faults.cut).cloned().collect();
        self.faults.cut = cut;
        for node in gone {
            crate::kube_proxy::stopped(self, &node);
        }
        for node in back {
            if !self.faults.is_off(&node) {
                if !self.stopped().contains(&Component::KubeProxy(node.clone())) {
                    crate::kube_proxy::started(self, &node);
                }
                self.wake_kubelet(&node);
            }
        }
    }

    /// A kubelet looks at all of its pods, those that it has and those that it should have.
    fn wake_kubelet(&mut self, node: &Text) {
        let mut pods: BTreeMap<Text, ObjectKey> = BTreeMap::new();
        for key in self.index.pods_on(node) {
            if let Some(pod) = self.etcd.get(key) {
                pods.insert(crate::kubelet::uid_on_node(pod), key.clone());
            }
        }
        if let Some(machine) = self.machines.get(node) {
            for (uid, worker) in &machine.kubelet.pods {
                pods.entry(uid.clone())
                    .or_insert_with(|| worker.key.clone());
            }
        }
        let delay = Duration::from_millis(self.config.timing.watch_ms);
        for (uid, key) in pods {
            let work = crate::kubelet::Work::Pod(key, uid);
            self.enqueue(Task::Kubelet(node.clone(), work), delay);
        }
        let manifests = Task::Kubelet(node.clone(), crate::kubelet::Work::Manifests);
        self.enqueue(manifests, delay);
        let lease = Task::Kubelet(node.clone(), crate::kubelet::Work::Lease);
        self.enqueue(lease, delay);
        let status = Task::Kubelet(node.clone(), crate::kubelet::Work::Status);
        self.enqueue(status, delay);
    }

    // --- Network cards --------------------------------------------------------------------------

    /// The card that a person means: its namespace and itself.
    fn card(&self, place: &Place) -> Option<(NamespaceId, kubarium_linux::LinkId)> {
        match place {
            Place::Node(node) => self.machines.get(node).map(|m| (m.netns, m.eth0)),
            Place::Pod(pod) => {
                let (_, sandbox) = self.sandbox_of(pod)?;
                if sandbox.host_network {
                    return None;
                }
                let link = self.net.find_link(sandbox.netns, "eth0")?;
                Some((sandbox.netns, link))
            }
        }
    }

    /// Puts a cable in, or pulls it: a machine's, or the node's end of a pod's.
    pub(super) fn plug(&mut self, place: &Place, plugged: bool) {
        match place {
            Place::Node(node) => {
                let (Some(eth0), Some(segment)) =
                    (self.machines.get(node).map(|m| m.eth0), self.ground.segment)
                else {
                    return;
                };
                if plugged {
                    let _ = self.net.plug(eth0, segment);
                } else {
                    self.net.unplug(eth0);
                }
            }
            Place::Pod(pod) => {
                let Some((node, sandbox)) = self.sandbox_of(pod) else {
                    return;
                };
                let (netns, veth) = (
                    self.machines.get(node).map(|m| m.netns),
                    sandbox.veth.clone(),
                );
                if let Some(link) = netns.and_then(|netns| self.net.find_link(netns, &veth)) {
                    let _ = self.net.set_up(link, plugged);
                }
            }
        }
    }

    /// Whether a machine's cable is in.
    fn is_plugged(&self, eth0: kubarium_linux::LinkId) -> bool {
        use kubarium_linux::LinkKind;
        self.net.link(eth0).is_some_and(|link| {
            link.up && matches!(link.kind, LinkKind::Physical { segment: Some(_) })
        })
    }

    fn set_loss(&mut self, place: &Place, loss: u32) {
        if let Some((_, link)) = self.card(place) {
            let _ = self.net.set_loss(link, loss);
        }
    }

    fn set_delay(&mut self, place: &Place, delay: Duration) {
        if let Some((_, link)) = self.card(place) {
            let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
            let _ = self.net.set_delay(link, kubarium_linux::Time(nanos));
        }
    }

    fn partition(&mut self, nodes: &[Text], cut: bool) {
        let Some(segment) = self.ground.segment else {
            return;
        };
        let (inside, outside): (Vec<_>, Vec<_>) = self
            .machines
            .iter()
            .map(|(name, machine)| (name.clone(), machine.eth0))
            .partition(|(name, _)| nodes.contains(name));
        for (_, a) in &inside {
            for (_, b) in &outside {
                let _ = self.net.cut(segment, *a, *b, cut);
            }
        }
    }

    /// Whether a task's component is kept from it; a delay is added for those that are slow.
    pub(crate) fn is_delayed(&mut self, task: &Task) -> Option<Duration> {
        if self.faults.slow.is_empty() {
            return None;
        }
        let component = component::of(task)?;
        let delay = *self.faults.slow.get(&component)?;
        if self.faults.delayed.remove(task) {
            return None;
        }
        self.faults.delayed.insert(task.clone());
        Some(delay)
    }
}

/// A pod by the word that a person uses: `NAME`, `pod/NAME`, `NAMESPACE/NAME`.
pub fn pod_key(word: &str, namespace: &str) -> ObjectKey {
    let word = word
        .strip_prefix("pod/")
        .or(word.strip_prefix("pods/"))
        .unwrap_or(word);
    match word.split_once('/') {
        Some((namespace, name)) => ObjectKey::new("pods", namespace, name),
        None => ObjectKey::new("pods", namespace, word),
    }
}

/// Whether an object is one that a fault's words can name, for completion.
pub(crate) fn names(cluster: &Cluster, resource: &str, namespace: &str) -> Vec<String> {
    let objects = cluster.etcd.list(resource, Some(namespace));
    objects
        .map(|(_, object)| object.name().to_owned())
        .collect()
}
