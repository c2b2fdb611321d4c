//! How a cluster comes up: the objects that every API server makes by itself, the machines that
//! join as `kubeadm join` would make them, CoreDNS.

use std::time::Duration;

use kubarium_objects::{Text, Value, array, object};

use crate::api::{WriteOptions, aggregation, flow_control, rbac};
use crate::cluster::Cluster;
use crate::config::Role;
use crate::controllers::pods;
use crate::event::{Action, Component};
use crate::rng::Rng;

/// Brings the cluster up and lets it come to rest.
pub(crate) fn boot(cluster: &mut Cluster) {
    let text = format!(
        "{} machines, pods {}, Services {}",
        cluster.config.nodes.len(),
        cluster.config.network.pod_cidr,
        cluster.config.network.service_cidr
    );
    let start = cluster.log(&Component::ApiServer, Action::Boot, None, text);
    cluster.caused_by(Some(start), |cluster| {
        for object in own_objects(cluster) {
            make(cluster, object);
        }
        ready_made(cluster);
        for at in 0..cluster.config.nodes.len() {
            let node = cluster.config.nodes[at].clone();
            if let Err(why) = crate::node::join(cluster, &node) {
                cluster.log(&Component::Network, Action::Refuse, None, why);
            }
        }
        if let Some(class) = storage(cluster) {
            make(cluster, class);
        }
        for driver in cluster.config.storage.csi.clone() {
            let mut object = new("storage.k8s.io/v1", "CSIDriver", meta(&driver, ""));
            object["spec"]["attachRequired"] = true.into();
            make(cluster, object);
        }
        for object in add_ons(cluster) {
            make(cluster, object);
        }
    });
    cluster.settle(Duration::from_secs(4), Duration::from_secs(60));
    // One whose first readiness probe came too early waits for the next.
    if !what_runs_is_ready(cluster) {
        cluster.run_while(Duration::from_secs(20), what_runs_is_ready);
        cluster.settle(Duration::from_secs(4), Duration::from_secs(60));
    }
    let objects = cluster.config.objects.clone();
    cluster.caused_by(Some(start), |cluster| {
        for object in objects {
            let namespace = object["metadata"]["namespace"].as_str().map(Into::into);
            // What cannot be made is in the log as refused, with the reason.
            let options = WriteOptions {
                namespace,
                ..WriteOptions::strict()
            };
            let _ = cluster.create_with(&Component::Person, object, &options);
        }
    });
    if !cluster.config.objects.is_empty() {
        cluster.settle(Duration::from_secs(4), Duration::from_secs(60));
    }
}

fn what_runs_is_ready(cluster: &Cluster) -> bool {
    let mut pods = cluster.etcd.list("pods", None);
    pods.all(|(_, pod)| pod["status"]["phase"].str() != "Running" || pods::is_ready(pod))
}

/// Stores the roles, bindings and other objects that every API server makes. They are right as they
/// are, and come with random numbers of their own: there are many of them.
fn ready_made(cluster: &mut Cluster) {
    let mut rng = Rng::new(cluster.config.seed ^ 0x7262_6163);
    let now: Value = cluster.now.rfc3339().into();
    let mut objects = rbac::bootstrap::OBJECTS.clone();
    objects.extend(flow_control::objects(&now));
    objects.extend(aggregation::objects(&now));
    objects.push(service_range(cluster, &now));
    for mut object in objects {
        object["metadata"]["creationTimestamp"] = now.clone();
        object["metadata"]["uid"] = rng.uuid().into();
        let Some(key) = cluster.key_of(&object) else {
            continue;
        };
        let text = Text::from("");
        cluster.commit(
            &Component::ApiServer,
            Action::Create,
            &key,
            Some(object),
            text,
        );
    }
}

/// The Services' addresses (kube-apiserver v1.37, `pkg/controlplane/controller/defaultservicecidr`),
/// as the controller manager's servicecidr-controller leaves them.
fn service_range(cluster: &Cluster, now: &Value) -> Value {
    let mut metadata = meta("kubernetes", "");
    metadata["finalizers"] = array(["networking.k8s.io/service-cidr-finalizer"]);
    let mut range = new("networking.k8s.io/v1", "ServiceCIDR", metadata);
    range["spec"] = object([(
        "cidrs",
        array([cluster.config.network.service_cidr.to_string()]),
    )]);
    let condition = object([
        ("lastTransitionTime", now.clone()),
        ("message", "Kubernetes Service CIDR is ready".into()),
        ("reason", "".into()),
        ("status", "True".into()),
        ("type", "Ready".into()),
    ]);
    range["status"] = object([("conditions", array([condition]))]);
    range
}

