//! What a Deployment's status says: its counts, and how the rollout gets on
//! (kubernetes v1.37, `pkg/controller/deployment/{sync,progress}.go`).

use std::time::Duration;

use kubarium_objects::{ObjectMeta, Value, object};

use super::deployment::{CONTROLLER, REVISION};
use super::rollout::{Rollout, count, max_unavailable, replicas, sum};
use super::{Outcome, pods};
use crate::task::Task;
use crate::time::Time;

impl Rollout<'_> {
    /// Whether the deployment is paused.
    pub fn is_paused(&self) -> bool {
        self.deployment["spec"]["paused"].as_bool() == Some(true)
    }

    pub(super) fn deadline(&self) -> Option<i64> {
        self.deployment["spec"]["progressDeadlineSeconds"]
            .as_i64()
            .filter(|s| *s != i64::from(i32::MAX))
    }

    pub(super) fn progressing(&self, status: &str, reason: &str, message: &str) -> Value {
        new_condition("Progressing", status, reason, message, self.cluster.now)
    }

    /// Notes that a deployment was paused or resumed, so that the deadline does not count then.
    pub fn check_paused(&mut self) -> Outcome {
        if self.deadline().is_none() {
            return Ok(());
        }
        let progressing = pods::condition(&self.deployment, "Progressing");
        let reason = progressing.map_or("", |c| c["reason"].str());
        if reason == "ProgressDeadlineExceeded" {
            return Ok(());
        }
        let paused = reason == "DeploymentPaused";
        let condition = match (self.is_paused(), paused) {
            (true, false) => {
                self.progressing("Unknown", "DeploymentPaused", "Deployment is paused")
            }
            (false, true) => {
                self.progressing("Unknown", "DeploymentResumed", "Deployment is resumed")
            }
            _ => return Ok(()),
        };
        let mut deployment = self.deployment.clone();
        set_condition(&mut deployment["status"], condition);
        self.write(deployment)
    }

    /// For a deployment that is being deleted.
    pub fn sync_status_only(&mut self) -> Outcome {
        self.sync_revision(false)?;
        self.sync_status()
    }

    pub(super) fn sync_status(&mut self) -> Outcome {
        let mut deployment = self.deployment.clone();
        deployment["status"] = self.status();
        if deployment.same(&self.deployment) {
            Ok(())
        } else {
            self.write(deployment)
        }
    }

    pub(super) fn status(&self) -> Value {
        let all = |field: &str| sum(&self.sets, |set| count(set, field));
        let available = all("availableReplicas");
        let old = &self.deployment["status"];
        let mut status = object([("observedGeneration", self.deployment.generation().into())]);
        for (field, number) in [
            ("replicas", all("replicas")),
            (
                "updatedReplicas",
                self.new_set().map_or(0, |set| count(set, "replicas")),
            ),
            ("readyReplicas", all("readyReplicas")),
            ("availableReplicas", available),
            (
                "unavailableReplicas",
                (sum(&self.sets, replicas) - available).max(0),
            ),
        ] {
            if number != 0 {
                status[field] = number.into();
            }
        }
        if self
            .sets
            .iter()
            .all(|set| !set["status"]["terminatingReplicas"].is_null())
        {
            status["terminatingReplicas"] = all("terminatingReplicas").into();
        }
        for field in ["collisionCount", "conditions"] {
            if !old[field].is_null() {
                status[field] = old[field].clone();
            }
        }
        let enough = available >= replicas(&self.deployment) - max_unavailable(&self.deployment);
        let (value, reason, message) = if enough {
            (
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            )
        } else {
            (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        set_condition(
            &mut status,
            new_condition("Available", value, reason, message, self.cluster.now),
        );
        status
    }

    pub(super) fn sync_rollout_status(&mut self) -> Outcome {
        let mut status = self.status();
        let old = self.deployment["status"].clone();
        let subject = match self.new_set() {
            Some(set) => format!("ReplicaSet \"{}\"", set.name()),
            None => format!("Deployment \"{}\"", self.deployment.name()),
        };
        let current = pods::condition(&self.deployment, "Progressing").cloned();
        let number = |status: &Value, field: &str| status[field].as_i64().unwrap_or(0);
        let settled = number(&status, "replicas") == number(&status, "updatedReplicas")
            && current
                .as_ref()
                .is_some_and(|c| c["reason"].str() == "NewReplicaSetAvailable");
        match self.deadline() {
            None => remove_condition(&mut status, "Progressing"),
            Some(_) if settled => {}
            Some(_) if is_complete(&self.deployment, &status) => {
                let message = format!("{subject} has successfully progressed.");
                set_condition(
                    &mut status,
                    self.progressing("True", "NewReplicaSetAvailable", &message),
                );
            }
            Some(_) if progresses(&old, &status) => {
                let mut condition = self.progressing(
                    "True",
                    "ReplicaSetUpdated",
                    &format!("{subject} is progressing."),
                );
                if let Some(current) = current {
                    if current["status"].str() == "True" {
                        condition["lastTransitionTime"] = current["lastTransitionTime"].clone();
                    }
                    remove_condition(&mut status, "Progressing");
                }
                set_condition(&mut status, condition);
            }
            Some(deadline) if self.timed_out(deadline) => {
                let message = format!("{subject} has timed out progressing.");
                set_condition(
                    &mut status,
                    self.progressing("False", "ProgressDeadlineExceeded", &message),
                );
            }
            Some(_) => {}
        }
        match self.failure() {
            Some(condition) => set_condition(&mut status, condition),
            None => remove_condition(&mut status, "ReplicaFailure"),
        }
        if status.same(&old) {
            self.requeue_stuck();
            return Ok(());
        }
        let mut deployment = self.deployment.clone();
        deployment["status"] = status;
        self.write(deployment)
    }

    /// The failure that a set reports, the new one's before the old ones'.
    pub(super) fn failure(&self) -> Option<Value> {
        let sets = self.new_set().into_iter().chain(&self.sets);
        let condition = sets
            .filter_map(|set| pods::condition(set, "ReplicaFailure"))
            .next()?;
        let mut condition = condition.clone();
        condition["lastUpdateTime"] = condition["lastTransitionTime"].clone();
        Some(condition)
    }

    pub(super) fn timed_out(&self, deadline: i64) -> bool {
        let Some(condition) = pods::condition(&self.deployment, "Progressing") else {
            return false;
        };
        match condition["reason"].str() {
            "NewReplicaSetAvailable" => false,
            "ProgressDeadlineExceeded" => true,
            _ => deadline_at(condition, deadline).is_some_and(|at| at < self.cluster.now),
        }
    }

    /// Looks again when the deadline is over.
    pub(super) fn requeue_stuck(&mut self) {
        let (Some(deadline), Some(condition)) = (
            self.deadline(),
            pods::condition(&self.deployment, "Progressing"),
        ) else {
            return;
        };
        if is_complete(&self.deployment, &self.deployment["status"])
            || condition["reason"].str() == "ProgressDeadlineExceeded"
        {
            return;
        }
        if let Some(at) = deadline_at(condition, deadline) {
            let delay = at.since(self.cluster.now) + Duration::from_secs(1);
            self.cluster
                .enqueue(Task::Controller(CONTROLLER.name, self.key.clone()), delay);
        }
    }
}

fn deadline_at(condition: &Value, deadline: i64) -> Option<Time> {
    Some(
        Time::parse(condition["lastUpdateTime"].str())?
            + Duration::from_secs(deadline.unsigned_abs()),
    )
}

/// Writes the revision into the deployment; whether it differed.
pub(super) fn set_revision(deployment: &mut Value, revision: i64) -> bool {
    let text = revision.to_string();
    if deployment.annotation(REVISION) == Some(&text) {
        return false;
    }
    deployment["metadata"]["annotations"][REVISION] = text.into();
    true
}

pub(super) fn is_complete(deployment: &Value, status: &Value) -> bool {
    let wanted = replicas(deployment);
    let is = |field: &str| status[field].as_i64().unwrap_or(0) == wanted;
    is("updatedReplicas")
        && is("replicas")
        && is("availableReplicas")
        && status["observedGeneration"].as_i64().unwrap_or(0) >= deployment.generation()
}

fn progresses(old: &Value, new: &Value) -> bool {
    let number = |status: &Value, field: &str| status[field].as_i64().unwrap_or(0);
    let outdated = |status: &Value| number(status, "replicas") - number(status, "updatedReplicas");
    ["updatedReplicas", "readyReplicas", "availableReplicas"]
        .iter()
        .any(|field| number(new, field) > number(old, field))
        || outdated(new) < outdated(old)
}

pub(super) fn new_condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: Time,
) -> Value {
    let now: Value = now.rfc3339().into();
    object([
        ("lastTransitionTime", now.clone()),
        ("lastUpdateTime", now),
        ("message", message.into()),
        ("reason", reason.into()),
        ("status", status.into()),
        ("type", kind.into()),
    ])
}

/// Puts a condition in, unless one with the same status and reason is there.
pub(super) fn set_condition(status: &mut Value, mut condition: Value) {
    let kind = condition["type"].text();
    if let Some(old) = status["conditions"]
        .items()
        .iter()
        .find(|c| *c["type"].str() == *kind)
        && old["status"] == condition["status"]
    {
        if old["reason"] == condition["reason"] {
            return;
        }
        condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
    }
    remove_condition(status, &kind);
    status["conditions"].push(condition);
}

pub(super) fn remove_condition(status: &mut Value, kind: &str) {
    if status["conditions"]
        .items()
        .iter()
        .any(|c| c["type"].str() == kind)
    {
        status["conditions"]
            .array_mut()
            .retain(|c| c["type"].str() != kind);
    }
    if status["conditions"].is_empty() {
        status.remove(&["conditions"]);
    }
}
