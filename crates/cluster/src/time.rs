//! Simulated time: nanoseconds since the simulation began, and its place in the calendar.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment of simulated time, in nanoseconds since the simulation began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// The moment that `Time(0)` stands for, in seconds since the Unix epoch: 2026-01-05 09:00 UTC,
/// a Monday morning. Fixed, so that runs can be compared.
pub const EPOCH_SECONDS: i64 = 1_767_603_600;

impl Time {
    /// The moment that many seconds after the beginning.
    pub const fn from_secs(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    /// Time that has passed since `earlier`; zero if that lies ahead.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since the Unix epoch.
    pub fn unix_seconds(self) -> i64 {
        EPOCH_SECONDS + i64::try_from(self.0 / 1_000_000_000).unwrap_or(i64::MAX / 2)
    }

    /// Microseconds within the second.
    pub fn subsec_micros(self) -> u32 {
        (self.0 % 1_000_000_000 / 1_000) as u32
    }

    /// As the API writes times: `2026-01-05T09:00:00Z`.
    pub fn rfc3339(self) -> String {
        kubarium_objects::time::format_seconds(self.unix_seconds())
    }

    /// As the API writes MicroTime: `2026-01-05T09:00:00.000000Z`.
    pub fn rfc3339_micro(self) -> String {
        kubarium_objects::time::format_micros(
            self.unix_seconds() * 1_000_000 + i64::from(self.subsec_micros()),
        )
    }

    /// The parts of a date that are written in words: `Mon`, `05`, `Jan`, `2026`, `09:00:00`.
    fn words(self) -> [String; 5] {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let text = self.rfc3339();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        // The simulation begins on a Monday, at nine.
        let days = (self.0 / 1_000_000_000 + 9 * 3600) / 86400;
        let month: usize = part(5, 7).parse().unwrap_or(1);
        [
            DAYS[(days % 7) as usize],
            part(8, 10),
            MONTHS[month.clamp(1, 12) - 1],
            part(0, 4),
            part(11, 19),
        ]
        .map(str::to_owned)
    }

    /// As HTTP writes it: `Mon, 05 Jan 2026 09:00:00 GMT`.
    pub fn http_date(self) -> String {
        let [weekday, day, month, year, clock] = self.words();
        format!("{weekday}, {day} {month} {year} {clock} GMT")
    }

    /// As `date` and `dig` write it: `Mon Jan 05 09:00:00 UTC 2026`.
    pub fn ctime(self) -> String {
        let [weekday, day, month, year, clock] = self.words();
        format!("{weekday} {month} {day} {clock} UTC {year}")
    }

    /// Reads a time that the API wrote; `None` for anything else or a time before the beginning.
    pub fn parse(text: &str) -> Option<Time> {
        let micros = kubarium_objects::time::parse_micros(text)?;
        let since = u64::try_from(micros.checked_sub(EPOCH_SECONDS * 1_000_000)?).ok()?;
        since.checked_mul(1_000).map(Time)
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time(
            self.0
                .saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Time> for Time {
    type Output = Duration;
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

/// Seconds since the beginning, with milliseconds: `12.345s`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:03}s",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000 / 1_000_000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(seconds: u64, want: &str) {
        assert_eq!(Time::from_secs(seconds).http_date(), want);
    }

    #[test]
    fn dates_are_written_in_words() {
        date(0, "Mon, 05 Jan 2026 09:00:00 GMT");
        date(15 * 3600, "Tue, 06 Jan 2026 00:00:00 GMT");
        date(27 * 86400, "Sun, 01 Feb 2026 09:00:00 GMT");
        assert_eq!(Time(0).ctime(), "Mon Jan 05 09:00:00 UTC 2026");
    }
}
