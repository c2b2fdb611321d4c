//! Who owns whom: the graph of an object's owners and dependents.

use std::collections::BTreeMap;

use kubarium_cluster::Cluster;
use kubarium_objects::ObjectKey;
use petgraph::graph::{DiGraph, NodeIndex};

/// The most objects that are followed.
const OBJECTS_MAX: usize = 500;

/// The objects above and below `key`, with an edge from each owner to its dependent. Empty when
/// there is no such object.
pub fn kinship(cluster: &Cluster, key: &ObjectKey) -> DiGraph<ObjectKey, ()> {
    let mut graph = DiGraph::new();
    if cluster.etcd.get(key).is_none() {
        return graph;
    }
    let mut known = BTreeMap::new();
    // Up to the eldest, then down from each.
    let mut eldest = vec![key.clone()];
    let mut above = owners(cluster, key);
    while let Some(owner) = above.pop() {
        if eldest.len() < OBJECTS_MAX && !eldest.contains(&owner) {
            above.extend(owners(cluster, &owner));
            eldest.push(owner);
        }
    }
    let mut below: Vec<ObjectKey> = eldest;
    while let Some(owner) = below.pop() {
        let from = node(&mut graph, &mut known, &owner);
        let uid = cluster
            .etcd
            .get(&owner)
            .map(|o| o["metadata"]["uid"].text())
            .unwrap_or_default();
        for dependent in cluster.index.dependents(&uid) {
            if known.len() >= OBJECTS_MAX {
                return graph;
            }
            if !known.contains_key(dependent) {
                below.push(dependent.clone());
            }
            let to = node(&mut graph, &mut known, dependent);
            graph.update_edge(from, to, ());
        }
    }
    graph
}

fn node(
    graph: &mut DiGraph<ObjectKey, ()>,
    known: &mut BTreeMap<ObjectKey, NodeIndex>,
    key: &ObjectKey,
) -> NodeIndex {
    *known
        .entry(key.clone())
        .or_insert_with(|| graph.add_node(key.clone()))
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
