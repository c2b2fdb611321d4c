//! `ip` (iproute2 6.1): its options, `ip addr`, and what `ip addr` and `ip link` print of a device.

use std::fmt::Write;

use super::Output;
use super::counters;
use super::json::Json;
use super::words::{Words, short};
use crate::errno::Errno;
use crate::link::{Address, Link, LinkId, LinkKind, NamespaceId, Scope};
use crate::network::Network;
use crate::packet::Mac;
use crate::time::Time;

/// How to print.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Format {
    pub brief: bool,
    pub one_line: bool,
    pub details: bool,
    pub json: bool,
    pub stats: bool,
    pub only4: bool,
    pub only6: bool,
}

const USAGE: &str = "\
Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }
       ip [ -force ] -batch filename
where  OBJECT := { address | addrlabel | amt | fou | help | ila | ioam | l2tp |
                   link | macsec | maddress | monitor | mptcp | mroute | mrule |
                   neighbor | neighbour | netconf | netns | nexthop | ntable |
                   ntbl | route | rule | sr | tap | tcpmetrics |
                   token | tunnel | tuntap | vrf | xfrm }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -r[esolve] |
                    -h[uman-readable] | -iec | -j[son] | -p[retty] |
                    -f[amily] { inet | inet6 | mpls | bridge | link } |
                    -4 | -6 | -M | -B | -0 |
                    -l[oops] { maximum-addr-flush-attempts } | -br[ief] |
                    -o[neline] | -t[imestamp] | -ts[hort] | -b[atch] [filename] |
                    -rc[vbuf] [size] | -n[etns] name | -N[umeric] | -a[ll] |
                    -c[olor]}
";

/// Objects that the real one has and this has not.
const UNKNOWN: &[&str] = &[
    "addrlabel",
    "amt",
    "fou",
    "ila",
    "ioam",
    "l2tp",
    "macsec",
    "mptcp",
    "mroute",
    "mrule",
    "netconf",
    "netns",
    "nexthop",
    "ntable",
    "sr",
    "tap",
    "tcpmetrics",
    "tcp_metrics",
    "token",
    "tuntap",
    "vrf",
    "xfrm",
];

pub(super) fn run(net: &mut Network, namespace: NamespaceId, args: &[String], now: Time) -> Output {
    let mut format = Format::default();
    let mut words = Words::new(args);
    let (mut object, mut pretty) = (None, false);
    while let Some(word) = words.next() {
        match word {
            "-br" | "-brief" => format.brief = true,
            "-o" | "-oneline" => format.one_line = true,
            "-d" | "-details" => format.details = true,
            "-j" | "-json" => format.json = true,
            "-p" | "-pretty" => pretty = true,
            "-4" => format.only4 = true,
            "-6" => format.only6 = true,
            "-s" | "-stats" | "-statistics" => format.stats = true,
            "-c" | "-color" | "-color=never" => {}
            "-n" | "-netns" => return Output::unknown("ip -n"),
            "-V" | "-Version" => return Output::ok("ip utility, iproute2-6.1.0, libbpf 1.1.0\n"),
            option if option.starts_with('-') => {
                return Output::failed(
                    255,
                    format!("Option \"{option}\" is unknown, try \"ip -help\".\n"),
                );
            }
            word => {
                object = Some(word);
                break;
            }
        }
    }
    let Some(object) = object else {
        return Output::failed(255, USAGE);
    };
    let verb = words.next();
    let done = if short(object, "address") {
        address(net, namespace, verb.unwrap_or("show"), &mut words, format)
    } else if short(object, "link") {
        super::ip_link::link(net, namespace, verb.unwrap_or("show"), &mut words, format)
    } else if object.len() > 1 && short(object, "neighbour")
        || object == "neighbor"
        || object == "n"
    {
        let verb = verb.unwrap_or("show");
        super::ip_neigh::neigh(net, namespace, verb, &mut words, now, format.json)
    } else if format.only6
        && (short(object, "route") || object == "rule" || short(object, "neighbour"))
    {
        Ok(ipv6_tables(net, namespace, object))
    } else if short(object, "route") {
        let verb = verb.unwrap_or("show");
        super::ip_route::route(net, namespace, verb, &mut words, format.json)
    } else if object.len() > 1 && short(object, "tunnel") {
        let verb = verb.unwrap_or("show");
        super::ip_tunnel::tunnel(net, namespace, verb, &mut words)
    } else if object.len() > 1 && short(object, "maddress") {
        let verb = verb.unwrap_or("show");
        super::ip_maddr::maddr(net, namespace, verb, &mut words, format)
    } else if short(object, "rule") {
        let verb = verb.unwrap_or("show");
        super::ip_route::rule(net, namespace, verb, &mut words, format.json)
    } else {
        let known = UNKNOWN.iter().any(|known| short(object, known));
        Err(if object == "help" {
            Output::failed(255, USAGE)
        } else if known {
            Output::unknown(&format!("ip {object}"))
        } else {
            Output::failed(
                1,
                format!("Object \"{object}\" is unknown, try \"ip help\".\n"),
            )
        })
    };
    let mut output = done.unwrap_or_else(|output| output);
    if pretty && format.json {
        output.stdout = super::json::indented(&output.stdout);
    }
    output
}

