//! What the components' informers keep beside the store, so that nothing scans all objects:
//! who owns what, which pods are on a node, which pods carry a label, which Services select by it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value};

use crate::controllers::pods;
use crate::shared_map::SharedMap;

type Keys = SharedMap<ObjectKey, ()>;

/// A label in a namespace.
type Label = (Text, Text, Text);

/// The label by which an EndpointSlice names its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The indexes. Every write to the store passes through `Indexes::change`.
#[derive(Clone, Debug, Default)]
pub struct Indexes {
    by_owner: BTreeMap<Text, Keys>,
    pods_by_node: BTreeMap<Text, Keys>,
    pods_by_label: BTreeMap<Label, Keys>,
    services_by_selector: BTreeMap<Label, Keys>,
    services_by_ip: SharedMap<Ipv4Addr, ObjectKey>,
    slices_by_service: BTreeMap<(Text, Text), Keys>,
    by_selector: BTreeMap<Text, BTreeMap<Label, Keys>>,
    tallies: BTreeMap<Text, Tally>,
    orphans: BTreeMap<(Text, Text), Keys>,
    pods_by_claim: BTreeMap<(Text, Text), Keys>,
    pod_ranges: Arc<BTreeSet<u32>>,
}

/// The pods that one controller manages, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    groups: Vec<TallyGroup>,
}

/// Pods with the same labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct TallyGroup {
    /// Their labels.
    pub labels: Value,
    /// Those that have not ended, and that nobody deletes.
    pub active: usize,
    /// Those of them that are ready.
    pub ready: usize,
    /// Those that are being deleted and have not ended.
    pub terminating: usize,
    /// Those that have ended.
    pub over: usize,
}

impl Tally {
    /// The pods by their labels.
    pub fn groups(&self) -> &[TallyGroup] {
        &self.groups
    }

    /// Counts a pod in, or out again.
    fn count(&mut self, pod: &Value, comes: bool) {
        let labels = pod.labels();
        let at = self.groups.iter().position(|group| group.labels == *labels);
        let at = at.unwrap_or_else(|| {
            self.groups.push(TallyGroup {
                labels: labels.clone(),
                ..TallyGroup::default()
            });
            self.groups.len() - 1
        });
        let Some(group) = self.groups.get_mut(at) else {
            return;
        };
        let add = |count: &mut usize| {
            *count = if comes {
                *count + 1
            } else {
                count.saturating_sub(1)
            }
        };
        if pods::is_over(pod) {
            add(&mut group.over);
        } else if pod.is_deleting() {
            add(&mut group.terminating);
        } else {
            add(&mut group.active);
            if pods::is_ready(pod) {
                add(&mut group.ready);
            }
        }
        if group.active + group.terminating + group.over == 0 {
            self.groups.swap_remove(at);
        }
    }
}

/// Kinds whose label selectors are indexed: their objects select pods or ReplicaSets.
const SELECTING: &[&str] = &[
    "daemonsets.apps",
    "deployments.apps",
    "jobs.batch",
    "poddisruptionbudgets.policy",
    "replicasets.apps",
    "replicationcontrollers",
    "statefulsets.apps",
];

/// Kinds of which those without a managing controller are known apart: they can be adopted.
const ADOPTABLE: &[&str] = &["controllerrevisions.apps", "pods", "replicasets.apps"];

