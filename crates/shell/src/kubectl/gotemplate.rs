//! Go templates as `-o go-template` takes them (Go's `text/template`, with kubectl's `exists` and
//! `base64decode`): actions, pipelines, variables, if, with, range, the usual functions. Not there:
//! `define`, `template`, `block`, methods.

use std::sync::Arc;

use kubarium_objects::{Value, base64};

use super::jsonpath::{go_g, go_print};

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
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
    let mut parser = Parser {
        text,
        at: 0,
        variables: vec!["$".to_owned()],
        line: 1,
        depth: 0,
    };
    match parser.list()? {
        (nodes, None) => Ok(Template { nodes }),
        (_, Some(word)) => Err(parser.error(format!("unexpected {{{{{word}}}}}"))),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    variables: Vec<String>,
    line: usize,
    depth: usize,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn error(&self, text: impl AsRef<str>) -> String {
        format!("template: output:{}: {}", self.line, text.as_ref())
    }

    /// Nodes up to the end, or to `{{end}}` or `{{else}}`, whose word is given back.
    fn list(&mut self) -> Parsed<(Vec<Node>, Option<String>)> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        let mut nodes = Vec::new();
        loop {
            let rest = self.rest();
            let Some(open) = rest.find("{{") else {
                if !rest.is_empty() {
                    nodes.push(Node::Text(rest.to_owned()));
                }
                self.at = self.text.len();
                self.depth -= 1;
                return Ok((nodes, None));
            };
            let mut text = rest[..open].to_owned();
            self.line += text.matches('\n').count();
            self.at += open + 2;
            if self.rest().starts_with("- ") || self.rest().starts_with("-\n") {
                text.truncate(text.trim_end().len());
                self.at += 1;
            }
            if !text.is_empty() {
                nodes.push(Node::Text(text));
            }
            if self.rest().trim_start().starts_with("/*") {
                let end = self
                    .rest()
                    .find("*/")
                    .ok_or_else(|| self.error("unclosed comment"))?;
                self.at += end + 2;
                self.close()?;
                continue;
            }
            match self.keyword().as_deref() {
                Some("end") => {
                    self.close()?;
                    self.depth -= 1;
                    return Ok((nodes, Some("end".to_owned())));
                }
                Some("else") => {
                    self.depth -= 1;
                    return Ok((nodes, Some("else".to_owned())));
                }
                Some(word @ ("if" | "with" | "range")) => nodes.push(self.control(word)?),
                Some("break") => {
                    self.close()?;
                    nodes.push(Node::Break);
                }
                Some("continue") => {
                    self.close()?;
                    nodes.push(Node::Continue);
                }
                Some(word) => {
                    return Err(self.error(format!("{{{{{word}}}}} is not simulated yet")));
                }
                None => {
                    let pipeline = self.pipeline("command")?;
                    self.close()?;
                    nodes.push(Node::Print(pipeline));
                }
            }
        }
    }

    fn keyword(&mut self) -> Option<String> {
        self.blanks();
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let word = &rest[..length];
        if matches!(
            word,
            "if" | "with"
                | "range"
                | "end"
                | "else"
                | "break"
                | "continue"
                | "define"
                | "template"
                | "block"
        ) {
            let word = word.to_owned();
            self.at += length;
            return Some(word);
        }
        None
    }

    fn control(&mut self, word: &str) -> Parsed<Node> {
        let scope = self.variables.len();
        let pipeline = self.pipeline(word)?;
        self.close()?;
        let (then, ended) = self.list()?;
        let mut otherwise = Vec::new();
        match ended.as_deref() {
            Some("end") => {}
            Some("else") => {
                self.blanks();
                match self.keyword().as_deref() {
                    Some(chained @ ("if" | "with")) => otherwise.push(self.control(chained)?),
                    _ => {
                        self.close()?;
                        let (nodes, ended) = self.list()?;
                        if ended.as_deref() != Some("end") {
                            return Err(self.error("unexpected EOF"));
                        }
                        otherwise = nodes;
                    }
                }
            }
            _ => return Err(self.error("unexpected EOF")),
        }
        self.variables.truncate(scope);
        Ok(match word {
            "if" => Node::If {
                condition: pipeline,
                then,
                otherwise,
            },
            "with" => Node::With {
                value: pipeline,
                then,
                otherwise,
            },
            _ => Node::Range {
                over: pipeline,
                body: then,
                otherwise,
            },
        })
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        let skip = rest.len() - rest.trim_start().len();
        self.line += rest[..skip].matches('\n').count();
        self.at += skip;
    }

    fn close(&mut self) -> Parsed<()> {
        self.blanks();
        if self.rest().starts_with("-}}") {
            self.at += 3;
            self.blanks();
            return Ok(());
        }
        if self.rest().starts_with("}}") {
            self.at += 2;
            return Ok(());
        }
        Err(match self.rest().chars().next() {
            None => self.error("unclosed action"),
            Some(c) => self.error(format!("unexpected {c:?} in operand")),
        })
    }

    fn at_end(&self) -> bool {
        self.rest().is_empty()
            || self.rest().starts_with("}}")
            || self.rest().starts_with("-}}")
            || self.rest().starts_with(')')
    }

    fn pipeline(&mut self, context: &str) -> Parsed<Pipeline> {
        let mut pipeline = Pipeline::default();
        self.blanks();
        self.declaration(&mut pipeline)?;
        loop {
            let mut command = Vec::new();
            loop {
                self.blanks();
                if self.at_end() || self.rest().starts_with('|') {
                    break;
                }
                command.push(self.operand()?);
            }
            if command.is_empty() {
                return Err(if pipeline.commands.is_empty() {
                    self.error(format!("missing value for {context}"))
                } else {
                    self.error("missing value for command")
                });
            }
            pipeline.commands.push(command);
            if !self.rest().starts_with('|') {
                return Ok(pipeline);
            }
            self.at += 1;
        }
    }

    fn declaration(&mut self, pipeline: &mut Pipeline) -> Parsed<()> {
        let start = self.at;
        let mut names = Vec::new();
        while self.rest().starts_with('$') {
            names.push(self.variable());
            self.blanks();
            if self.rest().starts_with(',') {
                self.at += 1;
                self.blanks();
                continue;
            }
            if self.rest().starts_with(":=") {
                self.at += 2;
                self.variables.extend(names.iter().cloned());
                pipeline.variables = names;
                return Ok(());
            }
            if self.rest().starts_with('=') {
                self.at += 1;
                pipeline.variables = names;
                pipeline.assign = true;
                return Ok(());
            }
            break;
        }
        self.at = start;
        Ok(())
    }

    fn variable(&mut self) -> String {
        let rest = self.rest();
        let length = rest[1..]
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(rest.len(), |n| n + 1);
        let name = rest[..length].to_owned();
        self.at += length;
        name
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let name = rest[..length].to_owned();
        self.at += length;
        name
    }

    fn operand(&mut self) -> Parsed<Operand> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or('}');
        let base = match first {
            '.' => {
                if rest[1..].starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    Base::Dot
                } else {
                    self.at += 1;
                    return Ok(Operand {
                        base: Base::Dot,
                        fields: Vec::new(),
                    });
                }
            }
            '$' => {
                let name = self.variable();
                if !self.variables.contains(&name) {
                    return Err(self.error(format!("undefined variable {name:?}")));
                }
                Base::Variable(name)
            }
            '"' => Base::Constant(Value::from(self.quoted()?)),
            '`' => {
                let end = rest[1..]
                    .find('`')
                    .ok_or_else(|| self.error("unterminated raw quoted string"))?;
                let text = rest[1..=end].to_owned();
                self.at += end + 2;
                Base::Constant(Value::from(text))
            }
            '(' => {
                self.at += 1;
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(self.error("nested too deeply"));
                }
                let inner = self.pipeline("parenthesized pipeline")?;
                self.depth -= 1;
                self.blanks();
                if !self.rest().starts_with(')') {
                    return Err(self.error("unclosed left paren"));
                }
                self.at += 1;
                Base::Pipeline(inner)
            }
            c if c.is_ascii_digit() || matches!(c, '-' | '+') => self.number()?,
            c if c.is_alphabetic() || c == '_' => {
                let name = self.name();
                match name.as_str() {
                    "true" => Base::Constant(true.into()),
                    "false" => Base::Constant(false.into()),
                    "nil" => Base::Nil,
                    _ if FUNCTIONS.contains(&name.as_str()) => Base::Function(name),
                    _ => return Err(self.error(format!("function {name:?} not defined"))),
                }
            }
            c => return Err(self.error(format!("unexpected {c:?} in command"))),
        };
        let mut fields = Vec::new();
        while self.rest().starts_with('.')
            && self.rest()[1..].starts_with(|c: char| c.is_alphabetic() || c == '_')
        {
            self.at += 1;
            fields.push(self.name());
        }
        Ok(Operand { base, fields })
    }

    fn number(&mut self) -> Parsed<Base> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')))
            .unwrap_or(rest.len());
        let text = rest[..length].to_owned();
        self.at += length;
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Base::Constant(whole.into()));
        }
        let number = text
            .parse::<f64>()
            .map_err(|_| self.error(format!("bad number syntax: {text:?}")))?;
        Ok(Base::Constant(number.into()))
    }

    fn quoted(&mut self) -> Parsed<String> {
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    return Ok(out);
                }
                '\n' => break,
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('r') => out.push('\r'),
                    Some(other) => out.push(other),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err(self.error("unterminated quoted string"))
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
    variables: Vec<(String, Found)>,
    out: &'a mut String,
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
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
        }
        Ok(Flow::On)
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
            Some(other) => return Err(format!("range can't iterate over {}", go_print(other))),
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
        Base::Constant(value) => go_print(value),
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
            go_type(other)
        )),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as a template prints it. Numbers are float64 there, as everything read from JSON is.
