//! What the registry does to an object before it is validated and stored: which fields a request
//! cannot set, and how the generation counts (kube-apiserver v1.37, `pkg/registry/*/*/strategy.go`).

use kubarium_objects::schema::Resource;
use kubarium_objects::{Text, Value, names, validation};

use super::Subresource;
use super::rbac::User;
use crate::cluster::Cluster;

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

pub(super) fn prepare_create(cluster: &mut Cluster, resource: &Resource, object: &mut Value) {
    let generate = object["metadata"]["generateName"].text();
    if object["metadata"]["name"].is_empty() && !generate.is_empty() {
        let name = names::generate_name(&generate, |n| cluster.rng.below(u64::from(n)) as u32);
        object.set(&["metadata", "name"], name);
    }
    let uid = cluster.rng.uuid();
    let now = cluster.alike.stamp(cluster.now);
    let metadata = &mut object["metadata"];
    for field in ["resourceVersion", "selfLink"] {
        metadata.remove(&[field]);
    }
    metadata["uid"] = uid.into();
    metadata["creationTimestamp"] = now;
    validation::prepare_for_create(resource, object);
    let now: Value = cluster.now.rfc3339().into();
    match &*resource.id() {
        "apiservices.apiregistration.k8s.io" => {
            object["status"] = match object["spec"]["service"].is_null() {
                true => super::aggregation::local_status(now),
                false => Value::new_object(),
            };
        }
        "persistentvolumes" => object["status"]["lastPhaseTransitionTime"] = now,
        "pods" if !object["spec"]["schedulingGates"].is_empty() => {
            object["status"]["conditions"].push(kubarium_objects::object([
                ("lastProbeTime", Value::Null),
                ("lastTransitionTime", now),
                (
                    "message",
                    "Scheduling is blocked due to non-empty scheduling gates".into(),
                ),
                ("reason", "SchedulingGated".into()),
                ("status", "False".into()),
                ("type", "PodScheduled".into()),
            ]));
        }
        _ => {}
    }
    if &*resource.id() == "pods" {
        merge_label_keys(object);
    }
    object.remove(&["metadata", "managedFields"]);
    if cluster.is_custom(resource) {
        object["metadata"]["generation"] = 1.into();
        if resource.subresource("status").is_some() {
            object.remove(&["status"]);
        }
    }
}

/// Who asks for a certificate is not for them to say (`pkg/registry/certificates/certificates`).
pub(super) fn note_requester(request: &mut Value, user: Option<&User>) {
    let spec = &mut request["spec"];
    for field in ["username", "uid", "groups", "extra"] {
        spec.remove(&[field]);
    }
    request.remove(&["status"]);
    request["status"] = Value::new_object();
    let Some(user) = user else { return };
    let spec = &mut request["spec"];
    spec["username"] = user.name.as_str().into();
    spec["groups"] = kubarium_objects::array(user.groups.iter().map(String::as_str));
    if !user.uid.is_empty() {
        spec["uid"] = user.uid.as_str().into();
    }
}

/// A pod's own labels become part of the selectors that name their keys (`matchLabelKeys`,
/// `mismatchLabelKeys`).
fn merge_label_keys(pod: &mut Value) {
    let labels = pod["metadata"]["labels"].clone();
    let merge = |term: &mut Value| {
        for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
            if term["labelSelector"].is_null() {
                return;
            }
            for key in term[field].items().to_vec() {
                let Some(value) = labels.get(key.str()) else {
                    continue;
                };
                let requirement = kubarium_objects::object([
                    ("key", key.clone()),
                    ("operator", operator.into()),
                    ("values", kubarium_objects::array([value.clone()])),
                ]);
                term["labelSelector"]["matchExpressions"].push(requirement);
            }
        }
    };
    let spec = &mut pod["spec"];
    for at in 0..spec["topologySpreadConstraints"].items().len() {
        merge(&mut spec["topologySpreadConstraints"][at]);
    }
    if spec["affinity"].is_null() {
        return;
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        for list in [
            "requiredDuringSchedulingIgnoredDuringExecution",
            "preferredDuringSchedulingIgnoredDuringExecution",
        ] {
            for at in 0..spec["affinity"][kind][list].items().len() {
                let term = &mut spec["affinity"][kind][list][at];
                if term["podAffinityTerm"].is_null() {
                    merge(term);
                } else {
                    merge(&mut term["podAffinityTerm"]);
                }
            }
        }
    }
}

