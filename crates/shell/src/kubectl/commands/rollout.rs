//! `kubectl rollout`

use std::collections::VecDeque;

use kubarium_cluster::Time;
use kubarium_objects::{ObjectMeta, Value, array, go, object};

use crate::kubectl::command::{Command, DRY_RUN, FIELD_MANAGER, FILES, PRINT, SELECTOR};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{self, Flag, flag};
use crate::kubectl::follow::{Follow, Kind, Watch};
use crate::kubectl::request::{Patch, Subresource};
use crate::kubectl::resource::{Info, Query, not_registered};
use crate::kubectl::{DryRun, Kubectl, describe, table};
use crate::session::BREATH;

const REVISION: &str = "deployment.kubernetes.io/revision";

pub(crate) const COMMAND: Command = Command {
    run: None,
    ..Command::new(
        "rollout",
        "SUBCOMMAND [options]",
        "Manage the rollout of a resource",
        |_| Ok(()),
    )
}
.commands(&[
    Command::new(
        "history",
        "(TYPE NAME | TYPE/NAME) [flags] [options]",
        "View rollout history",
        history,
    )
    .flags(&[
        FILES,
        PRINT,
        SELECTOR,
        &[flag(
            "revision",
            flags::Kind::Int,
            "0",
            "See the details, including podTemplate of the revision specified",
        )],
    ]),
    Command::new(
        "pause",
        "RESOURCE [options]",
        "Mark the provided resource as paused",
        |k| pause(k, true),
    )
    .flags(&[FILES, PRINT, SELECTOR, FIELD_MANAGER])
    .changing(),
    Command::new(
        "restart",
        "RESOURCE [options]",
        "Restart a resource",
        restart,
    )
    .flags(&[FILES, PRINT, SELECTOR, FIELD_MANAGER])
    .changing(),
    Command::new(
        "resume",
        "RESOURCE [options]",
        "Resume a paused resource",
        |k| pause(k, false),
    )
    .flags(&[FILES, PRINT, SELECTOR, FIELD_MANAGER])
    .changing(),
    Command::new(
        "status",
        "(TYPE NAME | TYPE/NAME) [flags] [options]",
        "Show the status of the rollout",
        status,
    )
    .flags(&[FILES, SELECTOR, STATUS_FLAGS])
    .changing(),
    Command::new(
        "undo",
        "(TYPE NAME | TYPE/NAME) [flags] [options]",
        "Undo a previous rollout",
        undo,
    )
    .flags(&[
        FILES,
        PRINT,
        SELECTOR,
        DRY_RUN,
        &[flag(
            "to-revision",
            flags::Kind::Int,
            "0",
            "The revision to rollback to. Default to 0 (last revision).",
        )],
    ])
    .changing(),
]);

const STATUS_FLAGS: &[Flag] = &[
    flag(
        "revision",
        flags::Kind::Int,
        "0",
        "Pin to a specific revision for showing its status. Defaults to 0 (last revision).",
    ),
    flag(
        "timeout",
        flags::Kind::Duration,
        "0s",
        "The length of time to wait before ending watch, zero means never.",
    ),
    flag(
        "watch",
        flags::Kind::Bool,
        "true",
        "Watch the status of the rollout until it's done.",
    )
    .short('w'),
];

fn infos(k: &mut Kubectl) -> Result<Vec<Info>> {
    if k.flags.args.is_empty() && k.flags.list("filename").is_empty() {
        return plain("required resource not specified");
    }
    let only_type = k.flags.args.len() == 1 && !k.flags.args[0].contains('/');
    let mut query = super::query(k);
    query.all |= only_type && k.flags.list("filename").is_empty();
    if k.flags.list("filename").is_empty() {
        k.select(&query)?.all()
    } else {
        super::infos(k)
    }
}

// --- status -----------------------------------------------------------------------------------

/// What `kubectl rollout status` still waits for.
#[derive(Clone)]
pub(crate) struct Watching {
    /// The first is the one that is watched.
    infos: VecDeque<Info>,
    watch: Option<Watch>,
    /// When the one that is watched has taken too long.
    end: Option<Time>,
    /// When kubectl has its first answer.
    from: Time,
}

