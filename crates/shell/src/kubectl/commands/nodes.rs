//! `kubectl taint`, `cordon`, `uncordon`, `drain`

use std::time::Duration;

use kubarium_objects::{ObjectMeta, Value, array, go, names, object};

use crate::kubectl::command::{ALL, Command, DRY_RUN, PRINT, SELECTOR, VALIDATE};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch, text};
use crate::kubectl::request::{DeleteOptions, Patch, Subresource};
use crate::kubectl::resource::{Info, Query};
use crate::kubectl::{DryRun, Kubectl};

pub(crate) const TAINT: Command = Command::new("taint", "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N [options]", "Update the taints on one or more nodes", taint)
    .flags(&[PRINT, DRY_RUN, SELECTOR, ALL, VALIDATE, &[switch("overwrite", "If true, allow taints to be overwritten, otherwise reject taint updates that overwrite existing taints.")]])
    .changing();

struct Taint {
    key: String,
    value: String,
    effect: String,
}

impl Taint {
    fn parse(text: &str) -> std::result::Result<Taint, String> {
        let bad = |complaints: Vec<String>| {
            Err(format!(
                "invalid taint spec: {text}, {}",
                complaints.join("; ")
            ))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (pair, effect) = match parts[..] {
            [key] => (key, ""),
            [pair, effect] => (pair, effect),
            _ => return Err(format!("invalid taint spec: {text}")),
        };
        if parts.len() == 2 && !matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            return Err(format!(
                "invalid taint effect: {effect}, unsupported taint effect"
            ));
        }
        let (key, value) = match pair.split_once('=') {
            Some((key, value)) if parts.len() == 2 => (key, value),
            _ => (pair, ""),
        };
        if value.contains('=') {
            return Err(format!("invalid taint spec: {text}"));
        }
        let complaints = names::label_value(value);
        if !complaints.is_empty() {
            return bad(complaints);
        }
        let complaints = names::qualified_name(key);
        if !complaints.is_empty() {
            return bad(complaints);
        }
        Ok(Taint {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: effect.to_owned(),
        })
    }

    fn shown(&self) -> String {
        if self.effect.is_empty() {
            self.key.clone()
        } else {
            format!("{}:{}", self.key, self.effect)
        }
    }

    fn matches(&self, taint: &Value) -> bool {
        taint["key"].str() == self.key
            && (self.effect.is_empty() || taint["effect"].str() == self.effect)
    }
}

