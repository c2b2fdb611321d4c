//! job-controller: runs pods until enough of them have succeeded
//! (kubernetes v1.37, `pkg/controller/job`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::replicaset::slow_start;
use super::{Controller, Outcome, pods, template};
use crate::api::{DeleteOptions, Propagation, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::task::Task;
use crate::time::Time;

const RESOURCE: &str = "jobs.batch";
/// Keeps a finished pod until it has been counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// After a failure the next pod waits this long, twice as long after the next, …
const BACKOFF: Duration = Duration::from_secs(10);
/// … at the longest this.
const BACKOFF_MAX: Duration = Duration::from_secs(600);

pub(super) const CONTROLLER: Controller = Controller {
    name: "job-controller",
    observe,
    size: |cluster, key| {
        cluster
            .etcd
            .get(key)
            .map_or(0, |job| cluster.index.dependents_count(job.uid()))
    },
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        RESOURCE if pods::spec_changed(change) => vec![change.key.clone()],
        "pods" if pods::matters(change) => pods::controllers_of(change, "Job", RESOURCE),
        _ => Vec::new(),
    }
}

/// How a Job's pods do.
#[derive(Default)]
struct Count {
    active: Vec<(ObjectKey, Value)>,
    ready: i64,
    terminating: i64,
    /// Those that have ended: counted with this sync.
    finished: Vec<ObjectKey>,
    succeeded: i64,
    failed: i64,
    /// The completion indexes that have succeeded.
    indexes: BTreeSet<i64>,
    last_failure: Option<Time>,
}

/// Why a Job has ended.
struct End {
    failed: bool,
    reason: &'static str,
    message: String,
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(job) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    if job.is_deleting() {
        return release_all(cluster, by, &job);
    }
    if is_finished(&job) {
        release_all(cluster, by, &job)?;
        return expire(cluster, by, key, &job);
    }
    let suspended = job["spec"]["suspend"].as_bool() == Some(true);
    let count = count(cluster, &job);
    let mut status = job["status"].clone();
    if status["startTime"].is_null() && !suspended {
        status["startTime"] = cluster.now.rfc3339().into();
        if let Some(seconds) = job["spec"]["activeDeadlineSeconds"].as_i64() {
            cluster.enqueue(
                Task::Controller(CONTROLLER.name, key.clone()),
                Duration::from_secs(seconds.max(0).unsigned_abs()),
            );
        }
    }
    let before = |field: &str| job["status"][field].as_i64().unwrap_or(0);
    let indexed = job["spec"]["completionMode"].as_str() == Some("Indexed");
    let succeeded = if indexed {
        count.indexes.len() as i64
    } else {
        before("succeeded") + count.succeeded
    };
    let failed = before("failed") + count.failed;
    let mut active = count.active.len() as i64;
    let end = end(cluster, &job, succeeded, failed, &status);
    let mut outcome = Ok(());
    let surplus: Vec<ObjectKey> = if end.is_some() || suspended {
        count.active.iter().map(|(key, _)| key.clone()).collect()
    } else {
        let (more, surplus) = wanted(&job, &count, succeeded);
        match pause(cluster, failed, count.last_failure).filter(|_| more > 0) {
            Some(delay) => cluster.enqueue(Task::Controller(CONTROLLER.name, key.clone()), delay),
            None => outcome = create(cluster, by, &job, &count, more, &mut active),
        }
        surplus
    };
    for pod in &surplus {
        release(cluster, by, pod)?;
        template::delete_pod(cluster, by, &job, pod)?;
        active -= 1;
    }
    write_status(
        cluster,
        by,
        key,
        status,
        &[
            ("active", active),
            ("succeeded", succeeded),
            ("failed", failed),
        ],
        &count,
        end,
    )?;
    for pod in &count.finished {
        release(cluster, by, pod)?;
    }
    outcome
}

