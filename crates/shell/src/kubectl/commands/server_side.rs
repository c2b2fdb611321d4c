//! `kubectl apply --server-side` (`kubectl/pkg/cmd/apply`, v1.37)

use kubarium_cluster::api::{Apply, Subresource, WriteOptions};
use kubarium_objects::{ObjectMeta, Value, object};

use super::apply::LAST_APPLIED;
use crate::kubectl::DryRun;
use crate::kubectl::Kubectl;
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::output::Format;
use crate::kubectl::request::PERSON;
use crate::kubectl::resource::Info;

const CONFLICT: &str = "Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";

/// Sends a manifest to be applied.
pub(super) fn apply(k: &mut Kubectl, mut info: Info, format: &Format) -> Result<Info> {
    if info.name.is_empty() {
        let generate = info.object["metadata"]["generateName"].str();
        if !generate.is_empty() {
            return plain(format!(
                "from {generate}: cannot use generate name with apply"
            ));
        }
        return plain("resource name may not be empty");
    }
    let config = std::mem::take(&mut info.object);
    info.object = send(k, &info, &config)?;
    if k.dry_run()? == DryRun::None
        && let Some(kept) = info.object.annotation(LAST_APPLIED).map(str::to_owned)
    {
        let (key, manager) = (info.key(), k.manager());
        if manager == "kubectl" {
            keep_annotation(k, &info, &kept)?;
        }
        if k.change(|cluster| cluster.upgrade_managers(&PERSON, &key, &manager)) {
            info.object = send(k, &info, &config)?;
        }
    }
    if matches!(format, Format::Default | Format::Name) {
        k.report(format, &info, "serverside-applied")?;
    }
    Ok(info)
}

/// The annotation of a client-side apply gets a manager of its own, so that it stays
/// (`saveLastApplyAnnotationIfNecessary`).
fn keep_annotation(k: &mut Kubectl, info: &Info, text: &str) -> Result {
    let key = info.key();
    let owned =
        k.cluster()
            .managed_fields(&key)
            .is_applied(&["metadata", "annotations", LAST_APPLIED]);
    if owned {
        return Ok(());
    }
    let mut metadata = object([("name", (&info.name).into())]);
    if !info.namespace.is_empty() {
        metadata["namespace"] = (&info.namespace).into();
    }
    metadata["annotations"][LAST_APPLIED] = text.into();
    let config = object([
        ("apiVersion", info.resource.api_version().into()),
        ("kind", (&info.resource.kind).into()),
        ("metadata", metadata),
    ]);
    let options = WriteOptions {
        manager: Some("kubectl-last-applied".into()),
        ..k.write_options(&info.resource, &info.namespace)?
    };
    let what = Apply {
        config,
        force: true,
    };
    let resource = info.resource.clone();
    k.change(|cluster| {
        cluster.server_side_apply(&PERSON, &resource, &what, Subresource::None, &options)
    })?;
    Ok(())
}

/// `--subresource`
fn part(k: &Kubectl) -> Result<Subresource> {
    match k.flags.str("subresource") {
        "" => Ok(Subresource::None),
        "status" => Ok(Subresource::Status),
        "resize" => Ok(Subresource::Resize),
        other => plain(crate::registry::not_yet(
            &format!("kubectl apply --server-side --subresource={other}"),
            "status and resize are",
        )),
    }
}

/// The object as applying would leave it, without doing so.
pub(super) fn would_be(k: &mut Kubectl, info: &Info) -> Result<Value> {
    let options = WriteOptions {
        dry_run: true,
        ..k.write_options(&info.resource, &info.namespace)?
    };
    send_with(k, info, &info.object, Subresource::None, &options)
}

fn send(k: &mut Kubectl, info: &Info, config: &Value) -> Result<Value> {
    k.warn_deprecated(&info.resource);
    let part = part(k)?;
    let name = k.flags.str("subresource");
    k.authorize("patch", &info.resource, name, &info.namespace, &info.name)?;
    let options = k.write_options(&info.resource, &info.namespace)?;
    send_with(k, info, config, part, &options)
}

fn send_with(
    k: &mut Kubectl,
    info: &Info,
    config: &Value,
    part: Subresource,
    options: &WriteOptions,
) -> Result<Value> {
    let what = Apply {
        config: config.clone(),
        force: k.flags.bool("force-conflicts"),
    };
    let resource = info.resource.clone();
    let answer =
        k.change(|cluster| cluster.server_side_apply(&PERSON, &resource, &what, part, options));
    match answer {
        Ok(object) => {
            k.warn_about(&info.resource, &object);
            Ok(object)
        }
        Err(status) if status.is("Conflict") => plain(format!("{}\n{CONFLICT}", status.message)),
        Err(status) => Err(Error::from(status)),
    }
}
