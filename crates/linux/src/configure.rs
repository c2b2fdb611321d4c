//! Setting up devices: state, addresses, bridge ports, forwarding entries, kernel parameters.

use std::net::Ipv4Addr;

use crate::errno::Errno;
use crate::link::{
    Address, DeviceConf, FdbEntry, Link, LinkId, LinkKind, NamespaceId, PortFlags, Scope, Vxlan,
};
use crate::namespace::Namespace;
use crate::network::{ETHERNET_MTU, Network, host};
use crate::packet::Mac;
use crate::route::{LOCAL, MAIN, Route, RouteKind, RouteProtocol};
use ipnet::Ipv4Net;

impl Network {
    /// Sets a device up or down. Down takes its routes and learned neighbours away; up brings back those of its
    /// addresses, not those set by hand. Errors: ENODEV.
    pub fn set_up(&mut self, id: LinkId, up: bool) -> Result<(), Errno> {
        let namespace = self.link(id).ok_or(Errno::ENODEV)?.namespace;
        let member = self.namespace(namespace).and_then(|ns| ns.mesh);
        if !up && member.is_some_and(|member| member.uses(id)) {
            // What goes with the device is the host's own.
            self.leave_mesh(namespace);
        }
        let link = self.links.get_mut(id.0).ok_or(Errno::ENODEV)?;
        if link.up == up {
            return Ok(());
        }
        link.up = up;
        let (namespace, addresses) = (link.namespace, link.addresses.clone());
        if up {
            for address in addresses {
                self.add_address_routes(id, address);
            }
        } else {
            let ns = self.namespaces.get_mut(namespace.0).ok_or(Errno::ENODEV)?;
            ns.main.retain(|r| r.dev != Some(id));
            ns.local.retain(|r| r.dev != Some(id));
            if !ns.rare().tables.is_empty() {
                let tables = ns.rare_mut().tables.values_mut();
                tables.for_each(|table| table.retain(|r| r.dev != Some(id)));
            }
            ns.forget_neighbours(|dev| dev == id);
        }
        Ok(())
    }

    /// Has the device a carrier: is what it is connected to up as well?
    #[must_use]
    pub fn carrier(&self, link: &Link) -> bool {
        link.up
            && match &link.kind {
                LinkKind::Veth { peer } => self.link(*peer).is_some_and(|p| p.up),
                LinkKind::Bridge(bridge) => bridge
                    .ports
                    .iter()
                    .any(|p| self.link(*p).is_some_and(|l| self.carrier(l))),
                LinkKind::Physical { segment } => segment.is_some(),
                _ => true,
            }
    }

    /// Errors: ENODEV, EINVAL (below 68 or above 65536, or a tunnel's that does not fit the device under it).
    pub fn set_mtu(&mut self, id: LinkId, mtu: u32) -> Result<(), Errno> {
        let link = self.link(id).ok_or(Errno::ENODEV)?;
        let lower = link.vxlan().and_then(|v| self.link(v.lower?));
        let most = lower.map_or(65536, |lower| lower.mtu.saturating_sub(Vxlan::OVERHEAD));
        if !(68..=most).contains(&mtu) {
            return Err(Errno::EINVAL);
        }
        // What changes nothing is not said to the driver.
        if link.mtu == mtu {
            return Ok(());
        }
        let link = self.link_mut(id).ok_or(Errno::ENODEV)?;
        link.mtu = mtu;
        let master = link.master;
        if let Some(bridge) = link.bridge_mut() {
            bridge.mtu_set = true;
        }
        if let Some(bridge) = master {
            self.adjust_mtu(bridge);
        }
        Ok(())
    }

    /// A bridge whose MTU nobody has changed takes the smallest of its ports' (`br_mtu_auto_adjust`).
    fn adjust_mtu(&mut self, id: LinkId) {
        let Some(bridge) = self.link(id).and_then(Link::bridge) else {
            return;
        };
        if bridge.mtu_set {
            return;
        }
        let ports = bridge.ports.iter().filter_map(|port| self.link(*port));
        let least = ports.map(|port| port.mtu).min().unwrap_or(ETHERNET_MTU);
        if let Some(link) = self.link_mut(id).filter(|link| link.mtu != least) {
            link.mtu = least;
        }
    }

