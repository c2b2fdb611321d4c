//! What a kubelet does when its machine runs out of memory, disk or process numbers: the node's
//! conditions, and pods that are evicted one by one (kubelet v1.37, `pkg/kubelet/eviction`).

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::quantity::{Format, Quantity};
use kubarium_objects::{ObjectKey, Text, Value};

use super::static_pods::is_static;
use super::worker::{Worker, containers};
use super::{Work, worker};
use crate::cluster::Cluster;
use crate::event::Component;
use crate::load;
use crate::runtime::volumes;
use crate::task::Task;
use crate::time::Time;

/// How often the eviction manager looks.
const PERIOD: Duration = Duration::from_secs(10);
/// How long a condition stays after the last moment of need (`evictionPressureTransitionPeriod`).
const TRANSITION: Duration = Duration::from_secs(300);
/// Pods as important as this are never evicted.
const CRITICAL: i64 = 2_000_000_000;

/// What a machine can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// Process numbers.
    Pid,
}

impl Pressure {
    /// `memory`, `disk`, `pid`
    pub fn parse(word: &str) -> Option<Pressure> {
        match word {
            "memory" => Some(Pressure::Memory),
            "disk" => Some(Pressure::Disk),
            "pid" | "pids" => Some(Pressure::Pid),
            _ => None,
        }
    }

    /// The condition: its type, and reason and message without and with need.
    pub(super) fn condition(
        self,
    ) -> (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    ) {
        match self {
            Pressure::Memory => (
                "MemoryPressure",
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
                "KubeletHasInsufficientMemory",
                "kubelet has insufficient memory available",
            ),
            Pressure::Disk => (
                "DiskPressure",
                "KubeletHasNoDiskPressure",
                "kubelet has no disk pressure",
                "KubeletHasDiskPressure",
                "kubelet has disk pressure",
            ),
            Pressure::Pid => (
                "PIDPressure",
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available",
                "KubeletHasInsufficientPID",
                "kubelet has insufficient PID available",
            ),
        }
    }

    /// The resource by its name in messages; the threshold, and how much is left.
    fn figures(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Pressure::Memory => ("memory", "100Mi", "61440Ki"),
            Pressure::Disk => ("ephemeral-storage", "10235Mi", "5Gi"),
            Pressure::Pid => ("pids", "3276", "512"),
        }
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pressure::Memory => "memory",
            Pressure::Disk => "disk",
            Pressure::Pid => "process numbers",
        })
    }
}

/// A machine begins to run out of something, or has enough again.
pub(crate) fn under_pressure(cluster: &mut Cluster, node: &Text, what: Pressure, begins: bool) {
    let now = cluster.now;
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    if begins {
        machine.kubelet.pressures.insert(what, None);
        cluster.enqueue(
            Task::Kubelet(node.clone(), Work::Status),
            Duration::from_millis(100),
        );
        cluster.enqueue(Task::Kubelet(node.clone(), Work::Evict), PERIOD);
    } else if let Some(since) = machine.kubelet.pressures.get_mut(&what) {
        *since = Some(now);
        cluster.enqueue(Task::Kubelet(node.clone(), Work::Evict), TRANSITION);
    }
}

/// A pod has written more than it may: the next look of the eviction manager finds it.
pub(crate) fn overfull(cluster: &mut Cluster, node: &Text) {
    let period = PERIOD.as_nanos() as u64;
    let at = Time((cluster.now.0 / period + 1) * period);
    let cause = cluster.cause();
    let task = Task::Kubelet(node.clone(), Work::Evict);
    cluster.queue.add(at, task, cause);
}

/// Pods that have written more than they may go at once.
fn evict_overfull(cluster: &mut Cluster, node: &Text) {
    let Some(machine) = cluster.machines.get(node) else {
        return;
    };
    let over = |worker: &&Arc<Worker>| {
        let sandbox = machine.runtime.sandboxes.get(&worker.uid)?;
        let why = volumes::overfull(sandbox, &worker.pod)?;
        Some((
            worker.key.clone(),
            worker.uid.clone(),
            worker.pod.clone(),
            why,
        ))
    };
    let workers = machine.kubelet.pods.values();
    let found: Vec<_> = workers
        .filter(|w| w.can_be_evicted())
        .filter_map(|w| over(&w))
        .collect();
    let by = Component::Kubelet(node.clone());
    for (key, uid, pod, why) in found {
        cluster.warn(&by, &pod, "Evicted", &why);
        worker::evict(cluster, node, &key, &uid, &why);
    }
}

