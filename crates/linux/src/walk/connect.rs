//! A connection from its first packet to its last, and its client: it connects, asks and hangs up.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use super::arp::SECOND;
use super::engine::{Paused, Skb, Timer, Walk};
use super::ip::Way;
use super::server::{Session, from_to, piece};
use super::{Connect, Connection, IcmpError, Upkeep, Verdict};
use crate::errno::Errno;
use crate::link::{LinkKind, NamespaceId};
use crate::network::Network;
use crate::packet::{Headers, Ipv4, Packet, Protocol, TcpFlags, Transport};
use crate::route::RouteKind;
use crate::time::{Dice, Time};
use crate::trace::{Event, Phase, Trace};

/// IP and TCP headers with timestamps: what a segment has beside its payload.
const SEGMENT_HEADERS: u32 = 52;
/// The longest IP packet, which `lo` takes.
const LOOPBACK: u32 = 65535;
/// SYNs sent a second apart before the wait doubles (`tcp_syn_linear_timeouts`, Linux 6.5).
const LINEAR: u32 = 4;
/// Largest payload that is sent segment by segment.
pub(super) const LARGEST: u32 = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// SYN, datagram or echo sent.
    Asked,
    /// Connected.
    Established,
    /// FIN sent.
    Closing,
    Done,
}

/// The socket that asks.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(super) request: Connect,
    local: SocketAddrV4,
    started: Time,
    state: State,
    verdict: Option<Verdict>,
    pub(super) got: u32,
    answer_ttl: Option<u8>,
    error: Option<IcmpError>,
    /// TCP: the sequence number of its SYN.
    isn: u32,
    /// TCP: that of the server's SYN, once it has come.
    server_isn: Option<u32>,
    /// TCP: the server has sent its FIN.
    server_closed: bool,
    /// The answer's content, where somebody gave it.
    pub(super) answer: Option<Arc<[u8]>>,
    /// The server, once it has answered.
    session: Option<Session>,
    /// The path MTU that was known when the socket was opened.
    path_mtu: Option<u32>,
    /// TCP: how often it has sent again after a time-out.
    rehashed: u8,
}

/// What is said in one direction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Payload {
    /// Bytes.
    pub length: u32,
    /// What they are, where that is known.
    pub data: Option<Arc<[u8]>>,
}

impl Payload {
    /// So many bytes of which nothing is known.
    #[must_use]
    pub fn opaque(length: u32) -> Payload {
        Payload { length, data: None }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Payload {
        Payload {
            length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            data: Some(bytes.into()),
        }
    }
}

/// A conversation that waits for what its two sides have to say (`Connect::waits`): it goes on with
/// `Network::go_on`. One that is dropped stays as it is: open, and silent.
#[derive(Clone, Debug)]
pub struct Conversation(Paused);

/// One end of a TCP conversation.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub namespace: NamespaceId,
    /// Its initial sequence number.
    pub isn: u32,
    /// The other end, as it knows it.
    pub remote: Ipv4Addr,
}

impl Client {
    pub fn finished(&self) -> bool {
        self.verdict.is_some()
    }

    fn remote(&self) -> SocketAddrV4 {
        match self.request.protocol {
            Protocol::ICMP => SocketAddrV4::new(*self.request.dst.ip(), self.local.port()),
            _ => self.request.dst,
        }
    }

    pub fn is_for(&self, namespace: NamespaceId, headers: &Headers) -> bool {
        let (from, to) = from_to(headers);
        let echo = !matches!(headers.l4, Transport::Icmp { kind: 8, .. });
        self.request.from == namespace
            && self.request.protocol == headers.ip.protocol
            && echo
            // ping takes an answer from whoever it comes.
            && (from == self.remote() || headers.ip.protocol == Protocol::ICMP)
            && to == self.local
    }

    pub fn sent(&self, namespace: NamespaceId, quoted: &Headers) -> bool {
        let (from, to) = from_to(quoted);
        self.request.from == namespace
            && self.request.protocol == quoted.ip.protocol
            && from == self.local
            && to == self.remote()
    }
}

