//! What Services' endpoints are made of: shared by the endpointslice-controller and the
//! endpoints-controller (kubernetes v1.37, `staging/src/k8s.io/endpointslice`).

use kubarium_objects::selector::Selector;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, names, object};

use super::pods;
use crate::cluster::{Change, Cluster};
use crate::time::Time;

/// The annotation with the moment of what led to the last change.
pub(super) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// The label of headless Services' endpoints.
pub(super) const HEADLESS: &str = "service.kubernetes.io/headless";

/// The Services whose endpoints a change can touch.
pub(super) fn services(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    match &*change.key.resource {
        "services" => vec![change.key.clone()],
        "pods" if touches(change) => {
            let objects = [&change.old, &change.new];
            let found = objects.into_iter().flatten().map(ObjectMeta::labels);
            let mut keys: Vec<ObjectKey> = Vec::new();
            for labels in found {
                for key in cluster.index.services_for(&change.key.namespace, labels) {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
            keys
        }
        _ => Vec::new(),
    }
}

fn touches(change: &Change) -> bool {
    let ips = |o: &Option<Value>| {
        o.as_ref()
            .is_some_and(|pod| !pod["status"]["podIP"].is_empty())
    };
    if !ips(&change.old) && !ips(&change.new) {
        // A pod without an address is no endpoint yet.
        return false;
    }
    pods::matters(change)
        || change.differs(&["status", "podIP"])
        || change.differs(&["spec", "nodeName"])
}

/// How many pods a Service's sync reads.
pub(super) fn size(cluster: &Cluster, key: &ObjectKey) -> usize {
    let Some(service) = cluster.etcd.get(key) else {
        return 0;
    };
    match service["spec"]["selector"].entries().first() {
        Some((label, value)) => {
            cluster
                .index
                .pods_labelled_count(&key.namespace, label, &value.text())
        }
        None => 0,
    }
}

/// Whether endpoints are made for the Service at all: it has a selector and is no alias.
pub(super) fn is_managed(service: &Value) -> bool {
    !service["spec"]["selector"].is_empty() && service["spec"]["type"].str() != "ExternalName"
}

/// Whether the Service has no address of its own.
pub(super) fn is_headless(service: &Value) -> bool {
    service["spec"]["clusterIP"].str() == "None"
}

/// The pods that a Service selects and that can be endpoints.
pub(super) fn selected<'a>(cluster: &'a Cluster, service: &'a Value) -> Vec<&'a Value> {
    let selector = Selector::from_map(&service["spec"]["selector"]);
    let Some((key, value)) = service["spec"]["selector"].entries().first() else {
        return Vec::new();
    };
    let namespace = service["metadata"]["namespace"].text();
    cluster
        .index
        .pods_labelled(&namespace, key, &value.text())
        .filter_map(|key| cluster.etcd.get(key))
        .filter(|pod| {
            !pods::is_over(pod)
                && !pod["status"]["podIP"].is_empty()
                && selector.matches(pod.labels())
        })
        .collect()
}

/// How Go prints a port of one of the two APIs: the hash of that orders ports (`portsInOrder` of the slices,
/// `portsByHash` of the Endpoints).
pub(super) type Printed = fn(name: &str, port: i64, protocol: &str, app: &str) -> String;

pub(super) fn port_of_slice(name: &str, port: i64, protocol: &str, app: &str) -> String {
    format!(
        "(v1.EndpointPort){{Name:(*string){name} Protocol:(*v1.Protocol){protocol} Port:(*int32){port} AppProtocol:(*string){app}}}"
    )
}

pub(super) fn port_of_endpoints(name: &str, port: i64, protocol: &str, app: &str) -> String {
    format!(
        "(v1.EndpointPort){{Name:(string){name} Port:(int32){port} Protocol:(v1.Protocol){protocol} AppProtocol:(*string){app}}}"
    )
}

fn hash(port: &Value, printed: Printed) -> u128 {
    let app = port["appProtocol"].as_str().unwrap_or("<nil>");
    let number = port["port"].as_i64().unwrap_or(0);
    let text = printed(port["name"].str(), number, port["protocol"].str(), app);
    names::fnv1a_128(text.as_bytes())
}

/// The ports of a Service on a pod; one whose name the pod does not know is left out.
fn ports(service: &Value, pod: &Value, printed: Printed) -> Vec<Value> {
    let mut ports = Vec::new();
    for port in service["spec"]["ports"].items() {
        let Some(number) = target(port, pod) else {
            continue;
        };
        let mut found = object([
            ("name", port["name"].str().into()),
            ("port", number.into()),
            (
                "protocol",
                port["protocol"].as_str().unwrap_or("TCP").into(),
            ),
        ]);
        if !port["appProtocol"].is_empty() {
            found["appProtocol"] = port["appProtocol"].clone();
        }
        ports.push(found);
    }
    if ports.len() > 1 {
        ports.sort_by_cached_key(|port| hash(port, printed));
    }
    ports
}

/// A Service's ports on its pods, each list with a text that tells it from others. Worked out once, where
/// no pod gives a name of its own to a port.
pub(super) struct PodPorts<'a> {
    service: &'a Value,
    printed: Printed,
    same: Option<(Text, Vec<Value>)>,
}

impl PodPorts<'_> {
    pub fn of(service: &Value, printed: Printed) -> PodPorts<'_> {
        let mut all = service["spec"]["ports"].items().iter();
        let named = all.any(|port| port["targetPort"].as_str().is_some());
        PodPorts {
            service,
            printed,
            same: (!named).then(|| with_text(ports(service, &Value::Null, printed))),
        }
    }

    pub fn on(&self, pod: &Value) -> (Text, Vec<Value>) {
        let same = self.same.clone();
        same.unwrap_or_else(|| with_text(ports(self.service, pod, self.printed)))
    }
}

