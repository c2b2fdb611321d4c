//! Events to values with positions.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::scalar::{Resolved, resolve};
use super::{Document, Positions, error};
use crate::diagnostic::Diagnostic;
use crate::go;
use crate::value::{Map, Text, Value};

/// Objects of the API are at most some twenty levels deep; what is far deeper is an attack.
const MOST_DEPTH: usize = 100;

/// Reads the first document of `text`, which begins after `lines_before` lines of the whole.
pub(super) fn document(text: &str, lines_before: usize) -> Result<Option<Document>, Diagnostic> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(bad) = error::control_character(text, lines_before) {
        return Err(bad);
    }
    // libyaml takes a tab after a colon for a blank; the parser here does not.
    let spaced = tab_after_colon(text).then(|| text.replace(":\t", ": "));
    let text = spaced.as_deref().unwrap_or(text);
    let mut composer = Composer {
        text,
        lines_before,
        ..Composer::default()
    };
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|e| error::scan(text, lines_before, &e))?;
        match event {
            Event::DocumentStart(_) => documents += 1,
            // Only the first document counts, but the parser looks at what follows it.
            _ if documents > 1 => break,
            event => composer.event(event, span)?,
        }
    }
    Ok(composer.finish())
}

/// Whether the parser stops at a tab after a colon.
fn tab_after_colon(text: &str) -> bool {
    if !text.contains(":\t") {
        return false;
    }
    let mut parser = Parser::new_from_str(text);
    let stops = |e: &saphyr_parser::ScanError| e.info().contains("valid YAML whitespace");
    std::iter::from_fn(|| parser.next_event())
        .find_map(Result::err)
        .is_some_and(|e| stops(&e))
}

#[derive(Default)]
struct Composer<'a> {
    text: &'a str,
    lines_before: usize,
    stack: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, Anchor>,
    warnings: Vec<Diagnostic>,
    nodes: usize,
    aliased: usize,
}

/// A finished node.
struct Node {
    value: Value,
    merge: bool,
    positions: Positions,
    size: usize,
}

struct Anchor {
    value: Value,
    size: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    anchor: usize,
    at: (u32, u32),
    size: usize,
    children: Vec<(Text, Positions)>,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Value>),
    Map { map: Map, key: Option<Key> },
}

struct Key {
    text: Text,
    at: (u32, u32),
    merge: bool,
}

