//! One sync of a Deployment: which ReplicaSet grows, which shrinks, and what the status says
//! (kubernetes v1.37, `pkg/controller/deployment/{sync,rolling,recreate,progress}.go`).

use std::cmp::Ordering;
use std::time::Duration;

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::deployment::{
    CONTROLLER, REVISION, annotate, desired_annotation, max_annotation, revision,
    set_replicas_annotations,
};
use super::template;
use super::{Outcome, pods};
use crate::api::DeleteOptions;
use crate::cluster::Cluster;
use crate::event::Component;
use crate::task::Task;
use crate::time::Time;

/// `spec.replicas` of a deployment or set.
pub(super) fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// How many pods more than wanted there may be.
pub(super) fn max_surge(deployment: &Value) -> i64 {
    if !is_rolling(deployment) {
        return 0;
    }
    fenceposts(deployment).0
}

/// How many pods fewer than wanted may be available.
fn max_unavailable(deployment: &Value) -> i64 {
    if !is_rolling(deployment) || replicas(deployment) == 0 {
        return 0;
    }
    fenceposts(deployment).1.min(replicas(deployment))
}

/// Surge and unavailable: never both 0, or nothing could move.
fn fenceposts(deployment: &Value) -> (i64, i64) {
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    let surge = pods::scaled(&rolling["maxSurge"], replicas(deployment), true);
    let unavailable = pods::scaled(&rolling["maxUnavailable"], replicas(deployment), false);
    (
        surge,
        if surge == 0 && unavailable == 0 {
            1
        } else {
            unavailable
        },
    )
}

fn is_rolling(deployment: &Value) -> bool {
    deployment["spec"]["strategy"]["type"].str() != "Recreate"
}

/// The order of creation.
pub(super) fn older(a: &Value, b: &Value) -> Ordering {
    (a.creation_timestamp(), a.name()).cmp(&(b.creation_timestamp(), b.name()))
}

fn count(object: &Value, field: &str) -> i64 {
    object["status"][field].as_i64().unwrap_or(0)
}

fn sum<'a>(sets: impl IntoIterator<Item = &'a Value>, what: impl Fn(&Value) -> i64) -> i64 {
    sets.into_iter().map(what).sum()
}

/// The state of one sync.
pub(super) struct Rollout<'a> {
    pub cluster: &'a mut Cluster,
    pub by: &'a Component,
    pub key: &'a ObjectKey,
    /// As it is stored now.
    pub deployment: Value,
    /// Its ReplicaSets as they are stored now, oldest first.
    pub sets: Vec<Value>,
}

