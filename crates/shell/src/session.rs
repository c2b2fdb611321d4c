//! A terminal: where a person types, and what comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_cluster::event::{Action, Component, EventId};
use kubarium_cluster::time::EPOCH_SECONDS;
use kubarium_cluster::trace::Trace;
use kubarium_cluster::{Cluster, Run, Simulation, Time};
use kubarium_objects::Value;
use kubarium_posix::{
    Command, Complete, Dialect, FileKind, Files, Found, Host, Job, JobState, Machine, MemoryFiles,
    Options, Progress, Reader, Reply, tools,
};

use crate::kubeconfig::Kubeconfig;
use crate::state::{Given, Journal, Replay, State};
use crate::{kubectl, sim, ssh};

mod terminals;

pub use kubarium_posix::Stream;
use terminals::{Ongoing, Terminal};

/// What a command line has written, and its exit status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What it wrote, in order.
    pub written: Vec<(Stream, String)>,
    /// Standard output to the byte, where it is no text: a capture file.
    pub binary: Option<Vec<u8>>,
    /// The exit status, 0 to 255.
    pub status: i32,
}

impl Output {
    /// What went to standard output.
    pub fn stdout(&self) -> String {
        self.only(Stream::Out)
    }

    /// What went to standard error.
    pub fn stderr(&self) -> String {
        self.only(Stream::Err)
    }

    /// Both, in the order in which they were written.
    pub fn text(&self) -> String {
        self.written.iter().map(|(_, text)| text.as_str()).collect()
    }

    fn only(&self, stream: Stream) -> String {
        self.written
            .iter()
            .filter(|(s, _)| *s == stream)
            .map(|(_, text)| text.as_str())
            .collect()
    }
}

/// What a command has written, in order, and its exit status.
pub(crate) struct Finished {
    pub output: Vec<(Stream, Vec<u8>)>,
    pub status: i32,
}

impl Finished {
    pub fn done(text: String) -> Finished {
        Finished {
            output: vec![(Stream::Out, text.into_bytes())],
            status: 0,
        }
    }

    pub fn failed(status: i32, text: String) -> Finished {
        Finished {
            output: vec![(Stream::Err, text.into_bytes())],
            status,
        }
    }
}

/// How a command line that was begun is getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// It goes on: it waits for simulated time, or watches.
    Running,
    /// A shell elsewhere (`ssh NODE`) waits at its prompt for what is typed ([`Session::type_in`]); the status of its last
    /// command.
    Reading(i32),
    /// It has ended with this status, 0 to 255.
    Finished(i32),
}

/// Where a session's commands run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The administrator's own machine, which has kubectl and the simulator's commands.
    Workstation,
}

const HOME: &str = "/root";
/// What a command takes to start, ask for the API's resources and send its first request.
pub(crate) const BREATH: Duration = Duration::from_millis(100);
/// Steps of the shell's language that one command line may take.
const STEPS_MAX: u64 = 50_000_000;
const STEPS_AT_ONCE: u64 = 100_000;

/// A terminal on a simulated cluster.
#[derive(Clone)]
pub struct Session {
    /// The cluster with its history.
    pub simulation: Simulation,
    /// What the last `sim trace` saw, for whoever draws it.
    pub last_trace: Option<Trace>,
    /// What is looked at, in the words of whoever draws: it is saved with the state.
    pub view: Value,
    place: Place,
    pub(crate) journal: Journal,
    /// The command line is one command of the simulator's own, and nothing beside it.
    pub(crate) alone: bool,
    /// What takes this terminal's place when the command line has ended.
    pub(crate) replaced_by: Option<Box<Session>>,
    pub(crate) kubeconfig: Kubeconfig,
    files: MemoryFiles,
    /// The terminal that is served, and its name.
    terminal: Terminal,
    name: String,
    /// The others, by their names.
    others: BTreeMap<String, Terminal>,
    next_job: Job,
    /// Somebody looks on and can interrupt: nothing need end by itself.
    pub(crate) attended: bool,
    /// A shell elsewhere has done something.
    pub(crate) visited: bool,
    /// How the command that has just been carried out goes on.
    begun: Option<Ongoing>,
    written: Vec<(Stream, Vec<u8>)>,
    /// The command line that is being carried out.
    line: String,
    cause: Option<EventId>,
    checkpoint: bool,
    /// Something was given to the cluster since its history was told.
    changed: bool,
}

