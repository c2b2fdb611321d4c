//! What a sync does to tables that are not empty: hand-made changes, stale chains, failures.

use std::collections::BTreeSet;

use kubarium_cluster::kube_proxy::{
    ChangeTracker, Config, Family, NamespacedName, NodeInfo, ServiceChainsCache, State, Sync,
    SyncError, canary_is_gone, ensure_canary,
};
use kubarium_cluster::kubelet_iptables;
use kubarium_linux::netfilter::{ChainName, Netfilter, TableKind, iptables, restore};
use kubarium_objects::Value;

/// A node's kube-proxy: what it has seen, and the node's tables.
struct Node {
    config: Config,
    info: NodeInfo,
    seen: ChangeTracker,
    synced: State,
    cache: ServiceChainsCache,
    tables: Netfilter,
    remove_stale: bool,
}

impl Node {
    fn new() -> Node {
        let object = json(
            r#"{"metadata":{"name":"n1"},"status":{"addresses":[{"type":"InternalIP","address":"172.18.0.3"}]}}"#,
        );
        let mut tables = Netfilter::default();
        ensure_canary(&mut tables);
        Node {
            config: Config::default(),
            info: NodeInfo::from_object(&object),
            seen: ChangeTracker::new(Family::Ipv4),
            synced: State::new(Family::Ipv4),
            cache: ServiceChainsCache::default(),
            tables,
            remove_stale: true,
        }
    }

