//! `x-kubernetes-validations`: rules in the Common Expression Language (cel-spec; Kubernetes' own
//! functions as in apiserver v0.37, `pkg/cel/library`). What most schemas use is here: operators,
//! fields, `has`, `size`, `all`, `exists`, `exists_one`, `filter`, `map`, the functions of strings and
//! lists. A rule with anything else is not checked, and is listed by [`unsupported`].

use std::cmp::Ordering;
use std::collections::BTreeMap;

use regex_lite::Regex;

use super::{DEPTH_MAX, flag};
use crate::field_error::FieldError;
use crate::value::{Map, Text, Value};

/// Steps that one rule may take.
const STEPS_MAX: u32 = 100_000;

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
    check_at(schema, value, old, path, 0, errors);
}

fn check_at(
    schema: &Value,
    value: &Value,
    old: Option<&Value>,
    path: &str,
    depth: usize,
    errors: &mut Vec<FieldError>,
) {
    if depth > DEPTH_MAX {
        return;
    }
    for rule in schema["x-kubernetes-validations"].items() {
        apply(schema, rule, value, old, path, errors);
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
                    Some(of) => check_at(of, inner, before, &field(name), depth + 1, errors),
                    None => {
                        let of = &schema["additionalProperties"];
                        let here = format!("{path}[{name}]");
                        check_at(of, inner, before, &here, depth + 1, errors);
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
                check_at(&schema["items"], item, before, &here, depth + 1, errors);
            }
        }
        _ => {}
    }
}

fn apply(
    schema: &Value,
    rule: &Value,
    value: &Value,
    old: Option<&Value>,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let text = rule["rule"].str();
    let Ok(expression) = parse(text) else { return };
    let optional = flag(rule, "optionalOldSelf");
    if uses(&expression, "oldSelf") && old.is_none() && !optional {
        return;
    }
    // What has not changed is not complained about.
    if old.is_some_and(|o| o.same(value)) {
        return;
    }
    let mut run = Run {
        names: BTreeMap::from([
            ("self".into(), value.clone()),
            ("oldSelf".into(), old.cloned().unwrap_or_default()),
        ]),
        steps: 0,
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
        Ok(Value::Bool(true)) => return,
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
            let detail = format!("{why} evaluating rule: {shown}");
            errors.push(FieldError::invalid(path, kind, detail));
            return;
        }
    };
    errors.push(match rule["reason"].str() {
        "FieldValueForbidden" => FieldError::forbidden(path, what),
        "FieldValueRequired" => FieldError::required(path, what),
        "FieldValueDuplicate" => FieldError::duplicate(path, value),
        _ if matches!(kind, "object" | "array") => FieldError {
            value: None,
            ..FieldError::invalid(path, Value::Null, what)
        },
        _ => FieldError::invalid(path, value, what),
    });
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
enum Expr {
    Literal(Value),
    Name(String),
    Field(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    /// A function, of an object or of none.
    Call(Option<Box<Expr>>, String, Vec<Expr>),
    /// `!`, `-`
    Unary(char, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
}

fn uses(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Literal(_) => false,
        Expr::Name(n) => n == name,
        Expr::Field(of, _) | Expr::Unary(_, of) => uses(of, name),
        Expr::Index(a, b) | Expr::Binary(_, a, b) => uses(a, name) || uses(b, name),
        Expr::Choice(a, b, c) => uses(a, name) || uses(b, name) || uses(c, name),
        Expr::Call(of, _, args) => {
            of.as_ref().is_some_and(|o| uses(o, name)) || args.iter().any(|a| uses(a, name))
        }
        Expr::List(items) => items.iter().any(|i| uses(i, name)),
        Expr::Map(pairs) => pairs.iter().any(|(k, v)| uses(k, name) || uses(v, name)),
    }
}

/// Functions, with how many arguments they take.
const FUNCTIONS: &[(&str, &[usize])] = &[
    ("all", &[2]),
    ("contains", &[1]),
    ("double", &[1]),
    ("endsWith", &[1]),
    ("exists", &[2]),
    ("exists_one", &[2]),
    ("filter", &[2]),
    ("find", &[1]),
    ("has", &[1]),
    ("indexOf", &[1]),
    ("int", &[1]),
    ("isSorted", &[0]),
    ("join", &[0, 1]),
    ("lowerAscii", &[0]),
    ("map", &[2, 3]),
    ("matches", &[1]),
    ("max", &[0]),
    ("min", &[0]),
    ("replace", &[2]),
    ("size", &[0, 1]),
    ("split", &[1]),
    ("startsWith", &[1]),
    ("string", &[1]),
    ("substring", &[1, 2]),
    ("sum", &[0]),
    ("trim", &[0]),
    ("upperAscii", &[0]),
];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Literal(Value),
    Sign(&'static str),
}

const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

fn tokens(text: &str) -> Result<Vec<Token>, ()> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            return Ok(out);
        };
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, r)| r);
            continue;
        }
        let raw = rest.starts_with("r'") || rest.starts_with("r\"");
        if raw || first == '\'' || first == '"' {
            let body = if raw { &rest[1..] } else { rest };
            let (value, left) = string(body, raw)?;
            out.push(Token::Literal(value.into()));
            rest = left;
            continue;
        }
        if first.is_ascii_digit() {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
                .unwrap_or(rest.len());
            let word = rest[..end].trim_end_matches(['u', 'U']);
            let value = match word.parse::<i64>() {
                Ok(i) => Value::Int(i),
                Err(_) => Value::Float(word.parse::<f64>().map_err(drop)?),
            };
            out.push(Token::Literal(value));
            rest = &rest[end..];
            continue;
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            out.push(match &rest[..end] {
                "true" => Token::Literal(true.into()),
                "false" => Token::Literal(false.into()),
                "null" => Token::Literal(Value::Null),
                word => Token::Name(word.to_owned()),
            });
            rest = &rest[end..];
            continue;
        }
        let sign = SIGNS.iter().find(|s| rest.starts_with(**s)).ok_or(())?;
        out.push(Token::Sign(sign));
        rest = &rest[sign.len()..];
    }
}

