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
    /// Its owners and dependents: ids.
    pub relatives: Vec<String>,
    /// Command lines that say more about it, or change it.
    pub commands: Vec<String>,
    /// For an object: its YAML, without the bookkeeping of who set which field.
    pub yaml: String,
}

/// Some of what the API server stores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectTable {
    /// The objects, as many as were asked for.
    pub rows: Vec<ObjectRow>,
    /// How many there are.
    pub all: usize,
}

/// An object in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRow {
    /// `object:deployments.apps/default/web`
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub revision: String,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The commands, oldest first: the event's number and the command line.
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
