//! What pods say about where they may run.

use super::common::{Errors, items};
use crate::names;
use crate::value::Value;

pub(super) fn pod(e: &mut Errors, path: &str, s: &Value) {
    affinity(e, &format!("{path}.affinity"), &s["affinity"]);
    tolerations(e, &format!("{path}.tolerations"), &s["tolerations"]);
    spread(
        e,
        &format!("{path}.topologySpreadConstraints"),
        &s["topologySpreadConstraints"],
    );
}

fn affinity(e: &mut Errors, path: &str, a: &Value) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let node = &a["nodeAffinity"];
    if !node[REQUIRED].is_null() {
        node_selector(
            e,
            &format!("{path}.nodeAffinity.{REQUIRED}"),
            &node[REQUIRED],
        );
    }
    for (p, term) in items(
        &node[PREFERRED],
        &format!("{path}.nodeAffinity.{PREFERRED}"),
    ) {
        weight(e, &p, term);
        node_term(e, &format!("{p}.preference"), &term["preference"], false);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        for (p, term) in items(&a[kind][REQUIRED], &format!("{path}.{kind}.{REQUIRED}")) {
            pod_term(e, &p, term);
        }
        for (p, term) in items(&a[kind][PREFERRED], &format!("{path}.{kind}.{PREFERRED}")) {
            weight(e, &p, term);
            pod_term(e, &format!("{p}.podAffinityTerm"), &term["podAffinityTerm"]);
        }
    }
}

fn weight(e: &mut Errors, path: &str, term: &Value) {
    let weight = term["weight"].as_i64().unwrap_or(0);
    if !(1..=100).contains(&weight) {
        e.invalid(
            format!("{path}.weight"),
            weight,
            "must be in the range 1-100",
        );
    }
}

pub(super) fn node_selector(e: &mut Errors, path: &str, selector: &Value) {
    let terms = &selector["nodeSelectorTerms"];
    if terms.items().is_empty() {
        e.required(
            format!("{path}.nodeSelectorTerms"),
            "must have at least one node selector term",
        );
    }
    for (p, term) in items(terms, &format!("{path}.nodeSelectorTerms")) {
        node_term(e, &p, term, true);
    }
}

