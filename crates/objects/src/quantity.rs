//! `resource.Quantity`: amounts such as `500m`, `1.5Gi`, `1e3`.
//! Source: k8s.io/apimachinery/pkg/api/resource, v0.37.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// An amount with the format in which it was written. Exact to a billionth; finer amounts are
/// rounded up (away from zero), as Kubernetes does.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// The family of suffixes that a quantity prints itself with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `m`, `k`, `M`: powers of 1000.
    #[default]
    DecimalSi,
    /// `Ki`, `Mi`: powers of 1024.
    BinarySi,
    /// `e3`, `e6`.
    DecimalExponent,
}

/// Why a text is no quantity; prints as the API server says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityError {
    /// Not of the form at all.
    Format,
    /// A suffix that does not exist.
    Suffix,
    /// No number before the suffix.
    Number,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QuantityError::Format => "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            QuantityError::Suffix => "unable to parse quantity's suffix",
            QuantityError::Number => "unable to parse numeric part of quantity",
        })
    }
}

impl std::error::Error for QuantityError {}

const NANO: i128 = 1_000_000_000;
/// Larger amounts than this are cut to it: ten thousand times what Kubernetes' int64 holds.
const MOST: i128 = NANO * 100_000_000_000_000_000_000_000;
const DECIMAL: [(i32, &str); 10] = [
    (-9, "n"),
    (-6, "u"),
    (-3, "m"),
    (0, ""),
    (3, "k"),
    (6, "M"),
    (9, "G"),
    (12, "T"),
    (15, "P"),
    (18, "E"),
];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Quantity {
    /// Nothing.
    pub const ZERO: Quantity = Quantity {
        nanos: 0,
        format: Format::DecimalSi,
    };

    /// A whole number of units.
    pub fn new(value: i64, format: Format) -> Quantity {
        Quantity {
            nanos: i128::from(value) * NANO,
            format,
        }
    }

    /// A whole number of thousandths.
    pub fn from_milli(milli: i64, format: Format) -> Quantity {
        Quantity {
            nanos: i128::from(milli) * (NANO / 1000),
            format,
        }
    }

    /// The amount in units, rounded up.
    pub fn value(&self) -> i64 {
        self.scaled(NANO)
    }

    /// The amount in thousandths, rounded up.
    pub fn milli_value(&self) -> i64 {
        self.scaled(NANO / 1000)
    }

    /// The amount as a float.
    pub fn as_f64(&self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    /// The format it prints in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// Below, at or above zero.
    pub fn sign(&self) -> i32 {
        self.nanos.signum() as i32
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(&self) -> bool {
        self.nanos % NANO == 0
    }

    /// Rounded up to whole thousandths: what defaulting does to every `ResourceList`.
    #[must_use]
    pub fn round_up_to_milli(&self) -> Quantity {
        let unit = NANO / 1000;
        Quantity {
            nanos: round_up(self.nanos, unit).saturating_mul(unit),
            format: self.format,
        }
    }

    /// The sum; in the other's format if this is zero.
    #[must_use]
    pub fn plus(&self, other: &Quantity) -> Quantity {
        let format = if self.nanos == 0 {
            other.format
        } else {
            self.format
        };
        Quantity {
            nanos: (self.nanos + other.nanos).clamp(-MOST, MOST),
            format,
        }
    }

    /// The difference; in the other's format if this is zero.
    #[must_use]
    pub fn minus(&self, other: &Quantity) -> Quantity {
        self.plus(&Quantity {
            nanos: -other.nanos,
            format: other.format,
        })
    }

    fn scaled(&self, unit: i128) -> i64 {
        let value = round_up(self.nanos, unit);
        i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
    }

    fn decimal(&self) -> (i128, i32) {
        let (mut mantissa, mut exponent) = (self.nanos, -9);
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        while exponent % 3 != 0 {
            mantissa *= 10;
            exponent -= 1;
        }
        (mantissa, exponent)
    }
}

/// Divides and rounds away from zero.
fn round_up(nanos: i128, unit: i128) -> i128 {
    let quotient = nanos / unit;
    if nanos % unit == 0 {
        quotient
    } else {
        quotient + nanos.signum()
    }
}

/// The canonical form: no fraction, the largest suffix that allows it.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        if self.format == Format::BinarySi && self.nanos.abs() >= 1024 * NANO {
            let (mut mantissa, mut power) = (round_up(self.nanos, NANO), 0);
            while mantissa % 1024 == 0 && power + 1 < BINARY.len() {
                mantissa /= 1024;
                power += 1;
            }
            return write!(f, "{mantissa}{}", BINARY[power]);
        }
        let (mut mantissa, mut exponent) = self.decimal();
        if self.format == Format::DecimalExponent {
            return if exponent == 0 {
                write!(f, "{mantissa}")
            } else {
                write!(f, "{mantissa}e{exponent}")
            };
        }
        while exponent > 18 {
            mantissa *= 1000;
            exponent -= 3;
        }
        let suffix = DECIMAL
            .iter()
            .find(|(e, _)| *e == exponent)
            .map_or("", |(_, s)| s);
        write!(f, "{mantissa}{suffix}")
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Quantity, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let whole_end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (whole, rest) = rest.split_at(whole_end);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(
                rest.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len()),
            ),
            None => ("", rest),
        };
        let (format, scale) = interpret(suffix)?;
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::Number);
        }
        let nanos = match scale {
            Scale::Ten(exponent) => decimal_nanos(whole, fraction, exponent),
            Scale::Two(shift) => binary_nanos(whole, fraction, shift),
        };
        Ok(Quantity {
            nanos: if negative { -nanos } else { nanos },
            format,
        })
    }
}