/// A string in quotes, and what follows it.
fn string(text: &str, raw: bool) -> Result<(String, &str), ()> {
    let quote = text.chars().next().ok_or(())?;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((out, &text[at + c.len_utf8()..]));
        }
        if c != '\\' || raw {
            out.push(c);
            continue;
        }
        match chars.next().ok_or(())?.1 {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            c @ ('\\' | '\'' | '"' | '`' | '?') => out.push(c),
            _ => return Err(()),
        }
    }
    Err(())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

fn parse(text: &str) -> Result<Expr, ()> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    let expression = parser.choice()?;
    if parser.at == parser.tokens.len() {
        Ok(expression)
    } else {
        Err(())
    }
}

/// Operators from the loosest to the tightest.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["==", "!=", "<=", ">=", "<", ">", "in"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Parser {
    fn take(&mut self, sign: &str) -> bool {
        let found = match self.tokens.get(self.at) {
            Some(Token::Sign(s)) => *s == sign,
            Some(Token::Name(n)) => n == sign && sign == "in",
            _ => false,
        };
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, sign: &str) -> Result<(), ()> {
        if self.take(sign) { Ok(()) } else { Err(()) }
    }

    fn choice(&mut self) -> Result<Expr, ()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(());
        }
        let condition = self.binary(0)?;
        let result = if self.take("?") {
            let yes = self.choice()?;
            self.need(":")?;
            let no = self.choice()?;
            Expr::Choice(condition.into(), yes.into(), no.into())
        } else {
            condition
        };
        self.depth -= 1;
        Ok(result)
    }

    fn binary(&mut self, level: usize) -> Result<Expr, ()> {
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(sign) = signs.iter().find(|s| self.take(s)) {
            let right = self.binary(level + 1)?;
            left = Expr::Binary(sign, left.into(), right.into());
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, ()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(());
        }
        let result = if self.take("!") {
            Expr::Unary('!', self.unary()?.into())
        } else if self.take("-") {
            Expr::Unary('-', self.unary()?.into())
        } else {
            self.member()?
        };
        self.depth -= 1;
        Ok(result)
    }

    fn member(&mut self) -> Result<Expr, ()> {
        let mut here = self.primary()?;
        loop {
            if self.take(".") {
                let Some(Token::Name(name)) = self.tokens.get(self.at).cloned() else {
                    return Err(());
                };
                self.at += 1;
                here = if self.take("(") {
                    call(Some(here), name, self.arguments(")")?)?
                } else {
                    Expr::Field(here.into(), unescape(&name))
                };
            } else if self.take("[") {
                let index = self.choice()?;
                self.need("]")?;
                here = Expr::Index(here.into(), index.into());
            } else {
                return Ok(here);
            }
        }
    }

    fn arguments(&mut self, end: &str) -> Result<Vec<Expr>, ()> {
        let mut out = Vec::new();
        while !self.take(end) {
            out.push(self.choice()?);
            if !self.take(",") {
                self.need(end)?;
                break;
            }
        }
        Ok(out)
    }

    fn primary(&mut self) -> Result<Expr, ()> {
        if self.take("(") {
            let inner = self.choice()?;
            self.need(")")?;
            return Ok(inner);
        }
        if self.take("[") {
            return Ok(Expr::List(self.arguments("]")?));
        }
        if self.take("{") {
            let mut pairs = Vec::new();
            while !self.take("}") {
                let key = self.choice()?;
                self.need(":")?;
                pairs.push((key, self.choice()?));
                if !self.take(",") {
                    self.need("}")?;
                    break;
                }
            }
            return Ok(Expr::Map(pairs));
        }
        let token = self.tokens.get(self.at).cloned().ok_or(())?;
        self.at += 1;
        match token {
            Token::Literal(value) => Ok(Expr::Literal(value)),
            Token::Name(name) if self.take("(") => call(None, name, self.arguments(")")?),
            Token::Name(name) => Ok(Expr::Name(name)),
            Token::Sign(_) => Err(()),
        }
    }
}

