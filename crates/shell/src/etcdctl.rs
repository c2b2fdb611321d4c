//! `etcdctl` on the control plane: what is stored, under its real keys (etcdctl 3.7).

use std::collections::BTreeMap;

use kubarium_cluster::event::Action;
use kubarium_cluster::{Cluster, etcd};
use kubarium_objects::{ObjectKey, Schema, Value, array, base64, go, object};

use crate::registry;
use crate::session::{Finished, Session};

const ENDPOINT: &str = "https://127.0.0.1:2379";
const VERSION: &str = "3.7.3";
/// The member and the cluster, as etcd names them: hashes of their peer addresses.
const MEMBER: u64 = 0x8e9e_05c5_2164_694d;
const CLUSTER: u64 = 0xcdf8_181e_3277_7391_u64;
const TERM: i64 = 2;
/// The space that etcd gives itself (`--quota-backend-bytes`).
const QUOTA: u64 = 2_147_483_648;

/// Options that take a value.
const VALUED: &[&str] = &[
    "cacert",
    "cert",
    "command-timeout",
    "consistency",
    "dial-timeout",
    "endpoints",
    "key",
    "limit",
    "order",
    "rev",
    "sort-by",
    "user",
    "write-out",
];

/// The words of a command line.
#[derive(Default)]
struct Line {
    args: Vec<String>,
    options: BTreeMap<String, String>,
}

impl Line {
    fn read(words: &[String]) -> Result<Line, String> {
        let mut line = Line::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let name = match word.strip_prefix("--") {
                Some(name) => name.to_owned(),
                None if word == "-w" => "write-out".to_owned(),
                None => match word.strip_prefix("-w") {
                    Some(value) => format!("write-out={}", value.trim_start_matches('=')),
                    None => {
                        line.args.push(word.clone());
                        continue;
                    }
                },
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None if VALUED.contains(&name.as_str()) => match rest.next() {
                    Some(value) => (name, value.clone()),
                    None => return Err(format!("Error: flag needs an argument: --{name}\n")),
                },
                None => (name, "true".to_owned()),
            };
            line.options.insert(name, value);
        }
        Ok(line)
    }

    fn has(&self, name: &str) -> bool {
        self.options.get(name).is_some_and(|v| v == "true")
    }

    fn format(&self) -> &str {
        self.options
            .get("write-out")
            .map_or("simple", String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.options.get(name)?.parse().ok().filter(|n| *n > 0)
    }
}

pub(crate) fn run(session: &Session, node: &str, words: &[String]) -> Finished {
    let cluster = &session.simulation.cluster;
    let is_control_plane = cluster.find("nodes", "", node).is_some_and(|n| {
        !n["metadata"]["labels"]["node-role.kubernetes.io/control-plane"].is_null()
    });
    if !is_control_plane {
        return Finished::failed(127, "bash: line 1: etcdctl: command not found\n".to_owned());
    }
    let line = match Line::read(words.get(1..).unwrap_or(&[])) {
        Ok(line) => line,
        Err(why) => return Finished::failed(128, why),
    };
    let args: Vec<&str> = line.args.iter().map(String::as_str).collect();
    match args[..] {
        ["get", ref keys @ ..] => get(cluster, keys, &line),
        ["watch", ref keys @ ..] => watch(cluster, keys, &line),
        ["endpoint", "health"] => endpoint_health(&line),
        ["endpoint", "status"] => endpoint_status(cluster, &line),
        ["member", "list"] => member_list(cluster, node, &line),
        ["version"] => Finished::done(format!("etcdctl version: {VERSION}\nAPI version: 3.7\n")),
        [] => Finished::failed(
            1,
            "etcdctl: give a command: get, watch, member list, endpoint status\n".to_owned(),
        ),
        [command, ..] => Finished::failed(
            1,
            registry::not_yet(&format!("etcdctl {command}"), "only reading is") + "\n",
        ),
    }
}

/// The key under which an object is stored; none for kinds that are not served.
fn path(cluster: &Cluster, key: &ObjectKey) -> Option<String> {
    let kind = cluster.resource_by_id(&key.resource)?;
    let custom = Schema::builtin().by_id(&key.resource).is_none();
    Some(etcd::path(key, kind.namespaced, custom))
}

/// The keys with their objects, in etcd's order.
fn stored(cluster: &Cluster) -> Vec<(String, ObjectKey)> {
    let mut all = Vec::new();
    for resource in cluster.etcd.resources() {
        let keys = cluster.etcd.list(resource, None).map(|(key, _)| key);
        all.extend(keys.filter_map(|key| Some((path(cluster, key)?, key.clone()))));
    }
    all.sort();
    all
}

fn wants(keys: &[&str], line: &Line, path: &str) -> bool {
    let from = keys.first().copied().unwrap_or("");
    match keys.get(1) {
        Some(end) => path >= from && path < *end,
        None if line.has("prefix") => path.starts_with(from),
        None if line.has("from-key") => path >= from,
        None => path == from,
    }
}

