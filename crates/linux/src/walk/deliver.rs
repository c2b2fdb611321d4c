//! What a namespace does with a packet that is for it.

use std::sync::Arc;

use super::engine::{Skb, Walk};
use super::ip::{Way, reset_for};
use super::server::Session;
use crate::link::{LinkId, NamespaceId};
use crate::packet::{Headers, Ipv4, Packet, Protocol, TcpFlags, Transport};
use crate::trace::Event;

impl Walk<'_> {
    /// Sends an answer from the address and port that a packet was sent to.
    pub fn send_answer(
        &mut self,
        namespace: NamespaceId,
        about: &Skb,
        l4: Transport,
        length: u32,
        df: bool,
    ) {
        self.send_answer_with(namespace, about, l4, length, df, None);
    }

    /// The same with a content that is known.
    pub fn send_answer_with(
        &mut self,
        namespace: NamespaceId,
        about: &Skb,
        l4: Transport,
        length: u32,
        df: bool,
        data: Option<Arc<[u8]>>,
    ) {
        let headers = about.headers();
        let ip = Ipv4 {
            src: headers.ip.dst,
            dst: headers.ip.src,
            ttl: 64,
            protocol: headers.ip.protocol,
            id: 0,
            df,
        };
        let mut packet = Packet::new(Headers {
            eth: Default::default(),
            ip,
            l4,
        });
        (packet.length, packet.data) = (length, data);
        // What came again is answered again, for the same time-out.
        packet.rehashed = about.packet.rehashed;
        // `ip_send_unicast_reply` fills the checksum in itself.
        packet.offloaded &= !matches!(l4, Transport::Tcp { flags, .. } if flags.has(TcpFlags::RST));
        let mut skb = self.answer_to(about, packet);
        // What follows on a conversation is told only to those who asked for everything.
        let first = matches!(l4, Transport::Tcp { flags, .. } if flags.has(TcpFlags::SYN) || flags.has(TcpFlags::RST))
            || !matches!(l4, Transport::Tcp { .. });
        skb.traced &= first || self.trace.as_deref().is_some_and(|t| t.everything);
        self.note(namespace, None, &skb, Event::Sent);
        if matches!(l4, Transport::Icmp { .. }) {
            self.send_icmp(namespace, skb, Way::Source);
        } else {
            let _ = self.send_local(namespace, skb, Way::Source);
        }
    }

    /// A packet has passed INPUT.
    pub fn deliver(&mut self, namespace: NamespaceId, link: LinkId, skb: Box<Skb>) {
        let headers = *skb.headers();
        if let Transport::Icmp { kind, code, .. } = headers.l4
            && !matches!(kind, 0 | 8)
        {
            self.icmp_arrived(namespace, link, &skb, kind, code);
            return;
        }
        if self
            .client
            .as_ref()
            .is_some_and(|c| c.is_for(namespace, &headers))
        {
            self.note(namespace, Some(link), &skb, Event::Answered);
            self.client_receive(&skb);
            return;
        }
        if let Some(at) = self
            .sessions
            .iter()
            .position(|s| s.is_for(namespace, &headers))
        {
            self.server_receive(at, &skb);
            return;
        }
        match headers.l4 {
            Transport::Icmp {
                kind: 8,
                code,
                id,
                seq,
            } => {
                self.note(namespace, Some(link), &skb, Event::Delivered { token: 0 });
                self.open_session(namespace, &skb, 0);
                let length = skb.packet.length;
                self.send_answer(
                    namespace,
                    &skb,
                    Transport::Icmp {
                        kind: 0,
                        code,
                        id,
                        seq,
                    },
                    length,
                    false,
                );
            }
            Transport::Icmp { .. } => {}
            _ => self.hand_to_listener(namespace, link, &skb),
        }
    }

    fn hand_to_listener(&mut self, namespace: NamespaceId, link: LinkId, skb: &Skb) {
        let headers = *skb.headers();
        let (_, dport) = headers.l4.ports();
        let listener = self
            .namespace(namespace)
            .and_then(|n| n.listener(headers.ip.protocol, headers.ip.dst, dport))
            .map(|l| l.token);
        let opens = match headers.l4 {
            Transport::Tcp { flags, .. } => flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK),
            _ => true,
        };
        match (listener, opens) {
            (Some(token), true) => {
                self.note(namespace, Some(link), skb, Event::Delivered { token });
                self.open_session(namespace, skb, token);
                let at = self.sessions.len().saturating_sub(1);
                self.server_receive(at, skb);
            }
            _ => {
                self.note(namespace, Some(link), skb, Event::NoSocket);
                match headers.l4 {
                    Transport::Tcp { flags, .. } if flags.has(TcpFlags::RST) => {}
                    Transport::Tcp {
                        sport,
                        dport,
                        flags,
                        seq,
                        ack,
                    } => {
                        let reset = reset_for(sport, dport, flags, seq, ack, skb.packet.length);
                        self.send_answer(namespace, skb, reset, 0, true);
                    }
                    _ if headers.ip.dst.is_broadcast() || headers.ip.dst.is_multicast() => {}
                    _ if headers.ip.protocol == Protocol::UDP => {
                        self.icmp_error(namespace, skb, 3, 3, 0)
                    }
                    _ => self.icmp_error(namespace, skb, 3, 2, 0),
                }
            }
        }
    }

    fn open_session(&mut self, namespace: NamespaceId, skb: &Skb, token: u64) {
        self.sessions
            .push(Session::new(namespace, skb.headers(), token));
    }

    /// An ICMP error: for the socket whose packet it quotes.
    fn icmp_arrived(
        &mut self,
        namespace: NamespaceId,
        link: LinkId,
        skb: &Skb,
        kind: u8,
        code: u8,
    ) {
        let Some(quoted) = skb.packet.quoted.as_deref().copied() else {
            return;
        };
        let Transport::Icmp { seq: mtu, .. } = skb.headers().l4 else {
            return;
        };
        let mut narrowed = false;
        if kind == 3
            && code == 4
            && mtu >= 68
            && let Some(ns) = self.namespace_mut(namespace)
        {
            let known = ns.rare().path_mtu.get(&quoted.ip.dst);
            narrowed = known.is_none_or(|known| u32::from(mtu) < *known);
            if narrowed {
                ns.rare_mut().path_mtu.insert(quoted.ip.dst, u32::from(mtu));
            }
        }
        if self
            .client
            .as_ref()
            .is_some_and(|c| c.sent(namespace, &quoted))
        {
            self.note(
                namespace,
                Some(link),
                skb,
                Event::ErrorReceived { kind, code },
            );
            self.client_error(skb.headers().ip.src, kind, code, narrowed);
        } else if narrowed
            && let Some(at) = self
                .sessions
                .iter()
                .position(|s| s.sent(namespace, &quoted))
        {
            self.server_again(at);
        }
    }
}