impl Indexes {
    /// The objects that name `uid` among their owners.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        keys(self.by_owner.get(uid))
    }

    /// How many objects name `uid` among their owners.
    pub fn dependents_count(&self, uid: &str) -> usize {
        self.by_owner.get(uid).map_or(0, SharedMap::len)
    }

    /// The objects of a resource (one of the workloads, or a disruption budget) whose label
    /// selector can select these labels: all that do, and few others.
    pub fn selecting(
        &self,
        resource: &str,
        namespace: &str,
        labels: &Value,
    ) -> BTreeSet<ObjectKey> {
        let mut found = BTreeSet::new();
        let Some(selectors) = self.by_selector.get(resource) else {
            return found;
        };
        let namespace = Text::from(namespace);
        let any = (Text::default(), Text::default());
        let labels = labels.entries().iter().map(|(k, v)| (k.clone(), v.text()));
        for (key, value) in labels.chain([any]) {
            found.extend(keys(selectors.get(&(namespace.clone(), key, value))).cloned());
        }
        found
    }

    /// The objects of a resource (`pods`, `replicasets.apps`, `controllerrevisions.apps`) in a
    /// namespace that no controller manages.
    pub fn orphans(
        &self,
        resource: &str,
        namespace: &str,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        keys(self.orphans.get(&(resource.into(), namespace.into())))
    }

    /// The pods that `uid` manages, counted; `None` where it manages none.
    pub(crate) fn tally(&self, uid: &str) -> Option<&Tally> {
        self.tallies.get(uid)
    }

    fn count_managed(&mut self, old: &Value, new: &Value) {
        let unchanged = [&["status"][..], &["metadata"]]
            .iter()
            .all(|path| old.at(path).same(new.at(path)));
        if unchanged {
            return;
        }
        for (pod, comes) in [(old, false), (new, true)] {
            let Some(owner) = pod.controller_ref() else {
                continue;
            };
            let uid = owner.uid();
            if !self.tallies.contains_key(uid) {
                self.tallies.insert(uid.into(), Tally::default());
            }
            if let Some(tally) = self.tallies.get_mut(uid) {
                tally.count(pod, comes);
                if tally.groups.is_empty() && !comes && new.is_null() {
                    self.tallies.remove(uid);
                }
            }
        }
    }

    /// The network addresses of the nodes' podCIDRs, lowest first.
    pub(crate) fn pod_ranges(&self) -> &BTreeSet<u32> {
        &self.pod_ranges
    }

    /// How many pods of a namespace carry the label `key=value`.
    pub fn pods_labelled_count(&self, namespace: &Text, key: &Text, value: &Text) -> usize {
        let label = (namespace.clone(), key.clone(), value.clone());
        self.pods_by_label.get(&label).map_or(0, |keys| keys.len())
    }

    /// The pods bound to a node.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        keys(self.pods_by_node.get(node))
    }

    /// How many pods are bound to nodes.
    pub fn bound_count(&self) -> usize {
        self.pods_by_node.values().map(SharedMap::len).sum()
    }

    /// The pods of a namespace that carry the label `key=value`.
    pub fn pods_labelled(
        &self,
        namespace: &Text,
        key: &Text,
        value: &Text,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        keys(
            self.pods_by_label
                .get(&(namespace.clone(), key.clone(), value.clone())),
        )
    }

    /// The Services whose selector's first pair is one of these labels: all that can select an
    /// object with them, and few others.
    pub fn services_for(&self, namespace: &Text, labels: &Value) -> BTreeSet<ObjectKey> {
        let mut found = BTreeSet::new();
        for (key, value) in labels.entries() {
            let label = (namespace.clone(), key.clone(), value.text());
            found.extend(keys(self.services_by_selector.get(&label)).cloned());
        }
        found
    }

    /// The pods of a namespace that use a claim.
    pub fn pods_with_claim(
        &self,
        namespace: &str,
        claim: &str,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        keys(self.pods_by_claim.get(&(namespace.into(), claim.into())))
    }

    /// The Service that has a cluster address.
    pub(crate) fn service_at(&self, address: Ipv4Addr) -> Option<&ObjectKey> {
        self.services_by_ip.get(&address)
    }

    /// The EndpointSlices of a Service.
    pub fn slices_of(
        &self,
        namespace: &Text,
        service: &Text,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        keys(
            self.slices_by_service
                .get(&(namespace.clone(), service.clone())),
        )
    }

    /// Takes a write into account.
    pub(crate) fn change(&mut self, key: &ObjectKey, old: Option<&Value>, new: Option<&Value>) {
        let (old, new) = (
            old.cloned().unwrap_or_default(),
            new.cloned().unwrap_or_default(),
        );
        let owners = |v: &Value| v.at(&["metadata", "ownerReferences"]).clone();
        if !owners(&old).same(&owners(&new)) {
            owners(&old)
                .items()
                .iter()
                .for_each(|o| remove(&mut self.by_owner, &o["uid"].text(), key));
            owners(&new)
                .items()
                .iter()
                .for_each(|o| insert(&mut self.by_owner, o["uid"].text(), key));
        }
        if ADOPTABLE.contains(&&*key.resource) {
            let orphan = |v: &Value| !v.is_null() && v.controller_ref().is_none();
            let at = (key.resource.clone(), key.namespace.clone());
            match (orphan(&old), orphan(&new)) {
                (true, false) => remove(&mut self.orphans, &at, key),
                (false, true) => insert(&mut self.orphans, at, key),
                _ => {}
            }
        }
        if SELECTING.contains(&&*key.resource)
            && !old["spec"]["selector"].same(&new["spec"]["selector"])
        {
            let selectors = self.by_selector.entry(key.resource.clone()).or_default();
            if let Some(at) = selecting_at(key, &old) {
                remove(selectors, &at, key);
            }
            if let Some(at) = selecting_at(key, &new) {
                insert(selectors, at, key);
            }
        }
        match &*key.resource {
            "pods" => {
                self.count_managed(&old, &new);
                let node = |v: &Value| v.at(&["spec", "nodeName"]).clone();
                if node(&old) != node(&new) {
                    node(&old)
                        .as_str()
                        .into_iter()
                        .for_each(|n| remove(&mut self.pods_by_node, &n.into(), key));
                    node(&new)
                        .as_str()
                        .into_iter()
                        .for_each(|n| insert(&mut self.pods_by_node, n.into(), key));
                }
                if !old["spec"]["volumes"].same(&new["spec"]["volumes"]) {
                    let at = |claim| (key.namespace.clone(), claim);
                    claims_of(&old).for_each(|c| remove(&mut self.pods_by_claim, &at(c), key));
                    claims_of(&new).for_each(|c| insert(&mut self.pods_by_claim, at(c), key));
                }
                relabel(
                    &mut self.pods_by_label,
                    key,
                    &old["metadata"]["labels"],
                    &new["metadata"]["labels"],
                    usize::MAX,
                );
            }
            "nodes" => {
                let range = |v: &Value| {
                    let range: Option<Ipv4Net> = v.at(&["spec", "podCIDR"]).str().parse().ok();
                    range.map(|r| u32::from(r.network()))
                };
                let (old, new) = (range(&old), range(&new));
                if old != new {
                    let ranges = Arc::make_mut(&mut self.pod_ranges);
                    old.iter().for_each(|r| _ = ranges.remove(r));
                    ranges.extend(new);
                }
            }
            "services" => {
                let address = |v: &Value| v["spec"]["clusterIP"].str().parse::<Ipv4Addr>().ok();
                let (before, after) = (address(&old), address(&new));
                if before != after {
                    if let Some(ip) = before {
                        self.services_by_ip.remove(&ip);
                    }
                    if let Some(ip) = after {
                        self.services_by_ip.insert(ip, key.clone());
                    }
                }
                relabel(
                    &mut self.services_by_selector,
                    key,
                    &old["spec"]["selector"],
                    &new["spec"]["selector"],
                    1,
                );
            }
            "endpointslices.discovery.k8s.io" => {
                let service = |v: &Value| {
                    v.at(&["metadata", "labels", SERVICE_NAME])
                        .as_str()
                        .map(Text::from)
                };
                if service(&old) != service(&new) {
                    service(&old).into_iter().for_each(|s| {
                        remove(
                            &mut self.slices_by_service,
                            &(key.namespace.clone(), s),
                            key,
                        )
                    });
                    service(&new).into_iter().for_each(|s| {
                        insert(&mut self.slices_by_service, (key.namespace.clone(), s), key)
                    });
                }
            }
            _ => {}
        }
    }
}

