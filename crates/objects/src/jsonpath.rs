//! kubectl's JSONPath templates (`client-go/util/jsonpath`, v1.37), with what is odd about them: a
//! `range` need not end, an index that is out of bounds is an error, one beyond the keys is not.

mod parse;
mod print;

use crate::go;
use crate::value::Value;

use parse::Parser;
use print::shown;

/// A template: text with `{…}` in it.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// Texts and lists.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Text(String),
    /// What stands between `{` and `}`.
    List(Vec<Node>),
    Field(String),
    /// `range`, `end`, and words that mean nothing.
    Identifier(String),
    /// `[1]`, `[1:2]`, `[::2]`
    Array([Bound; 3]),
    /// `[0,2]`, `['a','b']`
    Union(Vec<Vec<Node>>),
    Filter {
        left: Vec<Node>,
        operator: String,
        right: Vec<Node>,
    },
    Wildcard,
    Recursive,
    /// A number or a boolean.
    Constant(Value),
}

/// One of the numbers of a slice.
#[derive(Clone, Copy, Debug, Default)]
struct Bound {
    value: i64,
    known: bool,
    /// The end that a single index implies.
    derived: bool,
}

const DEPTH_MAX: usize = 64;
/// Nodes that one template may visit, with all its loops.
const VISITS_MAX: usize = 2_000_000;

type Parsed<T> = Result<T, String>;

/// Reads a template.
///
/// # Errors
/// client-go's texts.
pub fn parse(template: &str) -> Parsed<Template> {
    let nodes = Parser::new(template).template(0)?;
    Ok(Template { nodes })
}

/// Reads one path, as `--sort-by` and custom-columns take it: `x.y`, `.x.y`, `{.x.y}`
/// (`kubectl/pkg/cmd/get/customcolumn.go`, RelaxedJSONPathExpression).
pub fn relaxed(expression: &str) -> Result<Template, String> {
    let bad = || {
        "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'".to_owned()
    };
    if expression.is_empty() {
        return Ok(Template::default());
    }
    let inner = match (expression.strip_prefix('{'), expression.ends_with('}')) {
        (Some(rest), true) => rest.strip_suffix('}').unwrap_or(rest),
        (None, false) => expression,
        _ => return Err(bad()),
    };
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    if inner.is_empty() {
        return Err(bad());
    }
    parse(&format!("{{.{inner}}}"))
}

impl Template {
    /// What the template prints for an object. With `allow_missing` a field that is not there
    /// prints nothing.
    ///
    /// # Errors
    /// client-go's texts.
    pub fn print(&self, object: &Value, allow_missing: bool) -> Result<String, String> {
        let mut out = String::new();
        for results in self.results(object, allow_missing)? {
            let texts: Vec<String> = results.iter().map(shown).collect();
            out.push_str(&texts.join(" "));
        }
        Ok(out)
    }

    /// The values that a template finds, all of them.
    ///
    /// # Errors
    /// client-go's texts.
    pub fn find(&self, object: &Value) -> Result<Vec<Value>, String> {
        Ok(self.results(object, true)?.concat())
    }

    /// The values that each part of the template finds.
    fn results(&self, object: &Value, allow_missing: bool) -> Result<Vec<Vec<Value>>, String> {
        let mut run = Run {
            nodes: &self.nodes,
            allow_missing,
            begin: 0,
            within: 0,
            end: 0,
            last_end: None,
            visits: 0,
        };
        run.find(0, object)
    }
}

/// A template at work: where its loops stand.
struct Run<'a> {
    nodes: &'a [Node],
    allow_missing: bool,
    begin: usize,
    within: usize,
    end: usize,
    last_end: Option<usize>,
    visits: usize,
}

