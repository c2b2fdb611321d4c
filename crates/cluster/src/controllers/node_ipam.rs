//! node-ipam-controller: gives each node its part of the pods' addresses, in the order of joining
//! (kubernetes v1.37, `pkg/controller/nodeipam/ipam`).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use kubarium_objects::{ObjectKey, Value};

use super::{Controller, Outcome, small};
use crate::api::Subresource;
use crate::cluster::{Change, Cluster};
use crate::event::Component;

/// `--node-cidr-mask-size`
const LENGTH: u8 = 24;

pub(super) const CONTROLLER: Controller = Controller {
    name: "node-ipam-controller",
    observe,
    size: small,
    sync,
};

fn observe(_: &Cluster, change: &Change) -> Vec<ObjectKey> {
    let new = change
        .new
        .as_ref()
        .filter(|_| &*change.key.resource == "nodes");
    let wants =
        |node: &&Value| node["spec"]["podCIDR"].is_empty() && change.differs(&["spec", "podCIDR"]);
    new.filter(wants)
        .map(|_| change.key.clone())
        .into_iter()
        .collect()
}

fn sync(cluster: &mut Cluster, by: &Component, key: &ObjectKey) -> Outcome {
    let Some(node) = cluster.etcd.get(key).cloned() else {
        return Ok(());
    };
    if !node["spec"]["podCIDR"].is_empty() {
        return Ok(());
    }
    let Some(range) = free(cluster) else {
        cluster.warn(
            by,
            &node,
            "CIDRNotAvailable",
            &format!("Node {} status is now: CIDRNotAvailable", key.name),
        );
        return Ok(());
    };
    cluster
        .modify(by, key, Subresource::None, |node| {
            node["spec"]["podCIDR"] = range.to_string().into();
            node["spec"]["podCIDRs"] = vec![range.to_string()].into();
        })
        .map(drop)
}

/// The first part of the pods' addresses that no node has.
fn free(cluster: &Cluster) -> Option<Ipv4Net> {
    let whole = cluster.config.network.pod_cidr;
    let length = LENGTH.max(whole.prefix_len());
    let step = 1_u64 << (32 - u32::from(length));
    let first = u64::from(u32::from(whole.network()));
    let count = 1_u64 << (length - whole.prefix_len());
    let inside = |range: u32| {
        u64::from(range)
            .checked_sub(first)
            .map(|offset| offset / step)
    };
    let ranges = cluster.index.pod_ranges();
    // They come sorted: the first gap is the first free one. Where all follow each other, it is
    // after the last.
    let mut gap = ranges.len() as u64;
    if ranges.last().copied().and_then(inside) != gap.checked_sub(1) {
        gap = 0;
        for taken in ranges.iter().copied().filter_map(inside) {
            if taken > gap {
                break;
            }
            gap = gap.max(taken + 1);
        }
    }
    if gap >= count {
        return None;
    }
    let address = u32::try_from(first + gap * step).ok()?;
    Ipv4Net::new(Ipv4Addr::from(address), length).ok()
}
