//! `basename`, `dirname`, `realpath`, `readlink`, `seq`

use super::format::{Piece, general, pieces};
use super::{Context, Failure, Outcome, fail, options};

fn missing<T>(name: &str) -> Result<T, Failure> {
    fail(format!(
        "missing operand\nTry '{name} --help' for more information."
    ))
}

pub(super) fn basename(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "as:z", &[("multiple", 'a'), ("suffix", 's')])?;
    let many = parsed.has('a') || parsed.has('s');
    let names = match parsed.operands.as_slice() {
        [] => return missing("basename"),
        all if many => all,
        all => &all[..1],
    };
    let suffix = parsed
        .value('s')
        .or_else(|| parsed.operands.get(1).filter(|_| !many).map(String::as_str));
    for path in names {
        let trimmed = path.trim_end_matches('/');
        let name = match trimmed {
            "" if path.is_empty() => "",
            "" => "/",
            path => super::base_name(path),
        };
        let short = suffix
            .and_then(|s| name.strip_suffix(s))
            .filter(|n| !n.is_empty())
            .unwrap_or(name);
        context.say(&format!("{short}\n"));
    }
    Ok(0)
}

pub(super) fn dirname(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "z", &[])?;
    if parsed.operands.is_empty() {
        return missing("dirname");
    }
    for path in &parsed.operands {
        let trimmed = path.trim_end_matches('/');
        let directory = match trimmed.rfind('/') {
            _ if trimmed.is_empty() && path.starts_with('/') => "/",
            None => ".",
            Some(at) => match trimmed[..at].trim_end_matches('/') {
                "" => "/",
                directory => directory,
            },
        };
        context.say(&format!("{directory}\n"));
    }
    Ok(0)
}

pub(super) fn realpath(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "emsqf", &[])?;
    for path in &parsed.operands {
        let mut path = context.path(path);
        for _ in 0..40 {
            match context
                .files
                .metadata(&path, false)
                .ok()
                .and_then(|m| m.target)
            {
                Some(target) => path = crate::text::absolute(crate::text::parent(&path), &target),
                None => break,
            }
        }
        context.say(&format!("{path}\n"));
    }
    Ok(0)
}

pub(super) fn readlink(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "fenm", &[("canonicalize", 'f')])?;
    if parsed.has('f') || parsed.has('e') || parsed.has('m') {
        return realpath(context);
    }
    let mut status = 0;
    for path in &parsed.operands {
        match context
            .files
            .metadata(&context.path(path), false)
            .ok()
            .and_then(|m| m.target)
        {
            Some(target) => context.say(&format!("{target}\n")),
            None => status = 1,
        }
    }
    Ok(status)
}

/// How many numbers `seq` prints at the most.
const COUNT_MAX: u64 = 10_000_000;

pub(super) fn seq(context: &mut Context) -> Outcome {
    // A negative number is an operand, not an option.
    let mut words = context.args;
    let (mut separator, mut format, mut equal) = ("\n".to_owned(), None, false);
    while let Some((option, rest)) = words.split_first() {
        let (letter, hanging) = match option.strip_prefix('-').and_then(|o| o.chars().next()) {
            Some(letter @ ('w' | 's' | 'f')) => (letter, &option[2..]),
            _ => break,
        };
        words = rest;
        if letter == 'w' {
            equal = true;
            continue;
        }
        let value = match hanging {
            "" => {
                let Some((value, rest)) = words.split_first() else {
                    return missing("seq");
                };
                words = rest;
                value.clone()
            }
            hanging => hanging.to_owned(),
        };
        match letter {
            's' => separator = value,
            _ => format = Some(value),
        }
    }
    let mut numbers = Vec::new();
    for word in words {
        match word.parse::<f64>() {
            Ok(number) if number.is_finite() => numbers.push(number),
            _ => {
                return fail(format!(
                    "invalid floating point argument: '{word}'\nTry 'seq --help' for more information."
                ));
            }
        }
    }
    let (first, step, last) = match numbers[..] {
        [] => return missing("seq"),
        [last] => (1.0, 1.0, last),
        [first, last] => (first, 1.0, last),
        [first, step, last] => (first, step, last),
        _ => {
            return fail(format!(
                "extra operand '{}'\nTry 'seq --help' for more information.",
                words[3]
            ));
        }
    };
    if step == 0.0 {
        return fail(format!(
            "invalid Zero increment value: '{}'\nTry 'seq --help' for more information.",
            words[1]
        ));
    }
    let decimals = |w: &String| w.split_once('.').map_or(0, |(_, d)| d.len().min(50));
    let precision = words
        .iter()
        .take(words.len().max(2) - 1)
        .map(decimals)
        .max()
        .unwrap_or(0);
    let count = ((last - first) / step + 1e-9).floor();
    if count < 0.0 {
        return Ok(0);
    }
    if count as u64 >= COUNT_MAX {
        return fail(format!("more than {COUNT_MAX} numbers"));
    }
    let width = [first, last]
        .iter()
        .map(|n| format!("{n:.precision$}").len())
        .max()
        .unwrap_or(0);
    let spec = format.as_deref().map(pieces);
    let mut all = Vec::new();
    for i in 0..=(count as u64) {
        let value = first + step * i as f64;
        all.push(match &spec {
            Some(pieces) => pieces
                .iter()
                .map(|p| match p {
                    Piece::Text(text) => text.clone(),
                    Piece::Spec { spec, .. } => spec.float(value),
                })
                .collect(),
            None if equal => format!("{value:0width$.precision$}"),
            None if precision > 0 => format!("{value:.precision$}"),
            None if value.abs() < 1e15 => format!("{value:.0}"),
            None => general(value, 6, false),
        });
    }
    context.steps += count as u64 / 8;
    context.say(&(all.join(&separator) + "\n"));
    Ok(0)
}
