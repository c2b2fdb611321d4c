//! Go templates as `-o go-template` takes them (Go's `text/template`, with kubectl's `exists` and
//! `base64decode`): actions, pipelines, variables, if, with, range, define, template, block, the usual
//! functions. Not there: methods, which plain data has none of.

mod functions;
mod parse;

use std::collections::BTreeMap;

use kubarium_objects::{Value, go};

use functions::call;
use parse::Parser;

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    /// What `define` and `block` have given names to.
    named: BTreeMap<String, Vec<Node>>,
}

#[derive(Debug)]
enum Node {
    Text(String),
    Print(Pipeline),
    If {
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        value: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `{{template "name" value}}`
    Template {
        name: String,
        value: Option<Pipeline>,
    },
    Break,
    Continue,
}

#[derive(Debug, Default)]
struct Pipeline {
    /// `$x :=`, `$k, $v :=`, `$x =`
    variables: Vec<String>,
    assign: bool,
    commands: Vec<Vec<Operand>>,
}

#[derive(Debug)]
struct Operand {
    base: Base,
    fields: Vec<String>,
}

#[derive(Debug)]
enum Base {
    Dot,
    Variable(String),
    Function(String),
    Constant(Value),
    Nil,
    Pipeline(Pipeline),
}

const DEPTH_MAX: usize = 64;
const OUTPUT_MAX: usize = 4 << 20;

/// Reads a template.
///
/// # Errors
/// Go's text without its place: `missing value for range`, with the line in front.
pub(crate) fn parse(text: &str) -> Result<Template, String> {
    let mut parser = Parser::new(text);
    match parser.list()? {
        (nodes, None) => Ok(Template {
            nodes,
            named: parser.named,
        }),
        (_, Some(word)) => Err(parser.error(format!("unexpected {{{{{word}}}}}"))),
    }
}

const FUNCTIONS: &[&str] = &[
    "and",
    "or",
    "not",
    "len",
    "index",
    "slice",
    "print",
    "printf",
    "println",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "html",
    "js",
    "urlquery",
    "exists",
    "base64decode",
];

/// What an expression is: a value, or nothing at all (Go's zero `reflect.Value`).
type Found = Option<Value>;

struct Run<'a> {
    named: &'a BTreeMap<String, Vec<Node>>,
    variables: Vec<(String, Found)>,
    out: &'a mut String,
    /// How many templates are within each other.
    depth: usize,
}

enum Flow {
    On,
    Break,
    Continue,
}

impl Template {
    /// What the template prints for an object.
    ///
    /// # Errors
    /// Go's texts, without the place.
    pub fn print(&self, object: &Value) -> Result<String, String> {
        let mut out = String::new();
        let dot = Some(object.clone());
        let mut run = Run {
            named: &self.named,
            depth: 0,
            variables: vec![("$".to_owned(), dot.clone())],
            out: &mut out,
        };
        run.nodes(&self.nodes, &dot)?;
        Ok(out)
    }
}

