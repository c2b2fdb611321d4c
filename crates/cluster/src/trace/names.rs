//! Which Kubernetes object an address or a rule belongs to, and what a hop says about it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use kubarium_linux::{Headers, Mac, NamespaceId, Transport};
use kubarium_objects::{ObjectKey, Text};

use super::{Ethernet, Hop, Ip, Layer, PacketView, Tcp, Udp};
use crate::cluster::Cluster;

/// What the addresses of one trace are, and where its namespaces are.
pub(super) struct Names {
    addresses: BTreeMap<Ipv4Addr, Named>,
    nodes: Vec<(NamespaceId, Text)>,
}

#[derive(Clone)]
struct Named {
    /// `pod default/web-1`
    words: String,
    /// `pod:default/web-1`
    object: Text,
}

fn named(kind: &str, name: &str) -> Named {
    Named {
        words: format!("{kind} {name}"),
        object: format!("{kind}:{name}").into(),
    }
}

/// What a hop says, and the object responsible.
type Words = (String, Option<Text>);

/// Who has an address: a Service, a node, a pod.
fn name_of(cluster: &Cluster, address: Ipv4Addr) -> Option<Named> {
    let full = |key: &ObjectKey| format!("{}/{}", key.namespace, key.name);
    if let Some(service) = cluster.index.service_at(address) {
        return Some(named("service", &full(service)));
    }
    if let Some(node) = cluster.ground.addresses.get(&address) {
        return Some(named("node", node));
    }
    let (_, node) = cluster.ground.pod_nets.range(..=address).next_back()?;
    let machine = cluster.machines.get(node)?;
    machine.pod_net.filter(|net| net.contains(&address))?;
    let own = machine.bridge.into_iter().chain(machine.overlay);
    let mut own = own.filter_map(|link| cluster.net.link(link));
    if let Some(link) = own.find(|l| l.addresses.iter().any(|a| a.net.addr() == address)) {
        return Some(Named {
            words: format!("node {node} (its {})", link.name),
            ..named("node", node)
        });
    }
    let mut sandboxes = machine.runtime.sandboxes.values();
    let sandbox = sandboxes
        .find(|s| s.ip == address && !s.host_network && cluster.net.namespace(s.netns).is_some())?;
    Some(named("pod", &full(&sandbox.pod)))
}

impl Cluster {
    /// Who has an address, as an id: `pod:default/web-1`, `service:default/web`, `node:worker-1`, `host:outside`.
    pub fn who_has(&self, address: Ipv4Addr) -> Option<String> {
        if let Some(named) = name_of(self, address) {
            return Some(named.object.to_string());
        }
        let outside = self.ground.outside?;
        let mut links = self.net.links_of(outside);
        let has = links.any(|link| link.addresses.iter().any(|a| a.net.addr() == address));
        (has && !address.is_loopback()).then(|| "host:outside".to_owned())
    }
}

impl Names {
    /// Those of the addresses and namespaces on the way.
    pub fn of(cluster: &Cluster, way: &kubarium_linux::Trace, target: Ipv4Addr) -> Names {
        let mut nodes: Vec<(NamespaceId, Text)> = Vec::new();
        for id in way.namespaces() {
            if nodes.last().is_some_and(|last| last.0 == id) || nodes.iter().any(|n| n.0 == id) {
                continue;
            }
            let namespace = cluster.net.namespace(id);
            nodes.push((
                id,
                namespace.map_or_else(Text::default, |n| node_of(cluster, &n.name)),
            ));
        }
        let packets = way.packets().map(|headers| &headers.ip);
        let mut wanted: Vec<Ipv4Addr> = packets.flat_map(|ip| [ip.src, ip.dst]).collect();
        wanted.push(target);
        wanted.sort_unstable();
        wanted.dedup();
        let mut names = BTreeMap::new();
        for address in wanted {
            if let Some(name) = name_of(cluster, address) {
                names.insert(address, name);
            }
        }
        if let Some(outside) = cluster.ground.outside {
            for link in cluster.net.links_of(outside) {
                for own in link
                    .addresses
                    .iter()
                    .filter(|a| !a.net.addr().is_loopback())
                {
                    names.insert(
                        own.net.addr(),
                        Named {
                            words: "the host outside".to_owned(),
                            object: "host:outside".into(),
                        },
                    );
                }
            }
        }
        Names {
            addresses: names,
            nodes,
        }
    }

