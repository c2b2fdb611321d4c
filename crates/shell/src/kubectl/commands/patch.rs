//! `kubectl patch` and `kubectl replace`

use kubarium_objects::decode::DecodeError;
use kubarium_objects::{ObjectMeta, Schema, Status, Value, go, yaml};

use crate::kubectl::command::{Command, DRY_RUN, FILES, PRINT, RECORD, SAVE_CONFIG, VALIDATE};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch, text};
use crate::kubectl::output::Format;
use crate::kubectl::request::{DeleteOptions, Patch, Subresource};
use crate::kubectl::{DryRun, Kubectl};

const FLAGS: &[Flag] = &[
    switch(
        "local",
        "If true, patch will operate on the content of the file, not the server-side resource.",
    ),
    text(
        "patch",
        "The patch to be applied to the resource JSON file.",
    )
    .short('p'),
    text(
        "patch-file",
        "A file containing a patch to be applied to the resource.",
    ),
    text(
        "subresource",
        "If specified, patch will operate on the subresource of the requested object.",
    ),
    flag(
        "type",
        Kind::Text,
        "strategic",
        "The type of patch being provided; one of [json merge strategic]",
    ),
];

pub(crate) const PATCH: Command = Command::new(
    "patch",
    "(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE] [options]",
    "Update fields of a resource",
    patch,
)
.flags(&[FILES, PRINT, DRY_RUN, RECORD, FLAGS])
.changing();

fn subresource(k: &Kubectl) -> Result<Subresource> {
    match k.flags.str("subresource") {
        "" => Ok(Subresource::None),
        "status" => Ok(Subresource::Status),
        "resize" => Ok(Subresource::Resize),
        // A scale's fields are the object's own.
        "scale" => Ok(Subresource::None),
        _ => Err(Status::no_such_resource().into()),
    }
}

fn patch(k: &mut Kubectl) -> Result {
    let (given, file) = (
        k.flags.str("patch").to_owned(),
        k.flags.str("patch-file").to_owned(),
    );
    if !given.is_empty() && !file.is_empty() {
        return plain("cannot specify --patch and --patch-file together");
    }
    if k.is_local() && !(given.is_empty() && file.is_empty()) {
        if !k.flags.args.is_empty() {
            return plain("cannot specify --local and server resources");
        }
        k.check_local()?;
    }
    let text = match (given.is_empty(), file.is_empty()) {
        (true, true) => {
            return plain(
                "must specify --patch or --patch-file containing the contents of the patch",
            );
        }
        (false, _) => given,
        _ if file == "-" => String::from_utf8_lossy(&std::mem::take(&mut k.stdin)).into_owned(),
        _ => {
            let path = k.session.absolute(&k.cwd, &file);
            match k.session.read_file(&path) {
                Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                None => {
                    return plain(format!(
                        "unable to read patch file: open {file}: no such file or directory"
                    ));
                }
            }
        }
    };
    let kind = k.flags.str("type").to_owned();
    if !matches!(kind.as_str(), "json" | "merge" | "strategic") {
        return plain(format!(
            "--type must be one of [json merge strategic], not {}",
            go::quote(&kind)
        ));
    }
    let part = subresource(k)?;
    let change = match yaml::parse(&text) {
        Ok(mut documents) if !documents.is_empty() => documents.remove(0).value,
        Ok(_) => Value::Null,
        Err(_) if text.trim_start().starts_with('{') => Value::Null,
        Err(e) => {
            return plain(format!(
                "unable to parse {}: {}",
                go::quote(&text),
                e.message
                    .trim_start_matches("error converting YAML to JSON: ")
            ));
        }
    };
    let format = k.format()?;
    let only_prints = k.only_prints()?;
    let (infos, mut errors) = super::found(k)?;
    if infos.is_empty() {
        Error::aggregate(errors)?;
        return plain("no objects passed to patch");
    }
    // JSON is sent as it is, and other than JSON only what was read as YAML.
    let is_broken = text.trim_start().starts_with('{') && Value::from_json(&text).is_err();
    if is_broken && !only_prints {
        return Err(Status::bad_request("invalid JSON patch").into());
    }
    if kind == "json" && change.as_object().is_some() && !only_prints {
        let why = "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp";
        return Err(Status::bad_request(why).into());
    }
    let is_scale = k.flags.str("subresource") == "scale";
    for mut info in infos {
        let before = info.object.clone();
        let sent = match kind.as_str() {
            "json" => Patch::Json(change.clone()),
            "merge" => Patch::Merge(change.clone()),
            _ => Patch::Strategic(change.clone()),
        };
        // kubectl patch asks for no validation: the API server warns.
        if !k.is_local()
            && let Some(DecodeError::Unknown(paths)) =
                k.unknown_fields(&info.resource, &before, &sent)
        {
            for path in paths {
                k.warn(&format!("unknown field {}", go::quote(&path)));
            }
        }
        let after = if only_prints {
            locally(&info.resource, &before, &sent)
        } else {
            k.patch(
                &info.resource.clone(),
                &info.namespace.clone(),
                &info.name.clone(),
                &sent,
                part,
            )
        };
        match after {
            Ok(object) => {
                let same = object.same(&before);
                info.object = object;
                let done = match same {
                    true if !is_scale => "patched (no change)",
                    _ => "patched",
                };
                if is_scale && matches!(format, Format::Default) {
                    k.out(format!("scale.autoscaling/{} {done}\n", info.name));
                } else {
                    k.report_as(&format, &info, done)?;
                }
            }
            Err(Error::Status(status)) if status.is("UnsupportedMediaType") => {
                errors.push(Error::Plain(format!(
                    "application/strategic-merge-patch+json is not supported by {}, Kind={}: {}",
                    info.resource.api_version(),
                    info.resource.kind,
                    status.message
                )));
            }
            Err(error) => errors.push(error),
        }
    }
    Error::aggregate(errors)
}

