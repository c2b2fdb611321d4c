//! cronjob-controller: makes Jobs by the calendar (kubernetes v1.37, `pkg/controller/cronjob`).

use std::collections::BTreeSet;
use std::time::Duration;

use kubarium_objects::time::Civil;
use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::time_zone::Zone;
use super::{Controller, Outcome, pods, small, template};
use crate::api::{DeleteOptions, Propagation};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::task::Task;
use crate::time::{EPOCH_SECONDS, Time};

const RESOURCE: &str = "cronjobs.batch";
const JOBS: &str = "jobs.batch";

pub(super) const CONTROLLER: Controller = Controller {
    name: "cronjob-controller",
    observe,
    size: small,
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        RESOURCE if pods::spec_changed(change) => vec![change.key.clone()],
        JOBS => pods::controllers_of(change, "CronJob", RESOURCE),
        _ => Vec::new(),
    }
}

/// A schedule of five fields: minute, hour, day of the month, month, day of the week.
struct Schedule {
    fields: [BTreeSet<i64>; 5],
    /// Whether the day of the month, the day of the week is `*`: if neither is, one of them is
    /// enough.
    any_day: [bool; 2],
}

impl Schedule {
    fn parse(text: &str) -> Option<Schedule> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            text => text,
        };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            return None;
        };
        const MONTHS: [&str; 12] = [
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ];
        const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        let mut weekdays = field(weekday, 0, 7, &DAYS, 0)?;
        if weekdays.remove(&7) {
            weekdays.insert(0);
        }
        let any = |part: &str| part.starts_with(['*', '?']);
        Some(Schedule {
            fields: [
                field(minute, 0, 59, &[], 0)?,
                field(hour, 0, 23, &[], 0)?,
                field(day, 1, 31, &[], 0)?,
                field(month, 1, 12, &MONTHS, 1)?,
                weekdays,
            ],
            any_day: [any(day), any(weekday)],
        })
    }

    fn matches(&self, at: &Civil) -> bool {
        let [minutes, hours, days, months, weekdays] = &self.fields;
        let (day, weekday) = (days.contains(&at.day), weekdays.contains(&at.weekday()));
        let on = if self.any_day.contains(&true) {
            day && weekday
        } else {
            day || weekday
        };
        minutes.contains(&at.minute) && hours.contains(&at.hour) && months.contains(&at.month) && on
    }

    /// The first time after `after` (seconds since the Unix epoch), within five years.
    fn next(&self, after: i64) -> Option<i64> {
        let mut minute = after.div_euclid(60) + 1;
        let end = minute + 5 * 366 * 24 * 60;
        while minute < end {
            let at = Civil::from_seconds(minute * 60);
            if self.matches(&at) {
                return Some(minute * 60);
            }
            // Whole hours and days that cannot match are passed over.
            let day = Civil {
                hour: 0,
                minute: 0,
                second: 0,
                ..at
            };
            let possible = |at: &Civil| {
                let any = |h: i64, m: i64| {
                    self.matches(&Civil {
                        hour: h,
                        minute: m,
                        ..*at
                    })
                };
                match (self.fields[1].first(), self.fields[0].first()) {
                    (Some(hour), Some(minute)) => any(*hour, *minute),
                    _ => false,
                }
            };
            minute = if !possible(&at) {
                day.to_seconds() / 60 + 24 * 60
            } else if !self.fields[1].contains(&at.hour) {
                minute - at.minute + 60
            } else {
                minute + 1
            };
        }
        None
    }
}

/// The first time after `after` that a zone's clock shows a time of the schedule.
fn next(schedule: &Schedule, zone: Zone, after: i64) -> Option<i64> {
    let mut shown = after + zone.offset(after);
    // An hour that comes twice holds at most so many minutes that are over already.
    for _ in 0..=60 {
        shown = schedule.next(shown)?;
        let at = zone.moment(shown);
        if at > after {
            return Some(at);
        }
    }
    None
}

