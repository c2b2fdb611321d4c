//! The chains, sets and elements of one service port. They are the same on every node that uses the same endpoints, so
//! nodes share them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use kubarium_linux::Protocol;
use kubarium_linux::netfilter::ChainName;
use kubarium_linux::netfilter::nft::{
    Chain, DataKind, DataType, Datum, Element, Flags, Key, MapRef, MarkChange, Nat, NatKind, NatTo,
    Rule, Selector, Set, Statement, Update, Values, Verdict,
};

use kubarium_objects::Text;

use super::super::cache::Built;
use super::super::endpoints::{Categorized, Endpoint};
use super::super::naming::hash;
use super::super::node::LocalDetector;
use super::super::service::ServicePort;
use super::super::service_chains::RuleOptions;
use super::super::state::PortEntry;

/// The sets and maps whose elements service ports make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Container {
    Hairpins,
    ClusterIps,
    NoEndpointServices,
    NoEndpointNodePorts,
    FirewallIps,
    ServiceIps,
    ServiceNodePorts,
}

impl Container {
    /// All of them.
    pub(crate) const ALL: [Container; 7] = [
        Container::Hairpins,
        Container::ClusterIps,
        Container::NoEndpointServices,
        Container::NoEndpointNodePorts,
        Container::FirewallIps,
        Container::ServiceIps,
        Container::ServiceNodePorts,
    ];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Container::Hairpins => "hairpin-connections",
            Container::ClusterIps => "cluster-ips",
            Container::NoEndpointServices => "no-endpoint-services",
            Container::NoEndpointNodePorts => "no-endpoint-nodeports",
            Container::FirewallIps => "firewall-ips",
            Container::ServiceIps => "service-ips",
            Container::ServiceNodePorts => "service-nodeports",
        }
    }
}

/// What one service port puts into the table.
#[derive(Debug, Default)]
pub struct NftChains {
    pub(super) elements: Vec<(Container, Key, Element)>,
    /// The sets of clients that keep their endpoint, one an endpoint.
    pub(super) affinity: Vec<(ChainName, Arc<Set>)>,
    pub(super) chains: Vec<Arc<Chain>>,
}

/// The longest name that a chain's is made of (`chainNameBaseLengthMax`).
const LONGEST: usize = 240;

/// The longest comment (`CommentLengthMax` of knftables).
const COMMENT: usize = 128;

/// Eight characters of a hash of a name, and the name.
fn named(prefix: &str, name: &str) -> ChainName {
    let digits: [u8; 8] = hash(&[name]);
    let digits = std::str::from_utf8(&digits).unwrap_or_default();
    let mut base = format!("{digits}-{name}");
    if base.len() > LONGEST {
        base.truncate(LONGEST - 3);
        base.push_str("...");
    }
    ChainName::from(&*format!("{prefix}-{base}"))
}

/// A comment as long as the kernel takes one.
fn shortened(comment: &Text) -> Text {
    match comment.get(..COMMENT) {
        Some(beginning) => beginning.into(),
        None => comment.clone(),
    }
}

fn goto_element(chain: &ChainName) -> Element {
    Element {
        comment: None,
        datum: Some(Datum::Verdict(Verdict::Goto(chain.clone()))),
    }
}

/// An address as a key; the simulated network is IPv4's.
pub(super) fn address(ip: IpAddr) -> Key {
    match ip {
        IpAddr::V4(ip) => Key::EMPTY.address(ip),
        IpAddr::V6(ip) => Key::of(&ip.octets()),
    }
}

/// The first and last address of a network.
pub(super) fn range(net: IpNet) -> Values {
    let (first, last) = (address(net.network()), address(net.broadcast()));
    if first == last {
        Values::One(first)
    } else {
        Values::Range(first, last)
    }
}

