//! The kubelet's own object: the Node, its conditions, its lease (kubelet v1.37, `pkg/kubelet/nodestatus`).

use std::time::Duration;

use ipnet::Ipv4Net;
use kubarium_objects::{ObjectKey, Text, Value, array, object};

use super::{Pressure, Work, attach};
use crate::api::Subresource;
use crate::cluster::Cluster;
use crate::event::Component;
use crate::machine::Machine;
use crate::task::Task;

/// The kubelet's version.
pub(crate) const VERSION: &str = "v1.37.2";
/// Seconds after which a lease that was not renewed is over.
const LEASE_SECONDS: i64 = 40;

const NO_NETWORK: &str = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";

/// The kubelet starts and registers its node.
pub(crate) fn register(cluster: &mut Cluster, name: &Text) {
    let Some(machine) = cluster.machines.get(name).cloned() else {
        return;
    };
    let by = Component::Kubelet(name.clone());
    let mut node = crate::node::registered(&machine);
    node["status"] = status(cluster, &machine);
    // A refusal is in the log.
    let Ok(node) = cluster.create(&by, node) else {
        return;
    };
    cluster.record(&by, &node, "Starting", "Starting kubelet.");
    for (reason, state) in [
        ("NodeHasSufficientMemory", "NodeHasSufficientMemory"),
        ("NodeHasNoDiskPressure", "NodeHasNoDiskPressure"),
        ("NodeHasSufficientPID", "NodeHasSufficientPID"),
    ] {
        cluster.record(
            &by,
            &node,
            reason,
            &format!("Node {name} status is now: {state}"),
        );
    }
    cluster.record(
        &by,
        &node,
        "NodeAllocatableEnforced",
        "Updated Node Allocatable limit across pods",
    );
    let csi = object([
        ("apiVersion", "storage.k8s.io/v1".into()),
        ("kind", "CSINode".into()),
        (
            "metadata",
            object([("name", name.into()), ("ownerReferences", owner(&node))]),
        ),
        ("spec", object([("drivers", drivers(cluster, name))])),
    ]);
    let _ = cluster.create(&by, csi);
    let mut lease = object([
        ("apiVersion", "coordination.k8s.io/v1".into()),
        ("kind", "Lease".into()),
        (
            "metadata",
            object([
                ("name", name.into()),
                ("namespace", "kube-node-lease".into()),
                ("ownerReferences", owner(&node)),
            ]),
        ),
    ]);
    lease["spec"] = object([
        ("holderIdentity", name.into()),
        ("leaseDurationSeconds", LEASE_SECONDS.into()),
        ("renewTime", cluster.now.rfc3339_micro().into()),
    ]);
    let _ = cluster.create(&by, lease);
    let period = Duration::from_millis(cluster.config.timing.lease_ms);
    cluster.enqueue(Task::Kubelet(name.clone(), Work::Lease), period);
}

/// The CSI drivers that have registered with the kubelet.
fn drivers(cluster: &Cluster, node: &Text) -> Value {
    let installed = &cluster.config.storage.csi;
    if installed.is_empty() {
        return Value::Null;
    }
    let driver = |name: &Text| {
        object([
            ("name", name.into()),
            ("nodeID", node.into()),
            ("topologyKeys", Value::Null),
        ])
    };
    array(installed.iter().map(driver).collect::<Vec<_>>())
}

fn owner(node: &Value) -> Value {
    array([object([
        ("apiVersion", "v1".into()),
        ("kind", "Node".into()),
        ("name", node["metadata"]["name"].clone()),
        ("uid", node["metadata"]["uid"].clone()),
    ])])
}

/// Renews the lease: all that the API server hears of a node at rest.
pub(super) fn renew(cluster: &mut Cluster, name: &Text) {
    let period = Duration::from_millis(cluster.config.timing.lease_ms);
    let key = ObjectKey::new(
        "leases.coordination.k8s.io",
        "kube-node-lease",
        name.clone(),
    );
    let now = cluster.now.rfc3339_micro();
    let by = Component::Kubelet(name.clone());
    let _ = cluster.modify(&by, &key, Subresource::None, |lease| {
        lease.set(&["spec", "renewTime"], now)
    });
    note_schedulable(cluster, name);
    note_advertised(cluster, name);
    if cluster.machines.contains_key(name) {
        cluster.enqueue(Task::Kubelet(name.clone(), Work::Lease), period);
    }
}

