//! What a page and its simulator say to each other.
//!
//! The page sends [`ToSimulator`]: requests, each with a number, and word that it has drawn the last update. The
//! simulator sends [`FromSimulator`]: an answer to each request, in any order, and updates of what has changed since the
//! last, one at a time. A new view is a new [`Request`] with its [`Reply`].

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::change::MapChange;
use crate::geometry::Point;
use crate::inside::Inside;
use crate::inspect::{Card, ObjectTable, Timeline, Version};
use crate::lane::Lane;
use crate::rules::RuleBook;
use crate::time::{Broken, Past, Times, Work};

/// From the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToSimulator {
    /// Answer this.
    Ask {
        /// The number under which the answer is sent.
        id: u32,
        /// What is asked.
        request: Request,
    },
    /// The answer to this number is no longer wanted: what has not begun is not begun.
    Cancel {
        /// The request's number.
        id: u32,
    },
    /// The last update has been drawn: the next may come.
    Drawn,
}

/// What can be asked of a simulator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Let time run, or pause. [`Reply::Done`].
    Run(bool),
    /// So many simulated seconds in a second. [`Reply::Done`].
    Speed(f64),
    /// Draw so many nodes beside each other; 0 for as many as look well. [`Reply::Done`].
    Across(usize),
    /// Run to the next event, and pause. [`Reply::Done`].
    StepTime,
    /// Go back to the event before, and pause. [`Reply::Done`].
    StepBack,
    /// Go to just after an event, and pause. [`Reply::Done`].
    GoTo(u32),
    /// Go to the last event of the branch up to that moment, in simulated milliseconds, and pause. [`Reply::Done`].
    GoToTime(u64),
    /// The lines of history. [`Reply::Times`].
    Times,
    /// Look for what is drawn. [`Reply::Found`].
    Find {
        /// A label selector, or a part of a name, an address, a status, an image, a label.
        text: String,
        /// The namespace; empty for all.
        namespace: String,
        /// A resource: `pods`, `services`, or one whose pods are meant (`deployments.apps`); empty for all.
        kind: String,
    },
    /// What is inside the network namespace of a node or a pod. [`Reply::Inside`].
    Inside(String),
    /// Run a command line in the terminal. [`Reply::Output`]; what goes on longer is told by [`Update::terminals`].
    Command(String),
    /// Type a line in a terminal: at the workstation's prompt, or at that of a shell that it has opened elsewhere (`ssh`,
    /// `kubectl exec -it`). One on a node or in a pod opens that shell first; an empty line does nothing more.
    /// [`Reply::Output`].
    CommandAt {
        /// Which terminal: empty for the workstation's first, `node:worker-1`, `host:outside`, `pod:default/web-1`; a further
        /// one at the same place has a number behind it: `#2`, `node:worker-1#2`.
        place: String,
        /// The command line.
        line: String,
    },
    /// End what goes on in a terminal, as Ctrl C does. [`Reply::Done`].
    Interrupt(String),
    /// Close a terminal: what runs in it ends. [`Reply::Done`].
    CloseTerminal(String),
    /// Say what could stand at the end of the beginning of a command line. [`Reply::Completion`].
    Complete {
        /// Where it is typed; empty for the workstation.
        place: String,
        /// The line.
        line: String,
    },
    /// Run a command line that only looks, on a copy: nothing changes, and no event tells of it. [`Reply::Output`].
    Look(String),
    /// The latest versions of the object with this id, newest first. [`Reply::History`].
    History(String),
    /// Write a file of the terminal's own, and `kubectl apply -f` it. [`Reply::Output`].
    Apply {
        /// The file's name.
        file: String,
        /// The manifests.
        text: String,
    },
    /// Describe what has this id. [`Reply::Card`].
    Inspect(String),
    /// List what is stored. [`Reply::Objects`].
    Objects {
        /// The resource, `deployments.apps`; empty for all but Events.
        resource: String,
        /// The namespace; empty for all, and for objects that have none.
        namespace: String,
        /// A part of a kind, a namespace or a name.
        find: String,
        /// Whether dependents stand below their owners.
        tree: bool,
        /// The most rows.
        most: usize,
    },
    /// A node's rules. [`Reply::Rules`].
    Rules {
        /// The node.
        node: String,
        /// The table: `nat`.
        table: String,
        /// The lane whose packet lights what it met.
        lane: Option<u32>,
        /// Only chains with a rule in which this stands: a Service's name, an address; empty for all.
        find: String,
    },
    /// What happened. [`Reply::Timeline`].
    Timeline {
        /// The event whose consequences are wanted; none for the latest of all.
        root: Option<u32>,
        /// The most messages, where there is no root.
        most: usize,
    },
    /// A [`Question`](crate::rare::Question) in its binary form. [`Reply::Rare`].
    Rare(Vec<u8>),
    /// Something about lessons, sharing, or a page that embeds this one: a [`crate::lesson::Ask`] in its binary form, which
    /// only the part of the page that shows lessons knows. [`Reply::Lesson`].
    Lesson(Vec<u8>),
}

