//! Reading policies: which pods each selects, and whom it lets through to them and from them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kubarium_linux::Protocol;
use kubarium_objects::{Selector, Text, Value};

use crate::cluster::Cluster;

/// A pod that policies can select: it runs, and has an address of its own.
pub(super) struct Pod {
    pub namespace: Text,
    pub name: Text,
    pub node: Text,
    pub ip: Ipv4Addr,
    labels: Value,
    containers: Value,
}

impl Pod {
    /// The number of a named port.
    fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let ports = self.containers.items().iter();
        ports
            .flat_map(|container| container["ports"].items())
            .find(|port| port["name"].str() == name && protocol_of(port) == protocol)
            .and_then(|port| u16::try_from(port["containerPort"].as_i64()?).ok())
    }
}

fn protocol_of(port: &Value) -> Protocol {
    match port["protocol"].str() {
        "UDP" => Protocol::UDP,
        "SCTP" => Protocol::SCTP,
        _ => Protocol::TCP,
    }
}

/// The pods of a cluster, and its namespaces' labels.
pub(super) struct World {
    pub pods: Vec<Pod>,
    namespaces: BTreeMap<Text, Value>,
}

impl World {
    pub fn new(cluster: &Cluster) -> World {
        let pods = cluster.etcd.list("pods", None);
        let pods = pods.filter_map(|(key, pod)| {
            let phase = pod["status"]["phase"].str();
            let over = matches!(phase, "Succeeded" | "Failed");
            let host = pod["spec"]["hostNetwork"].as_bool() == Some(true);
            let ip = pod["status"]["podIP"].str().parse().ok();
            let ip = ip.filter(|_| !over && !host)?;
            Some(Pod {
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                node: pod["spec"]["nodeName"].text(),
                ip,
                labels: pod["metadata"]["labels"].clone(),
                containers: pod["spec"]["containers"].clone(),
            })
        });
        let namespaces = cluster.etcd.list("namespaces", None);
        World {
            pods: pods.collect(),
            namespaces: namespaces
                .map(|(key, object)| (key.name.clone(), object["metadata"]["labels"].clone()))
                .collect(),
        }
    }

    fn select<'a>(
        &'a self,
        namespace: &'a str,
        selector: &'a Selector,
    ) -> impl Iterator<Item = &'a Pod> {
        self.pods
            .iter()
            .filter(move |pod| *pod.namespace == *namespace && selector.matches(&pod.labels))
    }
}

/// Ports that a rule opens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub protocol: Protocol,
    /// The first and the last number; `None` for all.
    pub range: Option<(u16, u16)>,
}

/// Ports that a rule opens by name: for each number, the pods at which the name has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedPort {
    pub port: Port,
    pub pods: BTreeSet<Ipv4Addr>,
}

/// A rule of a policy.
pub(super) struct Rule {
    /// Other ends: `None` where the rule names none and means all.
    pub peers: Option<Peers>,
    /// `None` where the rule names none and means all.
    pub ports: Option<Vec<Port>>,
    pub named: Vec<NamedPort>,
}

/// The other ends that a rule names.
#[derive(Default)]
pub(super) struct Peers {
    pub pods: BTreeSet<Ipv4Addr>,
    /// Networks, and exceptions of them.
    pub blocks: Vec<(Ipv4Net, bool)>,
}

/// A policy, read.
pub(super) struct Policy {
    pub namespace: Text,
    pub name: Text,
    pub targets: BTreeSet<Ipv4Addr>,
    /// `None`: it says nothing about this direction.
    pub ingress: Option<Vec<Rule>>,
    pub egress: Option<Vec<Rule>>,
}

impl Policy {
    /// The policies of a cluster by namespace and name.
    pub fn all(cluster: &Cluster, world: &World) -> Vec<Policy> {
        let objects = cluster.etcd.list("networkpolicies.networking.k8s.io", None);
        objects
            .map(|(key, object)| Policy::read(&key.namespace, &key.name, &object["spec"], world))
            .collect()
    }

