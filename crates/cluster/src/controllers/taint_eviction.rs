//! taint-eviction-controller: pods leave nodes whose NoExecute taints they do not tolerate, or no
//! longer (kubernetes v1.37, `pkg/controller/tainteviction`).

use std::time::Duration;

use kubarium_objects::{ObjectKey, Value, object};

use super::{Controller, Outcome, pods, small};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::scheduler::toleration_of;
use crate::shared_map::SharedMap;
use crate::task::Task;
use crate::time::Time;

pub(super) const CONTROLLER: Controller = Controller {
    name: "taint-eviction-controller",
    observe,
    size: small,
    sync,
};

/// The evictions that wait for their time, by pod (`TimedWorkerQueue`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Evictions(SharedMap<ObjectKey, Eviction>);

/// A pod has to go once it has tolerated its node's taints for long enough.
#[derive(Clone, Debug)]
struct Eviction {
    /// When the wait began: when the controller first saw the taints, whatever they say themselves.
    since: Time,
    due: Time,
}

fn executes(node: &Value) -> impl Iterator<Item = &Value> {
    node["spec"]["taints"]
        .items()
        .iter()
        .filter(|t| t["effect"].str() == "NoExecute")
}

/// The work item is a pod.
fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let waits = |key: &ObjectKey| cluster.evictions.0.contains_key(key);
    match (&*change.key.resource, &change.new) {
        ("nodes", Some(new)) if change.differs(&["spec", "taints"]) => {
            let old = change.old.as_ref().unwrap_or(&Value::Null);
            if executes(old).eq(executes(new)) {
                return Vec::new();
            }
            let tainted = executes(new).next().is_some();
            let pods = cluster.index.pods_on(&change.key.name);
            pods.filter(|key| tainted || waits(key)).cloned().collect()
        }
        ("pods", None) if waits(&change.key) => vec![change.key.clone()],
        ("pods", Some(new))
            if change.differs(&["spec", "nodeName"])
                || change.differs(&["spec", "tolerations"]) =>
        {
            let node = cluster.find("nodes", "", new["spec"]["nodeName"].str());
            let tainted = node.is_some_and(|node| executes(node).next().is_some());
            tainted.then(|| change.key.clone()).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// What a node's taints mean for a pod on it.
#[derive(Debug, PartialEq)]
enum Verdict {
    Stays,
    GoesAfter(Duration),
    Goes,
}

/// `processPodOnNode`: of each taint the first toleration that fits counts, of these the shortest.
fn verdict(pod: &Value, node: &Value) -> Verdict {
    let mut shortest = None;
    for taint in executes(node) {
        let Some(toleration) = toleration_of(pod, taint) else {
            return Verdict::Goes;
        };
        let seconds = toleration["tolerationSeconds"].as_i64();
        shortest = seconds.into_iter().chain(shortest).min();
    }
    match shortest {
        None => Verdict::Stays,
        Some(seconds) if seconds <= 0 => Verdict::Goes,
        Some(seconds) => Verdict::GoesAfter(Duration::from_secs(seconds.unsigned_abs())),
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let waiting = cluster.evictions.0.get(key).cloned();
    if let Some(eviction) = waiting.as_ref().filter(|e| e.due <= cluster.now) {
        return evict(cluster, by, key, eviction);
    }
    let Some(pod) = cluster.etcd.get(key) else {
        cancel(cluster, by, key);
        return Ok(());
    };
    let Some(node) = cluster.find("nodes", "", pod["spec"]["nodeName"].str()) else {
        // Nobody looks at the taints of a node that is gone; what was decided stays.
        return wait(cluster, key, waiting);
    };
    let now = cluster.now;
    let next = match verdict(pod, node) {
        Verdict::Stays => None,
        Verdict::Goes => Some(now),
        Verdict::GoesAfter(time) => {
            // A wait that has begun goes on as it was, even where a shorter one would follow.
            let due = now + time;
            if waiting.as_ref().is_some_and(|e| e.since + time < due) {
                return wait(cluster, key, waiting);
            }
            Some(due)
        }
    };
    cancel(cluster, by, key);
    match next.map(|due| Eviction { since: now, due }) {
        Some(eviction) if eviction.due <= now => evict(cluster, by, key, &eviction),
        next => wait(cluster, key, next),
    }
}

/// Looks again when an eviction is due.
fn wait(cluster: &mut Cluster, key: &ObjectKey, eviction: Option<Eviction>) -> Outcome {
    let Some(eviction) = eviction else {
        return Ok(());
    };
    let delay = eviction.due.since(cluster.now);
    cluster.evictions.0.insert(key.clone(), eviction);
    cluster.enqueue(Task::Controller(CONTROLLER.name, key.clone()), delay);
    Ok(())
}

/// Lets a pod stay that had to go.
fn cancel(cluster: &mut Cluster, by: &Component, key: &ObjectKey) {
    if cluster.evictions.0.remove(key).is_some() {
        let message = format!("Cancelling deletion of Pod {}/{}", key.namespace, key.name);
        tell(cluster, by, key, &message);
    }
}

/// The controller knows a pod by its name only, so its Events have no uid.
fn tell(cluster: &mut Cluster, by: &Component, key: &ObjectKey, message: &str) {
    let metadata = object([
        ("name", (&key.name).into()),
        ("namespace", (&key.namespace).into()),
    ]);
    let pod = object([
        ("apiVersion", "v1".into()),
        ("kind", "Pod".into()),
        ("metadata", metadata),
    ]);
    cluster.record(by, &pod, "TaintManagerEviction", message);
}

/// `addConditionAndDeletePod`
fn evict(cluster: &mut Cluster, by: &Component, key: &ObjectKey, eviction: &Eviction) -> Outcome {
    let message = format!("Marking for deletion Pod {}/{}", key.namespace, key.name);
    tell(cluster, by, key, &message);
    cluster.evictions.0.insert(key.clone(), eviction.clone());
    delete(cluster, by, key)?;
    cluster.evictions.0.remove(key);
    Ok(())
}

fn delete(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(pod) = cluster.etcd.get(key) else {
        return Ok(());
    };
    let reason = "DeletionByTaintManager";
    let marked = pods::condition(pod, "DisruptionTarget")
        .is_some_and(|c| c["status"].str() == "True" && c["reason"].str() == reason);
    if !marked {
        let condition = object([
            ("lastProbeTime", Value::Null),
            ("lastTransitionTime", cluster.now.rfc3339().into()),
            (
                "message",
                "Taint manager: deleting due to NoExecute taint".into(),
            ),
            ("reason", reason.into()),
            ("status", "True".into()),
            ("type", "DisruptionTarget".into()),
        ]);
        cluster.modify(by, key, Subresource::Status, |pod| {
            let conditions = pod["status"]["conditions"].array_mut();
            conditions.retain(|c| c["type"].str() != "DisruptionTarget");
            conditions.push(condition);
        })?;
    }
    match cluster.delete(by, key, &DeleteOptions::default()) {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}
