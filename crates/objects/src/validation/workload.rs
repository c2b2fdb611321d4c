//! Deployments, ReplicaSets, StatefulSets, DaemonSets.

use std::collections::BTreeMap;

use super::common::{Errors, items, percent};
use super::pod;
use super::storage;
use crate::field_error::FieldError;
use crate::go;
use crate::internal;
use crate::selector::Selector;
use crate::value::{Value, object};

/// A selector as the API server prints it in messages: fields in Go's order.
pub(super) fn shown(s: &Value) -> String {
    internal::json("l", s)
}

/// The selector of a controller. `kind` is what is said of an empty one, `wrong` of one that is none:
/// with that, nobody looks at the template.
fn selector(e: &mut Errors, spec: &Value, kind: &str, wrong: &str) -> Option<Selector> {
    let s = &spec["selector"];
    if s.is_null() {
        e.required("spec.selector", "");
        return Some(Selector::nothing());
    }
    e.selector("spec.selector", s);
    not_empty(e, s, kind);
    match Selector::from_label_selector(s) {
        Ok(parsed) => Some(parsed),
        Err(_) => {
            e.push(FieldError::invalid_shown("spec.selector", shown(s), wrong));
            None
        }
    }
}

fn not_empty(e: &mut Errors, s: &Value, kind: &str) {
    if s["matchLabels"].is_empty() && s["matchExpressions"].is_empty() {
        let why = format!("empty selector is invalid for {kind}");
        e.push(FieldError::invalid_shown("spec.selector", shown(s), why));
    }
}

/// What a template of pods must be for a controller to know them again.
fn matching_template(e: &mut Errors, template: &Value, selector: &Selector) {
    let labels = &template["metadata"]["labels"];
    if !selector.is_everything() && !selector.matches(labels) {
        e.invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        );
    }
    pod::template(e, "spec.template", template);
}

/// What a template of pods that are kept running may be.
fn running_template(e: &mut Errors, template: &Value, kind: &str) {
    let policy = &template["spec"]["restartPolicy"];
    if policy.str() != "Always" {
        e.one_of("spec.template.spec.restartPolicy", policy, &["Always"]);
    }
    if !template["spec"]["activeDeadlineSeconds"].is_null() {
        e.forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        );
    }
}

pub(super) fn replication_controller(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    e.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    e.non_negative("spec.replicas", &spec["replicas"]);
    if spec["selector"].is_empty() {
        e.required("spec.selector", "");
    }
    if spec["template"].is_null() {
        e.required("spec.template", "");
    } else {
        let selector = Selector::from_map(&spec["selector"]);
        matching_template(e, &spec["template"], &selector);
        running_template(e, &spec["template"], "ReplicationController");
    }
}

pub(super) fn replica_set(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    e.non_negative("spec.replicas", &spec["replicas"]);
    e.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    replicated(e, spec);
}

/// The selector and the template of a ReplicaSet, or of one that makes them.
fn replicated(e: &mut Errors, spec: &Value) {
    if let Some(s) = selector(e, spec, "deployment", "invalid label selector") {
        matching_template(e, &spec["template"], &s);
        running_template(e, &spec["template"], "ReplicaSet");
    }
}

/// Named fields of a struct as the API server's internal types print.
fn go_struct(v: &Value, fields: &[(&str, &str)]) -> String {
    let one = |(json, name): &(&str, &str)| format!("\"{name}\":{}", go::json(&v[*json]));
    format!(
        "{{{}}}",
        fields.iter().map(one).collect::<Vec<_>>().join(",")
    )
}

fn shown_strategy(strategy: &Value, rolling_fields: &[(&str, &str)]) -> String {
    let rolling = &strategy["rollingUpdate"];
    let rolling = if rolling.is_null() {
        "null".into()
    } else {
        go_struct(rolling, rolling_fields)
    };
    format!(
        "{{\"Type\":{},\"RollingUpdate\":{rolling}}}",
        go::json(&strategy["type"])
    )
}