    /// Errors: ENODEV, EADDRNOTAVAIL (a group address).
    pub fn set_mac(&mut self, id: LinkId, mac: Mac) -> Result<(), Errno> {
        if mac.is_group() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let link = self.link_mut(id).ok_or(Errno::ENODEV)?;
        let old = std::mem::replace(&mut link.mac, mac);
        if let LinkKind::Physical {
            segment: Some(segment),
        } = link.kind
            && let Some(segment) = self.segments.get_mut(segment.0)
        {
            segment.by_mac.remove(&old);
            segment.by_mac.insert(mac, id);
        }
        Ok(())
    }

    /// Errors: ENODEV.
    pub fn set_alias(&mut self, id: LinkId, alias: Option<&str>) -> Result<(), Errno> {
        self.link_mut(id).ok_or(Errno::ENODEV)?.alias = alias.map(Into::into);
        Ok(())
    }

    /// Of 2^31 frames that the device sends, how many are lost. Errors: ENODEV.
    pub fn set_loss(&mut self, id: LinkId, loss: u32) -> Result<(), Errno> {
        self.link_mut(id).ok_or(Errno::ENODEV)?.loss = loss;
        Ok(())
    }

    /// The largest packet that goes to an address whole, as far as a namespace knows: its device's MTU, or what it was
    /// told by "fragmentation needed".
    #[must_use]
    pub fn path_mtu(&self, namespace: NamespaceId, dst: Ipv4Addr) -> u32 {
        let Some(ns) = self.namespace(namespace) else {
            return 1500;
        };
        let route = self.route(ns, &crate::route::Flow::to(dst));
        let device = route.and_then(|(route, _)| self.link(route.dev?));
        let mtu = device.map_or(1500, |d| d.mtu);
        ns.rare()
            .path_mtu
            .get(&dst)
            .map_or(mtu, |known| mtu.min(*known))
    }

    /// How long each frame that the device sends is under way. Errors: ENODEV.
    pub fn set_delay(&mut self, id: LinkId, delay: crate::Time) -> Result<(), Errno> {
        self.link_mut(id).ok_or(Errno::ENODEV)?.delay = delay;
        Ok(())
    }

    /// Makes a device a bridge's port, or takes it off its bridge. Errors: ENODEV, EINVAL (not a bridge, or a bridge
    /// as a port), EBUSY (a port of another bridge).
    pub fn set_master(&mut self, id: LinkId, master: Option<LinkId>) -> Result<(), Errno> {
        let link = self.link(id).ok_or(Errno::ENODEV)?;
        if link.master == master {
            return Ok(());
        }
        let (old, namespace) = (link.master, link.namespace);
        if let Some(master) = master {
            let bridge = self.link(master).ok_or(Errno::ENODEV)?;
            if bridge.bridge().is_none()
                || link.bridge().is_some()
                || matches!(link.kind, LinkKind::Loopback)
                || bridge.namespace != namespace
            {
                return Err(Errno::EINVAL);
            }
            if old.is_some() {
                return Err(Errno::EBUSY);
            }
        }
        if let Some(bridge) = old
            .and_then(|old| self.link_mut(old))
            .and_then(Link::bridge_mut)
        {
            bridge.ports.remove(&id);
            bridge.fdb.retain(|_, entry| entry.port != id);
        }
        if let Some(bridge) = master
            .and_then(|master| self.link_mut(master))
            .and_then(Link::bridge_mut)
        {
            bridge.ports.insert(id);
        }
        let link = self.link_mut(id).ok_or(Errno::ENODEV)?;
        link.master = master;
        link.port = PortFlags::default();
        for bridge in [old, master].into_iter().flatten() {
            self.adjust_mtu(bridge);
        }
        Ok(())
    }

