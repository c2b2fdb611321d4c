//! What the components' informers keep beside the store, so that nothing scans all objects:
//! who owns what, which pods are on a node, which pods carry a label, which Services select by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::Ipv4Net;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value};

type Keys = Arc<BTreeSet<ObjectKey>>;

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
    slices_by_service: BTreeMap<(Text, Text), Keys>,
    by_selector: BTreeMap<(Text, Label), Keys>,
    orphans: BTreeMap<(Text, Text), Keys>,
    pods_by_claim: BTreeMap<(Text, Text), Keys>,
    pod_ranges: Arc<BTreeSet<u32>>,
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
        self.by_owner.get(uid).map_or(0, |keys| keys.len())
    }

    /// The objects of a resource (one of the workloads, or a disruption budget) whose label
    /// selector can select these labels: all that do, and few others.
    pub fn selecting(
        &self,
        resource: &str,
        namespace: &str,
        labels: &Value,
    ) -> BTreeSet<ObjectKey> {
        let (resource, namespace) = (Text::from(resource), Text::from(namespace));
        let none = Text::from("");
        let any = (none.clone(), none);
        let labels = labels.entries().iter().map(|(k, v)| (k.clone(), v.text()));
        let mut found = BTreeSet::new();
        for (key, value) in labels.chain([any]) {
            let at = (resource.clone(), (namespace.clone(), key, value));
            found.extend(keys(self.by_selector.get(&at)).cloned());
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

    /// The network addresses of the nodes' podCIDRs, lowest first.
    pub(crate) fn pod_ranges(&self) -> impl Iterator<Item = u32> + use<'_> {
        self.pod_ranges.iter().copied()
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
            if let Some(at) = selecting_at(key, &old) {
                remove(&mut self.by_selector, &at, key);
            }
            if let Some(at) = selecting_at(key, &new) {
                insert(&mut self.by_selector, at, key);
            }
        }
        match &*key.resource {
            "pods" => {
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
            "services" => relabel(
                &mut self.services_by_selector,
                key,
                &old["spec"]["selector"],
                &new["spec"]["selector"],
                1,
            ),
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
fn selecting_at(key: &ObjectKey, object: &Value) -> Option<(Text, Label)> {
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
        None => (Text::from(""), Text::from("")),
    };
    Some((key.resource.clone(), (key.namespace.clone(), label, value)))
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
    set.into_iter().flat_map(|set| set.iter())
}

fn insert<K: Ord>(index: &mut BTreeMap<K, Keys>, at: K, key: &ObjectKey) {
    Arc::make_mut(index.entry(at).or_default()).insert(key.clone());
}

fn remove<K: Ord>(index: &mut BTreeMap<K, Keys>, at: &K, key: &ObjectKey) {
    if let Some(set) = index.get_mut(at) {
        let set = Arc::make_mut(set);
        set.remove(key);
        if set.is_empty() {
            index.remove(at);
        }
    }
}