    /// Who has an address, in words.
    pub fn who(&self, address: Ipv4Addr) -> String {
        match self.addresses.get(&address) {
            Some(named) => format!("{} ({address})", named.words),
            None => address.to_string(),
        }
    }

    fn object(&self, address: Ipv4Addr) -> Option<Text> {
        self.addresses.get(&address).map(|n| n.object.clone())
    }

    /// A hop with the names of the objects responsible.
    pub fn hop(&self, hop: kubarium_linux::Hop, number: &mut usize) -> Hop {
        *number += 1;
        let node = self.nodes.iter().find(|node| node.0 == hop.namespace);
        let (explanation, object) = match self.explain(&hop) {
            Some((words, object)) => (words, object),
            None => (hop.explanation, None),
        };
        Hop {
            n: *number,
            node: node.map_or_else(Text::default, |node| node.1.clone()),
            netns: hop.namespace_name,
            layer: layer(hop.layer),
            device: hop.device.unwrap_or_default(),
            table: hop.table,
            chain: hop.chain,
            rule: hop.rule,
            rule_text: hop.rule_text,
            passed: hop.passed as usize,
            action: hop.action,
            explanation,
            object,
            packet: packet(&hop.packet.headers, hop.packet.outer.as_ref()),
        }
    }

    /// What is to be said instead, and the object responsible; `None`: what Linux says is all.
    fn explain(&self, hop: &kubarium_linux::Hop) -> Option<Words> {
        let ip = &hop.packet.headers.ip;
        if hop.table.as_deref() == Some(crate::kube_proxy::TABLE)
            && let Some(chain) = &hop.chain
            && let Some(words) = Self::nft_rule(chain, &hop.action, &hop.packet.headers)
        {
            return Some(words);
        }
        if let Some(rule) = &hop.rule_text {
            return self.rule(
                hop.chain.as_deref().unwrap_or(""),
                rule,
                &hop.packet.headers,
            );
        }
        match &*hop.action {
            "DNAT" | "SNAT" => {
                // `The destination A:P becomes B:Q, as …`
                let mut ends = hop.explanation.split_whitespace().filter_map(|word| {
                    let (address, port) = word.trim_end_matches(',').rsplit_once(':')?;
                    Some((address.parse::<Ipv4Addr>().ok()?, port.to_owned()))
                });
                let (from, to) = (ends.next()?, ends.next()?);
                let whose = |address: Ipv4Addr| {
                    self.addresses
                        .get(&address)
                        .map_or_else(String::new, |n| format!("{}'s ", n.words))
                };
                let which = if hop.action == "DNAT" {
                    "destination"
                } else {
                    "source"
                };
                let text = format!(
                    "{}: the {which}, {}address {}:{}, becomes {}{}:{}.",
                    hop.action,
                    whose(from.0),
                    from.0,
                    from.1,
                    whose(to.0),
                    to.0,
                    to.1
                );
                Some((text, self.object(to.0).or(self.object(from.0))))
            }
            "deliver" | "refuse" => Some((hop.explanation.clone(), self.object(ip.dst))),
            "send" => Some((hop.explanation.clone(), self.object(ip.src))),
            _ => None,
        }
    }

