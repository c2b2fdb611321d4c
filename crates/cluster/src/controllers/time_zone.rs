//! Time zones of schedules: the usual ones of the IANA database, by the rules that hold today.

use kubarium_objects::time::Civil;

/// When clocks are put forward and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Summer {
    Never,
    /// The last Sundays of March and October, 01:00 UTC.
    Europe,
    /// The second Sunday of March and the first of November, 02:00.
    America,
    /// The first Sundays of October and April, 02:00.
    Australia,
    /// The last Sunday of September and the first of April, 02:00.
    NewZealand,
}

/// A time zone: minutes east of Greenwich, and its summer time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    minutes: i64,
    summer: Summer,
}

/// Zones of one offset and rule, by their names.
type Row = (i64, Summer, &'static [&'static str]);

const ZONES: &[Row] = &[
    (
        0,
        Summer::Never,
        &[
            "UTC",
            "GMT",
            "Etc/UTC",
            "Etc/GMT",
            "Etc/Universal",
            "Etc/Zulu",
            "Africa/Accra",
            "Africa/Abidjan",
            "Africa/Dakar",
            "Atlantic/Reykjavik",
        ],
    ),
    (
        0,
        Summer::Europe,
        &[
            "Europe/London",
            "Europe/Dublin",
            "Europe/Lisbon",
            "Atlantic/Canary",
        ],
    ),
    (
        60,
        Summer::Europe,
        &[
            "CET",
            "Europe/Amsterdam",
            "Europe/Andorra",
            "Europe/Belgrade",
            "Europe/Berlin",
            "Europe/Bratislava",
            "Europe/Brussels",
            "Europe/Budapest",
            "Europe/Copenhagen",
            "Europe/Ljubljana",
            "Europe/Luxembourg",
            "Europe/Madrid",
            "Europe/Malta",
            "Europe/Oslo",
            "Europe/Paris",
            "Europe/Prague",
            "Europe/Rome",
            "Europe/Sarajevo",
            "Europe/Skopje",
            "Europe/Stockholm",
            "Europe/Vienna",
            "Europe/Warsaw",
            "Europe/Zagreb",
            "Europe/Zurich",
        ],
    ),
    (
        60,
        Summer::Never,
        &["Africa/Algiers", "Africa/Lagos", "Africa/Tunis"],
    ),
    (
        120,
        Summer::Europe,
        &[
            "EET",
            "Europe/Athens",
            "Europe/Bucharest",
            "Europe/Helsinki",
            "Europe/Kiev",
            "Europe/Kyiv",
            "Europe/Riga",
            "Europe/Sofia",
            "Europe/Tallinn",
            "Europe/Vilnius",
            "Asia/Nicosia",
        ],
    ),
    (
        120,
        Summer::Never,
        &["Africa/Johannesburg", "Africa/Maputo", "Europe/Kaliningrad"],
    ),
    (
        180,
        Summer::Never,
        &[
            "Africa/Nairobi",
            "Africa/Addis_Ababa",
            "Asia/Baghdad",
            "Asia/Kuwait",
            "Asia/Qatar",
            "Asia/Riyadh",
            "Europe/Istanbul",
            "Europe/Minsk",
            "Europe/Moscow",
        ],
    ),
    (210, Summer::Never, &["Asia/Tehran"]),
    (
        240,
        Summer::Never,
        &[
            "Asia/Baku",
            "Asia/Dubai",
            "Asia/Tbilisi",
            "Asia/Yerevan",
            "Europe/Samara",
        ],
    ),
    (270, Summer::Never, &["Asia/Kabul"]),
    (
        300,
        Summer::Never,
        &[
            "Asia/Almaty",
            "Asia/Karachi",
            "Asia/Tashkent",
            "Asia/Yekaterinburg",
        ],
    ),
    (
        330,
        Summer::Never,
        &["Asia/Calcutta", "Asia/Colombo", "Asia/Kolkata"],
    ),
    (345, Summer::Never, &["Asia/Kathmandu"]),
    (360, Summer::Never, &["Asia/Dhaka", "Asia/Omsk"]),
    (390, Summer::Never, &["Asia/Yangon"]),
    (
        420,
        Summer::Never,
        &[
            "Asia/Bangkok",
            "Asia/Ho_Chi_Minh",
            "Asia/Jakarta",
            "Asia/Novosibirsk",
        ],
    ),
    (
        480,
        Summer::Never,
        &[
            "Asia/Hong_Kong",
            "Asia/Kuala_Lumpur",
            "Asia/Macau",
            "Asia/Manila",
            "Asia/Shanghai",
            "Asia/Singapore",
            "Asia/Taipei",
            "Australia/Perth",
        ],
    ),
    (540, Summer::Never, &["Asia/Seoul", "Asia/Tokyo"]),
    (570, Summer::Never, &["Australia/Darwin"]),
    (570, Summer::Australia, &["Australia/Adelaide"]),
    (
        600,
        Summer::Never,
        &["Australia/Brisbane", "Asia/Vladivostok"],
    ),
    (
        600,
        Summer::Australia,
        &[
            "Australia/Canberra",
            "Australia/Hobart",
            "Australia/Melbourne",
            "Australia/Sydney",
        ],
    ),
    (720, Summer::NewZealand, &["Pacific/Auckland"]),
    (
        -180,
        Summer::Never,
        &[
            "America/Argentina/Buenos_Aires",
            "America/Buenos_Aires",
            "America/Montevideo",
            "America/Sao_Paulo",
        ],
    ),
    (-210, Summer::America, &["America/St_Johns"]),
    (
        -240,
        Summer::Never,
        &["America/Caracas", "America/La_Paz", "America/Puerto_Rico"],
    ),
    (-240, Summer::America, &["America/Halifax"]),
    (
        -300,
        Summer::Never,
        &[
            "America/Bogota",
            "America/Jamaica",
            "America/Lima",
            "America/Panama",
        ],
    ),
    (
        -300,
        Summer::America,
        &[
            "America/Detroit",
            "America/Montreal",
            "America/New_York",
            "America/Toronto",
            "EST5EDT",
            "US/Eastern",
        ],
    ),
    (
        -360,
        Summer::Never,
        &[
            "America/Costa_Rica",
            "America/Guatemala",
            "America/Mexico_City",
        ],
    ),
    (
        -360,
        Summer::America,
        &[
            "America/Chicago",
            "America/Winnipeg",
            "CST6CDT",
            "US/Central",
        ],
    ),
    (-420, Summer::Never, &["America/Phoenix"]),
    (
        -420,
        Summer::America,
        &[
            "America/Denver",
            "America/Edmonton",
            "MST7MDT",
            "US/Mountain",
        ],
    ),
    (
        -480,
        Summer::America,
        &[
            "America/Los_Angeles",
            "America/Vancouver",
            "PST8PDT",
            "US/Pacific",
        ],
    ),
    (-540, Summer::America, &["America/Anchorage"]),
    (-600, Summer::Never, &["Pacific/Honolulu"]),
];

