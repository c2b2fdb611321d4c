//! Everything that can become of a connection: every random choice, each way.
//!
//! A walk goes from tick to tick. Between two ticks every way that its choices can go is walked in a copy of the
//! network; at the tick, branches that have come to the same are one again. So a SYN that is lost and drawn anew
//! twice among a thousand endpoints does not make a thousand million branches.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::engine::{Frame, Paused, Walk};
use super::{Connect, Connection};
use crate::link::{Link, LinkKind};
use crate::namespace::Namespace;
use crate::network::Network;
use crate::time::{ScriptedDice, SeededDice, Time, next_script};

/// One possible outcome.
#[derive(Clone, Debug)]
pub struct Fate {
    /// How likely it is, from 0 to 1.
    pub probability: f64,
    /// What happens then; where several branches end alike, the first of them.
    pub connection: Connection,
}

/// Most branches that are followed: a Service has at most some thousand endpoints.
const MOST: usize = 40_000;

/// A branch that waits for its next tick.
struct Branch {
    probability: f64,
    net: Network,
    paused: Paused,
    numbers: SeededDice,
    begun: bool,
}

impl Network {
    /// Follows every random choice that a connection can meet, and gives all outcomes that differ in verdict, server,
    /// addresses, error or the seconds that they took, with their probabilities (which add up to 1, unless there are more than 40,000 branches).
    #[must_use]
    pub fn fates(&self, request: &Connect, now: Time) -> Vec<Fate> {
        let mut fates: BTreeMap<String, (usize, Fate)> = BTreeMap::new();
        self.each_fate(request, now, |probability, connection, _| {
            let next = fates.len();
            fates
                .entry(outcome_key(connection))
                .and_modify(|(_, fate)| fate.probability += probability)
                .or_insert_with(|| {
                    let connection = connection.clone();
                    let fate = Fate {
                        probability,
                        connection,
                    };
                    (next, fate)
                });
        });
        let mut fates: Vec<(usize, Fate)> = fates.into_values().collect();
        fates.sort_by_key(|(order, _)| *order);
        fates.into_iter().map(|(_, fate)| fate).collect()
    }

    /// The same for one who wants to see the network as each branch leaves it (but for counters): `visit` is given the branch's
    /// probability, its connection and its network.
    pub fn each_fate(
        &self,
        request: &Connect,
        now: Time,
        mut visit: impl FnMut(f64, &Connection, &Network),
    ) {
        let start = Paused {
            now,
            ..Paused::default()
        };
        let mut level = vec![Branch {
            probability: 1.0,
            net: self.clone(),
            paused: start,
            numbers: SeededDice(1),
            begun: false,
        }];
        let mut followed = 0;
        while !level.is_empty() {
            let mut next: BTreeMap<String, Branch> = BTreeMap::new();
            for branch in level {
                let mut script = Vec::new();
                loop {
                    followed += 1;
                    let mut net = branch.net.clone();
                    let mut dice = ScriptedDice::new(script, branch.numbers);
                    let mut walk = Walk::resume(&mut net, &mut dice, branch.paused.clone());
                    walk.quiet = true;
                    let on = if branch.begun {
                        walk.fire_timers()
                    } else {
                        walk.begin(request).is_ok()
                    };
                    let done = if on && walk.run_queue() && !walk.timers.is_empty() {
                        Err(walk.pause())
                    } else {
                        Ok(walk.outcome())
                    };
                    let numbers;
                    (script, numbers) = dice.met();
                    let chances = script.iter().map(|c| c.probability());
                    let probability = branch.probability * chances.product::<f64>();
                    match done {
                        Ok(connection) => visit(probability, &connection, &net),
                        Err(paused) => {
                            next.entry(state_key(&paused, &net, self))
                                .and_modify(|same| same.probability += probability)
                                .or_insert(Branch {
                                    probability,
                                    net,
                                    paused,
                                    numbers,
                                    begun: true,
                                });
                        }
                    }
                    if followed >= MOST {
                        return;
                    }
                    if !next_script(&mut script) {
                        break;
                    }
                }
            }
            level = next.into_values().collect();
        }
    }
}

/// What makes outcomes different ones.
fn outcome_key(c: &Connection) -> String {
    let seen = c.seen_source.map(|s| *s.ip());
    format!(
        "{:?} {:?} {seen:?} {:?} {:?} {}",
        c.verdict,
        c.server,
        c.server_address,
        c.error,
        c.elapsed.as_secs()
    )
}

/// What can matter for the rest of a walk, as text: counters do not, nor does which of two packets was a little faster.
fn state_key(paused: &Paused, net: &Network, base: &Network) -> String {
    let mut key = String::new();
    let _ = write!(key, "{:?} ", paused.timers);
    for ((link, address), waiting) in &paused.waiting {
        let _ = write!(key, "{link:?} {address}:");
        for one in waiting {
            let headers = one.skb.headers();
            let (src, dst) = (headers.ip.src, headers.ip.dst);
            let _ = write!(key, " {src} {dst} {:?} {}", headers.l4, one.bridged);
        }
    }
    for ((at, _), (link, frame)) in &paused.delayed {
        let _ = write!(key, "{at:?} {link:?} ");
        if let Frame::Ip(skb) = frame {
            let _ = write!(key, "{:?} ", skb.headers());
        }
    }
    let _ = write!(key, "{:?} {:?}", paused.client, paused.sessions);
    for (_, namespace) in net.namespaces.changed_since(&base.namespaces) {
        namespace_key(&mut key, namespace, paused.now);
    }
    for (_, link) in net.links.changed_since(&base.links) {
        link_key(&mut key, link);
    }
    key
}

/// A moment, as exactly as ages matter.
fn about(time: Time) -> u64 {
    time.as_millis() / 100
}

fn namespace_key(key: &mut String, ns: &Namespace, now: Time) {
    let _ = write!(
        key,
        "\n{:?} {:?} {:?}",
        ns.id,
        ns.rare().path_mtu,
        ns.rare().icmp_budgets
    );
    for ((link, address), n) in ns.neighbours.iter() {
        let (mac, state, since) = (n.mac, n.state_at(now), about(n.since));
        let _ = write!(key, " {link:?} {address} {mac:?} {state:?} {since}");
    }
    for (_, e) in ns.conntrack.iter(now) {
        let expires = about(e.expires);
        let _ = write!(key, " {:?} {:?} {:?} {expires}", e.original, e.reply, e.tcp);
        let _ = write!(key, " {} {} {}", e.seen_reply, e.assured, e.mark);
    }
    if let Some(state) = &ns.netfilter.state {
        for (name, list) in &state.recent {
            let _ = write!(key, " {name}");
            for (address, times) in list {
                let _ = write!(key, " {address}");
                for time in times {
                    let _ = write!(key, " {}", about(*time));
                }
            }
        }
        let _ = write!(key, " {:?}", state.nth);
    }
}

fn link_key(key: &mut String, link: &Link) {
    let _ = write!(key, "\n{:?}", link.id);
    match &link.kind {
        LinkKind::Bridge(bridge) => {
            for (mac, entry) in &bridge.fdb {
                let _ = write!(key, " {mac} {:?} {}", entry.port, about(entry.updated));
            }
        }
        LinkKind::Vxlan(vxlan) => {
            let _ = write!(key, " {:?}", vxlan.fdb);
        }
        _ => {}
    }
}
