//! `mkdir`, `rmdir`, `rm`, `touch`, `cp`, `mv`, `ln`, `chmod`, `mktemp`, `tee`, `truncate`

use super::{Context, Failure, Outcome, Tool, base_name, fail, options};
use crate::host::{FileError, FileKind};
use crate::process::Task;

/// How deep trees are walked.
const DEPTH_MAX: usize = 64;

fn wanted(parsed: &options::Parsed, name: &str, count: usize) -> Result<(), Failure> {
    match parsed.operands.as_slice() {
        [] => fail(
            match name {
                "cp" | "mv" | "ln" => "missing file operand".to_owned(),
                _ => "missing operand".to_owned(),
            } + &format!("\nTry '{name} --help' for more information."),
        ),
        [only] if count > 1 => fail(format!(
            "missing destination file operand after '{only}'\nTry '{name} --help' for more information."
        )),
        _ => Ok(()),
    }
}

pub(super) fn mkdir(context: &mut Context) -> Outcome {
    let parsed = options::parse(
        context,
        "pvm:",
        &[("parents", 'p'), ("verbose", 'v'), ("mode", 'm')],
    )?;
    wanted(&parsed, "mkdir", 1)?;
    let mut status = 0;
    for operand in &parsed.operands {
        let path = context.path(operand);
        let made = if parsed.has('p') {
            let ends = path
                .char_indices()
                .filter(|(i, c)| *c == '/' && *i > 0)
                .map(|(i, _)| i)
                .chain([path.len()]);
            let mut result = Ok(());
            for end in ends.collect::<Vec<_>>() {
                result = match context.files.make_directory(&path[..end]) {
                    Err(FileError::Exists) => match context.files.metadata(&path[..end], true) {
                        Ok(m) if m.kind == FileKind::Directory => Ok(()),
                        _ => Err(FileError::Exists),
                    },
                    // A directory above may be one that cannot be written to: only the last counts.
                    Err(FileError::ReadOnly | FileError::Denied) if end < path.len() => Ok(()),
                    other => other,
                };
                if result.is_err() {
                    break;
                }
            }
            result
        } else {
            context.files.make_directory(&path)
        };
        match made {
            Ok(()) if parsed.has('v') => {
                context.say(&format!("mkdir: created directory '{operand}'\n"))
            }
            Ok(()) => {}
            Err(error) => {
                let message = match context.dialect {
                    crate::Dialect::Ash => format!("can't create directory '{operand}': {error}"),
                    _ => format!("cannot create directory '{operand}': {error}"),
                };
                context.complain("mkdir", &message);
                status = 1;
            }
        }
        if let Some(mode) = parsed
            .value('m')
            .and_then(|m| u32::from_str_radix(m, 8).ok())
        {
            // It has just been made, or the failure was told.
            let _ = context.files.set_mode(&path, mode);
        }
    }
    Ok(status)
}

pub(super) fn rmdir(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "pv", &[("parents", 'p')])?;
    wanted(&parsed, "rmdir", 1)?;
    let mut status = 0;
    for operand in &parsed.operands {
        let path = context.path(operand);
        let result = match context.files.metadata(&path, false) {
            Ok(m) if m.kind == FileKind::Directory => context.files.remove(&path),
            Ok(_) => Err(FileError::NotDirectory),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            context.complain("rmdir", &format!("failed to remove '{operand}': {error}"));
            status = 1;
        }
    }
    Ok(status)
}

pub(super) fn rm(context: &mut Context) -> Outcome {
    let long = [
        ("recursive", 'r'),
        ("force", 'f'),
        ("verbose", 'v'),
        ("dir", 'd'),
    ];
    let parsed = options::parse(context, "rRfvid", &long)?;
    let force = parsed.has('f');
    if parsed.operands.is_empty() && force {
        return Ok(0);
    }
    wanted(&parsed, "rm", 1)?;
    let recursive = parsed.has('r') || parsed.has('R');
    let mut status = 0;
    for operand in &parsed.operands {
        let path = context.path(operand);
        let error = match context.files.metadata(&path, false) {
            Err(FileError::NotFound | FileError::NotDirectory) if force => continue,
            Err(error) => Some(error),
            Ok(_) if path == "/" => {
                context.complain("rm", "it is dangerous to operate recursively on '/'");
                status = 1;
                continue;
            }
            Ok(m) if m.kind == FileKind::Directory && !recursive && !parsed.has('d') => {
                Some(FileError::IsDirectory)
            }
            Ok(_) => remove(context, &path, recursive, 0).err(),
        };
        match error {
            None if parsed.has('v') => context.say(&format!("removed '{operand}'\n")),
            None => {}
            Some(error) => {
                let message = match (context.dialect, error) {
                    (crate::Dialect::Ash, FileError::IsDirectory) => {
                        format!("'{operand}' is a directory")
                    }
                    (crate::Dialect::Ash, error) => format!("can't remove '{operand}': {error}"),
                    (_, error) => format!("cannot remove '{operand}': {error}"),
                };
                context.complain("rm", &message);
                status = 1;
            }
        }
    }
    Ok(status)
}

