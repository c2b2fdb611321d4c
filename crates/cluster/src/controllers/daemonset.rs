//! daemonset-controller: one pod on every node that suits
//! (kubernetes v1.37, `pkg/controller/daemon`).

use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, array, object};

use super::replicaset::slow_start;
use super::{Controller, Outcome, history, pods, template};
use crate::api::DeleteOptions;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::scheduler::{NodeFit, node_fit};
use crate::task::Task;
use crate::time::Time;

const RESOURCE: &str = "daemonsets.apps";
const GENERATION: &str = "pod-template-generation";
/// The most pods that one sync makes or deletes.
const BURST: usize = 250;

pub(super) const CONTROLLER: Controller = Controller {
    name: "daemonset-controller",
    observe,
    size: |cluster, _| cluster.etcd.count("nodes"),
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        RESOURCE if pods::spec_changed(change) => vec![change.key.clone()],
        "pods" if pods::matters(change) || change.differs(&["spec", "nodeName"]) => {
            pods::controllers_of(change, "DaemonSet", RESOURCE)
        }
        "nodes" => {
            let parts: [&[&str]; 3] = [
                &["metadata", "labels"],
                &["spec", "taints"],
                &["spec", "unschedulable"],
            ];
            let differs = change.old.is_none()
                || change.new.is_none()
                || parts.iter().any(|p| change.differs(p));
            if differs {
                cluster
                    .etcd
                    .list(RESOURCE, None)
                    .map(|(key, _)| key.clone())
                    .collect()
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

/// The node for which a pod was made: where it is, or where its affinity confines it to.
fn node_of(pod: &Value) -> Text {
    if !pod["spec"]["nodeName"].is_empty() {
        return pod["spec"]["nodeName"].text();
    }
    let required =
        &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let fields = required["nodeSelectorTerms"]
        .items()
        .iter()
        .flat_map(|t| t["matchFields"].items());
    let mut named = fields.filter(|f| f["key"].str() == "metadata.name");
    named
        .next()
        .map_or(Text::from(""), |f| f["values"][0].text())
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(set) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    if set.is_deleting() {
        return Ok(());
    }
    let revision = history::sync(cluster, by, &set)?;
    let hash = history::hash_of(&revision);
    let managed =
        manage(cluster, by, &set, &hash).and_then(|()| match set["spec"]["updateStrategy"]["type"]
            .str()
        {
            "OnDelete" => Ok(()),
            _ => roll(cluster, by, &set, &hash),
        });
    update_status(cluster, by, key, &hash)?;
    managed?;
    let labels: Vec<Text> = pods::controlled(cluster, set.uid())
        .map(|(_, pod)| pod["metadata"]["labels"][history::HASH].text())
        .collect();
    history::truncate(cluster, by, &set, |r| {
        history::hash_of(r) == hash || labels.contains(&history::hash_of(r))
    })
}

/// A pod of the set for a node.
fn pod(set: &Value, hash: &str, node: Option<&str>) -> Value {
    let mut pod = template::pod(&set["spec"]["template"], set);
    pod["metadata"]["labels"][history::HASH] = hash.into();
    pod["metadata"]["labels"][GENERATION] = set.generation().max(1).to_string().into();
    let mut tolerate = |key: &str, effect: &str| {
        let has = |t: &Value| {
            t["key"].str() == key && t["effect"].str() == effect && t["operator"].str() == "Exists"
        };
        if !pod["spec"]["tolerations"].items().iter().any(has) {
            pod["spec"]["tolerations"].push(object([
                ("effect", effect.into()),
                ("key", key.into()),
                ("operator", "Exists".into()),
            ]));
        }
    };
    for (key, effect) in [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ] {
        tolerate(&format!("node.kubernetes.io/{key}"), effect);
    }
    if set["spec"]["template"]["spec"]["hostNetwork"].as_bool() == Some(true) {
        tolerate("node.kubernetes.io/network-unavailable", "NoSchedule");
    }
    if let Some(node) = node {
        confine(&mut pod, node);
    }
    pod
}

/// Confines a pod to a node by its name, in each term of its affinity.
fn confine(pod: &mut Value, node: &str) {
    let field = object([
        ("key", "metadata.name".into()),
        ("operator", "In".into()),
        ("values", array([node])),
    ]);
    let required = &mut pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    if required["nodeSelectorTerms"].items().is_empty() {
        required["nodeSelectorTerms"] = array([object([("matchFields", array([field]))])]);
        return;
    }
    for term in required["nodeSelectorTerms"].array_mut() {
        term["matchFields"] = array([field.clone()]);
    }
}

/// The set's pods by the node for which they were made.
fn by_node(cluster: &Cluster, set: &Value) -> BTreeMap<Text, Vec<(ObjectKey, Value)>> {
    let mut found: BTreeMap<Text, Vec<(ObjectKey, Value)>> = BTreeMap::new();
    for (key, pod) in pods::controlled(cluster, set.uid()) {
        found
            .entry(node_of(pod))
            .or_default()
            .push((key.clone(), pod.clone()));
    }
    found
}

fn manage(cluster: &mut Cluster, by: &Component, set: &Value, hash: &str) -> Outcome {
    let mut pods = by_node(cluster, set);
    let sample = pod(set, hash, None);
    let (mut missing, mut surplus): (Vec<Text>, Vec<ObjectKey>) = (Vec::new(), Vec::new());
    for (node_key, node) in cluster.etcd.list("nodes", None) {
        let fit = node_fit(&sample, node);
        let there = pods.remove(&node_key.name).unwrap_or_default();
        if fit == NodeFit::Not {
            surplus.extend(
                there
                    .into_iter()
                    .filter(|(_, p)| !p.is_deleting())
                    .map(|(key, _)| key),
            );
            continue;
        }
        let (over, mut running): (Vec<_>, Vec<_>) = there
            .into_iter()
            .partition(|(_, p)| pods::is_over(p) && !p.is_deleting());
        surplus.extend(over.into_iter().map(|(key, _)| key));
        if running.is_empty() && fit == NodeFit::Fits {
            missing.push(node_key.name.clone());
        }
        // Of several the oldest stays; while a surge goes on there are two of different revisions.
        let surging = pods::scaled(
            &set["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"],
            100,
            true,
        ) > 0;
        if !surging {
            running.sort_by(|(_, a), (_, b)| a.creation_timestamp().cmp(&b.creation_timestamp()));
            surplus.extend(
                running
                    .into_iter()
                    .skip(1)
                    .filter(|(_, p)| !p.is_deleting())
                    .map(|(key, _)| key),
            );
        }
    }
    // Those of nodes that are gone are the pod collector's, unless they never got there.
    surplus.extend(
        pods.into_values()
            .flatten()
            .filter(|(_, p)| p["spec"]["nodeName"].is_empty())
            .map(|(key, _)| key),
    );
    let mut nodes = missing.into_iter().take(BURST);
    let count = nodes.len();
    let created = slow_start(count, || {
        let node = nodes.next();
        match template::create_pod(cluster, by, set, pod(set, hash, node.as_deref())) {
            Err(status) if template::is_terminating(&status) => Ok(()),
            result => result.map(drop),
        }
    });
    for key in surplus.into_iter().take(BURST) {
        template::delete_pod(cluster, by, set, &key)?;
    }
    created
}

/// Replaces outdated pods, as many at a time as may be unavailable.
fn roll(cluster: &mut Cluster, by: &Component, set: &Value, hash: &str) -> Outcome {
    let pods = by_node(cluster, set);
    let sample = pod(set, hash, None);
    let fits = |node: &Text| {
        cluster
            .find("nodes", "", node)
            .is_some_and(|n| node_fit(&sample, n) == NodeFit::Fits)
    };
    let wanted = cluster
        .etcd
        .list("nodes", None)
        .filter(|(_, n)| node_fit(&sample, n) == NodeFit::Fits)
        .count() as i64;
    let rolling = &set["spec"]["updateStrategy"]["rollingUpdate"];
    let surge = pods::scaled(&rolling["maxSurge"], wanted, true);
    let most = pods::scaled(&rolling["maxUnavailable"], wanted, true).max(i64::from(surge == 0));
    let min_ready = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let available = |p: &Value| !p.is_deleting() && pods::is_available(p, min_ready, cluster.now);
    let is_new = |p: &Value| p.label(history::HASH) == Some(hash);
    let (mut delete, mut create): (Vec<ObjectKey>, Vec<Text>) = (Vec::new(), Vec::new());
    let nodes = || pods.iter().filter(|(node, _)| fits(node));
    if surge > 0 {
        let mut surging = nodes()
            .filter(|(_, p)| p.iter().any(|(_, p)| is_new(p)) && p.iter().any(|(_, p)| !is_new(p)))
            .count() as i64;
        for (node, there) in nodes() {
            let old: Vec<&(ObjectKey, Value)> = there
                .iter()
                .filter(|(_, p)| !is_new(p) && !p.is_deleting())
                .collect();
            let new = there.iter().find(|(_, p)| is_new(p));
            match (old.is_empty(), new) {
                (true, _) => {}
                (false, Some((_, new))) if available(new) => {
                    delete.extend(old.iter().map(|(key, _)| key.clone()))
                }
                (false, Some(_)) => {}
                (false, None) if old.iter().all(|(_, p)| !available(p)) || surging < surge => {
                    create.push(node.clone());
                    surging += 1;
                }
                (false, None) => {}
            }
        }
    } else {
        let mut unavailable = nodes()
            .filter(|(_, there)| !there.iter().any(|(_, p)| available(p)))
            .count() as i64;
        for (key, pod) in nodes()
            .flat_map(|(_, there)| there)
            .filter(|(_, p)| !is_new(p) && !p.is_deleting())
        {
            if !available(pod) {
                delete.push(key.clone());
            } else if unavailable < most {
                delete.push(key.clone());
                unavailable += 1;
            }
        }
    }
    for key in delete {
        match cluster.delete(by, &key, &DeleteOptions::default()) {
            Ok(_) => cluster.record(
                by,
                set,
                "SuccessfulDelete",
                &format!("Deleted pod: {}", key.name),
            ),
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    for node in create {
        template::create_pod(cluster, by, set, pod(set, hash, Some(&node)))?;
    }
    Ok(())
}

fn update_status(cluster: &mut Cluster, by: &Component, key: &ObjectKey, hash: &str) -> Outcome {
    let Some(set) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let pods = by_node(cluster, &set);
    let sample = pod(&set, hash, None);
    let min_ready = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let (mut desired, mut current, mut misscheduled, mut ready, mut available, mut updated) =
        (0_i64, 0_i64, 0_i64, 0_i64, 0_i64, 0_i64);
    let mut next: Option<Time> = None;
    for (node_key, node) in cluster.etcd.list("nodes", None) {
        let fits = node_fit(&sample, node) == NodeFit::Fits;
        let there = pods.get(&node_key.name).map_or(&[][..], Vec::as_slice);
        desired += i64::from(fits);
        if there.is_empty() {
            continue;
        }
        if !fits {
            misscheduled += 1;
            continue;
        }
        current += 1;
        let first = there
            .iter()
            .map(|(_, p)| p)
            .min_by_key(|p| p.creation_timestamp().map(str::to_owned));
        let Some(pod) = first else { continue };
        if pods::is_ready(pod) {
            ready += 1;
            if pods::is_available(pod, min_ready, cluster.now) {
                available += 1;
            } else if let Some(since) = pods::ready_since(pod) {
                let at = since + Duration::from_secs(min_ready.unsigned_abs());
                next = Some(next.map_or(at, |n| n.min(at)));
            }
        }
        updated += i64::from(pod.label(history::HASH) == Some(hash));
    }
    if let Some(at) = next {
        cluster.enqueue(
            Task::Controller(CONTROLLER.name, key.clone()),
            at.since(cluster.now),
        );
    }
    let mut changed = set.clone();
    let status = &mut changed["status"];
    for (field, count) in [
        ("currentNumberScheduled", current),
        ("desiredNumberScheduled", desired),
        ("numberMisscheduled", misscheduled),
        ("numberReady", ready),
        ("observedGeneration", set.generation()),
    ] {
        status[field] = count.into();
    }
    for (field, count) in [
        ("numberAvailable", available),
        ("numberUnavailable", desired - available),
        ("updatedNumberScheduled", updated),
    ] {
        match count {
            0 => drop(status.remove(&[field])),
            count => status[field] = count.into(),
        }
    }
    if changed.same(&set) {
        Ok(())
    } else {
        cluster.update_status(by, changed).map(drop)
    }
}
