//! Validation of custom resources by their schema (kube-openapi `pkg/validation/validate`,
//! apiextensions-apiserver v0.37 `pkg/apiserver/validation` and `schema/listtype`).

use std::collections::BTreeSet;

use regex_lite::Regex;

use super::{DEPTH_MAX, OBJECT_META, cel, flag};
use crate::field_error::{FieldError, FieldErrorKind};
use crate::go;
use crate::time;
use crate::value::Value;

/// What is wrong with a new object.
pub fn create(schema: &Value, object: &Value) -> Vec<FieldError> {
    check(schema, object, None)
}

/// What is wrong with an object that takes the place of `old`.
pub fn update(schema: &Value, object: &Value, old: &Value) -> Vec<FieldError> {
    check(schema, object, Some(old))
}

fn check(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    Checker {
        errors: &mut errors,
    }
    .value(schema, object, "", 0);
    lists(schema, object, "", &mut errors, 0);
    // What is as it was is not complained about again.
    if let Some(old) = old {
        let mut before = Vec::new();
        Checker {
            errors: &mut before,
        }
        .value(schema, old, "", 0);
        errors.retain(|e| {
            let same = find(object, &e.field).is_some_and(|v| find(old, &e.field) == Some(v));
            !(same && before.contains(e))
        });
    }
    if !cel::has_rules(schema, 0) {
        return errors;
    }
    let blocking = errors.iter().any(|e| {
        matches!(
            e.kind,
            FieldErrorKind::NotSupported
                | FieldErrorKind::Required
                | FieldErrorKind::TooLong
                | FieldErrorKind::TooMany
                | FieldErrorKind::TypeInvalid
        )
    });
    if blocking {
        errors.push(FieldError::invalid(
            "<nil>",
            Value::Null,
            "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        ));
    } else {
        cel::check(schema, object, old, "", &mut errors);
    }
    errors
}

/// The value at a path such as `spec.ports[0].name`.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut here = object;
    for part in path.split('.') {
        let (name, indices) = part.split_once('[').unwrap_or((part, ""));
        here = here.get(name)?;
        for index in indices.split('[').filter(|i| !i.is_empty()) {
            let at: usize = index.trim_end_matches(']').parse().ok()?;
            here = here.items().get(at)?;
        }
    }
    Some(here)
}

struct Checker<'a> {
    errors: &'a mut Vec<FieldError>,
}

