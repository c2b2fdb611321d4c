//! The status of a pod, as its kubelet tells it (kubelet v1.37, `pkg/kubelet/status/generate.go`,
//! `pkg/kubelet/kubelet_pods.go`).

use kubarium_objects::{Map, Text, Value, array, object};

use super::worker::{Role, Stage, Worker, container, containers, restarts, role, sandbox};
use super::{restart_all, start};
use crate::alike::Alike;
use crate::api::Subresource;
use crate::cluster::Cluster;
use crate::controllers::pods;
use crate::event::Component;
use crate::quota;
use crate::runtime::{Container, ContainerId, End, State};
use crate::time::Time;

impl Worker {
    /// Whether nothing of the pod can run any more (`IsPodKnownTerminated`).
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended | Stage::Terminated)
    }

    /// Whether the pod has ended for good, or never begun.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended() || self.verdict.is_some() && !self.is_leaving()
    }
}

/// Whether all containers have ended and none will be started again.
pub(super) fn is_over(cluster: &Cluster, node: &str, worker: &Worker) -> bool {
    let states: Vec<Option<State>> = containers(&worker.pod)
        .enumerate()
        .map(|(place, _)| {
            let container = container(cluster, node, &worker.uid, place);
            container.filter(|c| !c.stale).map(|c| c.state.clone())
        })
        .collect();
    if worker.verdict.is_some() {
        return states
            .iter()
            .flatten()
            .all(|s| !matches!(s, State::Running(_)));
    }
    let mut main_over = true;
    for (place, state) in states.iter().enumerate() {
        let role = role(&worker.pod, place);
        let over =
            matches!(state, Some(State::Exited(end)) if !restarts(&worker.pod, place, end.code));
        match role {
            Role::Init => {
                if matches!(state, Some(State::Exited(end)) if end.code != 0) && over {
                    // An init container that may not be repeated ends the pod.
                    return !worker.is_killing();
                }
                main_over &= over;
            }
            Role::Main => main_over &= over,
            Role::Sidecar | Role::Ephemeral => {}
        }
    }
    main_over
}

/// Writes the pod's status, if it differs.
pub(super) fn report(cluster: &mut Cluster, node: &Text, worker: &mut Worker) {
    let by = Component::Kubelet(node.clone());
    let mut alike = std::mem::take(&mut cluster.alike);
    let new = status(cluster, &mut alike, node, worker);
    cluster.alike = alike;
    if worker.is_static() {
        // Its mirror tells it.
        worker.pod["status"] = new;
        return;
    }
    let uid = worker.uid.clone();
    let cause = worker.last.or(cluster.cause());
    let written = cluster.caused_by(cause, |cluster| {
        let same = cluster
            .etcd
            .get(&worker.key)
            .is_some_and(|pod| *pod["metadata"]["uid"].str() == *uid && !pod["status"].same(&new));
        same.then(|| {
            cluster.modify(&by, &worker.key, Subresource::Status, |pod| {
                pod["status"] = new
            })
        })
    });
    worker.untold = matches!(written, Some(Err(_)));
    if let Some(Ok(pod)) = written {
        worker.pod = pod;
    }
}

/// What the pod as a whole is given (`convertToAPIPodLevelResourcesStatus`).
fn pod_resources(status: &mut Value, pod: &Value) {
    let list = |amounts: quota::Amounts| -> Value {
        let all = amounts.into_iter();
        let all = all.map(|(name, amount)| (name, Value::from(amount.to_string())));
        all.collect::<Map>().into()
    };
    let requests = list(quota::pod_resources(pod, "requests"));
    let limits = list(quota::pod_resources(pod, "limits"));
    status["resources"] = Value::new_object();
    if !limits.is_empty() {
        status["resources"]["limits"] = limits;
    }
    if !requests.is_empty() {
        status["resources"]["requests"] = requests.clone();
        status["allocatedResources"] = requests;
    }
}

