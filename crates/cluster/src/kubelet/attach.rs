//! Volumes that have to be attached to the machine before the kubelet mounts them: it says in the node's
//! status that they are in use, and waits until the attach-detach controller says there that they are
//! attached (kubelet v1.37, `pkg/kubelet/volumemanager`, `pkg/volume/csi`).

use std::collections::BTreeSet;
use std::time::Duration;

use kubarium_objects::{Text, Value};

use super::worker::{Stage, Waiting, Worker};
use super::{Kubelet, Work};
use crate::cluster::Cluster;
use crate::controllers::attach_detach::{has_driver, is_attachable, lists, unique_name};
use crate::event::Component;
use crate::runtime::volumes::volume_of;
use crate::task::Task;
use crate::time::Time;

/// How often a kubelet renews its node's status, where it has changed (`nodeStatusUpdateFrequency`).
const STATUS: u64 = 10_000_000_000;
/// After so long without its volumes a pod is told so (`podAttachAndMountTimeout`).
const PATIENCE: Duration = Duration::from_secs(123);
/// Under this place a worker's wait for its volumes is kept.
const PLACE: u8 = u8::MAX;

/// The volumes of a pod that are to be attached: what the pod calls them, and the PersistentVolumes.
fn attachable<'a>(
    cluster: &'a Cluster,
    pod: &'a Value,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let volumes = pod["spec"]["volumes"].items().iter();
    let found = volumes.filter_map(|v| Some((v["name"].str(), volume_of(cluster, pod, v)?)));
    found.filter(|(_, volume)| is_attachable(cluster, volume))
}

/// What a pod's volumes wait for.
pub(super) enum Missing {
    /// They are not attached yet.
    Attachment,
    /// Something else that they need: the event's message.
    Part(String),
}

/// Whether all volumes of a pod can be mounted.
pub(super) fn check(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
) -> Result<(), Missing> {
    let pod = &worker.pod;
    let Some(object) = cluster.find("nodes", "", node) else {
        return Ok(());
    };
    let (mut away, mut untold) = (Vec::new(), false);
    for (name, volume) in attachable(cluster, pod) {
        let unique = unique_name(volume);
        let in_use = lists(object, "volumesInUse", &unique);
        untold |= !in_use;
        if !in_use || !lists(object, "volumesAttached", &unique) {
            away.push(name);
        }
    }
    if !away.is_empty() {
        let away = away.join(" ");
        if untold {
            tell(cluster, node);
        }
        complain(cluster, node, worker, &away);
        return Err(Missing::Attachment);
    }
    worker.waiting.remove(&PLACE);
    let volumes = worker.pod["spec"]["volumes"].items().iter();
    for volume in volumes.filter_map(|v| volume_of(cluster, &worker.pod, v)) {
        let driver = &volume["spec"]["csi"]["driver"];
        if !driver.is_empty() && !has_driver(cluster, node, driver.str()) {
            return Err(Missing::Part(format!(
                "MountVolume.MountDevice failed for volume {:?} : kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name {} not found in the list of registered CSI drivers",
                volume["metadata"]["name"].str(),
                driver.str()
            )));
        }
    }
    Ok(())
}

/// Tells the pod that it waits for its volumes, each time that its patience is over.
fn complain(cluster: &mut Cluster, node: &Text, worker: &mut Worker, away: &str) {
    let now = cluster.now;
    let waiting = worker.waiting.get_or_insert_with(PLACE, || Waiting {
        reason: "",
        message: Text::default(),
        until: now + PATIENCE,
        told: now,
    });
    if now < waiting.until {
        return;
    }
    waiting.until = now + PATIENCE;
    let message = format!(
        "Unable to attach or mount volumes: unmounted volumes=[{away}], unattached volumes=[{away}], failed to process volumes=[]: context deadline exceeded"
    );
    let by = Component::Kubelet(node.clone());
    cluster.warn(&by, &worker.pod, "FailedMount", &message);
}

/// The node's next status lists what is in use.
fn tell(cluster: &mut Cluster, node: &Text) {
    let at = Time((cluster.now.0 / STATUS + 1) * STATUS);
    let delay = at.since(cluster.now);
    cluster.enqueue(Task::Kubelet(node.clone(), Work::Status), delay);
}

/// A pod has let go of its volumes.
pub(super) fn released(cluster: &mut Cluster, node: &Text, pod: &Value) {
    if attachable(cluster, pod).next().is_some() {
        tell(cluster, node);
    }
}

/// What a kubelet's pods have in use, by the names of `node.status.volumesInUse`.
pub(super) fn in_use(cluster: &Cluster, kubelet: &Kubelet) -> Vec<Text> {
    let workers = kubelet.pods.values().filter(|w| w.stage != Stage::Ended);
    let names: BTreeSet<Text> = workers
        .flat_map(|worker| attachable(cluster, &worker.pod))
        .map(|(_, volume)| unique_name(volume))
        .collect();
    names.into_iter().collect()
}
