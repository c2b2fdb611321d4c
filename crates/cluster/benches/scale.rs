//! The table of `docs/SPEED.md`: how time and memory grow with the cluster.
//!
//! `cargo bench -p kubarium-cluster --bench scale` prints all rows; words after `--` choose one:
//! `deploy REPLICAS WORKERS`, `boot WORKERS`, `goto EVENTS`.

use std::alloc::System;
use std::time::{Duration, Instant};

use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::{Cluster, Component, Config, EventId, Simulation};
use kubarium_objects::{ObjectKey, Value};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now.
fn live() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

fn config(workers: usize) -> Config {
    Config {
        nodes: Config::machines(workers),
        ..Config::default()
    }
}

fn deployment(replicas: usize) -> Value {
    let text = format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"web","namespace":"default"}},"spec":{{"replicas":{replicas},
        "selector":{{"matchLabels":{{"app":"web"}}}},"template":{{"metadata":{{"labels":{{"app":"web"}}}},
        "spec":{{"containers":[{{"name":"nginx","image":"nginx:1.27","ports":[{{"containerPort":80}}]}}]}}}}}}}}"#
    );
    Value::from_json(&text).expect("the benchmark's own manifest")
}

fn running(cluster: &Cluster) -> i64 {
    let key = ObjectKey::new("deployments.apps", "default", "web");
    cluster
        .get(&key)
        .ok()
        .and_then(|d| d["status"]["readyReplicas"].as_i64())
        .unwrap_or(0)
}

fn deploy(replicas: usize, workers: usize) {
    let mut cluster = Cluster::new(config(workers));
    let (bytes, events, start) = (live(), cluster.log.len(), Instant::now());
    let made = cluster.create_with(
        &Component::Person,
        deployment(replicas),
        &WriteOptions::strict(),
    );
    assert!(made.is_ok(), "{made:?}");
    let mut steps = 0_u64;
    let done = cluster.run_while(Duration::from_secs(3600), |c| {
        steps += 1;
        running(c) == replicas as i64
    });
    let time = start.elapsed();
    assert!(done, "{} of {replicas} pods run", running(&cluster));
    let per_pod = |n: f64| n / replicas as f64;
    println!(
        "| {replicas} pods on {workers} nodes | {:.3} s | {:.0} µs a pod | {:.1} steps a pod | {:.1} events a pod | {:.2} kB a pod |",
        time.as_secs_f64(),
        per_pod(time.as_secs_f64() * 1e6),
        per_pod(steps as f64),
        per_pod((cluster.log.len() - events) as f64),
        per_pod((live() - bytes) as f64) / 1000.0,
    );
}

fn boot(workers: usize) {
    let (bytes, start) = (live(), Instant::now());
    let cluster = Cluster::new(config(workers));
    println!(
        "| boot of {} nodes | {:.1} ms | {} events | {:.1} kB a node |",
        cluster.machines.len(),
        start.elapsed().as_secs_f64() * 1e3,
        cluster.log.len(),
        (live() - bytes) as f64 / 1000.0 / cluster.machines.len() as f64,
    );
}

fn goto(events: usize) {
    let mut simulation = Simulation::new(config(20));
    let bytes = live();
    simulation.checkpoint();
    let made = simulation.cluster.create_with(
        &Component::Person,
        deployment(events / 8),
        &WriteOptions::strict(),
    );
    assert!(made.is_ok(), "{made:?}");
    while simulation.cluster.log.len() < events + 1000 && simulation.step() {}
    let (bytes, len) = (live() - bytes, simulation.cluster.log.len());
    let target = EventId((len - events) as u32);
    let start = Instant::now();
    let gone = simulation.goto(target);
    println!(
        "| {events} events back | {:.1} ms | {gone:?} | {:.1} MB |",
        start.elapsed().as_secs_f64() * 1e3,
        bytes as f64 / 1e6,
    );
}

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| !w.starts_with('-'))
        .collect();
    let number = |at: usize| words.get(at).and_then(|w| w.parse().ok()).unwrap_or(3);
    match words.first().map(String::as_str) {
        Some("deploy") => deploy(number(1), number(2)),
        Some("boot") => boot(number(1)),
        Some("goto") => goto(number(1)),
        _ => {
            for workers in [2, 20, 100, 500] {
                boot(workers);
            }
            for (replicas, workers) in [
                (10, 3),
                (400, 20),
                (1_000, 100),
                (3_000, 100),
                (10_000, 500),
                (50_000, 1_000),
            ] {
                deploy(replicas, workers);
            }
            goto(10_000);
        }
    }
}
