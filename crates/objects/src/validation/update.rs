//! What may not be changed in an object.

use super::common::Errors;
use super::{frozen, workload};
use crate::field_error::FieldError;
use crate::internal;
use crate::schema::Resource;
use crate::value::{Text, Value};

pub(super) const IMMUTABLE: &str = "field is immutable";

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
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            internal_field(e, "roleRef", "RoleRef", &new["roleRef"], &old["roleRef"]);
        }
        ("", "Node") => node(e, new, old),
        ("", "ResourceQuota") => {
            let sorted = |q: &Value| -> std::collections::BTreeSet<Text> {
                q["spec"]["scopes"]
                    .items()
                    .iter()
                    .map(Value::text)
                    .collect()
            };
            if sorted(new) != sorted(old) {
                e.invalid("spec.scopes", &new["spec"]["scopes"], IMMUTABLE);
            }
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
            unnamed(e, "addressType", &new["addressType"], &old["addressType"]);
        }
        _ => frozen::kind(e, resource, new, old),
    }
}

pub(super) fn field(e: &mut Errors, path: &str, new: &Value, old: &Value) {
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
    if claims(n) != claims(o) {
        e.push(FieldError::invalid_shown(
            "spec.volumeClaimTemplates",
            internal::json("[PersistentVolumeClaim", &n["volumeClaimTemplates"]),
            IMMUTABLE,
        ));
    }
}

/// A field that may not change; the message prints the API server's own struct.
fn internal_field(e: &mut Errors, path: &str, kind: &str, new: &Value, old: &Value) {
    if new != old {
        let shown = internal::json(kind, new);
        e.push(FieldError::invalid_shown(path, shown, IMMUTABLE));
    }
}

/// What a machine is called elsewhere, and its pods' addresses, are given once.
fn node(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    let (is, was) = (n["podCIDRs"].items(), o["podCIDRs"].items());
    let changed = match is.len() == was.len() {
        true => is.iter().zip(was).filter(|(is, was)| is != was).count(),
        false => usize::from(!was.is_empty()),
    };
    for _ in 0..changed {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        e.forbidden("spec.podCIDRs", why);
    }
    if !o["providerID"].is_empty() && n["providerID"] != o["providerID"] {
        let how = if n["providerID"].is_empty() {
            "cleared"
        } else {
            "modified"
        };
        let why = format!("field cannot be {how} once set");
        e.invalid("spec.providerID", Value::Null, why);
    }
}

fn job(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    let completions = &n["completions"];
    if completions != &o["completions"] {
        if n["completionMode"].str() != "Indexed" {
            e.invalid("spec.completions", completions, IMMUTABLE);
        } else if !completions.is_null() && completions != &n["parallelism"] {
            e.invalid(
                "spec.completions",
                completions,
                "can only be modified in tandem with spec.parallelism",
            );
        }
    }
    internal_field(e, "spec.selector", "*l", &n["selector"], &o["selector"]);
    let suspended = o["suspend"].as_bool() == Some(true);
    let mut conditions = old["status"]["conditions"].items().iter();
    let at_rest = old["status"]["startTime"].is_null()
        || conditions.any(|c| c["type"].str() == "Suspended" && c["status"].str() == "True");
    if suspended && at_rest && old["status"]["active"].as_i64().unwrap_or(0) == 0 {
        suspended_template(e, &n["template"], &o["template"]);
    } else {
        let path = "spec.template";
        internal_field(e, path, "PodTemplateSpec", &n["template"], &o["template"]);
    }
    field(
        e,
        "spec.completionMode",
        &n["completionMode"],
        &o["completionMode"],
    );
    for (f, kind) in [
        ("podFailurePolicy", "*PodFailurePolicy"),
        ("successPolicy", "*SuccessPolicy"),
    ] {
        internal_field(e, &format!("spec.{f}"), kind, &n[f], &o[f]);
    }
    for f in ["backoffLimitPerIndex", "managedBy"] {
        field(e, &format!("spec.{f}"), &n[f], &o[f]);
    }
}

