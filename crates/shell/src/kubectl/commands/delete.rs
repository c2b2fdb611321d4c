//! `kubectl delete`

use std::time::Duration;

use kubarium_cluster::Time;
use kubarium_objects::{ObjectKey, Text, go};

use crate::kubectl::command::{
    ALL, ALL_NAMESPACES, Command, DRY_RUN, FIELD_SELECTOR, FILES, SELECTOR,
};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch, text};
use crate::kubectl::follow::Follow;
use crate::kubectl::request::{DeleteOptions, Propagation};
use crate::kubectl::resource::{Info, Query, kind_name};
use crate::kubectl::{DryRun, Kubectl};

const FLAGS: &[Flag] = &[
    flag(
        "cascade",
        Kind::Optional("background"),
        "background",
        "Must be \"background\", \"orphan\", or \"foreground\".",
    ),
    switch(
        "force",
        "If true, immediately remove resources from API and bypass graceful deletion.",
    ),
    flag(
        "grace-period",
        Kind::Int,
        "-1",
        "Period of time in seconds given to the resource to terminate gracefully.",
    ),
    switch(
        "ignore-not-found",
        "Treat \"resource not found\" as a successful delete.",
    ),
    switch(
        "interactive",
        "If true, delete resource only when user confirms.",
    )
    .short('i'),
    switch(
        "now",
        "If true, resources are signaled for immediate shutdown (same as --grace-period=1).",
    ),
    text(
        "output",
        "Output mode. Use \"-o name\" for shorter output (resource/name).",
    )
    .short('o'),
    text("raw", "Raw URI to DELETE to the server."),
    flag(
        "timeout",
        Kind::Duration,
        "0s",
        "The length of time to wait before giving up on a delete, zero means determine a timeout from the size of the object",
    ),
    flag(
        "wait",
        Kind::Bool,
        "true",
        "If true, wait for resources to be gone before returning. This waits for finalizers.",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "delete",
    "([-f FILENAME] | [-k DIRECTORY] | TYPE [(NAME | -l label | --all)]) [options]",
    "Delete resources by file names, stdin, resources and names, or by resources and label selector",
    run,
)
.flags(&[FILES, SELECTOR, FIELD_SELECTOR, ALL, ALL_NAMESPACES, DRY_RUN, FLAGS])
.changing();

/// How long a delete waits before it gives up: kubectl's own limit of a week.
const WAIT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

fn run(k: &mut Kubectl) -> Result {
    let output = k.flags.str("output").to_owned();
    if !matches!(output.as_str(), "" | "name") {
        return plain(format!(
            "unexpected -o output mode: {output}. We only support '-o name'"
        ));
    }
    let mut grace = k.flags.int("grace-period");
    let force = k.flags.bool("force");
    if k.flags.bool("now") {
        if grace != -1 {
            return plain("--now and --grace-period cannot be specified together");
        }
        grace = 1;
    }
    if grace == 0 && !force {
        // Without --force, kubectl waits for a second instead.
        grace = 1;
    }
    if force && grace < 0 {
        grace = 0;
    }
    if force && grace > 0 {
        return plain("--force and --grace-period greater than 0 cannot be specified together");
    }
    let propagation = propagation(k)?;
    if k.flags.bool("all") && !k.flags.str("selector").is_empty() {
        return plain("cannot set --all and --selector at the same time");
    }
    if k.flags.bool("all") && !k.flags.str("field-selector").is_empty() {
        return plain("cannot set --all and --field-selector at the same time");
    }
    if k.flags.changed("raw") {
        return super::raw::send(k, super::raw::Method::Delete);
    }
    if force {
        k.warn("Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.");
    }
    let (infos, mut errors, explicit) = select(k)?;
    let missing_is_fine =
        k.flags.bool("ignore-not-found") || (!explicit && !k.flags.changed("ignore-not-found"));
    if missing_is_fine {
        errors.retain(|e| !e.is_not_found());
    }
    let dry_run = k.dry_run()?;
    if k.flags.bool("interactive") {
        Error::aggregate(errors.clone())?;
        if infos.is_empty() {
            k.out("No resources found\n");
            return Ok(());
        }
        if !confirmed(k, &infos) {
            k.out("deletion is cancelled\n");
            return Ok(());
        }
    }
    let warns_of_scope = k.namespace_is_given() && !k.flags.bool("all-namespaces");
    if warns_of_scope && infos.iter().any(|i| i.namespace.is_empty()) {
        k.warn("deleting cluster-scoped resources, not scoped to the provided namespace");
    }
    let mut gone = Vec::new();
    let mut found = 0;
    for info in infos {
        found += 1;
        if dry_run != DryRun::Client {
            let options = DeleteOptions {
                grace_seconds: (grace >= 0).then_some(grace),
                propagation,
                dry_run: dry_run == DryRun::Server,
                ..DeleteOptions::default()
            };
            match k.delete(&info.key(), &options) {
                Ok(object) => gone.push((info.key(), object["metadata"]["uid"].text())),
                Err(status) if status.is("NotFound") && missing_is_fine => continue,
                Err(status) => {
                    let error = Error::from(status);
                    errors.push(if info.source.is_empty() {
                        error
                    } else {
                        error.when("deleting", &info.source)
                    });
                    continue;
                }
            }
        }
        k.warn_deprecated(&info.resource.clone());
        report(k, &info, &output, grace, force, dry_run);
    }
    // What is named counts as found until the API server says otherwise.
    if found == 0 && errors.is_empty() && !explicit {
        k.out("No resources found\n");
        return Ok(());
    }
    let waits = k.flags.bool("wait")
        && dry_run == DryRun::None
        && !gone.is_empty()
        && (!force || k.flags.changed("wait"));
    // Where a delete has failed, kubectl waits for none.
    Error::aggregate(errors)?;
    if waits {
        let limit = k.flags.duration("timeout");
        let limit = if limit.is_zero() { WAIT_MAX } else { limit };
        let end = k.cluster().now + limit;
        k.follow = Some(Follow::Delete(Waiting { gone, end }));
    }
    Ok(())
}

/// What `kubectl delete` still waits for.
#[derive(Clone)]
pub(crate) struct Waiting {
    /// Keys and uids.
    gone: Vec<(ObjectKey, Text)>,
    end: Time,
}

impl Waiting {
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        let cluster = k.cluster();
        self.gone.retain(|(key, uid)| {
            let there = cluster.etcd.get(key);
            there.is_some_and(|o| o["metadata"]["uid"].str() == &**uid)
        });
        let Some((key, _)) = self.gone.first() else {
            return Ok(None);
        };
        if cluster.now >= self.end {
            let plural = key.resource.split('.').next().unwrap_or("");
            return plain(format!(
                "timed out waiting for the condition on {plural}/{}",
                key.name
            ));
        }
        Ok(Some(k.next_look(Some(self.end))))
    }
}

