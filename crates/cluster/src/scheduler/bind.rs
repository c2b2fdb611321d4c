//! What the scheduler writes: a pod's node, or why it has none, and the pods that have to go for it.

use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::pod::PodInfo;
use super::{Search, devices, is_gated, volumes};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::task::Task;
use crate::time::Time;

/// A pod between its node's choice and its binding.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub node: Text,
    claims: Vec<ObjectKey>,
    until: Time,
    /// What the log says when it is bound.
    text: Text,
}

/// How long a pod waits for its volumes (VolumeBinding's `bindTimeoutSeconds`).
const BIND_TIMEOUT: Duration = Duration::from_secs(600);

/// Sees to a pod's volumes, and binds it to its node once they are there; at once where it is told.
pub(super) fn bind(
    cluster: &mut Cluster,
    key: &ObjectKey,
    pod: &Value,
    node: &Text,
    search: &Search,
    explicit: bool,
) {
    let by = Component::Scheduler;
    if let Err(why) = reserve(cluster, pod, &search.devices) {
        let message = format!("running PreBind plugin \"DynamicResources\": {why}");
        let failed = Search {
            message,
            is_error: true,
            ..Search::default()
        };
        return refuse(cluster, key, pod, failed);
    }
    for (claim, volume) in &search.volumes {
        let Some(object) = cluster.etcd.get(claim).cloned() else {
            continue;
        };
        // What went meanwhile is seen by the next try.
        let _ = match volume {
            Some(volume) => cluster.modify(&by, volume, Subresource::None, |volume| {
                volumes::reserve(volume, &object);
            }),
            None => cluster.modify(&by, claim, Subresource::None, |claim| {
                volumes::select_node(claim, node);
            }),
        };
    }
    let text = match search.feasible.len() {
        0 => format!("bound to {node} (as told)"),
        1 => format!("bound to {node} (the only feasible node)"),
        count => format!("bound to {node} (best of {count}: {})", search.best),
    };
    if search.volumes.is_empty() || explicit {
        return bind_now(cluster, key, pod, node, text.into());
    }
    let mut assumed = pod.clone();
    assumed["spec"]["nodeName"] = node.into();
    let until = cluster.now + BIND_TIMEOUT;
    let scheduler = &mut cluster.scheduler;
    scheduler.queue.remove(key);
    Arc::make_mut(&mut scheduler.cache).set_pod(node, key, &assumed);
    let binding = Binding {
        node: node.clone(),
        claims: search
            .volumes
            .iter()
            .map(|(claim, _)| claim.clone())
            .collect(),
        until,
        text: text.into(),
    };
    Arc::make_mut(&mut scheduler.binding).insert(key.clone(), binding);
    cluster.enqueue(Task::Scheduler, BIND_TIMEOUT);
}

/// Gives a pod's claims their devices, and reserves them for the pod (`bindClaim`).
fn reserve(
    cluster: &mut Cluster,
    pod: &Value,
    claims: &devices::Reservations,
) -> Result<(), String> {
    let by = Component::Scheduler;
    let now: Value = cluster.now.rfc3339().into();
    for (key, allocation) in claims {
        let Some(claim) = cluster.etcd.get(key) else {
            return Err(format!("resourceclaim \"{}\" not found", key.name));
        };
        if devices::is_reserved_for(claim, pod) {
            continue;
        }
        let fail = |what: &str, why: String| {
            format!("{what} to claim {}/{}: {why}", key.namespace, key.name)
        };
        if allocation.is_some() {
            let finalizer: Value = devices::FINALIZER.into();
            let added = cluster.modify(&by, key, Subresource::None, |claim| {
                let finalizers = claim["metadata"]["finalizers"].array_mut();
                if !finalizers.contains(&finalizer) {
                    finalizers.push(finalizer);
                }
            });
            added.map_err(|status| fail("add finalizer", status.message))?;
        }
        let reserved = cluster.modify(&by, key, Subresource::Status, |claim| {
            let status = &mut claim["status"];
            if let Some(allocation) = allocation {
                status["allocation"] = allocation.clone();
                status["allocation"]["allocationTimestamp"] = now.clone();
            }
            status["reservedFor"].push(devices::consumer(pod));
        });
        reserved.map_err(|status| fail("add allocation and reservation", status.message))?;
    }
    Ok(())
}

/// Binds those pods whose volumes are there now, and gives those up that have waited too long.
pub(super) fn finish_bindings(cluster: &mut Cluster) {
    if cluster.scheduler.binding.is_empty() {
        return;
    }
    let now = cluster.now;
    let waiting = cluster.scheduler.binding.clone();
    for (key, binding) in &*waiting {
        let bound = |claim: &ObjectKey| cluster.etcd.get(claim).is_some_and(volumes::is_bound);
        let done = binding.claims.iter().all(bound);
        if !done && now < binding.until {
            continue;
        }
        cluster.scheduler.give_up(key);
        let Some(pod) = cluster.etcd.get(key).cloned() else {
            continue;
        };
        if done {
            bind_now(cluster, key, &pod, &binding.node, binding.text.clone());
        } else {
            let gated = is_gated(&cluster.etcd, &pod);
            cluster.scheduler.queue.add(key, &pod, gated);
            let message = "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
            let search = Search {
                message: message.to_owned(),
                ..Search::default()
            };
            refuse(cluster, key, &pod, search);
        }
    }
}

