//! `kubectl create`: from files, and generators of single kinds.

mod access;
mod config;
mod service;
mod workload;

use kubarium_objects::{ObjectMeta, Value};

use super::{apply, minor};
use crate::kubectl::command::{Command, DRY_RUN, FILES, PRINT, SAVE_CONFIG, SELECTOR, VALIDATE};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, switch, text};
use crate::kubectl::resource::Info;
use crate::kubectl::{DryRun, Kubectl};

const FLAGS: &[Flag] = &[
    switch("edit", "Edit the API resource before creating").not_yet(),
    text("raw", "Raw URI to POST to the server."),
    switch("windows-line-endings", "Only relevant if --edit=true."),
];

pub(crate) const COMMAND: Command = Command::new(
    "create",
    "-f FILENAME [options]",
    "Create a resource from a file or from stdin",
    run,
)
.flags(&[
    FILES,
    PRINT,
    DRY_RUN,
    SAVE_CONFIG,
    VALIDATE,
    SELECTOR,
    FLAGS,
])
.commands(&[
    access::CLUSTER_ROLE,
    access::CLUSTER_ROLE_BINDING,
    config::CONFIG_MAP,
    workload::CRON_JOB,
    workload::DEPLOYMENT,
    service::INGRESS,
    workload::JOB,
    config::NAMESPACE,
    workload::DISRUPTION_BUDGET,
    config::PRIORITY_CLASS,
    config::QUOTA,
    access::ROLE,
    access::ROLE_BINDING,
    config::SECRET,
    service::SERVICE,
    access::SERVICE_ACCOUNT,
    minor::CREATE_TOKEN,
])
.changing();

fn run(k: &mut Kubectl) -> Result {
    if k.flags.changed("raw") {
        if k.flags.changed("selector") {
            return plain("--raw and --selector (-l) are mutually exclusive");
        }
        return crate::kubectl::commands::raw::send(k, crate::kubectl::commands::raw::Method::Post);
    }
    if !k.flags.args.is_empty() {
        let args = k.flags.args.join(" ");
        return Err(k.usage(format!("Unexpected args: [{args}]")));
    }
    if k.flags.list("filename").is_empty() {
        return plain("must specify one of -f and -k");
    }
    let format = k.format()?;
    let dry_run = k.dry_run()?;
    let manifests = k.manifests()?;
    let mut errors = manifests.errors;
    if manifests.infos.is_empty() && errors.is_empty() {
        return plain("no objects passed to create");
    }
    let selector = k.flags.str("selector").to_owned();
    let selector =
        kubarium_objects::Selector::parse(&selector).map_err(|e| Error::Plain(e.to_string()))?;
    for mut info in manifests
        .infos
        .into_iter()
        .filter(|i| selector.matches(i.object.labels()))
    {
        let mut object = k.lenient(&info.resource.clone(), info.object.clone())?;
        if k.flags.bool("save-config") {
            object = apply::with_annotation(&object);
        }
        if dry_run == DryRun::Client {
            info.object = object;
        } else {
            match k.create(
                &info.resource.clone(),
                &info.namespace.clone(),
                object,
                None,
            ) {
                Ok(created) => info.object = created,
                Err(error) => {
                    errors.push(error.when("creating", &info.source));
                    continue;
                }
            }
        }
        k.report(&format, &info, "created")?;
    }
    Error::aggregate(errors)
}

impl Kubectl<'_> {
    /// The NAME that a generator takes (`NameFromCommandArgs`).
    pub(super) fn name_argument(&self) -> Result<String> {
        let count = self.flags.dash.unwrap_or(self.flags.args.len());
        match self.flags.args.first() {
            Some(name) if count == 1 => Ok(name.clone()),
            _ => Err(self.usage(format!("exactly one NAME is required, got {count}"))),
        }
    }

    /// The words behind `--`.
    fn command_words(&self) -> Vec<Value> {
        let from = self.flags.dash.unwrap_or(self.flags.args.len());
        self.flags
            .args
            .iter()
            .skip(from)
            .map(|w| w.as_str().into())
            .collect()
    }

    /// Creates a generated object and says so. `failing` stands before the server's refusal; where
    /// it is empty, the refusal is printed as it is.
    pub(crate) fn generate(&mut self, mut object: Value, failing: &str, operation: &str) -> Result {
        let format = self.format()?;
        let dry_run = self.dry_run()?;
        let Some(resource) = self
            .cluster()
            .resource_by_kind(object["apiVersion"].str(), object["kind"].str())
        else {
            return plain(format!(
                "no matches for kind {:?} in version {:?}",
                object["kind"].str(),
                object["apiVersion"].str()
            ));
        };
        let namespace = if resource.namespaced {
            self.namespace()
        } else {
            "".into()
        };
        if resource.namespaced && self.namespace_is_given() {
            object.set(&["metadata", "namespace"], &namespace);
        }
        if self.flags.bool("save-config") {
            object = apply::with_annotation(&object);
        }
        let name = object["metadata"]["name"].text();
        if dry_run != DryRun::Client {
            let sent = self.create(&resource, &namespace, object, None);
            object = match sent {
                Ok(created) => created,
                Err(error) if failing.is_empty() => return Err(error),
                Err(error) => return plain(format!("{failing}{}", error.text())),
            };
        }
        let info = Info {
            resource,
            namespace,
            name,
            object,
            source: String::new(),
        };
        self.report(&format, &info, operation)
    }
}
