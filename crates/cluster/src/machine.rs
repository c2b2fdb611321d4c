//! A machine of the cluster: what runs on it beside its network.

use kubarium_linux::NamespaceId;
use kubarium_objects::Text;

use crate::kube_proxy::KubeProxy;
use crate::kubelet::Kubelet;
use crate::runtime::Runtime;

/// A node's machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The node's name.
    pub name: Text,
    /// Its own network namespace.
    pub netns: NamespaceId,
    /// What the kubelet knows.
    pub kubelet: Kubelet,
    /// What the container runtime holds: images, sandboxes, containers.
    pub runtime: Runtime,
    /// What kube-proxy has synced.
    pub kube_proxy: KubeProxy,
}
