//! Startup, readiness and liveness probes (kubelet v1.37, `pkg/kubelet/prober`).
//!
//! A pod's probes share one task, which is due when the first of them is. A probe goes through the
//! simulated network from the node; one that comes to the same result as before changes nothing.

use std::net::SocketAddrV4;
use std::time::Duration;

use kubarium_objects::{ObjectKey, Text, Value};

use super::start::container_event;
use super::worker::{Worker, container};
use super::{Work, terminate};
use crate::cluster::Cluster;
use crate::event::{Action, Component};
use crate::programs;
use crate::runtime::{Container, exec};
use crate::task::Task;
use crate::time::Time;

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Startup,
    Readiness,
    Liveness,
}

impl Kind {
    fn field(self) -> &'static str {
        match self {
            Kind::Startup => "startupProbe",
            Kind::Readiness => "readinessProbe",
            Kind::Liveness => "livenessProbe",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Startup => "Startup",
            Kind::Readiness => "Readiness",
            Kind::Liveness => "Liveness",
        }
    }
}

/// One probe of a running container.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    place: u8,
    kind: Kind,
    next: Time,
    /// The last outcome, and how often in a row it has come.
    last: Option<bool>,
    run: u32,
    /// What counts, after the thresholds.
    result: Option<bool>,
}

const NEVER: Time = Time(u64::MAX);
const KINDS: [Kind; 3] = [Kind::Startup, Kind::Readiness, Kind::Liveness];

/// A container was started: its probes begin.
pub(super) fn begin(cluster: &Cluster, node: &Text, worker: &mut Worker, place: usize) {
    forget(worker, place);
    for kind in KINDS {
        let spec = &worker.spec(place)[kind.field()];
        if spec.is_null() {
            continue;
        }
        let delay = Duration::from_secs(
            spec["initialDelaySeconds"]
                .as_i64()
                .unwrap_or(0)
                .unsigned_abs(),
        );
        // The prober hears of the container from the relist that sees it.
        let next = super::next_relist(cluster, node) + delay;
        worker.probes.push(Probe {
            place: place as u8,
            kind,
            next,
            last: None,
            run: 0,
            result: None,
        });
    }
}

/// A container is made anew: what was known of it counts no more.
pub(super) fn forget(worker: &mut Worker, place: usize) {
    worker.probes.retain(|p| usize::from(p.place) != place);
}

impl Worker {
    /// Whether a container's startup probe has succeeded, or it has none.
    pub(super) fn has_started(&self, place: usize) -> bool {
        self.result(place, Kind::Startup).unwrap_or(true)
    }

    /// Whether a running container is ready by its probes.
    pub(super) fn is_probed_ready(&self, place: usize) -> bool {
        self.has_started(place) && self.result(place, Kind::Readiness).unwrap_or(true)
    }

    /// `None` where there is no such probe.
    fn result(&self, place: usize, kind: Kind) -> Option<bool> {
        if self.spec(place)[kind.field()].is_null() {
            return None;
        }
        let probe = self
            .probes
            .iter()
            .find(|p| usize::from(p.place) == place && p.kind == kind);
        Some(probe.is_some_and(|p| p.result == Some(true)))
    }
}

/// Sees to it that the pod's probes are run when they are due.
pub(super) fn plan(cluster: &mut Cluster, node: &Text, worker: &Worker) {
    if let Some(next) = worker
        .probes
        .iter()
        .map(|p| p.next)
        .filter(|at| *at != NEVER)
        .min()
    {
        let work = Work::Probe(worker.key.clone(), worker.uid.clone());
        cluster.queue.add(
            next.max(cluster.now),
            Task::Kubelet(node.clone(), work),
            None,
        );
    }
}

/// Runs the probes of a pod that are due.
pub(super) fn run(cluster: &mut Cluster, node: &Text, key: &ObjectKey, uid: &Text) {
    let Some(machine) = cluster.machine_mut(node) else {
        return;
    };
    let Some(worker) = machine.kubelet.pods.remove(uid) else {
        return;
    };
    let mut worker = std::sync::Arc::unwrap_or_clone(worker);
    worker.last = None;
    let mut changed = false;
    for at in 0..worker.probes.len() {
        if worker.probes[at].next <= cluster.now {
            changed |= run_one(cluster, node, &mut worker, at);
        }
    }
    plan(cluster, node, &worker);
    let cause = worker.last;
    if let Some(machine) = cluster.machine_mut(node) {
        machine
            .kubelet
            .pods
            .insert(uid.clone(), std::sync::Arc::new(worker));
    }
    if changed {
        let work = Work::Pod(key.clone(), uid.clone());
        cluster
            .queue
            .add(cluster.now, Task::Kubelet(node.clone(), work), cause);
    }
}

