//! The scheduler's cache: nodes with the pods on them, and counts of pods that selectors ask for,
//! all kept up to date change by change, so that a decision scans no pods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kubarium_objects::selector::Selector;
use kubarium_objects::{ObjectKey, Text, Value};

use super::devices::{DeviceId, held};
use super::node::{Brief, NodeInfo};
use super::pod::{Needs, PodInfo, Term};
use crate::controllers::pods;
use crate::etcd::Etcd;
use crate::index::Indexes;

/// More counters than this are forgotten; they are made again when they are asked for.
const COUNTERS_MAX: usize = 4096;

/// How many pods that a selector means are on each node (by its place).
#[derive(Clone, Debug, Default)]
pub(super) struct Counter {
    selector: Selector,
    /// All such pods; those that nobody is deleting. By place, lowest first.
    nodes: Vec<(usize, (i64, i64))>,
}

/// Existing pods' terms that are alike, with the nodes where such pods are.
#[derive(Clone, Debug)]
pub(super) struct TermGroup {
    pub term: Term,
    pub nodes: BTreeMap<usize, i64>,
}

/// What an existing pod's term means for an incoming one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TermKind {
    /// Keeps it away.
    Anti,
    /// Counts for (or against) its topology by that much.
    Score(i64),
}

/// The stored objects, with what is known beside them.
#[derive(Clone, Copy)]
pub(super) struct Store<'a> {
    pub etcd: &'a Etcd,
    pub index: &'a Indexes,
}

/// Image names with their sizes.
pub(super) type Images = Arc<BTreeMap<Text, i64>>;

/// A namespace and a selector's text.
type CounterKey = (Text, Text);
/// A namespace and the label that all pods of a counter carry; empty for those that have none.
type CounterLabel = (Text, Text, Text);

/// The sets of images that nodes have: most have one of a few. Each has a number, 0 is the empty one, and how many
/// nodes have it.
#[derive(Clone, Debug, Default)]
struct ImageSets {
    known: BTreeMap<Images, (u32, usize)>,
    last: u32,
}

impl ImageSets {
    /// A node has these images now instead of those; the set's number.
    fn change(&mut self, before: &Images, after: &Images) -> u32 {
        if let Some((_, nodes)) = self.known.get_mut(before) {
            *nodes -= 1;
            if *nodes == 0 {
                self.known.remove(before);
            }
        }
        if after.is_empty() {
            return 0;
        }
        let (number, nodes) = self.known.entry(after.clone()).or_insert_with(|| {
            self.last += 1;
            (self.last, 0)
        });
        *nodes += 1;
        *number
    }
}

/// Nodes and pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    /// In the order in which they joined; a node that left leaves `None` until the places are
    /// counted anew.
    nodes: Vec<Option<Arc<NodeInfo>>>,
    /// Of each of them what most decisions ask.
    briefs: Vec<Brief>,
    places: Arc<BTreeMap<Text, usize>>,
    /// The places of the nodes there are.
    order: Arc<Vec<usize>>,
    counters: BTreeMap<CounterKey, Arc<Counter>>,
    by_label: BTreeMap<CounterLabel, Arc<Vec<CounterKey>>>,
    groups: BTreeMap<(TermKind, Text), Arc<TermGroup>>,
    /// How many nodes have each image.
    pub images: Images,
    image_sets: ImageSets,
    /// The devices that claims have.
    pub devices: Arc<BTreeSet<DeviceId>>,
    /// What the pod that was put on a node last needs: the next often needs the same, and shares it.
    needs: Arc<Needs>,
    /// Pods bound to nodes that are not known (yet).
    homeless: BTreeMap<Text, Vec<Arc<PodInfo>>>,
}

impl Cache {
    /// The places of all nodes, in the order in which they joined.
    pub fn order(&self) -> Arc<Vec<usize>> {
        self.order.clone()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// All places are lower than this.
    pub fn places(&self) -> usize {
        self.nodes.len()
    }

    /// The node at a place.
    pub fn node(&self, place: usize) -> Option<&Arc<NodeInfo>> {
        self.nodes.get(place)?.as_ref()
    }

    /// The place of a node.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The node at a place, in brief.
    pub fn brief(&self, place: usize) -> &Brief {
        self.briefs.get(place).unwrap_or(&Brief::NOWHERE)
    }

    /// To be called whenever a node has changed.
    fn note(&mut self, place: usize) {
        if self.briefs.len() < self.nodes.len() {
            self.briefs.resize(self.nodes.len(), Brief::NOWHERE);
        }
        let node = self.nodes.get(place).and_then(Option::as_ref);
        if let Some(brief) = self.briefs.get_mut(place) {
            *brief = node.map_or(Brief::NOWHERE, |node| Brief::of(node));
        }
    }

    /// All nodes with their places.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &Arc<NodeInfo>)> {
        self.order
            .iter()
            .filter_map(|at| Some((*at, self.node(*at)?)))
    }

