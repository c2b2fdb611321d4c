//! `diff`, `cmp`, `comm`, `expr`

use super::{Context, Failure, Outcome, lines, options};

/// How many lines each side may have beyond what is the same at both ends.
const LINES_MAX: usize = 4_000;

fn both(context: &Context, name: &str, operands: &[String]) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let [a, b] = operands else {
        let last = operands
            .last()
            .map_or(String::new(), |o| format!(" after '{o}'"));
        return Err(Failure::Message(
            2,
            format!("missing operand{last}\n{name}: Try '{name} --help' for more information."),
        ));
    };
    let read = |file: &str| match context.read(file)? {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(message) => Err(Failure::Message(2, message)),
    };
    Ok((read(a)?, read(b)?))
}

/// A run of lines that differ: from line `a.0` up to `a.1` of the one, and so of the other.
#[derive(Clone, Copy)]
struct Change {
    a: (usize, usize),
    b: (usize, usize),
}

/// What must change in `a` for it to become `b`, by their longest common subsequence.
fn changes(a: &[&str], b: &[&str]) -> Result<Vec<Change>, Failure> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..]
        .iter()
        .rev()
        .zip(b[head..].iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (mid_a, mid_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    if mid_a.len() > LINES_MAX || mid_b.len() > LINES_MAX {
        return Err(Failure::Message(
            2,
            format!("more than {LINES_MAX} lines differ"),
        ));
    }
    let width = mid_b.len() + 1;
    let mut longest = vec![0_u16; (mid_a.len() + 1) * width];
    for i in (0..mid_a.len()).rev() {
        for j in (0..mid_b.len()).rev() {
            longest[i * width + j] = match mid_a[i] == mid_b[j] {
                true => longest[(i + 1) * width + j + 1] + 1,
                false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
            };
        }
    }
    let mut out: Vec<Change> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < mid_a.len() || j < mid_b.len() {
        if i < mid_a.len() && j < mid_b.len() && mid_a[i] == mid_b[j] {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let down = j == mid_b.len()
            || (i < mid_a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1]);
        let (from, to) = (
            (head + i, head + j),
            if down { (i + 1, j) } else { (i, j + 1) },
        );
        match out.last_mut() {
            Some(last) if (last.a.1, last.b.1) == from => {
                (last.a.1, last.b.1) = (head + to.0, head + to.1)
            }
            _ => out.push(Change {
                a: (from.0, head + to.0),
                b: (from.1, head + to.1),
            }),
        }
        (i, j) = to;
    }
    Ok(out)
}

pub(super) fn diff(context: &mut Context) -> Outcome {
    let long = [
        ("unified", 'u'),
        ("brief", 'q'),
        ("ignore-all-space", 'w'),
        ("ignore-case", 'i'),
        ("new-file", 'N'),
        ("color", 'Z'),
    ];
    let parsed = options::parse(context, "uqwbiBNraU:Z", &long)?;
    let (a, b) = both(context, "diff", &parsed.operands)?;
    if a == b {
        return Ok(0);
    }
    let names = &parsed.operands;
    if parsed.has('q') {
        context.say(&format!("Files {} and {} differ\n", names[0], names[1]));
        return Ok(1);
    }
    let (a, b) = (String::from_utf8_lossy(&a), String::from_utf8_lossy(&b));
    let (a, b): (Vec<&str>, Vec<&str>) = (lines(&a).collect(), lines(&b).collect());
    let key = |line: &&str| -> String {
        let text = match (parsed.has('w'), parsed.has('b')) {
            (true, _) => line.split_whitespace().collect(),
            (_, true) => line.split_whitespace().collect::<Vec<_>>().join(" "),
            _ => (*line).to_owned(),
        };
        if parsed.has('i') {
            text.to_lowercase()
        } else {
            text
        }
    };
    let (keys_a, keys_b): (Vec<String>, Vec<String>) =
        (a.iter().map(key).collect(), b.iter().map(key).collect());

    let found = changes(
        &keys_a.iter().map(String::as_str).collect::<Vec<_>>(),
        &keys_b.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    context.steps += (a.len() + b.len()) as u64;
    if found.is_empty() {
        return Ok(0);
    }
    match parsed.has('u') || parsed.has('U') {
        true => {
            let around = parsed.number('U', "invalid context length")?.unwrap_or(3) as usize;
            context.say(&format!("--- {}\n+++ {}\n", names[0], names[1]));
            unified(context, &a, &b, &found, around);
        }
        false => normal(context, &a, &b, &found),
    }
    Ok(1)
}

fn normal(context: &mut Context, a: &[&str], b: &[&str], found: &[Change]) {
    // `3,5c2`: lines counted from 1; an empty side is named by the line before it.
    let range = |(from, to): (usize, usize)| match to - from {
        0 => from.to_string(),
        1 => to.to_string(),
        _ => format!("{},{to}", from + 1),
    };
    for change in found {
        let letter = match (change.a.0 == change.a.1, change.b.0 == change.b.1) {
            (true, _) => 'a',
            (_, true) => 'd',
            _ => 'c',
        };
        context.say(&format!("{}{letter}{}\n", range(change.a), range(change.b)));
        a[change.a.0..change.a.1]
            .iter()
            .for_each(|line| context.say(&format!("< {line}\n")));
        if letter == 'c' {
            context.say("---\n");
        }
        b[change.b.0..change.b.1]
            .iter()
            .for_each(|line| context.say(&format!("> {line}\n")));
    }
}

fn unified(context: &mut Context, a: &[&str], b: &[&str], found: &[Change], around: usize) {
    let mut at = 0;
    while at < found.len() {
        // Changes whose surroundings touch share a hunk.
        let mut end = at + 1;
        while end < found.len() && found[end].a.0 - found[end - 1].a.1 <= 2 * around {
            end += 1;
        }
        let (first, last) = (found[at], found[end - 1]);
        let before = around.min(first.a.0).min(first.b.0);
        let after = around.min(a.len() - last.a.1);
        let range = |from: usize, to: usize| match to - from {
            0 => format!("{from},0"),
            1 => to.to_string(),
            n => format!("{},{n}", from + 1),
        };
        let head_a = range(first.a.0 - before, last.a.1 + after);
        let head_b = range(first.b.0 - before, (last.b.1 + after).min(b.len()));
        context.say(&format!("@@ -{head_a} +{head_b} @@\n"));
        let mut line = first.a.0 - before;
        for change in &found[at..end] {
            a[line..change.a.0]
                .iter()
                .for_each(|l| context.say(&format!(" {l}\n")));
            a[change.a.0..change.a.1]
                .iter()
                .for_each(|l| context.say(&format!("-{l}\n")));
            b[change.b.0..change.b.1]
                .iter()
                .for_each(|l| context.say(&format!("+{l}\n")));
            line = change.a.1;
        }
        a[line..line + after]
            .iter()
            .for_each(|l| context.say(&format!(" {l}\n")));
        at = end;
    }
}

pub(super) fn cmp(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "sl", &[("silent", 's'), ("quiet", 's')])?;
    let (a, b) = both(context, "cmp", &parsed.operands)?;
    if a == b {
        return Ok(0);
    }
    if !parsed.has('s') {
        let names = &parsed.operands;
        match a.iter().zip(&b).position(|(x, y)| x != y) {
            Some(at) => {
                let line = 1 + a[..at].iter().filter(|c| **c == b'\n').count();
                context.say(&format!(
                    "{} {} differ: byte {}, line {line}\n",
                    names[0],
                    names[1],
                    at + 1
                ));
            }
            None => {
                let (short, bytes) = if a.len() < b.len() {
                    (&names[0], &a)
                } else {
                    (&names[1], &b)
                };
                let line = bytes.iter().filter(|c| **c == b'\n').count();
                let message = format!("EOF on {short} after byte {}, line {line}", bytes.len());
                context.complain("cmp", &message);
            }
        }
    }
    Ok(1)
}

pub(super) fn comm(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "123", &[])?;
    let (a, b) = both(context, "comm", &parsed.operands)?;
    let (a, b) = (String::from_utf8_lossy(&a), String::from_utf8_lossy(&b));
    let (mut left, mut right) = (lines(&a).peekable(), lines(&b).peekable());
    loop {
        let (column, line) = match (left.peek(), right.peek()) {
            (None, None) => return Ok(0),
            (Some(x), Some(y)) if x == y => {
                right.next();
                ('3', left.next())
            }
            (Some(x), Some(y)) if x < y => ('1', left.next()),
            (Some(_), None) => ('1', left.next()),
            _ => ('2', right.next()),
        };
        if parsed.has(column) {
            continue;
        }
        let before = ('1'..column).filter(|c| !parsed.has(*c)).count();
        context.say(&format!(
            "{}{}\n",
            "\t".repeat(before),
            line.unwrap_or_default()
        ));
    }
}

