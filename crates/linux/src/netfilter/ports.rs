//! `-m tcp`, `-m udp`, `-m sctp`, `-m icmp` and `-m multiport`.

use std::fmt::Write;

use super::arguments::Arguments;
use crate::packet::{Headers, Protocol, TcpFlags, Transport};

/// A range of ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// First and last.
    pub range: (u16, u16),
    /// Negated.
    pub invert: bool,
}

impl Ports {
    fn matches(self, port: u16) -> bool {
        (port >= self.range.0 && port <= self.range.1) != self.invert
    }
}

/// Ports (and flags) of one protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortMatch {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// `--sport`
    pub source: Option<Ports>,
    /// `--dport`
    pub destination: Option<Ports>,
    /// `--tcp-flags MASK COMPARE`, and whether it is negated
    pub flags: Option<(TcpFlags, TcpFlags, bool)>,
}

/// Well-known names of ports (`/etc/services`) as far as listings are likely to meet them.
const SERVICES: &[(u16, &str)] = &[
    (20, "ftp-data"),
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (53, "domain"),
    (67, "bootps"),
    (80, "http"),
    (110, "pop3"),
    (123, "ntp"),
    (143, "imap2"),
    (179, "bgp"),
    (389, "ldap"),
    (443, "https"),
    (514, "syslog"),
    (3306, "mysql"),
    (5432, "postgresql"),
    (6379, "redis"),
    (8080, "http-alt"),
    (10050, "zabbix-agent"),
];

pub(crate) fn port(text: &str) -> Option<u16> {
    text.parse().ok().or_else(|| {
        SERVICES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(port, _)| *port)
    })
}

pub(crate) fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = match text.split_once(':') {
        None => (port(text)?, port(text)?),
        Some((first, last)) => (
            if first.is_empty() { 0 } else { port(first)? },
            if last.is_empty() {
                u16::MAX
            } else {
                port(last)?
            },
        ),
    };
    (first <= last).then_some((first, last))
}

fn named(port: u16, numeric: bool) -> String {
    match SERVICES.iter().find(|(p, _)| *p == port) {
        Some((_, name)) if !numeric => (*name).to_owned(),
        _ => port.to_string(),
    }
}

const FLAGS: [(u8, &str); 6] = [
    (1, "FIN"),
    (2, "SYN"),
    (4, "RST"),
    (8, "PSH"),
    (16, "ACK"),
    (32, "URG"),
];

fn flags(text: &str) -> Option<TcpFlags> {
    match text {
        "NONE" => Some(TcpFlags(0)),
        "ALL" => Some(TcpFlags(63)),
        _ => text
            .split(',')
            .try_fold(0, |bits, name| {
                Some(bits | FLAGS.iter().find(|f| f.1 == name)?.0)
            })
            .map(TcpFlags),
    }
}

fn flags_text(flags: TcpFlags) -> String {
    if flags.0 == 0 {
        return "NONE".to_owned();
    }
    FLAGS
        .iter()
        .filter(|f| flags.0 & f.0 != 0)
        .map(|f| f.1)
        .collect::<Vec<_>>()
        .join(",")
}