fn locally(resource: &kubarium_objects::Resource, before: &Value, patch: &Patch) -> Result<Value> {
    use kubarium_objects::patch::{json_patch, merge, strategic_merge};
    let patched = match patch {
        Patch::Json(operations) => json_patch(before, operations),
        Patch::Merge(change) => Ok(merge(before, change)),
        Patch::Strategic(change) => {
            strategic_merge(Schema::builtin(), resource.type_id, before, change)
        }
    };
    patched.map_err(|e| Error::Plain(e.to_string()))
}

const REPLACE_FLAGS: &[Flag] = &[
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
    text("raw", "Raw URI to PUT to the server."),
    text(
        "subresource",
        "If specified, replace will operate on the subresource of the requested object.",
    ),
    flag(
        "timeout",
        Kind::Duration,
        "0s",
        "The length of time to wait before giving up on a delete",
    ),
    switch(
        "wait",
        "If true, wait for resources to be gone before returning.",
    ),
];

pub(crate) const REPLACE: Command = Command::new(
    "replace",
    "-f FILENAME [options]",
    "Replace a resource by file name or stdin",
    replace,
)
.flags(&[
    FILES,
    PRINT,
    DRY_RUN,
    RECORD,
    SAVE_CONFIG,
    VALIDATE,
    REPLACE_FLAGS,
])
.changing();

fn replace(k: &mut Kubectl) -> Result {
    if k.flags.changed("raw") {
        return super::raw::send(k, super::raw::Method::Put);
    }
    let force = k.flags.bool("force");
    let grace = k.flags.int("grace-period");
    if force && k.dry_run()? != DryRun::None {
        return plain("--dry-run can not be used when --force is set");
    }
    if grace >= 0 && !force {
        return plain("--grace-period must have --force specified");
    }
    if !k.flags.duration("timeout").is_zero() && !force {
        return plain("--timeout must have --force specified");
    }
    if k.flags.list("filename").is_empty() {
        return plain("must specify one of -f and -k");
    }
    let part = subresource(k)?;
    let format = k.format()?;
    let dry_run = k.dry_run()?;
    let manifests = k.manifests()?;
    let mut errors = manifests.errors;
    if manifests.infos.is_empty() && errors.is_empty() {
        return plain("no objects passed to replace");
    }
    for mut info in manifests.infos {
        let mut object = k.lenient(&info.resource.clone(), info.object.clone())?;
        // The annotation is renewed where the manifest has it; otherwise it goes with the rest.
        let had = info.object.annotation(super::apply::LAST_APPLIED).is_some();
        if k.flags.bool("save-config") || had {
            object = super::apply::with_annotation(&object);
        }
        if dry_run == DryRun::Client {
            info.object = object;
            k.report(&format, &info, "replaced")?;
            continue;
        }
        let sent = if force {
            let options = DeleteOptions {
                grace_seconds: Some(grace.max(0)),
                ..DeleteOptions::default()
            };
            match k.delete(&info.key(), &options) {
                Ok(_) => {
                    let place = if info.namespace.is_empty() {
                        String::new()
                    } else {
                        format!(" from {} namespace", info.namespace)
                    };
                    k.out(format!(
                        "{} {} deleted{place}\n",
                        crate::kubectl::resource::kind_name(&info.resource),
                        go::quote(&info.name)
                    ));
                }
                Err(status) if status.is("NotFound") => {}
                Err(status) => {
                    errors.push(status.into());
                    continue;
                }
            }
            let key = info.key();
            k.wait(Kubectl::patience(k.flags.duration("timeout")), |cluster| {
                cluster.etcd.get(&key).is_none()
            });
            k.create(
                &info.resource.clone(),
                &info.namespace.clone(),
                object,
                None,
            )
        } else {
            k.replace(&info, object, part)
        };
        match sent {
            Ok(object) => {
                info.object = object;
                k.report(&format, &info, "replaced")?;
            }
            Err(error) => errors.push(error.when("replacing", &info.source)),
        }
    }
    Error::aggregate(errors)
}
