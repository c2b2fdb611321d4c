//! A packet at a hook: connection tracking and the tables, in their order.

use std::sync::Arc;

use super::engine::{Skb, Tracked, Walk, note};
use super::nat::Manipulation;
use crate::link::{Link, LinkId, NamespaceId};
use crate::namespace::Namespace;
use crate::netfilter::evaluate::{Context, CtState};
use crate::netfilter::log::LINES_MAX;
use crate::netfilter::nft::Nftables;
use crate::netfilter::{Chain, Hook, LogTarget, Policy, RejectWith, Step, TableKind, Target};
use crate::slab::Slab;
use crate::time::{Dice, Time};
use crate::trace::{Event, Trace};

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

/// One walk through a table's chains.
struct Traversal<'a> {
    namespace: &'a mut Namespace,
    links: &'a Slab<Link>,
    trace: Option<&'a mut Trace>,
    dice: &'a mut dyn Dice,
    skb: &'a mut Skb,
    now: Time,
    quiet: bool,
    table: TableKind,
    spot: Spot,
    ct_state: CtState,
    dnat: bool,
    snat: bool,
}

impl Traversal<'_> {
    /// None: the end was reached without a decision.
    fn chain(&mut self, chain: &Arc<Chain>, depth: u32) -> Option<Decided> {
        let mut passed = 0usize;
        let headers = self.skb.packet.headers;
        let device = self.spot.device();
        let links = self.links;
        let name = |id: Option<LinkId>| id.and_then(|id| links.get(id.0)).map(|l| &*l.name);
        let (in_device, out_device) = (name(self.spot.input), name(self.spot.output));
        let physical_in = name(self.skb.physical_in);
        let physical_out = name(self.spot.physical_out);
        for index in chain.candidates(&headers, 0) {
            let Some(rule) = chain.rules.get(index) else {
                break;
            };
            let mut cx = Context {
                packet: &self.skb.packet,
                mark: self.skb.mark,
                ct_state: self.ct_state,
                dnat: self.dnat,
                snat: self.snat,
                in_device,
                out_device,
                physical_in,
                physical_out,
                in_link: self.spot.input,
                out_link: self.spot.output,
                namespace: self.namespace,
                now: self.now,
                dice: self.dice,
                table: self.table,
                chain: &chain.name,
                index: index as u32,
            };
            if !rule.matches(&mut cx) {
                continue;
            }
            let bytes = self.skb.packet.total_length();
            self.count(chain, Some(index), bytes);
            if let Target::Mark(mark) = &rule.target {
                self.skb.mark = mark.apply(self.skb.mark);
            }
            if self.skb.traced
                && let Some(trace) = self.trace.as_deref_mut()
            {
                let event = Event::Rule {
                    table: self.table,
                    chain: chain.clone(),
                    index: index as u32,
                    passed: (index - passed) as u32,
                };
                note(trace, self.now, self.namespace.id, device, self.skb, event);
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
                    if self.skb.ct.is_none() {
                        self.skb.ct = Some(Tracked::not());
                    }
                }
                Target::Jump(to) | Target::Goto(to) => {
                    let Some(next) = self
                        .namespace
                        .netfilter
                        .table(self.table)
                        .and_then(|t| t.chain(to))
                        .cloned()
                    else {
                        continue;
                    };
                    let decided = if depth < DEPTH {
                        self.chain(&next, depth + 1)
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
                    let towards = self.spot.next_hop.or(Some(self.skb.headers().ip.dst));
                    let own = self
                        .spot
                        .output
                        .and_then(|o| self.links.get(o.0))
                        .and_then(|l| l.select_address(towards));
                    // A device without an address of its own (`lo`) takes the first of any other (`inet_select_addr`).
                    let any = || {
                        self.namespace
                            .links
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
        if self.skb.traced
            && chain.policy.is_none()
            && let Some(trace) = self.trace.as_deref_mut()
        {
            let event = Event::ChainEnd {
                table: self.table,
                chain: chain.clone(),
                passed: (chain.rules.len() - passed) as u32,
            };
            note(trace, self.now, self.namespace.id, device, self.skb, event);
        }
        None
    }

    /// `-j LOG`: a line in the kernel's log. Nobody listens to NFLOG's groups.
    #[cold]
    fn log(&mut self, target: &LogTarget) {
        if target.group.is_some() {
            return;
        }
        let links = self.links;
        let name = |id: Option<LinkId>| id.and_then(|id| links.get(id.0)).map(|l| &*l.name);
        let line = target.line(
            &self.skb.packet,
            self.skb.mark,
            (name(self.spot.input), name(self.spot.output)),
            (name(self.skb.physical_in), name(self.spot.physical_out)),
        );
        let log = Arc::make_mut(&mut self.namespace.netfilter.state_mut().log);
        log.push_back((self.now, line.into()));
        if log.len() > LINES_MAX {
            log.pop_front();
        }
    }

    fn count(&mut self, chain: &Chain, index: Option<usize>, bytes: u32) {
        if self.quiet {
            return;
        }
        let counters = &mut self.namespace.netfilter.state_mut().counters[self.table as usize];
        let counters = match counters.get_mut(&chain.name) {
            Some(counters) => counters,
            None => counters.entry(chain.name.clone()).or_default(),
        };
        match index {
            Some(index) => counters.rule_mut(index).count(bytes),
            None => counters.policy.count(bytes),
        }
    }

    /// A built-in chain and its policy.
    fn run(&mut self, chain: &Arc<Chain>) -> Decided {
        if chain.rules.is_empty() && chain.policy == Some(Policy::Accept) {
            let bytes = self.skb.packet.total_length();
            self.count(chain, None, bytes);
            return Decided::Accept;
        }
        if let Some(decided) = self.chain(chain, 0) {
            return decided;
        }
        let bytes = self.skb.packet.total_length();
        self.count(chain, None, bytes);
        let policy = chain.policy.unwrap_or_default();
        if self.skb.traced {
            let device = self.spot.device();
            if let Some(trace) = self.trace.as_deref_mut() {
                let event = Event::Policy {
                    table: self.table,
                    chain: chain.clone(),
                    policy,
                    passed: 0,
                };
                note(trace, self.now, self.namespace.id, device, self.skb, event);
            }
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
        let Spot {
            namespace, hook, ..
        } = spot;
        self.see_to(namespace);
        let Some(ns) = self.net.namespaces.get(namespace.0) else {
            return Passed::Dropped;
        };
        if ns.netfilter.is_empty() {
            return Passed::Accepted;
        }
        let tracks = ns.netfilter.tracks();
        let nft = self.nft_at(namespace, hook);
        let mut asked = 0;
        for (priority, step) in hook.pipeline() {
            if let Some(nft) = &nft
                && let Some(passed) = self.nft_until(nft, &mut asked, *priority, spot, skb)
            {
                return passed;
            }
            if self.strays(hook, namespace, skb) {
                return Passed::Accepted;
            }
            let before = way(skb);
            let kind = match step {
                Step::Track => {
                    if tracks && !self.track(namespace, skb, spot.input.or(spot.output)) {
                        return Passed::Dropped;
                    }
                    continue;
                }
                Step::Confirm => {
                    if tracks && !self.confirm(namespace, skb, spot.device()) {
                        return Passed::Dropped;
                    }
                    continue;
                }
                Step::Iptables(kind) => *kind,
            };
            if kind == TableKind::Nat {
                if tracks && !self.nat_hook(spot, skb) {
                    return Passed::Dropped;
                }
                skb.turned |= way(skb).1 != before.1;
                continue;
            }
            let decided = self.table(kind, spot, skb);
            skb.turned |= kind == TableKind::Mangle && way(skb) != before;
            if let Some(passed) = self.stopped(namespace, skb, decided) {
                return passed;
            }
        }
        if let Some(nft) = &nft
            && let Some(passed) = self.nft_until(nft, &mut asked, i32::MAX, spot, skb)
        {
            return passed;
        }
        Passed::Accepted
    }

    /// What changes a packet's way (mangle, address translation) looks for the new one at once: without one nobody else
    /// is asked, and the sender learns why when it looks itself (`nf_route_table_hook4`, `nf_nat_ipv4_local_fn`).
    fn strays(&self, hook: Hook, namespace: NamespaceId, skb: &Skb) -> bool {
        hook == Hook::Output && skb.turned && !self.has_way(namespace, skb)
    }

    /// What a decision means for the packet; None: it goes on.
    fn stopped(
        &mut self,
        namespace: NamespaceId,
        skb: &mut Skb,
        decided: Option<Decided>,
    ) -> Option<Passed> {
        match decided {
            None | Some(Decided::Accept | Decided::Nat(_)) => None,
            Some(Decided::Drop) => Some(Passed::Dropped),
            Some(Decided::Reject(with)) => {
                self.reject(namespace, skb, with);
                Some(Passed::Rejected)
            }
        }
    }

    /// The base chains of nftables (but for address translation) up to a priority, from the `asked`th on.
    fn nft_until(
        &mut self,
        nft: &Nftables,
        asked: &mut usize,
        priority: i32,
        spot: Spot,
        skb: &mut Skb,
    ) -> Option<Passed> {
        while let Some(chain) = nft.at(spot.hook).get(*asked)
            && chain.priority <= priority
        {
            let index = *asked;
            *asked += 1;
            if chain.nat {
                continue;
            }
            let before = way(skb);
            let decided = self.nft_chain(nft, index, spot, skb);
            skb.turned |= chain.route && way(skb) != before;
            if let Some(passed) = self.stopped(spot.namespace, skb, decided) {
                return Some(passed);
            }
        }
        None
    }

    fn table(&mut self, table: TableKind, spot: Spot, skb: &mut Skb) -> Option<Decided> {
        let Spot {
            namespace, hook, ..
        } = spot;
        let chain = self
            .net
            .namespaces
            .get(namespace.0)?
            .netfilter
            .table(table)?
            .builtin(hook)?
            .clone();
        let ct_state = skb.ct.as_ref().map_or(CtState::Untracked, |ct| ct.state);
        let entry = self.entry(namespace, skb);
        let (dnat, snat) = entry.map_or((false, false), |e| (e.dnat, e.snat));
        let now = self.now;
        let ns = self.net.namespaces.get_mut(namespace.0)?;
        let mut traversal = Traversal {
            namespace: ns,
            links: &self.net.links,
            trace: self.trace.as_deref_mut(),
            dice: self.dice,
            skb,
            now,
            quiet: self.quiet,
            table,
            spot,
            ct_state,
            dnat,
            snat,
        };
        Some(traversal.run(&chain))
    }

    /// What the chains for address translation at a hook say to a new connection; None for nothing. The first that
    /// asks for something is heard (`nf_nat_inet_fn`).
    pub fn nat_rules(&mut self, spot: Spot, skb: &mut Skb) -> Result<Option<Manipulation>, ()> {
        let Spot {
            namespace, hook, ..
        } = spot;
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
        let nft = self.nft_at(namespace, hook);
        let chains = nft.as_ref().map_or(0, |nft| nft.at(hook).len());
        let mut iptables_asked = false;
        for index in 0..=chains {
            let chain = nft.as_ref().and_then(|nft| nft.at(hook).get(index));
            let later = chain.is_none_or(|chain| chain.priority > own);
            if later && !std::mem::replace(&mut iptables_asked, true) {
                let decided = self.table(TableKind::Nat, spot, skb);
                if let Some(asked) = heard(decided)? {
                    return Ok(Some(asked));
                }
            }
            if let (Some(nft), true) = (&nft, chain.is_some_and(|chain| chain.nat)) {
                let decided = self.nft_chain(nft, index, spot, skb);
                if let Some(asked) = heard(decided)? {
                    return Ok(Some(asked));
                }
            }
        }
        Ok(None)
    }
}
