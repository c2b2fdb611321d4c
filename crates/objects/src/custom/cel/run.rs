//! What an expression comes to.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use regex_lite::Regex;

use super::expr::Expr;
use super::library;
use super::{CALL_COST_MAX, TOO_DEAR};
use crate::value::{Map, Value};

pub(super) struct Run {
    pub(super) names: BTreeMap<String, Value>,
    /// What it has cost so far.
    pub(super) cost: u64,
}

pub(super) type Outcome = Result<Value, String>;

pub(super) fn no_overload<T>() -> Result<T, String> {
    Err("no such overload".to_owned())
}

pub(super) fn truth(value: Value) -> Result<bool, String> {
    match value {
        Value::Bool(b) => Ok(b),
        _ => no_overload(),
    }
}

impl Run {
    pub(super) fn evaluate(&mut self, expr: &Expr) -> Outcome {
        self.cost += match expr {
            Expr::Literal(_) => 0,
            Expr::List(_) => 10,
            Expr::Map(_) => 30,
            _ => 1,
        };
        if self.cost > CALL_COST_MAX {
            return Err(TOO_DEAR.to_owned());
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
            Expr::Maybe(of, name) => {
                let of = self.evaluate(of)?;
                let of = match library::kind(&of) {
                    "optional" => library::inner(&of).items().first().cloned(),
                    _ => Some(of),
                };
                let found = of.and_then(|of| of.get(name).cloned());
                Ok(library::optional(found))
            }
            Expr::Index(of, index) => {
                let (of, index) = (self.evaluate(of)?, self.evaluate(index)?);
                if let Some((map, other)) = library::defaulted(&of) {
                    let found = index.as_str().and_then(|key| map.get(key));
                    return Ok(found.unwrap_or(other).clone());
                }
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
            "in" => match library::defaulted(&b).map_or(&b, |(map, _)| map) {
                Value::Array(items) => Ok(items.iter().any(|i| equal(i, &a)).into()),
                map @ Value::Object(_) => {
                    Ok(a.as_str().is_some_and(|k| map.get(k).is_some()).into())
                }
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
            None => match args.first() {
                Some(arg) => function(name, arg),
                None => no_overload(),
            },
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

pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            a.as_f64() == b.as_f64()
        }
        _ => a == b,
    }
}

pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
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

pub(super) fn arithmetic(sign: &str, a: &Value, b: &Value) -> Outcome {
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

pub(super) fn size(of: &Value) -> Outcome {
    Ok(match of {
        Value::String(s) => s.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => return no_overload(),
    }
    .into())
}

pub(super) fn function(name: &str, arg: &Value) -> Outcome {
    if let Some(found) = library::function(name, arg) {
        return found;
    }
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

pub(super) fn method(of: &Value, name: &str, args: &[Value]) -> Outcome {
    if let Some(found) = library::method(of, name, args) {
        return found;
    }
    if name == "size" && args.is_empty() {
        return size(of);
    }
    match (of, args) {
        (Value::String(text), args) => string_method(text, name, args),
        (Value::Array(items), args) => list_method(items, name, args),
        _ => no_overload(),
    }
}

pub(super) fn string_method(text: &str, name: &str, args: &[Value]) -> Outcome {
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
        "replace" => match args.get(2).and_then(Value::as_i64) {
            Some(most) if most >= 0 => text.replacen(word(0), word(1), most as usize).into(),
            _ => text.replace(word(0), word(1)).into(),
        },
        "split" => {
            let parts: Vec<Value> = match args.get(1).and_then(Value::as_i64) {
                Some(most) if most >= 0 => text
                    .splitn(most as usize, word(0))
                    .map(Value::from)
                    .collect(),
                _ => text.split(word(0)).map(Value::from).collect(),
            };
            parts.into()
        }
        "indexOf" | "lastIndexOf" => {
            let count = |at: usize| text[..at].chars().count() as i64;
            let mut places = text.match_indices(word(0)).map(|(at, _)| count(at));
            let bound = args.get(1).and_then(Value::as_i64);
            let at = match name {
                "indexOf" => places.find(|at| bound.is_none_or(|from| *at >= from)),
                _ => places.filter(|at| bound.is_none_or(|to| *at <= to)).last(),
            };
            Value::Int(at.unwrap_or(-1))
        }
        "charAt" => {
            let at = args[0].as_i64().unwrap_or(-1);
            let count = text.chars().count() as i64;
            if !(0..=count).contains(&at) {
                return Err(format!("index out of range: {at}"));
            }
            let found = text.chars().nth(at as usize);
            found.map(String::from).unwrap_or_default().into()
        }
        "reverse" => text.chars().rev().collect::<String>().into(),
        "format" => library::format(text, &args[0])?,
        "findAll" => {
            let regex = Regex::new(word(0)).map_err(|e| e.to_string())?;
            let most = args.get(1).and_then(Value::as_i64);
            let most = most
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(usize::MAX);
            let found = regex.find_iter(text).take(most);
            found
                .map(|m| m.as_str().into())
                .collect::<Vec<Value>>()
                .into()
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

pub(super) fn list_method(items: &[Value], name: &str, args: &[Value]) -> Outcome {
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
        "indexOf" | "lastIndexOf" => {
            let same = |i: &Value| equal(i, &args[0]);
            let at = match name {
                "indexOf" => items.iter().position(same),
                _ => items.iter().rposition(same),
            };
            Value::Int(at.map_or(-1, |at| at as i64))
        }
        "reverse" => items.iter().rev().cloned().collect::<Vec<_>>().into(),
        _ => return no_overload(),
    })
}