/// The condition that traffic comes from a local pod, or does not; `None` where rules cannot tell.
pub(super) fn from_local(detector: &LocalDetector, local: bool) -> Option<Statement> {
    let (selector, values) = match detector {
        LocalDetector::None => return None,
        LocalDetector::Source(net @ IpNet::V4(_)) => (Selector::IpSaddr, range(*net)),
        LocalDetector::Source(net @ IpNet::V6(_)) => (Selector::Ip6Saddr, range(*net)),
        LocalDetector::Interface { name, prefix: true } => {
            (Selector::Iifname, Values::Beginning(name.clone()))
        }
        LocalDetector::Interface { name, .. } => {
            let mut bytes = [0u8; 16];
            let length = name.len().min(15);
            bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
            (Selector::Iifname, Values::One(Key::of(&bytes)))
        }
    };
    Some(if local {
        Statement::is(selector, values)
    } else {
        Statement::is_not(selector, values)
    })
}

pub(super) fn mark(bits: u32) -> Statement {
    Statement::SetMark(MarkChange::Or(bits))
}

struct Maker<'a> {
    port: &'a ServicePort,
    endpoints: &'a [Endpoint],
    used: &'a Categorized,
    node_ip_in_ranges: bool,
    options: &'a RuleOptions,
    protocol: Protocol,
    /// `NAMESPACE/SERVICE/PROTOCOL/PORT`
    name: String,
    cluster_chain: ChainName,
    local_chain: ChainName,
    external_chain: ChainName,
    firewall_chain: ChainName,
    has_internal: bool,
    has_external: bool,
    out: NftChains,
}

impl Built for NftChains {
    fn build(
        entry: &PortEntry,
        used: &Categorized,
        node_ip_in_ranges: bool,
        options: &RuleOptions,
    ) -> NftChains {
        let port = &entry.port;
        let service = port.name.split(':').next().unwrap_or_default();
        let name = format!("{service}/{}/{}", port.protocol.as_str(), port.port_name);
        let no_local = used.local.is_empty();
        let mut maker = Maker {
            port,
            endpoints: &entry.endpoints,
            used,
            node_ip_in_ranges,
            options,
            protocol: port.protocol.into(),
            cluster_chain: named("service", &name),
            local_chain: named("local", &name),
            external_chain: named("external", &name),
            firewall_chain: named("firewall", &name),
            name,
            has_internal: used.has_any && !(port.internal_policy_local && no_local),
            has_external: used.has_any && !(port.external_policy_local && no_local),
            out: NftChains::default(),
        };
        maker.cluster_ip();
        maker.external_addresses();
        maker.node_port();
        maker.endpoint_chains();
        maker.endpoint_list_chains();
        maker.external_chain();
        maker.firewall_chain();
        maker.out
    }
}

