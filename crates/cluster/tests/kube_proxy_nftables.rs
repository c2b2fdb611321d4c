//! kube-proxy's nftables mode: its table against recordings, and what a sync does to a table that is not as it left it.

use std::collections::BTreeSet;
use std::path::Path;

use kubarium_cluster::Time;
use kubarium_cluster::kube_proxy::{
    ChangeTracker, Config, Family, Memory, NamespacedName, NftChainsCache, NftSync, NodeInfo,
    State, SyncError,
};
use kubarium_linux::netfilter::{Netfilter, nft};
use kubarium_objects::{Value, yaml};

/// A node's kube-proxy: what it has seen, and the node's tables.
struct Node {
    config: Config,
    info: NodeInfo,
    seen: ChangeTracker,
    synced: State,
    cache: NftChainsCache,
    memory: Memory,
    tables: Netfilter,
    at: u64,
}

impl Node {
    fn new() -> Node {
        let object = json(
            r#"{"metadata":{"name":"n1"},"status":{"addresses":[{"type":"InternalIP","address":"172.18.0.3"}]}}"#,
        );
        Node {
            config: Config::default(),
            info: NodeInfo::from_object(&object),
            seen: ChangeTracker::new(Family::Ipv4),
            synced: State::new(Family::Ipv4),
            cache: NftChainsCache::default(),
            memory: Memory::default(),
            tables: Netfilter::default(),
            at: 0,
        }
    }

    /// A Service `NAME` at 10.43.0.`number` with one TCP port and endpoints `10.42.1.N`.
    fn service(&mut self, name: &str, number: u8, more: &str, endpoints: &[u8]) {
        self.seen.apply_service(&json(&format!(
            r#"{{"metadata":{{"namespace":"ns","name":"{name}"}},"spec":{{"clusterIP":"10.43.0.{number}","ports":[{{"port":80}}]{more}}}}}"#
        )));
        let endpoints: Vec<String> = endpoints
            .iter()
            .map(|n| format!(r#"{{"addresses":["10.42.1.{n}"],"nodeName":"n1"}}"#))
            .collect();
        self.seen.apply_slice(&json(&format!(
            r#"{{"addressType":"IPv4","metadata":{{"namespace":"ns","name":"{name}-x","labels":{{"kubernetes.io/service-name":"{name}"}}}},
                "ports":[{{"name":"","port":80}}],"endpoints":[{}]}}"#,
            endpoints.join(",")
        )));
    }

    fn delete(&mut self, name: &str) {
        self.seen.delete_service(&key(name));
    }

    fn sync(&mut self, full: bool) -> Result<(), SyncError> {
        let state = self.seen.state().clone();
        let changed = state.changed_since(&self.synced);
        self.at += 5;
        let mut sync = NftSync {
            config: &self.config,
            node: &self.info,
            state: &state,
            cache: &mut self.cache,
            memory: &mut self.memory,
            at: Time(self.at * 1_000_000_000),
        };
        let result = if full {
            sync.full(&mut self.tables)
        } else {
            sync.partial(&mut self.tables, &changed)
        };
        self.synced = (*state).clone();
        result
    }

    fn nft(&mut self, line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let output = nft::run(
            &mut self.tables,
            &[],
            &words,
            "",
            kubarium_linux::Time::ZERO,
        );
        output.stdout + &output.stderr
    }

    fn table(&mut self) -> String {
        self.nft("list table ip kube-proxy")
    }

    fn has(&mut self, text: &str, times: usize) {
        let table = self.table();
        assert_eq!(table.matches(text).count(), times, "{text} in {table}");
    }
}

