//! Changing nftables' tables: what the command and kube-proxy have in common. Changes take effect together, or not at
//! all.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::statement::Statement;
use super::{Chain, Datum, Element, Family, Key, Lease, MapRef, Nftables, Rule, Set, Table};
use crate::netfilter::{ChainName, Netfilter};
use crate::time::Time;

/// Why a change is refused; the kernel's error numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Refused {
    NotFound,
    Exists,
    Busy,
    Invalid,
    /// Chains lead to each other in a circle, or too deep.
    TooManyLinks,
    /// Elements of which some would overlap.
    Overlap,
    Full,
}

impl Refused {
    /// `strerror` of it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Refused::NotFound => "No such file or directory",
            Refused::Exists | Refused::Overlap => "File exists",
            Refused::Busy => "Device or resource busy",
            Refused::Invalid => "Invalid argument",
            Refused::TooManyLinks => "Too many links",
            Refused::Full => "Too many open files in system",
        }
    }
}

/// An element's own time-out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Span(pub Option<u64>);

/// An element to be put into a set or map: one value, or with `to` an interval.
#[derive(Debug)]
pub(crate) struct NewElement {
    pub from: Key,
    pub to: Option<Key>,
    pub element: Element,
    pub span: Span,
}

/// Changes to a namespace's tables that take effect together.
#[derive(Debug)]
pub struct Transaction<'a> {
    netfilter: &'a mut Netfilter,
    tables: Nftables,
    now: Time,
    /// Chains whose rules are to be looked at when all is done.
    written: Vec<(Family, Arc<str>, ChainName)>,
    /// Chains that were removed: nothing may lead to them.
    removed: Vec<(Family, Arc<str>, ChainName)>,
    /// Elements of sets with time-outs.
    leases: Vec<LeaseChange>,
}

#[derive(Debug)]
enum LeaseChange {
    Put(u64, ChainName, Key, Lease, Element),
    Remove(u64, ChainName, Key),
    Clear(u64, ChainName),
}

