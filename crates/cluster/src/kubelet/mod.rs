//! The kubelet of each node: makes pods run, and tells the API server how they do.

use kubarium_objects::Text;

use crate::cluster::{Change, Cluster};

/// What a kubelet knows.
#[derive(Clone, Debug, Default)]
pub struct Kubelet {}

/// What a kubelet has to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Renew the node's lease.
    Lease,
}

impl Work {
    /// Whether this goes on for ever, even where nothing changes.
    pub fn is_heartbeat(&self) -> bool {
        matches!(self, Work::Lease)
    }
}

/// Takes a change into account.
pub(crate) fn observe(_cluster: &mut Cluster, _change: &Change) {}

/// Does a piece of work.
pub(crate) fn run(_cluster: &mut Cluster, _node: &Text, _work: Work) {}
