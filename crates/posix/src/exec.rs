//! What each step of code does.

mod command;
mod descriptors;
mod task;
mod words;

use crate::code::{Code, Op};
use crate::host::{Host, Status};
use crate::machine::Machine;
use crate::process::{Call, CallKind, Control, Process, Redirect, Running, Task};
use std::sync::Arc;

/// An error that ends the command line, or a shell that is not interactive.
pub(crate) struct Abort {
    pub message: String,
    pub status: Status,
}

impl Abort {
    pub fn new(message: impl Into<String>) -> Abort {
        Abort {
            message: message.into(),
            status: 2,
        }
    }
}

impl Machine {
    /// Takes one step.
    pub(crate) fn execute(&mut self, process: &mut Process, host: &mut dyn Host) {
        let code = process.code.clone();
        let Some(op) = code.get(process.pc) else {
            self.end_of_code(process, host);
            return;
        };
        process.pc += 1;
        if let Err(abort) = self.operation(op, process, host) {
            self.abort(process, host, &abort);
        }
    }

    pub(crate) fn abort(&mut self, process: &mut Process, host: &mut dyn Host, abort: &Abort) {
        self.complain(process, host, &abort.message);
        if self.interactive && !process.subshell {
            process.reset();
            process.status = abort.status;
        } else {
            self.exit(process, abort.status);
        }
    }

    /// The end of a code list: back to the caller, or the process's end.
    fn end_of_code(&mut self, process: &mut Process, _host: &mut dyn Host) {
        while let Some(control) = process.control.pop() {
            let call = matches!(control, Control::Call(_));
            process.leave(control);
            if call {
                return;
            }
        }
        if process.subshell || process.exiting {
            let status = process.status;
            self.exit(process, status);
        }
    }

    /// `exit`: the EXIT trap first, once.
    pub(crate) fn exit(&mut self, process: &mut Process, status: Status) {
        process.running_ended();
        while let Some(control) = process.control.pop() {
            process.leave(control);
        }
        // A trap's own `exit` counts, not the status from before the trap.
        process.status = status;
        let trap = process.traps.get(&0).filter(|c| !c.is_empty()).cloned();
        match trap {
            Some(command) if !process.exiting => {
                process.exiting = true;
                Arc::make_mut(&mut process.traps).remove(&0);
                process.code = Arc::new([]);
                process.pc = 0;
                // At the trap's end `exit` is called again with the status that it restores.
                self.call_text(process, &command, CallKind::Trap);
            }
            _ => process.done = Some(process.status & 0xff),
        }
    }

    /// Begins the trap of a signal that has come; true where it did.
    pub(crate) fn start_trap(&mut self, process: &mut Process) -> bool {
        let waiting = matches!(
            process.running.as_deref(),
            Some(Running {
                task: Task::Wait { .. },
                ..
            })
        );
        if process.signals.is_empty() || (process.running.is_some() && !waiting) || process.exiting
        {
            return false;
        }
        let signal = process.signals.remove(0);
        let Some(command) = process
            .traps
            .get(&signal)
            .filter(|c| !c.is_empty())
            .cloned()
        else {
            return false;
        };
        if waiting {
            process.running_ended();
            process.status = 128 + signal;
        }
        self.call_text(process, &command, CallKind::Trap);
        true
    }

    /// Runs a text in this process: eval, source, a trap.
    pub(crate) fn call_text(&mut self, process: &mut Process, text: &str, kind: CallKind) {
        let code = crate::machine::script_code(text, self.dialect);
        self.call(process, code, kind);
    }

    pub(crate) fn call(&mut self, process: &mut Process, code: Code, kind: CallKind) {
        let status = (kind == CallKind::Trap).then_some(process.status);
        let call = Call {
            kind,
            code: std::mem::replace(&mut process.code, code),
            pc: std::mem::take(&mut process.pc),
            parameters: None,
            saved: Vec::new(),
            descriptors: None,
            status,
        };
        process.control.push(Control::Call(Box::new(call)));
    }

    /// Ends the script after a failure where `set -e` is on.
    fn check(&mut self, process: &mut Process) {
        if process.status != 0 && process.flags.errexit && !process.is_quiet() {
            let status = process.status;
            self.exit(process, status);
        }
    }

