//! Reading rules: the words of nft become statements.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::lexer::{Place, Problem, Reader, Token};
use super::set::{DataKind, Datum, Element, Set, prefix_range};
use super::statement::{
    Comparison, MapRef, MarkChange, Nat, NatKind, NatTo, Rate, Selector, Statement, Update, Values,
    Verdict, Wording, kinds,
};
use super::value::{DataType, Key, duration};
use super::{Family, Rule, lexer};
use crate::netfilter::{ChainName, RejectWith};
use crate::packet::Protocol;

type Read<T> = Result<T, Problem>;

fn not_simulated(what: &str, at: Place) -> Problem {
    Problem::new(format!("{what}: not simulated yet"), at)
}

impl Rule {
    /// Reads a rule's words, as they stand after `add rule FAMILY TABLE CHAIN`.
    ///
    /// # Errors
    /// What nft says of it.
    pub fn parse(family: Family, text: &str) -> Result<Rule, String> {
        let read = || {
            let tokens = lexer::cut(text)?;
            let mut reader = Reader::new(&tokens);
            let rule = rule(&mut reader, family)?;
            if reader.at_end() {
                Ok(rule)
            } else {
                Err(reader.unexpected())
            }
        };
        read().map_err(|problem: Problem| problem.print(text, None))
    }
}

/// A rule up to the end of its line.
pub(crate) fn rule(reader: &mut Reader, family: Family) -> Read<Rule> {
    let mut rule = Rule::new(Vec::new());
    while !reader.at_end() {
        if reader.eat("comment") {
            rule.comment = Some(comment(reader)?);
            continue;
        }
        rule.statements.push(statement(reader, family)?);
    }
    if rule.statements.is_empty() && rule.comment.is_none() {
        return Err(reader.unexpected());
    }
    Ok(rule)
}

/// The text after `comment`.
pub(crate) fn comment(reader: &mut Reader) -> Read<Arc<str>> {
    let at = reader.place();
    let text = reader.word()?.text.as_str();
    if text.len() > 128 {
        return Err(Problem::new(
            "comment too long, 128 characters maximum allowed",
            at,
        ));
    }
    Ok(text.into())
}

fn statement(reader: &mut Reader, family: Family) -> Read<Statement> {
    let at = reader.place();
    if let Some(verdict) = verdict(reader)? {
        return Ok(Statement::Verdict(verdict));
    }
    match reader.peek() {
        "counter" => {
            reader.next();
            if reader.eat("packets") {
                reader.number::<u64>()?;
                reader.expect("bytes")?;
                reader.number::<u64>()?;
            }
            Ok(Statement::Counter)
        }
        "log" => {
            reader.next();
            let mut prefix = None;
            while !reader.at_end() {
                if reader.eat("prefix") {
                    prefix = Some(reader.quoted()?.into());
                } else if matches!(reader.peek(), "level" | "group" | "snaplen" | "flags") {
                    reader.next();
                    reader.word()?;
                } else {
                    break;
                }
            }
            Ok(Statement::Log(prefix))
        }
        "notrack" => {
            reader.next();
            Ok(Statement::Notrack)
        }
        "reject" => {
            reader.next();
            reject(reader, family)
        }
        "dnat" | "snat" | "masquerade" | "redirect" => nat(reader, family),
        "limit" if reader.peek_at(1) == "rate" => limit(reader),
        "add" | "update" | "delete" => update(reader, family),
        "mark" if reader.peek_at(1) == "set" => set_mark(reader),
        "meta" if reader.peek_at(1) == "mark" && reader.peek_at(2) == "set" => {
            reader.next();
            set_mark(reader)
        }
        "limit" | "quota" | "queue" | "dup" | "fwd" | "tproxy" | "synproxy" | "flow" | "xt"
        | "quoted" | "ct"
            if reader.peek() != "ct" || reader.peek_at(2) == "set" =>
        {
            Err(not_simulated(reader.peek(), at))
        }
        _ => condition(reader, family),
    }
}