fn taint(k: &mut Kubectl) -> Result {
    let (mut resources, mut specs) = (Vec::new(), Vec::new());
    for arg in &k.flags.args {
        if arg.contains(['=', ':']) || arg.ends_with('-') {
            specs.push(arg.clone());
        } else if specs.is_empty() {
            resources.push(arg.clone());
        } else {
            return plain(format!(
                "all resources must be specified before taint changes: {arg}"
            ));
        }
    }
    let Some(kind) = resources.first().cloned() else {
        return plain("one or more resources must be specified as <resource> <name>");
    };
    if specs.is_empty() {
        return plain("at least one taint update is required");
    }
    let (mut add, mut remove): (Vec<Taint>, Vec<Taint>) = (Vec::new(), Vec::new());
    for spec in &specs {
        let parsed =
            Taint::parse(spec.strip_suffix('-').unwrap_or(spec)).map_err(|why| k.usage(why))?;
        if spec.ends_with('-') {
            remove.push(parsed);
            continue;
        }
        if parsed.effect.is_empty() {
            return Err(k.usage(format!("invalid taint spec: {spec}")));
        }
        if add
            .iter()
            .any(|t| t.key == parsed.key && t.effect == parsed.effect)
        {
            return Err(k.usage(format!(
                "duplicated taints with the same key and effect: {{{} {} {} <nil>}}",
                parsed.key, parsed.value, parsed.effect
            )));
        }
        add.push(parsed);
    }
    if !matches!(kind.to_lowercase().as_str(), "node" | "nodes" | "no") {
        return plain(format!(
            "invalid resource type {kind}, only node types are supported"
        ));
    }
    let mut both = Vec::new();
    for (added, removed) in add.iter().flat_map(|a| remove.iter().map(move |r| (a, r))) {
        if added.key == removed.key && (removed.effect.is_empty() || removed.effect == added.effect)
        {
            both.push(format!("{}={}", removed.key, removed.effect));
        }
    }
    if !both.is_empty() {
        return plain(format!(
            "can not both modify and remove the following taint(s) in the same command: {}",
            both.join(", ")
        ));
    }
    if k.flags.bool("all") && !k.flags.str("selector").is_empty() {
        return plain("setting 'all' parameter with a non empty selector is prohibited");
    }
    let all = k.flags.bool("all") || k.flags.changed("selector");
    if !all && resources.len() < 2 {
        return plain(
            "at least one resource name must be specified since 'all' parameter is not set",
        );
    }
    let format = k.format()?;
    k.flags.args = resources;
    let (infos, mut errors) = super::found(k)?;
    for mut info in infos {
        match tainted(&info.object, &add, &remove, k.flags.bool("overwrite")) {
            Ok((taints, operation)) => {
                let patch = Patch::Merge(object([(
                    "spec",
                    object([(
                        "taints",
                        if taints.items().is_empty() {
                            Value::Null
                        } else {
                            taints
                        },
                    )]),
                )]));
                if k.dry_run()? != DryRun::Client {
                    info.object = k.patch(
                        &info.resource.clone(),
                        "",
                        &info.name.clone(),
                        &patch,
                        Subresource::None,
                    )?;
                }
                k.report(&format, &info, operation)?;
            }
            Err(error) => errors.push(error),
        }
    }
    Error::aggregate(errors)
}

/// The node's taints after the change, and what was done (`reorganizeTaints`).
fn tainted(
    node: &Value,
    add: &[Taint],
    remove: &[Taint],
    overwrite: bool,
) -> Result<(Value, &'static str)> {
    let old = node["spec"]["taints"].items();
    if !overwrite {
        let taken: Vec<&str> = add
            .iter()
            .filter(|t| old.iter().any(|o| t.matches(o)))
            .map(|t| t.key.as_str())
            .collect();
        if !taken.is_empty() {
            return plain(format!(
                "node {} already has {} taint(s) with same effect(s) and --overwrite is false",
                node.name(),
                taken.join(",")
            ));
        }
    }
    let mut new: Vec<Value> = Vec::new();
    for taint in add {
        let mut made = object([
            ("effect", taint.effect.as_str().into()),
            ("key", taint.key.as_str().into()),
        ]);
        if !taint.value.is_empty() {
            made["value"] = taint.value.as_str().into();
        }
        new.push(made);
    }
    new.extend(
        old.iter()
            .filter(|o| !add.iter().any(|t| t.matches(o)))
            .cloned(),
    );
    let added = new.len() != old.len();
    let (mut errors, mut deleted) = (Vec::new(), false);
    for taint in remove {
        let before = new.len();
        new.retain(|o| !taint.matches(o));
        if new.len() == before {
            errors.push(Error::Plain(format!(
                "taint {} not found",
                go::quote(&taint.shown())
            )));
        } else {
            deleted = true;
        }
    }
    Error::aggregate(errors)?;
    let operation = match (added, deleted) {
        (true, true) => "modified",
        _ if overwrite => "modified",
        (true, false) => "tainted",
        _ => "untainted",
    };
    Ok((array(new), operation))
}

pub(crate) const CORDON: Command = Command::new(
    "cordon",
    "NODE [options]",
    "Mark node as unschedulable",
    |k| cordon(k, true),
)
.flags(&[DRY_RUN, SELECTOR])
.changing();

