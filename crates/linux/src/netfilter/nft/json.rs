//! `nft -j list …`: rules, sets and chains as JSON (`libnftables-json(5)`, as nft 1.0.6 writes it).

use super::list::Lister;
use super::set::prefix_length;
use super::statement::{MarkChange, Nat, NatKind, NatTo, Rate, Wording};
use super::value::{DataType, Key, type_names};
use super::{
    Chain, Comparison, DataKind, Datum, Element, Family, Lease, MapRef, Rule, Selector, Set,
    Statement, Table, Values, Verdict,
};
use crate::netfilter::{ChainName, Counter, RejectWith};
use crate::tools::json::Json;

fn object(key: &'static str, value: Json) -> Json {
    Json::Object(vec![(key, value)])
}

fn number(number: u32) -> Json {
    Json::Number(number.into())
}

/// `null` for nothing, one thing as it is, several as a list.
fn as_few(mut items: Vec<Json>) -> Json {
    match items.len() {
        0 => Json::NULL,
        1 => items.remove(0),
        _ => Json::List(items),
    }
}

/// One thing as it is, several as a concatenation.
fn joined(mut items: Vec<Json>) -> Json {
    if items.len() == 1 {
        items.remove(0)
    } else {
        object("concat", Json::List(items))
    }
}

fn range(first: Json, last: Json) -> Json {
    object("range", Json::List(vec![first, last]))
}

impl Selector {
    fn json(self) -> Json {
        let field = |protocol: &str, field: &str| {
            let both = vec![
                ("protocol", Json::text(protocol)),
                ("field", Json::text(field)),
            ];
            object("payload", Json::Object(both))
        };
        let side = |destination: bool| if destination { "dport" } else { "sport" };
        let keyed = |of: &'static str, key: &str| object(of, object("key", Json::text(key)));
        match self {
            Selector::Port { destination } => field("th", side(destination)),
            Selector::PortOf(protocol, destination) => {
                field(protocol.name().unwrap_or("th"), side(destination))
            }
            Selector::FibType { source } => {
                let flag = if source { "saddr" } else { "daddr" };
                let fields = vec![
                    ("result", Json::text("type")),
                    ("flags", Json::texts([flag])),
                ];
                object("fib", Json::Object(fields))
            }
            Selector::Numgen {
                random,
                modulus,
                offset,
            } => {
                let mode = if random { "random" } else { "inc" };
                let fields = vec![
                    ("mode", Json::text(mode)),
                    ("mod", number(modulus)),
                    ("offset", number(offset)),
                ];
                object("numgen", Json::Object(fields))
            }
            // What is spelt `meta …` (or without it) and `ct …` has a key, the rest is a header's field.
            other => {
                let mut text = String::new();
                other.print(&mut text);
                match text.split_once(' ') {
                    Some(("meta", key)) => keyed("meta", key),
                    Some(("ct", key)) => keyed("ct", key),
                    Some((protocol, name)) => field(protocol, name),
                    None => keyed("meta", &text),
                }
            }
        }
    }
}

fn selectors(all: &[Selector]) -> Json {
    joined(all.iter().map(|s| s.json()).collect())
}

fn value(kind: DataType, bytes: &[u8]) -> Json {
    match kind {
        DataType::Mark | DataType::InetService | DataType::Integer => {
            return number(Key::of(bytes).as_u32());
        }
        _ => {}
    }
    let mut text = String::new();
    kind.print(bytes, &mut text);
    if kind.is_bits() {
        let names = text.split(',').filter(|name| !name.is_empty());
        return as_few(names.map(Json::text).collect());
    }
    Json::text(text.trim_matches('"'))
}

/// A value or an interval of one type.
fn span(kind: DataType, from: &[u8], to: &[u8]) -> Json {
    if from == to {
        return value(kind, from);
    }
    let address = matches!(kind, DataType::Ipv4Addr | DataType::Ipv6Addr);
    match prefix_length(from, to).filter(|_| address) {
        Some(length) => {
            let fields = vec![("addr", value(kind, from)), ("len", number(length))];
            object("prefix", Json::Object(fields))
        }
        None => range(value(kind, from), value(kind, to)),
    }
}

fn key(kinds: &[DataType], from: &Key, to: &Key) -> Json {
    let mut at = 0;
    let fields = kinds.iter().map(|kind| {
        let length = kind.length();
        at += length;
        let (from, to) = (
            from.field(at - length, length),
            to.field(at - length, length),
        );
        span(*kind, from, to)
    });
    joined(fields.collect())
}

