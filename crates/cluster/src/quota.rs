//! What objects count against a ResourceQuota: for the controller that writes its status, and for
//! the admission that refuses what goes beyond it (kubernetes v1.37, `pkg/quota/v1/evaluator/core`).

use std::collections::BTreeMap;

use kubarium_objects::quantity::{Format, Quantity};
use kubarium_objects::{ObjectKey, Text, Value};

use crate::cluster::Cluster;
use crate::controllers::pods;

/// Amounts by the names that a quota's `hard` has.
pub type Amounts = BTreeMap<Text, Quantity>;

fn one() -> Quantity {
    Quantity::new(1, Format::DecimalSi)
}

fn add(amounts: &mut Amounts, name: &str, amount: &Quantity) {
    let sum = match amounts.get(name) {
        Some(before) => before.plus(amount),
        None => *amount,
    };
    amounts.insert(name.into(), sum);
}

/// What one object counts: itself, and what it asks for.
pub fn usage(key: &ObjectKey, object: &Value) -> Amounts {
    let mut amounts = Amounts::new();
    let resource: &str = &key.resource;
    let whole = match resource.split_once('.') {
        Some((plural, group)) => format!("count/{plural}.{group}"),
        None => format!("count/{resource}"),
    };
    add(&mut amounts, &whole, &one());
    match resource {
        "pods" => pod(object, &mut amounts),
        "services" => service(object, &mut amounts),
        "persistentvolumeclaims" => claim(object, &mut amounts),
        "configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas" => {
            add(&mut amounts, resource, &one());
        }
        _ => {}
    }
    amounts
}

fn pod(pod: &Value, amounts: &mut Amounts) {
    if pods::is_over(pod) {
        return;
    }
    add(amounts, "pods", &one());
    for (list, prefix) in [("requests", "requests."), ("limits", "limits.")] {
        for (name, amount) in pod_resources(pod, list) {
            add(amounts, &format!("{prefix}{name}"), &amount);
            if list == "requests" && matches!(&*name, "cpu" | "memory" | "ephemeral-storage") {
                add(amounts, &name, &amount);
            }
        }
    }
}

/// What a pod as a whole requests or is limited to: the sum of its containers, or of its init
/// containers the largest where that is more; what the pod says itself counts first.
pub(crate) fn pod_resources(pod: &Value, list: &str) -> Amounts {
    let spec = &pod["spec"];
    let read = |c: &Value| -> Vec<(Text, Quantity)> {
        let all = c["resources"][list].entries().iter();
        all.filter_map(|(name, q)| Some((name.clone(), q.str().parse().ok()?)))
            .collect()
    };
    let mut sum = Amounts::new();
    for container in spec["containers"].items() {
        for (name, q) in read(container) {
            add(&mut sum, &name, &q);
        }
    }
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for container in spec["initContainers"].items() {
        let own = read(container);
        let sidecar = container["restartPolicy"].str() == "Always";
        for (name, q) in own {
            let with = sidecars.get(&name).map_or(q, |s| s.plus(&q));
            if sidecar {
                add(&mut sum, &name, &q);
                sidecars.insert(name.clone(), with);
            }
            if peak.get(&name).is_none_or(|p| with.minus(p).sign() > 0) {
                peak.insert(name, with);
            }
        }
    }
    for (name, most) in peak {
        if sum.get(&name).is_none_or(|s| most.minus(s).sign() > 0) {
            sum.insert(name, most);
        }
    }
    for (name, q) in spec["resources"][list].entries() {
        if let Ok(q) = q.str().parse() {
            sum.insert(name.clone(), q);
        }
    }
    for (name, q) in spec["overhead"].entries() {
        if let Ok(q) = q.str().parse::<Quantity>()
            && (list == "requests" || sum.contains_key(name))
        {
            add(&mut sum, name, &q);
        }
    }
    sum
}

fn service(service: &Value, amounts: &mut Amounts) {
    add(amounts, "services", &one());
    let ports = service["spec"]["ports"].items();
    let nodeports = match service["spec"]["type"].str() {
        "NodePort" => ports.len(),
        "LoadBalancer" => {
            add(amounts, "services.loadbalancers", &one());
            match service["spec"]["allocateLoadBalancerNodePorts"].as_bool() {
                Some(false) => ports
                    .iter()
                    .filter(|p| p["nodePort"].as_i64().is_some_and(|n| n > 0))
                    .count(),
                _ => ports.len(),
            }
        }
        _ => 0,
    };
    let count = Quantity::new(nodeports as i64, Format::DecimalSi);
    add(amounts, "services.nodeports", &count);
}

