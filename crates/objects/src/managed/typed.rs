//! What is done with values of a shape: their fields as a set, the difference of two, the merge of
//! two, taking fields away, and checking (structured-merge-diff v6, `typed`).

use super::path::{Element, Set};
use super::shape::{Kind, Scalar, Shape};
use crate::go;
use crate::value::{Map, Text, Value};

/// How deep a value may be; deeper parts count as one value.
const DEPTH_MAX: usize = 64;

/// The kind by which both values are treated; a value's own where the schema says nothing.
fn kind_of(shape: Shape, left: Option<&Value>, right: Option<&Value>) -> Kind {
    let value = right.filter(|v| !v.is_null()).or(left);
    match shape.kind(value) {
        Kind::Deduced => Shape::Deduced.kind(value),
        kind => kind,
    }
}

/// A field as it is given, be it null.
fn field<'a>(value: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    value?.as_object()?.get(name)
}

fn item_shape(shape: Shape<'_>) -> Shape<'_> {
    shape.item().unwrap_or(Shape::Deduced)
}

fn child_shape<'a>(shape: Shape<'a>, name: &str) -> Shape<'a> {
    shape.child(name).unwrap_or(Shape::Deduced)
}

/// By what an item of a list is known.
///
/// # Errors
/// An item of a keyed list without its key.
pub(super) fn element(kind: &Kind, shape: Shape, item: &Value) -> Result<Element, String> {
    let Kind::Keyed(keys) = kind else {
        return match item {
            Value::Object(_) | Value::Array(_) => Err(format!(
                "only support lists and maps with scalar keys, got {}",
                go::json(item)
            )),
            item => Ok(Element::Value(item.clone())),
        };
    };
    if item.as_object().is_none() {
        return Err("associative list with keys may not have non-map elements".to_owned());
    }
    let mut found = Vec::new();
    for key in keys {
        let given = item.get(key).filter(|v| !v.is_null()).cloned();
        if let Some(value) = given.or_else(|| shape.key_default(key)) {
            found.push((key.clone(), value));
        } else if keys.len() == 1 {
            return Err(format!(
                "associative list with keys has an element that omits key field {} (and doesn't have default value)",
                go::quote(key)
            ));
        }
    }
    if found.is_empty() {
        return Err(
            "associative list with keys has an element that omits all key fields".to_owned(),
        );
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Element::Key(found))
}

/// The set of a value's fields.
pub fn to_set(shape: Shape, value: &Value) -> Set {
    let mut set = Set::default();
    collect(shape, value, &mut Vec::new(), &mut set);
    set
}

fn collect(shape: Shape, value: &Value, path: &mut Vec<Element>, set: &mut Set) {
    let kind = kind_of(shape, None, Some(value));
    match kind {
        _ if path.len() >= DEPTH_MAX => set.insert(path),
        Kind::Scalar(_) | Kind::AtomicList | Kind::AtomicMap | Kind::Deduced => set.insert(path),
        Kind::Set | Kind::Keyed(_) => {
            let of = item_shape(shape);
            for item in value.items() {
                let Ok(element) = element(&kind, of, item) else {
                    continue;
                };
                path.push(element);
                collect(of, item, path, set);
                set.insert(path);
                path.pop();
            }
        }
        Kind::Map => {
            for (name, field) in value.entries() {
                path.push(Element::Field(name.clone()));
                collect(child_shape(shape, name), field, path, set);
                let empty = field.is_null() || field.as_object().is_some_and(Map::is_empty);
                if empty || !shape.is_named(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
    }
}

/// What differs between two values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// What only the first has.
    pub removed: Set,
    /// What both have, with other values.
    pub modified: Set,
    /// What only the second has.
    pub added: Set,
}

/// Compares two values of a shape.
pub fn compare(shape: Shape, left: &Value, right: &Value) -> Comparison {
    let mut out = Comparison::default();
    compare_at(shape, Some(left), Some(right), &mut Vec::new(), &mut out);
    out
}

fn compare_at(
    shape: Shape,
    left: Option<&Value>,
    right: Option<&Value>,
    path: &mut Vec<Element>,
    out: &mut Comparison,
) {
    if let (Some(left), Some(right)) = (left, right)
        && left.same(right)
    {
        return;
    }
    let kind = kind_of(shape, left, right);
    let none = |v: Option<&Value>| v.is_none_or(|v| v.items().is_empty() && v.entries().is_empty());
    let leaf = match &kind {
        Kind::Scalar(_) | Kind::AtomicList | Kind::AtomicMap | Kind::Deduced => true,
        Kind::Set | Kind::Keyed(_) | Kind::Map => {
            none(left) && none(right) || path.len() >= DEPTH_MAX
        }
    };
    match (left, right) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        (Some(_), Some(_)) if leaf => out.modified.insert(path),
        _ => {}
    }
    if leaf {
        return;
    }
    if kind == Kind::Map {
        let names = |v: Option<&Value>| -> Vec<Text> {
            let entries = v.map_or(&[][..], Value::entries);
            entries.iter().map(|(k, _)| k.clone()).collect()
        };
        let mut all = names(left);
        all.extend(names(right));
        all.sort();
        all.dedup();
        for name in all {
            let (l, r) = (field(left, &name), field(right, &name));
            path.push(Element::Field(name.clone()));
            compare_at(child_shape(shape, &name), l, r, path, out);
            path.pop();
        }
        return;
    }
    let of = item_shape(shape);
    let index = |v: Option<&'_ Value>| {
        let items = v.map_or(&[][..], Value::items);
        let mut all: Vec<(Element, Vec<Value>)> = Vec::new();
        for item in items {
            let Ok(element) = element(&kind, of, item) else {
                continue;
            };
            match all.iter_mut().find(|(e, _)| *e == element) {
                Some((_, same)) => same.push(item.clone()),
                None => all.push((element, vec![item.clone()])),
            }
        }
        all
    };
    let (lefts, rights) = (index(left), index(right));
    let mut all: Vec<&Element> = lefts.iter().chain(&rights).map(|(e, _)| e).collect();
    all.sort();
    all.dedup();
    for element in all {
        let of_side = |side: &[(Element, Vec<Value>)]| -> Vec<Value> {
            let found = side.iter().find(|(e, _)| e == element);
            found.map_or_else(Vec::new, |(_, items)| items.clone())
        };
        let (l, r) = (of_side(&lefts), of_side(&rights));
        path.push(element.clone());
        match (l.len(), r.len()) {
            (0 | 1, 0 | 1) => compare_at(of, l.first(), r.first(), path, out),
            (2.., 2..) => {
                if l != r {
                    out.modified.insert(path);
                }
            }
            (2.., _) => {
                if let Some(item) = r.first() {
                    compare_at(of, None, Some(item), path, out);
                }
                out.removed.insert(path);
            }
            _ => {
                if let Some(item) = l.first() {
                    compare_at(of, Some(item), None, path, out);
                }
                out.added.insert(path);
            }
        }
        path.pop();
    }
}

