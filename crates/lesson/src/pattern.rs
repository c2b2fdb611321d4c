//! Partial objects: what has to be there, and nothing about the rest.
//!
//! As in Chainsaw and KUTTL an object fits when every field of the pattern is in it. Differences:
//! a list fits when each of its items fits another item of the object's list, in whatever order
//! (`[]` wants an empty list); and a text may be a comparison (`">= 2"`, `"< 5"`,
//! `"!= x"`) or have `*` for any text (`"nginx:*"`; `"*"` alone: anything that is there). `null`
//! wants the field not to be there.

use kubarium_objects::{Quantity, Value};

/// Why a value does not fit: the field, and what is there and what is wanted.
pub(crate) type Misfits = Vec<String>;

/// How deep a pattern may be.
const DEPTH_MAX: usize = 32;
/// Up to this many items of a list are told apart.
const LIST_MAX: usize = 64;

/// What does not fit; nothing where all does.
pub(crate) fn misfits(pattern: &Value, value: &Value) -> Misfits {
    let mut found = Misfits::new();
    fit(pattern, value, "", 0, &mut found);
    found
}

/// Whether a value fits.
pub(crate) fn fits(pattern: &Value, value: &Value) -> bool {
    misfits(pattern, value).is_empty()
}

/// Whether the items fit items of the list in order.
pub(crate) fn in_order<'a>(
    patterns: &[Value],
    mut values: impl Iterator<Item = &'a Value>,
) -> Option<usize> {
    patterns
        .iter()
        .position(|pattern| !values.any(|value| fits(pattern, value)))
}

/// The first pattern for which no item is left when each takes one that fits.
fn unmatched(patterns: &[Value], items: &[Value]) -> Option<usize> {
    let mut taken: Vec<Option<usize>> = vec![None; items.len()];
    patterns.iter().enumerate().find_map(|(index, pattern)| {
        if items.len() > LIST_MAX {
            return (!items.iter().any(|item| fits(pattern, item))).then_some(index);
        }
        let mut tried = vec![false; items.len()];
        (!take(patterns, items, index, &mut taken, &mut tried)).then_some(index)
    })
}

/// Finds an item for a pattern; another pattern may have to give its own up and take another one.
fn take(
    patterns: &[Value],
    items: &[Value],
    index: usize,
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for at in 0..items.len() {
        if tried[at] || !fits(&patterns[index], &items[at]) {
            continue;
        }
        tried[at] = true;
        let free = match taken[at] {
            None => true,
            Some(other) => take(patterns, items, other, taken, tried),
        };
        if free {
            taken[at] = Some(index);
            return true;
        }
    }
    false
}

fn fit(pattern: &Value, value: &Value, path: &str, depth: usize, found: &mut Misfits) {
    if depth > DEPTH_MAX {
        found.push(format!("{path} is too deep to be compared"));
        return;
    }
    match pattern {
        Value::Object(fields) => {
            for (key, wanted) in fields.iter() {
                let path = match path {
                    "" => key.to_string(),
                    _ => format!("{path}.{key}"),
                };
                fit(wanted, &value[&**key], &path, depth + 1, found);
            }
            if fields.is_empty() && value.as_object().is_none() {
                found.push(format!("{path} is {}, wanted a map", shown(value)));
            }
        }
        Value::Array(wanted) => {
            let items = value.items();
            if wanted.is_empty() && !items.is_empty() {
                found.push(format!("{path} has {} items, wanted none", items.len()));
            }
            if let Some(missing) = unmatched(wanted, items) {
                let nearest = items.iter().map(|item| misfits(&wanted[missing], item));
                match nearest.min_by_key(Vec::len) {
                    Some(near) if items.len() == 1 => {
                        found.extend(near.iter().map(|m| format!("{path}[0].{m}")));
                    }
                    _ => found.push(format!("{path} has no item {}", shown(&wanted[missing]))),
                }
            }
        }
        Value::Null if value.is_empty() => {}
        _ if scalar(pattern, value) => {}
        _ => found.push(format!(
            "{path} is {}, wanted {}",
            shown(value),
            wanted(pattern)
        )),
    }
}

fn wanted(pattern: &Value) -> String {
    match pattern {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if &**text == "*" => "any value".to_owned(),
        Value::String(text) if comparison(text).is_some() => text.to_string(),
        other => shown(other),
    }
}

