//! Containers that get other resources while they run (kubelet v1.37,
//! `pkg/kubelet/allocation/allocation_manager.go`, `pkg/kubelet/events/resize.go`; KEP-1287).
//!
//! What a pod's spec says is what is wanted. What the node has granted is `Worker::allocated`; what a
//! container really has differs from that while a resize is under way.

use std::fmt::Write as _;
use std::time::Duration;

use kubarium_objects::quantity::Quantity;
use kubarium_objects::{ObjectMeta, Text, Value};

use super::status::Condition;
use super::worker::{Role, Worker, containers, role};
use super::{Work, admission, next_relist, terminate};
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::task::Task;
use crate::time::Time;

/// How often a resize that waits for room is looked at again, if nothing makes room before.
const RETRY: Duration = Duration::from_secs(180);

/// A pod's resize.
#[derive(Clone, Debug, Default)]
pub(super) struct Resize {
    /// Why what is wanted was not granted.
    pending: Option<Told>,
    /// That what was granted is being carried out, with what goes wrong.
    progress: Option<Told>,
    /// When containers that need no restart have got what was granted.
    due: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    reason: &'static str,
    message: String,
    generation: i64,
    since: Time,
}

fn resizable(pod: &Value, place: usize) -> bool {
    !matches!(role(pod, place), Role::Init | Role::Ephemeral)
}

/// The containers of a spec in the order of their places.
fn specs(spec: &Value) -> impl Iterator<Item = &Value> {
    let init = spec["initContainers"].items().iter();
    init.chain(spec["containers"].items())
}

impl Worker {
    /// What the node has granted the container at that place.
    pub(super) fn granted(&self, place: usize) -> &Value {
        static NULL: Value = Value::Null;
        let spec = match self.allocated.is_null() {
            true => &self.pod["spec"],
            false => &self.allocated,
        };
        specs(spec).nth(place).map_or(&NULL, |c| &c["resources"])
    }

    /// What the container at that place really has.
    pub(super) fn actual(&self, place: usize) -> &Value {
        match self.behind.get(&(place as u8)) {
            Some(resources) => resources,
            None => self.granted(place),
        }
    }

    /// The conditions that tell of a resize.
    pub(super) fn resize_conditions(&self) -> Vec<Condition> {
        let Some(resize) = &self.resize else {
            return Vec::new();
        };
        let condition = |kind: &'static str, told: &Told| Condition {
            kind,
            status: true,
            reason: told.reason,
            message: told.message.clone(),
            generation: Some(told.generation),
            probed: Some(told.since),
        };
        let pending = resize
            .pending
            .iter()
            .map(|t| condition("PodResizePending", t));
        let progress = resize.progress.iter();
        pending
            .chain(progress.map(|t| condition("PodResizeInProgress", t)))
            .collect()
    }
}

/// Brings a pod's resources nearer to what is wanted. Gives back when to look again; `Err` when
/// something has changed.
pub(super) fn sync(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
) -> Result<Option<Time>, ()> {
    let mut wake = None;
    if !worker.allocated.same(&worker.pod["spec"]) {
        match grant(cluster, node, worker) {
            Granted::Nothing => {}
            Granted::Told => return Err(()),
            Granted::Later(at) => wake = Some(at),
        }
    }
    let Some(due) = worker.resize.as_ref().and_then(|r| r.due) else {
        return Ok(wake);
    };
    if due > cluster.now {
        return Ok(Some(wake.map_or(due, |at: Time| at.min(due))));
    }
    finish(cluster, node, worker);
    Err(())
}

enum Granted {
    Nothing,
    /// Something is to be told.
    Told,
    /// It is looked at again then.
    Later(Time),
}

