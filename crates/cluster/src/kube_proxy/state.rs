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

/// The Services and EndpointSlices of one family, as one kube-proxy sees them.
#[derive(Clone, Debug, Default)]
pub struct State {
    family: Family,
    services: BTreeMap<NamespacedName, Arc<ServiceEntry>>,
    slices: BTreeMap<NamespacedName, BTreeMap<Text, Arc<Slice>>>,
    /// Which Service a slice was last seen to belong to: namespace and slice name to the key.
    slice_owners: BTreeMap<NamespacedName, NamespacedName>,
    endpoint_count: usize,
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
        let mut state = State::new(family);
        let mut services = Vec::new();
        for object in objects {
            match object["kind"].str() {
                "Service" => services.push(object),
                "EndpointSlice" => state.apply_slice(object),
                _ => {}
            }
        }
        for service in services {
            state.apply_service(service);
        }
        state
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

    /// Whether this many endpoints make a large cluster.
    pub fn is_large(&self) -> bool {
        self.endpoint_count > LARGE_CLUSTER_ENDPOINTS
    }

    /// A Service was added or changed.
    pub fn apply_service(&mut self, service: &Value) {
        let key = NamespacedName::of(service);
        let mut ports = service_ports(service, self.family);
        ports.sort_by(|a, b| (&a.port_name, a.protocol).cmp(&(&b.port_name, b.protocol)));
        self.replace(key, ports);
    }

    /// A Service was deleted.
    pub fn delete_service(&mut self, key: &NamespacedName) {
        self.replace(key.clone(), Vec::new());
    }

    /// An EndpointSlice was added or changed.
    pub fn apply_slice(&mut self, slice: &Value) {
        let key = NamespacedName::of(slice);
        let owner = NamespacedName {
            namespace: key.namespace.clone(),
            name: slice.at(&["metadata", "labels", SERVICE_NAME]).text(),
        };
        if self.slice_owners.get(&key).is_some_and(|old| *old != owner) {
            self.delete_slice(&key);
        }
        match Slice::from_object(slice, self.family).filter(|_| !owner.name.is_empty()) {
            Some(content) => {
                let slices = self.slices.entry(owner.clone()).or_default();
                slices.insert(key.name.clone(), Arc::new(content));
                self.slice_owners.insert(key, owner.clone());
                self.refresh(&owner);
            }
            None => self.delete_slice(&key),
        }
    }

    /// An EndpointSlice was deleted.
    pub fn delete_slice(&mut self, key: &NamespacedName) {
        let Some(owner) = self.slice_owners.remove(key) else {
            return;
        };
        if let Some(slices) = self.slices.get_mut(&owner) {
            slices.remove(&key.name);
            if slices.is_empty() {
                self.slices.remove(&owner);
            }
        }
        self.refresh(&owner);
    }

    /// Reads a Service's endpoints anew.
    fn refresh(&mut self, key: &NamespacedName) {
        if let Some(entry) = self.services.get(key) {
            let ports = entry.ports.iter().map(|p| p.port.clone()).collect();
            self.replace(key.clone(), ports);
        }
    }

    /// Puts a Service's entry in place, keeping the old one (and its identity) where nothing changed.
    fn replace(&mut self, key: NamespacedName, ports: Vec<ServicePort>) {
        let slices = self.slices.get(&key);
        let ports = ports.into_iter().map(|port| {
            let slices = slices.into_iter().flat_map(|s| s.values());
            let endpoints = endpoints_of(&port, slices.map(|s| &**s));
            Arc::new(PortEntry::new(port, endpoints))
        });
        let new = ServiceEntry {
            ports: ports.collect(),
        };
        let count =
            |entry: &ServiceEntry| -> usize { entry.ports.iter().map(|p| p.endpoints.len()).sum() };
        let old = self.services.get(&key);
        if old.is_some_and(|old| **old == new) {
            return;
        }
        self.endpoint_count -= old.map_or(0, |old| count(old));
        self.endpoint_count += count(&new);
        if new.ports.is_empty() {
            self.services.remove(&key);
        } else {
            self.services.insert(key, Arc::new(new));
        }
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
