//! `-m addrtype`: what kind of address routing takes it for.

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::arguments::Arguments;
use super::evaluate::Context;
use crate::link::LinkId;
use crate::route::{RouteKind, RouteTable};

const LOCAL: u16 = 4;
const TYPES: [(u16, &str); 8] = [
    (1, "UNSPEC"),
    (2, "UNICAST"),
    (LOCAL, "LOCAL"),
    (8, "BROADCAST"),
    (16, "MULTICAST"),
    (32, "BLACKHOLE"),
    (64, "UNREACHABLE"),
    (128, "PROHIBIT"),
];

/// Types of source and destination address.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AddrType {
    source: Option<(u16, bool)>,
    destination: Option<(u16, bool)>,
    limit_in: bool,
    limit_out: bool,
}

fn names(types: u16) -> String {
    TYPES
        .iter()
        .filter(|t| types & t.0 != 0)
        .map(|t| t.1)
        .collect::<Vec<_>>()
        .join(",")
}

/// The bit of an address' type, by the table of the namespace's own addresses.
pub(crate) fn type_of(local: &RouteTable, address: Ipv4Addr, dev: Option<LinkId>) -> u16 {
    if address.is_unspecified() {
        return 1;
    }
    if address.is_multicast() {
        return 16;
    }
    if address.is_broadcast() {
        return 8;
    }
    match local.lookup(address, dev).map(|r| r.kind) {
        Some(RouteKind::Local) => 4,
        Some(RouteKind::Broadcast) => 8,
        // `__inet_dev_addr_type` asks the local table alone: a blackhole elsewhere is unicast to it.
        _ => 2,
    }
}

impl AddrType {
    /// `--src-type LOCAL`
    #[must_use]
    pub fn local_source() -> AddrType {
        AddrType {
            source: Some((LOCAL, false)),
            ..AddrType::default()
        }
    }

    /// `--dst-type LOCAL`
    #[must_use]
    pub fn local_destination() -> AddrType {
        AddrType {
            destination: Some((LOCAL, false)),
            ..AddrType::default()
        }
    }

    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        let types = |text: &str| {
            let bit = |name: &str| {
                TYPES
                    .iter()
                    .find(|t| t.1.eq_ignore_ascii_case(name))
                    .map(|t| t.0)
                    .ok_or_else(|| format!("addrtype: bad type `{name}'"))
            };
            text.split(',')
                .map(bit)
                .try_fold(0, |bits, bit| bit.map(|bit| bits | bit))
        };
        match word {
            "--src-type" => self.source = Some((types(args.value(word)?)?, invert)),
            "--dst-type" => self.destination = Some((types(args.value(word)?)?, invert)),
            "--limit-iface-in" => self.limit_in = true,
            "--limit-iface-out" => self.limit_out = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn save(&self, out: &mut String) {
        out.push_str(" -m addrtype");
        for (types, option) in [
            (self.source, "--src-type"),
            (self.destination, "--dst-type"),
        ] {
            if let Some((types, invert)) = types {
                let _ = write!(
                    out,
                    "{} {option} {}",
                    if invert { " !" } else { "" },
                    names(types)
                );
            }
        }
        if self.limit_in {
            out.push_str(" --limit-iface-in");
        }
        if self.limit_out {
            out.push_str(" --limit-iface-out");
        }
    }

    pub(crate) fn list(&self, out: &mut String) {
        out.push_str(" ADDRTYPE match");
        for (types, option) in [(self.source, "src-type"), (self.destination, "dst-type")] {
            if let Some((types, invert)) = types {
                let _ = write!(
                    out,
                    " {option} {}{}",
                    if invert { "!" } else { "" },
                    names(types)
                );
            }
        }
        if self.limit_in {
            out.push_str(" limit-in");
        }
        if self.limit_out {
            out.push_str(" limit-out");
        }
    }

    /// In nft's words.
    pub(crate) fn translated(&self) -> String {
        let part = |side: Option<(u16, bool)>, word: &str| {
            let (types, invert) = side?;
            let not = if invert { "!= " } else { "" };
            Some(format!(
                "fib {word} type {not}{}",
                names(types).to_ascii_lowercase()
            ))
        };
        let parts = [part(self.source, "saddr"), part(self.destination, "daddr")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn matches(&self, cx: &Context) -> bool {
        let dev = if self.limit_in {
            cx.in_link
        } else if self.limit_out {
            cx.out_link
        } else {
            None
        };
        let is = |want: Option<(u16, bool)>, address| {
            want.is_none_or(|(types, invert)| {
                (types & type_of(cx.local, address, dev) != 0) != invert
            })
        };
        is(self.source, cx.src()) && is(self.destination, cx.dst())
    }
}
