//! `crictl` (cri-tools v1.34) on a node: the pods, containers and images that its runtime has.

use std::fmt::Write;

use kubarium_objects::quantity::Quantity;

use super::{Place, Program};
use crate::cluster::Cluster;
use crate::images;
use crate::runtime::{Container, Sandbox, State};
use crate::time::Time;

fn say(out: impl Into<String>) -> Program {
    Program::Say {
        out: out.into(),
        err: String::new(),
        status: 0,
    }
}

fn fail(why: &str) -> Program {
    Program::Say {
        out: String::new(),
        err: why.to_owned() + "\n",
        status: 1,
    }
}

/// The first 13 digits of an id, as tables show it.
fn short(id: &str) -> &str {
    let id = id.rsplit(':').next().unwrap_or(id);
    id.get(..13).unwrap_or(id)
}

/// `2 minutes ago` (`units.HumanDuration`).
fn ago(now: Time, then: Time) -> String {
    let seconds = now.since(then).as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    let text = match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours <= 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ => format!("{} weeks", hours / 24 / 7),
    };
    text + " ago"
}

/// `21.2MB` (`units.HumanSizeWithPrecision(size, 3)`).
fn size(bytes: u32) -> String {
    let mut value = f64::from(bytes);
    let mut unit = "B";
    for next in ["kB", "MB", "GB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    let digits = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    text + unit
}

/// Columns of 20 or more, three apart (Go's tabwriter as crictl sets it up).
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|c| c.chars().count() + 3)
            .max()
            .unwrap_or(0)
            .max(20)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == columns {
                out += cell;
            } else {
                let _ = write!(out, "{cell:<0$}", widths[column]);
            }
        }
        out.push('\n');
    }
    out
}

fn titles(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// What the command line asks for.
#[derive(Default)]
struct Line<'a> {
    all: bool,
    quiet: bool,
    name: Option<&'a str>,
    pod: Option<&'a str>,
    namespace: Option<&'a str>,
    state: Option<&'a str>,
    tail: Option<usize>,
    words: Vec<&'a str>,
}

fn read<'a>(words: &[&'a str]) -> Result<Line<'a>, String> {
    let mut line = Line::default();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let (name, mut given) = match word.split_once('=') {
            Some((name, value)) if word.starts_with("--") => (name, Some(value)),
            _ => (word, None),
        };
        let mut value = || given.take().or_else(|| words.next()).unwrap_or("");
        match name {
            "-a" | "--all" => line.all = true,
            "-q" | "--quiet" => line.quiet = true,
            "--name" => line.name = Some(value()),
            "-p" | "--pod" => line.pod = Some(value()),
            "--namespace" => line.namespace = Some(value()),
            "-s" | "--state" => line.state = Some(value()),
            "--tail" => line.tail = value().parse().ok(),
            "--no-trunc" | "-v" | "--verbose" => {}
            option if option.starts_with('-') => {
                return Err(format!("crictl: {option} is not simulated yet"));
            }
            word => line.words.push(word),
        }
    }
    Ok(line)
}

fn state(container: &Container) -> &'static str {
    match container.state {
        State::Created => "Created",
        State::Running(_) => "Running",
        State::Exited(_) => "Exited",
    }
}

fn since(container: &Container, sandbox: &Sandbox) -> Time {
    match &container.state {
        State::Created => sandbox.created,
        State::Running(at) => *at,
        State::Exited(end) => end.started,
    }
}

