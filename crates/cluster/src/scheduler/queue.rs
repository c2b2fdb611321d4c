//! The pods that wait for a node (kubernetes v1.37, `pkg/scheduler/backend/queue`).

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::{ObjectKey, Value};

use super::filter::Hints;
use crate::shared_map::SharedMap;
use crate::time::Time;

/// A pod that nothing has helped is tried again after this long all the same.
const STALE: Duration = Duration::from_secs(300);
/// After its first failure a pod is left alone for a second, then for two, …
const BACKOFF: Duration = Duration::from_secs(1);
/// … and never longer than this.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    Backoff(Time),
    Unschedulable,
    /// It has scheduling gates.
    Gated,
}

#[derive(Clone, Debug)]
struct Waiting {
    priority: i64,
    sequence: u64,
    attempts: u32,
    failed: Time,
    hints: Hints,
    place: Place,
}

type Rank = (Reverse<i64>, u64, ObjectKey);

/// The queue: pods to be tried now, after a pause, or once something has changed that can help.
#[derive(Clone, Debug, Default)]
pub(super) struct PodQueue {
    pods: SharedMap<ObjectKey, Waiting>,
    active: Arc<BTreeSet<Rank>>,
    backoff: Arc<BTreeSet<(Time, u64, ObjectKey)>>,
    /// Those that nothing has helped yet, by the moment of their failure.
    unschedulable: Arc<BTreeSet<(Time, ObjectKey)>>,
    /// How many of those wait for pods, for volumes, for devices.
    waiting_for: [usize; 3],
    sequence: u64,
}

/// What has changed, for pods that nothing has helped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Something that can help all of them: there is more room.
    Room,
    /// Pods have come or changed.
    Pods,
    /// Volumes or claims have.
    Volumes,
    /// Devices or claims of them have.
    Devices,
}

impl News {
    fn helps(self, hints: Hints) -> bool {
        match self {
            News::Room => true,
            News::Pods => hints.pods,
            News::Volumes => hints.volumes,
            News::Devices => hints.devices,
        }
    }
}

impl PodQueue {
    /// A pod waits, or changed while it waited: it is worth a try.
    pub fn add(&mut self, key: &ObjectKey, pod: &Value, gated: bool) {
        let attempts = self
            .take(key)
            .map_or((0, Time::default()), |w| (w.attempts, w.failed));
        self.sequence += 1;
        let waiting = Waiting {
            priority: pod["spec"]["priority"].as_i64().unwrap_or(0),
            sequence: self.sequence,
            attempts: attempts.0,
            failed: attempts.1,
            hints: Hints::default(),
            place: if gated { Place::Gated } else { Place::Active },
        };
        self.put(key, waiting);
    }

    /// Whether a pod is held back may have changed.
    pub fn look_again(&mut self, key: &ObjectKey, gated: bool) {
        let was = |w: &Waiting| w.place == Place::Gated;
        if self.pods.get(key).is_none_or(|w| was(w) == gated) {
            return;
        }
        if let Some(waiting) = self.take(key) {
            let place = if gated { Place::Gated } else { Place::Active };
            self.put(key, Waiting { place, ..waiting });
        }
    }

