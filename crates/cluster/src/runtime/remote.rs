//! What a person has begun on a machine or in a container, and what it prints comes while simulated time goes on: shells
//! that read what is typed, line by line (`ssh NODE`, `kubectl exec -it POD -- sh`), and single commands
//! (`ssh NODE tcpdump`).

use std::collections::VecDeque;

use kubarium_objects::{ObjectKey, Value};
use kubarium_posix::{Complete, Dialect, Machine, Options, Progress, Reader, Stream};

use super::environment::Variables;
use super::exec::{ExecError, Output, Target, node_env, node_place};
use super::process::{self, Jobs, SIGKILL, SLICE, Shell, base_name, is_shell, simulated};
use crate::cluster::Cluster;
use crate::images::Tools;
use crate::programs::Place;
use crate::time::Time;

/// What a shell or its programs have written.
type Written = Vec<(Stream, Vec<u8>)>;

/// How a shell is getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// It waits at its prompt for the next line; the status of the last.
    Reads(i32),
    /// A command runs in it: asking again before that time is no use, where there is one.
    Runs(Option<Time>),
    /// It has ended, with this status.
    Ended(i32),
}

/// A shell that reads what is typed, or a single command.
#[derive(Clone, Debug)]
pub struct Remote {
    place: Place,
    pod: Value,
    shell: Shell,
    /// What stands before its own messages.
    name: String,
    dialect: Dialect,
    state: RemoteState,
    /// It is a single command, and reads nothing more.
    once: bool,
    /// Commands that were typed and have not begun.
    typed: VecDeque<Complete>,
    /// What had happened in the cluster when a command last looked: tasks, events.
    seen: (u64, usize),
}

impl Remote {
    /// Whether these words start a shell that reads what is typed, not a script.
    pub fn is_meant(argv: &[String]) -> bool {
        let mut words = argv.iter().map(String::as_str);
        words.next().is_some_and(|name| is_shell(base_name(name)))
            && words.all(|word| matches!(word, "-i" | "-l" | "-il" | "-li" | "--login"))
    }

    fn new(place: Place, pod: Value, name: &str, env: Variables, cwd: String, seed: u64) -> Remote {
        let dialect = match base_name(name) {
            "bash" => Dialect::Bash,
            _ if place.tools.has(Tools::BUSYBOX) => Dialect::Ash,
            _ => Dialect::Dash,
        };
        let options = Options {
            dialect,
            name: name.to_owned(),
            env,
            cwd,
            interactive: true,
            seed,
            ..Options::default()
        };
        Remote {
            place,
            pod,
            shell: Shell {
                machine: Machine::new(options),
                jobs: Jobs::default(),
                reads_proc: false,
            },
            name: name.to_owned(),
            dialect,
            state: RemoteState::Reads(0),
            once: false,
            typed: VecDeque::new(),
            seen: (0, 0),
        }
    }

    fn once(place: Place, pod: Value, shell: Shell) -> Remote {
        Remote {
            place,
            pod,
            shell,
            name: String::new(),
            dialect: Dialect::Dash,
            state: RemoteState::Runs(None),
            once: true,
            typed: VecDeque::new(),
            seen: (0, 0),
        }
    }

    /// Is it a single command?
    pub fn is_once(&self) -> bool {
        self.once
    }

    /// How it is getting on.
    pub fn state(&self) -> RemoteState {
        self.state
    }

    /// What stands before the line that is typed: the usual PS1 of bash, of busybox ash and of dash, for root.
    pub fn prompt(&self) -> String {
        let machine = &self.shell.machine;
        let home = machine.variable("HOME").filter(|home| *home != "/");
        let directory = match home.and_then(|home| machine.cwd().strip_prefix(home)) {
            Some(below) if below.is_empty() || below.starts_with('/') => format!("~{below}"),
            _ => machine.cwd().to_owned(),
        };
        match self.dialect {
            Dialect::Bash => format!("root@{}:{directory}# ", self.place.hostname),
            Dialect::Ash => format!("{directory} # "),
            Dialect::Dash => "# ".to_owned(),
        }
    }

    /// Takes what was typed; what the shell says where it cannot read it.
    pub fn type_in(&mut self, text: &str) -> Option<String> {
        let RemoteState::Reads(status) = self.state else {
            return None;
        };
        self.shell.reads_proc |= text.contains("/proc/");
        for command in Reader::new(text, self.dialect) {
            match command {
                Ok(command) => self.typed.push_back(command),
                Err(error) => {
                    self.typed.clear();
                    self.state = RemoteState::Reads(2);
                    return Some(format!("{}: {error}\n", self.name));
                }
            }
        }
        self.state = match self.typed.pop_front() {
            Some(command) => {
                self.shell.machine.feed(&command);
                RemoteState::Runs(None)
            }
            None => RemoteState::Reads(status),
        };
        self.seen = (0, 0);
        None
    }

