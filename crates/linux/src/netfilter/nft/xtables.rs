//! The tables of iptables as nft lists them: their chains are its own kind of chains, their rules are translated as far
//! as libxtables translates them.

use std::fmt::Write;

use super::list::{Lister, head};
use super::set::print_range;
use super::value::{DataType, Key};
use super::{Base, ChainType, Family, json};
use crate::netfilter::ports::{Multiport, PortMatch, Side};
use crate::netfilter::rule::{Match, Rule, Target};
use crate::netfilter::{Chain, Counter, Hook, RejectWith, Table, TableKind};
use crate::tools::json::Json;

impl TableKind {
    fn priority(self, hook: Hook) -> i32 {
        match self {
            TableKind::Raw => -300,
            TableKind::Mangle => -150,
            TableKind::Filter => 0,
            TableKind::Nat if matches!(hook, Hook::Prerouting | Hook::Output) => -100,
            TableKind::Nat => 100,
        }
    }
}

/// Where a built-in chain is asked.
fn base(kind: TableKind, chain: &Chain) -> Option<Base> {
    let hook = kind.builtin(chain.name.as_str())?;
    let route = kind == TableKind::Mangle && hook == Hook::Output;
    Some(Base {
        kind: if route {
            ChainType::Route
        } else {
            ChainType::of_table(kind)
        },
        hook,
        priority: kind.priority(hook),
        policy: chain.policy.unwrap_or_default(),
    })
}

/// A chain without its rules, as one of nft's own.
fn shown(kind: TableKind, chain: &Chain) -> super::Chain {
    super::Chain {
        name: chain.name.clone(),
        base: base(kind, chain),
        comment: None,
        rules: Vec::new(),
    }
}

impl Lister<'_> {
    /// `table ip NAME {`
    pub fn xtables_head(&self, family: Family, kind: TableKind, made: u32, out: &mut String) {
        let handle = self.style.handles.then_some(u64::from(made));
        head(family, kind.name(), handle, out);
    }

    pub fn xtables_chain_head(&self, kind: TableKind, chain: &Chain, out: &mut String) {
        self.chain_head(0, &shown(kind, chain), out);
    }

    /// A table as JSON: handles as if all its chains had been made first, then their rules.
    pub fn xtables_json(
        &self,
        family: Family,
        kind: TableKind,
        made: u32,
        table: &Table,
        only: Option<&str>,
        out: &mut Vec<Json>,
    ) {
        if only.is_none() {
            out.push(json::table(family, kind.name(), made.into()));
        }
        let chains = table.made();
        let wanted = |chain: &Chain| only.is_none_or(|name| chain.name.as_str() == name);
        for (handle, chain) in (1..).zip(&chains) {
            if wanted(chain) {
                out.push(json::chain(
                    family,
                    kind.name(),
                    handle,
                    &shown(kind, chain),
                ));
            }
        }
        let mut handle = chains.len() as u64;
        for chain in chains {
            for (index, rule) in chain.rules.iter().enumerate() {
                handle += 1;
                let counter = self.xtables_counter(kind, chain, index);
                if wanted(chain) {
                    let expressions = rule_json(rule, counter);
                    let place = (family, kind.name());
                    out.push(json::rule(place, &chain.name, handle, None, expressions));
                }
            }
        }
    }

    fn xtables_counter(&self, kind: TableKind, chain: &Chain, index: usize) -> Option<Counter> {
        let counter = || {
            self.netfilter
                .rule_counter(kind, chain.name.as_str(), index)
        };
        (!self.style.stateless).then(counter)
    }

    /// A chain with its rules.
    pub fn xtables_chain(&self, kind: TableKind, chain: &Chain, out: &mut String) {
        self.xtables_chain_head(kind, chain, out);
        for (index, rule) in chain.rules.iter().enumerate() {
            let counter = self.xtables_counter(kind, chain, index);
            let _ = writeln!(out, "\t\t{}", translated(rule, counter));
        }
        out.push_str("\t}\n");
    }

    /// A whole table.
    pub fn xtables(
        &self,
        family: Family,
        kind: TableKind,
        made: u32,
        table: &Table,
        out: &mut String,
    ) {
        self.xtables_head(family, kind, made, out);
        for (n, chain) in table.made().iter().enumerate() {
            if n > 0 {
                out.push('\n');
            }
            self.xtables_chain(kind, chain, out);
        }
        out.push_str("}\n");
    }
}

