//! `ip maddr` (iproute2 6.1): the groups that a device listens to, which the kernel joins by itself.

use std::fmt::Write as _;

use super::Output;
use super::ip::{Format, ipv6};
use super::json::Json;
use super::words::{Words, short};
use crate::link::{Link, LinkKind, NamespaceId};
use crate::network::Network;

/// What a device listens to: Ethernet, IPv4, IPv6.
struct Groups {
    link: Vec<String>,
    inet: Vec<&'static str>,
    inet6: Vec<String>,
}

/// The groups in the order in which the kernel joins them: all nodes when the device is made, a
/// bridge's snoopers and IPv4's hosts once it is up, the solicited nodes with its own address.
fn groups(net: &Network, link: &Link) -> Groups {
    let loopback = matches!(link.kind, LinkKind::Loopback);
    let bridge = matches!(link.kind, LinkKind::Bridge(_));
    let mut groups = Groups {
        link: Vec::new(),
        inet: Vec::new(),
        inet6: vec!["ff02::1".to_owned(), "ff01::1".to_owned()],
    };
    let mut ethernet = vec!["33:33:00:00:00:01".to_owned()];
    if link.up {
        groups.inet.push("224.0.0.1");
        if bridge {
            ethernet.extend(["01:00:5e:00:00:6a", "33:33:00:00:00:6a"].map(str::to_owned));
            groups.inet.push("224.0.0.106");
            groups.inet6.insert(0, "ff02::6a".to_owned());
        }
        ethernet.push("01:00:5e:00:00:01".to_owned());
    }
    if !loopback && ipv6(net, link).is_some() {
        let [.., d, e, f] = link.mac.0;
        ethernet.push(format!("33:33:ff:{d:02x}:{e:02x}:{f:02x}"));
        let (high, low) = (0xff00 | u16::from(d), u16::from(e) << 8 | u16::from(f));
        groups.inet6.insert(0, format!("ff02::1:{high:x}:{low:x}"));
    }
    if !loopback {
        groups.link = ethernet;
    }
    groups
}

pub(super) fn maddr(
    net: &Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
    format: Format,
) -> Result<Output, Output> {
    if short(verb, "add") || short(verb, "delete") {
        return Err(Output::unknown(&format!("ip maddr {verb}")));
    }
    if !(short(verb, "show") || short(verb, "list") || verb == "lst") {
        let why = format!("Command \"{verb}\" is unknown, try \"ip maddr help\".\n");
        return Err(Output::failed(255, why));
    }
    let mut only = None;
    while let Some(word) = words.next() {
        only = Some(match word {
            "dev" => words.value()?,
            name => name,
        });
    }
    let shown = net.links_of(namespace);
    let shown = shown.filter(|link| only.is_none_or(|name| *link.name == *name));
    let (mut text, mut list) = (String::new(), Vec::new());
    for link in shown {
        let Groups {
            link: own,
            inet,
            inet6,
        } = groups(net, link);
        let (v4, v6) = (!format.only6, !format.only4);
        let own = own
            .into_iter()
            .filter(|_| v4 && v6)
            .map(|group| ("link ", group));
        let inet = inet.into_iter().filter(|_| v4);
        let inet = inet.map(|group| ("inet ", group.to_owned()));
        let inet6 = inet6
            .into_iter()
            .filter(|_| v6)
            .map(|group| ("inet6", group));
        let all: Vec<(&str, String)> = own.chain(inet).chain(inet6).collect();
        let head = format!("{}:\t{}", link.ifindex, link.name);
        if format.json {
            let groups = all.iter().map(|(family, group)| match *family {
                "link " => Json::Object(vec![("link", Json::text(group))]),
                family => Json::Object(vec![
                    ("family", Json::text(family.trim_end())),
                    ("address", Json::text(group)),
                ]),
            });
            list.push(Json::Object(vec![
                ("ifindex", Json::Number(link.ifindex.into())),
                ("ifname", Json::text(&link.name)),
                ("maddr", Json::List(groups.collect())),
            ]));
            continue;
        }
        if !format.one_line {
            let _ = writeln!(text, "{head}");
        }
        for (family, group) in all {
            let _ = match format.one_line {
                true => writeln!(text, "{head}\\\t{family} {group}"),
                false => writeln!(text, "\t{family} {group}"),
            };
        }
    }
    Ok(match format.json {
        true => Output::ok(Json::print(list)),
        false => Output::ok(text),
    })
}
