//! ResourceQuota: refuses what goes beyond a namespace's quotas, and counts what does not
//! (apiserver v0.37, `admission/plugin/resourcequota`; kubernetes v1.37,
//! `pkg/quota/v1/evaluator/core`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubarium_objects::schema::Resource;
use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, Value};

use crate::cluster::Cluster;
use crate::event::Component;
use crate::quota::{self, Amounts};

const QUOTAS: &str = "resourcequotas";

/// What every container must say where a quota counts it.
const COMPUTE: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];

/// What a write adds to a quota that counts it.
pub(super) struct Charge {
    quota: ObjectKey,
    amounts: Amounts,
}

/// A quota that was made a moment ago: its use is counted first.
pub(super) fn wait_for_count(cluster: &mut Cluster, namespace: &str) {
    let counted = |cluster: &Cluster| {
        let mut all = cluster.etcd.list(QUOTAS, Some(namespace));
        all.all(|(_, quota)| {
            let hard = quota["spec"]["hard"].entries();
            let used = &quota["status"]["used"];
            hard.iter().all(|(name, _)| used.get(name).is_some())
        })
    };
    if cluster.etcd.count(QUOTAS) > 0 && !counted(cluster) {
        cluster.run_while(Duration::from_secs(1), counted);
    }
}

/// Checks a write against the quotas of its namespace. Gives what is to be added to them.
pub(super) fn check(
    cluster: &Cluster,
    resource: &Resource,
    key: &ObjectKey,
    object: &Value,
    old: Option<&Value>,
) -> Result<Vec<Charge>, Status> {
    let handled = old.is_none() || matches!(&*key.resource, "services" | "persistentvolumeclaims");
    if key.namespace.is_empty() || !handled || cluster.etcd.count(QUOTAS) == 0 {
        return Ok(Vec::new());
    }
    let refuse = |why: String| Err(Status::forbidden(&resource.id(), &key.name, &why));
    let usage = quota::usage(key, object);
    let mut charges = Vec::new();
    for (at, found) in cluster.etcd.list(QUOTAS, Some(&key.namespace)) {
        let (name, hard) = (&at.name, read(&found["status"]["hard"]));
        if !quota::counts(found, &key.resource) || !quota::in_scope(found, key, object) {
            continue;
        }
        if &*key.resource == "pods" {
            let missing = missing(object, &hard);
            if !missing.is_empty() {
                return refuse(format!("failed quota: {name}: must specify {missing}"));
            }
        }
        let before = old
            .filter(|old| quota::in_scope(found, key, old))
            .map(|old| quota::usage(key, old))
            .unwrap_or_default();
        let added: Amounts = usage
            .iter()
            .filter(|(name, _)| hard.contains_key(*name))
            .map(|(name, amount)| {
                let more = before.get(name).map_or(*amount, |b| amount.minus(b));
                (name.clone(), more)
            })
            .filter(|(_, more)| more.sign() > 0)
            .collect();
        let used = read(&found["status"]["used"]);
        let exceeded: BTreeSet<_> = added
            .iter()
            .filter(|(name, more)| {
                let sum = used.get(*name).map_or(**more, |u| u.plus(more));
                hard.get(*name).is_some_and(|h| sum.minus(h).sign() > 0)
            })
            .map(|(name, _)| name.clone())
            .collect();
        if !exceeded.is_empty() {
            let of = |amounts: &Amounts| {
                let all = amounts.iter().filter(|(name, _)| exceeded.contains(*name));
                let all: Vec<String> = all.map(|(name, q)| format!("{name}={q}")).collect();
                all.join(",")
            };
            return refuse(format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                of(&added),
                of(&used),
                of(&hard)
            ));
        }
        if !added.is_empty() {
            charges.push(Charge {
                quota: at.clone(),
                amounts: added,
            });
        }
    }
    Ok(charges)
}

fn read(list: &Value) -> Amounts {
    let all = list.entries().iter();
    all.filter_map(|(name, amount)| Some((name.clone(), amount.str().parse().ok()?)))
        .collect()
}

/// `limits.cpu for: a,b; memory for: a`: what containers must say and do not.
fn missing(pod: &Value, hard: &Amounts) -> String {
    if !pod["spec"]["resources"].is_empty() {
        return String::new();
    }
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for list in ["containers", "initContainers"] {
        for container in pod["spec"][list].items() {
            for wanted in COMPUTE.iter().filter(|w| hard.contains_key(**w)) {
                let (of, name) = match wanted.split_once('.') {
                    Some(split) => split,
                    None => ("requests", *wanted),
                };
                if container["resources"][of].get(name).is_none() {
                    let names = missing.entry(wanted).or_default();
                    names.insert(container["name"].str());
                }
            }
        }
    }
    let parts: Vec<String> = missing
        .into_iter()
        .map(|(wanted, names)| {
            let names: Vec<&str> = names.into_iter().collect();
            format!("{wanted} for: {}", names.join(","))
        })
        .collect();
    parts.join("; ")
}

/// Adds to the quotas what has been admitted.
pub(super) fn charge(cluster: &mut Cluster, charges: Vec<Charge>) {
    for charge in charges {
        let Some(mut quota) = cluster.etcd.get(&charge.quota).cloned() else {
            continue;
        };
        for (name, amount) in &charge.amounts {
            let used = &mut quota["status"]["used"][&**name];
            let sum = used
                .str()
                .parse()
                .map_or(*amount, |u: kubarium_objects::Quantity| u.plus(amount));
            *used = sum.to_string().into();
        }
        // The controller counts again what could not be written.
        let _ = cluster.update_status(&Component::ApiServer, quota);
    }
}
