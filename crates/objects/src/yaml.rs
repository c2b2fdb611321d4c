//! YAML in and out, as Kubernetes reads and prints it.
//!
//! In: `saphyr-parser` gives events with positions; scalars are resolved as by sigs.k8s.io/yaml (the
//! YAML 1.1 words, octal and binary numbers, `1_000`), and errors are worded as by the libyaml port
//! that the real kubectl uses. Out: what `kubectl -o yaml` prints, byte for byte.

use crate::diagnostic::Diagnostic;
use crate::value::{Text, Value};

mod compose;
mod error;
mod json;
mod print;
mod scalar;

pub use print::to_yaml;

/// One document of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it says; never null.
    pub value: Value,
    /// Where each node stands.
    pub positions: Positions,
    /// What is suspicious: duplicate keys.
    pub warnings: Vec<Diagnostic>,
}

/// Where a node and the nodes in it stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Positions {
    /// Line and column, from 1, of the node's key; of the node itself where it has none.
    pub key: (u32, u32),
    /// Line and column, from 1, of the node itself.
    pub value: (u32, u32),
    children: Vec<(Text, Positions)>,
}

impl Positions {
    /// The position of a child: a map's key, or a list's index as a decimal number.
    pub fn child(&self, step: &str) -> Option<&Positions> {
        // The last of several equal keys is the one that counts.
        self.children
            .iter()
            .rev()
            .find(|(s, _)| **s == *step)
            .map(|(_, p)| p)
    }

    /// The position of `spec.containers[0].image` or `metadata.labels[a.b/c]`, or of the nearest node
    /// above it that is there.
    pub fn nearest(&self, path: &str) -> &Positions {
        let (mut here, mut rest) = (self, path);
        while !rest.is_empty() {
            let (step, after) = match rest.strip_prefix('[') {
                Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
                None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
            };
            let Some(next) = here.child(step) else {
                return here;
            };
            (here, rest) = (next, after.strip_prefix('.').unwrap_or(after));
        }
        here
    }
}

/// The most bytes that one text may have (etcd takes 1.5 MiB of an object, the API server 3 MiB).
const MOST_BYTES: usize = 8 << 20;

/// Reads all documents of a text: YAML, or JSON as kubectl accepts it. Empty documents are left out.
///
/// Errors: what follows kubectl's `error parsing FILE: `, with the line in the whole text (the
/// message counts, as kubectl does, from the start of the document).
pub fn parse(text: &str) -> Result<Vec<Document>, Diagnostic> {
    if text.len() > MOST_BYTES {
        return Err(Diagnostic::error(
            1,
            1,
            format!("the text is larger than {MOST_BYTES} bytes"),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Some(result) = json::parse(text)
    {
        return result;
    }
    let mut documents = Vec::new();
    for (first_line, part) in split(text) {
        documents.extend(compose::document(part, first_line)?);
    }
    Ok(documents)
}

/// Reads all documents up to the first that is wrong: kubectl sends those before it.
pub fn parse_until_error(text: &str) -> (Vec<Document>, Option<Diagnostic>) {
    match parse(text) {
        Ok(documents) => (documents, None),
        Err(error) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let good = split(text)
                .into_iter()
                .map_while(|(line, part)| compose::document(part, line).ok());
            (good.flatten().collect(), Some(error))
        }
    }
}

/// Splits a stream at its `---` lines as kubectl does (k8s.io/apimachinery/pkg/util/yaml): what is
/// in front of the first stays with it. Gives the number of lines before each part.
fn split(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let separates = line.strip_prefix("---").is_some_and(|rest| {
            let rest = rest.trim();
            rest.is_empty() || rest.starts_with('#')
        });
        if separates && offset > start {
            parts.push((start_line, &text[start..offset]));
            (start, start_line) = (offset + line.len(), number + 1);
        }
        offset += line.len();
    }
    if offset > start {
        parts.push((start_line, &text[start..]));
    }
    parts
}

#[cfg(test)]
mod tests;