    /// A node was made or changed.
    pub fn set_node(&mut self, node: &Value) {
        let name = node["metadata"]["name"].text();
        let place = match self.places.get(&name) {
            Some(place) => *place,
            None => {
                let place = self.nodes.len();
                self.nodes.push(Some(Arc::default()));
                Arc::make_mut(&mut self.places).insert(name.clone(), place);
                Arc::make_mut(&mut self.order).push(place);
                place
            }
        };
        let Some(info) = self.nodes.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let before = info.images.clone();
        let info = Arc::make_mut(info);
        info.set(node);
        let after = info.images.clone();
        if !Arc::ptr_eq(&before, &after) {
            info.image_set = self.image_sets.change(&before, &after);
            self.count_images(&before, &after);
        }
        self.note(place);
        for pod in self.homeless.remove(&name).unwrap_or_default() {
            self.add_pod(&name, pod);
        }
    }

    /// A node is gone; its pods are left without one until they are deleted.
    pub fn remove_node(&mut self, name: &str) {
        let Some(place) = Arc::make_mut(&mut self.places).remove(name) else {
            return;
        };
        Arc::make_mut(&mut self.order).retain(|at| *at != place);
        let Some(info) = self.nodes.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.note(place);
        let none = Images::default();
        self.image_sets.change(&info.images, &none);
        self.count_images(&info.images, &none);
        for pod in info.pods.values() {
            self.count(place, pod, -1);
        }
        self.homeless
            .insert(name.into(), info.pods.values().cloned().collect());
    }

    fn count_images(&mut self, before: &Images, after: &Images) {
        let images = Arc::make_mut(&mut self.images);
        before
            .keys()
            .for_each(|name| *images.entry(name.clone()).or_default() -= 1);
        after
            .keys()
            .for_each(|name| *images.entry(name.clone()).or_default() += 1);
        images.retain(|_, count| *count > 0);
    }

    /// A pod is bound to a node (or changed there).
    pub fn set_pod(&mut self, node: &str, key: &ObjectKey, pod: &Value) {
        self.remove_pod(node, key);
        let mut info = PodInfo::new(key, pod);
        match info.needs == self.needs {
            true => info.needs = self.needs.clone(),
            false => self.needs = info.needs.clone(),
        }
        self.add_pod(&node.into(), Arc::new(info));
    }

    /// A pod on a node has changed in what means nothing to others.
    pub fn renew_pod(&mut self, node: &str, key: &ObjectKey, pod: &Value) {
        let place = self.place(node).and_then(|place| self.nodes.get_mut(place));
        if let Some(info) = place.and_then(Option::as_mut)
            && let Some(known) = Arc::make_mut(info).pods.get_mut(key)
        {
            Arc::make_mut(known).object = pod.clone();
        }
    }

    fn add_pod(&mut self, node: &Text, pod: Arc<PodInfo>) {
        let Some(place) = self.place(node) else {
            self.homeless.entry(node.clone()).or_default().push(pod);
            return;
        };
        if let Some(info) = self.nodes.get_mut(place).and_then(Option::as_mut) {
            Arc::make_mut(info).add(&pod);
            self.note(place);
            self.count(place, &pod, 1);
        }
    }

    /// A pod is no longer on a node.
    pub fn remove_pod(&mut self, node: &str, key: &ObjectKey) {
        let Some(place) = self.place(node) else {
            if let Some(pods) = self.homeless.get_mut(node) {
                pods.retain(|pod| pod.key != *key);
            }
            return;
        };
        let info = self.nodes.get_mut(place).and_then(Option::as_mut);
        if let Some(info) = info.filter(|info| info.pods.get(key).is_some())
            && let Some(pod) = Arc::make_mut(info).remove(key)
        {
            self.note(place);
            self.count(place, &pod, -1);
        }
    }

    /// A claim of devices was made, changed or removed.
    pub fn change_claim(&mut self, old: Option<&Value>, new: Option<&Value>) {
        let held =
            |claim: Option<&Value>| -> Vec<DeviceId> { claim.into_iter().flat_map(held).collect() };
        let (before, after) = (held(old), held(new));
        if before != after {
            let devices = Arc::make_mut(&mut self.devices);
            before.iter().for_each(|id| _ = devices.remove(id));
            devices.extend(after);
        }
    }

    // --- Counts ---------------------------------------------------------------------------------

    fn count(&mut self, place: usize, pod: &PodInfo, sign: i64) {
        let none = Text::from("");
        let any = (none.clone(), none);
        let labels = pod
            .labels
            .entries()
            .iter()
            .map(|(k, v)| (k.clone(), v.text()))
            .chain([any]);
        for (key, value) in labels {
            if self.by_label.is_empty() {
                break;
            }
            let Some(counters) = self
                .by_label
                .get(&(pod.key.namespace.clone(), key, value))
                .cloned()
            else {
                continue;
            };
            for at in counters.iter() {
                if let Some(counter) = self
                    .counters
                    .get_mut(at)
                    .filter(|c| c.selector.matches(&pod.labels))
                {
                    Arc::make_mut(counter).add(place, pod, sign);
                }
            }
        }
        if pod.terms.any() {
            self.count_terms(place, pod, sign);
        }
    }

