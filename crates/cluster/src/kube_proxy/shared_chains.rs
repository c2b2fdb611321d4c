//! The chains that all service ports share, and the jumps to them from the kernel's own chains.
//!
//! Source: `iptablesJumpChains`, `iptablesKubeletJumpChains` and the fixed part of
//! `syncProxyRules` in `pkg/proxy/iptables/proxier.go`, Kubernetes v1.37.

use std::mem::take;
use std::net::IpAddr;

use kubarium_linux::netfilter::{ChainName, CtMatch, Netfilter, Rule, TableKind};
use kubarium_objects::Text;

use super::address::Family;
use super::config::Config;
use super::node::{LocalDetector, NodeInfo, NodePortAddresses};
use super::service_chains::{LOCALHOST_NODE_PORTS_ACCEPTED, MARK_MASQ, RuleOptions, ServiceChains};
use super::state::State;
use crate::iptables::{ensure_chain, prepend_if_missing, rule, set_chain};

const SERVICES: &str = "KUBE-SERVICES";
const EXTERNAL_SERVICES: &str = "KUBE-EXTERNAL-SERVICES";
const NODE_PORTS: &str = "KUBE-NODEPORTS";
const POSTROUTING: &str = "KUBE-POSTROUTING";
const FORWARD: &str = "KUBE-FORWARD";
const PROXY_FIREWALL: &str = "KUBE-PROXY-FIREWALL";
/// The kubelet's chain, which kube-proxy makes as well.
const KUBELET_FIREWALL: &str = "KUBE-FIREWALL";
/// The nfacct object that counts packets dropped for their connection state.
const INVALID_DROPPED: &str = "ct_state_invalid_dropped_pkts";

/// A jump that kube-proxy keeps at the head of one of the kernel's own chains.
struct Jump {
    from: &'static str,
    to: &'static str,
    comment: &'static str,
    /// Whether it is for connections' first packets only.
    new: bool,
}

const fn jump(from: &'static str, to: &'static str, comment: &'static str, new: bool) -> Jump {
    Jump {
        from,
        to,
        comment,
        new,
    }
}

/// In the order in which they are made; each goes to the head of its chain, so they end up the
/// other way round.
#[rustfmt::skip]
const FILTER_JUMPS: [Jump; 9] = [
    jump("INPUT", EXTERNAL_SERVICES, "kubernetes externally-visible service portals", true),
    jump("FORWARD", EXTERNAL_SERVICES, "kubernetes externally-visible service portals", true),
    jump("INPUT", NODE_PORTS, "kubernetes health check service ports", false),
    jump("FORWARD", SERVICES, "kubernetes service portals", true),
    jump("OUTPUT", SERVICES, "kubernetes service portals", true),
    jump("FORWARD", FORWARD, "kubernetes forwarding rules", false),
    jump("INPUT", PROXY_FIREWALL, "kubernetes load balancer firewall", true),
    jump("OUTPUT", PROXY_FIREWALL, "kubernetes load balancer firewall", true),
    jump("FORWARD", PROXY_FIREWALL, "kubernetes load balancer firewall", true),
];

#[rustfmt::skip]
const NAT_JUMPS: [Jump; 3] = [
    jump("OUTPUT", SERVICES, "kubernetes service portals", false),
    jump("PREROUTING", SERVICES, "kubernetes service portals", false),
    jump("POSTROUTING", POSTROUTING, "kubernetes postrouting rules", false),
];

const KUBELET_JUMPS: [Jump; 2] = [
    jump("INPUT", KUBELET_FIREWALL, "", false),
    jump("OUTPUT", KUBELET_FIREWALL, "", false),
];

/// Makes the chains and the jumps to them where they are missing.
pub(crate) fn ensure_jumps(tables: &mut Netfilter) {
    let jumps = [
        (TableKind::Filter, &FILTER_JUMPS[..]),
        (TableKind::Nat, &NAT_JUMPS),
        (TableKind::Filter, &KUBELET_JUMPS),
    ];
    for (table, jumps) in jumps {
        for jump in jumps {
            ensure_chain(tables, table, jump.to);
            let mut begin = rule();
            if jump.new {
                begin = begin.state(CtMatch::NEW);
            }
            if !jump.comment.is_empty() {
                begin = begin.comment(jump.comment);
            }
            prepend_if_missing(tables, table, jump.from, begin.jump(&jump.to.into()));
        }
    }
}

/// Makes the accounting objects that rules count with.
pub(crate) fn add_accounts(tables: &mut Netfilter) {
    tables.add_account(INVALID_DROPPED);
    tables.add_account(LOCALHOST_NODE_PORTS_ACCEPTED);
}

/// What of the configuration, the node and the cluster the rules depend on.
#[derive(Debug)]
pub(crate) struct Settings {
    pub rules: RuleOptions,
    mark: u32,
    random_fully: bool,
    nfacct: bool,
    drop_invalid: bool,
    /// Whether node ports answer at IPv4 loopback addresses.
    localhost_node_ports: bool,
    /// The addresses at which node ports answer; `None`: at all local ones.
    node_port_ips: Option<Vec<IpAddr>>,
}

/// Whether node ports answer at IPv4 loopback addresses.
pub(crate) fn answers_on_localhost(config: &Config, node: &NodeInfo) -> bool {
    config.localhost_node_ports
        && NodePortAddresses::new(config, node, Family::Ipv4).contains_ipv4_loopback()
}

