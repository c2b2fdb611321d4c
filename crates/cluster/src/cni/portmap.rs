//! The `portmap` plugin: a container's hostPort, by chains of its own in the node's nat table
//! (containernetworking/plugins v1.x, `plugins/meta/portmap`).

use kubarium_objects::{ObjectKey, Text, Value};

use crate::cluster::Cluster;

/// ADD: the pod's host ports lead to it.
pub(crate) fn add(
    _cluster: &mut Cluster,
    _node: &Text,
    _pod: &ObjectKey,
    _uid: &Text,
    _object: &Value,
) {
}

/// DEL: they lead nowhere again.
pub(crate) fn del(_cluster: &mut Cluster, _node: &Text, _uid: &Text) {}
