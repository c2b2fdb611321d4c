//! NetworkPolicy as kube-router enforces it, which k3s has in it: chains and address sets in every
//! node's filter table.
//!
//! A policy is read (`policy`) into who may reach whom; that becomes a chain and its sets, which
//! all nodes share; a node has a chain of its own for each of its pods (`chains`). What is written
//! is made when a packet walks there or somebody looks, of the objects as they are then.
//!
//! Left out of what kube-router writes: the rules that log what is refused (`-j NFLOG`).
//!
//! Source: kube-router v2, `pkg/controllers/netpol`.

mod chains;
mod policy;
mod reach;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::Text;

use crate::cluster::{Change, Cluster};
use crate::config;
use crate::machine::Machine;
use crate::time::Time;

pub(crate) use chains::Plan;
pub use reach::{REACH_MOST, Reach};

/// All is written anew this often (`--iptables-sync-period`): what hands have changed is mended then.
const SYNC_PERIOD: Duration = Duration::from_secs(300);

/// What the policy engines of all nodes know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engine {
    /// Rises with every change of a pod, a namespace or a policy.
    version: u64,
    plan: Option<(u64, Arc<Plan>)>,
}

/// Takes note of a write.
pub(crate) fn observe(cluster: &mut Cluster, change: &Change) {
    if cluster.config.network.policy != config::Policy::KubeRouter {
        return;
    }
    let matters = match &*change.key.resource {
        "pods" => {
            let paths: [&[&str]; 4] = [
                &["status", "podIP"],
                &["status", "phase"],
                &["metadata", "labels"],
                &["spec", "nodeName"],
            ];
            paths.iter().any(|path| change.differs(path))
        }
        "namespaces" => change.differs(&["metadata", "labels"]),
        "networkpolicies.networking.k8s.io" => true,
        _ => false,
    };
    if matters {
        cluster.policies.version += 1;
    }
}

/// Has something changed since a node was written, or is it so long ago that its engine looks after
/// it in any case?
fn was_written_before(machine: &Machine, version: u64, now: Time) -> bool {
    machine
        .policies
        .is_none_or(|(written, at)| written != version || now >= at + SYNC_PERIOD)
}

/// Whether a node's chains and sets are to be written.
pub(crate) fn is_behind(cluster: &Cluster, machine: &Machine) -> bool {
    cluster.config.network.policy == config::Policy::KubeRouter
        && was_written_before(machine, cluster.policies.version, cluster.now)
}

/// Writes a node's chains and sets, if anything has changed since they were written.
pub(crate) fn bring_up_to_date(cluster: &mut Cluster, node: &str) {
    if cluster.config.network.policy != config::Policy::KubeRouter {
        return;
    }
    let version = cluster.policies.version;
    let Some(machine) = cluster.machines.get(node) else {
        return;
    };
    if !was_written_before(machine, version, cluster.now) {
        return;
    }
    let netns = machine.netns;
    let plan = match &cluster.policies.plan {
        Some((made, plan)) if *made == version => plan.clone(),
        _ => {
            let plan = Arc::new(Plan::new(cluster));
            cluster.policies.plan = Some((version, plan.clone()));
            plan
        }
    };
    if let Some(namespace) = cluster.net.namespace_mut(netns) {
        plan.write(node, &mut namespace.netfilter);
    }
    let now = cluster.now;
    if let Some(machine) = cluster.machine_mut(node) {
        machine.policies = Some((version, now));
    }
}

/// The same for every node.
pub(crate) fn bring_all_up_to_date(cluster: &mut Cluster) {
    if cluster.config.network.policy != config::Policy::KubeRouter {
        return;
    }
    let version = cluster.policies.version;
    let now = cluster.now;
    let behind = cluster.machines.values();
    let behind = behind.filter(|machine| was_written_before(machine, version, now));
    let names: Vec<Text> = behind.map(|machine| machine.name.clone()).collect();
    for name in names {
        bring_up_to_date(cluster, &name);
    }
}

/// Why a packet was refused, if a pod's chain refused it: which policies select the pod, none of
/// which lets it through.
pub(crate) fn refusal(cluster: &Cluster, hop: &kubarium_linux::Hop) -> Option<String> {
    let (_, plan) = cluster.policies.plan.as_ref()?;
    plan.refusal(hop.chain.as_deref()?, hop.packet.headers.ip.dst)
}
