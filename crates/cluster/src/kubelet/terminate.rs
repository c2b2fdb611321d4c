//! Stopping: preStop hooks, SIGTERM, the grace period, SIGKILL, and the end of a pod (kubelet v1.37,
//! `pkg/kubelet/kuberuntime/kuberuntime_container.go`, killContainer).

use std::time::Duration;

use kubarium_objects::{Text, Value};

use super::start::container_event;
use super::worker::{Next, Operation, Role, Stage, Worker, container, containers, role};
use super::{attach, status};
use crate::api::DeleteOptions;
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::runtime::{self, Container, exec, process};
use crate::time::Time;

/// Even when the grace is used up, a container has this long (`minimumGracePeriodInSeconds`).
const GRACE_MIN: Duration = Duration::from_secs(2);

/// The signal that stops a container: its own, or SIGTERM.
fn stop_signal(spec: &Value) -> i32 {
    match spec["lifecycle"]["stopSignal"].str() {
        "SIGHUP" => 1,
        "SIGINT" => 2,
        "SIGQUIT" => 3,
        "SIGABRT" | "SIGIOT" => 6,
        "SIGKILL" => process::SIGKILL,
        "SIGUSR1" => 10,
        "SIGUSR2" => 12,
        "SIGWINCH" => 28,
        _ => process::SIGTERM,
    }
}

/// A container that is being stopped.
#[derive(Clone, Debug)]
pub(super) struct Kill {
    place: u8,
    /// When SIGTERM is sent: after the preStop hook.
    term: Time,
    /// When SIGKILL is sent.
    deadline: Time,
    sent: bool,
    /// A sidecar is stopped when all containers after it have ended.
    after: bool,
    grace: Duration,
}

