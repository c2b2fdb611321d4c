//! persistentvolume-binder-controller: brings claims and volumes together, asks for volumes to be
//! provisioned, and sees to volumes whose claim is gone
//! (kubernetes v1.37, `pkg/controller/volume/persistentvolume`).

use std::time::Duration;

use kubarium_objects::quantity::Quantity;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, pods, small};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::runtime::volumes;
use crate::task::Task;

pub(crate) const CLAIMS: &str = "persistentvolumeclaims";
pub(crate) const VOLUMES: &str = "persistentvolumes";
pub(crate) const CLASSES: &str = "storageclasses.storage.k8s.io";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
pub(super) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const PROVISIONERS: [&str; 2] = [
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
];
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
/// Everything is looked at again this often (`--pvclaimbinder-sync-period`).
const RESYNC: Duration = Duration::from_secs(15);

/// The loop: its name is the one that its events carry.
pub(super) const CONTROLLER: Controller = Controller {
    name: "persistentvolume-controller",
    observe,
    size: small,
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let volume = |name: &Value| ObjectKey::new(VOLUMES, "", name.text());
    match &*change.key.resource {
        CLAIMS => {
            let mut keys = vec![change.key.clone()];
            let name = &change.object()["spec"]["volumeName"];
            if !name.is_empty() {
                keys.push(volume(name));
            }
            keys
        }
        VOLUMES => {
            let mut keys = vec![change.key.clone()];
            let claim = &change.object()["spec"]["claimRef"];
            if !claim.is_null() {
                keys.push(ObjectKey::new(
                    CLAIMS,
                    claim["namespace"].text(),
                    claim["name"].text(),
                ));
            }
            keys
        }
        _ => Vec::new(),
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(object) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    let mut sync = Sync { cluster, by };
    if &*key.resource == VOLUMES {
        sync.volume(key, &object)
    } else if object.annotation(BIND_COMPLETED).is_none() {
        sync.unbound(key, &object)
    } else {
        sync.bound(key, &object)
    }
}

/// Bytes of a quantity.
pub(crate) fn bytes(quantity: &Value) -> i64 {
    quantity.str().parse::<Quantity>().map_or(0, |q| q.value())
}

/// The class of a claim or a volume; the annotation of old counts first.
pub(crate) fn class_of(object: &Value) -> &str {
    object
        .annotation("volume.beta.kubernetes.io/storage-class")
        .unwrap_or(object["spec"]["storageClassName"].str())
}

/// The newest class that is marked as the default.
pub(crate) fn default_class(cluster: &Cluster) -> Option<Text> {
    cluster
        .etcd
        .list(CLASSES, None)
        .map(|(_, class)| class)
        .filter(|class| class.annotation(DEFAULT_CLASS) == Some("true"))
        .max_by(|a, b| {
            // Of the newest the first by name.
            let born = |c: &Value| c["metadata"]["creationTimestamp"].text();
            born(a).cmp(&born(b)).then_with(|| b.name().cmp(a.name()))
        })
        .map(|class| class["metadata"]["name"].text())
}

/// Whether a volume is kept for (or bound to) a claim.
fn is_for(volume: &Value, claim: &Value) -> bool {
    let owner = &volume["spec"]["claimRef"];
    owner["name"].str() == claim.name()
        && owner["namespace"].str() == claim.namespace()
        && (owner["uid"].is_empty() || owner["uid"].str() == claim.uid())
}

fn waits_for_consumer(cluster: &Cluster, claim: &Value) -> bool {
    cluster
        .find(CLASSES, "", class_of(claim))
        .is_some_and(|class| class["volumeBindingMode"].str() == "WaitForFirstConsumer")
}

/// Why a volume cannot be what a claim asks for by name.
fn mismatch(volume: &Value, claim: &Value) -> Option<&'static str> {
    let mode = |v: &Value| {
        v["spec"]["volumeMode"]
            .as_str()
            .unwrap_or("Filesystem")
            .to_owned()
    };
    let modes = volume["spec"]["accessModes"].items();
    if !fits_size(volume, claim) {
        Some("requested PV is too small")
    } else if class_of(volume) != class_of(claim) {
        Some("storageClassName does not match")
    } else if mode(volume) != mode(claim) {
        Some("incompatible volumeMode")
    } else if !claim["spec"]["accessModes"]
        .items()
        .iter()
        .all(|m| modes.contains(m))
    {
        Some("incompatible accessMode")
    } else {
        None
    }
}

