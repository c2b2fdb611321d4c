//! Connection tracking and address translation of one packet
//! (`nf_conntrack_in`, `nf_nat_inet_fn`, `nf_nat_setup_info`, `nf_conntrack_confirm`).

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::engine::{Skb, Tracked};
use super::hooks::AtHook;
use crate::conntrack::{Conntrack, Direction, Entry, Tuple};
use crate::netfilter::Hook;
use crate::netfilter::evaluate::CtState;
use crate::netfilter::nat::{Masquerade, NatTarget};
use crate::packet::{Headers, Protocol, TcpFlags, Transport};
use crate::time::Dice;
use crate::trace::Event;

/// What a NAT target asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Manipulation {
    source: bool,
    addresses: Option<(Ipv4Addr, Ipv4Addr)>,
    ports: Option<(u16, u16)>,
    random: bool,
}

impl Manipulation {
    pub fn target(nat: &NatTarget, source: bool) -> Manipulation {
        Manipulation {
            source,
            addresses: nat.addresses,
            ports: nat.ports,
            random: nat.fully_random(),
        }
    }

    pub fn new(
        source: bool,
        addresses: Option<(Ipv4Addr, Ipv4Addr)>,
        ports: Option<(u16, u16)>,
        random: bool,
    ) -> Manipulation {
        Manipulation {
            source,
            addresses,
            ports,
            random,
        }
    }

    /// Does it change the source (or the destination)?
    pub fn changes_source(&self) -> bool {
        self.source
    }

    pub fn masquerade(m: &Masquerade, address: Ipv4Addr, source: bool) -> Manipulation {
        Manipulation {
            source,
            addresses: Some((address, address)),
            ports: m.ports,
            random: m.fully_random(),
        }
    }

    /// "No change", which still finds another port if the tuple is taken.
    fn nothing(source: bool) -> Manipulation {
        Manipulation {
            source,
            addresses: None,
            ports: None,
            random: false,
        }
    }
}

/// Does this hook change sources (or destinations)? (`HOOK2MANIP`)
fn changes_source(hook: Hook) -> bool {
    matches!(hook, Hook::Postrouting | Hook::Input)
}

/// Addresses and ports of headers as a tuple has them, to one side.
fn manipulate(headers: &mut Headers, to: Tuple, source: bool) {
    let icmp = matches!(headers.l4, Transport::Icmp { kind: 0 | 8, .. });
    if source {
        headers.ip.src = to.src;
        headers.l4.set_sport(to.sport);
    } else {
        headers.ip.dst = to.dst;
        if icmp {
            headers.l4.set_sport(to.sport);
        } else if !matches!(headers.l4, Transport::Icmp { .. }) {
            headers.l4.set_dport(to.dport);
        }
    }
}

fn side(headers: &Headers, source: bool) -> (Ipv4Addr, u16) {
    let (sport, dport) = headers.l4.ports();
    if source {
        (headers.ip.src, sport)
    } else {
        (headers.ip.dst, dport)
    }
}

/// A packet's connection: in the table, or with the packet.
pub(crate) fn entry<'a>(conntrack: &'a Conntrack, skb: &'a Skb) -> Option<&'a Entry> {
    let ct = skb.ct.as_ref()?;
    match (&ct.new, ct.id) {
        (Some(new), _) => Some(new),
        (None, Some(id)) => conntrack.get(id),
        _ => None,
    }
}

