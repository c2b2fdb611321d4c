//! `ip neigh` (iproute2 6.1).

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::Output;
use super::ip::{answers, device};
use super::json::Json;
use super::words::{Words, short};
use crate::errno::Errno;
use crate::link::NamespaceId;
use crate::neighbour::{Neighbour, NeighbourState};
use crate::network::Network;
use crate::packet::Mac;
use crate::time::Time;

pub(super) fn neigh(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
    now: Time,
    json: bool,
) -> Result<Output, Output> {
    let (mut address, mut dev, mut mac, mut state) = (None, None, None, NeighbourState::Permanent);
    while let Some(word) = words.next() {
        match word {
            "dev" => dev = Some(device(net, namespace, words.value()?)?),
            "lladdr" => {
                mac = Some(
                    words
                        .value()?
                        .parse::<Mac>()
                        .map_err(|e| Output::failed(255, format!("{e}\n")))?,
                )
            }
            "nud" => {
                let text = words.value()?;
                let all = [
                    NeighbourState::Permanent,
                    NeighbourState::Noarp,
                    NeighbourState::Reachable,
                    NeighbourState::Stale,
                    NeighbourState::Delay,
                    NeighbourState::Incomplete,
                    NeighbourState::Failed,
                ];
                state = all
                    .into_iter()
                    .find(|s| s.name().eq_ignore_ascii_case(text))
                    .ok_or_else(|| {
                        Output::failed(
                            255,
                            format!("Error: argument \"{text}\" is wrong: nud state is bad\n\n"),
                        )
                    })?;
            }
            "permanent" => state = NeighbourState::Permanent,
            "to" => {}
            text => {
                address = Some(text.parse::<Ipv4Addr>().map_err(|_| {
                    Output::failed(
                        1,
                        format!("Error: inet prefix is expected rather than \"{text}\".\n"),
                    )
                })?)
            }
        }
    }
    if matches!(
        verb,
        "add" | "replace" | "change" | "chg" | "del" | "delete"
    ) {
        let (Some(address), Some(dev)) = (address, dev) else {
            return Err(Output::failed(
                255,
                "Device and destination are required arguments.\n",
            ));
        };
        let Some(ns) = net.namespace_mut(namespace) else {
            return Ok(Output::default());
        };
        let known = ns.neighbours.contains_key(&(dev, address));
        match verb {
            "del" | "delete" => {
                if !ns.remove_neighbour(dev, address) {
                    return Err(answers(Errno::ENOENT));
                }
            }
            "add" if known => return Err(answers(Errno::EEXIST)),
            _ => {
                if mac.is_none()
                    && !matches!(
                        state,
                        NeighbourState::Failed | NeighbourState::Incomplete | NeighbourState::Noarp
                    )
                {
                    return Err(answers(Errno::EINVAL));
                }
                ns.set_neighbour(
                    dev,
                    address,
                    Neighbour {
                        mac,
                        state,
                        since: now,
                    },
                );
            }
        }
        return Ok(Output::default());
    }
    if verb == "flush" {
        let Some(ns) = net.namespace_mut(namespace) else {
            return Ok(Output::default());
        };
        if address.is_none() && dev.is_none() {
            return Err(Output::failed(255, "Flush requires arguments.\n"));
        }
        Arc::make_mut(&mut ns.neighbours).retain(|(d, a), n| {
            n.state == NeighbourState::Permanent
                || dev.is_some_and(|dev| dev != *d)
                || address.is_some_and(|x| x != *a)
        });
        return Ok(Output::default());
    }
    if !short(verb, "show") && !matches!(verb, "list" | "ls") {
        return Err(Output::failed(
            255,
            format!("Command \"{verb}\" is unknown, try \"ip neigh help\".\n"),
        ));
    }
    let mut out = String::new();
    let mut list = Vec::new();
    let Some(ns) = net.namespace(namespace) else {
        return Ok(Output::default());
    };
    for (link, at, n) in ns.neighbours() {
        let state = n.state_at(now);
        if dev.is_some_and(|d| d != link)
            || address.is_some_and(|a| a != at)
            || state == NeighbourState::Noarp
        {
            continue;
        }
        if json {
            let mut fields = vec![("dst", Json::text(at))];
            if dev.is_none() {
                let name = net.link(link).map_or("?", |l| &l.name);
                fields.push(("dev", Json::text(name)));
            }
            fields.extend(n.mac.map(|mac| ("lladdr", Json::text(mac))));
            fields.push(("state", Json::texts([state.name()])));
            list.push(Json::Object(fields));
            continue;
        }
        let _ = write!(out, "{at} ");
        if dev.is_none() {
            let _ = write!(out, "dev {} ", net.link(link).map_or("?", |l| &l.name));
        }
        if let Some(mac) = n.mac {
            let _ = write!(out, "lladdr {mac} ");
        }
        let _ = writeln!(out, "{} ", state.name());
    }
    if json {
        out = Json::print(list);
    }
    Ok(Output::ok(out))
}