/// Names that are no CEL names are written `__dash__`, `__dot__`, `__namespace__`, …
fn unescape(name: &str) -> String {
    name.replace("__underscores__", "__")
        .replace("__dot__", ".")
        .replace("__dash__", "-")
        .replace("__slash__", "/")
        .strip_prefix("__")
        .and_then(|n| n.strip_suffix("__"))
        .map_or_else(
            || {
                name.replace("__dot__", ".")
                    .replace("__dash__", "-")
                    .replace("__slash__", "/")
            },
            str::to_owned,
        )
}

fn call(of: Option<Expr>, name: String, args: Vec<Expr>) -> Result<Expr, ()> {
    let known = FUNCTIONS
        .iter()
        .any(|(n, counts)| *n == name && counts.contains(&args.len()));
    let bare = matches!(name.as_str(), "has" | "size" | "int" | "double" | "string");
    let macros = matches!(
        name.as_str(),
        "all" | "exists" | "exists_one" | "filter" | "map"
    );
    let field = matches!(args.first(), Some(Expr::Field(..)));
    let named = matches!(args.first(), Some(Expr::Name(_)));
    let fits = known
        && (of.is_some() || bare)
        && (name != "has" || of.is_none() && field)
        && (!macros || named);
    if !fits {
        return Err(());
    }
    Ok(Expr::Call(of.map(Box::new), name, args))
}

struct Run {
    names: BTreeMap<String, Value>,
    steps: u32,
}

type Outcome = Result<Value, String>;

fn no_overload<T>() -> Result<T, String> {
    Err("no such overload".to_owned())
}

fn truth(value: Value) -> Result<bool, String> {
    match value {
        Value::Bool(b) => Ok(b),
        _ => no_overload(),
    }
}

