//! What a lesson begins with: a cluster, manifests, files, commands, and what is looked at.

use kubarium_cluster::{Config, Simulation};
use kubarium_objects::{Value, object};
use kubarium_shell::Session;

use crate::document::Node;

/// The file into which a lesson's manifests are written.
pub const MANIFESTS: &str = "manifests.yaml";
/// The most machines of a lesson.
const NODES_MAX: usize = 100;

/// Views that can be asked for.
pub const VIEWS: [&str; 8] = [
    "map", "packet", "rules", "control", "objects", "editor", "terminal", "timeline",
];

/// Where a lesson begins.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The cluster.
    pub cluster: Config,
    /// Manifests that are applied first, as a file.
    pub manifests: String,
    /// Files by their names.
    pub files: Vec<(String, String)>,
    /// Commands that are run before a person sees it.
    pub start: Vec<String>,
    /// What is looked at.
    pub view: View,
}

/// What is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// One of [`VIEWS`]; empty: as it was.
    pub show: String,
    /// What is selected: `pod:default/web-1`, `node:worker-1`; empty: nothing.
    pub focus: String,
}

impl View {
    pub(crate) fn decode(node: &Node<'_>) -> View {
        let Some(view) = node.get("view") else {
            return View::default();
        };
        if !view.is_map() {
            return View::default();
        }
        view.knows(&["show", "focus"]);
        let focus = view.text("focus");
        if !focus.is_empty() && !focus.contains(':') {
            view.at("focus").problem(
                &format!("focus is {focus:?}"),
                "KIND:NAME, such as node:worker-1 or pod:default/web",
            );
        }
        View {
            show: view.word("show", &VIEWS, "").to_owned(),
            focus,
        }
    }

    /// As a state keeps it; null where there is nothing to say.
    pub fn value(&self) -> Value {
        if *self == View::default() {
            return Value::Null;
        }
        object([
            ("show", self.show.as_str().into()),
            ("focus", self.focus.as_str().into()),
        ])
    }
}

/// The fields that a setting has in a document.
pub(crate) const FIELDS: [&str; 5] = ["cluster", "manifests", "files", "start", "view"];

impl Setting {
    pub(crate) fn decode(node: &Node<'_>) -> Setting {
        let mut cluster = Config::default();
        if let Some(written) = node.get("cluster") {
            match serde_json::from_str::<Config>(&written.value.to_json()) {
                Ok(config) => cluster = config,
                Err(error) => {
                    written.problem(&format!("cluster: {error}"), "the fields of a Cluster file")
                }
            }
            if cluster.nodes.len() > NODES_MAX {
                written.problem(
                    &format!("the cluster has {} machines", cluster.nodes.len()),
                    &format!("at most {NODES_MAX} in a lesson"),
                );
            }
        }
        let mut files = Vec::new();
        if let Some(written) = node.get("files").filter(Node::is_map) {
            for (name, _) in written.value.entries() {
                let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                if name.is_empty()
                    || name.len() > 100
                    || !name.chars().all(fine)
                    || name.starts_with('.')
                {
                    written.at(name).problem(
                        &format!("{name:?} is no file's name here"),
                        "letters, digits, `-`, `_` and `.`, such as web.yaml",
                    );
                }
                files.push((name.to_string(), written.text(name)));
            }
        }
        let manifests = node.text("manifests");
        if !manifests.is_empty()
            && let Err(error) = kubarium_objects::yaml::parse(&manifests)
        {
            node.at("manifests")
                .problem(&format!("manifests, {error}"), "");
        }
        Setting {
            cluster,
            manifests,
            files,
            start: node.commands("start"),
            view: View::decode(node),
        }
    }

    /// A terminal where the lesson begins.
    ///
    /// # Errors
    /// The first command that fails, with what it prints.
    pub fn begin(&self) -> Result<Session, String> {
        let mut session = Session::new(Simulation::new(self.cluster.clone()));
        for (name, text) in &self.files {
            write(&mut session, name, text)?;
        }
        if !self.manifests.is_empty() {
            write(&mut session, MANIFESTS, &self.manifests)?;
            run(&mut session, &format!("kubectl apply -f {MANIFESTS}"))?;
        }
        for line in &self.start {
            run(&mut session, line)?;
        }
        session.view = self.view.value();
        Ok(session)
    }
}

fn write(session: &mut Session, name: &str, text: &str) -> Result<(), String> {
    session
        .write_file(name, text.as_bytes())
        .map_err(|error| format!("{name}: {error}"))
}

/// Runs a command that has to succeed.
pub(crate) fn run(session: &mut Session, line: &str) -> Result<(), String> {
    let output = session.run(line);
    match output.status {
        0 => Ok(()),
        status => {
            let text = output.text();
            let last = text.lines().last().unwrap_or("").trim();
            Err(format!("`{line}` ends with status {status}: {last}"))
        }
    }
}
