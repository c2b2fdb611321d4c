//! An expression, as it has been read.

use crate::value::Value;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Literal(Value),
    Name(String),
    Field(Box<Expr>, String),
    /// A field that may be missing: `a.?b`.
    Maybe(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    /// A function, of an object or of none.
    Call(Option<Box<Expr>>, String, Vec<Expr>),
    /// `!`, `-`
    Unary(char, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
}

pub(super) fn uses(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Literal(_) => false,
        Expr::Name(n) => n == name,
        Expr::Field(of, _) | Expr::Maybe(of, _) | Expr::Unary(_, of) => uses(of, name),
        Expr::Index(a, b) | Expr::Binary(_, a, b) => uses(a, name) || uses(b, name),
        Expr::Choice(a, b, c) => uses(a, name) || uses(b, name) || uses(c, name),
        Expr::Call(of, _, args) => {
            of.as_ref().is_some_and(|o| uses(o, name)) || args.iter().any(|a| uses(a, name))
        }
        Expr::List(items) => items.iter().any(|i| uses(i, name)),
        Expr::Map(pairs) => pairs.iter().any(|(k, v)| uses(k, name) || uses(v, name)),
    }
}