/// Writes the status of a pod that was turned away.
pub(super) fn reject(cluster: &mut Cluster, node: &Text, worker: &mut Worker) {
    let by = Component::Kubelet(node.clone());
    let Some((reason, message)) = worker.verdict.as_deref().cloned() else {
        return;
    };
    let now = cluster.now.rfc3339();
    let refused = |pod: &mut Value| {
        let generation = pod["metadata"]["generation"].clone();
        let status = &mut pod["status"];
        status["phase"] = "Failed".into();
        status["reason"] = reason.into();
        status["message"] = message.into();
        status["startTime"] = now.into();
        status["observedGeneration"] = generation;
    };
    if worker.is_static() {
        return refused(&mut worker.pod);
    }
    let written = cluster.modify(&by, &worker.key, Subresource::Status, refused);
    worker.untold = written.is_err();
    if let Ok(pod) = written {
        worker.pod = pod;
    }
}

fn status(cluster: &Cluster, alike: &mut Alike, node: &Text, worker: &Worker) -> Value {
    let old = &worker.pod["status"];
    let spec = &worker.pod["spec"];
    let init_count = spec["initContainers"].items().len();
    let mut statuses: Vec<Value> = containers(&worker.pod)
        .enumerate()
        .map(|(place, c)| container_status(cluster, alike, node, worker, place, c))
        .collect();
    // A pod is told to be over once nothing of it runs any more.
    let running = statuses.iter().any(|s| !s["state"]["running"].is_null());
    // What was put into the pod to look at it says nothing of the pod.
    let own = init_count + spec["containers"].items().len();
    let ephemeral = statuses.split_off(own.min(statuses.len()));
    let phase = match phase(worker, &statuses, init_count) {
        "Succeeded" | "Failed" if running && worker.verdict.is_none() => "Running",
        phase => phase,
    };
    let mut new = old.clone();
    let generation = worker.pod["metadata"]["generation"].clone();
    let ready_sandbox = worker.stage != Stage::Ended
        && sandbox(cluster, node, &worker.uid)
            .is_some_and(|s| cluster.net.namespace(s.netns).is_some());
    let generated = conditions(worker, &statuses, phase, ready_sandbox);
    new["conditions"] =
        merge_conditions(cluster, alike, &old["conditions"], generated, &generation);
    let (init, main) = statuses.split_at(init_count.min(statuses.len()));
    if !init.is_empty() {
        new["initContainerStatuses"] = array(init.to_vec());
    }
    new["containerStatuses"] = by_name(main.to_vec());
    if !ephemeral.is_empty() {
        new["ephemeralContainerStatuses"] = by_name(ephemeral);
    }
    if let Some(machine) = cluster
        .machines
        .get(node)
        .filter(|_| old["hostIP"].is_empty())
    {
        new["hostIPs"] = machine.host_ips.clone();
        new["hostIP"] = machine.host_ips[0]["ip"].clone();
    }
    // The address is told by the sync after the one that made the sandbox, as the relist finds it:
    // that one started a container or failed to.
    let tried = |s: &Value| {
        let waits_for = s["state"]["waiting"]["reason"].str();
        !s["containerID"].is_empty()
            || !matches!(waits_for, "" | "ContainerCreating" | "PodInitializing")
    };
    let told = !old["podIP"].is_empty() || worker.report_at.is_none() && statuses.iter().any(tried);
    if let Some(sandbox) = sandbox(cluster, node, &worker.uid).filter(|_| told) {
        let address: Text = sandbox.ip.to_string().into();
        if *old["podIP"].str() != *address {
            new["podIPs"] = array([object([("ip", (&address).into())])]);
            new["podIP"] = address.into();
        }
    }
    if old["resources"].is_null() || old["observedGeneration"] != generation {
        pod_resources(&mut new, &worker.pod);
    }
    new["observedGeneration"] = generation;
    // An end is told once nothing of the pod can run any more (`mergePodStatus`).
    let over = worker.has_ended();
    new["phase"] = match (phase, old["phase"].as_str()) {
        ("Succeeded" | "Failed", Some(before)) if !over => before.into(),
        _ => phase.into(),
    };
    if old["startTime"].is_null() {
        new["startTime"] = alike.stamp(cluster.now);
    }
    if let Some((reason, message)) = worker.verdict.as_deref().filter(|_| over) {
        new["reason"] = reason.into();
        new["message"] = message.into();
    }
    new
}

