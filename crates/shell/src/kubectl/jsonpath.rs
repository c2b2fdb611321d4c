//! kubectl's JSONPath templates (`client-go/util/jsonpath`, v1.37).

use kubarium_objects::{Value, go};

/// A template: text with `{…}` in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Text(String),
    /// `{.a.b}`: a path; what stands between `{` and `}` can be several.
    List(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug)]
enum Step {
    Field(String),
    /// `['a','b']`
    Union(Vec<Vec<Step>>),
    /// `[1]`, `[1:2]`, `[::2]`
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: Option<i64>,
        single: bool,
    },
    Filter(Box<Filter>),
    Wildcard,
    Recursive,
    /// A quoted string or a number within `{}`.
    Literal(Value),
    /// `$` or `@`: the beginning.
    Root,
}

#[derive(Clone, Debug)]
struct Filter {
    left: Vec<Step>,
    operator: String,
    right: Vec<Step>,
}

const DEPTH_MAX: usize = 64;

type Parsed<T> = Result<T, String>;

/// Reads a template.
///
/// # Errors
/// client-go's texts.
pub(crate) fn parse(template: &str) -> Parsed<Template> {
    let mut parser = Parser {
        text: template.chars().collect(),
        at: 0,
    };
    let (nodes, ended) = parser.nodes(0)?;
    if ended {
        return Err("not in range, nothing to end".to_owned());
    }
    Ok(Template { nodes })
}

