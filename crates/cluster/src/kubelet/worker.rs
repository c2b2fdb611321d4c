//! A pod's worker: what comes next for it (kubelet v1.37, `pkg/kubelet/pod_workers.go`,
//! `pkg/kubelet/kuberuntime/kuberuntime_manager.go`).

use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::{ObjectKey, Text, Value, object};

use super::probe::Probe;
use super::resize::{self, Resize};
use super::terminate::Kill;
use super::{Work, admission, attach, probe, restart_all, start, static_pods, status, terminate};
use crate::api::Subresource;
use crate::cluster::Cluster;
use crate::event::{Action, Component, EventId};
use crate::few::Few;
use crate::runtime::{self, Container, Pulled, Sandbox, State};
use crate::task::Task;
use crate::time::Time;

/// What the kubelet knows of one pod.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The pod's key.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: Text,
    /// The pod as last seen.
    pub(super) pod: Value,
    pub(super) stage: Stage,
    /// What was begun, and when it will be over.
    pub(super) busy: Option<(Time, Operation)>,
    /// Why containers wait, by place.
    pub(super) waiting: Few<u8, Waiting>,
    /// How long to wait before starting a container again, and before pulling its image again.
    pub(super) restarts: Few<u8, Backoff>,
    pub(super) pulls: Few<u8, Backoff>,
    /// Containers that are being stopped.
    pub(super) kills: Vec<Kill>,
    pub(super) probes: Vec<Probe>,
    /// When the pod's status is to be looked at: after a relist.
    pub(super) report_at: Option<Time>,
    /// The status with which the pod was turned away or ended from outside: reason and message.
    pub(super) verdict: Option<Box<(Text, Text)>>,
    /// Whether the API server could not be told of the pod's last status.
    pub(super) untold: bool,
    /// Whether all containers are being stopped, to be started again from the first on.
    pub(super) restarting_all: bool,
    /// The event that began what is being done for the pod.
    pub(super) last: Option<EventId>,
    pub(super) started: Time,
    /// The spec as the node has granted it; null until the pod is admitted.
    pub(super) allocated: Value,
    /// What containers still have that were granted something else, by place.
    pub(super) behind: Few<u8, Value>,
    /// What is to be told of a resize.
    pub(super) resize: Option<Box<Resize>>,
}

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not looked at yet.
    New,
    /// Its sandbox is being made, or could not be made.
    Sandbox,
    /// Its containers are being started or run.
    Running,
    /// All of its containers have ended for good.
    Ended,
    /// It is being stopped because it was deleted.
    Terminating,
    /// It was deleted, and nothing of it runs any more.
    Terminated,
}

/// Something that takes time.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Sandbox,
    Pull(Box<Pull>),
    Start {
        place: u8,
    },
    /// A postStart hook, and whether it will have worked.
    Hook {
        place: u8,
        worked: bool,
    },
    /// The end of the sandbox, once all containers have ended.
    StopSandbox,
    Unmount,
}

/// The pull of an image for the container at that place.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    pub place: u8,
    pub result: Result<Pulled, Text>,
    pub takes: Duration,
    /// For the pulls before it.
    pub waited: Duration,
}

/// Why a container waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub reason: &'static str,
    pub message: Text,
    /// Not before then.
    pub until: Time,
    /// The status says it from then on. A sync writes the status first and acts then: what comes of it is told by the
    /// next (`SyncPod`, the reason cache).
    pub told: Time,
}

/// client-go's `flowcontrol.Backoff` for one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub delay: Duration,
    pub updated: Time,
}

pub(super) const BACKOFF_FIRST: Duration = Duration::from_secs(10);
const BACKOFF_MAX: Duration = Duration::from_secs(300);

impl Backoff {
    /// Whether, `since` the thing happened, the back-off is not over yet; when it will be.
    pub fn waits(entry: Option<&Backoff>, since: Time, now: Time) -> Option<Time> {
        let entry = entry.filter(|e| now.since(e.updated) <= 2 * BACKOFF_MAX)?;
        let end = since + entry.delay;
        (now < end).then_some(end)
    }