impl Verdict {
    fn json(&self) -> Json {
        let (word, chain) = match self {
            Verdict::Accept => ("accept", None),
            Verdict::Drop => ("drop", None),
            Verdict::Continue => ("continue", None),
            Verdict::Return => ("return", None),
            Verdict::Jump(chain) => ("jump", Some(chain)),
            Verdict::Goto(chain) => ("goto", Some(chain)),
        };
        object(
            word,
            chain.map_or(Json::NULL, |c| object("target", Json::text(c))),
        )
    }
}

impl Set {
    fn elements_json(&self, lister: Option<(&Lister, &Table, &ChainName)>) -> Vec<Json> {
        let now = lister.map_or(crate::time::Time::ZERO, |l| l.0.now);
        let leases = lister.and_then(|(lister, table, name)| lister.leases(table, name));
        let listed = self.listed(leases, now).into_iter();
        listed
            .map(|(from, to, element, lease)| {
                let value = key(&self.key, from, to.unwrap_or(from));
                let value = dressed(value, element, lease, now);
                match &element.datum {
                    None => value,
                    Some(datum) => Json::List(vec![value, self.datum_json(datum)]),
                }
            })
            .collect()
    }

    fn datum_json(&self, datum: &Datum) -> Json {
        match (datum, &self.data) {
            (Datum::Verdict(verdict), _) => verdict.json(),
            (Datum::Value(value), Some(DataKind::Values(types))) => key(types, value, value),
            (Datum::Value(_), _) => Json::NULL,
        }
    }

    fn anonymous_json(&self) -> Json {
        object("set", Json::List(self.elements_json(None)))
    }
}

/// An element with what is said of it.
fn dressed(value: Json, element: &Element, lease: Option<&Lease>, now: crate::time::Time) -> Json {
    let mut fields = vec![("val", value)];
    if let Some(span) = lease.and_then(|l| l.span) {
        fields.push(("timeout", Json::Number(span / 1000)));
    }
    if let Some(at) = lease.and_then(|l| l.expires) {
        let left = at.0.saturating_sub(now.0) / 1_000_000_000;
        fields.push(("expires", Json::Number(left)));
    }
    if let Some(comment) = &element.comment {
        fields.push(("comment", Json::text(comment)));
    }
    if fields.len() == 1 {
        return fields.remove(0).1;
    }
    object("elem", Json::Object(fields))
}

impl MapRef {
    fn json(&self) -> Json {
        match self {
            MapRef::Own(set) => set.anonymous_json(),
            MapRef::Named(name) => Json::text(format!("@{name}")),
        }
    }
}

fn looked_up(left: &[Selector], map: &MapRef) -> Json {
    Json::Object(vec![("key", selectors(left)), ("data", map.json())])
}

fn condition(left: &[Selector], mask: Option<u32>, comparison: Comparison, right: &Values) -> Json {
    let kinds = super::statement::kinds(left);
    let first = kinds.first().copied().unwrap_or(DataType::Integer);
    let bits = matches!(kinds[..], [kind] if kind.is_bits());
    let plain = matches!(right, Values::One(_)) && comparison == Comparison::Equal;
    // Bits are looked for among others.
    let word = if bits && plain && mask.is_none() {
        "in"
    } else {
        comparison.word()
    };
    let left = match mask {
        None => selectors(left),
        Some(mask) => {
            let mask = match first {
                DataType::TcpFlag => value(first, &[mask as u8]),
                _ => number(mask),
            };
            object("&", Json::List(vec![selectors(left), mask]))
        }
    };
    let right = match right {
        Values::One(one) => key(&kinds, one, one),
        Values::Range(from, to) => key(&kinds, from, to),
        Values::Beginning(text) => Json::text(format!("{text}*")),
        Values::Set(set) => set.anonymous_json(),
        Values::Named(name) => Json::text(format!("@{name}")),
    };
    let fields = vec![("op", Json::text(word)), ("left", left), ("right", right)];
    object("match", Json::Object(fields))
}

impl MarkChange {
    fn json(self) -> Json {
        let mark = || Selector::Mark.json();
        let change = |operator, value| object(operator, Json::List(vec![mark(), number(value)]));
        let value = match self {
            MarkChange::To(value) => number(value),
            MarkChange::Or(value) => change("|", value),
            MarkChange::And(value) => change("&", value),
            MarkChange::Xor(value) => change("^", value),
        };
        object(
            "mangle",
            Json::Object(vec![("key", mark()), ("value", value)]),
        )
    }
}

