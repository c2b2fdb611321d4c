//! `date`: always UTC, as containers are.

use super::{Context, Outcome, fail};

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment's parts.
pub(crate) struct Moment {
    pub year: i64,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub nanos: u32,
    /// 0 is Sunday.
    pub weekday: u32,
    /// 1 to 366.
    pub year_day: u32,
    /// Seconds since 1970.
    pub epoch: i64,
}

/// The parts of so many seconds and nanoseconds since 1970 (proleptic Gregorian, after Howard
/// Hinnant's days_from_civil).
pub(crate) fn moment(epoch: i64, nanos: u32) -> Moment {
    let days = epoch.div_euclid(86_400);
    let second_of_day = epoch.rem_euclid(86_400) as u32;
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_index + 2) / 5 + 1) as u32;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Moment {
        year,
        month,
        day,
        hour: second_of_day / 3600,
        minute: second_of_day / 60 % 60,
        second: second_of_day % 60,
        nanos,
        weekday: (days + 4).rem_euclid(7) as u32,
        year_day: (days - days_from_civil(year, 1, 1) + 1) as u32,
        epoch,
    }
}

/// Days from 1970-01-01 to a date.
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_index = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// strftime(3), with GNU's `%N` and flags `-`, `_`, `0`.
pub(crate) fn strftime(format: &str, m: &Moment) -> String {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let flag = chars.next_if(|c| "-_0^#".contains(*c));
        let mut width = 0;
        while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
            width = (width * 10 + digit).min(100);
            chars.next();
        }
        let Some(letter) = chars.next() else {
            out.push('%');
            break;
        };
        let padded = |value: i64, width: usize, fill: char| match flag.unwrap_or(fill) {
            '-' => value.to_string(),
            '_' | ' ' => format!("{value:width$}"),
            _ => format!("{value:0width$}"),
        };
        let two = |value: u32| padded(i64::from(value), 2, '0');
        let hour12 = if m.hour.is_multiple_of(12) {
            12
        } else {
            m.hour % 12
        };
        let day_name = DAYS[m.weekday as usize % 7];
        let month_name = MONTHS[(m.month as usize + 11) % 12];
        // Weeks: from the first Sunday or Monday, and ISO 8601's.
        let week = |first: u32| (m.year_day + 6 - (m.weekday + 7 - first) % 7) / 7;
        let text = match letter {
            'Y' => m.year.to_string(),
            'C' => two((m.year / 100) as u32),
            'y' => two(m.year.rem_euclid(100) as u32),
            'm' => two(m.month),
            'd' => two(m.day),
            'e' => padded(i64::from(m.day), 2, '_'),
            'H' => two(m.hour),
            'k' => padded(i64::from(m.hour), 2, '_'),
            'I' => two(hour12),
            'l' => padded(i64::from(hour12), 2, '_'),
            'M' => two(m.minute),
            'S' => two(m.second),
            'N' => {
                let all = format!("{:09}", m.nanos);
                all[..if width == 0 {
                    9
                } else {
                    (width as usize).min(9)
                }]
                    .to_owned()
            }
            's' => m.epoch.to_string(),
            'j' => padded(i64::from(m.year_day), 3, '0'),
            'u' => (if m.weekday == 0 { 7 } else { m.weekday }).to_string(),
            'w' => m.weekday.to_string(),
            'a' => day_name[..3].to_owned(),
            'A' => day_name.to_owned(),
            'b' | 'h' => month_name[..3].to_owned(),
            'B' => month_name.to_owned(),
            'p' => if m.hour < 12 { "AM" } else { "PM" }.to_owned(),
            'P' => if m.hour < 12 { "am" } else { "pm" }.to_owned(),
            'U' => two(week(0)),
            'W' => two(week(1)),
            'V' => two(iso_week(m).1),
            'G' => iso_week(m).0.to_string(),
            'Z' => "UTC".to_owned(),
            'z' => "+0000".to_owned(),
            ':' => {
                chars.next();
                "+00:00".to_owned()
            }
            'F' => strftime("%Y-%m-%d", m),
            'T' => strftime("%H:%M:%S", m),
            'R' => strftime("%H:%M", m),
            'D' | 'x' => strftime("%m/%d/%y", m),
            'X' => strftime("%H:%M:%S", m),
            'r' => strftime("%I:%M:%S %p", m),
            'c' => strftime("%a %b %e %H:%M:%S %Y", m),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            '%' => "%".to_owned(),
            other => format!("%{other}"),
        };
        out.push_str(&if flag == Some('^') {
            text.to_uppercase()
        } else {
            text
        });
    }
    out
}

/// ISO 8601's year and week.
fn iso_week(m: &Moment) -> (i64, u32) {
    let weekday = if m.weekday == 0 { 7 } else { m.weekday };
    let week = (i64::from(m.year_day) - i64::from(weekday) + 10) / 7;
    let long = |year: i64| {
        let p =
            |y: i64| (y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400)).rem_euclid(7);
        p(year) == 4 || p(year - 1) == 3
    };
    match week {
        0 => (m.year - 1, if long(m.year - 1) { 53 } else { 52 }),
        53 if !long(m.year) => (m.year + 1, 1),
        week => (m.year, week as u32),
    }
}

