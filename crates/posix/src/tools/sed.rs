//! `sed`: running a script. Reading it is in `parse`.

mod parse;

use super::{Context, Failure, Outcome, options};
use parse::{Address, Command, Kind};
use regex_lite::Regex;
use std::collections::BTreeMap;

/// How many commands a run may carry out: a loop of branches must end.
const STEPS_MAX: u64 = 5_000_000;
/// How long a pattern or hold space may become.
const SPACE_BYTES_MAX: usize = 8 << 20;

struct Run<'a, 'c> {
    context: &'a mut Context<'c>,
    commands: Vec<Command>,
    quiet: bool,
    lines: Vec<String>,
    /// Whether the last line had its newline.
    ended: bool,
    at: usize,
    hold: String,
    /// Which ranges are open, and where they end by number.
    open: Vec<Option<usize>>,
    appended: Vec<String>,
    written: BTreeMap<String, Vec<u8>>,
    steps: u64,
    /// What is printed; in place it goes to a file.
    out: String,
    last_regex: Option<Regex>,
}

pub(super) fn sed(context: &mut Context) -> Outcome {
    let long = [
        ("quiet", 'n'),
        ("silent", 'n'),
        ("expression", 'e'),
        ("file", 'f'),
        ("regexp-extended", 'E'),
        ("in-place", 'I'),
        ("separate", 's'),
        ("null-data", 'z'),
        ("unbuffered", 'u'),
    ];
    // -i takes a value only where it hangs on it.
    let words: Vec<String> = context
        .args
        .iter()
        .map(|w| {
            if w.starts_with("-i") || w.starts_with("--in-place") {
                "-I".to_owned()
            } else {
                w.clone()
            }
        })
        .collect();
    let parsed = options::parse_words(&words, "nEre:f:Isuz", &long).map_err(|e| match e {
        Failure::Message(_, message) => Failure::Message(1, message),
        other => other,
    })?;
    let mut operands = parsed.operands.clone();
    let mut text = String::new();
    for (option, value) in &parsed.options {
        match option {
            'e' => text += &format!("{value}\n"),
            'f' => match context.read(value)? {
                Ok(bytes) => text += &format!("{}\n", String::from_utf8_lossy(&bytes)),
                Err(message) => {
                    return Err(Failure::Message(1, format!("couldn't open file {message}")));
                }
            },
            _ => {}
        }
    }
    if !parsed.has('e') && !parsed.has('f') {
        if operands.is_empty() {
            context.err.extend_from_slice(
                b"Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...\n",
            );
            return Ok(1);
        }
        text = operands.remove(0);
    }
    let extended = parsed.has('E') || parsed.has('r');
    let commands = parse::parse(&text, extended).map_err(|(at, message)| {
        Failure::Message(1, format!("-e expression #1, char {at}: {message}"))
    })?;
    let quiet = parsed.has('n') || text.starts_with("#n\n");
    if !parsed.has('I') {
        let (bytes, status) = read(context, &operands)?;
        let (out, code) = run(context, commands, quiet, &bytes)?;
        context.say(&out);
        return Ok(code.unwrap_or(status));
    }
    let mut status = 0;
    for file in &operands {
        let (bytes, failed) = read(context, std::slice::from_ref(file))?;
        if failed != 0 {
            status = failed;
            continue;
        }
        let (out, code) = run(context, commands.clone(), quiet, &bytes)?;
        let path = context.path(file);
        if let Err(error) = context.files.write(&path, out.as_bytes(), false) {
            return Err(Failure::Message(
                4,
                format!("couldn't open temporary file {file}: {error}"),
            ));
        }
        if let Some(code) = code {
            return Ok(code);
        }
    }
    Ok(status)
}

/// All input; a file that cannot be read is told as sed tells it, with status 2.
fn read(context: &mut Context, files: &[String]) -> Result<(Vec<u8>, i32), Failure> {
    if files.is_empty() {
        return Ok((context.stdin()?.to_vec(), 0));
    }
    let mut all = Vec::new();
    let mut status = 0;
    for file in files {
        match context.read(file)? {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(message) => {
                let error = message.rsplit(": ").next().unwrap_or_default().to_owned();
                let message = match context.dialect {
                    crate::Dialect::Ash => format!("{file}: {error}"),
                    _ => format!("can't read {file}: {error}"),
                };
                context.complain("sed", &message);
                status = if context.dialect == crate::Dialect::Ash {
                    1
                } else {
                    2
                };
            }
        }
    }
    Ok((all, status))
}

