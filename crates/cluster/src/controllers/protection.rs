//! persistentvolumeclaim-protection-controller and persistentvolume-protection-controller: what is
//! in use is not deleted (kubernetes v1.37, `pkg/controller/volume/{pvc,pv}protection`).

use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::persistent_volume::{CLAIMS, VOLUMES, users};
use super::{Controller, Outcome, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::index::claims_of;

pub(super) const OF_CLAIMS: Controller = Controller {
    name: "persistentvolumeclaim-protection-controller",
    observe: |_, change| match &*change.key.resource {
        CLAIMS if change.new.is_some() => vec![change.key.clone()],
        "pods" if taken_or_released(change) => {
            let namespace = &change.key.namespace;
            claims_of(change.object())
                .map(|claim| ObjectKey::new(CLAIMS, namespace.clone(), claim))
                .collect()
        }
        _ => Vec::new(),
    },
    size: small,
    sync: sync_claim,
};

pub(super) const OF_VOLUMES: Controller = Controller {
    name: "persistentvolume-protection-controller",
    observe: |_, change| match &*change.key.resource {
        VOLUMES if change.new.is_some() => vec![change.key.clone()],
        _ => Vec::new(),
    },
    size: small,
    sync: sync_volume,
};

/// Whether a pod may have taken or let go its claims.
fn taken_or_released(change: &Change) -> bool {
    change.old.is_none() || change.new.is_none() || super::pods::is_over(change.object())
}

fn sync_claim(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    // A pod without a node has not got hold of it: the kubelet will not let it start.
    let used = users(cluster, &key.namespace, &key.name)
        .any(|(_, pod)| !pod["spec"]["nodeName"].is_empty());
    protect(cluster, by, key, "kubernetes.io/pvc-protection", used)?;
    note_use(cluster, by, key)
}

/// The condition `Unused` of a bound claim: whether a pod that is not over names it
/// (KEP-5541, `PersistentVolumeClaimUnusedSinceTime`).
fn note_use(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let bound = |claim: &&Value| claim["status"]["phase"].str() == "Bound" && !claim.is_deleting();
    let Some(claim) = cluster.etcd.get(key).filter(bound) else {
        return Ok(());
    };
    let used = users(cluster, &key.namespace, &key.name).any(|(_, pod)| !super::pods::is_over(pod));
    let (status, reason, message) = match used {
        true => (
            "False",
            "PodUsingPVC",
            "A pod is currently referencing this PVC",
        ),
        false => (
            "True",
            "NoPodsUsingPVC",
            "No pods are currently referencing this PVC",
        ),
    };
    let known = claim["status"]["conditions"].items();
    let at = known.iter().position(|c| c["type"].str() == UNUSED);
    if at.is_some_and(|at| known[at]["status"].str() == status) {
        return Ok(());
    }
    let condition = object([
        ("lastProbeTime", Value::Null),
        ("lastTransitionTime", cluster.now.rfc3339().into()),
        ("message", message.into()),
        ("reason", reason.into()),
        ("status", status.into()),
        ("type", UNUSED.into()),
    ]);
    let change = |claim: &mut Value| match at {
        Some(at) => claim["status"]["conditions"][at] = condition.clone(),
        None => claim["status"]["conditions"].push(condition.clone()),
    };
    match cluster.modify(by, key, Subresource::Status, change) {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}

const UNUSED: &str = "Unused";

fn sync_volume(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let bound = cluster
        .etcd
        .get(key)
        .is_some_and(|v| v["status"]["phase"].str() == "Bound");
    protect(cluster, by, key, "kubernetes.io/pv-protection", bound)
}

fn protect(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    finalizer: &str,
    used: bool,
) -> Outcome {
    let Some(object) = cluster.etcd.get(key) else {
        return Ok(());
    };
    let protected = object.finalizers().any(|f| f == finalizer);
    let change: fn(&mut Value, &str) = match (object.is_deleting(), protected) {
        (false, false) => |object, finalizer| object["metadata"]["finalizers"].push(finalizer),
        (true, true) if !used => |object, finalizer| {
            let finalizers = object["metadata"]["finalizers"].array_mut();
            finalizers.retain(|f| f.str() != finalizer);
            if finalizers.is_empty() {
                object.remove(&["metadata", "finalizers"]);
            }
        },
        _ => return Ok(()),
    };
    match cluster.modify(by, key, Subresource::None, |object| {
        change(object, finalizer)
    }) {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}