fn truth(value: &Found) -> bool {
    value.as_ref().is_some_and(|v| !v.is_empty())
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Found) -> Result<Flow, String> {
        for node in nodes {
            if self.out.len() > OUTPUT_MAX {
                return Err("the output is too long".to_owned());
            }
            let scope = self.variables.len();
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.out.push_str(&shown(&value));
                    }
                    continue;
                }
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let value = self.pipeline(condition, dot)?;
                    let flow = self.nodes(if truth(&value) { then } else { otherwise }, dot)?;
                    self.variables.truncate(scope);
                    if !matches!(flow, Flow::On) {
                        return Ok(flow);
                    }
                }
                Node::With {
                    value,
                    then,
                    otherwise,
                } => {
                    let value = self.pipeline(value, dot)?;
                    let flow = if truth(&value) {
                        self.nodes(then, &value)?
                    } else {
                        self.nodes(otherwise, dot)?
                    };
                    self.variables.truncate(scope);
                    if !matches!(flow, Flow::On) {
                        return Ok(flow);
                    }
                }
                Node::Range {
                    over,
                    body,
                    otherwise,
                } => {
                    self.range(over, body, otherwise, dot)?;
                    self.variables.truncate(scope);
                }
                Node::Template { name, value } => self.template(name, value.as_ref(), dot)?,
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
        }
        Ok(Flow::On)
    }

    /// Another template, with a value of its own and none of the variables here.
    fn template(
        &mut self,
        name: &str,
        value: Option<&Pipeline>,
        dot: &Found,
    ) -> Result<(), String> {
        let Some(nodes) = self.named.get(name) else {
            return Err(format!("template {} not defined", go::quote(name)));
        };
        let dot = match value {
            Some(value) => self.commands(value, dot)?,
            None => None,
        };
        if self.depth == DEPTH_MAX {
            return Err("exceeded maximum template depth".to_owned());
        }
        let own = vec![("$".to_owned(), dot.clone())];
        let outer = std::mem::replace(&mut self.variables, own);
        self.depth += 1;
        self.nodes(nodes, &dot)?;
        self.depth -= 1;
        self.variables = outer;
        Ok(())
    }

    fn range(
        &mut self,
        over: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Found,
    ) -> Result<(), String> {
        let value = self.commands(over, dot)?;
        let pairs: Vec<(Value, Value)> = match &value {
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(i, v)| (i.into(), v.clone()))
                .collect(),
            Some(Value::Object(map)) => map.iter().map(|(k, v)| (k.into(), v.clone())).collect(),
            Some(Value::Int(n)) => (0..(*n).min(100_000))
                .map(|i| (i.into(), i.into()))
                .collect(),
            None | Some(Value::Null) => Vec::new(),
            Some(other) => return Err(format!("range can't iterate over {}", go::print(other))),
        };
        if pairs.is_empty() {
            self.nodes(otherwise, dot)?;
            return Ok(());
        }
        let scope = self.variables.len();
        for (key, item) in pairs {
            match &over.variables[..] {
                [only] => self.variables.push((only.clone(), Some(item.clone()))),
                [index, element, ..] => {
                    self.variables.push((index.clone(), Some(key)));
                    self.variables.push((element.clone(), Some(item.clone())));
                }
                [] => {}
            }
            let flow = self.nodes(body, &Some(item))?;
            self.variables.truncate(scope);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Found) -> Result<Found, String> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            let known = self.variables.iter_mut().rev().find(|(n, _)| n == name);
            match known {
                Some(variable) if pipeline.assign => variable.1 = value.clone(),
                _ => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Found) -> Result<Found, String> {
        let mut last: Option<Found> = None;
        for command in &pipeline.commands {
            let (head, rest) = command.split_first().ok_or("missing value for command")?;
            last = Some(if let Base::Function(name) = &head.base {
                let mut arguments = Vec::new();
                for operand in rest {
                    // `and` and `or` stop at the first value that decides.
                    if let (true, Some(so_far)) =
                        (matches!(name.as_str(), "and" | "or"), arguments.last())
                        && truth(so_far) == (name == "or")
                    {
                        break;
                    }
                    arguments.push(self.operand(operand, dot)?);
                }
                arguments.extend(last);
                let mut value = call(name, &arguments)?;
                for field in &head.fields {
                    value = get(&value, field)?;
                }
                value
            } else {
                if !rest.is_empty() || last.is_some() {
                    return Err(format!(
                        "can't give argument to non-function {}",
                        source(head)
                    ));
                }
                self.operand(head, dot)?
            });
        }
        Ok(last.flatten())
    }

    fn operand(&mut self, operand: &Operand, dot: &Found) -> Result<Found, String> {
        let mut value = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => self
                .variables
                .iter()
                .rev()
                .find(|(n, _)| n == name)
                .and_then(|(_, v)| v.clone()),
            Base::Constant(value) => Some(value.clone()),
            Base::Nil => None,
            Base::Pipeline(inner) => self.commands(inner, dot)?,
            Base::Function(name) => call(name, &[])?,
        };
        for field in &operand.fields {
            value = get(&value, field)?;
        }
        Ok(value)
    }
}

