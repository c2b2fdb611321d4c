//! What a rule is made of: conditions on a packet, and what is done with it.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::set::{DataKind, Set, print_range};
use super::value::{DataType, Key, duration_text, print_key};
use crate::netfilter::{ChainName, RejectWith};
use crate::packet::Protocol;
use crate::time::Time;

/// What of a packet is read, or drawn for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Selector {
    IpSaddr,
    IpDaddr,
    Ip6Saddr,
    Ip6Daddr,
    IpProtocol,
    IpTtl,
    L4Proto,
    NfProto,
    /// `th sport`, `th dport`: of whatever has ports.
    Port {
        destination: bool,
    },
    /// `tcp dport` and the like.
    PortOf(Protocol, bool),
    IcmpType,
    Icmp6Type,
    Ip6Nexthdr,
    /// `tcp flags`
    TcpFlags,
    /// By the device's number, which a rule shows by its name.
    Iif,
    Oif,
    Iifname,
    Oifname,
    Mark,
    CtMark,
    CtState,
    CtStatus,
    /// `fib saddr type`, `fib daddr type`
    FibType {
        source: bool,
    },
    Length,
    /// `numgen random|inc mod N offset M`
    Numgen {
        random: bool,
        modulus: u32,
        offset: u32,
    },
}

impl Selector {
    /// The type of what it gives.
    #[must_use]
    pub fn kind(self) -> DataType {
        match self {
            Selector::IpSaddr | Selector::IpDaddr => DataType::Ipv4Addr,
            Selector::Ip6Saddr | Selector::Ip6Daddr => DataType::Ipv6Addr,
            Selector::IpProtocol | Selector::L4Proto | Selector::Ip6Nexthdr => DataType::InetProto,
            Selector::NfProto => DataType::NfProto,
            Selector::Port { .. } | Selector::PortOf(..) => DataType::InetService,
            Selector::IcmpType => DataType::IcmpType,
            Selector::Icmp6Type => DataType::Icmp6Type,
            Selector::TcpFlags => DataType::TcpFlag,
            Selector::Iif | Selector::Oif | Selector::Iifname | Selector::Oifname => {
                DataType::IfName
            }
            Selector::Mark | Selector::CtMark => DataType::Mark,
            Selector::CtState => DataType::CtState,
            Selector::CtStatus => DataType::CtStatus,
            Selector::FibType { .. } => DataType::FibAddrType,
            Selector::IpTtl | Selector::Length | Selector::Numgen { .. } => DataType::Integer,
        }
    }

    pub(crate) fn print(self, out: &mut String) {
        let side = |destination: bool| if destination { "dport" } else { "sport" };
        let _ = match self {
            Selector::IpSaddr => out.write_str("ip saddr"),
            Selector::IpDaddr => out.write_str("ip daddr"),
            Selector::Ip6Saddr => out.write_str("ip6 saddr"),
            Selector::Ip6Daddr => out.write_str("ip6 daddr"),
            Selector::IpProtocol => out.write_str("ip protocol"),
            Selector::IpTtl => out.write_str("ip ttl"),
            Selector::L4Proto => out.write_str("meta l4proto"),
            Selector::NfProto => out.write_str("meta nfproto"),
            Selector::Port { destination } => write!(out, "th {}", side(destination)),
            Selector::PortOf(protocol, destination) => {
                write!(out, "{protocol} {}", side(destination))
            }
            Selector::IcmpType => out.write_str("icmp type"),
            Selector::Icmp6Type => out.write_str("icmpv6 type"),
            Selector::Ip6Nexthdr => out.write_str("ip6 nexthdr"),
            Selector::TcpFlags => out.write_str("tcp flags"),
            Selector::Iif => out.write_str("iif"),
            Selector::Oif => out.write_str("oif"),
            Selector::Iifname => out.write_str("iifname"),
            Selector::Oifname => out.write_str("oifname"),
            Selector::Mark => out.write_str("meta mark"),
            Selector::CtMark => out.write_str("ct mark"),
            Selector::CtState => out.write_str("ct state"),
            Selector::CtStatus => out.write_str("ct status"),
            Selector::FibType { source: true } => out.write_str("fib saddr type"),
            Selector::FibType { source: false } => out.write_str("fib daddr type"),
            Selector::Length => out.write_str("meta length"),
            Selector::Numgen {
                random,
                modulus,
                offset,
            } => {
                let _ = write!(
                    out,
                    "numgen {} mod {modulus}",
                    if random { "random" } else { "inc" }
                );
                match offset {
                    0 => Ok(()),
                    offset => write!(out, " offset {offset}"),
                }
            }
        };
    }
}

