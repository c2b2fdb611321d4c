//! What the scheduler decided, for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_objects::{ObjectKey, Text};
use serde::Serialize;

/// A decision about one pod.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Decision {
    /// `default/web-1`
    pub pod: Text,
    /// The node that the pod was bound to.
    pub node: Option<Text>,
    /// Why it was bound to none: the message of its PodScheduled condition.
    pub message: Option<Text>,
    /// The nodes that passed all filters, as far as they were looked at.
    pub feasible: Vec<Text>,
    /// What each filter said of the other nodes.
    pub reasons: BTreeMap<Text, Vec<Text>>,
    /// The filter that said so, by node.
    #[serde(skip)]
    pub filters: BTreeMap<Text, &'static str>,
    /// The weighted scores by node and plugin; empty with fewer than two feasible nodes.
    pub scores: BTreeMap<Text, Arc<BTreeMap<&'static str, i64>>>,
    /// Their sums.
    pub totals: BTreeMap<Text, i64>,
    /// The pods (`default/web-2`) that have to go to make room.
    pub evicted: Vec<Text>,
    /// The node where they have to go.
    pub nominated: Option<Text>,
}

/// The last decisions, some hundreds of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Decisions {
    by_pod: Arc<BTreeMap<ObjectKey, (u64, Arc<Decision>)>>,
    by_age: Arc<BTreeMap<u64, ObjectKey>>,
    made: u64,
    /// How many nodes' verdicts the decisions hold, and the first that still has them.
    verdicts: usize,
    detailed: u64,
}

const KEPT: usize = 512;
/// Of so many nodes the verdicts are kept; older decisions keep their result only.
const VERDICTS: usize = 4096;

impl Decision {
    fn verdicts(&self) -> usize {
        self.feasible.len() + self.reasons.len() + self.scores.len()
    }
}

impl Decisions {
    pub fn get(&self, pod: &ObjectKey) -> Option<&Decision> {
        self.by_pod.get(pod).map(|(_, decision)| &**decision)
    }

    /// The decisions, the newest first.
    pub fn recent(&self) -> impl Iterator<Item = (&ObjectKey, &Decision)> {
        self.by_age
            .values()
            .rev()
            .filter_map(|pod| Some((pod, self.get(pod)?)))
    }

    pub fn add(&mut self, pod: &ObjectKey, decision: Arc<Decision>) {
        self.made += 1;
        self.verdicts += decision.verdicts();
        let (by_pod, by_age) = (
            Arc::make_mut(&mut self.by_pod),
            Arc::make_mut(&mut self.by_age),
        );
        if let Some((age, old)) = by_pod.insert(pod.clone(), (self.made, decision)) {
            by_age.remove(&age);
            self.verdicts = self.verdicts.saturating_sub(old.verdicts());
        }
        by_age.insert(self.made, pod.clone());
        if by_age.len() > KEPT
            && let Some((_, oldest)) = by_age.pop_first()
            && let Some((_, old)) = by_pod.remove(&oldest)
        {
            self.verdicts = self.verdicts.saturating_sub(old.verdicts());
        }
        while self.verdicts > VERDICTS && self.detailed < self.made {
            let pod = by_age.get(&self.detailed);
            if let Some((_, old)) = pod.and_then(|pod| by_pod.get_mut(pod)) {
                let old = Arc::make_mut(old);
                self.verdicts = self.verdicts.saturating_sub(old.verdicts());
                old.feasible = Vec::new();
                old.reasons.clear();
                old.filters.clear();
                old.scores.clear();
                old.totals.clear();
            }
            self.detailed += 1;
        }
    }
}