    /// The next entry: twice as long as before.
    pub fn next(entry: Option<&Backoff>, now: Time) -> Backoff {
        let delay = match entry.filter(|e| now.since(e.updated) <= 2 * BACKOFF_MAX) {
            Some(entry) => (entry.delay * 2).min(BACKOFF_MAX),
            None => BACKOFF_FIRST,
        };
        Backoff {
            delay,
            updated: now,
        }
    }
}

/// The containers of a pod in the order of their places: init containers first, ephemeral ones last.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let spec = &pod["spec"];
    let init = spec["initContainers"].items().iter();
    init.chain(spec["containers"].items())
        .chain(spec["ephemeralContainers"].items())
}

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Init,
    Sidecar,
    Main,
    /// Put into the pod to look at it, never started again.
    Ephemeral,
}

pub(crate) fn role(pod: &Value, place: usize) -> Role {
    let init = pod["spec"]["initContainers"].items();
    match init.get(place) {
        Some(container) if container["restartPolicy"].str() == "Always" => Role::Sidecar,
        Some(_) => Role::Init,
        None => {
            let spec = &pod["spec"];
            let own = spec["initContainers"].items().len() + spec["containers"].items().len();
            if place < own {
                Role::Main
            } else {
                Role::Ephemeral
            }
        }
    }
}

/// Whether a container that has ended is started again: by its own rules, by its own policy, by the
/// pod's (`pkg/api/v1/pod/util.go`, ContainerShouldRestart; KEP-5307).
pub(super) fn restarts(pod: &Value, place: usize, code: i32) -> bool {
    static NULL: Value = Value::Null;
    let role = role(pod, place);
    if role == Role::Sidecar {
        return true;
    }
    if role == Role::Ephemeral || role == Role::Init && code == 0 {
        return false;
    }
    let container = containers(pod).nth(place).unwrap_or(&NULL);
    let own = container["restartPolicy"].str();
    // Whatever a rule asks for, it is a restart.
    if !own.is_empty() && matching_rule(container, code).is_some() {
        return true;
    }
    let policy = match own {
        "" => pod["spec"]["restartPolicy"].str(),
        own => own,
    };
    match policy {
        "Never" => false,
        "OnFailure" => code != 0,
        _ => true,
    }
}

/// The first rule of a container that an exit code meets.
pub(super) fn matching_rule(container: &Value, code: i32) -> Option<&Value> {
    let meets = |rule: &&Value| {
        let codes = &rule["exitCodes"];
        let mut values = codes["values"].items().iter();
        let among = values.any(|v| v.as_i64() == Some(code.into()));
        match codes["operator"].str() {
            "In" => among,
            "NotIn" => !among,
            _ => false,
        }
    };
    container["restartPolicyRules"].items().iter().find(meets)
}

impl Worker {
    fn new(key: ObjectKey, uid: Text, pod: Value, now: Time) -> Worker {
        Worker {
            key,
            uid,
            pod,
            stage: Stage::New,
            busy: None,
            waiting: Few::default(),
            restarts: Few::default(),
            pulls: Few::default(),
            kills: Vec::new(),
            probes: Vec::new(),
            report_at: None,
            verdict: None,
            untold: false,
            restarting_all: false,
            last: None,
            started: now,
            allocated: Value::Null,
            behind: Few::default(),
            resize: None,
        }
    }

