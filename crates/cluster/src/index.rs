//! What the components' informers keep beside the store, so that nothing scans all objects:
//! who owns what, which pods are on a node, which pods carry a label, which Services select by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kubarium_objects::{ObjectKey, Text, Value};

type Keys = Arc<BTreeSet<ObjectKey>>;

/// A label in a namespace.
type Label = (Text, Text, Text);

/// The label by which an EndpointSlice names its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The indexes. Every write to the store passes through [`Indexes::change`].
#[derive(Clone, Debug, Default)]
pub struct Indexes {
    by_owner: BTreeMap<Text, Keys>,
    pods_by_node: BTreeMap<Text, Keys>,
    pods_by_label: BTreeMap<Label, Keys>,
    services_by_selector: BTreeMap<Label, Keys>,
    slices_by_service: BTreeMap<(Text, Text), Keys>,
}

impl Indexes {
    /// The objects that name `uid` among their owners.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        keys(self.by_owner.get(uid))
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
                relabel(
                    &mut self.pods_by_label,
                    key,
                    &old["metadata"]["labels"],
                    &new["metadata"]["labels"],
                    usize::MAX,
                );
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
