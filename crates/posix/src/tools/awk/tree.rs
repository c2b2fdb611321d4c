//! The tree that an awk program is parsed into.

use std::collections::BTreeMap;

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