/// While a Job rests, it may be told where its pods may run and what they may use.
fn suspended_template(e: &mut Errors, new: &Value, old: &Value) {
    let mut template = old.clone();
    for path in [
        &["metadata", "annotations"][..],
        &["metadata", "labels"],
        &["spec", "nodeSelector"],
        &["spec", "tolerations"],
        &["spec", "schedulingGates"],
        &["spec", "affinity", "nodeAffinity"],
    ] {
        match new.at(path) {
            Value::Null => drop(template.remove(path)),
            value => template.set(path, value.clone()),
        }
    }
    if new["spec"]["affinity"].is_null() && template["spec"]["affinity"].is_empty() {
        template.remove(&["spec", "affinity"]);
    }
    for list in ["containers", "initContainers"] {
        let wanted = new["spec"][list].items();
        if wanted.len() != template["spec"][list].items().len() {
            continue;
        }
        for (at, wanted) in wanted.iter().enumerate() {
            let kept = &mut template["spec"][list][at];
            if kept["name"] == wanted["name"] {
                match wanted.get("resources") {
                    Some(resources) => kept["resources"] = resources.clone(),
                    None => drop(kept.remove(&["resources"])),
                }
            }
        }
    }
    let path = "spec.template.spec";
    internal_field(e, path, "PodSpec", &new["spec"], &template["spec"]);
}

