//! What there is to say about one thing, about all objects, about what happened, and about a text of manifests.

use std::collections::{BTreeMap, BTreeSet};

use kubarium_cluster::{Action, Cluster, EventId, etcd};
use kubarium_objects::{ObjectKey, Value, diagnostic, yaml};
use kubarium_shell::table as table_of;
use kubarium_snapshot::conversation::Conversation;
use kubarium_snapshot::inspect::{
    Aim, Card, Diagnostic, ObjectRow, ObjectTable, Relative, Severity, Stored, Timeline,
};
use petgraph::Direction::Incoming;
use petgraph::visit::{VisitMap, Visitable};

use crate::commands::Commands;
use crate::conversation;
use crate::kinship::kinship;

/// The stored object that an id names: `pod:default/web`, `object:deployments.apps/default/web`.
pub fn key_of(id: &str) -> Option<ObjectKey> {
    let (kind, rest) = id.split_once(':')?;
    let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
    match kind {
        "pod" => Some(ObjectKey::new("pods", namespace, name)),
        "service" => Some(ObjectKey::new("services", namespace, name)),
        "node" => Some(ObjectKey::new("nodes", "", rest)),
        "object" => {
            let (resource, rest) = rest.split_once('/')?;
            let (namespace, name) = rest.split_once('/')?;
            Some(ObjectKey::new(resource, namespace, name))
        }
        _ => None,
    }
}

/// The id of a stored object: `object:deployments.apps/default/web`.
pub fn object_id(key: &ObjectKey) -> String {
    format!("object:{}/{}/{}", key.resource, key.namespace, key.name)
}

/// What there is to say about what an id names; none where nothing has it.
pub fn card(cluster: &Cluster, id: &str) -> Option<Card> {
    let card = match key_of(id) {
        Some(key) => object_card(cluster, &key),
        None => device_card(cluster, id),
    }?;
    Some(Card {
        id: id.to_owned(),
        ..card
    })
}

fn object_card(cluster: &Cluster, key: &ObjectKey) -> Option<Card> {
    let object = cluster.etcd.get(key)?;
    let resource = cluster.resource_by_id(&key.resource)?;
    let root = if resource.group.is_empty() {
        "/api"
    } else {
        "/apis"
    };
    let namespace = if resource.namespaced {
        format!("/namespaces/{}", key.namespace)
    } else {
        String::new()
    };
    let (version, plural) = (resource.api_version(), &resource.plural);
    let name = &key.name;
    let commands = Commands::of(cluster, key, object);
    let aims = aims(object);
    let mut object = object.clone();
    object.remove(&["metadata", "managedFields"]);
    Some(Card {
        title: name.to_string(),
        kind: resource.kind.to_string(),
        rest: format!("{root}/{version}{namespace}/{plural}/{name}"),
        etcd: etcd::path(key, resource.namespaced, false),
        family: family(cluster, key),
        aims,
        describe: commands.describe,
        looks: commands.looks,
        changes: commands.changes,
        yaml: yaml::to_yaml(&object),
        ..Card::default()
    })
}

fn device_card(cluster: &Cluster, id: &str) -> Option<Card> {
    let (kind, rest) = id.split_once(':')?;
    if kind == "host" {
        return Some(Card {
            title: rest.to_owned(),
            looks: vec![
                format!("ssh {rest} ip addr"),
                format!("ssh {rest} ip route"),
            ],
            ..Card::default()
        });
    }
    if kind != "device" {
        return None;
    }
    let (node, device) = rest.split_once('/')?;
    cluster.machines.get(node)?;
    let third = match device {
        "cbr0" => format!("ssh {node} bridge link"),
        "flannel.1" => format!("ssh {node} bridge fdb show dev flannel.1"),
        _ => format!("ssh {node} ip neigh"),
    };
    Some(Card {
        title: device.to_owned(),
        node: node.to_owned(),
        looks: vec![
            format!("ssh {node} ip addr show dev {device}"),
            format!("ssh {node} ip route"),
            third,
        ],
        ..Card::default()
    })
}

