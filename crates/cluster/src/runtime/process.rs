//! What runs in a container: a server that waits for connections, or a command line that the shell
//! machine carries out step by step; and the commands that are run in it from outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::quantity::Quantity;
use kubarium_objects::{Text, Value};
use kubarium_posix::{
    Command, Files, Found, Host, Job, JobState, Machine, Options, Progress, Reply, Stream, User,
};

use super::environment::{self, Variables};
use super::files::{self, View};
use super::{State, exited, volumes};
use crate::cluster::Cluster;
use crate::images::Tools;
use crate::kubelet::containers;
use crate::machine::Token;
use crate::programs::{self, Io, Place, Program, Serve, Step};
use crate::task::Task;
use crate::time::{EPOCH_SECONDS, Time};

/// Steps of the shell's machine at one moment of simulated time, and how much time they take: a
/// loop without waiting goes on in the next slice.
const STEPS: u64 = 20_000;
pub(super) const SLICE: Duration = Duration::from_millis(100);

pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;

/// A container's process 1 with its children.
#[derive(Clone, Debug)]
pub enum Process {
    /// A server that does nothing by itself. Like ones are kept once.
    Serve(Arc<Serve>),
    /// A command line.
    Shell(Arc<Shell>),
}

/// A command line that runs.
#[derive(Clone, Debug)]
pub struct Shell {
    pub(super) machine: Machine,
    pub(crate) jobs: Jobs,
    /// Its words speak of /proc.
    pub(super) reads_proc: bool,
}

/// Programs that a shell has started and that are not the shell's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs {
    next: u64,
    pub running: BTreeMap<u64, Program>,
}

/// Nanoseconds since 1970, as the shell counts time.
pub(crate) fn unix(at: Time) -> u64 {
    (EPOCH_SECONDS.unsigned_abs() * 1_000_000_000).saturating_add(at.0)
}

pub(super) fn simulated(at: u64) -> Time {
    Time(at.saturating_sub(EPOCH_SECONDS.unsigned_abs() * 1_000_000_000))
}

/// The shell's host: a container, a node, or the host outside.
struct Session<'a> {
    cluster: &'a mut Cluster,
    place: &'a Place,
    view: View,
    jobs: &'a mut Jobs,
    /// Later than the cluster's own time while a hook is tried out.
    now: Time,
    output: Vec<(Stream, Vec<u8>)>,
}

impl Session<'_> {
    /// Kernel parameters that were written by their files take effect.
    fn set_parameters(&mut self) {
        for (key, value) in std::mem::take(&mut self.view.parameters) {
            let _ = self.cluster.net.set_sysctl(self.place.netns, &key, &value);
        }
    }

    fn step_job(&mut self, job: Job) -> Reply {
        self.set_parameters();
        let Some(mut program) = self.jobs.running.remove(&job) else {
            return Reply::exited(127, "", "");
        };
        let mut output = Vec::new();
        let mut io = Io {
            cluster: self.cluster,
            place: self.place,
            files: &mut self.view,
            now: self.now,
            output: &mut output,
        };
        let state = match program.step(&mut io) {
            Step::Exit(status) => JobState::Exited(status),
            Step::Wait(until) => {
                self.jobs.running.insert(job, program);
                JobState::Running {
                    job,
                    until: until.map(unix),
                }
            }
        };
        Reply { output, state }
    }
}

impl Host for Session<'_> {
    fn now(&self) -> u64 {
        unix(self.now)
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        self.output.push((stream, bytes.to_vec()));
    }

    fn find(&self, argv: &[String]) -> Found {
        programs::find(self.place, &self.view, argv)
    }

    fn start(&mut self, command: Command) -> Reply {
        let job = self.jobs.next;
        self.jobs.next += 1;
        let program = programs::start(self.cluster, self.place, &self.view, command, self.now);
        self.jobs.running.insert(job, program);
        self.step_job(job)
    }

    fn poll(&mut self, job: Job) -> Reply {
        self.step_job(job)
    }

    fn kill(&mut self, job: Job, _: i32) {
        match self.jobs.running.remove(&job) {
            Some(Program::Serve(serve)) => serve.close(self.cluster, self.place),
            Some(Program::Tcpdump(capture)) => {
                capture.stop(self.cluster, &mut self.view, &mut self.output);
            }
            Some(Program::Monitor(monitor)) => {
                programs::monitor::stop(*monitor, self.cluster, &mut self.output);
            }
            _ => {}
        }
    }

    fn files(&self) -> &dyn Files {
        &self.view
    }

    fn files_mut(&mut self) -> &mut dyn Files {
        &mut self.view
    }

    fn hostname(&self) -> String {
        self.place.hostname.clone()
    }

    fn user(&self) -> User {
        self.view.user.clone()
    }
}

