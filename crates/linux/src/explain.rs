//! Hops put into words: what happened, why, and in one sentence.

pub(crate) mod nft;

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::conntrack::Direction;
use crate::link::LinkId;
use crate::netfilter::{Chain, Rule, TableKind, Target};
use crate::network::Network;
use crate::packet::Headers;
use crate::route::{LOCAL, MAIN, Route, RouteKind};
use crate::trace::{Event, Hop, Layer, PacketView, RawHop, Trace};

/// The words of one event.
struct Words {
    layer: Layer,
    action: Cow<'static, str>,
    explanation: String,
    table: Option<Cow<'static, str>>,
    chain: Option<Arc<str>>,
    rule: Option<usize>,
    rule_text: Option<String>,
    passed: u32,
}

fn say(
    layer: Layer,
    action: impl Into<Cow<'static, str>>,
    explanation: impl Into<String>,
) -> Words {
    Words {
        layer,
        action: action.into(),
        explanation: explanation.into(),
        table: None,
        chain: None,
        rule: None,
        rule_text: None,
        passed: 0,
    }
}

fn stop(layer: Layer, explanation: impl Into<String>) -> Words {
    say(layer, "drop", explanation)
}

impl Trace {
    /// The hops in words, in their order. `net` is the network that was walked, for the names of things.
    #[must_use]
    pub fn hops(&self, net: &Network) -> Vec<Hop> {
        self.raw
            .iter()
            .enumerate()
            .map(|(n, raw)| hop(net, n + 1, raw, self.packet(raw)))
            .collect()
    }

    /// One hop in words, counted from 0.
    #[must_use]
    pub fn hop(&self, net: &Network, at: usize) -> Option<Hop> {
        let raw = self.raw.get(at)?;
        Some(hop(net, at + 1, raw, self.packet(raw)))
    }
}

fn hop(net: &Network, n: usize, raw: &RawHop, packet: &PacketView) -> Hop {
    let words = words(net, raw, packet);
    Hop {
        n,
        namespace: raw.namespace,
        namespace_name: net
            .namespace(raw.namespace)
            .map_or_else(|| "?".into(), |ns| ns.name.clone()),
        layer: words.layer,
        phase: raw.phase,
        at: raw.at,
        device: raw.device.and_then(|d| net.link(d)).map(|l| l.name.clone()),
        table: words.table,
        chain: words.chain,
        rule: words.rule.map(|r| r + 1),
        rule_text: words.rule_text,
        action: words.action,
        explanation: words.explanation,
        passed: words.passed,
        dropped: raw.event.ends(),
        packet: *packet,
    }
}

fn name(net: &Network, link: LinkId) -> &str {
    net.link(link).map_or("a device that is gone", |l| &l.name)
}

fn whose(net: &Network, link: LinkId) -> &str {
    let namespace = net.link(link).and_then(|l| net.namespace(l.namespace));
    namespace.map_or("nobody", |n| &n.name)
}

