//! `-m conntrack --ctstate …` and `-m state --state …`.

use std::fmt::Write;

use super::arguments::Arguments;
use super::evaluate::{Context, CtState};

const STATES: [(u8, &str); 7] = [
    (1, "INVALID"),
    (2, "NEW"),
    (4, "RELATED"),
    (8, "ESTABLISHED"),
    (16, "UNTRACKED"),
    (32, "SNAT"),
    (64, "DNAT"),
];

/// A set of connection states.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CtMatch {
    states: u8,
    invert: bool,
    old: bool,
}

impl CtMatch {
    /// The bit of `INVALID`.
    pub const INVALID: u8 = 1;
    /// The bit of `NEW`.
    pub const NEW: u8 = 2;
    /// The bit of `RELATED`.
    pub const RELATED: u8 = 4;
    /// The bit of `ESTABLISHED`.
    pub const ESTABLISHED: u8 = 8;
    /// The bit of `DNAT`.
    pub const DNAT: u8 = 64;

    /// `--ctstate` with these bits; negated with `invert`.
    #[must_use]
    pub fn new(states: u8, invert: bool) -> CtMatch {
        CtMatch {
            states,
            invert,
            old: false,
        }
    }

    /// The older `-m state`.
    pub(crate) fn state() -> CtMatch {
        CtMatch {
            old: true,
            ..CtMatch::default()
        }
    }

    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        match (word, self.old) {
            ("--ctstate", false) | ("--state", true) => {
                let text = args.value(word)?;
                let bit = |name: &str| {
                    STATES
                        .iter()
                        .find(|s| s.1.eq_ignore_ascii_case(name))
                        .map(|s| s.0)
                        .ok_or_else(|| format!("Bad ctstate \"{name}\""))
                };
                self.states = text
                    .split(',')
                    .map(bit)
                    .try_fold(0, |bits, bit| bit.map(|bit| bits | bit))?;
                self.invert = invert;
                Ok(true)
            }
            (other, false) if other.starts_with("--ct") => {
                Err(format!("option \"{other}\" is not simulated yet"))
            }
            _ => Ok(false),
        }
    }

    fn names(&self) -> String {
        STATES
            .iter()
            .filter(|s| self.states & s.0 != 0)
            .map(|s| s.1)
            .collect::<Vec<_>>()
            .join(",")
    }

    pub(crate) fn save(&self, out: &mut String) {
        let (name, option) = if self.old {
            ("state", "--state")
        } else {
            ("conntrack", "--ctstate")
        };
        let _ = write!(
            out,
            " -m {name}{} {option} {}",
            if self.invert { " !" } else { "" },
            self.names()
        );
    }

    pub(crate) fn list(&self, out: &mut String) {
        let option = if self.old { "state" } else { "ctstate" };
        let _ = write!(
            out,
            "{} {option} {}",
            if self.invert { " !" } else { "" },
            self.names()
        );
    }

    /// In nft's words.
    pub(crate) fn translated(&self) -> String {
        // What was translated is asked for alone, whatever else there is (`_conntrack3_mt_xlate` of iptables 1.8.9).
        let names = self.names().to_ascii_lowercase();
        for status in ["snat", "dnat"] {
            if names.split(',').any(|name| name == status) {
                return format!("ct status {status}");
            }
        }
        format!("ct state {}{names}", if self.invert { "! " } else { "" })
    }

    pub(crate) fn matches(&self, cx: &Context) -> bool {
        let mut bits = match cx.ct_state {
            CtState::Invalid => 1,
            CtState::New => 2,
            CtState::Related => 4,
            CtState::Established => 8,
            CtState::Untracked => 16,
        };
        if cx.snat {
            bits |= 32;
        }
        if cx.dnat {
            bits |= 64;
        }
        (self.states & bits != 0) != self.invert
    }
}
