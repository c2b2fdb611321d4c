//! kube-scheduler: which node each pod gets, and why.
//!
//! The default profile of kube-scheduler v1.37: its filters and scorers with their weights, its
//! queue, its sampling of large clusters, and preemption. Not simulated: NodeDeclaredFeatures,
//! extenders, other profiles, and what `devices` says of devices.

mod affinity;
mod allocator;
mod bind;
mod cache;
mod decision;
pub(crate) mod devices;
mod filter;
mod node;
mod pod;
mod preempt;
mod queue;
mod score;
mod spread;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::{ObjectKey, ObjectMeta, Text, Value};

pub(crate) use bind::bind_by_request;
pub use decision::Decision;
pub use filter::FILTERS;
pub(crate) use node::{NodeFit, node_fit, toleration_of};

use crate::cluster::{Change, Cluster};
use crate::controllers::pods;
use crate::etcd::Etcd;
use crate::rng::Rng;
use crate::task::Task;
use bind::{Binding, bind, finish_bindings, refuse};
use cache::{Cache, Store, occupies};
use decision::Decisions;
use devices::Reservations;
use filter::{Cycle, Failure, Hints, Reason, message};
use node::NodeInfo;
use pod::PodInfo;
use preempt::{Preemption, preempt};
use queue::{News, PodQueue};
pub use score::PLUGINS as SCORERS;
use score::PLUGINS;

const GATED: &str = "Scheduling is blocked due to non-empty scheduling gates";

/// Decisions about more nodes than this are kept without the nodes' scores and reasons.
const DETAILS_MAX: usize = 100;

/// The scheduler's queue, its cache, and its last decisions.
#[derive(Clone, Debug, Default)]
pub struct Scheduler {
    queue: PodQueue,
    cache: Arc<Cache>,
    decisions: Decisions,
    /// Pods that have a node's promise but not yet its room.
    nominated: Arc<BTreeMap<Text, BTreeSet<ObjectKey>>>,
    /// Where the next search for feasible nodes starts.
    start: usize,
    /// Pods that have a node but wait for their volumes to be bound.
    binding: Arc<BTreeMap<ObjectKey, Binding>>,
}

impl Scheduler {
    /// The last decision about a pod, if it is not too long ago.
    pub fn decision(&self, pod: &ObjectKey) -> Option<&Decision> {
        self.decisions.get(pod)
    }

    /// The last decisions, the newest first.
    pub fn recent_decisions(&self) -> impl Iterator<Item = (&ObjectKey, &Decision)> {
        self.decisions.recent()
    }
}

// --- What is new ------------------------------------------------------------------------------------

/// Takes a change into account: a pod that waits, a node that has room.
pub(crate) fn observe(cluster: &mut Cluster, change: &Change) {
    let now = cluster.now;
    let scheduler = &mut cluster.scheduler;
    match &*change.key.resource {
        "pods" => scheduler.observe_pod(change, &cluster.etcd, now),
        "nodes" => scheduler.observe_node(change, now),
        "persistentvolumeclaims"
        | "persistentvolumes"
        | "storageclasses.storage.k8s.io"
        | "csinodes.storage.k8s.io" => {
            scheduler.queue.take_note(now, News::Volumes);
            if !scheduler.binding.is_empty() {
                let delay = Duration::from_millis(cluster.config.timing.watch_ms);
                cluster.enqueue(Task::Scheduler, delay);
            }
        }
        devices::CLAIMS => observe_claim(cluster, change),
        devices::CLASSES | devices::SLICES => scheduler.queue.take_note(now, News::Devices),
        _ => return,
    }
    if cluster.scheduler.queue.is_ready() {
        let delay = Duration::from_millis(cluster.config.timing.watch_ms);
        cluster.enqueue(Task::Scheduler, delay);
    }
}

/// A claim of devices was made, changed or removed: others can have what it had, and pods that wait for
/// it can be tried.
fn observe_claim(cluster: &mut Cluster, change: &Change) {
    let Cluster {
        scheduler,
        etcd,
        index,
        now,
        ..
    } = cluster;
    Arc::make_mut(&mut scheduler.cache).change_claim(change.old.as_ref(), change.new.as_ref());
    scheduler.queue.take_note(*now, News::Devices);
    let made_for = change.object().controller_ref();
    let made_for =
        made_for.map(|owner| ObjectKey::new("pods", &*change.key.namespace, owner.name()));
    for key in index.pods_with_device_claim(&change.key).chain(&made_for) {
        if let Some(pod) = etcd.get(key) {
            scheduler.queue.look_again(key, is_gated(etcd, pod));
        }
    }
}

