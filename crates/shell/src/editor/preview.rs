//! What applying manifests would change: computed as `kubectl diff` and `kubectl apply` do it, on a copy.

use kubarium_objects::{ObjectKey, ObjectMeta, Value, yaml};

use super::drafts;
use crate::session::Session;

/// What applying does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is new.
    Created,
    /// It changes.
    Changed,
    /// It stays as it is.
    Unchanged,
    /// kubectl or the API server refuses it.
    Refused,
    /// It was in the file when that was last applied, and stays in the cluster: apply removes nothing.
    Left,
}

/// What applying does to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The line at which its manifest begins, from 1; 0 where it has none.
    pub line: usize,
    /// Its kind.
    pub kind: String,
    /// `shop/web`, or the name alone.
    pub name: String,
    /// What becomes of it.
    pub effect: Effect,
    /// What `kubectl diff` prints of it; for what is left behind the command that removes it.
    pub diff: String,
    /// Warnings, or why it is refused.
    pub says: String,
}

/// What applying a file does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// In the file's order.
    pub changes: Vec<Change>,
    /// How many documents are left out.
    pub more: usize,
}

/// The most documents that are tried.
const DOCUMENTS_MAX: usize = 100;
const FILE: &str = "/tmp/preview.yaml";

impl Session {
    /// What `kubectl apply -f FILE` with this text would change, object by object: each is compared with what is there
    /// once those before it are applied. Nothing is changed.
    pub fn preview(&self, file: &str, text: &str) -> Preview {
        let mut copy = self.clone();
        let mut preview = Preview::default();
        let parts = documents(text);
        preview.more = parts.len().saturating_sub(DOCUMENTS_MAX);
        for (line, part) in parts.iter().take(DOCUMENTS_MAX) {
            // The copy's own folder takes every file.
            let _ = copy.write_file(FILE, part.as_bytes());
            let objects = drafts::read(part, usize::MAX);
            let first = objects.first().cloned().unwrap_or_default();
            let there = self.stored(&first).is_some();
            let compared = copy.run(&format!("kubectl diff -f {FILE}"));
            let effect = match compared.status {
                0 => Effect::Unchanged,
                1 if there => Effect::Changed,
                1 if !compared.stdout().is_empty() => Effect::Created,
                _ => Effect::Refused,
            };
            let (kind, name) = self.title(&first);
            preview.changes.push(Change {
                line: *line,
                kind,
                name,
                effect,
                diff: hunks(&compared.stdout()),
                says: compared.stderr().replace(FILE, file),
            });
            copy.run(&format!("kubectl apply -f {FILE}"));
        }
        preview.changes.extend(self.left(file, text));
        preview
    }

    /// What was in the file when it was last applied, is in it no longer, and is still in the cluster.
    fn left(&self, file: &str, text: &str) -> Vec<Change> {
        let path = self.absolute(&self.directory(), file);
        let before = self.read_file(&path).unwrap_or_default();
        let before = drafts::read(&String::from_utf8_lossy(&before), usize::MAX);
        let now = drafts::read(text, usize::MAX);
        let kept: Vec<ObjectKey> = now.iter().filter_map(|object| self.key(object)).collect();
        let mut left = Vec::new();
        for object in &before {
            let Some(key) = self.key(object).filter(|key| !kept.contains(key)) else {
                continue;
            };
            let applied = self.simulation.cluster.etcd.get(&key);
            let applied = applied
                .and_then(|o| o.annotation("kubectl.kubernetes.io/last-applied-configuration"));
            if applied.is_none() {
                continue;
            }
            let (kind, name) = self.title(object);
            let scope = if key.namespace.is_empty() || &*key.namespace == "default" {
                String::new()
            } else {
                format!(" -n {}", key.namespace)
            };
            left.push(Change {
                line: 0,
                diff: format!("kubectl delete {} {}{scope}", kind.to_lowercase(), key.name),
                kind,
                name,
                effect: Effect::Left,
                says: String::new(),
            });
        }
        left
    }

    fn key(&self, object: &Value) -> Option<ObjectKey> {
        let cluster = &self.simulation.cluster;
        let resource =
            cluster.resource_by_kind(object["apiVersion"].str(), object["kind"].str())?;
        let namespace = if resource.namespaced {
            drafts::namespace(object, self.kubeconfig.namespace(""))
        } else {
            "".into()
        };
        Some(ObjectKey {
            resource: resource.id(),
            namespace,
            name: object["metadata"]["name"].text(),
        })
    }

    fn stored(&self, object: &Value) -> Option<&Value> {
        self.simulation.cluster.etcd.get(&self.key(object)?)
    }

    fn title(&self, object: &Value) -> (String, String) {
        let name = object["metadata"]["name"].str();
        let name = match self.key(object) {
            Some(key) if !key.namespace.is_empty() && &*key.namespace != "default" => {
                format!("{}/{name}", key.namespace)
            }
            _ => name.to_owned(),
        };
        (object["kind"].str().to_owned(), name)
    }
}

/// A text's documents with the lines at which they begin, from 1; those without anything are left out.
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = vec![(1, String::new())];
    for (at, line) in text.lines().enumerate() {
        let separates = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.trim().is_empty() || rest.trim().starts_with('#'));
        if separates {
            all.push((at + 2, String::new()));
        } else if let Some((_, part)) = all.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    let has_some = |part: &str| !matches!(yaml::parse(part), Ok(documents) if documents.is_empty());
    all.retain(|(_, part)| has_some(part));
    for (line, part) in &mut all {
        let blank = |l: &&str| l.trim().is_empty() || l.trim_start().starts_with('#');
        *line += part.lines().take_while(blank).count();
    }
    all
}

/// What `diff` prints, without the lines that name its temporary files.
fn hunks(text: &str) -> String {
    let is_head = |line: &str| {
        line.starts_with("diff -u -N ")
            || line.starts_with("--- /tmp/")
            || line.starts_with("+++ /tmp/")
    };
    let kept = text.split_inclusive('\n').filter(|line| !is_head(line));
    kept.collect()
}
