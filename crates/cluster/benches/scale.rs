//! The table of `docs/SPEED.md`: how time and memory grow with the cluster.
//!
//! `cargo bench -p kubarium-cluster --bench scale` prints all rows; words after `--` choose one:
//! `deploy REPLICAS WORKERS`, `memory REPLICAS WORKERS`, `tasks REPLICAS WORKERS`, `boot WORKERS`, `goto EVENTS`, `apply COUNT`, `trace SERVICES`,
//! `sync SERVICES`, `plan WORKERS SERVICES`. Times are those of the processor that the one thread has had, so that whatever
//! else the machine does counts little. Memory is what was asked of the allocator and not given back.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use cap::Cap;
use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::kube_proxy::{
    self, ChangeTracker, Family, NodeInfo, ServiceChainsCache, State, Sync,
};
use kubarium_cluster::trace::{TraceRequest, Verdict};
use kubarium_cluster::{Cluster, Component, Config, EventId, Simulation};
use kubarium_linux::netfilter::Netfilter;
use kubarium_objects::{ObjectKey, Value};
use mimalloc::MiMalloc;

mod table;

use table::{Stopwatch, row};

/// That of the command `kubarium`, counted.
#[global_allocator]
static ALLOCATOR: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

/// Bytes that are allocated now.
fn live() -> isize {
    ALLOCATOR.allocated() as isize
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
    let (bytes, events, watch) = (live(), cluster.log.len(), Stopwatch::start());
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
    let seconds = watch.seconds();
    assert!(done, "{} of {replicas} pods run", running(&cluster));
    let per_pod = |n: f64| n / replicas as f64;
    row(
        &format!("a Deployment of {replicas} pods on {workers} nodes, all Running"),
        seconds,
        &format!("{:.0} µs a pod", per_pod(seconds * 1e6)),
        &format!(
            "{:.1} kB, {:.1} tasks, {:.1} events a pod",
            per_pod((live() - bytes) as f64) / 1000.0,
            per_pod(steps as f64),
            per_pod((cluster.log.len() - events) as f64),
        ),
        match replicas {
            10_000 => "≤ 2 s, ≤ 10 kB a pod",
            50_000 => "≤ 2 × the time a pod of 1,000",
            _ => "",
        },
    );
}

/// Takes a part of a cluster away.
type Empty = fn(&mut Cluster);

/// What each part of a cluster with that many pods has in memory, as what becomes free without it. What
/// parts share counts for the last of them.
fn memory(replicas: usize, workers: usize) {
    let mut cluster = Cluster::new(config(workers));
    let options = WriteOptions::strict();
    let made = cluster.create_with(&Component::Person, deployment(replicas), &options);
    assert!(made.is_ok(), "{made:?}");
    let done = cluster.run_while(Duration::from_secs(3600), |c| running(c) == replicas as i64);
    assert!(done, "{} of {replicas} pods run", running(&cluster));
    let parts: [(&str, Empty); 7] = [
        ("the event log", |c| c.log = Default::default()),
        ("the network", |c| c.net = Default::default()),
        ("the machines", |c| c.machines = Default::default()),
        ("the indexes", |c| c.index = Default::default()),
        ("the scheduler", |c| c.scheduler = Default::default()),
        ("the queue", |c| c.queue = Default::default()),
        ("etcd", |c| c.etcd = Default::default()),
    ];
    for (name, empty) in parts {
        let before = live();
        empty(&mut cluster);
        let freed = (before - live()) as f64 / replicas as f64;
        row(
            &format!("{name}, {replicas} pods on {workers} nodes"),
            0.0,
            "",
            &format!("{freed:.0} bytes a pod"),
            "",
        );
    }
}

/// The longest tasks while a Deployment's pods start, with a history that keeps snapshots: nobody is listened to meanwhile.
fn tasks(replicas: usize, workers: usize) {
    let mut simulation = Simulation::new(config(workers));
    let options = WriteOptions::strict();
    let made = simulation
        .change(|cluster| cluster.create_with(&Component::Person, deployment(replicas), &options));
    assert!(made.is_ok(), "{made:?}");
    let mut longest: Vec<(f64, String)> = Vec::new();
    while running(&simulation.cluster) < replicas as i64 {
        let next = simulation.cluster.queue.iter().next();
        let what = next
            .map(|(_, task)| format!("{task:?}"))
            .unwrap_or_default();
        let watch = Stopwatch::start();
        assert!(simulation.step(), "something is left to do");
        longest.push((watch.seconds(), what));
        if longest.len() > 1_000 {
            longest.sort_by(|a, b| b.0.total_cmp(&a.0));
            longest.truncate(5);
        }
    }
    longest.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (seconds, what) in longest.iter().take(5) {
        row(
            &format!("one of the longest tasks while {replicas} pods start on {workers} nodes"),
            *seconds,
            "",
            what.get(..80).unwrap_or(what),
            "≤ 10 ms",
        );
    }
}

