//! `kubectl logs`

use std::time::Duration;

use kubarium_cluster::runtime::Logs;
use kubarium_objects::{ObjectMeta, Selector, Status, Value, go, time};

use crate::kubectl::Kubectl;
use crate::kubectl::command::{ALL_NAMESPACES, Command, SELECTOR};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch, text};
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

pub(crate) const COMMAND: Command = Command::new("logs", "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER] [options]", "Print the logs for a container in a pod", run)
    .flags(&[SELECTOR, ALL_NAMESPACES, FLAGS])
    .partly("-f lets simulated time run until the container has ended, a minute at the most, and prints then")
    .changing();

/// How long `-f` lets time run.
const FOLLOW: Duration = Duration::from_secs(60);

fn run(k: &mut Kubectl) -> Result {
    let selector = k.flags.str("selector").to_owned();
    let mut args = k.flags.args.clone();
    if args.is_empty() && selector.is_empty() {
        return Err(k.usage("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command"));
    }
    if args.len() > 2 {
        return Err(k.usage("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command"));
    }
    if !args.is_empty() && !selector.is_empty() {
        return Err(k.usage("only a selector (-l) or a POD name is allowed"));
    }
    let mut container = k.flags.str("container").to_owned();
    if args.len() == 2 {
        if !container.is_empty() {
            return Err(k.usage("only one of -c or an inline [CONTAINER] arg is allowed"));
        }
        container = args.remove(1);
    }
    if k.flags.int("tail") < -1 {
        return plain("--tail must be greater than or equal to -1");
    }
    if k.flags.changed("since") && k.flags.changed("since-time") {
        return plain("at most one of `sinceTime` or `sinceSeconds` may be specified");
    }
    if k.flags.changed("limit-bytes") && k.flags.int("limit-bytes") < 1 {
        return plain("--limit-bytes must be greater than 0");
    }
    if k.flags.bool("all-containers") && !container.is_empty() {
        return plain(format!(
            "--all-containers=true should not be specified with container name {container}"
        ));
    }
    let since = k.flags.str("since-time").to_owned();
    if !since.is_empty() && time::parse_micros(&since).is_none() {
        return plain(format!(
            "parsing time {} as \"2006-01-02T15:04:05Z07:00\": cannot parse {} as \"2006\"",
            go::quote(&since),
            go::quote(&since)
        ));
    }
    let pods = if selector.is_empty() {
        vec![named(k, &args[0])?]
    } else {
        selected(k, &selector)?
    };
    if pods.is_empty() {
        let namespace = k.namespace();
        k.err(format!("No resources found in {namespace} namespace.\n"));
        return Ok(());
    }
    let pods = match pods.len() {
        1 if selector.is_empty() && &*pods[0].resource.id() != "pods" => chosen(k, &pods[0])?,
        _ => pods,
    };
    let mut errors = Vec::new();
    for pod in pods {
        for name in containers(k, &pod.object, &container)? {
            if let Err(error) = print(k, &pod, &name, !selector.is_empty()) {
                errors.push(error);
            }
        }
    }
    Error::aggregate(errors)
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
    if !k.flags.bool("all-pods") && pods.len() > 1 {
        // The one that has been ready for longest comes first.
        pods.sort_by_key(|p| {
            (
                p.object["status"]["phase"].str() != "Running",
                p.object.creation_timestamp().unwrap_or("").to_owned(),
            )
        });
        k.err(format!(
            "Found {} pods, using pod/{}\n",
            pods.len(),
            pods[0].name
        ));
        pods.truncate(1);
    }
    Ok(pods)
}

