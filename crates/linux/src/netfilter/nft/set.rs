//! Sets and maps: elements, their lookup, and how they are printed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::statement::Verdict;
use super::value::{DataType, Key, duration_text, print_key, type_names};
use crate::netfilter::ChainName;
use crate::time::Time;

/// What a map's elements lead to.
#[derive(Clone, PartialEq, Debug)]
pub enum DataKind {
    /// Verdicts: a verdict map.
    Verdict,
    /// Values of these types, one after the other.
    Values(Vec<DataType>),
}

/// What an element leads to.
#[derive(Clone, PartialEq, Debug)]
pub enum Datum {
    /// A verdict.
    Verdict(Verdict),
    /// A value.
    Value(Key),
}

/// One element of a set or map, beside its key.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Element {
    /// Its comment.
    pub comment: Option<Arc<str>>,
    /// What it leads to, in a map.
    pub datum: Option<Datum>,
}

/// A set's flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Flags {
    pub constant: bool,
    pub dynamic: bool,
    pub interval: bool,
    pub timeout: bool,
}

/// A set, a map, or a verdict map.
#[derive(Clone, PartialEq, Debug)]
pub struct Set {
    /// The types of its key.
    pub key: Vec<DataType>,
    /// What its elements lead to; None for a set.
    pub data: Option<DataKind>,
    /// Its flags.
    pub flags: Flags,
    /// How long an element stays, in milliseconds.
    pub timeout: Option<u64>,
    /// The most elements that it takes.
    pub size: Option<u32>,
    /// Its comment.
    pub comment: Option<Arc<str>>,
    /// Are overlapping intervals made one?
    pub auto_merge: bool,
    /// The elements of one value each.
    pub elements: BTreeMap<Key, Element>,
    /// The elements that are intervals (both ends belong to them), in order.
    pub intervals: Vec<(Key, Key, Element)>,
}

/// An element that goes away by itself: when, and the span it was given if that is not its set's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lease {
    pub expires: Option<Time>,
    pub span: Option<u64>,
}

/// The elements of a set with time-outs.
pub(crate) type Leases = BTreeMap<Key, (Lease, Element)>;

/// An element in a list: its key, the other end of an interval, itself, and when it goes away.
type Listed<'a> = (&'a Key, Option<&'a Key>, &'a Element, Option<&'a Lease>);

impl Set {
    /// An empty set of keys of these types.
    #[must_use]
    pub fn new(key: Vec<DataType>) -> Set {
        Set {
            key,
            data: None,
            flags: Flags::default(),
            timeout: None,
            size: None,
            comment: None,
            auto_merge: false,
            elements: BTreeMap::new(),
            intervals: Vec::new(),
        }
    }

    /// An empty map to this.
    #[must_use]
    pub fn map(key: Vec<DataType>, data: DataKind) -> Set {
        Set {
            data: Some(data),
            ..Set::new(key)
        }
    }