fn is_finished(job: &Value) -> bool {
    ["Complete", "Failed"]
        .iter()
        .any(|kind| pods::condition(job, kind).is_some_and(|c| c["status"].str() == "True"))
}

fn count(cluster: &Cluster, job: &Value) -> Count {
    let mut count = Count::default();
    let indexed = job["spec"]["completionMode"].as_str() == Some("Indexed");
    for range in job["status"]["completedIndexes"]
        .str()
        .split(',')
        .filter(|r| indexed && !r.is_empty())
    {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(first), Ok(last)) = (first.parse::<i64>(), last.parse::<i64>()) {
            count
                .indexes
                .extend(first..=last.min(first.saturating_add(100_000)));
        }
    }
    for (key, pod) in pods::controlled(cluster, job.uid()) {
        let tracked = pod.finalizers().any(|f| f == TRACKING);
        let phase = pod["status"]["phase"].str();
        if !pods::is_over(pod) {
            if pod.is_deleting() {
                count.terminating += 1;
                // A pod that was deleted while it ran counts as failed.
                if tracked && job["spec"]["podReplacementPolicy"].str() != "Failed" {
                    count.failed += 1;
                    count.finished.push(key.clone());
                }
                continue;
            }
            count.ready += i64::from(pods::is_ready(pod));
            count.active.push((key.clone(), pod.clone()));
            continue;
        }
        if !tracked {
            continue;
        }
        count.finished.push(key.clone());
        if phase == "Succeeded" {
            count.succeeded += 1;
            count.indexes.extend(index_of(pod).filter(|_| indexed));
        } else {
            count.failed += 1;
            let ended = pod["status"]["containerStatuses"]
                .items()
                .iter()
                .filter_map(|c| Time::parse(c["state"]["terminated"]["finishedAt"].str()))
                .max();
            count.last_failure = count.last_failure.max(ended.or(Some(cluster.now)));
        }
    }
    count
}

fn index_of(pod: &Value) -> Option<i64> {
    pod.annotation(INDEX)?.parse().ok()
}

/// Whether the Job is over, and why.
fn end(cluster: &Cluster, job: &Value, succeeded: i64, failed: i64, status: &Value) -> Option<End> {
    let spec = &job["spec"];
    if failed > spec["backoffLimit"].as_i64().unwrap_or(6) {
        let message = "Job has reached the specified backoff limit".to_owned();
        return Some(End {
            failed: true,
            reason: "BackoffLimitExceeded",
            message,
        });
    }
    let deadline = spec["activeDeadlineSeconds"]
        .as_i64()
        .zip(Time::parse(status["startTime"].str()));
    if deadline.is_some_and(|(seconds, start)| {
        start + Duration::from_secs(seconds.max(0).unsigned_abs()) <= cluster.now
    }) {
        let message = "Job was active longer than specified deadline".to_owned();
        return Some(End {
            failed: true,
            reason: "DeadlineExceeded",
            message,
        });
    }
    let complete = match spec["completions"].as_i64() {
        Some(completions) => succeeded >= completions,
        // A work queue: one success, and nobody works any more.
        None => {
            succeeded > 0 && pods::controlled(cluster, job.uid()).all(|(_, pod)| pods::is_over(pod))
        }
    };
    let message = "Reached expected number of succeeded pods".to_owned();
    complete.then_some(End {
        failed: false,
        reason: "CompletionsReached",
        message,
    })
}

/// How many pods more there should be, and which are too many.
fn wanted(job: &Value, count: &Count, succeeded: i64) -> (usize, Vec<ObjectKey>) {
    let parallelism = job["spec"]["parallelism"].as_i64().unwrap_or(1).max(0);
    let active = count.active.len() as i64;
    let want = match job["spec"]["completions"].as_i64() {
        Some(completions) => parallelism.min(completions - succeeded),
        None if succeeded > 0 => active,
        None => parallelism,
    };
    let late = count
        .active
        .iter()
        .rev()
        .take(usize::try_from(active - want).unwrap_or(0));
    (
        usize::try_from(want - active).unwrap_or(0),
        late.map(|(key, _)| key.clone()).collect(),
    )
}

