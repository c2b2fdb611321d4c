//! Filter expressions (pcap-filter(7)), evaluated on a frame's bytes.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::packet::{Mac, Protocol};

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    All,
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    /// Type field of the frame.
    EtherType(u16),
    Proto(u8),
    Net(Side, Ipv4Net),
    Ports(Side, Option<u8>, u16, u16),
    Ether(Side, Mac),
    Longer(u32),
    Shorter(u32),
    Compare(Value, Relation, Value),
    Inbound(bool),
    Broadcast,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Either,
    Source,
    Destination,
    Both,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    LessEqual,
    More,
    MoreEqual,
}

/// A number in a comparison.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(u32),
    Length,
    /// Bytes of a protocol's header: its offset, how many.
    Bytes(Layer, Box<Value>, u8),
    Two(Box<Value>, char, Box<Value>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layer {
    Ether,
    Ip,
    /// The transport header of this protocol.
    Above(u8),
}

/// What libpcap says of what it cannot read.
const SYNTAX: &str = "can't parse filter expression: syntax error";

/// How deep parentheses may go.
const DEEPEST: usize = 40;

struct Reader<'a> {
    words: Vec<&'a str>,
    at: usize,
    depth: usize,
}

/// Names that stand for numbers in comparisons.
const NUMBERS: &[(&str, u32)] = &[
    ("tcpflags", 13),
    ("tcp-fin", 1),
    ("tcp-syn", 2),
    ("tcp-rst", 4),
    ("tcp-push", 8),
    ("tcp-ack", 16),
    ("tcp-urg", 32),
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-timxceed", 11),
];

/// Words and signs of an expression.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let two = ["&&", "||", "!=", "==", "<=", ">=", "<<", ">>"];
        let length = if let Some(sign) = two.iter().find(|s| rest.starts_with(**s)) {
            sign.len()
        } else if "()[]!=<>&|+*:".contains(first) {
            first.len_utf8()
        } else {
            // Addresses and names hold points, dashes, slashes, and colons between hexadecimal digits.
            let end = rest.find(|c: char| c.is_whitespace() || "()[]!=<>&|+*".contains(c));
            let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
            if word.parse::<Mac>().is_ok() || !word.contains(':') {
                word.len()
            } else {
                word.find(':').unwrap_or(word.len())
            }
        };
        let (word, after) = rest.split_at(length);
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Reads an expression. Errors: what tcpdump says after its name.
pub(super) fn parse(text: &str) -> Result<Filter, String> {
    let mut reader = Reader {
        words: words(text),
        at: 0,
        depth: 0,
    };
    if reader.words.is_empty() {
        return Ok(Filter::All);
    }
    let filter = reader.any()?;
    if reader.at < reader.words.len() {
        return Err(SYNTAX.to_owned());
    }
    Ok(filter)
}