/// An event where the node has been closed to new pods, or opened, since the last time that the
/// kubelet looked, as often as it renews the lease (`recordNodeSchedulableEvent`).
fn note_schedulable(cluster: &mut Cluster, name: &Text) {
    let key = ObjectKey::new("nodes", "", name.clone());
    let Some(node) = cluster.etcd.get(&key).cloned() else {
        return;
    };
    let closed = node["spec"]["unschedulable"].as_bool() == Some(true);
    let known = cluster.machines.get(name).map(|m| m.kubelet.unschedulable);
    if known.is_none_or(|known| known == closed) {
        return;
    }
    if let Some(machine) = cluster.machine_mut(name) {
        machine.kubelet.unschedulable = closed;
    }
    let reason = match closed {
        true => "NodeNotSchedulable",
        false => "NodeSchedulable",
    };
    let text = format!("Node {name} status is now: {reason}");
    cluster.record(&Component::Kubelet(name.clone()), &node, reason, &text);
}

/// What has been advertised on a node since the kubelet last looked can be given away from now on (`MachineInfo`).
fn note_advertised(cluster: &mut Cluster, name: &Text) {
    let key = ObjectKey::new("nodes", "", name.clone());
    let differs = cluster.etcd.get(&key).is_some_and(|node| {
        let amounts = |what: &str| extended(&node["status"][what]);
        amounts("capacity").ne(amounts("allocatable"))
    });
    if differs {
        report(cluster, name);
    }
}

/// The node has been given its pods' network: flannel sets it up, the node is ready.
pub(super) fn network(cluster: &mut Cluster, name: &Text) {
    let key = ObjectKey::new("nodes", "", name.clone());
    let Some(machine) = cluster.machines.get(name) else {
        return;
    };
    let range: Option<Ipv4Net> = cluster
        .etcd
        .get(&key)
        .and_then(|node| node["spec"]["podCIDR"].str().parse().ok());
    let (Some(range), None) = (range, machine.pod_net) else {
        return;
    };
    crate::cni::overlay::join(cluster, name, range);
    report(cluster, name);
    let by = Component::Kubelet(name.clone());
    if let Some(node) = cluster.etcd.get(&key).cloned() {
        cluster.record(
            &by,
            &node,
            "NodeReady",
            &format!("Node {name} status is now: NodeReady"),
        );
    }
}

/// Writes the node's status, and says in events what has changed in it.
pub(super) fn refresh(cluster: &mut Cluster, name: &Text) {
    let key = ObjectKey::new("nodes", "", name.clone());
    let Some(old) = cluster.etcd.get(&key).cloned() else {
        return;
    };
    report(cluster, name);
    let Some(new) = cluster.etcd.get(&key).cloned() else {
        return;
    };
    let state = |node: &Value, kind: &str| -> Text {
        let mut all = node["status"]["conditions"].items().iter();
        all.find(|c| c["type"].str() == kind)
            .map(|c| c["status"].text())
            .unwrap_or_default()
    };
    let by = Component::Kubelet(name.clone());
    for (kind, good, reason, otherwise) in [
        (
            "MemoryPressure",
            "False",
            "NodeHasSufficientMemory",
            "NodeHasInsufficientMemory",
        ),
        (
            "DiskPressure",
            "False",
            "NodeHasNoDiskPressure",
            "NodeHasDiskPressure",
        ),
        (
            "PIDPressure",
            "False",
            "NodeHasSufficientPID",
            "NodeHasInsufficientPID",
        ),
        ("Ready", "True", "NodeReady", "NodeNotReady"),
    ] {
        let (before, now) = (state(&old, kind), state(&new, kind));
        if before == now {
            continue;
        }
        let word = if *now == *good { reason } else { otherwise };
        cluster.record(
            &by,
            &new,
            word,
            &format!("Node {name} status is now: {word}"),
        );
    }
}

/// Writes the node's status.
pub(super) fn report(cluster: &mut Cluster, name: &Text) {
    let Some(machine) = cluster.machines.get(name).cloned() else {
        return;
    };
    let key = ObjectKey::new("nodes", "", name.clone());
    let new = status(cluster, &machine);
    let by = Component::Kubelet(name.clone());
    let _ = cluster.modify(&by, &key, Subresource::Status, |node| {
        let old = node["status"]["conditions"].clone();
        let mut new = new;
        for at in 0..new["conditions"].items().len() {
            let condition = &mut new["conditions"][at];
            let before = old.items().iter().find(|c| c["type"] == condition["type"]);
            if let Some(before) = before.filter(|b| b["status"] == condition["status"]) {
                condition["lastTransitionTime"] = before["lastTransitionTime"].clone();
            }
        }
        // Conditions of others (NetworkUnavailable, a person's own) stay.
        let own: Vec<Value> = new["conditions"].items().to_vec();
        let others = old
            .items()
            .iter()
            .filter(|c| own.iter().all(|o| o["type"] != c["type"]));
        new["conditions"] = array(
            others
                .cloned()
                .chain(own.iter().cloned())
                .collect::<Vec<_>>(),
        );
        for (name, amount) in extended(&node["status"]["capacity"]) {
            new["capacity"][&**name] = amount.clone();
            new["allocatable"][&**name] = amount.clone();
        }
        // What is attached is the attach-detach controller's.
        if let Some(attached) = node["status"].get("volumesAttached") {
            new["volumesAttached"] = attached.clone();
        }
        node["status"] = new;
    });
}

