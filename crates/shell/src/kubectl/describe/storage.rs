//! Claims, volumes, storage classes.

use kubarium_objects::{ObjectMeta, Value};

use super::{events, go_list, head, marks, or_none};
use crate::kubectl::Kubectl;
use crate::kubectl::printers::{access_modes, class as class_of, scalar};
use crate::kubectl::table::Lines;

/// `a=1,b=2`, or `<none>`, newlines and all.
pub(super) fn joined(map: &Value) -> String {
    let pairs: Vec<String> = map
        .entries()
        .iter()
        .map(|(key, v)| format!("{key}={}", v.str()))
        .collect();
    or_none(&pairs.join(",")).to_owned()
}

fn phase(o: &Value, k: &Kubectl) -> String {
    match o.deletion_timestamp() {
        Some(_) => format!(
            "Terminating (lasts {})",
            crate::kubectl::printers::since(&o["metadata"]["deletionTimestamp"], k.now())
        ),
        None => o["status"]["phase"].str().to_owned(),
    }
}

pub(super) fn claim(k: &Kubectl, o: &Value, w: &mut Lines) {
    let (spec, status) = (&o["spec"], &o["status"]);
    head(w, o);
    w.line(0, format!("StorageClass:\t{}", class_of(o)));
    w.line(0, format!("Status:\t{}", phase(o, k)));
    w.line(0, format!("Volume:\t{}", spec["volumeName"].str()));
    marks(w, o);
    w.line(
        0,
        format!("Finalizers:\t{}", go_list(&o["metadata"]["finalizers"])),
    );
    let bound = !spec["volumeName"].is_empty();
    w.line(
        0,
        format!(
            "Capacity:\t{}",
            if bound {
                scalar(&status["capacity"]["storage"])
            } else {
                String::new()
            }
        ),
    );
    w.line(
        0,
        format!(
            "Access Modes:\t{}",
            if bound {
                access_modes(&status["accessModes"])
            } else {
                String::new()
            }
        ),
    );
    if !spec["volumeMode"].is_empty() {
        w.line(0, format!("VolumeMode:\t{}", spec["volumeMode"].str()));
    }
    if !spec["volumeAttributesClassName"].is_empty() {
        w.line(
            0,
            format!(
                "VolumeAttributesClass:\t{}",
                spec["volumeAttributesClassName"].str()
            ),
        );
    }
    let source = &spec["dataSource"];
    if !source.is_null() {
        w.line(0, "DataSource:");
        if !source["apiGroup"].is_empty() {
            w.line(1, format!("APIGroup:\t{}", source["apiGroup"].str()));
        }
        w.line(1, format!("Kind:\t{}", source["kind"].str()));
        w.line(1, format!("Name:\t{}", source["name"].str()));
    }
    let pods = k
        .cluster()
        .etcd
        .list("pods", Some(o.namespace()))
        .map(|(_, p)| p);
    let uses = |p: &&Value| {
        p["spec"]["volumes"]
            .items()
            .iter()
            .any(|v| v["persistentVolumeClaim"]["claimName"].str() == o.name())
    };
    let users: Vec<&str> = pods.filter(uses).map(ObjectMeta::name).collect();
    w.line(0, format!("Used By:\t{}", or_none(&users.join("\n\t"))));
    if !status["conditions"].items().is_empty() {
        w.line(0, "Conditions:");
        w.line(
            1,
            "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage",
        );
        w.line(
            1,
            "----\t------\t-----------------\t------------------\t------\t-------",
        );
        for c in status["conditions"].items() {
            let at = |field: &str| super::date(&c[field]);
            w.line(
                1,
                format!(
                    "{} \t{} \t{} \t{} \t{} \t{}",
                    c["type"].str(),
                    c["status"].str(),
                    at("lastProbeTime"),
                    at("lastTransitionTime"),
                    c["reason"].str(),
                    c["message"].str()
                ),
            );
        }
    }
    events(k, o, w);
}

pub(super) fn volume(k: &Kubectl, o: &Value, w: &mut Lines) {
    let spec = &o["spec"];
    w.line(0, format!("Name:\t{}", o.name()));
    marks(w, o);
    w.line(
        0,
        format!("Finalizers:\t{}", go_list(&o["metadata"]["finalizers"])),
    );
    w.line(0, format!("StorageClass:\t{}", class_of(o)));
    w.line(0, format!("Status:\t{}", phase(o, k)));
    let claim = &spec["claimRef"];
    w.line(
        0,
        format!(
            "Claim:\t{}",
            if claim.is_null() {
                String::new()
            } else {
                format!("{}/{}", claim["namespace"].str(), claim["name"].str())
            }
        ),
    );
    w.line(
        0,
        format!(
            "Reclaim Policy:\t{}",
            spec["persistentVolumeReclaimPolicy"].str()
        ),
    );
    if !spec["volumeAttributesClassName"].is_empty() {
        w.line(
            0,
            format!(
                "VolumeAttributesClass:\t{}",
                spec["volumeAttributesClassName"].str()
            ),
        );
    }
    w.line(
        0,
        format!("Access Modes:\t{}", access_modes(&spec["accessModes"])),
    );
    if !spec["volumeMode"].is_empty() {
        w.line(0, format!("VolumeMode:\t{}", spec["volumeMode"].str()));
    }
    w.line(
        0,
        format!("Capacity:\t{}", scalar(&spec["capacity"]["storage"])),
    );
    affinity(&spec["nodeAffinity"], w);
    w.line(0, format!("Message:\t{}", o["status"]["message"].str()));
    w.line(0, "Source:");
    let mut source = Value::new_object();
    const KINDS: [&str; 8] = [
        "hostPath", "nfs", "local", "csi", "iscsi", "fc", "rbd", "cephfs",
    ];
    for kind in KINDS.iter().filter(|kind| !spec[**kind].is_null()) {
        source[*kind] = spec[*kind].clone();
    }
    super::container::source(&source, w);
    events(k, o, w);
}