pub(super) fn answers(errno: Errno) -> Output {
    Output::failed(2, format!("RTNETLINK answers: {errno}\n"))
}

pub(super) fn device(net: &Network, namespace: NamespaceId, name: &str) -> Result<LinkId, Output> {
    net.find_link(namespace, name)
        .ok_or_else(|| Output::failed(1, format!("Cannot find device \"{name}\"\n")))
}

/// `eth0@if6`: a veth's name with its other end.
pub(super) fn shown_name(net: &Network, link: &Link) -> String {
    if let LinkKind::Ipip(ipip) = &link.kind {
        let lower = ipip.lower.and_then(|id| net.link(id));
        let lower = lower.map_or("NONE", |l| &l.name);
        return format!("{}@{lower}", link.name);
    }
    let LinkKind::Veth { peer } = link.kind else {
        return link.name.to_string();
    };
    match net.link(peer) {
        Some(other) if other.namespace == link.namespace => format!("{}@{}", link.name, other.name),
        Some(other) => format!("{}@if{}", link.name, other.ifindex),
        None => link.name.to_string(),
    }
}

pub(super) fn flags(net: &Network, link: &Link) -> String {
    let carrier = net.carrier(link);
    let mut flags = Vec::new();
    if link.up && !carrier {
        flags.push("NO-CARRIER");
    }
    match link.kind {
        LinkKind::Loopback => flags.push("LOOPBACK"),
        LinkKind::Dummy => flags.extend(["BROADCAST", "NOARP"]),
        LinkKind::Ipip(ipip) if ipip.remote.is_unspecified() => flags.push("NOARP"),
        LinkKind::Ipip(_) => flags.extend(["POINTOPOINT", "NOARP"]),
        _ => flags.extend(["BROADCAST", "MULTICAST"]),
    }
    if link.up {
        flags.push("UP");
    }
    if carrier {
        flags.push("LOWER_UP");
    }
    // The other end's state is only known in the same namespace.
    if let LinkKind::Veth { peer } = link.kind
        && let Some(other) = net.link(peer)
        && other.namespace == link.namespace
        && !other.up
    {
        flags.push("M-DOWN");
    }
    flags.join(",")
}

pub(super) fn state(net: &Network, link: &Link) -> &'static str {
    match (&link.kind, link.up, net.carrier(link)) {
        (_, false, _) => "DOWN",
        (
            LinkKind::Loopback | LinkKind::Vxlan(_) | LinkKind::Ipip(_) | LinkKind::Dummy,
            true,
            _,
        ) => "UNKNOWN",
        (_, true, true) => "UP",
        (LinkKind::Veth { .. }, true, false) => "LOWERLAYERDOWN",
        _ => "DOWN",
    }
}

