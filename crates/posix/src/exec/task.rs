//! What is not over in one step: sleeping, waiting, reading, tools, the host's commands.

use super::command::Available;
use crate::builtin::After;
use crate::code;
use crate::host::Host;
use crate::machine::{Machine, PIPE_BYTES, Turn};
use crate::process::{Pid, Piece, Process, Read, Task};
use crate::tools::{self, Context, Failure, Tool};
use std::collections::VecDeque;

enum Step {
    Done(i32),
    /// Goes on at once.
    Again(Task),
    /// Waits for another process, for time or for the host.
    Wait(Task, Option<u64>),
}

/// How often a file that is followed is looked at, in nanoseconds: tail's own second.
const FOLLOW_NS: u64 = 1_000_000_000;

impl Machine {
    pub(crate) fn advance_task(&mut self, process: &mut Process, host: &mut dyn Host) -> Turn {
        let Some(mut running) = process.running.take() else {
            return Turn::Ran;
        };
        let task = std::mem::replace(&mut running.task, Task::Sleep(0));
        let step = self.step_task(process, host, task);
        if process.done.is_some() {
            return Turn::Ran;
        }
        match step {
            Step::Done(status) => {
                process.running = Some(running);
                // Output that waits for room in a pipe belongs to the command's own descriptors.
                if !process.held.is_empty() {
                    if let Some(running) = &mut process.running {
                        running.task = Task::Ended(status);
                    }
                    return Turn::Ran;
                }
                process.running_ended();
                process.status = status;
                Turn::Ran
            }
            Step::Again(task) => {
                running.task = task;
                process.running = Some(running);
                Turn::Ran
            }
            Step::Wait(task, until) => {
                running.task = task;
                process.running = Some(running);
                Turn::Blocked(until)
            }
        }
    }

    fn child_status(&self, pid: Pid) -> Option<i32> {
        self.processes.get(&pid).map_or(Some(127), |p| p.done)
    }

