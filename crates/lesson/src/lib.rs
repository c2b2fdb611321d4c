//! What teaches with a simulated cluster: scenes, exercises and courses, their checks, Markdown, and
//! the links in which a state travels. All of it is plain data; nothing here draws.
//!
//! Every text here may come from a stranger: a link, a file that was dropped in, a page that embeds
//! the simulator. So each has a size limit, texts are cleaned of what cannot be seen ([`clean`]),
//! and Markdown becomes a tree in which there is no HTML ([`markdown`]).

pub mod attempt;
pub mod check;
pub mod clean;
mod document;
pub mod exercise;
pub mod junit;
pub mod link;
pub mod markdown;
mod pattern;
pub mod proof;
pub mod protocol;
pub mod scene;
pub mod setting;

pub use attempt::{Attempt, Progress};
pub use check::{Check, Outcome};
pub use exercise::{Course, Exercise, Task};
pub use link::Link;
pub use scene::{Scene, Step};
pub use setting::{MANIFESTS, Setting, View};

use kubarium_objects::Diagnostic;

/// A file's document.
#[derive(Clone, Debug)]
pub enum Lesson {
    /// `kind: Scene`
    Scene(Box<Scene>),
    /// `kind: Exercise`
    Exercise(Box<Exercise>),
    /// `kind: Course`
    Course(Box<Course>),
}

impl Lesson {
    /// Reads a file with one document.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its lines.
    pub fn read(text: &str) -> Result<Lesson, Vec<Diagnostic>> {
        document::read(text, |node| match node.kind() {
            "Scene" => Some(Lesson::Scene(Box::new(Scene::decode(node)))),
            "Exercise" => Some(Lesson::Exercise(Box::new(Exercise::decode(node)))),
            "Course" => Some(Lesson::Course(Box::new(Course::decode(node)))),
            _ => None,
        })
    }
}
