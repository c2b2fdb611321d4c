//! Errors in the words of the libyaml port behind sigs.k8s.io/yaml (goyaml v2), and with its way of
//! counting lines: what the scanner finds is on a line counted from 1, what the parser finds on one
//! counted from 0, and line 0 is not mentioned.

use saphyr_parser::ScanError;

use crate::diagnostic::Diagnostic;

enum Found {
    /// By the scanner.
    Scanner(&'static str),
    /// By the parser.
    Parser(&'static str),
}

/// The error for a character that YAML does not allow, if there is one.
pub(super) fn control_character(text: &str, lines_before: usize) -> Option<Diagnostic> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let (at, _) = text.char_indices().find(|(_, c)| !allowed(*c))?;
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Some(Diagnostic::error(
        line + lines_before,
        column,
        "error converting YAML to JSON: yaml: control characters are not allowed",
    ))
}

/// The name of the alias at a line and column (both from 1).
pub(super) fn alias_name(text: &str, line: usize, column: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or("");
    let from_star = line
        .chars()
        .skip(column.saturating_sub(1))
        .skip_while(|c| *c == '*');
    from_star
        .take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        .collect()
}

/// The parser's error in libyaml's words.
pub(super) fn scan(text: &str, lines_before: usize, e: &ScanError) -> Diagnostic {
    let (line, column) = (e.marker().line(), e.marker().col() + 1);
    let info = e.info();
    let absolute = |message: String| {
        Diagnostic::error(
            line + lines_before,
            column,
            format!("error converting YAML to JSON: yaml: {message}"),
        )
    };
    if info.contains("unknown anchor") {
        let name = alias_name(text, line, column);
        return absolute(format!("unknown anchor '{name}' referenced"));
    }
    let (line_shown, message) = match found(text, line, info) {
        (Found::Scanner(m), at) => (at, m),
        (Found::Parser(m), at) => (at.saturating_sub(1), m),
    };
    // goyaml mentions no line where its own count, from 0, is 0.
    if line_shown == 0 || line == 1 {
        return absolute(message.into());
    }
    absolute(format!("line {line_shown}: {message}"))
}

/// What libyaml finds, and on which line, counted from 1.
fn found(text: &str, line: usize, info: &str) -> (Found, usize) {
    use Found::{Parser, Scanner};
    let has = |part: &str| info.contains(part);
    let here = text.lines().nth(line.saturating_sub(1)).unwrap_or("");
    let lines = text.lines().count();
    if has("tab") || (here.trim_start_matches(' ').starts_with('\t') && has("indentation")) {
        return match in_block_scalar(text, line) {
            true => (
                Scanner("found a tab character where an indentation space is expected"),
                line,
            ),
            false => (Scanner("found character that cannot start any token"), line),
        };
    }
    if has("quoted scalar") && (has("end of stream") || has("indentation")) {
        // libyaml reads on to the closing quote, however the lines are indented.
        return (Scanner("found unexpected end of stream"), lines + 1);
    }
    if has("illegal placement of ':'") {
        match innermost_bracket(text, line) {
            Some('[') => return (Parser("did not find expected ',' or ']'"), line),
            Some(_) => return (Parser("did not find expected ',' or '}'"), line),
            None => {}
        }
    }
    let what = if has("misplaced bracket") {
        Parser("did not find expected key")
    } else if has("alphabetic or numeric") {
        Scanner("did not find expected alphabetic or numeric character")
    } else if has("simple key expect") {
        Scanner("could not find expected ':'")
    } else if has("mapping values are not allowed") || has("illegal placement of ':'") {
        Scanner("mapping values are not allowed in this context")
    } else if has("mapping keys are not allowed") {
        Scanner("mapping keys are not allowed in this context")
    } else if has("block sequence entries are not allowed") {
        Scanner("block sequence entries are not allowed in this context")
    } else if has("unexpected end of stream") {
        return (Scanner("found unexpected end of stream"), lines + 1);
    } else if has("unknown escape") {
        Scanner("found unknown escape character")
    } else if has("',' or '}'") {
        Parser("did not find expected ',' or '}'")
    } else if has("',' or ']'") {
        Parser("did not find expected ',' or ']'")
    } else if has("expected key") {
        Parser("did not find expected key")
    } else if has("expected '-' indicator") {
        Parser("did not find expected '-' indicator")
    } else if has("<document start>") {
        Parser("did not find expected <document start>")
    } else if has("node content") {
        Parser("did not find expected node content")
    } else if has("cannot start") || has("unexpected character") {
        Scanner("found character that cannot start any token")
    } else {
        Scanner("could not find expected ':'")
    };
    (what, line)
}

/// Whether a line (from 1) belongs to a `|` or `>` text above it.
fn in_block_scalar(text: &str, line: usize) -> bool {
    let indent = |l: &str| l.len() - l.trim_start_matches(' ').len();
    let mut least = usize::MAX;
    let lines: Vec<&str> = text.lines().take(line.saturating_sub(1)).collect();
    for above in lines.into_iter().rev().filter(|l| !l.trim().is_empty()) {
        if indent(above) < least {
            least = indent(above);
            let end = above
                .trim_end()
                .trim_end_matches(|c: char| c.is_ascii_digit() || c == '+' || c == '-');
            if end.ends_with(" |") || end.ends_with(" >") {
                return true;
            }
        }
        if least == 0 {
            break;
        }
    }
    false
}

/// The last bracket in front of a line (from 1) that is still open there.
fn innermost_bracket(text: &str, line: usize) -> Option<char> {
    let mut open = Vec::new();
    for c in text
        .lines()
        .take(line.saturating_sub(1))
        .flat_map(str::chars)
    {
        match c {
            '[' | '{' => open.push(c),
            ']' | '}' => _ = open.pop(),
            _ => {}
        }
    }
    open.pop()
}
