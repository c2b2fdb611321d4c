//! Nodes.

use kubarium_objects::{ObjectMeta, Quantity, Value};

use super::{annotations, date, events, labels, or_none};
use crate::kubectl::Kubectl;
use crate::kubectl::printers::{age, roles, scalar};
use crate::kubectl::table::Lines;

pub(super) fn node(k: &Kubectl, o: &Value, w: &mut Lines) {
    let (spec, status) = (&o["spec"], &o["status"]);
    w.line(0, format!("Name:\t{}", o.name()));
    w.line(0, format!("Roles:\t{}", or_none(&roles(o).join(","))));
    labels(w, "", "Labels", o.labels());
    annotations(w, "Annotations", o.annotations());
    w.line(
        0,
        format!(
            "CreationTimestamp:\t{}",
            date(&o["metadata"]["creationTimestamp"])
        ),
    );
    taints(&spec["taints"], w);
    w.line(
        0,
        format!(
            "Unschedulable:\t{}",
            spec["unschedulable"].as_bool() == Some(true)
        ),
    );
    lease(k, o, w);
    if !status["conditions"].items().is_empty() {
        w.line(
            0,
            "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage",
        );
        w.line(
            1,
            "----\t------\t-----------------\t------------------\t------\t-------",
        );
        for c in status["conditions"].items() {
            let at = |field: &str| date(&c[field]);
            w.line(
                1,
                format!(
                    "{} \t{} \t{} \t{} \t{} \t{}",
                    c["type"].str(),
                    c["status"].str(),
                    at("lastHeartbeatTime"),
                    at("lastTransitionTime"),
                    c["reason"].str(),
                    c["message"].str()
                ),
            );
        }
    }
    w.line(0, "Addresses:");
    for address in status["addresses"].items() {
        w.line(
            1,
            format!("{}:\t{}", address["type"].str(), address["address"].str()),
        );
    }
    for (field, title) in [("capacity", "Capacity"), ("allocatable", "Allocatable")] {
        if !status[field].is_empty() {
            w.line(0, format!("{title}:"));
        }
        for (name, quantity) in status[field].entries() {
            w.line(0, format!("  {name}:\t{}", scalar(quantity)));
        }
    }
    let info = &status["nodeInfo"];
    w.line(0, "System Info:");
    for (field, title) in [
        ("machineID", "Machine ID"),
        ("systemUUID", "System UUID"),
        ("bootID", "Boot ID"),
        ("kernelVersion", "Kernel Version"),
        ("osImage", "OS Image"),
        ("operatingSystem", "Operating System"),
        ("architecture", "Architecture"),
        ("containerRuntimeVersion", "Container Runtime Version"),
        ("kubeletVersion", "Kubelet Version"),
    ] {
        w.line(0, format!("  {title}:\t{}", info[field].str()));
    }
    if !spec["podCIDR"].is_empty() {
        w.line(0, format!("PodCIDR:\t{}", spec["podCIDR"].str()));
    }
    let ranges: Vec<&str> = spec["podCIDRs"].items().iter().map(Value::str).collect();
    if !ranges.is_empty() {
        w.line(0, format!("PodCIDRs:\t{}", ranges.join(",")));
    }
    if !spec["providerID"].is_empty() {
        w.line(0, format!("ProviderID:\t{}", spec["providerID"].str()));
    }
    pods(k, o, w);
    events(k, o, w);
}

fn taints(taints: &Value, w: &mut Lines) {
    w.raw("Taints:\t");
    let mut shown: Vec<String> = taints
        .items()
        .iter()
        .map(|t| match t["value"].str() {
            "" => format!("{}:{}", t["key"].str(), t["effect"].str()),
            value => format!("{}={value}:{}", t["key"].str(), t["effect"].str()),
        })
        .collect();
    if shown.is_empty() {
        shown.push("<none>".to_owned());
    }
    w.raw(&(shown.join("\n\t") + "\n"));
}

fn lease(k: &Kubectl, o: &Value, w: &mut Lines) {
    let Some(lease) = k
        .cluster()
        .find("leases.coordination.k8s.io", "kube-node-lease", o.name())
    else {
        w.line(
            0,
            format!(
                "Lease:\tFailed to get lease: leases.coordination.k8s.io \"{}\" not found",
                o.name()
            ),
        );
        return;
    };
    let at = |field: &str| match &lease["spec"][field] {
        Value::Null => "<unset>".to_owned(),
        at => date(at),
    };
    let holder = lease["spec"]["holderIdentity"].str();
    w.line(0, "Lease:");
    w.line(
        1,
        format!(
            "HolderIdentity:\t{}",
            if holder.is_empty() { "<unset>" } else { holder }
        ),
    );
    w.line(1, format!("AcquireTime:\t{}", at("acquireTime")));
    w.line(1, format!("RenewTime:\t{}", at("renewTime")));
}

