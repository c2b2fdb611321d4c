//! The way back in time.
//!
//! A snapshot is a clone of the cluster. One is kept before and after whatever is given to the
//! cluster from outside and, while time runs, whenever enough has happened since the last; any
//! event between two of them is reached by letting the earlier one run on, since the simulation is
//! deterministic.
//!
//! A change made in the past begins a new branch. The one that it leaves stays reachable:
//! [`Simulation::branches`], [`Simulation::switch`].

use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::Text;

use crate::cluster::Cluster;
use crate::config::Config;
use crate::event::{Action, EventId};
use crate::run::Run;
use crate::time::Time;

/// The most snapshots that are kept of one line, and for about how many bytes.
const SNAPSHOTS_MAX: usize = 256;
const BYTES_MAX: usize = 64 << 20;
/// How many branches are kept beside the present one; beyond that the oldest goes.
const BRANCHES_MAX: usize = 15;
/// Events between two snapshots while time runs; doubles when there are too many.
const INTERVAL: usize = 256;

struct Snapshot {
    cluster: Cluster,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Before a person's command: where `undo` goes to. What follows came from outside.
    Command,
    /// Before something else from outside.
    Outside,
    /// After it: from here on time runs by itself.
    After,
    /// On the way: an earlier one would come past here by itself.
    Along,
}

impl Kind {
    fn is_before(self) -> bool {
        matches!(self, Kind::Command | Kind::Outside)
    }
}

type Past = Vec<Arc<Snapshot>>;

/// A present that was left by going back.
#[derive(Clone)]
struct Left {
    cluster: Cluster,
    past: Past,
}

/// Where a branch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    number: usize,
    /// The branch that it left, and how many events both have in common.
    left: Option<(usize, usize)>,
}

/// A branch that is not the present one.
#[derive(Clone)]
struct Timeline {
    origin: Origin,
    cluster: Cluster,
    past: Past,
    future: Vec<Left>,
}

/// One line of history, for whoever lists or draws them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its number, from 1 in the order of their beginnings.
    pub number: usize,
    /// Whether it is the present one.
    pub current: bool,
    /// The branch that it left, and the last event that both have; `None` for the first.
    pub left: Option<(usize, EventId)>,
    /// How many events it has at its end.
    pub events: usize,
    /// The time at its end.
    pub end: Time,
    /// The command given last on it, if one was.
    pub last_command: Option<Text>,
}

/// What was given from outside at a place of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The time.
    pub at: Time,
    /// How many tasks had been carried out by then.
    pub steps: u64,
    /// The last event that it wrote at once.
    pub event: EventId,
}

/// A cluster with its history.
#[derive(Clone)]
pub struct Simulation {
    /// The present. Whoever changes it from outside the clock says so: by [`Simulation::checkpoint`]
    /// beforehand, or by making the change in [`Simulation::change`].
    pub cluster: Cluster,
    past: Past,
    /// Snapshots that have made room. Giving back what one alone has takes a while in a large cluster: one goes with
    /// each task.
    gone: Past,
    /// What was undone, the latest first.
    future: Vec<Left>,
    /// The present was left to look at the past, where all goes on as it did; not so after an `undo`.
    replaying: bool,
    /// Something came from outside since the last snapshot.
    touched: bool,
    interval: usize,
    origin: Origin,
    /// Branches that were left, in the order of their numbers.
    others: Vec<Timeline>,
}

impl Simulation {
    /// A cluster that has just come up.
    pub fn new(config: Config) -> Simulation {
        let mut simulation = Simulation {
            cluster: Cluster::new(config),
            past: Vec::new(),
            gone: Vec::new(),
            future: Vec::new(),
            replaying: false,
            touched: false,
            interval: INTERVAL,
            origin: Origin {
                number: 1,
                left: None,
            },
            others: Vec::new(),
        };
        simulation.remember(Kind::After);
        simulation
    }

