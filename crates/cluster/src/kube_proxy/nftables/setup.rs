//! The parts of the table that do not depend on Services: base chains, the chains that they lead to, sets and maps.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use kubarium_linux::netfilter::nft::{
    Base, Chain, ChainType, DataKind, DataType, Element, Family as NftFamily, Refused, Rule, Set,
    Transaction,
};
use kubarium_linux::netfilter::{ChainName, Hook, Policy};

use super::super::address::Family;
use super::super::config::Config;
use super::super::node::{LocalDetector, NodeInfo, NodePortAddresses};
use super::TABLE;
use super::chains::{Container, address, from_local, mark};

/// What of the configuration and the node the table depends on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub family: Family,
    pub detector: LocalDetector,
    pub masquerade_all: bool,
    pub mark: u32,
    /// The Services' networks, if known.
    pub service_cidrs: Vec<IpNet>,
    /// Where node ports answer; `None`: at all local addresses but loopback's.
    pub node_port_ips: Option<Vec<IpAddr>>,
}

impl Settings {
    pub(super) fn new(config: &Config, node: &NodeInfo, family: Family) -> Settings {
        let addresses = NodePortAddresses::for_nftables(config, node, family);
        let node_port_ips = (!addresses.match_all()).then(|| {
            let mut ips = addresses.of_node(node);
            ips.retain(|ip| !ip.is_loopback() && Family::of(*ip) == family);
            ips
        });
        let cidrs = config.service_cidrs.iter().copied();
        Settings {
            family,
            detector: LocalDetector::new(config, node, family),
            masquerade_all: config.masquerade_all,
            mark: config.nftables_masquerade_mark(),
            service_cidrs: cidrs
                .filter(|cidr| Family::of(cidr.addr()) == family)
                .collect(),
            node_port_ips,
        }
    }
}

impl Family {
    /// The table's family.
    pub(super) fn nft(self) -> NftFamily {
        match self {
            Family::Ipv4 => NftFamily::Ip,
            Family::Ipv6 => NftFamily::Ip6,
        }
    }
}

const fn base(kind: ChainType, hook: Hook, priority: i32) -> Base {
    Base {
        kind,
        hook,
        priority,
        policy: Policy::Accept,
    }
}

const DNAT: i32 = -100;
const SNAT: i32 = 100;

/// The base chains.
const BASE_CHAINS: [(&str, Base); 8] = [
    (
        "filter-prerouting-pre-dnat",
        base(ChainType::Filter, Hook::Prerouting, DNAT - 10),
    ),
    (
        "filter-output-pre-dnat",
        base(ChainType::Filter, Hook::Output, DNAT - 10),
    ),
    ("filter-input", base(ChainType::Filter, Hook::Input, 0)),
    ("filter-forward", base(ChainType::Filter, Hook::Forward, 0)),
    ("filter-output", base(ChainType::Filter, Hook::Output, 0)),
    (
        "nat-prerouting",
        base(ChainType::Nat, Hook::Prerouting, DNAT),
    ),
    ("nat-output", base(ChainType::Nat, Hook::Output, DNAT)),
    (
        "nat-postrouting",
        base(ChainType::Nat, Hook::Postrouting, SNAT),
    ),
];

/// The jumps out of them: chain, what is asked first, and where to.
const JUMPS: [(&str, &str, &str); 11] = [
    ("filter-input", "ct state new", "nodeport-endpoints-check"),
    ("filter-input", "ct state new", "service-endpoints-check"),
    ("filter-forward", "ct state new", "service-endpoints-check"),
    ("filter-forward", "ct state new", "cluster-ips-check"),
    ("filter-output", "ct state new", "service-endpoints-check"),
    ("filter-output", "ct state new", "cluster-ips-check"),
    (
        "filter-prerouting-pre-dnat",
        "ct state new",
        "firewall-check",
    ),
    ("filter-output-pre-dnat", "ct state new", "firewall-check"),
    ("nat-output", "", "services"),
    ("nat-prerouting", "", "services"),
    ("nat-postrouting", "", "masquerading"),
];

