//! Values as Go prints them.

use crate::go;
use crate::value::Value;

/// A value as a template prints it: maps and lists as JSON, others as Go's `fmt.Print` does.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(_) | Value::Object(_) => go::json(value),
        other => go::print(other),
    }
}
