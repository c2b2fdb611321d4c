//! A complaint about one field, worded as by apimachinery's `field.Error`.

use std::fmt;

use crate::go;
use crate::value::Value;

/// What is wrong with the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldErrorKind {
    /// `Required value`
    Required,
    /// `Invalid value`
    Invalid,
    /// `Unsupported value`
    NotSupported,
    /// `Forbidden`
    Forbidden,
    /// `Duplicate value`
    Duplicate,
    /// `Not found`
    NotFound,
    /// `Too long`
    TooLong,
    /// `Too many`
    TooMany,
    /// `Internal error`
    Internal,
    /// `Invalid value` of the wrong type.
    TypeInvalid,
}

impl FieldErrorKind {
    /// The text of messages.
    pub fn text(self) -> &'static str {
        match self {
            FieldErrorKind::Required => "Required value",
            FieldErrorKind::Invalid | FieldErrorKind::TypeInvalid => "Invalid value",
            FieldErrorKind::NotSupported => "Unsupported value",
            FieldErrorKind::Forbidden => "Forbidden",
            FieldErrorKind::Duplicate => "Duplicate value",
            FieldErrorKind::NotFound => "Not found",
            FieldErrorKind::TooLong => "Too long",
            FieldErrorKind::TooMany => "Too many",
            FieldErrorKind::Internal => "Internal error",
        }
    }

    /// The reason in a Status object's causes.
    pub fn reason(self) -> &'static str {
        match self {
            FieldErrorKind::Required => "FieldValueRequired",
            FieldErrorKind::Invalid => "FieldValueInvalid",
            FieldErrorKind::NotSupported => "FieldValueNotSupported",
            FieldErrorKind::Forbidden => "FieldValueForbidden",
            FieldErrorKind::Duplicate => "FieldValueDuplicate",
            FieldErrorKind::NotFound => "FieldValueNotFound",
            FieldErrorKind::TooLong => "FieldValueTooLong",
            FieldErrorKind::TooMany => "FieldValueTooMany",
            FieldErrorKind::Internal => "InternalError",
            FieldErrorKind::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// `spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// `spec.ports[0].port`
    pub field: String,
    /// The value as the message prints it; none if the message leaves it out.
    pub value: Option<String>,
    /// What follows; may be empty.
    pub detail: String,
}

/// A value as a message prints it: strings quoted, all else as JSON.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(s) => go::quote(s),
        Value::Float(f) => go::float(*f),
        other => go::json(other),
    }
}

impl FieldError {
    fn new(
        kind: FieldErrorKind,
        field: impl Into<String>,
        value: Option<String>,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError {
            kind,
            field: field.into(),
            value,
            detail: detail.into(),
        }
    }

    /// `Required value: DETAIL`
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError::new(FieldErrorKind::Required, field, None, detail)
    }

    /// `Invalid value: VALUE: DETAIL`
    pub fn invalid(
        field: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError::new(
            FieldErrorKind::Invalid,
            field,
            Some(shown(&value.into())),
            detail,
        )
    }

    /// `Invalid value: VALUE: DETAIL`, the value printed already.
    pub fn invalid_shown(
        field: impl Into<String>,
        value: impl Into<String>,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError::new(FieldErrorKind::Invalid, field, Some(value.into()), detail)
    }

    /// `Unsupported value: VALUE: supported values: "A", "B"`
    pub fn not_supported(
        field: impl Into<String>,
        value: impl Into<Value>,
        supported: &[&str],
    ) -> FieldError {
        FieldError::not_supported_shown(field, shown(&value.into()), supported)
    }

    /// The same, the value printed already.
    pub fn not_supported_shown(
        field: impl Into<String>,
        value: impl Into<String>,
        supported: &[&str],
    ) -> FieldError {
        let list: Vec<String> = supported.iter().map(|s| go::quote(s)).collect();
        let detail = if list.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", list.join(", "))
        };
        FieldError::new(
            FieldErrorKind::NotSupported,
            field,
            Some(value.into()),
            detail,
        )
    }

    /// `Forbidden: DETAIL`
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError::new(FieldErrorKind::Forbidden, field, None, detail)
    }

    /// `Duplicate value: VALUE`
    pub fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> FieldError {
        FieldError::new(
            FieldErrorKind::Duplicate,
            field,
            Some(shown(&value.into())),
            "",
        )
    }

    /// `Not found: VALUE`
    pub fn not_found(field: impl Into<String>, value: impl Into<Value>) -> FieldError {
        FieldError::new(
            FieldErrorKind::NotFound,
            field,
            Some(shown(&value.into())),
            "",
        )
    }

    /// `Too long: may not be more than N bytes`
    pub fn too_long(field: impl Into<String>, most: usize) -> FieldError {
        FieldError::new(
            FieldErrorKind::TooLong,
            field,
            None,
            format!("may not be more than {most} bytes"),
        )
    }

    /// `Too many: N: must have at most M items`
    pub fn too_many(field: impl Into<String>, actual: usize, most: usize) -> FieldError {
        let items = if most == 1 { "item" } else { "items" };
        FieldError::new(
            FieldErrorKind::TooMany,
            field,
            Some(actual.to_string()),
            format!("must have at most {most} {items}"),
        )
    }

    /// The message without the field: what Status causes hold.
    pub fn body(&self) -> String {
        let mut out = self.kind.text().to_string();
        if let Some(value) = &self.value {
            out.push_str(": ");
            out.push_str(value);
        }
        if !self.detail.is_empty() {
            out.push_str(": ");
            out.push_str(&self.detail);
        }
        out
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_the_api_servers() {
        let cases = [
            (FieldError::required("a.b", ""), "a.b: Required value"),
            (
                FieldError::invalid("a[0]", 0, "must be between 1 and 65535, inclusive"),
                "a[0]: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (
                FieldError::invalid("a", Value::Null, "x"),
                "a: Invalid value: null: x",
            ),
            (
                FieldError::not_supported("a", "tcp", &["SCTP", "TCP"]),
                "a: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\"",
            ),
            (FieldError::duplicate("a", "x"), "a: Duplicate value: \"x\""),
            (
                FieldError::too_long("a", 253),
                "a: Too long: may not be more than 253 bytes",
            ),
        ];
        for (error, want) in cases {
            assert_eq!(error.to_string(), want);
        }
    }
}
