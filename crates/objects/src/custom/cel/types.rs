//! The types of expressions, as far as they decide what a compiler refuses (cel-go, `checker`).

use std::fmt;

use crate::schema::{self, Schema, TypeId};
use crate::value::Value;

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Not known here, or wrong already: nothing is said of it.
    Any,
    /// Whatever it will be.
    Dyn,
    /// `null`
    Null,
    /// `true` and `false`.
    Bool,
    /// Whole numbers.
    Int,
    /// Whole numbers from 0.
    Uint,
    /// Other numbers.
    Double,
    /// Texts.
    String,
    /// Bytes.
    Bytes,
    /// Lists of a type.
    List(Box<Type>),
    /// Maps of keys to values.
    Map(Box<Type>, Box<Type>),
    /// What may be missing.
    Optional(Box<Type>),
    /// One of Kubernetes' own: `kubernetes.Quantity`.
    Named(&'static str),
    /// What a structural schema describes.
    Schema(Value),
    /// An object with these fields.
    Message(Vec<(String, Type)>),
    /// A type of the built-in API.
    Builtin(TypeId),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = match self {
            Type::Any | Type::Dyn => "dyn",
            Type::Null => "null",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::List(of) => return write!(f, "list({of})"),
            Type::Map(key, value) => return write!(f, "map({key}, {value})"),
            Type::Optional(of) => return write!(f, "optional_type({of})"),
            Type::Named(name) => name,
            Type::Schema(_) | Type::Message(_) | Type::Builtin(_) => "object",
        };
        f.write_str(name)
    }
}

/// The type of what a structural schema describes (apiserver v0.37, `cel/common/schemas.go`).
pub(super) fn of_schema(schema: &Value) -> Type {
    let is = |field: &str| schema[field].as_bool() == Some(true);
    if is("x-kubernetes-int-or-string") {
        return Type::Dyn;
    }
    match schema["type"].str() {
        "integer" => Type::Int,
        "number" => Type::Double,
        "boolean" => Type::Bool,
        "string" => match schema["format"].str() {
            "date" | "date-time" => Type::Named("timestamp"),
            "duration" => Type::Named("duration"),
            "byte" => Type::Bytes,
            _ => Type::String,
        },
        "array" => Type::List(of_schema(&schema["items"]).into()),
        "object" => match &schema["additionalProperties"] {
            given if given.as_object().is_some() => {
                Type::Map(Type::String.into(), of_schema(given).into())
            }
            _ if schema["properties"].is_empty() => Type::Any,
            _ => Type::Schema(schema.clone()),
        },
        _ => Type::Any,
    }
}

/// A type of the built-in API.
pub(super) fn of_builtin(id: TypeId) -> Type {
    match Schema::builtin().get(id) {
        schema::Type::Struct(_) => Type::Builtin(id),
        schema::Type::List(of) => Type::List(of_builtin(*of).into()),
        schema::Type::Map(of, _) => match of_builtin(*of) {
            // A map of what is now a number, now a string cannot be looked into.
            Type::Dyn => Type::Any,
            of => Type::Map(Type::String.into(), of.into()),
        },
        schema::Type::String(_) => Type::String,
        schema::Type::Bool => Type::Bool,
        schema::Type::Int32 | schema::Type::Int64 => Type::Int,
        schema::Type::Float => Type::Double,
        schema::Type::IntOrString | schema::Type::Quantity => Type::Dyn,
        schema::Type::Time | schema::Type::MicroTime => Type::Named("timestamp"),
        schema::Type::Bytes => Type::Bytes,
        schema::Type::Duration | schema::Type::RawJson => Type::Any,
    }
}

/// `request` in the expressions of policies (apiserver v0.37, `admission/plugin/cel/compile.go`).
pub fn request_type() -> Type {
    let message = |fields: &[(&str, Type)]| {
        let fields = fields.iter().map(|(n, t)| ((*n).to_owned(), t.clone()));
        Type::Message(fields.collect())
    };
    let of = |last: &str| {
        message(&[
            ("group", Type::String),
            ("version", Type::String),
            (last, Type::String),
        ])
    };
    let texts = || Type::List(Type::String.into());
    let user = message(&[
        ("username", Type::String),
        ("uid", Type::String),
        ("groups", texts()),
        ("extra", Type::Map(Type::String.into(), texts().into())),
    ]);
    message(&[
        ("kind", of("kind")),
        ("resource", of("resource")),
        ("subResource", Type::String),
        ("requestKind", of("kind")),
        ("requestResource", of("resource")),
        ("requestSubResource", Type::String),
        ("name", Type::String),
        ("namespace", Type::String),
        ("operation", Type::String),
        ("userInfo", user),
        ("dryRun", Type::Bool),
        ("options", Type::Dyn),
    ])
}

