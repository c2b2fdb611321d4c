//! The kernel's files about a network namespace: /proc/sys/net and /proc/net (proc(5)).

use std::fmt::Write;
use std::sync::Arc;

use super::{counters, ip_neigh, net_tools};
use crate::link::NamespaceId;
use crate::network::Network;

/// The kernel parameter that a file under /proc/sys is: `net.ipv4.ip_forward`. A device's name may have points.
#[must_use]
pub fn key_of(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/proc/sys/")?.trim_matches('/');
    Some(rest.replace('/', "."))
}

/// The file of a parameter: what stands between `conf` and the last name is one device's.
fn path_of(key: &str) -> String {
    match crate::sysctl::split_device(key) {
        Some((family, device, name)) => format!(
            "/proc/sys/{}{device}/{}",
            family.replace('.', "/"),
            name.trim_start_matches('.')
        ),
        None => format!("/proc/sys/{}", key.replace('.', "/")),
    }
}

/// The files of a namespace with their contents, made of what is there now.
#[must_use]
pub fn files(net: &Network, namespace: NamespaceId) -> Vec<(String, Arc<[u8]>)> {
    let mut all = Vec::new();
    let mut put = |path: String, text: String| all.push((path, Arc::from(text.into_bytes())));
    for (key, value) in super::sysctl::all(net, namespace) {
        put(path_of(&key), format!("{value}\n"));
    }
    put(
        "/proc/net/dev".to_owned(),
        counters::proc_net_dev(counters::devices(net, namespace)),
    );
    let mut out = format!(
        "{:<127}\n",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
    );
    for route in net_tools::routes(net, namespace) {
        let Some(device) = route.dev.and_then(|d| net.link(d)) else {
            continue;
        };
        let hex = |a: std::net::Ipv4Addr| format!("{:08X}", u32::from_le_bytes(a.octets()));
        let mut flags = 1;
        if route.via.is_some() {
            flags |= 2;
        }
        if route.destination.prefix_len() == 32 {
            flags |= 4;
        }
        let line = format!(
            "{}\t{}\t{}\t{flags:04X}\t0\t0\t{}\t{}\t0\t0\t0",
            device.name,
            hex(route.destination.network()),
            hex(route.via.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED)),
            route.metric,
            hex(route.destination.netmask())
        );
        let _ = writeln!(out, "{line:<127}");
    }
    put("/proc/net/route".to_owned(), out);
    put(
        "/proc/net/arp".to_owned(),
        ip_neigh::proc_net_arp(net, namespace),
    );
    all
}