impl Run {
    fn evaluate(&mut self, expr: &Expr) -> Outcome {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err("operation cancelled: actual cost limit exceeded".to_owned());
        }
        match expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Name(name) => match self.names.get(name) {
                Some(value) => Ok(value.clone()),
                None => Err(format!("no such attribute(s): {name}")),
            },
            Expr::Field(of, name) => {
                let of = self.evaluate(of)?;
                of.get(name)
                    .cloned()
                    .ok_or_else(|| format!("no such key: {name}"))
            }
            Expr::Index(of, index) => {
                let (of, index) = (self.evaluate(of)?, self.evaluate(index)?);
                match (&of, &index) {
                    (Value::Array(items), Value::Int(at)) => usize::try_from(*at)
                        .ok()
                        .and_then(|at| items.get(at).cloned())
                        .ok_or_else(|| format!("index out of bounds: {at}")),
                    (Value::Object(_), Value::String(key)) => of
                        .get(key)
                        .cloned()
                        .ok_or_else(|| format!("no such key: {key}")),
                    _ => no_overload(),
                }
            }
            Expr::Unary('!', of) => Ok((!truth(self.evaluate(of)?)?).into()),
            Expr::Unary(_, of) => match self.evaluate(of)? {
                Value::Int(i) => i
                    .checked_neg()
                    .map(Value::Int)
                    .ok_or_else(|| "integer overflow".to_owned()),
                Value::Float(f) => Ok(Value::Float(-f)),
                _ => no_overload(),
            },
            Expr::Binary(sign, a, b) => self.binary(sign, a, b),
            Expr::Choice(condition, yes, no) => {
                if truth(self.evaluate(condition)?)? {
                    self.evaluate(yes)
                } else {
                    self.evaluate(no)
                }
            }
            Expr::List(items) => {
                let items: Result<Vec<Value>, String> =
                    items.iter().map(|i| self.evaluate(i)).collect();
                Ok(items?.into())
            }
            Expr::Map(pairs) => {
                let mut out = Map::default();
                for (key, value) in pairs {
                    let key = self.evaluate(key)?;
                    out.insert(key.text(), self.evaluate(value)?);
                }
                Ok(out.into())
            }
            Expr::Call(of, name, args) => self.call(of.as_deref(), name, args),
        }
    }

    fn binary(&mut self, sign: &str, a: &Expr, b: &Expr) -> Outcome {
        if matches!(sign, "&&" | "||") {
            let stops = sign == "||";
            // An error on one side does not matter if the other decides.
            let first = self.evaluate(a).and_then(truth);
            if first == Ok(stops) {
                return Ok(stops.into());
            }
            let second = self.evaluate(b).and_then(truth)?;
            if second == stops {
                return Ok(stops.into());
            }
            return first.map(Value::from);
        }
        let (a, b) = (self.evaluate(a)?, self.evaluate(b)?);
        match sign {
            "==" => Ok(equal(&a, &b).into()),
            "!=" => Ok((!equal(&a, &b)).into()),
            "in" => match &b {
                Value::Array(items) => Ok(items.iter().any(|i| equal(i, &a)).into()),
                Value::Object(_) => Ok(a.as_str().is_some_and(|k| b.get(k).is_some()).into()),
                _ => no_overload(),
            },
            "<" | "<=" | ">" | ">=" => {
                let Some(order) = order(&a, &b) else {
                    return no_overload();
                };
                Ok(match sign {
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                }
                .into())
            }
            _ => arithmetic(sign, &a, &b),
        }
    }

    fn call(&mut self, of: Option<&Expr>, name: &str, args: &[Expr]) -> Outcome {
        if name == "has" {
            let [Expr::Field(of, field)] = args else {
                return no_overload();
            };
            return Ok(self.evaluate(of)?.get(field).is_some().into());
        }
        let target = match of {
            Some(of) => self.evaluate(of)?,
            None => Value::Null,
        };
        if let [Expr::Name(variable), rest @ ..] = args
            && of.is_some()
            && matches!(name, "all" | "exists" | "exists_one" | "filter" | "map")
        {
            return self.each(&target, name, variable, rest);
        }
        let args: Result<Vec<Value>, String> = args.iter().map(|a| self.evaluate(a)).collect();
        let args = args?;
        match of {
            Some(_) => method(&target, name, &args),
            None => function(name, &args[0]),
        }
    }

    fn each(&mut self, target: &Value, name: &str, variable: &str, body: &[Expr]) -> Outcome {
        let items: Vec<Value> = match target {
            Value::Array(items) => items.to_vec(),
            Value::Object(fields) => fields.iter().map(|(k, _)| k.into()).collect(),
            _ => return no_overload(),
        };
        let before = self.names.get(variable).cloned();
        let mut found = 0;
        let mut out = Vec::new();
        let mut failed = None;
        let mut decided = None;
        for item in items {
            self.names.insert(variable.to_owned(), item.clone());
            let result = match (name, body) {
                ("map", [condition, value]) => match self.evaluate(condition).and_then(truth) {
                    Ok(true) => self.evaluate(value),
                    Ok(false) => continue,
                    Err(why) => Err(why),
                },
                (_, [only]) => self.evaluate(only),
                _ => no_overload(),
            };
            match (name, result) {
                (_, Err(why)) => failed = failed.or(Some(why)),
                ("map", Ok(value)) => out.push(value),
                (_, Ok(value)) => match truth(value) {
                    Err(why) => failed = failed.or(Some(why)),
                    Ok(true) => {
                        found += 1;
                        out.push(item);
                        if name == "exists" {
                            decided = Some(true);
                            break;
                        }
                    }
                    Ok(false) if name == "all" => {
                        decided = Some(false);
                        break;
                    }
                    Ok(false) => {}
                },
            }
        }
        match before {
            Some(value) => _ = self.names.insert(variable.to_owned(), value),
            None => _ = self.names.remove(variable),
        }
        if let Some(decided) = decided {
            return Ok(decided.into());
        }
        if let Some(why) = failed {
            return Err(why);
        }
        Ok(match name {
            "all" => true.into(),
            "exists" => false.into(),
            "exists_one" => (found == 1).into(),
            _ => out.into(),
        })
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            a.as_f64() == b.as_f64()
        }
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            a.as_f64()?.partial_cmp(&b.as_f64()?)
        }
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn arithmetic(sign: &str, a: &Value, b: &Value) -> Outcome {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => {
            if *b == 0 && matches!(sign, "/" | "%") {
                let what = if sign == "/" { "division" } else { "modulus" };
                return Err(format!("{what} by zero"));
            }
            let result = match sign {
                "+" => a.checked_add(*b),
                "-" => a.checked_sub(*b),
                "*" => a.checked_mul(*b),
                "/" => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            result
                .map(Value::Int)
                .ok_or_else(|| "integer overflow".to_owned())
        }
        (Value::Float(a), Value::Float(b)) => match sign {
            "+" => Ok(Value::Float(a + b)),
            "-" => Ok(Value::Float(a - b)),
            "*" => Ok(Value::Float(a * b)),
            "/" => Ok(Value::Float(a / b)),
            _ => no_overload(),
        },
        (Value::String(a), Value::String(b)) if sign == "+" => Ok(format!("{a}{b}").into()),
        (Value::Array(a), Value::Array(b)) if sign == "+" => {
            Ok(a.iter().chain(b.iter()).cloned().collect::<Vec<_>>().into())
        }
        _ => no_overload(),
    }
}

