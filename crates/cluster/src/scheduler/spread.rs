//! PodTopologySpread (kubernetes v1.37, `pkg/scheduler/framework/plugins/podtopologyspread`).

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::selector::Selector;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value};

use super::cache::{Cache, Counter, Store};
use super::filter::{Failure, Reason};
use super::node::{HOSTNAME, NodeAffinity, NodeInfo, ZONE, stands_taints};
use super::pod::{PodInfo, by_keys};
use crate::controllers::pods;

#[derive(Clone)]
struct Constraint {
    max_skew: i64,
    min_domains: i64,
    topology_key: Text,
    /// Whether that is the node's own name, or its zone.
    by_host: bool,
    by_zone: bool,
    selector: Selector,
    honor_affinity: bool,
    honor_taints: bool,
    /// How many matching pods nobody deletes are on each node.
    counter: Arc<Counter>,
}

impl Constraint {
    fn read(cache: &mut Cache, store: Store<'_>, constraint: &Value, pod: &PodInfo) -> Constraint {
        let given = &constraint["labelSelector"];
        let mut selector = pods::selector(given);
        if !given.is_null() {
            selector = selector.and(by_keys(&constraint["matchLabelKeys"], &pod.object, true));
        }
        Constraint {
            max_skew: constraint["maxSkew"].as_i64().unwrap_or(1),
            min_domains: constraint["minDomains"].as_i64().unwrap_or(1),
            topology_key: constraint["topologyKey"].text(),
            by_host: constraint["topologyKey"].str() == HOSTNAME,
            by_zone: constraint["topologyKey"].str() == ZONE,
            honor_affinity: constraint["nodeAffinityPolicy"].str() != "Ignore",
            honor_taints: constraint["nodeTaintsPolicy"].str() == "Honor",
            counter: count(cache, store, pod, &selector),
            selector,
        }
    }

    /// Whether a node's pods and its domain count.
    fn counts(&self, pod: &PodInfo, node: &NodeInfo, affinity: &NodeAffinity) -> bool {
        (!self.honor_affinity || affinity.matches(node))
            && (!self.honor_taints || stands_taints(&pod.object, node))
    }

    /// The node's domain. Most clusters have no zones: then no node is looked at.
    fn domain<'a>(&self, cache: &'a Cache, place: usize) -> Option<&'a Text> {
        if self.by_zone && !cache.brief(place).has_zone {
            return None;
        }
        cache.node(place)?.label(&self.topology_key)
    }

    fn on(&self, place: usize) -> i64 {
        self.counter.on(place).1
    }
}

/// A selector of everything counts nothing.
fn count(cache: &mut Cache, store: Store<'_>, pod: &PodInfo, selector: &Selector) -> Arc<Counter> {
    if selector.is_everything() {
        Arc::default()
    } else {
        cache.counter(store, &pod.key.namespace, selector)
    }
}

fn constraints(
    cache: &mut Cache,
    store: Store<'_>,
    pod: &PodInfo,
    action: &str,
) -> Vec<Constraint> {
    let all = pod.object["spec"]["topologySpreadConstraints"].items();
    let wanted = all
        .iter()
        .filter(|c| c["whenUnsatisfiable"].str() == action);
    wanted
        .map(|c| Constraint::read(cache, store, c, pod))
        .collect()
}

fn has_keys(node: &NodeInfo, constraints: &[Constraint]) -> bool {
    constraints
        .iter()
        .all(|c| node.label(&c.topology_key).is_some())
}

/// What the filter needs: matching pods in each domain of each hard constraint.
#[derive(Clone, Default)]
pub(super) struct Hard {
    constraints: Vec<Constraint>,
    domains: Vec<BTreeMap<Text, i64>>,
    /// The least of each constraint's domains.
    least: Vec<i64>,
}

impl Hard {
    pub fn new(
        cache: &mut Cache,
        store: Store<'_>,
        pod: &PodInfo,
        affinity: &NodeAffinity,
    ) -> Hard {
        let constraints = constraints(cache, store, pod, "DoNotSchedule");
        if constraints.is_empty() {
            return Hard::default();
        }
        let mut domains = vec![BTreeMap::<Text, i64>::new(); constraints.len()];
        for (place, node) in cache
            .nodes()
            .filter(|(_, node)| has_keys(node, &constraints))
        {
            for (constraint, domains) in constraints.iter().zip(&mut domains) {
                if let Some(value) = node.label(&constraint.topology_key)
                    && constraint.counts(pod, node, affinity)
                {
                    *domains.entry(value.clone()).or_default() += constraint.on(place);
                }
            }
        }
        let mut hard = Hard {
            constraints,
            domains,
            least: Vec::new(),
        };
        hard.find_least();
        hard
    }

