//! The rules of one service port: its own chains in the nat table, and its part of the chains that
//! all service ports share.
//!
//! They depend on the service port, on which of its endpoints the node uses and on a few settings,
//! so nodes that agree in these share one block.
//!
//! Source: `syncProxyRules`, `writeServiceToEndpointRules` and the chain constants of
//! `pkg/proxy/iptables/proxier.go`, Kubernetes v1.37.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use kubarium_linux::netfilter::{Chain, ChainName, Rule};
use kubarium_objects::Text;

use super::address::Family;
use super::cache::Built;
use super::endpoints::{Categorized, Endpoint};
use super::naming::{chain_name, hash};
use super::node::LocalDetector;
use super::service::ServicePort;
use super::state::PortEntry;
use crate::iptables::{Builder, rule};

/// The chain that marks packets for masquerading.
pub(crate) const MARK_MASQ: &str = "KUBE-MARK-MASQ";
/// The nfacct object that counts packets to node ports at a loopback address.
pub(crate) const LOCALHOST_NODE_PORTS_ACCEPTED: &str = "localhost_nps_accepted_pkts";

/// What of the configuration, the node and the cluster decides the text of service rules.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleOptions {
    pub family: Family,
    pub detector: LocalDetector,
    pub masquerade_all: bool,
    /// Whether node ports at loopback addresses are counted.
    pub localhost_counter: bool,
    /// Whether comments on endpoints' rules are left out.
    pub large: bool,
    /// The bits that mark a packet for masquerading, where service rules name them.
    pub mark: u32,
}

/// One service port's rules.
#[derive(Debug, Default)]
pub struct ServiceChains {
    pub(crate) nat_services: Vec<Rule>,
    pub(crate) nat_node_ports: Vec<Rule>,
    pub(crate) filter_services: Vec<Rule>,
    pub(crate) filter_external_services: Vec<Rule>,
    pub(crate) filter_node_ports: Vec<Rule>,
    pub(crate) filter_proxy_firewall: Vec<Rule>,
    /// The chains of its own, in the nat table.
    pub(crate) chains: Vec<Arc<Chain>>,
}

impl Built for ServiceChains {
    fn build(
        entry: &PortEntry,
        used: &Categorized,
        node_ip_in_ranges: bool,
        options: &RuleOptions,
    ) -> ServiceChains {
        let maker = Maker::new(entry, used, node_ip_in_ranges, options);
        let mut out = ServiceChains::default();
        maker.cluster_ip(&mut out);
        maker.external_ips(&mut out);
        maker.load_balancer(&mut out);
        maker.node_port(&mut out);
        maker.health_check(&mut out);
        maker.external_chain(&mut out);
        maker.firewall_chain(&mut out);
        maker.endpoint_list_chains(&mut out);
        maker.endpoint_chains(&mut out);
        out
    }
}

struct Maker<'a> {
    port: &'a ServicePort,
    endpoints: &'a [Endpoint],
    used: &'a Categorized,
    node_ip_in_ranges: bool,
    options: &'a RuleOptions,
    cluster_chain: ChainName,
    local_chain: ChainName,
    external_chain: ChainName,
    firewall_chain: ChainName,
    endpoint_chains: Vec<Option<ChainName>>,
    mark_masq: ChainName,
    /// Whether some node has a usable endpoint.
    has_endpoints: bool,
    /// Whether traffic to the cluster IP has an endpoint.
    has_internal: bool,
    /// Whether traffic from outside has an endpoint.
    has_external: bool,
}

