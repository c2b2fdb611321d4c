//! A container whose end restarts all containers of its pod, in the same sandbox, from the first init
//! container on (KEP-5532; kubelet v1.37, `pkg/kubelet/container/helpers.go`,
//! `pkg/kubelet/kuberuntime/kuberuntime_manager.go`).

use kubarium_objects::{Text, Value};

use super::start::container_event;
use super::worker::{Role, Waiting, Worker, container, containers, matching_rule, role};
use super::{probe, status};
use crate::cluster::Cluster;
use crate::runtime::{Container, End, State, process};

const RULE: &str = "RestartAllContainers";
/// Why a container that was taken away waits, and how its end is told.
pub(super) const REASON: &str = "RestartingAllContainers";
const MESSAGE: &str = "The container is removed because RestartAllContainers in place";

/// Whether the end of any container could restart all: such pods have a condition that tells of it.
pub(super) fn is_possible(pod: &Value) -> bool {
    let mut rules = containers(pod).flat_map(|c| c["restartPolicyRules"].items());
    rules.any(|rule| rule["action"].str() == RULE)
}

/// Whether a container has ended in such a way.
fn is_due(cluster: &Cluster, node: &str, worker: &Worker) -> bool {
    containers(&worker.pod).enumerate().any(|(place, spec)| {
        let found = container(cluster, node, &worker.uid, place).filter(|c| !c.stale);
        let end = found.and_then(Container::end);
        end.and_then(|end| matching_rule(spec, end.code))
            .is_some_and(|rule| rule["action"].str() == RULE)
    })
}

/// Stops all containers and counts them as never made, where one has ended in such a way; whether it
/// did. There are no preStop hooks and no grace, and no back-off afterwards.
pub(super) fn sync(cluster: &mut Cluster, node: &Text, worker: &mut Worker) -> bool {
    if !is_possible(&worker.pod) || !is_due(cluster, node, worker) {
        return false;
    }
    worker.restarting_all = true;
    status::report(cluster, node, worker);
    worker.kills.clear();
    let pod = worker.pod.clone();
    for (place, spec) in containers(&pod).enumerate() {
        if container(cluster, node, &worker.uid, place).is_some_and(Container::is_running) {
            let message = format!("Stopping container {}", spec["name"].str());
            container_event(cluster, node, worker, place, "Normal", "Killing", &message);
            process::kill(cluster, node, &worker.uid, place);
        }
        if role(&pod, place) != Role::Ephemeral {
            reset(cluster, node, worker, place);
        }
    }
    worker.restarting_all = false;
    status::report(cluster, node, worker);
    true
}

fn reset(cluster: &mut Cluster, node: &Text, worker: &mut Worker, place: usize) {
    probe::forget(worker, place);
    let now = cluster.now;
    let sandbox = cluster.sandbox_mut(node, &worker.uid);
    let Some(container) = sandbox.and_then(|s| s.containers.get_mut(place)) else {
        return;
    };
    if !container.exists() {
        return;
    }
    container.stale = true;
    container.state = State::Exited(Box::new(End {
        code: 128 + process::SIGKILL,
        reason: REASON.into(),
        message: MESSAGE.into(),
        started: now,
        finished: now,
    }));
    let waiting = Waiting {
        reason: REASON,
        message: MESSAGE.into(),
        until: now,
        told: now,
    };
    worker.waiting.insert(place as u8, waiting);
}
