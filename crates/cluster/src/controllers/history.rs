//! The earlier pod templates of StatefulSets and DaemonSets, kept as ControllerRevisions
//! (kubernetes v1.37, `pkg/controller/history`).

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{pods, template};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::Cluster;
use crate::event::Component;

const RESOURCE: &str = "controllerrevisions.apps";
/// The label of pods that tells their revision, and of a DaemonSet's revisions.
pub(super) const HASH: &str = "controller-revision-hash";
/// The label of a StatefulSet's revisions.
const REVISION_HASH: &str = "controller.kubernetes.io/hash";

/// The revisions of a set, oldest first.
pub(super) fn revisions(cluster: &Cluster, set: &Value) -> Vec<Value> {
    let dependents = cluster
        .index
        .dependents(set.uid())
        .filter(|k| &*k.resource == RESOURCE);
    let mut found: Vec<Value> = dependents
        .filter_map(|k| cluster.etcd.get(k))
        .cloned()
        .collect();
    found.sort_by(|a, b| {
        number(a)
            .cmp(&number(b))
            .then_with(|| a.name().cmp(b.name()))
    });
    found
}

fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or(0)
}

/// The pod template of a revision.
pub(super) fn template_of(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    template.remove(&["$patch"]);
    template
}

/// The revision of the set's present template, made where it is not there; the latest number is
/// its.
pub(super) fn sync(cluster: &mut Cluster, by: &Component, set: &Value) -> Result<Value, Status> {
    let revisions = revisions(cluster, set);
    let next = revisions.iter().map(number).max().unwrap_or(0) + 1;
    let wanted = &set["spec"]["template"];
    if let Some(found) = revisions.iter().rev().find(|r| template_of(r).same(wanted)) {
        if number(found) + 1 == next {
            return Ok(found.clone());
        }
        let mut renewed = found.clone();
        renewed["revision"] = next.into();
        return cluster.update(by, renewed);
    }
    let mut collisions = set["status"]["collisionCount"].as_i64();
    loop {
        let revision = revision(set, next, collisions);
        let key = ObjectKey::new(RESOURCE, set.namespace(), revision.name());
        match cluster.create(by, revision.clone()) {
            Err(status) if status.code == 409 => match cluster.etcd.get(&key) {
                // Another set of this name may have made the very same.
                Some(there) if there["data"] == revision["data"] => return Ok(there.clone()),
                Some(_) => {
                    collisions = Some(collisions.unwrap_or(0) + 1);
                    let own = ObjectKey::new(resource_of(set), set.namespace(), set.name());
                    cluster.modify(by, &own, Subresource::Status, |set| {
                        set["status"]["collisionCount"] = collisions.into();
                    })?;
                }
                None => return Err(status),
            },
            made => return made,
        }
    }
}

fn resource_of(set: &Value) -> &'static str {
    match set.kind() {
        "DaemonSet" => "daemonsets.apps",
        _ => "statefulsets.apps",
    }
}

/// A revision of the set's present template.
fn revision(set: &Value, number: i64, collisions: Option<i64>) -> Value {
    let wanted = &set["spec"]["template"];
    let hash = template::hash(wanted, collisions);
    let mut data = wanted.clone();
    data["$patch"] = "replace".into();
    let mut labels = match wanted["metadata"]["labels"].clone() {
        Value::Null => Value::new_object(),
        labels => labels,
    };
    let key = if set.kind() == "DaemonSet" {
        HASH
    } else {
        REVISION_HASH
    };
    labels[key] = hash.as_str().into();
    let mut metadata = object([
        ("labels", labels),
        ("name", format!("{}-{hash}", set.name()).into()),
        ("namespace", set["metadata"]["namespace"].clone()),
        ("ownerReferences", vec![pods::controller_ref(set)].into()),
    ]);
    if !set.annotations().is_empty() {
        metadata["annotations"] = set.annotations().clone();
    }
    object([
        ("apiVersion", "apps/v1".into()),
        ("data", object([("spec", object([("template", data)]))])),
        ("kind", "ControllerRevision".into()),
        ("metadata", metadata),
        ("revision", number.into()),
    ])
}

/// The hash by which a revision's pods are labelled.
pub(super) fn hash_of(revision: &Value) -> Text {
    let labels = &revision["metadata"]["labels"];
    match labels[HASH].is_null() {
        true => labels[REVISION_HASH].text(),
        false => labels[HASH].text(),
    }
}

/// Deletes the oldest revisions beyond the limit that no pod has.
pub(super) fn truncate(
    cluster: &mut Cluster,
    by: &Component,
    set: &Value,
    live: impl Fn(&Value) -> bool,
) -> Result<(), Status> {
    let limit =
        usize::try_from(set["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(10)).unwrap_or(0);
    let idle: Vec<Value> = revisions(cluster, set)
        .into_iter()
        .filter(|r| !live(r))
        .collect();
    for revision in idle.iter().take(idle.len().saturating_sub(limit)) {
        let key = ObjectKey::new(RESOURCE, revision.namespace(), revision.name());
        cluster.delete(by, &key, &DeleteOptions::default())?;
    }
    Ok(())
}