/// The owners and dependents of an object, each owner before its dependents. Alone it has no family.
fn family(cluster: &Cluster, key: &ObjectKey) -> Vec<Relative> {
    let graph = kinship(cluster, key);
    if graph.node_count() < 2 {
        return Vec::new();
    }
    let mut family = Vec::new();
    // An object with two owners stands under the first.
    let mut seen = graph.visit_map();
    let mut waiting: Vec<_> = graph
        .externals(Incoming)
        .map(|eldest| (eldest, 0))
        .collect();
    waiting.sort_by(|a, b| graph[b.0].cmp(&graph[a.0]));
    while let Some((at, depth)) = waiting.pop() {
        if !seen.visit(at) {
            continue;
        }
        let key = &graph[at];
        let resource = cluster.resource_by_id(&key.resource);
        family.push(Relative {
            id: object_id(key),
            kind: resource.map(|r| r.kind.to_string()).unwrap_or_default(),
            name: key.name.to_string(),
            depth,
        });
        let mut below: Vec<_> = graph.neighbors(at).collect();
        below.sort_by(|a, b| graph[*b].cmp(&graph[*a]));
        waiting.extend(below.into_iter().map(|next| (next, depth + 1)));
    }
    family
}

/// What an object wants, beside what there is of it.
fn aims(object: &Value) -> Vec<Aim> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let number = |value: &Value| value.as_i64().unwrap_or(0).to_string();
    let aim = |of: &str, wanted: &Value, is: &Value| Aim {
        of: of.to_owned(),
        wanted: number(wanted),
        is: number(is),
    };
    match object["kind"].str() {
        "Deployment" | "StatefulSet" => vec![
            aim("replicas", &spec["replicas"], &status["replicas"]),
            aim("updated", &spec["replicas"], &status["updatedReplicas"]),
            aim("ready", &spec["replicas"], &status["readyReplicas"]),
            aim("available", &spec["replicas"], &status["availableReplicas"]),
        ],
        "ReplicaSet" | "ReplicationController" => vec![
            aim("replicas", &spec["replicas"], &status["replicas"]),
            aim("ready", &spec["replicas"], &status["readyReplicas"]),
        ],
        "DaemonSet" => [
            "currentNumberScheduled",
            "updatedNumberScheduled",
            "numberReady",
        ]
        .map(|is| aim(is, &status["desiredNumberScheduled"], &status[is]))
        .to_vec(),
        "Job" => vec![
            aim("completions", &spec["completions"], &status["succeeded"]),
            aim("parallelism", &spec["parallelism"], &status["active"]),
        ],
        "HorizontalPodAutoscaler" => {
            vec![aim(
                "replicas",
                &status["desiredReplicas"],
                &status["currentReplicas"],
            )]
        }
        "PodDisruptionBudget" => {
            vec![aim(
                "healthy",
                &status["desiredHealthy"],
                &status["currentHealthy"],
            )]
        }
        "Pod" => {
            let containers = status["containerStatuses"].items();
            let ready = containers
                .iter()
                .filter(|c| c["ready"].as_bool() == Some(true));
            vec![Aim {
                of: "ready".to_owned(),
                wanted: spec["containers"].items().len().to_string(),
                is: ready.count().to_string(),
            }]
        }
        _ => Vec::new(),
    }
}

/// Which objects are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The resource; empty for all but Events.
    pub resource: &'a str,
    /// The namespace; empty for all.
    pub namespace: &'a str,
    /// A part of a kind or a key.
    pub find: &'a str,
    /// Whether dependents stand below their owners.
    pub tree: bool,
    /// The most rows.
    pub most: usize,
}

/// The stored objects that are wanted, as a table.
pub fn objects(cluster: &Cluster, wanted: Wanted<'_>) -> ObjectTable {
    let Wanted { resource, most, .. } = wanted;
    let find = wanted.find.to_lowercase();
    let namespaces = cluster.etcd.list("namespaces", None);
    let mut table = ObjectTable {
        namespaces: namespaces.map(|(key, _)| key.name.to_string()).collect(),
        ..ObjectTable::default()
    };
    let within = Some(wanted.namespace).filter(|namespace| !namespace.is_empty());
    let mut found = Vec::new();
    for stored in cluster.etcd.resources() {
        let count = cluster.etcd.count(stored);
        let known = cluster.resource_by_id(stored);
        let kind = known.map(|r| r.kind.to_string()).unwrap_or_default();
        if count == 0 {
            continue;
        }
        let is_listed = if resource.is_empty() {
            &**stored != "events"
        } else {
            &**stored == resource
        };
        if is_listed {
            let kind_hit = kind.to_lowercase().contains(&find);
            let all = cluster.etcd.list(stored, within);
            let hits = all.filter(|(key, _)| kind_hit || key.to_string().contains(&find));
            for (key, object) in hits {
                table.all += 1;
                if found.len() < most {
                    found.push((key, object));
                }
            }
        }
        table.resources.push(Stored {
            resource: stored.to_string(),
            kind,
            count,
        });
    }
    match cluster.resource_by_id(resource) {
        Some(known) => {
            let objects = found.iter().map(|(_, object)| *object);
            let (columns, cells) = table_of(&known, objects, cluster.now.unix_seconds());
            table.columns = columns.into_iter().map(str::to_owned).collect();
            let mut rows = Vec::new();
            for ((key, _), mut cells) in found.iter().zip(cells) {
                if known.namespaced {
                    cells.insert(0, key.namespace.to_string());
                }
                rows.push(ObjectRow {
                    id: object_id(key),
                    depth: 0,
                    cells,
                });
            }
            if known.namespaced {
                table.columns.insert(0, "Namespace".to_owned());
            }
            table.rows = rows;
        }
        None => {
            table.columns = ["Kind", "Namespace", "Name", "Revision"]
                .map(str::to_owned)
                .to_vec();
            let row = |(depth, key, object): &(usize, &ObjectKey, &Value)| ObjectRow {
                id: object_id(key),
                depth: *depth,
                cells: vec![
                    object["kind"].str().to_owned(),
                    key.namespace.to_string(),
                    key.name.to_string(),
                    object["metadata"]["resourceVersion"].str().to_owned(),
                ],
            };
            let flat = || found.iter().map(|(key, object)| (0, *key, *object));
            let rows = if wanted.tree {
                below_owners(cluster, &found)
            } else {
                flat().collect()
            };
            table.rows = rows.iter().map(row).collect();
        }
    }
    table
}

