//! The words of an expression, with their places.

use crate::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Literal(Value),
    Sign(&'static str),
}

/// A token, and where it stands in the text.
#[derive(Clone, Debug)]
pub(super) struct Lexed {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// The tokens of a text, and the places of what is none.
pub(super) fn tokens(text: &str) -> (Vec<Lexed>, Vec<(usize, String)>) {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let mut start = 0;
    loop {
        let rest = text[start..].trim_start();
        start = text.len() - rest.len();
        if rest.is_empty() {
            return (out, errors);
        }
        if rest.starts_with("//") {
            start += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        match token(rest) {
            Ok((token, length)) => {
                let end = start + length;
                out.push(Lexed { token, start, end });
                start = end;
            }
            Err(length) => {
                let wrong = &rest[..length];
                errors.push((start, format!("token recognition error at: '{wrong}'")));
                start += length;
            }
        }
    }
}

/// The token at the beginning of a text and its length, or how much of it is none.
fn token(rest: &str) -> Result<(Token, usize), usize> {
    let first = rest.chars().next().unwrap_or(' ');
    let mut quoted = rest.trim_start_matches(['r', 'R', 'b', 'B']);
    if rest.len() - quoted.len() > 2 {
        quoted = rest;
    }
    if quoted.starts_with(['\'', '"']) {
        let prefix = &rest[..rest.len() - quoted.len()];
        let raw = prefix.contains(['r', 'R']);
        return match string(quoted, raw) {
            Some((value, left)) => Ok((Token::Literal(value.into()), rest.len() - left.len())),
            None => Err(rest.find('\n').unwrap_or(rest.len())),
        };
    }
    let until = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
    if first.is_ascii_digit() {
        let end = number(rest);
        let word = rest[..end].trim_end_matches(['u', 'U']);
        let value = match word.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok().map(Value::Int),
            None => word.parse::<i64>().ok().map(Value::Int),
        };
        let value = value.or_else(|| word.parse::<f64>().ok().map(Value::Float));
        return match value {
            Some(value) => Ok((Token::Literal(value), end)),
            None => Err(end),
        };
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let end = until(|c| c.is_ascii_alphanumeric() || c == '_');
        let token = match &rest[..end] {
            "true" => Token::Literal(true.into()),
            "false" => Token::Literal(false.into()),
            "null" => Token::Literal(Value::Null),
            word => Token::Name(word.to_owned()),
        };
        return Ok((token, end));
    }
    if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
        return Ok((Token::Sign(sign), sign.len()));
    }
    // What could have become a sign with the next character takes that with it.
    let length = first.len_utf8();
    let next = rest[length..].chars().next().map_or(0, char::len_utf8);
    Err(match first {
        '&' | '|' | '=' => length + next,
        _ => length,
    })
}

/// How long the number at the beginning of a text is: `1Gi` is a number and a name, `1.size()` one
/// and a call.
fn number(text: &str) -> usize {
    let digits = |from: usize| {
        let rest = &text[from..];
        from + rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len())
    };
    let begins = |at: usize| text[at..].starts_with(|c: char| c.is_ascii_digit());
    if let Some(hex) = text.strip_prefix("0x") {
        let length = hex.find(|c: char| !c.is_ascii_hexdigit());
        return 2 + length.unwrap_or(hex.len());
    }
    let mut end = digits(0);
    if text[end..].starts_with('.') && begins(end + 1) {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        if begins(end + 1 + sign) {
            end = digits(end + 1 + sign);
        }
    }
    end + usize::from(text[end..].starts_with(['u', 'U']))
}

/// A string in quotes, and what follows it.
fn string(text: &str, raw: bool) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((out, &text[at + c.len_utf8()..]));
        }
        if c != '\\' || raw {
            out.push(c);
            continue;
        }
        match chars.next()?.1 {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            c @ ('\\' | '\'' | '"' | '`' | '?') => out.push(c),
            _ => return None,
        }
    }
    None
}
