//! One rule: the header's conditions, further matches in their order, and what is done.

use std::fmt::Write;
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::ChainName;
use super::addrtype::AddrType;
use super::arguments::{Arguments, network};
use super::conntrack::CtMatch;
use super::limit::Limit;
use super::log::LogTarget;
use super::misc::{Comment, MarkMatch, MarkTarget, Nfacct, Physdev};
use super::nat::{Masquerade, NatTarget};
use super::ports::{IcmpMatch, Multiport, PortMatch};
use super::recent::Recent;
use super::reject::RejectWith;
use super::set::SetMatch;
use super::statistic::Statistic;
use crate::packet::Protocol;

/// A condition on a device's name; `prefix` for `eth+`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The name, without the `+`.
    pub name: Arc<str>,
    /// Every device whose name begins with it.
    pub prefix: bool,
    /// Negated.
    pub invert: bool,
}

impl Interface {
    pub(crate) fn parse(text: &str, invert: bool) -> Interface {
        match text.strip_suffix('+') {
            Some(start) => Interface {
                name: start.into(),
                prefix: true,
                invert,
            },
            None => Interface {
                name: text.into(),
                prefix: false,
                invert,
            },
        }
    }

    pub(crate) fn matches(&self, device: Option<&str>) -> bool {
        let device = device.unwrap_or("");
        let same = if self.prefix {
            device.starts_with(&*self.name)
        } else {
            device == &*self.name
        };
        same != self.invert
    }

    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.name, if self.prefix { "+" } else { "" })
    }
}

/// A condition on an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressMatch {
    /// The network it must be in.
    pub net: Ipv4Net,
    /// Negated.
    pub invert: bool,
}

impl AddressMatch {
    #[inline]
    pub(crate) fn matches(&self, address: std::net::Ipv4Addr) -> bool {
        crate::route::covers(&self.net, address) != self.invert
    }
}

/// A match of an extension (`-m NAME …`).
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Match {
    Ports(PortMatch),
    Icmp(IcmpMatch),
    Multiport(Multiport),
    Conntrack(CtMatch),
    Mark(MarkMatch),
    Statistic(Statistic),
    Recent(Recent),
    Set(SetMatch),
    AddrType(AddrType),
    Comment(Comment),
    Physdev(Physdev),
    Nfacct(Nfacct),
    Limit(Limit),
}

/// What is done with a packet that a rule matches.
#[derive(Clone, PartialEq, Debug)]
pub enum Target {
    /// Nothing: the rule only counts.
    None,
    /// The packet passes this table's hook.
    Accept,
    /// The packet vanishes.
    Drop,
    /// Back to the calling chain, or to the policy.
    Return,
    /// Further in another chain, then back here.
    Jump(ChainName),
    /// Further in another chain, then back to who called this one.
    Goto(ChainName),
    /// Refused with an ICMP error or a TCP reset.
    Reject(RejectWith),
    /// New destination.
    Dnat(NatTarget),
    /// New source.
    Snat(NatTarget),
    /// The outgoing device's address as new source.
    Masquerade(Masquerade),
    /// New destination: this host.
    Redirect(Masquerade),
    /// Changes the packet's mark.
    Mark(MarkTarget),
    /// Not tracked (`NOTRACK`, `CT --notrack`).
    Notrack,
    /// Written to a log (`LOG`, `NFLOG`); the packet goes on.
    Log(LogTarget),
}

impl Target {
    /// Its name as it stands after `-j` and in listings.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Target::None => "",
            Target::Accept => "ACCEPT",
            Target::Drop => "DROP",
            Target::Return => "RETURN",
            Target::Jump(chain) | Target::Goto(chain) => chain.as_str(),
            Target::Reject(_) => "REJECT",
            Target::Dnat(_) => "DNAT",
            Target::Snat(_) => "SNAT",
            Target::Masquerade(_) => "MASQUERADE",
            Target::Redirect(_) => "REDIRECT",
            Target::Mark(_) => "MARK",
            Target::Notrack => "CT",
            Target::Log(log) => log.name(),
        }
    }
}

fn has_ports(protocol: Option<(Protocol, bool)>) -> bool {
    matches!(protocol, Some((Protocol(6 | 17 | 33 | 132 | 136), false)))
}

