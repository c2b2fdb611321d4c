//! One process of a shell: its code, where it stands in it, and its environment.

use crate::code::Code;
use crate::host::{Job, Status, Time};
use crate::syntax::RedirectionKind;
use crate::tools::Tool;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub(crate) type Pid = u32;

#[derive(Clone, Debug, Default)]
pub(crate) struct Variable {
    /// None: named (exported, say) but not set.
    pub value: Option<String>,
    pub exported: bool,
    pub readonly: bool,
}

pub(crate) type Variables = BTreeMap<String, Variable>;

/// Where a file descriptor leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Descriptor {
    Null,
    /// The shell's own outputs.
    HostOut,
    HostErr,
    /// Reads what others write into pipe N.
    PipeOut(u32),
    PipeIn(u32),
    /// Appends to a file; it was emptied when it was opened, where it had to be.
    File(Arc<str>),
    /// Reads input N: a file, a here-document.
    Input(u32),
}

pub(crate) type Descriptors = BTreeMap<u32, Descriptor>;

/// Something open on the control stack.
#[derive(Clone, Debug)]
pub(crate) enum Control {
    Loop {
        next: usize,
        end: usize,
        status: Status,
        items: VecDeque<String>,
    },
    Case(String),
    /// Errors do not end the script.
    Quiet,
    /// The descriptors to restore.
    Descriptors(Descriptors),
    Call(Box<Call>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    Function,
    /// `.`: `return` ends it.
    Source,
    Eval,
    Trap,
    /// A top-level command of a script.
    Script,
}

/// What a call goes back to.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub kind: CallKind,
    pub code: Code,
    pub pc: usize,
    /// The caller's positional parameters, where the call has its own.
    pub parameters: Option<Arc<Vec<String>>>,
    /// What variables were before the call's own values.
    pub saved: Vec<(String, Option<Variable>)>,
    pub descriptors: Option<Descriptors>,
    /// `$?` to restore after a trap.
    pub status: Option<Status>,
}

#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    pub fd: Option<u32>,
    pub kind: RedirectionKind,
    pub target: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub errexit: bool,
    pub nounset: bool,
    pub xtrace: bool,
    pub noglob: bool,
    pub pipefail: bool,
    pub noexec: bool,
    pub allexport: bool,
}

/// What a process does that is not over in one step.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    Sleep(Time),
    /// Waits for processes; the last one's status counts, or with `pipefail` the last failure's.
    Children {
        pids: Vec<Pid>,
        statuses: Vec<Status>,
        pipefail: bool,
    },
    /// `wait`: a signal with a trap ends it. `any`: its status is 0 whatever theirs are.
    Wait {
        pids: Vec<Pid>,
        any: bool,
    },
    /// Reads a child's output up to its end.
    Substitute {
        pid: Pid,
        pipe: u32,
        text: Vec<u8>,
        quoted: bool,
    },
    Read(Box<Read>),
    /// A text tool. Without input it is tried first: many do not read theirs.
    Tool {
        tool: Tool,
        argv: Vec<String>,
        input: Option<Vec<u8>>,
    },
    /// A command that is over but for output that a full pipe holds up.
    Ended(Status),
    /// Copies standard input, to files too (tee), up to a number of lines or bytes (head).
    Copy {
        files: Vec<String>,
        lines: Option<u64>,
        bytes: Option<u64>,
        status: Status,
    },
    /// `tee`: opens its files, then copies.
    Tee(Vec<String>),
    /// Runs a text tool on every whole line as it comes.
    Lines {
        tool: Tool,
        argv: Vec<String>,
        rest: Vec<u8>,
        matched: bool,
    },
    /// `tail -f`: the file's end first.
    Tail {
        argv: Vec<String>,
        path: String,
    },
    Follow {
        path: String,
        at: usize,
    },
    /// `yes`
    Repeat(String),
    /// Gathers standard input up to its end.
    Gather {
        argv: Vec<String>,
        input: Vec<u8>,
        purpose: Purpose,
    },
    Host {
        job: Job,
        until: Option<Time>,
    },
    /// Command lines one after the other: xargs, find -exec.
    Queue {
        lines: VecDeque<Vec<String>>,
        running: Option<Pid>,
        status: Status,
    },
    /// `timeout`
    Timeout {
        pid: Pid,
        at: Time,
        signal: i32,
    },
    Child(Pid),
}

/// What standard input is gathered for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// A host's command.
    Host {
        replaces_shell: bool,
    },
    Xargs,
    /// `sh` with its script on standard input.
    Script,
}

