//! kubectl's JSONPath templates (`client-go/util/jsonpath`, v1.37), with what is odd about them: a
//! `range` need not end, an index that is out of bounds is an error, one beyond the keys is not.

use kubarium_objects::{Value, go};

/// A template: text with `{…}` in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
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
pub(crate) fn parse(template: &str) -> Parsed<Template> {
    let nodes = Parser::new(template).template(0)?;
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
    fn new(text: &str) -> Parser {
        Parser {
            text: text.chars().collect(),
            at: 0,
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn looking_at(&self, word: &str) -> bool {
        word.chars()
            .enumerate()
            .all(|(i, c)| self.text.get(self.at + i) == Some(&c))
    }

    fn since(&self, start: usize) -> String {
        self.text[start..self.at].iter().collect()
    }

    fn template(&mut self, depth: usize) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.next() {
            if c != '{' {
                text.push(c);
                continue;
            }
            if !text.is_empty() {
                nodes.push(Node::Text(std::mem::take(&mut text)));
            }
            nodes.push(Node::List(self.action(depth)?));
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text));
        }
        Ok(nodes)
    }

    /// What stands up to the `}`.
    fn action(&mut self, depth: usize) -> Parsed<Vec<Node>> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            if self.looking_at("[?(") {
                self.at += 3;
                nodes.push(self.filter(depth)?);
                continue;
            }
            if self.looking_at("..") {
                if matches!(nodes.last(), Some(Node::Recursive)) {
                    return Err("invalid multiple recursive descent".to_owned());
                }
                self.at += 2;
                nodes.push(Node::Recursive);
                if self.peek().is_some_and(is_word) {
                    nodes.push(self.field());
                }
                continue;
            }
            match self.next() {
                Some('}') => return Ok(nodes),
                None | Some('\n' | '\r') => return Err("unclosed action".to_owned()),
                Some(' ' | '@' | '$') => {}
                Some('[') => self.array(depth, &mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quoted(quote)?),
                Some('.') => nodes.push(self.field()),
                Some(c) if c == '+' || c == '-' || c.is_numeric() => {
                    self.at -= 1;
                    nodes.push(self.number()?);
                }
                Some(c) if is_word(c) => {
                    self.at -= 1;
                    nodes.push(self.identifier());
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

    fn identifier(&mut self) -> Node {
        let start = self.at;
        while self.peek().is_some_and(|c| !is_terminator(c)) {
            self.at += 1;
        }
        match self.since(start).as_str() {
            "true" => Node::Constant(true.into()),
            "false" => Node::Constant(false.into()),
            word => Node::Identifier(word.to_owned()),
        }
    }

    fn field(&mut self) -> Node {
        let start = self.at;
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.at = (self.at + 2).min(self.text.len());
            } else if is_terminator(c) {
                break;
            } else {
                self.at += 1;
            }
        }
        match self.since(start).as_str() {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn number(&mut self) -> Parsed<Node> {
        let start = self.at;
        if matches!(self.peek(), Some('+' | '-')) {
            self.at += 1;
        }
        while self.peek().is_some_and(|c| c == '.' || c.is_numeric()) {
            self.at += 1;
        }
        let text = self.since(start);
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Node::Constant(whole.into()));
        }
        match text.parse::<f64>() {
            Ok(number) => Ok(Node::Constant(number.into())),
            Err(_) => Err(format!("cannot parse number {text}")),
        }
    }

    fn quoted(&mut self, quote: char) -> Parsed<Node> {
        let start = self.at - 1;
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote && self.text[self.at - 2] != '\\' => break,
                Some(_) => {}
            }
        }
        let whole = self.since(start);
        let inner: String = self.text[start + 1..self.at - 1].iter().collect();
        match unquoted(&inner, quote) {
            Some(text) => Ok(Node::Text(text)),
            None => Err(format!("unquote string {whole} error invalid syntax")),
        }
    }

    /// What stands in `[…]`.
    fn array(&mut self, depth: usize, nodes: &mut Vec<Node>) -> Parsed<()> {
        let start = self.at;
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated array".to_owned()),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text: String = self.text[start..self.at - 1].iter().collect();
        let text = if text == "*" { ":" } else { &text };
        let parts: Vec<&str> = text.split(',').collect();
        if parts.len() > 1 {
            let mut union = Vec::new();
            for part in parts {
                union.push(action(&format!("[{}]", part.trim_matches(' ')), depth + 1)?);
            }
            nodes.push(Node::Union(union));
            return Ok(());
        }
        let key = text
            .strip_prefix('\'')
            .and_then(|t| t.strip_suffix('\''))
            .filter(|key| !key.contains('\''));
        if let Some(key) = key {
            nodes.extend(action(&format!(".{key}"), depth + 1)?);
            return Ok(());
        }
        nodes.push(Node::Array(bounds(text)?));
        Ok(())
    }

    fn filter(&mut self, depth: usize) -> Parsed<Node> {
        let start = self.at;
        let (mut begun, mut ended, mut pair) = (false, false, ' ');
        loop {
            match self.next() {
                None | Some('\n') => return Err("unterminated filter".to_owned()),
                Some(c @ ('"' | '\'')) => {
                    if !begun {
                        (begun, pair) = (true, c);
                    } else if self.text[self.at - 2] != '\\' && c == pair {
                        ended = true;
                    }
                }
                Some(')') if begun == ended => break,
                Some(_) => {}
            }
        }
        let text: String = self.text[start..self.at - 1].iter().collect();
        if self.next() != Some(']') {
            return Err("unclosed array expect ]".to_owned());
        }
        let Some((left, operator, right)) = comparison(&text) else {
            return Ok(Node::Filter {
                left: action(&text, depth + 1)?,
                operator: "exists".to_owned(),
                right: Vec::new(),
            });
        };
        Ok(Node::Filter {
            left: action(left, depth + 1)?,
            operator: operator.to_owned(),
            right: action(right, depth + 1)?,
        })
    }
}

