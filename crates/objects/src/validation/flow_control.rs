//! Flow schemas and priority levels (kubernetes v1.37, `pkg/apis/flowcontrol/validation`).

use super::common::{Errors, items};
use crate::names;
use crate::value::Value;

const QUEUES_MAX: i64 = 10_000_000;

pub(super) fn flow_schema(e: &mut Errors, o: &Value) {
    let (name, spec) = (o["metadata"]["name"].str(), &o["spec"]);
    let at = "spec.matchingPrecedence";
    let precedence = spec["matchingPrecedence"].as_i64().unwrap_or(0);
    match precedence {
        i64::MIN..=0 => e.invalid(at, precedence, "must be a positive value"),
        1 if name != "exempt" => e.invalid(
            at,
            1,
            "only the schema named 'exempt' may have matchingPrecedence 1",
        ),
        10_001.. => e.invalid(at, precedence, "must not be greater than 10000"),
        _ => {}
    }
    let method = &spec["distinguisherMethod"];
    if !method.is_null() {
        let known = ["ByNamespace", "ByUser"];
        e.one_of("spec.distinguisherMethod.type", &method["type"], &known);
    }
    let at = "spec.priorityLevelConfiguration.name";
    match spec["priorityLevelConfiguration"]["name"].str() {
        "" => e.required(at, "must reference a priority level"),
        level => e.names(at, level, names::dns1123_subdomain(level)),
    }
    for (at, rule) in items(&spec["rules"], "spec.rules") {
        if rule["subjects"].is_empty() {
            let why = "subjects must contain at least one value";
            e.required(format!("{at}.subjects"), why);
        }
        if rule["resourceRules"].is_empty() && rule["nonResourceRules"].is_empty() {
            e.required(
                &*at,
                "at least one of resourceRules and nonResourceRules has to be non-empty",
            );
        }
    }
}

pub(super) fn priority_level(e: &mut Errors, o: &Value) {
    let (name, spec) = (o["metadata"]["name"].str(), &o["spec"]);
    let kind = &spec["type"];
    if (name == "exempt") != (kind.str() == "Exempt") {
        let why = "must be 'Exempt' if and only if `name` is 'exempt'";
        e.invalid("spec.type", kind, why);
    }
    let (limited, exempt) = (&spec["limited"], &spec["exempt"]);
    match kind.str() {
        "Exempt" => {
            if !limited.is_null() {
                e.forbidden("spec.limited", "must be nil if the type is not Limited");
            }
            shares(e, "spec.exempt", exempt);
        }
        "Limited" => {
            if !exempt.is_null() {
                e.forbidden("spec.exempt", "must be nil if the type is Limited");
            }
            if limited.is_null() {
                e.required("spec.limited", "must not be empty when type is Limited");
            } else {
                limits(e, limited);
            }
        }
        _ => e.required_one_of("spec.type", kind, &["Exempt", "Limited"]),
    }
}

fn shares(e: &mut Errors, at: &str, of: &Value) {
    let field = "nominalConcurrencyShares";
    if of[field].as_i64().is_some_and(|n| n < 0) {
        let why = "must be a non-negative integer";
        e.invalid(format!("{at}.{field}"), &of[field], why);
    }
    percent(e, at, of);
}

fn percent(e: &mut Errors, at: &str, of: &Value) {
    let field = "lendablePercent";
    if of[field].as_i64().is_some_and(|n| !(0..=100).contains(&n)) {
        let why = "must be between 0 and 100, inclusive";
        e.invalid(format!("{at}.{field}"), &of[field], why);
    }
}

fn limits(e: &mut Errors, limited: &Value) {
    let at = "spec.limited.limitResponse";
    let response = &limited["limitResponse"];
    let queuing = &response["queuing"];
    match (response["type"].str(), queuing.is_null()) {
        ("Reject", false) => e.forbidden(
            format!("{at}.queuing"),
            "must be nil if limited.limitResponse.type is not Limited",
        ),
        ("Queue", true) => e.required(
            format!("{at}.queuing"),
            "must not be empty if limited.limitResponse.type is Limited",
        ),
        ("Queue", false) => queues(e, &format!("{at}.queuing"), queuing),
        ("Reject", true) => {}
        _ => e.required_one_of(
            format!("{at}.type"),
            &response["type"],
            &["Queue", "Reject"],
        ),
    }
    shares(e, "spec.limited", limited);
    let borrowed = &limited["borrowingLimitPercent"];
    if borrowed.as_i64().is_some_and(|n| n < 0) {
        let why = "if specified, must be a non-negative integer";
        e.invalid("spec.limited.borrowingLimitPercent", borrowed, why);
    }
}

fn queues(e: &mut Errors, at: &str, queuing: &Value) {
    let of = |field: &str| queuing[field].as_i64().unwrap_or(0);
    for field in ["queueLengthLimit", "queues", "handSize"] {
        if of(field) <= 0 {
            e.invalid(format!("{at}.{field}"), of(field), "must be positive");
        }
    }
    let (queues, hand) = (of("queues"), of("handSize"));
    if queues > QUEUES_MAX {
        let why = format!("must not be greater than {QUEUES_MAX}");
        e.invalid(format!("{at}.queues"), queues, why);
    }
    if hand > queues {
        let why = format!("should not be greater than queues ({queues})");
        e.invalid(format!("{at}.handSize"), hand, why);
    }
}
