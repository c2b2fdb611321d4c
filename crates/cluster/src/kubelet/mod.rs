//! The kubelet of each node: makes pods run, and tells the API server how they do.
//!
//! Each pod has a [`Worker`]. It is woken when its pod changes, when something that it began is
//! over (a sandbox, a pull, a start), when a container has ended and the next relist sees it, and
//! when a back-off is over; each time it does what comes next and says when to wake it again.

mod admission;
mod attach;
mod devices;
mod eviction;
pub(crate) mod node_status;
mod probe;
mod resize;
mod restart_all;
mod start;
mod static_pods;
mod status;
mod terminate;
mod worker;

pub use eviction::Pressure;
pub(crate) use eviction::{overfull, under_pressure};
pub(crate) use probe::{Unwell, port};
pub(crate) use static_pods::{disk_changes, uid_on_node};
pub use worker::Worker;
pub(crate) use worker::containers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::{ObjectKey, Text, Value};

use crate::cluster::{Change, Cluster};
use crate::event::{Action, Component};
use crate::runtime::volumes;
use crate::task::Task;
use crate::time::Time;

/// What a kubelet knows.
#[derive(Clone, Debug, Default)]
pub struct Kubelet {
    /// Its pods' workers by uid.
    pub pods: BTreeMap<Text, Arc<Worker>>,
    /// What the machine runs out of; with the moment, once it has enough again.
    pub(crate) pressures: BTreeMap<Pressure, Option<Time>>,
    /// Pulls that are under way or wait for those before them (`serializeImagePulls`): when each
    /// ends, and its image.
    pub(crate) pulls: Vec<(Time, Text)>,
    /// The pods that it has from files, by their uid.
    pub(crate) statics: BTreeMap<Text, Value>,
    /// The pods whose containers wait for more of the machine.
    pub(crate) resizing: BTreeSet<Text>,
    /// How often the machine has booted.
    pub(crate) boots: u32,
    /// Whether the last report found the node closed to new pods.
    pub(crate) unschedulable: bool,
}

/// What a kubelet has to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Renew the node's lease.
    Lease,
    /// Take note of the pods' network that the node was given.
    Network,
    /// Do what comes next for a pod: its key and uid.
    Pod(ObjectKey, Text),
    /// Run the probes of a pod that are due.
    Probe(ObjectKey, Text),
    /// Read the manifests of its own pods.
    Manifests,
    /// Look after a pod's volumes: its key and uid.
    Volumes(ObjectKey, Text),
    /// Write the node's status.
    Status,
    /// Evict a pod while the machine runs out of something.
    Evict,
}

impl Work {
    /// Whether this goes on for ever, even where nothing changes.
    pub fn is_heartbeat(&self) -> bool {
        matches!(self, Work::Lease | Work::Probe(..) | Work::Evict)
    }
}

/// Takes a change into account.
pub(crate) fn observe(cluster: &mut Cluster, change: &Change) {
    let delay = Duration::from_millis(cluster.config.timing.watch_ms);
    match &*change.key.resource {
        "pods" => {
            let pod = change.object();
            let node = &pod["spec"]["nodeName"];
            let concerns = change.new.is_none()
                || change.differs(&["spec"])
                || change.differs(&["metadata"]) && {
                    let differs = |field| change.differs(&["metadata", field]);
                    differs("deletionTimestamp") || differs("deletionGracePeriodSeconds")
                }
                // Others set the conditions of readiness gates (`NeedToReconcilePodReadiness`).
                || !pod["spec"]["readinessGates"].items().is_empty()
                    && change.differs(&["status", "conditions"]);
            // A kubelet that is cut off hears of nothing.
            if !concerns
                || !cluster.machines.contains_key(node.str())
                || cluster.faults().is_cut(node.str())
            {
                return;
            }
            let work = Work::Pod(change.key.clone(), static_pods::uid_on_node(pod));
            cluster.enqueue(Task::Kubelet(node.text(), work), delay);
        }
        "services" => cluster.ground.services.clear(),
        "configmaps" | "secrets" => content_changed(cluster, change),
        "nodes" if change.new.is_some() && change.differs(&["spec", "podCIDR"]) => {
            let waits = cluster
                .machines
                .get(&change.key.name)
                .is_some_and(|m| m.pod_net.is_none());
            if waits && !change.object()["spec"]["podCIDR"].is_empty() {
                cluster.enqueue(Task::Kubelet(change.key.name.clone(), Work::Network), delay);
            }
        }
        _ => {}
    }
}

