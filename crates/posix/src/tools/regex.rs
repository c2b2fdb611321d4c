//! POSIX regular expressions, put into regex-lite's words.
//!
//! regex-lite takes the first alternative that matches where POSIX takes the longest; the two differ
//! only for alternatives of which one begins another. Back-references are not there in it: `\1` in a
//! pattern is refused.

use regex_lite::{Regex, RegexBuilder};

/// Whose syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Basic,
    Extended,
}

/// How much memory a compiled expression may take, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// The expression, ready to match.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(pattern: &str, kind: Kind, ignore_case: bool) -> Result<Regex, String> {
    build(&translate(pattern, kind == Kind::Extended)?, ignore_case)
}

/// Builds what is already in regex-lite's words.
pub(crate) fn build(translated: &str, ignore_case: bool) -> Result<Regex, String> {
    RegexBuilder::new(translated)
        .case_insensitive(ignore_case)
        .size_limit(SIZE_MAX)
        .nest_limit(64)
        .dot_matches_new_line(true)
        .build()
        .map_err(|_| "Invalid regular expression".to_owned())
}

/// A POSIX expression in regex-lite's words.
pub(crate) fn translate(pattern: &str, extended: bool) -> Result<String, String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut at = 0;
    // At the beginning of an expression, group or alternative: `*` is literal there, `^` an anchor.
    let mut fresh = true;
    let mut depth = 0_usize;
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied();
        at += 1;
        let was_fresh = std::mem::replace(&mut fresh, false);
        // (operator, escaped): one and the same thing in the two syntaxes.
        let (operator, escaped) = match (c, next) {
            ('\\', Some(n)) => {
                at += 1;
                (n, true)
            }
            ('\\', None) => return Err("Trailing backslash".to_owned()),
            (c, _) => (c, false),
        };
        let special = escaped != extended;
        match operator {
            '(' if special => {
                out.push('(');
                depth += 1;
                fresh = true;
            }
            ')' if special && (depth > 0 || !extended) => {
                if depth == 0 {
                    return Err("Unmatched ) or \\)".to_owned());
                }
                depth -= 1;
                out.push(')');
            }
            '{' if special && !was_fresh => {
                let end = (at..chars.len()).find(|i| chars[*i] == '}');
                let Some(end) = end else {
                    return Err("Unmatched { or \\{".to_owned());
                };
                let text: String = chars[at..end].iter().collect();
                let bounds = text.trim_end_matches('\\');
                if !bounds.chars().all(|c| c.is_ascii_digit() || c == ',') || bounds.is_empty() {
                    if extended {
                        out.push_str("\\{");
                        continue;
                    }
                    return Err("Invalid content of \\{\\}".to_owned());
                }
                let bounds = if bounds.starts_with(',') {
                    format!("0{bounds}")
                } else {
                    bounds.to_owned()
                };
                out.push_str(&format!("{{{bounds}}}"));
                at = end + 1;
            }
            '|' if special => {
                out.push('|');
                fresh = true;
            }
            '+' | '?' if special => {
                if was_fresh {
                    out.push('\\');
                }
                out.push(operator);
            }
            '*' if !escaped => {
                if was_fresh {
                    out.push('\\');
                }
                out.push('*');
            }
            '^' if !escaped => {
                if extended || was_fresh {
                    out.push('^');
                    fresh = true;
                } else {
                    out.push_str("\\^");
                }
            }
            '$' if !escaped => {
                let last = at == chars.len()
                    || (!extended
                        && chars[at] == '\\'
                        && matches!(chars.get(at + 1), Some(')' | '|')));
                out.push_str(if extended || last { "$" } else { "\\$" });
            }
            '.' if !escaped => out.push('.'),
            '[' if !escaped => {
                let (class, used) = bracket(&chars[at..])?;
                out.push_str(&class);
                at += used;
            }
            'w' | 'W' | 's' | 'S' | 'b' | 'B' if escaped => out.extend(['\\', operator]),
            '<' if escaped => out.push_str("\\b"),
            '>' if escaped => out.push_str("\\b"),
            '`' if escaped => out.push_str("\\A"),
            '\'' if escaped => out.push_str("\\z"),
            'n' if escaped => out.push_str("\\n"),
            't' if escaped => out.push_str("\\t"),
            '1'..='9' if escaped => return Err("back-references are not supported".to_owned()),
            c => literal(&mut out, c),
        }
    }
    if depth > 0 {
        return Err("Unmatched ( or \\(".to_owned());
    }
    Ok(out)
}

fn literal(out: &mut String, c: char) {
    if "\\.+*?()|[]{}^$#&-~".contains(c) {
        out.push('\\');
    }
    out.push(c);
}

/// The text as an expression that matches just it.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    text.chars().for_each(|c| literal(&mut out, c));
    out
}

/// A bracket expression after its `[`, and how many characters it took.
fn bracket(chars: &[char]) -> Result<(String, usize), String> {
    let mut out = String::from("[");
    let mut at = 0;
    if chars.first() == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        let Some(&c) = chars.get(at) else {
            return Err("Unmatched [, [^, [:, [., or [=".to_owned());
        };
        match c {
            ']' if at > first => return Ok((out + "]", at + 1)),
            '[' if matches!(chars.get(at + 1), Some(':' | '.' | '=')) => {
                let mark = chars[at + 1];
                let end = (at + 2..chars.len().saturating_sub(1))
                    .find(|i| chars[*i] == mark && chars[i + 1] == ']');
                let Some(end) = end else {
                    return Err("Unmatched [, [^, [:, [., or [=".to_owned());
                };
                let name: String = chars[at + 2..end].iter().collect();
                if mark == ':' {
                    let known = [
                        "alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct",
                        "print", "graph", "cntrl", "xdigit",
                    ];
                    if !known.contains(&name.as_str()) {
                        return Err("Invalid character class name".to_owned());
                    }
                    out.push_str(&format!("[:{name}:]"));
                } else {
                    name.chars().for_each(|c| literal(&mut out, c));
                }
                at = end + 2;
            }
            '-' if at > first && chars.get(at + 1).is_some_and(|c| *c != ']') => {
                out.push('-');
                at += 1;
            }
            '[' | '\\' | ']' | '-' | '&' | '~' | '^' => {
                out.push('\\');
                out.push(c);
                at += 1;
            }
            c => {
                out.push(c);
                at += 1;
            }
        }
    }
}
