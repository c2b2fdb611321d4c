//! Pods that a kubelet has from files of its machine, and the mirror pods by which the API server
//! shows them (kubelet v1.37, `pkg/kubelet/config/file_linux.go`, `pkg/kubelet/pod/mirror_client.go`).

use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, array, object, yaml};
use kubarium_posix::{Files, MemoryFiles};

use super::Work;
use super::worker::Worker;
use crate::api::{DeleteOptions, Subresource};
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::images;
use crate::runtime::files;
use crate::task::Task;

/// Where the manifests are (`staticPodPath`, as kubeadm sets it).
const MANIFESTS: &str = "/etc/kubernetes/manifests/";
const HASH: &str = "kubernetes.io/config.hash";
const MIRROR: &str = "kubernetes.io/config.mirror";
const SOURCE: &str = "kubernetes.io/config.source";

/// The uid by which a node knows a pod: that of its static pod for a mirror pod.
pub(crate) fn uid_on_node(pod: &Value) -> Text {
    let mirrors = &pod["metadata"]["annotations"][MIRROR];
    match mirrors.is_null() {
        true => pod["metadata"]["uid"].text(),
        false => mirrors.text(),
    }
}

/// Whether a kubelet has a pod from a file.
pub(super) fn is_static(pod: &Value) -> bool {
    pod["metadata"]["annotations"][SOURCE].str() == "file"
}

/// The manifests among a machine's files.
fn manifests(files: &MemoryFiles) -> BTreeMap<String, Vec<u8>> {
    let inside = |path: &&str| {
        let name = path.strip_prefix(MANIFESTS);
        name.is_some_and(|name| !name.is_empty() && !name.contains('/') && !name.starts_with('.'))
    };
    let read = |path: &str| Some((path.to_owned(), files.read(path).ok()?.to_vec()));
    files.paths().filter(inside).filter_map(read).collect()
}

/// A machine's disk is written to: the kubelet notices what has changed among its manifests.
pub(crate) fn disk_changes(cluster: &mut Cluster, node: &str, new: &MemoryFiles) {
    let before = files::node_view(cluster, node).root;
    if manifests(&before) == manifests(new) {
        return;
    }
    if let Some((name, _)) = cluster.machines.get_key_value(node) {
        let task = Task::Kubelet(name.clone(), Work::Manifests);
        cluster.enqueue(task, Duration::from_millis(100));
    }
}

/// Reads the manifests: pods come and go with them.
pub(super) fn run(cluster: &mut Cluster, node: &Text) {
    let files = files::node_view(cluster, node).root;
    let mut wanted: BTreeMap<Text, Value> = BTreeMap::new();
    for (path, content) in manifests(&files) {
        match read(cluster, node, &path, &content) {
            Ok(pod) => drop(wanted.insert(pod["metadata"]["uid"].text(), pod)),
            Err(why) => {
                let text = format!("Could not process manifest file {path}: {why}");
                cluster.log(
                    &Component::Kubelet(node.clone()),
                    Action::Configure,
                    None,
                    text,
                );
            }
        }
    }
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let before = std::mem::replace(&mut machine.kubelet.statics, wanted.clone());
    let gone = before.iter().filter(|(uid, _)| !wanted.contains_key(*uid));
    let come = wanted.iter().filter(|(uid, _)| !before.contains_key(*uid));
    for (uid, pod) in gone.chain(come) {
        let work = Work::Pod(key_of(pod), uid.clone());
        cluster.enqueue(Task::Kubelet(node.clone(), work), Duration::ZERO);
    }
}

/// When a manifest was read, as Go prints it: without the zeros at its end.
fn seen(cluster: &Cluster) -> String {
    let text = cluster.now.rfc3339_micro();
    let digits = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{}Z", digits.trim_end_matches('.'))
}

fn key_of(pod: &Value) -> ObjectKey {
    ObjectKey::new("pods", pod.namespace(), pod.name())
}

