//! Values that sets hold and rules compare, and their types as nft names and prints them.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::Protocol;

/// The longest key: two IPv6 addresses, a protocol and a port, or a device's name and some more.
pub(crate) const LONGEST: usize = 40;

/// A value or a concatenation of values, in network byte order, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    bytes: [u8; LONGEST],
    length: u8,
}

impl Default for Key {
    fn default() -> Self {
        Key::EMPTY
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x?}", self.bytes())
    }
}

impl Key {
    /// No value at all.
    pub const EMPTY: Key = Key {
        bytes: [0; LONGEST],
        length: 0,
    };

    /// A key of these bytes; what is too long is cut off.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Key {
        Key::EMPTY.then(bytes)
    }

    /// A number of four bytes.
    #[must_use]
    pub fn number(number: u32) -> Key {
        Key::of(&number.to_be_bytes())
    }

    /// With further bytes at its end.
    #[must_use]
    pub fn then(mut self, more: &[u8]) -> Key {
        let from = usize::from(self.length);
        let to = (from + more.len()).min(LONGEST);
        self.bytes[from..to].copy_from_slice(&more[..to - from]);
        self.length = to as u8;
        self
    }

    /// With an IPv4 address at its end.
    #[must_use]
    pub fn address(self, address: Ipv4Addr) -> Key {
        self.then(&address.octets())
    }

    /// With a protocol at its end.
    #[must_use]
    pub fn protocol(self, protocol: Protocol) -> Key {
        self.then(&[protocol.0])
    }

    /// With a port at its end.
    #[must_use]
    pub fn port(self, port: u16) -> Key {
        self.then(&port.to_be_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// The bytes of a field at a place.
    #[must_use]
    pub(crate) fn field(&self, at: usize, length: usize) -> &[u8] {
        self.bytes().get(at..at + length).unwrap_or_default()
    }

    /// As a number; of what is longer, its last four bytes.
    #[must_use]
    pub fn as_u32(&self) -> u32 {
        self.bytes()
            .iter()
            .fold(0, |n, byte| n << 8 | u32::from(*byte))
    }

    /// In the order in which nft lists concatenations: it sorts them as one number of the machine's own (little-endian)
    /// byte order (`concat_expr_msort_value` of nftables 1.0.6), so the last byte counts most.
    pub(crate) fn listing_order(&self, other: &Key, concatenated: bool) -> std::cmp::Ordering {
        if concatenated {
            self.bytes().iter().rev().cmp(other.bytes().iter().rev())
        } else {
            self.cmp(other)
        }
    }
}

/// The type of one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum DataType {
    Ipv4Addr,
    Ipv6Addr,
    InetProto,
    InetService,
    Mark,
    IfName,
    CtState,
    CtStatus,
    FibAddrType,
    IcmpType,
    Icmp6Type,
    TcpFlag,
    NfProto,
    /// A plain number.
    Integer,
}

const NAMES: [(DataType, &str, usize); 14] = [
    (DataType::Ipv4Addr, "ipv4_addr", 4),
    (DataType::Ipv6Addr, "ipv6_addr", 16),
    (DataType::InetProto, "inet_proto", 1),
    (DataType::InetService, "inet_service", 2),
    (DataType::Mark, "mark", 4),
    (DataType::IfName, "ifname", 16),
    (DataType::CtState, "ct_state", 4),
    (DataType::CtStatus, "ct_status", 4),
    (DataType::FibAddrType, "fib_addrtype", 4),
    (DataType::IcmpType, "icmp_type", 1),
    (DataType::Icmp6Type, "icmpv6_type", 1),
    (DataType::TcpFlag, "tcp_flag", 1),
    (DataType::NfProto, "nf_proto", 1),
    (DataType::Integer, "integer", 4),
];

/// States of a connection (`NF_CT_STATE_BIT`), in the order in which nft lists them.
const CT_STATES: [(&str, u32); 5] = [
    ("invalid", 1),
    ("new", 8),
    ("established", 2),
    ("related", 4),
    ("untracked", 64),
];

/// `enum ip_conntrack_status`
const CT_STATUS: [(&str, u32); 6] = [
    ("expected", 1),
    ("seen-reply", 2),
    ("assured", 4),
    ("confirmed", 8),
    ("snat", 16),
    ("dnat", 32),
];

/// Kinds of routes (`RTN_…`).
const FIB_TYPES: [(&str, u32); 9] = [
    ("unspec", 0),
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
];

const ICMP_TYPES: [(&str, u32); 6] = [
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("redirect", 5),
    ("echo-request", 8),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
];

const ICMP6_TYPES: [(&str, u32); 11] = [
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
];

const TCP_FLAGS: [(&str, u32); 8] = [
    ("fin", 1),
    ("syn", 2),
    ("rst", 4),
    ("psh", 8),
    ("ack", 16),
    ("urg", 32),
    ("ecn", 64),
    ("cwr", 128),
];

const NF_PROTOS: [(&str, u32); 2] = [("ipv4", 2), ("ipv6", 10)];

