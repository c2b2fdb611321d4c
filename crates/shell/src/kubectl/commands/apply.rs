//! `kubectl apply`, client-side: the last applied manifest is kept in an annotation, and what is
//! sent is a three-way merge (`kubectl/pkg/cmd/apply`, v1.37).

use kubarium_cluster::Cluster;
use kubarium_cluster::api::WriteOptions;
use kubarium_objects::{FieldError, ObjectMeta, Resource, Schema, Status, Value, go, patch};

use super::delete::propagation;
use crate::kubectl::command::{ALL, Command, DRY_RUN, FILES, PRINT, RECORD, SELECTOR, VALIDATE};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, list, switch, text};
use crate::kubectl::manifest::Validation;
use crate::kubectl::output::Format;
use crate::kubectl::request::{DeleteOptions, Patch, Propagation, Subresource};
use crate::kubectl::resource::{Info, NOTHING_NAMED};
use crate::kubectl::{DryRun, Kubectl};

/// The annotation with the last applied manifest.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

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
    switch(
        "force-conflicts",
        "If true, server-side apply will force the changes against conflicts.",
    ),
    flag(
        "grace-period",
        Kind::Int,
        "-1",
        "Period of time in seconds given to the resource to terminate gracefully.",
    ),
    flag(
        "openapi-patch",
        Kind::Bool,
        "true",
        "If true, use openapi to calculate diff.",
    ),
    flag(
        "overwrite",
        Kind::Bool,
        "true",
        "Automatically resolve conflicts between the modified and live configuration.",
    ),
    switch(
        "prune",
        "Automatically delete resource objects, that do not appear in the configs.",
    ),
    list(
        "prune-allowlist",
        "Overwrite the default allowlist with <group/version/kind> for --prune",
    ),
    switch(
        "server-side",
        "If true, apply runs in the server instead of the client.",
    ),
    text(
        "subresource",
        "If specified, apply will operate on the subresource of the requested object.  Only allowed when using --server-side.",
    ),
    flag(
        "timeout",
        Kind::Duration,
        "0s",
        "The length of time to wait before giving up on a delete.",
    ),
    switch(
        "wait",
        "If true, wait for resources to be gone before returning.",
    ),
];

const SET_FLAGS: &[Flag] = &[switch(
    "create-annotation",
    "Will create 'last-applied-configuration' annotations if current objects doesn't have one",
)];

const VIEW_FLAGS: &[Flag] = &[flag(
    "output",
    Kind::Text,
    "yaml",
    "Output format. Must be one of (yaml, json)",
)
.short('o')];

pub(crate) const COMMAND: Command = Command::new("apply", "(-f FILENAME | -k DIRECTORY) [options]", "Apply a configuration to a resource by file name or stdin", run)
    .flags(&[FILES, PRINT, DRY_RUN, RECORD, SELECTOR, ALL, VALIDATE, FLAGS])
    .commands(&[
        Command::not_yet("edit-last-applied", "Edit latest last-applied-configuration annotations of a resource/object", "it needs an editor")
            .checking("(RESOURCE/NAME | -f FILENAME) [options]", super::unmodelled::edit)
            .flags(&[FILES, PRINT, RECORD]),
        Command::new("set-last-applied", "-f FILENAME [options]", "Set the last-applied-configuration annotation on a live object to match the contents of a file", set_last_applied)
            .flags(&[FILES, PRINT, DRY_RUN, SET_FLAGS])
            .changing(),
        Command::new("view-last-applied", "(TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME) [options]", "View the latest last-applied-configuration annotations of a resource/object", view_last_applied)
            .flags(&[FILES, SELECTOR, ALL, VIEW_FLAGS]),
    ])
    .changing();