    /// Whether [`Cluster::remote_step`] would do anything now.
    pub fn is_due(&self, cluster: &Cluster) -> bool {
        match self.state {
            RemoteState::Ended(_) => false,
            _ if !cluster.is_alive(&self.place) => true,
            RemoteState::Runs(Some(at)) => at <= cluster.now,
            // Something has happened outside, or a program works in the background.
            RemoteState::Runs(None) => self.seen != seen(cluster),
            RemoteState::Reads(_) => {
                !self.shell.jobs.running.is_empty() && self.seen != seen(cluster)
            }
        }
    }
}

/// What has happened in the cluster.
fn seen(cluster: &Cluster) -> (u64, usize) {
    (cluster.steps(), cluster.log.len())
}

impl Cluster {
    /// Opens a shell in a container of a pod, as `kubectl exec -it` does.
    ///
    /// # Errors
    /// Why it could not be begun.
    pub fn open_shell(
        &mut self,
        pod: &ObjectKey,
        container: Option<&str>,
        argv: &[String],
    ) -> Result<Remote, ExecError> {
        let Target {
            place,
            pod,
            env,
            cwd,
            ..
        } = self.exec_target(pod, container, argv)?;
        let seed = self.rng.next_u64();
        let name = argv.first().map_or("sh", String::as_str);
        Ok(Remote::new(place, pod, name, env, cwd, seed))
    }

    /// Begins a command in a container of a pod, as `kubectl exec` does where somebody looks on.
    ///
    /// # Errors
    /// Why it could not be begun.
    pub fn begin_exec(
        &mut self,
        pod: &ObjectKey,
        container: Option<&str>,
        argv: &[String],
        stdin: &[u8],
    ) -> Result<Remote, ExecError> {
        let (target, shell) = self.exec_shell(pod, container, argv, stdin)?;
        Ok(Remote::once(target.place, target.pod, shell))
    }

    /// Begins a command on a machine, as `ssh` does where somebody looks on; or what it says where there is no such
    /// command.
    ///
    /// # Errors
    /// A sentence: there is no such machine.
    pub fn begin_on_node(
        &mut self,
        node: &str,
        argv: &[String],
        stdin: &[u8],
    ) -> Result<Result<Remote, Output>, String> {
        let begun = self.node_shell(node, argv, stdin)?;
        Ok(begun.map(|(place, shell)| Remote::once(place, Value::Null, shell)))
    }

    /// Opens a shell on a machine, as `ssh` does; none where there is no such machine.
    pub fn open_shell_on(&mut self, node: &str) -> Option<Remote> {
        let place = node_place(node, self.node_netns(node)?);
        let seed = self.rng.next_u64();
        let (env, cwd) = (node_env(node), "/root".to_owned());
        Some(Remote::new(place, Value::Null, "bash", env, cwd, seed))
    }

    /// Lets a shell go on for as far as that takes no simulated time; what it has written.
    pub fn remote_step(&mut self, remote: &mut Remote) -> Written {
        let Remote {
            place,
            pod,
            shell,
            state,
            typed,
            once,
            ..
        } = remote;
        if !self.is_alive(place) {
            self.close(place, shell);
            *state = RemoteState::Ended(128 + SIGKILL);
            return Vec::new();
        }
        let mut all = Vec::new();
        loop {
            let now = self.now;
            let (progress, written) = process::turn(self, place, pod, shell, now);
            all.extend(written);
            *state = match progress {
                Progress::Finished(status) if !*once && !shell.machine.has_exited() => {
                    if let Some(next) = typed.pop_front() {
                        shell.machine.feed(&next);
                        continue;
                    }
                    RemoteState::Reads(status)
                }
                Progress::Finished(status) => RemoteState::Ended(status),
                Progress::OutOfMemory => RemoteState::Ended(128 + SIGKILL),
                Progress::Ran => RemoteState::Runs(Some(now + SLICE)),
                Progress::Blocked(Some(at)) if at < u64::MAX => {
                    RemoteState::Runs(Some(simulated(at)))
                }
                Progress::Blocked(_) => RemoteState::Runs(None),
            };
            break;
        }
        if let RemoteState::Ended(_) = *state {
            self.close(place, shell);
        }
        remote.seen = seen(self);
        all
    }

    /// Ctrl C: what runs ends, and a shell goes on; what was written at the end.
    pub fn remote_interrupt(&mut self, remote: &mut Remote) -> Written {
        let Remote {
            place, pod, shell, ..
        } = remote;
        let written = process::interrupt(self, place, pod, shell);
        remote.typed.clear();
        remote.state = if remote.once {
            self.close(&remote.place, &remote.shell);
            RemoteState::Ended(130)
        } else {
            RemoteState::Reads(130)
        };
        written
    }

    /// Ends a shell whose terminal is gone.
    pub fn remote_close(&mut self, mut remote: Remote) {
        if !matches!(remote.state, RemoteState::Ended(_)) {
            self.remote_interrupt(&mut remote);
            self.close(&remote.place, &remote.shell);
        }
    }
}