/// Reads one path, as `--sort-by` and custom-columns take it: `x.y`, `.x.y`, `{.x.y}`
/// (`kubectl/pkg/cmd/get/customcolumn.go`, RelaxedJSONPathExpression).
pub(crate) fn relaxed(expression: &str) -> Result<Template, String> {
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

struct Parser {
    text: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn looking_at(&self, word: &str) -> bool {
        word.chars()
            .enumerate()
            .all(|(i, c)| self.text.get(self.at + i) == Some(&c))
    }

    fn nodes(&mut self, depth: usize) -> Parsed<(Vec<Node>, bool)> {
        if depth > DEPTH_MAX {
            return Err("nested too deeply".to_owned());
        }
        let mut nodes = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            if c != '{' {
                text.push(c);
                self.at += 1;
                continue;
            }
            if !text.is_empty() {
                nodes.push(Node::Text(std::mem::take(&mut text)));
            }
            self.at += 1;
            self.blanks();
            if self.keyword("range") {
                self.blanks();
                let path = self.path('}')?;
                self.close()?;
                let (body, ended) = self.nodes(depth + 1)?;
                if !ended {
                    return Err("unterminated range".to_owned());
                }
                nodes.push(Node::Range(path, body));
                continue;
            }
            if self.keyword("end") {
                self.blanks();
                self.close()?;
                return Ok((nodes, true));
            }
            self.blanks();
            loop {
                let path = self.path('}')?;
                if !path.is_empty() {
                    nodes.push(Node::List(path));
                }
                self.blanks();
                if matches!(self.peek(), Some('}') | None) {
                    break;
                }
            }
            self.close()?;
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text));
        }
        Ok((nodes, false))
    }

    fn keyword(&mut self, word: &str) -> bool {
        let next = self.text.get(self.at + word.len()).copied();
        let found = self.looking_at(word) && next.is_none_or(|c| c == ' ' || c == '}' || c == '\t');
        if found {
            self.at += word.len();
        }
        found
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn close(&mut self) -> Parsed<()> {
        if self.peek() == Some('}') {
            self.at += 1;
            return Ok(());
        }
        Err("unclosed action".to_owned())
    }

    /// A path up to a blank or `stop`.
    fn path(&mut self, stop: char) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            match self.peek() {
                None => return Err("unclosed action".to_owned()),
                Some(c)
                    if c == stop
                        || c.is_whitespace()
                        || matches!(c, ',' | ']' | ')' | '=' | '!' | '<' | '>') =>
                {
                    return Ok(steps);
                }
                Some('\n') => return Err("unclosed action".to_owned()),
                Some('@' | '$') => {
                    self.at += 1;
                    steps.push(Step::Root);
                }
                Some('.') => {
                    self.at += 1;
                    match self.peek() {
                        Some('.') => {
                            self.at += 1;
                            steps.push(Step::Recursive);
                            if matches!(self.peek(), Some(c) if is_name(c) || c == '\\') {
                                steps.push(self.field());
                            }
                        }
                        Some('*') => {
                            self.at += 1;
                            steps.push(Step::Wildcard);
                        }
                        Some(c) if is_name(c) || c == '\\' => steps.push(self.field()),
                        _ => {}
                    }
                }
                Some('[') => {
                    self.at += 1;
                    steps.push(self.bracket()?);
                }
                Some('*') => {
                    self.at += 1;
                    steps.push(Step::Wildcard);
                }
                Some(quote @ ('"' | '\'')) => {
                    self.at += 1;
                    steps.push(Step::Literal(Value::from(self.quoted(quote)?)));
                }
                Some(c) if steps.is_empty() && (c.is_ascii_digit() || matches!(c, '-' | '+')) => {
                    steps.push(self.number()?)
                }
                Some(c) if is_name(c) => {
                    let word = self.word();
                    match word.as_str() {
                        "true" => steps.push(Step::Literal(true.into())),
                        "false" => steps.push(Step::Literal(false.into())),
                        _ => return Err(format!("unrecognized identifier {word}")),
                    }
                }
                Some(c) => {
                    return Err(format!(
                        "unrecognized character in action: U+{:04X} '{c}'",
                        c as u32
                    ));
                }
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| is_name(*c)) {
            word.push(c);
            self.at += 1;
        }
        word
    }

    fn field(&mut self) -> Step {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.at += 1;
                if let Some(escaped) = self.peek() {
                    name.push(escaped);
                    self.at += 1;
                }
            } else if is_name(c) {
                name.push(c);
                self.at += 1;
            } else {
                break;
            }
        }
        Step::Field(name)
    }

    fn number(&mut self) -> Parsed<Step> {
        let start = self.at;
        while matches!(self.peek(), Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
        {
            self.at += 1;
        }
        let text: String = self.text[start..self.at].iter().collect();
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Step::Literal(whole.into()));
        }
        text.parse::<f64>()
            .map(|f| Step::Literal(f.into()))
            .map_err(|_| format!("cannot parse number {text}"))
    }

    fn quoted(&mut self, quote: char) -> Parsed<String> {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            if c == quote {
                return Ok(out);
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            let escaped = self
                .peek()
                .ok_or_else(|| "unterminated quoted string".to_owned())?;
            self.at += 1;
            match escaped {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                '\\' | '"' | '\'' => out.push(escaped),
                other => {
                    out.push('\\');
                    out.push(other);
                }
            }
        }
        Err("unterminated quoted string".to_owned())
    }

    /// What stands in `[…]`.
    fn bracket(&mut self) -> Parsed<Step> {
        if self.looking_at("?(") {
            self.at += 2;
            return self.filter();
        }
        let start = self.at;
        let mut quote = None;
        while let Some(c) = self.peek() {
            match quote {
                Some(q) if c == '\\' && self.text.get(self.at + 1) == Some(&q) => self.at += 1,
                Some(q) if c == q => quote = None,
                Some(_) => {}
                None if c == '\'' || c == '"' => quote = Some(c),
                None if c == ']' => break,
                None => {}
            }
            self.at += 1;
        }
        if self.peek() != Some(']') {
            return Err("unterminated array".to_owned());
        }
        let text: String = self.text[start..self.at].iter().collect();
        self.at += 1;
        bracket(text.trim())
    }

    fn filter(&mut self) -> Parsed<Step> {
        self.blanks();
        let left = self.path(')')?;
        self.blanks();
        let mut operator = String::new();
        while let Some(c) = self.peek().filter(|c| matches!(c, '=' | '!' | '<' | '>')) {
            operator.push(c);
            self.at += 1;
        }
        self.blanks();
        let right = if operator.is_empty() {
            Vec::new()
        } else {
            self.path(')')?
        };
        self.blanks();
        if !(self.looking_at(")]")) {
            return Err("unterminated filter".to_owned());
        }
        self.at += 2;
        let operator = if operator.is_empty() {
            "exists".to_owned()
        } else {
            operator
        };
        if !matches!(
            operator.as_str(),
            "exists" | "==" | "!=" | "<" | ">" | "<=" | ">="
        ) {
            return Err(format!("unrecognized filter operator {operator}"));
        }
        Ok(Step::Filter(Box::new(Filter {
            left,
            operator,
            right,
        })))
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c == '-' || c == '/' || c.is_alphanumeric()
}

