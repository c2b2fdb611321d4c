//! What a plain scalar means: the rules of goyaml v2 (YAML 1.1 with some of 1.2).

use crate::go;
use crate::value::Value;

/// What a plain scalar resolves to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Resolved {
    /// Null, a boolean, a number, or the text itself.
    Value(Value),
    /// `.nan`, `.inf`: no JSON for it.
    NotFinite(&'static str),
    /// `<<`
    Merge,
}

/// Resolves a plain scalar.
pub(super) fn resolve(text: &str) -> Resolved {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            true.into()
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            false.into()
        }
        ".nan" | ".NaN" | ".NAN" => return Resolved::NotFinite("NaN"),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::NotFinite("+Inf");
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::NotFinite("-Inf"),
        "<<" => return Resolved::Merge,
        _ => number(text).unwrap_or_else(|| text.into()),
    };
    Resolved::Value(value)
}

/// Whether the text, printed plain, would be read as the string that it is.
pub(super) fn is_string(text: &str) -> bool {
    matches!(resolve(text), Resolved::Value(Value::String(_)))
        && !is_timestamp(text)
        && !is_base_60(text)
}

fn number(text: &str) -> Option<Value> {
    let first = text.as_bytes().first()?;
    if *first == b'.' {
        let digits = text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        return if digits {
            text.parse().ok().map(from_float)
        } else {
            None
        };
    }
    if !first.is_ascii_digit() && !matches!(first, b'+' | b'-') {
        return None;
    }
    if is_timestamp(text) {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

/// Go's `strconv.ParseInt(s, 0, 64)`, else `ParseUint`, else a binary number with a sign.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match lower.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(_) if digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match (i64::try_from(magnitude), negative) {
        (Ok(i), false) => Some(i.into()),
        (Ok(i), true) => Some((-i).into()),
        (Err(_), false) if !text.starts_with('+') => Some(Value::Float(magnitude as f64)),
        (Err(_), true) if magnitude == 1 << 63 => Some(i64::MIN.into()),
        _ => None,
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['+', '-']).unwrap_or(e))),
        None => (unsigned, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fine = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fine = exponent.is_none_or(|e| !e.is_empty() && digits(e));
    if !(mantissa_fine && exponent_fine) {
        return None;
    }
    let f: f64 = text.parse().ok()?;
    f.is_finite().then(|| from_float(f))
}

/// A float on its way through JSON: one that prints as a whole number becomes one.
pub(super) fn from_float(f: f64) -> Value {
    go::float(f)
        .parse::<i64>()
        .map_or(Value::Float(f), Value::Int)
}

/// Whether goyaml takes it for a time: `2024-1-2`, `2024-01-02T15:04:05Z`, `2024-01-02 15:04:05`.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let number = |s: &str, digits: std::ops::RangeInclusive<usize>, most: u32| {
        digits.contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_digit())
            && s.parse::<u32>().is_ok_and(|n| n <= most)
    };
    let date_end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, rest) = text.split_at(date_end);
    let date_fine = match date.split('-').collect::<Vec<_>>()[..] {
        [_, month, day] => number(month, 1..=2, 12) && number(day, 1..=2, 31),
        _ => false,
    };
    if !date_fine || rest.is_empty() {
        return date_fine;
    }
    let time = &rest[1..];
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let clock_fine = match clock.split(':').collect::<Vec<_>>()[..] {
        [h, m, s] => number(h, 1..=2, 23) && number(m, 1..=2, 59) && number(s, 1..=2, 59),
        _ => false,
    };
    let zone_fine = match zone.as_bytes() {
        [] => rest.starts_with(' '),
        b"Z" => !rest.starts_with(' '),
        [_, _, _, b':', _, _] => !rest.starts_with(' '),
        _ => false,
    };
    clock_fine && zone_fine && !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// `12:30:45`, a number to base 60 in YAML 1.1: read as a string, but printed with quotes.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or("");
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else {
        return false;
    };
    let digit_or_line = |b: u8| b.is_ascii_digit() || b == b'_';
    let sixtieth = |s: &str| match s.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    first.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && first.bytes().all(digit_or_line)
        && middle.iter().all(|s| sixtieth(s))
        && sixtieth(last)
        && fraction.bytes().all(digit_or_line)
}
