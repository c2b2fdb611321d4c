//! `ls`, `stat`, `find`, `du`

use super::date::{moment, strftime};
use super::{Context, Outcome, base_name, fail, options};
use crate::host::{FileKind, Metadata};
use crate::pattern;

/// `-rw-r--r--`
fn mode(metadata: &Metadata) -> String {
    let kind = match metadata.kind {
        FileKind::Directory => 'd',
        FileKind::Link => 'l',
        FileKind::File => '-',
        FileKind::Other => 'c',
    };
    let bits = (0..9).map(|i| {
        if metadata.mode & (0o400 >> i) != 0 {
            ['r', 'w', 'x'][i % 3]
        } else {
            '-'
        }
    });
    std::iter::once(kind).chain(bits).collect()
}

fn owner(number: u32) -> String {
    if number == 0 {
        "root".to_owned()
    } else {
        number.to_string()
    }
}

fn human(size: u64) -> String {
    let mut value = size as f64;
    let mut unit = "";
    for next in ["K", "M", "G", "T"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match (unit, value < 10.0) {
        ("", _) => size.to_string(),
        (unit, true) => format!("{:.1}{unit}", (value * 10.0).ceil() / 10.0),
        (unit, false) => format!("{:.0}{unit}", value.ceil()),
    }
}

struct Listing {
    long: bool,
    all: bool,
    almost: bool,
    reverse: bool,
    by_time: bool,
    by_size: bool,
    unsorted: bool,
    marks: bool,
    slashes: bool,
    human: bool,
    inodes: bool,
}

pub(super) fn ls(context: &mut Context) -> Outcome {
    let long = [
        ("all", 'a'),
        ("almost-all", 'A'),
        ("human-readable", 'h'),
        ("recursive", 'R'),
        ("reverse", 'r'),
        ("directory", 'd'),
        ("color", 'Z'),
        ("full-time", 'l'),
    ];
    let parsed = options::parse(context, "laAhRrtS1dFpnioUcuLxCmgGZsNq", &long)?;
    let listing = Listing {
        long: ['l', 'n', 'o', 'g'].iter().any(|o| parsed.has(*o)),
        all: parsed.has('a'),
        almost: parsed.has('A'),
        reverse: parsed.has('r'),
        by_time: parsed.has('t'),
        by_size: parsed.has('S'),
        unsorted: parsed.has('U'),
        marks: parsed.has('F'),
        slashes: parsed.has('p'),
        human: parsed.has('h'),
        inodes: parsed.has('i'),
    };
    let mut status = 0;
    let mut files: Vec<(String, Metadata)> = Vec::new();
    let mut directories: Vec<String> = Vec::new();
    let dot = [".".to_owned()];
    let operands = if parsed.operands.is_empty() {
        &dot[..]
    } else {
        &parsed.operands
    };
    for operand in operands {
        let path = context.path(operand);
        match context
            .files
            .metadata(&path, !listing.long)
            .or_else(|_| context.files.metadata(&path, false))
        {
            Ok(m) if m.kind == FileKind::Directory && !parsed.has('d') => {
                directories.push(operand.clone())
            }
            Ok(m) => files.push((operand.clone(), m)),
            Err(error) => {
                let message = match context.dialect {
                    crate::Dialect::Ash => format!("{operand}: {error}"),
                    _ => format!("cannot access '{operand}': {error}"),
                };
                context.complain("ls", &message);
                status = if context.dialect == crate::Dialect::Ash {
                    1
                } else {
                    2
                };
            }
        }
    }
    let some_files = !files.is_empty();
    listing.print(context, files, None);
    let titled = operands.len() > 1 || parsed.has('R');
    directories.reverse();
    let mut first = !some_files;
    while let Some(directory) = directories.pop() {
        let base = context.path(&directory);
        let names = match context.files.list(&base) {
            Ok(names) => names,
            Err(error) => {
                context.complain(
                    "ls",
                    &format!("cannot open directory '{directory}': {error}"),
                );
                status = 2;
                continue;
            }
        };
        let mut entries = Vec::new();
        if listing.all {
            for name in [".", ".."] {
                let path = crate::text::absolute(&base, name);
                entries.extend(
                    context
                        .files
                        .metadata(&path, true)
                        .ok()
                        .map(|m| (name.to_owned(), m)),
                );
            }
        }
        for name in names {
            if name.starts_with('.') && !listing.all && !listing.almost {
                continue;
            }
            context.steps += 1;
            let path = format!("{}/{name}", base.trim_end_matches('/'));
            entries.extend(context.files.metadata(&path, false).ok().map(|m| (name, m)));
        }
        if parsed.has('R') && directories.len() < 10_000 {
            let below = entries
                .iter()
                .rev()
                .filter(|(n, m)| m.kind == FileKind::Directory && n != "." && n != "..");
            directories
                .extend(below.map(|(n, _)| format!("{}/{n}", directory.trim_end_matches('/'))));
        }
        if titled {
            let gap = if first { "" } else { "\n" };
            context.say(&format!("{gap}{directory}:\n"));
        }
        first = false;
        listing.print(context, entries, Some(&base));
    }
    Ok(status)
}

impl Listing {
    fn print(
        &self,
        context: &mut Context,
        mut entries: Vec<(String, Metadata)>,
        directory: Option<&str>,
    ) {
        if !self.unsorted {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        if self.by_time {
            entries.sort_by_key(|(_, m)| std::cmp::Reverse(m.modified));
        }
        if self.by_size {
            entries.sort_by_key(|(_, m)| std::cmp::Reverse(m.size));
        }
        if self.reverse {
            entries.reverse();
        }
        if self.long && directory.is_some() {
            // A short link's target is kept in its inode.
            let kept = entries.iter().filter(|(_, m)| m.kind != FileKind::Link);
            let blocks: u64 = kept.map(|(_, m)| m.size.div_ceil(4096) * 4).sum();
            context.say(&format!("total {blocks}\n"));
        }
        let links = |m: &Metadata| if m.kind == FileKind::Directory { 2 } else { 1 };
        let size = |m: &Metadata| {
            if self.human {
                human(m.size)
            } else {
                m.size.to_string()
            }
        };
        let width =
            |f: &dyn Fn(&Metadata) -> usize| entries.iter().map(|(_, m)| f(m)).max().unwrap_or(0);
        let widths = (
            width(&|m| owner(m.owner).len()),
            width(&|m| owner(m.group).len()),
            width(&|m| size(m).len()),
        );
        for (i, (name, m)) in entries.iter().enumerate() {
            let mark = match m.kind {
                FileKind::Directory if self.marks || self.slashes => "/",
                FileKind::Link if self.marks && !self.long => "@",
                FileKind::File if self.marks && m.mode & 0o111 != 0 => "*",
                _ => "",
            };
            let inode = if self.inodes {
                format!("{} ", 1000 + i)
            } else {
                String::new()
            };
            if !self.long {
                context.say(&format!("{inode}{name}{mark}\n"));
                continue;
            }
            let target = m
                .target
                .as_ref()
                .map(|t| format!(" -> {t}"))
                .unwrap_or_default();
            // The time of day for the last six months, the year for what is older.
            let at = (m.modified / 1_000_000_000) as i64;
            let recent = context.now.saturating_sub(m.modified) < 15_778_476 * 1_000_000_000;
            let time = strftime(
                if recent { "%b %e %H:%M" } else { "%b %e  %Y" },
                &moment(at, 0),
            );
            context.say(&format!(
                "{inode}{} {} {:<w0$} {:<w1$} {:>w2$} {time} {name}{mark}{target}\n",
                mode(m),
                links(m),
                owner(m.owner),
                owner(m.group),
                size(m),
                w0 = widths.0,
                w1 = widths.1,
                w2 = widths.2,
            ));
        }
    }
}

pub(super) fn stat(context: &mut Context) -> Outcome {
    let parsed = options::parse(
        context,
        "c:Lft",
        &[("format", 'c'), ("dereference", 'L'), ("printf", 'c')],
    )?;
    let mut status = 0;
    for operand in &parsed.operands {
        let path = context.path(operand);
        let m = match context.files.metadata(&path, parsed.has('L')) {
            Ok(m) => m,
            Err(error) => {
                let message = match context.dialect {
                    crate::Dialect::Ash => format!("can't stat '{operand}': {error}"),
                    _ => format!("cannot statx '{operand}': {error}"),
                };
                context.complain("stat", &message);
                status = 1;
                continue;
            }
        };
        let kind = match m.kind {
            FileKind::Directory => "directory",
            FileKind::Link => "symbolic link",
            FileKind::File if m.size == 0 => "regular empty file",
            FileKind::File => "regular file",
            FileKind::Other => "character special file",
        };
        let seconds = (m.modified / 1_000_000_000) as i64;
        let time = strftime(
            "%Y-%m-%d %H:%M:%S.%N +0000",
            &moment(seconds, (m.modified % 1_000_000_000) as u32),
        );
        let Some(format) = parsed.value('c') else {
            context.say(&format!(
                "  File: {operand}\n  Size: {:<10}\tBlocks: {:<10} IO Block: 4096   {kind}\nAccess: ({:04o}/{})  Uid: ({:5}/{:>8})   Gid: ({:5}/{:>8})\nModify: {time}\n",
                m.size, m.size.div_ceil(4096) * 8, m.mode, mode(&m), m.owner, owner(m.owner), m.group, owner(m.group),
            ));
            continue;
        };
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            out += &match chars.next() {
                Some('n') => operand.clone(),
                Some('s') => m.size.to_string(),
                Some('a') => format!("{:o}", m.mode),
                Some('A') => mode(&m),
                Some('F') => kind.to_owned(),
                Some('u') => m.owner.to_string(),
                Some('U') => owner(m.owner),
                Some('g') => m.group.to_string(),
                Some('G') => owner(m.group),
                Some('Y' | 'Z' | 'X') => seconds.to_string(),
                Some('y' | 'z' | 'x') => time.clone(),
                Some('N') => format!("'{operand}'"),
                Some('h') => "1".to_owned(),
                Some('b') => (m.size.div_ceil(4096) * 8).to_string(),
                Some('%') => "%".to_owned(),
                _ => "?".to_owned(),
            };
        }
        context.say(&format!("{out}\n"));
    }
    Ok(status)
}

/// `find`'s tests, joined by and; `-o` and parentheses are not there.
#[derive(Default)]
struct Find {
    names: Vec<(String, bool, bool)>,
    paths: Vec<(String, bool)>,
    kind: Option<char>,
    min_depth: usize,
    max_depth: Option<usize>,
    sizes: Vec<String>,
    empty: bool,
    nul: bool,
    delete: bool,
    minutes: Vec<(String, u64)>,
}

pub(super) fn find(context: &mut Context) -> Outcome {
    let mut starts = Vec::new();
    let mut test = Find::default();
    let mut not = false;
    let mut words = context.args.iter();
    while let Some(word) = words.next() {
        let mut value = || match words.next() {
            Some(value) => Ok(value.clone()),
            None => fail(format!("missing argument to '{word}'")),
        };
        let number = |text: String| text.parse::<usize>().ok();
        match word.as_str() {
            "-name" => test.names.push((value()?, false, not)),
            "-iname" => test.names.push((value()?.to_lowercase(), true, not)),
            "-path" | "-wholename" => test.paths.push((value()?, not)),
            "-type" => test.kind = value()?.chars().next(),
            "-mindepth" => test.min_depth = number(value()?).unwrap_or(0),
            "-maxdepth" => test.max_depth = number(value()?),
            "-size" => test.sizes.push(value()?),
            "-mtime" => test.minutes.push((value()?, 86_400)),
            "-mmin" => test.minutes.push((value()?, 60)),
            "-empty" => test.empty = true,
            "-print0" => test.nul = true,
            "-delete" => test.delete = true,
            "-print" | "-a" | "-and" | "-follow" | "-L" | "-H" | "-P" | "-xdev" | "-mount"
            | "-depth" => {}
            "!" | "-not" => {
                not = true;
                continue;
            }
            option if option.starts_with('-') || option == "(" || option == ")" => {
                return fail(format!("{option}: not simulated yet"));
            }
            start => starts.push(start.to_owned()),
        }
        not = false;
    }
    if starts.is_empty() {
        starts.push(".".to_owned());
    }
    let mut status = 0;
    let mut todo: Vec<(String, usize)> = starts.into_iter().rev().map(|s| (s, 0)).collect();
    let mut found = Vec::new();
    while let Some((shown, depth)) = todo.pop() {
        context.steps += 1;
        let path = context.path(&shown);
        let metadata = match context.files.metadata(&path, false) {
            Ok(metadata) => metadata,
            Err(error) => {
                let message = match context.dialect {
                    crate::Dialect::Ash => format!("{shown}: {error}"),
                    _ => format!("'{shown}': {error}"),
                };
                context.complain("find", &message);
                status = 1;
                continue;
            }
        };
        if metadata.kind == FileKind::Directory
            && test.max_depth.is_none_or(|max| depth < max)
            && todo.len() < 100_000
        {
            let names = context.files.list(&path).unwrap_or_default();
            let below = names
                .into_iter()
                .rev()
                .map(|n| (format!("{}/{n}", shown.trim_end_matches('/')), depth + 1));
            todo.extend(below);
        }
        if depth >= test.min_depth && test.fits(context, &shown, &path, &metadata) {
            found.push((shown, path));
        }
    }
    for (shown, path) in if test.delete {
        found.into_iter().rev().collect::<Vec<_>>()
    } else {
        found
    } {
        if test.delete {
            if let Err(error) = context.files.remove(&path) {
                context.complain("find", &format!("cannot delete '{shown}': {error}"));
                status = 1;
            }
        } else {
            context.say(&format!("{shown}{}", if test.nul { '\0' } else { '\n' }));
        }
    }
    Ok(status)
}

impl Find {
    fn fits(&self, context: &Context, shown: &str, path: &str, m: &Metadata) -> bool {
        let name = base_name(shown);
        let names = self.names.iter().all(|(pattern, fold, not)| {
            let name = if *fold {
                name.to_lowercase()
            } else {
                name.to_owned()
            };
            pattern::matches(pattern, &name) != *not
        });
        let kind = match m.kind {
            FileKind::File => 'f',
            FileKind::Directory => 'd',
            FileKind::Link => 'l',
            FileKind::Other => 'c',
        };
        let compare = |text: &str, value: u64| {
            let wanted = text
                .trim_start_matches(['+', '-'])
                .parse::<u64>()
                .unwrap_or(0);
            match text.chars().next() {
                Some('+') => value > wanted,
                Some('-') => value < wanted,
                _ => value == wanted,
            }
        };
        let sizes = self.sizes.iter().all(|text| {
            let (digits, unit) = match text.chars().last() {
                Some('c') => (&text[..text.len() - 1], 1),
                Some('k') => (&text[..text.len() - 1], 1024),
                Some('M') => (&text[..text.len() - 1], 1 << 20),
                Some('G') => (&text[..text.len() - 1], 1 << 30),
                _ => (text.as_str(), 512),
            };
            compare(digits, m.size.div_ceil(unit))
        });
        let age = context.now.saturating_sub(m.modified) / 1_000_000_000;
        let empty = || match m.kind {
            FileKind::Directory => context.files.list(path).is_ok_and(|l| l.is_empty()),
            _ => m.size == 0,
        };
        names
            && self
                .paths
                .iter()
                .all(|(p, not)| pattern::matches(p, shown) != *not)
            && self.kind.is_none_or(|k| k == kind)
            && sizes
            && self
                .minutes
                .iter()
                .all(|(text, unit)| compare(text, age / unit))
            && (!self.empty || empty())
    }
}

pub(super) fn du(context: &mut Context) -> Outcome {
    let parsed = options::parse(
        context,
        "shakbcd:m",
        &[
            ("summarize", 's'),
            ("human-readable", 'h'),
            ("max-depth", 'd'),
            ("bytes", 'b'),
        ],
    )?;
    let dot = [".".to_owned()];
    let operands = if parsed.operands.is_empty() {
        &dot[..]
    } else {
        &parsed.operands
    };
    let most = if parsed.has('s') {
        0
    } else {
        parsed
            .number('d', "invalid maximum depth")?
            .map_or(usize::MAX, |n| n as usize)
    };
    let mut status = 0;
    for operand in operands {
        if let Err(error) = context.files.metadata(&context.path(operand), true) {
            context.complain("du", &format!("cannot access '{operand}': {error}"));
            status = 1;
            continue;
        }
        let mut rows = Vec::new();
        size(
            context,
            operand,
            0,
            parsed.has('a'),
            parsed.has('b'),
            &mut rows,
        );
        for (depth, bytes, shown) in rows {
            if depth <= most {
                let text = match () {
                    () if parsed.has('h') => human(bytes),
                    () if parsed.has('b') => bytes.to_string(),
                    () => bytes.div_ceil(1024).to_string(),
                };
                context.say(&format!("{text}\t{shown}\n"));
            }
        }
    }
    Ok(status)
}

fn size(
    context: &mut Context,
    shown: &str,
    depth: usize,
    all: bool,
    exact: bool,
    rows: &mut Vec<(usize, u64, String)>,
) -> u64 {
    context.steps += 1;
    let path = context.path(shown);
    let Ok(m) = context.files.metadata(&path, false) else {
        return 0;
    };
    let mut total = if exact {
        m.size
    } else {
        m.size.div_ceil(4096) * 4096
    };
    let directory = m.kind == FileKind::Directory;
    if directory && depth < 64 {
        for name in context.files.list(&path).unwrap_or_default() {
            total += size(
                context,
                &format!("{}/{name}", shown.trim_end_matches('/')),
                depth + 1,
                all,
                exact,
                rows,
            );
        }
    }
    if directory || all || depth == 0 {
        rows.push((depth, total, shown.to_owned()));
    }
    total
}
