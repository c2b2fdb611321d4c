//! PersistentVolumes, claims, StorageClasses.

use std::collections::BTreeSet;

use super::common::{Errors, items, keys, quantity};
use super::{scheduling, volume};
use crate::field_error::FieldError;
use crate::go;
use crate::names;
use crate::value::Value;

const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
fn access_modes(e: &mut Errors, path: &str, modes: &Value, missing: &str) {
    let at = format!("{path}.accessModes");
    if modes.items().is_empty() {
        e.required(at.clone(), missing);
    }
    for mode in modes.items() {
        e.one_of(at.clone(), mode, &ACCESS_MODES);
    }
    let once_pod = modes.items().iter().any(|m| m.str() == "ReadWriteOncePod");
    let other = modes
        .items()
        .iter()
        .any(|m| m.str() != "ReadWriteOncePod" && ACCESS_MODES.contains(&m.str()));
    if once_pod && other {
        e.forbidden(at, "may not use ReadWriteOncePod with other access modes");
    }
}

pub(super) fn persistent_volume(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    access_modes(e, "spec", &spec["accessModes"], "");
    let capacity = &spec["capacity"];
    if capacity.is_empty() {
        e.required("spec.capacity", "");
    }
    if capacity["storage"].is_null() || capacity.entries().len() > 1 {
        let shown = if capacity.is_null() {
            "null".into()
        } else {
            go::json(capacity)
        };
        e.push(FieldError::not_supported_shown(
            "spec.capacity",
            shown,
            &["storage"],
        ));
    }
    for (p, _, amount) in keys(capacity, "spec.capacity") {
        let q = quantity(amount);
        if q.sign() < 0 {
            e.invalid(p.clone(), q.value(), "must be a valid resource quantity");
        }
        if q.sign() <= 0 {
            e.invalid(p, q.to_string(), "must be greater than zero");
        }
    }
    e.one_of(
        "spec.persistentVolumeReclaimPolicy",
        &spec["persistentVolumeReclaimPolicy"],
        &["Delete", "Recycle", "Retain"],
    );
    if !spec["nodeAffinity"].is_null() {
        let required = &spec["nodeAffinity"]["required"];
        if required.is_null() {
            e.required(
                "spec.nodeAffinity.required",
                "must specify required node constraints",
            );
        } else {
            scheduling::node_selector(e, "spec.nodeAffinity.required", required);
        }
    }
    let kinds = volume::kinds(spec, true);
    volume::several(e, "spec", &kinds, true);
    match kinds.first() {
        None => e.required("spec", "must specify a volume type"),
        Some(&kind) => {
            volume::shared(e, "spec", kind, &spec[kind]);
            if kind != "flexVolume" && !spec["flexVolume"].is_null() {
                volume::shared(e, "spec", "flexVolume", &spec["flexVolume"]);
            }
            persistent(e, &format!("spec.{kind}"), kind, &spec[kind]);
            if kind == "local" && spec["nodeAffinity"].is_null() {
                e.required("spec.nodeAffinity", "Local volume requires node affinity");
            }
        }
    }
    class_name(e, "spec", spec);
    e.one_of(
        "spec.volumeMode",
        &spec["volumeMode"],
        &["Block", "Filesystem"],
    );
    if let Some(class) = spec["volumeAttributesClassName"].as_str() {
        let at = "spec.volumeAttributesClassName";
        if class.is_empty() {
            e.required(at, "an empty string is disallowed");
        } else {
            e.names(at, class, names::dns1123_subdomain(class));
        }
        if spec["csi"].is_null() {
            e.required(
                "spec.csi",
                "has to be specified when using volumeAttributesClassName",
            );
        }
    }
    let host = spec["hostPath"]["path"].str();
    let root = !host.is_empty() && host.trim_matches('/').is_empty();
    if root && spec["persistentVolumeReclaimPolicy"].str() == "Recycle" {
        e.forbidden(
            "spec.persistentVolumeReclaimPolicy",
            "may not be 'recycle' for a hostPath mount of '/'",
        );
    }
}

