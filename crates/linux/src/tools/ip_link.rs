//! `ip link` (iproute2 6.1).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::ip::{
    Format, answers, chosen, device, device_fields, flags, heading, shown_name, state,
};
use super::json::Json;
use super::words::{Words, short};
use super::{Output, ip_tunnel};
use crate::link::{NamespaceId, Vxlan};
use crate::network::{ETHERNET_MTU, Network};
use crate::packet::Mac;

pub(super) fn link(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
    format: Format,
) -> Result<Output, Output> {
    match verb {
        "set" => return link_set(net, namespace, words),
        "add" => return link_add(net, namespace, words),
        "del" | "delete" => {
            let mut name = words.value()?;
            if name == "dev" {
                name = words.value()?;
            }
            let id = device(net, namespace, name)?;
            net.remove_link(id).map_err(answers)?;
            return Ok(Output::default());
        }
        verb if short(verb, "show") || matches!(verb, "list" | "ls") => {}
        verb => {
            return Err(Output::failed(
                255,
                format!("Command \"{verb}\" is unknown, try \"ip link help\".\n"),
            ));
        }
    }
    let mut out = String::new();
    if format.json {
        let links = chosen(net, namespace, words)?;
        let links = links.iter().map(|link| {
            let mut fields = device_fields(net, link, format, true);
            if format.stats && !format.brief {
                fields.push(("stats64", super::counters::json(&net.traffic(link.id))));
            }
            Json::Object(fields)
        });
        return Ok(Output::ok(Json::print(links.collect())));
    }
    for link in chosen(net, namespace, words)? {
        if format.brief {
            let _ = writeln!(
                out,
                "{:<16} {:<14} {} <{}> ",
                shown_name(net, link),
                state(net, link),
                link.ipip()
                    .map_or(link.mac.to_string(), |i| i.local.to_string()),
                flags(net, link)
            );
            continue;
        }
        let (first, second) = heading(net, link, true, format.details);
        let _ = writeln!(
            out,
            "{first}{}{second}",
            if format.one_line { "\\" } else { "\n" }
        );
        if format.stats && !format.one_line {
            out += &super::counters::lines(&net.traffic(link.id));
        }
    }
    Ok(Output::ok(out))
}

fn link_set(
    net: &mut Network,
    namespace: NamespaceId,
    words: &mut Words,
) -> Result<Output, Output> {
    let mut name = words.value()?;
    if name == "dev" {
        name = words.value()?;
    }
    let id = device(net, namespace, name)?;
    while let Some(word) = words.next() {
        let number = |text: &str| {
            text.parse::<u32>().map_err(|_| {
                Output::failed(
                    255,
                    format!("Error: argument \"{text}\" is wrong: Invalid \"mtu\" value\n\n"),
                )
            })
        };
        match word {
            "up" => net.set_up(id, true),
            "down" => net.set_up(id, false),
            "mtu" => net.set_mtu(id, number(words.value()?)?),
            "address" => net.set_mac(
                id,
                words
                    .value()?
                    .parse()
                    .map_err(|e| Output::failed(255, format!("{e}\n")))?,
            ),
            "alias" => net.set_alias(id, Some(words.value()?)),
            "nomaster" => net.set_master(id, None),
            "master" => {
                let bridge = device(net, namespace, words.value()?)?;
                net.set_master(id, Some(bridge))
            }
            "txqueuelen" | "netns" | "type" | "arp" | "promisc" | "multicast" | "name" | "vf"
            | "broadcast" | "group" | "numtxqueues" | "gso_max_size" | "xdp" | "vrf" => {
                return Err(Output::unknown(&format!("ip link set {word}")));
            }
            garbage => {
                let text =
                    format!("Error: either \"dev\" is duplicate, or \"{garbage}\" is a garbage.\n");
                return Err(Output::failed(255, text));
            }
        }
        .map_err(answers)?;
    }
    Ok(Output::default())
}