    fn step_task(&mut self, process: &mut Process, host: &mut dyn Host, task: Task) -> Step {
        match task {
            Task::Ended(status) => Step::Done(status),
            Task::Sleep(until) if host.now() >= until => Step::Done(0),
            Task::Sleep(until) => Step::Wait(task, Some(until)),
            Task::Children {
                pids,
                mut statuses,
                pipefail,
            } => {
                while let Some(pid) = pids.get(statuses.len()) {
                    match self.child_status(*pid) {
                        Some(status) => statuses.push(status),
                        None => {
                            return Step::Wait(
                                Task::Children {
                                    pids,
                                    statuses,
                                    pipefail,
                                },
                                None,
                            );
                        }
                    }
                }
                pids.iter().for_each(|pid| drop(self.processes.remove(pid)));
                let failed = statuses
                    .iter()
                    .rev()
                    .find(|s| **s != 0)
                    .copied()
                    .unwrap_or(0);
                Step::Done(if pipefail {
                    failed
                } else {
                    statuses.last().copied().unwrap_or(0)
                })
            }
            Task::Wait { pids, any } => {
                if pids.iter().any(|pid| self.child_status(*pid).is_none()) {
                    return Step::Wait(Task::Wait { pids, any }, None);
                }
                let status = if any {
                    None
                } else {
                    pids.last().and_then(|pid| self.child_status(*pid))
                }
                .unwrap_or(0);
                pids.iter().for_each(|pid| drop(self.processes.remove(pid)));
                Step::Done(status)
            }
            Task::Child(pid) => match self.child_status(pid) {
                Some(status) => {
                    self.processes.remove(&pid);
                    Step::Done(status)
                }
                None => Step::Wait(Task::Child(pid), None),
            },
            Task::Timeout { pid, at, signal } => match self.child_status(pid) {
                Some(status) => {
                    self.processes.remove(&pid);
                    Step::Done(status)
                }
                None if host.now() >= at => {
                    self.kill_tree(host, pid, signal);
                    self.processes.remove(&pid);
                    Step::Done(if signal == 9 { 137 } else { 124 })
                }
                None => Step::Wait(Task::Timeout { pid, at, signal }, Some(at)),
            },
            Task::Queue {
                lines,
                running,
                status,
            } => self.queue(process, lines, running, status),
            Task::Host { job, .. } => {
                let reply = host.poll(job);
                match self.take_reply(process, host, reply) {
                    Ok(status) => Step::Done(status),
                    Err(Task::Host { job, until }) => Step::Wait(Task::Host { job, until }, until),
                    Err(task) => Step::Again(task),
                }
            }
            Task::Tee(argv) => {
                let status = match tools::find("tee") {
                    Some(tool) => self.run_tool(process, host, tool, &argv, None).unwrap_or(1),
                    None => 1,
                };
                if status > 1 {
                    return Step::Done(status);
                }
                let files = tools::files::tee_files(&argv);
                Step::Again(Task::Copy {
                    files,
                    lines: None,
                    bytes: None,
                    status,
                })
            }
            Task::Tail { argv, path } => {
                let path = process.path(&path);
                let at = host.files().read(&path).map_or(0, |bytes| bytes.len());
                if let Some(tool) = tools::find("tail") {
                    self.run_tool(process, host, tool, &argv, None);
                }
                Step::Again(Task::Follow { path, at })
            }
            Task::Follow { path, at } => self.follow(process, host, path, at),
            Task::Repeat(line) => {
                self.put(
                    process,
                    host,
                    1,
                    line.repeat(1 + 1024 / line.len().max(1)).as_bytes(),
                );
                Step::Again(Task::Repeat(line))
            }
            Task::Substitute {
                pid,
                pipe,
                text,
                quoted,
            } => self.substitute(process, pid, pipe, text, quoted),
            Task::Read(read) => self.read_line(process, host, read),
            Task::Copy {
                files,
                lines,
                bytes,
                status,
            } => self.copy(process, host, files, (lines, bytes), status),
            Task::Lines {
                tool,
                argv,
                rest,
                matched,
            } => self.lines(process, host, tool, argv, rest, matched),
            Task::Tool {
                tool,
                argv,
                input: None,
            } => match self.run_tool(process, host, tool, &argv, None) {
                Some(status) => Step::Done(status),
                None => Step::Again(Task::Tool {
                    tool,
                    argv,
                    input: Some(Vec::new()),
                }),
            },
            Task::Tool {
                tool,
                argv,
                input: Some(mut input),
            } => match self.gather(process, &mut input) {
                Gathered::All => Step::Done(
                    self.run_tool(process, host, tool, &argv, Some(&input))
                        .unwrap_or(1),
                ),
                Gathered::Some => Step::Again(Task::Tool {
                    tool,
                    argv,
                    input: Some(input),
                }),
                Gathered::NotYet => Step::Wait(
                    Task::Tool {
                        tool,
                        argv,
                        input: Some(input),
                    },
                    None,
                ),
            },
            Task::Gather {
                argv,
                mut input,
                purpose,
            } => match self.gather(process, &mut input) {
                Gathered::Some => Step::Again(Task::Gather {
                    argv,
                    input,
                    purpose,
                }),
                Gathered::NotYet => Step::Wait(
                    Task::Gather {
                        argv,
                        input,
                        purpose,
                    },
                    None,
                ),
                Gathered::All => match self.gathered(process, host, argv, input, purpose) {
                    After::Status(status) => Step::Done(status),
                    After::Task(task) => Step::Again(task),
                    After::Moved => Step::Done(process.status),
                },
            },
        }
    }

    /// Reads standard input to its end, a piece at a time.
    fn gather(&mut self, process: &Process, input: &mut Vec<u8>) -> Gathered {
        match self.read_some(process, 0, PIPE_BYTES) {
            Available::Bytes(bytes) => {
                self.spend(bytes.len() as u64 / 64);
                input.extend(bytes);
                Gathered::Some
            }
            Available::NotYet => Gathered::NotYet,
            Available::End => Gathered::All,
        }
    }

    /// Runs a text tool; None where it wants its standard input and has none yet.
    fn run_tool(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        tool: Tool,
        argv: &[String],
        input: Option<&[u8]>,
    ) -> Option<i32> {
        let mut context = Context::new(host, argv, input, process, self.dialect);
        let result = (tool.run)(&mut context);
        let (out, err, spent) = (context.out, context.err, context.steps);
        let status = match result {
            Err(Failure::Starved) => return None,
            Ok(status) => {
                self.put(process, host, 1, &out);
                self.put(process, host, 2, &err);
                status
            }
            Err(Failure::Message(status, message)) => {
                self.put(process, host, 1, &out);
                self.put(process, host, 2, &err);
                self.put(
                    process,
                    host,
                    2,
                    format!("{}: {message}\n", tool.name).as_bytes(),
                );
                status
            }
        };
        self.spend(1 + spent + input.map_or(0, |i| i.len() as u64 / 64));
        Some(status)
    }

