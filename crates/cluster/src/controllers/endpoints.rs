//! endpoints-controller: the older Endpoints object of each Service
//! (kubernetes v1.37, `pkg/controller/endpoint`).

use std::collections::{BTreeMap, BTreeSet};

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, pods, slices};
use crate::api::DeleteOptions;
use crate::cluster::{Change, Cluster};
use crate::event::Component;

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// No Endpoints object lists more addresses.
const MOST: usize = 1000;

pub(super) const CONTROLLER: Controller = Controller {
    name: "endpoints-controller",
    observe,
    size: slices::size,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    if &*change.key.resource == "endpoints" {
        let gone = change.new.is_none();
        return if gone {
            vec![ObjectKey::new(
                "services",
                change.key.namespace.clone(),
                change.key.name.clone(),
            )]
        } else {
            Vec::new()
        };
    }
    slices::services(cluster, change)
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let at = ObjectKey::new("endpoints", key.namespace.clone(), key.name.clone());
    let Some(service) = cluster.etcd.get(key).cloned() else {
        // Those of a Service that is gone go, too.
        let made = cluster
            .etcd
            .get(&at)
            .is_some_and(|e| e.label(MANAGED_BY) == Some("endpoint-controller"));
        return match made.then(|| cluster.delete(by, &at, &DeleteOptions::default())) {
            Some(Err(status)) if status.code != 404 => Err(status),
            _ => Ok(()),
        };
    };
    if !slices::is_managed(&service) {
        return Ok(());
    }
    let selected = slices::selected(cluster, &service);
    let publish = service["spec"]["publishNotReadyAddresses"].as_bool() == Some(true);
    // By the ports' text.
    let mut subsets: BTreeMap<Text, Subset> = BTreeMap::new();
    let pod_ports = slices::PodPorts::of(&service, slices::port_of_endpoints);
    let mut count = 0;
    for pod in selected.iter().filter(|pod| publish || !pod.is_deleting()) {
        if count == MOST {
            break;
        }
        let (text, ports) = pod_ports.on(pod);
        if ports.is_empty()
            && !(slices::is_headless(&service) && service["spec"]["ports"].is_empty())
        {
            continue;
        }
        count += 1;
        let subset = subsets.entry(text).or_default();
        subset.0 = ports;
        let addresses = if publish || pods::is_ready(pod) {
            &mut subset.1
        } else {
            &mut subset.2
        };
        addresses.insert(pod["status"]["podIP"].text(), address(&service, pod));
    }
    let old = cluster.etcd.get(&at).cloned();
    let last = old
        .as_ref()
        .and_then(|o| o.annotation(slices::TRIGGER_TIME));
    let listed = |list: &str| {
        let subsets = old.iter().flat_map(|o| o["subsets"].items());
        let addresses = subsets.flat_map(|subset| subset[list].items());
        let uids = addresses.map(|address| address["targetRef"]["uid"].str());
        uids.collect::<BTreeSet<_>>()
    };
    let (ready, other) = (listed("addresses"), listed("notReadyAddresses"));
    let is_unlisted = |pod: &&&Value| match publish || pods::is_ready(pod) {
        true => !ready.contains(pod.uid()),
        false => !other.contains(pod.uid()),
    };
    let unlisted = selected.iter().filter(is_unlisted).copied();
    let trigger = slices::trigger_time(&service, unlisted, last, old.is_none());
    let mut new = old.clone().unwrap_or_else(|| {
        let metadata = object([
            ("name", (&key.name).into()),
            ("namespace", (&key.namespace).into()),
        ]);
        object([
            ("apiVersion", "v1".into()),
            ("kind", "Endpoints".into()),
            ("metadata", metadata),
        ])
    });
    let subsets: Vec<Value> = subsets.into_values().map(subset).collect();
    let mut labels = slices::labels(&service);
    labels[MANAGED_BY] = "endpoint-controller".into();
    let same = new["subsets"].items() == &subsets[..] && new.labels().same(&labels);
    if old.is_some() && same {
        return Ok(());
    }
    new["metadata"]["labels"] = labels;
    match subsets.is_empty() {
        true => drop(new.remove(&["subsets"])),
        false => new["subsets"] = subsets.into(),
    }
    annotate(&mut new, slices::TRIGGER_TIME, trigger);
    annotate(
        &mut new,
        OVER_CAPACITY,
        (count == MOST && selected.len() > MOST).then(|| "truncated".into()),
    );
    let written = if old.is_some() {
        cluster.update(by, new)
    } else {
        cluster.create(by, new)
    };
    match written {
        Err(status) if super::template::is_terminating(&status) => Ok(()),
        Err(status) => {
            let message = format!(
                "Failed to create endpoint for service {}/{}: {}",
                key.namespace, key.name, status.message
            );
            cluster.warn(by, &service, "FailedToCreateEndpoint", &message);
            Err(status)
        }
        Ok(_) => Ok(()),
    }
}

fn annotate(endpoints: &mut Value, key: &str, value: Option<Text>) {
    match value {
        Some(value) => endpoints["metadata"]["annotations"][key] = value.into(),
        None => {
            endpoints.remove(&["metadata", "annotations", key]);
            if endpoints["metadata"]["annotations"].is_empty() {
                endpoints.remove(&["metadata", "annotations"]);
            }
        }
    }
}

fn address(service: &Value, pod: &Value) -> Value {
    let mut address = object([
        ("ip", pod["status"]["podIP"].clone()),
        ("targetRef", slices::target_ref(pod)),
    ]);
    if !pod["spec"]["nodeName"].is_empty() {
        address["nodeName"] = pod["spec"]["nodeName"].clone();
    }
    if let Some(hostname) = slices::hostname(service, pod) {
        address["hostname"] = hostname.into();
    }
    address
}

/// Pods with the same ports: the ports, the ready and the other addresses, by address.
type Subset = (Vec<Value>, BTreeMap<Text, Value>, BTreeMap<Text, Value>);

fn subset((ports, ready, other): Subset) -> Value {
    let mut subset = Value::new_object();
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", other)] {
        if !addresses.is_empty() {
            subset[field] = addresses.into_values().collect::<Vec<Value>>().into();
        }
    }
    if !ports.is_empty() {
        let named = |mut port: Value| {
            if port["name"].is_empty() {
                port.remove(&["name"]);
            }
            port
        };
        subset["ports"] = ports.into_iter().map(named).collect::<Vec<Value>>().into();
    }
    subset
}
