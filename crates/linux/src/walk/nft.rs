//! A packet in the chains of nftables.

use std::sync::Arc;

use super::engine::{Skb, note};
use super::hooks::{AtHook, Decided, Spot};
use super::nat::Manipulation;
use crate::conntrack::Entry;
use crate::link::{Link, LinkId};
use crate::namespace::Namespace;
use crate::netfilter::addrtype::type_of;
use crate::netfilter::evaluate::CtState;
use crate::netfilter::limit::Bucket;
use crate::netfilter::nft::{
    Chain, Comparison, DataType, Datum, Element, Key, Lease, MapRef, Nat, NatKind, NatTo, Nftables,
    Rule, Selector, Set, Statement, Table, Update, Values, Verdict,
};
use crate::netfilter::{ChainName, Policy};
use crate::packet::{Protocol, Transport};
use crate::slab::Slab;
use crate::time::{Dice, Time};
use crate::trace::{Event, NftSaid, Trace};

/// Deepest nesting of jumps (`NFT_JUMP_STACK_SIZE`).
const DEPTH: u32 = 16;
/// The most elements that a set takes when packets fill it, if it does not say so itself.
const SIZE: usize = 65535;

/// What a rule came to.
enum Outcome {
    /// It did not match.
    No,
    /// It matched, and the next one is asked.
    On,
    Verdict(Verdict),
    Decided(Decided),
}

struct Traversal<'a> {
    namespace: &'a mut Namespace,
    links: &'a Slab<Link>,
    trace: Option<&'a mut Trace>,
    dice: &'a mut dyn Dice,
    skb: &'a mut Skb,
    now: Time,
    table: &'a Arc<Table>,
    spot: Spot,
    ct_state: CtState,
    entry: Option<Entry>,
    /// The element that the rule found in its map, for the trace.
    found: Option<Key>,
}