impl DataType {
    /// `ipv4_addr` …
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|t| t.0 == self).map_or("", |t| t.1)
    }

    /// The type of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<DataType> {
        NAMES.iter().find(|t| t.1 == name).map(|t| t.0)
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn length(self) -> usize {
        NAMES.iter().find(|t| t.0 == self).map_or(4, |t| t.2)
    }

    fn symbols(self) -> &'static [(&'static str, u32)] {
        match self {
            DataType::CtState => &CT_STATES,
            DataType::CtStatus => &CT_STATUS,
            DataType::FibAddrType => &FIB_TYPES,
            DataType::IcmpType => &ICMP_TYPES,
            DataType::Icmp6Type => &ICMP6_TYPES,
            DataType::TcpFlag => &TCP_FLAGS,
            DataType::NfProto => &NF_PROTOS,
            _ => &[],
        }
    }

    /// Is a value of it a set of bits, of which one is enough to match?
    pub(crate) fn is_bits(self) -> bool {
        matches!(
            self,
            DataType::CtState | DataType::CtStatus | DataType::TcpFlag
        )
    }

    /// Reads a value. None: it is none of this type.
    pub(crate) fn read(self, text: &str) -> Option<Key> {
        let number = || match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        };
        let bytes = match self {
            DataType::Ipv4Addr => return Some(Key::of(&text.parse::<Ipv4Addr>().ok()?.octets())),
            DataType::Ipv6Addr => return Some(Key::of(&text.parse::<Ipv6Addr>().ok()?.octets())),
            DataType::InetProto => {
                let protocol = Protocol::parse(text).filter(|p| p.0 != 0)?;
                return Some(Key::of(&[protocol.0]));
            }
            DataType::IfName => {
                let mut name = [0u8; 16];
                let bytes = text.as_bytes();
                name.get_mut(..bytes.len())
                    .filter(|_| bytes.len() < 16)?
                    .copy_from_slice(bytes);
                return Some(Key::of(&name));
            }
            DataType::InetService => u32::from(
                number()
                    .or_else(|| crate::netfilter::ports::port(text).map(u32::from))
                    .and_then(|n| u16::try_from(n).ok())?,
            ),
            _ if self.is_bits() => {
                let bit = |name: &str| self.symbols().iter().find(|s| s.0 == name).map(|s| s.1);
                text.split([',', '|'])
                    .map(bit)
                    .try_fold(0, |bits, bit| bit.map(|bit| bits | bit))?
            }
            _ => self
                .symbols()
                .iter()
                .find(|s| s.0 == text)
                .map(|s| s.1)
                .or_else(number)?,
        };
        let bytes = bytes.to_be_bytes();
        Some(Key::of(&bytes[4 - self.length().min(4)..]))
    }

    /// Prints a value.
    pub(crate) fn print(self, bytes: &[u8], out: &mut String) {
        let number = Key::of(bytes).as_u32();
        let _ = match self {
            DataType::Ipv4Addr => write!(out, "{}", Ipv4Addr::from_bits(number)),
            DataType::Ipv6Addr => {
                let octets: [u8; 16] = bytes.try_into().unwrap_or_default();
                write!(out, "{}", Ipv6Addr::from(octets))
            }
            DataType::InetProto => {
                let protocol = Protocol(number as u8);
                match protocol.name() {
                    Some(name) => out.write_str(name),
                    None => write!(out, "{number}"),
                }
            }
            DataType::Mark => write!(out, "{number:#010x}"),
            DataType::IfName => {
                let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
                write!(out, "\"{}\"", String::from_utf8_lossy(&bytes[..end]))
            }
            _ if self.is_bits() => {
                let names: Vec<&str> = self
                    .symbols()
                    .iter()
                    .filter(|s| number & s.1 != 0)
                    .map(|s| s.0)
                    .collect();
                out.write_str(&names.join(","))
            }
            _ => match self.symbols().iter().find(|s| s.1 == number) {
                Some((name, _)) => out.write_str(name),
                None => write!(out, "{number}"),
            },
        };
    }
}

/// Prints a concatenation: `10.43.0.1 . tcp . 443`.
pub(crate) fn print_key(types: &[DataType], key: &Key, out: &mut String) {
    let mut at = 0;
    for (n, kind) in types.iter().enumerate() {
        if n > 0 {
            out.push_str(" . ");
        }
        kind.print(key.field(at, kind.length()), out);
        at += kind.length();
    }
}

/// The names of types: `ipv4_addr . inet_proto`.
pub(crate) fn type_names(types: &[DataType]) -> String {
    types
        .iter()
        .map(|t| t.name())
        .collect::<Vec<_>>()
        .join(" . ")
}

/// A span of time as nft prints it: `1h30m`, `59m59s`, `500ms`.
pub(crate) fn duration_text(ms: u64) -> String {
    let mut text = String::new();
    let mut left = ms;
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        if left / size > 0 {
            let _ = write!(text, "{}{unit}", left / size);
        }
        left %= size;
    }
    text
}

/// Reads `1h30m`, `10800s`, `30` (seconds).
pub(crate) fn duration(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0u64);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let scale = match &rest[..letters] {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" | "" => 1000,
            "ms" => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(scale)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}
