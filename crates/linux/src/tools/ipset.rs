//! `ipset` 7.17.

use std::fmt::Write;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Output;
use super::words::Words;
use crate::link::NamespaceId;
use crate::netfilter::ipset::{Entry, IpSet, SetKind};
use crate::netfilter::{Match, Netfilter, TableKind};
use crate::network::{Network, host};
use crate::packet::Protocol;

fn problem(message: &str) -> Output {
    Output::failed(1, format!("ipset v7.17: {message}\n"))
}

const NO_SET: &str = "The set with the given name does not exist";

pub(super) fn run(
    net: &mut Network,
    namespace: NamespaceId,
    args: &[String],
    input: &str,
) -> Output {
    let Some(ns) = net.namespace_mut(namespace) else {
        return Output::default();
    };
    let done = if args.iter().any(|a| matches!(a.as_str(), "restore" | "-R")) {
        let exist = args.iter().any(|a| is_exist(a));
        restore(&mut ns.netfilter, input, exist)
    } else {
        command(&mut ns.netfilter, args)
    };
    done.unwrap_or_else(|output| output)
}

fn is_exist(word: &str) -> bool {
    matches!(word, "-exist" | "-!" | "--exist")
}

/// Runs the lines of a saved text.
fn restore(netfilter: &mut Netfilter, input: &str, exist: bool) -> Result<Output, Output> {
    for (n, line) in input.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line == "COMMIT" {
            continue;
        }
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if exist {
            words.push("-exist".to_owned());
        }
        command(netfilter, &words).map_err(|output| {
            let message = output.stderr.trim().trim_start_matches("ipset v7.17: ");
            problem(&format!("Error in line {}: {message}", n + 1))
        })?;
    }
    Ok(Output::default())
}

fn command(netfilter: &mut Netfilter, args: &[String]) -> Result<Output, Output> {
    let (mut exist, mut quiet, mut names, mut terse, mut sorted) =
        (false, false, false, false, false);
    let mut rest: Vec<String> = Vec::new();
    for arg in args {
        match arg.as_str() {
            word if is_exist(word) => exist = true,
            "-q" | "-quiet" => quiet = true,
            "-n" | "-name" => names = true,
            "-t" | "-terse" => terse = true,
            "-s" | "-sorted" => sorted = true,
            "-v" | "--version" | "version" => {
                return Ok(Output::ok("ipset v7.17, protocol version: 7\n"));
            }
            word => rest.push(word.to_owned()),
        }
    }
    let _ = sorted;
    let mut words = Words::new(&rest);
    let Some(verb) = words.next() else {
        return Err(problem(
            "No command specified.\nTry `ipset help' for more information.",
        ));
    };
    let done = match verb {
        "create" | "-N" | "n" => create(netfilter, &mut words, exist),
        "add" | "-A" | "del" | "-D" | "test" | "-T" => element(netfilter, verb, &mut words, exist),
        "destroy" | "-X" | "x" => destroy(netfilter, words.next()),
        "flush" | "-F" => flush(netfilter, words.next()),
        "list" | "-L" => list(netfilter, words.next(), names, terse),
        "save" | "-S" => save(netfilter, words.next()),
        "swap" | "-W" | "rename" | "-E" => swap(netfilter, verb, &mut words),
        other => Err(problem(&format!(
            "No command specified: unknown argument {other}\nTry `ipset help' for more information."
        ))),
    };
    match done {
        Err(output) if quiet => Err(Output::failed(output.status, "")),
        done => done,
    }
}

fn missing(what: &str) -> Output {
    problem(&format!(
        "Missing mandatory argument to command {what}\nTry `ipset help' for more information."
    ))
}