impl Walk<'_> {
    /// The two ends of the conversation: client and server.
    pub(super) fn ends(&self) -> Option<(End, End)> {
        let client = self.client.as_ref()?;
        let own = End {
            namespace: client.request.from,
            isn: client.isn,
            remote: *client.request.dst.ip(),
        };
        let server = self.sessions.last().map(|session| End {
            namespace: session.namespace,
            isn: session.isn,
            remote: *session.remote.ip(),
        });
        Some((own, server.unwrap_or(End { isn: 0, ..own })))
    }

    /// Sends one packet of the client's, from the `offset`th byte that it has to say on. `first`: a SYN, datagram
    /// or echo.
    fn client_send(
        &mut self,
        flags: TcpFlags,
        offset: u32,
        length: u32,
        first: bool,
    ) -> Result<(), Errno> {
        let Some(client) = &self.client else {
            return Ok(());
        };
        let request = &client.request;
        let (protocol, bound) = (request.protocol, request.source.is_some());
        let (sport, dport) = (client.local.port(), request.dst.port());
        let l4 = match request.protocol {
            Protocol::TCP => Transport::Tcp {
                sport,
                dport,
                flags,
                seq: if first {
                    client.isn
                } else {
                    client.isn.wrapping_add(1).wrapping_add(offset)
                },
                ack: client.server_isn.map_or(0, |isn| {
                    let closed = u32::from(client.server_closed);
                    isn.wrapping_add(1 + closed).wrapping_add(client.got)
                }),
            },
            Protocol::UDP => Transport::Udp { sport, dport },
            Protocol::ICMP => Transport::Icmp {
                kind: 8,
                code: 0,
                id: sport,
                seq: request.echo,
            },
            Protocol::SCTP => Transport::Sctp { sport, dport },
            _ => Transport::Other,
        };
        let ttl = if request.ttl == 0 { 64 } else { request.ttl };
        let df = match request.protocol {
            Protocol::TCP => true,
            Protocol::UDP => length <= 1400,
            _ => request.whole,
        };
        let ip = Ipv4 {
            src: *client.local.ip(),
            dst: *request.dst.ip(),
            ttl,
            protocol: request.protocol,
            id: 0,
            df,
        };
        let mut packet = Packet::new(Headers {
            eth: Default::default(),
            ip,
            l4,
        });
        (packet.length, packet.rehashed) = (length, client.rehashed);
        if !self.net.captures.is_empty() {
            packet.data = piece(&request.data, offset, length);
        }
        let traced = self.trace.as_deref().is_some_and(|t| first || t.everything);
        let namespace = request.from;
        let skb = Box::new(Skb::new(packet, Phase::Request, traced));
        self.note(namespace, None, &skb, Event::Sent);
        // An unbound socket that is not connected (ping's) looks its routes up without a source.
        let free = protocol == Protocol::ICMP && !bound;
        let way = if free { Way::Destination } else { Way::Source };
        self.send_local(namespace, skb, way)
    }

    fn finish(&mut self, verdict: Verdict) {
        if let Some(client) = &mut self.client
            && client.verdict.is_none()
        {
            client.verdict = Some(verdict);
            client.state = State::Done;
        }
    }

    /// The first packet, and again every time the wait is over.
    fn client_ask(&mut self, count: u32) {
        let Some(client) = &self.client else { return };
        let (protocol, length, resend) = (
            client.request.protocol,
            client.request.request,
            client.request.resend,
        );
        let tcp = protocol == Protocol::TCP;
        if tcp {
            // 1, 2, 3, 4, 5, 7, 11, 19 … s
            let wait = 1u64 << count.saturating_sub(LINEAR).min(6);
            self.set_timer(Time(SECOND.0 * wait), Timer::Resend(count + 1));
        } else if let Some(after) = resend {
            self.set_timer(after, Timer::Resend(count + 1));
        }
        let sent = if tcp {
            self.client_send(TcpFlags::SYN, 0, 0, true)
        } else {
            self.client_send(TcpFlags(0), 0, length, true)
        };
        match sent {
            Ok(()) => {}
            // A TCP socket sends its SYN again; the error of a datagram is its sender's.
            Err(Errno::EPERM) if tcp => {}
            Err(Errno::EPERM) => self.finish(Verdict::Denied),
            Err(_) => self.finish(Verdict::Unreachable),
        }
    }

    pub fn resend(&mut self, count: u32) {
        let Some(client) = &mut self.client else {
            return;
        };
        if client.request.protocol == Protocol::TCP {
            client.rehashed = client.rehashed.wrapping_add(1);
        }
        match client.state {
            State::Asked => self.client_ask(count),
            State::Established | State::Closing => {
                // 0.2, 0.4, 0.8 … s
                self.set_timer(
                    Time::from_millis(200 << count.min(9)),
                    Timer::Resend(count + 1),
                );
                self.client_again();
                if let Some(at) = self.served() {
                    self.server_again(at);
                }
            }
            State::Done => {}
        }
    }

    /// Sends what the server has not got yet.
    fn client_again(&mut self) {
        let Some(client) = &self.client else { return };
        let request = client.request.request.min(LARGEST);
        if client.state == State::Closing {
            let _ = self.client_send(TcpFlags::FIN_ACK, request, 0, false);
            return;
        }
        let received = self
            .served()
            .and_then(|at| self.sessions.get(at))
            .map_or(0, |s| s.received);
        let (from, to) = (client.request.from, *client.request.dst.ip());
        let mss = self.segment(from, to);
        let mut rest = request.saturating_sub(received);
        while rest > 0 {
            let (offset, length) = (request - rest, rest.min(mss));
            rest -= length;
            let flags = if rest == 0 {
                TcpFlags::PSH_ACK
            } else {
                TcpFlags::ACK
            };
            if self.client_send(flags, offset, length, false).is_err() {
                break;
            }
        }
    }

    /// The session that serves the client: of this walk the newest with its token.
    fn served(&self) -> Option<usize> {
        let served = self.client.as_ref()?.session.as_ref()?;
        self.sessions.iter().rposition(|s| {
            s.namespace == served.namespace && s.local == served.local && s.remote == served.remote
        })
    }

    /// What was learned of the way to an address.
    fn path_mtu(&self, namespace: NamespaceId, dst: Ipv4Addr) -> Option<u32> {
        self.namespace(namespace)?
            .rare()
            .path_mtu
            .get(&dst)
            .copied()
    }

    /// Payload that fits one segment on the way to an address: by the MTUs of both ends and what was learned since.
    pub fn segment(&self, namespace: NamespaceId, dst: Ipv4Addr) -> u32 {
        let end = |namespace: NamespaceId, dst: Ipv4Addr| {
            let ns = self.namespace(namespace)?;
            let (route, _) = self.net.route(ns, &crate::route::Flow::to(dst))?;
            let link = self.link(route.dev?)?;
            let learned = self.path_mtu(namespace, dst);
            if route.kind == RouteKind::Local {
                // A socket keeps its route to an own address of another device than `lo`, which address translation may
                // have led elsewhere: what is learned of the path holds for later sockets only, for no next hop caches
                // such a route (`__mkroute_output`).
                let kept = !matches!(link.kind, LinkKind::Loopback);
                let opened = || self.client.as_ref().and_then(|c| c.path_mtu);
                let known = if kept { opened() } else { learned };
                return Some(known.unwrap_or(LOOPBACK).min(LOOPBACK));
            }
            let mtu = link.mtu;
            Some(learned.map_or(mtu, |learned| mtu.min(learned)))
        };
        let own = end(namespace, dst).unwrap_or(1500);
        let other = self.client.as_ref().and_then(|c| {
            let server = c.session.as_ref()?;
            if namespace == server.namespace {
                end(c.request.from, *c.request.dst.ip())
            } else {
                end(server.namespace, *server.remote.ip())
            }
        });
        own.min(other.unwrap_or(1500)).max(576) - SEGMENT_HEADERS
    }

    pub fn deadline(&mut self) {
        let verdict = match self.client.as_ref().map(|c| c.state) {
            Some(State::Asked) => Verdict::Timeout,
            Some(State::Closing) => Verdict::Connected,
            _ => Verdict::Stalled,
        };
        self.finish(verdict);
    }

    pub fn client_receive(&mut self, skb: &Skb) {
        let headers = *skb.headers();
        let serving = self.sessions.last().cloned();
        let Some(client) = &mut self.client else {
            return;
        };
        client.answer_ttl = Some(headers.ip.ttl);
        let Transport::Tcp { flags, seq, .. } = headers.l4 else {
            client.session = serving;
            client.got += skb.packet.length;
            self.finish(Verdict::Connected);
            return;
        };
        if flags.has(TcpFlags::RST) {
            let refused = client.state == State::Asked;
            self.finish(if refused {
                Verdict::Refused
            } else {
                Verdict::Stalled
            });
            return;
        }
        let said = client.request.request.min(LARGEST);
        match client.state {
            State::Asked if flags.has(TcpFlags::SYN_ACK) => {
                client.state = State::Established;
                client.session = serving;
                client.server_isn = Some(seq);
                let only = client.request.handshake || client.request.waits;
                self.cancel_timers(|t| matches!(t, Timer::Resend(_)));
                let _ = self.client_send(TcpFlags::ACK, 0, 0, false);
                if only {
                    self.finish(Verdict::Connected);
                    return;
                }
                self.client_says();
            }
            State::Established => {
                let first = client.server_isn.unwrap_or(0).wrapping_add(1);
                let known = client.got.wrapping_sub(seq.wrapping_sub(first));
                client.got += skb.packet.length.saturating_sub(known);
                self.close_if_answered();
            }
            State::Closing if flags.has(TcpFlags::FIN) => {
                client.server_closed = true;
                let _ = self.client_send(TcpFlags::ACK, said.wrapping_add(1), 0, false);
                self.finish(Verdict::Connected);
            }
            _ => {}
        }
    }

    /// Connected: the client sends what it has to say.
    fn client_says(&mut self) {
        self.set_timer(Time::from_millis(200), Timer::Resend(1));
        self.client_again();
        self.close_if_answered();
    }

    fn close_if_answered(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        if client.state == State::Established && client.got >= client.request.answer.min(LARGEST) {
            client.state = State::Closing;
            let said = client.request.request.min(LARGEST);
            let _ = self.client_send(TcpFlags::FIN_ACK, said, 0, false);
        }
    }

    /// An ICMP error for the client. `narrowed`: the path's MTU is smaller than was known.
    pub fn client_error(&mut self, from: Ipv4Addr, kind: u8, code: u8, narrowed: bool) {
        let Some(client) = &mut self.client else {
            return;
        };
        client.error = Some(IcmpError { from, kind, code });
        let asked = client.state == State::Asked;
        let (tcp, probing) = (
            client.request.protocol == Protocol::TCP,
            client.request.ttl != 0,
        );
        match (kind, code) {
            // Only what has become smaller is sent again at once (`tcp_v4_mtu_reduced`).
            (3, 4) if narrowed && !(asked && tcp) => self.client_again(),
            (3, 4) => {}
            // icmp_err_convert: which codes end a connecting socket, and with what
            (3, 2 | 3) if asked => self.finish(Verdict::Refused),
            (3, 6..=10 | 13..=15) if asked => self.finish(Verdict::Unreachable),
            (3 | 11, _) if asked && (tcp || probing) => self.finish(Verdict::Unreachable),
            _ => {}
        }
    }

    /// Opens the client's socket and sends its first packet. Errors: no way there, nothing is sent.
    pub fn begin(&mut self, request: &Connect) -> Result<(), Errno> {
        let source = match request.source {
            Some(source) => source,
            None => self.source_for(request.from, *request.dst.ip())?,
        };
        // ping connects a socket of its own to learn its source, and with that another route may be meant
        // (`ip_route_connect`), though what it sends takes the first.
        if request.protocol == Protocol::ICMP && request.source.is_none() {
            self.connectable(request.from, source, *request.dst.ip())?;
        }
        let sport = request
            .sport
            .unwrap_or_else(|| 32768 + self.dice.number(28232) as u16);
        let started = self.now;
        self.client = Some(Client {
            request: request.clone(),
            local: SocketAddrV4::new(source, sport),
            started,
            state: State::Asked,
            verdict: None,
            got: 0,
            answer_ttl: None,
            error: None,
            isn: self.dice.number(u32::MAX),
            server_isn: None,
            server_closed: false,
            answer: None,
            session: None,
            path_mtu: self.path_mtu(request.from, *request.dst.ip()),
            rehashed: 0,
        });
        self.set_timer(request.timeout, Timer::Deadline);
        self.client_ask(0);
        Ok(())
    }

    /// Goes on with a conversation: both sides say what they have to say.
    fn converse(&mut self, request: Option<Payload>, answer: Payload) {
        let held = self.held.take();
        let Some(client) = &mut self.client else {
            return;
        };
        if let Some(request) = request {
            (client.request.request, client.request.data) = (request.length, request.data);
        }
        (client.request.answer, client.answer) = (answer.length, answer.data);
        (client.request.waits, client.request.handshake) = (false, false);
        client.verdict = None;
        match held {
            Some(skb) => {
                let at = self.sessions.len().saturating_sub(1);
                self.server_receive(at, &skb);
            }
            None => {
                client.state = State::Established;
                self.client_says();
            }
        }
        self.run();
    }

    /// What became of the client's connection.
    pub fn outcome(&mut self) -> Connection {
        let mut connection = Connection::unreachable();
        if self.held.is_some() {
            let session = self.sessions.last().cloned();
            if let Some(client) = &mut self.client {
                client.session = session;
                client.verdict = Some(Verdict::Connected);
            }
        }
        let Some(client) = self.client.clone() else {
            return connection;
        };
        connection.verdict = client.verdict.unwrap_or(Verdict::Timeout);
        connection.local = Some(client.local);
        connection.elapsed = self.now - client.started;
        connection.answer_ttl = client.answer_ttl;
        connection.error = client.error;
        if let Some(session) = client
            .session
            .filter(|_| matches!(connection.verdict, Verdict::Connected | Verdict::Stalled))
        {
            connection.server = Some((session.namespace, session.token));
            connection.seen_source = Some(session.remote);
            connection.server_address = Some(session.local);
        }
        connection
    }

    fn run_client(&mut self, request: &Connect) -> Connection {
        if self.begin(request).is_ok() {
            self.run();
        }
        self.outcome()
    }
}

