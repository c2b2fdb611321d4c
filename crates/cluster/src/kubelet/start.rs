//! Starting: the sandbox, images, containers, their hooks (kubelet v1.37,
//! `pkg/kubelet/kuberuntime/kuberuntime_container.go`, `pkg/kubelet/images/image_manager.go`).

use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::{ObjectKey, Text};

use super::attach::{self, Missing};
use super::worker::{
    BACKOFF_FIRST, Backoff, Next, Operation, Pull, Role, Stage, Waiting, Worker, container,
    containers, role,
};
use super::{devices, next_relist, probe, resize, status, terminate};
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::images::Reference;
use crate::recorder::Recorded;
use crate::runtime::{self, End, State, environment, exec, process, user, volumes};
use crate::time::Time;

/// After an error a worker is woken again after this.
const RETRY: Duration = Duration::from_secs(10);
/// When a worker whose container has ended for the second time is woken once more.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Why a container that ends again and again waits.
pub(super) const CRASH_LOOP: &str = "CrashLoopBackOff";

fn by(node: &Text) -> Component {
    Component::Kubelet(node.clone())
}

/// The pod needs its sandbox: it is begun, or the volumes are waited for.
pub(super) fn sandbox(cluster: &mut Cluster, node: &Text, worker: &mut Worker) -> Next {
    let pod = worker.pod.clone();
    let missing = match attach::check(cluster, node, worker) {
        Ok(()) => volumes::check(cluster, node, &pod).err().map(Missing::Part),
        Err(missing) => Some(missing),
    };
    if let Some(missing) = missing {
        if let Missing::Part(message) = missing {
            cluster.warn(&by(node), &pod, "FailedMount", &message);
        }
        let entry = Backoff::next(worker.pulls.get(&u8::MAX), cluster.now);
        // The volume manager begins with half a second and doubles up to about two minutes.
        let delay = (entry.delay / 20).min(Duration::from_secs(122));
        worker.pulls.insert(u8::MAX, entry);
        return Next::At(cluster.now + delay.max(Duration::from_millis(500)));
    }
    if let Err(why) = devices::prepare(cluster, &pod) {
        let message =
            format!("Failed to prepare dynamic resources: prepare dynamic resources: {why}");
        cluster.warn(&by(node), &pod, "FailedPrepareDynamicResources", &message);
        return Next::At(cluster.now + RETRY);
    }
    volumes::make_host_paths(cluster, node, &pod);
    worker.log(cluster, &by(node), Action::Cri, "RunPodSandbox".to_owned());
    let host_network = pod["spec"]["hostNetwork"].as_bool() == Some(true);
    let timing = &cluster.config.timing;
    let takes = timing.sandbox_ms + if host_network { 0 } else { timing.cni_ms };
    let at = cluster.now + Duration::from_millis(takes);
    worker.busy = Some((at, Operation::Sandbox));
    Next::At(at)
}

/// Something that was begun is over.
pub(super) fn complete(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    operation: Operation,
) {
    match operation {
        Operation::Sandbox => sandbox_made(cluster, node, worker),
        Operation::Pull(pull) => pulled(cluster, node, worker, *pull),
        Operation::Start { place } => started(cluster, node, worker, place),
        Operation::Hook { place, worked } => hook_ended(cluster, node, worker, place, worked),
        Operation::StopSandbox => terminate::sandbox_stopped(cluster, node, worker),
        Operation::Unmount => {}
    }
}

fn sandbox_made(cluster: &mut Cluster, node: &Text, worker: &mut Worker) {
    let pod = worker.pod.clone();
    let names: Vec<Text> = containers(&pod).map(|c| c["name"].text()).collect();
    let host_network = pod["spec"]["hostNetwork"].as_bool() == Some(true);
    let cause = worker.last.or(cluster.cause());
    let made = cluster.caused_by(cause, |c| {
        runtime::run_sandbox(c, node, &worker.key, &worker.uid, host_network, &names)
    });
    match made {
        Ok(()) => {
            worker.last = cluster
                .log
                .iter()
                .next_back()
                .map(|e| e.id)
                .filter(|_| !host_network)
                .or(worker.last);
            crate::cni::portmap::add(cluster, node, &worker.key, &worker.uid, &pod);
            worker.stage = Stage::Running;
            status::report(cluster, node, worker);
        }
        Err(error) => {
            let message = format!("Failed to create pod sandbox: {error}");
            cluster.warn(&by(node), &pod, "FailedCreatePodSandBox", &message);
            worker.busy = Some((cluster.now + RETRY, Operation::Sandbox));
        }
    }
}