fn create(netfilter: &mut Netfilter, words: &mut Words, exist: bool) -> Result<Output, Output> {
    let name = words.next().ok_or_else(|| missing("create"))?;
    let kind = words.next().ok_or_else(|| missing("create"))?;
    let Some(kind) = SetKind::parse(kind) else {
        let known = matches!(
            kind,
            "list:set"
                | "hash:mac"
                | "hash:net,net"
                | "hash:net,port"
                | "hash:net,iface"
                | "hash:net,port,net"
                | "hash:ip,mark"
                | "hash:ip,mac"
                | "bitmap:ip"
                | "bitmap:ip,mac"
        );
        return Err(if known {
            Output::unknown(&format!("ipset create {kind}"))
        } else {
            problem(&format!("Syntax error: typename '{kind}' is unknown"))
        });
    };
    let mut set = IpSet::new(kind);
    while let Some(word) = words.next() {
        match word {
            "family" => {
                let family = words.next();
                if family == Some("inet6") {
                    return Err(Output::unknown("ipset create … family inet6"));
                }
            }
            "hashsize" | "maxelem" | "range" | "bucketsize" | "initval" | "netmask" => {
                words.next().ok_or_else(|| missing("create"))?;
            }
            "timeout" => {
                let seconds = words.next().and_then(|w| w.parse().ok());
                match seconds {
                    Some(0) => set.timeout = true,
                    Some::<u32>(_) => {
                        return Err(Output::unknown("ipset create … timeout other than 0"));
                    }
                    None => return Err(missing("create")),
                }
            }
            "comment" | "counters" | "skbinfo" | "forceadd" => {
                return Err(Output::unknown(&format!("ipset create … {word}")));
            }
            other => {
                return Err(problem(&format!(
                    "Unknown argument: `{other}'\nTry `ipset help' for more information."
                )));
            }
        }
    }
    match netfilter.set(name) {
        Some(there) if exist && there.kind == kind => {}
        Some(_) => {
            return Err(problem(
                "Set cannot be created: set with the same name already exists",
            ));
        }
        None => netfilter.put_set(name, set),
    }
    Ok(Output::default())
}

fn address(text: &str) -> Result<Ipv4Addr, Output> {
    text.parse().map_err(|_| {
        problem(&format!(
            "Syntax error: cannot parse {text}: resolving to IPv4 address failed"
        ))
    })
}

fn network(text: &str) -> Result<Ipv4Net, Output> {
    match text.split_once('/') {
        None => address(text).map(host),
        Some((ip, length)) => {
            let ip = address(ip)?;
            let length = length.parse().ok().filter(|l| (1..=32).contains(l));
            let net = length.and_then(|l| Ipv4Net::new(ip, l).ok());
            net.map(|n| n.trunc())
                .ok_or_else(|| problem(&format!("Syntax error: '{text}' is out of range 0-32")))
        }
    }
}

fn port(text: &str) -> Result<(Protocol, u16), Output> {
    let (protocol, port) = match text.split_once(':') {
        Some((protocol, port)) => (Protocol::parse(protocol), port),
        None => (Some(Protocol::TCP), text),
    };
    let wrong = || {
        problem(&format!(
            "Syntax error: cannot parse '{text}' as a (numeric) port"
        ))
    };
    Ok((
        protocol.ok_or_else(wrong)?,
        port.parse().map_err(|_| wrong())?,
    ))
}

/// `10.0.0.1,tcp:80,10.1.0.0/16`, as far as a kind has such parts.
fn parse_entry(kind: SetKind, text: &str) -> Result<Entry, Output> {
    let mut parts = text.split(',');
    let mut part = || {
        parts.next().filter(|p| !p.is_empty()).ok_or_else(|| {
            problem(&format!(
                "Syntax error: Second element is missing from {text}."
            ))
        })
    };
    let mut entry = Entry::default();
    match kind {
        SetKind::HashIp => entry.net = host(address(part()?)?),
        SetKind::HashNet => entry.net = network(part()?)?,
        SetKind::BitmapPort => (_, entry.port) = port(part()?)?,
        SetKind::HashIpPort | SetKind::HashIpPortIp | SetKind::HashIpPortNet => {
            entry.net = host(address(part()?)?);
            (entry.protocol, entry.port) = port(part()?)?;
            match kind {
                SetKind::HashIpPortIp => entry.second = host(address(part()?)?),
                SetKind::HashIpPortNet => entry.second = network(part()?)?,
                _ => {}
            }
        }
    }
    Ok(entry)
}

