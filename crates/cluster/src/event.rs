//! The log of everything that happened, each event with its cause.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, OnceLock};

use kubarium_objects::{ObjectKey, Text, Value};

use crate::etcd::Content;
use crate::time::Time;

mod packed;

use packed::Packed;

/// An event's number: its place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u32);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who does something. Components on a node carry the node's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// A person, at a terminal or with the mouse.
    Person,
    /// The API server.
    ApiServer,
    /// The scheduler.
    Scheduler,
    /// One of the controller manager's loops, by its name (`replicaset-controller`).
    Controller(&'static str),
    /// The kubelet of a node.
    Kubelet(Text),
    /// The container runtime (containerd) of a node.
    Runtime(Text),
    /// The CNI plugins of a node.
    Cni(Text),
    /// The kube-proxy of a node.
    KubeProxy(Text),
    /// The network itself: links and packets.
    Network,
    /// What runs in a pod (`default/web-1`).
    Process(Text),
    /// Something that was broken or mended on purpose.
    Fault,
}

impl Component {
    /// The component's usual name: `kube-scheduler`, `replicaset-controller`, `kubelet`.
    pub fn name(&self) -> &str {
        match self {
            Component::Person => "kubectl",
            Component::ApiServer => "kube-apiserver",
            Component::Scheduler => "kube-scheduler",
            Component::Controller(name) => name,
            Component::Kubelet(_) => "kubelet",
            Component::Runtime(_) => "containerd",
            Component::Cni(_) => "cni",
            Component::KubeProxy(_) => "kube-proxy",
            Component::Network => "network",
            Component::Process(pod) => pod,
            Component::Fault => "fault",
        }
    }

    /// The node on which it runs, for components that run on every node.
    pub fn node(&self) -> Option<&Text> {
        match self {
            Component::Kubelet(n)
            | Component::Runtime(n)
            | Component::Cni(n)
            | Component::KubeProxy(n) => Some(n),
            _ => None,
        }
    }
}

/// `kubelet worker-1`, `kube-scheduler`.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node() {
            Some(node) => write!(f, "{} {node}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The cluster was started.
    Boot,
    /// A person gave a command.
    Command,
    /// A write at the API server: a new object.
    Create,
    /// A write at the API server: a changed object.
    Update,
    /// A write at the API server: a changed status (or another subresource).
    UpdateStatus,
    /// A write at the API server: an object was marked for deletion.
    MarkDeleted,
    /// A write at the API server: an object is gone from etcd.
    Delete,
    /// The API server refused a request.
    Refuse,
    /// The scheduler decided.
    Schedule,
    /// The kubelet called the container runtime (CRI), or the runtime reports.
    Cri,
    /// The runtime called a CNI plugin.
    Cni,
    /// Links, addresses, routes or rules of a node changed.
    Configure,
    /// A probe ran.
    Probe,
    /// A process started, wrote or ended.
    Process,
    /// A connection was made (or not).
    Connect,
    /// Something was broken or mended on purpose.
    Fault,
}

impl Action {
    /// All of them, in their order.
    const ALL: [Action; 16] = [
        Action::Boot,
        Action::Command,
        Action::Create,
        Action::Update,
        Action::UpdateStatus,
        Action::MarkDeleted,
        Action::Delete,
        Action::Refuse,
        Action::Schedule,
        Action::Cri,
        Action::Cni,
        Action::Configure,
        Action::Probe,
        Action::Process,
        Action::Connect,
        Action::Fault,
    ];

    /// The word that the log prints.
    pub fn word(self) -> &'static str {
        match self {
            Action::Boot => "boot",
            Action::Command => "command",
            Action::Create => "create",
            Action::Update => "update",
            Action::UpdateStatus => "status",
            Action::MarkDeleted => "terminate",
            Action::Delete => "delete",
            Action::Refuse => "refuse",
            Action::Schedule => "schedule",
            Action::Cri => "cri",
            Action::Cni => "cni",
            Action::Configure => "configure",
            Action::Probe => "probe",
            Action::Process => "process",
            Action::Connect => "connect",
            Action::Fault => "fault",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// The event that set it off; `None` for a person's command and for the start.
    pub cause: Option<EventId>,
    /// Who did it.
    pub from: Component,
    /// What kind of thing.
    pub action: Action,
    /// The API object concerned.
    pub object: Option<ObjectKey>,
    /// etcd's revision after a write.
    pub revision: Option<u64>,
    /// What a person reads.
    pub text: Text,
}

/// `12.345s  #17<-12  replicaset-controller  create  pods default/web-x  …`
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  #{}", self.at, self.id)?;
        if let Some(cause) = self.cause {
            write!(f, "<-{cause}")?;
        }
        write!(f, "  {}  {}", self.from, self.action.word())?;
        if let Some(object) = &self.object {
            write!(f, "  {object}")?;
        }
        if let Some(revision) = self.revision {
            write!(f, "  @{revision}")?;
        }
        if !self.text.is_empty() {
            write!(f, "  {}", self.text)?;
        }
        Ok(())
    }
}

const CHUNK: usize = 512;
/// So many chunks at the end are kept as they are; older ones are packed.
const OPEN: usize = 2;
/// Of so many writes the objects are kept, as etcd keeps them until it compacts its history.
const VERSIONS: usize = 1024;

/// All events so far. Cloning is cheap: full chunks are shared.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    chunks: Vec<Arc<Chunk>>,
    versions: VecDeque<(EventId, Content)>,
}