impl Session {
    /// A terminal on the workstation from which the cluster is administered. What is given to it is
    /// kept: on a cluster that has just come up, [`Session::state`] can be saved.
    pub fn new(simulation: Simulation) -> Session {
        let mut files = MemoryFiles::default();
        // An empty tree takes both.
        let _ = files.make_directories(HOME);
        let _ = files.make_directories("/tmp");
        Session {
            kubeconfig: Kubeconfig::new(&simulation.cluster),
            simulation,
            last_trace: None,
            view: Value::Null,
            place: Place::Workstation,
            journal: Journal::default(),
            alone: false,
            replaced_by: None,
            files,
            terminal: Terminal::new(),
            name: String::new(),
            others: BTreeMap::new(),
            next_job: 0,
            attended: false,
            visited: false,
            begun: None,
            written: Vec::new(),
            line: String::new(),
            cause: None,
            checkpoint: false,
            changed: false,
        }
    }

    /// Where its commands run.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Runs what a person has typed: a command line, with its here-documents, or several.
    pub fn run(&mut self, text: &str) -> Output {
        let mut all = Output::default();
        for command in Reader::new(text, Dialect::Bash) {
            match command {
                Ok(command) => {
                    let output = self.run_command(&command);
                    all.written.extend(output.written);
                    all.status = output.status;
                    if self.has_exited() {
                        break;
                    }
                }
                Err(error) => {
                    all.written.push((Stream::Err, format!("sh: {error}\n")));
                    all.status = 2;
                }
            }
        }
        all
    }

    /// Whether the shell has been left (`exit`).
    pub fn has_exited(&self) -> bool {
        let Terminal {
            machine,
            foreground,
            ..
        } = &self.terminal;
        foreground.is_none() && machine.as_ref().is_none_or(Machine::has_exited)
    }

    /// Runs one command of a script to its end; simulated time goes on for as long as it waits. While
    /// another is in the foreground ([`Session::begin`]), a shell of its own runs it.
    pub fn run_command(&mut self, command: &Complete) -> Output {
        let own = self.terminal.machine.take();
        let is_own = own.is_some();
        let mut machine = match own {
            Some(machine) => machine,
            None if self.terminal.foreground.is_some() => Machine::new(shell()),
            None => {
                return Output {
                    status: 1,
                    ..Output::default()
                };
            }
        };
        self.note(Given::Run(command.text.clone()));
        self.alone = command.is_only("sim");
        self.attended = false;
        self.enter(&command.text);
        machine.feed(command);
        let status = match self.drive(&mut machine, None) {
            Going::Finished(status) => status,
            Going::Running | Going::Reading(_) => 130,
        };
        if is_own {
            self.terminal.machine = Some(machine);
        }
        self.end();
        let pieces = std::mem::take(&mut self.written);
        let binary = binary(&pieces);
        let written = texts(pieces);
        if let Some(other) = self.replaced_by.take() {
            *self = *other;
        }
        Output {
            written,
            binary,
            status,
        }
    }

    /// Lets time pass as it does between the commands of a script: each takes a moment to start, and
    /// controllers are quicker than that. Where there are no machines, what happens next is up to the script alone.
    pub fn draw_breath(&mut self) {
        if self.simulation.cluster.machines.is_empty() {
            return;
        }
        let until = self.simulation.cluster.now + BREATH;
        while !self.simulation.run_until(until, usize::MAX) {}
    }

    /// Keeps what was given to the terminal, with its place in time.
    fn note(&mut self, given: Given) {
        let cluster = &self.simulation.cluster;
        let terminal = self.name.clone();
        self.journal
            .add(cluster.now, cluster.steps(), given, terminal);
    }

    /// The terminal that a saved state describes, and a remark where it is not quite as it was. A
    /// long history takes its time: [`Replay`] does it in pieces.
    pub fn from_state(state: State) -> (Session, Option<String>) {
        Replay::new(state).finish()
    }

