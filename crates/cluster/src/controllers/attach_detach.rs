//! attachdetach-controller: attaches the volumes of CSI drivers to the nodes of the pods that use them, and
//! detaches them when no pod there does (kubernetes v1.37, `pkg/controller/volume/attachdetach`,
//! `pkg/volume/csi/csi_attacher.go`).
//!
//! What it wants it writes as VolumeAttachments. A driver's external-attacher (`external_attacher`)
//! carries them out; where no such driver is installed, nobody does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, array, object};
use sha2::{Digest, Sha256};

use super::persistent_volume::{CLAIMS, VOLUMES, users};
use super::{Controller, Outcome, pods, small};
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::index::claims_of;
use crate::task::Task;
use crate::time::Time;

pub(crate) const ATTACHMENTS: &str = "volumeattachments.storage.k8s.io";
/// How long a driver may take to attach a volume (`csiTimeout`).
const ATTACH_TIMEOUT: Duration = Duration::from_secs(120);
/// After so long a volume is taken from a node that is not ready, mounted or not (`maxWaitForUnmountDuration`).
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(360);
/// Between two tries of what has failed (`pkg/util/goroutinemap/exponentialbackoff`).
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(122);

pub(super) const CONTROLLER: Controller = Controller {
    name: "attachdetach-controller",
    observe,
    size: small,
    sync,
};

/// What is remembered of attachments that do not come about at once, by their names.
pub(crate) type Attaching = BTreeMap<Text, Progress>;

/// How far the attaching (or detaching) of a volume is.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// When it was begun.
    pub since: Time,
    failures: u32,
    /// Not tried again before.
    retry: Time,
}

impl Progress {
    pub(super) fn begun(now: Time) -> Progress {
        Progress {
            since: now,
            failures: 0,
            retry: now,
        }
    }

    /// It has failed: it is tried again later, after longer each time.
    fn fail(&mut self, now: Time) {
        let delay = BACKOFF * 2_u32.saturating_pow(self.failures.min(16));
        self.failures += 1;
        self.retry = now + delay.min(BACKOFF_MAX);
    }
}

