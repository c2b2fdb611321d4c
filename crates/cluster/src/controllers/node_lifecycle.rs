//! node-lifecycle-controller: notices nodes that no longer report, and taints nodes by their
//! conditions (kubernetes v1.37, `pkg/controller/nodelifecycle`).

use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::{Controller, Outcome, pods, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::task::Task;
use crate::time::Time;

/// `--node-monitor-grace-period`
const GRACE: Duration = Duration::from_secs(50);
/// `--node-startup-grace-period`
const STARTUP_GRACE: Duration = Duration::from_secs(60);
/// `--node-monitor-period`
const PERIOD: Duration = Duration::from_secs(5);

pub(super) const CONTROLLER: Controller = Controller {
    name: "node-lifecycle-controller",
    observe,
    size: small,
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let ours = &*change.key.resource == "nodes" && change.new.is_some();
    let differs = |path: &[&str]| change.differs(path);
    if ours && (differs(&["spec"]) || differs(&["status", "conditions"])) {
        vec![change.key.clone()]
    } else {
        Vec::new()
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(node) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    greet(cluster, by, &node);
    let seen = last_seen(cluster, &node);
    let due = seen + GRACE;
    if due < cluster.now {
        mark_unknown(cluster, by, key, &node)?;
    } else {
        // Looked at again when it would be overdue, at the controller's own pace.
        let delay = due.since(cluster.now) + PERIOD;
        cluster.enqueue(Task::Controller(CONTROLLER.name, key.clone()), delay);
    }
    let Some(node) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    taint(cluster, by, key, &node)?;
    if !is_ready(&node) {
        mark_pods(cluster, by, &node)?;
    }
    Ok(())
}

/// The controller tells of a node that it sees for the first time.
fn greet(cluster: &mut Cluster, by: &Component, node: &Value) {
    let (name, uid) = (node.name(), node["metadata"]["uid"].text());
    if cluster.known_nodes.contains(&uid) {
        return;
    }
    std::sync::Arc::make_mut(&mut cluster.known_nodes).insert(uid);
    let message = format!("Node {name} event: Registered Node {name} in Controller");
    cluster.record(by, node, "RegisteredNode", &message);
}

/// When the node last gave a sign of life: its lease, or its status; at first it has time to start.
fn last_seen(cluster: &Cluster, node: &Value) -> Time {
    let lease = cluster.find("leases.coordination.k8s.io", "kube-node-lease", node.name());
    let renewed = lease.and_then(|lease| Time::parse(lease["spec"]["renewTime"].str()));
    let reported = pods::condition(node, "Ready")
        .filter(|c| c["status"].str() != "Unknown")
        .and_then(|c| Time::parse(c["lastHeartbeatTime"].str()));
    let made = node
        .creation_timestamp()
        .and_then(Time::parse)
        .map(|t| t + (STARTUP_GRACE - GRACE));
    [
        renewed,
        reported,
        made,
        Some(cluster.faults().heard_since()),
    ]
    .into_iter()
    .flatten()
    .max()
    .unwrap_or_default()
}

fn is_ready(node: &Value) -> bool {
    pods::condition(node, "Ready").is_none_or(|c| c["status"].str() == "True")
}

fn mark_unknown(cluster: &mut Cluster, by: &Component, key: &ObjectKey, node: &Value) -> Outcome {
    let now: Value = cluster.now.rfc3339().into();
    let mut updated = node.clone();
    for kind in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
        let old = updated["status"]["conditions"]
            .items()
            .iter()
            .position(|c| c["type"].str() == kind);
        let conditions = updated["status"]["conditions"].array_mut();
        match old.and_then(|at| conditions.get_mut(at)) {
            Some(condition) if condition["status"].str() == "Unknown" => {}
            Some(condition) => {
                condition["lastTransitionTime"] = now.clone();
                condition["message"] = "Kubelet stopped posting node status.".into();
                condition["reason"] = "NodeStatusUnknown".into();
                condition["status"] = "Unknown".into();
            }
            None => conditions.push(object([
                (
                    "lastHeartbeatTime",
                    node["metadata"]["creationTimestamp"].clone(),
                ),
                ("lastTransitionTime", now.clone()),
                ("message", "Kubelet never posted node status.".into()),
                ("reason", "NodeStatusNeverUpdated".into()),
                ("status", "Unknown".into()),
                ("type", kind.into()),
            ])),
        }
    }
    if updated.same(node) {
        return Ok(());
    }
    cluster.update_status(by, updated)?;
    let message = format!("Node {} status is now: NodeNotReady", key.name);
    cluster.record(by, node, "NodeNotReady", &message);
    Ok(())
}

/// Which taints a condition's state brings, in the order in which they come: the one for the scheduler at once, the
/// other from a queue.
fn taints_of(node: &Value) -> Vec<(&'static str, &'static str)> {
    let status = |kind: &str| pods::condition(node, kind).map_or("", |c| c["status"].str());
    let mut taints = Vec::new();
    match status("Ready") {
        "False" => taints.extend([
            ("node.kubernetes.io/not-ready", "NoSchedule"),
            ("node.kubernetes.io/not-ready", "NoExecute"),
        ]),
        "Unknown" => taints.extend([
            ("node.kubernetes.io/unreachable", "NoSchedule"),
            ("node.kubernetes.io/unreachable", "NoExecute"),
        ]),
        _ => {}
    }
    for (kind, key) in [
        ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
        ("DiskPressure", "node.kubernetes.io/disk-pressure"),
        ("PIDPressure", "node.kubernetes.io/pid-pressure"),
        (
            "NetworkUnavailable",
            "node.kubernetes.io/network-unavailable",
        ),
    ] {
        if status(kind) == "True" {
            taints.push((key, "NoSchedule"));
        }
    }
    if node["spec"]["unschedulable"].as_bool() == Some(true) {
        taints.push(("node.kubernetes.io/unschedulable", "NoSchedule"));
    }
    taints
}

const OURS: [&str; 7] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.kubernetes.io/unschedulable",
];

