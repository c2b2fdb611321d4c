//! job-controller: runs pods until enough of them have succeeded
//! (kubernetes v1.37, `pkg/controller/job`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::job_failure_policy::{Judgement, judge};
use super::job_indexes::{give_index, index_of, ranges, read_ranges};
use super::replicaset::slow_start;
use super::{Controller, Outcome, pods, template};
use crate::api::{DeleteOptions, Propagation, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::task::Task;
use crate::time::Time;

const RESOURCE: &str = "jobs.batch";
/// By this a Job may name this controller as its own.
const OWN_NAME: &str = "kubernetes.io/job-controller";
/// Keeps a finished pod until it has been counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// How often an index has failed before a pod was made for it.
const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
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
        "pods" if pods::matters(change) || restarted(change) => {
            pods::controllers_of(change, "Job", RESOURCE)
        }
        _ => Vec::new(),
    }
}

fn restarted(change: &Change) -> bool {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => restarts(old) != restarts(new),
        _ => false,
    }
}

/// How often a pod's containers have been started again.
fn restarts(pod: &Value) -> i64 {
    let lists = ["initContainerStatuses", "containerStatuses"];
    let all = lists.iter().flat_map(|list| pod["status"][*list].items());
    all.filter_map(|status| status["restartCount"].as_i64())
        .sum()
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
    /// The completion indexes that have succeeded, and those that have failed for good.
    indexes: BTreeSet<i64>,
    failed_indexes: BTreeSet<i64>,
    /// How often indexes have failed, and when last; where failures count by index.
    failures: BTreeMap<i64, (i64, Time)>,
    last_failure: Option<Time>,
    /// What the failure policy says of a pod.
    verdict: Option<End>,
}

