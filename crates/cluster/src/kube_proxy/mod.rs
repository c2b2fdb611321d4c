//! kube-proxy: what it makes of Services and EndpointSlices on every node.
//!
//! The steps, each a file: objects become [`ServicePort`]s and [`Endpoint`]s, kept in a [`State`];
//! every node sorts the endpoints for itself ([`categorize`]); what it uses of a service port
//! becomes a block of rules (`service_chains`) that nodes share; a [`Sync`] puts the blocks and the
//! chains around them (`shared_chains`) into the node's tables. The `component` does this for every
//! node of a cluster, when it matters. The nftables mode (`nftables`) goes the same way with other
//! blocks.

mod address;
mod cache;
mod component;
#[cfg(test)]
mod component_tests;
mod config;
mod conntrack;
mod endpoints;
pub(crate) mod health;
mod naming;
mod nftables;
mod node;
mod once;
mod service;
mod service_chains;
mod shared_chains;
mod state;
mod sync;

pub use address::{Family, parse_cidr, parse_ip, socket_text};
pub use cache::{Cache, Caches, NftChainsCache, ServiceChainsCache};
pub(crate) use component::connect;
pub use component::{KubeProxy, Proxies, bring_all_up_to_date, bring_up_to_date, rules_changed};
pub(crate) use component::{configured, observe, run, run_all, started, stopped};
pub use config::{Config, DetectLocalMode, Mode};
pub use conntrack::StaleFlows;
pub use endpoints::{Categorized, Endpoint, Slice, Topology, categorize};
pub(crate) use naming::hash16;
pub use naming::is_service_chain;
pub use nftables::{Memory, NftChains, NftSync, TABLE};
pub use node::{LocalDetector, NodeInfo};
pub use once::run_once;
pub use service::{NamespacedName, Protocol, ServicePort, is_proxied, service_ports};
pub use service_chains::ServiceChains;
pub(crate) use shared_chains::block_localnet;
pub use state::{ChangeTracker, LARGE_CLUSTER_ENDPOINTS, PortEntry, ServiceEntry, State};
pub use sync::{Sync, SyncError, canary_is_gone, ensure_canary};
