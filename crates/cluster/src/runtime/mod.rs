//! The container runtime of each node (containerd): images, sandboxes, containers.

/// What a node's runtime holds.
#[derive(Clone, Debug, Default)]
pub struct Runtime {}
