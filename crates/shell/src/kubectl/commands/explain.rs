//! `kubectl explain` (`kubectl/pkg/explain/v2/templates/plaintext.tmpl`, v1.37).

use kubarium_objects::schema::Field;
use kubarium_objects::{Schema, Type, TypeId, go};

use super::explain_custom::{self, described, field_text};
use crate::kubectl::Kubectl;
use crate::kubectl::command::Command;
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Kind, flag, switch, text};

pub(crate) const COMMAND: Command = Command::new("explain", "TYPE [--recursive=FALSE|TRUE] [--api-version=api-version-group] [-o|--output=plaintext|plaintext-openapiv2] [options]", "Get documentation for a resource", explain)
    .flags(&[&[
        flag("max-depth", Kind::Int, "0", "Maximum recursion depth when printing nested fields with --recursive. 0 means no limit. Requires --recursive when greater than 0."),
        text("api-version", "Use given api-version (group/version) of the resource."),
        flag("output", Kind::Text, "plaintext", "Format in which to render the schema.").short('o'),
        switch("recursive", "When true, print the name of all the fields recursively."),
    ]])
    .partly("the descriptions of less used types are left out");

/// What the API says of the types that people learn with, made by `cargo xtask schema`.
const DESCRIPTIONS: &str = include_str!("descriptions.txt");

/// What is said of a type or a field that is left out.
const LEFT_OUT: &str = "(this description is left out of the simulation)";

/// What is said of a type and of its fields.
#[derive(Clone, Copy, Default)]
struct Said {
    text: &'static str,
    fields: &'static str,
}

impl Said {
    fn of(name: &str, package: &str) -> Option<Said> {
        let head = format!("\n#{name} {package}\t");
        let at = DESCRIPTIONS.find(&head)? + head.len();
        let rest = &DESCRIPTIONS[at..];
        let rest = rest.find("\n#").map_or(rest, |end| &rest[..end]);
        let (text, fields) = rest.split_once('\n').unwrap_or((rest, ""));
        Some(Said { text, fields })
    }

    /// A field's allowed values and its description.
    fn field(self, name: &str) -> Option<(Vec<&'static str>, String)> {
        let line = self.fields.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('\t'))
        })?;
        let mut parts = line.splitn(3, '\t').skip(1);
        let allowed = parts.next().unwrap_or("");
        let allowed = allowed.split(',').filter(|v| !v.is_empty()).collect();
        Some((allowed, unescaped(parts.next().unwrap_or(""))))
    }
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\\\", "\\")
}

/// How many levels of fields `--recursive` prints; `None` without it.
fn levels(k: &Kubectl) -> Result<Option<usize>> {
    let (limit, recursive) = (k.flags.int("max-depth"), k.flags.bool("recursive"));
    match usize::try_from(limit) {
        Err(_) => plain("--max-depth must be non-negative"),
        Ok(1..) if !recursive => plain("--max-depth requires --recursive"),
        Ok(0) => Ok(recursive.then_some(usize::MAX)),
        Ok(limit) => Ok(Some(limit)),
    }
}