fn class_name(e: &mut Errors, path: &str, spec: &Value) {
    let class = spec["storageClassName"].str();
    if !class.is_empty() {
        e.names(
            format!("{path}.storageClassName"),
            class,
            names::dns1123_subdomain(class),
        );
    }
}

/// What is asked of a PersistentVolume's source beside what every volume's is.
fn persistent(e: &mut Errors, path: &str, kind: &str, s: &Value) {
    match kind {
        "csi" => {
            if s["volumeHandle"].is_empty() {
                e.required(format!("{path}.volumeHandle"), "");
            }
            for field in [
                "controllerPublishSecretRef",
                "controllerExpandSecretRef",
                "nodePublishSecretRef",
                "nodeExpandSecretRef",
            ] {
                if !s[field].is_null() {
                    secret_reference(e, &format!("{path}.{field}"), &s[field]);
                }
            }
        }
        "azureFile" if s["secretNamespace"].as_str() == Some("") => {
            e.required(format!("{path}.secretNamespace"), "");
        }
        "glusterfs" => {
            let Some(namespace) = s["endpointsNamespace"].as_str() else {
                return;
            };
            let at = format!("{path}.endpointsNamespace");
            if namespace.is_empty() {
                e.invalid(
                    at,
                    namespace,
                    "if the endpointnamespace is set, it must be a valid namespace name",
                );
            } else {
                e.names(at, namespace, names::dns1123_label(namespace));
            }
        }
        "storageos" if !s["volumeNamespace"].is_empty() => {
            let namespace = s["volumeNamespace"].str();
            let at = format!("{path}.volumeNamespace");
            e.names(at, namespace, names::dns1123_label(namespace));
        }
        "cinder" | "storageos" | "iscsi" if !s["secretRef"].is_null() => {
            let fields: &[&str] = if kind == "iscsi" {
                &["name"]
            } else {
                &["name", "namespace"]
            };
            for field in fields.iter().filter(|f| s["secretRef"][**f].is_empty()) {
                e.required(format!("{path}.secretRef.{field}"), "");
            }
        }
        _ => {}
    }
}

fn secret_reference(e: &mut Errors, path: &str, r: &Value) {
    for field in ["name", "namespace"] {
        let (at, name) = (format!("{path}.{field}"), r[field].str());
        if name.is_empty() {
            e.required(at, "");
            continue;
        }
        let complaints = match field {
            "name" => names::dns1123_subdomain(name),
            _ => names::dns1123_label(name),
        };
        e.names(at, name, complaints);
    }
}

pub(super) fn claim_spec(e: &mut Errors, path: &str, spec: &Value) {
    access_modes(
        e,
        path,
        &spec["accessModes"],
        "at least 1 access mode is required",
    );
    if !spec["selector"].is_null() {
        e.selector(&format!("{path}.selector"), &spec["selector"]);
    }
    let storage = &spec["resources"]["requests"]["storage"];
    if storage.is_null() {
        e.required(format!("{path}.resources[storage]"), "");
    } else {
        let q = quantity(storage);
        if q.sign() <= 0 {
            e.invalid(
                format!("{path}.resources[storage]"),
                q.to_string(),
                "must be greater than zero",
            );
        }
    }
    class_name(e, path, spec);
    e.one_of(
        format!("{path}.volumeMode"),
        &spec["volumeMode"],
        &["Block", "Filesystem"],
    );
    let (source, reference) = (&spec["dataSource"], &spec["dataSourceRef"]);
    for (field, source) in [("dataSource", source), ("dataSourceRef", reference)] {
        if !source.is_null() {
            data_source(e, &format!("{path}.{field}"), source);
        }
    }
    let why = if !reference["namespace"].is_empty() && !source.is_null() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if !source.is_null()
        && !reference.is_null()
        && ["apiGroup", "kind", "name"]
            .iter()
            .any(|f| source[*f] != reference[*f])
    {
        "must match dataSourceRef"
    } else {
        ""
    };
    if !why.is_empty() {
        // The API server prints the path as a value, and its fields are its own.
        e.push(FieldError::invalid_shown(path, "{}", why));
    }
    let class = spec["volumeAttributesClassName"].str();
    if !class.is_empty() {
        e.names(
            format!("{path}.volumeAttributesClassName"),
            class,
            names::dns1123_subdomain(class),
        );
    }
}