fn source(operand: &Operand) -> String {
    let base = match &operand.base {
        Base::Variable(name) => name.clone(),
        Base::Constant(value) => go::print(value),
        _ => String::new(),
    };
    operand
        .fields
        .iter()
        .fold(base, |text, field| format!("{text}.{field}"))
}

fn get(value: &Found, field: &str) -> Result<Found, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(map.get(field).cloned()),
        Some(other) => Err(format!(
            "can't evaluate field {field} in type {}",
            go::type_of(other)
        )),
    }
}

/// A value as a template prints it.
fn shown(value: &Found) -> String {
    match value {
        None | Some(Value::Null) => "<no value>".to_owned(),
        Some(value) => printed(value),
    }
}

fn printed(value: &Value) -> String {
    match value {
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(printed).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{k}:{}", printed(v)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
        other => go::print(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn prints(template: &str, want: &str) {
        let object = Value::from_json(r#"{"items":[{"n":"a","c":1},{"n":"b","c":2}],"data":{"size":"10","x":"eHl6"},"big":1000000,"t":true}"#).unwrap();
        let printed = parse(template).and_then(|t| t.print(&object));
        assert_eq!(printed.unwrap(), want, "{template}");
    }

    #[test]
    fn templates_print_as_gos_do() {
        prints(
            r#"{{range .items}}{{.n}}={{.c}}{{"\n"}}{{end}}"#,
            "a=1\nb=2\n",
        );
        prints(
            "{{len .data}} {{if .data.extra}}has{{else}}none{{end}}",
            "2 none",
        );
        prints(
            "{{.data.missing}} {{.data.missing.deeper}}",
            "<no value> <no value>",
        );
        prints(r#"{{index .data "size"}} {{index .items 1 "n"}}"#, "10 b");
        prints(r#"{{printf "%s-%v" .data.size .t}}"#, "10-true");
        prints("{{.data.x | base64decode}}", "xyz");
        prints("{{.big}} {{.data}}", "1000000 map[size:10 x:eHl6]");
        prints(
            r#"{{range $i, $e := .items}}{{if $i}}, {{end}}{{$i}}:{{$e.n}}{{end}}"#,
            "0:a, 1:b",
        );
        prints(
            "{{with .data}}{{.size}}{{end}}{{with .nosuch}}x{{else}}y{{end}}",
            "10y",
        );
        prints(
            r#"{{if and (eq .data.size "10") (not .no)}}yes{{else if .t}}t{{end}}"#,
            "yes",
        );
        prints("{{/* c */}}a {{- 1 -}} b", "a1b");
        prints(
            r#"{{define "x"}}[{{.}}]{{end}}{{template "x" .t}}{{range .items}}{{template "x" .n}}{{end}}"#,
            "[true][a][b]",
        );
        prints(
            r#"{{block "b" .data}}{{.size}}{{end}}{{template "b"}}"#,
            "10<no value>",
        );
        prints(
            r#"{{$x := 1}}{{range .items}}{{$x = .c}}{{end}}{{$x}}"#,
            "2",
        );
        prints(
            r#"{{range $k, $v := .data}}{{$k}}={{$v}} {{end}}"#,
            "size=10 x=eHl6 ",
        );
    }

    #[test]
    fn errors_are_gos() {
        for (template, want) in [
            ("{{range}}", "template: output:1: missing value for range"),
            ("{{if .a}}", "template: output:1: unexpected EOF"),
            (
                "{{nosuch .a}}",
                "template: output:1: function \"nosuch\" not defined",
            ),
            ("{{.a", "template: output:1: unclosed action"),
            ("{{end}}", "template: output:1: unexpected {{end}}"),
            ("{{$x}}", "template: output:1: undefined variable \"$x\""),
        ] {
            assert_eq!(parse(template).map(|_| ()).unwrap_err(), want, "{template}");
        }
    }
}
