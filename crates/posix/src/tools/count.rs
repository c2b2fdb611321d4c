//! `wc` and `uniq`

use super::{Context, Outcome, options};

pub(super) fn wc(context: &mut Context) -> Outcome {
    let long = [
        ("lines", 'l'),
        ("words", 'w'),
        ("bytes", 'c'),
        ("chars", 'm'),
        ("max-line-length", 'L'),
    ];
    let parsed = options::parse(context, "lwcmL", &long)?;
    let mut columns: Vec<char> = "lwmcL".chars().filter(|c| parsed.has(*c)).collect();
    if columns.is_empty() {
        columns = vec!['l', 'w', 'c'];
    }
    let stdin = ["-".to_owned()];
    let files = if parsed.operands.is_empty() {
        &stdin[..]
    } else {
        &parsed.operands
    };
    let mut rows: Vec<(Vec<usize>, String)> = Vec::new();
    let mut status = 0;
    for file in files {
        match context.read(file)? {
            Ok(bytes) => {
                let name = if parsed.operands.is_empty() {
                    String::new()
                } else {
                    file.clone()
                };
                rows.push((columns.iter().map(|c| measure(&bytes, *c)).collect(), name));
            }
            Err(message) => {
                context.complain("wc", &message);
                status = 1;
            }
        }
    }
    if files.len() > 1 {
        let total = |i: usize| rows.iter().map(|(row, _)| row[i]).sum();
        rows.push(((0..columns.len()).map(total).collect(), "total".to_owned()));
    }
    // GNU's aligns as wide as the total size needs, 7 where it reads what has no size; one lone
    // number is not aligned at all.
    let digits = rows
        .iter()
        .flat_map(|(row, _)| row)
        .max()
        .map_or(1, |n| n.to_string().len());
    let width = match (
        columns.len() == 1 && rows.len() == 1,
        parsed.operands.is_empty(),
    ) {
        (true, _) => 1,
        (false, true) => 7,
        (false, false) => digits,
    };
    for (row, name) in rows {
        let numbers: Vec<String> = row.iter().map(|n| format!("{n:width$}")).collect();
        let name = if name.is_empty() {
            name
        } else {
            format!(" {name}")
        };
        context.say(&format!("{}{name}\n", numbers.join(" ")));
    }
    Ok(status)
}

fn measure(bytes: &[u8], column: char) -> usize {
    match column {
        'l' => bytes.iter().filter(|b| **b == b'\n').count(),
        'w' => bytes
            .split(u8::is_ascii_whitespace)
            .filter(|w| !w.is_empty())
            .count(),
        'm' => String::from_utf8_lossy(bytes).chars().count(),
        'L' => String::from_utf8_lossy(bytes)
            .lines()
            .map(|l| l.chars().count())
            .max()
            .unwrap_or(0),
        _ => bytes.len(),
    }
}

pub(super) fn uniq(context: &mut Context) -> Outcome {
    let long = [
        ("count", 'c'),
        ("repeated", 'd'),
        ("unique", 'u'),
        ("ignore-case", 'i'),
        ("skip-fields", 'f'),
    ];
    let parsed = options::parse(context, "cduif:s:w:", &long)?;
    let (bytes, status) = context.read_all("uniq", parsed.operands.get(..1).unwrap_or_default())?;
    let number = |option| {
        parsed
            .number(option, "invalid number of bytes to skip")
            .map(|n| n.unwrap_or(0) as usize)
    };
    let (fields, chars) = (number('f')?, number('s')?);
    let width = parsed
        .number('w', "invalid number of bytes to compare")?
        .map_or(usize::MAX, |n| n as usize);
    let key = |line: &str| {
        let mut rest = line;
        for _ in 0..fields {
            rest = rest.trim_start_matches([' ', '\t']);
            rest = rest.find([' ', '\t']).map_or("", |at| &rest[at..]);
        }
        let text: String = rest.chars().skip(chars).take(width).collect();
        if parsed.has('i') {
            text.to_lowercase()
        } else {
            text
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut groups: Vec<(usize, &str, String)> = Vec::new();
    for line in super::lines(&text) {
        let this = key(line);
        match groups.last_mut() {
            Some((count, _, last)) if *last == this => *count += 1,
            _ => groups.push((1, line, this)),
        }
    }
    for (count, line, _) in groups {
        if (parsed.has('d') && count < 2) || (parsed.has('u') && count > 1) {
            continue;
        }
        match parsed.has('c') {
            true => context.say(&format!("{count:7} {line}\n")),
            false => context.say(&format!("{line}\n")),
        }
    }
    Ok(status)
}
