//! The clock, the log, the store and the way back in time.

use kubarium_cluster::{Action, Cluster, Component, Config, Simulation};
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