fn remove(
    context: &mut Context,
    path: &str,
    recursive: bool,
    depth: usize,
) -> Result<(), FileError> {
    let directory = context.files.metadata(path, false)?.kind == FileKind::Directory;
    if directory && recursive && depth < DEPTH_MAX {
        for name in context.files.list(path)? {
            context.steps += 1;
            remove(
                context,
                &format!("{}/{name}", path.trim_end_matches('/')),
                true,
                depth + 1,
            )?;
        }
    }
    context.files.remove(path)
}

pub(super) fn touch(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "acmd:r:t:", &[("no-create", 'c'), ("date", 'd')])?;
    wanted(&parsed, "touch", 1)?;
    let mut status = 0;
    for operand in &parsed.operands {
        let path = context.path(operand);
        let there = context.files.metadata(&path, true);
        if there.as_ref().is_ok_and(|m| m.kind == FileKind::Directory)
            || (there.is_err() && parsed.has('c'))
        {
            continue;
        }
        if let Err(error) = context.files.write(&path, &[], true) {
            let message = match context.dialect {
                crate::Dialect::Ash => format!("{operand}: {error}"),
                _ => format!("cannot touch '{operand}': {error}"),
            };
            context.complain("touch", &message);
            status = 1;
        }
    }
    Ok(status)
}

/// Where `cp`, `mv` and `ln` put things: each source with its target.
fn targets(
    context: &Context,
    operands: &[String],
    alone: bool,
) -> Result<Vec<(String, String)>, Failure> {
    let Some((last, sources)) = operands.split_last() else {
        return Ok(Vec::new());
    };
    let into = !alone
        && context
            .files
            .metadata(&context.path(last), true)
            .is_ok_and(|m| m.kind == FileKind::Directory);
    if sources.len() > 1 && !into {
        return fail(format!(
            "target '{last}': {}",
            match context.files.metadata(&context.path(last), true) {
                Ok(_) => FileError::NotDirectory,
                Err(error) => error,
            }
        ));
    }
    let target = |source: &String| match into {
        true => format!(
            "{}/{}",
            last.trim_end_matches('/'),
            base_name(source.trim_end_matches('/'))
        ),
        false => last.clone(),
    };
    Ok(sources
        .iter()
        .map(|source| (source.clone(), target(source)))
        .collect())
}

pub(super) fn cp(context: &mut Context) -> Outcome {
    let long = [
        ("recursive", 'r'),
        ("archive", 'a'),
        ("force", 'f'),
        ("verbose", 'v'),
        ("no-target-directory", 'T'),
    ];
    let parsed = options::parse(context, "rRafvpdLPnT", &long)?;
    wanted(&parsed, "cp", 2)?;
    let recursive = ['r', 'R', 'a'].iter().any(|o| parsed.has(*o));
    let mut status = 0;
    for (source, target) in targets(context, &parsed.operands, parsed.has('T'))? {
        let (from, to) = (context.path(&source), context.path(&target));
        match context.files.metadata(&from, true) {
            Err(error) => {
                let message = match context.dialect {
                    crate::Dialect::Ash => format!("can't stat '{source}': {error}"),
                    _ => format!("cannot stat '{source}': {error}"),
                };
                context.complain("cp", &message);
                status = 1;
            }
            Ok(m) if m.kind == FileKind::Directory && !recursive => {
                let message = match context.dialect {
                    crate::Dialect::Ash => format!("omitting directory '{source}'"),
                    _ => format!("-r not specified; omitting directory '{source}'"),
                };
                context.complain("cp", &message);
                status = 1;
            }
            Ok(_) => match copy(context, &from, &to, 0) {
                Ok(()) if parsed.has('v') => context.say(&format!("'{source}' -> '{target}'\n")),
                Ok(()) => {}
                Err(error) => {
                    let message = match context.dialect {
                        crate::Dialect::Ash => format!("can't create '{target}': {error}"),
                        _ => format!("cannot create regular file '{target}': {error}"),
                    };
                    context.complain("cp", &message);
                    status = 1;
                }
            },
        }
    }
    Ok(status)
}