impl Nat {
    fn json(&self) -> Json {
        let mut fields = Vec::new();
        if self.names_family() {
            fields.push(("family", Json::text("ip")));
        }
        match &self.to {
            NatTo::Nothing => {}
            NatTo::Map(left, map) => {
                fields.push(("addr", object("map", looked_up(left, map))));
            }
            NatTo::Fixed { addresses, ports } => {
                if let Some((first, last)) = addresses {
                    let of = |a: &std::net::Ipv4Addr| Json::text(a);
                    let one = first == last;
                    let address = if one {
                        of(first)
                    } else {
                        range(of(first), of(last))
                    };
                    fields.push(("addr", address));
                }
                if let Some((first, last)) = ports {
                    let of = |port: &u16| number((*port).into());
                    let one = first == last;
                    let port = if one {
                        of(first)
                    } else {
                        range(of(first), of(last))
                    };
                    fields.push(("port", port));
                }
            }
        }
        let flags = self.flags();
        if !flags.is_empty() {
            fields.push(("flags", as_few(flags.into_iter().map(Json::text).collect())));
        }
        let word = match self.kind {
            NatKind::Dnat => "dnat",
            NatKind::Snat => "snat",
            NatKind::Masquerade => "masquerade",
            NatKind::Redirect => "redirect",
        };
        let nothing = fields.is_empty();
        object(
            word,
            if nothing {
                Json::NULL
            } else {
                Json::Object(fields)
            },
        )
    }
}

fn refusal(with: RejectWith, wording: Wording) -> Json {
    if with == RejectWith::TcpReset {
        return object("reject", object("type", Json::text("tcp reset")));
    }
    let (kind, name) = match (wording, with) {
        (Wording::Icmpx, RejectWith::NetUnreachable) => ("icmpx", "no-route"),
        (Wording::Icmpx, _) => ("icmpx", with.name()),
        _ => ("icmp", with.name()),
    };
    let name = name.strip_prefix("icmp-").unwrap_or(name);
    let fields = vec![("type", Json::text(kind)), ("expr", Json::text(name))];
    object("reject", Json::Object(fields))
}

impl Rate {
    fn json(self) -> Json {
        let unit = Rate::UNITS.get(usize::from(self.unit)).map_or("", |u| u.0);
        let mut fields = vec![
            ("rate", number(self.number)),
            ("burst", number(self.burst)),
            ("per", Json::text(unit)),
        ];
        if self.over {
            fields.push(("inv", Json::Word("true")));
        }
        object("limit", Json::Object(fields))
    }
}

impl Statement {
    fn json(&self, counter: Option<Counter>) -> Json {
        match self {
            Statement::Match {
                left,
                mask,
                comparison,
                right,
            } => condition(left, *mask, *comparison, right),
            Statement::VerdictMap(left, map) => object("vmap", looked_up(left, map)),
            Statement::Verdict(verdict) => verdict.json(),
            Statement::SetMark(change) => change.json(),
            Statement::Nat(nat) => nat.json(),
            Statement::Reject(with, wording) => refusal(*with, *wording),
            Statement::Limit(rate) => rate.json(),
            Statement::Update {
                operation,
                set,
                key,
                timeout,
            } => {
                let mut element = selectors(key);
                if let Some(timeout) = timeout {
                    let fields = vec![("val", element), ("timeout", Json::Number(timeout / 1000))];
                    element = object("elem", Json::Object(fields));
                }
                let fields = vec![
                    ("op", Json::text(operation.word())),
                    ("elem", element),
                    ("set", Json::text(format!("@{set}"))),
                ];
                object("set", Json::Object(fields))
            }
            Statement::Counter => {
                let counter = counter.map(|c| {
                    Json::Object(vec![
                        ("packets", Json::Number(c.packets)),
                        ("bytes", Json::Number(c.bytes)),
                    ])
                });
                object("counter", counter.unwrap_or(Json::NULL))
            }
            Statement::Log(prefix) => log(prefix.as_deref().unwrap_or_default(), None),
            Statement::Notrack => object("notrack", Json::NULL),
        }
    }
}

impl Rule {
    /// Its statements.
    pub(crate) fn json(&self, counter: Option<Counter>) -> Vec<Json> {
        self.statements.iter().map(|s| s.json(counter)).collect()
    }
}

/// A part of iptables' rules that nft only knows by its name.
pub(crate) fn extension(kind: &str, name: &str) -> Json {
    let fields = vec![("type", Json::text(kind)), ("name", Json::text(name))];
    object("xt", Json::Object(fields))
}

/// `log`, with what is said of it.
pub(crate) fn log(prefix: &str, group: Option<u16>) -> Json {
    let mut fields = Vec::new();
    if !prefix.is_empty() {
        fields.push(("prefix", Json::text(prefix)));
    }
    fields.extend(group.map(|group| ("group", number(group.into()))));
    let nothing = fields.is_empty();
    object(
        "log",
        if nothing {
            Json::NULL
        } else {
            Json::Object(fields)
        },
    )
}

