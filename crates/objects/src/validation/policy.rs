//! Autoscalers, disruption budgets, rights, priorities.

use super::common::{Errors, items, quantity};
use super::resources;
use crate::names;
use crate::selector::Selector;
use crate::value::Value;

pub(super) fn autoscaler(e: &mut Errors, o: &Value, version: &str) {
    let spec = &o["spec"];
    e.at_least("spec.minReplicas", &spec["minReplicas"], 0);
    let zero_needs = spec["minReplicas"].as_i64() == Some(0);
    let max = spec["maxReplicas"].as_i64().unwrap_or(0);
    match max {
        0 => e.required("spec.maxReplicas", ""),
        _ => e.at_least("spec.maxReplicas", &max.into(), 1),
    }
    if max < spec["minReplicas"].as_i64().unwrap_or(1) {
        e.invalid(
            "spec.maxReplicas",
            max,
            "must be greater than or equal to `minReplicas`",
        );
    }
    let target = &spec["scaleTargetRef"];
    scaled_object(e, "spec.scaleTargetRef", target);
    let api_version = target["apiVersion"].str();
    // The core group may be left out only where it serves the kind.
    let no_group = matches!(api_version, "" | "/") || !api_version.contains('/');
    if no_group && target["kind"].str() != "ReplicationController" {
        e.invalid(
            "spec.scaleTargetRef.apiVersion",
            api_version,
            "apiVersion must specify API group",
        );
    }
    if version == "v1" {
        if spec["targetCPUUtilizationPercentage"]
            .as_i64()
            .is_some_and(|n| n < 1)
        {
            e.invalid(
                "spec.metrics[0].resource.target.averageUtilization",
                &spec["targetCPUUtilizationPercentage"],
                "must be greater than 0",
            );
        }
        return;
    }
    for (p, metric) in items(&spec["metrics"], "spec.metrics") {
        self::metric(e, &p, metric);
    }
    let scales_to_zero = spec["metrics"]
        .items()
        .iter()
        .any(|m| matches!(m["type"].str(), "Object" | "External"));
    if zero_needs && !scales_to_zero {
        e.forbidden("spec.metrics", "must specify at least one Object or External metric to support scaling to zero replicas");
    }
    for direction in ["scaleUp", "scaleDown"] {
        scaling_rules(
            e,
            &format!("spec.behavior.{direction}"),
            &spec["behavior"][direction],
        );
    }
}

/// An object that is scaled, or measured.
fn scaled_object(e: &mut Errors, path: &str, target: &Value) {
    for field in ["kind", "name"] {
        let (at, text) = (format!("{path}.{field}"), target[field].str());
        if text.is_empty() {
            e.required(at, "");
        } else {
            e.names(at, text, names::path_segment(text));
        }
    }
    let api_version = target["apiVersion"].str();
    if api_version.matches('/').count() > 1 {
        e.invalid(
            format!("{path}.apiVersion"),
            api_version,
            format!("unexpected GroupVersion string: {api_version}"),
        );
    }
}

fn metric(e: &mut Errors, path: &str, m: &Value) {
    let kinds = [
        ("ContainerResource", "containerResource"),
        ("External", "external"),
        ("Object", "object"),
        ("Pods", "pods"),
        ("Resource", "resource"),
    ];
    let kind = &m["type"];
    if kind.str().is_empty() {
        e.required(format!("{path}.type"), "must specify a metric source type");
    }
    // The first source that is given is looked at, whatever the type says.
    let order = [
        "object",
        "external",
        "pods",
        "resource",
        "containerResource",
    ];
    let given: Vec<&str> = order.into_iter().filter(|f| !m[*f].is_null()).collect();
    if let Some(first) = given.first() {
        metric_source(e, &format!("{path}.{first}"), first, &m[*first]);
    }
    let expected = kinds.iter().find(|(name, _)| *name == kind.str());
    match expected {
        Some((_, field)) if m[*field].is_null() => e.required(
            format!("{path}.{field}"),
            "must populate information for the given metric source",
        ),
        Some(_) => {}
        None => e.push(crate::FieldError::not_supported(
            format!("{path}.type"),
            kind.text(),
            &kinds.map(|(name, _)| name),
        )),
    }
    if given.len() != 1 {
        let expected = expected.map(|(_, field)| *field);
        for other in given.iter().filter(|f| Some(**f) != expected) {
            e.forbidden(
                format!("{path}.{other}"),
                "must populate the given metric source only",
            );
        }
    }
}