fn is_object(of: &Type) -> bool {
    matches!(of, Type::Schema(_) | Type::Message(_) | Type::Builtin(_))
}

fn is_open(of: &Type) -> bool {
    matches!(of, Type::Any | Type::Dyn)
}

/// Whether a value of one type can stand where the other is wanted.
pub(super) fn fits(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (a, b) if is_open(a) || is_open(b) => true,
        (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => fits(a, b),
        (Type::Map(ka, va), Type::Map(kb, vb)) => fits(ka, kb) && fits(va, vb),
        (a, b) if is_object(a) && is_object(b) => true,
        // Null is a value of everything that is an object.
        (Type::Null, of) | (of, Type::Null) => {
            is_object(of) || matches!(of, Type::Named(_) | Type::Null)
        }
        (a, b) => a == b,
    }
}

fn joined<'a>(all: impl IntoIterator<Item = &'a Type>) -> Type {
    let mut all = all.into_iter();
    let Some(first) = all.next() else {
        return Type::Dyn;
    };
    if all.all(|of| of == first) {
        first.clone()
    } else {
        Type::Dyn
    }
}

pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a Type>) -> Type {
    Type::List(joined(items).into())
}

pub(super) fn map(keys: &[Type], values: &[Type]) -> Type {
    Type::Map(joined(keys).into(), joined(values).into())
}

/// The type of a literal that stands at a place.
pub(super) fn of_literal(text: &str, at: usize, value: &Value) -> Type {
    let rest = &text[at..];
    let number = |c: char| c.is_ascii_alphanumeric();
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => {
            let end = rest.find(|c| !number(c)).unwrap_or(rest.len());
            match rest[..end].ends_with(['u', 'U']) {
                true => Type::Uint,
                false => Type::Int,
            }
        }
        Value::Float(_) => Type::Double,
        _ if rest.starts_with(['b', 'B']) => Type::Bytes,
        _ => Type::String,
    }
}

pub(super) fn choice(condition: &Type, yes: &Type, no: &Type) -> Option<Type> {
    let right = fits(condition, &Type::Bool) && fits(yes, no);
    right.then(|| {
        if is_open(yes) {
            no.clone()
        } else {
            yes.clone()
        }
    })
}

pub(super) fn unary(sign: char, of: &Type) -> Option<Type> {
    match (sign, of) {
        (_, Type::Any) => Some(Type::Any),
        ('!', Type::Bool | Type::Dyn) => Some(Type::Bool),
        ('-', Type::Int | Type::Double | Type::Dyn) => Some(of.clone()),
        _ => None,
    }
}

pub(super) fn binary(sign: &str, a: &Type, b: &Type) -> Option<Type> {
    if *a == Type::Any || *b == Type::Any {
        let compares = matches!(sign, "==" | "!=" | "<" | "<=" | ">" | ">=" | "in");
        return Some(if compares { Type::Bool } else { Type::Any });
    }
    let numbers = |of: &Type| matches!(of, Type::Int | Type::Uint | Type::Double | Type::Dyn);
    let ordered = |of: &Type| {
        numbers(of)
            || matches!(
                of,
                Type::Bool | Type::String | Type::Bytes | Type::Named("timestamp" | "duration")
            )
    };
    let times = |of: &Type| matches!(of, Type::Named("timestamp" | "duration"));
    let right = match sign {
        "==" | "!=" => fits(a, b),
        "in" => match b {
            Type::List(of) => fits(a, of),
            Type::Map(key, _) => fits(a, key),
            other => is_open(other),
        },
        "<" | "<=" | ">" | ">=" => {
            ordered(a) && ordered(b) && (fits(a, b) || numbers(a) && numbers(b))
        }
        "+" | "-" if times(a) || times(b) => return Some(Type::Any),
        "+" => {
            let adds =
                |of: &Type| numbers(of) || matches!(of, Type::String | Type::Bytes | Type::List(_));
            fits(a, b) && adds(a) && adds(b)
        }
        "%" => fits(a, b) && numbers(a) && *a != Type::Double && *b != Type::Double,
        _ => fits(a, b) && numbers(a) && numbers(b),
    };
    right.then(|| match sign {
        "+" | "-" | "*" | "/" | "%" => if is_open(a) { b } else { a }.clone(),
        _ => Type::Bool,
    })
}

