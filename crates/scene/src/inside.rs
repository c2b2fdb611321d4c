//! A network namespace from inside: what `ip`, `bridge`, `ss`, `conntrack` and `ipset` would list, read from the same
//! state as packets walk, each cell with the object that it is about.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kubarium_cluster::Cluster;
use kubarium_cluster::runtime::{self, Listening};
use kubarium_linux::netfilter::{Netfilter, TableKind as Rules};
use kubarium_linux::{
    Link, LinkId, LinkKind, MAIN, Mac, Namespace, NamespaceId, NeighbourState, Network, Protocol,
    Route, RouteKind, RouteProtocol, Scope, Time,
};
use kubarium_objects::{ObjectKey, Text};
use kubarium_snapshot::inside::{Cell, Inside, Row, Table, TableKind};
use kubarium_snapshot::map::pod_id;

/// The most rows of a table.
const ROWS_MAX: usize = 400;

/// Whose namespace it is.
enum Whose {
    Node(Text),
    Pod(ObjectKey),
    Outside,
}

fn whose(cluster: &Cluster, id: &str) -> Option<Whose> {
    if let Some(key) = crate::inspect::key_of(id) {
        cluster.etcd.get(&key)?;
        return match &*key.resource {
            "pods" => cluster.sandbox_of(&key).map(|_| Whose::Pod(key)),
            "nodes" => cluster
                .machines
                .contains_key(&key.name)
                .then_some(Whose::Node(key.name)),
            _ => None,
        };
    }
    let (kind, rest) = id.split_once(':')?;
    let pod = |namespace: &str, name: &str| {
        let key = ObjectKey::new("pods", namespace, name);
        cluster.sandbox_of(&key).map(|_| Whose::Pod(key))
    };
    let node = |name: &str| {
        let known = cluster.machines.get_key_value(name);
        known.map(|(name, _)| Whose::Node(name.clone()))
    };
    match (kind, rest.split('/').collect::<Vec<_>>().as_slice()) {
        ("host", _) => Some(Whose::Outside),
        ("container" | "device", [namespace, name, _]) => pod(namespace, name),
        ("device", [name, _]) | ("rule", [name, ..]) => node(name),
        ("component", [words]) => node(words.split_once(' ')?.1),
        _ => None,
    }
}

/// Whether an id means a network namespace, or something in one.
pub(crate) fn is_inside(cluster: &Cluster, id: &str) -> bool {
    whose(cluster, id).is_some()
}

/// The node whose namespace an id means, where it means one.
pub fn node_of(cluster: &Cluster, id: &str) -> Option<Text> {
    match whose(cluster, id)? {
        Whose::Node(node) => Some(node),
        Whose::Pod(_) | Whose::Outside => None,
    }
}

/// The tables of the namespace that an id means; none where there is no such thing.
pub fn inside(cluster: &Cluster, id: &str) -> Option<Inside> {
    let whose = whose(cluster, id)?;
    let (namespace, command) = match &whose {
        Whose::Node(node) => (cluster.machines.get(node)?.netns, format!("ssh {node} ")),
        Whose::Outside => (cluster.ground.outside?, "ssh outside ".to_owned()),
        Whose::Pod(pod) => {
            let scope = crate::inspect::scope(&pod.namespace);
            let (_, sandbox) = cluster.sandbox_of(pod)?;
            (
                sandbox.netns,
                format!("kubectl exec {}{scope} -- ", pod.name),
            )
        }
    };
    // Hosts share what they know of each other, until somebody looks: here at a copy.
    let mut net = cluster.net.clone();
    net.leave_mesh(namespace);
    let look = Look {
        cluster,
        net: &net,
        ns: net.namespace(namespace)?,
        now: Time(cluster.now.0),
        command,
    };
    let mut tables = vec![
        look.links(),
        look.routes(),
        look.neighbours(),
        look.fdb(namespace),
        look.sockets(&whose),
        look.processes(&whose),
        look.conntrack(),
        look.chains(),
        look.sets(),
    ];
    tables.retain(|table| !table.rows.is_empty());
    Some(Inside {
        id: id.to_owned(),
        tables,
    })
}

