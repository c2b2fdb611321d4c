//! What may not be changed in an object.

use super::common::Errors;
use super::workload;
use crate::field_error::FieldError;
use crate::schema::Resource;
use crate::value::Value;

const IMMUTABLE: &str = "field is immutable";

pub(super) fn kind(e: &mut Errors, resource: &Resource, new: &Value, old: &Value) {
    match (&*resource.group, &*resource.kind) {
        ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => selector(e, new, old),
        ("apps", "StatefulSet") => stateful_set(e, new, old),
        ("batch", "Job") => job(e, new, old),
        ("", "Pod") => pod(e, new, old),
        ("", "Service") => service(e, new, old),
        ("", "ConfigMap") => immutable_data(e, new, old, &["data", "binaryData"]),
        ("", "Secret") => {
            field(e, "type", &new["type"], &old["type"]);
            immutable_data(e, new, old, &["data"]);
        }
        ("", "PersistentVolume") => volume(e, new, old),
        ("", "PersistentVolumeClaim") => claim(e, new, old),
        ("storage.k8s.io", "StorageClass") => storage_class(e, new, old),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if new["roleRef"] != old["roleRef"] =>
        {
            let r = &new["roleRef"];
            let part = |f: &str| crate::go::json(&r[f]);
            let shown = format!(
                "{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}",
                part("apiGroup"),
                part("kind"),
                part("name")
            );
            e.push(FieldError::invalid_shown("roleRef", shown, IMMUTABLE));
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            if new["value"] != old["value"] {
                e.forbidden("value", "may not be changed in an update.");
            }
            field(
                e,
                "preemptionPolicy",
                &new["preemptionPolicy"],
                &old["preemptionPolicy"],
            );
        }
        ("node.k8s.io", "RuntimeClass") => unnamed(e, "handler", &new["handler"], &old["handler"]),
        ("networking.k8s.io", "IngressClass") => field(
            e,
            "spec.controller",
            &new["spec"]["controller"],
            &old["spec"]["controller"],
        ),
        ("discovery.k8s.io", "EndpointSlice") => {
            field(e, "addressType", &new["addressType"], &old["addressType"])
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            for f in ["group", "scope"] {
                field(e, &format!("spec.{f}"), &new["spec"][f], &old["spec"][f]);
            }
        }
        _ => {}
    }
}

fn field(e: &mut Errors, path: &str, new: &Value, old: &Value) {
    if new != old {
        e.invalid(path, new, IMMUTABLE);
    }
}

fn selector(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"]["selector"], &old["spec"]["selector"]);
    if n != o {
        e.push(FieldError::invalid_shown(
            "spec.selector",
            workload::shown(n),
            IMMUTABLE,
        ));
    }
}

fn stateful_set(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    for f in ["serviceName", "podManagementPolicy"] {
        field(e, &format!("spec.{f}"), &n[f], &o[f]);
    }
    selector(e, new, old);
    // A claim's status is not part of what was asked for.
    let claims = |spec: &Value| {
        let mut list = spec["volumeClaimTemplates"].clone();
        for i in 0..list.items().len() {
            list[i].remove(&["status"]);
        }
        list
    };
    field(e, "spec.volumeClaimTemplates", &claims(n), &claims(o));
}

fn job(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    if n["completions"] != o["completions"] && n["completionMode"].str() != "Indexed" {
        e.invalid("spec.completions", &n["completions"], IMMUTABLE);
    }
    if n["selector"] != o["selector"] {
        e.push(FieldError::invalid_shown(
            "spec.selector",
            workload::shown(&n["selector"]),
            IMMUTABLE,
        ));
    }
    let suspended = o["suspend"].as_bool() == Some(true);
    if n["template"] != o["template"] && !suspended {
        e.invalid("spec.template", &n["template"], IMMUTABLE);
    }
    for f in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
    ] {
        field(e, &format!("spec.{f}"), &n[f], &o[f]);
    }
}