fn status(k: &mut Kubectl) -> Result {
    if k.flags.args.is_empty() && k.flags.list("filename").is_empty() {
        return plain("required resource not specified");
    }
    if k.flags.int("revision") < 0 {
        let text = format!(
            "revision must be a positive integer: {}",
            k.flags.int("revision")
        );
        return plain(text);
    }
    let infos = infos(k)?;
    if infos.is_empty() {
        let namespace = k.namespace();
        k.err(format!("No resources found in {namespace} namespace.\n"));
        return Ok(());
    }
    k.follow = Some(Follow::Rollout(Watching {
        infos: infos.into(),
        watch: None,
        end: None,
        from: k.cluster().now + BREATH,
    }));
    Ok(())
}

impl Watching {
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        if k.cluster().now < self.from {
            return Ok(Some(self.from));
        }
        while let Some(info) = self.infos.front().cloned() {
            let kind = info.resource.kind.clone();
            if k.is_custom(&info.resource) {
                return Err(not_registered(&info.resource));
            }
            if !matches!(&*kind, "Deployment" | "DaemonSet" | "StatefulSet") {
                return plain(format!("no status viewer has been implemented for {kind}"));
            }
            let first = self.watch.is_none();
            if first {
                let query = Query {
                    all_namespaces: true,
                    ..Query::default()
                };
                let known = std::slice::from_ref(&info);
                let name = Some(info.name.clone());
                self.watch = Some(Watch::new(k, &info.resource, &query, name, known)?);
                let limit = k.flags.duration("timeout");
                self.end = (!limit.is_zero()).then(|| k.cluster().now + limit);
            }
            let mut seen = Vec::new();
            if first {
                match k.current(&info.key()) {
                    Some(object) => seen.push((Kind::Added, object)),
                    None => return plain("object has been deleted"),
                }
            }
            if let Some(watch) = &mut self.watch {
                let new = watch.take(k.cluster());
                let new = new
                    .into_iter()
                    .filter(|(_, i)| i.namespace == info.namespace);
                seen.extend(new.map(|(kind, i)| (kind, i.object)));
            }
            if !self.look(k, &kind, seen)? {
                if self.end.is_some_and(|end| k.cluster().now >= end) {
                    return plain("timed out waiting for the condition");
                }
                return Ok(Some(k.next_look(self.end)));
            }
            self.infos.pop_front();
            self.watch = None;
        }
        Ok(None)
    }

    /// Prints what there is to say; whether the rollout is over, or need not be watched.
    fn look(&self, k: &mut Kubectl, kind: &str, seen: Vec<(Kind, Value)>) -> Result<bool> {
        let revision = k.flags.int("revision");
        for (what, object) in seen {
            if what == Kind::Deleted {
                return plain("object has been deleted");
            }
            let (text, done) = progress(kind, &object, revision).map_err(Error::Plain)?;
            k.out(text);
            if done || !k.flags.bool("watch") {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What there is to say about a rollout, and whether it is over (`polymorphichelpers/rollout_status.go`).
fn progress(kind: &str, o: &Value, revision: i64) -> std::result::Result<(String, bool), String> {
    let name = go::quote(o.name());
    let count = |field: &str| o["status"][field].as_i64().unwrap_or(0);
    let replicas = o["spec"]["replicas"].as_i64().unwrap_or(1);
    let strategy = o["spec"]["updateStrategy"]["type"].str();
    let waiting = |text: String| Ok((text + "\n", false));
    let observed = o["status"]["observedGeneration"].as_i64().unwrap_or(0) >= o.generation();
    if matches!(kind, "DaemonSet" | "StatefulSet") && strategy != "RollingUpdate" {
        return Err("rollout status is only available for RollingUpdate strategy type".to_owned());
    }
    match kind {
        "Deployment" => {
            if revision > 0 {
                let has = o
                    .annotation(REVISION)
                    .and_then(|r| r.parse::<i64>().ok())
                    .unwrap_or(0);
                if has != revision {
                    return Err(format!(
                        "desired revision ({revision}) is different from the running revision ({has})"
                    ));
                }
            }
            if !observed {
                return waiting("Waiting for deployment spec update to be observed...".to_owned());
            }
            let conditions = o["status"]["conditions"].items();
            if conditions.iter().any(|c| {
                c["type"].str() == "Progressing" && c["reason"].str() == "ProgressDeadlineExceeded"
            }) {
                return Err(format!("deployment {name} exceeded its progress deadline"));
            }
            let (updated, all, available) = (
                count("updatedReplicas"),
                count("replicas"),
                count("availableReplicas"),
            );
            let head = format!("Waiting for deployment {name} rollout to finish");
            if updated < replicas {
                return waiting(format!(
                    "{head}: {updated} out of {replicas} new replicas have been updated..."
                ));
            }
            if all > updated {
                return waiting(format!(
                    "{head}: {} old replicas are pending termination...",
                    all - updated
                ));
            }
            if available < updated {
                return waiting(format!(
                    "{head}: {available} of {updated} updated replicas are available..."
                ));
            }
            Ok((format!("deployment {name} successfully rolled out\n"), true))
        }
        "DaemonSet" => {
            if !observed {
                return waiting("Waiting for daemon set spec update to be observed...".to_owned());
            }
            let (updated, available, desired) = (
                count("updatedNumberScheduled"),
                count("numberAvailable"),
                count("desiredNumberScheduled"),
            );
            let head = format!("Waiting for daemon set {name} rollout to finish");
            if updated < desired {
                return waiting(format!(
                    "{head}: {updated} out of {desired} new pods have been updated..."
                ));
            }
            if available < desired {
                return waiting(format!(
                    "{head}: {available} of {desired} updated pods are available..."
                ));
            }
            Ok((format!("daemon set {name} successfully rolled out\n"), true))
        }
        _ => {
            if !observed || count("observedGeneration") == 0 {
                return waiting("Waiting for statefulset spec update to be observed...".to_owned());
            }
            let (ready, updated) = (count("readyReplicas"), count("updatedReplicas"));
            if ready < replicas {
                return waiting(format!(
                    "Waiting for {} pods to be ready...",
                    replicas - ready
                ));
            }
            let rolling = &o["spec"]["updateStrategy"]["rollingUpdate"];
            if !rolling.is_null() {
                let wanted = replicas - rolling["partition"].as_i64().unwrap_or(0);
                if updated < wanted {
                    return waiting(format!(
                        "Waiting for partitioned roll out to finish: {updated} out of {wanted} new pods have been updated..."
                    ));
                }
                return Ok((
                    format!(
                        "partitioned roll out complete: {updated} new pods have been updated...\n"
                    ),
                    true,
                ));
            }
            let current = o["status"]["currentRevision"].str();
            if o["status"]["updateRevision"].str() != current {
                return waiting(format!(
                    "waiting for statefulset rolling update to complete {updated} pods at revision {}...",
                    o["status"]["updateRevision"].str()
                ));
            }
            Ok((
                format!(
                    "statefulset rolling update complete {} pods at revision {current}...\n",
                    count("currentReplicas")
                ),
                true,
            ))
        }
    }
}

// --- history and undo --------------------------------------------------------------------------

/// A revision: its number, why it was made, and the pod template.
struct Revision {
    number: i64,
    cause: String,
    template: Value,
    /// The whole ReplicaSet or ControllerRevision.
    object: Value,
}

fn revisions(k: &Kubectl, info: &Info) -> Result<Vec<Revision>> {
    let uid = info.object["metadata"]["uid"].str();
    let owned = |resource: &str| -> Vec<Value> {
        let all = k
            .cluster()
            .etcd
            .list(resource, Some(&info.namespace))
            .map(|(_, o)| o.clone());
        all.filter(|o| o.controller_ref().is_some_and(|c| c.uid() == uid))
            .collect()
    };
    let cause = |o: &Value| {
        o.annotation("kubernetes.io/change-cause")
            .unwrap_or("")
            .to_owned()
    };
    let mut found: Vec<Revision> = match &*info.resource.kind {
        "Deployment" => {
            let sets = owned("replicasets.apps").into_iter();
            sets.map(|o| Revision {
                number: o
                    .annotation(REVISION)
                    .and_then(|r| r.parse().ok())
                    .unwrap_or(0),
                cause: cause(&o),
                template: o["spec"]["template"].clone(),
                object: o,
            })
            .collect()
        }
        "DaemonSet" | "StatefulSet" => {
            let revisions = owned("controllerrevisions.apps").into_iter();
            revisions
                .map(|o| {
                    let changed = kubarium_objects::patch::strategic_merge(
                        kubarium_objects::Schema::builtin(),
                        info.resource.type_id,
                        &info.object,
                        &o["data"],
                    );
                    let template = changed
                        .map(|c| c["spec"]["template"].clone())
                        .unwrap_or_default();
                    Revision {
                        number: o["revision"].as_i64().unwrap_or(0),
                        cause: cause(&o),
                        template,
                        object: o,
                    }
                })
                .collect()
        }
        kind => {
            return plain(format!(
                "no history viewer has been implemented for {}",
                go::quote(kind)
            ));
        }
    };
    found.sort_by_key(|r| r.number);
    Ok(found)
}

fn history(k: &mut Kubectl) -> Result {
    let wanted = k.flags.int("revision");
    if wanted < 0 {
        return plain(format!("revision must be a positive integer: {wanted}"));
    }
    let format = k.format()?;
    let mut errors = Vec::new();
    for info in infos(k)? {
        let revisions = match revisions(k, &info) {
            Ok(revisions) => revisions,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let text = if wanted > 0 {
            let Some(revision) = revisions.iter().find(|r| r.number == wanted) else {
                errors.push(Error::Plain(
                    "unable to find the specified revision".to_owned(),
                ));
                continue;
            };
            let mut template = revision.template.clone();
            if !revision.cause.is_empty() {
                template.set(
                    &["metadata", "annotations", "kubernetes.io/change-cause"],
                    revision.cause.as_str(),
                );
            }
            format!(
                "with revision #{wanted}\n{}",
                describe::pod_template(&template)
            )
        } else {
            let mut lines = "REVISION\tCHANGE-CAUSE\n".to_owned();
            for revision in &revisions {
                let cause = if revision.cause.is_empty() {
                    "<none>"
                } else {
                    &revision.cause
                };
                lines.push_str(&format!("{}\t{cause}\n", revision.number));
            }
            format!("\n{}", table::align(&lines, 0, 2))
        };
        k.report(&format, &info, &text)?;
    }
    Error::aggregate(errors)
}

fn undo(k: &mut Kubectl) -> Result {
    let wanted = k.flags.int("to-revision");
    if wanted < 0 {
        return plain(format!("revision must be a positive integer: {wanted}"));
    }
    let format = k.format()?;
    let mut errors = Vec::new();
    for mut info in infos(k)? {
        match undo_one(k, &mut info, wanted) {
            Ok(said) => k.report(&format, &info, &said)?,
            Err(error) => errors.push(error),
        }
    }
    Error::aggregate(errors)
}

fn undo_one(k: &mut Kubectl, info: &mut Info, wanted: i64) -> Result<String> {
    let kind = info.resource.kind.clone();
    if !matches!(&*kind, "Deployment" | "DaemonSet" | "StatefulSet") {
        return plain(format!(
            "no rollbacker has been implemented for {}",
            go::quote(&kind)
        ));
    }
    if info.object.annotation(super::apply::LAST_APPLIED).is_some() {
        k.warn(&format!(
            "resource {} was previously managed with 'kubectl apply'. Rolling back will not update the {} annotation, which may cause unexpected behavior on future 'kubectl apply' operations. Consider using 'kubectl apply' with your previous configuration file instead.",
            info.plural(),
            super::apply::LAST_APPLIED,
        ));
    }
    if &*kind == "Deployment" && info.object["spec"]["paused"].as_bool() == Some(true) {
        return plain(
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again",
        );
    }
    let revisions = revisions(k, info)?;
    let target = match wanted {
        0 if revisions.len() < 2 => {
            return plain(format!(
                "no rollout history found for {} {}",
                kind_words(&kind),
                go::quote(&info.name)
            ));
        }
        0 => revisions.get(revisions.len() - 2),
        n => revisions.iter().find(|r| r.number == n),
    };
    let Some(target) = target else {
        return plain(format!(
            "unable to find specified revision {wanted} in history"
        ));
    };
    let mut template = target.template.clone();
    template.remove(&["metadata", "labels", "pod-template-hash"]);
    if template.same(&info.object["spec"]["template"]) {
        return Ok(format!(
            "skipped rollback (current template already matches revision {})",
            target.number
        ));
    }
    let patch = if &*kind == "Deployment" {
        let mut annotations = info.object["metadata"]["annotations"].clone();
        match target.object.annotation("kubernetes.io/change-cause") {
            Some(cause) => annotations["kubernetes.io/change-cause"] = cause.into(),
            None => drop(annotations.remove(&["kubernetes.io/change-cause"])),
        }
        let operation = |path: &str, value: Value| {
            object([
                ("op", "replace".into()),
                ("path", path.into()),
                ("value", value),
            ])
        };
        let mut operations = vec![operation("/spec/template", template)];
        if !annotations.is_null() {
            operations.push(operation("/metadata/annotations", annotations));
        }
        Patch::Json(array(operations))
    } else {
        Patch::Strategic(target.object["data"].clone())
    };
    if k.dry_run()? == DryRun::Client && &*info.resource.kind == "Deployment" {
        return Ok(describe::pod_template(&target.template));
    }
    if k.dry_run()? != DryRun::Client {
        info.object = k.patch(
            &info.resource.clone(),
            &info.namespace.clone(),
            &info.name.clone(),
            &patch,
            Subresource::None,
        )?;
    }
    Ok("rolled back".to_owned())
}

fn kind_words(kind: &str) -> &'static str {
    match kind {
        "Deployment" => "deployment",
        "DaemonSet" => "daemon set",
        _ => "stateful set",
    }
}

// --- restart, pause, resume ---------------------------------------------------------------------

fn restart(k: &mut Kubectl) -> Result {
    let format = k.format()?;
    let mut errors = Vec::new();
    for mut info in infos(k)? {
        match restart_one(k, &info) {
            Ok(object) => {
                info.object = object;
                k.report(&format, &info, "restarted")?;
            }
            Err(error) => errors.push(error),
        }
    }
    Error::aggregate(errors)
}

fn restart_one(k: &mut Kubectl, info: &Info) -> Result<Value> {
    let id = info.resource.id();
    if !matches!(
        &*info.resource.kind,
        "Deployment" | "DaemonSet" | "StatefulSet"
    ) {
        return plain(format!(
            "error: {id} {} restarting is not supported",
            go::quote(&info.name)
        ));
    }
    if info.object["spec"]["paused"].as_bool() == Some(true) {
        return plain(format!(
            "error: {id} {} can't restart paused deployment (run rollout resume first)",
            go::quote(&info.name)
        ));
    }
    let now = k.cluster().now.rfc3339();
    let annotations = &info.object["spec"]["template"]["metadata"]["annotations"];
    if annotations["kubectl.kubernetes.io/restartedAt"].str() == now {
        return plain(format!(
            "failed to create patch for {}: if restart has already been triggered within the past second, please wait before attempting to trigger another",
            info.name
        ));
    }
    let mut patch = Value::new_object();
    patch.set(
        &[
            "spec",
            "template",
            "metadata",
            "annotations",
            "kubectl.kubernetes.io/restartedAt",
        ],
        now,
    );
    if k.dry_run()? == DryRun::Client {
        return Ok(info.object.clone());
    }
    k.patch(
        &info.resource.clone(),
        &info.namespace.clone(),
        &info.name.clone(),
        &Patch::Strategic(patch),
        Subresource::None,
    )
}

fn pause(k: &mut Kubectl, wanted: bool) -> Result {
    let format = k.format()?;
    let (doing, done) = if wanted {
        ("pausing", "paused")
    } else {
        ("resuming", "resumed")
    };
    let mut errors = Vec::new();
    for mut info in infos(k)? {
        let named = format!("{} {}", info.resource.id(), go::quote(&info.name));
        if &*info.resource.kind != "Deployment" {
            errors.push(Error::Plain(format!("{named} {doing} is not supported")));
            continue;
        }
        if (info.object["spec"]["paused"].as_bool() == Some(true)) == wanted {
            errors.push(Error::Plain(format!(
                "{named} is {}",
                if wanted {
                    "already paused"
                } else {
                    "not paused"
                }
            )));
            continue;
        }
        let value = if wanted { true.into() } else { Value::Null };
        let patch = Patch::Strategic(object([("spec", object([("paused", value)]))]));
        if k.dry_run()? != DryRun::Client {
            info.object = k.patch(
                &info.resource.clone(),
                &info.namespace.clone(),
                &info.name.clone(),
                &patch,
                Subresource::None,
            )?;
        }
        k.report(&format, &info, done)?;
    }
    Error::aggregate(errors)
}
