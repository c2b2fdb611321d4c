//! resourcequota-controller: how much of each quota is in use
//! (kubernetes v1.37, `pkg/controller/resourcequota`).

use kubarium_objects::{ObjectKey, Value};

use super::{Controller, Outcome, pods};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::quota;

const RESOURCE: &str = "resourcequotas";

pub(super) const CONTROLLER: Controller = Controller {
    name: "resourcequota-controller",
    observe,
    // A count reads the namespace's pods; many changes at once are counted together.
    size: |cluster, _| cluster.etcd.count("pods"),
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let resource = &*change.key.resource;
    if resource == RESOURCE && pods::spec_changed(change) && change.new.is_some() {
        return vec![change.key.clone()];
    }
    let ended = || {
        let over = |pod: &Option<Value>| pod.as_ref().is_some_and(pods::is_over);
        over(&change.old) != over(&change.new)
    };
    let counts = match (&change.old, &change.new) {
        (Some(_), Some(_)) => match resource {
            "pods" => ended() || change.differs(&["spec"]),
            "services" | "persistentvolumeclaims" => change.differs(&["spec"]),
            _ => false,
        },
        _ => true,
    };
    if !counts || change.key.namespace.is_empty() || cluster.etcd.count(RESOURCE) == 0 {
        return Vec::new();
    }
    cluster
        .etcd
        .list(RESOURCE, Some(&change.key.namespace))
        .filter(|(_, quota)| quota::counts(quota, resource))
        .map(|(key, _)| key.clone())
        .collect()
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(old) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let mut new = old.clone();
    new["status"]["hard"] = old["spec"]["hard"].clone();
    let mut used = Value::new_object();
    for (name, amount) in quota::used(cluster, &old) {
        used[&*name] = amount.to_string().into();
    }
    new["status"]["used"] = used;
    if new["status"] == old["status"] {
        return Ok(());
    }
    cluster.update_status(by, new).map(drop)
}