/// Writes the table anew, but for what Services put into it. `recreate`: base chains are made anew as well, as once
/// after kube-proxy's start.
pub(super) fn write(
    transaction: &mut Transaction,
    settings: &Settings,
    recreate: bool,
) -> Result<(), Refused> {
    let family = settings.family.nft();
    transaction.add_table(family, TABLE, Some("rules for kube-proxy"));
    if recreate {
        for (name, _) in BASE_CHAINS {
            // Not there at the first start.
            let _ = transaction.delete_chain(family, TABLE, &name.into());
        }
    }
    for (name, set) in sets(settings) {
        transaction.write_set(family, TABLE, &name, Arc::new(set))?;
    }
    if settings.node_port_ips.is_none() {
        transaction.forget_set(family, TABLE, &"nodeport-ips".into())?;
    }
    for chain in chains(settings) {
        transaction.write_chain(family, TABLE, Arc::new(chain))?;
    }
    Ok(())
}

/// The sets and maps, empty but for the addresses of node ports.
fn sets(settings: &Settings) -> Vec<(ChainName, Set)> {
    let ip = match settings.family {
        Family::Ipv4 => DataType::Ipv4Addr,
        Family::Ipv6 => DataType::Ipv6Addr,
    };
    let (protocol, port) = (DataType::InetProto, DataType::InetService);
    let described = |mut set: Set, comment: &str| {
        set.comment = Some(comment.into());
        set
    };
    let set = |key: &[DataType], comment| described(Set::new(key.to_vec()), comment);
    let map =
        |key: &[DataType], comment| described(Set::map(key.to_vec(), DataKind::Verdict), comment);
    let mut node_ports = set(&[ip], "IPs that accept NodePort traffic");
    for ip in settings.node_port_ips.iter().flatten() {
        node_ports.elements.insert(address(*ip), Element::default());
    }
    let services = [ip, protocol, port];
    let all = [
        (
            Container::Hairpins.name(),
            set(&[ip, ip, protocol, port], "service hairpin connections"),
        ),
        (
            Container::ClusterIps.name(),
            set(&[ip], "Active ClusterIPs"),
        ),
        ("nodeport-ips", node_ports),
        (
            Container::NoEndpointServices.name(),
            map(
                &services,
                "vmap to drop or reject packets to services with no endpoints",
            ),
        ),
        (
            Container::NoEndpointNodePorts.name(),
            map(
                &[protocol, port],
                "vmap to drop or reject packets to service nodeports with no endpoints",
            ),
        ),
        (
            Container::FirewallIps.name(),
            map(
                &services,
                "destinations that are subject to LoadBalancerSourceRanges",
            ),
        ),
        (
            Container::ServiceIps.name(),
            map(
                &services,
                "ClusterIP, ExternalIP and LoadBalancer IP traffic",
            ),
        ),
        (
            Container::ServiceNodePorts.name(),
            map(&[protocol, port], "NodePort traffic"),
        ),
    ];
    let wanted = |name: &str| name != "nodeport-ips" || settings.node_port_ips.is_some();
    all.into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, set)| (ChainName::from(name), set))
        .collect()
}