/// How long the next pod still has to wait after failures.
fn pause(cluster: &Cluster, failed: i64, last_failure: Option<Time>) -> Option<Duration> {
    let last = last_failure?;
    let doubled = BACKOFF * 2_u32.saturating_pow(u32::try_from(failed - 1).unwrap_or(0).min(10));
    let until = last + doubled.min(BACKOFF_MAX);
    (until > cluster.now).then(|| until.since(cluster.now))
}

fn create(
    cluster: &mut Cluster,
    by: &Component,
    job: &Value,
    count: &Count,
    more: usize,
    active: &mut i64,
) -> Outcome {
    let indexed = job["spec"]["completionMode"].as_str() == Some("Indexed");
    let taken: BTreeSet<i64> = count
        .active
        .iter()
        .filter_map(|(_, pod)| index_of(pod))
        .chain(count.indexes.iter().copied())
        .collect();
    let mut free =
        (0..job["spec"]["completions"].as_i64().unwrap_or(0)).filter(|n| !taken.contains(n));
    slow_start(more, || {
        let mut pod = template::pod(&job["spec"]["template"], job);
        pod["metadata"]["finalizers"].push(TRACKING);
        if indexed {
            let Some(index) = free.next() else {
                return Ok(());
            };
            give_index(&mut pod, job.name(), index);
        }
        match template::create_pod(cluster, by, job, pod) {
            Err(status) if template::is_terminating(&status) => Ok(()),
            Err(status) => Err(status),
            Ok(_) => {
                *active += 1;
                Ok(())
            }
        }
    })
}

/// An indexed Job's pod knows its index by annotation, label, name and environment.
fn give_index(pod: &mut Value, job: &str, index: i64) {
    let index: Text = index.to_string().into();
    pod["metadata"]["annotations"][INDEX] = (&index).into();
    pod["metadata"]["labels"][INDEX] = (&index).into();
    pod["metadata"]["generateName"] = format!("{job}-{index}-").into();
    pod["spec"]["hostname"] = format!("{job}-{index}").into();
    for list in ["initContainers", "containers"] {
        for at in 0..pod["spec"][list].items().len() {
            let path = format!("metadata.labels['{INDEX}']");
            let field = object([("apiVersion", "v1".into()), ("fieldPath", path.into())]);
            let source = object([("fieldRef", field)]);
            pod["spec"][list][at]["env"].push(object([
                ("name", "JOB_COMPLETION_INDEX".into()),
                ("valueFrom", source),
            ]));
        }
    }
}

