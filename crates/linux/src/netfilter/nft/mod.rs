//! nftables' own tables: chains at hooks, sets and maps, and the rules that use them.
//!
//! Tables are shared data like those of iptables; what a packet changes (counters, elements of dynamic sets) is kept
//! apart, in the namespace's state. Measure: nft 1.0.6 on Linux 6.x, families `ip`, `inet` and `ip6` (no packet of the
//! latter exists here: its tables are kept and printed).

use std::sync::Arc;

mod block;
mod command;
mod edit;
mod json;
mod lexer;
mod list;
mod rules;
mod set;
mod statement;
mod value;
mod xtables;

pub use command::run;
pub use edit::{Refused, Transaction};
pub use set::{DataKind, Datum, Element, Flags, Set};
pub(crate) use set::{Lease, Leases};
pub use statement::{
    Comparison, MapRef, MarkChange, Nat, NatKind, NatTo, Rate, Selector, Statement, Update, Values,
    Verdict, Wording,
};
pub(crate) use value::print_key;
pub use value::{DataType, Key};

use super::names::Named;
use super::{ChainName, Counter, Hook, Policy};

/// The address families of tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum Family {
    Ip,
    Ip6,
    /// Both of them.
    Inet,
}

impl Family {
    /// `ip`, `ip6`, `inet`
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
            Family::Inet => "inet",
        }
    }
}

/// What a base chain is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum ChainType {
    Filter,
    Nat,
    Route,
}

impl ChainType {
    /// `filter` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChainType::Filter => "filter",
            ChainType::Nat => "nat",
            ChainType::Route => "route",
        }
    }
}

/// Where a base chain is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Base {
    /// What it is for.
    pub kind: ChainType,
    /// At which point.
    pub hook: Hook,
    /// Before (less) or after (more) the others there.
    pub priority: i32,
    /// What becomes of packets that no rule decided on.
    pub policy: Policy,
}

impl Hook {
    /// `prerouting` …
    pub(crate) fn lower(self) -> &'static str {
        match self {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        }
    }
}

/// Standard priorities by name (`std_prios` of nftables); the last two are of one hook or kind only.
pub(crate) const PRIORITIES: [(&str, i32); 6] = [
    ("raw", -300),
    ("mangle", -150),
    ("dstnat", -100),
    ("filter", 0),
    ("security", 50),
    ("srcnat", 100),
];

impl Base {
    /// As nft prints it: `dstnat - 10`, `filter`, `-100` (a name only up to 10 from it, and only where it is valid).
    pub(crate) fn priority_text(&self) -> String {
        let valid = |name: &str| match name {
            "dstnat" => self.hook == Hook::Prerouting,
            "srcnat" => self.hook == Hook::Postrouting,
            _ => true,
        };
        let named = PRIORITIES
            .iter()
            .find(|(name, at)| valid(name) && (self.priority - at).abs() <= 10);
        match named {
            Some((name, at)) if self.priority == *at => (*name).to_owned(),
            Some((name, at)) if self.priority > *at => format!("{name} + {}", self.priority - at),
            Some((name, at)) => format!("{name} - {}", at - self.priority),
            None => self.priority.to_string(),
        }
    }
}

/// One rule.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// Its parts.
    pub statements: Vec<Statement>,
    /// Its comment.
    pub comment: Option<Arc<str>>,
    /// Its handle is its chain's and this much more.
    pub offset: u64,
}

impl Rule {
    /// A rule without a comment.
    #[must_use]
    pub fn new(statements: Vec<Statement>) -> Rule {
        Rule {
            statements,
            comment: None,
            offset: 0,
        }
    }

    /// With a comment.
    #[must_use]
    pub fn comment(self, text: &str) -> Rule {
        Rule {
            comment: Some(text.into()),
            ..self
        }
    }

    /// As nft prints it, without what its counters count.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.print(None, &mut text);
        text
    }

    pub(crate) fn print(&self, counter: Option<Counter>, out: &mut String) {
        for (n, statement) in self.statements.iter().enumerate() {
            if n > 0 {
                out.push(' ');
            }
            statement.print(counter, out);
        }
        if let Some(comment) = &self.comment {
            out.push_str(" comment \"");
            out.push_str(comment);
            out.push('"');
        }
    }

    /// Chains that it can lead to by its own words.
    pub fn leads_to(&self) -> impl Iterator<Item = &ChainName> {
        self.statements.iter().flat_map(|statement| {
            let own = match statement {
                Statement::Verdict(verdict) => verdict.chain(),
                _ => None,
            };
            let mapped = match statement.map() {
                Some(MapRef::Own(map)) => Some(map.leads_to()),
                _ => None,
            };
            own.into_iter().chain(mapped.into_iter().flatten())
        })
    }
}

