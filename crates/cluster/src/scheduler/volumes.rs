//! Volumes: VolumeRestrictions, VolumeBinding, VolumeZone
//! (kubernetes v1.37, `pkg/scheduler/framework/plugins/volume*`).

use std::collections::BTreeSet;
use std::sync::Arc;

use kubarium_objects::quantity::Quantity;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use crate::index::claims_of as claims;

use super::cache::Store;
use super::filter::{Failure, Reason};
use super::node::{NodeInfo, NodeTerm};
use super::pod::PodInfo;

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const TOPOLOGY: [&str; 4] = [
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// What a pod's volumes ask of its node.
#[derive(Clone, Debug, Default)]
pub(super) struct Volumes {
    /// Disks that one node (or one pod) at a time can have.
    disks: Vec<Disk>,
    /// Claims that one pod at a time can have.
    exclusive: Vec<Text>,
    /// How many other pods have those.
    users: i64,
    namespace: Text,
    /// The volumes of bound claims, with the node selector of each.
    bound: Vec<Option<Vec<NodeTerm>>>,
    /// Zones and regions of bound volumes: a label, and the values that suit.
    zones: Vec<(Text, Vec<Text>)>,
    /// Claims that are bound once the pod has a node.
    delayed: Vec<Delayed>,
    /// Volumes of CSI drivers: a node may have so many of each driver's (`CSINode`).
    attached: BTreeSet<Attached>,
}

/// A volume of a CSI driver: the driver, and what tells its volumes apart.
type Attached = (Text, Text);

/// The volumes of CSI drivers that a pod uses (`nodevolumelimits/csi.go`).
fn attached(store: Store<'_>, pod: &Value) -> BTreeSet<Attached> {
    let namespace = pod["metadata"]["namespace"].str();
    let of = |name: Text| -> Option<Attached> {
        let key = ObjectKey::new(CLAIMS, namespace, name.clone());
        let claim = store.etcd.get(&key)?;
        let volume = claim["spec"]["volumeName"].text();
        if volume.is_empty() {
            // One that is still to be made counts for the driver that will make it.
            let class = claim["spec"]["storageClassName"].text();
            let class = ObjectKey::new("storageclasses.storage.k8s.io", "", class);
            let driver = store.etcd.get(&class)?["provisioner"].text();
            return Some((driver, format!("{namespace}/{name}").into()));
        }
        let volume = store.etcd.get(&ObjectKey::new(VOLUMES, "", volume))?;
        let source = volume["spec"].get("csi")?;
        Some((source["driver"].text(), source["volumeHandle"].text()))
    };
    claims(pod).filter_map(of).collect()
}

#[derive(Clone, Debug)]
struct Delayed {
    claim: Value,
    class: Value,
    size: i64,
}

/// A disk's kind, its name, whether this user only reads.
type Disk = (&'static str, String, bool);

fn disks(pod: &Value) -> Vec<Disk> {
    let mut found = Vec::new();
    for volume in pod["spec"]["volumes"].items() {
        let reads = |v: &Value| v["readOnly"].as_bool() == Some(true);
        if let Some(v) = volume.get("gcePersistentDisk") {
            found.push(("gce", v["pdName"].str().to_owned(), reads(v)));
        } else if let Some(v) = volume.get("awsElasticBlockStore") {
            found.push(("aws", v["volumeID"].str().to_owned(), false));
        } else if let Some(v) = volume.get("iscsi") {
            found.push(("iscsi", v["iqn"].str().to_owned(), reads(v)));
        } else if let Some(v) = volume.get("rbd") {
            let monitors: Vec<&str> = v["monitors"].items().iter().map(Value::str).collect();
            found.push((
                "rbd",
                format!(
                    "{}/{}/{}",
                    monitors.join(","),
                    v["pool"].str(),
                    v["image"].str()
                ),
                reads(v),
            ));
        }
    }
    found
}

fn conflict(a: &Disk, b: &Disk) -> bool {
    a.0 == b.0 && a.1 == b.1 && !(a.2 && b.2)
}

fn bytes(quantity: &Value) -> i64 {
    quantity.str().parse::<Quantity>().map_or(0, |q| q.value())
}

impl Volumes {
    /// Errors: a sentence, when the claims are not such that the pod can be put anywhere.
    pub fn new(store: Store<'_>, pod: &PodInfo) -> Result<Volumes, String> {
        let mut volumes = Volumes {
            namespace: pod.key.namespace.clone(),
            ..Volumes::default()
        };
        if pod.object["spec"]["volumes"].items().is_empty() {
            return Ok(volumes);
        }
        volumes.disks = disks(&pod.object);
        let (mut found, mut unbound) = (Vec::new(), false);
        for name in claims(&pod.object) {
            let key = ObjectKey::new(CLAIMS, pod.key.namespace.clone(), name.clone());
            let Some(claim) = store.etcd.get(&key) else {
                return Err(format!("persistentvolumeclaim \"{name}\" not found"));
            };
            if claim.is_deleting() {
                return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
            }
            if claim["status"]["phase"].str() == "Lost" {
                return Err(format!(
                    "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{}\"",
                    claim["spec"]["volumeName"].str()
                ));
            }
            found.push((name, claim.clone()));
        }
        for (name, claim) in found {
            if claim["spec"]["accessModes"]
                .items()
                .iter()
                .any(|m| m.str() == "ReadWriteOncePod")
            {
                volumes.exclusive.push(name);
            }
            let volume = claim["spec"]["volumeName"].text();
            let complete = claim
                .annotation("pv.kubernetes.io/bind-completed")
                .is_some();
            if !volume.is_empty() && complete {
                let Some(volume) = store.etcd.get(&ObjectKey::new(VOLUMES, "", volume.clone()))
                else {
                    return Err(format!("persistentvolume \"{volume}\" not found"));
                };
                volumes.add_bound(volume);
                continue;
            }
            let class = claim["spec"]["storageClassName"].text();
            let class = store
                .etcd
                .get(&ObjectKey::new("storageclasses.storage.k8s.io", "", class));
            match class.filter(|c| c["volumeBindingMode"].str() == "WaitForFirstConsumer") {
                Some(class) => volumes.delayed.push(Delayed {
                    size: bytes(&claim["spec"]["resources"]["requests"]["storage"]),
                    claim,
                    class: class.clone(),
                }),
                None => unbound = true,
            }
        }
        if unbound {
            return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
        }
        volumes.attached = attached(store, &pod.object);
        volumes.delayed.sort_by_key(|d| d.size);
        if !volumes.exclusive.is_empty() {
            let others = store.etcd.list("pods", Some(&pod.key.namespace));
            let others =
                others.filter(|(key, other)| **key != pod.key && super::cache::occupies(other));
            volumes.users = others.map(|(_, other)| volumes.shared(other)).sum();
        }
        Ok(volumes)
    }

    /// How many of the exclusive claims another pod has.
    fn shared(&self, other: &Value) -> i64 {
        claims(other)
            .filter(|name| self.exclusive.contains(name))
            .count() as i64
    }

    fn add_bound(&mut self, volume: &Value) {
        let required = volume["spec"]["nodeAffinity"].get("required");
        self.bound.push(required.map(|r| {
            r["nodeSelectorTerms"]
                .items()
                .iter()
                .map(NodeTerm::read)
                .collect()
        }));
        for key in TOPOLOGY {
            if let Some(values) = volume.label(key) {
                self.zones
                    .push((key.into(), values.split("__").map(Text::from).collect()));
            }
        }
    }

    /// Whether any node suits.
    pub fn is_nothing(&self) -> bool {
        self.disks.is_empty()
            && self.users <= 0
            && self.bound.is_empty()
            && self.zones.is_empty()
            && self.delayed.is_empty()
    }

    pub fn filter(&self, store: Store<'_>, node: &NodeInfo) -> Result<(), Failure> {
        if !self.disks.is_empty() {
            let others = node.pods.values().flat_map(|other| disks(&other.object));
            let mut others = others;
            if others.any(|theirs| self.disks.iter().any(|ours| conflict(ours, &theirs))) {
                return Err(Failure::resolvable(Reason::Disk));
            }
        }
        if self.users > 0 {
            return Err(Failure::resolvable(Reason::ReadWriteOncePod));
        }
        if !self.attached.is_empty() && self.are_too_many(store, node) {
            return Err(Failure::resolvable(Reason::VolumeCount));
        }
        let away = |terms: &Option<Vec<NodeTerm>>| {
            terms
                .as_ref()
                .is_some_and(|terms| !terms.iter().any(|t| t.matches(node)))
        };
        if self.bound.iter().any(away) {
            return Err(Failure::unresolvable(Reason::VolumeAffinity));
        }
        if !self.delayed.is_empty() && self.place(store, node).is_none() {
            return Err(Failure::unresolvable(Reason::NoVolume));
        }
        let elsewhere =
            |(key, values): &(Text, Vec<Text>)| node.label(key).is_none_or(|v| !values.contains(v));
        // A node that is in no zone at all suits every volume.
        let zoned = || TOPOLOGY.iter().any(|key| node.label(key).is_some());
        if self.zones.iter().any(elsewhere) && zoned() {
            return Err(Failure::unresolvable(Reason::VolumeZone));
        }
        Ok(())
    }

    /// Whether a node would have more volumes of a CSI driver than it may.
    fn are_too_many(&self, store: Store<'_>, node: &NodeInfo) -> bool {
        let key = ObjectKey::new("csinodes.storage.k8s.io", "", node.name.clone());
        let drivers = match store.etcd.get(&key) {
            Some(object) => object["spec"]["drivers"].items(),
            None => return false,
        };
        let limits = drivers.iter().filter_map(|driver| {
            let most = driver["allocatable"]["count"].as_i64()?;
            Some((driver["name"].str(), usize::try_from(most).unwrap_or(0)))
        });
        let mut there: Option<BTreeSet<Attached>> = None;
        for (driver, most) in limits {
            let of_driver = |all: &BTreeSet<Attached>| -> BTreeSet<Attached> {
                all.iter()
                    .filter(|(d, _)| **d == *driver)
                    .cloned()
                    .collect()
            };
            let ours = of_driver(&self.attached);
            if ours.is_empty() {
                continue;
            }
            let there = there.get_or_insert_with(|| {
                let pods = node.pods.values();
                pods.flat_map(|pod| attached(store, &pod.object)).collect()
            });
            let there = of_driver(there);
            let new = ours.difference(&there).count();
            if new > 0 && there.len() + new > most {
                return true;
            }
        }
        false
    }

    /// For each claim that waits, the volume that it would get on a node (or `None`, to be
    /// provisioned there). Nothing where one can have neither.
    fn place<'a>(
        &'a self,
        store: Store<'a>,
        node: &NodeInfo,
    ) -> Option<Vec<(&'a Delayed, Option<&'a Value>)>> {
        let mut placed: Vec<(&Delayed, Option<&Value>)> = Vec::new();
        for delayed in &self.delayed {
            if let Some(selected) = delayed.claim.annotation(SELECTED_NODE) {
                if selected != &*node.name {
                    return None;
                }
                placed.push((delayed, None));
                continue;
            }
            let volume = store
                .etcd
                .list(VOLUMES, None)
                .map(|(_, volume)| volume)
                .filter(|v| {
                    suits(v, delayed, node)
                        && !placed
                            .iter()
                            .any(|(_, other)| other.is_some_and(|o| o.name() == v.name()))
                })
                .min_by_key(|v| bytes(&v["spec"]["capacity"]["storage"]));
            if volume.is_none() && !can_provision(&delayed.class, node) {
                return None;
            }
            placed.push((delayed, volume));
        }
        Some(placed)
    }

    /// As if `other` came to (or left) some node.
    pub fn update(&mut self, other: &PodInfo, sign: i64) {
        if !self.exclusive.is_empty() && other.key.namespace == self.namespace {
            self.users += sign * self.shared(&other.object);
        }
    }

    /// The scores of the feasible nodes: the less of its volumes would stay unused, the lower, by
    /// storage class. `None` where no claim would get a volume that is there.
    pub fn scores(&self, store: Store<'_>, nodes: &[&Arc<NodeInfo>]) -> Option<Vec<i64>> {
        if self.delayed.is_empty() {
            return None;
        }
        let score = |node: &&Arc<NodeInfo>| -> Option<i64> {
            let mut classes: std::collections::BTreeMap<&str, (i64, i64)> = Default::default();
            for (delayed, volume) in self.place(store, node)? {
                let sums = classes.entry(delayed.class.name()).or_default();
                sums.0 += delayed.size;
                sums.1 += bytes(&volume?["spec"]["capacity"]["storage"]);
            }
            let count = classes.len() as f64;
            let of = |(wanted, has): &(i64, i64)| {
                if *has == 0 {
                    0
                } else {
                    100 - wanted.saturating_mul(100) / has
                }
            };
            Some((classes.values().map(of).sum::<i64>() as f64 / count).round() as i64)
        };
        Some(nodes.iter().map(|node| score(node).unwrap_or(0)).collect())
    }

    /// What the claims that wait get on the chosen node: a volume, or `None`, to be provisioned.
    pub fn to_bind(
        &self,
        store: Store<'_>,
        node: &NodeInfo,
    ) -> Vec<(ObjectKey, Option<ObjectKey>)> {
        let placed = self.place(store, node).unwrap_or_default();
        let key = |name: &str| ObjectKey::new(CLAIMS, self.namespace.clone(), name);
        let pair = |(delayed, volume): (&Delayed, Option<&Value>)| {
            let volume = volume.map(|v| ObjectKey::new(VOLUMES, "", v.name()));
            (key(delayed.claim.name()), volume)
        };
        placed.into_iter().map(pair).collect()
    }
}

/// Keeps a volume for a claim: the claim's controller does the rest.
pub(super) fn reserve(volume: &mut Value, claim: &Value) {
    if !volume["spec"]["claimRef"].is_null() {
        return;
    }
    let metadata = &claim["metadata"];
    volume["spec"]["claimRef"] = object([
        ("apiVersion", "v1".into()),
        ("kind", "PersistentVolumeClaim".into()),
        ("name", metadata["name"].clone()),
        ("namespace", metadata["namespace"].clone()),
        ("resourceVersion", metadata["resourceVersion"].clone()),
        ("uid", metadata["uid"].clone()),
    ]);
    volume["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] = "yes".into();
}

/// Whether a claim is bound for good.
pub(super) fn is_bound(claim: &Value) -> bool {
    !claim["spec"]["volumeName"].is_empty()
        && claim
            .annotation("pv.kubernetes.io/bind-completed")
            .is_some()
}

/// The annotation by which a claim learns on which node it is wanted.
pub(super) fn select_node(claim: &mut Value, node: &str) {
    claim["metadata"]["annotations"][SELECTED_NODE] = node.into();
}

/// Whether a free volume suits a claim on a node.
fn suits(volume: &Value, delayed: &Delayed, node: &NodeInfo) -> bool {
    let (spec, claim) = (&volume["spec"], &delayed.claim);
    let owner = &spec["claimRef"];
    let own = owner["name"].str() == claim.name() && owner["namespace"].str() == claim.namespace();
    let phase = volume["status"]["phase"].str();
    let modes = claim["spec"]["accessModes"].items();
    let terms = spec["nodeAffinity"]
        .get("required")
        .map(|r| r["nodeSelectorTerms"].items());
    (owner.is_null() && matches!(phase, "Available" | "Pending" | "") || own)
        && spec["storageClassName"].str() == delayed.class.name()
        && bytes(&spec["capacity"]["storage"]) >= delayed.size
        && modes
            .iter()
            .all(|mode| spec["accessModes"].items().contains(mode))
        && terms.is_none_or(|terms| terms.iter().any(|t| NodeTerm::read(t).matches(node)))
}

fn can_provision(class: &Value, node: &NodeInfo) -> bool {
    let topologies = class["allowedTopologies"].items();
    let fits = |topology: &Value| {
        let expressions = topology["matchLabelExpressions"].items();
        expressions.iter().all(|e| {
            node.label(e["key"].str())
                .is_some_and(|v| e["values"].items().iter().any(|w| *w.str() == **v))
        })
    };
    let provisioner = class["provisioner"].str();
    !provisioner.is_empty()
        && provisioner != "kubernetes.io/no-provisioner"
        && (topologies.is_empty() || topologies.iter().any(fits))
}