/// The resources of a node that somebody has advertised: the kubelet keeps them (`IsExtendedResourceName`).
fn extended(amounts: &Value) -> impl Iterator<Item = &(Text, Value)> {
    let is_extended = |name: &str| name.contains('/') && !name.contains("kubernetes.io/");
    let all = amounts.entries().iter();
    all.filter(move |(name, _)| is_extended(name))
}

fn status(cluster: &Cluster, machine: &Machine) -> Value {
    let capacity = object([
        ("cpu", (&machine.config.cpu).into()),
        ("ephemeral-storage", "102350Mi".into()),
        ("hugepages-1Gi", "0".into()),
        ("hugepages-2Mi", "0".into()),
        ("memory", (&machine.config.memory).into()),
        ("pods", machine.config.pods.to_string().into()),
    ]);
    let now: Value = cluster.now.rfc3339().into();
    let condition = |kind: &str, status: bool, reason: &str, message: &str| {
        object([
            ("lastHeartbeatTime", now.clone()),
            ("lastTransitionTime", now.clone()),
            ("message", message.into()),
            ("reason", reason.into()),
            ("status", if status { "True" } else { "False" }.into()),
            ("type", kind.into()),
        ])
    };
    let ready = match machine.pod_net {
        _ if cluster.is_runtime_down(&machine.name) => condition(
            "Ready",
            false,
            "KubeletNotReady",
            "container runtime is down",
        ),
        Some(_) => condition(
            "Ready",
            true,
            "KubeletReady",
            "kubelet is posting ready status",
        ),
        None => condition("Ready", false, "KubeletNotReady", NO_NETWORK),
    };
    let pressure = |what: Pressure| {
        let bad = machine.kubelet.pressures.contains_key(&what);
        let (kind, good_reason, good, bad_reason, worse) = what.condition();
        match bad {
            true => condition(kind, true, bad_reason, worse),
            false => condition(kind, false, good_reason, good),
        }
    };
    let conditions = array([
        pressure(Pressure::Memory),
        pressure(Pressure::Disk),
        pressure(Pressure::Pid),
        ready,
    ]);
    let address =
        |kind: &str, address: &str| object([("address", address.into()), ("type", kind.into())]);
    // The machine's ids are its own for as long as it is there: made from its number. Each boot has
    // its own.
    let boot = 1 + u64::from(machine.kubelet.boots) * 16;
    let in_use = attach::in_use(cluster, &machine.kubelet);
    let id = |salt: u64| {
        let mut rng =
            crate::rng::Rng::new(cluster.config.seed ^ u64::from(machine.number) << 8 ^ salt);
        rng.uuid()
    };
    let mut status = object([
        (
            "addresses",
            array([
                address("InternalIP", &machine.address.to_string()),
                address("Hostname", &machine.name),
            ]),
        ),
        ("allocatable", capacity.clone()),
        ("capacity", capacity),
        ("conditions", conditions),
        (
            "daemonEndpoints",
            object([("kubeletEndpoint", object([("Port", 10250.into())]))]),
        ),
        (
            "nodeInfo",
            object([
                ("architecture", "amd64".into()),
                ("bootID", id(boot).into()),
                ("containerRuntimeVersion", "containerd://2.2.0".into()),
                ("kernelVersion", "6.18.0-amd64".into()),
                ("kubeProxyVersion", "".into()),
                ("kubeletVersion", VERSION.into()),
                ("machineID", id(2).replace('-', "").into()),
                ("operatingSystem", "linux".into()),
                ("osImage", "Debian GNU/Linux 13 (trixie)".into()),
                ("swap", object([("capacity", 0.into())])),
                ("systemUUID", id(3).into()),
            ]),
        ),
        (
            "runtimeHandlers",
            array([object([
                (
                    "features",
                    object([
                        ("recursiveReadOnlyMounts", true.into()),
                        ("userNamespaces", true.into()),
                    ]),
                ),
                ("name", "".into()),
            ])]),
        ),
    ]);
    if !in_use.is_empty() {
        status["volumesInUse"] = array(in_use);
    }
    status
}
