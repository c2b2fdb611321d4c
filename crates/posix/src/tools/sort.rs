//! `sort`

use super::{Context, Failure, Outcome, fail, lines, options};
use std::cmp::Ordering;

/// How two texts are compared.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    numeric: bool,
    general: bool,
    human: bool,
    version: bool,
    month: bool,
    reverse: bool,
    fold: bool,
    blanks: bool,
    dictionary: bool,
}

impl Order {
    fn set(&mut self, letter: char) -> bool {
        match letter {
            'n' => self.numeric = true,
            'g' => self.general = true,
            'h' => self.human = true,
            'V' => self.version = true,
            'M' => self.month = true,
            'r' => self.reverse = true,
            'f' => self.fold = true,
            'b' => self.blanks = true,
            'd' => self.dictionary = true,
            _ => return false,
        }
        true
    }

    fn is_default(&self) -> bool {
        !(self.numeric
            || self.general
            || self.human
            || self.version
            || self.month
            || self.reverse
            || self.fold
            || self.blanks
            || self.dictionary)
    }

    fn compare(&self, a: &str, b: &str) -> Ordering {
        let order = match () {
            () if self.human => human(a).total_cmp(&human(b)),
            () if self.numeric => number(a).total_cmp(&number(b)),
            () if self.general => general(a).total_cmp(&general(b)),
            () if self.version => version(a, b),
            () if self.month => month(a).cmp(&month(b)),
            () => self.text(a).cmp(&self.text(b)),
        };
        if self.reverse { order.reverse() } else { order }
    }

    fn text(&self, text: &str) -> String {
        let text = if self.blanks {
            text.trim_start_matches([' ', '\t'])
        } else {
            text
        };
        let kept = text
            .chars()
            .filter(|c| !self.dictionary || c.is_alphanumeric() || c.is_whitespace());
        if self.fold {
            kept.flat_map(char::to_uppercase).collect()
        } else {
            kept.collect()
        }
    }
}

/// The number at a text's beginning, as `-n` reads it.
fn number(text: &str) -> f64 {
    let text = text.trim_start();
    let digits = |t: &str| t.bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(text.starts_with('-'));
    let mut end = sign + digits(&text[sign..]);
    if text[end..].starts_with('.') {
        end += 1 + digits(&text[end + 1..]);
    }
    // -0 is 0, so that the two are equal.
    text[..end].parse::<f64>().unwrap_or(0.0) + 0.0
}

fn general(text: &str) -> f64 {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c)))
        .unwrap_or(text.len());
    (0..=end)
        .rev()
        .find_map(|e| text.get(..e)?.parse::<f64>().ok())
        .unwrap_or(f64::NEG_INFINITY)
}

fn human(text: &str) -> f64 {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || ".-".contains(c)))
        .unwrap_or(text.len());
    let power = text[end..]
        .chars()
        .next()
        .and_then(|c| "KMGTPEZY".find(c.to_ascii_uppercase()));
    number(text) * 1024_f64.powi(power.map_or(0, |p| p as i32 + 1))
}

fn month(text: &str) -> usize {
    let name: String = text
        .trim()
        .chars()
        .take(3)
        .collect::<String>()
        .to_uppercase();
    let names = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    names.iter().position(|n| *n == name).map_or(0, |i| i + 1)
}

/// Runs of digits compare as numbers.
fn version(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let text = |t: &str| t.find(|c: char| c.is_ascii_digit()).unwrap_or(t.len());
        let (i, j) = (text(a), text(b));
        match a[..i].cmp(&b[..j]) {
            Ordering::Equal => {}
            other => return other,
        }
        (a, b) = (&a[i..], &b[j..]);
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let digits = |t: &str| t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len());
        let (i, j) = (digits(a), digits(b));
        let (x, y) = (
            a[..i].trim_start_matches('0'),
            b[..j].trim_start_matches('0'),
        );
        match x.len().cmp(&y.len()).then_with(|| x.cmp(y)) {
            Ordering::Equal => {}
            other => return other,
        }
        (a, b) = (&a[i..], &b[j..]);
    }
}

/// `-k 2.1,3nr`
struct Key {
    from: (usize, usize),
    to: Option<(usize, usize)>,
    order: Order,
}

fn key(text: &str) -> Result<Key, Failure> {
    let mut order = Order::default();
    let mut position = |text: &str, first: bool| -> Option<(usize, usize)> {
        let end = text
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        if !text[end..].chars().all(|c| order.set(c)) {
            return None;
        }
        let (field, character) = text[..end]
            .split_once('.')
            .unwrap_or((&text[..end], if first { "1" } else { "0" }));
        Some((
            field.parse().ok().filter(|n| *n > 0)?,
            character.parse().ok()?,
        ))
    };
    let (from, to) = text
        .split_once(',')
        .map_or((text, None), |(f, t)| (f, Some(t)));
    let bad = || {
        Failure::Message(
            2,
            format!("invalid number at field start: invalid count at start of '{text}'"),
        )
    };
    let from = position(from, true).ok_or_else(bad)?;
    let to = match to {
        Some(to) => Some(position(to, false).ok_or_else(bad)?),
        None => None,
    };
    Ok(Key { from, to, order })
}