fn fits_size(volume: &Value, claim: &Value) -> bool {
    bytes(&volume["spec"]["capacity"]["storage"])
        >= bytes(&claim["spec"]["resources"]["requests"]["storage"])
}

/// The volume that suits a claim best: one that is kept for it, or the smallest free one, those
/// with the fewest access modes first.
fn best_match<'a>(cluster: &'a Cluster, claim: &Value, delayed: bool) -> Option<&'a Value> {
    let asked = claim["spec"]["accessModes"].items();
    let selector = claim["spec"].get("selector").map(pods::selector);
    let mode = |v: &Value| {
        v["spec"]["volumeMode"]
            .as_str()
            .unwrap_or("Filesystem")
            .to_owned()
    };
    let candidates = cluster
        .etcd
        .list(VOLUMES, None)
        .map(|(_, v)| v)
        .filter(|v| {
            let has = v["spec"]["accessModes"].items();
            let free = v["spec"]["claimRef"].is_null() || is_for(v, claim);
            free && asked.iter().all(|m| has.contains(m))
                && fits_size(v, claim)
                && mode(v) == mode(claim)
                && !v.is_deleting()
        });
    let candidates: Vec<&Value> = candidates.collect();
    if let Some(kept) = candidates.iter().find(|v| !v["spec"]["claimRef"].is_null()) {
        return Some(kept);
    }
    // Where the first consumer is waited for, the scheduler chooses.
    let suits = |v: &&&Value| {
        !delayed
            && v["status"]["phase"].str() == "Available"
            && class_of(v) == class_of(claim)
            && selector.as_ref().is_none_or(|s| s.matches(v.labels()))
    };
    candidates
        .iter()
        .filter(suits)
        .min_by_key(|v| {
            (
                v["spec"]["accessModes"].items().len(),
                bytes(&v["spec"]["capacity"]["storage"]),
            )
        })
        .copied()
}

struct Sync<'a> {
    cluster: &'a mut Cluster,
    by: &'a Component,
}