fn run(k: &mut Kubectl) -> Result {
    let server_side = k.flags.bool("server-side");
    let dry_run = k.dry_run()?;
    let cascade = propagation(k)?;
    k.validation()?;
    if k.flags.bool("force-conflicts") && !server_side {
        return plain("--force-conflicts only works with --server-side");
    }
    if dry_run == DryRun::Client && server_side {
        return plain(
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        );
    }
    if k.flags.bool("force") && server_side {
        return plain("--force cannot be used with --server-side");
    }
    if let Some(why) = contradiction(k, server_side, dry_run) {
        return plain(why);
    }
    if !k.flags.args.is_empty() {
        let args = k.flags.args.join(" ");
        return Err(k.usage(format!("Unexpected args: [{args}]")));
    }
    if k.flags.list("filename").is_empty() {
        return plain("must specify one of -f and -k");
    }
    let format = k.format()?;
    let prunable = match k.flags.bool("prune") {
        true => super::prune::kinds(k)?,
        false => Vec::new(),
    };
    let mut manifests = k.manifests()?;
    select(k, &mut manifests.infos)?;
    if manifests.infos.is_empty() && manifests.errors.is_empty() {
        return plain("no objects passed to apply");
    }
    let mut errors = manifests.errors;
    let mut applied = Vec::new();
    for info in manifests.infos {
        let done = if server_side {
            super::server_side::apply(k, info, &format)
        } else {
            apply(k, info, &format, cascade)
        };
        match done {
            Ok(info) => applied.push(info),
            Err(error) => errors.push(error),
        }
    }
    if !matches!(format, Format::Default | Format::Name) {
        print_all(k, &format, applied.clone())?;
    }
    // Where anything failed, nothing is pruned.
    Error::aggregate(errors)?;
    match k.flags.bool("prune") {
        true => super::prune::prune(k, &prunable, &applied, &format),
        false => Ok(()),
    }
}

/// `-l` leaves out of the files what does not match.
pub(super) fn select(k: &Kubectl, infos: &mut Vec<Info>) -> Result {
    if k.flags.changed("selector") {
        let selector = kubarium_objects::Selector::parse(k.flags.str("selector"))
            .map_err(|e| Error::Plain(e.to_string()))?;
        infos.retain(|info| selector.matches(info.object.labels()));
    }
    Ok(())
}

/// Flags that do not go together (`ApplyOptions.Validate`).
fn contradiction(k: &Kubectl, server_side: bool, dry_run: DryRun) -> Option<&'static str> {
    let (force, prune) = (k.flags.bool("force"), k.flags.bool("prune"));
    let (all, selector) = (k.flags.bool("all"), !k.flags.str("selector").is_empty());
    match () {
        _ if force && dry_run == DryRun::Server => {
            Some("--dry-run=server cannot be used with --force")
        }
        _ if all && selector => Some("cannot set --all and --selector at the same time"),
        _ if prune && force => Some("--force cannot be used with --prune"),
        _ if prune && !all && !selector => Some(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector",
        ),
        _ if prune && server_side => Some(
            "--prune is in alpha and doesn't currently work on objects created by server-side apply",
        ),
        _ if k.flags.changed("subresource") && !server_side => {
            Some("--subresource can only be specified for --server-side")
        }
        _ => None,
    }
}

/// With `-o json` and their like, several objects come as one List.
fn print_all(k: &mut Kubectl, format: &Format, mut applied: Vec<Info>) -> Result {
    match applied.len() {
        0 => Ok(()),
        1 => k.print_object(format, &applied.remove(0).object),
        _ => {
            let items: Vec<Value> = applied.into_iter().map(|i| i.object).collect();
            let list = kubarium_objects::object([
                ("apiVersion", "v1".into()),
                ("items", kubarium_objects::array(items)),
                ("kind", "List".into()),
                ("metadata", Value::new_object()),
            ]);
            k.print_object(format, &list)
        }
    }
}

