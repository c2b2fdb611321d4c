//! What packets leave behind at the devices that they pass: counts, and copies for those who capture.

use std::net::Ipv4Addr;

use super::engine::{Frame, Walk};
use crate::capture::Captured;
use crate::link::{LinkId, LinkKind, NamespaceId};
use crate::packet::{Packet, TcpFlags, Transport};
use crate::route::Flow;
use crate::trace::Phase;
use crate::wire::{self, Segment, WINDOW_SHIFT};

/// Ethernet's header.
const ETHERNET: u64 = 14;
/// An ARP packet.
const ARP: u64 = 28;
/// The first window: what fits of it in whole segments is announced (`tcp_select_initial_window`).
const WINDOW: u32 = 65_535;

impl Walk<'_> {
    /// A frame leaves by a device.
    #[inline]
    pub fn sent(&mut self, id: LinkId, frame: &Frame) {
        if self.quiet {
            return;
        }
        let bytes = self.counted(id, frame, false);
        if let Some(passed) = self.net.passed.get_mut(id.0) {
            passed.sent.0 += 1;
            passed.sent.1 += bytes;
        }
        if !self.net.captures.is_empty() {
            self.capture(id, frame, true);
        }
    }

    /// A frame has come in by a device.
    #[inline]
    pub fn received(&mut self, id: LinkId, frame: &Frame) {
        if self.quiet {
            return;
        }
        let bytes = self.counted(id, frame, true);
        if let Some(passed) = self.net.passed.get_mut(id.0) {
            passed.received.0 += 1;
            passed.received.1 += bytes;
        }
        if !self.net.captures.is_empty() {
            self.capture(id, frame, false);
        }
    }

    /// A frame passes through a bridge: who listens to the bridge itself hears it.
    #[inline]
    pub fn overheard(&mut self, bridge: LinkId, frame: &Frame) {
        if !self.net.captures.is_empty() && self.net.captures.promiscuous(bridge) {
            self.capture(bridge, frame, false);
        }
    }

    /// A frame that was to leave by a device did not.
    pub fn unsent(&mut self, id: LinkId, frame: &Frame) {
        if let Some(traffic) = self.net.traffic.get_or_default(id.0) {
            traffic.sent.dropped += 1;
        }
        if !self.net.captures.is_empty() {
            self.capture(id, frame, true);
        }
    }

    /// A frame that a device sent arrived nowhere.
    pub fn lost(&mut self, id: LinkId) {
        if let Some(traffic) = self.net.traffic.get_or_default(id.0) {
            traffic.lost += 1;
        }
    }

    /// A frame arrived at more than one device.
    pub fn copied(&mut self, id: LinkId, copies: usize) {
        if let Some(traffic) = self.net.traffic.get_or_default(id.0) {
            traffic.copied += copies as u64;
        }
    }

    /// Bytes of a frame as the device's driver counts them: loopback and VXLAN leave the Ethernet header out, and a
    /// bridge of what it receives.
    fn counted(&self, id: LinkId, frame: &Frame, comes_in: bool) -> u64 {
        let inner = match frame {
            Frame::Ip(skb) => u64::from(skb.packet.total_length()),
            Frame::Arp(_) => ARP,
        };
        let bare = self.link(id).is_some_and(|l| match l.kind {
            LinkKind::Loopback | LinkKind::Vxlan(_) | LinkKind::Ipip(_) => true,
            LinkKind::Bridge(_) => comes_in,
            _ => false,
        });
        inner + if bare { 0 } else { ETHERNET }
    }

    #[cold]
    fn capture(&mut self, id: LinkId, frame: &Frame, outgoing: bool) {
        let Some(namespace) = self.link(id).map(|l| l.namespace) else {
            return;
        };
        if !self.net.captures.hears(namespace, id) {
            return;
        }
        let bytes = match frame {
            Frame::Arp(arp) => wire::arp(arp),
            Frame::Ip(skb) => wire::frame(&skb.packet, self.tcp_fields(&skb.packet, skb.phase)),
        };
        let captured = Captured {
            at: self.now,
            namespace,
            device: id,
            outgoing,
            bytes: bytes.into(),
        };
        self.net.captures.add(&captured);
    }

    /// What the sender of a TCP segment put into its header beside what the model keeps.
    fn tcp_fields(&self, packet: &Packet, phase: Phase) -> Segment {
        let mut innermost = packet;
        while let Some(inner) = innermost.inner.as_deref() {
            innermost = &inner.packet;
        }
        let Transport::Tcp { flags, .. } = innermost.headers.l4 else {
            return Segment::default();
        };
        let Some((client, server)) = self.ends() else {
            return Segment::default();
        };
        let (own, other) = match phase {
            Phase::Request => (client, server),
            Phase::Reply => (server, client),
        };
        let mss = self.mss(own.namespace, own.remote);
        // A client announces whole segments without options, a server with them.
        let unit = match phase {
            Phase::Request => mss,
            Phase::Reply => mss.saturating_sub(12),
        }
        .max(1);
        let first = WINDOW / unit * unit;
        let window = if flags.has(TcpFlags::SYN) {
            first
        } else {
            first.div_ceil(1 << WINDOW_SHIFT)
        };
        let clock = (self.now.0 / 1_000_000) as u32;
        let stamp = |isn: u32| clock.wrapping_add(isn.rotate_left(9));
        let answers = flags.has(TcpFlags::ACK);
        Segment {
            mss: mss as u16,
            window: window as u16,
            stamp: stamp(own.isn),
            echo: if answers { stamp(other.isn) } else { 0 },
        }
    }

    /// The largest payload without options that a host takes from another (`ipv4_default_advmss`): by the device that
    /// leads there.
    fn mss(&self, namespace: NamespaceId, remote: Ipv4Addr) -> u32 {
        let ns = self.namespace(namespace);
        let route = ns.and_then(|ns| self.net.route(ns, &Flow::to(remote)));
        let device = route.and_then(|(route, _)| self.out_device(namespace, &route));
        let mtu = device.and_then(|d| self.link(d)).map_or(1500, |l| l.mtu);
        mtu.min(u32::from(u16::MAX)).saturating_sub(40).max(48)
    }
}
