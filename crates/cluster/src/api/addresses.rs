//! Services' addresses and their ranges as objects: an IPAddress for each address that a Service has
//! (kubernetes v1.37, `pkg/registry/core/service/ipallocator`), and what becomes of ServiceCIDRs
//! (`pkg/controller/servicecidrs`).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kubarium_objects::{ObjectKey, Text, Value, array, object};

use super::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::{Action, Component};
use crate::rng::Rng;

const ADDRESSES: &str = "ipaddresses.networking.k8s.io";
const RANGES: &str = "servicecidrs.networking.k8s.io";
const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
const READY: &str = "Kubernetes Service CIDR is ready";
const HELD: &str = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";

/// Follows a change of a Service, of a range or of an address.
pub(crate) fn changed(cluster: &mut Cluster, change: &Change) {
    match &*change.key.resource {
        "services" => follow(cluster, change),
        RANGES => settle(cluster, &change.key),
        ADDRESSES if change.new.is_none() => {
            let ranges = cluster.etcd.list(RANGES, None);
            let going = ranges.filter(|(_, range)| is_going(range));
            let keys: Vec<ObjectKey> = going.map(|(key, _)| key.clone()).collect();
            keys.iter().for_each(|key| settle(cluster, key));
        }
        _ => {}
    }
}

fn address_of(service: &Value) -> Option<Ipv4Addr> {
    service["spec"]["clusterIPs"][0].str().parse().ok()
}

/// The object of an address comes and goes with the Service that has it.
fn follow(cluster: &mut Cluster, change: &Change) {
    let old = change.old.as_ref().and_then(address_of);
    let new = change.new.as_ref().and_then(address_of);
    if old == new {
        return;
    }
    let key = |address: Ipv4Addr| ObjectKey::new(ADDRESSES, "", address.to_string());
    let by = Component::ApiServer;
    if let Some(gone) = old.map(key).filter(|key| cluster.etcd.get(key).is_some()) {
        cluster.commit(&by, Action::Delete, &gone, None, Text::default());
    }
    if let Some(address) = new {
        let object = made(cluster, address, &change.key);
        let key = key(address);
        cluster.commit(&by, Action::Create, &key, Some(object), Text::default());
    }
}

/// A new address' object. It has random numbers of its own, so that others stay as they are.
fn made(cluster: &Cluster, address: Ipv4Addr, service: &ObjectKey) -> Value {
    let seed = u64::from(u32::from(address)) << 32 ^ cluster.etcd.revision();
    let labels = object([
        ("ipaddress.kubernetes.io/ip-family", "IPv4".into()),
        (
            "ipaddress.kubernetes.io/managed-by",
            "ipallocator.k8s.io".into(),
        ),
    ]);
    let metadata = object([
        ("creationTimestamp", cluster.now.rfc3339().into()),
        ("labels", labels),
        ("name", address.to_string().into()),
        ("uid", Rng::new(cluster.config.seed ^ seed).uuid().into()),
    ]);
    let parent = object([
        ("name", (&service.name).into()),
        ("namespace", (&service.namespace).into()),
        ("resource", "services".into()),
    ]);
    object([
        ("apiVersion", "networking.k8s.io/v1".into()),
        ("kind", "IPAddress".into()),
        ("metadata", metadata),
        ("spec", object([("parentRef", parent)])),
    ])
}

fn is_going(range: &Value) -> bool {
    !range["metadata"]["deletionTimestamp"].is_null()
}

fn nets(range: &Value) -> impl Iterator<Item = Ipv4Net> + '_ {
    let ranges = range["spec"]["cidrs"].items().iter();
    ranges.filter_map(|range| range.str().parse().ok())
}

/// What the controller makes of a range: it has a finalizer and is ready, or waits for its addresses.
fn settle(cluster: &mut Cluster, key: &ObjectKey) {
    let Some(range) = cluster.etcd.get(key) else {
        return;
    };
    let by = Component::Controller("servicecidr-controller");
    let finalizers = range["metadata"]["finalizers"].items();
    let has = finalizers.iter().any(|f| f.str() == FINALIZER);
    let (status, reason, message) = match is_going(range) {
        true if is_needed(cluster, key, range) => ("False", "Terminating", HELD),
        true => {
            let kept = array(finalizers.iter().filter(|f| f.str() != FINALIZER));
            if has {
                // It may be gone by now, as below.
                let _ = cluster.modify(&by, key, Subresource::None, |range| {
                    range["metadata"]["finalizers"] = kept;
                });
            }
            return;
        }
        false => ("True", "", READY),
    };
    let known = &range["status"]["conditions"][0];
    let same = known["status"].str() == status && known["reason"].str() == reason;
    let now = cluster.now.rfc3339();
    if !has && !is_going(range) {
        let _ = cluster.modify(&by, key, Subresource::None, |range| {
            range["metadata"]["finalizers"].push(FINALIZER);
        });
    } else if !same {
        let condition = object([
            ("lastTransitionTime", now.into()),
            ("message", message.into()),
            ("reason", reason.into()),
            ("status", status.into()),
            ("type", "Ready".into()),
        ]);
        let _ = cluster.modify(&by, key, Subresource::Status, |range| {
            range.set(&["status", "conditions"], array([condition]));
        });
    }
}

/// Whether an address would be left without a range (`canDeleteCIDR`).
fn is_needed(cluster: &Cluster, key: &ObjectKey, range: &Value) -> bool {
    let others = cluster.etcd.list(RANGES, None);
    let others = others.filter(|(other, _)| *other != key);
    let others: Vec<Ipv4Net> = others.flat_map(|(_, other)| nets(other)).collect();
    let own: Vec<Ipv4Net> = nets(range).collect();
    if own
        .iter()
        .all(|net| others.iter().any(|other| other.contains(net)))
    {
        return false;
    }
    let addresses = cluster.etcd.list(ADDRESSES, None);
    let mut addresses = addresses.filter_map(|(key, _)| key.name.parse::<Ipv4Addr>().ok());
    addresses.any(|address| {
        own.iter().any(|net| net.contains(&address))
            && !others.iter().any(|net| net.contains(&address))
    })
}

impl Cluster {
    /// The ranges that Services' addresses may come from beside the cluster's own.
    pub(super) fn further_ranges(&self) -> Vec<Ipv4Net> {
        let ranges = self.etcd.list(RANGES, None).map(|(_, range)| range);
        let ready = ranges.filter(|range| {
            !is_going(range) && range["status"]["conditions"][0]["status"].str() == "True"
        });
        ready.flat_map(nets).collect()
    }
}
