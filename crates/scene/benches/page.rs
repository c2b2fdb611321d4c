//! What the page waits for: rows of `docs/SPEED.md`.

use std::time::{Duration, Instant};

use kubarium_cluster::Config;
use kubarium_scene::Engine;
use kubarium_snapshot::{Reply, Request};

#[path = "../../cluster/benches/table/mod.rs"]
mod table;

use table::{Stopwatch, row, time};

/// The stretch of time after which the simulator listens again.
const SLICE: Duration = Duration::from_millis(8);

fn engine(workers: usize) -> Engine {
    Engine::new(Config {
        nodes: Config::machines(workers),
        ..Config::default()
    })
}

fn run(engine: &mut Engine, line: &str) {
    let reply = engine.answer(Request::Command(line.to_owned()));
    assert!(matches!(reply, Reply::Output(_)), "{line}: {reply:?}");
}

/// Lets simulated time run in slices; gives how long the longest lasted.
fn advance(engine: &mut Engine, simulated: Duration) -> Duration {
    let mut longest = Duration::ZERO;
    // A slice that is over in time has come to its end; all others go on.
    loop {
        let began = Instant::now();
        let there = engine.advance(simulated, || began.elapsed() < SLICE);
        longest = longest.max(began.elapsed());
        if there {
            return longest;
        }
    }
}

/// What an update costs while a Deployment's pods are replaced.
fn update(pods: usize, workers: usize) {
    let mut engine = engine(workers);
    run(
        &mut engine,
        &format!("kubectl create deployment web --image=nginx:1.27 --replicas={pods}"),
    );
    for _ in 0..120 {
        advance(&mut engine, Duration::from_secs(1));
    }
    let _ = engine.update();
    run(&mut engine, "kubectl rollout restart deployment web");
    let (mut updates, mut changes, mut seconds, mut most) = (0, 0, 0.0, 0.0_f64);
    for _ in 0..300 {
        advance(&mut engine, Duration::from_millis(100));
        let watch = Stopwatch::start();
        let Some(update) = engine.update() else {
            continue;
        };
        let took = watch.seconds();
        let Some(map) = update.map else {
            continue;
        };
        updates += 1;
        changes += map.pods.len() + map.pods_gone.len();
        seconds += took;
        most = most.max(took);
    }
    let each = f64::from(updates.max(1));
    row(
        &format!("an update of the page while {pods} pods are replaced"),
        seconds / each,
        &format!("{:.0} pods differ", changes as f64 / each),
        &format!("{} at the most", time(most)),
        if pods == 1_000 { "≤ 8 ms" } else { "" },
    );
}

/// The longest stretch without listening.
fn slices(workers: usize, pods: usize) {
    let mut engine = engine(workers);
    run(
        &mut engine,
        &format!("kubectl create deployment web --image=nginx:1.27 --replicas={pods}"),
    );
    let mut longest = Duration::ZERO;
    for _ in 0..60 {
        longest = longest.max(advance(&mut engine, Duration::from_secs(1)));
    }
    row(
        &format!("the longest slice of 8 ms while {pods} pods start on {workers} nodes"),
        longest.as_secs_f64(),
        "",
        "",
        "≤ 20 ms",
    );
    for line in [
        "kubectl get nodes",
        "kubectl get pods -A",
        "ssh worker-1 iptables-save",
    ] {
        let watch = Stopwatch::start();
        run(&mut engine, line);
        row(&format!("`{line}` there"), watch.seconds(), "", "", "");
    }
    let watch = Stopwatch::start();
    let _ = engine.update();
    row("the first picture of it", watch.seconds(), "", "", "");
}

fn main() {
    let filtered = std::env::args().skip(1).any(|word| !word.starts_with('-'));
    if filtered {
        // A filter for other benchmarks.
        return;
    }
    update(1_000, 20);
    update(3_000, 60);
    slices(5_000, 5_000);
}
