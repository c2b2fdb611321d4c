//! What views ask that are loaded when they are opened. Question and answer travel as bytes
//! ([`Request::Rare`](crate::Request::Rare)), so that the first view of a page need not know them: whoever asks knows
//! what is answered.

use serde::{Deserialize, Serialize};

/// A question. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// What could stand at the cursor of a text of manifests; a `String`, JSON:
    /// `{"from": 3, "to": 5, "offers": [{"label", "insert", "detail", "words", "required"}]}`.
    Offers {
        /// The text.
        text: String,
        /// The other texts that are being written.
        beside: Vec<String>,
        /// The cursor's line.
        line: usize,
        /// The cursor's column.
        column: usize,
    },
    /// What stands at a place of a text of manifests; a `String`, JSON, empty where nothing is known:
    /// `{"from", "to", "path", "type", "required", "words", "default", "allowed": []}`.
    Told {
        /// The text.
        text: String,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// What is wrong with a text of manifests; a `Vec<Diagnostic>`.
    Diagnose {
        /// The text.
        text: String,
        /// The other texts that are being written.
        beside: Vec<String>,
    },
    /// What applying texts would change; a `Vec<Preview>`, one for each.
    Preview(Vec<(String, String)>),
    /// Write files of the terminal's own: name and text. Nothing.
    Write(Vec<(String, String)>),
    /// The scheduler's decisions, and the one about the pod of this id; a [`Scheduling`].
    Scheduling(String),
    /// A node's rules as their tool prints them; a [`RuleText`].
    RuleText {
        /// The node.
        node: String,
        /// The table: `nat`.
        table: String,
    },
    /// What is between an object and what it wants; a [`Gap`].
    Gap(String),
    /// What the last command that changed a node's rules changed in them; a [`RuleChanges`].
    RuleChanges {
        /// The node.
        node: String,
        /// The table.
        table: String,
    },
}

/// What applying does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It is new.
    Created,
    /// It changes.
    Changed,
    /// It stays as it is.
    Unchanged,
    /// It is refused.
    Refused,
    /// It is in the file no longer, and stays in the cluster.
    Left,
}

/// What applying does to an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The line at which its manifest begins; 0 where it has none.
    pub line: u32,
    /// Its kind.
    pub kind: String,
    /// `shop/web`, or the name alone.
    pub name: String,
    /// What becomes of it.
    pub effect: Effect,
    /// What `kubectl diff` prints of it; of what is left behind the command that removes it.
    pub diff: String,
    /// Warnings, or why it is refused.
    pub says: String,
}

/// What applying a file does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The file.
    pub file: String,
    /// In the file's order.
    pub changes: Vec<Change>,
    /// How many documents were not tried.
    pub more: usize,
}

/// The scheduler's decisions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scheduling {
    /// The latest, newest first.
    pub recent: Vec<Brief>,
    /// The one that was asked for.
    pub decision: Option<Decision>,
}

/// A decision in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The pod's id.
    pub id: String,
    /// `default/web-1`
    pub pod: String,
    /// The node that it got; empty for none.
    pub node: String,
}

/// A decision, as a table of nodes by filters and scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The pod's id.
    pub id: String,
    /// `default/web-1`
    pub pod: String,
    /// The node that it got; empty for none.
    pub node: String,
    /// Why it got none; empty where it got one.
    pub message: String,
    /// The filters, in the order in which a node is asked.
    pub filters: Vec<String>,
    /// The scorers with their weights.
    pub scorers: Vec<(String, i64)>,
    /// The nodes: those that passed first, the best of them at the top.
    pub candidates: Vec<Candidate>,
    /// The pods that have to go, and the node that they leave for it.
    pub evicted: Vec<String>,
    /// See `evicted`; empty for none.
    pub nominated: String,
}

/// A node in a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The node.
    pub node: String,
    /// The filter that said no; none where all let it pass.
    pub failed: Option<usize>,
    /// What that filter said.
    pub reasons: Vec<String>,
    /// The weighted scores, in the scorers' order; empty where none were needed.
    pub scores: Vec<i64>,
    /// Their sum.
    pub total: i64,
}

/// A node's rules as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// The command line that prints them on the node.
    pub command: String,
    /// What it prints.
    pub text: String,
    /// How many lines more there are.
    pub more: usize,
}

/// What a command changed in a node's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChanges {
    /// The command line; empty where none has been given.
    pub since: String,
    /// The lines that were not there before it.
    pub added: Vec<String>,
    /// The lines that are there no longer.
    pub removed: Vec<String>,
}

/// What is between an object and what it wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What is not as it should be: the object itself, or what it owns or leads to.
    pub lacks: Vec<Lack>,
    /// How many more there are.
    pub more: usize,
    /// Who has something to do about it, the soonest first.
    pub next: Vec<Next>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why, in the words of whoever wrote its status.
    pub why: String,
}

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// When, in simulated milliseconds since the start.
    pub at_ms: u64,
    /// The component: `kubelet worker-1`, `kube-controller-manager: replicaset`.
    pub who: String,
    /// The object's id; empty where it is about all.
    pub id: String,
    /// Its name.
    pub name: String,
}