/// One rule.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// `-s`
    pub source: Option<AddressMatch>,
    /// `-d`
    pub destination: Option<AddressMatch>,
    /// `-i`
    pub in_interface: Option<Interface>,
    /// `-o`
    pub out_interface: Option<Interface>,
    /// `-p`, and whether it is negated
    pub protocol: Option<(Protocol, bool)>,
    /// `-m …`, in their order
    pub matches: Vec<Match>,
    /// `-j`, `-g`
    pub target: Target,
}

impl Rule {
    /// A rule that matches everything.
    #[must_use]
    pub fn new(target: Target) -> Rule {
        Rule {
            source: None,
            destination: None,
            in_interface: None,
            out_interface: None,
            protocol: None,
            matches: Vec::new(),
            target,
        }
    }

    /// Its comment.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.matches.iter().find_map(|m| match m {
            Match::Comment(comment) => Some(&*comment.text),
            _ => None,
        })
    }

    pub(crate) fn needs_tracking(&self) -> bool {
        matches!(
            self.target,
            Target::Dnat(_) | Target::Snat(_) | Target::Masquerade(_) | Target::Redirect(_)
        ) || self
            .matches
            .iter()
            .any(|m| matches!(m, Match::Conntrack(_)))
    }

    /// Reads the words after `-A CHAIN`. Errors: the message that iptables would print after `iptables v1.8.9 (nf_tables): `.
    pub fn parse(words: &[String]) -> Result<Rule, String> {
        let mut rule = Rule::new(Target::None);
        let mut args = Arguments::new(words);
        let mut target = None;
        let mut invert = false;
        while let Some(word) = args.next() {
            if word == "!" {
                if invert {
                    return Err("multiple consecutive ! not allowed".to_owned());
                }
                invert = true;
                continue;
            }
            let inverted = std::mem::take(&mut invert);
            rule.option(word, inverted, &mut args, &mut target)?;
        }
        if invert {
            return Err("nothing appropriate following !".to_owned());
        }
        for m in &rule.matches {
            if let Match::Ports(m) = m
                && rule.protocol != Some((m.protocol, false))
            {
                return Err(format!(
                    "Couldn't load match `{}': -p {} is missing",
                    m.protocol, m.protocol
                ));
            }
        }
        rule.target = target.unwrap_or(Target::None);
        match rule.missing(words) {
            Some(message) => Err(message),
            None => Ok(rule),
        }
    }

    /// What an extension cannot do without.
    fn missing(&self, words: &[String]) -> Option<String> {
        let must =
            |of: &str, option: &str| Some(format!("{of}: option \"{option}\" must be specified\n"));
        for m in &self.matches {
            match m {
                Match::Comment(_) if !words.iter().any(|w| w == "--comment") => {
                    return must("comment", "--comment");
                }
                Match::Multiport(_) if !has_ports(self.protocol) => {
                    return Some(
                        "multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'"
                            .to_owned(),
                    );
                }
                _ => {}
            }
        }
        let nowhere = |nat: &NatTarget| nat.addresses.is_none() && nat.ports.is_none();
        match &self.target {
            Target::Dnat(nat) if nowhere(nat) => must("DNAT", "--to-destination"),
            Target::Snat(nat) if nowhere(nat) => must("SNAT", "--to-source"),
            Target::Mark(_)
                if !words
                    .iter()
                    .any(|w| w.ends_with("mark") && w.starts_with("--")) =>
            {
                Some(
                    "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required"
                        .to_owned(),
                )
            }
            _ => None,
        }
    }

    fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
        target: &mut Option<Target>,
    ) -> Result<(), String> {
        let address =
            |text: &str| network(text).ok_or_else(|| format!("host/network `{text}' not found"));
        match word {
            "-s" | "--source" | "--src" => {
                self.source = Some(AddressMatch {
                    net: address(args.value(word)?)?,
                    invert,
                })
                .filter(|m| m.net.prefix_len() > 0 || m.invert)
            }
            "-d" | "--destination" | "--dst" => {
                self.destination = Some(AddressMatch {
                    net: address(args.value(word)?)?,
                    invert,
                })
                .filter(|m| m.net.prefix_len() > 0 || m.invert)
            }
            "-i" | "--in-interface" => {
                self.in_interface = Some(Interface::parse(args.value(word)?, invert))
            }
            "-o" | "--out-interface" => {
                self.out_interface = Some(Interface::parse(args.value(word)?, invert))
            }
            "-p" | "--protocol" | "--proto" => {
                let text = args.value(word)?;
                let protocol = Protocol::parse(text)
                    .ok_or_else(|| format!("unknown protocol \"{text}\" specified"))?;
                self.protocol = Some((protocol, invert)).filter(|p| p.0.0 != 0);
            }
            "-m" | "--match" => self.load(args.value(word)?)?,
            "-j" | "--jump" if target.is_some() => {
                return Err("multiple -j flags not allowed".to_owned());
            }
            "-j" | "--jump" => *target = Some(load_target(args.value(word)?)),
            "-g" | "--goto" => *target = Some(Target::Goto(args.value(word)?.into())),
            "-c" | "--set-counters" => {
                args.value(word)?;
                args.value(word)?;
            }
            "-f" | "--fragment" => return Err("-f is not simulated yet".to_owned()),
            _ => return self.extension_option(word, invert, args, target),
        }
        Ok(())
    }

    fn load(&mut self, name: &str) -> Result<(), String> {
        self.matches.push(match name {
            "tcp" | "udp" | "sctp" => Match::Ports(PortMatch::new(
                Protocol::parse(name).unwrap_or(Protocol::TCP),
            )),
            "icmp" => Match::Icmp(IcmpMatch::default()),
            "multiport" => Match::Multiport(Multiport::default()),
            "conntrack" => Match::Conntrack(CtMatch::default()),
            "state" => Match::Conntrack(CtMatch::state()),
            "mark" => Match::Mark(MarkMatch::default()),
            "statistic" => Match::Statistic(Statistic::default()),
            "recent" => Match::Recent(Recent::default()),
            "set" => Match::Set(SetMatch::default()),
            "addrtype" => Match::AddrType(AddrType::default()),
            "comment" => Match::Comment(Comment::default()),
            "physdev" => Match::Physdev(Physdev::default()),
            "nfacct" => Match::Nfacct(Nfacct::default()),
            "limit" => Match::Limit(Limit::default()),
            "hashlimit" | "iprange" | "mac" | "owner" | "socket" | "string" | "tos" | "ttl"
            | "length" | "connmark" | "ipvs" | "u32" | "bpf" | "dscp" | "helper" | "time"
            | "pkttype" | "rpfilter" | "cgroup" => {
                return Err(format!("match `{name}' is not simulated yet"));
            }
            _ => {
                return Err(format!(
                    "Couldn't load match `{name}':No such file or directory\n"
                ));
            }
        });
        Ok(())
    }

    fn extension_option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
        target: &mut Option<Target>,
    ) -> Result<(), String> {
        if let Some(target) = target
            && target.option(word, invert, args)?
        {
            return Ok(());
        }
        for m in self.matches.iter_mut().rev() {
            if m.option(word, invert, args)? {
                return Ok(());
            }
        }
        // `-p tcp --dport 80`: the protocol's own match is loaded by its first option.
        if let Some((protocol @ (Protocol::TCP | Protocol::UDP | Protocol::SCTP), false)) =
            self.protocol
            && !self.matches.iter().any(|m| matches!(m, Match::Ports(_)))
        {
            let mut ports = PortMatch::new(protocol);
            if ports.option(word, invert, args)? {
                self.matches.push(Match::Ports(ports));
                return Ok(());
            }
        }
        if self.protocol == Some((Protocol::ICMP, false))
            && !self.matches.iter().any(|m| matches!(m, Match::Icmp(_)))
        {
            let mut icmp = IcmpMatch::default();
            if icmp.option(word, invert, args)? {
                self.matches.push(Match::Icmp(icmp));
                return Ok(());
            }
        }
        if word.starts_with('-') {
            Err(format!("unknown option \"{word}\""))
        } else {
            Err(format!("Bad argument `{word}'"))
        }
    }

    /// Writes it as iptables-save does, beginning with a blank.
    pub fn save(&self, out: &mut String) {
        let not = |invert: bool| if invert { " !" } else { "" };
        if let Some(m) = self.source {
            let _ = write!(out, "{} -s {}", not(m.invert), m.net);
        }
        if let Some(m) = self.destination {
            let _ = write!(out, "{} -d {}", not(m.invert), m.net);
        }
        if let Some(m) = &self.in_interface {
            let _ = write!(out, "{} -i {}", not(m.invert), m.text());
        }
        if let Some(m) = &self.out_interface {
            let _ = write!(out, "{} -o {}", not(m.invert), m.text());
        }
        if let Some((protocol, invert)) = self.protocol {
            let _ = write!(out, "{} -p {protocol}", not(invert));
        }
        for m in &self.matches {
            m.save(out);
        }
        match &self.target {
            Target::None => {}
            Target::Goto(chain) => {
                let _ = write!(out, " -g {chain}");
            }
            target => {
                let _ = write!(out, " -j {}", target.name());
                target.save(out);
            }
        }
    }
}

