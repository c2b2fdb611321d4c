//! `-m limit`: so many packets in a time, from a bucket (`net/netfilter/xt_limit.c`).

use std::fmt::Write;

use super::arguments::Arguments;
use super::evaluate::Context;

/// Units of time in parts of a ten-thousandth of a second, as iptables counts them.
const UNITS: [(&str, u32); 4] = [
    ("day", 864_000_000),
    ("hour", 36_000_000),
    ("min", 600_000),
    ("sec", 10_000),
];
/// Nanoseconds of such a part.
const PART: u64 = 100_000;
/// What is let through at once where nothing is said.
const BURST: u32 = 5;

/// An average and a burst.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Ten-thousandths of a second for each packet.
    period: u32,
    burst: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Limit {
            period: 3 * 36_000_000 / 9,
            burst: BURST,
        }
    }
}

/// What is left in a rule's bucket, in nanoseconds of waiting, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bucket {
    credit: u64,
    since: u64,
}

impl Bucket {
    /// Takes what one packet costs out of what has gathered since the last, at most `most`; false: there is not enough.
    pub fn take(&mut self, cost: u64, most: u64, now: u64) -> bool {
        self.credit = (self.credit + now.saturating_sub(self.since)).min(most);
        self.since = now;
        let enough = self.credit >= cost;
        if enough {
            self.credit -= cost;
        }
        enough
    }

    /// Has it filled up again by now?
    pub fn is_full(&self, most: u64, now: u64) -> bool {
        self.credit + now.saturating_sub(self.since) >= most
    }

    /// A full one.
    pub fn full(most: u64, now: u64) -> Bucket {
        Bucket {
            credit: most,
            since: now,
        }
    }
}

fn rate(text: &str) -> Option<u32> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "second"));
    let long = ["day", "hour", "minute", "second"];
    let at = long.iter().position(|name| {
        !unit.is_empty() && name.starts_with(unit) || unit == "sec" && *name == "second"
    })?;
    let number: u32 = number.parse().ok().filter(|n| *n > 0)?;
    let (_, parts) = *UNITS.get(at)?;
    (parts / number > 0).then_some(parts / number)
}

impl Limit {
    pub(crate) fn option(&mut self, word: &str, args: &mut Arguments) -> Result<bool, String> {
        match word {
            "--limit" => {
                let text = args.value(word)?;
                self.period = rate(text).ok_or_else(|| format!("bad rate \"{text}\"'"))?;
            }
            "--limit-burst" => {
                let text = args.value(word)?;
                self.burst = (text.parse().ok())
                    .filter(|n| (1..=10_000).contains(n))
                    .ok_or_else(|| {
                        format!("limit: bad value for option \"--limit-burst\", or out of range (0-10000): \"{text}\"")
                    })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn rate(&self) -> String {
        let fits = |(_, parts): &&(&str, u32)| {
            self.period <= *parts && parts / self.period >= parts % self.period
        };
        // The largest unit that the ones after it do not have to correct.
        let best = UNITS.iter().take_while(fits).last().unwrap_or(&UNITS[0]);
        format!("{}/{}", best.1 / self.period, best.0)
    }

    /// In nft's words.
    pub(crate) fn translated(&self) -> String {
        let rate = self.rate();
        let rate = rate
            .strip_suffix("/sec")
            .map(|n| format!("{n}/second"))
            .or_else(|| rate.strip_suffix("/min").map(|n| format!("{n}/minute")));
        let mut text = format!("limit rate {}", rate.unwrap_or_else(|| self.rate()));
        if self.burst != BURST {
            let _ = write!(text, " burst {} packets", self.burst);
        }
        text
    }

    pub(crate) fn save(&self, out: &mut String) {
        let _ = write!(out, " -m limit --limit {}", self.rate());
        if self.burst != BURST {
            let _ = write!(out, " --limit-burst {}", self.burst);
        }
    }

    pub(crate) fn list(&self, out: &mut String) {
        let _ = write!(out, " limit: avg {} burst {}", self.rate(), self.burst);
    }

    pub(crate) fn matches(&self, cx: &mut Context) -> bool {
        let cost = u64::from(self.period) * PART;
        let most = cost * u64::from(self.burst);
        let now = cx.now.0;
        let key = (cx.table, cx.chain.clone(), cx.index);
        let buckets = &mut cx.state.get().buckets;
        let full = || Bucket::full(most, now);
        buckets
            .entry(key)
            .or_insert_with(full)
            .take(cost, most, now)
    }
}
