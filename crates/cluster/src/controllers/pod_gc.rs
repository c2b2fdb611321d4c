//! pod-garbage-collector-controller: pods whose node is gone go, too, as do pods that were deleted
//! before they had one (kubernetes v1.37, `pkg/controller/podgc`).

use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::{Controller, Outcome, pods, small};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::task::Task;

/// A node that is gone may come back within this time.
const QUARANTINE: Duration = Duration::from_secs(40);

pub(super) const CONTROLLER: Controller = Controller {
    name: "pod-garbage-collector-controller",
    observe,
    size: small,
    sync,
};

/// A node with this taint does not come back soon: pods that are to go need not wait for it.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// The work item is a node.
fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let given_up = |node: &Value| is_out_of_service(node).then(|| change.key.clone());
    match (&*change.key.resource, &change.new) {
        ("nodes", None) => vec![change.key.clone()],
        ("nodes", Some(node)) => given_up(node).into_iter().collect(),
        ("pods", Some(pod)) if pod.is_deleting() && !pod["spec"]["nodeName"].is_empty() => {
            let key = ObjectKey::new("nodes", "", pod["spec"]["nodeName"].text());
            let node = cluster.etcd.get(&key);
            node.filter(|node| is_out_of_service(node))
                .map(|_| key)
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a node is given up for good.
pub(super) fn is_out_of_service(node: &Value) -> bool {
    let tainted = node["spec"]["taints"]
        .items()
        .iter()
        .any(|t| t["key"].str() == OUT_OF_SERVICE);
    tainted && pods::condition(node, "Ready").is_none_or(|c| c["status"].str() != "True")
}

/// Pods on a node that is given up are gone as soon as somebody has deleted them.
fn force(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let going: Vec<ObjectKey> = cluster
        .index
        .pods_on(&key.name)
        .filter(|pod| cluster.etcd.get(pod).is_some_and(ObjectMeta::is_deleting))
        .cloned()
        .collect();
    for pod in going {
        match cluster.delete(by, &pod, &DeleteOptions::now()) {
            Err(status) if status.code != 404 => return Err(status),
            _ => {}
        }
    }
    Ok(())
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    if let Some(node) = cluster.etcd.get(key) {
        return match is_out_of_service(node) {
            true => force(cluster, by, key),
            false => Ok(()),
        };
    }
    let left: Vec<ObjectKey> = cluster.index.pods_on(&key.name).cloned().collect();
    let Some(first) = left.first() else {
        return Ok(());
    };
    // The first look begins the quarantine, the second finds it over: the node's pods say so.
    let waited = cluster
        .etcd
        .get(first)
        .is_some_and(|pod| pods::condition(pod, "DisruptionTarget").is_some());
    if !waited {
        for pod in &left {
            let now: Value = cluster.now.rfc3339().into();
            cluster.modify(by, pod, Subresource::Status, |pod| {
                pod["status"]["conditions"].push(object([
                    ("lastProbeTime", Value::Null),
                    ("lastTransitionTime", now),
                    ("message", "PodGC: node no longer exists".into()),
                    ("reason", "DeletionByPodGC".into()),
                    ("status", "True".into()),
                    ("type", "DisruptionTarget".into()),
                ]));
            })?;
        }
        cluster.enqueue(Task::Controller(CONTROLLER.name, key.clone()), QUARANTINE);
        return Ok(());
    }
    for pod in &left {
        match cluster.delete(by, pod, &DeleteOptions::now()) {
            Err(status) if status.code != 404 => return Err(status),
            _ => {}
        }
    }
    Ok(())
}
