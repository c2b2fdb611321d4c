//! kube-proxy's own unit tests as data: the rules that it must make of objects, what packets do with
//! them, and which endpoints it chooses. Skipped where the data is not at hand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;
use kubarium_cluster::kube_proxy::{
    Config, Family, NodeInfo, ServiceChainsCache, State, Sync, parse_ip,
};
use kubarium_linux::netfilter::restore::{Options, restore, save};
use kubarium_linux::netfilter::{Netfilter, TableKind};
use kubarium_linux::{
    Address, Connect, MAIN, NamespaceId, Network, Protocol, Route, Time, Verdict,
};
use kubarium_objects::{Value, yaml};

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle/kube-proxy");
    let Ok(entries) = std::fs::read_dir(&root) else {
        println!("skipped: no recordings at {}", root.display());
        return Vec::new();
    };
    let mut dirs: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    dirs.retain(|dir| dir.join("input.yaml").exists());
    dirs.sort();
    dirs
}

fn objects(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let documents = yaml::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    documents.into_iter().map(|d| d.value).collect()
}

fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A case: what kube-proxy is told of its node, and what it makes of the objects.
struct Case {
    node: NodeInfo,
    tables: Netfilter,
}

/// `None` where the case is of IPv6 or nftables.
fn case(dir: &Path) -> Option<Case> {
    let input = objects(&dir.join("input.yaml"));
    let of_kind = |kind: &str| input.iter().find(|o| o["kind"].str() == kind);
    let environment = of_kind("ConfigMap").map_or_else(Value::default, |o| o["data"].clone());
    if environment["ipFamily"].str() != "IPv4" || dir.to_string_lossy().contains("nft-") {
        return None;
    }
    let mut config = Config::default();
    if let Some(file) = of_kind("KubeProxyConfiguration") {
        config
            .apply_object(file)
            .unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    }
    let mut node = NodeInfo::from_object(of_kind("Node").unwrap_or(&Value::default()));
    node.nfacct = !environment["nfacctCounters"].str().is_empty();
    node.random_fully = environment["masqueradeRandomFully"].str() == "true";
    let interfaces: BTreeMap<String, Vec<String>> =
        serde_json::from_str(environment["interfaces.json"].str()).unwrap_or_default();
    let addresses = interfaces.values().flatten();
    node.interface_addresses = addresses
        .filter_map(|a| parse_ip(a.split('/').next()?))
        .collect();
    let mut tables = Netfilter::default();
    let mut cache = ServiceChainsCache::default();
    let now = State::from_objects(Family::Ipv4, input.iter());
    let partial = environment["sync"].str() == "partial";
    let before = objects(&dir.join("previous.yaml"));
    let before = State::from_objects(Family::Ipv4, before.iter());
    let first = if partial { &before } else { &now };
    let mut sync = Sync {
        config: &config,
        node: &node,
        state: first,
        cache: &mut cache,
        remove_stale: true,
    };
    sync.full(&mut tables)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    if partial {
        let mut sync = Sync {
            config: &config,
            node: &node,
            state: &now,
            cache: &mut cache,
            remove_stale: true,
        };
        let changed = now.changed_since(&before);
        let done = sync.partial(&mut tables, &changed);
        done.unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    }
    Some(Case { node, tables })
}

/// Rules by table and chain, each chain's in the order of their text: kube-proxy's own tests sort
/// them, for the order of Services says nothing.
fn chains(netfilter: &Netfilter) -> BTreeMap<(String, String), Vec<String>> {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut table = String::new();
    for line in save(netfilter, None, false, "").lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
        } else if let Some(chain) = line.strip_prefix(':') {
            let chain = chain.split(' ').next().unwrap_or_default();
            found.entry((table.clone(), chain.to_owned())).or_default();
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let chain = rule.split(' ').next().unwrap_or_default();
            let rules = found.entry((table.clone(), chain.to_owned())).or_default();
            rules.push(line.to_owned());
        }
    }
    for rules in found.values_mut() {
        rules.sort();
    }
    found
}

