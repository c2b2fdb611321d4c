//! A packet as tcpdump 4.99 prints it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;

use super::dns;
use crate::wire::checksum;

/// How to print.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    /// `-n`: ports as numbers.
    pub numeric: bool,
    /// `-e`: the link layer's header.
    pub link: bool,
    pub verbose: u8,
    pub quiet: bool,
    /// `-S`: sequence numbers as they are.
    pub absolute: bool,
    /// `-x`, `-X`; twice: with the link layer's header.
    pub hex: u8,
    pub text_too: bool,
    /// `-A`
    pub ascii: bool,
}

/// Ports that have names (/etc/services).
pub(super) const SERVICES: &[(u16, &str)] = &[
    (22, "ssh"),
    (25, "smtp"),
    (53, "domain"),
    (67, "bootps"),
    (68, "bootpc"),
    (80, "http"),
    (123, "ntp"),
    (179, "bgp"),
    (443, "https"),
    (2049, "nfs"),
    (3306, "mysql"),
    (5432, "postgresql"),
    (6379, "redis"),
    (8080, "http-alt"),
];

/// The first sequence numbers of conversations, by which later ones are shown.
pub(super) type Sequences = BTreeMap<(Ipv4Addr, Ipv4Addr, u16, u16), (u32, u32)>;

/// Bytes read from the front of a packet; what is not there reads as zero.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    pub fn u16(self, at: usize) -> u16 {
        u16::from_be_bytes([self.u8(at), self.u8(at + 1)])
    }

    pub fn u32(self, at: usize) -> u32 {
        u32::from(self.u16(at)) << 16 | u32::from(self.u16(at + 2))
    }

    pub fn address(self, at: usize) -> Ipv4Addr {
        Ipv4Addr::from(self.u32(at))
    }

    pub fn mac(self, at: usize) -> String {
        let bytes: [u8; 6] = std::array::from_fn(|n| self.u8(at + n));
        crate::packet::Mac(bytes).to_string()
    }

    pub fn from(self, at: usize) -> Bytes<'a> {
        Bytes(self.0.get(at..).unwrap_or_default())
    }

    pub fn len(self) -> usize {
        self.0.len()
    }
}

/// Prints packets, one after another.
#[derive(Clone, Debug, Default)]
pub(super) struct Printer {
    pub style: Style,
    pub sequences: Sequences,
}

impl Printer {
    /// A frame, without the time before it and the line's end. `device`: its name and direction, on `-i any`.
    pub fn frame(&mut self, frame: &[u8], device: Option<&str>, ifindex: u32) -> String {
        let mut out = String::new();
        let bytes = Bytes(frame);
        let kind = bytes.u16(12);
        if let Some(device) = device {
            let _ = write!(out, "{device} ");
            if self.style.link {
                let _ = write!(
                    out,
                    "ifindex {ifindex} {} ethertype {} (0x{kind:04x}), length {}: ",
                    bytes.mac(6),
                    self.ether_type(kind),
                    frame.len() + 6
                );
            } else {
                self.protocol(&mut out, kind);
            }
            self.network(&mut out, kind, bytes.from(14));
        } else {
            self.ethernet(&mut out, frame);
        }
        self.dump(&mut out, frame);
        out
    }