/// The names of the claims that a pod uses: its own, and those of its ephemeral volumes.
pub(crate) fn claims_of(pod: &Value) -> impl Iterator<Item = Text> + '_ {
    pod["spec"]["volumes"].items().iter().filter_map(|volume| {
        let name = &volume["persistentVolumeClaim"]["claimName"];
        match volume.get("ephemeral") {
            Some(_) => Some(format!("{}-{}", pod.name(), volume["name"].str()).into()),
            None => (!name.is_empty()).then(|| name.text()),
        }
    })
}

/// Where an object with a selector is found: under the first label that all it selects carry, or
/// under an empty one.
fn selecting_at(key: &ObjectKey, object: &Value) -> Option<Label> {
    let selector = object["spec"].get("selector")?;
    // A replication controller's selector is a plain map.
    let plain = &*key.resource == "replicationcontrollers";
    let labels = if plain {
        selector
    } else {
        &selector["matchLabels"]
    };
    let (label, value) = match labels.entries().first() {
        Some((label, value)) => (label.clone(), value.text()),
        None => (Text::default(), Text::default()),
    };
    Some((key.namespace.clone(), label, value))
}

fn relabel(
    index: &mut BTreeMap<Label, Keys>,
    key: &ObjectKey,
    old: &Value,
    new: &Value,
    first: usize,
) {
    if old.same(new) {
        return;
    }
    let label = |(k, v): &(Text, Value)| (key.namespace.clone(), k.clone(), v.text());
    old.entries()
        .iter()
        .take(first)
        .for_each(|e| remove(index, &label(e), key));
    new.entries()
        .iter()
        .take(first)
        .for_each(|e| insert(index, label(e), key));
}

fn keys(set: Option<&Keys>) -> impl Iterator<Item = &ObjectKey> {
    set.into_iter().flat_map(SharedMap::keys)
}

fn insert<K: Ord>(index: &mut BTreeMap<K, Keys>, at: K, key: &ObjectKey) {
    index.entry(at).or_default().insert(key.clone(), ());
}

fn remove<K: Ord>(index: &mut BTreeMap<K, Keys>, at: &K, key: &ObjectKey) {
    if let Some(set) = index.get_mut(at) {
        set.remove(key);
        if set.is_empty() {
            index.remove(at);
        }
    }
}
