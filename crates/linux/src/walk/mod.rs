//! Packets under way: one function runs a whole connection, another sends a single packet, and all of both goes
//! through the same sockets, routes, hooks, bridges, tunnels and cables.

mod arp;
mod bridge;
mod connect;
mod deliver;
mod engine;
mod fates;
mod hooks;
mod ip;
mod nat;
mod nft;
mod server;
mod tap;
mod tunnel;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use serde::Serialize;

pub(crate) use engine::Arp;

pub use connect::{Conversation, Payload};
pub use fates::Fate;

use crate::link::NamespaceId;
use crate::network::Network;
use crate::packet::Protocol;
use crate::time::Time;

/// Who keeps namespaces' rules up to date when packets come, and not before: of thousands of hosts a packet passes two.
pub trait Upkeep {
    /// The packets of a walk are about to meet a namespace's rules for the first time.
    fn see_to(&mut self, net: &mut Network, namespace: NamespaceId);
}

/// What somebody wants to connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect {
    /// The namespace of the one who asks.
    pub from: NamespaceId,
    /// The address to bind to; None lets routing choose.
    pub source: Option<Ipv4Addr>,
    /// The port to bind to; None takes a free one.
    pub sport: Option<u16>,
    /// Whom to reach.
    pub dst: SocketAddrV4,
    /// TCP, UDP, or ICMP (one echo; the port is ignored).
    pub protocol: Protocol,
    /// Bytes of the request.
    pub request: u32,
    /// Bytes of the answer.
    pub answer: u32,
    /// The request's content, where it matters to somebody.
    pub data: Option<Arc<[u8]>>,
    /// How long to wait for a connection or, for UDP, an answer.
    pub timeout: Time,
    /// UDP and ICMP: after how long to send again; None: only once.
    pub resend: Option<Time>,
    /// TCP: only connect; neither ask nor hang up.
    pub handshake: bool,
    /// Wait for what the two sides have to say: TCP once it is connected, UDP once the server has the datagram. The
    /// conversation then goes on with `Network::go_on`.
    pub waits: bool,
    /// ICMP: the echo's sequence number.
    pub echo: u16,
    /// ICMP: not to be fragmented (`ping -M do`).
    pub whole: bool,
    /// TTL of what is sent; 0: the namespace's default.
    pub ttl: u8,
}

impl Connect {
    /// A TCP connection with a small request and answer, waiting for 10 s.
    #[must_use]
    pub fn tcp(from: NamespaceId, dst: SocketAddrV4) -> Connect {
        Connect {
            from,
            source: None,
            sport: None,
            dst,
            protocol: Protocol::TCP,
            request: 80,
            answer: 120,
            data: None,
            timeout: Time::from_secs(10),
            resend: None,
            handshake: false,
            waits: false,
            echo: 1,
            whole: false,
            ttl: 0,
        }
    }

    /// One UDP datagram and its answer, waiting for 5 s.
    #[must_use]
    pub fn udp(from: NamespaceId, dst: SocketAddrV4) -> Connect {
        Connect {
            protocol: Protocol::UDP,
            timeout: Time::from_secs(5),
            request: 32,
            answer: 32,
            ..Connect::tcp(from, dst)
        }
    }

    /// One ICMP echo, waiting for 1 s.
    #[must_use]
    pub fn ping(from: NamespaceId, dst: Ipv4Addr) -> Connect {
        Connect {
            protocol: Protocol::ICMP,
            timeout: Time::from_secs(1),
            request: 56,
            answer: 56,
            ..Connect::tcp(from, SocketAddrV4::new(dst, 0))
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Connected, and everything asked for arrived.
    Connected,
    /// ECONNREFUSED
    Refused,
    /// EHOSTUNREACH or ENETUNREACH
    Unreachable,
    /// Nothing came back in time.
    Timeout,
    /// Connected, but a large payload never arrived whole.
    Stalled,
    /// EPERM on sending: the namespace's own OUTPUT chain refused or dropped it.
    Denied,
}

/// An ICMP error that came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct IcmpError {
    /// Who sent it.
    pub from: Ipv4Addr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
}

/// A connection that was run.
#[derive(Clone, Debug, Serialize)]
pub struct Connection {
    /// How it ended.
    pub verdict: Verdict,
    /// Who served it: namespace, and the listening socket's token (0 for an echo).
    pub server: Option<(NamespaceId, u64)>,
    /// The client's address and port as the server sees them.
    pub seen_source: Option<SocketAddrV4>,
    /// The server's own address and port.
    pub server_address: Option<SocketAddrV4>,
    /// The client's address and port.
    pub local: Option<SocketAddrV4>,
    /// Simulated time that it took.
    pub elapsed: Time,
    /// The TTL of the answer, as ping shows it.
    pub answer_ttl: Option<u8>,
    /// The ICMP error that ended it, or the last one seen.
    pub error: Option<IcmpError>,
    /// What goes on where the two sides have yet to say something.
    #[serde(skip)]
    pub conversation: Option<Box<Conversation>>,
}

impl Connection {
    /// One that never left its host, for there is no route.
    pub(crate) fn unreachable() -> Connection {
        Connection {
            verdict: Verdict::Unreachable,
            server: None,
            seen_source: None,
            server_address: None,
            local: None,
            elapsed: Time::ZERO,
            answer_ttl: None,
            error: None,
            conversation: None,
        }
    }
}
