//! `route`, `ifconfig` and `netstat` as BusyBox 1.37 has them (net-tools' print much the same).

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::{Output, counters, ip};
use crate::link::{Link, LinkKind, NamespaceId};
use crate::network::Network;
use crate::packet::Protocol;
use crate::route::{MAIN, Route, RouteKind};

/// The routes that these tools show: the main table's.
pub(super) fn routes(net: &Network, namespace: NamespaceId) -> Vec<Route> {
    let table = net.namespace(namespace).and_then(|ns| ns.table(MAIN));
    let mut routes: Vec<Route> = table.into_iter().flat_map(|t| t.iter().copied()).collect();
    routes.sort_by_key(|r| (r.destination.network(), r.destination.prefix_len()));
    routes
}

fn route_table(net: &Network, namespace: NamespaceId, numeric: bool, netstat: bool) -> String {
    let last = if netstat {
        "Flags   MSS Window  irtt Iface"
    } else {
        "Flags Metric Ref    Use Iface"
    };
    let mut out = format!(
        "Kernel IP routing table\nDestination     Gateway         Genmask         {last}\n"
    );
    for route in routes(net, namespace) {
        let device = route.dev.and_then(|d| net.link(d));
        let (network, mask) = (route.destination.network(), route.destination.netmask());
        let mut flags = match route.kind {
            RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Blackhole => "!",
            _ => "U",
        }
        .to_owned();
        if route.via.is_some() {
            flags.push('G');
        }
        if route.destination.prefix_len() == 32 {
            flags.push('H');
        }
        let named = |address: Option<Ipv4Addr>, nothing: &str| match address {
            None if !numeric => nothing.to_owned(),
            address => address.unwrap_or(Ipv4Addr::UNSPECIFIED).to_string(),
        };
        let destination = Some(network).filter(|n| !n.is_unspecified());
        let _ = write!(
            out,
            "{:<15} {:<15} {mask:<15} {flags:<5} ",
            named(destination, "default"),
            named(route.via, "*")
        );
        let name = device.map_or("-", |d| &d.name);
        let _ = if netstat {
            writeln!(out, "  0 0          0 {name}")
        } else {
            writeln!(out, "{:<6} {:<2} {:>7} {name}", route.metric, 0, 0)
        };
    }
    out
}

pub(super) fn route(net: &Network, namespace: NamespaceId, args: &[String]) -> Output {
    let mut numeric = false;
    for arg in args {
        match arg.as_str() {
            "-n" => numeric = true,
            "-e" | "-A" | "inet" => {}
            other => return Output::unknown(&format!("route {other}")),
        }
    }
    Output::ok(route_table(net, namespace, numeric, false))
}

/// `1.2 KiB`
fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

fn interface(net: &Network, link: &Link) -> String {
    let loopback = matches!(link.kind, LinkKind::Loopback);
    let mut out = format!("{:<9} ", link.name);
    if loopback {
        out += "Link encap:Local Loopback  \n";
    } else {
        let mac = link.mac.to_string().to_ascii_uppercase();
        let _ = writeln!(out, "Link encap:Ethernet  HWaddr {mac}  ");
    }
    for address in &link.addresses {
        let _ = write!(out, "          inet addr:{}", address.net.addr());
        if let Some(broadcast) = address.broadcast.filter(|_| !loopback) {
            let _ = write!(out, "  Bcast:{broadcast}");
        } else if !loopback {
            out += "  Bcast:0.0.0.0";
        }
        let _ = writeln!(out, "  Mask:{}", address.net.netmask());
    }
    if let Some((address, scope)) = ip::ipv6(net, link) {
        let scope = if scope.contains("host") {
            "Host"
        } else {
            "Link"
        };
        let _ = writeln!(out, "          inet6 addr: {address} Scope:{scope}");
    }
    let mut flags = String::new();
    for (there, word) in [
        (link.up, "UP "),
        (loopback, "LOOPBACK "),
        (!loopback, "BROADCAST "),
        (net.carrier(link), "RUNNING "),
        (
            !loopback && !matches!(link.kind, LinkKind::Dummy),
            "MULTICAST ",
        ),
    ] {
        if there {
            flags += word;
        }
    }
    let traffic = net.traffic(link.id);
    let (rx, tx) = (traffic.received, traffic.sent);
    let queue = if matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Vxlan(_)) {
        0
    } else {
        1000
    };
    let _ = write!(
        out,
        "          {flags} MTU:{}  Metric:1\n          RX packets:{} errors:0 dropped:{} overruns:0 frame:0\n          TX packets:{} errors:0 dropped:{} overruns:0 carrier:0\n          collisions:0 txqueuelen:{queue} \n          RX bytes:{} ({})  TX bytes:{} ({})\n\n",
        link.mtu,
        rx.packets,
        rx.dropped,
        tx.packets,
        tx.dropped,
        rx.bytes,
        human(rx.bytes),
        tx.bytes,
        human(tx.bytes)
    );
    out
}

