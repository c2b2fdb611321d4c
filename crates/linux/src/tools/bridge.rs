//! `bridge fdb` and `bridge link` (iproute2 6.1).

use std::fmt::Write;

use super::Output;
use super::ip::{device, flags, shown_name};
use super::words::{Words, short};
use crate::link::{Bridge, Link, LinkKind, NamespaceId, PortFlags};
use crate::network::Network;
use crate::packet::Mac;
use crate::time::Time;

const USAGE: &str = "\
Usage: bridge [ OPTIONS ] OBJECT { COMMAND | help }
       bridge [ -force ] -batch filename
where  OBJECT := { link | fdb | mdb | vlan | monitor }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] |
                    -o[neline] | -t[imestamp] | -n[etns] name |
                    -c[ompressvlans] -color -p[retty] -j[son] }
";

pub(super) fn run(net: &mut Network, namespace: NamespaceId, args: &[String], now: Time) -> Output {
    let details = args.iter().any(|a| matches!(a.as_str(), "-d" | "-details"));
    let args: Vec<String> = args
        .iter()
        .filter(|a| !matches!(a.as_str(), "-d" | "-details" | "-o"))
        .cloned()
        .collect();
    let mut words = Words::new(&args);
    let done = match (words.next(), words.next()) {
        (Some("fdb"), verb) => fdb(net, namespace, verb.unwrap_or("show"), &mut words, now),
        (Some("link"), verb) => match verb.unwrap_or("show") {
            "set" => link_set(net, namespace, &mut words),
            verb if short(verb, "show") || verb == "list" => {
                Ok(links(net, namespace, &mut words, details))
            }
            verb => Err(Output::unknown(&format!("bridge link {verb}"))),
        },
        (Some("vlan"), None | Some("show")) => Ok(Output::ok(vlans(net, namespace))),
        // Nothing is kept of multicast groups.
        (Some("mdb"), None | Some("show")) => Ok(Output::default()),
        (Some(known @ ("mdb" | "vlan" | "vni" | "monitor")), _) => {
            Err(Output::unknown(&format!("bridge {known}")))
        }
        (None | Some("help"), _) => Err(Output::failed(255, USAGE)),
        (Some(other), _) => Err(Output::failed(
            255,
            format!("Object \"{other}\" is unknown, try \"bridge help\".\n"),
        )),
    };
    done.unwrap_or_else(|output| output)
}

/// Bridges do not filter by VLAN here: all of their ports are in the first, as the kernel puts them.
fn vlans(net: &Network, namespace: NamespaceId) -> String {
    let mut out = "port              vlan-id  \n".to_owned();
    for link in net.links_of(namespace) {
        if link.bridge().is_some() || link.master.is_some() {
            out += &format!("{:<17} 1 PVID Egress Untagged\n", link.name);
        }
    }
    out
}

fn fdb(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
    now: Time,
) -> Result<Output, Output> {
    if short(verb, "show") || verb == "list" {
        return show(net, namespace, words, now);
    }
    if !matches!(verb, "add" | "append" | "replace" | "del" | "delete") {
        return Err(Output::unknown(&format!("bridge fdb {verb}")));
    }
    let mac: Mac = words
        .next()
        .ok_or_else(|| Output::failed(255, "Device and address are required arguments.\n"))?
        .parse()
        .map_err(|e| Output::failed(255, format!("{e}\n")))?;
    let (mut dev, mut host) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "dev" => dev = Some(device(net, namespace, words.value()?)?),
            "dst" => {
                let text = words.value()?;
                host = Some(text.parse().map_err(|_| {
                    Output::failed(
                        1,
                        format!("Error: inet address is expected rather than \"{text}\".\n"),
                    )
                })?);
            }
            "self" | "master" | "permanent" | "static" | "local" => {}
            other => return Err(Output::unknown(&format!("bridge fdb {verb} {other}"))),
        }
    }
    let dev = dev.ok_or_else(|| Output::failed(255, "Device is a required argument.\n"))?;
    let answer = match verb {
        "del" | "delete" => net.remove_fdb(dev, mac, host),
        "replace" => {
            let _ = net.remove_fdb(dev, mac, None);
            net.add_fdb(dev, mac, host)
        }
        _ => net.add_fdb(dev, mac, host),
    };
    answer
        .map(|()| Output::default())
        .map_err(|e| Output::failed(255, format!("RTNETLINK answers: {e}\n")))
}

fn show(
    net: &Network,
    namespace: NamespaceId,
    words: &mut Words,
    now: Time,
) -> Result<Output, Output> {
    let (mut only, mut of) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "dev" | "brport" => only = Some(device(net, namespace, words.value()?)?),
            "br" | "master" => of = Some(device(net, namespace, words.value()?)?),
            other => return Err(Output::unknown(&format!("bridge fdb show {other}"))),
        }
    }
    let mut out = String::new();
    for link in net.links_of(namespace) {
        if only.is_some_and(|o| o != link.id)
            || of.is_some_and(|of| link.id != of && link.master != Some(of))
        {
            continue;
        }
        let dev = if only.is_some() {
            String::new()
        } else {
            format!(" dev {}", link.name)
        };
        entries(net, link, &dev, now, &mut out);
    }
    Ok(Output::ok(out))
}

