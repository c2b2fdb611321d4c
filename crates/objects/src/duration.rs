//! Go's `time.Duration` as text, and the ages that kubectl prints.

use std::fmt;
use std::str::FromStr;

/// A length of time in nanoseconds, as Go's `time.Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub i64);

const SECOND: i64 = 1_000_000_000;

impl GoDuration {
    /// So many whole seconds.
    pub fn from_secs(seconds: i64) -> GoDuration {
        GoDuration(seconds.saturating_mul(SECOND))
    }

    /// Whole seconds, cut towards zero.
    pub fn as_secs(&self) -> i64 {
        self.0 / SECOND
    }

    /// Whole microseconds, cut towards zero.
    pub fn as_micros(&self) -> i64 {
        self.0 / 1000
    }
}

/// Why a text is no duration; prints as Go says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationError(String);

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for DurationError {}

/// `time.ParseDuration`: `300ms`, `-1.5h`, `2h45m`.
impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<GoDuration, DurationError> {
        let invalid =
            || DurationError(format!("time: invalid duration {}", crate::go::quote(text)));
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(GoDuration(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let number_end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at(number_end);
            let unit_end = after
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(unit_end);
            rest = after;
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
                return Err(invalid());
            }
            let nanos: i128 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "" => {
                    return Err(DurationError(format!(
                        "time: missing unit in duration {}",
                        crate::go::quote(text)
                    )));
                }
                _ => {
                    let (unit, text) = (crate::go::quote(unit), crate::go::quote(text));
                    return Err(DurationError(format!(
                        "time: unknown unit {unit} in duration {text}"
                    )));
                }
            };
            let fraction = &fraction[..fraction.len().min(15)];
            let digits = |s: &str| {
                s.bytes().fold(0_i128, |n, b| {
                    n.saturating_mul(10).saturating_add(i128::from(b - b'0'))
                })
            };
            let part = digits(fraction) * nanos / 10_i128.pow(fraction.len() as u32);
            total = total
                .saturating_add(digits(whole).saturating_mul(nanos))
                .saturating_add(part);
        }
        let total = if negative { -total } else { total };
        i64::try_from(total).map(GoDuration).map_err(|_| invalid())
    }
}

/// `Duration.String()`: `1h0m0s`, `1.5s`, `300ms`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let second = SECOND.unsigned_abs();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < second {
            let (unit, name) = match nanos {
                0..1000 => (1, "ns"),
                1000..1_000_000 => (1000, "µs"),
                _ => (1_000_000, "ms"),
            };
            return write!(f, "{sign}{}{name}", decimal(nanos, unit));
        }
        let (hours, minutes) = (nanos / (3600 * second), nanos / (60 * second) % 60);
        let seconds = decimal(nanos % (60 * second), second);
        match (hours, minutes) {
            (0, 0) => write!(f, "{sign}{seconds}s"),
            (0, m) => write!(f, "{sign}{m}m{seconds}s"),
            (h, m) => write!(f, "{sign}{h}h{m}m{seconds}s"),
        }
    }
}

fn decimal(amount: u64, unit: u64) -> String {
    if amount.is_multiple_of(unit) {
        return (amount / unit).to_string();
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", amount % unit);
    format!("{}.{}", amount / unit, fraction.trim_end_matches('0'))
}

/// The age that kubectl prints in its AGE column: two units at the most, fewer the older.
/// Source: k8s.io/apimachinery/pkg/util/duration, HumanDuration.
pub fn human_duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |a: i64, unit_a: &str, b: i64, unit_b: &str| match b {
        0 => format!("{a}{unit_a}"),
        _ => format!("{a}{unit_a}{b}{unit_b}"),
    };
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(hours / 24, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print_as_in_go() {
        for (text, want) in [
            ("1h", "1h0m0s"),
            ("90s", "1m30s"),
            ("1.5s", "1.5s"),
            ("300ms", "300ms"),
            ("2h45m", "2h45m0s"),
            ("-1.5h", "-1h30m0s"),
            ("0", "0s"),
            ("1us", "1µs"),
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("", "time: invalid duration \"\""),
            ("s", "time: invalid duration \"s\""),
        ] {
            let got = text
                .parse::<GoDuration>()
                .map_or_else(|e| e.to_string(), |d| d.to_string());
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn ages_are_short() {
        let day = 86400;
        for (seconds, want) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10800, "3h"),
            (10860, "3h1m"),
            (8 * 3600, "8h"),
            (2 * day, "2d"),
            (2 * day + 3600, "2d1h"),
            (8 * day, "8d"),
            (800 * day, "2y70d"),
            (3000 * day, "8y"),
        ] {
            assert_eq!(human_duration(seconds), want);
        }
    }
}
