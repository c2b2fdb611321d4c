//! A packet at a hook: connection tracking and the tables, in their order.

use std::sync::Arc;

use super::engine::{Skb, Tracked, Walk, note};
use super::ip::way_out;
use super::nat::{Manipulation, entry};
use crate::link::{Link, LinkId, NamespaceId};
use crate::mesh::Mesh;
use crate::namespace::Namespace;
use crate::netfilter::evaluate::{Context, CtState};
use crate::netfilter::log::LINES_MAX;
use crate::netfilter::nft::Nftables;
use crate::netfilter::{
    Chain, Hook, LogTarget, Met, Policy, RejectWith, Step, Table, TableKind, Target,
};
use crate::network::Network;
use crate::route::Flow;
use crate::slab::Slab;
use crate::time::{Dice, Time};
use crate::trace::{Event, Phase, RawHop, Trace};

/// What became of a packet at a hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Passed {
    Accepted,
    Dropped,
    /// Dropped, and an answer was sent.
    Rejected,
}

/// What a table decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decided {
    Accept,
    Drop,
    Reject(RejectWith),
    Nat(Manipulation),
}

/// Where a packet is while netfilter looks at it.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    pub namespace: NamespaceId,
    pub hook: Hook,
    pub input: Option<LinkId>,
    pub output: Option<LinkId>,
    /// The bridge's port that a bridged packet leaves by.
    pub physical_out: Option<LinkId>,
    /// The route's next hop, for MASQUERADE.
    pub next_hop: Option<std::net::Ipv4Addr>,
}

impl Spot {
    /// The device that a hop at this spot is about: where the packet goes, or else whence it came.
    pub fn device(&self) -> Option<LinkId> {
        self.output.or(self.input)
    }
}

/// Deepest nesting of jumps (`NFT_JUMP_STACK_SIZE`).
const DEPTH: u32 = 16;

/// What looks at a packet at a hook: its namespace, and what is at hand there.
pub(crate) struct AtHook<'a> {
    pub namespace: &'a mut Namespace,
    pub links: &'a Slab<Link>,
    mesh: Option<&'a Mesh>,
    pub trace: Option<&'a mut Trace>,
    pub dice: &'a mut dyn Dice,
    pub now: Time,
    quiet: bool,
    pub spot: Spot,
}

/// Why a packet goes no further at a hook.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    Dropped,
    Rejected(RejectWith),
    /// It has no way any more: nobody else is asked.
    Stray,
}

/// One walk through a table's chains.
struct Traversal<'a> {
    rules: &'a Table,
    cx: Context<'a>,
    namespace: NamespaceId,
    /// The namespace's devices.
    own: &'a [LinkId],
    links: &'a Slab<Link>,
    /// Of a packet that is traced.
    trace: Option<&'a mut Trace>,
    phase: Phase,
    ct: &'a mut Option<Tracked>,
    quiet: bool,
    spot: Spot,
}

