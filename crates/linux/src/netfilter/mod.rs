//! Netfilter: tables of chains of rules, and the points of the packet path that ask them.
//!
//! Chains are shared data (`Arc<Chain>`): thousands of nodes can hold the same one. What a packet changes (counters,
//! lists of `recent`, accounting) is kept apart, per namespace and only where something was counted.
//!
//! Two kinds of tables stand side by side: iptables' four (by nf_tables, as Debian's iptables 1.8.9 makes them), and
//! those of nftables (`nft`). `Hook::pipeline` has the order in which a packet meets them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::time::Time;
use names::Named;

pub(crate) mod addrtype;
mod arguments;
pub(crate) mod conntrack;
pub(crate) mod dispatch;
mod edit;
pub(crate) mod evaluate;
pub mod ipset;
pub mod iptables;
pub(crate) mod limit;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod misc;
mod names;
pub(crate) mod nat;
pub mod nft;
pub(crate) mod ports;
pub(crate) mod recent;
pub(crate) mod reject;
pub mod restore;
pub(crate) mod rule;
pub(crate) mod set;
pub(crate) mod state;
pub(crate) mod statistic;

pub use addrtype::AddrType;
pub use conntrack::CtMatch;
pub use ipset::{IpSet, SetKind};
pub use limit::Limit;
pub use log::LogTarget;
pub use misc::{Comment, MarkMatch, MarkTarget, Nfacct};
pub use nat::{Masquerade, NatTarget};
pub use ports::{PortMatch, Ports};
pub use recent::Recent;
pub use reject::RejectWith;
pub use rule::{AddressMatch, Interface, Match, Rule, Target};
pub use state::Counter;
use state::TableCounters;
pub(crate) use state::{ChainCounters, Changing, Met, Sets, State};
pub use statistic::Statistic;

/// The points of the packet path where netfilter is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

impl Hook {
    /// `PREROUTING` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Hook::Prerouting => "PREROUTING",
            Hook::Input => "INPUT",
            Hook::Forward => "FORWARD",
            Hook::Output => "OUTPUT",
            Hook::Postrouting => "POSTROUTING",
        }
    }

    /// Who is asked at this point, in the order of the kernel's priorities (`enum nf_ip_hook_priorities`). Base chains
    /// of nftables come between, by theirs; of two with the same priority the one that was made later comes first, so
    /// theirs come before the tables of iptables, which are as old as the machine.
    #[must_use]
    pub(crate) fn pipeline(self) -> &'static [(i32, Step)] {
        use Step::{Confirm, Iptables, Track};
        use TableKind::{Filter, Mangle, Nat, Raw};
        match self {
            Hook::Prerouting => &[
                (-300, Iptables(Raw)),
                (-200, Track),
                (-150, Iptables(Mangle)),
                (-100, Iptables(Nat)),
            ],
            Hook::Input => &[
                (-150, Iptables(Mangle)),
                (0, Iptables(Filter)),
                (100, Iptables(Nat)),
                (i32::MAX, Confirm),
            ],
            Hook::Forward => &[(-150, Iptables(Mangle)), (0, Iptables(Filter))],
            Hook::Output => &[
                (-300, Iptables(Raw)),
                (-200, Track),
                (-150, Iptables(Mangle)),
                (-100, Iptables(Nat)),
                (0, Iptables(Filter)),
            ],
            Hook::Postrouting => &[
                (-150, Iptables(Mangle)),
                (100, Iptables(Nat)),
                (i32::MAX, Confirm),
            ],
        }
    }
}

/// One step at a hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Find or make the packet's connection.
    Track,
    /// A table of iptables.
    Iptables(TableKind),
    /// Enter a new connection into the table.
    Confirm,
}

/// The tables of iptables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum TableKind {
    Mangle,
    Raw,
    Filter,
    Nat,
}

impl TableKind {
    /// In the order in which iptables-save (nf_tables) prints them.
    pub const ALL: [TableKind; 4] = [
        TableKind::Mangle,
        TableKind::Raw,
        TableKind::Filter,
        TableKind::Nat,
    ];