    /// Whether it was deleted.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Terminating | Stage::Terminated)
    }

    /// Whether the kubelet waits for containers to end.
    pub(super) fn is_killing(&self) -> bool {
        !self.kills.is_empty()
    }

    pub(super) fn spec(&self, place: usize) -> &Value {
        static NULL: Value = Value::Null;
        containers(&self.pod).nth(place).unwrap_or(&NULL)
    }

    /// Whether the kubelet has it from a file of its own.
    pub(super) fn is_static(&self) -> bool {
        static_pods::is_static(&self.pod)
    }

    /// Whether the eviction manager may choose it.
    pub(super) fn can_be_evicted(&self) -> bool {
        matches!(self.stage, Stage::Sandbox | Stage::Running)
            && self.verdict.is_none()
            && !self.is_static()
    }

    /// Logs a call and makes it the cause of what follows.
    pub(super) fn log(
        &mut self,
        cluster: &mut Cluster,
        by: &Component,
        action: Action,
        text: String,
    ) {
        let cause = self.last.or(cluster.cause());
        let key = self.key.clone();
        let event = cluster.caused_by(cause, |c| c.log(by, action, Some(&key), text));
        self.last = Some(event);
    }
}

/// The sandbox of a worker's pod.
pub(super) fn sandbox<'a>(cluster: &'a Cluster, node: &str, uid: &str) -> Option<&'a Sandbox> {
    cluster.sandbox(node, uid).map(|s| &**s)
}

pub(super) fn container<'a>(
    cluster: &'a Cluster,
    node: &str,
    uid: &str,
    place: usize,
) -> Option<&'a Container> {
    sandbox(cluster, node, uid)?
        .containers
        .get(place)
        .filter(|c| c.exists())
}

/// How long a static pod waits for the one before it to be gone.
const STATIC_RETRY: Duration = Duration::from_millis(500);

/// Wakes the worker of a pod.
pub(super) fn sync(cluster: &mut Cluster, node: &Text, key: &ObjectKey, uid: &Text) {
    let kubelet = cluster.machines.get(node).map(|m| &m.kubelet);
    let worker = kubelet.and_then(|k| k.pods.get(uid));
    // A kubelet that is cut off goes by what it heard last; its own manifests it reads all the same.
    let known = worker
        .filter(|worker| cluster.faults().is_cut(node) && !worker.is_static())
        .map(|worker| worker.pod.clone());
    let own = kubelet.and_then(|k| k.statics.get(uid)).map(|pod| {
        let mut pod = pod.clone();
        if let Some(worker) = worker {
            pod["status"] = worker.pod["status"].clone();
        }
        pod
    });
    if own.is_some() && worker.is_none() {
        // The one before it under the same name has to be gone.
        let mut others = kubelet.into_iter().flat_map(|k| k.pods.values());
        if others.any(|other| other.key == *key) {
            let work = Work::Pod(key.clone(), uid.clone());
            return cluster.enqueue(Task::Kubelet(node.clone(), work), STATIC_RETRY);
        }
    }
    let stored = own.or(known).or_else(|| {
        let stored = cluster.etcd.get(key);
        stored
            .filter(|pod| *pod["metadata"]["uid"].str() == **uid)
            .cloned()
    });
    let now = cluster.now;
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let mut worker = match (machine.kubelet.pods.remove(uid), &stored) {
        (Some(worker), _) => Arc::unwrap_or_clone(worker),
        (None, Some(pod)) if pod["spec"]["nodeName"].str() == &**node => {
            Worker::new(key.clone(), uid.clone(), pod.clone(), now)
        }
        _ => return static_pods::clean_up(cluster, node, key, uid),
    };
    worker.last = None;
    let gone = stored.is_none();
    if let Some(pod) = stored {
        worker.pod = pod;
    }
    let next = step(cluster, node, &mut worker, gone);
    let cause = worker.last.or(cluster.cause());
    if worker.is_static() {
        match next {
            Next::Gone => static_pods::gone(cluster, node, &worker),
            _ if !gone => static_pods::mirror(cluster, node, &mut worker),
            _ => {}
        }
    }
    if let Next::Gone = next {
        attach::released(cluster, node, &worker.pod);
        return resize::retry(cluster, node);
    }
    if let Some(machine) = cluster.machine_mut(node) {
        machine.kubelet.pods.insert(uid.clone(), Arc::new(worker));
    }
    if let Next::At(at) = next {
        let work = Work::Pod(key.clone(), uid.clone());
        cluster.queue.add(
            at.max(cluster.now),
            Task::Kubelet(node.clone(), work),
            cause,
        );
    }
}

