//! How long a Deployment takes from its creation until all of its pods run, and how much memory a
//! pod needs. `cargo bench -p kubarium-cluster --bench pods`; time per run divided by the replicas
//! must stay about the same from row to row.

use std::time::Duration;

use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::{Cluster, Component, Config};
use kubarium_objects::{ObjectKey, Value};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn cluster(workers: usize) -> Cluster {
    Cluster::new(Config {
        nodes: Config::machines(workers),
        ..Config::default()
    })
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

fn deploy(mut cluster: Cluster, replicas: usize) -> Cluster {
    let made = cluster.create_with(
        &Component::Person,
        deployment(replicas),
        &WriteOptions::strict(),
    );
    assert!(made.is_ok(), "{made:?}");
    let done = cluster.run_while(Duration::from_secs(3600), |c| running(c) == replicas as i64);
    assert!(done, "{} of {replicas} pods run", running(&cluster));
    cluster
}

/// (replicas, worker nodes)
#[divan::bench(args = [(10, 3), (400, 20), (3_000, 100), (10_000, 500)], sample_count = 3, sample_size = 1)]
fn to_running(bencher: Bencher, (replicas, workers): (usize, usize)) {
    bencher
        .counter(ItemsCount::new(replicas))
        .with_inputs(|| cluster(workers))
        .bench_values(|cluster| deploy(cluster, replicas));
}

#[divan::bench(args = [2, 20, 100, 500], sample_count = 3, sample_size = 1)]
fn boot(bencher: Bencher, workers: usize) {
    bencher.bench(|| cluster(workers));
}