fn run(
    context: &mut Context,
    commands: Vec<Command>,
    quiet: bool,
    bytes: &[u8],
) -> Result<(String, Option<i32>), Failure> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = super::lines(&text).map(str::to_owned).collect();
    let open = vec![None; commands.len()];
    let ended = text.ends_with('\n');
    let mut run = Run {
        context,
        commands,
        quiet,
        lines,
        ended,
        at: 0,
        hold: String::new(),
        open,
        appended: Vec::new(),
        written: BTreeMap::new(),
        steps: 0,
        out: String::new(),
        last_regex: None,
    };
    let code = run.run()?;
    let Run {
        written,
        out,
        steps,
        ..
    } = run;
    context.steps += steps / 4;
    for (file, bytes) in written {
        match file.as_str() {
            "/dev/stdout" => context.out.extend(bytes),
            "/dev/stderr" => context.err.extend(bytes),
            file => {
                let path = context.path(file);
                if let Err(error) = context.files.write(&path, &bytes, false) {
                    return Err(Failure::Message(
                        4,
                        format!("couldn't open file {file}: {error}"),
                    ));
                }
            }
        }
    }
    Ok((out, code))
}

/// What comes after a pass over the commands.
enum Then {
    /// The next line, after printing this one (unless -n).
    Next,
    /// The next line, without printing.
    Deleted,
    /// The commands again on what is left of the pattern space.
    Restart,
    Quit(i32, bool),
}

impl Run<'_, '_> {
    fn run(&mut self) -> Result<Option<i32>, Failure> {
        let mut kept: Option<String> = None;
        while self.at < self.lines.len() || kept.is_some() {
            let mut space = match kept.take() {
                Some(space) => space,
                None => {
                    self.at += 1;
                    std::mem::take(&mut self.lines[self.at - 1])
                }
            };
            let then = self.cycle(&mut space)?;
            let prints = matches!(then, Then::Next | Then::Quit(_, true));
            if prints && !self.quiet {
                self.print(&space);
            }
            self.flush();
            match then {
                Then::Quit(status, _) => return Ok(Some(status)),
                Then::Restart => kept = Some(space),
                Then::Next | Then::Deleted => {}
            }
        }
        Ok(None)
    }

    fn is_last(&self) -> bool {
        self.at >= self.lines.len()
    }

    fn print(&mut self, text: &str) {
        self.out.push_str(text);
        // The last line has a newline only where the input's had one.
        if self.ended || !self.is_last() {
            self.out.push('\n');
        }
    }

    fn flush(&mut self) {
        for text in std::mem::take(&mut self.appended) {
            if !self.out.is_empty() && !self.out.ends_with('\n') {
                self.out.push('\n');
            }
            self.out.push_str(&text);
        }
    }

    fn hits(&mut self, index: usize, space: &str) -> bool {
        let (first, second, negated) = {
            let command = &self.commands[index];
            (
                command.first.clone(),
                command.second.clone(),
                command.negated,
            )
        };
        let hit = match (first, second) {
            (None, _) => true,
            (Some(first), None) => self.meets(&first, space),
            (Some(first), Some(second)) => self.in_range(index, &first, &second, space),
        };
        hit != negated
    }

    fn meets(&mut self, address: &Address, space: &str) -> bool {
        match address {
            Address::Line(n) => self.at == *n,
            Address::Last => self.is_last(),
            Address::Step(first, step) => match step {
                0 => self.at == *first,
                step => self.at >= *first && (self.at - first).is_multiple_of(*step),
            },
            Address::Regex(regex) => {
                let regex = regex.clone().or_else(|| self.last_regex.clone());
                self.last_regex.clone_from(&regex);
                regex.is_some_and(|r| r.is_match(space))
            }
            Address::Plus(_) | Address::Multiple(_) | Address::Zero => false,
        }
    }

    fn in_range(&mut self, index: usize, first: &Address, second: &Address, space: &str) -> bool {
        if let Some(end) = self.open[index] {
            let ends = match second {
                Address::Regex(_) | Address::Last => self.meets(second, space),
                _ => self.at >= end,
            };
            if ends {
                self.open[index] = None;
            }
            // A line number that is already behind ends the range with its first line.
            return !matches!(second, Address::Line(_)) || self.at <= end;
        }
        let zero = matches!(first, Address::Zero);
        let begins = (zero && self.at == 1) || self.meets(first, space);
        if !begins {
            return false;
        }
        let end = match second {
            Address::Line(n) => *n,
            Address::Plus(n) => self.at + n,
            Address::Multiple(n) if *n > 0 => self.at.div_ceil(*n) * n,
            Address::Multiple(_) => self.at,
            Address::Regex(_) if zero => {
                if !self.meets(second, space) {
                    self.open[index] = Some(usize::MAX);
                }
                return true;
            }
            _ => usize::MAX,
        };
        let over = end <= self.at || (matches!(second, Address::Last) && self.is_last());
        self.open[index] = (!over).then_some(end);
        true
    }

