//! What a rule is evaluated against.

use std::net::Ipv4Addr;

use super::rule::{Match, Rule};
use super::{ChainName, Changing, Sets, TableKind};
use crate::link::LinkId;
use crate::packet::{Headers, Packet};
use crate::route::RouteTable;
use crate::time::{Dice, Time};

/// What connection tracking says of a packet, as `-m conntrack --ctstate` sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum CtState {
    /// Belongs to no connection that makes sense.
    Invalid,
    New,
    Related,
    Established,
    #[default]
    Untracked,
}

/// A packet in a table, with what of its namespace rules ask for.
pub(crate) struct Context<'a> {
    pub packet: &'a Packet,
    pub mark: u32,
    pub ct_state: CtState,
    /// Its connection's destination (source) was changed.
    pub dnat: bool,
    pub snat: bool,
    pub in_device: Option<&'a str>,
    pub out_device: Option<&'a str>,
    /// Ports of the bridge by which a bridged packet came and goes.
    pub physical_in: Option<&'a str>,
    pub physical_out: Option<&'a str>,
    /// The device that local addresses may be restricted to.
    pub in_link: Option<LinkId>,
    pub out_link: Option<LinkId>,
    /// The namespace's own addresses.
    pub local: &'a RouteTable,
    pub sets: Sets<'a>,
    pub state: Changing<'a>,
    pub now: Time,
    pub dice: &'a mut dyn Dice,
    /// The rule that is asked, for matches that count per rule.
    pub table: TableKind,
    pub chain: &'a ChainName,
    pub index: u32,
}

impl Context<'_> {
    pub fn headers(&self) -> &Headers {
        &self.packet.headers
    }

    pub fn src(&self) -> Ipv4Addr {
        self.packet.headers.ip.src
    }

    pub fn dst(&self) -> Ipv4Addr {
        self.packet.headers.ip.dst
    }
}

impl Rule {
    /// Does the packet meet every condition? They are asked in the order in which the kernel asks them.
    pub(crate) fn matches(&self, cx: &mut Context) -> bool {
        self.source.is_none_or(|m| m.matches(cx.src()))
            && self.destination.is_none_or(|m| m.matches(cx.dst()))
            && self
                .in_interface
                .as_ref()
                .is_none_or(|m| m.matches(cx.in_device))
            && self
                .out_interface
                .as_ref()
                .is_none_or(|m| m.matches(cx.out_device))
            && self.protocol.is_none_or(|(protocol, invert)| {
                (cx.packet.headers.ip.protocol == protocol) != invert
            })
            && self.matches.iter().all(|m| m.matches(cx))
    }
}

impl Match {
    #[inline]
    fn matches(&self, cx: &mut Context) -> bool {
        match self {
            Match::Comment(_) => true,
            Match::Ports(m) => m.matches(cx.headers()),
            Match::Icmp(m) => m.matches(cx.headers()),
            Match::Multiport(m) => m.matches(cx.headers()),
            Match::Conntrack(m) => m.matches(cx),
            Match::Mark(m) => m.matches(cx.mark),
            Match::Statistic(m) => m.matches(cx),
            Match::Recent(m) => m.matches(cx),
            Match::Set(m) => m.matches(cx),
            Match::AddrType(m) => m.matches(cx),
            Match::Physdev(m) => m.matches(cx),
            Match::Nfacct(m) => m.matches(cx),
            Match::Limit(m) => m.matches(cx),
        }
    }
}
