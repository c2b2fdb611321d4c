//! Changing the chains of one table: what the command and a restore have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Chain, ChainCounters, ChainName, Counter, Hook, Netfilter, Policy, Rule, TableKind, Target,
};

/// Why a change is refused; the texts are iptables' own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    NoChain,
    Exists,
    BadRule,
    TooBig,
    NoBuiltIn,
    Busy(String),
    NoTarget(String),
    Message(String),
}

/// A chain while it is being changed.
struct Draft {
    policy: Option<Policy>,
    rules: Vec<Rule>,
    counters: ChainCounters,
}

/// Changes that take effect together, or not at all.
pub(crate) struct Edit<'a> {
    netfilter: &'a mut Netfilter,
    pub table: TableKind,
    drafts: BTreeMap<ChainName, Option<Draft>>,
}

impl<'a> Edit<'a> {
    pub fn new(netfilter: &'a mut Netfilter, table: TableKind) -> Self {
        Edit {
            netfilter,
            table,
            drafts: BTreeMap::new(),
        }
    }

    pub fn exists(&self, name: &ChainName) -> bool {
        match self.drafts.get(name) {
            Some(draft) => draft.is_some(),
            None => {
                self.builtin(name)
                    || self
                        .netfilter
                        .table(self.table)
                        .is_some_and(|t| t.chain(name).is_some())
            }
        }
    }

    fn builtin(&self, name: &ChainName) -> bool {
        self.table.builtin(name.as_str()).is_some()
    }

    fn draft(&mut self, name: &ChainName) -> Result<&mut Draft, Refusal> {
        if !self.drafts.contains_key(name) {
            let chain = self.netfilter.table(self.table).and_then(|t| t.chain(name));
            let draft = match chain {
                Some(chain) => Draft {
                    policy: chain.policy,
                    rules: chain.rules.clone(),
                    counters: self
                        .netfilter
                        .counters(self.table, name)
                        .cloned()
                        .unwrap_or_default(),
                },
                None if self.builtin(name) => Draft {
                    policy: Some(Policy::Accept),
                    rules: Vec::new(),
                    counters: ChainCounters::default(),
                },
                None => return Err(Refusal::NoChain),
            };
            self.drafts.insert(name.clone(), Some(draft));
        }
        self.drafts
            .get_mut(name)
            .and_then(Option::as_mut)
            .ok_or(Refusal::NoChain)
    }

    /// Removes every rule and user's chain; what a restore without `--noflush` begins with.
    pub fn clear(&mut self) {
        let names: Vec<ChainName> = self
            .netfilter
            .table(self.table)
            .map(|t| t.chains().iter().map(|c| c.name.clone()).collect())
            .unwrap_or_default();
        for name in names {
            let policy = self.builtin(&name).then_some(Policy::Accept);
            self.drafts.insert(
                name,
                policy.map(|policy| Draft {
                    policy: Some(policy),
                    rules: Vec::new(),
                    counters: ChainCounters::default(),
                }),
            );
        }
    }

    /// Makes an empty user's chain, emptying one that is there.
    pub fn reset(&mut self, name: &ChainName) {
        self.drafts.insert(
            name.clone(),
            Some(Draft {
                policy: None,
                rules: Vec::new(),
                counters: ChainCounters::default(),
            }),
        );
    }

    pub fn create(&mut self, name: &ChainName) -> Result<(), Refusal> {
        if self.exists(name) {
            return Err(Refusal::Exists);
        }
        self.reset(name);
        Ok(())
    }

    pub fn set_policy(&mut self, name: &ChainName, policy: Policy) -> Result<(), Refusal> {
        if !self.builtin(name) {
            return Err(Refusal::NoBuiltIn);
        }
        self.draft(name)?.policy = Some(policy);
        Ok(())
    }

    pub fn set_policy_counter(&mut self, name: &ChainName, counter: Counter) {
        if let Ok(draft) = self.draft(name) {
            draft.counters.policy = counter;
        }
    }

    pub fn append(
        &mut self,
        name: &ChainName,
        rule: Rule,
        counter: Option<Counter>,
    ) -> Result<(), Refusal> {
        let draft = self.draft(name)?;
        draft.rules.push(rule);
        if let Some(counter) = counter.filter(|c| *c != Counter::default()) {
            *draft.counters.rule_mut(draft.rules.len() - 1) = counter;
        }
        Ok(())
    }

    /// Inserts a rule so that it gets a number, from 1.
    pub fn insert(&mut self, name: &ChainName, number: usize, rule: Rule) -> Result<(), Refusal> {
        let draft = self.draft(name)?;
        if number == 0 || number > draft.rules.len() + 1 {
            return Err(Refusal::TooBig);
        }
        draft.rules.insert(number - 1, rule);
        for counter in draft
            .counters
            .rules
            .iter_mut()
            .filter(|c| c.0 as usize >= number - 1)
        {
            counter.0 += 1;
        }
        Ok(())
    }

    pub fn replace(&mut self, name: &ChainName, number: usize, rule: Rule) -> Result<(), Refusal> {
        let draft = self.draft(name)?;
        let old = number
            .checked_sub(1)
            .and_then(|at| draft.rules.get_mut(at))
            .ok_or(Refusal::TooBig)?;
        *old = rule;
        draft.counters.rules.retain(|c| c.0 as usize != number - 1);
        Ok(())
    }

    /// The number of the first rule equal to this one.
    pub fn find(&mut self, name: &ChainName, rule: &Rule) -> Result<usize, Refusal> {
        self.draft(name)?
            .rules
            .iter()
            .position(|r| r == rule)
            .map(|at| at + 1)
            .ok_or(Refusal::BadRule)
    }

