//! The simulation's state and its clock.
//!
//! A [`Cluster`] is a plain value: cloning it is a snapshot, and two clones that are driven alike
//! stay alike. Time goes on only in [`Cluster::step`], one task after the other.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kubarium_linux::Network;
use kubarium_objects::{ObjectKey, Text, Value};

use crate::alike::Alike;
use crate::api::Allocators;
use crate::api::custom::{self, Definitions};
use crate::api::managers::Writer;
use crate::api::{addresses, flow_control};
use crate::config::Config;
use crate::controllers;
use crate::etcd::{Content, Etcd};
use crate::event::{Action, Component, Event, EventId, EventLog};
use crate::faults::Faults;
use crate::index::Indexes;
use crate::kube_proxy::Proxies;
use crate::machine::{Ground, Machine};
use crate::queue::Queue;
use crate::recorder::{Note, Recorder};
use crate::rng::Rng;
use crate::run::Run;
use crate::scheduler::Scheduler;
use crate::shared_map::SharedMap;
use crate::task::{self, Task};
use crate::time::Time;
use crate::{kube_proxy, kubelet, load, network_policy, scheduler};

/// A whole cluster at one moment.
#[derive(Clone)]
pub struct Cluster {
    /// How it was set up.
    pub config: Arc<Config>,
    /// The moment.
    pub now: Time,
    /// The source of every random choice.
    pub rng: Rng,
    /// What happened so far.
    pub log: EventLog,
    /// What is still to happen.
    pub queue: Queue,
    /// The stored objects. Written through the API server only.
    pub etcd: Etcd,
    /// What informers know beside the objects.
    pub index: Indexes,
    /// The machines' network: namespaces, links, rules, connections.
    pub net: Network,
    /// The machines by name, with what runs on them.
    pub machines: SharedMap<Text, Arc<Machine>>,
    /// What the machines share.
    pub ground: Ground,
    /// The scheduler's queue.
    pub scheduler: Scheduler,
    /// What the kube-proxies of all nodes know.
    pub proxies: Proxies,
    pub(crate) policies: network_policy::Engine,
    /// What is broken on purpose.
    pub(crate) faults: Faults,
    /// Components that are stopped; their tasks wait in `held`.
    stopped: BTreeSet<Component>,
    held: BTreeMap<Task, Option<EventId>>,
    pub(crate) allocators: Allocators,
    pub(crate) definitions: Definitions,
    pub(crate) recorder: Recorder,
    pub(crate) retries: controllers::Retries,
    /// Volumes that the provisioner is making.
    pub(crate) provisioning: BTreeSet<Text>,
    /// Volumes that are being attached or detached.
    pub(crate) attaching: controllers::attach_detach::Attaching,
    /// Pods that leave tainted nodes after a while.
    pub(crate) evictions: controllers::Evictions,
    /// What the autoscalers remember.
    pub(crate) autoscalers: BTreeMap<ObjectKey, controllers::Autoscaled>,
    /// The loads that a person has dialled.
    pub(crate) loads: load::Loads,
    pub(crate) alike: Alike,
    /// The nodes that the node controller has seen, by uid.
    pub(crate) known_nodes: Arc<BTreeSet<Text>>,
    /// The event that set off what is being done now.
    cause: Option<EventId>,
    last_change: Time,
    /// How many tasks have been carried out.
    steps: u64,
}

/// A write to the store, as watchers see it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The object's key.
    pub key: ObjectKey,
    /// The object before; `None` when it was made.
    pub old: Option<Value>,
    /// The object after; `None` when it was removed.
    pub new: Option<Value>,
    /// What [`controllers::pods::matters`] says of it: many controllers ask.
    pub(crate) matters: OnceCell<bool>,
}

impl Change {
    /// The object after the change, or as it was last.
    pub fn object(&self) -> &Value {
        static NULL: Value = Value::Null;
        self.new.as_ref().or(self.old.as_ref()).unwrap_or(&NULL)
    }

    /// Whether the value at `path` differs between before and after.
    pub fn differs(&self, path: &[&str]) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => !old.at(path).same(new.at(path)),
            _ => true,
        }
    }
}

impl Cluster {
    /// A cluster of that configuration, started and at rest: its machines have joined, and what it
    /// starts with runs.
    pub fn new(config: Config) -> Cluster {
        let mut cluster = Cluster::empty(config);
        crate::bootstrap::boot(&mut cluster);
        cluster
    }

