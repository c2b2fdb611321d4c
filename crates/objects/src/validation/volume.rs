//! Volumes of pods.

use std::collections::BTreeSet;

use regex_lite::Regex;

use super::common::{Errors, items, quantity};
use super::mount::{self, Volumes};
use super::{container, meta, storage};
use crate::names;
use crate::value::Value;

/// Checks the volumes and gives those that are right; `pod` is the name of the pod, if it is one.
pub(super) fn volumes<'a>(
    e: &mut Errors,
    path: &str,
    list: &'a Value,
    pod: Option<&str>,
) -> Volumes<'a> {
    let mut right = Volumes::new();
    let pod = pod.filter(|name| !name.is_empty());
    for (p, v) in items(list, path) {
        let before = e.count();
        let kind = source(e, &p, v, pod);
        let name = v["name"].str();
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        } else {
            e.names(format!("{p}.name"), name, names::dns1123_label(name));
        }
        if right.contains_key(name) {
            e.duplicate(format!("{p}.name"), name);
        }
        if e.count() == before {
            right.insert(name, kind);
        }
        let claim = v["persistentVolumeClaim"]["claimName"].str();
        let made = |v: &Value| {
            pod.is_some_and(|pod| {
                !v["ephemeral"].is_null() && claim == format!("{pod}-{}", v["name"].str())
            })
        };
        if !claim.is_empty() && list.items().iter().any(made) {
            e.invalid(
                format!("{p}.persistentVolumeClaim.claimName"),
                claim,
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    right
}

/// The kinds of volumes in the order in which the API server looks at them.
const ORDER: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// The same for PersistentVolumes.
const PERSISTENT: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

/// The kinds that a volume gives, in the order in which the API server looks at them.
pub(super) fn kinds(v: &Value, persistent: bool) -> Vec<&'static str> {
    let order: &[&str] = if persistent { &PERSISTENT } else { &ORDER };
    let given = order.iter().copied();
    given.filter(|kind| !v[*kind].is_null()).collect()
}

/// What is said of a volume that is of several kinds.
pub(super) fn several(e: &mut Errors, path: &str, kinds: &[&str], persistent: bool) {
    for kind in kinds.iter().skip(1) {
        // As the API server spells them.
        let shown = match *kind {
            "cephfs" => "cephFS",
            "downwardAPI" if !persistent => "downwarAPI",
            // A PersistentVolume may have it beside a kind that is looked at before.
            "flexVolume" if persistent => continue,
            other => other,
        };
        e.forbidden(
            format!("{path}.{shown}"),
            "may not specify more than 1 volume type",
        );
    }
}

fn source(e: &mut Errors, path: &str, v: &Value, pod: Option<&str>) -> &'static str {
    let kinds = kinds(v, false);
    let Some(&kind) = kinds.first() else {
        e.required(path, "must specify a volume type");
        return "";
    };
    several(e, path, &kinds, false);
    let (at, s) = (format!("{path}.{kind}"), &v[kind]);
    match kind {
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
            mode(e, format!("{at}.defaultMode"), &s["defaultMode"]);
            key_paths(e, &at, s);
        }
        "configMap" => {
            if s["name"].str().is_empty() {
                e.required(format!("{at}.name"), "");
            }
            mode(e, format!("{at}.defaultMode"), &s["defaultMode"]);
            key_paths(e, &at, s);
        }
        "downwardAPI" => {
            mode(e, format!("{at}.defaultMode"), &s["defaultMode"]);
            for item in s["items"].items() {
                downward(e, &at, item);
            }
        }
        "projected" => projected(e, &at, s),
        "persistentVolumeClaim" => {
            if s["claimName"].str().is_empty() {
                e.required(format!("{at}.claimName"), "");
            }
        }
        "ephemeral" => ephemeral(e, path, v, pod),
        "gitRepo" => {
            if s["repository"].str().is_empty() {
                e.required(format!("{at}.repository"), "");
            }
            mount::descending(e, &format!("{at}.directory"), s["directory"].str());
        }
        "image" => {
            if pod.is_some() && s["reference"].str().is_empty() {
                e.required(format!("{at}.reference"), "");
            }
            e.required_one_of(
                format!("{at}.pullPolicy"),
                &s["pullPolicy"],
                &["Always", "IfNotPresent", "Never"],
            );
        }
        other => shared(e, path, other, s),
    }
    kind
}