/// The chains with their rules.
fn chains(settings: &Settings) -> Vec<Chain> {
    let mut all: Vec<Chain> = Vec::new();
    for (name, base) in BASE_CHAINS {
        let jumps = JUMPS.iter().filter(|jump| jump.0 == name);
        let rules =
            jumps.map(|(_, condition, to)| read(settings, &format!("{condition} jump {to}")));
        let mut chain = Chain::new(name.into(), rules.collect());
        chain.base = Some(base);
        all.push(chain);
    }
    let ip = settings.family.nft().name();
    let at_node = match (&settings.node_port_ips, settings.family) {
        (Some(_), _) => format!("{ip} daddr @nodeport-ips"),
        (None, Family::Ipv4) => "fib daddr type local ip daddr != 127.0.0.0/8".to_owned(),
        (None, Family::Ipv6) => "fib daddr type local ip6 daddr != ::1".to_owned(),
    };
    let service = format!("{ip} daddr . meta l4proto . th dport vmap");
    let node_port = format!("{at_node} meta l4proto . th dport vmap");
    // What is refused is asked without the kind of the address.
    let refused = match (&settings.node_port_ips, settings.family) {
        (Some(_), _) => node_port.clone(),
        (None, Family::Ipv4) => "ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap".to_owned(),
        (None, Family::Ipv6) => "ip6 daddr != ::1 meta l4proto . th dport vmap".to_owned(),
    };
    let mark_text = format!("{:#x}", settings.mark);
    let rules = |texts: &[String]| texts.iter().map(|text| read(settings, text)).collect();
    all.push(Chain::new(
        "nodeport-endpoints-check".into(),
        rules(&[format!("{refused} @no-endpoint-nodeports")]),
    ));
    all.push(Chain::new(
        "service-endpoints-check".into(),
        rules(&[format!("{service} @no-endpoint-services")]),
    ));
    all.push(Chain::new(
        "firewall-check".into(),
        rules(&[format!("{service} @firewall-ips")]),
    ));
    let mut services: Vec<Rule> = masquerade_cluster_ips(settings).into_iter().collect();
    services.push(read(settings, &format!("{service} @service-ips")));
    services.push(read(settings, &format!("{node_port} @service-nodeports")));
    all.push(Chain::new("services".into(), services));
    all.push(Chain::new(
        "masquerading".into(),
        rules(&[
            format!(
                "mark and {mark_text} != 0 mark set mark xor {mark_text} masquerade fully-random"
            ),
            format!(
                "ct status dnat {ip} saddr . {ip} daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random"
            ),
        ]),
    ));
    all.push(Chain::new("cluster-ips-check".into(), check(settings, ip)));
    let mut reject = Chain::new("reject-chain".into(), rules(&["reject".to_owned()]));
    reject.comment = Some("helper for @no-endpoint-services / @no-endpoint-nodeports".into());
    all.push(reject);
    all
}

/// A rule of ours.
fn read(settings: &Settings, text: &str) -> Rule {
    // The texts are this file's own; one that could not be read would match nothing and do nothing.
    Rule::parse(settings.family.nft(), text).unwrap_or_else(|_| Rule::new(Vec::new()))
}

/// Traffic to cluster IPs from outside the cluster (or all of it) is masqueraded.
fn masquerade_cluster_ips(settings: &Settings) -> Option<Rule> {
    let ip = settings.family.nft().name();
    let to = read(settings, &format!("{ip} daddr @cluster-ips")).statements;
    let marked = mark(settings.mark);
    if settings.masquerade_all {
        let rule = Rule::new(to.into_iter().chain([marked]).collect());
        return Some(rule.comment("masquerade all clusterIP traffic"));
    }
    let from = from_local(&settings.detector, false)?;
    let rule = Rule::new(to.into_iter().chain([from, marked]).collect());
    Some(rule.comment("masquerade clusterIP traffic from outside cluster"))
}

/// What no Service took: wrong ports are refused, addresses that no Service has vanish.
fn check(settings: &Settings, ip: &str) -> Vec<Rule> {
    let reject = read(settings, &format!("{ip} daddr @cluster-ips reject"));
    let mut rules = vec![reject.comment("Reject traffic to invalid ports of ClusterIPs")];
    let nets: Vec<String> = settings
        .service_cidrs
        .iter()
        .map(ToString::to_string)
        .collect();
    if !nets.is_empty() {
        let drop = read(
            settings,
            &format!("{ip} daddr {{ {} }} drop", nets.join(", ")),
        );
        rules.push(drop.comment("Drop traffic to unallocated ClusterIPs"));
    }
    rules
}
