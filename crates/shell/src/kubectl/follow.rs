//! What goes on when a command has said what there is: watches, followed logs, waiting. Each is a
//! small machine that is asked again whenever simulated time has gone on.

use std::collections::BTreeSet;
use std::sync::Arc;

use kubarium_cluster::event::Action;
use kubarium_cluster::{Cluster, EventId, Time};
use kubarium_objects::{FieldSelector, ObjectKey, Resource, Selector, Text, Value};

use super::Kubectl;
use super::commands::{delete, events, forward, get, logs, rollout, wait};
use super::error::Result;
use super::resource::{Info, Query};

/// A command that goes on.
#[derive(Clone)]
pub(crate) enum Follow {
    /// `kubectl get --watch`
    Get(get::Watching),
    /// `kubectl events --watch`
    Events(events::Watching),
    /// `kubectl logs --follow`
    Logs(logs::Following),
    /// `kubectl rollout status`
    Rollout(rollout::Watching),
    /// `kubectl wait`
    Wait(wait::Waiting),
    /// `kubectl delete`, until what it has deleted is gone
    Delete(delete::Waiting),
    /// `kubectl port-forward` and `kubectl proxy`, which end only when they are interrupted
    Forward(forward::Forwarding),
}

impl Follow {
    /// Does what can be done now. The time before which asking again is no use; `None` when it is
    /// over.
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        match self {
            Follow::Get(watching) => watching.step(k),
            Follow::Events(watching) => watching.step(k),
            Follow::Logs(following) => following.step(k),
            Follow::Rollout(watching) => watching.step(k),
            Follow::Wait(waiting) => waiting.step(k),
            Follow::Delete(waiting) => waiting.step(k),
            Follow::Forward(forwarding) => forwarding.step(k),
        }
    }
}

impl Kubectl<'_> {
    /// When something may have happened next, `limit` at the latest.
    pub fn next_look(&self, limit: Option<Time>) -> Time {
        let cluster = self.cluster();
        let next = cluster.queue.next_at().unwrap_or(Time(u64::MAX));
        // Where nothing is to come at all, a look each minute finds that out.
        let next = next.min(cluster.now + std::time::Duration::from_secs(60));
        limit.map_or(next, |limit| next.min(limit))
    }
}

/// What a watch says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Added,
    Modified,
    Deleted,
}

impl Kind {
    /// As the API has it: `ADDED`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Added => "ADDED",
            Kind::Modified => "MODIFIED",
            Kind::Deleted => "DELETED",
        }
    }
}

/// A watch request: what happens to the objects of one kind that selectors let through, write by
/// write.
#[derive(Clone)]
pub(crate) struct Watch {
    resource: Arc<Resource>,
    namespace: Option<Text>,
    name: Option<Text>,
    selector: Selector,
    fields: FieldSelector,
    next: EventId,
    /// The keys that it has told of.
    told: BTreeSet<ObjectKey>,
}

impl Watch {
    /// A watch that begins now, where a list has just shown `infos`.
    pub fn new(
        k: &Kubectl,
        resource: &Arc<Resource>,
        query: &Query,
        name: Option<Text>,
        infos: &[Info],
    ) -> Result<Watch> {
        let (selector, fields) = k.filters(resource, query)?;
        let all = query.all_namespaces || !resource.namespaced;
        Ok(Watch {
            resource: resource.clone(),
            namespace: (!all).then(|| k.namespace()),
            name,
            selector,
            fields,
            next: EventId(u32::try_from(k.cluster().log.len()).unwrap_or(u32::MAX)),
            told: infos.iter().map(Info::key).collect(),
        })
    }

    /// What has happened since it was last asked.
    pub fn take(&mut self, cluster: &Cluster) -> Vec<(Kind, Info)> {
        let mut found = Vec::new();
        // The history may have gone back in the meantime.
        let end = u32::try_from(cluster.log.len()).unwrap_or(u32::MAX);
        self.next = self.next.min(EventId(end));
        for event in cluster.log.since(self.next) {
            let (Some(key), Some(object)) = (&event.object, cluster.log.stored(event.id)) else {
                continue;
            };
            if event.revision.is_none() || key.resource != self.resource.id() {
                continue;
            }
            if self
                .namespace
                .as_ref()
                .is_some_and(|ns| key.namespace != *ns)
                || self.name.as_ref().is_some_and(|name| key.name != *name)
            {
                continue;
            }
            let fits = event.action != Action::Delete && self.fits(object);
            let kind = match (self.told.contains(key), fits) {
                (false, true) => Kind::Added,
                (true, true) => Kind::Modified,
                (true, false) => Kind::Deleted,
                (false, false) => continue,
            };
            match kind {
                Kind::Added => drop(self.told.insert(key.clone())),
                Kind::Deleted => drop(self.told.remove(key)),
                Kind::Modified => {}
            }
            let mut object = object.clone();
            if object["kind"].is_null() {
                object["apiVersion"] = self.resource.api_version().into();
                object["kind"] = (&self.resource.kind).into();
            }
            let info = Info {
                resource: self.resource.clone(),
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                object,
                source: String::new(),
            };
            found.push((kind, info));
        }
        self.next = EventId(end);
        found
    }

    fn fits(&self, object: &Value) -> bool {
        super::resource::fits(&self.selector, &self.fields, object)
    }
}