    /// `filter` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TableKind::Mangle => "mangle",
            TableKind::Raw => "raw",
            TableKind::Filter => "filter",
            TableKind::Nat => "nat",
        }
    }

    /// The table of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<TableKind> {
        TableKind::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The hooks at which it is asked: its built-in chains, in their order.
    #[must_use]
    pub fn hooks(self) -> &'static [Hook] {
        use Hook::{Forward, Input, Output, Postrouting, Prerouting};
        match self {
            TableKind::Mangle => &[Prerouting, Input, Forward, Output, Postrouting],
            TableKind::Raw => &[Prerouting, Output],
            TableKind::Filter => &[Input, Forward, Output],
            TableKind::Nat => &[Prerouting, Input, Output, Postrouting],
        }
    }

    fn builtin(self, name: &str) -> Option<Hook> {
        self.hooks().iter().copied().find(|h| h.name() == name)
    }
}

/// A chain's name with its hash at hand: comparing two is comparing numbers.
#[derive(Clone, Debug)]
pub struct ChainName {
    hash: u64,
    text: Arc<str>,
}

impl ChainName {
    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name's text, shared.
    #[must_use]
    pub fn text(&self) -> Arc<str> {
        self.text.clone()
    }
}

impl ChainName {
    /// Which of so many parts of a map it belongs to.
    pub(crate) fn shard(&self, shards: usize) -> usize {
        self.hash as usize % shards
    }
}

impl From<&str> for ChainName {
    fn from(text: &str) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        ChainName {
            hash,
            text: text.into(),
        }
    }
}

impl PartialEq for ChainName {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for ChainName {}

impl PartialOrd for ChainName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ChainName {
    /// By hash: for looking up, not for listing.
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.hash.cmp(&other.hash).then_with(|| {
            if Arc::ptr_eq(&self.text, &other.text) {
                std::cmp::Ordering::Equal
            } else {
                self.text.cmp(&other.text)
            }
        })
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a built-in chain does with packets that no rule decided on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Policy {
    #[default]
    Accept,
    Drop,
}

impl Policy {
    /// `ACCEPT`, `DROP`
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Policy::Accept => "ACCEPT",
            Policy::Drop => "DROP",
        }
    }
}

/// A chain of rules: unchangeable once made, so that namespaces can share it.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its name.
    pub name: ChainName,
    /// A built-in chain's policy; None for a user's chain.
    pub policy: Option<Policy>,
    /// Its rules.
    pub rules: Vec<Rule>,
    pub(crate) index: OnceLock<Option<dispatch::Index>>,
}

impl Chain {
    /// A chain of these rules.
    #[must_use]
    pub fn new(name: ChainName, policy: Option<Policy>, rules: Vec<Rule>) -> Chain {
        Chain {
            name,
            policy,
            rules,
            index: OnceLock::new(),
        }
    }

    /// `-A NAME …` of one rule (counted from 0), without counters.
    #[must_use]
    pub fn rule_text(&self, index: usize) -> String {
        let mut text = format!("-A {}", self.name);
        if let Some(rule) = self.rules.get(index) {
            rule.save(&mut text);
        }
        text
    }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.policy == other.policy && self.rules == other.rules
    }
}

/// The chains of one table by name. Its clone is cheap, and a change copies a thirty-second of it.
#[derive(Clone, Debug)]
pub struct Table {
    user: Named<Chain>,
    builtin: [Option<Arc<Chain>>; 5],
    /// When each built-in chain was made in the kernel (counted with the users' chains): with the first rule that went
    /// into it. 0: it is only printed, not there.
    builtin_made: [u64; 5],
    /// What the next chain gets.
    next: u64,
}

impl Table {
    /// A table with its built-in chains, empty and accepting.
    #[must_use]
    pub fn new(kind: TableKind) -> Table {
        let mut builtin = [const { None }; 5];
        for hook in kind.hooks() {
            builtin[*hook as usize] = Some(Arc::new(Chain::new(
                hook.name().into(),
                Some(Policy::Accept),
                Vec::new(),
            )));
        }
        Table {
            user: Named::default(),
            builtin,
            builtin_made: [0; 5],
            next: 1,
        }
    }

    fn hook_of(&self, name: &ChainName) -> Option<usize> {
        self.builtin
            .iter()
            .position(|c| c.as_ref().is_some_and(|c| c.name == *name))
    }