#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub names: Vec<String>,
    pub raw: bool,
    pub fd: u32,
    pub delimiter: u8,
    pub count: Option<usize>,
    pub until: Option<Time>,
    pub line: Vec<u8>,
}

/// A task with what its command changed for itself alone.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub task: Task,
    pub descriptors: Option<Descriptors>,
    pub saved: Vec<(String, Option<Variable>)>,
}

/// A piece of a word that is being expanded.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Text {
        text: String,
        quoted: bool,
        split: bool,
    },
    /// Between two positional parameters of `$@`.
    Break,
}

pub(crate) type OpenWord = Vec<Piece>;

#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub pid: Pid,
    pub parent: Pid,
    /// `$$`: the shell that this is, or is a part of.
    pub shell: Pid,
    pub code: Code,
    pub pc: usize,
    pub control: Vec<Control>,
    pub words: Vec<OpenWord>,
    pub arguments: Vec<String>,
    pub assignments: Vec<(String, String)>,
    pub redirects: Vec<Redirect>,
    pub variables: Arc<Variables>,
    pub functions: Arc<BTreeMap<String, Code>>,
    pub parameters: Arc<Vec<String>>,
    /// `$0`
    pub name: String,
    pub cwd: Arc<str>,
    pub flags: Flags,
    pub descriptors: Descriptors,
    /// Signal number to command; an empty one ignores the signal.
    pub traps: Arc<BTreeMap<i32, String>>,
    pub signals: Vec<i32>,
    pub status: Status,
    /// The status of the last command substitution in the command being expanded.
    pub substituted: Option<Status>,
    pub background: Option<Pid>,
    pub running: Option<Box<Running>>,
    /// Output that a full pipe holds up.
    pub held: VecDeque<(u32, Vec<u8>)>,
    pub line: usize,
    /// Inherited from where it was forked: errors do not end it.
    pub quiet: bool,
    pub subshell: bool,
    pub exiting: bool,
    pub done: Option<Status>,
}

