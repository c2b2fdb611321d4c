//! Custom resources: what a structural schema makes of a value. Fields that it does not know are
//! pruned, defaults are filled in, the rest is validated
//! (apiextensions-apiserver v0.37, `pkg/apiserver/schema`).

pub mod cel;
mod validate;

#[cfg(test)]
mod tests;

pub use cel::{
    Expression, NotChecked, Type, compile, request_type, type_of, type_of_kind,
    unsupported as unsupported_rules,
};
pub use validate::{create, update};

use crate::value::{Map, Value};

/// How deep schemas and values are followed.
pub(crate) const DEPTH_MAX: usize = 64;

/// The fields of every object that no schema describes.
const OBJECT_META: [&str; 3] = ["apiVersion", "kind", "metadata"];

fn flag(schema: &Value, name: &str) -> bool {
    schema[name].as_bool() == Some(true)
}

fn keeps_unknown(schema: &Value) -> bool {
    flag(schema, "x-kubernetes-preserve-unknown-fields")
}

/// Takes away what the schema does not know, and lists the paths: `spec.colour`.
pub fn prune(schema: &Value, value: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_at(schema, value, true, "", 0, &mut unknown);
    unknown
}

fn prune_at(
    schema: &Value,
    value: &mut Value,
    root: bool,
    path: &str,
    depth: usize,
    unknown: &mut Vec<String>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Array(items) => {
            let of = &schema["items"];
            let mut items = items.to_vec();
            for (at, item) in items.iter_mut().enumerate() {
                if !of.is_null() {
                    prune_at(
                        of,
                        item,
                        false,
                        &format!("{path}[{at}]"),
                        depth + 1,
                        unknown,
                    );
                }
            }
            *value = items.into();
        }
        Value::Object(_) => {
            let keeps = keeps_unknown(schema);
            let embedded = root || flag(schema, "x-kubernetes-embedded-resource");
            let names: Vec<_> = value.entries().iter().map(|(k, _)| k.clone()).collect();
            for name in names {
                if embedded && OBJECT_META.contains(&&*name) {
                    continue;
                }
                let here = if path.is_empty() {
                    name.to_string()
                } else {
                    format!("{path}.{name}")
                };
                let of = match schema["properties"].get(&name) {
                    Some(of) => of,
                    None => match &schema["additionalProperties"] {
                        of @ Value::Object(_) => of,
                        Value::Bool(true) => continue,
                        _ if keeps => continue,
                        _ => {
                            value.remove(&[&name]);
                            unknown.push(here);
                            continue;
                        }
                    },
                };
                prune_at(of, &mut value[&*name], false, &here, depth + 1, unknown);
            }
        }
        _ => {}
    }
}

/// Fills in the schema's defaults.
pub fn default(schema: &Value, value: &mut Value) {
    default_at(schema, value, 0);
}

fn default_at(schema: &Value, value: &mut Value, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Array(items) => {
            let of = &schema["items"];
            let mut items = items.to_vec();
            for item in &mut items {
                // A null where none may be is as good as nothing.
                if item.is_null() && !flag(of, "nullable") && of.get("default").is_some() {
                    *item = of["default"].clone();
                }
                default_at(of, item, depth + 1);
            }
            *value = items.into();
        }
        Value::Object(_) => {
            for (name, of) in schema["properties"].entries() {
                let Some(default) = of.get("default").filter(|d| !d.is_null()) else {
                    continue;
                };
                let missing = match value.get(name) {
                    None => true,
                    Some(given) => given.is_null() && !flag(of, "nullable"),
                };
                if missing {
                    value[&**name] = default.clone();
                }
            }
            let names: Vec<_> = value.entries().iter().map(|(k, _)| k.clone()).collect();
            for name in names {
                let of = match schema["properties"].get(&name) {
                    Some(of) => of,
                    None => &schema["additionalProperties"],
                };
                if of.as_object().is_some() {
                    default_at(of, &mut value[&*name], depth + 1);
                }
            }
        }
        _ => {}
    }
}

/// Takes away nulls that the schema does not allow and has no default for.
pub fn drop_nulls(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter_map(|(name, field)| {
                let known = schema["properties"].get(name);
                let drops = |of: &Value| !flag(of, "nullable") && of.get("default").is_some();
                if field.is_null() && known.is_some_and(drops) {
                    return None;
                }
                let none = Value::Null;
                Some((name.clone(), drop_nulls(known.unwrap_or(&none), field)))
            });
            kept.collect::<Map>().into()
        }
        other => other.clone(),
    }
}