impl<'a> Traversal<'a> {
    /// None: the end was reached without a decision.
    fn chain(&mut self, chain: &'a Arc<Chain>, depth: u32) -> Option<Decided> {
        let mut passed = 0usize;
        for index in chain.candidates(&self.cx.packet.headers, 0) {
            let Some(rule) = chain.rules.get(index) else {
                break;
            };
            (self.cx.chain, self.cx.index) = (&chain.name, index as u32);
            if !rule.matches(&mut self.cx) {
                continue;
            }
            self.count(chain, Some(index));
            if let Target::Mark(mark) = &rule.target {
                self.cx.mark = mark.apply(self.cx.mark);
            }
            if self.trace.is_some() {
                self.note(Event::Rule {
                    table: self.cx.table,
                    chain: chain.clone(),
                    index: index as u32,
                    passed: (index - passed) as u32,
                });
            }
            passed = index + 1;
            match &rule.target {
                Target::None | Target::Mark(_) => {}
                Target::Log(log) => self.log(log),
                Target::Accept => return Some(Decided::Accept),
                Target::Drop => return Some(Decided::Drop),
                Target::Return => {
                    // From a built-in chain: to its policy.
                    return None;
                }
                Target::Reject(with) => return Some(Decided::Reject(*with)),
                Target::Notrack => {
                    self.ct.get_or_insert_with(Tracked::not);
                }
                Target::Jump(to) | Target::Goto(to) => {
                    let Some(next) = self.rules.chain(to) else {
                        continue;
                    };
                    let decided = if depth < DEPTH {
                        self.chain(next, depth + 1)
                    } else {
                        Some(Decided::Drop)
                    };
                    if decided.is_some() || matches!(rule.target, Target::Goto(_)) {
                        return decided;
                    }
                }
                Target::Dnat(nat) => return Some(Decided::Nat(Manipulation::target(nat, false))),
                Target::Snat(nat) => return Some(Decided::Nat(Manipulation::target(nat, true))),
                Target::Masquerade(m) => {
                    let towards = self.spot.next_hop.or(Some(self.cx.dst()));
                    let own = self
                        .spot
                        .output
                        .and_then(|o| self.links.get(o.0))
                        .and_then(|l| l.select_address(towards));
                    // A device without an address of its own (`lo`) takes the first of any other (`inet_select_addr`).
                    let any = || {
                        self.own
                            .iter()
                            .filter_map(|l| self.links.get(l.0))
                            .find_map(|l| l.select_address(None))
                    };
                    let address = own.or_else(any);
                    return Some(address.map_or(Decided::Drop, |a| {
                        Decided::Nat(Manipulation::masquerade(m, a, true))
                    }));
                }
                Target::Redirect(m) => {
                    let address = match self.spot.input {
                        Some(input) => self.links.get(input.0).and_then(|l| l.select_address(None)),
                        None => Some(std::net::Ipv4Addr::LOCALHOST),
                    };
                    return Some(address.map_or(Decided::Drop, |a| {
                        Decided::Nat(Manipulation::masquerade(m, a, false))
                    }));
                }
            }
        }
        if chain.policy.is_none() && self.trace.is_some() {
            self.note(Event::ChainEnd {
                table: self.cx.table,
                chain: chain.clone(),
                passed: (chain.rules.len() - passed) as u32,
            });
        }
        None
    }

    fn note(&mut self, event: Event) {
        if let Some(trace) = self.trace.as_deref_mut() {
            let hop = RawHop {
                namespace: self.namespace,
                device: self.spot.device(),
                phase: self.phase,
                at: self.cx.now,
                event,
                packet: 0,
            };
            trace.note(hop, self.cx.packet);
        }
    }

    /// `-j LOG`: a line in the kernel's log. Nobody listens to NFLOG's groups.
    #[cold]
    fn log(&mut self, target: &LogTarget) {
        if target.group.is_some() {
            return;
        }
        let cx = &mut self.cx;
        let line = target.line(
            cx.packet,
            cx.mark,
            (cx.in_device, cx.out_device),
            (cx.physical_in, cx.physical_out),
        );
        let log = Arc::make_mut(&mut cx.state.get().log);
        log.push_back((cx.now, line.into()));
        if log.len() > LINES_MAX {
            log.pop_front();
        }
    }

    fn count(&mut self, chain: &Chain, index: Option<usize>) {
        if self.quiet {
            return;
        }
        let bytes = self.cx.packet.total_length();
        let counters = &mut self.cx.state.get().counters[self.cx.table as usize];
        counters.count(chain, self.spot.hook, index, bytes);
    }

    /// A built-in chain and its policy.
    fn run(&mut self, chain: &'a Arc<Chain>) -> Decided {
        if let Some(decided) = self.chain(chain, 0) {
            return decided;
        }
        self.count(chain, None);
        let policy = chain.policy.unwrap_or_default();
        if self.trace.is_some() {
            self.note(Event::Policy {
                table: self.cx.table,
                chain: chain.clone(),
                policy,
                passed: 0,
            });
        }
        if policy == Policy::Drop {
            Decided::Drop
        } else {
            Decided::Accept
        }
    }
}

/// What of a packet a route is looked up by.
fn way(skb: &Skb) -> (std::net::Ipv4Addr, std::net::Ipv4Addr, u32) {
    (skb.headers().ip.src, skb.headers().ip.dst, skb.mark)
}

