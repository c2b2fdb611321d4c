//! Paths to fields and sets of them, as server-side apply keeps them
//! (structured-merge-diff v6, `fieldpath`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use super::Shape;
use crate::go;
use crate::value::{Map, Text, Value};

/// One step of a path.
#[derive(Clone, Debug)]
pub enum Element {
    /// A field of a struct or a key of a map: `.spec`.
    Field(Text),
    /// The item of a list with these keys, which are sorted: `[name="web"]`.
    Key(Vec<(Text, Value)>),
    /// The item of a set: `[="a"]`.
    Value(Value),
}

impl Element {
    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
        }
    }

    /// `f:spec`, `k:{"name":"web"}`, `v:"a"`
    fn serialized(&self) -> String {
        match self {
            Element::Field(name) => format!("f:{name}"),
            Element::Key(keys) => {
                let keys: Map = keys.iter().cloned().collect();
                format!("k:{}", go::json(&keys.into()))
            }
            Element::Value(value) => format!("v:{}", go::json(value)),
        }
    }

    fn parse(text: &str) -> Option<Element> {
        let (kind, rest) = text.split_at_checked(2)?;
        match kind {
            "f:" => Some(Element::Field(rest.into())),
            "k:" => Some(Element::Key(
                Value::from_json(rest).ok()?.entries().to_vec(),
            )),
            "v:" => Some(Element::Value(Value::from_json(rest).ok()?)),
            _ => None,
        }
    }
}

/// `.spec`, `[name="web"]`, `[="a"]`
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(keys) => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|(k, v)| format!("{k}={}", go::json(v)))
                    .collect();
                write!(f, "[{}]", keys.join(","))
            }
            Element::Value(value) => write!(f, "[={}]", go::json(value)),
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Element) -> Ordering {
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Key(a), Element::Key(b)) => {
                let pairs = a
                    .iter()
                    .zip(b)
                    .map(|((ka, va), (kb, vb))| ka.cmp(kb).then_with(|| order(va, vb)));
                let first = pairs.into_iter().find(|o| o.is_ne());
                first.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Element::Value(a), Element::Value(b)) => order(a, b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Element) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Element) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}

/// Numbers before strings before everything else, which is told apart by its text.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            let number = |v: &Value| v.as_f64().unwrap_or(0.0);
            number(a).total_cmp(&number(b))
        }
        (Value::Int(_) | Value::Float(_), _) => Ordering::Less,
        (_, Value::Int(_) | Value::Float(_)) => Ordering::Greater,
        (Value::String(_), _) => Ordering::Less,
        (_, Value::String(_)) => Ordering::Greater,
        _ => a.to_json().cmp(&b.to_json()),
    }
}

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(BTreeMap<Element, Node>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Whether the path that ends here is in the set.
    member: bool,
    below: Set,
}