/// The work item is a PersistentVolume.
fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let volume = |name: &Value| ObjectKey::new(VOLUMES, "", name.text());
    match &*change.key.resource {
        "pods" => {
            let pod = change.object();
            let moved = change.differs(&["spec", "nodeName"])
                || change.differs(&["status", "phase"])
                || change.new.is_none();
            if pod["spec"]["volumes"].items().is_empty() || !moved {
                return Vec::new();
            }
            let claims = claims_of(pod);
            let bound = claims.filter_map(|claim| {
                let key = ObjectKey::new(CLAIMS, change.key.namespace.clone(), claim);
                Some(&cluster.etcd.get(&key)?["spec"]["volumeName"])
            });
            bound.filter(|name| !name.is_empty()).map(volume).collect()
        }
        ATTACHMENTS => {
            let source = &change.object()["spec"]["source"];
            vec![volume(&source["persistentVolumeName"])]
        }
        "nodes"
            if change.new.is_some()
                && (change.differs(&["status", "volumesInUse"])
                    || change.differs(&["spec", "taints"])) =>
        {
            let there = cluster.index.attachments_on(&change.key.name);
            let names = there.filter_map(|key| cluster.etcd.get(key));
            names
                .map(|a| volume(&a["spec"]["source"]["persistentVolumeName"]))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a volume is one that has to be attached before it is mounted: of a CSI driver that does not
/// say otherwise.
pub(crate) fn is_attachable(cluster: &Cluster, volume: &Value) -> bool {
    let Some(csi) = volume["spec"].get("csi") else {
        return false;
    };
    let driver = cluster.find("csidrivers.storage.k8s.io", "", csi["driver"].str());
    driver.is_none_or(|d| d["spec"]["attachRequired"].as_bool() != Some(false))
}

/// Under which name a node's status lists a volume.
pub(crate) fn unique_name(volume: &Value) -> Text {
    let csi = &volume["spec"]["csi"];
    let (driver, handle) = (csi["driver"].str(), csi["volumeHandle"].str());
    format!("kubernetes.io/csi/{driver}^{handle}").into()
}

/// The name of the attachment of a volume to a node.
pub(crate) fn attachment_name(volume: &Value, node: &str) -> Text {
    let csi = &volume["spec"]["csi"];
    let mut digest = Sha256::new();
    digest.update(csi["volumeHandle"].str());
    digest.update(csi["driver"].str());
    digest.update(node);
    let mut name = "csi-".to_owned();
    for byte in digest.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.into()
}

/// Whether a CSI driver is registered at a node's kubelet.
pub(crate) fn has_driver(cluster: &Cluster, node: &str, driver: &str) -> bool {
    let object = cluster.find("csinodes.storage.k8s.io", "", node);
    let mut drivers = object
        .into_iter()
        .flat_map(|o| o["spec"]["drivers"].items());
    drivers.any(|d| d["name"].str() == driver)
}

/// Whether a node's status lists a volume in a field: `name`s in `volumesAttached`, texts in `volumesInUse`.
pub(crate) fn lists(node: &Value, field: &str, name: &str) -> bool {
    let mut all = node["status"][field].items().iter();
    all.any(|v| v.str() == name || v["name"].str() == name)
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(volume) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    if !is_attachable(cluster, &volume) {
        return Ok(());
    }
    let claim = &volume["spec"]["claimRef"];
    let mut wanted: BTreeMap<Text, Vec<Value>> = BTreeMap::new();
    for (_, pod) in users(cluster, claim["namespace"].str(), claim["name"].str()) {
        if !pod["spec"]["nodeName"].is_empty() && !pods::is_over(pod) {
            let there = wanted.entry(pod["spec"]["nodeName"].text()).or_default();
            there.push(pod.clone());
        }
    }
    let attachments = cluster.index.attachments_of(&key.name);
    let attachments: Vec<Value> = attachments
        .filter_map(|key| cluster.etcd.get(key).cloned())
        .collect();
    let mut work = Work {
        cluster,
        by,
        key,
        volume: &volume,
    };
    for attachment in &attachments {
        if !wanted.contains_key(attachment["spec"]["nodeName"].str()) {
            work.detach(attachment)?;
        }
    }
    for (node, there) in &wanted {
        let here = |a: &&Value| *a["spec"]["nodeName"].str() == **node;
        match attachments.iter().find(here) {
            Some(attachment) => work.attached(attachment, node, there)?,
            None => {
                let elsewhere: BTreeSet<&str> = attachments
                    .iter()
                    .map(|a| a["spec"]["nodeName"].str())
                    .collect();
                work.attach(node, there, &elsewhere, &wanted)?;
            }
        }
    }
    Ok(())
}

/// The work for one volume.
struct Work<'a> {
    cluster: &'a mut Cluster,
    by: &'a Component,
    key: &'a ObjectKey,
    volume: &'a Value,
}

impl Work<'_> {
    fn again_at(&mut self, at: Time) {
        let delay = at.since(self.cluster.now);
        let task = Task::Controller(CONTROLLER.name, self.key.clone());
        self.cluster.enqueue(task, delay);
    }

    fn progress(&mut self, name: &Text) -> &mut Progress {
        let now = self.cluster.now;
        let known = self.cluster.attaching.entry(name.clone());
        known.or_insert_with(|| Progress::begun(now))
    }

    fn warn(&mut self, there: &[Value], message: &str) {
        for pod in there {
            self.cluster
                .warn(self.by, pod, "FailedAttachVolume", message);
        }
    }

    /// Attaching has failed: the pods are told, and it is tried again.
    fn fail(&mut self, name: &Text, there: &[Value], why: &str) {
        let volume = self.volume.name().to_owned();
        let message = format!("AttachVolume.Attach failed for volume \"{volume}\" : {why}");
        self.warn(there, &message);
        let now = self.cluster.now;
        let progress = self.progress(name);
        progress.fail(now);
        let retry = progress.retry;
        self.again_at(retry);
    }

    /// Asks for the volume to be attached to a node.
    fn attach(
        &mut self,
        node: &Text,
        there: &[Value],
        elsewhere: &BTreeSet<&str>,
        wanted: &BTreeMap<Text, Vec<Value>>,
    ) -> Outcome {
        let name = attachment_name(self.volume, node);
        let exclusive = !self.volume["spec"]["accessModes"]
            .items()
            .iter()
            .any(|mode| matches!(mode.str(), "ReadWriteMany" | "ReadOnlyMany"));
        if exclusive && !elsewhere.is_empty() {
            // It is told once, and attached as soon as it is detached from there.
            if !self.cluster.attaching.contains_key(&name) {
                self.progress(&name);
                let message = self.multi_attach(there, elsewhere, wanted);
                self.warn(there, &message);
            }
            return Ok(());
        }
        let now = self.cluster.now;
        let driver = self.volume["spec"]["csi"]["driver"].text();
        if self.progress(&name).retry > now {
            return Ok(());
        }
        if !has_driver(self.cluster, node, &driver) {
            let why = format!("CSINode {node} does not contain driver {driver}");
            self.fail(&name, there, &why);
            return Ok(());
        }
        self.cluster.attaching.remove(&name);
        self.again_at(now + ATTACH_TIMEOUT);
        let source = object([(
            "persistentVolumeName",
            self.volume["metadata"]["name"].clone(),
        )]);
        let attachment = object([
            ("apiVersion", "storage.k8s.io/v1".into()),
            ("kind", "VolumeAttachment".into()),
            ("metadata", object([("name", name.into())])),
            (
                "spec",
                object([
                    ("attacher", driver.into()),
                    ("nodeName", node.into()),
                    ("source", source),
                ]),
            ),
            ("status", object([("attached", false.into())])),
        ]);
        self.cluster.create(self.by, attachment).map(drop)
    }

    /// What pods are told whose volume is attached to another node.
    fn multi_attach(
        &self,
        there: &[Value],
        elsewhere: &BTreeSet<&str>,
        wanted: &BTreeMap<Text, Vec<Value>>,
    ) -> String {
        let volume = self.volume.name();
        let others = wanted
            .iter()
            .filter(|(node, _)| elsewhere.contains(&***node))
            .flat_map(|(_, pods)| pods);
        let names: Vec<&str> = others
            .filter(|pod| there.iter().all(|own| own.uid() != pod.uid()))
            .map(|pod| pod.name())
            .collect();
        match &names[..] {
            [] => format!(
                "Multi-Attach error for volume \"{volume}\" Volume is already exclusively attached to one node and can't be attached to another"
            ),
            names => format!(
                "Multi-Attach error for volume \"{volume}\" Volume is already used by pod(s) {}",
                names.join(", ")
            ),
        }
    }

    /// Looks how far an attachment is that is wanted.
    fn attached(&mut self, attachment: &Value, node: &Text, there: &[Value]) -> Outcome {
        if attachment.is_deleting() {
            // Once it is gone it is made anew.
            return Ok(());
        }
        let name = attachment["metadata"]["name"].text();
        if attachment["status"]["attached"].as_bool() != Some(true) {
            return self.wait(attachment, &name, there);
        }
        self.cluster.attaching.remove(&name);
        let unique = unique_name(self.volume);
        let key = ObjectKey::new("nodes", "", node.clone());
        let Some(object) = self.cluster.etcd.get(&key) else {
            return Ok(());
        };
        if lists(object, "volumesAttached", &unique) {
            return Ok(());
        }
        let entry = object_of(&unique);
        self.cluster
            .modify(self.by, &key, Subresource::Status, |node| {
                node["status"]["volumesAttached"].push(entry);
            })?;
        let volume = self.volume.name().to_owned();
        let message = format!("AttachVolume.Attach succeeded for volume \"{volume}\" ");
        for pod in there {
            self.cluster
                .record(self.by, pod, "SuccessfulAttachVolume", &message);
        }
        Ok(())
    }

    /// Waits for the driver, for a time.
    fn wait(&mut self, attachment: &Value, name: &Text, there: &[Value]) -> Outcome {
        let now = self.cluster.now;
        let error = attachment["status"]["attachError"]["message"].str();
        let made = attachment.creation_timestamp().and_then(Time::parse);
        let begun = match self.cluster.attaching.get(name) {
            Some(progress) if progress.retry > now => return Ok(()),
            Some(progress) => progress.retry,
            None => made.unwrap_or(now),
        };
        if !error.is_empty() {
            let error = error.to_owned();
            self.fail(name, there, &error);
        } else if now >= begun + ATTACH_TIMEOUT {
            let csi = &self.volume["spec"]["csi"];
            let why = format!(
                "timed out waiting for external-attacher of {} CSI driver to attach volume {}",
                csi["driver"].str(),
                csi["volumeHandle"].str()
            );
            self.fail(name, there, &why);
        } else {
            self.again_at(begun + ATTACH_TIMEOUT);
        }
        Ok(())
    }

    /// No pod on a node wants the volume any more.
    fn detach(&mut self, attachment: &Value) -> Outcome {
        if attachment.is_deleting() {
            return Ok(());
        }
        let (now, unique) = (self.cluster.now, unique_name(self.volume));
        let name = attachment["metadata"]["name"].text();
        let key = ObjectKey::new("nodes", "", attachment["spec"]["nodeName"].text());
        if let Some(node) = self.cluster.etcd.get(&key).cloned() {
            let ready =
                pods::condition(&node, "Ready").is_some_and(|c| c["status"].str() == "True");
            let given_up = super::pod_gc::is_out_of_service(&node);
            if lists(&node, "volumesInUse", &unique) && !given_up {
                // It is still mounted. Of a node that is silent nobody knows; after a while that is enough.
                let force = self.progress(&name).since + UNMOUNT_PATIENCE;
                if ready || now < force {
                    self.again_at(force.max(now + UNMOUNT_PATIENCE / 6));
                    return Ok(());
                }
            }
            if lists(&node, "volumesAttached", &unique) {
                self.cluster
                    .modify(self.by, &key, Subresource::Status, |node| {
                        let all = node["status"]["volumesAttached"].array_mut();
                        all.retain(|v| *v["name"].str() != *unique);
                        if node["status"]["volumesAttached"].is_empty() {
                            node.remove(&["status", "volumesAttached"]);
                        }
                    })?;
            }
        }
        self.cluster.attaching.remove(&name);
        let key = ObjectKey::new(ATTACHMENTS, "", name);
        match self
            .cluster
            .delete(self.by, &key, &DeleteOptions::default())
        {
            Err(status) if status.code != 404 => Err(status),
            _ => Ok(()),
        }
    }
}