/// The first value with what the second says.
pub fn merge(shape: Shape, left: &Value, right: &Value) -> Value {
    merge_at(shape, Some(left), Some(right), 0).unwrap_or_default()
}

fn merge_at(
    shape: Shape,
    left: Option<&Value>,
    right: Option<&Value>,
    depth: usize,
) -> Option<Value> {
    let kind = kind_of(shape, left, right);
    let none = |v: Option<&Value>| v.is_none_or(|v| v.items().is_empty() && v.entries().is_empty());
    let leaf = !matches!(kind, Kind::Set | Kind::Keyed(_) | Kind::Map)
        || none(left) && none(right)
        || depth >= DEPTH_MAX;
    if leaf {
        return right.or(left).cloned();
    }
    if kind == Kind::Map {
        let mut out = Map::default();
        let own = left.map_or(&[][..], Value::entries);
        let new = right.map_or(&[][..], Value::entries);
        let only_new = new.iter().filter(|(k, _)| own.iter().all(|(o, _)| o != k));
        for (name, _) in own.iter().chain(only_new) {
            let (l, r) = (field(left, name), field(right, name));
            if let Some(value) = merge_at(child_shape(shape, name), l, r, depth + 1) {
                out.insert(name.clone(), value);
            }
        }
        return (!out.is_empty()).then(|| out.into());
    }
    let items = merge_lists(&kind, item_shape(shape), left, right, depth);
    (!items.is_empty()).then(|| Value::from(items))
}

/// The items of the first list, those of the second merged into them or put between them in the
/// second's order (`visitListItems`).
fn merge_lists(
    kind: &Kind,
    of: Shape,
    left: Option<&Value>,
    right: Option<&Value>,
    depth: usize,
) -> Vec<Value> {
    let index = |v: Option<&Value>| -> Vec<(Element, Value)> {
        let items = v.map_or(&[][..], Value::items).iter();
        items
            .filter_map(|item| Some((element(kind, of, item).ok()?, item.clone())))
            .collect()
    };
    let (lefts, rights) = (index(left), index(right));
    let find = |side: &[(Element, Value)], e: &Element| -> Option<Value> {
        side.iter().find(|(o, _)| o == e).map(|(_, v)| v.clone())
    };
    let mut shared = rights
        .iter()
        .filter(|(e, _)| find(&lefts, e).is_some())
        .map(|(e, _)| e);
    let mut next = shared.next();
    let mut merged: Vec<&Element> = Vec::new();
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < lefts.len() || r < rights.len() {
        if let (Some((le, lv)), Some((re, rv))) = (lefts.get(l), rights.get(r)) {
            if le == re {
                merged.push(re);
                out.extend(merge_at(of, Some(lv), Some(rv), depth + 1));
                (l, r) = (l + 1, r + 1);
                next = shared.next();
                continue;
            }
            if find(&rights, le).is_some() && next.is_some_and(|n| n != le) {
                l += 1;
                continue;
            }
        }
        if let Some((le, lv)) = lefts.get(l) {
            if find(&rights, le).is_none() {
                out.push(lv.clone());
                l += 1;
                continue;
            }
            if merged.contains(&le) {
                l += 1;
            }
        }
        if let Some((re, rv)) = rights.get(r) {
            merged.push(re);
            let own = find(&lefts, re);
            out.extend(merge_at(of, own.as_ref(), Some(rv), depth + 1));
            r += 1;
            if next == Some(re) {
                next = shared.next();
            }
        }
    }
    out
}