fn boot(workers: usize) {
    let (bytes, watch) = (live(), Stopwatch::start());
    let cluster = Cluster::new(config(workers));
    let (seconds, nodes) = (watch.seconds(), cluster.machines.len() as f64);
    row(
        &format!("start of a cluster of {nodes} nodes"),
        seconds,
        &format!("{:.0} µs a node", seconds * 1e6 / nodes),
        &format!("{:.0} kB a node", (live() - bytes) as f64 / 1000.0 / nodes),
        "",
    );
}

fn goto(events: usize) {
    let mut simulation = Simulation::new(config(20));
    let bytes = live();
    simulation.checkpoint();
    let made = simulation.change(|cluster| {
        let options = WriteOptions::strict();
        cluster.create_with(&Component::Person, deployment(events / 8), &options)
    });
    assert!(made.is_ok(), "{made:?}");
    simulation.touched();
    while simulation.cluster.log.len() < events + 1000 && simulation.step() {}
    let (bytes, len) = (live() - bytes, simulation.cluster.log.len());
    let mut longest: f64 = 0.0;
    for back in 0..10 {
        let target = EventId((len - events + back * 50) as u32);
        let watch = Stopwatch::start();
        simulation.goto(target).expect("an event that has happened");
        longest = longest.max(watch.seconds());
        assert!(simulation.redo());
    }
    row(
        &format!("going back {events} events (the longest of ten)"),
        longest,
        "",
        &format!("{:.1} MB with all snapshots", bytes as f64 / 1e6),
        "< 100 ms",
    );
}

fn apply(count: usize) {
    let mut cluster = Cluster::new(config(2));
    let text = |n: usize| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{n}\n  namespace: default\nspec:\n  replicas: 0\n  selector:\n    matchLabels:\n      app: web-{n}\n  template:\n    metadata:\n      labels:\n        app: web-{n}\n    spec:\n      containers:\n      - name: nginx\n        image: nginx:1.27\n        ports:\n        - containerPort: 80\n"
        )
    };
    let watch = Stopwatch::start();
    for n in 0..count {
        let documents = kubarium_objects::yaml::parse(&text(n)).expect("the benchmark's own YAML");
        for document in documents {
            let options = WriteOptions::strict();
            let made = cluster.create_with(&Component::Person, document.value, &options);
            assert!(made.is_ok(), "{made:?}");
        }
    }
    let seconds = watch.seconds();
    let each = format!("{:.0} µs each", seconds * 1e6 / count as f64);
    row(
        &format!("{count} Deployments read as YAML, decoded, validated, stored"),
        seconds,
        &each,
        "",
        "≤ 1 s",
    );
    let mut pod = Value::from_json(
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"default"}}"#,
    )
    .expect("the benchmark's own manifest");
    pod["spec"] = deployment(1)["spec"]["template"]["spec"].clone();
    let options = WriteOptions {
        dry_run: true,
        ..WriteOptions::strict()
    };
    let watch = Stopwatch::start();
    for _ in 0..count {
        let made = cluster.create_with(&Component::Person, pod.clone(), &options);
        assert!(made.is_ok(), "{made:?}");
    }
    let seconds = watch.seconds() / count as f64;
    row(
        "a pod decoded, admitted and validated",
        seconds,
        "",
        "",
        "≤ 100 µs",
    );
}

