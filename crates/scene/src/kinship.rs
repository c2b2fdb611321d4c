//! Who owns whom: the graph of an object's owners and dependents, and the family that it makes.

use std::collections::{BTreeMap, BTreeSet};

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_snapshot::inspect::Relative;
use petgraph::Direction::Incoming;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{VisitMap, Visitable};

use crate::inspect::{object_id, scope};

/// The most objects that are followed, and the most of one resource that are shown of one owner; those beyond are
/// counted.
const OBJECTS_MAX: usize = 500;
const SHOWN_MAX: usize = 8;

/// A place in the graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kin {
    /// An object.
    Object(ObjectKey),
    /// More objects of an owner than are shown.
    More {
        /// Their owner.
        owner: ObjectKey,
        /// The resource's id.
        resource: Text,
        /// How many.
        count: usize,
    },
}

/// The objects above and below `key`, with an edge from each owner to its dependent. Empty when
/// there is no such object.
pub fn kinship(cluster: &Cluster, key: &ObjectKey) -> DiGraph<Kin, ()> {
    let mut graph = DiGraph::new();
    if cluster.etcd.get(key).is_none() {
        return graph;
    }
    let mut known = BTreeMap::new();
    // Up to the eldest, then down from each.
    let mut line = BTreeSet::from([key.clone()]);
    let mut below = vec![key.clone()];
    let mut above = owners(cluster, key);
    while let Some(owner) = above.pop() {
        if line.len() < OBJECTS_MAX && line.insert(owner.clone()) {
            above.extend(owners(cluster, &owner));
            below.push(owner);
        }
    }
    while let Some(owner) = below.pop() {
        let from = node(&mut graph, &mut known, &owner);
        let object = cluster.etcd.get(&owner);
        let uid = object.map(|o| o["metadata"]["uid"].text());
        // Of each resource: how many are shown, and how many more there are.
        let mut counts: BTreeMap<&Text, (usize, usize)> = BTreeMap::new();
        for dependent in cluster.index.dependents(&uid.unwrap_or_default()) {
            let (shown, more) = counts.entry(&dependent.resource).or_default();
            let is_full = *shown >= SHOWN_MAX || known.len() >= OBJECTS_MAX;
            if is_full && !line.contains(dependent) {
                *more += 1;
                continue;
            }
            *shown += 1;
            if !line.contains(dependent) && !known.contains_key(dependent) {
                below.push(dependent.clone());
            }
            let to = node(&mut graph, &mut known, dependent);
            graph.update_edge(from, to, ());
        }
        for (resource, (_, count)) in counts.into_iter().filter(|(_, (_, more))| *more > 0) {
            let more = Kin::More {
                owner: owner.clone(),
                resource: resource.clone(),
                count,
            };
            let to = graph.add_node(more);
            graph.update_edge(from, to, ());
        }
    }
    graph
}

/// The owners and dependents of an object, each owner before its dependents. Alone it has no family.
pub(crate) fn family(cluster: &Cluster, key: &ObjectKey) -> Vec<Relative> {
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
        family.push(relative(cluster, &graph[at], depth));
        let mut below: Vec<_> = graph.neighbors(at).collect();
        below.sort_by(|a, b| graph[*b].cmp(&graph[*a]));
        waiting.extend(below.into_iter().map(|next| (next, depth + 1)));
    }
    family
}

fn relative(cluster: &Cluster, kin: &Kin, depth: usize) -> Relative {
    let kind = |resource: &str| {
        let resource = cluster.resource_by_id(resource);
        resource.map(|r| r.kind.to_string()).unwrap_or_default()
    };
    match kin {
        Kin::Object(key) => Relative::Object {
            id: object_id(key),
            kind: kind(&key.resource),
            name: key.name.to_string(),
            depth,
        },
        Kin::More {
            owner,
            resource,
            count,
        } => Relative::More {
            kind: kind(resource),
            count: *count,
            command: list(cluster, owner, resource),
            depth,
        },
    }
}

/// The command line that lists an owner's dependents of a resource: by the owner's selector, where it has one.
fn list(cluster: &Cluster, owner: &ObjectKey, resource: &str) -> String {
    let none = Value::Null;
    let labels = &cluster.etcd.get(owner).unwrap_or(&none)["spec"]["selector"]["matchLabels"];
    let pairs = labels
        .entries()
        .iter()
        .map(|(k, v)| format!("{k}={}", v.str()));
    let selector = match pairs.collect::<Vec<_>>().join(",") {
        pairs if pairs.is_empty() => String::new(),
        pairs => format!(" -l {pairs}"),
    };
    format!(
        "kubectl get {resource}{}{selector}",
        scope(&owner.namespace)
    )
}

fn node(
    graph: &mut DiGraph<Kin, ()>,
    known: &mut BTreeMap<ObjectKey, NodeIndex>,
    key: &ObjectKey,
) -> NodeIndex {
    *known
        .entry(key.clone())
        .or_insert_with(|| graph.add_node(Kin::Object(key.clone())))
}

fn owners(cluster: &Cluster, key: &ObjectKey) -> Vec<ObjectKey> {
    let Some(object) = cluster.etcd.get(key) else {
        return Vec::new();
    };
    object["metadata"]["ownerReferences"]
        .items()
        .iter()
        .filter_map(|owner| {
            let resource =
                cluster.resource_by_kind(owner["apiVersion"].str(), owner["kind"].str())?;
            let namespace = if resource.namespaced {
                key.namespace.clone()
            } else {
                "".into()
            };
            let found = ObjectKey {
                resource: resource.id(),
                namespace,
                name: owner["name"].text(),
            };
            cluster.etcd.get(&found).map(|_| found)
        })
        .collect()
}