/// Whether a pod is not to be tried yet: it has gates, or lacks claims (PreEnqueue of SchedulingGates and
/// DynamicResources).
fn is_gated(etcd: &Etcd, pod: &Value) -> bool {
    !pod["spec"]["schedulingGates"].items().is_empty() || devices::claims(etcd, pod).is_err()
}

impl Scheduler {
    fn observe_pod(&mut self, change: &Change, etcd: &Etcd, now: crate::Time) {
        let key = &change.key;
        let before = change.old.as_ref().filter(|pod| occupies(pod));
        let after = change.new.as_ref().filter(|pod| occupies(pod));
        match (before, after) {
            (None, None) => {
                let ends = |pod: &Value| pod.is_deleting() || pods::is_over(pod);
                match self.binding.get(key) {
                    Some(_) if change.new.as_ref().is_none_or(ends) => {
                        self.give_up(key);
                    }
                    Some(_) => {}
                    None => self.observe_pending(change, etcd),
                }
            }
            (_, Some(pod)) => {
                if before.is_none() {
                    self.queue.remove(key);
                    self.forget_nomination(change.old.as_ref(), key);
                }
                if before.is_some_and(|old| same_to_others(old, pod)) {
                    // So that no old version has to be kept.
                    let node = pod["spec"]["nodeName"].str();
                    Arc::make_mut(&mut self.cache).renew_pod(node, key, pod);
                    return;
                }
                Arc::make_mut(&mut self.cache).set_pod(pod["spec"]["nodeName"].str(), key, pod);
                // Company for those that want some.
                if self.queue.has_unschedulable() {
                    self.queue.take_note(now, News::Pods);
                }
            }
            (Some(old), None) => {
                Arc::make_mut(&mut self.cache).remove_pod(old["spec"]["nodeName"].str(), key);
                if self.queue.has_unschedulable() {
                    self.queue.take_note(now, News::Room);
                }
            }
        }
    }

    /// A pod no longer waits for its volumes; the room that was kept for it is free.
    fn give_up(&mut self, key: &ObjectKey) -> Option<Binding> {
        let binding = Arc::make_mut(&mut self.binding).remove(key)?;
        Arc::make_mut(&mut self.cache).remove_pod(&binding.node, key);
        Some(binding)
    }

    fn observe_pending(&mut self, change: &Change, etcd: &Etcd) {
        let key = &change.key;
        let waits = |pod: &&Value| {
            let own = matches!(pod["spec"]["schedulerName"].str(), "" | "default-scheduler");
            own && pod["spec"]["nodeName"].is_empty() && !pod.is_deleting() && !pods::is_over(pod)
        };
        let Some(pod) = change.new.as_ref().filter(waits) else {
            self.queue.remove(key);
            self.forget_nomination(change.old.as_ref(), key);
            return;
        };
        let nomination = |pod: &Value| pod["status"]["nominatedNodeName"].text();
        let old = change.old.as_ref();
        if old.map(nomination).unwrap_or_default() != nomination(pod) {
            self.forget_nomination(old, key);
            if !nomination(pod).is_empty() {
                Arc::make_mut(&mut self.nominated)
                    .entry(nomination(pod))
                    .or_default()
                    .insert(key.clone());
            }
        }
        let changed = old.is_none_or(|old| {
            !old["spec"].same(&pod["spec"])
                || !old["metadata"]["labels"].same(&pod["metadata"]["labels"])
                || !old["status"]["resourceClaimStatuses"]
                    .same(&pod["status"]["resourceClaimStatuses"])
        });
        if changed {
            self.queue.add(key, pod, is_gated(etcd, pod));
        }
    }

    fn forget_nomination(&mut self, pod: Option<&Value>, key: &ObjectKey) {
        let Some(node) = pod
            .map(|pod| pod["status"]["nominatedNodeName"].text())
            .filter(|n| self.nominated.contains_key(n))
        else {
            return;
        };
        let nominated = Arc::make_mut(&mut self.nominated);
        if let Some(pods) = nominated.get_mut(&node) {
            pods.remove(key);
            if pods.is_empty() {
                nominated.remove(&node);
            }
        }
    }