    /// What a rule of kube-proxy's nftables mode does, by its chain, which names the Service.
    fn nft_rule(chain: &str, action: &str, packet: &Headers) -> Option<Words> {
        let service = |chain: &str| {
            let (namespace, rest) = chain.split_once('/')?;
            let namespace = namespace.splitn(3, '-').nth(2)?;
            Some(format!("{namespace}/{}", rest.split('/').next()?))
        };
        let target = format!("{}:{}", packet.ip.dst, packet.l4.ports().1);
        if let Some(name) = service(chain) {
            let text = match action {
                "dnat" => format!(
                    "The Service {name} gives the connection one of its endpoints as new destination."
                ),
                "update" => format!("The Service {name} remembers which endpoint this client has."),
                "mark" => format!(
                    "The Service {name} marks the packet for masquerading: its answers have to come back this way."
                ),
                "drop" => {
                    format!("The Service {name} lets nobody in from here: the packet is dropped.")
                }
                _ => return None,
            };
            return Some((text, Some(format!("service:{name}").into())));
        }
        let to = action.split(' ').nth(1).unwrap_or_default();
        let text = match (chain, action) {
            ("services", _) if let Some(name) = service(to) => {
                let text = format!("{target} belongs to the Service {name}: its chain {to} goes on.");
                return Some((text, Some(format!("service:{name}").into())));
            }
            ("services", "mark") => "kube-proxy: who asks a cluster IP from outside the pods' network is masqueraded.".to_owned(),
            ("service-endpoints-check" | "nodeport-endpoints-check", "drop") => format!("The Service of {target} has no endpoint on this node: the packet is dropped."),
            ("service-endpoints-check" | "nodeport-endpoints-check", _) => format!("The Service of {target} has no endpoint: the connection is refused."),
            ("cluster-ips-check", "reject") => format!("{} is a Service's address, but no port of the Service is {}: the connection is refused.", packet.ip.dst, packet.l4.ports().1),
            ("cluster-ips-check", "drop") => format!("{} is no Service's address: the packet is dropped.", packet.ip.dst),
            ("masquerading", "masquerade") => "kube-proxy: what was marked, or goes back to its own sender, leaves under this node's own address.".to_owned(),
            _ => return None,
        };
        Some((text, None))
    }

    /// What a rule of one of the known components does, by its comment.
    fn rule(&self, chain: &str, rule: &str, packet: &Headers) -> Option<Words> {
        let comment =
            rule.split_once("--comment ")
                .map_or("", |(_, rest)| match rest.strip_prefix('"') {
                    Some(quoted) => quoted.split('"').next().unwrap_or(""),
                    None => rest.split(' ').next().unwrap_or(""),
                });
        let service = comment.split([' ', ':']).next().filter(|s| s.contains('/'));
        let object = service.map(|s| Text::from(format!("service:{s}")));
        let jump = rule
            .split(" -j ")
            .nth(1)
            .map_or("", |j| j.split(' ').next().unwrap_or(""));
        let target = format!("{}:{}", packet.ip.dst, packet.l4.ports().1);
        if let Some(service) = service {
            let text = match (chain, jump) {
                (_, "KUBE-MARK-MASQ") => format!(
                    "The Service {service} marks the packet for masquerading: its answers have to come back this way."
                ),
                (_, "REJECT") => {
                    format!("The Service {service} has no endpoint: the connection is refused.")
                }
                (_, "DROP") => format!(
                    "The Service {service} lets nobody in from here: the packet is dropped."
                ),
                (_, "DNAT") => {
                    let to = rule
                        .split("--to-destination ")
                        .nth(1)
                        .unwrap_or("")
                        .split(' ')
                        .next()
                        .unwrap_or("");
                    let pod = to
                        .split(':')
                        .next()
                        .and_then(|a| a.parse().ok())
                        .map_or_else(|| to.to_owned(), |a| self.who(a));
                    return Some((
                        format!(
                            "DNAT: for the Service {service} the destination becomes {to}, {pod}."
                        ),
                        to.split(':')
                            .next()
                            .and_then(|a| a.parse().ok())
                            .and_then(|a| self.object(a))
                            .or(object),
                    ));
                }
                ("KUBE-SERVICES" | "KUBE-NODEPORTS", _) => {
                    format!("{target} belongs to the Service {service}: its chain {jump} goes on.")
                }
                (_, sep) if sep.starts_with("KUBE-SEP-") => {
                    let to = comment.rsplit("-> ").next().unwrap_or("");
                    let pod = to
                        .split(':')
                        .next()
                        .and_then(|a| a.parse().ok())
                        .map_or_else(|| to.to_owned(), |a| self.who(a));
                    format!("Of the Service {service}'s endpoints this one is taken: {pod}.")
                }
                _ => return None,
            };
            return Some((text, object));
        }
        let text = match (chain, comment, jump) {
            ("KUBE-POSTROUTING", _, "MASQUERADE") => {
                "kube-proxy: what was marked leaves under this node's own address."
            }
            ("FLANNEL-POSTRTG", _, "MASQUERADE") => {
                "flannel: what leaves the pods' network does so under this node's address."
            }
            ("FLANNEL-POSTRTG", _, "RETURN") => {
                "flannel: between pods the addresses stay as they are."
            }
            ("FLANNEL-FWD", _, "ACCEPT") => {
                "flannel: what comes from pods or goes to pods is forwarded."
            }
            ("CNI-HOSTPORT-MASQ", _, "MASQUERADE") => {
                "portmap: what was marked for a hostPort leaves under this node's own address."
            }
            _ => return None,
        };
        Some((text.to_owned(), None))
    }
}

