//! Capture files: pcap as tcpdump writes it (pcap-savefile(5)), and pcapng, which knows several devices by name
//! (draft-ietf-opsawg-pcapng).

use super::Captured;
use crate::link::LinkKind;
use crate::network::Network;
use crate::time::Time;

/// What a file's packets begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkType {
    /// `LINKTYPE_ETHERNET`
    Ethernet,
    /// `LINKTYPE_LINUX_SLL2`: what is captured on any device.
    Cooked,
}

impl LinkType {
    fn number(self) -> u32 {
        match self {
            LinkType::Ethernet => 1,
            LinkType::Cooked => 276,
        }
    }
}

/// Most bytes of a packet (`-s`).
const SNAPSHOT: u32 = 262_144;

/// A packet from its link-layer header on.
fn packet(net: &Network, captured: &Captured, kind: LinkType) -> Vec<u8> {
    if kind == LinkType::Ethernet {
        return captured.bytes.to_vec();
    }
    let (header, rest) = captured
        .bytes
        .split_at_checked(14)
        .unwrap_or((&captured.bytes, &[]));
    let link = net.link(captured.device);
    let to = header.get(0..6).unwrap_or_default();
    let kind = match link {
        _ if captured.outgoing => 4u8,
        Some(_) if to.iter().all(|b| *b == 0xff) => 1,
        Some(_) if to.first().is_some_and(|b| b & 1 == 1) => 2,
        _ => 0,
    };
    let loopback = link.is_some_and(|l| matches!(l.kind, LinkKind::Loopback));
    let mut out = Vec::with_capacity(20 + rest.len());
    out.extend_from_slice(header.get(12..14).unwrap_or_default());
    out.extend([0, 0]);
    out.extend(link.map_or(0, |l| l.ifindex).to_be_bytes());
    out.extend(if loopback { 772u16 } else { 1 }.to_be_bytes());
    out.extend([kind, 6]);
    out.extend_from_slice(header.get(6..12).unwrap_or_default());
    out.extend([0, 0]);
    out.extend_from_slice(rest);
    out
}

/// A pcap file in microseconds. `epoch`: nanoseconds from 1970 to time 0.
#[must_use]
pub fn pcap(net: &Network, packets: &[Captured], kind: LinkType, epoch: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(0xa1b2_c3d4u32.to_le_bytes());
    out.extend([2, 0, 4, 0]);
    out.extend([0; 8]);
    out.extend(SNAPSHOT.to_le_bytes());
    out.extend(kind.number().to_le_bytes());
    for captured in packets {
        let bytes = packet(net, captured, kind);
        let at = epoch.saturating_add(captured.at.0);
        let length = (bytes.len() as u32).to_le_bytes();
        out.extend(((at / 1_000_000_000) as u32).to_le_bytes());
        out.extend(((at % 1_000_000_000 / 1000) as u32).to_le_bytes());
        out.extend(length);
        out.extend(length);
        out.extend(bytes);
    }
    out
}

/// One block of a pcapng file: its type and body, padded to whole words.
fn block(out: &mut Vec<u8>, kind: u32, mut body: Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
    let length = (body.len() as u32 + 12).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    out.extend(body);
    out.extend(length);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A pcapng file of packets of several devices, each named `NAMESPACE DEVICE`, in nanoseconds.
#[must_use]
pub fn pcapng(net: &Network, packets: &[Captured], epoch: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Vec::new();
    body.extend(0x1a2b_3c4du32.to_le_bytes());
    body.extend([1, 0, 0, 0]);
    body.extend(u64::MAX.to_le_bytes());
    option(&mut body, 4, b"Kubarium");
    option(&mut body, 0, b"");
    block(&mut out, 0x0a0d_0d0a, body);
    let mut devices = Vec::new();
    for captured in packets {
        if devices.contains(&captured.device) {
            continue;
        }
        devices.push(captured.device);
        let namespace = net.namespace(captured.namespace).map(|n| n.name.clone());
        let name = net.link(captured.device).map(|l| l.name.clone());
        let name = format!(
            "{} {}",
            namespace.as_deref().unwrap_or("?"),
            name.as_deref().unwrap_or("?")
        );
        let mut body = Vec::new();
        body.extend((LinkType::Ethernet.number() as u16).to_le_bytes());
        body.extend([0, 0]);
        body.extend(SNAPSHOT.to_le_bytes());
        option(&mut body, 2, name.as_bytes());
        option(&mut body, 9, &[9]);
        option(&mut body, 0, b"");
        block(&mut out, 1, body);
    }
    for captured in packets {
        let number = devices.iter().position(|d| *d == captured.device);
        let Time(at) = captured.at;
        let at = epoch.saturating_add(at);
        let length = (captured.bytes.len() as u32).to_le_bytes();
        let mut body = Vec::new();
        body.extend((number.unwrap_or(0) as u32).to_le_bytes());
        body.extend(((at >> 32) as u32).to_le_bytes());
        body.extend((at as u32).to_le_bytes());
        body.extend(length);
        body.extend(length);
        body.extend_from_slice(&captured.bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        let direction: u32 = if captured.outgoing { 2 } else { 1 };
        option(&mut body, 2, &direction.to_le_bytes());
        option(&mut body, 0, b"");
        block(&mut out, 6, body);
    }
    out
}
