//! A cluster's configuration: the file that `--cluster` names.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kubarium_objects::{Text, Value};
use serde::{Deserialize, Serialize};

/// How a cluster is set up: its machines, its networks, its components' settings.
///
/// In YAML, as a document `apiVersion: kubarium/v1alpha1`, `kind: Cluster`. Objects that the
/// cluster starts with follow as further documents.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// `kubarium/v1alpha1`
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// `Cluster`
    pub kind: String,
    /// The machines, in the order in which they join.
    pub nodes: Vec<NodeConfig>,
    /// Addresses and the CNI.
    pub network: NetworkConfig,
    /// kube-proxy's settings.
    pub kube_proxy: KubeProxyConfig,
    /// Which images can be pulled.
    pub images: ImagesConfig,
    /// Who makes volumes.
    pub storage: StorageConfig,
    /// What a cloud gives the cluster.
    pub cloud: CloudConfig,
    /// Whether there is a metrics server.
    pub metrics: bool,
    /// How long things take.
    pub timing: Timing,
    /// Whether CoreDNS is installed.
    pub dns: bool,
    /// The seed of every random choice.
    pub seed: u64,
    /// Objects applied once the cluster is up.
    #[serde(skip)]
    pub objects: Vec<Value>,
}

/// One machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeConfig {
    /// The node's name.
    pub name: Text,
    /// What it is for.
    #[serde(default)]
    pub role: Role,
    /// Its address on the machines' segment; by default the next free one.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// Labels beside those that every node has.
    #[serde(default)]
    pub labels: std::collections::BTreeMap<Text, Text>,
    /// `key=value:Effect`.
    #[serde(default)]
    pub taints: Vec<Text>,
    /// Processors, as a quantity.
    #[serde(default = "NodeConfig::cpu")]
    pub cpu: Text,
    /// Memory, as a quantity.
    #[serde(default = "NodeConfig::memory")]
    pub memory: Text,
    /// How many pods it takes.
    #[serde(default = "NodeConfig::pods")]
    pub pods: u32,
}

/// What a machine is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the control plane, tainted as kubeadm does.
    ControlPlane,
    /// Runs pods.
    #[default]
    Worker,
}

/// Addresses and the CNI.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// How pods of different nodes reach each other.
    pub cni: Cni,
    /// Who enforces NetworkPolicy: `none`, or `kube-router`.
    pub policy: Policy,
    /// All pods' addresses; each node has a /24 of it.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Ipv4Net,
    /// All Services' addresses.
    #[serde(rename = "serviceCIDR")]
    pub service_cidr: Ipv4Net,
    /// The segment on which the machines are.
    #[serde(rename = "nodeCIDR")]
    pub node_cidr: Ipv4Net,
    /// The DNS domain.
    pub domain: Text,
}

/// How pods of different nodes reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cni {
    /// The bridge plugin on every node, and flannel's VXLAN between them.
    #[default]
    FlannelVxlan,
    /// The bridge plugin on every node, and flannel's routes between them.
    FlannelHostGw,
}

/// Who enforces NetworkPolicy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nobody, as with plain flannel.
    #[default]
    None,
    /// kube-router's chains on every node.
    KubeRouter,
}

/// kube-proxy's settings.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeProxyConfig {
    /// How it writes rules.
    pub mode: ProxyMode,
    /// Its own flags, as on its command line: `--masquerade-all`.
    pub flags: Vec<Text>,
}

/// How kube-proxy writes rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// iptables.
    #[default]
    Iptables,
    /// nftables.
    Nftables,
    /// IPVS.
    Ipvs,
}

/// Which images can be pulled.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ImagesConfig {
    /// What becomes of an image that the catalogue does not know.
    pub unknown: UnknownImage,
    /// The registry's whole content, where it is to be given.
    pub known: Option<Vec<Text>>,
    /// What runs under the usual servers' names; by default the real ones where unknown images run
    /// too, and otherwise, as in a test registry, a small one that tells who asks.
    pub servers: Option<Servers>,
}

/// What runs under the usual servers' names (nginx, httpd, redis).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Servers {
    /// Themselves: nginx welcomes.
    #[default]
    Real,
    /// A small server on BusyBox that answers `HOSTNAME client=IP:PORT local=IP:PORT`.
    Echo,
}

impl ImagesConfig {
    /// What runs under the usual servers' names.
    pub fn servers(&self) -> Servers {
        self.servers.unwrap_or(match self.unknown {
            UnknownImage::Run => Servers::Real,
            UnknownImage::Fail => Servers::Echo,
        })
    }
}

/// What becomes of an image that the catalogue does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownImage {
    /// It is pulled, and listens on the container's declared ports.
    #[default]
    Run,
    /// It cannot be pulled.
    Fail,
}

/// What a cloud gives the cluster; by default there is none, as on machines of one's own.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CloudConfig {
    /// The addresses of which Services of type LoadBalancer get one each; without it they wait.
    pub load_balancers: Option<Ipv4Net>,
}

/// Who makes volumes for claims.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StorageConfig {
    /// The provisioner that runs, by the name that StorageClasses call it: `rancher.io/local-path`.
    /// Without one, volumes are made by hand.
    pub provisioner: Option<Text>,
    /// The name of the default StorageClass that the cluster starts with, of that provisioner.
    pub default_class: Option<Text>,
    /// How long making a volume takes, in milliseconds.
    pub provision_ms: u64,
    /// The CSI drivers that are installed on every node, by their names: they attach volumes that are made
    /// by hand. Volumes of other drivers cannot be attached.
    pub csi: Vec<Text>,
    /// How long such a driver takes to attach or detach a volume, in milliseconds.
    pub attach_ms: u64,
}