/// Only init containers keep their order (`normalizeStatus`).
fn by_name(mut statuses: Vec<Value>) -> Value {
    statuses.sort_by(|a, b| a["name"].str().cmp(b["name"].str()));
    array(statuses)
}

fn container_status(
    cluster: &Cluster,
    alike: &mut Alike,
    node: &Text,
    worker: &Worker,
    place: usize,
    spec: &Value,
) -> Value {
    let initialising = !worker.pod["spec"]["initContainers"].items().is_empty();
    let list = match role(&worker.pod, place) {
        Role::Main => "containerStatuses",
        Role::Ephemeral => "ephemeralContainerStatuses",
        Role::Init | Role::Sidecar => "initContainerStatuses",
    };
    let old = pods::container_status(&worker.pod, list, spec["name"].str());
    let mut status = object([
        ("image", spec["image"].clone()),
        ("imageID", "".into()),
        ("lastState", Value::new_object()),
        ("name", spec["name"].clone()),
        ("ready", false.into()),
        ("restartCount", 0.into()),
        ("started", false.into()),
        ("state", Value::new_object()),
    ]);
    let mounts = spec["volumeMounts"].items();
    if !mounts.is_empty() {
        // They never change: the ones of the last status are shared.
        status["volumeMounts"] = match old.get("volumeMounts") {
            Some(mounts) => mounts.clone(),
            None => array(mounts.iter().map(volume_mount).collect::<Vec<_>>()),
        };
    }
    let Some(container) = container(cluster, node, &worker.uid, place) else {
        let default = if initialising {
            "PodInitializing"
        } else {
            "ContainerCreating"
        };
        status["state"] = waiting(cluster.now, worker, place, old)
            .unwrap_or_else(|| object([("waiting", object([("reason", default.into())]))]));
        return status;
    };
    let pulled = start::image_of(cluster, node, &container.image);
    status["image"] = (&container.image).into();
    status["imageID"] = pulled.map(|p| p.id.clone()).into();
    status["containerID"] = container.id.uri().into();
    // One that was taken away to be made again counts already.
    let again = worker
        .waiting
        .get(&(place as u8))
        .is_some_and(|w| w.reason == restart_all::REASON);
    status["restartCount"] = (container.attempt + u32::from(again)).into();
    let granted = &worker.granted(place)["requests"];
    if !granted.is_empty() {
        status["allocatedResources"] = granted.clone();
    }
    let resources = worker.actual(place);
    status["resources"] = if resources.is_null() {
        Value::new_object()
    } else {
        resources.clone()
    };
    let user = user(&worker.pod, spec);
    status["user"] = match old.get("user") {
        Some(old) if *old == user => old.clone(),
        _ => alike.share(cluster.now, "user", user),
    };
    if let Some(previous) = &container.previous {
        status["lastState"] = object([("terminated", terminated(&previous.id, &previous.end))]);
    }
    let is_ready = worker.is_ready(place, container);
    status["ready"] = is_ready.into();
    status["started"] = (container.is_running()
        && list != "ephemeralContainerStatuses"
        && worker.has_started(place))
    .into();
    status["state"] = match &container.state {
        State::Created => object([(
            "waiting",
            object([(
                "reason",
                if initialising {
                    "PodInitializing"
                } else {
                    "ContainerCreating"
                }
                .into(),
            )]),
        )]),
        State::Running(since) => {
            let running = object([("startedAt", since.rfc3339().into())]);
            alike.share(cluster.now, "running", object([("running", running)]))
        }
        State::Exited(end) => {
            let terminated = terminated(&container.id, end);
            match waiting(cluster.now, worker, place, old) {
                Some(waiting) => {
                    status["lastState"] = object([("terminated", terminated)]);
                    waiting
                }
                None => object([("terminated", terminated)]),
            }
        }
    };
    status
}

