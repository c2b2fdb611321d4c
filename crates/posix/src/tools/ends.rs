//! `head` and `tail`

use super::{Context, Failure, Outcome, Tool, options};
use crate::process::Task;

const LONG: [(&str, char); 6] = [
    ("lines", 'n'),
    ("bytes", 'c'),
    ("quiet", 'q'),
    ("silent", 'q'),
    ("verbose", 'v'),
    ("follow", 'f'),
];

/// `-5` is `-n 5`.
fn words(args: &[String]) -> Vec<String> {
    let number = |w: &String| {
        w.len() > 1 && w[1..].bytes().all(|b| b.is_ascii_digit()) && w.starts_with('-')
    };
    match args.first() {
        Some(first) if number(first) => {
            let rest = args[1..].iter().cloned();
            ["-n".to_owned(), first[1..].to_owned()]
                .into_iter()
                .chain(rest)
                .collect()
        }
        _ => args.to_vec(),
    }
}

/// `5`, `5k`, `5M`
fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 1024),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'b') => (&text[..at], 512),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn invalid<T>(what: &str, text: &str) -> Result<T, Failure> {
    Err(Failure::Message(
        1,
        format!("invalid number of {what}: '{text}'"),
    ))
}

/// `head` of standard input ends as soon as it has enough.
pub(super) fn head_stream(_: Tool, argv: &[String]) -> Option<Task> {
    let parsed = options::parse_words(&words(argv.get(1..)?), "n:c:qv", &LONG).ok()?;
    if !parsed.operands.iter().all(|o| o == "-") || parsed.operands.len() > 1 || parsed.has('v') {
        return None;
    }
    let bytes = match parsed.value('c') {
        Some(text) => Some(size(text)?),
        None => None,
    };
    let lines = match (bytes, parsed.value('n')) {
        (Some(_), _) => None,
        (None, Some(text)) => Some(size(text)?),
        (None, None) => Some(10),
    };
    Some(Task::Copy {
        files: Vec::new(),
        lines,
        bytes,
        status: 0,
    })
}

pub(super) fn head(context: &mut Context) -> Outcome {
    let parsed = options::parse_words(&words(context.args), "n:c:qv", &LONG)?;
    let (unit, text) = match parsed.value('c') {
        Some(text) => ("bytes", text),
        None => ("lines", parsed.value('n').unwrap_or("10")),
    };
    let (but, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let Some(count) = size(digits) else {
        return invalid(unit, text);
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    each(context, "head", &parsed, |bytes| {
        let ends: Vec<usize> = if unit == "bytes" {
            (1..=bytes.len()).collect()
        } else {
            line_ends(bytes)
        };
        let wanted = if but {
            ends.len().saturating_sub(count)
        } else {
            count.min(ends.len())
        };
        &bytes[..if wanted == 0 { 0 } else { ends[wanted - 1] }]
    })
}

/// Where each line ends, its newline included.
fn line_ends(bytes: &[u8]) -> Vec<usize> {
    let mut at = 0;
    bytes
        .split_inclusive(|b| *b == b'\n')
        .map(|line| {
            at += line.len();
            at
        })
        .collect()
}

fn each(
    context: &mut Context,
    name: &str,
    parsed: &options::Parsed,
    part: impl for<'b> Fn(&'b [u8]) -> &'b [u8],
) -> Outcome {
    let stdin = ["-".to_owned()];
    let files = if parsed.operands.is_empty() {
        &stdin[..]
    } else {
        &parsed.operands
    };
    let titled = (files.len() > 1 && !parsed.has('q')) || parsed.has('v');
    let mut status = 0;
    let mut first = true;
    for file in files {
        match context.read(file)? {
            Ok(bytes) => {
                if titled {
                    let shown = if file == "-" { "standard input" } else { file };
                    let gap = if first { "" } else { "\n" };
                    context.say(&format!("{gap}==> {shown} <==\n"));
                }
                first = false;
                context.out.extend_from_slice(part(&bytes));
            }
            Err(message) => {
                let message = match message.strip_prefix("can't") {
                    Some(_) => message,
                    None => format!(
                        "cannot open '{file}' for reading: {}",
                        message.trim_start_matches(file).trim_start_matches(": ")
                    ),
                };
                context.complain(name, &message);
                status = 1;
            }
        }
    }
    Ok(status)
}

/// `tail -f FILE`
pub(super) fn tail_stream(_: Tool, argv: &[String]) -> Option<Task> {
    let parsed = options::parse_words(&words(argv.get(1..)?), "n:c:qvfFs:", &LONG).ok()?;
    let [file] = parsed.operands.as_slice() else {
        return None;
    };
    if !parsed.has('f') && !parsed.has('F') {
        return None;
    }
    Some(Task::Tail {
        argv: argv.to_vec(),
        path: file.clone(),
    })
}

pub(super) fn tail(context: &mut Context) -> Outcome {
    let parsed = options::parse_words(&words(context.args), "n:c:qvfFs:", &LONG)?;
    let (unit, text) = match parsed.value('c') {
        Some(text) => ("bytes", text),
        None => ("lines", parsed.value('n').unwrap_or("10")),
    };
    let (from, digits) = match text.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, text.trim_start_matches('-')),
    };
    let Some(count) = size(digits) else {
        return invalid(unit, text);
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    each(context, "tail", &parsed, |bytes| {
        let ends: Vec<usize> = if unit == "bytes" {
            (1..=bytes.len()).collect()
        } else {
            line_ends(bytes)
        };
        let skipped = if from {
            count.saturating_sub(1).min(ends.len())
        } else {
            ends.len().saturating_sub(count)
        };
        &bytes[if skipped == 0 { 0 } else { ends[skipped - 1] }..]
    })
}
