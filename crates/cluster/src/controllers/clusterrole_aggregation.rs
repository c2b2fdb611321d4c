//! clusterrole-aggregation-controller: a ClusterRole with an aggregation rule has the rules of all
//! ClusterRoles that it selects (kubernetes v1.37, `pkg/controller/clusterroleaggregation`).

use kubarium_objects::{ObjectKey, Selector, Value};

use super::{Controller, Outcome, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;

const RESOURCE: &str = "clusterroles.rbac.authorization.k8s.io";

pub(super) const CONTROLLER: Controller = Controller {
    name: "clusterrole-aggregation-controller",
    observe,
    size: small,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    if &*change.key.resource != RESOURCE {
        return Vec::new();
    }
    let aggregating = cluster
        .etcd
        .list(RESOURCE, None)
        .filter(|(_, role)| !role["aggregationRule"].is_null());
    aggregating.map(|(key, _)| key.clone()).collect()
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(role) = cluster.etcd.get(key) else {
        return Ok(());
    };
    let mut rules: Vec<Value> = Vec::new();
    for selector in role["aggregationRule"]["clusterRoleSelectors"].items() {
        let Ok(selector) = Selector::from_label_selector(selector) else {
            continue;
        };
        let selected = cluster
            .etcd
            .list(RESOURCE, None)
            .filter(|(other, role)| *other != key && selector.matches(&role["metadata"]["labels"]));
        for (_, role) in selected {
            for rule in role["rules"].items() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    let rules: Value = rules.into();
    if rules == role["rules"] || rules.is_empty() && role["rules"].is_empty() {
        return Ok(());
    }
    cluster
        .modify(by, key, Subresource::None, |role| role["rules"] = rules)
        .map(|_| ())
}