fn shown(value: &Found) -> String {
    match value {
        None | Some(Value::Null) => "<no value>".to_owned(),
        Some(value) => printed(value),
    }
}

fn printed(value: &Value) -> String {
    match value {
        Value::Int(i) => go_g(*i as f64),
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
        other => go_print(other),
    }
}

fn compare(a: &Found, b: &Found) -> Option<std::cmp::Ordering> {
    match (a.as_ref()?, b.as_ref()?) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (a, b) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn call(name: &str, arguments: &[Found]) -> Result<Found, String> {
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
                go_type(&other)
            )),
            None => Err("error calling len: len of nil pointer".to_owned()),
        },
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
                if name == "html" {
                    escape_html(&text)
                } else {
                    text
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
                    go_type(key)
                )
            })?;
            match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                Some(item) => Ok(Some(item.clone())),
                None => Err(format!("error calling index: index out of range: {at}")),
            }
        }
        (Some(other), _) => Err(format!(
            "error calling index: can't index item of type {}",
            go_type(other)
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
                    ('T', Some(value)) => go_type(value).to_owned(),
                    (verb, None) => format!("%!{verb}(<nil>)"),
                    (verb, Some(value)) => {
                        format!("%!{verb}({}={})", go_type(value), printed(value))
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
        prints("{{.big}} {{.data}}", "1e+06 map[size:10 x:eHl6]");
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