pub(super) fn prepare_update(
    resource: &Resource,
    object: &mut Value,
    old: &Value,
    part: Subresource,
) {
    if part.is_status() {
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
    if part == Subresource::Resize {
        *object = resized(old, object);
        return;
    }
    if &*resource.id() == "nodes" {
        validation::pod_ranges(object);
    }
    if &*resource.kind == "CertificateSigningRequest" {
        // Whatever else was sent is left out without a word.
        object["spec"] = old["spec"].clone();
    }
    if &*resource.id() == "pods" {
        // They go by a path of their own, and nothing else goes by it.
        const FIELD: [&str; 2] = ["spec", "ephemeralContainers"];
        let own = part == Subresource::EphemeralContainers;
        let mut kept = if own {
            old.clone()
        } else {
            std::mem::take(object)
        };
        let list = if own {
            object.at(&FIELD)
        } else {
            old.at(&FIELD)
        };
        match list {
            Value::Null => drop(kept.remove(&FIELD)),
            list => kept.set(&FIELD, list.clone()),
        }
        *object = kept;
    }
    if resource.subresource("status").is_some() {
        match old.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => drop(object.remove(&["status"])),
        }
    }
    if &*resource.id() == super::custom::DEFINITIONS {
        note_stored_version(object);
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
    // How often a DaemonSet's template has changed, kept from a version of old.
    if &*resource.id() == "daemonsets.apps" {
        let before = old["metadata"]["annotations"][TEMPLATE_GENERATION].str();
        let before: i64 = before.parse().unwrap_or(1);
        let changed = object["spec"]["template"] != old["spec"]["template"];
        object["metadata"]["annotations"][TEMPLATE_GENERATION] =
            (before + i64::from(changed)).to_string().into();
    }
    // A Deployment's annotations count too: its revision history is kept in them.
    let annotated = resource.kind.as_ref() == "Deployment"
        && !object["metadata"]["annotations"].same(&old["metadata"]["annotations"]);
    if let Some(generation) = old["metadata"]["generation"].as_i64()
        && (annotated || !same_but(object, old, &["metadata", "status"]))
    {
        object["metadata"]["generation"] = (generation + 1).into();
    }
}

/// The versions in which objects have been stored are kept in a definition's status
/// (apiextensions-apiserver v0.37, `pkg/registry/customresourcedefinition`).
fn note_stored_version(definition: &mut Value) {
    let mut versions = definition["spec"]["versions"].items().iter();
    let Some(stored) = versions.find(|v| v["storage"].as_bool() == Some(true)) else {
        return;
    };
    let name = stored["name"].clone();
    let known = definition["status"]["storedVersions"].items();
    if !known.contains(&name) {
        definition["status"]["storedVersions"].push(name);
    }
}

/// What a resize changes of a pod: its containers' resources, by name.
fn resized(old: &Value, new: &Value) -> Value {
    let mut pod = old.clone();
    for list in ["containers", "initContainers"] {
        for at in 0..old["spec"][list].items().len() {
            let name = &old["spec"][list][at]["name"];
            let wanted = new["spec"][list].items();
            let Some(wanted) = wanted.iter().find(|c| c["name"] == *name) else {
                continue;
            };
            if wanted["resources"] != old["spec"][list][at]["resources"] {
                pod["spec"][list][at]["resources"] = wanted["resources"].clone();
            }
        }
    }
    if !pod["spec"].same(&old["spec"]) {
        pod["metadata"]["generation"] =
            (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
    }
    pod
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