#[test]
fn rules_are_as_expected() {
    for dir in cases() {
        let Some(case) = case(&dir) else { continue };
        let got = chains(&case.tables);
        let expected = dir.join("expected.rules");
        if let Ok(text) = std::fs::read_to_string(&expected) {
            // Chains that it removes are there before it does.
            let mut want = case.tables.clone();
            let options = Options {
                noflush: true,
                ..Options::default()
            };
            restore(&mut want, &text, options).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
            let want = chains(&want);
            for (chain, rules) in &want {
                assert_eq!(got.get(chain), Some(rules), "{} {chain:?}", dir.display());
            }
            assert_eq!(got.len(), want.len(), "{}", dir.display());
        }
        if dir.join("expected-chains.json").exists() {
            for want in json(&dir.join("expected-chains.json"))
                .as_array()
                .into_iter()
                .flatten()
            {
                let text = |key: &str| want[key].as_str().unwrap_or_default().to_owned();
                let rules = want["rules"].as_array().into_iter().flatten();
                let rules: Vec<&str> = rules.filter_map(|r| r.as_str()).collect();
                let chain = (text("table"), text("chain"));
                // As iptables-save prints them once they are restored.
                let mut want = case.tables.clone();
                let rules = rules.join("\n");
                let rules = format!("*{}\n-F {}\n{rules}\nCOMMIT\n", chain.0, chain.1);
                let options = Options {
                    noflush: true,
                    ..Options::default()
                };
                restore(&mut want, &rules, options)
                    .unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
                let sorted = |rules: Option<&Vec<String>>| {
                    let mut rules = rules.cloned().unwrap_or_default();
                    rules.sort();
                    rules
                };
                let want = chains(&want);
                assert_eq!(
                    sorted(got.get(&chain)),
                    sorted(want.get(&chain)),
                    "{} {chain:?}",
                    dir.display()
                );
            }
        }
        if dir.join("expected-facts.json").exists() {
            let facts = json(&dir.join("expected-facts.json"));
            let rules = got.get(&("nat".to_owned(), "KUBE-SERVICES".to_owned()));
            let rules = rules.cloned().unwrap_or_default();
            let wanted = facts["natServicesChainHasRuleForDestination"].as_object();
            for (ip, want) in wanted.into_iter().flatten() {
                let has = rules.iter().any(|r| r.contains(&format!("-d {ip}/32")));
                assert_eq!(Some(has), want.as_bool(), "{} {ip}", dir.display());
            }
        }
    }
}

