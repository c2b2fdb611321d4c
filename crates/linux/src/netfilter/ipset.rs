//! Address sets (`ipset`), as far as kube-proxy's IPVS mode and policy engines use them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::packet::{Headers, Protocol};

/// What a set's entries are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum SetKind {
    HashIp,
    HashNet,
    HashIpPort,
    HashIpPortIp,
    HashIpPortNet,
    BitmapPort,
}

impl SetKind {
    /// `hash:ip,port` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SetKind::HashIp => "hash:ip",
            SetKind::HashNet => "hash:net",
            SetKind::HashIpPort => "hash:ip,port",
            SetKind::HashIpPortIp => "hash:ip,port,ip",
            SetKind::HashIpPortNet => "hash:ip,port,net",
            SetKind::BitmapPort => "bitmap:port",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<SetKind> {
        use SetKind::{BitmapPort, HashIp, HashIpPort, HashIpPortIp, HashIpPortNet, HashNet};
        [
            HashIp,
            HashNet,
            HashIpPort,
            HashIpPortIp,
            HashIpPortNet,
            BitmapPort,
        ]
        .into_iter()
        .find(|k| k.name() == text)
    }
}

/// One entry; what its kind does not use is zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// First address or network.
    pub net: Ipv4Net,
    /// Protocol of the port.
    pub protocol: Protocol,
    /// Port.
    pub port: u16,
    /// Second address or network.
    pub second: Ipv4Net,
    /// An exception of the networks around it.
    pub nomatch: bool,
}

const NOWHERE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

impl Default for Entry {
    fn default() -> Self {
        Entry {
            net: NOWHERE,
            protocol: Protocol(0),
            port: 0,
            second: NOWHERE,
            nomatch: false,
        }
    }
}

impl Entry {
    /// An address or network alone.
    #[must_use]
    pub fn of(net: Ipv4Net) -> Entry {
        Entry {
            net,
            ..Entry::default()
        }
    }

    /// As `ipset list` prints it in a set of a kind, without its options.
    #[must_use]
    pub fn text(&self, kind: SetKind) -> String {
        let net = |net: Ipv4Net| match net.prefix_len() {
            32 => net.addr().to_string(),
            _ => net.to_string(),
        };
        let port = format!("{}:{}", self.protocol, self.port);
        match kind {
            SetKind::HashIp | SetKind::HashNet => net(self.net),
            SetKind::BitmapPort => self.port.to_string(),
            SetKind::HashIpPort => format!("{},{port}", net(self.net)),
            SetKind::HashIpPortIp | SetKind::HashIpPortNet => {
                format!("{},{port},{}", net(self.net), net(self.second))
            }
        }
    }
}

/// A set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IpSet {
    /// What its entries are.
    pub kind: SetKind,
    /// It was made with `timeout 0`: entries can have one, and have none by themselves.
    pub timeout: bool,
    entries: Arc<BTreeSet<Entry>>,
    /// Lengths of prefixes that occur in a kind with networks.
    lengths: u64,
}

impl IpSet {
    /// An empty set.
    #[must_use]
    pub fn new(kind: SetKind) -> IpSet {
        IpSet {
            kind,
            timeout: false,
            entries: Arc::default(),
            lengths: 0,
        }
    }

    /// Adds an entry; false if it is there.
    pub fn insert(&mut self, entry: Entry) -> bool {
        let length = if self.kind == SetKind::HashNet {
            entry.net.prefix_len()
        } else {
            entry.second.prefix_len()
        };
        self.lengths |= 1 << length;
        let opposite = Entry {
            nomatch: !entry.nomatch,
            ..entry
        };
        let entries = Arc::make_mut(&mut self.entries);
        entries.remove(&opposite);
        entries.insert(entry)
    }

    /// Removes an entry; false if there is none.
    pub fn remove(&mut self, entry: &Entry) -> bool {
        let both = [true, false].map(|nomatch| Entry { nomatch, ..*entry });
        let entries = Arc::make_mut(&mut self.entries);
        both.iter().any(|e| entries.remove(e))
    }

    /// Is this entry in it, as such or as an exception?
    #[must_use]
    pub fn has(&self, entry: &Entry) -> bool {
        let both = [true, false].map(|nomatch| Entry { nomatch, ..*entry });
        both.iter().any(|e| self.entries.contains(e))
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Has it none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same set without entries.
    #[must_use]
    pub fn emptied(&self) -> IpSet {
        IpSet {
            timeout: self.timeout,
            ..IpSet::new(self.kind)
        }
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Is a packet in the set, taking for each dimension the destination's (true) or the source's value?
    #[must_use]
    pub fn test(&self, headers: &Headers, destination: &[bool]) -> bool {
        let side = |n: usize| destination.get(n).copied().unwrap_or(false);
        let address = |n: usize| {
            if side(n) {
                headers.ip.dst
            } else {
                headers.ip.src
            }
        };
        let (sport, dport) = headers.l4.ports();
        let port = |n: usize| if side(n) { dport } else { sport };
        let host = crate::network::host;
        let plain = Entry {
            protocol: headers.ip.protocol,
            port: port(1),
            net: host(address(0)),
            ..Entry::default()
        };
        let prefixes = |address: Ipv4Addr| {
            (0..=32u8)
                .rev()
                .filter(|l| self.lengths & (1 << l) != 0)
                .filter_map(move |l| Ipv4Net::new(address, l).ok())
                .map(|n| n.trunc())
        };
        match self.kind {
            SetKind::HashIp => self.entries.contains(&Entry {
                net: plain.net,
                ..Entry::default()
            }),
            // The longest prefix decides, be it as an exception.
            SetKind::HashNet => {
                let mut nets = prefixes(address(0)).map(Entry::of);
                nets.find(|entry| self.has(entry))
                    .is_some_and(|entry| self.entries.contains(&entry))
            }
            SetKind::HashIpPort => self.entries.contains(&plain),
            SetKind::HashIpPortIp => self.entries.contains(&Entry {
                second: host(address(2)),
                ..plain
            }),
            SetKind::HashIpPortNet => {
                let mut entries = prefixes(address(2)).map(|second| Entry { second, ..plain });
                entries
                    .find(|entry| self.has(entry))
                    .is_some_and(|entry| self.entries.contains(&entry))
            }
            SetKind::BitmapPort => self.entries.contains(&Entry {
                port: port(0),
                ..Entry::default()
            }),
        }
    }
}
