//! What differs between two maps, so that whoever draws them touches only that.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::geometry::Rect;
use crate::map::{Corridor, Host, Map, Office, PodBox, Room, ServiceLabel};

/// What makes one map of another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MapChange {
    /// The map's new size.
    pub bounds: Option<Rect>,
    /// The control plane.
    pub office: Option<Office>,
    /// The segments.
    pub corridors: Option<Vec<Corridor>>,
    /// The hosts outside.
    pub hosts: Option<Vec<Host>>,
    /// The ids of all rooms in their order, where rooms came or went.
    pub room_order: Option<Vec<String>>,
    /// Rooms that are new or differ, without their pods.
    pub rooms: Vec<Room>,
    /// Pods that are new or differ, with the id of their room.
    pub pods: Vec<(String, PodBox)>,
    /// Pods that are gone, or have come into another room: the id of the room that they were in, and their own.
    pub pods_gone: Vec<(String, String)>,
    /// The ids of all Services in their order, where Services came or went.
    pub service_order: Option<Vec<String>>,
    /// Services that are new or differ.
    pub services: Vec<ServiceLabel>,
    /// Whether anything that cables lead to has moved, come or gone: told to whoever makes the change, and not sent.
    #[serde(skip)]
    pub moves: bool,
}

impl MapChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == MapChange::default()
    }

    /// What makes `new` of `old`.
    pub fn between(old: &Map, new: &Map) -> MapChange {
        let mut change = MapChange {
            bounds: (old.bounds != new.bounds).then_some(new.bounds),
            office: (old.office != new.office).then(|| new.office.clone()),
            corridors: (old.corridors != new.corridors).then(|| new.corridors.clone()),
            hosts: (old.hosts != new.hosts).then(|| new.hosts.clone()),
            ..MapChange::default()
        };
        if !old
            .rooms
            .iter()
            .map(|r| &r.id)
            .eq(new.rooms.iter().map(|r| &r.id))
        {
            change.room_order = Some(new.rooms.iter().map(|r| r.id.clone()).collect());
        }
        change.moves = change.bounds.is_some()
            || change.corridors.is_some()
            || change.hosts.is_some()
            || change.room_order.is_some();
        let mut rooms: BTreeMap<&str, &Room> =
            old.rooms.iter().map(|r| (r.id.as_str(), r)).collect();
        for room in &new.rooms {
            change.add_room(rooms.remove(room.id.as_str()), room);
        }
        for room in rooms.into_values() {
            let pods = room.pods.iter();
            change
                .pods_gone
                .extend(pods.map(|pod| (room.id.clone(), pod.id.clone())));
        }
        if !old
            .services
            .iter()
            .map(|s| &s.id)
            .eq(new.services.iter().map(|s| &s.id))
        {
            change.service_order = Some(new.services.iter().map(|s| s.id.clone()).collect());
        }
        let services: BTreeMap<&str, &ServiceLabel> =
            old.services.iter().map(|s| (s.id.as_str(), s)).collect();
        let differs = |s: &&ServiceLabel| services.get(s.id.as_str()) != Some(s);
        change.services = new.services.iter().filter(differs).cloned().collect();
        change
    }

    /// Takes note of what differs in a room; all of a new one.
    pub fn add_room(&mut self, old: Option<&Room>, new: &Room) {
        if old.is_none_or(|old| !same_frame(old, new)) {
            self.rooms.push(frame(new));
            self.moves = true;
        }
        let pods = old.into_iter().flat_map(|old| &old.pods);
        let mut pods: BTreeMap<&str, &PodBox> = pods.map(|pod| (pod.id.as_str(), pod)).collect();
        for pod in &new.pods {
            let was = pods.remove(pod.id.as_str());
            if was != Some(pod) {
                let stays = was.is_some_and(|was| was.rect == pod.rect && was.cable == pod.cable);
                self.moves |= !stays;
                self.pods.push((new.id.clone(), pod.clone()));
            }
        }
        self.moves |= !pods.is_empty();
        let gone = pods.into_keys().map(|id| (new.id.clone(), id.to_owned()));
        self.pods_gone.extend(gone);
    }

    /// Makes the new map of the old one. Pods stand in the order of their places afterwards.
    pub fn apply(self, map: &mut Map) {
        map.bounds = self.bounds.unwrap_or(map.bounds);
        if let Some(office) = self.office {
            map.office = office;
        }
        if let Some(corridors) = self.corridors {
            map.corridors = corridors;
        }
        if let Some(hosts) = self.hosts {
            map.hosts = hosts;
        }
        for mut room in self.rooms {
            match map.rooms.iter_mut().find(|r| r.id == room.id) {
                Some(old) => {
                    room.pods = std::mem::take(&mut old.pods);
                    *old = room;
                }
                None => map.rooms.push(room),
            }
        }
        let mut pods: BTreeMap<String, (BTreeSet<String>, Vec<PodBox>)> = BTreeMap::new();
        for (room, id) in self.pods_gone {
            pods.entry(room).or_default().0.insert(id);
        }
        for (room, pod) in self.pods {
            let (gone, new) = pods.entry(room).or_default();
            gone.insert(pod.id.clone());
            new.push(pod);
        }
        let touched = map
            .rooms
            .iter_mut()
            .filter_map(|room| Some((pods.remove(&room.id)?, room)));
        for ((gone, new), room) in touched {
            room.pods.retain(|pod| !gone.contains(&pod.id));
            room.pods.extend(new);
            room.pods.sort_by_key(|pod| pod.slot);
        }
        if let Some(order) = self.room_order {
            arrange(&mut map.rooms, &order, |r| &r.id);
        }
        for service in self.services {
            match map.services.iter_mut().find(|s| s.id == service.id) {
                Some(old) => *old = service,
                None => map.services.push(service),
            }
        }
        if let Some(order) = self.service_order {
            arrange(&mut map.services, &order, |s| &s.id);
        }
    }
}

/// Puts a list into an order of ids; what the order does not name goes.
fn arrange<T>(list: &mut Vec<T>, order: &[String], id: impl Fn(&T) -> &String) {
    let at: BTreeMap<&str, usize> = order
        .iter()
        .enumerate()
        .map(|(n, id)| (id.as_str(), n))
        .collect();
    list.retain(|item| at.contains_key(id(item).as_str()));
    list.sort_by_key(|item| at.get(id(item).as_str()).copied());
}

/// A room without its pods.
fn frame(room: &Room) -> Room {
    Room {
        id: room.id.clone(),
        name: room.name.clone(),
        address: room.address.clone(),
        pod_cidr: room.pod_cidr.clone(),
        badge: room.badge.clone(),
        state: room.state,
        rect: room.rect,
        fixtures: room.fixtures.clone(),
        devices: room.devices.clone(),
        pods: Vec::new(),
        crowded: room.crowded,
    }
}

/// Whether two rooms are alike but for their pods.
fn same_frame(a: &Room, b: &Room) -> bool {
    a.name == b.name
        && a.address == b.address
        && a.pod_cidr == b.pod_cidr
        && a.badge == b.badge
        && a.state == b.state
        && a.rect == b.rect
        && a.fixtures == b.fixtures
        && a.devices == b.devices
        && a.crowded == b.crowded
}