/// Begins a command line: the shell's own words in, the words as a script out.
pub(super) fn shell(
    argv: &[String],
    env: Variables,
    cwd: &str,
    stdin: Vec<u8>,
    memory: Option<u64>,
    seed: u64,
) -> Shell {
    let mut options = Options {
        env,
        cwd: cwd.to_owned(),
        stdin,
        seed,
        ..Options::default()
    };
    if let Some(bytes) = memory {
        options.limits.memory_bytes_max = bytes;
    }
    let machine = match script_of(argv) {
        Some((script, name, arguments)) => {
            options.name = name;
            options.arguments = arguments;
            Machine::run(&script, options)
        }
        None => {
            let words: Vec<String> = argv
                .iter()
                .map(|w| format!("'{}'", w.replace('\'', "'\\''")))
                .collect();
            Machine::run(&format!("unset PWD; exec {}", words.join(" ")), options)
        }
    };
    Shell {
        machine,
        jobs: Jobs::default(),
        reads_proc: argv.iter().any(|word| word.contains("/proc/")),
    }
}

/// `sh -c SCRIPT NAME ARGUMENT…`: the script, `$0` and the parameters.
fn script_of(argv: &[String]) -> Option<(String, String, Vec<String>)> {
    let name = base_name(argv.first()?);
    if !is_shell(name) {
        return None;
    }
    let mut letters = String::new();
    let mut rest = argv.get(1..)?.iter();
    let mut script = None;
    for word in rest.by_ref() {
        match word
            .strip_prefix('-')
            .filter(|l| !l.is_empty() && !l.starts_with('-'))
        {
            Some(flags) if flags.contains('c') => {
                letters.push_str(&flags.replace(['c', 'l', 'i'], ""));
                script = rest.next();
                break;
            }
            Some(flags) => letters.push_str(flags),
            None => return None,
        }
    }
    let script = script?;
    let prefix = if letters.is_empty() {
        String::new()
    } else {
        format!("set -{letters}\n")
    };
    let zero = rest.next().cloned().unwrap_or_else(|| name.to_owned());
    Some((format!("{prefix}{script}"), zero, rest.cloned().collect()))
}

pub(crate) fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "ash" | "bash" | "dash" | "zsh" | "ksh")
}

pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Where a container's processes are.
pub(crate) fn place(cluster: &Cluster, node: &Text, uid: &Text, at: usize) -> Option<Place> {
    let machine = cluster.machines.get(node)?;
    let sandbox = machine.runtime.sandboxes.get(uid)?;
    let container = sandbox.containers.get(at)?;
    let pulled = machine.runtime.images.get(&container.image);
    let pod = cluster.etcd.get(&sandbox.pod);
    let hostname = pod.map_or_else(|| sandbox.pod.name.to_string(), environment::hostname);
    Some(Place {
        node: node.clone(),
        pod: Some((uid.clone(), at)),
        netns: sandbox.netns,
        hostname,
        // What nothing is known of has the usual tools.
        tools: pulled
            .and_then(|p| p.image)
            .map_or(Tools::BUSYBOX.and(Tools::CURL), |i| i.tools),
        image: pulled.and_then(|p| p.image),
        token: Token {
            machine: machine.number,
            container: container.number,
        }
        .number(),
    })
}