pub(super) fn start(cluster: &Cluster, place: &Place, argv: &[String]) -> Program {
    let words: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
    let Some((command, rest)) = words.split_first() else {
        return say(
            "NAME:\n   crictl - client for CRI\n\nUSAGE:\n   crictl [global options] command [command options]\n\nCOMMANDS:\n   pods, ps, images, logs, inspect, inspectp, version\n",
        );
    };
    let Some(machine) = cluster.machines.get(&*place.node) else {
        return fail(
            "FATA[0000] validate service connection: validate CRI v1 runtime API for endpoint \"unix:///run/containerd/containerd.sock\": rpc error: code = Unavailable desc = connection error",
        );
    };
    let line = match read(rest) {
        Ok(line) => line,
        Err(why) => return fail(&why),
    };
    let mut sandboxes: Vec<&Sandbox> = machine
        .runtime
        .sandboxes
        .values()
        .map(AsRef::as_ref)
        .collect();
    // The newest first.
    sandboxes.sort_by_key(|s| (std::cmp::Reverse(s.created), s.pod.name.clone()));
    let now = cluster.now;
    let containers = || {
        let all = sandboxes
            .iter()
            .flat_map(|s| s.containers.iter().map(move |c| (*s, c)));
        let mut all: Vec<_> = all.filter(|(_, c)| !c.id.is_empty()).collect();
        all.sort_by_key(|(s, c)| std::cmp::Reverse(since(c, s)));
        all
    };
    match *command {
        "pods" | "p" => {
            let mut rows = vec![titles(&[
                "POD ID",
                "CREATED",
                "STATE",
                "NAME",
                "NAMESPACE",
                "ATTEMPT",
                "RUNTIME",
            ])];
            let mut ids = String::new();
            for s in &sandboxes {
                let fits = line.name.is_none_or(|n| s.pod.name.contains(n))
                    && line.namespace.is_none_or(|n| *s.pod.namespace == *n);
                if !fits {
                    continue;
                }
                let _ = writeln!(ids, "{}", s.id);
                rows.push(vec![
                    short(&s.id).to_owned(),
                    ago(now, s.created),
                    "Ready".to_owned(),
                    s.pod.name.to_string(),
                    s.pod.namespace.to_string(),
                    "0".to_owned(),
                    "(default)".to_owned(),
                ]);
            }
            say(if line.quiet { ids } else { table(&rows) })
        }
        "ps" => {
            let mut rows = vec![titles(&[
                "CONTAINER",
                "IMAGE",
                "CREATED",
                "STATE",
                "NAME",
                "ATTEMPT",
                "POD ID",
                "POD",
                "NAMESPACE",
            ])];
            let mut ids = String::new();
            for (s, c) in containers() {
                let wanted = match line.state {
                    Some(wanted) => wanted.eq_ignore_ascii_case(state(c)),
                    None => line.all || c.is_running(),
                };
                let fits = wanted
                    && line.name.is_none_or(|n| c.name.contains(n))
                    && line.pod.is_none_or(|p| s.id.starts_with(p));
                if !fits {
                    continue;
                }
                let _ = writeln!(ids, "{}", c.id);
                let image = machine.runtime.images.get(&c.image);
                let image = image
                    .map(|p| images::digest(&p.reference))
                    .unwrap_or_default();
                rows.push(vec![
                    short(&c.id).to_owned(),
                    short(&image).to_owned(),
                    ago(now, since(c, s)),
                    state(c).to_owned(),
                    c.name.to_string(),
                    c.attempt.to_string(),
                    short(&s.id).to_owned(),
                    s.pod.name.to_string(),
                    s.pod.namespace.to_string(),
                ]);
            }
            say(if line.quiet { ids } else { table(&rows) })
        }
        "images" | "image" | "img" => {
            let mut rows = vec![titles(&["IMAGE", "TAG", "IMAGE ID", "SIZE"])];
            let mut ids = String::new();
            for pulled in machine.runtime.images.values() {
                let digest = images::digest(&pulled.reference);
                let _ = writeln!(ids, "{digest}");
                let tag = match &*pulled.reference.tag {
                    "" => "<none>",
                    tag => tag,
                };
                rows.push(vec![
                    pulled.reference.repository.to_string(),
                    tag.to_owned(),
                    short(&digest).to_owned(),
                    size(pulled.size),
                ]);
            }
            say(if line.quiet { ids } else { table(&rows) })
        }
        "logs" => {
            let Some(id) = line.words.first() else {
                return fail("FATA[0000] ID cannot be empty");
            };
            let Some((_, c)) = containers().into_iter().find(|(_, c)| c.id.starts_with(id)) else {
                return fail(&missing("container", id));
            };
            let lines: Vec<_> = c.logs.lines().collect();
            let from = line.tail.map_or(0, |n| lines.len().saturating_sub(n));
            let (mut out, mut err) = (String::new(), String::new());
            for one in lines.get(from..).unwrap_or_default() {
                let target = if one.is_error { &mut err } else { &mut out };
                let _ = writeln!(target, "{}", one.text);
            }
            Program::Say {
                out,
                err,
                status: 0,
            }
        }
        "inspect" => {
            let Some(id) = line.words.first() else {
                return fail("FATA[0000] ID cannot be empty");
            };
            match containers().into_iter().find(|(_, c)| c.id.starts_with(id)) {
                Some((s, c)) => say(inspect(cluster, s, c)),
                None => fail(&missing("container", id)),
            }
        }
        "inspectp" => {
            let Some(id) = line.words.first() else {
                return fail("FATA[0000] ID cannot be empty");
            };
            match sandboxes.iter().find(|s| s.id.starts_with(id)) {
                Some(s) => say(inspect_pod(s)),
                None => fail(&missing("pod sandbox", id)),
            }
        }
        "stats" => {
            let mut rows = vec![titles(&[
                "CONTAINER",
                "NAME",
                "CPU %",
                "MEM",
                "DISK",
                "INODES",
            ])];
            for (s, c) in containers() {
                if !c.is_running() {
                    continue;
                }
                // What a pod uses is known as a whole: its running containers share it.
                let Some(used) = cluster.pod_usage(&s.pod) else {
                    continue;
                };
                let share = s
                    .containers
                    .iter()
                    .filter(|c| c.is_running())
                    .count()
                    .max(1) as i64;
                let (cpu, memory) = (used.cpu_milli / share, used.memory / share);
                rows.push(vec![
                    short(&c.id).to_owned(),
                    c.name.to_string(),
                    format!("{:.2}", cpu as f64 / 10.0),
                    size(u32::try_from(memory).unwrap_or(u32::MAX)),
                    "0B".to_owned(),
                    "0".to_owned(),
                ]);
            }
            say(table(&rows))
        }
        "version" => say(
            "Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  v2.2.0\nRuntimeApiVersion:  v1\n",
        ),
        other => fail(&format!(
            "crictl {other} is not simulated yet: pods, ps, images, logs, inspect, inspectp, stats, version"
        )),
    }
}