    fn observe_node(&mut self, change: &Change, now: crate::Time) {
        let Some(node) = &change.new else {
            Arc::make_mut(&mut self.cache).remove_node(&change.key.name);
            return;
        };
        let parts: [&[&str]; 4] = [
            &["spec"],
            &["metadata", "labels"],
            &["status", "allocatable"],
            &["status", "images"],
        ];
        if parts.iter().any(|part| change.differs(part)) {
            Arc::make_mut(&mut self.cache).set_node(node);
            if parts.iter().take(3).any(|part| change.differs(part)) {
                self.queue.take_note(now, News::Room);
            }
        }
    }
}

/// Whether a bound pod's change means nothing to the scheduling of others.
fn same_to_others(old: &Value, new: &Value) -> bool {
    let paths: [&[&str]; 5] = [
        &["spec"],
        &["metadata", "labels"],
        &["metadata", "deletionTimestamp"],
        &["status", "startTime"],
        &["status", "conditions"],
    ];
    let resized = |pod: &Value| pod.generation() > 1;
    let statuses: &[&str] = &["status", "containerStatuses"];
    if resized(new) && !old.at(statuses).same(new.at(statuses)) {
        return false;
    }
    // Conditions matter once a pod is being evicted.
    let last = if new.is_deleting() {
        paths.len()
    } else {
        paths.len() - 1
    };
    paths
        .iter()
        .take(last)
        .all(|path| old.at(path).same(new.at(path)))
}

// --- Decisions --------------------------------------------------------------------------------------

/// What a search came to.
#[derive(Default)]
struct Search {
    feasible: Vec<usize>,
    failures: BTreeMap<usize, Failure>,
    scores: score::Table,
    /// The place of the chosen node.
    chosen: Option<usize>,
    /// How many nodes were as good as the chosen one; its total.
    best: i64,
    message: String,
    nominated: Option<(Text, Vec<Arc<PodInfo>>)>,
    hints: Hints,
    /// Claims to be bound before the pod is: each to a volume, or to one to be provisioned.
    volumes: Vec<(ObjectKey, Option<ObjectKey>)>,
    /// Claims of devices to be reserved for the pod.
    devices: Reservations,
    /// Whether the scheduler could not decide, so that there is no verdict about the nodes.
    is_error: bool,
}

/// Schedules the next pod.
pub(crate) fn run(cluster: &mut Cluster) {
    let now = cluster.now;
    finish_bindings(cluster);
    let stale = cluster.scheduler.queue.flush(now);
    if let Some(key) = cluster.scheduler.queue.next(now) {
        schedule(cluster, &key, None, false);
    }
    if cluster.scheduler.queue.is_ready() {
        let delay = Duration::from_millis(cluster.config.timing.schedule_ms);
        cluster.enqueue(Task::Scheduler, delay);
    } else if let Some(at) = stale {
        cluster.enqueue(Task::Scheduler, at.since(now));
    } else if cluster.scheduler.queue.has_unschedulable() {
        cluster.enqueue(Task::Scheduler, Duration::from_secs(300));
    }
}

impl Cluster {
    /// Decides now about a pod that waits, and carries the decision out; on the node `forced`,
    /// if one is given, whatever the filters say.
    ///
    /// # Errors
    /// A sentence when there is no such pod, it has a node, or there is no such node.
    pub fn schedule_now(
        &mut self,
        pod: &ObjectKey,
        forced: Option<&str>,
    ) -> Result<Decision, String> {
        let Some(object) = self.etcd.get(pod) else {
            return Err(format!("pods \"{}\" not found", pod.name));
        };
        if !object["spec"]["nodeName"].is_empty() {
            return Err(format!(
                "pod {} is assigned to node {} already",
                pod.name,
                object["spec"]["nodeName"].str()
            ));
        }
        if let Some(node) = forced
            && self.scheduler.cache.place(node).is_none()
        {
            return Err(format!("nodes \"{node}\" not found"));
        }
        if !object["spec"]["schedulingGates"].items().is_empty() {
            return Ok(Decision {
                pod: full_name(pod),
                message: Some(GATED.into()),
                ..Decision::default()
            });
        }
        schedule(self, pod, forced, true);
        self.scheduler
            .decision(pod)
            .cloned()
            .ok_or_else(|| format!("no decision about pod {}", pod.name))
    }
}

fn full_name(key: &ObjectKey) -> Text {
    format!("{}/{}", key.namespace, key.name).into()
}

