//! Checks: what has to be so, written down as data.
//!
//! A check looks at a terminal's cluster and changes nothing: what it tries (a connection, a
//! command), it tries on a copy. Each says what is still missing in a sentence.

mod decode;
mod evaluate;
mod relevance;

use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_objects::Value;
use kubarium_objects::schema::Resource;

pub use evaluate::Subject;
pub(crate) use relevance::{Mark, Relevance};

/// A condition that a task, a scene's step or a dead end has.
#[derive(Clone, Debug)]
pub struct Check {
    /// What has to be so.
    pub what: What,
    /// The author's own words about what is still missing; may be empty.
    pub explain: String,
}

/// What has to be so.
#[derive(Clone, Debug)]
pub enum What {
    /// An object fits the pattern, or so many do.
    Assert(Objects),
    /// No object fits the pattern.
    Error(Objects),
    /// Who reaches whom, and how.
    Connect(Box<Connect>),
    /// A name, and what DNS says of it.
    Dns(Dns),
    /// What a command prints, and its status.
    Command(Command),
    /// Something happened, in an order.
    Event(Event),
    /// An object's condition, and how long it holds.
    Condition(Condition),
    /// Packets matched a rule.
    Rule(Rule),
    /// A question, and its answer.
    Quiz(Quiz),
}

/// Objects by a pattern.
#[derive(Clone, Debug)]
pub struct Objects {
    /// What kind of objects.
    pub resource: std::sync::Arc<Resource>,
    /// In which namespace; `None`: in any.
    pub namespace: Option<String>,
    /// The object's name; `None`: any.
    pub name: Option<String>,
    /// What has to be in them.
    pub pattern: Value,
    /// How many have to fit, as a number or a comparison; `None`: one at the least.
    pub count: Option<Value>,
}

/// Places that something comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// `pod/NAME[.NAMESPACE]`, `node/NAME` or `outside`.
    Place(String),
    /// Every running pod with these labels.
    Pods {
        /// Their namespace.
        namespace: String,
        /// Their labels.
        labels: BTreeMap<String, String>,
    },
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Connect {
    /// From where.
    pub from: From,
    /// To where: a name, an address or a URL; or `pod/NAME[.NAMESPACE]:PORT`, and so `service/…` and
    /// `node/…`, for the address that it has.
    pub to: String,
    /// A datagram instead of a connection.
    pub udp: bool,
    /// What becomes of it.
    pub verdict: &'static str,
    /// Who answers: a pod's name, or NAMESPACE/NAME; `*` stands for any text.
    pub server: Option<String>,
    /// The source address that the server sees: an address, `client` (the sender's own), `pod/NAME`
    /// or `node/NAME`.
    pub source: Option<String>,
    /// How often it is tried; each time has to come out so.
    pub times: u64,
    /// Hops that the way has, in this order.
    pub hops: Vec<Value>,
    /// Hops that it does not have.
    pub without: Vec<Value>,
}

/// A question to DNS.
#[derive(Clone, Debug)]
pub struct Dns {
    /// Who asks.
    pub from: From,
    /// The name.
    pub name: String,
    /// `A`, `SRV`, …
    pub kind: String,
    /// The answer's code.
    pub code: String,
    /// Values that the answer has; `service/NAME[.NAMESPACE]` and `pod/NAME[.NAMESPACE]` stand for
    /// their addresses.
    pub answers: Vec<String>,
    /// How many values it has.
    pub count: Option<Value>,
}

/// A command.
#[derive(Clone, Debug)]
pub struct Command {
    /// The command line.
    pub run: String,
    /// Its exit status.
    pub status: i32,
    /// Texts that it prints.
    pub contains: Vec<String>,
    /// Texts that it does not print.
    pub lacks: Vec<String>,
    /// A regular expression that fits what it prints.
    pub matches: Option<String>,
}

/// Things that happened, as `sim events -o json` shows them.
#[derive(Clone, Debug)]
pub struct Event {
    /// Patterns of events, in the order in which they happened.
    pub order: Vec<Value>,
    /// Whether each has to be caused by the one before.
    pub caused: bool,
}

/// An object's condition.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Which objects.
    pub of: Objects,
    /// `Ready`, `Available`
    pub kind: String,
    /// `True`, `False`, `Unknown`
    pub status: String,
    /// How long it holds at the least.
    pub since: Duration,
}

/// A rule of iptables.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The node; `None`: any.
    pub node: Option<String>,
    /// `nat`, `filter`, …
    pub table: &'static str,
    /// The chain's name; `*` stands for any text.
    pub chain: String,
    /// The rule as `iptables-save` prints it; `*` stands for any text.
    pub rule: Option<String>,
    /// How many packets matched, as a number or a comparison.
    pub packets: Value,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Quiz {
    /// The question, in Markdown.
    pub question: String,
    /// The answers to choose from; empty where one is to be written.
    pub options: Vec<String>,
    /// Those that are right: all of them have to be chosen. Without options: each is right.
    pub answer: Vec<String>,
}

/// What a learner has answered: the answers chosen or written, by task and check
/// (`TASK/NUMBER`, from 0).
pub type Answers = BTreeMap<String, Vec<String>>;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it is so.
    pub passed: bool,
    /// What is still missing, in a sentence; empty where nothing is.
    pub missing: String,
}

impl Outcome {
    fn passed() -> Outcome {
        Outcome {
            passed: true,
            missing: String::new(),
        }
    }

    fn missing(missing: impl Into<String>) -> Outcome {
        Outcome {
            passed: false,
            missing: missing.into(),
        }
    }
}
