//! A sync: what kube-proxy does to the kernel's tables, in full or for what changed only.
//!
//! Both do what `iptables-restore --noflush` does: chains that are named are rewritten whole,
//! others stay as they are, with whatever hands have changed in them.
//!
//! Source: `syncProxyRules` of `pkg/proxy/iptables/proxier.go`, Kubernetes v1.37.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use kubarium_linux::netfilter::{Chain, ChainName, Netfilter, Table, TableKind};

use super::address::Family;
use super::cache::ServiceChainsCache;
use super::config::Config;
use super::naming::is_service_chain;
use super::node::NodeInfo;
use super::service::NamespacedName;
use super::service_chains::ServiceChains;
use super::shared_chains::{Settings, SharedChains, add_accounts, ensure_jumps};
use super::state::State;
use crate::iptables::{ensure_chain, jump_target};

/// The chain whose disappearance tells kube-proxy that someone flushed all rules.
const CANARY: &str = "KUBE-PROXY-CANARY";

/// Why a sync failed. Like `iptables-restore`, it leaves the table that failed as it was; a table
/// before it is changed already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncError {
    /// A rule jumps to a chain of the nat table that is not there.
    NoChain(ChainName),
    /// A chain of the nat table that no Service uses any more cannot be removed, for a rule jumps
    /// to it.
    ChainInUse(ChainName),
    /// The family's tables are not simulated yet.
    NotSimulated(Family),
    /// nftables refused the whole transaction.
    Refused(&'static str),
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncError::NoChain(chain) => write!(f, "Chain '{chain}' does not exist"),
            SyncError::ChainInUse(chain) => {
                write!(
                    f,
                    "CHAIN_DEL failed (Device or resource busy): chain {chain}"
                )
            }
            SyncError::Refused(why) => write!(f, "Could not process rule: {why}"),
            SyncError::NotSimulated(family) => {
                write!(f, "{} rules: not simulated yet", family.as_str())
            }
        }
    }
}

impl std::error::Error for SyncError {}

/// What a sync of a node needs.
#[derive(Debug)]
pub struct Sync<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The node.
    pub node: &'a NodeInfo,
    /// What is to be carried out.
    pub state: &'a State,
    /// Blocks of rules that nodes share.
    pub cache: &'a mut ServiceChainsCache,
    /// Whether to look for chains that nothing uses any more: always, but in a large cluster only
    /// if the last time was more than a sync period ago.
    pub remove_stale: bool,
}

/// What an earlier sync has left.
struct Since<'a> {
    before: &'a State,
    stale: &'a mut BTreeSet<ChainName>,
}

