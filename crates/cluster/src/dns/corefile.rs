//! The Corefile: which zones a CoreDNS serves, with which plugins.

use std::net::Ipv4Addr;

use super::{Answer, Code, Data, Record, Type, records};
use crate::cluster::Cluster;

/// What of a Corefile matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Corefile {
    blocks: Vec<Block>,
    pub reloads: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Block {
    /// With the dot at the end; `.` is every name.
    zones: Vec<String>,
    kubernetes: Option<Kubernetes>,
    /// `cache`: the longest time.
    cache: Option<u32>,
    hosts: Vec<(Ipv4Addr, Vec<String>)>,
}

/// How pods' records are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pods {
    #[default]
    Disabled,
    Insecure,
    Verified,
}

/// The `kubernetes` plugin's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kubernetes {
    pub zones: Vec<String>,
    pub pods: Pods,
    pub ttl: u32,
    /// Zones in which a name that is not found is handed on.
    pub fallthrough: Vec<String>,
}

/// CoreDNS' own plugins (`plugin.cfg`).
const PLUGINS: &[&str] = &[
    "root",
    "metadata",
    "geoip",
    "cancel",
    "tls",
    "quic",
    "timeouts",
    "multisocket",
    "reload",
    "nsid",
    "bufsize",
    "bind",
    "debug",
    "trace",
    "ready",
    "health",
    "pprof",
    "prometheus",
    "errors",
    "log",
    "dnstap",
    "local",
    "dns64",
    "acl",
    "any",
    "chaos",
    "loadbalance",
    "tsig",
    "cache",
    "rewrite",
    "header",
    "dnssec",
    "autopath",
    "minimal",
    "template",
    "transfer",
    "hosts",
    "route53",
    "azure",
    "clouddns",
    "k8s_external",
    "kubernetes",
    "file",
    "auto",
    "secondary",
    "etcd",
    "loop",
    "forward",
    "grpc",
    "erratic",
    "whoami",
    "on",
    "sign",
    "view",
    "nomad",
];

fn within(name: &str, zone: &str) -> bool {
    zone == "."
        || name == zone
        || name
            .strip_suffix(zone)
            .is_some_and(|rest| rest.ends_with('.'))
}

