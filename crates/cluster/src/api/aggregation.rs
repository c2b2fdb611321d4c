//! APIServices: one for each group version that the API server itself serves, made when it starts
//! (kube-apiserver v1.37, `cmd/kube-apiserver/app/aggregator.go` and
//! `pkg/controlplane/apiserver/aggregator.go`), and one for each version that a definition serves
//! (`pkg/controlplane/controller/crdregistration`).

use kubarium_objects::{ObjectKey, Schema, Value, array, object};

use super::DeleteOptions;
use crate::cluster::Cluster;
use crate::event::Component;

const SERVICES: &str = "apiservices.apiregistration.k8s.io";
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// The built-in groups in the order in which the API server lists them, with their priority. The
/// aggregator's own has no APIService.
pub(super) const GROUPS: &[(&str, i64)] = &[
    ("apiregistration.k8s.io", 0),
    ("", 18000),
    ("apps", 17800),
    ("events.k8s.io", 17750),
    ("authentication.k8s.io", 17700),
    ("authorization.k8s.io", 17600),
    ("autoscaling", 17500),
    ("batch", 17400),
    ("certificates.k8s.io", 17300),
    ("networking.k8s.io", 17200),
    ("policy", 17100),
    ("rbac.authorization.k8s.io", 17000),
    ("storage.k8s.io", 16800),
    ("admissionregistration.k8s.io", 16700),
    ("apiextensions.k8s.io", 16700),
    ("scheduling.k8s.io", 16600),
    ("coordination.k8s.io", 16500),
    ("node.k8s.io", 16300),
    ("discovery.k8s.io", 16200),
    ("resource.k8s.io", 16200),
    ("flowcontrol.apiserver.k8s.io", 16100),
    ("storagemigration.k8s.io", 15800),
];

/// The order of a group's versions.
fn version_priority(group: &str, version: &str) -> i64 {
    match (group, version) {
        ("", _) => 1,
        ("autoscaling", "v2") => 30,
        ("flowcontrol.apiserver.k8s.io" | "resource.k8s.io", _) => 21,
        _ => 15,
    }
}

/// What is true of an APIService without a Service from the start (kube-aggregator v0.37,
/// `pkg/registry/apiservice/strategy.go`).
pub(super) fn local_status(now: Value) -> Value {
    let condition = object([
        ("lastTransitionTime", now),
        ("message", "Local APIServices are always available".into()),
        ("reason", "Local".into()),
        ("status", "True".into()),
        ("type", "Available".into()),
    ]);
    object([("conditions", array([condition]))])
}

fn service(group: &str, version: &str, priorities: (i64, i64), managed: &str) -> Value {
    let mut spec = object([
        ("groupPriorityMinimum", priorities.0.into()),
        ("version", version.into()),
        ("versionPriority", priorities.1.into()),
    ]);
    if !group.is_empty() {
        spec["group"] = group.into();
    }
    let metadata = object([
        ("labels", object([(MANAGED, managed.into())])),
        ("name", format!("{version}.{group}").into()),
    ]);
    object([
        ("apiVersion", "apiregistration.k8s.io/v1".into()),
        ("kind", "APIService".into()),
        ("metadata", metadata),
        ("spec", spec),
    ])
}

/// The objects that are there from the start.
pub(crate) fn objects(now: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for (group, priority) in GROUPS.iter().filter(|(_, priority)| *priority > 0) {
        let resources = Schema::builtin().resources().iter();
        let mut versions: Vec<&str> = resources
            .filter(|r| &*r.group == *group)
            .map(|r| &*r.version)
            .collect();
        versions.sort_unstable();
        versions.dedup();
        for version in versions {
            let priorities = (*priority, version_priority(group, version));
            let mut service = service(group, version, priorities, "onstart");
            service["status"] = local_status(now.clone());
            all.push(service);
        }
    }
    all
}

/// Makes the APIServices of what definitions serve, and takes away those of what is served no more,
/// for the versions that a definition names or has named.
pub(super) fn register(cluster: &mut Cluster, old: Option<&Value>, new: Option<&Value>) {
    let mut names: Vec<(String, String)> = Vec::new();
    for definition in [old, new].into_iter().flatten() {
        let spec = &definition["spec"];
        for version in spec["versions"].items() {
            let name = (spec["group"].str().into(), version["name"].str().into());
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let by = Component::ApiServer;
    for (group, version) in names {
        let key = ObjectKey::new(SERVICES, "", format!("{version}.{group}"));
        let is_served = cluster.definitions.serves(&format!("{group}/{version}"));
        match cluster.etcd.get(&key) {
            // A failure is in the log as a refusal.
            None if is_served => {
                let _ = cluster.create(&by, service(&group, &version, (1000, 100), "true"));
            }
            Some(known) if !is_served && known["metadata"]["labels"][MANAGED].str() == "true" => {
                let _ = cluster.delete(&by, &key, &DeleteOptions::default());
            }
            _ => {}
        }
    }
}
