//! Objects as the API server holds them inside: the Go structs of `pkg/apis/core`, which some of its
//! messages print. Their fields have other names and another order than those of the API.
//!
//! `types.txt` has a struct a paragraph: `#Name`, then its fields in Go's order, each with its name,
//! the field of the API that it comes from, and its type: `s` string, `b` bool, `i` number, `x` printed
//! as the API prints it, `l` a label selector, a struct's name; before that `*` for a pointer, `[` for a list, `{` for a map.
//! `@` stands for the fields of ObjectMeta.

mod difflib;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::go;
use crate::value::Value;

struct Field {
    name: &'static str,
    api: &'static str,
    kind: &'static str,
}

type Structs = BTreeMap<&'static str, Vec<Field>>;

static STRUCTS: LazyLock<Structs> = LazyLock::new(|| {
    let mut structs = Structs::new();
    let mut here = "";
    for line in include_str!("types.txt").lines() {
        if let Some(name) = line.strip_prefix('#') {
            here = name;
            continue;
        }
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap_or("");
        let (name, api, kind) = (next(), next(), next());
        structs
            .entry(here)
            .or_default()
            .push(Field { name, api, kind });
    }
    structs
});

/// A value as Go's `json.Marshal` prints the internal struct of that name.
pub(crate) fn json(name: &str, value: &Value) -> String {
    let mut out = String::new();
    write(name, value, None, 0, &mut out);
    out
}

/// The difference of two values of an internal struct, as the API server's messages end with it.
pub(crate) fn diff(name: &str, old: &Value, new: &Value) -> String {
    let pretty = |value: &Value| {
        let mut out = String::new();
        write(name, value, Some(" "), 0, &mut out);
        out
    };
    difflib::unified(&pretty(old), &pretty(new))
}

fn write(kind: &str, value: &Value, indent: Option<&str>, level: usize, out: &mut String) {
    if let Some(inner) = kind.strip_prefix('*') {
        if value.is_null() {
            return out.push_str("null");
        }
        return write(inner, value, indent, level, out);
    }
    if let Some(item) = kind.strip_prefix('[') {
        let items = value.items();
        if items.is_empty() {
            return out.push_str("null");
        }
        let parts = items.iter().map(|v| (None, item, v));
        return write_all(('[', ']'), parts, indent, level, out);
    }
    if let Some(of) = kind.strip_prefix('{') {
        let fields = value.entries();
        if fields.is_empty() {
            return out.push_str("null");
        }
        let parts = fields.iter().map(|(k, v)| (Some(&**k), of, v));
        return write_all(('{', '}'), parts, indent, level, out);
    }
    match kind {
        "s" => out.push_str(&go::json(&value.str().into())),
        "b" => out.push_str(if value.as_bool() == Some(true) {
            "true"
        } else {
            "false"
        }),
        "i" => out.push_str(&value.as_i64().unwrap_or(0).to_string()),
        "x" => write_api(value, indent, level, out),
        "l" => write_given(
            value,
            &[("matchLabels", "x"), ("matchExpressions", "[r")],
            indent,
            level,
            out,
        ),
        "r" => write_given(
            value,
            &[("key", "x"), ("operator", "x"), ("values", "x")],
            indent,
            level,
            out,
        ),
        name => {
            let none = Vec::new();
            let mut parts: Vec<(Option<&str>, &str, &Value)> = Vec::new();
            for field in STRUCTS.get(name).unwrap_or(&none) {
                if field.name == "@" {
                    let metadata = value["metadata"].entries();
                    let shown = metadata.iter().filter(|(_, v)| !v.is_empty());
                    parts.extend(shown.map(|(k, v)| (Some(&**k), "x", v)));
                } else {
                    parts.push((Some(field.name), field.kind, &value[field.api]));
                }
            }
            write_all(('{', '}'), parts.into_iter(), indent, level, out);
        }
    }
}

/// Fields of the API in Go's order, where they are not empty (but `key` and `operator` always).
fn write_given(
    value: &Value,
    fields: &[(&str, &str)],
    indent: Option<&str>,
    level: usize,
    out: &mut String,
) {
    static NONE: LazyLock<Value> = LazyLock::new(|| "".into());
    let parts = fields.iter().filter_map(|(name, kind)| {
        let value = match *name {
            "key" | "operator" if value[*name].is_null() => &*NONE,
            _ => &value[*name],
        };
        let left_out = value.is_null() || value.is_empty() && kind.starts_with('[');
        (!left_out).then_some((Some(*name), *kind, value))
    });
    write_all(('{', '}'), parts, indent, level, out);
}

/// A value as the API has it.
fn write_api(value: &Value, indent: Option<&str>, level: usize, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let parts = fields.iter().map(|(k, v)| (Some(&**k), "x", v));
            write_all(('{', '}'), parts, indent, level, out);
        }
        Value::Array(items) => {
            let parts = items.iter().map(|v| (None, "x", v));
            write_all(('[', ']'), parts, indent, level, out);
        }
        scalar => out.push_str(&go::json(scalar)),
    }
}

fn write_all<'a>(
    (open, close): (char, char),
    parts: impl Iterator<Item = (Option<&'a str>, &'a str, &'a Value)>,
    indent: Option<&str>,
    level: usize,
    out: &mut String,
) {
    out.push(open);
    let mut any = false;
    let line = |out: &mut String, level: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.push_str(&indent.repeat(level));
        }
    };
    for (name, kind, value) in parts {
        if any {
            out.push(',');
        }
        any = true;
        line(out, level + 1);
        if let Some(name) = name {
            out.push_str(&go::json(&name.into()));
            out.push_str(if indent.is_some() { ": " } else { ":" });
        }
        write(kind, value, indent, level + 1, out);
    }
    if any {
        line(out, level);
    }
    out.push(close);
}