fn header(cluster: &Cluster) -> Value {
    object([
        ("cluster_id", Value::from(CLUSTER.to_string())),
        ("member_id", Value::from(MEMBER.to_string())),
        ("raft_term", TERM.into()),
        ("revision", number(cluster.etcd.revision())),
    ])
}

fn number(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn get(cluster: &Cluster, keys: &[&str], line: &Line) -> Finished {
    let ranged = line.has("prefix") || line.has("from-key");
    if keys.is_empty() && !ranged || keys.len() > 2 {
        return Finished::failed(128, "Error: bad argument: get command needs one argument as key and an optional argument as range_end\n".to_owned());
    }
    if line.options.contains_key("rev") {
        return Finished::failed(
            1,
            registry::not_yet(
                "etcdctl get --rev",
                "sim goto goes back to an earlier state",
            ) + "\n",
        );
    }
    let mut found: Vec<(String, ObjectKey)> = stored(cluster)
        .into_iter()
        .filter(|(path, _)| wants(keys, line, path))
        .collect();
    if line
        .options
        .get("order")
        .is_some_and(|o| o.eq_ignore_ascii_case("descend"))
    {
        found.reverse();
    }
    let count = found.len();
    if let Some(limit) = line.number("limit") {
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let json = line.format() == "json";
    if line.has("count-only") && !json {
        return Finished::done(if line.format() == "fields" {
            format!("\"Count\" : {count}\n")
        } else {
            format!("{count}\n")
        });
    }
    let mut text = String::new();
    let mut entries: Vec<Value> = Vec::new();
    for (path, key) in found {
        let Some(stored) = cluster.etcd.stored(&key) else {
            continue;
        };
        let numbers = [
            ("CreateRevision", stored.create_revision),
            ("ModRevision", stored.mod_revision),
            ("Version", stored.version),
        ];
        // The real store holds protobuf; here it is the same object as JSON.
        let value = || go::json(stored.object());
        if json {
            let mut entry = object([
                ("create_revision", number(stored.create_revision)),
                ("key", base64::encode(path.as_bytes()).into()),
                ("mod_revision", number(stored.mod_revision)),
                ("version", number(stored.version)),
            ]);
            if !line.has("keys-only") {
                entry["value"] = base64::encode(value().as_bytes()).into();
            }
            entries.push(entry);
        } else if line.format() == "fields" {
            text.push_str(&format!("\"Key\" : {}\n", go::quote(&path)));
            for (name, n) in numbers {
                text.push_str(&format!("\"{name}\" : {n}\n"));
            }
            if !line.has("keys-only") {
                text.push_str(&format!("\"Value\" : {}\n", go::quote(&value())));
            }
            text.push_str("\"Lease\" : 0\n\n");
        } else if line.has("keys-only") {
            text.push_str(&format!("{path}\n\n"));
        } else if line.has("print-value-only") {
            text.push_str(&format!("{}\n", value()));
        } else {
            text.push_str(&format!("{path}\n{}\n", value()));
        }
    }
    if json {
        let mut answer = object([("count", count.into()), ("header", header(cluster))]);
        if !line.has("count-only") {
            answer["kvs"] = entries.into();
        }
        text = go::json(&answer) + "\n";
    }
    Finished::done(text)
}

/// What has happened to keys since a revision.
fn watch(cluster: &Cluster, keys: &[&str], line: &Line) -> Finished {
    if keys.is_empty() && !line.has("prefix") {
        return Finished::failed(
            128,
            "Error: bad argument: watch command needs at least one argument as key or range\n"
                .to_owned(),
        );
    }
    let Some(since) = line.number("rev") else {
        let hint = "with --rev=N it prints what has happened since a revision; kubectl get --watch goes on";
        return Finished::failed(
            1,
            registry::not_yet("etcdctl watch without an end", hint) + "\n",
        );
    };
    let mut text = String::new();
    for event in cluster.log.iter() {
        let (Some(key), Some(revision)) = (&event.object, event.revision) else {
            continue;
        };
        if revision < since {
            continue;
        }
        let Some(path) = path(cluster, key).filter(|path| wants(keys, line, path)) else {
            continue;
        };
        match event.action {
            Action::Delete => text.push_str(&format!("DELETE\n{path}\n\n")),
            Action::Create | Action::Update | Action::UpdateStatus | Action::MarkDeleted => {
                let Some(value) = cluster.log.stored(event.id) else {
                    // etcd compacts what is old.
                    return Finished::failed(1, "etcdserver: mvcc: required revision has been compacted\nError: watch is canceled by the server\n".to_owned());
                };
                let value = go::json(value);
                text.push_str(&format!("PUT\n{path}\n{value}\n"));
            }
            _ => {}
        }
    }
    Finished::done(text)
}

fn endpoint_health(line: &Line) -> Finished {
    Finished::done(match line.format() {
        "json" => format!("[{{\"endpoint\":\"{ENDPOINT}\",\"health\":true,\"took\":\"1ms\"}}]\n"),
        "table" => table(
            &["ENDPOINT", "HEALTH", "TOOK", "ERROR"],
            &[vec![
                ENDPOINT.to_owned(),
                "true".to_owned(),
                "1ms".to_owned(),
                String::new(),
            ]],
        ),
        _ => format!("{ENDPOINT} is healthy: successfully committed proposal: took = 1ms\n"),
    })
}

/// Bytes as etcdctl prints them: `5.2 MB`.
fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "kB", "MB"] {
        if size < 1000.0 {
            return if size < 10.0 && unit != "B" {
                format!("{size:.1} {unit}")
            } else {
                format!("{size:.0} {unit}")
            };
        }
        size /= 1000.0;
    }
    format!("{size:.1} GB")
}