/// The JSON type of a value, as the validator names it.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn child(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A bound as Go's `%v` prints a float: `10`, `0.5`, `1e+06`.
fn number(value: &Value) -> String {
    let number = value.as_f64().unwrap_or(0.0);
    let size = number.abs();
    if number == 0.0 || (1e-4..1e6).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

impl Checker<'_> {
    fn invalid(&mut self, path: &str, value: &Value, what: &str) {
        let detail = format!("{path} in body {what}");
        self.errors.push(FieldError::invalid(path, value, detail));
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str, depth: usize) {
        if depth > DEPTH_MAX || schema.as_object().is_none() {
            return;
        }
        let int_or_string = flag(schema, "x-kubernetes-int-or-string");
        let wanted = if int_or_string {
            "integer,string"
        } else {
            schema["type"].str()
        };
        let actual = type_of(value);
        if value.is_null() {
            if !wanted.is_empty() && !flag(schema, "nullable") {
                self.wrong_type(path, value, wanted, actual);
            }
            return;
        }
        let whole = matches!(value, Value::Float(f) if f.fract() == 0.0);
        let fits = wanted.is_empty()
            || wanted.split(',').any(|w| w == actual)
            || wanted == "number" && actual == "integer"
            || wanted.starts_with("integer") && whole;
        if !fits {
            self.wrong_type(path, value, wanted, actual);
        }
        self.combinations(schema, value, path, depth);
        match value {
            Value::String(text) => self.string(schema, value, text, path),
            Value::Int(_) | Value::Float(_) => self.number(schema, value, path),
            Value::Array(items) => self.list(schema, value, items, path, depth),
            _ => {}
        }
        if let Some(allowed) = schema.get("enum").map(Value::items)
            && !allowed.contains(value)
        {
            let shown: Vec<String> = allowed
                .iter()
                .map(|v| v.as_str().map_or_else(|| go::json(v), str::to_owned))
                .collect();
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            self.errors
                .push(FieldError::not_supported(path, value, &shown));
        }
        if value.as_object().is_some() {
            self.object(schema, value, path, depth);
        }
    }

    fn wrong_type(&mut self, path: &str, value: &Value, wanted: &str, actual: &str) {
        let detail = format!(
            "{path} in body must be of type {wanted}: {}",
            go::quote(actual)
        );
        let shown: Value = if value.is_null() {
            "null".into()
        } else {
            actual.into()
        };
        let mut error = FieldError::invalid(path, shown, detail);
        error.kind = FieldErrorKind::TypeInvalid;
        self.errors.push(error);
    }

    fn string(&mut self, schema: &Value, value: &Value, text: &str, path: &str) {
        let length = text.chars().count() as i64;
        if let Some(most) = schema["maxLength"].as_i64().filter(|m| length > *m) {
            let most = usize::try_from(most).unwrap_or(0);
            self.errors.push(FieldError::too_long(path, most));
            return;
        }
        if let Some(least) = schema["minLength"].as_i64().filter(|m| length < *m) {
            self.invalid(
                path,
                value,
                &format!("should be at least {least} chars long"),
            );
            return;
        }
        let pattern = schema["pattern"].str();
        if !pattern.is_empty() && !Regex::new(pattern).is_ok_and(|r| r.is_match(text)) {
            self.invalid(path, value, &format!("should match '{pattern}'"));
        }
        let format = schema["format"].str();
        if !has_format(format, text) {
            let detail = format!(
                "{path} in body must be of type {format}: {}",
                go::quote(text)
            );
            let mut error = FieldError::invalid(path, value, detail);
            error.kind = FieldErrorKind::TypeInvalid;
            self.errors.push(error);
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(given) = value.as_f64() else { return };
        if let Some(of) = schema["multipleOf"].as_f64()
            && of > 0.0
            && (given / of).fract() != 0.0
        {
            let of = number(&schema["multipleOf"]);
            self.invalid(path, value, &format!("should be a multiple of {of}"));
        }
        if let Some(most) = schema["maximum"].as_f64() {
            let exclusive = flag(schema, "exclusiveMaximum");
            if given > most || exclusive && given == most {
                let than = if exclusive {
                    "less than"
                } else {
                    "less than or equal to"
                };
                let bound = number(&schema["maximum"]);
                self.invalid(path, value, &format!("should be {than} {bound}"));
            }
        }
        if let Some(least) = schema["minimum"].as_f64() {
            let exclusive = flag(schema, "exclusiveMinimum");
            if given < least || exclusive && given == least {
                let than = if exclusive {
                    "greater than"
                } else {
                    "greater than or equal to"
                };
                let bound = number(&schema["minimum"]);
                self.invalid(path, value, &format!("should be {than} {bound}"));
            }
        }
    }

    fn list(&mut self, schema: &Value, value: &Value, items: &[Value], path: &str, depth: usize) {
        for (at, item) in items.iter().enumerate() {
            self.value(&schema["items"], item, &format!("{path}[{at}]"), depth + 1);
        }
        let count = items.len();
        if let Some(least) = schema["minItems"].as_i64().filter(|m| (count as i64) < *m) {
            self.invalid(
                path,
                &Value::from(count),
                &format!("should have at least {least} items"),
            );
        }
        if let Some(most) = schema["maxItems"].as_i64().filter(|m| count as i64 > *m) {
            let most = usize::try_from(most).unwrap_or(0);
            self.errors.push(FieldError::too_many(path, count, most));
        }
        let twice = (1..count).any(|at| items[..at].contains(&items[at]));
        if flag(schema, "uniqueItems") && twice {
            self.invalid(path, value, "shouldn't contain duplicates");
        }
    }

    fn object(&mut self, schema: &Value, value: &Value, path: &str, depth: usize) {
        let count = value.entries().len();
        if let Some(least) = schema["minProperties"]
            .as_i64()
            .filter(|m| (count as i64) < *m)
        {
            let what = format!("should have at least {least} properties");
            self.invalid(path, &Value::from(count), &what);
        }
        if let Some(most) = schema["maxProperties"]
            .as_i64()
            .filter(|m| count as i64 > *m)
        {
            let most = usize::try_from(most).unwrap_or(0);
            self.errors.push(FieldError::too_many(path, count, most));
        }
        let others = &schema["additionalProperties"];
        for (name, field) in value.entries() {
            if depth == 0 && OBJECT_META.contains(&&**name) {
                continue;
            }
            let of = schema["properties"].get(name).unwrap_or(others);
            self.value(of, field, &child(path, name), depth + 1);
        }
        for name in schema["required"].items() {
            if value.get(name.str()).is_none() {
                self.errors
                    .push(FieldError::required(child(path, name.str()), ""));
            }
        }
    }

    fn combinations(&mut self, schema: &Value, value: &Value, path: &str, depth: usize) {
        let failures = |of: &Value| {
            let mut errors = Vec::new();
            Checker {
                errors: &mut errors,
            }
            .value(of, value, path, depth + 1);
            errors
        };
        let any = schema["anyOf"].items();
        if !any.is_empty() && !flag(schema, "x-kubernetes-int-or-string") {
            let all: Vec<Vec<FieldError>> = any.iter().map(failures).collect();
            if all.iter().all(|e| !e.is_empty()) {
                let text = format!(
                    "{} must validate at least one schema (anyOf)",
                    go::quote(path)
                );
                self.errors.push(FieldError::invalid("<nil>", "", text));
                self.errors
                    .extend(all.into_iter().next().into_iter().flatten());
            }
        }
        let one = schema["oneOf"].items();
        if !one.is_empty() {
            let valid = one.iter().filter(|of| failures(of).is_empty()).count();
            if valid != 1 {
                let found = if valid == 0 {
                    "Found none valid".to_owned()
                } else {
                    format!("Found {valid} valid alternatives")
                };
                let text = format!(
                    "{} must validate one and only one schema (oneOf). {found}",
                    go::quote(path)
                );
                self.errors.push(FieldError::invalid("<nil>", "", text));
            }
        }
        for of in schema["allOf"].items() {
            let errors = failures(of);
            if !errors.is_empty() {
                let text = format!("{} must validate all the schemas (allOf)", go::quote(path));
                self.errors.extend(errors);
                self.errors.push(FieldError::invalid("<nil>", "", text));
            }
        }
        let not = &schema["not"];
        if not.as_object().is_some() && failures(not).is_empty() {
            let text = format!("{} must not validate the schema (not)", go::quote(path));
            self.errors.push(FieldError::invalid("<nil>", "", text));
        }
    }
}

/// Whether a text has a format that Kubernetes knows; unknown formats are ignored.
fn has_format(format: &str, text: &str) -> bool {
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|r| r.is_match(text));
    match format {
        "date-time" => time::parse_micros(text).is_some(),
        "date" => matches(r"^\d{4}-\d{2}-\d{2}$"),
        "duration" => text.parse::<crate::duration::GoDuration>().is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, bits)| {
            let most = match address.parse() {
                Ok(std::net::IpAddr::V4(_)) => 32,
                Ok(std::net::IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            bits.parse::<u8>().is_ok_and(|b| b <= most)
        }),
        "uuid" => {
            matches(r"^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
        }
        "hostname" => {
            matches(
                r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$",
            ) || crate::names::dns1123_subdomain(text).is_empty()
        }
        "email" => text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()),
        "mac" => matches(r"^(?i)([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$"),
        "byte" => crate::base64::decode(text).is_ok(),
        _ => true,
    }
}

