//! Blocks of rules that nodes share: most service ports mean the same rules on every node.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_linux::netfilter::KnownTables;
use kubarium_linux::netfilter::nft::Set;

use super::endpoints::Categorized;
use super::nftables::NftChains;
use super::node::NodeInfo;
use super::service::NamespacedName;
use super::service_chains::{RuleOptions, ServiceChains};
use super::state::{PortEntry, State};

/// How many different blocks are kept for a Service; those of a Service with local traffic
/// policies differ from node to node.
const BLOCKS_A_SERVICE: usize = 32;
/// How many different settings are kept (clusters near the size limit, a pod CIDR a node).
const SETTINGS: usize = 4;

/// How many sets and maps are kept for sharing.
const SETS: usize = 32;

/// What a service port becomes in a mode.
pub trait Built {
    /// For nodes that use these of its endpoints. `node_ip_in_ranges`: whether the node's own address lies in one of
    /// its source ranges.
    fn build(
        entry: &PortEntry,
        used: &Categorized,
        node_ip_in_ranges: bool,
        options: &RuleOptions,
    ) -> Self;
}

/// The blocks made last, by settings and Service. Only a memory: a block is the same made anew.
#[derive(Debug)]
pub struct Cache<B> {
    settings: Vec<(RuleOptions, Arc<Blocks<B>>)>,
}

/// The blocks of the iptables mode.
pub type ServiceChainsCache = Cache<ServiceChains>;

/// The blocks of the nftables mode, and the sets that nodes share.
#[derive(Clone, Debug, Default)]
pub struct NftChainsCache {
    blocks: Cache<NftChains>,
    sets: Vec<Arc<Set>>,
}

/// Blocks of rules that nodes share, of each mode.
#[derive(Clone, Debug, Default)]
pub struct Caches {
    /// Of the iptables mode.
    pub iptables: ServiceChainsCache,
    /// Of the nftables mode.
    pub nftables: NftChainsCache,
    /// The tables that were written last, on whatever node.
    pub written: KnownTables,
}

impl NftChainsCache {
    /// As of [`Cache`].
    pub(crate) fn with(&mut self, options: &RuleOptions) -> BlocksWith<'_, NftChains> {
        self.blocks.with(options)
    }

    /// A set that other nodes have as well is kept once.
    pub(crate) fn shared(&mut self, set: Set) -> Arc<Set> {
        if let Some(known) = self.sets.iter().find(|known| ***known == set) {
            return known.clone();
        }
        let set = Arc::new(set);
        self.sets.truncate(SETS - 1);
        self.sets.insert(0, set.clone());
        set
    }
}

type Blocks<B> = BTreeMap<NamespacedName, Vec<Block<B>>>;

#[derive(Debug)]
struct Block<B> {
    entry: Arc<PortEntry>,
    used: Categorized,
    node_ip_in_ranges: bool,
    chains: Arc<B>,
}

impl<B> Clone for Block<B> {
    fn clone(&self) -> Self {
        Block {
            entry: self.entry.clone(),
            used: self.used.clone(),
            node_ip_in_ranges: self.node_ip_in_ranges,
            chains: self.chains.clone(),
        }
    }
}

impl<B> Clone for Cache<B> {
    fn clone(&self) -> Self {
        Cache {
            settings: self.settings.clone(),
        }
    }
}

impl<B> Default for Cache<B> {
    fn default() -> Self {
        Cache {
            settings: Vec::new(),
        }
    }
}

impl<B: Built> Cache<B> {
    /// The blocks made with these settings, to be asked for one by one.
    pub(crate) fn with(&mut self, options: &RuleOptions) -> BlocksWith<'_, B> {
        let at = self.settings.iter().position(|(known, _)| known == options);
        let entry = match at {
            Some(at) => self.settings.remove(at),
            None => {
                self.settings.truncate(SETTINGS - 1);
                (options.clone(), Arc::default())
            }
        };
        self.settings.insert(0, entry);
        let (options, blocks) = &mut self.settings[0];
        BlocksWith {
            options,
            blocks: Arc::make_mut(blocks),
        }
    }
}

/// The blocks of one set of settings.
pub(crate) struct BlocksWith<'a, B> {
    options: &'a RuleOptions,
    blocks: &'a mut Blocks<B>,
}

impl<B: Built> BlocksWith<'_, B> {
    /// The rules of a service port on a node.
    pub(crate) fn get(
        &mut self,
        service: &NamespacedName,
        entry: &Arc<PortEntry>,
        node: &NodeInfo,
    ) -> Arc<B> {
        let node_ip = node.node_ip(self.options.family);
        let ranges = &entry.port.source_ranges;
        let node_ip_in_ranges = ranges.iter().any(|range| range.contains(&node_ip));
        let used = entry.categorized(&node.topology);
        let known = match self.blocks.get_mut(service) {
            Some(known) => known,
            None => self.blocks.entry(service.clone()).or_default(),
        };
        let fits = |block: &&Block<B>| {
            (Arc::ptr_eq(&block.entry, entry) || block.entry == *entry)
                && block.node_ip_in_ranges == node_ip_in_ranges
                && block.used == *used
        };
        if let Some(block) = known.iter().find(fits) {
            return block.chains.clone();
        }
        let chains = Arc::new(B::build(entry, &used, node_ip_in_ranges, self.options));
        known.truncate(BLOCKS_A_SERVICE - 1);
        known.insert(
            0,
            Block {
                entry: entry.clone(),
                used: used.into_owned(),
                node_ip_in_ranges,
                chains: chains.clone(),
            },
        );
        chains
    }

    /// Forgets Services that are gone, once they are many.
    pub(crate) fn prune(&mut self, state: &State) {
        if self.blocks.len() > 2 * state.services().count() + 64 {
            self.blocks.retain(|key, _| state.service(key).is_some());
        }
    }
}
