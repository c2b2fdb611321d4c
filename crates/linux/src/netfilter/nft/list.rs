//! What `nft list …` prints.

use std::fmt::Write;

use super::{Chain, ChainType, Family, Leases, Rule, Set, Table};
use crate::netfilter::{ChainName, Counter, Netfilter};
use crate::time::Time;

/// How to list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// `-a`
    pub handles: bool,
    /// `-s`: without what counters counted and when elements go away
    pub stateless: bool,
    /// `-t`: without elements of sets
    pub terse: bool,
}

/// What is listed out of a namespace.
pub(crate) struct Lister<'a> {
    pub netfilter: &'a Netfilter,
    pub now: Time,
    pub style: Style,
}

impl Lister<'_> {
    pub fn head(&self, table: &Table, out: &mut String) {
        head(table.family, &table.name, self.handle(table.made), out);
    }

    fn handle(&self, number: u64) -> Option<u64> {
        self.style.handles.then_some(number)
    }

    /// A table with all that is in it.
    pub fn table(&self, table: &Table, out: &mut String) {
        self.head(table, out);
        if let Some(comment) = &table.comment {
            let _ = writeln!(out, "\tcomment \"{comment}\"");
        }
        let mut first = true;
        let mut between = |out: &mut String| {
            if !std::mem::take(&mut first) {
                out.push('\n');
            }
        };
        for (handle, name, set) in table.sets.listed() {
            between(out);
            self.set(table, name, handle, set, out);
        }
        for (handle, _, chain) in table.chains.listed() {
            between(out);
            self.chain(table, handle, chain, out);
        }
        out.push_str("}\n");
    }

    /// The elements of a set that go away by themselves.
    pub fn leases(&self, table: &Table, name: &ChainName) -> Option<&Leases> {
        let state = self.netfilter.state.as_ref()?;
        state.leases.get(&(table.made, name.clone()))
    }

    /// What a rule's counter has counted, where that is wanted.
    pub fn counted(&self, table: &Table, chain: &Chain, rule: &Rule) -> Option<Counter> {
        let key = (table.made, chain.name.clone(), rule.offset);
        let state = self.netfilter.state.as_ref();
        let counted = state.and_then(|s| s.nft_counters.get(&key));
        (!self.style.stateless).then(|| counted.copied().unwrap_or_default())
    }

    /// A set or map with its elements.
    pub fn set(&self, table: &Table, name: &ChainName, handle: u64, set: &Set, out: &mut String) {
        let elements = (!self.style.terse).then_some((self.leases(table, name), self.now));
        set.print(name.as_str(), self.handle(handle), elements, out);
        out.push_str("\t}\n");
    }

    /// A chain's first lines: its name, and where it is asked.
    pub fn chain_head(&self, handle: u64, chain: &Chain, out: &mut String) {
        let _ = write!(out, "\tchain {} {{", chain.name);
        if let Some(handle) = self.handle(handle) {
            let _ = write!(out, " # handle {handle}");
        }
        out.push('\n');
        if let Some(comment) = &chain.comment {
            let _ = writeln!(out, "\t\tcomment \"{comment}\"");
        }
        if let Some(base) = chain.base {
            let _ = writeln!(
                out,
                "\t\ttype {} hook {} priority {}; policy {};",
                base.kind.name(),
                base.hook.lower(),
                base.priority_text(),
                base.policy.name().to_ascii_lowercase()
            );
        }
    }

    /// A chain with its rules.
    pub fn chain(&self, table: &Table, handle: u64, chain: &Chain, out: &mut String) {
        self.chain_head(handle, chain, out);
        for rule in &chain.rules {
            out.push_str("\t\t");
            rule.print(self.counted(table, chain, rule), out);
            if let Some(handle) = self.handle(handle + rule.offset) {
                let _ = write!(out, " # handle {handle}");
            }
            out.push('\n');
        }
        out.push_str("\t}\n");
    }
}

/// `table ip NAME {`
pub(crate) fn head(family: Family, name: &str, handle: Option<u64>, out: &mut String) {
    let _ = write!(out, "table {} {name} {{", family.name());
    if let Some(handle) = handle {
        let _ = write!(out, " # handle {handle}");
    }
    out.push('\n');
}

impl ChainType {
    /// The kind of chain that a table of iptables has.
    pub(crate) fn of_table(kind: crate::netfilter::TableKind) -> ChainType {
        match kind {
            crate::netfilter::TableKind::Nat => ChainType::Nat,
            _ => ChainType::Filter,
        }
    }
}
