//! What controllers ask of pods (kubernetes v1.37, `pkg/api/v1/pod`, `pkg/controller`).

use std::time::Duration;

use kubarium_objects::selector::Selector;
use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use crate::cluster::{Change, Cluster};
use crate::time::Time;

/// The condition of that type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .items()
        .iter()
        .find(|c| c["type"].str() == kind)
}

/// What a pod's status says in one of its lists of a container; null where it says nothing yet.
pub(crate) fn container_status<'a>(pod: &'a Value, list: &str, name: &str) -> &'a Value {
    let mut statuses = pod["status"][list].items().iter();
    let found = statuses.find(|status| status["name"].str() == name);
    found.unwrap_or(&Value::Null)
}

/// Whether the pod's Ready condition is true.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|c| c["status"].str() == "True")
}

/// Since when the pod is ready.
pub(crate) fn ready_since(pod: &Value) -> Option<Time> {
    let ready = condition(pod, "Ready").filter(|c| c["status"].str() == "True")?;
    Time::parse(ready["lastTransitionTime"].str())
}

/// Whether the pod has been ready for at least `min_ready` seconds.
pub(crate) fn is_available(pod: &Value, min_ready: i64, now: Time) -> bool {
    if !is_ready(pod) {
        return false;
    }
    if min_ready <= 0 {
        return true;
    }
    let Some(since) = ready_since(pod) else {
        return false;
    };
    since + Duration::from_secs(min_ready.unsigned_abs()) <= now
}

/// Whether the pod has ended.
pub(crate) fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].str(), "Succeeded" | "Failed")
}

/// Whether the pod counts as a replica: it has not ended, and nobody is deleting it.
pub(crate) fn is_active(pod: &Value) -> bool {
    !is_over(pod) && !pod.is_deleting()
}

/// The pods that name `uid` among their owners, with their keys.
pub(crate) fn owned<'a>(
    cluster: &'a Cluster,
    uid: &str,
) -> impl Iterator<Item = (&'a ObjectKey, &'a Value)> + use<'a> {
    cluster
        .index
        .dependents(uid)
        .filter(|key| &*key.resource == "pods")
        .filter_map(|key| Some((key, cluster.etcd.get(key)?)))
}

/// The pods that `uid` controls.
pub(crate) fn controlled<'a>(
    cluster: &'a Cluster,
    uid: &'a str,
) -> impl Iterator<Item = (&'a ObjectKey, &'a Value)> + use<'a> {
    owned(cluster, uid)
        .filter(move |(_, pod)| pod.controller_ref().is_some_and(|owner| owner.uid() == uid))
}

/// The ownerReference by which `owner` controls an object.
pub(crate) fn controller_ref(owner: &Value) -> Value {
    object([
        ("apiVersion", owner["apiVersion"].clone()),
        ("blockOwnerDeletion", true.into()),
        ("controller", true.into()),
        ("kind", owner["kind"].clone()),
        ("name", owner["metadata"]["name"].clone()),
        ("uid", owner["metadata"]["uid"].clone()),
    ])
}

/// The owners of a kind (`ReplicaSet`, resource `replicasets.apps`) that control the changed
/// object, or did before.
pub(crate) fn controllers_of(change: &Change, kind: &str, resource: &str) -> Vec<ObjectKey> {
    let mut keys = Vec::new();
    for object in [&change.old, &change.new].into_iter().flatten() {
        if let Some(owner) = object.controller_ref()
            && owner.kind() == kind
        {
            let key = ObjectKey::new(resource, change.key.namespace.clone(), owner.name());
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// Whether a pod changed in a way that matters to whoever owns or selects it. Scheduling and the
/// kubelet's reports about containers, as long as the pod's readiness stays, do not.
pub(crate) fn matters(change: &Change) -> bool {
    *change.matters.get_or_init(|| does_matter(change))
}

fn does_matter(change: &Change) -> bool {
    let (Some(old), Some(new)) = (&change.old, &change.new) else {
        return true;
    };
    fn state(pod: &Value) -> (&str, bool, bool) {
        (
            pod["status"]["phase"].str(),
            is_ready(pod),
            pod.is_deleting(),
        )
    }
    state(old) != state(new)
        || !old["metadata"]["labels"].same(&new["metadata"]["labels"])
        || !old["metadata"]["ownerReferences"].same(&new["metadata"]["ownerReferences"])
}

/// Whether more of an object changed than its status.
pub(crate) fn spec_changed(change: &Change) -> bool {
    let (Some(old), Some(new)) = (&change.old, &change.new) else {
        return true;
    };
    ["spec", "data"]
        .iter()
        .any(|part| !old[*part].same(&new[*part]))
        || [
            "labels",
            "annotations",
            "ownerReferences",
            "deletionTimestamp",
            "finalizers",
        ]
        .iter()
        .any(|part| !old["metadata"][*part].same(&new["metadata"][*part]))
}

/// A condition as deployments and replica sets have them, changed since `now`.
pub(crate) fn new_condition(
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    now: Time,
) -> Value {
    object([
        ("lastTransitionTime", now.rfc3339().into()),
        ("message", message.into()),
        ("reason", reason.into()),
        ("status", if status { "True" } else { "False" }.into()),
        ("type", kind.into()),
    ])
}

/// An IntOrString that counts or gives a share of `total`; a share is rounded up or down.
pub(crate) fn scaled(value: &Value, total: i64, round_up: bool) -> i64 {
    if let Some(count) = value.as_i64() {
        return count;
    }
    let Some(percent) = value
        .str()
        .strip_suffix('%')
        .and_then(|p| p.parse::<i64>().ok())
    else {
        return 0;
    };
    let product = percent.saturating_mul(total);
    if round_up {
        (product + 99).div_euclid(100)
    } else {
        product.div_euclid(100)
    }
}

/// A LabelSelector as stored; one that is not valid selects nothing.
pub(crate) fn selector(value: &Value) -> Selector {
    Selector::from_label_selector(value).unwrap_or_else(|_| Selector::nothing())
}
