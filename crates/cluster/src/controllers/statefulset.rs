//! statefulset-controller: pods with names and claims that stay, one after the other
//! (kubernetes v1.37, `pkg/controller/statefulset`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, history, pods, template};
use crate::api::DeleteOptions;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::task::Task;
use crate::time::Time;

const RESOURCE: &str = "statefulsets.apps";
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

pub(super) const CONTROLLER: Controller = Controller {
    name: "statefulset-controller",
    observe,
    size: |cluster, key| {
        let set = cluster.etcd.get(key);
        set.map_or(0, |set| cluster.index.dependents_count(set.uid()))
    },
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        RESOURCE if pods::spec_changed(change) => vec![change.key.clone()],
        "pods" if pods::matters(change) => pods::controllers_of(change, "StatefulSet", RESOURCE),
        _ => Vec::new(),
    }
}

/// The state of one sync.
pub(super) struct Sync<'a> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) by: &'a Component,
    pub(super) set: Value,
    /// The revision that pods have which are not updated yet, and the one that they shall have.
    current: Value,
    update: Value,
    /// The numbers of the pods made by this sync: the status counts them once they are seen, by the next.
    made: BTreeSet<i64>,
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(set) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    if set.is_deleting() {
        return Ok(());
    }
    let update = history::sync(cluster, by, &set)?;
    let known = history::revisions(cluster, &set);
    let current = set["status"]["currentRevision"].str();
    let current = known
        .into_iter()
        .find(|r| r.name() == current)
        .unwrap_or_else(|| update.clone());
    let mut sync = Sync {
        cluster,
        by,
        set,
        current,
        update,
        made: BTreeSet::new(),
    };
    let managed = sync.manage();
    sync.update_status(key)?;
    managed?;
    let (current, update) = (
        sync.current.name().to_owned(),
        sync.update.name().to_owned(),
    );
    let Some(set) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let labels: Vec<Text> = pods::controlled(cluster, set.uid())
        .map(|(_, pod)| pod["metadata"]["labels"][history::HASH].text())
        .collect();
    history::truncate(cluster, by, &set, |r| {
        r.name() == current || r.name() == update || labels.iter().any(|l| **l == *r.name())
    })
}

/// The number at the end of a pod's name.
fn ordinal(set: &Value, pod: &str) -> Option<i64> {
    pod.strip_prefix(set.name())?
        .strip_prefix('-')?
        .parse()
        .ok()
}