/// The number by which a namespace knows that of a veth's other end.
fn netns_id(net: &Network, link: &Link) -> Option<usize> {
    let other = |l: &Link| match l.kind {
        LinkKind::Veth { peer } => net
            .link(peer)
            .map(|p| p.namespace)
            .filter(|n| *n != l.namespace),
        _ => None,
    };
    let own = other(link)?;
    let mut seen = Vec::new();
    for namespace in net.links_of(link.namespace).filter_map(other) {
        if !seen.contains(&namespace) {
            seen.push(namespace);
        }
    }
    seen.iter().position(|n| *n == own)
}

fn qdisc(link: &Link) -> &'static str {
    match (link.up, &link.kind) {
        (false, _) => "noop",
        (true, LinkKind::Physical { .. }) => "fq_codel",
        _ => "noqueue",
    }
}

pub(super) fn heading(net: &Network, link: &Link, mode: bool, details: bool) -> (String, String) {
    let qdisc = qdisc(link);
    let mut first = format!(
        "{}: {}: <{}> mtu {} qdisc {qdisc} ",
        link.ifindex,
        shown_name(net, link),
        flags(net, link),
        link.mtu
    );
    if let Some(master) = link.master.and_then(|m| net.link(m)) {
        let _ = write!(first, "master {} ", master.name);
    }
    let _ = write!(
        first,
        "state {} {}group default ",
        state(net, link),
        if mode { "mode DEFAULT " } else { "" }
    );
    if !matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Vxlan(_)) {
        first += "qlen 1000";
    }
    let (kind, broadcast) = if matches!(link.kind, LinkKind::Loopback) {
        ("loopback", Mac::ZERO)
    } else {
        ("ether", Mac::BROADCAST)
    };
    let mut second = match link.ipip() {
        Some(ipip) => super::ip_tunnel::addresses(ipip),
        None => format!("    link/{kind} {} brd {broadcast}", link.mac),
    };
    if let Some(id) = netns_id(net, link) {
        let _ = write!(second, " link-netnsid {id}");
    }
    if details {
        second += &more(net, link);
    }
    if let Some(alias) = &link.alias {
        let _ = write!(second, "\n    alias {alias}");
    }
    (first, second)
}

/// A device as `ip -j` shows it; `mode` for `ip link`.
pub(super) fn device_fields(
    net: &Network,
    link: &Link,
    format: Format,
    mode: bool,
) -> Vec<(&'static str, Json)> {
    let mut fields = Vec::new();
    if !format.brief {
        fields.push(("ifindex", Json::Number(link.ifindex.into())));
    }
    let peer = match link.kind {
        LinkKind::Veth { peer } => net.link(peer),
        _ => None,
    };
    let elsewhere = peer.filter(|p| p.namespace != link.namespace);
    match (peer, elsewhere) {
        (_, Some(other)) if !format.brief => {
            fields.push(("link_index", Json::Number(other.ifindex.into())));
        }
        (Some(other), None) => fields.push(("link", Json::text(&other.name))),
        _ => {}
    }
    fields.push(("ifname", Json::text(&link.name)));
    let all_flags = Json::texts(flags(net, link).split(',').map(str::to_owned));
    let ethernet = !matches!(link.kind, LinkKind::Loopback);
    if format.brief {
        fields.push(("operstate", Json::text(state(net, link))));
        if mode {
            fields.push(("address", Json::text(link.mac)));
            fields.push(("flags", all_flags));
        }
        return fields;
    }
    fields.push(("flags", all_flags));
    fields.push(("mtu", Json::Number(link.mtu.into())));
    fields.push(("qdisc", Json::text(qdisc(link))));
    let master = link.master.and_then(|m| net.link(m));
    fields.extend(master.map(|master| ("master", Json::text(&master.name))));
    fields.push(("operstate", Json::text(state(net, link))));
    if mode {
        fields.push(("linkmode", Json::text("DEFAULT")));
    }
    fields.push(("group", Json::text("default")));
    if !matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Vxlan(_)) {
        fields.push(("txqlen", Json::Number(1000)));
    }
    let (kind, broadcast) = if ethernet {
        ("ether", Mac::BROADCAST)
    } else {
        ("loopback", Mac::ZERO)
    };
    if let Some(ipip) = link.ipip() {
        fields.push(("link_type", Json::text("ipip")));
        fields.push(("address", Json::text(ipip.local)));
        if !ipip.remote.is_unspecified() {
            fields.push(("link_pointtopoint", Json::Word("true")));
        }
        fields.push(("broadcast", Json::text(ipip.remote)));
        return fields;
    }
    fields.push(("link_type", Json::text(kind)));
    fields.push(("address", Json::text(link.mac)));
    fields.push(("broadcast", Json::text(broadcast)));
    if let Some(id) = netns_id(net, link) {
        fields.push(("link_netnsid", Json::Number(id as u64)));
    }
    fields
}