/// The objects with their depth, each below its owner where that is among them.
fn below_owners<'a>(
    cluster: &Cluster,
    found: &[(&'a ObjectKey, &'a Value)],
) -> Vec<(usize, &'a ObjectKey, &'a Value)> {
    let among: BTreeMap<&ObjectKey, &Value> = found.iter().copied().collect();
    let uids: BTreeSet<&str> = found
        .iter()
        .map(|(_, object)| object["metadata"]["uid"].str())
        .collect();
    let owned = |object: &Value| {
        let owners = object["metadata"]["ownerReferences"].items();
        owners.iter().any(|owner| uids.contains(owner["uid"].str()))
    };
    let eldest = found.iter().rev().filter(|(_, object)| !owned(object));
    let mut waiting: Vec<(usize, &ObjectKey)> = eldest.map(|(key, _)| (0, *key)).collect();
    let (mut rows, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some((depth, key)) = waiting.pop() {
        let Some((key, object)) = among.get_key_value(key) else {
            continue;
        };
        if !seen.insert(*key) {
            continue;
        }
        rows.push((depth, *key, *object));
        let uid = object["metadata"]["uid"].str();
        let below: Vec<&ObjectKey> = cluster.index.dependents(uid).collect();
        let below = below.into_iter().rev().filter_map(|key| {
            let (key, _) = among.get_key_value(key)?;
            Some((depth + 1, *key))
        });
        waiting.extend(below);
    }
    rows
}

/// The commands, and who told whom: all that `root` set off, or else the latest `most` events.
pub fn timeline(cluster: &Cluster, root: Option<u32>, most: usize) -> Timeline {
    let log = &cluster.log;
    let commands = log
        .iter()
        .filter(|e| matches!(e.action, Action::Command | Action::Boot | Action::Fault))
        .map(|e| (e.id.0, e.text.to_string()))
        .collect();
    let talk = match root {
        Some(root) => conversation::conversation(log, EventId(root)),
        None => {
            let first = log.len().saturating_sub(most) as u32;
            let mut talk = Conversation::default();
            for event in log.since(EventId(first)) {
                conversation::add(&mut talk, event);
            }
            talk.cut = first > 0;
            talk
        }
    };
    Timeline { commands, talk }
}

/// A diagnostic of the core with an end: that of the word where it begins.
pub fn diagnostic(text: &str, given: &diagnostic::Diagnostic) -> Diagnostic {
    // A place that is not known is the text's beginning.
    let (line, column) = (given.line.max(1), given.column.max(1));
    let rest = text.lines().nth(line - 1).unwrap_or_default();
    let word = rest
        .chars()
        .skip(column - 1)
        .take_while(|c| !c.is_whitespace() && *c != ':')
        .count();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Diagnostic {
        line: number(line),
        column: number(column),
        end_line: number(line),
        end_column: number(column.saturating_add(word.max(1))),
        severity: match given.severity {
            diagnostic::Severity::Error => Severity::Error,
            diagnostic::Severity::Warning => Severity::Warning,
            diagnostic::Severity::Hint => Severity::Hint,
        },
        message: given.message.clone(),
        hint: given.hint.clone(),
    }
}
