//! The small extensions: comment, mark, MARK, physdev, nfacct.

use std::fmt::Write;
use std::sync::Arc;

use super::arguments::{Arguments, number, quoted, value_and_mask};
use super::evaluate::Context;
use super::rule::Interface;

/// `-m comment --comment TEXT`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comment {
    /// At most 255 bytes.
    pub text: Arc<str>,
}

impl Default for Comment {
    fn default() -> Self {
        Comment { text: "".into() }
    }
}

impl Comment {
    pub(crate) fn option(&mut self, word: &str, args: &mut Arguments) -> Result<bool, String> {
        if word != "--comment" {
            return Ok(false);
        }
        let text = args.value(word)?;
        if text.len() > 255 {
            return Err("comment: text too long (256 bytes at most)".to_owned());
        }
        self.text = text.into();
        Ok(true)
    }

    pub(crate) fn save(&self, out: &mut String) {
        out.push_str(" -m comment --comment ");
        quoted(out, &self.text);
    }

    pub(crate) fn list(&self, out: &mut String) {
        let _ = write!(out, " /* {} */", self.text);
    }
}

/// `-m mark --mark VALUE[/MASK]`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MarkMatch {
    /// What the masked mark must be.
    pub value: u32,
    /// Which bits count.
    pub mask: u32,
    /// Negated.
    pub invert: bool,
}

impl MarkMatch {
    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        if word != "--mark" {
            return Ok(false);
        }
        let text = args.value(word)?;
        (self.value, self.mask) = value_and_mask(text).ok_or_else(|| {
            format!("mark: bad mark value for option \"--mark\", or out of range: \"{text}\"")
        })?;
        self.invert = invert;
        Ok(true)
    }

    fn value(&self) -> String {
        if self.mask == u32::MAX {
            format!("{:#x}", self.value)
        } else {
            format!("{:#x}/{:#x}", self.value, self.mask)
        }
    }

    pub(crate) fn save(&self, out: &mut String) {
        let _ = write!(
            out,
            " -m mark{} --mark {}",
            if self.invert { " !" } else { "" },
            self.value()
        );
    }

    pub(crate) fn list(&self, out: &mut String) {
        let _ = write!(
            out,
            " mark match {}{}",
            if self.invert { "! " } else { "" },
            self.value()
        );
    }

    pub(crate) fn matches(&self, mark: u32) -> bool {
        (mark & self.mask == self.value) != self.invert
    }
}

/// `-j MARK`: clears the bits of `mask`, then flips those of `value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MarkTarget {
    /// Bits to flip.
    pub value: u32,
    /// Bits to clear first.
    pub mask: u32,
}

impl MarkTarget {
    /// The mark afterwards.
    #[must_use]
    pub fn apply(self, mark: u32) -> u32 {
        (mark & !self.mask) ^ self.value
    }

    pub(crate) fn option(
        &mut self,
        word: &str,
        _invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        let form: fn(u32, u32) -> (u32, u32) = match word {
            "--set-xmark" => |value, mask| (value, mask),
            "--set-mark" => |value, mask| (value, value | mask),
            "--and-mark" => |value, _| (0, !value),
            "--or-mark" => |value, _| (value, value),
            "--xor-mark" => |value, _| (value, 0),
            _ => return Ok(false),
        };
        let text = args.value(word)?;
        let parsed = if word.starts_with("--set") {
            value_and_mask(text)
        } else {
            number(text).map(|v| (v, 0))
        };
        let (value, mask) = parsed.ok_or_else(|| {
            format!("MARK: bad integer value for option \"{word}\", or out of range.\n")
        })?;
        (self.value, self.mask) = form(value, mask);
        Ok(true)
    }

    /// In nft's words.
    pub(crate) fn translated(self) -> String {
        let change = if self.value == 0 {
            format!("mark and {:#x}", !self.mask)
        } else if self.value == self.mask {
            format!("mark or {:#x}", self.value)
        } else if self.mask == 0 {
            format!("mark xor {:#x}", self.value)
        } else if self.mask == u32::MAX {
            format!("{:#x}", self.value)
        } else {
            format!("mark and {:#x} xor {:#x}", !self.mask, self.value)
        };
        format!("meta mark set {change}")
    }

    pub(crate) fn save(&self, out: &mut String) {
        let _ = write!(out, " --set-xmark {:#x}/{:#x}", self.value, self.mask);
    }

