//! Controllers of pods.

use super::{default, each, pod, with};
use crate::value::{Value, array, object};

/// Labels that are not given are those of the pods.
fn labels_of_template(o: &mut Value) {
    let labels = o["spec"]["template"]["metadata"]["labels"].clone();
    if !labels.is_empty() {
        default(&mut o["metadata"], "labels", labels);
    }
}

pub(super) fn replication_controller(o: &mut Value) {
    labels_of_template(o);
    let labels = o["spec"]["template"]["metadata"]["labels"].clone();
    let spec = &mut o["spec"];
    if !labels.is_empty() {
        default(spec, "selector", labels);
    }
    default(spec, "replicas", 1);
    with(spec, "template", pod::template);
}

pub(super) fn deployment(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    let strategy = &mut spec["strategy"];
    default(strategy, "type", "RollingUpdate");
    if strategy["type"].str() == "RollingUpdate" {
        let rolling = &mut strategy["rollingUpdate"];
        default(rolling, "maxUnavailable", "25%");
        default(rolling, "maxSurge", "25%");
    }
    pod::template(&mut spec["template"]);
}

pub(super) fn replica_set(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "replicas", 1);
    pod::template(&mut spec["template"]);
}

pub(super) fn daemon_set(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "revisionHistoryLimit", 10);
    let strategy = &mut spec["updateStrategy"];
    default(strategy, "type", "RollingUpdate");
    if strategy["type"].str() == "RollingUpdate" {
        let rolling = &mut strategy["rollingUpdate"];
        default(rolling, "maxUnavailable", 1);
        default(rolling, "maxSurge", 0);
    }
    pod::template(&mut spec["template"]);
}

pub(super) fn stateful_set(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "podManagementPolicy", "OrderedReady");
    let strategy = &mut spec["updateStrategy"];
    default(strategy, "type", "RollingUpdate");
    if strategy["type"].str() == "RollingUpdate" {
        let rolling = &mut strategy["rollingUpdate"];
        default(rolling, "partition", 0);
        default(rolling, "maxUnavailable", 1);
    }
    let retention = &mut spec["persistentVolumeClaimRetentionPolicy"];
    default(retention, "whenDeleted", "Retain");
    default(retention, "whenScaled", "Retain");
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    each(spec, "volumeClaimTemplates", |claim| {
        default(claim, "apiVersion", "v1");
        default(claim, "kind", "PersistentVolumeClaim");
        super::core::persistent_volume_claim(claim);
    });
    pod::template(&mut spec["template"]);
}

pub(super) fn job(o: &mut Value) {
    labels_of_template(o);
    job_spec(&mut o["spec"]);
}

fn job_spec(spec: &mut Value) {
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        spec["completions"] = 1.into();
    }
    default(spec, "parallelism", 1);
    let per_index = spec.get("backoffLimitPerIndex").is_some();
    default(spec, "backoffLimit", if per_index { i32::MAX } else { 6 });
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    let replaced_when = if spec.get("podFailurePolicy").is_some() {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    default(spec, "podReplacementPolicy", replaced_when);
    with(spec, "podFailurePolicy", |p| {
        each(p, "rules", |r| {
            each(r, "onPodConditions", |c| default(c, "status", "True"))
        });
    });
    pod::template(&mut spec["template"]);
}

pub(super) fn cron_job(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "concurrencyPolicy", "Allow");
    default(spec, "suspend", false);
    default(spec, "successfulJobsHistoryLimit", 3);
    default(spec, "failedJobsHistoryLimit", 1);
    pod::template(&mut spec["jobTemplate"]["spec"]["template"]);
}

pub(super) fn autoscaler(o: &mut Value, version: &str) {
    let spec = &mut o["spec"];
    default(spec, "minReplicas", 1);
    if version == "v1" {
        // What is stored is of version 2, where this is the metric that is not given.
        return default(spec, "targetCPUUtilizationPercentage", 80);
    }
    if spec["metrics"].items().is_empty() {
        let target = object([
            ("type", "Utilization".into()),
            ("averageUtilization", 80.into()),
        ]);
        let resource = object([("name", "cpu".into()), ("target", target)]);
        spec["metrics"] = array([object([
            ("type", "Resource".into()),
            ("resource", resource),
        ])]);
    }
    with(spec, "behavior", |b| {
        let policy = |kind: &str, value: i64| {
            object([
                ("type", kind.into()),
                ("value", value.into()),
                ("periodSeconds", 15.into()),
            ])
        };
        let up = &mut b["scaleUp"];
        default(up, "stabilizationWindowSeconds", 0);
        default(up, "selectPolicy", "Max");
        default(
            up,
            "policies",
            array([policy("Pods", 4), policy("Percent", 100)]),
        );
        let down = &mut b["scaleDown"];
        default(down, "selectPolicy", "Max");
        default(down, "policies", array([policy("Percent", 100)]));
    });
}