fn pod(e: &mut Errors, new: &Value, old: &Value) {
    frozen::mirror(e, new, old);
    let (n, o) = (&new["spec"], &old["spec"]);
    for list in ["containers", "initContainers"] {
        if n[list].items().len() != o[list].items().len() {
            return e.forbidden(
                format!("spec.{list}"),
                "pod updates may not add or remove containers",
            );
        }
    }
    if !deadline(e, new, old) {
        return;
    }
    let kept = |old: &Value| {
        n["tolerations"].items().iter().any(|new| {
            let mut same = old.clone();
            same["tolerationSeconds"] = new["tolerationSeconds"].clone();
            if same["tolerationSeconds"].is_null() {
                same.remove(&["tolerationSeconds"]);
            }
            same == *new
        })
    };
    if !o["tolerations"].items().iter().all(kept) {
        e.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
    gates(e, new, old);
    // What may be changed is set back before the rest is compared.
    let mut rest = n.clone();
    let set_back = |rest: &mut Value, field: &str| match o.get(field) {
        Some(value) => rest[field] = value.clone(),
        None => drop(rest.remove(&[field])),
    };
    for list in ["containers", "initContainers"] {
        for at in 0..o[list].items().len() {
            rest[list][at]["image"] = o[list][at]["image"].clone();
        }
    }
    ephemeral_containers(e, n, o);
    for field in [
        "activeDeadlineSeconds",
        "schedulingGates",
        "tolerations",
        "ephemeralContainers",
    ] {
        set_back(&mut rest, field);
    }
    let grace = |s: &Value| s["terminationGracePeriodSeconds"].as_i64();
    if grace(o).is_some_and(|s| s < 0) && grace(n) == Some(1) {
        set_back(&mut rest, "terminationGracePeriodSeconds");
    }
    if !o["schedulingGates"].is_empty() {
        let selector = |s: &Value| s["nodeSelector"].clone();
        let added = |(k, v): &(Text, Value)| n["nodeSelector"].get(k) == Some(v);
        if !selector(o).entries().iter().all(added) {
            e.invalid(
                "spec.nodeSelector",
                &n["nodeSelector"],
                "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
            );
        }
        set_back(&mut rest, "nodeSelector");
        node_affinity(e, n, o);
        let others = ["podAffinity", "podAntiAffinity"];
        let alone = others.iter().all(|f| n["affinity"][*f].is_null());
        match o["affinity"].get("nodeAffinity") {
            Some(affinity) => rest["affinity"]["nodeAffinity"] = affinity.clone(),
            None if o["affinity"].is_null() && alone => drop(rest.remove(&["affinity"])),
            None => drop(rest.remove(&["affinity", "nodeAffinity"])),
        }
    }
    if rest != *o {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        let diff = internal::diff("PodSpec", o, &rest);
        e.forbidden("spec", format!("{detail}\n{diff}"));
    }
}

/// A pod's containers get other resources (`ValidatePodResize`).
pub(super) fn resize(e: &mut Errors, new: &Value, old: &Value) {
    if !old["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null() {
        return e.forbidden("", "static pods cannot be resized");
    }
    if old["spec"]["os"]["name"].str() == "windows" {
        return e.forbidden("", "windows pods cannot be resized");
    }
    let mut rest = new["spec"].clone();
    for list in ["containers", "initContainers"] {
        for (at, was) in old["spec"][list].items().iter().enumerate() {
            if list == "initContainers" && was["restartPolicy"].str() != "Always" {
                continue;
            }
            let is = &new["spec"][list][at];
            for kind in ["limits", "requests"] {
                let lost = |(name, _): &(Text, Value)| is["resources"][kind].get(name).is_none();
                if was["resources"][kind].entries().iter().any(lost) {
                    e.forbidden(
                        format!("spec.{list}[{at}].resources.{kind}"),
                        format!("resource {kind} cannot be removed"),
                    );
                }
                for resource in ["cpu", "memory"] {
                    let path = ["resources", kind, resource];
                    match was.at(&path).is_null() {
                        false => {
                            rest[list][at]["resources"][kind][resource] = was.at(&path).clone()
                        }
                        true => drop(rest[list][at].remove(&path)),
                    }
                }
            }
            // An empty list counts as none.
            if rest[list][at]["resources"]
                .entries()
                .iter()
                .all(|(_, v)| v.is_empty())
            {
                rest[list][at]["resources"] = was["resources"].clone();
            }
            for kind in ["limits", "requests"] {
                if was["resources"][kind].is_empty() && rest[list][at]["resources"][kind].is_empty()
                {
                    match was["resources"].get(kind) {
                        Some(empty) => rest[list][at]["resources"][kind] = empty.clone(),
                        None => drop(rest[list][at].remove(&["resources", kind])),
                    }
                }
            }
        }
    }
    let class = &old["status"]["qosClass"];
    if super::pod::qos_class(&new["spec"]) != class.str() {
        e.invalid(
            "spec",
            class,
            "Pod QOS Class may not change as a result of resizing",
        );
    }
    if rest != old["spec"] {
        let diff = internal::diff("PodSpec", &old["spec"], &rest);
        let detail = "only cpu and memory resources are mutable";
        e.forbidden("spec", format!("{detail}\n{diff}"));
    }
}

/// Ephemeral containers come, and neither go nor change (`ValidatePodEphemeralContainersUpdate`).
fn ephemeral_containers(e: &mut Errors, new: &Value, old: &Value) {
    let path = "spec.ephemeralContainers";
    let list = new["ephemeralContainers"].items();
    for was in old["ephemeralContainers"].items() {
        let name = crate::go::quote(was["name"].str());
        match list.iter().find(|c| c["name"] == was["name"]) {
            None => e.forbidden(
                path,
                format!("existing ephemeral containers {name} may not be removed\n"),
            ),
            Some(is) if is != was => {
                let diff = internal::diff("EphemeralContainer", was, is);
                e.forbidden(
                    path,
                    format!("existing ephemeral containers {name} may not be changed\n{diff}"),
                );
            }
            Some(_) => {}
        }
    }
}

/// The terms of a pod that waits for its gates may become stricter.
fn node_affinity(e: &mut Errors, new: &Value, old: &Value) {
    const TERMS: [&str; 4] = [
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    ];
    let (n, o) = (new.at(&TERMS), old.at(&TERMS));
    if o.items().is_empty() || n == o {
        return;
    }
    let path = format!("spec.{}", TERMS.join("."));
    if n.items().len() != o.items().len() {
        return e.push(FieldError::invalid_shown(
            path,
            internal::json("[NodeSelectorTerm", n),
            "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        ));
    }
    for (at, (n, o)) in n.items().iter().zip(o.items()).enumerate() {
        let starts = |field: &str| n[field].items().starts_with(o[field].items());
        if !starts("matchExpressions") || !starts("matchFields") {
            e.push(FieldError::invalid_shown(
                format!("{path}[{at}]"),
                internal::json("NodeSelectorTerm", n),
                "only additions are allowed (no mutations or deletions)",
            ));
        }
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

/// Whether what follows is to be looked at.
fn deadline(e: &mut Errors, new: &Value, old: &Value) -> bool {
    let of = |v: &Value| v["spec"]["activeDeadlineSeconds"].as_i64();
    let path = "spec.activeDeadlineSeconds";
    match (of(new), of(old)) {
        (Some(n), _) if !(0..=i64::from(i32::MAX)).contains(&n) => {
            e.invalid(path, n, "must be between 0 and 2147483647, inclusive");
            false
        }
        (Some(n), Some(o)) if n > o => {
            e.invalid(path, n, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            e.invalid(
                path,
                Value::Null,
                "must not update from a positive integer to nil value",
            );
            true
        }
        _ => true,
    }
}

fn service(e: &mut Errors, new: &Value, old: &Value) {
    let (n, o) = (&new["spec"], &old["spec"]);
    let is = |s: &Value, kind: &str| s["type"].str() == kind;
    if is(n, "LoadBalancer")
        && is(o, "LoadBalancer")
        && n["loadBalancerClass"] != o["loadBalancerClass"]
    {
        e.invalid(
            "spec.loadBalancerClass",
            &n["loadBalancerClass"],
            "may not change once set",
        );
    }
    let checked = |s: &Value| is(s, "LoadBalancer") && s["externalTrafficPolicy"].str() == "Local";
    if checked(n) && checked(o) && n["healthCheckNodePort"] != o["healthCheckNodePort"] {
        e.forbidden("spec.healthCheckNodePort", "field is immutable");
    }
    if is(n, "ExternalName") || is(o, "ExternalName") {
        return;
    }
    let headless = |s: &Value| s["clusterIPs"][0].str() == "None";
    if headless(n) && headless(o) {
        return;
    }
    kept(e, n, o, "clusterIPs", "clusterIP");
    if headless(n) == headless(o) {
        kept(e, n, o, "ipFamilies", "ipFamily");
    }
}

/// A list whose first item stays, and whose second comes and goes with the policy of families.
fn kept(e: &mut Errors, n: &Value, o: &Value, list: &str, one: &str) {
    let once = "may not change once set";
    let (is, was) = (n[list].items(), o[list].items());
    if is.len() == was.len() {
        for at in (0..was.len()).filter(|at| is[*at] != was[*at]) {
            let at = if list == "ipFamilies" { 0 } else { at };
            e.invalid(format!("spec.{list}[{at}]"), &n[list], once);
        }
        return;
    }
    if is.is_empty() {
        let why = format!("primary {one} can not be unset");
        e.invalid(format!("spec.{list}[0]"), &n[list], why);
    } else if !was.is_empty() && is[0] != was[0] {
        e.invalid(format!("spec.{list}[0]"), &n[list], once);
    }
    if was.len() > is.len() && is.len() == 1 && n["ipFamilyPolicy"].str() != "SingleStack" {
        e.invalid(
            "spec.ipFamilyPolicy",
            &n["ipFamilyPolicy"],
            format!("must be set to 'SingleStack' when releasing the secondary {one}"),
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
    let mut n_source = source(n);
    let secret = ["csi", "controllerExpandSecretRef"];
    if !o["csi"].is_null() && o.at(&secret).is_null() {
        n_source.remove(&secret);
    }
    if n_source != source(o) {
        let diff = internal::diff("PersistentVolumeSource", &source(o), &n_source);
        e.forbidden(
            "spec.persistentvolumesource",
            format!("spec.persistentvolumesource is immutable after creation\n{diff}"),
        );
    }
    field(e, "volumeMode", &n["volumeMode"], &o["volumeMode"]);
    if !o["nodeAffinity"].is_null() && n["nodeAffinity"] != o["nodeAffinity"] {
        e.push(FieldError::invalid_shown(
            "nodeAffinity",
            internal::json("*VolumeNodeAffinity", &n["nodeAffinity"]),
            format!("{IMMUTABLE}, except for updating from beta label to GA"),
        ));
    }
    let class = "volumeAttributesClassName";
    if !o[class].is_null() && n[class].is_null() {
        e.forbidden(
            format!("spec.{class}"),
            "update from non-nil value to nil is forbidden",
        );
    }
}

fn claim(e: &mut Errors, new: &Value, old: &Value) {
    const ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
    let (mut n, mut o) = (new["spec"].clone(), old["spec"].clone());
    if o["volumeName"].is_empty() && !n["volumeName"].is_empty() {
        o["volumeName"] = n["volumeName"].clone();
    }
    let annotation = |v: &Value| v["metadata"]["annotations"][ANNOTATION].clone();
    if annotation(new) != annotation(old) {
        e.invalid(
            format!("metadata.annotations[{ANNOTATION}]"),
            annotation(new).str(),
            IMMUTABLE,
        );
    }
    // A claim without a class may be given one later, as the default class does.
    if o["storageClassName"].is_null() && n.get("storageClassName").is_some() {
        n.remove(&["storageClassName"]);
    }
    let storage = ["resources", "requests", "storage"];
    let (before, after) = (o.at(&storage).clone(), n.at(&storage).clone());
    if new["status"]["phase"].str() == "Bound" {
        if !n["resources"]["requests"].is_null() {
            n.set(&storage, before.clone());
        }
        match o.get("volumeAttributesClassName") {
            Some(class) => n["volumeAttributesClassName"] = class.clone(),
            None => drop(n.remove(&["volumeAttributesClassName"])),
        }
    }
    if n != o {
        let diff = internal::diff("PersistentVolumeClaimSpec", &o, &n);
        e.forbidden("spec", format!("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{diff}"));
    }
    let amount = super::common::quantity;
    let held = old["status"]["capacity"].get("storage").map(amount);
    if amount(&after) < amount(&before) && held.is_some_and(|held| amount(&after) <= held) {
        e.forbidden(
            "spec.resources.requests.storage",
            "field can not be less than status.capacity",
        );
    }
    field(
        e,
        "volumeMode",
        &new["spec"]["volumeMode"],
        &old["spec"]["volumeMode"],
    );
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
pub(super) fn unnamed(e: &mut Errors, path: &str, new: &Value, old: &Value) {
    if new != old {
        e.invalid(path, Value::Null, IMMUTABLE);
    }
}