impl Sync<'_> {
    fn first(&self) -> i64 {
        self.set["spec"]["ordinals"]["start"].as_i64().unwrap_or(0)
    }

    fn replicas(&self) -> i64 {
        self.set["spec"]["replicas"].as_i64().unwrap_or(1).max(0)
    }

    fn is_parallel(&self) -> bool {
        self.set["spec"]["podManagementPolicy"].str() == "Parallel"
    }

    fn is_rolling(&self) -> bool {
        self.set["spec"]["updateStrategy"]["type"].str() != "OnDelete"
    }

    fn partition(&self) -> i64 {
        self.set["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
            .as_i64()
            .unwrap_or(0)
    }

    /// The set's pods by their number.
    fn pods(&self) -> BTreeMap<i64, (ObjectKey, Value)> {
        let own = pods::controlled(self.cluster, self.set.uid());
        own.filter_map(|(key, pod)| {
            Some((ordinal(&self.set, &key.name)?, (key.clone(), pod.clone())))
        })
        .collect()
    }

    fn is_healthy(&self, pod: &Value) -> bool {
        let min_ready = self.set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
        pod["status"]["phase"].str() == "Running"
            && !pod.is_deleting()
            && pods::is_available(pod, min_ready, self.cluster.now)
    }

    fn has_revision(&self, pod: &Value, revision: &Value) -> bool {
        pod.label(history::HASH) == Some(revision.name())
    }

    /// Brings the pods nearer to what is wanted, in order unless the policy is Parallel.
    fn manage(&mut self) -> Outcome {
        let (first, last) = (self.first(), self.first() + self.replicas());
        let pods = self.pods();
        for number in first..last {
            if let Some((_, pod)) = pods.get(&number) {
                self.own_claims(pod, false)?;
            }
            match pods.get(&number) {
                None => {
                    self.create(number)?;
                    if !self.is_parallel() {
                        return Ok(());
                    }
                }
                Some((key, pod)) if pods::is_over(pod) && !pod.is_deleting() => {
                    let message = format!(
                        "StatefulSet {}/{} is recreating failed Pod {}",
                        key.namespace,
                        self.set.name(),
                        key.name
                    );
                    let reason = if pod["status"]["phase"].str() == "Failed" {
                        "RecreatingFailedPod"
                    } else {
                        "RecreatingTerminatedPod"
                    };
                    self.cluster.warn(self.by, &self.set, reason, &message);
                    // The watch brings the sync that makes it anew.
                    return self.delete(key);
                }
                Some((_, pod)) if self.is_parallel() || self.is_healthy(pod) => {}
                // The next one has to wait for this one.
                Some(_) => return Ok(()),
            }
        }
        for (key, pod) in pods
            .range(..first)
            .chain(pods.range(last..))
            .rev()
            .map(|(_, found)| found)
        {
            if pod.is_deleting() {
                if self.is_parallel() {
                    continue;
                }
                return Ok(());
            }
            self.own_claims(pod, true)?;
            self.delete(key)?;
            if !self.is_parallel() {
                return Ok(());
            }
        }
        if self.is_rolling() {
            self.roll(&pods, first, last)
        } else {
            Ok(())
        }
    }

    /// Replaces outdated pods, the last first.
    fn roll(&mut self, pods: &BTreeMap<i64, (ObjectKey, Value)>, first: i64, last: i64) -> Outcome {
        let most = &self.set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
        let most = if most.is_null() {
            1
        } else {
            pods::scaled(most, self.replicas(), false).max(1)
        };
        let mut unavailable = 0;
        for (_, (key, pod)) in pods
            .range(first + self.partition().max(0)..last.max(first + self.partition().max(0)))
            .rev()
        {
            let outdated = !self.has_revision(pod, &self.update);
            if outdated && !pod.is_deleting() {
                self.delete(key)?;
                unavailable += 1;
            } else if !self.is_healthy(pod) {
                unavailable += 1;
            }
            if unavailable >= most {
                return Ok(());
            }
        }
        Ok(())
    }

    fn delete(&mut self, key: &ObjectKey) -> Outcome {
        match self.cluster.delete(self.by, key, &DeleteOptions::default()) {
            Ok(_) => {
                let message = format!(
                    "Delete Pod {} in StatefulSet {} successful",
                    key.name,
                    self.set.name()
                );
                self.cluster
                    .record(self.by, &self.set, "SuccessfulDelete", &message);
                Ok(())
            }
            Err(status) if status.code == 404 => Ok(()),
            Err(status) => Err(status),
        }
    }

    fn create(&mut self, number: i64) -> Outcome {
        let updated = !self.is_rolling() || number >= self.first() + self.partition();
        let revision = if updated { &self.update } else { &self.current };
        let pod = self.pod(number, revision);
        let name = pod.name().to_owned();
        if self.has_stale_claims(&name) {
            // They go with the pod that was there before; then this one gets its own.
            let key = ObjectKey::new(RESOURCE, self.set.namespace(), self.set.name());
            let again = Task::Controller(CONTROLLER.name, key);
            self.cluster.enqueue(again, Duration::from_secs(1));
            return Ok(());
        }
        self.create_claims(&name)?;
        let set = self.set.name().to_owned();
        match self.cluster.create(self.by, pod) {
            Ok(_) => {
                self.made.insert(number);
                let message = format!("Create Pod {name} in StatefulSet {set} successful");
                self.cluster
                    .record(self.by, &self.set, "SuccessfulCreate", &message);
                Ok(())
            }
            Err(status) => {
                if !template::is_terminating(&status) {
                    let message = format!(
                        "Create Pod {name} in StatefulSet {set} failed error: {}",
                        status.message
                    );
                    self.cluster
                        .warn(self.by, &self.set, "FailedCreate", &message);
                }
                Err(status)
            }
        }
    }

    fn pod(&self, number: i64, revision: &Value) -> Value {
        let name = format!("{}-{number}", self.set.name());
        let mut pod = template::pod(&history::template_of(revision), &self.set);
        pod["metadata"]["generateName"] = format!("{}-", self.set.name()).into();
        pod["metadata"]["name"] = name.as_str().into();
        let labels = &mut pod["metadata"]["labels"];
        labels[history::HASH] = revision.name().into();
        labels[POD_INDEX] = number.to_string().into();
        labels[POD_NAME] = name.as_str().into();
        pod["spec"]["hostname"] = name.as_str().into();
        if !self.set["spec"]["serviceName"].is_empty() {
            pod["spec"]["subdomain"] = self.set["spec"]["serviceName"].clone();
        }
        let templates = self.set["spec"]["volumeClaimTemplates"].items();
        let mut volumes: Vec<Value> = Vec::new();
        for ((claim, _), template) in self.claims(&name).iter().zip(templates) {
            let source = object([("claimName", claim.into())]);
            volumes.push(object([
                ("name", template.name().into()),
                ("persistentVolumeClaim", source),
            ]));
        }
        let claimed = |v: &&Value| !templates.iter().any(|t| t.name() == v["name"].str());
        volumes.extend(
            pod["spec"]["volumes"]
                .items()
                .iter()
                .filter(claimed)
                .cloned(),
        );
        if !volumes.is_empty() {
            pod["spec"]["volumes"] = volumes.into();
        }
        pod
    }

    fn update_status(&mut self, key: &ObjectKey) -> Result<(), Status> {
        let Some(set) = self.cluster.etcd.get(key).cloned() else {
            return Ok(());
        };
        let min_ready = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
        let (mut replicas, mut ready, mut available, mut current, mut updated) =
            (0_i64, 0_i64, 0_i64, 0_i64, 0_i64);
        let mut next: Option<Time> = None;
        let seen = self.pods().into_iter();
        for (_, (_, pod)) in seen.filter(|(number, _)| !self.made.contains(number)) {
            replicas += 1;
            if pods::is_ready(&pod) && pod["status"]["phase"].str() == "Running" {
                ready += 1;
                if pods::is_available(&pod, min_ready, self.cluster.now) {
                    available += 1;
                } else if let Some(since) = pods::ready_since(&pod) {
                    let at = since + Duration::from_secs(min_ready.unsigned_abs());
                    next = Some(next.map_or(at, |n| n.min(at)));
                }
            }
            if !pod.is_deleting() {
                current += i64::from(self.has_revision(&pod, &self.current));
                updated += i64::from(self.has_revision(&pod, &self.update));
            }
        }
        if let Some(at) = next {
            self.cluster.enqueue(
                Task::Controller(CONTROLLER.name, key.clone()),
                at.since(self.cluster.now),
            );
        }
        let mut revision = self.current.name().to_owned();
        let whole = updated == replicas && ready == replicas && replicas == self.replicas();
        if self.is_rolling() && self.update.name() != revision && whole {
            (revision, current) = (self.update.name().to_owned(), updated);
        }
        let mut changed = set.clone();
        let status = &mut changed["status"];
        status["observedGeneration"] = set.generation().into();
        status["replicas"] = replicas.into();
        status["availableReplicas"] = available.into();
        for (field, count) in [
            ("readyReplicas", ready),
            ("currentReplicas", current),
            ("updatedReplicas", updated),
        ] {
            match count {
                0 => drop(status.remove(&[field])),
                count => status[field] = count.into(),
            }
        }
        status["currentRevision"] = revision.into();
        status["updateRevision"] = self.update.name().into();
        if status["collisionCount"].is_null() {
            status["collisionCount"] = 0.into();
        }
        if changed.same(&set) {
            Ok(())
        } else {
            self.cluster.update_status(self.by, changed).map(drop)
        }
    }
}