    fn put(&mut self, key: &ObjectKey, waiting: Waiting) {
        let key = key.clone();
        let rank = (Reverse(waiting.priority), waiting.sequence, key.clone());
        let _new = match waiting.place {
            Place::Active => Arc::make_mut(&mut self.active).insert(rank),
            Place::Backoff(until) => {
                Arc::make_mut(&mut self.backoff).insert((until, rank.1, rank.2))
            }
            Place::Unschedulable => {
                let counts = self.waiting_for.iter_mut().zip(waiting.hints.all());
                counts.for_each(|(count, waits)| *count += usize::from(waits));
                Arc::make_mut(&mut self.unschedulable).insert((waiting.failed, rank.2))
            }
            Place::Gated => true,
        };
        self.pods.insert(key, waiting);
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Waiting> {
        let waiting = self.pods.remove(key)?;
        let rank = (Reverse(waiting.priority), waiting.sequence, key.clone());
        let _was = match waiting.place {
            Place::Active => Arc::make_mut(&mut self.active).remove(&rank),
            Place::Backoff(until) => {
                Arc::make_mut(&mut self.backoff).remove(&(until, rank.1, rank.2))
            }
            Place::Unschedulable => {
                let counts = self.waiting_for.iter_mut().zip(waiting.hints.all());
                counts.for_each(|(count, waits)| *count -= usize::from(waits));
                Arc::make_mut(&mut self.unschedulable).remove(&(waiting.failed, rank.2))
            }
            Place::Gated => true,
        };
        Some(waiting)
    }

    /// A pod no longer waits.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.take(key);
    }

    /// The next pod to be tried: the most important active one; when there is none, one whose
    /// pause is not over (KEP-5142).
    pub fn next(&mut self, now: Time) -> Option<ObjectKey> {
        while let Some((until, _, key)) = self.backoff.first().cloned() {
            if until > now && !self.active.is_empty() {
                break;
            }
            if let Some(waiting) = self.take(&key) {
                self.put(
                    &key,
                    Waiting {
                        place: Place::Active,
                        ..waiting
                    },
                );
            }
        }
        self.active.first().map(|(_, _, key)| key.clone())
    }

    /// A try has failed.
    pub fn fail(&mut self, key: &ObjectKey, now: Time, hints: Hints) {
        let Some(waiting) = self.take(key) else {
            return;
        };
        self.sequence += 1;
        let place = Place::Unschedulable;
        self.put(
            key,
            Waiting {
                attempts: waiting.attempts + 1,
                failed: now,
                sequence: self.sequence,
                hints,
                place,
                ..waiting
            },
        );
    }

    /// Something changed that can help some of those that failed.
    pub fn take_note(&mut self, now: Time, news: News) {
        let concerned = match news {
            News::Room => self.unschedulable.len(),
            News::Pods => self.waiting_for[0],
            News::Volumes => self.waiting_for[1],
            News::Devices => self.waiting_for[2],
        };
        if concerned == 0 {
            return;
        }
        let helped = |key: &&ObjectKey| self.pods.get(*key).is_some_and(|w| news.helps(w.hints));
        let keys: Vec<ObjectKey> = self
            .unschedulable
            .iter()
            .map(|(_, key)| key)
            .filter(helped)
            .cloned()
            .collect();
        for key in keys {
            if let Some(waiting) = self.take(&key) {
                let pause = BACKOFF_MAX
                    .min(BACKOFF * 2_u32.saturating_pow(waiting.attempts.saturating_sub(1).min(8)));
                let until = waiting.failed + pause;
                let place = if until > now {
                    Place::Backoff(until)
                } else {
                    Place::Active
                };
                self.put(&key, Waiting { place, ..waiting });
            }
        }
    }

    /// Whether a pod could be tried now.
    pub fn is_ready(&self) -> bool {
        !self.active.is_empty() || !self.backoff.is_empty()
    }

    /// Whether any pod has failed and waits for something to change.
    pub fn has_unschedulable(&self) -> bool {
        !self.unschedulable.is_empty()
    }

    /// Those that have waited too long for a change are tried again. Gives back when the next
    /// one has.
    pub fn flush(&mut self, now: Time) -> Option<Time> {
        let stale = |failed: Time| failed + STALE <= now;
        while let Some((failed, key)) = self.unschedulable.first().cloned() {
            if !stale(failed) {
                return Some(failed + STALE);
            }
            if let Some(waiting) = self.take(&key) {
                self.put(
                    &key,
                    Waiting {
                        place: Place::Active,
                        ..waiting
                    },
                );
            }
        }
        None
    }
}
