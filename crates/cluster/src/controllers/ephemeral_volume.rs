//! ephemeral-volume-controller: the claims of pods' ephemeral volumes
//! (kubernetes v1.37, `pkg/controller/volume/ephemeral`).

use kubarium_objects::{ObjectKey, ObjectMeta, object};

use super::{Controller, Outcome, pods, small};
use crate::cluster::{Change, Cluster};
use crate::event::Component;

pub(super) const CONTROLLER: Controller = Controller {
    name: "ephemeral-volume-controller",
    observe,
    size: small,
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let volumes = || change.object()["spec"]["volumes"].items().iter();
    let ours = &*change.key.resource == "pods"
        && change.old.is_none()
        && volumes().any(|v| v.get("ephemeral").is_some());
    if ours {
        vec![change.key.clone()]
    } else {
        Vec::new()
    }
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(pod) = cluster
        .etcd
        .get(key)
        .filter(|pod| !pod.is_deleting())
        .cloned()
    else {
        return Ok(());
    };
    for volume in pod["spec"]["volumes"].items() {
        let Some(ephemeral) = volume.get("ephemeral") else {
            continue;
        };
        let name = format!("{}-{}", pod.name(), volume["name"].str());
        if let Some(claim) = cluster.find("persistentvolumeclaims", &key.namespace, &name) {
            if claim
                .controller_ref()
                .is_none_or(|owner| owner.uid() != pod.uid())
            {
                let message = format!(
                    "PVC \"{}/{name}\" was not created for pod \"{}/{}\" (pod is not owner)",
                    key.namespace, key.namespace, key.name
                );
                cluster.warn(by, &pod, "EphemeralVolumeCreationFailed", &message);
            }
            continue;
        }
        let template = &ephemeral["volumeClaimTemplate"];
        let mut metadata = object([
            ("name", name.into()),
            ("namespace", (&key.namespace).into()),
            ("ownerReferences", vec![pods::controller_ref(&pod)].into()),
        ]);
        for field in ["labels", "annotations"] {
            if !template["metadata"][field].is_empty() {
                metadata[field] = template["metadata"][field].clone();
            }
        }
        let claim = object([
            ("apiVersion", "v1".into()),
            ("kind", "PersistentVolumeClaim".into()),
            ("metadata", metadata),
            ("spec", template["spec"].clone()),
        ]);
        cluster.create(by, claim)?;
    }
    Ok(())
}