fn metric_source(e: &mut Errors, at: &str, field: &str, source: &Value) {
    let target = &source["target"];
    if matches!(field, "resource" | "containerResource") {
        let name = source["name"].str();
        if name.is_empty() {
            e.required(format!("{at}.name"), "must specify a resource name");
        } else if field == "containerResource" {
            resources::container_name(e, &format!("{at}.name"), name);
        }
        let container = source["container"].str();
        if field == "containerResource" && container.is_empty() {
            e.required(format!("{at}.container"), "must specify a container");
        } else if field == "containerResource" {
            e.names(
                format!("{at}.container"),
                container,
                names::dns1123_label(container),
            );
        }
        metric_target(e, &format!("{at}.target"), target);
        let (utilization, value) = (&target["averageUtilization"], &target["averageValue"]);
        if utilization.is_null() && value.is_null() {
            e.required(
                format!("{at}.target.averageUtilization"),
                "must set either a target raw value or a target utilization",
            );
        }
        if !utilization.is_null() && !value.is_null() {
            e.forbidden(
                format!("{at}.target.averageValue"),
                "may not set both a target raw value and a target utilization",
            );
        }
        return;
    }
    if field == "object" {
        scaled_object(
            e,
            &format!("{at}.describedObject"),
            &source["describedObject"],
        );
    }
    let name = source["metric"]["name"].str();
    if name.is_empty() {
        e.required(format!("{at}.metric.name"), "must specify a metric name");
    } else {
        e.names(format!("{at}.metric.name"), name, names::path_segment(name));
    }
    metric_target(e, &format!("{at}.target"), target);
    let (value, average) = (&target["value"], &target["averageValue"]);
    if field == "external" && !value.is_null() && !average.is_null() {
        e.forbidden(
            format!("{at}.target.value"),
            "may not set both a target value for metric and a per-pod target",
        );
    }
    let missing = match field {
        "pods" if average.is_null() => "must specify a positive target averageValue",
        "pods" => "",
        _ if !value.is_null() || !average.is_null() => "",
        "object" => "must set either a target value or averageValue",
        _ => "must set either a target value for metric or a per-pod target",
    };
    if !missing.is_empty() {
        e.required(format!("{at}.target.averageValue"), missing);
    }
}

fn metric_target(e: &mut Errors, path: &str, t: &Value) {
    let kind = t["type"].str();
    if kind.is_empty() {
        e.required(format!("{path}.type"), "must specify a metric target type");
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind) {
        e.invalid(
            format!("{path}.type"),
            kind,
            "must be either Utilization, Value, or AverageValue",
        );
    }
    for field in ["value", "averageValue"] {
        if !t[field].is_null() && quantity(&t[field]).sign() != 1 {
            e.invalid(
                format!("{path}.{field}"),
                quantity(&t[field]).to_string(),
                "must be positive",
            );
        }
    }
    if t["averageUtilization"].as_i64().is_some_and(|n| n < 1) {
        e.invalid(
            format!("{path}.averageUtilization"),
            &t["averageUtilization"],
            "must be greater than 0",
        );
    }
}

fn scaling_rules(e: &mut Errors, path: &str, rules: &Value) {
    if rules.is_null() {
        return;
    }
    let tolerance = &rules["tolerance"];
    if !tolerance.is_null() && quantity(tolerance).sign() < 0 {
        e.invalid(
            format!("{path}.tolerance"),
            quantity(tolerance).to_string(),
            "must be greater than or equal to 0",
        );
    }
    let window = &rules["stabilizationWindowSeconds"];
    if window.as_i64().is_some_and(|n| n < 0) {
        e.invalid(
            format!("{path}.stabilizationWindowSeconds"),
            window,
            "must be greater than or equal to zero",
        );
    }
    if window.as_i64().is_some_and(|n| n > 3600) {
        e.invalid(
            format!("{path}.stabilizationWindowSeconds"),
            window,
            "must be less than or equal to 3600",
        );
    }
    e.one_of(
        format!("{path}.selectPolicy"),
        &rules["selectPolicy"],
        &["Disabled", "Max", "Min"],
    );
    if rules["policies"].items().is_empty() {
        e.required(
            format!("{path}.policies"),
            "must specify at least one Policy",
        );
    }
    for (p, policy) in items(&rules["policies"], &format!("{path}.policies")) {
        if !matches!(policy["type"].str(), "Pods" | "Percent") {
            e.push(crate::FieldError::not_supported(
                format!("{p}.type"),
                policy["type"].text(),
                &["Percent", "Pods"],
            ));
        }
        let (value, period) = (
            policy["value"].as_i64().unwrap_or(0),
            policy["periodSeconds"].as_i64().unwrap_or(0),
        );
        if value <= 0 {
            e.invalid(format!("{p}.value"), value, "must be greater than zero");
        }
        if period <= 0 {
            e.invalid(
                format!("{p}.periodSeconds"),
                period,
                "must be greater than zero",
            );
        }
        if period > 1800 {
            e.invalid(
                format!("{p}.periodSeconds"),
                period,
                "must be less than or equal to 1800",
            );
        }
    }
}