impl Maker<'_> {
    fn at(&self, ip: IpAddr) -> Key {
        address(ip).protocol(self.protocol).port(self.port.port)
    }

    fn put(&mut self, container: Container, key: Key, element: Element) {
        self.out.elements.push((container, key, element));
    }

    fn chain(&mut self, name: &ChainName, rules: Vec<Rule>) {
        let chain = Chain::new(name.clone(), rules);
        self.out.chains.push(Arc::new(chain));
    }

    /// Traffic that has no endpoint: refused where no node has one, else dropped.
    fn without_endpoints(&self) -> Element {
        let verdict = if self.used.has_any {
            Verdict::Drop
        } else {
            Verdict::Goto("reject-chain".into())
        };
        Element {
            comment: Some(shortened(&self.port.name)),
            datum: Some(Datum::Verdict(verdict)),
        }
    }

    fn cluster_ip(&mut self) {
        let ip = self.port.cluster_ip;
        self.put(Container::ClusterIps, address(ip), Element::default());
        if self.has_internal {
            let target = if self.port.internal_policy_local {
                goto_element(&self.local_chain)
            } else {
                goto_element(&self.cluster_chain)
            };
            self.put(Container::ServiceIps, self.at(ip), target);
        } else {
            let refuse = self.without_endpoints();
            self.put(Container::NoEndpointServices, self.at(ip), refuse);
        }
    }

    fn uses_firewall(&self) -> bool {
        !self.port.load_balancer_vips.is_empty() && !self.port.source_ranges.is_empty()
    }

    fn external_addresses(&mut self) {
        let port = self.port;
        let vips = port.load_balancer_vips.iter().map(|ip| (ip, true));
        let ips = port.external_ips.iter().map(|ip| (ip, false));
        for (ip, is_vip) in ips.chain(vips) {
            let key = self.at(*ip);
            if self.used.has_any {
                let element = goto_element(&self.external_chain);
                self.put(Container::ServiceIps, key, element);
            }
            if is_vip && self.uses_firewall() {
                let element = goto_element(&self.firewall_chain);
                self.put(Container::FirewallIps, key, element);
            }
            if !self.has_external {
                let refuse = self.without_endpoints();
                self.put(Container::NoEndpointServices, key, refuse);
            }
        }
    }

    fn node_port(&mut self) {
        if self.port.node_port == 0 {
            return;
        }
        let key = Key::EMPTY.protocol(self.protocol).port(self.port.node_port);
        if self.used.has_any {
            let element = goto_element(&self.external_chain);
            self.put(Container::ServiceNodePorts, key, element);
        }
        if !self.has_external {
            let refuse = self.without_endpoints();
            self.put(Container::NoEndpointNodePorts, key, refuse);
        }
    }

    fn endpoint_name(&self, prefix: &str, endpoint: &Endpoint) -> ChainName {
        let ip = endpoint.ip.to_string().replace(':', ".");
        named(prefix, &format!("{}__{ip}/{}", self.name, endpoint.port))
    }

    /// With affinity, every endpoint has a chain of its own, and a set of the clients that it keeps.
    fn endpoint_chains(&mut self) {
        let Some(seconds) = self.port.affinity_seconds else {
            return;
        };
        let key = match self.options.family {
            super::super::Family::Ipv4 => DataType::Ipv4Addr,
            super::super::Family::Ipv6 => DataType::Ipv6Addr,
        };
        let mut set = Set::new(vec![key]);
        set.flags = Flags {
            dynamic: true,
            timeout: true,
            ..Flags::default()
        };
        set.timeout = Some(u64::from(seconds) * 1000);
        set.size = Some(65535);
        let set = Arc::new(set);
        for index in &self.used.all_reachable {
            let Some(endpoint) = self.endpoints.get(*index as usize) else {
                continue;
            };
            let clients = self.endpoint_name("affinity", endpoint);
            let remember = Statement::Update {
                operation: Update::Update,
                set: clients.clone(),
                key: vec![self.client()],
                timeout: None,
            };
            let rules = vec![
                Rule::new(vec![remember]),
                Rule::new(vec![self.of_protocol(), translate(endpoint)]),
            ];
            self.out.affinity.push((clients, set.clone()));
            self.chain(&self.endpoint_name("endpoint", endpoint), rules);
        }
    }

    fn client(&self) -> Selector {
        match self.options.family {
            super::super::Family::Ipv4 => Selector::IpSaddr,
            super::super::Family::Ipv6 => Selector::Ip6Saddr,
        }
    }

    fn of_protocol(&self) -> Statement {
        let protocol = Key::EMPTY.protocol(self.protocol);
        Statement::is(Selector::L4Proto, Values::One(protocol))
    }

    /// One endpoint is drawn out of all, or of this node's.
    fn endpoint_list_chains(&mut self) {
        let (port, used) = (self.port, self.used);
        let lists = [
            (
                self.cluster_chain.clone(),
                &used.cluster,
                port.uses_cluster_endpoints(),
            ),
            (
                self.local_chain.clone(),
                &used.local,
                port.uses_local_endpoints(),
            ),
        ];
        for (name, list, wanted) in lists {
            if wanted && !list.is_empty() {
                let rules = self.draw(list);
                self.chain(&name, rules);
            }
        }
    }

    fn draw(&self, list: &[u32]) -> Vec<Rule> {
        let all = self.endpoints;
        let endpoints: Vec<&Endpoint> =
            list.iter().filter_map(|at| all.get(*at as usize)).collect();
        let number = Selector::Numgen {
            random: true,
            modulus: endpoints.len() as u32,
            offset: 0,
        };
        if self.port.affinity_seconds.is_some() {
            let mut rules = Vec::new();
            let mut map = Set::map(vec![DataType::Integer], DataKind::Verdict);
            for (n, endpoint) in (0..).zip(&endpoints) {
                let chain = self.endpoint_name("endpoint", endpoint);
                let clients = Values::Named(self.endpoint_name("affinity", endpoint));
                rules.push(Rule::new(vec![
                    Statement::is(self.client(), clients),
                    Statement::goto(&chain),
                ]));
                map.elements.insert(Key::number(n), goto_element(&chain));
            }
            let draw = Statement::VerdictMap(vec![number], MapRef::Own(Arc::new(map)));
            rules.push(Rule::new(vec![draw]));
            return rules;
        }
        let translate = match endpoints.as_slice() {
            [one] => translate(one),
            all => {
                let types = vec![DataType::Ipv4Addr, DataType::InetService];
                let mut map = Set::map(vec![DataType::Integer], DataKind::Values(types));
                for (n, endpoint) in (0..).zip(all) {
                    let to = address(endpoint.ip).port(endpoint.port);
                    let element = Element {
                        comment: None,
                        datum: Some(Datum::Value(to)),
                    };
                    map.elements.insert(Key::number(n), element);
                }
                let to = NatTo::Map(vec![number], MapRef::Own(Arc::new(map)));
                Statement::Nat(Nat::new(NatKind::Dnat, to))
            }
        };
        vec![Rule::new(vec![self.of_protocol(), translate])]
    }

    /// What comes in at an address that is reachable from outside.
    fn external_chain(&mut self) {
        if !self.used.has_any || !self.port.externally_accessible() {
            return;
        }
        let bits = self.options.mark;
        let mut rules = Vec::new();
        if self.port.external_policy_local {
            let all = Statement::goto(&self.cluster_chain);
            if let Some(pods) = from_local(&self.options.detector, true) {
                let rule = Rule::new(vec![pods, all.clone()]);
                rules.push(rule.comment("short-circuit pod traffic"));
            }
            let own = || {
                let local = Values::One(Key::number(2));
                Statement::is(Selector::FibType { source: true }, local)
            };
            let masquerade = Rule::new(vec![own(), mark(bits)]);
            rules.push(masquerade.comment("masquerade local traffic"));
            let short = Rule::new(vec![own(), all]);
            rules.push(short.comment("short-circuit local traffic"));
        } else {
            rules.push(Rule::new(vec![mark(bits)]).comment("masquerade"));
        }
        if self.has_external {
            let target = if self.port.external_policy_local {
                &self.local_chain
            } else {
                &self.cluster_chain
            };
            rules.push(Rule::new(vec![Statement::goto(target)]));
        }
        self.chain(&self.external_chain.clone(), rules);
    }

    /// Who may use the load balancer's address.
    fn firewall_chain(&mut self) {
        if !self.uses_firewall() {
            return;
        }
        let mut nets = self.port.source_ranges.clone();
        if self.node_ip_in_ranges {
            let vips = self.port.load_balancer_vips.iter();
            nets.extend(vips.map(|ip| super::super::Family::host(*ip)));
        }
        let mut set = Set::new(vec![match self.options.family {
            super::super::Family::Ipv4 => DataType::Ipv4Addr,
            super::super::Family::Ipv6 => DataType::Ipv6Addr,
        }]);
        set.auto_merge = true;
        for net in &nets {
            let (first, last) = (address(net.network()), address(net.broadcast()));
            // Overlapping ranges become one.
            let _ = set.add_interval(first, last, Element::default());
        }
        let allowed = match set.intervals.as_slice() {
            [(first, last, _)] if first == last => Values::One(*first),
            [(first, last, _)] => Values::Range(*first, *last),
            _ => Values::Set(Arc::new(set)),
        };
        let others = Statement::is_not(self.client(), allowed);
        let drop = Rule::new(vec![others, Statement::Verdict(Verdict::Drop)]);
        self.chain(&self.firewall_chain.clone(), vec![drop]);
    }
}

/// `dnat to IP:PORT`
fn translate(endpoint: &Endpoint) -> Statement {
    let addresses = match endpoint.ip {
        IpAddr::V4(ip) => Some((ip, ip)),
        IpAddr::V6(_) => None,
    };
    let to = NatTo::Fixed {
        addresses,
        ports: Some((endpoint.port, endpoint.port)),
    };
    Statement::Nat(Nat::new(NatKind::Dnat, to))
}
