//! What the registry does to an object before it is validated and stored: which fields a request
//! cannot set, and how the generation counts (kube-apiserver v1.37, `pkg/registry/*/*/strategy.go`).

use kubarium_objects::schema::Resource;
use kubarium_objects::{Text, Value, names};

use super::Subresource;
use crate::cluster::Cluster;

/// Kinds whose generation stays unset: their strategies never touch it.
const WITHOUT_GENERATION: &[&str] = &[
    "bindings",
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "podtemplates",
    "resourcequotas",
    "secrets",
    "serviceaccounts",
    "services",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "runtimeclasses.node.k8s.io",
    "storageclasses.storage.k8s.io",
    "csinodes.storage.k8s.io",
    "csidrivers.storage.k8s.io",
    "controllerrevisions.apps",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
];

/// Kinds whose status can be given on creation.
const STATUS_ON_CREATION: &[&str] = &["nodes", "events"];

pub(super) fn prepare_create(cluster: &mut Cluster, resource: &Resource, object: &mut Value) {
    let id = resource.id();
    if resource.subresource("status").is_some() && !STATUS_ON_CREATION.contains(&&*id) {
        object.remove(&["status"]);
    }
    let generate = object["metadata"]["generateName"].text();
    if object["metadata"]["name"].is_empty() && !generate.is_empty() {
        let name = names::generate_name(&generate, |n| cluster.rng.below(u64::from(n)) as u32);
        object.set(&["metadata", "name"], name);
    }
    let uid = cluster.rng.uuid();
    let now = cluster.now.rfc3339();
    let metadata = &mut object["metadata"];
    for field in [
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
    ] {
        metadata.remove(&[field]);
    }
    metadata["uid"] = uid.into();
    metadata["creationTimestamp"] = now.into();
    if !WITHOUT_GENERATION.contains(&&*id) {
        metadata["generation"] = 1.into();
    }
    if &*id == "jobs.batch" {
        select_own_pods(object);
    }
    initial_status(&id, object);
}

/// A Job without a selector of its own gets one that selects by its uid, and labels its template so
/// (kube-apiserver v1.37, `pkg/registry/batch/job/strategy.go`).
fn select_own_pods(job: &mut Value) {
    if job["spec"]["manualSelector"].as_bool() == Some(true) {
        return;
    }
    let (uid, name) = (
        job["metadata"]["uid"].text(),
        job["metadata"]["name"].text(),
    );
    for (key, value) in [
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        job["spec"]["template"]["metadata"]["labels"][key] = value.into();
    }
    if job["spec"]["selector"].is_null() {
        job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = uid.into();
    }
}

/// The status that a new object begins with.
fn initial_status(id: &str, object: &mut Value) {
    match id {
        "pods" => {
            object.set(&["status", "phase"], "Pending");
            object.set(&["status", "qosClass"], qos_class(object));
        }
        "namespaces" => {
            object.set(&["status", "phase"], "Active");
            let finalizers = object["spec"]["finalizers"].items();
            if !finalizers.iter().any(|f| f.str() == "kubernetes") {
                object["spec"]["finalizers"].push("kubernetes");
            }
        }
        "persistentvolumes" | "persistentvolumeclaims" => {
            object.set(&["status", "phase"], "Pending")
        }
        "services" | "ingresses.networking.k8s.io" => {
            object.set(&["status", "loadBalancer"], Value::new_object());
        }
        "replicasets.apps" | "replicationcontrollers" => object.set(&["status", "replicas"], 0),
        "statefulsets.apps" => {
            object.set(&["status", "replicas"], 0);
            object.set(&["status", "availableReplicas"], 0);
        }
        "daemonsets.apps" => {
            for field in [
                "currentNumberScheduled",
                "desiredNumberScheduled",
                "numberMisscheduled",
                "numberReady",
            ] {
                object.set(&["status", field], 0);
            }
        }
        "deployments.apps" | "jobs.batch" | "cronjobs.batch" | "resourcequotas" => {
            object.set(&["status"], Value::new_object());
        }
        "poddisruptionbudgets.policy" => {
            for field in [
                "currentHealthy",
                "desiredHealthy",
                "disruptionsAllowed",
                "expectedPods",
            ] {
                object.set(&["status", field], 0);
            }
        }
        "horizontalpodautoscalers.autoscaling" => {
            object.set(&["status", "currentMetrics"], Value::Null);
            object.set(&["status", "desiredReplicas"], 0);
        }
        _ => {}
    }
}

pub(super) fn prepare_update(
    resource: &Resource,
    object: &mut Value,
    old: &Value,
    part: Subresource,
) {
    if part == Subresource::Status {
        let status = object["status"].clone();
        let mut kept = old.clone();
        kept["status"] = status;
        // The Deployment's controller writes the revision along with the status.
        if &*resource.id() == "deployments.apps"
            && let Some(annotations) = object["metadata"].get("annotations")
        {
            kept["metadata"]["annotations"] = annotations.clone();
        }
        *object = kept;
        return;
    }
    if resource.subresource("status").is_some() {
        match old.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => drop(object.remove(&["status"])),
        }
    }
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
    ] {
        match old["metadata"].get(field) {
            Some(value) => object["metadata"][field] = value.clone(),
            None => drop(object.remove(&["metadata", field])),
        }
    }
    if let Some(generation) = old["metadata"]["generation"].as_i64()
        && !same_but(object, old, &["metadata", "status"])
    {
        object["metadata"]["generation"] = (generation + 1).into();
    }
}

/// Whether two objects are equal apart from these top-level fields.
fn same_but(a: &Value, b: &Value, except: &[&str]) -> bool {
    let rest = |v: &Value| -> Vec<(Text, Value)> {
        v.entries()
            .iter()
            .filter(|(k, _)| !except.contains(&&**k))
            .cloned()
            .collect()
    };
    let (a, b) = (rest(a), rest(b));
    a.len() == b.len() && a.iter().zip(&b).all(|((k, v), (l, w))| k == l && v.same(w))
}

/// Whether an object that is being deleted has nothing left to wait for.
pub(super) fn is_finished(object: &Value) -> bool {
    let metadata = &object["metadata"];
    !metadata["deletionTimestamp"].is_null()
        && metadata["finalizers"].items().is_empty()
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && (object["kind"].str() != "Namespace" || object["spec"]["finalizers"].items().is_empty())
}

/// How a pod is treated when its node runs short (kube-apiserver v1.37, `pkg/apis/core/helper/qos`).
fn qos_class(pod: &Value) -> &'static str {
    let containers = || {
        ["initContainers", "containers"]
            .iter()
            .flat_map(|list| pod["spec"][*list].items())
    };
    let amount = |container: &Value, kind: &str, resource: &str| {
        let value = &container["resources"][kind][resource];
        value
            .as_str()
            .and_then(|text| text.parse::<kubarium_objects::quantity::Quantity>().ok())
            .filter(|q| !q.is_zero())
    };
    let resources = ["cpu", "memory"];
    let nothing = containers().all(|c| {
        resources
            .iter()
            .all(|r| amount(c, "requests", r).is_none() && amount(c, "limits", r).is_none())
    });
    let everything = containers().all(|c| {
        resources.iter().all(|r| {
            let limit = amount(c, "limits", r);
            limit.is_some()
                && (amount(c, "requests", r).is_none() || amount(c, "requests", r) == limit)
        })
    });
    match (nothing, everything) {
        (true, _) => "BestEffort",
        (_, true) => "Guaranteed",
        _ => "Burstable",
    }
}