fn element(
    netfilter: &mut Netfilter,
    verb: &str,
    words: &mut Words,
    exist: bool,
) -> Result<Output, Output> {
    let name = words.next().ok_or_else(|| missing(verb))?;
    let text = words.next().ok_or_else(|| missing(verb))?;
    let Some(set) = netfilter.set(name) else {
        return Err(problem(NO_SET));
    };
    let mut entry = parse_entry(set.kind, text)?;
    while let Some(word) = words.next() {
        match word {
            "nomatch" => entry.nomatch = true,
            "timeout" if set.timeout => match words.next() {
                Some("0") => {}
                Some(_) => return Err(Output::unknown("ipset add … timeout other than 0")),
                None => return Err(missing(verb)),
            },
            "timeout" => {
                return Err(problem(
                    "Timeout cannot be used: set was created without timeout support",
                ));
            }
            other => {
                return Err(problem(&format!(
                    "Unknown argument: `{other}'\nTry `ipset help' for more information."
                )));
            }
        }
    }
    let there = set.has(&entry);
    match verb {
        "test" | "-T" => {
            return if there {
                Ok(Output {
                    stderr: format!("Warning: {text} is in set {name}.\n"),
                    ..Output::default()
                })
            } else {
                Err(Output::failed(1, format!("{text} is NOT in set {name}.\n")))
            };
        }
        "add" | "-A" if there && !exist => Err(problem(
            "Element cannot be added to the set: it's already added",
        )),
        "del" | "-D" if !there && !exist => Err(problem(
            "Element cannot be deleted from the set: it's not added",
        )),
        _ => Ok(()),
    }?;
    let mut set = set.clone();
    if matches!(verb, "add" | "-A") {
        set.insert(entry);
    } else {
        set.remove(&entry);
    }
    netfilter.put_set(name, set);
    Ok(Output::default())
}

/// How many rules look into a set.
fn references(netfilter: &Netfilter, name: &str) -> usize {
    let tables = TableKind::ALL
        .into_iter()
        .filter_map(|t| netfilter.table(t));
    tables
        .flat_map(|table| table.chains())
        .flat_map(|chain| &chain.rules)
        .flat_map(|rule| &rule.matches)
        .filter(|m| matches!(m, Match::Set(set) if *set.name == *name))
        .count()
}

fn destroy(netfilter: &mut Netfilter, name: Option<&str>) -> Result<Output, Output> {
    let names: Vec<String> = match name {
        Some(name) if netfilter.set(name).is_none() => return Err(problem(NO_SET)),
        Some(name) => vec![name.to_owned()],
        None => netfilter.sets().map(|(n, _)| n.to_owned()).collect(),
    };
    if names.iter().any(|n| references(netfilter, n) > 0) {
        return Err(problem(
            "Set cannot be destroyed: it is in use by a kernel component",
        ));
    }
    for name in names {
        netfilter.remove_set(&name);
    }
    Ok(Output::default())
}

fn flush(netfilter: &mut Netfilter, name: Option<&str>) -> Result<Output, Output> {
    let all: Vec<(String, IpSet)> = (netfilter.sets())
        .filter(|(n, _)| name.is_none_or(|name| name == *n))
        .map(|(n, set)| (n.to_owned(), set.emptied()))
        .collect();
    if all.is_empty() && name.is_some() {
        return Err(problem(NO_SET));
    }
    for (name, set) in all {
        netfilter.put_set(&name, set);
    }
    Ok(Output::default())
}

