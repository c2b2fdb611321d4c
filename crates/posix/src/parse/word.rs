//! The grammar of words: quotes, parameters, substitutions, here-documents.

use super::{Parsed, Parser, PendingHere, parse_inner};
use crate::syntax::{Modifier, Part, Word};
use std::sync::Arc;

/// How many words one brace expansion may make.
const BRACE_WORDS_MAX: usize = 10_000;

/// What ends a run of word parts.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// A blank, newline or operator.
    Blank,
    /// This character, outside quotes.
    Char(char),
    /// Either `/` or `}`.
    SlashOrBrace,
    /// Either `:` or `}`.
    ColonOrBrace,
    /// A blank; parentheses and `|` belong to the word (a regular expression).
    Regex,
}

impl Parser {
    /// A word, if one begins here.
    pub(super) fn word(&mut self) -> Parsed<Option<Word>> {
        self.word_in(false)
    }

    /// As `word`; an assignment's value has `~` after each `:` too.
    pub(super) fn word_in(&mut self, assignment: bool) -> Parsed<Option<Word>> {
        let start = self.at;
        let mut parts = self.parts(End::Blank, false)?;
        if self.at == start {
            return Ok(None);
        }
        if let Some(Part::Literal(text)) = parts.first()
            && text.starts_with('~')
        {
            let length = text.find('/').unwrap_or(text.len());
            if parts.len() == 1 || length < text.len() {
                let (user, rest) = (text[1..length].to_owned(), text[length..].to_owned());
                parts[0] = Part::Tilde(user);
                if !rest.is_empty() {
                    parts.insert(1, Part::Literal(rest));
                }
            }
        }
        if parts.is_empty() && !assignment {
            parts.push(Part::Quoted(String::new()));
        }
        Ok(Some(parts))
    }

    pub(super) fn regex_word(&mut self) -> Parsed<Option<Word>> {
        let parts = self.parts(End::Regex, false)?;
        Ok(if parts.is_empty() { None } else { Some(parts) })
    }

