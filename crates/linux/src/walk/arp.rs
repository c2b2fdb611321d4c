//! Finding a neighbour's Ethernet address.

use std::net::Ipv4Addr;

use super::engine::{Arp, Frame, Skb, Timer, Waiting, Walk};
use crate::link::{LinkId, LinkKind, NamespaceId};
use crate::neighbour::{Neighbour, NeighbourState};
use crate::packet::Mac;
use crate::time::Time;
use crate::trace::Event;

/// One second as the kernel's timers make it.
pub(crate) const SECOND: Time = Time::from_millis(1024);

impl Walk<'_> {
    /// How long to wait for a neighbour's answer before asking again (`retrans_time_ms`).
    fn patience(&self, link: LinkId) -> Time {
        let extra = self.link(link).map_or(0, |l| l.conf.retrans);
        Time(SECOND.0 / 1000 * u64::from((1000 + extra).max(1).unsigned_abs()))
    }

    /// Sends a packet to a neighbour on a device, asking for its address first where that is not known. A `bridged`
    /// packet goes on inside the bridge.
    pub fn send_to_neighbour(
        &mut self,
        namespace: NamespaceId,
        link: LinkId,
        address: Ipv4Addr,
        mut skb: Box<Skb>,
        bridged: bool,
    ) {
        let Some(device) = self.link(link) else {
            return;
        };
        let mac = device.mac;
        if matches!(device.kind, LinkKind::Loopback) {
            skb.packet.headers.eth = crate::packet::Ethernet::default();
            self.transmit(link, Frame::Ip(skb));
            return;
        }
        if matches!(device.kind, LinkKind::Ipip(_)) {
            self.ipip_transmit(link, address, skb);
            return;
        }
        if address.is_broadcast() || address.is_multicast() {
            skb.packet.headers.eth = crate::packet::Ethernet {
                src: mac,
                dst: Mac::BROADCAST,
            };
            self.transmit(link, Frame::Ip(skb));
            return;
        }
        let now = self.now;
        let Some(ns) = self.namespace(namespace) else {
            return;
        };
        let known = self.net.neighbour(ns, link, address);
        let state = known.map(|n| n.state_at(now));
        let usable = match (known, state) {
            (
                Some(n),
                Some(
                    NeighbourState::Permanent
                    | NeighbourState::Noarp
                    | NeighbourState::Reachable
                    | NeighbourState::Stale,
                ),
            ) => n.mac,
            (Some(n), Some(NeighbourState::Delay)) if now <= n.since + Neighbour::DELAY => n.mac,
            _ => None,
        };
        if let Some(dst) = usable {
            if state == Some(NeighbourState::Stale)
                && let Some(ns) = self.namespace_mut(namespace)
            {
                ns.set_neighbour(
                    link,
                    address,
                    Neighbour {
                        mac: Some(dst),
                        state: NeighbourState::Delay,
                        since: now,
                    },
                );
            }
            if self.notes(&skb) {
                self.note(
                    namespace,
                    Some(link),
                    &skb,
                    Event::NeighbourKnown { address, mac: dst },
                );
            }
            self.send_to_mac(link, mac, dst, skb, bridged);
            return;
        }
        self.note(
            namespace,
            Some(link),
            &skb,
            Event::NeighbourWaiting { address },
        );
        let waiting = self.waiting.entry((link, address)).or_default();
        waiting.push(Waiting { skb, bridged });
        if waiting.len() > 1 {
            return;
        }
        // A request that was begun before this walk goes on from where it was.
        let since = match (known, state) {
            (Some(n), Some(NeighbourState::Incomplete)) => n.since,
            _ => now,
        };
        if let Some(ns) = self.namespace_mut(namespace) {
            ns.set_neighbour(
                link,
                address,
                Neighbour {
                    mac: None,
                    state: NeighbourState::Incomplete,
                    since,
                },
            );
        }
        let patience = self.patience(link);
        let attempt = ((now - since).0 / patience.0) as u32 + 1;
        self.set_timer(
            patience,
            Timer::Neighbour {
                link,
                address,
                attempt,
            },
        );
        self.ask(namespace, link, address);
    }

    fn send_to_mac(&mut self, link: LinkId, src: Mac, dst: Mac, mut skb: Box<Skb>, bridged: bool) {
        skb.packet.headers.eth.dst = dst;
        if bridged {
            self.bridge_forward(link, skb);
        } else {
            skb.packet.headers.eth.src = src;
            self.transmit(link, Frame::Ip(skb));
        }
    }

    fn ask(&mut self, namespace: NamespaceId, link: LinkId, target: Ipv4Addr) {
        let Some(device) = self.link(link) else {
            return;
        };
        let sender_mac = device.mac;
        // arp_announce=0: the packet's own source if it is local, else the device's address.
        let first = self
            .waiting
            .get(&(link, target))
            .and_then(|w| w.first())
            .map(|w| w.skb.headers().ip.src);
        let own = first.filter(|src| {
            self.namespace(namespace)
                .is_some_and(|ns| ns.is_local(*src))
        });
        let sender = own
            .or_else(|| device.select_address(Some(target)))
            .unwrap_or(Ipv4Addr::UNSPECIFIED);
        self.transmit(
            link,
            Frame::Arp(Arp {
                eth_dst: Mac::BROADCAST,
                request: true,
                sender_mac,
                sender,
                target,
            }),
        );
    }

    /// A second has passed without an answer.
    pub fn neighbour_timer(&mut self, link: LinkId, address: Ipv4Addr, attempt: u32) {
        let Some(namespace) = self.link(link).map(|l| l.namespace) else {
            return;
        };
        if !self.waiting.contains_key(&(link, address)) {
            return;
        }
        if attempt < Neighbour::TRIES {
            self.set_timer(
                self.patience(link),
                Timer::Neighbour {
                    link,
                    address,
                    attempt: attempt + 1,
                },
            );
            self.ask(namespace, link, address);
            return;
        }
        let now = self.now;
        if let Some(ns) = self.namespace_mut(namespace) {
            ns.set_neighbour(
                link,
                address,
                Neighbour {
                    mac: None,
                    state: NeighbourState::Failed,
                    since: now,
                },
            );
        }
        for waiting in self.waiting.remove(&(link, address)).unwrap_or_default() {
            self.note(
                namespace,
                Some(link),
                &waiting.skb,
                Event::NeighbourFailed { address },
            );
            // dst_link_failure: the sender is told that the host cannot be reached.
            self.icmp_error(namespace, &waiting.skb, 3, 1, 0);
        }
    }

    pub fn arp_receive(&mut self, namespace: NamespaceId, link: LinkId, arp: Arp) {
        let Some(device) = self.link(link) else {
            return;
        };
        let mac = device.mac;
        let now = self.now;
        let Some(ns) = self.net.namespaces.get(namespace.0) else {
            return;
        };
        let known = self.net.neighbour(ns, link, arp.sender);
        let fixed = known
            .is_some_and(|n| matches!(n.state, NeighbourState::Permanent | NeighbourState::Noarp));
        if arp.request {
            // Who could not be answered is not told either (`arp_process` routes the question as a packet). One's own
            // announcement, come back by a bridge, has a source that cannot come in here.
            let fits = || {
                arp.sender.is_unspecified()
                    || self.source_fits(namespace, link, arp.sender, arp.target)
            };
            if !ns.is_local(arp.target) || ns.is_local(arp.sender) || !fits() {
                // What it says of its sender is heard where that neighbour is in the table, be it as one that failed.
                if !fixed && known.is_some_and(|n| n.mac != Some(arp.sender_mac)) {
                    self.learn_neighbour(
                        namespace,
                        link,
                        arp.sender,
                        arp.sender_mac,
                        NeighbourState::Stale,
                    );
                }
                return;
            }
            let same = known.is_some_and(|n| {
                n.mac == Some(arp.sender_mac)
                    && matches!(
                        n.state_at(now),
                        NeighbourState::Reachable | NeighbourState::Delay | NeighbourState::Stale
                    )
            });
            if !fixed && !same && !arp.sender.is_unspecified() {
                self.learn_neighbour(
                    namespace,
                    link,
                    arp.sender,
                    arp.sender_mac,
                    NeighbourState::Stale,
                );
            }
            let answer = Arp {
                eth_dst: arp.sender_mac,
                request: false,
                sender_mac: mac,
                sender: arp.target,
                target: arp.sender,
            };
            self.transmit(link, Frame::Arp(answer));
        } else if known.is_some() && !fixed {
            self.learn_neighbour(
                namespace,
                link,
                arp.sender,
                arp.sender_mac,
                NeighbourState::Reachable,
            );
        }
    }

    fn learn_neighbour(
        &mut self,
        namespace: NamespaceId,
        link: LinkId,
        address: Ipv4Addr,
        mac: Mac,
        state: NeighbourState,
    ) {
        let since = self.now;
        if let Some(ns) = self.namespace_mut(namespace) {
            ns.set_neighbour(
                link,
                address,
                Neighbour {
                    mac: Some(mac),
                    state,
                    since,
                },
            );
        }
        let Some(waiting) = self.waiting.remove(&(link, address)) else {
            return;
        };
        self.cancel_timers(|t| matches!(t, Timer::Neighbour { link: l, address: a, .. } if *l == link && *a == address));
        let own = self.link(link).map(|l| l.mac).unwrap_or_default();
        for w in waiting {
            self.note(
                namespace,
                Some(link),
                &w.skb,
                Event::NeighbourAsked { address, mac },
            );
            self.send_to_mac(link, own, mac, w.skb, w.bridged);
        }
    }
}
