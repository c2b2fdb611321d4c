//! jq's language.

use super::json::Json;
use super::lexer::{Pieces, Token, tokens};
use std::rc::Rc;

/// How deep filters may be nested.
const DEPTH_MAX: usize = 64;
/// How many operators of one kind may stand in a row.
const CHAIN_MAX: usize = 100;

pub(super) type Filter = Rc<Node>;

#[derive(Debug)]
pub(super) enum Node {
    Identity,
    RecurseDefault,
    Literal(Json),
    /// A string with filters in it, each written by the format.
    Text(Option<String>, Vec<(String, Option<Filter>)>),
    Format(String),
    Variable(String),
    /// `.[index]` of what the first filter gives.
    Index(Filter, Filter),
    Slice(Filter, Option<Filter>, Option<Filter>),
    Iterate(Filter),
    Try(Filter, Option<Filter>),
    Pipe(Filter, Filter),
    Comma(Filter, Filter),
    Negate(Filter),
    Arithmetic(&'static str, Filter, Filter),
    Compare(&'static str, Filter, Filter),
    And(Filter, Filter),
    Or(Filter, Filter),
    Alternative(Filter, Filter),
    /// `=`, `|=`, `+=`, …
    Assign(&'static str, Filter, Filter),
    Array(Option<Filter>),
    Object(Vec<(Filter, Filter)>),
    If(Vec<(Filter, Filter)>, Option<Filter>),
    Reduce(Filter, Pattern, Filter, Filter),
    Foreach(Filter, Pattern, Filter, Filter, Option<Filter>),
    Bind(Filter, Pattern, Filter),
    Define(Rc<Definition>, Filter),
    Call(String, Vec<Filter>),
    Label(String, Filter),
    Break(String),
}

#[derive(Debug)]
pub(super) struct Definition {
    pub name: String,
    pub parameters: Vec<String>,
    pub body: Filter,
}

/// What `as` binds.
#[derive(Debug)]
pub(super) enum Pattern {
    Variable(String),
    Array(Vec<Pattern>),
    Object(Vec<(Filter, Option<String>, Option<Pattern>)>),
}

pub(super) fn parse(text: &str) -> Result<Filter, String> {
    parse_at(text, 0)
}

fn parse_at(text: &str, depth: usize) -> Result<Filter, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth,
    };
    if parser.peek() == &Token::End {
        return Ok(Rc::new(Node::Identity));
    }
    let filter = parser.pipe()?;
    if parser.peek() != &Token::End {
        return parser.error();
    }
    Ok(filter)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

type Parsed<T> = Result<T, String>;

fn node(node: Node) -> Parsed<Filter> {
    Ok(Rc::new(node))
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn error<T>(&self) -> Parsed<T> {
        Err(match self.peek() {
            Token::End => "syntax error, unexpected end of file".to_owned(),
            Token::Operator(o) => format!("syntax error, unexpected '{o}'"),
            Token::Name(n) | Token::Field(n) => format!("syntax error, unexpected {n}"),
            Token::Variable(n) => format!("syntax error, unexpected ${n}"),
            Token::Format(n) => format!("syntax error, unexpected @{n}"),
            Token::Number(n) => format!("syntax error, unexpected {n}"),
            Token::Text(_) => "syntax error, unexpected string".to_owned(),
        })
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn is(&self, operator: &str) -> bool {
        matches!(self.peek(), Token::Operator(o) if *o == operator)
    }

    fn accept(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, operator: &str) -> Parsed<()> {
        if self.accept(operator) {
            Ok(())
        } else {
            self.error()
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(n) if n == word);
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.word(word) {
            Ok(())
        } else {
            self.error()
        }
    }

    fn any(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        operators.iter().find(|o| self.accept(o)).copied()
    }

    fn pipe(&mut self) -> Parsed<Filter> {
        self.nested(|p| {
            let mut definitions = Vec::new();
            while p.word("def") {
                definitions.push(Rc::new(p.definition()?));
            }
            if !definitions.is_empty() {
                let ends = p.peek() == &Token::End;
                let rest = if ends {
                    Rc::new(Node::Identity)
                } else {
                    p.pipe()?
                };
                let wrap = |rest, definition| Rc::new(Node::Define(definition, rest));
                return Ok(definitions.into_iter().rev().fold(rest, wrap));
            }
            // `label $name | …`
            if p.word("label") {
                let Token::Variable(name) = p.peek().clone() else {
                    return p.error();
                };
                p.at += 1;
                p.expect("|")?;
                return node(Node::Label(name, p.pipe()?));
            }
            let left = p.comma()?;
            if p.word("as") {
                let pattern = p.pattern()?;
                p.expect("|")?;
                return node(Node::Bind(left, pattern, p.pipe()?));
            }
            if p.accept("|") {
                return node(Node::Pipe(left, p.pipe()?));
            }
            Ok(left)
        })
    }

    fn definition(&mut self) -> Parsed<Definition> {
        let Token::Name(name) = self.peek().clone() else {
            return self.error();
        };
        self.at += 1;
        let mut parameters = Vec::new();
        if self.accept("(") {
            loop {
                match self.peek().clone() {
                    Token::Name(name) => parameters.push(name),
                    Token::Variable(name) => parameters.push(format!("${name}")),
                    _ => return self.error(),
                }
                self.at += 1;
                if self.accept(")") {
                    break;
                }
                self.expect(";")?;
            }
        }
        self.expect(":")?;
        let body = self.pipe()?;
        self.expect(";")?;
        Ok(Definition {
            name,
            parameters,
            body,
        })
    }

    fn pattern(&mut self) -> Parsed<Pattern> {
        self.nested(|p| {
            if let Token::Variable(name) = p.peek().clone() {
                p.at += 1;
                return Ok(Pattern::Variable(name));
            }
            if p.accept("[") {
                let mut items = Vec::new();
                loop {
                    items.push(p.pattern()?);
                    if p.accept("]") {
                        return Ok(Pattern::Array(items));
                    }
                    p.expect(",")?;
                }
            }
            p.expect("{")?;
            let mut items = Vec::new();
            loop {
                let (key, variable) = match p.peek().clone() {
                    Token::Variable(name) => {
                        p.at += 1;
                        (Rc::new(Node::Literal(Json::string(&name))), Some(name))
                    }
                    Token::Name(name) => {
                        p.at += 1;
                        (Rc::new(Node::Literal(Json::string(name))), None)
                    }
                    Token::Text(_) => (p.term()?, None),
                    _ => {
                        p.expect("(")?;
                        let key = p.pipe()?;
                        p.expect(")")?;
                        (key, None)
                    }
                };
                let inner = if p.accept(":") {
                    Some(p.pattern()?)
                } else {
                    None
                };
                items.push((key, variable, inner));
                if p.accept("}") {
                    return Ok(Pattern::Object(items));
                }
                p.expect(",")?;
            }
        })
    }

    fn comma(&mut self) -> Parsed<Filter> {
        let mut left = self.alternative()?;
        for _ in 0..CHAIN_MAX {
            if !self.accept(",") {
                return Ok(left);
            }
            left = Rc::new(Node::Comma(left, self.alternative()?));
        }
        Err(format!("more than {CHAIN_MAX} commas in a row"))
    }

    fn alternative(&mut self) -> Parsed<Filter> {
        let left = self.assignment()?;
        if self.accept("//") {
            let right = self.nested(Self::alternative)?;
            return node(Node::Alternative(left, right));
        }
        Ok(left)
    }

    fn assignment(&mut self) -> Parsed<Filter> {
        let left = self.or()?;
        match self.any(&["|=", "+=", "-=", "*=", "/=", "%=", "//=", "="]) {
            Some(operator) => {
                let right = self.nested(Self::alternative)?;
                node(Node::Assign(operator, left, right))
            }
            None => Ok(left),
        }
    }

    fn or(&mut self) -> Parsed<Filter> {
        let mut left = self.and()?;
        for _ in 0..CHAIN_MAX {
            if !self.accept("or") {
                return Ok(left);
            }
            left = Rc::new(Node::Or(left, self.and()?));
        }
        self.error()
    }

    fn and(&mut self) -> Parsed<Filter> {
        let mut left = self.compare()?;
        for _ in 0..CHAIN_MAX {
            if !self.accept("and") {
                return Ok(left);
            }
            left = Rc::new(Node::And(left, self.compare()?));
        }
        self.error()
    }

    fn compare(&mut self) -> Parsed<Filter> {
        let left = self.sum()?;
        match self.any(&["==", "!=", "<=", ">=", "<", ">"]) {
            Some(operator) => node(Node::Compare(operator, left, self.sum()?)),
            None => Ok(left),
        }
    }

    fn sum(&mut self) -> Parsed<Filter> {
        let mut left = self.product()?;
        for _ in 0..CHAIN_MAX {
            let Some(operator) = self.any(&["+", "-"]) else {
                return Ok(left);
            };
            left = Rc::new(Node::Arithmetic(operator, left, self.product()?));
        }
        self.error()
    }

    fn product(&mut self) -> Parsed<Filter> {
        let mut left = self.postfix()?;
        for _ in 0..CHAIN_MAX {
            let Some(operator) = self.any(&["*", "/", "%"]) else {
                return Ok(left);
            };
            left = Rc::new(Node::Arithmetic(operator, left, self.postfix()?));
        }
        self.error()
    }

    fn postfix(&mut self) -> Parsed<Filter> {
        self.nested(|p| {
            if p.accept("-") {
                return node(Node::Negate(p.postfix()?));
            }
            if p.word("try") {
                let body = p.post_term()?;
                let catch = if p.word("catch") {
                    Some(p.post_term()?)
                } else {
                    None
                };
                return node(Node::Try(body, catch));
            }
            if p.word("reduce")
                || p.tokens
                    .get(p.at)
                    .is_some_and(|t| t == &Token::Name("foreach".to_owned()))
            {
                let foreach = p.word("foreach");
                let source = p.post_term()?;
                p.expect_word("as")?;
                let pattern = p.pattern()?;
                p.expect("(")?;
                let first = p.pipe()?;
                p.expect(";")?;
                let update = p.pipe()?;
                if !foreach {
                    p.expect(")")?;
                    return node(Node::Reduce(source, pattern, first, update));
                }
                let extract = if p.accept(";") { Some(p.pipe()?) } else { None };
                p.expect(")")?;
                return node(Node::Foreach(source, pattern, first, update, extract));
            }
            let term = p.post_term()?;
            // `term as $x | body` binds over all that follows.
            if p.word("as") {
                let pattern = p.pattern()?;
                p.expect("|")?;
                return node(Node::Bind(term, pattern, p.pipe()?));
            }
            Ok(term)
        })
    }

    fn post_term(&mut self) -> Parsed<Filter> {
        let mut term = self.term()?;
        for _ in 0..CHAIN_MAX {
            if self.accept("?") {
                term = Rc::new(Node::Try(term, None));
                continue;
            }
            if let Token::Field(name) = self.peek().clone() {
                self.at += 1;
                term = Rc::new(Node::Index(
                    term,
                    Rc::new(Node::Literal(Json::string(name))),
                ));
                continue;
            }
            if self.is(".") {
                match self.tokens.get(self.at + 1) {
                    Some(Token::Text(_)) => {
                        self.at += 1;
                        let key = self.term()?;
                        term = Rc::new(Node::Index(term, key));
                        continue;
                    }
                    Some(Token::Operator("[")) => self.at += 1,
                    _ => return self.error(),
                }
            }
            if self.accept("[") {
                term = self.bracket(term)?;
                continue;
            }
            return Ok(term);
        }
        self.error()
    }

    /// What follows `[` after a term.
    fn bracket(&mut self, term: Filter) -> Parsed<Filter> {
        if self.accept("]") {
            return node(Node::Iterate(term));
        }
        if self.accept(":") {
            let to = self.pipe()?;
            self.expect("]")?;
            return node(Node::Slice(term, None, Some(to)));
        }
        let from = self.pipe()?;
        if self.accept(":") {
            let to = if self.is("]") {
                None
            } else {
                Some(self.pipe()?)
            };
            self.expect("]")?;
            return node(Node::Slice(term, Some(from), to));
        }
        self.expect("]")?;
        node(Node::Index(term, from))
    }

    fn text(&mut self, format: Option<String>, pieces: Pieces) -> Parsed<Filter> {
        let mut all = Vec::new();
        for (text, source) in pieces {
            let filter = match source {
                Some(source) => Some(self.nested(|p| parse_at(&source, p.depth))?),
                None => None,
            };
            all.push((text, filter));
        }
        match all.as_slice() {
            [(text, None)] => node(Node::Literal(Json::string(text))),
            _ => node(Node::Text(format, all)),
        }
    }

    fn term(&mut self) -> Parsed<Filter> {
        let token = self.peek().clone();
        self.at += 1;
        match token {
            Token::Number(n) => node(Node::Literal(Json::Number(n))),
            Token::Text(pieces) => self.text(None, pieces),
            Token::Field(name) => {
                let key = Rc::new(Node::Literal(Json::string(name)));
                node(Node::Index(Rc::new(Node::Identity), key))
            }
            Token::Variable(name) => node(Node::Variable(name)),
            Token::Format(name) => match self.peek().clone() {
                Token::Text(pieces) => {
                    self.at += 1;
                    self.text(Some(name), pieces)
                }
                _ => node(Node::Format(name)),
            },
            Token::Operator("..") => node(Node::RecurseDefault),
            Token::Operator(".") => match self.peek().clone() {
                Token::Text(pieces) => {
                    self.at += 1;
                    let key = self.text(None, pieces)?;
                    node(Node::Index(Rc::new(Node::Identity), key))
                }
                _ => node(Node::Identity),
            },
            Token::Operator("(") => {
                let inner = self.pipe()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Operator("[") => {
                if self.accept("]") {
                    return node(Node::Array(None));
                }
                let inner = self.pipe()?;
                self.expect("]")?;
                node(Node::Array(Some(inner)))
            }
            Token::Operator("{") => self.nested(Self::object),
            Token::Operator("-") => node(Node::Negate(self.nested(Self::term)?)),
            Token::Name(name) => self.name(name),
            _ => {
                self.at -= 1;
                self.error()
            }
        }
    }

    fn name(&mut self, name: String) -> Parsed<Filter> {
        match name.as_str() {
            "if" => {
                let mut arms = Vec::new();
                loop {
                    let condition = self.pipe()?;
                    self.expect_word("then")?;
                    arms.push((condition, self.pipe()?));
                    if self.word("elif") {
                        continue;
                    }
                    let otherwise = if self.word("else") {
                        Some(self.pipe()?)
                    } else {
                        None
                    };
                    self.expect_word("end")?;
                    return node(Node::If(arms, otherwise));
                }
            }
            "null" => node(Node::Literal(Json::Null)),
            "true" => node(Node::Literal(Json::Bool(true))),
            "false" => node(Node::Literal(Json::Bool(false))),
            "break" => match self.peek().clone() {
                Token::Variable(name) => {
                    self.at += 1;
                    node(Node::Break(name))
                }
                _ => self.error(),
            },
            "import" | "include" => Err("modules are not simulated yet".to_owned()),
            "then" | "else" | "elif" | "end" | "as" | "catch" => {
                self.at -= 1;
                self.error()
            }
            _ => {
                let mut arguments = Vec::new();
                if self.accept("(") {
                    loop {
                        arguments.push(self.pipe()?);
                        if self.accept(")") {
                            break;
                        }
                        self.expect(";")?;
                    }
                }
                node(Node::Call(name, arguments))
            }
        }
    }

    fn object(&mut self) -> Parsed<Filter> {
        let mut fields = Vec::new();
        if self.accept("}") {
            return node(Node::Object(fields));
        }
        loop {
            let literal = |name: &str| -> Filter { Rc::new(Node::Literal(Json::string(name))) };
            let of_input = |key: &Filter| -> Filter {
                Rc::new(Node::Index(Rc::new(Node::Identity), key.clone()))
            };
            let token = self.peek().clone();
            let (key, default) = match token {
                Token::Variable(name) => {
                    self.at += 1;
                    (literal(&name), Some(Rc::new(Node::Variable(name))))
                }
                Token::Name(name) => {
                    self.at += 1;
                    let key = literal(&name);
                    (key.clone(), Some(of_input(&key)))
                }
                Token::Operator(name @ ("and" | "or")) => {
                    self.at += 1;
                    (literal(name), Some(of_input(&literal(name))))
                }
                Token::Number(_) | Token::Text(_) | Token::Format(_) => {
                    let key = self.term()?;
                    (key.clone(), Some(of_input(&key)))
                }
                Token::Operator("(") => (self.term()?, None),
                _ => return self.error(),
            };
            let value = match (self.accept(":"), default) {
                (true, _) => {
                    let mut value = self.alternative()?;
                    while self.accept("|") {
                        value = Rc::new(Node::Pipe(value, self.alternative()?));
                    }
                    value
                }
                (false, Some(value)) => value,
                (false, None) => return self.error(),
            };
            fields.push((key, value));
            if self.accept("}") {
                return node(Node::Object(fields));
            }
            self.expect(",")?;
        }
    }
}
