//! How long time is to run, in slices: whoever drives the clock can look up between two of them.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::time::Time;

/// A stretch of time that is to run. It ends at a moment, or once all is at rest.
#[derive(Clone, Debug)]
pub struct Run {
    from: Time,
    end: Time,
    /// How long nothing may change for all to be at rest.
    quiet: Option<Duration>,
}

impl Run {
    /// Up to a moment.
    pub fn until(end: Time) -> Run {
        Run {
            from: end,
            end,
            quiet: None,
        }
    }

    /// Until nothing but heartbeats has changed for `quiet`, `limit` at the longest.
    pub fn settle(cluster: &Cluster, quiet: Duration, limit: Duration) -> Run {
        Run {
            from: cluster.now,
            end: cluster.now + limit,
            quiet: Some(quiet),
        }
    }

    /// When it is over, as things stand: what happens until then may put it off.
    pub fn over(&self, cluster: &Cluster) -> Time {
        match self.quiet {
            None => self.end,
            Some(quiet) => (cluster.last_change().max(self.from) + quiet).min(self.end),
        }
    }

    /// Whether there is something left to do.
    pub fn goes_on(&self, cluster: &Cluster) -> bool {
        let over = self.over(cluster);
        cluster.queue.next_at().is_some_and(|at| at <= over)
    }

    /// Sets the clock to the end.
    pub(crate) fn end(&self, cluster: &mut Cluster) {
        cluster.now = cluster.now.max(self.over(cluster));
    }

    /// How far the clock is, seen from `start`: 0 to 1. A run that waits for rest may be over
    /// sooner.
    pub fn progress(&self, start: Time, cluster: &Cluster) -> f64 {
        let whole = self.end.since(start).as_secs_f64();
        if whole > 0.0 {
            (cluster.now.since(start).as_secs_f64() / whole).min(1.0)
        } else {
            1.0
        }
    }
}

impl Cluster {
    /// Goes on with a run, `budget` tasks at the most; whether it is over.
    pub fn run_slice(&mut self, run: &Run, budget: usize) -> bool {
        for _ in 0..budget {
            if !run.goes_on(self) {
                run.end(self);
                return true;
            }
            self.step();
        }
        false
    }
}
