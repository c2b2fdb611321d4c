//! endpointslicemirroring-controller: copies Endpoints objects that were made by hand into slices
//! (kubernetes v1.37, `pkg/controller/endpointslicemirroring`).

use std::collections::BTreeMap;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, pods, small};
use crate::api::DeleteOptions;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::index::SERVICE_NAME;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const SLICES: &str = "endpointslices.discovery.k8s.io";
/// `--mirroring-max-endpoints-per-subset`
const MOST: usize = 1000;

pub(super) const CONTROLLER: Controller = Controller {
    name: "endpointslicemirroring-controller",
    observe,
    size: small,
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let (namespace, name) = (change.key.namespace.clone(), change.key.name.clone());
    match &*change.key.resource {
        "endpoints" => vec![change.key.clone()],
        "services" if pods::spec_changed(change) => {
            vec![ObjectKey::new("endpoints", namespace, name)]
        }
        SLICES if change.object().label(MANAGED_BY) == Some(MANAGER) => {
            let service = change.object().label(SERVICE_NAME);
            service
                .map(|name| ObjectKey::new("endpoints", namespace, name))
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Whether an Endpoints object is to be mirrored.
fn is_mirrored(cluster: &Cluster, key: &ObjectKey, endpoints: &Value) -> bool {
    let skipped = endpoints.label("endpointslice.kubernetes.io/skip-mirror") == Some("true")
        || endpoints
            .annotation("control-plane.alpha.kubernetes.io/leader")
            .is_some();
    let by_hand = cluster
        .find("services", &key.namespace, &key.name)
        .is_some_and(|service| service["spec"]["selector"].is_empty());
    !skipped && by_hand && !endpoints.is_deleting()
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let existing: Vec<ObjectKey> = cluster
        .index
        .slices_of(&key.namespace, &key.name)
        .filter(|slice| {
            cluster
                .etcd
                .get(slice)
                .is_some_and(|s| s.label(MANAGED_BY) == Some(MANAGER))
        })
        .cloned()
        .collect();
    let endpoints = cluster.etcd.get(key).cloned();
    let mut wanted = match &endpoints {
        Some(endpoints) if is_mirrored(cluster, key, endpoints) => slices(key, endpoints),
        _ => Vec::new(),
    };
    for slice in existing {
        let Some(old) = cluster.etcd.get(&slice).cloned() else {
            continue;
        };
        let same_ports = |new: &Value| new["ports"].items() == old["ports"].items();
        match wanted.iter().position(same_ports) {
            Some(at) => {
                let new = wanted.remove(at);
                let mut updated = old.clone();
                updated["endpoints"] = new["endpoints"].clone();
                updated["metadata"]["labels"] = new["metadata"]["labels"].clone();
                if !updated.same(&old) && updated != old {
                    cluster.update(by, updated)?;
                }
            }
            None => match cluster.delete(by, &slice, &DeleteOptions::default()) {
                Err(status) if status.code != 404 => return Err(status),
                _ => {}
            },
        }
    }
    for slice in wanted {
        match cluster.create(by, slice) {
            Err(status) if super::template::is_terminating(&status) => return Ok(()),
            result => result.map(drop)?,
        }
    }
    Ok(())
}

/// The slices of an Endpoints object: one for each set of ports.
fn slices(key: &ObjectKey, endpoints: &Value) -> Vec<Value> {
    let mut groups: BTreeMap<String, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for subset in endpoints["subsets"].items() {
        let ports: Vec<Value> = subset["ports"].items().iter().map(port).collect();
        let text = Value::from(ports.clone()).to_json();
        let (_, group) = groups.entry(text).or_insert_with(|| (ports, Vec::new()));
        for (list, ready) in [("addresses", true), ("notReadyAddresses", false)] {
            let left = MOST.saturating_sub(group.len());
            let found = subset[list].items().iter().take(left);
            group.extend(found.map(|address| endpoint(address, ready)));
        }
    }
    let mut labels = match endpoints.labels() {
        Value::Null => Value::new_object(),
        labels => labels.clone(),
    };
    labels[MANAGED_BY] = MANAGER.into();
    labels[SERVICE_NAME] = (&key.name).into();
    let slice = |(ports, endpoints_here): (Vec<Value>, Vec<Value>)| {
        let mut metadata = object([
            ("generateName", format!("{}-", key.name).into()),
            ("labels", labels.clone()),
            ("namespace", (&key.namespace).into()),
            (
                "ownerReferences",
                vec![pods::controller_ref(endpoints)].into(),
            ),
        ]);
        let annotations: Vec<(&Text, &Value)> = endpoints
            .annotations()
            .entries()
            .iter()
            .map(|(k, v)| (k, v))
            .filter(|(k, _)| &***k != "kubectl.kubernetes.io/last-applied-configuration")
            .collect();
        for (name, value) in annotations {
            metadata["annotations"][&**name] = value.clone();
        }
        object([
            ("addressType", "IPv4".into()),
            ("apiVersion", "discovery.k8s.io/v1".into()),
            ("endpoints", endpoints_here.into()),
            ("kind", "EndpointSlice".into()),
            ("metadata", metadata),
            ("ports", ports.into()),
        ])
    };
    groups
        .into_values()
        .filter(|(_, endpoints)| !endpoints.is_empty())
        .map(slice)
        .collect()
}

fn port(port: &Value) -> Value {
    let mut mirrored = object([
        ("name", port["name"].str().into()),
        ("port", port["port"].clone()),
        (
            "protocol",
            port["protocol"].as_str().unwrap_or("TCP").into(),
        ),
    ]);
    if !port["appProtocol"].is_empty() {
        mirrored["appProtocol"] = port["appProtocol"].clone();
    }
    mirrored
}

fn endpoint(address: &Value, ready: bool) -> Value {
    let mut endpoint = object([
        ("addresses", vec![address["ip"].clone()].into()),
        ("conditions", object([("ready", ready.into())])),
    ]);
    for field in ["hostname", "nodeName", "targetRef"] {
        if !address[field].is_null() {
            endpoint[field] = address[field].clone();
        }
    }
    endpoint
}