/// The addresses of a device as `ip -j addr` shows them.
fn address_list(net: &Network, link: &Link, format: Format) -> Vec<Json> {
    let mut list = Vec::new();
    let own = link.addresses.iter().filter(|_| !format.only6);
    for a in own {
        let mut fields = Vec::new();
        if !format.brief {
            fields.push(("family", Json::text("inet")));
        }
        fields.push(("local", Json::text(a.net.addr())));
        fields.push(("prefixlen", Json::Number(a.net.prefix_len().into())));
        if !format.brief {
            fields.extend(a.broadcast.map(|b| ("broadcast", Json::text(b))));
            fields.push(("scope", Json::text(a.scope.name())));
            fields.push(("label", Json::text(&link.name)));
            fields.extend(forever());
        }
        list.push(Json::Object(fields));
    }
    let six = ipv6(net, link).filter(|_| !format.only4);
    if let Some((address, scope)) = six {
        let (address, length) = address.split_once('/').unwrap_or((&address, "64"));
        let mut words = scope.split_whitespace();
        let mut fields = Vec::new();
        if !format.brief {
            fields.push(("family", Json::text("inet6")));
        }
        fields.push(("local", Json::text(address)));
        fields.push(("prefixlen", Json::Number(length.parse().unwrap_or(64))));
        if !format.brief {
            fields.push(("scope", Json::text(words.nth(1).unwrap_or_default())));
            fields.extend(forever());
        }
        list.push(Json::Object(fields));
    }
    list
}

