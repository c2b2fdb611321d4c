//! Strict decoding: does a value have the shape of its type?
//!
//! The API server decodes with sigs.k8s.io/json: names are compared by case, the first value of a
//! wrong type is the error (in the words of Go's `encoding/json`), and only if there is none are
//! unknown fields complained about, all of them. `null` means "not given".

use crate::base64;
use crate::diagnostic::Diagnostic;
use crate::go;
use crate::quantity::Quantity;
use crate::schema::{Field, Schema, Struct, Type, TypeId};
use crate::similar::distance;
use crate::time;
use crate::value::{Map, Value};
use crate::yaml::Positions;

/// Why a value cannot be decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum DecodeError {
    /// A value of the wrong type: path of the field, and the message.
    Mismatch(String, String),
    /// Fields that do not exist: their paths, as the message prints them.
    Unknown(Vec<String>),
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::Mismatch(_, message) => f.write_str(message),
            DecodeError::Unknown(paths) => {
                f.write_str("strict decoding error: ")?;
                for (i, path) in paths.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}unknown field {}", go::quote(path))?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Decodes a value as a type: the result has no nulls, numbers are of their kind, and times, numbers
/// given for quantities and the like are as the API prints them.
///
/// Errors: what follows `Pod in version "v1" cannot be handled as a Pod: `.
pub fn decode(schema: &Schema, type_id: TypeId, value: &Value) -> Result<Value, DecodeError> {
    let mut decoder = Decoder::new(schema);
    let decoded = decoder.value(type_id, value);
    if let Some((path, message)) = decoder.mismatch {
        return Err(DecodeError::Mismatch(path, message));
    }
    if !decoder.unknown.is_empty() {
        return Err(DecodeError::Unknown(decoder.unknown));
    }
    Ok(decoded.unwrap_or_default())
}

/// Decodes leniently, as what is stored: unknown fields are dropped. Errors: only mismatches.
pub fn decode_lenient(
    schema: &Schema,
    type_id: TypeId,
    value: &Value,
) -> Result<Value, DecodeError> {
    let mut decoder = Decoder::new(schema);
    let decoded = decoder.value(type_id, value);
    match decoder.mismatch {
        Some((path, message)) => Err(DecodeError::Mismatch(path, message)),
        None => Ok(decoded.unwrap_or_default()),
    }
}

struct Decoder<'a> {
    schema: &'a Schema,
    /// Names of fields as Go's errors print them: without indices and map keys, with embedded structs.
    go_path: Vec<&'a str>,
    /// The innermost struct's name.
    go_struct: &'a str,
    /// `spec.containers[0].image`
    path: String,
    mismatch: Option<(String, String)>,
    unknown: Vec<String>,
}

