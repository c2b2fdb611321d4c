//! `ip route` and `ip rule` (iproute2 6.1).

use std::fmt::Write;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Output;
use super::ip::{answers, device};
use super::json::Json;
use super::words::{Words, short};
use crate::errno::Errno;
use crate::link::{LinkId, NamespaceId, Scope};
use crate::network::Network;
use crate::route::{DEFAULT, Flow, IpRule, LOCAL, MAIN, Route, RouteKind, RouteProtocol};

fn table_name(table: u32) -> String {
    match table {
        MAIN => "main".to_owned(),
        LOCAL => "local".to_owned(),
        DEFAULT => "default".to_owned(),
        other => other.to_string(),
    }
}

fn table_number(text: &str) -> Result<u32, Output> {
    match text {
        "main" => Ok(MAIN),
        "local" => Ok(LOCAL),
        "default" => Ok(DEFAULT),
        other => other.parse().map_err(|_| {
            Output::failed(
                255,
                format!("Error: argument \"{other}\" is wrong: table id value is invalid\n\n"),
            )
        }),
    }
}

fn prefix(text: &str) -> Result<Ipv4Net, Output> {
    if text == "default" || text == "any" {
        return Ok(Ipv4Net::default());
    }
    let net = if text.contains('/') {
        text.parse::<Ipv4Net>().ok()
    } else {
        text.parse::<Ipv4Addr>().ok().map(crate::network::host)
    };
    net.ok_or_else(|| {
        Output::failed(
            1,
            format!("Error: any valid prefix is expected rather than \"{text}\".\n"),
        )
    })
}

fn host(text: &str) -> Result<Ipv4Addr, Output> {
    text.parse().map_err(|_| {
        Output::failed(
            1,
            format!("Error: any valid prefix is expected rather than \"{text}\".\n"),
        )
    })
}

fn net_text(net: Ipv4Net) -> String {
    match net.prefix_len() {
        0 => "default".to_owned(),
        32 => net.addr().to_string(),
        _ => net.to_string(),
    }
}

fn line(net: &Network, route: &Route, table: Option<u32>) -> String {
    let mut out = String::new();
    if route.kind != RouteKind::Unicast {
        let _ = write!(out, "{} ", route.kind.name());
    }
    let _ = write!(out, "{} ", net_text(route.destination));
    if let Some(via) = route.via {
        let _ = write!(out, "via {via} ");
    }
    if let Some(dev) = route.dev.and_then(|d| net.link(d)) {
        let _ = write!(out, "dev {} ", dev.name);
    }
    if let Some(table) = table {
        let _ = write!(out, "table {} ", table_name(table));
    }
    if route.protocol != RouteProtocol::Boot {
        let _ = write!(out, "proto {} ", route.protocol.name());
    }
    if route.scope != Scope::Global {
        let _ = write!(out, "scope {} ", route.scope.name());
    }
    if let Some(source) = route.source {
        let _ = write!(out, "src {source} ");
    }
    if route.metric != 0 {
        let _ = write!(out, "metric {} ", route.metric);
    }
    if route
        .dev
        .and_then(|d| net.link(d))
        .is_some_and(|l| !net.carrier(l))
    {
        out.push_str("linkdown ");
    }
    if route.onlink {
        out.push_str("onlink ");
    }
    out
}