/// The machine has booted: nothing of the pod runs any more. It gets a new sandbox, unless it may not
/// be started again.
pub(super) fn boot(cluster: &mut Cluster, node: &Text, uid: &Text) {
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let Some(worker) = machine.kubelet.pods.get_mut(uid) else {
        return;
    };
    let worker = Arc::make_mut(worker);
    worker.busy = None;
    worker.kills.clear();
    worker.probes.clear();
    worker.waiting.clear();
    worker.report_at = None;
    let begun = worker.stage == Stage::Running;
    let again = worker.pod["spec"]["restartPolicy"].str() != "Never";
    if !begun || !again || worker.verdict.is_some() {
        return;
    }
    worker.stage = Stage::Sandbox;
    let pod = worker.pod.clone();
    let by = Component::Kubelet(node.clone());
    let message = "Pod sandbox changed, it will be killed and re-created.";
    cluster.record(&by, &pod, "SandboxChanged", message);
}

/// The grace of a pod whose machine has run out of something (`immediateEvictionGracePeriodSeconds`).
const IMMEDIATE: Duration = Duration::from_secs(1);

/// Ends a pod for want of something on the machine, almost at once.
pub(super) fn evict(
    cluster: &mut Cluster,
    node: &Text,
    key: &ObjectKey,
    uid: &Text,
    message: &str,
) {
    let now = cluster.now.rfc3339();
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let Some(worker) = machine.kubelet.pods.remove(uid) else {
        return;
    };
    let mut worker = Arc::unwrap_or_clone(worker);
    worker.verdict = Some(Box::new(("Evicted".into(), message.into())));
    worker.busy = None;
    worker.waiting.clear();
    let by = Component::Kubelet(node.clone());
    let written = cluster.modify(&by, key, Subresource::Status, |pod| {
        let condition = object([
            ("lastProbeTime", Value::Null),
            ("lastTransitionTime", now.into()),
            ("message", message.into()),
            ("observedGeneration", pod["metadata"]["generation"].clone()),
            ("reason", "TerminationByKubelet".into()),
            ("status", "True".into()),
            ("type", "DisruptionTarget".into()),
        ]);
        let conditions = pod["status"]["conditions"].array_mut();
        conditions.retain(|c| c["type"].str() != "DisruptionTarget");
        conditions.push(condition);
    });
    if let Ok(pod) = written {
        worker.pod = pod;
    }
    if worker.stage == Stage::Sandbox {
        // Nothing of it runs yet.
        worker.stage = Stage::Running;
    }
    terminate::kill_all(cluster, node, &mut worker, IMMEDIATE);
    if let Some(machine) = cluster.machine_mut(node) {
        machine.kubelet.pods.insert(uid.clone(), Arc::new(worker));
    }
    let work = Work::Pod(key.clone(), uid.clone());
    cluster.enqueue(Task::Kubelet(node.clone(), work), Duration::ZERO);
}

/// What a step comes to.
pub(super) enum Next {
    /// Wake again then.
    At(Time),
    /// Wake when something happens.
    Wait,
    /// The worker is over.
    Gone,
}