/// The values of a field: `*/5`, `1-5`, `MON,WED`.
fn field(text: &str, least: i64, most: i64, names: &[&str], base: i64) -> Option<BTreeSet<i64>> {
    let mut values = BTreeSet::new();
    let number = |text: &str| -> Option<i64> {
        let named = names.iter().position(|n| text.eq_ignore_ascii_case(n));
        named
            .map(|at| at as i64 + base)
            .or(text.parse().ok())
            .filter(|n| (least..=most).contains(n))
    };
    for part in text.split(',') {
        let (range, step) = part
            .split_once('/')
            .map_or((part, None), |(range, step)| (range, Some(step)));
        let (first, last) = match range {
            "*" | "?" => (least, most),
            range => match range.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (
                    number(range)?,
                    if step.is_some() { most } else { number(range)? },
                ),
            },
        };
        let step: usize = step
            .map_or(Some(1), |s| s.parse().ok())
            .filter(|s| *s > 0)?;
        values.extend((first..=last).step_by(step));
    }
    Some(values)
}

/// Jobs that are over.
fn ended(job: &Value) -> Option<bool> {
    let is = |kind: &str| pods::condition(job, kind).is_some_and(|c| c["status"].str() == "True");
    is("Complete")
        .then_some(true)
        .or(is("Failed").then_some(false))
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(cron) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let dependents = cluster
        .index
        .dependents(cron.uid())
        .filter(|k| &*k.resource == JOBS);
    let mut jobs: Vec<Value> = dependents
        .filter_map(|k| cluster.etcd.get(k))
        .cloned()
        .collect();
    jobs.sort_by(|a, b| a.creation_timestamp().cmp(&b.creation_timestamp()));
    let mut status = cron["status"].clone();
    let is_listed = |job: &&Value| {
        let mut active = cron["status"]["active"].items().iter();
        active.any(|a| a["uid"].str() == job.uid())
    };
    for job in jobs
        .iter()
        .filter(|job| !is_listed(job) && ended(job).is_none())
    {
        let text = format!(
            "Saw a job that the controller did not create or forgot: {}",
            job.name()
        );
        cluster.warn(by, &cron, "UnexpectedJob", &text);
    }
    let listed: Vec<Value> = status["active"].items().to_vec();
    for entry in &listed {
        let job = jobs.iter().find(|j| j.uid() == entry["uid"].str());
        let text = match job.map(|job| (job, ended(job))) {
            Some((_, None)) => continue,
            Some((job, Some(complete))) => {
                if complete {
                    status["lastSuccessfulTime"] = job["status"]["completionTime"].clone();
                }
                format!(
                    "Saw completed job: {}, condition: {}",
                    job.name(),
                    if complete { "Complete" } else { "Failed" }
                )
            }
            None => format!("Active job went missing: {}", entry["name"].str()),
        };
        let reason = if job.is_some() {
            "SawCompletedJob"
        } else {
            "MissingJob"
        };
        cluster.record(by, &cron, reason, &text);
        status["active"]
            .array_mut()
            .retain(|a| a["uid"] != entry["uid"]);
    }
    if status["active"].is_empty() {
        status.remove(&["active"]);
    }
    write(cluster, by, key, &status)?;
    clean_up(cluster, by, &cron, &jobs)?;
    if cron.is_deleting() || cron["spec"]["suspend"].as_bool() == Some(true) {
        return Ok(());
    }
    let Some(schedule) = Schedule::parse(cron["spec"]["schedule"].str()) else {
        let message = format!("unparseable schedule: {}", cron["spec"]["schedule"].str());
        cluster.warn(by, &cron, "UnparseableSchedule", &message);
        return Ok(());
    };
    let name = cron["spec"]["timeZone"].as_str().unwrap_or("UTC");
    let Some(zone) = Zone::named(name) else {
        // Not the real one's words: it knows all zones of the database.
        let message = format!("kubarium does not know the time zone {name}: no Job is made");
        cluster.warn(by, &cron, "UnknownTimeZone", &message);
        return Ok(());
    };
    due(cluster, by, key, &cron, (&schedule, zone), status)
}

