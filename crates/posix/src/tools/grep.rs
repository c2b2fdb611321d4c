//! `grep`, `egrep`, `fgrep`

use super::regex;
use super::{Context, Failure, Outcome, Tool, options};
use crate::host::FileKind;
use crate::process::Task;
use regex_lite::Regex;

const SHORT: &str = "EFGPoicvnqwxlLhHsrRzA:B:C:e:f:m:ay";
const LONG: [(&str, char); 23] = [
    ("extended-regexp", 'E'),
    ("fixed-strings", 'F'),
    ("basic-regexp", 'G'),
    ("perl-regexp", 'P'),
    ("only-matching", 'o'),
    ("ignore-case", 'i'),
    ("count", 'c'),
    ("invert-match", 'v'),
    ("line-number", 'n'),
    ("quiet", 'q'),
    ("silent", 'q'),
    ("word-regexp", 'w'),
    ("line-regexp", 'x'),
    ("files-with-matches", 'l'),
    ("files-without-match", 'L'),
    ("no-filename", 'h'),
    ("with-filename", 'H'),
    ("no-messages", 's'),
    ("recursive", 'r'),
    ("after-context", 'A'),
    ("before-context", 'B'),
    ("context", 'C'),
    ("max-count", 'm'),
];

/// `--color` has no meaning without a terminal; `-5` is `-C 5`.
fn words(args: &[String]) -> Vec<String> {
    let number =
        |w: &str| w.len() > 1 && w.starts_with('-') && w[1..].bytes().all(|b| b.is_ascii_digit());
    let kept = args
        .iter()
        .filter(|w| !w.starts_with("--color") && !w.starts_with("--line-buffered"));
    kept.map(|w| {
        if number(w) {
            format!("-C{}", &w[1..])
        } else {
            w.clone()
        }
    })
    .collect()
}

/// Where each line is for itself, lines are looked at as they come.
pub(super) fn stream(tool: Tool, argv: &[String]) -> Option<Task> {
    let parsed = options::parse_words(&words(argv.get(1..)?), SHORT, &LONG).ok()?;
    let alone = !"cnqlLrRzABCmf".chars().any(|c| parsed.has(c));
    let patterns = usize::from(!parsed.has('e'));
    (alone && parsed.operands.len() == patterns).then(|| Task::Lines {
        tool,
        argv: argv.to_vec(),
        rest: Vec::new(),
        matched: false,
    })
}

struct Search {
    regex: Regex,
    invert: bool,
    only: bool,
    count: bool,
    numbers: bool,
    most: u64,
    before: usize,
    after: usize,
}

pub(super) fn grep(context: &mut Context) -> Outcome {
    run(context, None)
}

pub(super) fn egrep(context: &mut Context) -> Outcome {
    run(context, Some('E'))
}

pub(super) fn fgrep(context: &mut Context) -> Outcome {
    run(context, Some('F'))
}

