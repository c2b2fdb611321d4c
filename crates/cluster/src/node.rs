//! Machines that join and leave.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use kubarium_linux::{Address, Mac, NamespaceId, Protocol, Route};
use kubarium_objects::{Text, Value, array, object};

use crate::cluster::Cluster;
use crate::config::{Config, NodeConfig, Role};
use crate::event::{Action, Component};
use crate::kubelet::{self, Kubelet};
use crate::kubelet_iptables;
use crate::machine::{Ground, Machine, daemon};
use crate::runtime::Runtime;

/// The address of the machine at place `at` of the configuration: its own, or the segment's
/// addresses from .2 on in order (.1 is the host outside).
pub fn address(config: &Config, at: usize) -> Ipv4Addr {
    let given = config.nodes.get(at).and_then(|node| node.address);
    let base = u32::from(config.network.node_cidr.network());
    given.unwrap_or_else(|| Ipv4Addr::from(base.wrapping_add(2 + at as u32)))
}

impl Cluster {
    /// A machine joins, as `kubeadm join` makes it.
    ///
    /// # Errors
    /// A sentence: the name is taken, or there is no address or pod network left.
    pub fn add_node(&mut self, node: NodeConfig) -> Result<(), String> {
        if self.machines.contains_key(&node.name) {
            return Err(format!("there is a machine {:?} already", node.name));
        }
        let cause = self.log(
            &Component::Network,
            Action::Configure,
            None,
            format!("machine {} joins", node.name),
        );
        self.caused_by(Some(cause), |cluster| join(cluster, &node))
    }

    /// A machine is gone from one moment to the next: nothing on it says goodbye.
    ///
    /// # Errors
    /// A sentence: there is no such machine.
    pub fn remove_node(&mut self, name: &str) -> Result<(), String> {
        let Some(machine) = self.machines.remove(name) else {
            return Err(format!("there is no machine {name:?}"));
        };
        self.log(
            &Component::Network,
            Action::Configure,
            None,
            format!("machine {name} is gone"),
        );
        for sandbox in machine
            .runtime
            .sandboxes
            .values()
            .filter(|s| !s.host_network)
        {
            self.net.remove_namespace(sandbox.netns);
        }
        self.net.remove_namespace(machine.netns);
        self.ground.addresses.remove(&machine.address);
        if let Some(pods) = machine.pod_net {
            self.ground.pod_nets.remove(&pods.network());
        }
        Ok(())
    }

    /// The network namespace of a node, or of the host `outside`.
    pub fn node_netns(&self, name: &str) -> Option<NamespaceId> {
        match name {
            "outside" => self.ground.outside,
            name => self.machines.get(name).map(|m| m.netns),
        }
    }
}

/// A machine joins: it is plugged in, and its kubelet registers the node. Its pods' network follows
/// when the controller manager has given it one ([`crate::cni::overlay`]).
pub(crate) fn join(cluster: &mut Cluster, node: &NodeConfig) -> Result<(), String> {
    prepare_ground(cluster);
    let number = u32::try_from(cluster.ground.machines.len()).unwrap_or(u32::MAX);
    let address = free_address(cluster, node)?;
    let netns = cluster.net.add_namespace(&node.name);
    plug_in(cluster, netns, address).map_err(|e| format!("eth0 of {}: {e}", node.name))?;
    for (key, value) in [
        ("net.ipv4.ip_forward", "1"),
        ("net.bridge.bridge-nf-call-iptables", "1"),
    ] {
        let _ = cluster.net.set_sysctl(netns, key, value);
    }
    let eth0 = cluster.net.find_link(netns, "eth0").ok_or("no eth0")?;
    let any = Ipv4Addr::UNSPECIFIED;
    let _ = cluster
        .net
        .listen(netns, Protocol::TCP, any, 10250, daemon::KUBELET);
    let _ = cluster.net.listen(
        netns,
        Protocol::TCP,
        Ipv4Addr::LOCALHOST,
        10248,
        daemon::KUBELET_HEALTH,
    );
    if node.role == Role::ControlPlane {
        let _ = cluster
            .net
            .listen(netns, Protocol::TCP, any, 6443, daemon::API_SERVER);
    }
    if let Some(ns) = cluster.net.namespace_mut(netns) {
        kubelet_iptables::ensure(&mut ns.netfilter);
    }
    let machine = Machine {
        name: node.name.clone(),
        number,
        config: node.clone(),
        netns,
        eth0,
        address,
        host_ips: array([object([("ip", address.to_string().into())])]),
        pod_net: None,
        overlay: None,
        bridge: None,
        kubelet: Kubelet::default(),
        runtime: Runtime::default(),
        kube_proxy: Default::default(),
        policies: None,
    };
    cluster.ground.machines.push(node.name.clone());
    cluster.ground.addresses.insert(address, node.name.clone());
    cluster
        .machines
        .insert(node.name.clone(), Arc::new(machine));
    kubelet::node_status::register(cluster, &node.name);
    Ok(())
}