fn missing(what: &str, id: &str) -> String {
    format!(
        "E0101 00:00:00.000000       1 log.go:32] \"Status from runtime service failed\" err=\"rpc error: code = NotFound desc = an error occurred when try to find {what} \\\"{id}\\\": not found\"\nFATA[0000] getting the status of the {what} \"{id}\": rpc error: code = NotFound desc = an error occurred when try to find {what} \"{id}\": not found"
    )
}

fn json(fields: &[(&str, String)], indent: usize) -> String {
    let pad = " ".repeat(indent + 2);
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{pad}\"{name}\": {value}"))
        .collect();
    format!("{{\n{}\n{}}}", lines.join(",\n"), " ".repeat(indent))
}

fn text(value: impl std::fmt::Display) -> String {
    kubarium_objects::Value::from(value.to_string()).to_json()
}

fn inspect(cluster: &Cluster, sandbox: &Sandbox, container: &Container) -> String {
    let stamp = |at: Time| text(at.rfc3339_micro().replace('Z', "000Z"));
    let mut status = vec![
        ("id", text(&container.id)),
        (
            "metadata",
            json(
                &[
                    ("attempt", container.attempt.to_string()),
                    ("name", text(&container.name)),
                ],
                4,
            ),
        ),
        (
            "state",
            text(format!(
                "CONTAINER_{}",
                state(container).to_ascii_uppercase()
            )),
        ),
        ("createdAt", stamp(since(container, sandbox))),
    ];
    match &container.state {
        State::Running(at) => status.push(("startedAt", stamp(*at))),
        State::Exited(end) => {
            status.push(("startedAt", stamp(end.started)));
            status.push(("finishedAt", stamp(end.finished)));
            status.push(("exitCode", end.code.to_string()));
            status.push(("reason", text(&end.reason)));
        }
        State::Created => {}
    }
    status.push(("image", json(&[("image", text(&container.image))], 4)));
    let labels = [
        ("io.kubernetes.container.name", text(&container.name)),
        ("io.kubernetes.pod.name", text(&sandbox.pod.name)),
        ("io.kubernetes.pod.namespace", text(&sandbox.pod.namespace)),
        ("io.kubernetes.pod.uid", text(&sandbox.uid)),
    ];
    status.push(("labels", json(&labels, 4)));
    let limit = cluster.etcd.get(&sandbox.pod).and_then(|pod| {
        let specs = crate::kubelet::containers(pod);
        let spec = specs
            .into_iter()
            .find(|s| *s["name"].str() == *container.name)?;
        let text = spec["resources"]["limits"]["memory"].as_str()?;
        text.parse::<Quantity>().ok()
    });
    if let Some(limit) = limit {
        let linux = json(&[("memoryLimitInBytes", text(limit.value()))], 6);
        status.push(("resources", json(&[("linux", linux)], 4)));
    }
    json(&[("status", json(&status, 2))], 0) + "\n"
}

fn inspect_pod(sandbox: &Sandbox) -> String {
    let metadata = [
        ("attempt", "0".to_owned()),
        ("name", text(&sandbox.pod.name)),
        ("namespace", text(&sandbox.pod.namespace)),
        ("uid", text(&sandbox.uid)),
    ];
    let mode = if sandbox.host_network { "NODE" } else { "POD" };
    let network = [("additionalIps", "[]".to_owned()), ("ip", text(sandbox.ip))];
    let options = json(&[("network", text(mode)), ("pid", text("CONTAINER"))], 8);
    let namespaces = json(&[("options", options)], 6);
    let status = [
        ("id", text(&sandbox.id)),
        ("metadata", json(&metadata, 4)),
        ("state", text("SANDBOX_READY")),
        (
            "createdAt",
            text(sandbox.created.rfc3339_micro().replace('Z', "000Z")),
        ),
        ("network", json(&network, 4)),
        ("linux", json(&[("namespaces", namespaces)], 4)),
        ("runtimeHandler", text("")),
    ];
    json(&[("status", json(&status, 2))], 0) + "\n"
}
