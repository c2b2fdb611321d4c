//! The machine that runs scripts: processes, pipes, and who may go on.

use crate::code::{Code, compile};
use crate::host::{Host, Status, Stream, Time};
use crate::process::{Descriptor, Descriptors, Flags, Pid, Process, Variable};
use crate::syntax::{Complete, Dialect, Script};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a machine may use at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes at one time.
    pub processes_max: usize,
    /// Functions, `eval` and `.` within one another.
    pub calls_max: usize,
    /// Bytes in variables, pipes and the inputs of commands together; more ends in
    /// [`Progress::OutOfMemory`].
    pub memory_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            processes_max: 256,
            calls_max: 256,
            memory_bytes_max: 64 << 20,
        }
    }
}

/// How a shell is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose extensions and messages.
    pub dialect: Dialect,
    /// `$0`, and what stands before the shell's own messages.
    pub name: String,
    /// `$1` and so on.
    pub arguments: Vec<String>,
    /// The environment; all of it is exported.
    pub env: BTreeMap<String, String>,
    /// The working directory, an absolute path.
    pub cwd: String,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// Typed by a person: an error ends the command line, not the shell.
    pub interactive: bool,
    /// Where `$RANDOM` begins.
    pub seed: u64,
    /// What it may use.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dialect: Dialect::default(),
            name: "sh".to_owned(),
            arguments: Vec::new(),
            env: BTreeMap::new(),
            cwd: "/".to_owned(),
            stdin: Vec::new(),
            interactive: false,
            seed: 1,
            limits: Limits::default(),
        }
    }
}

/// How far a machine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The budget is used up; it could go on at once.
    Ran,
    /// Nothing can go on: until that time, or (None) until something happens outside, such as a
    /// job's end or a signal.
    Blocked(Option<Time>),
    /// What was fed has run, with this status.
    Finished(Status),
    /// More memory was wanted than [`Limits::memory_bytes_max`]; the machine is over.
    OutOfMemory,
}

/// What a process does on a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It has a trap, which runs as soon as the command in the foreground has ended.
    Trapped,
    /// It ignores it.
    Ignored,
    /// What the kernel does by itself: the caller decides (process 1 of a container ignores what
    /// it has no trap for).
    Default,
}

#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub bytes: Arc<[u8]>,
    pub at: usize,
}

/// How much a pipe holds (pipe(7)).
pub(crate) const PIPE_BYTES: usize = 65_536;
/// Steps that one process takes before the next has its turn.
const SLICE: u64 = 256;
const MAIN: Pid = 1;

/// A shell: plain data, to be stepped, stopped, cloned and gone on with anywhere.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) dialect: Dialect,
    pub(crate) interactive: bool,
    pub(crate) limits: Limits,
    pub(crate) processes: BTreeMap<Pid, Process>,
    pub(crate) pipes: BTreeMap<u32, VecDeque<u8>>,
    pub(crate) inputs: BTreeMap<u32, Input>,
    pub(crate) next_pid: Pid,
    pub(crate) next_stream: u32,
    pub(crate) random: u64,
    pub(crate) started: Option<Time>,
    /// Steps that are left in this turn.
    pub(crate) budget: u64,
    /// A long text was made: its process's turn ends, so that memory is looked at.
    pub(crate) look_at_memory: bool,
    out_of_memory: bool,
}

/// What came of a process's turn.
pub(crate) enum Turn {
    Ran,
    Blocked(Option<Time>),
}

