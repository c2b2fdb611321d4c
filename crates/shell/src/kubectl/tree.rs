//! All commands of kubectl, in the order in which its help lists them.

use super::command::Command;
use super::{commands, describe};

/// The commands behind `kubectl`.
pub(crate) const ROOT: &[Command] = &[
    commands::create::COMMAND,
    commands::run::EXPOSE,
    commands::run::RUN,
    commands::set::COMMAND,
    commands::discovery::EXPLAIN,
    commands::get::COMMAND,
    Command::not_yet(
        "edit",
        "Edit a resource on the server",
        "it needs an editor in a terminal; kubectl get -o yaml > FILE, change the file, kubectl apply -f FILE does the same",
    ),
    commands::delete::COMMAND,
    commands::rollout::COMMAND,
    commands::scale::COMMAND,
    commands::run::AUTOSCALE,
    Command::not_yet("certificate", "Modify certificate resources", ""),
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
    ),
    commands::exec::COMMAND,
    Command::not_yet(
        "port-forward",
        "Forward one or more local ports to a pod",
        "kubectl exec runs curl within a pod",
    ),
    Command::not_yet(
        "proxy",
        "Run a proxy to the Kubernetes API server",
        "kubectl get --raw asks the API server",
    ),
    commands::access::COPY,
    commands::auth::AUTH,
    Command::not_yet(
        "debug",
        "Create debugging sessions for troubleshooting workloads and nodes",
        "kubectl exec and ssh NODE run commands in pods and on nodes",
    ),
    commands::events::COMMAND,
    commands::diff::COMMAND,
    commands::apply::COMMAND,
    commands::patch::PATCH,
    commands::patch::REPLACE,
    commands::wait::COMMAND,
    Command::not_yet(
        "kustomize",
        "Build a kustomization target from a directory or URL",
        "",
    ),
    commands::label::LABEL,
    commands::label::ANNOTATE,
    Command::not_yet(
        "completion",
        "Output shell completion code for the specified shell (bash, zsh, fish, or powershell)",
        "",
    ),
    Command::not_yet("alpha", "Commands for features in alpha", ""),
    commands::config::COMMAND,
    Command::not_yet(
        "plugin",
        "Provides utilities for interacting with plugins",
        "",
    ),
    commands::discovery::VERSION,
    commands::discovery::API_VERSIONS,
    commands::discovery::API_RESOURCES,
    Command::not_yet(
        "options",
        "Print the list of flags inherited by all commands",
        "",
    ),
];