impl Run<'_> {
    fn find(&mut self, from: usize, data: &Value) -> Result<Vec<Vec<Value>>, String> {
        if self.within > DEPTH_MAX {
            return Err("nested too deeply".to_owned());
        }
        let nodes = self.nodes;
        let mut found = Vec::new();
        let mut at = from;
        while let Some(node) = nodes.get(at) {
            let results = self.walk(vec![data.clone()], node)?;
            if self.end > 0 && self.end <= self.within {
                self.end -= 1;
                self.last_end = Some(at);
                break;
            }
            if self.begin > 0 {
                self.begin -= 1;
                self.within += 1;
                if results.is_empty() {
                    // The loop's end is looked for all the same.
                    self.find(at + 1, &Value::Null)?;
                }
                for value in &results {
                    found.extend(self.find(at + 1, value)?);
                }
                self.within -= 1;
                if let Some(end) = self.last_end.filter(|end| *end > at) {
                    at = end;
                }
            } else {
                found.push(results);
            }
            at += 1;
        }
        Ok(found)
    }

    fn list(&mut self, mut values: Vec<Value>, nodes: &[Node]) -> Result<Vec<Value>, String> {
        for node in nodes {
            values = self.walk(values, node)?;
        }
        Ok(values)
    }

    fn walk(&mut self, values: Vec<Value>, node: &Node) -> Result<Vec<Value>, String> {
        self.visits += 1 + values.len();
        if self.visits > VISITS_MAX {
            return Err("the template takes too long".to_owned());
        }
        match node {
            Node::Text(text) => Ok(vec![text.as_str().into()]),
            Node::List(nodes) => self.list(values, nodes),
            Node::Constant(value) => Ok(vec![value.clone(); values.len()]),
            Node::Identifier(word) => match word.as_str() {
                "range" => {
                    self.begin += 1;
                    Ok(values)
                }
                "end" if self.within > 0 => {
                    self.end += 1;
                    Ok(Vec::new())
                }
                "end" => Err("not in range, nothing to end".to_owned()),
                word => Err(format!("unrecognized identifier {word}")),
            },
            Node::Field(name) => {
                let found: Vec<Value> = values
                    .iter()
                    .filter_map(|v| v.as_object()?.get(name).cloned())
                    .collect();
                if found.is_empty() && !values.is_empty() && !self.allow_missing {
                    return Err(format!("{name} is not found"));
                }
                Ok(found)
            }
            Node::Array(bounds) => {
                let mut found = Vec::new();
                let mut bounds = *bounds;
                for value in &values {
                    match slice(value, &mut bounds)? {
                        Some(items) => found.extend(items),
                        None => return Ok(found),
                    }
                }
                Ok(found)
            }
            Node::Union(lists) => {
                let mut found = Vec::new();
                for list in lists {
                    found.extend(self.list(values.clone(), list)?);
                }
                Ok(found)
            }
            Node::Wildcard => Ok(values.iter().flat_map(children).collect()),
            Node::Recursive => {
                let mut found = Vec::new();
                self.descend(&values, &mut found, 0)?;
                Ok(found)
            }
            Node::Filter {
                left,
                operator,
                right,
            } => {
                let mut found = Vec::new();
                for value in &values {
                    let Value::Array(items) = value else {
                        return Err(format!(
                            "{} is not array or slice and cannot be filtered",
                            go::print(value)
                        ));
                    };
                    for item in items.iter() {
                        if self.passes(item, left, operator, right)? {
                            found.push(item.clone());
                        }
                    }
                }
                Ok(found)
            }
        }
    }

    fn descend(
        &mut self,
        values: &[Value],
        found: &mut Vec<Value>,
        depth: usize,
    ) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Ok(());
        }
        for value in values {
            self.visits += 1;
            if self.visits > VISITS_MAX {
                return Err("the template takes too long".to_owned());
            }
            match value {
                // A text's bytes have nothing in them.
                Value::String(s) if !s.is_empty() => found.push(value.clone()),
                Value::Array(_) | Value::Object(_) if !value.is_empty() => {
                    found.push(value.clone());
                    self.descend(&children(value), found, depth + 1)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn passes(
        &mut self,
        item: &Value,
        left: &[Node],
        operator: &str,
        right: &[Node],
    ) -> Result<bool, String> {
        let lefts = self.list(vec![item.clone()], left);
        if operator == "exists" {
            return Ok(lefts.is_ok_and(|found| !found.is_empty()));
        }
        let too_many = || Err("can only compare one element at a time".to_owned());
        let lefts = lefts?;
        let a = match &lefts[..] {
            [] => return Ok(false),
            [one] => one,
            _ => return too_many(),
        };
        let rights = self.list(vec![item.clone()], right)?;
        let b = match &rights[..] {
            [] => return Ok(false),
            [one] => one,
            _ => return too_many(),
        };
        compare(a, operator, b)
    }
}

/// The elements, the values, the bytes of a value.
fn children(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.to_vec(),
        Value::Object(map) => map.iter().map(|(_, v)| v.clone()).collect(),
        Value::String(s) => s.bytes().map(|b| i64::from(b).into()).collect(),
        _ => Vec::new(),
    }
}

/// The part of a list that bounds mean; `None` where they mean nothing at all, which ends the search.
/// Bounds that are counted from the end stay what they have become.
fn slice(value: &Value, bounds: &mut [Bound; 3]) -> Result<Option<Vec<Value>>, String> {
    let items = match value {
        Value::Null => return Ok(Some(Vec::new())),
        Value::Array(items) => items,
        other => return Err(format!("{} is not array or slice", go::type_of(other))),
    };
    let length = items.len() as i64;
    let [first, last, step] = bounds;
    if !first.known {
        first.value = 0;
    }
    if first.value < 0 {
        first.value += length;
    }
    if !last.known {
        last.value = length;
    }
    if last.value < 0 || (last.value == 0 && last.derived) {
        last.value += length;
    }
    let (from, to) = (first.value, last.value);
    if from == to {
        return Ok(None);
    }
    let out = |index: i64| format!("array index out of bounds: index {index}, length {length}");
    if from >= length || from < 0 {
        return Err(out(from));
    }
    if to > length || to < 0 {
        return Err(out(to - 1));
    }
    if from > to {
        return Err(format!(
            "starting index {from} is greater than ending index {to}"
        ));
    }
    if step.known && step.value <= 0 {
        return Err("step must be > 0".to_owned());
    }
    let step = if step.known { step.value } else { 1 };
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    let part = &items[from as usize..to as usize];
    Ok(Some(part.iter().step_by(step).cloned().collect()))
}

/// Compares as `text/template` does: only what is of one kind.
fn compare(a: &Value, operator: &str, b: &Value) -> Result<bool, String> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    const TYPE: &str = "invalid type for comparison";
    let basic = |v: &Value| !matches!(v, Value::Null | Value::Array(_) | Value::Object(_));
    if !matches!(operator, "<" | ">" | "==" | "!=" | "<=" | ">=") {
        return Err(format!("unrecognized filter operator {operator}"));
    }
    if !basic(a) || !basic(b) {
        return Err(TYPE.to_owned());
    }
    let order = match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or(Less),
        (Value::Bool(_), Value::Bool(_)) if !matches!(operator, "==" | "!=") => {
            return Err(TYPE.to_owned());
        }
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    Ok(match operator {
        "==" => order == Equal,
        "!=" => order != Equal,
        "<" => order == Less,
        ">" => order == Greater,
        "<=" => order != Greater,
        _ => order != Less,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn prints(template: &str, want: &str) {
        let object = Value::from_json(
            r#"{"kind":"List","items":[{"name":"a","n":1,"l":{"x.y/z":"v"},"c":[{"type":"Ready","status":"True"},{"type":"Other","status":"False"}]},
            {"name":"b","n":2,"c":[{"type":"Ready","status":"False"}]}],"m":{"q":true}}"#,
        )
        .unwrap();
        let template = parse(template).unwrap();
        assert_eq!(template.print(&object, true).unwrap(), want);
    }

    #[test]
    fn templates_print_as_kubectls_do() {
        prints("{.kind}", "List");
        prints(r#"{.kind}{"\n"}"#, "List\n");
        prints("{.items[*].name}", "a b");
        prints("{.items[0].name} and {.items[-1].name}", "a and b");
        prints("{.items[5:5].name}", "");
        prints("{range .items[*]}{.name}", "ab");
        prints("{.missing.deeper}", "");
        prints(r#"{range .items[*]}{.name}={.n};{end}"#, "a=1;b=2;");
        prints(r#"{.items[0].c[?(@.type=="Ready")].status}"#, "True");
        prints(r#"{range .items[?(@.n>1)]}{.name}{end}"#, "b");
        prints(r#"{.items[0].l.x\.y/z}"#, "v");
        prints("{.items[0].l['x\\.y/z']}", "v");
        // A dot that is not escaped begins another field, even here.
        prints("{.items[0].l['x.y/z']}", "");
        prints("{.m}", r#"{"q":true}"#);
        prints("{..status}", "True False False");
        prints("{.items[*]['name','n']}", "a b 1 2");
        prints("{.items[0:1].name}", "a");
        prints("{$.kind}", "List");
        prints(
            r#"{range .items[*]}{range .c[*]}{.type},{end};{end}"#,
            "Ready,Other,;Ready,;",
        );
    }

    #[test]
    fn errors_are_client_gos() {
        for (template, want) in [
            ("{.a", "unclosed action"),
            ("{.a[}", "unterminated array"),
            ("{.a[x]}", "invalid array index x"),
            ("{.a[?(@.b==\"c\"}", "unterminated filter"),
            ("{.a[?(@.b)}", "unclosed array expect ]"),
            ("{\"a}", "unterminated quoted string"),
            ("{.a....b}", "invalid multiple recursive descent"),
            ("{.a", "unclosed action"),
            ("{1.2.3}", "cannot parse number 1.2.3"),
        ] {
            assert_eq!(parse(template).map(|_| ()).unwrap_err(), want, "{template}");
        }
        for (template, want) in [
            ("{end}", "not in range, nothing to end"),
            ("{a}", "unrecognized identifier a"),
            ("{.l[9]}", "array index out of bounds: index 9, length 3"),
            ("{.l[-9]}", "array index out of bounds: index -6, length 3"),
            (
                "{.l[2:1]}",
                "starting index 2 is greater than ending index 1",
            ),
            ("{.l[::0]}", "step must be > 0"),
            ("{.k[0]}", "string is not array or slice"),
            (
                "{.k[?(@.a)]}",
                "v is not array or slice and cannot be filtered",
            ),
            ("{.l[?(@==\"1\")]}", "incompatible types for comparison"),
            ("{.l[?(@===1)]}", "unrecognized filter operator ==="),
        ] {
            let object = Value::from_json(r#"{"k":"v","l":[1,2,3]}"#).unwrap();
            let printed = parse(template).and_then(|t| t.print(&object, true));
            assert_eq!(printed.unwrap_err(), want, "{template}");
        }
    }
}
