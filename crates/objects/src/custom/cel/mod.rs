//! `x-kubernetes-validations`: rules in the Common Expression Language (cel-spec; Kubernetes' own
//! functions as in apiserver v0.37, `pkg/cel/library`). What most schemas use is here: operators,
//! fields, `has`, `size`, `all`, `exists`, `exists_one`, `filter`, `map`, the functions of strings and
//! lists, optional values, and the libraries of `library`. A rule with anything else is not checked, and is listed by [`unsupported`].

mod expr;
mod functions;
mod library;
mod parse;
mod run;
mod tokens;
mod types;

use std::collections::BTreeMap;

use super::{DEPTH_MAX, flag};
use crate::field_error::FieldError;
use crate::value::{Text, Value};
use expr::{Expr, uses};
use parse::parse;
use run::Run;
pub use types::{Type, request_type};

/// What one evaluation may cost (apiserver v0.37, `apis/cel`, PerCallLimit). What nodes cost follows
/// cel-go; what functions of long strings and lists cost more is not counted.
const CALL_COST_MAX: u64 = 1_000_000;

/// What all rules of one object may cost (RuntimeCELCostBudget).
const BUDGET: u64 = 10_000_000;

/// How cel-go says that an evaluation costs too much.
const TOO_DEAR: &str = "operation cancelled: actual cost limit exceeded";

/// Whether a schema has rules anywhere.
pub(super) fn has_rules(schema: &Value, depth: usize) -> bool {
    depth < DEPTH_MAX
        && (!schema["x-kubernetes-validations"].items().is_empty()
            || inner(schema).any(|(_, of)| has_rules(of, depth + 1)))
}

/// The schemas within a schema.
fn inner(schema: &Value) -> impl Iterator<Item = (Option<&Text>, &Value)> {
    let fields = schema["properties"].entries().iter();
    fields
        .map(|(name, of)| (Some(name), of))
        .chain([
            (None, &schema["items"]),
            (None, &schema["additionalProperties"]),
        ])
        .filter(|(_, of)| of.as_object().is_some())
}

/// The rules of a schema that are not checked here.
pub fn unsupported(schema: &Value) -> Vec<String> {
    let mut out = Vec::new();
    collect_unsupported(schema, &mut out, 0);
    out
}

fn collect_unsupported(schema: &Value, out: &mut Vec<String>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for rule in schema["x-kubernetes-validations"].items() {
        if parse(rule["rule"].str()).is_err() {
            out.push(rule["rule"].str().to_owned());
        }
    }
    for (_, of) in inner(schema) {
        collect_unsupported(of, out, depth + 1);
    }
}

/// Checks a value by the rules of its schema, then what is in it.
pub(super) fn check(
    schema: &Value,
    value: &Value,
    old: Option<&Value>,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let mut budget = Some(BUDGET);
    check_at(schema, value, old, (path, 0), &mut budget, errors);
}

fn check_at(
    schema: &Value,
    value: &Value,
    old: Option<&Value>,
    (path, depth): (&str, usize),
    budget: &mut Option<u64>,
    errors: &mut Vec<FieldError>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    for rule in schema["x-kubernetes-validations"].items() {
        let Some(left) = *budget else { return };
        let (spent, error) = apply(schema, rule, value, old, path);
        let too_dear = spent > CALL_COST_MAX;
        *budget = left.checked_sub(spent).filter(|_| !too_dear);
        errors.extend(error);
        if budget.is_none() && !too_dear {
            let why = "validation failed due to running out of cost budget, no further validation rules will be run";
            errors.push(FieldError::invalid(path, schema["type"].str(), why));
        }
    }
    let field = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields.iter() {
                let before = old.and_then(|o| o.get(name));
                match schema["properties"].get(name) {
                    Some(of) => {
                        check_at(of, inner, before, (&field(name), depth + 1), budget, errors)
                    }
                    None => {
                        let of = &schema["additionalProperties"];
                        let here = format!("{path}[{name}]");
                        check_at(of, inner, before, (&here, depth + 1), budget, errors);
                    }
                }
            }
        }
        Value::Array(items) => {
            let keys = schema["x-kubernetes-list-map-keys"].items();
            for (at, item) in items.iter().enumerate() {
                // Only items of keyed lists can be told to be the same as before.
                let same = |o: &&Value| keys.iter().all(|k| o[k.str()] == item[k.str()]);
                let before = old
                    .filter(|_| !keys.is_empty())
                    .and_then(|o| o.items().iter().find(same));
                let here = format!("{path}[{at}]");
                let of = &schema["items"];
                check_at(of, item, before, (&here, depth + 1), budget, errors);
            }
        }
        _ => {}
    }
}

