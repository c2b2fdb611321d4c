//! Metadata.

use super::common::{Errors, items};
use crate::field_error::FieldError;
use crate::meta::ObjectMeta;
use crate::names::{self, Complaints};
use crate::schema::Resource;
use crate::value::Value;

/// How names of a kind must look.
fn name_check(resource: &Resource) -> fn(&str) -> Complaints {
    match (&*resource.group, &*resource.kind) {
        ("", "Namespace" | "Service") | ("apps", "StatefulSet") => names::dns1123_label,
        // It follows from what the object says.
        ("apiregistration.k8s.io", "APIService") => names::path_segment,
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
    let finalizers = &m["finalizers"];
    let both = ["orphan", "foregroundDeletion"];
    if both
        .iter()
        .all(|f| finalizers.items().iter().any(|g| g.str() == *f))
    {
        e.invalid(
            "metadata.finalizers",
            finalizers,
            "finalizer orphan and foregroundDeletion cannot be both set",
        );
    }
    let standard = ["kubernetes", "orphan", "foregroundDeletion"];
    // Some groups use the library's validation alone, which asks less.
    let is_strict = !matches!(
        &*resource.group,
        "admissionregistration.k8s.io"
            | "apiextensions.k8s.io"
            | "coordination.k8s.io"
            | "node.k8s.io"
    );
    for (path, f) in items(&m["finalizers"], "metadata.finalizers") {
        e.names(
            "metadata.finalizers",
            f.str(),
            names::qualified_name(f.str()),
        );
        if is_strict && !f.str().contains('/') && !standard.contains(&f.str()) {
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
        e.push(FieldError::too_long(path, 256 << 10));
    }
}

fn owners(e: &mut Errors, m: &Value) {
    let at = "metadata.ownerReferences";
    let mut controller: Option<String> = None;
    for (path, owner) in items(&m["ownerReferences"], at) {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].str().is_empty() {
                e.required(format!("{path}.{field}"), "must not be empty");
            }
        }
        let version = owner["apiVersion"].str();
        let no_version = !version.is_empty() && version.ends_with('/');
        if version.matches('/').count() > 1 || no_version {
            e.invalid(
                format!("{path}.apiVersion"),
                version,
                "must be <group>/<version> or <version>",
            );
        }
        let is = |field: &str, value: &str| owner[field].str() == value;
        if is("apiVersion", "v1") && is("kind", "Event") {
            e.push(FieldError::invalid_shown(
                &*path,
                shown_owner(owner),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if owner["controller"].as_bool() != Some(true) {
            continue;
        }
        let this = format!("{}/{}", owner["kind"].str(), owner["name"].str());
        match &controller {
            Some(first) => {
                let list = m["ownerReferences"].items().iter().map(shown_owner);
                let list: Vec<String> = list.collect();
                e.push(FieldError::invalid_shown(
                    at,
                    format!("[{}]", list.join(",")),
                    format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"),
                ));
            }
            None => controller = Some(this),
        }
    }
}

/// An owner as Go prints it: fields in the order of their declaration.
fn shown_owner(owner: &Value) -> String {
    let fields = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let given = fields.iter().filter(|f| !owner[**f].is_null());
    let parts: Vec<String> = given
        .map(|f| format!("\"{f}\":{}", crate::go::json(&owner[*f])))
        .collect();
    format!("{{{}}}", parts.join(","))
}

/// What may not change in metadata.
pub(super) fn immutable(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (new.metadata(), old.metadata());
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        if n[field] != o[field] && !n[field].is_null() {
            e.invalid(format!("metadata.{field}"), &n[field], "field is immutable");
        }
    }
    if o["deletionTimestamp"].is_null() {
        return;
    }
    let before = o["finalizers"].items();
    let added: Vec<String> = n["finalizers"]
        .items()
        .iter()
        .filter(|f| !before.contains(f))
        .map(|f| crate::go::quote(f.str()))
        .collect();
    if !added.is_empty() {
        e.forbidden(
            "metadata.finalizers",
            format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            ),
        );
    }
}
