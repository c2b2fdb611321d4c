//! Metadata.

use super::common::{Errors, items};
use crate::meta::ObjectMeta;
use crate::names::{self, Complaints};
use crate::schema::Resource;
use crate::value::Value;

/// How names of a kind must look.
fn name_check(resource: &Resource) -> fn(&str) -> Complaints {
    match (&*resource.group, &*resource.kind) {
        ("", "Namespace" | "Service") | ("apps", "StatefulSet") => names::dns1123_label,
        // Nothing checks the name of a disruption budget.
        ("policy", "PodDisruptionBudget") => |_| Vec::new(),
        ("rbac.authorization.k8s.io", _) => names::path_segment,
        _ => names::dns1123_subdomain,
    }
}

pub(super) fn object(e: &mut Errors, resource: &Resource, o: &Value) {
    let m = o.metadata();
    let check = name_check(resource);
    let (name, base) = (o.name(), m["generateName"].str());
    if !base.is_empty() {
        // What follows is appended: a dash at the end is fine.
        let masked = base
            .strip_suffix('-')
            .filter(|b| !b.is_empty())
            .map_or(base.to_string(), |b| format!("{b}a"));
        for why in check(&masked) {
            e.invalid("metadata.generateName", base, why);
        }
    }
    if !name.is_empty() {
        e.names("metadata.name", name, check(name));
    } else if base.is_empty() {
        e.required("metadata.name", "name or generateName is required");
    }
    if resource.namespaced {
        e.names(
            "metadata.namespace",
            o.namespace(),
            names::dns1123_label(o.namespace()),
        );
    }
    e.non_negative("metadata.generation", &m["generation"]);
    e.labels("metadata.labels", &m["labels"]);
    annotations(e, "metadata.annotations", &m["annotations"]);
    owners(e, m);
    let standard = ["kubernetes", "orphan", "foregroundDeletion"];
    for (path, f) in items(&m["finalizers"], "metadata.finalizers") {
        e.names(
            "metadata.finalizers",
            f.str(),
            names::qualified_name(f.str()),
        );
        if !f.str().contains('/') && !standard.contains(&f.str()) {
            e.invalid(
                path,
                f,
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
    }
}

pub(super) fn annotations(e: &mut Errors, path: &str, annotations: &Value) {
    let mut size = 0;
    for (key, v) in annotations.entries() {
        e.names(path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + v.str().len();
    }
    if size > 256 << 10 {
        e.push(crate::FieldError::too_long(path, 256 << 10));
    }
}

fn owners(e: &mut Errors, m: &Value) {
    let mut controllers = 0;
    for (path, owner) in items(&m["ownerReferences"], "metadata.ownerReferences") {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].str().is_empty() {
                e.required(format!("{path}.{field}"), "must not be empty");
            }
        }
        controllers += usize::from(owner["controller"].as_bool() == Some(true));
    }
    if controllers > 1 {
        e.invalid(
            "metadata.ownerReferences",
            &m["ownerReferences"],
            "Only one reference can have Controller set to true",
        );
    }
}

/// What may not change in metadata.
pub(super) fn immutable(e: &mut Errors, new: &Value, old: &Value) {
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let (n, o) = (&new.metadata()[field], &old.metadata()[field]);
        if n != o && !n.is_null() {
            e.invalid(format!("metadata.{field}"), n, "field is immutable");
        }
    }
}
