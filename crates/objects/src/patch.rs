//! Patches: RFC 6902 (a list of operations), RFC 7386 (merge), and Kubernetes' strategic merge, with
//! the differences that `kubectl apply` computes.

use std::fmt;

use crate::value::{Map, Value};

mod diff;
mod json;
mod strategic;

pub use diff::{three_way_merge, three_way_strategic, two_way_strategic};
pub use json::apply as json_patch;
pub use strategic::apply as strategic_merge;

/// Why a patch cannot be made or applied; prints as the API server says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchError(pub(crate) String);

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for PatchError {}

/// RFC 7386: maps are merged, `null` deletes, everything else replaces.
pub fn merge(target: &Value, patch: &Value) -> Value {
    let Value::Object(fields) = patch else {
        return patch.clone();
    };
    let mut out = match target {
        Value::Object(map) => (**map).clone(),
        _ => Map::default(),
    };
    for (key, v) in fields.iter() {
        if v.is_null() {
            out.remove(key);
        } else {
            let merged = merge(out.get(key).unwrap_or(&Value::Null), v);
            out.insert(key.clone(), merged);
        }
    }
    out.into()
}

/// The smallest RFC 7386 patch that makes `modified` of `original`.
pub fn diff_merge(original: &Value, modified: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (original, modified) else {
        return modified.clone();
    };
    let mut out = Map::default();
    for (key, _) in from.iter().filter(|(key, _)| !to.contains_key(key)) {
        out.insert(key.clone(), Value::Null);
    }
    for (key, v) in to.iter() {
        match from.get(key) {
            Some(old) if old.same(v) => {}
            Some(old @ Value::Object(_)) => _ = out.insert(key.clone(), diff_merge(old, v)),
            _ => _ = out.insert(key.clone(), v.clone()),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests;
