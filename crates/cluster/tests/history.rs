//! Going back and trying otherwise, with things broken at any moment: what was is what it was.

use std::time::Duration;

use kubarium_cluster::api::{DeleteOptions, WriteOptions};
use kubarium_cluster::faults::Fault;
use kubarium_cluster::rng::Rng;
use kubarium_cluster::{Cluster, Component, Config, EventId, Simulation};
use kubarium_objects::ObjectKey;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: nginx}]}
";

fn log(cluster: &Cluster) -> Vec<String> {
    cluster.log.iter().map(ToString::to_string).collect()
}

/// Everything that can be told apart: what happened, what is stored, what is broken.
fn state(cluster: &Cluster) -> (Vec<String>, u64, Vec<u32>) {
    let broken = cluster.faults().active().keys().copied().collect();
    (log(cluster), cluster.etcd.revision(), broken)
}

/// A person does something.
fn act(simulation: &mut Simulation, dice: &mut Rng) {
    simulation.checkpoint();
    let choice = dice.below(6);
    let node = ["worker-1", "worker-2"][dice.below(2) as usize];
    let fault = match choice {
        0 => format!("node {node}"),
        1 => format!("stop kubelet {node}"),
        2 => "stop kube-controller-manager".to_owned(),
        _ => String::new(),
    };
    simulation.change(|cluster| match choice {
        0..=2 => {
            let words: Vec<&str> = fault.split(' ').collect();
            // What is broken already stays so.
            let _ = cluster.break_it(Fault::parse(&words, "default").expect("a fault"));
        }
        3 => drop(cluster.mend_all()),
        _ => {
            let pod = cluster.etcd.list("pods", Some("default")).next();
            if let Some(key) = pod.map(|(key, _)| key.clone()) {
                let options = DeleteOptions::default();
                // It may be going already.
                let _ = cluster.delete(&Component::Person, &key, &options);
            }
        }
    });
    simulation.touched();
}

fn run(simulation: &mut Simulation, seconds: u64) {
    let until = simulation.cluster.now + Duration::from_secs(seconds);
    while !simulation.run_until(until, 1000) {}
}

fn begin() -> Simulation {
    let mut simulation = Simulation::new(Config::default());
    simulation.checkpoint();
    simulation.change(|cluster| {
        let object = kubarium_objects::yaml::parse(WEB)
            .expect("yaml")
            .remove(0)
            .value;
        cluster
            .create_with(&Component::Person, object, &WriteOptions::strict())
            .expect("accepted")
    });
    simulation.touched();
    run(&mut simulation, 8);
    simulation
}

#[test]
fn the_past_is_as_it_was_and_branches_stay_apart() {
    for seed in 0..6 {
        let mut dice = Rng::new(seed);
        let mut simulation = begin();
        let first = simulation.cluster.log.len() as u64;
        for _ in 0..5 {
            act(&mut simulation, &mut dice);
            run(&mut simulation, 1 + dice.below(40));
        }
        let end = state(&simulation.cluster);
        for round in 0..4 {
            let at = first + dice.below(end.0.len() as u64 - first);
            simulation.goto(EventId(at as u32)).expect("it happened");
            let there = log(&simulation.cluster);
            assert!(there.len() as u64 > at, "seed {seed}: after the event");
            assert!(end.0.starts_with(&there), "seed {seed}: the same past");
            if round % 2 == 0 {
                assert!(simulation.redo(), "seed {seed}: forth again");
                assert!(
                    state(&simulation.cluster) == end,
                    "seed {seed}: the same present"
                );
                continue;
            }
            // Otherwise, from there on.
            act(&mut simulation, &mut dice);
            run(&mut simulation, 20);
            let other = state(&simulation.cluster);
            simulation.switch(1).expect("the first branch");
            assert!(
                state(&simulation.cluster) == end,
                "seed {seed}: the branch that was left"
            );
            let last = simulation.branches().len();
            simulation.switch(last).expect("the new branch");
            assert!(
                state(&simulation.cluster) == other,
                "seed {seed}: the new branch"
            );
            simulation.switch(1).expect("the first branch");
        }
    }
}

#[test]
fn time_goes_on_from_the_past_as_it_went() {
    let mut simulation = begin();
    let first = simulation.cluster.log.len();
    let words = ["node", "worker-1"];
    simulation.checkpoint();
    simulation.change(|c| {
        c.break_it(Fault::parse(&words, "default").expect("a fault"))
            .expect("breaks")
    });
    simulation.touched();
    run(&mut simulation, 400);
    let end = state(&simulation.cluster);
    let key = ObjectKey::new("nodes", "", "worker-1");
    let lost = simulation.cluster.log.iter().skip(first).find(|e| {
        e.object.as_ref() == Some(&key)
            && e.from == Component::Controller("node-lifecycle-controller")
    });
    let lost = lost.expect("it is noticed").id;
    let now = simulation.cluster.now;
    simulation.goto(lost).expect("it happened");
    assert_eq!(state(&simulation.cluster).2, end.2, "still broken");
    while !simulation.run_until(now, 777) {}
    assert!(state(&simulation.cluster) == end);
}