/// A container whose image, by the pod, is another than the one that it runs.
pub(super) fn definition_changed(
    cluster: &Cluster,
    node: &str,
    worker: &Worker,
    place: usize,
) -> bool {
    let Some(container) = container(cluster, node, &worker.uid, place) else {
        return false;
    };
    let wanted = Reference::parse(worker.spec(place)["image"].str()).map(|r| r.to_string());
    let has = Reference::parse(&container.image).map(|r| r.to_string());
    wanted != has
}

/// An event about a container of the pod.
pub(super) fn container_event(
    cluster: &mut Cluster,
    node: &Text,
    worker: &Worker,
    place: usize,
    kind: &'static str,
    reason: &str,
    message: &str,
) {
    let list = match role(&worker.pod, place) {
        Role::Main => "containers",
        Role::Ephemeral => "ephemeralContainers",
        _ => "initContainers",
    };
    let field_path = format!("spec.{list}{{{}}}", worker.spec(place)["name"].str());
    let event = Recorded {
        kind,
        reason,
        message,
        field_path: &field_path,
    };
    let cause = worker.last.or(cluster.cause());
    cluster.caused_by(cause, |c| c.record_event(&by(node), &worker.pod, &event));
}

/// A container that has ended and is to run again: now, or when its back-off is over.
pub(super) fn restart(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    place: usize,
    end: &End,
) -> Option<Time> {
    let slot = place as u8;
    let now = cluster.now;
    if worker.pulls_failed(slot, now) {
        return begin(cluster, node, worker, place);
    }
    if let Some(until) = Backoff::waits(worker.restarts.get(&slot), end.finished, now) {
        let spec = worker.spec(place);
        let named = format!(
            "{}_{}({})",
            worker.key.name, worker.key.namespace, worker.uid
        );
        let delay = worker.restarts.get(&slot).map_or(0, |b| b.delay.as_secs());
        let name = spec["name"].str().to_owned();
        let message = format!(
            "back-off {} restarting failed container={name} pod={named}",
            go_duration(delay)
        );
        // Twice in the first round: what is left of the container before wakes the worker once more.
        let again = if delay == BACKOFF_FIRST.as_secs() {
            now + LOOK_AGAIN
        } else {
            jittered(cluster, until)
        };
        let known = worker.waiting.get(&slot).filter(|w| w.until == until);
        let told = known.map_or(again, |known| known.told);
        let waiting = Waiting {
            reason: CRASH_LOOP,
            message: message.into(),
            until,
            told,
        };
        worker.waiting.insert(slot, waiting);
        let event = format!("Back-off restarting failed container {name} in pod {named}");
        container_event(cluster, node, worker, place, "Warning", "BackOff", &event);
        if told > now {
            return Some(told);
        }
        worker.report_at.get_or_insert(now);
        return Some(jittered(cluster, until));
    }
    tell(cluster, node, worker, slot);
    let before = worker.restarts.get(&slot);
    let entry = Backoff::next(before, end.finished);
    worker.restarts.insert(slot, entry);
    worker.waiting.remove(&slot);
    begin(cluster, node, worker, place)
}

/// When a worker is woken that waits until then: up to half of the time later (`completeWork`,
/// `workerBackOffPeriodJitterFactor`).
fn jittered(cluster: &mut Cluster, until: Time) -> Time {
    let left = until.since(cluster.now).as_millis() as u64;
    until + Duration::from_millis(cluster.rng.below(left / 2 + 1))
}

/// Tells why a container waits, where that has not been told yet, before something is tried again.
fn tell(cluster: &mut Cluster, node: &Text, worker: &mut Worker, slot: u8) {
    let waiting = worker.waiting.get(&slot);
    if waiting.is_some_and(|waiting| waiting.told <= cluster.now) {
        status::report(cluster, node, worker);
    }
}

/// Go prints seconds like this: `10s`, `1m20s`, `5m0s`.
fn go_duration(seconds: u64) -> String {
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{}s", seconds % 60),
    }
}