/// What qualifies an address or a port.
#[derive(Clone, Copy, Default)]
struct Qualifiers<'a> {
    proto: Option<&'a str>,
    side: Option<Side>,
    kind: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, wanted: &[&str]) -> bool {
        let found = self.peek().is_some_and(|w| wanted.contains(&w));
        self.at += usize::from(found);
        found
    }

    fn next(&mut self) -> Result<&'a str, String> {
        let word = self.peek().ok_or(SYNTAX)?;
        self.at += 1;
        Ok(word)
    }

    fn any(&mut self) -> Result<Filter, String> {
        let mut last = Qualifiers::default();
        let mut left = self.one(&mut last)?;
        // `and` and `or` bind alike, from left to right.
        loop {
            if self.take(&["and", "&&"]) {
                left = Filter::And(Box::new(left), Box::new(self.one(&mut last)?));
            } else if self.take(&["or", "||"]) {
                left = Filter::Or(Box::new(left), Box::new(self.one(&mut last)?));
            } else {
                return Ok(left);
            }
        }
    }

    fn one(&mut self, last: &mut Qualifiers<'a>) -> Result<Filter, String> {
        if self.take(&["not", "!"]) {
            self.deeper()?;
            let inner = self.one(last)?;
            self.depth -= 1;
            return Ok(Filter::Not(Box::new(inner)));
        }
        if self.peek() == Some("(") {
            let start = self.at;
            self.at += 1;
            self.deeper()?;
            let inner = self.any();
            self.depth -= 1;
            if let Ok(inner) = inner
                && self.take(&[")"])
                && self.peek().is_none_or(|w| relation(w).is_none())
            {
                return Ok(inner);
            }
            // It was arithmetic.
            self.at = start;
            return self.comparison();
        }
        let next = self.words.get(self.at + 1).copied().unwrap_or("");
        let first = self.peek().ok_or(SYNTAX)?;
        let number = first.starts_with(|c: char| c.is_ascii_digit());
        if next == "[" || first == "len" || number && relation(next).is_some() {
            return self.comparison();
        }
        self.primitive(last)
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SYNTAX.to_owned());
        }
        Ok(())
    }

    fn comparison(&mut self) -> Result<Filter, String> {
        let left = self.value()?;
        let relation = relation(self.next()?).ok_or(SYNTAX)?;
        let right = self.value()?;
        Ok(Filter::Compare(left, relation, right))
    }

    fn value(&mut self) -> Result<Value, String> {
        let mut left = self.operand()?;
        while let Some(sign) = self.peek().filter(|w| matches!(*w, "&" | "|" | "+" | "*")) {
            self.at += 1;
            let right = self.operand()?;
            let sign = sign.chars().next().unwrap_or('+');
            left = Value::Two(Box::new(left), sign, Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Value, String> {
        let word = self.next()?;
        if word == "(" {
            self.deeper()?;
            let inner = self.value()?;
            self.depth -= 1;
            return if self.take(&[")"]) {
                Ok(inner)
            } else {
                Err(SYNTAX.to_owned())
            };
        }
        if word == "len" {
            return Ok(Value::Length);
        }
        let layer = match word {
            "ether" => Some(Layer::Ether),
            "ip" => Some(Layer::Ip),
            "tcp" | "udp" | "icmp" | "sctp" => Protocol::parse(word).map(|p| Layer::Above(p.0)),
            _ => None,
        };
        if let Some(layer) = layer {
            if !self.take(&["["]) {
                return Err(SYNTAX.to_owned());
            }
            let offset = self.value()?;
            let size = if self.take(&[":"]) {
                self.next()?.parse().ok().filter(|n| matches!(n, 1 | 2 | 4))
            } else {
                Some(1)
            };
            let size = size.ok_or("data size must be 1, 2, or 4")?;
            return if self.take(&["]"]) {
                Ok(Value::Bytes(layer, Box::new(offset), size))
            } else {
                Err(SYNTAX.to_owned())
            };
        }
        let named = NUMBERS.iter().find(|(name, _)| *name == word);
        let number = match word.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => word.parse().ok().or(named.map(|(_, n)| *n)),
        };
        number.map(Value::Number).ok_or_else(|| SYNTAX.to_owned())
    }

    fn primitive(&mut self, last: &mut Qualifiers<'a>) -> Result<Filter, String> {
        let mut own = Qualifiers::default();
        let mut qualified = false;
        if let Some(word) = self.peek()
            && matches!(
                word,
                "ether" | "ip" | "ip6" | "arp" | "rarp" | "icmp" | "icmp6" | "tcp" | "udp" | "sctp"
            )
        {
            self.at += 1;
            own.proto = Some(word);
            let more = matches!(
                self.peek(),
                Some(
                    "host"
                        | "net"
                        | "port"
                        | "portrange"
                        | "src"
                        | "dst"
                        | "proto"
                        | "broadcast"
                        | "multicast"
                )
            );
            if !more {
                return Ok(protocol(word));
            }
            qualified = true;
        }
        if self.take(&["src"]) {
            own.side = Some(Side::Source);
            if self.take(&["or"]) {
                self.take(&["dst"]);
                own.side = Some(Side::Either);
            } else if self.peek() == Some("and")
                && self.words.get(self.at + 1).copied() == Some("dst")
            {
                self.at += 2;
                own.side = Some(Side::Both);
            }
            qualified = true;
        } else if self.take(&["dst"]) {
            own.side = Some(Side::Destination);
            qualified = true;
        }
        if let Some(word) = self.peek()
            && matches!(word, "host" | "net" | "port" | "portrange" | "proto")
        {
            self.at += 1;
            own.kind = Some(word);
            qualified = true;
        } else {
            match self.peek().unwrap_or("") {
                "broadcast" | "multicast" => {
                    self.at += 1;
                    return Ok(Filter::Broadcast);
                }
                "inbound" | "outbound" => {
                    return Ok(Filter::Inbound(self.next()? == "inbound"));
                }
                "greater" | "less" => {
                    let longer = self.next()? == "greater";
                    let length = self.next()?.parse().map_err(|_| SYNTAX)?;
                    return Ok(if longer {
                        Filter::Longer(length)
                    } else {
                        Filter::Shorter(length)
                    });
                }
                _ => {}
            }
        }
        // `port 80 or 443`: the second has the first's qualifiers.
        let own = if qualified { own } else { *last };
        if !qualified && own.kind.is_none() && own.side.is_none() {
            let word = self.next()?;
            return match word.parse() {
                Ok(net) => Ok(Filter::Net(Side::Either, net)),
                Err(_) => host(Side::Either, word),
            };
        }
        *last = own;
        let side = own.side.unwrap_or(Side::Either);
        let word = self.next()?;
        match own.kind.unwrap_or("host") {
            "port" => {
                let port = port(word)?;
                Ok(Filter::Ports(side, own.proto.and_then(number), port, port))
            }
            "portrange" => {
                let (low, high) = word.split_once('-').ok_or(SYNTAX)?;
                Ok(Filter::Ports(
                    side,
                    own.proto.and_then(number),
                    port(low)?,
                    port(high)?,
                ))
            }
            "net" => {
                let mut text = word.to_owned();
                if !word.contains('/') {
                    let missing = 3usize.saturating_sub(word.matches('.').count());
                    text += &".0".repeat(missing);
                    text += &format!("/{}", 32 - 8 * missing);
                }
                let net = text
                    .parse()
                    .map_err(|_| format!("unknown network '{word}'"))?;
                Ok(Filter::Net(side, net))
            }
            "proto" => {
                let name = word.trim_start_matches('\\');
                let number =
                    Protocol::parse(name).ok_or_else(|| format!("unknown ip proto '{name}'"))?;
                Ok(Filter::Proto(number.0))
            }
            _ if own.proto == Some("ether") => {
                let mac = word
                    .parse()
                    .map_err(|_| format!("unknown ether host '{word}'"))?;
                Ok(Filter::Ether(side, mac))
            }
            _ => {
                let host = host(side, word)?;
                Ok(match own.proto {
                    Some(proto @ ("ip" | "arp")) => {
                        Filter::And(Box::new(protocol(proto)), Box::new(host))
                    }
                    _ => host,
                })
            }
        }
    }
}

fn relation(word: &str) -> Option<Relation> {
    Some(match word {
        "=" | "==" => Relation::Equal,
        "!=" => Relation::Unequal,
        "<" => Relation::Less,
        "<=" => Relation::LessEqual,
        ">" => Relation::More,
        ">=" => Relation::MoreEqual,
        _ => return None,
    })
}

fn protocol(word: &str) -> Filter {
    match word {
        "ip" => Filter::EtherType(0x0800),
        "arp" => Filter::EtherType(0x0806),
        "ether" => Filter::All,
        _ => number(word).map_or(Filter::Never, Filter::Proto),
    }
}

fn number(word: &str) -> Option<u8> {
    match word {
        "tcp" | "udp" | "icmp" | "sctp" => Protocol::parse(word).map(|p| p.0),
        _ => None,
    }
}

fn host(side: Side, word: &str) -> Result<Filter, String> {
    let address: Ipv4Addr = word.parse().map_err(|_| {
        if word.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            format!("unknown host '{word}'")
        } else {
            SYNTAX.to_owned()
        }
    })?;
    Ok(Filter::Net(side, Ipv4Net::from(address)))
}

