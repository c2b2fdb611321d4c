//! Exercises and courses, as authors write them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::check::Check;
use crate::document::Node;
use crate::setting::{self, Setting, View};

/// An exercise: a cluster, and tasks that are done one after the other.
#[derive(Clone, Debug)]
pub struct Exercise {
    /// Its name, in addresses.
    pub name: String,
    /// Its title.
    pub title: String,
    /// A sentence for lists.
    pub summary: String,
    /// What it is about, in Markdown.
    pub text: String,
    /// Where it begins.
    pub setting: Setting,
    /// What is to be done, in this order.
    pub tasks: Vec<Task>,
    /// States from which there is no way on but undo or a new start.
    pub fail_if: Vec<DeadEnd>,
    /// What is told when all is done, in Markdown.
    pub reveal: String,
    /// What may be used.
    pub limits: Limits,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name within the exercise.
    pub name: String,
    /// What is to be done, in a few words.
    pub title: String,
    /// What is to be done, in Markdown.
    pub text: String,
    /// What has to be so when it is done.
    pub check: Vec<Check>,
    /// Hints that open one after the other, in Markdown.
    pub hints: Vec<String>,
    /// What is told when it is done, in Markdown.
    pub reveal: String,
    /// Commands that do it.
    pub solution: Vec<String>,
    /// What is looked at.
    pub view: View,
}

/// A state from which there is no way on.
#[derive(Clone, Debug)]
pub struct DeadEnd {
    /// What is so then: all of it.
    pub check: Vec<Check>,
    /// What is told, in Markdown.
    pub message: String,
}

/// What may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether there is a terminal.
    pub terminal: bool,
    /// Whether there is an editor.
    pub editor: bool,
    /// The commands that the terminal takes; empty: all.
    pub commands: Vec<String>,
    /// How much simulated time a solution may need for one task.
    pub time: Duration,
}

/// A series of exercises.
#[derive(Clone, Debug)]
pub struct Course {
    /// Its name, in addresses.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it is about, in Markdown.
    pub text: String,
    /// Its lessons in order.
    pub lessons: Vec<Entry>,
}

/// A lesson of a course.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The scene's or the exercise's name.
    pub name: String,
    /// `scene` or `exercise`.
    pub kind: &'static str,
    /// Its title, for the list.
    pub title: String,
    /// A sentence about it.
    pub summary: String,
    /// The part of the course in which it stands.
    pub part: String,
    /// Lessons that have to be done before.
    pub requires: Vec<String>,
}

/// How much simulated time a solution may need for one task.
const TIME: Duration = Duration::from_secs(120);

impl Exercise {
    pub(crate) fn decode(node: &Node<'_>) -> Exercise {
        let mut known = vec![
            "apiVersion",
            "kind",
            "name",
            "title",
            "summary",
            "text",
            "tasks",
            "failIf",
            "reveal",
            "limits",
        ];
        known.extend(setting::FIELDS);
        node.knows(&known);
        let tasks: Vec<Task> = node.items("tasks").iter().map(Task::decode).collect();
        if tasks.is_empty() {
            node.problem("tasks are missing", "an exercise has one task at the least");
        }
        let mut names = BTreeSet::new();
        for (task, at) in tasks.iter().zip(node.items("tasks")) {
            if !names.insert(&task.name) {
                at.at("name").problem(
                    &format!("there are two tasks {:?}", task.name),
                    "give each its own name",
                );
            }
        }
        let limits = Limits::decode(node);
        Exercise {
            name: node.named("name"),
            title: node.required("title"),
            summary: node.text("summary"),
            text: node.required("text"),
            setting: Setting::decode(node),
            tasks,
            fail_if: node.items("failIf").iter().map(DeadEnd::decode).collect(),
            reveal: node.text("reveal"),
            limits,
        }
    }
}

