//! Deployments, Jobs and their like.

use kubarium_objects::duration::human_duration;
use kubarium_objects::{ObjectMeta, Selector, Value, time};

use super::container::describe_template;
use super::{controlled_by, date, events, go_list, head, labels, marks, or_none};
use crate::kubectl::Kubectl;
use crate::kubectl::printers::{self, number, scalar};
use crate::kubectl::table::Lines;

fn conditions(o: &Value, w: &mut Lines) {
    let conditions = o["status"]["conditions"].items();
    if conditions.is_empty() {
        return;
    }
    w.line(0, "Conditions:\n  Type\tStatus\tReason");
    w.line(1, "----\t------\t------");
    for c in conditions {
        w.line(
            1,
            format!(
                "{} \t{}\t{}",
                c["type"].str(),
                c["status"].str(),
                c["reason"].str()
            ),
        );
    }
}

/// The objects of a resource that the object controls.
fn owned(k: &Kubectl, o: &Value, resource: &str) -> Vec<Value> {
    let all = k
        .cluster()
        .etcd
        .list(resource, Some(o.namespace()))
        .map(|(_, v)| v);
    all.filter(|v| v.controller_ref().is_some_and(|c| c.uid() == o.uid()))
        .cloned()
        .collect()
}

/// `2 Running / 0 Waiting / 0 Succeeded / 0 Failed`
fn pods_status(k: &Kubectl, o: &Value) -> String {
    let selector = match o.kind() {
        "ReplicationController" => Ok(Selector::from_map(&o["spec"]["selector"])),
        _ => Selector::from_label_selector(&o["spec"]["selector"]),
    };
    let Ok(selector) = selector else {
        return "error in fetching pods".to_owned();
    };
    let pods = k
        .cluster()
        .etcd
        .list("pods", Some(o.namespace()))
        .map(|(_, p)| p);
    let mine = pods.filter(|p| {
        selector.matches(p.labels()) && p.controller_ref().is_some_and(|c| c.uid() == o.uid())
    });
    let mut counts = [0; 4];
    for pod in mine {
        let at = match pod["status"]["phase"].str() {
            "Running" => 0,
            "Pending" => 1,
            "Succeeded" => 2,
            "Failed" => 3,
            _ => continue,
        };
        counts[at] += 1;
    }
    format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        counts[0], counts[1], counts[2], counts[3]
    )
}

pub(super) fn deployment(k: &Kubectl, o: &Value, w: &mut Lines) {
    let (spec, status) = (&o["spec"], &o["status"]);
    let count = |field: &str| number(&status[field]);
    head(w, o);
    w.line(
        0,
        format!(
            "CreationTimestamp:\t{}",
            date(&o["metadata"]["creationTimestamp"])
        ),
    );
    marks(w, o);
    w.line(
        0,
        format!("Selector:\t{}", printers::selector(&spec["selector"])),
    );
    w.line(
        0,
        format!(
            "Replicas:\t{} desired | {} updated | {} total | {} available | {} unavailable",
            number(&spec["replicas"]),
            count("updatedReplicas"),
            count("replicas"),
            count("availableReplicas"),
            count("unavailableReplicas")
        ),
    );
    w.line(
        0,
        format!("StrategyType:\t{}", spec["strategy"]["type"].str()),
    );
    w.line(
        0,
        format!("MinReadySeconds:\t{}", number(&spec["minReadySeconds"])),
    );
    let rolling = &spec["strategy"]["rollingUpdate"];
    if !rolling.is_null() {
        w.line(
            0,
            format!(
                "RollingUpdateStrategy:\t{} max unavailable, {} max surge",
                scalar(&rolling["maxUnavailable"]),
                scalar(&rolling["maxSurge"])
            ),
        );
    }
    describe_template(&spec["template"], w);
    conditions(o, w);
    let sets = owned(k, o, "replicasets.apps");
    let mut template = spec["template"].clone();
    template.remove(&["metadata", "labels", "pod-template-hash"]);
    let is_new = |set: &Value| {
        let mut own = set["spec"]["template"].clone();
        own.remove(&["metadata", "labels", "pod-template-hash"]);
        own.same(&template)
    };
    let new = sets.iter().find(|s| is_new(s));
    let shown = |s: &Value| {
        format!(
            "{} ({}/{} replicas created)",
            s.name(),
            number(&s["status"]["replicas"]),
            number(&s["spec"]["replicas"])
        )
    };
    // Those with pods come first; of those without, kubectl shows them all too.
    let old: Vec<String> = sets
        .iter()
        .filter(|s| new.is_none_or(|n| n.uid() != s.uid()))
        .map(shown)
        .collect();
    if !sets.is_empty() {
        w.line(0, format!("OldReplicaSets:\t{}", or_none(&old.join(", "))));
        w.line(
            0,
            format!("NewReplicaSet:\t{}", new.map_or("<none>".to_owned(), shown)),
        );
    }
    events(k, o, w);
}