/// What nft 1.0.6 says on standard error before it lists a table in which a rule has an extension of iptables.
pub fn warning(family: Family, kind: TableKind, table: &Table) -> String {
    let chains = table.made();
    let mut rules = chains.iter().flat_map(|chain| &chain.rules);
    if !rules.any(has_extension) {
        return String::new();
    }
    format!(
        "# Warning: table {} {} is managed by iptables-nft, do not touch!\n",
        family.name(),
        kind.name()
    )
}

/// Is a part of the rule an extension of iptables, rather than one of nft's own expressions?
fn has_extension(rule: &Rule) -> bool {
    !rule.matches.iter().all(is_native) || !is_native_target(&rule.target)
}

/// What iptables-nft 1.8.9 writes as nft's own expressions.
fn is_native(m: &Match) -> bool {
    matches!(m, Match::Ports(_) | Match::Mark(_) | Match::Limit(_))
}

fn is_native_target(target: &Target) -> bool {
    match target {
        Target::None | Target::Accept | Target::Drop | Target::Return => true,
        Target::Jump(_) | Target::Goto(_) => true,
        Target::Log(log) => log.group.is_some(),
        _ => false,
    }
}

/// What the parts of a rule are in nft's words, in the order in which iptables-nft writes them.
fn heads(rule: &Rule) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for (m, word) in [
        (&rule.in_interface, "iifname"),
        (&rule.out_interface, "oifname"),
    ] {
        if let Some(m) = m {
            let star = if m.prefix { "*" } else { "" };
            parts.push(format!("{word} {}\"{}{star}\"", not(m.invert), m.name));
        }
    }
    // The ports that come right after say which protocol's they are.
    let ports = matches!(rule.matches.first(), Some(Match::Ports(m)) if !ports(m).is_empty());
    if let Some((protocol, invert)) = rule.protocol
        && (!ports || invert)
    {
        parts.push(format!("meta l4proto {}{protocol}", not(invert)));
    }
    for (m, word) in [(rule.source, "saddr"), (rule.destination, "daddr")] {
        if let Some(m) = m {
            let mut text = format!("ip {word} {}", not(m.invert));
            let (first, last) = (
                Key::of(&m.net.network().octets()),
                Key::of(&m.net.broadcast().octets()),
            );
            print_range(DataType::Ipv4Addr, first.bytes(), last.bytes(), &mut text);
            parts.push(text);
        }
    }
    parts
}

fn not(invert: bool) -> &'static str {
    if invert { "!= " } else { "" }
}

/// A rule in nft's words. What has none (a comment) leaves its blanks, as there.
fn translated(rule: &Rule, counter: Option<Counter>) -> String {
    let protocol = rule.protocol.and_then(|(protocol, _)| protocol.name());
    let mut parts = heads(rule);
    parts.extend(rule.matches.iter().map(|m| translated_match(m, protocol)));
    parts.push(match counter {
        Some(counter) => format!(
            "counter packets {} bytes {}",
            counter.packets, counter.bytes
        ),
        None => "counter".to_owned(),
    });
    let target = translated_target(&rule.target);
    if !target.is_empty() {
        parts.push(target);
    }
    parts.join(" ")
}

/// The ports and flags that a match of a protocol asks for.
fn ports(m: &PortMatch) -> String {
    let mut parts = Vec::new();
    for (side, word) in [(&m.source, "sport"), (&m.destination, "dport")] {
        if let Some(ports) = side {
            let range = span(ports.range);
            let not = not(ports.invert);
            parts.push(format!("{} {word} {not}{range}", m.protocol));
        }
    }
    if let Some((mask, flags, invert)) = m.flags {
        let mut text = format!("tcp flags {}", not(invert));
        DataType::TcpFlag.print(&[flags.0], &mut text);
        text.push_str(" / ");
        DataType::TcpFlag.print(&[mask.0], &mut text);
        parts.push(text);
    }
    parts.join(" ")
}

fn span((first, last): (u16, u16)) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}

fn multiport(m: &Multiport, protocol: &str) -> String {
    let word = match m.side {
        Side::Source => "sport",
        Side::Destination => "dport",
        // Either of them: as pairs, negated or not.
        Side::Either => {
            let each = m.ranges.iter().map(|range| {
                let range = span(*range);
                format!("0-65535 . {range}, {range} . 0-65535")
            });
            let each: Vec<String> = each.collect();
            return format!(
                "{protocol} sport . {protocol} dport {{ {} }}",
                each.join(", ")
            );
        }
    };
    let not = not(m.invert);
    let ranges: Vec<String> = m.ranges.iter().map(|range| span(*range)).collect();
    match m.ranges.as_slice() {
        [(first, last)] if first == last => format!("{protocol} {word} {not}{first}"),
        _ => format!("{protocol} {word} {not}{{ {} }}", ranges.join(", ")),
    }
}