/// Dates as `-d` takes them: `@SECONDS`, ISO 8601, `now`, `tomorrow`, `3 days ago`, and such together.
fn read_date(text: &str, now: i64) -> Option<i64> {
    let mut time = now;
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let day = |text: &str| -> Option<i64> {
            let mut parts = text.split('-');
            let (y, m, d) = (
                parts.next()?.parse().ok()?,
                parts.next()?.parse().ok()?,
                parts.next()?.parse().ok()?,
            );
            ((1..=12).contains(&m) && (1..=31).contains(&d))
                .then(|| days_from_civil(y, m, d) * 86_400)
        };
        let clock = |text: &str| -> Option<i64> {
            let text = text.trim_end_matches('Z');
            let text = text.split(['+', '.']).next()?;
            let mut parts = text.split(':').map(str::parse::<i64>);
            let (h, m) = (parts.next()?.ok()?, parts.next()?.ok()?);
            let s = parts.next().map_or(Some(0), Result::ok)?;
            (h < 24 && m < 60 && s < 61).then_some(h * 3600 + m * 60 + s)
        };
        let lower = word.to_lowercase();
        match lower.as_str() {
            "now" | "today" | "utc" | "z" => {}
            "tomorrow" => time += 86_400,
            "yesterday" => time -= 86_400,
            _ => {
                if let Some(seconds) = word.strip_prefix('@') {
                    time = seconds.parse().ok()?;
                } else if let Some((date, at)) =
                    word.split_once('T').filter(|(d, _)| day(d).is_some())
                {
                    time = day(date)? + clock(at)?;
                } else if let Some(date) = day(word) {
                    time = date;
                } else if let Some(at) = clock(word).filter(|_| word.contains(':')) {
                    time = time.div_euclid(86_400) * 86_400 + at;
                } else {
                    let digits = lower.trim_start_matches('+');
                    let split = digits
                        .find(|c: char| c.is_ascii_alphabetic())
                        .unwrap_or(digits.len());
                    let count: i64 = match &digits[..split] {
                        "" => 1,
                        n => n.parse().ok()?,
                    };
                    let unit = if split < digits.len() {
                        digits[split..].to_owned()
                    } else {
                        words.next()?.to_lowercase()
                    };
                    let seconds = match unit.trim_end_matches('s') {
                        "second" | "sec" => 1,
                        "minute" | "min" => 60,
                        "hour" => 3600,
                        "day" => 86_400,
                        "week" => 604_800,
                        _ => return None,
                    };
                    let ago = words.peek() == Some(&"ago");
                    if ago {
                        words.next();
                    }
                    let change = count.checked_mul(seconds)?;
                    time = time.checked_add(if ago { -change } else { change })?;
                }
            }
        }
    }
    Some(time)
}

pub(super) fn date(context: &mut Context) -> Outcome {
    let mut epoch = (context.now / 1_000_000_000) as i64;
    let mut nanos = (context.now % 1_000_000_000) as u32;
    let mut format = None;
    let mut words = context.args.iter();
    while let Some(word) = words.next() {
        let value = |short: &str, long: &str| match word.strip_prefix(long) {
            Some(value) => Some(Some(value.to_owned())),
            None => word
                .strip_prefix(short)
                .map(|v| (!v.is_empty()).then(|| v.to_owned())),
        };
        if let Some(f) = word.strip_prefix('+') {
            format = Some(f.to_owned());
        } else if let Some(given) = value("-d", "--date=") {
            let text = match given {
                Some(text) => text,
                None => words.next().cloned().unwrap_or_default(),
            };
            match read_date(&text, epoch) {
                Some(time) => (epoch, nanos) = (time, 0),
                None => return fail(format!("invalid date '{text}'")),
            }
        } else if let Some(given) = word
            .strip_prefix("-I")
            .or_else(|| word.strip_prefix("--iso-8601"))
        {
            format = Some(
                match given.trim_start_matches('=') {
                    "" | "date" => "%Y-%m-%d",
                    "ns" => "%Y-%m-%dT%H:%M:%S,%N+00:00",
                    "hours" => "%Y-%m-%dT%H+00:00",
                    "minutes" => "%Y-%m-%dT%H:%M+00:00",
                    _ => "%Y-%m-%dT%H:%M:%S+00:00",
                }
                .to_owned(),
            );
        } else {
            match word.as_str() {
                "-u" | "--utc" | "--universal" => {}
                "-R" | "--rfc-email" | "--rfc-2822" => {
                    format = Some("%a, %d %b %Y %H:%M:%S +0000".to_owned())
                }
                "--rfc-3339=seconds" => format = Some("%Y-%m-%d %H:%M:%S+00:00".to_owned()),
                "-s" | "--set" => return fail("cannot set date: Operation not permitted"),
                option if option.starts_with('-') => {
                    return fail(format!(
                        "invalid option -- '{}'",
                        option.trim_start_matches('-')
                    ));
                }
                word => return fail(format!("invalid date '{word}'")),
            }
        }
    }
    let format = format.unwrap_or_else(|| "%a %b %e %H:%M:%S UTC %Y".to_owned());
    let text = strftime(&format, &moment(epoch, nanos));
    context.say(&format!("{text}\n"));
    Ok(0)
}
