//! Expansion: what words become.

use super::Abort;
use crate::arith::{self, Scope};
use crate::code::Op;
use crate::host::{FileKind, Host};
use crate::machine::Machine;
use crate::pattern;
use crate::process::{Flags, OpenWord, Piece, Process};

/// How many fields one word may become.
const FIELDS_MAX: usize = 100_000;
/// Text longer than this makes the machine look at its memory at once.
const LONG_BYTES: usize = 1 << 16;

struct Variables<'a> {
    process: &'a mut Process,
    values: Vec<(String, Option<String>)>,
}

impl Scope for Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let special = self
            .values
            .iter()
            .find(|(n, _)| n == name)
            .and_then(|(_, v)| v.clone());
        special.or_else(|| self.process.value(name).map(str::to_owned))
    }

    fn set(&mut self, name: &str, value: i64) -> bool {
        self.process.set(name, value.to_string())
    }
}

impl Machine {
    pub(super) fn word_operation(
        &mut self,
        op: &Op,
        process: &mut Process,
        host: &mut dyn Host,
    ) -> Result<(), Abort> {
        match op {
            Op::Open => process.words.push(OpenWord::new()),
            Op::Text {
                text,
                quoted,
                split,
            } => push(process, text.to_string(), *quoted, *split),
            Op::Tilde(user) => {
                let home = match &**user {
                    "" => process.value("HOME").unwrap_or("/root").to_owned(),
                    "+" => process.cwd.to_string(),
                    "root" => "/root".to_owned(),
                    user => format!("~{user}"),
                };
                push(process, home, true, false);
            }
            Op::Parameter { name, quoted } => match &**name {
                "@" => self.push_parameters(process, *quoted),
                "*" if !quoted => self.push_parameters(process, false),
                name => {
                    let value = self.wanted(process, host, name)?;
                    push(process, value, *quoted, true);
                }
            },
            Op::Length { name, quoted } => {
                let length = match &**name {
                    "@" | "*" => process.parameters.len(),
                    name => self.wanted(process, host, name)?.chars().count(),
                };
                push(process, length.to_string(), *quoted, true);
            }
            Op::Indirect { name, quoted } => {
                let target = self.wanted(process, host, name)?;
                let value = self.parameter(process, host, &target).unwrap_or_default();
                push(process, value, *quoted, true);
            }
            Op::AssignDefault { name, quoted } => {
                let value = self.close_string(process, host)?;
                self.assign(process, name, value.clone())?;
                push(process, value, *quoted, true);
            }
            Op::FailUnset { name, or_null } => {
                let text = self.close_string(process, host)?;
                let text = match (text.is_empty(), or_null) {
                    (false, _) => text,
                    (true, true) => "parameter not set or null".to_owned(),
                    (true, false) => "parameter not set".to_owned(),
                };
                return Err(Abort::new(format!("{name}: {text}")));
            }
            Op::Trim {
                name,
                suffix,
                longest,
                quoted,
            } => {
                let pattern = self.close_pattern(process);
                let value = self.wanted(process, host, name)?;
                self.spend(value.len() as u64);
                push(
                    process,
                    pattern::trim(&value, &pattern, *suffix, *longest),
                    *quoted,
                    true,
                );
            }
            Op::Replace {
                name,
                anchor,
                quoted,
            } => {
                let with = self.close_string(process, host)?;
                let pattern = self.close_pattern(process);
                let value = self.wanted(process, host, name)?;
                self.spend(value.len() as u64);
                push(
                    process,
                    pattern::replace(&value, &pattern, &with, *anchor),
                    *quoted,
                    true,
                );
            }
            Op::Slice {
                name,
                has_length,
                quoted,
            } => {
                let length = match has_length {
                    true => {
                        let text = self.close_string(process, host)?;
                        Some(self.arithmetic(process, host, &text)?)
                    }
                    false => None,
                };
                let text = self.close_string(process, host)?;
                let offset = self.arithmetic(process, host, &text)?;
                let value = self.wanted(process, host, name)?;
                push(process, slice(&value, offset, length), *quoted, true);
            }
            Op::Case {
                name,
                upper,
                all,
                quoted,
            } => {
                let value = self.wanted(process, host, name)?;
                let convert = |t: &str| {
                    if *upper {
                        t.to_uppercase()
                    } else {
                        t.to_lowercase()
                    }
                };
                let first = value.chars().next().map_or(0, char::len_utf8);
                let text = if *all {
                    convert(&value)
                } else {
                    convert(&value[..first]) + &value[first..]
                };
                push(process, text, *quoted, true);
            }
            Op::Arithmetic { quoted } => {
                let text = self.close_string(process, host)?;
                let value = self.arithmetic(process, host, &text)?;
                push(process, value.to_string(), *quoted, true);
            }
            Op::Fields => {
                let word = process.words.pop().unwrap_or_default();
                self.spend(word.len() as u64 / 4);
                for field in fields(&word, process.value("IFS")) {
                    if process.arguments.len() >= FIELDS_MAX {
                        return Err(Abort::new("Argument list too long"));
                    }
                    self.glob_field(process, host, field);
                }
            }
            Op::Field => {
                let text = self.close_string(process, host)?;
                process.arguments.push(text);
            }
            _ => {}
        }
        let long = process.words.last().is_some_and(
            |word| matches!(word.last(), Some(Piece::Text { text, .. }) if text.len() > LONG_BYTES),
        );
        if long {
            self.look_at_memory = true;
        }
        Ok(())
    }

