//! `ip tunnel`, and what `ip link` says of IPIP devices (iproute2 6.1). Other modes are not there: GRE, VTI and SIT.

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::Output;
use super::ip::{answers, device};
use super::words::Words;
use crate::link::{Ipip, Link, LinkKind, NamespaceId};
use crate::network::Network;

/// With the first of these tunnels the kernel's module comes, and with it a device for whatever is nobody else's.
pub(super) fn add(
    net: &mut Network,
    namespace: NamespaceId,
    name: &str,
    ipip: Ipip,
) -> Result<(), crate::errno::Errno> {
    if !net.links_of(namespace).any(|link| link.ipip().is_some()) {
        net.add_ipip(namespace, Ipip::FALLBACK, Ipip::fallback())?;
    }
    net.add_ipip(namespace, name, ipip).map(|_| ())
}

/// One that nothing is said of: `pmtudisc`, for the rest as the fallback.
pub(super) fn plain() -> Ipip {
    Ipip {
        discovers_mtu: true,
        ..Ipip::fallback()
    }
}

/// An option of `ip link add … type ipip` and `ip tunnel add`; false: it is none.
pub(super) fn option(
    net: &Network,
    namespace: NamespaceId,
    ipip: &mut Ipip,
    word: &str,
    words: &mut Words,
) -> Result<bool, Output> {
    let address = |words: &mut Words| -> Result<Ipv4Addr, Output> {
        match words.value()? {
            "any" | "0" => Ok(Ipv4Addr::UNSPECIFIED),
            text => text.parse().map_err(|_| {
                let said = format!("Error: inet address is expected rather than \"{text}\".\n");
                Output::failed(1, said)
            }),
        }
    };
    match word {
        "local" => ipip.local = address(words)?,
        "remote" => ipip.remote = address(words)?,
        "dev" => ipip.lower = Some(device(net, namespace, words.value()?)?),
        "pmtudisc" => ipip.discovers_mtu = true,
        "nopmtudisc" => ipip.discovers_mtu = false,
        "ttl" | "hoplimit" => {
            let text = words.value()?;
            let number = if text == "inherit" {
                Ok(0)
            } else {
                text.parse()
            };
            ipip.ttl = number.map_err(|_| {
                let said = format!("Error: argument \"{text}\" is wrong: invalid TTL\n\n");
                Output::failed(255, said)
            })?;
        }
        "mode" => match words.value()? {
            "ipip" | "ip/ip" | "ipv4/ipv4" => {}
            mode @ ("gre" | "gre/ip" | "sit" | "ipv6/ip" | "vti" | "isatap") => {
                return Err(Output::unknown(&format!("ip tunnel mode {mode}")));
            }
            mode => {
                return Err(Output::failed(
                    255,
                    format!("Unknown tunnel mode \"{mode}\"\n"),
                ));
            }
        },
        _ => return Ok(false),
    }
    Ok(true)
}

fn any(address: Ipv4Addr) -> String {
    if address.is_unspecified() {
        "any".to_owned()
    } else {
        address.to_string()
    }
}

fn ttl(ipip: &Ipip) -> String {
    match ipip.ttl {
        0 => "inherit".to_owned(),
        ttl => ttl.to_string(),
    }
}

fn lower(net: &Network, ipip: &Ipip) -> String {
    let lower = ipip.lower.and_then(|id| net.link(id));
    lower.map_or_else(String::new, |link| format!(" dev {}", link.name))
}

/// What `ip -d link` says of one.
pub(super) fn details(net: &Network, link: &Link, ipip: &Ipip) -> String {
    let proto = if &*link.name == Ipip::FALLBACK {
        "any"
    } else {
        "ipip"
    };
    let no = if ipip.discovers_mtu { "" } else { "no" };
    format!(
        "\n    ipip {proto} remote {} local {}{} ttl {} {no}pmtudisc ",
        any(ipip.remote),
        any(ipip.local),
        lower(net, ipip),
        ttl(ipip)
    )
}

/// `link/ipip 10.0.0.1 peer 10.0.0.2`
pub(super) fn addresses(ipip: &Ipip) -> String {
    let word = if ipip.remote.is_unspecified() {
        "brd"
    } else {
        "peer"
    };
    format!("    link/ipip {} {word} {}", ipip.local, ipip.remote)
}

pub(super) fn tunnel(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
) -> Result<Output, Output> {
    let failed = |verb: &str, name: &str, why: &str| {
        Output::failed(1, format!("{verb} tunnel \"{name}\" failed: {why}\n"))
    };
    match verb {
        "add" => {
            let (mut ipip, mut name, mut mode) = (plain(), None, false);
            while let Some(word) = words.next() {
                mode |= word == "mode";
                if !option(net, namespace, &mut ipip, word, words)? {
                    name = Some(if word == "name" { words.value()? } else { word });
                }
            }
            if !mode {
                let said = "cannot determine tunnel mode (ipip, gre, vti or sit)\n";
                return Err(Output::failed(1, said));
            }
            let name = name.unwrap_or(Ipip::FALLBACK);
            add(net, namespace, name, ipip)
                .map_err(|errno| failed("add", name, &errno.to_string()))?;
            Ok(Output::default())
        }
        "del" | "delete" => {
            let mut name = words.next().unwrap_or(Ipip::FALLBACK);
            if name == "name" {
                name = words.value()?;
            }
            let found = net.find_link(namespace, name);
            let found = found.filter(|id| net.link(*id).is_some_and(|l| l.ipip().is_some()));
            let Some(id) = found else {
                return Err(failed("delete", name, "No such device"));
            };
            net.remove_link(id).map_err(answers)?;
            Ok(Output::default())
        }
        "show" | "list" | "ls" | "sh" => {
            let wanted = words.next();
            let mut out = String::new();
            for link in net.links_of(namespace) {
                let LinkKind::Ipip(ipip) = &link.kind else {
                    continue;
                };
                if wanted.is_some_and(|name| *name != *link.name) {
                    continue;
                }
                let fallback = &*link.name == Ipip::FALLBACK;
                let proto = if fallback { "any" } else { "ip" };
                let no = if ipip.discovers_mtu {
                    ""
                } else {
                    " nopmtudisc"
                };
                let _ = writeln!(
                    out,
                    "{}: {proto}/ip remote {} local {}{} ttl {}{no}",
                    link.name,
                    any(ipip.remote),
                    any(ipip.local),
                    lower(net, ipip),
                    ttl(ipip)
                );
            }
            Ok(Output::ok(out))
        }
        verb => Err(Output::failed(
            255,
            format!("Command \"{verb}\" is unknown, try \"ip tunnel help\".\n"),
        )),
    }
}