fn taint(cluster: &mut Cluster, by: &Component, key: &ObjectKey, node: &Value) -> Outcome {
    let wanted = taints_of(node);
    let is = |taint: &Value, (key, effect): &(&str, &str)| {
        taint["key"].str() == *key && taint["effect"].str() == *effect
    };
    let old = node["spec"]["taints"].items();
    let mut taints: Vec<Value> = old
        .iter()
        .filter(|t| !OURS.contains(&t["key"].str()) || wanted.iter().any(|w| is(t, w)))
        .cloned()
        .collect();
    for (name, effect) in wanted.iter().filter(|w| !old.iter().any(|t| is(t, w))) {
        let taint = object([
            ("effect", (*effect).into()),
            ("key", (*name).into()),
            ("timeAdded", cluster.now.rfc3339().into()),
        ]);
        taints.push(taint);
    }
    if taints == old {
        return Ok(());
    }
    cluster
        .modify(by, key, Subresource::None, |node| match taints.is_empty() {
            true => drop(node.remove(&["spec", "taints"])),
            false => node["spec"]["taints"] = taints.into(),
        })
        .map(drop)
}

/// The pods of a node that does not report count as not ready.
fn mark_pods(cluster: &mut Cluster, by: &Component, node: &Value) -> Outcome {
    let ready: Vec<ObjectKey> = cluster
        .index
        .pods_on(node.name())
        .filter(|key| cluster.etcd.get(key).is_some_and(pods::is_ready))
        .cloned()
        .collect();
    let unknown = pods::condition(node, "Ready").is_some_and(|c| c["status"].str() == "Unknown");
    if !unknown {
        // The kubelet is there, and says itself how its pods do.
        return Ok(());
    }
    for key in ready {
        let now: Value = cluster.now.rfc3339().into();
        let pod = cluster.modify(by, &key, Subresource::Status, |pod| {
            let conditions = pod["status"]["conditions"].array_mut();
            for condition in conditions.iter_mut().filter(|c| c["type"].str() == "Ready") {
                condition["lastTransitionTime"] = now.clone();
                condition["status"] = "False".into();
            }
        })?;
        cluster.warn(by, &pod, "NodeNotReady", "Node is not ready");
    }
    Ok(())
}