impl Task {
    fn decode(node: &Node<'_>) -> Task {
        node.is_map();
        node.knows(&[
            "name", "title", "text", "check", "hints", "reveal", "solution", "view",
        ]);
        let check = Check::decode_all(node, "check");
        if node.get("check").is_none() {
            node.problem(
                "check is missing",
                "what has to be so when the task is done",
            );
        }
        let solution = node.commands("solution");
        let asks_only = check
            .iter()
            .all(|c| matches!(c.what, crate::check::What::Quiz(_)));
        if solution.is_empty() && !asks_only {
            node.problem(
                "solution is missing",
                "the commands that do the task: they prove that it can be done",
            );
        }
        Task {
            name: node.named("name"),
            title: node.required("title"),
            text: node.text("text"),
            check,
            hints: node.texts("hints"),
            reveal: node.text("reveal"),
            solution,
            view: View::decode(node),
        }
    }
}

impl DeadEnd {
    fn decode(node: &Node<'_>) -> DeadEnd {
        node.is_map();
        node.knows(&["check", "message"]);
        if node.get("check").is_none() {
            node.problem("check is missing", "what is so in the dead end");
        }
        DeadEnd {
            check: Check::decode_all(node, "check"),
            message: node.required("message"),
        }
    }
}

impl Limits {
    fn decode(node: &Node<'_>) -> Limits {
        let Some(limits) = node.get("limits").filter(Node::is_map) else {
            return Limits {
                terminal: true,
                editor: true,
                commands: Vec::new(),
                time: TIME,
            };
        };
        limits.knows(&["terminal", "editor", "commands", "time"]);
        Limits {
            terminal: limits.flag("terminal", true),
            editor: limits.flag("editor", true),
            commands: limits.texts("commands"),
            time: limits.duration("time").unwrap_or(TIME),
        }
    }

    /// Whether a command line is allowed: it is one command, and a known one.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn allows(&self, line: &str) -> Result<(), String> {
        if self.commands.is_empty() {
            return Ok(());
        }
        let known = self.commands.join(", ");
        let first = line.split_whitespace().next().unwrap_or("");
        let joined = line.contains([';', '|', '&', '`', '\n']) || line.contains("$(");
        if joined || !self.commands.iter().any(|command| command == first) {
            return Err(format!(
                "in this exercise a command line is one command of: {known}"
            ));
        }
        Ok(())
    }
}

impl Course {
    pub(crate) fn decode(node: &Node<'_>) -> Course {
        node.knows(&["apiVersion", "kind", "name", "title", "text", "lessons"]);
        let lessons: Vec<Entry> = node.items("lessons").iter().map(Entry::decode).collect();
        let mut before = BTreeSet::new();
        for (lesson, at) in lessons.iter().zip(node.items("lessons")) {
            for required in &lesson.requires {
                if !before.contains(required.as_str()) {
                    at.at("requires").problem(
                        &format!("{required:?} does not stand before this lesson"),
                        "a lesson can only require what comes earlier",
                    );
                }
            }
            if !before.insert(lesson.name.as_str()) {
                at.problem(&format!("{:?} is there twice", lesson.name), "keep one");
            }
        }
        Course {
            name: node.named("name"),
            title: node.required("title"),
            text: node.text("text"),
            lessons,
        }
    }
}

impl Entry {
    fn decode(node: &Node<'_>) -> Entry {
        node.is_map();
        node.knows(&["exercise", "scene", "title", "summary", "part", "requires"]);
        let kind = match (node.get("exercise"), node.get("scene")) {
            (Some(_), None) => "exercise",
            (None, Some(_)) => "scene",
            _ => {
                node.problem(
                    "a lesson is either an exercise or a scene",
                    "`exercise: NAME`",
                );
                "exercise"
            }
        };
        Entry {
            name: node.named(kind),
            kind,
            title: node.required("title"),
            summary: node.text("summary"),
            part: node.text("part"),
            requires: node.texts("requires"),
        }
    }
}
