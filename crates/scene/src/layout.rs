//! Which place each pod has in its node's room, so that nothing moves when something else comes
//! or goes.
//!
//! A pod keeps its slot for life. When it goes, its slot stays empty for a moment, so that the gap
//! can be seen, and is then given to the next newcomer.

use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_cluster::{Cluster, Time};
use kubarium_objects::{ObjectKey, Text};

/// How long a gap stays.
const GAP: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, PartialEq)]
enum Slot {
    Taken(ObjectKey, Text),
    Free(Time),
}

/// The slots of all rooms. Keep one for a picture, and [`Layout::update`] it before each scene.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    rooms: BTreeMap<Text, Vec<Slot>>,
    capacity: usize,
    /// How many rooms stand beside each other; 0 for as many as look well.
    pub across: usize,
}

impl Layout {
    /// Takes the cluster's pods into account.
    pub fn update(&mut self, cluster: &Cluster) {
        self.rooms
            .retain(|node, _| cluster.find("nodes", "", node).is_some());
        for (node, _) in cluster.etcd.list("nodes", None) {
            self.room(cluster, &node.name);
        }
        // Rooms grow when they must, and shrink only when most of them has long been empty: nothing shall jump.
        let fullest = self.rooms.values().map(Vec::len).max().unwrap_or(0);
        if fullest > self.capacity || fullest * 3 < self.capacity {
            self.capacity = fullest;
        }
    }

    fn room(&mut self, cluster: &Cluster, node: &Text) {
        let slots = self.rooms.entry(node.clone()).or_default();
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
                    None => *slot = Slot::Free(cluster.now + GAP),
                }
            }
        }
        for ((_, key), uid) in present {
            let taken = Slot::Taken(key, uid);
            // After going back in time a gap's end can lie far ahead; it counts from now then.
            let over = |until: &Time| *until <= cluster.now || *until > cluster.now + GAP;
            match slots
                .iter_mut()
                .find(|s| matches!(s, Slot::Free(until) if over(until)))
            {
                Some(slot) => *slot = taken,
                None => slots.push(taken),
            }
        }
        while matches!(slots.last(), Some(Slot::Free(until)) if *until <= cluster.now) {
            slots.pop();
        }
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
