//! The way of a packet, hop by hop, with every decision and its reason.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;

use crate::conntrack::{Direction, Tuple};
use crate::explain::nft::refuses;
use crate::link::{LinkId, NamespaceId};
use crate::netfilter::{Chain, Hook, Policy, TableKind, Target, nft};
use crate::packet::{Headers, Mac, Packet};
use crate::route::{Route, RouteKind};
use crate::time::Time;

/// Which part of the system a hop is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Layer {
    Socket,
    Route,
    Neighbour,
    Link,
    Bridge,
    Netfilter,
    Conntrack,
    Tunnel,
}

/// The way there or the way back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Phase {
    Request,
    Reply,
}

/// What happened at one hop: facts only, turned into words when somebody reads them.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Event {
    /// A socket sent it.
    Sent,
    /// A socket that accepts got it.
    Delivered { token: u64 },
    /// It went to the socket that asked.
    Answered,
    /// No socket there: a reset or "port unreachable" is the answer.
    NoSocket,
    /// An ICMP error was made: type and code.
    IcmpError { kind: u8, code: u8, to: Ipv4Addr },
    /// An ICMP error reached the socket that it is about.
    ErrorReceived { kind: u8, code: u8 },
    /// Routing decided.
    Routed {
        route: Route,
        table: u32,
        forwarded: bool,
        source: Option<Ipv4Addr>,
    },
    /// No route.
    NoRoute,
    /// Not for this namespace, and it does not forward.
    NotForwarding,
    /// The source is not one that may come in here (rp_filter, martian).
    Martian,
    /// A tunnel's packet whose UDP checksum address translation has spoiled.
    BadChecksum,
    /// TTL ran out.
    TtlExceeded,
    /// Larger than the MTU and not to be fragmented.
    TooBig { mtu: u32 },
    /// The neighbour's address is known.
    NeighbourKnown { address: Ipv4Addr, mac: Mac },
    /// It was asked for by ARP and answered.
    NeighbourAsked { address: Ipv4Addr, mac: Mac },
    /// It was asked for and nobody has answered so far.
    NeighbourWaiting { address: Ipv4Addr },
    /// Nobody answered.
    NeighbourFailed { address: Ipv4Addr },
    /// Through a veth pair to its other end.
    Veth { peer: LinkId },
    /// Over the switch between hosts.
    Segment { to: LinkId },
    /// Nobody on the switch has that address, or the way is cut.
    SegmentNobody,
    /// Lost on the way by a fault.
    Lost,
    /// The device is down or has no carrier.
    DeviceDown,
    /// Not this device's address: dropped by its receiver.
    OtherHost,
    /// The bridge forwards to the port that has the address.
    BridgeForward { port: LinkId },
    /// The bridge does not know the address: to every port.
    BridgeFlood { ports: usize },
    /// For the bridge itself: up to the IP layer.
    BridgeLocal,
    /// It would leave by the port it came in: hairpin mode is off.
    NoHairpin { port: LinkId },
    /// A bridged packet is shown to netfilter (`bridge-nf-call-iptables`).
    BridgeNetfilter { hook: Hook },
    /// A rule matched; `passed` rules before it (since the hop before in this chain) did not.
    Rule {
        table: TableKind,
        chain: Arc<Chain>,
        index: u32,
        passed: u32,
    },
    /// No rule of a user's chain decided: back to the calling chain.
    ChainEnd {
        table: TableKind,
        chain: Arc<Chain>,
        passed: u32,
    },
    /// No rule decided: the built-in chain's policy.
    Policy {
        table: TableKind,
        chain: Arc<Chain>,
        policy: Policy,
        passed: u32,
    },
    /// A rule of nftables matched, and said something perhaps.
    NftRule {
        table: Arc<str>,
        chain: Arc<nft::Chain>,
        index: u32,
        passed: u32,
        said: Option<Box<NftSaid>>,
    },
    /// No rule of a chain of nftables decided: back to the calling chain.
    NftChainEnd {
        table: Arc<str>,
        chain: Arc<nft::Chain>,
        passed: u32,
    },
    /// No rule decided: the base chain's policy.
    NftPolicy {
        table: Arc<str>,
        chain: Arc<nft::Chain>,
        policy: Policy,
    },
    /// A connection was begun, not yet entered.
    ConntrackNew { tuple: Tuple },
    /// It belongs to a known connection.
    ConntrackFound {
        original: Tuple,
        direction: Direction,
    },
    /// It belongs to none and cannot begin one.
    ConntrackInvalid,
    /// The new connection was entered into the table.
    ConntrackConfirmed { original: Tuple, reply: Tuple },
    /// Addresses were changed as the connection's NAT says.
    Translated {
        source: bool,
        from: (Ipv4Addr, u16),
        to: (Ipv4Addr, u16),
    },
    /// Put into a VXLAN packet.
    Encapsulated { vni: Option<u32>, to: Ipv4Addr },
    /// Taken out of one.
    Decapsulated { vni: Option<u32> },
    /// The VXLAN device has no forwarding entry.
    NoFdb { mac: Mac },
    /// A socket was kept from sending by its own OUTPUT chain.
    Denied,
    /// A route that drops.
    Blackhole { kind: RouteKind },
    /// Sent again because no answer came.
    Retransmitted { after: Time },
}