/// A verdict, if one stands here.
pub(crate) fn verdict(reader: &mut Reader) -> Read<Option<Verdict>> {
    if reader.peek_quoted() {
        return Ok(None);
    }
    let plain = match reader.peek() {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "continue" => Verdict::Continue,
        "return" => Verdict::Return,
        "jump" | "goto" => {
            let jump = reader.peek() == "jump";
            reader.next();
            let name = ChainName::from(&*reader.word()?.text);
            return Ok(Some(if jump {
                Verdict::Jump(name)
            } else {
                Verdict::Goto(name)
            }));
        }
        _ => return Ok(None),
    };
    reader.next();
    Ok(Some(plain))
}

/// `limit rate [over] N/UNIT [burst N packets]`
fn limit(reader: &mut Reader) -> Read<Statement> {
    reader.expect("limit")?;
    reader.expect("rate")?;
    let over = reader.eat("over");
    reader.eat("until");
    let at = reader.place();
    let number = reader.word()?.text.as_str();
    // `5/second` is one word, `5 / second` are three.
    let (number, unit) = match number.split_once('/') {
        Some(parts) => parts,
        None => {
            if !reader.eat("/") {
                return Err(not_simulated("limit by bytes", at));
            }
            (number, reader.word()?.text.as_str())
        }
    };
    let unit = Rate::UNITS.iter().position(|known| known.0 == unit);
    let (Some(unit), Ok(number)) = (unit, number.parse()) else {
        return Err(Problem::new("syntax error, unexpected string", at));
    };
    let mut burst = Rate::BURST;
    if reader.eat("burst") {
        burst = reader.number()?;
        reader.expect("packets")?;
    }
    Ok(Statement::Limit(Rate {
        number,
        unit: unit as u8,
        burst,
        over,
    }))
}

fn reject(reader: &mut Reader, family: Family) -> Read<Statement> {
    let both = family == Family::Inet;
    let said = |with| {
        let wording = if both { Wording::Icmpx } else { Wording::Plain };
        Ok(Statement::Reject(with, wording))
    };
    if !reader.eat("with") {
        return said(RejectWith::default());
    }
    if reader.eat("tcp") {
        reader.expect("reset")?;
        return said(RejectWith::TcpReset);
    }
    if both && reader.eat("icmpx") {
        reader.eat("type");
        let at = reader.place();
        return match reader.word()?.text.as_str() {
            "port-unreachable" => said(RejectWith::PortUnreachable),
            "host-unreachable" => said(RejectWith::HostUnreachable),
            "no-route" => said(RejectWith::NetUnreachable),
            "admin-prohibited" => said(RejectWith::AdminProhibited),
            _ => Err(Problem::new("Could not parse icmpx code", at)),
        };
    }
    reader.expect("icmp")?;
    reader.eat("type");
    let at = reader.place();
    let name = reader.word()?.text.as_str();
    let with = match name {
        "net-unreachable" => RejectWith::NetUnreachable,
        "host-unreachable" => RejectWith::HostUnreachable,
        "prot-unreachable" => RejectWith::ProtoUnreachable,
        "port-unreachable" => RejectWith::PortUnreachable,
        "net-prohibited" => RejectWith::NetProhibited,
        "host-prohibited" => RejectWith::HostProhibited,
        "admin-prohibited" => RejectWith::AdminProhibited,
        _ => {
            return Err(Problem::new("Could not parse icmp code", at));
        }
    };
    let wording = if both { Wording::Icmp } else { Wording::Plain };
    Ok(Statement::Reject(with, wording))
}

fn set_mark(reader: &mut Reader) -> Read<Statement> {
    reader.expect("mark")?;
    reader.expect("set")?;
    let value = |reader: &mut Reader| -> Read<u32> {
        let place = reader.place();
        DataType::Mark
            .read(&reader.word()?.text)
            .map(|key| key.as_u32())
            .ok_or_else(|| Problem::new("syntax error, unexpected string", place))
    };
    reader.eat("meta");
    let change = if reader.eat("mark") {
        let at = reader.place();
        match reader.next().map_or("", |t| &t.text) {
            "or" | "|" => MarkChange::Or(value(reader)?),
            "and" | "&" => MarkChange::And(value(reader)?),
            "xor" | "^" => MarkChange::Xor(value(reader)?),
            _ => return Err(Problem::new("syntax error, unexpected string", at)),
        }
    } else {
        MarkChange::To(value(reader)?)
    };
    Ok(Statement::SetMark(change))
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = (first.parse().ok()?, last.parse().ok()?);
    (range.0 <= range.1).then_some(range)
}

