//! What kube-router writes of policies: a chain for each policy, a chain for each pod of a node, and
//! the ways into them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use kubarium_linux::netfilter::ipset::Entry;
use kubarium_linux::netfilter::{Chain, ChainName, IpSet, Netfilter, Rule, SetKind, TableKind};
use kubarium_objects::Text;

use super::policy::{self, NamedPort, Pod, Policy, Port, World};
use crate::cluster::Cluster;
use crate::kube_proxy::hash16;

const INPUT: &str = "KUBE-ROUTER-INPUT";
const FORWARD: &str = "KUBE-ROUTER-FORWARD";
const OUTPUT: &str = "KUBE-ROUTER-OUTPUT";
const TOP: [(&str, &str); 3] = [("INPUT", INPUT), ("FORWARD", FORWARD), ("OUTPUT", OUTPUT)];
const DEFAULT: &str = "KUBE-NWPLCY-DEFAULT";
const COMMON: &str = "KUBE-NWPLCY-COMMON";
const POLICY: &str = "KUBE-NWPLCY-";
const POD: &str = "KUBE-POD-FW-";
const SOURCE: &str = "KUBE-SRC-";
const DESTINATION: &str = "KUBE-DST-";
/// On packets that a policy allows.
const ALLOWED: &str = "0x10000/0x10000";
/// On packets that all policies of both their ends allow.
const ACCEPTED: &str = "0x20000/0x20000";
const NODE_PORTS: &str = "30000:32767";

/// What is written on the nodes.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Chains that all nodes have.
    shared: Vec<Arc<Chain>>,
    /// The pods of each node, with their chains.
    pods: BTreeMap<Text, Vec<PodChain>>,
    sets: BTreeMap<String, IpSet>,
    services: Ipv4Net,
}

#[derive(Debug)]
struct PodChain {
    namespace: Text,
    name: Text,
    ip: Ipv4Addr,
    chain: Arc<Chain>,
    /// The policies that select it for each direction.
    ingress: Vec<Text>,
    egress: Vec<Text>,
}

/// A rule of words; the comment is one of them, blanks and all.
fn rule(words: &[&str]) -> Option<Rule> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    // Written here, and read as iptables-restore reads it: a test sees to it that all of them can be.
    Rule::parse(&words).ok()
}

fn chain(name: &str, rules: Vec<Option<Rule>>) -> Arc<Chain> {
    let rules = rules.into_iter().flatten().collect();
    Arc::new(Chain::new(ChainName::from(name), None, rules))
}

fn named(prefix: &str, parts: &[&str]) -> String {
    format!("{prefix}{}", hash16(parts))
}

impl Plan {
    /// What the objects of a cluster mean now.
    pub fn new(cluster: &Cluster) -> Plan {
        let world = World::new(cluster);
        let policies = Policy::all(cluster, &world);
        let mut sets = BTreeMap::new();
        let mut shared = vec![default_chain(), common_chain()];
        for policy in &policies {
            shared.push(policy_chain(policy, &mut sets));
        }
        let mut pods: BTreeMap<Text, Vec<PodChain>> = BTreeMap::new();
        for pod in &world.pods {
            let own = pods.entry(pod.node.clone()).or_default();
            own.push(PodChain {
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
                ip: pod.ip,
                chain: pod_chain(pod, &policies),
                ingress: selecting(&policies, pod, |policy| policy.ingress.is_some()),
                egress: selecting(&policies, pod, |policy| policy.egress.is_some()),
            });
        }
        Plan {
            shared,
            pods,
            sets,
            services: cluster.config.network.service_cidr,
        }
    }

    /// Why a pod's chain refused a packet to somewhere.
    pub fn refusal(&self, chain: &str, dst: Ipv4Addr) -> Option<String> {
        if !chain.starts_with(POD) {
            return None;
        }
        let mut pods = self.pods.values().flatten();
        let pod = pods.find(|pod| pod.chain.name.as_str() == chain)?;
        let (direction, policies) = if pod.ip == dst {
            ("in to", &pod.ingress)
        } else {
            ("out of", &pod.egress)
        };
        Some(format!(
            "no NetworkPolicy lets it {direction} pod {}/{}, which is selected by {}",
            pod.namespace,
            pod.name,
            policies.join(", ")
        ))
    }

