//! `kubectl top`: what the metrics server tells, where the cluster has one (kubectl v1.37,
//! `pkg/cmd/top`).

use kubarium_cluster::load::Usage;
use kubarium_objects::quantity::Quantity;
use kubarium_objects::{ObjectKey, ObjectMeta, Selector};

use crate::kubectl::Kubectl;
use crate::kubectl::error::{Result, plain};
use crate::kubectl::table::align;

const NO_METRICS: &str = "Metrics API not available";

fn cpu(usage: Usage) -> String {
    format!("{}m", usage.cpu_milli)
}

fn memory(usage: Usage) -> String {
    format!("{}Mi", usage.memory >> 20)
}

/// Prints rows in columns, as kubectl's tab writer does.
fn print(k: &mut Kubectl, header: &[&str], rows: Vec<Vec<String>>) {
    let mut all: Vec<Vec<String>> = Vec::new();
    if !k.flags.bool("no-headers") {
        all.push(header.iter().map(|h| (*h).to_owned()).collect());
    }
    all.extend(rows);
    let lines: String = all.iter().map(|row| row.join("\t") + "\t\n").collect();
    k.out(align(&lines, 6, 3));
}

pub(crate) fn nodes(k: &mut Kubectl) -> Result {
    if !k.cluster().config.metrics {
        return plain(NO_METRICS);
    }
    let asked = k.flags.args.clone();
    let mut rows = Vec::new();
    for (key, node) in k.cluster().etcd.list("nodes", None) {
        if !asked.is_empty() && !asked.iter().any(|name| **name == *key.name) {
            continue;
        }
        let usage = k.cluster().node_usage(&key.name);
        let allocatable = &node["status"]["allocatable"];
        let whole = |resource: &str| allocatable[resource].str().parse::<Quantity>();
        let processors = whole("cpu").map_or(1, |q| q.milli_value()).max(1);
        let bytes = whole("memory").map_or(1, |q| q.value()).max(1);
        rows.push(vec![
            key.name.to_string(),
            cpu(usage),
            format!("{}%", usage.cpu_milli * 100 / processors),
            memory(usage),
            format!("{}%", usage.memory * 100 / bytes),
        ]);
    }
    let header = ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"];
    print(k, &header, rows);
    Ok(())
}

pub(crate) fn pods(k: &mut Kubectl) -> Result {
    if !k.cluster().config.metrics {
        return plain(NO_METRICS);
    }
    let everywhere = k.flags.bool("all-namespaces");
    let namespace = k.namespace();
    let selector = Selector::parse(k.flags.str("selector"));
    let Ok(selector) = selector else {
        return plain("the selector cannot be read");
    };
    let asked = k.flags.args.clone();
    let within = if everywhere { None } else { Some(&*namespace) };
    let chosen: Vec<ObjectKey> = k
        .cluster()
        .etcd
        .list("pods", within)
        .filter(|(_, pod)| selector.matches(pod.labels()))
        .filter(|(key, _)| asked.is_empty() || asked.iter().any(|name| **name == *key.name))
        .map(|(key, _)| key.clone())
        .collect();
    let mut rows = Vec::new();
    for key in chosen {
        let Some(usage) = k.cluster().pod_usage(&key) else {
            continue;
        };
        let mut row = vec![key.name.to_string(), cpu(usage), memory(usage)];
        if everywhere {
            row.insert(0, key.namespace.to_string());
        }
        rows.push(row);
    }
    if rows.is_empty() {
        k.err(match everywhere {
            true => "No resources found\n".to_owned(),
            false => format!("No resources found in {namespace} namespace.\n"),
        });
        return Ok(());
    }
    let header = ["NAMESPACE", "NAME", "CPU(cores)", "MEMORY(bytes)"];
    print(k, &header[usize::from(!everywhere)..], rows);
    Ok(())
}