fn json(text: &str) -> Value {
    Value::from_json(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn key(name: &str) -> NamespacedName {
    NamespacedName {
        namespace: "ns".into(),
        name: name.into(),
    }
}

/// A node with Services `a` (two endpoints) and `b` (one).
fn two() -> Node {
    let mut node = Node::new();
    node.service("a", 1, "", &[2, 3]);
    node.service("b", 2, "", &[4]);
    node.sync(true).unwrap();
    node
}

#[test]
fn a_partial_sync_makes_what_a_full_one_would() {
    let mut node = two();
    node.service("a", 1, "", &[3]);
    node.service("c", 3, r#","sessionAffinity":"ClientIP""#, &[5, 6]);
    node.sync(false).unwrap();
    let partial = node.table();
    let mut fresh = Node::new();
    fresh.service("a", 1, "", &[3]);
    fresh.service("b", 2, "", &[4]);
    fresh.service("c", 3, r#","sessionAffinity":"ClientIP""#, &[5, 6]);
    fresh.sync(true).unwrap();
    assert_eq!(partial, fresh.table());
}

#[test]
fn a_chain_that_nothing_uses_is_emptied_and_removed_with_the_next_sync() {
    let mut node = two();
    node.delete("b");
    node.sync(false).unwrap();
    node.has("10.43.0.2", 0);
    node.has("10.42.1.4", 0);
    node.has("ns/b/tcp/", 1);
    node.service("c", 3, "", &[5]);
    node.sync(false).unwrap();
    node.has("ns/b/tcp/", 0);
}

#[test]
fn a_service_that_comes_back_in_time_keeps_its_chain() {
    let mut node = two();
    node.delete("b");
    node.sync(false).unwrap();
    node.service("b", 2, "", &[4]);
    node.sync(false).unwrap();
    node.has("dnat to 10.42.1.4:80", 1);
}

#[test]
fn sets_of_affinity_go_at_once() {
    let mut node = two();
    node.service("b", 2, r#","sessionAffinity":"ClientIP""#, &[4, 5]);
    node.sync(false).unwrap();
    node.has("set affinity-", 2);
    node.service("b", 2, r#","sessionAffinity":"ClientIP""#, &[4]);
    node.sync(false).unwrap();
    node.has("set affinity-", 1);
    node.delete("b");
    node.sync(false).unwrap();
    node.has("set affinity-", 0);
}

#[test]
fn what_hands_have_changed_stays() {
    let mut node = two();
    assert_eq!(
        node.nft("delete element ip kube-proxy service-ips { 10.43.0.2 . tcp . 80 }"),
        ""
    );
    assert_eq!(
        node.nft("add element ip kube-proxy cluster-ips { 10.43.0.99 }"),
        ""
    );
    assert_eq!(node.nft("flush chain ip kube-proxy services"), "");
    node.service("c", 3, "", &[5]);
    node.sync(false).unwrap();
    node.has("10.43.0.2 . tcp . 80", 0);
    node.has("10.43.0.3 . tcp . 80", 1);
    node.has("10.43.0.99", 1);
    node.has("vmap @service-ips", 0);
    // An element that is not there cannot be removed, and everything is written anew.
    node.delete("b");
    assert!(node.sync(false).is_err());
    node.sync(true).unwrap();
    node.has("10.43.0.99", 0);
    node.has("vmap @service-ips", 1);
}

#[test]
fn a_table_that_is_gone_comes_back_with_a_full_sync() {
    let mut node = two();
    assert_eq!(node.nft("delete table ip kube-proxy"), "");
    node.service("c", 3, "", &[5]);
    let error = node.sync(false).unwrap_err().to_string();
    assert!(error.contains("No such file or directory"), "{error}");
    node.sync(true).unwrap();
    node.has("dnat to 10.42.1.5:80", 1);
}

#[test]
fn tables_are_as_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/oracle/kube-proxy-random/dumps");
    let cases = [
        ("198", ""),
        (
            "212",
            "--detect-local-mode=BridgeInterface --pod-bridge-interface=cbr0",
        ),
        ("200", "--masquerade-all=true"),
        ("218", "--cluster-cidr=10.42.1.0/24"),
        ("027", ""),
    ];
    for (case, flags) in cases {
        let dir = root.join(case);
        let Ok(want) = std::fs::read_to_string(dir.join("nft.txt")) else {
            println!("skipped: no recording at {}", dir.display());
            continue;
        };
        let text = std::fs::read_to_string(dir.join("objects.yaml")).unwrap();
        let objects: Vec<Value> = yaml::parse(&text)
            .unwrap()
            .into_iter()
            .map(|document| document.value)
            .collect();
        let mut node = Node::new();
        let is_own = |o: &&Value| {
            o["kind"].str() == "Node" && o.at(&["metadata", "name"]).str() == "worker-1"
        };
        node.info = NodeInfo::from_object(objects.iter().find(is_own).unwrap());
        let all = std::iter::once("--cluster-cidr=10.42.0.0/16").chain(flags.split_whitespace());
        node.config.apply_flags(all).unwrap();
        node.config.service_cidrs = vec!["10.43.0.0/16".parse().unwrap()];
        let state = State::from_objects(Family::Ipv4, objects.iter());
        let mut sync = NftSync {
            config: &node.config,
            node: &node.info,
            state: &state,
            cache: &mut node.cache,
            memory: &mut node.memory,
            at: Time(0),
        };
        sync.full(&mut node.tables).unwrap();
        // Chains of different Services come in random order in reality.
        let parts = |text: &str| -> BTreeSet<String> {
            text.split("\n\n")
                .map(|part| part.trim_end_matches("\n}\n").to_owned())
                .collect()
        };
        assert_eq!(parts(&node.table()), parts(&want), "{case}");
    }
}
