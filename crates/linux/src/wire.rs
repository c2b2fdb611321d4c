//! Packets as bytes: Ethernet II, ARP (RFC 826), IPv4 (RFC 791), TCP (RFC 9293), UDP (RFC 768), ICMP (RFC 792), VXLAN
//! (RFC 7348), with their checksums.

use crate::packet::{Headers, Ipv4, Mac, Packet, Protocol, TcpFlags, Transport};
use crate::walk::Arp;

/// Type field of an Ethernet frame that carries IPv4.
const IPV4: [u8; 2] = [0x08, 0x00];
/// The same for ARP.
const ARP: [u8; 2] = [0x08, 0x06];
/// Most bytes of a packet that an ICMP error quotes, its own headers not counted.
const QUOTED_MAX: u32 = 548;

/// What a TCP segment has beside what the model keeps: Linux' options and window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Largest payload without options that its sender takes (in a SYN).
    pub mss: u16,
    /// The window field.
    pub window: u16,
    /// The sender's timestamp, and the last that it has seen (RFC 7323).
    pub stamp: u32,
    pub echo: u32,
}

/// The ones' complement sum of 16-bit words (RFC 1071), continued from `sum`.
fn sum(mut sum: u32, bytes: &[u8]) -> u32 {
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// An Internet checksum.
pub(crate) fn checksum(start: u32, bytes: &[u8]) -> u16 {
    !(sum(start, bytes) as u16)
}

/// What the pseudo header of TCP and UDP adds to their checksums.
pub(crate) fn pseudo(ip: &Ipv4, length: usize) -> u32 {
    let start = sum(0, &ip.src.octets());
    let start = sum(start, &ip.dst.octets());
    sum(start, &[0, ip.protocol.0]) + length as u32
}

fn ethernet(out: &mut Vec<u8>, src: Mac, dst: Mac, kind: [u8; 2]) {
    out.extend(dst.0);
    out.extend(src.0);
    out.extend(kind);
}

/// An ARP packet in its frame.
pub(crate) fn arp(arp: &Arp) -> Vec<u8> {
    let mut out = Vec::with_capacity(42);
    ethernet(&mut out, arp.sender_mac, arp.eth_dst, ARP);
    out.extend([0, 1, 8, 0, 6, 4, 0, if arp.request { 1 } else { 2 }]);
    out.extend(arp.sender_mac.0);
    out.extend(arp.sender.octets());
    out.extend(if arp.request { Mac::ZERO } else { arp.eth_dst }.0);
    out.extend(arp.target.octets());
    out
}

/// A packet in its frame.
pub(crate) fn frame(packet: &Packet, segment: Segment) -> Vec<u8> {
    let mut out = Vec::with_capacity(14 + packet.total_length() as usize);
    let headers = &packet.headers;
    ethernet(&mut out, headers.eth.src, headers.eth.dst, IPV4);
    bare(&mut out, packet, segment);
    out
}

/// A packet without a frame.
fn bare(out: &mut Vec<u8>, packet: &Packet, segment: Segment) {
    let headers = &packet.headers;
    ip_header(out, &headers.ip, packet.total_length() as usize);
    let start = out.len();
    transport(out, headers, segment, packet.length);
    let payload = out.len();
    match (&packet.inner, &packet.quoted, &packet.data) {
        (Some(inner), ..) => match inner.vni {
            Some(vni) => {
                let [_, a, b, c] = vni.to_be_bytes();
                out.extend([8, 0, 0, 0, a, b, c, 0]);
                out.extend(frame(&inner.packet, segment));
            }
            None => bare(out, &inner.packet, segment),
        },
        (None, Some(quoted), _) => quote(out, quoted, packet.length, segment),
        (None, None, Some(data)) => out.extend_from_slice(data),
        (None, None, None) if headers.ip.protocol == Protocol::ICMP => {
            // ping's payload: room for the time, then each byte's own number.
            out.extend((0..packet.length).map(|n| if n < 16 { 0 } else { n as u8 }));
        }
        _ => {}
    }
    out.resize(payload + packet.length as usize, 0);
    seal(out, start, headers);
}

fn ip_header(out: &mut Vec<u8>, ip: &Ipv4, total: usize) {
    let start = out.len();
    let length = u16::try_from(total).unwrap_or(u16::MAX);
    out.extend([0x45, 0]);
    out.extend(length.to_be_bytes());
    out.extend(ip.id.to_be_bytes());
    out.extend([if ip.df { 0x40 } else { 0 }, 0, ip.ttl, ip.protocol.0, 0, 0]);
    out.extend(ip.src.octets());
    out.extend(ip.dst.octets());
    let check = checksum(0, out.get(start..).unwrap_or_default());
    put(out, start + 10, check);
}

fn put(out: &mut [u8], at: usize, value: u16) {
    if let Some(place) = out.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// The transport header, with its checksum zero.
fn transport(out: &mut Vec<u8>, headers: &Headers, segment: Segment, length: u32) {
    match headers.l4 {
        Transport::Tcp {
            sport,
            dport,
            flags,
            seq,
            ack,
        } => {
            let syn = flags.has(TcpFlags::SYN);
            let words = match (syn, flags.has(TcpFlags::RST)) {
                (true, _) => 10u8,
                (false, true) => 5,
                (false, false) => 8,
            };
            out.extend(sport.to_be_bytes());
            out.extend(dport.to_be_bytes());
            out.extend(seq.to_be_bytes());
            out.extend(ack.to_be_bytes());
            out.extend([words << 4, flags.0]);
            let window = if words == 5 { 0 } else { segment.window };
            out.extend(window.to_be_bytes());
            out.extend([0; 4]);
            let stamp = |out: &mut Vec<u8>| {
                out.extend([8, 10]);
                out.extend(segment.stamp.to_be_bytes());
                out.extend(segment.echo.to_be_bytes());
            };
            if syn {
                out.extend([2, 4]);
                out.extend(segment.mss.to_be_bytes());
                out.extend([4, 2]);
                stamp(out);
                out.extend([1, 3, 3, WINDOW_SHIFT]);
            } else if words > 5 {
                out.extend([1, 1]);
                stamp(out);
            }
        }
        Transport::Udp { sport, dport } => {
            out.extend(sport.to_be_bytes());
            out.extend(dport.to_be_bytes());
            let length = u16::try_from(length + 8).unwrap_or(u16::MAX);
            out.extend(length.to_be_bytes());
            out.extend([0; 2]);
        }
        Transport::Sctp { sport, dport } => {
            out.extend(sport.to_be_bytes());
            out.extend(dport.to_be_bytes());
            out.extend([0; 8]);
        }
        Transport::Icmp {
            kind,
            code,
            id,
            seq,
        } => {
            out.extend([kind, code, 0, 0]);
            out.extend(id.to_be_bytes());
            out.extend(seq.to_be_bytes());
        }
        Transport::Other => {}
    }
}

/// The window scale that Linux asks for (`tcp_select_initial_window`, with the usual `tcp_rmem`).
pub(crate) const WINDOW_SHIFT: u8 = 7;

/// The beginning of the packet that an ICMP error is about. Of its payload nothing is kept.
fn quote(out: &mut Vec<u8>, quoted: &Headers, length: u32, segment: Segment) {
    let length = length.min(QUOTED_MAX);
    ip_header(out, &quoted.ip, length as usize);
    let rest = length.saturating_sub(20);
    let start = out.len();
    transport(out, quoted, segment, rest.saturating_sub(8));
    out.resize(start + rest as usize, 0);
    seal(out, start, quoted);
}

/// Writes the checksum of the transport layer, which begins at `start` and goes to the end.
fn seal(out: &mut [u8], start: usize, headers: &Headers) {
    let Some(body) = out.get(start..) else { return };
    let at = match headers.l4 {
        Transport::Tcp { .. } => 16,
        Transport::Udp { .. } => 6,
        Transport::Icmp { .. } => 2,
        _ => return,
    };
    let begin = match headers.l4 {
        Transport::Icmp { .. } => 0,
        _ => pseudo(&headers.ip, body.len()),
    };
    let mut value = checksum(begin, body);
    if value == 0 && matches!(headers.l4, Transport::Udp { .. }) {
        value = 0xffff;
    }
    put(out, start + at, value);
}