fn copy(context: &mut Context, from: &str, to: &str, depth: usize) -> Result<(), FileError> {
    context.steps += 1;
    if context.files.metadata(from, true)?.kind != FileKind::Directory {
        let bytes = context.files.read(from)?;
        return context.files.write(to, &bytes, false);
    }
    if depth > DEPTH_MAX || to.starts_with(&format!("{from}/")) {
        return Err(FileError::Invalid);
    }
    match context.files.make_directory(to) {
        Ok(()) | Err(FileError::Exists) => {}
        Err(error) => return Err(error),
    }
    for name in context.files.list(from)? {
        copy(
            context,
            &format!("{from}/{name}"),
            &format!("{to}/{name}"),
            depth + 1,
        )?;
    }
    Ok(())
}

pub(super) fn mv(context: &mut Context) -> Outcome {
    let parsed = options::parse(
        context,
        "fvnT",
        &[
            ("force", 'f'),
            ("verbose", 'v'),
            ("no-target-directory", 'T'),
        ],
    )?;
    wanted(&parsed, "mv", 2)?;
    let mut status = 0;
    for (source, target) in targets(context, &parsed.operands, parsed.has('T'))? {
        let (from, to) = (context.path(&source), context.path(&target));
        if parsed.has('n') && context.files.metadata(&to, false).is_ok() {
            continue;
        }
        match context.files.rename(&from, &to) {
            Ok(()) if parsed.has('v') => {
                context.say(&format!("renamed '{source}' -> '{target}'\n"))
            }
            Ok(()) => {}
            Err(error) => {
                let missing = context.files.metadata(&from, false).is_err();
                let message = match (context.dialect, missing) {
                    (crate::Dialect::Ash, _) => format!("can't rename '{source}': {error}"),
                    (_, true) => format!("cannot stat '{source}': {error}"),
                    (_, false) => format!("cannot move '{source}' to '{target}': {error}"),
                };
                context.complain("mv", &message);
                status = 1;
            }
        }
    }
    Ok(status)
}

pub(super) fn ln(context: &mut Context) -> Outcome {
    let parsed = options::parse(
        context,
        "sfnvrT",
        &[("symbolic", 's'), ("force", 'f'), ("no-dereference", 'n')],
    )?;
    wanted(&parsed, "ln", 2)?;
    let mut status = 0;
    for (source, target) in targets(
        context,
        &parsed.operands,
        parsed.has('n') || parsed.has('T'),
    )? {
        let to = context.path(&target);
        if parsed.has('f')
            && context
                .files
                .metadata(&to, false)
                .is_ok_and(|m| m.kind != FileKind::Directory)
        {
            // What is left in the way is told by the link itself.
            let _ = context.files.remove(&to);
        }
        let made = match parsed.has('s') {
            true => context.files.link(&source, &to),
            // A hard link is a copy here: the two do not share later changes.
            false => context
                .files
                .read(&context.path(&source))
                .and_then(|b| context.files.write(&to, &b, false)),
        };
        if let Err(error) = made {
            let kind = if parsed.has('s') { "symbolic" } else { "hard" };
            context.complain(
                "ln",
                &format!("failed to create {kind} link '{target}': {error}"),
            );
            status = 1;
        }
    }
    Ok(status)
}