    /// Whether there are no hard constraints.
    pub fn is_nothing(&self) -> bool {
        self.constraints.is_empty()
    }

    fn find_least(&mut self) {
        let least = |domains: &BTreeMap<Text, i64>| {
            domains
                .values()
                .min()
                .copied()
                .unwrap_or(i64::from(i32::MAX))
        };
        self.least = self.domains.iter().map(least).collect();
    }

    pub fn filter(&self, pod: &PodInfo, node: &NodeInfo) -> Result<(), Failure> {
        for ((constraint, domains), least) in
            self.constraints.iter().zip(&self.domains).zip(&self.least)
        {
            let Some(value) = node.label(&constraint.topology_key) else {
                return Err(Failure::unresolvable(Reason::SpreadLabel));
            };
            let least = if (domains.len() as i64) < constraint.min_domains {
                0
            } else {
                *least
            };
            let own = i64::from(constraint.selector.matches(&pod.labels));
            let matching = domains.get(value).copied().unwrap_or(0);
            if matching + own - least > constraint.max_skew {
                return Err(Failure::resolvable(Reason::Spread));
            }
        }
        Ok(())
    }

    /// As if `other` came to (or left) a node.
    pub fn update(
        &mut self,
        pod: &PodInfo,
        affinity: &NodeAffinity,
        other: &PodInfo,
        node: &NodeInfo,
        sign: i64,
    ) {
        if self.constraints.is_empty()
            || other.key.namespace != pod.key.namespace
            || !has_keys(node, &self.constraints)
        {
            return;
        }
        for (constraint, domains) in self.constraints.iter().zip(&mut self.domains) {
            if constraint.selector.matches(&other.labels)
                && constraint.counts(pod, node, affinity)
                && let Some(value) = node.label(&constraint.topology_key)
            {
                *domains.entry(value.clone()).or_default() += sign;
            }
        }
        self.find_least();
    }
}

/// What the scorer needs, of the soft constraints.
pub(super) struct Soft {
    constraints: Vec<Constraint>,
    /// Matching pods in each domain that a feasible node is in; nothing for host names.
    domains: Vec<BTreeMap<Text, i64>>,
    weights: Vec<f64>,
    /// Explicit constraints want all their keys on a node; default ones do not.
    all_keys: bool,
}

impl Soft {
    /// `None` without soft constraints.
    pub fn new(
        cache: &mut Cache,
        store: Store<'_>,
        pod: &PodInfo,
        affinity: &NodeAffinity,
        feasible: &[usize],
    ) -> Option<Soft> {
        let explicit = !pod.object["spec"]["topologySpreadConstraints"]
            .items()
            .is_empty();
        let constraints = if explicit {
            constraints(cache, store, pod, "ScheduleAnyway")
        } else {
            defaults(cache, store, pod)?
        };
        if constraints.is_empty() {
            return None;
        }
        let mut domains = vec![BTreeMap::<Text, i64>::new(); constraints.len()];
        // Nodes without the key are one more domain, whose pods nobody counts.
        let mut keyless = vec![0_usize; constraints.len()];
        let mut scored = 0;
        for place in feasible {
            if explicit
                && !cache
                    .node(*place)
                    .is_some_and(|n| has_keys(n, &constraints))
            {
                continue;
            }
            scored += 1;
            for (at, constraint) in constraints.iter().enumerate() {
                if constraint.by_host {
                    continue;
                }
                match constraint.domain(cache, *place) {
                    Some(value) if domains[at].contains_key(value) => {}
                    Some(value) => drop(domains[at].insert(value.clone(), 0)),
                    None => keyless[at] = 1,
                }
            }
        }
        let weight = |(at, constraint): (usize, &Constraint)| {
            let size = if constraint.by_host {
                scored
            } else {
                domains[at].len() + keyless[at]
            };
            ((size + 2) as f64).ln()
        };
        let weights = constraints.iter().enumerate().map(weight).collect();
        for (constraint, domains) in constraints.iter().zip(&mut domains) {
            if domains.is_empty() {
                continue;
            }
            for (place, (_, live)) in constraint.counter.nodes() {
                let Some(node) = cache.node(place) else {
                    continue;
                };
                if explicit && !has_keys(node, &constraints)
                    || !constraint.counts(pod, node, affinity)
                {
                    continue;
                }
                let domain = node.label(&constraint.topology_key);
                if let Some(sum) = domain.and_then(|value| domains.get_mut(value)) {
                    *sum += live;
                }
            }
        }
        Some(Soft {
            constraints,
            domains,
            weights,
            all_keys: explicit,
        })
    }