    pub(crate) fn list(&self, out: &mut String) {
        let _ = if self.value == 0 {
            write!(out, " MARK and {:#x}", !self.mask)
        } else if self.value == self.mask {
            write!(out, " MARK or {:#x}", self.value)
        } else if self.mask == 0 {
            write!(out, " MARK xor {:#x}", self.value)
        } else if self.mask == u32::MAX {
            write!(out, " MARK set {:#x}", self.value)
        } else {
            write!(out, " MARK xset {:#x}/{:#x}", self.value, self.mask)
        };
    }
}

/// `-m physdev`: the bridge's ports of a packet that passes through a bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Physdev {
    input: Option<Interface>,
    output: Option<Interface>,
    is_in: Option<bool>,
    is_out: Option<bool>,
    is_bridged: Option<bool>,
}

impl Physdev {
    pub(crate) fn option(
        &mut self,
        word: &str,
        invert: bool,
        args: &mut Arguments,
    ) -> Result<bool, String> {
        match word {
            "--physdev-in" => self.input = Some(Interface::parse(args.value(word)?, invert)),
            "--physdev-out" => self.output = Some(Interface::parse(args.value(word)?, invert)),
            "--physdev-is-in" => self.is_in = Some(!invert),
            "--physdev-is-out" => self.is_out = Some(!invert),
            "--physdev-is-bridged" => self.is_bridged = Some(!invert),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn text(&self, dashes: &str, not: &str, out: &mut String) {
        let flag = |out: &mut String, flag: Option<bool>, name: &str| {
            if let Some(yes) = flag {
                let _ = write!(out, "{} {dashes}physdev-{name}", if yes { "" } else { not });
            }
        };
        let device = |out: &mut String, device: &Option<Interface>, name: &str| {
            if let Some(device) = device {
                let _ = write!(
                    out,
                    "{} {dashes}physdev-{name} {}",
                    if device.invert { not } else { "" },
                    device.text()
                );
            }
        };
        flag(out, self.is_in, "is-in");
        device(out, &self.input, "in");
        flag(out, self.is_out, "is-out");
        device(out, &self.output, "out");
        flag(out, self.is_bridged, "is-bridged");
    }

    pub(crate) fn save(&self, out: &mut String) {
        out.push_str(" -m physdev");
        self.text("--", " !", out);
    }

    pub(crate) fn list(&self, out: &mut String) {
        out.push_str(" PHYSDEV match");
        self.text("--", " !", out);
    }

    pub(crate) fn matches(&self, cx: &Context) -> bool {
        let (input, output) = (cx.physical_in, cx.physical_out);
        self.is_in.is_none_or(|yes| input.is_some() == yes)
            && self.is_out.is_none_or(|yes| output.is_some() == yes)
            && self
                .is_bridged
                .is_none_or(|yes| (input.is_some() && output.is_some()) == yes)
            && self.input.as_ref().is_none_or(|m| m.matches(input))
            && self.output.as_ref().is_none_or(|m| m.matches(output))
    }
}

/// `-m nfacct --nfacct-name NAME`: counts and always matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nfacct {
    /// The accounting object's name.
    pub name: Arc<str>,
}

impl Default for Nfacct {
    fn default() -> Self {
        Nfacct { name: "".into() }
    }
}

impl Nfacct {
    pub(crate) fn option(&mut self, word: &str, args: &mut Arguments) -> Result<bool, String> {
        if word != "--nfacct-name" {
            return Ok(false);
        }
        self.name = args.value(word)?.into();
        Ok(true)
    }

    pub(crate) fn save(&self, out: &mut String) {
        // Two blanks: so does libxt_nfacct 1.8.9.
        let _ = write!(out, " -m nfacct --nfacct-name  {}", self.name);
    }

    pub(crate) fn list(&self, out: &mut String) {
        let _ = write!(out, " nfacct-name  {}", self.name);
    }

    pub(crate) fn matches(&self, cx: &mut Context) -> bool {
        let bytes = cx.packet.total_length();
        let accounts = &mut cx.state.get().accounts;
        match accounts.get_mut(&self.name) {
            Some(account) => account.count(bytes),
            None => accounts.entry(self.name.clone()).or_default().count(bytes),
        }
        true
    }
}
