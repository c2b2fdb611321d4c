//! InterPodAffinity (kubernetes v1.37, `pkg/scheduler/framework/plugins/interpodaffinity`).

use std::collections::BTreeMap;

use kubarium_objects::selector::Selector;
use kubarium_objects::{ObjectKey, Text, Value};

use super::cache::{Cache, Store, TermKind};
use super::filter::{Failure, Reason};
use super::node::NodeInfo;
use super::pod::{PodInfo, Term};

/// Counts by topology key and value.
type Topology = BTreeMap<Text, BTreeMap<Text, i64>>;

fn add(topology: &mut Topology, key: &Text, node: &NodeInfo, amount: i64) {
    let Some(value) = node.label(key).filter(|_| amount != 0) else {
        return;
    };
    let values = topology.entry(key.clone()).or_default();
    let count = values.entry(value.clone()).or_default();
    *count += amount;
    if *count == 0 {
        values.remove(value);
        if values.is_empty() {
            topology.remove(key);
        }
    }
}

fn at(topology: &Topology, key: &str, value: &str) -> i64 {
    topology
        .get(key)
        .and_then(|values| values.get(value))
        .copied()
        .unwrap_or(0)
}

/// The labels of a namespace.
fn namespace_labels(store: Store<'_>, name: &Text) -> Value {
    let key = ObjectKey::new("namespaces", "", name.clone());
    store
        .etcd
        .get(&key)
        .map(|namespace| namespace["metadata"]["labels"].clone())
        .unwrap_or_default()
}

/// The namespaces that a term means.
fn namespaces(store: Store<'_>, term: &Term) -> Vec<Text> {
    let mut found = term.namespaces.clone();
    if !term.namespace_selector.is_nothing() {
        let selected = |(key, namespace): (&ObjectKey, &Value)| {
            let labels = &namespace["metadata"]["labels"];
            term.namespace_selector
                .matches(labels)
                .then(|| key.name.clone())
        };
        found.extend(store.etcd.list("namespaces", None).filter_map(selected));
        found.sort();
        found.dedup();
    }
    found
}

/// Calls `each` for every node with pods that a selector means, with their number.
fn for_pods(
    cache: &mut Cache,
    store: Store<'_>,
    namespaces: &[Text],
    selector: &Selector,
    mut each: impl FnMut(&NodeInfo, i64),
) {
    for namespace in namespaces {
        let counter = cache.counter(store, namespace, selector);
        for (place, (all, _)) in counter.nodes() {
            if let Some(node) = cache.node(place) {
                each(node, all);
            }
        }
    }
}

/// What the filter needs.
#[derive(Clone, Default)]
pub(super) struct Required {
    /// Existing pods whose anti-affinity means the incoming pod.
    existing_anti: Topology,
    /// Existing pods that all affinity terms of the incoming pod mean.
    affinity: Topology,
    /// Existing pods that an anti-affinity term of the incoming pod means.
    anti: Topology,
    /// The labels of the incoming pod's namespace.
    own_labels: Value,
    /// Whether its own affinity terms mean the pod itself.
    means_itself: bool,
    /// The namespaces of the incoming pod's terms.
    affinity_namespaces: Vec<Vec<Text>>,
    anti_namespaces: Vec<Vec<Text>>,
}

impl Required {
    pub fn new(cache: &mut Cache, store: Store<'_>, pod: &PodInfo) -> Required {
        let mut required = Required {
            own_labels: namespace_labels(store, &pod.key.namespace),
            ..Required::default()
        };
        for (kind, group) in cache.groups() {
            if kind == TermKind::Anti && group.term.matches(pod, &required.own_labels) {
                for (place, count) in &group.nodes {
                    if let Some(node) = cache.node(*place) {
                        add(
                            &mut required.existing_anti,
                            &group.term.topology_key,
                            node,
                            *count,
                        );
                    }
                }
            }
        }
        required.affinity_namespaces = pod
            .terms
            .affinity
            .iter()
            .map(|term| namespaces(store, term))
            .collect();
        required.anti_namespaces = pod
            .terms
            .anti_affinity
            .iter()
            .map(|term| namespaces(store, term))
            .collect();
        required.means_itself = !pod.terms.affinity.is_empty()
            && pod
                .terms
                .affinity
                .iter()
                .all(|term| term.matches(pod, &required.own_labels));
        if let Some((first, rest)) = required.affinity_namespaces.split_first() {
            // A pod counts when all terms mean it: one selector, in the namespaces of all.
            let common: Vec<Text> = first
                .iter()
                .filter(|ns| rest.iter().all(|r| r.contains(ns)))
                .cloned()
                .collect();
            let all = pod
                .terms
                .affinity
                .iter()
                .fold(Selector::everything(), |all, term| {
                    all.and(term.selector.clone())
                });
            let affinity = &mut required.affinity;
            for_pods(cache, store, &common, &all, |node, count| {
                pod.terms
                    .affinity
                    .iter()
                    .for_each(|term| add(affinity, &term.topology_key, node, count));
            });
        }
        for (term, namespaces) in pod
            .terms
            .anti_affinity
            .iter()
            .zip(&required.anti_namespaces)
        {
            let anti = &mut required.anti;
            for_pods(cache, store, namespaces, &term.selector, |node, count| {
                add(anti, &term.topology_key, node, count)
            });
        }
        required
    }