impl<'a> Transaction<'a> {
    /// Begins one.
    pub fn new(netfilter: &'a mut Netfilter, now: Time) -> Transaction<'a> {
        let tables = netfilter.nft().map(|t| (**t).clone()).unwrap_or_default();
        Transaction {
            netfilter,
            tables,
            now,
            written: Vec::new(),
            removed: Vec::new(),
            leases: Vec::new(),
        }
    }

    /// A table as it is by now.
    #[must_use]
    pub fn table(&self, family: Family, name: &str) -> Option<&Table> {
        self.tables.table(family, name).map(|t| &**t)
    }

    fn table_mut(&mut self, family: Family, name: &str) -> Result<&mut Table, Refused> {
        let mut tables = self.tables.tables.iter_mut();
        tables
            .find(|t| t.family == family && &*t.name == name)
            .map(Arc::make_mut)
            .ok_or(Refused::NotFound)
    }

    /// Makes a table where it is not there; true if it was made.
    pub fn add_table(&mut self, family: Family, name: &str, comment: Option<&str>) -> bool {
        if self.table(family, name).is_some() {
            return false;
        }
        let made = self.netfilter.next_number();
        let mut table = Table::new(family, name, u64::from(made));
        table.comment = comment.map(Into::into);
        self.tables.tables.push(Arc::new(table));
        true
    }

    /// Removes a table with all that is in it.
    ///
    /// # Errors
    /// There is none.
    pub fn delete_table(&mut self, family: Family, name: &str) -> Result<(), Refused> {
        let before = self.tables.tables.len();
        self.tables
            .tables
            .retain(|t| t.family != family || &*t.name != name);
        if self.tables.tables.len() == before {
            return Err(Refused::NotFound);
        }
        Ok(())
    }

    /// Writes a chain whole, as its maker knows that it may: nothing is checked but its table.
    ///
    /// # Errors
    /// There is no such table.
    pub fn write_chain(
        &mut self,
        family: Family,
        table: &str,
        chain: Arc<Chain>,
    ) -> Result<(), Refused> {
        self.table_mut(family, table)?.put_chain(chain);
        Ok(())
    }

    /// Writes a set or map whole.
    ///
    /// # Errors
    /// There is no such table.
    pub fn write_set(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
        set: Arc<Set>,
    ) -> Result<(), Refused> {
        self.table_mut(family, table)?.put_set(name, set);
        Ok(())
    }

    /// Puts a chain in, its rules to be checked at the end.
    pub(crate) fn put_chain(
        &mut self,
        family: Family,
        table: &str,
        chain: Chain,
    ) -> Result<(), Refused> {
        let name = chain.name.clone();
        let table = self.table_mut(family, table)?;
        table.put_chain(Arc::new(chain));
        let table = table.name.clone();
        self.written.push((family, table, name));
        Ok(())
    }

    /// Removes a chain with its rules; at the end nothing may lead to it.
    ///
    /// # Errors
    /// There is none.
    pub fn delete_chain(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
    ) -> Result<(), Refused> {
        let table = self.table_mut(family, table)?;
        table.remove_chain(name).ok_or(Refused::NotFound)?;
        let table = table.name.clone();
        self.removed.push((family, table, name.clone()));
        Ok(())
    }

    /// Removes all rules of a chain.
    ///
    /// # Errors
    /// There is no such chain.
    pub fn flush_chain(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
    ) -> Result<(), Refused> {
        let table = self.table_mut(family, table)?;
        let old = table.chain(name).ok_or(Refused::NotFound)?;
        if !old.rules.is_empty() {
            let empty = Chain {
                rules: Vec::new(),
                ..(**old).clone()
            };
            table.put_chain(Arc::new(empty));
        }
        Ok(())
    }

    /// Puts a rule into a chain: before the rule of index `at`, or at its end.
    pub(crate) fn add_rule(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
        at: Option<usize>,
        mut rule: Rule,
    ) -> Result<(), Refused> {
        let place = self.table_mut(family, table)?;
        let old = place.chain(name).ok_or(Refused::NotFound)?;
        let mut chain = (**old).clone();
        let own = place.chains.handle(name).unwrap_or(0);
        rule.offset = place.handle(1) - own;
        let at = at.unwrap_or(chain.rules.len()).min(chain.rules.len());
        chain.rules.insert(at, rule);
        self.put_chain(family, table, chain)
    }

    /// The index of the rule with a handle.
    pub(crate) fn rule_with_handle(
        &self,
        family: Family,
        table: &str,
        name: &ChainName,
        handle: u64,
    ) -> Result<usize, Refused> {
        let table = self.table(family, table).ok_or(Refused::NotFound)?;
        let chain = table.chain(name).ok_or(Refused::NotFound)?;
        let own = table.chains.handle(name).unwrap_or(0);
        let mut rules = chain.rules.iter();
        rules
            .position(|rule| own + rule.offset == handle)
            .ok_or(Refused::NotFound)
    }

    /// Removes a rule by its index.
    pub(crate) fn delete_rule(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
        at: usize,
    ) -> Result<Rule, Refused> {
        let place = self.table_mut(family, table)?;
        let old = place.chain(name).ok_or(Refused::NotFound)?;
        let mut chain = (**old).clone();
        if at >= chain.rules.len() {
            return Err(Refused::NotFound);
        }
        let rule = chain.rules.remove(at);
        place.put_chain(Arc::new(chain));
        Ok(rule)
    }

    /// Makes a set or map where there is none of that name.
    pub(crate) fn add_set(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
        set: Set,
    ) -> Result<(), Refused> {
        let place = self.table_mut(family, table)?;
        match place.set(name) {
            // The same declaration again changes nothing.
            Some(old) if old.key == set.key && old.flags == set.flags && old.data == set.data => {}
            Some(_) => return Err(Refused::Exists),
            None => place.put_set(name, Arc::new(set)),
        }
        Ok(())
    }

    /// Removes a set or map that no rule uses.
    ///
    /// # Errors
    /// There is none, or it is used.
    pub fn delete_set(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
    ) -> Result<(), Refused> {
        let place = self.table(family, table).ok_or(Refused::NotFound)?;
        if place.set(name).is_none() {
            return Err(Refused::NotFound);
        }
        let mut chains = place.chains.iter();
        let used = chains.any(|(_, chain)| {
            let mut statements = chain.rules.iter().flat_map(|r| &r.statements);
            statements.any(|s| s.named_set() == Some(name))
        });
        drop(chains);
        if used {
            return Err(Refused::Busy);
        }
        self.forget_set(family, table, name)
    }

    /// Removes a set that its maker knows to be unused.
    ///
    /// # Errors
    /// There is no such table.
    pub fn forget_set(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
    ) -> Result<(), Refused> {
        let place = self.table_mut(family, table)?;
        place.sets.remove(name);
        let made = place.made;
        self.leases.push(LeaseChange::Clear(made, name.clone()));
        Ok(())
    }

    /// Removes all elements of a set or map.
    pub(crate) fn flush_set(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
    ) -> Result<(), Refused> {
        let place = self.table_mut(family, table)?;
        let mut set = (**place.set(name).ok_or(Refused::NotFound)?).clone();
        set.elements.clear();
        set.intervals.clear();
        place.put_set(name, Arc::new(set));
        let made = place.made;
        self.leases.push(LeaseChange::Clear(made, name.clone()));
        Ok(())
    }

    /// Puts an element in; with `create` it must not be there.
    pub(crate) fn add_element(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
        new: NewElement,
        create: bool,
    ) -> Result<(), Refused> {
        let NewElement {
            from,
            to,
            element,
            span,
        } = new;
        let now = self.now;
        let place = self.table_mut(family, table)?;
        let made = place.made;
        let old = place.set(name).ok_or(Refused::NotFound)?;
        if span.0.is_some() && !old.flags.timeout {
            return Err(Refused::Invalid);
        }
        if let Some(Datum::Verdict(verdict)) = &element.datum
            && let Some(to) = verdict.chain()
            && place.chain(to).is_none()
        {
            return Err(Refused::NotFound);
        }
        if old.flags.timeout {
            let lasts = span.0.or(old.timeout);
            let lease = Lease {
                expires: lasts.map(|ms| now + Time::from_millis(ms)),
                span: span.0.filter(|ms| old.timeout != Some(*ms)),
            };
            let change = LeaseChange::Put(made, name.clone(), from, lease, element);
            self.leases.push(change);
            return Ok(());
        }
        let set = place.set_mut(name).ok_or(Refused::NotFound)?;
        let interval = match to {
            Some(to) if to != from => Some((from, to)),
            _ if set.flags.interval => Some((from, from)),
            _ => None,
        };
        match interval {
            Some(_) if !set.flags.interval => return Err(Refused::Invalid),
            Some((from, to)) => set.add_interval(from, to, element)?,
            None => {
                let known = set.elements.get(&from);
                if known.is_some_and(|old| create || old.datum != element.datum) {
                    return Err(Refused::Exists);
                }
                let full = set
                    .size
                    .is_some_and(|size| set.elements.len() >= size as usize);
                if full && known.is_none() {
                    return Err(Refused::Full);
                }
                set.elements.insert(from, element);
            }
        }
        Ok(())
    }

    /// Takes an element out.
    pub(crate) fn delete_element(
        &mut self,
        family: Family,
        table: &str,
        name: &ChainName,
        (from, to): (Key, Option<Key>),
    ) -> Result<(), Refused> {
        let place = self.table_mut(family, table)?;
        let made = place.made;
        let old = place.set(name).ok_or(Refused::NotFound)?;
        if old.flags.timeout {
            let state = self.netfilter.state.as_ref();
            let leases = state.and_then(|s| s.leases.get(&(made, name.clone())));
            if !leases.is_some_and(|l| l.contains_key(&from)) {
                return Err(Refused::NotFound);
            }
            let change = LeaseChange::Remove(made, name.clone(), from);
            self.leases.push(change);
            return Ok(());
        }
        let mut set = (**old).clone();
        let last = to.unwrap_or(from);
        let before = set.elements.len() + set.intervals.len();
        set.elements.remove(&from);
        set.intervals.retain(|i| i.0 != from || i.1 != last);
        if set.elements.len() + set.intervals.len() == before {
            return Err(Refused::NotFound);
        }
        place.put_set(name, Arc::new(set));
        Ok(())
    }

    /// The first thing that keeps the changes from taking effect.
    fn complaint(&self) -> Option<Refused> {
        for (family, table, name) in &self.written {
            let table = self.table(*family, table)?;
            let Some(chain) = table.chain(name) else {
                continue;
            };
            for rule in &chain.rules {
                if let Some(refused) = check_rule(table, chain, rule) {
                    return Some(refused);
                }
            }
            if leads_back(table, chain) {
                return Some(Refused::TooManyLinks);
            }
        }
        for (family, table, name) in &self.removed {
            let Some(table) = self.table(*family, table) else {
                continue;
            };
            if table.chain(name).is_some() {
                continue;
            }
            let mut rules = table.chains.iter().flat_map(|(_, chain)| &chain.rules);
            let mut maps = table.sets.iter().filter(|(_, set)| set.data.is_some());
            if rules.any(|rule| rule.leads_to().any(|to| to == name))
                || maps.any(|(_, map)| map.leads_to().any(|to| to == name))
            {
                return Some(Refused::Busy);
            }
        }
        None
    }

    /// Puts all changes into effect.
    ///
    /// # Errors
    /// Nothing is changed then.
    pub fn commit(mut self) -> Result<(), Refused> {
        if let Some(refused) = self.complaint() {
            return Err(refused);
        }
        self.tables.register();
        let tracking = !self.netfilter.tracks() && self.tables.needs_tracking();
        for change in self.leases {
            let leases = &mut self.netfilter.state_mut().leases;
            match change {
                LeaseChange::Put(table, set, key, lease, element) => {
                    let leases = leases.entry((table, set)).or_default();
                    leases.insert(key, (lease, element));
                }
                LeaseChange::Remove(table, set, key) => {
                    if let Some(leases) = leases.get_mut(&(table, set)) {
                        leases.remove(&key);
                    }
                }
                LeaseChange::Clear(table, set) => drop(leases.remove(&(table, set))),
            }
        }
        self.netfilter.set_nft(self.tables, tracking);
        Ok(())
    }
}

fn check_rule(table: &Table, chain: &Chain, rule: &Rule) -> Option<Refused> {
    let missing = rule
        .leads_to()
        .any(|to| table.chain(to).is_none_or(|to| to.base.is_some()));
    if missing {
        return Some(Refused::NotFound);
    }
    for statement in &rule.statements {
        if statement
            .named_set()
            .is_some_and(|set| table.set(set).is_none())
        {
            return Some(Refused::NotFound);
        }
        // Addresses are translated in chains of type nat only, and each kind at its own hooks.
        if let (Statement::Nat(_), Some(base)) = (statement, chain.base)
            && base.kind != super::ChainType::Nat
        {
            return Some(Refused::Invalid);
        }
    }
    None
}

/// Does a chain lead back to itself, by whatever way?
fn leads_back(table: &Table, start: &Chain) -> bool {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&Chain> = vec![start];
    while let Some(chain) = next.pop() {
        for rule in &chain.rules {
            let maps = rule.statements.iter().filter_map(|s| match s.map()? {
                MapRef::Named(name) => table.set(name),
                MapRef::Own(_) => None,
            });
            let mapped = maps.flat_map(|map| map.leads_to());
            for to in rule.leads_to().chain(mapped) {
                if *to == start.name {
                    return true;
                }
                if let Some(chain) = table.chain(to)
                    && seen.insert(to)
                {
                    next.push(chain);
                }
            }
        }
    }
    false
}
