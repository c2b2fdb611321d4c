//! What flanneld sets up on every node, so that pods reach those of other nodes (flannel v0.27,
//! `pkg/backend/vxlan`, `pkg/backend/hostgw`).

use ipnet::Ipv4Net;
use kubarium_linux::{Address, MAIN, Mac, Neighbour, NeighbourState, Route, Vxlan};
use kubarium_objects::Text;

use crate::cluster::Cluster;
use crate::config::Cni;
use crate::event::{Action, Component};
use crate::machine::Machine;

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
    let peers: Vec<_> = cluster
        .machines
        .values()
        .filter(|m| m.name != *name && m.pod_net.is_some())
        .cloned()
        .collect();
    for peer in peers {
        route(cluster, &machine, &peer);
        route(cluster, &peer, &machine);
    }
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

/// On `at`: the way to the pods of `to`.
fn route(cluster: &mut Cluster, at: &Machine, to: &Machine) {
    let Some(pods) = to.pod_net else {
        return;
    };
    let Some(flannel) = at.overlay else {
        if let Some(ns) = cluster.net.namespace_mut(at.netns) {
            let _ = ns
                .table_mut(MAIN)
                .add(Route::via(pods, to.address, at.eth0));
        }
        return;
    };
    let gateway = pods.network();
    let since = kubarium_linux::Time(cluster.now.0);
    if let Some(ns) = cluster.net.namespace_mut(at.netns) {
        let _ = ns.table_mut(MAIN).add(Route {
            onlink: true,
            ..Route::via(pods, gateway, flannel)
        });
        ns.set_neighbour(
            flannel,
            gateway,
            Neighbour {
                mac: Some(mac(pods)),
                state: NeighbourState::Permanent,
                since,
            },
        );
    }
    let _ = cluster.net.add_fdb(flannel, mac(pods), Some(to.address));
}