impl Default for StorageConfig {
    fn default() -> StorageConfig {
        StorageConfig {
            provisioner: None,
            default_class: None,
            provision_ms: 2500,
            csi: Vec::new(),
            attach_ms: 2000,
        }
    }
}

/// How long things take, in milliseconds: those of a quiet real cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timing {
    /// From a write until a watcher acts on it.
    pub watch_ms: u64,
    /// A scheduling decision.
    pub schedule_ms: u64,
    /// Making a pod's sandbox, without the CNI.
    pub sandbox_ms: u64,
    /// A CNI ADD.
    pub cni_ms: u64,
    /// Pulling an image that the node lacks.
    pub pull_ms: u64,
    /// Creating and starting a container.
    pub container_ms: u64,
    /// Stopping a pod's sandbox, with the CNI's DEL.
    pub sandbox_stop_ms: u64,
    /// Unmounting a pod's volumes: the kubelet looks for it that often (`podAttachAndMountRetryInterval`).
    pub unmount_ms: u64,
    /// How often the kubelet looks at its containers (PLEG relist).
    pub relist_ms: u64,
    /// How often a kubelet renews its lease.
    pub lease_ms: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            watch_ms: 2,
            schedule_ms: 5,
            sandbox_ms: 150,
            cni_ms: 60,
            pull_ms: 900,
            container_ms: 80,
            sandbox_stop_ms: 60,
            unmount_ms: 300,
            relist_ms: 1000,
            lease_ms: 10_000,
        }
    }
}

impl NodeConfig {
    /// A machine with a name, and otherwise as usual.
    pub fn new(name: &str, role: Role) -> NodeConfig {
        NodeConfig {
            name: name.into(),
            role,
            address: None,
            labels: Default::default(),
            taints: Vec::new(),
            cpu: NodeConfig::cpu(),
            memory: NodeConfig::memory(),
            pods: NodeConfig::pods(),
        }
    }

    fn cpu() -> Text {
        "4".into()
    }
    fn memory() -> Text {
        "8Gi".into()
    }
    fn pods() -> u32 {
        110
    }
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        let net = |a, b, length| Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), length);
        NetworkConfig {
            cni: Cni::default(),
            policy: Policy::default(),
            pod_cidr: net(10, 42, 16),
            service_cidr: net(10, 43, 16),
            node_cidr: net(172, 18, 24),
            domain: "cluster.local".into(),
        }
    }
}

/// The default cluster: a control plane and two workers.
impl Default for Config {
    fn default() -> Config {
        Config {
            api_version: API_VERSION.to_owned(),
            kind: "Cluster".to_owned(),
            nodes: Config::machines(2),
            network: NetworkConfig::default(),
            kube_proxy: KubeProxyConfig::default(),
            images: ImagesConfig::default(),
            storage: StorageConfig::default(),
            cloud: CloudConfig::default(),
            metrics: false,
            timing: Timing::default(),
            dns: true,
            seed: 1,
            objects: Vec::new(),
        }
    }
}

const API_VERSION: &str = "kubarium/v1alpha1";

impl Config {
    /// No nodes, and no objects but those that the API server and the controller manager make.
    pub fn empty() -> Config {
        Config {
            nodes: Vec::new(),
            dns: false,
            ..Config::default()
        }
    }

    /// The same with networks that have room for all machines: where the usual ones are too small
    /// and nobody chose them, larger ones take their place, as large clusters are set up with.
    pub(crate) fn with_room(mut self) -> Config {
        let usual = NetworkConfig::default();
        let network = &mut self.network;
        let nodes = self.nodes.len() as u64;
        let room =
            |net: Ipv4Net, length: u8| 1_u64 << length.saturating_sub(net.prefix_len()).min(32);
        if network.node_cidr == usual.node_cidr && nodes + 3 > room(network.node_cidr, 32) {
            network.node_cidr = Ipv4Net::new_assert(Ipv4Addr::new(172, 18, 0, 0), 16);
        }
        if network.pod_cidr == usual.pod_cidr && nodes > room(network.pod_cidr, 24) {
            network.pod_cidr = Ipv4Net::new_assert(Ipv4Addr::new(10, 128, 0, 0), 9);
        }
        self
    }

    /// A control plane and `workers` workers: `control-plane`, `worker-1`, …
    pub fn machines(workers: usize) -> Vec<NodeConfig> {
        let worker = |n| NodeConfig::new(&format!("worker-{n}"), Role::Worker);
        std::iter::once(NodeConfig::new("control-plane", Role::ControlPlane))
            .chain((1..=workers).map(worker))
            .collect()
    }

    /// Reads a cluster file: a Cluster document, and the objects that it starts with in further
    /// documents, in any order. Without a Cluster document, the default cluster with the objects.
    ///
    /// # Errors
    /// A sentence that says what is wrong, and where.
    pub fn parse(text: &str) -> Result<Config, String> {
        let documents = kubarium_objects::yaml::parse(text).map_err(|d| d.to_string())?;
        let mut config = None;
        let mut objects = Vec::new();
        for document in documents {
            if document.value["kind"].str() != "Cluster" {
                objects.push(document.value);
                continue;
            }
            let read: Config = serde_json::from_str(&document.value.to_json())
                .map_err(|e| format!("Cluster: {e}"))?;
            if read.api_version != API_VERSION {
                return Err(format!(
                    "Cluster: apiVersion is {:?}; this version reads {API_VERSION:?}",
                    read.api_version
                ));
            }
            if config.replace(read).is_some() {
                return Err("there are two Cluster documents; keep one".to_owned());
            }
        }
        let mut config = config.unwrap_or_default();
        config.objects = objects;
        // No kube-proxy would start, and no Service would be served, without a word.
        crate::kube_proxy::configured(&config)
            .map_err(|why| format!("Cluster: kubeProxy: {why}"))?;
        Ok(config)
    }
}