    /// A Service `NAME` with one TCP port and endpoints `10.42.1.N`.
    fn service(&mut self, name: &str, endpoints: &[u8]) {
        let number: usize = name.bytes().map(usize::from).sum::<usize>() % 250;
        self.seen.apply_service(&json(&format!(
            r#"{{"metadata":{{"namespace":"ns","name":"{name}"}},"spec":{{"clusterIP":"10.43.0.{number}","ports":[{{"port":80}}]}}}}"#
        )));
        let endpoints: Vec<String> = endpoints
            .iter()
            .map(|n| format!(r#"{{"addresses":["10.42.1.{n}"]}}"#))
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

    fn full(&mut self) -> Result<(), SyncError> {
        self.sync(None)
    }

    fn partial(&mut self) -> Result<(), SyncError> {
        let changed = self.seen.state().changed_since(&self.synced);
        self.sync(Some(changed))
    }

    fn sync(&mut self, changed: Option<BTreeSet<NamespacedName>>) -> Result<(), SyncError> {
        let mut sync = Sync {
            config: &self.config,
            node: &self.info,
            state: self.seen.state(),
            cache: &mut self.cache,
            remove_stale: self.remove_stale,
        };
        let result = match changed {
            Some(changed) => sync.partial(&mut self.tables, &changed),
            None => sync.full(&mut self.tables),
        };
        self.synced = State::clone(self.seen.state());
        result
    }

    /// A partial sync of one that knows what its last ones have left.
    fn partial_since(&mut self, stale: &mut BTreeSet<ChainName>) {
        let state = self.seen.state();
        let changed = state.changed_since(&self.synced);
        let mut sync = Sync {
            config: &self.config,
            node: &self.info,
            state,
            cache: &mut self.cache,
            remove_stale: self.remove_stale,
        };
        let done = sync.partial_since(&mut self.tables, &changed, &self.synced, stale);
        self.synced = State::clone(state);
        done.unwrap();
    }

    fn save(&self) -> String {
        restore::save(&self.tables, None, false, "")
    }

    /// Runs `iptables` by hand.
    fn iptables(&mut self, line: &str) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let output = iptables::run(&mut self.tables, &args);
        assert_eq!(output.status, 0, "{line}: {}", output.stderr);
    }

    fn has(&self, text: &str) -> bool {
        self.save().contains(text)
    }

    /// The chain that traffic to a Service's cluster IP goes to.
    fn chain_of(&self, name: &str) -> String {
        let save = self.save();
        let rule = save
            .lines()
            .find(|l| l.contains(&format!("\"ns/{name} cluster IP\"")));
        rule.and_then(|l| Some(l.rsplit_once("-j ")?.1.to_owned()))
            .expect("a rule for the cluster IP")
    }
}

fn json(text: &str) -> Value {
    Value::from_json(text).unwrap()
}

fn key(name: &str) -> NamespacedName {
    NamespacedName {
        namespace: "ns".into(),
        name: name.into(),
    }
}

#[test]
fn partial_syncs_end_where_a_full_one_would() {
    let mut node = Node::new();
    node.full().unwrap();
    let names = ["a", "b", "c", "d", "e"];
    // A fixed, scattered sequence of changes: two in three set endpoints, one deletes.
    for step in 0u8..60 {
        let name = names[usize::from(step.wrapping_mul(37) % 5)];
        match step.wrapping_mul(101) % 3 {
            0 => node.delete(name),
            n => node.service(name, &(0..step % 7).map(|i| i * n + 1).collect::<Vec<_>>()),
        }
        if step % 4 != 0 {
            node.partial().unwrap();
            let mut fresh = Node::new();
            fresh.seen = node.seen.clone();
            fresh.full().unwrap();
            assert_eq!(node.save(), fresh.save(), "after step {step}");
        }
    }
}

#[test]
fn what_is_known_of_the_last_sync_spares_a_look_at_all_chains() {
    let (mut looking, mut knowing) = (Node::new(), Node::new());
    looking.full().unwrap();
    knowing.full().unwrap();
    let mut stale = BTreeSet::new();
    let names = ["a", "b", "c", "d", "e"];
    for step in 0u8..120 {
        let name = names[usize::from(step.wrapping_mul(37) % 5)];
        let endpoints: Vec<u8> = (0..step % 7).map(|i| i * 3 + step % 2).collect();
        for node in [&mut looking, &mut knowing] {
            match step.wrapping_mul(101) % 3 {
                0 => node.delete(name),
                _ => node.service(name, &endpoints),
            }
            node.remove_stale = step % 5 != 0;
        }
        if step % 4 != 0 {
            looking.partial().unwrap();
            knowing.partial_since(&mut stale);
            assert_eq!(knowing.save(), looking.save(), "after step {step}");
        }
    }
}

#[test]
fn what_hands_did_elsewhere_survives() {
    let mut node = Node::new();
    node.service("web", &[1, 2]);
    node.full().unwrap();
    let chain = node.chain_of("web");
    node.iptables("-t nat -N MINE");
    node.iptables("-t nat -A PREROUTING -j MINE");
    node.iptables("-I FORWARD -s 10.9.9.9 -j DROP");
    node.iptables(&format!("-t nat -A {chain} -s 10.8.8.8 -j RETURN"));
    node.iptables("-t nat -I KUBE-SERVICES -s 10.7.7.7 -j RETURN");

    node.service("other", &[3]);
    node.partial().unwrap();
    assert!(node.has("-A PREROUTING -j MINE") && node.has("10.9.9.9"));
    assert!(
        node.has("10.8.8.8"),
        "an unchanged Service's chain was rewritten"
    );
    assert!(!node.has("10.7.7.7"), "a shared chain was not rewritten");

    node.full().unwrap();
    assert!(node.has("-A PREROUTING -j MINE") && node.has("10.9.9.9"));
    assert!(!node.has("10.8.8.8"), "a full sync left a chain as it was");
}

#[test]
fn jumps_come_back_with_a_full_sync_only() {
    const JUMP: &str =
        "-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES";
    let mut node = Node::new();
    node.full().unwrap();
    assert!(node.has(JUMP));
    node.iptables("-t nat -F OUTPUT");
    node.partial().unwrap();
    assert!(!node.has(JUMP));
    node.full().unwrap();
    assert!(node.has(JUMP));
}

#[test]
fn stale_chains_go_at_once_in_a_small_cluster() {
    let mut node = Node::new();
    node.service("web", &[1]);
    node.full().unwrap();
    let chain = node.chain_of("web");
    node.delete("web");
    node.remove_stale = false;
    node.partial().unwrap();
    assert!(
        node.has(&chain),
        "looked for stale chains though told not to"
    );
    node.remove_stale = true;
    node.partial().unwrap();
    assert!(!node.has(&chain) && !node.has("KUBE-SEP-"));
}

#[test]
fn a_stale_chain_in_use_makes_the_sync_fail() {
    let mut node = Node::new();
    node.service("web", &[1]);
    node.full().unwrap();
    let chain = node.chain_of("web");
    node.iptables(&format!("-t nat -A PREROUTING -j {chain}"));
    node.delete("web");
    let error = node.partial().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("CHAIN_DEL failed (Device or resource busy): chain {chain}")
    );
    assert!(
        node.has(&format!("--dport 80 -j {chain}")),
        "the nat table was changed"
    );
}

#[test]
fn a_missing_chain_makes_a_partial_sync_fail() {
    let mut node = Node::new();
    node.service("web", &[1]);
    node.full().unwrap();
    let chain = node.chain_of("web");
    node.iptables("-t nat -F");
    node.iptables("-t nat -X");
    node.service("empty", &[]);
    let error = node.partial().unwrap_err();
    assert_eq!(error.to_string(), format!("Chain '{chain}' does not exist"));
    assert!(
        node.has("ns/empty has no endpoints"),
        "the filter table comes first"
    );
    node.full().unwrap();
    assert!(node.has(&format!(":{chain}")));
}

#[test]
fn a_large_cluster_leaves_comments_out() {
    let mut node = Node::new();
    node.service("web", &[1]);
    node.full().unwrap();
    for n in 0..5 {
        node.service(&format!("big{n}"), &(1..=250).collect::<Vec<_>>());
    }
    node.partial().unwrap();
    assert!(node.seen.state().is_large());
    assert!(
        node.has("ns/web -> 10.42.1.1:80"),
        "an unchanged Service lost its comments"
    );
    assert!(!node.has("ns/big0 -> "));
    node.full().unwrap();
    assert!(!node.has("ns/web -> "));
    assert!(node.has("ns/web cluster IP"));
}

#[test]
fn a_changed_back_service_is_no_change() {
    let mut node = Node::new();
    node.service("web", &[1]);
    let before = node.seen.state().clone();
    node.service("web", &[1, 2]);
    assert!(
        node.seen
            .state()
            .changed_since(&before)
            .contains(&key("web"))
    );
    node.service("web", &[1]);
    assert!(node.seen.state().changed_since(&before).is_empty());
    node.delete("web");
    assert!(
        node.seen
            .state()
            .changed_since(&before)
            .contains(&key("web"))
    );
}

#[test]
fn the_canary_tells_of_a_flush() {
    let mut node = Node::new();
    assert!(!canary_is_gone(&node.tables));
    node.iptables("-t mangle -X");
    assert!(canary_is_gone(&node.tables));
}

#[test]
fn the_kubelets_rules_stay_where_they_are() {
    let mut node = Node::new();
    kubelet_iptables::ensure(&mut node.tables);
    node.iptables("-I INPUT -s 10.9.9.9 -j ACCEPT");
    node.full().unwrap();
    let jumps = node.save().matches("-j KUBE-FIREWALL\n").count();
    assert_eq!(jumps, 2, "the kubelet's jumps are there twice");
    let filter = node.tables.chain(TableKind::Filter, "INPUT").unwrap();
    let last = filter.rule_text(filter.rules.len() - 1);
    assert_eq!(last, "-A INPUT -j KUBE-FIREWALL");
    assert!(!kubelet_iptables::canary_is_gone(&node.tables));
}

#[test]
fn ipv6_says_that_it_is_not_simulated() {
    let mut node = Node::new();
    node.seen = ChangeTracker::new(Family::Ipv6);
    assert_eq!(
        node.full().unwrap_err().to_string(),
        "IPv6 rules: not simulated yet"
    );
}