/// A strategy of two numbers; the internal type holds both by value.
fn shown_rolling(strategy: &Value) -> String {
    let mut whole = strategy.clone();
    let fields = [
        ("maxUnavailable", "MaxUnavailable"),
        ("maxSurge", "MaxSurge"),
    ];
    for (field, _) in fields {
        if !whole["rollingUpdate"].is_null() && whole["rollingUpdate"][field].is_null() {
            whole["rollingUpdate"][field] = 0.into();
        }
    }
    shown_strategy(&whole, &fields)
}

pub(super) fn deployment(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    e.non_negative("spec.replicas", &spec["replicas"]);
    replicated(e, spec);
    deployment_strategy(e, &spec["strategy"]);
    e.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    e.non_negative("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"]);
    let deadline = &spec["progressDeadlineSeconds"];
    e.non_negative("spec.progressDeadlineSeconds", deadline);
    if deadline
        .as_i64()
        .is_some_and(|d| d <= spec["minReadySeconds"].as_i64().unwrap_or(0))
    {
        e.invalid(
            "spec.progressDeadlineSeconds",
            deadline,
            "must be greater than minReadySeconds",
        );
    }
}

fn deployment_strategy(e: &mut Errors, strategy: &Value) {
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].str() {
        "Recreate" => {
            if !rolling.is_null() {
                e.forbidden(
                    "spec.strategy.rollingUpdate",
                    "may not be specified when strategy `type` is 'Recreate'",
                );
            }
        }
        "RollingUpdate" => {
            let at = "spec.strategy.rollingUpdate";
            let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            e.int_or_percent(&format!("{at}.maxUnavailable"), unavailable);
            e.int_or_percent(&format!("{at}.maxSurge"), surge);
            let none = |v: &Value| v.as_i64() == Some(0) || percent(v) == Some(0);
            if none(unavailable) && none(surge) {
                e.invalid(
                    format!("{at}.maxUnavailable"),
                    unavailable,
                    "may not be 0 when `maxSurge` is 0",
                );
            }
            e.at_most_100_percent(&format!("{at}.maxUnavailable"), unavailable);
        }
        _ => {
            let shown = shown_rolling(strategy);
            let types = ["Recreate", "RollingUpdate"];
            let error = FieldError::not_supported_shown("spec.strategy", shown, &types);
            e.push(error);
        }
    }
}

pub(super) fn daemon_set(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    let (s, template) = (&spec["selector"], &spec["template"]);
    e.selector("spec.selector", s);
    // None at all selects nothing, and is no error by itself.
    let parsed = match s.is_null() {
        true => Ok(Selector::nothing()),
        false => Selector::from_label_selector(s),
    };
    match parsed {
        Ok(parsed) => matching_template(e, template, &parsed),
        Err(_) => pod::template(e, "spec.template", template),
    }
    if !s.is_null() {
        not_empty(e, s, "daemonset");
    }
    running_template(e, template, "DaemonSet");
    e.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    let strategy = &spec["updateStrategy"];
    match strategy["type"].str() {
        "OnDelete" => {}
        "RollingUpdate" => {
            let at = "spec.updateStrategy.rollingUpdate";
            let (unavailable, surge) = (
                &strategy["rollingUpdate"]["maxUnavailable"],
                &strategy["rollingUpdate"]["maxSurge"],
            );
            e.int_or_percent(&format!("{at}.maxUnavailable"), unavailable);
            e.int_or_percent(&format!("{at}.maxSurge"), surge);
            let some = |v: &Value| {
                v.as_i64().is_some_and(|n| n != 0) || percent(v).is_some_and(|n| n != 0)
            };
            match (some(unavailable), some(surge)) {
                (true, true) => e.invalid(
                    format!("{at}.maxSurge"),
                    surge,
                    "may not be set when maxUnavailable is non-zero",
                ),
                (false, false) => e.required(
                    format!("{at}.maxUnavailable"),
                    "cannot be 0 when maxSurge is 0",
                ),
                _ => {}
            }
            e.at_most_100_percent(&format!("{at}.maxUnavailable"), unavailable);
            e.at_most_100_percent(&format!("{at}.maxSurge"), surge);
        }
        _ => {
            let shown = shown_rolling(strategy);
            e.push(FieldError::not_supported_shown(
                "spec.updateStrategy",
                shown,
                &["RollingUpdate", "OnDelete"],
            ));
        }
    }
    e.non_negative("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"]);
}

