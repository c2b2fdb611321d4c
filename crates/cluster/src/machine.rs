//! A machine of the cluster: what runs on it beside its network.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use kubarium_linux::{LinkId, NamespaceId, SegmentId};
use kubarium_objects::{Text, Value};
use kubarium_posix::MemoryFiles;

use crate::config::NodeConfig;
use crate::kube_proxy::KubeProxy;
use crate::kubelet::Kubelet;
use crate::runtime::Runtime;
use crate::runtime::environment::ServiceVariables;

/// A node's machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The node's name.
    pub name: Text,
    /// Its number: the place in which it joined. Never used twice.
    pub number: u32,
    /// As it was configured.
    pub config: NodeConfig,
    /// Its own network namespace.
    pub netns: NamespaceId,
    /// Its network card.
    pub eth0: LinkId,
    /// Its address on the machines' segment.
    pub address: Ipv4Addr,
    /// The same as pods' statuses tell it.
    pub(crate) host_ips: Value,
    /// Its pods' network, once the controller manager has given it one and flannel has set it up.
    pub pod_net: Option<Ipv4Net>,
    /// The overlay's device, `flannel.1`, where the overlay has one.
    pub overlay: Option<LinkId>,
    /// The pods' bridge, `cbr0`, once a pod has needed it.
    pub bridge: Option<LinkId>,
    /// What the kubelet knows.
    pub kubelet: Kubelet,
    /// What the container runtime holds: images, sandboxes, containers.
    pub runtime: Runtime,
    /// What kube-proxy has synced.
    pub kube_proxy: KubeProxy,
    /// Of which state of the policies its policy engine's rules are, and when they were written.
    pub(crate) policies: Option<(u64, crate::time::Time)>,
}

/// What the machines share.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// The segment that all are plugged into.
    pub segment: Option<SegmentId>,
    /// The host outside the cluster.
    pub outside: Option<NamespaceId>,
    /// The machines' names by their number, with those that are gone.
    pub machines: Vec<Text>,
    /// What is on disks that outlive pods: directories of machines, and volumes.
    pub(crate) disks: BTreeMap<Text, Arc<MemoryFiles>>,
    /// Which machine has an address on the segment.
    pub(crate) addresses: BTreeMap<Ipv4Addr, Text>,
    /// Which machine's pods have the addresses from there on.
    pub(crate) pod_nets: BTreeMap<Ipv4Addr, Text>,
    /// What containers are told of Services.
    pub(crate) services: ServiceVariables,
}

/// Servers that belong to a machine rather than to a pod, by their sockets' tokens. Containers'
/// tokens are larger, see [`Token`].
pub(crate) mod daemon {
    /// The registry on the host outside.
    pub const REGISTRY: u64 = 1;
    /// The API server.
    pub const API_SERVER: u64 = 2;
    /// The kubelet.
    pub const KUBELET: u64 = 3;
    /// The kubelet's own health, on the loopback address.
    pub const KUBELET_HEALTH: u64 = 4;
    /// kube-proxy's own health and metrics.
    pub const KUBE_PROXY: u64 = 5;
    /// kube-proxy's answers on health check node ports: this and the port.
    const SERVICE_HEALTH: u64 = 1 << 16;

    /// The program that a token stands for.
    pub fn name(token: u64) -> Option<&'static str> {
        Some(match token {
            REGISTRY => "registry",
            API_SERVER => "kube-apiserver",
            KUBELET | KUBELET_HEALTH => "kubelet",
            KUBE_PROXY => "kube-proxy",
            other => {
                service_health_port(other)?;
                "kube-proxy"
            }
        })
    }

    /// The token of a health check node port.
    pub fn service_health(port: u16) -> u64 {
        SERVICE_HEALTH + u64::from(port)
    }

    /// The health check node port that a token stands for.
    pub fn service_health_port(token: u64) -> Option<u16> {
        token.checked_sub(SERVICE_HEALTH)?.try_into().ok()
    }
}

/// What a container's listening socket is called by: the machine's number and the container's
/// number on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// [`Machine::number`]
    pub machine: u32,
    /// The container's number in its runtime.
    pub container: u32,
}

impl Token {
    /// As a number.
    pub fn number(self) -> u64 {
        u64::from(self.machine + 1) << 32 | u64::from(self.container)
    }

    /// From the number; `None` for a daemon's.
    pub fn of(number: u64) -> Option<Token> {
        let machine = u32::try_from(number >> 32).ok()?.checked_sub(1)?;
        Some(Token {
            machine,
            container: number as u32,
        })
    }
}
