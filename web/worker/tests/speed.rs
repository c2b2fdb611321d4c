//! How fast it is in WebAssembly: rows of `docs/SPEED.md`. `cargo xtask speed` runs it, in node and optimised.

#![cfg(target_arch = "wasm32")]

use std::time::Duration;

use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::trace::{TraceRequest, Verdict};
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::{ObjectKey, Value};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

fn cluster(workers: usize) -> Cluster {
    Cluster::new(Config {
        nodes: Config::machines(workers),
        ..Config::default()
    })
}

fn row(what: &str, ms: f64, each: &str, more: &str, asked: &str) {
    console_log!("| in WebAssembly: {what} | {ms:.0} ms | {each} | {more} | {asked} |");
}

fn create(cluster: &mut Cluster, text: &str) {
    let object = Value::from_json(text).unwrap();
    cluster
        .create_with(&Component::Person, object, &WriteOptions::default())
        .unwrap();
}

fn deploy(replicas: usize, workers: usize, asked: &str) {
    let mut cluster = cluster(workers);
    let began = js_sys::Date::now();
    create(
        &mut cluster,
        &format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"web","namespace":"default"}},"spec":{{"replicas":{replicas},
            "selector":{{"matchLabels":{{"app":"web"}}}},"template":{{"metadata":{{"labels":{{"app":"web"}}}},
            "spec":{{"containers":[{{"name":"nginx","image":"nginx:1.27","ports":[{{"containerPort":80}}]}}]}}}}}}}}"#
        ),
    );
    let key = ObjectKey::new("deployments.apps", "default", "web");
    let all = Some(replicas as i64);
    assert!(cluster.run_while(Duration::from_secs(3600), |cluster| {
        cluster
            .get(&key)
            .is_ok_and(|d| d["status"]["readyReplicas"].as_i64() == all)
    }));
    let ms = js_sys::Date::now() - began;
    let each = format!("{:.0} µs a pod", ms * 1e3 / replicas as f64);
    let what = format!("a Deployment of {replicas} pods on {workers} nodes, all Running");
    row(&what, ms, &each, "", asked);
}

#[wasm_bindgen_test]
#[ignore = "a measurement, for optimised code"]
fn pods() {
    deploy(1_000, 100, "≤ 3 × native");
    deploy(10_000, 500, "≤ 3 × native");
}

#[wasm_bindgen_test]
#[ignore = "a measurement, for optimised code"]
fn explained_packets() {
    let mut cluster = cluster(2);
    for n in 0..1_000 {
        create(
            &mut cluster,
            &format!(
                r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"namespace":"default","name":"web-{n}"}},
                "spec":{{"selector":{{"app":"web-{n}"}},"ports":[{{"port":80}}]}}}}"#
            ),
        );
    }
    cluster.settle(Duration::from_secs(2), Duration::from_secs(60));
    let request = TraceRequest {
        from: "node/worker-1".to_owned(),
        to: "http://10.43.0.1:443".to_owned(),
        udp: false,
    };
    // The first makes the node's rules.
    cluster.explain(&request).unwrap();
    let rounds = 20_000;
    let began = js_sys::Date::now();
    for _ in 0..rounds {
        let explained = cluster.explain(&request).unwrap();
        assert_eq!(explained.verdict(), Verdict::Delivered);
    }
    let ms = js_sys::Date::now() - began;
    // Of each connection the SYN and its answer are explained.
    let packets = 2.0 * f64::from(rounds) / ms * 1e3;
    row(
        &format!("{rounds} explained connections among 1000 Services"),
        ms,
        &format!("{:.1} µs each", ms * 1e3 / f64::from(rounds)),
        &format!("{packets:.0} explained packets a second"),
        "≥ 50,000 packets a second",
    );
}