    /// The built-in chain of a hook, if this table has one there.
    #[must_use]
    pub fn builtin(&self, hook: Hook) -> Option<&Arc<Chain>> {
        self.builtin[hook as usize].as_ref()
    }

    /// A chain by name.
    #[must_use]
    pub fn chain(&self, name: &ChainName) -> Option<&Arc<Chain>> {
        self.user
            .get(name)
            .or_else(|| self.builtin[self.hook_of(name)?].as_ref())
    }

    /// Puts a chain in, in place of one of that name.
    pub(crate) fn insert(&mut self, chain: Arc<Chain>) {
        let made = self.next;
        self.next += 1;
        if let Some(hook) = self.hook_of(&chain.name) {
            if self.builtin_made[hook] == 0 {
                self.builtin_made[hook] = made;
            }
            self.builtin[hook] = Some(chain);
        } else {
            let name = chain.name.clone();
            self.user.insert(&name, made, chain);
        }
    }

    pub(crate) fn remove(&mut self, name: &ChainName) -> Option<Arc<Chain>> {
        self.user.remove(name)
    }

    /// All chains as iptables lists them: built-in ones by hook, then users' by name.
    #[must_use]
    pub fn chains(&self) -> Vec<&Arc<Chain>> {
        let mut user: Vec<&Arc<Chain>> = self.user().collect();
        user.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        self.builtin.iter().flatten().chain(user).collect()
    }

    /// All chains that are in the kernel, in the order in which they were made.
    #[must_use]
    pub fn made(&self) -> Vec<&Arc<Chain>> {
        let builtin = self.builtin_made.iter().zip(&self.builtin);
        let builtin = builtin
            .filter(|(made, _)| **made > 0)
            .filter_map(|(made, chain)| Some((*made, chain.as_ref()?)));
        let user = self.user.listed().into_iter();
        let mut all: Vec<_> = user.map(|c| (c.0, c.2)).chain(builtin).collect();
        all.sort_by_key(|c| c.0);
        all.into_iter().map(|c| c.1).collect()
    }

    /// The users' chains, in no meaningful order.
    pub fn user(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.user.iter().map(|(_, chain)| chain)
    }

    /// How many chains a user made.
    #[must_use]
    pub fn user_chains(&self) -> usize {
        self.user.len()
    }
}

/// Tables as a namespace had them last: those of others that are alike share what is the same ([`Netfilter::share`]).
#[derive(Clone, Debug, Default)]
pub struct KnownTables([Option<Table>; 4]);

/// A namespace's packet filter. Its clone is cheap.
#[derive(Clone, Debug, Default)]
pub struct Netfilter {
    tables: [Option<Box<Table>>; 4],
    sets: Option<Arc<BTreeMap<Arc<str>, IpSet>>>,
    pub(crate) state: Option<Arc<State>>,
    tracking: bool,
    /// What only some namespaces have.
    extra: Option<Box<Extra>>,
}

#[derive(Clone, Debug, Default)]
struct Extra {
    nft: Option<Arc<nft::Nftables>>,
    /// Tables of the other address family: kept and printed, for no such packet exists here.
    tables6: [Option<Box<Table>>; 4],
    state6: Option<Arc<State>>,
    /// When each table of iptables was made (by [`TableKind`], ip and ip6), and the last number given.
    made: [[u32; 4]; 2],
    last_made: u32,
}

impl Netfilter {
    /// What `-j LOG` has written to the kernel's log, and when, the oldest first.
    pub fn log(&self) -> impl Iterator<Item = &(Time, Arc<str>)> {
        self.state.iter().flat_map(|state| state.log.iter())
    }

    /// A table, None if nothing was ever done to it.
    #[must_use]
    pub fn table(&self, kind: TableKind) -> Option<&Table> {
        self.tables[kind as usize].as_deref()
    }

    /// A table to change, made if it is not there.
    pub(crate) fn table_mut(&mut self, kind: TableKind) -> &mut Table {
        self.note_made(0, kind);
        self.tables[kind as usize].get_or_insert_with(|| Box::new(Table::new(kind)))
    }