    /// Parts up to `end` (not passed). `quoted`: within double quotes.
    fn parts(&mut self, end: End, quoted: bool) -> Parsed<Word> {
        let mut parts = Word::new();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let ends = match end {
                End::Blank => c.is_whitespace() || ";&|()<>".contains(c),
                End::Regex => c.is_whitespace(),
                End::Char(e) => c == e,
                End::SlashOrBrace => c == '/' || c == '}',
                End::ColonOrBrace => c == ':' || c == '}',
            };
            if ends {
                break;
            }
            let plain = |text: String| {
                if quoted {
                    Part::Quoted(text)
                } else {
                    Part::Literal(text)
                }
            };
            let special = match c {
                '\\' => {
                    self.at += 1;
                    let next = self.peek();
                    self.at += usize::from(next.is_some());
                    match next {
                        None => text.push('\\'),
                        Some('\n') => {}
                        Some(n) if quoted && !"$`\"\\}".contains(n) => text.extend(['\\', n]),
                        Some('}') if quoted && end != End::Char('}') => text.push_str("\\}"),
                        Some(n) if quoted => text.push(n),
                        Some(n) => {
                            if !text.is_empty() {
                                parts.push(Part::Literal(std::mem::take(&mut text)));
                            }
                            parts.push(Part::Quoted(n.to_string()));
                        }
                    }
                    continue;
                }
                '\'' if !quoted => {
                    self.at += 1;
                    vec![Part::Quoted(self.until_quote()?)]
                }
                '"' if !(quoted && end == End::Char('"')) => {
                    self.at += 1;
                    let inner = self.nested(|p| p.parts(End::Char('"'), true))?;
                    if !self.accept("\"") {
                        return self.error("unterminated quoted string");
                    }
                    if inner.is_empty() {
                        vec![Part::Quoted(String::new())]
                    } else {
                        inner
                    }
                }
                '$' if !quoted && self.peek_at(1) == Some('\'') => {
                    self.at += 2;
                    vec![Part::Quoted(self.ansi_quote()?)]
                }
                '$' => match self.dollar(quoted)? {
                    Some(part) => vec![part],
                    None => {
                        self.at += 1;
                        text.push('$');
                        continue;
                    }
                },
                '`' => vec![self.backquoted(quoted)?],
                c => {
                    self.at += 1;
                    text.push(c);
                    continue;
                }
            };
            if !text.is_empty() {
                parts.push(plain(std::mem::take(&mut text)));
            }
            parts.extend(special);
        }
        if !text.is_empty() {
            parts.push(if quoted {
                Part::Quoted(text)
            } else {
                Part::Literal(text)
            });
        }
        Ok(parts)
    }

    fn until_quote(&mut self) -> Parsed<String> {
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return self.error("unterminated quoted string"),
                Some(c) => {
                    self.at += 1;
                    if c == '\'' {
                        return Ok(text);
                    }
                    text.push(c);
                }
            }
        }
    }

    /// `$'…'`, after its opening.
    fn ansi_quote(&mut self) -> Parsed<String> {
        let start = self.at;
        loop {
            match self.peek() {
                None => return self.error("unterminated quoted string"),
                Some('\'') => break,
                Some('\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        let raw: String = self.text[start..self.at].iter().collect();
        self.at += 1;
        Ok(crate::text::unescape(&raw, crate::text::Escapes::Ansi).0)
    }

    /// What begins with `$`, or None where the `$` stands for itself.
    fn dollar(&mut self, quoted: bool) -> Parsed<Option<Part>> {
        let part = match self.peek_at(1) {
            Some('{') => {
                self.at += 2;
                self.nested(|p| p.braced(quoted))?
            }
            Some('(') => {
                if self.peek_at(2) == Some('(') {
                    let start = self.at;
                    self.at += 3;
                    if let Some(text) = self.nested(Parser::arithmetic_text)? {
                        return Ok(Some(Part::Arithmetic { text, quoted }));
                    }
                    self.at = start;
                }
                self.at += 2;
                self.nested(|p| p.substitution(quoted))?
            }
            Some(c) if c == '_' || c.is_ascii_alphabetic() => {
                self.at += 1;
                Part::Parameter {
                    name: self.name(),
                    modifier: Modifier::None,
                    quoted,
                }
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                self.at += 2;
                Part::Parameter {
                    name: c.to_string(),
                    modifier: Modifier::None,
                    quoted,
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(part))
    }

    fn name(&mut self) -> String {
        let name: String = self.text[self.at..]
            .iter()
            .take_while(|c| **c == '_' || c.is_ascii_alphanumeric())
            .collect();
        self.at += name.len();
        name
    }

    /// `$(…)`, after its opening.
    fn substitution(&mut self, quoted: bool) -> Parsed<Part> {
        let waiting = std::mem::take(&mut self.pending);
        self.skip_newlines()?;
        let body = match self.peek() {
            Some(')') => crate::syntax::Node::Sequence(Vec::new()),
            _ => self.compound_list()?,
        };
        self.skip_newlines()?;
        if !self.accept(")") {
            return self.unexpected(")");
        }
        self.pending.splice(0..0, waiting);
        Ok(Part::Command {
            body: Arc::new(body),
            quoted,
        })
    }

    fn backquoted(&mut self, quoted: bool) -> Parsed<Part> {
        let line = self.line();
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return self.error("unterminated backquote substitution"),
                Some('`') => break,
                Some('\\')
                    if self.peek_at(1).is_some_and(|c| {
                        c == '`' || c == '\\' || c == '$' || (quoted && c == '"')
                    }) =>
                {
                    text.extend(self.peek_at(1));
                    self.at += 2;
                }
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let body = parse_inner(&text, self.dialect, line, self.depth).map_err(|mut e| {
            e.incomplete = false;
            e
        })?;
        Ok(Part::Command {
            body: Arc::new(body),
            quoted,
        })
    }

    /// The text of `((…))` after its opening; None where it is no arithmetic after all.
    pub(super) fn arithmetic_text(&mut self) -> Parsed<Option<Word>> {
        let mut depth = 0_usize;
        let mut end = self.at;
        loop {
            match self.text.get(end) {
                None => return Ok(None),
                Some('(') => depth += 1,
                Some(')') if depth > 0 => depth -= 1,
                Some(')') if self.text.get(end + 1) == Some(&')') => break,
                Some(')') => return Ok(None),
                Some(_) => {}
            }
            end += 1;
        }
        let parts = self.arithmetic_until(end)?;
        self.at = end + 2;
        Ok(Some(parts))
    }

    /// A part of `for ((a; b; c))` up to and over `end`.
    pub(super) fn arithmetic_part(&mut self, end: &str) -> Parsed<Word> {
        let start = self.at;
        while self.peek().is_some() && !self.looking_at(end) {
            self.at += 1;
        }
        if self.peek().is_none() {
            return self.unexpected(end);
        }
        let stop = self.at;
        self.at = start;
        let parts = self.arithmetic_until(stop)?;
        self.at = stop;
        self.accept(end);
        Ok(parts)
    }

    fn arithmetic_until(&mut self, end: usize) -> Parsed<Word> {
        let text: String = self.text[self.at..end].iter().collect();
        let mut inner = Parser::new(&text, self.dialect, self.line(), self.depth);
        // Quotes in an arithmetic expression only group: nothing in it is split.
        let mut parts = Word::new();
        while inner.peek().is_some() {
            parts.extend(
                inner
                    .nested(|p| p.parts(End::Char('\0'), true))
                    .map_err(|mut e| {
                        e.incomplete = false;
                        e
                    })?,
            );
            inner.at += 1;
        }
        Ok(parts)
    }

    /// `${…}`, after its opening.
    fn braced(&mut self, quoted: bool) -> Parsed<Part> {
        let indirect = self.peek() == Some('!')
            && self
                .peek_at(1)
                .is_some_and(|c| c == '_' || c.is_ascii_alphabetic());
        self.at += usize::from(indirect);
        let length = self.peek() == Some('#')
            && self.peek_at(1).is_some_and(|c| {
                !"}%#:-=+?".contains(c)
                    || (c == '#' || c == '?' || c == '-') && self.peek_at(2) == Some('}')
            });
        self.at += usize::from(length);
        let name = match self.peek() {
            Some(c) if c == '_' || c.is_ascii_alphabetic() => self.name(),
            Some(c) if c.is_ascii_digit() => {
                let digits: String = self.text[self.at..]
                    .iter()
                    .take_while(|c| c.is_ascii_digit())
                    .collect();
                self.at += digits.len();
                digits
            }
            Some(c) if "@*#?-$!".contains(c) => {
                self.at += 1;
                c.to_string()
            }
            _ => return self.error("bad substitution"),
        };
        if self.peek() == Some('[') {
            return self.error("arrays are not supported");
        }
        let mut modifier = match (length, indirect) {
            (true, _) => Modifier::Length,
            (_, true) => Modifier::Indirect,
            _ => Modifier::None,
        };
        if !self.accept("}") {
            if !matches!(modifier, Modifier::None) {
                return self.error("bad substitution");
            }
            modifier = self.modifier(quoted)?;
            if !self.accept("}") {
                return self.unexpected("}");
            }
        }
        Ok(Part::Parameter {
            name,
            modifier,
            quoted,
        })
    }

    fn modifier(&mut self, quoted: bool) -> Parsed<Modifier> {
        let or_null =
            self.peek() == Some(':') && self.peek_at(1).is_some_and(|c| "-=+?".contains(c));
        self.at += usize::from(or_null);
        let Some(operator) = self.peek() else {
            return self.unexpected("}");
        };
        self.at += 1;
        let doubled = |p: &mut Parser, c: &str| p.accept(c);
        Ok(match operator {
            '-' | '=' | '+' | '?' => Modifier::Default {
                operator,
                or_null,
                word: self.parts(End::Char('}'), quoted)?,
            },
            '%' => {
                let longest = doubled(self, "%");
                Modifier::Trim {
                    suffix: true,
                    longest,
                    pattern: self.parts(End::Char('}'), false)?,
                }
            }
            '#' => {
                let longest = doubled(self, "#");
                Modifier::Trim {
                    suffix: false,
                    longest,
                    pattern: self.parts(End::Char('}'), false)?,
                }
            }
            '/' => {
                let anchor = match self.peek() {
                    Some(c @ ('/' | '#' | '%')) => {
                        self.at += 1;
                        c
                    }
                    _ => ' ',
                };
                let pattern = self.parts(End::SlashOrBrace, false)?;
                let with = match self.accept("/") {
                    true => self.parts(End::Char('}'), quoted)?,
                    false => Word::new(),
                };
                Modifier::Replace {
                    anchor,
                    pattern,
                    with,
                }
            }
            ':' => {
                let offset = self.parts(End::ColonOrBrace, true)?;
                let length = match self.accept(":") {
                    true => Some(self.parts(End::Char('}'), true)?),
                    false => None,
                };
                Modifier::Slice { offset, length }
            }
            '^' => Modifier::Case {
                upper: true,
                all: doubled(self, "^"),
            },
            ',' => Modifier::Case {
                upper: false,
                all: doubled(self, ","),
            },
            _ => {
                self.at -= 1;
                return self.error("bad substitution");
            }
        })
    }

    /// A here-document's lines, from the line's beginning over the delimiter's line.
    pub(super) fn here_document(&mut self, here: &PendingHere) -> Parsed<Word> {
        let mut body = String::new();
        let line = self.line();
        loop {
            if self.peek().is_none() {
                return self.error(format!(
                    "here-document delimited by end of file (wanted \"{}\")",
                    here.delimiter
                ));
            }
            let mut text: String = self.text[self.at..]
                .iter()
                .take_while(|c| **c != '\n')
                .collect();
            self.at += text.chars().count();
            let ended = self.peek().is_none();
            self.at += usize::from(!ended);
            if here.strip_tabs {
                text = text.trim_start_matches('\t').to_owned();
            }
            if text == here.delimiter {
                break;
            }
            body.push_str(&text);
            body.push('\n');
        }
        if here.quoted {
            return Ok(vec![Part::Quoted(body)]);
        }
        // In an unquoted one `"` is an ordinary character: only $, ` and \ mean something.
        let mut inner = Parser::new(&body, self.dialect, line, self.depth);
        let parts = inner.nested(Parser::here_parts).map_err(|mut e| {
            e.incomplete = false;
            e
        })?;
        Ok(parts)
    }

    fn here_parts(&mut self) -> Parsed<Word> {
        let mut parts = Word::new();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let part = match c {
                '\\' => {
                    match self.peek_at(1) {
                        Some('\n') => {}
                        Some(n @ ('$' | '`' | '\\')) => text.push(n),
                        Some(n) => text.extend(['\\', n]),
                        None => text.push('\\'),
                    }
                    self.at = (self.at + 2).min(self.text.len());
                    continue;
                }
                '$' => self.dollar(true)?,
                '`' => Some(self.backquoted(true)?),
                _ => None,
            };
            match part {
                Some(part) => {
                    parts.push(Part::Quoted(std::mem::take(&mut text)));
                    parts.push(part);
                }
                None => {
                    self.at += 1;
                    text.push(c);
                }
            }
        }
        parts.push(Part::Quoted(text));
        Ok(parts)
    }
}

/// bash's `{a,b}` and `{1..3}`, in a word's unquoted text; everything else is left as it stands.
pub(super) fn expand_braces(word: Word) -> Vec<Word> {
    let mut done = Vec::new();
    let mut todo = vec![word];
    while let Some(word) = todo.pop() {
        if done.len() + todo.len() > BRACE_WORDS_MAX {
            done.push(word);
            continue;
        }
        match expand_first_brace(&word) {
            Some(words) => todo.extend(words.into_iter().rev()),
            None => done.push(word),
        }
    }
    done
}

/// A part's character in the flat view of a word: only unquoted text can hold braces.
fn expand_first_brace(word: &Word) -> Option<Vec<Word>> {
    // (part, byte) of every unquoted brace and comma, in order.
    let marks: Vec<(usize, usize, char)> = word
        .iter()
        .enumerate()
        .filter_map(|(p, part)| match part {
            Part::Literal(text) => Some((p, text)),
            _ => None,
        })
        .flat_map(|(p, text)| {
            text.char_indices()
                .filter(|(_, c)| "{},".contains(*c))
                .map(move |(i, c)| (p, i, c))
        })
        .collect();
    for (first, open) in marks.iter().enumerate().filter(|(_, m)| m.2 == '{') {
        let mut depth = 0;
        let mut cuts = vec![*open];
        for mark in &marks[first + 1..] {
            match mark.2 {
                '{' => depth += 1,
                ',' if depth == 0 => cuts.push(*mark),
                '}' if depth == 0 => {
                    cuts.push(*mark);
                    let (before, after) = (
                        slice(word, None, Some(*open)),
                        slice(word, Some(*mark), None),
                    );
                    let middles: Vec<Word> = if cuts.len() > 2 {
                        cuts.windows(2)
                            .map(|pair| slice(word, Some(pair[0]), Some(pair[1])))
                            .collect()
                    } else {
                        match slice(word, Some(*open), Some(*mark)).as_slice() {
                            [Part::Literal(text)] => range(text)?
                                .into_iter()
                                .map(|t| vec![Part::Literal(t)])
                                .collect(),
                            _ => break,
                        }
                    };
                    return Some(
                        middles
                            .into_iter()
                            .map(|middle| [before.clone(), middle, after.clone()].concat())
                            .collect(),
                    );
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    None
}

/// The parts between two marks, without the marks.
fn slice(
    word: &Word,
    from: Option<(usize, usize, char)>,
    to: Option<(usize, usize, char)>,
) -> Word {
    let mut out = Word::new();
    for (p, part) in word.iter().enumerate() {
        let after = from.is_none_or(|m| p >= m.0);
        let before = to.is_none_or(|m| p <= m.0);
        if !(after && before) {
            continue;
        }
        match part {
            Part::Literal(text) => {
                let start = from.filter(|m| m.0 == p).map_or(0, |m| m.1 + 1);
                let end = to.filter(|m| m.0 == p).map_or(text.len(), |m| m.1);
                if let Some(text) = text.get(start..end).filter(|t| !t.is_empty()) {
                    out.push(Part::Literal(text.to_owned()));
                }
            }
            other => out.push(other.clone()),
        }
    }
    out
}

/// `1..5`, `1..9..2`, `a..e`
fn range(text: &str) -> Option<Vec<String>> {
    let mut ends = text.split("..");
    let (from, to, step) = (ends.next()?, ends.next()?, ends.next());
    if ends.next().is_some() {
        return None;
    }
    let step = step
        .map_or(Some(1), |s| s.parse::<i64>().ok())?
        .unsigned_abs()
        .max(1);
    let letter = |t: &str| {
        t.chars()
            .next()
            .filter(|c| t.len() == 1 && c.is_ascii_alphabetic())
    };
    let (a, b, letters) = match (from.parse::<i64>(), to.parse::<i64>()) {
        (Ok(a), Ok(b)) => (a, b, false),
        _ => (
            i64::from(u32::from(letter(from)?)),
            i64::from(u32::from(letter(to)?)),
            true,
        ),
    };
    let count = a.abs_diff(b) / step + 1;
    if count > BRACE_WORDS_MAX as u64 {
        return None;
    }
    let padded = [from, to]
        .iter()
        .any(|t| t.trim_start_matches('-').len() > 1 && t.trim_start_matches('-').starts_with('0'));
    let width = if padded && text.len() < 100 {
        from.len().max(to.len())
    } else {
        0
    };
    let sign = if b < a { -1 } else { 1 };
    (0..count)
        .map(|i| {
            let n = a.checked_add(sign * i64::try_from(i.checked_mul(step)?).ok()?)?;
            Some(if letters {
                char::from(u8::try_from(n).ok()?).to_string()
            } else {
                format!("{n:0width$}")
            })
        })
        .collect()
}