impl AtHook<'_> {
    /// A packet's connection.
    pub fn entry<'s>(&'s self, skb: &'s Skb) -> Option<&'s Entry> {
        entry(&self.namespace.conntrack, skb)
    }

    fn change_entry(&mut self, skb: &mut Skb, change: impl FnOnce(&mut Entry)) {
        let Some(ct) = &mut skb.ct else { return };
        if let Some(new) = &mut ct.new {
            change(new);
        } else if let Some(id) = ct.id
            && let Some(entry) = Arc::make_mut(&mut self.namespace.conntrack).get_mut(id)
        {
            change(entry);
        }
    }

    /// Finds or begins the packet's connection.
    pub fn track(&mut self, skb: &mut Skb) {
        if skb.ct.is_some() {
            return;
        }
        let device = self.spot.input.or(self.spot.output);
        let headers = skb.packet.headers;
        let now = self.now;
        let Some(tuple) = Tuple::of(&headers) else {
            self.track_error(skb);
            return;
        };
        let ns = &mut *self.namespace;
        let damaged = skb.packet.is_damaged();
        let mut found = ns.conntrack.find(tuple, now).filter(|_| !damaged);
        let opens = matches!(headers.l4, Transport::Tcp { flags, .. }
            if flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST));
        if let (true, Some((id, Direction::Original))) = (opens, found)
            && ns.conntrack.get(id).is_some_and(Entry::over)
        {
            // A new connection with the ports of one that has ended.
            Arc::make_mut(&mut ns.conntrack).remove(id, now);
            found = None;
        }
        if let Some((id, direction)) = found {
            let conntrack = Arc::make_mut(&mut ns.conntrack);
            let Some(entry) = conntrack.get_mut(id) else {
                return;
            };
            let (replied, before) = (entry.seen_reply, entry.notable());
            let sound = entry.packet(&headers, direction, now);
            let (original, seen_reply) = (entry.original, entry.seen_reply);
            let changed = entry.notable() != before;
            let state = match direction {
                _ if !sound => CtState::Invalid,
                Direction::Reply => CtState::Established,
                Direction::Original if seen_reply => CtState::Established,
                Direction::Original => CtState::New,
            };
            // A reset that is the only answer ends the connection's tracking at once; its own way is still translated.
            let reset =
                matches!(headers.l4, Transport::Tcp { flags, .. } if flags.has(TcpFlags::RST));
            let dead = sound && reset && !replied;
            let last = if dead {
                conntrack.remove(id, now)
            } else {
                if sound && changed {
                    conntrack.updated(id, now);
                }
                None
            };
            conntrack.counts.invalid += u64::from(!sound);
            skb.ct = Some(Tracked {
                state,
                direction,
                id: (sound && !dead).then_some(id),
                new: last.map(Box::new),
                dead,
            });
            let event = Event::ConntrackFound {
                original,
                direction,
            };
            self.note(device, skb, event);
            return;
        }
        let mut entry = Entry::new(tuple, now);
        if !damaged && entry.packet(&headers, Direction::Original, now) {
            skb.ct = Some(Tracked {
                state: CtState::New,
                direction: Direction::Original,
                id: None,
                new: Some(Box::new(entry)),
                dead: false,
            });
            self.note(device, skb, Event::ConntrackNew { tuple });
        } else {
            Arc::make_mut(&mut ns.conntrack).counts.invalid += 1;
            skb.ct = Some(Tracked {
                state: CtState::Invalid,
                direction: Direction::Original,
                id: None,
                new: None,
                dead: false,
            });
            self.note(device, skb, Event::ConntrackInvalid);
        }
    }

    /// An ICMP error belongs to the connection of the packet that it is about.
    fn track_error(&mut self, skb: &mut Skb) {
        let now = self.now;
        let inner = skb
            .packet
            .quoted
            .as_ref()
            .and_then(|q| Tuple::of(q))
            .map(Tuple::inverted);
        let found = inner.and_then(|t| self.namespace.conntrack.find(t, now));
        skb.ct = Some(match found {
            Some((id, direction)) => Tracked {
                state: CtState::Related,
                direction,
                id: Some(id),
                new: None,
                dead: false,
            },
            None => Tracked {
                state: CtState::Invalid,
                direction: Direction::Original,
                id: None,
                new: None,
                dead: false,
            },
        });
    }

    /// The nat table at a hook. False: dropped.
    pub fn nat_hook(&mut self, skb: &mut Skb) -> bool {
        let source = changes_source(self.spot.hook);
        let Some(entry) = self.entry(skb).copied() else {
            return true;
        };
        let (state, direction) = skb
            .ct
            .as_ref()
            .map_or((CtState::Untracked, Direction::Original), |ct| {
                (ct.state, ct.direction)
            });
        match state {
            // Only errors: a reset that `-j REJECT` has sent is related too, and goes on as a first packet does.
            CtState::Related if skb.headers().ip.protocol == Protocol::ICMP => {
                self.translate_error(skb, &entry, direction, source);
                return true;
            }
            CtState::New | CtState::Related => {
                let done = if source {
                    entry.snat_done
                } else {
                    entry.dnat_done
                };
                if !done {
                    let Ok(asked) = self.nat_rules(skb) else {
                        return false;
                    };
                    // DNAT in PREROUTING and OUTPUT, SNAT in POSTROUTING and INPUT: others are refused when rules are made.
                    let asked = asked
                        .filter(|m| m.source == source)
                        .unwrap_or(Manipulation::nothing(source));
                    if !self.set_up(skb, asked) {
                        return false;
                    }
                }
            }
            _ => {}
        }
        self.translate(skb, direction, source);
        true
    }

    /// Decides what a new connection's tuples become (`nf_nat_setup_info`).
    fn set_up(&mut self, skb: &mut Skb, asked: Manipulation) -> bool {
        let Some(entry) = self.entry(skb) else {
            return false;
        };
        let current = entry.reply.inverted();
        let conntrack = &self.namespace.conntrack;
        let Some(tuple) = unique_tuple(conntrack, current, asked, self.now, self.dice) else {
            return false;
        };
        self.change_entry(skb, |entry| {
            if asked.source {
                entry.snat |= tuple != current;
                entry.snat_done = true;
            } else {
                entry.dnat |= tuple != current;
                entry.dnat_done = true;
            }
            entry.reply = tuple.inverted();
        });
        true
    }

    /// Rewrites a packet of a translated connection (`nf_nat_packet`).
    fn translate(&mut self, skb: &mut Skb, direction: Direction, source: bool) {
        let Some(entry) = self.entry(skb) else {
            return;
        };
        let applies = if source == (direction == Direction::Original) {
            entry.snat
        } else {
            entry.dnat
        };
        if !applies {
            return;
        }
        let to = entry.tuple(direction.other()).inverted();
        let from = side(skb.headers(), source);
        manipulate(&mut skb.packet.headers, to, source);
        let after = side(skb.headers(), source);
        if from == after {
            return;
        }
        // `inet_proto_csum_replace4` takes the outer checksum for the one that is left to the device.
        let udp = skb.headers().ip.protocol == Protocol::UDP;
        skb.packet.spoiled |= udp && skb.packet.inner.is_some() && skb.packet.offloaded;
        let event = Event::Translated {
            source,
            from,
            to: after,
        };
        self.note(self.spot.device(), skb, event);
    }

    /// Rewrites an ICMP error about a translated connection, outside and inside (`nf_nat_icmp_reply_translation`).
    fn translate_error(
        &mut self,
        skb: &mut Skb,
        entry: &Entry,
        direction: Direction,
        source: bool,
    ) {
        let applies = if source == (direction == Direction::Original) {
            entry.snat
        } else {
            entry.dnat
        };
        if !applies {
            return;
        }
        let inner = entry.tuple(direction.other());
        if let Some(quoted) = &mut skb.packet.quoted {
            manipulate(quoted, inner, !source);
        }
        let outer = inner.inverted();
        let from = side(skb.headers(), source);
        if source {
            skb.packet.headers.ip.src = outer.src;
        } else {
            skb.packet.headers.ip.dst = outer.dst;
        }
        let to = side(skb.headers(), source);
        self.note(
            self.spot.device(),
            skb,
            Event::Translated { source, from, to },
        );
    }

    /// Enters a new connection when its first packet leaves or is delivered. False: dropped.
    pub fn confirm(&mut self, skb: &mut Skb) -> bool {
        let now = self.now;
        let Some(ct) = &mut skb.ct else { return true };
        // An error or reset that answers a first packet does not enter that packet's connection; one that answers such an
        // answer goes its way, and does.
        if ct.direction == Direction::Reply || ct.dead {
            return true;
        }
        let Some(entry) = ct.new.take() else {
            return true;
        };
        let conntrack = Arc::make_mut(&mut self.namespace.conntrack);
        // Somebody was faster: the same connection is there, and this packet belongs to it.
        if let Some((id, direction)) = conntrack.find(entry.original, now) {
            ct.id = Some(id);
            ct.direction = direction;
            return true;
        }
        if conntrack.find(entry.reply, now).is_some() {
            conntrack.counts.insert_failed += 1;
            return false;
        }
        ct.id = Some(conntrack.insert(*entry, now));
        let event = Event::ConntrackConfirmed {
            original: entry.original,
            reply: entry.reply,
        };
        self.note(self.spot.device(), skb, event);
        true
    }
}