    fn push_parameters(&mut self, process: &mut Process, quoted: bool) {
        let Some(word) = process.words.last_mut() else {
            return;
        };
        for (i, parameter) in process.parameters.iter().enumerate() {
            if i > 0 {
                word.push(Piece::Break);
            }
            word.push(Piece::Text {
                text: parameter.clone(),
                quoted,
                split: !quoted,
            });
        }
    }

    /// A parameter's value; unset ones are empty, or an error under `set -u`.
    fn wanted(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        name: &str,
    ) -> Result<String, Abort> {
        match self.parameter(process, host, name) {
            Some(value) => Ok(value),
            None if process.flags.nounset && !matches!(name, "@" | "*" | "!") => {
                Err(Abort::new(match self.dialect {
                    crate::Dialect::Bash => format!("{name}: unbound variable"),
                    _ => format!("{name}: parameter not set"),
                }))
            }
            None => Ok(String::new()),
        }
    }

    /// A parameter's value, if it is set.
    pub(crate) fn parameter(
        &mut self,
        process: &Process,
        host: &dyn Host,
        name: &str,
    ) -> Option<String> {
        // An assignment sees those before it on its line.
        let pending = process.assignments.iter().rev().find(|(n, _)| n == name);
        if let Some(value) = pending
            .map(|(_, v)| v.as_str())
            .or_else(|| process.value(name))
        {
            return Some(value.to_owned());
        }
        Some(match name {
            "?" => process.status.to_string(),
            "#" => process.parameters.len().to_string(),
            "@" | "*" => {
                if process.parameters.is_empty() {
                    return None;
                }
                let separator: String = process
                    .value("IFS")
                    .map_or(" ".to_owned(), |ifs| ifs.chars().take(1).collect());
                process.parameters.join(&separator)
            }
            "$" => process.shell.to_string(),
            "!" => process.background?.to_string(),
            "-" => flags(process.flags, self.interactive),
            "0" => process.name.clone(),
            "PPID" => "0".to_owned(),
            "LINENO" => process.line.to_string(),
            "RANDOM" => {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                ((self.random >> 16) & 0x7fff).to_string()
            }
            "SECONDS" => {
                let since = host.now().saturating_sub(self.started.unwrap_or_default());
                (since / 1_000_000_000).to_string()
            }
            "EPOCHSECONDS" => (host.now() / 1_000_000_000).to_string(),
            "UID" | "EUID" => host.user().number.to_string(),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                let index = digits.parse::<usize>().ok()?.checked_sub(1)?;
                process.parameters.get(index)?.clone()
            }
            _ => return None,
        })
    }

    pub(crate) fn assign(
        &mut self,
        process: &mut Process,
        name: &str,
        value: String,
    ) -> Result<(), Abort> {
        if !crate::parse::is_name(name) {
            return Err(Abort::new(format!("{name}: cannot assign in this way")));
        }
        if process.set(name, value) {
            Ok(())
        } else {
            Err(Abort::new(format!("{name}: is read only")))
        }
    }

    pub(crate) fn arithmetic(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        text: &str,
    ) -> Result<i64, Abort> {
        let mut values = Vec::new();
        for name in ["RANDOM", "SECONDS", "LINENO", "EPOCHSECONDS"] {
            if text.contains(name) {
                values.push((name.to_owned(), self.parameter(process, host, name)));
            }
        }
        arith::evaluate(text, &mut Variables { process, values }).map_err(Abort::new)
    }

    /// Closes a word that stays whole.
    pub(crate) fn close_string(
        &mut self,
        process: &mut Process,
        _host: &mut dyn Host,
    ) -> Result<String, Abort> {
        let word = process.words.pop().unwrap_or_default();
        let mut out = String::new();
        for piece in word {
            match piece {
                Piece::Text { text, .. } => out.push_str(&text),
                Piece::Break => out.push(' '),
            }
        }
        Ok(out)
    }

    /// Closes a word as a pattern.
    pub(crate) fn close_pattern(&mut self, process: &mut Process) -> String {
        let word = process.words.pop().unwrap_or_default();
        word.iter()
            .map(|piece| match piece {
                Piece::Text {
                    text, quoted: true, ..
                } => pattern::escape(text),
                Piece::Text { text, .. } => text.clone(),
                Piece::Break => " ".to_owned(),
            })
            .collect()
    }

    fn glob_field(&mut self, process: &mut Process, host: &mut dyn Host, field: Field) {
        if process.flags.noglob || !pattern::is_pattern(&field.pattern) {
            process.arguments.push(field.text);
            return;
        }
        let mut found = glob(process, host, &field.pattern);
        if found.is_empty() {
            process.arguments.push(field.text);
        } else {
            self.spend(found.len() as u64);
            found.sort();
            process.arguments.extend(found);
        }
    }
}

