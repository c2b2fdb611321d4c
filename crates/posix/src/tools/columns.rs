//! `cut`, `paste`, `column`, `tr`, `rev`, `tac`, `nl`, `fold`, `expand`

use super::{Context, Failure, Outcome, Tool, fail, lines, options};
use crate::process::Task;
use crate::text::{Escapes, unescape};

/// Tools that treat each line by itself need not wait for the end.
pub(super) fn cut_stream(tool: Tool, argv: &[String]) -> Option<Task> {
    let parsed = options::parse_words(argv.get(1..)?, "b:c:d:f:sz", &CUT_LONG).ok()?;
    parsed.operands.is_empty().then(|| Task::Lines {
        tool,
        argv: argv.to_vec(),
        rest: Vec::new(),
        matched: false,
    })
}

const CUT_LONG: [(&str, char); 7] = [
    ("bytes", 'b'),
    ("characters", 'c'),
    ("delimiter", 'd'),
    ("fields", 'f'),
    ("only-delimited", 's'),
    ("output-delimiter", 'o'),
    ("complement", 'v'),
];

/// `1`, `2-`, `-3`, `4-6,8`: inclusive ranges.
fn ranges(list: &str) -> Result<Vec<(usize, usize)>, Failure> {
    let number = |text: &str, or: usize| match text {
        "" => Ok(or),
        text => match text.parse::<usize>() {
            Ok(0) => fail("fields and positions are numbered from 1"),
            Ok(n) => Ok(n),
            Err(_) => fail(format!("invalid field value '{text}'")),
        },
    };
    let range = |part: &str| match part.split_once('-') {
        Some(("", "")) => fail("invalid range with no endpoint: -"),
        Some((from, to)) => match (number(from, 1)?, number(to, usize::MAX)?) {
            (from, to) if from > to => fail("invalid decreasing range"),
            range => Ok(range),
        },
        None => number(part, 1).map(|n| (n, n)),
    };
    list.split([',', ' ']).map(range).collect()
}

pub(super) fn cut(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "b:c:d:f:szno:v", &CUT_LONG)?;
    let lists: Vec<(char, &str)> = ['b', 'c', 'f']
        .iter()
        .filter_map(|o| parsed.value(*o).map(|list| (*o, list)))
        .collect();
    let [(kind, list)] = lists[..] else {
        return fail(match lists.is_empty() {
            true => {
                "you must specify a list of bytes, characters, or fields\nTry 'cut --help' for more information."
            }
            false => {
                "only one type of list may be specified\nTry 'cut --help' for more information."
            }
        });
    };
    let ranges = ranges(list)?;
    let wanted =
        |n: usize| ranges.iter().any(|(from, to)| (*from..=*to).contains(&n)) != parsed.has('v');
    let delimiter = parsed.value('d').unwrap_or("\t");
    let mut chars = delimiter.chars();
    let delimiter = match (chars.next(), chars.next()) {
        (Some(c), None) => c,
        (None, _) => '\0',
        _ => {
            return fail(
                "the delimiter must be a single character\nTry 'cut --help' for more information.",
            );
        }
    };
    let joint = parsed
        .value('o')
        .map_or_else(|| delimiter.to_string(), str::to_owned);
    let (bytes, status) = context.read_all("cut", &parsed.operands)?;
    let text = String::from_utf8_lossy(&bytes);
    for line in lines(&text) {
        let kept = if kind == 'f' {
            if !line.contains(delimiter) {
                if !parsed.has('s') {
                    context.say(&format!("{line}\n"));
                }
                continue;
            }
            let fields = line
                .split(delimiter)
                .enumerate()
                .filter(|(i, _)| wanted(i + 1));
            fields
                .map(|(_, field)| field)
                .collect::<Vec<_>>()
                .join(&joint)
        } else {
            line.chars()
                .enumerate()
                .filter(|(i, _)| wanted(i + 1))
                .map(|(_, c)| c)
                .collect()
        };
        context.say(&format!("{kept}\n"));
    }
    Ok(status)
}