fn link_add(
    net: &mut Network,
    namespace: NamespaceId,
    words: &mut Words,
) -> Result<Output, Output> {
    let mut name = None;
    let mut kind = None;
    let mut peer = None;
    let mut mtu = None;
    let mut ipip = ip_tunnel::plain();
    let mut vxlan = Vxlan {
        vni: 0,
        local: Ipv4Addr::UNSPECIFIED,
        port: 8472,
        lower: None,
        learning: true,
        fdb: BTreeMap::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "type" => kind = Some(words.value()?),
            "name" | "dev" if kind.is_none() => name = Some(words.value()?),
            "mtu" if kind.is_none() => {
                let text = words.value()?;
                let wrong =
                    format!("Error: argument \"{text}\" is wrong: Invalid \"mtu\" value\n\n");
                mtu = Some(text.parse().map_err(|_| Output::failed(255, wrong))?);
            }
            "peer" => {
                let word = words.value()?;
                peer = Some(if word == "name" { words.value()? } else { word });
            }
            word if name.is_none() => name = Some(word),
            word if kind == Some("vxlan") => {
                vxlan_option(net, namespace, &mut vxlan, word, words)?;
            }
            word if kind == Some("ipip")
                && ip_tunnel::option(net, namespace, &mut ipip, word, words)? => {}
            other => return Err(Output::unknown(&format!("ip link add {other}"))),
        }
    }
    let Some(kind) = kind else {
        let text = "Not enough information: \"type\" argument is required\n";
        return Err(Output::failed(255, text));
    };
    let name = name.ok_or_else(|| {
        Output::failed(
            255,
            "Not enough information: \"dev\" argument is required.\n",
        )
    })?;
    match kind {
        "dummy" => net.add_dummy(namespace, name).map(|_| ()),
        "vxlan" => net.add_vxlan(namespace, name, vxlan).map(|_| ()),
        "ipip" => ip_tunnel::add(net, namespace, name, ipip),
        "bridge" => net
            .add_bridge_with(namespace, name, mtu.unwrap_or(ETHERNET_MTU))
            .map(|_| ()),
        "veth" => net
            .add_veth((namespace, name), (namespace, peer.unwrap_or("veth0")))
            .map(|_| ()),
        "bond" | "geneve" | "gre" | "gretap" | "ifb" | "ip6gre" | "ip6tnl" | "ipvlan"
        | "macsec" | "macvlan" | "macvtap" | "netdevsim" | "sit" | "team" | "tun" | "vcan"
        | "vlan" | "vrf" | "vti" | "wireguard" | "xfrm" => {
            return Err(Output::unknown(&format!("ip link add type {kind}")));
        }
        _ => return Err(Output::failed(2, "Error: Unknown device type.\n")),
    }
    .map_err(answers)?;
    if let (Some(mtu), Some(link)) = (mtu, net.find_link(namespace, name)) {
        net.set_mtu(link, mtu).map_err(answers)?;
    }
    Ok(Output::default())
}

/// An option of `ip link add … type vxlan`.
fn vxlan_option(
    net: &Network,
    namespace: NamespaceId,
    vxlan: &mut Vxlan,
    word: &str,
    words: &mut Words,
) -> Result<(), Output> {
    fn number<T: FromStr>(what: &str, text: &str) -> Result<T, Output> {
        let said = format!("Error: argument \"{text}\" is wrong: invalid {what}\n\n");
        text.parse().map_err(|_| Output::failed(255, said))
    }
    match word {
        "id" | "vni" => vxlan.vni = number("id", words.value()?)?,
        "local" => vxlan.local = number("local address", words.value()?)?,
        "dstport" => vxlan.port = number("dst port", words.value()?)?,
        "dev" => vxlan.lower = Some(device(net, namespace, words.value()?)?),
        "learning" => vxlan.learning = true,
        "nolearning" => vxlan.learning = false,
        "remote" | "group" => {
            let host = number("remote address", words.value()?)?;
            vxlan.fdb.insert(Mac::ZERO, vec![host]);
        }
        other => return Err(Output::unknown(&format!("ip link add type vxlan {other}"))),
    }
    Ok(())
}