fn object_of(unique: &Text) -> Value {
    object([("devicePath", "".into()), ("name", unique.into())])
}

/// The external-attacher of a CSI driver that a cluster file installs: it attaches volumes to nodes and
/// detaches them, in the time that a cloud takes (kubernetes-csi/external-attacher v4).
pub(super) mod external {
    use super::*;

    pub(in super::super) const CONTROLLER: Controller = Controller {
        name: "external-attacher",
        observe,
        size: small,
        sync,
    };

    /// The work item is a VolumeAttachment.
    fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
        let attacher = change.object()["spec"]["attacher"].str();
        let installed = || cluster.config.storage.csi.iter().any(|d| **d == *attacher);
        let ours = &*change.key.resource == ATTACHMENTS && change.new.is_some() && installed();
        ours.then(|| change.key.clone()).into_iter().collect()
    }

    fn sync(cluster: &mut Cluster, _: &Component, key: &ObjectKey) -> Outcome {
        let Some(attachment) = cluster.etcd.get(key).cloned() else {
            return Ok(());
        };
        let driver = attachment["spec"]["attacher"].text();
        let by = Component::Process(driver.clone());
        let finalizer = format!("external-attacher/{}", driver.replace('/', "-"));
        let marked = attachment.finalizers().any(|f| f == finalizer);
        let attached = attachment["status"]["attached"].as_bool() == Some(true);
        let going = attachment.is_deleting();
        if attached != going && !(going && marked) {
            return Ok(());
        }
        if !marked && !going {
            cluster.modify(&by, key, Subresource::None, |a| {
                a["metadata"]["finalizers"].push(finalizer.as_str());
            })?;
        }
        // The first look begins the work, a later one finds it done.
        let name = Text::from(format!("{driver}/{}/{going}", key.name));
        let now = cluster.now;
        let progress = cluster.attaching.entry(name.clone());
        let done = progress.or_insert_with(|| Progress::begun(now)).since
            + Duration::from_millis(cluster.config.storage.attach_ms);
        if now < done {
            let task = Task::Controller(CONTROLLER.name, key.clone());
            cluster.enqueue(task, done.since(now));
            return Ok(());
        }
        cluster.attaching.remove(&name);
        let part = match going {
            true => Subresource::None,
            false => Subresource::Status,
        };
        let written = cluster.modify(&by, key, part, |a| match going {
            true => {
                let rest = a["metadata"]["finalizers"].items().iter();
                let rest: Vec<Value> = rest.filter(|f| f.str() != finalizer).cloned().collect();
                a["metadata"]["finalizers"] = array(rest);
            }
            false => a["status"] = object([("attached", true.into())]),
        });
        written.map(drop)
    }
}
