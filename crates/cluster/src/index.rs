//! What the components' informers keep beside the store, so that nothing scans all objects:
//! who owns what, which pods are on a node, which pods carry a label, which Services select by it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value};

use crate::controllers::{ingress_status, pods, topology};
use crate::runtime::volumes;
use crate::shared_map::{Key, SharedMap};

type Keys = SharedMap<ObjectKey, ()>;

/// What the objects of a set have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    /// An owner's uid.
    Owner,
    /// The node that pods are bound to.
    Node,
    /// A pod's label: namespace, key, value.
    Label,
    /// The first pair of a Service's selector: namespace, key, value.
    Service,
    /// A Service's slices: namespace, name.
    Slice,
    /// Services that ask for topology aware hints.
    Topology,
    /// Pods that run an Ingress controller.
    Ingress,
    /// No managing controller: resource, namespace.
    Orphan,
    /// A claim that pods use: namespace, name.
    Claim,
    /// A claim of devices, or a template of such, that pods name: resource, namespace, name.
    Device,
    /// A ConfigMap or Secret that pods' volumes show: resource, namespace, name.
    Content,
    /// A volume that is attached somewhere.
    Volume,
    /// A node to which volumes are attached.
    Attached,
    /// The first pair of a selector of that kind ([`SELECTING`]): namespace, key, value.
    Selector(u8),
}

/// The name of a set.
type At = (By, [Text; 3]);

impl Key for At {}

fn at<const N: usize>(by: By, words: [&str; N]) -> At {
    let word = |n: usize| {
        words
            .get(n)
            .map_or_else(Text::default, |word| (*word).into())
    };
    (by, [word(0), word(1), word(2)])
}

fn label(by: By, namespace: &Text, key: &Text, value: &Text) -> At {
    (by, [namespace.clone(), key.clone(), value.clone()])
}

