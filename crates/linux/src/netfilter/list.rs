//! What `iptables -L` prints.

use std::fmt::Write;

use super::rule::{Match, Rule, Target};
use super::{Chain, Counter, Netfilter, TableKind};

/// How to list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Format {
    pub numeric: bool,
    pub verbose: bool,
    pub exact: bool,
    pub line_numbers: bool,
}

/// A counter as `-v` prints it: 5 wide, with K, M, G for large numbers unless `-x`.
fn count(n: u64, exact: bool, wide: usize) -> String {
    if exact {
        return format!("{n:>wide$} ");
    }
    if n <= 99_999 {
        return format!("{n:>5} ");
    }
    let mut n = (n + 500) / 1000;
    for unit in ["K", "M", "G"] {
        if n <= 9999 {
            return format!("{n:>4}{unit} ");
        }
        n = (n + 500) / 1000;
    }
    format!("{n:>4}T ")
}

pub(crate) fn heading(
    chain: &Chain,
    references: usize,
    policy: Counter,
    format: Format,
    out: &mut String,
) {
    let _ = match chain.policy {
        Some(kind) if format.verbose => {
            let (packets, bytes) = (
                count(policy.packets, format.exact, 0),
                count(policy.bytes, format.exact, 0),
            );
            writeln!(
                out,
                "Chain {} (policy {} {} packets, {} bytes)",
                chain.name,
                kind.name(),
                packets.trim(),
                bytes.trim()
            )
        }
        Some(kind) => writeln!(out, "Chain {} (policy {})", chain.name, kind.name()),
        None => writeln!(out, "Chain {} ({references} references)", chain.name),
    };
    if format.line_numbers {
        let _ = write!(out, "{:<4} ", "num");
    }
    if format.verbose {
        out.push_str(if format.exact {
            "    pkts      bytes "
        } else {
            " pkts bytes "
        });
    }
    let _ = write!(out, "{:<9}  prot ", "target");
    out.push_str("opt");
    if format.verbose {
        let _ = write!(out, " {:<6} {:<6} ", "in", "out");
    }
    let _ = writeln!(out, " {:<19}  {:<19} ", "source", "destination");
}

impl Rule {
    /// One line of a listing.
    pub(crate) fn list(&self, number: usize, counter: Counter, format: Format, out: &mut String) {
        if format.line_numbers {
            let _ = write!(out, "{number:<4} ");
        }
        if format.verbose {
            out.push_str(&count(counter.packets, format.exact, 8));
            out.push_str(&count(counter.bytes, format.exact, 8));
        }
        let _ = write!(out, "{:<9} ", self.target.name());
        let (protocol, invert) = self
            .protocol
            .map_or((0, false), |(p, invert)| (p.0, invert));
        out.push(if invert { '!' } else { ' ' });
        let name = crate::packet::Protocol(protocol)
            .name()
            .filter(|_| !format.numeric);
        let _ = match name {
            Some(name) => write!(out, "{name:<4} "),
            None => write!(out, "{protocol:<4} "),
        };
        out.push_str("-- ");
        if format.verbose {
            let device = |i: &Option<super::rule::Interface>| match i {
                Some(i) => format!("{}{}", if i.invert { "!" } else { "" }, i.text()),
                None => if format.numeric { "*" } else { "any" }.to_owned(),
            };
            let _ = write!(
                out,
                " {:<6} {:<6} ",
                device(&self.in_interface),
                device(&self.out_interface)
            );
        }
        let address = |m: &Option<super::rule::AddressMatch>| match m {
            Some(m) if m.net.prefix_len() == 32 => (m.invert, m.net.addr().to_string()),
            Some(m) => (m.invert, m.net.to_string()),
            None => (
                false,
                if format.numeric {
                    "0.0.0.0/0"
                } else {
                    "anywhere"
                }
                .to_owned(),
            ),
        };
        for m in [&self.source, &self.destination] {
            let (invert, text) = address(m);
            let _ = write!(out, "{}{text:<19} ", if invert { '!' } else { ' ' });
        }
        if matches!(self.target, Target::Goto(_)) {
            out.push_str(" [goto] ");
        }
        for m in &self.matches {
            m.list(format.numeric, out);
        }
        self.target.list(out);
        out.push('\n');
    }
}

impl Match {
    fn list(&self, numeric: bool, out: &mut String) {
        match self {
            Match::Ports(m) => m.list(numeric, out),
            Match::Icmp(m) => m.list(numeric, out),
            Match::Multiport(m) => m.list(out),
            Match::Conntrack(m) => m.list(out),
            Match::Mark(m) => m.list(out),
            Match::Statistic(m) => m.list(out),
            Match::Recent(m) => m.list(out),
            Match::Set(m) => m.list(out),
            Match::AddrType(m) => m.list(out),
            Match::Comment(m) => m.list(out),
            Match::Physdev(m) => m.list(out),
            Match::Nfacct(m) => m.list(out),
            Match::Limit(m) => m.list(out),
        }
    }
}

impl Target {
    fn list(&self, out: &mut String) {
        match self {
            Target::Reject(with) => with.list(out),
            Target::Dnat(nat) | Target::Snat(nat) => nat.list(out),
            Target::Masquerade(m) => m.list(false, out),
            Target::Redirect(m) => m.list(true, out),
            Target::Mark(m) => m.list(out),
            Target::Notrack => out.push_str(" NOTRACK"),
            Target::Log(log) => log.list(out),
            _ => {}
        }
    }
}

/// How many rules of a table jump to a chain.
pub(crate) fn references(
    netfilter: &Netfilter,
    table: TableKind,
    name: &super::ChainName,
) -> usize {
    let jumps = |rule: &&Rule| matches!(&rule.target, Target::Jump(chain) | Target::Goto(chain) if chain == name);
    netfilter.table(table).map_or(0, |t| {
        t.chains()
            .iter()
            .map(|c| c.rules.iter().filter(jumps).count())
            .sum()
    })
}
