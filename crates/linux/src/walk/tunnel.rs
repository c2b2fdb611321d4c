//! Tunnels: VXLAN devices (`drivers/net/vxlan/vxlan_core.c`, RFC 7348) and IPIP devices (`net/ipv4/ip_tunnel.c`, RFC 2003).

use std::net::Ipv4Addr;

use super::engine::{Frame, Skb, Walk};
use super::ip::Way;
use crate::link::{Link, LinkId, NamespaceId, Vxlan};
use crate::packet::{Encapsulated, Ethernet, Headers, Ipv4, Packet, Protocol, Transport};
use crate::trace::Event;

/// VXLAN header and inner Ethernet header.
const OVERHEAD: u32 = 8 + 14;

/// Tunnels in tunnels, beyond which a packet is dropped (`XMIT_RECURSION_LIMIT`).
const DEEPEST: usize = 8;

fn nesting(packet: &Packet) -> usize {
    let mut depth = 0;
    let mut inner = packet.inner.as_deref();
    while let Some(encapsulated) = inner {
        depth += 1;
        inner = encapsulated.packet.inner.as_deref();
    }
    depth
}

/// The outer source port: the same for all packets of an inner flow, until a time-out makes its sender try another way.
fn source_port(packet: &Packet) -> u16 {
    let inner = &packet.headers;
    let (sport, dport) = inner.l4.ports();
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for part in [
        inner.ip.src.to_bits(),
        inner.ip.dst.to_bits(),
        u32::from(sport) << 16 | u32::from(dport),
        u32::from(packet.rehashed) << 8 | u32::from(inner.ip.protocol.0),
    ] {
        hash = (hash ^ u64::from(part)).wrapping_mul(0x0100_0000_01b3);
    }
    32768 + ((hash >> 20) % 28232) as u16
}

