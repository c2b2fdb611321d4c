//! DNAT, SNAT, MASQUERADE and REDIRECT: what they are told to do. The doing is connection tracking's.

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::arguments::Arguments;

/// `--to-destination` or `--to-source`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NatTarget {
    /// First and last address, if addresses are given.
    pub addresses: Option<(Ipv4Addr, Ipv4Addr)>,
    /// First and last port, if ports are given.
    pub ports: Option<(u16, u16)>,
    random: bool,
    random_fully: bool,
    persistent: bool,
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let bad = || format!("Port range \"{text}\" is invalid");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = (
        first.parse().map_err(|_| bad())?,
        last.parse().map_err(|_| bad())?,
    );
    if range.0 == 0 || range.0 > range.1 {
        Err(bad())
    } else {
        Ok(range)
    }
}

fn ports_text(out: &mut String, (first, last): (u16, u16)) {
    let _ = write!(out, "{first}");
    if first != last {
        let _ = write!(out, "-{last}");
    }
}

impl NatTarget {
    /// To this address and port.
    #[must_use]
    pub fn to(address: Ipv4Addr, port: Option<u16>) -> NatTarget {
        NatTarget {
            addresses: Some((address, address)),
            ports: port.map(|p| (p, p)),
            ..NatTarget::default()
        }
    }

    pub(crate) fn fully_random(&self) -> bool {
        self.random || self.random_fully
    }

    pub(crate) fn option(
        &mut self,
        own: &str,
        word: &str,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        match word {
            "--random" => self.random = true,
            "--random-fully" => self.random_fully = true,
            "--persistent" => self.persistent = true,
            _ if word == own => {
                let text = args.value(word)?;
                let (addresses, range) = text
                    .split_once(':')
                    .map_or((text, None), |(a, p)| (a, Some(p)));
                if !addresses.is_empty() {
                    let (first, last) = addresses.split_once('-').unwrap_or((addresses, addresses));
                    let bad = |text: &str| format!("Bad IP address \"{text}\"");
                    self.addresses = Some((
                        first.parse().map_err(|_| bad(first))?,
                        last.parse().map_err(|_| bad(last))?,
                    ));
                }
                self.ports = range.map(ports).transpose()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn destination(&self, out: &mut String) {
        if let Some((first, last)) = self.addresses {
            let _ = write!(out, "{first}");
            if first != last {
                let _ = write!(out, "-{last}");
            }
        }
        if let Some(range) = self.ports {
            out.push(':');
            ports_text(out, range);
        }
    }

    /// `ADDRESS:PORT`
    /// In nft's words.
    pub(crate) fn translated(&self, word: &str) -> String {
        let mut text = format!("{word} to ");
        self.destination(&mut text);
        let fully = |flag: &str| flag.replace("random-fully", "fully-random");
        let mut flags = String::new();
        self.flags("", &mut flags);
        text + &fully(&flags)
    }

    fn flags(&self, dashes: &str, out: &mut String) {
        for (set, name) in [
            (self.random, "random"),
            (self.random_fully, "random-fully"),
            (self.persistent, "persistent"),
        ] {
            if set {
                let _ = write!(out, " {dashes}{name}");
            }
        }
    }

    pub(crate) fn save(&self, option: &str, out: &mut String) {
        if self.addresses.is_some() || self.ports.is_some() {
            let _ = write!(out, " {option} ");
            self.destination(out);
        }
        self.flags("--", out);
    }

    pub(crate) fn list(&self, out: &mut String) {
        out.push_str(" to:");
        self.destination(out);
        self.flags("", out);
    }
}

/// `--to-ports`, `--random`, `--random-fully`: of MASQUERADE and REDIRECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Masquerade {
    /// First and last port, if given.
    pub ports: Option<(u16, u16)>,
    random: bool,
    /// Every port of the range is as likely.
    pub random_fully: bool,
}

impl Masquerade {
    pub(crate) fn fully_random(&self) -> bool {
        self.random || self.random_fully
    }

    /// In nft's words.
    pub(crate) fn translated(&self, word: &str) -> String {
        let mut text = word.to_owned();
        if let Some(range) = self.ports {
            text.push_str(" to :");
            ports_text(&mut text, range);
        }
        if self.random_fully {
            text.push_str(" fully-random");
        } else if self.random {
            text.push_str(" random");
        }
        text
    }

    pub(crate) fn option(&mut self, word: &str, args: &mut Arguments) -> Result<bool, String> {
        match word {
            "--to-ports" => self.ports = Some(ports(args.value(word)?)?),
            "--random" => self.random = true,
            "--random-fully" => self.random_fully = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn save(&self, out: &mut String) {
        if let Some(range) = self.ports {
            out.push_str(" --to-ports ");
            ports_text(out, range);
        }
        for (set, name) in [(self.random, "random"), (self.random_fully, "random-fully")] {
            if set {
                let _ = write!(out, " --{name}");
            }
        }
    }

    pub(crate) fn list(&self, redirect: bool, out: &mut String) {
        if let Some(range) = self.ports {
            out.push_str(if redirect {
                " redir ports "
            } else {
                " masq ports: "
            });
            ports_text(out, range);
        }
        for (set, name) in [(self.random, "random"), (self.random_fully, "random-fully")] {
            if set {
                let _ = write!(out, " {name}");
            }
        }
    }
}