    fn ether_type(&self, kind: u16) -> &'static str {
        match kind {
            0x0800 => "IPv4",
            0x0806 => "ARP",
            _ => "Unknown",
        }
    }

    fn protocol(&self, out: &mut String, kind: u16) {
        *out += match kind {
            0x0800 => "IP ",
            0x0806 => "ARP, ",
            _ => "",
        };
    }

    fn ethernet(&mut self, out: &mut String, frame: &[u8]) {
        let bytes = Bytes(frame);
        let kind = bytes.u16(12);
        if self.style.link {
            let name = |at: usize| {
                let mac = bytes.mac(at);
                match (self.style.numeric, mac.as_str()) {
                    (true, _) => mac,
                    (false, "ff:ff:ff:ff:ff:ff") => "Broadcast".to_owned(),
                    (false, _) => format!("{mac} (oui Unknown)"),
                }
            };
            let _ = write!(
                out,
                "{} > {}, ethertype {} (0x{kind:04x}), length {}: ",
                name(6),
                name(0),
                self.ether_type(kind),
                frame.len()
            );
        } else {
            self.protocol(out, kind);
        }
        self.network(out, kind, bytes.from(14));
    }

    fn network(&mut self, out: &mut String, kind: u16, bytes: Bytes<'_>) {
        match kind {
            0x0800 => self.ip(out, bytes),
            0x0806 => self.arp(out, bytes),
            _ => {}
        }
    }

    fn arp(&self, out: &mut String, bytes: Bytes<'_>) {
        if self.style.verbose > 0 {
            *out += "Ethernet (len 6), IPv4 (len 4), ";
        }
        let length = bytes.len();
        let _ = match bytes.u16(6) {
            1 => {
                let known = bytes.mac(18);
                let to = if known == "00:00:00:00:00:00" {
                    String::new()
                } else {
                    format!(" ({known})")
                };
                write!(
                    out,
                    "Request who-has {}{to} tell {}, length {length}",
                    bytes.address(24),
                    bytes.address(14)
                )
            }
            _ => {
                let mac = bytes.mac(8);
                let oui = if self.style.numeric {
                    ""
                } else {
                    " (oui Unknown)"
                };
                write!(
                    out,
                    "Reply {} is-at {mac}{oui}, length {length}",
                    bytes.address(14)
                )
            }
        };
    }

    fn ip(&mut self, out: &mut String, bytes: Bytes<'_>) {
        let header = usize::from(bytes.u8(0) & 0xf) * 4;
        let total = usize::from(bytes.u16(2)).min(bytes.len());
        let protocol = bytes.u8(9);
        if self.style.verbose > 0 {
            self.ip_fields(out, bytes, protocol);
        }
        let body = Bytes(bytes.0.get(header..total).unwrap_or_default());
        let (src, dst) = (bytes.address(12), bytes.address(16));
        match protocol {
            6 => self.tcp(out, src, dst, body),
            17 => self.udp(out, src, dst, body),
            1 => {
                let _ = write!(out, "{src} > {dst}: ");
                self.icmp(out, body);
            }
            132 => {
                let _ = write!(
                    out,
                    "{} > {}: sctp",
                    self.end(src, body.u16(0)),
                    self.end(dst, body.u16(2))
                );
            }
            4 => {
                let _ = write!(out, "{src} > {dst}: ");
                *out += "IP ";
                self.ip(out, body);
            }
            other => {
                let _ = write!(out, "{src} > {dst}: ip-proto-{other} {}", body.len());
            }
        }
    }

    fn ip_fields(&self, out: &mut String, bytes: Bytes<'_>, protocol: u8) {
        let flags = if bytes.u8(6) & 0x40 == 0 {
            "none"
        } else {
            "DF"
        };
        let name = match protocol {
            1 => "ICMP",
            4 => "IPIP",
            6 => "TCP",
            17 => "UDP",
            132 => "SCTP",
            _ => "unknown",
        };
        let _ = write!(
            out,
            "(tos 0x{:x}, ttl {}, id {}, offset {}, flags [{flags}], proto {name} ({protocol}), length {})\n    ",
            bytes.u8(1),
            bytes.u8(8),
            bytes.u16(4),
            (bytes.u16(6) & 0x1fff) * 8,
            bytes.u16(2)
        );
    }

    fn end(&self, address: Ipv4Addr, port: u16) -> String {
        let name = SERVICES.iter().find(|(p, _)| *p == port);
        match name.filter(|_| !self.style.numeric) {
            Some((_, name)) => format!("{address}.{name}"),
            None => format!("{address}.{port}"),
        }
    }

    /// What checksum it has, and whether that is right.
    fn sum(&self, src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, bytes: Bytes<'_>) -> Option<u16> {
        let mut pseudo = Vec::new();
        pseudo.extend(src.octets());
        pseudo.extend(dst.octets());
        pseudo.extend([0, protocol]);
        pseudo.extend((bytes.len() as u16).to_be_bytes());
        pseudo.extend_from_slice(bytes.0);
        let left = checksum(0, &pseudo);
        (left != 0).then_some(left)
    }

    fn tcp(&mut self, out: &mut String, src: Ipv4Addr, dst: Ipv4Addr, bytes: Bytes<'_>) {
        let (sport, dport) = (bytes.u16(0), bytes.u16(2));
        let _ = write!(out, "{} > {}: ", self.end(src, sport), self.end(dst, dport));
        let header = usize::from(bytes.u8(12) >> 4) * 4;
        let payload = bytes.from(header);
        if self.style.quiet {
            let _ = write!(out, "tcp {}", payload.len());
            return;
        }
        let flags = bytes.u8(13);
        let (mut seq, mut ack) = (bytes.u32(4), bytes.u32(8));
        if !self.style.absolute && flags & 0x10 != 0 {
            let reverse =
                (sport, src) > (dport, dst) && (sport > dport || sport == dport && src > dst);
            let key = if reverse {
                (dst, src, dport, sport)
            } else {
                (src, dst, sport, dport)
            };
            match self.sequences.get(&key).filter(|_| flags & 2 == 0) {
                Some(&(first, other)) => {
                    let (own, peer) = if reverse {
                        (other, first)
                    } else {
                        (first, other)
                    };
                    seq = seq.wrapping_sub(own);
                    ack = ack.wrapping_sub(peer);
                }
                None => {
                    let known = if reverse {
                        (ack.wrapping_sub(1), seq)
                    } else {
                        (seq, ack.wrapping_sub(1))
                    };
                    self.sequences.insert(key, known);
                }
            }
        }
        let letters: String = [(1, 'F'), (2, 'S'), (4, 'R'), (8, 'P')]
            .iter()
            .filter(|(bit, _)| flags & bit != 0)
            .map(|(_, letter)| *letter)
            .collect();
        let dot = if flags & 0x10 != 0 { "." } else { "" };
        let shown = if letters.is_empty() && dot.is_empty() {
            "none"
        } else {
            ""
        };
        let _ = write!(out, "Flags [{letters}{dot}{shown}]");
        if self.style.verbose > 0 {
            let own = bytes.u16(16);
            let _ = match self.sum(src, dst, 6, bytes) {
                None => write!(out, ", cksum 0x{own:04x} (correct)"),
                Some(_) => write!(out, ", cksum 0x{own:04x} (incorrect)"),
            };
        }
        let length = payload.len() as u32;
        if length > 0 || flags & 7 != 0 || self.style.verbose > 1 {
            let _ = write!(out, ", seq {seq}");
            if length > 0 {
                let _ = write!(out, ":{}", seq.wrapping_add(length));
            }
        }
        if flags & 0x10 != 0 {
            let _ = write!(out, ", ack {ack}");
        }
        let _ = write!(out, ", win {}", bytes.u16(14));
        if flags & 0x20 != 0 {
            let _ = write!(out, ", urg {}", bytes.u16(18));
        }
        let options = tcp_options(Bytes(bytes.0.get(20..header).unwrap_or_default()));
        if !options.is_empty() {
            let _ = write!(out, ", options [{options}]");
        }
        let _ = write!(out, ", length {length}");
        if length == 0 || flags & 4 != 0 {
            return;
        }
        let on = |port: u16| sport == port || dport == port;
        if on(53) {
            *out += " ";
            dns::print(
                out,
                payload.from(2),
                usize::from(payload.u16(0)),
                self.style.verbose,
            );
        } else if on(80) || on(8080) {
            self.http(out, payload);
        }
    }

    /// The first line of a message of HTTP; with `-v` its head whole.
    fn http(&self, out: &mut String, payload: Bytes<'_>) {
        let text = payload.0;
        let begins = |word: &str| text.starts_with(word.as_bytes());
        let message = [
            "HTTP/", "GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "PATCH ", "OPTIONS ",
        ];
        if !message.iter().any(|word| begins(word)) {
            *out += ": HTTP";
            return;
        }
        if self.style.verbose == 0 {
            let line = text
                .split(|b| *b == b'\r' || *b == b'\n')
                .next()
                .unwrap_or_default();
            let _ = write!(out, ": HTTP: {}", String::from_utf8_lossy(line));
            return;
        }
        let _ = write!(out, ": HTTP, length: {}", text.len());
        let all = String::from_utf8_lossy(text);
        for line in all.trim_end_matches('\n').split('\n') {
            let _ = write!(out, "\n\t{}", line.trim_end_matches('\r'));
        }
        if !text.ends_with(b"\n") {
            *out += " [|http]";
        }
    }

    fn udp(&mut self, out: &mut String, src: Ipv4Addr, dst: Ipv4Addr, bytes: Bytes<'_>) {
        let (sport, dport) = (bytes.u16(0), bytes.u16(2));
        let _ = write!(out, "{} > {}: ", self.end(src, sport), self.end(dst, dport));
        let payload = bytes.from(8);
        let length = usize::from(bytes.u16(4)).saturating_sub(8);
        if self.style.quiet {
            let _ = write!(out, "UDP, length {length}");
            return;
        }
        if self.style.verbose > 1 && bytes.u16(6) != 0 {
            let _ = match self.sum(src, dst, 17, bytes) {
                None => write!(out, "[udp sum ok] "),
                Some(_) => write!(out, "[bad udp cksum 0x{:04x}!] ", bytes.u16(6)),
            };
        }
        let on = |port: u16| sport == port || dport == port;
        let vni = payload.u32(4) >> 8;
        if on(53) {
            dns::print(out, payload, length, self.style.verbose);
        } else if on(8472) {
            let _ = writeln!(
                out,
                "OTV, flags [I] (0x{:02x}), overlay {}, instance {vni}",
                payload.u8(0),
                payload.u32(0) & 0xff_ffff
            );
            self.ethernet(out, payload.from(8).0);
        } else if on(4789) {
            let _ = writeln!(out, "VXLAN, flags [I] (0x{:02x}), vni {vni}", payload.u8(0));
            self.ethernet(out, payload.from(8).0);
        } else {
            let _ = write!(out, "UDP, length {length}");
        }
    }

    fn icmp(&mut self, out: &mut String, bytes: Bytes<'_>) {
        let (kind, code, length) = (bytes.u8(0), bytes.u8(1), bytes.len());
        let quoted = bytes.from(8);
        let to = quoted.address(16);
        let what = match (kind, code) {
            (0 | 8, _) => {
                let word = if kind == 8 { "request" } else { "reply" };
                format!("echo {word}, id {}, seq {}", bytes.u16(4), bytes.u16(6))
            }
            (3, 0) => format!("net {to} unreachable"),
            (3, 1) => format!("host {to} unreachable"),
            (3, 2) => format!("{to} protocol {} unreachable", quoted.u8(9)),
            (3, 3) => {
                let header = usize::from(quoted.u8(0) & 0xf) * 4;
                let port = quoted.u16(header + 2);
                let name = SERVICES.iter().find(|(p, _)| *p == port);
                let port = match name.filter(|_| !self.style.numeric) {
                    Some((_, name)) => (*name).to_owned(),
                    None => port.to_string(),
                };
                match quoted.u8(9) {
                    6 => format!("{to} tcp port {port} unreachable"),
                    17 => format!("{to} udp port {port} unreachable"),
                    other => format!("{to} protocol {other} port {port} unreachable"),
                }
            }
            (3, 4) => match bytes.u16(6) {
                0 => format!("{to} unreachable - need to frag"),
                mtu => format!("{to} unreachable - need to frag (mtu {mtu})"),
            },
            (3, 9) => format!("net {to} unreachable - admin prohibited"),
            (3, 10) => format!("host {to} unreachable - admin prohibited"),
            (3, 13) => format!("host {to} unreachable - admin prohibited filter"),
            (3, other) => format!("{to} unreachable - #{other}"),
            (5, _) => format!("redirect {to} to host {}", bytes.address(4)),
            (11, 0) => "time exceeded in-transit".to_owned(),
            (11, _) => "ip reassembly time exceeded".to_owned(),
            _ => format!("type-#{kind}"),
        };
        let _ = write!(out, "ICMP {what}, length {length}");
        if self.style.verbose > 0 && matches!(kind, 3 | 5 | 11) {
            *out += "\n\t";
            // The quoted packet is cut off: only its headers are printed.
            *out += "IP ";
            self.ip(out, quoted);
        }
    }

    /// `-x`, `-X`, `-A`: the bytes.
    fn dump(&self, out: &mut String, frame: &[u8]) {
        let style = &self.style;
        let bytes = if style.hex > 1 {
            frame
        } else {
            frame.get(14..).unwrap_or_default()
        };
        if style.ascii {
            out.push('\n');
            for (at, byte) in bytes.iter().enumerate() {
                match byte {
                    // The end of a line of HTTP is one sign.
                    b'\r' if bytes.get(at + 1) == Some(&b'\n') => {}
                    b'\n' | b'\t' | 0x20..=0x7e => out.push(char::from(*byte)),
                    _ => out.push('.'),
                }
            }
        } else if style.hex > 0 {
            for (row, line) in bytes.chunks(16).enumerate() {
                let _ = write!(out, "\n\t0x{:04x}:  ", row * 16);
                let mut hex = String::new();
                for (n, byte) in line.iter().enumerate() {
                    let _ = write!(hex, "{byte:02x}");
                    if n % 2 == 1 && n + 1 < line.len() {
                        hex.push(' ');
                    }
                }
                if style.text_too {
                    let text: String = line
                        .iter()
                        .map(|b| {
                            if (0x21..=0x7e).contains(b) {
                                char::from(*b)
                            } else {
                                '.'
                            }
                        })
                        .collect();
                    let _ = write!(out, "{hex:<39}  {text}");
                } else {
                    *out += &hex;
                }
            }
        }
    }
}

fn tcp_options(bytes: Bytes<'_>) -> String {
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (kind, length) = (bytes.u8(at), usize::from(bytes.u8(at + 1)));
        match kind {
            0 => {
                all.push("eol".to_owned());
                break;
            }
            1 => {
                all.push("nop".to_owned());
                at += 1;
                continue;
            }
            2 => all.push(format!("mss {}", bytes.u16(at + 2))),
            3 => all.push(format!("wscale {}", bytes.u8(at + 2))),
            4 => all.push("sackOK".to_owned()),
            8 => all.push(format!(
                "TS val {} ecr {}",
                bytes.u32(at + 2),
                bytes.u32(at + 6)
            )),
            other => all.push(format!("unknown-{other}")),
        }
        at += length.max(2);
    }
    all.join(",")
}