/// Runs one probe; whether its result has changed.
fn run_one(cluster: &mut Cluster, node: &Text, worker: &mut Worker, at: usize) -> bool {
    let Probe { place, kind, .. } = worker.probes[at];
    let place = usize::from(place);
    let spec = worker.spec(place)[kind.field()].clone();
    let number = |field: &str, default: i64| {
        spec[field]
            .as_i64()
            .unwrap_or(default)
            .max(1)
            .unsigned_abs()
    };
    let period = Duration::from_secs(number("periodSeconds", 10));
    worker.probes[at].next = cluster.now + period;
    let running = container(cluster, node, &worker.uid, place).is_some_and(Container::is_running);
    let deleted = !worker.pod["metadata"]["deletionTimestamp"].is_null();
    if !running || deleted && kind != Kind::Readiness {
        return false;
    }
    match kind {
        Kind::Startup if worker.probes[at].result == Some(true) => {
            // It has done its work.
            worker.probes[at].next = NEVER;
            return false;
        }
        Kind::Readiness | Kind::Liveness if !worker.has_started(place) => return false,
        _ => {}
    }
    let timeout = Duration::from_secs(number("timeoutSeconds", 1));
    let outcome = probe(cluster, node, worker, place, &spec, timeout);
    let is_good = outcome.is_ok();
    let probe = &mut worker.probes[at];
    probe.run = if probe.last == Some(is_good) {
        probe.run.saturating_add(1)
    } else {
        1
    };
    probe.last = Some(is_good);
    let threshold = if is_good {
        number("successThreshold", 1)
    } else {
        number("failureThreshold", 3)
    };
    let before = probe.result;
    let first = probe.run == 1;
    let reached = u64::from(probe.run) >= threshold;
    if reached {
        probe.result = Some(is_good);
        if !is_good && kind != Kind::Readiness {
            probe.run = 0;
        }
    }
    let text = match &outcome {
        Ok(()) => format!("{} probe succeeded", kind.word()),
        Err(Unwell::Failed(why)) => format!("{} probe failed: {why}", kind.word()),
        Err(Unwell::Errored(why)) => format!(
            "{} probe errored and resulted in unknown state: {why}",
            kind.word()
        ),
    };
    if first {
        let name = worker.spec(place)["name"].str().to_owned();
        worker.log(
            cluster,
            &Component::Kubelet(node.clone()),
            Action::Probe,
            format!("{name}: {text}"),
        );
    }
    if !is_good {
        container_event(cluster, node, worker, place, "Warning", "Unhealthy", &text);
    }
    let changed = worker.probes[at].result != before;
    if !is_good && reached && kind != Kind::Readiness {
        let name = worker.spec(place)["name"].str().to_owned();
        let message = format!(
            "Container {name} failed {} probe, will be restarted",
            kind.word().to_lowercase()
        );
        worker.probes[at].result = if kind == Kind::Startup {
            Some(false)
        } else {
            before
        };
        // A probe may have a grace of its own.
        let grace = spec["terminationGracePeriodSeconds"].as_i64();
        terminate::kill(cluster, node, worker, place, &message, grace);
        return true;
    }
    if changed {
        worker.report_at = Some(cluster.now);
    }
    changed
}

/// Why a container is not well.
pub(crate) enum Unwell {
    /// The check says so.
    Failed(String),
    /// The check could not be made.
    Errored(String),
}

impl From<String> for Unwell {
    fn from(why: String) -> Unwell {
        Unwell::Failed(why)
    }
}

/// Asks the container.
fn probe(
    cluster: &mut Cluster,
    node: &Text,
    worker: &Worker,
    place: usize,
    spec: &Value,
    timeout: Duration,
) -> Result<(), Unwell> {
    let container = worker.spec(place);
    if let Some(action) = spec.get("exec") {
        let argv: Vec<String> = action["command"]
            .items()
            .iter()
            .map(|w| w.str().to_owned())
            .collect();
        return exec::exec_probe(cluster, node, &worker.uid, place, &argv, timeout);
    }
    let Some(sandbox) = cluster.sandbox(node, &worker.uid) else {
        return Err("no sandbox".to_owned().into());
    };
    let ip = sandbox.ip;
    let host = |action: &Value| {
        action["host"]
            .as_str()
            .map_or_else(|| ip.to_string(), str::to_owned)
    };
    let number = |value: &Value| port(container, value);
    if let Some(action) = spec.get("httpGet") {
        let port = number(&action["port"])?;
        let scheme = action["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let path = match action["path"].str() {
            "" => "/".to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => format!("/{path}"),
        };
        return Ok(programs::probe_http(
            cluster,
            node,
            &scheme,
            &host(action),
            port,
            &path,
            timeout,
        )?);
    }
    if let Some(action) = spec.get("tcpSocket") {
        return Ok(programs::probe_tcp(
            cluster,
            node,
            &host(action),
            number(&action["port"])?,
            timeout,
        )?);
    }
    if let Some(action) = spec.get("grpc") {
        let port = number(&action["port"])?;
        let service = action["service"].str();
        let address = SocketAddrV4::new(ip, port);
        return Ok(grpc(cluster, node, address, service, timeout)?);
    }
    Err("missing probe handler".to_owned().into())
}

/// Asks for a service's health by gRPC (`pkg/probe/grpc`, grpc.health.v1).
fn grpc(
    cluster: &mut Cluster,
    node: &Text,
    address: SocketAddrV4,
    service: &str,
    timeout: Duration,
) -> Result<(), String> {
    match programs::grpc_health(cluster, node, address, timeout) {
        // A server that does not speak gRPC never completes the connection.
        None => Err(format!(
            "timeout: failed to connect service \"{address}\" within {}s: context deadline exceeded",
            timeout.as_secs()
        )),
        Some(known) if known.contains(&service) => Ok(()),
        Some(_) => Err(
            "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"
                .to_owned(),
        ),
    }
}

/// A port by its number or its name in the container.
pub(crate) fn port(container: &Value, value: &Value) -> Result<u16, String> {
    let number = match value.as_str() {
        Some(name) => {
            let named = container["ports"]
                .items()
                .iter()
                .find(|p| p["name"].str() == name);
            named
                .and_then(|p| p["containerPort"].as_i64())
                .or(name.parse().ok())
        }
        None => value.as_i64(),
    };
    number
        .and_then(|n| u16::try_from(n).ok())
        .ok_or_else(|| format!("couldn't find port: {value}"))
}
