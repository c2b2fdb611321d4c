//! Routes, routing tables, and the rules that choose among tables.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::errno::Errno;
use crate::link::{LinkId, Scope};

/// The table of routes that people set.
pub const MAIN: u32 = 254;
/// The table of the namespace's own and broadcast addresses.
pub const LOCAL: u32 = 255;
/// The empty table that the third default rule names.
pub const DEFAULT: u32 = 253;

/// Who made a route (`/etc/iproute2/rt_protos`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum RouteProtocol {
    Kernel,
    Boot,
    Static,
}

impl RouteProtocol {
    /// `kernel`, `boot`, `static`
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RouteProtocol::Kernel => "kernel",
            RouteProtocol::Boot => "boot",
            RouteProtocol::Static => "static",
        }
    }
}

/// What a route does with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum RouteKind {
    Unicast,
    Local,
    Broadcast,
    Blackhole,
    Unreachable,
    Prohibit,
}

impl RouteKind {
    /// `unicast`, `local` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RouteKind::Unicast => "unicast",
            RouteKind::Local => "local",
            RouteKind::Broadcast => "broadcast",
            RouteKind::Blackhole => "blackhole",
            RouteKind::Unreachable => "unreachable",
            RouteKind::Prohibit => "prohibit",
        }
    }
}

/// One route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// Where to; `0.0.0.0/0` is the default route.
    pub destination: Ipv4Net,
    /// The next router, if not on the link.
    pub via: Option<Ipv4Addr>,
    /// The device, for kinds that have one.
    pub dev: Option<LinkId>,
    /// The source address that local packets prefer.
    pub source: Option<Ipv4Addr>,
    /// Smaller wins.
    pub metric: u32,
    /// How far.
    pub scope: Scope,
    /// Who made it.
    pub protocol: RouteProtocol,
    /// What it does.
    pub kind: RouteKind,
    /// `via` is taken to be on the link even if no address says so.
    pub onlink: bool,
}

impl Route {
    /// A unicast route as `ip route add NET dev …` makes it (protocol boot, scope link).
    #[must_use]
    pub fn on_link(destination: Ipv4Net, dev: LinkId) -> Route {
        Route {
            destination,
            via: None,
            dev: Some(dev),
            source: None,
            metric: 0,
            scope: Scope::Link,
            protocol: RouteProtocol::Boot,
            kind: RouteKind::Unicast,
            onlink: false,
        }
    }

    /// A unicast route by a router, as `ip route add NET via … dev …` makes it.
    #[must_use]
    pub fn via(destination: Ipv4Net, via: Ipv4Addr, dev: LinkId) -> Route {
        Route {
            via: Some(via),
            scope: Scope::Global,
            ..Route::on_link(destination, dev)
        }
    }
}

/// One routing table: longest prefix first, then smallest metric, then first added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    routes: Vec<Route>,
    lengths: u64,
    /// The marks of all destinations: most addresses that nothing leads to are known by them.
    marks: u64,
}

/// One bit for a destination.
fn mark(network: u32, length: u8) -> u64 {
    1 << (network.wrapping_mul(0x9e37_79b1) >> 26 ^ u32::from(length))
}

fn mark_of(route: &Route) -> u64 {
    let destination = route.destination;
    mark(destination.network().to_bits(), destination.prefix_len())
}

/// Tables of so many routes are walked.
const FEW: usize = 16;

/// Is an address in a network?
#[inline]
pub(crate) fn covers(net: &Ipv4Net, address: Ipv4Addr) -> bool {
    let unlike = net.addr().to_bits() ^ address.to_bits();
    unlike.leading_zeros() >= u32::from(net.prefix_len())
}

fn key(route: &Route) -> (u8, u32, u32) {
    (
        32 - route.destination.prefix_len(),
        route.destination.network().to_bits(),
        route.metric,
    )
}

impl RouteTable {
    /// All routes, longest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Adds a route. Errors: EEXIST if one of the same destination and metric is there (unless it is a local or
    /// broadcast route of another device).
    pub fn add(&mut self, mut route: Route) -> Result<(), Errno> {
        route.destination = route.destination.trunc();
        let at = self.routes.partition_point(|r| key(r) <= key(&route));
        let same = self
            .routes
            .iter()
            .take(at)
            .rev()
            .take_while(|r| key(r) == key(&route));
        let clash = |r: &Route| match route.kind {
            RouteKind::Local | RouteKind::Broadcast => r.dev == route.dev,
            _ => true,
        };
        if same.into_iter().any(clash) {
            return Err(Errno::EEXIST);
        }
        // Most tables have a handful of routes and keep them.
        if self.routes.len() < 8 {
            self.routes.reserve_exact(1);
        }
        self.routes.insert(at, route);
        self.lengths |= 1 << route.destination.prefix_len();
        self.marks |= mark_of(&route);
        Ok(())
    }

    /// Adds a route, taking the place of one with the same destination and metric.
    pub fn replace(&mut self, route: Route) {
        let k = key(&Route {
            destination: route.destination.trunc(),
            ..route
        });
        if let Some(at) = self.routes.iter().position(|r| key(r) == k) {
            self.routes.remove(at);
        }
        let _ = self.add(route);
    }