    pub(crate) fn empty(config: Config) -> Cluster {
        let config = config.with_room();
        let proxies = Proxies::new(&config);
        Cluster {
            rng: Rng::new(config.seed),
            allocators: Allocators::new(&config),
            definitions: Definitions::default(),
            config: Arc::new(config),
            now: Time::default(),
            log: EventLog::default(),
            queue: Queue::default(),
            etcd: Etcd::default(),
            index: Indexes::default(),
            net: Network::default(),
            machines: SharedMap::default(),
            ground: Ground::default(),
            scheduler: Scheduler::default(),
            proxies,
            policies: network_policy::Engine::default(),
            faults: Faults::default(),
            stopped: BTreeSet::new(),
            held: BTreeMap::new(),
            recorder: Recorder::default(),
            retries: controllers::Retries::default(),
            provisioning: BTreeSet::new(),
            attaching: BTreeMap::new(),
            evictions: controllers::Evictions::default(),
            autoscalers: BTreeMap::new(),
            loads: load::Loads::new(),
            alike: Alike::default(),
            known_nodes: Arc::default(),
            cause: None,
            last_change: Time::default(),
            steps: 0,
        }
    }

    // --- Events -----------------------------------------------------------------------------

    /// Writes an event into the log, caused by what is being done now.
    pub fn log(
        &mut self,
        from: &Component,
        action: Action,
        object: Option<&ObjectKey>,
        text: impl Into<Text>,
    ) -> EventId {
        self.log_write(from, action, object, None, text.into())
    }

    fn log_write(
        &mut self,
        from: &Component,
        action: Action,
        object: Option<&ObjectKey>,
        revision: Option<u64>,
        text: Text,
    ) -> EventId {
        let id = EventId(u32::try_from(self.log.len()).unwrap_or(u32::MAX));
        let event = Event {
            id,
            at: self.now,
            cause: self.cause,
            from: from.clone(),
            action,
            object: object.cloned(),
            revision,
            text,
        };
        self.log.push(event);
        id
    }

    /// The event that set off what is being done now.
    pub fn cause(&self) -> Option<EventId> {
        self.cause
    }

    /// Does something whose events are caused by `cause`.
    pub fn caused_by<T>(
        &mut self,
        cause: Option<EventId>,
        what: impl FnOnce(&mut Cluster) -> T,
    ) -> T {
        let before = std::mem::replace(&mut self.cause, cause);
        let result = what(self);
        self.cause = before;
        result
    }

    // --- Time -------------------------------------------------------------------------------

    /// Asks for a task after `delay`, caused by what is being done now.
    pub fn enqueue(&mut self, task: Task, delay: Duration) {
        self.queue.add(self.now + delay, task, self.cause);
    }

    /// Carries out the next task; `false` when none is left.
    pub fn step(&mut self) -> bool {
        let Some(due) = self.queue.pop() else {
            return false;
        };
        self.now = self.now.max(due.at);
        self.steps += 1;
        if self.faults.any() || !self.stopped.is_empty() {
            if self.is_lost(&due.task) {
                return true;
            }
            if self.is_held(&due.task) {
                self.held.entry(due.task).or_insert(due.cause);
                return true;
            }
            if let Some(delay) = self.is_delayed(&due.task) {
                self.queue.add(self.now + delay, due.task, due.cause);
                return true;
            }
        }
        let before = std::mem::replace(&mut self.cause, due.cause);
        task::run(self, due.task);
        self.cause = before;
        true
    }

    /// How many tasks have been carried out since the start: with the time, the exact place between
    /// two tasks at which a command was given.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Lets time run to `until`, everything done that is due by then.
    pub fn run_until(&mut self, until: Time) {
        while !self.run_slice(&Run::until(until), usize::MAX) {}
    }

    /// Lets time run until `done` says so, `limit` at the longest; whether it did.
    pub fn run_while(&mut self, limit: Duration, mut done: impl FnMut(&Cluster) -> bool) -> bool {
        let run = Run::until(self.now + limit);
        while !done(self) {
            if self.run_slice(&run, 1) {
                return done(self);
            }
        }
        true
    }