fn swap(netfilter: &mut Netfilter, verb: &str, words: &mut Words) -> Result<Output, Output> {
    let one = words.next().ok_or_else(|| missing(verb))?;
    let other = words.next().ok_or_else(|| missing(verb))?;
    let first = netfilter.set(one).cloned().ok_or_else(|| problem(NO_SET))?;
    if matches!(verb, "rename" | "-E") {
        if netfilter.set(other).is_some() {
            return Err(problem(
                "Set cannot be renamed: a set with the new name already exists",
            ));
        }
        if references(netfilter, one) > 0 {
            return Err(problem(
                "Set cannot be renamed: it is in use by another system",
            ));
        }
        netfilter.remove_set(one);
        netfilter.put_set(other, first);
        return Ok(Output::default());
    }
    let second = (netfilter.set(other).cloned())
        .ok_or_else(|| problem("Sets cannot be swapped: the second set does not exist"))?;
    if first.kind != second.kind {
        return Err(problem(
            "The sets cannot be swapped: their type does not match",
        ));
    }
    netfilter.put_set(one, second);
    netfilter.put_set(other, first);
    Ok(Output::default())
}

/// What `create` says of a set after its type.
fn header(name: &str, set: &IpSet) -> String {
    if set.kind == SetKind::BitmapPort {
        return "range 0-65535".to_owned();
    }
    // The kernel's hash is seeded by chance: of one set it is always the same here.
    let seed = name.bytes().fold(0x811c_9dc5u32, |h, b| {
        (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
    });
    let timeout = if set.timeout { "timeout 0 " } else { "" };
    format!("family inet hashsize 1024 maxelem 65536 {timeout}bucketsize 12 initval {seed:#010x}")
}

fn members(set: &IpSet) -> impl Iterator<Item = String> {
    set.iter().map(|entry| {
        let mut line = entry.text(set.kind);
        if set.timeout {
            line += " timeout 0";
        }
        if entry.nomatch {
            line += " nomatch";
        }
        line
    })
}

/// Revision of a type, and bytes for the set and each of its entries (Linux 6.18; a hash takes about this).
fn measures(set: &IpSet) -> (u32, usize, usize) {
    let (revision, base, each) = match set.kind {
        SetKind::HashIp => (6, 216, 40),
        SetKind::HashNet => (7, 456, 64),
        SetKind::HashIpPort => (7, 216, 48),
        SetKind::HashIpPortIp => (7, 216, 56),
        SetKind::HashIpPortNet => (8, 456, 64),
        SetKind::BitmapPort => (3, 8264, 0),
    };
    (
        revision,
        base,
        each + 8 * usize::from(set.timeout && each > 0),
    )
}

fn list(
    netfilter: &Netfilter,
    name: Option<&str>,
    names: bool,
    terse: bool,
) -> Result<Output, Output> {
    if name.is_some_and(|n| netfilter.set(n).is_none()) {
        return Err(problem(NO_SET));
    }
    let mut out = String::new();
    for (n, set) in netfilter
        .sets()
        .filter(|(n, _)| name.is_none_or(|o| o == *n))
    {
        if names {
            let _ = writeln!(out, "{n}");
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        let (revision, base, each) = measures(set);
        let _ = writeln!(
            out,
            "Name: {n}\nType: {}\nRevision: {revision}\nHeader: {}\nSize in memory: {}\nReferences: {}\nNumber of entries: {}",
            set.kind.name(),
            header(n, set),
            base + each * set.len(),
            references(netfilter, n),
            set.len()
        );
        if !terse {
            out += "Members:\n";
            for line in members(set) {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    Ok(Output::ok(out))
}

fn save(netfilter: &Netfilter, name: Option<&str>) -> Result<Output, Output> {
    if name.is_some_and(|n| netfilter.set(n).is_none()) {
        return Err(problem(NO_SET));
    }
    let mut out = String::new();
    for (n, set) in netfilter
        .sets()
        .filter(|(n, _)| name.is_none_or(|o| o == *n))
    {
        let _ = writeln!(out, "create {n} {} {}", set.kind.name(), header(n, set));
        for line in members(set) {
            let _ = writeln!(out, "add {n} {line}");
        }
    }
    Ok(Output::ok(out))
}