impl Process {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.variables.get(name).and_then(|v| v.value.as_deref())
    }

    /// Sets a variable; false where it is read-only.
    pub fn set(&mut self, name: &str, value: String) -> bool {
        let all = self.flags.allexport;
        let variable = Arc::make_mut(&mut self.variables)
            .entry(name.to_owned())
            .or_default();
        if variable.readonly {
            return false;
        }
        variable.value = Some(value);
        variable.exported |= all;
        true
    }

    pub fn exported(&self) -> BTreeMap<String, String> {
        self.variables
            .iter()
            .filter(|(_, v)| v.exported)
            .filter_map(|(name, v)| v.value.clone().map(|value| (name.clone(), value)))
            .collect()
    }

    /// Sets variables for a while; gives what they were.
    pub fn override_with(
        &mut self,
        assignments: Vec<(String, String)>,
    ) -> Vec<(String, Option<Variable>)> {
        let variables = if assignments.is_empty() {
            return Vec::new();
        } else {
            Arc::make_mut(&mut self.variables)
        };
        let mut saved = Vec::new();
        for (name, value) in assignments {
            let old = variables.get(&name).cloned();
            if old.as_ref().is_some_and(|v| v.readonly) {
                continue;
            }
            saved.push((name.clone(), old));
            variables.insert(
                name,
                Variable {
                    value: Some(value),
                    exported: true,
                    readonly: false,
                },
            );
        }
        saved
    }

    pub fn restore(&mut self, saved: Vec<(String, Option<Variable>)>) {
        for (name, old) in saved.into_iter().rev() {
            let variables = Arc::make_mut(&mut self.variables);
            match old {
                Some(variable) => variables.insert(name, variable),
                None => variables.remove(&name),
            };
        }
    }

    pub fn calls(&self) -> usize {
        self.control
            .iter()
            .filter(|c| matches!(c, Control::Call(_)))
            .count()
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet || self.control.iter().any(|c| matches!(c, Control::Quiet))
    }

    /// A path as seen from the working directory: absolute, without `.`, `..` and doubled `/`.
    pub fn path(&self, path: &str) -> String {
        crate::text::absolute(&self.cwd, path)
    }

    /// A copy that runs `code` on its own.
    pub fn fork(&self, pid: Pid, code: Code) -> Process {
        let ignored = self
            .traps
            .iter()
            .filter(|(_, c)| c.is_empty())
            .map(|(s, c)| (*s, c.clone()))
            .collect();
        Process {
            pid,
            parent: self.pid,
            shell: self.shell,
            code,
            pc: 0,
            control: Vec::new(),
            words: Vec::new(),
            arguments: Vec::new(),
            assignments: Vec::new(),
            redirects: Vec::new(),
            traps: Arc::new(ignored),
            signals: Vec::new(),
            substituted: None,
            running: None,
            held: VecDeque::new(),
            quiet: self.is_quiet(),
            subshell: true,
            exiting: false,
            done: None,
            variables: self.variables.clone(),
            functions: self.functions.clone(),
            parameters: self.parameters.clone(),
            name: self.name.clone(),
            cwd: self.cwd.clone(),
            flags: self.flags,
            descriptors: self.descriptors.clone(),
            status: self.status,
            background: self.background,
            line: self.line,
        }
    }

    /// Ends the process without traps, as a signal does.
    pub fn die(&mut self, status: Status) {
        self.done = Some(status);
        self.running = None;
        self.held.clear();
        self.control.clear();
    }

    /// Leaves everything that runs; variables, functions and descriptors of the shell stay.
    pub fn reset(&mut self) {
        self.running_ended();
        while let Some(control) = self.control.pop() {
            self.leave(control);
        }
        self.words.clear();
        self.arguments.clear();
        self.assignments.clear();
        self.redirects.clear();
        self.held.clear();
        self.substituted = None;
        self.pc = self.code.len();
    }

    /// Takes back what a command changed for itself alone.
    pub fn running_ended(&mut self) {
        if let Some(running) = self.running.take() {
            if let Some(descriptors) = running.descriptors {
                self.descriptors = descriptors;
            }
            self.restore(running.saved);
        }
    }

    /// Undoes what an entry of the control stack stands for.
    pub fn leave(&mut self, control: Control) {
        match control {
            Control::Descriptors(descriptors) => self.descriptors = descriptors,
            Control::Call(call) => {
                (self.code, self.pc) = (call.code, call.pc);
                if let Some(parameters) = call.parameters {
                    self.parameters = parameters;
                }
                if let Some(descriptors) = call.descriptors {
                    self.descriptors = descriptors;
                }
                self.restore(call.saved);
                if let Some(status) = call.status {
                    self.status = status;
                }
            }
            Control::Loop { .. } | Control::Case(_) | Control::Quiet => {}
        }
    }

    pub fn job(&self) -> Option<Job> {
        match self.running.as_deref() {
            Some(Running {
                task: Task::Host { job, .. },
                ..
            }) => Some(*job),
            _ => None,
        }
    }

    /// Whether it reads a child's output from this pipe.
    pub fn captures(&self, wanted: u32) -> bool {
        matches!(self.running.as_deref(), Some(Running { task: Task::Substitute { pipe, .. }, .. }) if *pipe == wanted)
    }

    pub fn memory_bytes(&self) -> usize {
        let variables: usize = self
            .variables
            .values()
            .filter_map(|v| v.value.as_ref())
            .map(String::len)
            .sum();
        let words: usize = self
            .words
            .iter()
            .flatten()
            .map(|piece| match piece {
                Piece::Text { text, .. } => text.len(),
                Piece::Break => 0,
            })
            .sum();
        let arguments: usize = self
            .arguments
            .iter()
            .chain(self.parameters.iter())
            .map(|a| a.len() + 32)
            .sum();
        let held: usize = self.held.iter().map(|(_, bytes)| bytes.len()).sum();
        let task = match self.running.as_deref().map(|r| &r.task) {
            Some(
                Task::Tool {
                    input: Some(input), ..
                }
                | Task::Gather { input, .. }
                | Task::Substitute { text: input, .. }
                | Task::Lines { rest: input, .. },
            ) => input.len(),
            _ => 0,
        };
        variables + words + arguments + held + task
    }

    /// Whether any descriptor, set aside or in use, leads to `wanted`.
    pub fn holds(&self, wanted: &Descriptor) -> bool {
        let has = |d: &Descriptors| d.values().any(|x| x == wanted);
        self.done.is_none()
            && (has(&self.descriptors)
                || self
                    .running
                    .as_ref()
                    .and_then(|r| r.descriptors.as_ref())
                    .is_some_and(has)
                || self.control.iter().any(|c| match c {
                    Control::Descriptors(d) => has(d),
                    Control::Call(call) => call.descriptors.as_ref().is_some_and(has),
                    _ => false,
                }))
    }
}