fn forever() -> [(&'static str, Json); 2] {
    let forever = Json::Number(u32::MAX.into());
    [
        ("valid_life_time", forever.clone()),
        ("preferred_life_time", forever),
    ]
}

/// What `-d` adds. What a bridge times is not timed here: it looks at ages when somebody asks.
fn more(net: &Network, link: &Link) -> String {
    let (min, max) = match link.kind {
        LinkKind::Loopback | LinkKind::Dummy | LinkKind::Ipip(_) => (0, 0),
        _ => (68, 65535),
    };
    let is_port = u8::from(link.master.is_some());
    let mut out = format!(" promiscuity {is_port}  allmulti {is_port} minmtu {min} maxmtu {max} ");
    match &link.kind {
        LinkKind::Veth { .. } => out += "\n    veth ",
        LinkKind::Dummy => out += "\n    dummy ",
        LinkKind::Ipip(ipip) => out += &super::ip_tunnel::details(net, link, ipip),
        LinkKind::Bridge(_) => {
            let id = bridge_id(link);
            let _ = write!(
                out,
                "\n    bridge forward_delay 1500 hello_time 200 max_age 2000 ageing_time 30000 stp_state 0 priority 32768 \
                 vlan_filtering 0 vlan_protocol 802.1Q bridge_id {id} designated_root {id} root_port 0 root_path_cost 0 \
                 topology_change 0 topology_change_detected 0 hello_timer    0.00 tcn_timer    0.00 topology_change_timer    0.00 \
                 gc_timer    0.00 vlan_default_pvid 1 vlan_stats_enabled 0 vlan_stats_per_port 0 group_fwd_mask 0 \
                 group_address 01:80:c2:00:00:00 mcast_snooping 1 no_linklocal_learn 0 mcast_vlan_snooping 0 mcast_router 1 \
                 mcast_query_use_ifaddr 0 mcast_querier 0 mcast_hash_elasticity 16 mcast_hash_max 4096 \
                 mcast_last_member_count 2 mcast_startup_query_count 2 mcast_last_member_interval 100 \
                 mcast_membership_interval 26000 mcast_querier_interval 25500 mcast_query_interval 12500 \
                 mcast_query_response_interval 1000 mcast_startup_query_interval 3124 mcast_stats_enabled 0 \
                 mcast_igmp_version 2 mcast_mld_version 1 nf_call_iptables 0 nf_call_ip6tables 0 nf_call_arptables 0 "
            );
        }
        LinkKind::Vxlan(v) => {
            let lower = v
                .lower
                .and_then(|l| net.link(l))
                .map_or(String::new(), |l| format!("dev {} ", l.name));
            let learning = if v.learning { "" } else { "nolearning " };
            let _ = write!(
                out,
                "\n    vxlan id {} local {} {lower}srcport 0 0 dstport {} {learning}ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx ",
                v.vni, v.local, v.port
            );
        }
        _ => {}
    }
    if let Some(master) = link.master.and_then(|m| net.link(m)) {
        out += &port(net, link, master);
    }
    out + "addrgenmode eui64 numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535 tso_max_size 524280 tso_max_segs 65535 gro_max_size 65536 "
}

/// What `-d` adds for a bridge's port. Ports are numbered as they stand.
fn port(net: &Network, link: &Link, master: &Link) -> String {
    let on = |yes: bool| if yes { "on" } else { "off" };
    let ports = net.links_of(link.namespace);
    let before = ports.filter(|l| l.master == link.master && l.ifindex < link.ifindex);
    let number = before.count() + 1;
    let full = 0x8000 + number;
    let id = bridge_id(master);
    let state = if net.carrier(link) {
        "forwarding"
    } else {
        "disabled"
    };
    format!(
        "\n    bridge_slave state {state} priority 32 cost 2 hairpin {} guard off root_block off fastleave off learning {} flood on \
         port_id {full:#x} port_no {number:#x} designated_port {full} designated_cost 0 designated_bridge {id} designated_root {id} \
         hold_timer    0.00 message_age_timer    0.00 forward_delay_timer    0.00 topology_change_ack 0 config_pending 0 \
         proxy_arp off proxy_arp_wifi off mcast_router 1 mcast_fast_leave off mcast_flood on bcast_flood on mcast_to_unicast off \
         neigh_suppress off group_fwd_mask 0 group_fwd_mask_str 0x0 vlan_tunnel off isolated off locked off ",
        on(link.port.hairpin),
        on(link.port.learning)
    )
}

/// The name by which bridges know each other: priority and address (IEEE 802.1D).
fn bridge_id(bridge: &Link) -> String {
    format!("8000.{}", bridge.mac)
}

/// The link-local IPv6 address that the kernel makes of an Ethernet address (RFC 4291, appendix A).
fn link_local(mac: Mac) -> String {
    let [a, b, c, d, e, f] = mac.0;
    let words = [
        u16::from(a ^ 2) << 8 | u16::from(b),
        u16::from(c) << 8 | 0xff,
        0xfe00 | u16::from(d),
        u16::from(e) << 8 | u16::from(f),
    ];
    std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, words[0], words[1], words[2], words[3]).to_string()
}