fn release(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    if !cluster
        .etcd
        .get(key)
        .is_some_and(|pod| pod.finalizers().any(|f| f == TRACKING))
    {
        return Ok(());
    }
    let released = cluster.modify(by, key, Subresource::None, |pod| {
        pod["metadata"]["finalizers"]
            .array_mut()
            .retain(|f| f.str() != TRACKING);
        if pod["metadata"]["finalizers"].is_empty() {
            pod.remove(&["metadata", "finalizers"]);
        }
    });
    match released {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}

/// Lets all pods of a Job go that is over.
fn release_all(cluster: &mut Cluster, by: &Component, job: &Value) -> Outcome {
    let keys: Vec<ObjectKey> = pods::controlled(cluster, job.uid())
        .map(|(key, _)| key.clone())
        .collect();
    keys.iter().try_for_each(|key| release(cluster, by, key))
}

/// Deletes a finished Job when its time is over (ttl-after-finished-controller).
fn expire(cluster: &mut Cluster, by: &Component, key: &ObjectKey, job: &Value) -> Outcome {
    let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else {
        return Ok(());
    };
    let ended = ["Complete", "Failed"]
        .iter()
        .find_map(|kind| Time::parse(pods::condition(job, kind)?["lastTransitionTime"].str()));
    let Some(due) = ended.map(|t| t + Duration::from_secs(seconds.max(0).unsigned_abs())) else {
        return Ok(());
    };
    if due > cluster.now {
        cluster.enqueue(
            Task::Controller(CONTROLLER.name, key.clone()),
            due.since(cluster.now),
        );
        return Ok(());
    }
    let options = DeleteOptions {
        propagation: Propagation::Foreground,
        ..DeleteOptions::default()
    };
    cluster.delete(by, key, &options).map(drop)
}

fn write_status(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    mut status: Value,
    counts: &[(&str, i64)],
    count: &Count,
    end: Option<End>,
) -> Outcome {
    let Some(job) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    for (field, number) in counts {
        match number {
            0 => drop(status.remove(&[*field])),
            number => status[*field] = (*number).into(),
        }
    }
    let suspended = job["spec"]["suspend"].as_bool() == Some(true);
    status["ready"] = (if end.is_some() || suspended {
        0
    } else {
        count.ready
    })
    .into();
    status["terminating"] = count.terminating.into();
    status["uncountedTerminatedPods"] = Value::new_object();
    if !count.indexes.is_empty() {
        status["completedIndexes"] = ranges(&count.indexes).into();
    }
    suspend(cluster, by, &job, &mut status, suspended);
    let now: Value = cluster.now.rfc3339().into();
    if let Some(end) = &end {
        let mut add = |kind: &str| {
            status["conditions"].push(object([
                ("lastProbeTime", now.clone()),
                ("lastTransitionTime", now.clone()),
                ("message", end.message.as_str().into()),
                ("reason", end.reason.into()),
                ("status", "True".into()),
                ("type", kind.into()),
            ]));
        };
        add(if end.failed {
            "FailureTarget"
        } else {
            "SuccessCriteriaMet"
        });
        add(if end.failed { "Failed" } else { "Complete" });
        if !end.failed {
            status["completionTime"] = now;
        }
    }
    let mut updated = job.clone();
    updated["status"] = status;
    if !updated.same(&job) {
        cluster.update_status(by, updated)?;
    }
    match end {
        Some(end) if end.failed => cluster.warn(by, &job, end.reason, &end.message),
        Some(_) => cluster.record(by, &job, "Completed", "Job completed"),
        None => return Ok(()),
    }
    // Once more, to let the pods go and to note when the Job itself may.
    cluster.enqueue(
        Task::Controller(CONTROLLER.name, key.clone()),
        Duration::from_millis(1),
    );
    Ok(())
}

fn suspend(
    cluster: &mut Cluster,
    by: &Component,
    job: &Value,
    status: &mut Value,
    suspended: bool,
) {
    let was = pods::condition(job, "Suspended").map(|c| c["status"].str() == "True");
    if was.unwrap_or(false) == suspended {
        return;
    }
    let (reason, message) = if suspended {
        ("JobSuspended", "Job suspended")
    } else {
        ("JobResumed", "Job resumed")
    };
    let now: Value = cluster.now.rfc3339().into();
    let mut condition = pods::new_condition("Suspended", suspended, reason, message, cluster.now);
    condition["lastProbeTime"] = now.clone();
    let conditions = status["conditions"].array_mut();
    conditions.retain(|c| c["type"].str() != "Suspended");
    conditions.push(condition);
    if suspended {
        status.remove(&["startTime"]);
        cluster.record(by, job, "Suspended", message);
    } else {
        status["startTime"] = now;
        cluster.record(by, job, "Resumed", message);
    }
}

/// `0-2,5`
fn ranges(indexes: &BTreeSet<i64>) -> String {
    let mut ranges: BTreeMap<i64, i64> = BTreeMap::new();
    for index in indexes {
        match ranges.last_entry() {
            Some(mut range) if *range.get() + 1 == *index => *range.get_mut() = *index,
            _ => drop(ranges.insert(*index, *index)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}
