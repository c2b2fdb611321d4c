//! Where in time a simulation is: what is broken there, what is still being carried out, and the branches of its past.

use serde::{Deserialize, Serialize};

use crate::geometry::Point;

/// Something that is broken on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broken {
    /// Its number.
    pub number: u32,
    /// What is broken: `kubelet worker-1 is stopped`.
    pub text: String,
    /// The event that tells of it.
    pub event: u32,
    /// Simulated milliseconds since the start when it was broken.
    pub since_ms: u64,
    /// The command line that mends it.
    pub mend: String,
    /// What on the map it is about, by id, and where its mark is drawn.
    pub marks: Vec<(String, Point)>,
}

/// A command that lets time run and is not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The terminal that it was given to.
    pub place: String,
    /// How far it is, in thousandths.
    pub share: u16,
}

/// The past is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The present: simulated milliseconds since the start.
    pub end_ms: u64,
    /// The last event of the present.
    pub last: u32,
}

/// The lines of history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// The branches in the order of their beginnings; the one that is looked at among them.
    pub branches: Vec<BranchLine>,
    /// Simulated milliseconds since the start.
    pub now_ms: u64,
    /// How the latest event came about: itself, its cause, that one's cause, to the command.
    pub causes: Vec<Cause>,
}

/// One line of history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BranchLine {
    /// Its number, from 1.
    pub number: usize,
    /// Whether it is the one that is looked at.
    pub current: bool,
    /// The branch that it leaves; none for the first.
    pub left: Option<usize>,
    /// The command line that leads to it.
    pub switch: String,
    /// Where it begins, in simulated milliseconds.
    pub from_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// What people did on it, oldest first; of very much the latest.
    pub marks: Vec<TimeMark>,
}

/// Something that people did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeMark {
    /// The event.
    pub event: u32,
    /// Simulated milliseconds since the start.
    pub at_ms: u64,
    /// What kind of thing.
    pub kind: MarkKind,
    /// The command line, or what was broken.
    pub text: String,
}

/// What people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarkKind {
    /// The cluster was started.
    Boot,
    /// A command.
    Command,
    /// Something was broken or mended.
    Fault,
}

/// A link in the chain of causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The event.
    pub event: u32,
    /// Simulated milliseconds since the start.
    pub at_ms: u64,
    /// Who did it; empty for a command.
    pub who: String,
    /// What it did, in words.
    pub what: String,
}