/// Why a container waits, as far as it is told; `old` is what was told before.
fn waiting(now: Time, worker: &Worker, place: usize, old: &Value) -> Option<Value> {
    let waiting = worker.waiting.get(&(place as u8))?;
    if waiting.told > now {
        // A container that has ended since is told to have ended.
        let before = &old["state"];
        let stays = waiting.reason != start::CRASH_LOOP && !before["waiting"].is_null();
        return stays.then(|| before.clone());
    }
    let mut state = object([("reason", waiting.reason.into())]);
    if !waiting.message.is_empty() {
        state["message"] = (&waiting.message).into();
    }
    Some(object([("waiting", state)]))
}

fn terminated(container: &ContainerId, end: &End) -> Value {
    if *end.reason == *restart_all::REASON {
        // Of one that was taken away the kubelet knows no more.
        return object([
            ("exitCode", i64::from(end.code).into()),
            ("finishedAt", Value::Null),
            ("message", (&end.message).into()),
            ("reason", (&end.reason).into()),
            ("startedAt", Value::Null),
        ]);
    }
    let mut state = object([
        ("containerID", container.uri().into()),
        ("exitCode", i64::from(end.code).into()),
        ("finishedAt", end.finished.rfc3339().into()),
        ("reason", (&end.reason).into()),
        (
            "startedAt",
            if &*end.reason == "StartError" {
                "1970-01-01T00:00:00Z".into()
            } else {
                end.started.rfc3339().into()
            },
        ),
    ]);
    if !end.message.is_empty() {
        state["message"] = (&end.message).into();
    }
    state
}

fn volume_mount(mount: &Value) -> Value {
    let mut status = object([
        ("mountPath", mount["mountPath"].clone()),
        ("name", mount["name"].clone()),
    ]);
    if mount["readOnly"].as_bool() == Some(true) {
        status["readOnly"] = true.into();
        status["recursiveReadOnly"] = "Disabled".into();
    }
    status
}

fn user(pod: &Value, spec: &Value) -> Value {
    let user = crate::runtime::user::user(pod, spec);
    let groups: Vec<i64> = user.groups.iter().map(|group| i64::from(*group)).collect();
    object([(
        "linux",
        object([
            ("gid", i64::from(user.group).into()),
            ("supplementalGroups", array(groups)),
            ("uid", i64::from(user.number).into()),
        ]),
    )])
}

fn phase(worker: &Worker, statuses: &[Value], init_count: usize) -> &'static str {
    if worker.verdict.is_some() {
        return "Failed";
    }
    if worker.stage == Stage::New || worker.stage == Stage::Sandbox {
        return "Pending";
    }
    let code = |state: &Value| state["terminated"]["exitCode"].as_i64();
    let is_terminal = worker.stage == Stage::Ended || worker.is_leaving() && !worker.is_killing();
    let mut pending_init = false;
    for (place, status) in statuses.iter().enumerate().take(init_count) {
        if role(&worker.pod, place) == Role::Sidecar {
            pending_init |=
                status["started"].as_bool() != Some(true) && code(&status["state"]).is_none();
            continue;
        }
        match (code(&status["state"]), code(&status["lastState"])) {
            (Some(0), _) => {}
            (Some(failed), _) => {
                if is_terminal || !restarts(&worker.pod, place, failed as i32) {
                    return "Failed";
                }
                pending_init = true;
            }
            _ => pending_init = true,
        }
    }
    let main = &statuses[init_count.min(statuses.len())..];
    let has = |state: &str| main.iter().any(|s| !s["state"][state].is_null());
    let was_run = |s: &Value| !s["lastState"]["terminated"].is_null();
    let any_run = has("running") || has("terminated") || main.iter().any(was_run);
    if pending_init && !any_run {
        return "Pending";
    }
    let never_run = main
        .iter()
        .any(|s| !s["state"]["waiting"].is_null() && !was_run(s));
    if never_run {
        return "Pending";
    }
    if has("running") {
        return "Running";
    }
    let codes: Vec<i64> = main.iter().filter_map(|s| code(&s["state"])).collect();
    if codes.len() == main.len() {
        let ended = |s: &Value| code(&s["state"]).is_some();
        let first = init_count;
        let again = main.iter().enumerate().any(|(at, s)| {
            ended(s)
                && restarts(
                    &worker.pod,
                    first + at,
                    code(&s["state"]).unwrap_or(0) as i32,
                )
        });
        if !is_terminal && again {
            return "Running";
        }
        return if codes.iter().all(|c| *c == 0) {
            "Succeeded"
        } else {
            "Failed"
        };
    }
    "Running"
}