    fn substitute(
        &mut self,
        process: &mut Process,
        pid: Pid,
        pipe: u32,
        mut text: Vec<u8>,
        quoted: bool,
    ) -> Step {
        if let Some(buffer) = self.pipes.get_mut(&pipe)
            && !buffer.is_empty()
        {
            text.extend(buffer.drain(..));
            return Step::Again(Task::Substitute {
                pid,
                pipe,
                text,
                quoted,
            });
        }
        let status = self.child_status(pid);
        match status {
            Some(status) if !self.has_writer(pipe) => {
                self.processes.remove(&pid);
                self.pipes.remove(&pipe);
                let end = text
                    .iter()
                    .rposition(|b| *b != b'\n')
                    .map_or(0, |at| at + 1);
                text.truncate(end);
                text.retain(|b| *b != 0);
                let text = String::from_utf8_lossy(&text).into_owned();
                if let Some(word) = process.words.last_mut() {
                    word.push(Piece::Text {
                        text,
                        quoted,
                        split: !quoted,
                    });
                }
                process.substituted = Some(status);
                Step::Done(status)
            }
            _ => Step::Wait(
                Task::Substitute {
                    pid,
                    pipe,
                    text,
                    quoted,
                },
                None,
            ),
        }
    }

    fn read_line(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        mut read: Box<Read>,
    ) -> Step {
        let ended = loop {
            if read.count.is_some_and(|count| read.line.len() >= count) {
                break 0;
            }
            match self.read_some(process, read.fd, 1) {
                Available::Bytes(bytes) if bytes[0] == read.delimiter => {
                    let slashes = read.line.iter().rev().take_while(|b| **b == b'\\').count();
                    if read.raw || slashes % 2 == 0 {
                        break 0;
                    }
                    // A joined line.
                    read.line.pop();
                }
                Available::Bytes(bytes) => read.line.extend(bytes),
                Available::End => break 1,
                Available::NotYet if read.until.is_some_and(|at| host.now() >= at) => break 142,
                Available::NotYet => {
                    let until = read.until;
                    return Step::Wait(Task::Read(read), until);
                }
            }
        };
        self.spend(read.line.len() as u64 / 64);
        let line = String::from_utf8_lossy(&read.line).into_owned();
        let ifs = process.value("IFS").unwrap_or(" \t\n").to_owned();
        let values = crate::builtin::read::split(&line, &ifs, read.names.len(), read.raw);
        for (name, value) in read.names.iter().zip(values) {
            if !process.set(name, value) {
                self.complain(process, host, &format!("{name}: is read only"));
                return Step::Done(2);
            }
        }
        Step::Done(ended)
    }

    /// `cat`, `tee`, `head`: what comes is passed on at once.
    fn copy(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        files: Vec<String>,
        (mut lines, mut bytes): (Option<u64>, Option<u64>),
        status: i32,
    ) -> Step {
        if lines == Some(0) || bytes == Some(0) {
            return Step::Done(status);
        }
        let most = if lines.is_some() { 512 } else { PIPE_BYTES };
        let most = bytes.map_or(most, |b| most.min(usize::try_from(b).unwrap_or(most)));
        match self.read_some(process, 0, most) {
            Available::End => Step::Done(status),
            Available::NotYet => Step::Wait(
                Task::Copy {
                    files,
                    lines,
                    bytes,
                    status,
                },
                None,
            ),
            Available::Bytes(mut piece) => {
                if let Some(left) = &mut lines {
                    let ends = piece.iter().enumerate().filter(|(_, b)| **b == b'\n');
                    let nth = usize::try_from(*left - 1).unwrap_or(usize::MAX);
                    if let Some((end, _)) = ends.clone().nth(nth) {
                        piece.truncate(end + 1);
                        *left = 0;
                    } else {
                        *left -= ends.count() as u64;
                    }
                }
                if let Some(left) = &mut bytes {
                    *left = left.saturating_sub(piece.len() as u64);
                }
                self.put(process, host, 1, &piece);
                for file in &files {
                    match file.as_str() {
                        "/dev/null" => {}
                        "/dev/stdout" => self.put(process, host, 1, &piece),
                        "/dev/stderr" => self.put(process, host, 2, &piece),
                        file => {
                            let path = process.path(file);
                            // tee has opened it: an error now was one then, and was told.
                            let _ = host.files_mut().write(&path, &piece, true);
                        }
                    }
                }
                Step::Again(Task::Copy {
                    files,
                    lines,
                    bytes,
                    status,
                })
            }
        }
    }

