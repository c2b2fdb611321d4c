//! RFC 3339 times and the civil calendar, without any clock. Times are counted from the Unix epoch,
//! in seconds or microseconds, UTC.

/// `metav1.Time`: `2024-01-02T03:04:05Z`.
pub fn format_seconds(seconds: i64) -> String {
    let t = Civil::from_seconds(seconds);
    // Written digit by digit: times are the most frequent text of all.
    let mut text = String::with_capacity(20);
    let parts = [
        (t.year, 4, '-'),
        (t.month, 2, '-'),
        (t.day, 2, 'T'),
        (t.hour, 2, ':'),
        (t.minute, 2, ':'),
        (t.second, 2, 'Z'),
    ];
    for (number, digits, end) in parts {
        if !(0..10_000).contains(&number) {
            text += &number.to_string();
        } else {
            for place in [1000, 100, 10, 1].iter().skip(4 - digits) {
                text.push(char::from(b'0' + (number / place % 10) as u8));
            }
        }
        text.push(end);
    }
    text
}

/// `metav1.MicroTime`: `2024-01-02T03:04:05.000006Z`.
pub fn format_micros(micros: i64) -> String {
    let seconds = format_seconds(micros.div_euclid(1_000_000));
    format!(
        "{}.{:06}Z",
        seconds.trim_end_matches('Z'),
        micros.rem_euclid(1_000_000)
    )
}

/// Reads an RFC 3339 time to whole seconds.
pub fn parse_seconds(text: &str) -> Option<i64> {
    parse_micros(text).map(|micros| micros.div_euclid(1_000_000))
}

/// Reads an RFC 3339 time to microseconds.
pub fn parse_micros(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let mark = |at: usize, c: &str| (text.get(at..at + 1)? == c).then_some(());
    mark(4, "-")?;
    mark(7, "-")?;
    mark(10, "T")?;
    mark(13, ":")?;
    mark(16, ":")?;
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fine = (1..=12).contains(&month)
        && day >= 1
        && day <= days_in_month(year, month)
        && hour < 24
        && minute < 60
        && second < 60;
    if !fine {
        return None;
    }
    let (mut zone, mut micros) = (text.get(19..)?, 0);
    if let Some(rest) = zone.strip_prefix(['.', ',']) {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = rest.split_at(end);
        if digits.is_empty() {
            return None;
        }
        micros = digits
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(6)
            .fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        zone = after;
    }
    let offset = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let part = |from: usize| zone.get(from..from + 2)?.parse::<i64>().ok();
            let (h, m) = (part(1)?, part(4)?);
            if h > 23 || m > 59 {
                return None;
            }
            (h * 3600 + m * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000 + micros)
}

/// A moment in the proleptic Gregorian calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// 1970
    pub year: i64,
    /// 1 to 12
    pub month: i64,
    /// 1 to 31
    pub day: i64,
    /// 0 to 23
    pub hour: i64,
    /// 0 to 59
    pub minute: i64,
    /// 0 to 59
    pub second: i64,
}

impl Civil {
    /// From seconds since the Unix epoch.
    pub fn from_seconds(seconds: i64) -> Civil {
        let (days, rest) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// To seconds since the Unix epoch.
    pub fn to_seconds(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day) * 86400
            + self.hour * 3600
            + self.minute * 60
            + self.second
    }

    /// 0 (Sunday) to 6.
    pub fn weekday(&self) -> i64 {
        (days_from_civil(self.year, self.month, self.day) + 4).rem_euclid(7)
    }
}

/// 28 to 31.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01. The year starts in March here, so that the leap day comes last; 400 years
/// have 146,097 days.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date that many days after 1970-01-01: (year, month, day).
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-23T17:58:12Z", 1_795_456_692),
            ("1969-12-31T23:59:59Z", -1),
        ] {
            assert_eq!(parse_seconds(text), Some(seconds), "{text}");
            assert_eq!(format_seconds(seconds), text);
        }
        assert_eq!(parse_micros("1970-01-01T01:00:00.25+01:00"), Some(250_000));
        assert_eq!(format_micros(1_000_042), "1970-01-01T00:00:01.000042Z");
        for bad in [
            "",
            "yesterday",
            "2024-01-01",
            "2023-02-29T00:00:00Z",
            "2024-01-01T00:00:00",
            "2024-13-01T00:00:00Z",
            "2024-01-01T00:00:00.Z",
        ] {
            assert_eq!(parse_seconds(bad), None, "{bad}");
        }
        assert_eq!(Civil::from_seconds(951_868_799).weekday(), 2);
        assert!((-800_000..800_000).step_by(37).all(|d| {
            let (y, m, day) = civil_from_days(d);
            days_from_civil(y, m, day) == d
        }));
    }
}
