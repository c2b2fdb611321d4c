//! One sync of a Deployment: which ReplicaSet grows and which shrinks
//! (kubernetes v1.37, `pkg/controller/deployment/{sync,rolling,recreate}.go`).

use std::cmp::Ordering;

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Value};

use super::deployment::{
    annotate, desired_annotation, max_annotation, revision, set_replicas_annotations,
};
use super::rollout_status::{is_complete, set_condition, set_revision};
use super::template;
use super::{Outcome, pods};
use crate::api::DeleteOptions;
use crate::cluster::Cluster;
use crate::event::Component;

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
pub(super) fn max_unavailable(deployment: &Value) -> i64 {
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

pub(super) fn is_rolling(deployment: &Value) -> bool {
    deployment["spec"]["strategy"]["type"].str() != "Recreate"
}

/// The order of creation.
pub(super) fn older(a: &Value, b: &Value) -> Ordering {
    (a.creation_timestamp(), a.name()).cmp(&(b.creation_timestamp(), b.name()))
}

pub(super) fn count(object: &Value, field: &str) -> i64 {
    object["status"][field].as_i64().unwrap_or(0)
}

pub(super) fn sum<'a>(
    sets: impl IntoIterator<Item = &'a Value>,
    what: impl Fn(&Value) -> i64,
) -> i64 {
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

    pub(super) fn new_set(&self) -> Option<&Value> {
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
    pub(super) fn sync_revision(&mut self, create: bool) -> Outcome {
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
    pub(super) fn write(&mut self, deployment: Value) -> Outcome {
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
}
