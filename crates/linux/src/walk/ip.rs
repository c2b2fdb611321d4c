//! The IP layer: receiving, routing, forwarding, sending (`net/ipv4`).

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::engine::{Frame, Skb, Tracked, Walk};
use super::hooks::{Passed, Spot};
use crate::errno::Errno;
use crate::link::{Link, LinkId, LinkKind, NamespaceId};
use crate::mesh::{self, Mesh};
use crate::namespace::Namespace;
use crate::netfilter::Hook;
use crate::netfilter::evaluate::CtState;
use crate::packet::{Ethernet, Headers, Ipv4, Packet, Protocol, TcpFlags, Transport};
use crate::route::{Flow, Route, RouteKind};
use crate::slab::Slab;
use crate::trace::{Event, Phase};

/// Where routing sends a packet that came in.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    Local,
    Forward {
        link: LinkId,
        next_hop: Ipv4Addr,
    },
    /// Dropped with an ICMP "destination unreachable" of this code.
    Unreachable(u8, Event),
    /// Dropped silently.
    Drop(Event),
}

/// How the route of a packet made here is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// By its destination and source: what sockets send.
    Source,
    /// By its destination: the source came of the route (ICMP errors).
    Destination,
}

impl Walk<'_> {
    /// A packet is handed up by a device.
    pub fn ip_receive(&mut self, namespace: NamespaceId, link: LinkId, mut skb: Box<Skb>) {
        // In the bridge it has been through PREROUTING already.
        if !skb.prerouted
            && self.hook(namespace, Hook::Prerouting, &mut skb, Some(link), None)
                != Passed::Accepted
        {
            return;
        }
        skb.prerouted = false;
        match self.route_input(namespace, link, &skb) {
            Decision::Local => self.deliver_local(namespace, link, skb),
            Decision::Forward {
                link: out,
                next_hop,
            } => self.forward(namespace, link, out, next_hop, skb),
            Decision::Unreachable(code, event) => {
                self.note(namespace, Some(link), &skb, event);
                let (host, now) = (skb.headers().ip.src, self.now);
                let ns = self.namespace_mut(namespace);
                if ns.is_some_and(|ns| ns.may_tell_of_route(host, now)) {
                    self.icmp_error(namespace, &skb, 3, code, 0);
                }
            }
            Decision::Drop(event) => self.note(namespace, Some(link), &skb, event),
        }
    }

    /// May a packet with this source come in here? (`fib_validate_source`: not from own addresses; with `rp_filter`
    /// only where an answer would be sent, or, loosely, where there is one.)
    pub fn source_fits(
        &self,
        namespace: NamespaceId,
        input: LinkId,
        src: Ipv4Addr,
        dst: Ipv4Addr,
    ) -> bool {
        let Some((link, ns)) = self.link(input).zip(self.namespace(namespace)) else {
            return false;
        };
        let conf = link.conf;
        if matches!(link.kind, LinkKind::Loopback) {
            return true;
        }
        if ns.is_local(src) && !conf.accept_local {
            return false;
        }
        if conf.rp_filter == 0 {
            return true;
        }
        let back = Flow {
            dst: src,
            src: Some(dst),
            mark: 0,
            iif: None,
            oif: None,
        };
        let back = self.net.route(ns, &back);
        back.is_some_and(|(r, _)| {
            r.kind == RouteKind::Unicast && (conf.rp_filter == 2 || r.dev == Some(input))
        })
    }

    /// `ip_route_input`
    pub fn route_input(&mut self, namespace: NamespaceId, input: LinkId, skb: &Skb) -> Decision {
        let Some(link) = self.link(input) else {
            return Decision::Drop(Event::NoRoute);
        };
        let (conf, loopback) = (link.conf, matches!(link.kind, LinkKind::Loopback));
        let (src, dst) = (skb.headers().ip.src, skb.headers().ip.dst);
        let Some(ns) = self.namespace(namespace) else {
            return Decision::Drop(Event::NoRoute);
        };
        if !loopback && !conf.route_localnet && (src.is_loopback() || dst.is_loopback())
            || src.is_multicast()
            || src.is_broadcast()
        {
            return Decision::Drop(Event::Martian);
        }
        if dst.is_broadcast() || dst.is_multicast() {
            return Decision::Local;
        }
        let flow = Flow {
            dst,
            src: Some(src),
            mark: skb.mark,
            iif: Some(input),
            oif: None,
        };
        let Some((route, table)) = self.net.route(ns, &flow) else {
            return if conf.forwarding {
                Decision::Unreachable(0, Event::NoRoute)
            } else {
                Decision::Drop(Event::NotForwarding)
            };
        };
        if !self.source_fits(namespace, input, src, dst) {
            return Decision::Drop(Event::Martian);
        }
        let decision = match route.kind {
            RouteKind::Local | RouteKind::Broadcast => Decision::Local,
            _ if !conf.forwarding => return Decision::Drop(Event::NotForwarding),
            RouteKind::Unicast => match route.dev {
                Some(link) => Decision::Forward {
                    link,
                    next_hop: route.via.unwrap_or(dst),
                },
                None => return Decision::Drop(Event::NoRoute),
            },
            RouteKind::Unreachable => {
                return Decision::Unreachable(1, Event::Blackhole { kind: route.kind });
            }
            RouteKind::Prohibit => {
                return Decision::Unreachable(13, Event::Blackhole { kind: route.kind });
            }
            RouteKind::Blackhole => return Decision::Drop(Event::Blackhole { kind: route.kind }),
        };
        if self.notes(skb) {
            self.note(
                namespace,
                route.dev,
                skb,
                Event::Routed {
                    route,
                    table,
                    forwarded: true,
                    source: None,
                },
            );
        }
        decision
    }

    fn deliver_local(&mut self, namespace: NamespaceId, link: LinkId, mut skb: Box<Skb>) {
        if self.hook(namespace, Hook::Input, &mut skb, Some(link), None) != Passed::Accepted {
            return;
        }
        if skb.packet.is_damaged() {
            self.note(namespace, Some(link), &skb, Event::BadChecksum);
            return;
        }
        let skb = self.vxlan_receive(namespace, skb);
        if let Some(skb) = skb.and_then(|skb| self.ipip_receive(namespace, skb)) {
            self.deliver(namespace, link, skb);
        }
    }

    /// `ip_forward`
    fn forward(
        &mut self,
        namespace: NamespaceId,
        input: LinkId,
        output: LinkId,
        next_hop: Ipv4Addr,
        mut skb: Box<Skb>,
    ) {
        if skb.headers().ip.ttl <= 1 {
            self.note(namespace, Some(input), &skb, Event::TtlExceeded);
            self.icmp_error(namespace, &skb, 11, 0, 0);
            return;
        }
        let mtu = self.mtu_towards(namespace, output, skb.headers().ip.dst);
        if skb.packet.total_length() > mtu && skb.headers().ip.df {
            self.note(namespace, Some(output), &skb, Event::TooBig { mtu });
            self.icmp_error(namespace, &skb, 3, 4, mtu.min(0xffff) as u16);
            return;
        }
        skb.packet.headers.ip.ttl -= 1;
        if self.hook(
            namespace,
            Hook::Forward,
            &mut skb,
            Some(input),
            Some(output),
        ) != Passed::Accepted
        {
            return;
        }
        self.output(namespace, output, next_hop, skb);
    }

    fn mtu_towards(&self, namespace: NamespaceId, link: LinkId, dst: Ipv4Addr) -> u32 {
        let mtu = self.link(link).map_or(1500, |l| l.mtu);
        let learned = self
            .namespace(namespace)
            .and_then(|n| n.rare().path_mtu.get(&dst))
            .copied();
        learned.map_or(mtu, |l| l.min(mtu))
    }

    /// POSTROUTING and out (`ip_output`, `ip_finish_output2`). False: POSTROUTING did not let it out.
    fn output(
        &mut self,
        namespace: NamespaceId,
        link: LinkId,
        next_hop: Ipv4Addr,
        mut skb: Box<Skb>,
    ) -> bool {
        let spot = Spot {
            namespace,
            hook: Hook::Postrouting,
            input: None,
            output: Some(link),
            physical_out: None,
            next_hop: Some(next_hop),
        };
        if self.hook_at(spot, &mut skb) != Passed::Accepted {
            return false;
        }
        self.send_to_neighbour(namespace, link, next_hop, skb, false);
        true
    }

    /// The route of a packet made here.
    fn route_output(&self, namespace: NamespaceId, flow: &Flow) -> Result<(Route, u32), Errno> {
        let ns = self.namespace(namespace).ok_or(Errno::ENETUNREACH)?;
        way_out(self.net.mesh.as_deref(), &self.net.links, ns, flow)
    }

    /// Has a socket of this address a way there?
    pub fn connectable(
        &self,
        namespace: NamespaceId,
        source: Ipv4Addr,
        dst: Ipv4Addr,
    ) -> Result<(), Errno> {
        let flow = Flow {
            src: Some(source),
            ..Flow::to(dst)
        };
        self.route_output(namespace, &flow).map(|_| ())
    }

    /// The source address that a packet to somewhere would have.
    pub fn source_for(&self, namespace: NamespaceId, dst: Ipv4Addr) -> Result<Ipv4Addr, Errno> {
        let (route, _) = self.route_output(namespace, &Flow::to(dst))?;
        if route.kind == RouteKind::Local && route.destination.prefix_len() == 32 {
            return Ok(dst);
        }
        if let Some(source) = route.source {
            return Ok(source);
        }
        let link = route
            .dev
            .and_then(|d| self.link(d))
            .ok_or(Errno::ENETUNREACH)?;
        let own = link.select_address(Some(route.via.unwrap_or(dst)));
        // A device without address borrows one of another (inet_select_addr looks at all).
        own.or_else(|| {
            let mut links = self
                .namespace(namespace)?
                .links
                .iter()
                .filter_map(|l| self.link(*l));
            links.find_map(|l| l.select_address(None))
        })
        .ok_or(Errno::EADDRNOTAVAIL)
    }

    /// Sends a packet made here. Errors: no route; EPERM where the own OUTPUT chain drops or rejects it.
    pub fn send_local(
        &mut self,
        namespace: NamespaceId,
        mut skb: Box<Skb>,
        way: Way,
    ) -> Result<(), Errno> {
        let flow = |skb: &Skb| Flow {
            dst: skb.headers().ip.dst,
            src: Some(skb.headers().ip.src),
            mark: skb.mark,
            iif: None,
            oif: None,
        };
        let first = Flow {
            src: (way == Way::Source).then_some(skb.headers().ip.src),
            ..flow(&skb)
        };
        let (mut route, table) = match self.route_output(namespace, &first) {
            Ok(found) => found,
            Err(errno) => {
                self.note(namespace, None, &skb, Event::NoRoute);
                return Err(errno);
            }
        };
        if self.notes(&skb) {
            let source = Some(skb.headers().ip.src);
            self.note(
                namespace,
                self.out_device(namespace, &route),
                &skb,
                Event::Routed {
                    route,
                    table,
                    forwarded: false,
                    source,
                },
            );
        }
        let Some(mut link) = self.out_device(namespace, &route) else {
            return Err(Errno::ENETUNREACH);
        };
        if let Some(ns) = self.namespace_mut(namespace) {
            ns.packet_id = ns.packet_id.wrapping_add(1);
            skb.packet.headers.ip.id = ns.packet_id;
        }
        if self.hook(namespace, Hook::Output, &mut skb, None, Some(link)) != Passed::Accepted {
            self.note(namespace, Some(link), &skb, Event::Denied);
            return Err(Errno::EPERM);
        }
        if std::mem::take(&mut skb.turned) {
            // ip_route_me_harder
            let again = self.route_output(namespace, &flow(&skb));
            // TCP takes no notice of what becomes of its segments from here on.
            let tcp = skb.headers().ip.protocol == Protocol::TCP;
            let (again, table) = again.map_err(|e| if tcp { Errno::EPERM } else { e })?;
            route = again;
            link = self
                .out_device(namespace, &route)
                .ok_or(Errno::ENETUNREACH)?;
            if self.notes(&skb) {
                self.note(
                    namespace,
                    Some(link),
                    &skb,
                    Event::Routed {
                        route,
                        table,
                        forwarded: false,
                        source: None,
                    },
                );
            }
        }
        let dst = skb.headers().ip.dst;
        let mtu = self.mtu_towards(namespace, link, dst);
        if skb.packet.total_length() > mtu && skb.headers().ip.df {
            self.note(namespace, Some(link), &skb, Event::TooBig { mtu });
            // A segment that address translation sent another way: `ip_fragment` tells its own socket.
            if skb.headers().ip.protocol == Protocol::TCP {
                self.icmp_error(namespace, &skb, 3, 4, mtu.min(0xffff) as u16);
            }
            return Err(Errno::EMSGSIZE);
        }
        if !self.output(namespace, link, route.via.unwrap_or(dst), skb) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// The device that a route leads to: `lo` for own addresses.
    pub fn out_device(&self, namespace: NamespaceId, route: &Route) -> Option<LinkId> {
        if route.kind == RouteKind::Local {
            let ns = self.namespace(namespace)?;
            return ns.links.iter().copied().find(|l| {
                self.link(*l)
                    .is_some_and(|l| matches!(l.kind, LinkKind::Loopback))
            });
        }
        route.dev
    }

    /// Tells a packet's sender by ICMP what became of it. `extra` is the MTU of "fragmentation needed".
    pub fn icmp_error(
        &mut self,
        namespace: NamespaceId,
        about: &Skb,
        kind: u8,
        code: u8,
        extra: u16,
    ) {
        let headers = *about.headers();
        // The socket that sends them is in use: the kernel is under way with an ICMP packet of its own
        // (`icmp_xmit_lock`).
        if self.icmp_busy {
            return;
        }
        // Never about ICMP errors, broadcasts or other than first packets of nothing.
        let error = matches!(headers.l4, Transport::Icmp { kind, .. } if !matches!(kind, 0 | 8));
        if error
            || headers.ip.dst.is_broadcast()
            || headers.ip.dst.is_multicast()
            || headers.ip.src.is_unspecified()
        {
            return;
        }
        let own = self
            .namespace(namespace)
            .is_some_and(|n| n.is_local(headers.ip.dst));
        let source = if own {
            Ok(headers.ip.dst)
        } else {
            self.source_for(namespace, headers.ip.src)
        };
        let Ok(source) = source else { return };
        // Errors to oneself are not limited, nor is what path MTU discovery needs.
        let limited = matches!((kind, code), (3, 0..=3 | 5..) | (4 | 11 | 12, _));
        let now = self.now;
        let allowed = |ns: &mut Namespace| {
            !limited || ns.is_local(headers.ip.src) || ns.may_tell(headers.ip.src, now)
        };
        if !self.namespace_mut(namespace).is_some_and(allowed) {
            return;
        }
        let way = if own { Way::Source } else { Way::Destination };
        let ip = Ipv4 {
            src: source,
            dst: headers.ip.src,
            ttl: 64,
            protocol: Protocol::ICMP,
            id: 0,
            df: false,
        };
        let l4 = Transport::Icmp {
            kind,
            code,
            id: 0,
            seq: extra,
        };
        let mut packet = Packet::new(Headers {
            eth: Default::default(),
            ip,
            l4,
        });
        packet.length = 28.max(about.packet.total_length().min(548));
        packet.quoted = Some(Box::new(headers));
        let mut skb = self.answer_to(about, packet);
        skb.ct = related(about);
        self.note(
            namespace,
            about.in_link,
            &skb,
            Event::IcmpError {
                kind,
                code,
                to: headers.ip.src,
            },
        );
        self.send_icmp(namespace, skb, way);
    }

    /// Sends an ICMP packet of the kernel's own.
    pub fn send_icmp(&mut self, namespace: NamespaceId, skb: Box<Skb>, way: Way) {
        self.icmp_busy = true;
        let _ = self.send_local(namespace, skb, way);
        self.icmp_busy = false;
    }

    /// A packet that answers another: the other way, traced if that was.
    pub fn answer_to(&self, about: &Skb, packet: Packet) -> Box<Skb> {
        let phase = match about.phase {
            Phase::Request => Phase::Reply,
            Phase::Reply => Phase::Request,
        };
        Box::new(Skb::new(packet, phase, about.traced))
    }

    /// `-j REJECT`
    pub fn reject(
        &mut self,
        namespace: NamespaceId,
        skb: &Skb,
        with: crate::netfilter::RejectWith,
    ) {
        if let Some(code) = with.icmp_code() {
            self.icmp_error(namespace, skb, 3, code, 0);
            return;
        }
        let headers = *skb.headers();
        let Transport::Tcp {
            sport,
            dport,
            flags,
            seq,
            ack,
        } = headers.l4
        else {
            return;
        };
        if flags.has(TcpFlags::RST) {
            return;
        }
        let reset = reset_for(sport, dport, flags, seq, ack, skb.packet.length);
        let ip = Ipv4 {
            src: headers.ip.dst,
            dst: headers.ip.src,
            ttl: 64,
            protocol: Protocol::TCP,
            id: 0,
            df: true,
        };
        let mut answer = self.answer_to(
            skb,
            Packet::new(Headers {
                eth: Default::default(),
                ip,
                l4: reset,
            }),
        );
        answer.ct = related(skb);
        self.close(namespace, &mut answer.ct);
        // `nf_send_reset`: what came in by a bridge's port is answered there at once, past all rules and as it is.
        if let Some(port) = skb.physical_in {
            answer.packet.headers.eth = Ethernet {
                src: headers.eth.dst,
                dst: headers.eth.src,
            };
            self.note(namespace, Some(port), &answer, Event::Sent);
            self.transmit(port, Frame::Ip(answer));
            return;
        }
        let _ = self.send_local(namespace, answer, Way::Source);
    }

    /// A connection that a rule resets is closing (`nf_ct_set_closing`, Linux 6.3).
    fn close(&mut self, namespace: NamespaceId, ct: &mut Option<Tracked>) {
        let now = self.now;
        let Some(ct) = ct else { return };
        if let Some(new) = &mut ct.new {
            new.close(now);
        } else if let Some(id) = ct.id
            && let Some(ns) = self.namespace_mut(namespace)
        {
            Arc::make_mut(&mut ns.conntrack).close(id, now);
        }
    }
}