fn with_text(ports: Vec<Value>) -> (Text, Vec<Value>) {
    (Value::from(ports.clone()).to_json().into(), ports)
}

fn target(port: &Value, pod: &Value) -> Option<i64> {
    let target = &port["targetPort"];
    let Some(name) = target.as_str() else {
        return target
            .as_i64()
            .filter(|n| *n != 0)
            .or(port["port"].as_i64());
    };
    let spec = &pod["spec"];
    let sidecars = spec["initContainers"]
        .items()
        .iter()
        .filter(|c| c["restartPolicy"].str() == "Always");
    let protocol = |p: &Value| p["protocol"].as_str().unwrap_or("TCP").to_owned();
    let ports = spec["containers"]
        .items()
        .iter()
        .chain(sidecars)
        .flat_map(|c| c["ports"].items());
    let mut named = ports.filter(|p| p["name"].str() == name && protocol(p) == protocol(port));
    named.next().and_then(|p| p["containerPort"].as_i64())
}

/// The reference to a pod.
pub(super) fn target_ref(pod: &Value) -> Value {
    object([
        ("kind", "Pod".into()),
        ("name", pod["metadata"]["name"].clone()),
        ("namespace", pod["metadata"]["namespace"].clone()),
        ("uid", pod["metadata"]["uid"].clone()),
    ])
}

/// The host name of a pod in a Service, if it has one there.
pub(super) fn hostname<'a>(service: &Value, pod: &'a Value) -> Option<&'a str> {
    let hostname = pod["spec"]["hostname"].str();
    (!hostname.is_empty() && pod["spec"]["subdomain"].str() == service.name()).then_some(hostname)
}

/// The earliest event that the endpoints do not show yet: the readiness of a pod that is not listed as it is now, or,
/// where none are there, the Service's creation; not before what was the `last` such event (`TriggerTimeTracker`: times
/// are whole seconds).
pub(super) fn trigger_time<'a>(
    service: &'a Value,
    unlisted: impl Iterator<Item = &'a Value>,
    last: Option<&str>,
    is_new: bool,
) -> Option<Text> {
    let last = last.and_then(Time::parse).map(|last| last.rfc3339());
    let ready = unlisted.filter_map(|pod| pods::condition(pod, "Ready"));
    let changed = ready.map(|c| c["lastTransitionTime"].str());
    // Times of this form are in order as texts.
    let changed = changed.filter(|time| last.as_ref().is_none_or(|last| **time >= **last));
    let made = service.creation_timestamp().filter(|_| is_new);
    let all = changed.chain(made);
    all.filter(|time| !time.is_empty()).min().map(Text::from)
}

/// A copy of a Service's labels, without those that endpoints have of their own.
pub(super) fn labels(service: &Value) -> Value {
    let mut labels = match service.labels() {
        Value::Null => Value::new_object(),
        labels => labels.clone(),
    };
    for own in [
        HEADLESS,
        crate::index::SERVICE_NAME,
        "endpointslice.kubernetes.io/managed-by",
    ] {
        labels.remove(&[own]);
    }
    if is_headless(service) {
        labels[HEADLESS] = "".into();
    }
    labels
}
