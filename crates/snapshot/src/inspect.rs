//! What there is to say about one thing, or about all of a kind, and about a text of manifests.

use serde::{Deserialize, Serialize};

use crate::conversation::Conversation;

/// What there is to say about something that is selected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// What it is about: `pod:default/web-1`, `object:deployments.apps/default/web`, `device:worker-1/cbr0`.
    pub id: String,
    /// Its name.
    pub title: String,
    /// The object's kind; empty for what is no object.
    pub kind: String,
    /// For an object: the path of the REST API under which it is found.
    pub rest: String,
    /// For an object: its key in etcd.
    pub etcd: String,
    /// For a device: its node.
    pub node: String,
    /// What is wanted and what there is, where both can be told.
    pub aims: Vec<Aim>,
    /// Its owners and dependents, each owner before its dependents, of very many some; the object itself is among them.
    pub family: Vec<Relative>,
    /// Command lines that say more about it.
    pub looks: Vec<String>,
    /// What can be done to it.
    pub changes: Vec<Deed>,
    /// What can go wrong with it.
    pub faults: Vec<Deed>,
    /// The command line that describes it; empty where none does.
    pub describe: String,
    /// Whether it is a network namespace, or stands in one that can be looked into.
    pub has_inside: bool,
    /// For an object: its YAML, without the bookkeeping of who set which field.
    pub yaml: String,
}

/// Something that can be done to a thing, and the command line that does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What is done.
    pub verb: Verb,
    /// To what of it, where there are several: a container, an image, another node, a share; may be empty.
    pub of: String,
    /// The command line.
    pub command: String,
}

/// What can be done to a thing. Whoever shows it has a word for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// To so many replicas.
    Scale,
    /// A workload's pods are made anew.
    Restart,
    /// A workload goes back to what it was.
    Undo,
    /// No more pods come to a node.
    Cordon,
    /// Pods come to it again.
    Uncordon,
    /// Its pods go elsewhere.
    Drain,
    /// A machine leaves.
    Remove,
    /// An object is deleted.
    Delete,
    /// A component does nothing.
    Stop,
    /// A component does everything later.
    Slow,
    /// A component begins anew.
    Anew,
    /// A node's components do not reach the API server.
    Cut,
    /// A machine has no power.
    PowerOff,
    /// A network card is down.
    LinkDown,
    /// A network card loses packets.
    Lose,
    /// What a network card sends arrives later.
    Delay,
    /// A machine reaches no other.
    Part,
    /// A container's process is killed.
    Kill,
    /// A container's process runs out of memory.
    OutOfMemory,
    /// An image is not in the registry.
    ImageMissing,
    /// The registry does not answer.
    RegistryDown,
    /// A node runs out of memory.
    Memory,
    /// A node runs out of disk.
    Disk,
    /// A node runs out of process numbers.
    Pid,
    /// A rule is deleted.
    DeleteRule,
}

/// Something that is wanted, beside what there is of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aim {
    /// Of what: `replicas`, `updated`, `ready`.
    pub of: String,
    /// What is wanted.
    pub wanted: String,
    /// What there is.
    pub is: String,
}

/// A place in the tree of owners and dependents; `depth` is how many owners stand above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relative {
    /// An object.
    Object {
        /// Its id.
        id: String,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Its depth.
        depth: usize,
    },
    /// More objects of the owner above than are shown.
    More {
        /// Their kind.
        kind: String,
        /// How many.
        count: usize,
        /// The command line that lists all.
        command: String,
        /// Their depth.
        depth: usize,
    },
}

/// An object as one write left it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The event of the write.
    pub event: u32,
    /// etcd's revision.
    pub revision: u64,
    /// Seconds since the simulation began.
    pub at_seconds: f64,
    /// Who wrote it.
    pub by: String,
    /// What kind of write: `create`, `status`, …
    pub verb: String,
    /// The fields that differ from the version before, as far as they are shown.
    pub fields: Vec<FieldChange>,
    /// How many more there are.
    pub more: usize,
}

/// A field that a write changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its path: `spec.template.spec.containers[0].image`.
    pub path: String,
    /// What it was; empty where it was not there.
    pub before: String,
    /// What it is; empty where it is no longer there.
    pub after: String,
}

/// Some of what the API server stores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectTable {
    /// The resources of which there are objects.
    pub resources: Vec<Stored>,
    /// The namespaces.
    pub namespaces: Vec<String>,
    /// The names of the columns: for one resource those of `kubectl get`.
    pub columns: Vec<String>,
    /// The objects, as many as were asked for.
    pub rows: Vec<ObjectRow>,
    /// How many there are.
    pub all: usize,
}

/// A resource of which there are objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// `deployments.apps`
    pub resource: String,
    /// `Deployment`
    pub kind: String,
    /// How many objects there are.
    pub count: usize,
}

/// An object in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRow {
    /// `object:deployments.apps/default/web`
    pub id: String,
    /// How many owners stand above it.
    pub depth: usize,
    /// A cell for each column.
    pub cells: Vec<String>,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The commands that have set something off, oldest first: the event's number and the command line.
    pub commands: Vec<(u32, String)>,
    /// Who told whom.
    pub talk: Conversation,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// The API server would refuse it.
    Error,
    /// It would be taken, but probably not as meant.
    Warning,
    /// It could be said better.
    Hint,
}

/// Something to say about a place in a text. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The line where it begins.
    pub line: u32,
    /// The column where it begins.
    pub column: u32,
    /// The line where it ends.
    pub end_line: u32,
    /// The column before which it ends.
    pub end_column: u32,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}
