//! awk's own functions.

use super::interpreter::{Done, Flow, Interpreter, Key, RLENGTH, RSTART};
use super::tree::{Expression, Place, Variable};
use super::value::{Value, sprintf};
use crate::tools::date::{moment, strftime};
use regex_lite::Captures;

impl Interpreter<'_, '_> {
    /// Something went wrong that does not stop the program: its status says so.
    pub fn fail(&mut self) {
        self.set_status(2);
    }

    pub fn builtin(&mut self, name: &str, arguments: &[Expression]) -> Done<Value> {
        // `length(array)`
        if name == "length"
            && let Some(Expression::Place(Place::Variable(variable))) = arguments.first()
            && let Some(count) = self.array_length(variable)
        {
            return Ok(Value::Number(count as f64));
        }
        if matches!(name, "match" | "gensub") {
            return self.with_regex(name, arguments);
        }
        let mut values = Vec::new();
        for argument in arguments {
            values.push(self.evaluate(argument)?);
        }
        let text = |i: &Self, at: usize| values.get(at).map(|v| i.text_of(v)).unwrap_or_default();
        let number = |at: usize| values.get(at).map_or(0.0, Value::number);
        Ok(match name {
            "length" => {
                let text = if values.is_empty() {
                    self.record_text().to_owned()
                } else {
                    text(self, 0)
                };
                Value::Number(text.chars().count() as f64)
            }
            "substr" => {
                let from = number(1).round();
                let until = if values.len() > 2 {
                    from + number(2).round()
                } else {
                    f64::INFINITY
                };
                let wanted = |i: usize| (i + 1) as f64 >= from && ((i + 1) as f64) < until;
                let all = text(self, 0);
                Value::Text(
                    all.chars()
                        .enumerate()
                        .filter(|(i, _)| wanted(*i))
                        .map(|(_, c)| c)
                        .collect(),
                )
            }
            "index" => {
                let all = text(self, 0);
                let at = all
                    .find(&text(self, 1))
                    .map_or(0, |at| all[..at].chars().count() + 1);
                Value::Number(at as f64)
            }
            "tolower" => Value::Text(text(self, 0).to_lowercase()),
            "toupper" => Value::Text(text(self, 0).to_uppercase()),
            "sprintf" => {
                let format = text(self, 0);
                Value::Text(sprintf(&format, &values[1..], &self.convfmt()).map_err(Flow::Failed)?)
            }
            "sin" => Value::Number(number(0).sin()),
            "cos" => Value::Number(number(0).cos()),
            "atan2" => Value::Number(number(0).atan2(number(1))),
            "exp" => Value::Number(number(0).exp()),
            "log" => Value::Number(number(0).ln()),
            "sqrt" => Value::Number(number(0).sqrt()),
            "int" => Value::Number(number(0).trunc()),
            "rand" => {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                Value::Number((self.random >> 11) as f64 / (1_u64 << 53) as f64)
            }
            "srand" => {
                let new = if values.is_empty() {
                    (self.context.now / 1_000_000_000) as f64
                } else {
                    number(0)
                };
                let old = std::mem::replace(&mut self.seed, new);
                self.random = (new as i64 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                Value::Number(old)
            }
            "systime" => Value::Number((self.context.now / 1_000_000_000) as f64),
            "strftime" => {
                let format = if values.is_empty() {
                    "%a %b %e %H:%M:%S UTC %Y".to_owned()
                } else {
                    text(self, 0)
                };
                let now = (self.context.now / 1_000_000_000) as f64;
                let at = if values.len() > 1 { number(1) } else { now };
                Value::Text(strftime(&format, &moment(at.clamp(-1e11, 1e11) as i64, 0)))
            }
            "system" => match self.command(&text(self, 0), &[]) {
                Ok((out, status)) => {
                    self.write(&out);
                    Value::Number(f64::from(status))
                }
                Err(message) => {
                    self.context.complain("awk", &message);
                    Value::Number(127.0)
                }
            },
            "close" => {
                let name = text(self, 0);
                Value::Number(f64::from(self.close(&name)))
            }
            _ => Value::Number(0.0),
        })
    }

    /// `match` and gawk's `gensub`.
    fn with_regex(&mut self, name: &str, arguments: &[Expression]) -> Done<Value> {
        if name == "match" {
            let text = self.evaluate(&arguments[0])?;
            let text = self.text_of(&text);
            let regex = self.regex_of(&arguments[1])?;
            let found = regex.captures(&text);
            let (start, length) = match found.as_ref().and_then(|c| c.get(0)) {
                Some(m) => (
                    text[..m.start()].chars().count() as f64 + 1.0,
                    m.as_str().chars().count() as f64,
                ),
                None => (0.0, -1.0),
            };
            self.set_special(RSTART, Value::Number(start));
            self.set_special(RLENGTH, Value::Number(length));
            if let Some(Expression::Place(Place::Variable(variable))) = arguments.get(2) {
                let at = self.array(variable)?;
                self.arrays[at].clear();
                for (i, group) in found.iter().flat_map(Captures::iter).enumerate() {
                    if let Some(group) = group {
                        self.arrays[at].insert(Key(i.to_string()), Value::input(group.as_str()));
                    }
                }
            }
            return Ok(Value::Number(start));
        }
        let regex = self.regex_of(&arguments[0])?;
        let mut texts = Vec::new();
        for argument in &arguments[1..] {
            let value = self.evaluate(argument)?;
            texts.push(self.text_of(&value));
        }
        let text = texts
            .get(2)
            .cloned()
            .unwrap_or_else(|| self.record_text().to_owned());
        let which = match texts[1].as_str() {
            t if t.starts_with(['g', 'G']) => None,
            t => Some(t.parse().unwrap_or(1)),
        };
        Ok(Value::Text(
            replaced(&regex, &text, &texts[0], which, true).0,
        ))
    }

    pub fn split_into(
        &mut self,
        text: &Expression,
        array: &Variable,
        separator: Option<&Expression>,
    ) -> Done<Value> {
        let text = self.evaluate(text)?;
        let text = self.text_of(&text);
        let separator = match separator {
            None => self.default_separator(),
            // A regular expression of one character is one all the same.
            Some(Expression::Regex(pattern)) if pattern.chars().count() == 1 => {
                format!("({pattern})")
            }
            Some(Expression::Regex(pattern)) => pattern.clone(),
            Some(other) => {
                let value = self.evaluate(other)?;
                self.text_of(&value)
            }
        };
        let parts = self.split_text(&text, &separator)?;
        let at = self.array(array)?;
        let count = parts.len();
        let numbered = parts.iter().enumerate();
        self.arrays[at] = numbered
            .map(|(i, part)| (Key((i + 1).to_string()), Value::input(part)))
            .collect();
        Ok(Value::Number(count as f64))
    }

    pub fn substitute(
        &mut self,
        all: bool,
        regex: &Expression,
        with: &Expression,
        place: &Place,
    ) -> Done<Value> {
        let regex = self.regex_of(regex)?;
        let with = self.evaluate(with)?;
        let with = self.text_of(&with);
        let text = self.read_text(place)?;
        let (text, count) = replaced(
            &regex,
            &text,
            &with,
            if all { None } else { Some(1) },
            false,
        );
        if count > 0 {
            self.write_place(place, Value::Text(text))?;
        }
        Ok(Value::Number(count as f64))
    }
}

/// The text with matches replaced, and how many were. `which`: only this one. In `with`, `&` is what
/// matched; with `groups`, `\1` is a group.
fn replaced(
    regex: &regex_lite::Regex,
    text: &str,
    with: &str,
    which: Option<usize>,
    groups: bool,
) -> (String, usize) {
    let mut out = String::new();
    let (mut end, mut count, mut seen) = (0, 0, 0);
    let mut last_end = None;
    for captures in regex.captures_iter(text) {
        let Some(found) = captures.get(0) else {
            continue;
        };
        if found.is_empty() && last_end == Some(found.start()) {
            continue;
        }
        last_end = Some(found.end());
        seen += 1;
        if which.is_some_and(|n| n != seen) {
            continue;
        }
        out.push_str(&text[end..found.start()]);
        let mut chars = with.chars();
        while let Some(c) = chars.next() {
            match c {
                '&' => out.push_str(found.as_str()),
                '\\' => match chars.next() {
                    Some('&') => out.push('&'),
                    Some(d @ '0'..='9') if groups => {
                        let group = captures.get(d.to_digit(10).unwrap_or(0) as usize);
                        out.push_str(group.map_or("", |m| m.as_str()));
                    }
                    Some('\\') => out.push('\\'),
                    Some(other) => out.extend(['\\', other]),
                    None => out.push('\\'),
                },
                c => out.push(c),
            }
        }
        end = found.end();
        count += 1;
        if which.is_some() {
            break;
        }
    }
    out.push_str(&text[end..]);
    (out, count)
}
