//! Hosts that all know the way to each other's networks, as an overlay's daemon sets them up: the
//! same routes, neighbours and forwarding entries on every host, kept once for all of them.
//!
//! A packet finds them as if each host had its own. As soon as somebody wants to see or change a
//! host's tables, that host gets its own copy ([`Network::leave_mesh`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use crate::link::{Link, LinkId, NamespaceId};
use crate::namespace::Namespace;
use crate::neighbour::{Neighbour, NeighbourState};
use crate::network::Network;
use crate::packet::Mac;
use crate::route::{Flow, LOCAL, MAIN, Route, covers};
use crate::time::Time;

/// A host of a mesh, as all others know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The network behind it. No two hosts' networks overlap.
    pub net: Ipv4Net,
    /// Its address on the network between the hosts.
    pub host: Ipv4Addr,
    /// The Ethernet address of its tunnel's end; `None` in a mesh without tunnels.
    pub mac: Option<Mac>,
    /// Since when it is there.
    pub since: Time,
}

/// The hosts of a mesh.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mesh {
    /// By their networks' addresses.
    peers: Vec<Peer>,
    by_mac: BTreeMap<Mac, Ipv4Addr>,
    /// Hosts with tables of their own.
    apart: BTreeSet<NamespaceId>,
}

/// A namespace's part in its mesh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// The device that leads to the others.
    device: LinkId,
    /// Its own network.
    net: Ipv4Net,
    /// Since when it knows others.
    since: Time,
}

impl Member {
    /// Whether it reaches the others by that device.
    pub(crate) fn uses(&self, device: LinkId) -> bool {
        self.device == device
    }
}

impl Mesh {
    fn peer(&self, address: Ipv4Addr) -> Option<&Peer> {
        let after = self
            .peers
            .partition_point(|peer| peer.net.addr() <= address);
        let peer = self.peers.get(after.checked_sub(1)?)?;
        covers(&peer.net, address).then_some(peer)
    }

    /// Puts a host in, in place of one with the same network.
    fn insert(&mut self, peer: Peer) {
        let place = self
            .peers
            .binary_search_by_key(&peer.net.addr(), |p| p.net.addr());
        match place {
            Ok(at) => self.peers[at] = peer,
            Err(at) => self.peers.insert(at, peer),
        }
    }
}

impl Peer {
    /// The way to it: by its tunnel's end, which is taken to be on the link, or by itself.
    fn route(&self, device: LinkId) -> Route {
        match self.mac {
            Some(_) => Route {
                onlink: true,
                ..Route::via(self.net, self.net.network(), device)
            },
            None => Route::via(self.net, self.host, device),
        }
    }

    /// What a member knows of it since both are there.
    fn neighbour(&self, member: &Member) -> Neighbour {
        Neighbour {
            mac: self.mac,
            state: NeighbourState::Permanent,
            since: self.since.max(member.since),
        }
    }
}

/// A mesh, where a namespace shares it.
fn shared<'a>(mesh: Option<&'a Mesh>, ns: &Namespace) -> Option<(&'a Mesh, Member)> {
    let (mesh, member) = (mesh?, ns.mesh?);
    (!mesh.apart.contains(&ns.id)).then_some((mesh, member))
}

/// The route of a packet in a namespace that may share a mesh, and the table that has it.
pub(crate) fn route(mesh: Option<&Mesh>, ns: &Namespace, flow: &Flow) -> Option<(Route, u32)> {
    let own = ns.route(flow).map(|(route, table)| (*route, table));
    if own.is_some_and(|(_, table)| table == LOCAL) {
        return own;
    }
    let of_mesh = || {
        let (mesh, member) = shared(mesh, ns)?;
        let fits = flow.oif.is_none_or(|device| device == member.device);
        let peer = mesh
            .peer(flow.dst)
            .filter(|peer| fits && peer.net != member.net)?;
        let longer =
            own.is_none_or(|(route, _)| route.destination.prefix_len() < peer.net.prefix_len());
        longer.then(|| (peer.route(member.device), MAIN))
    };
    of_mesh().or(own)
}

impl Network {
    /// A host joins the mesh: from now on it and all others know the way to each other. `device`
    /// leads to them: the tunnel, or the network card where there is none.
    pub fn join_mesh(&mut self, namespace: NamespaceId, device: LinkId, peer: Peer) {
        if let Some(ns) = self.namespace_mut(namespace) {
            ns.mesh = Some(Member {
                device,
                net: peer.net,
                since: peer.since,
            });
        }
        let mesh = Arc::make_mut(self.mesh.get_or_insert_default());
        mesh.insert(Peer {
            net: peer.net.trunc(),
            ..peer
        });
        if let Some(mac) = peer.mac {
            mesh.by_mac.insert(mac, peer.host);
        }
        let apart = mesh.apart.clone();
        for other in apart.into_iter().filter(|other| *other != namespace) {
            if let Some(member) = self.namespace(other).and_then(|ns| ns.mesh) {
                self.know(other, &member, &peer);
            }
        }
    }

    /// Gives a host tables of its own, with all that it knows of the mesh. To be called before
    /// anybody looks at its routes, neighbours or forwarding entries, or changes them.
    pub fn leave_mesh(&mut self, namespace: NamespaceId) {
        let Some(member) = self.namespace(namespace).and_then(|ns| ns.mesh) else {
            return;
        };
        let shared = self.mesh.get_or_insert_default();
        if !Arc::make_mut(shared).apart.insert(namespace) {
            return;
        }
        let mesh = shared.clone();
        for peer in mesh.peers.iter().filter(|peer| peer.net != member.net) {
            self.know(namespace, &member, peer);
        }
    }

