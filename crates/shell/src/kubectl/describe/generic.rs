//! Kinds that describe knows nothing of: every field, in words (`genericDescriber`).

use kubarium_objects::{ObjectMeta, Value};

use super::{annotations, events, labels};
use crate::kubectl::Kubectl;
use crate::kubectl::printers::scalar;
use crate::kubectl::resource::Info;
use crate::kubectl::table::Lines;

const DEPTH_MAX: usize = 32;

pub(super) fn object(k: &Kubectl, info: &Info, w: &mut Lines) {
    let o = &info.object;
    w.line(0, format!("Name:\t{}", o.name()));
    w.line(0, format!("Namespace:\t{}", o.namespace()));
    labels(w, "", "Labels", o.labels());
    annotations(w, "Annotations", o.annotations());
    let mut rest = o.clone();
    for field in [
        "name",
        "namespace",
        "labels",
        "annotations",
        "managedFields",
    ] {
        rest.remove(&["metadata", field]);
    }
    fields(&rest, 0, w);
    events(k, o, w);
}

fn fields(map: &Value, level: usize, w: &mut Lines) {
    if level > DEPTH_MAX {
        return;
    }
    let mut named: Vec<(String, &Value)> = map
        .entries()
        .iter()
        .map(|(key, v)| (words(key), v))
        .collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, value) in named {
        match value {
            Value::Object(_) => {
                w.line(level, format!("{name}:"));
                fields(value, level + 1, w);
            }
            Value::Array(items) => {
                w.line(level, format!("{name}:"));
                for item in items.iter() {
                    match item {
                        Value::Object(_) => fields(item, level + 1, w),
                        other => w.line(level + 1, scalar(other)),
                    }
                }
            }
            Value::Null => w.line(level, format!("{name}:\t<nil>")),
            other => w.line(level, format!("{name}:\t{}", scalar(other))),
        }
    }
}

/// `creationTimestamp` as `Creation Timestamp`, `apiVersion` as `API Version` (`smartLabelFor`).
fn words(field: &str) -> String {
    if field.chars().any(|c| !c.is_alphabetic() && c != '-') {
        return field.to_owned();
    }
    let parts = merged(camel_case(field)).into_iter().map(|part| {
        let upper = part.to_uppercase();
        match ACRONYMS.contains(&upper.as_str()) {
            true => upper,
            false => {
                let mut letters = part.chars();
                let first = letters
                    .next()
                    .map_or(String::new(), |c| c.to_uppercase().collect());
                first + letters.as_str()
            }
        }
    });
    parts.collect::<Vec<_>>().join(" ")
}

const ACRONYMS: [&str; 4] = ["API", "URL", "UID", "GUID"];

/// Several capitals go with a word that begins with one: `URLs`.
fn merged(parts: Vec<String>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut waits = false;
    for part in parts {
        match words.last_mut() {
            Some(last) if waits && part.starts_with(char::is_uppercase) => {
                last.push_str(&part);
                waits = false;
            }
            _ => {
                waits = part.chars().count() > 1 && !part.chars().any(char::is_lowercase);
                words.push(part);
            }
        }
    }
    words
}

/// A name's words: a capital begins one, several capitals are one but for the last of them before a
/// small letter, and what is no letter stands alone.
fn camel_case(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (at, c) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|i| letters[i]);
        let begins = before.is_none_or(|before| {
            let next_is_small = letters.get(at + 1).is_some_and(|n| n.is_lowercase());
            before.is_alphabetic() != c.is_alphabetic()
                || c.is_uppercase() && (before.is_lowercase() || next_is_small)
        });
        match words.last_mut() {
            Some(word) if !begins => word.push(*c),
            _ => words.push(c.to_string()),
        }
    }
    words
}