/// A look of the eviction manager.
pub(super) fn run(cluster: &mut Cluster, node: &Text) {
    evict_overfull(cluster, node);
    let now = cluster.now;
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let before = machine.kubelet.pressures.len();
    machine
        .kubelet
        .pressures
        .retain(|_, enough| enough.is_none_or(|since| now.since(since) < TRANSITION));
    let pressures = machine.kubelet.pressures.clone();
    if pressures.len() != before {
        cluster.enqueue(Task::Kubelet(node.clone(), Work::Status), Duration::ZERO);
    }
    // Those that wait for the end of the transition are looked at then.
    let Some(what) = pressures
        .iter()
        .find(|(_, enough)| enough.is_none())
        .map(|(what, _)| *what)
    else {
        if let Some(at) = pressures.values().flatten().min() {
            let due = (*at + TRANSITION).since(now);
            cluster.enqueue(Task::Kubelet(node.clone(), Work::Evict), due);
        }
        return;
    };
    cluster.enqueue(Task::Kubelet(node.clone(), Work::Evict), PERIOD);
    let by = Component::Kubelet(node.clone());
    let (resource, ..) = what.figures();
    if let Some(object) = cluster.find("nodes", "", node).cloned() {
        let message = format!("Attempting to reclaim {resource}");
        cluster.warn(&by, &object, "EvictionThresholdMet", &message);
    }
    if what == Pressure::Disk {
        remove_images(cluster, node);
    }
    let Some((key, uid, pod)) = victim(cluster, node, what) else {
        return;
    };
    let message = message(cluster, &key, &pod, what);
    cluster.warn(&by, &pod, "Evicted", &message);
    worker::evict(cluster, node, &key, &uid, &message);
}

/// Images that no container of the machine uses go first.
fn remove_images(cluster: &mut Cluster, node: &Text) {
    if let Some(machine) = cluster.machine_mut(node) {
        let runtime = &mut machine.runtime;
        let used: std::collections::BTreeSet<Text> = runtime
            .sandboxes
            .values()
            .flat_map(|s| s.containers.iter().map(|c| c.image.clone()))
            .collect();
        runtime.images.retain(|name, _| used.contains(name));
    }
}

/// The pod that goes next: one that uses more than it requested before others, the least important,
/// the one that uses the most beyond its request.
fn victim(cluster: &Cluster, node: &Text, what: Pressure) -> Option<(ObjectKey, Text, Value)> {
    let machine = cluster.machines.get(node)?;
    let candidates = machine.kubelet.pods.values().filter(|worker| {
        let spec = &worker.pod["spec"];
        worker.can_be_evicted() && spec["priority"].as_i64().unwrap_or(0) < CRITICAL
    });
    let rank = |pod: &Value, key: &ObjectKey| {
        let used = cluster.pod_usage(key).map_or(0, |u| u.memory);
        let over = match what {
            Pressure::Memory => used - load::request(pod, "memory"),
            _ => used,
        };
        (
            Reverse(over > 0),
            pod["spec"]["priority"].as_i64().unwrap_or(0),
            Reverse(over),
        )
    };
    candidates
        .min_by_key(|worker| (rank(&worker.pod, &worker.key), worker.key.clone()))
        .map(|worker| (worker.key.clone(), worker.uid.clone(), worker.pod.clone()))
}

fn message(cluster: &Cluster, key: &ObjectKey, pod: &Value, what: Pressure) -> String {
    let (resource, threshold, available) = what.figures();
    let mut text = format!(
        "The node was low on resource: {resource}. Threshold quantity: {threshold}, available: {available}. "
    );
    if what == Pressure::Memory {
        let count = pod["spec"]["containers"].items().len().max(1) as i64;
        let used = cluster.pod_usage(key).map_or(0, |u| u.memory) / count;
        for container in containers(pod).skip(pod["spec"]["initContainers"].items().len()) {
            let request = container["resources"]["requests"]["memory"]
                .as_str()
                .unwrap_or("0");
            let wanted = request.parse::<Quantity>().map_or(0, |q| q.value());
            if used > wanted {
                let used = Quantity::new(used, Format::BinarySi);
                text.push_str(&format!(
                    "Container {} was using {used}, request is {request}, has larger consumption of {resource}. ",
                    container["name"].str()
                ));
            }
        }
    }
    text
}

/// Why a kubelet under pressure turns a new pod away, if it does.
pub(super) fn refuses(cluster: &Cluster, node: &str, pod: &Value) -> Option<String> {
    let pressures = &cluster.machines.get(node)?.kubelet.pressures;
    let is_critical = is_static(pod) || pod["spec"]["priority"].as_i64().unwrap_or(0) >= CRITICAL;
    if pressures.is_empty() || is_critical {
        return None;
    }
    let only_memory = pressures.keys().all(|p| *p == Pressure::Memory);
    if only_memory {
        let best_effort = containers(pod)
            .all(|c| c["resources"]["requests"].is_empty() && c["resources"]["limits"].is_empty());
        let tolerates = pod["spec"]["tolerations"].items().iter().any(|t| {
            let key = t["key"].str();
            (key == "node.kubernetes.io/memory-pressure"
                || key.is_empty() && t["operator"].str() == "Exists")
                && matches!(t["effect"].str(), "NoSchedule" | "")
        });
        if !best_effort || tolerates {
            return None;
        }
    }
    let kinds: Vec<&str> = pressures.keys().map(|p| p.condition().0).collect();
    Some(format!("The node had condition: [{}]. ", kinds.join(" ")))
}
