//! garbage-collector-controller: what has lost its owners goes, and owners wait for what they own
//! where they were deleted so (kubernetes v1.37, `pkg/controller/garbagecollector`).

use kubarium_objects::meta::OwnerReference;
use kubarium_objects::{ObjectKey, ObjectMeta, Value};

use super::replicaset::release;
use super::{Controller, Outcome, small};
use crate::api::{DeleteOptions, Propagation, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

pub(super) const CONTROLLER: Controller = Controller {
    name: "garbage-collector-controller",
    observe,
    size: small,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let Some(new) = &change.new else {
        let gone = change.object();
        let mut keys: Vec<ObjectKey> = cluster.index.dependents(gone.uid()).cloned().collect();
        keys.extend(waiting_owners(cluster, gone));
        return keys;
    };
    let orphaned = || {
        (change.old.is_none() || change.differs(&["metadata", "ownerReferences"]))
            && new
                .owner_references()
                .any(|owner| find(cluster, new, &owner).is_none())
    };
    let finalizes = || {
        new.is_deleting()
            && change.differs(&["metadata"])
            && new.finalizers().any(|f| f == FOREGROUND || f == ORPHAN)
    };
    if finalizes() || orphaned() {
        vec![change.key.clone()]
    } else {
        Vec::new()
    }
}

/// The owners of an object that wait for it to be gone.
fn waiting_owners(cluster: &Cluster, object: &Value) -> Vec<ObjectKey> {
    let owners = object
        .owner_references()
        .filter_map(|owner| find(cluster, object, &owner));
    owners
        .filter(|(_, owner)| is_waiting(owner))
        .map(|(key, _)| key)
        .collect()
}

fn is_waiting(owner: &Value) -> bool {
    owner.is_deleting() && owner.finalizers().any(|f| f == FOREGROUND)
}

/// The owner that a reference names, if it is (still) that one.
fn find<'a>(
    cluster: &'a Cluster,
    object: &Value,
    owner: &OwnerReference<'_>,
) -> Option<(ObjectKey, &'a Value)> {
    let resource = cluster.resource_by_kind(owner.api_version(), owner.kind())?;
    let namespace = if resource.namespaced {
        object.namespace()
    } else {
        ""
    };
    let key = ObjectKey::new(resource.id(), namespace, owner.name());
    let found = cluster
        .etcd
        .get(&key)
        .filter(|found| found.uid() == owner.uid())?;
    Some((key, found))
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(object) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let has = |finalizer: &str| object.is_deleting() && object.finalizers().any(|f| f == finalizer);
    if has(ORPHAN) {
        return orphan(cluster, by, key, &object);
    }
    if has(FOREGROUND) {
        return delete_dependents(cluster, by, key, &object);
    }
    if object.is_deleting() {
        return Ok(());
    }
    let (mut absent, mut waiting, mut solid) = (Vec::new(), Vec::new(), 0);
    for owner in object.owner_references() {
        match find(cluster, &object, &owner) {
            None => absent.push(owner.uid().to_owned()),
            Some((_, found)) if is_waiting(found) => waiting.push(owner.uid().to_owned()),
            Some(_) => solid += 1,
        }
    }
    if absent.is_empty() && waiting.is_empty() {
        return Ok(());
    }
    if solid > 0 {
        for uid in absent.iter().chain(&waiting) {
            release(cluster, by, key, uid)?;
        }
        return Ok(());
    }
    let owns = cluster.index.dependents(object.uid()).next().is_some();
    let propagation = if !waiting.is_empty() && owns {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    delete(cluster, by, key, &object, propagation)
}

fn delete(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    object: &Value,
    propagation: Propagation,
) -> Outcome {
    let options = DeleteOptions {
        propagation,
        uid: Some(object.uid().into()),
        ..DeleteOptions::default()
    };
    match cluster.delete(by, key, &options) {
        Err(status) if status.code != 404 && status.code != 409 => Err(status),
        _ => Ok(()),
    }
}

/// The dependents lose this owner; then it goes.
fn orphan(cluster: &mut Cluster, by: &Component, key: &ObjectKey, object: &Value) -> Outcome {
    let dependents: Vec<ObjectKey> = cluster.index.dependents(object.uid()).cloned().collect();
    for dependent in dependents {
        release(cluster, by, &dependent, object.uid())?;
    }
    finalize(cluster, by, key, ORPHAN)
}

/// Deletes the dependents; the owner goes once those that block it are gone.
fn delete_dependents(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    object: &Value,
) -> Outcome {
    let dependents: Vec<ObjectKey> = cluster.index.dependents(object.uid()).cloned().collect();
    for dependent in &dependents {
        sync(cluster, by, dependent)?;
    }
    let blocks = |dependent: &ObjectKey| {
        let found = cluster.etcd.get(dependent);
        found.is_some_and(|d| {
            d.owner_references()
                .any(|o| o.uid() == object.uid() && o.blocks_deletion())
        })
    };
    if dependents.iter().any(blocks) {
        Ok(())
    } else {
        finalize(cluster, by, key, FOREGROUND)
    }
}

fn finalize(cluster: &mut Cluster, by: &Component, key: &ObjectKey, finalizer: &str) -> Outcome {
    let done = cluster.modify(by, key, Subresource::None, |object| {
        object["metadata"]["finalizers"]
            .array_mut()
            .retain(|f| f.str() != finalizer);
        if object["metadata"]["finalizers"].is_empty() {
            object.remove(&["metadata", "finalizers"]);
        }
    });
    match done {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}