fn apply(k: &mut Kubectl, mut info: Info, format: &Format, cascade: Propagation) -> Result<Info> {
    let quiet = !matches!(format, Format::Default | Format::Name);
    if info.name.is_empty() {
        if !info.object["metadata"]["generateName"].is_empty() {
            return plain(format!(
                "from {}: cannot use generate name with apply",
                info.object["metadata"]["generateName"].str()
            ));
        }
        return Err(retrieving(
            &info,
            Error::Plain("resource name may not be empty".to_owned()),
        ));
    }
    let object = k.lenient(&info.resource.clone(), info.object.clone())?;
    let modified = with_annotation(&object);
    let current = match k.read(
        &info.resource.clone(),
        &info.namespace.clone(),
        &info.name.clone(),
    ) {
        Ok(current) => current,
        Err(error) if error.is_not_found() => {
            info.object = create(k, &info, modified)?;
            if !quiet {
                k.report(format, &info, "created")?;
            }
            return Ok(info);
        }
        Err(error) => return Err(retrieving(&info, error)),
    };
    if current.annotation(LAST_APPLIED).is_none() && k.dry_run()? != DryRun::Client {
        k.warn(&format!(
            "resource {} is missing the {LAST_APPLIED} annotation which is required by {}. {} should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
            info.plural(),
            "kubectl apply",
            "kubectl apply",
        ));
    }
    let patch = three_way(&info.resource, &current, &modified).map_err(|e| {
        Error::Plain(format!(
            "creating patch with:\noriginal:\n{}\nmodified:\n{}\ncurrent:\n{}\nfor: {}: {e}",
            current.annotation(LAST_APPLIED).unwrap_or(""),
            go::json(&modified),
            go::json(&current),
            go::quote(&info.source)
        ))
    })?;
    let operation = if patch.is_empty() {
        "unchanged"
    } else {
        "configured"
    };
    info.object = if patch.is_empty() || k.dry_run()? == DryRun::Client {
        if k.dry_run()? == DryRun::Client {
            modified
        } else {
            current
        }
    } else {
        let kind = if is_builtin(&info.resource) {
            Patch::Strategic(patch.clone())
        } else {
            Patch::Merge(patch.clone())
        };
        let sent = refuse_unknown(k, &info.resource, &current, &patch).and_then(|()| {
            k.patch(
                &info.resource.clone(),
                &info.namespace.clone(),
                &info.name.clone(),
                &kind,
                Subresource::None,
            )
        });
        match sent {
            Err(Error::Status(why))
                if k.flags.bool("force") && (why.is("Conflict") || why.is("Invalid")) =>
            {
                made_anew(k, &info, modified, current, cascade)
            }
            sent => sent,
        }
        .map_err(|error| applying(&info, &patch, error))?
    };
    if !quiet {
        k.report(format, &info, operation)?;
    }
    Ok(info)
}

/// `--force`: what cannot be patched is deleted and created again (`Patcher.deleteAndCreate`); where
/// that fails, what was there comes back.
fn made_anew(
    k: &mut Kubectl,
    info: &Info,
    wanted: Value,
    had: Value,
    propagation: Propagation,
) -> Result<Value> {
    let options = DeleteOptions {
        grace_seconds: Some(k.flags.int("grace-period")).filter(|seconds| *seconds >= 0),
        propagation,
        ..DeleteOptions::default()
    };
    let key = info.key();
    k.delete(&key, &options)?;
    let limit = Kubectl::patience(k.flags.duration("timeout"));
    if !k.wait(limit, |cluster| cluster.etcd.get(&key).is_none()) {
        return plain("context deadline exceeded");
    }
    let (resource, namespace) = (info.resource.clone(), info.namespace.clone());
    k.create(&resource, &namespace, wanted, None).or_else(|why| {
        // The new one's failure is told only where the old one cannot come back either.
        k.create(&resource, &namespace, had, None).map_err(|also| {
            Error::Plain(format!(
                "An error occurred force-replacing the existing object with the newly provided one:\n\n{}.\n\nAdditionally, an error occurred attempting to restore the original object:\n\n{}",
                why.text(),
                also.text()
            ))
        })?;
        Err(why)
    })
}

