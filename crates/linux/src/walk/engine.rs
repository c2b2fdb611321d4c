//! The walk's engine: packets under way, timers, and what is noted of both.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use super::Upkeep;
use super::connect::Client;
use super::server::Session;
use crate::conntrack::{Direction, Entry};
use crate::link::{Link, LinkId, LinkKind, NamespaceId};
use crate::namespace::Namespace;
use crate::netfilter::evaluate::CtState;
use crate::network::Network;
use crate::packet::{Headers, Mac, Packet};
use crate::time::{Dice, Time};
use crate::trace::{Event, Phase, RawHop, Trace};

/// What connection tracking attached to a packet.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    pub state: CtState,
    pub direction: Direction,
    /// Its number, once it is in the table.
    pub id: Option<u64>,
    /// The connection itself while it is not, or no longer.
    pub new: Option<Box<Entry>>,
    /// It was in the table and is not to come back.
    pub dead: bool,
}

impl Tracked {
    /// What `-j CT --notrack` says of a packet.
    pub fn not() -> Tracked {
        Tracked {
            state: CtState::Untracked,
            direction: Direction::Original,
            id: None,
            new: None,
            dead: false,
        }
    }
}

/// A packet with what the kernel keeps beside it.
#[derive(Clone, Debug)]
pub(crate) struct Skb {
    pub packet: Packet,
    pub mark: u32,
    pub ct: Option<Tracked>,
    /// The device it came in by; None for what was made here.
    pub in_link: Option<LinkId>,
    /// The bridge's port it came in by, while netfilter sees it as bridged.
    pub physical_in: Option<LinkId>,
    /// PREROUTING was passed in the bridge.
    pub prerouted: bool,
    /// OUTPUT has changed what its route is looked up by.
    pub turned: bool,
    pub phase: Phase,
    pub traced: bool,
}

impl Skb {
    pub fn new(packet: Packet, phase: Phase, traced: bool) -> Skb {
        Skb {
            packet,
            mark: 0,
            ct: None,
            in_link: None,
            physical_in: None,
            prerouted: false,
            turned: false,
            phase,
            traced,
        }
    }

    pub fn headers(&self) -> &Headers {
        &self.packet.headers
    }

    /// What is left of it when it enters another namespace (`skb_scrub_packet`).
    pub fn scrub(&mut self, other_namespace: bool) {
        self.ct = None;
        self.in_link = None;
        self.physical_in = None;
        self.prerouted = false;
        if other_namespace {
            self.mark = 0;
        }
    }
}

/// An ARP packet (RFC 826).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arp {
    pub eth_dst: Mac,
    pub request: bool,
    pub sender_mac: Mac,
    pub sender: Ipv4Addr,
    pub target: Ipv4Addr,
}

/// What travels over links.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Ip(Box<Skb>),
    Arp(Arp),
}

/// Something that happens later. At the same tick the earlier kind goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// Ask a neighbour again, or give up.
    Neighbour {
        link: LinkId,
        address: Ipv4Addr,
        attempt: u32,
    },
    /// The client has waited long enough.
    Deadline,
    /// The client sends again.
    Resend(u32),
}

/// A packet that waits for its neighbour's address, and where it goes then.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub skb: Box<Skb>,
    /// Bridged with a new destination: goes on in the bridge from this port.
    pub bridged: bool,
}

/// One tick of the kernel's timers: all of them are rounded up to it.
const TICK: u64 = 4_000_000;
/// Frames that one walk may move: more is a loop.
const LIMIT: u32 = 200_000;

/// The state of a walk.
pub(crate) struct Walk<'a> {
    pub net: &'a mut Network,
    pub dice: &'a mut dyn Dice,
    pub trace: Option<&'a mut Trace>,
    /// Who sees to a namespace before the walk first meets its rules, and those seen to.
    pub upkeep: Option<&'a mut dyn Upkeep>,
    pub seen_to: Vec<NamespaceId>,
    pub now: Time,
    pub queue: VecDeque<(LinkId, Frame)>,
    pub timers: BTreeMap<(Time, Timer), ()>,
    pub waiting: BTreeMap<(LinkId, Ipv4Addr), Vec<Waiting>>,
    pub client: Option<Client>,
    pub sessions: Vec<Session>,
    /// A datagram whose server has not said yet what it answers.
    pub held: Option<Box<Skb>>,
    /// Frames that a device sends later (netem), by when and their order.
    pub delayed: BTreeMap<(Time, u32), (LinkId, Frame)>,
    pub moved: u32,
    /// Nobody will look at counters: they stay as they are.
    pub quiet: bool,
    /// The kernel is under way with an ICMP packet of its own.
    pub icmp_busy: bool,
}

