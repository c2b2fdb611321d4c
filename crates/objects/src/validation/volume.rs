//! Volumes of pods.

use std::collections::BTreeSet;

use super::common::{Errors, has_dot_dot, items, quantity};
use super::{container, storage};
use crate::names;
use crate::value::Value;

/// Checks the volumes and gives their names.
pub(super) fn volumes(e: &mut Errors, path: &str, list: &Value) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (p, v) in items(list, path) {
        let before = e.count();
        source(e, &p, v);
        let name = v["name"].str();
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        } else {
            e.names(format!("{p}.name"), name, names::dns1123_label(name));
        }
        if seen.contains(name) {
            e.duplicate(format!("{p}.name"), name);
        }
        // A volume that is wrong counts as there where something is wrong with it only.
        if e.count() == before {
            seen.insert(name.to_string());
        }
    }
    seen
}

/// The kinds of volumes in the order in which the API server looks at them.
const ORDER: [&str; 31] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flocker",
    "persistentVolumeClaim",
    "downwardAPI",
    "azureFile",
    "configMap",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "projected",
    "scaleIO",
    "local",
    "storageos",
    "csi",
    "ephemeral",
    "image",
    "flexVolume",
];

/// The kinds that a volume gives; `others` are fields that are none.
pub(super) fn kinds<'a>(v: &'a Value, others: &[&str]) -> Vec<&'a str> {
    let mut out: Vec<&str> = v
        .entries()
        .iter()
        .map(|(k, _)| &**k)
        .filter(|k| !others.contains(k))
        .collect();
    out.sort_by_key(|k| ORDER.iter().position(|o| o == k));
    out
}

fn source(e: &mut Errors, path: &str, v: &Value) {
    let kinds = kinds(v, &["name"]);
    for kind in kinds.iter().skip(1) {
        e.forbidden(
            format!("{path}.{kind}"),
            "may not specify more than 1 volume type",
        );
    }
    let Some(kind) = kinds.first() else {
        return e.required(path, "must specify a volume type");
    };
    let (at, s) = (format!("{path}.{kind}"), &v[*kind]);
    match *kind {
        "emptyDir" => {
            if quantity(&s["sizeLimit"]).sign() < 0 {
                e.forbidden(
                    format!("{at}.sizeLimit"),
                    "SizeLimit field must be a valid resource quantity",
                );
            }
        }
        "secret" => {
            if s["secretName"].str().is_empty() {
                e.required(format!("{at}.secretName"), "");
            }
            mode(e, &at, &s["defaultMode"]);
            key_paths(e, &at, s);
        }
        "configMap" => {
            if s["name"].str().is_empty() {
                e.required(format!("{at}.name"), "");
            }
            mode(e, &at, &s["defaultMode"]);
            key_paths(e, &at, s);
        }
        "downwardAPI" => {
            mode(e, &at, &s["defaultMode"]);
            downward(e, &at, s);
        }
        "projected" => projected(e, &at, s),
        "persistentVolumeClaim" => {
            if s["claimName"].str().is_empty() {
                e.required(format!("{at}.claimName"), "");
            }
        }
        "ephemeral" => {
            if s["volumeClaimTemplate"].is_null() {
                e.required(format!("{at}.volumeClaimTemplate"), "");
            } else {
                storage::claim_spec(
                    e,
                    &format!("{at}.volumeClaimTemplate.spec"),
                    &s["volumeClaimTemplate"]["spec"],
                );
            }
        }
        "gitRepo" if s["repository"].str().is_empty() => e.required(format!("{at}.repository"), ""),
        other => shared(e, &at, other, s),
    }
}

/// The kinds that PersistentVolumes have as well.
pub(super) fn shared(e: &mut Errors, path: &str, kind: &str, s: &Value) {
    let required = |e: &mut Errors, field: &str| {
        if s[field].is_empty() {
            e.required(format!("{path}.{field}"), "");
        }
    };
    match kind {
        "hostPath" => {
            let host = s["path"].str();
            if host.is_empty() {
                return e.required(format!("{path}.path"), "");
            }
            if has_dot_dot(host) {
                e.invalid(format!("{path}.path"), host, "must not contain '..'");
            }
            let types = [
                "",
                "DirectoryOrCreate",
                "Directory",
                "FileOrCreate",
                "File",
                "Socket",
                "CharDevice",
                "BlockDevice",
            ];
            e.one_of(format!("{path}.type"), &s["type"], &types);
        }
        "nfs" => {
            required(e, "server");
            required(e, "path");
            if !s["path"].is_empty() && !s["path"].str().starts_with('/') {
                e.invalid(
                    format!("{path}.path"),
                    &s["path"],
                    "must be an absolute path",
                );
            }
        }
        "csi" => required(e, "driver"),
        "awsElasticBlockStore" | "cinder" => required(e, "volumeID"),
        "gcePersistentDisk" => required(e, "pdName"),
        "azureFile" => {
            required(e, "secretName");
            required(e, "shareName");
        }
        "azureDisk" => {
            required(e, "diskName");
            required(e, "diskURI");
        }
        "cephfs" => required(e, "monitors"),
        "rbd" => {
            required(e, "monitors");
            required(e, "image");
        }
        "glusterfs" => {
            required(e, "endpoints");
            required(e, "path");
        }
        "iscsi" => {
            required(e, "targetPortal");
            required(e, "iqn");
        }
        "flexVolume" => required(e, "driver"),
        "vsphereVolume" => required(e, "volumePath"),
        "local" => {
            let local = s["path"].str();
            required(e, "path");
            if has_dot_dot(local) {
                e.invalid(format!("{path}.path"), local, "must not contain '..'");
            }
        }
        _ => {}
    }
}