fn explain(k: &mut Kubectl) -> Result {
    let path = match &k.flags.args[..] {
        [] => {
            return plain(
                "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.\n",
            );
        }
        [one] => one.clone(),
        _ => return plain("We accept only this format: explain RESOURCE\n"),
    };
    let deep = levels(k)?;
    if !matches!(k.flags.str("output"), "plaintext" | "plaintext-openapiv2") {
        return plain(format!("unrecognized format: {}", k.flags.str("output")));
    }
    let (word, fields) = path.split_once('.').unwrap_or((&path, ""));
    // kubectl says so as it is, without its usual word before it.
    let mut resource = k.mapping(word).map_err(|why| match why {
        Error::Plain(text) => Error::Verbatim(text),
        why => why,
    })?;
    let version = k.flags.str("api-version").to_owned();
    if !version.is_empty() {
        match k.cluster().resource_by_kind(&version, &resource.kind) {
            Some(found) => resource = found,
            None => {
                return plain(format!(
                    "couldn't find resource for {}",
                    go::quote(&format!("{version}, Resource={}", resource.plural))
                ));
            }
        }
    }
    // The metadata of custom objects is that of all objects.
    let of_metadata = fields.split('.').next() == Some("metadata");
    let definition = k.cluster().definitions().version(&resource);
    if let Some(version) = definition.filter(|_| !of_metadata) {
        let text = explain_custom::explain(&resource, &version.schema, fields, deep)?;
        k.out(text);
        return Ok(());
    }
    let schema = Schema::builtin();
    let mut text = String::new();
    if !resource.group.is_empty() {
        text.push_str(&format!("GROUP:      {}\n", resource.group));
    }
    text.push_str(&format!(
        "KIND:       {}\nVERSION:    {}\n\n",
        resource.kind, resource.version
    ));
    let any = schema.by_kind("v1", "ConfigMap").filter(|_| of_metadata);
    let mut here = any.map_or(resource.type_id, |any| any.type_id);
    let mut last: Option<(Field, Option<Said>)> = None;
    for step in fields.split('.').filter(|s| !s.is_empty()) {
        let of = inner(schema, here).and_then(|id| schema.get_struct(id));
        let field = of.and_then(|s| s.field(step));
        let (Some(of), Some(field)) = (of, field) else {
            k.out(text);
            return plain(format!("field {} does not exist", go::quote(step)));
        };
        here = field.type_id;
        last = Some((field.clone(), Said::of(&of.name, &of.package)));
    }
    let mut said = Vec::new();
    if let Some((field, of)) = &last {
        let name = &field.name;
        text.push_str(&format!("FIELD: {name} <{}>\n", shown_field(schema, field)));
        let (allowed, own) = of
            .and_then(|of| of.field(name))
            .unwrap_or((Vec::new(), String::new()));
        if !allowed.is_empty() {
            text.push_str(&format!("ENUM:\n    {}\n", allowed.join("\n    ")));
        }
        text.push('\n');
        said.push(own);
    }
    if let Some(of) = inner(schema, here).and_then(|id| schema.get_struct(id)) {
        said.push(Said::of(&of.name, &of.package).map_or(String::new(), |s| unescaped(s.text)));
    }
    said.retain(|text| !text.is_empty());
    if said.is_empty() {
        said.push(LEFT_OUT.to_owned());
    }
    text.push_str(&described(&format!("{}\n", said.join("\n"))));
    if let Some(id) = inner(schema, here) {
        text.push_str("FIELDS:\n");
        write_fields(schema, id, 1, deep, &mut text);
    }
    text.push('\n');
    k.out(text);
    Ok(())
}

fn required(is: bool) -> &'static str {
    if is { " -required-" } else { "" }
}

/// The struct that a type is made of.
fn inner(schema: &Schema, id: TypeId) -> Option<TypeId> {
    match schema.get(id) {
        Type::Struct(_) => Some(id),
        Type::List(item) | Type::Map(item, _) => inner(schema, *item),
        _ => None,
    }
}

/// A field's type. What may be anything has a name of its own there.
fn shown_field(schema: &Schema, field: &Field) -> String {
    let named = match (&*field.name, schema.get(field.type_id)) {
        ("fieldsV1", _) => "FieldsV1",
        ("data" | "parameters", Type::RawJson) => "RawExtension",
        ("default" | "example", Type::RawJson) => "JSON",
        ("enum", Type::List(item)) if *schema.get(*item) == Type::RawJson => "[]JSON",
        ("additionalItems" | "additionalProperties", Type::RawJson) => "JSONSchemaPropsOrBool",
        ("items", Type::RawJson) => "JSONSchemaPropsOrArray",
        ("dependencies", _) => "map[string]JSONSchemaPropsOrStringArray",
        _ => return shown(schema, field.type_id),
    };
    named.to_owned()
}