pub(super) fn disruption_budget(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    let (least, most) = (&spec["minAvailable"], &spec["maxUnavailable"]);
    if !least.is_null() && !most.is_null() {
        e.push(crate::FieldError::invalid_shown(
            "spec",
            crate::internal::json("PodDisruptionBudgetSpec", spec),
            "minAvailable and maxUnavailable cannot be both set",
        ));
    }
    for (field, v) in [("minAvailable", least), ("maxUnavailable", most)] {
        e.int_or_percent(&format!("spec.{field}"), v);
        e.at_most_100_percent(&format!("spec.{field}"), v);
    }
    e.selector("spec.selector", &spec["selector"]);
    e.one_of(
        "spec.unhealthyPodEvictionPolicy",
        &spec["unhealthyPodEvictionPolicy"],
        &["AlwaysAllow", "IfHealthyBudget"],
    );
}

pub(super) fn role(e: &mut Errors, o: &Value, cluster: bool) {
    let aggregated = &o["aggregationRule"];
    if !aggregated.is_null() {
        let (at, list) = (
            "aggregationRule.clusterRoleSelectors",
            &aggregated["clusterRoleSelectors"],
        );
        if list.items().is_empty() {
            e.required(
                at,
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            );
        }
        for (p, selector) in items(list, at) {
            e.selector(&p, selector);
            if Selector::from_label_selector(selector).is_err() {
                e.invalid(p, Value::Null, "invalid label selector.");
            }
        }
    }
    for (p, rule) in items(&o["rules"], "rules") {
        let empty = |field: &str| rule[field].items().is_empty();
        if empty("verbs") {
            e.required(format!("{p}.verbs"), "");
        }
        if !empty("nonResourceURLs") {
            if !cluster {
                let value = crate::go::json(&rule["nonResourceURLs"]);
                e.push(crate::FieldError::invalid_shown(
                    format!("{p}.nonResourceURLs"),
                    value,
                    "namespaced rules cannot apply to non-resource URLs",
                ));
            }
            if !empty("apiGroups") || !empty("resources") || !empty("resourceNames") {
                let value = crate::go::json(&rule["nonResourceURLs"]);
                e.push(crate::FieldError::invalid_shown(
                    format!("{p}.nonResourceURLs"),
                    value,
                    "rules cannot apply to both regular resources and non-resource URLs",
                ));
            }
            continue;
        }
        if empty("apiGroups") {
            e.required(
                format!("{p}.apiGroups"),
                "resource rules must supply at least one api group",
            );
        }
        if empty("resources") {
            e.required(
                format!("{p}.resources"),
                "resource rules must supply at least one resource",
            );
        }
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn binding(e: &mut Errors, o: &Value) {
    let reference = &o["roleRef"];
    if reference["apiGroup"].str() != RBAC {
        e.push(crate::FieldError::not_supported(
            "roleRef.apiGroup",
            reference["apiGroup"].text(),
            &[RBAC],
        ));
    }
    let kinds: &[&str] = match o["kind"].str() {
        "RoleBinding" => &["Role", "ClusterRole"],
        _ => &["ClusterRole"],
    };
    if !kinds.contains(&reference["kind"].str()) {
        e.push(crate::FieldError::not_supported(
            "roleRef.kind",
            reference["kind"].text(),
            kinds,
        ));
    }
    let name = reference["name"].str();
    if name.is_empty() {
        e.required("roleRef.name", "");
    } else {
        e.names("roleRef.name", name, names::path_segment(name));
    }
    let namespaced = o["kind"].str() == "RoleBinding";
    for (p, subject) in items(&o["subjects"], "subjects") {
        let (kind, name, group) = (
            subject["kind"].text(),
            subject["name"].str(),
            subject["apiGroup"].text(),
        );
        if name.is_empty() {
            e.required(format!("{p}.name"), "");
        }
        match &*kind {
            "ServiceAccount" => {
                if !name.is_empty() {
                    e.names(format!("{p}.name"), name, names::dns1123_subdomain(name));
                }
                if !group.is_empty() {
                    e.push(crate::FieldError::not_supported(
                        format!("{p}.apiGroup"),
                        group,
                        &[""],
                    ));
                }
                if !namespaced && subject["namespace"].str().is_empty() {
                    e.required(format!("{p}.namespace"), "");
                }
            }
            "User" | "Group" => {
                if &*group != RBAC {
                    e.push(crate::FieldError::not_supported(
                        format!("{p}.apiGroup"),
                        group,
                        &[RBAC],
                    ));
                }
            }
            _ => e.push(crate::FieldError::not_supported(
                format!("{p}.kind"),
                kind,
                &["ServiceAccount", "User", "Group"],
            )),
        }
    }
}

/// The classes that the API server makes by itself (`pkg/apis/scheduling/v1/helpers.go`).
const SYSTEM_CLASSES: &[(&str, i64)] = &[
    ("system-node-critical", 2_000_001_000),
    ("system-cluster-critical", 2_000_000_000),
];

pub(super) fn priority_class(e: &mut Errors, o: &Value) {
    let name = o["metadata"]["name"].str();
    let value = o["value"].as_i64().unwrap_or(0);
    if name.starts_with("system-") {
        let known = SYSTEM_CLASSES.iter().find(|(known, _)| *known == name);
        let why = match known {
            None => format!("{name} is not a known system priority class"),
            Some((_, must)) if *must != value => {
                format!("value of {name} PriorityClass must be {must}")
            }
            Some(_) if o["globalDefault"].as_bool() == Some(true) => {
                format!("globalDefault of {name} PriorityClass must be false")
            }
            Some(_) => String::new(),
        };
        if !why.is_empty() {
            e.forbidden(
                "metadata.name",
                format!(
                    "priority class names with 'system-' prefix are reserved for system use only. error: {why}"
                ),
            );
        }
    } else if value > 1_000_000_000 {
        e.forbidden(
            "value",
            "maximum allowed value of a user defined priority is 1000000000",
        );
    }
    e.one_of(
        "preemptionPolicy",
        &o["preemptionPolicy"],
        &["PreemptLowerPriority", "Never"],
    );
}

pub(super) fn runtime_class(e: &mut Errors, o: &Value) {
    let handler = o["handler"].str();
    if handler.is_empty() {
        e.required("handler", "");
    } else {
        e.names("handler", handler, names::short_name(handler));
    }
    let overhead = &o["overhead"]["podFixed"];
    if !overhead.is_null() {
        resources::overhead(e, "overhead", overhead);
    }
    let scheduling = &o["scheduling"];
    e.labels("scheduling.nodeSelector", &scheduling["nodeSelector"]);
    let list = &scheduling["tolerations"];
    super::scheduling::tolerations(e, "scheduling.tolerations", list);
    for (at, toleration) in items(list, "scheduling.tolerations") {
        let place = list.items().iter().position(|t| t == toleration);
        if place.is_some_and(|first| at != format!("scheduling.tolerations[{first}]")) {
            e.push(crate::FieldError {
                value: Some(crate::internal::json("Toleration", toleration)),
                ..crate::FieldError::duplicate(at, "")
            });
        }
    }
}

pub(super) fn lease(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    if spec["leaseDurationSeconds"]
        .as_i64()
        .is_some_and(|n| n <= 0)
    {
        e.invalid(
            "spec.leaseDurationSeconds",
            &spec["leaseDurationSeconds"],
            "must be greater than 0",
        );
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|n| n < 0) {
        e.invalid(
            "spec.leaseTransitions",
            &spec["leaseTransitions"],
            "must be greater than or equal to 0",
        );
    }
}
