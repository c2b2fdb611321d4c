//! The resolver of programs: /etc/hosts, /etc/resolv.conf with its search list, and queries that go
//! through the network (resolver(3), resolv.conf(5)).

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use kubarium_linux::{Connect, Payload, Verdict};

use super::Io;
use crate::dns::{self, Answer, Code, Data, Type};
use crate::runtime::files::View;
use crate::time::Time;

/// What /etc/resolv.conf says.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub servers: Vec<Ipv4Addr>,
    pub searches: Vec<String>,
    pub ndots: usize,
    pub timeout: Duration,
    pub attempts: u32,
}

impl Settings {
    pub fn read(files: &View) -> Settings {
        let mut settings = Settings {
            servers: Vec::new(),
            searches: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in files.text("/etc/resolv.conf").lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["nameserver", server, ..] => {
                    settings.servers.extend(server.parse::<Ipv4Addr>().ok())
                }
                ["search", searches @ ..] => {
                    settings.searches = searches.iter().map(|s| (*s).to_owned()).collect()
                }
                ["options", options @ ..] => {
                    for option in options {
                        let (name, value) = option.split_once(':').unwrap_or((option, ""));
                        match (name, value.parse::<u32>()) {
                            ("ndots", Ok(n)) => settings.ndots = n as usize,
                            ("timeout", Ok(n)) => settings.timeout = Duration::from_secs(n.into()),
                            ("attempts", Ok(n)) => settings.attempts = n,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        settings.servers.truncate(3);
        if settings.servers.is_empty() {
            settings.servers.push(Ipv4Addr::LOCALHOST);
        }
        settings
    }

    /// The names to ask for, in order: with the search list first where the name has few dots.
    pub fn candidates(&self, name: &str) -> VecDeque<String> {
        if name.ends_with('.') {
            return [name.to_owned()].into();
        }
        let searched = self.searches.iter().map(|s| format!("{name}.{s}"));
        let dots = name.matches('.').count();
        if dots >= self.ndots {
            std::iter::once(name.to_owned()).chain(searched).collect()
        } else {
            searched.chain([name.to_owned()]).collect()
        }
    }
}

/// What came of one query.
pub(crate) enum Queried {
    Answer(Box<Answer>),
    /// ICMP port unreachable.
    Refused,
    Unreachable,
    /// Nobody answered; how long it took to find out.
    Timeout(Duration),
}

/// Where and how to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub server: SocketAddrV4,
    pub sport: Option<u16>,
    pub tcp: bool,
    /// With EDNS, as dig asks.
    pub edns: bool,
    pub timeout: Duration,
}

/// Sends one query.
pub(crate) fn query(io: &mut Io<'_>, ask: Ask, name: &str, kind: Type) -> Queried {
    let base = if ask.tcp {
        Connect::tcp(io.place.netns, ask.server)
    } else {
        Connect::udp(io.place.netns, ask.server)
    };
    let timeout = kubarium_linux::Time(u64::try_from(ask.timeout.as_nanos()).unwrap_or(u64::MAX));
    let id = dns::wire::id(name, kind, io.now);
    let framed = |message| {
        if ask.tcp {
            dns::wire::on_tcp(message)
        } else {
            message
        }
    };
    let message = Payload::from(framed(dns::wire::query(id, name, kind, ask.edns)));
    let connect = Connect {
        sport: ask.sport,
        timeout,
        request: message.length,
        data: message.data.clone(),
        waits: true,
        ..base
    };
    let connection = io.cluster.send(&connect, io.now);
    match connection.verdict {
        Verdict::Connected | Verdict::Stalled => {}
        Verdict::Refused => return Queried::Refused,
        Verdict::Unreachable | Verdict::Denied => return Queried::Unreachable,
        Verdict::Timeout => return Queried::Timeout(ask.timeout),
    }
    let token = connection.server.map_or(0, |(_, token)| token);
    let answer = dns::ask(io.cluster, token, name, kind, io.now);
    let said = answer.as_ref().map_or_else(
        || Payload::opaque(message.length),
        |answer| Payload::from(framed(answer.message(id, name, kind, ask.edns))),
    );
    let arrived = io.cluster.converse(&connection, message, said);
    match answer.filter(|_| arrived == Verdict::Connected) {
        Some(answer) => Queried::Answer(Box::new(answer)),
        // Something else than a DNS server, whose answer is no message, or an answer that was lost.
        None => Queried::Timeout(ask.timeout),
    }
}

/// A name that is being looked up.
#[derive(Clone, Debug)]
pub(crate) struct Resolve {
    name: String,
    candidates: VecDeque<String>,
    server: usize,
    attempt: u32,
    settings: Option<Box<Settings>>,
    /// Until when an answer is waited for.
    until: Time,
}

/// How far a lookup has come.
pub(crate) enum Resolved {
    Addresses(Vec<Ipv4Addr>),
    /// There is no such name, it has no address, or nobody could say.
    Failed,
    Later(Time),
}

impl Resolve {
    pub fn new(name: &str) -> Resolve {
        Resolve {
            name: name.to_owned(),
            candidates: VecDeque::new(),
            server: 0,
            attempt: 0,
            settings: None,
            until: Time::default(),
        }
    }

    pub fn step(&mut self, io: &mut Io<'_>) -> Resolved {
        // A program can be woken by something else.
        if io.now < self.until {
            return Resolved::Later(self.until);
        }
        if let Ok(address) = self.name.parse() {
            return Resolved::Addresses(vec![address]);
        }
        if self.settings.is_none() {
            if let Some(addresses) = from_hosts(io.files, &self.name) {
                return Resolved::Addresses(addresses);
            }
            let settings = Settings::read(io.files);
            self.candidates = settings.candidates(&self.name);
            self.settings = Some(Box::new(settings));
        }
        let Some(settings) = self.settings.clone() else {
            return Resolved::Failed;
        };
        while let Some(name) = self.candidates.front().cloned() {
            let server = settings
                .servers
                .get(self.server)
                .copied()
                .unwrap_or(Ipv4Addr::LOCALHOST);
            let ask = Ask {
                server: SocketAddrV4::new(server, 53),
                sport: None,
                tcp: false,
                edns: false,
                timeout: settings.timeout,
            };
            match query(io, ask, &name, Type::A) {
                Queried::Answer(answer) => {
                    let addresses: Vec<Ipv4Addr> = answer
                        .answers
                        .iter()
                        .filter_map(|r| match r.data {
                            Data::A(address) => Some(address),
                            _ => None,
                        })
                        .collect();
                    if answer.code == Code::NoError && !addresses.is_empty() {
                        return Resolved::Addresses(by_prefix(io, addresses));
                    }
                    (self.server, self.attempt) = (0, 0);
                    self.candidates.pop_front();
                }
                Queried::Refused | Queried::Unreachable => {
                    if !self.next_server(&settings) {
                        return Resolved::Failed;
                    }
                }
                Queried::Timeout(took) => {
                    if !self.next_server(&settings) {
                        self.candidates.clear();
                    }
                    self.until = io.now + took;
                    return Resolved::Later(self.until);
                }
            }
        }
        Resolved::Failed
    }

    fn next_server(&mut self, settings: &Settings) -> bool {
        self.server += 1;
        if self.server >= settings.servers.len() {
            self.server = 0;
            self.attempt += 1;
        }
        self.attempt < settings.attempts
    }
}

/// What /etc/hosts says of a name.
pub(crate) fn from_hosts(files: &View, name: &str) -> Option<Vec<Ipv4Addr>> {
    let text = files.text("/etc/hosts");
    let wanted = name.trim_end_matches('.');
    let found: Vec<Ipv4Addr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|w| w.eq_ignore_ascii_case(wanted))
                .then_some(address)
        })
        .collect();
    (!found.is_empty()).then_some(found)
}

/// The resolver puts addresses first that share more of their beginning with the own one
/// (RFC 6724, rule 9).
fn by_prefix(io: &Io<'_>, mut addresses: Vec<Ipv4Addr>) -> Vec<Ipv4Addr> {
    let net = &io.cluster.net;
    let own: Vec<_> = net
        .links_of(io.place.netns)
        .flat_map(|l| l.addresses.iter())
        .filter(|a| !a.net.addr().is_loopback())
        .collect();
    let shared = |address: &Ipv4Addr| {
        let in_subnet = own.iter().find(|a| a.net.contains(address));
        in_subnet.map_or(0, |a| {
            (u32::from(a.net.addr()) ^ u32::from(*address)).leading_zeros()
        })
    };
    // Beyond the own network all count alike, and the order of the answer stays.
    addresses.sort_by_key(|a| std::cmp::Reverse(shared(a)));
    addresses
}