/// The pods that an object selects.
pub(super) fn pods_of(k: &mut Kubectl, owner: &Info, what: &str) -> Result<Vec<Info>> {
    let selector = match &*owner.resource.kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => {
            Selector::from_label_selector(&owner.object["spec"]["selector"])
                .map_err(|e| Error::Plain(e.to_string()))?
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
            let doing = if what == "logs" {
                "cannot get the logs from"
            } else {
                "cannot attach to"
            };
            return plain(format!(
                "{doing} *{package}.{kind}: selector for *{package}.{kind} not implemented"
            ));
        }
    };
    let pods = k.mapping("pods")?;
    let all = k.list(
        &pods,
        &Query {
            all_namespaces: true,
            ..Query::default()
        },
    )?;
    Ok(all
        .into_iter()
        .filter(|p| p.namespace == owner.namespace && selector.matches(p.object.labels()))
        .collect())
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
        let rest = all.iter().filter(|(_, kind)| *kind != "init");
        return Ok(init.chain(rest).map(|(name, _)| name.clone()).collect());
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
    if said {
        k.err(format!(
            "Defaulted container {} out of: {}\n",
            go::quote(&name),
            listed(&all)
        ));
    }
    Ok(vec![name])
}

fn print(k: &mut Kubectl, pod: &Info, container: &str, by_selector: bool) -> Result {
    if k.flags.bool("follow") {
        let key = pod.key();
        let name = container.to_owned();
        let ended = k.wait(FOLLOW, |cluster| {
            cluster.etcd.get(&key).is_none_or(|o| {
                status_of(o, &name).is_some_and(|s| !s["state"]["terminated"].is_null())
            })
        });
        let text = shown(k, pod, container, by_selector)?;
        k.out(text);
        if !ended {
            k.err("(the container still runs: on a real cluster this command would go on)\n");
        }
        return Ok(());
    }
    let text = shown(k, pod, container, by_selector)?;
    k.out(text);
    Ok(())
}

/// A container's status in a pod.
fn status_of<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ];
    lists
        .iter()
        .flat_map(|l| pod["status"][*l].items())
        .find(|s| s["name"].str() == container)
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
    let object = k.current(&pod.key()).unwrap_or_default();
    if object["spec"]["nodeName"].is_empty() {
        return Ok(String::new());
    }
    let previous = k.flags.bool("previous");
    let status = status_of(&object, container).cloned().unwrap_or_default();
    let name = go::quote(container);
    let in_pod = go::quote(&pod.name);
    let refuse = |why: String| Err(Status::bad_request(why).into());
    let (state, last) = (&status["state"], &status["lastState"]["terminated"]);
    let mut from_previous = previous;
    if previous {
        if last.is_null() {
            return refuse(format!(
                "previous terminated container {name} in pod {in_pod} not found"
            ));
        }
    } else if state["running"].is_null() && state["terminated"].is_null() {
        if !last.is_null() {
            // The container is waiting to be started again: its last run's output is shown.
            from_previous =
                logs_of(k, pod, container, false).is_none_or(|l| l.lines().next().is_none());
        } else {
            return refuse(match state["waiting"]["reason"].str() {
                "" => format!("container {name} in pod {in_pod} is waiting to start - no logs yet"),
                "ErrImagePull" => format!(
                    "container {name} in pod {in_pod} is waiting to start: image can't be pulled"
                ),
                "ImagePullBackOff" => format!(
                    "container {name} in pod {in_pod} is waiting to start: trying and failing to pull image"
                ),
                reason => format!("container {name} in pod {in_pod} is waiting to start: {reason}"),
            });
        }
    }
    let Some(logs) = logs_of(k, pod, container, from_previous) else {
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
    let prefix = if k.flags.bool("prefix") || k.flags.bool("all-pods") {
        format!("[pod/{pod}/{container}] ")
    } else {
        String::new()
    };
    let mut text = String::new();
    for line in &lines[lines.len().saturating_sub(tail)..] {
        text.push_str(&prefix);
        if k.flags.bool("timestamps") {
            text.push_str(&format!(
                "{} ",
                line.at.rfc3339_micro().replace('Z', "000Z")
            ));
        }
        text.push_str(&line.text);
        if line.complete {
            text.push('\n');
        }
    }
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
