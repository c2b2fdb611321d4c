//! RFC 6902, JSON Patch.

use super::PatchError;
use crate::value::Value;

/// Applies a list of operations. Errors: the first operation that fails; nothing is changed then.
pub fn apply(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    let mut out = document.clone();
    if !matches!(patch, Value::Array(_)) {
        return Err(PatchError(
            "a JSON patch must be a list of operations".into(),
        ));
    }
    for operation in patch.items() {
        one(&mut out, operation)?;
    }
    Ok(out)
}

fn one(document: &mut Value, operation: &Value) -> Result<(), PatchError> {
    let (name, path) = (operation["op"].str(), operation["path"].str());
    let value = || operation["value"].clone();
    match name {
        "add" => add(document, name, path, value()),
        "remove" => remove(document, name, path).map(|_| ()),
        "replace" => replace(document, path, value()),
        "move" => {
            let moved = remove(document, name, operation["from"].str())?;
            add(document, name, path, moved)
        }
        "copy" => {
            let from = operation["from"].str();
            let copied = find(document, &steps(from))
                .ok_or_else(|| missing(name, from))?
                .clone();
            add(document, name, path, copied)
        }
        "test" => {
            let found = find(document, &steps(path)).unwrap_or(&Value::Null);
            let equal = *found == operation["value"];
            if equal {
                Ok(())
            } else {
                Err(PatchError(format!(
                    "testing value {path} failed: test failed"
                )))
            }
        }
        other => Err(PatchError(format!("Unexpected kind: {other}"))),
    }
}

/// `/a/b~1c/0` -> `a`, `b/c`, `0`
fn steps(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|s| s.replace("~1", "/").replace("~0", "~"))
        .collect()
}

fn missing(operation: &str, path: &str) -> PatchError {
    PatchError(format!(
        "{operation} operation does not apply: doc is missing path: {}: missing value",
        crate::go::quote(path)
    ))
}

fn find<'a>(document: &'a Value, steps: &[String]) -> Option<&'a Value> {
    steps.iter().try_fold(document, |v, step| match v {
        Value::Object(map) => map.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The node that holds the last step of the path.
fn parent<'a>(
    document: &'a mut Value,
    operation: &str,
    path: &str,
) -> Result<(&'a mut Value, String), PatchError> {
    let mut steps = steps(path);
    let last = steps.pop().ok_or_else(|| missing(operation, path))?;
    if find(document, &steps).is_none() {
        return Err(missing(operation, path));
    }
    let holder = steps.iter().fold(document, |v, step| match v {
        // Every index was found above.
        Value::Array(_) => &mut v[step.parse::<usize>().unwrap_or(0)],
        _ => &mut v[step.as_str()],
    });
    Ok((holder, last))
}

fn add(document: &mut Value, operation: &str, path: &str, value: Value) -> Result<(), PatchError> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (holder, last) = parent(document, operation, path)?;
    match holder {
        Value::Array(items) => {
            let length = items.len();
            let at = if last == "-" {
                length
            } else {
                last.parse().map_err(|_| missing(operation, path))?
            };
            if at > length {
                return Err(PatchError(format!(
                    "{operation} operation does not apply: doc is missing path: {path}: Unable to access invalid index: {at}: invalid index referenced"
                )));
            }
            holder.array_mut().insert(at, value);
        }
        Value::Object(_) => holder[last.as_str()] = value,
        _ => return Err(missing(operation, path)),
    }
    Ok(())
}

fn remove(document: &mut Value, operation: &str, path: &str) -> Result<Value, PatchError> {
    let gone = || {
        PatchError(format!(
            "{operation} operation does not apply: doc is missing path: {}: missing value",
            crate::go::quote(path)
        ))
    };
    let (holder, last) = parent(document, operation, path)?;
    match holder {
        Value::Array(items) => {
            let at: usize = last.parse().map_err(|_| gone())?;
            if at >= items.len() {
                return Err(PatchError(format!(
                    "{operation} operation does not apply: Unable to access invalid index: {at}: invalid index referenced"
                )));
            }
            Ok(holder.array_mut().remove(at))
        }
        _ => holder.remove(&[&last]).ok_or_else(gone),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), PatchError> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    if find(document, &steps(path)).is_none() {
        return Err(PatchError(format!(
            "replace operation does not apply: doc is missing key: {path}: missing value"
        )));
    }
    let (holder, last) = parent(document, "replace", path)?;
    match holder {
        Value::Array(_) => holder[last.parse::<usize>().unwrap_or(0)] = value,
        _ => holder[last.as_str()] = value,
    }
    Ok(())
}