impl Sync<'_> {
    /// Writes everything, the jumps from the kernel's own chains included.
    ///
    /// # Errors
    /// As `iptables-restore` would fail; kube-proxy tries again after its sync period.
    pub fn full(&mut self, tables: &mut Netfilter) -> Result<(), SyncError> {
        self.check_family()?;
        ensure_jumps(tables);
        if self.node.nfacct {
            add_accounts(tables);
        }
        self.restore(tables, None, None)
    }

    /// Writes the chains that all service ports share, and those of the Services that changed.
    ///
    /// # Errors
    /// As `iptables-restore` would fail; kube-proxy then makes a full sync.
    pub fn partial(
        &mut self,
        tables: &mut Netfilter,
        changed: &BTreeSet<NamespacedName>,
    ) -> Result<(), SyncError> {
        self.check_family()?;
        self.restore(tables, Some(changed), None)
    }

    /// The same where nobody else has changed service chains since `before` was carried out: then those that are not
    /// used any more are known by what has changed, and nothing else is looked at. `stale`: such as earlier syncs have
    /// left, which become those that this one leaves.
    ///
    /// # Errors
    /// As of [`Sync::partial`].
    pub fn partial_since(
        &mut self,
        tables: &mut Netfilter,
        changed: &BTreeSet<NamespacedName>,
        before: &State,
        stale: &mut BTreeSet<ChainName>,
    ) -> Result<(), SyncError> {
        self.check_family()?;
        self.restore(tables, Some(changed), Some(Since { before, stale }))
    }

    fn check_family(&self) -> Result<(), SyncError> {
        match self.state.family() {
            Family::Ipv4 => Ok(()),
            family => Err(SyncError::NotSimulated(family)),
        }
    }

    /// `changed`: the Services whose chains are written; `None` for all.
    fn restore(
        &mut self,
        tables: &mut Netfilter,
        changed: Option<&BTreeSet<NamespacedName>>,
        mut since: Option<Since>,
    ) -> Result<(), SyncError> {
        let settings = Settings::new(self.config, self.node, self.state);
        let mut shared = SharedChains::new(&settings);
        let mut write: Vec<Arc<Chain>> = Vec::new();
        let mut used = 0;
        let mut missing = None;
        let mut blocks = self.cache.with(&settings.rules);
        for (service, entry) in self.state.ports() {
            let block = blocks.get(service, entry, self.node);
            shared.add(&block);
            if changed.is_none_or(|changed| changed.contains(service)) {
                write.extend_from_slice(&block.chains);
            } else if missing.is_none() && since.is_none() {
                missing = missing_entry_chain(tables, &block).cloned();
            }
            used += block.chains.len();
        }
        if let Some(since) = &mut since {
            let services = changed.into_iter().flatten();
            for (service, entry) in services.flat_map(|service| since.before.ports_of(service)) {
                let block = blocks.get(service, entry, self.node);
                (since.stale).extend(block.chains.iter().map(|chain| chain.name.clone()));
            }
            for chain in &write {
                since.stale.remove(&chain.name);
            }
        }
        blocks.prune(self.state);
        shared.write_filter(tables);
        if let Some(chain) = missing {
            return Err(SyncError::NoChain(chain));
        }
        let mut after = tables.clone();
        for chain in write {
            after.set_chain(TableKind::Nat, chain);
        }
        shared.write_nat(&mut after);
        match since {
            _ if !self.remove_stale => {}
            Some(since) => {
                for name in std::mem::take(since.stale) {
                    after.remove_chain(TableKind::Nat, name.as_str());
                }
            }
            None if service_chains_in(&after).count() > used => {
                self.remove_stale_chains(&mut after, &settings)?;
            }
            None => {}
        }
        *tables = after;
        Ok(())
    }

    /// Removes the chains of service ports and endpoints that this sync does not use.
    fn remove_stale_chains(
        &mut self,
        tables: &mut Netfilter,
        settings: &Settings,
    ) -> Result<(), SyncError> {
        let mut stale: BTreeSet<ChainName> = service_chains_in(tables).cloned().collect();
        let mut blocks = self.cache.with(&settings.rules);
        for (service, entry) in self.state.ports() {
            for chain in &blocks.get(service, entry, self.node).chains {
                stale.remove(&chain.name);
            }
        }
        let nat = tables.table(TableKind::Nat);
        let chains = nat.into_iter().flat_map(Table::chains);
        // Stale chains are flushed before they are removed: jumps between them hold nothing.
        for chain in chains.filter(|chain| !stale.contains(&chain.name)) {
            let mut targets = chain.rules.iter().filter_map(jump_target);
            if let Some(target) = targets.find(|name| stale.contains(*name)) {
                return Err(SyncError::ChainInUse(target.clone()));
            }
        }
        for name in &stale {
            tables.remove_chain(TableKind::Nat, name.as_str());
        }
        Ok(())
    }
}

/// The chains that shared chains jump to must be there, though a partial sync does not write them.
fn missing_entry_chain<'a>(tables: &Netfilter, block: &'a ServiceChains) -> Option<&'a ChainName> {
    let nat = tables.table(TableKind::Nat);
    let mut targets = block
        .nat_services
        .iter()
        .chain(&block.nat_node_ports)
        .filter_map(jump_target);
    targets.find(|name| nat.is_none_or(|nat| nat.chain(name).is_none()))
}

/// The names of the chains of service ports and endpoints.
fn service_chains_in(tables: &Netfilter) -> impl Iterator<Item = &ChainName> {
    let nat = tables.table(TableKind::Nat).into_iter();
    let names = nat.flat_map(|nat| nat.user()).map(|chain| &chain.name);
    names.filter(|name| is_service_chain(name.as_str()))
}

/// Makes the canary chains, as kube-proxy does when it starts.
pub fn ensure_canary(tables: &mut Netfilter) {
    for table in [TableKind::Mangle, TableKind::Nat, TableKind::Filter] {
        ensure_chain(tables, table, CANARY);
    }
}

/// Whether someone flushed all rules: looked at every sync period, and answered with a full sync.
pub fn canary_is_gone(tables: &Netfilter) -> bool {
    tables.chain(TableKind::Mangle, CANARY).is_none()
}