fn step(cluster: &mut Cluster, node: &Text, worker: &mut Worker, gone: bool) -> Next {
    // Every round ends in waiting or in one thing more that is done: bounded by the containers.
    for _ in 0..1000 {
        if let Some((at, operation)) = worker.busy.take() {
            if at > cluster.now {
                worker.busy = Some((at, operation));
                return Next::At(at);
            }
            start::complete(cluster, node, worker, operation);
            continue;
        }
        let deleted = gone || !worker.pod["metadata"]["deletionTimestamp"].is_null();
        if deleted && !worker.is_leaving() {
            terminate::begin(cluster, node, worker, gone);
        }
        match worker.stage {
            Stage::New => {
                if matches!(worker.pod["status"]["phase"].str(), "Failed" | "Succeeded") {
                    worker.stage = Stage::Ended;
                    return Next::Wait;
                }
                if let Some(refusal) = admission::check(cluster, node, worker) {
                    admission::reject(cluster, node, worker, refusal);
                    worker.stage = Stage::Ended;
                    return Next::Wait;
                }
                worker.allocated = worker.pod["spec"].clone();
                worker.stage = Stage::Sandbox;
                status::report(cluster, node, worker);
            }
            Stage::Sandbox => return start::sandbox(cluster, node, worker),
            Stage::Ended => {
                if worker.untold {
                    match sandbox(cluster, node, &worker.uid).is_some() {
                        true => status::report(cluster, node, worker),
                        false => status::reject(cluster, node, worker),
                    }
                }
                return Next::Wait;
            }
            Stage::Running => match next(cluster, node, worker) {
                Decision::Continue => {}
                Decision::Rest(wake) => {
                    let wake = match resize::sync(cluster, node, worker) {
                        Ok(at) => sooner(wake, at),
                        Err(()) => {
                            status::report(cluster, node, worker);
                            continue;
                        }
                    };
                    let wake = report(cluster, node, worker, wake);
                    if worker.stage != Stage::Ended {
                        probe::plan(cluster, node, worker);
                    }
                    return wake.map_or(Next::Wait, Next::At);
                }
            },
            Stage::Terminating => return terminate::step(cluster, node, worker, gone),
            Stage::Terminated => return terminate::end(cluster, node, worker, gone),
        }
    }
    Next::Wait
}

/// Writes the status when its time has come, and ends a pod that is over.
fn report(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    wake: Option<Time>,
) -> Option<Time> {
    let now = cluster.now;
    match worker.report_at {
        Some(at) if at > now => return Some(wake.map_or(at, |w| w.min(at))),
        _ => worker.report_at = None,
    }
    if status::is_over(cluster, node, worker) {
        // What is left are sidecars: they are stopped, the last first, before the pod is over.
        if terminate::end_sidecars(cluster, node, worker) {
            status::report(cluster, node, worker);
            return wake.or(Some(now));
        }
        status::report(cluster, node, worker);
        worker.probes.clear();
        return Some(terminate::stop_sandbox(cluster, node, worker));
    }
    status::report(cluster, node, worker);
    wake
}

/// What the worker does in the running stage.
enum Decision {
    /// Something was begun or changed: look again.
    Continue,
    /// Nothing to do until then.
    Rest(Option<Time>),
}

fn sooner(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    a.into_iter().chain(b).min()
}