    /// Does it hold nothing (of what does not go away by itself)?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty() && self.intervals.is_empty()
    }

    /// Chains that a verdict map leads to.
    pub fn leads_to(&self) -> impl Iterator<Item = &ChainName> {
        let intervals = self.intervals.iter().map(|i| &i.2);
        let elements = self.elements.values().chain(intervals);
        elements.filter_map(|element| match &element.datum {
            Some(Datum::Verdict(verdict)) => verdict.chain(),
            _ => None,
        })
    }

    /// `set` or `map`
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.data.is_some() { "map" } else { "set" }
    }

    /// Is a key between two others, field by field?
    fn within(&self, key: &Key, from: &Key, to: &Key) -> bool {
        let mut at = 0;
        self.key.iter().all(|kind| {
            let length = kind.length();
            let value = key.field(at, length);
            let inside = value >= from.field(at, length) && value <= to.field(at, length);
            at += length;
            inside
        })
    }

    /// The element of a key.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<&Element> {
        if let Some(element) = self.elements.get(key) {
            return Some(element);
        }
        let mut intervals = self.intervals.iter();
        intervals
            .find(|(from, to, _)| self.within(key, from, to))
            .map(|i| &i.2)
    }

    /// Puts an interval in.
    ///
    /// # Errors
    /// It overlaps another, and they are not made one.
    pub fn add_interval(
        &mut self,
        from: Key,
        to: Key,
        element: Element,
    ) -> Result<(), super::Refused> {
        let single = self.key.len() == 1;
        let overlaps = |other: &(Key, Key, Element)| single && from <= other.1 && other.0 <= to;
        if !self.auto_merge {
            if self.intervals.iter().any(overlaps) {
                return Err(super::Refused::Overlap);
            }
            self.insert_interval(from, to, element);
            return Ok(());
        }
        let (mut from, mut to) = (from, to);
        // Neighbours become one interval as well.
        while let Some(at) = self.intervals.iter().position(|other| {
            single
                && (from <= other.1 && other.0 <= to
                    || next(&other.1) == Some(from)
                    || next(&to) == Some(other.0))
        }) {
            let other = self.intervals.remove(at);
            from = from.min(other.0);
            to = to.max(other.1);
        }
        self.insert_interval(from, to, element);
        Ok(())
    }

    fn insert_interval(&mut self, from: Key, to: Key, element: Element) {
        let at = self.intervals.partition_point(|i| i.0 < from);
        self.intervals.insert(at, (from, to, element));
    }

    /// Prints `{ … }` as it stands in a rule.
    pub(crate) fn print_anonymous(&self, out: &mut String) {
        out.push_str("{ ");
        let mut first = true;
        let mut each = |text: String| {
            if !std::mem::take(&mut first) {
                out.push_str(", ");
            }
            out.push_str(&text);
        };
        for text in self.element_texts(None, Time::ZERO) {
            each(text);
        }
        out.push_str(" }");
    }

    /// Every element (with the end of an interval), in the order in which nft lists them.
    pub(crate) fn listed<'a>(&'a self, leases: Option<&'a Leases>, now: Time) -> Vec<Listed<'a>> {
        let concatenated = self.key.len() > 1;
        let mut all: Vec<Listed> = Vec::new();
        all.extend(self.elements.iter().map(|(key, e)| (key, None, e, None)));
        all.extend(
            self.intervals
                .iter()
                .map(|i| (&i.0, Some(&i.1), &i.2, None)),
        );
        let leases = leases.into_iter().flatten();
        let alive = leases.filter(|(_, (lease, _))| lease.expires.is_none_or(|at| at > now));
        all.extend(alive.map(|(key, (lease, e))| (key, None, e, Some(lease))));
        all.sort_by(|a, b| a.0.listing_order(b.0, concatenated));
        all
    }

    /// Every element's text.
    pub(crate) fn element_texts(&self, leases: Option<&Leases>, now: Time) -> Vec<String> {
        self.listed(leases, now)
            .into_iter()
            .map(|(key, to, element, lease)| {
                let mut text = String::new();
                match to {
                    Some(to) => self.print_interval(key, to, &mut text),
                    None => print_key(&self.key, key, &mut text),
                }
                if let Some(lease) = lease {
                    if let Some(span) = lease.span {
                        let _ = write!(text, " timeout {}", duration_text(span));
                    }
                    if let Some(at) = lease.expires {
                        let left = (at - now).as_millis();
                        let _ = write!(text, " expires {}", duration_text(left));
                    }
                }
                if let Some(comment) = &element.comment {
                    let _ = write!(text, " comment \"{comment}\"");
                }
                if let Some(datum) = &element.datum {
                    text.push_str(" : ");
                    self.print_datum(datum, &mut text);
                }
                text
            })
            .collect()
    }

    fn print_datum(&self, datum: &Datum, out: &mut String) {
        match (datum, &self.data) {
            (Datum::Verdict(verdict), _) => verdict.print(out),
            (Datum::Value(value), Some(DataKind::Values(types))) => print_key(types, value, out),
            (Datum::Value(_), _) => {}
        }
    }

    /// `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, of each field.
    fn print_interval(&self, from: &Key, to: &Key, out: &mut String) {
        let mut at = 0;
        for (n, kind) in self.key.iter().enumerate() {
            if n > 0 {
                out.push_str(" . ");
            }
            let length = kind.length();
            print_range(*kind, from.field(at, length), to.field(at, length), out);
            at += length;
        }
    }

    /// How many elements stand on a line before nft begins another (`calculate_delim`).
    fn per_line(&self) -> usize {
        match self.key.as_slice() {
            [DataType::Ipv4Addr | DataType::Ipv6Addr | DataType::IcmpType] => 2,
            [DataType::CtState | DataType::CtStatus] => 1,
            [_] => 5,
            _ => 1,
        }
    }

    /// Prints its declaration and its elements, without its last line.
    pub(crate) fn print(
        &self,
        name: &str,
        handle: Option<u64>,
        leases: Option<(Option<&Leases>, Time)>,
        out: &mut String,
    ) {
        let _ = write!(out, "\t{} {name} {{", self.word());
        if let Some(handle) = handle {
            let _ = write!(out, " # handle {handle}");
        }
        let _ = write!(out, "\n\t\ttype {}", type_names(&self.key));
        match &self.data {
            None => {}
            Some(DataKind::Verdict) => out.push_str(" : verdict"),
            Some(DataKind::Values(types)) => {
                let _ = write!(out, " : {}", type_names(types));
            }
        }
        out.push('\n');
        if let Some(size) = self.size {
            let _ = writeln!(out, "\t\tsize {size}");
        }
        let flags = [
            (self.flags.constant, "constant"),
            (self.flags.dynamic, "dynamic"),
            (self.flags.interval, "interval"),
            (self.flags.timeout, "timeout"),
        ];
        let flags: Vec<&str> = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
        if !flags.is_empty() {
            let _ = writeln!(out, "\t\tflags {}", flags.join(","));
        }
        if self.auto_merge {
            out.push_str("\t\tauto-merge\n");
        }
        if let Some(timeout) = self.timeout {
            let _ = writeln!(out, "\t\ttimeout {}", duration_text(timeout));
        }
        if let Some(comment) = &self.comment {
            let _ = writeln!(out, "\t\tcomment \"{comment}\"");
        }
        if let Some((leases, now)) = leases {
            self.print_elements(leases, now, out);
        }
    }

    fn print_elements(&self, leases: Option<&Leases>, now: Time, out: &mut String) {
        let texts = self.element_texts(leases, now);
        if texts.is_empty() {
            return;
        }
        out.push_str("\t\telements = { ");
        let per_line = self.per_line();
        for (n, text) in texts.iter().enumerate() {
            match n {
                0 => {}
                n if n % per_line == 0 => out.push_str(",\n\t\t\t     "),
                _ => out.push_str(", "),
            }
            out.push_str(text);
        }
        out.push_str(" }\n");
    }
}