/// What waits, if it does.
fn kept(walk: Walk<'_>, mut connection: Connection) -> Connection {
    let waits = walk.client.as_ref().is_some_and(|c| c.request.waits);
    if waits && connection.verdict == Verdict::Connected {
        connection.conversation = Some(Box::new(Conversation(walk.pause())));
    }
    connection
}

impl Network {
    /// Runs one connection from its first packet to its last, through everything that is on the way, and says what
    /// became of it. What packets leave behind (connections tracked, counters, neighbours, forwarding entries) stays.
    /// A TCP connection is SYN, SYN-ACK, ACK, the request, the answer, and a FIN each way; UDP and ICMP are one packet
    /// and its answer. With a `trace`, the first request packet and its answer are noted hop by hop.
    pub fn connect(
        &mut self,
        request: &Connect,
        now: Time,
        dice: &mut dyn Dice,
        trace: Option<&mut Trace>,
    ) -> Connection {
        let mut walk = Walk::new(self, now, dice, trace);
        let connection = walk.run_client(request);
        kept(walk, connection)
    }

    /// Goes on with a conversation that waited (`Connect::waits`). A `request` takes the place of the one that it was
    /// begun with, where that has not been sent yet (TCP).
    pub fn go_on(
        &mut self,
        conversation: Conversation,
        request: Option<Payload>,
        answer: Payload,
        dice: &mut dyn Dice,
        trace: Option<&mut Trace>,
    ) -> Connection {
        let mut walk = Walk::resume(self, dice, conversation.0);
        walk.trace = trace;
        walk.converse(request, answer);
        walk.outcome()
    }

