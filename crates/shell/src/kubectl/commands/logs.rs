//! `kubectl logs`

use std::time::Duration;

use kubarium_cluster::Time;
use kubarium_cluster::runtime::{ContainerId, Line, Logs, State};
use kubarium_objects::{ObjectMeta, Selector, Value, go, time};

use crate::kubectl::Kubectl;
use crate::kubectl::command::{ALL_NAMESPACES, Command, SELECTOR};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch, text};
use crate::kubectl::follow::Follow;
use crate::kubectl::resource::{Info, Query};

const FLAGS: &[Flag] = &[
    switch("all-containers", "Get all containers' logs in the pod(s)."),
    switch("all-pods", "Get logs from all pod(s). Sets prefix to true."),
    text("container", "Print the logs of this container").short('c'),
    switch("follow", "Specify if the logs should be streamed.").short('f'),
    switch(
        "ignore-errors",
        "If watching / following pod logs, allow for any errors that occur to be non-fatal",
    ),
    switch(
        "insecure-skip-tls-verify-backend",
        "Skip verifying the identity of the kubelet that logs are requested from.",
    ),
    flag(
        "limit-bytes",
        Kind::Int,
        "0",
        "Maximum bytes of logs to return. Defaults to no limit.",
    ),
    flag(
        "max-log-requests",
        Kind::Int,
        "5",
        "Specify maximum number of concurrent logs to follow when using by a selector. Defaults to 5.",
    ),
    flag(
        "pod-running-timeout",
        Kind::Duration,
        "20s",
        "The length of time (like 5s, 2m, or 3h, higher than zero) to wait until at least one pod is running",
    ),
    switch(
        "prefix",
        "Prefix each log line with the log source (pod name and container name)",
    ),
    switch(
        "previous",
        "If true, print the logs for the previous instance of the container in a pod if it exists.",
    )
    .short('p'),
    flag(
        "since",
        Kind::Duration,
        "0s",
        "Only return logs newer than a relative duration like 5s, 2m, or 3h. Defaults to all logs.",
    ),
    text(
        "since-time",
        "Only return logs after a specific date (RFC3339). Defaults to all logs.",
    ),
    flag(
        "tail",
        Kind::Int,
        "-1",
        "Lines of recent log file to display. Defaults to -1 with no selector, showing all log lines otherwise 10, if a selector is provided.",
    ),
    switch(
        "timestamps",
        "Include timestamps on each line in the log output",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "logs",
    "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER] [options]",
    "Print the logs for a container in a pod",
    run,
)
.flags(&[SELECTOR, ALL_NAMESPACES, FLAGS]);

const USAGE: &str = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command";

/// One container whose output is wanted.
#[derive(Clone)]
struct Source {
    pod: Info,
    container: String,
    /// The container that is followed: its id, once it has one.
    id: Option<ContainerId>,
    /// How many of its lines are printed.
    printed: usize,
    /// When kubectl asks again after a refusal, and when it gives up.
    again: Time,
    patience: Time,
    over: bool,
}

/// What `kubectl logs --follow` follows.
#[derive(Clone)]
pub(crate) struct Following {
    sources: Vec<Source>,
    by_selector: bool,
}

fn run(k: &mut Kubectl) -> Result {
    let selector = k.flags.str("selector").to_owned();
    let mut args = k.flags.args.clone();
    if (args.is_empty() && selector.is_empty()) || args.len() > 2 {
        return Err(k.usage(USAGE));
    }
    if args.len() == 1 && !selector.is_empty() {
        return Err(k.usage("only a selector (-l) or a POD name is allowed"));
    }
    let since = k.flags.str("since-time").to_owned();
    if !since.is_empty() && time::parse_micros(&since).is_none() {
        return plain(format!(
            "parsing time {} as \"2006-01-02T15:04:05Z07:00\": cannot parse {} as \"2006\"",
            go::quote(&since),
            go::quote(&since)
        ));
    }
    let mut container = k.flags.str("container").to_owned();
    let inline = args.len() == 2;
    if inline {
        container = args.remove(1);
    }
    let pods = match args.first() {
        Some(target) => vec![named(k, target)?],
        None => selected(k, &selector)?,
    };
    if pods.is_empty() {
        let namespace = k.namespace();
        k.err(format!("No resources found in {namespace} namespace.\n"));
    }
    if k.flags.changed("since-time") && !k.flags.duration("since").is_zero() {
        return plain("at most one of `sinceTime` or `sinceSeconds` may be specified");
    }
    if k.flags.bool("all-containers") && !container.is_empty() {
        return plain(format!(
            "--all-containers=true should not be specified with container name {container}"
        ));
    }
    if inline && k.flags.changed("container") {
        return plain("only one of -c or an inline [CONTAINER] arg is allowed");
    }
    if k.flags.int("limit-bytes") < 0 {
        return plain("--limit-bytes must be greater than 0");
    }
    if k.flags.str("since").starts_with('-') {
        return plain("--since must be greater than 0");
    }
    if k.flags.int("tail") < -1 {
        return plain("--tail must be greater than or equal to -1");
    }
    let pods = match &pods[..] {
        [only] if &*only.resource.id() != "pods" => chosen(k, only)?,
        _ => pods,
    };
    let now = k.cluster().now;
    let patience = now + k.flags.duration("pod-running-timeout");
    let mut sources = Vec::new();
    for pod in pods {
        for container in containers(k, &pod.object, &container)? {
            sources.push(Source {
                pod: pod.clone(),
                container,
                id: None,
                printed: 0,
                again: now,
                patience,
                over: false,
            });
        }
    }
    let by_selector = !selector.is_empty();
    if k.flags.bool("follow") {
        let allowed = k.flags.int("max-log-requests");
        if sources.len() > 1 && sources.len() as i64 > allowed {
            return plain(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {allowed}, use --max-log-requests to increase the limit",
                sources.len()
            ));
        }
        k.follow = Some(Follow::Logs(Following {
            sources,
            by_selector,
        }));
        return Ok(());
    }
    for source in sources {
        match shown(k, &source.pod, &source.container, by_selector) {
            Ok(text) => k.out(text),
            Err(error) if k.flags.bool("ignore-errors") => {
                k.out(format!("error: {}\n", error.text()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Following {
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        for source in &mut self.sources {
            source.step(k, self.by_selector)?;
        }
        let now = k.cluster().now;
        if self.sources.iter().all(|s| s.over) {
            return Ok(None);
        }
        let retry = self
            .sources
            .iter()
            .filter(|s| !s.over && s.again > now)
            .map(|s| s.again)
            .min();
        Ok(Some(k.next_look(retry)))
    }
}

impl Source {
    /// Prints what the container has written since. It is over when that container has ended.
    fn step(&mut self, k: &mut Kubectl, by_selector: bool) -> Result {
        let now = k.cluster().now;
        if self.over || now < self.again {
            return Ok(());
        }
        if self.id.is_none() {
            match shown(k, &self.pod, &self.container, by_selector) {
                Ok(text) => {
                    k.out(text);
                    match current(k, self) {
                        Some((id, lines, ended)) => {
                            (self.id, self.printed, self.over) = (Some(id), lines, ended);
                        }
                        // A pod without a node: the answer is empty.
                        None => self.over = true,
                    }
                }
                Err(error) if k.flags.bool("ignore-errors") => {
                    k.out(format!("error: {}\n", error.text()));
                    self.over = true;
                }
                Err(error) => {
                    k.err(format!("{}\n", error.text()));
                    if now >= self.patience {
                        return plain("timed out waiting for the condition");
                    }
                    self.again = (now + RETRY).min(self.patience);
                }
            }
            return Ok(());
        }
        let (text, lines, ended) = more(k, self);
        k.out(text);
        (self.printed, self.over) = (lines, ended);
        Ok(())
    }
}

/// How long kubectl waits before it asks again.
const RETRY: Duration = Duration::from_secs(1);

/// The container that stands in a source's place now: its id, how many lines it has written, and
/// whether it has ended.
fn current(k: &Kubectl, source: &Source) -> Option<(ContainerId, usize, bool)> {
    let (_, sandbox) = k.cluster().sandbox_of(&source.pod.key())?;
    let container = sandbox.container(&source.container)?;
    let ended = matches!(container.state, State::Exited(_));
    Some((
        container.id.clone(),
        finished_lines(&container.logs, ended),
        ended,
    ))
}

/// The lines that are complete, or all where nothing is to follow.
fn finished_lines(logs: &Logs, ended: bool) -> usize {
    let open = logs.lines().next_back().is_some_and(|l| !l.complete) && !ended;
    logs.lines().count() - usize::from(open)
}

/// What a followed container has written beyond what is printed, how many lines that makes, and
/// whether it has ended.
fn more(k: &Kubectl, source: &Source) -> (String, usize, bool) {
    let Some((_, sandbox)) = k.cluster().sandbox_of(&source.pod.key()) else {
        return (String::new(), source.printed, true);
    };
    let Some(container) = sandbox.container(&source.container) else {
        return (String::new(), source.printed, true);
    };
    let (logs, ended) = if Some(&container.id) == source.id.as_ref() {
        (&container.logs, matches!(container.state, State::Exited(_)))
    } else {
        match &container.previous {
            Some(previous) if Some(&previous.id) == source.id.as_ref() => (&previous.logs, true),
            _ => return (String::new(), source.printed, true),
        }
    };
    let end = finished_lines(logs, ended);
    // Old lines may have been given up.
    let from = source.printed.min(end);
    let lines: Vec<&Line> = logs.lines().skip(from).take(end - from).collect();
    (
        written(k, &lines, &source.pod.name, &source.container),
        end,
        ended,
    )
}

/// The object of `POD` or `TYPE/NAME`.
fn named(k: &mut Kubectl, target: &str) -> Result<Info> {
    let (kind, name) = target.split_once('/').unwrap_or(("pods", target));
    let resource = k.mapping(kind)?;
    let namespace = if resource.namespaced {
        k.namespace()
    } else {
        "".into()
    };
    match k.read(&resource, &namespace, name) {
        Ok(object) => Ok(Info {
            resource,
            namespace,
            name: name.into(),
            object,
            source: String::new(),
        }),
        Err(error) if error.is_not_found() => plain(format!(
            "error from server (NotFound): {} in namespace {}",
            error.text(),
            go::quote(&namespace)
        )),
        Err(error) => Err(error),
    }
}

fn selected(k: &mut Kubectl, selector: &str) -> Result<Vec<Info>> {
    let pods = k.mapping("pods")?;
    let all_namespaces = k.flags.bool("all-namespaces");
    k.list(
        &pods,
        &Query {
            selector: Some(selector.to_owned()),
            all_namespaces,
            ..Query::default()
        },
    )
}

/// The pods of a Deployment, Job and their like that are meant: one, or all with `--all-pods`.
fn chosen(k: &mut Kubectl, owner: &Info) -> Result<Vec<Info>> {
    let mut pods = pods_of(k, owner, "logs")?;
    if pods.is_empty() {
        return plain("timed out waiting for the condition");
    }
    most_logged_first(&mut pods);
    if !k.flags.bool("all-pods") {
        if pods.len() == 1 {
            return Ok(pods);
        }
        k.err(format!(
            "Found {} pods, using pod/{}\n",
            pods.len(),
            pods[0].name
        ));
        pods.truncate(1);
    }
    Ok(pods)
}

/// `podutils.ByLogging`: assigned, running, ready, ready for longer, restarted more, older first.
fn most_logged_first(pods: &mut [Info]) {
    let phase = |p: &Value| match p["status"]["phase"].str() {
        "Running" => 2,
        "Pending" => 0,
        _ => 1,
    };
    pods.sort_by_cached_key(|p| {
        let o = &p.object;
        let (ready, since) = readiness(o);
        let restarts = restarts(o);
        (
            o["spec"]["nodeName"].is_empty(),
            std::cmp::Reverse(phase(o)),
            !ready,
            since,
            std::cmp::Reverse(restarts),
            o.creation_timestamp().unwrap_or("").to_owned(),
        )
    });
}

/// `sort.Reverse(podutils.ActivePods)`: the pod that works best comes first.
pub(super) fn most_active_first(pods: &mut [Info]) {
    let phase = |p: &Value| match p["status"]["phase"].str() {
        "Running" => 2,
        "Pending" => 0,
        _ => 1,
    };
    pods.sort_by_cached_key(|p| {
        let o = &p.object;
        let (ready, since) = readiness(o);
        (
            o["spec"]["nodeName"].is_empty(),
            std::cmp::Reverse(phase(o)),
            !ready,
            o.is_deleting(),
            since,
            restarts(o),
            o.creation_timestamp().unwrap_or("").to_owned(),
        )
    });
}

/// Whether a pod is ready, and since when.
fn readiness(pod: &Value) -> (bool, String) {
    let conditions = pod["status"]["conditions"].items();
    match conditions.iter().find(|c| c["type"].str() == "Ready") {
        Some(c) if c["status"].str() == "True" => (true, c["lastTransitionTime"].str().to_owned()),
        _ => (false, String::new()),
    }
}

fn restarts(pod: &Value) -> i64 {
    let statuses = pod["status"]["containerStatuses"].items().iter();
    statuses
        .map(|s| s["restartCount"].as_i64().unwrap_or(0))
        .max()
        .unwrap_or(0)
}

/// The number of the container port of a name.
pub(super) fn container_port(pod: &Value, name: &str) -> Option<i64> {
    let containers = pod["spec"]["containers"].items().iter();
    let mut ports = containers.flat_map(|c| c["ports"].items());
    ports.find(|p| p["name"].str() == name)?["containerPort"].as_i64()
}

/// The pods that an object selects.
pub(super) fn pods_of(k: &mut Kubectl, owner: &Info, what: &str) -> Result<Vec<Info>> {
    let selector = match &*owner.resource.kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => {
            Selector::from_label_selector(&owner.object["spec"]["selector"])
                .map_err(|e| Error::Plain(e.to_string()))?
        }
        "Service" if owner.object["spec"]["selector"].is_empty() => {
            let doing = doing(what);
            return plain(format!(
                "{doing} *v1.Service: invalid service '{}': Service is defined without a selector",
                owner.name
            ));
        }
        "Service" | "ReplicationController" => {
            Selector::from_map(&owner.object["spec"]["selector"])
        }
        kind => {
            let package = if owner.resource.group.is_empty() {
                "v1"
            } else {
                &owner.resource.version
            };
            let doing = doing(what);
            return plain(format!(
                "{doing} *{package}.{kind}: selector for *{package}.{kind} not implemented"
            ));
        }
    };
    let pods = k.mapping("pods")?;
    let all = k.list(&pods, &Query::default())?;
    Ok(all
        .into_iter()
        .filter(|p| p.namespace == owner.namespace && selector.matches(p.object.labels()))
        .collect())
}

fn doing(what: &str) -> &'static str {
    if what == "logs" {
        "cannot get the logs from"
    } else {
        "cannot attach to"
    }
}

/// Names of a pod's containers, each with what kind it is: ``, `init`, `ephem`.
pub(super) fn container_names(pod: &Value) -> Vec<(String, &'static str)> {
    let of = |field: &str, kind: &'static str| -> Vec<(String, &'static str)> {
        pod["spec"][field]
            .items()
            .iter()
            .map(|c| (c["name"].str().to_owned(), kind))
            .collect()
    };
    let mut all = of("containers", "");
    all.extend(of("ephemeralContainers", "ephem"));
    all.extend(of("initContainers", "init"));
    all
}

/// `main, first (init)`
pub(super) fn listed(all: &[(String, &'static str)]) -> String {
    let shown: Vec<String> = all
        .iter()
        .map(|(name, kind)| {
            if kind.is_empty() {
                name.clone()
            } else {
                format!("{name} ({kind})")
            }
        })
        .collect();
    shown.join(", ")
}

/// The container that is meant where none is named, and whether kubectl says so.
pub(super) fn default_container(pod: &Value) -> (String, bool) {
    let all = container_names(pod);
    let annotated = pod.annotation("kubectl.kubernetes.io/default-container");
    match annotated.filter(|name| all.iter().any(|(n, _)| n == name)) {
        Some(name) => (name.to_owned(), false),
        None => (
            pod["spec"]["containers"][0]["name"].str().to_owned(),
            all.len() > 1,
        ),
    }
}

fn containers(k: &mut Kubectl, pod: &Value, wanted: &str) -> Result<Vec<String>> {
    let all = container_names(pod);
    if k.flags.bool("all-containers") {
        let init = all.iter().filter(|(_, kind)| *kind == "init");
        let main = all.iter().filter(|(_, kind)| kind.is_empty());
        let ephemeral = all.iter().filter(|(_, kind)| *kind == "ephem");
        return Ok(init
            .chain(main)
            .chain(ephemeral)
            .map(|(name, _)| name.clone())
            .collect());
    }
    if !wanted.is_empty() {
        if all.iter().all(|(name, _)| name != wanted) {
            return plain(format!(
                "container {wanted} is not valid for pod {} out of: {}",
                pod.name(),
                listed(&all)
            ));
        }
        return Ok(vec![wanted.to_owned()]);
    }
    let (name, said) = default_container(pod);
    if said && !k.flags.bool("all-pods") {
        k.err(format!(
            "Defaulted container {} out of: {}\n",
            go::quote(&name),
            listed(&all)
        ));
    }
    Ok(vec![name])
}

/// What a container has written, all of it.
pub(super) fn text_of(k: &Kubectl, pod: &Info, container: &str, previous: bool) -> Option<String> {
    let logs = logs_of(k, pod, container, previous)?;
    Some(
        logs.lines()
            .map(|l| {
                if l.complete {
                    format!("{}\n", l.text)
                } else {
                    l.text.to_string()
                }
            })
            .collect(),
    )
}

fn logs_of<'a>(k: &'a Kubectl, pod: &Info, container: &str, previous: bool) -> Option<&'a Logs> {
    let (_, sandbox) = k.cluster().sandbox_of(&pod.key())?;
    let container = sandbox.container(container)?;
    match previous {
        true => container.previous.as_ref().map(|p| &p.logs),
        false => Some(&container.logs),
    }
}

fn shown(k: &Kubectl, pod: &Info, container: &str, by_selector: bool) -> Result<String> {
    let previous = k.flags.bool("previous");
    let logs = k
        .cluster()
        .container_logs(&pod.key(), container, previous)?;
    let Some(logs) = logs else {
        return Ok(String::new());
    };
    Ok(formatted(k, logs, &pod.name, container, by_selector))
}

fn formatted(k: &Kubectl, logs: &Logs, pod: &str, container: &str, by_selector: bool) -> String {
    let now = k.cluster().now;
    let mut after = None;
    if k.flags.changed("since") {
        after = Some(i64::try_from(k.flags.duration("since").as_micros()).unwrap_or(i64::MAX));
        after = after.map(|ago| (now.unix_seconds() * 1_000_000).saturating_sub(ago));
    } else if !k.flags.str("since-time").is_empty() {
        after = time::parse_micros(k.flags.str("since-time"));
    }
    let micros =
        |at: kubarium_cluster::Time| at.unix_seconds() * 1_000_000 + i64::from(at.subsec_micros());
    let lines: Vec<_> = logs
        .lines()
        .filter(|l| after.is_none_or(|after| micros(l.at) >= after))
        .collect();
    let tail = match k.flags.int("tail") {
        -1 if by_selector && !k.flags.changed("tail") => 10,
        -1 => lines.len(),
        n => usize::try_from(n).unwrap_or(0),
    };
    let mut text = written(
        k,
        &lines[lines.len().saturating_sub(tail)..],
        pod,
        container,
    );
    let limit = usize::try_from(k.flags.int("limit-bytes")).unwrap_or(0);
    if limit > 0 && text.len() > limit {
        let end = (0..=limit)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// Lines as they are printed: with the source or the time in front where that is asked for.
fn written(k: &Kubectl, lines: &[&Line], pod: &str, container: &str) -> String {
    let prefix = if k.flags.bool("prefix") || k.flags.bool("all-pods") {
        format!("[pod/{pod}/{container}] ")
    } else {
        String::new()
    };
    let mut text = String::new();
    for line in lines {
        text.push_str(&prefix);
        if k.flags.bool("timestamps") {
            let at = line.at.rfc3339_micro().replace('Z', "000Z");
            text.push_str(&format!("{at} "));
        }
        text.push_str(&line.text);
        if line.complete {
            text.push('\n');
        }
    }
    text
}
