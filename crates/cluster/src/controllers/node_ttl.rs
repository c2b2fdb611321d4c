//! ttl-controller: tells each node how long its kubelet may go by a ConfigMap or Secret that it has read:
//! the longer, the more nodes there are (kubernetes v1.37, `pkg/controller/ttl`).

use kubarium_objects::{ObjectKey, ObjectMeta};

use super::{Controller, Outcome, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;

const ANNOTATION: &str = "node.alpha.kubernetes.io/ttl";
/// From how many nodes to how many which seconds are told. The ranges overlap, so that a cluster that
/// grows and shrinks by a few nodes does not go to and fro.
const RANGES: [(usize, usize, u32); 5] = [
    (0, 100, 0),
    (90, 500, 15),
    (450, 1000, 30),
    (900, 2000, 60),
    (1800, usize::MAX, 300),
];

pub(super) const CONTROLLER: Controller = Controller {
    name: "ttl-controller",
    observe,
    size: small,
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let node = &*change.key.resource == "nodes" && change.new.is_some();
    node.then(|| change.key.clone()).into_iter().collect()
}

/// The seconds for so many nodes, where these are told now.
fn seconds(nodes: usize, told: Option<u32>) -> u32 {
    let suits = |(least, most, _): &&(usize, usize, u32)| (*least..=*most).contains(&nodes);
    let mut suiting = RANGES.iter().filter(suits).map(|(.., seconds)| *seconds);
    let first = suiting.next().unwrap_or(0);
    told.filter(|told| suiting.any(|s| s == *told))
        .unwrap_or(first)
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(node) = cluster.etcd.get(key) else {
        return Ok(());
    };
    let told = node.annotation(ANNOTATION).and_then(|s| s.parse().ok());
    let seconds = seconds(cluster.etcd.count("nodes"), told);
    if told == Some(seconds) {
        return Ok(());
    }
    let annotate = |node: &mut kubarium_objects::Value| {
        node["metadata"]["annotations"][ANNOTATION] = seconds.to_string().into();
    };
    cluster
        .modify(by, key, Subresource::None, annotate)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn the_more_nodes_the_longer() {
        for (nodes, told, expected) in [
            (1, None, 0),
            (100, Some(0), 0),
            (101, Some(0), 15),
            (95, Some(15), 15),
            (95, None, 0),
            (89, Some(15), 0),
            (500, Some(15), 15),
            (501, Some(15), 30),
            (1900, Some(300), 300),
            (5000, Some(60), 300),
        ] {
            assert_eq!(seconds(nodes, told), expected, "{nodes} nodes, {told:?}");
        }
    }
}