impl Key {
    fn of<'l>(&self, line: &'l str, separator: Option<char>, blanks: bool) -> &'l str {
        // Where each field begins and ends; without a separator blanks belong to the field they precede.
        let mut fields: Vec<(usize, usize)> = Vec::new();
        match separator {
            Some(c) => {
                let mut at = 0;
                for field in line.split(c) {
                    fields.push((at, at + field.len()));
                    at += field.len() + c.len_utf8();
                }
            }
            None => {
                let mut start = 0;
                let mut in_blank = true;
                for (i, c) in line.char_indices() {
                    let blank = c == ' ' || c == '\t';
                    if blank && !in_blank {
                        fields.push((start, i));
                        start = i;
                    }
                    in_blank = blank;
                }
                fields.push((start, line.len()));
            }
        }
        let forward = |from: usize, to: usize, count: usize| {
            line[from..to]
                .char_indices()
                .nth(count)
                .map_or(to, |(i, _)| from + i)
        };
        let Some(&(mut start, end)) = fields.get(self.from.0 - 1) else {
            return "";
        };
        if blanks {
            start +=
                line[start..end].len() - line[start..end].trim_start_matches([' ', '\t']).len();
        }
        let start = forward(start, line.len(), self.from.1.saturating_sub(1));
        let stop = match self.to {
            None => line.len(),
            Some((field, character)) => match fields.get(field - 1) {
                None => line.len(),
                Some((_, end)) if character == 0 => *end,
                Some((from, end)) => forward(*from, *end, character),
            },
        };
        if start < stop { &line[start..stop] } else { "" }
    }
}

pub(super) fn sort(context: &mut Context) -> Outcome {
    let long = [
        ("numeric-sort", 'n'),
        ("reverse", 'r'),
        ("unique", 'u'),
        ("key", 'k'),
        ("field-separator", 't'),
        ("version-sort", 'V'),
        ("human-numeric-sort", 'h'),
        ("ignore-case", 'f'),
        ("output", 'o'),
        ("stable", 's'),
        ("check", 'c'),
    ];
    let parsed = options::parse(context, "nrughVMfbdst:k:o:cCzm", &long)?;
    let mut global = Order::default();
    for (letter, _) in &parsed.options {
        global.set(*letter);
    }
    let keys: Vec<Key> = parsed.values('k').map(key).collect::<Result<_, _>>()?;
    let separator = match parsed.value('t').map(|t| t.chars().collect::<Vec<_>>()) {
        None => None,
        Some(t) if t == ['\\', '0'] => Some('\0'),
        Some(t) if t.len() == 1 => Some(t[0]),
        Some(t) if t.is_empty() => return Err(Failure::Message(2, "empty tab".to_owned())),
        Some(t) => {
            let text: String = t.iter().collect();
            return Err(Failure::Message(2, format!("multi-character tab '{text}'")));
        }
    };
    let compare_keys = |a: &str, b: &str| {
        if keys.is_empty() {
            return global.compare(a, b);
        }
        for key in &keys {
            let order = if key.order.is_default() {
                global
            } else {
                key.order
            };
            let blanks = order.blanks;
            let found = order.compare(key.of(a, separator, blanks), key.of(b, separator, blanks));
            if found != Ordering::Equal {
                return found;
            }
        }
        Ordering::Equal
    };
    let last = |a: &str, b: &str| if global.reverse { b.cmp(a) } else { a.cmp(b) };
    let (bytes, mut status) = context.read_all("sort", &parsed.operands)?;
    if status != 0 {
        status = 2;
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut all: Vec<&str> = lines(&text).collect();
    context.steps += all.len() as u64;
    if parsed.has('c') || parsed.has('C') {
        for (i, pair) in all.windows(2).enumerate() {
            if compare_keys(pair[0], pair[1]) == Ordering::Greater {
                let message = format!("-:{}: disorder: {}", i + 2, pair[1]);
                return if parsed.has('C') {
                    Ok(1)
                } else {
                    fail(message)
                };
            }
        }
        return Ok(0);
    }
    let stable = parsed.has('s') || parsed.has('u');
    all.sort_by(|a, b| {
        compare_keys(a, b).then_with(|| if stable { Ordering::Equal } else { last(a, b) })
    });
    if parsed.has('u') {
        all.dedup_by(|a, b| compare_keys(a, b) == Ordering::Equal);
    }
    let mut out = all.join("\n");
    if !all.is_empty() {
        out.push('\n');
    }
    match parsed.value('o') {
        Some(file) => {
            let path = context.path(file);
            if let Err(error) = context.files.write(&path, out.as_bytes(), false) {
                return Err(Failure::Message(2, format!("open failed: {file}: {error}")));
            }
        }
        None => context.say(&out),
    }
    Ok(status)
}