/// `--interactive`: asks, and reads the answer from standard input.
fn confirmed(k: &mut Kubectl, infos: &[Info]) -> bool {
    let mut text = format!(
        "You are about to delete the following {} resource(s):\n",
        infos.len()
    );
    for info in infos {
        text.push_str(&(info.shown() + "\n"));
    }
    text.push_str("Do you want to continue? (y/N): ");
    k.out(text);
    let input = String::from_utf8_lossy(&std::mem::take(&mut k.stdin)).into_owned();
    let answer = input.lines().next().unwrap_or("").trim().to_owned();
    answer.eq_ignore_ascii_case("y")
}

pub(super) fn propagation(k: &Kubectl) -> Result<Propagation> {
    match k.flags.str("cascade") {
        "background" | "true" | "" => Ok(Propagation::Background),
        "foreground" => Ok(Propagation::Foreground),
        "orphan" | "false" => Ok(Propagation::Orphan),
        other => plain(format!(
            "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
        )),
    }
}

/// The objects, what went wrong, and whether they were named one by one.
fn select(k: &mut Kubectl) -> Result<(Vec<Info>, Vec<Error>, bool)> {
    let args = k.flags.args.clone();
    if !k.flags.list("filename").is_empty() {
        if !args.is_empty() {
            return plain(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
            );
        }
        let manifests = k.manifests()?;
        return Ok((manifests.infos, manifests.errors, true));
    }
    let query = Query {
        args,
        selector: k
            .flags
            .changed("selector")
            .then(|| k.flags.str("selector").to_owned()),
        field_selector: k
            .flags
            .changed("field-selector")
            .then(|| k.flags.str("field-selector").to_owned()),
        all: k.flags.bool("all"),
        all_namespaces: k.flags.bool("all-namespaces"),
        verb: Some("delete"),
    };
    let explicit = query.selector.is_none() && query.field_selector.is_none() && !query.all;
    let selection = k.select(&query)?;
    let errors = selection.errors.clone();
    Ok((selection.infos().collect(), errors, explicit))
}

fn report(k: &mut Kubectl, info: &Info, output: &str, grace: i64, force: bool, dry_run: DryRun) {
    if output == "name" {
        k.out(info.shown() + "\n");
        return;
    }
    let kind = kind_name(&info.resource);
    let operation = if grace == 0 && force {
        "force deleted"
    } else {
        "deleted"
    };
    let place = if info.namespace.is_empty() {
        String::new()
    } else {
        format!(" from {} namespace", info.namespace)
    };
    k.out(format!(
        "{kind} {} {operation}{place}{}\n",
        go::quote(&info.name),
        dry_run.suffix()
    ));
}
