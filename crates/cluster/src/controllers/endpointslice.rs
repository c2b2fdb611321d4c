//! endpointslice-controller: lists a Service's pods in EndpointSlices of up to 100 endpoints,
//! changing as few slices as possible (kubernetes v1.37, `staging/src/k8s.io/endpointslice`).

use std::collections::BTreeMap;

use kubarium_objects::status::Status;
use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value, object};

use super::{Controller, Outcome, pods, slices, topology};
use crate::api::DeleteOptions;
use crate::cluster::{Change, Cluster};
use crate::event::Component;
use crate::index::SERVICE_NAME;

const RESOURCE: &str = "endpointslices.discovery.k8s.io";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// `--max-endpoints-per-slice`
const MOST: usize = 100;

pub(super) const CONTROLLER: Controller = Controller {
    name: "endpointslice-controller",
    observe,
    size: slices::size,
    sync,
};

fn observe(cluster: &Cluster, change: &Change) -> Vec<ObjectKey> {
    if &*change.key.resource == RESOURCE {
        let slice = change.object();
        let ours = slice.label(MANAGED_BY) == Some(MANAGER) && change.new.is_none();
        let service = slice.label(SERVICE_NAME).filter(|_| ours);
        return service
            .map(|name| ObjectKey::new("services", change.key.namespace.clone(), name))
            .into_iter()
            .collect();
    }
    if &*change.key.resource == "nodes" && topology::is_touched(change) {
        return topology::overloaded(cluster);
    }
    slices::services(cluster, change)
}

/// The endpoints of one set of ports, and the slices that list such.
#[derive(Default)]
struct Group {
    ports: Vec<Value>,
    /// By address, in the order of the pods.
    desired: Vec<Value>,
    existing: Vec<Value>,
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    // The slices of a Service that is gone are the garbage collector's.
    let Some(service) = cluster
        .etcd
        .get(key)
        .filter(|s| slices::is_managed(s) && !s.is_deleting())
        .cloned()
    else {
        return Ok(());
    };
    let selected = slices::selected(cluster, &service);
    let existing = existing(cluster, key);
    let listed = existing.iter().flat_map(|s| s["endpoints"].items());
    let listed: BTreeMap<&str, &Value> = listed.map(|e| (e["targetRef"]["uid"].str(), e)).collect();
    let pod_ports = slices::PodPorts::of(&service, slices::port_of_slice);
    let mut groups: BTreeMap<Text, Group> = BTreeMap::new();
    let mut unlisted = Vec::new();
    for pod in &selected {
        let (text, ports) = pod_ports.on(pod);
        let group = groups.entry(text).or_default();
        group.ports = ports;
        // Of many endpoints few change at a time.
        let listed = listed.get(pod.uid());
        let as_before = listed.filter(|e| is_up_to_date(cluster, &service, pod, e));
        let endpoint = as_before.map(|e| Value::clone(e));
        let endpoint = endpoint.unwrap_or_else(|| {
            unlisted.push(*pod);
            endpoint_of(cluster, &service, pod)
        });
        group.desired.push(endpoint);
    }
    let last = existing
        .iter()
        .filter_map(|s| s.annotation(slices::TRIGGER_TIME))
        .max();
    let trigger = slices::trigger_time(&service, unlisted.into_iter(), last, existing.is_empty());
    for slice in &existing {
        let text = Value::from(slice["ports"].items().to_vec()).to_json();
        let group = groups.entry(text.into()).or_default();
        group.existing.push(slice.clone());
    }
    let mut plan = Plan {
        service: &service,
        trigger,
        create: Vec::new(),
        update: Vec::new(),
        delete: Vec::new(),
        unchanged: Vec::new(),
    };
    for group in groups.into_values() {
        plan.reconcile(group);
    }
    // A Service without endpoints has one slice that says so.
    if plan.create.is_empty() && plan.delete.len() == existing.len() {
        match plan.delete.pop() {
            Some(mut slice) => {
                slice["endpoints"] = Value::Null;
                slice["ports"] = Value::Null;
                plan.note(slice);
            }
            None => plan.add(Vec::new(), Vec::new()),
        }
    }
    if topology::is_wanted(&service) {
        plan.hint(cluster, by, &existing);
    }
    carry_out(cluster, by, plan)
}