fn words(net: &Network, raw: &RawHop, seen: &PacketView) -> Words {
    use Layer::{Conntrack, Link, Netfilter, Socket};
    let packet = &seen.headers;
    match &raw.event {
        Event::Sent => say(
            Socket,
            "send",
            format!(
                "A socket sends {} from {} to {}.",
                kind(packet),
                packet.source(),
                packet.destination()
            ),
        ),
        Event::Delivered { .. } => say(
            Socket,
            "deliver",
            format!(
                "A socket listens on {}: it gets the packet, and sees {} as its sender.",
                packet.destination(),
                packet.source()
            ),
        ),
        Event::Answered => say(
            Socket,
            "deliver",
            "The answer reaches the socket that asked.",
        ),
        Event::NoSocket => say(
            Socket,
            "refuse",
            format!(
                "Nothing listens on {}: the sender is told so.",
                packet.destination()
            ),
        ),
        Event::Denied => stop(
            Socket,
            "The namespace's own OUTPUT rules do not let the packet out: sending fails with EPERM (Operation not permitted).",
        ),
        Event::ErrorReceived { kind, code } => say(
            Socket,
            "error",
            format!(
                "The socket learns of the ICMP error: {}.",
                icmp(*kind, *code)
            ),
        ),
        Event::IcmpError { kind, code, to } => say(
            Socket,
            "icmp error",
            format!("The kernel tells {to}: {}.", icmp(*kind, *code)),
        ),
        Event::Retransmitted { after } => say(
            Socket,
            "send again",
            format!(
                "No answer within {} ms: it is sent again.",
                after.as_millis()
            ),
        ),
        Event::Lost => stop(Link, "The frame is lost on the way."),
        Event::DeviceDown => stop(Link, "The device is down, or has no carrier."),
        Event::OtherHost => stop(
            Link,
            format!(
                "The frame is for {}, which is not this device's address.",
                packet.eth.dst
            ),
        ),
        Event::Veth { peer } => say(
            Link,
            "transmit",
            format!(
                "Through the veth pair to its other end, {} in {}.",
                name(net, *peer),
                whose(net, *peer)
            ),
        ),
        Event::Segment { to } => say(
            Link,
            "transmit",
            format!(
                "Over the network between hosts to {} of {}.",
                name(net, *to),
                whose(net, *to)
            ),
        ),
        Event::SegmentNobody => stop(
            Link,
            format!(
                "Nobody on the network between hosts can be reached under {}.",
                packet.eth.dst
            ),
        ),
        Event::Rule {
            table,
            chain,
            index,
            passed,
        } => rule(*table, chain, *index, *passed),
        Event::ChainEnd {
            table,
            chain,
            passed,
        } => Words {
            table: Some(table.name().into()),
            chain: Some(chain.name.text()),
            passed: *passed,
            ..say(
                Netfilter,
                "return",
                format!(
                    "No further rule of {} decides: back to the chain that jumped here.",
                    chain.name
                ),
            )
        },
        Event::Policy {
            table,
            chain,
            policy,
            passed,
        } => Words {
            table: Some(table.name().into()),
            chain: Some(chain.name.text()),
            passed: *passed,
            ..say(
                Netfilter,
                format!("policy {}", policy.name()),
                format!(
                    "No rule of {} decides: its policy is {}.",
                    chain.name,
                    policy.name()
                ),
            )
        },
        Event::NftRule { .. } | Event::NftChainEnd { .. } | Event::NftPolicy { .. } => {
            nft::words(&raw.event)
        }
        Event::ConntrackNew { tuple } => say(
            Conntrack,
            "new",
            format!(
                "No connection from {}:{} to {}:{} is known: a new one begins, state NEW.",
                tuple.src, tuple.sport, tuple.dst, tuple.dport
            ),
        ),
        Event::ConntrackFound {
            original,
            direction,
        } => {
            let way = if *direction == Direction::Original {
                "in its original direction"
            } else {
                "as an answer"
            };
            say(
                Conntrack,
                "found",
                format!(
                    "It belongs to the known connection {}:{} to {}:{}, {way}.",
                    original.src, original.sport, original.dst, original.dport
                ),
            )
        }
        Event::ConntrackInvalid => say(
            Conntrack,
            "invalid",
            "It belongs to no known connection and cannot begin one: state INVALID.",
        ),
        Event::ConntrackConfirmed { original, reply } => say(
            Conntrack,
            "confirm",
            format!(
                "The connection is entered into the table; answers will come from {}:{} to {}:{} and be given back as {}:{}.",
                reply.src, reply.sport, reply.dst, reply.dport, original.dst, original.dport
            ),
        ),
        Event::Translated { source, from, to } => {
            let (which, how) = if *source {
                ("source", "SNAT")
            } else {
                ("destination", "DNAT")
            };
            say(
                Conntrack,
                how,
                format!(
                    "The {which} {}:{} becomes {}:{}, as the connection's address translation says.",
                    from.0, from.1, to.0, to.1
                ),
            )
        }
        event => lower_words(net, seen, event),
    }
}

