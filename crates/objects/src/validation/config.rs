//! ConfigMaps, Secrets, nodes, quotas and limits.

use std::collections::BTreeSet;

use super::common::{Errors, items, keys, quantity};
use super::{resources, scheduling};
use crate::base64;
use crate::field_error::FieldError;
use crate::names;
use crate::value::Value;

/// The most bytes that a ConfigMap or Secret may hold.
const MOST: usize = 1 << 20;

pub(super) fn namespace(e: &mut Errors, o: &Value) {
    for finalizer in o["spec"]["finalizers"].items() {
        let (at, name) = ("spec.finalizers", finalizer.str());
        e.names(at, name, names::qualified_name(name));
        if !name.contains('/') && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
            e.invalid(
                at,
                name,
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
    }
}

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
    for list in ["capacity", "allocatable"] {
        for (name, given) in o["status"][list].entries() {
            resources::amount(e, &format!("status.{list}.{name}"), name, &quantity(given));
        }
    }
    let ranges = &spec["podCIDRs"];
    let mut seen = BTreeSet::new();
    let mut families = BTreeSet::new();
    for (p, range) in items(ranges, "spec.podCIDRs") {
        e.cidr(&*p, range.str());
        families.insert(range.str().contains(':'));
        if !seen.insert(range.str()) {
            e.duplicate(p, range);
        }
    }
    let many = ranges.items().len();
    if many > 1 && (families.len() < 2 || many > 2) {
        e.invalid(
            "spec.podCIDRs",
            ranges,
            "may specify no more than one CIDR for each IP family",
        );
    }
}

pub(super) fn resource_quota(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    for (p, name, amount) in keys(&spec["hard"], "spec.hard") {
        resources::quota_name(e, &p, name);
        resources::amount(e, &p, name, &quantity(amount));
    }
    scopes(e, spec);
    scope_selector(e, spec);
}

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

/// Whether a quota of that scope can limit the resource.
fn fits_scope(scope: &str, name: &str) -> bool {
    let compute = [
        "cpu",
        "memory",
        "requests.cpu",
        "requests.memory",
        "limits.cpu",
        "limits.memory",
    ];
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        _ if SCOPES.contains(&scope) => name == "pods" || compute.contains(&name),
        _ => true,
    }
}

fn scope_selector(e: &mut Errors, spec: &Value) {
    let selector = &spec["scopeSelector"];
    let at = "spec.scopeSelector.matchExpressions";
    let mut names = Vec::new();
    for r in selector["matchExpressions"].items() {
        let (scope, operator) = (r["scopeName"].str(), r["operator"].str());
        if !SCOPES.contains(&scope) {
            e.invalid(format!("{at}.scopeName"), scope, "unsupported scope");
        }
        for (name, _) in spec["hard"].entries() {
            if resources::is_of_quotas(name) && !fits_scope(scope, name) {
                let shown = crate::internal::json("ScopeSelector", selector);
                let why = "unsupported scope applied to resource";
                e.push(FieldError::invalid_shown(at, shown, why));
            }
        }
        let only_exists =
            SCOPES.contains(&scope) && !matches!(scope, "PriorityClass" | "VolumeAttributesClass");
        if only_exists && operator != "Exists" {
            e.invalid(
                format!("{at}.operator"),
                operator,
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            );
        }
        match operator {
            "In" | "NotIn" if r["values"].items().is_empty() => e.required(
                format!("{at}.values"),
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
            "Exists" | "DoesNotExist" if !r["values"].items().is_empty() => e.invalid(
                format!("{at}.values"),
                &r["values"],
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => e.invalid(
                format!("{at}.operator"),
                other,
                "not a valid selector operator",
            ),
        }
        names.push(scope);
    }
    conflicting(e, &names, &spec["scopes"]);
}

/// Scopes that no object can have at once.
fn conflicting(e: &mut Errors, names: &[&str], shown: &Value) {
    for (a, b) in [
        ("Terminating", "NotTerminating"),
        ("BestEffort", "NotBestEffort"),
    ] {
        if names.contains(&a) && names.contains(&b) {
            e.invalid("spec.scopes", shown, "conflicting scopes");
        }
    }
}

fn scopes(e: &mut Errors, spec: &Value) {
    let list = &spec["scopes"];
    if list.items().is_empty() {
        return;
    }
    let names: Vec<&str> = list.items().iter().map(Value::str).collect();
    for scope in &names {
        if !SCOPES.contains(scope) {
            e.invalid("spec.scopes", list, "unsupported scope");
        }
        for (name, _) in spec["hard"].entries() {
            if resources::is_of_quotas(name) && !fits_scope(scope, name) {
                e.invalid("spec.scopes", list, "unsupported scope applied to resource");
            }
        }
    }
    conflicting(e, &names, list);
}

pub(super) fn limit_range(e: &mut Errors, o: &Value) {
    let mut types = BTreeSet::new();
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
    let mut all = BTreeSet::new();
    let of_pod = kind == "Pod";
    for list in [
        "max",
        "min",
        "default",
        "defaultRequest",
        "maxLimitRequestRatio",
    ] {
        if of_pod && list.starts_with("default") {
            continue;
        }
        for (p, name, _) in keys(&limit[list], &format!("{path}.{list}")) {
            all.insert(&**name);
            if matches!(kind, "Container" | "Pod") {
                resources::container_name(e, &p, name);
            } else {
                resources::name(e, &p, name);
            }
        }
    }
    if of_pod {
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
        let get = |list: &str| {
            let left_out = of_pod && list.starts_with("default");
            limit[list].get(name).filter(|_| !left_out).map(quantity)
        };
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
        pair("default", default, max, ("default", "max"), max);
        if let (Some(default), Some(request)) = (default, request)
            && !resources::may_overcommit(name)
            && default != request
        {
            e.invalid(
                format!("{path}.defaultRequest[{name}]"),
                request.to_string(),
                format!(
                    "default value {default} must equal to defaultRequest value {request} in {name}"
                ),
            );
        }
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
