//! `kubectl apply --prune`: what was applied once and is no longer in the files goes
//! (kubectl v1.37, `pkg/cmd/apply/prune.go`).

use std::collections::BTreeSet;
use std::sync::Arc;

use kubarium_objects::{ObjectMeta, Resource};

use super::apply::LAST_APPLIED;
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::output::Format;
use crate::kubectl::request::DeleteOptions;
use crate::kubectl::resource::{Info, Query};
use crate::kubectl::{DryRun, Kubectl};

/// What is pruned where `--prune-allowlist` names nothing else, in kubectl's order.
const DEFAULT: [&str; 16] = [
    "core/v1/ConfigMap",
    "core/v1/Endpoints",
    "core/v1/PersistentVolumeClaim",
    "core/v1/Pod",
    "core/v1/ReplicationController",
    "core/v1/Secret",
    "core/v1/Service",
    "batch/v1/Job",
    "batch/v1/CronJob",
    "networking.k8s.io/v1/Ingress",
    "apps/v1/DaemonSet",
    "apps/v1/Deployment",
    "apps/v1/ReplicaSet",
    "apps/v1/StatefulSet",
    "core/v1/Namespace",
    "core/v1/PersistentVolume",
];

/// The kinds that may be pruned.
pub(super) fn kinds(k: &Kubectl) -> Result<Vec<Arc<Resource>>> {
    let given = k.flags.list("prune-allowlist");
    let names: Vec<&str> = match given {
        [] => DEFAULT.to_vec(),
        given => given.iter().map(String::as_str).collect(),
    };
    names.into_iter().map(|name| kind(k, name)).collect()
}

fn kind(k: &Kubectl, name: &str) -> Result<Arc<Resource>> {
    let parts: Vec<&str> = name.split('/').collect();
    let [group, version, kind] = parts[..] else {
        return plain(format!(
            "invalid GroupVersionKind format: {name}, please follow <group/version/kind>"
        ));
    };
    let api_version = match group {
        "core" | "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    let found = k.cluster().resource_by_kind(&api_version, kind);
    found.ok_or_else(|| {
        Error::Plain(format!(
            "no matches for kind {kind:?} in version {api_version:?}"
        ))
    })
}

/// Deletes what is [`left_over`].
pub(super) fn prune(
    k: &mut Kubectl,
    kinds: &[Arc<Resource>],
    applied: &[Info],
    format: &Format,
) -> Result {
    if k.flags.list("prune-allowlist").is_empty() {
        k.log_warning("prune.go:71", "Deprecated: kubectl apply will no longer prune non-namespaced resources by default when used with the --namespace flag in a future release. To preserve the current behaviour, list the resources you want to target explicitly in the --prune-allowlist flag.");
    }
    for info in left_over(k, kinds, applied)? {
        let dry_run = k.dry_run()?;
        if dry_run != DryRun::Client {
            let options = DeleteOptions {
                dry_run: dry_run == DryRun::Server,
                ..DeleteOptions::default()
            };
            k.delete(&info.key(), &options)?;
        }
        k.report(format, &info, "pruned")?;
    }
    Ok(())
}

/// What was applied before, matches the selector and was not applied now.
pub(super) fn left_over(
    k: &mut Kubectl,
    kinds: &[Arc<Resource>],
    applied: &[Info],
) -> Result<Vec<Info>> {
    let namespaces: BTreeSet<_> = applied.iter().map(|i| i.namespace.clone()).collect();
    let kept: BTreeSet<_> = applied.iter().map(Info::key).collect();
    let selector = k.flags.str("selector").to_owned();
    let query = Query {
        selector: (!selector.is_empty()).then_some(selector),
        all_namespaces: true,
        ..Query::default()
    };
    let mut found = Vec::new();
    for resource in kinds {
        found.extend(k.list(resource, &query)?.into_iter().filter(|info| {
            let here = !resource.namespaced || namespaces.contains(&info.namespace);
            let was_applied = info.object.annotation(LAST_APPLIED).is_some();
            here && was_applied && !kept.contains(&info.key())
        }));
    }
    Ok(found)
}