fn affinity(affinity: &Value, w: &mut Lines) {
    w.raw("Node Affinity:\t");
    let terms = affinity["required"]["nodeSelectorTerms"].items();
    if affinity["required"].is_null() {
        w.raw("<none>\n");
        return;
    }
    w.raw("\n");
    w.raw("  Required Terms:\t");
    if terms.is_empty() {
        w.raw("<none>\n");
        return;
    }
    w.raw("\n");
    for (at, term) in terms.iter().enumerate() {
        w.raw(&format!("    Term {at}:\t"));
        for (place, e) in term["matchExpressions"].items().iter().enumerate() {
            if place > 0 {
                w.raw("\t");
            }
            let values: Vec<&str> = e["values"].items().iter().map(Value::str).collect();
            let operator = e["operator"].str().to_lowercase();
            let shown = if values.is_empty() {
                String::new()
            } else {
                format!(" [{}]", values.join(", "))
            };
            w.raw(&format!("{} {operator}{shown}\n", e["key"].str()));
        }
    }
}

pub(super) fn class(k: &Kubectl, o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    let default = o.annotation("storageclass.kubernetes.io/is-default-class") == Some("true");
    w.line(
        0,
        format!("IsDefaultClass:\t{}", if default { "Yes" } else { "No" }),
    );
    w.line(0, format!("Annotations:\t{}", joined(o.annotations())));
    w.line(0, format!("Provisioner:\t{}", o["provisioner"].str()));
    w.line(0, format!("Parameters:\t{}", joined(&o["parameters"])));
    let expansion = match o["allowVolumeExpansion"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    w.line(0, format!("AllowVolumeExpansion:\t{expansion}"));
    let options = o["mountOptions"].items();
    if options.is_empty() {
        w.line(0, "MountOptions:\t<none>");
    } else {
        w.line(0, "MountOptions:");
        options.iter().for_each(|option| w.line(1, option.str()));
    }
    if !o["reclaimPolicy"].is_empty() {
        w.line(0, format!("ReclaimPolicy:\t{}", o["reclaimPolicy"].str()));
    }
    if !o["volumeBindingMode"].is_empty() {
        w.line(
            0,
            format!("VolumeBindingMode:\t{}", o["volumeBindingMode"].str()),
        );
    }
    if !o["allowedTopologies"].is_null() {
        topologies(o["allowedTopologies"].items(), w);
    }
    events(k, o, w);
}

/// `AllowedTopologies:`, a term a line.
fn topologies(terms: &[Value], w: &mut Lines) {
    w.raw("AllowedTopologies:\t");
    if terms.is_empty() {
        w.raw("<none>\n");
        return;
    }
    w.raw("\n");
    for (at, term) in terms.iter().enumerate() {
        w.raw(&format!("  Term {at}:\t"));
        let all = term["matchLabelExpressions"].items();
        if all.is_empty() {
            w.raw("<none>\n");
        }
        for (at, one) in all.iter().enumerate() {
            let values: Vec<&str> = one["values"].items().iter().map(Value::str).collect();
            let indent = if at > 0 { "  \t" } else { "" };
            w.raw(&format!(
                "{indent}{} in [{}]\n",
                one["key"].str(),
                values.join(", ")
            ));
        }
    }
}

pub(super) fn csi_node(k: &Kubectl, o: &Value, w: &mut Lines) {
    w.line(0, format!("Name:\t{}", o.name()));
    marks(w, o);
    w.line(
        0,
        format!(
            "CreationTimestamp:\t{}",
            super::date(&o["metadata"]["creationTimestamp"])
        ),
    );
    w.line(0, "Spec:");
    let drivers = o["spec"]["drivers"].items();
    if !drivers.is_empty() {
        w.line(1, "Drivers:");
    }
    for driver in drivers {
        w.line(2, format!("{}:", driver["name"].str()));
        w.line(3, format!("Node ID:\t{}", driver["nodeID"].str()));
        if let Some(count) = driver["allocatable"]["count"].as_i64() {
            w.line(3, "Allocatables:");
            w.line(4, format!("Count:\t{count}"));
        }
        if !driver["topologyKeys"].is_null() {
            w.line(
                3,
                format!("Topology Keys:\t{}", go_list(&driver["topologyKeys"])),
            );
        }
    }
    events(k, o, w);
}
