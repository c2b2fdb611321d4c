//! What pods' volumes are made from, what of them outlives the pod, and what they show of ConfigMaps
//! and Secrets that have changed (kubelet v1.37, `pkg/volume`, `pkg/kubelet/volumemanager`).

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::quantity::{Format, Quantity};
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_posix::{FileKind, Files, MemoryFiles};

use super::files::{self, MACHINE, Volumes, normal};
use super::{Container, Sandbox, environment};
use crate::cluster::Cluster;
use crate::kubelet::containers;

/// ConfigMaps and Secrets as they were, by resource and name: null for one that was not there.
pub(crate) type Kept = BTreeMap<(&'static str, Text), Value>;

/// Whether everything is there that the pod's volumes are made from; otherwise the event's message.
pub(crate) fn check(cluster: &Cluster, node: &str, pod: &Value) -> Result<(), String> {
    for volume in pod["spec"]["volumes"].items() {
        let failed = |why: String| {
            let name = volume["name"].str();
            Err(format!(
                "MountVolume.SetUp failed for volume {name:?} : {why}"
            ))
        };
        for (resource, source) in sources(volume) {
            let data = match environment::data(cluster, pod, resource, source) {
                Ok(data) => data.unwrap_or_default(),
                Err(error) => return failed(error),
            };
            if let Some(key) = missing_key(source, &data) {
                let what = match resource {
                    "secrets" => "references non-existent secret key",
                    _ => "configmap references non-existent config key",
                };
                return failed(format!("{what}: {key}"));
            }
        }
        if let Some(claim) = volume.get("persistentVolumeClaim") {
            let claim = claim["claimName"].str();
            let namespace = pod["metadata"]["namespace"].str();
            if cluster
                .find("persistentvolumeclaims", namespace, claim)
                .is_none()
            {
                return failed(format!("persistentvolumeclaim {claim:?} not found"));
            }
        }
        let exists = |path: &str| {
            let view = files::node_view(cluster, node);
            view.metadata(&normal(path), true).is_ok()
        };
        if let Some(behind) = volume_of(cluster, pod, volume)
            && let Some(path) = behind["spec"]["local"]["path"].as_str()
            && !exists(path)
        {
            let name = behind["metadata"]["name"].str();
            return Err(format!(
                "MountVolume.NewMounter initialization failed for volume {name:?} : path {path:?} does not exist"
            ));
        }
        if let Some(host) = volume.get("hostPath")
            && let Some(what) = is_not(cluster, node, host)
        {
            let path = host["path"].str();
            return failed(format!("hostPath type check failed: {path} is not {what}"));
        }
    }
    Ok(())
}

/// The first key that a source wants and its object lacks.
fn missing_key<'a>(source: &'a Value, data: &BTreeMap<Text, Vec<u8>>) -> Option<&'a str> {
    let optional = source["optional"].as_bool() == Some(true);
    let mut keys = source["items"].items().iter().map(|item| item["key"].str());
    keys.find(|key| !optional && !data.contains_key(*key))
}

/// The ConfigMaps and Secrets that a pod's volumes show, without the certificate that every pod has and
/// that does not change: resource and name.
pub(crate) fn shown_by(pod: &Value) -> impl Iterator<Item = (&'static str, Text)> + '_ {
    let volumes = pod["spec"]["volumes"].items().iter();
    let named = |(resource, source)| (resource, environment::source_name(source).into());
    volumes
        .flat_map(sources)
        .map(named)
        .filter(|(resource, name): &(_, Text)| (*resource, &**name) != ("configmaps", ROOT_CA))
}

/// The certificate of the API server's authority, in each namespace (root-ca-certificate-publisher).
const ROOT_CA: &str = "kube-root-ca.crt";

/// The ConfigMaps and Secrets that a volume is made from.
fn sources(volume: &Value) -> Vec<(&'static str, &Value)> {
    let mut found = Vec::new();
    let projected = volume["projected"]["sources"].items().iter();
    for source in std::iter::once(volume).chain(projected) {
        for (field, resource) in [("configMap", "configmaps"), ("secret", "secrets")] {
            if let Some(source) = source.get(field) {
                found.push((resource, source));
            }
        }
    }
    found
}

// --- Directories of the machine --------------------------------------------------------------------

/// Under which name a machine's own disk is kept.
pub(super) fn machine_disk(node: &str) -> Text {
    format!("{node}:/").into()
}

/// Sockets and devices that a node has.
const SOCKETS: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/var/run/containerd/containerd.sock",
];
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/fuse",
    "/dev/kvm",
];