impl Worker {
    /// Whether the container waits because of its image or its configuration, not its crashes.
    fn pulls_failed(&self, slot: u8, _: Time) -> bool {
        self.waiting
            .get(&slot)
            .is_some_and(|w| w.reason != CRASH_LOOP)
    }

    fn wait(
        &mut self,
        slot: u8,
        reason: &'static str,
        message: impl Into<Text>,
        until: Time,
        now: Time,
    ) {
        self.waiting.insert(
            slot,
            Waiting {
                reason,
                message: message.into(),
                until,
                told: now,
            },
        );
        self.report_at.get_or_insert(now);
    }
}

/// Begins to start a container: its image first. Gives back when to look again, `None` when
/// something was begun.
pub(super) fn begin(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    place: usize,
) -> Option<Time> {
    let slot = place as u8;
    let now = cluster.now;
    if let Some(waiting) = worker
        .waiting
        .get(&slot)
        .filter(|w| w.until > now && w.reason != CRASH_LOOP)
    {
        return Some(waiting.until);
    }
    let spec = worker.spec(place).clone();
    let image = spec["image"].str();
    let full = Reference::parse(image).map(|r| r.to_string());
    let here = full.as_ref().is_some_and(|full| {
        cluster
            .machines
            .get(node)
            .is_some_and(|m| m.runtime.images.contains_key(full.as_str()))
    });
    let Some(full) = full else {
        let message = format!(
            "Failed to apply default image tag {image:?}: couldn't parse image name {image:?}: invalid reference format{}",
            upper_case(image)
        );
        container_event(
            cluster,
            node,
            worker,
            place,
            "Warning",
            "InspectFailed",
            &message,
        );
        container_event(
            cluster,
            node,
            worker,
            place,
            "Warning",
            "Failed",
            "Error: InvalidImageName",
        );
        worker.wait(slot, "InvalidImageName", message, now + RETRY, now);
        return Some(now + RETRY);
    };
    match (spec["imagePullPolicy"].str(), here) {
        ("Never", false) => {
            let message =
                format!("Container image \"{image}\" is not present with pull policy of Never");
            container_event(
                cluster,
                node,
                worker,
                place,
                "Warning",
                "ErrImageNeverPull",
                &message,
            );
            container_event(
                cluster,
                node,
                worker,
                place,
                "Warning",
                "Failed",
                "Error: ErrImageNeverPull",
            );
            worker.wait(slot, "ErrImageNeverPull", message, now + RETRY, now);
            Some(now + RETRY)
        }
        ("Always", _) | (_, false) => pull(cluster, node, worker, place, image, &full),
        _ => {
            let message = format!(
                "Container image \"{image}\" already present on machine and can be accessed by the pod"
            );
            container_event(cluster, node, worker, place, "Normal", "Pulled", &message);
            create(cluster, node, worker, place, &full)
        }
    }
}

/// Whether what stands before an image's first slash names a registry (`splitDockerDomain`).
fn is_host(word: &str) -> bool {
    word == "localhost" || word.contains(|c: char| matches!(c, '.' | ':') || c.is_uppercase())
}

/// What is added where a repository's name has capitals (distribution/reference v0.6).
fn upper_case(image: &str) -> String {
    let path = match image.split_once('/') {
        None => format!("library/{image}"),
        Some((host, rest)) if is_host(host) => rest.to_owned(),
        Some(_) => image.to_owned(),
    };
    let path = path.split_once(':').map_or(&*path, |(path, _)| path);
    match path.chars().any(char::is_uppercase) {
        true => format!(": repository name ({path}) must be lowercase"),
        false => String::new(),
    }
}