/// Routes, neighbours, bridges and tunnels.
fn lower_words(net: &Network, seen: &PacketView, event: &Event) -> Words {
    use Layer::{Bridge, Neighbour, Route, Tunnel};
    // Routes, devices and bridges deal with the outer packet, a tunnel's device with the inner one.
    let packet = match event {
        Event::Encapsulated { .. } => &seen.headers,
        _ => seen.outer.as_ref().unwrap_or(&seen.headers),
    };
    match event {
        Event::Routed {
            route,
            table,
            forwarded,
            source,
        } => routed(net, packet, route, *table, *forwarded, *source),
        Event::NoRoute => stop(Route, format!("There is no route to {}.", packet.ip.dst)),
        Event::NotForwarding => stop(
            Route,
            format!(
                "{} is not one of this namespace's addresses, and it does not forward (net.ipv4.ip_forward=0).",
                packet.ip.dst
            ),
        ),
        Event::Martian => stop(
            Route,
            format!(
                "A packet from {} to {} may not come in by this device (reverse path filter, or a loopback or own address from outside).",
                packet.ip.src, packet.ip.dst
            ),
        ),
        Event::BadChecksum => stop(
            Layer::Tunnel,
            "Its UDP checksum is wrong: its addresses were translated while the checksum of the packet inside was still left to a device.",
        ),
        Event::Blackhole { kind } => stop(
            Route,
            format!(
                "The route to {} is of the kind {}.",
                packet.ip.dst,
                kind.name()
            ),
        ),
        Event::TtlExceeded => stop(Route, "Its time to live is used up."),
        Event::TooBig { mtu } => stop(
            Route,
            format!("It is larger than the MTU of {mtu} bytes and must not be fragmented."),
        ),
        Event::NeighbourKnown { address, mac } => say(
            Neighbour,
            "known",
            format!("The neighbour {address} has the Ethernet address {mac}."),
        ),
        Event::NeighbourAsked { address, mac } => say(
            Neighbour,
            "answered",
            format!(
                "Asked by ARP, the neighbour {address} answered that it has the Ethernet address {mac}."
            ),
        ),
        Event::NeighbourWaiting { address } => say(
            Neighbour,
            "ask",
            format!(
                "The Ethernet address of {address} is not known: it is asked for by ARP, and the packet waits."
            ),
        ),
        Event::NeighbourFailed { address } => stop(
            Neighbour,
            format!("Nobody answered for {address} to three ARP requests."),
        ),
        Event::BridgeForward { port } => say(
            Bridge,
            "forward",
            format!(
                "The bridge knows that {} is behind its port {}.",
                packet.eth.dst,
                name(net, *port)
            ),
        ),
        Event::BridgeFlood { ports } => say(
            Bridge,
            "flood",
            format!(
                "The bridge does not know where {} is: the frame goes out by {ports} ports.",
                packet.eth.dst
            ),
        ),
        Event::BridgeLocal => say(
            Bridge,
            "local",
            "The frame is for the bridge itself: up to the IP layer.",
        ),
        Event::NoHairpin { port } => stop(
            Bridge,
            format!(
                "It would leave by the port it came in, {}, and that port's hairpin mode is off.",
                name(net, *port)
            ),
        ),
        Event::BridgeNetfilter { hook } => say(
            Bridge,
            "netfilter",
            format!(
                "Bridged, and yet shown to {}: net.bridge.bridge-nf-call-iptables=1.",
                hook.name()
            ),
        ),
        Event::Encapsulated { vni: None, to } => say(
            Tunnel,
            "encapsulate",
            format!("The packet is put into an IPIP packet to {to}."),
        ),
        Event::Decapsulated { vni: None } => say(
            Tunnel,
            "decapsulate",
            "The packet inside the IPIP packet is taken out.",
        ),
        Event::Encapsulated { vni: Some(vni), to } => say(
            Tunnel,
            "encapsulate",
            format!(
                "The frame is put into a UDP packet of VXLAN {vni} to the host {to}, which has {}.",
                packet.eth.dst
            ),
        ),
        Event::Decapsulated { vni: Some(vni) } => say(
            Tunnel,
            "decapsulate",
            format!("The frame inside the VXLAN {vni} packet is taken out."),
        ),
        Event::NoFdb { mac } => stop(
            Tunnel,
            format!(
                "The VXLAN device has no forwarding entry for {mac}: it knows no host to send the frame to."
            ),
        ),
        _ => say(Route, "", ""),
    }
}

