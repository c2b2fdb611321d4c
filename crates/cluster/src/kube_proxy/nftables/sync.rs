//! A sync: what kube-proxy does to its table, in full or for what changed only.
//!
//! kube-proxy remembers which elements it has put into sets and maps, and only says what is different; so what hands
//! have changed stays, and a change that does not fit it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kubarium_linux::netfilter::nft::{Element, Key, Refused, Set, Transaction};
use kubarium_linux::netfilter::{ChainName, Netfilter};

use super::super::cache::NftChainsCache;
use super::super::config::Config;
use super::super::node::NodeInfo;
use super::super::service::NamespacedName;
use super::super::service_chains::RuleOptions;
use super::super::state::State;
use super::super::sync::SyncError;
use super::TABLE;
use super::chains::{Container, address};
use super::setup::{self, Settings};
use crate::time::Time;

/// A chain that is not used any more is removed this long after it was emptied, with the next sync.
const STALE_FOR: Duration = Duration::from_secs(1);

/// What a node's kube-proxy remembers of its table.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The contents of sets and maps as they were written last.
    written: BTreeMap<Container, Arc<Set>>,
    /// Chains that were emptied, and when.
    stale: BTreeMap<ChainName, Time>,
    /// Base chains have been made anew since the start.
    recreated: bool,
}

/// What a sync of a node needs.
#[derive(Debug)]
pub struct NftSync<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The node.
    pub node: &'a NodeInfo,
    /// What is to be carried out.
    pub state: &'a State,
    /// Chains that nodes share.
    pub cache: &'a mut NftChainsCache,
    /// What this kube-proxy remembers.
    pub memory: &'a mut Memory,
    /// When it is.
    pub at: Time,
}

type Contents = BTreeMap<Container, BTreeMap<Key, Element>>;