    /// A tool that treats each line alone runs on whole lines as they come.
    fn lines(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        tool: Tool,
        argv: Vec<String>,
        mut rest: Vec<u8>,
        mut matched: bool,
    ) -> Step {
        let (piece, end) = match self.read_some(process, 0, PIPE_BYTES) {
            Available::NotYet => {
                return Step::Wait(
                    Task::Lines {
                        tool,
                        argv,
                        rest,
                        matched,
                    },
                    None,
                );
            }
            Available::End => (std::mem::take(&mut rest), true),
            Available::Bytes(bytes) => {
                rest.extend(bytes);
                let whole = rest
                    .iter()
                    .rposition(|b| *b == b'\n')
                    .map_or(0, |at| at + 1);
                let after = rest.split_off(whole);
                (std::mem::replace(&mut rest, after), false)
            }
        };
        let mut status = i32::from(!matched);
        if !piece.is_empty() || (end && !matched) {
            status = self
                .run_tool(process, host, tool, &argv, Some(&piece))
                .unwrap_or(2);
            if status > 1 {
                return Step::Done(status);
            }
            matched |= status == 0;
        }
        if end {
            return Step::Done(if matched { 0 } else { status });
        }
        Step::Again(Task::Lines {
            tool,
            argv,
            rest,
            matched,
        })
    }

    fn queue(
        &mut self,
        process: &mut Process,
        mut lines: VecDeque<Vec<String>>,
        running: Option<Pid>,
        mut status: i32,
    ) -> Step {
        if let Some(pid) = running {
            let Some(done) = self.child_status(pid) else {
                return Step::Wait(
                    Task::Queue {
                        lines,
                        running,
                        status,
                    },
                    None,
                );
            };
            self.processes.remove(&pid);
            // xargs: 123 where a command failed, 124 where one ended in 255, and not found is told as is.
            match done {
                0 => {}
                126 | 127 => return Step::Done(done),
                255 => return Step::Done(124),
                _ => status = 123,
            }
        }
        let Some(argv) = lines.pop_front() else {
            return Step::Done(status);
        };
        match self.spawn(process, code::argv(argv)) {
            Ok(pid) => Step::Again(Task::Queue {
                lines,
                running: Some(pid),
                status,
            }),
            Err(_) => Step::Done(1),
        }
    }

    fn follow(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        path: String,
        at: usize,
    ) -> Step {
        let bytes = host.files().read(&path).unwrap_or_else(|_| [].into());
        // A file that is shorter than before was emptied: from its beginning again.
        let at = if bytes.len() < at { 0 } else { at };
        if bytes.len() > at {
            self.put(process, host, 1, &bytes[at..]);
            return Step::Again(Task::Follow {
                path,
                at: bytes.len(),
            });
        }
        let next = host.now().saturating_add(FOLLOW_NS);
        Step::Wait(Task::Follow { path, at }, Some(next))
    }

    fn gathered(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        argv: Vec<String>,
        input: Vec<u8>,
        purpose: Purpose,
    ) -> After {
        match purpose {
            Purpose::Host { replaces_shell } => {
                self.start_host(process, host, argv, input, replaces_shell)
            }
            Purpose::Xargs => match tools::xargs::lines(&argv, &input) {
                Ok(lines) => After::Task(Task::Queue {
                    lines: lines.into(),
                    running: None,
                    status: 0,
                }),
                Err(message) => {
                    self.put(process, host, 2, format!("xargs: {message}\n").as_bytes());
                    After::Status(1)
                }
            },
            Purpose::Script => {
                let text = String::from_utf8_lossy(&input).into_owned();
                crate::builtin::shell::child(self, process, &text, argv)
            }
        }
    }

    /// Ends a process and what it has started.
    pub(crate) fn kill_tree(&mut self, host: &mut dyn Host, pid: Pid, signal: i32) {
        let children: Vec<Pid> = self
            .processes
            .values()
            .filter(|p| p.parent == pid)
            .map(|p| p.pid)
            .collect();
        children
            .into_iter()
            .for_each(|child| self.kill_tree(host, child, signal));
        if let Some(process) = self.processes.get_mut(&pid) {
            if let Some(job) = process.job() {
                host.kill(job, signal);
            }
            process.die(128 + signal);
        }
    }
}

/// How far gathering has come.
enum Gathered {
    All,
    Some,
    NotYet,
}

pub(crate) use crate::process::Purpose;