pub(super) fn paste(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "sd:", &[("serial", 's'), ("delimiters", 'd')])?;
    let delimiters: Vec<char> = unescape(parsed.value('d').unwrap_or("\t"), Escapes::Format)
        .0
        .chars()
        .collect();
    let delimiter = |i: usize| {
        delimiters
            .get(i % delimiters.len().max(1))
            .map(char::to_string)
            .unwrap_or_default()
    };
    let mut columns: Vec<Vec<String>> = Vec::new();
    let stdin = ["-".to_owned()];
    let files = if parsed.operands.is_empty() {
        &stdin[..]
    } else {
        &parsed.operands
    };
    let dashes = files.iter().filter(|f| *f == "-").count();
    let mut dash = 0;
    for file in files {
        let bytes = match context.read(file)? {
            Ok(bytes) => bytes,
            Err(message) => return fail(message),
        };
        let text = String::from_utf8_lossy(&bytes);
        let all = lines(&text).map(str::to_owned);
        if file == "-" && dashes > 1 && !parsed.has('s') {
            // `paste - -`: each takes every second line.
            columns.push(all.skip(dash).step_by(dashes).collect());
            dash += 1;
        } else {
            columns.push(all.collect());
        }
    }
    let rows: Vec<Vec<String>> = if parsed.has('s') {
        columns
    } else {
        let count = columns.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |column: &Vec<String>, i: usize| column.get(i).cloned().unwrap_or_default();
        (0..count)
            .map(|i| columns.iter().map(|c| cell(c, i)).collect())
            .collect()
    };
    for row in rows {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            if i > 0 {
                line += &delimiter(i - 1);
            }
            line += cell;
        }
        context.say(&format!("{line}\n"));
    }
    Ok(0)
}

pub(super) fn column(context: &mut Context) -> Outcome {
    let parsed = options::parse(
        context,
        "ts:o:c:x",
        &[
            ("table", 't'),
            ("separator", 's'),
            ("output-separator", 'o'),
        ],
    )?;
    let (bytes, status) = context.read_all("column", &parsed.operands)?;
    let text = String::from_utf8_lossy(&bytes);
    let joint = parsed.value('o').unwrap_or("  ");
    let rows: Vec<Vec<&str>> = lines(&text)
        .filter(|line| !line.trim().is_empty())
        .map(|line| match (parsed.has('t'), parsed.value('s')) {
            (true, Some(separators)) => line.split(|c| separators.contains(c)).collect(),
            (true, None) => line.split_whitespace().collect(),
            (false, _) => vec![line],
        })
        .collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| {
        rows.iter()
            .filter_map(|r| r.get(i))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            line += cell;
            if i + 1 < row.len() {
                line += &" ".repeat(widths[i] - cell.chars().count());
                line += joint;
            }
        }
        context.say(&format!("{line}\n"));
    }
    Ok(status)
}

pub(super) fn tr_stream(tool: Tool, argv: &[String]) -> Option<Task> {
    let parsed = options::parse_words(argv.get(1..)?, "cCdst", &TR_LONG).ok()?;
    // Squeezing looks over the ends of lines.
    (!parsed.has('s')).then(|| Task::Lines {
        tool,
        argv: argv.to_vec(),
        rest: Vec::new(),
        matched: false,
    })
}

const TR_LONG: [(&str, char); 4] = [
    ("complement", 'c'),
    ("delete", 'd'),
    ("squeeze-repeats", 's'),
    ("truncate-set1", 't'),
];

pub(super) fn tr(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "cCdst", &TR_LONG)?;
    let (delete, squeeze) = (parsed.has('d'), parsed.has('s'));
    let complement = parsed.has('c') || parsed.has('C');
    let Some(first) = parsed.operands.first() else {
        return fail("missing operand\nTry 'tr --help' for more information.");
    };
    let first = set(first, 0);
    let second = match parsed.operands.get(1) {
        Some(text) => Some(set(text, first.len())),
        None if !delete && !squeeze => {
            return fail(format!(
                "missing operand after '{}'\nTwo strings must be given when translating.\nTry 'tr --help' for more information.",
                parsed.operands[0]
            ));
        }
        None => None,
    };
    let text = String::from_utf8_lossy(context.stdin()?).into_owned();
    let in_first = |c: char| first.contains(&c) != complement;
    let translates = second.is_some() && !delete;
    let squeezed = |c: char| match &second {
        Some(second) => second.contains(&c),
        None => in_first(c),
    };
    let mut out = String::with_capacity(text.len());
    let mut last = None;
    for mut c in text.chars() {
        if delete && in_first(c) {
            continue;
        }
        if translates
            && in_first(c)
            && let Some(second) = &second
        {
            let at = if complement {
                usize::MAX
            } else {
                first.iter().rposition(|x| *x == c).unwrap_or(0)
            };
            match second.get(at).or(second.last()) {
                Some(_) if at != usize::MAX && at >= second.len() && parsed.has('t') => {}
                Some(to) => c = *to,
                None => return fail("when not truncating set1, string2 must be non-empty"),
            }
        }
        if squeeze && last == Some(c) && squeezed(c) {
            continue;
        }
        last = Some(c);
        out.push(c);
    }
    context.say(&out);
    Ok(0)
}