fn object(net: &Network, route: &Route, table: Option<u32>) -> Json {
    let mut fields = Vec::new();
    if route.kind != RouteKind::Unicast {
        fields.push(("type", Json::text(route.kind.name())));
    }
    fields.push(("dst", Json::text(net_text(route.destination))));
    fields.extend(route.via.map(|via| ("gateway", Json::text(via))));
    let dev = route.dev.and_then(|d| net.link(d));
    fields.extend(dev.map(|dev| ("dev", Json::text(&dev.name))));
    fields.extend(table.map(|table| ("table", Json::text(table_name(table)))));
    if route.protocol != RouteProtocol::Boot {
        fields.push(("protocol", Json::text(route.protocol.name())));
    }
    if route.scope != Scope::Global {
        fields.push(("scope", Json::text(route.scope.name())));
    }
    fields.extend(route.source.map(|src| ("prefsrc", Json::text(src))));
    if route.metric != 0 {
        fields.push(("metric", Json::Number(route.metric.into())));
    }
    let mut flags = Vec::new();
    if dev.is_some_and(|l| !net.carrier(l)) {
        flags.push("linkdown");
    }
    if route.onlink {
        flags.push("onlink");
    }
    fields.push(("flags", Json::texts(flags)));
    Json::Object(fields)
}

/// A rule of the routing policy.
fn rule_object(net: &Network, rule: &IpRule) -> Json {
    let mut fields = vec![("priority", Json::Number(rule.priority.into()))];
    match rule.from {
        None => fields.push(("src", Json::text("all"))),
        Some(from) => {
            fields.push(("src", Json::text(from.addr())));
            if from.prefix_len() < 32 {
                fields.push(("srclen", Json::Number(from.prefix_len().into())));
            }
        }
    }
    if let Some(to) = rule.to {
        fields.push(("dst", Json::text(to.addr())));
        if to.prefix_len() < 32 {
            fields.push(("dstlen", Json::Number(to.prefix_len().into())));
        }
    }
    if let Some((value, mask)) = rule.mark {
        fields.push(("fwmark", Json::text(format!("{value:#x}"))));
        if mask != u32::MAX {
            fields.push(("fwmask", Json::text(format!("{mask:#x}"))));
        }
    }
    let iif = rule.iif.and_then(|l| net.link(l));
    fields.extend(iif.map(|iif| ("iif", Json::text(&iif.name))));
    fields.push(("table", Json::text(table_name(rule.table))));
    Json::Object(fields)
}

/// Which routes are shown or flushed.
struct Selection {
    /// None: of all tables.
    table: Option<u32>,
    dev: Option<LinkId>,
    via: Option<Ipv4Addr>,
    source: Option<Ipv4Addr>,
    exact: Option<Ipv4Net>,
    root: Option<Ipv4Net>,
    matching: Option<Ipv4Net>,
    /// Names of protocol, scope and kind.
    protocol: Option<String>,
    scope: Option<String>,
    kind: Option<String>,
}

impl Selection {
    fn read(net: &Network, namespace: NamespaceId, words: &mut Words) -> Result<Selection, Output> {
        let mut wanted = Selection {
            table: Some(MAIN),
            dev: None,
            via: None,
            source: None,
            exact: None,
            root: None,
            matching: None,
            protocol: None,
            scope: None,
            kind: None,
        };
        while let Some(word) = words.next() {
            match word {
                "table" => {
                    wanted.table = match words.value()? {
                        "all" => None,
                        name => Some(table_number(name)?),
                    };
                }
                "dev" | "oif" => wanted.dev = Some(device(net, namespace, words.value()?)?),
                "via" => wanted.via = Some(host(words.value()?)?),
                "src" => wanted.source = Some(host(words.value()?)?),
                "exact" => wanted.exact = Some(prefix(words.value()?)?),
                "root" => wanted.root = Some(prefix(words.value()?)?),
                "match" => wanted.matching = Some(prefix(words.value()?)?),
                "proto" | "protocol" => wanted.protocol = Some(words.value()?.to_owned()),
                "scope" => wanted.scope = Some(words.value()?.to_owned()),
                "type" => wanted.kind = Some(words.value()?.to_owned()),
                "default" => wanted.exact = Some(Ipv4Net::default()),
                text => wanted.exact = Some(prefix(text)?),
            }
        }
        Ok(wanted)
    }

