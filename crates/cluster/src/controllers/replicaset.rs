//! replicaset-controller: keeps as many pods as a ReplicaSet asks for
//! (kubernetes v1.37, `pkg/controller/replicaset`).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value};

use kubarium_objects::selector::Selector;

use super::{Controller, Outcome, pods, template};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::index::Tally;
use crate::task::Task;
use crate::time::Time;

const RESOURCE: &str = "replicasets.apps";
const OLD: &str = "replicationcontrollers";
/// The most pods that one sync makes or deletes.
const BURST: usize = 500;

pub(super) const CONTROLLER: Controller = Controller {
    name: "replicaset-controller",
    observe,
    size: |cluster, key| {
        cluster
            .etcd
            .get(key)
            .map_or(0, |rs| cluster.index.dependents_count(rs.uid()))
    },
    sync,
};

/// replication-controller: the same loop for the kind of old.
pub(super) const REPLICATION: Controller = Controller {
    name: "replication-controller",
    observe: |cluster, change| concerned(cluster, change, "ReplicationController", OLD),
    ..CONTROLLER
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    concerned(cluster, change, "ReplicaSet", RESOURCE)
}

fn concerned(cluster: &Cluster, change: &Change, kind: &str, resource: &str) -> Vec<ObjectKey> {
    if *change.key.resource == *resource && pods::spec_changed(change) {
        return vec![change.key.clone()];
    }
    if &*change.key.resource != "pods" || !pods::matters(change) {
        return Vec::new();
    }
    let mut keys = pods::controllers_of(change, kind, resource);
    let pod = change.object();
    if change.new.is_some() && pod.controller_ref().is_none() {
        let index = &cluster.index;
        keys.extend(index.selecting(resource, &change.key.namespace, pod.labels()));
    }
    keys
}

/// The selector of a set; a replication controller's is a plain map.
fn selector_of(set: &Value) -> Selector {
    match set["kind"].str() {
        "ReplicationController" => Selector::from_map(&set["spec"]["selector"]),
        _ => pods::selector(&set["spec"]["selector"]),
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(set) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let managed = match settled(cluster, &set) {
        Some(active) => make(cluster, by, &set, wanted(&set).saturating_sub(active)),
        None => {
            let active = claim(cluster, by, &set)?;
            if set.is_deleting() {
                Ok(())
            } else {
                manage(cluster, by, &set, &active)
            }
        }
    };
    update_status(cluster, by, key, managed.as_ref().err())?;
    managed.map_err(|(_, status)| status)
}

/// How many active pods a set has, where counting them is enough: there is none to be released,
/// adopted or deleted.
fn settled(cluster: &Cluster, set: &Value) -> Option<usize> {
    let selector = selector_of(set);
    let groups = cluster
        .index
        .tally(set.uid())
        .map_or(&[][..], Tally::groups);
    let orphan = |key: &ObjectKey| {
        cluster
            .etcd
            .get(key)
            .is_some_and(|pod| selector.matches(pod.labels()))
    };
    let active = groups.iter().map(|group| group.active).sum();
    let simple = !set.is_deleting()
        && active <= wanted(set)
        && groups.iter().all(|group| selector.matches(&group.labels))
        && !cluster.index.orphans("pods", set.namespace()).any(orphan);
    simple.then_some(active)
}

/// How many pods a set asks for.
fn wanted(set: &Value) -> usize {
    usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0)
}

/// The active pods of a set: those that it controls, without those that its selector has lost,
/// with the orphans that it selects.
fn claim(
    cluster: &mut Cluster,
    by: &Component,
    set: &Value,
) -> Result<Vec<(ObjectKey, Value)>, Status> {
    let selector = selector_of(set);
    let (mut claimed, mut lost) = (Vec::new(), Vec::new());
    for (key, pod) in pods::controlled(cluster, set.uid()) {
        if !selector.matches(pod.labels()) {
            lost.push(key.clone());
        } else if pods::is_active(pod) {
            claimed.push((key.clone(), pod.clone()));
        }
    }
    for key in lost {
        release(cluster, by, &key, set.uid())?;
    }
    if set.is_deleting() {
        return Ok(claimed);
    }
    let orphans: Vec<ObjectKey> = cluster
        .index
        .orphans("pods", set.namespace())
        .filter(|key| {
            cluster
                .etcd
                .get(key)
                .is_some_and(|pod| pods::is_active(pod) && selector.matches(pod.labels()))
        })
        .cloned()
        .collect();
    for key in orphans {
        let owner = pods::controller_ref(set);
        let pod = cluster.modify(by, &key, Subresource::None, |pod| {
            pod["metadata"]["ownerReferences"].push(owner)
        })?;
        claimed.push((key, pod));
    }
    Ok(claimed)
}

