//! What can be due: one kind of task for each kind of component.

use kubarium_objects::{ObjectKey, Text};

use crate::cluster::Cluster;
use crate::controllers;
use crate::{kube_proxy, kubelet, runtime, scheduler};

/// Something to do at a moment of simulated time. Tasks are plain data, so that the queue is part
/// of a snapshot, and equal tasks are one task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// A controller's work item: the controller's name, the object.
    Controller(&'static str, ObjectKey),
    /// The scheduler takes pods from its queue.
    Scheduler,
    /// A kubelet's work on a node.
    Kubelet(Text, kubelet::Work),
    /// The sync of all nodes' kube-proxies.
    KubeProxies,
    /// What one node's kube-proxy has to do by itself.
    KubeProxy(Text),
    /// A container's process goes on: node, the pod's uid, the container's place.
    Process(Text, Text, u8),
}

impl Task {
    /// Whether the task belongs to what goes on for ever, even in a cluster at rest (leases,
    /// periodic resyncs, probes that keep their result). Such tasks do not keep `settle` waiting.
    pub fn is_heartbeat(&self) -> bool {
        match self {
            Task::Kubelet(_, work) => work.is_heartbeat(),
            _ => false,
        }
    }
}

/// Carries out a task.
pub(crate) fn run(cluster: &mut Cluster, task: Task) {
    match task {
        Task::Controller(name, key) => controllers::run(cluster, name, &key),
        Task::Scheduler => scheduler::run(cluster),
        Task::Kubelet(node, work) => kubelet::run(cluster, &node, work),
        Task::KubeProxies => kube_proxy::run_all(cluster),
        Task::KubeProxy(node) => kube_proxy::run(cluster, &node),
        Task::Process(node, uid, place) => {
            runtime::process::run(cluster, &node, &uid, usize::from(place));
        }
    }
}