    fn takes(&self, route: &Route) -> bool {
        let named = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|w| w == name || w == "all")
        };
        self.dev.is_none_or(|d| route.dev == Some(d))
            && self.via.is_none_or(|via| route.via == Some(via))
            && self.source.is_none_or(|src| route.source == Some(src))
            && self.exact.is_none_or(|e| route.destination == e)
            && self.root.is_none_or(|r| r.contains(&route.destination))
            && self.matching.is_none_or(|m| route.destination.contains(&m))
            && named(&self.protocol, route.protocol.name())
            && named(&self.scope, route.scope.name())
            && named(&self.kind, route.kind.name())
    }
}

/// `ip route flush SELECTOR`
fn flush(net: &mut Network, namespace: NamespaceId, words: &mut Words) -> Result<Output, Output> {
    match words.peek() {
        None => {
            let text = "\"ip route flush\" requires arguments.\n";
            return Err(Output::failed(255, text));
        }
        // The kernel has kept no cache of routes for long.
        Some("cache") => return Ok(Output::default()),
        Some(_) => {}
    }
    let wanted = Selection::read(net, namespace, words)?;
    let Some(ns) = net.namespace_mut(namespace) else {
        return Ok(Output::default());
    };
    let all: Vec<u32> = match wanted.table {
        Some(table) => vec![table],
        None => ns.rare().tables.keys().copied().collect(),
    };
    for table in all {
        while ns
            .table_mut(table)
            .remove(|route| wanted.takes(route))
            .is_ok()
        {}
    }
    Ok(Output::default())
}

pub(super) fn route(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
    json: bool,
) -> Result<Output, Output> {
    match verb {
        "get" => return get(net, namespace, words, json),
        "add" | "append" | "replace" | "change" | "del" | "delete" => {
            return change(net, namespace, verb, words);
        }
        "flush" => return flush(net, namespace, words),
        verb if short(verb, "show") || matches!(verb, "list" | "ls") => {}
        verb => {
            return Err(Output::failed(
                255,
                format!("Command \"{verb}\" is unknown, try \"ip route help\".\n"),
            ));
        }
    }
    let wanted = Selection::read(net, namespace, words)?;
    let table = wanted.table;
    let Some(ns) = net.namespace(namespace) else {
        return Ok(Output::default());
    };
    let kept = |table: u32| matches!(table, MAIN | LOCAL | DEFAULT) || ns.table(table).is_some();
    let tables = match table {
        Some(table) if !kept(table) => {
            let text = "Error: ipv4: FIB table does not exist.\nDump terminated\n";
            return Err(Output::failed(2, text));
        }
        Some(table) => vec![table],
        None => [LOCAL, MAIN]
            .into_iter()
            .chain(ns.rare().tables.keys().copied())
            .collect(),
    };
    let mut list = Vec::new();
    let mut out = String::new();
    for number in tables {
        let mut routes: Vec<&Route> = ns
            .table(number)
            .map(|t| t.iter().collect())
            .unwrap_or_default();
        // The order of the kernel's trie: by network, the longest prefix of one first.
        routes.sort_by_key(|r| {
            (
                r.destination.network(),
                32 - r.destination.prefix_len(),
                r.metric,
            )
        });
        for route in routes {
            if !wanted.takes(route) {
                continue;
            }
            let shown = (table.is_none() && number != MAIN).then_some(number);
            if json {
                list.push(object(net, route, shown));
            } else {
                out += &line(net, route, shown);
                out.push('\n');
            }
        }
    }
    if json {
        out = Json::print(list);
    }
    Ok(Output::ok(out))
}

