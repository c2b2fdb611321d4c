//! A simulated Linux network: namespaces, links, routes, netfilter, conntrack, VXLAN, packets.
//!
//! No Kubernetes here: what a CNI plugin or kube-proxy sets up on a node, it sets up through `Network`, and a packet
//! then walks through what is there. Nothing reads a clock or a random source: both are handed in (`Time`, `Dice`).
//!
//! - `Network` holds everything; its clone is a cheap snapshot.
//! - `netfilter` has tables, chains and rules, with `iptables-restore`, `iptables-save` and `iptables` as text.
//! - `Network::connect` runs one connection and tells what became of it; a `Trace` notes every hop.
//! - `Network::fates` explores every random choice on the way.
//! - `tools::run` is `ip`, `bridge`, `conntrack`, `iptables`, `ss` and `sysctl`.

pub mod capture;
mod configure;
pub mod conntrack;
mod errno;
mod explain;
mod link;
mod mesh;
mod namespace;
mod neighbour;
pub mod netfilter;
mod network;
mod packet;
mod route;
mod slab;
mod sysctl;
mod time;
pub mod tools;
pub mod trace;
mod walk;
mod wire;

pub use errno::Errno;
pub use link::{
    Address, Bridge, FdbEntry, Flowed, Ipip, Link, LinkId, LinkKind, NamespaceId, PortFlags, Scope,
    SegmentId, Traffic, Vxlan,
};
pub use mesh::Peer;
pub use namespace::{Listener, Namespace};
pub use neighbour::{Neighbour, NeighbourState};
pub use network::{Network, Segment};
pub use packet::{
    Encapsulated, Ethernet, Headers, Ipv4, Mac, Packet, Protocol, TcpFlags, Transport,
};
pub use route::{DEFAULT, Flow, IpRule, LOCAL, MAIN, Route, RouteKind, RouteProtocol, RouteTable};
pub use sysctl::Sysctls;
pub use time::{Dice, SeededDice, Time};
pub use trace::{Hop, Layer, Phase, Trace};
pub use walk::{Connect, Connection, Conversation, Fate, IcmpError, Payload, Upkeep, Verdict};
