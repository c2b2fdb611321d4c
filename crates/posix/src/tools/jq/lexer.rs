//! jq's tokens.

/// A string: texts, each with the source of the filter after it.
pub(super) type Pieces = Vec<(String, Option<String>)>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    /// A string's pieces: text, and the source of a filter.
    Text(Pieces),
    Name(String),
    /// `.name`
    Field(String),
    Variable(String),
    Format(String),
    Operator(&'static str),
    End,
}

const OPERATORS: [&str; 39] = [
    "?//=", "?//", "//=", "|=", "+=", "-=", "*=", "/=", "%=", "==", "!=", "<=", ">=", "//", "..",
    "and", "or", "|", ",", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}",
    ":", ";", ".", "?", "$", "@",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    let name = |from: usize| -> String {
        let first = chars
            .get(from)
            .is_some_and(|c| *c == '_' || c.is_ascii_alphabetic());
        let all = chars[from.min(chars.len())..].iter();
        if first {
            all.take_while(|c| **c == '_' || c.is_ascii_alphanumeric())
                .collect()
        } else {
            String::new()
        }
    };
    while at < chars.len() {
        let c = chars[at];
        if c.is_whitespace() {
            at += 1;
        } else if c == '#' {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if c == '"' {
            let (pieces, end) = string(&chars, at + 1)?;
            out.push(Token::Text(pieces));
            at = end;
        } else if c.is_ascii_digit()
            || (c == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit))
        {
            let mut end = at;
            while end < chars.len()
                && (chars[end].is_ascii_digit()
                    || chars[end] == '.'
                    || matches!(chars[end], 'e' | 'E')
                    || (matches!(chars[end], '+' | '-') && matches!(chars[end - 1], 'e' | 'E')))
            {
                end += 1;
            }
            let text: String = chars[at..end].iter().collect();
            let number = text.parse().map_err(|_| format!("{text} is no number"))?;
            out.push(Token::Number(number));
            at = end;
        } else if c == '.' && !name(at + 1).is_empty() {
            let name = name(at + 1);
            at += 1 + name.len();
            out.push(Token::Field(name));
        } else if c == '$' && !name(at + 1).is_empty() {
            let name = name(at + 1);
            at += 1 + name.len();
            out.push(Token::Variable(name));
        } else if c == '@' && !name(at + 1).is_empty() {
            let name = name(at + 1);
            at += 1 + name.len();
            out.push(Token::Format(name));
        } else if !name(at).is_empty() {
            let name = name(at);
            at += name.len();
            out.push(match name.as_str() {
                "and" => Token::Operator("and"),
                "or" => Token::Operator("or"),
                _ => Token::Name(name),
            });
        } else {
            let fits = |o: &&&str| {
                o.chars()
                    .enumerate()
                    .all(|(i, c)| chars.get(at + i) == Some(&c))
            };
            let Some(operator) = OPERATORS.iter().find(fits) else {
                return Err(format!("syntax error, unexpected INVALID_CHARACTER {c}"));
            };
            at += operator.len();
            out.push(Token::Operator(operator));
        }
    }
    out.push(Token::End);
    Ok(out)
}

fn string(chars: &[char], mut at: usize) -> Result<(Pieces, usize), String> {
    let unterminated = || "syntax error, unterminated string".to_owned();
    let mut pieces = Vec::new();
    let mut text = String::new();
    loop {
        let c = *chars.get(at).ok_or_else(unterminated)?;
        at += 1;
        match c {
            '"' => {
                pieces.push((text, None));
                return Ok((pieces, at));
            }
            '\\' => {
                let escape = *chars.get(at).ok_or_else(unterminated)?;
                at += 1;
                match escape {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    '"' | '\\' | '/' => text.push(escape),
                    'u' => {
                        let digits: String = chars[at..].iter().take(4).collect();
                        at += digits.len();
                        let code = u32::from_str_radix(&digits, 16)
                            .map_err(|_| "invalid \\u escape".to_owned())?;
                        text.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                    }
                    '(' => {
                        let start = at;
                        let mut depth = 1;
                        while depth > 0 {
                            match chars.get(at).ok_or_else(unterminated)? {
                                '(' => depth += 1,
                                ')' => depth -= 1,
                                '"' => at = string(chars, at + 1)?.1 - 1,
                                _ => {}
                            }
                            at += 1;
                        }
                        let source: String = chars[start..at - 1].iter().collect();
                        pieces.push((std::mem::take(&mut text), Some(source)));
                    }
                    other => return Err(format!("invalid escape \\{other}")),
                }
            }
            c => text.push(c),
        }
    }
}