fn ephemeral(e: &mut Errors, path: &str, v: &Value, pod: Option<&str>) {
    let template = &v["ephemeral"]["volumeClaimTemplate"];
    let at = format!("{path}.ephemeral.volumeClaimTemplate");
    if template.is_null() {
        e.required(at, "");
    } else {
        let m = &template["metadata"];
        meta::annotations(e, &format!("{at}.metadata.annotations"), &m["annotations"]);
        e.labels(&format!("{at}.metadata.labels"), &m["labels"]);
        for (field, _) in m.entries() {
            if !matches!(&**field, "annotations" | "labels" | "creationTimestamp") {
                e.forbidden(format!("{at}.metadata.{field}"), "cannot be set");
            }
        }
        storage::claim_spec(e, &format!("{at}.spec"), &template["spec"]);
    }
    let name = v["name"].str();
    if let Some(pod) = pod.filter(|_| !name.is_empty()) {
        let claim = format!("{pod}-{name}");
        for why in names::dns1123_subdomain(&claim) {
            let shown = crate::go::quote(&claim);
            e.invalid(
                format!("{path}.name"),
                name,
                format!("PVC name {shown}: {why}"),
            );
        }
    }
}

/// The kinds that PersistentVolumes have as well; `path` is that of the volume.
pub(super) fn shared(e: &mut Errors, path: &str, kind: &str, s: &Value) {
    // As the API server spells it.
    let at = match kind {
        "gcePersistentDisk" => format!("{path}.persistentDisk"),
        _ => format!("{path}.{kind}"),
    };
    let required: &[&str] = match kind {
        "nfs" => &["server", "path"],
        "awsElasticBlockStore" | "cinder" | "portworxVolume" => &["volumeID"],
        "gcePersistentDisk" => &["pdName"],
        "azureFile" => &["secretName", "shareName"],
        "azureDisk" => &["diskName", "diskURI"],
        "cephfs" => &["monitors"],
        "rbd" => &["monitors", "image"],
        "glusterfs" => &["endpoints", "path"],
        "iscsi" => &["targetPortal", "iqn"],
        "flexVolume" => &["driver"],
        "vsphereVolume" => &["volumePath"],
        "photonPersistentDisk" => &["pdID"],
        "scaleIO" => &["gateway", "system", "volumeName"],
        "storageos" => &["volumeName"],
        "quobyte" => &["volume"],
        _ => &[],
    };
    for field in required.iter().filter(|f| s[**f].is_empty()) {
        e.required(format!("{at}.{field}"), "");
    }
    let range = |e: &mut Errors, field: &str, most: i64| {
        if s[field].as_i64().is_some_and(|n| !(0..=most).contains(&n)) {
            let least = i64::from(field == "partition");
            e.invalid(
                format!("{at}.{field}"),
                &s[field],
                format!("must be between {least} and {most}, inclusive"),
            );
        }
    };
    match kind {
        "hostPath" => {
            let host = s["path"].str();
            if host.is_empty() {
                return e.required(format!("{at}.path"), "");
            }
            mount::no_dot_dot(e, &format!("{at}.path"), host);
            let types = [
                "",
                "BlockDevice",
                "CharDevice",
                "Directory",
                "DirectoryOrCreate",
                "File",
                "FileOrCreate",
                "Socket",
            ];
            e.one_of(format!("{at}.type"), &s["type"], &types);
        }
        "local" => {
            if s["path"].is_empty() {
                return e.required(format!("{at}.path"), "");
            }
            mount::no_dot_dot(e, &format!("{at}.path"), s["path"].str());
        }
        "nfs" if !s["path"].str().starts_with('/') => {
            e.invalid(
                format!("{at}.path"),
                s["path"].str(),
                "must be an absolute path",
            );
        }
        "gcePersistentDisk" | "awsElasticBlockStore" => range(e, "partition", 255),
        "iscsi" => iscsi(e, &at, s, path == "spec"),
        "fc" => fibre_channel(e, &at, s),
        "csi" => csi(e, &at, s),
        "quobyte" => quobyte(e, &at, s),
        "flocker" => {
            let (name, uuid) = (s["datasetName"].str(), s["datasetUUID"].str());
            if name.is_empty() && uuid.is_empty() {
                e.required(&*at, "one of datasetName and datasetUUID is required");
            } else if !name.is_empty() && !uuid.is_empty() {
                e.invalid(
                    &*at,
                    "resource",
                    "datasetName and datasetUUID can not be specified simultaneously",
                );
            }
            if name.contains('/') {
                e.invalid(format!("{at}.datasetName"), name, "must not contain '/'");
            }
        }
        "azureDisk" => azure_disk(e, &at, s),
        _ => {}
    }
}

fn quobyte(e: &mut Errors, at: &str, s: &Value) {
    let why = "must be a host:port pair or multiple pairs separated by commas";
    let (registry, at_registry) = (s["registry"].str(), format!("{at}.registry"));
    if registry.is_empty() {
        e.required(at_registry, why);
    } else if s["tenant"].str().len() > 64 {
        e.required(
            format!("{at}.tenant"),
            "must be a UUID and may not exceed a length of 64 characters",
        );
    } else if !registry.split(',').all(is_host_and_port) {
        e.invalid(at_registry, registry, why);
    }
}

