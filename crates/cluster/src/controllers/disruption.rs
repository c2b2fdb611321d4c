//! disruption-controller: how many of a budget's pods may go
//! (kubernetes v1.37, `pkg/controller/disruption`).

use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, pods};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::time::Time;

/// An evicted pod whose deletion does not show within this time counts again.
const DELETION_TIMEOUT: Duration = Duration::from_secs(120);
const RESOURCE: &str = "poddisruptionbudgets.policy";

pub(super) const CONTROLLER: Controller = Controller {
    name: "disruption-controller",
    observe,
    size,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        RESOURCE if pods::spec_changed(change) => vec![change.key.clone()],
        "pods" if pods::matters(change) => {
            let objects = [&change.old, &change.new].into_iter().flatten();
            let mut keys: Vec<ObjectKey> = objects
                .flat_map(|pod| {
                    cluster
                        .index
                        .selecting(RESOURCE, &change.key.namespace, pod.labels())
                })
                .collect();
            keys.sort();
            keys.dedup();
            keys
        }
        _ => Vec::new(),
    }
}

/// How many pods a budget's sync reads.
fn size(cluster: &Cluster, key: &ObjectKey) -> usize {
    let selector = cluster.etcd.get(key);
    let selector = selector.map(|budget| pods::selector(&budget["spec"]["selector"]));
    let count = |(label, value)| {
        cluster
            .index
            .pods_labelled_count(&key.namespace, label, value)
    };
    match selector.as_ref().map(|selector| selector.exact().next()) {
        Some(Some(pair)) => count(pair),
        Some(None) => cluster.etcd.count("pods"),
        None => 0,
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(budget) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let selector = pods::selector(&budget["spec"]["selector"]);
    let found: Vec<&Value> = match selector.exact().next() {
        Some((label, value)) => cluster
            .index
            .pods_labelled(&key.namespace, label, value)
            .filter_map(|k| cluster.etcd.get(k))
            .collect(),
        None => cluster
            .etcd
            .list("pods", Some(&key.namespace))
            .map(|(_, pod)| pod)
            .collect(),
    };
    let found: Vec<&Value> = found
        .into_iter()
        .filter(|pod| selector.matches(pod.labels()) && !pods::is_over(pod))
        .collect();
    let none = found.is_empty();
    // Those that were evicted, as long as their deletion has not shown.
    let mut disrupted = budget["status"]["disruptedPods"].clone();
    if let Value::Object(_) = &disrupted {
        disrupted.object_mut().retain(|name, since| {
            let evicted = Time::parse(since.str()).unwrap_or_default();
            found
                .iter()
                .any(|pod| pod.name() == name && !pod.is_deleting())
                && cluster.now.since(evicted) < DELETION_TIMEOUT
        });
    }
    let healthy = found
        .iter()
        .filter(|pod| {
            !pod.is_deleting() && pods::is_ready(pod) && disrupted.get(pod.name()).is_none()
        })
        .count() as i64;
    let (expected, desired) = expected(cluster, &budget, &found);
    let unmanaged =
        counts_controllers(&budget) && found.iter().any(|pod| pod.controller_ref().is_none());
    if unmanaged {
        cluster.warn(by, &budget, "UnmanagedPods", &format!("Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.", go_selector(&budget["spec"]["selector"])));
    }
    if none {
        cluster.record(by, &budget, "NoPods", "No matching pods found");
    }
    let allowed = (healthy - desired).max(0);
    let allowed = if expected <= 0 { 0 } else { allowed };
    let mut updated = budget.clone();
    let status = &mut updated["status"];
    match disrupted.is_empty() {
        true => drop(status.remove(&["disruptedPods"])),
        false => status["disruptedPods"] = disrupted,
    }
    status["currentHealthy"] = healthy.into();
    status["desiredHealthy"] = desired.into();
    status["disruptionsAllowed"] = allowed.into();
    status["expectedPods"] = expected.into();
    status["observedGeneration"] = budget.generation().into();
    let (value, reason) = if allowed > 0 {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    let old = pods::condition(&budget, "DisruptionAllowed");
    if old.is_none_or(|c| {
        c["status"].str() != value
            || c["reason"].str() != reason
            || c["observedGeneration"].as_i64() != Some(budget.generation())
    }) {
        let since = old
            .filter(|c| c["status"].str() == value)
            .map(|c| c["lastTransitionTime"].clone());
        let condition = object([
            (
                "lastTransitionTime",
                since.unwrap_or_else(|| cluster.now.rfc3339().into()),
            ),
            ("message", "".into()),
            ("observedGeneration", budget.generation().into()),
            ("reason", reason.into()),
            ("status", value.into()),
            ("type", "DisruptionAllowed".into()),
        ]);
        status["conditions"] = vec![condition].into();
    }
    if updated.same(&budget) {
        Ok(())
    } else {
        cluster.update_status(by, updated).map(drop)
    }
}

/// Whether the budget speaks of what the pods' controllers want, not of the pods alone.
fn counts_controllers(budget: &Value) -> bool {
    let spec = &budget["spec"];
    spec.get("maxUnavailable").is_some() || spec["minAvailable"].as_str().is_some()
}

/// A label selector as Go prints it.
fn go_selector(selector: &Value) -> String {
    let labels: String = selector["matchLabels"]
        .entries()
        .iter()
        .map(|(key, value)| format!("{key}: {},", value.str()))
        .collect();
    let expressions: String = selector["matchExpressions"]
        .items()
        .iter()
        .map(|e| {
            let values: Vec<&str> = e["values"].items().iter().map(Value::str).collect();
            format!(
                "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
                e["key"].str(),
                e["operator"].str(),
                values.join(" ")
            )
        })
        .collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

/// How many pods there should be, and how many of them healthy.
fn expected(cluster: &Cluster, budget: &Value, found: &[&Value]) -> (i64, i64) {
    let spec = &budget["spec"];
    let count = found.len() as i64;
    if let Some(most) = spec.get("maxUnavailable") {
        let all = scale(cluster, found);
        return (all, (all - pods::scaled(most, all, true)).max(0));
    }
    match spec.get("minAvailable") {
        Some(least) if least.as_i64().is_some() => (count, least.as_i64().unwrap_or(0)),
        Some(least) => {
            let all = scale(cluster, found);
            (all, pods::scaled(least, all, true))
        }
        None => (count, 1),
    }
}

/// The sum of what the pods' controllers want.
fn scale(cluster: &Cluster, found: &[&Value]) -> i64 {
    let mut owners: Vec<(Text, Text)> = Vec::new();
    let mut sum = 0;
    for pod in found {
        let Some(owner) = pod.controller_ref() else {
            continue;
        };
        let Some(resource) = cluster.resource_by_kind(owner.api_version(), owner.kind()) else {
            continue;
        };
        let mut key = ObjectKey::new(resource.id(), pod.namespace(), owner.name());
        // A Deployment speaks for its sets.
        let above = cluster.etcd.get(&key).and_then(ObjectMeta::controller_ref);
        if let Some(above) = above.filter(|a| a.kind() == "Deployment") {
            key = ObjectKey::new("deployments.apps", pod.namespace(), above.name());
        }
        let at = (key.resource.clone(), key.name.clone());
        if owners.contains(&at) {
            continue;
        }
        let spec = cluster
            .etcd
            .get(&key)
            .map(|o| o["spec"]["replicas"].as_i64().unwrap_or(1));
        sum += spec.unwrap_or(0);
        owners.push(at);
    }
    sum
}
