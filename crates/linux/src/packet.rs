//! Packets as structured headers: what a capture would show, without the bytes.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An Ethernet address, printed as `7a:00:0a:2a:01:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`
    pub const BROADCAST: Mac = Mac([0xff; 6]);
    /// `00:00:00:00:00:00`
    pub const ZERO: Mac = Mac([0; 6]);

    /// A locally administered unicast address that differs for every `number`, scattered as the kernel's random ones are.
    #[must_use]
    pub fn scattered(number: u64) -> Mac {
        let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (z ^ (z >> 32)).to_be_bytes();
        // The low bytes carry the number itself, so that no two collide.
        Mac([
            (b[0] & 0xfc) | 0x02,
            b[1],
            (number >> 24) as u8 ^ b[2],
            (number >> 16) as u8 ^ b[2],
            (number >> 8) as u8 ^ b[2],
            number as u8 ^ b[2],
        ])
    }

    /// Group addresses: broadcast and multicast.
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Mac, String> {
        let mut bytes = [0u8; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| !p.is_empty() && p.len() <= 2);
            *byte = part
                .and_then(|p| u8::from_str_radix(p, 16).ok())
                .ok_or_else(|| format!("\"{text}\" is invalid lladdr."))?;
        }
        if parts.next().is_some() {
            return Err(format!("\"{text}\" is invalid lladdr."));
        }
        Ok(Mac(bytes))
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An IP protocol number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub struct Protocol(pub u8);

#[allow(missing_docs)]
impl Protocol {
    pub const ICMP: Protocol = Protocol(1);
    pub const IPIP: Protocol = Protocol(4);
    pub const TCP: Protocol = Protocol(6);
    pub const UDP: Protocol = Protocol(17);
    pub const SCTP: Protocol = Protocol(132);

    /// The name as iptables and conntrack print it, in small letters; None for protocols without one here.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "all",
            1 => "icmp",
            2 => "igmp",
            4 => "ipencap",
            6 => "tcp",
            17 => "udp",
            33 => "dccp",
            41 => "ipv6",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            58 => "ipv6-icmp",
            132 => "sctp",
            136 => "udplite",
            _ => return None,
        })
    }

    /// The protocol of a name (any case) or number, as `-p` takes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Protocol> {
        if let Ok(number) = text.parse::<u8>() {
            return Some(Protocol(number));
        }
        let small = text.to_ascii_lowercase();
        if small == "icmpv6" {
            return Some(Protocol(58));
        }
        (0..=255)
            .map(Protocol)
            .find(|p| p.name() == Some(small.as_str()))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The Ethernet header's addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Ethernet {
    /// Sender's address.
    pub src: Mac,
    /// Receiver's address.
    pub dst: Mac,
}

/// What of the IPv4 header matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Ipv4 {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Time to live: hops left.
    pub ttl: u8,
    /// Protocol of the layer above.
    pub protocol: Protocol,
    /// Identification.
    pub id: u16,
    /// Don't Fragment.
    pub df: bool,
}

/// TCP flags, as the header's bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TcpFlags(pub u8);

#[allow(missing_docs)]
impl TcpFlags {
    pub const FIN: TcpFlags = TcpFlags(1);
    pub const SYN: TcpFlags = TcpFlags(2);
    pub const RST: TcpFlags = TcpFlags(4);
    pub const PSH: TcpFlags = TcpFlags(8);
    pub const ACK: TcpFlags = TcpFlags(16);
    pub const URG: TcpFlags = TcpFlags(32);
    pub const SYN_ACK: TcpFlags = TcpFlags(18);
    pub const PSH_ACK: TcpFlags = TcpFlags(24);
    pub const FIN_ACK: TcpFlags = TcpFlags(17);
    pub const RST_ACK: TcpFlags = TcpFlags(20);

    /// Are all bits of `other` set?
    #[must_use]
    pub const fn has(self, other: TcpFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for TcpFlags {
    /// `SYN,ACK`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u8, &str); 6] = [
            (2, "SYN"),
            (4, "RST"),
            (1, "FIN"),
            (8, "PSH"),
            (16, "ACK"),
            (32, "URG"),
        ];
        let mut first = true;
        for (bit, name) in NAMES {
            if self.0 & bit != 0 {
                write!(f, "{}{name}", if first { "" } else { "," })?;
                first = false;
            }
        }
        Ok(())
    }
}