/// A condition to be told.
pub(super) struct Condition {
    pub kind: &'static str,
    pub status: bool,
    pub reason: &'static str,
    pub message: String,
    /// The generation that it is about, where that is not the pod's present one.
    pub generation: Option<i64>,
    /// When it was found, where that is told.
    pub probed: Option<Time>,
}

/// Those that tell of a resize go when it is over.
const RESIZE: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

fn condition(kind: &'static str, status: bool, reason: &'static str, message: String) -> Condition {
    Condition {
        kind,
        status,
        reason,
        message,
        generation: None,
        probed: None,
    }
}

fn conditions(
    worker: &Worker,
    statuses: &[Value],
    phase: &str,
    ready_sandbox: bool,
) -> Vec<Condition> {
    let pod = &worker.pod;
    let mut incomplete = Vec::new();
    let mut unready = Vec::new();
    let mut any_main_started = false;
    for (place, (spec, status)) in containers(pod).zip(statuses).enumerate() {
        let name = spec["name"].str();
        let is_ready = status["ready"].as_bool() == Some(true);
        let is_started = status["started"].as_bool() == Some(true);
        match role(pod, place) {
            Role::Init if !is_ready => incomplete.push(name),
            Role::Init => {}
            Role::Sidecar => {
                if !is_started {
                    incomplete.push(name);
                }
                if !is_ready {
                    unready.push(name);
                }
            }
            Role::Main => {
                any_main_started |= !status["containerID"].is_empty();
                if !is_ready {
                    unready.push(name);
                }
            }
            Role::Ephemeral => {}
        }
    }
    let initialized = match (phase, any_main_started, incomplete.is_empty()) {
        ("Succeeded", ..) => condition("Initialized", true, "PodCompleted", String::new()),
        (_, true, _) | (_, _, true) => condition("Initialized", true, "", String::new()),
        _ => condition(
            "Initialized",
            false,
            "ContainersNotInitialized",
            format!(
                "containers with incomplete status: [{}]",
                incomplete.join(" ")
            ),
        ),
    };
    let (are_ready, reason, message) = match phase {
        "Succeeded" => (false, "PodCompleted", String::new()),
        "Failed" => (false, "PodFailed", String::new()),
        _ if unready.is_empty() => (true, "", String::new()),
        _ => (
            false,
            "ContainersNotReady",
            format!("containers with unready status: [{}]", unready.join(" ")),
        ),
    };
    let containers_ready = condition("ContainersReady", are_ready, reason, message.clone());
    let ready = match (are_ready, gates(pod)) {
        (true, Some(message)) => condition("Ready", false, "ReadinessGatesNotReady", message),
        _ => condition("Ready", are_ready, reason, message),
    };
    let sandbox = match ready_sandbox {
        true => condition("PodReadyToStartContainers", true, "", String::new()),
        false => condition(
            "PodReadyToStartContainers",
            false,
            "PodSandboxNotReady",
            "No sandbox for pod can be found. Need to start a new one.".to_owned(),
        ),
    };
    let mut all = worker.resize_conditions();
    if restart_all::is_possible(pod) {
        let (reason, message) = match (phase, worker.restarting_all) {
            ("Succeeded", _) => ("PodCompleted", ""),
            ("Failed", _) => ("PodFailed", ""),
            (_, true) => (
                "RestartAllContainersStarted",
                "container exited with restart policy rule",
            ),
            (_, false) => ("", ""),
        };
        let restarting = worker.restarting_all && !message.is_empty();
        let message = message.to_owned();
        all.push(condition(
            "AllContainersRestarting",
            restarting,
            reason,
            message,
        ));
    }
    all.extend([
        sandbox,
        initialized,
        ready,
        containers_ready,
        condition("PodScheduled", true, "", String::new()),
    ]);
    all
}