impl Composer<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let at = self.position(&span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_deref(), at)?;
                self.remember(anchor, &node);
                self.add(node)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, at, OpenKind::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(
                anchor,
                at,
                OpenKind::Map {
                    map: Map::default(),
                    key: None,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, at),
            _ => Ok(()),
        }
    }

    fn position(&self, span: &Span) -> (u32, u32) {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (
            number(span.start.line() + self.lines_before),
            number(span.start.col() + 1),
        )
    }

    fn fail(&self, at: (u32, u32), message: &str) -> Diagnostic {
        Diagnostic::error(
            at.0 as usize,
            at.1 as usize,
            format!("error converting YAML to JSON: {message}"),
        )
    }

    fn open(&mut self, anchor: usize, at: (u32, u32), kind: OpenKind) -> Result<(), Diagnostic> {
        if self.stack.len() >= MOST_DEPTH {
            let mut error = self.fail(at, "yaml: exceeded max depth of 10000");
            error.hint = format!("this simulator reads at most {MOST_DEPTH} levels");
            return Err(error);
        }
        self.stack.push(Open {
            anchor,
            at,
            size: 1,
            children: Vec::new(),
            kind,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Diagnostic> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let value = match open.kind {
            OpenKind::List(items) => Value::Array(items.into()),
            OpenKind::Map { map, .. } => map.into(),
        };
        let positions = Positions {
            key: open.at,
            value: open.at,
            children: open.children,
        };
        let node = Node {
            value,
            merge: false,
            positions,
            size: open.size,
        };
        self.remember(open.anchor, &node);
        self.add(node)
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(
                anchor,
                Anchor {
                    value: node.value.clone(),
                    size: node.size,
                },
            );
        }
    }

    fn alias(&mut self, anchor: usize, at: (u32, u32)) -> Result<(), Diagnostic> {
        let Some(Anchor { value, size }) = self.anchors.get(&anchor) else {
            let name =
                error::alias_name(self.text, at.0 as usize - self.lines_before, at.1 as usize);
            return Err(self.fail(at, &format!("yaml: anchor '{name}' value contains itself")));
        };
        let (value, size) = (value.clone(), *size);
        self.aliased = self.aliased.saturating_add(size);
        let all = self.nodes.saturating_add(self.aliased);
        if self.aliased > 100
            && all > 1000
            && self.aliased as f64 / all as f64 > allowed_alias_ratio(all)
        {
            return Err(self.fail(at, "yaml: document contains excessive aliasing"));
        }
        // Where an alias stands is known, not where in it: that would have to be copied.
        let positions = Positions {
            key: at,
            value: at,
            children: Vec::new(),
        };
        self.add(Node {
            value,
            merge: false,
            positions,
            size,
        })
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: (u32, u32),
    ) -> Result<Node, Diagnostic> {
        self.nodes += 1;
        let tag = tag.map_or("", |t| {
            if t.is_yaml_core_schema() {
                t.suffix.as_str()
            } else {
                "str"
            }
        });
        let plain = style == ScalarStyle::Plain;
        let resolved = match tag {
            "str" => Resolved::Value(text.into()),
            "" if !plain => Resolved::Value(text.into()),
            "binary" => {
                let packed: String = text.split_whitespace().collect();
                let bytes = crate::base64::decode(&packed).map_err(|_| {
                    self.fail(at, "yaml: !!binary value contains invalid base64 data")
                })?;
                Resolved::Value(String::from_utf8_lossy(&bytes).as_ref().into())
            }
            _ => resolve(text),
        };
        let (value, merge) = match resolved {
            Resolved::Value(value) => (value, false),
            Resolved::Merge => ("<<".into(), true),
            Resolved::NotFinite(name) => {
                let message = format!("json: unsupported value: {name}");
                return Err(self.fail(at, &message));
            }
        };
        let value = match (tag, value) {
            ("int", v @ (Value::String(_) | Value::Bool(_)))
            | ("float" | "bool", v @ Value::String(_)) => {
                let found = if matches!(v, Value::String(_)) {
                    "str"
                } else {
                    "bool"
                };
                let message = format!(
                    "yaml: cannot decode !!{found} {} as a !!{tag}",
                    backquote(text)
                );
                return Err(self.fail(at, &message));
            }
            (_, value) => value,
        };
        let positions = Positions {
            key: at,
            value: at,
            children: Vec::new(),
        };
        Ok(Node {
            value,
            merge,
            positions,
            size: 1,
        })
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node) -> Result<(), Diagnostic> {
        let Some(open) = self.stack.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        open.size = open.size.saturating_add(node.size);
        let (map, key) = match &mut open.kind {
            OpenKind::List(items) => {
                open.children
                    .push((items.len().to_string().into(), node.positions));
                items.push(node.value);
                return Ok(());
            }
            OpenKind::Map { map, key } => (map, key),
        };
        let at = node.positions.value;
        match key.take() {
            None => {
                let text = key_text(&node.value).map_err(|m| self.fail(at, &m))?;
                let Some(Open {
                    kind: OpenKind::Map { key, .. },
                    ..
                }) = self.stack.last_mut()
                else {
                    return Ok(());
                };
                *key = Some(Key {
                    text,
                    at,
                    merge: node.merge,
                });
                Ok(())
            }
            Some(k) if k.merge => {
                if merge(map, &node.value) {
                    return Ok(());
                }
                Err(self.fail(
                    at,
                    "yaml: map merge requires map or sequence of maps as the value",
                ))
            }
            Some(k) => {
                if map.insert(k.text.clone(), node.value).is_some() {
                    let message = format!(
                        "key {} is given twice: the last one counts",
                        go::quote(&k.text)
                    );
                    self.warnings.push(Diagnostic::warning(
                        k.at.0 as usize,
                        k.at.1 as usize,
                        message,
                    ));
                }
                open.children.push((
                    k.text,
                    Positions {
                        key: k.at,
                        ..node.positions
                    },
                ));
                Ok(())
            }
        }
    }

    fn finish(self) -> Option<Document> {
        let root = self.root.filter(|r| !r.value.is_null())?;
        Some(Document {
            value: root.value,
            positions: root.positions,
            warnings: self.warnings,
        })
    }
}

/// The share of nodes that may come from aliases: goyaml's defence against alias bombs.
fn allowed_alias_ratio(nodes: usize) -> f64 {
    const LOW: f64 = 400_000.0;
    const HIGH: f64 = 4_000_000.0;
    let nodes = nodes as f64;
    if nodes <= LOW {
        0.99
    } else if nodes >= HIGH {
        0.10
    } else {
        0.99 - 0.89 * (nodes - LOW) / (HIGH - LOW)
    }
}

/// A map's key as JSON has it: a string whatever it was.
fn key_text(key: &Value) -> Result<Text, String> {
    Ok(match key {
        Value::String(s) => s.clone(),
        Value::Bool(b) => b.to_string().into(),
        Value::Int(i) => i.to_string().into(),
        Value::Float(f) => go::float(*f).into(),
        Value::Null => return Err("unsupported map key of type: nil, key: <nil>".into()),
        Value::Array(_) | Value::Object(_) => {
            return Err(format!(
                "yaml: invalid map key: {}",
                go::syntax(key, "interface {}")
            ));
        }
    })
}

/// Merges a map, or a list of maps (the first one wins), into `map`. Later keys of the map itself
/// overwrite what was merged, earlier ones are overwritten: so does goyaml v2.
fn merge(map: &mut Map, value: &Value) -> bool {
    match value {
        Value::Object(from) => {
            for (k, v) in from.iter() {
                map.insert(k.clone(), v.clone());
            }
            true
        }
        Value::Array(items) => {
            items.iter().all(|i| matches!(i, Value::Object(_)))
                && items.iter().rev().all(|item| merge(map, item))
        }
        _ => false,
    }
}

fn backquote(text: &str) -> String {
    format!("`{text}`")
}