/// Go's `net.SplitHostPort`, as far as its verdict.
fn is_host_and_port(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").is_some_and(|(host, port)| {
            !host.contains(['[', ']']) && !port.contains([':', '[', ']'])
        }),
        None => text.matches(':').count() == 1 && !text.contains(['[', ']']),
    }
}

/// The forms of names of iSCSI by what they begin with.
const ISCSI_NAMES: [(&str, &str); 3] = [
    (
        "iqn",
        r"iqn\.[0-9]{4}-[0-9]{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)$",
    ),
    ("eui", r"^eui.[A-Za-z0-9]{16}$"),
    ("naa", r"^naa.[A-Za-z0-9]{32}$"),
];

fn iscsi(e: &mut Errors, at: &str, s: &Value, persistent: bool) {
    for (field, shown) in [("iqn", "iqn"), ("initiatorName", "initiatorname")] {
        let name = s[field].str();
        if name.is_empty() {
            continue;
        }
        let form = ISCSI_NAMES.iter().find(|(p, _)| name.starts_with(p));
        let fits = |form: &str| Regex::new(form).is_ok_and(|r| r.is_match(name));
        let why = match form {
            Some((_, form)) if fits(form) => continue,
            None if !persistent => "must be valid format starting with iqn, eui, or naa",
            _ => "must be valid format",
        };
        e.invalid(format!("{at}.{shown}"), name, why);
    }
    if s["lun"].as_i64().is_some_and(|n| !(0..=255).contains(&n)) {
        e.invalid(
            format!("{at}.lun"),
            &s["lun"],
            "must be between 0 and 255, inclusive",
        );
    }
    let chap = |field: &str| s[field].as_bool() == Some(true);
    if (chap("chapAuthDiscovery") || chap("chapAuthSession")) && s["secretRef"].is_null() {
        e.required(format!("{at}.secretRef"), "");
    }
}

fn fibre_channel(e: &mut Errors, at: &str, s: &Value) {
    let (names, ids) = (s["targetWWNs"].items(), s["wwids"].items());
    if names.is_empty() && ids.is_empty() {
        e.required(
            format!("{at}.targetWWNs"),
            "must specify either targetWWNs or wwids, but not both",
        );
    }
    if !names.is_empty() && !ids.is_empty() {
        e.invalid(
            format!("{at}.targetWWNs"),
            &s["targetWWNs"],
            "targetWWNs and wwids can not be specified simultaneously",
        );
    }
    if !names.is_empty() {
        match s["lun"].as_i64() {
            None => e.required(
                format!("{at}.lun"),
                "lun is required if targetWWNs is specified",
            ),
            Some(lun) if !(0..=255).contains(&lun) => e.invalid(
                format!("{at}.lun"),
                lun,
                "must be between 0 and 255, inclusive",
            ),
            Some(_) => {}
        }
    }
}

/// A CSI driver's name.
pub(super) fn driver(e: &mut Errors, at: &str, name: &str) {
    if name.is_empty() {
        e.required(at, "");
    }
    if name.len() > 63 {
        e.push(crate::FieldError::too_long(at, 63));
    }
    e.names(at, name, names::dns1123_subdomain(&name.to_lowercase()));
}

fn csi(e: &mut Errors, at: &str, s: &Value) {
    driver(e, &format!("{at}.driver"), s["driver"].str());
    let secret = &s["nodePublishSecretRef"];
    if !secret.is_null() && secret["namespace"].is_null() && secret["name"].is_empty() {
        e.required(format!("{at}.nodePublishSecretRef.name"), "");
    }
}

fn azure_disk(e: &mut Errors, at: &str, s: &Value) {
    let caching = ["None", "ReadOnly", "ReadWrite"];
    e.one_of(format!("{at}.cachingMode"), &s["cachingMode"], &caching);
    let kinds = ["Dedicated", "Managed", "Shared"];
    e.one_of(format!("{at}.kind"), &s["kind"], &kinds);
    let (kind, uri) = (s["kind"].str(), s["diskURI"].str());
    let (start, form) = match kind {
        "" => return,
        "Managed" => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        _ => (
            "https://",
            "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
        ),
    };
    if !uri.starts_with(start) {
        e.push(crate::FieldError::not_supported(
            format!("{at}.diskURI"),
            uri,
            &[form],
        ));
    }
}

fn mode(e: &mut Errors, path: String, mode: &Value) {
    if mode.as_i64().is_some_and(|m| !(0..=0o777).contains(&m)) {
        e.invalid(
            path,
            mode,
            "must be a number between 0 and 0777 (octal), both inclusive",
        );
    }
}

