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
    /// A number in `0..below` (0 when `below` is 0): source ports, sequence numbers.
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

    fn number(&mut self, below: u32) -> u32 {
        ((u64::from((self.next() >> 32) as u32) * u64::from(below)) >> 32) as u32
    }
}

/// One random choice that a walk met, for exploring all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Choice {
    pub numerator: u32,
    pub taken: bool,
}

/// Replays a list of choices, then takes `true` for every further one, noting each.
#[derive(Clone, Debug)]
pub(crate) struct ScriptedDice {
    pub choices: Vec<Choice>,
    at: usize,
    numbers: SeededDice,
}

impl ScriptedDice {
    pub fn new(choices: Vec<Choice>) -> Self {
        ScriptedDice {
            choices,
            at: 0,
            numbers: SeededDice(1),
        }
    }

    /// How many choices were met so far.
    pub fn met(&self) -> usize {
        self.at
    }
}

impl Dice for ScriptedDice {
    fn choose(&mut self, numerator: u32) -> bool {
        const CERTAIN: u32 = 1 << 31;
        if numerator == 0 || numerator >= CERTAIN {
            return numerator != 0;
        }
        let taken = match self.choices.get(self.at) {
            Some(choice) => choice.taken,
            None => {
                self.choices.push(Choice {
                    numerator,
                    taken: true,
                });
                true
            }
        };
        self.at += 1;
        taken
    }

    fn number(&mut self, below: u32) -> u32 {
        self.numbers.number(below)
    }
}