fn size(of: &Value) -> Outcome {
    Ok(match of {
        Value::String(s) => s.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => return no_overload(),
    }
    .into())
}

fn function(name: &str, arg: &Value) -> Outcome {
    match (name, arg) {
        ("size", of) => size(of),
        ("int", Value::Int(i)) => Ok(Value::Int(*i)),
        ("int", Value::Float(f)) => Ok(Value::Int(*f as i64)),
        ("int", Value::String(s)) => s
            .parse()
            .map(Value::Int)
            .map_err(|_| "type conversion error from 'string' to 'int'".to_owned()),
        ("double", Value::Int(_) | Value::Float(_)) => {
            Ok(Value::Float(arg.as_f64().unwrap_or(0.0)))
        }
        ("double", Value::String(s)) => s
            .parse()
            .map(Value::Float)
            .map_err(|_| "type conversion error from 'string' to 'double'".to_owned()),
        ("string", Value::String(_)) => Ok(arg.clone()),
        ("string", Value::Int(_) | Value::Float(_) | Value::Bool(_)) => Ok(arg.to_json().into()),
        _ => no_overload(),
    }
}

fn method(of: &Value, name: &str, args: &[Value]) -> Outcome {
    if name == "size" && args.is_empty() {
        return size(of);
    }
    match (of, args) {
        (Value::String(text), args) => string_method(text, name, args),
        (Value::Array(items), args) => list_method(items, name, args),
        _ => no_overload(),
    }
}