impl Settings {
    pub(crate) fn new(config: &Config, node: &NodeInfo, state: &State) -> Settings {
        let family = state.family();
        let addresses = NodePortAddresses::new(config, node, family);
        let localhost_node_ports = family == Family::Ipv4 && answers_on_localhost(config, node);
        let node_port_ips = (!addresses.match_all()).then(|| {
            let mut ips = addresses.of_node(node);
            ips.retain(|ip| localhost_node_ports || !ip.is_loopback());
            ips
        });
        Settings {
            rules: RuleOptions {
                family,
                detector: LocalDetector::new(config, node, family),
                masquerade_all: config.masquerade_all,
                localhost_counter: localhost_node_ports && node.nfacct,
                large: state.is_large(),
                mark: 0,
            },
            mark: config.masquerade_mark(),
            random_fully: node.random_fully,
            nfacct: node.nfacct,
            drop_invalid: !config.tcp_be_liberal,
            localhost_node_ports,
            node_port_ips,
        }
    }
}

/// The contents of the shared chains, gathered from the service ports.
pub(crate) struct SharedChains<'a> {
    settings: &'a Settings,
    nat_services: Vec<Rule>,
    nat_node_ports: Vec<Rule>,
    filter_services: Vec<Rule>,
    filter_external_services: Vec<Rule>,
    filter_node_ports: Vec<Rule>,
    filter_proxy_firewall: Vec<Rule>,
}

impl<'a> SharedChains<'a> {
    pub(crate) fn new(settings: &'a Settings) -> SharedChains<'a> {
        SharedChains {
            settings,
            nat_services: Vec::new(),
            nat_node_ports: Vec::new(),
            filter_services: Vec::new(),
            filter_external_services: Vec::new(),
            filter_node_ports: Vec::new(),
            filter_proxy_firewall: Vec::new(),
        }
    }

    /// Adds a service port's part.
    pub(crate) fn add(&mut self, block: &ServiceChains) {
        let pairs = [
            (&mut self.nat_services, &block.nat_services),
            (&mut self.nat_node_ports, &block.nat_node_ports),
            (&mut self.filter_services, &block.filter_services),
            (
                &mut self.filter_external_services,
                &block.filter_external_services,
            ),
            (&mut self.filter_node_ports, &block.filter_node_ports),
            (
                &mut self.filter_proxy_firewall,
                &block.filter_proxy_firewall,
            ),
        ];
        for (all, more) in pairs {
            all.extend_from_slice(more);
        }
    }

    /// Rewrites the shared chains of the filter table.
    pub(crate) fn write_filter(&mut self, tables: &mut Netfilter) {
        let mut set = |name, rules| set_chain(tables, TableKind::Filter, name, rules);
        set(SERVICES, take(&mut self.filter_services));
        set(EXTERNAL_SERVICES, take(&mut self.filter_external_services));
        set(NODE_PORTS, take(&mut self.filter_node_ports));
        set(PROXY_FIREWALL, take(&mut self.filter_proxy_firewall));
        set(FORWARD, self.forward());
        if self.settings.localhost_node_ports {
            set(KUBELET_FIREWALL, vec![block_localnet()]);
        }
    }

    /// Rewrites the shared chains of the nat table.
    pub(crate) fn write_nat(&mut self, tables: &mut Netfilter) {
        let mut set = |name, rules| set_chain(tables, TableKind::Nat, name, rules);
        let mark = self.settings.mark;
        let mut services = take(&mut self.nat_services);
        services.extend(self.node_port_tail());
        set(SERVICES, services);
        set(NODE_PORTS, take(&mut self.nat_node_ports));
        let masquerade = rule().comment("kubernetes service traffic requiring SNAT");
        let postrouting = vec![
            rule().not_mark(mark).return_(),
            rule().xor_mark(mark),
            masquerade.masquerade(self.settings.random_fully),
        ];
        set(POSTROUTING, postrouting);
        set(MARK_MASQ, vec![rule().or_mark(mark)]);
    }

    fn forward(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        if self.settings.drop_invalid {
            let mut invalid = rule().state(CtMatch::INVALID);
            if self.settings.nfacct {
                invalid = invalid.nfacct(INVALID_DROPPED);
            }
            rules.push(invalid.drop());
        }
        let marked = rule()
            .comment("kubernetes forwarding rules")
            .mark(self.settings.mark);
        rules.push(marked.accept());
        let known = rule()
            .comment("kubernetes forwarding conntrack rule")
            .state(CtMatch::RELATED | CtMatch::ESTABLISHED);
        rules.push(known.accept());
        rules
    }

    /// The end of KUBE-SERVICES: what goes to one of the node's own addresses.
    fn node_port_tail(&self) -> Vec<Rule> {
        let comment = Text::from(
            "kubernetes service nodeports; NOTE: this must be the last rule in this chain",
        );
        let target = ChainName::from(NODE_PORTS);
        let family = self.settings.rules.family;
        let Some(ips) = &self.settings.node_port_ips else {
            let mut all = rule().comment(comment).destination_local();
            if !self.settings.localhost_node_ports {
                all = all.not_to(family.loopback());
            }
            return vec![all.jump(&target)];
        };
        ips.iter()
            .map(|ip| {
                rule()
                    .comment(comment.clone())
                    .to(Family::host(*ip))
                    .jump(&target)
            })
            .collect()
    }
}

/// Loopback addresses must not be reached from elsewhere (CVE-2020-8558), though `route_localnet`
/// is on for node ports.
pub(crate) fn block_localnet() -> Rule {
    let loopback = Family::Ipv4.loopback();
    rule()
        .comment("block incoming localnet connections")
        .to(loopback)
        .not_from(loopback)
        .not_state(CtMatch::RELATED | CtMatch::ESTABLISHED | CtMatch::DNAT)
        .drop()
}
