//! The functions that a template can call.

use std::sync::Arc;

use kubarium_objects::{Value, base64, go};

use super::{Found, printed, shown, truth};

fn compare(a: &Found, b: &Found) -> Option<std::cmp::Ordering> {
    match (a.as_ref()?, b.as_ref()?) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        _ => None,
    }
}

pub(super) fn call(name: &str, arguments: &[Found]) -> Result<Found, String> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let wrong = |want: &str| {
        Err(format!(
            "wrong number of args for {name}: want {want} got {}",
            arguments.len()
        ))
    };
    let first = arguments.first().cloned().flatten();
    let boolean = |b: bool| Ok(Some(Value::Bool(b)));
    match name {
        "and" | "or" if arguments.is_empty() => wrong("at least 1"),
        // Evaluation has stopped at the value that decides.
        "and" | "or" => Ok(arguments
            .iter()
            .find(|a| truth(a) == (name == "or"))
            .or(arguments.last())
            .cloned()
            .flatten()),
        "not" if arguments.len() != 1 => wrong("1"),
        "not" => boolean(!truth(&first)),
        "len" => match first {
            Some(Value::String(s)) => Ok(Some(s.len().into())),
            Some(Value::Array(items)) => Ok(Some(items.len().into())),
            Some(Value::Object(map)) => Ok(Some(map.len().into())),
            Some(other) => Err(format!(
                "error calling len: len of type {}",
                go::type_of(&other)
            )),
            None => Err("error calling len: len of nil pointer".to_owned()),
        },
        "index" | "slice" if arguments.is_empty() => Err(format!(
            "wrong number of args for {name}: want at least 1 got 0"
        )),
        "index" => arguments
            .iter()
            .skip(1)
            .try_fold(first, |value, key| index(&value, key)),
        "slice" => slice(first, &arguments[1..]),
        "print" | "println" => {
            let mut text = String::new();
            for (at, argument) in arguments.iter().enumerate() {
                let words = |a: &Found| !matches!(a, Some(Value::String(_)));
                if at > 0 && (name == "println" || (words(argument) && words(&arguments[at - 1]))) {
                    text.push(' ');
                }
                text.push_str(&argument.as_ref().map_or("<nil>".to_owned(), printed));
            }
            if name == "println" {
                text.push('\n');
            }
            Ok(Some(text.into()))
        }
        "printf" => match first {
            Some(Value::String(format)) => Ok(Some(printf(&format, &arguments[1..]).into())),
            _ => wrong("at least 1"),
        },
        "eq" if arguments.len() < 2 => {
            Err("error calling eq: missing argument for comparison".to_owned())
        }
        "eq" => boolean(
            arguments[1..]
                .iter()
                .any(|b| (first.is_none() && b.is_none()) || compare(&first, b) == Some(Equal)),
        ),
        "ne" | "lt" | "le" | "gt" | "ge" if arguments.len() != 2 => wrong("2"),
        "ne" => boolean(
            !(first.is_none() && arguments[1].is_none())
                && compare(&first, &arguments[1]) != Some(Equal),
        ),
        "lt" | "le" | "gt" | "ge" => {
            let order = compare(&first, &arguments[1]).ok_or_else(|| {
                format!("error calling {name}: incompatible types for comparison")
            })?;
            boolean(match name {
                "lt" => order == Less,
                "le" => order != Greater,
                "gt" => order == Greater,
                _ => order != Less,
            })
        }
        "html" | "js" | "urlquery" => {
            let text: String = arguments.iter().map(shown).collect();
            Ok(Some(
                match name {
                    "html" => escape_html(&text),
                    "js" => escape_js(&text),
                    _ => escape_query(&text),
                }
                .into(),
            ))
        }
        "exists" => {
            let mut value = first;
            for key in &arguments[1..] {
                value = index(&value, key).unwrap_or(None);
            }
            boolean(value.is_some_and(|v| !v.is_null()))
        }
        "base64decode" => {
            let text = first.map_or(String::new(), |v| v.str().to_owned());
            match base64::decode(&text) {
                Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned().into())),
                Err(at) => Err(format!(
                    "error calling base64decode: base64 decode failed: illegal base64 data at input byte {at}"
                )),
            }
        }
        _ => Err(format!("function {name:?} not defined")),
    }
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