impl Set {
    /// Whether there is no path in it.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|n| !n.member && n.below.is_empty())
    }

    /// Adds a path; the empty one is left out.
    pub fn insert(&mut self, path: &[Element]) {
        if let Some((first, rest)) = path.split_first() {
            let node = self.0.entry(first.clone()).or_default();
            match rest {
                [] => node.member = true,
                rest => node.below.insert(rest),
            }
        }
    }

    /// A set of paths of fields: `&[&["metadata", "name"]]`.
    pub fn of_fields(paths: &[&[&str]]) -> Set {
        let mut set = Set::default();
        for path in paths {
            let path: Vec<Element> = path.iter().map(|f| Element::Field((*f).into())).collect();
            set.insert(&path);
        }
        set
    }

    /// Whether the path of one element is in the set.
    pub(super) fn has(&self, element: &Element) -> bool {
        self.0.get(element).is_some_and(|n| n.member)
    }

    /// Whether the path is in the set.
    pub fn contains(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.has(last),
            [first, rest @ ..] => self.below(first).is_some_and(|s| s.contains(rest)),
        }
    }

    /// What lies behind an element, if there is something.
    pub(super) fn below(&self, element: &Element) -> Option<&Set> {
        let node = self.0.get(element)?;
        (!node.below.is_empty()).then_some(&node.below)
    }

    /// All paths of both.
    pub fn union(&self, other: &Set) -> Set {
        let mut out = self.clone();
        for (element, node) in &other.0 {
            let mine = out.0.entry(element.clone()).or_default();
            mine.member |= node.member;
            mine.below = mine.below.union(&node.below);
        }
        out
    }

    /// The paths that are not in the other set.
    pub fn difference(&self, other: &Set) -> Set {
        self.combined(|element, node| match other.0.get(element) {
            None => node.clone(),
            Some(without) => Node {
                member: node.member && !without.member,
                below: node.below.difference(&without.below),
            },
        })
    }

    /// The paths that are in both sets.
    pub fn intersection(&self, other: &Set) -> Set {
        self.combined(|element, node| match other.0.get(element) {
            None => Node::default(),
            Some(with) => Node {
                member: node.member && with.member,
                below: node.below.intersection(&with.below),
            },
        })
    }

    /// The paths that do not begin with one of the other set.
    pub fn without_trees(&self, other: &Set) -> Set {
        self.combined(|element, node| match other.0.get(element) {
            None => node.clone(),
            Some(without) if without.member => Node::default(),
            Some(without) => Node {
                member: node.member,
                below: node.below.without_trees(&without.below),
            },
        })
    }

    fn combined(&self, of: impl Fn(&Element, &Node) -> Node) -> Set {
        let nodes = self.0.iter().map(|(e, n)| (e.clone(), of(e, n)));
        Set(nodes
            .filter(|(_, n)| n.member || !n.below.is_empty())
            .collect())
    }

    /// With the structs' fields that lead to its paths (`EnsureNamedFieldsAreMembers`).
    pub(super) fn with_named_fields(&self, shape: Shape) -> Set {
        let nodes = self.0.iter().map(|(element, node)| {
            let (named, below) = match element {
                Element::Field(name) => (shape.is_named(name), shape.child(name)),
                _ => (false, shape.item()),
            };
            let below = below.unwrap_or(Shape::Deduced);
            let node = Node {
                member: node.member || named && !node.below.is_empty(),
                below: node.below.with_named_fields(below),
            };
            (element.clone(), node)
        });
        Set(nodes.collect())
    }

    /// All paths: those that end here first, then what lies deeper.
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut out = Vec::new();
        self.add_paths(&mut Vec::new(), &mut out);
        out
    }

    fn add_paths(&self, prefix: &mut Vec<Element>, out: &mut Vec<Vec<Element>>) {
        for (element, _) in self.0.iter().filter(|(_, n)| n.member) {
            let mut path = prefix.clone();
            path.push(element.clone());
            out.push(path);
        }
        for (element, node) in &self.0 {
            prefix.push(element.clone());
            node.below.add_paths(prefix, out);
            prefix.pop();
        }
    }

    /// `fieldsV1`
    pub fn to_value(&self) -> Value {
        let mut out = Map::default();
        for (element, node) in &self.0 {
            let mut below = node.below.to_value();
            if node.member && !below.is_empty() {
                below["."] = Value::new_object();
            }
            out.insert(element.serialized(), below);
        }
        out.into()
    }

    /// From `fieldsV1`; what is no path is left out.
    pub fn from_value(value: &Value) -> Set {
        let mut set = Set::default();
        for (key, below) in value.entries() {
            let Some(element) = Element::parse(key) else {
                continue;
            };
            let node = Node {
                member: below.is_empty() || below.get(".").is_some(),
                below: Set::from_value(below),
            };
            set.0.insert(element, node);
        }
        set
    }
}

/// A path as messages print it: `.spec.containers[name="web"].image`.
pub fn shown(path: &[Element]) -> String {
    path.iter().map(Element::to_string).collect()
}