/// Services with ten endpoints each, as objects.
fn services(count: usize) -> Vec<Value> {
    let mut objects = Vec::new();
    for n in 0..count {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 43, 1, 0)) + n as u32);
        objects.push(format!(
            r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"namespace":"default","name":"web-{n}"}},
                "spec":{{"clusterIP":"{address}","ports":[{{"name":"http","port":80,"protocol":"TCP","targetPort":8080}}]}}}}"#
        ));
        let endpoints: Vec<String> = (0..10)
            .map(|i| {
                let (a, b) = (100 + n / 250, n % 250);
                format!(r#"{{"addresses":["10.{a}.{b}.{i}"],"nodeName":"worker-1","conditions":{{"ready":true}}}}"#)
            })
            .collect();
        objects.push(format!(
            r#"{{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",
                "ports":[{{"name":"http","port":8080,"protocol":"TCP"}}],
                "metadata":{{"namespace":"default","name":"web-{n}-x","labels":{{"kubernetes.io/service-name":"web-{n}"}}}},
                "endpoints":[{}]}}"#,
            endpoints.join(",")
        ));
    }
    let read = |text: &String| Value::from_json(text).expect("the benchmark's own object");
    objects.iter().map(read).collect()
}

fn trace(count: usize) {
    let mut cluster = Cluster::new(config(2));
    for object in services(count) {
        let made = cluster.create_with(&Component::Person, object, &WriteOptions::default());
        assert!(made.is_ok(), "{made:?}");
    }
    cluster.settle(Duration::from_secs(2), Duration::from_secs(60));
    let request = TraceRequest {
        from: "node/worker-1".to_owned(),
        to: "http://10.43.0.1:443".to_owned(),
        udp: false,
    };
    // The first makes the node's rules.
    let hops = cluster
        .explain(&request)
        .map_or(0, |explained| explained.hops());
    let rounds = 2_000;
    // Again and again from the same start, so that the connections that are left behind do not grow without end.
    let starts = 10;
    let mut seconds = 0.0;
    for _ in 0..starts {
        let mut cluster = cluster.clone();
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            let explained = cluster.explain(&request);
            assert!(explained.is_ok(), "{explained:?}");
        }
        seconds += watch.seconds();
    }
    let each = seconds / f64::from(starts * rounds);
    row(
        &format!("an explained connection among {count} Services, hop by hop"),
        each,
        &format!("{hops} hops"),
        &format!("{:.0} packets a second", 2.0 / each),
        match count {
            1_000 => "≤ 10 µs",
            10_000 => "≤ 100 µs",
            _ => "",
        },
    );
    let watch = Stopwatch::start();
    for _ in 0..rounds {
        let trace = cluster.trace(&request);
        assert!(trace.is_ok_and(|trace| trace.verdict == Verdict::Delivered));
    }
    let each = watch.seconds() / f64::from(rounds);
    row(
        "the same, put into words",
        each,
        &format!("{hops} hops"),
        "",
        "",
    );
}

/// What a kube-proxy without options knows of a node of which nothing is known.
fn plain_node() -> (kube_proxy::Config, NodeInfo) {
    (
        kube_proxy::Config::default(),
        NodeInfo::from_object(&Value::Null),
    )
}

fn sync(count: usize) {
    let state = State::from_objects(Family::Ipv4, services(count).iter());
    let (config, node) = plain_node();
    let mut cache = ServiceChainsCache::default();
    for what in ["first", "another"] {
        let mut tables = Netfilter::default();
        let mut sync = Sync {
            config: &config,
            node: &node,
            state: &state,
            cache: &mut cache,
            remove_stale: true,
        };
        let watch = Stopwatch::start();
        assert!(sync.full(&mut tables).is_ok());
        row(
            &format!(
                "kube-proxy's full sync of {count} Services with 10 endpoints each, on {what} node"
            ),
            watch.seconds(),
            "",
            "",
            if count == 10_000 { "≤ 1 s" } else { "" },
        );
    }
    partial_sync(count);
}

/// One Service gets an endpoint: kube-proxy's sync of what has changed.
fn partial_sync(count: usize) {
    let (config, node) = plain_node();
    let mut tracker = ChangeTracker::new(Family::Ipv4);
    let objects = services(count);
    for pair in objects.chunks(2) {
        tracker.apply_service(&pair[0]);
        tracker.apply_slice(&pair[1]);
    }
    let (mut cache, mut tables) = (ServiceChainsCache::default(), Netfilter::default());
    let mut stale = BTreeSet::new();
    let mut state = tracker.state().clone();
    for n in 0..=10 {
        let before = std::mem::replace(&mut state, tracker.state().clone());
        let mut sync = Sync {
            config: &config,
            node: &node,
            state: &state,
            cache: &mut cache,
            remove_stale: true,
        };
        let watch = Stopwatch::start();
        let done = match n {
            0 => sync.full(&mut tables),
            _ => {
                let changed = state.changed_since(&before);
                sync.partial_since(&mut tables, &changed, &before, &mut stale)
            }
        };
        assert!(done.is_ok());
        if n == 10 {
            row(
                &format!("kube-proxy's sync of one changed Service of {count}"),
                watch.seconds(),
                "",
                "",
                "",
            );
        }
        let mut slice = objects[count / 2 * 2 + 1].clone();
        slice["endpoints"][0]["addresses"][0] = Value::from(format!("10.99.0.{n}"));
        tracker.apply_slice(&slice);
    }
}