/// What a hostPath is not that its type says it is (`pkg/volume/hostpath`, hostPathTypeChecker).
fn is_not(cluster: &Cluster, node: &str, host: &Value) -> Option<&'static str> {
    let path = normal(host["path"].str());
    let known = |list: &[&str]| list.contains(&&*path);
    let kind = files::node_view(cluster, node)
        .metadata(&path, true)
        .ok()
        .map(|m| m.kind);
    let (good, what) = match host["type"].str() {
        "Directory" => (kind == Some(FileKind::Directory), "a directory"),
        "DirectoryOrCreate" => (kind.is_none_or(|k| k == FileKind::Directory), "a directory"),
        "File" => (kind == Some(FileKind::File), "a file"),
        "FileOrCreate" => (kind.is_none_or(|k| k == FileKind::File), "a file"),
        "Socket" => (known(SOCKETS), "a socket file"),
        "CharDevice" => (known(DEVICES), "a character device"),
        "BlockDevice" => (false, "a block device"),
        _ => (true, ""),
    };
    (!good).then_some(what)
}

/// Makes the directories and files that hostPath volumes want and the machine lacks: the kubelet by
/// their type, the runtime those without one.
pub(crate) fn make_host_paths(cluster: &mut Cluster, node: &str, pod: &Value) {
    let volumes = pod["spec"]["volumes"].items().iter();
    let paths: Vec<(String, Text)> = volumes
        .filter_map(|volume| {
            let of_claim = || volume_of(cluster, pod, volume)?["spec"].get("hostPath");
            let host = volume.get("hostPath").or_else(of_claim)?;
            Some((normal(host["path"].str()), host["type"].text()))
        })
        .collect();
    if paths.is_empty() {
        return;
    }
    let mut root = files::node_view(cluster, node).root;
    let before = root.clone();
    for (path, kind) in paths {
        if root.metadata(&path, true).is_ok() {
            continue;
        }
        let _ = match &*kind {
            "" | "DirectoryOrCreate" => root.make_directories(&path),
            "FileOrCreate" => root.put(&path, b""),
            _ => Ok(()),
        };
    }
    if before != root {
        keep_machine(cluster, node, root);
    }
}

/// The directory of the machine that a volume is.
pub(super) fn machine_directory(cluster: &Cluster, pod: &Value, volume: &Value) -> Option<String> {
    if let Some(host) = volume.get("hostPath") {
        return Some(normal(host["path"].str()));
    }
    let spec = &volume_of(cluster, pod, volume)?["spec"];
    let source = spec.get("hostPath").or(spec.get("local"))?;
    Some(normal(source["path"].str()))
}

/// The PersistentVolume behind a volume of a pod.
pub(crate) fn volume_of<'a>(
    cluster: &'a Cluster,
    pod: &Value,
    volume: &Value,
) -> Option<&'a Value> {
    let claim = match volume.get("ephemeral") {
        Some(_) => format!("{}-{}", pod["metadata"]["name"].str(), volume["name"].str()),
        None => volume.get("persistentVolumeClaim")?["claimName"]
            .str()
            .to_owned(),
    };
    let namespace = pod["metadata"]["namespace"].str();
    let claim = cluster.find("persistentvolumeclaims", namespace, &claim)?;
    cluster.find("persistentvolumes", "", claim["spec"]["volumeName"].str())
}

