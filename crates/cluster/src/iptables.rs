//! Rules and chains as the node's components make them: kube-proxy, the kubelet, the CNI.
//!
//! [`rule`] begins one; each call adds a condition, in the order in which the component's own rule
//! names its matches (iptables-save keeps that order); the last call says what is done.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use kubarium_linux::Protocol;
use kubarium_linux::netfilter::{
    AddrType, AddressMatch, Chain, ChainName, Comment, CtMatch, Interface, MarkMatch, MarkTarget,
    Masquerade, Match, NatTarget, Netfilter, Nfacct, PortMatch, Ports, Recent, RejectWith, Rule,
    Statistic, TableKind, Target,
};
use kubarium_objects::Text;

/// A rule being made.
#[must_use]
pub(crate) struct Builder(Rule);

/// Begins a rule that matches everything.
pub(crate) fn rule() -> Builder {
    Builder(Rule::new(Target::None))
}

/// The simulated network is IPv4's; a rule about another family's network matches nothing.
fn ipv4(net: IpNet) -> Ipv4Net {
    match net {
        IpNet::V4(net) => net,
        IpNet::V6(_) => Ipv4Net::from(std::net::Ipv4Addr::UNSPECIFIED),
    }
}

impl Builder {
    fn with(mut self, m: Match) -> Builder {
        self.0.matches.push(m);
        self
    }

    fn target(mut self, target: Target) -> Rule {
        self.0.target = target;
        self.0
    }

    pub(crate) fn comment(self, text: impl Into<Text>) -> Builder {
        self.with(Match::Comment(Comment { text: text.into() }))
    }

    pub(crate) fn maybe_comment(self, text: Option<&Text>) -> Builder {
        match text {
            Some(text) => self.comment(text.clone()),
            None => self,
        }
    }

    fn address(net: IpNet, invert: bool) -> Option<AddressMatch> {
        Some(AddressMatch {
            net: ipv4(net),
            invert,
        })
    }

    pub(crate) fn from(mut self, net: IpNet) -> Builder {
        self.0.source = Builder::address(net, false);
        self
    }

    pub(crate) fn not_from(mut self, net: IpNet) -> Builder {
        self.0.source = Builder::address(net, true);
        self
    }

    pub(crate) fn to(mut self, net: IpNet) -> Builder {
        self.0.destination = Builder::address(net, false);
        self
    }

    pub(crate) fn not_to(mut self, net: IpNet) -> Builder {
        self.0.destination = Builder::address(net, true);
        self
    }

    /// `-i NAME`, or `-i NAME+` with `prefix`; negated with `invert`.
    pub(crate) fn interface(mut self, name: &Text, prefix: bool, invert: bool) -> Builder {
        self.0.in_interface = Some(Interface {
            name: name.clone(),
            prefix,
            invert,
        });
        self
    }

    /// `-p P -m P`
    pub(crate) fn protocol(mut self, protocol: Protocol) -> Builder {
        self.0.protocol = Some((protocol, false));
        self.with(Match::Ports(PortMatch::new(protocol)))
    }

    /// `-p P -m P --dport PORT`
    pub(crate) fn port(mut self, protocol: Protocol, port: u16) -> Builder {
        self.0.protocol = Some((protocol, false));
        let destination = Some(Ports {
            range: (port, port),
            invert: false,
        });
        self.with(Match::Ports(PortMatch {
            destination,
            ..PortMatch::new(protocol)
        }))
    }

    /// `-m addrtype --src-type LOCAL`
    pub(crate) fn source_local(self) -> Builder {
        self.with(Match::AddrType(AddrType::local_source()))
    }

    /// `-m addrtype --dst-type LOCAL`
    pub(crate) fn destination_local(self) -> Builder {
        self.with(Match::AddrType(AddrType::local_destination()))
    }

    /// `-m conntrack --ctstate …`: bits of [`CtMatch`].
    pub(crate) fn state(self, states: u8) -> Builder {
        self.with(Match::Conntrack(CtMatch::new(states, false)))
    }

    /// `-m conntrack ! --ctstate …`
    pub(crate) fn not_state(self, states: u8) -> Builder {
        self.with(Match::Conntrack(CtMatch::new(states, true)))
    }

    fn marked(self, mark: u32, invert: bool) -> Builder {
        self.with(Match::Mark(MarkMatch {
            value: mark,
            mask: mark,
            invert,
        }))
    }

    /// `-m mark --mark M/M`
    pub(crate) fn mark(self, mark: u32) -> Builder {
        self.marked(mark, false)
    }

    /// `-m mark ! --mark M/M`
    pub(crate) fn not_mark(self, mark: u32) -> Builder {
        self.marked(mark, true)
    }