pub(crate) fn print_selectors(selectors: &[Selector], out: &mut String) {
    for (n, selector) in selectors.iter().enumerate() {
        if n > 0 {
            out.push_str(" . ");
        }
        selector.print(out);
    }
}

/// The types that selectors give.
pub(crate) fn kinds(selectors: &[Selector]) -> Vec<DataType> {
    selectors.iter().map(|s| s.kind()).collect()
}

/// How a value is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    Greater,
    AtMost,
    AtLeast,
}

impl Comparison {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::Greater => ">",
            Comparison::AtMost => "<=",
            Comparison::AtLeast => ">=",
        }
    }
}

/// What a value is compared with.
#[derive(Clone, PartialEq, Debug)]
pub enum Values {
    /// One value.
    One(Key),
    /// An interval, both ends in it.
    Range(Key, Key),
    /// The beginning of a device's name: `"cali*"`.
    Beginning(Arc<str>),
    /// A set that belongs to the rule.
    Set(Arc<Set>),
    /// A set of the table, by name.
    Named(ChainName),
}

/// A map that belongs to a rule, or one of the table.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum MapRef {
    Own(Arc<Set>),
    Named(ChainName),
}

impl MapRef {
    pub(crate) fn print(&self, out: &mut String) {
        match self {
            MapRef::Own(set) => set.print_anonymous(out),
            MapRef::Named(name) => {
                let _ = write!(out, "@{name}");
            }
        }
    }
}

/// Where a packet goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Verdict {
    Accept,
    Drop,
    Continue,
    Return,
    Jump(ChainName),
    Goto(ChainName),
}

impl Verdict {
    /// As a rule spells it: `goto CHAIN`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.print(&mut text);
        text
    }

    pub(crate) fn print(&self, out: &mut String) {
        let _ = match self {
            Verdict::Accept => out.write_str("accept"),
            Verdict::Drop => out.write_str("drop"),
            Verdict::Continue => out.write_str("continue"),
            Verdict::Return => out.write_str("return"),
            Verdict::Jump(chain) => write!(out, "jump {chain}"),
            Verdict::Goto(chain) => write!(out, "goto {chain}"),
        };
    }

    /// The chain that it leads to.
    #[must_use]
    pub fn chain(&self) -> Option<&ChainName> {
        match self {
            Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
            _ => None,
        }
    }
}

/// What a mark becomes: the bits of `mask` are kept, then those of `flip` flipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum MarkChange {
    To(u32),
    Or(u32),
    And(u32),
    Xor(u32),
}

impl MarkChange {
    pub(crate) fn apply(self, mark: u32) -> u32 {
        match self {
            MarkChange::To(value) => value,
            MarkChange::Or(value) => mark | value,
            MarkChange::And(value) => mark & value,
            MarkChange::Xor(value) => mark ^ value,
        }
    }

    fn print(self, out: &mut String) {
        let (operator, value) = match self {
            MarkChange::To(value) => ("", value),
            MarkChange::Or(value) => ("|", value),
            MarkChange::And(value) => ("&", value),
            MarkChange::Xor(value) => ("^", value),
        };
        out.push_str("meta mark set ");
        if !operator.is_empty() {
            let _ = write!(out, "meta mark {operator} ");
        }
        let _ = write!(out, "{value:#010x}");
    }
}