impl NftSync<'_> {
    /// Writes everything.
    ///
    /// # Errors
    /// The kernel's, for the whole transaction; kube-proxy tries again after its sync period.
    pub fn full(&mut self, tables: &mut Netfilter) -> Result<(), SyncError> {
        self.delete_stale(tables);
        let done = self.sync(tables, None);
        self.after(done)
    }

    /// Writes the chains of the Services that changed, and the elements that are different.
    ///
    /// # Errors
    /// The kernel's; kube-proxy then makes a full sync.
    pub fn partial(
        &mut self,
        tables: &mut Netfilter,
        changed: &BTreeSet<NamespacedName>,
    ) -> Result<(), SyncError> {
        if !self.delete_stale(tables) {
            return self.full(tables);
        }
        let done = self.sync(tables, Some(changed));
        self.after(done)
    }

    fn after(&mut self, done: Result<(), Refused>) -> Result<(), SyncError> {
        done.map_err(|refused| {
            self.memory.stale.clear();
            SyncError::Refused(refused.text())
        })
    }

    fn now(&self) -> kubarium_linux::Time {
        kubarium_linux::Time(self.at.0)
    }

    /// Removes chains that were emptied a while ago; false: the kernel refused.
    fn delete_stale(&mut self, tables: &mut Netfilter) -> bool {
        let at = self.at;
        let old: Vec<ChainName> = self
            .memory
            .stale
            .iter()
            .filter(|(_, since)| at - **since > STALE_FOR)
            .map(|(name, _)| name.clone())
            .collect();
        if old.is_empty() {
            return true;
        }
        for name in &old {
            self.memory.stale.remove(name);
        }
        let family = self.state.family().nft();
        let now = self.now();
        let mut transaction = Transaction::new(tables, now);
        let mut all = old.iter();
        all.try_for_each(|name| transaction.delete_chain(family, TABLE, name))
            .and_then(|()| transaction.commit())
            .is_ok()
    }

    fn sync(
        &mut self,
        tables: &mut Netfilter,
        changed: Option<&BTreeSet<NamespacedName>>,
    ) -> Result<(), Refused> {
        let family = self.state.family();
        let settings = Settings::new(self.config, self.node, family);
        let options = RuleOptions {
            family,
            detector: settings.detector.clone(),
            masquerade_all: settings.masquerade_all,
            localhost_counter: false,
            large: false,
            mark: settings.mark,
        };
        let now = self.now();
        let full = changed.is_none();
        let mut transaction = Transaction::new(tables, now);
        if full {
            setup::write(&mut transaction, &settings, !self.memory.recreated)?;
        }
        let mut contents = Contents::new();
        let (mut chains, mut affinity) = (0, 0);
        let state = self.state;
        let mut blocks = self.cache.with(&options);
        for (service, entry) in state.ports() {
            let block = blocks.get(service, entry, self.node);
            for (container, key, element) in &block.elements {
                let place = contents.entry(*container).or_default();
                place.entry(*key).or_insert_with(|| element.clone());
            }
            let used = entry.categorized(&self.node.topology);
            let own = used.all_reachable.iter();
            let own = own.filter_map(|at| entry.endpoints.get(*at as usize));
            for endpoint in own
                .filter(|e| !e.node_name.is_empty() && e.node_name == self.node.topology.node_name)
            {
                let ip = address(endpoint.ip);
                let key = ip
                    .then(ip.bytes())
                    .protocol(entry.port.protocol.into())
                    .port(endpoint.port);
                let hairpins = contents.entry(Container::Hairpins).or_default();
                hairpins.insert(key, Element::default());
            }
            chains += block.chains.len();
            affinity += block.affinity.len();
            if changed.is_none_or(|changed| changed.contains(service)) {
                for (name, set) in &block.affinity {
                    transaction.write_set(family.nft(), TABLE, name, set.clone())?;
                }
                for chain in &block.chains {
                    transaction.write_chain(family.nft(), TABLE, chain.clone())?;
                }
            }
        }
        blocks.prune(state);
        self.flush_stale(&mut transaction, &options, chains, affinity)?;
        let written = self.write_contents(&mut transaction, contents, full)?;
        transaction.commit()?;
        self.memory.written = written;
        self.memory.recreated = true;
        Ok(())
    }

    /// Empties chains that no service port uses any more, and removes their sets.
    fn flush_stale(
        &mut self,
        transaction: &mut Transaction,
        options: &RuleOptions,
        chains: usize,
        affinity: usize,
    ) -> Result<(), Refused> {
        let family = self.state.family().nft();
        let table = transaction.table(family, TABLE).ok_or(Refused::NotFound)?;
        let is_service = |name: &&ChainName| name.as_str().contains('/');
        let is_affinity = |name: &&ChainName| name.as_str().starts_with("affinity-");
        let there = table.chain_names().filter(is_service).count();
        let sets_there = table.set_names().filter(is_affinity).count();
        if there == chains && sets_there == affinity && self.memory.stale.is_empty() {
            return Ok(());
        }
        let mut stale: BTreeSet<ChainName> =
            table.chain_names().filter(is_service).cloned().collect();
        let mut stale_sets: BTreeSet<ChainName> =
            table.set_names().filter(is_affinity).cloned().collect();
        let state = self.state;
        let mut blocks = self.cache.with(options);
        for (service, entry) in state.ports() {
            let block = blocks.get(service, entry, self.node);
            for chain in &block.chains {
                stale.remove(&chain.name);
                self.memory.stale.remove(&chain.name);
            }
            for (name, _) in &block.affinity {
                stale_sets.remove(name);
            }
        }
        for name in stale {
            transaction.flush_chain(family, TABLE, &name)?;
            self.memory.stale.insert(name, self.at);
        }
        for name in stale_sets {
            transaction.delete_set(family, TABLE, &name)?;
        }
        Ok(())
    }

    /// Puts elements into sets and maps: all of them after a full sync has emptied them, else what is different from
    /// what was written last.
    fn write_contents(
        &mut self,
        transaction: &mut Transaction,
        mut contents: Contents,
        full: bool,
    ) -> Result<BTreeMap<Container, Arc<Set>>, Refused> {
        let family = self.state.family().nft();
        let mut written = BTreeMap::new();
        for container in Container::ALL {
            let name = ChainName::from(container.name());
            let elements = contents.remove(&container).unwrap_or_default();
            let table = transaction.table(family, TABLE).ok_or(Refused::NotFound)?;
            let there = table.set(&name).ok_or(Refused::NotFound)?.clone();
            let memory = self.memory.written.get(&container);
            let untouched = full || memory.is_some_and(|memory| Arc::ptr_eq(memory, &there));
            if let Some(memory) = memory
                && untouched
                && !full
                && memory.elements == elements
            {
                written.insert(container, memory.clone());
                continue;
            }
            let wanted = Set {
                elements,
                ..(*there).clone()
            };
            let new = if untouched {
                self.cache.shared(wanted.clone())
            } else {
                let memory = memory.map(|memory| &memory.elements);
                Arc::new(different(&there, memory, &wanted)?)
            };
            transaction.write_set(family, TABLE, &name, new.clone())?;
            // What is remembered is what was meant, which hands may have changed since.
            let meant = if untouched { new } else { Arc::new(wanted) };
            written.insert(container, meant);
        }
        Ok(written)
    }
}

/// A set that hands have changed, with the elements that are different from what was written last.
fn different(
    there: &Set,
    memory: Option<&BTreeMap<Key, Element>>,
    wanted: &Set,
) -> Result<Set, Refused> {
    let mut set = there.clone();
    let empty = BTreeMap::new();
    let memory = memory.unwrap_or(&empty);
    for (key, old) in memory {
        if wanted.elements.get(key) != Some(old) && set.elements.remove(key).is_none() {
            return Err(Refused::NotFound);
        }
    }
    for (key, new) in &wanted.elements {
        if memory.get(key) == Some(new) {
            continue;
        }
        match set.elements.get(key) {
            Some(old) if old.datum != new.datum => return Err(Refused::Exists),
            _ => drop(set.elements.insert(*key, new.clone())),
        }
    }
    Ok(set)
}
