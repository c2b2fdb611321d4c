//! Lessons, sharing, and pages that embed this one: what the part of the page for them and the simulator say to each
//! other. It travels inside [`crate::Request::Lesson`] and [`crate::Reply::Lesson`], so that the first view needs no word of
//! it.

use serde::{Deserialize, Serialize};

use crate::map::Map;
use crate::message::Output;
use crate::text::Block;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Begin a scene or an exercise from its file, or go on with it. [`Said::Opened`].
    Begin {
        /// The file's text.
        text: String,
        /// What was kept of a learner's progress; may be empty.
        progress: String,
        /// The state in which it was left; where it is empty or cannot be read, done tasks are done again.
        state: String,
    },
    /// How the lesson stands. [`Said::Lesson`].
    Look,
    /// Answer a question of the lesson. [`Said::Lesson`].
    Answer {
        /// The task's name.
        task: String,
        /// The question's number.
        check: usize,
        /// What is answered.
        answer: Vec<String>,
    },
    /// Open the next hint of a task. [`Said::Lesson`].
    Hint(String),
    /// Bring the cluster to where the task that is next begins. [`Said::Opened`].
    Reset,
    /// The map as it is when all tasks are done. [`Said::Goal`].
    Goal,
    /// End the lesson; the cluster stays. [`Said::Nothing`].
    Close,
    /// A new cluster, with no lesson. [`Said::Opened`].
    Fresh,
    /// The state as a link and as a file. [`Said::Shared`].
    Share {
        /// What is looked at.
        view: View,
        /// The manifests being written, which the state is to hold too: names and texts.
        files: Vec<(String, String)>,
    },
    /// Take the place of what a link's fragment or a saved file holds. [`Said::Opened`].
    Open(String),
    /// A message of a page that embeds this one (docs/EMBEDDING.md). [`Said::Host`].
    Host {
        /// The message.
        text: String,
        /// When it came, in milliseconds.
        at_ms: f64,
        /// Whether only looking is allowed.
        readonly: bool,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Said {
    /// It is done.
    Nothing,
    /// The lesson; none where there is none.
    Lesson(Option<Box<Lesson>>),
    /// What came of opening something.
    Opened(Opened),
    /// The state.
    Shared(Shared),
    /// The map, or why there is none.
    Goal(Result<Box<Map>, String>),
    /// What came of a host's message.
    Host(Box<Host>),
}

/// What came of a host's message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// What is sent back; none for what was no message.
    pub answer: Option<String>,
    /// What the host wants to be shown.
    pub view: Option<View>,
    /// The file of a lesson that is to begin.
    pub lesson: Option<String>,
    /// The colours that it wants.
    pub theme: Option<String>,
    /// The language that it wants; empty for the one that the browser asks for.
    pub language: Option<String>,
    /// A command that it had run, for the terminal.
    pub output: Option<Box<Output>>,
    /// The manifests that it had applied: name and text.
    pub file: Option<(String, String)>,
}

/// A scene or an exercise that is being worked on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// Its name, in addresses.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Whether its steps are tasks that are checked.
    pub exercise: bool,
    /// What it is about.
    pub text: Vec<Block>,
    /// Its steps, or its tasks.
    pub steps: Vec<Step>,
    /// Of an exercise: the task that is next; none where all are done.
    pub next: Option<usize>,
    /// Why there is no way on.
    pub dead_end: Vec<Block>,
    /// What is told when all is done.
    pub reveal: Vec<Block>,
    /// Files that the lesson brings, by their names.
    pub files: Vec<(String, String)>,
    /// What is looked at.
    pub view: View,
    /// Whether there is a terminal, and an editor.
    pub terminal: bool,
    /// Whether there is an editor.
    pub editor: bool,
    /// What is to be kept of a learner's progress, as text.
    pub progress: String,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// `map`, `packet`, `rules`, …; empty: as it is.
    pub show: String,
    /// What is selected: `pod:default/web`; empty: as it is.
    pub focus: String,
}

/// A step of a scene, or a task of an exercise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// A task's name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it says.
    pub text: Vec<Block>,
    /// Commands that a scene's step runs.
    pub run: Vec<String>,
    /// What is looked at.
    pub view: View,
    /// Whether a task is done.
    pub done: bool,
    /// What is still missing for a task: the author's words, and what was found.
    pub missing: Vec<(String, String)>,
    /// Hints that are open.
    pub hints: Vec<Vec<Block>>,
    /// How many more there are.
    pub hints_left: usize,
    /// Commands that do the task.
    pub solution: Vec<String>,
    /// Questions to answer.
    pub questions: Vec<Question>,
    /// What is told when a task is done.
    pub reveal: Vec<Block>,
}

/// A question of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Its number among the task's checks.
    pub check: usize,
    /// What is asked.
    pub question: Vec<Block>,
    /// What there is to choose from; nothing where the answer is written.
    pub options: Vec<String>,
    /// Whether more than one can be right.
    pub several: bool,
    /// What was answered.
    pub answer: Vec<String>,
}

/// A state to be passed on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// What stands behind `#` of the link; none where it is too long for one.
    pub link: Option<String>,
    /// The whole, for a file; empty where it cannot be saved.
    pub state: String,
    /// Why it cannot be saved.
    pub why: String,
}

/// What came of opening a link, a file or a lesson.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Whether something was opened.
    pub done: bool,
    /// What a person should know about it; may be empty.
    pub remark: String,
    /// The lesson that a link names, to be fetched: `scenes/NAME.yaml`.
    pub fetch: Option<String>,
    /// What was looked at.
    pub view: View,
    /// The manifests that came with it: names and texts.
    pub files: Vec<(String, String)>,
}