/// A source of data has an old name and a new one (`persistentvolumeclaim/util.go`): what may not be
/// under the old name is dropped, what is under one is under the other as well.
pub(super) fn data_sources(spec: &mut Value) {
    if !spec["dataSourceRef"]["namespace"].is_empty() {
        // Other namespaces are behind a feature gate that is off.
        spec.remove(&["dataSourceRef"]);
    }
    let (source, reference) = (spec["dataSource"].clone(), spec["dataSourceRef"].clone());
    let (group, kind) = (source["apiGroup"].str(), source["kind"].str());
    let known = matches!(
        (group, kind),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    );
    match (source.is_null(), reference.is_null()) {
        (false, true) if known => spec["dataSourceRef"] = source,
        (false, true) => {
            spec.remove(&["dataSource"]);
        }
        (true, false) => spec["dataSource"] = reference,
        _ => {}
    }
}

/// What a claim's volume is filled with.
fn data_source(e: &mut Errors, path: &str, source: &Value) {
    for part in ["name", "kind"] {
        if source[part].is_empty() {
            e.required(format!("{path}.{part}"), "");
        }
    }
    let (group, kind) = (source["apiGroup"].str(), source["kind"].str());
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        e.invalid(
            path,
            kind,
            "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        );
    }
    if !group.is_empty() {
        e.names(
            format!("{path}.apiGroup"),
            group,
            names::dns1123_subdomain(group),
        );
    }
    let namespace = source["namespace"].str();
    if !namespace.is_empty() {
        e.names(
            format!("{path}.namespace"),
            namespace,
            names::dns1123_label(namespace),
        );
    }
}

pub(super) fn storage_class(e: &mut Errors, o: &Value) {
    let provisioner = o["provisioner"].str();
    if provisioner.is_empty() {
        e.required("provisioner", "");
    } else {
        e.names(
            "provisioner",
            provisioner,
            names::qualified_name(&provisioner.to_lowercase()),
        );
    }
    e.one_of("reclaimPolicy", &o["reclaimPolicy"], &["Delete", "Retain"]);
    e.one_of(
        "volumeBindingMode",
        &o["volumeBindingMode"],
        &["Immediate", "WaitForFirstConsumer"],
    );
    parameters(e, "parameters", &o["parameters"]);
    let mut terms: Vec<&Value> = Vec::new();
    for (p, topology) in items(&o["allowedTopologies"], "allowedTopologies") {
        let mut seen = BTreeSet::new();
        let expressions = format!("{p}.matchLabelExpressions");
        for (q, r) in items(&topology["matchLabelExpressions"], &expressions) {
            let key = r["key"].str();
            if r["values"].items().is_empty() {
                e.required(format!("{q}.values"), "");
            }
            let mut values = BTreeSet::new();
            for (at, value) in items(&r["values"], &format!("{q}.values")) {
                if !values.insert(value.str()) {
                    e.duplicate(at, value);
                }
            }
            e.names(format!("{q}.key"), key, names::qualified_name(key));
            if !seen.insert(key) {
                e.duplicate(format!("{q}.key"), key);
            }
        }
        // One without expressions is taken for what has not been looked at yet.
        let empty = topology["matchLabelExpressions"].items().is_empty();
        if empty || terms.contains(&topology) {
            e.duplicate(expressions, "");
        }
        terms.push(topology);
    }
}

/// What a driver is told.
pub(super) fn parameters(e: &mut Errors, path: &str, given: &Value) {
    let all = given.entries();
    if all.len() > 512 {
        return e.push(FieldError::too_long(path, 512));
    }
    let mut size = 0;
    for (key, value) in all {
        if key.is_empty() {
            e.invalid(path, "", "field can not be empty.");
        }
        size += key.len() + value.str().len();
    }
    if size > 256 << 10 {
        e.push(FieldError::too_long(path, 256 << 10));
    }
}
