//! `test` and `[` (POSIX.1, test), with bash's `==`, `<` and `>`.

use super::After;
use crate::exec::Abort;
use crate::host::{FileKind, Host, Metadata};
use crate::machine::Machine;
use crate::process::{Descriptor, Process};

/// How deep parentheses and `!` may be nested.
const DEPTH_MAX: usize = 48;

pub(super) fn test(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut words = &argv[1..];
    if argv[0].ends_with('[') {
        match words.split_last() {
            Some((last, rest)) if last == "]" => words = rest,
            _ => return Ok(machine.refuse(process, host, 2, "[: missing ]")),
        }
    }
    Ok(match evaluate(words, process, host) {
        Ok(status) => After::Status(status),
        Err(message) => machine.refuse(process, host, 2, &message),
    })
}

/// The status: 0 for true, 1 for false.
pub(crate) fn evaluate(
    words: &[String],
    process: &Process,
    host: &dyn Host,
) -> Result<i32, String> {
    let mut parser = Parser {
        words,
        at: 0,
        depth: 0,
        process,
        host,
    };
    if words.is_empty() {
        return Ok(1);
    }
    let value = parser.or()?;
    match words.get(parser.at) {
        None => Ok(i32::from(!value)),
        Some(word) => Err(format!("[: {word}: unexpected operator")),
    }
}

struct Parser<'a> {
    words: &'a [String],
    at: usize,
    depth: usize,
    process: &'a Process,
    host: &'a dyn Host,
}

fn is_binary(word: &str) -> bool {
    matches!(
        word,
        "=" | "=="
            | "!="
            | "<"
            | ">"
            | "-eq"
            | "-ne"
            | "-lt"
            | "-le"
            | "-gt"
            | "-ge"
            | "-nt"
            | "-ot"
            | "-ef"
    )
}

impl Parser<'_> {
    fn peek(&self, ahead: usize) -> Option<&str> {
        self.words.get(self.at + ahead).map(String::as_str)
    }

    fn left(&self) -> usize {
        self.words.len() - self.at
    }

    fn or(&mut self) -> Result<bool, String> {
        let mut value = self.and()?;
        while self.peek(0) == Some("-o") {
            self.at += 1;
            value |= self.and()?;
        }
        Ok(value)
    }

    fn and(&mut self) -> Result<bool, String> {
        let mut value = self.term()?;
        while self.peek(0) == Some("-a") {
            self.at += 1;
            value &= self.term()?;
        }
        Ok(value)
    }

    fn term(&mut self) -> Result<bool, String> {
        if self.depth > DEPTH_MAX {
            return Err("[: nested too deep".to_owned());
        }
        let Some(first) = self.peek(0) else {
            return Err("[: argument expected".to_owned());
        };
        let first = first.to_owned();
        if self.peek(1).is_some_and(is_binary) && self.left() >= 3 {
            let (operator, right) = (
                self.words[self.at + 1].clone(),
                self.words[self.at + 2].clone(),
            );
            self.at += 3;
            return self.binary(&first, &operator, &right);
        }
        if first == "!" && self.left() > 1 {
            self.at += 1;
            self.depth += 1;
            let value = self.term();
            self.depth -= 1;
            return value.map(|v| !v);
        }
        if first == "(" && self.left() > 1 {
            self.at += 1;
            self.depth += 1;
            let value = self.or()?;
            self.depth -= 1;
            if self.peek(0) != Some(")") {
                return Err("[: closing paren expected".to_owned());
            }
            self.at += 1;
            return Ok(value);
        }
        let operator = first.strip_prefix('-').filter(|o| o.len() == 1);
        if let Some(operator) = operator
            && let Some(operand) = self.peek(1)
            && let Some(value) = self.unary(operator, operand)?
        {
            self.at += 2;
            return Ok(value);
        }
        self.at += 1;
        Ok(!first.is_empty())
    }

    /// None where it is no operator.
    fn unary(&self, operator: &str, operand: &str) -> Result<Option<bool>, String> {
        let path = self.process.path(operand);
        let metadata =
            |follow: bool| -> Option<Metadata> { self.host.files().metadata(&path, follow).ok() };
        let is = |kind: FileKind| metadata(true).is_some_and(|m| m.kind == kind);
        let mode = |bits: u32| {
            let root = self.host.user().number == 0;
            metadata(true).is_some_and(|m| m.mode & bits != 0 || (root && bits != 0o111))
        };
        let special = matches!(
            path.as_str(),
            "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/stdin"
        );
        Ok(Some(match operator {
            "n" => !operand.is_empty(),
            "z" => operand.is_empty(),
            "e" | "a" => special || metadata(true).is_some(),
            "f" => is(FileKind::File),
            "d" => is(FileKind::Directory),
            "h" | "L" => metadata(false).is_some_and(|m| m.kind == FileKind::Link),
            "s" => metadata(true).is_some_and(|m| m.size > 0),
            "r" => special || mode(0o444),
            "w" => special || mode(0o222),
            "x" => is(FileKind::Directory) || mode(0o111),
            "c" => special || is(FileKind::Other),
            "b" | "p" | "S" | "u" | "g" | "k" => false,
            "O" | "G" => metadata(true).is_some(),
            "v" => self.process.value(operand).is_some(),
            "o" => return Ok(None),
            "t" => {
                let fd: u32 = operand
                    .parse()
                    .map_err(|_| format!("[: Illegal number: {operand}"))?;
                // No descriptor here is a terminal.
                debug_assert!(
                    self.process.descriptors.get(&fd) != Some(&Descriptor::Null) || fd < 10
                );
                false
            }
            _ => return Ok(None),
        }))
    }

    fn binary(&self, left: &str, operator: &str, right: &str) -> Result<bool, String> {
        let number = |text: &str| {
            let text = text.trim();
            text.strip_prefix('+')
                .unwrap_or(text)
                .parse::<i64>()
                .map_err(|_| match text {
                    "" => "[: Illegal number: ".to_owned(),
                    text => format!("[: Illegal number: {text}"),
                })
        };
        let modified = |path: &str| {
            let path = self.process.path(path);
            self.host
                .files()
                .metadata(&path, true)
                .ok()
                .map(|m| m.modified)
        };
        Ok(match operator {
            "=" | "==" => left == right,
            "!=" => left != right,
            "<" => left < right,
            ">" => left > right,
            "-nt" => modified(left) > modified(right),
            "-ot" => modified(left) < modified(right),
            "-ef" => {
                self.process.path(left) == self.process.path(right) && modified(left).is_some()
            }
            _ => compare_numbers(operator, number(left)?, number(right)?),
        })
    }
}

pub(crate) fn compare_numbers(operator: &str, left: i64, right: i64) -> bool {
    match operator {
        "-eq" => left == right,
        "-ne" => left != right,
        "-lt" => left < right,
        "-le" => left <= right,
        "-gt" => left > right,
        _ => left >= right,
    }
}