/// Which side of a connection is changed, and to what kind of address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum NatKind {
    Dnat,
    Snat,
    Masquerade,
    Redirect,
}

/// What a connection's side becomes.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum NatTo {
    /// Left to the kind: the outgoing device's address, this host.
    Nothing,
    Fixed {
        addresses: Option<(Ipv4Addr, Ipv4Addr)>,
        ports: Option<(u16, u16)>,
    },
    /// Looked up: an address, or an address and a port.
    Map(Vec<Selector>, MapRef),
}

/// An address translation.
#[derive(Clone, PartialEq, Debug)]
pub struct Nat {
    /// What is changed.
    pub kind: NatKind,
    /// To what.
    pub to: NatTo,
    /// `random`
    pub random: bool,
    /// `fully-random`
    pub fully_random: bool,
    /// `persistent`
    pub persistent: bool,
    /// `dnat ip to …`: in a table of both families it is said which.
    pub family: bool,
}

impl Nat {
    /// One without flags.
    #[must_use]
    pub fn new(kind: NatKind, to: NatTo) -> Nat {
        Nat {
            kind,
            to,
            random: false,
            fully_random: false,
            persistent: false,
            family: false,
        }
    }

    /// Is it said which family's address it is? Where an address and a port come of a map it always is.
    pub(crate) fn names_family(&self) -> bool {
        self.family
            || match &self.to {
                NatTo::Map(_, MapRef::Own(map)) => match &map.data {
                    Some(DataKind::Values(kinds)) => kinds.len() > 1,
                    _ => false,
                },
                NatTo::Map(_, MapRef::Named(_)) => true,
                _ => false,
            }
    }

    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let flags = [
            (self.random, "random"),
            (self.fully_random, "fully-random"),
            (self.persistent, "persistent"),
        ];
        flags.iter().filter(|f| f.0).map(|f| f.1).collect()
    }

    fn print(&self, out: &mut String) {
        out.push_str(match self.kind {
            NatKind::Dnat => "dnat",
            NatKind::Snat => "snat",
            NatKind::Masquerade => "masquerade",
            NatKind::Redirect => "redirect",
        });
        if self.names_family() {
            out.push_str(" ip");
        }
        match &self.to {
            NatTo::Nothing => {}
            NatTo::Fixed { addresses, ports } => {
                out.push_str(" to ");
                if let Some((first, last)) = addresses {
                    let _ = write!(out, "{first}");
                    if first != last {
                        let _ = write!(out, "-{last}");
                    }
                }
                if let Some((first, last)) = ports {
                    let _ = write!(out, ":{first}");
                    if first != last {
                        let _ = write!(out, "-{last}");
                    }
                }
            }
            NatTo::Map(selectors, map) => {
                out.push_str(" to ");
                print_selectors(selectors, out);
                out.push_str(" map ");
                map.print(out);
            }
        }
        let flags = self.flags();
        if !flags.is_empty() {
            let _ = write!(out, " {}", flags.join(","));
        }
    }
}

/// One part of a rule: all are carried out one after the other, until one does not match or decides.
#[derive(Clone, PartialEq, Debug)]
pub enum Statement {
    /// A condition.
    Match {
        /// What is looked at.
        left: Vec<Selector>,
        /// Only these bits of it.
        mask: Option<u32>,
        /// How it is compared.
        comparison: Comparison,
        /// With what.
        right: Values,
    },
    /// The verdict that a map has for a value; no verdict, no match.
    VerdictMap(Vec<Selector>, MapRef),
    /// A verdict.
    Verdict(Verdict),
    /// Changes the packet's mark.
    SetMark(MarkChange),
    /// Translates addresses.
    Nat(Nat),
    /// Refuses.
    Reject(RejectWith, Wording),
    /// So many packets in a time, or what is over that.
    Limit(Rate),
    /// Puts an element into a set (or takes it out) while the packet passes.
    Update {
        /// `add`, `update` or `delete`.
        operation: Update,
        /// The set.
        set: ChainName,
        /// The element.
        key: Vec<Selector>,
        /// How long it stays, in milliseconds, if not as long as its set says.
        timeout: Option<u64>,
    },
    /// Counts.
    Counter,
    /// Writes to the kernel's log, which nobody keeps here.
    Log(Option<Arc<str>>),
    /// The packet is not tracked.
    Notrack,
}