    /// The same, with somebody who sees to a namespace before its rules are asked.
    pub fn connect_with(
        &mut self,
        request: &Connect,
        now: Time,
        dice: &mut dyn Dice,
        trace: Option<&mut Trace>,
        upkeep: &mut dyn Upkeep,
    ) -> Connection {
        let mut walk = Walk::new(self, now, dice, trace);
        walk.upkeep = Some(upkeep);
        let connection = walk.run_client(request);
        kept(walk, connection)
    }

    /// Asks by ARP who has an address (arping): who answered, and after what time.
    pub fn ask_neighbour(
        &mut self,
        link: crate::LinkId,
        sender: Ipv4Addr,
        target: Ipv4Addr,
        now: Time,
    ) -> Option<(crate::Mac, Time)> {
        let mut dice = crate::SeededDice(0);
        Walk::new(self, now, &mut dice, None).ask_neighbour(link, sender, target)
    }

    /// A device's gratuitous ARP, as a CNI plugin sends it when a pod's device is ready: bridges on the way learn where
    /// its address is.
    pub fn announce(&mut self, link: crate::LinkId, address: Ipv4Addr, now: Time) {
        let mut dice = crate::SeededDice(0);
        Walk::new(self, now, &mut dice, None).announce(link, address);
    }
}
