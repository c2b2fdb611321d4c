//! The clock, the log, the store and the way back in time.

use std::time::Duration;

use kubarium_cluster::api::WriteOptions;
use kubarium_cluster::{Action, Cluster, Component, Config, EventId, Run, Simulation};
use kubarium_objects::{ObjectKey, Value};

fn map(name: &str) -> Value {
    Value::from_json(&format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"default"}},"data":{{"a":"1"}}}}"#)).unwrap()
}

fn log(cluster: &Cluster) -> String {
    cluster.log.iter().map(|e| format!("{e}\n")).collect()
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let run = |seed| {
        log(&Cluster::new(Config {
            seed,
            ..Config::default()
        }))
    };
    assert_eq!(run(1), run(1));
}

#[test]
fn a_write_raises_the_revision_and_is_logged_with_its_cause() {
    let mut cluster = Cluster::new(Config::empty());
    let before = cluster.etcd.revision();
    let command = cluster.log(&Component::Person, Action::Command, None, "kubectl apply");
    let made = cluster
        .caused_by(Some(command), |c| c.create(&Component::Person, map("a")))
        .unwrap();
    assert_eq!(
        made["metadata"]["resourceVersion"].str(),
        (before + 1).to_string()
    );
    let event = cluster
        .log
        .iter()
        .find(|e| e.object == Some(ObjectKey::new("configmaps", "default", "a")))
        .unwrap();
    assert_eq!((event.action, event.cause), (Action::Create, Some(command)));
}

#[test]
fn an_object_is_made_once_and_changed_only_when_it_differs() {
    let mut cluster = Cluster::new(Config::empty());
    let made = cluster.create(&Component::Person, map("a")).unwrap();
    assert_eq!(
        cluster
            .create(&Component::Person, map("a"))
            .unwrap_err()
            .message,
        r#"configmaps "a" already exists"#
    );
    let revision = cluster.etcd.revision();
    cluster.update(&Component::Person, made.clone()).unwrap();
    assert_eq!(cluster.etcd.revision(), revision, "nothing changed");
    let mut changed = made.clone();
    changed.set(&["data", "a"], "2");
    cluster.update(&Component::Person, changed.clone()).unwrap();
    let status = cluster.update(&Component::Person, changed).unwrap_err();
    assert_eq!((status.code, &*status.reason), (409, "Conflict"));
}

#[test]
fn undo_and_redo_go_back_and_forth() {
    let mut simulation = Simulation::new(Config::empty());
    let key = |name| ObjectKey::new("configmaps", "default", name);
    for name in ["a", "b"] {
        simulation.checkpoint();
        simulation
            .cluster
            .create(&Component::Person, map(name))
            .unwrap();
    }
    let has = |s: &Simulation| ["a", "b"].map(|n| s.cluster.get(&key(n)).is_ok());
    assert!(simulation.undo());
    assert_eq!(has(&simulation), [true, false]);
    assert!(simulation.undo());
    assert_eq!(has(&simulation), [false, false]);
    assert!(!simulation.undo());
    assert!(simulation.redo() && simulation.redo());
    assert_eq!(has(&simulation), [true, true]);
    assert!(!simulation.redo());
}

fn web(replicas: usize) -> Value {
    Value::from_json(&format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"web","namespace":"default"}},"spec":{{"replicas":{replicas},
        "selector":{{"matchLabels":{{"app":"web"}}}},"template":{{"metadata":{{"labels":{{"app":"web"}}}},
        "spec":{{"containers":[{{"name":"nginx","image":"nginx:1.27"}}]}}}}}}}}"#
    ))
    .unwrap()
}

