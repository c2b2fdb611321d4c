//! What a kube-proxy knows of Services and EndpointSlices, kept service by service, and what
//! changed between two such states.
//!
//! A state does not depend on the node, so all nodes that have seen the same objects share one
//! behind an `Arc`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kubarium_objects::{Text, Value};

use super::address::Family;
use super::endpoints::{
    Categorized, Endpoint, SERVICE_NAME, Slice, Topology, categorize, depends_on_node, endpoints_of,
};
use super::service::{NamespacedName, ServicePort, service_ports};

/// More endpoints than this, counted over all service ports, and rules lose some comments while
/// stale chains are removed more seldom (`largeClusterEndpointsThreshold`).
pub const LARGE_CLUSTER_ENDPOINTS: usize = 1000;

/// The Services of one family with their endpoints, at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    family: Family,
    services: BTreeMap<NamespacedName, Arc<ServiceEntry>>,
    endpoint_count: usize,
    health_check_ports: BTreeMap<u16, NamespacedName>,
}

/// One Service with at least one port, and the endpoints of its ports.
#[derive(Debug, PartialEq)]
pub struct ServiceEntry {
    /// Its ports by name, then protocol.
    pub ports: Vec<Arc<PortEntry>>,
}

/// One service port and its endpoints.
#[derive(Debug, PartialEq)]
pub struct PortEntry {
    /// The port.
    pub port: ServicePort,
    /// Its endpoints, each once, ordered by their text.
    pub endpoints: Vec<Endpoint>,
    /// What every node makes of it, where that does not depend on the node.
    shared: Option<Categorized>,
}

impl PortEntry {
    fn new(port: ServicePort, endpoints: Vec<Endpoint>) -> PortEntry {
        let shared = (!depends_on_node(&port, &endpoints))
            .then(|| categorize(&port, &endpoints, &Topology::default()));
        PortEntry {
            port,
            endpoints,
            shared,
        }
    }

    /// Which endpoints a node uses.
    pub fn categorized(&self, node: &Topology) -> Cow<'_, Categorized> {
        match &self.shared {
            Some(shared) => Cow::Borrowed(shared),
            None => Cow::Owned(categorize(&self.port, &self.endpoints, node)),
        }
    }
}

impl State {
    /// Nothing known yet.
    pub fn new(family: Family) -> State {
        State {
            family,
            ..State::default()
        }
    }

    /// The state that a list of objects makes: Services and EndpointSlices count, all else is
    /// passed over.
    pub fn from_objects<'a>(family: Family, objects: impl Iterator<Item = &'a Value>) -> State {
        let mut tracker = ChangeTracker::new(family);
        let mut services = Vec::new();
        for object in objects {
            match object["kind"].str() {
                "Service" => services.push(object),
                "EndpointSlice" => drop(tracker.apply_slice(object)),
                _ => {}
            }
        }
        for service in services {
            tracker.apply_service(service);
        }
        Arc::unwrap_or_clone(tracker.state)
    }

    /// The family that this is the state of.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The Services in order of namespace and name.
    pub fn services(&self) -> impl Iterator<Item = (&NamespacedName, &Arc<ServiceEntry>)> {
        self.services.iter()
    }

    /// One Service.
    pub fn service(&self, key: &NamespacedName) -> Option<&Arc<ServiceEntry>> {
        self.services.get(key)
    }

    /// The service ports in order of namespace, Service and port name.
    pub fn ports(&self) -> impl Iterator<Item = (&NamespacedName, &Arc<PortEntry>)> {
        self.services
            .iter()
            .flat_map(|(key, entry)| entry.ports.iter().map(move |port| (key, port)))
    }

    /// The ports of one Service.
    pub fn ports_of<'a>(
        &'a self,
        key: &'a NamespacedName,
    ) -> impl Iterator<Item = (&'a NamespacedName, &'a Arc<PortEntry>)> {
        let entry = self.services.get(key).into_iter();
        entry.flat_map(move |entry| entry.ports.iter().map(move |port| (key, port)))
    }

    /// The health check node ports, and whose they are.
    pub fn health_check_ports(&self) -> &BTreeMap<u16, NamespacedName> {
        &self.health_check_ports
    }

    /// Whether this many endpoints make a large cluster.
    pub fn is_large(&self) -> bool {
        self.endpoint_count > LARGE_CLUSTER_ENDPOINTS
    }

    /// The Services that were added, changed or deleted since `before`.
    pub fn changed_since(&self, before: &State) -> BTreeSet<NamespacedName> {
        let mut changed = BTreeSet::new();
        let gone = |key: &&NamespacedName| !self.services.contains_key(*key);
        changed.extend(before.services.keys().filter(gone).cloned());
        for (key, entry) in &self.services {
            let same = |old: &Arc<ServiceEntry>| Arc::ptr_eq(old, entry) || old == entry;
            if !before.services.get(key).is_some_and(same) {
                changed.insert(key.clone());
            }
        }
        changed
    }
}

