//! `-m recent`: lists of addresses seen lately; session affinity is made of it.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::arguments::Arguments;
use super::evaluate::Context;
use crate::time::Time;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Check {
    #[default]
    Set,
    Rcheck,
    Update,
    Remove,
}

/// One look at, or change of, a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recent {
    check: Check,
    seconds: u32,
    hits: u32,
    reap: bool,
    name: Arc<str>,
    mask: Ipv4Addr,
    destination: bool,
    invert: bool,
}

impl Default for Recent {
    fn default() -> Self {
        Recent {
            check: Check::Set,
            seconds: 0,
            hits: 0,
            reap: false,
            name: "DEFAULT".into(),
            mask: Ipv4Addr::BROADCAST,
            destination: false,
            invert: false,
        }
    }
}

impl Recent {
    /// Addresses that a list holds at most (`ip_list_tot`).
    const LIST: usize = 100;
    /// Times kept of each (`ip_pkt_list_tot`).
    const STAMPS: usize = 20;

    /// `--set --name LIST`: notes the packet's source.
    #[must_use]
    pub fn set(list: Arc<str>) -> Recent {
        Recent {
            name: list,
            ..Recent::default()
        }
    }

    /// `--rcheck --seconds N --reap --name LIST`: whether the source was noted within that time.
    #[must_use]
    pub fn seen_within(list: Arc<str>, seconds: u32) -> Recent {
        Recent {
            check: Check::Rcheck,
            seconds,
            reap: true,
            name: list,
            ..Recent::default()
        }
    }

    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        let mut check = |check| {
            self.check = check;
            self.invert = invert;
        };
        match word {
            "--set" => check(Check::Set),
            "--rcheck" => check(Check::Rcheck),
            "--update" => check(Check::Update),
            "--remove" => check(Check::Remove),
            "--seconds" => {
                self.seconds = args
                    .value(word)?
                    .parse()
                    .map_err(|_| "recent: bad value for option \"--seconds\"")?
            }
            "--hitcount" => {
                self.hits = args
                    .value(word)?
                    .parse()
                    .map_err(|_| "recent: bad value for option \"--hitcount\"")?
            }
            "--reap" => self.reap = true,
            "--name" => self.name = args.value(word)?.into(),
            "--mask" => {
                self.mask = args
                    .value(word)?
                    .parse()
                    .map_err(|_| "recent: bad value for option \"--mask\"")?
            }
            "--rsource" => self.destination = false,
            "--rdest" => self.destination = true,
            "--rttl" => return Err("--rttl is not simulated yet".to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn check_name(&self) -> &'static str {
        match self.check {
            Check::Set => "set",
            Check::Rcheck => "rcheck",
            Check::Update => "update",
            Check::Remove => "remove",
        }
    }

    pub(crate) fn save(&self, out: &mut String) {
        let _ = write!(
            out,
            " -m recent{} --{}",
            if self.invert { " !" } else { "" },
            self.check_name()
        );
        if self.seconds != 0 {
            let _ = write!(out, " --seconds {}", self.seconds);
        }
        if self.reap {
            out.push_str(" --reap");
        }
        if self.hits != 0 {
            let _ = write!(out, " --hitcount {}", self.hits);
        }
        let _ = write!(
            out,
            " --name {} --mask {} {}",
            self.name,
            self.mask,
            if self.destination {
                "--rdest"
            } else {
                "--rsource"
            }
        );
    }

    pub(crate) fn list(&self, out: &mut String) {
        let _ = write!(
            out,
            "{} recent: {}",
            if self.invert { " !" } else { "" },
            self.check_name().to_uppercase().replace("RCHECK", "CHECK")
        );
        if self.seconds != 0 {
            let _ = write!(out, " seconds: {}", self.seconds);
        }
        if self.reap {
            out.push_str(" reap");
        }
        if self.hits != 0 {
            let _ = write!(out, " hit_count: {}", self.hits);
        }
        let _ = write!(
            out,
            " name: {} side: {} mask: {}",
            self.name,
            if self.destination { "dest" } else { "source" },
            self.mask
        );
    }

    pub(crate) fn matches(&self, cx: &mut Context) -> bool {
        let address = if self.destination { cx.dst() } else { cx.src() };
        let address = Ipv4Addr::from_bits(address.to_bits() & self.mask.to_bits());
        let now = cx.now;
        let oldest = now - Time::from_secs(u64::from(self.seconds));
        let list = cx.state.read().and_then(|s| s.recent.get(&self.name));
        let known = list.and_then(|list| list.get(&address));
        if known.is_none() && self.check != Check::Set {
            return self.invert;
        }
        let hit = match self.check {
            Check::Set | Check::Remove => true,
            Check::Rcheck | Check::Update => {
                let hits = known
                    .into_iter()
                    .flatten()
                    .filter(|t| self.seconds == 0 || **t >= oldest)
                    .count();
                hits >= (self.hits.max(1) as usize)
            }
        };
        let changes = match self.check {
            Check::Set | Check::Remove => true,
            Check::Update => hit,
            Check::Rcheck => self.reap && known.into_iter().flatten().any(|t| *t < oldest),
        };
        if changes {
            let recent = &mut cx.state.get().recent;
            let list = recent.entry(self.name.clone()).or_default();
            match self.check {
                Check::Remove => {
                    list.remove(&address);
                }
                Check::Rcheck => {
                    list.retain(|_, stamps| stamps.last().is_some_and(|t| *t >= oldest))
                }
                Check::Set | Check::Update => {
                    if list.len() >= Self::LIST
                        && !list.contains_key(&address)
                        && let Some(old) = list
                            .iter()
                            .min_by_key(|(_, stamps)| stamps.last().copied())
                            .map(|(a, _)| *a)
                    {
                        list.remove(&old);
                    }
                    let stamps = list.entry(address).or_default();
                    if stamps.len() >= Self::STAMPS {
                        stamps.remove(0);
                    }
                    stamps.push(now);
                }
            }
        }
        hit != self.invert
    }
}