/// A set of tr's: ranges, classes, escapes, `[x*n]`. `fill`: how long `[x*]` makes it.
fn set(text: &str, fill: usize) -> Vec<char> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    let take = |at: &mut usize| -> Option<char> {
        let c = *chars.get(*at)?;
        *at += 1;
        if c != '\\' {
            return Some(c);
        }
        let end = (*at + 1..=(*at + 3).min(chars.len()))
            .rev()
            .find(|end| chars[*at..*end].iter().all(|c| c.is_digit(8)))
            .unwrap_or((*at + 1).min(chars.len()));
        let escape: String = std::iter::once('\\')
            .chain(chars[*at..end].iter().copied())
            .collect();
        *at = end;
        let (text, _) = unescape(&escape, Escapes::Format);
        text.chars().last()
    };
    while at < chars.len() {
        let rest: String = chars[at..].iter().take(12).collect();
        if let Some(end) = rest.strip_prefix("[:").and_then(|r| r.find(":]")) {
            let class = &rest[2..2 + end];
            out.extend(
                (0..=255_u8)
                    .map(char::from)
                    .filter(|c| c.is_ascii() && crate::pattern::in_class(class, *c)),
            );
            at += 4 + class.chars().count();
            continue;
        }
        if rest.starts_with('[')
            && chars.get(at + 2) == Some(&'*')
            && let Some(end) = (at + 3..chars.len()).find(|i| chars[*i] == ']')
        {
            let count: String = chars[at + 3..end].iter().collect();
            let count = count
                .parse()
                .unwrap_or_else(|_| fill.saturating_sub(out.len()));
            out.extend(std::iter::repeat_n(chars[at + 1], count.min(1 << 16)));
            at = end + 1;
            continue;
        }
        let Some(from) = take(&mut at) else { break };
        if chars.get(at) == Some(&'-') && at + 1 < chars.len() {
            at += 1;
            if let Some(to) = take(&mut at) {
                out.extend((from..=to).take(1 << 16));
            }
        } else {
            out.push(from);
        }
    }
    out
}

pub(super) fn rev(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "", &[])?;
    let (bytes, status) = context.read_all("rev", &parsed.operands)?;
    let text = String::from_utf8_lossy(&bytes);
    for line in lines(&text) {
        context.say(&format!("{}\n", line.chars().rev().collect::<String>()));
    }
    Ok(status)
}

pub(super) fn tac(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "", &[])?;
    let (bytes, status) = context.read_all("tac", &parsed.operands)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = lines(&text).collect();
    for line in all.iter().rev() {
        context.say(&format!("{line}\n"));
    }
    Ok(status)
}

pub(super) fn nl(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "b:w:s:v:n:i:", &[])?;
    let all = parsed.value('b') == Some("a");
    let width = parsed
        .number('w', "invalid line number field width")?
        .unwrap_or(6)
        .min(1_000) as usize;
    let mut number = parsed
        .number('v', "invalid starting line number")?
        .unwrap_or(1);
    let joint = parsed.value('s').unwrap_or("\t").to_owned();
    let (bytes, status) = context.read_all("nl", &parsed.operands)?;
    let text = String::from_utf8_lossy(&bytes);
    for line in lines(&text) {
        if line.is_empty() && !all {
            context.say(&format!("{}\n", " ".repeat(width.min(100) + joint.len())));
            continue;
        }
        let shown = match parsed.value('n') {
            Some("ln") => format!("{number:<width$}"),
            Some("rz") => format!("{number:0>width$}"),
            _ => format!("{number:>width$}"),
        };
        context.say(&format!("{shown}{joint}{line}\n"));
        number = number.saturating_add(1);
    }
    Ok(status)
}

pub(super) fn fold(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "w:sb", &[("width", 'w'), ("spaces", 's')])?;
    let width = parsed
        .number('w', "invalid number of columns")?
        .unwrap_or(80)
        .max(1) as usize;
    let (bytes, status) = context.read_all("fold", &parsed.operands)?;
    let text = String::from_utf8_lossy(&bytes);
    for line in lines(&text) {
        let mut rest: Vec<char> = line.chars().collect();
        while rest.len() > width {
            let blank = rest[..width]
                .iter()
                .rposition(|c| *c == ' ')
                .map(|at| at + 1);
            let cut = blank.filter(|_| parsed.has('s')).unwrap_or(width);
            let after = rest.split_off(cut);
            context.say(&format!("{}\n", rest.into_iter().collect::<String>()));
            rest = after;
        }
        context.say(&format!("{}\n", rest.into_iter().collect::<String>()));
    }
    Ok(status)
}
