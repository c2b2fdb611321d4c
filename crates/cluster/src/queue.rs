//! What is still to happen: tasks in the order of their time.

use crate::event::EventId;
use crate::shared_map::{Key, SharedMap};
use crate::task::Task;
use crate::time::Time;

/// A task that is due, with what set it off.
#[derive(Clone, Debug)]
pub struct Due {
    /// When it is due.
    pub at: Time,
    /// What to do.
    pub task: Task,
    /// The event that asked for it.
    pub cause: Option<EventId>,
}

impl Key for Task {}

/// The queue of tasks. Each task is in it once: asking again for the same task keeps the earlier
/// time and the first cause, as a work queue of client-go does.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    by_time: SharedMap<(Time, u64), (Task, Option<EventId>)>,
    by_task: SharedMap<Task, (Time, u64)>,
    sequence: u64,
}

impl Queue {
    /// Asks for `task` at `at`.
    pub fn add(&mut self, at: Time, task: Task, cause: Option<EventId>) {
        let mut cause = cause;
        let next = (at, self.sequence + 1);
        let planned = self.by_task.get_or_insert_with(&task, || next);
        if *planned != next {
            if planned.0 <= at {
                return;
            }
            let before = std::mem::replace(planned, next);
            if let Some((_, first)) = self.by_time.remove(&before) {
                cause = first.or(cause);
            }
        }
        self.sequence += 1;
        self.by_time.insert(next, (task, cause));
    }

    /// Takes `task` out again; whether it was in.
    pub fn cancel(&mut self, task: &Task) -> bool {
        match self.by_task.remove(task) {
            Some(at) => self.by_time.remove(&at).is_some(),
            None => false,
        }
    }

    /// When the next task is due.
    pub fn next_at(&self) -> Option<Time> {
        self.by_time.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next task out.
    pub fn pop(&mut self) -> Option<Due> {
        let ((at, _), (task, cause)) = self.by_time.pop_first()?;
        self.by_task.remove(&task);
        Some(Due { at, task, cause })
    }

    /// All tasks in the order of their time.
    pub fn iter(&self) -> impl Iterator<Item = (Time, &Task)> {
        self.by_time.iter().map(|((at, _), (task, _))| (*at, task))
    }

    /// How many tasks wait.
    pub fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}
