//! Running a command line: functions, builtins, text tools, the host's commands.

use super::Abort;
use crate::builtin::{self, After};
use crate::host::{Command, Found, Host, Reply};
use crate::machine::Machine;
use crate::process::{CallKind, Control, Descriptor, Process, Purpose, Running, Task};
use crate::syntax::Dialect;
use crate::tools;
use std::sync::Arc;

/// Builtins whose assignments stay, and whose errors end a shell (POSIX.1, 2.14).
const SPECIAL: [&str; 13] = [
    ":", ".", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set",
    "shift", "trap",
];

impl Machine {
    /// Runs the arguments, redirections and assignments that have been gathered.
    pub(super) fn run_command(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
    ) -> Result<(), Abort> {
        let argv = std::mem::take(&mut process.arguments);
        let redirects = std::mem::take(&mut process.redirects);
        let assignments = std::mem::take(&mut process.assignments);
        let substituted = process.substituted.take();
        if process.flags.xtrace {
            self.trace(process, host, &argv, &assignments);
        }
        let before = (!redirects.is_empty()).then(|| process.descriptors.clone());
        if let Err(message) = self.redirect(process, host, redirects) {
            process.descriptors = before.unwrap_or_default();
            self.complain(process, host, &message);
            process.status = 1;
            if !self.interactive
                && argv
                    .first()
                    .is_some_and(|name| SPECIAL.contains(&name.as_str()))
            {
                self.exit(process, 2);
            }
            return Ok(());
        }
        let restore = |process: &mut Process| {
            if let Some(before) = &before {
                process.descriptors.clone_from(before);
            }
        };
        let Some(name) = argv.first().cloned() else {
            let mut result = Ok(());
            for (name, value) in assignments {
                result = result.and_then(|()| self.assign(process, &name, value));
            }
            restore(process);
            process.status = substituted.unwrap_or(0);
            return result;
        };
        if let Some(code) = process.functions.get(&name).cloned() {
            if process.calls() >= self.limits.calls_max {
                restore(process);
                return Err(Abort::new(format!(
                    "{name}: maximum function nesting level exceeded"
                )));
            }
            let saved = process.override_with(assignments);
            self.call(process, code, CallKind::Function);
            let parameters =
                std::mem::replace(&mut process.parameters, Arc::new(argv[1..].to_vec()));
            if let Some(Control::Call(call)) = process.control.last_mut() {
                call.parameters = Some(parameters);
                call.saved = saved;
                call.descriptors = before;
            }
            return Ok(());
        }
        let special = SPECIAL.contains(&name.as_str());
        let mut saved = Vec::new();
        if special {
            for (name, value) in assignments {
                self.assign(process, &name, value)?;
            }
        } else {
            saved = process.override_with(assignments);
        }
        let after = match builtin::find(&name) {
            Some(run) => match run(self, process, host, &argv) {
                Ok(after) => after,
                Err(abort) => {
                    self.abort(process, host, &abort);
                    restore(process);
                    process.restore(saved);
                    return Ok(());
                }
            },
            None => self.external(process, host, argv, false),
        };
        match after {
            After::Status(status) => {
                if name != "exec" {
                    restore(process);
                }
                process.restore(saved);
                if process.done.is_none() {
                    process.status = status;
                }
            }
            After::Task(task) => {
                process.running = Some(Box::new(Running {
                    task,
                    descriptors: before,
                    saved,
                }));
            }
            After::Moved => {
                // The builtin has changed where the process goes on: into a call, out of a loop.
                match process.control.last_mut() {
                    Some(Control::Call(call)) if call.saved.is_empty() && builtin::calls(&name) => {
                        call.saved = saved;
                        call.descriptors = before;
                    }
                    _ => {
                        restore(process);
                        process.restore(saved);
                    }
                }
            }
        }
        Ok(())
    }