    // --- What comes from outside ----------------------------------------------------------------

    /// To be called before a person's command is carried out: `undo` comes back to here. Where
    /// something had been undone before, the command begins a new branch, and the one with what was
    /// undone is kept.
    pub fn checkpoint(&mut self) {
        self.rest();
        if !self.future.is_empty() {
            self.fork();
        }
        self.remember(Kind::Command);
        self.touched = true;
    }

    /// Changes the cluster from outside the clock.
    pub fn change<T>(&mut self, what: impl FnOnce(&mut Cluster) -> T) -> T {
        if !self.touched {
            self.remember(Kind::Outside);
            self.touched = true;
        }
        what(&mut self.cluster)
    }

    /// To be called after a command: what it did is over.
    pub fn touched(&mut self) {
        self.rest();
    }

    /// From here on time runs by itself.
    fn rest(&mut self) {
        if std::mem::take(&mut self.touched) {
            self.remember(Kind::After);
        }
    }

    fn remember(&mut self, kind: Kind) {
        let mut cluster = self.cluster.clone();
        // Running on from a snapshot stores the versions anew.
        cluster.log.compact();
        self.past.push(Arc::new(Snapshot { cluster, kind }));
        let most = self.snapshots_max();
        if self.past.len() <= most {
            return;
        }
        let along = |s: &&Arc<Snapshot>| s.kind == Kind::Along;
        if self.past.iter().filter(along).count() * 2 >= most {
            let mut at = 0;
            let goes = |s: &mut Arc<Snapshot>| {
                at += 1;
                s.kind == Kind::Along && at % 2 == 1
            };
            self.gone.extend(self.past.extract_if(.., goes));
            self.interval *= 2;
        } else {
            // Many commands: the oldest can no longer be gone back to.
            let second = self.past.iter().skip(1).position(|s| s.kind.is_before());
            let first = self.past.drain(..second.map_or(1, |at| at + 1));
            self.gone.extend(first);
        }
    }

    /// How many snapshots there is room for: what each copies grows with the machines.
    fn snapshots_max(&self) -> usize {
        let bytes = 50_000 + self.cluster.machines.len() * 600;
        (BYTES_MAX / bytes).clamp(16, SNAPSHOTS_MAX)
    }

    // --- Time -----------------------------------------------------------------------------------

    /// Carries out the next task; `false` when none is left.
    pub fn step(&mut self) -> bool {
        self.gone.pop();
        self.rest();
        let last = self.past.last().map_or(0, |s| s.cluster.log.len());
        if self.cluster.log.len() >= last + self.interval {
            self.remember(Kind::Along);
        }
        self.cluster.step()
    }

    /// Goes on with a run, `budget` tasks at the most; whether it is over. Between two slices
    /// whoever drives it can show how far it is ([`Run::progress`]), or give it up: the cluster is
    /// whole after every task.
    pub fn run_slice(&mut self, run: &Run, budget: usize) -> bool {
        for _ in 0..budget {
            if !run.goes_on(&self.cluster) {
                run.end(&mut self.cluster);
                return true;
            }
            self.step();
        }
        false
    }

    /// Lets time run to `until`, `budget` tasks at the most; whether it got there.
    pub fn run_until(&mut self, until: Time, budget: usize) -> bool {
        self.run_slice(&Run::until(until), budget)
    }

    /// Lets time run until `done` says so, `limit` at the longest; whether it did.
    pub fn run_while(&mut self, limit: Duration, mut done: impl FnMut(&Cluster) -> bool) -> bool {
        let run = Run::until(self.cluster.now + limit);
        while !done(&self.cluster) {
            if self.run_slice(&run, 1) {
                return done(&self.cluster);
            }
        }
        true
    }

    /// Lets time run until nothing but heartbeats has changed for `quiet`, `limit` at the longest.
    pub fn settle(&mut self, quiet: Duration, limit: Duration) {
        let run = Run::settle(&self.cluster, quiet, limit);
        while !self.run_slice(&run, usize::MAX) {}
    }