impl Sync<'_> {
    fn again(&mut self, key: &ObjectKey) {
        let period = RESYNC.as_nanos() as u64;
        let next = (self.cluster.now.0 / period + 1) * period;
        let delay = Duration::from_nanos(next - self.cluster.now.0);
        self.cluster
            .enqueue(Task::Controller(CONTROLLER.name, key.clone()), delay);
    }

    fn unbound(&mut self, key: &ObjectKey, claim: &Value) -> Outcome {
        let named = claim["spec"]["volumeName"].text();
        if !named.is_empty() {
            return self.unbound_by_name(key, claim, &named);
        }
        let delayed = waits_for_consumer(self.cluster, claim);
        if let Some(volume) = best_match(self.cluster, claim, delayed).cloned() {
            return self.bind(&volume, claim);
        }
        if self.give_default_class(key, claim)? {
            return Ok(());
        }
        self.again(key);
        let class = Text::from(class_of(claim));
        if delayed && claim.annotation(SELECTED_NODE).is_none() {
            self.tell_delayed(claim);
        } else if !class.is_empty() {
            self.claim_phase(key, "Pending", None)?;
            return self.provision(key, claim, &class);
        } else {
            let message =
                "no persistent volumes available for this claim and no storage class is set";
            self.cluster
                .record(self.by, claim, "FailedBinding", message);
        }
        self.claim_phase(key, "Pending", None)
    }

    fn unbound_by_name(&mut self, key: &ObjectKey, claim: &Value, name: &Text) -> Outcome {
        let volume = self.cluster.find(VOLUMES, "", name).cloned();
        match volume {
            Some(volume) if volume["spec"]["claimRef"].is_null() => {
                if let Some(why) = mismatch(&volume, claim) {
                    let message = format!("Cannot bind to requested volume \"{name}\": {why}");
                    self.cluster
                        .warn(self.by, claim, "VolumeMismatch", &message);
                } else {
                    return self.bind(&volume, claim);
                }
            }
            Some(volume) if is_for(&volume, claim) => return self.bind(&volume, claim),
            Some(volume) => {
                let owner = &volume["spec"]["claimRef"];
                let message = format!("volume \"{name}\" already bound to a different claim.");
                if claim.annotation(BOUND_BY_CONTROLLER).is_none() && !owner.is_null() {
                    self.cluster.warn(self.by, claim, "FailedBinding", &message);
                }
            }
            None => {}
        }
        self.again(key);
        self.claim_phase(key, "Pending", None)
    }

    /// A claim without a class gets the default one, whenever there is one.
    fn give_default_class(
        &mut self,
        key: &ObjectKey,
        claim: &Value,
    ) -> Result<bool, kubarium_objects::status::Status> {
        let none = claim["spec"].get("storageClassName").is_none()
            && claim
                .annotation("volume.beta.kubernetes.io/storage-class")
                .is_none();
        let Some(class) = default_class(self.cluster).filter(|_| none) else {
            return Ok(false);
        };
        self.cluster
            .modify(self.by, key, Subresource::None, |claim| {
                claim["spec"]["storageClassName"] = class.into();
            })?;
        Ok(true)
    }

    fn tell_delayed(&mut self, claim: &Value) {
        let key = (claim.namespace(), claim.name());
        let waiting: Vec<Text> = users(self.cluster, key.0, key.1)
            .filter(|(_, pod)| pod["spec"]["nodeName"].is_empty() && !pods::is_over(pod))
            .map(|(key, _)| key.name.clone())
            .collect();
        let (reason, message) = match &waiting[..] {
            [] => (
                "WaitForFirstConsumer",
                "waiting for first consumer to be created before binding".to_owned(),
            ),
            [pod] => (
                "WaitForPodScheduled",
                format!("waiting for pod {pod} to be scheduled"),
            ),
            pods => (
                "WaitForPodScheduled",
                format!("waiting for pods {} to be scheduled", pods.join(",")),
            ),
        };
        self.cluster.record(self.by, claim, reason, &message);
    }

    /// Leaves the claim to its class's provisioner.
    fn provision(&mut self, key: &ObjectKey, claim: &Value, name: &str) -> Outcome {
        let Some(class) = self.cluster.find(CLASSES, "", name).cloned() else {
            let message = format!("storageclass.storage.k8s.io \"{name}\" not found");
            self.cluster
                .warn(self.by, claim, "ProvisioningFailed", &message);
            return Ok(());
        };
        let provisioner = class["provisioner"].text();
        let configured = &self.cluster.config.storage.provisioner;
        if provisioner.starts_with("kubernetes.io/") && configured.as_ref() != Some(&provisioner) {
            let message = format!("no volume plugin matched name: {provisioner}");
            self.cluster
                .warn(self.by, claim, "ProvisioningFailed", &message);
            return Ok(());
        }
        if claim.annotation(PROVISIONERS[1]).is_none() {
            let wanted = provisioner.clone();
            self.cluster
                .modify(self.by, key, Subresource::None, |claim| {
                    for annotation in PROVISIONERS {
                        claim["metadata"]["annotations"][annotation] = (&wanted).into();
                    }
                })?;
        }
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
        );
        self.cluster
            .record(self.by, claim, "ExternalProvisioning", &message);
        Ok(())
    }

    /// Four writes: the volume and its phase, the claim and its status.
    fn bind(&mut self, volume: &Value, claim: &Value) -> Outcome {
        let volume_key = ObjectKey::new(VOLUMES, "", volume.name());
        let claim_key = ObjectKey::new(CLAIMS, claim.namespace(), claim.name());
        let owner = &volume["spec"]["claimRef"];
        if owner["uid"].str() != claim.uid() {
            let chosen = owner.is_null();
            let reference = object([
                ("apiVersion", "v1".into()),
                ("kind", "PersistentVolumeClaim".into()),
                ("name", claim["metadata"]["name"].clone()),
                ("namespace", claim["metadata"]["namespace"].clone()),
                (
                    "resourceVersion",
                    claim["metadata"]["resourceVersion"].clone(),
                ),
                ("uid", claim["metadata"]["uid"].clone()),
            ]);
            self.cluster
                .modify(self.by, &volume_key, Subresource::None, |volume| {
                    volume["spec"]["claimRef"] = reference;
                    if chosen {
                        volume["metadata"]["annotations"][BOUND_BY_CONTROLLER] = "yes".into();
                    }
                })?;
        }
        self.volume_phase(&volume_key, "Bound")?;
        let chosen = claim["spec"]["volumeName"].is_empty();
        if chosen || claim.annotation(BIND_COMPLETED).is_none() {
            let name = volume["metadata"]["name"].clone();
            self.cluster
                .modify(self.by, &claim_key, Subresource::None, |claim| {
                    if chosen {
                        claim["spec"]["volumeName"] = name;
                        claim["metadata"]["annotations"][BOUND_BY_CONTROLLER] = "yes".into();
                    }
                    claim["metadata"]["annotations"][BIND_COMPLETED] = "yes".into();
                })?;
        }
        self.claim_phase(&claim_key, "Bound", Some(volume))
    }

    fn bound(&mut self, key: &ObjectKey, claim: &Value) -> Outcome {
        let lost = |sync: &mut Self, reason: &str, message: &str| -> Outcome {
            if claim["status"]["phase"].str() != "Lost" {
                sync.cluster.warn(sync.by, claim, reason, message);
            }
            sync.claim_phase(key, "Lost", None)
        };
        let name = claim["spec"]["volumeName"].str();
        if name.is_empty() {
            let why =
                "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
            return lost(self, "ClaimLost", why);
        }
        let Some(volume) = self.cluster.find(VOLUMES, "", name).cloned() else {
            let why = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
            return lost(self, "ClaimLost", why);
        };
        if volume["spec"]["claimRef"].is_null() || is_for(&volume, claim) {
            return self.bind(&volume, claim);
        }
        let why = "Two claims are bound to the same volume, this one is bound incorrectly";
        lost(self, "ClaimMisbound", why)
    }

    fn volume(&mut self, key: &ObjectKey, volume: &Value) -> Outcome {
        let owner = &volume["spec"]["claimRef"];
        if owner.is_null() || owner["uid"].is_empty() {
            return self.volume_phase(key, "Available");
        }
        let claim = self
            .cluster
            .find(CLAIMS, owner["namespace"].str(), owner["name"].str())
            .filter(|claim| claim.uid() == owner["uid"].str())
            .cloned();
        let Some(claim) = claim else {
            if !matches!(volume["status"]["phase"].str(), "Released" | "Failed") {
                self.volume_phase(key, "Released")?;
            }
            return self.reclaim(key, volume);
        };
        if claim["spec"]["volumeName"].str() == volume.name() {
            return self.volume_phase(key, "Bound");
        }
        if claim["spec"]["volumeName"].is_empty() {
            // The claim's own sync binds it.
            let claim = ObjectKey::new(CLAIMS, owner["namespace"].text(), owner["name"].text());
            self.cluster.enqueue(
                Task::Controller(CONTROLLER.name, claim),
                Duration::from_millis(1),
            );
            return Ok(());
        }
        // Its claim has another volume: it is free again.
        let by_controller = volume.annotation(BOUND_BY_CONTROLLER).is_some();
        self.cluster
            .modify(self.by, key, Subresource::None, |volume| {
                if by_controller {
                    volume.remove(&["spec", "claimRef"]);
                    volume.remove(&["metadata", "annotations", BOUND_BY_CONTROLLER]);
                } else {
                    volume.remove(&["spec", "claimRef", "uid"]);
                }
            })?;
        self.volume_phase(key, "Available")
    }

    /// What becomes of a volume whose claim is gone.
    fn reclaim(&mut self, key: &ObjectKey, volume: &Value) -> Outcome {
        if volume["spec"]["persistentVolumeReclaimPolicy"].str() != "Delete" || volume.is_deleting()
        {
            return Ok(());
        }
        if volume.annotation(PROVISIONED_BY).is_some() || volume["spec"].get("csi").is_some() {
            // Its provisioner deletes it.
            return Ok(());
        }
        let path = volume["spec"]["hostPath"]["path"].str();
        let why = if path.is_empty() {
            format!(
                "error getting deleter volume plugin for volume \"{}\": no deletable volume plugin matched",
                key.name
            )
        } else if !path.starts_with("/tmp/") {
            format!("host_path deleter only supports /tmp/.+ but received provided {path}")
        } else {
            volumes::clear_directory(self.cluster, path);
            return match self.cluster.delete(self.by, key, &DeleteOptions::default()) {
                Err(status) if status.code != 404 => Err(status),
                _ => Ok(()),
            };
        };
        if volume["status"]["phase"].str() == "Failed" {
            return Ok(());
        }
        self.cluster
            .warn(self.by, volume, "VolumeFailedDelete", &why);
        let now: Value = self.cluster.now.rfc3339().into();
        self.cluster
            .modify(self.by, key, Subresource::Status, |volume| {
                volume["status"]["phase"] = "Failed".into();
                volume["status"]["message"] = why.into();
                volume["status"]["lastPhaseTransitionTime"] = now;
            })
            .map(drop)
    }

    fn volume_phase(&mut self, key: &ObjectKey, phase: &str) -> Outcome {
        let old = self.cluster.etcd.get(key);
        if old.is_none_or(|v| v["status"]["phase"].str() == phase) {
            return Ok(());
        }
        let now: Value = self.cluster.now.rfc3339().into();
        self.cluster
            .modify(self.by, key, Subresource::Status, |volume| {
                volume["status"]["phase"] = phase.into();
                volume["status"]["lastPhaseTransitionTime"] = now;
                volume.remove(&["status", "message"]);
            })
            .map(drop)
    }

    fn claim_phase(&mut self, key: &ObjectKey, phase: &str, volume: Option<&Value>) -> Outcome {
        let Some(old) = self.cluster.etcd.get(key) else {
            return Ok(());
        };
        let mut new = old.clone();
        let status = &mut new["status"];
        status["phase"] = phase.into();
        match volume {
            Some(volume) => {
                status["accessModes"] = volume["spec"]["accessModes"].clone();
                if status["capacity"].is_null() || old["status"]["phase"].str() != phase {
                    status["capacity"] = volume["spec"]["capacity"].clone();
                }
            }
            None => {
                status.remove(&["accessModes"]);
                status.remove(&["capacity"]);
            }
        }
        if new.same(old) {
            return Ok(());
        }
        self.cluster.update_status(self.by, new).map(drop)
    }
}

/// The pods that use a claim.
pub(crate) fn users<'a>(
    cluster: &'a Cluster,
    namespace: &str,
    claim: &str,
) -> impl Iterator<Item = (&'a ObjectKey, &'a Value)> + use<'a> {
    cluster
        .index
        .pods_with_claim(namespace, claim)
        .filter_map(|key| Some((key, cluster.etcd.get(key)?)))
}
