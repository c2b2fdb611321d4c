//! The chains that a kubelet keeps in its node's tables.
//!
//! Source: `pkg/kubelet/kubelet_network_linux.go`, Kubernetes v1.37.

use kubarium_linux::netfilter::{Netfilter, TableKind};

use crate::iptables::{append_if_missing, ensure_chain, prepend_if_missing, rule};
use crate::kube_proxy::block_localnet;

/// Tells other programs which of iptables' kernel interfaces is in use; empty.
const HINT: &str = "KUBE-IPTABLES-HINT";
/// Its disappearance tells the kubelet that someone flushed all rules.
const CANARY: &str = "KUBE-KUBELET-CANARY";
/// Keeps loopback addresses from being reached from elsewhere.
const FIREWALL: &str = "KUBE-FIREWALL";

/// Makes the kubelet's chains and rules where they are missing (the other family's tables only have the chains that
/// tell): at its start, and whenever
/// the canary is gone.
pub fn ensure(tables: &mut Netfilter) {
    ensure_chain(tables, TableKind::Mangle, HINT);
    ensure_chain(tables, TableKind::Filter, FIREWALL);
    append_if_missing(tables, TableKind::Filter, FIREWALL, block_localnet());
    for chain in ["OUTPUT", "INPUT"] {
        let jump = rule().jump(&FIREWALL.into());
        prepend_if_missing(tables, TableKind::Filter, chain, jump);
    }
    tables.ensure_chain6(TableKind::Mangle, HINT);
    for table in [TableKind::Mangle, TableKind::Nat, TableKind::Filter] {
        ensure_chain(tables, table, CANARY);
        tables.ensure_chain6(table, CANARY);
    }
}

/// Whether someone flushed all rules: looked at every minute.
pub fn canary_is_gone(tables: &Netfilter) -> bool {
    tables.chain(TableKind::Mangle, CANARY).is_none()
}