pub(super) fn chmod(context: &mut Context) -> Outcome {
    let recursive = context.args.iter().any(|a| a == "-R");
    let words: Vec<&String> = context
        .args
        .iter()
        .filter(|a| !matches!(a.as_str(), "-R" | "-v" | "-f" | "-c"))
        .collect();
    let Some((mode, files)) = words.split_first().filter(|(_, files)| !files.is_empty()) else {
        return fail("missing operand\nTry 'chmod --help' for more information.");
    };
    let mut status = 0;
    let mut todo: Vec<String> = files.iter().rev().map(|f| context.path(f)).collect();
    while let Some(path) = todo.pop() {
        context.steps += 1;
        let metadata = match context.files.metadata(&path, true) {
            Ok(metadata) => metadata,
            Err(error) => {
                context.complain("chmod", &format!("cannot access '{}': {error}", path));
                status = 1;
                continue;
            }
        };
        let Some(bits) = mode_bits(mode, metadata.mode) else {
            return fail(format!("invalid mode: '{mode}'"));
        };
        if let Err(error) = context.files.set_mode(&path, bits) {
            context.complain(
                "chmod",
                &format!("changing permissions of '{path}': {error}"),
            );
            status = 1;
        }
        if recursive && metadata.kind == FileKind::Directory && todo.len() < 100_000 {
            let names = context.files.list(&path).unwrap_or_default();
            todo.extend(
                names
                    .into_iter()
                    .map(|n| format!("{}/{n}", path.trim_end_matches('/'))),
            );
        }
    }
    Ok(status)
}

/// `755`, `u+x`, `go-w,a=r`
fn mode_bits(text: &str, old: u32) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o7777);
    }
    let mut bits = old;
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let mask = clause[..at].chars().try_fold(0, |mask, c| {
            Some(
                mask | match c {
                    'u' => 0o700,
                    'g' => 0o070,
                    'o' => 0o007,
                    'a' => 0o777,
                    _ => return None,
                },
            )
        })?;
        let mask = if mask == 0 { 0o777 } else { mask };
        let value = clause[at + 1..].chars().try_fold(0, |bits, c| {
            Some(
                bits | match c {
                    'r' => 0o444,
                    'w' => 0o222,
                    'x' => 0o111,
                    'X' if old & 0o111 != 0 => 0o111,
                    'X' | 's' | 't' => 0,
                    _ => return None,
                },
            )
        })? & mask;
        bits = match clause.as_bytes()[at] {
            b'+' => bits | value,
            b'-' => bits & !value,
            _ => (bits & !mask) | value,
        };
    }
    Some(bits)
}

pub(super) fn mktemp(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "dqup:t", &[("directory", 'd'), ("tmpdir", 'p')])?;
    let default = format!("{}/tmp.XXXXXXXXXX", parsed.value('p').unwrap_or("/tmp"));
    let template = parsed.operands.first().cloned().unwrap_or(default);
    let stem = template.trim_end_matches('X').to_owned();
    if template.len() > 4096 {
        return fail(FileError::NameTooLong.to_string());
    }
    if template.len() - stem.len() < 3 {
        return fail(format!("too few X's in template '{template}'"));
    }
    // The first name that is free: what is random on Linux is only made to be unique here.
    for number in 0..10_000 {
        let name = format!(
            "{stem}{number:0>width$}",
            width = template.len() - stem.len()
        );
        let path = context.path(&name);
        if context.files.metadata(&path, false).is_ok() {
            continue;
        }
        let made = match parsed.has('d') {
            true => context.files.make_directory(&path),
            false => context.files.write(&path, &[], false),
        };
        return match made {
            Ok(()) => {
                context.say(&format!("{name}\n"));
                Ok(0)
            }
            Err(error) => fail(format!(
                "failed to create file via template '{template}': {error}"
            )),
        };
    }
    fail("no free name")
}

/// `tee` passes on what comes, as it comes.
pub(super) fn tee_stream(_: Tool, argv: &[String]) -> Option<Task> {
    Some(Task::Tee(argv.to_vec()))
}

/// The files that `tee` writes.
pub(crate) fn tee_files(argv: &[String]) -> Vec<String> {
    options::parse_words(argv.get(1..).unwrap_or_default(), "aip", &TEE_LONG)
        .map(|p| p.operands)
        .unwrap_or_default()
}

const TEE_LONG: [(&str, char); 2] = [("append", 'a'), ("ignore-interrupts", 'i')];

/// Opens `tee`'s files; the machine then copies into them.
pub(super) fn tee(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "aip", &TEE_LONG)?;
    let mut status = 0;
    for file in parsed.operands.iter().filter(|f| !f.starts_with("/dev/")) {
        let path = context.path(file);
        if let Err(error) = context.files.write(&path, &[], parsed.has('a')) {
            context.complain("tee", &format!("{file}: {error}"));
            status = 1;
        }
    }
    Ok(status)
}