    // --- Back and forth ---------------------------------------------------------------------------

    /// Leaves the present for a state on its past, which goes up to `past`.
    fn leave(&mut self, past: usize, cluster: Cluster) {
        let left = Left {
            past: self.past.clone(),
            cluster: std::mem::replace(&mut self.cluster, cluster),
        };
        self.past.truncate(past);
        self.future.push(left);
    }

    /// Back to before the last command; `false` when there is none.
    pub fn undo(&mut self) -> bool {
        self.rest();
        let command = |s: &Arc<Snapshot>| s.kind == Kind::Command;
        let Some(at) = self.past.iter().rposition(command) else {
            return false;
        };
        let cluster = self.past[at].cluster.clone();
        self.leave(at, cluster);
        self.replaying = false;
        true
    }

    /// Forth again to where the last `undo` or `goto` came from; `false` when there is none.
    pub fn redo(&mut self) -> bool {
        self.rest();
        let Some(next) = self.future.pop() else {
            return false;
        };
        self.cluster = next.cluster;
        self.past = next.past;
        self.replaying &= !self.future.is_empty();
        true
    }

    /// Goes to the moment just after an event, back or, in the past, forth. The present stays
    /// reachable by `redo`. What one task or command writes happens at one moment: any event of it
    /// leads to after it.
    ///
    /// # Errors
    /// A sentence when no such event has happened.
    pub fn goto(&mut self, event: EventId) -> Result<(), String> {
        self.rest();
        let wanted = event.0 as usize + 1;
        let end = self.latest().log.len();
        if !self.future.is_empty()
            && wanted <= end
            && (wanted == end || wanted > self.cluster.log.len())
        {
            while self.redo() {}
            // From the past its end is the present.
            if wanted == end {
                return Ok(());
            }
        }
        if wanted > self.cluster.log.len() {
            return Err(format!(
                "event {event} has not happened yet; the last is {}",
                self.cluster.log.len().saturating_sub(1)
            ));
        }
        let before = |s: &Arc<Snapshot>| s.cluster.log.len() <= wanted;
        let Some(mut at) = self.past.iter().rposition(before) else {
            return Err(format!(
                "event {event} lies before the first snapshot that is kept"
            ));
        };
        let found = &self.past[at];
        if found.kind.is_before() && found.cluster.log.len() < wanted && at + 1 < self.past.len() {
            at += 1;
        }
        let mut cluster = self.past[at].cluster.clone();
        while cluster.log.len() < wanted && cluster.step() {}
        self.leave(at + 1, cluster);
        self.replaying = true;
        Ok(())
    }

    /// The present branch at its end: the cluster itself, unless something was undone or the past is
    /// looked at.
    pub fn latest(&self) -> &Cluster {
        self.future
            .first()
            .map_or(&self.cluster, |left| &left.cluster)
    }

