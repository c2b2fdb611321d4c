//! pod-garbage-collector-controller: pods whose node is gone go, too, as do pods that were deleted
//! before they had one (kubernetes v1.37, `pkg/controller/podgc`).

use std::time::Duration;

use kubarium_objects::{ObjectKey, Value, object};

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

/// The work item is a node.
fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    if &*change.key.resource == "nodes" && change.new.is_none() {
        vec![change.key.clone()]
    } else {
        Vec::new()
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    if cluster.etcd.get(key).is_some() {
        return Ok(());
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
