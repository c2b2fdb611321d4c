//! Ingress controllers write where they are reached into the status of the Ingresses that they serve: a part of the
//! programs in their pods, not of kube-controller-manager.
//!
//! Source: ingress-nginx v1.13 (`internal/ingress/status/status.go`; it looks once a minute, this at each change),
//! Traefik v3 (`updateIngressStatus` of `pkg/provider/kubernetes/ingress`).

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller as Loop, Outcome, pods, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::programs::ingress::Controller;

const INGRESSES: &str = "ingresses.networking.k8s.io";

pub(super) const CONTROLLER: Loop = Loop {
    name: "ingress-controllers",
    observe,
    size: small,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    if cluster.index.ingress_pods().next().is_none() {
        return Vec::new();
    }
    let concerned = match &*change.key.resource {
        INGRESSES => return vec![change.key.clone()],
        "services" => change.differs(&["status", "loadBalancer"]) || change.differs(&["spec"]),
        "pods" => {
            let of = |pod: &Value| controller_of(pod).is_some();
            let runs = |pod: &Option<Value>| pod.as_ref().is_some_and(pods::is_ready);
            of(change.object()) && runs(&change.old) != runs(&change.new)
        }
        _ => false,
    };
    let all = cluster.etcd.list(INGRESSES, None).map(|(key, _)| key);
    all.filter(|_| concerned).cloned().collect()
}

/// The Ingress controller that a pod runs.
pub(crate) fn controller_of(pod: &Value) -> Option<Controller> {
    let containers = pod["spec"]["containers"].items().iter();
    let mut images = containers.map(|c| c["image"].str());
    images.find_map(Controller::of_image)
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(ingress) = cluster.etcd.get(key).filter(|i| !i.is_deleting()) else {
        return Ok(());
    };
    let pods = cluster.index.ingress_pods();
    let pods = pods.filter_map(|key| cluster.etcd.get(key));
    let serving: Vec<(&Value, Controller)> = pods
        .filter(|pod| pods::is_ready(pod))
        .filter_map(|pod| Some((pod, controller_of(pod)?)))
        .filter(|(_, controller)| controller.serves(cluster, ingress))
        .collect();
    let Some(addresses) = addresses(cluster, &serving) else {
        return Ok(());
    };
    let wanted = Value::from(addresses);
    let now = &ingress["status"]["loadBalancer"]["ingress"];
    if *now == wanted || now.is_null() && wanted.is_empty() {
        return Ok(());
    }
    cluster.modify(by, key, Subresource::Status, |ingress| {
        ingress["status"]["loadBalancer"]["ingress"] = wanted.clone();
    })?;
    Ok(())
}

/// The words after an option of a controller's program, with the pod's namespace put in.
fn option(pod: &Value, name: &str) -> Option<String> {
    let containers = pod["spec"]["containers"].items().iter();
    let words = containers.flat_map(|c| {
        let command = c["command"].items().iter();
        command.chain(c["args"].items())
    });
    let given = words
        .filter_map(|word| word.str().trim_start_matches('-').split_once('='))
        .find(|(option, _)| option.eq_ignore_ascii_case(name))?;
    Some(given.1.replace("$(POD_NAMESPACE)", pod.namespace()))
}

/// What stands in the status; `None`: these controllers write none.
fn addresses(cluster: &Cluster, serving: &[(&Value, Controller)]) -> Option<Vec<Value>> {
    let (pod, controller) = serving.first()?;
    let published = match controller {
        Controller::Nginx => option(pod, "publish-service"),
        Controller::Traefik => {
            let endpoint = "providers.kubernetesingress.ingressendpoint";
            if let Some(ip) = option(pod, &format!("{endpoint}.ip")) {
                return Some(vec![address("ip", &ip)]);
            }
            // Without an endpoint Traefik writes no status.
            Some(option(pod, &format!("{endpoint}.publishedservice"))?)
        }
    };
    if let Some(service) = published {
        let (namespace, name) = service.split_once('/')?;
        let service = cluster.find("services", namespace, name)?;
        return Some(of_service(service, *controller));
    }
    if let Some(given) = option(pod, "publish-status-address") {
        return Some(given.split(',').map(|ip| address("ip", ip)).collect());
    }
    let nodes = serving
        .iter()
        .map(|(pod, _)| pod["spec"]["nodeName"].text());
    let mut ips: Vec<Text> = nodes
        .filter_map(|node| node_address(cluster, &node))
        .collect();
    ips.sort();
    ips.dedup();
    Some(ips.iter().map(|ip| address("ip", ip)).collect())
}

fn address(kind: &'static str, text: &str) -> Value {
    object([(kind, text.into())])
}

/// A Service's addresses from outside (`statusAddressFromService`).
fn of_service(service: &Value, controller: Controller) -> Vec<Value> {
    let spec = &service["spec"];
    let external = spec["externalIPs"].items().iter();
    let external = external.map(|ip| address("ip", ip.str()));
    let balanced = service["status"]["loadBalancer"]["ingress"].items().iter();
    let balanced = balanced.map(|point| match (point["ip"].str(), point["hostname"].str()) {
        ("", hostname) => address("hostname", hostname),
        (ip, _) => address("ip", ip),
    });
    let own = || vec![address("ip", spec["clusterIP"].str())];
    match (controller, spec["type"].str()) {
        (Controller::Traefik, _) | (_, "LoadBalancer") => balanced.chain(external).collect(),
        (_, "ExternalName") => vec![address("hostname", spec["externalName"].str())],
        (_, "NodePort") if spec["externalIPs"].is_empty() => own(),
        (_, "NodePort") => external.collect(),
        _ => own(),
    }
}

/// A node's address from outside, or else its own (`GetNodeIPOrName`).
fn node_address(cluster: &Cluster, node: &str) -> Option<Text> {
    let node = cluster.find("nodes", "", node)?;
    let addresses = node["status"]["addresses"].items();
    let of = |kind: &str| addresses.iter().find(|a| a["type"].str() == kind);
    let found = of("ExternalIP").or_else(|| of("InternalIP"))?;
    Some(found["address"].text())
}
