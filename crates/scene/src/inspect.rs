//! What there is to say about one thing, about all objects, about what happened, and about a text of manifests.

use std::collections::{BTreeMap, BTreeSet};

use kubarium_cluster::event::{Event, EventLog};
use kubarium_cluster::faults::Place;
use kubarium_cluster::images::Reference;
use kubarium_cluster::{Action, Cluster, EventId, etcd};
use kubarium_linux::netfilter::TableKind;
use kubarium_objects::{ObjectKey, Value, diagnostic, yaml};
use kubarium_shell::table as table_of;
use kubarium_snapshot::conversation::Conversation;
use kubarium_snapshot::inspect::{
    Aim, Card, Diagnostic, ObjectRow, ObjectTable, Severity, Stored, Timeline,
};

use crate::commands::{Commands, word};
use crate::conversation;
use crate::faults;
use crate::inside;
use crate::kinship::family;

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
        has_inside: inside::is_inside(cluster, id),
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
    let aims = aims(cluster, object);
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
        faults: commands.faults,
        yaml: yaml::to_yaml(&object),
        ..Card::default()
    })
}

/// What is no object: a component, a device, a cable, a container, a rule, the segment, what is outside.
fn device_card(cluster: &Cluster, id: &str) -> Option<Card> {
    let (kind, rest) = id.split_once(':')?;
    match kind {
        "host" => Some(Card {
            title: rest.to_owned(),
            looks: vec![
                format!("ssh {rest} ip addr"),
                format!("ssh {rest} ip route"),
            ],
            faults: faults::of_outside(),
            ..Card::default()
        }),
        "device" => match *rest.split('/').collect::<Vec<_>>() {
            [namespace, pod, device] => cable_card(cluster, namespace, pod, device),
            [node, device] => node_device_card(cluster, node, device),
            _ => None,
        },
        "component" => component_card(cluster, rest),
        "container" => match *rest.split('/').collect::<Vec<_>>() {
            [namespace, pod, container] => container_card(cluster, namespace, pod, container),
            _ => None,
        },
        "rule" => rule_card(cluster, rest),
        "segment" => Some(Card {
            title: cluster.config.network.node_cidr.to_string(),
            looks: vec!["kubectl get nodes -o wide".to_owned()],
            faults: faults::of_segment(cluster),
            ..Card::default()
        }),
        _ => None,
    }
}

fn node_device_card(cluster: &Cluster, node: &str, device: &str) -> Option<Card> {
    let (node, _) = cluster.machines.get_key_value(node)?;
    let third = match device {
        "cbr0" => format!("ssh {node} bridge link"),
        "flannel.1" => format!("ssh {node} bridge fdb show dev flannel.1"),
        _ => format!("ssh {node} ip neigh"),
    };
    Some(Card {
        title: device.to_owned(),
        node: node.to_string(),
        looks: vec![
            format!("ssh {node} ip addr show dev {device}"),
            format!("ssh {node} ip route"),
            third,
        ],
        faults: match device {
            "eth0" => faults::of_card(&Place::Node(node.clone())),
            _ => Vec::new(),
        },
        ..Card::default()
    })
}

/// A pod's end of its cable.
fn cable_card(cluster: &Cluster, namespace: &str, pod: &str, device: &str) -> Option<Card> {
    let key = ObjectKey::new("pods", namespace, pod);
    let object = cluster.etcd.get(&key)?;
    let scope = scope(namespace);
    Some(Card {
        title: device.to_owned(),
        node: object["spec"]["nodeName"].str().to_owned(),
        looks: vec![
            format!("kubectl exec {pod}{scope} -- ip addr show dev {device}"),
            format!("kubectl exec {pod}{scope} -- ip route"),
        ],
        faults: faults::of_card(&Place::Pod(key)),
        ..Card::default()
    })
}

fn container_card(cluster: &Cluster, namespace: &str, pod: &str, name: &str) -> Option<Card> {
    let key = ObjectKey::new("pods", namespace, pod);
    let object = cluster.etcd.get(&key)?;
    let containers = object["spec"]["containers"].items();
    let container = containers.iter().find(|c| c["name"].str() == name)?;
    let scope = scope(namespace);
    let mut breaks = faults::of_container(&key, container, false);
    breaks.push(faults::missing(&container["image"].text()));
    Some(Card {
        title: name.to_owned(),
        node: object["spec"]["nodeName"].str().to_owned(),
        looks: vec![
            format!("kubectl logs {pod}{scope} -c {name}"),
            format!("kubectl exec {pod}{scope} -c {name} -- env"),
        ],
        faults: breaks,
        ..Card::default()
    })
}