    /// The commands of a text, and what the shell says where it can read no further.
    pub fn read(text: &str) -> (Vec<Complete>, Option<String>) {
        let mut commands = Vec::new();
        for command in Reader::new(text, Dialect::Bash) {
            match command {
                Ok(command) => commands.push(command),
                Err(error) => return (commands, Some(format!("sh: {error}\n"))),
            }
        }
        (commands, None)
    }

    /// Goes to the moment just after an event, as `sim goto` does.
    ///
    /// # Errors
    /// A sentence when no such event has happened.
    pub fn goto(&mut self, event: EventId) -> Result<(), String> {
        self.note(Given::Goto(event));
        self.simulation.goto(event)
    }

    /// Lets the shell run to the end of what it was given, or to `until`; simulated time goes on
    /// where it waits.
    fn drive(&mut self, machine: &mut Machine, until: Option<Time>) -> Going {
        let mut steps = 0;
        loop {
            let why = match machine.step(self, STEPS_AT_ONCE) {
                Progress::Finished(status) => return Going::Finished(status),
                Progress::Ran if steps < STEPS_MAX => {
                    steps += STEPS_AT_ONCE;
                    continue;
                }
                Progress::Ran => "stopped: the command line has run for too long",
                Progress::Blocked(Some(at)) => {
                    let at = cluster_time(at);
                    if until.is_some_and(|until| at > until) {
                        if let Some(until) = until {
                            while !self.simulation.run_until(until, usize::MAX) {}
                        }
                        return Going::Running;
                    }
                    while !self.simulation.run_until(at, usize::MAX) {}
                    steps += 1000;
                    if until.is_none() && steps > STEPS_MAX {
                        "stopped: the command line has run for too long"
                    } else {
                        continue;
                    }
                }
                Progress::Blocked(None) if until.is_some() => return Going::Running,
                Progress::Blocked(None) => {
                    "stopped: the command line waits for something that cannot happen"
                }
                Progress::OutOfMemory => "stopped: out of memory",
            };
            machine.interrupt(self);
            self.written
                .push((Stream::Err, format!("sh: {why}\n").into_bytes()));
            return Going::Finished(130);
        }
    }

    /// A command line begins.
    fn enter(&mut self, line: &str) {
        self.line = line.to_owned();
        self.cause = None;
        self.checkpoint = false;
    }

    /// A command line has ended.
    fn end(&mut self) {
        if std::mem::take(&mut self.changed) {
            self.simulation.touched();
        }
        self.cause = None;
    }

    /// Carries out a command of this terminal, other than kubectl.
    fn command(&mut self, argv: &[String], stdin: Vec<u8>, cwd: &str) -> Finished {
        match argv.first().map(String::as_str) {
            Some("sim") => sim::run(self, argv, cwd),
            Some("ssh") => ssh::run(self, argv, stdin),
            other => Finished::failed(
                127,
                format!("sh: {}: command not found\n", other.unwrap_or("")),
            ),
        }
    }

    /// To be called before the command line changes anything: `sim undo` comes back to here.
    pub(crate) fn changing(&mut self) {
        if !std::mem::replace(&mut self.checkpoint, true) {
            self.simulation.checkpoint();
        }
        self.cause();
    }

    /// The event of this command line, logged when it is first needed.
    fn cause(&mut self) -> Option<EventId> {
        if self.cause.is_none() {
            let line = self.line.as_str();
            let log = |cluster: &mut Cluster| {
                cluster.log(&Component::Person, Action::Command, None, line)
            };
            self.cause = Some(self.simulation.change(log));
            self.changed = true;
        }
        self.cause
    }

    /// Changes the cluster, with the command line as the cause.
    pub(crate) fn change<T>(&mut self, what: impl FnOnce(&mut Cluster) -> T) -> T {
        let cause = self.cause();
        self.changed = true;
        self.simulation
            .change(|cluster| cluster.caused_by(cause, what))
    }

    /// Lets time run, and nothing else: at once, or where somebody looks on, piece by piece.
    pub(crate) fn let_run(&mut self, run: Run) {
        if self.attended {
            self.begun = Some(Ongoing::Time(run));
        } else {
            while !self.simulation.run_slice(&run, usize::MAX) {}
        }
    }

    /// Lets simulated time run until `done` says so, `limit` at the longest; whether it did.
    pub(crate) fn wait(&mut self, limit: Duration, done: impl FnMut(&Cluster) -> bool) -> bool {
        self.simulation.run_while(limit, done)
    }
}

