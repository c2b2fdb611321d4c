//! Scripts to trees: the grammar. Words are in `word`.

mod command;
mod word;

use crate::syntax::{Complete, Dialect, Node, Script, SyntaxError, Word};
use std::sync::{Arc, OnceLock};

/// How deep commands and words may be nested.
const DEPTH_MAX: usize = 48;
/// How long a script may be, in bytes.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// Parses a whole script.
///
/// # Errors
/// The first place where the text is no script. [`Reader`] gives the commands before that place.
pub fn parse(text: &str, dialect: Dialect) -> Result<Script, SyntaxError> {
    Reader::new(text, dialect)
        .collect::<Result<Vec<_>, _>>()
        .map(|commands| Script { commands })
}

/// Reads a script one top-level command at a time, as a shell does: what stands before an error
/// can still be run. Ends after the first error.
pub struct Reader {
    parser: Parser,
    failed: bool,
}

impl Reader {
    /// A reader at the text's beginning.
    pub fn new(text: &str, dialect: Dialect) -> Reader {
        let mut parser = Parser::new(text, dialect, 1, 0);
        if text.len() > TEXT_BYTES_MAX {
            parser.text.clear();
            parser.too_long = true;
        }
        Reader {
            parser,
            failed: false,
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Complete, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.parser.complete().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

type Parsed<T> = Result<T, SyntaxError>;

struct PendingHere {
    delimiter: String,
    quoted: bool,
    strip_tabs: bool,
    text: Arc<OnceLock<Word>>,
}

pub(crate) struct Parser {
    text: Vec<char>,
    at: usize,
    first_line: usize,
    depth: usize,
    dialect: Dialect,
    pending: Vec<PendingHere>,
    line_starts: Vec<usize>,
    too_long: bool,
}

impl Parser {
    fn new(text: &str, dialect: Dialect, first_line: usize, depth: usize) -> Parser {
        let text: Vec<char> = text.chars().collect();
        let line_starts = (0..text.len())
            .filter(|i| text[*i] == '\n')
            .map(|i| i + 1)
            .collect();
        Parser {
            text,
            at: 0,
            first_line,
            depth,
            dialect,
            pending: Vec::new(),
            line_starts,
            too_long: false,
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(i, c)| self.peek_at(i) == Some(c))
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.looking_at(text);
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn line(&self) -> usize {
        self.first_line + self.line_starts.partition_point(|start| *start <= self.at)
    }

    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        let before = &self.text[..self.at.min(self.text.len())];
        let column = 1 + before.iter().rev().take_while(|c| **c != '\n').count();
        Err(SyntaxError {
            line: self.line(),
            column,
            message: message.into(),
            incomplete: self.at >= self.text.len(),
        })
    }

    /// The error for a place where something else should stand.
    fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        let found = match self.peek() {
            None => "end of file unexpected".to_owned(),
            Some('\n') => "newline unexpected".to_owned(),
            Some(_) => {
                let word: String = self.text[self.at..]
                    .iter()
                    .take_while(|c| !c.is_whitespace())
                    .take(40)
                    .collect();
                format!("\"{word}\" unexpected")
            }
        };
        if wanted.is_empty() {
            self.error(found)
        } else {
            self.error(format!("{found} (expecting \"{wanted}\")"))
        }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Parser) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            let mut error = self.error::<T>(format!("nested deeper than {DEPTH_MAX} levels"));
            if let Err(e) = &mut error {
                e.incomplete = false;
            }
            return error;
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Blanks, comments and joined lines, but no newline.
    fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.peek_at(1) == Some('\n') => self.at += 2,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Blanks and newlines, reading the here-documents that wait for a newline.
    fn skip_newlines(&mut self) -> Parsed<()> {
        loop {
            self.skip_blanks();
            if self.peek() != Some('\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    fn newline(&mut self) -> Parsed<()> {
        self.at += 1;
        for here in std::mem::take(&mut self.pending) {
            let text = self.here_document(&here)?;
            // Set once only: each redirection has its own cell.
            let _ = here.text.set(text);
        }
        Ok(())
    }

    fn complete(&mut self) -> Parsed<Option<Complete>> {
        if self.too_long {
            return self.error(format!("the script is longer than {TEXT_BYTES_MAX} bytes"));
        }
        self.skip_newlines()?;
        if self.peek().is_none() {
            return Ok(None);
        }
        let (start, line) = (self.at, self.line());
        let node = self.list()?;
        self.skip_blanks();
        let mut end = self.at;
        match self.peek() {
            None if self.pending.is_empty() => {}
            None => return self.error("here-document delimited by end of file"),
            Some('\n') => {
                let had_here = !self.pending.is_empty();
                self.newline()?;
                if had_here {
                    end = self.at;
                }
            }
            Some(_) => return self.unexpected(""),
        }
        let text: String = self.text[start..end].iter().collect();
        Ok(Some(Complete {
            text: text.trim_end().to_owned(),
            line,
            node: Arc::new(node),
        }))
    }
}

/// A name as variables and functions have it.
pub(crate) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
}

/// Parses the text of a backquoted substitution.
fn parse_inner(text: &str, dialect: Dialect, line: usize, depth: usize) -> Parsed<Node> {
    let mut parser = Parser::new(text, dialect, line, depth);
    let mut nodes = Vec::new();
    while let Some(complete) = parser.nested(Parser::complete)? {
        if let Ok(node) = Arc::try_unwrap(complete.node) {
            nodes.push(node);
        }
    }
    Ok(Node::Sequence(nodes))
}
