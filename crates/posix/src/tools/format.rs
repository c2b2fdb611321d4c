//! printf's formats, for `printf` and awk.

use crate::text::{Escapes, unescape};

/// A conversion: `%-08.3f`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Spec {
    pub left: bool,
    pub plus: bool,
    pub blank: bool,
    pub alternate: bool,
    pub zero: bool,
    pub width: usize,
    pub precision: Option<usize>,
    pub conversion: char,
}

/// The widest field there is.
const WIDTH_MAX: usize = 10_000;

/// A piece of a format.
pub(crate) enum Piece {
    Text(String),
    /// A conversion; `star` ones take a width or precision from the arguments first.
    Spec {
        spec: Spec,
        star_width: bool,
        star_precision: bool,
    },
}

/// Takes a format apart.
pub(crate) fn pieces(format: &str) -> Vec<Piece> {
    let chars: Vec<char> = format.chars().collect();
    let mut out = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at] != '%' {
            text.push(chars[at]);
            at += 1;
            continue;
        }
        if chars.get(at + 1) == Some(&'%') {
            text.push('%');
            at += 2;
            continue;
        }
        let start = at;
        at += 1;
        let mut spec = Spec::default();
        while let Some(c) = chars.get(at) {
            match c {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                ' ' => spec.blank = true,
                '#' => spec.alternate = true,
                '0' => spec.zero = true,
                '\'' => {}
                _ => break,
            }
            at += 1;
        }
        let star_width = chars.get(at) == Some(&'*');
        at += usize::from(star_width);
        let number = |at: &mut usize| {
            let mut n = 0_usize;
            while let Some(d) = chars.get(*at).and_then(|c| c.to_digit(10)) {
                n = (n * 10 + d as usize).min(WIDTH_MAX);
                *at += 1;
            }
            n
        };
        spec.width = number(&mut at);
        let mut star_precision = false;
        if chars.get(at) == Some(&'.') {
            at += 1;
            star_precision = chars.get(at) == Some(&'*');
            at += usize::from(star_precision);
            spec.precision = Some(number(&mut at));
        }
        while matches!(chars.get(at), Some('l' | 'h' | 'j' | 'z' | 'L')) {
            at += 1;
        }
        match chars.get(at) {
            Some(c) if c.is_ascii_alphabetic() => {
                spec.conversion = *c;
                at += 1;
                if !text.is_empty() {
                    out.push(Piece::Text(std::mem::take(&mut text)));
                }
                out.push(Piece::Spec {
                    spec,
                    star_width,
                    star_precision,
                });
            }
            _ => text.extend(&chars[start..at]),
        }
    }
    if !text.is_empty() {
        out.push(Piece::Text(text));
    }
    out
}

impl Spec {
    /// Fills up to the width.
    fn pad(&self, text: &str) -> String {
        let length = text.chars().count();
        let fill = self.width.min(WIDTH_MAX).saturating_sub(length);
        if self.left {
            return format!("{text}{}", " ".repeat(fill));
        }
        let numeric = !matches!(self.conversion, 's' | 'c' | 'b' | 'q');
        if self.zero && numeric && (self.precision.is_none() || "feEgGaA".contains(self.conversion))
        {
            let sign = usize::from(text.starts_with(['-', '+', ' ']));
            let prefix = if text[sign..].starts_with("0x") || text[sign..].starts_with("0X") {
                sign + 2
            } else {
                sign
            };
            return format!("{}{}{}", &text[..prefix], "0".repeat(fill), &text[prefix..]);
        }
        format!("{}{text}", " ".repeat(fill))
    }