/// What the session's commands may write.
const WRITTEN_BYTES_MAX: usize = 16 << 20;

/// How the terminal's shell is started.
fn shell() -> Options {
    Options {
        dialect: Dialect::Bash,
        cwd: HOME.to_owned(),
        env: [("HOME".to_owned(), HOME.to_owned())].into(),
        interactive: true,
        ..Options::default()
    }
}

/// What was written, as text, the pieces of one stream together.
fn texts(pieces: Vec<(Stream, Vec<u8>)>) -> Vec<(Stream, String)> {
    let mut written: Vec<(Stream, String)> = Vec::new();
    for (stream, bytes) in pieces {
        let text = String::from_utf8_lossy(&bytes);
        match written.last_mut() {
            Some((last, so_far)) if *last == stream => so_far.push_str(&text),
            _ => written.push((stream, text.into_owned())),
        }
    }
    written
}

/// Standard output, where it is no text.
fn binary(pieces: &[(Stream, Vec<u8>)]) -> Option<Vec<u8>> {
    let out = pieces.iter().filter(|(stream, _)| *stream == Stream::Out);
    let bytes: Vec<&[u8]> = out.map(|(_, bytes)| bytes.as_slice()).collect();
    let is_text = bytes.iter().all(|bytes| std::str::from_utf8(bytes).is_ok());
    (!is_text).then(|| bytes.concat())
}

pub(crate) fn posix_time(at: Time) -> kubarium_posix::Time {
    at.0 + EPOCH_SECONDS.unsigned_abs() * 1_000_000_000
}

fn cluster_time(nanos: kubarium_posix::Time) -> Time {
    Time(nanos.saturating_sub(EPOCH_SECONDS.unsigned_abs() * 1_000_000_000))
}

impl Host for Session {
    fn now(&self) -> kubarium_posix::Time {
        posix_time(self.simulation.cluster.now)
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let so_far: usize = self.written.iter().map(|(_, b)| b.len()).sum();
        if so_far > WRITTEN_BYTES_MAX {
            return;
        }
        match self.written.last_mut() {
            Some((last, text)) if *last == stream => text.extend_from_slice(bytes),
            _ => self.written.push((stream, bytes.to_vec())),
        }
    }

    fn find(&self, argv: &[String]) -> Found {
        match argv.first().map(|name| base_name(name)) {
            Some("kubectl") => Found::Host {
                reads_stdin: kubectl::reads_stdin(argv),
            },
            Some("sim") => Found::Host { reads_stdin: false },
            Some("ssh") => Found::Host {
                reads_stdin: ssh::reads_stdin(argv),
            },
            Some(name) if tools::is_tool(name) => Found::Tool,
            _ => Found::Missing,
        }
    }

    fn start(&mut self, command: Command) -> Reply {
        let mut argv = command.argv;
        if let Some(name) = argv.first_mut() {
            *name = base_name(name).to_owned();
        }
        let (finished, ongoing) = if argv.first().is_some_and(|name| name == "kubectl") {
            let files = command.env.get("KUBECONFIG").map_or("", String::as_str);
            let (finished, ongoing) = kubectl::run(self, &argv, command.stdin, &command.cwd, files);
            (finished, ongoing.map(|o| Ongoing::Kubectl(Box::new(o))))
        } else {
            (self.command(&argv, command.stdin, &command.cwd), None)
        };
        let ongoing = ongoing.or(self.begun.take());
        let state = match ongoing {
            None => JobState::Exited(finished.status),
            Some(ongoing) => {
                self.next_job += 1;
                self.terminal.jobs.insert(self.next_job, ongoing);
                JobState::Running {
                    job: self.next_job,
                    until: Some(Host::now(self)),
                }
            }
        };
        Reply {
            output: finished.output,
            state,
        }
    }

