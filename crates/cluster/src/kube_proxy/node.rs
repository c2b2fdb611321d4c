//! What kube-proxy knows of the node that it runs on.
//!
//! Source: `pkg/proxy/util/localdetector.go`, `nodeport_addresses.go` and `utils.go`, Kubernetes
//! v1.37.

use std::net::IpAddr;

use ipnet::IpNet;
use kubarium_objects::{Text, Value};

use super::address::{Family, parse_cidr, parse_ip};
use super::config::{Config, DetectLocalMode};
use super::endpoints::Topology;
use crate::iptables::Builder;

const ZONE: &str = "topology.kubernetes.io/zone";

/// A node, as far as rules depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeInfo {
    /// Name and zone, which choose among endpoints.
    pub topology: Topology,
    /// The node's own addresses, at most one a family.
    pub node_ips: Vec<IpAddr>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNet>,
    /// Every address of every interface in the node's network namespace.
    pub interface_addresses: Vec<IpAddr>,
    /// Whether the kernel has nfacct (netfilter accounting) objects.
    pub nfacct: bool,
    /// Whether iptables knows `--random-fully` (1.6.2 and later).
    pub random_fully: bool,
}

impl NodeInfo {
    /// From a Node object: its first InternalIP (else ExternalIP) of each family, labels and pod
    /// CIDRs. The interface addresses are loopback's, the node's and the first of each pod CIDR,
    /// the bridge's; the caller who knows better replaces them.
    pub fn from_object(node: &Value) -> NodeInfo {
        let addresses = node["status"]["addresses"].items();
        let mut node_ips: Vec<IpAddr> = Vec::new();
        for kind in ["InternalIP", "ExternalIP"] {
            for address in addresses.iter().filter(|a| a["type"].str() == kind) {
                let ip = parse_ip(address["address"].str());
                node_ips.extend(
                    ip.filter(|ip| !node_ips.iter().any(|old| old.is_ipv4() == ip.is_ipv4())),
                );
            }
        }
        let many = node["spec"]["podCIDRs"].items();
        let one = std::slice::from_ref(&node["spec"]["podCIDR"]);
        let pod_cidrs: Vec<IpNet> = if many.is_empty() { one } else { many }
            .iter()
            .filter_map(|cidr| parse_cidr(cidr.str()))
            .collect();
        let mut interface_addresses = vec![
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]),
        ];
        interface_addresses.extend(&node_ips);
        interface_addresses.extend(pod_cidrs.iter().filter_map(|cidr| cidr.hosts().next()));
        NodeInfo {
            topology: Topology {
                node_name: node["metadata"]["name"].text(),
                zone: node["metadata"]["labels"][ZONE].text(),
            },
            node_ips,
            pod_cidrs,
            interface_addresses,
            nfacct: true,
            random_fully: true,
        }
    }

    /// Whether it is the same node in the same place: otherwise kube-proxy writes everything anew.
    pub(crate) fn is_same_node(&self, other: &NodeInfo) -> bool {
        let place = |node: &NodeInfo| {
            (
                node.topology.clone(),
                node.node_ips.clone(),
                node.pod_cidrs.clone(),
            )
        };
        place(self) == place(other)
    }

    /// The node's own address of a family; the loopback address where it has none.
    pub fn node_ip(&self, family: Family) -> IpAddr {
        let mut ips = self.node_ips.iter().copied();
        ips.find(|ip| Family::of(*ip) == family)
            .unwrap_or(match family {
                Family::Ipv4 => IpAddr::from([127, 0, 0, 1]),
                Family::Ipv6 => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]),
            })
    }
}

/// How rules tell local pods' traffic, on one node and for one family.
#[derive(Clone, Debug, PartialEq)]
pub enum LocalDetector {
    /// They cannot.
    None,
    /// By its source.
    Source(IpNet),
    /// By the incoming interface: its name, or the beginning of it.
    Interface {
        /// The name.
        name: Text,
        /// Whether it is only the beginning.
        prefix: bool,
    },
}