/// A kubelet looks after each of its pods this long after it did so last, at the least; half as much
/// again at the most (`syncFrequency`, `workerResyncIntervalJitterFactor`).
const RESYNC: Duration = Duration::from_secs(60);

/// A ConfigMap or Secret has changed: volumes are renewed when the kubelets look after their pods.
fn content_changed(cluster: &mut Cluster, change: &Change) {
    if !change.differs(&["data"]) && !change.differs(&["binaryData"]) {
        return;
    }
    static NOTHING: Value = Value::Null;
    let before = change.old.as_ref().unwrap_or(&NOTHING);
    for (node, key, uid) in volumes::changed(cluster, &change.key, before) {
        let most = RESYNC.as_millis() as u64 * 5 / 4;
        let delay = Duration::from_millis(cluster.rng.below(most));
        let work = Work::Volumes(key, uid);
        cluster.enqueue(Task::Kubelet(node, work), delay);
    }
}

/// The volumes of a pod show what the objects are now.
fn refresh_volumes(cluster: &mut Cluster, node: &Text, key: &ObjectKey, uid: &Text) {
    let Some(sandbox) = cluster.sandbox_mut(node, uid) else {
        return;
    };
    let kept = std::mem::take(&mut sandbox.kept);
    if kept.is_empty() {
        return;
    }
    let names: Vec<&str> = kept.keys().map(|(_, name)| &**name).collect();
    let text = format!("renewed the volumes of {}", names.join(", "));
    cluster.log(
        &Component::Kubelet(node.clone()),
        Action::Configure,
        Some(key),
        text,
    );
}

/// Does a piece of work.
pub(crate) fn run(cluster: &mut Cluster, node: &Text, work: Work) {
    match work {
        Work::Lease => node_status::renew(cluster, node),
        Work::Network => node_status::network(cluster, node),
        Work::Pod(key, uid) => worker::sync(cluster, node, &key, &uid),
        Work::Probe(key, uid) => probe::run(cluster, node, &key, &uid),
        Work::Volumes(key, uid) => refresh_volumes(cluster, node, &key, &uid),
        Work::Manifests => static_pods::run(cluster, node),
        Work::Status => node_status::refresh(cluster, node),
        Work::Evict => eviction::run(cluster, node),
    }
}

/// The machine has booted: what ran on it runs no more, its pods get new sandboxes.
pub(crate) fn booted(cluster: &mut Cluster, node: &Text) {
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    machine.kubelet.boots += 1;
    machine.kubelet.pressures.clear();
    machine.kubelet.pulls.clear();
    // All manifests are read anew.
    machine.kubelet.statics.clear();
    let uids: Vec<Text> = machine.kubelet.pods.keys().cloned().collect();
    for uid in uids {
        worker::boot(cluster, node, &uid);
    }
    let manifests = Task::Kubelet(node.clone(), Work::Manifests);
    cluster.enqueue(manifests, Duration::ZERO);
    let by = Component::Kubelet(node.clone());
    let Some(object) = cluster.find("nodes", "", node).cloned() else {
        node_status::register(cluster, node);
        return;
    };
    cluster.record(&by, &object, "Starting", "Starting kubelet.");
    node_status::refresh(cluster, node);
    let boot = cluster
        .find("nodes", "", node)
        .map(|n| n["status"]["nodeInfo"]["bootID"].text())
        .unwrap_or_default();
    let message = format!("Node {node} has been rebooted, boot id: {boot}");
    cluster.warn(&by, &object, "Rebooted", &message);
}

/// A container has ended: the next relist (PLEG) sees it; at once while the kubelet waits for it.
pub(crate) fn container_changed(cluster: &mut Cluster, node: &Text, uid: &Text) {
    let Some(worker) = cluster
        .machines
        .get(node)
        .and_then(|m| m.kubelet.pods.get(uid))
    else {
        return;
    };
    let at = if worker.is_killing() {
        cluster.now
    } else {
        next_relist(cluster, node)
    };
    let work = Work::Pod(worker.key.clone(), uid.clone());
    let cause = cluster.cause();
    cluster
        .queue
        .add(at, Task::Kubelet(node.clone(), work), cause);
}

/// When a kubelet looks at its containers next. Each does so at moments of its own: no two have started at the same one.
pub(crate) fn next_relist(cluster: &Cluster, node: &Text) -> Time {
    let period = cluster.config.timing.relist_ms.max(1) * 1_000_000;
    let number = cluster.machines.get(node).map_or(0, |m| m.number);
    // Far apart for machines that follow each other: by the golden section.
    let phase = u64::from(number) * 382 % 1000 * period / 1000;
    Time((cluster.now.0.saturating_sub(phase) / period + 1) * period + phase)
}