    pub fn delete(&mut self, name: &ChainName, number: usize) -> Result<(), Refusal> {
        let draft = self.draft(name)?;
        if number == 0 || number > draft.rules.len() {
            return Err(Refusal::TooBig);
        }
        draft.rules.remove(number - 1);
        draft.counters.rules.retain(|c| c.0 as usize != number - 1);
        for counter in draft
            .counters
            .rules
            .iter_mut()
            .filter(|c| c.0 as usize >= number)
        {
            counter.0 -= 1;
        }
        Ok(())
    }

    pub fn flush(&mut self, name: &ChainName) -> Result<(), Refusal> {
        let draft = self.draft(name)?;
        draft.rules.clear();
        draft.counters.rules.clear();
        Ok(())
    }

    pub fn zero(&mut self, name: &ChainName) -> Result<(), Refusal> {
        self.draft(name)?.counters = ChainCounters::default();
        Ok(())
    }

    fn jumped_to(&self, name: &ChainName) -> bool {
        let jumps = |rules: &[Rule]| {
            rules
                .iter()
                .any(|r| matches!(&r.target, Target::Jump(c) | Target::Goto(c) if c == name))
        };
        self.drafts.values().flatten().any(|d| jumps(&d.rules))
            || self.netfilter.table(self.table).is_some_and(|t| {
                t.chains()
                    .iter()
                    .any(|c| !self.drafts.contains_key(&c.name) && jumps(&c.rules))
            })
    }

    /// Removes an empty user's chain that nothing jumps to.
    pub fn remove(&mut self, name: &ChainName) -> Result<(), Refusal> {
        let empty = self.draft(name)?.rules.is_empty();
        if empty && self.builtin(name) {
            // The kernel makes it anew with the next rule.
            return Ok(());
        }
        if !empty || self.jumped_to(name) {
            return Err(Refusal::Busy(format!(
                "CHAIN_DEL failed (Device or resource busy): chain {name}"
            )));
        }
        self.drafts.insert(name.clone(), None);
        Ok(())
    }

    /// Removes a user's chain in a restore: with its rules; jumps to it are looked at when all is done.
    pub fn remove_with_rules(&mut self, name: &ChainName) -> Result<(), Refusal> {
        self.draft(name)?;
        self.drafts.insert(name.clone(), None);
        Ok(())
    }

    pub fn rename(&mut self, from: &ChainName, to: &ChainName) -> Result<(), Refusal> {
        if self.exists(to) {
            return Err(Refusal::Exists);
        }
        if self.builtin(from) {
            return Err(Refusal::NoChain);
        }
        self.draft(from)?;
        let draft = self.drafts.insert(from.clone(), None).flatten();
        self.drafts.insert(to.clone(), draft);
        let names: Vec<ChainName> = self
            .netfilter
            .table(self.table)
            .map(|t| t.chains().iter().map(|c| c.name.clone()).collect())
            .unwrap_or_default();
        for name in names {
            let has = self
                .netfilter
                .table(self.table)
                .and_then(|t| t.chain(&name))
                .is_some_and(|c| {
                    c.rules.iter().any(
                        |r| matches!(&r.target, Target::Jump(c) | Target::Goto(c) if c == from),
                    )
                });
            if has && let Ok(draft) = self.draft(&name) {
                for rule in &mut draft.rules {
                    if let Target::Jump(c) | Target::Goto(c) = &mut rule.target
                        && c == from
                    {
                        *c = to.clone();
                    }
                }
            }
        }
        Ok(())
    }

    /// Is a translation possible where a chain is asked? (`nft_nat_validate`; what leads to a user's chain is not looked
    /// at.)
    fn allows(&self, chain: &ChainName, target: &Target) -> bool {
        let source = match target {
            Target::Dnat(_) | Target::Redirect(_) => false,
            Target::Snat(_) | Target::Masquerade(_) => true,
            _ => return true,
        };
        let masquerades = matches!(target, Target::Masquerade(_));
        self.table == TableKind::Nat
            && match self.table.builtin(chain.as_str()) {
                None => true,
                Some(Hook::Prerouting | Hook::Output) => !source,
                Some(Hook::Postrouting) => source,
                Some(Hook::Input) => source && !masquerades,
                Some(Hook::Forward) => false,
            }
    }

    /// The first jump to a chain that is not there, or use of a target where it is not allowed.
    fn complaint(&self) -> Option<Refusal> {
        let drafts = self.drafts.iter();
        for (name, draft) in drafts.filter_map(|(name, draft)| Some((name, draft.as_ref()?))) {
            for rule in &draft.rules {
                match &rule.target {
                    Target::Jump(to) | Target::Goto(to) if !self.exists(to) || self.builtin(to) => {
                        return Some(Refusal::NoTarget(to.to_string()));
                    }
                    Target::Drop if self.table == TableKind::Nat => {
                        return Some(Refusal::Message("\nThe \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.\n".to_owned()));
                    }
                    target if !self.allows(name, target) => {
                        return Some(Refusal::Message(format!(
                            " RULE_APPEND failed (Invalid argument): rule in chain {name}"
                        )));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Puts all changes into effect.
    pub fn commit(self) -> Result<(), Refusal> {
        if let Some(refusal) = self.complaint() {
            return Err(refusal);
        }
        self.netfilter.ensure_table(self.table);
        for (name, draft) in self.drafts {
            match draft {
                Some(draft) => {
                    self.netfilter.set_chain(
                        self.table,
                        Arc::new(Chain::new(name.clone(), draft.policy, draft.rules)),
                    );
                    if draft.counters != ChainCounters::default() {
                        *self.netfilter.counters_mut(self.table, &name) = draft.counters;
                    }
                }
                None => {
                    self.netfilter.remove_chain(self.table, name.as_str());
                }
            }
        }
        Ok(())
    }
}