fn pull(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    place: usize,
    image: &str,
    full: &str,
) -> Option<Time> {
    let slot = place as u8;
    let now = cluster.now;
    tell(cluster, node, worker, slot);
    if let Some(entry) = worker.pulls.get(&slot)
        && Backoff::waits(Some(entry), entry.updated, now).is_some()
    {
        let before = worker
            .waiting
            .get(&slot)
            .map_or_else(String::new, |w| match w.reason {
                "ErrImagePull" => format!(": ErrImagePull: {}", w.message),
                _ => w
                    .message
                    .split_once(": ")
                    .map_or_else(String::new, |(_, rest)| format!(": {rest}")),
            });
        let message = format!("Back-off pulling image \"{image}\"");
        container_event(cluster, node, worker, place, "Normal", "BackOff", &message);
        container_event(
            cluster,
            node,
            worker,
            place,
            "Warning",
            "Failed",
            "Error: ImagePullBackOff",
        );
        let again = jittered(cluster, now + RETRY);
        let waiting = Waiting {
            reason: "ImagePullBackOff",
            message: format!("{message}{before}").into(),
            until: again,
            told: again,
        };
        worker.waiting.insert(slot, waiting);
        return Some(again);
    }
    container_event(
        cluster,
        node,
        worker,
        place,
        "Normal",
        "Pulling",
        &format!("Pulling image \"{image}\""),
    );
    worker.log(
        cluster,
        &by(node),
        Action::Cri,
        format!("PullImage {image}"),
    );
    let (waited, soon_here) = queue_behind(cluster, node, full);
    let pull = runtime::pull(cluster, node, full, soon_here);
    let at = now + waited + pull.takes;
    if let Some(machine) = cluster.machine_mut(node) {
        machine.kubelet.pulls.push((at, full.into()));
    }
    let pull = Pull {
        place: slot,
        result: pull.result.map_err(Text::from),
        takes: pull.takes,
        waited,
    };
    worker.busy = Some((at, Operation::Pull(pull.into())));
    None
}

/// How long a pull has to wait for those before it, and whether one of them brings the image.
fn queue_behind(cluster: &mut Cluster, node: &Text, full: &str) -> (Duration, bool) {
    let now = cluster.now;
    let Some(machine) = cluster.machine_mut(node) else {
        return (Duration::ZERO, false);
    };
    let pulls = &mut machine.kubelet.pulls;
    pulls.retain(|(end, _)| *end > now);
    let last = pulls.iter().map(|(end, _)| *end).max();
    let waits = last.map_or(Duration::ZERO, |end| end.since(now));
    (waits, pulls.iter().any(|(_, image)| **image == *full))
}

fn pulled(cluster: &mut Cluster, node: &Text, worker: &mut Worker, pull: Pull) {
    let Pull {
        place: slot,
        result,
        takes,
        waited,
    } = pull;
    let place = usize::from(slot);
    let now = cluster.now;
    let image = worker.spec(place)["image"].str().to_owned();
    match result {
        Ok(pulled) => {
            let (took, whole) = (go_milliseconds(takes), go_milliseconds(takes + waited));
            let message = format!(
                "Successfully pulled image \"{image}\" in {took} ({whole} including waiting). Image size: {} bytes.",
                pulled.size
            );
            container_event(cluster, node, worker, place, "Normal", "Pulled", &message);
            let full = pulled.reference.to_string();
            if let Some(machine) = cluster.machine_mut(node) {
                machine.runtime.images.insert(full.as_str().into(), pulled);
            }
            worker.pulls.remove(&slot);
            worker.waiting.remove(&slot);
            create(cluster, node, worker, place, &full);
        }
        Err(error) => {
            let entry = Backoff::next(worker.pulls.get(&slot), now);
            // The first time the worker is still to look at the new sandbox.
            let again = match worker.pulls.insert(slot, entry) {
                None => next_relist(cluster, node),
                Some(_) => jittered(cluster, now + RETRY),
            };
            container_event(
                cluster,
                node,
                worker,
                place,
                "Warning",
                "Failed",
                &format!("Failed to pull image \"{image}\": {error}"),
            );
            container_event(
                cluster,
                node,
                worker,
                place,
                "Warning",
                "Failed",
                "Error: ErrImagePull",
            );
            let waiting = Waiting {
                reason: "ErrImagePull",
                message: error,
                until: again,
                told: again,
            };
            worker.waiting.insert(slot, waiting);
            warn_of_missing_secrets(cluster, node, worker);
        }
    }
}

/// A pull that has failed may lack the secrets that the pod names and nobody has made.
fn warn_of_missing_secrets(cluster: &mut Cluster, node: &Text, worker: &Worker) {
    let names = worker.pod["spec"]["imagePullSecrets"].items().iter();
    let missing: Vec<&str> = names
        .map(|secret| secret["name"].str())
        .filter(|name| !name.is_empty())
        .filter(|name| {
            let key = ObjectKey::new("secrets", worker.key.namespace.clone(), *name);
            cluster.etcd.get(&key).is_none()
        })
        .collect();
    if missing.is_empty() {
        return;
    }
    let message = format!(
        "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
        missing.join(", ")
    );
    let cause = worker.last.or(cluster.cause());
    let reason = "FailedToRetrieveImagePullSecret";
    cluster.caused_by(cause, |c| c.warn(&by(node), &worker.pod, reason, &message));
}