pub(super) fn stateful_set(e: &mut Errors, o: &Value) {
    let spec = &o["spec"];
    match spec["podManagementPolicy"].str() {
        "" => e.required("spec.podManagementPolicy", ""),
        "OrderedReady" | "Parallel" => {}
        _ => e.invalid(
            "spec.podManagementPolicy",
            &spec["podManagementPolicy"],
            "must be 'OrderedReady' or 'Parallel'",
        ),
    }
    let strategy = &spec["updateStrategy"];
    let at = "spec.updateStrategy.rollingUpdate";
    let rolling = &strategy["rollingUpdate"];
    let rolling_fields = [
        ("partition", "Partition"),
        ("maxUnavailable", "MaxUnavailable"),
    ];
    match strategy["type"].str() {
        "" => e.required("spec.updateStrategy", ""),
        "OnDelete" => {
            if !rolling.is_null() {
                let shown = go_struct(rolling, &rolling_fields);
                e.push(FieldError::invalid_shown(
                    at,
                    shown,
                    "only allowed for updateStrategy 'RollingUpdate'",
                ));
            }
        }
        "RollingUpdate" => {
            e.non_negative(format!("{at}.partition"), &rolling["partition"]);
            let unavailable = &rolling["maxUnavailable"];
            e.int_or_percent(&format!("{at}.maxUnavailable"), unavailable);
            if unavailable.as_i64() == Some(0) || percent(unavailable) == Some(0) {
                e.invalid(format!("{at}.maxUnavailable"), unavailable, "cannot be 0");
            }
            e.at_most_100_percent(&format!("{at}.maxUnavailable"), unavailable);
        }
        _ => {
            let shown = shown_strategy(strategy, &rolling_fields);
            e.push(FieldError::invalid_shown(
                "spec.updateStrategy",
                shown,
                "must be 'RollingUpdate' or 'OnDelete'",
            ));
        }
    }
    let retention = &spec["persistentVolumeClaimRetentionPolicy"];
    for field in ["whenDeleted", "whenScaled"] {
        e.one_of(
            format!("spec.persistentVolumeClaimRetentionPolicy.{field}"),
            &retention[field],
            &["Retain", "Delete"],
        );
    }
    e.non_negative("spec.replicas", &spec["replicas"]);
    e.non_negative("spec.minReadySeconds", &spec["minReadySeconds"]);
    e.non_negative("spec.revisionHistoryLimit", &spec["revisionHistoryLimit"]);
    e.non_negative("spec.ordinals.start", &spec["ordinals"]["start"]);
    let service = spec["serviceName"].str();
    if !service.is_empty() {
        e.names(
            "spec.serviceName",
            service,
            crate::names::dns1123_label(service),
        );
    }
    if let Some(s) = selector(e, spec, "statefulset", "") {
        matching_template(e, &claimed_template(spec), &s);
    }
    running_template(e, &spec["template"], "StatefulSet");
    for (p, claim) in items(&spec["volumeClaimTemplates"], "spec.volumeClaimTemplates") {
        storage::claim_spec(e, &format!("{p}.spec"), &claim["spec"]);
    }
}

/// The template of a StatefulSet's pods as it is checked: its claims become volumes of their names,
/// and names of hosts, which the controller sets, are left out.
fn claimed_template(spec: &Value) -> Value {
    let mut template = spec["template"].clone();
    let mut volumes: BTreeMap<&str, Value> = BTreeMap::new();
    for claim in spec["volumeClaimTemplates"].items() {
        let name = claim["metadata"]["name"].str();
        let source = object([("claimName", name.into())]);
        let volume = object([("name", name.into()), ("persistentVolumeClaim", source)]);
        volumes.insert(name, volume);
    }
    if !volumes.is_empty() {
        let given = spec["template"]["spec"]["volumes"].items();
        let own = given
            .iter()
            .filter(|v| !volumes.contains_key(v["name"].str()));
        let all: Vec<Value> = volumes.values().chain(own).cloned().collect();
        template["spec"]["volumes"] = all.into();
    }
    template.remove(&["spec", "subdomain"]);
    template.remove(&["spec", "hostname"]);
    template
}