impl PortMatch {
    /// Any port.
    #[must_use]
    pub fn new(protocol: Protocol) -> PortMatch {
        PortMatch {
            protocol,
            source: None,
            destination: None,
            flags: None,
        }
    }

    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        let bad = |text: &str| format!("invalid port/service `{text}' specified");
        match word {
            "--sport" | "--source-port" => {
                let text = args.value(word)?;
                self.source = Some(Ports {
                    range: range(text).ok_or_else(|| bad(text))?,
                    invert,
                });
            }
            "--dport" | "--destination-port" => {
                let text = args.value(word)?;
                self.destination = Some(Ports {
                    range: range(text).ok_or_else(|| bad(text))?,
                    invert,
                });
            }
            "--syn" if self.protocol == Protocol::TCP => {
                self.flags = Some((TcpFlags(1 | 2 | 4 | 16), TcpFlags::SYN, invert))
            }
            "--tcp-flags" if self.protocol == Protocol::TCP => {
                let unknown = |text: &str| format!("Unknown TCP flag `{text}'");
                let (mask, compare) = (args.value(word)?, args.value(word)?);
                self.flags = Some((
                    flags(mask).ok_or_else(|| unknown(mask))?,
                    flags(compare).ok_or_else(|| unknown(compare))?,
                    invert,
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn save(&self, out: &mut String) {
        let _ = write!(out, " -m {}", self.protocol);
        for (ports, option) in [(self.source, "--sport"), (self.destination, "--dport")] {
            let Some(ports) = ports else { continue };
            let _ = write!(
                out,
                "{} {option} {}",
                if ports.invert { " !" } else { "" },
                ports.range.0
            );
            if ports.range.0 != ports.range.1 {
                let _ = write!(out, ":{}", ports.range.1);
            }
        }
        if let Some((mask, compare, invert)) = self.flags {
            let _ = write!(
                out,
                "{} --tcp-flags {} {}",
                if invert { " !" } else { "" },
                flags_text(mask),
                flags_text(compare)
            );
        }
    }

    pub(crate) fn list(&self, numeric: bool, out: &mut String) {
        let _ = write!(out, " {}", self.protocol);
        for (ports, what) in [(self.source, "spt"), (self.destination, "dpt")] {
            let Some(ports) = ports else { continue };
            let not = if ports.invert { "!" } else { "" };
            let _ = if ports.range.0 == ports.range.1 {
                write!(out, " {what}:{not}{}", named(ports.range.0, numeric))
            } else {
                write!(
                    out,
                    " {what}s:{not}{}:{}",
                    named(ports.range.0, numeric),
                    named(ports.range.1, numeric)
                )
            };
        }
        if let Some((mask, compare, invert)) = self.flags {
            let not = if invert { "!" } else { "" };
            let _ = if numeric {
                write!(out, " flags:{not}0x{:02X}/0x{:02X}", mask.0, compare.0)
            } else {
                write!(
                    out,
                    " flags:{not}{}/{}",
                    flags_text(mask),
                    flags_text(compare)
                )
            };
        }
    }

    #[inline]
    pub(crate) fn matches(&self, headers: &Headers) -> bool {
        let (sport, dport) = headers.l4.ports();
        headers.ip.protocol == self.protocol
            && self.source.is_none_or(|p| p.matches(sport))
            && self.destination.is_none_or(|p| p.matches(dport))
            && self
                .flags
                .is_none_or(|(mask, compare, invert)| match headers.l4 {
                    Transport::Tcp { flags, .. } => (flags.0 & mask.0 == compare.0) != invert,
                    _ => false,
                })
    }
}

/// `-m icmp --icmp-type TYPE[/CODE]`
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IcmpMatch {
    /// Type, code if one is asked for, negated.
    pub kind: Option<(u8, Option<u8>, bool)>,
}

const ICMP_NAMES: &[(&str, u8, Option<u8>)] = &[
    ("echo-reply", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)),
    ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)),
    ("host-prohibited", 3, Some(10)),
    ("communication-prohibited", 3, Some(13)),
    ("redirect", 5, None),
    ("echo-request", 8, None),
    ("time-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)),
    ("parameter-problem", 12, None),
];

impl IcmpMatch {
    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        if word != "--icmp-type" {
            return Ok(false);
        }
        let text = args.value(word)?;
        if text == "any" {
            self.kind = None;
            return Ok(true);
        }
        let name = match text {
            "ping" => "echo-request",
            "pong" => "echo-reply",
            name => name,
        };
        let (kind, code) = match ICMP_NAMES.iter().find(|n| n.0 == name) {
            Some((_, kind, code)) => (*kind, *code),
            None => {
                let parts = text
                    .split_once('/')
                    .map_or((text, None), |(kind, code)| (kind, Some(code)));
                let bad = || format!("Unknown ICMP type `{text}'");
                (
                    parts.0.parse().map_err(|_| bad())?,
                    parts.1.map(|c| c.parse().map_err(|_| bad())).transpose()?,
                )
            }
        };
        self.kind = Some((kind, code, invert));
        Ok(true)
    }

    pub(crate) fn save(&self, out: &mut String) {
        out.push_str(" -m icmp");
        match self.kind {
            Some((kind, code, invert)) => {
                let _ = write!(out, "{} --icmp-type {kind}", if invert { " !" } else { "" });
                if let Some(code) = code {
                    let _ = write!(out, "/{code}");
                }
            }
            None => out.push_str(" --icmp-type any"),
        }
    }

    pub(crate) fn list(&self, numeric: bool, out: &mut String) {
        let Some((kind, code, invert)) = self.kind else {
            out.push_str(" icmp any");
            return;
        };
        let _ = write!(out, " icmp{}", if invert { " !" } else { "" });
        match ICMP_NAMES.iter().find(|n| n.1 == kind && n.2 == code) {
            Some((name, ..)) if !numeric => {
                let _ = write!(out, " {name}");
            }
            _ => {
                let _ = write!(out, "type {kind}");
                if let Some(code) = code {
                    let _ = write!(out, " code {code}");
                }
            }
        }
    }

    pub(crate) fn matches(&self, headers: &Headers) -> bool {
        let Transport::Icmp { kind, code, .. } = headers.l4 else {
            return false;
        };
        self.kind
            .is_none_or(|(k, c, invert)| (k == kind && c.is_none_or(|c| c == code)) != invert)
    }
}

/// Which ports `multiport` compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub enum Side {
    Source,
    Destination,
    #[default]
    Either,
}