/// The disk behind a claim, where it is none of the machine's directories.
pub(super) fn disk(cluster: &Cluster, pod: &Value, volume: &Value) -> Option<Text> {
    let volume = volume_of(cluster, pod, volume)?;
    Some(format!("volume {}", volume["metadata"]["name"].str()).into())
}

/// Keeps what has been written to volumes that outlive the pod.
pub(super) fn keep_disks(cluster: &mut Cluster, node: &str, pod: &Value, volumes: &mut Volumes) {
    if let Some(files) = volumes.remove(MACHINE) {
        keep_machine(cluster, node, files);
    }
    for volume in pod["spec"]["volumes"].items() {
        let Some(disk) = disk(cluster, pod, volume) else {
            continue;
        };
        if let Some(files) = volumes.remove(&volume["name"].text()) {
            keep(cluster, disk, files);
        }
    }
}

/// Keeps what has been written to a machine's own disk.
pub(super) fn keep_machine(cluster: &mut Cluster, node: &str, files: MemoryFiles) {
    crate::kubelet::disk_changes(cluster, node, &files);
    keep(cluster, machine_disk(node), files);
}

fn keep(cluster: &mut Cluster, disk: Text, files: MemoryFiles) {
    let disks = &mut cluster.ground.disks;
    if disks.get(&disk).is_none_or(|old| **old != files) {
        disks.insert(disk, Arc::new(files));
    }
}

/// Removes a directory with all that is in it, on every machine that has it.
pub(crate) fn clear_directory(cluster: &mut Cluster, path: &str) {
    let path = normal(path);
    if path == "/" {
        return;
    }
    let inside = |p: &str| {
        p.strip_prefix(&*path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for (_, files) in cluster
        .ground
        .disks
        .iter_mut()
        .filter(|(disk, _)| disk.ends_with(":/"))
    {
        let found: Vec<String> = files
            .paths()
            .filter(|p| inside(p))
            .map(str::to_owned)
            .collect();
        for path in found.iter().rev() {
            // The deepest first: directories are empty by then.
            let _ = Arc::make_mut(files).remove(path);
        }
    }
}

// --- ConfigMaps and Secrets that change --------------------------------------------------------------

/// What a pod's volume still shows of an object that has changed since: until the kubelet looks
/// after the pod again; for ever where a path within the volume is mounted.
pub(super) fn kept<'a>(
    sandbox: &'a Sandbox,
    container: Option<&'a Container>,
    resource: &'static str,
    name: &str,
) -> Option<&'a Value> {
    let key = (resource, Text::from(name));
    let pinned = container.and_then(|c| c.pinned.as_ref()?.get(&key));
    pinned.or_else(|| sandbox.kept.get(&key))
}

