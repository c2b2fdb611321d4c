//! Fields behind feature gates that are off by default: the API server drops them of what is new
//! (kubernetes v1.37, `pkg/features`, the strategies' and `pkg/api/pod`'s `dropDisabledFields`).

use crate::schema::Resource;
use crate::value::Value;

/// Drops what is behind a gate.
pub(super) fn drop_disabled(resource: &Resource, o: &mut Value) {
    let spec = |o: &mut Value, fields: &[&str]| {
        for field in fields {
            o.remove(&["spec", field]);
        }
    };
    match (&*resource.group, &*resource.kind) {
        ("", "Pod") => pod(o, &["spec"]),
        ("", "PodTemplate") => pod(o, &["template", "spec"]),
        ("batch", "Job") => {
            spec(o, &["scheduling"]);
            pod(o, &["spec", "template", "spec"]);
        }
        ("batch", "CronJob") => {
            o.remove(&["spec", "jobTemplate", "spec", "scheduling"]);
            pod(o, &["spec", "jobTemplate", "spec", "template", "spec"]);
        }
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("", "ReplicationController") => pod(o, &["spec", "template", "spec"]),
        ("", "Node") => spec(o, &["configSource", "podPreemptionPolicy"]),
        ("coordination.k8s.io", "Lease") => spec(o, &["strategy", "preferredHolder"]),
        _ => {}
    }
}

fn pod(o: &mut Value, path: &[&str]) {
    // Most specs have none of it: nothing of a shared value is copied for them.
    let given = path.iter().fold(&*o, |o, step| &o[*step]);
    if given.is_null() {
        return;
    }
    let mut spec = given.clone();
    for field in ["schedulingGroup", "evictionResponders"] {
        spec.remove(&[field]);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for at in 0..spec[list].items().len() {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if !spec[list][at][probe]["grpc"]["mode"].is_null() {
                    spec[list][at][probe].remove(&["grpc", "mode"]);
                }
            }
        }
    }
    for at in 0..spec["volumes"].items().len() {
        for kind in ["secret", "configMap", "downwardAPI", "projected"] {
            if !spec["volumes"][at][kind]["defaultUser"].is_null() {
                spec["volumes"][at].remove(&[kind, "defaultUser"]);
            }
        }
    }
    o.set(path, spec);
}
