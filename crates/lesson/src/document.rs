//! Reading what authors write: every field with its place, and every mistake with a hint.

use std::cell::RefCell;
use std::time::Duration;

use kubarium_objects::duration::GoDuration;
use kubarium_objects::yaml::{self, Positions};
use kubarium_objects::{Diagnostic, Value, similar};

use crate::clean::{clean, has_hidden};

/// What scenes, exercises and courses are written in.
pub(crate) const API_VERSION: &str = "kubarium/v1";
/// The most bytes of one file.
const BYTES_MAX: usize = 1 << 20;
/// The most items of one list.
const ITEMS_MAX: usize = 500;
/// The most mistakes that are told.
const PROBLEMS_MAX: usize = 100;

/// Mistakes found so far.
type Problems = RefCell<Vec<Diagnostic>>;

/// A place in a document.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub value: &'a Value,
    positions: &'a Positions,
    path: String,
    problems: &'a Problems,
}

/// Reads a file with one document of ours.
pub(crate) fn read<T>(
    text: &str,
    decode: impl FnOnce(&Node<'_>) -> Option<T>,
) -> Result<T, Vec<Diagnostic>> {
    if text.len() > BYTES_MAX {
        let message = format!("the file is larger than {} MiB", BYTES_MAX >> 20);
        return Err(vec![Diagnostic::error(1, 1, message)]);
    }
    let documents = yaml::parse(text).map_err(|error| vec![error])?;
    let [document] = &documents[..] else {
        let message = format!("the file has {} documents", documents.len());
        let mut error = Diagnostic::error(1, 1, message);
        error.hint = "one scene, exercise or course a file; manifests go into `manifests`".into();
        return Err(vec![error]);
    };
    let problems = RefCell::new(document.warnings.clone());
    let node = Node {
        value: &document.value,
        positions: &document.positions,
        path: String::new(),
        problems: &problems,
    };
    if node.value.as_object().is_none() {
        node.problem(
            "this is no scene, exercise or course",
            "see kubarium exercise new",
        );
    }
    let version = node.text("apiVersion");
    if version != API_VERSION {
        node.at("apiVersion").problem(
            &format!("apiVersion is {version:?}"),
            &format!("this version reads {API_VERSION}"),
        );
    }
    let decoded = decode(&node);
    if decoded.is_none() {
        let kind = node.kind();
        let known = ["Scene", "Exercise", "Course"];
        let hint = similar::nearest(kind, known).map_or_else(
            || "Scene, Exercise or Course".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        node.at("kind").problem(&format!("kind is {kind:?}"), &hint);
    }
    let mut problems = problems.into_inner();
    problems.sort_by_key(|p| (p.line, p.column));
    match decoded {
        Some(decoded) if problems.is_empty() => Ok(decoded),
        _ => Err(problems),
    }
}

impl<'a> Node<'a> {
    /// The document's kind.
    pub fn kind(&self) -> &'a str {
        self.value["kind"].str()
    }

    /// Notes a mistake at this place.
    pub fn problem(&self, message: &str, hint: &str) {
        let (line, column) = self.positions.key;
        let mut problem = Diagnostic::error(line as usize, column as usize, message);
        problem.path.clone_from(&self.path);
        problem.hint = hint.to_owned();
        let mut problems = self.problems.borrow_mut();
        if problems.len() < PROBLEMS_MAX {
            problems.push(problem);
        }
    }

    fn step(&self, step: &str, path: String, value: &'a Value) -> Node<'a> {
        Node {
            value,
            positions: self.positions.child(step).unwrap_or(self.positions),
            path,
            problems: self.problems,
        }
    }

    /// The field of a map; where it is missing a null at the map's own place.
    pub fn at(&self, key: &str) -> Node<'a> {
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            above => format!("{above}.{key}"),
        };
        self.step(key, path, &self.value[key])
    }

    /// The field, if it is there.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.value.get(key).map(|_| self.at(key))
    }

    /// Whether this is a map; says so where it is not.
    pub fn is_map(&self) -> bool {
        let is = self.value.as_object().is_some();
        if !is {
            self.problem(
                &format!("{} is no map", self.name()),
                "write `field: value` lines",
            );
        }
        is
    }

    /// Says which fields are not known here.
    pub fn knows(&self, known: &[&str]) {
        for (key, _) in self.value.entries() {
            if !known.contains(&&**key) {
                let hint = match similar::nearest(key, known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                self.at(key)
                    .problem(&format!("unknown field {key:?}"), &hint);
            }
        }
    }

    /// How the place is called in a message.
    fn name(&self) -> &str {
        if self.path.is_empty() {
            "the document"
        } else {
            &self.path
        }
    }

    /// The items of a list, each with its place. A single item may stand without a list.
    pub fn items(&self, key: &str) -> Vec<Node<'a>> {
        let Some(list) = self.get(key) else {
            return Vec::new();
        };
        let Value::Array(items) = list.value else {
            return vec![list];
        };
        if items.len() > ITEMS_MAX {
            list.problem(
                &format!("{} items are too many", items.len()),
                &format!("at most {ITEMS_MAX}"),
            );
        }
        items
            .iter()
            .enumerate()
            .take(ITEMS_MAX)
            .map(|(index, item)| {
                list.step(&index.to_string(), format!("{}[{index}]", list.path), item)
            })
            .collect()
    }

    /// This place's text. Numbers and booleans count as what they look like.
    pub fn own_text(&self) -> String {
        match self.value {
            Value::String(text) => clean(text),
            Value::Null => String::new(),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => self.value.to_json(),
            _ => {
                self.problem(
                    &format!("{} is no text", self.name()),
                    "put it in quotes, or behind `|`",
                );
                String::new()
            }
        }
    }

    /// A field's text; empty where it is missing.
    pub fn text(&self, key: &str) -> String {
        self.at(key).own_text()
    }

    /// A field's text, which has to be there.
    pub fn required(&self, key: &str) -> String {
        let text = self.text(key);
        if text.trim().is_empty() {
            self.problem(&format!("{key} is missing"), &format!("add `{key}: …`"));
        }
        text
    }

    /// A field's texts, in a list or alone.
    pub fn texts(&self, key: &str) -> Vec<String> {
        self.items(key).iter().map(Node::own_text).collect()
    }

    /// Command lines, which must be what they look like.
    pub fn commands(&self, key: &str) -> Vec<String> {
        self.items(key)
            .iter()
            .map(|node| {
                let raw = node.value.str();
                if has_hidden(raw) {
                    node.problem(
                        "the command has characters that cannot be seen",
                        "control characters and those that turn the direction of text are not allowed",
                    );
                }
                let line = node.own_text();
                if line.trim().is_empty() {
                    node.problem("the command is empty", "write a command line, or leave the item out");
                }
                line
            })
            .collect()
    }

    /// A name for links and for other files.
    pub fn named(&self, key: &str) -> String {
        let name = self.required(key);
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.is_empty() && (name.len() > 63 || !name.chars().all(fine)) {
            self.at(key).problem(
                &format!("{key} is {name:?}"),
                "small letters, digits and `-`, at most 63: it stands in addresses",
            );
        }
        name
    }

    /// A boolean; `usual` where it is missing.
    pub fn flag(&self, key: &str, usual: bool) -> bool {
        match self.get(key) {
            None => usual,
            Some(node) => node.value.as_bool().unwrap_or_else(|| {
                node.problem(&format!("{key} is neither true nor false"), "");
                usual
            }),
        }
    }

    /// A whole number, not negative.
    pub fn number(&self, key: &str) -> Option<u64> {
        let node = self.get(key)?;
        let number = node.value.as_i64().and_then(|n| u64::try_from(n).ok());
        if number.is_none() {
            node.problem(&format!("{key} is no whole number"), "such as `3`");
        }
        number
    }

    /// A length of time.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        let node = self.get(key)?;
        let read = node.own_text().parse::<GoDuration>().ok();
        let duration = read.and_then(|d| u64::try_from(d.0).ok());
        if duration.is_none() {
            node.problem(
                &format!("{key} is no length of time"),
                "such as `30s` or `2m`",
            );
        }
        duration.map(Duration::from_nanos)
    }

    /// One of several words.
    pub fn word(&self, key: &str, known: &[&'static str], usual: &'static str) -> &'static str {
        let Some(node) = self.get(key) else {
            return usual;
        };
        let text = node.own_text();
        known
            .iter()
            .find(|k| **k == text)
            .copied()
            .unwrap_or_else(|| {
                let hint = match similar::nearest(&text, known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("one of {}", known.join(", ")),
                };
                node.problem(&format!("{key} is {text:?}"), &hint);
                usual
            })
    }
}
