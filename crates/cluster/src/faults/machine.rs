//! Machines that lose their power and get it back.

use kubarium_objects::Text;

use super::{Fault, Place};
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::machine::daemon;
use crate::runtime;

impl Cluster {
    /// From one moment to the next nothing on the machine runs any more.
    pub(super) fn power_off(&mut self, node: &Text) {
        crate::kube_proxy::stopped(self, node);
        self.faults.off.insert(node.clone());
        runtime::power_off(self, node);
        let Some(machine) = self.machines.get(node) else {
            return;
        };
        let netns = machine.netns;
        for token in [daemon::KUBELET, daemon::API_SERVER] {
            self.net.close(netns, token);
        }
        self.plug(&Place::Node(node.clone()), false);
        self.log(
            &Component::Network,
            Action::Configure,
            None,
            format!("machine {node} has no power"),
        );
    }

    /// The machine boots: its kubelet begins anew, its pods get new sandboxes.
    pub(super) fn power_on(&mut self, node: &Text) {
        self.faults.off.remove(node);
        let Some(machine) = self.machines.get(node) else {
            return;
        };
        let (netns, role) = (machine.netns, machine.config.role);
        self.log(
            &Component::Network,
            Action::Configure,
            None,
            format!("machine {node} boots"),
        );
        let place = Place::Node(node.clone());
        let pulled = Fault::LinkDown(place.clone());
        if !self
            .faults
            .active
            .values()
            .any(|active| active.fault == pulled)
        {
            self.plug(&place, true);
        }
        // A kernel that has just booted tracks no connections.
        let argv: Vec<String> = ["conntrack", "-F"].map(str::to_owned).into();
        let now = kubarium_linux::Time(self.now.0);
        kubarium_linux::tools::run(&mut self.net, netns, &argv, now);
        let any = std::net::Ipv4Addr::UNSPECIFIED;
        let tcp = kubarium_linux::Protocol::TCP;
        let _ = self.net.listen(netns, tcp, any, 10250, daemon::KUBELET);
        if role == crate::config::Role::ControlPlane {
            let _ = self.net.listen(netns, tcp, any, 6443, daemon::API_SERVER);
            self.faults.heard_since = self.now;
            self.release_held();
        }
        if !self.stopped().contains(&Component::KubeProxy(node.clone())) {
            crate::kube_proxy::started(self, node);
        }
        crate::kubelet::booted(self, node);
        self.wake_kubelet(node);
    }
}