fn mode(e: &mut Errors, path: &str, mode: &Value) {
    if mode.as_i64().is_some_and(|m| !(0..=0o777).contains(&m)) {
        e.invalid(
            format!("{path}.defaultMode"),
            mode,
            "must be a number between 0 and 0777 (octal), both inclusive",
        );
    }
}

fn relative(e: &mut Errors, path: String, target: &str) {
    if target.is_empty() {
        e.required(path, "");
    } else if target.starts_with('/') {
        e.invalid(path, target, "must be a relative path");
    } else if has_dot_dot(target) {
        e.invalid(path, target, "must not contain '..'");
    } else if target.starts_with("..") {
        e.invalid(path, target, "must not start with '..'");
    }
}

fn key_paths(e: &mut Errors, path: &str, s: &Value) {
    for (p, item) in items(&s["items"], &format!("{path}.items")) {
        if item["key"].str().is_empty() {
            e.required(format!("{p}.key"), "");
        }
        relative(e, format!("{p}.path"), item["path"].str());
        if item["mode"]
            .as_i64()
            .is_some_and(|m| !(0..=0o777).contains(&m))
        {
            e.invalid(
                format!("{p}.mode"),
                &item["mode"],
                "must be a number between 0 and 0777 (octal), both inclusive",
            );
        }
    }
}

fn downward(e: &mut Errors, path: &str, s: &Value) {
    for (_, item) in items(&s["items"], path) {
        relative(e, format!("{path}.path"), item["path"].str());
        let (field, resource) = (&item["fieldRef"], &item["resourceFieldRef"]);
        if !field.is_null() {
            let at = format!("{path}.fieldRef.fieldPath");
            let name = field["fieldPath"].str();
            let base = name.split_once('[').map_or(name, |(base, _)| base);
            let supported = [
                "metadata.annotations",
                "metadata.labels",
                "metadata.name",
                "metadata.namespace",
                "metadata.uid",
            ];
            if name.is_empty() {
                e.required(at, "");
            } else if !supported.contains(&base) {
                e.one_of(at, &field["fieldPath"], &supported);
            }
            if !resource.is_null() {
                e.invalid(
                    path,
                    "resource",
                    "fieldRef and resourceFieldRef can not be specified simultaneously",
                );
            }
        } else if !resource.is_null() {
            if resource["containerName"].str().is_empty() {
                e.required(format!("{path}.resourceFieldRef.containerName"), "");
            } else {
                container::resource_field_ref(e, &format!("{path}.resourceFieldRef"), resource);
            }
        } else {
            e.required(
                format!("{path}.fieldRef"),
                "one of fieldRef and resourceFieldRef is required",
            );
        }
    }
}

fn projected(e: &mut Errors, path: &str, s: &Value) {
    mode(e, path, &s["defaultMode"]);
    for (p, source) in items(&s["sources"], &format!("{path}.sources")) {
        let mut given = source.entries().iter();
        given.next();
        for (kind, _) in given {
            e.forbidden(
                format!("{p}.{kind}"),
                "may not specify more than 1 volume type",
            );
        }
        for kind in ["secret", "configMap"] {
            if !source[kind].is_null() {
                if source[kind]["name"].str().is_empty() {
                    e.required(format!("{p}.{kind}.name"), "");
                }
                key_paths(e, &format!("{p}.{kind}"), &source[kind]);
            }
        }
        if !source["downwardAPI"].is_null() {
            downward(e, &format!("{p}.downwardAPI"), &source["downwardAPI"]);
        }
        let token = &source["serviceAccountToken"];
        if !token.is_null() {
            let at = format!("{p}.serviceAccountToken");
            if token["expirationSeconds"].as_i64().is_some_and(|s| s < 600) {
                e.invalid(
                    format!("{at}.expirationSeconds"),
                    &token["expirationSeconds"],
                    "may not specify a duration less than 10 minutes",
                );
            }
            relative(e, format!("{at}.path"), token["path"].str());
        }
    }
}