impl LocalDetector {
    /// The detector that a configuration means on a node.
    pub fn new(config: &Config, node: &NodeInfo, family: Family) -> LocalDetector {
        let source = |cidr: Option<IpNet>| cidr.map_or(LocalDetector::None, LocalDetector::Source);
        match config.detect_local_mode {
            DetectLocalMode::ClusterCidr => source(config.cluster_cidr(family)),
            DetectLocalMode::NodeCidr => {
                let mut cidrs = node.pod_cidrs.iter().copied();
                source(cidrs.find(|cidr| Family::of(cidr.addr()) == family))
            }
            DetectLocalMode::BridgeInterface => LocalDetector::Interface {
                name: config.pod_bridge_interface.clone(),
                prefix: false,
            },
            DetectLocalMode::InterfaceNamePrefix => LocalDetector::Interface {
                name: config.pod_interface_name_prefix.clone(),
                prefix: true,
            },
        }
    }

    /// Adds the condition that traffic comes from a local pod; `None` where rules cannot tell.
    pub(crate) fn if_local(&self, rule: Builder) -> Option<Builder> {
        match self {
            LocalDetector::None => None,
            LocalDetector::Source(net) => Some(rule.from(*net)),
            LocalDetector::Interface { name, prefix } => Some(rule.interface(name, *prefix, false)),
        }
    }

    /// Adds the condition that traffic does not come from a local pod; `None` where rules cannot
    /// tell.
    pub(crate) fn if_not_local(&self, rule: Builder) -> Option<Builder> {
        match self {
            LocalDetector::None => None,
            LocalDetector::Source(net) => Some(rule.not_from(*net)),
            LocalDetector::Interface { name, prefix } => Some(rule.interface(name, *prefix, true)),
        }
    }
}

/// On which of a node's addresses node ports answer, for one family.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodePortAddresses {
    cidrs: Vec<IpNet>,
}

impl NodePortAddresses {
    pub(crate) fn new(config: &Config, node: &NodeInfo, family: Family) -> NodePortAddresses {
        let cidrs: Vec<IpNet> = if config.node_port_primary {
            vec![Family::host(node.node_ip(family))]
        } else {
            config.node_port_addresses.clone()
        };
        NodePortAddresses::of(cidrs, family)
    }

    fn of(mut cidrs: Vec<IpNet>, family: Family) -> NodePortAddresses {
        cidrs.retain(|cidr| Family::of(cidr.addr()) == family);
        if cidrs.is_empty() {
            cidrs.push(family.everything());
        }
        NodePortAddresses { cidrs }
    }

    /// In the nftables mode they are the node's own address if nothing is said.
    pub(crate) fn for_nftables(
        config: &Config,
        node: &NodeInfo,
        family: Family,
    ) -> NodePortAddresses {
        if config.node_port_primary || config.node_port_addresses.is_empty() {
            return NodePortAddresses::of(vec![Family::host(node.node_ip(family))], family);
        }
        NodePortAddresses::of(config.node_port_addresses.clone(), family)
    }

    /// Whether every address is meant.
    pub(crate) fn match_all(&self) -> bool {
        self.cidrs.iter().any(|cidr| cidr.prefix_len() == 0)
    }

    /// Whether an IPv4 loopback address is among them.
    pub(crate) fn contains_ipv4_loopback(&self) -> bool {
        let localhost = IpAddr::from([127, 0, 0, 1]);
        self.cidrs.iter().any(|cidr| {
            cidr.addr().is_ipv4() && (cidr.addr().is_loopback() || cidr.contains(&localhost))
        })
    }

    /// The node's interface addresses among them, each once, ascending.
    pub(crate) fn of_node(&self, node: &NodeInfo) -> Vec<IpAddr> {
        let mut ips = node.interface_addresses.clone();
        ips.retain(|ip| self.cidrs.iter().any(|cidr| cidr.contains(ip)));
        ips.sort_unstable();
        ips.dedup();
        ips
    }
}