/// The route of a packet that a namespace makes (`ip_route_output_key`).
pub(crate) fn way_out(
    mesh: Option<&Mesh>,
    links: &Slab<Link>,
    ns: &Namespace,
    flow: &Flow,
) -> Result<(Route, u32), Errno> {
    let (route, table) = mesh::route(mesh, ns, flow).ok_or(Errno::ENETUNREACH)?;
    let link = route.dev.and_then(|d| links.get(d.0));
    if route.kind == RouteKind::Unicast
        && flow.src.is_some_and(|src| src.is_loopback())
        && link.is_some_and(|l| !l.conf.route_localnet && l.kind != LinkKind::Loopback)
    {
        return Err(Errno::EINVAL);
    }
    match route.kind {
        RouteKind::Blackhole => Err(Errno::EINVAL),
        RouteKind::Unreachable => Err(Errno::EHOSTUNREACH),
        RouteKind::Prohibit => Err(Errno::EACCES),
        _ => Ok((route, table)),
    }
}

/// The reset that answers a segment (RFC 9293, 3.5.2).
pub(crate) fn reset_for(
    sport: u16,
    dport: u16,
    flags: TcpFlags,
    seq: u32,
    ack: u32,
    length: u32,
) -> Transport {
    let (flags, seq, ack) = if flags.has(TcpFlags::ACK) {
        (TcpFlags::RST, ack, 0)
    } else {
        (
            TcpFlags::RST_ACK,
            0,
            seq.wrapping_add(length)
                .wrapping_add(u32::from(flags.has(TcpFlags::SYN))),
        )
    };
    Transport::Tcp {
        sport: dport,
        dport: sport,
        flags,
        seq,
        ack,
    }
}

/// What an error or reset inherits of the packet that it is about (`nf_ct_attach`).
fn related(about: &Skb) -> Option<Tracked> {
    let ct = about.ct.as_ref()?;
    if ct.id.is_none() && ct.new.is_none() {
        return None;
    }
    Some(Tracked {
        state: CtState::Related,
        direction: ct.direction.other(),
        id: ct.id,
        new: ct.new.clone(),
        dead: ct.dead,
    })
}