impl Machine {
    /// A shell with nothing to run yet.
    pub fn new(options: Options) -> Machine {
        let exported = |value: String| Variable {
            value: Some(value),
            exported: true,
            readonly: false,
        };
        let mut variables: BTreeMap<String, Variable> = options
            .env
            .into_iter()
            .map(|(name, value)| (name, exported(value)))
            .collect();
        let cwd = crate::text::absolute("/", &options.cwd);
        variables.insert("PWD".into(), exported(cwd.clone()));
        variables.entry("PATH".into()).or_insert_with(|| {
            exported("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into())
        });
        let plain = |value: &str| Variable {
            value: Some(value.to_owned()),
            ..Variable::default()
        };
        variables
            .entry("IFS".into())
            .or_insert_with(|| plain(" \t\n"));
        variables
            .entry("OPTIND".into())
            .or_insert_with(|| plain("1"));
        let descriptors: Descriptors = [
            (0, Descriptor::Input(0)),
            (1, Descriptor::HostOut),
            (2, Descriptor::HostErr),
        ]
        .into();
        let main = Process {
            pid: MAIN,
            parent: 0,
            shell: MAIN,
            code: Arc::new([]),
            pc: 0,
            control: Vec::new(),
            words: Vec::new(),
            arguments: Vec::new(),
            assignments: Vec::new(),
            redirects: Vec::new(),
            variables: Arc::new(variables),
            functions: Arc::default(),
            parameters: Arc::new(options.arguments),
            name: options.name,
            cwd: cwd.into(),
            flags: Flags::default(),
            descriptors,
            traps: Arc::default(),
            signals: Vec::new(),
            status: 0,
            substituted: None,
            background: None,
            running: None,
            held: VecDeque::new(),
            line: 0,
            quiet: false,
            subshell: false,
            exiting: false,
            done: None,
        };
        Machine {
            dialect: options.dialect,
            interactive: options.interactive,
            limits: options.limits,
            processes: [(MAIN, main)].into(),
            pipes: BTreeMap::new(),
            inputs: [(
                0,
                Input {
                    bytes: options.stdin.into(),
                    at: 0,
                },
            )]
            .into(),
            next_pid: MAIN + 1,
            next_stream: 1,
            random: options.seed.max(1),
            started: None,
            budget: 0,
            look_at_memory: false,
            out_of_memory: false,
        }
    }

    /// A shell that runs one script, as `sh -c` does. Commands before a syntax error are run.
    pub fn run(script: &str, options: Options) -> Machine {
        let dialect = options.dialect;
        let mut machine = Machine::new(options);
        machine.feed_text(script, dialect);
        machine
    }

    /// Gives the shell its next command, as typed at its prompt or read from its script.
    pub fn feed(&mut self, command: &Complete) {
        self.feed_code(compile(&command.node));
    }

    /// Gives the shell a whole script.
    pub fn feed_script(&mut self, script: &Script) {
        let codes = script
            .commands
            .iter()
            .map(|c| crate::code::Op::Script(compile(&c.node)))
            .collect::<Vec<_>>();
        self.feed_code(codes.into());
    }

    fn feed_text(&mut self, text: &str, dialect: Dialect) {
        let code = script_code(text, dialect);
        self.feed_code(code);
    }

    fn feed_code(&mut self, code: Code) {
        if let Some(main) = self.processes.get_mut(&MAIN)
            && main.done.is_none()
        {
            (main.code, main.pc) = (code, 0);
        }
    }

    /// Goes on for at most about `budget` steps. A step is one operation of the shell's language, or
    /// a text tool at work on 64 bytes.
    pub fn step(&mut self, host: &mut dyn Host, budget: u64) -> Progress {
        self.budget = budget;
        self.started.get_or_insert(host.now());
        loop {
            let mut ran = false;
            let mut wake: Option<Time> = None;
            let pids: Vec<Pid> = self.processes.keys().copied().collect();
            for pid in pids {
                if self.out_of_memory || self.memory_bytes() > self.limits.memory_bytes_max {
                    self.out_of_memory = true;
                    return Progress::OutOfMemory;
                }
                let Some(mut process) = self.processes.remove(&pid) else {
                    continue;
                };
                match self.turn(&mut process, host) {
                    Turn::Ran => ran = true,
                    Turn::Blocked(until) => wake = [wake, until].into_iter().flatten().min(),
                }
                self.processes.insert(pid, process);
                if self.budget == 0 {
                    break;
                }
            }
            // What was put into the background has had its turn: it has begun.
            if let Some(status) = self.main_finished() {
                return Progress::Finished(status);
            }
            if self.budget == 0 {
                return Progress::Ran;
            }
            self.reap();
            if !ran {
                return Progress::Blocked(wake);
            }
        }
    }

    /// The status of the main process where it has nothing left to run.
    fn main_finished(&self) -> Option<Status> {
        let main = self.processes.get(&MAIN)?;
        match main.done {
            Some(status) => Some(status),
            None if main.pc >= main.code.len()
                && main.running.is_none()
                && main.held.is_empty()
                && main.control.is_empty() =>
            {
                Some(main.status)
            }
            None => None,
        }
    }

    /// Whether the shell itself has ended (`exit`, an error, `exec`) and takes no further command.
    pub fn has_exited(&self) -> bool {
        self.processes
            .get(&MAIN)
            .is_none_or(|main| main.done.is_some())
    }

    /// Ends the shell as the end of its script does: the EXIT trap is run. Step it afterwards until
    /// it has finished.
    pub fn end(&mut self) {
        if let Some(main) = self.processes.get_mut(&MAIN)
            && main.done.is_none()
        {
            let status = main.status;
            (main.code, main.pc) = (Arc::new([crate::code::Op::Exit(status)]), 0);
        }
    }

    /// Sends the shell's own process a signal. A trap is only noted: step the machine to run it.
    /// SIGKILL is the caller's to carry out.
    pub fn signal(&mut self, signal: i32) -> Disposition {
        let Some(main) = self.processes.get_mut(&MAIN) else {
            return Disposition::Default;
        };
        match main.traps.get(&signal).map(String::is_empty) {
            Some(true) => Disposition::Ignored,
            Some(false) => {
                main.signals.push(signal);
                Disposition::Trapped
            }
            None => Disposition::Default,
        }
    }

    /// Ends what runs, with its children, and keeps the shell (Ctrl-C at a terminal).
    pub fn interrupt(&mut self, host: &mut dyn Host) {
        let jobs: Vec<u64> = self.processes.values().filter_map(Process::job).collect();
        for job in jobs {
            host.kill(job, 2);
        }
        self.processes.retain(|pid, _| *pid == MAIN);
        if let Some(main) = self.processes.get_mut(&MAIN) {
            main.reset();
            main.status = 130;
        }
    }

    /// Bytes in variables, pipes and inputs: what a container's memory use grows by.
    pub fn memory_bytes(&self) -> u64 {
        let pipes: usize = self.pipes.values().map(VecDeque::len).sum();
        let processes: usize = self.processes.values().map(Process::memory_bytes).sum();
        (pipes + processes) as u64
    }

    /// A variable of the shell's, if it is set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.processes.get(&MAIN)?.value(name)
    }

