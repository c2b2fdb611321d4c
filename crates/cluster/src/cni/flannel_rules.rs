//! The chains that flannel keeps in a node's tables.
//!
//! Source: `pkg/trafficmngr/iptables/iptables.go` of flannel v0.26, as recorded on a real cluster.

use ipnet::{IpNet, Ipv4Net};
use kubarium_linux::netfilter::{Netfilter, Rule, TableKind};

use crate::iptables::{Builder, append_if_missing, rule, set_chain};

const FORWARD: &str = "FLANNEL-FWD";
const POSTROUTING: &str = "FLANNEL-POSTRTG";
/// What kube-proxy marks for masquerading is not masqueraded twice.
const KUBE_MASQUERADE_MARK: u32 = 0x4000;

/// Makes flannel's chains and the jumps to them: `pods` are the addresses of all pods, `node_pods`
/// those of this node's.
pub fn ensure(tables: &mut Netfilter, pods: Ipv4Net, node_pods: Ipv4Net) {
    let (pods, own) = (IpNet::V4(pods), IpNet::V4(node_pods));
    let forward = || rule().comment("flanneld forward");
    let accepted = vec![forward().from(pods).accept(), forward().to(pods).accept()];
    set_chain(tables, TableKind::Filter, FORWARD, accepted);
    let jump = forward().jump(&FORWARD.into());
    append_if_missing(tables, TableKind::Filter, "FORWARD", jump);

    set_chain(
        tables,
        TableKind::Nat,
        POSTROUTING,
        masquerade_rules(pods, own),
    );
    let jump = masquerade().jump(&POSTROUTING.into());
    append_if_missing(tables, TableKind::Nat, "POSTROUTING", jump);
}

fn masquerade() -> Builder {
    rule().comment("flanneld masq")
}

/// What leaves the pods' network is masqueraded, what enters it from outside as well; what stays
/// in it, or comes to this node's pods, is not.
fn masquerade_rules(pods: IpNet, own: IpNet) -> Vec<Rule> {
    let multicast = IpNet::V4(Ipv4Net::new_assert([224, 0, 0, 0].into(), 4));
    let marked = rule().mark(KUBE_MASQUERADE_MARK).comment("flanneld masq");
    vec![
        marked.return_(),
        masquerade().from(own).to(pods).return_(),
        masquerade().from(pods).to(own).return_(),
        masquerade().not_from(pods).to(own).return_(),
        masquerade().from(pods).not_to(multicast).masquerade(true),
        masquerade().not_from(pods).to(pods).masquerade(true),
    ]
}
