//! `-j REJECT`: refused with an answer.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::arguments::Arguments;

/// What the refused sender is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum RejectWith {
    NetUnreachable,
    HostUnreachable,
    ProtoUnreachable,
    #[default]
    PortUnreachable,
    NetProhibited,
    HostProhibited,
    AdminProhibited,
    TcpReset,
}

const ALL: [(RejectWith, &str, &str, u8); 8] = [
    (
        RejectWith::NetUnreachable,
        "icmp-net-unreachable",
        "net-unreach",
        0,
    ),
    (
        RejectWith::HostUnreachable,
        "icmp-host-unreachable",
        "host-unreach",
        1,
    ),
    (
        RejectWith::ProtoUnreachable,
        "icmp-proto-unreachable",
        "proto-unreach",
        2,
    ),
    (
        RejectWith::PortUnreachable,
        "icmp-port-unreachable",
        "port-unreach",
        3,
    ),
    (
        RejectWith::NetProhibited,
        "icmp-net-prohibited",
        "net-prohib",
        9,
    ),
    (
        RejectWith::HostProhibited,
        "icmp-host-prohibited",
        "host-prohib",
        10,
    ),
    (
        RejectWith::AdminProhibited,
        "icmp-admin-prohibited",
        "admin-prohib",
        13,
    ),
    (RejectWith::TcpReset, "tcp-reset", "tcp-rst", 0),
];

impl RejectWith {
    /// `icmp-port-unreachable` …
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL.iter().find(|r| r.0 == self).map_or("", |r| r.1)
    }

    /// The code of "destination unreachable"; None for a TCP reset.
    #[must_use]
    pub fn icmp_code(self) -> Option<u8> {
        ALL.iter()
            .find(|r| r.0 == self && self != RejectWith::TcpReset)
            .map(|r| r.3)
    }

    pub(crate) fn option(&mut self, word: &str, args: &mut Arguments) -> Result<bool, String> {
        if word != "--reject-with" {
            return Ok(false);
        }
        let text = args.value(word)?;
        *self = ALL
            .iter()
            .find(|r| r.1 == text || r.2 == text)
            .map(|r| r.0)
            .ok_or_else(|| format!("unknown reject type \"{text}\""))?;
        Ok(true)
    }

    pub(crate) fn save(self, out: &mut String) {
        let _ = write!(out, " --reject-with {}", self.name());
    }

    pub(crate) fn list(self, out: &mut String) {
        let _ = write!(out, " reject-with {}", self.name());
    }
}