/// The slices that this controller made for the Service.
fn existing(cluster: &Cluster, key: &ObjectKey) -> Vec<Value> {
    let slices = cluster
        .index
        .slices_of(&key.namespace, &key.name)
        .filter_map(|key| cluster.etcd.get(key));
    slices
        .filter(|s| s.label(MANAGED_BY) == Some(MANAGER) && !s.is_deleting())
        .cloned()
        .collect()
}

/// Whether an endpoint can be used, whether its pod is ready, whether that is being deleted.
fn conditions(service: &Value, pod: &Value) -> [(&'static str, bool); 3] {
    let (serving, terminating) = (pods::is_ready(pod), pod.is_deleting());
    let publish = service["spec"]["publishNotReadyAddresses"].as_bool() == Some(true);
    [
        ("ready", publish || serving && !terminating),
        ("serving", serving),
        ("terminating", terminating),
    ]
}

/// The zone of a pod's node.
fn zone<'a>(cluster: &'a Cluster, pod: &Value) -> Option<&'a str> {
    let node = cluster.find("nodes", "", pod["spec"]["nodeName"].as_str()?)?;
    node.label("topology.kubernetes.io/zone")
}

/// Whether an endpoint says of a pod what is to be said of it now.
fn is_up_to_date(cluster: &Cluster, service: &Value, pod: &Value, endpoint: &Value) -> bool {
    let told = &endpoint["conditions"];
    let hinted = topology::is_wanted(service)
        || hints(service, endpoint).unwrap_or_default() == endpoint["hints"];
    conditions(service, pod)
        .iter()
        .all(|(name, is)| told[*name].as_bool() == Some(*is))
        && endpoint["addresses"][0] == pod["status"]["podIP"]
        && endpoint["nodeName"].str() == pod["spec"]["nodeName"].str()
        && endpoint["zone"].as_str() == zone(cluster, pod)
        && endpoint["hostname"].as_str() == slices::hostname(service, pod)
        && hinted
}

fn endpoint_of(cluster: &Cluster, service: &Value, pod: &Value) -> Value {
    let conditions = conditions(service, pod).map(|(name, is)| (name, is.into()));
    let mut endpoint = object([
        ("addresses", vec![pod["status"]["podIP"].clone()].into()),
        ("conditions", object(conditions)),
        ("targetRef", slices::target_ref(pod)),
    ]);
    if let Some(hostname) = slices::hostname(service, pod) {
        endpoint["hostname"] = hostname.into();
    }
    let node = pod["spec"]["nodeName"].text();
    if !node.is_empty() {
        if let Some(zone) = zone(cluster, pod) {
            endpoint["zone"] = zone.into();
        }
        endpoint["nodeName"] = node.into();
    }
    if let Some(hints) = hints(service, &endpoint) {
        endpoint["hints"] = hints;
    }
    endpoint
}

/// Who should use an endpoint, by what the Service prefers (`trafficdist`): clients in the endpoint's zone, or on its
/// node, and for proxies that only know zones, those too.
fn hints(service: &Value, endpoint: &Value) -> Option<Value> {
    // The older way has the last word, and looks at all endpoints together.
    if topology::is_wanted(service) {
        return None;
    }
    let preferred = service["spec"]["trafficDistribution"].str();
    let one = |name: &Value| Value::from(vec![object([("name", name.clone())])]);
    let known = |field: &str| Some(&endpoint[field]).filter(|value| !value.is_empty());
    let zone = known("zone").map(|zone| ("forZones", one(zone)));
    match preferred {
        "PreferClose" | "PreferSameZone" => zone.map(|zone| object([zone])),
        "PreferSameNode" => {
            let node = ("forNodes", one(known("nodeName")?));
            Some(match zone {
                Some(zone) => object([node, zone]),
                None => object([node]),
            })
        }
        _ => None,
    }
}

