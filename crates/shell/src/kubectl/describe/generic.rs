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

/// `creationTimestamp` as `Creation Timestamp`, `apiVersion` as `API Version`.
fn words(field: &str) -> String {
    let mut out = String::new();
    let letters: Vec<char> = field.chars().collect();
    for (at, c) in letters.iter().enumerate() {
        let lower_before = at > 0 && letters[at - 1].is_lowercase();
        let lower_after = letters.get(at + 1).is_some_and(|n| n.is_lowercase());
        if at > 0 && c.is_uppercase() && (lower_before || lower_after) {
            out.push(' ');
        }
        if at == 0 {
            out.extend(c.to_uppercase())
        } else {
            out.push(*c)
        }
    }
    match out.as_str() {
        "Api Version" => "API Version".to_owned(),
        "Uid" => "UID".to_owned(),
        _ => out.replace("Url", "URL"),
    }
}
