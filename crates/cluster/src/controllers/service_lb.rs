//! service-controller of a cloud controller manager: gives Services of type LoadBalancer an address that is reached
//! from outside (kubernetes v1.37, `staging/src/k8s.io/cloud-provider/controllers/service`).
//!
//! The cloud behind it is this simulation's: a pool of addresses, each of which the network outside routes to one of
//! the nodes that are fit for it, as a router does that nodes announce addresses to. What the node does with such a
//! packet is kube-proxy's business. Only there if the cluster's configuration names the pool.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kubarium_linux::{MAIN, Route};
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, pods, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::index::SERVICE_NAME;

const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";
/// Nodes with this label are no targets.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

pub(super) const CONTROLLER: Controller = Controller {
    name: "service-controller",
    observe,
    size: small,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    if cluster.config.cloud.load_balancers.is_none() {
        return Vec::new();
    }
    let balanced = |key: &ObjectKey| cluster.etcd.get(key).is_some_and(has_address);
    match &*change.key.resource {
        "services" => {
            let concerned = [&change.old, &change.new].into_iter().flatten();
            let concerned = concerned.into_iter().any(|s| wants(s) || has_address(s));
            concerned.then(|| change.key.clone()).into_iter().collect()
        }
        // Where traffic stays on its node, the node must have an endpoint.
        "endpointslices.discovery.k8s.io" => {
            let service = change.object().label(SERVICE_NAME).unwrap_or_default();
            let key = ObjectKey::new("services", change.key.namespace.clone(), service);
            Some(key).filter(|key| balanced(key)).into_iter().collect()
        }
        "nodes"
            if change.differs(&["status", "conditions"])
                || change.differs(&["metadata", "labels"]) =>
        {
            let fit = |node: &Option<Value>| node.as_ref().is_some_and(is_fit);
            if fit(&change.old) == fit(&change.new) {
                return Vec::new();
            }
            let services = cluster.etcd.list("services", None);
            let mine = services.filter(|(_, service)| has_address(service));
            mine.map(|(key, _)| key.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a Service is to have a load balancer of this cloud.
fn wants(service: &Value) -> bool {
    service["spec"]["type"].str() == "LoadBalancer"
        && service["spec"]["loadBalancerClass"].is_empty()
        && !service.is_deleting()
}

fn has_address(service: &Value) -> bool {
    service.finalizers().any(|f| f == FINALIZER)
}

fn is_fit(node: &Value) -> bool {
    let ready = pods::condition(node, "Ready").is_some_and(|c| c["status"].str() == "True");
    ready && node.label(EXCLUDED).is_none() && !node.is_deleting()
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let (Some(pool), Some(service)) = (
        cluster.config.cloud.load_balancers,
        cluster.etcd.get(key).cloned(),
    ) else {
        return Ok(());
    };
    if wants(&service) {
        ensure(cluster, by, key, &service, pool)
    } else if has_address(&service) {
        clean_up(cluster, by, key, &service)
    } else {
        Ok(())
    }
}

fn ensure(
    cluster: &mut Cluster,
    by: &Component,
    key: &ObjectKey,
    service: &Value,
    pool: Ipv4Net,
) -> Outcome {
    let known = address_of(service).filter(|address| pool.contains(address));
    let is_new = known.is_none() || !has_address(service);
    if is_new {
        cluster.record(
            by,
            service,
            "EnsuringLoadBalancer",
            "Ensuring load balancer",
        );
    }
    let Some(address) = known.or_else(|| free(cluster, service, pool)) else {
        let message = format!(
            "Error syncing load balancer: failed to ensure load balancer: no address is free in {pool}"
        );
        cluster.warn(by, service, "SyncLoadBalancerFailed", &message);
        return Ok(());
    };
    if !has_address(service) {
        cluster.modify(by, key, Subresource::None, |service| {
            service["metadata"]["finalizers"].push(FINALIZER);
        })?;
    }
    let node = target(cluster, service, address);
    route(cluster, address, node.as_ref());
    if is_new {
        let ingress = object([("ip", address.to_string().into()), ("ipMode", "VIP".into())]);
        cluster.modify(by, key, Subresource::Status, |service| {
            service["status"]["loadBalancer"]["ingress"] = vec![ingress].into();
        })?;
        cluster.record(by, service, "EnsuredLoadBalancer", "Ensured load balancer");
    }
    Ok(())
}

fn clean_up(cluster: &mut Cluster, by: &Component, key: &ObjectKey, service: &Value) -> Outcome {
    cluster.record(
        by,
        service,
        "DeletingLoadBalancer",
        "Deleting load balancer",
    );
    if let Some(address) = address_of(service) {
        route(cluster, address, None);
    }
    if !service["status"]["loadBalancer"]["ingress"].is_empty() {
        cluster.modify(by, key, Subresource::Status, |service| {
            service["status"]["loadBalancer"] = Value::new_object();
        })?;
    }
    cluster.record(by, service, "DeletedLoadBalancer", "Deleted load balancer");
    cluster
        .modify(by, key, Subresource::None, |service| {
            let finalizers = service["metadata"]["finalizers"].array_mut();
            finalizers.retain(|f| f.str() != FINALIZER);
            if finalizers.is_empty() {
                service.remove(&["metadata", "finalizers"]);
            }
        })
        .map(drop)
}

fn address_of(service: &Value) -> Option<Ipv4Addr> {
    let ingress = &service["status"]["loadBalancer"]["ingress"][0];
    ingress["ip"].str().parse().ok()
}

/// The address that the Service asks for, or the first that no other has.
fn free(cluster: &Cluster, service: &Value, pool: Ipv4Net) -> Option<Ipv4Addr> {
    let services = cluster.etcd.list("services", None);
    let taken: std::collections::BTreeSet<Ipv4Addr> = services
        .filter_map(|(_, other)| address_of(other))
        .collect();
    let asked = service["spec"]["loadBalancerIP"].str();
    if !asked.is_empty() {
        let asked: Ipv4Addr = asked.parse().ok()?;
        return (pool.contains(&asked) && !taken.contains(&asked)).then_some(asked);
    }
    pool.hosts().find(|address| !taken.contains(address))
}

/// The node that an address is routed to: one of those that are ready and, where traffic stays on its node, have an
/// endpoint. The addresses are spread over them.
fn target(cluster: &Cluster, service: &Value, address: Ipv4Addr) -> Option<Text> {
    let fit = |node: &Text| cluster.find("nodes", "", node).is_some_and(is_fit);
    let mut nodes: Vec<Text> = if service["spec"]["externalTrafficPolicy"].str() == "Local" {
        let slices = cluster.index.slices_of(
            &service["metadata"]["namespace"].text(),
            &service["metadata"]["name"].text(),
        );
        let slices = slices.filter_map(|key| cluster.etcd.get(key));
        slices
            .flat_map(|slice| slice["endpoints"].items())
            .filter(|e| e["conditions"]["ready"].as_bool() != Some(false))
            .map(|endpoint| endpoint["nodeName"].text())
            .filter(|node| !node.is_empty() && fit(node))
            .collect()
    } else {
        cluster
            .machines
            .keys()
            .filter(|node| fit(node))
            .cloned()
            .collect()
    };
    nodes.sort();
    nodes.dedup();
    let spread = address.to_bits() as usize;
    nodes.get(spread.checked_rem(nodes.len())?).cloned()
}

/// The host outside sends what goes to an address to a node; without one, nowhere.
fn route(cluster: &mut Cluster, address: Ipv4Addr, node: Option<&Text>) {
    let via = node
        .and_then(|node| cluster.machines.get(node))
        .map(|m| m.address);
    let Some(outside) = cluster.ground.outside else {
        return;
    };
    let device = cluster.net.find_link(outside, "eth0");
    let Some(namespace) = cluster.net.namespace_mut(outside) else {
        return;
    };
    let table = namespace.table_mut(MAIN);
    let destination = Ipv4Net::from(address);
    match via.zip(device) {
        Some((via, device)) => table.replace(Route::via(destination, via, device)),
        None => drop(table.remove(|route| route.destination == destination)),
    }
}