/// A term of a node selector; the values of one that is only preferred may be anything.
fn node_term(e: &mut Errors, path: &str, term: &Value, required: bool) {
    for (p, r) in items(
        &term["matchExpressions"],
        &format!("{path}.matchExpressions"),
    ) {
        let values = r["values"].items();
        match r["operator"].str() {
            "In" | "NotIn" if values.is_empty() => {
                e.required(
                    format!("{p}.values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                );
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                e.forbidden(
                    format!("{p}.values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "Gt" | "Lt" if values.len() != 1 => {
                e.required(
                    format!("{p}.values"),
                    "must be specified single value when `operator` is 'Lt' or 'Gt'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => e.invalid(
                format!("{p}.operator"),
                other,
                "not a valid selector operator",
            ),
        }
        e.names(
            format!("{p}.key"),
            r["key"].str(),
            names::qualified_name(r["key"].str()),
        );
        for (q, v) in items(&r["values"], &format!("{p}.values")).filter(|_| required) {
            e.names(q, v.str(), names::label_value(v.str()));
        }
    }
    for (p, r) in items(&term["matchFields"], &format!("{path}.matchFields")) {
        let values = r["values"].items();
        match r["operator"].str() {
            "In" | "NotIn" if values.len() != 1 => {
                e.required(format!("{p}.values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
            }
            "In" | "NotIn" => {}
            other => e.invalid(
                format!("{p}.operator"),
                other,
                "not a valid selector operator",
            ),
        }
        if r["key"].str() != "metadata.name" {
            e.invalid(
                format!("{p}.key"),
                &r["key"],
                "not a valid field selector key",
            );
        } else {
            for (q, v) in items(&r["values"], &format!("{p}.values")) {
                e.names(q, v.str(), names::dns1123_subdomain(v.str()));
            }
        }
    }
}

fn pod_term(e: &mut Errors, path: &str, term: &Value) {
    e.selector(&format!("{path}.labelSelector"), &term["labelSelector"]);
    e.selector(
        &format!("{path}.namespaceSelector"),
        &term["namespaceSelector"],
    );
    for namespace in term["namespaces"].items() {
        e.names(
            format!("{path}.namespace"),
            namespace.str(),
            names::dns1123_label(namespace.str()),
        );
    }
    label_keys(e, path, term);
    let key = term["topologyKey"].str();
    if key.is_empty() {
        e.required(format!("{path}.topologyKey"), "can not be empty");
    }
    e.names(
        format!("{path}.topologyKey"),
        key,
        names::qualified_name(key),
    );
}

/// `matchLabelKeys` and `mismatchLabelKeys` of a term or a constraint. They have been merged into its
/// selector by now: a key that the selector had before is in it twice.
fn label_keys(e: &mut Errors, path: &str, term: &Value) {
    let selector = &term["labelSelector"];
    let (keys, others) = (&term["matchLabelKeys"], &term["mismatchLabelKeys"]);
    for (field, keys) in [("matchLabelKeys", keys), ("mismatchLabelKeys", others)] {
        let at = format!("{path}.{field}");
        if !keys.items().is_empty() && selector.is_null() {
            e.forbidden(at, "must not be specified when labelSelector is not set");
            continue;
        }
        for (p, key) in items(keys, &at) {
            e.names(p, key.str(), names::qualified_name(key.str()));
        }
    }
    let mut seen: Vec<&str> = selector["matchLabels"]
        .entries()
        .iter()
        .map(|(key, _)| &**key)
        .collect();
    for expression in selector["matchExpressions"].items() {
        let key = expression["key"].str();
        let at = keys.items().iter().position(|k| k.str() == key);
        if let Some(at) = at.filter(|_| seen.contains(&key)) {
            e.invalid(
                format!("{path}[{at}]"),
                key,
                "exists in both matchLabelKeys and labelSelector",
            );
        }
        seen.push(key);
    }
    for (p, key) in items(keys, &format!("{path}.matchLabelKeys")) {
        if others.items().contains(key) {
            e.invalid(
                p,
                key,
                "exists in both matchLabelKeys and mismatchLabelKeys",
            );
        }
    }
}

pub(super) fn tolerations(e: &mut Errors, path: &str, list: &Value) {
    for (p, t) in items(list, path) {
        let (key, operator) = (t["key"].str(), t["operator"].str());
        if !key.is_empty() {
            e.names(format!("{p}.key"), key, names::qualified_name(key));
        }
        if key.is_empty() && operator != "Exists" {
            e.invalid(format!("{p}.operator"), operator, "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
        }
        if !t["tolerationSeconds"].is_null() && t["effect"].str() != "NoExecute" {
            e.invalid(
                format!("{p}.effect"),
                t["effect"].text(),
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator {
            "" | "Equal" => {
                let value = t["value"].str();
                let complaints = names::label_value(value);
                if !complaints.is_empty() {
                    e.invalid(format!("{p}.operator"), value, complaints.join(";"));
                }
            }
            "Exists" => {
                if !t["value"].str().is_empty() {
                    e.invalid(
                        format!("{p}.operator"),
                        &t["value"],
                        "value must be empty when `operator` is 'Exists'",
                    );
                }
            }
            // Known, but behind a feature gate that is off.
            "Lt" | "Gt" => e.push(crate::FieldError::not_supported(
                format!("{p}.operator"),
                operator,
                &["Equal", "Exists", "Lt", "Gt"],
            )),
            _ => e.push(crate::FieldError::not_supported(
                format!("{p}.operator"),
                operator,
                &["Equal", "Exists"],
            )),
        }
        let effect = &t["effect"];
        if !effect.str().is_empty() {
            e.one_of(
                format!("{p}.effect"),
                effect,
                &["NoSchedule", "PreferNoSchedule", "NoExecute"],
            );
        }
    }
}

fn spread(e: &mut Errors, path: &str, list: &Value) {
    for (p, c) in items(list, path) {
        let skew = c["maxSkew"].as_i64().unwrap_or(0);
        if skew <= 0 {
            e.invalid(format!("{p}.maxSkew"), skew, "must be greater than zero");
        }
        if c["topologyKey"].str().is_empty() {
            e.required(format!("{p}.topologyKey"), "can not be empty");
        }
        let when = c["whenUnsatisfiable"].text();
        if !matches!(&*when, "DoNotSchedule" | "ScheduleAnyway") {
            e.push(crate::FieldError::not_supported(
                format!("{p}.whenUnsatisfiable"),
                when.clone(),
                &["DoNotSchedule", "ScheduleAnyway"],
            ));
        }
        let twin = |other: &Value| {
            other["topologyKey"] == c["topologyKey"]
                && other["whenUnsatisfiable"] == c["whenUnsatisfiable"]
        };
        let index = list
            .items()
            .iter()
            .position(|x| std::ptr::eq(x, c))
            .unwrap_or(0);
        if list.items()[index + 1..].iter().any(twin) {
            e.duplicate(
                format!("{p}.{{topologyKey, whenUnsatisfiable}}"),
                format!("{{{}, {when}}}", c["topologyKey"].str()),
            );
        }
        if let Some(domains) = c["minDomains"].as_i64() {
            if domains <= 0 {
                e.invalid(
                    format!("{p}.minDomains"),
                    domains,
                    "must be greater than zero",
                );
            }
            if &*when != "DoNotSchedule" {
                e.invalid(
                    format!("{p}.minDomains"),
                    domains,
                    format!(
                        "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
                    ),
                );
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            e.one_of(format!("{p}.{field}"), &c[field], &["Honor", "Ignore"]);
        }
        label_keys(e, &p, c);
        e.selector(&format!("{p}.labelSelector"), &c["labelSelector"]);
    }
}

/// A node's taints.
pub(super) fn taints(e: &mut Errors, path: &str, list: &Value) {
    for (i, (p, t)) in items(list, path).enumerate() {
        let (key, value) = (t["key"].str(), t["value"].str());
        e.names(format!("{p}.key"), key, names::qualified_name(key));
        let complaints = names::label_value(value);
        if !complaints.is_empty() {
            e.invalid(format!("{p}.value"), value, complaints.join(";"));
        }
        e.required_one_of(
            format!("{p}.effect"),
            &t["effect"],
            &["NoSchedule", "PreferNoSchedule", "NoExecute"],
        );
        if list.items()[..i]
            .iter()
            .any(|o| o["key"] == t["key"] && o["effect"] == t["effect"])
        {
            let error = crate::FieldError::duplicate(p, "");
            e.push(crate::FieldError {
                value: Some(crate::internal::json("Taint", t)),
                detail: "taints must be unique by key and effect pair".to_owned(),
                ..error
            });
        }
    }
}