fn get(
    net: &Network,
    namespace: NamespaceId,
    words: &mut Words,
    json: bool,
) -> Result<Output, Output> {
    let mut flow = Flow::to(host(words.value()?)?);
    while let Some(word) = words.next() {
        match word {
            "from" => flow.src = Some(host(words.value()?)?),
            "mark" => flow.mark = words.value()?.parse().unwrap_or(0),
            "oif" | "dev" => flow.oif = Some(device(net, namespace, words.value()?)?),
            "iif" => flow.iif = Some(device(net, namespace, words.value()?)?),
            other => return Err(Output::unknown(&format!("ip route get {other}"))),
        }
    }
    let ns = net
        .namespace(namespace)
        .ok_or_else(|| answers(Errno::ENODEV))?;
    let (route, _) = ns.route(&flow).ok_or_else(|| answers(Errno::ENETUNREACH))?;
    let local = match route.kind {
        RouteKind::Local => true,
        RouteKind::Unicast | RouteKind::Broadcast => false,
        RouteKind::Blackhole => return Err(answers(Errno::EINVAL)),
        RouteKind::Unreachable => return Err(answers(Errno::EHOSTUNREACH)),
        RouteKind::Prohibit => return Err(answers(Errno::EACCES)),
    };
    let word = match route.kind {
        RouteKind::Local => Some("local"),
        RouteKind::Broadcast => Some("broadcast"),
        _ => None,
    };
    let dev = route.dev.and_then(|d| net.link(d));
    let name = match dev {
        _ if local => "lo",
        Some(dev) => &dev.name,
        None => "?",
    };
    let own = if local && route.destination.prefix_len() == 32 {
        Some(flow.dst)
    } else {
        route.source
    };
    let select = || dev?.select_address(Some(route.via.unwrap_or(flow.dst)));
    let source = own.or_else(select).filter(|_| flow.src.is_none());
    let cache: &[&str] = match route.kind {
        RouteKind::Local => &["local"],
        RouteKind::Broadcast => &["local", "brd"],
        _ => &[],
    };
    if json {
        let text = |key, value: Option<String>| value.map(|value| (key, Json::text(value)));
        let mut fields = Vec::new();
        fields.extend(text("type", word.map(str::to_owned)));
        fields.extend(text("dst", Some(flow.dst.to_string())));
        fields.extend(text("from", flow.src.map(|src| src.to_string())));
        fields.extend(text("gateway", route.via.map(|via| via.to_string())));
        fields.extend(text("dev", Some(name.to_owned())));
        fields.extend(text("table", word.map(|_| "local".to_owned())));
        fields.extend(text("prefsrc", source.map(|source| source.to_string())));
        fields.push(("flags", Json::List(Vec::new())));
        fields.push(("uid", Json::Number(0)));
        fields.push(("cache", Json::texts(cache.iter().map(|&c| c.to_owned()))));
        return Ok(Output::ok(Json::print(vec![Json::Object(fields)])));
    }
    let mut out = word.map_or(String::new(), |word| format!("{word} "));
    let _ = write!(out, "{} ", flow.dst);
    if let Some(from) = flow.src {
        let _ = write!(out, "from {from} ");
    }
    if let Some(via) = route.via {
        let _ = write!(out, "via {via} ");
    }
    let _ = write!(out, "dev {name} ");
    if word.is_some() {
        out += "table local ";
    }
    if let Some(source) = source {
        let _ = write!(out, "src {source} ");
    }
    out += "uid 0 \n    cache ";
    if !cache.is_empty() {
        let _ = write!(out, "<{}> ", cache.join(","));
    }
    out.push('\n');
    Ok(Output::ok(out))
}