fn port(word: &str) -> Result<u16, String> {
    let named = super::print::SERVICES
        .iter()
        .find(|(_, name)| *name == word);
    word.parse()
        .ok()
        .or(named.map(|(port, _)| *port))
        .ok_or_else(|| {
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                format!("illegal port number {word} > 65535")
            } else {
                format!("unknown port '{word}'")
            }
        })
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(four))
}

impl Side {
    fn holds<T>(self, source: T, destination: T, is: impl Fn(T) -> bool) -> bool {
        match self {
            Side::Either => is(source) || is(destination),
            Side::Both => is(source) && is(destination),
            Side::Source => is(source),
            Side::Destination => is(destination),
        }
    }
}

/// The protocol above IPv4, and where its header begins.
fn above(frame: &[u8]) -> Option<(u8, usize)> {
    if two(frame, 12)? != 0x0800 {
        return None;
    }
    let words = usize::from(frame.get(14)? & 0xf);
    Some((*frame.get(23)?, 14 + 4 * words))
}

impl Value {
    /// None: the packet has no such bytes.
    fn of(&self, frame: &[u8]) -> Option<u32> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Length => Some(frame.len() as u32),
            Value::Bytes(layer, offset, size) => {
                let base = match layer {
                    Layer::Ether => 0,
                    Layer::Ip => above(frame).map(|_| 14)?,
                    Layer::Above(wanted) => above(frame).filter(|(p, _)| p == wanted)?.1,
                };
                let at = base + offset.of(frame)? as usize;
                let bytes = frame.get(at..at.checked_add(usize::from(*size))?)?;
                Some(bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
            }
            Value::Two(left, sign, right) => {
                let (left, right) = (left.of(frame)?, right.of(frame)?);
                Some(match sign {
                    '&' => left & right,
                    '|' => left | right,
                    '*' => left.wrapping_mul(right),
                    _ => left.wrapping_add(right),
                })
            }
        }
    }
}