/// The path of a file in a volume.
fn relative(e: &mut Errors, path: &str, target: &str) {
    if target.is_empty() {
        return e.required(path, "");
    }
    mount::descending(e, path, target);
    if target.starts_with("..") && !target.starts_with("../") {
        e.invalid(path, target, "must not start with '..'");
    }
}

fn key_paths(e: &mut Errors, path: &str, s: &Value) {
    for (p, item) in items(&s["items"], &format!("{path}.items")) {
        if item["key"].str().is_empty() {
            e.required(format!("{p}.key"), "");
        }
        relative(e, &format!("{p}.path"), item["path"].str());
        mode(e, format!("{p}.mode"), &item["mode"]);
    }
}

/// One file of the downward API; the path leaves out which.
fn downward(e: &mut Errors, path: &str, item: &Value) {
    relative(e, &format!("{path}.path"), item["path"].str());
    let (field, resource) = (&item["fieldRef"], &item["resourceFieldRef"]);
    if !field.is_null() {
        let supported = [
            "metadata.annotations",
            "metadata.labels",
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
        ];
        container::field_ref(e, &format!("{path}.fieldRef"), field, &supported);
        if !resource.is_null() {
            e.invalid(
                path,
                "resource",
                "fieldRef and resourceFieldRef can not be specified simultaneously",
            );
        }
    } else if !resource.is_null() {
        let at = format!("{path}.resourceFieldRef");
        if resource["containerName"].str().is_empty() {
            e.required(format!("{at}.containerName"), "");
            container::divisor(e, &at, resource);
        } else {
            container::resource_field_ref(e, &at, resource);
        }
    } else {
        e.required(path, "one of fieldRef and resourceFieldRef is required");
    }
    mode(e, format!("{path}.mode"), &item["mode"]);
}

/// Volumes that become one; no two files may be in one place.
fn projected(e: &mut Errors, path: &str, s: &Value) {
    mode(e, format!("{path}.defaultMode"), &s["defaultMode"]);
    let mut taken = BTreeSet::new();
    for (p, source) in items(&s["sources"], &format!("{path}.sources")) {
        for kind in ["secret", "configMap"] {
            let from = &source[kind];
            if from.is_null() {
                continue;
            }
            if from["name"].str().is_empty() {
                e.required(format!("{p}.{kind}.name"), "");
            }
            key_paths(e, &format!("{p}.{kind}"), from);
            for item in from["items"].items() {
                let file = item["path"].str();
                if !file.is_empty() && !taken.insert(file) {
                    e.invalid(path, from["name"].str(), "conflicting duplicate paths");
                }
            }
        }
        for item in source["downwardAPI"]["items"].items() {
            downward(e, &format!("{p}.downwardAPI"), item);
            let file = item["path"].str();
            if !file.is_empty() && !taken.insert(file) {
                e.invalid(path, file, "conflicting duplicate paths");
            }
        }
        let token = &source["serviceAccountToken"];
        if !token.is_null() {
            let at = format!("{p}.serviceAccountToken.expirationSeconds");
            let seconds = token["expirationSeconds"].as_i64().unwrap_or(3600);
            let why = if seconds < 600 {
                "may not specify a duration less than 10 minutes"
            } else if seconds > 1 << 32 {
                "may not specify a duration larger than 2^32 seconds"
            } else {
                ""
            };
            if !why.is_empty() {
                e.invalid(at, seconds, why);
            }
            relative(e, &format!("{path}.path"), token["path"].str());
        }
        let bundle = &source["clusterTrustBundle"];
        if !bundle.is_null() {
            trust_bundle(e, &format!("{p}.clusterTrustBundle"), bundle);
        }
        if source.entries().len() > 1 {
            e.forbidden(p, "may not specify more than 1 volume type per source");
        }
    }
}

fn trust_bundle(e: &mut Errors, path: &str, bundle: &Value) {
    let (name, signer) = (&bundle["name"], &bundle["signerName"]);
    match (name.is_null(), signer.is_null()) {
        (false, false) => e.push(crate::FieldError::invalid_shown(
            path,
            crate::internal::json("ClusterTrustBundleProjection", bundle),
            "only one of name and signerName may be used",
        )),
        (true, true) => e.required(path, "either name or signerName must be specified"),
        (false, true) if name.is_empty() => {
            e.required(format!("{path}.name"), "must be a valid object name");
        }
        (true, false) if signer.is_empty() => {
            e.required(format!("{path}.signerName"), "must be a valid signer name");
        }
        _ => {}
    }
    relative(e, &format!("{path}.path"), bundle["path"].str());
}