fn node_of(cluster: &Cluster, netns: &Text) -> Text {
    let Some((namespace, name)) = netns.strip_prefix("pod ").and_then(|n| n.split_once('/')) else {
        return netns.clone();
    };
    let pod = cluster.find("pods", namespace, name);
    pod.map_or_else(Text::default, |pod| pod["spec"]["nodeName"].text())
}

fn layer(layer: kubarium_linux::Layer) -> Layer {
    match layer {
        kubarium_linux::Layer::Socket => Layer::Socket,
        kubarium_linux::Layer::Route => Layer::Route,
        kubarium_linux::Layer::Neighbour => Layer::Neighbour,
        kubarium_linux::Layer::Link => Layer::Link,
        kubarium_linux::Layer::Bridge => Layer::Bridge,
        kubarium_linux::Layer::Netfilter => Layer::Netfilter,
        kubarium_linux::Layer::Conntrack => Layer::Conntrack,
        kubarium_linux::Layer::Tunnel => Layer::Tunnel,
    }
}

fn packet(headers: &Headers, outer: Option<&Headers>) -> PacketView {
    let known = headers.eth.src != Mac::ZERO || headers.eth.dst != Mac::ZERO;
    let mut view = PacketView {
        eth: known.then_some(Ethernet {
            src: headers.eth.src,
            dst: headers.eth.dst,
        }),
        ip: Ip {
            src: headers.ip.src,
            dst: headers.ip.dst,
            ttl: headers.ip.ttl,
        },
        tcp: None,
        udp: None,
        icmp: None,
        payload: String::new(),
        outer: outer.map(|o| Box::new(packet(o, None))),
    };
    match headers.l4 {
        Transport::Tcp {
            sport,
            dport,
            flags,
            ..
        } => {
            view.tcp = Some(Tcp {
                sport,
                dport,
                flags,
            })
        }
        Transport::Udp { sport, dport } | Transport::Sctp { sport, dport } => {
            view.udp = Some(Udp { sport, dport })
        }
        Transport::Icmp { kind, code, .. } => view.icmp = Some(icmp(kind, code)),
        Transport::Other => {}
    }
    view
}

fn icmp(kind: u8, code: u8) -> Cow<'static, str> {
    Cow::Borrowed(match (kind, code) {
        (8, _) => "echo request",
        (0, _) => "echo reply",
        (3, 0) => "network unreachable",
        (3, 1) => "host unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed",
        (11, _) => "time exceeded",
        (kind, code) => return format!("type {kind} code {code}").into(),
    })
}