    /// What a packet meets in a table. `quiet`: nothing is counted.
    pub(crate) fn met(&mut self, kind: TableKind, quiet: bool) -> Option<Met<'_>> {
        let state = match quiet {
            true => Changing::Seldom(&mut self.state),
            false => Changing::Own(Arc::make_mut(self.state.get_or_insert_default())),
        };
        Some(Met {
            rules: self.tables[kind as usize].as_deref()?,
            sets: Sets::new(self.sets.as_deref()),
            state,
        })
    }

    fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    fn note_made(&mut self, family: usize, kind: TableKind) {
        let extra = self.extra_mut();
        if extra.made[family][kind as usize] == 0 {
            extra.last_made += 1;
            extra.made[family][kind as usize] = extra.last_made;
        }
    }

    /// The number of the next table that is made.
    pub(crate) fn next_number(&mut self) -> u32 {
        let extra = self.extra_mut();
        extra.last_made += 1;
        extra.last_made
    }

    /// A table of ip6tables.
    #[must_use]
    pub fn table6(&self, kind: TableKind) -> Option<&Table> {
        self.extra.as_ref()?.tables6[kind as usize].as_deref()
    }

    /// Puts the tables of ip6tables in the place of those of iptables, and back.
    pub(crate) fn swap_family(&mut self) {
        let extra = self.extra.get_or_insert_default();
        std::mem::swap(&mut self.tables, &mut extra.tables6);
        extra.made.swap(0, 1);
        std::mem::swap(&mut self.state, &mut extra.state6);
    }

    /// Makes a chain of ip6tables, empty, where it is not there.
    pub fn ensure_chain6(&mut self, kind: TableKind, name: &str) {
        self.note_made(1, kind);
        let tables = &mut self.extra_mut().tables6;
        let table = tables[kind as usize].get_or_insert_with(|| Box::new(Table::new(kind)));
        if table.chain(&name.into()).is_none() {
            table.insert(Arc::new(Chain::new(name.into(), None, Vec::new())));
        }
    }

    /// iptables' and ip6tables' tables with the number of their making.
    pub(crate) fn xtables(&self) -> Vec<(u32, nft::Family, TableKind, &Table)> {
        let mut all = Vec::new();
        for kind in TableKind::ALL {
            for (family, table) in [
                (nft::Family::Ip, self.table(kind)),
                (nft::Family::Ip6, self.table6(kind)),
            ] {
                if let Some(table) = table {
                    let made = self
                        .extra
                        .as_ref()
                        .map_or(0, |e| e.made[family as usize][kind as usize]);
                    all.push((made, family, kind, table));
                }
            }
        }
        all.sort_by_key(|t| t.0);
        all
    }

    /// Removes a whole table of iptables (or ip6tables), as only nft can.
    pub(crate) fn remove_table(&mut self, family: nft::Family, kind: TableKind) {
        let tables = match family {
            nft::Family::Ip => &mut self.tables,
            nft::Family::Ip6 | nft::Family::Inet => &mut self.extra_mut().tables6,
        };
        tables[kind as usize] = None;
        self.extra_mut().made[family as usize][kind as usize] = 0;
        if family == nft::Family::Ip && self.state.is_some() {
            self.state_mut().counters[kind as usize] = TableCounters::default();
        }
    }

    /// nftables' tables, None if there never was one.
    #[must_use]
    pub fn nft(&self) -> Option<&Arc<nft::Nftables>> {
        self.extra.as_ref()?.nft.as_ref()
    }

    /// Puts nftables' tables in.
    pub(crate) fn set_nft(&mut self, tables: nft::Nftables, tracking: bool) {
        self.tracking |= tracking;
        self.extra_mut().nft = Some(Arc::new(tables));
    }

    /// Makes a table with its empty built-in chains, as the first use of iptables on it does.
    pub fn ensure_table(&mut self, kind: TableKind) {
        self.table_mut(kind);
    }

    /// A chain of a table.
    #[must_use]
    pub fn chain(&self, table: TableKind, name: &str) -> Option<&Arc<Chain>> {
        self.table(table)?.chain(&name.into())
    }

    /// Puts a chain in, in place of one of that name, whose counters are gone with it. This is how rules that were
    /// made elsewhere, and that other namespaces may share, get in.
    pub fn set_chain(&mut self, table: TableKind, chain: Arc<Chain>) {
        self.tracking |= chain.rules.iter().any(Rule::needs_tracking);
        self.forget_counters(table, &chain.name);
        self.table_mut(table).insert(chain);
    }

    /// Puts whole tables in that were made elsewhere and that other namespaces may share; counters are gone.
    pub fn set_table(&mut self, kind: TableKind, table: Table) {
        self.tracking |= table
            .chains()
            .iter()
            .any(|c| c.rules.iter().any(Rule::needs_tracking));
        self.note_made(0, kind);
        self.tables[kind as usize] = Some(Box::new(table));
        if self.state.is_some() {
            self.state_mut().counters[kind as usize] = TableCounters::default();
        }
    }

    /// Keeps once what of iptables' tables is the same as what is known of other namespaces' tables, and makes these the
    /// known ones. Thousands of hosts have tens of thousands of chains in common, each made by the host itself.
    pub fn share(&mut self, known: &mut KnownTables) {
        for (table, known) in self.tables.iter_mut().zip(&mut known.0) {
            if let Some(table) = table {
                if let Some(known) = known {
                    table.user.share(&known.user);
                }
                *known = Some((**table).clone());
            }
        }
    }

    /// Removes a user's chain; false if there is none. Jumps to it are the caller's business.
    pub fn remove_chain(&mut self, table: TableKind, name: &str) -> bool {
        let name = name.into();
        self.forget_counters(table, &name);
        self.tables[table as usize]
            .as_mut()
            .is_some_and(|t| t.remove(&name).is_some())
    }

    pub(crate) fn forget_counters(&mut self, table: TableKind, name: &ChainName) {
        if self
            .counters(table, name)
            .is_some_and(|c| *c != ChainCounters::default())
        {
            let hook = table.builtin(name.as_str());
            self.state_mut().counters[table as usize].forget(name, hook);
        }
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        Arc::make_mut(self.state.get_or_insert_default())
    }

    pub(crate) fn counters(&self, table: TableKind, name: &ChainName) -> Option<&ChainCounters> {
        let counters = &self.state.as_ref()?.counters[table as usize];
        counters.of(name, table.builtin(name.as_str()))
    }

    pub(crate) fn counters_mut(
        &mut self,
        table: TableKind,
        name: &ChainName,
    ) -> &mut ChainCounters {
        let counters = &mut self.state_mut().counters[table as usize];
        counters.of_mut(name, table.builtin(name.as_str()))
    }

    /// What passed one rule, counted from 0.
    #[must_use]
    pub fn rule_counter(&self, table: TableKind, chain: &str, index: usize) -> Counter {
        self.counters(table, &chain.into())
            .map_or(Counter::default(), |c| c.rule(index))
    }

    /// What a built-in chain's policy decided on.
    #[must_use]
    pub fn policy_counter(&self, table: TableKind, chain: &str) -> Counter {
        self.counters(table, &chain.into())
            .map_or(Counter::default(), |c| c.policy)
    }

    /// Does any rule here need connections to be tracked? (The kernel tracks only where one does.)
    #[must_use]
    pub fn tracks(&self) -> bool {
        self.tracking
    }

    /// Is any table here at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(Option::is_none) && self.nft().is_none()
    }

    /// The address sets by name.
    pub fn sets(&self) -> impl Iterator<Item = (&str, &IpSet)> {
        self.sets
            .iter()
            .flat_map(|s| s.iter())
            .map(|(n, s)| (&**n, s))
    }

    /// One address set.
    #[must_use]
    pub fn set(&self, name: &str) -> Option<&IpSet> {
        self.sets.as_ref()?.get(name)
    }

    /// Puts an address set in, in place of one of that name.
    pub fn put_set(&mut self, name: &str, set: IpSet) {
        Arc::make_mut(self.sets.get_or_insert_default()).insert(name.into(), set);
    }

    /// Removes an address set; false if there is none.
    pub fn remove_set(&mut self, name: &str) -> bool {
        self.sets
            .as_mut()
            .is_some_and(|s| Arc::make_mut(s).remove(name).is_some())
    }

    /// Makes an accounting object (`nfacct add`); kept if it is there.
    pub fn add_account(&mut self, name: &str) {
        self.state_mut().accounts.entry(name.into()).or_default();
    }

    /// Accounting objects by name.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, Counter)> {
        self.state
            .iter()
            .flat_map(|s| s.accounts.iter())
            .map(|(n, c)| (&**n, *c))
    }
}
