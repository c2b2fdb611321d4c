//! Components that are stopped, slowed and started anew.

use std::time::Duration;

use kubarium_linux::Protocol;
use kubarium_objects::Text;

use super::Part;
use crate::cluster::Cluster;
use crate::controllers;
use crate::event::Component;
use crate::kubelet::Work;
use crate::machine::daemon;
use crate::task::Task;

/// The component that carries a task out; `None` for what runs by itself.
pub(super) fn of(task: &Task) -> Option<Component> {
    Some(match task {
        Task::Controller(name, _) => Component::Controller(name),
        Task::Scheduler => Component::Scheduler,
        Task::Kubelet(node, _) => Component::Kubelet(node.clone()),
        Task::KubeProxy(node) => Component::KubeProxy(node.clone()),
        Task::KubeProxies | Task::Process(..) => return None,
    })
}

impl Cluster {
    /// The components that a part is made of.
    pub(super) fn components(&self, part: &Part) -> Vec<Component> {
        match part {
            Part::ApiServer => vec![Component::ApiServer],
            Part::Etcd => Vec::new(),
            Part::Scheduler => vec![Component::Scheduler],
            Part::ControllerManager => controllers::controller_names()
                .map(Component::Controller)
                .collect(),
            Part::Controller(name) => vec![Component::Controller(name)],
            Part::Kubelet(node) => vec![Component::Kubelet(node.clone())],
            Part::KubeProxy(node) => vec![Component::KubeProxy(node.clone())],
            Part::Runtime(node) => vec![Component::Runtime(node.clone())],
        }
    }

    pub(super) fn stop_part(&mut self, part: &Part) {
        for component in self.components(part) {
            self.stop(component);
        }
        match part {
            Part::Etcd => self.faults.etcd_down = true,
            Part::ApiServer => self.listen_api(false),
            Part::Kubelet(node) => self.listen_kubelet(node, false),
            Part::Runtime(node) => {
                self.faults.runtime_down.insert(node.clone());
                // The kubelet gives it half a minute.
                let work = Task::Kubelet(node.clone(), Work::Status);
                self.enqueue(work, Duration::from_secs(30));
            }
            _ => {}
        }
    }

    pub(super) fn start_part(&mut self, part: &Part) {
        match part {
            Part::Etcd => self.faults.etcd_down = false,
            Part::ApiServer => self.listen_api(true),
            Part::Kubelet(node) => self.listen_kubelet(node, true),
            Part::Runtime(node) => drop(self.faults.runtime_down.remove(node)),
            _ => {}
        }
        for component in self.components(part) {
            self.start(&component);
        }
        match part {
            Part::ApiServer | Part::Etcd => {
                self.faults.heard_since = self.now;
                self.release_held();
                let nodes: Vec<Text> = self.machines.keys().cloned().collect();
                for node in nodes {
                    self.wake_kubelet(&node);
                }
            }
            Part::ControllerManager | Part::Controller(_) => self.faults.heard_since = self.now,
            Part::Kubelet(node) | Part::Runtime(node) => self.wake_kubelet(node),
            _ => {}
        }
    }

    /// A component forgets what it knew and begins anew.
    pub(super) fn restart_part(&mut self, part: &Part) {
        match part {
            Part::KubeProxy(node) => {
                if !self.stopped().contains(&Component::KubeProxy(node.clone())) {
                    crate::kube_proxy::started(self, node);
                }
            }
            Part::ControllerManager | Part::Controller(_) => {
                self.retries = controllers::Retries::default();
                self.faults.heard_since = self.now;
            }
            Part::Kubelet(node) => {
                if let Some(object) = self.find("nodes", "", node).cloned() {
                    let by = Component::Kubelet(node.clone());
                    self.record(&by, &object, "Starting", "Starting kubelet.");
                }
                self.wake_kubelet(node);
            }
            Part::Runtime(node) => self.wake_kubelet(node),
            Part::ApiServer | Part::Etcd | Part::Scheduler => {}
        }
    }

    /// The control plane's sockets, open or closed.
    fn listen_api(&mut self, open: bool) {
        let places: Vec<_> = self
            .control_planes()
            .filter_map(|n| self.machines.get(n))
            .map(|m| m.netns)
            .collect();
        for netns in places {
            self.set_listening(netns, 6443, daemon::API_SERVER, open);
        }
    }

    fn listen_kubelet(&mut self, node: &Text, open: bool) {
        if let Some(netns) = self.machines.get(node).map(|m| m.netns) {
            self.set_listening(netns, 10250, daemon::KUBELET, open);
        }
    }

    fn set_listening(
        &mut self,
        netns: kubarium_linux::NamespaceId,
        port: u16,
        token: u64,
        open: bool,
    ) {
        self.net.close(netns, token);
        if open {
            let any = std::net::Ipv4Addr::UNSPECIFIED;
            let _ = self.net.listen(netns, Protocol::TCP, any, port, token);
        }
    }

    /// Whether a task has to wait: its component is stopped, or cannot reach what it works with.
    pub(crate) fn is_held(&self, task: &Task) -> bool {
        if of(task).is_some_and(|component| self.stopped().contains(&component)) {
            return true;
        }
        let no_api = || self.faults.etcd_down || self.is_api_server_down();
        match task {
            Task::Controller(..) | Task::Scheduler => no_api(),
            Task::Kubelet(node, Work::Pod(..) | Work::Probe(..)) => {
                self.faults.runtime_down.contains(node)
            }
            _ => false,
        }
    }

    /// Whether a task is lost: its machine has no power.
    pub(crate) fn is_lost(&self, task: &Task) -> bool {
        match task {
            Task::Kubelet(node, _) | Task::Process(node, ..) | Task::KubeProxy(node) => {
                self.faults.off.contains(node)
            }
            _ => false,
        }
    }

    /// Whether a machine's container runtime does not answer.
    pub(crate) fn is_runtime_down(&self, node: &str) -> bool {
        self.faults.runtime_down.contains(node)
    }
}