/// Takes `uid` out of an object's owners.
pub(super) fn release(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    uid: &str,
) -> Outcome {
    let released = cluster.modify(by, key, Subresource::None, |object| {
        let owners = object["metadata"]["ownerReferences"].items();
        let rest: Vec<Value> = owners
            .iter()
            .filter(|o| o["uid"].str() != uid)
            .cloned()
            .collect();
        if rest.is_empty() {
            object.remove(&["metadata", "ownerReferences"]);
        } else {
            object["metadata"]["ownerReferences"] = rest.into();
        }
    });
    match released {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}

/// Makes or deletes pods. The error names the condition's reason.
fn manage(
    cluster: &mut Cluster,
    by: &Component,
    set: &Value,
    active: &[(ObjectKey, Value)],
) -> Result<(), (&'static str, Status)> {
    let wanted = wanted(set);
    if active.len() <= wanted {
        return make(cluster, by, set, wanted - active.len());
    }
    let surplus = (active.len() - wanted).min(BURST);
    let mut first_error = Ok(());
    for key in to_delete(cluster, set, active, surplus) {
        let deleted = template::delete_pod(cluster, by, set, &key);
        first_error = first_error.and(deleted.map_err(|status| ("FailedDelete", status)));
    }
    first_error
}

/// Makes the pods that are missing.
fn make(
    cluster: &mut Cluster,
    by: &Component,
    set: &Value,
    missing: usize,
) -> Result<(), (&'static str, Status)> {
    if missing == 0 {
        return Ok(());
    }
    let pod = template::pod(&set["spec"]["template"], set);
    slow_start(missing.min(BURST), || {
        match template::create_pod(cluster, by, set, pod.clone()) {
            // Every further one would be refused, too, and the set itself is going.
            Err(status) if template::is_terminating(&status) => Ok(()),
            result => result.map(drop),
        }
    })
    .map_err(|status| ("FailedCreate", status))
}

/// Does something `count` times, in batches of 1, 2, 4, …; the first batch with an error is the
/// last, so that what cannot succeed is not tried hundreds of times.
pub(super) fn slow_start(count: usize, mut create: impl FnMut() -> Outcome) -> Outcome {
    let (mut left, mut batch) = (count, 1);
    while left > 0 {
        let now = batch.min(left);
        let mut outcome = Ok(());
        for _ in 0..now {
            outcome = outcome.and(create());
        }
        outcome?;
        left -= now;
        batch *= 2;
    }
    Ok(())
}

/// Which pods go first when there are too many.
fn to_delete(
    cluster: &Cluster,
    set: &Value,
    active: &[(ObjectKey, Value)],
    count: usize,
) -> Vec<ObjectKey> {
    if count == active.len() {
        return active.iter().map(|(key, _)| key.clone()).collect();
    }
    let crowd = crowd(cluster, set, active);
    let (ready, born) = (Lots::of(active, pods::ready_since), Lots::of(active, born));
    let rank = |pod: &Value| {
        let now = cluster.now;
        rank(pod, &crowd, (ready.of_pod(pod, now), born.of_pod(pod, now)))
    };
    let mut ranked: Vec<(Rank, &ObjectKey)> = active.iter().map(|(k, p)| (rank(p), k)).collect();
    ranked.sort();
    let first = ranked.into_iter().take(count);
    first.map(|(_, key)| key.clone()).collect()
}

/// How many active pods of the set's whole family (all sets of its owner) each node has.
fn crowd(cluster: &Cluster, set: &Value, active: &[(ObjectKey, Value)]) -> BTreeMap<Text, usize> {
    let mut crowd = BTreeMap::new();
    let mut count = |pod: &Value| *crowd.entry(pod["spec"]["nodeName"].text()).or_insert(0) += 1;
    let Some(owner) = set.controller_ref() else {
        active.iter().for_each(|(_, pod)| count(pod));
        return crowd;
    };
    let family = cluster
        .index
        .dependents(owner.uid())
        .filter(|key| &*key.resource == RESOURCE);
    for sibling in family.filter_map(|key| cluster.etcd.get(key)) {
        pods::controlled(cluster, sibling.uid())
            .filter(|(_, pod)| pods::is_active(pod))
            .for_each(|(_, pod)| count(pod));
    }
    crowd
}

fn born(pod: &Value) -> Option<Time> {
    pod.creation_timestamp().and_then(Time::parse)
}

/// The order in which pods that became something (ready, made) go: the younger first. Ages of the
/// same order of magnitude count as equal, and chance decides, so that not all the newest pods go
/// (KEP-2185); those of the very same moment stay equal.
struct Lots {
    when: fn(&Value) -> Option<Time>,
    /// For each moment the least uid of its pods: the chance.
    drawn: BTreeMap<Time, Text>,
}

/// Whether it ever came to it, the age's order of magnitude, the chance.
type Lot = (bool, i64, Text);

impl Lots {
    fn of(pods: &[(ObjectKey, Value)], when: fn(&Value) -> Option<Time>) -> Lots {
        let mut drawn: BTreeMap<Time, Text> = BTreeMap::new();
        for (_, pod) in pods {
            if let Some(at) = when(pod) {
                let least = drawn.entry(at).or_insert_with(|| pod.uid().into());
                if pod.uid() < &**least {
                    *least = pod.uid().into();
                }
            }
        }
        Lots { when, drawn }
    }

    fn of_pod(&self, pod: &Value, now: Time) -> Lot {
        let Some(at) = (self.when)(pod) else {
            return (false, 0, Text::default());
        };
        let age = now.since(at).as_secs().checked_ilog2();
        let drawn = self.drawn.get(&at).cloned().unwrap_or_default();
        (true, age.map_or(-1, i64::from), drawn)
    }
}

/// What decides, one after the other: whether it has a node, its phase, whether it is ready, its
/// cost, how crowded its node is, since when it is ready, its restarts, its age
/// (kubernetes v1.37, `pkg/controller`, ActivePodsWithRanks).
type Rank = (bool, u8, bool, i32, Reverse<usize>, Lot, Reverse<i64>, Lot);

fn rank(pod: &Value, crowd: &BTreeMap<Text, usize>, (ready, born): (Lot, Lot)) -> Rank {
    let node = pod["spec"]["nodeName"].text();
    let phase = match pod["status"]["phase"].str() {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let cost = pod
        .annotation("controller.kubernetes.io/pod-deletion-cost")
        .and_then(|c| c.parse::<i32>().ok());
    let most = |list: &str| {
        let restarts = pod["status"][list].items().iter();
        restarts
            .map(|c| c["restartCount"].as_i64().unwrap_or(0))
            .max()
    };
    let restarts = most("containerStatuses").max(most("initContainerStatuses"));
    (
        !node.is_empty(),
        phase,
        pods::is_ready(pod),
        cost.unwrap_or(0),
        Reverse(crowd.get(&node).copied().unwrap_or(0)),
        ready,
        Reverse(restarts.unwrap_or(0)),
        born,
    )
}

fn update_status(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    error: Option<&(&'static str, Status)>,
) -> Outcome {
    let Some(set) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let counts = counts(cluster, &set);
    if let Some(at) = counts.next {
        let name = match &*key.resource {
            OLD => REPLICATION.name,
            _ => CONTROLLER.name,
        };
        cluster.enqueue(Task::Controller(name, key.clone()), at.since(cluster.now));
    }
    let mut updated = set.clone();
    let status = &mut updated["status"];
    status["replicas"] = counts.replicas.into();
    for (field, count) in [
        ("fullyLabeledReplicas", counts.labeled),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
    ] {
        if count == 0 {
            status.remove(&[field]);
        } else {
            status[field] = count.into();
        }
    }
    if &*key.resource == RESOURCE {
        status["terminatingReplicas"] = counts.terminating.into();
    }
    status["observedGeneration"] = set.generation().into();
    failure_condition(status, error, cluster.now);
    if updated.same(&set) {
        return Ok(());
    }
    cluster.update_status(by, updated).map(drop)
}

/// A set's pods that have not ended.
#[derive(Default)]
struct Counts {
    replicas: usize,
    /// With all labels of the template.
    labeled: usize,
    ready: usize,
    /// Ready for long enough.
    available: usize,
    terminating: usize,
    /// When the next one is.
    next: Option<Time>,
}

fn counts(cluster: &Cluster, set: &Value) -> Counts {
    let template = Selector::from_map(&set["spec"]["template"]["metadata"]["labels"]);
    let mut counts = Counts::default();
    let groups = cluster
        .index
        .tally(set.uid())
        .map_or(&[][..], Tally::groups);
    for group in groups {
        counts.replicas += group.active;
        counts.ready += group.ready;
        counts.terminating += group.terminating;
        if template.matches(&group.labels) {
            counts.labeled += group.active;
        }
    }
    counts.available = counts.ready;
    let min_ready = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    if min_ready > 0 {
        // Only here the pods themselves have to be looked at.
        let waits = |pod: &&Value| {
            pods::is_active(pod)
                && pods::is_ready(pod)
                && !pods::is_available(pod, min_ready, cluster.now)
        };
        let waiting = pods::controlled(cluster, set.uid()).filter(|(_, pod)| waits(pod));
        for (_, pod) in waiting {
            counts.available -= 1;
            if let Some(since) = pods::ready_since(pod) {
                let at = since + Duration::from_secs(min_ready.unsigned_abs());
                counts.next = Some(counts.next.map_or(at, |next| next.min(at)));
            }
        }
    }
    counts
}

fn failure_condition(status: &mut Value, error: Option<&(&'static str, Status)>, now: Time) {
    let old = status["conditions"]
        .items()
        .iter()
        .find(|c| c["type"].str() == "ReplicaFailure");
    match (error, old) {
        (Some((reason, error)), None) => {
            let condition =
                pods::new_condition("ReplicaFailure", true, reason, &error.message, now);
            status["conditions"].push(condition);
        }
        (None, Some(_)) => {
            let rest: Vec<Value> = status["conditions"]
                .items()
                .iter()
                .filter(|c| c["type"].str() != "ReplicaFailure")
                .cloned()
                .collect();
            if rest.is_empty() {
                status.remove(&["conditions"]);
            } else {
                status["conditions"] = rest.into();
            }
        }
        _ => {}
    }
}
