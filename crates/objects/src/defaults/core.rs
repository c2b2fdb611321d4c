//! Services, configuration, storage, nodes, policies.

use super::{default, each, pod, with};
use crate::base64;
use crate::value::{Text, Value, array};

pub(super) fn service(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"].str() == "ClientIP" {
        default(
            &mut spec["sessionAffinityConfig"]["clientIP"],
            "timeoutSeconds",
            10800,
        );
    } else {
        spec.remove(&["sessionAffinityConfig"]);
    }
    default(spec, "type", "ClusterIP");
    each(spec, "ports", |p| {
        default(p, "protocol", "TCP");
        if p["targetPort"].is_empty() {
            p["targetPort"] = p["port"].clone();
        }
    });
    let kind = spec["type"].text();
    let outside = matches!(&*kind, "NodePort" | "LoadBalancer");
    if outside || (&*kind == "ClusterIP" && !spec["externalIPs"].items().is_empty()) {
        default(spec, "externalTrafficPolicy", "Cluster");
    }
    if outside || &*kind == "ClusterIP" {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    if &*kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
        let ingress = &mut o["status"]["loadBalancer"];
        each(ingress, "ingress", |i| {
            if i.get("ip").is_some() {
                default(i, "ipMode", "VIP");
            }
        });
    }
}

pub(super) fn endpoints(o: &mut Value) {
    each(o, "subsets", |s| {
        each(s, "ports", |p| default(p, "protocol", "TCP"))
    });
}

pub(super) fn endpoint_slice(o: &mut Value) {
    each(o, "ports", |p| {
        default(p, "name", "");
        default(p, "protocol", "TCP");
    });
    // These two are printed even when there are none.
    for list in ["endpoints", "ports"] {
        default(o, list, Value::Null);
    }
}

/// `stringData` is only for writing: it goes into `data`.
pub(super) fn secret(o: &mut Value) {
    default(o, "type", "Opaque");
    if let Some(strings) = o.remove(&["stringData"]) {
        for (key, value) in strings.entries() {
            o["data"][&**key] = base64::encode(value.str().as_bytes()).into();
        }
    }
}

pub(super) fn namespace(o: &mut Value) {
    let name = o["metadata"]["name"].text();
    if !name.is_empty() {
        o.set(&["metadata", "labels", "kubernetes.io/metadata.name"], name);
    }
    default(&mut o["status"], "phase", "Active");
}

pub(super) fn node(o: &mut Value) {
    let status = &mut o["status"];
    with(status, "capacity", pod::resource_list);
    let capacity = status["capacity"].clone();
    if !capacity.is_empty() {
        default(status, "allocatable", capacity);
    }
    with(status, "allocatable", pod::resource_list);
    // One range or a list of them: the first of the list is the one.
    let spec = &mut o["spec"];
    let (one, list) = (spec["podCIDR"].clone(), spec["podCIDRs"][0].clone());
    if !one.is_null() {
        default(spec, "podCIDRs", array([one]));
    } else if !list.is_null() {
        spec["podCIDR"] = list;
    }
}

pub(super) fn persistent_volume(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "persistentVolumeReclaimPolicy", "Retain");
    default(spec, "volumeMode", "Filesystem");
    with(spec, "capacity", pod::resource_list);
    pod::source(spec);
    default(&mut o["status"], "phase", "Pending");
}

pub(super) fn persistent_volume_claim(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "volumeMode", "Filesystem");
    with(spec, "resources", pod::resources);
    default(&mut o["status"], "phase", "Pending");
}

pub(super) fn limit_range(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "limits", Value::Null);
    each(spec, "limits", |item| {
        let lists = [
            "default",
            "defaultRequest",
            "max",
            "min",
            "maxLimitRequestRatio",
        ];
        lists
            .into_iter()
            .for_each(|list| with(item, list, pod::resource_list));
        if item["type"].str() != "Container" {
            return;
        }
        let fill = |item: &mut Value, to: &str, from: &str| {
            for (name, amount) in item[from].clone().entries() {
                default(&mut item[to], name, amount.clone());
            }
        };
        fill(item, "default", "max");
        fill(item, "defaultRequest", "default");
        fill(item, "defaultRequest", "min");
    });
}

pub(super) fn resource_quota(o: &mut Value) {
    with(&mut o["spec"], "hard", pod::resource_list);
}

pub(super) fn network_policy(o: &mut Value) {
    let spec = &mut o["spec"];
    for rules in ["ingress", "egress"] {
        each(spec, rules, |r| {
            each(r, "ports", |p| default(p, "protocol", "TCP"))
        });
    }
    if spec["policyTypes"].items().is_empty() {
        let mut types: Vec<Text> = vec!["Ingress".into()];
        if !spec["egress"].items().is_empty() {
            types.push("Egress".into());
        }
        spec["policyTypes"] = types.into();
    }
}

pub(super) fn ingress_class(o: &mut Value) {
    with(&mut o["spec"], "parameters", |p| {
        default(p, "scope", "Cluster")
    });
}

pub(super) fn storage_class(o: &mut Value) {
    default(o, "reclaimPolicy", "Delete");
    default(o, "volumeBindingMode", "Immediate");
}

pub(super) fn csi_driver(o: &mut Value) {
    let spec = &mut o["spec"];
    default(spec, "attachRequired", true);
    default(spec, "podInfoOnMount", false);
    default(spec, "storageCapacity", false);
    default(spec, "requiresRepublish", false);
    default(spec, "seLinuxMount", false);
    default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    default(spec, "volumeLifecycleModes", array(["Persistent"]));
}

pub(super) fn runtime_class(o: &mut Value) {
    with(o, "overhead", |v| with(v, "podFixed", pod::resource_list));
}