impl Filter {
    /// Does a frame pass?
    pub fn passes(&self, frame: &[u8], outgoing: bool) -> bool {
        self.test(frame, outgoing).unwrap_or(false)
    }

    fn test(&self, frame: &[u8], outgoing: bool) -> Option<bool> {
        Some(match self {
            Filter::All => true,
            Filter::Never => false,
            Filter::And(a, b) => a.passes(frame, outgoing) && b.passes(frame, outgoing),
            Filter::Or(a, b) => a.passes(frame, outgoing) || b.passes(frame, outgoing),
            Filter::Not(inner) => !inner.passes(frame, outgoing),
            Filter::EtherType(kind) => two(frame, 12)? == *kind,
            Filter::Proto(number) => above(frame)?.0 == *number,
            Filter::Net(side, net) => {
                let (source, destination) = match two(frame, 12)? {
                    0x0800 => (address(frame, 26)?, address(frame, 30)?),
                    0x0806 => (address(frame, 28)?, address(frame, 38)?),
                    _ => return None,
                };
                side.holds(source, destination, |a| net.contains(&a))
            }
            Filter::Ports(side, wanted, low, high) => {
                let (protocol, at) = above(frame)?;
                if !matches!(protocol, 6 | 17 | 132) || wanted.is_some_and(|w| w != protocol) {
                    return None;
                }
                side.holds(two(frame, at)?, two(frame, at + 2)?, |p| {
                    (*low..=*high).contains(&p)
                })
            }
            Filter::Ether(side, mac) => {
                let (to, from) = (frame.get(0..6)?, frame.get(6..12)?);
                side.holds(from, to, |a| a == mac.0)
            }
            Filter::Longer(length) => frame.len() >= *length as usize,
            Filter::Shorter(length) => frame.len() <= *length as usize,
            Filter::Compare(left, relation, right) => {
                let (left, right) = (left.of(frame)?, right.of(frame)?);
                match relation {
                    Relation::Equal => left == right,
                    Relation::Unequal => left != right,
                    Relation::Less => left < right,
                    Relation::LessEqual => left <= right,
                    Relation::More => left > right,
                    Relation::MoreEqual => left >= right,
                }
            }
            Filter::Inbound(inbound) => *inbound != outgoing,
            Filter::Broadcast => frame.first()? & 1 == 1,
        })
    }
}