/// The label by which an EndpointSlice names its Service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The indexes. Every write to the store passes through `Indexes::change`.
#[derive(Clone, Debug, Default)]
pub struct Indexes {
    sets: SharedMap<At, Keys>,
    services_by_ip: SharedMap<Ipv4Addr, ObjectKey>,
    tallies: BTreeMap<Text, Tally>,
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
        self.keys(&at(By::Owner, [uid]))
    }

    /// How many objects name `uid` among their owners.
    pub fn dependents_count(&self, uid: &str) -> usize {
        self.count(&at(By::Owner, [uid]))
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
        let Some(kind) = selecting(resource) else {
            return found;
        };
        let namespace = Text::from(namespace);
        let any = (Text::default(), Text::default());
        let labels = labels.entries().iter().map(|(k, v)| (k.clone(), v.text()));
        for (key, value) in labels.chain([any]) {
            let set = label(By::Selector(kind), &namespace, &key, &value);
            found.extend(self.keys(&set).cloned());
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
        self.keys(&at(By::Orphan, [resource, namespace]))
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
        self.count(&label(By::Label, namespace, key, value))
    }

    /// The pods bound to a node.
    pub fn pods_on(&self, node: &str) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(By::Node, [node]))
    }

    /// How many pods are bound to nodes.
    pub fn bound_count(&self) -> usize {
        let nodes = self.sets.since(&at(By::Node, [""]));
        let nodes = nodes.take_while(|((by, _), _)| *by == By::Node);
        nodes.map(|(_, pods)| pods.len()).sum()
    }

    /// The pods of a namespace that carry the label `key=value`.
    pub fn pods_labelled(
        &self,
        namespace: &Text,
        key: &Text,
        value: &Text,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&label(By::Label, namespace, key, value))
    }

    /// The Services whose selector's first pair is one of these labels: all that can select an
    /// object with them, and few others.
    pub fn services_for(&self, namespace: &Text, labels: &Value) -> BTreeSet<ObjectKey> {
        let mut found = BTreeSet::new();
        for (key, value) in labels.entries() {
            let set = label(By::Service, namespace, key, &value.text());
            found.extend(self.keys(&set).cloned());
        }
        found
    }

    /// The pods of a namespace that use a claim.
    pub fn pods_with_claim(
        &self,
        namespace: &str,
        claim: &str,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(By::Claim, [namespace, claim]))
    }

    /// The pods that name a claim of devices, or a template of such.
    pub(crate) fn pods_with_device_claim(
        &self,
        claim: &ObjectKey,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(
            By::Device,
            [&claim.resource, &claim.namespace, &claim.name],
        ))
    }

    /// The pods whose volumes show a ConfigMap or Secret.
    pub(crate) fn pods_showing(
        &self,
        object: &ObjectKey,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(
            By::Content,
            [&object.resource, &object.namespace, &object.name],
        ))
    }

    /// The attachments of a volume.
    pub(crate) fn attachments_of(
        &self,
        volume: &str,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(By::Volume, [volume]))
    }

    /// The attachments of volumes to a node.
    pub(crate) fn attachments_on(&self, node: &str) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(By::Attached, [node]))
    }

    /// The Service that has a cluster address.
    pub(crate) fn service_at(&self, address: Ipv4Addr) -> Option<&ObjectKey> {
        self.services_by_ip.get(&address)
    }

    /// The Services that ask for topology aware hints.
    pub(crate) fn topology_aware(&self) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(By::Topology, []))
    }

    /// The pods that run an Ingress controller.
    pub(crate) fn ingress_pods(&self) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(By::Ingress, []))
    }

    /// The EndpointSlices of a Service.
    pub fn slices_of(
        &self,
        namespace: &Text,
        service: &Text,
    ) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        self.keys(&at(By::Slice, [namespace, service]))
    }

    fn keys(&self, set: &At) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        let found = self.sets.get(set);
        found.into_iter().flat_map(SharedMap::keys)
    }

    fn count(&self, set: &At) -> usize {
        self.sets.get(set).map_or(0, SharedMap::len)
    }

    /// Takes a write into account.
    pub(crate) fn change(&mut self, key: &ObjectKey, old: Option<&Value>, new: Option<&Value>) {
        let (old, new) = (
            old.cloned().unwrap_or_default(),
            new.cloned().unwrap_or_default(),
        );
        let whole = old.is_null() || new.is_null();
        for aspect in ASPECTS {
            let concerned =
                aspect.resources.is_empty() || aspect.resources.contains(&&*key.resource);
            if concerned && (whole || !old.at(aspect.part).same(new.at(aspect.part))) {
                self.regroup(key, &sets(aspect, key, &old), &sets(aspect, key, &new));
            }
        }
        match &*key.resource {
            "pods" => self.count_managed(&old, &new),
            "nodes" => self.change_range(&old, &new),
            "services" => self.change_address(key, &old, &new),
            _ => {}
        }
    }

    /// An object leaves sets and joins others.
    fn regroup(&mut self, key: &ObjectKey, old: &[At], new: &[At]) {
        for set in old.iter().filter(|set| !new.contains(set)) {
            if let Some(keys) = self.sets.get_mut(set) {
                keys.remove(key);
                if keys.is_empty() {
                    self.sets.remove(set);
                }
            }
        }
        for set in new.iter().filter(|set| !old.contains(set)) {
            if let Some(keys) = self.sets.get_mut(set) {
                keys.insert(key.clone(), ());
                continue;
            }
            let mut keys = Keys::default();
            keys.insert(key.clone(), ());
            self.sets.insert(set.clone(), keys);
        }
    }

    fn change_range(&mut self, old: &Value, new: &Value) {
        let range = |v: &Value| {
            let range: Option<Ipv4Net> = v.at(&["spec", "podCIDR"]).str().parse().ok();
            range.map(|r| u32::from(r.network()))
        };
        let (old, new) = (range(old), range(new));
        if old != new {
            let ranges = Arc::make_mut(&mut self.pod_ranges);
            old.iter().for_each(|r| _ = ranges.remove(r));
            ranges.extend(new);
        }
    }

    fn change_address(&mut self, key: &ObjectKey, old: &Value, new: &Value) {
        let address = |v: &Value| v["spec"]["clusterIP"].str().parse::<Ipv4Addr>().ok();
        let (before, after) = (address(old), address(new));
        if before != after {
            if let Some(ip) = before {
                self.services_by_ip.remove(&ip);
            }
            if let Some(ip) = after {
                self.services_by_ip.insert(ip, key.clone());
            }
        }
    }
}

/// A part of objects that puts them into sets.
struct Aspect {
    /// Of which resources; of all where there is none.
    resources: &'static [&'static str],
    part: &'static [&'static str],
    sets: fn(&ObjectKey, &Value) -> Vec<At>,
}

