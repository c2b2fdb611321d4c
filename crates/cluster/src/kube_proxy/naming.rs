//! The names of a service port's chains: a prefix and 16 characters of a hash.
//!
//! Source: `portProtoHash` and `servicePortEndpointChainName` of
//! `pkg/proxy/iptables/proxier.go`, Kubernetes v1.37.

use kubarium_linux::netfilter::ChainName;
use sha2::{Digest, Sha256};

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The first `N` characters of the standard base32 text of the SHA-256 of `parts`, one after the
/// other. Sixteen characters need ten bytes, so padding is never reached.
pub(crate) fn hash<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part.as_bytes());
    }
    let digest = sha.finalize();
    let mut out = [0; N];
    for (at, slot) in out.iter_mut().enumerate() {
        let bit = at * 5;
        let high = u16::from(digest[bit / 8]) << 8;
        let low = digest.get(bit / 8 + 1).copied().map_or(0, u16::from);
        let index = ((high | low) >> (11 - bit % 8)) & 31;
        *slot = BASE32[usize::from(index)];
    }
    out
}

/// Sixteen characters of such a hash, for others that name chains and sets in this way.
pub(crate) fn hash16(parts: &[&str]) -> String {
    hash::<16>(parts).iter().copied().map(char::from).collect()
}

/// `PREFIX` and the hash's 16 characters.
pub(crate) fn chain_name(prefix: &str, hash: &[u8; 16]) -> ChainName {
    let mut name = [0u8; 32];
    let length = prefix.len() + hash.len();
    name[..prefix.len()].copy_from_slice(prefix.as_bytes());
    name[prefix.len()..length].copy_from_slice(hash);
    ChainName::from(std::str::from_utf8(&name[..length]).unwrap_or_default())
}

/// Whether a chain of the nat table is one that kube-proxy makes for a service port or an
/// endpoint, and removes when nothing uses it any more.
pub fn is_service_chain(name: &str) -> bool {
    [
        "KUBE-SVC-",
        "KUBE-SVL-",
        "KUBE-EXT-",
        "KUBE-FW-",
        "KUBE-SEP-",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(parts: &[&str], want: &str) {
        assert_eq!(chain_name("KUBE-SVC-", &hash(parts)).as_str(), want);
    }

    #[test]
    fn names_are_those_of_a_real_cluster() {
        named(&["ns1/svc1:p80", "tcp"], "KUBE-SVC-XPGD46QRK7WJZT7O");
        named(
            &["ns1/svc1:p80", "tcp", "10.180.0.1:80"],
            "KUBE-SVC-SXIVWICOYRO3J4NJ",
        );
        named(
            &["default/kubernetes:https", "tcp"],
            "KUBE-SVC-NPX46M4PTMTKRN6Y",
        );
    }

    #[test]
    fn only_service_chains_can_be_stale() {
        assert!(is_service_chain("KUBE-SEP-AAAA"));
        assert!(!is_service_chain("KUBE-SERVICES"));
        assert!(!is_service_chain("KUBE-MARK-MASQ"));
    }
}