/// What comes next for a pod whose sandbox is there (`computePodActions`).
fn next(cluster: &mut Cluster, node: &Text, worker: &mut Worker) -> Decision {
    if let Some(wake) = terminate::kills(cluster, node, worker) {
        return match wake {
            Some(at) => Decision::Rest(Some(at)),
            None => Decision::Continue,
        };
    }
    if restart_all::sync(cluster, node, worker) {
        return Decision::Continue;
    }
    if status::is_over(cluster, node, worker) {
        let begun = terminate::end_sidecars(cluster, node, worker);
        return if begun {
            Decision::Continue
        } else {
            Decision::Rest(None)
        };
    }
    let mut wake = match deadline(cluster, node, worker) {
        Some(at) if at <= cluster.now => return Decision::Continue,
        at => at,
    };
    if worker.verdict.is_some() {
        return Decision::Rest(None);
    }
    let names: Vec<Text> = containers(&worker.pod).map(|c| c["name"].text()).collect();
    runtime::add_containers(cluster, node, &worker.uid, &names);
    let init = worker.pod["spec"]["initContainers"].items().len();
    let count = init + worker.pod["spec"]["containers"].items().len();
    if let Some(decision) = ephemeral(cluster, node, worker, count, &mut wake) {
        return decision;
    }
    for place in 0..count {
        let role = role(&worker.pod, place);
        // A container of the sandbox before counts as one that was never made.
        let state = container(cluster, node, &worker.uid, place)
            .filter(|c| !c.stale)
            .map(|c| c.state.clone());
        match (role, state) {
            (Role::Init, Some(State::Exited(end))) if end.code == 0 => continue,
            (Role::Init, Some(State::Running(_))) => return Decision::Rest(wake),
            (Role::Sidecar, Some(State::Running(_))) => {
                if worker.has_started(place) || main_made(cluster, node, worker, init) {
                    continue;
                }
                return Decision::Rest(wake);
            }
            (Role::Main, Some(State::Running(_))) => {
                if start::definition_changed(cluster, node, worker, place) {
                    let name = worker.spec(place)["name"].str().to_owned();
                    let message = format!("Container {name} definition changed, will be restarted");
                    terminate::kill(cluster, node, worker, place, &message, None);
                    return Decision::Continue;
                }
                continue;
            }
            (_, Some(State::Exited(end))) if !restarts(&worker.pod, place, end.code) => {
                if role == Role::Init {
                    // The pod has failed.
                    return Decision::Rest(None);
                }
                continue;
            }
            (_, Some(State::Exited(end))) => {
                match start::restart(cluster, node, worker, place, &end) {
                    Some(at) => wake = sooner(wake, Some(at)),
                    None => return Decision::Continue,
                }
            }
            (_, _) => match start::begin(cluster, node, worker, place) {
                Some(at) => wake = sooner(wake, Some(at)),
                None => return Decision::Continue,
            },
        }
        if role != Role::Main {
            // An init container that waits keeps all others waiting.
            return Decision::Rest(wake);
        }
    }
    Decision::Rest(wake)
}

/// Starts ephemeral containers that were never made, before anything else; `None` when there is
/// nothing to be done for them now.
fn ephemeral(
    cluster: &mut Cluster,
    node: &Text,
    worker: &mut Worker,
    first: usize,
    wake: &mut Option<Time>,
) -> Option<Decision> {
    let all = worker.pod["spec"]["ephemeralContainers"].items().len();
    for at in 0..all {
        let place = first + at;
        if container(cluster, node, &worker.uid, place).is_some() {
            continue;
        }
        match start::begin(cluster, node, worker, place) {
            Some(at) => *wake = sooner(*wake, Some(at)),
            None => return Some(Decision::Continue),
        }
    }
    None
}

/// Whether a main container was ever made: the pod has been initialised.
fn main_made(cluster: &Cluster, node: &str, worker: &Worker, init: usize) -> bool {
    sandbox(cluster, node, &worker.uid).is_some_and(|s| {
        s.containers
            .iter()
            .skip(init)
            .any(|c| c.exists() && !c.stale)
    })
}

/// `activeDeadlineSeconds`: when it is over; the pod is stopped when it is.
fn deadline(cluster: &mut Cluster, node: &Text, worker: &mut Worker) -> Option<Time> {
    let seconds = worker.pod["spec"]["activeDeadlineSeconds"].as_i64()?;
    let end = worker.started + Duration::from_secs(seconds.unsigned_abs());
    if cluster.now >= end && worker.verdict.is_none() {
        let message = "Pod was active on the node longer than the specified deadline";
        let pod = worker.pod.clone();
        cluster.record(
            &Component::Kubelet(node.clone()),
            &pod,
            "DeadlineExceeded",
            message,
        );
        worker.verdict = Some(Box::new(("DeadlineExceeded".into(), message.into())));
        terminate::kill_all(cluster, node, worker, terminate::own_grace(worker));
        return Some(cluster.now);
    }
    worker.verdict.is_none().then_some(end)
}
