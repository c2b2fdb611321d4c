//! The two ends of a conversation: a client that connects, asks and hangs up, and servers that answer.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::arp::SECOND;
use super::engine::{Skb, Timer, Walk};
use super::ip::Way;
use super::{Connect, Connection, IcmpError, Upkeep, Verdict};
use crate::errno::Errno;
use crate::link::NamespaceId;
use crate::network::Network;
use crate::packet::{Headers, Ipv4, Packet, Protocol, TcpFlags, Transport};
use crate::time::{Dice, Time};
use crate::trace::{Event, Phase, Trace};

/// IP and TCP headers with timestamps: what a segment has beside its payload.
const SEGMENT_HEADERS: u32 = 52;
/// SYNs sent a second apart before the wait doubles (`tcp_syn_linear_timeouts`, Linux 6.5).
const LINEAR: u32 = 4;
/// Largest payload that is sent segment by segment.
const LARGEST: u32 = 1 << 20;

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
    request: Connect,
    local: SocketAddrV4,
    started: Time,
    state: State,
    verdict: Option<Verdict>,
    got: u32,
    answer_ttl: Option<u8>,
    error: Option<IcmpError>,
    seq: u32,
    /// The server, once it has answered.
    session: Option<Session>,
}

/// A server's side of one conversation.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    namespace: NamespaceId,
    protocol: Protocol,
    local: SocketAddrV4,
    remote: SocketAddrV4,
    token: u64,
    received: u32,
    answered: bool,
    closed: bool,
}

/// Address and "port" (an echo's identifier) of the side that sent.
fn from_to(headers: &Headers) -> (SocketAddrV4, SocketAddrV4) {
    match headers.l4 {
        Transport::Icmp { id, .. } => (
            SocketAddrV4::new(headers.ip.src, id),
            SocketAddrV4::new(headers.ip.dst, id),
        ),
        _ => (headers.source(), headers.destination()),
    }
}

impl Session {
    pub fn new(namespace: NamespaceId, headers: &Headers, token: u64) -> Session {
        let (remote, local) = from_to(headers);
        Session {
            namespace,
            protocol: headers.ip.protocol,
            local,
            remote,
            token,
            received: 0,
            answered: false,
            closed: false,
        }
    }

    pub fn is_for(&self, namespace: NamespaceId, headers: &Headers) -> bool {
        let (from, to) = from_to(headers);
        self.namespace == namespace
            && self.protocol == headers.ip.protocol
            && self.protocol != Protocol::ICMP
            && self.remote == from
            && self.local == to
    }