/// What readiness gates say that is not fulfilled.
fn gates(pod: &Value) -> Option<String> {
    let mut messages = Vec::new();
    for gate in pod["spec"]["readinessGates"].items() {
        let kind = gate["conditionType"].str();
        let found = pod["status"]["conditions"]
            .items()
            .iter()
            .find(|c| c["type"].str() == kind);
        match found.map(|c| c["status"].str()) {
            None => messages.push(format!(
                "corresponding condition of pod readiness gate {kind:?} does not exist."
            )),
            Some("True") => {}
            Some(status) => messages.push(format!(
                "the status of pod readiness gate {kind:?} is not \"True\", but {status}"
            )),
        }
    }
    (!messages.is_empty()).then(|| messages.join(", "))
}

/// The conditions as they are to be stored: those of others stay, a time changes with its status.
fn merge_conditions(
    cluster: &Cluster,
    alike: &mut Alike,
    old: &Value,
    new: Vec<Condition>,
    generation: &Value,
) -> Value {
    let mut all: Vec<Value> = Vec::new();
    for condition in &new {
        let Condition {
            kind,
            reason,
            message,
            ..
        } = condition;
        let generation = match condition.generation {
            Some(own) => own.into(),
            None => generation.clone(),
        };
        let before = old.items().iter().find(|c| c["type"].str() == *kind);
        let word = if condition.status { "True" } else { "False" };
        if let Some(before) = before
            && before["status"].str() == word
            && before["reason"].str() == *reason
            && before["message"].str() == message
            && before["observedGeneration"] == generation
        {
            all.push(before.clone());
            continue;
        }
        let since = match before.filter(|b| b["status"].str() == word) {
            Some(before) => before["lastTransitionTime"].clone(),
            None => alike.stamp(cluster.now),
        };
        let probed = condition
            .probed
            .map_or(Value::Null, |at| at.rfc3339().into());
        let mut made = object([
            ("lastProbeTime", probed),
            ("lastTransitionTime", since),
            ("observedGeneration", generation),
            ("status", word.into()),
            ("type", (*kind).into()),
        ]);
        if !reason.is_empty() {
            made["reason"] = (*reason).into();
        }
        if !message.is_empty() {
            made["message"] = message.as_str().into();
        }
        all.push(alike.share(cluster.now, kind, made));
    }
    let others = old.items().iter().filter(|c| {
        let kind = c["type"].str();
        new.iter().all(|n| n.kind != kind) && !RESIZE.contains(&kind)
    });
    all.extend(others.cloned());
    alike.share(cluster.now, "conditions", array(all))
}

impl Worker {
    /// Whether a running container counts as ready.
    fn is_ready(&self, place: usize, container: &Container) -> bool {
        match (&container.state, role(&self.pod, place)) {
            (State::Exited(end), Role::Init) => end.code == 0,
            (State::Running(_), Role::Main | Role::Sidecar) => self.is_probed_ready(place),
            _ => false,
        }
    }
}