fn change(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
) -> Result<Output, Output> {
    let mut kind = RouteKind::Unicast;
    let mut destination = None;
    let (mut via, mut dev, mut source, mut metric, mut table) = (None, None, None, None, MAIN);
    let (mut scope, mut protocol, mut onlink) = (None, RouteProtocol::Boot, false);
    while let Some(word) = words.next() {
        match word {
            "via" => via = Some(host(words.value()?)?),
            "dev" | "oif" => dev = Some(device(net, namespace, words.value()?)?),
            "src" => source = Some(host(words.value()?)?),
            "metric" => {
                metric = Some(words.value()?.parse().map_err(|_| {
                    Output::failed(
                        255,
                        "Error: argument is wrong: \"metric\" value is invalid\n\n",
                    )
                })?)
            }
            "table" => table = table_number(words.value()?)?,
            "onlink" => onlink = true,
            "scope" => {
                let name = words.value()?;
                scope = [Scope::Global, Scope::Link, Scope::Host]
                    .into_iter()
                    .find(|s| s.name() == name);
            }
            "proto" | "protocol" => {
                let name = words.value()?;
                protocol = [RouteProtocol::Kernel, RouteProtocol::Static]
                    .into_iter()
                    .find(|p| p.name() == name)
                    .unwrap_or(RouteProtocol::Boot);
            }
            "mtu" => {
                return Err(Output::unknown("ip route … mtu"));
            }
            text => match [
                RouteKind::Blackhole,
                RouteKind::Unreachable,
                RouteKind::Prohibit,
                RouteKind::Local,
                RouteKind::Broadcast,
                RouteKind::Unicast,
            ]
            .into_iter()
            .find(|k| k.name() == text)
            {
                Some(named) => kind = named,
                None => destination = Some(prefix(text)?),
            },
        }
    }
    let destination = destination.ok_or_else(|| {
        Output::failed(255, "Command line is not complete. Try option \"help\"\n")
    })?;
    if destination.trunc() != destination {
        return Err(Output::failed(
            2,
            "Error: Invalid prefix for given prefix length.\n",
        ));
    }
    if matches!(verb, "del" | "delete") {
        let ns = net
            .namespace_mut(namespace)
            .ok_or_else(|| answers(Errno::ENODEV))?;
        let fits = |r: &Route| {
            r.destination == destination
                && via.is_none_or(|v| r.via == Some(v))
                && dev.is_none_or(|d| r.dev == Some(d))
                && metric.is_none_or(|m| r.metric == m)
                && (kind == RouteKind::Unicast || r.kind == kind)
        };
        return ns
            .table_mut(table)
            .remove(fits)
            .map(|_| Output::default())
            .map_err(answers);
    }
    let needs_device = matches!(
        kind,
        RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast
    );
    if needs_device && dev.is_none() {
        let found = via.and_then(|v| gateway_device(net, namespace, v));
        match found {
            Some(found) => dev = Some(found),
            None if via.is_some() => {
                return Err(Output::failed(2, "Error: Nexthop has invalid gateway.\n"));
            }
            None => return Err(answers(Errno::ENODEV)),
        }
    }
    if let (Some(via), Some(dev), false) = (via, dev, onlink)
        && gateway_device(net, namespace, via) != Some(dev)
    {
        return Err(Output::failed(2, "Error: Nexthop has invalid gateway.\n"));
    }
    if dev.is_some_and(|d| net.link(d).is_none_or(|l| !l.up)) {
        return Err(Output::failed(2, "Error: Device for nexthop is not up.\n"));
    }
    let scope = scope.unwrap_or(match (kind, via) {
        (RouteKind::Local, _) => Scope::Host,
        (RouteKind::Unicast | RouteKind::Broadcast, None) => Scope::Link,
        _ => Scope::Global,
    });
    let route = Route {
        destination,
        via,
        dev,
        source,
        metric: metric.unwrap_or(0),
        scope,
        protocol,
        kind,
        onlink,
    };
    let ns = net
        .namespace_mut(namespace)
        .ok_or_else(|| answers(Errno::ENODEV))?;
    let table = ns.table_mut(table);
    if matches!(verb, "replace" | "change") {
        table.replace(route);
    } else {
        table.add(route).map_err(answers)?;
    }
    Ok(Output::default())
}

/// The device on whose link a router is.
fn gateway_device(net: &Network, namespace: NamespaceId, via: Ipv4Addr) -> Option<LinkId> {
    let (route, _) = net.namespace(namespace)?.route(&Flow::to(via))?;
    (route.via.is_none() && route.kind == RouteKind::Unicast)
        .then_some(route.dev)
        .flatten()
}