    /// The shell's working directory.
    pub fn cwd(&self) -> &str {
        self.processes.get(&MAIN).map_or("/", |main| &main.cwd)
    }

    /// The status of the last command.
    pub fn status(&self) -> Status {
        self.processes
            .get(&MAIN)
            .map_or(0, |main| main.done.unwrap_or(main.status))
    }

    /// Processes that are gone and pipes that nobody holds any more.
    fn reap(&mut self) {
        let waited: Vec<Pid> = self
            .processes
            .values()
            .filter(|p| p.done.is_none())
            .map(|p| p.pid)
            .collect();
        self.processes
            .retain(|pid, p| *pid == MAIN || p.done.is_none() || waited.contains(&p.parent));
        let processes = &self.processes;
        self.pipes.retain(|id, _| {
            processes.values().any(|p| {
                p.holds(&Descriptor::PipeOut(*id))
                    || p.holds(&Descriptor::PipeIn(*id))
                    || p.captures(*id)
            })
        });
        if self.inputs.len() > 8 {
            self.inputs.retain(|id, _| {
                *id == 0 || processes.values().any(|p| p.holds(&Descriptor::Input(*id)))
            });
        }
    }

    pub(crate) fn new_pipe(&mut self) -> u32 {
        let id = self.next_stream;
        self.next_stream += 1;
        self.pipes.insert(id, VecDeque::new());
        id
    }

    pub(crate) fn new_input(&mut self, bytes: Arc<[u8]>) -> Descriptor {
        let id = self.next_stream;
        self.next_stream += 1;
        self.inputs.insert(id, Input { bytes, at: 0 });
        Descriptor::Input(id)
    }

    pub(crate) fn spend(&mut self, steps: u64) {
        self.budget = self.budget.saturating_sub(steps);
    }

    /// Lets one process go on for a while.
    fn turn(&mut self, process: &mut Process, host: &mut dyn Host) -> Turn {
        if process.done.is_some() {
            return Turn::Blocked(None);
        }
        let mut ran = false;
        for _ in 0..SLICE {
            if self.budget == 0 || std::mem::take(&mut self.look_at_memory) {
                break;
            }
            if !self.flush(process, host) {
                return if ran { Turn::Ran } else { Turn::Blocked(None) };
            }
            if process.done.is_some() {
                return Turn::Ran;
            }
            if self.start_trap(process) {
                ran = true;
                continue;
            }
            if process.running.is_some() {
                match self.advance_task(process, host) {
                    Turn::Ran => {
                        ran = true;
                        self.spend(1);
                        continue;
                    }
                    blocked if !ran => return blocked,
                    Turn::Blocked(_) => return Turn::Ran,
                }
            }
            if process.pid == MAIN && process.pc >= process.code.len() && process.control.is_empty()
            {
                return if ran { Turn::Ran } else { Turn::Blocked(None) };
            }
            self.spend(1);
            self.execute(process, host);
            ran = true;
        }
        Turn::Ran
    }

