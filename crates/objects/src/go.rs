//! How Go prints things that Kubernetes puts into messages.

use std::fmt::Write as _;

use crate::value::Value;

/// A string as Go's `%q` prints it.
pub fn quote(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_print(c) => out.push(c),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => _ = write!(out, "\\x{:02x}", c as u32),
            c if (c as u32) < 0x10000 => _ = write!(out, "\\u{:04x}", c as u32),
            c => _ = write!(out, "\\U{:08x}", c as u32),
        }
    }
    out.push('"');
    out
}

/// Go's `unicode.IsPrint`, as far as Rust's own table of printable characters knows.
fn is_print(c: char) -> bool {
    c == '\'' || c.is_alphanumeric() || c.escape_debug().nth(1) != Some('u')
}

/// A value as Go's `fmt.Print` writes it.
pub fn print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) => general(*f),
        Value::String(s) => s.to_string(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(print).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{k}:{}", print(v)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// A value as Go's `%#v` writes it, whose maps have keys of that type: `string` from JSON, `interface {}` from YAML.
pub fn syntax(value: &Value, keys: &str) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(s) => quote(s),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| syntax(item, keys)).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{}:{}", quote(k), syntax(v, keys)))
                .collect();
            format!("map[{keys}]interface {{}}{{{}}}", entries.join(", "))
        }
        other => print(other),
    }
}

/// `%v` of a float64.
fn general(f: f64) -> String {
    let magnitude = f.abs();
    if f == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return format!("{f}");
    }
    let text = format!("{f:e}");
    match text.split_once('e') {
        Some((m, e)) => match e.strip_prefix('-') {
            Some(e) => format!("{m}e-{e:0>2}"),
            None => format!("{m}e+{e:0>2}"),
        },
        None => text,
    }
}

/// The type that Go's decoder gives a value, as `%T` prints it.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A number as Go's `encoding/json` prints a float64.
pub fn float(f: f64) -> String {
    if f == 0.0 {
        return if f.is_sign_negative() {
            "-0".into()
        } else {
            "0".into()
        };
    }
    let magnitude = f.abs();
    if !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{f:e}");
        return match text.split_once('e') {
            Some((m, e)) if !e.starts_with('-') => format!("{m}e+{e:0>2}"),
            Some((m, e)) => format!("{m}e-{:0>1}", e.trim_start_matches('-')),
            None => text,
        };
    }
    format!("{f}")
}

/// A JSON string with Go's escapes: `<`, `>`, `&`, U+2028 and U+2029 as `\u…`.
pub fn json_string(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                _ = write!(out, "\\u{:04x}", c as u32)
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Compact JSON as Go's `json.Marshal` prints it, keys in the map's order.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(&mut out, value);
    out
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (i, (k, v)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                json_string(out, k);
                out.push(':');
                write_json(out, v);
            }
            out.push('}');
        }
        scalar => json_scalar(out, scalar),
    }
}

/// `null`, a boolean, a number or a string as JSON.
pub(crate) fn json_scalar(out: &mut String, value: &Value) {
    match value {
        Value::Bool(b) => _ = write!(out, "{b}"),
        Value::Int(i) => _ = write!(out, "{i}"),
        Value::Float(f) => out.push_str(&float(*f)),
        Value::String(s) => json_string(out, s),
        _ => out.push_str("null"),
    }
}

/// JSON with Go's escapes, indented by `indent` (`kubectl -o json` indents by four blanks).
/// No newline at the end.
pub fn json_indent(value: &Value, indent: &str) -> String {
    let mut out = String::new();
    write_indented(&mut out, value, indent, 0);
    out
}

fn write_indented(out: &mut String, value: &Value, indent: &str, depth: usize) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        (0..depth).for_each(|_| out.push_str(indent));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                write_indented(out, item, indent, depth + 1);
            }
            line(out, depth);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (i, (k, v)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                json_string(out, k);
                out.push_str(": ");
                write_indented(out, v, indent, depth + 1);
            }
            line(out, depth);
            out.push('}');
        }
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        scalar => json_scalar(out, scalar),
    }
}

/// Whether a text is JSON. Errors: Go's `json.Unmarshal` text for the first byte that is wrong.
pub(crate) fn check_json(text: &str) -> Result<(), String> {
    let Err(e) = serde_json::from_str::<Value>(text) else {
        return Ok(());
    };
    if e.is_eof() {
        return Err("unexpected end of JSON input".into());
    }
    let line = text.lines().nth(e.line().saturating_sub(1)).unwrap_or("");
    let wrong = line
        .chars()
        .nth(e.column().saturating_sub(1))
        .unwrap_or(' ');
    Err(format!(
        "invalid character {} looking for beginning of value",
        quote(&wrong.to_string()).replace('"', "'")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_numbers_look_like_gos() {
        assert_eq!(
            quote("we\u{200b}b\n\"\x07ä🚀'"),
            "\"we\\u200bb\\n\\\"\\aä🚀'\""
        );
        for (f, text) in [
            (1.5, "1.5"),
            (1e21, "1e+21"),
            (1.25e-7, "1.25e-7"),
            (100000.0, "100000"),
            (-0.1, "-0.1"),
        ] {
            assert_eq!(float(f), text);
        }
        let v = Value::from_json(r#"{"a":[1,{"b":"<x>"}],"c":{},"d":[]}"#).unwrap();
        assert_eq!(json(&v), r#"{"a":[1,{"b":"\u003cx\u003e"}],"c":{},"d":[]}"#);
        assert_eq!(
            json_indent(&v, "  "),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"\\u003cx\\u003e\"\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}"
        );
    }
}
