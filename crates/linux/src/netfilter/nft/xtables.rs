//! The tables of iptables as nft lists them: their chains are its own kind of chains, their rules are translated as far
//! as libxtables translates them.

use std::fmt::Write;

use super::list::{Lister, head};
use super::set::print_range;
use super::value::{DataType, Key};
use super::{Base, ChainType, Family};
use crate::netfilter::rule::{Match, Rule, Target};
use crate::netfilter::{Chain, Counter, Hook, Table, TableKind};

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

impl Lister<'_> {
    /// `table ip NAME {`
    pub fn xtables_head(&self, family: Family, kind: TableKind, made: u32, out: &mut String) {
        let handle = self.style.handles.then_some(u64::from(made));
        head(family, kind.name(), handle, out);
    }

    pub fn xtables_chain_head(&self, kind: TableKind, chain: &Chain, out: &mut String) {
        let shown = super::Chain {
            name: chain.name.clone(),
            base: base(kind, chain),
            comment: None,
            rules: Vec::new(),
        };
        self.chain_head(0, &shown, out);
    }

    /// A chain with its rules.
    pub fn xtables_chain(&self, kind: TableKind, chain: &Chain, out: &mut String) {
        self.xtables_chain_head(kind, chain, out);
        for (index, rule) in chain.rules.iter().enumerate() {
            let name = chain.name.as_str();
            let counter = self.netfilter.rule_counter(kind, name, index);
            let counter = (!self.style.stateless).then_some(counter);
            let _ = writeln!(out, "\t\t{}", translated(rule, counter).trim_end());
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
        let chains = table.made();
        let mut rules = chains.iter().flat_map(|chain| &chain.rules);
        if rules.any(has_extension) {
            let (family, name) = (family.name(), kind.name());
            let _ = writeln!(
                out,
                "# Warning: table {family} {name} is managed by iptables-nft, do not touch!"
            );
        }
        self.xtables_head(family, kind, made, out);
        for (n, chain) in chains.iter().enumerate() {
            if n > 0 {
                out.push('\n');
            }
            self.xtables_chain(kind, chain, out);
        }
        out.push_str("}\n");
    }
}

/// Is a part of the rule an extension of iptables, rather than one of nft's own expressions?
fn has_extension(rule: &Rule) -> bool {
    let native = |m: &Match| matches!(m, Match::Ports(_) | Match::Mark(_));
    !rule.matches.iter().all(native)
        || matches!(
            rule.target,
            Target::Dnat(_) | Target::Snat(_) | Target::Redirect(_) | Target::Mark(_)
        )
}

/// A rule in nft's words.
fn translated(rule: &Rule, counter: Option<Counter>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let not = |invert: bool| if invert { "!= " } else { "" };
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
    for (m, word) in [
        (&rule.in_interface, "iifname"),
        (&rule.out_interface, "oifname"),
    ] {
        if let Some(m) = m {
            let star = if m.prefix { "*" } else { "" };
            parts.push(format!("{word} {}\"{}{star}\"", not(m.invert), m.name));
        }
    }
    let ports = rule
        .matches
        .iter()
        .any(|m| matches!(m, Match::Ports(p) if p.source.is_some() || p.destination.is_some()));
    if let Some((protocol, invert)) = rule.protocol
        && (!ports || invert)
    {
        parts.push(format!("ip protocol {}{protocol}", not(invert)));
    }
    for m in &rule.matches {
        parts.push(translated_match(m));
    }
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

fn translated_match(m: &Match) -> String {
    let not = |invert: bool| if invert { "!= " } else { "" };
    match m {
        Match::Ports(m) => {
            let mut parts = Vec::new();
            for (side, word) in [(&m.source, "sport"), (&m.destination, "dport")] {
                if let Some(ports) = side {
                    let (first, last) = ports.range;
                    let range = if first == last {
                        first.to_string()
                    } else {
                        format!("{first}-{last}")
                    };
                    parts.push(format!(
                        "{} {word} {}{range}",
                        m.protocol,
                        not(ports.invert)
                    ));
                }
            }
            parts.join(" ")
        }
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
        Match::Multiport(_) => "xt match \"multiport\"".to_owned(),
        Match::Icmp(_) => "xt match \"icmp\"".to_owned(),
        Match::Statistic(_) => "xt match \"statistic\"".to_owned(),
        Match::Recent(_) => "xt match \"recent\"".to_owned(),
        Match::Set(_) => "xt match \"set\"".to_owned(),
        Match::Physdev(_) => "xt match \"physdev\"".to_owned(),
        Match::Nfacct(_) => "xt match \"nfacct\"".to_owned(),
        Match::Limit(_) => "xt match \"limit\"".to_owned(),
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
        Target::Reject(with) => {
            let mut text = String::new();
            super::Statement::Reject(*with, super::Wording::Plain).print(None, &mut text);
            text
        }
        Target::Masquerade(m) if m.random_fully => "masquerade fully-random".to_owned(),
        Target::Masquerade(_) => "masquerade".to_owned(),
        Target::Mark(mark) if mark.value == mark.mask => {
            format!("meta mark set mark or {:#x}", mark.value)
        }
        Target::Mark(mark) if mark.mask == 0 => {
            format!("meta mark set mark xor {:#x}", mark.value)
        }
        Target::Mark(mark) => format!("meta mark set {:#x}", mark.value),
        Target::Notrack => "notrack".to_owned(),
        Target::Log(log) => format!("xt target \"{}\"", log.name()),
        Target::Dnat(nat) => format!("dnat to {}", nat.destination_text()),
        Target::Snat(nat) => format!("snat to {}", nat.destination_text()),
        Target::Redirect(_) => "redirect".to_owned(),
    }
}