enum Scale {
    Ten(i32),
    Two(u32),
}

fn interpret(suffix: &str) -> Result<(Format, Scale), QuantityError> {
    let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let digits = letters.strip_prefix(['+', '-']).unwrap_or(letters);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    if let Some((exponent, _)) = DECIMAL.iter().find(|(_, s)| *s == suffix) {
        return Ok((Format::DecimalSi, Scale::Ten(*exponent)));
    }
    if let Some(power) = BINARY.iter().position(|s| *s == suffix) {
        return Ok((Format::BinarySi, Scale::Two(10 * power as u32)));
    }
    let exponent: Option<i64> = suffix.strip_prefix(['e', 'E']).and_then(|s| s.parse().ok());
    let exponent = exponent.ok_or(QuantityError::Suffix)?.clamp(-1000, 1000);
    Ok((Format::DecimalExponent, Scale::Ten(exponent as i32)))
}

fn decimal_nanos(whole: &str, fraction: &str, exponent: i32) -> i128 {
    // The digits that count end 9 + exponent places behind the point.
    let places = 9 + exponent;
    let digits = || {
        whole
            .bytes()
            .chain(fraction.bytes())
            .map(|b| i128::from(b - b'0'))
    };
    let keep = whole.len() as i64 + i64::from(places);
    let mut nanos: i128 = 0;
    let mut beyond = false;
    for (at, digit) in digits().enumerate() {
        if (at as i64) < keep {
            nanos = nanos.saturating_mul(10).saturating_add(digit);
        } else {
            beyond |= digit != 0;
        }
    }
    let given = (whole.len() + fraction.len()) as i64;
    for _ in given..keep {
        nanos = nanos.saturating_mul(10);
    }
    (nanos.saturating_add(i128::from(beyond))).min(MOST)
}

fn binary_nanos(whole: &str, fraction: &str, shift: u32) -> i128 {
    // Twelve decimal places are exact enough: what Kubernetes keeps of a binary fraction is less.
    let fraction = &fraction[..fraction.len().min(12)];
    let scale = 10_i128.pow(fraction.len() as u32);
    let number = |s: &str| {
        s.bytes().fold(0_i128, |n, b| {
            n.saturating_mul(10).saturating_add(i128::from(b - b'0'))
        })
    };
    let factor = (1_i128 << shift) * NANO;
    let whole = number(whole).saturating_mul(factor);
    let part = round_up(number(fraction).saturating_mul(factor >> 9), scale).saturating_mul(1 << 9);
    let exact = number(fraction)
        .checked_mul(factor)
        .map_or(part, |product| round_up(product, scale));
    whole.saturating_add(exact).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn canonical(text: &str, want: &str) {
        let got = text
            .parse::<Quantity>()
            .map_or_else(|e| format!("{e:?}"), |q| q.to_string());
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn quantities_print_in_canonical_form() {
        for (text, want) in [
            ("0", "0"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("100M", "100M"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("0.5Ki", "512"),
            ("128974848", "128974848"),
            ("129e6", "129e6"),
            ("1e3", "1e3"),
            ("1E", "1E"),
            ("1E2", "100"),
            ("12e1", "120"),
            ("+1", "1"),
            ("-2k", "-2k"),
            (".5", "500m"),
            ("5.", "5"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("100000000000000000000", "100E"),
            ("", "Format"),
            ("1 Gi", "Format"),
            ("abc", "Format"),
            ("1GB", "Format"),
            ("1gi", "Format"),
            ("1mi", "Suffix"),
            ("Mi", "Number"),
            ("1.2.3", "Format"),
        ] {
            canonical(text, want);
        }
    }

    #[test]
    fn amounts_round_up() {
        let q = |s: &str| s.parse::<Quantity>().unwrap();
        assert_eq!(
            (
                q("100m").value(),
                q("100m").milli_value(),
                q("1u").milli_value()
            ),
            (1, 100, 1)
        );
        assert_eq!(
            (q("-100m").value(), q("1Ki").value(), q("9E").value()),
            (-1, 1024, 9_000_000_000_000_000_000)
        );
        assert_eq!(q("1Gi").plus(&q("512Mi")).to_string(), "1536Mi");
        assert_eq!(
            Quantity::ZERO.plus(&q("1Gi")).minus(&q("1Mi")).to_string(),
            "1023Mi"
        );
        assert_eq!(q("0.0001").round_up_to_milli().to_string(), "1m");
        assert!(q("1") == q("1000m") && q("1Ki") > q("1k"));
    }
}
