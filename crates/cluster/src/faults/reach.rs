//! Whether machines and the API server reach each other over the network as it is.

use std::net::{Ipv4Addr, SocketAddrV4};

use kubarium_linux::{Connect, NamespaceId, Verdict};
use kubarium_objects::{Text, Value};

use crate::cluster::Cluster;

const API_SERVER: u16 = 6443;
const KUBELET: u16 = 10250;

impl Cluster {
    /// What becomes of a connection, tried on a copy of the network: nothing of it stays.
    fn try_out(&self, from: NamespaceId, address: Ipv4Addr, port: u16) -> Verdict {
        let mut net = self.net.clone();
        let connect = Connect::tcp(from, SocketAddrV4::new(address, port));
        let now = kubarium_linux::Time(self.now.0);
        net.connect(&connect, now, &mut self.rng.clone(), None)
            .verdict
    }

    /// Somebody has changed something of a machine's network, perhaps: kubelets that get through to the API server no
    /// more are cut off, those that do again are back.
    pub(crate) fn network_changed(&mut self, node: &Text) {
        let masters: Vec<Text> = self.control_planes().cloned().collect();
        let concerned: Vec<Text> = match masters.contains(node) {
            true => self.machines.keys().cloned().collect(),
            false => vec![node.clone()],
        };
        let mut differs = false;
        // What is on a control plane's own machine needs no network.
        for node in concerned.iter().filter(|node| !masters.contains(node)) {
            let gets_through = masters.iter().any(|to| self.gets_through(node, to));
            differs |= match gets_through || masters.is_empty() {
                true => self.faults.apart.remove(node),
                false => self.faults.apart.insert(node.clone()),
            };
        }
        if differs {
            self.find_cut();
        }
    }

    fn gets_through(&self, node: &Text, to: &Text) -> bool {
        let (Some(from), Some(to)) = (self.machines.get(node), self.machines.get(to)) else {
            return true;
        };
        // A server that is stopped is another thing.
        let verdict = self.try_out(from.netns, to.address, API_SERVER);
        matches!(verdict, Verdict::Connected | Verdict::Refused)
    }

    /// Why the API server gets no connection to a pod's kubelet, and where it wanted to: in Go's words.
    pub fn kubelet_dial_error(&self, pod: &Value) -> Option<(String, String)> {
        if !self.faults.any() && self.faults.apart.is_empty() {
            return None;
        }
        let machine = self.machines.get(pod["spec"]["nodeName"].str())?;
        let from = self.machines.get(self.control_planes().next()?)?;
        let why = match self.try_out(from.netns, machine.address, KUBELET) {
            Verdict::Connected => return None,
            Verdict::Refused => "connect: connection refused",
            Verdict::Unreachable | Verdict::Denied => "connect: no route to host",
            Verdict::Timeout | Verdict::Stalled => "i/o timeout",
        };
        let at = format!("{}:{KUBELET}", machine.address);
        let error = format!("dial tcp {at}: {why}");
        Some((at, error))
    }
}