/// A pod's requests or limits of one resource: the sum of its containers', or its largest init
/// container's.
fn pod_total(pod: &Value, kind: &str, resource: &str) -> i64 {
    let of = |container: &Value| {
        scalar(&container["resources"][kind][resource])
            .parse::<Quantity>()
            .map_or(0, |q| q.milli_value())
    };
    let main: i64 = pod["spec"]["containers"].items().iter().map(of).sum();
    let init = pod["spec"]["initContainers"].items().iter();
    let sidecars: i64 = init
        .clone()
        .filter(|c| c["restartPolicy"].str() == "Always")
        .map(of)
        .sum();
    let largest = init
        .filter(|c| c["restartPolicy"].str() != "Always")
        .map(of)
        .max()
        .unwrap_or(0);
    (main + sidecars).max(largest)
}

/// A sum of thousandths as it is printed: CPU in thousandths, memory in whole numbers.
fn amount(milli: i64, example: &str) -> String {
    let format = example
        .parse::<Quantity>()
        .map_or(kubarium_objects::quantity::Format::DecimalSi, |q| {
            q.format()
        });
    Quantity::from_milli(milli, format).to_string()
}

fn pods(k: &Kubectl, node: &Value, w: &mut Lines) {
    let all = k.cluster().etcd.list("pods", None).map(|(_, p)| p);
    let here: Vec<&Value> = all
        .filter(|p| {
            p["spec"]["nodeName"].str() == node.name()
                && !matches!(p["status"]["phase"].str(), "Succeeded" | "Failed")
        })
        .collect();
    let allocatable = |resource: &str| {
        scalar(&node["status"]["allocatable"][resource])
            .parse::<Quantity>()
            .map_or(0, |q| q.milli_value())
    };
    let percent = |milli: i64, resource: &str| match allocatable(resource) {
        0 => 0,
        all => (milli as f64 / all as f64 * 100.0) as i64,
    };
    let cell = |milli: i64, resource: &str| {
        let example = if resource == "cpu" { "1m" } else { "1Ki" };
        format!("{} ({}%)", amount(milli, example), percent(milli, resource))
    };
    w.line(
        0,
        format!("Non-terminated Pods:\t({} in total)", here.len()),
    );
    w.line(
        1,
        "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge",
    );
    w.line(
        1,
        "---------\t----\t\t------------\t----------\t---------------\t-------------\t---",
    );
    let context = crate::kubectl::printers::Context {
        now: k.now(),
        wide: false,
    };
    for pod in &here {
        let of = |kind: &str, resource: &str| cell(pod_total(pod, kind, resource), resource);
        w.line(
            1,
            format!(
                "{}\t{}\t\t{}\t{}\t{}\t{}\t{}",
                pod.namespace(),
                pod.name(),
                of("requests", "cpu"),
                of("limits", "cpu"),
                of("requests", "memory"),
                of("limits", "memory"),
                age(pod, &context)
            ),
        );
    }
    w.line(
        0,
        "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)",
    );
    w.line(1, "Resource\tRequests\tLimits");
    w.line(1, "--------\t--------\t------");
    for resource in ["cpu", "memory", "ephemeral-storage"] {
        let total = |kind: &str| -> i64 { here.iter().map(|p| pod_total(p, kind, resource)).sum() };
        w.line(
            1,
            format!(
                "{resource}\t{}\t{}",
                cell(total("requests"), resource),
                cell(total("limits"), resource)
            ),
        );
    }
    for (resource, _) in node["status"]["allocatable"]
        .entries()
        .iter()
        .filter(|(r, _)| r.contains('/') || r.starts_with("hugepages"))
    {
        let total = |kind: &str| -> i64 { here.iter().map(|p| pod_total(p, kind, resource)).sum() };
        let cells = (
            cell(total("requests"), resource),
            cell(total("limits"), resource),
        );
        if resource.starts_with("hugepages") {
            w.line(1, format!("{resource}\t{}\t{}", cells.0, cells.1));
        } else {
            w.line(
                1,
                format!(
                    "{resource}\t{}\t{}",
                    total("requests") / 1000,
                    total("limits") / 1000
                ),
            );
        }
    }
}
