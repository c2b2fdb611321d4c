//! The grammar of `kubectl -l`.

use super::{Operator, Requirement, SelectorError};
use crate::value::Text;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Token::Word(s) | Token::Symbol(s) => s,
            Token::End => "",
        }
    }

    /// Where a key is expected, `in` and `notin` are no words.
    fn is_key(self) -> bool {
        matches!(self, Token::Word(w) if w != "in" && w != "notin")
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let special = |c: char| "=!(),><".contains(c);
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if special(first) {
            if rest.starts_with("==") || rest.starts_with("!=") {
                2
            } else {
                1
            }
        } else {
            rest.find(|c: char| special(c) || c.is_whitespace())
                .unwrap_or(rest.len())
        };
        let (token, after) = rest.split_at(length);
        out.push(if special(first) {
            Token::Symbol(token)
        } else {
            Token::Word(token)
        });
        rest = after.trim_start();
    }
    out
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    Parser {
        tokens: tokens(text),
        at: 0,
    }
    .selector()
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

fn expected(found: Token<'_>, what: &str) -> SelectorError {
    SelectorError(format!("found '{}', expected: {what}", found.text()))
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).copied().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, SelectorError> {
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(out),
                Token::Word(_) | Token::Symbol("!") => {}
                other => return Err(expected(other, "!, identifier, or 'end of string'")),
            }
            let requirement = self.requirement();
            out.push(
                requirement
                    .map_err(|e| SelectorError(format!("unable to parse requirement: {e}")))?,
            );
            match self.next() {
                Token::End => return Ok(out),
                Token::Symbol(",") => {}
                other => return Err(expected(other, "',' or 'end of string'")),
            }
            if !matches!(self.peek(), Token::Word(_) | Token::Symbol("!")) {
                return Err(expected(self.peek(), "identifier after ','"));
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut key = self.next();
        let negated = key == Token::Symbol("!");
        if negated {
            key = self.next();
        }
        if !key.is_key() {
            return Err(expected(key, "identifier"));
        }
        let key = key.text();
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let operator = match self.next() {
            Token::Word("in") => Operator::In,
            Token::Word("notin") => Operator::NotIn,
            Token::Symbol("=") => Operator::Equals,
            Token::Symbol("==") => Operator::DoubleEquals,
            Token::Symbol("!=") => Operator::NotEquals,
            Token::Symbol(">") => Operator::GreaterThan,
            Token::Symbol("<") => Operator::LessThan,
            other => return Err(expected(other, "in, notin, =, ==, !=, gt, lt")),
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.list()?,
            _ => vec![self.exact_value()?],
        };
        Requirement::new(key, operator, values)
    }

    fn exact_value(&mut self) -> Result<Text, SelectorError> {
        match self.peek() {
            Token::End | Token::Symbol(",") => return Ok("".into()),
            _ => {}
        }
        match self.next() {
            Token::Word(word) => Ok(word.into()),
            other => Err(expected(other, "identifier")),
        }
    }

    fn list(&mut self) -> Result<Vec<Text>, SelectorError> {
        let open = self.next();
        if open != Token::Symbol("(") {
            // The one message without a comma.
            return Err(SelectorError(format!(
                "found '{}' expected: '('",
                open.text()
            )));
        }
        let mut values: Vec<Text> = Vec::new();
        loop {
            match self.next() {
                Token::Symbol(")") => return Ok(values),
                Token::Word(word) => {
                    values.push(word.into());
                    if !matches!(self.peek(), Token::Symbol("," | ")")) {
                        return Err(expected(self.peek(), "',' or ')'"));
                    }
                }
                Token::Symbol(",") => {
                    if values.is_empty() {
                        values.push("".into());
                    }
                    match self.peek() {
                        Token::Word(_) => {}
                        Token::Symbol(")" | ",") => values.push("".into()),
                        other => return Err(expected(other, "',', or identifier")),
                    }
                }
                other => return Err(expected(other, "',', ')' or identifier")),
            }
        }
    }
}
