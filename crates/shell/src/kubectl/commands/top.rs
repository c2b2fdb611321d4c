//! `kubectl top`: what the metrics server tells, where the cluster has one (kubectl v1.37,
//! `pkg/cmd/top`).

use std::cmp::Reverse;

use kubarium_cluster::load::Usage;
use kubarium_objects::quantity::Quantity;
use kubarium_objects::status::Status;
use kubarium_objects::{FieldSelector, ObjectKey, ObjectMeta, Selector};

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

/// What a row is sorted by.
#[derive(Clone, Copy)]
enum Order {
    Name,
    Processor,
    Memory,
}

impl Order {
    fn of(k: &Kubectl) -> Result<Order> {
        match k.flags.str("sort-by") {
            "" => Ok(Order::Name),
            "cpu" => Ok(Order::Processor),
            "memory" => Ok(Order::Memory),
            _ => plain("--sort-by accepts only cpu or memory"),
        }
    }

    /// The busiest first, or as they are: by name.
    fn sort<T>(self, rows: &mut [T], usage: impl Fn(&T) -> Usage) {
        match self {
            Order::Name => {}
            Order::Processor => rows.sort_by_key(|row| Reverse(usage(row).cpu_milli)),
            Order::Memory => rows.sort_by_key(|row| Reverse(usage(row).memory)),
        }
    }
}

/// Which objects a command names: all in reach, one by its name, or those that selectors choose.
fn chosen(k: &mut Kubectl, resource: &str, within: Option<&str>) -> Result<Vec<ObjectKey>> {
    let Ok(labels) = Selector::parse(k.flags.str("selector")) else {
        return plain("the selector cannot be read");
    };
    let name = k.flags.args.first().cloned().unwrap_or_default();
    let Ok(fields) = FieldSelector::parse(k.flags.str("field-selector")) else {
        return plain("the field selector cannot be read");
    };
    let all = k.cluster().etcd.list(resource, within);
    let found: Vec<ObjectKey> = all
        .filter(|(_, object)| labels.matches(object.labels()) && fields.matches(object))
        .filter(|(key, _)| name.is_empty() || *name == *key.name)
        .map(|(key, _)| key.clone())
        .collect();
    match found[..] {
        [] if !name.is_empty() => {
            let kind = resource.trim_end_matches('s');
            let full = match within {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            };
            Err(Status::not_found(&format!("{kind}metrics.metrics.k8s.io"), &full).into())
        }
        _ => Ok(found),
    }
}

/// What `Complete` and `Validate` of `top_node.go` and `top_pod.go` refuse; `selectors` are the flags
/// that exclude a name.
fn check(k: &Kubectl, selectors: &[&str], both: &str) -> Result<Order> {
    if k.flags.args.len() > 1 {
        return Err(k.usage(format!("{} [NAME | -l label]", k.command.name)));
    }
    let order = Order::of(k)?;
    let selected = selectors.iter().any(|flag| !k.flags.str(flag).is_empty());
    if selected && !k.flags.args.is_empty() {
        return plain(both);
    }
    Ok(order)
}

pub(crate) fn nodes(k: &mut Kubectl) -> Result {
    let both = "only one of NAME or --selector can be provided";
    let order = check(k, &["selector"], both)?;
    if !k.cluster().config.metrics {
        return plain(NO_METRICS);
    }
    let all = match k.flags.bool("show-capacity") {
        true => "capacity",
        false => "allocatable",
    };
    let mut used: Vec<(ObjectKey, Usage)> = Vec::new();
    for key in chosen(k, "nodes", None)? {
        let usage = k.cluster().node_usage(&key.name);
        used.push((key, usage));
    }
    order.sort(&mut used, |(_, usage)| *usage);
    let mut rows = Vec::new();
    for (key, usage) in used {
        let node = k.cluster().etcd.get(&key);
        let whole = |resource: &str| {
            let amount: Option<Quantity> = node?["status"][all][resource].str().parse().ok();
            amount
        };
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
    let both = "only one of NAME or selector can be provided";
    let order = check(k, &["selector", "field-selector"], both)?;
    if !k.cluster().config.metrics {
        return plain(NO_METRICS);
    }
    let everywhere = k.flags.bool("all-namespaces");
    let containers = k.flags.bool("containers");
    let namespace = k.namespace();
    let found = chosen(k, "pods", (!everywhere).then_some(&*namespace))?;
    let any = !found.is_empty();
    let mut used = Vec::new();
    for key in found {
        let parts = k.cluster().container_usage(&key);
        if !parts.is_empty() {
            let sum: Usage = parts.iter().map(|(_, usage)| *usage).sum();
            used.push((key, sum, parts));
        }
    }
    if used.is_empty() {
        if any {
            return plain("metrics not available yet");
        }
        k.err(match everywhere {
            true => "No resources found\n".to_owned(),
            false => format!("No resources found in {namespace} namespace.\n"),
        });
        return Ok(());
    }
    order.sort(&mut used, |(_, usage, _)| *usage);
    let total: Usage = used.iter().map(|(_, usage, _)| *usage).sum();
    let mut rows = Vec::new();
    for (key, sum, mut parts) in used {
        let first = match everywhere {
            true => vec![key.namespace.to_string(), key.name.to_string()],
            false => vec![key.name.to_string()],
        };
        if !containers {
            rows.push([first, vec![cpu(sum), memory(sum)]].concat());
            continue;
        }
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        order.sort(&mut parts, |(_, usage)| *usage);
        for (name, usage) in parts {
            let rest = [name.to_string(), cpu(usage), memory(usage)];
            rows.push([&first[..], &rest[..]].concat());
        }
    }
    let mut header = vec!["NAME", "CPU(cores)", "MEMORY(bytes)"];
    if containers {
        header.insert(0, "POD");
    }
    if everywhere {
        header.insert(0, "NAMESPACE");
    }
    if k.flags.bool("sum") {
        for (cpu, memory) in [
            ("________".to_owned(), "________".to_owned()),
            (cpu(total), memory(total)),
        ] {
            let mut row = vec![String::new(); header.len() - 2];
            row.extend([cpu, memory]);
            rows.push(row);
        }
    }
    print(k, &header, rows);
    Ok(())
}