/// A chain: unchangeable once made, so that namespaces can share it.
#[derive(Clone, PartialEq, Debug)]
pub struct Chain {
    /// Its name.
    pub name: ChainName,
    /// Where it is asked; None for one that others lead to.
    pub base: Option<Base>,
    /// Its comment.
    pub comment: Option<Arc<str>>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

impl Chain {
    /// A chain that others lead to; its rules' handles follow its own.
    #[must_use]
    pub fn new(name: ChainName, mut rules: Vec<Rule>) -> Chain {
        for (n, rule) in (1..).zip(&mut rules) {
            rule.offset = n;
        }
        Chain {
            name,
            base: None,
            comment: None,
            rules,
        }
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: Arc<str>,
    /// Its comment.
    pub comment: Option<Arc<str>>,
    /// The number of its making among all of the namespace's tables.
    pub(crate) made: u64,
    chains: Named<Chain>,
    /// Which of them are base chains.
    bases: Vec<ChainName>,
    sets: Named<Set>,
    next_handle: u64,
}

impl Table {
    fn new(family: Family, name: &str, made: u64) -> Table {
        Table {
            family,
            name: name.into(),
            comment: None,
            made,
            chains: Named::default(),
            bases: Vec::new(),
            sets: Named::default(),
            next_handle: 1,
        }
    }

    /// A chain by name.
    #[must_use]
    pub fn chain(&self, name: &ChainName) -> Option<&Arc<Chain>> {
        self.chains.get(name)
    }

    /// A set or map by name.
    #[must_use]
    pub fn set(&self, name: &ChainName) -> Option<&Arc<Set>> {
        self.sets.get(name)
    }

    /// Its chains in the order in which they were made.
    #[must_use]
    pub fn chains(&self) -> Vec<&Arc<Chain>> {
        self.chains.listed().into_iter().map(|c| c.2).collect()
    }

    /// Its sets and maps in the order in which they were made.
    #[must_use]
    pub fn sets(&self) -> Vec<(&ChainName, &Arc<Set>)> {
        let listed = self.sets.listed().into_iter();
        listed.map(|(_, name, set)| (name, set)).collect()
    }

    /// Names of chains, in no meaningful order.
    pub fn chain_names(&self) -> impl Iterator<Item = &ChainName> {
        self.chains.iter().map(|(name, _)| name)
    }

    /// Names of sets and maps, in no meaningful order.
    pub fn set_names(&self) -> impl Iterator<Item = &ChainName> {
        self.sets.iter().map(|(name, _)| name)
    }

    fn handle(&mut self, many: u64) -> u64 {
        let first = self.next_handle;
        self.next_handle += many;
        first
    }

    pub(crate) fn put_chain(&mut self, chain: Arc<Chain>) {
        let many = 1 + chain.rules.len() as u64;
        let handle = match self.chains.handle(&chain.name) {
            Some(handle) => handle,
            None => self.handle(many),
        };
        let name = chain.name.clone();
        self.bases.retain(|base| *base != name);
        if chain.base.is_some() {
            self.bases.push(name.clone());
        }
        self.chains.insert(&name, handle, chain);
    }

    pub(crate) fn remove_chain(&mut self, name: &ChainName) -> Option<Arc<Chain>> {
        self.bases.retain(|base| base != name);
        self.chains.remove(name)
    }

    /// A set or map to change.
    pub(crate) fn set_mut(&mut self, name: &ChainName) -> Option<&mut Set> {
        self.sets.get_mut(name).map(Arc::make_mut)
    }

    pub(crate) fn put_set(&mut self, name: &ChainName, set: Arc<Set>) {
        let handle = match self.sets.handle(name) {
            Some(handle) => handle,
            None => self.handle(1),
        };
        self.sets.insert(name, handle, set);
    }
}

/// A base chain where it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub priority: i32,
    pub nat: bool,
    pub route: bool,
    /// Which of two with the same priority was made later: it is asked first (`nf_hook_entries_grow`).
    order: (u64, u64),
    pub table: usize,
    pub chain: ChainName,
}

/// All tables of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Nftables {
    tables: Vec<Arc<Table>>,
    /// Base chains of family ip by hook, in the order in which they are asked.
    hooks: [Vec<Registered>; 5],
}

impl Nftables {
    /// The tables in the order in which they were made.
    #[must_use]
    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }

    /// A table.
    #[must_use]
    pub fn table(&self, family: Family, name: &str) -> Option<&Arc<Table>> {
        self.tables
            .iter()
            .find(|t| t.family == family && &*t.name == name)
    }

    /// The base chains at a hook, in their order.
    pub(crate) fn at(&self, hook: Hook) -> &[Registered] {
        &self.hooks[hook as usize]
    }

    /// Finds the base chains anew, after tables have changed.
    fn register(&mut self) {
        let mut hooks: [Vec<Registered>; 5] = Default::default();
        for (at, table) in self.tables.iter().enumerate() {
            if table.family == Family::Ip6 {
                continue;
            }
            for name in &table.bases {
                let Some(base) = table.chain(name).and_then(|chain| chain.base) else {
                    continue;
                };
                hooks[base.hook as usize].push(Registered {
                    priority: base.priority,
                    nat: base.kind == ChainType::Nat,
                    route: base.kind == ChainType::Route,
                    order: (table.made, table.chains.handle(name).unwrap_or(0)),
                    table: at,
                    chain: name.clone(),
                });
            }
        }
        for chains in &mut hooks {
            chains.sort_by(|a, b| a.priority.cmp(&b.priority).then(b.order.cmp(&a.order)));
        }
        self.hooks = hooks;
    }

    fn needs_tracking(&self) -> bool {
        let nat = self.hooks.iter().flatten().any(|chain| chain.nat);
        let mut chains = self.tables.iter().flat_map(|t| t.chains.iter());
        nat || chains.any(|(_, chain)| {
            let mut statements = chain.rules.iter().flat_map(|r| &r.statements);
            statements.any(Statement::needs_tracking)
        })
    }
}