fn grace(worker: &Worker, gone: bool) -> Duration {
    let metadata = &worker.pod["metadata"];
    let seconds = metadata["deletionGracePeriodSeconds"]
        .as_i64()
        .filter(|_| !metadata["deletionTimestamp"].is_null());
    let seconds = seconds.filter(|_| !gone || !metadata["deletionTimestamp"].is_null());
    let seconds = seconds
        .or(worker.pod["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(30);
    // One second is the least that a pod's end takes.
    Duration::from_secs(seconds.max(1).unsigned_abs())
}

/// Stops a container of a pod that goes on, with the pod's grace or one of its own (in seconds).
pub(super) fn kill(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    place: usize,
    message: &str,
    own: Option<i64>,
) {
    let slot = place as u8;
    if worker.kills.iter().any(|k| k.place == slot) {
        return;
    }
    let grace = match own {
        Some(seconds) => Duration::from_secs(seconds.max(1).unsigned_abs()),
        None => grace(worker, false),
    };
    begin_kill(cluster, node, worker, place, grace, message, false);
}

/// The grace that a pod gives itself.
pub(super) fn own_grace(worker: &Worker) -> Duration {
    grace(worker, false)
}

/// Begins to stop the sidecars of a pod whose other containers have ended; whether any still runs.
pub(super) fn end_sidecars(cluster: &mut Cluster, node: &Text, worker: &mut Worker) -> bool {
    let pod = worker.pod.clone();
    let mut any = false;
    for (place, spec) in containers(&pod).enumerate() {
        let runs = container(cluster, node, &worker.uid, place).is_some_and(Container::is_running);
        if !runs || role(&pod, place) != Role::Sidecar {
            continue;
        }
        any = true;
        if !worker.kills.iter().any(|k| usize::from(k.place) == place) {
            let message = format!("Stopping container {}", spec["name"].str());
            let grace = own_grace(worker);
            begin_kill(cluster, node, worker, place, grace, &message, true);
        }
    }
    any
}

/// Stops all containers of a pod that runs.
pub(super) fn kill_all(cluster: &mut Cluster, node: &Text, worker: &mut Worker, grace: Duration) {
    let pod = worker.pod.clone();
    for (place, spec) in containers(&pod).enumerate() {
        let slot = place as u8;
        let runs = container(cluster, node, &worker.uid, place).is_some_and(Container::is_running);
        if runs && !worker.kills.iter().any(|k| k.place == slot) {
            let message = format!("Stopping container {}", spec["name"].str());
            begin_kill(cluster, node, worker, place, grace, &message, false);
        }
    }
}

fn begin_kill(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    place: usize,
    grace: Duration,
    message: &str,
    after: bool,
) {
    let now = cluster.now;
    container_event(cluster, node, worker, place, "Normal", "Killing", message);
    let kill = Kill {
        place: place as u8,
        term: now,
        deadline: now + grace,
        sent: false,
        after,
        grace,
    };
    worker.kills.push(kill);
    if !after {
        let last = worker.kills.len() - 1;
        pre_stop(cluster, node, worker, last);
    }
}

/// Runs the preStop hook; SIGTERM follows when it is over.
fn pre_stop(cluster: &mut Cluster, node: &Text, worker: &mut Worker, at: usize) {
    let now = cluster.now;
    let place = usize::from(worker.kills[at].place);
    let grace = worker.kills[at].grace;
    let hook: Value = worker.spec(place)["lifecycle"]["preStop"].clone();
    let mut term = now;
    if !hook.is_null() {
        let (takes, worked) = exec::hook(cluster, node, worker.uid.clone(), place, &hook);
        term = now + takes.min(grace);
        if !worked {
            container_event(
                cluster,
                node,
                worker,
                place,
                "Warning",
                "FailedPreStopHook",
                "PreStopHook failed",
            );
        }
    }
    let kill = &mut worker.kills[at];
    kill.term = term;
    kill.deadline = (now + grace).max(
        term + if term > now {
            GRACE_MIN
        } else {
            Duration::ZERO
        },
    );
}

/// Goes on with what is being stopped. `None`: nothing is. `Some(None)`: something has ended.
/// `Some(Some(t))`: wake then.
pub(super) fn kills(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
) -> Option<Option<Time>> {
    if worker.kills.is_empty() {
        return None;
    }
    let runs = |cluster: &Cluster, worker: &Worker, place: u8| {
        container(cluster, node, &worker.uid, usize::from(place)).is_some_and(Container::is_running)
    };
    // Sidecars wait for the containers after them.
    for at in 0..worker.kills.len() {
        let place = worker.kills[at].place;
        let waits = worker.kills[at].after
            && worker
                .kills
                .iter()
                .any(|k| k.place > place && runs(cluster, worker, k.place));
        if worker.kills[at].after && !waits {
            worker.kills[at].after = false;
            pre_stop(cluster, node, worker, at);
        }
    }
    for at in 0..worker.kills.len() {
        let kill = worker.kills[at].clone();
        let place = usize::from(kill.place);
        if kill.after && cluster.now < kill.deadline || !runs(cluster, worker, kill.place) {
            continue;
        }
        if cluster.now >= kill.deadline {
            process::kill(cluster, node, &worker.uid, place);
        } else if !kill.sent && cluster.now >= kill.term {
            worker.kills[at].sent = true;
            let name = worker.spec(place)["name"].str().to_owned();
            worker.log(
                cluster,
                &Component::Kubelet(node.clone()),
                Action::Cri,
                format!("StopContainer {name}"),
            );
            let cause = worker.last;
            let signal = stop_signal(worker.spec(place));
            cluster.caused_by(cause, |c| {
                process::signal(c, node, &worker.uid, place, signal)
            });
        }
    }
    let before = worker.kills.len();
    let kills = std::mem::take(&mut worker.kills);
    worker.kills = kills
        .into_iter()
        .filter(|k| runs(cluster, worker, k.place))
        .collect();
    if worker.kills.is_empty() {
        worker.report_at.get_or_insert(cluster.now);
        return if before > 0 { Some(None) } else { None };
    }
    let wake = worker
        .kills
        .iter()
        .filter(|k| !k.after)
        .map(|k| {
            if k.sent {
                k.deadline
            } else {
                k.term.min(k.deadline)
            }
        })
        .min();
    Some(Some(wake.unwrap_or(cluster.now + GRACE_MIN)))
}

/// A pod was deleted: its containers are told to stop.
pub(super) fn begin(cluster: &mut Cluster, node: &Text, worker: &mut Worker, gone: bool) {
    let ended = worker.stage == Stage::Ended;
    worker.busy = None;
    worker.waiting.clear();
    worker.kills.clear();
    if ended {
        worker.stage = Stage::Terminated;
        return;
    }
    worker.stage = Stage::Terminating;
    let grace = grace(worker, gone);
    let pod = worker.pod.clone();
    for (place, spec) in containers(&pod).enumerate() {
        if container(cluster, node, &worker.uid, place).is_some_and(Container::is_running) {
            let message = format!("Stopping container {}", spec["name"].str());
            let after = role(&pod, place) == Role::Sidecar;
            begin_kill(cluster, node, worker, place, grace, &message, after);
        }
    }
    if !gone {
        // The deletion is a new generation of the pod: its status says that it was seen.
        status::report(cluster, node, worker);
    }
}

/// Goes on stopping a pod; its sandbox is stopped once its containers have ended.
pub(super) fn step(cluster: &mut Cluster, node: &Text, worker: &mut Worker, gone: bool) -> Next {
    shorten(cluster, worker, gone);
    while let Some(wake) = kills(cluster, node, worker) {
        if let Some(at) = wake {
            super::probe::plan(cluster, node, worker);
            return Next::At(at);
        }
    }
    Next::At(stop_sandbox(cluster, node, worker))
}

/// Begins to stop a sandbox; gives back when that is over.
pub(super) fn stop_sandbox(cluster: &mut Cluster, node: &Text, worker: &mut Worker) -> Time {
    let by = Component::Kubelet(node.clone());
    worker.log(cluster, &by, Action::Cri, "StopPodSandbox".to_owned());
    let at = cluster.now + Duration::from_millis(cluster.config.timing.sandbox_stop_ms);
    worker.busy = Some((at, Operation::StopSandbox));
    at
}

/// A sandbox is stopped: the pod's end is told, and the volumes of one that was deleted are unmounted
/// (`SyncTerminatingPod`, `SyncTerminatedPod`).
pub(super) fn sandbox_stopped(cluster: &mut Cluster, node: &Text, worker: &mut Worker) {
    let cause = worker.last.or(cluster.cause());
    crate::cni::portmap::del(cluster, node, &worker.uid);
    cluster.caused_by(cause, |c| runtime::stop_sandbox(c, node, &worker.uid));
    worker.report_at = None;
    if worker.stage != Stage::Terminating {
        worker.stage = Stage::Ended;
        attach::released(cluster, node, &worker.pod);
    } else {
        worker.stage = Stage::Terminated;
        if !worker.pod["spec"]["volumes"].items().is_empty() {
            let takes = Duration::from_millis(cluster.config.timing.unmount_ms);
            worker.busy = Some((cluster.now + takes, Operation::Unmount));
        }
    }
    status::report(cluster, node, worker);
}

/// Nothing of a deleted pod is left on the machine: the API server is told.
pub(super) fn end(cluster: &mut Cluster, node: &Text, worker: &Worker, gone: bool) -> Next {
    let cause = worker.last.or(cluster.cause());
    cluster.caused_by(cause, |c| {
        runtime::remove_sandbox(c, node, &worker.uid);
        if !gone {
            let options = DeleteOptions {
                uid: Some(worker.uid.clone()),
                ..DeleteOptions::now()
            };
            // It may be gone by now.
            let _ = c.delete(&Component::Kubelet(node.clone()), &worker.key, &options);
        }
    });
    Next::Gone
}

/// A second deletion can only shorten the grace.
fn shorten(cluster: &Cluster, worker: &mut Worker, gone: bool) {
    let grace = if gone {
        Duration::from_secs(1)
    } else {
        grace(worker, gone)
    };
    for kill in &mut worker.kills {
        if grace < kill.grace {
            kill.deadline = kill.deadline.min(cluster.now + grace);
            kill.grace = grace;
        }
    }
}