fn pod(e: &mut Errors, new: &Value, old: &Value) {
    let neutral = |v: &Value| {
        let mut spec = v["spec"].clone();
        for list in ["containers", "initContainers"] {
            let count = spec[list as &str].items().len();
            for i in 0..count {
                spec[list][i]["image"] = "".into();
            }
        }
        for f in ["activeDeadlineSeconds", "tolerations"] {
            spec.remove(&[f]);
        }
        spec
    };
    let (n, mut o) = (neutral(new), neutral(old));
    for list in ["containers", "initContainers"] {
        if new["spec"][list].items().len() != old["spec"][list].items().len() {
            return e.forbidden(
                format!("spec.{list}"),
                "pod updates may not add or remove containers",
            );
        }
    }
    // A grace period that was negative may become 1, gates may be taken away.
    if old["spec"]["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|s| s < 0)
        && new["spec"]["terminationGracePeriodSeconds"].as_i64() == Some(1)
    {
        o["terminationGracePeriodSeconds"] = 1.into();
    }
    gates(e, new, old);
    o["schedulingGates"] = n["schedulingGates"].clone();
    let mut n = n;
    n["schedulingGates"] = o["schedulingGates"].clone();
    deadline(e, new, old);
    let kept = |t: &Value| new["spec"]["tolerations"].items().contains(t);
    if !old["spec"]["tolerations"].items().iter().all(kept) {
        e.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
    if n != o {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        e.forbidden("spec", detail);
    }
}

fn gates(e: &mut Errors, new: &Value, old: &Value) {
    let before = old["spec"]["schedulingGates"].items();
    for (i, gate) in new["spec"]["schedulingGates"].items().iter().enumerate() {
        if !before.contains(gate) {
            let name = gate["name"].str();
            e.forbidden(
                format!("spec.schedulingGates[{i}].name"),
                format!("only deletion is allowed, but found new scheduling gate '{name}'"),
            );
        }
    }
}

fn deadline(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (
        new["spec"]["activeDeadlineSeconds"].as_i64(),
        old["spec"]["activeDeadlineSeconds"].as_i64(),
    );
    match (n, o) {
        (Some(n), Some(o)) if n > o => e.invalid(
            "spec.activeDeadlineSeconds",
            n,
            "must be less than or equal to previous value",
        ),
        (None, Some(_)) => e.invalid(
            "spec.activeDeadlineSeconds",
            Value::Null,
            "must not update from a positive integer to nil value",
        ),
        _ => {}
    }
}

fn service(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    let external = |s: &Value| s["type"].str() == "ExternalName";
    if external(n) || external(o) {
        return;
    }
    let (was, is) = (o["clusterIPs"][0].str(), n["clusterIPs"][0].str());
    if !was.is_empty() && was != is {
        e.invalid(
            "spec.clusterIPs[0]",
            &n["clusterIPs"],
            "may not change once set",
        );
    }
}

fn immutable_data(e: &mut Errors, new: &Value, old: &Value, fields: &[&str]) {
    if old["immutable"].as_bool() != Some(true) {
        return;
    }
    let detail = "field is immutable when `immutable` is set";
    if new["immutable"].as_bool() != Some(true) {
        e.forbidden("immutable", detail);
    }
    for f in fields {
        if new[*f] != old[*f] {
            e.forbidden(*f, detail);
        }
    }
}

fn volume(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    let free = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeMode",
        "volumeAttributesClassName",
    ];
    let source = |s: &Value| {
        let mut s = s.clone();
        free.iter().for_each(|f| _ = s.remove(&[f]));
        s
    };
    if source(n) != source(o) {
        e.forbidden(
            "spec.persistentvolumesource",
            "spec.persistentvolumesource is immutable after creation",
        );
    }
    field(e, "spec.volumeMode", &n["volumeMode"], &o["volumeMode"]);
    if !o["nodeAffinity"].is_null() {
        field(
            e,
            "spec.nodeAffinity",
            &n["nodeAffinity"],
            &o["nodeAffinity"],
        );
    }
}

fn claim(e: &mut Errors, new: &Value, old: &Value) {
    // A claim without a class may be given one later, as the default class does.
    let classless = old["spec"].get("storageClassName").is_none();
    let rest = |v: &Value| {
        let mut s = v["spec"].clone();
        for f in ["volumeName", "volumeAttributesClassName", "resources"] {
            s.remove(&[f]);
        }
        if classless {
            s.remove(&["storageClassName"]);
        }
        s
    };
    let bound = old["status"]["phase"].str() == "Bound";
    let (before, after) = (
        &old["spec"]["resources"]["requests"]["storage"],
        &new["spec"]["resources"]["requests"]["storage"],
    );
    let renamed = !old["spec"]["volumeName"].is_null()
        && old["spec"]["volumeName"] != new["spec"]["volumeName"];
    if rest(new) != rest(old) || renamed || (before != after && !bound) {
        e.forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims");
    } else if super::common::quantity(after) < super::common::quantity(before) {
        e.forbidden(
            "spec.resources.requests.storage",
            "field can not be less than status.capacity",
        );
    }
}

fn storage_class(e: &mut Errors, new: &Value, old: &Value) {
    for f in [
        "provisioner",
        "parameters",
        "reclaimPolicy",
        "volumeBindingMode",
    ] {
        unnamed(e, f, &new[f], &old[f]);
    }
}

/// A field that may not change, and whose new value the message does not tell.
fn unnamed(e: &mut Errors, path: &str, new: &Value, old: &Value) {
    if new != old {
        e.invalid(path, Value::Null, IMMUTABLE);
    }
}
