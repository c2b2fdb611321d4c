//! `kubectl scale`

use std::time::Duration;

use kubarium_objects::{Status, Value};

use crate::kubectl::command::{ALL, Command, DRY_RUN, FILES, PRINT, RECORD, SELECTOR};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, text};
use crate::kubectl::request::{Patch, Subresource};
use crate::kubectl::resource::Info;
use crate::kubectl::{DryRun, Kubectl};

const FLAGS: &[Flag] = &[
    flag(
        "current-replicas",
        Kind::Int,
        "-1",
        "Precondition for current size. Requires that the current size of the resource match this value in order to scale.",
    ),
    flag(
        "replicas",
        Kind::Int,
        "0",
        "The new desired number of replicas. Required.",
    )
    .required(),
    text("resource-version", "Precondition for resource version."),
    flag(
        "timeout",
        Kind::Duration,
        "0s",
        "The length of time to wait before giving up on a scale operation, zero means don't wait.",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "scale",
    "[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME) [options]",
    "Set a new size for a deployment, replica set, or replication controller",
    run,
)
.flags(&[FILES, PRINT, DRY_RUN, RECORD, SELECTOR, ALL, FLAGS])
.changing();

fn run(k: &mut Kubectl) -> Result {
    let replicas = k.flags.int("replicas");
    if replicas < 0 {
        return plain(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        );
    }
    let wanted = k.flags.int("current-replicas");
    if wanted < -1 {
        return plain("The --current-replicas must specify an integer of -1 or greater");
    }
    let format = k.format()?;
    let dry_run = k.dry_run()?;
    let (infos, errors) = super::found(k)?;
    let version = k.flags.str("resource-version").to_owned();
    if !version.is_empty() && infos.len() > 1 {
        return plain("cannot use --resource-version with multiple resources");
    }
    if infos.is_empty() {
        Error::aggregate(errors)?;
        return plain("no objects passed to scale");
    }
    for mut info in infos {
        let current = scale_of(k, &info)?["spec"]["replicas"]
            .as_i64()
            .unwrap_or(0);
        if wanted >= 0 && current != wanted {
            return plain(format!("Expected replicas to be {wanted}, was {current}"));
        }
        let has = info.object["metadata"]["resourceVersion"].str().to_owned();
        if !version.is_empty() && version != has {
            return plain(format!(
                "Expected resource version to be {version}, was {has}"
            ));
        }
        if dry_run != DryRun::Client {
            let patch = Patch::Merge(k.cluster().scale_change(&info.resource, replicas));
            info.object = k.patch(
                &info.resource.clone(),
                &info.namespace.clone(),
                &info.name.clone(),
                &patch,
                Subresource::Scale,
            )?;
        }
        let limit = k.flags.duration("timeout");
        if !limit.is_zero() && dry_run == DryRun::None {
            wait(k, &info, replicas, limit)?;
        }
        k.report(&format, &info, "scaled")?;
    }
    Error::aggregate(errors)
}

fn wait(k: &mut Kubectl, info: &Info, replicas: i64, limit: Duration) -> Result {
    let key = info.key();
    let done = k.wait(limit, |cluster| {
        cluster.etcd.get(&key).is_some_and(|o| {
            let observed =
                o["status"]["observedGeneration"].as_i64() >= o["metadata"]["generation"].as_i64();
            observed && o["status"]["replicas"].as_i64().unwrap_or(0) == replicas
        })
    });
    if done {
        Ok(())
    } else {
        plain("timed out waiting for the condition")
    }
}

/// The scale subresource of an object.
///
/// # Errors
/// What the API server says of kinds without one.
pub(crate) fn scale_of(k: &Kubectl, info: &Info) -> Result<Value> {
    match info.resource.subresource("scale") {
        Some(_) => Ok(k.cluster().scale_of(&info.resource, &info.object)),
        None if k.is_custom(&info.resource) => {
            Err(Status::not_found(&info.resource.id(), &info.name).into())
        }
        None => Err(Status::no_such_resource().into()),
    }
}
