//! Machines that join and leave.

use std::net::Ipv4Addr;

use kubarium_objects::{Value, array, object};

use crate::cluster::Cluster;
use crate::config::{Config, NodeConfig, Role};
use crate::event::Component;

/// The address of the machine at place `at` of the configuration: its own, or the segment's
/// addresses from .2 on in order (.1 is the host outside).
pub fn address(config: &Config, at: usize) -> Ipv4Addr {
    let given = config.nodes.get(at).and_then(|node| node.address);
    let base = u32::from(config.network.node_cidr.network());
    given.unwrap_or_else(|| Ipv4Addr::from(base.wrapping_add(2 + at as u32)))
}

/// A machine joins: its kubelet registers the node.
pub(crate) fn join(cluster: &mut Cluster, node: &NodeConfig) {
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
    for (key, value) in &node.labels {
        labels[&**key] = value.into();
    }
    let mut registered = object([
        ("apiVersion", "v1".into()),
        ("kind", "Node".into()),
        (
            "metadata",
            object([("labels", labels), ("name", (&node.name).into())]),
        ),
        ("spec", Value::new_object()),
    ]);
    if !taints.is_empty() {
        registered["spec"]["taints"] = array(taints);
    }
    // A refusal is in the log.
    let _ = cluster.create(&Component::Kubelet(node.name.clone()), registered);
}
