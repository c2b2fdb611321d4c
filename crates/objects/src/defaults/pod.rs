//! Pods and what is made of pod templates.

use super::{default, each, with};
use crate::quantity::Quantity;
use crate::value::{Text, Value};

/// A Pod of its own: more defaults than in a template.
pub(super) fn pod(pod: &mut Value) {
    let spec = &mut pod["spec"];
    for list in ["containers", "initContainers"] {
        each(spec, list, |c| {
            requests_from_limits(&mut c["resources"]);
        });
    }
    with(spec, "resources", resources);
    default(spec, "enableServiceLinks", true);
    self::spec(spec);
    if spec["hostNetwork"].as_bool() == Some(true) {
        for list in ["containers", "initContainers"] {
            each(spec, list, |c| {
                each(c, "ports", |p| {
                    let port = p["containerPort"].clone();
                    default(p, "hostPort", port);
                });
            });
        }
    }
}

/// A pod template: `{metadata, spec}`.
pub(super) fn template(template: &mut Value) {
    spec(&mut template["spec"]);
}

fn spec(spec: &mut Value) {
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "restartPolicy", "Always");
    default(spec, "securityContext", Value::new_object());
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "schedulerName", "default-scheduler");
    // The old name of the field goes with the new one.
    for (name, other) in [
        ("serviceAccountName", "serviceAccount"),
        ("serviceAccount", "serviceAccountName"),
    ] {
        if let Some(given) = spec.get(other).cloned() {
            default(spec, name, given);
        }
    }
    let account = spec["serviceAccountName"].clone();
    if !account.is_null() {
        spec["serviceAccount"] = account;
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, container);
    }
    each(spec, "volumes", volume);
    with(spec, "overhead", resource_list);
}

fn container(c: &mut Value) {
    let policy = if image_tag_is_latest(c["image"].str()) {
        "Always"
    } else {
        "IfNotPresent"
    };
    default(c, "imagePullPolicy", policy);
    default(c, "terminationMessagePath", "/dev/termination-log");
    default(c, "terminationMessagePolicy", "File");
    each(c, "ports", |p| default(p, "protocol", "TCP"));
    each(c, "env", |e| {
        with(e, "valueFrom", |from| with(from, "fieldRef", field_ref))
    });
    with(c, "resources", resources);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        with(c, probe, |p| {
            default(p, "timeoutSeconds", 1);
            default(p, "periodSeconds", 10);
            default(p, "successThreshold", 1);
            default(p, "failureThreshold", 3);
            handler(p);
        });
    }
    with(c, "lifecycle", |l| {
        with(l, "postStart", handler);
        with(l, "preStop", handler);
    });
}

fn handler(h: &mut Value) {
    with(h, "httpGet", |g| {
        default(g, "path", "/");
        default(g, "scheme", "HTTP");
    });
    with(h, "grpc", |g| default(g, "service", ""));
}

fn field_ref(f: &mut Value) {
    default(f, "apiVersion", "v1");
}

/// Whether an image's tag is `latest`, given or not: then it is always pulled.
/// Source: k8s.io/kubernetes/pkg/util/parsers, ParseImageName.
pub fn image_tag_is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let (path, name) = image.rsplit_once('/').unwrap_or(("", image));
    // What is no reference at all has no tag. Only a registry's host may have capitals.
    let host = path.split('/').next().unwrap_or("");
    let below = path.strip_prefix(host).unwrap_or("");
    let (repository, tag) = name.split_once(':').unwrap_or((name, "latest"));
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
    let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let valid = !repository.is_empty()
        && below.chars().chain(repository.chars()).all(lower)
        && tag.chars().all(word);
    valid && tag == "latest"
}

/// A list of amounts: each rounded up to thousandths and printed in canonical form.
pub(super) fn resource_list(list: &mut Value) {
    let amount = |(name, v): &(Text, Value)| {
        let canonical = v
            .str()
            .parse::<Quantity>()
            .map(|q| q.round_up_to_milli().to_string());
        (
            name.clone(),
            canonical.map_or_else(|_| v.clone(), Value::from),
        )
    };
    *list = list
        .entries()
        .iter()
        .map(amount)
        .collect::<crate::value::Map>()
        .into();
}

pub(super) fn resources(r: &mut Value) {
    with(r, "limits", resource_list);
    with(r, "requests", resource_list);
}

/// A request that is not given is as large as the limit.
fn requests_from_limits(r: &mut Value) {
    for (name, limit) in r["limits"].clone().entries() {
        default(&mut r["requests"], name, limit.clone());
    }
}

fn volume(v: &mut Value) {
    if v.entries().iter().all(|(key, _)| &**key == "name") {
        v["emptyDir"] = Value::new_object();
    }
    source(v);
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        with(v, kind, |s| default(s, "defaultMode", 0o644));
    }
    with(v, "downwardAPI", |d| {
        each(d, "items", |i| with(i, "fieldRef", field_ref))
    });
    with(v, "projected", |p| {
        each(p, "sources", |s| {
            with(s, "serviceAccountToken", |t| {
                default(t, "expirationSeconds", 3600)
            });
            with(s, "downwardAPI", |d| {
                each(d, "items", |i| with(i, "fieldRef", field_ref))
            });
        });
    });
    with(v, "ephemeral", |e| {
        with(e, "volumeClaimTemplate", |t| {
            default(&mut t["spec"], "volumeMode", "Filesystem");
            with(&mut t["spec"], "resources", resources);
        });
    });
    let tag = v["image"]["reference"].text();
    with(v, "image", |i| {
        default(
            i,
            "pullPolicy",
            if image_tag_is_latest(&tag) {
                "Always"
            } else {
                "IfNotPresent"
            },
        )
    });
}

/// The kinds of volumes that pods and PersistentVolumes share.
pub(super) fn source(v: &mut Value) {
    with(v, "hostPath", |h| default(h, "type", ""));
    with(v, "iscsi", |i| default(i, "iscsiInterface", "default"));
    with(v, "rbd", |r| {
        default(r, "pool", "rbd");
        default(r, "user", "admin");
        default(r, "keyring", "/etc/ceph/keyring");
    });
    with(v, "azureDisk", |a| {
        default(a, "cachingMode", "ReadWrite");
        default(a, "kind", "Shared");
        default(a, "fsType", "ext4");
        default(a, "readOnly", false);
    });
    with(v, "scaleIO", |s| {
        default(s, "storageMode", "ThinProvisioned");
        default(s, "fsType", "xfs");
    });
}
