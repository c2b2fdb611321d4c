//! Cron schedules as github.com/robfig/cron v3 parses them (`ParseStandard`).

use crate::go;
use crate::time::Civil;

/// When something is due: sets of minutes, hours, days of the month, months and days of the week, or
/// a fixed interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One bit for each minute, hour, …
    Fields {
        /// Bits 0 to 59.
        minute: u64,
        /// Bits 0 to 23.
        hour: u64,
        /// Bits 1 to 31; and whether it was `*` or `?`.
        day: (u64, bool),
        /// Bits 1 to 12.
        month: u64,
        /// Bits 0 (Sunday) to 6; and whether it was `*` or `?`.
        weekday: (u64, bool),
    },
    /// Every so many seconds.
    Every(i64),
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

struct Bounds {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

/// Parses a schedule. Errors: the library's texts, which the API server repeats.
pub fn parse(text: &str) -> Result<Schedule, String> {
    if text.is_empty() {
        return Err("empty spec string".into());
    }
    if let Some(descriptor) = text.strip_prefix('@') {
        return descriptor_schedule(text, descriptor);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(format!(
            "expected exactly 5 fields, found {}: [{}]",
            fields.len(),
            fields.join(" ")
        ));
    };
    let bounds = |least, most, names| Bounds { least, most, names };
    Ok(Schedule::Fields {
        minute: field(minute, &bounds(0, 59, &[]))?.0,
        hour: field(hour, &bounds(0, 23, &[]))?.0,
        day: field(day, &bounds(1, 31, &[]))?,
        month: field(month, &bounds(1, 12, &MONTHS))?.0,
        weekday: field(weekday, &bounds(0, 6, &DAYS))?,
    })
}

fn descriptor_schedule(text: &str, descriptor: &str) -> Result<Schedule, String> {
    let standard = match descriptor {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        _ => {
            let Some(every) = descriptor.strip_prefix("every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let duration: crate::duration::GoDuration = every
                .parse()
                .map_err(|e| format!("failed to parse duration {text}: {e}"))?;
            return Ok(Schedule::Every(duration.as_secs().max(1)));
        }
    };
    parse(standard)
}

fn field(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let (mut bits, mut star) = (0, false);
    for part in text.split(',').filter(|p| !p.is_empty()) {
        let (b, s) = range(part, bounds)?;
        bits |= b;
        star |= s;
    }
    Ok((bits, star))
}

fn range(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let mut range_and_step = text.split('/');
    let low_and_high = range_and_step.next().unwrap_or("");
    let step_text = range_and_step.next();
    if range_and_step.next().is_some() {
        return Err(format!("too many slashes: {text}"));
    }
    let ends: Vec<&str> = low_and_high.split('-').collect();
    let single = ends.len() == 1;
    let mut star = false;
    let (start, mut end) = if matches!(ends[0], "*" | "?") {
        star = true;
        (bounds.least, bounds.most)
    } else {
        let start = number(ends[0], bounds)?;
        let end = match ends[..] {
            [_] => start,
            [_, end] => number(end, bounds)?,
            _ => return Err(format!("too many hyphens: {text}")),
        };
        (start, end)
    };
    let step = match step_text {
        None => 1,
        Some(s) => {
            let step = whole(s)?;
            if single {
                end = bounds.most;
            }
            star &= step <= 1;
            step
        }
    };
    let (least, most) = (bounds.least, bounds.most);
    if start < least {
        return Err(format!(
            "beginning of range ({start}) below minimum ({least}): {text}"
        ));
    }
    if end > most {
        return Err(format!(
            "end of range ({end}) above maximum ({most}): {text}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {text}"
        ));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let bits = (start..=end)
        .step_by(step as usize)
        .fold(0, |bits, n| bits | 1_u64 << n);
    Ok((bits, star))
}

fn number(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let lower = text.to_lowercase();
    match bounds.names.iter().position(|n| *n == lower) {
        Some(at) => Ok(at as u32 + bounds.least),
        None => whole(text),
    }
}

fn whole(text: &str) -> Result<u32, String> {
    let n: i64 = text.parse().map_err(|_| {
        format!(
            "failed to parse int from {text}: strconv.Atoi: parsing {}: invalid syntax",
            go::quote(text)
        )
    })?;
    u32::try_from(n).map_err(|_| format!("negative number ({n}) not allowed: {text}"))
}

impl Schedule {
    /// The first time after `seconds` (since the Unix epoch, UTC) that is due; none within five years.
    pub fn next(&self, seconds: i64) -> Option<i64> {
        let (minute, hour, day, month, weekday) = match self {
            Schedule::Every(interval) => return Some(seconds + interval),
            Schedule::Fields {
                minute,
                hour,
                day,
                month,
                weekday,
            } => (*minute, *hour, *day, *month, *weekday),
        };
        let has = |bits: u64, n: i64| bits >> n & 1 == 1;
        let mut t = Civil::from_seconds(seconds.div_euclid(60) * 60 + 60);
        let last_year = t.year + 5;
        while t.year <= last_year {
            if !has(month, t.month) {
                let (year, month) = if t.month == 12 {
                    (t.year + 1, 1)
                } else {
                    (t.year, t.month + 1)
                };
                t = Civil {
                    year,
                    month,
                    day: 1,
                    hour: 0,
                    minute: 0,
                    second: 0,
                };
                continue;
            }
            let (by_day, by_weekday) = (has(day.0, t.day), has(weekday.0, t.weekday()));
            // Both given: either will do.
            let due = if day.1 || weekday.1 {
                by_day && by_weekday
            } else {
                by_day || by_weekday
            };
            let midnight = Civil {
                hour: 0,
                minute: 0,
                second: 0,
                ..t
            }
            .to_seconds();
            if !due {
                t = Civil::from_seconds(midnight + 86400);
            } else if !has(hour, t.hour) {
                t = Civil::from_seconds(midnight + (t.hour + 1) * 3600);
            } else if !has(minute, t.minute) {
                t = Civil::from_seconds(t.to_seconds() + 60);
            } else {
                return Some(t.to_seconds());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{format_seconds, parse_seconds};

    #[test]
    fn schedules_are_due_when_cron_says() {
        let from = parse_seconds("2026-11-23T17:58:12Z").unwrap();
        for (text, want) in [
            ("*/5 * * * *", "2026-11-23T18:00:00Z"),
            ("0 0 * * *", "2026-11-24T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 12 1 * MON", "2026-11-30T12:00:00Z"),
            ("@hourly", "2026-11-23T18:00:00Z"),
            ("@every 5m", "2026-11-23T18:03:12Z"),
            ("30 6-8/2 * jan,feb ?", "2027-01-01T06:30:00Z"),
        ] {
            assert_eq!(
                format_seconds(parse(text).unwrap().next(from).unwrap()),
                want,
                "{text}"
            );
        }
        assert_eq!(parse("0 0 31 2 *").unwrap().next(from), None);
        assert_eq!(
            parse("0 24 * * *").unwrap_err(),
            "end of range (24) above maximum (23): 24"
        );
        assert_eq!(
            parse("* * * *").unwrap_err(),
            "expected exactly 5 fields, found 4: [* * * *]"
        );
    }
}
