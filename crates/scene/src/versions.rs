//! An object's versions: what each write changed in it, field by field.

use kubarium_cluster::Cluster;
use kubarium_objects::{ObjectKey, Value};
use kubarium_snapshot::inspect::{FieldChange, Version};

/// The most versions that are shown, and the most fields of one.
const VERSIONS_MAX: usize = 40;
const FIELDS_MAX: usize = 24;
/// The most events that are looked through for them.
const EVENTS_MAX: usize = 20_000;
/// The most characters of a field's value.
const VALUE_MAX: usize = 120;

/// The latest versions of an object, newest first. Versions that the log no longer keeps are left out.
pub fn versions(cluster: &Cluster, key: &ObjectKey) -> Vec<Version> {
    let log = &cluster.log;
    let writes: Vec<_> = log
        .iter()
        .rev()
        .take(EVENTS_MAX)
        .filter(|event| event.object.as_ref() == Some(key) && log.stored(event.id).is_some())
        .take(VERSIONS_MAX + 1)
        .collect();
    let stored = |at: usize| writes.get(at).and_then(|event| log.stored(event.id));
    let shown = writes.iter().take(VERSIONS_MAX).enumerate();
    shown
        .map(|(at, event)| {
            let mut fields = Vec::new();
            let before = stored(at + 1).unwrap_or(&Value::Null);
            compare(before, stored(at).unwrap_or(&Value::Null), "", &mut fields);
            let more = fields.len().saturating_sub(FIELDS_MAX);
            fields.truncate(FIELDS_MAX);
            Version {
                event: event.id.0,
                revision: event.revision.unwrap_or_default(),
                at_seconds: event.at.0 as f64 / 1e9,
                by: event.from.to_string(),
                verb: event.action.word().to_owned(),
                fields,
                more,
            }
        })
        .collect()
}

/// Adds the fields in which two values differ. What every write changes, and who set which field, is left out.
fn compare(before: &Value, after: &Value, path: &str, fields: &mut Vec<FieldChange>) {
    if before.same(after)
        || matches!(
            path,
            "metadata.managedFields" | "metadata.resourceVersion" | "metadata.generation"
        )
    {
        return;
    }
    let (old, new) = (before.entries(), after.entries());
    let (was, is) = (before.items(), after.items());
    let both = before.as_object().zip(after.as_object()).is_some();
    let lists = matches!((before, after), (Value::Array(_), Value::Array(_)));
    if both {
        for (name, value) in old {
            compare(value, &after[&**name], &below(path, name), fields);
        }
        for (name, value) in new {
            if before.get(name).is_none() {
                compare(&Value::Null, value, &below(path, name), fields);
            }
        }
    } else if lists {
        for at in 0..was.len().max(is.len()) {
            let of = |list: &[Value]| list.get(at).cloned().unwrap_or(Value::Null);
            compare(&of(was), &of(is), &format!("{path}[{at}]"), fields);
        }
    } else if before.is_null() && !new.is_empty() && !path.contains('.') {
        // A new object is told by its parts.
        for (name, value) in new {
            compare(&Value::Null, value, &below(path, name), fields);
        }
    } else if before != after {
        fields.push(FieldChange {
            path: path.to_owned(),
            before: shown(before),
            after: shown(after),
        });
    }
}

fn below(path: &str, name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match (path, name.chars().all(plain)) {
        ("", _) => name.to_owned(),
        (_, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{name:?}]"),
    }
}

/// A value in a line; nothing for what is not there.
fn shown(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_json(),
    };
    let text = text.replace('\n', "⏎");
    if text.chars().count() > VALUE_MAX {
        let cut: String = text.chars().take(VALUE_MAX).collect();
        return format!("{cut}…");
    }
    text
}