/// `template.JSEscapeString`
fn escape_js(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c if (c as u32) < 32 => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// `url.QueryEscape`
fn escape_query(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn index(value: &Found, key: &Found) -> Result<Found, String> {
    match (value, key) {
        (None | Some(Value::Null), _) => {
            Err("error calling index: index of untyped nil".to_owned())
        }
        (Some(Value::Object(map)), Some(Value::String(key))) => Ok(map.get(key).cloned()),
        (Some(Value::Array(items)), Some(key)) => {
            let at = key.as_i64().ok_or_else(|| {
                format!(
                    "error calling index: cannot index slice/array with type {}",
                    go::type_of(key)
                )
            })?;
            match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                Some(item) => Ok(Some(item.clone())),
                None => Err(format!("error calling index: index out of range: {at}")),
            }
        }
        (Some(other), _) => Err(format!(
            "error calling index: can't index item of type {}",
            go::type_of(other)
        )),
    }
}

fn slice(value: Found, bounds: &[Found]) -> Result<Found, String> {
    let number = |at: usize, or: usize| {
        bounds
            .get(at)
            .and_then(|b| b.as_ref()?.as_i64())
            .map_or(or, |n| n.max(0) as usize)
    };
    let out_of_range = || "error calling slice: index out of range".to_owned();
    match value {
        Some(Value::String(text)) => {
            let (from, to) = (number(0, 0), number(1, text.len()));
            text.get(from..to)
                .map(|s| Some(s.into()))
                .ok_or_else(out_of_range)
        }
        Some(Value::Array(items)) => {
            let (from, to) = (number(0, 0), number(1, items.len()));
            items
                .get(from..to)
                .map(|s| Some(Value::Array(Arc::new(s.to_vec()))))
                .ok_or_else(out_of_range)
        }
        _ => Err("error calling slice: slice of untyped nil".to_owned()),
    }
}

/// Go's `fmt.Sprintf`, as far as templates use it.
fn printf(format: &str, arguments: &[Found]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut options = String::new();
        let verb = loop {
            match chars.next() {
                Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | ' ' | '#' | '.') => {
                    options.push(c)
                }
                other => break other,
            }
        };
        let text = match verb {
            Some('%') => {
                out.push('%');
                continue;
            }
            None => {
                out.push_str("%!(NOVERB)");
                continue;
            }
            Some(verb) => {
                let Some(argument) = arguments.next() else {
                    out.push_str(&format!("%!{verb}(MISSING)"));
                    continue;
                };
                match (verb, argument) {
                    ('v', value) => value.as_ref().map_or("<nil>".to_owned(), printed),
                    (
                        's',
                        Some(value @ (Value::String(_) | Value::Array(_) | Value::Object(_))),
                    ) => printed(value),
                    ('x', Some(Value::String(s))) => {
                        s.bytes().map(|b| format!("{b:02x}")).collect()
                    }
                    ('x', Some(Value::Int(i))) => format!("{i:x}"),
                    ('q', Some(Value::String(s))) => kubarium_objects::go::quote(s),
                    ('d', Some(Value::Int(i))) => i.to_string(),
                    ('t', Some(Value::Bool(b))) => b.to_string(),
                    ('f', Some(value)) if value.as_f64().is_some() => {
                        let digits = options
                            .split_once('.')
                            .and_then(|(_, d)| d.parse().ok())
                            .unwrap_or(6usize)
                            .min(40);
                        format!("{:.*}", digits, value.as_f64().unwrap_or(0.0))
                    }
                    ('T', Some(value)) => go::type_of(value).to_owned(),
                    (verb, None) => format!("%!{verb}(<nil>)"),
                    (verb, Some(value)) => {
                        format!("%!{verb}({}={})", go::type_of(value), printed(value))
                    }
                }
            }
        };
        let left = options.starts_with('-');
        let width: usize = options
            .trim_start_matches(['-', '+', ' ', '#'])
            .split('.')
            .next()
            .and_then(|w| w.parse().ok())
            .unwrap_or(0);
        let pad = " ".repeat(width.min(1000).saturating_sub(text.chars().count()));
        if left {
            out.push_str(&text);
            out.push_str(&pad);
        } else {
            out.push_str(&pad);
            out.push_str(&text);
        }
    }
    out
}