/// The segment and the host outside, made with the first machine.
fn prepare_ground(cluster: &mut Cluster) {
    if cluster.ground.segment.is_some() {
        return;
    }
    let segment = cluster.net.add_segment("machines");
    cluster.ground = Ground {
        segment: Some(segment),
        ..Ground::default()
    };
    let outside = cluster.net.add_namespace("outside");
    cluster.ground.outside = Some(outside);
    let gateway = gateway(&cluster.config);
    let _ = plug_in(cluster, outside, gateway);
    let _ = cluster.net.listen(
        outside,
        Protocol::TCP,
        Ipv4Addr::UNSPECIFIED,
        5000,
        daemon::REGISTRY,
    );
}

/// The host outside: the first address of the segment.
fn gateway(config: &Config) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(config.network.node_cidr.network()).wrapping_add(1))
}

fn free_address(cluster: &Cluster, node: &NodeConfig) -> Result<Ipv4Addr, String> {
    let taken = |a: Ipv4Addr| cluster.ground.addresses.contains_key(&a);
    if let Some(given) = node.address {
        return if taken(given) {
            Err(format!("the address {given} is taken"))
        } else {
            Ok(given)
        };
    }
    // In the order of joining; a machine that is gone leaves its address unused.
    let base = u32::from(cluster.config.network.node_cidr.network());
    let first = 2 + u32::try_from(cluster.ground.machines.len()).unwrap_or(u32::MAX);
    let mut addresses = (first..).map(|n| Ipv4Addr::from(base.wrapping_add(n)));
    addresses
        .by_ref()
        .take_while(|a| {
            cluster.config.network.node_cidr.contains(a)
                && *a != cluster.config.network.node_cidr.broadcast()
        })
        .find(|a| !taken(*a))
        .ok_or_else(|| {
            format!(
                "no address of {} is left for {}",
                cluster.config.network.node_cidr, node.name
            )
        })
}

fn plug_in(cluster: &mut Cluster, netns: NamespaceId, address: Ipv4Addr) -> Result<(), String> {
    let text = |e: kubarium_linux::Errno| e.to_string();
    let config = cluster.config.clone();
    let cidr = config.network.node_cidr;
    let net = Ipv4Net::new(address, cidr.prefix_len()).map_err(|e| e.to_string())?;
    let eth0 = cluster.net.add_physical(netns, "eth0").map_err(text)?;
    // The address makes the MAC, so that it stays the same from run to run: 02:42 and the address.
    let [a, b, c, d] = address.octets();
    cluster
        .net
        .set_mac(eth0, Mac([0x02, 0x42, a, b, c, d]))
        .map_err(text)?;
    if let Some(segment) = cluster.ground.segment {
        cluster.net.plug(eth0, segment).map_err(text)?;
    }
    cluster
        .net
        .add_address(eth0, Address::new(net))
        .map_err(text)?;
    cluster.net.set_up(eth0, true).map_err(text)?;
    let gateway = gateway(&config);
    if address != gateway
        && let Some(ns) = cluster.net.namespace_mut(netns)
    {
        let default = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);
        let _ = ns
            .table_mut(kubarium_linux::MAIN)
            .add(Route::via(default, gateway, eth0));
    }
    Ok(())
}

/// What the kubelet registers.
pub(crate) fn registered(machine: &Machine) -> Value {
    let node = &machine.config;
    let mut labels = object([
        ("beta.kubernetes.io/arch", "amd64".into()),
        ("beta.kubernetes.io/os", "linux".into()),
        ("kubernetes.io/arch", "amd64".into()),
        ("kubernetes.io/hostname", (&node.name).into()),
        ("kubernetes.io/os", "linux".into()),
    ]);
    let mut taints: Vec<Value> = Vec::new();
    if node.role == Role::ControlPlane {
        labels["node-role.kubernetes.io/control-plane"] = "".into();
        taints.push(object([
            ("effect", "NoSchedule".into()),
            ("key", "node-role.kubernetes.io/control-plane".into()),
        ]));
    }
    taints.extend(node.taints.iter().filter_map(taint));
    for (key, value) in &node.labels {
        labels[&**key] = value.into();
    }
    let mut registered = object([
        ("apiVersion", "v1".into()),
        ("kind", "Node".into()),
        (
            "metadata",
            object([
                (
                    "annotations",
                    object([(
                        "volumes.kubernetes.io/controller-managed-attach-detach",
                        "true".into(),
                    )]),
                ),
                ("labels", labels),
                ("name", (&node.name).into()),
            ]),
        ),
        ("spec", Value::new_object()),
    ]);
    if !taints.is_empty() {
        registered["spec"]["taints"] = array(taints);
    }
    registered
}

/// `key=value:Effect`
fn taint(text: &Text) -> Option<Value> {
    let (rest, effect) = text.rsplit_once(':')?;
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    let mut taint = object([("effect", effect.into()), ("key", key.into())]);
    if !value.is_empty() {
        taint["value"] = value.into();
    }
    Some(taint)
}
