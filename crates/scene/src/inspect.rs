//! What there is to say about one thing, about all objects, about what happened, and about a text of manifests.

use kubarium_cluster::{Action, Cluster, EventId, etcd};
use kubarium_objects::{ObjectKey, diagnostic, yaml};
use kubarium_snapshot::conversation::Conversation;
use kubarium_snapshot::inspect::{Card, Diagnostic, ObjectRow, ObjectTable, Severity, Timeline};

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
    let scope = if resource.namespaced && &*key.namespace != "default" {
        format!(" -n {}", key.namespace)
    } else {
        String::new()
    };
    let family = kinship(cluster, key);
    let (version, plural, singular) =
        (resource.api_version(), &resource.plural, &resource.singular);
    let name = &key.name;
    let mut object = object.clone();
    object.remove(&["metadata", "managedFields"]);
    Some(Card {
        title: name.to_string(),
        kind: resource.kind.to_string(),
        rest: format!("{root}/{version}{namespace}/{plural}/{name}"),
        etcd: etcd::path(key, resource.namespaced, false),
        relatives: family
            .node_weights()
            .filter(|k| *k != key)
            .map(object_id)
            .collect(),
        commands: vec![
            format!("kubectl describe {singular} {name}{scope}"),
            format!("kubectl get {singular} {name}{scope} -o yaml"),
            format!("kubectl delete {singular} {name}{scope}"),
        ],
        yaml: yaml::to_yaml(&object),
        ..Card::default()
    })
}

fn device_card(cluster: &Cluster, id: &str) -> Option<Card> {
    let (kind, rest) = id.split_once(':')?;
    if kind == "host" {
        return Some(Card {
            title: rest.to_owned(),
            commands: vec![
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
        relatives: vec![format!("node:{node}")],
        commands: vec![
            format!("ssh {node} ip addr show dev {device}"),
            format!("ssh {node} ip route"),
            third,
        ],
        ..Card::default()
    })
}

/// The stored objects whose kind or key has `find` in it; without it all but Events.
pub fn objects(cluster: &Cluster, find: &str, most: usize) -> ObjectTable {
    let find = find.to_lowercase();
    let mut table = ObjectTable::default();
    for resource in cluster.etcd.resources() {
        if find.is_empty() && &**resource == "events" {
            continue;
        }
        for (key, object) in cluster.etcd.list(resource, None) {
            let kind = object["kind"].str();
            let hit = find.is_empty()
                || key.to_string().contains(&find)
                || kind.to_lowercase().contains(&find);
            if !hit {
                continue;
            }
            table.all += 1;
            if table.rows.len() < most {
                table.rows.push(ObjectRow {
                    id: object_id(key),
                    kind: kind.to_owned(),
                    namespace: key.namespace.to_string(),
                    name: key.name.to_string(),
                    revision: object["metadata"]["resourceVersion"].str().to_owned(),
                });
            }
        }
    }
    table
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
        },
        message: given.message.clone(),
        hint: given.hint.clone(),
    }
}
