//! awk's grammar.

use super::lexer::{Token, tokens};
use super::tree::{
    Expression, Function, Output, Pattern, Place, Program, Rule, Statement, Variable,
};

/// How deep expressions and statements may be nested.
const DEPTH_MAX: usize = 48;
/// How many operators of one kind may stand in a row.
pub(super) const CHAIN_MAX: usize = 200;

pub(super) type Parsed<T> = Result<T, String>;

pub(super) struct Parser {
    tokens: Vec<(Token, usize)>,
    pub(super) at: usize,
    depth: usize,
    globals: Vec<String>,
    locals: Vec<String>,
    /// Within `print`, `>` is a redirection.
    pub(super) no_greater: bool,
    /// Within `for (`, `in` belongs to the loop.
    pub(super) no_in: bool,
    pub(super) calls: Vec<String>,
}

/// Variables with a meaning, first among the globals.
pub(super) const SPECIAL: [&str; 15] = [
    "NF", "NR", "FNR", "FS", "OFS", "RS", "ORS", "FILENAME", "SUBSEP", "RSTART", "RLENGTH",
    "CONVFMT", "OFMT", "ENVIRON", "ARGV",
];

pub(super) fn parse(text: &str) -> Parsed<Program> {
    let globals = SPECIAL.iter().map(|n| (*n).to_owned()).collect();
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        globals,
        locals: Vec::new(),
        no_greater: false,
        no_in: false,
        calls: Vec::new(),
    };
    let mut program = Program::default();
    loop {
        parser.separators();
        if parser.peek() == &Token::End {
            break;
        }
        if parser.word("function") || parser.word("func") {
            let (name, function) = parser.function()?;
            program.functions.insert(name, function);
        } else {
            program.rules.push(parser.rule()?);
        }
    }
    if let Some(name) = parser
        .calls
        .iter()
        .find(|name| !program.functions.contains_key(*name))
    {
        return Err(format!("function `{name}' not defined"));
    }
    program.globals = parser.globals;
    Ok(program)
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens
            .get(self.at + ahead)
            .map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn error<T>(&self) -> Parsed<T> {
        let line = self.tokens.get(self.at).map_or(1, |(_, line)| *line);
        let found = match self.peek() {
            Token::Number(n) => n.to_string(),
            Token::Text(text) => format!("\"{text}\""),
            Token::Regex(text) => format!("/{text}/"),
            Token::Name { name, .. } => name.clone(),
            Token::Word(word) | Token::Operator(word) => (*word).to_owned(),
            Token::Newline => "end of line".to_owned(),
            Token::End => "end of program".to_owned(),
        };
        Err(format!("line {line}: syntax error at or near {found}"))
    }

    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    pub(super) fn is(&self, operator: &str) -> bool {
        matches!(self.peek(), Token::Operator(o) if *o == operator)
    }

    pub(super) fn operator(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        self.at += usize::from(found);
        found
    }

    pub(super) fn any(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        operators.iter().find(|o| self.operator(o)).copied()
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if *w == word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, operator: &str) -> Parsed<()> {
        if self.operator(operator) {
            Ok(())
        } else {
            self.error()
        }
    }

    pub(super) fn newlines(&mut self) {
        while self.peek() == &Token::Newline {
            self.at += 1;
        }
    }

    fn separators(&mut self) {
        while self.peek() == &Token::Newline || self.is(";") {
            self.at += 1;
        }
    }

    pub(super) fn variable(&mut self, name: &str) -> Variable {
        if let Some(at) = self.locals.iter().position(|n| n == name) {
            return Variable::Local(at);
        }
        if let Some(at) = self.globals.iter().position(|n| n == name) {
            return Variable::Global(at);
        }
        self.globals.push(name.to_owned());
        Variable::Global(self.globals.len() - 1)
    }

    fn function(&mut self) -> Parsed<(String, Function)> {
        let Token::Name { name, .. } = self.peek().clone() else {
            return self.error();
        };
        self.at += 1;
        self.expect("(")?;
        let mut parameters = Vec::new();
        while !self.operator(")") {
            self.newlines();
            let Token::Name { name, .. } = self.peek().clone() else {
                return self.error();
            };
            self.at += 1;
            parameters.push(name);
            self.newlines();
            if !self.operator(",") && !self.is(")") {
                return self.error();
            }
        }
        self.newlines();
        self.locals = parameters;
        let body = self.block();
        let parameters = std::mem::take(&mut self.locals).len();
        Ok((
            name,
            Function {
                parameters,
                body: body?,
            },
        ))
    }

    fn rule(&mut self) -> Parsed<Rule> {
        let pattern = match self.peek() {
            Token::Word("BEGIN") => {
                self.at += 1;
                Pattern::Begin
            }
            Token::Word("END") => {
                self.at += 1;
                Pattern::End
            }
            Token::Operator("{") => Pattern::Always,
            _ => {
                let first = self.expression()?;
                if self.operator(",") {
                    self.newlines();
                    Pattern::Range(first, self.expression()?)
                } else {
                    Pattern::When(first)
                }
            }
        };
        let body = match self.is("{") {
            true => Some(self.block()?),
            false if matches!(pattern, Pattern::Begin | Pattern::End) => return self.error(),
            false => None,
        };
        Ok(Rule { pattern, body })
    }

    fn block(&mut self) -> Parsed<Statement> {
        self.expect("{")?;
        self.nested(|p| {
            let mut statements = Vec::new();
            loop {
                p.separators();
                if p.operator("}") {
                    return Ok(Statement::Block(statements));
                }
                statements.push(p.statement()?);
            }
        })
    }

    /// A loop's or condition's body, perhaps on the next line.
    fn body(&mut self) -> Parsed<Box<Statement>> {
        self.newlines();
        if self.operator(";") {
            return Ok(Box::new(Statement::Block(Vec::new())));
        }
        Ok(Box::new(self.nested(Self::statement)?))
    }

    fn statement(&mut self) -> Parsed<Statement> {
        if self.is("{") {
            return self.block();
        }
        let Token::Word(word) = *self.peek() else {
            return self.simple_statement();
        };
        match word {
            "if" => {
                self.at += 1;
                self.expect("(")?;
                let condition = self.whole_expression()?;
                self.expect(")")?;
                let then = self.body()?;
                let before = self.at;
                self.separators();
                if !self.word("else") {
                    self.at = before;
                    return Ok(Statement::If(condition, then, None));
                }
                Ok(Statement::If(condition, then, Some(self.body()?)))
            }
            "while" => {
                self.at += 1;
                self.expect("(")?;
                let condition = self.whole_expression()?;
                self.expect(")")?;
                Ok(Statement::While {
                    condition,
                    body: self.body()?,
                    first: false,
                })
            }
            "do" => {
                self.at += 1;
                let body = self.body()?;
                self.separators();
                if !self.word("while") {
                    return self.error();
                }
                self.expect("(")?;
                let condition = self.whole_expression()?;
                self.expect(")")?;
                Ok(Statement::While {
                    condition,
                    body,
                    first: true,
                })
            }
            "for" => {
                self.at += 1;
                self.for_statement()
            }
            "switch" => Err("switch is not simulated yet".to_owned()),
            _ => self.simple_statement(),
        }
    }

    fn for_statement(&mut self) -> Parsed<Statement> {
        self.expect("(")?;
        if let (
            Token::Name { name, .. },
            Token::Word("in"),
            Token::Name { name: array, .. },
            Token::Operator(")"),
        ) = (
            self.peek().clone(),
            self.peek_at(1).clone(),
            self.peek_at(2).clone(),
            self.peek_at(3).clone(),
        ) {
            self.at += 4;
            let place = Place::Variable(self.variable(&name));
            let array = self.variable(&array);
            return Ok(Statement::ForIn(place, array, self.body()?));
        }
        let part = |p: &mut Self, end: &str| -> Parsed<Option<Statement>> {
            if p.operator(end) {
                return Ok(None);
            }
            let statement = p.simple_inner()?;
            p.expect(end)?;
            Ok(Some(statement))
        };
        let first = part(self, ";")?;
        self.newlines();
        let condition = match self.operator(";") {
            true => None,
            false => {
                let condition = self.whole_expression()?;
                self.expect(";")?;
                Some(condition)
            }
        };
        self.newlines();
        let step = part(self, ")")?;
        Ok(Statement::For(
            Box::new([first, step]),
            condition,
            self.body()?,
        ))
    }

    /// A statement that ends at a newline, `;` or before `}`.
    fn simple_statement(&mut self) -> Parsed<Statement> {
        let statement = self.simple_inner()?;
        match self.peek() {
            Token::Newline | Token::End | Token::Operator(";") => {
                self.at += 1;
                Ok(statement)
            }
            Token::Operator("}") => Ok(statement),
            _ => self.error(),
        }
    }

    fn ends_here(&self) -> bool {
        matches!(
            self.peek(),
            Token::Newline | Token::End | Token::Operator(";" | "}")
        )
    }

    fn simple_inner(&mut self) -> Parsed<Statement> {
        let Token::Word(word) = *self.peek() else {
            return Ok(Statement::Expression(self.whole_expression()?));
        };
        let optional = |p: &mut Self| match p.ends_here() {
            true => Ok(None),
            false => p.whole_expression().map(Some),
        };
        match word {
            "print" | "printf" => {
                self.at += 1;
                self.print(word == "printf")
            }
            "next" | "nextfile" | "break" | "continue" => {
                self.at += 1;
                Ok(match word {
                    "next" => Statement::Next,
                    "nextfile" => Statement::NextFile,
                    "break" => Statement::Break,
                    _ => Statement::Continue,
                })
            }
            "exit" => {
                self.at += 1;
                Ok(Statement::Exit(optional(self)?))
            }
            "return" => {
                self.at += 1;
                Ok(Statement::Return(optional(self)?))
            }
            "delete" => {
                self.at += 1;
                let Token::Name { name, .. } = self.peek().clone() else {
                    return self.error();
                };
                self.at += 1;
                let array = self.variable(&name);
                let index = match self.operator("[") {
                    true => Some(self.list("]")?),
                    false => None,
                };
                Ok(Statement::Delete(array, index))
            }
            _ => Ok(Statement::Expression(self.whole_expression()?)),
        }
    }

    fn print(&mut self, formatted: bool) -> Parsed<Statement> {
        let mut arguments = Vec::new();
        self.no_greater = true;
        let result = self.print_arguments(&mut arguments);
        self.no_greater = false;
        result?;
        if formatted && arguments.is_empty() {
            return self.error();
        }
        let output = match self.any(&[">>", ">", "|"]) {
            Some(">") => Some(Output::Write),
            Some(">>") => Some(Output::Append),
            Some(_) => Some(Output::Pipe),
            None => None,
        };
        let to = match output {
            None => None,
            Some(output) => {
                self.no_greater = true;
                let target = self.ternary();
                self.no_greater = false;
                Some((output, target?))
            }
        };
        Ok(Statement::Print {
            formatted,
            arguments,
            to,
        })
    }

    fn print_arguments(&mut self, arguments: &mut Vec<Expression>) -> Parsed<()> {
        if self.ends_here() || self.is(">") || self.is(">>") || self.is("|") {
            return Ok(());
        }
        // `print (a, b) > "file"`: a list in parentheses, if nothing else follows it.
        if self.is("(") {
            let start = self.at;
            self.at += 1;
            let list = self.list(")");
            if let Ok(list) = list
                && (self.ends_here() || self.is(">") || self.is(">>") || self.is("|"))
            {
                *arguments = list;
                return Ok(());
            }
            self.at = start;
        }
        loop {
            arguments.push(self.expression()?);
            if !self.operator(",") {
                return Ok(());
            }
            self.newlines();
        }
    }
}