    /// Writes a node's chains and sets, and removes those that nothing needs any more.
    pub fn write(&self, node: &str, tables: &mut Netfilter) {
        const FILTER: TableKind = TableKind::Filter;
        for (name, set) in &self.sets {
            if tables.set(name) != Some(set) {
                tables.put_set(name, set.clone());
            }
        }
        let pods = self.pods.get(node).map_or(&[][..], Vec::as_slice);
        let mut needed = BTreeSet::new();
        let own = pods.iter().map(|pod| &pod.chain);
        for chain in self.shared.iter().chain(own) {
            needed.insert(chain.name.clone());
            if tables.chain(FILTER, chain.name.as_str()) != Some(chain) {
                tables.set_chain(FILTER, chain.clone());
            }
        }
        for (builtin, top) in TOP {
            let chain = self.top_chain(top, pods);
            if tables.chain(FILTER, top) != Some(&chain) {
                tables.set_chain(FILTER, chain);
            }
            jump_first(tables, builtin, top);
        }
        let stale = |name: &ChainName| {
            let name_is = |prefix| name.as_str().starts_with(prefix);
            (name_is(POLICY) || name_is(POD)) && !needed.contains(name)
        };
        let filter = tables.table(FILTER).into_iter();
        let users = filter
            .flat_map(|table| table.user())
            .map(|c| c.name.clone());
        let gone: Vec<ChainName> = users.filter(stale).collect();
        for name in gone {
            tables.remove_chain(FILTER, name.as_str());
        }
        let ours = |name: &str| name.starts_with(SOURCE) || name.starts_with(DESTINATION);
        let gone: Vec<String> = (tables.sets())
            .map(|(name, _)| name.to_owned())
            .filter(|name| ours(name) && !self.sets.contains_key(name))
            .collect();
        for name in gone {
            tables.remove_set(&name);
        }
    }

    /// The ways into pods' chains at one hook.
    fn top_chain(&self, top: &str, pods: &[PodChain]) -> Arc<Chain> {
        let mut rules = Vec::new();
        if top == INPUT {
            rules.extend(self.let_in());
        }
        for pod in pods {
            let ip = pod.ip.to_string();
            let to = pod.chain.name.as_str();
            let (name, namespace) = (&pod.name, &pod.namespace);
            if top != INPUT {
                let comment = format!(
                    "rule to jump traffic destined to POD name:{name} namespace: {namespace} to chain {to}"
                );
                rules.push(rule(&[
                    "-d",
                    &ip,
                    "-m",
                    "comment",
                    "--comment",
                    &comment,
                    "-j",
                    to,
                ]));
                if top == FORWARD {
                    rules.push(rule(&[
                        "-d",
                        &ip,
                        "-m",
                        "physdev",
                        "--physdev-is-bridged",
                        "-m",
                        "comment",
                        "--comment",
                        &comment,
                        "-j",
                        to,
                    ]));
                }
            }
            let comment = format!(
                "rule to jump traffic from POD name:{name} namespace: {namespace} to chain {to}"
            );
            rules.push(rule(&[
                "-s",
                &ip,
                "-m",
                "comment",
                "--comment",
                &comment,
                "-j",
                to,
            ]));
            if top == FORWARD {
                rules.push(rule(&[
                    "-s",
                    &ip,
                    "-m",
                    "physdev",
                    "--physdev-is-bridged",
                    "-m",
                    "comment",
                    "--comment",
                    &comment,
                    "-j",
                    to,
                ]));
            }
        }
        rules.push(rule(&[
            "-m",
            "comment",
            "--comment",
            "rule to explicitly ACCEPT traffic that comply to network policies",
            "-m",
            "mark",
            "--mark",
            ACCEPTED,
            "-j",
            "ACCEPT",
        ]));
        chain(top, rules)
    }