fn string_method(text: &str, name: &str, args: &[Value]) -> Outcome {
    let word = |at: usize| args.get(at).map_or("", Value::str);
    Ok(match name {
        "contains" => text.contains(word(0)).into(),
        "startsWith" => text.starts_with(word(0)).into(),
        "endsWith" => text.ends_with(word(0)).into(),
        "matches" | "find" => {
            let regex = Regex::new(word(0)).map_err(|e| e.to_string())?;
            match name {
                "matches" => regex.is_match(text).into(),
                _ => regex.find(text).map_or("", |m| m.as_str()).into(),
            }
        }
        "lowerAscii" => text.to_ascii_lowercase().into(),
        "upperAscii" => text.to_ascii_uppercase().into(),
        "trim" => text.trim().into(),
        "replace" => text.replace(word(0), word(1)).into(),
        "split" => text
            .split(word(0))
            .map(Value::from)
            .collect::<Vec<_>>()
            .into(),
        "indexOf" => {
            let at = text
                .find(word(0))
                .map(|at| text[..at].chars().count() as i64);
            Value::Int(at.unwrap_or(-1))
        }
        "substring" => {
            let count = text.chars().count() as i64;
            let from = args[0].as_i64().unwrap_or(-1);
            let to = args.get(1).map_or(Some(count), Value::as_i64).unwrap_or(-1);
            if from < 0 || to < from || to > count {
                return Err(format!(
                    "index out of range: {}",
                    if from < 0 { from } else { to }
                ));
            }
            let chars = text.chars().skip(from as usize).take((to - from) as usize);
            chars.collect::<String>().into()
        }
        _ => return no_overload(),
    })
}

fn list_method(items: &[Value], name: &str, args: &[Value]) -> Outcome {
    Ok(match name {
        "isSorted" => items
            .windows(2)
            .all(|w| order(&w[0], &w[1]).is_some_and(Ordering::is_le))
            .into(),
        "sum" => {
            let mut sum = Value::Int(0);
            for (at, item) in items.iter().enumerate() {
                sum = if at == 0 {
                    item.clone()
                } else {
                    arithmetic("+", &sum, item)?
                };
            }
            sum
        }
        "min" | "max" => {
            let better = |a: &Value, b: &Value| {
                order(a, b).is_some_and(|o| if name == "min" { o.is_lt() } else { o.is_gt() })
            };
            let mut best: Option<&Value> = None;
            for item in items {
                if best.is_none_or(|b| better(item, b)) {
                    best = Some(item);
                }
            }
            best.cloned()
                .ok_or_else(|| format!("{name} called on empty list"))?
        }
        "join" => {
            let words: Vec<&str> = items.iter().map(Value::str).collect();
            words.join(args.first().map_or("", Value::str)).into()
        }
        "indexOf" => {
            let at = items.iter().position(|i| equal(i, &args[0]));
            Value::Int(at.map_or(-1, |at| at as i64))
        }
        _ => return no_overload(),
    })
}
