//! `-o kyaml`: YAML that reads like JSON (KEP-5295; `sigs.k8s.io/yaml/kyaml`).

use kubarium_objects::{Value, go};

const DEPTH_MAX: usize = 128;

/// An object's text, as a document of its own.
pub(crate) fn print(value: &Value) -> String {
    let mut out = String::from("---\n");
    write(&mut out, value, 0);
    out.push('\n');
    out
}

fn indent(out: &mut String, level: usize) {
    (0..level).for_each(|_| out.push_str("  "));
}

fn write(out: &mut String, value: &Value, level: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::String(s) => text(out, s, level),
        Value::Object(map) if map.is_empty() || level > DEPTH_MAX => out.push_str("{}"),
        Value::Object(map) => {
            out.push_str("{\n");
            for (name, value) in map.iter() {
                indent(out, level + 1);
                key(out, name);
                out.push_str(": ");
                write(out, value, level + 1);
                out.push_str(",\n");
            }
            indent(out, level);
            out.push('}');
        }
        Value::Array(items) if items.is_empty() || level > DEPTH_MAX => out.push_str("[]"),
        // Maps in a list stand close to its brackets.
        Value::Array(items)
            if items
                .iter()
                .all(|i| i.as_object().is_some_and(|m| !m.is_empty())) =>
        {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write(out, item, level);
            }
            out.push(']');
        }
        Value::Array(items) => {
            out.push_str("[\n");
            for item in items.iter() {
                indent(out, level + 1);
                write(out, item, level + 1);
                out.push_str(",\n");
            }
            indent(out, level);
            out.push(']');
        }
        other => out.push_str(&go::print(other)),
    }
}

/// A key needs quotes where it could be read as something else.
fn key(out: &mut String, name: &str) {
    let ambiguous = matches!(
        name.to_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "~"
    );
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    if plain && !ambiguous {
        out.push_str(name);
    } else {
        text(out, name, 0);
    }
}

/// A text in double quotes; where it has several lines, one on each line, each break escaped.
fn text(out: &mut String, s: &str, level: usize) {
    if !s.contains('\n') {
        out.push('"');
        escaped(out, s);
        out.push('"');
        return;
    }
    out.push_str("\"\\\n");
    for line in s.split_inclusive('\n') {
        indent(out, level + 1);
        // What begins with a blank would lose it.
        out.push(if line.starts_with([' ', '\t']) {
            '\\'
        } else {
            ' '
        });
        escaped(out, line);
        out.push_str("\\\n");
    }
    indent(out, level + 1);
    out.push('"');
}

fn escaped(out: &mut String, s: &str) {
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 32 || c == '\u{7f}' => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_look_like_json_and_are_yaml() {
        let value = Value::from_json(
            r#"{"a":"b","l":[1,"x"],"m":[{"k":true},{"k":null}],"e":{},"o":[],"t":"x\ny","yes":"1"}"#,
        )
        .unwrap();
        let want = "---\n{\n  a: \"b\",\n  e: {},\n  l: [\n    1,\n    \"x\",\n  ],\n  m: [{\n    k: true,\n  }, {\n    k: null,\n  }],\n  o: [],\n  t: \"\\\n     x\\n\\\n     y\\\n    \",\n  \"yes\": \"1\",\n}\n";
        assert_eq!(print(&value), want);
        let read = kubarium_objects::yaml::parse(&print(&value)).unwrap();
        assert_eq!(read[0].value, value);
    }
}