    /// What is let in to the node itself: Services' addresses and node ports.
    fn let_in(&self) -> Vec<Option<Rule>> {
        let services = self.services.to_string();
        let comment = identified(
            INPUT,
            "allow traffic to primary/secondary cluster IP range",
            &[
                "-m",
                "comment",
                "--comment",
                "allow traffic to primary/secondary cluster IP range",
                "-d",
                &services,
                "-j",
                "RETURN",
            ],
        );
        let mut rules = vec![rule(&[
            "-d",
            &services,
            "-m",
            "comment",
            "--comment",
            &comment,
            "-j",
            "RETURN",
        ])];
        for (protocol, name) in [("tcp", "TCP"), ("udp", "UDP")] {
            let said = format!("allow LOCAL {name} traffic to node ports");
            let words = [
                "-p",
                protocol,
                "-m",
                "comment",
                "--comment",
                &said,
                "-m",
                "addrtype",
                "--dst-type",
                "LOCAL",
                "-m",
                "multiport",
                "--dports",
                NODE_PORTS,
                "-j",
                "RETURN",
            ];
            let comment = identified(INPUT, &said, &words);
            let words = words.map(|word| {
                if *word == *said {
                    comment.as_str()
                } else {
                    word
                }
            });
            rules.push(rule(&words));
        }
        rules
    }
}

/// A comment with the hash by which kube-router finds its rule again.
fn identified(chain: &str, comment: &str, words: &[&str]) -> String {
    let mut parts = vec![chain];
    parts.extend(words);
    format!("{comment} - {}", hash16(&parts))
}

/// Sees to it that a built-in chain's first rule is the jump.
fn jump_first(tables: &mut Netfilter, builtin: &str, top: &str) {
    tables.ensure_table(TableKind::Filter);
    let words = [
        "-m",
        "comment",
        "--comment",
        "kube-router netpol",
        "-j",
        top,
    ];
    let comment = identified(builtin, "kube-router netpol", &words);
    let jump = rule(&["-m", "comment", "--comment", &comment, "-j", top]);
    let (Some(jump), Some(old)) = (jump, tables.chain(TableKind::Filter, builtin)) else {
        return;
    };
    if old.rules.first() == Some(&jump) {
        return;
    }
    let others = old.rules.iter().filter(|rule| **rule != jump).cloned();
    let rules = std::iter::once(jump.clone()).chain(others).collect();
    let new = Chain::new(old.name.clone(), old.policy, rules);
    tables.set_chain(TableKind::Filter, Arc::new(new));
}

/// For pods that no policy selects in a direction.
fn default_chain() -> Arc<Chain> {
    let comment = "rule to mark traffic matching a network policy";
    chain(
        DEFAULT,
        vec![rule(&[
            "-m",
            "comment",
            "--comment",
            comment,
            "-j",
            "MARK",
            "--set-xmark",
            ALLOWED,
        ])],
    )
}

/// Ahead of every policy.
fn common_chain() -> Arc<Chain> {
    let state = |comment, states, target| {
        rule(&[
            "-m",
            "comment",
            "--comment",
            comment,
            "-m",
            "conntrack",
            "--ctstate",
            states,
            "-j",
            target,
        ])
    };
    let icmp = |comment, kind| {
        rule(&[
            "-p",
            "icmp",
            "-m",
            "comment",
            "--comment",
            comment,
            "-m",
            "icmp",
            "--icmp-type",
            kind,
            "-j",
            "ACCEPT",
        ])
    };
    chain(
        COMMON,
        vec![
            state("rule to drop invalid state for pod", "INVALID", "DROP"),
            state(
                "rule for stateful firewall for pod",
                "RELATED,ESTABLISHED",
                "ACCEPT",
            ),
            icmp("allow icmp echo requests", "8"),
            icmp("allow icmp destination unreachable messages", "3"),
            icmp("allow icmp ttl exceeded messages", "11"),
        ],
    )
}

/// The names of the policies that select a pod and say something about a direction.
fn selecting(policies: &[Policy], pod: &Pod, concerns: impl Fn(&Policy) -> bool) -> Vec<Text> {
    let policies = policies.iter();
    policies
        .filter(|policy| policy.targets.contains(&pod.ip) && concerns(policy))
        .map(|policy| format!("{}/{}", policy.namespace, policy.name).into())
        .collect()
}

fn pod_chain_name(pod: &Pod) -> String {
    named(POD, &[&pod.namespace, &pod.name])
}

fn policy_chain_name(policy: &Policy) -> String {
    named(POLICY, &[&policy.namespace, &policy.name])
}