    /// `-m nfacct --nfacct-name NAME`
    pub(crate) fn nfacct(self, name: &str) -> Builder {
        self.with(Match::Nfacct(Nfacct { name: name.into() }))
    }

    /// `-m recent --name LIST --set`
    pub(crate) fn remember(self, list: &ChainName) -> Builder {
        self.with(Match::Recent(Recent::set(list.text())))
    }

    /// `-m recent --name LIST --rcheck --seconds N --reap`
    pub(crate) fn recently_seen(self, list: &ChainName, seconds: u32) -> Builder {
        self.with(Match::Recent(Recent::seen_within(list.text(), seconds)))
    }

    /// `-m statistic --mode random --probability P`, P being 1/n with ten decimals as kube-proxy
    /// writes it, which the kernel keeps in 2^31 parts.
    pub(crate) fn one_in(self, n: usize) -> Builder {
        let decimals = (1e10 / n.max(1) as f64).round() / 1e10;
        let numerator = (decimals * 2f64.powi(31)).round() as u32;
        self.with(Match::Statistic(Statistic::random(numerator)))
    }

    pub(crate) fn jump(self, chain: &ChainName) -> Rule {
        self.target(Target::Jump(chain.clone()))
    }

    pub(crate) fn accept(self) -> Rule {
        self.target(Target::Accept)
    }

    pub(crate) fn drop(self) -> Rule {
        self.target(Target::Drop)
    }

    pub(crate) fn return_(self) -> Rule {
        self.target(Target::Return)
    }

    pub(crate) fn reject(self) -> Rule {
        self.target(Target::Reject(RejectWith::default()))
    }

    /// A rule that only counts.
    pub(crate) fn no_target(self) -> Rule {
        self.0
    }

    /// `-j MARK --or-mark M`
    pub(crate) fn or_mark(self, mark: u32) -> Rule {
        self.target(Target::Mark(MarkTarget {
            value: mark,
            mask: mark,
        }))
    }

    /// `-j MARK --xor-mark M`
    pub(crate) fn xor_mark(self, mark: u32) -> Rule {
        self.target(Target::Mark(MarkTarget {
            value: mark,
            mask: 0,
        }))
    }

    pub(crate) fn masquerade(self, random_fully: bool) -> Rule {
        let mut masquerade = Masquerade::default();
        masquerade.random_fully = random_fully;
        self.target(Target::Masquerade(masquerade))
    }

    /// `-j DNAT --to-destination IP:PORT`
    pub(crate) fn dnat(self, ip: IpAddr, port: u16) -> Rule {
        match ip {
            IpAddr::V4(ip) => self.target(Target::Dnat(NatTarget::to(ip, Some(port)))),
            IpAddr::V6(_) => self.no_target(),
        }
    }
}

/// The chain that a rule goes on in.
pub(crate) fn jump_target(rule: &Rule) -> Option<&ChainName> {
    match &rule.target {
        Target::Jump(chain) | Target::Goto(chain) => Some(chain),
        _ => None,
    }
}

/// Makes a user's chain where it is missing.
pub(crate) fn ensure_chain(tables: &mut Netfilter, table: TableKind, name: &str) {
    tables.ensure_table(table);
    if tables.chain(table, name).is_none() {
        set_chain(tables, table, name, Vec::new());
    }
}

/// Writes a user's chain anew.
pub(crate) fn set_chain(tables: &mut Netfilter, table: TableKind, name: &str, rules: Vec<Rule>) {
    let chain = Chain::new(name.into(), None, rules);
    tables.set_chain(table, Arc::new(chain));
}

/// Puts a rule at the head of a chain, unless the chain has it.
pub(crate) fn prepend_if_missing(
    tables: &mut Netfilter,
    table: TableKind,
    chain: &str,
    rule: Rule,
) {
    add_if_missing(tables, table, chain, rule, |rules, rule| {
        rules.insert(0, rule);
    });
}

/// Puts a rule at the end of a chain, unless the chain has it.
pub(crate) fn append_if_missing(tables: &mut Netfilter, table: TableKind, chain: &str, rule: Rule) {
    add_if_missing(tables, table, chain, rule, |rules, rule| rules.push(rule));
}

fn add_if_missing(
    tables: &mut Netfilter,
    table: TableKind,
    chain: &str,
    rule: Rule,
    add: impl FnOnce(&mut Vec<Rule>, Rule),
) {
    tables.ensure_table(table);
    let Some(old) = tables.chain(table, chain) else {
        return;
    };
    if old.rules.contains(&rule) {
        return;
    }
    let mut rules = old.rules.clone();
    add(&mut rules, rule);
    let new = Chain::new(old.name.clone(), old.policy, rules);
    tables.set_chain(table, Arc::new(new));
}