    /// A host gets to know another by entries of its own. What is there already stays.
    fn know(&mut self, namespace: NamespaceId, member: &Member, peer: &Peer) {
        let device = member.device;
        if !self.link(device).is_some_and(|link| link.up) {
            return;
        }
        let Some(ns) = self.namespace_mut(namespace) else {
            return;
        };
        let _ = ns.table_mut(MAIN).add(peer.route(device));
        if let Some(mac) = peer.mac {
            ns.set_neighbour(device, peer.net.network(), peer.neighbour(member));
            let _ = self.add_fdb(device, mac, Some(peer.host));
        }
    }

    /// The mesh, where the namespace shares it.
    fn shared(&self, ns: &Namespace) -> Option<(&Mesh, Member)> {
        shared(self.mesh.as_deref(), ns)
    }

    /// The route of a packet and the table that has it.
    pub(crate) fn route(&self, ns: &Namespace, flow: &Flow) -> Option<(Route, u32)> {
        route(self.mesh.as_deref(), ns, flow)
    }

    /// A namespace is gone; the others still know the way to it.
    pub(crate) fn forget_member(&mut self, namespace: NamespaceId) {
        if let Some(ns) = self.namespaces.get_mut(namespace.0)
            && ns.mesh.take().is_some()
            && let Some(mesh) = &mut self.mesh
            && mesh.apart.contains(&namespace)
        {
            Arc::make_mut(mesh).apart.remove(&namespace);
        }
    }

    /// What a namespace knows of an address on a link.
    pub(crate) fn neighbour(
        &self,
        ns: &Namespace,
        link: LinkId,
        address: Ipv4Addr,
    ) -> Option<Neighbour> {
        let own = ns.neighbours.get(&(link, address)).copied();
        own.or_else(|| {
            let (mesh, member) = self.shared(ns)?;
            let peer = mesh
                .peer(address)
                .filter(|peer| peer.net.addr() == address)?;
            let known = link == member.device && peer.mac.is_some() && peer.net != member.net;
            known.then(|| peer.neighbour(&member))
        })
    }

    /// The hosts to which a tunnel sends frames for an Ethernet address.
    pub(crate) fn tunnel_hosts(&self, link: &Link, mac: Mac) -> Vec<Ipv4Addr> {
        let Some(vxlan) = link.vxlan() else {
            return Vec::new();
        };
        let shared = || {
            let (mesh, member) = self.shared(self.namespace(link.namespace)?)?;
            let host = mesh.by_mac.get(&mac).filter(|host| **host != vxlan.local)?;
            (member.device == link.id).then(|| vec![*host])
        };
        let own = vxlan.fdb.get(&mac).cloned();
        let all = || vxlan.fdb.get(&Mac::ZERO).cloned();
        own.or_else(shared).or_else(all).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Address, Vxlan};

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn host(network: &mut Network, number: u8) -> (NamespaceId, LinkId) {
        let ns = network.add_namespace(&format!("host-{number}"));
        let vxlan = Vxlan {
            vni: 1,
            local: Ipv4Addr::new(172, 18, 0, number),
            port: 8472,
            lower: None,
            learning: false,
            fdb: BTreeMap::new(),
        };
        let tunnel = network.add_vxlan(ns, "flannel.1", vxlan).unwrap();
        let own = Ipv4Net::new_assert(Ipv4Addr::new(10, 42, number, 0), 32);
        network.add_address(tunnel, Address::new(own)).unwrap();
        network.set_up(tunnel, true).unwrap();
        let peer = Peer {
            net: net(&format!("10.42.{number}.0/24")),
            host: Ipv4Addr::new(172, 18, 0, number),
            mac: Some(Mac([0x7a, 0, 10, 42, number, 0])),
            since: Time::from_secs(number.into()),
        };
        network.join_mesh(ns, tunnel, peer);
        (ns, tunnel)
    }

    /// What a host does with packets to all others.
    fn seen(network: &Network, (ns, tunnel): (NamespaceId, LinkId)) -> Vec<String> {
        let namespace = network.namespace(ns).unwrap();
        let link = network.link(tunnel).unwrap();
        let to = |number: u8| {
            let gateway = Ipv4Addr::new(10, 42, number, 0);
            let route = network.route(namespace, &Flow::to(Ipv4Addr::new(10, 42, number, 7)));
            let known = network.neighbour(namespace, tunnel, gateway);
            let hosts = known
                .and_then(|n| n.mac)
                .map(|mac| network.tunnel_hosts(link, mac));
            format!("{route:?} {known:?} {hosts:?}")
        };
        (1..=5).map(to).collect()
    }

    #[test]
    fn tables_of_ones_own_say_what_the_shared_ones_said() {
        let mut network = Network::new();
        let hosts: Vec<_> = (1..=3).map(|n| host(&mut network, n)).collect();
        let before: Vec<_> = hosts.iter().map(|h| seen(&network, *h)).collect();
        assert!(before[0][1].contains("10.42.2.0/24") && before[0][1].contains("172.18.0.2"));
        assert!(!before[0][0].contains("10.42.1.0/24"), "{}", before[0][0]);
        network.leave_mesh(hosts[0].0);
        let routes = |network: &Network| network.namespace(hosts[0].0).unwrap().main.iter().count();
        assert_eq!(routes(&network), 2);
        let after: Vec<_> = hosts.iter().map(|h| seen(&network, *h)).collect();
        assert_eq!(before, after);
        // One that comes later is known to all, and one that looked on its own forgets what it is told to.
        let late = host(&mut network, 4);
        assert_eq!(routes(&network), 3);
        assert!(
            hosts
                .iter()
                .all(|h| seen(&network, *h)[3].contains("172.18.0.4"))
        );
        network.set_up(hosts[0].1, false).unwrap();
        assert_eq!(routes(&network), 0);
        assert!(seen(&network, late)[0].contains("172.18.0.1"));
    }
}