/// Why a Job has ended.
#[derive(Clone)]
struct End {
    failed: bool,
    reason: Text,
    message: String,
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    release_orphans(cluster, by, key)?;
    let Some(job) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    if !matches!(job["spec"]["managedBy"].str(), "" | OWN_NAME) {
        // Another controller's (KEP-4368).
        return Ok(());
    }
    if job.is_deleting() {
        return release_all(cluster, by, &job);
    }
    if is_finished(&job) {
        release_all(cluster, by, &job)?;
        return expire(cluster, by, key, &job);
    }
    let suspended = job["spec"]["suspend"].as_bool() == Some(true);
    let mut count = count(cluster, &job);
    let mut status = job["status"].clone();
    if status["startTime"].is_null() && !suspended {
        status["startTime"] = cluster.now.rfc3339().into();
    }
    // Each sync asks for the one at the deadline anew: it was an earlier turn of the same work item.
    let deadline = deadline(&job, &status).filter(|at| !suspended && *at > cluster.now);
    if let Some(at) = deadline {
        let task = Task::Controller(CONTROLLER.name, key.clone());
        cluster.enqueue(task, at.since(cluster.now));
    }
    let before = |field: &str| job["status"][field].as_i64().unwrap_or(0);
    let indexed = job["spec"]["completionMode"].as_str() == Some("Indexed");
    let succeeded = if indexed {
        count.indexes.len() as i64
    } else {
        before("succeeded") + count.succeeded
    };
    let mut failed = before("failed") + count.failed;
    let mut active = count.active.len() as i64;
    let end = decided(&job)
        .or_else(|| count.verdict.clone())
        .or_else(|| end(cluster, &job, &count, succeeded, failed, &status));
    let mut outcome = Ok(());
    if end.is_none() && !suspended {
        let (more, surplus) = wanted(&job, &count, succeeded);
        let by_index = job["spec"]["backoffLimitPerIndex"].as_i64().is_some();
        let pause = match by_index {
            true => None,
            false => pause(cluster, failed, count.last_failure).filter(|_| more > 0),
        };
        match pause {
            Some(delay) => cluster.enqueue(Task::Controller(CONTROLLER.name, key.clone()), delay),
            None => outcome = create(cluster, by, &job, &count, more, &mut active),
        }
        active -= surplus.len() as i64;
        stop(cluster, by, &job, &mut count, surplus, true)?;
    } else {
        active = 0;
        let all = count.active.iter().map(|(key, _)| key.clone()).collect();
        failed += match &end {
            Some(end) if end.failed => failures_among(&job, &count.active),
            _ => 0,
        };
        stop(cluster, by, &job, &mut count, all, end.is_none())?;
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

/// Deletes pods. Those of a Job that has ended are let go only once they are counted.
fn stop(
    cluster: &mut Cluster,
    by: &Component,
    job: &Value,
    count: &mut Count,
    leaving: Vec<ObjectKey>,
    at_once: bool,
) -> Outcome {
    count.terminating += leaving.len() as i64;
    for pod in leaving {
        let was_ready = cluster.etcd.get(&pod).is_some_and(pods::is_ready);
        count.ready -= i64::from(was_ready);
        if at_once {
            release(cluster, by, &pod)?;
        }
        template::delete_pod(cluster, by, job, &pod)?;
        if !at_once {
            count.finished.push(pod);
        }
    }
    Ok(())
}

/// How many of the pods that a failed Job stops count as failed themselves: all, but those that its
/// failure policy ignores and those without a place in an indexed Job
/// (`trackJobStatusAndRemoveFinalizers`).
fn failures_among(job: &Value, active: &[(ObjectKey, Value)]) -> i64 {
    let indexed = job["spec"]["completionMode"].as_str() == Some("Indexed");
    let completions = job["spec"]["completions"].as_i64().unwrap_or(0);
    let counts = |(key, pod): &&(ObjectKey, Value)| {
        let has_place = !indexed || index_of(pod).is_some_and(|index| index < completions);
        has_place
            && pod.finalizers().any(|f| f == TRACKING)
            && !matches!(judge(job, key, pod), Judgement::Ignore)
    };
    active.iter().filter(counts).count() as i64
}

/// When the Job has been active for as long as it may.
fn deadline(job: &Value, status: &Value) -> Option<Time> {
    let seconds = job["spec"]["activeDeadlineSeconds"].as_i64()?;
    let start = Time::parse(status["startTime"].str())?;
    Some(start + Duration::from_secs(seconds.max(0).unsigned_abs()))
}

/// The end that was decided on before, where pods are still waited for.
fn decided(job: &Value) -> Option<End> {
    let told = |kind: &str| pods::condition(job, kind).filter(|c| c["status"].str() == "True");
    let (failed, condition) = match (told("FailureTarget"), told("SuccessCriteriaMet")) {
        (Some(condition), _) => (true, condition),
        (None, Some(condition)) => (false, condition),
        (None, None) => return None,
    };
    Some(End {
        failed,
        reason: condition["reason"].text(),
        message: condition["message"].str().to_owned(),
    })
}

fn is_finished(job: &Value) -> bool {
    ["Complete", "Failed"]
        .iter()
        .any(|kind| pods::condition(job, kind).is_some_and(|c| c["status"].str() == "True"))
}

fn count(cluster: &Cluster, job: &Value) -> Count {
    let mut count = Count::default();
    let indexed = job["spec"]["completionMode"].as_str() == Some("Indexed");
    let limit = job["spec"]["backoffLimitPerIndex"].as_i64();
    if indexed {
        count.indexes = read_ranges(job["status"]["completedIndexes"].str());
        count.failed_indexes = read_ranges(job["status"]["failedIndexes"].str());
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
        let ended = ended(pod).unwrap_or(cluster.now);
        let index = index_of(pod).filter(|_| indexed);
        let action = match phase {
            "Failed" => judge(job, key, pod),
            _ => Judgement::Count,
        };
        if phase == "Failed"
            && let (Some(index), Some(limit)) = (index, limit)
        {
            let before = pod.annotation(FAILURES).and_then(|n| n.parse::<i64>().ok());
            let counts = i64::from(!matches!(action, Judgement::Ignore));
            let failures = before.unwrap_or(0) + counts;
            let entry = count.failures.entry(index).or_insert((failures, ended));
            *entry = (entry.0.max(failures), entry.1.max(ended));
            if failures > limit || matches!(action, Judgement::FailIndex) {
                count.failed_indexes.insert(index);
            }
        }
        if !tracked {
            continue;
        }
        count.finished.push(key.clone());
        if phase == "Succeeded" {
            count.succeeded += 1;
            count.indexes.extend(index);
            continue;
        }
        match action {
            Judgement::Ignore => continue,
            Judgement::FailJob(message) => {
                count.verdict.get_or_insert(End {
                    failed: true,
                    reason: "PodFailurePolicy".into(),
                    message,
                });
            }
            Judgement::Count | Judgement::FailIndex => {}
        }
        count.failed += 1;
        count.last_failure = count.last_failure.max(Some(ended));
    }
    count
}

/// When the last of a pod's containers ended.
fn ended(pod: &Value) -> Option<Time> {
    pod["status"]["containerStatuses"]
        .items()
        .iter()
        .filter_map(|c| Time::parse(c["state"]["terminated"]["finishedAt"].str()))
        .max()
}

/// Whether the containers of pods that restart them have done so too often
/// (`pastBackoffLimitOnFailure`).
fn restarted_too_often(job: &Value, count: &Count, limit: i64) -> bool {
    let restart = job["spec"]["template"]["spec"]["restartPolicy"].str() == "OnFailure";
    let restarts: i64 = count.active.iter().map(|(_, pod)| restarts(pod)).sum();
    restart && restarts >= limit.max(1)
}

/// Whether the Job is over, and why.
fn end(
    cluster: &Cluster,
    job: &Value,
    count: &Count,
    succeeded: i64,
    failed: i64,
    status: &Value,
) -> Option<End> {
    let spec = &job["spec"];
    let failed_for = |reason: &str, message: &str| {
        Some(End {
            failed: true,
            reason: reason.into(),
            message: message.to_owned(),
        })
    };
    let most = spec["maxFailedIndexes"].as_i64();
    let lost = count.failed_indexes.len() as i64;
    if most.is_some_and(|most| lost > most) {
        return failed_for(
            "MaxFailedIndexesExceeded",
            "Job has exceeded the specified maximal number of failed indexes",
        );
    }
    for (at, rule) in spec["successPolicy"]["rules"].items().iter().enumerate() {
        let among = rule["succeededIndexes"].as_str().map(read_ranges);
        let done = match &among {
            Some(among) => count.indexes.intersection(among).count(),
            None => count.indexes.len(),
        };
        let needed = match (rule["succeededCount"].as_i64(), &among) {
            (Some(needed), _) => usize::try_from(needed).unwrap_or(0),
            (None, Some(among)) => among.len(),
            (None, None) => continue,
        };
        if done >= needed {
            return Some(End {
                failed: false,
                reason: "SuccessPolicy".into(),
                message: format!("Matched rules at index {at}"),
            });
        }
    }
    let limit = spec["backoffLimit"].as_i64().unwrap_or(6);
    if failed > limit || restarted_too_often(job, count, limit) {
        let message = "Job has reached the specified backoff limit";
        return failed_for("BackoffLimitExceeded", message);
    }
    if deadline(job, status).is_some_and(|at| at <= cluster.now) {
        let message = "Job was active longer than specified deadline";
        return failed_for("DeadlineExceeded", message);
    }
    if lost > 0 && succeeded + lost >= spec["completions"].as_i64().unwrap_or(i64::MAX) {
        return failed_for("FailedIndexes", "Job has failed indexes");
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
        reason: "CompletionsReached".into(),
        message,
    })
}

/// How many pods more there should be, and which are too many.
fn wanted(job: &Value, count: &Count, succeeded: i64) -> (usize, Vec<ObjectKey>) {
    let parallelism = job["spec"]["parallelism"].as_i64().unwrap_or(1).max(0);
    let active = count.active.len() as i64;
    let want = match job["spec"]["completions"].as_i64() {
        Some(completions) => {
            parallelism.min(completions - succeeded - count.failed_indexes.len() as i64)
        }
        None if succeeded > 0 => active,
        None => parallelism,
    };
    let late = count
        .active
        .iter()
        .rev()
        .take(usize::try_from(active - want).unwrap_or(0));
    // Those that are still ending count where only failed ones are replaced (KEP-3939).
    let ending = match job["spec"]["podReplacementPolicy"].str() {
        "Failed" => count.terminating,
        _ => 0,
    };
    (
        usize::try_from(want - active - ending).unwrap_or(0),
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
        .chain(count.failed_indexes.iter().copied())
        .collect();
    let now = cluster.now;
    let due = |index: &i64| {
        let (failures, last) = count.failures.get(index)?;
        let doubled = 2_u32.saturating_pow(u32::try_from(failures - 1).unwrap_or(0).min(10));
        Some(*last + (BACKOFF * doubled).min(BACKOFF_MAX)).filter(|due| *due > now)
    };
    let completions = job["spec"]["completions"].as_i64().unwrap_or(0);
    let open: Vec<i64> = (0..completions)
        .filter(|n| !taken.contains(n))
        .take(100_000)
        .collect();
    // An index that has failed waits; others are not kept waiting by it.
    if let Some(soonest) = open.iter().filter_map(due).min() {
        let key = ObjectKey::new(RESOURCE, job["metadata"]["namespace"].text(), job.name());
        cluster.enqueue(Task::Controller(CONTROLLER.name, key), soonest.since(now));
    }
    let ready: Vec<i64> = open.into_iter().filter(|n| due(n).is_none()).collect();
    let more = if indexed { more.min(ready.len()) } else { more };
    let mut free = ready.into_iter();
    slow_start(more, || {
        let mut pod = template::pod(&job["spec"]["template"], job);
        pod["metadata"]["finalizers"].push(TRACKING);
        if indexed {
            let Some(index) = free.next() else {
                return Ok(());
            };
            give_index(&mut pod, job.name(), index);
            if job["spec"]["backoffLimitPerIndex"].as_i64().is_some() {
                let failures = count.failures.get(&index).map_or(0, |(n, _)| *n);
                pod["metadata"]["annotations"][FAILURES] = failures.to_string().into();
            }
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

/// Lets the pods of a Job go that is gone itself.
fn release_orphans(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let present = cluster
        .etcd
        .get(key)
        .map(|job| job["metadata"]["uid"].text());
    let lost = |pod: &Value| {
        let owner = pod.controller_ref().filter(|owner| owner.kind() == "Job");
        pod.finalizers().any(|f| f == TRACKING)
            && owner.is_none_or(|owner| present.as_deref() != Some(owner.uid()))
    };
    let (label, name) = (Text::from("batch.kubernetes.io/job-name"), key.name.clone());
    let orphans: Vec<ObjectKey> = cluster
        .index
        .pods_labelled(&key.namespace, &label, &name)
        .filter(|pod| cluster.etcd.get(pod).is_some_and(lost))
        .cloned()
        .collect();
    orphans.iter().try_for_each(|pod| release(cluster, by, pod))
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
    status["ready"] = count.ready.into();
    status["terminating"] = count.terminating.into();
    status["uncountedTerminatedPods"] = Value::new_object();
    if !count.indexes.is_empty() {
        status["completedIndexes"] = ranges(&count.indexes).into();
    }
    if job["spec"]["backoffLimitPerIndex"].as_i64().is_some() {
        status["failedIndexes"] = ranges(&count.failed_indexes).into();
    }
    suspend(cluster, by, &job, &mut status, suspended);
    let now: Value = cluster.now.rfc3339().into();
    // The Job itself is over when its last pod is.
    let over = pods::controlled(cluster, job.uid()).all(|(_, pod)| pods::is_over(pod));
    if let Some(end) = &end {
        let told = status["conditions"].clone();
        let mut add = |kind: &str| {
            if told.items().iter().any(|c| c["type"].str() == kind) {
                return;
            }
            status["conditions"].push(object([
                ("lastProbeTime", now.clone()),
                ("lastTransitionTime", now.clone()),
                ("message", end.message.as_str().into()),
                ("reason", (&end.reason).into()),
                ("status", "True".into()),
                ("type", kind.into()),
            ]));
        };
        add(if end.failed {
            "FailureTarget"
        } else {
            "SuccessCriteriaMet"
        });
        if over {
            add(if end.failed { "Failed" } else { "Complete" });
        }
        if over && !end.failed {
            status["completionTime"] = now;
        }
    }
    let mut updated = job.clone();
    updated["status"] = status;
    if !updated.same(&job) {
        cluster.update_status(by, updated)?;
    }
    match end.filter(|_| over) {
        Some(end) if end.failed => cluster.warn(by, &job, &end.reason, &end.message),
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
