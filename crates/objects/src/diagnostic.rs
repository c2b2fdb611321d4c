//! What is wrong with a text, and where.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It could be said better, or is not told everything.
    Hint,
    /// Worth knowing.
    Warning,
    /// The text is refused.
    Error,
}

/// A message about a place in a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// From 1; 0 where no line is known.
    pub line: usize,
    /// From 1; 0 where no column is known.
    pub column: usize,
    /// The field, such as `spec.containers[0].image`; empty where it is about none.
    pub path: String,
    /// What is wrong, in the words of the real program.
    pub message: String,
    /// What to do about it, in our own; may be empty.
    pub hint: String,
}

impl Diagnostic {
    /// An error at a line and column, both from 1.
    pub fn error(line: usize, column: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            line,
            column,
            path: String::new(),
            message: message.into(),
            hint: String::new(),
        }
    }

    /// A warning at a line and column, both from 1.
    pub fn warning(line: usize, column: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(line, column, message)
        }
    }
}

/// `line 3, column 5: message (hint)`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}
