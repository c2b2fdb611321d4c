//! kube-proxy on a machine that belongs to no simulated cluster: it starts, and syncs once.

use kubarium_linux::{NamespaceId, Network};

use super::cache::Caches;
use super::config::{Config, Mode};
use super::nftables::{Memory, NftSync};
use super::node::NodeInfo;
use super::shared_chains::answers_on_localhost;
use super::state::State;
use super::sync::{Sync, SyncError, ensure_canary};

/// Sets a machine's kernel parameters as kube-proxy does when it starts, and writes all its rules.
///
/// # Errors
/// As a sync fails.
pub fn run_once(
    config: &Config,
    node: &NodeInfo,
    state: &State,
    caches: &mut Caches,
    net: &mut Network,
    machine: NamespaceId,
) -> Result<(), SyncError> {
    let nftables = config.mode == Mode::Nftables;
    if !nftables && answers_on_localhost(config, node) {
        // The kernel knows this parameter; a failure would be the network's own.
        let _ = net.set_sysctl(machine, "net.ipv4.conf.all.route_localnet", "1");
    }
    let Some(namespace) = net.namespace_mut(machine) else {
        return Ok(());
    };
    if nftables {
        let mut sync = NftSync {
            config,
            node,
            state,
            cache: &mut caches.nftables,
            memory: &mut Memory::default(),
            at: crate::time::Time(0),
        };
        return sync.full(&mut namespace.netfilter);
    }
    ensure_canary(&mut namespace.netfilter);
    let mut sync = Sync {
        config,
        node,
        state,
        cache: &mut caches.iptables,
        remove_stale: true,
    };
    sync.full(&mut namespace.netfilter)
}