    fn count_terms(&mut self, place: usize, pod: &PodInfo, sign: i64) {
        let anti = pod.terms.anti_affinity.iter().map(|t| (TermKind::Anti, t));
        // The scheduler's hardPodAffinityWeight is 1.
        let hard = pod.terms.affinity.iter().map(|t| (TermKind::Score(1), t));
        let soft = pod
            .terms
            .preferred
            .iter()
            .map(|(w, t)| (TermKind::Score(*w), t));
        let against = pod
            .terms
            .preferred_anti
            .iter()
            .map(|(w, t)| (TermKind::Score(-w), t));
        for (kind, term) in anti.chain(hard).chain(soft).chain(against) {
            let at = (kind, term.id.clone());
            let new = || {
                Arc::new(TermGroup {
                    term: term.clone(),
                    nodes: BTreeMap::new(),
                })
            };
            let group = Arc::make_mut(self.groups.entry(at.clone()).or_insert_with(new));
            let count = group.nodes.entry(place).or_default();
            *count += sign;
            if *count == 0 {
                group.nodes.remove(&place);
            }
            if group.nodes.is_empty() {
                self.groups.remove(&at);
            }
        }
    }

    /// Existing pods' terms.
    pub fn groups(&self) -> impl Iterator<Item = (TermKind, &TermGroup)> {
        self.groups
            .iter()
            .map(|((kind, _), group)| (*kind, &**group))
    }

    /// How many pods of a namespace a selector means, by node. The first time this looks at the
    /// pods that carry one of its labels; from then on it is kept.
    pub fn counter(
        &mut self,
        store: Store<'_>,
        namespace: &Text,
        selector: &Selector,
    ) -> Arc<Counter> {
        if selector.is_nothing() {
            return Arc::default();
        }
        let at: CounterKey = (namespace.clone(), selector.to_string().into());
        if let Some(counter) = self.counters.get(&at) {
            return counter.clone();
        }
        if self.counters.len() >= COUNTERS_MAX {
            self.counters.clear();
            self.by_label.clear();
        }
        let mut counter = Counter {
            selector: selector.clone(),
            nodes: Vec::new(),
        };
        let none = Text::from("");
        let label = selector
            .exact()
            .next()
            .map_or((none.clone(), none), |(k, v)| (k.clone(), v.clone()));
        if label.0.is_empty() {
            for (place, node) in self.nodes() {
                let pods = node
                    .pods
                    .values()
                    .filter(|p| p.key.namespace == *namespace && selector.matches(&p.labels));
                pods.for_each(|pod| counter.add(place, pod, 1));
            }
        } else {
            for (place, pod) in store
                .index
                .pods_labelled(namespace, &label.0, &label.1)
                .filter_map(|key| self.find(store.etcd, key))
            {
                if selector.matches(&pod.labels) {
                    counter.add(place, pod, 1);
                }
            }
        }
        let counter = Arc::new(counter);
        self.counters.insert(at.clone(), counter.clone());
        Arc::make_mut(
            self.by_label
                .entry((namespace.clone(), label.0, label.1))
                .or_default(),
        )
        .push(at);
        counter
    }

    fn find(&self, etcd: &Etcd, key: &ObjectKey) -> Option<(usize, &Arc<PodInfo>)> {
        let place = self.place(etcd.get(key)?["spec"]["nodeName"].as_str()?)?;
        Some((place, self.node(place)?.pods.get(key)?))
    }
}

impl Counter {
    /// All such pods, and those that nobody is deleting, of each node that has any.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, (i64, i64))> {
        self.nodes.iter().copied()
    }

    /// The same of one node.
    pub fn on(&self, place: usize) -> (i64, i64) {
        let at = self.nodes.binary_search_by_key(&place, |node| node.0);
        let node = at.ok().and_then(|at| self.nodes.get(at));
        node.map_or((0, 0), |node| node.1)
    }

    fn add(&mut self, place: usize, pod: &PodInfo, sign: i64) {
        let at = match self.nodes.binary_search_by_key(&place, |node| node.0) {
            Ok(at) => at,
            Err(at) => {
                self.nodes.insert(at, (place, (0, 0)));
                at
            }
        };
        let (_, counts) = &mut self.nodes[at];
        counts.0 += sign;
        if !pod.deleting {
            counts.1 += sign;
        }
        if *counts == (0, 0) {
            self.nodes.remove(at);
        }
    }
}

/// Whether a pod takes room on its node.
pub(super) fn occupies(pod: &Value) -> bool {
    !pod["spec"]["nodeName"].is_empty() && !pods::is_over(pod)
}
