//! namespace-controller: empties a namespace that is being deleted, then lets it go
//! (kubernetes v1.37, `pkg/controller/namespace/deletion`).

use kubarium_objects::{ObjectKey, ObjectMeta, Value, object};

use super::{Controller, Outcome, small};
use crate::api::DeleteOptions;
use crate::cluster::{Change, Cluster};
use crate::event::Component;

pub(super) const CONTROLLER: Controller = Controller {
    name: "namespace-controller",
    observe,
    size: small,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    if &*change.key.resource == "namespaces" {
        return match &change.new {
            Some(namespace) if namespace.is_deleting() => vec![change.key.clone()],
            _ => Vec::new(),
        };
    }
    if change.new.is_some() || change.key.namespace.is_empty() {
        return Vec::new();
    }
    // Something went: the namespace may have waited for it.
    let key = ObjectKey::new("namespaces", "", change.key.namespace.clone());
    let waits = cluster.etcd.get(&key).is_some_and(ObjectMeta::is_deleting);
    if waits { vec![key] } else { Vec::new() }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(namespace) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    if !namespace.is_deleting() || namespace["spec"]["finalizers"].items().is_empty() {
        return Ok(());
    }
    let content: Vec<ObjectKey> = cluster
        .etcd
        .resources()
        .flat_map(|resource| cluster.etcd.list(resource, Some(&key.name)))
        .map(|(key, _)| key.clone())
        .filter(|key| !key.namespace.is_empty())
        .collect();
    for item in &content {
        if cluster
            .etcd
            .get(item)
            .is_some_and(|object| !object.is_deleting())
        {
            cluster.delete(by, item, &DeleteOptions::default())?;
        }
    }
    let left: Vec<&ObjectKey> = content
        .iter()
        .filter(|key| cluster.etcd.get(key).is_some())
        .collect();
    let conditions = conditions(cluster, &left);
    let mut updated = namespace.clone();
    if !left.is_empty() {
        updated["status"]["conditions"] = conditions;
        return cluster.update_status(by, updated).map(drop);
    }
    // The finalizer in the spec goes through the subresource `finalize`, and nothing else can
    // hold an empty namespace.
    updated["spec"].remove(&["finalizers"]);
    cluster.update(by, updated).map(drop)
}

/// What a terminating namespace says of what is left in it.
fn conditions(cluster: &Cluster, left: &[&ObjectKey]) -> Value {
    let now: Value = cluster.now.rfc3339().into();
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for key in left {
        match counts.last_mut() {
            Some((resource, count)) if *resource == &*key.resource => *count += 1,
            _ => counts.push((&key.resource, 1)),
        }
    }
    let named = |resource: &str| {
        if resource.contains('.') {
            resource.to_owned()
        } else {
            format!("{resource}.")
        }
    };
    let instances: Vec<String> = counts
        .iter()
        .map(|(resource, count)| format!("{} has {count} resource instances", named(resource)))
        .collect();
    let remaining = if instances.is_empty() {
        (
            "False",
            "ContentRemoved",
            "All content successfully removed".to_owned(),
        )
    } else {
        (
            "True",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", instances.join(", ")),
        )
    };
    let holding = left
        .iter()
        .filter_map(|key| cluster.etcd.get(key))
        .flat_map(|o| o.finalizers().map(str::to_owned).collect::<Vec<_>>());
    let mut finalizers: std::collections::BTreeMap<String, usize> = Default::default();
    holding.for_each(|f| *finalizers.entry(f).or_default() += 1);
    let held: Vec<String> = finalizers
        .iter()
        .map(|(f, n)| format!("{f} in {n} resource instances"))
        .collect();
    let finalizing = if held.is_empty() {
        (
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        )
    } else {
        (
            "True",
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                held.join(", ")
            ),
        )
    };
    let all = [
        (
            "NamespaceDeletionDiscoveryFailure",
            (
                "False",
                "ResourcesDiscovered",
                "All resources successfully discovered".to_owned(),
            ),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            (
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed".to_owned(),
            ),
        ),
        (
            "NamespaceDeletionContentFailure",
            (
                "False",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization".to_owned(),
            ),
        ),
        ("NamespaceContentRemaining", remaining),
        ("NamespaceFinalizersRemaining", finalizing),
    ];
    let condition = |(kind, (status, reason, message)): (&str, (&str, &str, String))| {
        object([
            ("lastTransitionTime", now.clone()),
            ("message", message.into()),
            ("reason", reason.into()),
            ("status", status.into()),
            ("type", kind.into()),
        ])
    };
    all.into_iter()
        .map(condition)
        .collect::<Vec<Value>>()
        .into()
}