const QUIET: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn every_event_can_be_gone_back_to() {
    let mut simulation = Simulation::new(Config::default());
    let first = simulation.cluster.log.len();
    for replicas in [30, 5] {
        simulation.checkpoint();
        let mut object = web(replicas);
        simulation.change(
            |cluster| match cluster.create(&Component::Person, object.clone()) {
                Ok(_) => {}
                Err(_) => {
                    object["spec"]["replicas"] = replicas.into();
                    cluster.update(&Component::Person, object).unwrap();
                }
            },
        );
        simulation.touched();
        simulation.settle(QUIET, LIMIT);
    }
    let events: Vec<String> = simulation
        .cluster
        .log
        .iter()
        .map(|e| e.to_string())
        .collect();
    let end = simulation.cluster.now;
    assert!(events.len() > first + 400, "{}", events.len());
    for wanted in (first - 1..events.len())
        .step_by(29)
        .chain([events.len() - 1])
    {
        simulation.goto(EventId(wanted as u32)).unwrap();
        let there: Vec<String> = simulation
            .cluster
            .log
            .iter()
            .map(|e| e.to_string())
            .collect();
        assert!(there.len() > wanted, "{wanted}: {}", there.len());
        // What one task or command writes, it writes at one moment.
        let at = |n: usize| simulation.cluster.log.get(EventId(n as u32)).map(|e| e.at);
        assert_eq!(at(wanted), at(there.len() - 1), "{wanted}");
        assert_eq!(there[..], events[..there.len()], "{wanted}");
        assert!(simulation.redo());
        assert_eq!(
            (simulation.cluster.log.len(), simulation.cluster.now),
            (events.len(), end)
        );
    }
}

#[test]
fn a_change_in_the_past_begins_a_branch_and_the_old_line_stays() {
    let mut simulation = Simulation::new(Config::empty());
    let names = |s: &Simulation| -> Vec<String> {
        let maps = s.cluster.etcd.list("configmaps", Some("default"));
        maps.map(|(key, _)| key.name.to_string())
            .filter(|name| name.len() == 1)
            .collect()
    };
    let make = |simulation: &mut Simulation, name| {
        simulation.checkpoint();
        simulation
            .change(|c| c.create(&Component::Person, map(name)).map(drop))
            .unwrap();
        simulation.touched();
    };
    make(&mut simulation, "a");
    make(&mut simulation, "b");
    assert!(simulation.undo() && simulation.undo());
    make(&mut simulation, "c");
    assert_eq!(names(&simulation), ["c"]);
    assert!(!simulation.redo());
    assert_eq!(simulation.branches().len(), 2);
    simulation.switch(1).unwrap();
    assert!(simulation.switch(7).is_err());
    assert_eq!(names(&simulation), ["a", "b"]);
    assert!(simulation.undo());
    assert_eq!(names(&simulation), ["a"]);
    simulation.switch(2).unwrap();
    assert_eq!(names(&simulation), ["c"]);
}

#[test]
fn a_run_in_slices_comes_to_the_same_end() {
    let mut whole = Simulation::new(Config::default());
    whole
        .change(|c| c.create(&Component::Person, web(3)).map(drop))
        .unwrap();
    let mut slices = whole.clone();
    let start = whole.cluster.now;
    whole.settle(QUIET, LIMIT);
    let run = Run::settle(&slices.cluster, QUIET, LIMIT);
    let mut progress = Vec::new();
    while !slices.run_slice(&run, 3) {
        progress.push(run.progress(start, &slices.cluster));
    }
    assert!(progress.len() > 5 && progress.is_sorted(), "{progress:?}");
    assert!(progress.iter().all(|p| (0.0..=1.0).contains(p)));
    assert_eq!(slices.cluster.now, whole.cluster.now);
    assert_eq!(log(&slices.cluster), log(&whole.cluster));
}

/// Steps and events until all pods of a Deployment run.
fn work(replicas: usize) -> (usize, usize) {
    let mut cluster = Cluster::new(Config {
        nodes: Config::machines(replicas.div_ceil(20)),
        ..Config::default()
    });
    let before = cluster.log.len();
    cluster
        .create_with(&Component::Person, web(replicas), &WriteOptions::strict())
        .unwrap();
    let mut steps = 0;
    let key = ObjectKey::new("deployments.apps", "default", "web");
    let done = cluster.run_while(Duration::from_secs(600), |c| {
        steps += 1;
        c.get(&key)
            .is_ok_and(|d| d["status"]["readyReplicas"].as_i64() == Some(replicas as i64))
    });
    assert!(done);
    (steps, cluster.log.len() - before)
}

#[test]
fn work_grows_with_the_pods_and_no_faster() {
    let ((steps, events), (more_steps, more_events)) = (work(50), work(400));
    let per_pod = |count: usize, pods: usize| count as f64 / pods as f64;
    assert!(
        per_pod(more_steps, 400) <= 1.2 * per_pod(steps, 50),
        "{steps} {more_steps}"
    );
    assert!(
        per_pod(more_events, 400) <= 1.2 * per_pod(events, 50),
        "{events} {more_events}"
    );
}
