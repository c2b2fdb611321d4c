//! The way back in time.
//!
//! A snapshot is a clone of the cluster. One is kept before each command and, while time runs,
//! whenever enough has happened since the last; any event between two of them is reached by
//! letting the earlier one run on, since the simulation is deterministic.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::config::Config;
use crate::event::EventId;
use crate::time::Time;

/// How many snapshots are kept; beyond that every second one goes.
const SNAPSHOTS_MAX: usize = 256;

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
    past: Vec<Snapshot>,
    future: Vec<Snapshot>,
    /// Events between two snapshots; doubles when there are too many.
    interval: usize,
}

impl Simulation {
    /// A cluster that has just come up.
    pub fn new(config: Config) -> Simulation {
        Simulation {
            cluster: Cluster::new(config),
            past: Vec::new(),
            future: Vec::new(),
            interval: 64,
        }
    }

    /// To be called before a person's command is carried out: `undo` comes back to here. What had
    /// been undone before is given up: a change in the past makes a new future.
    pub fn checkpoint(&mut self) {
        self.future.clear();
        self.remember(true);
    }

    /// To be called after anything was given to the cluster from outside the clock.
    pub fn touched(&mut self) {
        self.remember(false);
    }

    fn remember(&mut self, command: bool) {
        self.past.push(Snapshot {
            cluster: self.cluster.clone(),
            command,
        });
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
        let mut later = self.past.split_off(at);
        let target = later.remove(0);
        let present = std::mem::replace(&mut self.cluster, target.cluster);
        later.push(Snapshot {
            cluster: present,
            command: true,
        });
        // The future is kept latest first.
        let end = later.pop();
        self.future.extend(end);
        true
    }

    /// Forth again to after the command that was undone last; `false` when there is none.
    pub fn redo(&mut self) -> bool {
        let Some(next) = self.future.pop() else {
            return false;
        };
        let present = std::mem::replace(&mut self.cluster, next.cluster);
        self.past.push(Snapshot {
            cluster: present,
            command: true,
        });
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
        let present = std::mem::replace(&mut self.cluster, cluster);
        self.past.truncate(at + 1);
        self.future.push(Snapshot {
            cluster: present,
            command: true,
        });
        Ok(())
    }
}
