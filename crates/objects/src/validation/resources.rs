//! Amounts of resources: their names, the amounts themselves, requests and limits.

use std::collections::BTreeSet;

use super::common::{Errors, items, keys, quantity};
use crate::field_error::FieldError;
use crate::names;
use crate::quantity::Quantity;
use crate::value::Value;

/// What a quota can count of each kind of object.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

const COMPUTE: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether Kubernetes itself knows the resource for containers.
pub(super) fn is_of_containers(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge_page(name)
}

/// Whether a quota can limit it by that name.
pub(super) fn is_of_quotas(name: &str) -> bool {
    COMPUTE.contains(&name)
        || COUNTED.contains(&name)
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}

/// Whether Kubernetes itself knows the resource for anything.
fn is_standard(name: &str) -> bool {
    is_of_quotas(name) || name == "storage"
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether requests may differ from limits.
pub(super) fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// A resource's name; whether it is right.
pub(super) fn name(e: &mut Errors, path: &str, name: &str) -> bool {
    let complaints = names::qualified_name(name);
    if !complaints.is_empty() {
        e.names(path, name, complaints);
        return false;
    }
    if !name.contains('/') && !is_standard(name) {
        e.invalid(
            path,
            name,
            "must be a standard resource type or fully qualified",
        );
        return false;
    }
    true
}

/// The name of a resource that containers have.
pub(super) fn container_name(e: &mut Errors, path: &str, resource: &str) {
    name(e, path, resource);
    if !resource.contains('/') {
        if !is_of_containers(resource) {
            e.invalid(path, resource, "must be a standard resource for containers");
        }
    } else if !is_native(resource) && !is_extended(resource) {
        e.invalid(
            path,
            resource,
            "doesn't follow extended resource name standard",
        );
    }
}

/// The name of a resource that a quota limits.
pub(super) fn quota_name(e: &mut Errors, path: &str, resource: &str) {
    name(e, path, resource);
    if !resource.contains('/') && !is_of_quotas(resource) {
        e.invalid(path, resource, "must be a standard resource for quota");
    }
}

/// The name of a resource that a whole pod has.
fn pod_name(e: &mut Errors, path: &str, resource: &str) {
    if name(e, path, resource) && !matches!(resource, "cpu" | "memory") && !is_huge_page(resource) {
        e.push(FieldError::not_supported(
            path,
            resource,
            &["cpu", "hugepages-", "memory"],
        ));
    }
}

/// An amount of a resource: not negative, and whole where it counts things.
pub(super) fn amount(e: &mut Errors, path: &str, resource: &str, amount: &Quantity) {
    if amount.sign() < 0 {
        e.invalid(
            path,
            amount.to_string(),
            "must be greater than or equal to 0",
        );
    }
    let counts = COUNTED.contains(&resource) || is_extended(resource);
    if counts && !amount.is_whole() {
        e.invalid(path, amount.to_string(), "must be an integer");
    }
}

/// `resources` of a container; `claims` are those of its pod.
pub(super) fn of_container(e: &mut Errors, path: &str, r: &Value, claims: &Value) {
    requirements(e, path, r, container_name);
    claim_names(e, &format!("{path}.claims"), &r["claims"], claims);
}

/// `overhead` of a pod, looked at as limits.
pub(super) fn overhead(e: &mut Errors, path: &str, amounts: &Value) {
    let limits = crate::value::object([("limits", amounts.clone())]);
    requirements(e, path, &limits, container_name);
}

/// `resources` of a pod as a whole.
pub(super) fn of_pod(e: &mut Errors, path: &str, spec: &Value) {
    let r = &spec["resources"];
    if r.is_null() {
        return;
    }
    if !r["claims"].is_null() {
        e.forbidden(
            format!("{path}.claims"),
            "claims may not be set for Resources at pod-level",
        );
    }
    requirements(e, path, r, pod_name);
    claim_names(
        e,
        &format!("{path}.claims"),
        &r["claims"],
        &spec["resourceClaims"],
    );
    for name in ["cpu", "memory"] {
        let mut all = Quantity::ZERO;
        let mut any = false;
        for container in spec["containers"].items() {
            let request = &container["resources"]["requests"][name];
            any |= !request.is_null();
            all = all.plus(&quantity(request));
        }
        let whole = quantity(&r["requests"][name]);
        if any && all > whole {
            e.invalid(
                format!("{path}.requests[{name}]"),
                whole.to_string(),
                format!("must be greater than or equal to aggregate container requests of {all}"),
            );
        }
    }
    for (at, container) in spec["containers"].items().iter().enumerate() {
        for (name, limit) in container["resources"]["limits"].entries() {
            let Some(whole) = r["limits"].get(name).map(quantity) else {
                continue;
            };
            let limit = quantity(limit);
            if limit > whole {
                e.invalid(
                    format!("{path}.containers[{at}][{name}].limits"),
                    limit.to_string(),
                    format!("must be less than or equal to pod limits of {whole}"),
                );
            }
        }
    }
}

fn requirements(e: &mut Errors, path: &str, r: &Value, name_fn: fn(&mut Errors, &str, &str)) {
    let (mut compute, mut huge_pages) = (false, false);
    for list in ["limits", "requests"] {
        for (p, name, given) in keys(&r[list], &format!("{path}.{list}")) {
            let q = quantity(given);
            name_fn(e, &p, name);
            amount(e, &p, name, &q);
            compute |= matches!(&**name, "cpu" | "memory");
            if list == "requests" {
                request(e, path, r, name, &q);
            }
            if let Some(size) = name.strip_prefix("hugepages-") {
                huge_pages = true;
                let size = size.parse().unwrap_or(Quantity::ZERO).value();
                if size > 0 && q.value() % size != 0 {
                    e.invalid(
                        p,
                        q.to_string(),
                        format!("{q} is not positive integer multiple of {name}"),
                    );
                }
            }
        }
    }
    if huge_pages && !compute {
        e.forbidden(path, "HugePages require cpu or memory");
    }
}

/// A request must fit its limit.
fn request(e: &mut Errors, path: &str, r: &Value, name: &str, request: &Quantity) {
    let at = format!("{path}.requests");
    let limit = r["limits"].get(name).map(quantity);
    let why = match limit {
        Some(limit) if !may_overcommit(name) && *request != limit => {
            format!("must be equal to {name} limit of {limit}")
        }
        Some(limit) if *request > limit => {
            format!("must be less than or equal to {name} limit of {limit}")
        }
        None if !may_overcommit(name) => {
            return e.required(
                format!("{path}.limits"),
                "Limit must be set for non overcommitable resources",
            );
        }
        _ => return,
    };
    e.invalid(at, request.to_string(), why);
}

fn claim_names(e: &mut Errors, path: &str, claims: &Value, known: &Value) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let known: BTreeSet<&str> = known
        .items()
        .iter()
        .map(|claim| claim["name"].str())
        .filter(|name| !name.is_empty())
        .collect();
    for (p, claim) in items(claims, path) {
        let (name, part) = (claim["name"].str(), claim["request"].str());
        if name.is_empty() {
            e.required(p, "");
            continue;
        }
        if seen.contains(name) {
            e.duplicate(p.clone(), name);
        } else {
            let mut key = name.to_owned();
            if !part.is_empty() {
                e.names(format!("{p}.request"), part, names::dns1123_label(part));
                key = format!("{name}/{part}");
            }
            let inside = format!("{name}/");
            if seen.contains(&key) {
                e.duplicate(p.clone(), key.as_str());
            } else if part.is_empty() && seen.iter().any(|k| k.starts_with(&inside)) {
                e.duplicate(p.clone(), name);
            }
            seen.insert(key);
        }
        if !known.contains(name) {
            let list: Vec<&str> = known.iter().copied().collect();
            let which = match list.is_empty() {
                true => " which is empty".to_owned(),
                false => format!(": {}", list.join(", ")),
            };
            e.push(FieldError {
                detail: format!("must be one of the names in pod.spec.resourceClaims{which}"),
                ..FieldError::not_found(p, name)
            });
        }
    }
}

/// What happens to a container whose resources are changed.
pub(super) fn resize_policy(e: &mut Errors, path: &str, policies: &Value, restart: &Value) {
    let mut seen = BTreeSet::new();
    for (p, policy) in items(policies, path) {
        let resource = policy["resourceName"].str();
        if !seen.insert(resource) {
            e.duplicate(p, resource);
        }
        e.required_one_of(path, &policy["resourceName"], &["cpu", "memory"]);
        let then = &policy["restartPolicy"];
        e.required_one_of(path, then, &["NotRequired", "RestartContainer"]);
        if restart.str() == "Never" && then.str() != "NotRequired" {
            e.invalid(
                path,
                then,
                "must be 'NotRequired' when `restartPolicy` is 'Never'",
            );
        }
    }
}
