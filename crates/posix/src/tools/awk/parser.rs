//! awk's grammar.

use super::lexer::{Token, tokens};
use std::collections::BTreeMap;

/// How deep expressions and statements may be nested.
const DEPTH_MAX: usize = 48;
/// How many operators of one kind may stand in a row.
const CHAIN_MAX: usize = 200;

#[derive(Clone, Debug)]
pub(super) enum Variable {
    Global(usize),
    Local(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    Variable(Variable),
    Field(Box<Expression>),
    Element(Variable, Vec<Expression>),
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Main,
    File(Box<Expression>),
    Command(Box<Expression>),
}

#[derive(Clone, Debug)]
pub(super) enum Expression {
    Number(f64),
    Text(String),
    /// Alone: whether it matches the record.
    Regex(String),
    Place(Place),
    Assign(&'static str, Place, Box<Expression>),
    Condition(Box<[Expression; 3]>),
    And(Box<[Expression; 2]>),
    Or(Box<[Expression; 2]>),
    Not(Box<Expression>),
    Minus(Box<Expression>),
    Plus(Box<Expression>),
    Arithmetic(&'static str, Box<[Expression; 2]>),
    Concat(Vec<Expression>),
    Compare(&'static str, Box<[Expression; 2]>),
    Match {
        negated: bool,
        sides: Box<[Expression; 2]>,
    },
    In(Vec<Expression>, Variable),
    /// `before`: the new value counts.
    Increment {
        place: Place,
        by: f64,
        before: bool,
    },
    Call(String, Vec<Argument>),
    Builtin(&'static str, Vec<Expression>),
    /// split's array.
    Split(Box<Expression>, Variable, Option<Box<Expression>>),
    Substitute {
        all: bool,
        regex: Box<Expression>,
        with: Box<Expression>,
        place: Place,
    },
    Getline(Option<Place>, Source),
    Group(Box<Expression>),
}

/// An argument: a bare name may be an array.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    Name(Variable),
    Value(Expression),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Output {
    Write,
    Append,
    Pipe,
}

#[derive(Clone, Debug)]
pub(super) enum Statement {
    Expression(Expression),
    Print {
        formatted: bool,
        arguments: Vec<Expression>,
        to: Option<(Output, Expression)>,
    },
    If(Expression, Box<Statement>, Option<Box<Statement>>),
    /// `first`: the body comes before the condition.
    While {
        condition: Expression,
        body: Box<Statement>,
        first: bool,
    },
    For(
        Box<[Option<Statement>; 2]>,
        Option<Expression>,
        Box<Statement>,
    ),
    ForIn(Place, Variable, Box<Statement>),
    Block(Vec<Statement>),
    Delete(Variable, Option<Vec<Expression>>),
    Next,
    NextFile,
    Exit(Option<Expression>),
    Return(Option<Expression>),
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Begin,
    End,
    Always,
    When(Expression),
    Range(Expression, Expression),
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub pattern: Pattern,
    /// None: print the record.
    pub body: Option<Statement>,
}

#[derive(Clone, Debug)]
pub(super) struct Function {
    pub parameters: usize,
    pub body: Statement,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub rules: Vec<Rule>,
    pub functions: BTreeMap<String, Function>,
    /// The names of global variables, by their number.
    pub globals: Vec<String>,
}

type Parsed<T> = Result<T, String>;

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    globals: Vec<String>,
    locals: Vec<String>,
    /// Within `print`, `>` is a redirection.
    no_greater: bool,
    /// Within `for (`, `in` belongs to the loop.
    no_in: bool,
    calls: Vec<String>,
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
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |(token, _)| token)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens
            .get(self.at + ahead)
            .map_or(&Token::End, |(token, _)| token)
    }

    fn error<T>(&self) -> Parsed<T> {
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

    fn operator(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        operators.iter().find(|o| self.operator(o)).copied()
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if *w == word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, operator: &str) -> Parsed<()> {
        if self.operator(operator) {
            Ok(())
        } else {
            self.error()
        }
    }

    fn newlines(&mut self) {
        while self.peek() == &Token::Newline {
            self.at += 1;
        }
    }

    fn separators(&mut self) {
        while self.peek() == &Token::Newline || self.is(";") {
            self.at += 1;
        }
    }

    fn variable(&mut self, name: &str) -> Variable {
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

    /// Expressions with commas between them, up to and over `end`.
    fn list(&mut self, end: &str) -> Parsed<Vec<Expression>> {
        let mut all = Vec::new();
        self.newlines();
        if self.operator(end) {
            return Ok(all);
        }
        loop {
            all.push(self.whole_expression()?);
            self.newlines();
            if self.operator(end) {
                return Ok(all);
            }
            self.expect(",")?;
            self.newlines();
        }
    }

    /// An expression in which `>` and `in` are operators again.
    fn whole_expression(&mut self) -> Parsed<Expression> {
        let (greater, in_) = (self.no_greater, self.no_in);
        (self.no_greater, self.no_in) = (false, false);
        let result = self.expression();
        (self.no_greater, self.no_in) = (greater, in_);
        result
    }

    fn expression(&mut self) -> Parsed<Expression> {
        self.nested(Self::ternary)
    }

    fn ternary(&mut self) -> Parsed<Expression> {
        let condition = self.or()?;
        if let Expression::Place(place) = &condition
            && let Some(operator) = self.any(&["=", "+=", "-=", "*=", "/=", "%=", "^="])
        {
            let place = place.clone();
            self.newlines();
            return Ok(Expression::Assign(
                operator,
                place,
                Box::new(self.expression()?),
            ));
        }
        if !self.operator("?") {
            return Ok(condition);
        }
        self.newlines();
        let yes = self.expression()?;
        self.newlines();
        self.expect(":")?;
        self.newlines();
        let no = self.expression()?;
        Ok(Expression::Condition(Box::new([condition, yes, no])))
    }

    fn too_long<T>(&self) -> Parsed<T> {
        Err(format!("more than {CHAIN_MAX} operators in a row"))
    }

    fn or(&mut self) -> Parsed<Expression> {
        let mut left = self.and()?;
        for _ in 0..CHAIN_MAX {
            if !self.operator("||") {
                return Ok(left);
            }
            self.newlines();
            left = Expression::Or(Box::new([left, self.and()?]));
        }
        self.too_long()
    }

    fn and(&mut self) -> Parsed<Expression> {
        let mut left = self.in_()?;
        for _ in 0..CHAIN_MAX {
            if !self.operator("&&") {
                return Ok(left);
            }
            self.newlines();
            left = Expression::And(Box::new([left, self.in_()?]));
        }
        self.too_long()
    }

    fn in_(&mut self) -> Parsed<Expression> {
        let mut left = self.matching()?;
        while !self.no_in && self.word("in") {
            let Token::Name { name, .. } = self.peek().clone() else {
                return self.error();
            };
            self.at += 1;
            left = Expression::In(vec![left], self.variable(&name));
        }
        Ok(left)
    }

    fn matching(&mut self) -> Parsed<Expression> {
        let mut left = self.comparison()?;
        for _ in 0..CHAIN_MAX {
            let Some(operator) = self.any(&["~", "!~"]) else {
                return Ok(left);
            };
            let right = self.comparison()?;
            left = Expression::Match {
                negated: operator == "!~",
                sides: Box::new([left, right]),
            };
        }
        self.too_long()
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.concat()?;
        let operator = match self.no_greater {
            true => self.any(&["<=", "<", "==", "!=", ">="]),
            false => self.any(&["<=", "<", "==", "!=", ">=", ">"]),
        };
        match operator {
            Some(operator) => Ok(Expression::Compare(
                operator,
                Box::new([left, self.concat()?]),
            )),
            None => Ok(left),
        }
    }

    fn starts_operand(&self) -> bool {
        match self.peek() {
            Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name { .. } => true,
            Token::Operator(o) => matches!(*o, "$" | "!" | "(" | "-" | "+" | "++" | "--"),
            Token::Word(w) => !matches!(
                *w,
                "in" | "if"
                    | "else"
                    | "while"
                    | "for"
                    | "do"
                    | "print"
                    | "printf"
                    | "getline"
                    | "function"
            ),
            _ => false,
        }
    }

    fn concat(&mut self) -> Parsed<Expression> {
        let first = self.additive()?;
        let mut parts = vec![first];
        while self.starts_operand() && !self.is("-") && !self.is("+") && !self.is("!") {
            parts.push(self.additive()?);
        }
        let mut left = match parts.len() {
            1 => parts.remove(0),
            _ => Expression::Concat(parts),
        };
        // `"command" | getline`
        while self.is("|") && self.peek_at(1) == &Token::Word("getline") {
            self.at += 2;
            let place = self.optional_place()?;
            left = Expression::Getline(place, Source::Command(Box::new(left)));
        }
        Ok(left)
    }

    fn additive(&mut self) -> Parsed<Expression> {
        let mut left = self.multiplicative()?;
        for _ in 0..CHAIN_MAX {
            let Some(operator) = self.any(&["+", "-"]) else {
                return Ok(left);
            };
            left = Expression::Arithmetic(operator, Box::new([left, self.multiplicative()?]));
        }
        self.too_long()
    }

    fn multiplicative(&mut self) -> Parsed<Expression> {
        let mut left = self.unary()?;
        for _ in 0..CHAIN_MAX {
            let Some(operator) = self.any(&["*", "/", "%"]) else {
                return Ok(left);
            };
            left = Expression::Arithmetic(operator, Box::new([left, self.unary()?]));
        }
        self.too_long()
    }

    fn unary(&mut self) -> Parsed<Expression> {
        match self.any(&["!", "-", "+"]) {
            Some("!") => Ok(Expression::Not(Box::new(self.nested(Self::unary)?))),
            Some("-") => Ok(Expression::Minus(Box::new(self.nested(Self::unary)?))),
            Some(_) => Ok(Expression::Plus(Box::new(self.nested(Self::unary)?))),
            None => self.power(),
        }
    }

    fn power(&mut self) -> Parsed<Expression> {
        let base = self.postfix()?;
        if !self.operator("^") {
            return Ok(base);
        }
        // `2^-3^2`: from the right, and a sign may stand before the exponent.
        let exponent = self.nested(|p| match p.operator("-") {
            true => Ok(Expression::Minus(Box::new(p.nested(Self::power)?))),
            false => p.power(),
        })?;
        Ok(Expression::Arithmetic("^", Box::new([base, exponent])))
    }

    fn postfix(&mut self) -> Parsed<Expression> {
        for (operator, by) in [("++", 1.0), ("--", -1.0)] {
            if self.operator(operator) {
                let Expression::Place(place) = self.primary()? else {
                    return self.error();
                };
                return Ok(Expression::Increment {
                    place,
                    by,
                    before: true,
                });
            }
        }
        let operand = self.primary()?;
        if let Expression::Place(place) = &operand {
            for (operator, by) in [("++", 1.0), ("--", -1.0)] {
                if self.operator(operator) {
                    return Ok(Expression::Increment {
                        place: place.clone(),
                        by,
                        before: false,
                    });
                }
            }
        }
        Ok(operand)
    }

    fn optional_place(&mut self) -> Parsed<Option<Place>> {
        if !matches!(
            self.peek(),
            Token::Name { call: false, .. } | Token::Operator("$")
        ) {
            return Ok(None);
        }
        match self.primary()? {
            Expression::Place(place) => Ok(Some(place)),
            _ => self.error(),
        }
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let token = self.peek().clone();
        self.at += 1;
        match token {
            Token::Number(n) => Ok(Expression::Number(n)),
            Token::Text(text) => Ok(Expression::Text(text)),
            Token::Regex(text) => Ok(Expression::Regex(text)),
            Token::Operator("$") => {
                let inner = self.nested(|p| match p.any(&["++", "--", "-"]) {
                    Some("-") => Ok(Expression::Minus(Box::new(p.primary()?))),
                    Some(operator) => match p.primary()? {
                        Expression::Place(place) => {
                            let by = if operator == "++" { 1.0 } else { -1.0 };
                            Ok(Expression::Increment {
                                place,
                                by,
                                before: true,
                            })
                        }
                        _ => p.error(),
                    },
                    None => p.primary(),
                })?;
                Ok(Expression::Place(Place::Field(Box::new(inner))))
            }
            Token::Operator("(") => {
                let mut list = self.nested(|p| p.list(")"))?;
                if self.word("in") {
                    let Token::Name { name, .. } = self.peek().clone() else {
                        return self.error();
                    };
                    self.at += 1;
                    return Ok(Expression::In(list, self.variable(&name)));
                }
                match list.len() {
                    1 => Ok(Expression::Group(Box::new(list.remove(0)))),
                    _ => self.error(),
                }
            }
            Token::Name { name, call: true } => {
                self.at += 1;
                self.calls.push(name.clone());
                let arguments = self.nested(Self::arguments)?;
                Ok(Expression::Call(name, arguments))
            }
            Token::Name { name, call: false } => {
                let variable = self.variable(&name);
                if self.operator("[") {
                    let index = self.nested(|p| p.list("]"))?;
                    return Ok(Expression::Place(Place::Element(variable, index)));
                }
                Ok(Expression::Place(Place::Variable(variable)))
            }
            Token::Word("getline") => {
                let place = self.optional_place()?;
                let source = match self.operator("<") {
                    true => Source::File(Box::new(self.primary()?)),
                    false => Source::Main,
                };
                Ok(Expression::Getline(place, source))
            }
            Token::Word(word) => {
                self.at -= 1;
                self.builtin(word)
            }
            _ => {
                self.at -= 1;
                self.error()
            }
        }
    }

    fn arguments(&mut self) -> Parsed<Vec<Argument>> {
        let mut all = Vec::new();
        self.newlines();
        if self.operator(")") {
            return Ok(all);
        }
        loop {
            all.push(match self.whole_expression()? {
                Expression::Place(Place::Variable(variable)) => Argument::Name(variable),
                value => Argument::Value(value),
            });
            self.newlines();
            if self.operator(")") {
                return Ok(all);
            }
            self.expect(",")?;
            self.newlines();
        }
    }

    fn builtin(&mut self, word: &'static str) -> Parsed<Expression> {
        let plain = [
            "length", "substr", "index", "match", "sprintf", "tolower", "toupper", "sin", "cos",
            "atan2", "exp", "log", "sqrt", "int", "rand", "srand", "system", "close", "fflush",
            "systime", "strftime", "gensub",
        ];
        self.at += 1;
        match word {
            "split" => {
                self.expect("(")?;
                let text = self.whole_expression()?;
                self.expect(",")?;
                let Token::Name { name, .. } = self.peek().clone() else {
                    return self.error();
                };
                self.at += 1;
                let array = self.variable(&name);
                let separator = match self.operator(",") {
                    true => Some(Box::new(self.whole_expression()?)),
                    false => None,
                };
                self.expect(")")?;
                Ok(Expression::Split(Box::new(text), array, separator))
            }
            "sub" | "gsub" => {
                self.expect("(")?;
                let mut list = self.nested(|p| p.list(")"))?;
                let place = match list.len() {
                    2 => Place::Field(Box::new(Expression::Number(0.0))),
                    3 => match list.pop() {
                        Some(Expression::Place(place)) => place,
                        _ => return self.error(),
                    },
                    _ => return self.error(),
                };
                let (Some(with), Some(regex)) = (list.pop(), list.pop()) else {
                    return self.error();
                };
                Ok(Expression::Substitute {
                    all: word == "gsub",
                    regex: Box::new(regex),
                    with: Box::new(with),
                    place,
                })
            }
            word if plain.contains(&word) => {
                let arguments = match self.operator("(") {
                    true => self.nested(|p| p.list(")"))?,
                    false if word == "length" => Vec::new(),
                    false => return self.error(),
                };
                let least = match word {
                    "length" | "rand" | "srand" | "fflush" | "systime" | "strftime" => 0,
                    "substr" | "index" | "match" | "atan2" => 2,
                    "gensub" => 3,
                    _ => 1,
                };
                if arguments.len() < least {
                    return Err(format!("not enough arguments to {word}"));
                }
                Ok(Expression::Builtin(word, arguments))
            }
            _ => {
                self.at -= 1;
                self.error()
            }
        }
    }
}
