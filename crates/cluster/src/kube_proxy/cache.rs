//! Blocks of rules that nodes share: most service ports mean the same rules on every node.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::endpoints::Categorized;
use super::node::NodeInfo;
use super::service::NamespacedName;
use super::service_chains::{RuleOptions, ServiceChains, service_chains};
use super::state::{PortEntry, State};

/// How many different blocks are kept for a Service; those of a Service with local traffic
/// policies differ from node to node.
const BLOCKS_A_SERVICE: usize = 32;
/// How many different settings are kept (clusters near the size limit, a pod CIDR a node).
const SETTINGS: usize = 4;

/// The blocks made last, by settings and Service. Only a memory: a block is the same made anew.
#[derive(Clone, Debug, Default)]
pub struct ServiceChainsCache {
    settings: Vec<(RuleOptions, Arc<Blocks>)>,
}

type Blocks = BTreeMap<NamespacedName, Vec<Block>>;

#[derive(Clone, Debug)]
struct Block {
    entry: Arc<PortEntry>,
    used: Categorized,
    node_ip_in_ranges: bool,
    chains: Arc<ServiceChains>,
}

impl ServiceChainsCache {
    /// The blocks made with these settings, to be asked for one by one.
    pub(crate) fn with(&mut self, options: &RuleOptions) -> BlocksWith<'_> {
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
pub(crate) struct BlocksWith<'a> {
    options: &'a RuleOptions,
    blocks: &'a mut Blocks,
}

impl BlocksWith<'_> {
    /// The rules of a service port on a node.
    pub(crate) fn get(
        &mut self,
        service: &NamespacedName,
        entry: &Arc<PortEntry>,
        node: &NodeInfo,
    ) -> Arc<ServiceChains> {
        let node_ip = node.node_ip(self.options.family);
        let ranges = &entry.port.source_ranges;
        let node_ip_in_ranges = ranges.iter().any(|range| range.contains(&node_ip));
        let used = entry.categorized(&node.topology);
        let known = match self.blocks.get_mut(service) {
            Some(known) => known,
            None => self.blocks.entry(service.clone()).or_default(),
        };
        let fits = |block: &&Block| {
            (Arc::ptr_eq(&block.entry, entry) || block.entry == *entry)
                && block.node_ip_in_ranges == node_ip_in_ranges
                && block.used == *used
        };
        if let Some(block) = known.iter().find(fits) {
            return block.chains.clone();
        }
        let chains = Arc::new(service_chains(
            entry,
            &used,
            node_ip_in_ranges,
            self.options,
        ));
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