/// A type as explain shows it: `[]Container`, `map[string]string`, `integer`.
fn shown(schema: &Schema, id: TypeId) -> String {
    match schema.get(id) {
        Type::Struct(s) => s.name.to_string(),
        Type::List(item) => format!("[]{}", shown(schema, *item)),
        Type::Map(item, _) => format!("map[string]{}", shown(schema, *item)),
        Type::Bool => "boolean".to_owned(),
        Type::Int32 | Type::Int64 => "integer".to_owned(),
        Type::Float => "number".to_owned(),
        Type::IntOrString => "IntOrString".to_owned(),
        Type::Quantity => "Quantity".to_owned(),
        Type::RawJson => "Object".to_owned(),
        _ => "string".to_owned(),
    }
}

const DEPTH_MAX: usize = 12;

/// The fields of every object's metadata, below their own.
pub(super) fn write_metadata(deep: Option<usize>, text: &mut String) {
    let schema = Schema::builtin();
    let any = schema.by_kind("v1", "ConfigMap");
    let metadata = any.and_then(|any| schema.field(any.type_id, &["metadata"]));
    if let Some(metadata) = metadata {
        write_fields(schema, metadata.type_id, 2, deep, text);
    }
}

fn write_fields(schema: &Schema, id: TypeId, level: usize, deep: Option<usize>, text: &mut String) {
    let Some(of) = schema.get_struct(id) else {
        return;
    };
    let said = Said::of(&of.name, &of.package);
    for field in &of.fields {
        let indent = "  ".repeat(level);
        text.push_str(&format!(
            "{indent}{}\t<{}>{}",
            field.name,
            shown_field(schema, field),
            required(field.required)
        ));
        let found = said.and_then(|said| said.field(&field.name));
        if let Some((allowed, _)) = found.as_ref().filter(|(allowed, _)| !allowed.is_empty()) {
            let mut some: Vec<&str> = allowed.iter().take(4).copied().collect();
            if allowed.len() > 4 {
                some.push("....");
            }
            text.push_str(&format!("\n{indent}enum: {}", some.join(", ")));
        }
        text.push('\n');
        let Some(limit) = deep else {
            let description = match &found {
                Some((_, description)) if !description.is_empty() => description,
                Some(_) => "<no description>",
                None => LEFT_OUT,
            };
            text.push_str(&field_text(description, level));
            continue;
        };
        if level < limit.min(DEPTH_MAX)
            && text.len() < 1 << 20
            && let Some(id) = inner(schema, field.type_id)
        {
            write_fields(schema, id, level + 1, deep, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_fields_are_described() {
        let container = Said::of("Container", "v1").unwrap();
        assert!(container.text.starts_with("A single application container"));
        let (allowed, text) = container.field("imagePullPolicy").unwrap();
        assert_eq!(allowed, ["Always", "IfNotPresent", "Never"]);
        assert!(text.contains("\n\nPossible enum values:\n - `\"Always\"`"));
        assert!(container.field("image").unwrap().0.is_empty());
        assert!(container.field("nosuch").is_none());
        assert!(Said::of("Nosuch", "v1").is_none());
    }

    #[track_caller]
    fn deepest(depth: usize, want: usize) {
        let schema = Schema::builtin();
        let id = schema.by_kind("apps/v1", "Deployment").unwrap().type_id;
        let mut text = String::new();
        write_fields(schema, id, 1, Some(depth), &mut text);
        let indent = |line: &str| line.len() - line.trim_start().len();
        assert_eq!(text.lines().map(indent).max(), Some(2 * want));
    }

    #[test]
    fn fields_are_as_deep_as_asked_for() {
        deepest(1, 1);
        deepest(2, 2);
        deepest(5, 5);
        // spec.template.spec.affinity.podAffinity.preferred….podAffinityTerm.labelSelector.matchExpressions.key
        deepest(usize::MAX, 10);
    }
}