impl Traversal<'_> {
    fn device(&self, id: Option<LinkId>) -> &str {
        let link = id.and_then(|id| self.links.get(id.0));
        link.map_or("", |link| &link.name)
    }

    /// What a selector gives; None: the packet has no such thing, and the rule does not match.
    fn read(&mut self, selector: Selector, place: (&Chain, &Rule)) -> Option<Key> {
        let headers = self.skb.packet.headers;
        let (sport, dport) = headers.l4.ports();
        let has_ports = matches!(
            headers.ip.protocol,
            Protocol::TCP | Protocol::UDP | Protocol::SCTP
        );
        let port = |destination: bool| {
            let port = if destination { dport } else { sport };
            has_ports.then(|| Key::EMPTY.port(port))
        };
        let name = |name: &str| {
            let mut bytes = [0u8; 16];
            let length = name.len().min(15);
            bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
            Key::of(&bytes)
        };
        Some(match selector {
            Selector::IpSaddr => Key::EMPTY.address(headers.ip.src),
            Selector::IpDaddr => Key::EMPTY.address(headers.ip.dst),
            Selector::Ip6Saddr | Selector::Ip6Daddr => return None,
            Selector::IpProtocol | Selector::L4Proto => Key::EMPTY.protocol(headers.ip.protocol),
            Selector::IpTtl => Key::number(u32::from(headers.ip.ttl)),
            Selector::NfProto => Key::of(&[2]),
            Selector::Port { destination } => port(destination)?,
            Selector::PortOf(protocol, destination) => {
                if headers.ip.protocol != protocol {
                    return None;
                }
                port(destination)?
            }
            Selector::IcmpType => match headers.l4 {
                Transport::Icmp { kind, .. } => Key::of(&[kind]),
                _ => return None,
            },
            Selector::Icmp6Type | Selector::Ip6Nexthdr => return None,
            Selector::TcpFlags => match headers.l4 {
                Transport::Tcp { flags, .. } => Key::of(&[flags.0]),
                _ => return None,
            },
            Selector::Iif | Selector::Iifname => name(self.device(self.spot.input)),
            Selector::Oif | Selector::Oifname => name(self.device(self.spot.output)),
            Selector::Mark => Key::number(self.skb.mark),
            Selector::CtMark => Key::number(self.entry?.mark),
            Selector::CtState => Key::number(match self.ct_state {
                CtState::Invalid => 1,
                CtState::Established => 2,
                CtState::Related => 4,
                CtState::New => 8,
                CtState::Untracked => 64,
            }),
            Selector::CtStatus => {
                let entry = self.entry?;
                let bits = [
                    (entry.seen_reply, 2),
                    (entry.assured, 4),
                    (entry.snat, 16),
                    (entry.dnat, 32),
                ];
                let set = bits.iter().filter(|b| b.0).map(|b| b.1);
                Key::number(set.fold(0, |all, bit| all | bit))
            }
            Selector::FibType { source } => {
                let address = if source {
                    headers.ip.src
                } else {
                    headers.ip.dst
                };
                let bit = type_of(&self.namespace.local, address, None);
                Key::number(bit.trailing_zeros())
            }
            Selector::Length => Key::number(self.skb.packet.total_length()),
            Selector::Numgen {
                random: true,
                modulus,
                offset,
            } => Key::number(offset.wrapping_add(self.dice.pick(modulus))),
            Selector::Numgen {
                modulus, offset, ..
            } => {
                let key = (self.table.made, place.0.name.clone(), place.1.offset);
                let turns = &mut self.namespace.netfilter.state_mut().nft_turns;
                let turn = turns.entry(key).or_insert(modulus.wrapping_sub(1));
                *turn = (*turn + 1) % modulus.max(1);
                Key::number(offset.wrapping_add(*turn))
            }
        })
    }

    fn read_all(&mut self, selectors: &[Selector], place: (&Chain, &Rule)) -> Option<Key> {
        let mut key = Key::EMPTY;
        for selector in selectors {
            key = key.then(self.read(*selector, place)?.bytes());
        }
        Some(key)
    }

    fn leased(&self, set: &ChainName, key: &Key) -> Option<Element> {
        let state = self.namespace.netfilter.state.as_ref()?;
        let leases = state.leases.get(&(self.table.made, set.clone()))?;
        let (lease, element) = leases.get(key)?;
        let alive = lease.expires.is_none_or(|at| at > self.now);
        alive.then(|| element.clone())
    }

    fn set_holds(&self, name: &ChainName, key: &Key) -> bool {
        self.table.set(name).is_some_and(|set| {
            set.find(key).is_some() || (set.flags.timeout && self.leased(name, key).is_some())
        })
    }

    fn look_up(&mut self, map: &MapRef, key: &Key) -> Option<Datum> {
        let table = self.table;
        let found = match map {
            MapRef::Own(set) => set.find(key).cloned(),
            MapRef::Named(name) => {
                let set: &Arc<Set> = table.set(name)?;
                set.find(key)
                    .cloned()
                    .or_else(|| set.flags.timeout.then(|| self.leased(name, key)).flatten())
            }
        };
        self.found = Some(*key);
        found?.datum
    }

    fn holds(&self, key: &Key, bits: bool, comparison: Comparison, right: &Values) -> bool {
        let equal = match right {
            // One bit of several is enough.
            Values::One(value) if bits => key.as_u32() & value.as_u32() != 0,
            Values::One(value) => match comparison {
                Comparison::Less => return key < value,
                Comparison::Greater => return key > value,
                Comparison::AtMost => return key <= value,
                Comparison::AtLeast => return key >= value,
                Comparison::Equal | Comparison::NotEqual => key == value,
            },
            Values::Range(from, to) => key >= from && key <= to,
            Values::Beginning(start) => key.bytes().starts_with(start.as_bytes()),
            Values::Set(set) => set.find(key).is_some(),
            Values::Named(name) => self.set_holds(name, key),
        };
        equal == (comparison != Comparison::NotEqual)
    }

    fn rule(&mut self, chain: &Chain, rule: &Rule) -> Outcome {
        let place = (chain, rule);
        self.found = None;
        for statement in &rule.statements {
            match statement {
                Statement::Match {
                    left,
                    mask,
                    comparison,
                    right,
                } => {
                    let Some(mut key) = self.read_all(left, place) else {
                        return Outcome::No;
                    };
                    let one = left.first().filter(|_| left.len() == 1).map(|s| s.kind());
                    let mut bits = one.is_some_and(DataType::is_bits);
                    if let Some(mask) = mask {
                        let masked = (key.as_u32() & mask).to_be_bytes();
                        key = Key::of(&masked[4 - key.bytes().len().min(4)..]);
                        bits = false;
                    }
                    if !self.holds(&key, bits, *comparison, right) {
                        return Outcome::No;
                    }
                }
                Statement::VerdictMap(selectors, map) => {
                    let key = self.read_all(selectors, place);
                    let Some(Datum::Verdict(verdict)) = key.and_then(|key| self.look_up(map, &key))
                    else {
                        return Outcome::No;
                    };
                    if verdict != Verdict::Continue {
                        return Outcome::Verdict(verdict);
                    }
                }
                Statement::Verdict(verdict) => return Outcome::Verdict(verdict.clone()),
                Statement::SetMark(change) => self.skb.mark = change.apply(self.skb.mark),
                Statement::Reject(with, _) => return Outcome::Decided(Decided::Reject(*with)),
                Statement::Nat(nat) => {
                    return match self.translation(nat, place) {
                        Some(manipulation) => Outcome::Decided(Decided::Nat(manipulation)),
                        None => Outcome::No,
                    };
                }
                Statement::Update {
                    operation,
                    set,
                    key,
                    timeout,
                } => {
                    let Some(key) = self.read_all(key, place) else {
                        return Outcome::No;
                    };
                    if !self.update(*operation, set, key, *timeout) {
                        return Outcome::No;
                    }
                }
                Statement::Counter => {
                    let bytes = self.skb.packet.total_length();
                    let key = (self.table.made, chain.name.clone(), rule.offset);
                    let counters = &mut self.namespace.netfilter.state_mut().nft_counters;
                    counters.entry(key).or_default().count(bytes);
                }
                Statement::Limit(rate) => {
                    let (cost, now) = (rate.cost().0, self.now.0);
                    let most = cost * u64::from(rate.burst);
                    let key = (self.table.made, chain.name.clone(), rule.offset);
                    let buckets = &mut self.namespace.netfilter.state_mut().nft_buckets;
                    let bucket = buckets
                        .entry(key)
                        .or_insert_with(|| Bucket::full(most, now));
                    if bucket.take(cost, most, now) == rate.over {
                        return Outcome::No;
                    }
                }
                Statement::Log(_) => {}
                Statement::Notrack => self.ct_state = CtState::Untracked,
            }
        }
        Outcome::On
    }

    /// False: the set is full, and the rule goes no further.
    fn update(
        &mut self,
        operation: Update,
        name: &ChainName,
        key: Key,
        timeout: Option<u64>,
    ) -> bool {
        let Some(set) = self.table.set(name).cloned() else {
            return false;
        };
        let now = self.now;
        let place = (self.table.made, name.clone());
        let leases = &mut self.namespace.netfilter.state_mut().leases;
        let leases = leases.entry(place).or_default();
        if operation == Update::Delete {
            leases.remove(&key);
            return true;
        }
        let alive = |lease: &Lease| lease.expires.is_none_or(|at| at > now);
        let known = leases.get(&key).is_some_and(|(lease, _)| alive(lease));
        if known && operation == Update::Add {
            return true;
        }
        let most = set.size.map_or(SIZE, |size| size as usize);
        if !known && leases.len() >= most {
            leases.retain(|_, (lease, _)| alive(lease));
            if leases.len() >= most {
                return false;
            }
        }
        let lasts = timeout.or(set.timeout);
        let lease = Lease {
            expires: lasts.map(|ms| now + Time::from_millis(ms)),
            span: timeout.filter(|ms| set.timeout != Some(*ms)),
        };
        leases.insert(key, (lease, Element::default()));
        true
    }

    fn translation(&mut self, nat: &Nat, place: (&Chain, &Rule)) -> Option<Manipulation> {
        let source = matches!(nat.kind, NatKind::Snat | NatKind::Masquerade);
        let random = nat.random || nat.fully_random;
        let (mut addresses, ports) = match &nat.to {
            NatTo::Nothing => (None, None),
            NatTo::Fixed { addresses, ports } => (*addresses, *ports),
            NatTo::Map(selectors, map) => {
                let key = self.read_all(selectors, place)?;
                let Some(Datum::Value(value)) = self.look_up(map, &key) else {
                    return None;
                };
                let address: [u8; 4] = value.field(0, 4).try_into().ok()?;
                let port: Option<[u8; 2]> = value.field(4, 2).try_into().ok();
                let port = port.map(u16::from_be_bytes);
                (
                    Some((address.into(), address.into())),
                    port.map(|port| (port, port)),
                )
            }
        };
        let own = match nat.kind {
            NatKind::Masquerade => {
                let towards = self.spot.next_hop.unwrap_or(self.skb.packet.headers.ip.dst);
                let out = self.spot.output.and_then(|o| self.links.get(o.0));
                let any = || {
                    let links = self.namespace.links.iter();
                    links
                        .filter_map(|l| self.links.get(l.0))
                        .find_map(|l| l.select_address(None))
                };
                Some(
                    out.and_then(|link| link.select_address(Some(towards)))
                        .or_else(any)?,
                )
            }
            NatKind::Redirect => Some(match self.spot.input {
                Some(input) => self.links.get(input.0)?.select_address(None)?,
                None => std::net::Ipv4Addr::LOCALHOST,
            }),
            NatKind::Dnat | NatKind::Snat => None,
        };
        if let Some(own) = own {
            addresses = Some((own, own));
        }
        Some(Manipulation::new(source, addresses, ports, random))
    }

    fn note(&mut self, event: Event) {
        if self.skb.traced
            && let Some(trace) = self.trace.as_deref_mut()
        {
            let device = self.spot.device();
            note(trace, self.now, self.namespace.id, device, self.skb, event);
        }
    }

    /// None: the end was reached without a decision.
    fn chain(&mut self, chain: &Arc<Chain>, depth: u32) -> Option<Decided> {
        let mut passed = 0usize;
        for (index, rule) in chain.rules.iter().enumerate() {
            let outcome = self.rule(chain, rule);
            let verdict = match &outcome {
                Outcome::No => continue,
                Outcome::Verdict(verdict) => Some(verdict.clone()),
                Outcome::On | Outcome::Decided(_) => None,
            };
            if self.skb.traced {
                let event = Event::NftRule {
                    table: self.table.name.clone(),
                    chain: chain.clone(),
                    index: index as u32,
                    passed: (index - passed) as u32,
                    said: said(verdict.clone(), self.found),
                };
                self.note(event);
            }
            passed = index + 1;
            let verdict = match outcome {
                Outcome::Decided(decided) => return Some(decided),
                Outcome::Verdict(verdict) => verdict,
                Outcome::No | Outcome::On => continue,
            };
            match verdict {
                Verdict::Accept => return Some(Decided::Accept),
                Verdict::Drop => return Some(Decided::Drop),
                Verdict::Continue => {}
                Verdict::Return => return None,
                Verdict::Jump(ref to) | Verdict::Goto(ref to) => {
                    let Some(next) = self.table.chain(to).cloned() else {
                        continue;
                    };
                    let decided = if depth < DEPTH {
                        self.chain(&next, depth + 1)
                    } else {
                        Some(Decided::Drop)
                    };
                    if decided.is_some() || matches!(verdict, Verdict::Goto(_)) {
                        return decided;
                    }
                }
            }
        }
        if self.skb.traced && chain.base.is_none() {
            self.note(Event::NftChainEnd {
                table: self.table.name.clone(),
                chain: chain.clone(),
                passed: (chain.rules.len() - passed) as u32,
            });
        }
        None
    }

    /// A base chain and its policy.
    fn run(&mut self, chain: &Arc<Chain>) -> Decided {
        if let Some(decided) = self.chain(chain, 0) {
            return decided;
        }
        let policy = chain.base.map_or(Policy::Accept, |base| base.policy);
        if self.skb.traced && (!chain.rules.is_empty() || policy == Policy::Drop) {
            self.note(Event::NftPolicy {
                table: self.table.name.clone(),
                chain: chain.clone(),
                policy,
            });
        }
        match policy {
            Policy::Accept => Decided::Accept,
            Policy::Drop => Decided::Drop,
        }
    }
}