/// A ConfigMap or Secret has changed: the pods whose volumes show it go on showing what it was. Gives
/// back those pods' nodes and keys.
pub(crate) fn changed(
    cluster: &mut Cluster,
    object: &ObjectKey,
    before: &Value,
) -> Vec<(Text, ObjectKey, Text)> {
    let resource = match &*object.resource {
        "configmaps" => "configmaps",
        _ => "secrets",
    };
    let shows = |volume: &Value| {
        sources(volume)
            .iter()
            .any(|(r, source)| *r == resource && environment::source_name(source) == &*object.name)
    };
    let all: Vec<&ObjectKey> = match (resource, &*object.name) {
        // Nobody but a person's mistake changes it: no index is kept for it.
        ("configmaps", ROOT_CA) => {
            let pods = cluster.etcd.list("pods", Some(&object.namespace));
            pods.map(|(key, _)| key).collect()
        }
        _ => cluster.index.pods_showing(object).collect(),
    };
    let pods: Vec<(ObjectKey, Value)> = all
        .into_iter()
        .filter_map(|key| Some((key, cluster.etcd.get(key)?)))
        .filter(|(_, pod)| pod["spec"]["volumes"].items().iter().any(shows))
        .map(|(key, pod)| (key.clone(), pod.clone()))
        .collect();
    let mut found = Vec::new();
    for (key, pod) in pods {
        let node = pod["spec"]["nodeName"].text();
        let uid = crate::kubelet::uid_on_node(&pod);
        let Some(sandbox) = cluster.sandbox_mut(&node, &uid) else {
            continue;
        };
        let at = (resource, object.name.clone());
        let shown = sandbox
            .kept
            .entry(at.clone())
            .or_insert_with(|| before.clone());
        let names: Vec<&str> = pod["spec"]["volumes"]
            .items()
            .iter()
            .filter(|v| shows(v))
            .map(|v| v["name"].str())
            .collect();
        for (container, spec) in sandbox.containers.iter_mut().zip(containers(&pod)) {
            let mut mounts = spec["volumeMounts"].items().iter();
            let within =
                mounts.any(|m| !m["subPath"].is_empty() && names.contains(&m["name"].str()));
            if within && container.is_running() {
                let pinned = container.pinned.get_or_insert_default();
                Arc::make_mut(pinned)
                    .entry(at.clone())
                    .or_insert_with(|| shown.clone());
            }
        }
        found.push((node, key, uid));
    }
    found
}

// --- Their size --------------------------------------------------------------------------------------

fn bytes(files: &MemoryFiles) -> u64 {
    let found = files.paths().filter_map(|p| files.metadata(p, false).ok());
    found.map(|m| m.size).sum()
}

fn value(quantity: &Value) -> Option<u64> {
    let parsed = quantity.as_str()?.parse::<Quantity>().ok()?;
    Some(parsed.value().unsigned_abs()).filter(|bytes| *bytes > 0)
}

/// Why a pod has to go for what it has written to the machine's disk (kubelet v1.37,
/// `pkg/kubelet/eviction`, localStorageEviction).
pub(crate) fn overfull(sandbox: &Sandbox, pod: &Value) -> Option<String> {
    let mut all = 0;
    for volume in pod["spec"]["volumes"].items() {
        let empty_dir = &volume["emptyDir"];
        let Some(files) = sandbox.volumes.get(volume["name"].str()) else {
            continue;
        };
        let used = bytes(files);
        if empty_dir["medium"].str() != "Memory" {
            all += used;
        }
        if value(&empty_dir["sizeLimit"]).is_some_and(|limit| used > limit) {
            return Some(format!(
                "Usage of EmptyDir volume {:?} exceeds the limit {:?}. ",
                volume["name"].str(),
                empty_dir["sizeLimit"].str()
            ));
        }
    }
    let limits = || containers(pod).map(|c| &c["resources"]["limits"]["ephemeral-storage"]);
    if limits().all(Value::is_null) {
        return None;
    }
    let mut too_large = None;
    for ((container, spec), limit) in sandbox.containers.iter().zip(containers(pod)).zip(limits()) {
        let own: u64 = container
            .logs
            .lines()
            .map(|l| l.text.len() as u64 + 1)
            .sum();
        let own = own + container.files.as_ref().map_or(0, |files| bytes(files));
        all += own;
        if value(limit).is_some_and(|limit| own > limit) {
            too_large.get_or_insert(format!(
                "Container {} exceeded its local ephemeral storage limit {:?}. ",
                spec["name"].str(),
                limit.str()
            ));
        }
    }
    // A pod as a whole is limited where all of its containers are.
    let mains = || pod["spec"]["containers"].items().iter();
    let total = mains().try_fold(0, |sum, c| {
        Some(sum + value(&c["resources"]["limits"]["ephemeral-storage"])?)
    });
    match total {
        Some(total) if all > total => {
            let total = Quantity::new(total as i64, Format::BinarySi);
            Some(format!(
                "Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
            ))
        }
        _ => too_large,
    }
}