fn routed(
    net: &Network,
    packet: &Headers,
    route: &Route,
    table: u32,
    forwarded: bool,
    source: Option<Ipv4Addr>,
) -> Words {
    let dev = route.dev.map_or("no device", |d| name(net, d));
    let dst = packet.ip.dst;
    let table = match table {
        MAIN => Cow::Borrowed("main"),
        LOCAL => Cow::Borrowed("local"),
        other => Cow::Owned(other.to_string()),
    };
    let to = if route.destination.prefix_len() == 0 {
        Cow::Borrowed("default")
    } else {
        Cow::Owned(route.destination.to_string())
    };
    if route.kind == RouteKind::Local {
        let how = if forwarded {
            "it is delivered here"
        } else {
            "it goes over lo"
        };
        return say(
            Layer::Route,
            "local",
            format!("{dst} is one of this namespace's own addresses: {how}."),
        );
    }
    let by = route.via.map_or_else(
        || format!("{dst} is reached directly on {dev}"),
        |via| format!("the next hop to {dst} is {via} on {dev}"),
    );
    let from = source.map_or_else(String::new, |s| format!(", source {s}"));
    say(
        Layer::Route,
        if forwarded { "forward" } else { "output" },
        format!("Route {to} of table {table}: {by}{from}."),
    )
}

fn rule(table: TableKind, chain: &Arc<Chain>, index: u32, passed: u32) -> Words {
    let before = before(passed);
    let target = chain.rules.get(index as usize).map(|r| &r.target);
    let (action, done): (Cow<'static, str>, Cow<'static, str>) = match target {
        Some(Target::None) | None => (
            "count".into(),
            "it counts the packet and does nothing else".into(),
        ),
        Some(Target::Accept) => ("accept".into(), "this table lets the packet pass".into()),
        Some(Target::Drop) => ("drop".into(), "the packet is dropped without a word".into()),
        Some(Target::Return) => ("return".into(), "back to the chain that jumped here".into()),
        Some(Target::Jump(to)) => (
            format!("jump {to}").into(),
            format!("on in chain {to}").into(),
        ),
        Some(Target::Goto(to)) => (
            format!("goto {to}").into(),
            format!("on in chain {to}, without coming back here").into(),
        ),
        Some(Target::Reject(with)) => (
            "reject".into(),
            format!("the packet is refused with {}", with.name()).into(),
        ),
        Some(Target::Dnat(_) | Target::Redirect(_)) => (
            "dnat".into(),
            "it gives the connection a new destination".into(),
        ),
        Some(Target::Snat(_)) => ("snat".into(), "it gives the connection a new source".into()),
        Some(Target::Masquerade(_)) => (
            "masquerade".into(),
            "the connection's source becomes the outgoing device's address".into(),
        ),
        Some(Target::Mark(_)) => ("mark".into(), "it changes the packet's mark".into()),
        Some(Target::Notrack) => ("notrack".into(), "the packet is not tracked".into()),
        Some(Target::Log(log)) => (
            log.name().to_ascii_lowercase().into(),
            "the packet is logged, and goes on".into(),
        ),
    };
    let comment = chain
        .rules
        .get(index as usize)
        .and_then(Rule::comment)
        .map_or_else(String::new, |c| format!(" “{c}”"));
    Words {
        table: Some(table.name().into()),
        chain: Some(chain.name.text()),
        rule: Some(index as usize),
        rule_text: Some(chain.rule_text(index as usize)),
        passed,
        ..say(
            Layer::Netfilter,
            action,
            format!(
                "Rule {}{comment} of {} matches{before}: {done}.",
                index + 1,
                chain.name
            ),
        )
    }
}

/// How many rules did not match before one did.
fn before(passed: u32) -> Cow<'static, str> {
    match passed {
        0 => "".into(),
        1 => " (1 rule before did not match)".into(),
        n => format!(" ({n} rules before did not match)").into(),
    }
}

fn kind(packet: &Headers) -> Cow<'static, str> {
    match packet.l4 {
        crate::packet::Transport::Tcp { flags, .. } => format!("a TCP packet ({flags})").into(),
        crate::packet::Transport::Udp { .. } => "a UDP datagram".into(),
        crate::packet::Transport::Icmp { kind: 8, .. } => "an ICMP echo request".into(),
        crate::packet::Transport::Icmp { kind: 0, .. } => "an ICMP echo reply".into(),
        _ => "a packet".into(),
    }
}

fn icmp(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (3, 0) => "network unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed",
        (3, 9) => "network prohibited",
        (3, 10) => "host prohibited",
        (3, 13) => "communication prohibited",
        (3, _) => "destination unreachable",
        (11, _) => "time to live exceeded",
        _ => "an error",
    }
}
