//! The provisioner that a cluster file may configure: it makes a volume for each claim of its
//! classes, and deletes those that are released (sig-storage-lib-external-provisioner v11).

use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, array, object};

use super::persistent_volume::{CLAIMS, CLASSES, PROVISIONED_BY, SELECTED_NODE, VOLUMES, class_of};
use super::{Controller, Outcome, small};
use crate::api::DeleteOptions;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::runtime::volumes;
use crate::task::Task;

pub(super) const CONTROLLER: Controller = Controller {
    name: "external-provisioner",
    observe,
    size: small,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let ours = matches!(&*change.key.resource, CLAIMS | VOLUMES) && change.new.is_some();
    if ours && cluster.config.storage.provisioner.is_some() {
        vec![change.key.clone()]
    } else {
        Vec::new()
    }
}

fn sync(cluster: &mut Cluster, _: &Component, key: &ObjectKey) -> Outcome {
    let (Some(object), Some(name)) = (
        cluster.etcd.get(key).cloned(),
        cluster.config.storage.provisioner.clone(),
    ) else {
        return Ok(());
    };
    // Its events carry its own name.
    let by = Component::Process(name.clone());
    if &*key.resource == VOLUMES {
        return delete(cluster, &by, key, &object, &name);
    }
    provision(cluster, &by, key, &object, &name)
}

fn provision(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    claim: &Value,
    name: &Text,
) -> Outcome {
    let asked = claim.annotation("volume.kubernetes.io/storage-provisioner");
    if asked != Some(&**name) || !claim["spec"]["volumeName"].is_empty() || claim.is_deleting() {
        return Ok(());
    }
    let Some(class) = cluster.find(CLASSES, "", class_of(claim)).cloned() else {
        return Ok(());
    };
    let node = claim.annotation(SELECTED_NODE).map(Text::from);
    let waits = class["volumeBindingMode"].str() == "WaitForFirstConsumer";
    if waits && node.is_none() {
        return Ok(());
    }
    let volume: Text = format!("pvc-{}", claim.uid()).into();
    if cluster.find(VOLUMES, "", &volume).is_some() {
        return Ok(());
    }
    // The first look begins the work, the second finds it done.
    let begun = format!(
        "External provisioner is provisioning volume for claim \"{}/{}\"",
        key.namespace, key.name
    );
    let started = cluster.config.storage.provision_ms;
    if !cluster.provisioning.contains(&volume) {
        cluster.record(by, claim, "Provisioning", &begun);
        cluster.provisioning.insert(volume);
        cluster.enqueue(
            Task::Controller(CONTROLLER.name, key.clone()),
            Duration::from_millis(started),
        );
        return Ok(());
    }
    cluster.provisioning.remove(&volume);
    let size = claim["spec"]["resources"]["requests"]["storage"].clone();
    let mut spec = object([
        ("accessModes", claim["spec"]["accessModes"].clone()),
        ("capacity", object([("storage", size)])),
        (
            "claimRef",
            object([
                ("apiVersion", "v1".into()),
                ("kind", "PersistentVolumeClaim".into()),
                ("name", claim["metadata"]["name"].clone()),
                ("namespace", claim["metadata"]["namespace"].clone()),
                (
                    "resourceVersion",
                    claim["metadata"]["resourceVersion"].clone(),
                ),
                ("uid", claim["metadata"]["uid"].clone()),
            ]),
        ),
        (
            "hostPath",
            object([
                (
                    "path",
                    format!(
                        "/opt/local-path-provisioner/{volume}_{}_{}",
                        key.namespace, key.name
                    )
                    .into(),
                ),
                ("type", "DirectoryOrCreate".into()),
            ]),
        ),
        (
            "persistentVolumeReclaimPolicy",
            class["reclaimPolicy"].as_str().unwrap_or("Delete").into(),
        ),
        ("storageClassName", class["metadata"]["name"].clone()),
        (
            "volumeMode",
            claim["spec"]["volumeMode"]
                .as_str()
                .unwrap_or("Filesystem")
                .into(),
        ),
    ]);
    if let Some(node) = node {
        let expression = object([
            ("key", "kubernetes.io/hostname".into()),
            ("operator", "In".into()),
            ("values", array([node])),
        ]);
        let term = object([("matchExpressions", array([expression]))]);
        spec["nodeAffinity"] =
            object([("required", object([("nodeSelectorTerms", array([term]))]))]);
    }
    let made = object([
        ("apiVersion", "v1".into()),
        ("kind", "PersistentVolume".into()),
        (
            "metadata",
            object([
                ("annotations", object([(PROVISIONED_BY, name.into())])),
                ("name", (&volume).into()),
            ]),
        ),
        ("spec", spec),
    ]);
    match cluster.create(by, made) {
        Ok(_) => {
            let message = format!("Successfully provisioned volume {volume}");
            cluster.record(by, claim, "ProvisioningSucceeded", &message);
            Ok(())
        }
        Err(status) => {
            let message = format!("Error saving provisioned volume: {}", status.message);
            cluster.warn(by, claim, "ProvisioningFailed", &message);
            Err(status)
        }
    }
}

fn delete(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    volume: &Value,
    name: &Text,
) -> Outcome {
    let ours = volume.annotation(PROVISIONED_BY) == Some(&**name)
        && volume["status"]["phase"].str() == "Released"
        && volume["spec"]["persistentVolumeReclaimPolicy"].str() == "Delete"
        && !volume.is_deleting();
    if !ours {
        return Ok(());
    }
    volumes::clear_directory(cluster, volume["spec"]["hostPath"]["path"].str());
    match cluster.delete(by, key, &DeleteOptions::default()) {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}
