//! Records: where they come from and where each ends.

use super::interpreter::{Done, FILENAME, FNR, Flow, Interpreter, RS};
use super::value::Value;

/// A source of records: the command line's files, or one text.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    /// Files and assignments that are still to come.
    operands: std::collections::VecDeque<String>,
    /// Standard input is read where no file was named.
    uses_stdin: bool,
    text: String,
    at: usize,
}

impl Input {
    pub fn main(operands: Vec<String>) -> Input {
        Input {
            operands: operands.into(),
            uses_stdin: true,
            ..Input::default()
        }
    }

    pub fn of(bytes: &[u8]) -> Input {
        Input {
            text: String::from_utf8_lossy(bytes).into_owned(),
            ..Input::default()
        }
    }

    /// Leaves the rest of the file.
    pub fn skip_file(&mut self) {
        self.at = self.text.len();
    }

    /// The next record, if there is one.
    pub fn next(&mut self, interpreter: &mut Interpreter) -> Done<Option<String>> {
        loop {
            if self.at < self.text.len()
                && let Some(record) = self.record(interpreter)?
            {
                return Ok(Some(record));
            }
            if !self.open(interpreter)? {
                return Ok(None);
            }
        }
    }

    /// Opens the next file; false where there is none.
    fn open(&mut self, interpreter: &mut Interpreter) -> Done<bool> {
        let file = loop {
            match self.operands.pop_front() {
                None if self.uses_stdin => break String::new(),
                None => return Ok(false),
                Some(word) => match word.split_once('=') {
                    Some((name, value)) if crate::parse::is_name(name) => {
                        interpreter.assign_text(name, value).map_err(Flow::Failed)?;
                    }
                    _ if word.is_empty() => {}
                    _ => break word,
                },
            }
        };
        self.uses_stdin = false;
        // Where no file is named it is standard input, which has no name.
        match interpreter
            .context
            .read(if file.is_empty() { "-" } else { &file })
        {
            Err(_) => Err(Flow::Starved),
            Ok(Err(message)) => {
                // gawk tells and goes on with the next file.
                interpreter
                    .context
                    .complain("awk", &format!("cannot open {message}"));
                interpreter.fail();
                Ok(!self.operands.is_empty())
            }
            Ok(Ok(bytes)) => {
                self.text = String::from_utf8_lossy(&bytes).into_owned();
                self.at = 0;
                interpreter.set_special(FNR, Value::Number(0.0));
                interpreter.set_special(FILENAME, Value::Text(file));
                Ok(true)
            }
        }
    }

    fn record(&mut self, interpreter: &mut Interpreter) -> Done<Option<String>> {
        let separator = interpreter.special(RS);
        let mut chars = separator.chars();
        let (first, more) = (chars.next(), chars.next().is_some());
        // An empty RS: paragraphs, with blank lines between them.
        if first.is_none() {
            let blank = self.text[self.at..]
                .bytes()
                .take_while(|b| *b == b'\n')
                .count();
            self.at += blank;
        }
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let found = match first {
            None => rest.find("\n\n").map(|at| (at, 2)),
            Some(c) if !more => rest.find(c).map(|at| (at, c.len_utf8())),
            Some(_) => {
                let regex = interpreter.regex(&separator)?;
                regex
                    .find(rest)
                    .filter(|m| !m.is_empty())
                    .map(|m| (m.start(), m.len()))
            }
        };
        let (end, length) = found.unwrap_or((rest.len(), 0));
        let mut record = rest[..end].to_owned();
        self.at += end + length;
        if found.is_none() && separator != "\n" && record.ends_with('\n') {
            record.pop();
        }
        Ok(Some(record))
    }
}