/// Keeps a [`State`] up to date from the objects as they change.
#[derive(Clone, Debug, Default)]
pub struct ChangeTracker {
    state: Arc<State>,
    /// By the Service that they belong to, and their own name.
    slices: BTreeMap<(NamespacedName, Text), Arc<Slice>>,
    /// Which Service a slice was last seen to belong to.
    slice_owners: BTreeMap<NamespacedName, NamespacedName>,
}

impl ChangeTracker {
    /// Nothing known yet.
    pub fn new(family: Family) -> ChangeTracker {
        ChangeTracker {
            state: Arc::new(State::new(family)),
            ..ChangeTracker::default()
        }
    }

    /// What is known now.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// A Service was added or changed; whether that changes anything here.
    pub fn apply_service(&mut self, service: &Value) -> bool {
        let key = NamespacedName::of(service);
        let mut ports = service_ports(service, self.state.family);
        ports.sort_by(|a, b| (&a.port_name, a.protocol).cmp(&(&b.port_name, b.protocol)));
        self.replace(key, ports)
    }

    /// A Service was deleted; whether that changes anything here.
    pub fn delete_service(&mut self, key: &NamespacedName) -> bool {
        self.replace(key.clone(), Vec::new())
    }

    /// An EndpointSlice was added or changed; whether that changes anything here.
    pub fn apply_slice(&mut self, slice: &Value) -> bool {
        let key = NamespacedName::of(slice);
        let owner = NamespacedName {
            namespace: key.namespace.clone(),
            name: slice.at(&["metadata", "labels", SERVICE_NAME]).text(),
        };
        let mut changed = false;
        if self.slice_owners.get(&key).is_some_and(|old| *old != owner) {
            changed = self.delete_slice(&key);
        }
        let content = Slice::from_object(slice, self.state.family);
        match content.filter(|_| !owner.name.is_empty()) {
            Some(content) => {
                let place = (owner.clone(), key.name.clone());
                self.slices.insert(place, Arc::new(content));
                self.slice_owners.insert(key, owner.clone());
                self.refresh(&owner) || changed
            }
            None => self.delete_slice(&key) || changed,
        }
    }

    /// An EndpointSlice was deleted; whether that changes anything here.
    pub fn delete_slice(&mut self, key: &NamespacedName) -> bool {
        let Some(owner) = self.slice_owners.remove(key) else {
            return false;
        };
        let place = (owner, key.name.clone());
        self.slices.remove(&place);
        self.refresh(&place.0)
    }

    /// Reads a Service's endpoints anew.
    fn refresh(&mut self, key: &NamespacedName) -> bool {
        let Some(entry) = self.state.services.get(key) else {
            return false;
        };
        let ports = entry.ports.iter().map(|p| p.port.clone()).collect();
        self.replace(key.clone(), ports)
    }

    /// Puts a Service's entry in place, keeping the old one (and its identity) where nothing
    /// changed.
    fn replace(&mut self, key: NamespacedName, ports: Vec<ServicePort>) -> bool {
        let start = (key.clone(), Text::from(""));
        let own = self.slices.range(start..);
        let slices: Vec<&Slice> = own
            .take_while(|((owner, _), _)| *owner == key)
            .map(|(_, slice)| &**slice)
            .collect();
        let ports = ports.into_iter().map(|port| {
            let endpoints = endpoints_of(&port, slices.iter().copied());
            Arc::new(PortEntry::new(port, endpoints))
        });
        let new = ServiceEntry {
            ports: ports.collect(),
        };
        let count =
            |entry: &ServiceEntry| -> usize { entry.ports.iter().map(|p| p.endpoints.len()).sum() };
        let old = self.state.services.get(&key);
        let same = match old {
            Some(old) => **old == new,
            None => new.ports.is_empty(),
        };
        if same {
            return false;
        }
        let old_count = old.map_or(0, |old| count(old));
        let health = |entry: &ServiceEntry| -> u16 {
            let first = entry.ports.first();
            first.map_or(0, |entry| entry.port.health_check_node_port)
        };
        let (old_health, new_health) = (old.map_or(0, |old| health(old)), health(&new));
        let state = Arc::make_mut(&mut self.state);
        if old_health != new_health {
            state.health_check_ports.remove(&old_health);
            if new_health != 0 {
                state.health_check_ports.insert(new_health, key.clone());
            }
        }
        state.endpoint_count = state.endpoint_count - old_count + count(&new);
        if new.ports.is_empty() {
            state.services.remove(&key);
        } else {
            state.services.insert(key, Arc::new(new));
        }
        true
    }
}