/// A table's line.
pub(crate) fn table(family: Family, name: &str, handle: u64) -> Json {
    let fields = vec![
        ("family", Json::text(family.name())),
        ("name", Json::text(name)),
        ("handle", Json::Number(handle)),
    ];
    object("table", Json::Object(fields))
}

/// A chain's line.
pub(crate) fn chain(family: Family, table: &str, handle: u64, chain: &Chain) -> Json {
    let mut fields = vec![
        ("family", Json::text(family.name())),
        ("table", Json::text(table)),
        ("name", Json::text(&chain.name)),
        ("handle", Json::Number(handle)),
    ];
    if let Some(base) = chain.base {
        fields.extend([
            ("type", Json::text(base.kind.name())),
            ("hook", Json::text(base.hook.lower())),
            ("prio", Json::Signed(base.priority.into())),
            (
                "policy",
                Json::text(base.policy.name().to_ascii_lowercase()),
            ),
        ]);
    }
    object("chain", Json::Object(fields))
}

/// A rule's line.
pub(crate) fn rule(
    (family, table): (Family, &str),
    chain: &ChainName,
    handle: u64,
    comment: Option<&str>,
    statements: Vec<Json>,
) -> Json {
    let mut fields = vec![
        ("family", Json::text(family.name())),
        ("table", Json::text(table)),
        ("chain", Json::text(chain)),
        ("handle", Json::Number(handle)),
    ];
    fields.extend(comment.map(|text| ("comment", Json::text(text))));
    fields.push(("expr", Json::List(statements)));
    object("rule", Json::Object(fields))
}

impl Lister<'_> {
    /// A set's or a map's line.
    pub fn set_json(&self, table: &Table, name: &ChainName, handle: u64, set: &Set) -> Json {
        let types =
            |kinds: &[DataType]| as_few(kinds.iter().map(|k| Json::text(k.name())).collect());
        let mut fields = vec![
            ("family", Json::text(table.family.name())),
            ("name", Json::text(name)),
            ("table", Json::text(&table.name)),
            ("type", types(&set.key)),
            ("handle", Json::Number(handle)),
        ];
        fields.extend((set.comment.as_ref()).map(|text| ("comment", Json::text(text))));
        match &set.data {
            None => {}
            Some(DataKind::Verdict) => fields.push(("map", Json::text("verdict"))),
            Some(DataKind::Values(kinds)) => fields.push(("map", Json::text(type_names(kinds)))),
        }
        fields.extend(set.size.map(|size| ("size", number(size))));
        let flags = [
            (set.flags.constant, "constant"),
            (set.flags.interval, "interval"),
            (set.flags.timeout, "timeout"),
        ];
        let flags: Vec<&str> = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
        if !flags.is_empty() {
            fields.push(("flags", Json::texts(flags)));
        }
        fields.extend((set.timeout).map(|ms| ("timeout", Json::Number(ms / 1000))));
        let elements = if self.style.terse {
            Vec::new()
        } else {
            set.elements_json(Some((self, table, name)))
        };
        if !elements.is_empty() {
            fields.push(("elem", Json::List(elements)));
        }
        object(set.word(), Json::Object(fields))
    }

    /// The lines of a chain's rules.
    pub fn rules_json(&self, table: &Table, handle: u64, chain: &Chain, out: &mut Vec<Json>) {
        for own in &chain.rules {
            let statements = own.json(self.counted(table, chain, own));
            out.push(rule(
                (table.family, &table.name),
                &chain.name,
                handle + own.offset,
                own.comment.as_deref(),
                statements,
            ));
        }
    }

    /// The lines of a table and all that is in it.
    pub fn table_json(&self, own: &Table, out: &mut Vec<Json>) {
        out.push(table(own.family, &own.name, own.made));
        for (handle, name, set) in own.sets.listed() {
            out.push(self.set_json(own, name, handle, set));
        }
        let chains = own.chains.listed();
        for (handle, _, own_chain) in &chains {
            out.push(chain(own.family, &own.name, *handle, own_chain));
        }
        for (handle, _, chain) in &chains {
            self.rules_json(own, *handle, chain, out);
        }
    }
}

/// The whole answer.
pub(crate) fn answer(mut lines: Vec<Json>) -> String {
    let version = vec![
        ("version", Json::text("1.0.6")),
        ("release_name", Json::text("Lester Gooch #5")),
        ("json_schema_version", number(1)),
    ];
    lines.insert(0, object("metainfo", Json::Object(version)));
    object("nftables", Json::List(lines)).print_spaced()
}