/// Decides about a pod, and carries it out.
fn schedule(cluster: &mut Cluster, key: &ObjectKey, forced: Option<&str>, explicit: bool) {
    let Some(pod) = cluster.etcd.get(key).cloned() else {
        cluster.scheduler.queue.remove(key);
        return;
    };
    let Cluster {
        scheduler,
        etcd,
        index,
        rng,
        now,
        ..
    } = cluster;
    let store = Store { etcd, index };
    let info = Arc::new(PodInfo::new(key, &pod));
    let mut search = scheduler.search(store, rng, *now, &info);
    if let Some(place) = forced.and_then(|node| scheduler.cache.place(node)) {
        search.chosen = Some(place);
        search.nominated = None;
    }
    let details = explicit || scheduler.cache.len() <= DETAILS_MAX;
    let decision = Arc::new(scheduler.describe(key, &search, details));
    scheduler.decisions.add(key, decision.clone());
    match &decision.node {
        Some(node) => bind(cluster, key, &pod, node, &search, explicit),
        None => refuse(cluster, key, &pod, search),
    }
}

impl Scheduler {
    /// Looks for the best node.
    fn search(
        &mut self,
        store: Store<'_>,
        rng: &mut Rng,
        now: crate::Time,
        pod: &Arc<PodInfo>,
    ) -> Search {
        let cache = Arc::make_mut(&mut self.cache);
        let mut search = Search::default();
        if cache.len() == 0 {
            search.message = "no nodes available to schedule pods".to_owned();
            return search;
        }
        let cycle = match Cycle::new(cache, store, pod.clone()) {
            Ok(cycle) => cycle,
            Err(refusal) => {
                search.message = refusal.message(cache.len());
                search.hints = refusal.hints;
                return search;
            }
        };
        let nominated = &*self.nominated;
        let plain = nominated.is_empty() && cycle.is_plain();
        let check = |cache: &Cache, place: usize| {
            if plain && cache.brief(place).surely_fits(&pod.needs.request) {
                return Ok(());
            }
            match cache.node(place) {
                Some(node) => passes(store, nominated, &cycle, node),
                None => Err(Failure::unresolvable(Reason::NotHelpful)),
            }
        };
        let promised = cache.place(pod.object["status"]["nominatedNodeName"].str());
        if let Some(place) = promised.filter(|place| check(cache, *place).is_ok()) {
            search.feasible.push(place);
        } else {
            self.start = find_feasible(cache, &cycle, self.start, &mut search, check);
        }
        search
            .failures
            .values()
            .for_each(|failure| failure.hint(&mut search.hints));
        if let Some(why) = error(&search.failures) {
            search.message = why;
            search.is_error = true;
            return search;
        }
        match search.feasible[..] {
            [] => {
                search.message = message(cache.len(), search.failures.values());
                let (after, nominated) = match preempt(
                    cache,
                    store,
                    rng,
                    now,
                    &cycle,
                    &search.failures,
                ) {
                    Preemption::No(why) => (format!(" preemption: {why}"), None),
                    Preemption::Found(node, victims) => {
                        let count = victims.len();
                        (
                            format!(
                                " preemption: found a potential placement for pod on node {node}, preempting {count} victims"
                            ),
                            Some((node, victims)),
                        )
                    }
                };
                search.message.push_str(&after);
                search.nominated = nominated;
            }
            [only] => search.chosen = Some(only),
            _ => {
                search.scores = score::scores(cache, store, &cycle, &search.feasible);
                let totals = &search.scores.totals;
                search.best = totals.iter().max().copied().unwrap_or(0);
                let best = search.feasible.iter().zip(totals);
                let best = best.filter(|(_, total)| **total == search.best);
                let best: Vec<usize> = best.map(|(place, _)| *place).collect();
                let choice = if best.len() > 1 {
                    rng.below(best.len() as u64) as usize
                } else {
                    0
                };
                search.chosen = best.get(choice).copied();
            }
        }
        if let Some(node) = search.chosen.and_then(|place| cache.node(place)) {
            search.volumes = cycle.volumes.to_bind(store, node);
            search.devices = cycle.devices.to_reserve(node);
        }
        search
    }

