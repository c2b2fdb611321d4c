//! A server's side of a conversation: what it makes of segments and datagrams, and what it answers.

use std::net::SocketAddrV4;
use std::sync::Arc;

use super::connect::LARGEST;
use super::engine::{Skb, Walk};
use crate::link::NamespaceId;
use crate::packet::{Headers, Ipv4, Packet, Protocol, TcpFlags, Transport};
use crate::trace::Phase;

/// A server's side of one conversation.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(super) namespace: NamespaceId,
    pub(super) protocol: Protocol,
    pub(super) local: SocketAddrV4,
    pub(super) remote: SocketAddrV4,
    pub(super) token: u64,
    pub(super) received: u32,
    pub(super) answered: bool,
    pub(super) closed: bool,
    /// TCP: the sequence numbers of its own SYN and of the client's.
    pub(super) isn: u32,
    pub(super) client_isn: u32,
}

/// A server's initial sequence number: of the addresses and the client's, as RFC 6528 has it.
fn server_isn(remote: SocketAddrV4, local: SocketAddrV4, client_isn: u32) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for part in [
        remote.ip().to_bits(),
        local.ip().to_bits(),
        u32::from(remote.port()) << 16 | u32::from(local.port()),
        client_isn,
    ] {
        hash = (hash ^ u64::from(part)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 32)) as u32
}

/// A piece of what somebody says.
pub(super) fn piece(data: &Option<Arc<[u8]>>, offset: u32, length: u32) -> Option<Arc<[u8]>> {
    let all = data.as_deref()?;
    let from = (offset as usize).min(all.len());
    let to = (from + length as usize).min(all.len());
    all.get(from..to).map(Arc::from)
}

/// Address and "port" (an echo's identifier) of the side that sent.
pub(super) fn from_to(headers: &Headers) -> (SocketAddrV4, SocketAddrV4) {
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
        let client_isn = match headers.l4 {
            Transport::Tcp { seq, .. } => seq,
            _ => 0,
        };
        Session {
            namespace,
            protocol: headers.ip.protocol,
            local,
            remote,
            token,
            received: 0,
            answered: false,
            closed: false,
            isn: server_isn(remote, local, client_isn),
            client_isn,
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

impl Walk<'_> {
    /// A packet for a server's socket.
    pub fn server_receive(&mut self, at: usize, skb: &Skb) {
        let Some((request, answer, waits)) = self.client.as_ref().map(|c| {
            (
                c.request.request.min(LARGEST),
                c.request.answer.min(LARGEST),
                c.request.waits,
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
            if waits {
                self.held = Some(Box::new(skb.clone()));
            } else {
                self.server_datagram(namespace, skb, answer);
            }
            return;
        };
        let segment = |flags| Transport::Tcp {
            sport: dport,
            dport: sport,
            flags,
            seq: if flags.has(TcpFlags::SYN) {
                session.isn
            } else {
                let said = if session.answered { answer } else { 0 };
                session.isn.wrapping_add(1).wrapping_add(said)
            },
            ack: seq.wrapping_add(skb.packet.length).wrapping_add(1),
        };
        if flags.has(TcpFlags::RST) {
            session.closed = true;
        } else if flags.has(TcpFlags::SYN) {
            let syn = segment(TcpFlags::SYN_ACK);
            self.send_answer(namespace, skb, syn, 0, true);
        } else if flags.has(TcpFlags::FIN) {
            session.closed = true;
            let fin = segment(TcpFlags::FIN_ACK);
            self.send_answer(namespace, skb, fin, 0, true);
        } else if skb.packet.length > 0 {
            // What it has already, or what comes too early, counts for nothing.
            let first = session.client_isn.wrapping_add(1);
            let known = session.received.wrapping_sub(seq.wrapping_sub(first));
            if known > skb.packet.length {
                return;
            }
            session.received = session.received.saturating_add(skb.packet.length - known);
            if session.received >= request && !session.answered {
                session.answered = true;
                self.server_segments(at, skb, 0, answer);
            }
        }
    }

    /// A server's answer to a datagram.
    fn server_datagram(&mut self, namespace: NamespaceId, about: &Skb, answer: u32) {
        let (sport, dport) = about.headers().l4.ports();
        let (sport, dport) = (dport, sport);
        let l4 = match about.headers().l4 {
            Transport::Udp { .. } => Transport::Udp { sport, dport },
            Transport::Sctp { .. } => Transport::Sctp { sport, dport },
            _ => return,
        };
        let data = self.said_by_server(0, answer);
        self.send_answer_with(namespace, about, l4, answer, false, data);
    }

    /// A piece of the answer, where somebody captures it.
    fn said_by_server(&self, offset: u32, length: u32) -> Option<Arc<[u8]>> {
        let client = self.client.as_ref()?;
        if self.net.captures.is_empty() {
            return None;
        }
        piece(&client.answer, offset, length)
    }

    /// The answer from its `offset`th byte on.
    fn server_segments(&mut self, at: usize, about: &Skb, offset: u32, answer: u32) {
        let Some(session) = self.sessions.get(at) else {
            return;
        };
        let (namespace, remote) = (session.namespace, *session.remote.ip());
        let (sport, dport) = (session.local.port(), session.remote.port());
        let mss = self.segment(namespace, remote);
        let (first, ack) = (
            session.isn.wrapping_add(1),
            session
                .client_isn
                .wrapping_add(1)
                .wrapping_add(session.received),
        );
        let end = offset.saturating_add(answer);
        let mut from = offset;
        while from < end {
            let length = (end - from).min(mss);
            let l4 = Transport::Tcp {
                sport,
                dport,
                flags: if from + length == end {
                    TcpFlags::PSH_ACK
                } else {
                    TcpFlags::ACK
                },
                seq: first.wrapping_add(from),
                ack,
            };
            let data = self.said_by_server(from, length);
            self.send_answer_with(namespace, about, l4, length, true, data);
            from += length;
        }
    }

    /// A server sends again what the client has not got.
    pub fn server_again(&mut self, at: usize) {
        let Some(client) = &self.client else { return };
        let got = client.got;
        let missing = client.request.answer.min(LARGEST).saturating_sub(got);
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
        self.server_segments(at, &about, got, missing);
    }
}
