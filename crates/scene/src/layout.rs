//! Which place each pod has in its node's room, so that nothing moves when something else comes
//! or goes.
//!
//! A pod keeps its slot for life. When it goes, its slot stays empty for a moment, so that the gap
//! can be seen, and is then given to the next newcomer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubarium_cluster::{Cluster, Time};
use kubarium_objects::{ObjectKey, Text};

/// How long a gap stays.
const GAP: Duration = Duration::from_secs(3);
/// Above so many pods in a room more are expected: rooms that grow, grow by a quarter, so that they seldom do.
pub(crate) const MANY: usize = 20;

#[derive(Clone, Debug, PartialEq)]
enum Slot {
    Taken(ObjectKey, Text),
    Free(Time),
}

/// The slots of all rooms. Keep one for a picture, and [`Layout::update`] it before each scene.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    rooms: BTreeMap<Text, Vec<Slot>>,
    /// Where each pod is.
    places: BTreeMap<ObjectKey, (Text, usize)>,
    capacity: usize,
    /// How many rooms stand beside each other; 0 for as many as look well.
    pub across: usize,
}

impl Layout {
    /// Takes the cluster's pods into account.
    pub fn update(&mut self, cluster: &Cluster) {
        let nodes: BTreeSet<Text> = cluster
            .etcd
            .list("nodes", None)
            .map(|(node, _)| node.name.clone())
            .collect();
        self.rooms.retain(|node, _| nodes.contains(node));
        self.places.retain(|_, (node, _)| nodes.contains(node));
        for node in &nodes {
            self.rooms.entry(node.clone()).or_default();
        }
        self.update_rooms(cluster, &nodes);
    }

    /// Takes the pods of some nodes into account, where nothing has happened on the others; whether all rooms become
    /// bigger or smaller by that.
    pub(crate) fn update_rooms(&mut self, cluster: &Cluster, nodes: &BTreeSet<Text>) -> bool {
        for node in nodes {
            self.room(cluster, node);
        }
        for slots in self.rooms.values_mut() {
            while matches!(slots.last(), Some(Slot::Free(until)) if *until <= cluster.now) {
                slots.pop();
            }
        }
        // Rooms grow when they must, and shrink only when most of them has long been empty: nothing shall jump.
        let fullest = self.rooms.values().map(Vec::len).max().unwrap_or(0);
        let changes = fullest > self.capacity || fullest * 3 < self.capacity;
        if changes {
            let spare = if fullest > MANY { fullest / 4 } else { 0 };
            self.capacity = fullest + spare;
        }
        changes
    }

    fn room(&mut self, cluster: &Cluster, node: &Text) {
        let Some(slots) = self.rooms.get_mut(node) else {
            return;
        };
        let mut present: BTreeMap<(u64, ObjectKey), Text> = BTreeMap::new();
        for key in cluster.index.pods_on(node) {
            if let Some(stored) = cluster.etcd.stored(key) {
                present.insert(
                    (stored.create_revision, key.clone()),
                    stored.object()["metadata"]["uid"].text(),
                );
            }
        }
        for slot in slots.iter_mut() {
            if let Slot::Taken(key, uid) = slot {
                let still = cluster
                    .etcd
                    .stored(key)
                    .map(|s| (s.create_revision, key.clone()))
                    .filter(|at| present.get(at) == Some(uid));
                match still {
                    Some(at) => drop(present.remove(&at)),
                    None => {
                        // It may be in another room already.
                        if self.places.get(key).is_some_and(|(at, _)| at == node) {
                            self.places.remove(key);
                        }
                        *slot = Slot::Free(cluster.now + GAP);
                    }
                }
            }
        }
        for ((_, key), uid) in present {
            // After going back in time a gap's end can lie far ahead; it counts from now then.
            let over = |until: &Time| *until <= cluster.now || *until > cluster.now + GAP;
            let free = slots
                .iter()
                .position(|s| matches!(s, Slot::Free(until) if over(until)));
            let at = free.unwrap_or(slots.len());
            self.places.insert(key.clone(), (node.clone(), at));
            let taken = Slot::Taken(key, uid);
            match slots.get_mut(at) {
                Some(slot) => *slot = taken,
                None => slots.push(taken),
            }
        }
    }

    /// The node and the slot of a pod.
    pub(crate) fn place(&self, pod: &ObjectKey) -> Option<(&Text, usize)> {
        self.places.get(pod).map(|(node, slot)| (node, *slot))
    }

    /// The pods of a node with their slots.
    pub fn pods<'a>(
        &'a self,
        node: &str,
    ) -> impl Iterator<Item = (usize, &'a ObjectKey)> + use<'a> {
        let slots = self.rooms.get(node).map(Vec::as_slice).unwrap_or_default();
        slots
            .iter()
            .enumerate()
            .filter_map(|(at, slot)| match slot {
                Slot::Taken(key, _) => Some((at, key)),
                Slot::Free(_) => None,
            })
    }

    /// How many slots every room has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}
