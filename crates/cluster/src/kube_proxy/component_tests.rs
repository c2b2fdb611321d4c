//! kube-proxy on the nodes of a cluster: when rules are made, and what becomes of changes by hand.

use std::time::Duration;

use kubarium_linux::netfilter::{iptables, restore};
use kubarium_objects::Value;

use super::{bring_up_to_date, rules_changed};
use crate::cluster::Cluster;
use crate::config::{Config, NodeConfig, Role};
use crate::event::Component;

const NODE: &str = "worker-1";

/// A cluster of one node, at rest.
fn cluster() -> Cluster {
    let config = Config {
        nodes: vec![NodeConfig::new(NODE, Role::Worker)],
        dns: false,
        ..Config::default()
    };
    Cluster::new(config)
}

fn service(cluster: &mut Cluster, name: &str) {
    let text = format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{name}","namespace":"default"}},"spec":{{"ports":[{{"port":80}}]}}}}"#
    );
    let object = Value::from_json(&text).unwrap();
    cluster.create(&Component::Person, object).unwrap();
}

fn advance(cluster: &mut Cluster, seconds: u64) {
    cluster.run_until(cluster.now + Duration::from_secs(seconds));
}

/// What `iptables-save` prints on the node now.
fn rules(cluster: &mut Cluster) -> String {
    bring_up_to_date(cluster, NODE);
    let netns = cluster.machines[NODE].netns;
    restore::save(
        &cluster.net.namespace(netns).unwrap().netfilter,
        None,
        false,
        "",
    )
}

/// Runs `iptables` on the node by hand.
fn by_hand(cluster: &mut Cluster, line: &str) {
    bring_up_to_date(cluster, NODE);
    let netns = cluster.machines[NODE].netns;
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let tables = &mut cluster.net.namespace_mut(netns).unwrap().netfilter;
    assert_eq!(iptables::run(tables, &args).status, 0, "{line}");
    rules_changed(cluster, NODE);
}

const JUMP: &str =
    "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES";

#[test]
fn a_new_service_is_in_the_rules_after_the_next_sync() {
    let mut cluster = cluster();
    advance(&mut cluster, 5);
    service(&mut cluster, "web");
    assert!(
        !rules(&mut cluster).contains("default/web"),
        "before any sync"
    );
    advance(&mut cluster, 1);
    assert!(rules(&mut cluster).contains("default/web has no endpoints"));
}

#[test]
fn syncs_keep_their_distance() {
    let mut cluster = cluster();
    advance(&mut cluster, 5);
    service(&mut cluster, "a");
    cluster.run_until(cluster.now + Duration::from_millis(100));
    service(&mut cluster, "b");
    cluster.run_until(cluster.now + Duration::from_millis(800));
    let early = rules(&mut cluster);
    assert!(early.contains("default/a") && !early.contains("default/b"));
    cluster.run_until(cluster.now + Duration::from_millis(200));
    assert!(rules(&mut cluster).contains("default/b"));
}

#[test]
fn rules_come_out_alike_whenever_they_are_looked_at() {
    let (mut often, mut once) = (cluster(), cluster());
    for name in ["a", "b", "c"] {
        for cluster in [&mut often, &mut once] {
            service(cluster, name);
            advance(cluster, 2);
        }
        rules(&mut often);
    }
    assert_eq!(rules(&mut often), rules(&mut once));
}

#[test]
fn a_flushed_table_stays_so_until_the_canary_is_missed() {
    let mut cluster = cluster();
    service(&mut cluster, "web");
    advance(&mut cluster, 2);
    by_hand(&mut cluster, "-t nat -F");
    advance(&mut cluster, 40);
    assert!(!rules(&mut cluster).contains(JUMP), "nobody could know");
    by_hand(&mut cluster, "-t mangle -X KUBE-PROXY-CANARY");
    advance(&mut cluster, 31);
    assert!(rules(&mut cluster).contains(JUMP));
}

#[test]
fn a_stopped_kube_proxy_changes_nothing() {
    let mut cluster = cluster();
    let component = Component::KubeProxy(NODE.into());
    service(&mut cluster, "before");
    advance(&mut cluster, 2);
    cluster.stop(component.clone());
    service(&mut cluster, "during");
    advance(&mut cluster, 60);
    let stopped = rules(&mut cluster);
    assert!(stopped.contains("default/before") && !stopped.contains("default/during"));
    by_hand(&mut cluster, "-t nat -F PREROUTING");
    cluster.start(&component);
    let started = rules(&mut cluster);
    assert!(started.contains("default/during") && started.contains(JUMP));
}

#[test]
fn a_sync_that_fails_is_tried_again_in_full() {
    let mut cluster = cluster();
    service(&mut cluster, "web");
    let slice = r#"{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",
        "metadata":{"name":"web-x","namespace":"default","labels":{"kubernetes.io/service-name":"web"}},
        "ports":[{"name":"","port":80}],"endpoints":[{"addresses":["10.42.1.9"]}]}"#;
    let slice = Value::from_json(slice).unwrap();
    cluster.create(&Component::Person, slice).unwrap();
    advance(&mut cluster, 3);
    assert!(rules(&mut cluster).contains("10.42.1.9:80"));
    by_hand(&mut cluster, "-t nat -F");
    by_hand(&mut cluster, "-t nat -X");
    service(&mut cluster, "other");
    advance(&mut cluster, 2);
    assert!(
        !rules(&mut cluster).contains("10.42.1.9:80"),
        "a partial sync cannot"
    );
    advance(&mut cluster, 30);
    assert!(rules(&mut cluster).contains("10.42.1.9:80"));
}