    /// A command that is neither a function nor a builtin.
    pub(crate) fn external(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        argv: Vec<String>,
        replaces_shell: bool,
    ) -> After {
        let Some(name) = argv.first() else {
            return After::Status(0);
        };
        match host.find(&argv) {
            Found::Tool => match tools::find(tools::base_name(name)) {
                Some(tool) => After::Task(tools::task(tool, argv)),
                None => self.not_found(process, host, &argv[0]),
            },
            Found::Host { reads_stdin: true } => After::Task(Task::Gather {
                argv,
                input: Vec::new(),
                purpose: Purpose::Host { replaces_shell },
            }),
            Found::Host { reads_stdin: false } => {
                self.start_host(process, host, argv, Vec::new(), replaces_shell)
            }
            Found::NotExecutable => {
                self.complain(process, host, &format!("{name}: Permission denied"));
                After::Status(126)
            }
            Found::Missing => self.not_found(process, host, &argv[0]),
        }
    }

    fn not_found(&mut self, process: &mut Process, host: &mut dyn Host, name: &str) -> After {
        let message = match (self.dialect, name.contains('/')) {
            (Dialect::Bash, false) => format!("{name}: command not found"),
            (Dialect::Bash, true) => format!("{name}: No such file or directory"),
            (Dialect::Ash | Dialect::Dash, _) => format!("{name}: not found"),
        };
        self.complain(process, host, &message);
        After::Status(127)
    }

    pub(crate) fn start_host(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        argv: Vec<String>,
        stdin: Vec<u8>,
        replaces_shell: bool,
    ) -> After {
        let command = Command {
            argv,
            env: process.exported(),
            cwd: process.cwd.to_string(),
            stdin,
            replaces_shell,
        };
        let reply = host.start(command);
        match self.take_reply(process, host, reply) {
            Ok(status) => After::Status(status),
            Err(task) => After::Task(task),
        }
    }

    /// Writes what a host's command has written; its status, or the task that waits for it.
    pub(crate) fn take_reply(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        reply: Reply,
    ) -> Result<i32, Task> {
        for (stream, bytes) in reply.output {
            let fd = if stream == crate::Stream::Out { 1 } else { 2 };
            self.put(process, host, fd, &bytes);
        }
        match reply.state {
            crate::JobState::Exited(status) => Ok(status),
            crate::JobState::Running { job, until } => Err(Task::Host { job, until }),
        }
    }

    /// `set -x`
    fn trace(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        argv: &[String],
        assignments: &[(String, String)],
    ) {
        let mut words: Vec<String> = assignments
            .iter()
            .map(|(name, value)| format!("{name}={}", crate::text::quote(value)))
            .collect();
        words.extend(argv.iter().map(|word| match word.as_str() {
            "[" | "]" | "!" => word.clone(),
            word => crate::text::quote(word),
        }));
        let prompt = process.value("PS4").unwrap_or("+ ").to_owned();
        let line = format!("{prompt}{}\n", words.join(" "));
        self.put(process, host, 2, line.as_bytes());
    }

    /// What a descriptor has to be read, now.
    pub(crate) fn read_some(&mut self, process: &Process, fd: u32, bytes_max: usize) -> Available {
        match process.descriptors.get(&fd) {
            Some(Descriptor::Input(id)) => match self.inputs.get_mut(id) {
                Some(input) => {
                    let end = input.at.saturating_add(bytes_max).min(input.bytes.len());
                    let bytes = input.bytes[input.at..end].to_vec();
                    input.at = end;
                    if bytes.is_empty() {
                        Available::End
                    } else {
                        Available::Bytes(bytes)
                    }
                }
                None => Available::End,
            },
            Some(Descriptor::PipeOut(id)) => {
                let has_writer = self.has_writer(*id);
                match self.pipes.get_mut(id) {
                    Some(pipe) if !pipe.is_empty() => {
                        let count = bytes_max.min(pipe.len());
                        Available::Bytes(pipe.drain(..count).collect())
                    }
                    _ if has_writer => Available::NotYet,
                    _ => Available::End,
                }
            }
            _ => Available::End,
        }
    }
}

/// What can be read.
pub(crate) enum Available {
    Bytes(Vec<u8>),
    /// Nothing now, but somebody may still write.
    NotYet,
    End,
}
