//! deployment-controller: carries a Deployment from one pod template to the next
//! (kubernetes v1.37, `pkg/controller/deployment`).

use kubarium_objects::selector::Selector;
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::replicaset::release;
use super::rollout::{self, Rollout};
use super::template::{self, HASH_LABEL};
use super::{Controller, Outcome, pods, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;

const RESOURCE: &str = "deployments.apps";
const SETS: &str = "replicasets.apps";

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";

pub(super) const CONTROLLER: Controller = Controller {
    name: "deployment-controller",
    observe,
    size: small,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        RESOURCE => vec![change.key.clone()],
        SETS => {
            let mut keys = pods::controllers_of(change, "Deployment", RESOURCE);
            let set = change.object();
            if change.new.is_some() && set.controller_ref().is_none() {
                keys.extend(
                    cluster
                        .index
                        .selecting(RESOURCE, &change.key.namespace, set.labels()),
                );
            }
            keys
        }
        // Recreate waits for the last old pod to be gone.
        "pods" if change.new.is_none() => {
            let sets = pods::controllers_of(change, "ReplicaSet", SETS);
            let owner = |set: &ObjectKey| {
                let owner = cluster.etcd.get(set)?.controller_ref()?;
                let key = ObjectKey::new(RESOURCE, set.namespace.clone(), owner.name());
                let recreate =
                    cluster.etcd.get(&key)?["spec"]["strategy"]["type"].str() == "Recreate";
                recreate.then_some(key)
            };
            sets.iter().filter_map(owner).collect()
        }
        _ => Vec::new(),
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(deployment) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let selector = pods::selector(&deployment["spec"]["selector"]);
    if selector.is_everything() {
        cluster.warn(
            by,
            &deployment,
            "SelectingAll",
            "This deployment is selecting all pods. A non-empty selector is required.",
        );
        return Ok(());
    }
    let sets = claim(cluster, by, &deployment, &selector)?;
    let mut rollout = Rollout {
        cluster,
        by,
        key,
        deployment,
        sets,
    };
    if rollout.deployment.is_deleting() {
        return rollout.sync_status_only();
    }
    rollout.check_paused()?;
    if rollout.is_paused() || rollout.is_scaling() {
        return rollout.scale_and_sync();
    }
    match rollout.deployment["spec"]["strategy"]["type"].str() {
        "Recreate" => rollout.recreate(),
        _ => rollout.rolling(),
    }
}

/// The ReplicaSets of a deployment, oldest first: adopts those that it selects, releases those
/// that it no longer selects.
fn claim(
    cluster: &mut Cluster,
    by: &Component,
    deployment: &Value,
    selector: &Selector,
) -> Result<Vec<Value>, Status> {
    let uid = deployment.uid();
    let (mut sets, mut lost) = (Vec::new(), Vec::new());
    let dependents = cluster
        .index
        .dependents(uid)
        .filter(|k| &*k.resource == SETS);
    for (key, set) in dependents.filter_map(|k| Some((k, cluster.etcd.get(k)?))) {
        if set.controller_ref().is_none_or(|owner| owner.uid() != uid) {
            continue;
        }
        if selector.matches(set.labels()) {
            sets.push(set.clone());
        } else {
            lost.push(key.clone());
        }
    }
    for key in lost {
        release(cluster, by, &key, uid)?;
    }
    if !deployment.is_deleting() {
        let orphans: Vec<ObjectKey> = cluster
            .index
            .orphans(SETS, deployment.namespace())
            .filter(|k| {
                cluster
                    .etcd
                    .get(k)
                    .is_some_and(|set| !set.is_deleting() && selector.matches(set.labels()))
            })
            .cloned()
            .collect();
        for key in orphans {
            let owner = pods::controller_ref(deployment);
            sets.push(cluster.modify(by, &key, Subresource::None, |set| {
                set["metadata"]["ownerReferences"].push(owner)
            })?);
        }
    }
    sets.sort_by(rollout::older);
    Ok(sets)
}

/// The revision that a set's (or deployment's) annotation gives.
pub(super) fn revision(object: &Value) -> i64 {
    object
        .annotation(REVISION)
        .and_then(|r| r.parse().ok())
        .unwrap_or(0)
}

fn annotated(set: &Value, key: &str) -> Option<i64> {
    set.annotation(key)?.parse().ok()
}

/// How many replicas the deployment wanted when it last scaled the set.
pub(super) fn desired_annotation(set: &Value) -> Option<i64> {
    annotated(set, DESIRED)
}

/// How many replicas the deployment allowed when it last scaled the set.
pub(super) fn max_annotation(set: &Value) -> Option<i64> {
    annotated(set, MAX)
}

/// Writes both numbers; whether they differed.
pub(super) fn set_replicas_annotations(set: &mut Value, desired: i64, max: i64) -> bool {
    let mut changed = false;
    for (key, value) in [(DESIRED, desired), (MAX, max)] {
        if annotated(set, key) != Some(value) {
            set["metadata"]["annotations"][key] = value.to_string().into();
            changed = true;
        }
    }
    changed
}

/// Copies the deployment's annotations to its new set and writes the revision there. Whether
/// anything changed.
pub(super) fn annotate(
    set: &mut Value,
    deployment: &Value,
    new_revision: i64,
    exists: bool,
) -> bool {
    let mut changed = false;
    for (key, value) in deployment.annotations().entries() {
        let own = [
            "kubectl.kubernetes.io/last-applied-configuration",
            REVISION,
            REVISION_HISTORY,
            DESIRED,
            MAX,
            "deprecated.deployment.rollback.to",
        ];
        if own.contains(&&**key) || set.annotation(key) == Some(value.str()) {
            continue;
        }
        set["metadata"]["annotations"][&**key] = value.clone();
        changed = true;
    }
    let old = set.annotation(REVISION).map(str::to_owned);
    if revision(set) < new_revision {
        set["metadata"]["annotations"][REVISION] = new_revision.to_string().into();
        changed = true;
        if let Some(old) = old {
            let history = match set.annotation(REVISION_HISTORY) {
                Some(history) if history.split(',').any(|r| r == old) => history.to_owned(),
                Some(history) => format!("{history},{old}"),
                None => old,
            };
            set["metadata"]["annotations"][REVISION_HISTORY] = history.into();
        }
    }
    if !exists {
        let (desired, max) = (
            rollout::replicas(deployment),
            rollout::replicas(deployment) + rollout::max_surge(deployment),
        );
        changed |= set_replicas_annotations(set, desired, max);
    }
    changed
}

/// The ReplicaSet for a deployment's present template, without its size.
pub(super) fn new_set(deployment: &Value) -> Value {
    let template = &deployment["spec"]["template"];
    let hash = template::hash(template, deployment["status"]["collisionCount"].as_i64());
    let mut template = template.clone();
    template["metadata"]["labels"][HASH_LABEL] = hash.as_str().into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH_LABEL] = hash.as_str().into();
    let metadata = object([
        ("labels", template["metadata"]["labels"].clone()),
        ("name", format!("{}-{hash}", deployment.name()).into()),
        ("namespace", deployment["metadata"]["namespace"].clone()),
        (
            "ownerReferences",
            vec![pods::controller_ref(deployment)].into(),
        ),
    ]);
    let mut spec = object([
        ("replicas", 0.into()),
        ("selector", selector),
        ("template", template),
    ]);
    if !deployment["spec"]["minReadySeconds"].is_empty() {
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"].clone();
    }
    object([
        ("apiVersion", "apps/v1".into()),
        ("kind", "ReplicaSet".into()),
        ("metadata", metadata),
        ("spec", spec),
    ])
}
