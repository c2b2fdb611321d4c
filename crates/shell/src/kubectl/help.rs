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

/// Examples of each command: `#create job`, then what a line is for and the line, or several.
const EXAMPLES: &str = include_str!("examples.txt");

/// The lines about a command's examples, as they stand in the table.
fn examples(path: &str) -> &'static str {
    let name = path.strip_prefix("kubectl ").unwrap_or(path);
    let mut parts = EXAMPLES.split('#');
    let found = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('\n'));
    found.unwrap_or("")
}

fn show_examples(text: &mut String, path: &str) {
    let lines = examples(path);
    if lines.is_empty() {
        return;
    }
    text.push_str("Examples:\n");
    let mut after_command = false;
    for line in lines.lines() {
        let is_command = line.contains("kubectl ");
        if !is_command && after_command {
            text.push_str("  \n");
        }
        let mark = if is_command { "" } else { "# " };
        let _ = writeln!(text, "  {mark}{line}");
        after_command = is_command;
    }
    text.push('\n');
}

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
            (Kind::List | Kind::Texts | Kind::Pairs, "") => "=[]".to_owned(),
            (Kind::List | Kind::Texts | Kind::Pairs, default) => format!("=[{default}]"),
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
    show_examples(&mut text, path);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes through all commands with their paths.
    fn each(commands: &'static [Command], before: &str, visit: &mut dyn FnMut(&Command, &str)) {
        for command in commands {
            let path = format!("{before} {}", command.name);
            visit(command, &path);
            each(command.commands, &path, visit);
        }
    }

    #[test]
    fn every_command_has_examples_with_its_own_flags() {
        each(tree::ROOT, "kubectl", &mut |command, path| {
            let lines: Vec<&str> = examples(path)
                .lines()
                .filter(|l| l.contains("kubectl "))
                .collect();
            assert!(!lines.is_empty(), "{path} has no example");
            for line in lines {
                let own = command.flags.iter().flat_map(|t| t.iter());
                let known: Vec<&str> = own.chain(GLOBAL).map(|f| f.name).collect();
                let words = line.split(' ').take_while(|w| *w != "--");
                for flag in words.filter_map(|w| w.strip_prefix("--")) {
                    let name = flag.split('=').next().unwrap_or(flag);
                    let fine = known.contains(&name) || name == "help";
                    assert!(fine, "{path} has no --{name}: {line}");
                }
                let behind = line.split("kubectl ").nth(1).unwrap_or("");
                let whole = format!("kubectl {behind}");
                assert!(
                    whole.starts_with(path) || line.contains(path),
                    "{path}: {line}"
                );
            }
        });
    }

    #[test]
    fn every_table_of_examples_is_of_a_command() {
        let mut paths = Vec::new();
        each(tree::ROOT, "kubectl", &mut |_, path| {
            paths.push(path.to_owned())
        });
        for part in EXAMPLES.split('#').skip(1) {
            let name = part.lines().next().unwrap_or("");
            assert!(paths.contains(&format!("kubectl {name}")), "{name}");
        }
    }

    #[test]
    fn help_shows_them_as_kubectl_does() {
        let scale = tree::ROOT.iter().find(|c| c.name == "scale").unwrap();
        let text = command(scale, "kubectl scale");
        assert!(text.contains("Examples:\n  # Three pods\n  kubectl scale deployment/web --replicas=3\n  \n  # Only if"));
        assert!(text.contains("Usage:\n  kubectl scale "));
    }
}