fn bracket(text: &str) -> Parsed<Step> {
    if text == "*" {
        return Ok(Step::Wildcard);
    }
    if text.starts_with(['\'', '"']) || text.contains(',') {
        let parts = split_outside_quotes(text);
        let mut paths = Vec::new();
        for part in &parts {
            let part = part.trim();
            let unquoted = part
                .strip_prefix('\'')
                .and_then(|p| p.strip_suffix('\''))
                .or_else(|| part.strip_prefix('"').and_then(|p| p.strip_suffix('"')));
            paths.push(match unquoted {
                Some(name) => vec![Step::Field(name.replace("\\'", "'"))],
                None => vec![bracket(part)?],
            });
        }
        return Ok(match (paths.len(), paths.pop()) {
            (1, Some(mut only)) if only.len() == 1 => only.remove(0),
            (_, last) => {
                paths.extend(last);
                Step::Union(paths)
            }
        });
    }
    let bad = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &str| -> Parsed<Option<i64>> {
        let part = part.trim();
        if part.is_empty() {
            Ok(None)
        } else {
            part.parse().map(Some).map_err(|_| bad())
        }
    };
    match parts[..] {
        [one] => {
            let at = number(one)?.ok_or_else(bad)?;
            Ok(Step::Slice {
                start: Some(at),
                end: Some(at + 1),
                step: None,
                single: true,
            })
        }
        [start, end] => Ok(Step::Slice {
            start: number(start)?,
            end: number(end)?,
            step: None,
            single: false,
        }),
        [start, end, step] => Ok(Step::Slice {
            start: number(start)?,
            end: number(end)?,
            step: number(step)?,
            single: false,
        }),
        _ => Err(bad()),
    }
}

fn split_outside_quotes(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == ',' => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts
}

impl Template {
    /// What the template prints for an object. With `allow_missing` a field that is not there
    /// prints nothing.
    ///
    /// # Errors
    /// client-go's texts.
    pub fn print(&self, object: &Value, allow_missing: bool) -> Result<String, String> {
        let mut out = String::new();
        write(&self.nodes, object, object, allow_missing, &mut out)?;
        Ok(out)
    }

    /// The values that a template of one path finds.
    pub fn find(&self, object: &Value) -> Result<Vec<Value>, String> {
        let mut found = Vec::new();
        for node in &self.nodes {
            if let Node::List(steps) = node {
                found.extend(eval(steps, vec![object.clone()], object, true)?);
            }
        }
        Ok(found)
    }
}

fn write(
    nodes: &[Node],
    root: &Value,
    here: &Value,
    allow_missing: bool,
    out: &mut String,
) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::List(steps) => {
                let found = eval(steps, vec![here.clone()], root, allow_missing)?;
                let texts: Vec<String> = found.iter().map(shown).collect();
                out.push_str(&texts.join(" "));
            }
            Node::Range(steps, body) => {
                for item in eval(steps, vec![here.clone()], root, allow_missing)? {
                    write(body, root, &item, allow_missing, out)?;
                }
            }
        }
    }
    Ok(())
}

/// A value as a template prints it: maps and lists as JSON, others as Go's `fmt.Print` does.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => go::json(value),
        other => go_print(other),
    }
}

/// A value as Go's `fmt.Print` writes it.
pub(crate) fn go_print(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) => go_g(*f),
        Value::String(s) => s.to_string(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(go_print).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{k}:{}", go_print(v)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// `%v` of a float64.
pub(crate) fn go_g(f: f64) -> String {
    let magnitude = f.abs();
    if f == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return format!("{f}");
    }
    let text = format!("{f:e}");
    match text.split_once('e') {
        Some((m, e)) => match e.strip_prefix('-') {
            Some(e) => format!("{m}e-{e:0>2}"),
            None => format!("{m}e+{e:0>2}"),
        },
        None => text,
    }
}