/// A patch that kubectl sends with strict validation is refused where it brings fields that do not
/// exist (`endpoints/handlers/patch.go`).
fn refuse_unknown(k: &Kubectl, resource: &Resource, current: &Value, patch: &Value) -> Result {
    if k.validation()? != Validation::Strict {
        return Ok(());
    }
    let (sent, shown) = match k.cluster().is_custom(resource) {
        true => {
            let patched = kubarium_objects::patch::merge(current, patch);
            (Patch::Merge(patch.clone()), go::json(&patched))
        }
        false => (Patch::Strategic(patch.clone()), go::print(patch)),
    };
    let Some(why) = k.unknown_fields(resource, current, &sent) else {
        return Ok(());
    };
    let error = FieldError::invalid("patch", shown.as_str(), why.to_string());
    Err(Status::invalid("", "", &[error]).into())
}

fn create(k: &mut Kubectl, info: &Info, modified: Value) -> Result<Value> {
    if k.dry_run()? == DryRun::Client {
        return Ok(modified);
    }
    k.create(&info.resource, &info.namespace, modified, None)
        .map_err(|e| e.when("creating", &info.source))
}

fn is_builtin(resource: &Resource) -> bool {
    Schema::builtin()
        .by_kind(&resource.api_version(), &resource.kind)
        .is_some()
}

/// The object as applying would leave it, without doing so.
///
/// The annotation is left as it is (`diff.go`, InfoObject.Merged).
pub(super) fn would_be(k: &mut Kubectl, info: &Info, live: Option<&Value>) -> Result<Value> {
    let mut modified = info.object.clone();
    modified.remove(&["metadata", "annotations", LAST_APPLIED]);
    if modified["metadata"]["annotations"].is_null() {
        modified["metadata"]["annotations"] = Value::new_object();
    }
    let by = &crate::kubectl::request::PERSON;
    let options = WriteOptions {
        dry_run: true,
        strict: true,
        namespace: info.resource.namespaced.then(|| info.namespace.clone()),
        user: Some(k.user()?),
        ..WriteOptions::default()
    };
    let Some(live) = live else {
        let made = k.change(|cluster| cluster.create_with(by, modified, &options))?;
        return Ok(made);
    };
    let kind =
        patch_of(&info.resource, live, &modified).map_err(|e| Error::Plain(e.to_string()))?;
    let key = info.key();
    let merge = |cluster: &mut Cluster| cluster.patch(by, &key, &kind, Subresource::None, &options);
    Ok(k.change(merge)?)
}

/// What is sent for an object that is there, when `modified` is applied.
fn patch_of(
    resource: &Resource,
    live: &Value,
    modified: &Value,
) -> std::result::Result<Patch, patch::PatchError> {
    let patch = three_way(resource, live, modified)?;
    Ok(if is_builtin(resource) {
        Patch::Strategic(patch)
    } else {
        Patch::Merge(patch)
    })
}

/// What applying a manifest sends for the object that is there.
pub(crate) fn apply_patch(
    resource: &Resource,
    live: &Value,
    manifest: &Value,
) -> std::result::Result<Patch, patch::PatchError> {
    patch_of(resource, live, &with_annotation(manifest))
}

/// The object with itself in the annotation (`util.GetModifiedConfiguration`).
pub(crate) fn with_annotation(object: &Value) -> Value {
    let mut object = object.clone();
    if object["metadata"]["annotations"].as_object().is_none() {
        object.set(&["metadata", "annotations"], Value::new_object());
    }
    object.remove(&["metadata", "annotations", LAST_APPLIED]);
    let text = go::json(&object) + "\n";
    object["metadata"]["annotations"][LAST_APPLIED] = text.into();
    object
}

/// What is sent for an object that is there.
fn three_way(
    resource: &Resource,
    current: &Value,
    modified: &Value,
) -> std::result::Result<Value, patch::PatchError> {
    let original = current
        .annotation(LAST_APPLIED)
        .and_then(|text| Value::from_json(text).ok())
        .unwrap_or_default();
    if is_builtin(resource) {
        patch::three_way_strategic(
            Schema::builtin(),
            resource.type_id,
            &original,
            modified,
            current,
        )
    } else {
        Ok(patch::three_way_merge(&original, modified, current))
    }
}