/// How a refusal is spelt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wording {
    /// In a table of one family, where "port unreachable" goes without saying.
    Plain,
    /// `with icmp …`
    Icmp,
    /// `with icmpx …`, whatever the packet's family; "port unreachable" goes without saying.
    Icmpx,
}

/// `limit rate` (`net/netfilter/nft_limit.c`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Packets in each unit of time.
    pub number: u32,
    /// A unit of `Rate::UNITS`.
    pub unit: u8,
    /// What is let through at once.
    pub burst: u32,
    /// Does it match what is over the rate?
    pub over: bool,
}

impl Rate {
    /// Units of time by name, in seconds.
    pub(crate) const UNITS: [(&'static str, u64); 5] = [
        ("second", 1),
        ("minute", 60),
        ("hour", 3600),
        ("day", 86_400),
        ("week", 604_800),
    ];
    /// What is let through at once where nothing is said.
    pub(crate) const BURST: u32 = 5;

    /// Waiting time that one packet costs.
    pub(crate) fn cost(self) -> Time {
        let seconds = Rate::UNITS.get(usize::from(self.unit)).map_or(1, |u| u.1);
        Time(seconds * 1_000_000_000 / u64::from(self.number.max(1)))
    }

    fn print(self, out: &mut String) {
        let unit = Rate::UNITS.get(usize::from(self.unit)).map_or("", |u| u.0);
        let over = if self.over { "over " } else { "" };
        let _ = write!(out, "limit rate {over}{}/{unit}", self.number);
        if self.burst != Rate::BURST {
            let _ = write!(out, " burst {} packets", self.burst);
        }
    }
}

/// What is done to a set's element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Update {
    Add,
    Update,
    Delete,
}

impl Update {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Update::Add => "add",
            Update::Update => "update",
            Update::Delete => "delete",
        }
    }
}

impl Statement {
    /// `SELECTOR VALUE`
    #[must_use]
    pub fn is(left: Selector, right: Values) -> Statement {
        Statement::Match {
            left: vec![left],
            mask: None,
            comparison: Comparison::Equal,
            right,
        }
    }

    /// `SELECTOR != VALUE`
    #[must_use]
    pub fn is_not(left: Selector, right: Values) -> Statement {
        Statement::Match {
            left: vec![left],
            mask: None,
            comparison: Comparison::NotEqual,
            right,
        }
    }

    /// `jump CHAIN`
    #[must_use]
    pub fn jump(chain: &ChainName) -> Statement {
        Statement::Verdict(Verdict::Jump(chain.clone()))
    }

    /// `goto CHAIN`
    #[must_use]
    pub fn goto(chain: &ChainName) -> Statement {
        Statement::Verdict(Verdict::Goto(chain.clone()))
    }

    /// The map that it looks something up in.
    pub(crate) fn map(&self) -> Option<&MapRef> {
        match self {
            Statement::VerdictMap(_, map) => Some(map),
            Statement::Nat(Nat {
                to: NatTo::Map(_, map),
                ..
            }) => Some(map),
            _ => None,
        }
    }

    /// The set or map of its table that it names.
    pub(crate) fn named_set(&self) -> Option<&ChainName> {
        match self {
            Statement::Match {
                right: Values::Named(name),
                ..
            }
            | Statement::Update { set: name, .. } => Some(name),
            other => match other.map()? {
                MapRef::Named(name) => Some(name),
                MapRef::Own(_) => None,
            },
        }
    }