/// What `ip -6 route`, `rule` and `neigh` show: IPv6 has link-local addresses here, and goes nowhere.
fn ipv6_tables(net: &Network, namespace: NamespaceId, object: &str) -> Output {
    let mut out = String::new();
    if object == "rule" {
        out += "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n";
    } else if short(object, "route") {
        for link in net.links_of(namespace) {
            let loopback = matches!(link.kind, LinkKind::Loopback);
            if !loopback && ipv6(net, link).is_some() {
                let _ = writeln!(
                    out,
                    "fe80::/64 dev {} proto kernel metric 256 pref medium",
                    link.name
                );
            }
        }
    }
    Output::ok(out)
}

pub(super) fn ipv6(net: &Network, link: &Link) -> Option<(String, &'static str)> {
    let ns = net.namespace(link.namespace)?;
    let off = |d: &str| {
        ns.sysctls()
            .number(&format!("net.ipv6.conf.{d}.disable_ipv6"))
            != 0
    };
    if !net.carrier(link) || off("all") || off(&link.name) {
        return None;
    }
    Some(match link.kind {
        LinkKind::Loopback => ("::1/128".to_owned(), "scope host "),
        // No Ethernet address to make one of, and no IPv6 inside.
        LinkKind::Ipip(_) => return None,
        _ => (format!("{}/64", link_local(link.mac)), "scope link "),
    })
}

/// The devices that the words after `show` name.
pub(super) fn chosen<'a>(
    net: &'a Network,
    namespace: NamespaceId,
    words: &mut Words,
) -> Result<Vec<&'a Link>, Output> {
    let mut links: Vec<&Link> = net.links_of(namespace).collect();
    while let Some(word) = words.next() {
        match word {
            "up" => links.retain(|l| l.up),
            "type" => {
                let kind = words.value()?;
                links.retain(|l| {
                    kind == match l.kind {
                        LinkKind::Veth { .. } => "veth",
                        LinkKind::Bridge(_) => "bridge",
                        LinkKind::Vxlan(_) => "vxlan",
                        LinkKind::Ipip(_) => "ipip",
                        LinkKind::Dummy => "dummy",
                        _ => "",
                    }
                });
            }
            "master" => {
                let name = words.value()?;
                let master = net.find_link(namespace, name).ok_or_else(|| {
                    let text =
                        format!("Error: argument \"{name}\" is wrong: Device does not exist\n\n");
                    Output::failed(255, text)
                })?;
                links.retain(|l| l.master == Some(master));
            }
            "scope" => {
                words.value()?;
            }
            word => {
                let name = if word == "dev" { words.value()? } else { word };
                let name = name.split('@').next().unwrap_or(name);
                if net.find_link(namespace, name).is_none() {
                    return Err(Output::failed(
                        1,
                        format!("Device \"{name}\" does not exist.\n"),
                    ));
                }
                links.retain(|l| *l.name == *name);
            }
        }
    }
    Ok(links)
}