pub(super) fn ifconfig(net: &Network, namespace: NamespaceId, args: &[String]) -> Output {
    let mut names = Vec::new();
    let mut all = false;
    for arg in args {
        match arg.as_str() {
            "-a" => all = true,
            other if other.starts_with('-') => {
                return Output::unknown(&format!("ifconfig {other}"));
            }
            name => names.push(name),
        }
    }
    if names.len() > 1 {
        return Output::unknown("ifconfig DEVICE with what to change (use ip)");
    }
    let mut links: Vec<&Link> = net.links_of(namespace).collect();
    // lo comes last.
    links.sort_by_key(|l| (matches!(l.kind, LinkKind::Loopback), l.name.clone()));
    if let Some(name) = names.first() {
        links.retain(|l| &*l.name == *name);
        if links.is_empty() {
            return Output::failed(
                1,
                format!(
                    "ifconfig: {name}: error fetching interface information: Device not found\n"
                ),
            );
        }
    } else if !all {
        links.retain(|l| l.up);
    }
    Output::ok(links.iter().map(|l| interface(net, l)).collect::<String>())
}

pub(super) fn netstat(net: &Network, namespace: NamespaceId, args: &[String]) -> Output {
    let letters: String = (args.iter())
        .filter_map(|a| a.strip_prefix('-'))
        .filter(|a| !a.starts_with('-'))
        .collect();
    if let Some(other) = letters.chars().find(|c| !"atulnprieWw46x".contains(*c)) {
        return Output::failed(1, format!("netstat: invalid option -- '{other}'\n"));
    }
    let has = |letter: char| letters.contains(letter);
    if has('r') {
        return Output::ok(route_table(net, namespace, has('n'), true));
    }
    if has('i') {
        let mut out = "Kernel Interface table\nIface   MTU Met    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n".to_owned();
        for (link, traffic) in counters::devices(net, namespace).filter(|(l, _)| l.up) {
            let flags = if matches!(link.kind, LinkKind::Loopback) {
                "LRU"
            } else {
                "BMRU"
            };
            let _ = writeln!(
                out,
                "{:<7} {:>3} 0   {:>8}      0 {:>6} 0      {:>8}      0 {:>6}      0 {flags}",
                link.name,
                link.mtu,
                traffic.received.packets,
                traffic.received.dropped,
                traffic.sent.packets,
                traffic.sent.dropped
            );
        }
        return Output::ok(out);
    }
    let (tcp, udp) = (has('t') || !has('u'), has('u') || !has('t'));
    let what = match (has('l'), has('a')) {
        (true, _) => "only servers",
        (false, true) => "servers and established",
        (false, false) => "w/o servers",
    };
    let program = if has('p') { "PID/Program name    " } else { "" };
    let mut out = format!(
        "Active Internet connections ({what})\nProto Recv-Q Send-Q Local Address           Foreign Address         State       {program}\n"
    );
    let listeners = net
        .namespace(namespace)
        .map_or(&[][..], |ns| ns.listeners());
    for listener in listeners.iter().filter(|_| has('l') || has('a')) {
        let (name, state) = match listener.protocol {
            Protocol::TCP if tcp => ("tcp", "LISTEN"),
            Protocol::UDP if udp => ("udp", ""),
            _ => continue,
        };
        // A socket for all addresses is a dual-stack one, as most servers open it.
        let (name, own, other) = if listener.address.is_unspecified() {
            (format!("{name}6"), format!(":::{}", listener.port), ":::*")
        } else {
            (
                name.to_owned(),
                format!("{}:{}", listener.address, listener.port),
                "0.0.0.0:*",
            )
        };
        let program = if has('p') { "-" } else { "" };
        let _ = writeln!(
            out,
            "{name:<5} {:>6} {:>6} {own:<23} {other:<23} {state:<11} {program}",
            0, 0
        );
    }
    Output::ok(out)
}
