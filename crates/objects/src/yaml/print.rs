//! Values as `kubectl -o yaml` prints them: goyaml v2's emitter with its defaults (lists not indented
//! under their key, lines folded after 80 characters).

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::scalar::is_string;
use crate::value::{Text, Value};

const WIDTH: usize = 80;

/// Prints a value as `kubectl -o yaml` does, with a newline at the end.
pub fn to_yaml(value: &Value) -> String {
    let mut printer = Printer { out: String::new() };
    printer.node(value, 0, false);
    if !printer.out.ends_with('\n') {
        printer.out.push('\n');
    }
    printer.out
}

struct Printer {
    out: String,
}

impl Printer {
    /// Prints a node whose lines are indented by `indent`; the cursor stands where it begins.
    fn node(&mut self, value: &Value, indent: usize, in_map: bool) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                let mut entries: Vec<&(Text, Value)> = map.iter().collect();
                entries.sort_by(|a, b| compare_keys(&a.0, &b.0));
                for (i, (key, v)) in entries.into_iter().enumerate() {
                    if i > 0 || in_map {
                        self.line(indent);
                    }
                    self.entry(key, v, indent);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (i, item) in items.iter().enumerate() {
                    if i > 0 || in_map {
                        self.line(indent);
                    }
                    self.out.push('-');
                    self.child(item, indent + 2, false);
                }
            }
            Value::Object(_) => self.out.push_str("{}"),
            Value::Array(_) => self.out.push_str("[]"),
            Value::Null => self.out.push_str("null"),
            Value::Bool(b) => _ = write!(self.out, "{b}"),
            Value::Int(i) => _ = write!(self.out, "{i}"),
            Value::Float(f) => self.out.push_str(&float(*f)),
            // One that is the whole document: others are a child's.
            Value::String(s) => self.string(s, indent + 2, false),
        }
    }

    fn entry(&mut self, key: &str, value: &Value, indent: usize) {
        if key.len() > 128 || key.contains('\n') {
            self.out.push_str("? ");
            self.string(key, indent + 2, false);
            self.line(indent);
        } else {
            self.string(key, indent, true);
        }
        self.out.push(':');
        self.child(value, indent, true);
    }

    /// What follows `-` or `key:`.
    fn child(&mut self, value: &Value, indent: usize, in_map: bool) {
        match value {
            Value::Array(items) if !items.is_empty() && in_map => self.node(value, indent, true),
            Value::Object(map) if !map.is_empty() && in_map => self.node(value, indent + 2, true),
            Value::String(s) => {
                self.out.push(' ');
                self.string(s, if in_map { indent + 2 } else { indent }, false);
            }
            _ => {
                self.out.push(' ');
                self.node(value, indent, false);
            }
        }
    }

    fn line(&mut self, indent: usize) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    /// A string; its further lines are indented by `indent`.
    fn string(&mut self, s: &str, indent: usize, is_key: bool) {
        let traits = Traits::of(s);
        let multiline = s.contains('\n');
        if multiline && traits.block && !is_key {
            return self.literal(s, indent);
        }
        if multiline || !is_string(s) || !(traits.plain || traits.single_quoted) {
            return self.double_quoted(s, indent, is_key);
        }
        if traits.plain {
            self.plain(s, indent, is_key)
        } else {
            self.single_quoted(s, indent, is_key)
        }
    }

    fn column(&self) -> usize {
        let start = self.out.rfind('\n').map_or(0, |at| at + 1);
        self.out[start..].chars().count()
    }

    fn plain(&mut self, s: &str, indent: usize, is_key: bool) {
        self.folded(s, indent, is_key, 0..usize::MAX, |out, c| out.push(c));
    }

    fn single_quoted(&mut self, s: &str, indent: usize, is_key: bool) {
        self.out.push('\'');
        self.folded(s, indent, is_key, 1..s.len().saturating_sub(1), |out, c| {
            if c == '\'' {
                out.push('\'');
            }
            out.push(c);
        });
        self.out.push('\'');
    }

    /// Writes the characters, breaking the line at a single blank behind column 80; `may_break` says
    /// at which offsets.
    fn folded(
        &mut self,
        s: &str,
        indent: usize,
        is_key: bool,
        may_break: std::ops::Range<usize>,
        write: impl Fn(&mut String, char),
    ) {
        let mut column = self.column();
        let mut after_blank = false;
        let mut chars = s.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let blank_follows = chars.peek().is_some_and(|(_, next)| *next == ' ');
            if c == ' '
                && !is_key
                && !after_blank
                && column > WIDTH
                && !blank_follows
                && may_break.contains(&at)
            {
                self.line(indent);
                column = indent;
            } else {
                let before = self.out.len();
                write(&mut self.out, c);
                column += self.out[before..].chars().count();
            }
            after_blank = c == ' ';
        }
    }

    fn double_quoted(&mut self, s: &str, indent: usize, is_key: bool) {
        self.out.push('"');
        let mut column = self.column();
        let mut after_blank = false;
        let mut chars = s.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let before = self.out.len();
            let last = at + c.len_utf8() >= s.len();
            if c == ' ' && !is_key && !after_blank && column > WIDTH && at > 0 && !last {
                self.line(indent);
                column = indent;
                if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                    self.out.push('\\');
                    column += 1;
                }
                after_blank = true;
                continue;
            }
            escaped(&mut self.out, c);
            column += self.out[before..].chars().count();
            after_blank = c == ' ';
        }
        self.out.push('"');
    }

    fn literal(&mut self, s: &str, indent: usize) {
        self.out.push('|');
        if s.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        if !s.ends_with('\n') {
            self.out.push('-');
        } else if s == "\n" || s.ends_with("\n\n") {
            self.out.push('+');
        }
        self.out.push('\n');
        for line in s.split_inclusive('\n') {
            if line != "\n" {
                self.out.extend(std::iter::repeat_n(' ', indent));
            }
            self.out.push_str(line);
        }
    }
}

