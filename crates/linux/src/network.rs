//! The whole network: namespaces, their devices, and the switches between hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::capture::Captures;
use crate::configure::device_conf;
use crate::conntrack::Conntrack;
use crate::errno::Errno;
use crate::link::{
    Address, DeviceConf, Ipip, Link, LinkId, LinkKind, NamespaceId, Passed, PortFlags, Scope,
    SegmentId, Traffic, Vxlan,
};
use crate::mesh::Mesh;
use crate::namespace::{Listener, Namespace, Neighbours};
use crate::packet::{Mac, Protocol};
use crate::slab::{Chunks, Column, Slab};
use crate::time::Time;

/// An Ethernet switch that network cards are plugged into. It knows who is where and learns nothing.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    /// Its name.
    pub name: Arc<str>,
    pub(crate) ports: BTreeSet<LinkId>,
    pub(crate) by_mac: BTreeMap<Mac, LinkId>,
    /// Pairs that frames do not pass between (a fault), the smaller first.
    pub(crate) cut: BTreeSet<(LinkId, LinkId)>,
}

const NAME_SHARDS: usize = 64;
/// The MTU of Ethernet (`ETH_DATA_LEN`).
pub(crate) const ETHERNET_MTU: u32 = 1500;

/// Everything that packets can pass. A clone is a cheap snapshot: what does not change afterwards stays shared.
#[derive(Clone, Debug)]
pub struct Network {
    pub(crate) namespaces: Slab<Namespace>,
    pub(crate) links: Slab<Link>,
    /// What passed each device, by its number.
    pub(crate) passed: Column<Passed>,
    /// What else its counters say; most devices' say nothing.
    pub(crate) traffic: Chunks<Traffic>,
    pub(crate) captures: Captures,
    pub(crate) segments: Slab<Segment>,
    names: Vec<Arc<BTreeMap<Arc<str>, NamespaceId>>>,
    pub(crate) mesh: Option<Arc<Mesh>>,
    blank: Option<Blank>,
}

/// What namespaces have in common as long as nothing happens in them.
#[derive(Clone, Debug)]
struct Blank {
    connections: Arc<Conntrack>,
    neighbours: Arc<Neighbours>,
    lo: Arc<str>,
}

impl Blank {
    fn new() -> Blank {
        Blank {
            connections: Arc::default(),
            neighbours: Arc::default(),
            lo: "lo".into(),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Network::new()
    }
}

fn shard(name: &str) -> usize {
    name.bytes()
        .fold(0u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b))) as usize
        % NAME_SHARDS
}

impl Network {
    /// An empty network. It takes no memory: it often stands in for one that is in use elsewhere.
    #[must_use]
    pub fn new() -> Network {
        Network {
            namespaces: Slab::default(),
            links: Slab::default(),
            passed: Column::default(),
            traffic: Chunks::default(),
            captures: Captures::default(),
            segments: Slab::default(),
            names: Vec::new(),
            mesh: None,
            blank: None,
        }
    }

