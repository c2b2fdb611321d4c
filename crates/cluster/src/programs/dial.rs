//! Connecting: one attempt, and the attempts that TCP makes until it is answered.

use std::net::SocketAddrV4;
use std::time::Duration;

use kubarium_linux::{Connect, Connection, Dice, Payload, Protocol, Verdict};

use super::Io;
use crate::cluster::Cluster;
use crate::kube_proxy;
use crate::rng::Rng;
use crate::time::Time;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Refused,
    Unreachable,
    Timeout,
}

impl Dice for Rng {
    fn choose(&mut self, numerator: u32) -> bool {
        (self.next_u64() >> 33) < u64::from(numerator)
    }

    fn pick(&mut self, below: u32) -> u32 {
        self.number(below)
    }

    fn number(&mut self, below: u32) -> u32 {
        u32::try_from(self.below(u64::from(below))).unwrap_or(0)
    }
}

impl Cluster {
    /// Sends what is asked for through the network, at `now`.
    pub(crate) fn send(&mut self, connect: &Connect, now: Time) -> Connection {
        kube_proxy::connect(self, connect, now, None)
    }

    /// Goes on with a conversation that waits (`Connect::waits`): what its sides say goes through the network. How
    /// that ended.
    pub(crate) fn converse(
        &mut self,
        connection: &Connection,
        request: Payload,
        answer: Payload,
    ) -> Verdict {
        let Some(conversation) = connection.conversation.as_deref().cloned() else {
            return connection.verdict;
        };
        let ended = self
            .net
            .go_on(conversation, Some(request), answer, &mut self.rng, None);
        ended.verdict
    }

    /// The same from a node to one of its own pods: only its own rules matter.
    pub(crate) fn send_within(&mut self, node: &str, connect: &Connect) -> Connection {
        kube_proxy::bring_up_to_date(self, node);
        let now = kubarium_linux::Time(self.now.0);
        self.net.connect(connect, now, &mut self.rng, None)
    }
}

fn span(d: Duration) -> kubarium_linux::Time {
    kubarium_linux::Time(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// One TCP connection, without letting time pass; one that `waits` goes on with [`Cluster::converse`].
pub(crate) fn once(
    cluster: &mut Cluster,
    node: &str,
    target: SocketAddrV4,
    timeout: Duration,
    waits: bool,
) -> Result<Connection, Failure> {
    let Some(machine) = cluster.machines.get(node) else {
        return Err(Failure::Unreachable);
    };
    let connect = Connect {
        timeout: span(timeout),
        waits,
        ..Connect::tcp(machine.netns, target)
    };
    let is_own = machine.pod_net.is_some_and(|net| net.contains(target.ip()))
        || *target.ip() == machine.address;
    let now = cluster.now;
    outcome(if is_own {
        cluster.send_within(node, &connect)
    } else {
        cluster.send(&connect, now)
    })
}

fn outcome(connection: Connection) -> Result<Connection, Failure> {
    match connection.verdict {
        Verdict::Connected | Verdict::Stalled => Ok(connection),
        Verdict::Refused => Err(Failure::Refused),
        Verdict::Unreachable | Verdict::Denied => Err(Failure::Unreachable),
        Verdict::Timeout => Err(Failure::Timeout),
    }
}

/// A connection that is being made: SYN is sent again after 1 s, 3 s, 7 s … (tcp(7),
/// `tcp_syn_retries`).
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    pub target: SocketAddrV4,
    sport: Option<u16>,
    tries: u32,
    protocol: Protocol,
}

/// How far a connection has come.
#[derive(Clone, Debug)]
pub(crate) enum Dialled {
    Done(Box<Connection>),
    Failed(Failure),
    /// Try again then.
    Later(Time),
}

/// Seven SYNs (net.ipv4.tcp_syn_retries = 6).
const TRIES_MAX: u32 = 7;

impl Dial {
    pub fn tcp(target: SocketAddrV4, sport: Option<u16>) -> Dial {
        Dial {
            target,
            sport,
            tries: 0,
            protocol: Protocol::TCP,
        }
    }

    /// Tries (again); waits for an answer until `end` at the longest.
    pub fn step(&mut self, io: &mut Io<'_>, end: Option<Time>) -> Dialled {
        let wait = Duration::from_secs(1 << self.tries.min(6));
        let left = end.map_or(wait, |end| end.since(io.now));
        let base = Connect::tcp(io.place.netns, self.target);
        let connect = Connect {
            protocol: self.protocol,
            sport: self.sport,
            timeout: span(wait.min(left)),
            waits: true,
            ..base
        };
        let connection = io.cluster.send(&connect, io.now);
        self.sport = self.sport.or(connection.local.map(|l| l.port()));
        let took = Duration::from_nanos(connection.elapsed.0);
        match outcome(connection) {
            Ok(connection) => Dialled::Done(Box::new(connection)),
            Err(Failure::Timeout) => {
                self.tries += 1;
                if self.tries >= TRIES_MAX {
                    Dialled::Failed(Failure::Timeout)
                } else {
                    Dialled::Later(io.now + wait.min(left))
                }
            }
            // A neighbour that does not answer takes three seconds to fail.
            Err(failure) if took > Duration::from_secs(1) && self.tries == 0 => {
                self.tries = TRIES_MAX;
                let _ = failure;
                Dialled::Later(io.now + took)
            }
            Err(failure) => Dialled::Failed(failure),
        }
    }
}
