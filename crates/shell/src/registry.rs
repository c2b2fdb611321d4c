//! What is there and what is not: one place from which help, error messages and the page know it.

use std::fmt::Write as _;

use crate::kubectl::command::Command;

/// How far a command or a flag is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As the real one does it.
    Works,
    /// Works, but for what the text says.
    Partly(&'static str),
    /// Answers that it is not simulated yet. The text says what is meant or what to do instead; it
    /// may be empty.
    NotYet(&'static str),
}

impl State {
    /// Whether it does anything.
    pub fn works(self) -> bool {
        !matches!(self, State::NotYet(_))
    }
}

/// A command or a flag with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `kubectl rollout status`, `kubectl get --watch`
    pub name: String,
    /// What it is for, in a line.
    pub short: &'static str,
    /// How far it is modelled.
    pub state: State,
}

/// Commands of the terminal beside kubectl.
pub(crate) const TOOLS: &[(&str, &str, State)] = &[
    (
        "ssh",
        "Run a command on a node, or on the host outside: ssh NODE COMMAND…; without a command a shell there",
        State::Works,
    ),
    (
        "etcdctl",
        "Look at etcd on the control plane: etcdctl get --prefix --keys-only /registry",
        State::Partly("get, endpoint and member only; it reads, it does not write"),
    ),
    (
        "sim settle",
        "Let simulated time run until nothing changes: sim settle [--quiet 4s] [--timeout 60s]",
        State::Works,
    ),
    (
        "sim advance",
        "Let simulated time run: sim advance 30s",
        State::Works,
    ),
    (
        "sim trace",
        "Follow one connection hop by hop: sim trace FROM TO[:PORT] [--udp] [-o json|text|pcap|FILE.pcap]",
        State::Works,
    ),
    (
        "sim events",
        "What happened, each event with its cause: sim events [KIND/NAME] [--since 10s] [-o json]",
        State::Works,
    ),
    (
        "sim why",
        "The causes, back to the command that set it off: sim why EVENT | KIND/NAME [--revision N]",
        State::Works,
    ),
    (
        "sim undo",
        "Back to before the last command that changed something",
        State::Works,
    ),
    ("sim redo", "Forth again after sim undo", State::Works),
    (
        "sim goto",
        "Go to the moment just after an event: sim goto EVENT",
        State::Works,
    ),
    (
        "sim reach",
        "The table of who reaches whom: sim reach [--port N] [-n NAMESPACE] [--udp|--sctp]",
        State::Works,
    ),
    (
        "sim schedule",
        "The scheduler's decision for one pending pod: sim schedule POD [--to NODE] -o json",
        State::Works,
    ),
    (
        "sim node",
        "A machine joins or is gone: sim node add|remove NAME",
        State::Works,
    ),
    (
        "sim effects",
        "All that was set off by it: sim effects EVENT | KIND/NAME [--revision N]",
        State::Works,
    ),
    (
        "sim fault",
        "Break and mend things: sim fault --help lists what",
        State::Works,
    ),
    (
        "sim dial",
        "Dial the load of pods: sim dial POD|deploy/NAME 80% (of the request) or 250m",
        State::Works,
    ),
    (
        "sim branches",
        "A change made in the past begins a branch: lists them",
        State::Works,
    ),
    (
        "sim branch",
        "Go to the end of another branch: sim branch N",
        State::Works,
    ),
    (
        "sim save",
        "Write the whole state to a file: sim save FILE",
        State::Works,
    ),
    (
        "sim load",
        "Read the whole state from a file: sim load FILE",
        State::Works,
    ),
];

/// Every command and every flag that is not modelled in full.
pub fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    commands("kubectl", crate::kubectl::tree::ROOT, &mut all);
    for (name, short, state) in TOOLS {
        all.push(Entry {
            name: (*name).to_owned(),
            short,
            state: *state,
        });
    }
    all
}

fn commands(path: &str, commands_here: &'static [Command], all: &mut Vec<Entry>) {
    for command in commands_here {
        let name = format!("{path} {}", command.name);
        all.push(Entry {
            name: name.clone(),
            short: command.short,
            state: command.state,
        });
        for flag in command
            .flags
            .iter()
            .flat_map(|t| t.iter())
            .filter(|f| f.state != State::Works)
        {
            all.push(Entry {
                name: format!("{name} --{}", flag.name),
                short: flag.help,
                state: flag.state,
            });
        }
        commands(&name, command.commands, all);
    }
}

/// The sentence that a person reads about something that is not there.
pub(crate) fn not_yet(name: &str, hint: &str) -> String {
    let mut text = format!("{name} is not simulated yet");
    if !hint.is_empty() {
        let _ = write!(text, ": {hint}");
    }
    text
}