pub(super) fn index(of: &Type, index: &Type) -> Option<Type> {
    match of {
        Type::List(inner) => fits(index, &Type::Int).then(|| (**inner).clone()),
        Type::Map(key, value) => fits(index, key).then(|| (**value).clone()),
        Type::Dyn => Some(Type::Dyn),
        Type::Any | Type::Schema(_) | Type::Builtin(_) | Type::Optional(_) => Some(Type::Any),
        _ => None,
    }
}

/// The type of a field.
///
/// # Errors
/// What the compiler says of one that there is not.
pub(super) fn field(of: &Type, name: &str) -> Result<Type, String> {
    match of {
        Type::Any | Type::Named(_) => Ok(Type::Any),
        Type::Dyn => Ok(Type::Dyn),
        Type::Map(_, value) => Ok((**value).clone()),
        Type::Optional(of) => field(of, name).map(|of| Type::Optional(of.into())),
        Type::Message(fields) => {
            let mut all = fields.iter();
            let found = all.find(|(known, _)| *known == name);
            found.map_or_else(|| Err(undefined(name)), |(_, of)| Ok(of.clone()))
        }
        Type::Builtin(id) => {
            let of = Schema::builtin().get_struct(*id);
            let found = of.and_then(|of| of.field(name));
            found.map_or_else(|| Err(undefined(name)), |f| Ok(of_builtin(f.type_id)))
        }
        Type::Schema(schema) => match schema["properties"].get(name) {
            Some(inner) => Ok(of_schema(inner)),
            None if matches!(name, "apiVersion" | "kind" | "metadata") => Ok(Type::Any),
            None => Err(undefined(name)),
        },
        other => Err(format!("type '{other}' does not support field selection")),
    }
}

fn undefined(name: &str) -> String {
    format!("undefined field '{name}'")
}

pub(super) fn optional_field(of: &Type, name: &str) -> Type {
    let of = match of {
        Type::Optional(of) => of,
        other => other,
    };
    match field(of, name) {
        Ok(Type::Any) | Err(_) => Type::Any,
        Ok(of) => Type::Optional(of.into()),
    }
}

/// What a macro goes over; none for what cannot be gone over.
pub(super) fn element(of: &Type) -> Option<Type> {
    match of {
        Type::List(of) | Type::Map(of, _) => Some((**of).clone()),
        Type::Dyn => Some(Type::Dyn),
        Type::Any | Type::Optional(_) => Some(Type::Any),
        _ => None,
    }
}

pub(super) fn of_macro(name: &str, element: Option<Type>, body: Option<&Type>) -> Type {
    match name {
        "filter" => Type::List(element.unwrap_or(Type::Any).into()),
        "map" => Type::List(body.cloned().unwrap_or(Type::Any).into()),
        _ => Type::Bool,
    }
}

/// The type of what a function gives; none where it takes no such arguments.
pub(super) fn call(name: &str, of: Option<&Type>, args: &[&Type]) -> Option<Type> {
    let texts = |out: Type| {
        let all = of.into_iter().chain(args.iter().copied());
        let mut all = all.filter(|t| **t != Type::Null);
        all.all(|t| fits(t, &Type::String)).then_some(out)
    };
    let text = |out: Type| of.is_none_or(|of| fits(of, &Type::String)).then_some(out);
    match (name, of) {
        ("size", _) => {
            let what = of.or(args.first().copied())?;
            let counted = matches!(
                what,
                Type::String | Type::Bytes | Type::List(_) | Type::Map(..) | Type::Schema(_)
            );
            (counted || is_open(what)).then_some(Type::Int)
        }
        ("contains" | "startsWith" | "endsWith" | "matches", Some(_)) => texts(Type::Bool),
        ("lowerAscii" | "upperAscii" | "trim" | "replace" | "charAt" | "substring", Some(_)) => {
            text(Type::String)
        }
        ("split", Some(_)) => text(Type::List(Type::String.into())),
        ("int", None) => Some(Type::Int),
        ("uint", None) => Some(Type::Uint),
        ("double", None) => Some(Type::Double),
        ("string", None) => Some(Type::String),
        ("dyn", None) => Some(Type::Dyn),
        ("bool", None) => Some(Type::Bool),
        ("duration", None) => Some(Type::Named("duration")),
        ("timestamp", None) => Some(Type::Named("timestamp")),
        ("quantity", None) => Some(Type::Named("kubernetes.Quantity")),
        ("ip", None) => Some(Type::Named("net.IP")),
        ("cidr", None) => Some(Type::Named("net.CIDR")),
        ("url", None) => Some(Type::Named("kubernetes.URL")),
        ("isQuantity" | "isIP" | "isCIDR" | "isURL" | "isSemver", None) => Some(Type::Bool),
        _ => Some(Type::Any),
    }
}