/// The ports that a changed one is looked for in (`nf_nat_l4proto_unique_tuple`).
fn default_range(port: u16) -> (u16, u16) {
    match port {
        0..512 => (1, 511),
        512..1024 => (600, 1023),
        _ => (1024, u16::MAX),
    }
}

fn unique_tuple(
    conntrack: &Conntrack,
    current: Tuple,
    asked: Manipulation,
    now: crate::time::Time,
    dice: &mut dyn Dice,
) -> Option<Tuple> {
    let taken = |tuple: &Tuple| conntrack.find(tuple.inverted(), now).is_some();
    let mut tuple = current;
    if let Some((first, last)) = asked.addresses {
        // A range is spread by the client's address, as the kernel does.
        let (low, high) = (first.to_bits(), last.to_bits().max(first.to_bits()));
        let span = u64::from(high - low) + 1;
        let own = if asked.source {
            current.src
        } else {
            current.dst
        };
        let hash = u64::from(current.src.to_bits().wrapping_mul(0x9e37_79b1)) % span;
        let address = if own >= first && own <= last {
            own
        } else {
            Ipv4Addr::from_bits(low + hash as u32)
        };
        if asked.source {
            tuple.src = address;
        } else {
            tuple.dst = address;
        }
    }
    let port = if asked.source {
        tuple.sport
    } else {
        tuple.dport
    };
    let range = asked.ports;
    let fits = range.is_none_or(|(first, last)| port >= first && port <= last);
    if !asked.random && fits && (!taken(&tuple) || !asked.source && range.is_none()) {
        return Some(tuple);
    }
    if !asked.source
        && let Some((first, last)) = range
        && first == last
    {
        tuple.dport = first;
        return Some(tuple);
    }
    if tuple.protocol == Protocol::ICMP && range.is_none() && !asked.source {
        return Some(tuple);
    }
    if !asked.source && range.is_none() {
        return Some(tuple);
    }
    let (first, last) = range.unwrap_or_else(|| {
        if tuple.protocol == Protocol::ICMP {
            (0, u16::MAX)
        } else {
            default_range(port)
        }
    });
    let span = u32::from(last - first) + 1;
    let offset = dice.number(span);
    for attempt in 0..span.min(4096) {
        let candidate = first + ((offset + attempt) % span) as u16;
        if asked.source {
            tuple.sport = candidate;
        } else {
            tuple.dport = candidate;
        }
        if !taken(&tuple) {
            return Some(tuple);
        }
    }
    None
}