/// StartContainer: the process begins.
///
/// # Errors
/// What containerd says when there is no such program.
pub(crate) fn start(
    cluster: &mut Cluster,
    node: &Text,
    pod: &Value,
    uid: &Text,
    at: usize,
) -> Result<(), String> {
    let missing = || "no such container".to_owned();
    let place = place(cluster, node, uid, at).ok_or_else(missing)?;
    let env = environment::of(cluster, node, uid, pod, at)?;
    let spec = containers(pod).nth(at).cloned().unwrap_or_default();
    let kept = environment::may_change(&spec).then(|| Arc::new(env.clone()));
    let argv = environment::argv(pod, at, place.image, &env);
    let name = argv.first().cloned().unwrap_or_default();
    let refused = |why: &str| {
        format!(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: {why}"
        )
    };
    let process = match programs::server(&place, pod, at, &argv, &|name| env.get(name).cloned()) {
        Some(mut serve) => {
            serve.read_corefile(cluster, pod);
            Process::Serve(cluster.alike.server(serve))
        }
        None => {
            let view = cluster
                .sandbox(node, uid)
                .map(|s| files::view(cluster, node, s, pod, at))
                .ok_or_else(missing)?;
            if name.is_empty() {
                return Err(
                    "failed to create containerd container: no command specified".to_owned(),
                );
            }
            if !is_shell(base_name(&name)) || !place.tools.has(Tools::SHELL) {
                check_found(&place, &view, &argv).map_err(|why| refused(&why))?;
            }
            let limit = spec["resources"]["limits"]["memory"]
                .as_str()
                .and_then(|q| q.parse::<Quantity>().ok());
            let memory = limit.map(|q| q.value().unsigned_abs());
            let cwd = match spec["workingDir"].str() {
                "" => place.image.map_or("/", |i| i.workdir),
                given => given,
            };
            let seed = cluster.rng.next_u64();
            Process::Shell(Arc::new(shell(
                &argv,
                env.variables(),
                cwd,
                Vec::new(),
                memory,
                seed,
            )))
        }
    };
    let now = cluster.now;
    let Some(container) = cluster
        .sandbox_mut(node, uid)
        .and_then(|s| s.containers.get_mut(at))
    else {
        return Err(missing());
    };
    container.state = State::Running(now);
    container.env = kept;
    let listens = match &process {
        Process::Serve(serve) => Some(serve.delay()),
        Process::Shell(_) => None,
    };
    container.process = Some(process);
    match listens {
        Some(delay) if delay > Duration::ZERO => {
            cluster.enqueue(Task::Process(node.clone(), uid.clone(), at as u8), delay);
        }
        _ => run(cluster, node, uid, at),
    }
    Ok(())
}

/// Whether there is such a program; otherwise what runc says.
pub(super) fn check_found(place: &Place, view: &View, argv: &[String]) -> Result<(), String> {
    let name = argv.first().map_or("", String::as_str);
    match programs::find(place, view, argv) {
        Found::Missing if name.contains('/') => Err(format!(
            "exec: {name:?}: stat {name}: no such file or directory"
        )),
        Found::Missing => Err(format!(
            "exec: {name:?}: executable file not found in $PATH"
        )),
        Found::NotExecutable => Err(format!("exec: {name:?}: permission denied")),
        _ => Ok(()),
    }
}

/// Lets a container's process go on.
pub(crate) fn run(cluster: &mut Cluster, node: &Text, uid: &Text, at: usize) {
    let Some(place) = place(cluster, node, uid, at) else {
        return;
    };
    let Some(container) = cluster
        .sandbox_mut(node, uid)
        .and_then(|s| s.containers.get_mut(at))
    else {
        return;
    };
    if !container.is_running() {
        return;
    }
    match container.process.take() {
        Some(Process::Serve(serve)) => {
            let (errors, failed) = serve.listen(cluster, &place);
            let now = cluster.now;
            if let Some(container) = cluster
                .sandbox_mut(node, uid)
                .and_then(|s| s.containers.get_mut(at))
            {
                container.logs.write(now, true, errors.as_bytes());
                container.process = Some(Process::Serve(serve));
            }
            if let Some(code) = failed {
                exited(cluster, node, uid, at, code, None);
            }
        }
        Some(Process::Shell(shell)) => {
            let mut shell = Arc::unwrap_or_clone(shell);
            let pod = cluster.sandbox(node, uid).map(|s| s.pod.clone());
            let pod = pod
                .and_then(|key| cluster.etcd.get(&key).cloned())
                .unwrap_or_default();
            let (progress, output) = turn(cluster, &place, &pod, &mut shell, cluster.now);
            let now = cluster.now;
            if let Some(container) = cluster
                .sandbox_mut(node, uid)
                .and_then(|s| s.containers.get_mut(at))
            {
                for (stream, bytes) in &output {
                    container.logs.write(now, *stream == Stream::Err, bytes);
                }
                container.process = Some(Process::Shell(Arc::new(shell)));
            }
            let wake = Task::Process(node.clone(), uid.clone(), at as u8);
            match progress {
                Progress::Finished(status) => exited(cluster, node, uid, at, status, None),
                Progress::OutOfMemory => {
                    exited(cluster, node, uid, at, 128 + SIGKILL, Some("OOMKilled"))
                }
                Progress::Ran => cluster.queue.add(now + SLICE, wake, None),
                Progress::Blocked(Some(until)) if until < u64::MAX => {
                    cluster.queue.add(simulated(until).max(now), wake, None)
                }
                Progress::Blocked(_) => {}
            }
        }
        None => {}
    }
}

/// One turn of a shell's machine.
pub(super) fn turn(
    cluster: &mut Cluster,
    place: &Place,
    pod: &Value,
    shell: &mut Shell,
    now: Time,
) -> (Progress, Vec<(Stream, Vec<u8>)>) {
    hosted(cluster, place, pod, shell, now, |machine, host| {
        machine.step(host, STEPS)
    })
}