fn address(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
    format: Format,
) -> Result<Output, Output> {
    if matches!(verb, "add" | "del" | "delete" | "replace" | "flush") {
        return change_address(net, namespace, verb, words);
    }
    if !short(verb, "show") && !matches!(verb, "list" | "ls") {
        return Err(Output::failed(
            255,
            format!("Command \"{verb}\" is unknown, try \"ip address help\".\n"),
        ));
    }
    let mut out = String::new();
    if format.json {
        let links = chosen(net, namespace, words)?;
        let links = links.iter().map(|link| {
            let mut fields = device_fields(net, link, format, false);
            fields.push(("addr_info", Json::List(address_list(net, link, format))));
            if format.stats && !format.brief {
                fields.push(("stats64", counters::json(&net.traffic(link.id))));
            }
            Json::Object(fields)
        });
        return Ok(Output::ok(Json::print(links.collect())));
    }
    for link in chosen(net, namespace, words)? {
        let four = if format.only6 {
            &[]
        } else {
            link.addresses.as_slice()
        };
        let six = if format.only4 { None } else { ipv6(net, link) };
        if (format.only4 || format.only6) && four.is_empty() && six.is_none() {
            continue;
        }
        if format.brief {
            let _ = write!(
                out,
                "{:<16} {:<14} ",
                shown_name(net, link),
                state(net, link)
            );
            for a in four {
                let _ = write!(out, "{} ", a.net);
            }
            if let Some((six, _)) = six {
                let _ = write!(out, "{six} ");
            }
            out.push('\n');
            continue;
        }
        let separator = if format.one_line { "\\" } else { "\n" };
        if !format.one_line {
            let (first, second) = heading(net, link, false, format.details);
            let _ = writeln!(out, "{first}");
            // Of one family's addresses the hardware's is none.
            if format.details || !(format.only4 || format.only6) {
                let _ = writeln!(out, "{second}");
            }
        }
        let start = if format.one_line {
            format!("{}: {}    ", link.ifindex, link.name)
        } else {
            "    ".to_owned()
        };
        for a in four {
            let broadcast = a.broadcast.map_or(String::new(), |b| format!("brd {b} "));
            let _ = writeln!(
                out,
                "{start}inet {} {broadcast}scope {} {}{separator}       valid_lft forever preferred_lft forever",
                a.net,
                a.scope.name(),
                link.name
            );
        }
        if let Some((six, scope)) = six {
            let _ = writeln!(
                out,
                "{start}inet6 {six} {scope}{separator}       valid_lft forever preferred_lft forever"
            );
        }
        if format.stats && !format.one_line {
            out += &counters::lines(&net.traffic(link.id));
        }
    }
    Ok(Output::ok(out))
}

fn change_address(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
) -> Result<Output, Output> {
    let mut address: Option<Address> = None;
    let mut dev = None;
    while let Some(word) = words.next() {
        match word {
            "dev" => dev = Some(device(net, namespace, words.value()?)?),
            "brd" | "broadcast" => {
                let value = words.value()?;
                if let Some(a) = &mut address {
                    *a = if value == "+" {
                        a.with_broadcast()
                    } else {
                        Address {
                            broadcast: value.parse().ok(),
                            ..*a
                        }
                    };
                }
            }
            "scope" => {
                let value = words.value()?;
                let scope = [Scope::Global, Scope::Link, Scope::Host]
                    .into_iter()
                    .find(|s| s.name() == value);
                if let (Some(a), Some(scope)) = (&mut address, scope) {
                    a.scope = scope;
                }
            }
            "label" => {
                words.value()?;
            }
            text => {
                let text = if text == "local" {
                    words.value()?
                } else {
                    text
                };
                let net = if text.contains('/') {
                    text.parse()
                } else {
                    format!("{text}/32").parse()
                };
                address = Some(Address::new(net.map_err(|_| {
                    Output::failed(
                        1,
                        format!("Error: any valid prefix is expected rather than \"{text}\".\n"),
                    )
                })?));
            }
        }
    }
    let dev = dev.ok_or_else(|| {
        Output::failed(1, "Not enough information: \"dev\" argument is required.\n")
    })?;
    if verb == "flush" {
        let nets: Vec<_> = net
            .link(dev)
            .map(|l| l.addresses.iter().map(|a| a.net).collect())
            .unwrap_or_default();
        for one in nets {
            net.remove_address(dev, one).map_err(answers)?;
        }
        return Ok(Output::default());
    }
    let address = address.ok_or_else(|| {
        Output::failed(255, "Command line is not complete. Try option \"help\"\n")
    })?;
    let done = match verb {
        "add" | "replace" => net.add_address(dev, address),
        _ => net.remove_address(dev, address.net),
    };
    // The kernel's own words (6.7 and later), instead of the error's.
    match done {
        Err(Errno::EEXIST) if verb == "replace" => Ok(()),
        Err(Errno::EEXIST) => Err("already assigned"),
        Err(Errno::EADDRNOTAVAIL) => Err("not found"),
        Err(other) => return Err(answers(other)),
        Ok(()) => Ok(()),
    }
    .map_err(|what| Output::failed(2, format!("Error: ipv4: Address {what}.\n")))?;
    Ok(Output::default())
}