/// `Resource: "/v1, Resource=pods", GroupVersionKind: "/v1, Kind=Pod"\nName: …`
fn described(info: &Info) -> String {
    let group_version = match &*info.resource.group {
        "" => format!("/{}", info.resource.version),
        group => format!("{group}/{}", info.resource.version),
    };
    format!(
        "Resource: {}, GroupVersionKind: {}\nName: {}, Namespace: {}",
        go::quote(&format!(
            "{group_version}, Resource={}",
            info.resource.plural
        )),
        go::quote(&format!("{group_version}, Kind={}", info.resource.kind)),
        go::quote(&info.name),
        go::quote(&info.namespace),
    )
}

fn wrap(error: Error, text: impl FnOnce(&str) -> String) -> Error {
    match error {
        Error::Status(mut status) => {
            status.message = text(&status.message);
            Error::Status(status)
        }
        other => Error::Plain(text(&other.text())),
    }
}

fn retrieving(info: &Info, error: Error) -> Error {
    let source = go::quote(&info.source);
    wrap(error, |why| {
        format!(
            "error when retrieving current configuration of:\n{}\nfrom server for: {source}: {why}",
            described(info)
        )
    })
}

fn applying(info: &Info, patch: &Value, error: Error) -> Error {
    let source = go::quote(&info.source);
    wrap(error.when("patching", &info.source), |why| {
        format!(
            "error when applying patch:\n{}\nto:\n{}\nfor: {source}: {why}",
            go::json(patch),
            described(info)
        )
    })
}

fn set_last_applied(k: &mut Kubectl) -> Result {
    let format = k.format()?;
    if k.flags.list("filename").is_empty() {
        return plain(NOTHING_NAMED);
    }
    let manifests = k.manifests()?;
    Error::aggregate(manifests.errors)?;
    for mut info in manifests.infos {
        let current = k.read(
            &info.resource.clone(),
            &info.namespace.clone(),
            &info.name.clone(),
        )?;
        let had = current.annotation(LAST_APPLIED);
        if had.is_none() && !k.flags.bool("create-annotation") {
            return plain(format!(
                "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command with --create-annotation",
                info.name
            ));
        }
        let modified = with_annotation(&info.object);
        let wanted = modified.annotation(LAST_APPLIED).unwrap_or("").to_owned();
        let mut change = Value::new_object();
        change.set(&["metadata", "annotations", LAST_APPLIED], wanted.as_str());
        let unchanged = had == Some(wanted.as_str());
        info.object = if k.dry_run()? == DryRun::Client || unchanged {
            current.clone()
        } else {
            k.patch(
                &info.resource.clone(),
                &info.namespace.clone(),
                &info.name.clone(),
                &Patch::Merge(change),
                Subresource::None,
            )?
        };
        k.report(&format, &info, "configured")?;
    }
    Ok(())
}

fn view_last_applied(k: &mut Kubectl) -> Result {
    let output = k.flags.str("output").to_owned();
    if output != "yaml" && output != "json" {
        return Err(k.usage(format!(
            "Unexpected -o output mode: {output}, the flag 'output' must be one of yaml|json"
        )));
    }
    let infos = super::infos(k)?;
    if infos.is_empty() {
        return plain("no objects passed to view-last-applied");
    }
    for info in infos {
        let object = k.read(
            &info.resource.clone(),
            &info.namespace.clone(),
            &info.name.clone(),
        )?;
        let Some(text) = object.annotation(LAST_APPLIED) else {
            // Without a file there is nothing that kubectl could add its message to.
            if info.source.is_empty() {
                continue;
            }
            return plain(format!(
                "error when no last-applied-configuration annotation found on resource: {}\n {}: <nil>",
                info.name,
                go::quote(&info.source)
            ));
        };
        let last = Value::from_json(text).unwrap_or_default();
        let shown = if output == "json" {
            go::json_indent(&last, "  ") + "\n"
        } else {
            kubarium_objects::yaml::to_yaml(&last)
        };
        k.out(shown);
    }
    Ok(())
}
