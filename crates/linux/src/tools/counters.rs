//! What has passed a device, as `ip -s` and the kernel's own files have it.

use std::fmt::Write;

use super::json::Json;
use crate::link::{Link, NamespaceId, Traffic};
use crate::network::Network;

/// The four lines of `ip -s`.
pub(super) fn lines(traffic: &Traffic) -> String {
    let (rx, tx) = (traffic.received, traffic.sent);
    let row = |bytes: u64, packets: u64, dropped: u64| {
        format!(
            "{bytes:>14} {packets:>7} {:>6} {dropped:>7} {:>7} {:>7} \n",
            0, 0, 0
        )
    };
    format!(
        "    RX:  bytes packets errors dropped  missed   mcast           \n{}    TX:  bytes packets errors dropped carrier collsns           \n{}",
        row(rx.bytes, rx.packets, rx.dropped),
        row(tx.bytes, tx.packets, tx.dropped)
    )
}

/// The same of `ip -j -s`.
pub(super) fn json(traffic: &Traffic) -> Json {
    let side = |flowed: crate::link::Flowed, last: [&'static str; 2]| {
        let mut fields = vec![
            ("bytes", Json::Number(flowed.bytes)),
            ("packets", Json::Number(flowed.packets)),
            ("errors", Json::Number(0)),
            ("dropped", Json::Number(flowed.dropped)),
        ];
        fields.extend(last.map(|name| (name, Json::Number(0))));
        Json::Object(fields)
    };
    Json::Object(vec![
        ("rx", side(traffic.received, ["over_errors", "multicast"])),
        ("tx", side(traffic.sent, ["carrier_errors", "collisions"])),
    ])
}

/// /proc/net/dev
pub(super) fn proc_net_dev<'a>(links: impl Iterator<Item = (&'a Link, Traffic)>) -> String {
    let mut out = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n".to_owned();
    for (link, traffic) in links {
        let (rx, tx) = (traffic.received, traffic.sent);
        let _ = writeln!(
            out,
            "{:>6}: {:>7} {:>7} {:>4} {:>4} {:>4} {:>5} {:>10} {:>9} {:>8} {:>7} {:>4} {:>4} {:>4} {:>5} {:>7} {:>10}",
            link.name,
            rx.bytes,
            rx.packets,
            0,
            rx.dropped,
            0,
            0,
            0,
            0,
            tx.bytes,
            tx.packets,
            0,
            tx.dropped,
            0,
            0,
            0,
            0
        );
    }
    out
}

/// The devices of a namespace with what has passed them.
pub(super) fn devices(
    net: &Network,
    namespace: NamespaceId,
) -> impl Iterator<Item = (&Link, Traffic)> {
    net.links_of(namespace)
        .map(|link| (link, net.traffic(link.id)))
}
