//! Strategic merge patches: merges that know by which key the items of a list are told apart.
//! Source: k8s.io/apimachinery/pkg/util/strategicpatch, v0.37.

use super::PatchError;
use crate::schema::{Field, Schema, Type, TypeId};
use crate::value::{Map, Text, Value};

pub(super) const DIRECTIVE: &str = "$patch";
pub(super) const RETAIN_KEYS: &str = "$retainKeys";
pub(super) const SET_ORDER: &str = "$setElementOrder/";
pub(super) const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Applies a strategic merge patch to an object of a type.
pub fn apply(
    schema: &Schema,
    type_id: TypeId,
    original: &Value,
    patch: &Value,
) -> Result<Value, PatchError> {
    Merger {
        schema,
        directives: true,
    }
    .map(Some(type_id), original, patch)
}

/// Merges two patches into one: directives stay as they are.
pub(super) fn combine(
    schema: &Schema,
    type_id: TypeId,
    first: &Value,
    second: &Value,
) -> Result<Value, PatchError> {
    Merger {
        schema,
        directives: false,
    }
    .map(Some(type_id), first, second)
}

/// The type and strategy of a field, where the schema knows them.
pub(super) struct Known<'a> {
    pub type_id: Option<TypeId>,
    pub field: Option<&'a Field>,
}

pub(super) fn lookup<'a>(schema: &'a Schema, owner: Option<TypeId>, name: &str) -> Known<'a> {
    match owner.map(|id| schema.get(id)) {
        Some(Type::Struct(s)) => {
            let field = s.field(name);
            Known {
                type_id: field.map(|f| f.type_id),
                field,
            }
        }
        Some(Type::Map(of, _)) => Known {
            type_id: Some(*of),
            field: None,
        },
        _ => Known {
            type_id: None,
            field: None,
        },
    }
}

impl Known<'_> {
    pub(super) fn merges(&self) -> bool {
        self.field.is_some_and(|f| f.patch_strategy.merge)
    }

    pub(super) fn retains_keys(&self) -> bool {
        self.field.is_some_and(|f| f.patch_strategy.retain_keys)
    }

    pub(super) fn merge_key(&self) -> Option<&str> {
        self.field?.patch_merge_key.as_deref()
    }

    pub(super) fn item(&self, schema: &Schema) -> Option<TypeId> {
        match schema.get(self.type_id?) {
            Type::List(item) => Some(*item),
            _ => None,
        }
    }
}

struct Merger<'a> {
    schema: &'a Schema,
    /// Whether directives are carried out (else kept).
    directives: bool,
}

