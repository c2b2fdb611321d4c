//! Parts of values: reading, setting and removing them.

use super::eval::{Stop, error, named};
use super::json::{DEPTH_MAX, Json};
use std::rc::Rc;

/// How long an array may become by setting an index behind its end.
const ITEMS_MAX: usize = 1_000_000;

pub(super) fn index(value: &Json, key: &Json) -> Result<Json, Stop> {
    match (value, key) {
        (Json::Object(_), Json::String(key)) => Ok(value.get(key).cloned().unwrap_or_default()),
        (Json::Array(items), Json::Number(n)) => {
            let at = if *n < 0.0 {
                n.floor() + items.len() as f64
            } else {
                n.floor()
            };
            let found = if at >= 0.0 {
                items.get(at as usize)
            } else {
                None
            };
            Ok(found.cloned().unwrap_or_default())
        }
        (Json::Null, Json::String(_) | Json::Number(_) | Json::Null) => Ok(Json::Null),
        (value, Json::Object(_)) => {
            let part = |name| key.get(name).cloned().unwrap_or_default();
            slice(value, &part("start"), &part("end"))
        }
        (Json::Array(items), Json::Array(wanted)) => {
            let fits = |i: &usize| items[*i..].starts_with(wanted);
            let found = if wanted.is_empty() {
                Vec::new()
            } else {
                (0..items.len()).filter(fits).collect()
            };
            Ok(Json::array(
                found.into_iter().map(|i| Json::Number(i as f64)).collect(),
            ))
        }
        (value, Json::String(key)) => {
            error(format!("Cannot index {} with \"{key}\"", value.kind()))
        }
        (value, Json::Number(_)) if !matches!(value, Json::Object(_)) => {
            error(format!("Cannot index {} with number", value.kind()))
        }
        (value, key) => error(format!("Cannot index {} with {}", value.kind(), key.kind())),
    }
}

/// The bounds that a slice means.
fn bounds(length: usize, from: &Json, to: &Json) -> Result<(usize, usize), Stop> {
    let bound = |json: &Json, default: usize, up: bool| match json {
        Json::Null => Ok(default),
        Json::Number(n) => {
            let n = if up { n.ceil() } else { n.floor() };
            let at = if n < 0.0 { n + length as f64 } else { n };
            Ok(at.clamp(0.0, length as f64) as usize)
        }
        _ => error("Start and end indices of an array slice must be numbers"),
    };
    let (from, to) = (bound(from, 0, false)?, bound(to, length, true)?);
    Ok((from, to.max(from)))
}

pub(super) fn slice(value: &Json, from: &Json, to: &Json) -> Result<Json, Stop> {
    match value {
        Json::Null => Ok(Json::Null),
        Json::Array(items) => {
            let (from, to) = bounds(items.len(), from, to)?;
            Ok(Json::array(items[from..to].to_vec()))
        }
        Json::String(text) => {
            let chars: Vec<char> = text.chars().collect();
            let (from, to) = bounds(chars.len(), from, to)?;
            Ok(Json::string(chars[from..to].iter().collect::<String>()))
        }
        other => error(format!("Cannot index {} with object", other.kind())),
    }
}

pub(super) fn get_path(value: &Json, path: &[Json]) -> Result<Json, Stop> {
    let mut value = value.clone();
    for key in path {
        value = index(&value, key)?;
    }
    Ok(value)
}

pub(super) fn set_path(value: &Json, path: &[Json], new: Json) -> Result<Json, Stop> {
    let Some((key, rest)) = path.split_first() else {
        return Ok(new);
    };
    if path.len() > DEPTH_MAX || new.depth() > DEPTH_MAX {
        return error(format!("nested deeper than {DEPTH_MAX} levels"));
    }
    let inner = set_path(&index(value, key)?, rest, new)?;
    match (value, key) {
        (Json::Object(fields), Json::String(key)) => {
            let mut fields = fields.to_vec();
            match fields.iter_mut().find(|(k, _)| k == key) {
                Some((_, value)) => *value = inner,
                None => fields.push((key.clone(), inner)),
            }
            Ok(Json::object(fields))
        }
        (Json::Null, Json::String(key)) => Ok(Json::object(vec![(key.clone(), inner)])),
        (Json::Array(_) | Json::Null, Json::Number(n)) => {
            let mut items = match value {
                Json::Array(items) => items.to_vec(),
                _ => Vec::new(),
            };
            let at = if *n < 0.0 { n + items.len() as f64 } else { *n };
            if at < 0.0 {
                return error("Out of bounds negative array index");
            }
            if at as usize >= ITEMS_MAX {
                return error("Array index too large");
            }
            if items.len() <= at as usize {
                items.resize(at as usize + 1, Json::Null);
            }
            items[at as usize] = inner;
            Ok(Json::array(items))
        }
        (Json::Array(_) | Json::Null, Json::Object(_)) => {
            let items: &[Json] = if let Json::Array(items) = value {
                items
            } else {
                &[]
            };
            let Json::Array(new) = inner else {
                return error("A slice of an array can only be assigned another array");
            };
            let part = |name| key.get(name).cloned().unwrap_or_default();
            let (from, to) = bounds(items.len(), &part("start"), &part("end"))?;
            Ok(Json::array([&items[..from], &new, &items[to..]].concat()))
        }
        (value, key) => error(format!("Cannot index {} with {}", value.kind(), named(key))),
    }
}

/// The value without what is at these paths.
pub(super) fn delete_none(value: &Json, mut paths: Vec<Vec<Json>>) -> Result<Json, Stop> {
    // From behind, so that what is gone does not move what is still to go.
    paths.sort_by(|a, b| Json::array(b.clone()).order(&Json::array(a.clone())));
    let mut value = value.clone();
    for path in paths {
        value = delete(&value, &path)?;
    }
    Ok(value)
}

fn delete(value: &Json, path: &[Json]) -> Result<Json, Stop> {
    let Some((key, rest)) = path.split_first() else {
        return Ok(Json::Null);
    };
    if matches!(value, Json::Null) {
        return Ok(Json::Null);
    }
    if !rest.is_empty() {
        let inner = index(value, key)?;
        if matches!(inner, Json::Null) {
            return Ok(value.clone());
        }
        return set_path(value, std::slice::from_ref(key), delete(&inner, rest)?);
    }
    match (value, key) {
        (Json::Object(fields), Json::String(key)) => {
            let kept: Vec<(Rc<str>, Json)> =
                fields.iter().filter(|(k, _)| k != key).cloned().collect();
            Ok(Json::object(kept))
        }
        (Json::Array(items), Json::Number(n)) => {
            let at = if *n < 0.0 { n + items.len() as f64 } else { *n };
            let mut items = items.to_vec();
            if at >= 0.0 && (at as usize) < items.len() {
                items.remove(at as usize);
            }
            Ok(Json::array(items))
        }
        (Json::Array(items), Json::Object(_)) => {
            let part = |name| key.get(name).cloned().unwrap_or_default();
            let (from, to) = bounds(items.len(), &part("start"), &part("end"))?;
            Ok(Json::array([&items[..from], &items[to..]].concat()))
        }
        (value, key) => error(format!(
            "Cannot delete field at {} index of {}",
            key.kind(),
            value.kind()
        )),
    }
}
