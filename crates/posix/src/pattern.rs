//! Shell patterns (POSIX.1, 2.14): `*`, `?`, `[…]`, with `\` before what is meant literally.

/// How many steps one match may take: a pattern such as `*a*a*a*b` would take exponentially many.
const STEPS_MAX: u32 = 1_000_000;

/// Whether the whole text matches.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    matches_chars(&pattern, &text)
}

fn matches_chars(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `*`, should what follows fail.
    let mut star: Option<(usize, usize)> = None;
    let mut steps = 0;
    loop {
        steps += 1;
        if steps > STEPS_MAX {
            return false;
        }
        if pattern.get(p) == Some(&'*') {
            p += 1;
            star = Some((p, t));
            continue;
        }
        if p == pattern.len() && t == text.len() {
            return true;
        }
        match text.get(t).and_then(|c| one(&pattern[p..], *c)) {
            Some(used) => {
                p += used;
                t += 1;
            }
            None => match star {
                Some((back, from)) if from < text.len() => {
                    p = back;
                    t = from + 1;
                    star = Some((back, from + 1));
                }
                _ => return false,
            },
        }
    }
}

/// How long the pattern's first element is, if it matches the character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '\\' => (*pattern.get(1)? == c).then_some(2),
        '[' => match bracket(pattern, c) {
            Some((true, used)) => Some(used),
            Some((false, _)) => None,
            None => (c == '[').then_some(1),
        },
        p => (*p == c).then_some(1),
    }
}

/// A bracket expression at the pattern's beginning: whether it has the character, and its length.
fn bracket(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let mut at = 1;
    let negated = matches!(pattern.get(at), Some('!' | '^'));
    at += usize::from(negated);
    let first = at;
    let mut found = false;
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && at > first {
            return Some((found != negated, at + 1));
        }
        if low == '[' && pattern.get(at + 1) == Some(&':') {
            let end = (at + 2..pattern.len())
                .find(|i| pattern[*i] == ':' && pattern.get(i + 1) == Some(&']'))?;
            let class: String = pattern[at + 2..end].iter().collect();
            found |= in_class(&class, c);
            at = end + 2;
            continue;
        }
        if low == '\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        let mut high = low;
        if pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|c| *c != ']') {
            at += 2;
            high = *pattern.get(at)?;
            if high == '\\' {
                at += 1;
                high = *pattern.get(at)?;
            }
        }
        found |= low <= c && c <= high;
        at += 1;
    }
}

/// POSIX character classes, in the C locale.
pub(crate) fn in_class(class: &str, c: char) -> bool {
    match class {
        "alpha" => c.is_alphabetic(),
        "digit" => c.is_ascii_digit(),
        "alnum" => c.is_alphanumeric(),
        "upper" => c.is_uppercase(),
        "lower" => c.is_lowercase(),
        "space" => c.is_whitespace(),
        "blank" => c == ' ' || c == '\t',
        "punct" => c.is_ascii_punctuation(),
        "print" => !c.is_control(),
        "graph" => !c.is_control() && !c.is_whitespace(),
        "cntrl" => c.is_control(),
        "xdigit" => c.is_ascii_hexdigit(),
        _ => false,
    }
}

/// The pattern that matches just this text.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "*?[]\\!^-".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Whether the pattern has anything but literal characters.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// `${text%pattern}` and its like.
pub(crate) fn trim(text: &str, pattern: &str, suffix: bool, longest: bool) -> String {
    let pattern: Vec<char> = pattern.chars().collect();
    let chars: Vec<char> = text.chars().collect();
    let length = chars.len();
    let fits = |cut: &usize| {
        let part = if suffix {
            &chars[length - cut..]
        } else {
            &chars[..*cut]
        };
        matches_chars(&pattern, part)
    };
    let cut = if longest {
        (0..=length).rev().find(fits)
    } else {
        (0..=length).find(fits)
    };
    let cut = cut.unwrap_or(0);
    let kept = if suffix {
        &chars[..length - cut]
    } else {
        &chars[cut..]
    };
    kept.iter().collect()
}

/// bash's `${text/pattern/with}`. `anchor`: `/` every match, `#` and `%` at the ends, else the first.
pub(crate) fn replace(text: &str, pattern: &str, with: &str, anchor: char) -> String {
    let pattern: Vec<char> = pattern.chars().collect();
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at <= chars.len() {
        let end = match anchor {
            '#' if at > 0 => None,
            '%' => matches_chars(&pattern, &chars[at..]).then_some(chars.len()),
            _ => (at..=chars.len())
                .rev()
                .find(|end| matches_chars(&pattern, &chars[at..*end])),
        };
        match end {
            Some(end) if end > at || (anchor != '/' && pattern.is_empty() && anchor != ' ') => {
                out.push_str(with);
                at = end;
                if anchor != '/' {
                    break;
                }
            }
            _ => {
                out.extend(chars.get(at));
                at += 1;
            }
        }
    }
    out.extend(chars.get(at..).unwrap_or_default());
    out
}
