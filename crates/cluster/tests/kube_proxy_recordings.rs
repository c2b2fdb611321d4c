//! kube-proxy's rules against recordings of a real cluster and of kube-proxy's own unit tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kubarium_cluster::cni::flannel_rules;
use kubarium_cluster::kube_proxy::{
    Config, Endpoint, Family, NodeInfo, ServiceChainsCache, State, Sync, Topology, categorize,
    ensure_canary, parse_ip, service_ports,
};
use kubarium_linux::netfilter::{Netfilter, TableKind, iptables};
use kubarium_objects::{Text, Value, array, object};
use serde::Deserialize;

/// The folder of recordings, if this checkout has one beside it.
fn recordings(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle");
    let path = root.join(folder);
    if !path.is_dir() {
        println!("skipped: no recordings at {}", path.display());
        return None;
    }
    Some(path)
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    all
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

/// How a case was run.
struct Case {
    config: Config,
    node: NodeInfo,
    family: Family,
    objects: Vec<Value>,
}

impl Case {
    fn read(objects_file: &Path, node: &str, flags: &[&str]) -> Case {
        let objects = documents(objects_file);
        let find = |kind: &str, name: &str| {
            objects.iter().find(|o| {
                o["kind"].str() == kind
                    && (name.is_empty() || o.at(&["metadata", "name"]).str() == name)
            })
        };
        let mut config = Config::default();
        if let Some(file) = find("KubeProxyConfiguration", "") {
            config.apply_object(file).unwrap();
        }
        config.apply_flags(flags.iter().copied()).unwrap();
        let environment = find("ConfigMap", "proxy-case-environment").map(|map| &map["data"]);
        let says = |key: &str| environment.and_then(|e| e.get(key)).map(Value::str);
        let name = says("nodeName").unwrap_or(node);
        let mut info = find("Node", name).map_or_else(
            || NodeInfo::from_object(&Value::Null),
            NodeInfo::from_object,
        );
        info.topology.node_name = name.into();
        if let Some(text) = says("interfaces.json") {
            let interfaces: BTreeMap<String, Vec<String>> = serde_json::from_str(text).unwrap();
            let addresses = interfaces.values().flatten();
            info.interface_addresses = addresses
                .filter_map(|a| parse_ip(a.split('/').next()?))
                .collect();
        }
        info.random_fully = says("masqueradeRandomFully") != Some("false");
        info.nfacct = says("nfacctCounters") != Some("");
        let family = match says("ipFamily") {
            Some("IPv6") => Family::Ipv6,
            _ => Family::Ipv4,
        };
        Case {
            config,
            node: info,
            family,
            objects,
        }
    }

    fn state(&self) -> State {
        State::from_objects(self.family, self.objects.iter())
    }

    fn sync<'a>(&'a self, state: &'a State, cache: &'a mut ServiceChainsCache) -> Sync<'a> {
        Sync {
            config: &self.config,
            node: &self.node,
            state,
            cache,
            remove_stale: true,
        }
    }
}

/// The rules of every chain by `table/chain`, in an order that does not depend on the order of
/// service ports, which is random in reality.
type Canonical = BTreeMap<String, Vec<String>>;

fn canonical(text: &str) -> Canonical {
    let mut chains = Canonical::new();
    let mut table = String::new();
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(name) = line.strip_prefix('*') {
            table = name.to_owned();
        } else if let Some(chain) = line.strip_prefix(':') {
            let name = chain.split(' ').next().unwrap_or("");
            chains.entry(format!("{table}/{name}")).or_default();
        } else if let Some((chain, rule)) = line
            .strip_prefix("-A ")
            .map(|r| r.split_once(' ').unwrap_or((r, "")))
        {
            chains
                .entry(format!("{table}/{chain}"))
                .or_default()
                .push(rule.to_owned());
        }
    }
    for (name, rules) in &mut chains {
        let mixed = ["SERVICES", "NODEPORTS", "FIREWALL"];
        if mixed.iter().any(|end| name.ends_with(end)) {
            rules.sort_by_key(|rule| order(rule));
        }
    }
    chains.retain(|name, rules| name.contains("KUBE") || !rules.is_empty());
    chains
}

fn saved(tables: &Netfilter) -> Canonical {
    let mut text = String::new();
    for kind in TableKind::ALL {
        let Some(table) = tables.table(kind) else {
            continue;
        };
        text += &format!("*{}\n", kind.name());
        for chain in table.chains() {
            text += &format!(":{}\n", chain.name);
            for index in 0..chain.rules.len() {
                text += &format!("{}\n", chain.rule_text(index));
            }
        }
    }
    canonical(&text)
}

/// Service port and protocol of a rule; the end of the chain last.
fn order(rule: &str) -> (bool, String, String) {
    let after = |what: &str| rule.split_once(what).map_or("", |(_, rest)| rest);
    let comment = after("--comment ").trim_start_matches('"');
    if comment.contains("must be the last rule") {
        return (true, rule.to_owned(), String::new());
    }
    let word = |text: &str| text.split([' ', '"']).next().unwrap_or("").to_owned();
    (false, word(comment), word(after("-p ")))
}