/// The value without the fields of a set.
pub fn remove(shape: Shape, value: &Value, gone: &Set) -> Value {
    remove_at(shape, value, gone).unwrap_or_default()
}

fn remove_at(shape: Shape, value: &Value, gone: &Set) -> Option<Value> {
    let kind = kind_of(shape, None, Some(value));
    let kept = |of: Shape, element: &Element, item: &Value| -> Option<Value> {
        if gone.has(element) {
            return None;
        }
        match gone.below(element) {
            Some(below) => Some(remove_at(of, item, below).unwrap_or_default()),
            None => Some(item.clone()),
        }
    };
    match (&kind, value) {
        (Kind::AtomicList | Kind::AtomicMap, _) => None,
        (Kind::Set | Kind::Keyed(_), Value::Array(items)) => {
            let of = item_shape(shape);
            let rest = items
                .iter()
                .filter_map(|item| match element(&kind, of, item) {
                    Ok(element) => kept(of, &element, item),
                    Err(_) => Some(item.clone()),
                });
            let rest: Vec<Value> = rest.collect();
            (!rest.is_empty()).then(|| rest.into())
        }
        (Kind::Map, Value::Object(fields)) => {
            let rest = fields.iter().filter_map(|(name, field)| {
                let element = Element::Field(name.clone());
                Some((
                    name.clone(),
                    kept(child_shape(shape, name), &element, field)?,
                ))
            });
            let rest: Map = rest.collect();
            (!rest.is_empty()).then(|| rest.into())
        }
        _ => Some(value.clone()),
    }
}

/// What does not fit the shape, as structured-merge-diff says it.
pub fn validate(shape: Shape, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    validate_at(shape, value, &mut Vec::new(), &mut errors);
    errors
}

fn validate_at(shape: Shape, value: &Value, path: &mut Vec<Element>, errors: &mut Vec<String>) {
    if value.is_null() || path.len() >= DEPTH_MAX {
        return;
    }
    let kind = kind_of(shape, None, Some(value));
    let say = |errors: &mut Vec<String>, path: &[Element], what: String| {
        errors.push(format!("{}: {what}", super::path::shown(path)));
    };
    match kind {
        Kind::Scalar(scalar) => {
            let what = match (scalar, value) {
                (Scalar::Number, Value::Int(_) | Value::Float(_))
                | (Scalar::String, Value::String(_))
                | (Scalar::Bool, Value::Bool(_)) => return,
                (Scalar::Any, Value::Object(_) | Value::Array(_)) => {
                    format!("expected any scalar, got &{{{}}}", go_value(value))
                }
                (Scalar::Any, _) => return,
                (Scalar::Number, _) => {
                    format!(
                        "expected numeric (int or float), got {}",
                        go::type_of(value)
                    )
                }
                (Scalar::String, _) => format!(
                    "expected string, got &value.valueUnstructured{{Value:{}}}",
                    go_value(value)
                ),
                (Scalar::Bool, _) => format!("expected boolean, got &{{{}}}", go_value(value)),
            };
            say(errors, path, what);
        }
        Kind::AtomicList | Kind::Set | Kind::Keyed(_) => {
            let Value::Array(items) = value else {
                let what = format!("expected list, got &{{{}}}", go_value(value));
                return say(errors, path, what);
            };
            let of = item_shape(shape);
            let mut seen: Vec<Element> = Vec::new();
            for (at, item) in items.iter().enumerate() {
                let element = if kind == Kind::AtomicList {
                    Ok(Element::Value(Value::Int(at as i64)))
                } else {
                    element(&kind, of, item)
                };
                match element {
                    Err(why) => say(errors, path, format!("element {at}: {why}")),
                    Ok(element) => {
                        if kind != Kind::AtomicList && seen.contains(&element) {
                            say(errors, path, format!("duplicate entries for key {element}"));
                        }
                        seen.push(element.clone());
                        path.push(element);
                        validate_at(of, item, path, errors);
                        path.pop();
                    }
                }
            }
        }
        Kind::AtomicMap | Kind::Map => {
            let Value::Object(fields) = value else {
                let what = format!("expected map, got &{{{}}}", go_value(value));
                return say(errors, path, what);
            };
            for (name, field) in fields.iter() {
                path.push(Element::Field(name.clone()));
                match shape.child(name) {
                    Some(child) => validate_at(child, field, path, errors),
                    None => errors.push(format!(
                        "{}: field not declared in schema",
                        super::path::shown(path)
                    )),
                }
                path.pop();
            }
        }
        Kind::Deduced => {}
    }
}

fn go_value(value: &Value) -> String {
    match value {
        Value::String(s) => s.to_string(),
        other => go::json(other),
    }
}
