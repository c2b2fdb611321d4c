//! What flanneld sets up on every node, so that pods reach those of other nodes (flannel v0.27,
//! `pkg/backend/vxlan`, `pkg/backend/hostgw`).

use ipnet::Ipv4Net;
use kubarium_linux::{Address, Mac, Peer, Vxlan};
use kubarium_objects::Text;

use crate::cluster::Cluster;
use crate::config::Cni;
use crate::event::{Action, Component};

/// Flannel's VXLAN network and its UDP port.
const VNI: u32 = 1;
const PORT: u16 = 8472;

/// The Ethernet address of a node's `flannel.1`, which all its peers know: made from its network's.
fn mac(pods: Ipv4Net) -> Mac {
    let [a, b, c, d] = pods.network().octets();
    Mac([0x7a, 0x00, a, b, c, d])
}

/// Sets up a machine's part once its pods' network is known: its own tunnel, the ways to all others,
/// and the ways of all others to it.
pub(crate) fn join(cluster: &mut Cluster, name: &Text, pods: Ipv4Net) {
    let Some(machine) = cluster.machine_mut(name) else {
        return;
    };
    machine.pod_net = Some(pods);
    cluster.ground.pod_nets.insert(pods.network(), name.clone());
    if cluster.config.network.cni == Cni::FlannelVxlan {
        tunnel(cluster, name, pods);
    }
    let Some(machine) = cluster.machines.get(name).cloned() else {
        return;
    };
    let all_pods = cluster.config.network.pod_cidr;
    if let Some(ns) = cluster.net.namespace_mut(machine.netns) {
        super::flannel_rules::ensure(&mut ns.netfilter, all_pods, pods);
    }
    let text = match machine.overlay {
        Some(_) => format!(
            "flannel.1 {} and the ways to all other nodes' pods",
            pods.network()
        ),
        None => "the ways to all other nodes' pods".to_owned(),
    };
    cluster.log(&Component::Cni(name.clone()), Action::Configure, None, text);
    let peer = Peer {
        net: pods,
        host: machine.address,
        mac: machine.overlay.map(|_| mac(pods)),
        since: kubarium_linux::Time(cluster.now.0),
    };
    let device = machine.overlay.unwrap_or(machine.eth0);
    cluster.net.join_mesh(machine.netns, device, peer);
}

fn tunnel(cluster: &mut Cluster, name: &Text, pods: Ipv4Net) {
    let Some(machine) = cluster.machines.get(name).cloned() else {
        return;
    };
    let vxlan = Vxlan {
        vni: VNI,
        local: machine.address,
        port: PORT,
        lower: Some(machine.eth0),
        learning: false,
        fdb: Default::default(),
    };
    let Ok(link) = cluster.net.add_vxlan(machine.netns, "flannel.1", vxlan) else {
        return;
    };
    let own = Ipv4Net::new_assert(pods.network(), 32);
    let _ = cluster.net.set_mac(link, mac(pods));
    let _ = cluster.net.add_address(link, Address::new(own));
    let _ = cluster.net.set_up(link, true);
    if let Some(machine) = cluster.machine_mut(name) {
        machine.overlay = Some(link);
    }
}