fn difference(name: &str, want: &Canonical, got: &Canonical) -> Option<String> {
    let names = want.keys().chain(got.keys());
    let chain = names
        .into_iter()
        .find(|chain| want.get(*chain) != got.get(*chain))?;
    let show = |side: &Canonical| {
        side.get(chain)
            .map_or("no such chain".to_owned(), |r| r.join("\n  "))
    };
    Some(format!(
        "{name}: {chain}\n want\n  {}\n got\n  {}",
        show(want),
        show(got)
    ))
}

/// Panics unless there are at least `floor` cases and exactly the known ones differ.
fn judge(total: usize, floor: usize, known: &[&str], different: &[(String, String)]) {
    let names: Vec<&str> = different.iter().map(|(name, _)| name.as_str()).collect();
    println!("{} of {total} agree", total - different.len());
    assert!(total >= floor, "only {total} cases were found");
    for (name, text) in different {
        assert!(known.contains(&name.as_str()), "{text}");
    }
    for known in known {
        assert!(
            names.contains(known),
            "{known} agrees now: take it off the list"
        );
    }
}

#[test]
fn dumps_and_sequences_agree() {
    let Some(root) = recordings("kube-proxy-random") else {
        return;
    };
    let mut different = Vec::new();
    let mut total = 0;
    let sequences = folders(&root.join("sequences"));
    for folder in folders(&root.join("dumps")).iter().chain(&sequences) {
        let case = &documents(&folder.join("case.yaml"))[0];
        let flags: Vec<&str> = case["flags"].items().iter().map(Value::str).collect();
        let steps = folders(folder);
        let steps = if steps.is_empty() {
            vec![folder.clone()]
        } else {
            steps
        };
        let mut tables = Netfilter::default();
        ensure_canary(&mut tables);
        let mut before: Option<(State, NodeInfo)> = None;
        for step in &steps {
            let run = Case::read(&step.join("objects.yaml"), case["node"].str(), &flags);
            let state = run.state();
            let mut cache = ServiceChainsCache::default();
            let mut sync = run.sync(&state, &mut cache);
            match &before {
                // A changed node asks for a full sync; so does the start.
                Some((before, node)) if *node == run.node => {
                    let changed = state.changed_since(before);
                    sync.partial(&mut tables, &changed).unwrap();
                }
                _ => sync.full(&mut tables).unwrap(),
            }
            let want = fs::read_to_string(step.join("iptables-save.txt")).unwrap();
            let name = step.strip_prefix(&root).unwrap().display().to_string();
            total += 1;
            if let Some(text) = difference(&name, &canonical(&want), &saved(&tables)) {
                different.push((name, text));
            }
            before = Some((state, run.node.clone()));
        }
    }
    judge(total, 100, &[], &different);
}

/// kube-proxy's own unit tests: what `iptables-restore` was given, loaded into an empty namespace
/// (so without the jumps and the canary that other steps make).
#[test]
fn upstream_dumps_agree() {
    let Some(root) = recordings("kube-proxy") else {
        return;
    };
    let mut different = Vec::new();
    let mut total = 0;
    let mut tables = Netfilter::default();
    for folder in folders(&root) {
        let saved_file = folder.join("observed.iptables-save");
        if !saved_file.is_file() {
            continue;
        }
        let run = Case::read(&folder.join("input.yaml"), "", &[]);
        if run.family == Family::Ipv6 {
            continue;
        }
        let state = run.state();
        let mut cache = ServiceChainsCache::default();
        let previous = folder.join("previous.yaml");
        if previous.is_file() {
            // A further step of the case before: the tables are as that one left them.
            let before = Case {
                objects: documents(&previous),
                ..Case::read(&folder.join("input.yaml"), "", &[])
            };
            let changed = state.changed_since(&before.state());
            let mut sync = run.sync(&state, &mut cache);
            sync.partial(&mut tables, &changed).unwrap();
        } else {
            tables = Netfilter::default();
            run.sync(&state, &mut cache).full(&mut tables).unwrap();
        }
        let want = fs::read_to_string(&saved_file).unwrap();
        let made_otherwise = |name: &String| {
            let chain = name.split('/').nth(1).unwrap_or("");
            !chain.starts_with("KUBE-") || chain == "KUBE-FIREWALL" && !want.contains(chain)
        };
        let mut got = saved(&tables);
        got.retain(|name, _| !made_otherwise(name));
        let mut want = canonical(&want);
        want.retain(|name, _| !made_otherwise(name));
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        total += 1;
        if let Some(text) = difference(&name, &want, &got) {
            different.push((name, text));
        }
    }
    judge(total, 20, &[], &different);
}

/// Which endpoints a node uses, out of kube-proxy's own unit tests.
#[test]
fn upstream_topology_agrees() {
    let Some(root) = recordings("kube-proxy") else {
        return;
    };
    let text = fs::read_to_string(root.join("topology-cases.json")).unwrap();
    let cases = Value::from_json(&text).unwrap();
    let mut different = Vec::new();
    for case in cases.items() {
        if let Some(text) = topology_difference(case) {
            different.push((case["name"].str().to_owned(), text));
        }
    }
    judge(cases.items().len(), 17, &[], &different);
}

