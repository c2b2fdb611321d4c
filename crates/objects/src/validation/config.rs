//! ConfigMaps, Secrets, nodes, quotas and limits.

use super::common::{Errors, items, keys, quantity};
use super::{container, scheduling};
use crate::base64;
use crate::field_error::FieldError;
use crate::names;
use crate::value::Value;

/// The most bytes that a ConfigMap or Secret may hold.
const MOST: usize = 1 << 20;

pub(super) fn config_map(e: &mut Errors, o: &Value) {
    let mut size = 0;
    for (p, key, v) in keys(&o["data"], "data") {
        e.names(p.clone(), key, names::config_map_key(key));
        if o["binaryData"].get(key).is_some() {
            e.invalid(p, &**key, "duplicate of key present in binaryData");
        }
        size += v.str().len();
    }
    for (p, key, v) in keys(&o["binaryData"], "binaryData") {
        e.names(p, key, names::config_map_key(key));
        size += v.str().len() / 4 * 3;
    }
    if size > MOST {
        e.push(FieldError::too_long("", MOST));
    }
}

pub(super) fn secret(e: &mut Errors, o: &Value) {
    let data = &o["data"];
    let mut size = 0;
    for (p, key, v) in keys(data, "data") {
        e.names(p, key, names::config_map_key(key));
        size += v.str().len() / 4 * 3;
    }
    if size > MOST {
        e.push(FieldError::too_long("data", MOST));
    }
    let required = |e: &mut Errors, key: &str| {
        if data.get(key).is_none() {
            e.required(format!("data[{key}]"), "");
        }
    };
    match o["type"].str() {
        "kubernetes.io/service-account-token"
            if o["metadata"]["annotations"]["kubernetes.io/service-account.name"]
                .str()
                .is_empty() =>
        {
            e.required(
                "metadata.annotations[kubernetes.io/service-account.name]",
                "",
            );
        }
        "kubernetes.io/dockercfg" => json_key(e, data, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => json_key(e, data, ".dockerconfigjson"),
        "kubernetes.io/basic-auth"
            if data.get("username").is_none() && data.get("password").is_none() =>
        {
            required(e, "username");
            required(e, "password");
        }
        "kubernetes.io/ssh-auth" if data["ssh-privatekey"].is_empty() => {
            e.required("data[ssh-privatekey]", "");
        }
        "kubernetes.io/tls" => {
            required(e, "tls.crt");
            required(e, "tls.key");
        }
        _ => {}
    }
}

fn json_key(e: &mut Errors, data: &Value, key: &str) {
    let path = format!("data[{key}]");
    let Some(v) = data.get(key) else {
        return e.required(path, "");
    };
    let bytes = base64::decode(v.str()).unwrap_or_default();
    if let Err(why) = crate::go::check_json(&String::from_utf8_lossy(&bytes)) {
        e.invalid(path, "<secret contents redacted>", why);
    }
}

pub(super) fn node(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    scheduling::taints(e, "metadata.taints", &spec["taints"]);
    for (p, range) in items(&spec["podCIDRs"], "spec.podCIDRs") {
        e.cidr(p, range.str());
    }
}

const QUOTA_NAMES: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
    "storage",
];

pub(super) fn resource_quota(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    for (p, name, amount) in keys(&spec["hard"], "spec.hard") {
        resource_name(e, &p, name, "must be a standard resource for quota", |n| {
            QUOTA_NAMES.contains(&n)
                || n.starts_with("hugepages-")
                || n.starts_with("requests.hugepages-")
        });
        let q = quantity(amount);
        if q.sign() < 0 {
            e.invalid(
                p.clone(),
                q.to_string(),
                "must be greater than or equal to 0",
            );
        }
        let counted = QUOTA_NAMES[10..19].contains(&&**name) || name.contains('/');
        if counted && !q.is_whole() {
            e.invalid(p, q.to_string(), "must be an integer");
        }
    }
    scopes(e, spec);
}

fn scopes(e: &mut Errors, spec: &Value) {
    let list = &spec["scopes"];
    if list.items().is_empty() {
        return;
    }
    let names: Vec<&str> = list.items().iter().map(Value::str).collect();
    for scope in &names {
        if ![
            "Terminating",
            "NotTerminating",
            "BestEffort",
            "NotBestEffort",
            "PriorityClass",
            "CrossNamespacePodAffinity",
        ]
        .contains(scope)
        {
            e.invalid("spec.scopes", list, "unsupported scope");
            continue;
        }
        let compute = |n: &str| {
            [
                "cpu",
                "memory",
                "requests.cpu",
                "requests.memory",
                "limits.cpu",
                "limits.memory",
            ]
            .contains(&n)
        };
        let fits = |n: &str| match *scope {
            "BestEffort" => n == "pods",
            _ => n == "pods" || compute(n),
        };
        for (name, _) in spec["hard"].entries() {
            if QUOTA_NAMES.contains(&&**name) && !fits(name) {
                e.invalid("spec.scopes", list, "unsupported scope applied to resource");
            }
        }
    }
    for (a, b) in [
        ("Terminating", "NotTerminating"),
        ("BestEffort", "NotBestEffort"),
    ] {
        if names.contains(&a) && names.contains(&b) {
            e.invalid("spec.scopes", list, "conflicting scopes");
        }
    }
}