/// The seconds at which a month's Sunday begins: the first from that day of the month on, in UTC.
fn sunday_from(year: i64, month: i64, day: i64) -> i64 {
    let at = Civil {
        year,
        month,
        day,
        ..Civil::from_seconds(0)
    };
    at.to_seconds() + (7 - at.weekday()) % 7 * 86_400
}

impl Zone {
    /// The zone of a name; none that is not among the usual ones.
    pub fn named(name: &str) -> Option<Zone> {
        if let Some(hours) = name.strip_prefix("Etc/GMT") {
            // East is negative there.
            let hours: i64 = if hours.is_empty() {
                0
            } else {
                hours.parse().ok()?
            };
            let minutes = -60 * hours;
            let known = (-12..=14).contains(&-hours);
            return known.then_some(Zone {
                minutes,
                summer: Summer::Never,
            });
        }
        let row = ZONES.iter().find(|(_, _, names)| names.contains(&name))?;
        Some(Zone {
            minutes: row.0,
            summer: row.1,
        })
    }

    /// Seconds east of Greenwich at a moment, given in seconds since the Unix epoch.
    pub fn offset(self, at: i64) -> i64 {
        let standard = self.minutes * 60;
        let year = Civil::from_seconds(at + standard).year;
        // By the clock that is not put forward.
        let local = at + standard;
        let two = 2 * 3600;
        let is_summer = match self.summer {
            Summer::Never => false,
            Summer::Europe => {
                let (from, to) = (sunday_from(year, 3, 25), sunday_from(year, 10, 25));
                (from + 3600..to + 3600).contains(&at)
            }
            Summer::America => {
                let (from, to) = (sunday_from(year, 3, 8), sunday_from(year, 11, 1));
                (from + two..to + 3600).contains(&local)
            }
            Summer::Australia => {
                !(sunday_from(year, 4, 1) + two..sunday_from(year, 10, 1) + two).contains(&local)
            }
            Summer::NewZealand => {
                !(sunday_from(year, 4, 1) + two..sunday_from(year, 9, 24) + two).contains(&local)
            }
        };
        standard + i64::from(is_summer) * 3600
    }

    /// The moment at which the zone's clock shows a time; one that is passed over when the clock is
    /// put forward comes an hour later.
    pub fn moment(self, shown: i64) -> i64 {
        let guess = shown - self.offset(shown - self.minutes * 60);
        let again = shown - self.offset(guess);
        guess.max(again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        kubarium_objects::time::parse_seconds(text).unwrap()
    }

    #[test]
    fn clocks_are_put_forward_and_back() {
        for (zone, moment, hours) in [
            ("Etc/UTC", "2026-07-01T00:00:00Z", 0.0),
            ("Europe/Berlin", "2026-03-29T00:59:59Z", 1.0),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", 2.0),
            ("Europe/Berlin", "2026-10-25T00:59:59Z", 2.0),
            ("Europe/Berlin", "2026-10-25T01:00:00Z", 1.0),
            ("America/New_York", "2026-03-08T06:59:59Z", -5.0),
            ("America/New_York", "2026-03-08T07:00:00Z", -4.0),
            ("America/New_York", "2026-11-01T05:59:59Z", -4.0),
            ("America/New_York", "2026-11-01T06:00:00Z", -5.0),
            ("Australia/Sydney", "2026-01-05T00:00:00Z", 11.0),
            ("Australia/Sydney", "2026-07-01T00:00:00Z", 10.0),
            ("Pacific/Auckland", "2026-01-05T00:00:00Z", 13.0),
            ("Asia/Kolkata", "2026-01-05T00:00:00Z", 5.5),
            ("Etc/GMT-3", "2026-01-05T00:00:00Z", 3.0),
        ] {
            let found = Zone::named(zone).unwrap().offset(at(moment));
            assert_eq!(found as f64 / 3600.0, hours, "{zone} {moment}");
        }
        assert_eq!(Zone::named("Nowhere/Land"), None);
    }

    #[test]
    fn what_a_clock_shows_is_a_moment() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for (shown, moment) in [
            ("2026-01-05T09:00:00Z", "2026-01-05T08:00:00Z"),
            ("2026-07-05T09:00:00Z", "2026-07-05T07:00:00Z"),
            // There is no half past two that night.
            ("2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(berlin.moment(at(shown)), at(moment), "{shown}");
        }
    }
}