    /// Removes the first route that `which` names. Errors: ESRCH if there is none.
    pub fn remove(&mut self, which: impl Fn(&Route) -> bool) -> Result<Route, Errno> {
        let at = self.routes.iter().position(which).ok_or(Errno::ESRCH)?;
        let route = self.routes.remove(at);
        self.measure();
        Ok(route)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Route) -> bool) {
        let before = self.routes.len();
        self.routes.retain(keep);
        if self.routes.len() != before {
            self.measure();
        }
    }

    fn measure(&mut self) {
        self.lengths = self
            .routes
            .iter()
            .fold(0, |bits, r| bits | 1 << r.destination.prefix_len());
        self.marks = self.routes.iter().fold(0, |bits, r| bits | mark_of(r));
    }

    /// The route for an address, restricted to a device if one is asked for.
    #[must_use]
    pub fn lookup(&self, address: Ipv4Addr, dev: Option<LinkId>) -> Option<&Route> {
        if self.routes.len() <= FEW {
            let fits =
                |r: &&Route| covers(&r.destination, address) && (dev.is_none() || r.dev == dev);
            return self.routes.iter().find(fits);
        }
        let address = address.to_bits();
        let mut lengths = self.lengths;
        while lengths != 0 {
            let length = 63 - lengths.leading_zeros() as u8;
            lengths &= !(1 << length);
            let network = if length == 0 {
                0
            } else {
                address & (u32::MAX << (32 - length))
            };
            if self.marks & mark(network, length) == 0 {
                continue;
            }
            let start = self.routes.partition_point(|r| {
                let k = key(r);
                (k.0, k.1) < (32 - length, network)
            });
            for route in self.routes.get(start..).unwrap_or_default() {
                let k = key(route);
                if (k.0, k.1) != (32 - length, network) {
                    break;
                }
                if dev.is_none() || route.dev == dev {
                    return Some(route);
                }
            }
        }
        None
    }
}

/// One rule of the routing policy (`ip rule`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IpRule {
    /// Smaller is asked first.
    pub priority: u32,
    /// Only packets from here.
    pub from: Option<Ipv4Net>,
    /// Only packets to here.
    pub to: Option<Ipv4Net>,
    /// Only packets with this mark: value and mask.
    pub mark: Option<(u32, u32)>,
    /// Only packets that came in by this device.
    pub iif: Option<LinkId>,
    /// The table to look in.
    pub table: u32,
}

impl IpRule {
    /// A rule for all packets.
    #[must_use]
    pub fn all(priority: u32, table: u32) -> IpRule {
        IpRule {
            priority,
            from: None,
            to: None,
            mark: None,
            iif: None,
            table,
        }
    }

    /// The three rules that every namespace starts with.
    #[must_use]
    pub fn defaults() -> Vec<IpRule> {
        vec![
            IpRule::all(0, LOCAL),
            IpRule::all(32766, MAIN),
            IpRule::all(32767, DEFAULT),
        ]
    }
}

/// What a route is looked up for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Destination.
    pub dst: Ipv4Addr,
    /// Source, if chosen already.
    pub src: Option<Ipv4Addr>,
    /// The packet's mark.
    pub mark: u32,
    /// The device it came in by.
    pub iif: Option<LinkId>,
    /// The device it must leave by.
    pub oif: Option<LinkId>,
}

impl Flow {
    /// A local lookup of nothing but a destination.
    #[must_use]
    pub fn to(dst: Ipv4Addr) -> Flow {
        Flow {
            dst,
            src: None,
            mark: 0,
            iif: None,
            oif: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_table_finds_what_a_short_one_finds() {
        let net = |text: &str| -> Ipv4Net { text.parse().unwrap() };
        let mut table = RouteTable::default();
        for (n, to) in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.0/24",
            "10.1.2.3/32",
        ]
        .into_iter()
        .enumerate()
        {
            table
                .add(Route::on_link(net(to), LinkId(n as u32)))
                .unwrap();
        }
        let asked = ["10.1.2.3", "10.1.2.4", "10.1.3.0", "10.2.0.0", "11.0.0.0"];
        let found = |table: &RouteTable| {
            let all = asked.iter().flat_map(|to| {
                let to = to.parse().unwrap();
                [None, Some(LinkId(1))].map(|dev| table.lookup(to, dev).copied())
            });
            all.collect::<Vec<_>>()
        };
        let short = found(&table);
        for n in 0..2 * FEW as u8 {
            let other = Ipv4Net::new_assert(Ipv4Addr::new(192, 168, n, 0), 24);
            table.add(Route::on_link(other, LinkId(9))).unwrap();
        }
        assert_eq!(found(&table), short);
        let devices: Vec<_> = short.iter().map(|r| r.map(|r| r.dev.unwrap().0)).collect();
        let wanted = [4, 1, 3, 1, 2, 1, 1, 1, 0].map(Some);
        assert_eq!(devices, [&wanted[..], &[None]].concat());
    }
}
