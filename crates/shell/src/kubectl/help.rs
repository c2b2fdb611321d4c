//! Help, made from the tables of commands and flags, laid out as kubectl's own
//! (`kubectl/pkg/util/templates`, v1.37).

use std::fmt::Write as _;

use super::command::{Command, GLOBAL};
use super::flags::{Flag, Kind};
use super::tree;
use crate::registry::State;

/// The groups of the overview, in order.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Basic Commands (Beginner)",
        &["create", "expose", "run", "set"],
    ),
    (
        "Basic Commands (Intermediate)",
        &["explain", "get", "edit", "delete"],
    ),
    ("Deploy Commands", &["rollout", "scale", "autoscale"]),
    (
        "Cluster Management Commands",
        &[
            "certificate",
            "cluster-info",
            "top",
            "cordon",
            "uncordon",
            "drain",
            "taint",
        ],
    ),
    (
        "Troubleshooting and Debugging Commands",
        &[
            "describe",
            "logs",
            "attach",
            "exec",
            "port-forward",
            "proxy",
            "cp",
            "auth",
            "debug",
            "events",
        ],
    ),
    (
        "Advanced Commands",
        &["diff", "apply", "patch", "replace", "wait", "kustomize"],
    ),
    ("Settings Commands", &["label", "annotate", "completion"]),
    ("Subcommands provided by plugins", &[]),
    (
        "Other Commands",
        &[
            "api-resources",
            "api-versions",
            "config",
            "plugin",
            "version",
        ],
    ),
];

const OPTIONS: &str = "Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n";

/// `kubectl` without a command.
pub(crate) fn overview() -> String {
    let mut text = "kubectl controls the Kubernetes cluster manager.\n\n Find more information at: https://kubernetes.io/docs/reference/kubectl/\n\n".to_owned();
    for (title, names) in GROUPS {
        let _ = writeln!(text, "{title}:");
        for name in *names {
            if let Some(command) = tree::ROOT.iter().find(|c| c.name == *name) {
                let _ = writeln!(text, "  {:<15} {}", command.name, command.short);
            }
        }
        text.push('\n');
    }
    text.push_str("Usage:\n  kubectl [flags] [options]\n\nUse \"kubectl <command> --help\" for more information about a given command.\n");
    text + OPTIONS
}

/// `kubectl options`
pub(crate) fn options() -> String {
    let mut text = "The following options can be passed to any command:\n\n".to_owned();
    let mut all: Vec<&Flag> = GLOBAL.iter().collect();
    all.sort_by_key(|f| f.name);
    list(&mut text, &all);
    text
}

fn list(text: &mut String, flags: &[&Flag]) {
    for flag in flags {
        let short = flag.short.map_or(String::new(), |s| format!("-{s}, "));
        let value = match (flag.kind, flag.default) {
            (Kind::Text | Kind::Optional(_), default) => format!("='{default}'"),
            (Kind::List | Kind::Texts, "") => "=[]".to_owned(),
            (Kind::List | Kind::Texts, default) => format!("=[{default}]"),
            (_, default) => format!("={default}"),
        };
        let note = if flag.state.works() {
            ""
        } else {
            " (not simulated yet)"
        };
        let _ = writeln!(
            text,
            "    {short}--{}{value}:\n\t{}{note}\n",
            flag.name, flag.help
        );
    }
}

/// `kubectl COMMAND --help`
pub(crate) fn command(command: &Command, path: &str) -> String {
    let dot = if command.short.ends_with('.') {
        ""
    } else {
        "."
    };
    let mut text = format!("{}{dot}\n\n", command.short);
    match command.state {
        State::Works => {}
        State::Partly(what) => drop(writeln!(text, " In the simulation: {what}.\n")),
        State::NotYet("") => text.push_str(" It is not simulated yet.\n\n"),
        State::NotYet(hint) => drop(writeln!(text, " It is not simulated yet: {hint}.\n")),
    }
    if !command.aliases.is_empty() {
        let _ = writeln!(
            text,
            "Aliases:\n{}, {}\n",
            command.name,
            command.aliases.join(", ")
        );
    }
    if !command.commands.is_empty() {
        let width = command
            .commands
            .iter()
            .map(|c| c.name.len())
            .max()
            .unwrap_or(0);
        text.push_str("Available Commands:\n");
        for c in command.commands {
            let _ = writeln!(text, "  {:<width$}   {}", c.name, c.short);
        }
        text.push('\n');
    }
    let shown = command.flags.iter().flat_map(|t| t.iter());
    let mut flags: Vec<&Flag> = shown.filter(|f| f.deprecated.is_empty()).collect();
    flags.sort_by_key(|f| f.name);
    if !flags.is_empty() {
        text.push_str("Options:\n");
        list(&mut text, &flags);
    }
    let usage = [path, command.usage].join(" ");
    let _ = writeln!(text, "Usage:\n  {}\n", usage.trim());
    if !command.commands.is_empty() {
        let _ = writeln!(
            text,
            "Use \"{path} <command> --help\" for more information about a given command."
        );
    }
    text + OPTIONS
}