    /// Is this the header of a packet that it sent?
    pub fn sent(&self, namespace: NamespaceId, quoted: &Headers) -> bool {
        let (from, to) = from_to(quoted);
        self.namespace == namespace
            && self.protocol == quoted.ip.protocol
            && self.local == from
            && self.remote == to
    }
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
            && from == self.remote()
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
    /// Sends one packet of the client's. `first`: a SYN, datagram or echo.
    fn client_send(&mut self, flags: TcpFlags, length: u32, first: bool) -> Result<(), Errno> {
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
                seq: client.seq,
                ack: 0,
            },
            Protocol::UDP => Transport::Udp { sport, dport },
            Protocol::ICMP => Transport::Icmp {
                kind: 8,
                code: 0,
                id: sport,
                seq: 1,
            },
            Protocol::SCTP => Transport::Sctp { sport, dport },
            _ => Transport::Other,
        };
        let ttl = if request.ttl == 0 { 64 } else { request.ttl };
        let df = request.protocol == Protocol::TCP
            || request.protocol == Protocol::UDP && length <= 1400;
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
        packet.length = length;
        packet.data = if first { None } else { request.data.clone() };
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
            self.client_send(TcpFlags::SYN, 0, true)
        } else {
            self.client_send(TcpFlags(0), length, true)
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
        let Some(client) = &self.client else { return };
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
        if client.state == State::Closing {
            let _ = self.client_send(TcpFlags::FIN_ACK, 0, false);
            return;
        }
        let request = client.request.request.min(LARGEST);
        let received = self
            .served()
            .and_then(|at| self.sessions.get(at))
            .map_or(0, |s| s.received);
        let (from, to) = (client.request.from, *client.request.dst.ip());
        let mss = self.segment(from, to);
        let mut rest = request.saturating_sub(received);
        while rest > 0 {
            let length = rest.min(mss);
            rest -= length;
            if self.client_send(TcpFlags::PSH_ACK, length, false).is_err() {
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

    /// Payload that fits one segment on the way to an address: by the MTUs of both ends and what was learned since.
    fn segment(&self, namespace: NamespaceId, dst: Ipv4Addr) -> u32 {
        let end = |namespace: NamespaceId, dst: Ipv4Addr| {
            let ns = self.namespace(namespace)?;
            let (route, _) = self.net.route(ns, &crate::route::Flow::to(dst))?;
            let mtu = self.link(route.dev?)?.mtu;
            Some(
                ns.path_mtu
                    .get(&dst)
                    .map_or(mtu, |learned| mtu.min(*learned)),
            )
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
        let Transport::Tcp { flags, .. } = headers.l4 else {
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
        match client.state {
            State::Asked if flags.has(TcpFlags::SYN_ACK) => {
                client.state = State::Established;
                client.session = serving;
                client.seq = client.seq.wrapping_add(1);
                self.cancel_timers(|t| matches!(t, Timer::Resend(_)));
                self.set_timer(Time::from_millis(200), Timer::Resend(1));
                let _ = self.client_send(TcpFlags::ACK, 0, false);
                if self.client.as_ref().is_some_and(|c| c.request.handshake) {
                    self.finish(Verdict::Connected);
                    return;
                }
                self.client_again();
                self.close_if_answered();
            }
            State::Established => {
                client.got += skb.packet.length;
                self.close_if_answered();
            }
            State::Closing if flags.has(TcpFlags::FIN) => {
                let _ = self.client_send(TcpFlags::ACK, 0, false);
                self.finish(Verdict::Connected);
            }
            _ => {}
        }
    }

    fn close_if_answered(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        if client.state == State::Established && client.got >= client.request.answer.min(LARGEST) {
            client.state = State::Closing;
            let _ = self.client_send(TcpFlags::FIN_ACK, 0, false);
        }
    }

    pub fn client_error(&mut self, from: Ipv4Addr, kind: u8, code: u8) {
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
            (3, 4) => {
                if asked && tcp {
                    return;
                }
                self.client_again();
            }
            // icmp_err_convert: which codes end a connecting socket, and with what
            (3, 2 | 3) if asked => self.finish(Verdict::Refused),
            (3, 6..=10 | 13..=15) if asked => self.finish(Verdict::Unreachable),
            (3 | 11, _) if asked && (tcp || probing) => self.finish(Verdict::Unreachable),
            _ => {}
        }
    }

    /// A packet for a server's socket.
    pub fn server_receive(&mut self, at: usize, skb: &Skb) {
        let Some((request, answer)) = self.client.as_ref().map(|c| {
            (
                c.request.request.min(LARGEST),
                c.request.answer.min(LARGEST),
            )
        }) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(at) else {
            return;
        };
        let namespace = session.namespace;
        let Transport::Tcp {
            sport,
            dport,
            flags,
            seq,
            ..
        } = skb.headers().l4
        else {
            if let Transport::Udp { sport, dport } = skb.headers().l4 {
                self.send_answer(
                    namespace,
                    skb,
                    Transport::Udp {
                        sport: dport,
                        dport: sport,
                    },
                    answer,
                    false,
                );
            } else if let Transport::Sctp { sport, dport } = skb.headers().l4 {
                self.send_answer(
                    namespace,
                    skb,
                    Transport::Sctp {
                        sport: dport,
                        dport: sport,
                    },
                    answer,
                    false,
                );
            }
            return;
        };
        let segment = |flags| Transport::Tcp {
            sport: dport,
            dport: sport,
            flags,
            seq: 1,
            ack: seq.wrapping_add(1),
        };
        if flags.has(TcpFlags::RST) {
            session.closed = true;
        } else if flags.has(TcpFlags::SYN) {
            self.send_answer(namespace, skb, segment(TcpFlags::SYN_ACK), 0, true);
        } else if flags.has(TcpFlags::FIN) {
            session.closed = true;
            self.send_answer(namespace, skb, segment(TcpFlags::FIN_ACK), 0, true);
        } else if skb.packet.length > 0 {
            session.received = session.received.saturating_add(skb.packet.length);
            if session.received >= request && !session.answered {
                session.answered = true;
                self.server_segments(at, skb, answer);
            }
        }
    }

    fn server_segments(&mut self, at: usize, about: &Skb, answer: u32) {
        let Some(session) = self.sessions.get(at) else {
            return;
        };
        let (namespace, remote) = (session.namespace, *session.remote.ip());
        let (sport, dport) = (session.local.port(), session.remote.port());
        let mss = self.segment(namespace, remote);
        let mut rest = answer;
        while rest > 0 {
            let length = rest.min(mss);
            rest -= length;
            let l4 = Transport::Tcp {
                sport,
                dport,
                flags: TcpFlags::PSH_ACK,
                seq: 1,
                ack: 1,
            };
            self.send_answer(namespace, about, l4, length, true);
        }
    }

    /// A server sends again what the client has not got.
    pub fn server_again(&mut self, at: usize) {
        let Some(client) = &self.client else { return };
        let missing = client
            .request
            .answer
            .min(LARGEST)
            .saturating_sub(client.got);
        let Some(session) = self.sessions.get(at).filter(|s| s.answered && !s.closed) else {
            return;
        };
        let ip = Ipv4 {
            src: *session.remote.ip(),
            dst: *session.local.ip(),
            ttl: 64,
            protocol: Protocol::TCP,
            id: 0,
            df: true,
        };
        let l4 = Transport::Tcp {
            sport: session.remote.port(),
            dport: session.local.port(),
            flags: TcpFlags::ACK,
            seq: 1,
            ack: 1,
        };
        let about = Skb::new(
            Packet::new(Headers {
                eth: Default::default(),
                ip,
                l4,
            }),
            Phase::Request,
            false,
        );
        self.server_segments(at, &about, missing);
    }

    /// Opens the client's socket and sends its first packet. Errors: no way there, nothing is sent.
    pub fn begin(&mut self, request: &Connect) -> Result<(), Errno> {
        let source = match request.source {
            Some(source) => source,
            None => self.source_for(request.from, *request.dst.ip())?,
        };
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
            seq: self.dice.number(u32::MAX),
            session: None,
        });
        self.set_timer(request.timeout, Timer::Deadline);
        self.client_ask(0);
        Ok(())
    }

    /// What became of the client's connection.
    pub fn outcome(&mut self) -> Connection {
        let mut connection = Connection::unreachable();
        let Some(client) = self.client.take() else {
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
        Walk::new(self, now, dice, trace).run_client(request)
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
        walk.run_client(request)
    }

    /// A device's gratuitous ARP, as a CNI plugin sends it when a pod's device is ready: bridges on the way learn where
    /// its address is.
    pub fn announce(&mut self, link: crate::LinkId, address: Ipv4Addr, now: Time) {
        let mut dice = crate::SeededDice(0);
        Walk::new(self, now, &mut dice, None).announce(link, address);
    }
}