    /// Lets time run until nothing but heartbeats has changed for `quiet`, `limit` at the longest.
    pub fn settle(&mut self, quiet: Duration, limit: Duration) {
        let run = Run::settle(self, quiet, limit);
        while !self.run_slice(&run, usize::MAX) {}
    }

    /// When anything but a heartbeat was written last.
    pub(crate) fn last_change(&self) -> Time {
        self.last_change
    }

    // --- Components that are stopped ----------------------------------------------------------

    /// Stops a component: what it has to do waits until it is started again.
    pub fn stop(&mut self, component: Component) {
        if let Component::KubeProxy(node) = &component {
            kube_proxy::stopped(self, node);
        }
        self.stopped.insert(component);
    }

    /// Starts a stopped component: what waited is due now.
    pub fn start(&mut self, component: &Component) {
        if !self.stopped.remove(component) {
            return;
        }
        if let Component::KubeProxy(node) = component {
            kube_proxy::started(self, node);
        }
        self.release_held();
    }

    /// What waited is due now; what still has to wait, waits on.
    pub(crate) fn release_held(&mut self) {
        for (task, cause) in std::mem::take(&mut self.held) {
            self.queue.add(self.now, task, cause);
        }
    }

    /// The stopped components.
    pub fn stopped(&self) -> &BTreeSet<Component> {
        &self.stopped
    }

    // --- Machines -----------------------------------------------------------------------------

    /// A machine, to be changed.
    pub fn machine_mut(&mut self, name: &str) -> Option<&mut Machine> {
        self.machines.get_mut(name).map(Arc::make_mut)
    }

    // --- The store --------------------------------------------------------------------------

    /// Stores a write that the API server has accepted, logs it, and tells the watchers.
    pub(crate) fn commit(
        &mut self,
        by: &Component,
        action: Action,
        key: &ObjectKey,
        new: Option<Value>,
        text: Text,
    ) -> Option<Value> {
        let writer = Writer::of(by, action, key);
        self.commit_by(by, action, key, new, text, writer)
    }

    /// The same, with who is to be noted as the manager of the fields that change.
    pub(crate) fn commit_by(
        &mut self,
        by: &Component,
        action: Action,
        key: &ObjectKey,
        new: Option<Value>,
        text: Text,
        writer: Writer,
    ) -> Option<Value> {
        let old = self.etcd.get(key).cloned();
        let mut many = false;
        let stored = match new {
            Some(object) => {
                let object = self.etcd.put(key, object, writer, self.now);
                many = self.etcd.has_many_writes(key);
                Some(object)
            }
            None => {
                self.etcd.delete(key);
                None
            }
        };
        if many {
            let managers = self.managed_fields(key);
            self.etcd.set_managers(key, managers);
        }
        let heartbeat = matches!(&*key.resource, "leases.coordination.k8s.io");
        if heartbeat && action != Action::Create {
            return stored;
        }
        self.index.change(key, old.as_ref(), stored.as_ref());
        let revision = Some(self.etcd.revision());
        let event = self.log_write(by, action, Some(key), revision, text);
        if let Some(version) = stored.as_ref().or(old.as_ref()) {
            self.log.remember(event, Content::Object(version.clone()));
        }
        // Kubernetes' own Event objects tell of changes, they are none.
        if &*key.resource != "events" {
            self.last_change = self.now;
            let change = Change {
                key: key.clone(),
                old,
                new: stored.clone(),
                matters: OnceCell::new(),
            };
            self.caused_by(Some(event), |cluster| {
                custom::changed(cluster, &change);
                flow_control::changed(cluster, key);
                addresses::changed(cluster, &change);
                cluster.notify(&change);
            });
        }
        stored
    }

    /// Stores an Event that a component has recorded, as a note.
    pub(crate) fn commit_note(
        &mut self,
        by: &Component,
        action: Action,
        key: &ObjectKey,
        note: impl FnOnce(u64) -> Note,
    ) {
        let note = self.etcd.put_note(key, note);
        let revision = Some(self.etcd.revision());
        let event = self.log_write(by, action, Some(key), revision, Text::default());
        self.log.remember(event, Content::Note(note));
    }

    fn notify(&mut self, change: &Change) {
        controllers::observe(self, change);
        scheduler::observe(self, change);
        kubelet::observe(self, change);
        kube_proxy::observe(self, change);
        network_policy::observe(self, change);
    }
}