fn claim(claim: &Value, amounts: &mut Amounts) {
    let class = claim["spec"]["storageClassName"].str();
    let storage = claim["spec"]["resources"]["requests"]["storage"]
        .str()
        .parse::<Quantity>();
    add(amounts, "persistentvolumeclaims", &one());
    let of_class = format!("{class}.storageclass.storage.k8s.io");
    if !class.is_empty() {
        add(
            amounts,
            &format!("{of_class}/persistentvolumeclaims"),
            &one(),
        );
    }
    if let Ok(storage) = storage {
        add(amounts, "requests.storage", &storage);
        if !class.is_empty() {
            add(amounts, &format!("{of_class}/requests.storage"), &storage);
        }
    }
}

/// Whether a quota's scopes take in an object: all objects, where it has none; only pods otherwise.
pub fn in_scope(quota: &Value, key: &ObjectKey, object: &Value) -> bool {
    let spec = &quota["spec"];
    let scopes = spec["scopes"]
        .items()
        .iter()
        .map(|s| (s.str(), "Exists", &[][..]));
    let expressions = spec["scopeSelector"]["matchExpressions"]
        .items()
        .iter()
        .map(|e| {
            (
                e["scopeName"].str(),
                e["operator"].str(),
                e["values"].items(),
            )
        });
    let mut all = scopes.chain(expressions).peekable();
    if all.peek().is_none() {
        return true;
    }
    &*key.resource == "pods"
        && all.all(|(scope, operator, values)| {
            let ends = object["spec"]["activeDeadlineSeconds"]
                .as_i64()
                .is_some_and(|s| s >= 0);
            let best_effort = || {
                let lists = ["containers", "initContainers"];
                let mut containers = lists.iter().flat_map(|l| object["spec"][*l].items());
                containers.all(|c| {
                    c["resources"]["requests"].is_empty() && c["resources"]["limits"].is_empty()
                })
            };
            match scope {
                "Terminating" => ends,
                "NotTerminating" => !ends,
                "BestEffort" => best_effort(),
                "NotBestEffort" => !best_effort(),
                "PriorityClass" => {
                    let class = object["spec"]["priorityClassName"].str();
                    let among = || values.iter().any(|v| v.str() == class);
                    match operator {
                        "In" => among(),
                        "NotIn" => !among(),
                        "DoesNotExist" => class.is_empty(),
                        _ => !class.is_empty(),
                    }
                }
                _ => false,
            }
        })
}

/// The resource whose objects a name of `hard` counts; `None` for a name that counts nothing.
fn counted(name: &str) -> Option<&str> {
    if let Some(resource) = name.strip_prefix("count/") {
        return Some(resource);
    }
    match name {
        "pods" | "cpu" | "memory" | "ephemeral-storage" => Some("pods"),
        "services" | "services.nodeports" | "services.loadbalancers" => Some("services"),
        "configmaps"
        | "secrets"
        | "replicationcontrollers"
        | "resourcequotas"
        | "persistentvolumeclaims" => Some(name),
        "requests.storage" => Some("persistentvolumeclaims"),
        name if name.contains(".storageclass.storage.k8s.io/") => Some("persistentvolumeclaims"),
        name if name.starts_with("requests.") || name.starts_with("limits.") => Some("pods"),
        _ => None,
    }
}

/// Whether a quota counts objects of a resource.
pub fn counts(quota: &Value, resource: &str) -> bool {
    let hard = quota["spec"]["hard"].entries();
    hard.iter().any(|(name, _)| counted(name) == Some(resource))
}

/// How much of what a quota limits is in use.
pub fn used(cluster: &Cluster, quota: &Value) -> Amounts {
    let namespace = quota["metadata"]["namespace"].str();
    let hard = quota["spec"]["hard"].entries();
    let zero = Quantity::new(0, Format::DecimalSi);
    let mut used: Amounts = hard.iter().map(|(name, _)| (name.clone(), zero)).collect();
    let mut resources: Vec<&str> = hard.iter().filter_map(|(name, _)| counted(name)).collect();
    resources.sort_unstable();
    resources.dedup();
    for resource in resources {
        for (key, object) in cluster.etcd.list(resource, Some(namespace)) {
            if !in_scope(quota, key, object) {
                continue;
            }
            for (name, amount) in usage(key, object) {
                if let Some(sum) = used.get_mut(&name) {
                    *sum = sum.plus(&amount);
                }
            }
        }
    }
    used
}