    /// Does it need connections to be tracked?
    pub(crate) fn needs_tracking(&self) -> bool {
        let ct = |selectors: &[Selector]| {
            selectors
                .iter()
                .any(|s| matches!(s, Selector::CtState | Selector::CtStatus | Selector::CtMark))
        };
        match self {
            Statement::Nat(_) => true,
            Statement::Match { left, .. } | Statement::VerdictMap(left, _) => ct(left),
            _ => false,
        }
    }

    pub(crate) fn print(&self, counter: Option<crate::netfilter::Counter>, out: &mut String) {
        match self {
            Statement::Match {
                left,
                mask,
                comparison,
                right,
            } => {
                print_selectors(left, out);
                // `tcp flags syn / fin,syn,rst,ack`
                if let (Some(mask), [Selector::TcpFlags]) = (mask, left.as_slice()) {
                    if *comparison != Comparison::Equal {
                        let _ = write!(out, " {}", comparison.word());
                    }
                    out.push(' ');
                    print_values(&kinds(left), right, out);
                    out.push_str(" / ");
                    DataType::TcpFlag.print(&[*mask as u8], out);
                    return;
                }
                if let Some(mask) = mask {
                    let _ = write!(out, " & {mask:#010x}");
                }
                if mask.is_some() || *comparison != Comparison::Equal {
                    let _ = write!(out, " {}", comparison.word());
                }
                out.push(' ');
                print_values(&kinds(left), right, out);
            }
            Statement::VerdictMap(selectors, map) => {
                print_selectors(selectors, out);
                out.push_str(" vmap ");
                map.print(out);
            }
            Statement::Verdict(verdict) => verdict.print(out),
            Statement::SetMark(change) => change.print(out),
            Statement::Nat(nat) => nat.print(out),
            Statement::Reject(RejectWith::PortUnreachable, Wording::Plain | Wording::Icmpx) => {
                out.push_str("reject");
            }
            Statement::Reject(RejectWith::TcpReset, _) => out.push_str("reject with tcp reset"),
            Statement::Reject(RejectWith::NetUnreachable, Wording::Icmpx) => {
                out.push_str("reject with icmpx no-route");
            }
            Statement::Reject(with, wording) => {
                let name = with.name();
                let kind = name.strip_prefix("icmp-").unwrap_or(name);
                let any = if *wording == Wording::Icmpx { "x" } else { "" };
                let _ = write!(out, "reject with icmp{any} {kind}");
            }
            Statement::Limit(rate) => rate.print(out),
            Statement::Update {
                operation,
                set,
                key,
                timeout,
            } => {
                let _ = write!(out, "{} @{set} {{ ", operation.word());
                print_selectors(key, out);
                if let Some(timeout) = timeout {
                    let _ = write!(out, " timeout {}", duration_text(*timeout));
                }
                out.push_str(" }");
            }
            Statement::Counter => {
                out.push_str("counter");
                if let Some(counter) = counter {
                    let _ = write!(out, " packets {} bytes {}", counter.packets, counter.bytes);
                }
            }
            Statement::Log(None) => out.push_str("log"),
            Statement::Log(Some(prefix)) => {
                let _ = write!(out, "log prefix \"{prefix}\"");
            }
            Statement::Notrack => out.push_str("notrack"),
        }
    }
}

fn print_values(kinds: &[DataType], values: &Values, out: &mut String) {
    match values {
        Values::One(key) => print_key(kinds, key, out),
        Values::Range(from, to) => {
            let kind = kinds.first().copied().unwrap_or(DataType::Integer);
            print_range(kind, from.bytes(), to.bytes(), out);
        }
        Values::Beginning(text) => {
            let _ = write!(out, "\"{text}*\"");
        }
        Values::Set(set) => set.print_anonymous(out),
        Values::Named(name) => {
            let _ = write!(out, "@{name}");
        }
    }
}
