//! Reading a template.

use std::collections::BTreeMap;

use kubarium_objects::Value;

use super::{Base, DEPTH_MAX, FUNCTIONS, Node, Operand, Pipeline};

pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    variables: Vec<String>,
    line: usize,
    depth: usize,
    /// What `define` and `block` have given names to.
    pub named: BTreeMap<String, Vec<Node>>,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    pub fn new(text: &str) -> Parser<'_> {
        Parser {
            text,
            at: 0,
            variables: vec!["$".to_owned()],
            line: 1,
            depth: 0,
            named: BTreeMap::new(),
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub fn error(&self, text: impl AsRef<str>) -> String {
        format!("template: output:{}: {}", self.line, text.as_ref())
    }

    /// Nodes up to the end, or to `{{end}}` or `{{else}}`, whose word is given back.
    pub fn list(&mut self) -> Parsed<(Vec<Node>, Option<String>)> {
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
                Some("template") => {
                    let name = self.template_name("template clause")?;
                    self.blanks();
                    let value = match self.at_end() {
                        true => None,
                        false => Some(self.pipeline("template clause")?),
                    };
                    self.close()?;
                    nodes.push(Node::Template { name, value });
                }
                Some(word) => {
                    let (name, value) = match word {
                        "block" => {
                            let name = self.template_name("block clause")?;
                            (name, Some(self.pipeline("block clause")?))
                        }
                        _ => (self.template_name("define clause")?, None),
                    };
                    self.close()?;
                    // Its variables are its own.
                    let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
                    let (body, ended) = self.list()?;
                    self.variables = outer;
                    if ended.as_deref() != Some("end") {
                        return Err(self.error("unexpected EOF"));
                    }
                    self.named.insert(name.clone(), body);
                    if value.is_some() {
                        nodes.push(Node::Template { name, value });
                    }
                }
                None => {
                    let pipeline = self.pipeline("command")?;
                    self.close()?;
                    nodes.push(Node::Print(pipeline));
                }
            }
        }
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        self.blanks();
        match self.rest().chars().next() {
            Some('"') => self.quoted(),
            _ => Err(self.error(format!("unexpected token in {context}"))),
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