/// `arp` (net-tools 2.10): `-n` and `-a`, for all devices or with `-i` for one.
/// /proc/net/arp
pub(super) fn proc_net_arp(net: &Network, namespace: NamespaceId) -> String {
    let mut out =
        "IP address       HW type     Flags       HW address            Mask     Device\n"
            .to_owned();
    let neighbours = net.namespace(namespace).into_iter();
    for (dev, address, n) in neighbours.flat_map(|ns| ns.neighbours()) {
        let Some(link) = net.link(dev) else { continue };
        let flags = match (n.state, n.mac) {
            (NeighbourState::Noarp, _) => continue,
            (NeighbourState::Permanent, _) => 6,
            (_, Some(_)) => 2,
            (_, None) => 0,
        };
        let mac = n.mac.unwrap_or_default();
        out += &format!(
            "{address:<16} 0x1         0x{flags:x}         {mac}     *        {}\n",
            link.name
        );
    }
    out
}

pub(super) fn arp(net: &Network, namespace: NamespaceId, args: &[String], now: Time) -> Output {
    let (mut bsd, mut only, mut address) = (false, None, None);
    let mut words = Words::new(args);
    while let Some(word) = words.next() {
        match word {
            "-n" | "-e" | "-v" => {}
            "-a" | "-an" | "-na" => bsd = true,
            "-i" | "-ni" => only = words.next(),
            text if !text.starts_with('-') => address = text.parse::<Ipv4Addr>().ok(),
            other => return Output::unknown(&format!("arp {other}")),
        }
    }
    let mut out = String::new();
    let Some(ns) = net.namespace(namespace) else {
        return Output::default();
    };
    for (link, at, n) in ns.neighbours() {
        let Some(device) = net.link(link).map(|l| l.name.clone()) else {
            continue;
        };
        let state = n.state_at(now);
        if only.is_some_and(|only| *device != *only)
            || address.is_some_and(|a| a != at)
            || state == NeighbourState::Noarp
        {
            continue;
        }
        let fixed = state == NeighbourState::Permanent;
        let known = n.mac.filter(|_| state != NeighbourState::Failed);
        if bsd {
            let mac = known.map_or("<incomplete>".to_owned(), |mac| mac.to_string());
            let kind = if known.is_some() { " [ether] " } else { " " };
            let fixed = if fixed { "PERM " } else { "" };
            let _ = writeln!(out, "? ({at}) at {mac}{kind}{fixed}on {device}");
            continue;
        }
        if out.is_empty() {
            out += "Address                  HWtype  HWaddress           Flags Mask            Iface\n";
        }
        let _ = match known {
            Some(mac) => {
                let flags = if fixed { "CM" } else { "C" };
                let (at, mac) = (at.to_string(), mac.to_string());
                writeln!(out, "{at:<25}ether   {mac:<20}{flags:<22}{device}")
            }
            None => {
                let at = at.to_string();
                writeln!(out, "{at:<25}        {:<42}{device}", "(incomplete)")
            }
        };
    }
    if let (true, Some(address)) = (out.is_empty(), address) {
        return Output::failed(1, format!("{address} ({address}) -- no entry\n"));
    }
    Output::ok(out)
}