/// Makes the Job that is due, if one is, and notes when the next one will be.
fn due(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    cron: &Value,
    (schedule, zone): (&Schedule, Zone),
    mut status: Value,
) -> Outcome {
    let now = cluster.now.unix_seconds();
    let seconds = |text: &str| Time::parse(text).map(Time::unix_seconds);
    let since = seconds(status["lastScheduleTime"].str())
        .or(cron.creation_timestamp().and_then(seconds))
        .unwrap_or(now);
    let deadline = cron["spec"]["startingDeadlineSeconds"].as_i64();
    let mut from = deadline.map_or(since, |d| since.max(now - d));
    let (mut last, mut missed) = (None, 0);
    while let Some(at) = next(schedule, zone, from).filter(|at| *at <= now && missed < 100_000) {
        (last, from, missed) = (Some(at), at, missed + 1);
    }
    if let Some(next) = next(schedule, zone, now) {
        let at = Time::from_secs(u64::try_from(next - EPOCH_SECONDS).unwrap_or(0));
        // The controller looks a moment after the minute has begun.
        cluster.enqueue(
            Task::Controller(CONTROLLER.name, key.clone()),
            at.since(cluster.now) + Duration::from_millis(100),
        );
    }
    let Some(at) = last else {
        return Ok(());
    };
    if missed > 100 {
        let message = format!(
            "too many missed start times: {missed}. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        );
        cluster.warn(by, cron, "TooManyMissedTimes", &message);
    }
    let active = status["active"].items().to_vec();
    match cron["spec"]["concurrencyPolicy"].str() {
        "Forbid" if !active.is_empty() => {
            cluster.record(by, cron, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid");
            return Ok(());
        }
        "Replace" => {
            for entry in &active {
                let job = ObjectKey::new(JOBS, key.namespace.clone(), entry["name"].str());
                let options = DeleteOptions {
                    propagation: Propagation::Background,
                    ..DeleteOptions::default()
                };
                if cluster.delete(by, &job, &options).is_ok() {
                    cluster.record(
                        by,
                        cron,
                        "SuccessfulDelete",
                        &format!("Deleted job {}", job.name),
                    );
                }
                status["active"]
                    .array_mut()
                    .retain(|a| a["uid"] != entry["uid"]);
            }
        }
        _ => {}
    }
    let job = match cluster.create(by, job(cron, zone, at)) {
        Ok(job) => job,
        Err(status) if status.is("AlreadyExists") || template::is_terminating(&status) => {
            return Ok(());
        }
        Err(status) => {
            cluster.warn(
                by,
                cron,
                "FailedCreate",
                &format!("Error creating job: {}", status.message),
            );
            return Err(status);
        }
    };
    cluster.record(
        by,
        cron,
        "SuccessfulCreate",
        &format!("Created job {}", job.name()),
    );
    let mut reference = object([
        ("apiVersion", "batch/v1".into()),
        ("kind", "Job".into()),
        ("name", job["metadata"]["name"].clone()),
        ("namespace", job["metadata"]["namespace"].clone()),
        ("uid", job["metadata"]["uid"].clone()),
    ]);
    reference["resourceVersion"] = job["metadata"]["resourceVersion"].clone();
    status["active"].push(reference);
    status["lastScheduleTime"] = kubarium_objects::time::format_seconds(at).into();
    write(cluster, by, key, &status)
}

fn write(cluster: &mut Cluster, by: &Component, key: &ObjectKey, status: &Value) -> Outcome {
    let Some(cron) = cluster
        .etcd
        .get(key)
        .filter(|cron| !cron["status"].same(status))
        .cloned()
    else {
        return Ok(());
    };
    let mut updated = cron;
    updated["status"] = status.clone();
    cluster.update_status(by, updated).map(drop)
}

/// The Job for a moment: named after the minute, so that there is one only.
fn job(cron: &Value, zone: Zone, at: i64) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let mut metadata = object([
        ("name", format!("{}-{}", cron.name(), at / 60).into()),
        ("namespace", cron["metadata"]["namespace"].clone()),
        ("ownerReferences", vec![pods::controller_ref(cron)].into()),
    ]);
    for field in ["labels", "annotations"] {
        if !template["metadata"][field].is_empty() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    metadata["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] =
        shown(zone, at).into();
    object([
        ("apiVersion", "batch/v1".into()),
        ("kind", "Job".into()),
        ("metadata", metadata),
        ("spec", template["spec"].clone()),
    ])
}

/// A moment as its zone's clock shows it: `2026-01-05T09:00:00+01:00`.
fn shown(zone: Zone, at: i64) -> String {
    let offset = zone.offset(at);
    let text = kubarium_objects::time::format_seconds(at + offset);
    if offset == 0 {
        return text;
    }
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
    let clock = text.trim_end_matches('Z');
    format!("{clock}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Deletes finished Jobs beyond the history's limits, the oldest first.
fn clean_up(cluster: &mut Cluster, by: &Component, cron: &Value, jobs: &[Value]) -> Outcome {
    for (complete, field) in [
        (true, "successfulJobsHistoryLimit"),
        (false, "failedJobsHistoryLimit"),
    ] {
        let Some(limit) = cron["spec"][field].as_i64() else {
            continue;
        };
        let over: Vec<&Value> = jobs
            .iter()
            .filter(|job| ended(job) == Some(complete))
            .collect();
        let surplus = over
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(0));
        for job in over.into_iter().take(surplus) {
            let key = ObjectKey::new(JOBS, job.namespace(), job.name());
            let options = DeleteOptions {
                propagation: Propagation::Background,
                ..DeleteOptions::default()
            };
            if cluster.delete(by, &key, &options).is_ok() {
                cluster.record(
                    by,
                    cron,
                    "SuccessfulDelete",
                    &format!("Deleted job {}", job.name()),
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_say_when_they_are_due() {
        // 2026-01-05 09:00:00 UTC, a Monday.
        for (schedule, want) in [
            ("* * * * *", "2026-01-05T09:01:00Z"),
            ("*/5 * * * *", "2026-01-05T09:05:00Z"),
            ("0 * * * *", "2026-01-05T10:00:00Z"),
            ("30 2 * * *", "2026-01-06T02:30:00Z"),
            ("0 9 * * MON-FRI", "2026-01-06T09:00:00Z"),
            ("0 0 1 * *", "2026-02-01T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("15 10 13 * 5", "2026-01-09T10:15:00Z"),
            ("@weekly", "2026-01-11T00:00:00Z"),
        ] {
            let next = Schedule::parse(schedule).and_then(|s| s.next(EPOCH_SECONDS));
            assert_eq!(
                next.map(kubarium_objects::time::format_seconds).as_deref(),
                Some(want),
                "{schedule}"
            );
        }
        // Nine in the morning in Berlin, before and after the clock is put forward.
        let (nine, berlin) = (
            Schedule::parse("0 9 * * *").unwrap(),
            Zone::named("Europe/Berlin").unwrap(),
        );
        let seconds = |text| kubarium_objects::time::parse_seconds(text).unwrap();
        for (after, want) in [
            ("2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z"),
            ("2026-03-27T12:00:00Z", "2026-03-28T08:00:00Z"),
        ] {
            assert_eq!(
                next(&nine, berlin, seconds(after)),
                Some(seconds(want)),
                "{after}"
            );
        }
        assert_eq!(
            shown(berlin, seconds("2026-01-05T08:00:00Z")),
            "2026-01-05T09:00:00+01:00"
        );
        for wrong in ["", "* * * *", "60 * * * *", "*/0 * * * *", "x * * * *"] {
            assert!(Schedule::parse(wrong).is_none(), "{wrong}");
        }
    }
}
