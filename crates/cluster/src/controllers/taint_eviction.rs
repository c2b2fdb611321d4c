//! taint-eviction-controller: pods leave nodes whose NoExecute taints they do not tolerate, or no
//! longer (kubernetes v1.37, `pkg/controller/tainteviction`).

use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::{Controller, Outcome, small};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::scheduler::toleration_of;
use crate::task::Task;
use crate::time::Time;

pub(super) const CONTROLLER: Controller = Controller {
    name: "taint-eviction-controller",
    observe,
    size: small,
    sync,
};

fn executes(node: &Value) -> impl Iterator<Item = &Value> {
    node["spec"]["taints"]
        .items()
        .iter()
        .filter(|t| t["effect"].str() == "NoExecute")
}

/// The work item is a pod.
fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let Some(new) = &change.new else {
        return Vec::new();
    };
    match &*change.key.resource {
        "nodes" if change.differs(&["spec", "taints"]) => {
            let had = change
                .old
                .as_ref()
                .is_some_and(|old| executes(old).next().is_some());
            let pods = cluster.index.pods_on(&change.key.name).cloned();
            match (had, executes(new).next().is_some()) {
                (_, true) => pods.collect(),
                // Those that would have had to go are told that they may stay.
                (true, false) => {
                    let old = change.old.as_ref().unwrap_or(new);
                    let waits = |key: &ObjectKey| {
                        let pod = cluster.etcd.get(key);
                        pod.is_some_and(|pod| due(pod, old, cluster.now).is_some())
                    };
                    pods.filter(waits).collect()
                }
                (false, false) => Vec::new(),
            }
        }
        "pods"
            if change.differs(&["spec", "nodeName"])
                || change.differs(&["spec", "tolerations"]) =>
        {
            let node = cluster.find("nodes", "", new["spec"]["nodeName"].str());
            if node.is_some_and(|node| executes(node).next().is_some()) {
                vec![change.key.clone()]
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

/// When a pod has to go from a node, if it has.
fn due(pod: &Value, node: &Value, now: Time) -> Option<Time> {
    let at = |taint: &Value| {
        let added = Time::parse(taint["timeAdded"].str()).unwrap_or(now);
        match toleration_of(pod, taint) {
            None => Some(now),
            Some(toleration) => {
                let seconds = toleration["tolerationSeconds"].as_i64()?;
                Some(added + Duration::from_secs(seconds.max(0).unsigned_abs()))
            }
        }
    };
    executes(node).filter_map(at).min()
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(pod) = cluster
        .etcd
        .get(key)
        .filter(|pod| !pod.is_deleting())
        .cloned()
    else {
        return Ok(());
    };
    let Some(node) = cluster.find("nodes", "", pod["spec"]["nodeName"].str()) else {
        return Ok(());
    };
    if executes(node).next().is_none() {
        let message = format!("Cancelling deletion of Pod {}/{}", key.namespace, key.name);
        cluster.record(by, &pod, "TaintManagerEviction", &message);
        return Ok(());
    }
    let Some(due) = due(&pod, node, cluster.now) else {
        return Ok(());
    };
    if due > cluster.now {
        cluster.enqueue(
            Task::Controller(CONTROLLER.name, key.clone()),
            due.since(cluster.now),
        );
        return Ok(());
    }
    cluster.record(
        by,
        &pod,
        "TaintManagerEviction",
        &format!("Marking for deletion Pod {}/{}", key.namespace, key.name),
    );
    let now: Value = cluster.now.rfc3339().into();
    cluster.modify(by, key, Subresource::Status, |pod| {
        pod["status"]["conditions"].push(object([
            ("lastProbeTime", Value::Null),
            ("lastTransitionTime", now),
            (
                "message",
                "Taint manager: deleting due to NoExecute taint".into(),
            ),
            ("reason", "DeletionByTaintManager".into()),
            ("status", "True".into()),
            ("type", "DisruptionTarget".into()),
        ]));
    })?;
    match cluster.delete(by, key, &DeleteOptions::default()) {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}