    fn cycle(&mut self, space: &mut String) -> Result<Then, Failure> {
        let mut substituted = false;
        let mut pc = 0;
        while pc < self.commands.len() {
            self.steps += 1;
            if self.steps > STEPS_MAX
                || space.len() > SPACE_BYTES_MAX
                || self.out.len() > 4 * SPACE_BYTES_MAX
            {
                return Err(Failure::Message(
                    1,
                    "stopped: it went on for too long".to_owned(),
                ));
            }
            let index = pc;
            pc += 1;
            if !self.hits(index, space) {
                if let Kind::Block(end) = self.commands[index].kind {
                    pc = end;
                }
                continue;
            }
            let kind = self.commands[index].kind.clone();
            match kind {
                Kind::Block(_) => {}
                Kind::Delete => return Ok(Then::Deleted),
                Kind::DeleteFirst => match space.find('\n') {
                    Some(at) => {
                        space.drain(..=at);
                        return Ok(Then::Restart);
                    }
                    None => return Ok(Then::Deleted),
                },
                Kind::Print => self.print(space),
                Kind::PrintFirst => {
                    let first = space.split('\n').next().unwrap_or_default().to_owned();
                    self.out += &format!("{first}\n");
                }
                Kind::Number => self.out += &format!("{}\n", self.at),
                Kind::List => {
                    let shown: String = space.chars().flat_map(|c| c.escape_default()).collect();
                    self.out += &format!("{shown}$\n");
                }
                Kind::Quit(status) => return Ok(Then::Quit(status, true)),
                Kind::QuitSilently(status) => return Ok(Then::Quit(status, false)),
                Kind::Next => {
                    if self.is_last() {
                        // Without a next line GNU's sed prints what it has and ends.
                        return Ok(Then::Next);
                    }
                    if !self.quiet {
                        self.print(space);
                    }
                    self.flush();
                    self.at += 1;
                    *space = std::mem::take(&mut self.lines[self.at - 1]);
                }
                Kind::NextAppend => {
                    if self.is_last() {
                        return Ok(Then::Next);
                    }
                    self.at += 1;
                    space.push('\n');
                    space.push_str(&std::mem::take(&mut self.lines[self.at - 1]));
                }
                Kind::Hold => self.hold.clone_from(space),
                Kind::HoldAppend => {
                    if self.hold.len() > SPACE_BYTES_MAX {
                        return Err(Failure::Message(1, "the hold space is too long".to_owned()));
                    }
                    self.hold.push('\n');
                    self.hold.push_str(space);
                }
                Kind::Get => space.clone_from(&self.hold),
                Kind::GetAppend => {
                    space.push('\n');
                    space.push_str(&self.hold);
                }
                Kind::Exchange => std::mem::swap(space, &mut self.hold),
                Kind::Append(text) => self.appended.push(text),
                Kind::Insert(text) => self.out += &text,
                Kind::Change(text) => {
                    // In a range the text comes once, at its end.
                    let command = &self.commands[index];
                    if command.second.is_none() || self.open[index].is_none() || command.negated {
                        self.out += &text;
                    }
                    return Ok(Then::Deleted);
                }
                Kind::Read(file) => {
                    if let Ok(bytes) = self.context.files.read(&self.context.path(&file)) {
                        self.appended
                            .push(String::from_utf8_lossy(&bytes).into_owned());
                    }
                }
                Kind::Write(file) => {
                    self.written
                        .entry(file)
                        .or_default()
                        .extend(format!("{space}\n").bytes());
                }
                Kind::Transliterate(pairs) => {
                    let swap =
                        |c: char| pairs.iter().find(|(from, _)| *from == c).map_or(c, |p| p.1);
                    *space = space.chars().map(swap).collect();
                }
                Kind::Jump(to) => pc = to,
                Kind::JumpIf(to) => {
                    if std::mem::take(&mut substituted) {
                        pc = to;
                    }
                }
                Kind::JumpUnless(to) => {
                    if !std::mem::take(&mut substituted) {
                        pc = to;
                    }
                }
                Kind::Substitute(s) => {
                    let regex = s.regex.clone().or_else(|| self.last_regex.clone());
                    let Some(regex) = regex else {
                        return Err(Failure::Message(
                            1,
                            "no previous regular expression".to_owned(),
                        ));
                    };
                    self.steps += space.len() as u64 / 16;
                    let changed = s.apply(&regex, space);
                    self.last_regex = Some(regex);
                    if let Some(text) = changed {
                        *space = text;
                        substituted = true;
                        if s.print {
                            self.print(space);
                        }
                        if let Some(file) = &s.write {
                            self.written
                                .entry(file.clone())
                                .or_default()
                                .extend(format!("{space}\n").bytes());
                        }
                    }
                }
            }
        }
        Ok(Then::Next)
    }
}
