//! Pods.

use kubarium_objects::{ObjectMeta, Value};

use super::container::{containers, spread_constraints, tolerations, volumes};
use super::{annotations, controlled_by, date, events, head, labels};
use crate::kubectl::Kubectl;
use crate::kubectl::printers::since;
use crate::kubectl::table::Lines;

pub(super) fn pod(k: &Kubectl, o: &Value, w: &mut Lines) {
    let (spec, status) = (&o["spec"], &o["status"]);
    head(w, o);
    if let Some(priority) = spec["priority"].as_i64() {
        w.line(0, format!("Priority:\t{priority}"));
    }
    for (field, title) in [
        ("priorityClassName", "Priority Class Name"),
        ("runtimeClassName", "Runtime Class Name"),
        ("serviceAccountName", "Service Account"),
    ] {
        if !spec[field].is_empty() {
            w.line(0, format!("{title}:\t{}", spec[field].str()));
        }
    }
    match spec["nodeName"].str() {
        "" => w.line(0, "Node:\t<none>"),
        node => w.line(0, format!("Node:\t{node}/{}", status["hostIP"].str())),
    }
    if !status["startTime"].is_null() {
        w.line(0, format!("Start Time:\t{}", date(&status["startTime"])));
    }
    labels(w, "", "Labels", o.labels());
    annotations(w, "Annotations", o.annotations());
    if o.is_deleting() && !matches!(status["phase"].str(), "Failed" | "Succeeded") {
        w.line(
            0,
            format!(
                "Status:\tTerminating (lasts {})",
                since(&o["metadata"]["deletionTimestamp"], k.now())
            ),
        );
        w.line(
            0,
            format!(
                "Termination Grace Period:\t{}s",
                o["metadata"]["deletionGracePeriodSeconds"]
                    .as_i64()
                    .unwrap_or(0)
            ),
        );
    } else {
        w.line(0, format!("Status:\t{}", status["phase"].str()));
    }
    for (field, title) in [("reason", "Reason"), ("message", "Message")] {
        if !status[field].is_empty() {
            w.line(0, format!("{title}:\t{}", status[field].str()));
        }
    }
    let seccomp = &spec["securityContext"]["seccompProfile"];
    if !seccomp.is_null() {
        w.line(0, format!("SeccompProfile:\t{}", seccomp["type"].str()));
        if seccomp["type"].str() == "Localhost" {
            w.line(
                0,
                format!("LocalhostProfile:\t{}", seccomp["localhostProfile"].str()),
            );
        }
    }
    w.line(0, format!("IP:\t{}", status["podIP"].str()));
    if status["podIPs"].items().is_empty() {
        w.line(0, "IPs:\t<none>");
    } else {
        w.line(0, "IPs:");
        for ip in status["podIPs"].items() {
            w.line(1, format!("IP:\t{}", ip["ip"].str()));
        }
    }
    controlled_by(w, o);
    if !status["nominatedNodeName"].is_empty() {
        w.line(
            0,
            format!("NominatedNodeName:\t{}", status["nominatedNodeName"].str()),
        );
    }
    if !spec["resources"].is_null() {
        w.line(0, "Resources:");
        super::container::resources(&spec["resources"], w, 1);
    }
    if !spec["initContainers"].items().is_empty() {
        containers(
            "Init Containers",
            &spec["initContainers"],
            &status["initContainerStatuses"],
            o,
            w,
            "",
        );
    }
    containers(
        "Containers",
        &spec["containers"],
        &status["containerStatuses"],
        o,
        w,
        "",
    );
    if !spec["ephemeralContainers"].items().is_empty() {
        containers(
            "Ephemeral Containers",
            &spec["ephemeralContainers"],
            &status["ephemeralContainerStatuses"],
            o,
            w,
            "",
        );
    }
    let conditions = status["conditions"].items();
    if !spec["readinessGates"].items().is_empty() {
        w.line(0, "Readiness Gates:\n  Type\tStatus");
        for gate in spec["readinessGates"].items() {
            let kind = gate["conditionType"].str();
            let found = conditions.iter().find(|c| c["type"].str() == kind);
            w.line(
                1,
                format!(
                    "{kind} \t{} ",
                    found.map_or("<none>", |c| c["status"].str())
                ),
            );
        }
    }
    if !conditions.is_empty() {
        w.line(0, "Conditions:\n  Type\tStatus");
        for condition in conditions {
            w.line(
                1,
                format!(
                    "{} \t{} ",
                    condition["type"].str(),
                    condition["status"].str()
                ),
            );
        }
    }
    volumes(&spec["volumes"], w, "");
    w.line(0, format!("QoS Class:\t{}", status["qosClass"].str()));
    labels(w, "", "Node-Selectors", &spec["nodeSelector"]);
    tolerations(&spec["tolerations"], w, "");
    spread_constraints(spec, w, "");
    events(k, o, w);
}
