//! Linux bridges, and netfilter's look into them (`br_netfilter`).

use std::net::Ipv4Addr;

use super::engine::{Arp, Frame, Skb, Walk};
use super::hooks::Passed;
use super::ip::Decision;
use crate::link::{Bridge, FdbEntry, Link, LinkId, LinkKind, NamespaceId};
use crate::netfilter::Hook;
use crate::packet::Mac;
use crate::time::Time;
use crate::trace::Event;

/// Where a bridge sends a frame.
enum To {
    Local,
    Port(LinkId),
    Flood,
}

impl Walk<'_> {
    /// A frame comes in by a port.
    pub fn bridge_input(&mut self, bridge: LinkId, port: LinkId, frame: Frame) {
        let Some(link) = self.link(bridge).filter(|l| l.up) else {
            return;
        };
        let namespace = link.namespace;
        let source = match &frame {
            Frame::Ip(skb) => skb.headers().eth.src,
            Frame::Arp(arp) => arp.sender_mac,
        };
        self.learn(bridge, port, source);
        match frame {
            Frame::Arp(arp) => match self.bridge_lookup(bridge, port, arp.eth_dst) {
                To::Local => {
                    self.received(bridge, &Frame::Arp(arp));
                    self.arp_receive(namespace, bridge, arp);
                }
                To::Port(to) if to != port || self.hairpin(to) => {
                    self.overheard(bridge, &Frame::Arp(arp));
                    self.transmit(to, Frame::Arp(arp))
                }
                To::Port(_) => {}
                To::Flood => {
                    for to in self.flood_ports(bridge, Some(port)) {
                        if !self.is_heard_in_vain(to, arp) {
                            self.transmit(to, Frame::Arp(arp));
                        }
                    }
                    if arp.eth_dst.is_group() {
                        self.received(bridge, &Frame::Arp(arp));
                        self.arp_receive(namespace, bridge, arp);
                    }
                }
            },
            Frame::Ip(mut skb) => {
                skb.in_link = Some(port);
                let seen = self
                    .namespace(namespace)
                    .is_some_and(|n| n.bridge_nf && !n.netfilter.is_empty());
                if !seen {
                    self.bridge_finish(namespace, bridge, port, skb);
                    return;
                }
                skb.physical_in = Some(port);
                let before = skb.headers().ip.dst;
                if self.notes(&skb) {
                    self.note(
                        namespace,
                        Some(port),
                        &skb,
                        Event::BridgeNetfilter {
                            hook: Hook::Prerouting,
                        },
                    );
                }
                if self.hook(namespace, Hook::Prerouting, &mut skb, Some(bridge), None)
                    != Passed::Accepted
                {
                    return;
                }
                skb.prerouted = true;
                if skb.headers().ip.dst == before {
                    self.bridge_finish(namespace, bridge, port, skb);
                } else {
                    self.bridged_dnat(namespace, bridge, port, skb);
                }
            }
        }
    }

    /// PREROUTING gave a bridged packet a new destination (`br_nf_pre_routing_finish`): routing says whether it stays
    /// in the bridge.
    fn bridged_dnat(
        &mut self,
        namespace: NamespaceId,
        bridge: LinkId,
        port: LinkId,
        mut skb: Box<Skb>,
    ) {
        match self.route_input(namespace, bridge, &skb) {
            Decision::Forward { link, next_hop } if link == bridge => {
                skb.in_link = Some(port);
                self.send_to_neighbour(namespace, bridge, next_hop, skb, true);
            }
            Decision::Drop(event) => self.note(namespace, Some(bridge), &skb, event),
            _ => {
                skb.packet.headers.eth.dst = self.link(bridge).map(|l| l.mac).unwrap_or_default();
                self.bridge_finish(namespace, bridge, port, skb);
            }
        }
    }

    /// A bridged packet whose neighbour is known now goes on to the neighbour's port.
    pub fn bridge_forward(&mut self, bridge: LinkId, skb: Box<Skb>) {
        let Some(port) = skb.physical_in else { return };
        let Some(namespace) = self.link(bridge).map(|l| l.namespace) else {
            return;
        };
        self.bridge_finish(namespace, bridge, port, skb);
    }

    /// Where to (`br_handle_frame_finish`).
    fn bridge_finish(
        &mut self,
        namespace: NamespaceId,
        bridge: LinkId,
        port: LinkId,
        mut skb: Box<Skb>,
    ) {
        let dst = skb.headers().eth.dst;
        match self.bridge_lookup(bridge, port, dst) {
            To::Local => self.bridge_local(namespace, bridge, skb),
            To::Port(to) => {
                if self.notes(&skb) {
                    self.note(
                        namespace,
                        Some(bridge),
                        &skb,
                        Event::BridgeForward { port: to },
                    );
                }
                let frame = Frame::Ip(skb);
                self.overheard(bridge, &frame);
                let Frame::Ip(skb) = frame else { return };
                self.bridge_port(namespace, bridge, port, to, skb);
            }
            To::Flood => {
                let ports = self.flood_ports(bridge, Some(port));
                if self.notes(&skb) {
                    self.note(
                        namespace,
                        Some(bridge),
                        &skb,
                        Event::BridgeFlood { ports: ports.len() },
                    );
                }
                let up = dst.is_group();
                for to in ports {
                    self.bridge_port(namespace, bridge, port, to, skb.clone());
                }
                if up {
                    skb.in_link = Some(bridge);
                    self.bridge_local(namespace, bridge, skb);
                }
            }
        }
    }

    fn bridge_local(&mut self, namespace: NamespaceId, bridge: LinkId, mut skb: Box<Skb>) {
        if self.notes(&skb) {
            self.note(namespace, Some(bridge), &skb, Event::BridgeLocal);
        }
        // The port stays known: `-m physdev --physdev-in` sees it in INPUT and in a routed packet's FORWARD as well.
        skb.in_link = Some(bridge);
        let frame = Frame::Ip(skb);
        self.received(bridge, &frame);
        if let Frame::Ip(skb) = frame {
            self.ip_receive(namespace, bridge, skb);
        }
    }

    /// Out by one port, through FORWARD and POSTROUTING if netfilter looks at bridged packets.
    fn bridge_port(
        &mut self,
        namespace: NamespaceId,
        bridge: LinkId,
        from: LinkId,
        to: LinkId,
        mut skb: Box<Skb>,
    ) {
        if from == to && !self.hairpin(to) {
            self.note(namespace, Some(to), &skb, Event::NoHairpin { port: to });
            return;
        }
        if skb.prerouted {
            if self.notes(&skb) {
                self.note(
                    namespace,
                    Some(to),
                    &skb,
                    Event::BridgeNetfilter {
                        hook: Hook::Forward,
                    },
                );
            }
            for hook in [Hook::Forward, Hook::Postrouting] {
                if self.hook_bridged(namespace, hook, &mut skb, bridge, to) != Passed::Accepted {
                    return;
                }
            }
        }
        let mtu = self.link(to).map_or(0, |l| l.mtu);
        if skb.packet.total_length() > mtu && skb.headers().ip.df {
            self.note(namespace, Some(to), &skb, Event::TooBig { mtu });
            return;
        }
        self.transmit(to, Frame::Ip(skb));
    }

    /// The namespace itself sends by its bridge.
    pub fn bridge_transmit(&mut self, bridge: LinkId, frame: Frame) {
        let Some(namespace) = self.link(bridge).map(|l| l.namespace) else {
            return;
        };
        let dst = match &frame {
            Frame::Ip(skb) => skb.headers().eth.dst,
            Frame::Arp(arp) => arp.eth_dst,
        };
        let to = match self.fdb(bridge, dst) {
            Some(port) => vec![port],
            None => self.flood_ports(bridge, None),
        };
        if let Frame::Ip(skb) = &frame
            && self.notes(skb)
        {
            let event = match to.as_slice() {
                [port] => Event::BridgeForward { port: *port },
                ports => Event::BridgeFlood { ports: ports.len() },
            };
            self.note(namespace, Some(bridge), skb, event);
        }
        if let Some((last, others)) = to.split_last() {
            for port in others {
                self.transmit(*port, frame.clone());
            }
            self.transmit(*last, frame);
        }
    }

    fn hairpin(&self, port: LinkId) -> bool {
        self.link(port).is_some_and(|l| l.port.hairpin)
    }

    fn learn(&mut self, bridge: LinkId, port: LinkId, mac: Mac) {
        let now = self.now;
        if mac.is_group() || mac == Mac::ZERO || !self.link(port).is_some_and(|l| l.port.learning) {
            return;
        }
        let Some(known) = self.link(bridge).and_then(Link::bridge) else {
            return;
        };
        // An entry less than a second old is as good as new: it is not written again.
        if known.fdb.get(&mac).is_some_and(|e| {
            e.is_static || (e.port == port && now - e.updated < Time::from_secs(1))
        }) {
            return;
        }
        if let Some(bridge) = self.net.links.get_mut(bridge.0).and_then(Link::bridge_mut) {
            bridge.fdb.insert(
                mac,
                FdbEntry {
                    port,
                    is_static: false,
                    updated: now,
                },
            );
        }
    }

    fn fdb(&self, bridge: LinkId, mac: Mac) -> Option<LinkId> {
        let entry = self.link(bridge)?.bridge()?.fdb.get(&mac)?;
        (entry.is_static || self.now <= entry.updated + Bridge::AGEING).then_some(entry.port)
    }

    fn bridge_lookup(&self, bridge: LinkId, port: LinkId, dst: Mac) -> To {
        if dst.is_group() {
            return To::Flood;
        }
        let own = |id: LinkId| self.link(id).is_some_and(|l| l.mac == dst);
        if own(bridge) || own(port) {
            return To::Local;
        }
        match self.fdb(bridge, dst) {
            Some(port) => To::Port(port),
            None => To::Flood,
        }
    }

    fn flood_ports(&self, bridge: LinkId, except: Option<LinkId>) -> Vec<LinkId> {
        let Some(bridge) = self.link(bridge).and_then(Link::bridge) else {
            return Vec::new();
        };
        let open = |p: &LinkId| {
            self.link(*p)
                .is_some_and(|l| l.up && (Some(*p) != except || l.port.hairpin))
        };
        bridge.ports.iter().copied().filter(open).collect()
    }

    /// Whether a question out of a port means nothing at its cable's other end: it is about nobody there, and who
    /// asks is no neighbour. Then it is counted and no more; most pods of a machine hear most questions so.
    fn is_heard_in_vain(&mut self, port: LinkId, arp: Arp) -> bool {
        let end = || {
            let out = self
                .link(port)
                .filter(|l| l.loss == 0 && l.delay == Time::ZERO)?;
            let LinkKind::Veth { peer } = &out.kind else {
                return None;
            };
            let end = self.link(*peer).filter(|l| l.up && l.master.is_none())?;
            let ns = self.namespace(end.namespace)?;
            let in_vain = arp.request
                && !ns.is_local(arp.target)
                && self.net.neighbour(ns, *peer, arp.sender).is_none();
            in_vain.then_some(*peer)
        };
        // Captures show the frames in the order in which they go.
        let Some(end) = end().filter(|_| self.net.captures.is_empty()) else {
            return false;
        };
        let frame = Frame::Arp(arp);
        self.sent(port, &frame);
        self.received(end, &frame);
        true
    }

    /// Asks by ARP who has an address, whatever the neighbour table says; who answered, and after what time.
    pub fn ask_neighbour(
        &mut self,
        link: LinkId,
        sender: Ipv4Addr,
        target: Ipv4Addr,
    ) -> Option<(Mac, Time)> {
        let device = self.link(link)?;
        let (namespace, sender_mac, started) = (device.namespace, device.mac, self.now);
        let known = self
            .namespace(namespace)?
            .neighbours
            .get(&(link, target))
            .copied();
        let asking = crate::neighbour::Neighbour {
            mac: None,
            state: crate::neighbour::NeighbourState::Incomplete,
            since: started,
        };
        self.namespace_mut(namespace)?
            .set_neighbour(link, target, asking);
        let arp = Arp {
            eth_dst: Mac::BROADCAST,
            request: true,
            sender_mac,
            sender,
            target,
        };
        self.transmit(link, Frame::Arp(arp));
        self.run();
        let took = self.now - started;
        let ns = self.namespace_mut(namespace)?;
        let answer = ns.neighbours.get(&(link, target)).and_then(|n| n.mac);
        match known {
            // arping looks; what the kernel knew stays as it was.
            Some(known) => ns.set_neighbour(link, target, known),
            None => drop(ns.remove_neighbour(link, target)),
        }
        Some((answer?, took))
    }

    /// Makes a bridge know an address as if it had announced itself (a gratuitous ARP of a CNI plugin).
    pub fn announce(&mut self, link: LinkId, sender: Ipv4Addr) {
        let Some(device) = self.link(link) else {
            return;
        };
        let arp = Arp {
            eth_dst: Mac::BROADCAST,
            request: true,
            sender_mac: device.mac,
            sender,
            target: sender,
        };
        self.transmit(link, Frame::Arp(arp));
        self.run();
    }
}