fn topology_difference(case: &Value) -> Option<String> {
    const HERE: &str = "here";
    let given = &case["service"];
    let service = object([
        (
            "metadata",
            object([("namespace", "ns".into()), ("name", "svc".into())]),
        ),
        (
            "spec",
            object([
                ("clusterIP", given["clusterIP"].clone()),
                (
                    "type",
                    if given["nodePort"].is_empty() {
                        "ClusterIP"
                    } else {
                        "NodePort"
                    }
                    .into(),
                ),
                (
                    "externalTrafficPolicy",
                    given["externalTrafficPolicy"].clone(),
                ),
                (
                    "internalTrafficPolicy",
                    given["internalTrafficPolicy"].clone(),
                ),
                (
                    "ports",
                    array([object([
                        ("port", given["port"].clone()),
                        ("nodePort", given["nodePort"].clone()),
                    ])]),
                ),
            ]),
        ),
    ]);
    let port = service_ports(&service, Family::Ipv4).into_iter().next()?;
    let texts = |list: &Value| -> Vec<Text> { list.items().iter().map(Value::text).collect() };
    let own = case["nodeName"].str();
    let node_name = if own.is_empty() { HERE } else { own };
    let endpoints: Vec<Endpoint> = case["endpoints"]
        .items()
        .iter()
        .map(|e| {
            let (ip, port) = e["endpoint"].str().rsplit_once(':').unwrap();
            Endpoint {
                text: e["endpoint"].text(),
                ip: parse_ip(ip).unwrap(),
                port: port.parse().unwrap(),
                node_name: if e["isLocal"] == true.into() {
                    node_name
                } else {
                    "elsewhere"
                }
                .into(),
                ready: e["ready"] == true.into(),
                serving: e["serving"] == true.into(),
                terminating: e["terminating"] == true.into(),
                zone_hints: texts(&e["zoneHints"]),
                node_hints: if case["preferSameTrafficDistributionGate"] == true.into() {
                    texts(&e["nodeHints"])
                } else {
                    Vec::new()
                },
            }
        })
        .collect();
    let node = Topology {
        node_name: node_name.into(),
        zone: case["nodeLabels"]["topology.kubernetes.io/zone"].text(),
    };
    let used = categorize(&port, &endpoints, &node);
    let list = |indexes: &[u32]| -> Vec<Text> {
        let mut texts: Vec<Text> = indexes
            .iter()
            .map(|i| endpoints[*i as usize].text.clone())
            .collect();
        texts.sort();
        texts
    };
    let want = |key: &str| {
        let mut texts = texts(&case[key]);
        texts.sort();
        texts
    };
    let got = [
        list(&used.cluster),
        list(&used.local),
        list(&used.all_reachable),
    ];
    let wanted = [
        want("clusterEndpoints"),
        want("localEndpoints"),
        want("allEndpoints"),
    ];
    (got != wanted).then(|| format!("{}: want {wanted:?}, got {got:?}", case["name"].str()))
}

/// Whole nodes: kube-proxy's rules beside flannel's, and what was then done by hand.
#[test]
fn nodes_with_flannel_agree() {
    let Some(root) = recordings("kube-proxy-random") else {
        return;
    };
    let mut different = Vec::new();
    let mut total = 0;
    for folder in folders(&root.join("flows")) {
        let topology = &documents(&folder.join("topology.yaml"))[0];
        if topology["mode"].str() != "iptables" {
            continue;
        }
        let flags = topology["kubeProxyFlags"].items().iter().map(Value::str);
        let flags: Vec<&str> = flags.filter(|f| !f.contains("NODE")).collect();
        for node in topology["nodes"].items() {
            let name = node["name"].str();
            let run = Case::read(&folder.join("objects.yaml"), name, &flags);
            let mut tables = Netfilter::default();
            ensure_canary(&mut tables);
            if node["flannelRules"] == true.into() {
                let net = |value: &Value| value.str().parse().unwrap();
                let pods = net(&topology["clusterCIDR"]);
                flannel_rules::ensure(&mut tables, pods, net(&node["podCIDR"]));
            }
            let state = run.state();
            let mut cache = ServiceChainsCache::default();
            run.sync(&state, &mut cache).full(&mut tables).unwrap();
            for command in node["commands"].items() {
                if let Some(args) = command.str().strip_prefix("iptables ") {
                    let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
                    assert_eq!(iptables::run(&mut tables, &args).status, 0, "{args:?}");
                }
            }
            let want = folder.join(format!("{name}.iptables-save.txt"));
            let want = fs::read_to_string(want).unwrap();
            let case = format!("{}/{name}", folder.strip_prefix(&root).unwrap().display());
            total += 1;
            if let Some(text) = difference(&case, &canonical(&want), &saved(&tables)) {
                different.push((case, text));
            }
        }
    }
    judge(total, 30, &[], &different);
}