/// The key that follows another.
fn next(key: &Key) -> Option<Key> {
    let mut bytes = key.bytes().to_vec();
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(Key::of(&bytes));
        }
    }
    None
}

/// Prints an interval of one type: a prefix where it is one.
pub(crate) fn print_range(kind: DataType, from: &[u8], to: &[u8], out: &mut String) {
    if from == to {
        return kind.print(from, out);
    }
    if matches!(kind, DataType::Ipv4Addr | DataType::Ipv6Addr)
        && let Some(length) = prefix_length(from, to)
    {
        kind.print(from, out);
        let _ = write!(out, "/{length}");
        return;
    }
    kind.print(from, out);
    out.push('-');
    kind.print(to, out);
}

/// The length of the prefix that an interval is, if it is one.
pub(crate) fn prefix_length(from: &[u8], to: &[u8]) -> Option<u32> {
    let mut length = 0;
    let mut ended = false;
    for bit in 0..from.len() * 8 {
        let at = |bytes: &[u8]| bytes[bit / 8] >> (7 - bit % 8) & 1;
        match (at(from), at(to)) {
            (a, b) if a == b && !ended => length += 1,
            (0, 1) => ended = true,
            _ => return None,
        }
    }
    Some(length)
}

/// The first and last value of a prefix.
pub(crate) fn prefix_range(address: &Key, length: usize) -> (Key, Key) {
    let (mut from, mut to) = (address.bytes().to_vec(), address.bytes().to_vec());
    for bit in length..from.len() * 8 {
        let mask = 1 << (7 - bit % 8);
        from[bit / 8] &= !mask;
        to[bit / 8] |= mask;
    }
    (Key::of(&from), Key::of(&to))
}
