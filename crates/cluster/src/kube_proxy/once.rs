//! kube-proxy on a machine that belongs to no simulated cluster: it starts, and syncs once.

use kubarium_linux::{NamespaceId, Network};

use super::cache::ServiceChainsCache;
use super::config::Config;
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
    cache: &mut ServiceChainsCache,
    net: &mut Network,
    machine: NamespaceId,
) -> Result<(), SyncError> {
    if answers_on_localhost(config, node) {
        // The kernel knows this parameter; a failure would be the network's own.
        let _ = net.set_sysctl(machine, "net.ipv4.conf.all.route_localnet", "1");
    }
    let Some(namespace) = net.namespace_mut(machine) else {
        return Ok(());
    };
    ensure_canary(&mut namespace.netfilter);
    let mut sync = Sync {
        config,
        node,
        state,
        cache,
        remove_stale: true,
    };
    sync.full(&mut namespace.netfilter)
}
