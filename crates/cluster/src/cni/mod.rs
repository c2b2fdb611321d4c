//! The CNI plugins of a node: `bridge` with `host-local` and `portmap`, chained as containerd calls
//! them for each sandbox (containernetworking/plugins v1.x), and flannel between the nodes.

pub mod flannel_rules;
mod host_local;
pub(crate) mod overlay;
pub(crate) mod portmap;

pub use host_local::HostLocal;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kubarium_linux::{Address, Errno, LinkId, MAIN, NamespaceId, PortFlags, Route};
use kubarium_objects::{ObjectKey, Text};

use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::machine::Machine;

/// The largest packet of a pod: the segment's 1500 bytes without VXLAN's 50.
const MTU: u32 = 1450;

/// What CNI ADD has made for a sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub netns: NamespaceId,
    pub ip: Ipv4Addr,
    pub veth: Text,
}

/// CNI ADD: a pod's namespace gets its `eth0`, an address and routes.
///
/// # Errors
/// What the runtime tells the kubelet: `plugin type="bridge" failed (add): …`.
pub(crate) fn add(
    cluster: &mut Cluster,
    node: &Text,
    pod: &ObjectKey,
    sandbox: &Text,
) -> Result<Attached, String> {
    let failed = |what: &str, why: &dyn std::fmt::Display| {
        format!("plugin type=\"{what}\" failed (add): {why}")
    };
    let (machine, net) = match cluster.machines.get(node).map(|m| &**m) {
        Some(Machine {
            netns,
            pod_net: Some(net),
            ..
        }) => (*netns, *net),
        _ => return Err("cni plugin not initialized".to_owned()),
    };
    let bridge = bridge(cluster, node).map_err(|e| failed("bridge", &e))?;
    let ip = cluster
        .machine_mut(node)
        .and_then(|m| m.runtime.ipam.add(net, sandbox))
        .ok_or_else(|| {
            failed(
                "bridge",
                &format!(
                    "failed to allocate for range 0: no IP addresses available in range set: {}-{}",
                    first(net),
                    last(net)
                ),
            )
        })?;
    let netns = cluster
        .net
        .add_namespace(&format!("pod {}/{}", pod.namespace, pod.name));
    let veth = format!("veth{}", cluster.rng.hex(8));
    if let Err(error) = wire(cluster, (machine, bridge), netns, &veth, net, ip) {
        cluster.net.remove_namespace(netns);
        if let Some(machine) = cluster.machine_mut(node) {
            machine.runtime.ipam.remove(ip);
        }
        return Err(failed("bridge", &error));
    }
    let text = format!(
        "ADD bridge: {veth} on cbr0, eth0 {ip}/{}, default via {} (host-local)",
        net.prefix_len(),
        first(net)
    );
    cluster.log(&Component::Cni(node.clone()), Action::Cni, Some(pod), text);
    Ok(Attached {
        netns,
        ip,
        veth: veth.into(),
    })
}

/// CNI DEL: the pod's cable and address are given back.
pub(crate) fn del(
    cluster: &mut Cluster,
    node: &Text,
    pod: &ObjectKey,
    netns: NamespaceId,
    ip: Ipv4Addr,
) {
    cluster.net.remove_namespace(netns);
    if let Some(machine) = cluster.machine_mut(node) {
        machine.runtime.ipam.remove(ip);
    }
    cluster.log(
        &Component::Cni(node.clone()),
        Action::Cni,
        Some(pod),
        format!("DEL bridge: {ip} is free again"),
    );
}

fn first(net: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()) + 1)
}

fn last(net: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.broadcast()) - 1)
}

/// `cbr0`, made when the first pod needs it (`isDefaultGateway`).
fn bridge(cluster: &mut Cluster, node: &Text) -> Result<LinkId, Errno> {
    let machine = cluster.machines.get(node).ok_or(Errno::ENODEV)?;
    let (netns, Some(net)) = (machine.netns, machine.pod_net) else {
        return Err(Errno::ENODEV);
    };
    if let Some(bridge) = cluster.net.find_link(netns, "cbr0") {
        return Ok(bridge);
    }
    let bridge = cluster.net.add_bridge_with(netns, "cbr0", MTU)?;
    let gateway = Ipv4Net::new_assert(first(net), net.prefix_len());
    cluster
        .net
        .add_address(bridge, Address::new(gateway).with_broadcast())?;
    cluster.net.set_up(bridge, true)?;
    if let Some(machine) = cluster.machine_mut(node) {
        machine.bridge = Some(bridge);
    }
    let text = format!("cbr0 {gateway} made");
    cluster.log(&Component::Cni(node.clone()), Action::Configure, None, text);
    Ok(bridge)
}

fn wire(
    cluster: &mut Cluster,
    (machine, bridge): (NamespaceId, LinkId),
    netns: NamespaceId,
    veth: &str,
    net: Ipv4Net,
    ip: Ipv4Addr,
) -> Result<(), Errno> {
    let (host, eth0) = cluster.net.add_veth((machine, veth), (netns, "eth0"))?;
    for link in [host, eth0] {
        cluster.net.set_mtu(link, MTU)?;
    }
    cluster.net.set_master(host, Some(bridge))?;
    cluster.net.set_port(
        host,
        PortFlags {
            hairpin: true,
            ..PortFlags::default()
        },
    )?;
    cluster.net.set_up(host, true)?;
    cluster.net.add_address(
        eth0,
        Address::new(Ipv4Net::new_assert(ip, net.prefix_len())).with_broadcast(),
    )?;
    cluster.net.set_up(eth0, true)?;
    // The plugin tells the bridge where the address is (a gratuitous ARP).
    cluster
        .net
        .announce(eth0, ip, kubarium_linux::Time(cluster.now.0));
    let all_pods = cluster.config.network.pod_cidr;
    let gateway = first(net);
    let namespace = cluster.net.namespace_mut(netns).ok_or(Errno::ENOENT)?;
    let default = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
    namespace
        .table_mut(MAIN)
        .add(Route::via(default, gateway, eth0))?;
    namespace
        .table_mut(MAIN)
        .add(Route::via(all_pods, gateway, eth0))
}