fn load_target(name: &str) -> Target {
    match name {
        "ACCEPT" => Target::Accept,
        "DROP" => Target::Drop,
        "RETURN" => Target::Return,
        "REJECT" => Target::Reject(RejectWith::default()),
        "DNAT" => Target::Dnat(NatTarget::default()),
        "SNAT" => Target::Snat(NatTarget::default()),
        "MASQUERADE" => Target::Masquerade(Masquerade::default()),
        "REDIRECT" => Target::Redirect(Masquerade::default()),
        "MARK" => Target::Mark(MarkTarget::default()),
        "CT" | "NOTRACK" => Target::Notrack,
        "LOG" => Target::Log(LogTarget::new(None)),
        "NFLOG" => Target::Log(LogTarget::new(Some(0))),
        chain => Target::Jump(chain.into()),
    }
}

impl Target {
    fn option(&mut self, word: &str, invert: bool, args: &mut Arguments) -> Result<bool, String> {
        match self {
            Target::Reject(with) => with.option(word, args),
            Target::Dnat(nat) => nat.option("--to-destination", word, args),
            Target::Snat(nat) => nat.option("--to-source", word, args),
            Target::Masquerade(m) | Target::Redirect(m) => m.option(word, args),
            Target::Mark(mark) => mark.option(word, invert, args),
            Target::Notrack => Ok(word == "--notrack"),
            Target::Log(log) => log.option(word, args),
            _ => Ok(false),
        }
    }

