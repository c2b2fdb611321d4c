//! What goes on when a command has said what there is: watches, followed logs, waiting. Each is a
//! small machine that is asked again whenever simulated time has gone on.

use std::sync::Arc;

use kubarium_cluster::api::watch;
pub(crate) use kubarium_cluster::api::watch::Kind;
use kubarium_cluster::{Cluster, Time};
use kubarium_objects::{ObjectKey, Resource, Text, Value};

use super::Kubectl;
use super::commands::{delete, events, forward, get, logs, raw, rollout, wait};
use super::error::Result;
use super::resource::{Info, Query};

/// A command that goes on.
#[derive(Clone)]
pub(crate) enum Follow {
    /// `kubectl get --watch`
    Get(get::Watching),
    /// `kubectl get --raw` of a watch
    Raw(Box<raw::Reading>),
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
            Follow::Raw(reading) => reading.step(k),
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

/// A watch request, whose objects come as a printer wants them.
#[derive(Clone)]
pub(crate) struct Watch(watch::Watch);

impl Watch {
    /// A watch that begins now, where a list has just shown `infos`.
    pub fn new(
        k: &Kubectl,
        resource: &Arc<Resource>,
        query: &Query,
        name: Option<Text>,
        infos: &[Info],
    ) -> Result<Watch> {
        let (labels, fields) = k.filters(resource, query)?;
        let all = query.all_namespaces || !resource.namespaced;
        let filter = watch::Filter {
            resource: resource.clone(),
            namespace: (!all).then(|| k.namespace()),
            name,
            labels,
            fields,
        };
        let told = infos.iter().map(Info::key).collect();
        Ok(Watch(watch::Watch::now(k.cluster(), filter, told)))
    }

    /// What has happened since it was last asked.
    pub fn take(&mut self, cluster: &Cluster) -> Vec<(Kind, Info)> {
        let resource = self.0.resource().clone();
        let info = |(kind, key, object): (Kind, ObjectKey, Value)| {
            let info = Info {
                resource: resource.clone(),
                namespace: key.namespace,
                name: key.name,
                object,
                source: String::new(),
            };
            (kind, info)
        };
        self.0.take(cluster).into_iter().map(info).collect()
    }
}