/// How deep parentheses may be nested.
const DEPTH_MAX: usize = 64;

pub(super) fn expr(context: &mut Context) -> Outcome {
    let words: Vec<&str> = context
        .args
        .iter()
        .map(String::as_str)
        .filter(|w| *w != "--")
        .collect();
    let mut parser = Expr {
        words: &words,
        at: 0,
        depth: 0,
    };
    let value = match parser.or() {
        Ok(_) if parser.at < words.len() => Err(format!(
            "syntax error: unexpected argument '{}'",
            words[parser.at]
        )),
        Ok(value) => Ok(value),
        Err(message) => Err(message),
    };
    match value {
        Ok(value) => {
            context.say(&format!("{value}\n"));
            Ok(i32::from(value.is_empty() || value == "0"))
        }
        Err(message) => Err(Failure::Message(2, message)),
    }
}

struct Expr<'a> {
    words: &'a [&'a str],
    at: usize,
    depth: usize,
}

impl Expr<'_> {
    fn accept(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        let found = operators
            .iter()
            .find(|o| self.words.get(self.at) == Some(o))
            .copied();
        self.at += usize::from(found.is_some());
        found
    }

    fn or(&mut self) -> Result<String, String> {
        let mut left = self.and()?;
        while self.accept(&["|"]).is_some() {
            let right = self.and()?;
            let null = |t: &str| t.is_empty() || t == "0";
            left = match (null(&left), null(&right)) {
                (false, _) => left,
                (true, false) => right,
                (true, true) => "0".to_owned(),
            };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<String, String> {
        let mut left = self.compare()?;
        while self.accept(&["&"]).is_some() {
            let right = self.compare()?;
            let null = |t: &str| t.is_empty() || t == "0";
            left = if null(&left) || null(&right) {
                "0".to_owned()
            } else {
                left
            };
        }
        Ok(left)
    }

    fn compare(&mut self) -> Result<String, String> {
        let mut left = self.sum()?;
        while let Some(operator) = self.accept(&["=", "==", "!=", "<", "<=", ">", ">="]) {
            let right = self.sum()?;
            let order = match (left.parse::<i64>(), right.parse::<i64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                _ => left.cmp(&right),
            };
            let holds = match operator {
                "=" | "==" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            };
            left = i32::from(holds).to_string();
        }
        Ok(left)
    }

    fn arithmetic(left: &str, operator: &str, right: &str) -> Result<String, String> {
        let number = |t: &str| {
            t.parse::<i64>()
                .map_err(|_| "non-integer argument".to_owned())
        };
        let (a, b) = (number(left)?, number(right)?);
        let value = match operator {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            _ if b == 0 => return Err("division by zero".to_owned()),
            "/" => a.checked_div(b),
            _ => a.checked_rem(b),
        };
        value
            .map(|v| v.to_string())
            .ok_or_else(|| "Numerical result out of range".to_owned())
    }

    fn sum(&mut self) -> Result<String, String> {
        let mut left = self.product()?;
        while let Some(operator) = self.accept(&["+", "-"]) {
            left = Self::arithmetic(&left, operator, &self.product()?)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<String, String> {
        let mut left = self.matching()?;
        while let Some(operator) = self.accept(&["*", "/", "%"]) {
            left = Self::arithmetic(&left, operator, &self.matching()?)?;
        }
        Ok(left)
    }

    /// `TEXT : PATTERN`
    fn matching(&mut self) -> Result<String, String> {
        let mut left = self.term()?;
        while self.accept(&[":"]).is_some() {
            let pattern = self.term()?;
            left = matched(&left, &pattern)?;
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<String, String> {
        let missing = || "syntax error: missing argument".to_owned();
        let word = *self.words.get(self.at).ok_or_else(missing)?;
        self.at += 1;
        let mut next = || {
            let word = self.words.get(self.at).map(|w| (*w).to_owned());
            self.at += 1;
            word.ok_or_else(missing)
        };
        match word {
            "(" => {
                if self.depth >= DEPTH_MAX {
                    return Err("nested too deep".to_owned());
                }
                self.depth += 1;
                let value = self.or()?;
                self.depth -= 1;
                if self.accept(&[")"]).is_none() {
                    return Err("syntax error: expecting ')'".to_owned());
                }
                Ok(value)
            }
            "length" if self.words.len() > 1 => Ok(next()?.chars().count().to_string()),
            "match" if self.words.len() > 2 => matched(&next()?, &next()?),
            "index" if self.words.len() > 2 => {
                let (text, set) = (next()?, next()?);
                Ok(text
                    .chars()
                    .position(|c| set.contains(c))
                    .map_or(0, |at| at + 1)
                    .to_string())
            }
            "substr" if self.words.len() > 3 => {
                let (text, from, count) = (next()?, next()?, next()?);
                let (from, count) = (
                    from.parse::<usize>().unwrap_or(0),
                    count.parse::<usize>().unwrap_or(0),
                );
                Ok(if from == 0 {
                    String::new()
                } else {
                    text.chars().skip(from - 1).take(count).collect()
                })
            }
            word => Ok(word.to_owned()),
        }
    }
}

/// The first group that matched, or how many characters did.
fn matched(text: &str, pattern: &str) -> Result<String, String> {
    let regex = super::regex::compile(&format!("^{pattern}"), super::regex::Kind::Basic, false)?;
    let groups = regex.captures_len() > 1;
    Ok(match regex.captures(text) {
        Some(found) if groups => found
            .get(1)
            .map_or(String::new(), |m| m.as_str().to_owned()),
        Some(found) => found
            .get(0)
            .map_or(0, |m| m.as_str().chars().count())
            .to_string(),
        None => if groups { "" } else { "0" }.to_owned(),
    })
}
