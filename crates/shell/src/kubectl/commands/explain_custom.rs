//! `kubectl explain` of custom resources, by the schema of their definition
//! (`kubectl/pkg/explain/v2/templates/plaintext.tmpl`, v1.37).

use kubarium_objects::{Resource, Value, go, object};

use crate::kubectl::error::{Result, plain};

/// How deep `--recursive` goes.
const DEPTH_MAX: usize = 32;

/// What explain prints of a custom resource, or of one of its fields.
pub(super) fn explain(
    resource: &Resource,
    schema: &Value,
    fields: &str,
    deep: Option<usize>,
) -> Result<String> {
    let mut here = with_object_fields(schema);
    let mut last = None;
    for step in fields.split('.').filter(|s| !s.is_empty()) {
        let of = inside(&here);
        let Some(field) = of["properties"].get(step).cloned() else {
            return plain(format!("field {} does not exist", go::quote(step)));
        };
        last = Some(step.to_owned());
        here = field;
    }
    let mut text = format!(
        "GROUP:      {}\nKIND:       {}\nVERSION:    {}\n\n",
        resource.group, resource.kind, resource.version
    );
    if let Some(name) = &last {
        text.push_str(&format!("FIELD: {name} <{}>\n", shown(&here)));
        let allowed = here["enum"].items();
        if !allowed.is_empty() {
            text.push_str("ENUM:");
            for value in allowed {
                text.push_str(&format!("\n    {}", enum_value(value)));
            }
            text.push('\n');
        }
        text.push('\n');
    }
    let description = match here["description"].str() {
        "" => "<empty>".to_owned(),
        text => format!("{text}\n"),
    };
    text.push_str(&described(&description));
    let of = inside(&here);
    if of["properties"].as_object().is_some_and(|p| !p.is_empty()) {
        text.push_str("FIELDS:\n");
        write_fields(of, 1, deep, &mut text);
    }
    text.push('\n');
    Ok(text)
}

/// The description of what is explained.
pub(super) fn described(text: &str) -> String {
    format!("DESCRIPTION:\n{}\n", indented(&wrapped(text, 76), 4))
}

/// The description of a field in the list of fields.
pub(super) fn field_text(description: &str, level: usize) -> String {
    let text = wrapped(description, 78 - 2 * level);
    format!("{}\n\n", indented(&text, 2 * level + 2))
}

/// The schema with the fields that every object has.
fn with_object_fields(schema: &Value) -> Value {
    let mut schema = schema.clone();
    for (name, kind, description) in OBJECT_FIELDS {
        let field = object([("type", kind.into()), ("description", description.into())]);
        schema["properties"][name] = field;
    }
    schema
}

/// What the API server says of the fields that every object has
/// (`apiextensions-apiserver/pkg/controller/openapi/builder`).
const OBJECT_FIELDS: [(&str, &str, &str); 3] = [
    (
        "apiVersion",
        "string",
        "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
    ),
    (
        "kind",
        "string",
        "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
    ),
    (
        "metadata",
        "ObjectMeta",
        "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
    ),
];

/// What a list or a map is made of, or the schema itself.
fn inside(schema: &Value) -> &Value {
    let mut here = schema;
    for _ in 0..DEPTH_MAX {
        let next = [&here["items"], &here["additionalProperties"]];
        match next.into_iter().find(|s| s.as_object().is_some()) {
            Some(next) => here = next,
            None => break,
        }
    }
    here
}

fn shown(schema: &Value) -> String {
    if schema["items"].as_object().is_some() {
        return format!("[]{}", shown(&schema["items"]));
    }
    if schema["additionalProperties"].as_object().is_some() {
        return format!("map[string]{}", shown(&schema["additionalProperties"]));
    }
    match schema["type"].str() {
        "object" | "" => "Object".to_owned(),
        other => other.to_owned(),
    }
}

fn enum_value(value: &Value) -> String {
    match value {
        Value::String(s) if s.is_empty() => "\"\"".to_owned(),
        Value::String(s) => s.to_string(),
        other => other.to_json(),
    }
}

fn write_fields(schema: &Value, level: usize, deep: Option<usize>, text: &mut String) {
    let required = schema["required"].items();
    for (name, field) in schema["properties"].entries() {
        let indent = "  ".repeat(level);
        let must = required.iter().any(|r| r.str() == &**name);
        let must = if must { " -required-" } else { "" };
        text.push_str(&format!("{indent}{name}\t<{}>{must}", shown(field)));
        let allowed = field["enum"].items();
        if !allowed.is_empty() {
            let mut some: Vec<String> = allowed.iter().take(4).map(enum_value).collect();
            if allowed.len() > 4 {
                some.push("....".to_owned());
            }
            text.push_str(&format!("\n{indent}enum: {}", some.join(", ")));
        }
        text.push('\n');
        let Some(limit) = deep else {
            let description = match field["description"].str() {
                "" => "<no description>",
                text => text,
            };
            text.push_str(&field_text(description, level));
            continue;
        };
        if level == 1 && &**name == "metadata" && limit > 1 {
            super::explain::write_metadata(deep, text);
        } else if level < limit.min(DEPTH_MAX) {
            write_fields(inside(field), level + 1, deep, text);
        }
    }
}

/// Breaks lines between words.
fn wrapped(text: &str, width: usize) -> String {
    let mut out = Vec::new();
    for line in text.split('\n') {
        let blanks = line.len() - line.trim_start().len();
        let mut here = " ".repeat(blanks.min(width));
        for word in line.split_whitespace() {
            if here.trim().is_empty() {
                here.push_str(word);
                continue;
            }
            let length = here.chars().count() + 1 + word.chars().count();
            if length > width {
                out.push(std::mem::take(&mut here));
            } else {
                here.push(' ');
            }
            here.push_str(word);
        }
        out.push(here);
    }
    out.join("\n")
}

fn indented(text: &str, by: usize) -> String {
    let indent = " ".repeat(by);
    let lines: Vec<String> = text.split('\n').map(|l| format!("{indent}{l}")).collect();
    lines.join("\n")
}