    fn operation(
        &mut self,
        op: &Op,
        process: &mut Process,
        host: &mut dyn Host,
    ) -> Result<(), Abort> {
        match op {
            Op::Open
            | Op::Text { .. }
            | Op::Tilde(_)
            | Op::Parameter { .. }
            | Op::Length { .. }
            | Op::Indirect { .. }
            | Op::AssignDefault { .. }
            | Op::FailUnset { .. }
            | Op::Trim { .. }
            | Op::Replace { .. }
            | Op::Slice { .. }
            | Op::Case { .. }
            | Op::Arithmetic { .. }
            | Op::Fields
            | Op::Field => return self.word_operation(op, process, host),
            Op::IfSet { name, or_null, to } => {
                let value = self.parameter(process, host, name);
                if value.is_some_and(|v| !(*or_null && v.is_empty())) {
                    process.pc = *to;
                }
            }
            Op::Assign { name, append } => {
                let value = self.close_string(process, host)?;
                let old = if *append {
                    process.value(name).unwrap_or_default()
                } else {
                    ""
                };
                process
                    .assignments
                    .push((name.to_string(), format!("{old}{value}")));
            }
            Op::Redirect { fd, kind } => {
                let target = self.close_string(process, host)?;
                process.redirects.push(Redirect {
                    fd: *fd,
                    kind: *kind,
                    target,
                });
            }
            Op::Run { line } => {
                if *line > 0 {
                    process.line = *line;
                }
                return self.run_command(process, host);
            }
            Op::Argv(words) => process.arguments = words.to_vec(),
            Op::Redirected { otherwise } => {
                let redirects = std::mem::take(&mut process.redirects);
                let before = process.descriptors.clone();
                match self.redirect(process, host, redirects) {
                    Ok(()) => process.control.push(Control::Descriptors(before)),
                    Err(message) => {
                        process.descriptors = before;
                        self.complain(process, host, &message);
                        process.status = 1;
                        process.pc = *otherwise;
                    }
                }
            }
            Op::Quiet => process.control.push(Control::Quiet),
            Op::Pop => {
                if let Some(control) = process.control.pop() {
                    process.leave(control);
                }
            }
            Op::Jump(to) => process.pc = *to,
            Op::IfFailed(to) => {
                if process.status != 0 {
                    process.pc = *to;
                }
            }
            Op::IfOk(to) => {
                if process.status == 0 {
                    process.pc = *to;
                }
            }
            Op::Negate => process.status = i32::from(process.status == 0),
            Op::Status(status) => process.status = *status,
            Op::EnterLoop { next, end } => enter_loop(process, *next, *end, Vec::new()),
            Op::EnterFor { next, end } => {
                let items = std::mem::take(&mut process.arguments);
                enter_loop(process, *next, *end, items);
            }
            Op::EnterForParameters { next, end } => {
                let items = process.parameters.to_vec();
                enter_loop(process, *next, *end, items);
            }
            Op::ForNext { name, end } => {
                let Some(Control::Loop { items, .. }) = process.control.last_mut() else {
                    return Ok(());
                };
                match items.pop_front() {
                    Some(item) => self.assign(process, name, item)?,
                    None => process.pc = *end,
                }
            }
            Op::LoopStatus => {
                let last = process.status;
                if let Some(Control::Loop { status, .. }) = process.control.last_mut() {
                    *status = last;
                }
            }
            Op::EndLoop => {
                if let Some(Control::Loop { status, .. }) = process.control.pop() {
                    process.status = status;
                }
            }
            Op::EnterCase => {
                let subject = self.close_string(process, host)?;
                process.substituted = None;
                process.control.push(Control::Case(subject));
            }
            Op::CaseMatch(to) => {
                let pattern = self.close_pattern(process);
                if let Some(Control::Case(subject)) = process.control.last()
                    && crate::pattern::matches(&pattern, subject)
                {
                    process.control.pop();
                    process.pc = *to;
                }
            }
            Op::EndCase => {
                process.control.pop();
                process.status = 0;
            }
            Op::Pipeline(stages) => return self.pipeline(process, stages),
            Op::Subshell(code) => {
                let pid = self.spawn(process, code.clone())?;
                self.wait_for(process, vec![pid]);
            }
            Op::Background(code) => {
                let pid = self.spawn(process, code.clone())?;
                if let Some(child) = self.processes.get_mut(&pid) {
                    child.quiet = false;
                    child
                        .descriptors
                        .insert(0, crate::process::Descriptor::Null);
                }
                process.background = Some(pid);
                process.status = 0;
            }
            Op::Substitute { code, quoted } => {
                let pipe = self.new_pipe();
                let pid = self.spawn(process, code.clone())?;
                if let Some(child) = self.processes.get_mut(&pid) {
                    child
                        .descriptors
                        .insert(1, crate::process::Descriptor::PipeIn(pipe));
                }
                let task = Task::Substitute {
                    pid,
                    pipe,
                    text: Vec::new(),
                    quoted: *quoted,
                };
                process.running = Some(Box::new(Running {
                    task,
                    descriptors: None,
                    saved: Vec::new(),
                }));
            }
            Op::Define { name, code } => {
                Arc::make_mut(&mut process.functions).insert(name.to_string(), code.clone());
                process.status = 0;
            }
            Op::TestUnary(operator) => {
                let operand = self.close_string(process, host)?;
                let words = [operator.to_string(), operand];
                process.status =
                    crate::builtin::test::evaluate(&words, process, host).map_err(Abort::new)?;
            }
            Op::TestBinary { operator } => return self.test_binary(operator, process, host),
            Op::ArithmeticCommand => {
                let text = self.close_string(process, host)?;
                let value = self.arithmetic(process, host, &text)?;
                process.status = i32::from(value == 0);
            }
            Op::Check => self.check(process),
            Op::Script(code) => self.call(process, code.clone(), CallKind::Script),
            Op::SyntaxError(error) => {
                process.line = error.line;
                return Err(Abort::new(format!("syntax error: {}", error.message)));
            }
            Op::Exit(status) => self.exit(process, *status),
            Op::ExitLast => {
                let status = process.status;
                self.exit(process, status);
            }
        }
        Ok(())
    }