    /// A port's settings on its bridge. Errors: ENODEV, EINVAL (no port).
    pub fn set_port(&mut self, id: LinkId, flags: PortFlags) -> Result<(), Errno> {
        let link = self.link_mut(id).ok_or(Errno::ENODEV)?;
        if link.master.is_none() {
            return Err(Errno::EINVAL);
        }
        link.port = flags;
        Ok(())
    }

    /// Sets a bridge's or VXLAN device's forwarding entry. For a bridge `dev` is the port; for VXLAN it is the device
    /// and `host` the outer destination. Errors: ENODEV, EOPNOTSUPP (neither), EEXIST (that host is listed already).
    pub fn add_fdb(&mut self, dev: LinkId, mac: Mac, host: Option<Ipv4Addr>) -> Result<(), Errno> {
        let link = self.link_mut(dev).ok_or(Errno::ENODEV)?;
        if let (Some(vxlan), Some(host)) = (link.vxlan_mut(), host) {
            let hosts = vxlan.fdb.entry(mac).or_default();
            if hosts.contains(&host) {
                return Err(Errno::EEXIST);
            }
            hosts.push(host);
            return Ok(());
        }
        let master = link.master.ok_or(Errno::EOPNOTSUPP)?;
        let bridge = self
            .link_mut(master)
            .and_then(Link::bridge_mut)
            .ok_or(Errno::EOPNOTSUPP)?;
        bridge.fdb.insert(
            mac,
            FdbEntry {
                port: dev,
                is_static: true,
                updated: crate::Time::ZERO,
            },
        );
        Ok(())
    }

    /// Removes a forwarding entry; of a VXLAN device the one to `host`, or all of the address. Errors: ENODEV, ENOENT,
    /// EOPNOTSUPP.
    pub fn remove_fdb(
        &mut self,
        dev: LinkId,
        mac: Mac,
        host: Option<Ipv4Addr>,
    ) -> Result<(), Errno> {
        let link = self.link_mut(dev).ok_or(Errno::ENODEV)?;
        if let Some(vxlan) = link.vxlan_mut() {
            let hosts = vxlan.fdb.get_mut(&mac).ok_or(Errno::ENOENT)?;
            let before = hosts.len();
            hosts.retain(|h| host.is_some_and(|host| *h != host));
            if hosts.len() == before {
                return Err(Errno::ENOENT);
            }
            if hosts.is_empty() {
                vxlan.fdb.remove(&mac);
            }
            return Ok(());
        }
        let master = link.master.ok_or(Errno::EOPNOTSUPP)?;
        let bridge = self
            .link_mut(master)
            .and_then(Link::bridge_mut)
            .ok_or(Errno::EOPNOTSUPP)?;
        bridge.fdb.remove(&mac).map(|_| ()).ok_or(Errno::ENOENT)
    }

    /// Adds an address: the device has it, the local table knows it, and while the device is up its network is reached
    /// by it. Errors: ENODEV, EEXIST.
    pub fn add_address(&mut self, id: LinkId, address: Address) -> Result<(), Errno> {
        let link = self.link_mut(id).ok_or(Errno::ENODEV)?;
        if link.addresses.iter().any(|a| a.net == address.net) {
            return Err(Errno::EEXIST);
        }
        // Most devices have one and keep it.
        if link.addresses.len() < 4 {
            link.addresses.reserve_exact(1);
        }
        link.addresses.push(address);
        self.add_address_routes(id, address);
        Ok(())
    }