/// What becomes of a pod's packets: those that no policy marked are refused.
fn pod_chain(pod: &Pod, policies: &[Policy]) -> Arc<Chain> {
    let ip = pod.ip.to_string();
    let commented = |head: &[&str], comment: &str, tail: &[&str]| {
        let comment = ["-m", "comment", "--comment", comment];
        rule(&[head, &comment, tail].concat())
    };
    let mut rules = vec![
        commented(&[], "rule to run common policies", &["-j", COMMON]),
        commented(
            &["-d", &ip],
            "rule to permit the traffic traffic to pods when source is the pod's local node",
            &["-m", "addrtype", "--src-type", "LOCAL", "-j", "ACCEPT"],
        ),
    ];
    let own: Vec<&Policy> = (policies.iter())
        .filter(|policy| policy.targets.contains(&pod.ip))
        .collect();
    if own.iter().all(|policy| policy.egress.is_none()) {
        let comment = "run through default egress network policy  chain";
        rules.push(commented(&["-s", &ip], comment, &["-j", DEFAULT]));
    }
    if own.iter().all(|policy| policy.ingress.is_none()) {
        let comment = "run through default ingress network policy  chain";
        rules.push(commented(&["-d", &ip], comment, &["-j", DEFAULT]));
    }
    for policy in own {
        let to = policy_chain_name(policy);
        let comment = format!("run through nw policy {}", policy.name);
        let head: &[&str] = match (&policy.ingress, &policy.egress) {
            (Some(_), Some(_)) => &[],
            (Some(_), None) => &["-d", &ip],
            _ => &["-s", &ip],
        };
        rules.push(commented(head, &comment, &["-j", &to]));
    }
    let refused = format!(
        "rule to REJECT traffic destined for POD name:{} namespace: {}",
        pod.name, pod.namespace
    );
    rules.push(commented(
        &[],
        &refused,
        &["-m", "mark", "!", "--mark", ALLOWED, "-j", "REJECT"],
    ));
    rules.push(rule(&["-j", "MARK", "--set-xmark", "0x0/0x10000"]));
    rules.push(commented(
        &[],
        "set mark to ACCEPT traffic that comply to network policies",
        &["-j", "MARK", "--set-xmark", ACCEPTED],
    ));
    chain(&pod_chain_name(pod), rules)
}

/// A policy's chain being made.
struct Writer<'a> {
    policy: &'a Policy,
    sets: &'a mut BTreeMap<String, IpSet>,
    rules: Vec<Option<Rule>>,
}

