//! The map as signals: one for each thing that is drawn, so that a change touches only what shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubarium_snapshot::MapChange;
use kubarium_snapshot::geometry::Rect;
use kubarium_snapshot::map::{Corridor, Host, Office, PodBox, Room, ServiceLabel};
use leptos::prelude::*;

/// A room: its frame, and the ids of its pods.
#[derive(Clone)]
pub(crate) struct RoomSignals {
    /// The room without its pods.
    pub(crate) frame: ArcRwSignal<Room>,
    /// Its pods, in the order in which they came.
    pub(crate) pods: ArcRwSignal<Vec<String>>,
}

/// A part of what a signal holds: it changes only when the part does.
pub(crate) fn part<T, U>(of: &ArcRwSignal<T>, what: fn(&T) -> U) -> Memo<U>
where
    T: Send + Sync + 'static,
    U: PartialEq + Send + Sync + 'static,
{
    let of = of.clone();
    Memo::new(move |_| what(&of.read()))
}

#[derive(Default)]
struct Parts {
    rooms: BTreeMap<String, RoomSignals>,
    pods: BTreeMap<String, ArcRwSignal<PodBox>>,
    services: BTreeMap<String, ArcRwSignal<ServiceLabel>>,
    /// How many pods and Services each namespace has.
    namespaces: BTreeMap<String, usize>,
}

impl Parts {
    fn come(&mut self, namespace: &str) {
        match self.namespaces.get_mut(namespace) {
            Some(count) => *count += 1,
            None => drop(self.namespaces.insert(namespace.to_owned(), 1)),
        }
    }

    fn go(&mut self, namespace: &str) {
        if let Some(count) = self.namespaces.get_mut(namespace) {
            *count -= 1;
            if *count == 0 {
                self.namespaces.remove(namespace);
            }
        }
    }
}

/// The map as signals.
#[derive(Clone, Copy)]
pub(crate) struct Picture {
    parts: StoredValue<Parts, LocalStorage>,
    /// Its size.
    pub(crate) bounds: RwSignal<Rect>,
    /// The control plane.
    pub(crate) office: RwSignal<Office>,
    /// The segments.
    pub(crate) corridors: RwSignal<Vec<Corridor>>,
    /// The hosts outside.
    pub(crate) hosts: RwSignal<Vec<Host>>,
    /// The ids of the rooms, in order.
    pub(crate) rooms: RwSignal<Vec<String>>,
    /// The ids of the Services, in order.
    pub(crate) services: RwSignal<Vec<String>>,
    /// The namespaces of the pods and Services, in order.
    pub(crate) namespaces: RwSignal<Vec<String>>,
    /// Counts how often pods came, went or got an address: what changes who can send a request.
    pub(crate) senders: RwSignal<u32>,
    /// Where pods were that went a moment ago, each with a number.
    pub(crate) gone: RwSignal<Vec<(u32, Rect)>>,
}

/// For how long the place of a pod that went is shown, and the most of them.
const GONE: Duration = Duration::from_millis(400);
const GONE_MAX: usize = 50;

impl Picture {
    /// An empty one.
    pub(crate) fn new() -> Picture {
        Picture {
            parts: StoredValue::new_local(Parts::default()),
            bounds: RwSignal::new(Rect::default()),
            office: RwSignal::new(Office::default()),
            corridors: RwSignal::new(Vec::new()),
            hosts: RwSignal::new(Vec::new()),
            rooms: RwSignal::new(Vec::new()),
            services: RwSignal::new(Vec::new()),
            namespaces: RwSignal::new(Vec::new()),
            senders: RwSignal::new(0),
            gone: RwSignal::new(Vec::new()),
        }
    }

    /// A room's signals; none where there is no such room.
    pub(crate) fn room(self, id: &str) -> Option<RoomSignals> {
        self.parts.with_value(|parts| parts.rooms.get(id).cloned())
    }

    /// A pod's signal.
    pub(crate) fn pod(self, id: &str) -> Option<ArcRwSignal<PodBox>> {
        self.parts.with_value(|parts| parts.pods.get(id).cloned())
    }

    /// A Service's signal.
    pub(crate) fn service(self, id: &str) -> Option<ArcRwSignal<ServiceLabel>> {
        self.parts
            .with_value(|parts| parts.services.get(id).cloned())
    }