    fn save(&self, out: &mut String) {
        match self {
            Target::Reject(with) => with.save(out),
            Target::Dnat(nat) => nat.save("--to-destination", out),
            Target::Snat(nat) => nat.save("--to-source", out),
            Target::Masquerade(m) | Target::Redirect(m) => m.save(out),
            Target::Mark(mark) => mark.save(out),
            Target::Notrack => out.push_str(" --notrack"),
            Target::Log(log) => log.save(out),
            _ => {}
        }
    }
}

impl Match {
    fn option(&mut self, word: &str, invert: bool, args: &mut Arguments) -> Result<bool, String> {
        match self {
            Match::Ports(m) => m.option(word, invert, args),
            Match::Icmp(m) => m.option(word, invert, args),
            Match::Multiport(m) => m.option(word, invert, args),
            Match::Conntrack(m) => m.option(word, invert, args),
            Match::Mark(m) => m.option(word, invert, args),
            Match::Statistic(m) => m.option(word, invert, args),
            Match::Recent(m) => m.option(word, invert, args),
            Match::Set(m) => m.option(word, invert, args),
            Match::AddrType(m) => m.option(word, invert, args),
            Match::Comment(m) => m.option(word, args),
            Match::Physdev(m) => m.option(word, invert, args),
            Match::Nfacct(m) => m.option(word, args),
            Match::Limit(m) => m.option(word, args),
        }
    }

    fn save(&self, out: &mut String) {
        match self {
            Match::Ports(m) => m.save(out),
            Match::Icmp(m) => m.save(out),
            Match::Multiport(m) => m.save(out),
            Match::Conntrack(m) => m.save(out),
            Match::Mark(m) => m.save(out),
            Match::Statistic(m) => m.save(out),
            Match::Recent(m) => m.save(out),
            Match::Set(m) => m.save(out),
            Match::AddrType(m) => m.save(out),
            Match::Comment(m) => m.save(out),
            Match::Physdev(m) => m.save(out),
            Match::Nfacct(m) => m.save(out),
            Match::Limit(m) => m.save(out),
        }
    }
}
