//! `-m statistic --mode random|nth`: how kube-proxy draws an endpoint.

use std::fmt::Write;

use super::arguments::Arguments;
use super::evaluate::Context;

/// Every so many, or with some probability.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistic {
    mode: Mode,
    invert: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Mode {
    #[default]
    Unset,
    /// Numerator of a probability over 2^31.
    Random(u32),
    Nth {
        every: u32,
        packet: u32,
    },
}

const ONE: f64 = 2_147_483_648.0;

impl Statistic {
    /// With this probability, in 2^31 parts.
    #[must_use]
    pub fn random(numerator: u32) -> Statistic {
        Statistic {
            mode: Mode::Random(numerator),
            invert: false,
        }
    }

    /// The probability in 2^31 parts, if it draws.
    #[must_use]
    pub fn numerator(&self) -> Option<u32> {
        match self.mode {
            Mode::Random(numerator) => Some(numerator),
            _ => None,
        }
    }

    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        match word {
            "--mode" => {
                self.mode = match args.value(word)? {
                    "random" => Mode::Random(0),
                    "nth" => Mode::Nth {
                        every: 1,
                        packet: 0,
                    },
                    other => return Err(format!("Bad mode \"{other}\"")),
                }
            }
            "--probability" => {
                let text = args.value(word)?;
                let p = text
                    .parse::<f64>()
                    .ok()
                    .filter(|p| (0.0..=1.0).contains(p))
                    .ok_or("statistic: bad value for option \"--probability\", or out of range (0-1).\n")?;
                self.mode = Mode::Random((p * ONE).round() as u32);
                self.invert = invert;
            }
            "--every" => {
                let text = args.value(word)?;
                let every = text
                    .parse()
                    .ok()
                    .filter(|n| *n > 0)
                    .ok_or_else(|| format!("bad value \"{text}\""))?;
                let packet = if let Mode::Nth { packet, .. } = self.mode {
                    packet
                } else {
                    0
                };
                self.mode = Mode::Nth { every, packet };
                self.invert = invert;
            }
            "--packet" => {
                let text = args.value(word)?;
                let packet = text.parse().map_err(|_| format!("bad value \"{text}\""))?;
                let every = if let Mode::Nth { every, .. } = self.mode {
                    every
                } else {
                    1
                };
                self.mode = Mode::Nth { every, packet };
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn text(&self, dashes: &str, out: &mut String) {
        let not = if self.invert { " !" } else { "" };
        let _ = match self.mode {
            Mode::Unset => Ok(()),
            Mode::Random(numerator) => write!(
                out,
                " {dashes}mode random{not} {dashes}probability {:.11}",
                f64::from(numerator) / ONE
            ),
            Mode::Nth { every, packet } => {
                let _ = write!(out, " {dashes}mode nth{not} {dashes}every {every}");
                if packet != 0 || !dashes.is_empty() {
                    write!(out, " {dashes}packet {packet}")
                } else {
                    Ok(())
                }
            }
        };
    }

    /// In nft's words.
    pub(crate) fn translated(&self) -> String {
        match self.mode {
            Mode::Unset => String::new(),
            Mode::Random(numerator) => {
                let comparison = if self.invert { ">=" } else { "<" };
                format!("meta random & 2147483647 {comparison} {numerator}")
            }
            Mode::Nth { every, packet } => {
                let not = if self.invert { "!= " } else { "" };
                format!("numgen inc mod {every} {not}{packet}")
            }
        }
    }

    pub(crate) fn save(&self, out: &mut String) {
        out.push_str(" -m statistic");
        self.text("--", out);
    }

    pub(crate) fn list(&self, out: &mut String) {
        out.push_str(" statistic");
        self.text("", out);
    }

    pub(crate) fn matches(&self, cx: &mut Context) -> bool {
        let hit = match self.mode {
            Mode::Unset => false,
            Mode::Random(numerator) => cx.dice.choose(numerator),
            Mode::Nth { every, packet } => {
                let key = (cx.table, cx.chain.clone(), cx.index);
                // The kernel counts from `every - 1 - packet` and matches when it comes round.
                let start = (every - 1).saturating_sub(packet);
                let count = cx.state.get().nth.entry(key).or_insert(start);
                *count += 1;
                let hit = *count >= every;
                if hit {
                    *count = 0;
                }
                hit
            }
        };
        hit != self.invert
    }
}
