//! JSON as kubectl accepts it: one object after the other.

use super::{Document, compose};
use crate::diagnostic::Diagnostic;
use crate::value::Value;

/// Reads a stream of JSON values. `None`: it is no JSON, but may be YAML that begins with a brace.
pub(super) fn parse(text: &str) -> Option<Result<Vec<Document>, Diagnostic>> {
    let mut out = Vec::new();
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    loop {
        let start = stream.byte_offset();
        match stream.next() {
            None => return Some(Ok(out)),
            Some(Ok(value)) => {
                let part = text.get(start..stream.byte_offset()).unwrap_or("");
                let blank = part.len() - part.trim_start().len();
                let start = start + blank;
                let line = text[..start].matches('\n').count();
                // JSON is YAML as well: the positions come from there. Not knowing them is no error.
                let composed = compose::document(part.trim_start(), line).ok().flatten();
                let (positions, warnings) =
                    composed.map_or_else(Default::default, |d| (d.positions, d.warnings));
                if !value.is_null() {
                    out.push(Document {
                        value,
                        positions,
                        warnings,
                    });
                }
            }
            Some(Err(e)) if e.is_eof() => {
                return Some(Err(Diagnostic::error(
                    e.line(),
                    e.column().max(1),
                    "unexpected EOF",
                )));
            }
            Some(Err(_)) => return None,
        }
    }
}
