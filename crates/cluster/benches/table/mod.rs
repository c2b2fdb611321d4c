//! What the benchmarks that write rows of `docs/SPEED.md` share: a stopwatch and the row.

use std::time::{Duration, Instant};

/// How long the thread has had a processor: Linux tells; elsewhere the clock on the wall has to do.
pub struct Stopwatch {
    begun: Instant,
    busy: Option<Duration>,
}

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Stopwatch {
        Stopwatch {
            begun: Instant::now(),
            busy: Stopwatch::busy(),
        }
    }

    fn busy() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let nanos = text.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(nanos))
    }

    /// How long it has been running.
    pub fn seconds(&self) -> f64 {
        let (wall, busy) = (self.begun.elapsed(), self.busy.zip(Stopwatch::busy()));
        // The system counts at its own pace: short times are taken from the wall.
        let long = busy.filter(|_| wall > Duration::from_millis(20));
        long.map_or(wall, |(before, now)| now - before)
            .as_secs_f64()
    }
}

/// Prints a row of the table: what was measured, the time, the time of each, what else there is to say, and what is
/// asked, empty where nothing is.
pub fn row(what: &str, seconds: f64, each: &str, more: &str, asked: &str) {
    println!("| {what} | {} | {each} | {more} | {asked} |", time(seconds));
}

/// A time in the unit that suits it.
pub fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.1} µs", s * 1e6),
    }
}
