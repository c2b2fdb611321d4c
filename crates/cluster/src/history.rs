//! The way back in time.
//!
//! A snapshot is a clone of the cluster. One is kept before each command and, while time runs,
//! whenever enough has happened since the last; any event between two of them is reached by
//! letting the earlier one run on, since the simulation is deterministic.
//!
//! A change made in the past begins a new branch. The one that it leaves stays reachable:
//! [`Simulation::branches`], [`Simulation::switch`].

use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::Text;

use crate::cluster::Cluster;
use crate::config::Config;
use crate::event::{Action, EventId};
use crate::time::Time;

/// How many snapshots are kept; beyond that every second one goes.
const SNAPSHOTS_MAX: usize = 256;
/// How many branches are kept beside the present one; beyond that the oldest goes.
const BRANCHES_MAX: usize = 15;

#[derive(Clone)]
struct Snapshot {
    /// Nothing was given to the cluster from outside between this snapshot and the next.
    cluster: Cluster,
    /// Taken before a person's command: where `undo` goes to.
    command: bool,
}

/// A cluster with its history.
#[derive(Clone)]
pub struct Simulation {
    /// The present.
    pub cluster: Cluster,
    past: Vec<Arc<Snapshot>>,
    /// What was undone, latest first.
    future: Vec<Arc<Snapshot>>,
    /// Events between two snapshots; doubles when there are too many.
    interval: usize,
    origin: Origin,
    /// Branches that were left, in the order of their numbers.
    others: Vec<Timeline>,
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
    past: Vec<Arc<Snapshot>>,
    future: Vec<Arc<Snapshot>>,
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

impl Simulation {
    /// A cluster that has just come up.
    pub fn new(config: Config) -> Simulation {
        Simulation {
            cluster: Cluster::new(config),
            past: Vec::new(),
            future: Vec::new(),
            interval: 64,
            origin: Origin {
                number: 1,
                left: None,
            },
            others: Vec::new(),
        }
    }

    /// To be called before a person's command is carried out: `undo` comes back to here. Where
    /// something had been undone before, the command begins a new branch, and the one with what was
    /// undone is kept.
    pub fn checkpoint(&mut self) {
        if !self.future.is_empty() {
            self.fork();
        }
        self.remember(true);
    }

    fn fork(&mut self) {
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
        let of = |origin: Origin, present: &Cluster, future: &[Arc<Snapshot>], current| {
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

    /// Goes to the end of another branch. The present one stays reachable by its number.
    ///
    /// # Errors
    /// A sentence when there is no such branch.
    pub fn switch(&mut self, number: usize) -> Result<(), String> {
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
        while self.redo() {}
        Ok(())
    }

    /// To be called after anything was given to the cluster from outside the clock.
    pub fn touched(&mut self) {
        self.remember(false);
    }

    fn remember(&mut self, command: bool) {
        self.past.push(Arc::new(Snapshot {
            cluster: self.cluster.clone(),
            command,
        }));
        if self.past.len() > SNAPSHOTS_MAX {
            let mut at = 0;
            self.past.retain(|s| {
                at += 1;
                s.command || at % 2 == 0
            });
            self.interval *= 2;
        }
    }

    /// Lets time run to `until`, `budget` tasks at the most; whether it got there.
    pub fn run_until(&mut self, until: Time, budget: usize) -> bool {
        for _ in 0..budget {
            if self.cluster.queue.next_at().is_none_or(|at| at > until) {
                self.cluster.now = self.cluster.now.max(until);
                return true;
            }
            self.step();
        }
        false
    }

    /// Carries out the next task; `false` when none is left.
    pub fn step(&mut self) -> bool {
        let last = self.past.last().map_or(0, |s| s.cluster.log.len());
        if self.cluster.log.len() >= last + self.interval {
            self.remember(false);
        }
        self.cluster.step()
    }

    /// Lets time run until nothing but heartbeats has changed for `quiet`, `limit` at the longest.
    pub fn settle(&mut self, quiet: Duration, limit: Duration) {
        self.cluster.settle(quiet, limit);
        self.touched();
    }

    /// Back to before the last command; `false` when there is none.
    pub fn undo(&mut self) -> bool {
        let Some(at) = self.past.iter().rposition(|s| s.command) else {
            return false;
        };
        let target = self.past[at].cluster.clone();
        self.past.truncate(at);
        self.leave(target);
        true
    }

    /// Makes another moment the present, and keeps the one that it was for `redo`.
    fn leave(&mut self, target: Cluster) {
        let present = std::mem::replace(&mut self.cluster, target);
        self.future.push(Arc::new(Snapshot {
            cluster: present,
            command: true,
        }));
    }

    /// Forth again to after the command that was undone last; `false` when there is none.
    pub fn redo(&mut self) -> bool {
        let Some(next) = self.future.pop() else {
            return false;
        };
        let present = std::mem::replace(&mut self.cluster, next.cluster.clone());
        self.past.push(Arc::new(Snapshot {
            cluster: present,
            command: true,
        }));
        true
    }

    /// Goes to the moment just after an event. The present stays reachable by `redo`.
    ///
    /// # Errors
    /// A sentence when no such event has happened.
    pub fn goto(&mut self, event: EventId) -> Result<(), String> {
        let wanted = event.0 as usize + 1;
        if wanted > self.cluster.log.len() {
            return Err(format!(
                "event {event} has not happened yet; the last is {}",
                self.cluster.log.len().saturating_sub(1)
            ));
        }
        let Some(at) = self
            .past
            .iter()
            .rposition(|s| s.cluster.log.len() <= wanted)
        else {
            return Err(format!(
                "event {event} lies before the first snapshot that is kept"
            ));
        };
        let mut cluster = self.past[at].cluster.clone();
        while cluster.log.len() < wanted && cluster.step() {}
        self.past.truncate(at + 1);
        self.leave(cluster);
        Ok(())
    }
}