fn endpoint_status(cluster: &Cluster, line: &Line) -> Finished {
    let in_use: u64 = cluster
        .etcd
        .resources()
        .flat_map(|resource| cluster.etcd.list(resource, None))
        .map(|(_, object)| object.to_json().len() as u64 + 256)
        .sum();
    // The file grows by whole pages, and its first ones are there from the start.
    let size = (in_use.div_ceil(4096) * 4096).max(20_480);
    let revision = cluster.etcd.revision();
    let free = 100 - in_use * 100 / size.max(1);
    if line.format() == "json" {
        let status = object([
            ("dbSize", number(size)),
            ("dbSizeInUse", number(in_use)),
            ("dbSizeQuota", number(QUOTA)),
            ("header", header(cluster)),
            ("leader", MEMBER.to_string().into()),
            ("raftAppliedIndex", number(revision)),
            ("raftIndex", number(revision)),
            ("raftTerm", TERM.into()),
            ("storageVersion", "3.7.0".into()),
            ("version", VERSION.into()),
        ]);
        let all = array([object([("Endpoint", ENDPOINT.into()), ("Status", status)])]);
        return Finished::done(go::json(&all) + "\n");
    }
    let row: Vec<String> = vec![
        ENDPOINT.to_owned(),
        format!("{MEMBER:x}"),
        VERSION.to_owned(),
        "3.7.0".to_owned(),
        bytes(size),
        bytes(in_use),
        format!("{free}%"),
        bytes(QUOTA),
        "true".to_owned(),
        "false".to_owned(),
        TERM.to_string(),
        revision.to_string(),
        revision.to_string(),
        String::new(),
        String::new(),
        "false".to_owned(),
    ];
    Finished::done(match line.format() {
        "table" => table(
            &[
                "ENDPOINT",
                "ID",
                "VERSION",
                "STORAGE VERSION",
                "DB SIZE",
                "IN USE",
                "PERCENTAGE NOT IN USE",
                "QUOTA",
                "IS LEADER",
                "IS LEARNER",
                "RAFT TERM",
                "RAFT INDEX",
                "RAFT APPLIED INDEX",
                "ERRORS",
                "DOWNGRADE TARGET VERSION",
                "DOWNGRADE ENABLED",
            ],
            &[row],
        ),
        _ => row.join(", ") + "\n",
    })
}

fn member_list(cluster: &Cluster, node: &str, line: &Line) -> Finished {
    let addresses = cluster
        .find("nodes", "", node)
        .map(|n| n["status"]["addresses"].clone())
        .unwrap_or_default();
    let internal = addresses
        .items()
        .iter()
        .find(|a| a["type"].str() == "InternalIP")
        .map_or("127.0.0.1", |a| a["address"].str());
    let (peer, client) = (
        format!("https://{internal}:2380"),
        format!("https://{internal}:2379"),
    );
    if line.format() == "json" {
        let member = object([
            ("ID", MEMBER.to_string().into()),
            ("clientURLs", array([client])),
            ("name", node.into()),
            ("peerURLs", array([peer])),
        ]);
        let all = object([("header", header(cluster)), ("members", array([member]))]);
        return Finished::done(go::json(&all) + "\n");
    }
    let row: Vec<String> = vec![
        format!("{MEMBER:x}"),
        "started".to_owned(),
        node.to_owned(),
        peer,
        client,
        "false".to_owned(),
    ];
    Finished::done(match line.format() {
        "table" => table(
            &[
                "ID",
                "STATUS",
                "NAME",
                "PEER ADDRS",
                "CLIENT ADDRS",
                "IS LEARNER",
            ],
            &[row],
        ),
        _ => row.join(", ") + "\n",
    })
}

/// A table as etcdctl draws it: heads in the middle, cells to the right.
fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(at, head)| {
            let cells = rows.iter().filter_map(|r| r.get(at)).map(String::len);
            cells.chain([head.len()]).max().unwrap_or(0)
        })
        .collect();
    let dashes: Vec<String> = widths.iter().map(|w| "-".repeat(w + 2)).collect();
    let rule = format!("+{}+\n", dashes.join("+"));
    let heads: Vec<String> = heads
        .iter()
        .zip(&widths)
        .map(|(head, w)| format!(" {head:^w$} "))
        .collect();
    let mut out = format!("{rule}|{}|\n{rule}", heads.join("|"));
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, w)| format!(" {cell:>w$} "))
            .collect();
        out.push_str(&format!("|{}|\n", cells.join("|")));
    }
    out + &rule
}