fn make(cluster: &mut Cluster, object: Value) {
    // A failure is in the log as a refusal.
    let _ = cluster.create(&Component::ApiServer, object);
}

fn meta(name: &str, namespace: &str) -> Value {
    let mut metadata = object([("name", name.into())]);
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    metadata
}

fn new(api_version: &str, kind: &str, metadata: Value) -> Value {
    object([
        ("apiVersion", api_version.into()),
        ("kind", kind.into()),
        ("metadata", metadata),
    ])
}

/// What the API server makes when it starts (kube-apiserver v1.37, `pkg/controlplane`).
fn own_objects(cluster: &Cluster) -> Vec<Value> {
    let mut objects = Vec::new();
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let mut metadata = meta(name, "");
        metadata.set(&["labels", "kubernetes.io/metadata.name"], name);
        objects.push(new("v1", "Namespace", metadata));
    }
    for (name, value, description) in [
        (
            "system-node-critical",
            2_000_001_000_i64,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ] {
        let mut class = new("scheduling.k8s.io/v1", "PriorityClass", meta(name, ""));
        class["value"] = value.into();
        class["description"] = description.into();
        objects.push(class);
    }
    let first = cluster.config.network.service_cidr.hosts().next();
    let mut metadata = meta("kubernetes", "default");
    metadata["labels"] = object([
        ("component", "apiserver".into()),
        ("provider", "kubernetes".into()),
    ]);
    let mut service = new("v1", "Service", metadata.clone());
    let port = object([
        ("name", "https".into()),
        ("port", 443.into()),
        ("protocol", "TCP".into()),
        ("targetPort", 6443.into()),
    ]);
    service["spec"] = object([
        ("clusterIP", first.map(|ip| ip.to_string()).into()),
        ("ports", array([port])),
        ("type", "ClusterIP".into()),
    ]);
    objects.push(service);
    if let Some(address) = control_plane(cluster) {
        let port = object([
            ("name", "https".into()),
            ("port", 6443.into()),
            ("protocol", "TCP".into()),
        ]);
        let mut slice_meta = metadata;
        slice_meta["labels"] = object([(crate::index::SERVICE_NAME, "kubernetes".into())]);
        let mut slice = new("discovery.k8s.io/v1", "EndpointSlice", slice_meta);
        slice["addressType"] = "IPv4".into();
        slice["endpoints"] = array([object([
            ("addresses", array([&address])),
            ("conditions", object([("ready", true.into())])),
        ])]);
        slice["ports"] = array([port.clone()]);
        objects.push(slice);
        let mut endpoints_meta = meta("kubernetes", "default");
        endpoints_meta.set(
            &["labels", "endpointslice.kubernetes.io/skip-mirror"],
            "true",
        );
        let mut endpoints = new("v1", "Endpoints", endpoints_meta);
        endpoints["subsets"] = array([object([
            ("addresses", array([object([("ip", address)])])),
            ("ports", array([port])),
        ])]);
        objects.push(endpoints);
    }
    objects
}

/// The address of the API server's machine.
fn control_plane(cluster: &Cluster) -> Option<Value> {
    let at = cluster
        .config
        .nodes
        .iter()
        .position(|n| n.role == Role::ControlPlane)?;
    Some(crate::node::address(&cluster.config, at).to_string().into())
}

/// The default StorageClass of a cluster that has one.
fn storage(cluster: &Cluster) -> Option<Value> {
    let storage = &cluster.config.storage;
    let (name, provisioner) = (
        storage.default_class.as_ref()?,
        storage.provisioner.as_ref()?,
    );
    let mut metadata = meta(name, "");
    metadata.set(
        &["annotations", "storageclass.kubernetes.io/is-default-class"],
        "true",
    );
    let mut class = new("storage.k8s.io/v1", "StorageClass", metadata);
    class["provisioner"] = provisioner.into();
    class["reclaimPolicy"] = "Delete".into();
    class["volumeBindingMode"] = "WaitForFirstConsumer".into();
    Some(class)
}

/// CoreDNS, as the usual installers deploy it.
fn add_ons(cluster: &Cluster) -> Vec<Value> {
    if !cluster.config.dns {
        return Vec::new();
    }
    let text =
        include_str!("coredns.yaml").replace("cluster.local", &cluster.config.network.domain);
    let documents = kubarium_objects::yaml::parse(&text).unwrap_or_default();
    documents.into_iter().map(|d| d.value).collect()
}
