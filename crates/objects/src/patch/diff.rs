//! The patches that `kubectl apply` sends.
//! Source: k8s.io/apimachinery/pkg/util/strategicpatch and pkg/util/jsonmergepatch, v0.37.

use super::strategic::{
    DELETE_FROM, DIRECTIVE, Known, RETAIN_KEYS, SET_ORDER, combine, key_list, lookup,
};
use super::{PatchError, diff_merge};
use crate::schema::{Schema, TypeId};
use crate::value::{Map, Value, object};

/// The strategic merge patch that makes `modified` of `original`.
pub fn two_way_strategic(
    schema: &Schema,
    type_id: TypeId,
    original: &Value,
    modified: &Value,
) -> Value {
    let all = Differ {
        schema,
        changes: true,
        deletions: true,
    };
    all.maps(Some(type_id), original, modified, false).into()
}

/// The strategic merge patch of `kubectl apply`: what `modified` (the manifest) adds to or changes in
/// `current`, and what the last applied manifest (`original`) had and it no longer has.
pub fn three_way_strategic(
    schema: &Schema,
    type_id: TypeId,
    original: &Value,
    modified: &Value,
    current: &Value,
) -> Result<Value, PatchError> {
    let delta = Differ {
        schema,
        changes: true,
        deletions: false,
    }
    .maps(Some(type_id), current, modified, false);
    let deletions = Differ {
        schema,
        changes: false,
        deletions: true,
    }
    .maps(Some(type_id), original, modified, false);
    combine(schema, type_id, &deletions.into(), &delta.into())
}

/// The same as a merge patch (RFC 7386), for kinds without a Go type: custom resources.
pub fn three_way_merge(original: &Value, modified: &Value, current: &Value) -> Value {
    let additions = keep(&diff_merge(current, modified), false);
    let deletions = keep(&diff_merge(original, modified), true);
    overlay(&deletions, &additions)
}

/// Of a merge patch only the nulls, or all but the nulls.
fn keep(patch: &Value, nulls: bool) -> Value {
    let mut out = Map::default();
    for (key, v) in patch.entries() {
        match v {
            Value::Object(_) => {
                let inner = keep(v, nulls);
                if !inner.is_empty() || (!nulls && v.is_empty()) {
                    out.insert(key.clone(), inner);
                }
            }
            _ if v.is_null() == nulls => _ = out.insert(key.clone(), v.clone()),
            _ => {}
        }
    }
    out.into()
}

fn overlay(below: &Value, above: &Value) -> Value {
    let (Value::Object(a), Value::Object(b)) = (below, above) else {
        return above.clone();
    };
    let mut out = (**a).clone();
    for (key, v) in b.iter() {
        let merged = out
            .get(key)
            .map_or_else(|| v.clone(), |old| overlay(old, v));
        out.insert(key.clone(), merged);
    }
    out.into()
}

struct Differ<'a> {
    schema: &'a Schema,
    /// Whether changes and additions go into the patch.
    changes: bool,
    /// Whether deletions do.
    deletions: bool,
}

impl Differ<'_> {
    fn maps(
        &self,
        type_id: Option<TypeId>,
        original: &Value,
        modified: &Value,
        retain_keys: bool,
    ) -> Map {
        let mut patch = Map::default();
        for (key, old) in original.entries() {
            let known = lookup(self.schema, type_id, key);
            match (old, modified.as_object().and_then(|m| m.get(key))) {
                (_, None) => {
                    if self.deletions {
                        patch.insert(key.clone(), Value::Null);
                    }
                }
                (Value::Object(_), Some(new @ Value::Object(_))) => {
                    let inner = self.maps(known.type_id, old, new, known.retains_keys());
                    if !inner.is_empty() {
                        patch.insert(key.clone(), inner);
                    }
                }
                (Value::Array(a), Some(Value::Array(b))) if known.merges() => {
                    self.lists(&mut patch, key, &known, a, b)
                }
                (_, Some(new)) => {
                    if self.changes && !old.same(new) {
                        patch.insert(key.clone(), new.clone());
                    }
                }
            }
        }
        let added = modified
            .entries()
            .iter()
            .filter(|(key, _)| original.as_object().is_none_or(|o| !o.contains_key(key)));
        if self.changes {
            for (key, new) in added {
                patch.insert(key.clone(), new.clone());
            }
        }
        if retain_keys
            && !patch.is_empty()
            && let Some(map) = modified.as_object()
        {
            patch.insert(RETAIN_KEYS, key_list(map));
        }
        patch
    }

    fn lists(&self, patch: &mut Map, name: &str, known: &Known<'_>, old: &[Value], new: &[Value]) {
        let (items, order) = match known.merge_key() {
            None => {
                let added: Vec<Value> = new.iter().filter(|v| !old.contains(v)).cloned().collect();
                let gone: Vec<Value> = old.iter().filter(|v| !new.contains(v)).cloned().collect();
                let changed =
                    (self.changes && !added.is_empty()) || (self.deletions && !gone.is_empty());
                if self.deletions && !gone.is_empty() {
                    patch.insert(format!("{DELETE_FROM}{name}"), Value::from(gone));
                }
                let order = (changed || !same_order(old, new, |a, b| a == b)).then(|| new.to_vec());
                (if self.changes { added } else { Vec::new() }, order)
            }
            Some(key) => {
                let items = self.list_of_maps(known.item(self.schema), key, old, new);
                let changed = !items.is_empty() || !same_order(old, new, |a, b| a[key] == b[key]);
                let order = changed.then(|| {
                    new.iter()
                        .map(|v| object([(key, v[key].clone())]))
                        .collect()
                });
                (items, order)
            }
        };
        if !items.is_empty() {
            patch.insert(name, Value::from(items));
        }
        if let Some(order) = order.filter(|o: &Vec<Value>| !o.is_empty()) {
            patch.insert(format!("{SET_ORDER}{name}"), Value::from(order));
        }
    }

    fn list_of_maps(
        &self,
        item: Option<TypeId>,
        key: &str,
        old: &[Value],
        new: &[Value],
    ) -> Vec<Value> {
        let mut out = Vec::new();
        for v in new {
            match old.iter().find(|o| o[key] == v[key]) {
                None if self.changes => out.push(v.clone()),
                None => {}
                Some(o) => {
                    let mut inner = self.maps(item, o, v, false);
                    if !inner.is_empty() {
                        inner.insert(key, v[key].clone());
                        out.push(inner.into());
                    }
                }
            }
        }
        if self.deletions {
            let gone = old.iter().filter(|o| new.iter().all(|v| v[key] != o[key]));
            out.extend(gone.map(|o| object([(key, o[key].clone()), (DIRECTIVE, "delete".into())])));
        }
        out
    }
}

/// Whether both lists have the same items in the same order.
fn same_order(old: &[Value], new: &[Value], same: impl Fn(&Value, &Value) -> bool) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(o, v)| same(o, v))
}