pub(crate) const UNCORDON: Command = Command::new(
    "uncordon",
    "NODE [options]",
    "Mark node as schedulable",
    |k| cordon(k, false),
)
.flags(&[DRY_RUN, SELECTOR])
.changing();

/// The nodes that the arguments or `-l` name.
fn nodes(k: &mut Kubectl) -> Result<Vec<Info>> {
    let args = k.flags.args.clone();
    let selector = k
        .flags
        .changed("selector")
        .then(|| k.flags.str("selector").to_owned());
    if args.is_empty() && selector.is_none() {
        return Err(k.usage(format!("USAGE: {} NODE [flags]", k.command.name)));
    }
    if !args.is_empty() && selector.is_some() {
        return Err(k.usage("cannot specify both a node name and a --selector option"));
    }
    let mut words = vec!["node".to_owned()];
    words.extend(args.iter().map(|a| {
        a.strip_prefix("node/")
            .or(a.strip_prefix("nodes/"))
            .unwrap_or(a)
            .to_owned()
    }));
    k.select(&Query {
        args: words,
        selector,
        ..Query::default()
    })?
    .all()
}

fn cordon(k: &mut Kubectl, wanted: bool) -> Result {
    for info in nodes(k)? {
        mark(k, &info, wanted)?;
    }
    Ok(())
}

fn mark(k: &mut Kubectl, info: &Info, wanted: bool) -> Result {
    let word = if wanted { "cordoned" } else { "uncordoned" };
    let is = info.object["spec"]["unschedulable"].as_bool() == Some(true);
    let dry_run = k.dry_run()?;
    if is == wanted {
        k.out(format!(
            "{} already {word}{}\n",
            info.shown(),
            dry_run.suffix()
        ));
        return Ok(());
    }
    if dry_run != DryRun::Client {
        let value = if wanted { true.into() } else { Value::Null };
        let patch = Patch::Merge(object([("spec", object([("unschedulable", value)]))]));
        k.patch(&info.resource, "", &info.name, &patch, Subresource::None)?;
    }
    k.out(format!("{} {word}{}\n", info.shown(), dry_run.suffix()));
    Ok(())
}

const DRAIN_FLAGS: &[Flag] = &[
    flag(
        "chunk-size",
        Kind::Int,
        "500",
        "Return large lists in chunks rather than all at once.",
    ),
    switch(
        "delete-emptydir-data",
        "Continue even if there are pods using emptyDir (local data that will be deleted when the node is drained).",
    ),
    switch(
        "disable-eviction",
        "Force drain to use delete, even if eviction is supported. This will bypass checking PodDisruptionBudgets, use with caution.",
    ),
    switch(
        "force",
        "Continue even if there are pods that do not declare a controller.",
    ),
    flag(
        "grace-period",
        Kind::Int,
        "-1",
        "Period of time in seconds given to each pod to terminate gracefully.",
    ),
    switch("ignore-daemonsets", "Ignore DaemonSet-managed pods."),
    text("pod-selector", "Label selector to filter pods on the node"),
    flag(
        "skip-wait-for-delete-timeout",
        Kind::Int,
        "0",
        "If pod DeletionTimestamp older than N seconds, skip waiting for the pod.",
    ),
    flag(
        "timeout",
        Kind::Duration,
        "0s",
        "The length of time to wait before giving up, zero means infinite",
    ),
];

pub(crate) const DRAIN: Command = Command::new(
    "drain",
    "NODE [options]",
    "Drain node in preparation for maintenance",
    drain,
)
.flags(&[DRY_RUN, SELECTOR, DRAIN_FLAGS])
.changing();