/// What is to be written.
struct Plan<'a> {
    service: &'a Value,
    trigger: Option<Text>,
    create: Vec<Value>,
    update: Vec<Value>,
    delete: Vec<Value>,
    unchanged: Vec<Value>,
}

impl Plan<'_> {
    /// Keeps what may stay in its slice, fills up the slices that change anyway, and only then
    /// touches others or makes new ones.
    fn reconcile(&mut self, group: Group) {
        let address = |endpoint: &Value| {
            (
                endpoint["addresses"][0].text(),
                endpoint["targetRef"]["uid"].text(),
            )
        };
        let mut open: BTreeMap<(Text, Text), Value> = group
            .desired
            .into_iter()
            .map(|e| (address(&e), e))
            .collect();
        let (mut changed, mut unchanged): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        for mut slice in group.existing {
            let had = slice["endpoints"].clone();
            let kept: Vec<Value> = had
                .items()
                .iter()
                .filter_map(|e| Some(self.as_hinted(open.remove(&address(e))?, e)))
                .collect();
            let kept: Value = kept.into();
            if kept.items() == had.items() && !had.items().is_empty() {
                unchanged.push(slice);
            } else if kept.items().is_empty() {
                self.delete.push(slice);
            } else {
                slice["endpoints"] = kept;
                changed.push(slice);
            }
        }
        let mut open: std::collections::VecDeque<Value> = open.into_values().collect();
        changed.sort_by_key(|slice| std::cmp::Reverse(slice["endpoints"].items().len()));
        for slice in &mut changed {
            fill(slice, &mut open);
        }
        while !open.is_empty() {
            // The fullest slice that takes all that is left.
            let room = |slice: &Value| slice["endpoints"].items().len() + open.len() <= MOST;
            let fullest = |(_, slice): &(usize, &Value)| slice["endpoints"].items().len();
            let best = unchanged
                .iter()
                .enumerate()
                .filter(|(_, slice)| room(slice))
                .max_by_key(fullest)
                .map(|(at, _)| at);
            if let Some(at) = best {
                let mut slice = unchanged.remove(at);
                fill(&mut slice, &mut open);
                changed.push(slice);
            } else if let Some(mut slice) = self
                .delete
                .pop_if(|s| open.len() <= MOST && s["ports"].items() == group.ports)
            {
                slice["endpoints"] = Value::new_array();
                fill(&mut slice, &mut open);
                changed.push(slice);
            } else {
                let count = open.len().min(MOST);
                let endpoints = open.drain(..count).collect();
                self.add(endpoints, group.ports.clone());
            }
        }
        changed.into_iter().for_each(|slice| self.note(slice));
        // What did not change may still lack the Service's labels.
        for slice in unchanged {
            let labelled = self.labelled(&slice);
            if labelled.same(slice.labels()) {
                self.unchanged.push(slice);
            } else {
                self.note(slice);
            }
        }
    }

    /// Hints that look at all endpoints together stay until all is known.
    fn as_hinted(&self, mut endpoint: Value, before: &Value) -> Value {
        if topology::is_wanted(self.service) && !before["hints"].is_null() {
            endpoint["hints"] = before["hints"].clone();
        }
        endpoint
    }

    /// Topology aware hints, and the event that says whether there are some.
    fn hint(&mut self, cluster: &mut Cluster, by: &Component, existing: &[Value]) {
        const DISABLED: &str = "TopologyAwareHintsDisabled";
        let endpoints = existing.iter().flat_map(|s| s["endpoints"].items());
        let had = endpoints.clone().any(|e| !e["hints"].is_null());
        let mut slices = topology::Slices {
            create: &mut self.create,
            update: &mut self.update,
            unchanged: &mut self.unchanged,
        };
        let family = self.service["spec"]["ipFamilies"][0].as_str();
        let family = family.unwrap_or("IPv4");
        let said = |what: &str| format!("{what}, addressType: {family}");
        match slices.hint(cluster) {
            Err(why) => cluster.warn(by, self.service, DISABLED, &said(&why)),
            Ok(()) if had => {}
            Ok(()) => {
                let message = said("Topology Aware Hints has been enabled");
                cluster.record(by, self.service, "TopologyAwareHintsEnabled", &message);
            }
        }
    }

    fn labelled(&self, _: &Value) -> Value {
        let mut labels = slices::labels(self.service);
        labels[MANAGED_BY] = MANAGER.into();
        labels[SERVICE_NAME] = self.service.name().into();
        labels
    }

    /// A slice is to be updated.
    fn note(&mut self, mut slice: Value) {
        slice["metadata"]["labels"] = self.labelled(&slice);
        self.stamp(&mut slice);
        self.update.push(slice);
    }

    fn stamp(&self, slice: &mut Value) {
        match &self.trigger {
            Some(time) => slice["metadata"]["annotations"][slices::TRIGGER_TIME] = time.into(),
            None => {
                slice.remove(&["metadata", "annotations", slices::TRIGGER_TIME]);
                if slice["metadata"]["annotations"].is_empty() {
                    slice.remove(&["metadata", "annotations"]);
                }
            }
        }
    }

    /// A slice is to be made.
    fn add(&mut self, endpoints: Vec<Value>, ports: Vec<Value>) {
        let family = self.service["spec"]["ipFamilies"][0]
            .as_str()
            .unwrap_or("IPv4")
            .to_owned();
        let owner = pods::controller_ref(self.service);
        let metadata = object([
            ("generateName", format!("{}-", self.service.name()).into()),
            ("labels", self.labelled(&Value::Null)),
            ("namespace", self.service["metadata"]["namespace"].clone()),
            ("ownerReferences", vec![owner].into()),
        ]);
        let list = |items: Vec<Value>| {
            if items.is_empty() {
                Value::Null
            } else {
                items.into()
            }
        };
        let mut slice = object([
            ("addressType", family.into()),
            ("apiVersion", "discovery.k8s.io/v1".into()),
            ("endpoints", list(endpoints)),
            ("kind", "EndpointSlice".into()),
            ("metadata", metadata),
            ("ports", list(ports)),
        ]);
        self.stamp(&mut slice);
        self.create.push(slice);
    }
}

