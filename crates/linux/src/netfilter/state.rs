//! What packets change in a namespace's netfilter: counters, lists of `recent`, buckets, sets that fill.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;

use super::ipset::IpSet;
use super::{Chain, ChainName, Hook, Table, TableKind, limit, nft};
use crate::time::Time;

/// Packets and bytes that passed one rule or policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes of their IP packets.
    pub bytes: u64,
}

impl Counter {
    pub(crate) fn count(&mut self, bytes: u32) {
        self.packets += 1;
        self.bytes += u64::from(bytes);
    }
}

/// Counters of one chain: only of rules that something passed, by index; the policy's is kept beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChainCounters {
    pub policy: Counter,
    pub rules: Vec<(u32, Counter)>,
}

impl ChainCounters {
    pub fn rule(&self, index: usize) -> Counter {
        self.rules
            .binary_search_by_key(&(index as u32), |r| r.0)
            .ok()
            .and_then(|at| self.rules.get(at))
            .map_or(Counter::default(), |r| r.1)
    }

    pub fn rule_mut(&mut self, index: usize) -> &mut Counter {
        let index = index as u32;
        let at = match self.rules.binary_search_by_key(&index, |r| r.0) {
            Ok(at) => at,
            Err(at) => {
                self.rules.insert(at, (index, Counter::default()));
                at
            }
        };
        &mut self.rules[at].1
    }
}

/// Counters of one table's chains.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableCounters {
    /// Of built-in chains, by hook: most packets are counted there.
    builtin: [ChainCounters; 5],
    user: BTreeMap<ChainName, ChainCounters>,
}

impl TableCounters {
    /// Counts a packet at a hook, in the hook's own chain or another: of a rule, or else of the policy.
    #[inline]
    pub fn count(&mut self, chain: &Chain, hook: Hook, rule: Option<usize>, bytes: u32) {
        let counters = match chain.policy {
            Some(_) => &mut self.builtin[hook as usize],
            None => match self.user.get_mut(&chain.name) {
                Some(counters) => counters,
                None => self.user.entry(chain.name.clone()).or_default(),
            },
        };
        match rule {
            Some(rule) => counters.rule_mut(rule).count(bytes),
            None => counters.policy.count(bytes),
        }
    }

    /// Those of a chain by name. `hook`: whose built-in chain it is.
    pub fn of(&self, name: &ChainName, hook: Option<Hook>) -> Option<&ChainCounters> {
        match hook {
            Some(hook) => Some(&self.builtin[hook as usize]),
            None => self.user.get(name),
        }
    }

    /// The same, to be set.
    pub fn of_mut(&mut self, name: &ChainName, hook: Option<Hook>) -> &mut ChainCounters {
        match hook {
            Some(hook) => &mut self.builtin[hook as usize],
            None => self.user.entry(name.clone()).or_default(),
        }
    }

    /// They begin at nothing again.
    pub fn forget(&mut self, name: &ChainName, hook: Option<Hook>) {
        match hook {
            Some(hook) => self.builtin[hook as usize] = ChainCounters::default(),
            None => drop(self.user.remove(name)),
        }
    }
}

/// One address that `recent` remembers, with when it was seen.
pub(crate) type RecentList = BTreeMap<Ipv4Addr, Vec<Time>>;

/// What packets change in netfilter.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub counters: [TableCounters; 4],
    pub recent: BTreeMap<Arc<str>, RecentList>,
    /// Packets seen by `statistic --mode nth`, by table, chain and rule.
    pub nth: BTreeMap<(TableKind, ChainName, u32), u32>,
    /// The buckets of `-m limit`, by the same.
    pub buckets: BTreeMap<(TableKind, ChainName, u32), limit::Bucket>,
    /// What `-j LOG` has written, the newest last.
    pub log: Arc<VecDeque<(Time, Arc<str>)>>,
    pub accounts: BTreeMap<Arc<str>, Counter>,
    /// Elements of nftables' sets with time-outs, by table (the number of its making) and set.
    pub leases: BTreeMap<(u64, ChainName), nft::Leases>,
    /// What nftables' counters counted, and where its `numgen inc` stand, by table, chain and rule.
    pub nft_counters: BTreeMap<(u64, ChainName, u64), Counter>,
    pub nft_turns: BTreeMap<(u64, ChainName, u64), u32>,
    /// The buckets of nftables' `limit`, by the same.
    pub nft_buckets: BTreeMap<(u64, ChainName, u64), limit::Bucket>,
}

/// What packets change in a namespace, for those who look at one there.
pub(crate) enum Changing<'a> {
    /// It is one's own already.
    Own(&'a mut State),
    /// Most likely nothing changes; it may be shared until then.
    Seldom(&'a mut Option<Arc<State>>),
}

impl Changing<'_> {
    /// To be changed.
    #[inline]
    pub fn get(&mut self) -> &mut State {
        match self {
            Changing::Own(state) => state,
            Changing::Seldom(state) => Arc::make_mut(state.get_or_insert_default()),
        }
    }

    /// As it is.
    pub fn read(&self) -> Option<&State> {
        match self {
            Changing::Own(state) => Some(state),
            Changing::Seldom(state) => state.as_deref(),
        }
    }
}

/// A namespace's address sets.
#[derive(Clone, Copy)]
pub(crate) struct Sets<'a>(Option<&'a BTreeMap<Arc<str>, IpSet>>);

impl<'a> Sets<'a> {
    pub(super) fn new(sets: Option<&'a BTreeMap<Arc<str>, IpSet>>) -> Sets<'a> {
        Sets(sets)
    }

    pub fn get(self, name: &str) -> Option<&'a IpSet> {
        self.0?.get(name)
    }
}

/// What a packet meets in one table.
pub(crate) struct Met<'a> {
    pub rules: &'a Table,
    pub sets: Sets<'a>,
    pub state: Changing<'a>,
}