/// Binds a pod to a node through its binding subresource.
fn bind_now(cluster: &mut Cluster, key: &ObjectKey, pod: &Value, node: &Text, text: Text) {
    let by = Component::Scheduler;
    let mut bound = pod.clone();
    bound["spec"]["nodeName"] = node.into();
    // The API server takes the promise of a node away with the binding (KEP-5278).
    bound.remove(&["status", "nominatedNodeName"]);
    set_scheduled(&mut bound, true, "", "", cluster);
    let status = std::mem::take(&mut bound["status"]);
    bound["status"] = cluster.alike.share(cluster.now, "bound", status);
    let bound = cluster.commit(&by, Action::Update, key, Some(bound), text);
    let message = format!(
        "Successfully assigned {}/{} to {node}",
        key.namespace, key.name
    );
    cluster.record(&by, bound.as_ref().unwrap_or(pod), "Scheduled", &message);
}

/// A Binding that somebody else than the scheduler posts: the pod has the node, and nobody records it.
pub(crate) fn bind_by_request(cluster: &mut Cluster, by: &Component, key: &ObjectKey, node: &Text) {
    let Some(mut bound) = cluster.etcd.get(key).cloned() else {
        return;
    };
    bound["spec"]["nodeName"] = node.into();
    bound.remove(&["status", "nominatedNodeName"]);
    set_scheduled(&mut bound, true, "", "", cluster);
    let text = format!("bound to {node} (by a request)");
    cluster.commit(by, Action::Update, key, Some(bound), text.into());
}

/// Tells a pod why it has no node, and makes room for it where that was found to help.
pub(super) fn refuse(cluster: &mut Cluster, key: &ObjectKey, pod: &Value, search: Search) {
    let by = Component::Scheduler;
    let now = cluster.now;
    cluster.scheduler.queue.fail(key, now, search.hints);
    cluster.warn(&by, pod, "FailedScheduling", &search.message);
    let mut updated = pod.clone();
    let reason = match search.is_error {
        true => "SchedulerError",
        false => "Unschedulable",
    };
    set_scheduled(&mut updated, false, reason, &search.message, cluster);
    match &search.nominated {
        Some((node, _)) => updated["status"]["nominatedNodeName"] = node.into(),
        None if search.message.contains("preemption: not eligible") => {}
        None => drop(updated.remove(&["status", "nominatedNodeName"])),
    }
    if !updated.same(pod) {
        updated.remove(&["metadata", "resourceVersion"]);
        let _ = cluster.update_status(&by, updated);
    }
    let Some((node, victims)) = search.nominated else {
        return;
    };
    for victim in victims {
        evict(cluster, &by, &victim, pod, &node);
    }
    take_promises_back(cluster, &by, pod, &node);
}

/// Less important pods that had the node's promise may no longer fit there: they look elsewhere
/// (`pkg/scheduler/framework/preemption`, prepareCandidate).
fn take_promises_back(cluster: &mut Cluster, by: &Component, preemptor: &Value, node: &Text) {
    let priority = |pod: &Value| pod["spec"]["priority"].as_i64().unwrap_or(0);
    let most = priority(preemptor);
    let promised = cluster.scheduler.nominated.get(node).cloned();
    for key in promised.into_iter().flatten() {
        if cluster
            .etcd
            .get(&key)
            .is_none_or(|pod| priority(pod) >= most)
        {
            continue;
        }
        // One that is gone by now needs no word.
        let _ = cluster.modify(by, &key, Subresource::Status, |pod| {
            pod.remove(&["status", "nominatedNodeName"]);
        });
    }
}

fn evict(cluster: &mut Cluster, by: &Component, victim: &PodInfo, preemptor: &Value, node: &str) {
    let message = "default-scheduler: preempting to accommodate a higher priority pod";
    let now = cluster.now.rfc3339();
    // A victim that went by itself meanwhile has made room, too.
    let told = cluster.modify(by, &victim.key, Subresource::Status, |pod| {
        let condition = object([
            ("lastProbeTime", Value::Null),
            ("lastTransitionTime", now.into()),
            ("message", message.into()),
            ("observedGeneration", pod.generation().into()),
            ("reason", "PreemptionByScheduler".into()),
            ("status", "True".into()),
            ("type", "DisruptionTarget".into()),
        ]);
        put_condition(pod, condition);
    });
    if let Ok(pod) = told {
        let _ = cluster.delete(by, &victim.key, &DeleteOptions::default());
        cluster.record(
            by,
            &pod,
            "Preempted",
            &format!("Preempted by pod {} on node {node}", preemptor.uid()),
        );
    }
}

/// Writes the PodScheduled condition.
fn set_scheduled(
    pod: &mut Value,
    scheduled: bool,
    reason: &str,
    message: &str,
    cluster: &mut Cluster,
) {
    let now = cluster.now;
    let mut condition = object([
        ("lastProbeTime", Value::Null),
        ("lastTransitionTime", cluster.alike.stamp(now)),
        ("observedGeneration", pod.generation().into()),
        ("status", if scheduled { "True" } else { "False" }.into()),
        ("type", "PodScheduled".into()),
    ]);
    if !reason.is_empty() {
        condition["message"] = message.into();
        condition["reason"] = reason.into();
    }
    put_condition(pod, cluster.alike.share(now, "PodScheduled", condition));
}

/// Puts a condition in the place of the one of its type. The time of its last transition stays
/// where the status does.
fn put_condition(pod: &mut Value, mut condition: Value) {
    let kind = condition["type"].text();
    let conditions = pod["status"]["conditions"].array_mut();
    match conditions.iter_mut().find(|c| *c["type"].str() == *kind) {
        Some(old) => {
            if old["status"] == condition["status"] {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}
