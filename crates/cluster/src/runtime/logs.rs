//! What a container has written, line by line, bounded.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use kubarium_objects::Text;

use crate::time::Time;

/// Bytes that are kept of a container's output (the kubelet rotates its files at 10 MiB).
const BYTES_MAX: usize = 64 << 10;

/// One line with the time at which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Time,
    /// Whether it was written to standard error.
    pub is_error: bool,
    /// The line without its end.
    pub text: Text,
    /// Whether its end was written: the last line may lack it.
    pub complete: bool,
}

/// A container's output.
#[derive(Clone, Debug)]
pub struct Logs {
    lines: Arc<VecDeque<Line>>,
    bytes: usize,
}

impl Default for Logs {
    /// Nothing yet, as most containers have written.
    fn default() -> Logs {
        static NOTHING: LazyLock<Arc<VecDeque<Line>>> = LazyLock::new(Arc::default);
        Logs {
            lines: NOTHING.clone(),
            bytes: 0,
        }
    }
}

impl Logs {
    /// Adds output.
    pub(crate) fn write(&mut self, at: Time, is_error: bool, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let lines = Arc::make_mut(&mut self.lines);
        let text = String::from_utf8_lossy(bytes);
        for piece in text.split_inclusive('\n') {
            let complete = piece.ends_with('\n');
            let piece = piece.strip_suffix('\n').unwrap_or(piece);
            self.bytes += piece.len() + 1;
            match lines.back_mut() {
                Some(last) if !last.complete && last.is_error == is_error => {
                    last.text = format!("{}{piece}", last.text).into();
                    last.complete = complete;
                }
                _ => lines.push_back(Line {
                    at,
                    is_error,
                    text: piece.into(),
                    complete,
                }),
            }
        }
        while self.bytes > BYTES_MAX
            && let Some(first) = lines.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(first.text.len() + 1);
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(logs: &Logs) -> Vec<&str> {
        logs.lines().map(|l| &*l.text).collect()
    }

    #[test]
    fn pieces_become_lines() {
        let mut logs = Logs::default();
        logs.write(Time(1), false, b"one\ntw");
        logs.write(Time(2), false, b"o\nthree\n");
        assert_eq!(text(&logs), ["one", "two", "three"]);
    }

    #[test]
    fn the_oldest_lines_go() {
        let mut logs = Logs::default();
        for n in 0..20_000 {
            logs.write(Time(n), false, format!("line {n}\n").as_bytes());
        }
        assert_eq!(text(&logs).last(), Some(&"line 19999"));
        assert!(logs.lines().map(|l| l.text.len() + 1).sum::<usize>() <= BYTES_MAX);
    }
}