    /// The first event that can be gone to.
    pub fn earliest(&self) -> EventId {
        let past = self.future.first().map_or(&self.past, |left| &left.past);
        let events = past.first().map_or(0, |first| first.cluster.log.len());
        EventId(u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// The commands and what else came from outside, the latest first, as far back as one can go: each one's first event,
    /// and the cluster just before it.
    pub fn outside(&self) -> impl Iterator<Item = (EventId, &Cluster)> {
        let before = self.past.iter().rev().filter(|s| s.kind.is_before());
        before.map(|s| {
            let events = s.cluster.log.len();
            (
                EventId(u32::try_from(events).unwrap_or(u32::MAX)),
                &s.cluster,
            )
        })
    }

    /// Whether the past is looked at: time goes on as it did, until something is changed.
    pub fn is_replaying(&self) -> bool {
        self.replaying
    }

    /// While the past is looked at: what came from outside next, which time alone does not bring.
    pub fn next_outside(&self) -> Option<Outside> {
        if !self.replaying {
            return None;
        }
        let all = &self.future.first()?.past;
        let ahead = |before: &Cluster| {
            before.log.len() >= self.cluster.log.len() && before.steps() >= self.cluster.steps()
        };
        // What was given left a snapshot before it and one after it.
        let given = |pair: &[Arc<Snapshot>]| match pair {
            [before, after] => {
                let (first, last) = (&before.cluster, &after.cluster);
                let is_given = before.kind.is_before() && last.log.len() > first.log.len();
                (is_given && ahead(first)).then(|| Outside {
                    at: first.now,
                    steps: first.steps(),
                    event: EventId(u32::try_from(last.log.len() - 1).unwrap_or(u32::MAX)),
                })
            }
            _ => None,
        };
        all.windows(2).find_map(given)
    }

    // --- Branches ---------------------------------------------------------------------------------

    fn fork(&mut self) {
        self.replaying = false;
        let left = Timeline {
            origin: self.origin,
            cluster: self.cluster.clone(),
            past: self.past.clone(),
            future: std::mem::take(&mut self.future),
        };
        self.origin = Origin {
            number: self
                .others
                .last()
                .map_or(0, |o| o.origin.number)
                .max(left.origin.number)
                + 1,
            left: Some((left.origin.number, self.cluster.log.len())),
        };
        self.keep(left);
    }

    fn keep(&mut self, branch: Timeline) {
        let at = self
            .others
            .partition_point(|o| o.origin.number < branch.origin.number);
        self.others.insert(at, branch);
        if self.others.len() > BRANCHES_MAX {
            self.others.remove(0);
        }
    }

    /// All branches in the order of their numbers, the present one among them.
    pub fn branches(&self) -> Vec<Branch> {
        let of = |origin: Origin, present: &Cluster, future: &[Left], current| {
            let end = future.first().map_or(present, |latest| &latest.cluster);
            let last_command = end.log.iter().rev().find(|e| e.action == Action::Command);
            Branch {
                number: origin.number,
                current,
                left: origin.left.map(|(branch, events)| {
                    let last = u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX);
                    (branch, EventId(last))
                }),
                events: end.log.len(),
                end: end.now,
                last_command: last_command.map(|e| e.text.clone()),
            }
        };
        let mut all: Vec<Branch> = self
            .others
            .iter()
            .map(|o| of(o.origin, &o.cluster, &o.future, false))
            .collect();
        all.push(of(self.origin, &self.cluster, &self.future, true));
        all.sort_by_key(|branch| branch.number);
        all
    }

    /// Each branch's number, and the cluster at its end.
    pub fn ends(&self) -> Vec<(usize, &Cluster)> {
        let mut all = vec![(self.origin.number, self.latest())];
        for other in &self.others {
            let end = other
                .future
                .first()
                .map_or(&other.cluster, |left| &left.cluster);
            all.push((other.origin.number, end));
        }
        all.sort_by_key(|(number, _)| *number);
        all
    }

    /// Goes to the end of another branch. The present one stays reachable by its number.
    ///
    /// # Errors
    /// A sentence when there is no such branch.
    pub fn switch(&mut self, number: usize) -> Result<(), String> {
        self.rest();
        if number != self.origin.number {
            let Some(at) = self.others.iter().position(|o| o.origin.number == number) else {
                return Err(format!(
                    "there is no branch {number}; sim branches lists them"
                ));
            };
            let to = self.others.remove(at);
            let from = Timeline {
                origin: std::mem::replace(&mut self.origin, to.origin),
                cluster: std::mem::replace(&mut self.cluster, to.cluster),
                past: std::mem::replace(&mut self.past, to.past),
                future: std::mem::replace(&mut self.future, to.future),
            };
            self.keep(from);
        }
        self.replaying = false;
        while self.redo() {}
        Ok(())
    }
}