/// The nodes of `{TEXT}`; where the text holds several actions, those of the first.
fn action(text: &str, depth: usize) -> Parsed<Vec<Node>> {
    if depth > DEPTH_MAX {
        return Err("nested too deeply".to_owned());
    }
    let nodes = Parser::new(&format!("{{{text}}}")).template(depth)?;
    match nodes.into_iter().next() {
        Some(Node::List(nodes)) => Ok(nodes),
        _ => Ok(Vec::new()),
    }
}

/// `LEFT OPERATOR RIGHT`, as the expression `^([^!<>=]+)([!<>=]+)(.+?)$` splits it.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let start = text.find(is_operator).filter(|at| *at > 0)?;
    let length = text[start..].len() - text[start..].trim_start_matches(is_operator).len();
    let mut end = start + length;
    if end == text.len() {
        end -= 1;
    }
    let right = &text[end..];
    (end > start && !right.is_empty() && !right.contains('\n'))
        .then(|| (&text[..start], &text[start..end], right))
}

/// `1`, `1:2`, `::2`
fn bounds(text: &str) -> Parsed<[Bound; 3]> {
    let bad = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    let fits = |part: &&str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        digits.chars().all(|c| c.is_ascii_digit())
    };
    if parts.len() > 3 || !parts.iter().all(fits) {
        return Err(bad());
    }
    let mut bounds = [Bound::default(); 3];
    for (at, bound) in bounds.iter_mut().enumerate() {
        if let Some(part) = parts.get(at).filter(|part| !part.is_empty()) {
            bound.known = true;
            bound.value = part
                .parse()
                .map_err(|_| format!("array index {part} is not a number"))?;
        }
    }
    if parts.len() == 1 {
        bounds[1] = Bound {
            value: bounds[0].value.saturating_add(1),
            known: true,
            derived: true,
        };
    }
    Ok(bounds)
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_terminator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}

/// The character of so many digits.
fn digits(chars: &mut std::str::Chars, count: usize, radix: u32, first: u32) -> Option<char> {
    let mut code = first;
    for _ in 0..count {
        code = code.checked_mul(radix)? + chars.next()?.to_digit(radix)?;
    }
    char::from_u32(code)
}

/// Go's `strconv.UnquoteChar` for each character.
fn unquoted(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == quote {
            return None;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            'x' => out.push(digits(&mut chars, 2, 16, 0)?),
            'u' => out.push(digits(&mut chars, 4, 16, 0)?),
            'U' => out.push(digits(&mut chars, 8, 16, 0)?),
            c @ '0'..='7' => {
                let first = c.to_digit(8)?;
                out.push(digits(&mut chars, 2, 8, first).filter(|c| (*c as u32) < 256)?);
            }
            c => out.push(match c {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                '\\' => '\\',
                c if c == quote => c,
                _ => return None,
            }),
        }
    }
    Some(out)
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
                            go_print(value)
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
        other => return Err(format!("{} is not array or slice", go_type(other))),
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

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
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

/// A value as a template prints it: maps and lists as JSON, others as Go's `fmt.Print` does.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
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

/// A value as Go's `%#v` writes it.
pub(crate) fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(s) => go::quote(s),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{}:{}", go::quote(k), go_syntax(v)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        other => go_print(other),
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