impl<'a> Maker<'a> {
    fn new(
        entry: &'a PortEntry,
        used: &'a Categorized,
        node_ip_in_ranges: bool,
        options: &'a RuleOptions,
    ) -> Maker<'a> {
        let port = &entry.port;
        let protocol = port.protocol.as_str();
        let service = hash(&[&port.name, protocol]);
        let mut endpoint_chains = vec![None; entry.endpoints.len()];
        for index in &used.all_reachable {
            let index = *index as usize;
            if let (Some(name), Some(endpoint)) =
                (endpoint_chains.get_mut(index), entry.endpoints.get(index))
            {
                let hash = hash(&[&port.name, protocol, &endpoint.text]);
                *name = Some(chain_name("KUBE-SEP-", &hash));
            }
        }
        let no_local = used.local.is_empty();
        Maker {
            port,
            endpoints: &entry.endpoints,
            used,
            node_ip_in_ranges,
            options,
            cluster_chain: chain_name("KUBE-SVC-", &service),
            local_chain: chain_name("KUBE-SVL-", &service),
            external_chain: chain_name("KUBE-EXT-", &service),
            firewall_chain: chain_name("KUBE-FW-", &service),
            endpoint_chains,
            mark_masq: MARK_MASQ.into(),
            has_endpoints: used.has_any,
            has_internal: used.has_any && !(port.internal_policy_local && no_local),
            has_external: used.has_any && !(port.external_policy_local && no_local),
        }
    }

    /// Where traffic to the cluster IP goes.
    fn internal_target(&self) -> &ChainName {
        if self.port.internal_policy_local {
            &self.local_chain
        } else {
            &self.cluster_chain
        }
    }

    /// Where traffic from outside goes.
    fn external_target(&self) -> &ChainName {
        if self.port.external_policy_local {
            &self.local_chain
        } else {
            &self.cluster_chain
        }
    }

    /// The beginning of a rule for this port at an address.
    fn at(&self, comment: impl Into<Text>, ip: IpAddr, port: u16) -> Builder {
        rule()
            .comment(comment)
            .port(self.port.protocol.into(), port)
            .to(Family::host(ip))
    }

    fn named(&self, what: &str) -> Text {
        format!("{} {what}", self.port.name).into()
    }

    /// Ends a rule for traffic that has no endpoint: refused where no node has one, else dropped
    /// (the client is to try another node).
    fn without_endpoints(&self, begin: impl FnOnce(Text) -> Builder) -> Rule {
        if self.has_endpoints {
            begin(self.named("has no local endpoints")).drop()
        } else {
            begin(self.named("has no endpoints")).reject()
        }
    }

    fn cluster_ip(&self, out: &mut ServiceChains) {
        let (ip, port) = (self.port.cluster_ip, self.port.port);
        if self.has_internal {
            let rule = self.at(self.named("cluster IP"), ip, port);
            out.nat_services.push(rule.jump(self.internal_target()));
        } else {
            let refuse = self.without_endpoints(|comment| self.at(comment, ip, port));
            out.filter_services.push(refuse);
        }
    }

    fn external_ips(&self, out: &mut ServiceChains) {
        for ip in &self.port.external_ips {
            if self.has_endpoints {
                let rule = self.at(self.named("external IP"), *ip, self.port.port);
                out.nat_services.push(rule.jump(&self.external_chain));
            }
            if !self.has_external {
                let refuse = self.without_endpoints(|text| self.at(text, *ip, self.port.port));
                out.filter_external_services.push(refuse);
            }
        }
    }

    fn load_balancer(&self, out: &mut ServiceChains) {
        let restricted = !self.port.source_ranges.is_empty();
        let target = if restricted {
            &self.firewall_chain
        } else {
            &self.external_chain
        };
        for ip in &self.port.load_balancer_vips {
            if self.has_endpoints {
                let rule = self.at(self.named("loadbalancer IP"), *ip, self.port.port);
                out.nat_services.push(rule.jump(target));
            }
            if self.has_endpoints && restricted {
                let comment =
                    self.named(&format!("traffic not accepted by {}", self.firewall_chain));
                let rule = self.at(comment, *ip, self.port.port);
                out.filter_proxy_firewall.push(rule.drop());
            }
            if !self.has_external {
                let refuse = self.without_endpoints(|text| self.at(text, *ip, self.port.port));
                out.filter_external_services.push(refuse);
            }
        }
    }

    fn node_port(&self, out: &mut ServiceChains) {
        let (protocol, port) = (self.port.protocol, self.port.node_port);
        if port == 0 {
            return;
        }
        let begin = || {
            rule()
                .comment(self.port.name.clone())
                .port(protocol.into(), port)
        };
        if self.has_endpoints {
            if self.options.localhost_counter {
                let counted = begin()
                    .to(self.options.family.loopback())
                    .nfacct(LOCALHOST_NODE_PORTS_ACCEPTED);
                out.nat_node_ports.push(counted.jump(&self.external_chain));
            }
            out.nat_node_ports.push(begin().jump(&self.external_chain));
        }
        if !self.has_external {
            let refuse = self.without_endpoints(|comment| {
                rule()
                    .comment(comment)
                    .destination_local()
                    .port(protocol.into(), port)
            });
            out.filter_external_services.push(refuse);
        }
    }

    fn health_check(&self, out: &mut ServiceChains) {
        let port = self.port.health_check_node_port;
        if port != 0 {
            let rule = rule()
                .comment(self.named("health check node port"))
                .port(super::Protocol::Tcp.into(), port);
            out.filter_node_ports.push(rule.accept());
        }
    }

    /// KUBE-EXT: what comes in at an address that is reachable from outside.
    fn external_chain(&self, out: &mut ServiceChains) {
        if !self.has_endpoints || !self.port.externally_accessible() {
            return;
        }
        let text = |what: &str| -> Text {
            format!("{what} {} external destinations", self.port.name).into()
        };
        let mut rules = Vec::new();
        if self.port.external_policy_local {
            let from_pods = rule().comment(text("pod traffic for"));
            if let Some(from_pods) = self.options.detector.if_local(from_pods) {
                rules.push(from_pods.jump(&self.cluster_chain));
            }
            let own = |what| rule().comment(text(what)).source_local();
            rules.push(own("masquerade LOCAL traffic for").jump(&self.mark_masq));
            rules.push(own("route LOCAL traffic for").jump(&self.cluster_chain));
        } else {
            let masquerade = rule().comment(text("masquerade traffic for"));
            rules.push(masquerade.jump(&self.mark_masq));
        }
        if self.has_external {
            rules.push(rule().jump(self.external_target()));
        }
        out.push_chain(&self.external_chain, rules);
    }

    /// KUBE-FW: who may use the load balancer's address.
    fn firewall_chain(&self, out: &mut ServiceChains) {
        let port = self.port;
        if !self.has_endpoints
            || port.source_ranges.is_empty()
            || port.load_balancer_vips.is_empty()
        {
            return;
        }
        let comment = self.named("loadbalancer IP");
        let from = |net: IpNet| {
            rule()
                .comment(comment.clone())
                .from(net)
                .jump(&self.external_chain)
        };
        let mut rules: Vec<_> = port.source_ranges.iter().copied().map(from).collect();
        if self.node_ip_in_ranges {
            let vips = port.load_balancer_vips.iter();
            rules.extend(vips.map(|ip| from(Family::host(*ip))));
        }
        let last = format!(
            "other traffic to {} will be dropped by KUBE-PROXY-FIREWALL",
            port.name
        );
        rules.push(rule().comment(last).no_target());
        out.push_chain(&self.firewall_chain, rules);
    }

    /// KUBE-SVC and KUBE-SVL: one endpoint is drawn out of all or of this node's.
    fn endpoint_list_chains(&self, out: &mut ServiceChains) {
        let (port, used) = (self.port, self.used);
        let lists = [
            (
                &self.cluster_chain,
                &used.cluster,
                port.uses_cluster_endpoints(),
            ),
            (&self.local_chain, &used.local, port.uses_local_endpoints()),
        ];
        for (name, list, wanted) in lists {
            let mut rules = Vec::new();
            if self.has_internal && name == self.internal_target() {
                rules.extend(self.masquerade_cluster_ip());
            }
            if wanted && !list.is_empty() {
                self.draw_endpoint(list, &mut rules);
                out.push_chain(name, rules);
            }
        }
    }

    /// Traffic to the cluster IP from outside the cluster (or all of it) is masqueraded.
    fn masquerade_cluster_ip(&self) -> Option<Rule> {
        let begin = self.at(
            self.named("cluster IP"),
            self.port.cluster_ip,
            self.port.port,
        );
        let from_outside = if self.options.masquerade_all {
            Some(begin)
        } else {
            self.options.detector.if_not_local(begin)
        };
        from_outside.map(|rule| rule.jump(&self.mark_masq))
    }

    /// Endpoints by index, with their chains.
    fn endpoints_at(&self, list: &[u32]) -> impl Iterator<Item = (&Endpoint, &ChainName)> {
        list.iter().filter_map(|index| {
            let index = *index as usize;
            let chain = self.endpoint_chains.get(index)?.as_ref()?;
            Some((self.endpoints.get(index)?, chain))
        })
    }

    fn draw_endpoint(&self, list: &[u32], rules: &mut Vec<Rule>) {
        let entries: Vec<(&Endpoint, &ChainName)> = self.endpoints_at(list).collect();
        let comments: Vec<Option<Text>> = entries
            .iter()
            .map(|(endpoint, _)| {
                let text = || format!("{} -> {}", self.port.name, endpoint.text).into();
                (!self.options.large).then(text)
            })
            .collect();
        let each = || entries.iter().zip(&comments);
        if let Some(seconds) = self.port.affinity_seconds {
            for ((_, chain), comment) in each() {
                let rule = rule().maybe_comment(comment.as_ref());
                rules.push(rule.recently_seen(chain, seconds).jump(chain));
            }
        }
        let mut left = entries.len();
        for ((_, chain), comment) in each() {
            let mut rule = rule().maybe_comment(comment.as_ref());
            if left > 1 {
                rule = rule.one_in(left);
            }
            rules.push(rule.jump(chain));
            left -= 1;
        }
    }

    /// KUBE-SEP: one endpoint.
    fn endpoint_chains(&self, out: &mut ServiceChains) {
        let comment = (!self.options.large).then(|| self.port.name.clone());
        for (endpoint, chain) in self.endpoints_at(&self.used.all_reachable) {
            let begin = || rule().maybe_comment(comment.as_ref());
            let hairpin = begin()
                .from(Family::host(endpoint.ip))
                .jump(&self.mark_masq);
            let mut dnat = begin();
            if self.port.affinity_seconds.is_some() {
                dnat = dnat.remember(chain);
            }
            let dnat = dnat
                .protocol(self.port.protocol.into())
                .dnat(endpoint.ip, endpoint.port);
            out.push_chain(chain, vec![hairpin, dnat]);
        }
    }
}

impl ServiceChains {
    fn push_chain(&mut self, name: &ChainName, rules: Vec<Rule>) {
        self.chains
            .push(Arc::new(Chain::new(name.clone(), None, rules)));
    }
}
