//! CoreDNS: what its pods answer, from the stored Services and EndpointSlices
//! (coredns v1.12, `plugin/kubernetes`, `plugin/cache`; the Kubernetes DNS specification 1.1).

mod corefile;
mod records;
pub(crate) mod wire;

pub(crate) use corefile::Corefile;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use kubarium_objects::Value;

use crate::cluster::Cluster;
use crate::images::Server;
use crate::runtime::Process;
use crate::time::Time;

/// A record's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Type {
    A,
    Aaaa,
    Cname,
    Srv,
    Ptr,
    Txt,
    Soa,
    Ns,
    Mx,
    Any,
}

impl Type {
    pub const ALL: [Type; 10] = [
        Type::A,
        Type::Aaaa,
        Type::Cname,
        Type::Srv,
        Type::Ptr,
        Type::Txt,
        Type::Soa,
        Type::Ns,
        Type::Mx,
        Type::Any,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Type::A => "A",
            Type::Aaaa => "AAAA",
            Type::Cname => "CNAME",
            Type::Srv => "SRV",
            Type::Ptr => "PTR",
            Type::Txt => "TXT",
            Type::Soa => "SOA",
            Type::Ns => "NS",
            Type::Mx => "MX",
            Type::Any => "ANY",
        }
    }

    pub fn parse(text: &str) -> Option<Type> {
        Type::ALL
            .into_iter()
            .find(|t| t.name().eq_ignore_ascii_case(text))
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Cname(String),
    Srv {
        weight: u16,
        port: u16,
        target: String,
    },
    Ptr(String),
    Txt(String),
    Soa {
        zone: String,
        serial: i64,
        minimum: u32,
    },
    Ns(String),
}

/// One record; names end in a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub name: String,
    pub ttl: u32,
    pub data: Data,
}

impl Record {
    pub fn kind(&self) -> Type {
        match self.data {
            Data::A(_) => Type::A,
            Data::Cname(_) => Type::Cname,
            Data::Srv { .. } => Type::Srv,
            Data::Ptr(_) => Type::Ptr,
            Data::Txt(_) => Type::Txt,
            Data::Soa { .. } => Type::Soa,
            Data::Ns(_) => Type::Ns,
        }
    }

    /// The record's value as zone files have it.
    pub fn value(&self) -> String {
        match &self.data {
            Data::A(address) => address.to_string(),
            Data::Cname(name) | Data::Ptr(name) | Data::Ns(name) => name.clone(),
            Data::Srv {
                weight,
                port,
                target,
            } => format!("0 {weight} {port} {target}"),
            Data::Txt(text) => format!("\"{text}\""),
            Data::Soa {
                zone,
                serial,
                minimum,
            } => format!("ns.dns.{zone} hostmaster.{zone} {serial} 7200 1800 86400 {minimum}"),
        }
    }
}

/// How long a name is in a message.
fn wire_length(name: &str) -> usize {
    match name.trim_end_matches('.').len() {
        0 => 1,
        length => length + 2,
    }
}

impl Record {
    /// How long it is in a message (CoreDNS does not shorten names).
    fn length(&self) -> usize {
        let data = match &self.data {
            Data::A(_) => 4,
            Data::Cname(name) | Data::Ptr(name) | Data::Ns(name) => wire_length(name),
            Data::Srv { target, .. } => 6 + wire_length(target),
            Data::Txt(text) => 1 + text.len(),
            Data::Soa { zone, .. } => {
                20 + wire_length(&format!("ns.dns.{zone}"))
                    + wire_length(&format!("hostmaster.{zone}"))
            }
        };
        wire_length(&self.name) + 10 + data
    }
}

impl Answer {
    /// How long the message is that answers a question for this name, with EDNS.
    pub fn length(&self, name: &str) -> usize {
        const HEADER: usize = 12;
        const OPT: usize = 11;
        let records = self
            .answers
            .iter()
            .chain(&self.authority)
            .chain(&self.additional);
        let records: usize = records.map(Record::length).sum();
        HEADER + wire_length(name) + 4 + records + OPT
    }
}

/// A response's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NoError,
    NxDomain,
    ServFail,
    Refused,
}

impl Code {
    pub fn name(self) -> &'static str {
        match self {
            Code::NoError => "NOERROR",
            Code::NxDomain => "NXDOMAIN",
            Code::ServFail => "SERVFAIL",
            Code::Refused => "REFUSED",
        }
    }
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub code: Code,
    pub is_authoritative: bool,
    pub answers: Vec<Record>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
}