/// `1.234s`, `311ms`
fn go_milliseconds(d: Duration) -> String {
    let ms = d.as_millis();
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// CreateContainer and StartContainer.
fn create(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    place: usize,
    image: &str,
) -> Option<Time> {
    let slot = place as u8;
    let now = cluster.now;
    let named = format!(
        "{}_{}({})",
        worker.key.name, worker.key.namespace, worker.uid
    );
    let environment = environment::of(cluster, node, &worker.uid, &worker.pod, place);
    let allowed = || match user::must_not_be_root(&worker.pod, worker.spec(place), &named) {
        Some(why) => Err(why),
        None => Ok(()),
    };
    if let Err(error) = environment.map(drop).and_then(|()| allowed()) {
        container_event(
            cluster,
            node,
            worker,
            place,
            "Warning",
            "Failed",
            &format!("Error: {error}"),
        );
        worker.wait(slot, "CreateContainerConfigError", error, now + RETRY, now);
        return Some(now + RETRY);
    }
    let name = worker.spec(place)["name"].text();
    runtime::create(cluster, node, &worker.uid, &worker.pod, place, image);
    resize::made(cluster, node, worker, place);
    probe::forget(worker, place);
    worker.waiting.remove(&slot);
    worker.log(
        cluster,
        &by(node),
        Action::Cri,
        format!("CreateContainer {name}"),
    );
    container_event(
        cluster,
        node,
        worker,
        place,
        "Normal",
        "Created",
        "Container created",
    );
    worker.log(
        cluster,
        &by(node),
        Action::Cri,
        format!("StartContainer {name}"),
    );
    let at = now + Duration::from_millis(cluster.config.timing.container_ms);
    worker.busy = Some((at, Operation::Start { place: slot }));
    None
}

fn started(cluster: &mut Cluster, node: &Text, worker: &mut Worker, slot: u8) {
    let place = usize::from(slot);
    let now = cluster.now;
    let relist = next_relist(cluster, node);
    worker.report_at = Some(worker.report_at.map_or(relist, |at| at.min(relist)));
    let cause = worker.last.or(cluster.cause());
    let result = cluster.caused_by(cause, |c| {
        process::start(c, node, &worker.pod, &worker.uid, place)
    });
    if let Err(error) = result {
        container_event(
            cluster,
            node,
            worker,
            place,
            "Warning",
            "Failed",
            &format!("Error: {error}"),
        );
        let end = End {
            code: 128,
            reason: "StartError".into(),
            message: error.into(),
            started: Time::default(),
            finished: now,
        };
        if let Some(container) = cluster
            .sandbox_mut(node, &worker.uid)
            .and_then(|s| s.containers.get_mut(place))
        {
            container.state = State::Exited(end.into());
        }
        return;
    }
    container_event(
        cluster,
        node,
        worker,
        place,
        "Normal",
        "Started",
        "Container started",
    );
    probe::begin(cluster, node, worker, place);
    let hook = worker.spec(place)["lifecycle"]["postStart"].clone();
    if !hook.is_null() {
        let (takes, worked) = exec::hook(cluster, node, worker.uid.clone(), place, &hook);
        worker.busy = Some((
            cluster.now + takes,
            Operation::Hook {
                place: slot,
                worked,
            },
        ));
    }
}

fn hook_ended(cluster: &mut Cluster, node: &Text, worker: &mut Worker, slot: u8, worked: bool) {
    if worked {
        return;
    }
    let place = usize::from(slot);
    container_event(
        cluster,
        node,
        worker,
        place,
        "Warning",
        "FailedPostStartHook",
        "PostStartHook failed",
    );
    terminate::kill(cluster, node, worker, place, "FailedPostStartHook", None);
}

/// The image that a container of the pod runs, as the runtime has it.
pub(super) fn image_of<'a>(
    cluster: &'a Cluster,
    node: &str,
    image: &str,
) -> Option<&'a runtime::Pulled> {
    let machine: &Arc<crate::machine::Machine> = cluster.machines.get(node)?;
    machine.runtime.images.get(image)
}