/// The static pod that a manifest describes.
fn read(cluster: &Cluster, node: &Text, path: &str, content: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(content);
    let mut documents = yaml::parse(&text).map_err(|error| error.to_string())?;
    if documents.len() != 1 {
        return Err("a manifest describes one pod".to_owned());
    }
    let raw = documents.remove(0).value;
    if raw["kind"].str() != "Pod" {
        return Err(format!("invalid pod: {}", raw["kind"]));
    }
    let (resource, mut pod) = cluster
        .decode(&raw, true)
        .map_err(|status| status.message)?;
    let name = format!("{}-{node}", pod.name());
    let uid = images::fingerprint(&format!("{node}:{path}:{text}"));
    let metadata = &mut pod["metadata"];
    if metadata["namespace"].is_empty() {
        metadata["namespace"] = "default".into();
    }
    metadata["name"] = name.into();
    metadata["uid"] = uid.as_str().into();
    metadata["generation"] = 1.into();
    let annotations = &mut metadata["annotations"];
    annotations[HASH] = uid.into();
    annotations["kubernetes.io/config.seen"] = seen(cluster).into();
    annotations[SOURCE] = "file".into();
    let spec = &mut pod["spec"];
    spec["nodeName"] = node.into();
    spec["tolerations"].push(object([
        ("effect", "NoExecute".into()),
        ("operator", "Exists".into()),
    ]));
    pod["status"]["phase"] = "Pending".into();
    pod["status"]["qosClass"] = kubarium_objects::validation::qos_class(&pod["spec"]).into();
    let errors = kubarium_objects::validation::create(&resource, &pod);
    match errors.first() {
        Some(error) => Err(format!("invalid pod: {error}")),
        None => Ok(pod),
    }
}

/// The mirror pod shows what the static pod does; it is made again when somebody deletes it.
pub(super) fn mirror(cluster: &mut Cluster, node: &Text, worker: &mut Worker) {
    let by = Component::Kubelet(node.clone());
    let cause = worker.last.or(cluster.cause());
    let wanted = worker.pod.clone();
    let written = cluster.caused_by(cause, |cluster| {
        let stored = cluster.etcd.get(&worker.key);
        let own = |pod: &&Value| {
            let mirrors = pod["metadata"]["annotations"][MIRROR].str();
            mirrors == &*worker.uid && !pod.is_deleting()
        };
        let there = stored.is_some_and(|pod| own(&pod));
        if stored.is_some() && !there {
            remove(cluster, &by, &worker.key)?;
        }
        if !there {
            cluster.create(&by, mirror_of(cluster, node, &wanted))?;
        }
        cluster.modify(&by, &worker.key, Subresource::Status, |pod| {
            pod["status"] = wanted["status"].clone();
        })
    });
    worker.untold = written.is_err();
}

fn mirror_of(cluster: &Cluster, node: &Text, pod: &Value) -> Value {
    let mut mirror = pod.clone();
    mirror.remove(&["status"]);
    let metadata = &mut mirror["metadata"];
    metadata["annotations"][MIRROR] = metadata["annotations"][HASH].clone();
    for field in ["uid", "generation"] {
        metadata.remove(&[field]);
    }
    if let Some(owner) = cluster.find("nodes", "", node) {
        metadata["ownerReferences"] = array([object([
            ("apiVersion", "v1".into()),
            ("controller", true.into()),
            ("kind", "Node".into()),
            ("name", node.into()),
            ("uid", owner.uid().into()),
        ])]);
    }
    mirror
}

/// A static pod has ended for good: its mirror goes.
pub(super) fn gone(cluster: &mut Cluster, node: &Text, worker: &Worker) {
    let stored = cluster.etcd.get(&worker.key);
    let mirrors = stored.map(|pod| pod["metadata"]["annotations"][MIRROR].text());
    if mirrors.is_some_and(|uid| uid == worker.uid) {
        // Where the API server cannot be reached it stays, as a real one does.
        let _ = remove(cluster, &Component::Kubelet(node.clone()), &worker.key);
    }
}

/// A mirror of a static pod that the kubelet does not have (any more) goes.
pub(super) fn clean_up(cluster: &mut Cluster, node: &Text, key: &ObjectKey, uid: &Text) {
    let Some(pod) = cluster.etcd.get(key) else {
        return;
    };
    let ours = pod["spec"]["nodeName"].str() == &**node;
    if ours && *pod["metadata"]["annotations"][MIRROR].str() == **uid {
        // Tried again when the kubelet hears of it next.
        let _ = remove(cluster, &Component::Kubelet(node.clone()), key);
    }
}

fn remove(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
) -> Result<(), kubarium_objects::status::Status> {
    match cluster.delete(by, key, &DeleteOptions::now()) {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}
