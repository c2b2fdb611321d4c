//! The terminals of a workstation: each has a shell, and one command line in its foreground that goes on piece by piece while
//! simulated time does.

use std::collections::BTreeMap;

use kubarium_cluster::event::EventId;
use kubarium_cluster::runtime::RemoteState;
use kubarium_cluster::{Run, Time};
use kubarium_posix::{Complete, Job, Machine};

use super::{Going, Session, Stream, shell, texts};
use crate::kubectl;
use crate::state::Given;
use crate::visit::Visit;

/// A command that goes on.
#[derive(Clone)]
pub(super) enum Ongoing {
    Kubectl(Box<kubectl::Ongoing>),
    /// Time is to run, and nothing else: `sim settle`, `sim advance`.
    Time(Run),
    /// A shell elsewhere.
    Visit(Box<Visit>),
}

/// One of the terminals on the workstation.
#[derive(Clone)]
pub(super) struct Terminal {
    /// The shell; away while it runs.
    pub machine: Option<Machine>,
    /// The command line that [`Session::begin`] has begun.
    pub foreground: Option<Foreground>,
    /// Commands that go on: watches, followed logs, whatever waits.
    pub jobs: BTreeMap<Job, Ongoing>,
}

impl Terminal {
    pub fn new() -> Terminal {
        Terminal {
            machine: Some(Machine::new(shell())),
            foreground: None,
            jobs: BTreeMap::new(),
        }
    }

    fn visit(&self) -> Option<(Job, &Visit)> {
        self.foreground.as_ref()?;
        self.jobs.iter().find_map(|(job, ongoing)| match ongoing {
            Ongoing::Visit(visit) => Some((*job, &**visit)),
            _ => None,
        })
    }
}

/// A command line in the foreground of a terminal, between two of its pieces.
#[derive(Clone)]
pub(super) struct Foreground {
    pub machine: Machine,
    pub written: Vec<(Stream, Vec<u8>)>,
    pub line: String,
    pub cause: Option<EventId>,
    pub checkpoint: bool,
}

impl Session {
    // --- Terminals ----------------------------------------------------------------------------------

    /// Does something in another terminal, which is opened with its first use: each has a shell of its own and what runs in
    /// its foreground. They share the cluster and the workstation's files. The one that a session begins with has no name.
    pub fn at<T>(&mut self, name: &str, what: impl FnOnce(&mut Session) -> T) -> T {
        let before = self.name.clone();
        self.turn_to(name);
        let done = what(self);
        // A session that has taken this one's place is at its own beginning.
        if self.name == name {
            self.turn_to(&before);
        }
        done
    }

    fn turn_to(&mut self, name: &str) {
        if self.name == name {
            return;
        }
        let wanted = self.others.remove(name).unwrap_or_else(Terminal::new);
        let left = std::mem::replace(&mut self.terminal, wanted);
        let left_name = std::mem::replace(&mut self.name, name.to_owned());
        self.others.insert(left_name, left);
    }

    /// Closes a terminal other than the first: what runs in it ends.
    pub fn close(&mut self, name: &str) {
        if name.is_empty() || !self.others.contains_key(name) {
            return;
        }
        self.at(name, |session| {
            session.note(Given::Close);
            session.leave();
        });
        self.others.remove(name);
    }

    /// What stands before the line that is typed at a shell elsewhere; none at the workstation's.
    pub fn prompt(&self) -> Option<String> {
        let (_, visit) = self.terminal.visit()?;
        matches!(visit.remote.state(), RemoteState::Reads(_)).then(|| visit.remote.prompt())
    }

    /// Types at the prompt of a shell elsewhere.
    pub fn type_in(&mut self, text: &str) -> Going {
        let job = self.terminal.visit().map(|(job, _)| job);
        let visit = job.and_then(|job| self.terminal.jobs.get_mut(&job));
        let (Some(Ongoing::Visit(visit)), Some(foreground)) =
            (visit, &mut self.terminal.foreground)
        else {
            return Going::Finished(1);
        };
        if let Some(wrong) = visit.remote.type_in(text) {
            foreground.written.push((Stream::Err, wrong.into_bytes()));
        }
        text.clone_into(&mut foreground.line);
        (foreground.cause, foreground.checkpoint) = (None, false);
        self.note(Given::Type(text.to_owned()));
        self.let_go_on(self.simulation.cluster.now)
    }

    /// The command that is being carried out goes on as a shell elsewhere.
    pub(crate) fn visit(&mut self, visit: Visit) {
        self.begun = Some(Ongoing::Visit(Box::new(visit)));
    }

    // --- A command in the foreground of a terminal ------------------------------------------------

