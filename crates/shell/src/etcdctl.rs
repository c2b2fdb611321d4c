//! `etcdctl` on the control plane: what is stored, under its real keys (etcdctl 3.6).

use kubarium_cluster::etcd;
use kubarium_objects::{ObjectKey, Value, go};

use crate::registry;
use crate::session::{Finished, Session};

const ENDPOINT: &str = "https://127.0.0.1:2379";

pub(crate) fn run(session: &Session, node: &str, words: &[String]) -> Finished {
    let cluster = &session.simulation.cluster;
    let is_control_plane = cluster.find("nodes", "", node).is_some_and(|n| {
        !n["metadata"]["labels"]["node-role.kubernetes.io/control-plane"].is_null()
    });
    if !is_control_plane {
        return Finished::failed(127, "bash: line 1: etcdctl: command not found\n".to_owned());
    }
    let options: Vec<&str> = words
        .iter()
        .skip(1)
        .map(String::as_str)
        .filter(|w| w.starts_with('-'))
        .collect();
    let args: Vec<&str> = words
        .iter()
        .skip(1)
        .map(String::as_str)
        .filter(|w| !w.starts_with('-'))
        .collect();
    match args[..] {
        ["get", ref rest @ ..] => get(session, rest, &options),
        ["endpoint", "health"] => Finished::done(format!(
            "{ENDPOINT} is healthy: successfully committed proposal: took = 1ms\n"
        )),
        ["endpoint", "status"] => Finished::done(format!(
            "{ENDPOINT}, revision {}\n",
            cluster.etcd.revision()
        )),
        ["member", "list"] => Finished::done(format!(
            "1, started, {node}, {ENDPOINT}, {ENDPOINT}, false\n"
        )),
        [] => Finished::failed(1, "etcdctl: give a command: get\n".to_owned()),
        [command, ..] => Finished::failed(
            1,
            registry::not_yet(&format!("etcdctl {command}"), "only reading is") + "\n",
        ),
    }
}

/// The keys with their objects, in etcd's order.
fn stored(session: &Session) -> Vec<(String, ObjectKey)> {
    let cluster = &session.simulation.cluster;
    let mut all = Vec::new();
    for resource in cluster.etcd.resources() {
        let Some(kind) = cluster.resource_by_id(resource) else {
            continue;
        };
        let custom = kubarium_objects::Schema::builtin()
            .by_id(resource)
            .is_none();
        for (key, _) in cluster.etcd.list(resource, None) {
            all.push((etcd::path(key, kind.namespaced, custom), key.clone()));
        }
    }
    all.sort();
    all
}

fn get(session: &Session, args: &[&str], options: &[&str]) -> Finished {
    let has =
        |name: &str| options.contains(&name) || options.contains(&format!("{name}=true").as_str());
    let from = args.first().copied().unwrap_or("");
    if from.is_empty() && !has("--prefix") {
        return Finished::failed(128, "Error: bad argument: get command needs one argument as key and an optional argument as range_end\n".to_owned());
    }
    let wanted = |path: &str| match args.get(1) {
        Some(end) => path >= from && path < *end,
        None if has("--prefix") => path.starts_with(from),
        None => path == from,
    };
    let limit = options
        .iter()
        .find_map(|o| o.strip_prefix("--limit=")?.parse::<usize>().ok())
        .filter(|n| *n > 0);
    let json = options
        .iter()
        .any(|o| matches!(*o, "-w=json" | "--write-out=json"));
    let found: Vec<(String, ObjectKey)> = stored(session)
        .into_iter()
        .filter(|(path, _)| wanted(path))
        .take(limit.unwrap_or(usize::MAX))
        .collect();
    if has("--count-only") {
        return Finished::done(format!("{}\n", found.len()));
    }
    let mut text = String::new();
    let mut entries: Vec<Value> = Vec::new();
    for (path, key) in found {
        let Some(stored) = session.simulation.cluster.etcd.stored(&key) else {
            continue;
        };
        if json {
            let coded = |s: &str| kubarium_objects::base64::encode(s.as_bytes());
            entries.push(kubarium_objects::object([
                (
                    "create_revision",
                    Value::Int(i64::try_from(stored.create_revision).unwrap_or(0)),
                ),
                ("key", coded(&path).into()),
                (
                    "mod_revision",
                    Value::Int(i64::try_from(stored.mod_revision).unwrap_or(0)),
                ),
                ("value", coded(&go::json(stored.object())).into()),
                (
                    "version",
                    Value::Int(i64::try_from(stored.version).unwrap_or(0)),
                ),
            ]));
        } else if has("--keys-only") {
            text.push_str(&format!("{path}\n\n"));
        } else if has("--print-value-only") {
            text.push_str(&format!("{}\n", go::json(stored.object())));
        } else {
            // The real store holds protobuf; here it is the same object as JSON.
            text.push_str(&format!("{path}\n{}\n", go::json(stored.object())));
        }
    }
    if json {
        let count = entries.len();
        let answer = kubarium_objects::object([
            ("count", count.into()),
            ("kvs", kubarium_objects::array(entries)),
        ]);
        text = go::json(&answer) + "\n";
    }
    Finished::done(text)
}