pub(super) fn replica_set(k: &Kubectl, o: &Value, w: &mut Lines) {
    head(w, o);
    let selector = match o.kind() {
        "ReplicationController" => printers::labels(&o["spec"]["selector"]),
        _ => printers::selector(&o["spec"]["selector"]),
    };
    w.line(0, format!("Selector:\t{selector}"));
    marks(w, o);
    controlled_by(w, o);
    w.line(
        0,
        format!(
            "Replicas:\t{} current / {} desired",
            number(&o["status"]["replicas"]),
            number(&o["spec"]["replicas"])
        ),
    );
    w.line(0, format!("Pods Status:\t{}", pods_status(k, o)));
    describe_template(&o["spec"]["template"], w);
    conditions(o, w);
    events(k, o, w);
}

pub(super) fn daemon_set(k: &Kubectl, o: &Value, w: &mut Lines) {
    head(w, o);
    w.line(
        0,
        format!("Selector:\t{}", printers::selector(&o["spec"]["selector"])),
    );
    w.line(
        0,
        format!(
            "Node-Selector:\t{}",
            printers::labels(&o["spec"]["template"]["spec"]["nodeSelector"])
        ),
    );
    marks(w, o);
    let count = |field: &str| number(&o["status"][field]);
    for (title, field) in [
        (
            "Desired Number of Nodes Scheduled",
            "desiredNumberScheduled",
        ),
        (
            "Current Number of Nodes Scheduled",
            "currentNumberScheduled",
        ),
        (
            "Number of Nodes Scheduled with Up-to-date Pods",
            "updatedNumberScheduled",
        ),
        (
            "Number of Nodes Scheduled with Available Pods",
            "numberAvailable",
        ),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        w.line(0, format!("{title}: {}", count(field)));
    }
    w.line(0, format!("Pods Status:\t{}", pods_status(k, o)));
    describe_template(&o["spec"]["template"], w);
    events(k, o, w);
}

pub(super) fn stateful_set(k: &Kubectl, o: &Value, w: &mut Lines) {
    let spec = &o["spec"];
    head(w, o);
    w.line(
        0,
        format!(
            "CreationTimestamp:\t{}",
            date(&o["metadata"]["creationTimestamp"])
        ),
    );
    w.line(
        0,
        format!("Selector:\t{}", printers::selector(&spec["selector"])),
    );
    marks(w, o);
    for (title, field) in [
        ("Service Name", "serviceName"),
        ("Pod Management Policy", "podManagementPolicy"),
    ] {
        if !spec[field].is_empty() {
            w.line(0, format!("{title}:\t{}", spec[field].str()));
        }
    }
    w.line(
        0,
        format!(
            "Replicas:\t{} desired | {} total",
            number(&spec["replicas"]),
            number(&o["status"]["replicas"])
        ),
    );
    w.line(
        0,
        format!("Update Strategy:\t{}", spec["updateStrategy"]["type"].str()),
    );
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    if let Some(partition) = rolling["partition"].as_i64() {
        w.line(1, format!("Partition:\t{partition}"));
    }
    if !rolling["maxUnavailable"].is_null() {
        w.line(
            1,
            format!("MaxUnavailable:\t{}", scalar(&rolling["maxUnavailable"])),
        );
    }
    let retention = &spec["persistentVolumeClaimRetentionPolicy"];
    if !retention.is_null() {
        w.line(0, "Persistent Volume Claim Retention Policy:");
        w.line(
            1,
            format!("WhenDeleted:\t{}", retention["whenDeleted"].str()),
        );
        w.line(1, format!("WhenScaled:\t{}", retention["whenScaled"].str()));
    }
    w.line(0, format!("Pods Status:\t{}", pods_status(k, o)));
    describe_template(&spec["template"], w);
    let claims = spec["volumeClaimTemplates"].items();
    if claims.is_empty() {
        w.line(0, "Volume Claims:\t<none>");
    } else {
        w.line(0, "Volume Claims:");
    }
    for claim in claims {
        w.line(1, format!("Name:\t{}", claim.name()));
        w.line(1, format!("StorageClass:\t{}", printers::class(claim)));
        labels(w, "  ", "Labels", claim.labels());
        labels(w, "  ", "Annotations", claim.annotations());
        let capacity = scalar(&claim["spec"]["resources"]["requests"]["storage"]);
        w.line(
            1,
            format!(
                "Capacity:\t{}",
                if capacity.is_empty() {
                    "<default>"
                } else {
                    &capacity
                }
            ),
        );
        w.line(
            1,
            format!("Access Modes:\t{}", go_list(&claim["spec"]["accessModes"])),
        );
    }
    events(k, o, w);
}

/// A number, or `<unset>`.
fn or_unset(value: &Value) -> String {
    value
        .as_i64()
        .map_or("<unset>".to_owned(), |n| n.to_string())
}

