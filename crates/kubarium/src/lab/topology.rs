//! The format of a topology file.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Deserialize;

/// A network made by hand. What it leaves out is absent from the network.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Topology {
    /// kube-proxy's mode: `iptables` or `nftables`.
    pub mode: Option<String>,
    /// Addresses of all pods.
    #[serde(rename = "clusterCIDR")]
    pub cluster_cidr: Option<Ipv4Net>,
    /// Addresses of all Services, which the nftables mode knows.
    #[serde(rename = "serviceCIDR")]
    pub service_cidr: Option<Ipv4Net>,
    /// The network that nodes and the host outside are on.
    pub network: Segment,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The pods.
    pub pods: Vec<Pod>,
    /// The host outside.
    pub outside: Option<Outside>,
    /// kube-proxy's flags; the word NODE in them stands for the node's name.
    pub kube_proxy_flags: Vec<String>,
}

/// The nodes' network.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Segment {
    /// Its addresses.
    pub cidr: Ipv4Net,
    /// Its MTU.
    pub mtu: u32,
    /// The default gateway, on which the API server listens too.
    pub gateway: Option<Gateway>,
}

impl Default for Segment {
    fn default() -> Self {
        Segment {
            cidr: Ipv4Net::new_assert(Ipv4Addr::new(172, 18, 0, 0), 24),
            mtu: 1500,
            gateway: None,
        }
    }
}

/// The default gateway.
#[derive(Debug, Deserialize)]
pub struct Gateway {
    /// Its address.
    pub ip: Ipv4Addr,
    /// Whether it forwards.
    #[serde(default)]
    pub ip_forward: u8,
}

/// A node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its address on the nodes' network.
    pub ip: Ipv4Addr,
    /// Its pods' addresses.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<Ipv4Net>,
    /// The bridge of its pods.
    pub bridge: Option<Bridge>,
    /// Its tunnel to other nodes; without one, routes lead to them by their own addresses.
    pub vxlan: Option<Vxlan>,
    /// Kernel parameters.
    #[serde(default)]
    pub sysctls: BTreeMap<String, serde_yaml::Value>,
    /// Whether flannel's own rules are there.
    #[serde(default)]
    pub flannel_rules: bool,
    /// Run by hand after kube-proxy's sync.
    #[serde(default)]
    pub commands: Vec<String>,
    /// Processes that listen on the node itself.
    #[serde(default)]
    pub servers: Vec<Server>,
}

/// The bridge of a node's pods.
#[derive(Debug, Deserialize)]
pub struct Bridge {
    /// `cbr0`
    pub name: String,
    /// Its address.
    pub ip: Ipv4Net,
    /// Its MTU.
    #[serde(default = "ethernet")]
    pub mtu: u32,
    /// Hairpin mode of its ports.
    #[serde(default)]
    pub hairpin: bool,
}

/// A node's VXLAN device.
#[derive(Debug, Deserialize)]
pub struct Vxlan {
    /// `flannel.1`
    pub device: String,
    /// Virtual network identifier.
    pub vni: u32,
    /// UDP port.
    pub port: u16,
    /// Source of outer packets.
    pub local: Ipv4Addr,
    /// The device's Ethernet address.
    pub mac: String,
    /// Its address.
    pub address: Ipv4Net,
    /// Its MTU.
    pub mtu: u32,
    /// Whether it learns from what it receives.
    #[serde(default)]
    pub learning: bool,
}

/// A pod.
#[derive(Debug, Deserialize)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its node.
    pub node: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its device's MTU.
    #[serde(default = "ethernet")]
    pub mtu: u32,
    /// Ports on which it serves TCP and UDP.
    #[serde(default)]
    pub ports: Vec<u16>,
}

/// The host outside.
#[derive(Debug, Deserialize)]
pub struct Outside {
    /// Its name as a server.
    pub name: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its routes beside the default one.
    #[serde(default)]
    pub routes: Vec<Via>,
    /// What listens there.
    #[serde(default)]
    pub servers: Vec<Server>,
}

/// A route.
#[derive(Debug, Deserialize)]
pub struct Via {
    /// Where to.
    pub to: Ipv4Net,
    /// By whom.
    pub via: Ipv4Addr,
}

/// A process that listens on all addresses, on TCP and UDP.
#[derive(Debug, Deserialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its ports.
    pub ports: Vec<u16>,
}

fn ethernet() -> u32 {
    1500
}

impl Topology {
    /// Reads a topology.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(text: &str) -> Result<Topology, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }
}