/// The entries that a device is named in: of its bridge, and its own.
fn entries(net: &Network, link: &Link, dev: &str, now: Time, out: &mut String) {
    if let Some(vxlan) = link.vxlan() {
        for (mac, hosts) in &vxlan.fdb {
            for host in hosts {
                let _ = writeln!(out, "{mac}{dev} dst {host} self permanent");
            }
        }
        return;
    }
    let is_bridge = matches!(link.kind, LinkKind::Bridge(_));
    let bridge = if is_bridge {
        Some(link)
    } else {
        link.master.and_then(|m| net.link(m))
    };
    let Some(bridge) = bridge else {
        if !matches!(link.kind, LinkKind::Loopback) {
            let _ = writeln!(
                out,
                "33:33:00:00:00:01{dev} self permanent\n01:00:5e:00:00:01{dev} self permanent"
            );
        }
        return;
    };
    let fdb = bridge.bridge().map(|b| &b.fdb);
    for (mac, entry) in fdb.into_iter().flatten().filter(|(_, e)| e.port == link.id) {
        if entry.is_static {
            let _ = writeln!(out, "{mac}{dev} master {} static", bridge.name);
        } else if now <= entry.updated + Bridge::AGEING {
            let _ = writeln!(out, "{mac}{dev} master {} ", bridge.name);
        }
    }
    let _ = writeln!(
        out,
        "{}{dev} vlan 1 master {} permanent\n{}{dev} master {} permanent",
        link.mac, bridge.name, link.mac, bridge.name
    );
    let _ = writeln!(
        out,
        "33:33:00:00:00:01{dev} self permanent\n01:00:5e:00:00:01{dev} self permanent"
    );
}

fn links(net: &Network, namespace: NamespaceId, words: &mut Words, details: bool) -> Output {
    let only = match (words.next(), words.next()) {
        (Some("dev"), Some(name)) => Some(name),
        _ => None,
    };
    let mut out = String::new();
    for link in net
        .links_of(namespace)
        .filter(|l| only.is_none_or(|o| *o == *l.name))
    {
        let Some(master) = link.master.and_then(|m| net.link(m)) else {
            continue;
        };
        let state = if net.carrier(link) {
            "forwarding"
        } else {
            "disabled"
        };
        let _ = writeln!(
            out,
            "{}: {}: <{}> mtu {} master {} state {state} priority 32 cost 2 ",
            link.ifindex,
            name(net, link),
            flags(net, link),
            link.mtu,
            master.name
        );
        if details {
            let on = |yes: bool| if yes { "on" } else { "off" };
            let _ = writeln!(
                out,
                "    hairpin {} guard off root_block off fastleave off learning {} flood on mcast_flood on bcast_flood on mcast_router 1 mcast_to_unicast off neigh_suppress off vlan_tunnel off isolated off locked off ",
                on(link.port.hairpin),
                on(link.port.learning)
            );
        }
    }
    Output::ok(out)
}

/// A port's name. Behind `@` stands the device of this namespace that has the other end's number, where there is one:
/// `bridge` (iproute2 6.1, `bridge/link.c`) does not look whether the other end is in the same namespace.
fn name(net: &Network, link: &Link) -> String {
    let LinkKind::Veth { peer } = link.kind else {
        return shown_name(net, link);
    };
    let number = net.link(peer).map(|peer| peer.ifindex);
    let mut here = net.links_of(link.namespace);
    match here.find(|l| Some(l.ifindex) == number) {
        Some(other) => format!("{}@{}", link.name, other.name),
        None => shown_name(net, link),
    }
}

fn link_set(
    net: &mut Network,
    namespace: NamespaceId,
    words: &mut Words,
) -> Result<Output, Output> {
    let mut dev = None;
    let mut port: Option<PortFlags> = None;
    while let Some(word) = words.next() {
        let value = words.value()?;
        match word {
            "dev" => {
                let id = device(net, namespace, value)?;
                port = net.link(id).map(|l| l.port);
                dev = Some(id);
            }
            "hairpin" | "learning" => {
                let Some(port) = &mut port else {
                    return Err(Output::failed(255, "Device is a required argument.\n"));
                };
                let on = value == "on";
                if word == "hairpin" {
                    port.hairpin = on;
                } else {
                    port.learning = on;
                }
            }
            other => return Err(Output::unknown(&format!("bridge link set {other}"))),
        }
    }
    let (Some(dev), Some(port)) = (dev, port) else {
        return Err(Output::failed(255, "Device is a required argument.\n"));
    };
    net.set_port(dev, port)
        .map(|()| Output::default())
        .map_err(|e| Output::failed(255, format!("RTNETLINK answers: {e}\n")))
}