impl Merger<'_> {
    fn map(
        &self,
        type_id: Option<TypeId>,
        original: &Value,
        patch: &Value,
    ) -> Result<Value, PatchError> {
        let mut out = original.as_object().cloned().unwrap_or_default();
        let Value::Object(patch) = patch else {
            return Ok(patch.clone());
        };
        if self.directives {
            match patch.get(DIRECTIVE).map(Value::str) {
                Some("replace") => return Ok(without(patch, DIRECTIVE).into()),
                Some("delete") => return Ok(Value::new_object()),
                Some("merge") | None => {}
                Some(other) => return Err(PatchError(format!("unknown patch type: {other}"))),
            }
            retain_keys(&mut out, patch)?;
        }
        for (key, v) in patch.iter() {
            if self.directives && (key.starts_with('$')) {
                self.list_directive(type_id, &mut out, patch, key, v)?;
                continue;
            }
            if v.is_null() {
                if self.directives {
                    out.remove(key);
                } else {
                    out.insert(key.clone(), Value::Null);
                }
                continue;
            }
            let known = lookup(self.schema, type_id, key);
            let old = out.get(key).cloned().unwrap_or_default();
            let merged = match (&old, v) {
                (Value::Object(_), Value::Object(_)) => self.map(known.type_id, &old, v)?,
                (_, Value::Object(_)) if self.directives => {
                    self.map(known.type_id, &Value::Null, v)?
                }
                (_, Value::Array(items)) if known.merges() => {
                    let order = patch.get(&format!("{SET_ORDER}{key}"));
                    self.list(&known, old.items(), items, order)?
                }
                _ => v.clone(),
            };
            out.insert(key.clone(), merged);
        }
        Ok(out.into())
    }

    /// `$deleteFromPrimitiveList/x`, and `$setElementOrder/x` where the patch has no `x` itself.
    fn list_directive(
        &self,
        type_id: Option<TypeId>,
        out: &mut Map,
        patch: &Map,
        key: &str,
        v: &Value,
    ) -> Result<(), PatchError> {
        if let Some(name) = key.strip_prefix(DELETE_FROM) {
            let kept = out.get(name).map(|old| {
                old.items()
                    .iter()
                    .filter(|i| !v.items().contains(i))
                    .cloned()
                    .collect::<Vec<_>>()
            });
            if let Some(kept) = kept {
                out.insert(name, Value::from(kept));
            }
        } else if let Some(name) = key.strip_prefix(SET_ORDER)
            && patch.get(name).is_none()
            && let Some(old) = out.get(name).cloned()
        {
            let known = lookup(self.schema, type_id, name);
            let ordered = self.list(&known, old.items(), &[], Some(v))?;
            out.insert(name, ordered);
        }
        Ok(())
    }

    fn list(
        &self,
        known: &Known<'_>,
        original: &[Value],
        patch: &[Value],
        order: Option<&Value>,
    ) -> Result<Value, PatchError> {
        let Some(key) = known.merge_key() else {
            let mut all: Vec<Value> = original.to_vec();
            all.extend(patch.iter().filter(|v| !original.contains(v)).cloned());
            let order = order.map_or(patch, Value::items);
            return Ok(sorted(all, original, order, |a, b| a == b).into());
        };
        if self.directives && patch.iter().any(|p| p[DIRECTIVE].str() == "replace") {
            let rest = patch.iter().filter(|p| p.get(DIRECTIVE).is_none()).cloned();
            return Ok(rest.collect::<Vec<_>>().into());
        }
        let item_type = known.item(self.schema);
        let mut out = original.to_vec();
        for p in patch {
            let id = &p[key];
            if id.is_null() {
                return Err(PatchError(format!(
                    "map: {} does not contain declared merge key: {key}",
                    go_map(p)
                )));
            }
            let at = out.iter().position(|o| o[key] == *id);
            let deletes = self.directives && p[DIRECTIVE].str() == "delete";
            match at {
                _ if deletes => out.retain(|o| o[key] != *id),
                Some(at) => out[at] = self.map(item_type, &out[at], p)?,
                None => out.push(if self.directives {
                    self.map(item_type, &Value::Null, p)?
                } else {
                    p.clone()
                }),
            }
        }
        // What the patch brings stands in its own order, before the rest where nothing else says.
        let order = order.map_or(patch, Value::items);
        Ok(sorted(out, original, order, |a, b| a[key] == b[key]).into())
    }
}

/// A map as Go's `%v` prints it, as far as messages need it.
fn go_map(v: &Value) -> String {
    let fields: Vec<String> = v
        .entries()
        .iter()
        .map(|(k, v)| {
            format!(
                "{k}:{}",
                v.as_str().map_or_else(|| v.to_json(), str::to_string)
            )
        })
        .collect();
    format!("map[{}]", fields.join(" "))
}

fn without(map: &Map, key: &str) -> Map {
    let mut out = map.clone();
    out.remove(key);
    out
}

/// `$retainKeys`: what the list does not name goes.
fn retain_keys(out: &mut Map, patch: &Map) -> Result<(), PatchError> {
    let Some(list) = patch.get(RETAIN_KEYS) else {
        return Ok(());
    };
    let named = |key: &str| list.items().iter().any(|v| v.str() == key);
    let stray = patch
        .iter()
        .find(|(k, v)| !k.starts_with('$') && !v.is_null() && !named(k));
    if stray.is_some() {
        return Err(PatchError(
            "invalid patch format of $retainKeys: the patch has a key that the list does not have"
                .into(),
        ));
    }
    out.retain(|key, _| named(key));
    Ok(())
}

/// The items in the order that the patch asks for; items that it does not name keep their place
/// among those of the original as far as both can be had.
fn sorted(
    items: Vec<Value>,
    original: &[Value],
    order: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let place = |list: &[Value], v: &Value| list.iter().position(|o| same(o, v));
    let (mut named, rest): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|v| place(order, v).is_some());
    named.sort_by_key(|v| place(order, v));
    let mut out = Vec::with_capacity(named.len() + rest.len());
    let (mut left, mut right) = (rest.into_iter().peekable(), named.into_iter().peekable());
    loop {
        let from_left = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) => {
                matches!((place(original, l), place(original, r)), (Some(a), Some(b)) if a < b)
            }
            (Some(_), None) => true,
            (None, _) => false,
        };
        match if from_left { left.next() } else { right.next() } {
            Some(v) => out.push(v),
            None => return out,
        }
    }
}

/// The keys of a map as text, for `$retainKeys`.
pub(super) fn key_list(map: &Map) -> Value {
    let keys: Vec<Text> = map
        .iter()
        .filter(|(_, v)| !v.is_null())
        .map(|(k, _)| k.clone())
        .collect();
    keys.into()
}