struct Look<'a> {
    cluster: &'a Cluster,
    net: &'a Network,
    ns: &'a Namespace,
    now: Time,
    command: String,
}

fn cell(text: impl ToString) -> Cell {
    Cell {
        text: text.to_string(),
        to: String::new(),
    }
}

/// A pair of addresses and ports of one direction.
fn ends(protocol: Protocol, address: Ipv4Addr, port: u16) -> String {
    match protocol {
        Protocol::TCP | Protocol::UDP | Protocol::SCTP => format!("{address}:{port}"),
        _ => address.to_string(),
    }
}

impl Look<'_> {
    fn table(&self, kind: TableKind, columns: &[&str], mut rows: Vec<Row>, line: &str) -> Table {
        let more = rows.len().saturating_sub(ROWS_MAX);
        rows.truncate(ROWS_MAX);
        Table {
            kind,
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows,
            more,
            command: format!("{}{line}", self.command),
        }
    }

    /// An address, with whose it is.
    fn address(&self, address: Ipv4Addr, text: impl ToString) -> Cell {
        Cell {
            text: text.to_string(),
            to: self.cluster.who_has(address).unwrap_or_default(),
        }
    }

    /// A network, with the node whose pods are in it.
    fn network(&self, net: Ipv4Net) -> Cell {
        if net.prefix_len() == 32 {
            return self.address(net.addr(), net.addr());
        }
        let mut machines = self.cluster.machines.values();
        let of = machines.find(|m| m.pod_net == Some(net));
        Cell {
            text: match net.prefix_len() {
                0 => "default".to_owned(),
                _ => net.to_string(),
            },
            to: of.map(|m| format!("node:{}", m.name)).unwrap_or_default(),
        }
    }

    fn link(&self, id: LinkId) -> String {
        let link = self.net.link(id);
        link.map(|link| link.name.to_string()).unwrap_or_default()
    }

    /// The pod or node at the other end of a device.
    fn beyond(&self, link: &Link) -> Cell {
        let LinkKind::Veth { peer } = link.kind else {
            return cell("");
        };
        let Some(peer) = self.net.link(peer) else {
            return cell("");
        };
        let name = self.net.namespace(peer.namespace).map(|ns| ns.name.clone());
        let name = name.as_deref().unwrap_or_default();
        let to = match name.strip_prefix("pod ") {
            Some(pod) => format!("pod:{pod}"),
            None => format!("node:{name}"),
        };
        Cell {
            text: format!("{} of {name}", peer.name),
            to,
        }
    }

    fn links(&self) -> Table {
        let row = |link: &Link| {
            let kind = match &link.kind {
                LinkKind::Loopback => "loopback".to_owned(),
                LinkKind::Veth { .. } => "veth".to_owned(),
                LinkKind::Bridge(bridge) => format!("bridge, {} ports", bridge.ports.len()),
                LinkKind::Vxlan(vxlan) => format!("vxlan {} port {}", vxlan.vni, vxlan.port),
                LinkKind::Ipip(ipip) => format!("ipip to {}", ipip.remote),
                LinkKind::Dummy => "dummy".to_owned(),
                LinkKind::Physical { .. } => "network card".to_owned(),
            };
            let state = match (link.up, link.loss) {
                (false, _) => "DOWN".to_owned(),
                (true, 0) => "UP".to_owned(),
                (true, loss) => {
                    format!("UP, loses {} %", (u64::from(loss) * 100 + (1 << 30)) >> 31)
                }
            };
            let addresses: Vec<String> = link.addresses.iter().map(|a| a.net.to_string()).collect();
            let mac = if link.mac == Mac::ZERO {
                String::new()
            } else {
                link.mac.to_string()
            };
            Row {
                key: link.name.to_string(),
                cells: vec![
                    cell(&link.name),
                    cell(state),
                    cell(addresses.join(" ")),
                    cell(kind),
                    self.beyond(link),
                    cell(link.master.map(|m| self.link(m)).unwrap_or_default()),
                    cell(link.mtu),
                    cell(mac),
                ],
            }
        };
        let rows = self.net.links_of(self.ns.id).map(row).collect();
        let columns = [
            "dev", "state", "inet", "type", "peer", "master", "mtu", "link",
        ];
        self.table(TableKind::Links, &columns, rows, "ip addr")
    }

    fn routes(&self) -> Table {
        let row = |route: &Route| {
            let kind = match route.kind {
                RouteKind::Unicast => String::new(),
                kind => format!("{} ", kind.name()),
            };
            let mut destination = self.network(route.destination);
            destination.text = format!("{kind}{}", destination.text);
            let proto = match route.protocol {
                RouteProtocol::Boot => "",
                other => other.name(),
            };
            let scope = match route.scope {
                Scope::Global => "",
                other => other.name(),
            };
            let metric = (route.metric > 0).then(|| route.metric.to_string());
            Row {
                key: format!("{} {}", destination.text, route.metric),
                cells: vec![
                    destination,
                    route
                        .via
                        .map_or_else(Cell::default, |via| self.address(via, via)),
                    cell(route.dev.map(|dev| self.link(dev)).unwrap_or_default()),
                    cell(route.source.map(|s| s.to_string()).unwrap_or_default()),
                    cell(proto),
                    cell(scope),
                    cell(metric.unwrap_or_default()),
                ],
            }
        };
        let table = self.ns.table(MAIN);
        let mut rows: Vec<Row> = table
            .map(|t| t.iter().map(row).collect())
            .unwrap_or_default();
        // The default route is the first that people look for.
        rows.sort_by_key(|row| !row.key.starts_with("default"));
        let columns = [
            "destination",
            "via",
            "dev",
            "src",
            "proto",
            "scope",
            "metric",
        ];
        self.table(TableKind::Routes, &columns, rows, "ip route")
    }

    fn neighbours(&self) -> Table {
        let rows = self.ns.neighbours().map(|(link, address, neighbour)| {
            let state = neighbour.state_at(self.now);
            let mac = neighbour.mac.filter(|_| state != NeighbourState::Failed);
            Row {
                key: format!("{link:?} {address}"),
                cells: vec![
                    self.address(address, address),
                    cell(self.link(link)),
                    cell(mac.map(|mac| mac.to_string()).unwrap_or_default()),
                    cell(state.name()),
                ],
            }
        });
        let columns = ["address", "dev", "lladdr", "state"];
        self.table(TableKind::Neighbours, &columns, rows.collect(), "ip neigh")
    }

    /// Who has which Ethernet address: the pods behind this node's ports, the other nodes' tunnels.
    fn cards(&self, namespace: NamespaceId) -> BTreeMap<Mac, String> {
        let mut cards = BTreeMap::new();
        for machine in self.cluster.machines.values() {
            if let Some(link) = machine.overlay.and_then(|id| self.net.link(id)) {
                cards.insert(link.mac, format!("node:{}", machine.name));
            }
            if machine.netns != namespace {
                continue;
            }
            for sandbox in machine
                .runtime
                .sandboxes
                .values()
                .filter(|s| !s.host_network)
            {
                for link in self.net.links_of(sandbox.netns) {
                    let pod = &sandbox.pod;
                    cards.insert(link.mac, pod_id(&pod.namespace, &pod.name));
                }
            }
        }
        cards
    }

    fn fdb(&self, namespace: NamespaceId) -> Table {
        let cards = self.cards(namespace);
        let mut rows = Vec::new();
        let mut add = |mac: Mac, dev: &str, to: Cell, flags: &str| {
            rows.push(Row {
                key: format!("{mac} {dev} {}", to.text),
                cells: vec![
                    Cell {
                        text: mac.to_string(),
                        to: cards.get(&mac).cloned().unwrap_or_default(),
                    },
                    cell(dev),
                    to,
                    cell(flags),
                ],
            });
        };
        for link in self.net.links_of(self.ns.id) {
            if let Some(vxlan) = link.vxlan() {
                for (mac, hosts) in &vxlan.fdb {
                    for host in hosts {
                        add(
                            *mac,
                            &link.name,
                            self.address(*host, host),
                            "self permanent",
                        );
                    }
                }
            }
            for (mac, entry) in link.bridge().into_iter().flat_map(|bridge| &bridge.fdb) {
                let aged = self.now > entry.updated + kubarium_linux::Bridge::AGEING;
                if entry.is_static || !aged {
                    let flags = if entry.is_static {
                        "permanent"
                    } else {
                        "learned"
                    };
                    let port = self.link(entry.port);
                    add(*mac, &port, cell(&link.name), flags);
                }
            }
        }
        let columns = ["lladdr", "dev", "master or dst", "flags"];
        self.table(TableKind::Fdb, &columns, rows, "bridge fdb show")
    }

    fn sockets(&self, whose: &Whose) -> Table {
        let rows = self.ns.listeners().iter().map(|socket| {
            let who = match self.cluster.who_listens(socket.token) {
                Some(Listening::Daemon(name)) => {
                    let to = match (whose, name) {
                        (Whose::Node(_), "kube-apiserver") => format!("component:{name}"),
                        (Whose::Node(node), name) => format!("component:{name} {node}"),
                        _ => String::new(),
                    };
                    Cell {
                        text: name.to_owned(),
                        to,
                    }
                }
                Some(Listening::Container(pod, name)) => container(&pod, &name),
                None => Cell::default(),
            };
            let state = match socket.protocol {
                Protocol::UDP => "UNCONN",
                _ => "LISTEN",
            };
            let address = match socket.address {
                any if any.is_unspecified() => "*".to_owned(),
                own => own.to_string(),
            };
            let protocol = socket.protocol.name().unwrap_or_default();
            let local = format!("{address}:{}", socket.port);
            Row {
                key: format!("{protocol} {local}"),
                cells: vec![cell(protocol), cell(state), cell(local), who],
            }
        });
        let columns = ["netid", "state", "local address", "process"];
        self.table(TableKind::Sockets, &columns, rows.collect(), "ss -lntu")
    }

    fn processes(&self, whose: &Whose) -> Table {
        let sandboxes: Vec<_> = match whose {
            Whose::Pod(pod) => self
                .cluster
                .sandbox_of(pod)
                .map(|(_, s)| s)
                .into_iter()
                .collect(),
            // On a node those that share its network.
            Whose::Node(node) => {
                let machine = self.cluster.machines.get(node);
                let all = machine
                    .into_iter()
                    .flat_map(|m| m.runtime.sandboxes.values());
                all.filter(|s| s.host_network).collect()
            }
            Whose::Outside => Vec::new(),
        };
        let mut rows = Vec::new();
        for sandbox in sandboxes {
            for one in &sandbox.containers {
                let state = match &one.state {
                    runtime::State::Created => "created".to_owned(),
                    runtime::State::Running(since) => {
                        format!("running since {} s", since.0 / 1_000_000_000)
                    }
                    runtime::State::Exited(end) => format!("exited {} {}", end.code, end.reason),
                };
                let pod = self.cluster.etcd.get(&sandbox.pod);
                let spec = pod.and_then(|pod| {
                    let all = pod["spec"]["containers"].items();
                    all.iter().find(|c| c["name"].str() == &*one.name)
                });
                let words = |field: &str| {
                    let words = spec.map(|spec| spec[field].items()).unwrap_or_default();
                    words.iter().map(|w| w.str().to_owned()).collect::<Vec<_>>()
                };
                let mut command = words("command");
                command.extend(words("args"));
                rows.push(Row {
                    key: one.name.to_string(),
                    cells: vec![
                        container(&sandbox.pod, &one.name),
                        cell(state),
                        cell(command.join(" ")),
                        cell(&one.image),
                        cell(one.attempt),
                    ],
                });
            }
        }
        let columns = ["container", "state", "command", "image", "restarts"];
        let line = match whose {
            Whose::Pod(_) => "ps",
            _ => "crictl ps",
        };
        self.table(TableKind::Processes, &columns, rows, line)
    }

    fn conntrack(&self) -> Table {
        let rows = self.ns.conntrack.iter(self.now).map(|(id, entry)| {
            let (to, back) = (entry.original, entry.reply);
            let end = |address: Ipv4Addr, port: u16| {
                self.address(address, ends(to.protocol, address, port))
            };
            let nat = match (entry.snat, entry.dnat) {
                (true, true) => "SNAT DNAT",
                (true, false) => "SNAT",
                (false, true) => "DNAT",
                (false, false) => "",
            };
            let state = match entry.tcp {
                Some(state) => state.name(),
                None if entry.seen_reply => "",
                None => "UNREPLIED",
            };
            let left = entry.expires.0.saturating_sub(self.now.0) / 1_000_000_000;
            Row {
                key: id.to_string(),
                cells: vec![
                    cell(to.protocol.name().unwrap_or_default()),
                    cell(state),
                    end(to.src, to.sport),
                    end(to.dst, to.dport),
                    cell(nat),
                    end(back.src, back.sport),
                    end(back.dst, back.dport),
                    cell(format!("{left} s")),
                ],
            }
        });
        let columns = [
            "proto",
            "state",
            "src",
            "dst",
            "nat",
            "reply src",
            "reply dst",
            "left",
        ];
        self.table(
            TableKind::Conntrack,
            &columns,
            rows.collect(),
            "conntrack -L",
        )
    }

    fn chains(&self) -> Table {
        let netfilter: &Netfilter = &self.ns.netfilter;
        let mut rows = Vec::new();
        for kind in [Rules::Raw, Rules::Mangle, Rules::Nat, Rules::Filter] {
            let Some(table) = netfilter.table(kind) else {
                continue;
            };
            let all = table.chains();
            let rules: usize = all.iter().map(|chain| chain.rules.len()).sum();
            for chain in all.iter().filter(|chain| chain.policy.is_some()) {
                let name = chain.name.as_str();
                let policy = chain.policy.map(|policy| policy.name()).unwrap_or_default();
                let packets = netfilter.policy_counter(kind, name).packets;
                rows.push(Row {
                    key: format!("{} {name}", kind.name()),
                    cells: vec![
                        cell(kind.name()),
                        cell(name),
                        cell(policy),
                        cell(chain.rules.len()),
                        cell(packets),
                        cell(format!("{rules} in {} chains", all.len())),
                    ],
                });
            }
        }
        let columns = [
            "table",
            "chain",
            "policy",
            "rules",
            "packets",
            "in the table",
        ];
        self.table(TableKind::Chains, &columns, rows, "iptables-save")
    }

    fn sets(&self) -> Table {
        let mut rows = Vec::new();
        for (name, set) in self.ns.netfilter.sets() {
            for entry in set.iter() {
                let text = entry.text(set.kind);
                let mut member = self.network(entry.net);
                member.text.clone_from(&text);
                rows.push(Row {
                    key: format!("{name} {text}"),
                    cells: vec![cell(name), cell(set.kind.name()), member],
                });
            }
        }
        self.table(
            TableKind::IpSets,
            &["set", "type", "member"],
            rows,
            "ipset list",
        )
    }
}

/// A container, by its name.
fn container(pod: &ObjectKey, name: &str) -> Cell {
    Cell {
        text: name.to_owned(),
        to: format!("container:{}/{}/{name}", pod.namespace, pod.name),
    }
}
