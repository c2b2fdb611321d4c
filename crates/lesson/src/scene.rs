//! Scenes: a cluster to look at, with a text that leads through it in steps.
//!
//! A scene shows; everything in it is free to change. Each step may have checks: what its text
//! claims, so that a test can hold the text to what the simulator does.

use kubarium_shell::Session;

use crate::check::{Answers, Check, Subject};
use crate::document::Node;
use crate::setting::{self, Setting, View};

/// A scene.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its name, in addresses.
    pub name: String,
    /// Its title.
    pub title: String,
    /// A sentence for the start page.
    pub summary: String,
    /// The part of the start page in which it stands.
    pub part: String,
    /// Its text, in Markdown.
    pub text: String,
    /// Where it begins.
    pub setting: Setting,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// A step of a scene.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its title.
    pub title: String,
    /// Its text, in Markdown.
    pub text: String,
    /// Commands that it runs.
    pub run: Vec<String>,
    /// What is looked at.
    pub view: View,
    /// What its text claims.
    pub check: Vec<Check>,
}

impl Scene {
    pub(crate) fn decode(node: &Node<'_>) -> Scene {
        let mut known = vec![
            "apiVersion",
            "kind",
            "name",
            "title",
            "summary",
            "part",
            "text",
            "steps",
        ];
        known.extend(setting::FIELDS);
        node.knows(&known);
        Scene {
            name: node.named("name"),
            title: node.required("title"),
            summary: node.required("summary"),
            part: node.text("part"),
            text: node.required("text"),
            setting: Setting::decode(node),
            steps: node.items("steps").iter().map(Step::decode).collect(),
        }
    }

    /// Runs the whole scene, and holds it to what it claims.
    ///
    /// # Errors
    /// What does not work, or is not so, with the step.
    pub fn prove(&self) -> Result<Session, String> {
        let mut session = self
            .setting
            .begin()
            .map_err(|why| format!("at the start: {why}"))?;
        let answers = Answers::new();
        for (index, step) in self.steps.iter().enumerate() {
            let at = |why: String| format!("step {} ({}): {why}", index + 1, step.title);
            for line in &step.run {
                setting::run(&mut session, line).map_err(at)?;
            }
            for check in &step.check {
                let subject = Subject {
                    session: &session,
                    began: 0,
                    answers: &answers,
                };
                let outcome = check.make("", subject);
                if !outcome.passed {
                    return Err(at(format!("{} {}", check.explain, outcome.missing)));
                }
            }
        }
        Ok(session)
    }
}

impl Step {
    fn decode(node: &Node<'_>) -> Step {
        node.is_map();
        node.knows(&["title", "text", "run", "view", "check"]);
        Step {
            title: node.required("title"),
            text: node.required("text"),
            run: node.commands("run"),
            view: View::decode(node),
            check: Check::decode_all(node, "check"),
        }
    }
}
