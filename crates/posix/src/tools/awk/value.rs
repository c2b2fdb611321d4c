//! awk's values: numbers, strings, and input that looks like a number.

use super::super::format::{Piece, Spec, general, pieces};
use std::cmp::Ordering;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Value {
    /// Never set: 0 and the empty string at once.
    #[default]
    Unset,
    Number(f64),
    Text(String),
    /// Input that looks like a number: compares as one.
    Input(String, f64),
}

impl Value {
    /// A field or another piece of input.
    pub fn input(text: &str) -> Value {
        match looks_numeric(text) {
            Some(number) => Value::Input(text.to_owned(), number),
            None => Value::Text(text.to_owned()),
        }
    }

    pub fn truth(value: bool) -> Value {
        Value::Number(if value { 1.0 } else { 0.0 })
    }

    pub fn number(&self) -> f64 {
        match self {
            Value::Unset => 0.0,
            Value::Number(n) | Value::Input(_, n) => *n,
            Value::Text(text) => leading_number(text),
        }
    }

    pub fn is_true(&self) -> bool {
        match self {
            Value::Unset => false,
            Value::Number(n) | Value::Input(_, n) => *n != 0.0,
            Value::Text(text) => !text.is_empty(),
        }
    }

    /// The text, numbers that are not whole by `format` (CONVFMT or OFMT).
    pub fn text(&self, format: &str) -> String {
        match self {
            Value::Unset => String::new(),
            Value::Number(n) => number_text(*n, format),
            Value::Text(text) | Value::Input(text, _) => text.clone(),
        }
    }

    pub fn compare(&self, other: &Value, format: &str) -> Ordering {
        if matches!(self, Value::Text(_)) || matches!(other, Value::Text(_)) {
            return self.text(format).cmp(&other.text(format));
        }
        self.number()
            .partial_cmp(&other.number())
            .unwrap_or(Ordering::Equal)
    }
}

pub(super) fn number_text(n: f64, format: &str) -> String {
    if n.is_nan() {
        return "nan".to_owned();
    }
    if n.fract() == 0.0 && n.abs() < 1e16 {
        return format!("{:.0}", if n == 0.0 { 0.0 } else { n });
    }
    match format {
        "%.6g" => format!(
            "{}{}",
            if n < 0.0 { "-" } else { "" },
            general(n.abs(), 6, false)
        ),
        format => match pieces(format).first() {
            Some(Piece::Spec { spec, .. }) => spec.float(n),
            _ => n.to_string(),
        },
    }
}

/// How long the number at a text's beginning is.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(at);
    at += whole;
    let mut part = 0;
    if bytes.get(at) == Some(&b'.') {
        part = digits(at + 1);
        at += 1 + part;
    }
    if whole + part == 0 {
        return 0;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = if at + 1 + sign <= bytes.len() {
            digits(at + 1 + sign)
        } else {
            0
        };
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

pub(super) fn leading_number(text: &str) -> f64 {
    let text = text.trim_start();
    text[..number_length(text)].parse().unwrap_or(0.0)
}

fn looks_numeric(text: &str) -> Option<f64> {
    let trimmed = text.trim();
    let length = number_length(trimmed);
    if length == 0 || length < trimmed.len() {
        None
    } else {
        trimmed.parse().ok()
    }
}

/// sprintf of awk's.
///
/// # Errors
/// A conversion that there is none of.
pub(super) fn sprintf(format: &str, arguments: &[Value], convfmt: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    for piece in pieces(format) {
        let (mut spec, star_width, star_precision): (Spec, bool, bool) = match piece {
            Piece::Text(text) => {
                out.push_str(&text);
                continue;
            }
            Piece::Spec {
                spec,
                star_width,
                star_precision,
            } => (spec, star_width, star_precision),
        };
        let mut next = || arguments.next().cloned().unwrap_or_default();
        if star_width {
            let width = next().number();
            spec.left |= width < 0.0;
            spec.width = width.abs().min(10_000.0) as usize;
        }
        if star_precision {
            spec.precision = Some(next().number().clamp(0.0, 10_000.0) as usize);
        }
        let value = next();
        out.push_str(&match spec.conversion {
            's' => spec.string(&value.text(convfmt)),
            'c' => {
                let text = match value {
                    Value::Number(n) => char::from_u32(n as u32)
                        .map(String::from)
                        .unwrap_or_default(),
                    other => other.text(convfmt).chars().take(1).collect(),
                };
                spec.string(&text)
            }
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
                let number = value.number();
                if number.is_finite() {
                    spec.integer(number as i64)
                } else {
                    spec.string(&number_text(number, convfmt))
                }
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => spec.float(value.number()),
            other => return Err(format!("unknown conversion %{other}")),
        });
    }
    Ok(out)
}