impl Rollout<'_> {
    // --- What is new, what is old ---------------------------------------------------------------

    /// The place of the set with the deployment's present template: the oldest such.
    fn new_at(&self) -> Option<usize> {
        let wanted = &self.deployment["spec"]["template"];
        self.sets
            .iter()
            .position(|set| template::equal_ignoring_hash(&set["spec"]["template"], wanted))
    }

    fn new_set(&self) -> Option<&Value> {
        self.sets.get(self.new_at()?)
    }

    /// The names of the old sets, oldest first.
    fn old_names(&self) -> Vec<String> {
        let new = self.new_at();
        let old = self
            .sets
            .iter()
            .enumerate()
            .filter(|(at, _)| Some(*at) != new);
        old.map(|(_, set)| set.name().to_owned()).collect()
    }

    fn set(&self, name: &str) -> Option<&Value> {
        self.sets.iter().find(|set| set.name() == name)
    }

    fn store(&mut self, set: Value) {
        match self.sets.iter_mut().find(|s| s.name() == set.name()) {
            Some(place) => *place = set,
            None => {
                self.sets.push(set);
                self.sets.sort_by(older);
            }
        }
    }

    /// Brings the new set's revision and annotations up to date, and makes it where `create`.
    fn sync_revision(&mut self, create: bool) -> Outcome {
        let new_name = self.new_set().map(|set| set.name().to_owned());
        let others = self
            .sets
            .iter()
            .filter(|set| Some(set.name()) != new_name.as_deref());
        let next = others.map(revision).max().unwrap_or(0) + 1;
        if let Some(set) = new_name.and_then(|name| self.set(&name).cloned()) {
            return self.sync_existing(set, next);
        }
        if create {
            self.create_set(next)
        } else {
            Ok(())
        }
    }

    fn sync_existing(&mut self, set: Value, next: i64) -> Outcome {
        let mut changed = set.clone();
        let mut differs = annotate(&mut changed, &self.deployment, next, true);
        let (had, wanted) = (
            &set["spec"]["minReadySeconds"],
            &self.deployment["spec"]["minReadySeconds"],
        );
        if had.as_i64().unwrap_or(0) != wanted.as_i64().unwrap_or(0) {
            changed["spec"]["minReadySeconds"] = wanted.clone();
            differs = true;
        }
        if differs {
            let stored = self.cluster.update(self.by, changed)?;
            self.store(stored);
            return Ok(());
        }
        let mut deployment = self.deployment.clone();
        let mut differs = set_revision(&mut deployment, revision(&set));
        if self.deadline().is_some() && pods::condition(&deployment, "Progressing").is_none() {
            let message = format!("Found new replica set \"{}\"", set.name());
            set_condition(
                &mut deployment["status"],
                self.progressing("True", "FoundNewReplicaSet", &message),
            );
            differs = true;
        }
        if differs {
            self.write(deployment)
        } else {
            Ok(())
        }
    }

    fn create_set(&mut self, next: i64) -> Outcome {
        let mut set = super::deployment::new_set(&self.deployment);
        let size = self.new_size(&set);
        set["spec"]["replicas"] = size.into();
        annotate(&mut set, &self.deployment, next, false);
        let name = set.name().to_owned();
        let created = match self.cluster.create(self.by, set.clone()) {
            Ok(created) => created,
            Err(status) if status.is("AlreadyExists") => return self.collide(&set, status),
            Err(status) if template::is_terminating(&status) => return Err(status),
            Err(status) => {
                let message = format!(
                    "Failed to create new replica set \"{name}\": {}",
                    status.message
                );
                let mut deployment = self.deployment.clone();
                if self.deadline().is_some() {
                    set_condition(
                        &mut deployment["status"],
                        self.progressing("False", "ReplicaSetCreateError", &message),
                    );
                    self.write(deployment)?;
                }
                self.cluster
                    .warn(self.by, &self.deployment, "ReplicaSetCreateError", &message);
                return Err(status);
            }
        };
        if size > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {size}");
            self.cluster
                .record(self.by, &self.deployment, "ScalingReplicaSet", &message);
        }
        self.store(created);
        let mut deployment = self.deployment.clone();
        let mut differs = set_revision(&mut deployment, next);
        if self.deadline().is_some() {
            let message = format!("Created new replica set \"{name}\"");
            set_condition(
                &mut deployment["status"],
                self.progressing("True", "NewReplicaSetCreated", &message),
            );
            differs = true;
        }
        if differs {
            self.write(deployment)
        } else {
            Ok(())
        }
    }

    /// A set of that name is there already: either it is ours, and only now known, or the hash
    /// is taken, and the next attempt takes another.
    fn collide(&mut self, set: &Value, status: Status) -> Outcome {
        let key = ObjectKey::new("replicasets.apps", set.namespace(), set.name());
        if let Some(found) = self.cluster.etcd.get(&key).cloned()
            && found
                .controller_ref()
                .is_some_and(|owner| owner.uid() == self.deployment.uid())
            && template::equal_ignoring_hash(&found["spec"]["template"], &set["spec"]["template"])
        {
            self.store(found);
            return Ok(());
        }
        let mut deployment = self.deployment.clone();
        let collisions = deployment["status"]["collisionCount"].as_i64().unwrap_or(0) + 1;
        deployment["status"]["collisionCount"] = collisions.into();
        self.write(deployment)?;
        Err(status)
    }

    /// How large the new set may become now.
    fn new_size(&self, set: &Value) -> i64 {
        let wanted = replicas(&self.deployment);
        if !is_rolling(&self.deployment) {
            return wanted;
        }
        let size = replicas(set);
        let most = wanted + max_surge(&self.deployment);
        let present = sum(&self.sets, replicas);
        if present >= most {
            size
        } else {
            size + (most - present).min(wanted - size)
        }
    }

    /// Writes the deployment's status (and revision, which the status' update carries along).
    fn write(&mut self, deployment: Value) -> Outcome {
        self.deployment = self.cluster.update_status(self.by, deployment)?;
        Ok(())
    }

    // --- Scaling ----------------------------------------------------------------------------------

    /// Gives a set another size, and says so; whether it had one.
    fn scale(&mut self, name: &str, size: i64) -> Result<bool, Status> {
        let Some(set) = self.set(name) else {
            return Ok(false);
        };
        let old = replicas(set);
        if old == size {
            return Ok(false);
        }
        self.resize(name, size)
    }

    fn resize(&mut self, name: &str, size: i64) -> Result<bool, Status> {
        let Some(set) = self.set(name).cloned() else {
            return Ok(false);
        };
        let old = replicas(&set);
        let mut changed = set.clone();
        let wanted = replicas(&self.deployment);
        let differs =
            set_replicas_annotations(&mut changed, wanted, wanted + max_surge(&self.deployment));
        if old == size && !differs {
            return Ok(false);
        }
        changed["spec"]["replicas"] = size.into();
        let stored = self.cluster.update(self.by, changed)?;
        self.store(stored);
        if old != size {
            let direction = if old < size { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {name} from {old} to {size}");
            self.cluster
                .record(self.by, &self.deployment, "ScalingReplicaSet", &message);
        }
        Ok(old != size)
    }

    /// Whether somebody scaled the deployment itself since its sets were last scaled.
    pub fn is_scaling(&self) -> bool {
        let wanted = replicas(&self.deployment);
        self.sets
            .iter()
            .filter(|set| replicas(set) > 0)
            .any(|set| desired_annotation(set).is_some_and(|d| d != wanted))
    }

    /// For deployments that are paused or being scaled: no new set, only sizes in proportion.
    pub fn scale_and_sync(&mut self) -> Outcome {
        self.sync_revision(false)?;
        self.scale_in_proportion()?;
        if self.is_paused() {
            self.clean_up()?;
        }
        self.sync_status()
    }

    fn scale_in_proportion(&mut self) -> Outcome {
        let wanted = replicas(&self.deployment);
        if let Some(name) = self.active_or_latest() {
            return self.scale(&name, wanted).map(drop);
        }
        let saturated = self.new_set().is_some_and(|set| {
            desired_annotation(set) == Some(wanted)
                && replicas(set) == wanted
                && count(set, "availableReplicas") == wanted
        });
        if saturated {
            for name in self.old_names() {
                self.scale(&name, 0)?;
            }
            return Ok(());
        }
        if !is_rolling(&self.deployment) {
            return Ok(());
        }
        let mut active: Vec<Value> = self
            .sets
            .iter()
            .filter(|set| replicas(set) > 0)
            .cloned()
            .collect();
        let allowed = if wanted > 0 {
            wanted + max_surge(&self.deployment)
        } else {
            0
        };
        let to_add = allowed - sum(&active, replicas);
        // The largest first; of equal ones the newer when growing, the older when shrinking.
        active.sort_by(|a, b| {
            let age = if to_add > 0 { older(b, a) } else { older(a, b) };
            replicas(b).cmp(&replicas(a)).then(age)
        });
        let mut added = 0;
        let mut sizes: Vec<(String, i64)> = Vec::new();
        for set in &active {
            let share = if to_add == 0 {
                0
            } else {
                self.proportion(set, to_add, added)
            };
            added += share;
            sizes.push((set.name().to_owned(), replicas(set) + share));
        }
        if to_add != 0
            && let Some(first) = sizes.first_mut()
        {
            first.1 = (first.1 + to_add - added).max(0);
        }
        for (name, size) in sizes {
            self.resize(&name, size)?;
        }
        Ok(())
    }

    /// The one set that has pods, or the latest when none has; `None` when several have.
    fn active_or_latest(&self) -> Option<String> {
        let mut active = self.sets.iter().filter(|set| replicas(set) > 0);
        let latest = self.new_set().or(self.sets.last());
        match (active.next(), active.next()) {
            (None, _) => latest.map(|set| set.name().to_owned()),
            (Some(one), None) => Some(one.name().to_owned()),
            _ => None,
        }
    }

    /// A set's share of the replicas to add.
    fn proportion(&self, set: &Value, to_add: i64, added: i64) -> i64 {
        if to_add == added {
            return 0;
        }
        let (size, wanted) = (replicas(set), replicas(&self.deployment));
        let fraction = if wanted == 0 {
            -size
        } else {
            let now = wanted + max_surge(&self.deployment);
            let before = max_annotation(set)
                .filter(|m| *m != 0)
                .unwrap_or(count(&self.deployment, "replicas"));
            if before == 0 {
                0
            } else {
                (size as f64 * now as f64 / before as f64).round() as i64 - size
            }
        };
        let allowed = to_add - added;
        if to_add > 0 {
            fraction.min(allowed)
        } else {
            fraction.max(allowed)
        }
    }

    // --- Strategies -------------------------------------------------------------------------------

    /// RollingUpdate.
    pub fn rolling(&mut self) -> Outcome {
        self.sync_revision(true)?;
        if self.grow_new()? || self.shrink_old()? {
            return self.sync_rollout_status();
        }
        self.finish()
    }

    /// Recreate: all old pods go before the first new one comes.
    pub fn recreate(&mut self) -> Outcome {
        self.sync_revision(false)?;
        let mut shrunk = false;
        for name in self.old_names() {
            shrunk |= self.scale(&name, 0)?;
        }
        if shrunk || self.old_pods_run() {
            return self.sync_rollout_status();
        }
        if self.new_at().is_none() {
            self.sync_revision(true)?;
        }
        if let Some(name) = self.new_set().map(|set| set.name().to_owned()) {
            self.scale(&name, replicas(&self.deployment))?;
        }
        self.finish()
    }

    fn finish(&mut self) -> Outcome {
        if is_complete(&self.deployment, &self.deployment["status"]) {
            self.clean_up()?;
        }
        self.sync_rollout_status()
    }

    fn old_pods_run(&self) -> bool {
        let old = self.old_names();
        let sets = || old.iter().filter_map(|name| self.set(name));
        sum(sets(), |set| count(set, "replicas")) > 0
            || sets().any(|set| {
                pods::controlled(self.cluster, set.uid()).any(|(_, pod)| !pods::is_over(pod))
            })
    }

    fn grow_new(&mut self) -> Result<bool, Status> {
        let Some(set) = self.new_set() else {
            return Ok(false);
        };
        let (name, wanted) = (set.name().to_owned(), replicas(&self.deployment));
        let size = if replicas(set) >= wanted {
            wanted
        } else {
            self.new_size(set)
        };
        self.scale(&name, size)
    }

    fn shrink_old(&mut self) -> Result<bool, Status> {
        let old = self.old_names();
        if sum(old.iter().filter_map(|name| self.set(name)), replicas) == 0 {
            return Ok(false);
        }
        let min_available = replicas(&self.deployment) - max_unavailable(&self.deployment);
        let unready = self
            .new_set()
            .map_or(0, |set| replicas(set) - count(set, "availableReplicas"));
        let most = sum(&self.sets, replicas) - min_available - unready;
        if most <= 0 {
            return Ok(false);
        }
        // Unhealthy replicas first: they cost no availability.
        let mut cleaned = 0;
        for name in &old {
            let Some(set) = self.set(name) else { continue };
            let (size, available) = (replicas(set), count(set, "availableReplicas"));
            let down = (most - cleaned).min(size - available);
            if size == 0 || down <= 0 {
                continue;
            }
            self.scale(name, size - down)?;
            cleaned += down;
        }
        let spare = sum(&self.sets, |set| count(set, "availableReplicas")) - min_available;
        let mut down = 0;
        for name in &old {
            let Some(size) = self.set(name).map(replicas).filter(|size| *size > 0) else {
                continue;
            };
            let less = size.min(spare - down);
            if less <= 0 {
                break;
            }
            self.scale(name, size - less)?;
            down += less;
        }
        Ok(cleaned + down > 0)
    }

    /// Deletes the oldest sets that are left over beyond the history's limit.
    fn clean_up(&mut self) -> Outcome {
        let Some(limit) = self.deployment["spec"]["revisionHistoryLimit"]
            .as_i64()
            .filter(|l| *l < i64::from(i32::MAX))
        else {
            return Ok(());
        };
        let names = self.old_names();
        let mut old: Vec<&Value> = names
            .iter()
            .filter_map(|name| self.set(name))
            .filter(|set| !set.is_deleting())
            .collect();
        let surplus = old.len() as i64 - limit;
        if surplus <= 0 {
            return Ok(());
        }
        old.sort_by_key(|set| revision(set));
        let idle = |set: &&&Value| {
            count(set, "replicas") == 0
                && replicas(set) == 0
                && set.generation() <= count(set, "observedGeneration")
        };
        let keys: Vec<ObjectKey> = old
            .iter()
            .take(usize::try_from(surplus).unwrap_or(0))
            .filter(idle)
            .map(|set| ObjectKey::new("replicasets.apps", set.namespace(), set.name()))
            .collect();
        for key in keys {
            self.cluster
                .delete(self.by, &key, &DeleteOptions::default())?;
            self.sets.retain(|set| *set.name() != *key.name);
        }
        Ok(())
    }

    // --- Status -----------------------------------------------------------------------------------

    /// Whether the deployment is paused.
    pub fn is_paused(&self) -> bool {
        self.deployment["spec"]["paused"].as_bool() == Some(true)
    }

    fn deadline(&self) -> Option<i64> {
        self.deployment["spec"]["progressDeadlineSeconds"]
            .as_i64()
            .filter(|s| *s != i64::from(i32::MAX))
    }

    fn progressing(&self, status: &str, reason: &str, message: &str) -> Value {
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

    fn sync_status(&mut self) -> Outcome {
        let mut deployment = self.deployment.clone();
        deployment["status"] = self.status();
        if deployment.same(&self.deployment) {
            Ok(())
        } else {
            self.write(deployment)
        }
    }

    fn status(&self) -> Value {
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

    fn sync_rollout_status(&mut self) -> Outcome {
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
    fn failure(&self) -> Option<Value> {
        let sets = self.new_set().into_iter().chain(&self.sets);
        let condition = sets
            .filter_map(|set| pods::condition(set, "ReplicaFailure"))
            .next()?;
        let mut condition = condition.clone();
        condition["lastUpdateTime"] = condition["lastTransitionTime"].clone();
        Some(condition)
    }

    fn timed_out(&self, deadline: i64) -> bool {
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
    fn requeue_stuck(&mut self) {
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
fn set_revision(deployment: &mut Value, revision: i64) -> bool {
    let text = revision.to_string();
    if deployment.annotation(REVISION) == Some(&text) {
        return false;
    }
    deployment["metadata"]["annotations"][REVISION] = text.into();
    true
}

fn is_complete(deployment: &Value, status: &Value) -> bool {
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

fn new_condition(kind: &str, status: &str, reason: &str, message: &str, now: Time) -> Value {
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
fn set_condition(status: &mut Value, mut condition: Value) {
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

fn remove_condition(status: &mut Value, kind: &str) {
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
