//! PersistentVolumes, claims, StorageClasses.

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
/// Fields of a PersistentVolume's spec that are not the volume itself.
const VOLUME_FIELDS: [&str; 9] = [
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

fn access_modes(e: &mut Errors, path: &str, modes: &Value) {
    let at = format!("{path}.accessModes");
    if modes.items().is_empty() {
        e.required(at.clone(), "at least 1 access mode is required");
    }
    for mode in modes.items() {
        e.one_of(at.clone(), mode, &ACCESS_MODES);
    }
    let once_pod = modes.items().iter().any(|m| m.str() == "ReadWriteOncePod");
    let other = modes.items().iter().any(|m| m.str() != "ReadWriteOncePod");
    if once_pod && other {
        e.forbidden(at, "may not use ReadWriteOncePod with other access modes");
    }
}

pub(super) fn persistent_volume(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    access_modes(e, "spec", &spec["accessModes"]);
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
    let kinds = volume::kinds(spec, &VOLUME_FIELDS);
    for kind in kinds.iter().skip(1) {
        e.forbidden(
            format!("spec.{kind}"),
            "may not specify more than 1 volume type",
        );
    }
    match kinds.first() {
        None => e.required("spec", "must specify a volume type"),
        Some(kind) => {
            volume::shared(e, &format!("spec.{kind}"), kind, &spec[*kind]);
            if *kind == "local" && spec["nodeAffinity"].is_null() {
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
    let root = spec["hostPath"]["path"].str() == "/";
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

pub(super) fn claim_spec(e: &mut Errors, path: &str, spec: &Value) {
    access_modes(e, path, &spec["accessModes"]);
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
    for field in ["dataSource", "dataSourceRef"] {
        let source = &spec[field];
        if source.is_null() {
            continue;
        }
        for part in ["name", "kind"] {
            if source[part].str().is_empty() {
                e.required(format!("{path}.{field}.{part}"), "");
            }
        }
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
    for (key, _) in o["parameters"].entries() {
        if key.is_empty() {
            e.invalid("parameters", "", "field can not be empty.");
        }
    }
    for (p, topology) in items(&o["allowedTopologies"], "allowedTopologies") {
        for (q, r) in items(
            &topology["matchLabelExpressions"],
            &format!("{p}.matchLabelExpressions"),
        ) {
            e.names(
                format!("{q}.key"),
                r["key"].str(),
                names::qualified_name(r["key"].str()),
            );
            if r["values"].items().is_empty() {
                e.required(format!("{q}.values"), "");
            }
        }
    }
}