impl Serialize for TcpFlags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The header above IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Flags.
        flags: TcpFlags,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
    },
    /// UDP.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// SCTP: only its ports are modelled.
    Sctp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// ICMP (RFC 792).
    Icmp {
        /// Type: 8 echo request, 0 echo reply, 3 destination unreachable, 5 redirect, 11 time exceeded.
        kind: u8,
        /// Code within the type.
        code: u8,
        /// Identifier of an echo; 0 otherwise.
        id: u16,
        /// Sequence number of an echo; the next hop's MTU in "fragmentation needed".
        seq: u16,
    },
    /// Anything else: only its length is known.
    Other,
}

impl Transport {
    /// Source and destination port, (0, 0) where there are none.
    #[must_use]
    pub fn ports(&self) -> (u16, u16) {
        match *self {
            Transport::Tcp { sport, dport, .. }
            | Transport::Udp { sport, dport }
            | Transport::Sctp { sport, dport } => (sport, dport),
            _ => (0, 0),
        }
    }

    /// Changes the source port (or an echo's identifier), as source NAT does.
    pub(crate) fn set_sport(&mut self, port: u16) {
        match self {
            Transport::Tcp { sport, .. }
            | Transport::Udp { sport, .. }
            | Transport::Sctp { sport, .. } => *sport = port,
            Transport::Icmp { id, .. } => *id = port,
            Transport::Other => {}
        }
    }

    /// Changes the destination port, as destination NAT does.
    pub(crate) fn set_dport(&mut self, port: u16) {
        match self {
            Transport::Tcp { dport, .. }
            | Transport::Udp { dport, .. }
            | Transport::Sctp { dport, .. } => *dport = port,
            Transport::Icmp { id, .. } => *id = port,
            Transport::Other => {}
        }
    }
}

/// The headers of one packet, from Ethernet up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Headers {
    /// Ethernet addresses of the link it is on, or was on last.
    pub eth: Ethernet,
    /// IPv4.
    pub ip: Ipv4,
    /// TCP, UDP, ICMP …
    pub l4: Transport,
}

impl Headers {
    /// Source address and port.
    #[must_use]
    pub fn source(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip.src, self.l4.ports().0)
    }

    /// Destination address and port.
    #[must_use]
    pub fn destination(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip.dst, self.l4.ports().1)
    }
}

/// What is in a tunnel's packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encapsulated {
    /// The virtual network's identifier, in a VXLAN packet (RFC 7348); none in an IPIP packet (RFC 2003).
    pub vni: Option<u32>,
    /// The frame or packet inside.
    pub packet: Packet,
}

/// One packet: headers, payload and what is inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Ethernet, IP and the layer above; of the outer packet if this one is a tunnel's.
    pub headers: Headers,
    /// Bytes of payload above the transport header (for a tunnel's packet: VXLAN header and the whole inner frame).
    pub length: u32,
    /// The payload itself, where somebody gave it.
    pub data: Option<Arc<[u8]>>,
    /// In an ICMP error: the headers of the packet that caused it.
    pub quoted: Option<Box<Headers>>,
    /// In a tunnel's packet: what is inside.
    pub inner: Option<Box<Encapsulated>>,
    /// The checksum of the innermost TCP or UDP packet is still left to a device (`CHECKSUM_PARTIAL`).
    pub offloaded: bool,
    /// The UDP checksum of a tunnel's packet is wrong: it was translated while the one inside was still left out.
    pub spoiled: bool,
    /// How often a time-out has made its socket choose another hash (`net.core.txrehash`).
    pub rehashed: u8,
}

impl Packet {
    /// A packet of these headers without payload.
    #[must_use]
    pub fn new(headers: Headers) -> Packet {
        Packet {
            headers,
            length: 0,
            data: None,
            quoted: None,
            inner: None,
            offloaded: matches!(headers.ip.protocol, Protocol::TCP | Protocol::UDP),
            spoiled: false,
            rehashed: 0,
        }
    }

    /// Will whoever receives it find its checksum wrong? Nobody looks before a device has filled in the one inside.
    pub(crate) fn is_damaged(&self) -> bool {
        self.spoiled && !self.offloaded
    }

    /// The IP packet's total length in bytes. TCP carries the options that Linux sends: 20 bytes on SYN, 12 on others
    /// (timestamps), none on a reset.
    #[must_use]
    pub fn total_length(&self) -> u32 {
        let header = match self.headers.l4 {
            Transport::Tcp { flags, .. } if flags.has(TcpFlags::SYN) => 40,
            Transport::Tcp { flags, .. } if flags.has(TcpFlags::RST) => 20,
            Transport::Tcp { .. } => 32,
            Transport::Udp { .. } | Transport::Icmp { .. } => 8,
            Transport::Sctp { .. } => 12,
            Transport::Other => 0,
        };
        20 + header + self.length
    }
}