fn resource_name(
    e: &mut Errors,
    path: &str,
    name: &str,
    detail: &str,
    standard: impl Fn(&str) -> bool,
) {
    let complaints = names::qualified_name(name);
    if !complaints.is_empty() {
        return e.names(path, name, complaints);
    }
    if !name.contains('/') && !standard(name) {
        e.invalid(
            path,
            name,
            "must be a standard resource type or fully qualified",
        );
        e.invalid(path, name, detail);
    }
}

pub(super) fn limit_range(e: &mut Errors, o: &Value) {
    let mut types = std::collections::BTreeSet::new();
    for (p, limit) in items(&o["spec"]["limits"], "spec.limits") {
        let kind = limit["type"].str();
        let at = format!("{p}.type");
        let complaints = names::qualified_name(kind);
        if !complaints.is_empty() {
            e.names(at.clone(), kind, complaints);
        } else if !["Container", "Pod", "PersistentVolumeClaim"].contains(&kind)
            && !kind.contains('/')
        {
            e.invalid(
                at.clone(),
                kind,
                "must be a standard limit type or fully qualified",
            );
        }
        if !types.insert(kind) {
            e.duplicate(at, kind);
        }
        limit_item(e, &p, limit, kind);
    }
}

fn limit_item(e: &mut Errors, path: &str, limit: &Value, kind: &str) {
    let mut all = std::collections::BTreeSet::new();
    for list in [
        "max",
        "min",
        "default",
        "defaultRequest",
        "maxLimitRequestRatio",
    ] {
        for (p, name, _) in keys(&limit[list], &format!("{path}.{list}")) {
            all.insert(&**name);
            match kind {
                "Container" | "Pod" => resource_name(
                    e,
                    &p,
                    name,
                    "must be a standard resource for containers",
                    container::is_standard_container_resource,
                ),
                _ => resource_name(
                    e,
                    &p,
                    name,
                    "must be a standard resource for containers",
                    |n| {
                        container::is_standard_container_resource(n)
                            || n == "storage"
                            || QUOTA_NAMES.contains(&n)
                    },
                ),
            }
        }
    }
    if kind == "Pod" {
        for list in ["default", "defaultRequest"] {
            if !limit[list].is_empty() {
                e.forbidden(
                    format!("{path}.{list}"),
                    "may not be specified when `type` is 'Pod'",
                );
            }
        }
    }
    if kind == "PersistentVolumeClaim"
        && limit["min"]["storage"].is_null()
        && limit["max"]["storage"].is_null()
    {
        e.required(
            format!("{path}.limits"),
            "either minimum or maximum storage value is required, but neither was provided",
        );
    }
    for name in all {
        let get = |list: &str| limit[list].get(name).map(quantity);
        let (max, min, default, request) = (
            get("max"),
            get("min"),
            get("default"),
            get("defaultRequest"),
        );
        let mut pair = |list: &str,
                        a: Option<crate::Quantity>,
                        b: Option<crate::Quantity>,
                        text: (&str, &str),
                        bad: Option<crate::Quantity>| {
            if let (Some(a), Some(b), Some(bad)) = (a, b, bad)
                && a > b
            {
                let (first, second) = text;
                e.invalid(
                    format!("{path}.{list}[{name}]"),
                    bad.to_string(),
                    format!("{first} value {a} is greater than {second} value {b}"),
                );
            }
        };
        pair("min", min, max, ("min", "max"), min);
        pair(
            "defaultRequest",
            min,
            request,
            ("min", "default request"),
            request,
        );
        pair(
            "defaultRequest",
            request,
            max,
            ("default request", "max"),
            request,
        );
        pair(
            "defaultRequest",
            request,
            default,
            ("default request", "default limit"),
            request,
        );
        pair("default", min, default, ("min", "default"), min);
        pair("default", default, max, ("default", "max"), default);
        if let Some(ratio) = get("maxLimitRequestRatio") {
            let at = format!("{path}.maxLimitRequestRatio[{name}]");
            if ratio < crate::Quantity::new(1, crate::quantity::Format::DecimalSi) {
                e.invalid(
                    at.clone(),
                    ratio.to_string(),
                    format!("ratio {ratio} is less than 1"),
                );
            }
            if let (Some(max), Some(min)) = (max, min)
                && ratio.as_f64() > max.as_f64() / min.as_f64()
            {
                let detail = format!(
                    "ratio {ratio} is greater than max/min = {:.6}",
                    max.as_f64() / min.as_f64()
                );
                e.invalid(at, ratio.to_string(), detail);
            }
        }
    }
}