pub(super) fn rule(
    net: &mut Network,
    namespace: NamespaceId,
    verb: &str,
    words: &mut Words,
    json: bool,
) -> Result<Output, Output> {
    let Some(ns) = net.namespace(namespace) else {
        return Ok(Output::default());
    };
    let shows = short(verb, "show") || matches!(verb, "list" | "ls");
    if shows && json {
        let rules = ns.rules();
        let rules = rules.iter().map(|rule| rule_object(net, rule));
        return Ok(Output::ok(Json::print(rules.collect())));
    }
    if shows {
        let mut out = String::new();
        for rule in ns.rules() {
            let from = rule.from.map_or("all".to_owned(), net_text);
            let _ = write!(out, "{}:\tfrom {from} ", rule.priority);
            if let Some(to) = rule.to {
                let _ = write!(out, "to {} ", net_text(to));
            }
            if let Some((value, mask)) = rule.mark {
                let _ = if mask == u32::MAX {
                    write!(out, "fwmark {value:#x} ")
                } else {
                    write!(out, "fwmark {value:#x}/{mask:#x} ")
                };
            }
            if let Some(iif) = rule.iif.and_then(|l| net.link(l)) {
                let _ = write!(out, "iif {} ", iif.name);
            }
            let _ = writeln!(out, "lookup {}", table_name(rule.table));
        }
        return Ok(Output::ok(out));
    }
    match verb {
        "add" | "del" | "delete" if words.peek().is_none() => {
            let text = format!("\"ip rule {verb}\" requires arguments.\n");
            return Err(Output::failed(1, text));
        }
        "add" | "del" | "delete" => {}
        "flush" | "save" | "restore" => return Err(Output::unknown(&format!("ip rule {verb}"))),
        _ => {
            let text = format!("Command \"{verb}\" is unknown, try \"ip rule help\".\n");
            return Err(Output::failed(255, text));
        }
    }
    let mut rule = IpRule::all(0, MAIN);
    let mut priority = None;
    let mut named = false;
    while let Some(word) = words.next() {
        match word {
            "from" => rule.from = Some(prefix(words.value()?)?).filter(|n| n.prefix_len() > 0),
            "to" => rule.to = Some(prefix(words.value()?)?),
            "table" | "lookup" => {
                rule.table = table_number(words.value()?)?;
                named = true;
            }
            "priority" | "pref" | "prio" => priority = words.value()?.parse().ok(),
            "iif" => rule.iif = Some(device(net, namespace, words.value()?)?),
            "fwmark" => {
                let text = words.value()?;
                let number = |t: &str| {
                    t.strip_prefix("0x")
                        .map_or_else(|| t.parse().ok(), |h| u32::from_str_radix(h, 16).ok())
                };
                rule.mark = match text.split_once('/') {
                    Some((value, mask)) => number(value).zip(number(mask)),
                    None => number(text).map(|v| (v, u32::MAX)),
                };
            }
            other => return Err(Output::unknown(&format!("ip rule {verb} {other}"))),
        }
    }
    let ns = net
        .namespace_mut(namespace)
        .ok_or_else(|| answers(Errno::ENODEV))?;
    let rules = ns.rules_mut();
    if verb == "add" {
        let first = rules
            .iter()
            .find(|r| r.priority > 0)
            .map_or(32766, |r| r.priority);
        rule.priority = priority.unwrap_or_else(|| first.saturating_sub(1));
        let at = rules.partition_point(|r| r.priority <= rule.priority);
        rules.insert(at, rule);
        return Ok(Output::default());
    }
    let fits = |r: &IpRule| {
        priority.is_none_or(|p| r.priority == p)
            && (!named || r.table == rule.table)
            && r.from == rule.from
            && r.to == rule.to
            && r.mark == rule.mark
    };
    let at = rules
        .iter()
        .position(fits)
        .ok_or_else(|| answers(Errno::ENOENT))?;
    rules.remove(at);
    Ok(Output::default())
}
