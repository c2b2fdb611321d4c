//! All commands of kubectl, in the order in which its help lists them.

use super::command::Command;
use super::{commands, describe};

/// The commands behind `kubectl`.
pub(crate) const ROOT: &[Command] = &[
    commands::create::COMMAND,
    commands::run::EXPOSE,
    commands::run::RUN,
    commands::set::COMMAND,
    commands::explain::COMMAND,
    commands::get::COMMAND,
    Command::not_yet(
        "edit",
        "Edit a resource on the server",
        "it needs an editor in a terminal; kubectl get -o yaml > FILE, change the file, kubectl apply -f FILE does the same",
    )
    .checking("(RESOURCE/NAME | -f FILENAME) [options]", commands::unmodelled::edit)
    .flags(commands::unmodelled::EDIT),
    commands::delete::COMMAND,
    commands::rollout::COMMAND,
    commands::scale::COMMAND,
    commands::run::AUTOSCALE,
    commands::minor::CERTIFICATE_COMMAND,
    commands::discovery::CLUSTER_INFO,
    commands::access::TOP,
    commands::nodes::CORDON,
    commands::nodes::UNCORDON,
    commands::nodes::DRAIN,
    commands::nodes::TAINT,
    describe::COMMAND,
    commands::logs::COMMAND,
    Command::not_yet(
        "attach",
        "Attach to a running container",
        "kubectl logs shows what it writes",
    )
    .checking("(POD | TYPE/NAME) -c CONTAINER [options]", commands::unmodelled::attach)
    .flags(commands::unmodelled::ATTACH),
    commands::exec::COMMAND,
    commands::forward::PORT_FORWARD,
    commands::forward::PROXY,
    commands::copy::COPY,
    commands::auth::AUTH,
    commands::debug::COMMAND,
    commands::events::COMMAND,
    commands::diff::COMMAND,
    commands::apply::COMMAND,
    commands::patch::PATCH,
    commands::patch::REPLACE,
    commands::wait::COMMAND,
    commands::kustomize::COMMAND,
    commands::label::LABEL,
    commands::label::ANNOTATE,
    commands::minor::COMPLETION,
    commands::minor::ALPHA,
    commands::config::COMMAND,
    commands::minor::PLUGIN,
    commands::discovery::VERSION,
    commands::discovery::API_VERSIONS,
    commands::discovery::API_RESOURCES,
    commands::minor::OPTIONS,
];