/// What styles a string may be printed in (libyaml's `analyze_scalar`).
struct Traits {
    plain: bool,
    single_quoted: bool,
    block: bool,
}

impl Traits {
    fn of(s: &str) -> Traits {
        let mut indicators = s.starts_with("---") || s.starts_with("...");
        let (mut special, mut break_space, mut space_break) = (false, false, false);
        let mut previous = '\0';
        for (at, c) in s.char_indices() {
            let next = s[at + c.len_utf8()..].chars().next();
            let blank_follows = next.is_none_or(|n| {
                matches!(
                    n,
                    ' ' | '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'
                )
            });
            let after_blank = at == 0 || matches!(previous, ' ' | '\t' | '\n' | '\r');
            indicators |= match c {
                '#' => after_blank,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`' => at == 0,
                '-' | '?' => at == 0 && blank_follows,
                ':' => blank_follows,
                _ => false,
            };
            special |= !printable(c);
            break_space |= c == ' ' && previous == '\n';
            space_break |= c == '\n' && previous == ' ';
            previous = c;
        }
        let multiline = s.contains('\n');
        let edges = s.starts_with([' ', '\n']) || s.ends_with([' ', '\n']);
        let never = space_break || special;
        Traits {
            plain: !(never || break_space || multiline || edges || indicators),
            single_quoted: !(never || break_space),
            block: !(never || s.ends_with(' ')),
        }
    }
}

/// Whether the emitter prints the character as it is: no tab, and nothing beyond U+FFFF.
fn printable(c: char) -> bool {
    let planned = matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}');
    planned && c != '\u{feff}'
}

fn escaped(out: &mut String, c: char) {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c if printable(c) => return out.push(c),
        c => {
            let n = c as u32;
            _ = match n {
                0..=0xff => write!(out, "\\x{n:02X}"),
                0x100..=0xffff => write!(out, "\\u{n:04X}"),
                _ => write!(out, "\\U{n:08X}"),
            };
            return;
        }
    };
    out.push('\\');
    out.push(short);
}

/// Go's `strconv.FormatFloat(f, 'g', -1, 64)`.
fn float(f: f64) -> String {
    let exponent = format!("{:e}", f.abs())
        .rsplit_once('e')
        .and_then(|(_, e)| e.parse::<i32>().ok())
        .unwrap_or(0);
    if f == 0.0 || (-4..21).contains(&exponent) {
        return format!("{f}");
    }
    let text = format!("{f:e}");
    let mantissa = text.split('e').next().unwrap_or("");
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// goyaml's order of keys: numbers in names count as numbers, letters come last.
fn compare_keys(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    for i in 0..a.len().min(b.len()) {
        let (x, y) = (a[i], b[i]);
        if x == y {
            continue;
        }
        match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => return x.cmp(&y),
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        let in_number = (x == '0' || y == '0')
            && a[..i]
                .iter()
                .rev()
                .take_while(|c| c.is_ascii_digit())
                .any(|c| *c != '0');
        let start = u64::from(in_number);
        let number = |s: &[char]| {
            let digits = s[i..].iter().take_while(|c| c.is_ascii_digit());
            digits.fold((start, 0), |(n, count), c| {
                (
                    n.wrapping_mul(10).wrapping_add(u64::from(*c as u32 - 48)),
                    count + 1,
                )
            })
        };
        let (m, n) = (number(&a), number(&b));
        return m.0.cmp(&n.0).then(m.1.cmp(&n.1)).then(x.cmp(&y));
    }
    a.len().cmp(&b.len())
}