fn push(process: &mut Process, text: String, quoted: bool, split: bool) {
    if let Some(word) = process.words.last_mut() {
        word.push(Piece::Text {
            text,
            quoted,
            split: split && !quoted,
        });
    }
}

fn flags(flags: Flags, interactive: bool) -> String {
    let set = [
        (flags.allexport, 'a'),
        (flags.errexit, 'e'),
        (flags.noglob, 'f'),
        (interactive, 'i'),
        (flags.nounset, 'u'),
        (flags.xtrace, 'x'),
    ];
    set.iter().filter(|(on, _)| *on).map(|(_, c)| *c).collect()
}

struct Field {
    text: String,
    /// The text with what was quoted escaped.
    pattern: String,
}

/// Splits a word's expansions at the characters of IFS (POSIX.1, 2.6.5).
fn fields(word: &OpenWord, ifs: Option<&str>) -> Vec<Field> {
    let ifs = ifs.unwrap_or(" \t\n");
    let mut out = Vec::new();
    let mut field: Option<Field> = None;
    // A separator that is no white space belongs to the white space before it.
    let mut after_blank = false;
    for piece in word {
        let Piece::Text {
            text,
            quoted,
            split,
        } = piece
        else {
            out.extend(field.take());
            continue;
        };
        if !split {
            let current = field.get_or_insert_with(|| Field {
                text: String::new(),
                pattern: String::new(),
            });
            current.text.push_str(text);
            if *quoted {
                current.pattern.push_str(&pattern::escape(text));
            } else {
                current.pattern.push_str(text);
            }
            after_blank = false;
            continue;
        }
        for c in text.chars() {
            if !ifs.contains(c) {
                let current = field.get_or_insert_with(|| Field {
                    text: String::new(),
                    pattern: String::new(),
                });
                current.text.push(c);
                current.pattern.push(c);
                after_blank = false;
            } else if c.is_ascii_whitespace() {
                if let Some(done) = field.take() {
                    out.push(done);
                    after_blank = true;
                }
            } else if let Some(done) = field.take() {
                out.push(done);
                after_blank = false;
            } else if after_blank {
                after_blank = false;
            } else {
                out.push(Field {
                    text: String::new(),
                    pattern: String::new(),
                });
            }
        }
    }
    out.extend(field);
    out
}

/// bash's `${X:offset:length}`.
fn slice(value: &str, offset: i64, length: Option<i64>) -> String {
    let chars: Vec<char> = value.chars().collect();
    let count = chars.len() as i64;
    let from = if offset < 0 {
        (count + offset).max(0)
    } else {
        offset.min(count)
    };
    let to = match length {
        None => count,
        Some(l) if l < 0 => count + l,
        Some(l) => from.saturating_add(l).min(count),
    };
    if to <= from {
        String::new()
    } else {
        chars[from as usize..to as usize].iter().collect()
    }
}

/// The paths that match a pattern.
fn glob(process: &Process, host: &dyn Host, pattern: &str) -> Vec<String> {
    let absolute = pattern.starts_with('/');
    let mut found = vec![if absolute {
        "/".to_owned()
    } else {
        String::new()
    }];
    let segments: Vec<&str> = pattern.split('/').filter(|s| !s.is_empty()).collect();
    for (i, segment) in segments.iter().enumerate() {
        let last = i + 1 == segments.len();
        let mut next = Vec::new();
        for base in &found {
            let join = |name: &str| match base.as_str() {
                "" | "/" => format!("{base}{name}"),
                base => format!("{base}/{name}"),
            };
            let exists = |path: &str| host.files().metadata(&process.path(path), true).ok();
            if !pattern::is_pattern(segment) {
                let path = join(&unescape(segment));
                if exists(&path).is_some_and(|m| last || m.kind == FileKind::Directory) {
                    next.push(path);
                }
                continue;
            }
            let directory = process.path(if base.is_empty() { "." } else { base });
            for name in host.files().list(&directory).unwrap_or_default() {
                let hidden = name.starts_with('.')
                    && !segment.starts_with('.')
                    && !segment.starts_with("\\.");
                if hidden || !pattern::matches(segment, &name) {
                    continue;
                }
                let path = join(&name);
                if last || exists(&path).is_some_and(|m| m.kind == FileKind::Directory) {
                    next.push(path);
                }
            }
        }
        next.truncate(FIELDS_MAX);
        found = next;
    }
    if pattern.ends_with('/') {
        found.retain(|path| {
            host.files()
                .metadata(&process.path(path), true)
                .is_ok_and(|m| m.kind == FileKind::Directory)
        });
        found.iter_mut().for_each(|path| path.push('/'));
    }
    found
}

fn unescape(segment: &str) -> String {
    let mut out = String::new();
    let mut chars = segment.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}