fn fill(slice: &mut Value, open: &mut std::collections::VecDeque<Value>) {
    let room = MOST
        .saturating_sub(slice["endpoints"].items().len())
        .min(open.len());
    if room > 0 {
        slice["endpoints"].array_mut().extend(open.drain(..room));
    }
}

fn carry_out(cluster: &mut Cluster, by: &Component, plan: Plan<'_>) -> Outcome {
    let fail = |cluster: &mut Cluster, status: Status| {
        let message = format!(
            "Failed to update Endpoint Slices for Service {}/{}: {}",
            plan.service.namespace(),
            plan.service.name(),
            status.message
        );
        cluster.warn(by, plan.service, "FailedToUpdateEndpointSlices", &message);
        Err(status)
    };
    for slice in plan.create {
        if let Err(status) = cluster.create(by, slice) {
            return if super::template::is_terminating(&status) {
                Ok(())
            } else {
                fail(cluster, status)
            };
        }
    }
    for slice in plan.update {
        if let Err(status) = cluster.update(by, slice) {
            return fail(cluster, status);
        }
    }
    for slice in plan.delete {
        let key = ObjectKey::new(RESOURCE, slice.namespace(), slice.name());
        match cluster.delete(by, &key, &DeleteOptions::default()) {
            Err(status) if status.code != 404 => return fail(cluster, status),
            _ => {}
        }
    }
    Ok(())
}