pub(super) fn job(k: &Kubectl, o: &Value, w: &mut Lines) {
    let (spec, status) = (&o["spec"], &o["status"]);
    head(w, o);
    if !spec["selector"].is_null() {
        w.line(
            0,
            format!("Selector:\t{}", printers::selector(&spec["selector"])),
        );
    }
    marks(w, o);
    controlled_by(w, o);
    if !spec["parallelism"].is_null() {
        w.line(0, format!("Parallelism:\t{}", number(&spec["parallelism"])));
    }
    w.line(
        0,
        format!("Completions:\t{}", or_unset(&spec["completions"])),
    );
    if !spec["completionMode"].is_empty() {
        w.line(
            0,
            format!("Completion Mode:\t{}", spec["completionMode"].str()),
        );
    }
    if let Some(suspend) = spec["suspend"].as_bool() {
        w.line(0, format!("Suspend:\t{suspend}"));
    }
    if !spec["backoffLimit"].is_null() {
        w.line(
            0,
            format!("Backoff Limit:\t{}", number(&spec["backoffLimit"])),
        );
    }
    if !spec["ttlSecondsAfterFinished"].is_null() {
        w.line(
            0,
            format!(
                "TTL Seconds After Finished:\t{}",
                number(&spec["ttlSecondsAfterFinished"])
            ),
        );
    }
    for (field, title) in [
        ("startTime", "Start Time"),
        ("completionTime", "Completed At"),
    ] {
        if !status[field].is_null() {
            w.line(0, format!("{title}:\t{}", date(&status[field])));
        }
    }
    let at = |field: &str| status[field].as_str().and_then(time::parse_seconds);
    if let (Some(start), Some(end)) = (at("startTime"), at("completionTime")) {
        w.line(0, format!("Duration:\t{}", human_duration(end - start)));
    }
    if !spec["activeDeadlineSeconds"].is_null() {
        w.line(
            0,
            format!(
                "Active Deadline Seconds:\t{}s",
                number(&spec["activeDeadlineSeconds"])
            ),
        );
    }
    let (active, succeeded, failed) = (
        number(&status["active"]),
        number(&status["succeeded"]),
        number(&status["failed"]),
    );
    match status["ready"].as_i64() {
        Some(ready) => w.line(0, format!("Pods Statuses:\t{active} Active ({ready} Ready) / {succeeded} Succeeded / {failed} Failed")),
        None => w.line(0, format!("Pods Statuses:\t{active} Active / {succeeded} Succeeded / {failed} Failed")),
    }
    if spec["completionMode"].str() == "Indexed" {
        w.line(
            0,
            format!(
                "Completed Indexes:\t{}",
                or_none(status["completedIndexes"].str())
            ),
        );
    }
    describe_template(&spec["template"], w);
    events(k, o, w);
}

pub(super) fn cron_job(k: &Kubectl, o: &Value, w: &mut Lines) {
    let (spec, status) = (&o["spec"], &o["status"]);
    head(w, o);
    marks(w, o);
    w.line(0, format!("Schedule:\t{}", spec["schedule"].str()));
    w.line(
        0,
        format!("Concurrency Policy:\t{}", spec["concurrencyPolicy"].str()),
    );
    let suspend = match spec["suspend"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    w.line(0, format!("Suspend:\t{suspend}"));
    let zone = match spec["timeZone"].str() {
        "" => "<unset>",
        zone => zone,
    };
    w.line(0, format!("Time Zone:\t{zone}"));
    w.line(
        0,
        format!(
            "Successful Job History Limit:\t{}",
            or_unset(&spec["successfulJobsHistoryLimit"])
        ),
    );
    w.line(
        0,
        format!(
            "Failed Job History Limit:\t{}",
            or_unset(&spec["failedJobsHistoryLimit"])
        ),
    );
    match spec["startingDeadlineSeconds"].as_i64() {
        Some(seconds) => w.line(0, format!("Starting Deadline Seconds:\t{seconds}s")),
        None => w.line(0, "Starting Deadline Seconds:\t<unset>"),
    }
    let job = &spec["jobTemplate"]["spec"];
    let selector = if job["selector"].is_null() {
        "<unset>".to_owned()
    } else {
        printers::selector(&job["selector"])
    };
    w.line(0, format!("Selector:\t{selector}"));
    w.line(
        0,
        format!("Parallelism:\t{}", or_unset(&job["parallelism"])),
    );
    w.line(
        0,
        format!("Completions:\t{}", or_unset(&job["completions"])),
    );
    if !job["activeDeadlineSeconds"].is_null() {
        w.line(
            0,
            format!(
                "Active Deadline Seconds:\t{}s",
                number(&job["activeDeadlineSeconds"])
            ),
        );
    }
    describe_template(&job["template"], w);
    match &status["lastScheduleTime"] {
        Value::Null => w.line(0, "Last Schedule Time:\t<unset>"),
        at => w.line(0, format!("Last Schedule Time:\t{}", date(at))),
    }
    let active: Vec<&str> = status["active"]
        .items()
        .iter()
        .map(|a| a["name"].str())
        .collect();
    w.line(0, format!("Active Jobs:\t{}", or_none(&active.join(", "))));
    events(k, o, w);
}