    /// Begins a command line that somebody looks at: it is carried out as far as that takes no
    /// simulated time. What it writes is then fetched with [`Session::take_written`], and
    /// [`Session::go_on`] is called whenever simulated time has gone on. One that is begun while
    /// another runs interrupts that one.
    pub fn begin(&mut self, command: &Complete) -> Going {
        self.leave();
        let Some(mut machine) = self.terminal.machine.take() else {
            return Going::Finished(1);
        };
        self.note(Given::Begin(command.text.clone()));
        self.alone = command.is_only("sim");
        machine.feed(command);
        self.terminal.foreground = Some(Foreground {
            machine,
            written: Vec::new(),
            line: command.text.clone(),
            cause: None,
            checkpoint: false,
        });
        self.let_go_on(self.simulation.cluster.now)
    }

    /// Lets the command line in the foreground go on, and simulated time with it, to `until` at the
    /// most. A terminal whose clock somebody else drives passes the present.
    pub fn go_on(&mut self, until: Time) -> Going {
        let place = (self.simulation.cluster.now, self.simulation.cluster.steps());
        let was_running = self.is_running();
        let events = self.simulation.cluster.log.len();
        self.visited = false;
        let going = self.let_go_on(until);
        // A look that only looked need not be repeated.
        let cluster = &self.simulation.cluster;
        let did =
            (cluster.now, cluster.steps()) != place || cluster.log.len() != events || self.visited;
        if was_running && (did || matches!(going, Going::Finished(_))) {
            let terminal = self.name.clone();
            self.journal
                .add(place.0, place.1, Given::GoOn(until), terminal);
        }
        going
    }

    fn let_go_on(&mut self, until: Time) -> Going {
        let Some(mut foreground) = self.terminal.foreground.take() else {
            return Going::Finished(0);
        };
        self.written = std::mem::take(&mut foreground.written);
        self.line.clone_from(&foreground.line);
        (self.cause, self.checkpoint) = (foreground.cause, foreground.checkpoint);
        self.attended = true;
        let going = self.drive(&mut foreground.machine, Some(until));
        self.attended = false;
        (foreground.cause, foreground.checkpoint) = (self.cause, self.checkpoint);
        self.end();
        let written = std::mem::take(&mut self.written);
        if let Going::Finished(_) = going {
            self.terminal.machine = Some(foreground.machine);
            if let Some(other) = self.replaced_by.take() {
                *self = *other;
            }
            self.written = written;
            return going;
        }
        foreground.written = written;
        self.terminal.foreground = Some(foreground);
        match self.terminal.visit().map(|(_, visit)| visit.remote.state()) {
            Some(RemoteState::Reads(status)) => Going::Reading(status),
            _ => Going::Running,
        }
    }

    /// Whether a command line is in the foreground.
    pub fn is_running(&self) -> bool {
        self.terminal.foreground.is_some()
    }

    /// What the command line in the foreground, or the last one there, has written since this was
    /// last asked.
    pub fn take_written(&mut self) -> Vec<(Stream, String)> {
        texts(match &mut self.terminal.foreground {
            Some(foreground) => std::mem::take(&mut foreground.written),
            None => std::mem::take(&mut self.written),
        })
    }

    /// Ctrl C: ends the command line in the foreground, with status 130; of a shell elsewhere what runs in it. Whether there
    /// was anything to end.
    pub fn interrupt(&mut self) -> bool {
        let visit = self.terminal.visit();
        let state = visit.map(|(job, visit)| (job, visit.remote.state()));
        match state {
            Some((_, RemoteState::Reads(_))) => return false,
            None if self.terminal.foreground.is_none() => return false,
            _ => self.note(Given::Interrupt),
        }
        let Some((job, _)) = state else {
            return self.leave();
        };
        if let Some(Ongoing::Visit(mut visit)) = self.terminal.jobs.remove(&job) {
            "^C".clone_into(&mut self.line);
            let written = self.change(|cluster| cluster.remote_interrupt(&mut visit.remote));
            self.terminal.jobs.insert(job, Ongoing::Visit(visit));
            self.end();
            if let Some(foreground) = &mut self.terminal.foreground {
                foreground.written.extend(written);
            }
        }
        true
    }

    /// Ends the command line in the foreground, a shell elsewhere too; whether there was one.
    pub fn leave(&mut self) -> bool {
        let Some(mut foreground) = self.terminal.foreground.take() else {
            return false;
        };
        self.written = std::mem::take(&mut foreground.written);
        foreground.machine.interrupt(self);
        self.terminal.machine = Some(foreground.machine);
        self.end();
        true
    }

    /// Where the command line in a terminal's foreground waits for nothing but time (`sim settle`): the terminal's name, and
    /// how long that is to run. Whoever drives the clock may hurry there by [`kubarium_cluster::Simulation::run_slice`], and has
    /// it go on when the run is over.
    pub fn hurries(&self) -> Option<(&str, &Run)> {
        let others = self.others.iter();
        let mut all = std::iter::once((&self.name, &self.terminal)).chain(others);
        all.find_map(|(name, terminal)| {
            terminal.foreground.as_ref()?;
            let run = terminal.jobs.values().find_map(|job| match job {
                Ongoing::Time(run) => Some(run),
                _ => None,
            })?;
            Some((name.as_str(), run))
        })
    }
}