/// Grants what is wanted, or notes why not.
fn grant(cluster: &mut Cluster, node: &Text, worker: &mut Worker) -> Granted {
    let pod = worker.pod.clone();
    let differs = |worker: &Worker| {
        containers(&pod)
            .enumerate()
            .any(|(place, c)| resizable(&pod, place) && c["resources"] != *worker.granted(place))
    };
    if !differs(worker) {
        worker.allocated = pod["spec"].clone();
        if let Some(resize) = &mut worker.resize
            && resize.pending.take().is_some()
        {
            return Granted::Told;
        }
        return Granted::Nothing;
    }
    if let Some((reason, message)) = refused(cluster, node, worker) {
        return wait(cluster, node, worker, reason, message);
    }
    let now = cluster.now;
    let mut restarts = Vec::new();
    for (place, container) in containers(&pod).enumerate() {
        let before = worker.actual(place).clone();
        if !resizable(&pod, place) || container["resources"] == before {
            continue;
        }
        if needs_restart(container, &before) {
            restarts.push(place);
        }
        worker.behind.insert(place as u8, before);
    }
    worker.allocated = pod["spec"].clone();
    let resize = worker.resize.get_or_insert_default();
    resize.pending = None;
    resize.progress = Some(Told {
        reason: "",
        message: String::new(),
        generation: pod.generation(),
        since: now,
    });
    resize.due = Some(next_relist_after(cluster, node));
    machine_waits(cluster, node, &worker.uid, false);
    let by = Component::Kubelet(node.clone());
    let text = told(&pod, "Pod resize started", "");
    cluster.record(&by, &pod, "ResizeStarted", &text);
    for place in restarts {
        let name = worker.spec(place)["name"].str().to_owned();
        let message = format!("Container {name} resize requires restart");
        terminate::kill(cluster, node, worker, place, &message, None);
    }
    Granted::Told
}

/// The runtime has done it by then, and the next relist sees it.
fn next_relist_after(cluster: &Cluster, node: &Text) -> Time {
    next_relist(cluster, node) + Duration::from_millis(cluster.config.timing.relist_ms)
}

/// What is wanted cannot be had, or not yet.
fn wait(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    reason: &'static str,
    message: String,
) -> Granted {
    let deferred = reason == "Deferred";
    machine_waits(cluster, node, &worker.uid, deferred);
    let generation = worker.pod.generation();
    let pending = &mut worker.resize.get_or_insert_default().pending;
    let same = |t: &Told| (t.reason, &t.message, t.generation) == (reason, &message, generation);
    if pending.as_ref().is_some_and(same) {
        return match deferred {
            true => Granted::Later(cluster.now + RETRY),
            false => Granted::Nothing,
        };
    }
    let since = cluster.now;
    *pending = Some(Told {
        reason,
        message: message.clone(),
        generation,
        since,
    });
    let pod = worker.pod.clone();
    let event = if deferred {
        "ResizeDeferred"
    } else {
        "ResizeInfeasible"
    };
    let text = told(&pod, &format!("Pod resize {reason}"), &message);
    cluster.warn(&Component::Kubelet(node.clone()), &pod, event, &text);
    Granted::Told
}

/// Notes whether a pod waits for room on its machine.
fn machine_waits(cluster: &mut Cluster, node: &Text, uid: &Text, waits: bool) {
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    match waits {
        true => drop(machine.kubelet.resizing.insert(uid.clone())),
        false => drop(machine.kubelet.resizing.remove(uid)),
    }
}

/// There is more room on a machine: resizes that wait for it are looked at again.
pub(super) fn retry(cluster: &mut Cluster, node: &Text) {
    let Some(machine) = cluster.machines.get(node) else {
        return;
    };
    let kubelet = &machine.kubelet;
    let waiting: Vec<Work> = kubelet
        .resizing
        .iter()
        .filter_map(|uid| kubelet.pods.get(uid))
        .map(|worker| Work::Pod(worker.key.clone(), worker.uid.clone()))
        .collect();
    for work in waiting {
        cluster.enqueue(Task::Kubelet(node.clone(), work), Duration::ZERO);
    }
}

/// Why the node cannot grant what is wanted: for good, or for now.
fn refused(cluster: &Cluster, node: &Text, worker: &Worker) -> Option<(&'static str, String)> {
    if worker.is_static() {
        let message = "In-place resize of static-pods is not supported";
        return Some(("Infeasible", message.to_owned()));
    }
    let machine = cluster.machines.get(node)?;
    for (resource, capacity, milli) in [
        ("cpu", &machine.config.cpu, true),
        ("memory", &machine.config.memory, false),
    ] {
        let amount = |q: &Quantity| if milli { q.milli_value() } else { q.value() };
        let capacity = capacity
            .parse::<Quantity>()
            .map_or(i64::MAX, |q| amount(&q));
        let wanted = admission::request(&worker.pod["spec"], resource, amount);
        if wanted > capacity {
            let message = format!(
                "Node didn't have enough capacity: {resource}, requested: {wanted}, capacity: {capacity}"
            );
            return Some(("Infeasible", message));
        }
    }
    let (_, why) = admission::lacks(cluster, node, worker)?;
    Some(("Deferred", why))
}

/// Whether a container has to be started again to get other resources.
fn needs_restart(container: &Value, before: &Value) -> bool {
    let changes = |resource: &str| {
        ["requests", "limits"]
            .iter()
            .any(|kind| container["resources"][*kind][resource] != before[*kind][resource])
    };
    container["resizePolicy"].items().iter().any(|policy| {
        policy["restartPolicy"].str() == "RestartContainer" && changes(policy["resourceName"].str())
    })
}

