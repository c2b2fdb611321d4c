//! Finding the rules of a long chain that a packet can match at all, without asking each.
//!
//! KUBE-SERVICES has a rule or more per Service, nearly all with one protocol, one destination address and one port.
//! The index gives, in their order, the rules that a packet's protocol, destination and port do not rule out; every
//! rule between them is known not to match. So the first match, and the number of rules passed, are those of the
//! linear walk.

use std::collections::BTreeMap;

use super::Chain;
use super::rule::{Match, Rule};
use crate::packet::Headers;

/// Chains shorter than this are walked.
const WORTH: usize = 8;

/// Rules by what they ask for. Keys are `protocol << 48 | address << 16 | port`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    exact: BTreeMap<u64, Vec<u32>>,
    by_port: BTreeMap<u64, Vec<u32>>,
    by_address: BTreeMap<u32, Vec<u32>>,
    other: Vec<u32>,
}

fn key(protocol: u8, address: u32, port: u16) -> u64 {
    u64::from(protocol) << 48 | u64::from(address) << 16 | u64::from(port)
}

/// The single port that a rule asks for, if nothing with a memory or a random choice is asked before it.
fn port_of(rule: &Rule) -> Option<u16> {
    for m in &rule.matches {
        match m {
            Match::Ports(ports) => {
                return ports
                    .destination
                    .filter(|p| !p.invert && p.range.0 == p.range.1)
                    .map(|p| p.range.0);
            }
            Match::Statistic(_) | Match::Recent(_) | Match::Nfacct(_) | Match::Limit(_) => {
                return None;
            }
            _ => {}
        }
    }
    None
}

impl Index {
    fn new(rules: &[Rule]) -> Index {
        let mut index = Index::default();
        for (at, rule) in rules.iter().enumerate() {
            let at = at as u32;
            let address = rule
                .destination
                .filter(|d| !d.invert && d.net.prefix_len() == 32)
                .map(|d| d.net.addr().to_bits());
            let port = rule
                .protocol
                .filter(|p| !p.1)
                .and_then(|p| Some((p.0.0, port_of(rule)?)));
            match (address, port) {
                (Some(address), Some((protocol, port))) => index
                    .exact
                    .entry(key(protocol, address, port))
                    .or_default()
                    .push(at),
                (None, Some((protocol, port))) => index
                    .by_port
                    .entry(key(protocol, 0, port))
                    .or_default()
                    .push(at),
                (Some(address), None) => index.by_address.entry(address).or_default().push(at),
                (None, None) => index.other.push(at),
            }
        }
        index
    }
}

/// The rules of a chain that may match a packet, in order.
pub(crate) struct Candidates<'a> {
    lists: [&'a [u32]; 4],
    linear: Option<std::ops::Range<u32>>,
}

impl Chain {
    pub(crate) fn candidates(&self, headers: &Headers, from: usize) -> Candidates<'_> {
        let index = self
            .index
            .get_or_init(|| (self.rules.len() >= WORTH).then(|| Index::new(&self.rules)));
        let Some(index) = index else {
            return Candidates {
                lists: [&[]; 4],
                linear: Some(from as u32..self.rules.len() as u32),
            };
        };
        let (protocol, address, port) = (
            headers.ip.protocol.0,
            headers.ip.dst.to_bits(),
            headers.l4.ports().1,
        );
        let mut lists: [&[u32]; 4] = [
            index
                .exact
                .get(&key(protocol, address, port))
                .map_or(&[], Vec::as_slice),
            index
                .by_port
                .get(&key(protocol, 0, port))
                .map_or(&[], Vec::as_slice),
            index.by_address.get(&address).map_or(&[], Vec::as_slice),
            &index.other,
        ];
        if from > 0 {
            for list in &mut lists {
                let skip = list.partition_point(|at| (*at as usize) < from);
                *list = list.get(skip..).unwrap_or_default();
            }
        }
        Candidates {
            lists,
            linear: None,
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if let Some(range) = &mut self.linear {
            return range.next().map(|at| at as usize);
        }
        let first = self
            .lists
            .iter_mut()
            .filter(|l| !l.is_empty())
            .min_by_key(|l| l[0])?;
        let (at, rest) = first.split_first()?;
        *first = rest;
        Some(*at as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Match;
    use super::super::{Chain, Rule};
    use crate::packet::{Ethernet, Headers, Ipv4, Protocol, Transport};

    fn rule(text: &str) -> Rule {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Rule::parse(&words).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn headers(protocol: Protocol, dst: [u8; 4], dport: u16) -> Headers {
        let l4 = match protocol {
            Protocol::UDP => Transport::Udp { sport: 1, dport },
            _ => Transport::Tcp {
                sport: 1,
                dport,
                flags: Default::default(),
                seq: 0,
                ack: 0,
            },
        };
        let ip = Ipv4 {
            src: [10, 0, 0, 9].into(),
            dst: dst.into(),
            ttl: 64,
            protocol,
            id: 0,
            df: true,
        };
        Headers {
            eth: Ethernet::default(),
            ip,
            l4,
        }
    }

    /// What the walk would find out by asking: address, protocol and port only.
    fn possible(rule: &Rule, headers: &Headers) -> bool {
        rule.destination.is_none_or(|d| d.matches(headers.ip.dst))
            && rule
                .protocol
                .is_none_or(|(p, invert)| (p == headers.ip.protocol) != invert)
            && rule.matches.iter().all(|m| match m {
                Match::Ports(ports) => ports.matches(headers),
                _ => true,
            })
    }

    #[test]
    fn the_index_passes_over_no_rule_that_could_match() {
        let forms = [
            "-d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j ACCEPT",
            "-d 10.0.0.1/32 -p udp -m udp --dport 80 -j ACCEPT",
            "-d 10.0.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT",
            "! -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j ACCEPT",
            "-d 10.0.0.0/24 -p tcp -m tcp --dport 81 -j ACCEPT",
            "-d 10.0.0.1/32 -j ACCEPT",
            "-d 10.0.0.1/32 ! -p tcp -j ACCEPT",
            "-p tcp -m tcp --dport 80:90 -j ACCEPT",
            "-p tcp -m tcp ! --dport 80 -j ACCEPT",
            "-p tcp -m statistic --mode nth --every 2 -m tcp --dport 80 -j ACCEPT",
            "-p tcp -m multiport --dports 80,81 -j ACCEPT",
            "-j ACCEPT",
        ];
        let rules: Vec<Rule> = (0..60).map(|n| rule(forms[n * 7 % forms.len()])).collect();
        let chain = Chain::new("TEST".into(), None, rules);
        for protocol in [Protocol::TCP, Protocol::UDP] {
            for dst in [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 1, 1]] {
                for dport in [80, 81, 90, 443] {
                    let headers = headers(protocol, dst, dport);
                    let got: Vec<usize> = chain
                        .candidates(&headers, 0)
                        .filter(|n| possible(&chain.rules[*n], &headers))
                        .collect();
                    let want: Vec<usize> = (0..60)
                        .filter(|n| possible(&chain.rules[*n], &headers))
                        .collect();
                    assert_eq!(got, want, "{protocol} {dst:?}:{dport}");
                }
            }
        }
    }
}
