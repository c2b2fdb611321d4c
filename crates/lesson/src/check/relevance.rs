//! When a check has to be made again.

use std::collections::BTreeSet;

use kubarium_cluster::{Action, Cluster, Event, EventId};
use kubarium_objects::Text;

use super::{Check, What};

/// What a check depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relevance {
    /// Objects of a resource.
    Objects(Text),
    /// Objects of a resource, and the time.
    Timed(Text),
    /// Whatever packets may meet.
    Network,
    /// Everything that happens.
    All,
    /// The learner's answers alone.
    Answers,
}

impl Check {
    pub(crate) fn relevance(&self) -> Relevance {
        match &self.what {
            What::Assert(objects) | What::Error(objects) => {
                Relevance::Objects(objects.resource.id())
            }
            What::Condition(condition) => Relevance::Timed(condition.of.resource.id()),
            What::Connect(_) | What::Dns(_) | What::Rule(_) => Relevance::Network,
            What::Command(_) | What::Event(_) => Relevance::All,
            What::Quiz(_) => Relevance::Answers,
        }
    }
}

/// What has happened since somebody looked last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed {
    /// Nothing is known: everything may be different.
    pub all: bool,
    resources: BTreeSet<Text>,
    network: bool,
    anything: bool,
}

/// The place up to which the log was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark(Option<Event>);

impl Mark {
    /// What has happened since, and the new place.
    pub fn advance(&mut self, cluster: &Cluster) -> Changed {
        let next = match &self.0 {
            // Another history (undone, another branch) has another event in this place.
            Some(last) if cluster.log.get(last.id).is_some_and(|e| same(e, last)) => last.id.0 + 1,
            _ => {
                self.0 = cluster.log.iter().next_back().cloned();
                return Changed {
                    all: true,
                    ..Changed::default()
                };
            }
        };
        let mut changed = Changed::default();
        for event in cluster.log.since(EventId(next)) {
            changed.take(event);
            self.0 = Some(event.clone());
        }
        changed
    }
}

fn same(a: &Event, b: &Event) -> bool {
    (a.at, a.cause, a.revision, &a.text, &a.from) == (b.at, b.cause, b.revision, &b.text, &b.from)
}

impl Changed {
    fn take(&mut self, event: &Event) {
        let resource = event.object.as_ref().map(|o| &o.resource);
        self.anything = true;
        if let Some(resource) = resource {
            self.resources.insert(resource.clone());
        }
        // Kubernetes' own events and probes change nothing that packets meet.
        let quiet = event.action == Action::Probe || resource.is_some_and(|r| &**r == "events");
        self.network |= !quiet;
    }

    pub fn concerns(&self, relevance: &Relevance) -> bool {
        self.all
            || match relevance {
                Relevance::Objects(resource) | Relevance::Timed(resource) => {
                    self.resources.contains(resource)
                }
                Relevance::Network => self.network,
                Relevance::All => self.anything,
                Relevance::Answers => false,
            }
    }
}