    /// Whether any node suits: nobody wants the pod's company or keeps it away, and it has no such
    /// wish.
    pub fn is_nothing(&self, pod: &PodInfo) -> bool {
        self.existing_anti.is_empty()
            && pod.terms.affinity.is_empty()
            && pod.terms.anti_affinity.is_empty()
    }

    pub fn filter(&self, pod: &PodInfo, node: &NodeInfo) -> Result<(), Failure> {
        if !self.satisfies_affinity(pod, node) {
            return Err(Failure::unresolvable(Reason::Affinity));
        }
        let near = |term: &Term| {
            node.label(&term.topology_key)
                .is_some_and(|value| at(&self.anti, &term.topology_key, value) > 0)
        };
        if !self.anti.is_empty() && pod.terms.anti_affinity.iter().any(near) {
            return Err(Failure::resolvable(Reason::AntiAffinity));
        }
        let kept_away = |(key, values): (&Text, &BTreeMap<Text, i64>)| {
            node.label(key)
                .is_some_and(|v| values.get(v).is_some_and(|n| *n > 0))
        };
        if self.existing_anti.iter().any(kept_away) {
            return Err(Failure::resolvable(Reason::ExistingAntiAffinity));
        }
        Ok(())
    }

    fn satisfies_affinity(&self, pod: &PodInfo, node: &NodeInfo) -> bool {
        let mut all = true;
        for term in &pod.terms.affinity {
            let Some(value) = node.label(&term.topology_key) else {
                return false;
            };
            all &= at(&self.affinity, &term.topology_key, value) > 0;
        }
        // The first of a group of pods that want each other's company may be anywhere.
        all || self.affinity.is_empty() && self.means_itself
    }

    /// As if `other` came to (or left) a node.
    pub fn update(&mut self, pod: &PodInfo, other: &PodInfo, node: &NodeInfo, sign: i64) {
        for term in &other.terms.anti_affinity {
            if term.matches(pod, &self.own_labels) {
                add(&mut self.existing_anti, &term.topology_key, node, sign);
            }
        }
        let means = |(term, namespaces): (&Term, &Vec<Text>)| {
            namespaces.contains(&other.key.namespace) && term.selector.matches(&other.labels)
        };
        if !pod.terms.affinity.is_empty()
            && pod
                .terms
                .affinity
                .iter()
                .zip(&self.affinity_namespaces)
                .all(means)
        {
            pod.terms
                .affinity
                .iter()
                .for_each(|term| add(&mut self.affinity, &term.topology_key, node, sign));
        }
        for (term, namespaces) in pod.terms.anti_affinity.iter().zip(&self.anti_namespaces) {
            if means((term, namespaces)) {
                add(&mut self.anti, &term.topology_key, node, sign);
            }
        }
    }
}

/// The normalised scores of the feasible nodes; `None` where nothing counts.
pub(super) fn scores(
    cache: &mut Cache,
    store: Store<'_>,
    pod: &PodInfo,
    feasible: &[usize],
) -> Option<Vec<i64>> {
    let own_labels = namespace_labels(store, &pod.key.namespace);
    let mut topology = Topology::new();
    // A sum of 0 is still an entry in the real map, and an empty map skips the plugin; the scores
    // are the same, all 0.
    for (kind, group) in cache.groups() {
        if let TermKind::Score(weight) = kind
            && group.term.matches(pod, &own_labels)
        {
            for (place, count) in &group.nodes {
                if let Some(node) = cache.node(*place) {
                    add(
                        &mut topology,
                        &group.term.topology_key,
                        node,
                        weight * count,
                    );
                }
            }
        }
    }
    let against = pod
        .terms
        .preferred_anti
        .iter()
        .map(|(weight, term)| (-weight, term));
    for (weight, term) in pod
        .terms
        .preferred
        .iter()
        .map(|(weight, term)| (*weight, term))
        .chain(against)
    {
        let namespaces = namespaces(store, term);
        let topology = &mut topology;
        for_pods(cache, store, &namespaces, &term.selector, |node, count| {
            add(topology, &term.topology_key, node, weight * count)
        });
    }
    if topology.is_empty() {
        return None;
    }
    let score = |place: &usize| {
        let Some(node) = cache.node(*place) else {
            return 0;
        };
        let of = |(key, values): (&Text, &BTreeMap<Text, i64>)| {
            node.label(key)
                .and_then(|v| values.get(v))
                .copied()
                .unwrap_or(0)
        };
        topology.iter().map(of).sum::<i64>()
    };
    let raw: Vec<i64> = feasible.iter().map(score).collect();
    let (least, most) = (raw.iter().min().copied()?, raw.iter().max().copied()?);
    let spread = most - least;
    let normalise = |score: &i64| {
        if spread > 0 {
            (100.0 * ((score - least) as f64 / spread as f64)) as i64
        } else {
            0
        }
    };
    Some(raw.iter().map(normalise).collect())
}