static ASPECTS: &[Aspect] = &[
    Aspect {
        resources: &[],
        part: &["metadata", "ownerReferences"],
        sets: |_, object| {
            let owners = object["metadata"]["ownerReferences"].items().iter();
            owners.map(|o| at(By::Owner, [o["uid"].str()])).collect()
        },
    },
    Aspect {
        resources: ADOPTABLE,
        part: &["metadata", "ownerReferences"],
        sets: |key, object| {
            let orphan = object.controller_ref().is_none();
            let set = orphan.then(|| at(By::Orphan, [&*key.resource, &*key.namespace]));
            set.into_iter().collect()
        },
    },
    Aspect {
        resources: &["services"],
        part: &["metadata", "annotations"],
        sets: |_, service| {
            let wanted = topology::is_wanted(service);
            wanted.then(|| at(By::Topology, [])).into_iter().collect()
        },
    },
    Aspect {
        resources: SELECTING,
        part: &["spec", "selector"],
        sets: |key, object| selecting_at(key, object).into_iter().collect(),
    },
    Aspect {
        resources: &["pods"],
        part: &["spec", "nodeName"],
        sets: |_, pod| {
            let node = pod["spec"]["nodeName"].as_str();
            node.into_iter().map(|n| at(By::Node, [n])).collect()
        },
    },
    Aspect {
        resources: &["pods"],
        part: &["spec", "containers"],
        sets: |_, pod| {
            let runs = ingress_status::controller_of(pod).is_some();
            runs.then(|| at(By::Ingress, [])).into_iter().collect()
        },
    },
    Aspect {
        resources: &["pods"],
        part: &["spec", "volumes"],
        sets: |key, pod| {
            let space = &*key.namespace;
            let claims = claims_of(pod).map(|claim| at(By::Claim, [space, &*claim]));
            let shown = volumes::shown_by(pod);
            claims
                .chain(shown.map(|(resource, name)| at(By::Content, [resource, space, &*name])))
                .collect()
        },
    },
    Aspect {
        resources: &["pods"],
        part: &["spec", "resourceClaims"],
        sets: |key, pod| {
            let entries = pod["spec"]["resourceClaims"].items().iter();
            let set = |entry: &Value| {
                let (resource, name) = match entry["resourceClaimName"].str() {
                    "" => (
                        "resourceclaimtemplates.resource.k8s.io",
                        &entry["resourceClaimTemplateName"],
                    ),
                    _ => (
                        "resourceclaims.resource.k8s.io",
                        &entry["resourceClaimName"],
                    ),
                };
                at(By::Device, [resource, &*key.namespace, name.str()])
            };
            entries.map(set).collect()
        },
    },
    Aspect {
        resources: &["pods"],
        part: &["metadata", "labels"],
        sets: |key, pod| {
            let labels = pod["metadata"]["labels"].entries().iter();
            labels
                .map(|(name, value)| label(By::Label, &key.namespace, name, &value.text()))
                .collect()
        },
    },
    Aspect {
        resources: &["services"],
        part: &["spec", "selector"],
        sets: |key, service| {
            let first = service["spec"]["selector"].entries().iter().take(1);
            first
                .map(|(name, value)| label(By::Service, &key.namespace, name, &value.text()))
                .collect()
        },
    },
    Aspect {
        resources: &["endpointslices.discovery.k8s.io"],
        part: &["metadata", "labels"],
        sets: |key, slice| {
            let service = slice.at(&["metadata", "labels", SERVICE_NAME]).as_str();
            let set = service.map(|name| at(By::Slice, [&*key.namespace, name]));
            set.into_iter().collect()
        },
    },
    Aspect {
        resources: &["volumeattachments.storage.k8s.io"],
        part: &["spec"],
        sets: |_, attachment| {
            let spec = &attachment["spec"];
            let volume = spec["source"]["persistentVolumeName"].str();
            vec![
                at(By::Volume, [volume]),
                at(By::Attached, [spec["nodeName"].str()]),
            ]
        },
    },
];

/// The sets of an aspect that an object is in; none where there is no object.
fn sets(aspect: &Aspect, key: &ObjectKey, object: &Value) -> Vec<At> {
    match object {
        Value::Null => Vec::new(),
        object => (aspect.sets)(key, object),
    }
}

/// The number of a kind whose selectors are indexed.
fn selecting(resource: &str) -> Option<u8> {
    let at = SELECTING.iter().position(|kind| *kind == resource)?;
    u8::try_from(at).ok()
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
fn selecting_at(key: &ObjectKey, object: &Value) -> Option<At> {
    let selector = object["spec"].get("selector")?;
    // A replication controller's selector is a plain map.
    let plain = &*key.resource == "replicationcontrollers";
    let labels = if plain {
        selector
    } else {
        &selector["matchLabels"]
    };
    let (name, value) = match labels.entries().first() {
        Some((name, value)) => (name.clone(), value.text()),
        None => (Text::default(), Text::default()),
    };
    let kind = By::Selector(selecting(&key.resource)?);
    Some(label(kind, &key.namespace, &name, &value))
}
