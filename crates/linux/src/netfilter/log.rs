//! `-j LOG`, which writes to the kernel's log, and `-j NFLOG`, which hands packets to whoever listens on a group
//! (`net/netfilter/nf_log_syslog.c`).

use std::fmt::Write;
use std::sync::Arc;

use super::arguments::{Arguments, quoted};
use crate::packet::{Packet, TcpFlags, Transport};

/// Lines of the log that are kept.
pub(crate) const LINES_MAX: usize = 1000;

/// What is written, and where to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogTarget {
    /// What each line begins with.
    pub prefix: Arc<str>,
    /// The level of syslog; 4 is `warning`.
    pub level: u8,
    /// NFLOG's group; None for LOG.
    pub group: Option<u16>,
}

impl LogTarget {
    pub(crate) fn new(group: Option<u16>) -> LogTarget {
        LogTarget {
            prefix: "".into(),
            level: 4,
            group,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        if self.group.is_some() { "NFLOG" } else { "LOG" }
    }

    pub(crate) fn option(&mut self, word: &str, args: &mut Arguments) -> Result<bool, String> {
        let name = self.name();
        let bad = |text: &str| {
            format!("{name}: bad value for option \"{word}\", or out of range: \"{text}\"")
        };
        match (word, &mut self.group) {
            ("--log-prefix", None) | ("--nflog-prefix", Some(_)) => {
                let text = args.value(word)?;
                let most = if self.group.is_some() { 63 } else { 29 };
                if text.len() > most {
                    return Err(format!("{name}: Maximum prefix length {most} for {word}"));
                }
                self.prefix = text.into();
            }
            ("--log-level", None) => {
                let text = args.value(word)?;
                let names = [
                    "emerg", "alert", "crit", "error", "warning", "notice", "info", "debug",
                ];
                let named = names.iter().position(|n| *n == text).map(|n| n as u8);
                self.level = named
                    .or_else(|| text.parse().ok().filter(|n| *n < 8))
                    .ok_or_else(|| bad(text))?;
            }
            ("--nflog-group", Some(group)) => {
                let text = args.value(word)?;
                *group = text.parse().map_err(|_| bad(text))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// In nft's words.
    pub(crate) fn translated(&self) -> String {
        const LEVELS: [&str; 8] = [
            "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
        ];
        let mut text = "log".to_owned();
        if !self.prefix.is_empty() {
            let _ = write!(text, " prefix \"{}\"", self.prefix);
        }
        match (self.group, LEVELS.get(usize::from(self.level))) {
            (Some(group), _) => {
                let _ = write!(text, " group {group}");
            }
            (None, Some(level)) if self.level != 4 => {
                let _ = write!(text, " level {level}");
            }
            (None, _) => {}
        }
        text
    }

    pub(crate) fn save(&self, out: &mut String) {
        let prefix = |out: &mut String, option: &str| {
            if !self.prefix.is_empty() {
                let _ = write!(out, " --{option} ");
                quoted(out, &self.prefix);
            }
        };
        match self.group {
            Some(group) => {
                prefix(out, "nflog-prefix");
                if group != 0 {
                    let _ = write!(out, " --nflog-group {group}");
                }
            }
            None => {
                prefix(out, "log-prefix");
                if self.level != 4 {
                    let _ = write!(out, " --log-level {}", self.level);
                }
            }
        }
    }

    pub(crate) fn list(&self, out: &mut String) {
        let _ = match self.group {
            Some(group) => {
                if !self.prefix.is_empty() {
                    let _ = write!(out, " nflog-prefix {}", self.prefix);
                }
                write!(out, " nflog-group {group}")
            }
            None => {
                let _ = write!(out, " LOG flags 0 level {}", self.level);
                if self.prefix.is_empty() {
                    Ok(())
                } else {
                    write!(out, " prefix \"{}\"", self.prefix)
                }
            }
        };
    }

    /// The line about a packet.
    pub(crate) fn line(
        &self,
        packet: &Packet,
        mark: u32,
        devices: (Option<&str>, Option<&str>),
        physical: (Option<&str>, Option<&str>),
    ) -> String {
        let headers = &packet.headers;
        let (input, output) = devices;
        let mut out = format!(
            "{}IN={} OUT={} ",
            self.prefix,
            input.unwrap_or(""),
            output.unwrap_or("")
        );
        for (name, device) in [("PHYSIN", physical.0), ("PHYSOUT", physical.1)] {
            if let Some(device) = device {
                let _ = write!(out, "{name}={device} ");
            }
        }
        if input.is_some() {
            let _ = write!(out, "MAC={}:{}:08:00 ", headers.eth.dst, headers.eth.src);
        }
        let ip = &headers.ip;
        let _ = write!(
            out,
            "SRC={} DST={} LEN={} TOS=0x00 PREC=0x00 TTL={} ID={} ",
            ip.src,
            ip.dst,
            packet.total_length(),
            ip.ttl,
            ip.id
        );
        if ip.df {
            out += "DF ";
        }
        let _ = match headers.l4 {
            Transport::Tcp {
                sport,
                dport,
                flags,
                ..
            } => {
                // The window that a Linux host begins with, and its scaled one.
                let window = if flags.has(TcpFlags::SYN) {
                    64_240
                } else {
                    502
                };
                let _ = write!(
                    out,
                    "PROTO=TCP SPT={sport} DPT={dport} WINDOW={window} RES=0x00 "
                );
                for (flag, name) in [
                    (TcpFlags::URG, "URG "),
                    (TcpFlags::ACK, "ACK "),
                    (TcpFlags::PSH, "PSH "),
                    (TcpFlags::RST, "RST "),
                    (TcpFlags::SYN, "SYN "),
                    (TcpFlags::FIN, "FIN "),
                ] {
                    if flags.has(flag) {
                        out += name;
                    }
                }
                write!(out, "URGP=0 ")
            }
            Transport::Udp { sport, dport } => write!(
                out,
                "PROTO=UDP SPT={sport} DPT={dport} LEN={} ",
                packet.length + 8
            ),
            Transport::Icmp {
                kind,
                code,
                id,
                seq,
            } => match kind {
                0 | 8 => write!(out, "PROTO=ICMP TYPE={kind} CODE={code} ID={id} SEQ={seq} "),
                _ => write!(out, "PROTO=ICMP TYPE={kind} CODE={code} "),
            },
            _ => write!(out, "PROTO={} ", ip.protocol.0),
        };
        if mark != 0 {
            let _ = write!(out, "MARK={mark:#x} ");
        }
        out
    }
}