/// What a rule of nftables (or the element of its map) said.
#[derive(Clone, PartialEq, Debug)]
pub struct NftSaid {
    /// The verdict, if there is one.
    pub verdict: Option<nft::Verdict>,
    /// The element of the rule's map.
    pub element: Option<nft::Key>,
}

impl Event {
    /// Is the packet's way over here?
    pub(crate) fn ends(&self) -> bool {
        match self {
            Event::NoSocket
            | Event::Denied
            | Event::Lost
            | Event::DeviceDown
            | Event::OtherHost
            | Event::SegmentNobody
            | Event::NoRoute
            | Event::NotForwarding
            | Event::Martian
            | Event::BadChecksum
            | Event::Blackhole { .. }
            | Event::TtlExceeded
            | Event::TooBig { .. }
            | Event::NeighbourFailed { .. }
            | Event::NoHairpin { .. }
            | Event::NoFdb { .. } => true,
            Event::Policy { policy, .. } | Event::NftPolicy { policy, .. } => {
                *policy == Policy::Drop
            }
            Event::Rule { chain, index, .. } => {
                let rule = chain.rules.get(*index as usize);
                rule.is_some_and(|r| matches!(r.target, Target::Drop | Target::Reject(_)))
            }
            Event::NftRule {
                chain, index, said, ..
            } => match said.as_ref().and_then(|said| said.verdict.as_ref()) {
                Some(nft::Verdict::Drop) => true,
                Some(nft::Verdict::Continue) | None => refuses(chain, *index),
                Some(_) => false,
            },
            _ => false,
        }
    }

    /// Is it netfilter's?
    fn is_netfilter(&self) -> bool {
        matches!(
            self,
            Event::Rule { .. }
                | Event::ChainEnd { .. }
                | Event::Policy { .. }
                | Event::NftRule { .. }
                | Event::NftChainEnd { .. }
                | Event::NftPolicy { .. }
        )
    }
}

/// One hop as it is noted while a packet walks.
#[derive(Clone, Debug)]
pub(crate) struct RawHop {
    pub namespace: NamespaceId,
    pub device: Option<LinkId>,
    pub phase: Phase,
    pub at: Time,
    pub event: Event,
    /// Its place among the trace's packets.
    pub packet: u32,
}

/// A trace: made by walking with one, read by `hops`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub(crate) raw: Vec<RawHop>,
    /// The packet after a hop, kept once for hops that left it as it was.
    seen: Vec<PacketView>,
    /// Note packets after the first request and its answer as well?
    pub everything: bool,
}