/// A cluster as large as it is planned for: a Deployment of thirty pods a node, Services of fifteen endpoints each, and
/// a connection in it.
fn plan(workers: usize, count: usize) {
    let mut cluster = Cluster::new(config(workers));
    let (bytes, watch) = (live(), Stopwatch::start());
    for n in 0..count {
        let labels = format!("app{n}");
        for text in [
            format!(
                r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{labels}","namespace":"default"}},
                "spec":{{"selector":{{"app":"{labels}"}},"ports":[{{"port":80,"targetPort":80}}]}}}}"#
            ),
            format!(
                r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{labels}","namespace":"default"}},
                "spec":{{"replicas":{},"selector":{{"matchLabels":{{"app":"{labels}"}}}},
                "template":{{"metadata":{{"labels":{{"app":"{labels}"}}}},
                "spec":{{"containers":[{{"name":"nginx","image":"nginx:1.27"}}]}}}}}}}}"#,
                workers * 30 / count
            ),
        ] {
            let object = Value::from_json(&text).expect("the benchmark's own manifest");
            let made = cluster.create_with(&Component::Person, object, &WriteOptions::default());
            assert!(made.is_ok(), "{made:?}");
        }
    }
    cluster.settle(Duration::from_secs(15), Duration::from_secs(3600));
    let ready = cluster.etcd.list("pods", Some("default"));
    let ready = ready.filter(|(_, pod)| pod["status"]["phase"].str() == "Running");
    let (ready, seconds) = (ready.count(), watch.seconds());
    row(
        &format!("{count} Deployments and Services on {workers} nodes: {ready} pods Running"),
        seconds,
        &format!("{:.0} µs a pod", seconds * 1e6 / ready.max(1) as f64),
        &format!(
            "{:.1} kB a pod",
            (live() - bytes) as f64 / 1000.0 / ready.max(1) as f64
        ),
        "",
    );
    let address = cluster.find("services", "default", "app0");
    let address = address.map(|service| service["spec"]["clusterIP"].str().to_owned());
    let request = TraceRequest {
        from: "node/worker-1".to_owned(),
        to: format!("http://{}", address.unwrap_or_default()),
        udp: false,
    };
    for what in ["first", "next"] {
        let watch = Stopwatch::start();
        let explained = cluster.explain(&request);
        let delivered = explained.is_ok_and(|explained| explained.verdict() == Verdict::Delivered);
        let what = format!("the {what} explained connection there (delivered: {delivered})");
        row(&what, watch.seconds(), "", "", "");
    }
    let watch = Stopwatch::start();
    let copy = cluster.clone();
    row("a snapshot of it", watch.seconds(), "", "", "");
    drop(copy);
}

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| !w.starts_with('-'))
        .collect();
    let number = |at: usize| words.get(at).and_then(|w| w.parse().ok()).unwrap_or(3);
    match words.first().map(String::as_str) {
        Some("deploy") => deploy(number(1), number(2)),
        Some("memory") => memory(number(1), number(2)),
        Some("tasks") => tasks(number(1), number(2)),
        Some("boot") => boot(number(1)),
        Some("goto") => goto(number(1)),
        Some("apply") => apply(number(1)),
        Some("trace") => trace(number(1)),
        Some("sync") => sync(number(1)),
        Some("plan") => plan(number(1), number(2)),
        // A filter for other benchmarks.
        Some(_) => {}
        None => all(),
    }
}

fn all() {
    for workers in [2, 20, 100, 500, 1_000, 5_000] {
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
    apply(1_000);
    for count in [10, 1_000, 10_000] {
        trace(count);
    }
    for count in [1_000, 10_000] {
        sync(count);
    }
    plan(5_000, 10_000);
}