/// The name of an extension that nft has no words for.
fn extension_name(m: &Match) -> &'static str {
    match m {
        Match::Ports(_) => "tcp",
        Match::Icmp(_) => "icmp",
        Match::Multiport(_) => "multiport",
        Match::Conntrack(_) => "conntrack",
        Match::Mark(_) => "mark",
        Match::Statistic(_) => "statistic",
        Match::Recent(_) => "recent",
        Match::Set(_) => "set",
        Match::AddrType(_) => "addrtype",
        Match::Comment(_) => "comment",
        Match::Physdev(_) => "physdev",
        Match::Nfacct(_) => "nfacct",
        Match::Limit(_) => "limit",
    }
}

fn translated_match(m: &Match, protocol: Option<&'static str>) -> String {
    match m {
        Match::Ports(m) => ports(m),
        Match::Mark(m) if m.mask == u32::MAX => {
            format!("meta mark {}{:#010x}", not(m.invert), m.value)
        }
        Match::Mark(m) => {
            let comparison = if m.invert { "!=" } else { "==" };
            format!(
                "meta mark & {:#010x} {comparison} {:#010x}",
                m.mask, m.value
            )
        }
        Match::Conntrack(m) => m.translated(),
        Match::AddrType(m) => m.translated(),
        // libxtables keeps the comment apart, and nft leaves it out.
        Match::Comment(_) => String::new(),
        Match::Multiport(m) => multiport(m, protocol.unwrap_or("th")),
        Match::Icmp(icmp) => match icmp.kind {
            None => "ip protocol icmp".to_owned(),
            Some((kind, None, invert)) => {
                let mut text = format!("icmp type {}", not(invert));
                DataType::IcmpType.print(&[kind], &mut text);
                text
            }
            Some((_, Some(_), _)) => format!("xt match {}", extension_name(m)),
        },
        Match::Statistic(m) => m.translated(),
        Match::Limit(m) => m.translated(),
        Match::Recent(_) | Match::Set(_) | Match::Physdev(_) | Match::Nfacct(_) => {
            format!("xt match {}", extension_name(m))
        }
    }
}

fn translated_target(target: &Target) -> String {
    match target {
        Target::None => String::new(),
        Target::Accept => "accept".to_owned(),
        Target::Drop => "drop".to_owned(),
        Target::Return => "return".to_owned(),
        Target::Jump(chain) => format!("jump {chain}"),
        Target::Goto(chain) => format!("goto {chain}"),
        Target::Reject(RejectWith::PortUnreachable) => "reject".to_owned(),
        Target::Reject(RejectWith::TcpReset) => "reject with tcp reset".to_owned(),
        Target::Reject(with) => {
            let name = with.name();
            let kind = name.strip_prefix("icmp-").unwrap_or(name);
            format!("reject with icmp type {kind}")
        }
        Target::Masquerade(m) => m.translated("masquerade"),
        Target::Redirect(m) => m.translated("redirect"),
        Target::Mark(mark) => mark.translated(),
        Target::Notrack => "notrack".to_owned(),
        Target::Log(log) => log.translated(),
        Target::Dnat(nat) => nat.translated("dnat"),
        Target::Snat(nat) => nat.translated("snat"),
    }
}

/// A rule as JSON: what is an extension of iptables is there by its name only.
fn rule_json(rule: &Rule, counter: Option<Counter>) -> Vec<Json> {
    let mut all = Vec::new();
    let read = |text: &str, all: &mut Vec<Json>| {
        if let Ok(read) = super::Rule::parse(Family::Ip, text) {
            all.extend(read.json(counter));
        }
    };
    for text in heads(rule) {
        read(&text, &mut all);
    }
    for m in &rule.matches {
        if is_native(m) {
            read(&translated_match(m, None), &mut all);
        } else {
            all.push(json::extension("match", extension_name(m)));
        }
    }
    read("counter", &mut all);
    match &rule.target {
        Target::Log(log) if log.group.is_some() => all.push(json::log(&log.prefix, log.group)),
        target if is_native_target(target) => read(&translated_target(target), &mut all),
        target => all.push(json::extension("target", target.name())),
    }
    all
}
