//! kube-proxy: turns Services and EndpointSlices into a node's rules.

use kubarium_objects::Text;

use crate::cluster::{Change, Cluster};

/// What a node's kube-proxy has synced.
#[derive(Clone, Debug, Default)]
pub struct KubeProxy {}

/// Takes a change into account.
pub(crate) fn observe(_cluster: &mut Cluster, _change: &Change) {}

/// Syncs the node's rules.
pub(crate) fn run(_cluster: &mut Cluster, _node: &Text) {}