impl Corefile {
    /// Reads a Corefile. Errors: CoreDNS' own words.
    pub fn parse(text: &str) -> Result<Corefile, String> {
        let mut corefile = Corefile::default();
        let mut block: Option<Block> = None;
        // The plugin whose braces are open.
        let mut open: Option<String> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or("").trim();
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(first) = words.first() else { continue };
            let opens = words.last() == Some(&"{");
            let words = if opens {
                &words[..words.len() - 1]
            } else {
                &words[..]
            };
            match (&mut block, &mut open) {
                (None, _) if opens => {
                    block = Some(Block {
                        zones: words.iter().map(|w| zone(w)).collect(),
                        ..Block::default()
                    })
                }
                (None, _) => {
                    return Err(format!(
                        "/etc/coredns/Corefile:{number} - Error during parsing: Unexpected token '{first}'\n"
                    ));
                }
                (Some(_), Some(_)) if *first == "}" => open = None,
                (Some(done), None) if *first == "}" => {
                    corefile.blocks.push(std::mem::take(done));
                    block = None;
                }
                (Some(block), Some(plugin)) => inner(block, plugin, words),
                (Some(block), None) => {
                    if !PLUGINS.contains(first) {
                        return Err(format!(
                            "/etc/coredns/Corefile:{number} - Error during parsing: Unknown directive '{first}'\n"
                        ));
                    }
                    corefile.reloads |= *first == "reload";
                    plugin(block, first, &words[1..]);
                    if opens {
                        open = Some((*first).to_owned());
                    }
                }
            }
        }
        if block.is_some() {
            return Err(
                "/etc/coredns/Corefile - Error during parsing: Unexpected EOF\n".to_owned(),
            );
        }
        Ok(corefile)
    }

    fn block(&self, name: &str) -> Option<&Block> {
        let matching = self
            .blocks
            .iter()
            .flat_map(|b| b.zones.iter().map(move |z| (z, b)));
        matching
            .filter(|(z, _)| within(name, z))
            .max_by_key(|(z, _)| z.len())
            .map(|(_, b)| b)
    }

    /// How long an answer is kept.
    pub fn cache_seconds(&self, name: &str, answer: &Answer) -> Option<u32> {
        let longest = self.block(name)?.cache?;
        match answer.code {
            Code::NoError | Code::NxDomain => {
                let ttl = answer.answers.iter().map(|r| r.ttl).min();
                let minimum = answer.authority.iter().find_map(|r| match r.data {
                    Data::Soa { minimum, .. } => Some(minimum),
                    _ => None,
                });
                Some(ttl.or(minimum)?.min(longest)).filter(|ttl| *ttl > 0)
            }
            Code::ServFail => Some(longest.min(5)),
            Code::Refused => None,
        }
    }

    /// What the plugins make of a question.
    pub fn answer(&self, cluster: &Cluster, name: &str, kind: Type) -> Answer {
        let Some(block) = self.block(name) else {
            return Answer::failed(Code::Refused);
        };
        let hosts: Vec<Record> = block
            .hosts
            .iter()
            .filter(|(_, names)| {
                names.iter().any(|n| super::full(n) == name) && matches!(kind, Type::A | Type::Any)
            })
            .map(|(address, _)| Record {
                name: name.to_owned(),
                ttl: 3600,
                data: Data::A(*address),
            })
            .collect();
        if !hosts.is_empty() {
            return Answer {
                is_authoritative: true,
                answers: hosts,
                ..Answer::failed(Code::NoError)
            };
        }
        if let Some(kubernetes) = &block.kubernetes
            && let Some(zone) = kubernetes
                .zones
                .iter()
                .filter(|z| within(name, z))
                .max_by_key(|z| z.len())
        {
            let answer = records::answer(cluster, kubernetes, zone, name, kind);
            let hands_on = kubernetes.fallthrough.iter().any(|z| within(name, z));
            if answer.code != Code::NxDomain || !hands_on {
                return answer;
            }
        }
        // Nobody is left; and a forward leads to servers outside, which are not there.
        Answer::failed(Code::ServFail)
    }
}

/// `cluster.local:53`, `dns://.`
fn zone(word: &str) -> String {
    let word = word
        .trim_end_matches(',')
        .rsplit("://")
        .next()
        .unwrap_or(word);
    let name = word.split_once(':').map_or(word, |(name, _)| name);
    super::full(if name.is_empty() { "." } else { name })
}

fn plugin(block: &mut Block, name: &str, args: &[&str]) {
    match name {
        "kubernetes" => {
            let zones = if args.is_empty() {
                block.zones.clone()
            } else {
                args.iter().map(|z| super::full(z)).collect()
            };
            block.kubernetes = Some(Kubernetes {
                zones,
                ttl: 5,
                ..Kubernetes::default()
            });
        }
        "cache" => block.cache = Some(args.first().and_then(|s| s.parse().ok()).unwrap_or(3600)),
        _ => {}
    }
}

fn inner(block: &mut Block, plugin: &str, words: &[&str]) {
    match (plugin, words) {
        ("kubernetes", [option, args @ ..]) => {
            let zones = block.zones.clone();
            let Some(kubernetes) = &mut block.kubernetes else {
                return;
            };
            match (*option, args.first()) {
                ("pods", Some(mode)) => {
                    kubernetes.pods = match *mode {
                        "insecure" => Pods::Insecure,
                        "verified" => Pods::Verified,
                        _ => Pods::Disabled,
                    };
                }
                ("ttl", Some(ttl)) => kubernetes.ttl = ttl.parse().unwrap_or(5),
                ("fallthrough", _) => {
                    kubernetes.fallthrough = if args.is_empty() {
                        zones
                    } else {
                        args.iter().map(|z| super::full(z)).collect()
                    }
                }
                _ => {}
            }
        }
        ("hosts", [address, names @ ..]) => {
            if let Ok(address) = address.parse() {
                block
                    .hosts
                    .push((address, names.iter().map(|n| (*n).to_owned()).collect()));
            }
        }
        _ => {}
    }
}