fn drain(k: &mut Kubectl) -> Result {
    if kubarium_objects::Selector::parse(k.flags.str("pod-selector")).is_err() {
        return plain("--pod-selector=<pod_selector> must be a valid label selector");
    }
    let nodes = nodes(k)?;
    for node in &nodes {
        mark(k, node, true)?;
    }
    let mut failed: Vec<(String, Error)> = Vec::new();
    for node in &nodes {
        match drain_one(k, node) {
            Ok(()) => {
                let suffix = k.dry_run()?.suffix();
                k.out(format!("{} drained{suffix}\n", node.shown()));
            }
            Err(error) => {
                k.err(format!(
                    "error: unable to drain node {} due to error: {}, continuing command...\n",
                    go::quote(&node.name),
                    error.text()
                ));
                failed.push((node.name.to_string(), error));
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let names: String = failed
        .iter()
        .map(|(name, _)| format!(" {name}\n"))
        .collect();
    k.err(format!("There are pending nodes to be drained:\n{names}"));
    let errors: Vec<Error> = failed
        .into_iter()
        .flat_map(|(_, error)| match error {
            Error::Many(all) => all,
            one => vec![one],
        })
        .collect();
    // The last words come without `error: `.
    let lines: Vec<String> = errors.iter().map(Error::text).collect();
    Err(Error::Verbatim(lines.join("\n")))
}

fn drain_one(k: &mut Kubectl, node: &Info) -> Result {
    let pods = k.mapping("pods")?;
    let selector = k.flags.str("pod-selector").to_owned();
    let query = Query {
        all_namespaces: true,
        field_selector: Some(format!("spec.nodeName={}", node.name)),
        selector: (!selector.is_empty()).then_some(selector),
        ..Query::default()
    };
    let all = k.list(&pods, &query)?;
    let (mut evict, mut errors, mut warnings) =
        (Vec::new(), Refusals::default(), Refusals::default());
    for pod in all {
        if judge(k, &pod, &mut errors, &mut warnings) {
            evict.push(pod);
        }
    }
    let refused = errors.texts();
    if !refused.is_empty() {
        return Error::aggregate(refused.into_iter().map(Error::Plain).collect());
    }
    let warned = warnings.texts();
    if !warned.is_empty() {
        k.err(format!("Warning: {}\n", warned.join("; ")));
    }
    let dry_run = k.dry_run()?;
    for pod in &evict {
        k.out(format!(
            "evicting pod {}/{}{}\n",
            pod.namespace,
            pod.name,
            dry_run.suffix()
        ));
    }
    if dry_run != DryRun::None {
        return Ok(());
    }
    evict_all(k, evict)
}

/// Pods by the reason for which they are not simply evicted.
#[derive(Default)]
struct Refusals(Vec<(&'static str, Vec<String>)>);

impl Refusals {
    fn add(&mut self, reason: &'static str, pod: &Info) {
        let name = format!("{}/{}", pod.namespace, pod.name);
        match self.0.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, pods)) => pods.push(name),
            None => self.0.push((reason, vec![name])),
        }
    }

    fn texts(self) -> Vec<String> {
        self.0
            .into_iter()
            .map(|(reason, pods)| format!("{reason}: {}", pods.join(", ")))
            .collect()
    }
}

/// Whether a pod is to be evicted (`kubectl/pkg/drain/filters.go`).
fn judge(k: &Kubectl, pod: &Info, errors: &mut Refusals, warnings: &mut Refusals) -> bool {
    let finished = matches!(pod.object["status"]["phase"].str(), "Succeeded" | "Failed");
    if pod
        .object
        .annotation("kubernetes.io/config.mirror")
        .is_some()
    {
        return false;
    }
    let controller = pod.object.controller_ref();
    if controller.is_some_and(|c| c.kind() == "DaemonSet") && !finished {
        let there = controller.is_some_and(|c| {
            k.cluster()
                .find("daemonsets.apps", &pod.namespace, c.name())
                .is_some()
        });
        if !there {
            if k.flags.bool("force") {
                return true;
            }
        } else if k.flags.bool("ignore-daemonsets") {
            warnings.add("ignoring DaemonSet-managed Pods", pod);
            return false;
        }
        errors.add(
            "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)",
            pod,
        );
        return false;
    }
    if pod.object.is_deleting() {
        return true;
    }
    let local = pod.object["spec"]["volumes"]
        .items()
        .iter()
        .any(|v| !v["emptyDir"].is_null());
    if local && !finished && !k.flags.bool("delete-emptydir-data") {
        errors.add(
            "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
            pod,
        );
        return false;
    }
    if controller.is_none() && !finished {
        if !k.flags.bool("force") {
            errors.add(
                "cannot delete Pods that declare no controller (use --force to override)",
                pod,
            );
            return false;
        }
        warnings.add("deleting Pods that declare no controller", pod);
    }
    true
}

/// The API server asks for patience where a budget does not allow an eviction; kubectl tries again.
const RETRY: Duration = Duration::from_secs(5);

fn evict_all(k: &mut Kubectl, pods: Vec<Info>) -> Result {
    let limit = Kubectl::patience(k.flags.duration("timeout"));
    let end = k.cluster().now + limit;
    let grace = k.flags.int("grace-period");
    let mut waiting: Vec<Info> = pods;
    let mut going: Vec<Info> = Vec::new();
    loop {
        let mut left = Vec::new();
        for pod in waiting {
            let options = DeleteOptions {
                grace_seconds: (grace >= 0).then_some(grace),
                ..DeleteOptions::default()
            };
            let answer = if k.flags.bool("disable-eviction") {
                k.delete(&pod.key(), &options)
            } else {
                k.evict(&pod.key(), &options)
            };
            match answer {
                Ok(_) => going.push(pod),
                Err(status) if status.is("NotFound") => going.push(pod),
                Err(status) if status.is("TooManyRequests") => {
                    k.err(format!(
                        "error when evicting pods/{} -n {} (will retry after 5s): {}\n",
                        go::quote(&pod.name),
                        go::quote(&pod.namespace),
                        status.message
                    ));
                    left.push(pod);
                }
                Err(status) => {
                    return plain(format!(
                        "error when evicting pods/{} -n {}: {}",
                        go::quote(&pod.name),
                        go::quote(&pod.namespace),
                        status.message
                    ));
                }
            }
        }
        let rest = end.since(k.cluster().now);
        let until = if left.is_empty() {
            rest
        } else {
            RETRY.min(rest)
        };
        let keys: Vec<_> = going
            .iter()
            .map(|p| (p.key(), p.object["metadata"]["uid"].text()))
            .collect();
        let none_left = left.is_empty();
        k.wait(until, |cluster| {
            none_left
                && keys.iter().all(|(key, uid)| {
                    cluster
                        .etcd
                        .get(key)
                        .is_none_or(|o| o["metadata"]["uid"].str() != &**uid)
                })
        });
        let gone = |k: &Kubectl, pod: &Info| {
            k.current(&pod.key())
                .is_none_or(|o| o["metadata"]["uid"] != pod.object["metadata"]["uid"])
        };
        let (done, still): (Vec<Info>, Vec<Info>) = going.into_iter().partition(|p| gone(k, p));
        for pod in done {
            let word = if k.flags.bool("disable-eviction") {
                "deleted"
            } else {
                "evicted"
            };
            k.out(format!("{} {word}\n", pod.shown()));
        }
        (going, waiting) = (still, left);
        if going.is_empty() && waiting.is_empty() {
            return Ok(());
        }
        if k.cluster().now >= end {
            let mut errors: Vec<Error> = Vec::new();
            for pod in waiting.iter().chain(&going) {
                errors.push(Error::Plain(format!("error when waiting for pod {} in namespace {} to terminate: global timeout reached: {}", go::quote(&pod.name), go::quote(&pod.namespace), kubarium_objects::duration::GoDuration(i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX)))));
            }
            return Error::aggregate(errors);
        }
    }
}
