//! One connection and its whole way, as plain data: what `sim trace -o json` prints, and what the
//! packet lane draws. The shape is a contract: fields may be added, none may change or go.

mod names;
mod run;

pub use run::{Explained, Lookup, TraceRequest};

use std::borrow::Cow;
use std::net::Ipv4Addr;

use kubarium_linux::{Mac, TcpFlags};
use kubarium_objects::Text;
use serde::Serialize;

/// One connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    /// As asked: `pod/curl.default`.
    pub from: String,
    /// As asked: `http://web`.
    pub to: String,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// What became of it.
    pub verdict: Verdict,
    /// A sentence that says why.
    pub reason: String,
    /// Who answered.
    pub server: Option<Server>,
    /// The name's resolution, the request, the reply.
    pub phases: Vec<Phase>,
    /// The entries that it left in the connection tracking tables.
    pub conntrack: Vec<Tracked>,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Answered.
    Delivered,
    /// Somebody said no (RST, or ICMP port unreachable).
    Refused,
    /// A rule dropped it.
    Dropped,
    /// There is no way there (ICMP host or net unreachable, no route, no neighbour).
    Unreachable,
    /// No answer came.
    #[default]
    Timeout,
    /// The name has no address.
    Unresolved,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Server {
    /// `default/web-…`; or the node or host where no pod is.
    pub pod: String,
    /// The container that listens; empty outside pods.
    pub container: String,
    /// The client's address as the server sees it.
    pub sees_source: String,
}

/// A part of the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// Which part.
    pub phase: PhaseKind,
    /// Its steps in order.
    pub hops: Vec<Hop>,
}

/// Which part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseKind {
    /// The name's query and its answer.
    Dns,
    /// Towards the server.
    Request,
    /// Back to the client.
    Reply,
}

/// Who decides at a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// A program's socket.
    Socket,
    /// A route table.
    Route,
    /// The neighbour table, ARP.
    Neighbour,
    /// A device.
    Link,
    /// A bridge.
    Bridge,
    /// A rule.
    Netfilter,
    /// The connection tracking table.
    Conntrack,
    /// VXLAN.
    Tunnel,
}

/// One step of a packet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hop {
    /// From 1 on, through all phases.
    pub n: usize,
    /// The node on which it happens; `outside` beyond the cluster.
    pub node: Text,
    /// The network namespace: `pod default/curl`, or the node's name.
    pub netns: Text,
    /// Who decides.
    pub layer: Layer,
    /// The device concerned; may be empty.
    pub device: Text,
    /// For netfilter: the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Cow<'static, str>>,
    /// For netfilter: the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Text>,
    /// For netfilter: the rule's number in its chain, from 1; none where the policy decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// For netfilter: the rule as `iptables-save` prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_text: Option<String>,
    /// How many rules of the chain were passed without a match before this one.
    pub passed: usize,
    /// What was decided: `jump KUBE-SVC-…`, `forward to port veth…`.
    pub action: Cow<'static, str>,
    /// What happened and why, in one sentence that names the object responsible.
    pub explanation: String,
    /// The object responsible: `service:default/web`, `pod:default/web-1`; none where Linux alone
    /// decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Text>,
    /// The packet after the step.
    pub packet: PacketView,
}

/// A packet's headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PacketView {
    /// Ethernet; none while there is no frame yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eth: Option<Ethernet>,
    /// IP.
    pub ip: Ip,
    /// TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,
    /// UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp: Option<Udp>,
    /// ICMP, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Cow<'static, str>>,
    /// What it carries, in words: `GET / HTTP/1.1`; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub payload: String,
    /// The packet around it while it is inside the overlay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer: Option<Box<PacketView>>,
}

/// An Ethernet header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ethernet {
    /// The sender's MAC.
    pub src: Mac,
    /// The receiver's MAC.
    pub dst: Mac,
}

/// An IP header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ip {
    /// The sender's address.
    pub src: Ipv4Addr,
    /// The receiver's address.
    pub dst: Ipv4Addr,
    /// How many routers it may still pass.
    pub ttl: u8,
}

/// A TCP header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tcp {
    /// The sender's port.
    pub sport: u16,
    /// The receiver's port.
    pub dport: u16,
    /// `SYN`, `SYN,ACK`, …
    pub flags: TcpFlags,
}

/// A UDP header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Udp {
    /// The sender's port.
    pub sport: u16,
    /// The receiver's port.
    pub dport: u16,
}

/// A connection tracking entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tracked {
    /// The node that keeps it.
    pub node: String,
    /// `10.42.1.7:40000 -> 10.43.7.9:80`
    pub original: String,
    /// `10.42.2.5:80 -> 10.42.1.7:40000`
    pub reply: String,
    /// `ESTABLISHED`
    pub state: String,
}
