//! awk's tokens.

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Regex(String),
    /// A name; `call`: with `(` right after it.
    Name {
        name: String,
        call: bool,
    },
    /// A reserved word or a builtin function's name.
    Word(&'static str),
    Operator(&'static str),
    Newline,
    End,
}

const WORDS: [&str; 46] = [
    "BEGIN", "END", "function", "func", "if", "else", "while", "for", "do", "break", "continue",
    "next", "nextfile", "exit", "return", "delete", "in", "getline", "print", "printf", "length",
    "substr", "index", "split", "sub", "gsub", "gensub", "match", "sprintf", "tolower", "toupper",
    "sin", "cos", "atan2", "exp", "log", "sqrt", "int", "rand", "srand", "system", "close",
    "fflush", "systime", "strftime", "switch",
];

/// Longest first.
const OPERATORS: [&str; 43] = [
    "**=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "**", "==", "<=", ">=",
    "!=", "!~", ">>", "|&", "{", "}", "(", ")", "[", "]", ";", ",", "+", "-", "*", "/", "%", "^",
    "!", ">", "<", "|", "?", ":", "~", "$", "=", "@",
];

/// Takes a program apart; each token with its line.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut out: Vec<(Token, usize)> = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let c = chars[at];
        match c {
            ' ' | '\t' | '\r' => at += 1,
            '\n' => {
                out.push((Token::Newline, line));
                line += 1;
                at += 1;
            }
            '\\' if chars.get(at + 1) == Some(&'\n') => {
                line += 1;
                at += 2;
            }
            '#' => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
            }
            '"' => {
                let (text, end) =
                    string(&chars, at + 1).ok_or(format!("line {line}: unterminated string"))?;
                out.push((Token::Text(text), line));
                at = end;
            }
            '/' if !after_operand(out.last()) => {
                let (regex, end) =
                    regex(&chars, at + 1).ok_or(format!("line {line}: unterminated regexp"))?;
                out.push((Token::Regex(regex), line));
                at = end;
            }
            c if c.is_ascii_digit()
                || (c == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit)) =>
            {
                let rest: String = chars[at..].iter().take(64).collect();
                let length = if rest.starts_with("0x") || rest.starts_with("0X") {
                    2 + rest[2..].bytes().take_while(u8::is_ascii_hexdigit).count()
                } else {
                    number_length(&rest)
                };
                let value = match rest[..length]
                    .strip_prefix("0x")
                    .or_else(|| rest[..length].strip_prefix("0X"))
                {
                    Some(hex) => u64::from_str_radix(hex, 16).unwrap_or(0) as f64,
                    None => rest[..length].parse().unwrap_or(0.0),
                };
                out.push((Token::Number(value), line));
                at += length.max(1);
            }
            c if c == '_' || c.is_ascii_alphabetic() => {
                let name: String = chars[at..]
                    .iter()
                    .take_while(|c| **c == '_' || c.is_ascii_alphanumeric())
                    .collect();
                at += name.len();
                let call = chars.get(at) == Some(&'(');
                out.push((
                    match WORDS.iter().find(|w| **w == name) {
                        Some(word) => Token::Word(word),
                        None => Token::Name { name, call },
                    },
                    line,
                ));
            }
            _ => {
                let found = OPERATORS.iter().find(|o| {
                    o.chars()
                        .enumerate()
                        .all(|(i, c)| chars.get(at + i) == Some(&c))
                });
                let Some(operator) = found else {
                    return Err(format!("line {line}: syntax error at {c}"));
                };
                at += operator.len();
                let operator = match *operator {
                    "**" => "^",
                    "**=" => "^=",
                    other => other,
                };
                out.push((Token::Operator(operator), line));
            }
        }
    }
    out.push((Token::Newline, line));
    out.push((Token::End, line));
    Ok(out)
}

fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut at = digits(0);
    if bytes.get(at) == Some(&b'.') {
        at += 1 + digits(at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// Whether a `/` here divides: after something that has a value.
fn after_operand(last: Option<&(Token, usize)>) -> bool {
    match last.map(|(token, _)| token) {
        Some(Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name { .. }) => true,
        Some(Token::Operator(o)) => matches!(*o, ")" | "]" | "$" | "++" | "--"),
        Some(Token::Word(w)) => *w == "length",
        _ => false,
    }
}

fn string(chars: &[char], mut at: usize) -> Option<(String, usize)> {
    let mut out = String::new();
    loop {
        let c = *chars.get(at)?;
        at += 1;
        match c {
            '"' => return Some((out, at)),
            '\n' => return None,
            '\\' => {
                let escape = *chars.get(at)?;
                at += 1;
                match escape {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'a' => out.push('\u{7}'),
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    'v' => out.push('\u{b}'),
                    '"' | '\\' | '/' => out.push(escape),
                    '\n' => {}
                    '0'..='7' => {
                        let mut value = escape.to_digit(8).unwrap_or(0);
                        for _ in 0..2 {
                            match chars.get(at).and_then(|c| c.to_digit(8)) {
                                Some(digit) => value = value * 8 + digit,
                                None => break,
                            }
                            at += 1;
                        }
                        out.extend(char::from_u32(value & 0xff));
                    }
                    // What is no escape stays as it is, for a regular expression made of the string.
                    other => out.extend(['\\', other]),
                }
            }
            c => out.push(c),
        }
    }
}

fn regex(chars: &[char], mut at: usize) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut in_bracket = false;
    loop {
        let c = *chars.get(at)?;
        at += 1;
        match c {
            '\n' => return None,
            '/' if !in_bracket => return Some((out, at)),
            '\\' => {
                let escape = *chars.get(at)?;
                at += 1;
                if escape == '/' {
                    out.push('/');
                } else {
                    out.extend(['\\', escape]);
                }
            }
            '[' if !in_bracket => {
                in_bracket = true;
                out.push('[');
                // A bracket right at the beginning is literal.
                if chars.get(at) == Some(&'^') {
                    out.push('^');
                    at += 1;
                }
                if chars.get(at) == Some(&']') {
                    out.push(']');
                    at += 1;
                }
            }
            '[' if chars.get(at) == Some(&':') => {
                out.push('[');
                while let Some(c) = chars.get(at) {
                    out.push(*c);
                    at += 1;
                    if *c == ']' {
                        break;
                    }
                }
            }
            ']' => {
                in_bracket = false;
                out.push(']');
            }
            c => out.push(c),
        }
    }
}