/// A machine with a case's rules, a client before it, and all the world behind it.
struct Lab {
    net: Network,
    client: NamespaceId,
    node: NamespaceId,
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn host(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(address, 32)
}

impl Lab {
    /// `others` are the addresses of the world.
    fn new(
        case: &Case,
        source: Ipv4Addr,
        others: &BTreeSet<Ipv4Addr>,
        ports: &BTreeSet<u16>,
    ) -> Lab {
        let mut net = Network::new();
        let (client, node) = (net.add_namespace("client"), net.add_namespace("node"));
        let world = net.add_namespace("world");
        net.set_sysctl(node, "net.ipv4.ip_forward", "1")
            .expect("sysctl");
        net.set_sysctl(node, "net.ipv4.conf.all.route_localnet", "1")
            .expect("sysctl");
        let all = Ipv4Net::default();
        let mut cable = |far: NamespaceId, name: &str, own: [u8; 4]| {
            let (near_end, far_end) = net.add_veth((node, name), (far, "eth0")).expect("a cable");
            for link in [near_end, far_end] {
                net.set_up(link, true).expect("up");
            }
            let own = Ipv4Net::new_assert(own.into(), 24);
            net.add_address(near_end, Address::new(own))
                .expect("an address");
            let route = Route {
                onlink: true,
                ..Route::via(all, own.addr(), far_end)
            };
            net.namespace_mut(far)
                .expect("there")
                .table_mut(MAIN)
                .replace(route);
            (near_end, far_end)
        };
        let (to_client, client_end) = cable(client, "client", [169, 254, 1, 1]);
        let (to_world, world_end) = cable(world, "world", [169, 254, 2, 1]);
        let own: Vec<Ipv4Addr> = (case.node.interface_addresses.iter())
            .filter_map(|ip| match ip {
                IpAddr::V4(ip) if !ip.is_loopback() => Some(*ip),
                _ => None,
            })
            .collect();
        for address in &own {
            let lo = net.find_link(node, "lo").expect("lo");
            net.add_address(lo, Address::new(host(*address)))
                .expect("an address");
        }
        let is_own = own.contains(&source) || source.is_loopback();
        if !is_own {
            net.add_address(client_end, Address::new(host(source)))
                .expect("an address");
        }
        for address in others.iter().filter(|a| !own.contains(a) && **a != source) {
            net.add_address(world_end, Address::new(host(*address)))
                .expect("an address");
        }
        let table = net.namespace_mut(node).expect("there").table_mut(MAIN);
        table.replace(Route::on_link(host(source), to_client));
        table.replace(Route::on_link(all, to_world));
        for id in [client, node, world] {
            for port in ports {
                for protocol in [Protocol::TCP, Protocol::UDP, Protocol::SCTP] {
                    let any = Ipv4Addr::UNSPECIFIED;
                    net.listen(id, protocol, any, *port, 0).expect("a socket");
                }
            }
        }
        net.namespace_mut(node).expect("there").netfilter = case.tables.clone();
        let client = if is_own { node } else { client };
        Lab { net, client, node }
    }
}

#[test]
fn packets_go_where_they_must() {
    let mut flows = 0;
    for dir in cases() {
        let list = dir.join("flows.json");
        let (true, Some(case)) = (list.exists(), case(&dir)) else {
            continue;
        };
        let list = json(&list);
        let list = list.as_array().expect("a list");
        let text =
            |flow: &serde_json::Value, key: &str| flow[key].as_str().unwrap_or_default().to_owned();
        let port_of = |flow: &serde_json::Value| flow["destPort"].as_u64().map_or(0, |p| p as u16);
        let mut others = BTreeSet::new();
        let mut ports = BTreeSet::new();
        for flow in list {
            others.insert(ip(&text(flow, "destIP")));
            ports.insert(port_of(flow));
        }
        let nat = case
            .tables
            .table(TableKind::Nat)
            .map(|t| t.chains())
            .unwrap_or_default();
        for chain in nat {
            for n in 0..chain.rules.len() {
                let rule = chain.rule_text(n);
                if let Some((_, to)) = rule.split_once("--to-destination ") {
                    let to: SocketAddrV4 = to.trim().parse().expect("an endpoint");
                    others.insert(*to.ip());
                    ports.insert(to.port());
                }
            }
        }
        for flow in list {
            flows += 1;
            let source = ip(&text(flow, "sourceIP"));
            let to = SocketAddrV4::new(ip(&text(flow, "destIP")), port_of(flow));
            let lab = Lab::new(&case, source, &others, &ports);
            let connect = Connect {
                source: Some(source),
                protocol: Protocol::parse(&text(flow, "protocol")).expect("a protocol"),
                handshake: true,
                timeout: Time::from_millis(900),
                ..Connect::tcp(lab.client, to)
            };
            let mut outcomes = BTreeSet::new();
            let mut masqueraded = BTreeSet::new();
            for fate in lab.net.fates(&connect, Time::from_secs(10)) {
                let c = fate.connection;
                outcomes.insert(match (c.verdict, c.server_address, c.server) {
                    (Verdict::Connected, Some(server), Some((at, _))) => {
                        if server == to || at == lab.node {
                            String::new()
                        } else {
                            masqueraded.insert(c.seen_source.is_some_and(|s| *s.ip() != source));
                            server.to_string()
                        }
                    }
                    (Verdict::Timeout, ..) => "DROP".to_owned(),
                    _ => "REJECT".to_owned(),
                });
            }
            let want: BTreeSet<String> = match text(flow, "output").as_str() {
                "ACCEPT" => BTreeSet::from([String::new()]),
                output => output.split(", ").map(str::to_owned).collect(),
            };
            let about = format!("{}: {}", dir.display(), flow["name"]);
            assert_eq!(outcomes, want, "{about}");
            if let Some(want) = flow["masq"].as_bool().filter(|_| !masqueraded.is_empty()) {
                assert_eq!(masqueraded, BTreeSet::from([want]), "{about}");
            }
        }
    }
    println!("{flows} flows");
}
