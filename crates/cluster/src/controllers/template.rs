//! Pods made from templates, and the hash that names a template
//! (kubernetes v1.37, `pkg/controller/controller_utils.go`).

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectMeta, Value, names, object};

use super::pods;
use crate::cluster::Cluster;
use crate::event::Component;

/// The pod that a template describes, owned by `owner`, to be named after it.
pub(crate) fn pod(template: &Value, owner: &Value) -> Value {
    let mut metadata = object([
        ("namespace", owner["metadata"]["namespace"].clone()),
        ("ownerReferences", vec![pods::controller_ref(owner)].into()),
    ]);
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_empty() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    let prefix = format!("{}-", owner.name());
    // A prefix that is no subdomain is left to the API server's own complaint.
    metadata["generateName"] = prefix.into();
    object([
        ("apiVersion", "v1".into()),
        ("kind", "Pod".into()),
        ("metadata", metadata),
        ("spec", template["spec"].clone()),
    ])
}

/// Creates a pod for its owner, and says so in an event.
pub(crate) fn create_pod(
    cluster: &mut Cluster,
    by: &Component,
    owner: &Value,
    pod: Value,
) -> Result<Value, Status> {
    match cluster.create(by, pod) {
        Ok(pod) => {
            cluster.record(
                by,
                owner,
                "SuccessfulCreate",
                &format!("Created pod: {}", pod.name()),
            );
            Ok(pod)
        }
        Err(status) => {
            if !is_terminating(&status) {
                cluster.warn(
                    by,
                    owner,
                    "FailedCreate",
                    &format!("Error creating: {}", status.message),
                );
            }
            Err(status)
        }
    }
}

/// Deletes a pod of an owner, and says so in an event.
pub(crate) fn delete_pod(
    cluster: &mut Cluster,
    by: &Component,
    owner: &Value,
    key: &kubarium_objects::ObjectKey,
) -> Result<(), Status> {
    match cluster.delete(by, key, &Default::default()) {
        Ok(_) => {
            cluster.record(
                by,
                owner,
                "SuccessfulDelete",
                &format!("Deleted pod: {}", key.name),
            );
            Ok(())
        }
        Err(status) if status.code == 404 => Ok(()),
        Err(status) => {
            cluster.warn(
                by,
                owner,
                "FailedDelete",
                &format!("Error deleting: {}", status.message),
            );
            Err(status)
        }
    }
}

/// Whether a creation was refused because its namespace is going.
pub(crate) fn is_terminating(status: &Status) -> bool {
    status.code == 403 && status.message.contains("because it is being terminated")
}

/// The hash that names a pod template: FNV-1a over the template's text, in the safe alphabet. It
/// is as stable as the real one; its digits are not the real ones, which come from Go's memory
/// layout.
pub(crate) fn hash(template: &Value, collisions: Option<i64>) -> String {
    let mut text = template.to_json();
    if let Some(count) = collisions {
        text.push_str(&count.to_string());
    }
    names::safe_encode(&names::fnv1_32(text.as_bytes()).to_string())
}

/// Whether two templates are equal but for the hash label.
pub(crate) fn equal_ignoring_hash(a: &Value, b: &Value) -> bool {
    let bare = |v: &Value| {
        let mut v = v.clone();
        v.remove(&["metadata", "labels", HASH_LABEL]);
        if v["metadata"]["labels"].is_empty() {
            v.remove(&["metadata", "labels"]);
        }
        v.remove(&["metadata", "creationTimestamp"]);
        if v["metadata"].is_empty() {
            v.remove(&["metadata"]);
        }
        v
    };
    bare(a).same(&bare(b))
}

/// The label with a template's hash.
pub(crate) const HASH_LABEL: &str = "pod-template-hash";