    fn test_binary(
        &mut self,
        operator: &str,
        process: &mut Process,
        host: &mut dyn Host,
    ) -> Result<(), Abort> {
        let matched = match operator {
            "=" | "==" | "!=" => {
                let pattern = self.close_pattern(process);
                let left = self.close_string(process, host)?;
                crate::pattern::matches(&pattern, &left) != (operator == "!=")
            }
            "=~" => {
                let pattern = self.close_string(process, host)?;
                let left = self.close_string(process, host)?;
                let regex = crate::tools::regex::compile(
                    &pattern,
                    crate::tools::regex::Kind::Extended,
                    false,
                )
                .map_err(|e| Abort::new(format!("[[: {e}")))?;
                regex.is_match(&left)
            }
            _ => {
                let right = self.close_string(process, host)?;
                let left = self.close_string(process, host)?;
                if matches!(operator, "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge") {
                    let (left, right) = (
                        self.arithmetic(process, host, &left)?,
                        self.arithmetic(process, host, &right)?,
                    );
                    crate::builtin::test::compare_numbers(operator, left, right)
                } else {
                    let words = [left, operator.to_owned(), right];
                    process.status = crate::builtin::test::evaluate(&words, process, host)
                        .map_err(Abort::new)?;
                    return Ok(());
                }
            }
        };
        process.status = i32::from(!matched);
        Ok(())
    }

    /// A child of this process that runs `code`.
    pub(crate) fn spawn(&mut self, process: &mut Process, code: Code) -> Result<u32, Abort> {
        if self.processes.len() >= self.limits.processes_max {
            return Err(Abort::new("Cannot fork: Resource temporarily unavailable"));
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        let child = process.fork(pid, code);
        self.processes.insert(pid, child);
        Ok(pid)
    }

    fn pipeline(&mut self, process: &mut Process, stages: &[Code]) -> Result<(), Abort> {
        use crate::process::Descriptor;
        let mut pids = Vec::new();
        let mut input: Option<u32> = None;
        for (i, stage) in stages.iter().enumerate() {
            let output = (i + 1 < stages.len()).then(|| self.new_pipe());
            let pid = self.spawn(process, stage.clone())?;
            if let Some(child) = self.processes.get_mut(&pid) {
                if let Some(pipe) = input {
                    child.descriptors.insert(0, Descriptor::PipeOut(pipe));
                }
                if let Some(pipe) = output {
                    child.descriptors.insert(1, Descriptor::PipeIn(pipe));
                }
            }
            pids.push(pid);
            input = output;
        }
        self.wait_for(process, pids);
        Ok(())
    }

    pub(crate) fn wait_for(&mut self, process: &mut Process, pids: Vec<u32>) {
        let pipefail = process.flags.pipefail;
        let task = Task::Children {
            pids,
            statuses: Vec::new(),
            pipefail,
        };
        process.running = Some(Box::new(Running {
            task,
            descriptors: None,
            saved: Vec::new(),
        }));
    }

    /// `break` and `continue`: false where there is no loop.
    pub(crate) fn leave_loop(&mut self, process: &mut Process, count: usize, again: bool) -> bool {
        let loops = process
            .control
            .iter()
            .filter(|c| matches!(c, Control::Loop { .. }))
            .count();
        let mut left = count.min(loops);
        if left == 0 {
            return false;
        }
        while let Some(control) = process.control.pop() {
            if let Control::Loop {
                next,
                end,
                status,
                items,
            } = control
            {
                left -= 1;
                if left == 0 {
                    process.pc = if again { next } else { end };
                    process.control.push(Control::Loop {
                        next,
                        end,
                        status,
                        items,
                    });
                    return true;
                }
            } else {
                process.leave(control);
            }
        }
        false
    }

    /// `return`: false where there is nothing to return from.
    pub(crate) fn leave_call(&mut self, process: &mut Process) -> bool {
        let wanted = |c: &Control| matches!(c, Control::Call(call) if matches!(call.kind, CallKind::Function | CallKind::Source));
        if !process.control.iter().any(wanted) {
            return false;
        }
        while let Some(control) = process.control.pop() {
            let found = wanted(&control);
            process.leave(control);
            if found {
                return true;
            }
        }
        false
    }
}

fn enter_loop(process: &mut Process, next: usize, end: usize, items: Vec<String>) {
    process.substituted = None;
    process.control.push(Control::Loop {
        next,
        end,
        status: 0,
        items: items.into(),
    });
}