/// `-m multiport --dports 80,443,8000:8080`
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Multiport {
    /// Which ports.
    pub side: Side,
    /// Ranges, one of which must hold it.
    pub ranges: Vec<(u16, u16)>,
    /// Negated.
    pub invert: bool,
}

impl Multiport {
    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        self.side = match word {
            "--sports" | "--source-ports" => Side::Source,
            "--dports" | "--destination-ports" => Side::Destination,
            "--ports" => Side::Either,
            _ => return Ok(false),
        };
        let text = args.value(word)?;
        self.ranges = text
            .split(',')
            .map(|t| range(t).ok_or_else(|| format!("invalid port/service `{t}' specified")))
            .collect::<Result<_, _>>()?;
        if self.ranges.len() > 15 {
            return Err("too many ports specified".to_owned());
        }
        self.invert = invert;
        Ok(true)
    }

    fn ranges_text(&self) -> String {
        let one = |(first, last): &(u16, u16)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}:{last}")
            }
        };
        self.ranges.iter().map(one).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn save(&self, out: &mut String) {
        let option = match self.side {
            Side::Source => "--sports",
            Side::Destination => "--dports",
            Side::Either => "--ports",
        };
        let _ = write!(
            out,
            " -m multiport{} {option} {}",
            if self.invert { " !" } else { "" },
            self.ranges_text()
        );
    }

    pub(crate) fn list(&self, out: &mut String) {
        let what = match self.side {
            Side::Source => "sports",
            Side::Destination => "dports",
            Side::Either => "ports",
        };
        let _ = write!(
            out,
            " multiport {what} {}{}",
            if self.invert { "!" } else { "" },
            self.ranges_text()
        );
    }

    pub(crate) fn matches(&self, headers: &Headers) -> bool {
        if matches!(headers.l4, Transport::Icmp { .. } | Transport::Other) {
            return false;
        }
        let (sport, dport) = headers.l4.ports();
        let hit = self.ranges.iter().any(|(first, last)| {
            let within = |p: u16| p >= *first && p <= *last;
            match self.side {
                Side::Source => within(sport),
                Side::Destination => within(dport),
                Side::Either => within(sport) || within(dport),
            }
        });
        hit != self.invert
    }
}