    fn poll(&mut self, job: Job) -> Reply {
        let Some(mut ongoing) = self.terminal.jobs.remove(&job) else {
            return Reply::exited(1, "", "");
        };
        let (finished, until) = match &mut ongoing {
            Ongoing::Visit(visit) => {
                let reply = visit.go_on(self, job);
                if let JobState::Running { .. } = reply.state {
                    self.terminal.jobs.insert(job, ongoing);
                }
                return reply;
            }
            Ongoing::Kubectl(ongoing) => kubectl::go_on(self, ongoing),
            Ongoing::Time(run) => {
                let cluster = &self.simulation.cluster;
                let until = run.goes_on(cluster).then(|| run.over(cluster));
                (Finished::done(String::new()), until)
            }
        };
        let state = match until {
            None => JobState::Exited(finished.status),
            Some(until) => {
                self.terminal.jobs.insert(job, ongoing);
                JobState::Running {
                    job,
                    until: Some(posix_time(until)),
                }
            }
        };
        Reply {
            output: finished.output,
            state,
        }
    }

    fn kill(&mut self, job: Job, _: i32) {
        if let Some(Ongoing::Visit(visit)) = self.terminal.jobs.remove(&job) {
            self.change(|cluster| cluster.remote_close(visit.remote));
        }
    }

    fn files(&self) -> &dyn Files {
        &self.files
    }

    fn files_mut(&mut self) -> &mut dyn Files {
        self.files.time = Host::now(self);
        &mut self.files
    }

    fn hostname(&self) -> String {
        "workstation".to_owned()
    }
}

/// The session's own files.
impl Session {
    /// A path as seen from a working directory: absolute, without `.`, `..` and doubled `/`.
    pub(crate) fn absolute(&self, cwd: &str, path: &str) -> String {
        let mut parts: Vec<&str> = if path.starts_with('/') {
            Vec::new()
        } else {
            cwd.split('/').filter(|p| !p.is_empty()).collect()
        };
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    /// The working directory of its shell.
    pub(crate) fn directory(&self) -> String {
        let shell = self.terminal.machine.as_ref();
        let shell = shell.or(self.terminal.foreground.as_ref().map(|f| &f.machine));
        shell.map_or(HOME, |machine| machine.cwd()).to_owned()
    }

    /// The names in a directory.
    pub(crate) fn names_in(&self, path: &str) -> Vec<String> {
        self.files.list(path).unwrap_or_default()
    }

    pub(crate) fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        self.files.read(path).ok().map(|bytes| bytes.to_vec())
    }

    pub(crate) fn is_directory(&self, path: &str) -> bool {
        self.files
            .metadata(path, true)
            .is_ok_and(|m| m.kind == FileKind::Directory)
    }

    /// The files of a directory in order; with `deep`, those of its directories too.
    pub(crate) fn files_below(&self, path: &str, deep: bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![path.trim_end_matches('/').to_owned()];
        while let Some(directory) = waiting.pop() {
            let mut below = Vec::new();
            for name in self.files.list(&directory).unwrap_or_default() {
                let path = format!("{directory}/{name}");
                if !self.is_directory(&path) {
                    found.push(path);
                } else if deep {
                    below.push(path);
                }
            }
            waiting.extend(below);
        }
        found.sort();
        found
    }

    /// The manifests that lie in the home directory: names and texts, in order.
    pub fn manifests(&self) -> Vec<(String, String)> {
        let is_manifest = |name: &String| {
            let end = name.rsplit_once('.').map(|(_, end)| end);
            matches!(end, Some("yaml" | "yml" | "json"))
        };
        let names = self.names_in(HOME).into_iter().filter(is_manifest);
        let text = |name: String| {
            let bytes = self.read_file(&self.absolute(HOME, &name))?;
            Some((name, String::from_utf8(bytes).ok()?))
        };
        names.filter_map(text).collect()
    }

    /// Writes a file of the session's own, as `>` does.
    ///
    /// # Errors
    /// What went wrong, as errno names it.
    pub fn write_file(
        &mut self,
        path: &str,
        bytes: &[u8],
    ) -> Result<(), kubarium_posix::FileError> {
        let path = self.absolute(HOME, path);
        self.note(Given::File {
            path: path.clone(),
            bytes: bytes.into(),
        });
        Host::files_mut(self);
        self.files.put(&path, bytes)
    }

    /// Writes a file as a command does: the command line stands in the history already.
    pub(crate) fn put_file(
        &mut self,
        path: &str,
        bytes: &[u8],
    ) -> Result<(), kubarium_posix::FileError> {
        Host::files_mut(self).write(path, bytes, false)
    }
}

/// A command's name without the directories in front of it.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
