//! What a kubelet turns away although it was bound to its node (kubelet v1.37,
//! `pkg/kubelet/lifecycle/predicate.go`).

use std::sync::Arc;

use kubarium_objects::quantity::Quantity;
use kubarium_objects::{ObjectKey, Text, Value};

use super::worker::{Worker, containers};
use super::{eviction, status};
use crate::cluster::Cluster;
use crate::event::Component;

/// Why a pod is turned away: `NodePorts` and the sentence for it.
pub(super) type Refusal = (&'static str, String);

pub(super) fn check(cluster: &Cluster, node: &Text, worker: &Worker) -> Option<Refusal> {
    if let Some(why) = eviction::refuses(cluster, node, &worker.pod) {
        return Some(("Evicted", why));
    }
    let machine = cluster.machines.get(node)?;
    let others = || {
        machine
            .kubelet
            .pods
            .values()
            .filter(|w| w.uid != worker.uid && !w.is_over())
            .map(|w| &w.pod)
    };
    let room = machine.config.pods as usize;
    // Most nodes are far from full: their pods need not be counted.
    if room <= machine.kubelet.pods.len() && room <= others().count() {
        return Some((
            "OutOfpods",
            format!(
                "Node didn't have enough resource: pods, requested: 1, used: {}, capacity: {}",
                others().count(),
                machine.config.pods
            ),
        ));
    }
    if let Some(lack) = lacks(cluster, node, worker) {
        return Some(lack);
    }
    let object = cluster
        .etcd
        .get(&ObjectKey::new("nodes", "", node.clone()))?;
    let labels = &object["metadata"]["labels"];
    let selected = worker.pod["spec"]["nodeSelector"]
        .entries()
        .iter()
        .all(|(k, v)| labels.get(k) == Some(v));
    if !selected {
        return Some((
            "NodeAffinity",
            predicate(
                "NodeAffinity",
                "node(s) didn't match Pod's node affinity/selector",
            ),
        ));
    }
    let wanted = host_ports(&worker.pod);
    let clash = |a: &HostPort, b: &HostPort| {
        a.1 == b.1 && a.2 == b.2 && (a.0 == b.0 || is_any(&a.0) || is_any(&b.0))
    };
    if !wanted.is_empty()
        && others()
            .flat_map(host_ports)
            .any(|b| wanted.iter().any(|a| clash(a, &b)))
    {
        return Some((
            "NodePorts",
            predicate(
                "NodePorts",
                "node(s) didn't have free ports for the requested pod ports",
            ),
        ));
    }
    None
}

/// What the machine has too little of for a pod beside the others, as they were granted.
pub(super) fn lacks(cluster: &Cluster, node: &str, worker: &Worker) -> Option<Refusal> {
    let machine = cluster.machines.get(node)?;
    let others = machine.kubelet.pods.values();
    let others = others.filter(|w| w.uid != worker.uid && !w.is_over());
    let granted = |w: &Arc<Worker>| match w.allocated.is_null() {
        true => w.pod["spec"].clone(),
        false => w.allocated.clone(),
    };
    for (resource, capacity, milli) in [
        ("cpu", &machine.config.cpu, true),
        ("memory", &machine.config.memory, false),
    ] {
        let amount = |q: &Quantity| if milli { q.milli_value() } else { q.value() };
        let wanted = request(&worker.pod["spec"], resource, amount);
        let Ok(capacity) = capacity.parse::<Quantity>() else {
            continue;
        };
        if wanted == 0 {
            continue;
        }
        let used = others.clone().map(granted);
        let used: i64 = used.map(|spec| request(&spec, resource, amount)).sum();
        if wanted > amount(&capacity) - used {
            let reason = if milli { "OutOfcpu" } else { "OutOfmemory" };
            return Some((
                reason,
                format!(
                    "Node didn't have enough resource: {resource}, requested: {wanted}, used: {used}, capacity: {}",
                    amount(&capacity)
                ),
            ));
        }
    }
    None
}

fn predicate(name: &str, why: &str) -> String {
    format!("Predicate {name} failed: {why}")
}

type HostPort = (Text, Text, i64);

fn is_any(address: &str) -> bool {
    matches!(address, "" | "0.0.0.0")
}

/// The ports that a pod wants of its node: address, protocol, port.
fn host_ports(pod: &Value) -> Vec<HostPort> {
    let ports = containers(pod).flat_map(|c| c["ports"].items());
    ports
        .filter_map(|p| {
            let port = p["hostPort"].as_i64().filter(|p| *p > 0)?;
            let protocol = p["protocol"].as_str().unwrap_or("TCP");
            Some((p["hostIP"].text(), Text::from(protocol), port))
        })
        .collect()
}

/// What a pod's spec requests.
pub(super) fn request(spec: &Value, resource: &str, amount: impl Fn(&Quantity) -> i64) -> i64 {
    let of = |c: &Value| {
        c["resources"]["requests"][resource]
            .as_str()
            .and_then(|q| q.parse::<Quantity>().ok())
            .map_or(0, |q| amount(&q))
    };
    let main: i64 = spec["containers"].items().iter().map(of).sum();
    let mut sidecars = 0;
    let mut most = 0;
    for c in spec["initContainers"].items() {
        if c["restartPolicy"].str() == "Always" {
            sidecars += of(c);
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars + of(c));
        }
    }
    (main + sidecars).max(most)
}

/// The pod has failed before it began.
pub(super) fn reject(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    (reason, message): Refusal,
) {
    let by = Component::Kubelet(node.clone());
    let pod = worker.pod.clone();
    cluster.warn(&by, &pod, reason, &message);
    let message = format!("Pod was rejected: {message}");
    worker.verdict = Some(Box::new((reason.into(), message.into())));
    status::reject(cluster, node, worker);
}
