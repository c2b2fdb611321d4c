//! Selectors of labels and of fields.
//! Source: k8s.io/apimachinery/pkg/labels and pkg/fields, v0.37.

use std::fmt;

use crate::go;
use crate::names;
use crate::value::{Text, Value};

mod parse;

/// A condition on labels; all requirements must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// Sorted by key.
    requirements: Vec<Requirement>,
    nothing: bool,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// The label's key.
    pub key: Text,
    /// How the value is compared.
    pub operator: Operator,
    /// What it is compared with, sorted.
    pub values: Vec<Text>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equals,
    /// `==`
    DoubleEquals,
    /// `!=`; also where the label is missing.
    NotEquals,
    /// `in (…)`
    In,
    /// `notin (…)`; also where the label is missing.
    NotIn,
    /// The label is there.
    Exists,
    /// `!key`
    DoesNotExist,
    /// `>`, as whole numbers.
    GreaterThan,
    /// `<`, as whole numbers.
    LessThan,
}

/// Why a text or value is no selector; prints as kubectl or the API server says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError(pub(crate) String);

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for SelectorError {}

impl Requirement {
    /// Whether labels (a map of strings, or null) meet the requirement.
    pub fn matches(&self, labels: &Value) -> bool {
        let label = labels.get(&self.key).and_then(Value::as_str);
        let number = |s: &str| s.parse::<i64>().ok();
        let compared = || Some((number(label?)?, number(self.values.first()?)?));
        let listed = |s: &str| self.values.iter().any(|v| **v == *s);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => label.is_some_and(listed),
            Operator::NotIn | Operator::NotEquals => !label.is_some_and(listed),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => compared().is_some_and(|(a, b)| a > b),
            Operator::LessThan => compared().is_some_and(|(a, b)| a < b),
        }
    }

    /// A requirement with its key and values checked. Errors: the API server's texts.
    fn new(
        key: &str,
        operator: Operator,
        mut values: Vec<Text>,
    ) -> Result<Requirement, SelectorError> {
        if let Some(why) = joined(names::qualified_name(key)) {
            return Err(SelectorError(format!(
                "key: Invalid value: {}: {why}",
                go::quote(key)
            )));
        }
        let shown = || {
            let quoted: Vec<String> = values.iter().map(|v| go::quote(v)).collect();
            format!("[{}]", quoted.join(","))
        };
        let why = match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                Some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals
                if values.len() != 1 =>
            {
                Some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                Some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan if values.len() != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        };
        if let Some(why) = why {
            return Err(SelectorError(format!(
                "values: Invalid value: {}: {why}",
                shown()
            )));
        }
        for (i, value) in values.iter().enumerate() {
            if matches!(operator, Operator::GreaterThan | Operator::LessThan)
                && value.parse::<i64>().is_err()
            {
                let value = go::quote(value);
                return Err(SelectorError(format!(
                    "values[{i}]: Invalid value: {value}: for 'Gt', 'Lt' operators, the value must be an integer"
                )));
            }
            if let Some(why) = joined(names::label_value(value)) {
                return Err(SelectorError(format!(
                    "values[{i}][{key}]: Invalid value: {}: {why}",
                    go::quote(value)
                )));
            }
        }
        values.sort();
        values.dedup();
        Ok(Requirement {
            key: key.into(),
            operator,
            values,
        })
    }
}

fn joined(complaints: Vec<String>) -> Option<String> {
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

/// `app=web`, `env in (a,b)`, `!x`
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.join(",");
        let key = &self.key;
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl Selector {
    /// Selects everything.
    pub fn everything() -> Selector {
        Selector::default()
    }

    /// Selects nothing.
    pub fn nothing() -> Selector {
        Selector {
            requirements: Vec::new(),
            nothing: true,
        }
    }

    /// Reads what follows `kubectl -l`: `app=web,env in (a,b),!x`.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        parse::parse(text).map(Selector::of)
    }

    /// From a `metav1.LabelSelector` (`{matchLabels, matchExpressions}`): null selects nothing,
    /// `{}` everything.
    pub fn from_label_selector(value: &Value) -> Result<Selector, SelectorError> {
        if value.is_null() {
            return Ok(Selector::nothing());
        }
        let mut requirements = Vec::new();
        for (key, v) in value["matchLabels"].entries() {
            requirements.push(Requirement::new(key, Operator::Equals, vec![v.text()])?);
        }
        for e in value["matchExpressions"].items() {
            let operator = match e["operator"].str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    return Err(SelectorError(format!(
                        "{} is not a valid label selector operator",
                        go::quote(other)
                    )));
                }
            };
            let values = e["values"].items().iter().map(Value::text).collect();
            requirements.push(Requirement::new(e["key"].str(), operator, values)?);
        }
        Ok(Selector::of(requirements))
    }

    /// From a plain map (a Service's `spec.selector`, a node selector), unchecked: null or `{}`
    /// selects everything.
    pub fn from_map(labels: &Value) -> Selector {
        let equals = |(key, value): &(Text, Value)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.text()],
        };
        Selector::of(labels.entries().iter().map(equals).collect())
    }

    /// Selects what meets all of these requirements, unchecked.
    pub fn of(mut requirements: Vec<Requirement>) -> Selector {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Selector {
            requirements,
            nothing: false,
        }
    }

    /// Selects what both select.
    #[must_use]
    pub fn and(mut self, other: Selector) -> Selector {
        self.requirements.extend(other.requirements);
        let nothing = self.nothing || other.nothing;
        Selector {
            nothing,
            ..Selector::of(self.requirements)
        }
    }

    /// Whether labels (a map of strings, or null) are selected.
    pub fn matches(&self, labels: &Value) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(labels))
    }

    /// Whether everything is selected.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Whether nothing is.
    pub fn is_nothing(&self) -> bool {
        self.nothing
    }

    /// The requirements, sorted by key: an index may look up by `(key, value)` of one that `fixes` it.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The `(key, value)` pairs that selected labels must have, for an index.
    pub fn exact(&self) -> impl Iterator<Item = (&Text, &Text)> {
        self.requirements
            .iter()
            .filter_map(|r| match (r.operator, &r.values[..]) {
                (Operator::Equals | Operator::DoubleEquals | Operator::In, [value]) => {
                    Some((&r.key, value))
                }
                _ => None,
            })
    }
}