/// A walk between two ticks, when no frame is under way: all of it but the network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paused {
    pub now: Time,
    pub timers: BTreeMap<(Time, Timer), ()>,
    pub waiting: BTreeMap<(LinkId, Ipv4Addr), Vec<Waiting>>,
    pub client: Option<Client>,
    pub sessions: Vec<Session>,
    pub held: Option<Box<Skb>>,
    pub delayed: BTreeMap<(Time, u32), (LinkId, Frame)>,
    pub moved: u32,
}

impl<'a> Walk<'a> {
    /// Goes on with a walk that was paused.
    pub fn resume(net: &'a mut Network, dice: &'a mut dyn Dice, paused: Paused) -> Walk<'a> {
        Walk {
            timers: paused.timers,
            waiting: paused.waiting,
            client: paused.client,
            sessions: paused.sessions,
            held: paused.held,
            delayed: paused.delayed,
            moved: paused.moved,
            ..Walk::new(net, paused.now, dice, None)
        }
    }

    /// What is needed to go on later.
    pub fn pause(self) -> Paused {
        Paused {
            now: self.now,
            timers: self.timers,
            waiting: self.waiting,
            client: self.client,
            sessions: self.sessions,
            held: self.held,
            delayed: self.delayed,
            moved: self.moved,
        }
    }

    pub fn new(
        net: &'a mut Network,
        now: Time,
        dice: &'a mut dyn Dice,
        trace: Option<&'a mut Trace>,
    ) -> Walk<'a> {
        Walk {
            net,
            dice,
            trace,
            upkeep: None,
            seen_to: Vec::new(),
            now,
            queue: VecDeque::new(),
            timers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            client: None,
            sessions: Vec::new(),
            held: None,
            delayed: BTreeMap::new(),
            moved: 0,
            quiet: false,
            icmp_busy: false,
        }
    }

    /// Has a namespace's rules brought up to date before they are first asked.
    pub fn see_to(&mut self, namespace: NamespaceId) {
        if let Some(upkeep) = self.upkeep.as_deref_mut()
            && !self.seen_to.contains(&namespace)
        {
            self.seen_to.push(namespace);
            upkeep.see_to(self.net, namespace);
        }
    }

    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.net.links.get(id.0)
    }

    pub fn namespace(&self, id: NamespaceId) -> Option<&Namespace> {
        self.net.namespaces.get(id.0)
    }

    pub fn namespace_mut(&mut self, id: NamespaceId) -> Option<&mut Namespace> {
        self.net.namespaces.get_mut(id.0)
    }

    /// Notes a hop, if the packet is traced.
    #[inline]
    pub fn note(
        &mut self,
        namespace: NamespaceId,
        device: Option<LinkId>,
        skb: &Skb,
        event: Event,
    ) {
        if !skb.traced {
            return;
        }
        let now = self.now;
        if let Some(trace) = self.trace.as_deref_mut() {
            note(trace, now, namespace, device, skb, event);
        }
    }

    /// Is anybody interested in events of this packet? (Spares making them.)
    #[inline]
    pub fn notes(&self, skb: &Skb) -> bool {
        skb.traced && self.trace.is_some()
    }

    pub fn set_timer(&mut self, after: Time, timer: Timer) {
        let at = (self.now + after).0.div_ceil(TICK) * TICK;
        self.timers.insert((Time(at), timer), ());
    }

    pub fn cancel_timers(&mut self, which: impl Fn(&Timer) -> bool) {
        self.timers.retain(|(_, timer), ()| !which(timer));
    }

    /// Runs until nothing is left to do or the client has its answer.
    pub fn run(&mut self) {
        while self.run_queue() && self.fire_timers() {}
    }

    /// Moves frames until none is under way. False: there is nothing to wait for any more.
    pub fn run_queue(&mut self) -> bool {
        while let Some((link, frame)) = self.queue.pop_front() {
            self.moved += 1;
            if self.moved > LIMIT {
                self.lost(link);
                while let Some((link, _)) = self.queue.pop_front() {
                    self.lost(link);
                }
                return false;
            }
            self.receive(link, frame);
        }
        self.held.is_none() && !self.client.as_ref().is_some_and(|c| c.finished())
    }

    /// Goes on to the next tick at which something is due, and does it. False: nothing is.
    pub fn fire_timers(&mut self) -> bool {
        let timer = self.timers.first_key_value().map(|((at, _), ())| *at);
        if let Some((&(due, _), _)) = self.delayed.first_key_value()
            && timer.is_none_or(|at| due <= at)
        {
            self.now = self.now.max(due);
            if let Some((_, (link, frame))) = self.delayed.pop_first() {
                self.depart(link, frame);
            }
            return true;
        }
        let Some(at) = timer else {
            return false;
        };
        self.now = self.now.max(at);
        // What is due at the same tick happens before any packet that comes of it is handled.
        while let Some((&(due, timer), ())) = self.timers.first_key_value() {
            if due > at {
                break;
            }
            self.timers.remove(&(due, timer));
            match timer {
                Timer::Neighbour {
                    link,
                    address,
                    attempt,
                } => self.neighbour_timer(link, address, attempt),
                Timer::Resend(count) => self.resend(count),
                Timer::Deadline => self.deadline(),
            }
        }
        true
    }

    /// Sends a frame out of a device.
    pub fn transmit(&mut self, id: LinkId, frame: Frame) {
        let Some(link) = self.net.links.get(id.0) else {
            return;
        };
        let namespace = link.namespace;
        if !link.up {
            if let Frame::Ip(skb) = &frame {
                self.note(namespace, Some(id), skb, Event::DeviceDown);
            }
            return;
        }
        let (loss, delay) = (link.loss, link.delay);
        let mut frame = frame;
        // Devices that cannot leave the checksum inside a tunnel's packet to others (`hw_enc_features`).
        if let Frame::Ip(skb) = &mut frame
            && skb.packet.inner.is_some()
            && matches!(
                link.kind,
                LinkKind::Loopback | LinkKind::Bridge(_) | LinkKind::Vxlan(_)
            )
        {
            skb.packet.offloaded = false;
        }
        let gone = match &link.kind {
            LinkKind::Veth { peer } => !self.link(*peer).is_some_and(|p| p.up),
            LinkKind::Physical { segment } => segment.is_none(),
            // Only what the IP layer hands it goes through such a tunnel.
            LinkKind::Ipip(_) => {
                self.unsent(id, &frame);
                return;
            }
            // The tunnel itself says what it sends.
            LinkKind::Vxlan(_) => {
                self.vxlan_transmit(id, frame);
                return;
            }
            _ => false,
        };
        if gone {
            self.unsent(id, &frame);
            if let Frame::Ip(skb) = &frame {
                self.note(namespace, Some(id), skb, Event::DeviceDown);
            }
            return;
        }
        self.sent(id, &frame);
        if loss > 0 && self.dice.choose(loss) {
            self.lost(id);
            if let Frame::Ip(skb) = &frame {
                self.note(namespace, Some(id), skb, Event::Lost);
            }
            return;
        }
        if delay > Time::ZERO {
            let order = self.moved.wrapping_add(self.delayed.len() as u32);
            self.delayed.insert((self.now + delay, order), (id, frame));
            return;
        }
        self.depart(id, frame);
    }

    /// A frame is on its way from a device.
    fn depart(&mut self, id: LinkId, frame: Frame) {
        let Some(link) = self.net.links.get(id.0) else {
            return;
        };
        let namespace = link.namespace;
        match &link.kind {
            LinkKind::Loopback => {
                self.now = self.now + Time(1_000);
                self.queue.push_back((id, frame));
            }
            LinkKind::Veth { peer } => {
                let peer = *peer;
                let other = self.link(peer).is_some_and(|p| p.namespace != namespace);
                match frame {
                    Frame::Ip(mut skb) => {
                        self.note(namespace, Some(id), &skb, Event::Veth { peer });
                        skb.scrub(other);
                        self.now = self.now + Time(4_000);
                        self.queue.push_back((peer, Frame::Ip(skb)));
                    }
                    frame => self.queue.push_back((peer, frame)),
                }
            }
            LinkKind::Bridge(_) => self.bridge_transmit(id, frame),
            LinkKind::Vxlan(_) | LinkKind::Ipip(_) => {}
            LinkKind::Dummy => self.lost(id),
            LinkKind::Physical { segment } => {
                let segment = *segment;
                self.segment_transmit(id, segment, frame);
            }
        }
    }

    fn segment_transmit(
        &mut self,
        from: LinkId,
        segment: Option<crate::link::SegmentId>,
        frame: Frame,
    ) {
        let Some(namespace) = self.link(from).map(|l| l.namespace) else {
            return;
        };
        let dst = match &frame {
            Frame::Ip(skb) => skb.headers().eth.dst,
            Frame::Arp(arp) => arp.eth_dst,
        };
        let segment = segment.and_then(|s| self.net.segments.get(s.0));
        let open = |to: &LinkId| {
            segment.is_some_and(|s| {
                s.cut.is_empty() || !s.cut.contains(&((*to).min(from), (*to).max(from)))
            })
        };
        let to: Vec<LinkId> = match segment {
            Some(s) if dst.is_group() => s
                .ports
                .iter()
                .copied()
                .filter(|p| *p != from && open(p))
                .collect(),
            Some(s) => s
                .by_mac
                .get(&dst)
                .copied()
                .filter(|p| *p != from && open(p))
                .into_iter()
                .collect(),
            None => Vec::new(),
        };
        match frame {
            Frame::Ip(mut skb) => {
                let Some((last, others)) = to.split_last() else {
                    let event = if segment.is_some() {
                        Event::SegmentNobody
                    } else {
                        Event::DeviceDown
                    };
                    self.note(namespace, Some(from), &skb, event);
                    self.lost(from);
                    return;
                };
                self.copied(from, others.len());
                self.note(namespace, Some(from), &skb, Event::Segment { to: *last });
                skb.scrub(true);
                self.now = self.now + Time(60_000);
                for other in others {
                    self.queue.push_back((*other, Frame::Ip(skb.clone())));
                }
                self.queue.push_back((*last, Frame::Ip(skb)));
            }
            Frame::Arp(arp) => {
                // Only the one who has the address will answer, and only it (and who captures, or has asked for the
                // sender in vain) needs to hear the question.
                let mut heard = 0;
                for to in to {
                    let asked = |w: &Self| {
                        let namespace = w.link(to).and_then(|l| w.namespace(l.namespace));
                        namespace.is_some_and(|n| {
                            let known = || n.neighbours.get(&(to, arp.sender));
                            n.is_local(arp.target)
                                || known().is_some_and(|k| k.mac != Some(arp.sender_mac))
                        })
                    };
                    if !arp.request
                        || !self.net.captures.is_empty()
                        || self.link(to).is_some_and(|l| l.master.is_some())
                        || asked(self)
                    {
                        heard += 1;
                        self.queue.push_back((to, Frame::Arp(arp)));
                    }
                }
                if heard == 0 {
                    self.lost(from);
                } else {
                    self.copied(from, heard - 1);
                }
            }
        }
    }

    /// A frame arrives at a device.
    fn receive(&mut self, id: LinkId, frame: Frame) {
        let Some(link) = self.net.links.get(id.0).filter(|l| l.up) else {
            self.lost(id);
            return;
        };
        let master = link.master;
        self.received(id, &frame);
        if let Some(bridge) = master {
            self.bridge_input(bridge, id, frame);
            return;
        }
        let Some(link) = self.net.links.get(id.0) else {
            return;
        };
        let (namespace, mac, loopback) = (
            link.namespace,
            link.mac,
            matches!(link.kind, LinkKind::Loopback),
        );
        match frame {
            Frame::Ip(mut skb) => {
                let dst = skb.headers().eth.dst;
                if !loopback && dst != mac && !dst.is_group() {
                    self.note(namespace, Some(id), &skb, Event::OtherHost);
                    return;
                }
                skb.in_link = Some(id);
                self.ip_receive(namespace, id, skb);
            }
            Frame::Arp(arp) => self.arp_receive(namespace, id, arp),
        }
    }
}

/// Notes a hop.
pub(crate) fn note(
    trace: &mut Trace,
    at: Time,
    namespace: NamespaceId,
    device: Option<LinkId>,
    skb: &Skb,
    event: Event,
) {
    let hop = RawHop {
        namespace,
        device,
        phase: skb.phase,
        at,
        event,
        packet: 0,
    };
    trace.note(hop, &skb.packet);
}