impl Walk<'_> {
    pub fn hook(
        &mut self,
        namespace: NamespaceId,
        hook: Hook,
        skb: &mut Skb,
        input: Option<LinkId>,
        output: Option<LinkId>,
    ) -> Passed {
        let spot = Spot {
            namespace,
            hook,
            input,
            output,
            physical_out: None,
            next_hop: None,
        };
        self.hook_at(spot, skb)
    }

    /// A hook for a packet that passes through a bridge.
    pub fn hook_bridged(
        &mut self,
        namespace: NamespaceId,
        hook: Hook,
        skb: &mut Skb,
        bridge: LinkId,
        port: LinkId,
    ) -> Passed {
        let spot = Spot {
            namespace,
            hook,
            input: (hook == Hook::Forward).then_some(bridge),
            output: Some(bridge),
            physical_out: Some(port),
            next_hop: None,
        };
        self.hook_at(spot, skb)
    }

    /// All that is registered at a hook, in its order.
    pub fn hook_at(&mut self, spot: Spot, skb: &mut Skb) -> Passed {
        self.see_to(spot.namespace);
        let of = |net: &Network| {
            let namespace = net.namespaces.get(spot.namespace.0)?;
            Some(namespace.netfilter.is_empty())
        };
        match of(self.net) {
            None => return Passed::Dropped,
            Some(true) => return Passed::Accepted,
            Some(false) => {}
        }
        let Some(namespace) = self.net.namespaces.get_mut(spot.namespace.0) else {
            return Passed::Dropped;
        };
        let mut at = AtHook {
            namespace,
            links: &self.net.links,
            mesh: self.net.mesh.as_deref(),
            trace: self.trace.as_deref_mut(),
            dice: self.dice,
            now: self.now,
            quiet: self.quiet,
            spot,
        };
        match at.pass(skb) {
            Ok(()) | Err(Stop::Stray) => Passed::Accepted,
            Err(Stop::Dropped) => Passed::Dropped,
            Err(Stop::Rejected(with)) => {
                self.reject(spot.namespace, skb, with);
                Passed::Rejected
            }
        }
    }
}