    pub fn string(&self, text: &str) -> String {
        match self.precision {
            Some(most) => self.pad(&text.chars().take(most).collect::<String>()),
            None => self.pad(text),
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match () {
            () if negative => "-",
            () if self.plus => "+",
            () if self.blank => " ",
            () => "",
        }
    }

    /// `d`, `i`, `u`, `o`, `x`, `X`
    pub fn integer(&self, value: i64) -> String {
        let signed = matches!(self.conversion, 'd' | 'i');
        let unsigned = value as u64;
        let mut digits = match self.conversion {
            'o' => format!("{unsigned:o}"),
            'x' => format!("{unsigned:x}"),
            'X' => format!("{unsigned:X}"),
            'u' => unsigned.to_string(),
            _ => value.unsigned_abs().to_string(),
        };
        if let Some(precision) = self.precision {
            let fill = precision.min(WIDTH_MAX).saturating_sub(digits.len());
            digits = "0".repeat(fill) + &digits;
        }
        let prefix = match self.conversion {
            'o' if self.alternate && !digits.starts_with('0') => "0",
            'x' if self.alternate && value != 0 => "0x",
            'X' if self.alternate && value != 0 => "0X",
            _ => "",
        };
        let sign = if signed { self.sign(value < 0) } else { "" };
        self.pad(&format!("{sign}{prefix}{digits}"))
    }

    /// `f`, `e`, `g` and their capitals
    pub fn float(&self, value: f64) -> String {
        let precision = self.precision.unwrap_or(6).min(100);
        let size = value.abs();
        let digits = match self.conversion {
            _ if value.is_nan() => "nan".to_owned(),
            _ if value.is_infinite() => "inf".to_owned(),
            'e' | 'E' => exponent(size, precision),
            'g' | 'G' => general(size, precision.max(1), self.alternate),
            _ => format!("{size:.precision$}"),
        };
        let digits = if self.conversion.is_ascii_uppercase() {
            digits.to_ascii_uppercase()
        } else {
            digits
        };
        let negative = value.is_sign_negative() && !value.is_nan();
        self.pad(&format!("{}{digits}", self.sign(negative)))
    }
}

fn exponent(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!(
        "{mantissa}e{}{:02}",
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

/// `%g`: the shorter of the two, without zeros at the end.
pub(crate) fn general(size: f64, precision: usize, keep_zeros: bool) -> String {
    let scientific = exponent(size, precision - 1);
    let power: i32 = scientific
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .unwrap_or(0);
    let strip = |text: &str| match text.contains('.') && !keep_zeros {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if size != 0.0 && (power < -4 || power >= precision as i32) {
        let (mantissa, e) = scientific.split_once('e').unwrap_or((&scientific, "+00"));
        return format!("{}e{e}", strip(mantissa));
    }
    let decimals = usize::try_from(precision as i32 - 1 - power).unwrap_or(0);
    strip(&format!("{size:.decimals$}"))
}

/// The shell's printf: its text, and what was wrong with the arguments.
pub(crate) fn printf(format: &str, arguments: &[String]) -> (String, Vec<String>) {
    let (format, stopped) = unescape(&format.replace("%%", "\u{0}%%"), Escapes::Format);
    let format = format.replace("\u{0}%%", "%%");
    let pieces = pieces(&format);
    let mut out = String::new();
    let mut errors = Vec::new();
    let mut arguments = arguments.iter();
    loop {
        let before = arguments.len();
        for piece in &pieces {
            let (mut spec, star_width, star_precision) = match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Piece::Spec {
                    spec,
                    star_width,
                    star_precision,
                } => (spec.clone(), *star_width, *star_precision),
            };
            if star_width {
                let width: i64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(0);
                spec.left |= width < 0;
                spec.width = (width.unsigned_abs() as usize).min(WIDTH_MAX);
            }
            if star_precision {
                spec.precision = arguments
                    .next()
                    .and_then(|a| a.parse().ok())
                    .map(|p: usize| p.min(WIDTH_MAX));
            }
            let argument = arguments.next();
            let text = argument.map_or("", String::as_str);
            match spec.conversion {
                's' => out.push_str(&spec.string(text)),
                'q' => out.push_str(&spec.string(&crate::text::quote(text))),
                'b' => {
                    let (text, stop) = unescape(text, Escapes::Echo);
                    out.push_str(&spec.string(&text));
                    if stop {
                        return (out, errors);
                    }
                }
                'c' => out.push_str(&spec.string(&text.chars().take(1).collect::<String>())),
                'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
                    out.push_str(&spec.integer(integer(text, argument.is_some(), &mut errors)));
                }
                'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                    let value = match text.trim().parse::<f64>() {
                        Ok(value) => value,
                        Err(_) => {
                            let value = integer(text, argument.is_some(), &mut errors);
                            value as f64
                        }
                    };
                    out.push_str(&spec.float(value));
                }
                other => {
                    errors.push(format!("%{other}: invalid directive"));
                    return (out, errors);
                }
            }
        }
        if stopped || arguments.len() == 0 || arguments.len() == before || out.len() > (1 << 24) {
            return (out, errors);
        }
    }
}

/// An integer argument: decimal, octal, hexadecimal, or `'c` for a character's code.
fn integer(text: &str, given: bool, errors: &mut Vec<String>) -> i64 {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        if given && !text.is_empty() {
            errors.push(format!("'{text}': expected a numeric value"));
        }
        return 0;
    }
    if let Some(c) = trimmed.strip_prefix(['\'', '"']) {
        return c.chars().next().map_or(0, |c| i64::from(u32::from(c)));
    }
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    match crate::arith::number(digits) {
        Some(value) => {
            if negative {
                value.wrapping_neg()
            } else {
                value
            }
        }
        None => {
            let length = digits.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 {
                errors.push(format!("'{text}': expected a numeric value"));
            } else {
                errors.push(format!("'{text}': value not completely converted"));
            }
            let value: i64 = digits[..length].parse().unwrap_or(0);
            if negative { -value } else { value }
        }
    }
}