impl Trace {
    /// An empty trace that takes the first request packet and its answer.
    #[must_use]
    pub fn new() -> Trace {
        Trace {
            raw: Vec::with_capacity(128),
            seen: Vec::with_capacity(32),
            everything: false,
        }
    }

    /// Notes a hop with the packet after it.
    pub(crate) fn note(&mut self, hop: RawHop, packet: &Packet) {
        let (headers, outer) = match &packet.inner {
            Some(inner) => (&inner.packet.headers, Some(&packet.headers)),
            None => (&packet.headers, None),
        };
        let same = |seen: &PacketView| seen.headers == *headers && seen.outer.as_ref() == outer;
        if !self.seen.last().is_some_and(same) {
            self.seen.push(PacketView {
                headers: *headers,
                outer: outer.copied(),
            });
        }
        self.raw.push(RawHop {
            packet: (self.seen.len() - 1) as u32,
            ..hop
        });
    }

    /// The packet after a hop.
    pub(crate) fn packet(&self, hop: &RawHop) -> &PacketView {
        &self.seen[hop.packet as usize]
    }

    /// How many hops were noted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Was nothing noted?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The last hop at which a packet's way was over, counted from 0.
    #[must_use]
    pub fn end(&self) -> Option<usize> {
        self.raw.iter().rposition(|raw| raw.event.ends())
    }

    /// Did a rule decide at that hop, or a chain's policy?
    #[must_use]
    pub fn is_netfilter(&self, at: usize) -> bool {
        self.raw.get(at).is_some_and(|raw| raw.event.is_netfilter())
    }

    /// The phase of each hop in their order.
    pub fn phases(&self) -> impl Iterator<Item = Phase> {
        self.raw.iter().map(|raw| raw.phase)
    }

    /// The namespace of each hop in their order.
    pub fn namespaces(&self) -> impl Iterator<Item = NamespaceId> {
        self.raw.iter().map(|raw| raw.namespace)
    }

    /// The packet's headers after each hop (of a tunnel's packet, of the one inside).
    pub fn packets(&self) -> impl Iterator<Item = &Headers> {
        self.raw.iter().map(|raw| &self.packet(raw).headers)
    }

    /// The connections that were entered into a namespace's table, each as its first packet had it.
    pub fn tracked(&self) -> impl Iterator<Item = (NamespaceId, Tuple)> {
        self.raw.iter().filter_map(|raw| match &raw.event {
            Event::ConntrackConfirmed { original, .. } => Some((raw.namespace, *original)),
            _ => None,
        })
    }
}

/// A packet as a hop shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct PacketView {
    /// The packet (of a tunnel's: the one inside).
    #[serde(flatten)]
    pub headers: Headers,
    /// The packet around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer: Option<Headers>,
}

/// One hop in words.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Hop {
    /// Its number, from 1.
    pub n: usize,
    /// The namespace it happened in.
    pub namespace: NamespaceId,
    /// That namespace's name.
    pub namespace_name: Arc<str>,
    /// What it is about.
    pub layer: Layer,
    /// The way there or back.
    pub phase: Phase,
    /// When, in nanoseconds.
    pub at: Time,
    /// The device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Arc<str>>,
    /// Netfilter's table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Cow<'static, str>>,
    /// Its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Arc<str>>,
    /// The rule's number in the chain, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// The rule as iptables-save (or nft) prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_text: Option<String>,
    /// What was done, in a word or two: `jump KUBE-SVC-…`, `forward`, `drop`.
    pub action: Cow<'static, str>,
    /// What happened and why, in one sentence.
    pub explanation: String,
    /// How many rules before did not match.
    pub passed: u32,
    /// Is the packet's way over here?
    pub dropped: bool,
    /// The packet afterwards; before, it was as the hop before shows it.
    pub packet: PacketView,
}