impl Writer<'_> {
    /// A set, unless it has no entry: then what it is for matches nothing, as with an empty one.
    fn set(
        &mut self,
        name: String,
        kind: SetKind,
        entries: impl IntoIterator<Item = Entry>,
    ) -> String {
        let mut set = IpSet::new(kind);
        set.timeout = true;
        for entry in entries {
            set.insert(entry);
        }
        self.sets.insert(name.clone(), set);
        name
    }

    fn addresses(&mut self, name: String, addresses: &BTreeSet<Ipv4Addr>) -> String {
        let hosts = addresses.iter().map(|ip| Ipv4Net::new_assert(*ip, 32));
        self.set(name, SetKind::HashIp, hosts.map(Entry::of))
    }

    /// The mark for what matches, and the way back.
    fn allow(&mut self, comment: &str, from: &str, to: &str, port: Option<&Port>) {
        let comment = format!(
            "{comment} selected by policy name: {} namespace {}",
            self.policy.name, self.policy.namespace
        );
        let protocol;
        let numbers;
        let mut words: Vec<&str> = Vec::new();
        if let Some(port) = port {
            protocol = port.protocol.to_string();
            words.extend(["-p", &protocol]);
            words.extend(["-m", "comment", "--comment", &comment]);
        } else {
            words.extend(["-m", "comment", "--comment", &comment]);
        }
        for (set, side) in [(from, "src"), (to, "dst")] {
            if !set.is_empty() {
                words.extend(["-m", "set", "--match-set", set, side]);
            }
        }
        if let Some((protocol, (first, last))) = port.and_then(|p| Some((p.protocol, p.range?))) {
            numbers = if first == last {
                first.to_string()
            } else {
                format!("{first}:{last}")
            };
            words.extend(["-m", protocol.name().unwrap_or("tcp"), "--dport", &numbers]);
        }
        let mark = [&words[..], &["-j", "MARK", "--set-xmark", ALLOWED]].concat();
        let back = [
            &words[..],
            &["-m", "mark", "--mark", ALLOWED, "-j", "RETURN"],
        ]
        .concat();
        self.rules.push(rule(&mark));
        self.rules.push(rule(&back));
    }

    /// One direction's rules. `own` is the set of the policy's own pods.
    fn direction(&mut self, ingress: bool, rules: &[policy::Rule], own: &str) {
        let (ns, name) = (self.policy.namespace.clone(), self.policy.name.clone());
        let kind = if ingress { "ingressrule" } else { "egressrule" };
        let peer_prefix = if ingress { SOURCE } else { DESTINATION };
        for (number, rule) in rules.iter().enumerate() {
            let number = number.to_string();
            let parts = |what: &str| -> Vec<String> {
                vec![
                    ns.to_string(),
                    name.to_string(),
                    kind.to_owned(),
                    number.clone(),
                    what.to_owned(),
                ]
            };
            let set_name = |prefix: &str, what: &str| {
                let parts = parts(what);
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                named(prefix, &parts)
            };
            let mut ends: Vec<(&str, String)> = Vec::new();
            match &rule.peers {
                None => ends.push(("all", String::new())),
                Some(peers) => {
                    if !peers.pods.is_empty() {
                        let set = set_name(peer_prefix, "pod");
                        ends.push(("pods", self.addresses(set, &peers.pods)));
                    }
                    if !peers.blocks.is_empty() {
                        let set = set_name(peer_prefix, "ipblock");
                        ends.push((
                            "blocks",
                            self.set(set, SetKind::HashNet, blocks(&peers.blocks)),
                        ));
                    }
                }
            }
            for (what, other) in &ends {
                let comment = match (ingress, *what) {
                    (true, "pods") => "rule to ACCEPT traffic from source pods to dest pods",
                    (true, "blocks") => {
                        "rule to ACCEPT traffic from specified ipBlocks to dest pods"
                    }
                    (true, _) => "rule to ACCEPT traffic from all sources to dest pods",
                    (false, "pods") => "rule to ACCEPT traffic from source pods to dest pods",
                    (false, "blocks") => {
                        "rule to ACCEPT traffic from source pods to specified ipBlocks"
                    }
                    (false, _) => "rule to ACCEPT traffic from source pods to all destinations",
                };
                let (from, to) = if ingress {
                    (other.as_str(), own)
                } else {
                    (own, other.as_str())
                };
                let Some(ports) = &rule.ports else {
                    self.allow(comment, from, to, None);
                    continue;
                };
                for port in ports {
                    self.allow(comment, from, to, Some(port));
                }
                for (n, NamedPort { port, pods }) in rule.named.iter().enumerate() {
                    // A name that other ends' networks cannot resolve opens nothing to them.
                    if !ingress && *what == "blocks" {
                        continue;
                    }
                    let set = set_name(DESTINATION, &format!("namedport{n}"));
                    let set = self.addresses(set, pods);
                    self.allow(comment, from, &set, Some(port));
                }
            }
        }
    }
}

/// The entries of a set of networks. A network of all addresses is not possible in one: it is its two halves.
fn blocks(blocks: &[(Ipv4Net, bool)]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (net, nomatch) in blocks {
        let halves = match net.prefix_len() {
            0 => vec![
                Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 1),
                Ipv4Net::new_assert(Ipv4Addr::new(128, 0, 0, 0), 1),
            ],
            _ => vec![*net],
        };
        entries.extend(halves.into_iter().map(|net| Entry {
            nomatch: *nomatch,
            ..Entry::of(net)
        }));
    }
    entries
}

fn policy_chain(policy: &Policy, sets: &mut BTreeMap<String, IpSet>) -> Arc<Chain> {
    let mut writer = Writer {
        policy,
        sets,
        rules: Vec::new(),
    };
    let parts: [&str; 2] = [&policy.namespace, &policy.name];
    if let Some(rules) = &policy.ingress {
        let own = writer.addresses(named(DESTINATION, &parts), &policy.targets);
        writer.direction(true, rules, &own);
    }
    if let Some(rules) = &policy.egress {
        let own = writer.addresses(named(SOURCE, &parts), &policy.targets);
        writer.direction(false, rules, &own);
    }
    let rules = writer.rules;
    chain(&policy_chain_name(policy), rules)
}
