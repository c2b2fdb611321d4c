//! What the commands do, a file each.

pub(crate) mod access;
pub(crate) mod apply;
pub(crate) mod auth;
pub(crate) mod config;
mod config_entries;
pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod debug;
pub(crate) mod delete;
pub(crate) mod diff;
pub(crate) mod discovery;
mod dump;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod explain;
mod explain_custom;
pub(crate) mod forward;
pub(crate) mod get;
pub(crate) mod kustomize;
pub(crate) mod label;
pub(crate) mod logs;
pub(crate) mod minor;
pub(crate) mod nodes;
pub(crate) mod patch;
mod prune;
pub(crate) mod raw;
mod reconcile;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod scale;
mod server_side;
pub(crate) mod set;
pub(crate) mod top;
pub(crate) mod unmodelled;
pub(crate) mod wait;

use super::Kubectl;
use super::error::{self, Error, Result};
use super::resource::{Info, NOTHING_NAMED, Query};

/// The objects that a command's arguments or files mean; those of files as they are now.
fn infos(k: &mut Kubectl) -> Result<Vec<Info>> {
    let (infos, errors) = found(k)?;
    Error::aggregate(errors)?;
    Ok(infos)
}

/// The same for commands that go on with what there is: what was found, and why the rest was not.
fn found(k: &mut Kubectl) -> Result<(Vec<Info>, Vec<Error>)> {
    if k.is_local() {
        if k.flags.list("filename").is_empty() {
            return error::plain(NOTHING_NAMED);
        }
        let manifests = k.manifests()?;
        return Ok((manifests.infos, manifests.errors));
    }
    if k.flags.list("filename").is_empty() {
        let query = query(k);
        let mut selection = k.select(&query)?;
        let errors = std::mem::take(&mut selection.errors);
        return Ok((selection.infos().collect(), errors));
    }
    let manifests = k.manifests()?;
    let (mut infos, mut errors) = (Vec::new(), manifests.errors);
    for mut info in manifests.infos {
        match k.read(&info.resource, &info.namespace, &info.name) {
            Ok(object) => {
                info.object = object;
                infos.push(info);
            }
            Err(error) => errors.push(error),
        }
    }
    Ok((infos, errors))
}

/// What the usual flags and the arguments ask for.
fn query(k: &Kubectl) -> Query {
    Query {
        args: k.flags.args.clone(),
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
        verb: None,
    }
}