    /// A new namespace with `lo` up. Where the name is taken already, the newer one is found by it.
    pub fn add_namespace(&mut self, name: &str) -> NamespaceId {
        let id = NamespaceId(self.namespaces.next_id());
        let name: Arc<str> = name.into();
        let Blank {
            connections,
            neighbours,
            lo,
        } = self.blank.get_or_insert_with(Blank::new).clone();
        let namespace = Namespace::new(id, name.clone(), connections, neighbours);
        self.namespaces.push(namespace);
        if self.names.is_empty() {
            self.names.resize_with(NAME_SHARDS, Arc::default);
        }
        if let Some(names) = self.names.get_mut(shard(&name)) {
            Arc::make_mut(names).insert(name, id);
        }
        if let Ok(lo) = self.add_link(id, lo, LinkKind::Loopback, Mac::ZERO, 65536) {
            let net = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);
            let _ = self.set_up(lo, true);
            let _ = self.add_address(
                lo,
                Address {
                    scope: Scope::Host,
                    ..Address::new(net)
                },
            );
        }
        id
    }

    /// Removes a namespace with its devices, the other ends of its veth pairs, and what other devices knew of them.
    pub fn remove_namespace(&mut self, id: NamespaceId) {
        let Some(namespace) = self.namespaces.get(id.0) else {
            return;
        };
        let (name, links) = (namespace.name.clone(), namespace.links.clone());
        self.forget_member(id);
        for link in links {
            let _ = self.destroy_link(link);
        }
        if let Some(names) = self.names.get_mut(shard(&name))
            && names.get(&name) == Some(&id)
        {
            Arc::make_mut(names).remove(&name);
        }
        self.namespaces.remove(id.0);
    }

    /// The namespace of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NamespaceId> {
        self.names.get(shard(name))?.get(name).copied()
    }

    /// A namespace, None if it is gone.
    #[must_use]
    pub fn namespace(&self, id: NamespaceId) -> Option<&Namespace> {
        self.namespaces.get(id.0)
    }

    /// A namespace to change.
    pub fn namespace_mut(&mut self, id: NamespaceId) -> Option<&mut Namespace> {
        self.namespaces.get_mut(id.0)
    }

    /// All namespaces in the order they were made.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.namespaces.iter().map(|(_, n)| n)
    }

    /// A device, None if it is gone.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(id.0)
    }

    /// What has passed a device.
    #[must_use]
    pub fn traffic(&self, id: LinkId) -> Traffic {
        let mut traffic = self.traffic.get(id.0).copied().unwrap_or_default();
        let passed = self.passed.get(id.0);
        for (flowed, (packets, bytes)) in [
            (&mut traffic.received, passed.received),
            (&mut traffic.sent, passed.sent),
        ] {
            (flowed.packets, flowed.bytes) = (packets, bytes);
        }
        traffic
    }

    pub(crate) fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(id.0)
    }

    /// The device of a name in a namespace.
    #[must_use]
    pub fn find_link(&self, namespace: NamespaceId, name: &str) -> Option<LinkId> {
        let namespace = self.namespace(namespace)?;
        namespace
            .links
            .iter()
            .copied()
            .find(|id| self.link(*id).is_some_and(|l| &*l.name == name))
    }

    /// The devices of a namespace by index.
    pub fn links_of(&self, namespace: NamespaceId) -> impl Iterator<Item = &Link> {
        self.namespace(namespace)
            .into_iter()
            .flat_map(|n| n.links.iter())
            .filter_map(|id| self.link(*id))
    }

    fn add_link(
        &mut self,
        namespace: NamespaceId,
        name: Arc<str>,
        kind: LinkKind,
        mac: Mac,
        mtu: u32,
    ) -> Result<LinkId, Errno> {
        if name.is_empty() || name.len() > 15 || name.contains(['/', ' ']) {
            return Err(Errno::EINVAL);
        }
        if self.find_link(namespace, &name).is_some() {
            return Err(Errno::EEXIST);
        }
        let id = LinkId(self.links.next_id());
        let conf = self.conf_of_new(self.namespace(namespace).ok_or(Errno::ENOENT)?, &name);
        let ns = self.namespaces.get_mut(namespace.0).ok_or(Errno::ENOENT)?;
        let ifindex = ns.next_ifindex;
        ns.next_ifindex += 1;
        ns.links.push(id);
        self.links.push(Link {
            id,
            namespace,
            ifindex,
            name,
            alias: None,
            mac,
            mtu,
            up: false,
            master: None,
            port: PortFlags::default(),
            addresses: Vec::new(),
            kind,
            loss: 0,
            delay: Time::ZERO,
            conf,
        });
        self.passed.grow(id.0 + 1);
        self.traffic.push_later();
        Ok(id)
    }

    /// A new device's parameters. Those of all devices that no parameter names are the same.
    fn conf_of_new(&self, ns: &Namespace, name: &str) -> DeviceConf {
        let last = ns.links.last().and_then(|id| self.link(*id));
        match last.filter(|last| !ns.sysctls.names(name) && !ns.sysctls.names(&last.name)) {
            Some(last) => last.conf,
            None => device_conf(ns, name),
        }
    }

    fn next_mac(&self) -> Mac {
        Mac::scattered(u64::from(self.links.next_id()))
    }

    /// A veth pair: one end in each of two namespaces (which may be the same), both down, MTU 1500.
    /// Errors: EEXIST (a name is taken), EINVAL (no device name), ENOENT (no such namespace).
    pub fn add_veth(
        &mut self,
        a: (NamespaceId, &str),
        b: (NamespaceId, &str),
    ) -> Result<(LinkId, LinkId), Errno> {
        if self.find_link(b.0, b.1).is_some() {
            return Err(Errno::EEXIST);
        }
        self.namespace(b.0).ok_or(Errno::ENOENT)?;
        let first = LinkId(self.links.next_id());
        let mac = self.next_mac();
        self.add_link(
            a.0,
            a.1.into(),
            LinkKind::Veth {
                peer: LinkId(first.0 + 1),
            },
            mac,
            1500,
        )?;
        let mac = self.next_mac();
        match self.add_link(b.0, b.1.into(), LinkKind::Veth { peer: first }, mac, 1500) {
            Ok(second) => Ok((first, second)),
            Err(error) => {
                self.forget_link(first);
                Err(error)
            }
        }
    }

    /// A bridge, down, MTU 1500. Errors as `add_veth`.
    pub fn add_bridge(&mut self, namespace: NamespaceId, name: &str) -> Result<LinkId, Errno> {
        self.add_bridge_with(namespace, name, ETHERNET_MTU)
    }

    /// The same with an MTU that it has until it gets its first port. Errors as `add_veth`.
    pub fn add_bridge_with(
        &mut self,
        namespace: NamespaceId,
        name: &str,
        mtu: u32,
    ) -> Result<LinkId, Errno> {
        let mac = self.next_mac();
        let kind = LinkKind::Bridge(Box::default());
        self.add_link(namespace, name.into(), kind, mac, mtu)
    }

    /// A VXLAN device, down, with the MTU that the device under it leaves. Errors as `add_veth`.
    pub fn add_vxlan(
        &mut self,
        namespace: NamespaceId,
        name: &str,
        vxlan: Vxlan,
    ) -> Result<LinkId, Errno> {
        let mac = self.next_mac();
        let lower = vxlan.lower.and_then(|l| self.link(l));
        let mtu = lower
            .map_or(1500, |l| l.mtu)
            .saturating_sub(Vxlan::OVERHEAD);
        self.add_link(
            namespace,
            name.into(),
            LinkKind::Vxlan(Box::new(vxlan)),
            mac,
            mtu,
        )
    }

    /// An IPIP device, down, with the MTU that the device to its other end leaves. Errors as `add_veth`.
    pub fn add_ipip(
        &mut self,
        namespace: NamespaceId,
        name: &str,
        ipip: Ipip,
    ) -> Result<LinkId, Errno> {
        let lower = ipip.lower.or_else(|| {
            let ns = self.namespace(namespace)?;
            let to = (!ipip.remote.is_unspecified()).then_some(ipip.remote)?;
            self.route(ns, &crate::route::Flow::to(to))?.0.dev
        });
        let lower = lower.and_then(|l| self.link(l)).map_or(1500, |l| l.mtu);
        let mtu = lower.saturating_sub(Ipip::OVERHEAD);
        self.add_link(namespace, name.into(), LinkKind::Ipip(ipip), Mac::ZERO, mtu)
    }

    /// A dummy device, down, MTU 1500. Errors as `add_veth`.
    pub fn add_dummy(&mut self, namespace: NamespaceId, name: &str) -> Result<LinkId, Errno> {
        let mac = self.next_mac();
        self.add_link(namespace, name.into(), LinkKind::Dummy, mac, 1500)
    }

    /// A network card, down, MTU 1500, not plugged in. Errors as `add_veth`.
    pub fn add_physical(&mut self, namespace: NamespaceId, name: &str) -> Result<LinkId, Errno> {
        let mac = self.next_mac();
        self.add_link(
            namespace,
            name.into(),
            LinkKind::Physical { segment: None },
            mac,
            1500,
        )
    }

    /// Removes a device; of a veth pair both ends. Errors: ENODEV, EOPNOTSUPP (`lo`, a network card).
    pub fn remove_link(&mut self, id: LinkId) -> Result<(), Errno> {
        match self.link(id).ok_or(Errno::ENODEV)?.kind {
            LinkKind::Loopback | LinkKind::Physical { .. } => Err(Errno::EOPNOTSUPP),
            _ => self.destroy_link(id),
        }
    }

    fn destroy_link(&mut self, id: LinkId) -> Result<(), Errno> {
        let link = self.link(id).ok_or(Errno::ENODEV)?;
        let (peer, ports) = match &link.kind {
            LinkKind::Veth { peer } => (Some(*peer), Vec::new()),
            LinkKind::Bridge(bridge) => (None, bridge.ports.iter().copied().collect()),
            _ => (None, Vec::new()),
        };
        for port in ports {
            self.set_master(port, None)?;
        }
        self.forget_link(id);
        if let Some(peer) = peer {
            self.forget_link(peer);
        }
        Ok(())
    }

    /// Takes one device out of everything that knows of it.
    fn forget_link(&mut self, id: LinkId) {
        let _ = self.set_up(id, false);
        let _ = self.set_master(id, None);
        self.unplug(id);
        let Some(link) = self.link(id) else { return };
        if let Some(ns) = self.namespaces.get_mut(link.namespace.0) {
            ns.links.retain(|l| *l != id);
            ns.forget_neighbours(|dev| dev == id);
            ns.local.retain(|r| r.dev != Some(id));
            ns.main.retain(|r| r.dev != Some(id));
        }
        self.links.remove(id.0);
        if let Some(passed) = self.passed.get_mut(id.0) {
            *passed = Passed::default();
        }
        self.traffic.remove(id.0);
    }

    /// Moves a device to another namespace, down and without addresses. Errors: ENODEV, ENOENT, EEXIST, EINVAL (`lo`).
    pub fn move_link(&mut self, id: LinkId, to: NamespaceId, name: &str) -> Result<(), Errno> {
        let link = self.link(id).ok_or(Errno::ENODEV)?;
        if matches!(link.kind, LinkKind::Loopback) {
            return Err(Errno::EINVAL);
        }
        if self.find_link(to, name).is_some() {
            return Err(Errno::EEXIST);
        }
        self.namespace(to).ok_or(Errno::ENOENT)?;
        let from = link.namespace;
        self.set_up(id, false)?;
        self.set_master(id, None)?;
        if let Some(ns) = self.namespaces.get_mut(from.0) {
            ns.links.retain(|l| *l != id);
            ns.forget_neighbours(|dev| dev == id);
            ns.local.retain(|r| r.dev != Some(id));
        }
        let ns = self.namespaces.get_mut(to.0).ok_or(Errno::ENOENT)?;
        let ifindex = ns.next_ifindex;
        ns.next_ifindex += 1;
        ns.links.push(id);
        let conf = device_conf(ns, name);
        let link = self.links.get_mut(id.0).ok_or(Errno::ENODEV)?;
        link.namespace = to;
        link.ifindex = ifindex;
        link.name = name.into();
        link.addresses.clear();
        link.conf = conf;
        Ok(())
    }

    /// An Ethernet switch between hosts.
    pub fn add_segment(&mut self, name: &str) -> SegmentId {
        SegmentId(self.segments.push(Segment {
            name: name.into(),
            ..Segment::default()
        }))
    }

    /// Plugs a network card into a switch (out of any other). Errors: ENODEV, EINVAL (not a network card).
    pub fn plug(&mut self, id: LinkId, segment: SegmentId) -> Result<(), Errno> {
        self.unplug(id);
        let link = self.links.get_mut(id.0).ok_or(Errno::ENODEV)?;
        let LinkKind::Physical { segment: plugged } = &mut link.kind else {
            return Err(Errno::EINVAL);
        };
        *plugged = Some(segment);
        let mac = link.mac;
        let segment = self.segments.get_mut(segment.0).ok_or(Errno::ENODEV)?;
        segment.ports.insert(id);
        segment.by_mac.insert(mac, id);
        Ok(())
    }

    /// Pulls a network card's cable; nothing happens where there is none.
    pub fn unplug(&mut self, id: LinkId) {
        let Some(Link {
            kind: LinkKind::Physical { segment: Some(_) },
            ..
        }) = self.link(id)
        else {
            return;
        };
        let Some(link) = self.links.get_mut(id.0) else {
            return;
        };
        let mac = link.mac;
        if let LinkKind::Physical { segment } = &mut link.kind
            && let Some(segment) = segment.take().and_then(|s| self.segments.get_mut(s.0))
        {
            segment.ports.remove(&id);
            segment.by_mac.remove(&mac);
        }
    }

    /// Cuts (or mends) the way between two cards of one switch: a partition. Errors: ENODEV.
    pub fn cut(
        &mut self,
        segment: SegmentId,
        a: LinkId,
        b: LinkId,
        cut: bool,
    ) -> Result<(), Errno> {
        let segment = self.segments.get_mut(segment.0).ok_or(Errno::ENODEV)?;
        let pair = (a.min(b), a.max(b));
        if cut {
            segment.cut.insert(pair);
        } else {
            segment.cut.remove(&pair);
        }
        Ok(())
    }

    /// Opens a socket that accepts. Errors: ENOENT (no such namespace), EADDRINUSE, EADDRNOTAVAIL (not an own address).
    pub fn listen(
        &mut self,
        namespace: NamespaceId,
        protocol: Protocol,
        address: Ipv4Addr,
        port: u16,
        token: u64,
    ) -> Result<(), Errno> {
        let ns = self.namespaces.get(namespace.0).ok_or(Errno::ENOENT)?;
        if !address.is_unspecified() && !ns.is_local(address) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let clash = |l: &&Listener| {
            l.protocol == protocol
                && l.port == port
                && (l.address == address || l.address.is_unspecified() || address.is_unspecified())
        };
        if ns.listeners.iter().find(clash).is_some() {
            return Err(Errno::EADDRINUSE);
        }
        let listener = Listener {
            protocol,
            port,
            address,
            token,
        };
        let ns = self.namespaces.get_mut(namespace.0).ok_or(Errno::ENOENT)?;
        let at = ns.listeners.partition_point(|l| *l < listener);
        // Most namespaces have one or two and keep them.
        if ns.listeners.len() < 4 {
            ns.listeners.reserve_exact(1);
        }
        ns.listeners.insert(at, listener);
        Ok(())
    }

    /// Closes all accepting sockets of one token; says how many there were.
    pub fn close(&mut self, namespace: NamespaceId, token: u64) -> usize {
        let has = self
            .namespaces
            .get(namespace.0)
            .is_some_and(|ns| ns.listeners.iter().any(|l| l.token == token));
        let Some(ns) = has.then(|| self.namespaces.get_mut(namespace.0)).flatten() else {
            return 0;
        };
        let before = ns.listeners.len();
        ns.listeners.retain(|l| l.token != token);
        before - ns.listeners.len()
    }
}

/// The /32 of an address.
pub(crate) fn host(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::new_assert(address, 32)
}