/// A value in a message, cut where it is long.
fn shown(value: &Value) -> String {
    const LONG: usize = 80;
    if value.is_null() {
        return "not there".to_owned();
    }
    let text = value.to_json();
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn scalar(pattern: &Value, value: &Value) -> bool {
    if pattern == value {
        return true;
    }
    let Value::String(wanted) = pattern else {
        // Go leaves out what is zero or false.
        let absent = pattern.is_empty() && value.is_null();
        // `cpu: 2` means the quantity "2".
        return absent || value.as_str().is_some_and(|text| text == pattern.to_json());
    };
    if let Some((operator, operand)) = comparison(wanted) {
        return compare(operator, operand, value);
    }
    match value {
        Value::String(text) => glob(wanted, text),
        Value::Null | Value::Array(_) | Value::Object(_) => &**wanted == "*" && !value.is_null(),
        // `8080` and `"8080"` are one for a person.
        number => glob(wanted, &number.to_json()),
    }
}

fn comparison(text: &str) -> Option<(&str, &str)> {
    [">=", "<=", "!=", ">", "<"]
        .into_iter()
        .find_map(|operator| {
            let operand = text.strip_prefix(operator)?.strip_prefix(' ')?;
            Some((operator, operand.trim()))
        })
}

fn compare(operator: &str, operand: &str, value: &Value) -> bool {
    let text = match value {
        Value::String(text) => text.to_string(),
        // A number that is not there is none, which counts as 0.
        Value::Null => String::new(),
        other => other.to_json(),
    };
    if operator == "!=" {
        return !glob(operand, &text);
    }
    let number = |text: &str| {
        let text = if text.is_empty() { "0" } else { text };
        text.parse::<Quantity>().ok()
    };
    let Some((there, wanted)) = number(&text).zip(number(operand)) else {
        return false;
    };
    match operator {
        ">=" => there >= wanted,
        "<=" => there <= wanted,
        ">" => there > wanted,
        _ => there < wanted,
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Value {
        let document = kubarium_objects::yaml::parse(text).unwrap().remove(0);
        document.value["v"].clone()
    }

    #[track_caller]
    fn says(pattern: &str, value: &str, want: &[&str]) {
        let (pattern, value) = (yaml(&format!("v: {pattern}")), yaml(&format!("v: {value}")));
        assert_eq!(misfits(&pattern, &value), want, "{pattern} {value}");
    }

    #[test]
    fn a_pattern_fits_what_has_its_fields() {
        for (pattern, value) in [
            ("{}", "{a: 1}"),
            ("{a: 1}", "{a: 1, b: 2}"),
            ("{a: {b: x}}", "{a: {b: x, c: y}}"),
            ("{a: '>= 2'}", "{a: 2}"),
            ("{a: '< 1Gi'}", "{a: 512Mi}"),
            ("{a: '<= 0'}", "{}"),
            ("{a: '!= x'}", "{a: y}"),
            ("{a: '!= x'}", "{}"),
            ("{a: 'nginx:*'}", "{a: 'nginx:1.27'}"),
            ("{a: '*'}", "{a: {b: 1}}"),
            ("{a: '8080'}", "{a: 8080}"),
            ("{a: null}", "{b: 1}"),
            ("{a: 0, b: false}", "{}"),
            ("{a: []}", "{}"),
            (
                "[{name: a}, {name: c}]",
                "[{name: a}, {name: b}, {name: c}]",
            ),
            ("{a: '*'}", "{a: '*'}"),
        ] {
            says(pattern, value, &[]);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (pattern, value, want) in [
            ("{a: 1}", "{a: 2}", "a is 2, wanted 1"),
            ("{a: {b: x}}", "{a: {}}", "a.b is not there, wanted \"x\""),
            ("{a: '>= 2'}", "{a: 1}", "a is 1, wanted >= 2"),
            ("{a: '*'}", "{}", "a is not there, wanted any value"),
            ("{a: null}", "{a: 1}", "a is 1, wanted nothing"),
            ("{a: '> x'}", "{a: 1}", "a is 1, wanted > x"),
            ("{a: []}", "{a: [1]}", "a has 1 items, wanted none"),
            (
                "{a: [{name: x}]}",
                "{a: [{name: z}]}",
                "a[0].name is \"z\", wanted \"x\"",
            ),
            (
                "{a: [{name: a}, {name: a}]}",
                "{a: [{name: a}, {name: c}]}",
                "a has no item {\"name\":\"a\"}",
            ),
            ("{a: {}}", "{a: 1}", "a is 1, wanted a map"),
        ] {
            says(pattern, value, &[want]);
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, want) in [
            ("web-*", "web-1", true),
            ("*", "", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("a*a", "a", false),
            ("", "", true),
            ("web", "web-1", false),
        ] {
            assert_eq!(glob(pattern, text), want, "{pattern} {text}");
        }
    }
}
