//! Jobs and CronJobs.

use super::common::{Errors, items};
use super::pod;
use super::{cron, workload};
use crate::field_error::FieldError;
use crate::meta::ObjectMeta;
use crate::names;
use crate::value::Value;

pub(super) fn job(e: &mut Errors, o: &Value) {
    let indexed = o["spec"]["completionMode"].str() == "Indexed";
    if indexed && let Some(completions) = o["spec"]["completions"].as_i64().filter(|n| *n > 0) {
        let host = format!("{}-{}", o.name(), completions - 1);
        for why in names::dns1123_label(&host) {
            e.invalid(
                "metadata.name",
                o.name(),
                format!("will not able to create pod with invalid DNS label: {host}: {why}"),
            );
        }
    }
    let spec = &o["spec"];
    let manual = spec["manualSelector"].as_bool() == Some(true);
    let selector = &spec["selector"];
    if selector.is_null() {
        if manual {
            e.required("spec.selector", "");
            let labels = &spec["template"]["metadata"]["labels"];
            e.invalid(
                "spec.template.metadata.labels",
                labels,
                "`selector` does not match template `labels`",
            );
        }
    } else {
        e.selector("spec.selector", selector);
        let labels = &spec["template"]["metadata"]["labels"];
        let parsed = crate::selector::Selector::from_label_selector(selector);
        let generated =
            selector["matchLabels"].entries().len() == 1 && selector["matchExpressions"].is_empty();
        if !manual && !generated && parsed.is_ok() {
            e.push(FieldError::invalid_shown(
                "spec.selector",
                workload::shown(selector),
                "`selector` not auto-generated",
            ));
        }
        if let Ok(s) = parsed
            && !s.matches(labels)
        {
            e.invalid(
                "spec.template.metadata.labels",
                labels,
                "`selector` does not match template `labels`",
            );
        }
    }
    job_spec(e, "spec", spec);
}

/// What the API server's strategy for new Jobs does once the Job has a uid: its pods get labels of
/// their own and the Job a selector for them.
pub(super) fn generate_selector(o: &mut Value) {
    let (name, uid) = (o.name().to_string(), o.uid().to_string());
    if o["spec"]["manualSelector"].as_bool() == Some(true) || uid.is_empty() {
        return;
    }
    // Labels of the template that are the Job's own by default stay so.
    let follows =
        o.labels().is_empty() || *o.labels() == o["spec"]["template"]["metadata"]["labels"];
    let labels = [
        ("controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
    ];
    for (key, value) in labels {
        o.set(
            &["spec", "template", "metadata", "labels", key],
            value.as_str(),
        );
    }
    o.set(
        &[
            "spec",
            "selector",
            "matchLabels",
            "batch.kubernetes.io/controller-uid",
        ],
        uid,
    );
    if follows {
        let labels = o["spec"]["template"]["metadata"]["labels"].clone();
        o.set(&["metadata", "labels"], labels);
    }
}

/// The most pods of an indexed Job at a time.
const MOST_PARALLEL: i64 = 100_000;

fn job_spec(e: &mut Errors, path: &str, spec: &Value) {
    let at = |field: &str| format!("{path}.{field}");
    let number = |field: &str| spec[field].as_i64();
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        e.non_negative(at(field), &spec[field]);
    }
    if !spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null() {
        e.required(
            at("backoffLimitPerIndex"),
            "when maxFailedIndexes is specified",
        );
    }
    if let Some(manager) = spec["managedBy"].as_str() {
        names_path(e, &at("managedBy"), manager);
        if manager.len() > 63 {
            e.push(FieldError::too_long(at("managedBy"), 63));
        }
    }
    let mode = &spec["completionMode"];
    e.one_of(at("completionMode"), mode, &["NonIndexed", "Indexed"]);
    if mode.str() == "Indexed" {
        indexed(e, path, spec);
    } else if matches!(mode.str(), "" | "NonIndexed") {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(n) = number(field) {
                e.invalid(at(field), n, "requires indexed completion mode");
            }
        }
    }
    pod_failure_policy(e, &at("podFailurePolicy"), spec);
    success_policy(e, &at("successPolicy"), spec);
    let replacement: &[&str] = if spec["podFailurePolicy"].is_null() {
        &["Failed", "TerminatingOrFailed"]
    } else {
        &["Failed"]
    };
    e.one_of(
        at("podReplacementPolicy"),
        &spec["podReplacementPolicy"],
        replacement,
    );
    pod::template(e, &at("template"), &spec["template"]);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    let at_policy = at("template.spec.restartPolicy");
    match policy.str() {
        // Defaulting has made this of nothing, and the API server asks again.
        "Always" | "" => e.required(at_policy, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if !spec["podFailurePolicy"].is_null() => e.invalid(
            at_policy,
            policy,
            "only \"Never\" is supported when podFailurePolicy is specified",
        ),
        "Never" | "OnFailure" => {}
        _ => e.one_of(at_policy, policy, &["OnFailure", "Never"]),
    }
}