/// Events in a row. Old ones are packed, and unpacked when somebody looks at them.
#[derive(Clone, Debug, Default)]
struct Chunk {
    packed: Option<Packed>,
    events: OnceLock<Vec<Event>>,
}

impl Chunk {
    fn events(&self) -> &[Event] {
        self.events
            .get_or_init(|| self.packed.as_ref().map(Packed::events).unwrap_or_default())
    }
}

impl EventLog {
    /// How many events there are; the next one gets this number.
    pub fn len(&self) -> usize {
        match self.chunks.last() {
            Some(last) => (self.chunks.len() - 1) * CHUNK + last.events().len(),
            None => 0,
        }
    }

    /// Whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The event of that number.
    pub fn get(&self, id: EventId) -> Option<&Event> {
        self.chunks
            .get(id.0 as usize / CHUNK)?
            .events()
            .get(id.0 as usize % CHUNK)
    }

    /// The object as a write has stored it; as it was last for a deletion. Kept for the last
    /// writes only, as etcd compacts its history; older states are to be gone back to.
    pub fn stored(&self, id: EventId) -> Option<&Value> {
        let at = self
            .versions
            .binary_search_by_key(&id, |(id, _)| *id)
            .ok()?;
        self.versions.get(at).map(|(_, content)| content.object())
    }

    /// The first write after a revision of which the object is kept.
    ///
    /// # Errors
    /// Where writes in between are not kept any more: the newest revision that is forgotten, or none
    /// where nothing is kept.
    pub fn after_revision(&self, revision: u64) -> Result<EventId, Option<u64>> {
        let of = |(id, _): &(EventId, Content)| self.get(*id)?.revision;
        let oldest = self.versions.front().and_then(of).ok_or(None)?;
        if revision.saturating_add(1) < oldest {
            return Err(Some(oldest.saturating_sub(1)));
        }
        let at = self
            .versions
            .partition_point(|v| of(v).unwrap_or(0) <= revision);
        match self.versions.get(at) {
            Some((id, _)) => Ok(*id),
            None => Ok(EventId(u32::try_from(self.len()).unwrap_or(u32::MAX))),
        }
    }

    /// The object under a key as it was before an event, where that is still kept.
    pub fn stored_before(&self, key: &ObjectKey, id: EventId) -> Option<&Value> {
        let end = self.versions.partition_point(|(at, _)| *at < id);
        let same = |(at, _): &&(EventId, Content)| {
            self.get(*at)
                .is_some_and(|e| e.object.as_ref() == Some(key))
        };
        let found = self.versions.range(..end).rev().find(same)?;
        Some(found.1.object())
    }

    /// All events, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.chunks.iter().flat_map(|chunk| chunk.events().iter())
    }

    /// The events from number `from` on, oldest first.
    pub fn since(&self, from: EventId) -> impl Iterator<Item = &Event> {
        let (chunk, within) = (from.0 as usize / CHUNK, from.0 as usize % CHUNK);
        self.chunks
            .iter()
            .skip(chunk)
            .flat_map(|c| c.events().iter())
            .skip(within)
    }

    /// The chain of causes from `id` back to the command (or the start) that set it off, `id` first.
    pub fn causes(&self, id: EventId) -> Vec<EventId> {
        let mut chain = Vec::new();
        let mut next = Some(id);
        while let Some(event) = next.and_then(|id| self.get(id)) {
            chain.push(event.id);
            // A cause is always older, so this ends.
            next = event.cause.filter(|cause| *cause < event.id);
        }
        chain
    }

    /// All events that `id` has set off, itself first, oldest first.
    pub fn effects(&self, id: EventId) -> Vec<EventId> {
        let mut found = std::collections::BTreeSet::new();
        if self.get(id).is_none() {
            return Vec::new();
        }
        found.insert(id);
        // An effect is always younger than its cause: one pass finds them all.
        for event in self.since(id).skip(1) {
            if event.cause.is_some_and(|cause| found.contains(&cause)) {
                found.insert(event.id);
            }
        }
        found.into_iter().collect()
    }

    pub(crate) fn push(&mut self, event: Event) {
        if let Some(last) = self.chunks.last_mut()
            && last.events().len() < CHUNK
            && let Some(events) = Arc::make_mut(last).events.get_mut()
        {
            events.push(event);
            return;
        }
        let first = EventId(u32::try_from(self.chunks.len() * CHUNK).unwrap_or(u32::MAX));
        if let Some(old) = self.chunks.len().checked_sub(OPEN)
            && let Some(chunk) = self.chunks.get_mut(old)
            && chunk.packed.is_none()
        {
            let first = EventId(first.0.saturating_sub((OPEN * CHUNK) as u32));
            *chunk = Arc::new(Chunk {
                packed: Some(Packed::new(first, chunk.events())),
                events: OnceLock::new(),
            });
        }
        let mut events = Vec::with_capacity(CHUNK);
        events.push(event);
        self.chunks.push(Arc::new(Chunk {
            packed: None,
            events: events.into(),
        }));
    }

    /// Keeps what a write has stored.
    pub(crate) fn remember(&mut self, id: EventId, version: Content) {
        if self.versions.len() >= VERSIONS {
            self.versions.pop_front();
        }
        self.versions.push_back((id, version));
    }

    /// Forgets what writes have stored.
    pub(crate) fn compact(&mut self) {
        self.versions = VecDeque::new();
    }
}