/// What a rule costs, and what it says.
fn apply(
    schema: &Value,
    rule: &Value,
    value: &Value,
    old: Option<&Value>,
    path: &str,
) -> (u64, Option<FieldError>) {
    let text = rule["rule"].str();
    let Ok(expression) = parse(text) else {
        return (0, None);
    };
    let optional = flag(rule, "optionalOldSelf");
    if uses(&expression, "oldSelf") && old.is_none() && !optional {
        return (0, None);
    }
    // What has not changed is not complained about.
    if old.is_some_and(|o| o.same(value)) {
        return (0, None);
    }
    let mut run = Run {
        names: BTreeMap::from([
            ("self".into(), value.clone()),
            ("oldSelf".into(), old.cloned().unwrap_or_default()),
        ]),
        cost: 0,
    };
    let message = rule["message"].str().trim();
    let shown = if message.is_empty() {
        text.trim()
    } else {
        message
    };
    let kind = schema["type"].str();
    let path = format!("{path}{}", rule["fieldPath"].str());
    let path = path.trim_start_matches('.');
    let path = if path.is_empty() { "<nil>" } else { path };
    let what = match run.evaluate(&expression) {
        Ok(Value::Bool(true)) => return (run.cost, None),
        Ok(_) => {
            let own = rule["messageExpression"].str();
            let own = parse(own).ok().and_then(|e| run.evaluate(&e).ok());
            match own.as_ref().and_then(Value::as_str) {
                Some(own) if !own.trim().is_empty() => own.trim().to_owned(),
                _ if message.is_empty() => format!("failed rule: {shown}"),
                _ => shown.to_owned(),
            }
        }
        Err(why) => {
            let detail = match why == TOO_DEAR {
                true => format!(
                    "'{why}': no further validation rules will be run due to call cost exceeds limit for rule: {shown}"
                ),
                false => format!("{why} evaluating rule: {shown}"),
            };
            return (run.cost, Some(FieldError::invalid(path, kind, detail)));
        }
    };
    let error = match rule["reason"].str() {
        "FieldValueForbidden" => FieldError::forbidden(path, what),
        "FieldValueRequired" => FieldError::required(path, what),
        "FieldValueDuplicate" => FieldError::duplicate(path, value),
        _ if matches!(kind, "object" | "array") => FieldError {
            value: None,
            ..FieldError::invalid(path, Value::Null, what)
        },
        _ => FieldError::invalid(path, value, what),
    };
    (run.cost, Some(error))
}

/// An expression that can be evaluated with other names than a rule's, as policies do.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression(Expr);

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is no expression, or uses something that is not here.
    pub fn parse(text: &str) -> Result<Expression, NotChecked> {
        parse(text).map(Expression).map_err(|()| NotChecked)
    }

    /// What it comes to.
    ///
    /// # Errors
    /// CEL's own texts: `no such key: a`.
    pub fn evaluate(&self, names: &[(&str, Value)]) -> Result<Value, String> {
        let names = names
            .iter()
            .map(|(name, v)| ((*name).to_owned(), v.clone()));
        let mut run = Run {
            names: names.collect(),
            cost: 0,
        };
        run.evaluate(&self.0)
    }
}

/// The type of what an expression gives, with these variables.
///
/// # Errors
/// What cel-go's compiler says: each mistake with the line and the place.
pub fn compile(text: &str, variables: &[(&str, Type)]) -> Result<Type, String> {
    parse::compile(text, variables)
}

/// The type of what a structural schema describes.
pub fn type_of(schema: &Value) -> Type {
    types::of_schema(schema)
}

/// The type of a built-in kind's objects.
pub fn type_of_kind(resource: &crate::Resource) -> Type {
    types::of_builtin(resource.type_id)
}

/// The value of `quantity('…')`.
pub fn quantity(text: &str) -> Value {
    library::typed("quantity", text.into())
}

/// The value of `semver('…')`.
pub fn version(text: &str) -> Value {
    library::typed("semver", text.into())
}

/// A map that has `other` under every key that it has not, as devices' attributes have it by domain.
pub fn with_default(map: Value, other: Value) -> Value {
    library::with_default(map, other)
}

/// An expression with something that is not simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotChecked;