fn eval(
    steps: &[Step],
    mut values: Vec<Value>,
    root: &Value,
    allow_missing: bool,
) -> Result<Vec<Value>, String> {
    for (at, step) in steps.iter().enumerate() {
        let mut next = Vec::new();
        match step {
            // `$` and `@` at the beginning mean the object at hand.
            Step::Root if at == 0 => next.extend(values),
            Step::Root => next.push(root.clone()),
            Step::Literal(value) => next.push(value.clone()),
            Step::Field(name) => {
                for value in &values {
                    match value {
                        Value::Object(map) => match map.get(name) {
                            Some(found) => next.push(found.clone()),
                            None if allow_missing => {}
                            None => return Err(format!("{name} is not found")),
                        },
                        _ if allow_missing => {}
                        _ => return Err(format!("{name} is not found")),
                    }
                }
            }
            Step::Union(paths) => {
                for path in paths {
                    next.extend(eval(path, values.clone(), root, allow_missing)?);
                }
            }
            Step::Slice {
                start,
                end,
                step,
                single,
            } => {
                for value in &values {
                    slice(
                        value,
                        (*start, *end, *step),
                        *single,
                        allow_missing,
                        &mut next,
                    )?;
                }
            }
            Step::Wildcard => {
                for value in &values {
                    match value {
                        Value::Array(items) => next.extend(items.iter().cloned()),
                        Value::Object(map) => next.extend(map.iter().map(|(_, v)| v.clone())),
                        _ => {}
                    }
                }
            }
            Step::Recursive => {
                for value in &values {
                    descend(value, &mut next, 0);
                }
                // `..name` finds the field wherever it is.
                if let Some(Step::Field(_)) = steps.get(at + 1) {
                    next.retain(|v| matches!(v, Value::Object(_)));
                    let name = match &steps[at + 1] {
                        Step::Field(name) => name,
                        _ => return Ok(Vec::new()),
                    };
                    next.retain(|v| v.as_object().is_some_and(|m| m.contains_key(name)));
                }
            }
            Step::Filter(filter) => {
                for value in &values {
                    for item in value.items() {
                        if passes(filter, item, root)? {
                            next.push(item.clone());
                        }
                    }
                }
            }
        }
        values = next;
    }
    Ok(values)
}

fn descend(value: &Value, out: &mut Vec<Value>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    out.push(value.clone());
    match value {
        Value::Array(items) => items.iter().for_each(|v| descend(v, out, depth + 1)),
        Value::Object(map) => map.iter().for_each(|(_, v)| descend(v, out, depth + 1)),
        _ => {}
    }
}

fn slice(
    value: &Value,
    (start, end, step): (Option<i64>, Option<i64>, Option<i64>),
    single: bool,
    allow_missing: bool,
    out: &mut Vec<Value>,
) -> Result<(), String> {
    let items = match value {
        Value::Array(items) => items,
        Value::Null => return Ok(()),
        other if allow_missing && other.is_null() => return Ok(()),
        other => return Err(format!("{} is not array or slice", go_print(other))),
    };
    let length = items.len() as i64;
    let absolute = |n: i64| if n < 0 { n + length } else { n };
    let first = start.map_or(0, absolute);
    let mut last = end.map_or(length, absolute);
    if single && start.is_some_and(|s| s < 0) && end == Some(0) {
        last = length;
    }
    if single && (first < 0 || first >= length) {
        if allow_missing {
            return Ok(());
        }
        return Err(format!(
            "array index out of bounds: index {first}, length {length}"
        ));
    }
    let step = step.unwrap_or(1).max(1);
    let mut at = first.max(0);
    while at < last.min(length) {
        if let Some(item) = items.get(at as usize) {
            out.push(item.clone());
        }
        at += step;
    }
    Ok(())
}

fn passes(filter: &Filter, item: &Value, root: &Value) -> Result<bool, String> {
    let side = |steps: &[Step]| eval(steps, vec![item.clone()], root, true);
    let left = side(&filter.left)?;
    if filter.operator == "exists" {
        return Ok(!left.is_empty());
    }
    let right = side(&filter.right)?;
    if left.is_empty() {
        return Ok(false);
    }
    if left.len() > 1 || right.len() > 1 {
        return Err("can only compare one element at a time".to_owned());
    }
    let (Some(a), Some(b)) = (left.first(), right.first()) else {
        return Ok(false);
    };
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => None,
        },
    };
    Ok(match filter.operator.as_str() {
        "==" => order == Some(Equal),
        "!=" => order != Some(Equal),
        "<" => order == Some(Less),
        ">" => order == Some(Greater),
        "<=" => matches!(order, Some(Less | Equal)),
        _ => matches!(order, Some(Greater | Equal)),
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
        prints("{.items[9].name}", "");
        prints("{.missing.deeper}", "");
        prints(r#"{range .items[*]}{.name}={.n};{end}"#, "a=1;b=2;");
        prints(r#"{.items[0].c[?(@.type=="Ready")].status}"#, "True");
        prints(r#"{range .items[?(@.n>1)]}{.name}{end}"#, "b");
        prints(r#"{.items[0].l.x\.y/z}"#, "v");
        prints("{.items[0].l['x.y/z']}", "v");
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
            ("{range .a}", "unterminated range"),
            ("{end}", "not in range, nothing to end"),
            ("{.a[x]}", "invalid array index x"),
            ("{a}", "unrecognized identifier a"),
        ] {
            assert_eq!(parse(template).map(|_| ()).unwrap_err(), want, "{template}");
        }
    }
}