impl Answer {
    fn failed(code: Code) -> Answer {
        Answer {
            code,
            is_authoritative: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }
}

/// What a CoreDNS process keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    corefile: Arc<Corefile>,
    cache: Arc<BTreeMap<(String, Type), (Answer, Time)>>,
}

/// Answers that are kept at the most (`cache` keeps 9984).
const CACHE_MAX: usize = 9984;

/// A CoreDNS begins in a pod: reads its Corefile.
///
/// # Errors
/// What it writes before it exits.
pub(crate) fn begin(cluster: &Cluster, pod: &Value) -> Result<State, String> {
    let text = text(cluster, pod)
        .ok_or("plugin/reload: open /etc/coredns/Corefile: no such file or directory\n")?;
    let corefile = Corefile::parse(&text)?;
    Ok(State {
        corefile: Arc::new(corefile),
        cache: Arc::default(),
    })
}

/// The Corefile that the pod mounts.
fn text(cluster: &Cluster, pod: &Value) -> Option<String> {
    let namespace = pod["metadata"]["namespace"].str();
    pod["spec"]["volumes"].items().iter().find_map(|volume| {
        let map = cluster.find("configmaps", namespace, volume["configMap"]["name"].str())?;
        Some(map["data"]["Corefile"].as_str()?.to_owned())
    })
}

/// What the DNS server behind a listening socket answers; `None` where no DNS server listens.
pub(crate) fn ask(
    cluster: &mut Cluster,
    token: u64,
    name: &str,
    kind: Type,
    now: Time,
) -> Option<Answer> {
    let (node, sandbox, at) = cluster.container_of(token)?;
    let (node, uid, pod) = (node.clone(), sandbox.uid.clone(), sandbox.pod.clone());
    let mut state = match sandbox.containers.get(at)?.process.as_ref()? {
        Process::Serve(serve) if serve.answers == Server::Dns => serve.dns.clone()?,
        _ => return None,
    };
    if state.corefile.reloads {
        // The reload plugin reads the file again within half a minute.
        let changed = cluster
            .etcd
            .get(&pod)
            .and_then(|pod| text(cluster, pod))
            .and_then(|t| Corefile::parse(&t).ok());
        if let Some(corefile) = changed.filter(|c| *c != *state.corefile) {
            state = Arc::new(State {
                corefile: Arc::new(corefile),
                cache: Arc::default(),
            });
        }
    }
    let name = full(name);
    let key = (name.clone(), kind);
    let cached = state
        .cache
        .get(&key)
        .filter(|(_, until)| *until > now)
        .map(|(answer, until)| (answer.clone(), *until));
    let answer = match cached {
        Some((mut answer, until)) => {
            let left = u32::try_from(until.since(now).as_secs()).unwrap_or(0);
            answer
                .answers
                .iter_mut()
                .for_each(|r| r.ttl = r.ttl.min(left));
            answer
        }
        None => {
            let answer = state.corefile.answer(cluster, &name, kind);
            if let Some(ttl) = state.corefile.cache_seconds(&name, &answer) {
                let state = Arc::make_mut(&mut state);
                let cache = Arc::make_mut(&mut state.cache);
                cache.retain(|_, (_, until)| *until > now);
                if cache.len() < CACHE_MAX {
                    cache.insert(key, (answer.clone(), now + Duration::from_secs(ttl.into())));
                }
            }
            answer
        }
    };
    if let Some(container) = cluster
        .sandbox_mut(&node, &uid)
        .and_then(|s| s.containers.get_mut(at))
        && let Some(Process::Serve(serve)) = &mut container.process
    {
        Arc::make_mut(serve).dns = Some(state);
    }
    Some(shuffled(cluster, answer))
}

/// `loadbalance`: addresses in random order.
fn shuffled(cluster: &mut Cluster, mut answer: Answer) -> Answer {
    let first = answer
        .answers
        .iter()
        .position(|r| r.kind() == Type::A)
        .unwrap_or(0);
    let addresses = &mut answer.answers[first..];
    for at in (1..addresses.len()).rev() {
        let other = usize::try_from(cluster.rng.below(at as u64 + 1)).unwrap_or(0);
        addresses.swap(at, other);
    }
    answer
}

/// A name in small letters with its dot at the end.
pub(crate) fn full(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name.ends_with('.') {
        name
    } else {
        format!("{name}.")
    }
}
