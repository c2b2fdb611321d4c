//! `xargs`: the command lines that it makes.

use super::options;

/// How many words one command line may have.
const WORDS_MAX: usize = 5_000;

/// The command lines for this input.
///
/// # Errors
/// A message for a person.
pub(crate) fn lines(argv: &[String], input: &[u8]) -> Result<Vec<Vec<String>>, String> {
    // Options end where the command begins.
    let mut end = 1;
    while let Some(word) = argv.get(end).filter(|w| w.starts_with('-')) {
        end += if matches!(
            word.as_str(),
            "-n" | "-I" | "-L" | "-P" | "-d" | "-s" | "-a" | "-E"
        ) {
            2
        } else {
            1
        };
    }
    let head = argv.get(1..end.min(argv.len())).unwrap_or_default();
    let parsed = options::parse_words(
        head,
        "0rtpn:I:L:P:d:s:a:E:x",
        &[("null", '0'), ("no-run-if-empty", 'r')],
    );
    let parsed = parsed.map_err(|_| "invalid option".to_owned())?;
    let mut command = argv.get(end..).unwrap_or_default().to_vec();
    if command.is_empty() {
        command.push("echo".to_owned());
    }
    let text = String::from_utf8_lossy(input);
    let number = |option: char| match parsed.value(option).map(str::parse::<usize>) {
        None => Ok(None),
        Some(Ok(n)) if n > 0 => Ok(Some(n)),
        Some(_) => Err(format!("invalid number for -{option} option")),
    };
    let delimiter = match parsed.value('d') {
        Some(text) => crate::text::unescape(text, crate::text::Escapes::Format)
            .0
            .chars()
            .next(),
        None => parsed.has('0').then_some('\0'),
    };
    let items: Vec<String> = match delimiter {
        Some(c) => text
            .strip_suffix(c)
            .unwrap_or(&text)
            .split(c)
            .filter(|_| !text.is_empty())
            .map(str::to_owned)
            .collect(),
        None if parsed.has('I') => text
            .lines()
            .map(|l| l.trim_start().to_owned())
            .filter(|l| !l.is_empty())
            .collect(),
        None => words(&text)?,
    };
    if let Some(mark) = parsed.value('I') {
        let fill = |item: &String| {
            command
                .iter()
                .map(|word| word.replace(mark, item))
                .collect()
        };
        return Ok(items.iter().map(fill).collect());
    }
    let size = match number('L')? {
        // Lines count, not words.
        Some(count) => {
            let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
            let groups = lines.chunks(count).map(|group| words(&group.join("\n")));
            let groups: Result<Vec<_>, _> = groups.collect();
            return Ok(groups?
                .into_iter()
                .map(|group| [command.clone(), group].concat())
                .collect());
        }
        None => number('n')?.unwrap_or(WORDS_MAX).min(WORDS_MAX),
    };
    if items.is_empty() {
        // GNU's runs the command once all the same; -r says not to, as busybox and BSD do unasked.
        return Ok(if parsed.has('r') {
            Vec::new()
        } else {
            vec![command]
        });
    }
    Ok(items
        .chunks(size)
        .map(|group| [command.as_slice(), group].concat())
        .collect())
}

/// Words with quotes and backslashes, as xargs reads them.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => out.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '\'' | '"' => {
                let current = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some(q) if q == c => break,
                        Some('\n') | None => {
                            let which = if c == '"' { "double" } else { "single" };
                            return Err(format!(
                                "unmatched {which} quote; by default quotes are special to xargs unless you use the -0 option"
                            ));
                        }
                        Some(other) => current.push(other),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    Ok(out)
}