/// Containers that need no restart have got what was granted. It is over once all have.
fn finish(cluster: &mut Cluster, node: &Text, worker: &mut Worker) {
    let now = cluster.now;
    let mut problem = None;
    let mut waits = false;
    for place in worker.behind.keys().copied().collect::<Vec<u8>>() {
        let at = usize::from(place);
        let (before, spec) = (worker.actual(at).clone(), worker.spec(at).clone());
        let granted = worker.granted(at).clone();
        let mut wanted = spec.clone();
        wanted["resources"] = granted.clone();
        if needs_restart(&wanted, &before) {
            // It gets them when it is made anew.
            waits = true;
            continue;
        }
        if let Some(why) = too_little(cluster, worker, &spec, &granted, &before) {
            problem.get_or_insert(why);
            continue;
        }
        worker.behind.remove(&place);
        let text = format!("UpdateContainerResources {}", spec["name"].str());
        worker.log(
            cluster,
            &Component::Kubelet(node.clone()),
            Action::Cri,
            text,
        );
    }
    let pod = worker.pod.clone();
    let by = Component::Kubelet(node.clone());
    let Some(resize) = &mut worker.resize else {
        return;
    };
    resize.due = None;
    if let Some(message) = problem {
        // Tried again as often as the kubelet looks after the pod.
        resize.due = Some(now + Duration::from_secs(60));
        let generation = pod.generation();
        let news = resize
            .progress
            .as_ref()
            .is_none_or(|t| t.message != message);
        if news {
            resize.progress = Some(Told {
                reason: "Error",
                message: message.clone(),
                generation,
                since: now,
            });
            let text = told(&pod, "Pod resize error", &message);
            cluster.warn(&by, &pod, "ResizeError", &text);
        }
    } else if !waits && worker.behind.is_empty() {
        completed(cluster, node, worker);
    }
}

/// A container was made anew, with what was granted.
pub(super) fn made(cluster: &mut Cluster, node: &Text, worker: &mut Worker, place: usize) {
    if worker.behind.remove(&(place as u8)) && worker.behind.is_empty() {
        completed(cluster, node, worker);
    }
}

fn completed(cluster: &mut Cluster, node: &Text, worker: &mut Worker) {
    let done = worker.resize.as_mut().and_then(|r| {
        r.due = None;
        r.progress.take()
    });
    if done.is_some() {
        let pod = worker.pod.clone();
        let text = told(&pod, "Pod resize completed", "");
        cluster.record(
            &Component::Kubelet(node.clone()),
            &pod,
            "ResizeCompleted",
            &text,
        );
    }
    worker.report_at.get_or_insert(cluster.now);
}

/// A limit of memory below what is in use cannot be set.
fn too_little(
    cluster: &Cluster,
    worker: &Worker,
    spec: &Value,
    granted: &Value,
    before: &Value,
) -> Option<String> {
    let limit = |r: &Value| {
        let parsed = r["limits"]["memory"].as_str()?.parse::<Quantity>().ok()?;
        Some(parsed.value())
    };
    let wanted = limit(granted)?;
    let count = worker.pod["spec"]["containers"].items().len().max(1) as i64;
    let used = cluster.pod_usage(&worker.key)?.memory / count;
    let lower = limit(before).is_none_or(|before| wanted < before);
    (lower && wanted < used).then(|| {
        format!(
            "attempting to set container {:?} memory limit ({wanted}) below current usage ({used})",
            spec["name"].str()
        )
    })
}

/// What an event says of a resize: a sentence, and what is wanted as JSON.
fn told(pod: &Value, sentence: &str, error: &str) -> String {
    let mut text = format!("{sentence}: {{");
    for list in ["initContainers", "containers"] {
        let mut shown = Vec::new();
        for container in pod["spec"][list].items() {
            let resources = match container["resources"].is_null() {
                true => "{}".to_owned(),
                false => container["resources"].to_string(),
            };
            let name = container["name"].str();
            shown.push(format!("{{\"name\":\"{name}\",\"resources\":{resources}}}"));
        }
        if !shown.is_empty() {
            let _ = write!(text, "\"{list}\":[{}],", shown.join(","));
        }
    }
    let _ = write!(text, "\"generation\":{}", pod.generation());
    if !error.is_empty() {
        let _ = write!(text, ",\"error\":{}", Value::from(error));
    }
    text.push('}');
    text
}