impl<'a> Decoder<'a> {
    fn new(schema: &'a Schema) -> Decoder<'a> {
        Decoder {
            schema,
            go_path: Vec::new(),
            go_struct: "",
            path: String::new(),
            mismatch: None,
            unknown: Vec::new(),
        }
    }

    /// The decoded value; none for null and for what is wrong.
    fn value(&mut self, type_id: TypeId, value: &Value) -> Option<Value> {
        if value.is_null() {
            return None;
        }
        let schema = self.schema;
        match (schema.get(type_id), value) {
            (Type::Struct(s), Value::Object(map)) => Some(self.fields(s, map)),
            (Type::List(item), Value::Array(items)) => Some(self.list(*item, items)),
            (Type::Map(of, _), Value::Object(map)) => Some(self.map(*of, map)),
            (Type::String(_), Value::String(_))
            | (Type::Bool, Value::Bool(_))
            | (Type::RawJson, _) => Some(value.clone()),
            (Type::Int32, _) => {
                self.integer(type_id, value, i64::from(i32::MIN), i64::from(i32::MAX))
            }
            (Type::Int64, _) => self.integer(type_id, value, i64::MIN, i64::MAX),
            (Type::Float, Value::Int(_) | Value::Float(_)) => Some(value.clone()),
            (Type::IntOrString, Value::String(_)) => Some(value.clone()),
            (Type::IntOrString, _) => self.int_or_string(value),
            (Type::Quantity, _) => self.quantity(value),
            (Type::Time | Type::MicroTime, _) => self.time(type_id, value),
            (Type::Duration, Value::String(_)) => Some(value.clone()),
            (Type::Bytes, Value::String(s)) => self.bytes(s),
            _ => self.wrong_type(type_id, value),
        }
    }

    fn fields(&mut self, s: &'a Struct, map: &Map) -> Value {
        let outer = std::mem::replace(&mut self.go_struct, &s.name);
        let mut out = Map::default();
        for (key, value) in map.iter() {
            let length = self.path.len();
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(key);
            match s.field(key) {
                None => self.unknown.push(self.path.clone()),
                Some(field) => {
                    let depth = self.go_path.len();
                    self.go_path.extend(field.embedded.as_deref());
                    self.go_path.push(&field.name);
                    self.go_struct = &s.name;
                    if let Some(decoded) = self.value(field.type_id, value)
                        && !omitted(field, self.schema.get(field.type_id), &decoded)
                    {
                        out.insert(key.clone(), decoded);
                    }
                    self.go_path.truncate(depth);
                }
            }
            self.path.truncate(length);
        }
        self.go_struct = outer;
        for field in s.fields.iter().filter(|f| f.by_value || f.printed) {
            if !out.contains_key(&field.name) {
                out.insert(field.name.clone(), always(self.schema, field));
            }
        }
        out.into()
    }

    fn list(&mut self, item: TypeId, items: &[Value]) -> Value {
        let length = self.path.len();
        let zero = || match self.schema.get(item) {
            Type::Struct(_) => Value::new_object(),
            Type::String(_) | Type::Quantity => "".into(),
            _ => Value::Null,
        };
        let zero = zero();
        let decoded = items.iter().enumerate().map(|(i, v)| {
            self.path.push_str(&format!("[{i}]"));
            let decoded = self.value(item, v);
            self.path.truncate(length);
            decoded.unwrap_or_else(|| zero.clone())
        });
        Value::Array(decoded.collect::<Vec<_>>().into())
    }

    fn map(&mut self, of: TypeId, map: &Map) -> Value {
        let length = self.path.len();
        let mut out = Map::default();
        for (key, v) in map.iter() {
            self.path.push_str(&format!("[{key}]"));
            let decoded = self.value(of, v);
            self.path.truncate(length);
            let empty = || match self.schema.get(of) {
                Type::String(_) | Type::Bytes => "".into(),
                Type::Quantity => "0".into(),
                Type::Struct(_) => Value::new_object(),
                _ => Value::Null,
            };
            out.insert(key.clone(), decoded.unwrap_or_else(empty));
        }
        out.into()
    }

    fn integer(&mut self, type_id: TypeId, value: &Value, least: i64, most: i64) -> Option<Value> {
        match value {
            Value::Int(i) if (least..=most).contains(i) => Some(value.clone()),
            Value::Int(i) => self.wrong(type_id, &format!("number {i}")),
            Value::Float(f) => match go::float(*f).parse::<i64>() {
                Ok(i) if (least..=most).contains(&i) => Some(i.into()),
                _ => self.wrong(type_id, &format!("number {}", go::float(*f))),
            },
            _ => self.wrong_type(type_id, value),
        }
    }

    fn int_or_string(&mut self, value: &Value) -> Option<Value> {
        // The number is an int32 in a method of its own, whose errors have the same form.
        let number = match value {
            Value::Int(i) if i32::try_from(*i).is_ok() => return Some(value.clone()),
            Value::Int(i) => format!("number {i}"),
            Value::Float(f) => format!("number {}", go::float(*f)),
            other => kind(other).to_string(),
        };
        let message = format!(
            "json: cannot unmarshal {number} into Go {}of type int32",
            self.place()
        );
        self.fail(message)
    }

    fn quantity(&mut self, value: &Value) -> Option<Value> {
        let text = match value {
            Value::String(s) => s.trim().to_string(),
            Value::Int(i) => i.to_string(),
            Value::Float(f) => go::float(*f),
            other => go::json(other),
        };
        match text.parse::<Quantity>() {
            Ok(_) => Some(text.into()),
            Err(e) => self.fail(e.to_string()),
        }
    }

    fn time(&mut self, type_id: TypeId, value: &Value) -> Option<Value> {
        let Value::String(s) = value else {
            return self.wrong_type(type_id, value);
        };
        let of = self.schema.get(type_id);
        if matches!(of, Type::MicroTime)
            && let Some(rest) = without_micros(s)
        {
            return self.fail(format!(
                "parsing time {} as \"{MICRO_LAYOUT}\": cannot parse {} as \".000000\"",
                go::quote(s),
                go::quote(rest)
            ));
        }
        match (of, time::parse_micros(s)) {
            (Type::MicroTime, Some(micros)) => Some(time::format_micros(micros).into()),
            (_, Some(micros)) => Some(time::format_seconds(micros.div_euclid(1_000_000)).into()),
            (of, None) => {
                let layout = if matches!(of, Type::MicroTime) {
                    MICRO_LAYOUT
                } else {
                    "2006-01-02T15:04:05Z07:00"
                };
                let s = go::quote(s);
                let message =
                    format!("parsing time {s} as \"{layout}\": cannot parse {s} as \"2006\"");
                self.fail(message)
            }
        }
    }

    fn bytes(&mut self, s: &str) -> Option<Value> {
        match base64::decode(s) {
            // What the API prints is what it would encode: without line ends.
            Ok(bytes) => Some(base64::encode(&bytes).into()),
            Err(at) => self.fail(format!("illegal base64 data at input byte {at}")),
        }
    }

    fn wrong_type(&mut self, type_id: TypeId, value: &Value) -> Option<Value> {
        self.wrong(type_id, kind(value))
    }

    fn wrong(&mut self, type_id: TypeId, what: &str) -> Option<Value> {
        let of = self.schema.go_type(type_id);
        let message = format!(
            "json: cannot unmarshal {what} into Go {}of type {of}",
            self.place()
        );
        self.fail(message)
    }

    /// `struct field PodSpec.spec.containers `
    fn place(&self) -> String {
        if self.go_path.is_empty() {
            return "value ".into();
        }
        format!(
            "struct field {}.{} ",
            self.go_struct,
            self.go_path.join(".")
        )
    }

    /// Only the first error counts.
    fn fail(&mut self, message: String) -> Option<Value> {
        self.mismatch
            .get_or_insert_with(|| (self.path.clone(), message));
        None
    }
}

/// Whether Go's `omitempty` leaves the field out when it prints the object: what is read back then
/// is an object without it.
fn omitted(field: &Field, of: &Type, value: &Value) -> bool {
    let keeps_zero =
        field.pointer || field.required || field.printed || matches!(of, Type::IntOrString);
    match value {
        Value::Object(m) if m.is_empty() => matches!(of, Type::Map(..)),
        // An autoscaler's empty list of policies is no missing one: it is refused.
        Value::Array(a) => a.is_empty() && &*field.name != "policies",
        scalar => scalar.is_empty() && !matches!(scalar, Value::Object(_)) && !keeps_zero,
    }
}

/// What Go prints of a field that is not given and is printed all the same.
fn always(schema: &Schema, field: &Field) -> Value {
    let nil = field.pointer || matches!(schema.get(field.type_id), Type::List(_) | Type::Map(..));
    if field.printed && nil {
        Value::Null
    } else {
        zero(schema, field.type_id)
    }
}

/// An object as Go prints it that nobody has validated: what its spec has to point to, and does not,
/// is null.
pub fn with_nulls(schema: &Schema, type_id: TypeId, mut object: Value) -> Value {
    let spec = schema.field(type_id, &["spec"]);
    let spec = spec.and_then(|field| schema.get_struct(field.type_id));
    for field in spec.iter().flat_map(|spec| &spec.fields) {
        let is_pointer = !field.by_value && schema.get_struct(field.type_id).is_some();
        if field.required && is_pointer && object["spec"].get(&field.name).is_none() {
            object["spec"][&*field.name] = Value::Null;
        }
    }
    object
}

/// Go's zero value of a type as it is printed: of a struct, the fields that are always there.
pub fn zero(schema: &Schema, type_id: TypeId) -> Value {
    let s = match schema.get(type_id) {
        Type::Struct(s) => s,
        Type::Int32 | Type::Int64 => return 0_i64.into(),
        Type::String(_) => return "".into(),
        Type::Bool => return false.into(),
        _ => return Value::new_object(),
    };
    let scalar = |id| {
        matches!(
            schema.get(id),
            Type::Int32 | Type::Int64 | Type::String(_) | Type::Bool
        )
    };
    let is_there = |f: &&Field| f.by_value || f.printed || f.required && scalar(f.type_id);
    let fields = s.fields.iter().filter(is_there);
    fields
        .map(|f| (f.name.clone(), always(schema, f)))
        .collect::<Map>()
        .into()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// An error as diagnostics at their places, with what may have been meant.
pub fn diagnose(
    schema: &Schema,
    type_id: TypeId,
    error: &DecodeError,
    positions: &Positions,
) -> Vec<Diagnostic> {
    let at = |path: &str, (line, column): (u32, u32), message: String, hint: String| Diagnostic {
        path: path.into(),
        hint,
        ..Diagnostic::error(line as usize, column as usize, message)
    };
    match error {
        DecodeError::Mismatch(path, message) => {
            vec![at(
                path,
                positions.nearest(path).value,
                message.clone(),
                String::new(),
            )]
        }
        DecodeError::Unknown(paths) => {
            let one = |path: &String| {
                let message = format!("unknown field {}", go::quote(path));
                at(
                    path,
                    positions.nearest(path).key,
                    message,
                    hint(schema, type_id, path),
                )
            };
            paths.iter().map(one).collect()
        }
    }
}

/// What the field at `path` may have been meant to be: a field of a similar name there, or a field
/// of that name elsewhere nearby.
fn hint(schema: &Schema, root: TypeId, path: &str) -> String {
    let steps: Vec<&str> = path
        .split(['.', '[', ']'])
        .filter(|s| !s.is_empty() && !s.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    let Some((wrong, parents)) = steps.split_last() else {
        return String::new();
    };
    let parent = match parents {
        [] => schema.get_struct(root),
        parents => schema
            .field(root, parents)
            .and_then(|f| struct_in(schema, f.type_id)),
    };
    let Some(parent) = parent else {
        return String::new();
    };
    let near = parent
        .fields
        .iter()
        .map(|f| (distance(&f.name, wrong), &f.name))
        .min();
    if let Some((d, name)) = near
        && d <= 1 + wrong.chars().count() / 4
    {
        return format!("did you mean {}?", go::quote(name));
    }
    // Wrongly indented: the field belongs one level further in.
    let inner = parent
        .fields
        .iter()
        .find(|f| struct_in(schema, f.type_id).is_some_and(|s| s.field(wrong).is_some()));
    match inner {
        Some(f) => format!(
            "{} belongs into {}: is it indented far enough?",
            go::quote(wrong),
            go::quote(&f.name)
        ),
        None => String::new(),
    }
}

fn struct_in(schema: &Schema, id: TypeId) -> Option<&Struct> {
    match schema.get(id) {
        Type::Struct(s) => Some(s),
        Type::List(item) => struct_in(schema, *item),
        _ => None,
    }
}

/// How Go reads a time with microseconds.
const MICRO_LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";

/// What stands behind the seconds of a time where six digits of a fraction should.
fn without_micros(s: &str) -> Option<&str> {
    let rest = s.get("2006-01-02T15:04:05".len()..)?;
    let digits = rest.strip_prefix('.').and_then(|r| r.as_bytes().get(..6));
    let right = digits.is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    (!right && time::parse_micros(s).is_some()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[track_caller]
    fn decodes(kind: (&str, &str), text: &str, want: &str) {
        let schema = Schema::builtin();
        let r = schema.by_kind(kind.0, kind.1).unwrap();
        let d = &yaml::parse(text).unwrap()[0];
        let got =
            decode(schema, r.type_id, &d.value).map_or_else(|e| e.to_string(), |v| v.to_json());
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn values_are_checked_against_their_types() {
        let pod = ("v1", "Pod");
        decodes(
            pod,
            "{spec: {container: []}}",
            r#"strict decoding error: unknown field "spec.container""#,
        );
        decodes(
            pod,
            "{spec: {containers: {a: 1}}}",
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        );
        decodes(
            pod,
            "{spec: {containers: [{ports: [{containerPort: '80'}]}]}}",
            "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        );
        decodes(
            pod,
            "{spec: {volumes: [{emptyDir: x}]}}",
            "json: cannot unmarshal string into Go struct field Volume.spec.volumes.VolumeSource.emptyDir of type v1.EmptyDirVolumeSource",
        );
        decodes(
            pod,
            "{spec: {nodeName: null, hostNetwork: true, priority: 1.0}}",
            r#"{"metadata":{},"spec":{"hostNetwork":true,"priority":1},"status":{}}"#,
        );
        decodes(
            ("apps/v1", "Deployment"),
            "{spec: {replicas: 1.5}}",
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        );
        decodes(
            ("v1", "ConfigMap"),
            "{data: {a: 1}}",
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        );
        decodes(
            ("v1", "Secret"),
            "{data: {a: 'abcd*'}}",
            "illegal base64 data at input byte 4",
        );
    }

    #[test]
    fn unknown_fields_get_a_place_and_a_hint() {
        let schema = Schema::builtin();
        let r = schema.by_kind("v1", "Pod").unwrap();
        let d = &yaml::parse(
            "metadata:\n  lables: {}\nspec:\n  containers:\n  - image: x\n    containerPort: 80\n",
        )
        .unwrap()[0];
        let error = decode(schema, r.type_id, &d.value).unwrap_err();
        let found = diagnose(schema, r.type_id, &error, &d.positions);
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "line 2, column 3: unknown field \"metadata.lables\" (did you mean \"labels\"?)",
                "line 6, column 5: unknown field \"spec.containers[0].containerPort\" (\"containerPort\" belongs into \"ports\": is it indented far enough?)"
            ]
        );
    }
}