    /// The normalised scores of the feasible nodes: fewer matching pods are better.
    pub fn scores(&self, cache: &Cache, feasible: &[usize]) -> Vec<i64> {
        // Looked up by place, for each node once: a table is quicker than the counters' maps.
        let counts = |constraint: &Constraint| {
            let mut counts = Vec::new();
            if constraint.by_host {
                counts.resize(cache.places(), 0);
                for (place, (_, live)) in constraint.counter.nodes() {
                    if let Some(count) = counts.get_mut(place) {
                        *count = live;
                    }
                }
            }
            counts
        };
        let by_host: Vec<Vec<i64>> = self.constraints.iter().map(counts).collect();
        let raw: Vec<Option<i64>> = feasible
            .iter()
            .map(|at| self.raw(*at, cache, &by_host))
            .collect();
        let least = raw.iter().flatten().min().copied().unwrap_or(0);
        let most = raw.iter().flatten().max().copied().unwrap_or(0);
        let normalise = |score: &Option<i64>| match score {
            None => 0,
            Some(_) if most == 0 => 100,
            Some(score) => 100 * (most + least - score) / most,
        };
        raw.iter().map(normalise).collect()
    }

    fn raw(&self, place: usize, cache: &Cache, by_host: &[Vec<i64>]) -> Option<i64> {
        if self.all_keys && !has_keys(cache.node(place)?, &self.constraints) {
            return None;
        }
        let mut score = 0.0;
        for (at, constraint) in self.constraints.iter().enumerate() {
            let count = if constraint.by_host {
                if !cache.brief(place).has_host {
                    continue;
                }
                by_host[at].get(place).copied()
            } else {
                let Some(value) = constraint.domain(cache, place) else {
                    continue;
                };
                self.domains[at].get(value).copied()
            };
            let count = count.unwrap_or(0);
            score += count as f64 * self.weights[at] + (constraint.max_skew - 1) as f64;
        }
        Some(score.round() as i64)
    }
}

/// The system's default constraints, for pods that a Service or a workload selects.
fn defaults(cache: &mut Cache, store: Store<'_>, pod: &PodInfo) -> Option<Vec<Constraint>> {
    let selector = default_selector(store, pod)?;
    let counter = count(cache, store, pod, &selector);
    let constraint = |max_skew, topology_key: &str| Constraint {
        max_skew,
        min_domains: 1,
        topology_key: topology_key.into(),
        by_host: topology_key == HOSTNAME,
        by_zone: topology_key == ZONE,
        selector: selector.clone(),
        honor_affinity: true,
        honor_taints: false,
        counter: counter.clone(),
    };
    Some(vec![constraint(3, HOSTNAME), constraint(5, ZONE)])
}

/// What the Services that select the pod and its controller select together.
fn default_selector(store: Store<'_>, pod: &PodInfo) -> Option<Selector> {
    let mut labels = Value::new_object();
    for key in store.index.services_for(&pod.key.namespace, &pod.labels) {
        let Some(service) = store.etcd.get(&key) else {
            continue;
        };
        let selector = &service["spec"]["selector"];
        if selector
            .entries()
            .iter()
            .all(|(k, v)| pod.labels[&**k] == *v)
        {
            selector
                .entries()
                .iter()
                .for_each(|(k, v)| labels[&**k] = v.clone());
        }
    }
    let mut selector = Selector::from_map(&labels);
    if let Some(owner) = pod.object.controller_ref() {
        let resource = match (owner.kind(), owner.api_version()) {
            ("ReplicationController", "v1") => "replicationcontrollers",
            ("ReplicaSet", "apps/v1") => "replicasets.apps",
            ("StatefulSet", "apps/v1") => "statefulsets.apps",
            _ => "",
        };
        let key = ObjectKey::new(resource, pod.key.namespace.clone(), owner.name());
        if let Some(owner) = store.etcd.get(&key) {
            let given = &owner["spec"]["selector"];
            let plain = resource == "replicationcontrollers";
            selector = selector.and(if plain {
                Selector::from_map(given)
            } else {
                pods::selector(given)
            });
        }
    }
    (!selector.is_everything()).then_some(selector)
}
