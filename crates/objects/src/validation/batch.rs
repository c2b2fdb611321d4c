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
        let generated =
            selector["matchLabels"].entries().len() == 1 && selector["matchExpressions"].is_empty();
        if !manual && !generated {
            e.push(FieldError::invalid_shown(
                "spec.selector",
                workload::shown(selector),
                "`selector` not auto-generated",
            ));
        }
        if let Ok(s) = crate::selector::Selector::from_label_selector(selector)
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
    if o.labels().is_empty() {
        let labels = o["spec"]["template"]["metadata"]["labels"].clone();
        o.set(&["metadata", "labels"], labels);
    }
}

fn job_spec(e: &mut Errors, path: &str, spec: &Value) {
    let at = |field: &str| format!("{path}.{field}");
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
    let mode = &spec["completionMode"];
    e.one_of(at("completionMode"), mode, &["NonIndexed", "Indexed"]);
    if mode.str() == "Indexed" {
        if spec["completions"].is_null() {
            e.required(
                at("completions"),
                format!("when completion mode is {}", mode.str()),
            );
        }
        if spec["parallelism"].as_i64().is_some_and(|n| n > 100_000) {
            e.invalid(
                at("parallelism"),
                &spec["parallelism"],
                "must be less than or equal to 100000 when completion mode is Indexed",
            );
        }
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if !spec[field].is_null() && mode.str() != "Indexed" {
            e.invalid(at(field), &spec[field], "requires indexed completion mode");
        }
    }
    e.one_of(
        at("podReplacementPolicy"),
        &spec["podReplacementPolicy"],
        &["Failed", "TerminatingOrFailed"],
    );
    pod_failure_policy(e, &at("podFailurePolicy"), spec);
    pod::template(e, &at("template"), &spec["template"]);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    match policy.str() {
        "Never" | "OnFailure" => {}
        // Defaulting has made this of nothing, and the API server asks again.
        "Always" => e.required(
            at("template.spec.restartPolicy"),
            "valid values: \"OnFailure\", \"Never\"",
        ),
        _ => e.one_of(
            at("template.spec.restartPolicy"),
            policy,
            &["OnFailure", "Never"],
        ),
    }
}

fn pod_failure_policy(e: &mut Errors, path: &str, spec: &Value) {
    let policy = &spec["podFailurePolicy"];
    if policy.is_null() {
        return;
    }
    if spec["template"]["spec"]["restartPolicy"].str() != "Never" {
        let value = spec["template"]["spec"]["restartPolicy"].text();
        e.invalid(
            "spec.template.spec.restartPolicy",
            value,
            "only \"Never\" is supported when podFailurePolicy is specified",
        );
    }
    for (p, rule) in items(&policy["rules"], &format!("{path}.rules")) {
        e.required_one_of(
            format!("{p}.action"),
            &rule["action"],
            &["Count", "FailIndex", "FailJob", "Ignore"],
        );
        let codes = &rule["onExitCodes"];
        if !codes.is_null() {
            e.required_one_of(
                format!("{p}.onExitCodes.operator"),
                &codes["operator"],
                &["In", "NotIn"],
            );
            if codes["values"].items().is_empty() {
                e.invalid(
                    format!("{p}.onExitCodes.values"),
                    &codes["values"],
                    "at least one value is required",
                );
            }
        }
        if codes.is_null() && rule["onPodConditions"].items().is_empty() {
            e.invalid(
                p,
                rule,
                "specifying one of OnExitCodes and OnPodConditions is required",
            );
        }
    }
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
    if template["manualSelector"].as_bool() == Some(true) {
        e.one_of(
            "spec.jobTemplate.spec.manualSelector",
            &"true".into(),
            &["nil", "false"],
        );
    }
    job_spec(e, "spec.jobTemplate.spec", template);
}

fn time_zone(e: &mut Errors, zone: &Value) {
    let name = match zone {
        Value::Null => return,
        other => other.str(),
    };
    let fine = |c: char| c.is_ascii_alphanumeric() || "_+-/".contains(c);
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
    } else if !name.chars().all(fine)
        || !(name.contains('/')
            || name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
    {
        e.invalid("spec.timeZone", name, format!("unknown time zone {name}"));
    }
}