    /// Writes what a full pipe held up; false where it is still full.
    fn flush(&mut self, process: &mut Process, host: &mut dyn Host) -> bool {
        while let Some((fd, bytes)) = process.held.pop_front() {
            if let Some(Descriptor::PipeIn(pipe)) = process.descriptors.get(&fd) {
                let room = self.room(*pipe);
                let broken = !self.has_reader(*pipe);
                if room < bytes.len() && !broken {
                    if let Some(buffer) = self.pipes.get_mut(pipe) {
                        buffer.extend(&bytes[..room]);
                    }
                    process.held.push_front((fd, bytes[room..].to_vec()));
                    return false;
                }
            }
            self.put(process, host, fd, &bytes);
        }
        true
    }

    fn room(&self, pipe: u32) -> usize {
        PIPE_BYTES.saturating_sub(self.pipes.get(&pipe).map_or(0, VecDeque::len))
    }

    fn has_reader(&self, pipe: u32) -> bool {
        self.processes
            .values()
            .any(|p| p.captures(pipe) || p.holds(&Descriptor::PipeOut(pipe)))
    }

    pub(crate) fn has_writer(&self, pipe: u32) -> bool {
        self.processes
            .values()
            .any(|p| p.holds(&Descriptor::PipeIn(pipe)))
    }

    /// Writes to a descriptor of the process.
    pub(crate) fn put(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        fd: u32,
        bytes: &[u8],
    ) {
        if bytes.is_empty() {
            return;
        }
        self.spend(bytes.len() as u64 / 64);
        match process.descriptors.get(&fd) {
            Some(Descriptor::HostOut) => host.write(Stream::Out, bytes),
            Some(Descriptor::HostErr) => host.write(Stream::Err, bytes),
            Some(Descriptor::File(path)) => {
                let path = path.clone();
                if let Err(error) = host.files_mut().write(&path, bytes, true) {
                    process.status = 1;
                    if fd != 2 {
                        let message = format!("{}: write error: {error}\n", process.name);
                        self.put(process, host, 2, message.as_bytes());
                    }
                }
            }
            Some(Descriptor::PipeIn(pipe)) => {
                let pipe = *pipe;
                if !self.has_reader(pipe) {
                    // SIGPIPE
                    process.die(128 + 13);
                    return;
                }
                let room = if process.held.is_empty() {
                    self.room(pipe)
                } else {
                    0
                };
                let now = bytes.len().min(room);
                if let Some(buffer) = self.pipes.get_mut(&pipe) {
                    buffer.extend(&bytes[..now]);
                }
                if now < bytes.len() {
                    process.held.push_back((fd, bytes[now..].to_vec()));
                }
            }
            Some(Descriptor::Null | Descriptor::PipeOut(_) | Descriptor::Input(_)) | None => {}
        }
    }

    /// The shell's own message, on the process's standard error.
    pub(crate) fn complain(&mut self, process: &mut Process, host: &mut dyn Host, message: &str) {
        let name = &process.name;
        let line = process.line.max(1);
        let text = match self.dialect {
            Dialect::Ash => format!("{name}: {message}\n"),
            Dialect::Dash => format!("{name}: {line}: {message}\n"),
            Dialect::Bash => format!("{name}: line {line}: {message}\n"),
        };
        self.put(process, host, 2, text.as_bytes());
    }
}

/// A script's code, its top-level commands one after the other; a syntax error is met when what
/// stands before it has run.
pub(crate) fn script_code(text: &str, dialect: Dialect) -> Code {
    use crate::code::Op;
    let ops = crate::parse::Reader::new(text, dialect).map(|command| match command {
        Ok(command) => Op::Script(compile(&command.node)),
        Err(error) => Op::SyntaxError(Arc::new(error)),
    });
    ops.collect()
}