/// A member of the control plane, or a component of a node: `kubelet worker-1`.
fn component_card(cluster: &Cluster, name: &str) -> Option<Card> {
    let (title, node) = name.split_once(' ').unwrap_or((name, ""));
    if !node.is_empty() && !cluster.machines.contains_key(node) {
        return None;
    }
    // The CNI plugins are programs that the runtime calls: nothing runs that could be stopped.
    let breaks = match faults::part(name) {
        Some(part) => faults::of_part(&part),
        None if title == "cni" => Vec::new(),
        None => return None,
    };
    let looks = match title {
        "kubelet" => vec![
            format!("kubectl describe node {node}"),
            format!("kubectl get pods -A -o wide --field-selector spec.nodeName={node}"),
        ],
        "kube-proxy" => vec![
            format!("ssh {node} iptables-save -t nat"),
            format!("ssh {node} conntrack -L"),
        ],
        "cni" => vec![
            format!("ssh {node} ip addr"),
            format!("ssh {node} bridge link"),
        ],
        "kube-scheduler" => {
            vec!["kubectl get pods -A --field-selector status.phase=Pending".to_owned()]
        }
        "kube-apiserver" => vec!["kubectl api-resources".to_owned()],
        "etcd" => vec!["ssh control-plane etcdctl get --prefix --keys-only /registry".to_owned()],
        _ => vec!["sim events --since 10s".to_owned()],
    };
    Some(Card {
        title: title.to_owned(),
        node: node.to_owned(),
        looks,
        faults: breaks,
        ..Card::default()
    })
}

/// A rule of a node's tables: `worker-1/nat/KUBE-SERVICES/3`. Chains of nftables have slashes in their names.
fn rule_card(cluster: &Cluster, rule: &str) -> Option<Card> {
    let (node, rest) = rule.split_once('/')?;
    let (table, rest) = rest.split_once('/')?;
    let (chain, number) = rest.rsplit_once('/')?;
    cluster.machines.get(node)?;
    let number: u32 = number.parse().ok().filter(|n| *n > 0)?;
    let (looks, faults) = match TableKind::parse(table) {
        Some(_) => (
            vec![
                format!("ssh {node} iptables -t {table} -S {chain} {number}"),
                format!("ssh {node} iptables -t {table} -nvL {chain}"),
            ],
            faults::of_rule(node, table, chain, number),
        ),
        None => (
            vec![format!(
                "ssh {node} nft -a list chain ip {table} {}",
                word(chain)
            )],
            Vec::new(),
        ),
    };
    Some(Card {
        title: format!("{table} {chain} {number}"),
        node: node.to_owned(),
        looks,
        faults,
        ..Card::default()
    })
}

/// How a command line names a namespace, where it is not the usual one.
pub(crate) fn scope(namespace: &str) -> String {
    match namespace {
        "" | "default" => String::new(),
        other => format!(" -n {other}"),
    }
}

/// What an object wants, beside what there is of it.
fn aims(cluster: &Cluster, object: &Value) -> Vec<Aim> {
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
        "Service" => {
            let meta = &object["metadata"];
            let (namespace, name) = (meta["namespace"].text(), meta["name"].text());
            let slices = cluster.index.slices_of(&namespace, &name);
            let slices: Vec<&Value> = slices.filter_map(|key| cluster.etcd.get(key)).collect();
            let all = slices.iter().flat_map(|slice| slice["endpoints"].items());
            let ready = all
                .clone()
                .filter(|e| e["conditions"]["ready"].as_bool() != Some(false));
            vec![Aim {
                of: "ready endpoints".to_owned(),
                wanted: all.clone().count().to_string(),
                is: ready.count().to_string(),
            }]
        }
        "PersistentVolumeClaim" => vec![Aim {
            of: "storage".to_owned(),
            wanted: spec["resources"]["requests"]["storage"].str().to_owned(),
            is: match status["capacity"]["storage"].str() {
                "" => "none".to_owned(),
                size => size.to_owned(),
            },
        }],
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
            let mut aims = vec![Aim {
                of: "ready".to_owned(),
                wanted: spec["containers"].items().len().to_string(),
                is: ready.count().to_string(),
            }];
            // The image that is wanted, beside the one that runs.
            for container in spec["containers"].items() {
                let name = container["name"].str();
                let status = containers.iter().find(|c| c["name"].str() == name);
                let running = status.map(|s| s["image"].str()).unwrap_or_default();
                let wanted = container["image"].str();
                let is = match running {
                    "" => "none",
                    // The runtime tells its name in full.
                    running if Reference::parse(running) == Reference::parse(wanted) => wanted,
                    running => running,
                };
                aims.push(Aim {
                    of: format!("image of {name}"),
                    wanted: wanted.to_owned(),
                    is: is.to_owned(),
                });
            }
            aims
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
    let commands = stirring(log);
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

/// The commands that have set something off; what only looked, or let time run, has not.
fn stirring(log: &EventLog) -> Vec<(u32, String)> {
    let mut commands: Vec<(&Event, bool)> = Vec::new();
    for event in log.iter() {
        let cause = event.cause.map(|cause| cause.0);
        let at = cause.and_then(|id| commands.binary_search_by_key(&id, |(e, _)| e.id.0).ok());
        if let Some((_, stirs)) = at.and_then(|at| commands.get_mut(at)) {
            *stirs = true;
        }
        if matches!(event.action, Action::Command | Action::Boot | Action::Fault) {
            commands.push((event, false));
        }
    }
    let stirring = commands.into_iter().filter(|(_, stirs)| *stirs);
    stirring
        .map(|(event, _)| (event.id.0, event.text.to_string()))
        .collect()
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