    fn read(namespace: &Text, name: &Text, spec: &Value, world: &World) -> Policy {
        let targets = selector(&spec["podSelector"]);
        let targets: Vec<&Pod> = world.select(namespace, &targets).collect();
        let concerns = |kind: &str| spec["policyTypes"].items().iter().any(|t| t.str() == kind);
        // Without types (which the API server fills in) ingress is meant, and egress where it has rules.
        let untyped = spec["policyTypes"].items().is_empty();
        let ingress = concerns("Ingress") || untyped;
        let egress = concerns("Egress") || untyped && !spec["egress"].items().is_empty();
        let rules = |direction: &str, peers: &str| -> Vec<Rule> {
            let rules = spec[direction].items().iter();
            rules
                .map(|rule| read_rule(rule, peers, namespace, &targets, world))
                .collect()
        };
        Policy {
            namespace: namespace.clone(),
            name: name.clone(),
            targets: targets.iter().map(|pod| pod.ip).collect(),
            ingress: ingress.then(|| rules("ingress", "from")),
            egress: egress.then(|| rules("egress", "to")),
        }
    }
}

fn selector(value: &Value) -> Selector {
    if value.is_null() {
        return Selector::everything();
    }
    // What the API server has stored is a selector.
    Selector::from_label_selector(value).unwrap_or_else(|_| Selector::nothing())
}

fn read_rule(rule: &Value, peers: &str, namespace: &Text, targets: &[&Pod], world: &World) -> Rule {
    let listed = rule[peers].items();
    let peers_named = (!listed.is_empty()).then(|| read_peers(listed, namespace, world));
    // A name is that of a port of the pods that are reached: the selected ones, or the other ends.
    let everyone: Vec<&Pod>;
    let reached: &[&Pod] = if peers == "from" {
        targets
    } else {
        let named = |pod: &&Pod| {
            peers_named
                .as_ref()
                .is_none_or(|p| p.pods.contains(&pod.ip))
        };
        everyone = world.pods.iter().filter(named).collect();
        &everyone
    };
    let mut ports = Vec::new();
    let mut by_number: BTreeMap<Port, BTreeSet<Ipv4Addr>> = BTreeMap::new();
    for port in rule["ports"].items() {
        let protocol = protocol_of(port);
        let number = &port["port"];
        if number.is_null() {
            let range = None;
            ports.push(Port { protocol, range });
        } else if let Some(first) = number.as_i64().and_then(|n| u16::try_from(n).ok()) {
            let last = port["endPort"].as_i64().and_then(|n| u16::try_from(n).ok());
            let range = Some((first, last.unwrap_or(first)));
            ports.push(Port { protocol, range });
        } else {
            for pod in reached {
                if let Some(found) = pod.port(number.str(), protocol) {
                    let range = Some((found, found));
                    let port = Port { protocol, range };
                    by_number.entry(port).or_default().insert(pod.ip);
                }
            }
        }
    }
    let named = by_number.into_iter();
    Rule {
        peers: peers_named,
        ports: (!rule["ports"].items().is_empty()).then_some(ports),
        named: named.map(|(port, pods)| NamedPort { port, pods }).collect(),
    }
}

fn read_peers(listed: &[Value], namespace: &Text, world: &World) -> Peers {
    let mut peers = Peers::default();
    for peer in listed {
        let block = &peer["ipBlock"];
        if !block.is_null() {
            let nets = std::iter::once((&block["cidr"], false));
            let nets = nets.chain(block["except"].items().iter().map(|net| (net, true)));
            let parsed = nets.filter_map(|(net, except)| {
                let net: Ipv4Net = net.str().parse().ok()?;
                Some((net.trunc(), except))
            });
            peers.blocks.extend(parsed);
            continue;
        }
        let pods = selector(&peer["podSelector"]);
        if peer["namespaceSelector"].is_null() {
            peers
                .pods
                .extend(world.select(namespace, &pods).map(|pod| pod.ip));
            continue;
        }
        let namespaces = selector(&peer["namespaceSelector"]);
        for (name, labels) in &world.namespaces {
            if namespaces.matches(labels) {
                peers
                    .pods
                    .extend(world.select(name, &pods).map(|pod| pod.ip));
            }
        }
    }
    peers
}