    fn describe(&self, key: &ObjectKey, search: &Search, details: bool) -> Decision {
        let name = |place: &usize| {
            self.cache
                .node(*place)
                .map(|node| node.name.clone())
                .unwrap_or_default()
        };
        let mut decision = Decision {
            pod: full_name(key),
            ..Decision::default()
        };
        decision.node = search.chosen.as_ref().map(name);
        if decision.node.is_none() {
            decision.message = Some(search.message.as_str().into());
        }
        if let Some((node, victims)) = &search.nominated {
            decision.nominated = Some(node.clone());
            decision.evicted = victims.iter().map(|v| full_name(&v.key)).collect();
        }
        if !details {
            return decision;
        }
        decision.feasible = search.feasible.iter().map(name).collect();
        for (place, failure) in &search.failures {
            let reasons = failure
                .reasons
                .iter()
                .map(|r| r.to_string().into())
                .collect();
            decision.reasons.insert(name(place), reasons);
            let filter = failure.reasons.first().map_or("", Reason::plugin);
            decision.filters.insert(name(place), filter);
        }
        let mut last: Arc<BTreeMap<&'static str, i64>> = Arc::default();
        for (place, scores) in search.feasible.iter().zip(search.scores.rows()) {
            let named = PLUGINS.iter().zip(scores);
            let named = named.map(|((plugin, _), score)| (*plugin, score)).collect();
            // Most nodes are like the one before.
            if *last != named {
                last = Arc::new(named);
            }
            decision.scores.insert(name(place), last.clone());
            decision.totals.insert(name(place), scores.iter().sum());
        }
        decision
    }
}

/// What a filter says that cannot decide.
fn error(failures: &BTreeMap<usize, Failure>) -> Option<String> {
    let mut reasons = failures.values().flat_map(|failure| &failure.reasons);
    reasons.find_map(|reason| match reason {
        Reason::Error(why) => Some(why.to_string()),
        _ => None,
    })
}

/// The filters, with the pods counted in that have the node's promise and are as important: once
/// with them and once without, for they may not come.
fn passes(
    store: Store<'_>,
    nominated: &BTreeMap<Text, BTreeSet<ObjectKey>>,
    cycle: &Cycle,
    node: &Arc<NodeInfo>,
) -> Result<(), Failure> {
    if let Some(keys) = nominated.get(&node.name) {
        let (mut with, mut crowded, mut any) = (cycle.clone(), (**node).clone(), false);
        for key in keys.iter().filter(|key| **key != cycle.pod.key) {
            let Some(other) = store
                .etcd
                .get(key)
                .map(|pod| Arc::new(PodInfo::new(key, pod)))
            else {
                continue;
            };
            if other.priority >= cycle.pod.priority {
                crowded.add(&other);
                with.update(&other, node, 1);
                any = true;
            }
        }
        if any {
            with.filter(store, &crowded)?;
        }
    }
    cycle.filter(store, node)
}

/// Filters nodes from `start` on until there are enough; gives back where to start next time.
fn find_feasible(
    cache: &Cache,
    cycle: &Cycle,
    start: usize,
    search: &mut Search,
    check: impl Fn(&Cache, usize) -> Result<(), Failure>,
) -> usize {
    let order = cache.order();
    let confined: Option<BTreeSet<usize>> = cycle
        .node_affinity
        .names()
        .map(|names| names.iter().filter_map(|n| cache.place(n)).collect());
    let count = confined.as_ref().map_or(order.len(), BTreeSet::len);
    let enough = enough_nodes(count);
    let mut looked_at = 0;
    for at in 0..order.len() {
        let Some(&place) = order.get((start + at) % order.len()) else {
            continue;
        };
        if confined
            .as_ref()
            .is_some_and(|names| !names.contains(&place))
        {
            search.failures.insert(
                place,
                Failure::unresolvable(Reason::Confined("NodeAffinity")),
            );
            continue;
        }
        looked_at += 1;
        match check(cache, place) {
            Ok(()) => search.feasible.push(place),
            Err(failure) => drop(search.failures.insert(place, failure)),
        }
        if search.feasible.len() >= enough {
            break;
        }
    }
    if confined.is_some() {
        start
    } else {
        (start + looked_at) % order.len().max(1)
    }
}

/// How many feasible nodes are enough to choose from (percentageOfNodesToScore: adaptive).
fn enough_nodes(count: usize) -> usize {
    const MIN: usize = 100;
    if count < MIN {
        return count;
    }
    let percentage = 50_usize.saturating_sub(count / 125).max(5);
    (count * percentage / 100).max(MIN)
}