fn said(verdict: Option<Verdict>, element: Option<Key>) -> Option<Box<NftSaid>> {
    let something = verdict.is_some() || element.is_some();
    something.then(|| Box::new(NftSaid { verdict, element }))
}

impl AtHook<'_> {
    /// The tables of nftables, if one of their base chains is asked at this hook.
    pub fn nft(&self) -> Option<Arc<Nftables>> {
        let nft = self.namespace.netfilter.nft()?;
        (!nft.at(self.spot.hook).is_empty()).then(|| nft.clone())
    }

    /// One base chain of nftables: the `index`th at the hook.
    pub fn nft_chain(&mut self, nft: &Nftables, index: usize, skb: &mut Skb) -> Option<Decided> {
        let registered = nft.at(self.spot.hook).get(index)?;
        let table = nft.tables().get(registered.table)?;
        let chain = table.chain(&registered.chain)?.clone();
        let ct_state = skb.ct.as_ref().map_or(CtState::Untracked, |ct| ct.state);
        let entry = self.entry(skb).copied();
        let mut traversal = Traversal {
            namespace: self.namespace,
            links: self.links,
            trace: self.trace.as_deref_mut(),
            dice: self.dice,
            skb,
            now: self.now,
            table,
            spot: self.spot,
            ct_state,
            entry,
            found: None,
        };
        Some(traversal.run(&chain))
    }
}
