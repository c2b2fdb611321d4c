//! Help, made from the tables of commands and flags.

use std::fmt::Write as _;

use super::command::Command;
use super::flags::{Flag, Kind};
use super::tree;
use crate::registry::State;

/// `kubectl` without a command.
pub(crate) fn overview() -> String {
    let mut text = "kubectl controls the Kubernetes cluster manager.\n\nCommands:\n".to_owned();
    names(&mut text, tree::ROOT);
    text.push_str("\nUsage:\n  kubectl [flags] [options]\n\nUse \"kubectl <command> --help\" for more information about a given command.\n");
    text
}

fn names(text: &mut String, commands: &[Command]) {
    for command in commands {
        let note = match command.state {
            State::NotYet(_) => " (not simulated yet)",
            _ => "",
        };
        let _ = writeln!(text, "  {:<15} {}{note}", command.name, command.short);
    }
}

/// `kubectl COMMAND --help`
pub(crate) fn command(command: &Command, path: &str) -> String {
    let mut text = format!("{}\n", command.short);
    if let State::Partly(what) = command.state {
        let _ = writeln!(text, "\nIn the simulation: {what}.");
    }
    if !command.commands.is_empty() {
        text.push_str("\nAvailable Commands:\n");
        names(&mut text, command.commands);
    }
    let flags: Vec<&Flag> = command.flags.iter().flat_map(|t| t.iter()).collect();
    if !flags.is_empty() {
        text.push_str("\nOptions:\n");
    }
    for flag in flags {
        let short = flag.short.map_or("    ".to_owned(), |s| format!("-{s}, "));
        let value = match (flag.kind, flag.default) {
            (Kind::Text, default) => format!("='{default}'"),
            (Kind::List | Kind::Texts, _) => "=[]".to_owned(),
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
    let usage = [path, command.usage].join(" ");
    let _ = writeln!(text, "\nUsage:\n  {}", usage.trim());
    text.push_str("\nUse \"kubectl options\" for a list of global command-line options (applies to all commands).\n");
    text
}
