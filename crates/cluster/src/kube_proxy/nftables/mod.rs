//! kube-proxy's nftables mode: one table, `kube-proxy`, with maps that lead from addresses and ports to a chain for each
//! service port.
//!
//! Source: `pkg/proxy/nftables/proxier.go`, Kubernetes v1.37, as its output was recorded: endpoints without affinity are
//! one translation by a map of numbers, and packets are marked where their chain is.

mod chains;
mod setup;
mod sync;

pub use chains::NftChains;
pub use sync::{Memory, NftSync};

/// The table's name.
pub const TABLE: &str = "kube-proxy";