fn run(context: &mut Context, kind: Option<char>) -> Outcome {
    let parsed = options::parse_words(&words(context.args), SHORT, &LONG)?;
    let mut operands = parsed.operands.clone();
    let mut patterns: Vec<String> = parsed.values('e').map(str::to_owned).collect();
    if let Some(file) = parsed.value('f') {
        match context.read(file)? {
            Ok(bytes) => {
                patterns.extend(super::lines(&String::from_utf8_lossy(&bytes)).map(str::to_owned))
            }
            Err(message) => return Err(Failure::Message(2, message)),
        }
    } else if patterns.is_empty() {
        if operands.is_empty() {
            context.err.extend_from_slice(
                b"Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n",
            );
            return Ok(2);
        }
        patterns.push(operands.remove(0));
    }
    let kind = parsed
        .options
        .iter()
        .rev()
        .map(|(o, _)| *o)
        .find(|o| "EFGP".contains(*o))
        .or(kind);
    let parts: Result<Vec<String>, String> = patterns
        .iter()
        .flat_map(|p| p.split('\n'))
        .map(|p| match kind {
            Some('F') => Ok(regex::escape(p)),
            Some('P') => Ok(p.to_owned()),
            Some('E') => regex::translate(p, true),
            _ => regex::translate(p, false),
        })
        .collect();
    let joined = parts.map(|parts| {
        parts
            .iter()
            .map(|p| format!("(?:{p})"))
            .collect::<Vec<_>>()
            .join("|")
    });
    let wrapped = joined.map(|all| match () {
        () if parsed.has('x') => format!("^(?:{all})$"),
        () if parsed.has('w') => format!(r"(?:^|\b)(?:{all})(?:\b|$)"),
        () => all,
    });
    let regex = wrapped
        .and_then(|all| regex::build(&all, parsed.has('i') || parsed.has('y')))
        .map_err(|message| Failure::Message(2, message))?;
    let length = |option| {
        parsed
            .number(option, "invalid context length argument")
            .map(|n| n.map(|n| n as usize))
    };
    let both = length('C')?.unwrap_or(0);
    let search = Search {
        regex,
        invert: parsed.has('v'),
        only: parsed.has('o'),
        count: parsed.has('c') || parsed.has('q') || parsed.has('l') || parsed.has('L'),
        numbers: parsed.has('n'),
        most: parsed.number('m', "invalid max count")?.unwrap_or(u64::MAX),
        before: length('B')?.unwrap_or(both),
        after: length('A')?.unwrap_or(both),
    };
    let recursive = parsed.has('r') || parsed.has('R');
    if operands.is_empty() {
        operands.push(if recursive { "." } else { "-" }.to_owned());
    }
    let titled = (operands.len() > 1 || recursive || parsed.has('H')) && !parsed.has('h');
    let mut files = Vec::new();
    let mut failed = false;
    for operand in operands {
        expand(context, operand, recursive, &mut files, &mut failed, 0);
    }
    let mut matched = false;
    for file in files {
        let bytes = match context.read(&file)? {
            Ok(bytes) => bytes,
            Err(message) => {
                failed = true;
                if !parsed.has('s') {
                    let plain = message
                        .strip_prefix("can't open ")
                        .map(|m| m.replacen('\'', "", 2));
                    context.complain("grep", &plain.unwrap_or(message));
                }
                continue;
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        context.steps += text.len() as u64 / 16;
        let shown = if file == "-" {
            "(standard input)"
        } else {
            &file
        };
        let (found, lines) = search.run(&text, if titled { Some(shown) } else { None });
        matched |= found > 0;
        match () {
            () if parsed.has('q') => {
                if found > 0 {
                    return Ok(0);
                }
            }
            () if parsed.has('l') || parsed.has('L') => {
                if (found > 0) != parsed.has('L') {
                    context.say(&format!("{shown}\n"));
                }
            }
            () if parsed.has('c') => {
                let prefix = if titled {
                    format!("{shown}:")
                } else {
                    String::new()
                };
                context.say(&format!("{prefix}{found}\n"));
            }
            () => context.say(&lines),
        }
    }
    Ok(match () {
        () if failed => 2,
        () => i32::from(!matched),
    })
}

/// Files below a directory, where they are wanted.
fn expand(
    context: &mut Context,
    operand: String,
    recursive: bool,
    files: &mut Vec<String>,
    failed: &mut bool,
    depth: usize,
) {
    let path = context.path(&operand);
    let directory = operand != "-"
        && context
            .files
            .metadata(&path, true)
            .is_ok_and(|m| m.kind == FileKind::Directory);
    if !directory || depth > 64 {
        files.push(operand);
    } else if recursive {
        for name in context.files.list(&path).unwrap_or_default() {
            let below = format!("{}/{name}", operand.trim_end_matches('/'));
            expand(context, below, true, files, failed, depth + 1);
        }
    } else {
        context.complain("grep", &format!("{operand}: Is a directory"));
        *failed = depth > 0 || *failed;
    }
}

impl Search {
    /// How many lines match, and what is printed for them.
    fn run(&self, text: &str, title: Option<&str>) -> (u64, String) {
        let mut found = 0;
        let mut out = String::new();
        let all: Vec<&str> = super::lines(text).collect();
        // The first line not printed yet, and up to where lines after a match are.
        let (mut next, mut after_end) = (0, 0);
        let context = self.before > 0 || self.after > 0;
        let mut any = false;
        let line_out = |out: &mut String, index: usize, text: &str, mark: char| {
            if let Some(title) = title {
                out.push_str(title);
                out.push(mark);
            }
            if self.numbers {
                out.push_str(&(index + 1).to_string());
                out.push(mark);
            }
            out.push_str(text);
            out.push('\n');
        };
        for (i, line) in all.iter().enumerate() {
            let matches = self.regex.is_match(line) != self.invert && found < self.most;
            if matches {
                found += 1;
                if self.count {
                    continue;
                }
                if self.only {
                    if !self.invert {
                        let parts = self.regex.find_iter(line).filter(|m| !m.is_empty());
                        parts.for_each(|m| line_out(&mut out, i, m.as_str(), ':'));
                    }
                    continue;
                }
                let start = i.saturating_sub(self.before).max(next);
                if context && any && start > next {
                    out.push_str("--\n");
                }
                (start..i).for_each(|j| line_out(&mut out, j, all[j], '-'));
                line_out(&mut out, i, line, ':');
                any = true;
                next = i + 1;
                after_end = i + 1 + self.after;
            } else if !self.count && !self.only && i < after_end {
                line_out(&mut out, i, line, '-');
                next = i + 1;
            } else if found >= self.most {
                break;
            }
        }
        (found, out)
    }
}