/// From the simulator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromSimulator {
    /// What has changed since the last update.
    Update(Box<Update>),
    /// The answer to a request.
    Answer {
        /// The request's number.
        id: u32,
        /// The answer.
        reply: Reply,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// What a command printed.
    Output(Box<Output>),
    /// What has an id; none where nothing has.
    Card(Sealed<Option<Card>>),
    /// What is stored.
    Objects(Sealed<ObjectTable>),
    /// An object's versions.
    History(Sealed<Vec<Version>>),
    /// What could stand at the end of a line.
    Completion(Completion),
    /// A node's rules.
    Rules(Sealed<RuleBook>),
    /// What happened.
    Timeline(Sealed<Timeline>),
    /// The answer to a rare question, in its binary form.
    Rare(Vec<u8>),
    /// The lines of history.
    Times(Sealed<Times>),
    /// What was looked for.
    Found(Box<Found>),
    /// What is inside a network namespace; none where there is no such thing.
    Inside(Sealed<Option<Inside>>),
    /// A [`crate::lesson::Said`] in its binary form.
    Lesson(Vec<u8>),
}

/// What a command line printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The command line.
    pub command: String,
    /// What it printed.
    pub text: String,
    /// Its exit status; none while it goes on.
    pub status: Option<i32>,
    /// What stands before the next line of its terminal; empty at the workstation.
    pub prompt: String,
    /// The packet that it sent, to be followed.
    pub lane: Option<Box<Lane>>,
}

/// What was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The ids of what was found, pods first.
    pub ids: Vec<String>,
    /// How many of them are pods.
    pub pods: usize,
    /// What is wrong with the selector; empty where nothing is.
    pub wrong: String,
}

/// What could stand at the end of the beginning of a command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Where the last word begins, in bytes: what stands from here on is replaced.
    pub start: usize,
    /// The words, each with what it is for; that may be empty.
    pub words: Vec<(String, String)>,
}

/// What the command line that goes on in a terminal has done since the last update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Going {
    /// Which terminal.
    pub place: String,
    /// What it wrote.
    pub text: String,
    /// Its exit status; none while it goes on.
    pub status: Option<i32>,
    /// What stands before the next line; empty at the workstation.
    pub prompt: String,
}

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Simulated milliseconds since the start.
    pub now_ms: u64,
    /// How many events there are. Whoever shows more than the map asks again when this changes.
    pub events: u32,
    /// Whether time runs.
    pub running: bool,
    /// Simulated seconds in a second.
    pub speed: f64,
    /// What changed on the map.
    pub map: Option<Box<MapChange>>,
    /// For each lane that is followed, by its number: the way on the map to each of its steps.
    pub ways: Vec<(u32, Vec<Vec<Point>>)>,
    /// The terminals in which the command line that goes on has written or ended.
    pub terminals: Vec<Going>,
    /// What is broken, where that has changed.
    pub broken: Option<Vec<Broken>>,
    /// A command that lets time run and is not over.
    pub work: Option<Work>,
    /// Whether the past is looked at.
    pub past: Option<Past>,
    /// Messages for a page that embeds this one.
    pub told: Vec<String>,
}

/// A picture in its binary form, until somebody looks at it: what carries it need not know how it is read, so that the first
/// view of a page has not to bring what only later views open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed<T> {
    bytes: Vec<u8>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Serialize> Sealed<T> {
    /// Seals a picture.
    pub fn of(picture: &T) -> Sealed<T> {
        Sealed {
            bytes: encode(picture),
            kind: PhantomData,
        }
    }
}

impl<T: DeserializeOwned + Default> Sealed<T> {
    /// What is in it; an empty one where it cannot be read.
    pub fn open(&self) -> T {
        decode(&self.bytes).unwrap_or_default()
    }
}

/// The binary form of a message.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    // A message is plain data with lengths known: there is none that cannot be written.
    postcard::to_allocvec(message).unwrap_or_default()
}

/// A message from its binary form; none where it is no such message.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was() {
        let message = ToSimulator::Ask {
            id: 7,
            request: Request::Apply {
                file: "größe.yaml".to_owned(),
                text: "a: 1\n".to_owned(),
            },
        };
        assert_eq!(decode(&encode(&message)), Some(message));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in [
            &[][..],
            &[9],
            &[0, 1],
            &[0, 1, 5, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(decode::<ToSimulator>(bytes), None);
        }
    }
}