/// `app=web,env in (a,b)`; empty for everything.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.requirements.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{r}")?;
        }
        Ok(())
    }
}

/// A selector of fields: `metadata.name=web,status.phase!=Running`. Which fields a resource
/// supports is the API server's matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSelector {
    /// Field, whether it must be equal, value.
    pub terms: Vec<(Text, bool, Text)>,
}

impl FieldSelector {
    /// Reads what follows `kubectl --field-selector`. A backslash takes the meaning of `,` and `=`.
    pub fn parse(text: &str) -> Result<FieldSelector, SelectorError> {
        let mut terms = Vec::new();
        for term in split_unescaped(text) {
            if term.is_empty() {
                continue;
            }
            let not_understood = || {
                SelectorError(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                ))
            };
            let at = unescaped_operator(term).ok_or_else(not_understood)?;
            let (field, rest) = term.split_at(at);
            let (equal, value) = match (rest.strip_prefix("!="), rest.strip_prefix("==")) {
                (Some(value), _) => (false, value),
                (_, Some(value)) => (true, value),
                _ => (true, rest.strip_prefix('=').ok_or_else(not_understood)?),
            };
            terms.push((field.into(), equal, unescape(value).into()));
        }
        Ok(FieldSelector { terms })
    }

    /// Whether the object's fields are as the selector wants them. Missing fields read as `""`.
    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|(field, equal, value)| {
            let path: Vec<&str> = field.split('.').collect();
            let found = match object.at(&path) {
                Value::String(s) => s.to_string(),
                Value::Null => String::new(),
                Value::Bool(b) => b.to_string(),
                Value::Int(i) => i.to_string(),
                _ => String::new(),
            };
            (found == **value) == *equal
        })
    }

    /// The value that a field must have, if the selector fixes it.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms
            .iter()
            .find(|(f, equal, _)| **f == *field && *equal)
            .map(|(_, _, v)| &**v)
    }
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let (mut out, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

fn unescaped_operator(term: &str) -> Option<usize> {
    let mut escaped = false;
    term.char_indices().find_map(|(at, c)| {
        if escaped {
            escaped = false;
            return None;
        }
        escaped = c == '\\';
        (c == '=' || term[at..].starts_with("!=")).then_some(at)
    })
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut escaped = false;
    for c in value.chars() {
        if !escaped && c == '\\' {
            escaped = true;
        } else {
            escaped = false;
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn printed(text: &str, want: &str) {
        let got = Selector::parse(text).map_or_else(|e| e.to_string(), |s| s.to_string());
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn selectors_parse_and_print() {
        printed("", "");
        printed("b = x , a!=y", "a!=y,b=x");
        printed("env in (b, a),!x,y", "env in (a,b),!x,y");
        printed("a==b", "a==b");
        printed("a notin (x)", "a notin (x)");
        printed("n>5,m<7", "m<7,n>5");
        printed("a=", "a=");
        printed(
            "in=x",
            "unable to parse requirement: found 'in', expected: identifier",
        );
        printed(
            "a in",
            "unable to parse requirement: found '' expected: '('",
        );
        printed(
            "a in (b",
            "unable to parse requirement: found '', expected: ',' or ')'",
        );
        printed(
            "a b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        );
        printed("a=b,", "found '', expected: identifier after ','");
        printed(
            "=b",
            "found '=', expected: !, identifier, or 'end of string'",
        );
        printed(
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        );
    }

    #[test]
    fn selectors_select() {
        let labels = Value::from_json(r#"{"app":"web","n":"7"}"#).unwrap();
        for (text, want) in [
            ("app=web", true),
            ("app!=web", false),
            ("x!=y", true),
            ("app in (a,web)", true),
            ("x notin (y)", true),
            ("x", false),
            ("!x", true),
            ("n>6,n<8", true),
            ("app>1", false),
        ] {
            assert_eq!(
                Selector::parse(text).unwrap().matches(&labels),
                want,
                "{text}"
            );
        }
        assert!(
            !Selector::from_label_selector(&Value::Null)
                .unwrap()
                .matches(&labels)
        );
        assert!(
            Selector::from_label_selector(&Value::new_object())
                .unwrap()
                .matches(&labels)
        );
        let v = Value::from_json(r#"{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"x","operator":"DoesNotExist"}]}"#).unwrap();
        let s = Selector::from_label_selector(&v).unwrap();
        assert!(s.matches(&labels) && s.exact().count() == 1);
        assert_eq!(s.to_string(), "app=web,!x");
    }

    #[test]
    fn field_selectors_select() {
        let pod = Value::from_json(r#"{"metadata":{"name":"web"},"status":{"phase":"Running"}}"#)
            .unwrap();
        for (text, want) in [
            ("metadata.name=web", true),
            ("status.phase!=Running", false),
            ("spec.nodeName=", true),
            ("metadata.name==w", false),
        ] {
            assert_eq!(
                FieldSelector::parse(text).unwrap().matches(&pod),
                want,
                "{text}"
            );
        }
        let e = FieldSelector::parse("a=b,nonsense").unwrap_err();
        assert_eq!(
            e.to_string(),
            "invalid selector: 'a=b,nonsense'; can't understand 'nonsense'"
        );
    }
}