/// The items of sets and keyed lists are told apart.
fn lists(schema: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter() {
                match schema["properties"].get(name) {
                    Some(of) => lists(of, field, &child(path, name), errors, depth + 1),
                    None => {
                        let of = &schema["additionalProperties"];
                        if of.as_object().is_some() {
                            lists(of, field, &format!("{path}[{name}]"), errors, depth + 1);
                        }
                    }
                }
            }
        }
        Value::Array(items) => {
            let keys = schema["x-kubernetes-list-map-keys"].items();
            let mut seen = BTreeSet::new();
            for (at, item) in items.iter().enumerate() {
                let here = format!("{path}[{at}]");
                match schema["x-kubernetes-list-type"].str() {
                    "set" if !seen.insert(item.to_json()) => {
                        errors.push(FieldError::duplicate(&here, item));
                    }
                    "map" => {
                        let key: crate::value::Map = keys
                            .iter()
                            .filter_map(|k| Some((k.text(), item.get(k.str())?.clone())))
                            .collect();
                        let key = Value::from(key);
                        if !seen.insert(key.to_json()) {
                            errors.push(FieldError::duplicate(&here, key));
                        }
                    }
                    _ => {}
                }
                lists(&schema["items"], item, &here, errors, depth + 1);
            }
        }
        _ => {}
    }
}