    /// The routes that an address brings (`fib_add_ifaddr`).
    fn add_address_routes(&mut self, id: LinkId, address: Address) {
        let Some(link) = self.link(id) else { return };
        let (up, loopback) = (link.up, matches!(link.kind, LinkKind::Loopback));
        let Some(ns) = self.namespaces.get_mut(link.namespace.0) else {
            return;
        };
        let own = Route {
            source: Some(address.net.addr()),
            protocol: RouteProtocol::Kernel,
            scope: Scope::Host,
            kind: RouteKind::Local,
            ..Route::on_link(host(address.net.addr()), id)
        };
        let _ = ns.table_mut(LOCAL).add(own);
        if !up {
            return;
        }
        if loopback {
            let _ = ns.table_mut(LOCAL).add(Route {
                destination: address.net.trunc(),
                ..own
            });
        } else if address.net.prefix_len() < 32 {
            let connected = Route {
                destination: address.net.trunc(),
                scope: Scope::Link,
                kind: RouteKind::Unicast,
                ..own
            };
            let _ = ns.table_mut(MAIN).add(connected);
        }
        if address.net.prefix_len() < 31 {
            let broadcast = Route {
                destination: host(address.net.broadcast()),
                scope: Scope::Link,
                kind: RouteKind::Broadcast,
                ..own
            };
            let _ = ns.table_mut(LOCAL).add(broadcast);
        }
    }

    /// Removes an address with its routes. Errors: ENODEV, EADDRNOTAVAIL.
    pub fn remove_address(&mut self, id: LinkId, net: Ipv4Net) -> Result<(), Errno> {
        let link = self.link_mut(id).ok_or(Errno::ENODEV)?;
        let at = link
            .addresses
            .iter()
            .position(|a| a.net == net)
            .ok_or(Errno::EADDRNOTAVAIL)?;
        link.addresses.remove(at);
        let namespace = link.namespace;
        let rest = link.addresses.clone();
        let ns = self.namespaces.get_mut(namespace.0).ok_or(Errno::ENODEV)?;
        ns.local
            .retain(|r| r.dev != Some(id) || r.source != Some(net.addr()));
        ns.main.retain(|r| {
            r.dev != Some(id) || r.source != Some(net.addr()) || r.protocol != RouteProtocol::Kernel
        });
        for address in rest {
            self.add_address_routes(id, address);
        }
        Ok(())
    }

    /// Sets a kernel parameter. Errors: ENOENT (no such parameter, or not modelled).
    pub fn set_sysctl(
        &mut self,
        namespace: NamespaceId,
        key: &str,
        value: &str,
    ) -> Result<(), Errno> {
        let ns = self.namespaces.get_mut(namespace.0).ok_or(Errno::ENOENT)?;
        if !ns.sysctls.set(key, value) {
            return Err(Errno::ENOENT);
        }
        ns.bridge_nf = ns.sysctls.number("net.bridge.bridge-nf-call-iptables") != 0;
        let Some(ns) = self.namespaces.get(namespace.0) else {
            return Ok(());
        };
        for id in ns.links.clone() {
            let Some(ns) = self.namespaces.get(namespace.0) else {
                continue;
            };
            let Some(conf) = self.links.get(id.0).map(|l| device_conf(ns, &l.name)) else {
                continue;
            };
            if self.links.get(id.0).is_some_and(|l| l.conf != conf)
                && let Some(link) = self.links.get_mut(id.0)
            {
                link.conf = conf;
            }
        }
        Ok(())
    }
}

/// A device's parameters, joined with those for all devices.
pub(crate) fn device_conf(ns: &Namespace, device: &str) -> DeviceConf {
    // Nothing set (every pod): the defaults, without formatting names.
    if ns.sysctls.iter().next().is_none() {
        return DeviceConf {
            send_redirects: true,
            ..DeviceConf::default()
        };
    }
    let own = |name: &str| ns.sysctls.number(&format!("net.ipv4.conf.{device}.{name}"));
    let all = |name: &str| ns.sysctls.number(&format!("net.ipv4.conf.all.{name}"));
    DeviceConf {
        forwarding: own("forwarding") != 0,
        route_localnet: own("route_localnet") != 0 || all("route_localnet") != 0,
        accept_local: own("accept_local") != 0 || all("accept_local") != 0,
        send_redirects: own("send_redirects") != 0 || all("send_redirects") != 0,
        rp_filter: own("rp_filter").max(all("rp_filter")).clamp(0, 2) as u8,
        retrans: (ns.sysctls)
            .number(&format!("net.ipv4.neigh.{device}.retrans_time_ms"))
            .clamp(1, 1_000_000) as i32
            - 1000,
    }
}