impl AtHook<'_> {
    fn pass(&mut self, skb: &mut Skb) -> Result<(), Stop> {
        let tracks = self.namespace.netfilter.tracks();
        let kept = |kept: bool| if kept { Ok(()) } else { Err(Stop::Dropped) };
        let nft = self.nft();
        let mut asked = 0;
        for (priority, step) in self.spot.hook.pipeline() {
            if let Some(nft) = &nft {
                self.nft_until(nft, &mut asked, *priority, skb)?;
            }
            if self.strays(skb) {
                return Err(Stop::Stray);
            }
            match step {
                Step::Track | Step::Confirm | Step::Iptables(TableKind::Nat) if !tracks => {}
                Step::Track => self.track(skb),
                Step::Confirm => kept(self.confirm(skb))?,
                Step::Iptables(TableKind::Nat) => {
                    let before = way(skb).1;
                    kept(self.nat_hook(skb))?;
                    skb.turned |= way(skb).1 != before;
                }
                Step::Iptables(kind) => {
                    let before = way(skb);
                    let decided = self.table(*kind, skb);
                    skb.turned |= *kind == TableKind::Mangle && way(skb) != before;
                    stopped(decided)?;
                }
            }
        }
        match &nft {
            Some(nft) => self.nft_until(nft, &mut asked, i32::MAX, skb),
            None => Ok(()),
        }
    }

    /// What changes a packet's way (mangle, address translation) looks for the new one at once: without one nobody else
    /// is asked, and the sender learns why when it looks itself (`nf_route_table_hook4`, `nf_nat_ipv4_local_fn`).
    fn strays(&self, skb: &Skb) -> bool {
        let (dst, src, mark) = (skb.headers().ip.dst, skb.headers().ip.src, skb.mark);
        let flow = Flow {
            src: Some(src),
            mark,
            ..Flow::to(dst)
        };
        self.spot.hook == Hook::Output
            && skb.turned
            && way_out(self.mesh, self.links, self.namespace, &flow).is_err()
    }

    /// Notes a hop, if the packet is traced.
    pub fn note(&mut self, device: Option<LinkId>, skb: &Skb, event: Event) {
        if skb.traced
            && let Some(trace) = self.trace.as_deref_mut()
        {
            note(trace, self.now, self.namespace.id, device, skb, event);
        }
    }

    /// The base chains of nftables (but for address translation) up to a priority, from the `asked`th on.
    fn nft_until(
        &mut self,
        nft: &Nftables,
        asked: &mut usize,
        priority: i32,
        skb: &mut Skb,
    ) -> Result<(), Stop> {
        while let Some(chain) = nft.at(self.spot.hook).get(*asked)
            && chain.priority <= priority
        {
            let index = *asked;
            *asked += 1;
            if chain.nat {
                continue;
            }
            let before = way(skb);
            let decided = self.nft_chain(nft, index, skb);
            skb.turned |= chain.route && way(skb) != before;
            stopped(decided)?;
        }
        Ok(())
    }

    fn table(&mut self, table: TableKind, skb: &mut Skb) -> Option<Decided> {
        let (links, spot) = (self.links, self.spot);
        let Namespace {
            id,
            netfilter,
            conntrack,
            local,
            links: own,
            ..
        } = &mut *self.namespace;
        let Met {
            rules,
            sets,
            mut state,
        } = netfilter.met(table, self.quiet)?;
        let chain = rules.builtin(spot.hook)?;
        if chain.rules.is_empty() && chain.policy == Some(Policy::Accept) {
            if !self.quiet {
                let bytes = skb.packet.total_length();
                state.get().counters[table as usize].count(chain, spot.hook, None, bytes);
            }
            return Some(Decided::Accept);
        }
        let ct_state = skb.ct.as_ref().map_or(CtState::Untracked, |ct| ct.state);
        let entry = entry(conntrack, skb);
        let (dnat, snat) = entry.map_or((false, false), |entry| (entry.dnat, entry.snat));
        let name = |id: Option<LinkId>| id.and_then(|id| links.get(id.0)).map(|l| &*l.name);
        let trace = self.trace.as_deref_mut();
        let mut traversal = Traversal {
            rules,
            namespace: *id,
            own,
            links,
            trace: trace.filter(|_| skb.traced),
            phase: skb.phase,
            ct: &mut skb.ct,
            quiet: self.quiet,
            spot,
            cx: Context {
                packet: &skb.packet,
                mark: skb.mark,
                ct_state,
                dnat,
                snat,
                in_device: name(spot.input),
                out_device: name(spot.output),
                physical_in: name(skb.physical_in),
                physical_out: name(spot.physical_out),
                in_link: spot.input,
                out_link: spot.output,
                local,
                sets,
                state,
                now: self.now,
                dice: self.dice,
                table,
                chain: &chain.name,
                index: 0,
            },
        };
        let decided = traversal.run(chain);
        skb.mark = traversal.cx.mark;
        Some(decided)
    }

    /// What the chains for address translation at a hook say to a new connection; None for nothing. The first that
    /// asks for something is heard (`nf_nat_inet_fn`).
    pub fn nat_rules(&mut self, skb: &mut Skb) -> Result<Option<Manipulation>, ()> {
        let hook = self.spot.hook;
        let own = hook
            .pipeline()
            .iter()
            .find(|step| step.1 == Step::Iptables(TableKind::Nat))
            .map_or(0, |step| step.0);
        let source = matches!(hook, Hook::Postrouting | Hook::Input);
        // DNAT in PREROUTING and OUTPUT, SNAT in POSTROUTING and INPUT: others do nothing.
        let heard = |decided: Option<Decided>| match decided {
            Some(Decided::Nat(asked)) if asked.changes_source() == source => Ok(Some(asked)),
            Some(Decided::Drop | Decided::Reject(_)) => Err(()),
            None | Some(Decided::Accept | Decided::Nat(_)) => Ok(None),
        };
        let nft = self.nft();
        let chains = nft.as_ref().map_or(0, |nft| nft.at(hook).len());
        let mut iptables_asked = false;
        for index in 0..=chains {
            let chain = nft.as_ref().and_then(|nft| nft.at(hook).get(index));
            let later = chain.is_none_or(|chain| chain.priority > own);
            if later && !std::mem::replace(&mut iptables_asked, true) {
                let decided = self.table(TableKind::Nat, skb);
                if let Some(asked) = heard(decided)? {
                    return Ok(Some(asked));
                }
            }
            if let (Some(nft), true) = (&nft, chain.is_some_and(|chain| chain.nat)) {
                let decided = self.nft_chain(nft, index, skb);
                if let Some(asked) = heard(decided)? {
                    return Ok(Some(asked));
                }
            }
        }
        Ok(None)
    }
}

/// What a decision means for the packet.
fn stopped(decided: Option<Decided>) -> Result<(), Stop> {
    match decided {
        None | Some(Decided::Accept | Decided::Nat(_)) => Ok(()),
        Some(Decided::Drop) => Err(Stop::Dropped),
        Some(Decided::Reject(with)) => Err(Stop::Rejected(with)),
    }
}
