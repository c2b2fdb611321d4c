//! Simulated time and chance. Both are handed in: nothing here reads a clock or a random source.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A moment: nanoseconds since the simulation began.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Serialize, Deserialize,
)]
pub struct Time(pub u64);

impl Time {
    /// The beginning.
    pub const ZERO: Time = Time(0);

    /// So many milliseconds after the beginning; as a span it is added with `+`.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Time {
        Time(ms.saturating_mul(1_000_000))
    }

    /// So many seconds after the beginning; as a span it is added with `+`.
    #[must_use]
    pub const fn from_secs(s: u64) -> Time {
        Time(s.saturating_mul(1_000_000_000))
    }

    /// Whole seconds since the beginning.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Whole milliseconds since the beginning.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl Add for Time {
    type Output = Time;
    fn add(self, span: Time) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub for Time {
    type Output = Time;
    fn sub(self, other: Time) -> Time {
        Time(self.0.saturating_sub(other.0))
    }
}

/// Where every random choice of the network comes from.
pub trait Dice {
    /// True with the probability `numerator / 2^31`: how the kernel's `statistic` match draws.
    fn choose(&mut self, numerator: u32) -> bool;
    /// A number in `0..below` (0 when `below` is 0) that decides what becomes of a packet: nftables' `numgen random`.
    fn pick(&mut self, below: u32) -> u32;
    /// A number in `0..below` (0 when `below` is 0) that decides nothing: source ports, sequence numbers.
    fn number(&mut self, below: u32) -> u32;
}

/// Seeded pseudo-random dice (SplitMix64): the same seed gives the same throws everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeededDice(pub u64);

impl SeededDice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Dice for SeededDice {
    fn choose(&mut self, numerator: u32) -> bool {
        ((self.next() >> 33) as u32) < numerator
    }

    fn pick(&mut self, below: u32) -> u32 {
        self.number(below)
    }

    fn number(&mut self, below: u32) -> u32 {
        ((u64::from((self.next() >> 32) as u32) * u64::from(below)) >> 32) as u32
    }
}

/// One random choice that a walk met, for exploring all of them: `taken` of `options`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Choice {
    /// How many ways it can go. Of two, the first has the probability `first / 2^31`; more are equally likely.
    options: u32,
    first: u32,
    taken: u32,
}

const CERTAIN: u32 = 1 << 31;

impl Choice {
    /// The probability of what was taken.
    pub fn probability(&self) -> f64 {
        let first = f64::from(self.first) / f64::from(CERTAIN);
        match (self.options, self.taken) {
            (2, 0) => first,
            (2, _) => 1.0 - first,
            (options, _) => 1.0 / f64::from(options.max(1)),
        }
    }
}

/// Replays a list of choices, then takes the first way at every further one, noting each.
#[derive(Clone, Debug)]
pub(crate) struct ScriptedDice {
    choices: Vec<Choice>,
    at: usize,
    numbers: SeededDice,
}

impl ScriptedDice {
    pub fn new(choices: Vec<Choice>, numbers: SeededDice) -> Self {
        ScriptedDice {
            choices,
            at: 0,
            numbers,
        }
    }

    /// The choices that were met, and the numbers that come next.
    pub fn met(mut self) -> (Vec<Choice>, SeededDice) {
        self.choices.truncate(self.at);
        (self.choices, self.numbers)
    }

    fn take(&mut self, options: u32, first: u32) -> u32 {
        if self.at == self.choices.len() {
            self.choices.push(Choice {
                options,
                first,
                taken: 0,
            });
        }
        self.at += 1;
        self.choices.get(self.at - 1).map_or(0, |c| c.taken)
    }
}

/// The script of the next branch: the last choice that can still go another way goes it. False: all were taken.
pub(crate) fn next_script(script: &mut Vec<Choice>) -> bool {
    while script.last().is_some_and(|c| c.taken + 1 >= c.options) {
        script.pop();
    }
    match script.last_mut() {
        Some(choice) => {
            choice.taken += 1;
            true
        }
        None => false,
    }
}

impl Dice for ScriptedDice {
    fn choose(&mut self, numerator: u32) -> bool {
        if numerator == 0 || numerator >= CERTAIN {
            return numerator != 0;
        }
        self.take(2, numerator) == 0
    }

    fn pick(&mut self, below: u32) -> u32 {
        match below {
            0 | 1 => 0,
            2 => self.take(2, CERTAIN / 2),
            more => self.take(more, 0),
        }
    }

    fn number(&mut self, below: u32) -> u32 {
        self.numbers.number(below)
    }
}