/// `example.com/name`
pub(super) fn names_path(e: &mut Errors, path: &str, name: &str) {
    let Some((domain, rest)) = name
        .split_once('/')
        .filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty())
    else {
        if name.is_empty() {
            return e.required(path, "");
        }
        return e.invalid(
            path,
            name,
            "must be a domain-prefixed path (such as \"acme.io/foo\")",
        );
    };
    e.names(path, domain, names::dns1123_subdomain(domain));
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !rest.bytes().all(fine) {
        let why = r"Invalid path (e.g. 'acme.io/foo', regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
        e.invalid(path, rest, why);
    }
}

/// What an indexed Job may be.
fn indexed(e: &mut Errors, path: &str, spec: &Value) {
    let at = |field: &str| format!("{path}.{field}");
    let number = |field: &str| spec[field].as_i64();
    let (completions, parallelism) = (number("completions"), number("parallelism"));
    let failed = number("maxFailedIndexes");
    if completions.is_none() {
        e.required(at("completions"), "when completion mode is Indexed");
    }
    if let Some(n) = parallelism.filter(|n| *n > MOST_PARALLEL) {
        let why = format!(
            "must be less than or equal to {MOST_PARALLEL} when completion mode is Indexed"
        );
        e.invalid(at("parallelism"), n, why);
    }
    if let (Some(all), Some(failed)) = (completions, failed)
        && failed > all
    {
        e.invalid(
            at("maxFailedIndexes"),
            failed,
            "must be less than or equal to completions",
        );
    }
    if let Some(failed) = failed.filter(|n| *n > MOST_PARALLEL) {
        let why = format!("must be less than or equal to {MOST_PARALLEL}");
        e.invalid(at("maxFailedIndexes"), failed, why);
    }
    let many = completions.is_some_and(|n| n > MOST_PARALLEL);
    if many && !spec["backoffLimitPerIndex"].is_null() {
        let why = format!(
            "must be less than or equal to 10000 when completions are above {MOST_PARALLEL} and used with backoff limit per index"
        );
        if failed.is_none() {
            let why = format!("must be specified when completions is above {MOST_PARALLEL}");
            e.required(at("maxFailedIndexes"), why);
        }
        for (field, n) in [("parallelism", parallelism), ("maxFailedIndexes", failed)] {
            if let Some(n) = n.filter(|n| *n > 10_000) {
                e.invalid(at(field), n, why.as_str());
            }
        }
    }
}

