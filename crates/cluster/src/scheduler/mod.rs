//! kube-scheduler: which node each pod gets, and why.

use crate::cluster::{Change, Cluster};

/// The scheduler's queue.
#[derive(Clone, Debug, Default)]
pub struct Scheduler {}

/// Takes a change into account: a pod that waits, a node that has room.
pub(crate) fn observe(_cluster: &mut Cluster, _change: &Change) {}

/// Schedules the next pod.
pub(crate) fn run(_cluster: &mut Cluster) {}