    /// Sets what a change names, and nothing else. Parts are there before the lists that name them.
    pub(crate) fn apply(self, change: &MapChange) {
        self.show_gone(change);
        self.parts
            .update_value(|parts| self.apply_to(parts, change));
        self.parts.with_value(|parts| {
            let known = self.namespaces.read_untracked();
            if !known.iter().eq(parts.namespaces.keys()) {
                drop(known);
                self.namespaces
                    .set(parts.namespaces.keys().cloned().collect());
            }
        });
        if let Some(bounds) = change.bounds {
            self.bounds.set(bounds);
        }
        if let Some(office) = &change.office {
            self.office.set(office.clone());
        }
        if let Some(corridors) = &change.corridors {
            self.corridors.set(corridors.clone());
        }
        if let Some(hosts) = &change.hosts {
            self.hosts.set(hosts.clone());
        }
        if let Some(order) = &change.room_order {
            self.rooms.set(order.clone());
        }
        if let Some(order) = &change.service_order {
            self.services.set(order.clone());
        }
    }

    /// Shows for a moment where pods were that go now; where very many go at once, there is nothing to see.
    fn show_gone(self, change: &MapChange) {
        if change.pods_gone.is_empty() || change.pods_gone.len() > GONE_MAX {
            return;
        }
        let places = change
            .pods_gone
            .iter()
            .filter_map(|(_, id)| Some(self.pod(id)?.read_untracked().rect));
        let places: Vec<Rect> = places.collect();
        let first = (self.gone.read_untracked().last()).map_or(0, |(last, _)| last.wrapping_add(1));
        let count = places.len();
        let numbered = (places.into_iter().enumerate())
            .map(|(n, place)| (first.wrapping_add(n as u32), place));
        self.gone.update(|gone| gone.extend(numbered));
        set_timeout(
            move || {
                self.gone.update(|gone| {
                    gone.drain(..count.min(gone.len()));
                });
            },
            GONE,
        );
    }

    fn apply_to(self, parts: &mut Parts, change: &MapChange) {
        for room in &change.rooms {
            match parts.rooms.get(&room.id) {
                Some(known) => known.frame.set(room.clone()),
                None => {
                    let signals = RoomSignals {
                        frame: ArcRwSignal::new(room.clone()),
                        pods: ArcRwSignal::new(Vec::new()),
                    };
                    parts.rooms.insert(room.id.clone(), signals);
                }
            }
        }
        // The rooms whose lists change, with what leaves and what comes.
        let mut lists: BTreeMap<String, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
        let mut senders = !change.pods_gone.is_empty();
        for (room, id) in &change.pods_gone {
            if let Some(pod) = parts.pods.remove(id) {
                parts.go(&pod.read_untracked().namespace);
            }
            lists.entry(room.clone()).or_default().0.push(id);
        }
        for (room, pod) in &change.pods {
            match parts.pods.get_mut(&pod.id) {
                Some(known) => {
                    senders |= known.read_untracked().address != pod.address;
                    known.set(pod.clone());
                }
                None => {
                    senders = true;
                    let signal = ArcRwSignal::new(pod.clone());
                    parts.pods.insert(pod.id.clone(), signal);
                    parts.come(&pod.namespace);
                    lists.entry(room.clone()).or_default().1.push(&pod.id);
                }
            }
        }
        for (room, (gone, new)) in lists {
            if let Some(room) = parts.rooms.get(&room) {
                room.pods.update(|pods| {
                    pods.retain(|id| !gone.contains(&id.as_str()));
                    pods.extend(new.into_iter().map(str::to_owned));
                });
            }
        }
        for service in &change.services {
            match parts.services.get(&service.id) {
                Some(known) => known.set(service.clone()),
                None => {
                    let signal = ArcRwSignal::new(service.clone());
                    parts.services.insert(service.id.clone(), signal);
                    parts.come(&service.namespace);
                }
            }
        }
        if let Some(order) = &change.service_order {
            let order: BTreeSet<&String> = order.iter().collect();
            let gone = parts.services.extract_if(.., |id, _| !order.contains(id));
            let gone: Vec<_> = gone.map(|(_, service)| service).collect();
            for service in gone {
                parts.go(&service.read_untracked().namespace);
            }
        }
        if let Some(order) = &change.room_order {
            parts.rooms.retain(|id, _| order.contains(id));
        }
        if senders {
            self.senders.update(|times| *times = times.wrapping_add(1));
        }
    }
}