fn pod_failure_policy(e: &mut Errors, path: &str, spec: &Value) {
    let rules = &spec["podFailurePolicy"]["rules"];
    let at = format!("{path}.rules");
    too_many(e, &at, rules, 20);
    for (p, rule) in items(rules, &at) {
        let action = &rule["action"];
        let actions = ["Count", "FailIndex", "FailJob", "Ignore"];
        valid(e, &format!("{p}.action"), action, &actions);
        if action.str() == "FailIndex" && spec["backoffLimitPerIndex"].is_null() {
            e.invalid(
                format!("{p}.action"),
                action,
                "requires the backoffLimitPerIndex to be set",
            );
        }
        let (codes, conditions) = (&rule["onExitCodes"], &rule["onPodConditions"]);
        if !codes.is_null() {
            exit_codes(
                e,
                &format!("{p}.onExitCodes"),
                codes,
                &spec["template"]["spec"],
            );
        }
        let at = format!("{p}.onPodConditions");
        too_many(e, &at, conditions, 20);
        for (q, pattern) in items(conditions, &at) {
            let kind = pattern["type"].str();
            e.names(format!("{q}.type"), kind, names::qualified_name(kind));
            let states = ["False", "True", "Unknown"];
            valid(e, &format!("{q}.status"), &pattern["status"], &states);
        }
        let which = match (codes.is_null(), conditions.items().is_empty()) {
            (false, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (true, true) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        e.invalid_unshown(p, which);
    }
}

/// A value of a few, and which, where none is given.
fn valid(e: &mut Errors, path: &str, value: &Value, supported: &[&str]) {
    if value.is_empty() {
        let list: Vec<String> = supported.iter().map(|s| crate::go::quote(s)).collect();
        e.required(path, format!("valid values: [{}]", list.join(" ")));
    } else {
        e.one_of(path, value, supported);
    }
}

fn too_many(e: &mut Errors, path: &str, list: &Value, most: usize) {
    let many = list.items().len();
    if many > most {
        e.push(FieldError::too_many(path, many, most));
    }
}

fn exit_codes(e: &mut Errors, path: &str, codes: &Value, pod: &Value) {
    valid(
        e,
        &format!("{path}.operator"),
        &codes["operator"],
        &["In", "NotIn"],
    );
    if let Some(name) = codes["containerName"].as_str() {
        let named = |list: &str| pod[list].items().iter().any(|c| c["name"].str() == name);
        if !named("containers") && !named("initContainers") {
            e.invalid(
                format!("{path}.containerName"),
                name,
                "must be one of the container or initContainer names in the pod template",
            );
        }
    }
    let (at, values) = (format!("{path}.values"), &codes["values"]);
    if values.items().is_empty() {
        let none = Value::new_array();
        e.invalid(&*at, none, "at least one value is required");
    }
    too_many(e, &at, values, 255);
    let (mut seen, mut before, mut ordered) = (Vec::new(), i64::MIN, true);
    for (p, value) in items(values, &at) {
        let code = value.as_i64().unwrap_or(0);
        if code == 0 && codes["operator"].str() == "In" {
            e.invalid(&*p, code, "must not be 0 for the In operator");
        }
        if seen.contains(&code) {
            e.duplicate(p, code);
        }
        seen.push(code);
        ordered &= before <= code;
        before = code;
    }
    if !ordered {
        e.invalid(at, values, "must be ordered");
    }
}

/// When an indexed Job has succeeded before all of its pods have.
fn success_policy(e: &mut Errors, path: &str, spec: &Value) {
    let policy = &spec["successPolicy"];
    if policy.is_null() {
        return;
    }
    if spec["completionMode"].str() != "Indexed" {
        let shown = crate::internal::json("SuccessPolicy", policy);
        return e.push(FieldError::invalid_shown(
            path,
            shown,
            "requires indexed completion mode",
        ));
    }
    let at = format!("{path}.rules");
    if policy["rules"].items().is_empty() {
        e.required(
            &*at,
            "at least one rules must be specified when the successPolicy is specified",
        );
    }
    too_many(e, &at, &policy["rules"], 20);
    let completions = spec["completions"].as_i64().unwrap_or(0);
    for (p, rule) in items(&policy["rules"], &at) {
        let (count, indexes) = (&rule["succeededCount"], rule["succeededIndexes"].as_str());
        if count.is_null() && indexes.is_none() {
            e.required(
                &*p,
                "at least one of succeededCount or succeededIndexes must be specified",
            );
        }
        let mut total = 0;
        if let Some(indexes) = indexes {
            match parse_indexes(indexes, completions) {
                Ok(n) => total = n,
                Err(why) => e.invalid(
                    format!("{p}.succeededIndexes"),
                    indexes,
                    format!("error parsing succeededIndexes: {why}"),
                ),
            }
        }
        let at = format!("{p}.succeededCount");
        e.non_negative(&*at, count);
        let Some(n) = count.as_i64() else { continue };
        if n > completions {
            let why = format!(
                "must be less than or equal to {completions} (the number of specified completions)"
            );
            e.invalid(&*at, n, why);
        }
        if indexes.is_some() && n > total {
            let why = format!(
                "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            );
            e.invalid(at, n, why);
        }
    }
}

/// How many indexes `1,3-5,7` names.
fn parse_indexes(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = |part: &str, whole: &str| {
        part.parse::<i64>().map_err(|_| {
            format!(
                "cannot convert string to integer for index: {}",
                crate::go::quote(whole)
            )
        })
    };
    let (mut total, mut last) = (0, -1);
    for part in text.split(',') {
        let ends: Vec<&str> = part.split('-').collect();
        if ends.len() > 2 {
            return Err(format!(
                "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
                crate::go::quote(part)
            ));
        }
        let first = number(ends[0], ends[0])?;
        let end = match ends.get(1) {
            Some(end) => number(end, end)?,
            None => first,
        };
        if first >= completions || end >= completions {
            let wrong = if first >= completions {
                ends[0]
            } else {
                ends[1]
            };
            return Err(format!("too large index: {}", crate::go::quote(wrong)));
        }
        if ends.len() == 2 && first >= end {
            return Err(format!(
                "non-increasing order, previous: {first}, current: {end}"
            ));
        }
        if first <= last {
            return Err(format!(
                "non-increasing order, previous: {last}, current: {first}"
            ));
        }
        total += end - first + 1;
        last = end;
    }
    Ok(total)
}

pub(super) fn cron_job(e: &mut Errors, o: &Value) {
    if o.name().len() > 52 {
        e.invalid(
            "metadata.name",
            o.name(),
            "must be no more than 52 characters",
        );
    }
    let spec = &o["spec"];
    let schedule = spec["schedule"].str();
    if schedule.is_empty() {
        e.required("spec.schedule", "");
    } else if schedule.contains("TZ") {
        e.invalid(
            "spec.schedule",
            schedule,
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        );
    } else if let Err(why) = cron::parse(schedule) {
        e.invalid("spec.schedule", schedule, why);
    }
    time_zone(e, &spec["timeZone"]);
    e.required_one_of(
        "spec.concurrencyPolicy",
        &spec["concurrencyPolicy"],
        &["Allow", "Forbid", "Replace"],
    );
    for field in [
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ] {
        e.non_negative(format!("spec.{field}"), &spec[field]);
    }
    let template = &spec["jobTemplate"]["spec"];
    if !template["selector"].is_null() {
        e.push(FieldError::invalid_shown(
            "spec.jobTemplate.spec.selector",
            workload::shown(&template["selector"]),
            "`selector` will be auto-generated",
        ));
    }
    if template["manualSelector"].as_bool() == Some(true) {
        e.push(FieldError::not_supported_shown(
            "spec.jobTemplate.spec.manualSelector",
            "true",
            &["nil", "false"],
        ));
    }
    job_spec(e, "spec.jobTemplate.spec", template);
}

/// What the names of time zones with a `/` begin with (IANA's database, with its names of old).
const ZONE_AREAS: &str = "Africa America Antarctica Arctic Asia Atlantic Australia Brazil Canada Chile Etc Europe Indian \
    Mexico Pacific US";

/// Those without one.
const ZONES: &str = "CET CST6CDT Cuba EET EST EST5EDT Egypt Eire Factory GB GB-Eire GMT GMT+0 GMT-0 GMT0 Greenwich HST \
    Hongkong Iceland Iran Israel Jamaica Japan Kwajalein Libya MET MST MST7MDT NZ NZ-CHAT Navajo PRC PST8PDT Poland \
    Portugal ROC ROK Singapore Turkey UCT UTC Universal W-SU WET Zulu";

fn time_zone(e: &mut Errors, zone: &Value) {
    let name = match zone {
        Value::Null => return,
        other => other.str(),
    };
    let fine = |c: char| c.is_ascii_alphanumeric() || "_+-/".contains(c);
    let (names, first) = match name.split_once('/') {
        Some((area, _)) => (ZONE_AREAS, area),
        None => (ZONES, name),
    };
    let known = names.split_whitespace().any(|n| n == first);
    if name.is_empty() {
        e.invalid(
            "spec.timeZone",
            name,
            "timeZone must be nil or non-empty string",
        );
    } else if name.eq_ignore_ascii_case("local") {
        e.invalid(
            "spec.timeZone",
            name,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    } else if !name.chars().all(fine) || !known {
        e.invalid("spec.timeZone", name, format!("unknown time zone {name}"));
    }
}