impl Walk<'_> {
    /// A frame leaves by a VXLAN device: into a UDP packet to the host that has its destination.
    pub fn vxlan_transmit(&mut self, id: LinkId, frame: Frame) {
        let Some(link) = self.link(id) else { return };
        let (namespace, Some(vxlan)) = (link.namespace, link.vxlan()) else {
            return;
        };
        // ARP over the overlay is flooded like every group address, and a flannel device floods to nobody.
        let Frame::Ip(skb) = frame else {
            self.unsent(id, &frame);
            return;
        };
        // A tunnel that leads into itself ("dead loop on virtual device").
        if nesting(&skb.packet) >= DEEPEST {
            self.unsent(id, &Frame::Ip(skb));
            return;
        }
        let dst = skb.headers().eth.dst;
        let hosts = self.net.tunnel_hosts(link, dst);
        if hosts.is_empty() {
            self.unsent(id, &Frame::Ip(skb.clone()));
            self.note(namespace, Some(id), &skb, Event::NoFdb { mac: dst });
            return;
        }
        let (vni, port, local) = (vxlan.vni, vxlan.port, vxlan.local);
        let frame = Frame::Ip(skb);
        self.sent(id, &frame);
        let Frame::Ip(mut skb) = frame else { return };
        skb.scrub(false);
        for host in hosts {
            let mut outer = skb.clone();
            let inner = outer.packet;
            let headers = Headers {
                eth: Ethernet::default(),
                ip: Ipv4 {
                    src: local,
                    dst: host,
                    ttl: 64,
                    protocol: Protocol::UDP,
                    id: 0,
                    df: false,
                },
                l4: Transport::Udp {
                    sport: source_port(&inner),
                    dport: port,
                },
            };
            let length = inner.total_length() + OVERHEAD;
            outer.packet = Packet {
                length,
                offloaded: inner.offloaded,
                inner: Some(Box::new(Encapsulated {
                    vni: Some(vni),
                    packet: inner,
                })),
                ..Packet::new(headers)
            };
            if self.notes(&outer) {
                self.note(
                    namespace,
                    Some(id),
                    &outer,
                    Event::Encapsulated {
                        vni: Some(vni),
                        to: host,
                    },
                );
            }
            let _ = self.send_local(namespace, outer, Way::Source);
        }
    }

    /// The VXLAN device of a namespace for a network identifier and UDP port.
    fn vxlan_device(&self, namespace: NamespaceId, vni: u32, port: u16) -> Option<LinkId> {
        let fits = |l: &Link| l.up && l.vxlan().is_some_and(|v| v.vni == vni && v.port == port);
        self.namespace(namespace)?
            .links
            .iter()
            .copied()
            .find(|id| self.link(*id).is_some_and(fits))
    }

    /// A UDP packet that may be a tunnel's. Gives it back if it is not.
    pub fn vxlan_receive(&mut self, namespace: NamespaceId, mut skb: Box<Skb>) -> Option<Box<Skb>> {
        let Transport::Udp { dport, .. } = skb.headers().l4 else {
            return Some(skb);
        };
        let Some(vni) = skb.packet.inner.as_ref().and_then(|i| i.vni) else {
            return Some(skb);
        };
        let Some(device) = self.vxlan_device(namespace, vni, dport) else {
            return Some(skb);
        };
        let outer: Ipv4Addr = skb.headers().ip.src;
        let inner = skb.packet.inner.take()?;
        let offloaded = skb.packet.offloaded;
        skb.packet = inner.packet;
        skb.packet.offloaded &= offloaded;
        skb.scrub(false);
        if self.notes(&skb) {
            let vni = Some(vni);
            self.note(namespace, Some(device), &skb, Event::Decapsulated { vni });
        }
        let source = skb.headers().eth.src;
        let learns =
            |v: &Vxlan| v.learning && v.fdb.get(&source).is_none_or(|h| h.as_slice() != [outer]);
        if self.link(device).and_then(Link::vxlan).is_some_and(learns)
            && let Some(vxlan) = self.net.links.get_mut(device.0).and_then(Link::vxlan_mut)
        {
            vxlan.fdb.insert(source, vec![outer]);
        }
        self.queue.push_back((device, Frame::Ip(skb)));
        None
    }

    /// A packet leaves by an IPIP device: into a packet to the tunnel's other end, or, where that is open, to the next
    /// hop of its route (`ip_tunnel_xmit`).
    pub fn ipip_transmit(&mut self, id: LinkId, next_hop: Ipv4Addr, skb: Box<Skb>) {
        let Some((link, ipip)) = self.link(id).and_then(|l| Some((l, *l.ipip()?))) else {
            return;
        };
        let (namespace, up) = (link.namespace, link.up);
        let frame = Frame::Ip(skb);
        let to = match ipip.remote {
            open if open.is_unspecified() => next_hop,
            remote => remote,
        };
        let from = match ipip.local {
            open if open.is_unspecified() => self.source_for(namespace, to).ok(),
            local => Some(local),
        };
        let Frame::Ip(skb) = &frame else { return };
        let (Some(from), true) = (from, up && nesting(&skb.packet) < DEEPEST) else {
            self.note(namespace, Some(id), skb, Event::DeviceDown);
            self.unsent(id, &frame);
            return;
        };
        self.sent(id, &frame);
        let Frame::Ip(mut skb) = frame else { return };
        skb.scrub(false);
        let inner = skb.packet;
        let own = inner.headers.ip;
        let headers = Headers {
            eth: Ethernet::default(),
            ip: Ipv4 {
                src: from,
                dst: to,
                ttl: if ipip.ttl == 0 { own.ttl } else { ipip.ttl },
                protocol: Protocol::IPIP,
                id: 0,
                df: ipip.discovers_mtu || own.df,
            },
            l4: Transport::Other,
        };
        skb.packet = Packet {
            length: inner.total_length(),
            offloaded: inner.offloaded,
            inner: Some(Box::new(Encapsulated {
                vni: None,
                packet: inner,
            })),
            ..Packet::new(headers)
        };
        if self.notes(&skb) {
            let event = Event::Encapsulated { vni: None, to };
            self.note(namespace, Some(id), &skb, event);
        }
        let _ = self.send_local(namespace, skb, Way::Source);
    }

    /// A packet that may be an IPIP tunnel's. Gives it back if no such tunnel is here.
    pub fn ipip_receive(&mut self, namespace: NamespaceId, mut skb: Box<Skb>) -> Option<Box<Skb>> {
        let ip = skb.headers().ip;
        if ip.protocol != Protocol::IPIP || skb.packet.inner.is_none() {
            return Some(skb);
        }
        let ends = self.namespace(namespace)?.links.iter().copied();
        let ends: Vec<(LinkId, bool, Option<u8>)> = ends
            .filter_map(|id| {
                let link = self.link(id)?;
                Some((id, link.up, link.ipip()?.fits(ip.src, ip.dst)))
            })
            .collect();
        if ends.is_empty() {
            return Some(skb);
        }
        let fitting = ends.iter().filter(|end| end.1 && end.2.is_some());
        let Some((device, ..)) = fitting.max_by_key(|end| end.2).copied() else {
            self.note(namespace, None, &skb, Event::NoSocket);
            self.icmp_error(namespace, &skb, 3, 3, 0);
            return None;
        };
        let inner = skb.packet.inner.take()?;
        let offloaded = skb.packet.offloaded;
        skb.packet = inner.packet;
        skb.packet.offloaded &= offloaded;
        // Such a device has no Ethernet address.
        skb.packet.headers.eth = Ethernet::default();
        skb.scrub(false);
        self.note(
            namespace,
            Some(device),
            &skb,
            Event::Decapsulated { vni: None },
        );
        self.queue.push_back((device, Frame::Ip(skb)));
        None
    }
}