/// Ends what a shell runs, as Ctrl C does; what was written at the end.
pub(super) fn interrupt(
    cluster: &mut Cluster,
    place: &Place,
    pod: &Value,
    shell: &mut Shell,
) -> Vec<(Stream, Vec<u8>)> {
    let now = cluster.now;
    let ended = |machine: &mut Machine, host: &mut dyn Host| {
        machine.interrupt(host);
        Progress::Finished(machine.status())
    };
    hosted(cluster, place, pod, shell, now, ended).1
}

/// Does something with a shell where its files and programs are.
fn hosted(
    cluster: &mut Cluster,
    place: &Place,
    pod: &Value,
    shell: &mut Shell,
    now: Time,
    what: fn(&mut Machine, &mut dyn Host) -> Progress,
) -> (Progress, Vec<(Stream, Vec<u8>)>) {
    let mut view = match &place.pod {
        Some((uid, at)) => match cluster.sandbox(&place.node, uid).cloned() {
            Some(sandbox) => files::view(cluster, &place.node, &sandbox, pod, *at),
            None => View::default(),
        },
        None => files::node_view(cluster, &place.node),
    };
    if shell.reads_proc {
        view.mount_proc(cluster, place.netns);
    }
    let before = view.root.clone();
    let mut session = Session {
        cluster,
        place,
        view,
        jobs: &mut shell.jobs,
        now,
        output: Vec::new(),
    };
    let progress = what(&mut shell.machine, &mut session);
    session.set_parameters();
    let Session {
        mut view, output, ..
    } = session;
    if place.pod.is_some() {
        volumes::keep_disks(cluster, &place.node, pod, &mut view.volumes);
    } else if before != view.root {
        volumes::keep_machine(cluster, &place.node, view.root.clone());
    }
    if let Some((uid, at)) = &place.pod
        && let Some(sandbox) = cluster.sandbox_mut(&place.node, uid)
    {
        // Only volumes that containers fill are kept; the others are made anew.
        let mut volumes = view.volumes;
        volumes.retain(|name, files| {
            sandbox.volumes.contains_key(name)
                || files.paths().nth(1).is_some() && is_filled(pod, name)
        });
        let grown = sandbox.volumes != volumes;
        sandbox.volumes = volumes;
        if before != view.root
            && let Some(container) = sandbox.containers.get_mut(*at)
        {
            container.files = Some(Arc::new(view.root));
        }
        let limited = grown || !output.is_empty();
        if limited && volumes::overfull(sandbox, pod).is_some() {
            crate::kubelet::overfull(cluster, &place.node);
        }
    }
    (progress, output)
}

/// Whether a volume's content comes from the containers.
fn is_filled(pod: &Value, name: &str) -> bool {
    let volume = pod["spec"]["volumes"]
        .items()
        .iter()
        .find(|v| v["name"].str() == name);
    volume.is_some_and(|v| {
        ["configMap", "secret", "downwardAPI", "projected"]
            .iter()
            .all(|f| v[*f].is_null())
    })
}

/// Sends a signal to a container's process 1.
pub(crate) fn signal(cluster: &mut Cluster, node: &Text, uid: &Text, at: usize, signal: i32) {
    if signal == SIGKILL {
        return kill(cluster, node, uid, at);
    }
    // The servers handle what asks them to end, and pass over the rest.
    let ends = matches!(signal, 2 | 3 | SIGTERM);
    let Some(container) = cluster
        .sandbox_mut(node, uid)
        .and_then(|s| s.containers.get_mut(at))
    else {
        return;
    };
    match &mut container.process {
        Some(Process::Serve(serve)) if ends && serve.ends_at_sigterm => {
            let code = serve.exit_code;
            exited(cluster, node, uid, at, code, None);
        }
        Some(Process::Shell(shell)) => {
            let shell = Arc::make_mut(shell);
            // A server that took the shell's place (`exec nginx`) is process 1 itself.
            let server = shell.jobs.running.values().find_map(|p| match p {
                Program::Serve(serve) if serve.replaced_shell => {
                    Some((serve.ends_at_sigterm, serve.exit_code))
                }
                _ => None,
            });
            if let Some((handles, code)) = server {
                if ends && handles {
                    exited(cluster, node, uid, at, code, None);
                }
                return;
            }
            if shell.machine.signal(signal) == kubarium_posix::Disposition::Trapped {
                run(cluster, node, uid, at);
            }
        }
        Some(Process::Serve(_)) | None => {}
    }
}

/// SIGKILL.
pub(crate) fn kill(cluster: &mut Cluster, node: &Text, uid: &Text, at: usize) {
    exited(cluster, node, uid, at, 128 + SIGKILL, None);
}
