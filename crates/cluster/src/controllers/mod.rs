//! The controller manager: one file for each loop.
//!
//! A controller is a row in [`CONTROLLERS`]: its name, what it wants to hear of, and what it does
//! for one object. It reads the store as its informers would, writes through the API server, and
//! keeps no state of its own beside what it stores, but where the real one remembers something (when a
//! wait began, what an autoscaler saw last).

pub(crate) mod attach_detach;
mod certificate_signing;
mod clusterrole_aggregation;
mod cronjob;
mod daemonset;
mod deployment;
mod disruption;
mod endpoints;
mod endpointslice;
mod endpointslice_mirroring;
mod ephemeral_volume;
mod garbage_collector;
mod history;
mod horizontal;
pub(crate) mod ingress_status;
mod job;
mod job_failure_policy;
mod job_indexes;
mod namespace;
mod node_ipam;
mod node_lifecycle;
mod node_ttl;
pub(crate) mod persistent_volume;
mod pod_gc;
pub(crate) mod pods;
mod policy_status;
mod protection;
mod provisioner;
mod replicaset;
mod resource_claim;
mod resource_quota;
mod rollout;
mod rollout_status;
mod root_ca;
mod service_account;
mod service_account_token;
mod service_lb;
mod slices;
mod statefulset;
mod statefulset_claims;
mod taint_eviction;
mod template;
mod time_zone;
pub(crate) mod topology;

pub(crate) use horizontal::Memory as Autoscaled;
pub(crate) use taint_eviction::Evictions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::ObjectKey;
use kubarium_objects::status::Status;

use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::task::Task;

/// What a sync comes to. After an error it is tried again, later each time.
type Outcome = Result<(), Status>;

/// One control loop.
pub(crate) struct Controller {
    /// Its name, as in kube-controller-manager's `--controllers`.
    pub name: &'static str,
    /// Which objects to look at because of a change.
    pub observe: fn(&Cluster, &Change) -> Vec<ObjectKey>,
    /// How many objects a sync reads. Large ones wait a little longer for further changes, so that
    /// one sync takes them all, as it does in a real controller that is still busy with the last.
    pub size: fn(&Cluster, &ObjectKey) -> usize,
    /// Brings the actual state of one object nearer to the desired one.
    pub sync: fn(&mut Cluster, &Component, &ObjectKey) -> Outcome,
}

/// All loops, in the order in which they hear of a change.
pub(crate) static CONTROLLERS: &[Controller] = &[
    service_account::CONTROLLER,
    service_account_token::CONTROLLER,
    root_ca::CONTROLLER,
    namespace::CONTROLLER,
    node_ipam::CONTROLLER,
    node_lifecycle::CONTROLLER,
    node_ttl::CONTROLLER,
    taint_eviction::CONTROLLER,
    deployment::CONTROLLER,
    replicaset::CONTROLLER,
    replicaset::REPLICATION,
    statefulset::CONTROLLER,
    daemonset::CONTROLLER,
    job::CONTROLLER,
    cronjob::CONTROLLER,
    endpointslice::CONTROLLER,
    endpoints::CONTROLLER,
    endpointslice_mirroring::CONTROLLER,
    ephemeral_volume::CONTROLLER,
    resource_claim::CONTROLLER,
    attach_detach::CONTROLLER,
    attach_detach::external::CONTROLLER,
    persistent_volume::CONTROLLER,
    provisioner::CONTROLLER,
    protection::OF_CLAIMS,
    protection::OF_VOLUMES,
    resource_quota::CONTROLLER,
    horizontal::CONTROLLER,
    disruption::CONTROLLER,
    garbage_collector::CONTROLLER,
    pod_gc::CONTROLLER,
    clusterrole_aggregation::CONTROLLER,
    policy_status::CONTROLLER,
    certificate_signing::CONTROLLER,
    service_lb::CONTROLLER,
    ingress_status::CONTROLLER,
];

/// For controllers whose syncs read few objects.
fn small(_: &Cluster, _: &ObjectKey) -> usize {
    0
}

/// How often the syncs of objects have failed in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retries(Arc<BTreeMap<(&'static str, ObjectKey), u32>>);

/// The names of all loops.
pub fn controller_names() -> impl Iterator<Item = &'static str> {
    CONTROLLERS.iter().map(|controller| controller.name)
}

/// Tells the controllers of a change.
pub(crate) fn observe(cluster: &mut Cluster, change: &Change) {
    horizontal::observe(cluster, change);
    for controller in CONTROLLERS {
        for key in (controller.observe)(cluster, change) {
            enqueue(cluster, controller, key);
        }
    }
}

fn enqueue(cluster: &mut Cluster, controller: &Controller, key: ObjectKey) {
    let size = (controller.size)(cluster, &key) as u64;
    let delay = Duration::from_millis(cluster.config.timing.watch_ms + size / 20);
    cluster.enqueue(Task::Controller(controller.name, key), delay);
}

/// Carries out a controller's work item. One that fails is tried again after 5 ms, 10 ms, … up to
/// 1000 s, as by client-go's default rate limiter.
pub(crate) fn run(cluster: &mut Cluster, name: &'static str, key: &ObjectKey) {
    let Some(controller) = CONTROLLERS.iter().find(|c| c.name == name) else {
        return;
    };
    let outcome = (controller.sync)(cluster, &Component::Controller(name), key);
    let item = (name, key.clone());
    if outcome.is_ok() {
        if cluster.retries.0.contains_key(&item) {
            Arc::make_mut(&mut cluster.retries.0).remove(&item);
        }
        return;
    }
    let failures = Arc::make_mut(&mut cluster.retries.0)
        .entry(item)
        .or_default();
    *failures = failures.saturating_add(1);
    let delay = Duration::from_millis(5 << (*failures - 1).min(18)).min(Duration::from_secs(1000));
    cluster.enqueue(Task::Controller(name, key.clone()), delay);
}