fn address_range(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn nat(reader: &mut Reader, family: Family) -> Read<Statement> {
    let begin = reader.place();
    let kind = match reader.next().map_or("", |t| &t.text) {
        "dnat" => NatKind::Dnat,
        "snat" => NatKind::Snat,
        "masquerade" => NatKind::Masquerade,
        _ => NatKind::Redirect,
    };
    let mut nat = Nat::new(kind, NatTo::Nothing);
    let said = reader.eat("ip");
    let needs = matches!(kind, NatKind::Dnat | NatKind::Snat);
    if reader.eat("to") {
        // `ip addr . port to …` may be spelled out.
        nat.to = nat_target(reader)?;
    } else if reader.eat("addr") {
        reader.eat(".");
        reader.eat("port");
        reader.expect("to")?;
        nat.to = nat_target(reader)?;
    } else if needs {
        return Err(reader.unexpected());
    }
    let address = matches!(
        nat.to,
        NatTo::Fixed {
            addresses: Some(_),
            ..
        }
    );
    if family == Family::Inet && address {
        if !said {
            let text = "ip or ip6 must be specified with address for inet tables.";
            return Err(Problem::new(text, begin));
        }
        nat.family = true;
    }
    loop {
        match reader.peek() {
            "random" => nat.random = true,
            "fully-random" => nat.fully_random = true,
            "persistent" => nat.persistent = true,
            "," => {}
            _ => break,
        }
        reader.next();
    }
    Ok(Statement::Nat(nat))
}

fn nat_target(reader: &mut Reader) -> Read<NatTo> {
    let at = reader.place();
    let mut addresses = None;
    if !reader.eat(":") {
        if let Some(selectors) = selectors(reader, Family::Ip)? {
            reader.expect("map")?;
            let map = map(reader, &selectors, None)?;
            return Ok(NatTo::Map(selectors, map));
        }
        let text = reader.word()?.text.as_str();
        addresses = address_range(text);
        if addresses.is_none() {
            return Err(Problem::new(
                "Could not resolve hostname: Name or service not known",
                at,
            ));
        }
        if !reader.eat(":") {
            return Ok(NatTo::Fixed {
                addresses,
                ports: None,
            });
        }
    }
    let at = reader.place();
    let ports = port_range(&reader.word()?.text)
        .ok_or_else(|| Problem::new("syntax error, unexpected string", at))?;
    Ok(NatTo::Fixed {
        addresses,
        ports: Some(ports),
    })
}

fn update(reader: &mut Reader, family: Family) -> Read<Statement> {
    let operation = match reader.next().map_or("", |t| &t.text) {
        "add" => Update::Add,
        "update" => Update::Update,
        _ => Update::Delete,
    };
    reader.expect("@")?;
    let set = ChainName::from(&*reader.word()?.text);
    reader.expect("{")?;
    let key = selectors(reader, family)?.ok_or_else(|| reader.unexpected())?;
    let mut timeout = None;
    if reader.eat("timeout") {
        let at = reader.place();
        let text = reader.word()?.text.as_str();
        timeout = Some(
            duration(text).ok_or_else(|| Problem::new("syntax error, unexpected string", at))?,
        );
    }
    reader.expect("}")?;
    Ok(Statement::Update {
        operation,
        set,
        key,
        timeout,
    })
}

/// Selectors joined by dots, if one stands here.
pub(crate) fn selectors(reader: &mut Reader, family: Family) -> Read<Option<Vec<Selector>>> {
    let Some(first) = selector(reader, family)? else {
        return Ok(None);
    };
    let mut all = vec![first];
    while reader.eat(".") {
        all.push(selector(reader, family)?.ok_or_else(|| reader.unexpected())?);
    }
    Ok(Some(all))
}

fn selector(reader: &mut Reader, family: Family) -> Read<Option<Selector>> {
    if reader.peek_quoted() {
        return Ok(None);
    }
    let second = reader.peek_at(1);
    let side = |second: &str| match second {
        "sport" => Some(false),
        "dport" => Some(true),
        _ => None,
    };
    let unknown = |reader: &Reader| {
        let at = reader.place();
        Err(not_simulated(&format!("{} {second}", reader.peek()), at))
    };
    let (words, selector) = match (reader.peek(), second) {
        ("ip", "saddr") => (2, Selector::IpSaddr),
        ("ip", "daddr") => (2, Selector::IpDaddr),
        ("ip6", "saddr") => (2, Selector::Ip6Saddr),
        ("ip6", "daddr") => (2, Selector::Ip6Daddr),
        ("ip6", "nexthdr") => (2, Selector::Ip6Nexthdr),
        ("ip", "protocol") => (2, Selector::IpProtocol),
        ("ip", "ttl") => (2, Selector::IpTtl),
        ("meta", "l4proto") => (2, Selector::L4Proto),
        ("meta", "nfproto") => (2, Selector::NfProto),
        ("meta", "mark") => (2, Selector::Mark),
        ("meta", "iifname") => (2, Selector::Iifname),
        ("meta", "oifname") => (2, Selector::Oifname),
        ("meta", "length") => (2, Selector::Length),
        ("l4proto", _) => (1, Selector::L4Proto),
        ("mark", _) => (1, Selector::Mark),
        ("iifname", _) => (1, Selector::Iifname),
        ("oifname", _) => (1, Selector::Oifname),
        ("icmp", "type") => (2, Selector::IcmpType),
        ("icmpv6", "type") => (2, Selector::Icmp6Type),
        ("tcp", "flags") => (2, Selector::TcpFlags),
        ("meta", "iif") => (2, Selector::Iif),
        ("meta", "oif") => (2, Selector::Oif),
        ("iif", _) => (1, Selector::Iif),
        ("oif", _) => (1, Selector::Oif),
        ("ct", "state") => (2, Selector::CtState),
        ("ct", "status") => (2, Selector::CtStatus),
        ("ct", "mark") => (2, Selector::CtMark),
        ("fib", "saddr") if reader.peek_at(2) == "type" => (3, Selector::FibType { source: true }),
        ("fib", "daddr") if reader.peek_at(2) == "type" => (3, Selector::FibType { source: false }),
        ("numgen", "random" | "inc") => {
            let random = second == "random";
            reader.next();
            reader.next();
            reader.expect("mod")?;
            let at = reader.place();
            let modulus: u32 = reader.number()?;
            if modulus == 0 {
                return Err(Problem::new("syntax error, unexpected number", at));
            }
            let offset = if reader.eat("offset") {
                reader.number()?
            } else {
                0
            };
            return Ok(Some(Selector::Numgen {
                random,
                modulus,
                offset,
            }));
        }
        ("th", second) if let Some(destination) = side(second) => {
            (2, Selector::Port { destination })
        }
        (name @ ("tcp" | "udp" | "sctp" | "dccp"), second)
            if let (Some(destination), Some(protocol)) = (side(second), Protocol::parse(name)) =>
        {
            (2, Selector::PortOf(protocol, destination))
        }
        (
            "ip" | "ip6" | "meta" | "ct" | "fib" | "tcp" | "udp" | "icmp" | "ether" | "th"
            | "icmpv6" | "socket" | "rt" | "jhash" | "symhash" | "arp" | "vlan",
            _,
        ) => {
            return unknown(reader);
        }
        _ => return Ok(None),
    };
    // The addresses of the other family have their own words.
    let other = match family {
        Family::Ip => "ip6",
        Family::Ip6 => "ip",
        Family::Inet => "",
    };
    if !other.is_empty() && reader.peek() == other {
        return Err(Problem::new(
            format!(
                "conflicting protocols specified: {} vs. {other}",
                family.name()
            ),
            reader.place(),
        ));
    }
    for _ in 0..words {
        reader.next();
    }
    Ok(Some(selector))
}

fn condition(reader: &mut Reader, family: Family) -> Read<Statement> {
    let left = selectors(reader, family)?.ok_or_else(|| reader.unexpected())?;
    let types = kinds(&left);
    if reader.eat("vmap") {
        let map = map(reader, &left, Some(()))?;
        return Ok(Statement::VerdictMap(left, map));
    }
    let mut mask = None;
    if matches!(reader.peek(), "&" | "and")
        && let [kind @ (DataType::Mark | DataType::TcpFlag)] = types[..]
    {
        reader.next();
        let at = reader.place();
        let value = kind.read(&bits(reader)?);
        mask = Some(
            value
                .ok_or_else(|| Problem::new("syntax error, unexpected string", at))?
                .as_u32(),
        );
    }
    let comparison = match reader.peek() {
        "==" | "eq" => Some(Comparison::Equal),
        "!=" | "ne" | "neq" => Some(Comparison::NotEqual),
        "<" | "lt" => Some(Comparison::Less),
        ">" | "gt" => Some(Comparison::Greater),
        "<=" | "le" => Some(Comparison::AtMost),
        ">=" | "ge" => Some(Comparison::AtLeast),
        _ => None,
    };
    if comparison.is_some() && !reader.peek_quoted() {
        reader.next();
    }
    if comparison == Some(Comparison::Equal) && mask.is_none() && types == [DataType::TcpFlag] {
        return Err(not_simulated("tcp flags ==", reader.place()));
    }
    let right = if reader.eat("@") {
        Values::Named(ChainName::from(&*reader.word()?.text))
    } else if reader.peek() == "{" && !reader.peek_quoted() {
        let mut set = Set::new(types.clone());
        set.auto_merge = true;
        elements(reader, &mut set)?;
        // A set of one is that one.
        match (set.elements.len(), set.intervals.as_slice()) {
            (1, []) => Values::One(*set.elements.keys().next().unwrap_or(&Key::EMPTY)),
            (0, [(from, to, _)]) => Values::Range(*from, *to),
            _ => Values::Set(Arc::new(set)),
        }
    } else {
        let name = matches!(types.as_slice(), [DataType::IfName]);
        if name && let Some(start) = reader.peek().strip_suffix('*') {
            let start: Arc<str> = start.into();
            reader.next();
            Values::Beginning(start)
        } else {
            match key(reader, &types)? {
                (from, Some(to)) => Values::Range(from, to),
                (from, None) => Values::One(from),
            }
        }
    };
    // `tcp flags syn / fin,syn,rst,ack`: the bits that are looked at come last.
    if reader.eat("/") {
        let at = reader.place();
        let value = types
            .first()
            .and_then(|kind| kind.read(&bits(reader).ok()?));
        mask = Some(
            value
                .ok_or_else(|| Problem::new("syntax error, unexpected string", at))?
                .as_u32(),
        );
    }
    Ok(Statement::Match {
        left,
        mask,
        comparison: comparison.unwrap_or(Comparison::Equal),
        right,
    })
}

/// A mask: one word, or names joined by `|` (or commas), perhaps in parentheses.
fn bits(reader: &mut Reader) -> Read<String> {
    let inside = reader.eat("(");
    let mut text = reader.word()?.text.clone();
    while matches!(reader.peek(), "|" | ",") {
        reader.next();
        text = format!("{text},{}", reader.word()?.text);
    }
    if inside {
        reader.expect(")")?;
    }
    Ok(text)
}

/// `@NAME` or `{ … }` after `vmap` (with `verdicts`) or `map`.
fn map(reader: &mut Reader, left: &[Selector], verdicts: Option<()>) -> Read<MapRef> {
    if reader.eat("@") {
        return Ok(MapRef::Named(ChainName::from(&*reader.word()?.text)));
    }
    let data = match verdicts {
        Some(()) => DataKind::Verdict,
        // How many values its elements have is seen with the first.
        None => DataKind::Values(Vec::new()),
    };
    let mut set = Set::map(kinds(left), data);
    elements(reader, &mut set)?;
    Ok(MapRef::Own(Arc::new(set)))
}

/// `{ ELEMENT, … }` into a set or map that belongs to a rule.
fn elements(reader: &mut Reader, set: &mut Set) -> Read<()> {
    let block = reader.block()?;
    let mut inner = Reader::new(block);
    loop {
        inner.skip_lines();
        if inner.is_done() {
            break;
        }
        let read = element(&mut inner, set)?;
        put(set, read)?;
        inner.skip_lines();
        if !inner.eat(",") {
            break;
        }
    }
    if inner.is_done() {
        Ok(())
    } else {
        Err(inner.unexpected())
    }
}

fn put(set: &mut Set, read: ElementRead) -> Read<()> {
    match read.to {
        Some(to) => set
            .add_interval(read.from, to, read.element)
            .map_err(|_| Problem::new("conflicting intervals specified", read.at)),
        None => {
            // Among intervals, a single value may be part of one of them.
            if set.find(&read.from).is_none() {
                set.elements.insert(read.from, read.element);
            }
            Ok(())
        }
    }
}

/// An element as it was read.
#[derive(Debug)]
pub(crate) struct ElementRead {
    pub from: Key,
    pub to: Option<Key>,
    pub element: Element,
    pub timeout: Option<u64>,
    pub at: Place,
}

/// One element of a set or map: key, options, and what it leads to.
pub(crate) fn element(reader: &mut Reader, set: &mut Set) -> Read<ElementRead> {
    let at = reader.place();
    // A comma begins the next element.
    let (from, to) = key_with(reader, &set.key, &["|"])?;
    let mut element = Element::default();
    let mut timeout = None;
    loop {
        if reader.eat("comment") {
            element.comment = Some(comment(reader)?);
        } else if matches!(reader.peek(), "timeout" | "expires") {
            let own = reader.peek() == "timeout";
            reader.next();
            let at = reader.place();
            let span = duration(&reader.word()?.text)
                .ok_or_else(|| Problem::new("syntax error, unexpected string", at))?;
            if own {
                timeout = Some(span);
            }
        } else {
            break;
        }
    }
    if let Some(data) = &mut set.data {
        reader.expect(":")?;
        element.datum = Some(match data {
            DataKind::Verdict => {
                Datum::Verdict(verdict(reader)?.ok_or_else(|| reader.unexpected())?)
            }
            DataKind::Values(types) => {
                if types.is_empty() {
                    *types = vec![DataType::Ipv4Addr];
                    if reader.peek_at(1) == "." {
                        types.push(DataType::InetService);
                    }
                }
                Datum::Value(key(reader, types)?.0)
            }
        });
    }
    Ok(ElementRead {
        from,
        to,
        element,
        timeout,
        at: at.until(reader.last_place()),
    })
}

/// A value or a concatenation: one, or (with a range or a prefix in it) an interval.
pub(crate) fn key(reader: &mut Reader, types: &[DataType]) -> Read<(Key, Option<Key>)> {
    key_with(reader, types, &[",", "|"])
}

/// The same, where these words join bits.
fn key_with(reader: &mut Reader, types: &[DataType], joining: &[&str]) -> Read<(Key, Option<Key>)> {
    let (mut from, mut to) = (Key::EMPTY, Key::EMPTY);
    for (n, kind) in types.iter().enumerate() {
        if n > 0 {
            reader.expect(".")?;
        }
        let at = reader.place();
        let mut token = reader.word()?.clone();
        // `established,related`
        while kind.is_bits() && joining.contains(&reader.peek()) {
            reader.next();
            token.text = format!("{},{}", token.text, reader.word()?.text);
        }
        let (first, last) = value(*kind, &token).ok_or_else(|| wrong_value(*kind, &token, at))?;
        from = from.then(first.bytes());
        to = to.then(last.bytes());
    }
    Ok((from, (from != to).then_some(to)))
}

fn wrong_value(kind: DataType, token: &Token, at: Place) -> Problem {
    let text = match kind {
        DataType::Ipv4Addr | DataType::Ipv6Addr => {
            "Could not resolve hostname: Name or service not known".to_owned()
        }
        DataType::InetService => {
            "Could not resolve service: Servname not supported for ai_socktype".to_owned()
        }
        DataType::InetProto => "Could not resolve protocol name".to_owned(),
        kind => format!(
            "Could not parse {} expression",
            kind.name().replace('_', " ")
        ),
    };
    let _ = token;
    Problem::new(text, at)
}

/// One value, a prefix or a range of a type.
fn value(kind: DataType, token: &Token) -> Option<(Key, Key)> {
    let text = token.text.as_str();
    if let Some(key) = kind.read(text) {
        return Some((key, key));
    }
    if matches!(kind, DataType::Ipv4Addr | DataType::Ipv6Addr)
        && let Some((address, length)) = text.split_once('/')
    {
        let address = kind.read(address)?;
        let length: usize = length.parse().ok()?;
        return (length <= address.bytes().len() * 8).then(|| prefix_range(&address, length));
    }
    let (first, last) = text.split_once('-')?;
    let range = (kind.read(first)?, kind.read(last)?);
    (range.0 <= range.1).then_some(range)
}
