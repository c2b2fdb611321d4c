//! Small things that are done to text: escapes, paths, quoting.

/// Whose backslash escapes are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// `$'…'`
    Ansi,
    /// `echo -e` and printf's `%b`: octal as `\0ooo`, `\c` stops.
    Echo,
    /// printf's format: octal as `\ooo`.
    Format,
}

/// The text that escapes stand for, and whether `\c` ended it.
pub(crate) fn unescape(text: &str, escapes: Escapes) -> (String, bool) {
    if !text.contains('\\') {
        return (text.to_owned(), false);
    }
    let chars: Vec<char> = text.chars().collect();
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        at += 1;
        let mut plain = |c: char| bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        if c != '\\' || at == chars.len() {
            plain(c);
            continue;
        }
        let escape = chars[at];
        at += 1;
        match escape {
            'a' => plain('\u{7}'),
            'b' => plain('\u{8}'),
            'e' | 'E' => plain('\u{1b}'),
            'f' => plain('\u{c}'),
            'n' => plain('\n'),
            'r' => plain('\r'),
            't' => plain('\t'),
            'v' => plain('\u{b}'),
            '\\' => plain('\\'),
            'c' if escapes != Escapes::Ansi => {
                return (String::from_utf8_lossy(&bytes).into_owned(), true);
            }
            '\'' | '"' | '?' if escapes != Escapes::Echo => plain(escape),
            'x' | 'u' | 'U' => {
                let max = [('x', 2), ('u', 4), ('U', 8)]
                    .iter()
                    .find(|(c, _)| *c == escape)
                    .map_or(2, |x| x.1);
                let (value, used) = number(&chars[at..], 16, max);
                at += used;
                match (used, escape) {
                    (0, _) => {
                        plain('\\');
                        plain(escape);
                    }
                    (_, 'x') => bytes.push((value & 0xff) as u8),
                    _ => plain(char::from_u32(value).unwrap_or('\u{fffd}')),
                }
            }
            '0'..='7' if escape == '0' || escapes != Escapes::Echo => {
                let start = if escape == '0' && escapes == Escapes::Echo {
                    at
                } else {
                    at - 1
                };
                let (value, used) = number(&chars[start..], 8, 3);
                at = start + used;
                bytes.push((value & 0xff) as u8);
            }
            other => {
                plain('\\');
                plain(other);
            }
        }
    }
    (String::from_utf8_lossy(&bytes).into_owned(), false)
}

/// The number that the digits at the beginning stand for, and how many they are.
fn number(chars: &[char], radix: u32, digits_max: usize) -> (u32, usize) {
    let digits: Vec<u32> = chars
        .iter()
        .take(digits_max)
        .map_while(|c| c.to_digit(radix))
        .collect();
    (
        digits
            .iter()
            .fold(0_u32, |n, d| n.wrapping_mul(radix).wrapping_add(*d)),
        digits.len(),
    )
}

/// `path` seen from `cwd`: absolute, without `.`, `..` and doubled `/`.
pub(crate) fn absolute(cwd: &str, path: &str) -> String {
    let base = if path.starts_with('/') { "" } else { cwd };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The directory that a path is in.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

/// A word as it would be typed: quoted where it must be.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Seconds as `sleep` and `timeout` take them, in nanoseconds: `1`, `0.5`, `2m`, `inf`.
pub(crate) fn duration(text: &str) -> Option<u64> {
    let (number, unit) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1_u64),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        (at, 'd') => (&text[..at], 86_400),
        _ => (text, 1),
    };
    if matches!(text, "inf" | "infinity") {
        return Some(u64::MAX);
    }
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |t: &str| t.chars().all(|c| c.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
        return None;
    }
    let seconds = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().unwrap_or(u64::MAX)
    };
    let nanos: u64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanos)
            .saturating_mul(unit),
    )
}
