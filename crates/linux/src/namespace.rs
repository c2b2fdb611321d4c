//! One network namespace: what a node or a pod has for itself.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::conntrack::Conntrack;
use crate::link::{LinkId, NamespaceId};
use crate::mesh::Member;
use crate::neighbour::Neighbour;
use crate::netfilter::Netfilter;
use crate::netfilter::limit::Bucket;
use crate::packet::Protocol;
use crate::route::{DEFAULT, Flow, IpRule, LOCAL, MAIN, Route, RouteTable};
use crate::sysctl::Sysctls;
use crate::time::Time;

/// A socket that accepts connections or datagrams.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Listener {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// Its port.
    pub port: u16,
    /// Its address; `0.0.0.0` for all.
    pub address: Ipv4Addr,
    /// What the one who opened it calls it.
    pub token: u64,
}

/// Neighbours by device and address.
pub(crate) type Neighbours = BTreeMap<(LinkId, Ipv4Addr), Neighbour>;

/// What only some namespaces have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    /// Routing tables beside the usual ones.
    pub tables: BTreeMap<u32, RouteTable>,
    /// The routing policy, where it is not the usual one.
    rules: Option<Vec<IpRule>>,
    /// Path MTUs learned from "fragmentation needed".
    pub path_mtu: BTreeMap<Ipv4Addr, u32>,
    /// What each host may still be told of errors, in time that has gone by.
    pub icmp_budgets: BTreeMap<Ipv4Addr, Bucket>,
}

/// A network namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Its number.
    pub id: NamespaceId,
    /// Its name.
    pub name: Arc<str>,
    pub(crate) links: Vec<LinkId>,
    pub(crate) next_ifindex: u32,
    pub(crate) local: RouteTable,
    pub(crate) main: RouteTable,
    pub(crate) neighbours: Arc<Neighbours>,
    pub(crate) sysctls: Sysctls,
    pub(crate) bridge_nf: bool,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) packet_id: u16,
    /// What only some namespaces have.
    rare: Option<Box<Rare>>,
    /// Its part in the mesh of hosts.
    pub(crate) mesh: Option<Member>,
    /// Packet filter rules and what belongs to them.
    pub netfilter: Netfilter,
    /// Connections that netfilter tracks.
    pub conntrack: Arc<Conntrack>,
}

impl Namespace {
    pub(crate) fn new(
        id: NamespaceId,
        name: Arc<str>,
        conntrack: Arc<Conntrack>,
        neighbours: Arc<Neighbours>,
    ) -> Namespace {
        Namespace {
            id,
            name,
            links: Vec::new(),
            next_ifindex: 1,
            local: RouteTable::default(),
            main: RouteTable::default(),
            neighbours,
            sysctls: Sysctls::default(),
            bridge_nf: true,
            listeners: Vec::new(),
            packet_id: 0,
            rare: None,
            mesh: None,
            netfilter: Netfilter::default(),
            conntrack,
        }
    }

    /// Its devices in the order of their index.
    #[must_use]
    pub fn links(&self) -> &[LinkId] {
        &self.links
    }

    /// Kernel parameters; set them with `Network::set_sysctl`.
    #[must_use]
    pub fn sysctls(&self) -> &Sysctls {
        &self.sysctls
    }

    /// What only some namespaces have; nothing in most.
    pub(crate) fn rare(&self) -> &Rare {
        static NOTHING: Rare = Rare {
            tables: BTreeMap::new(),
            rules: None,
            path_mtu: BTreeMap::new(),
            icmp_budgets: BTreeMap::new(),
        };
        self.rare.as_deref().unwrap_or(&NOTHING)
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn own_rules(&self) -> Option<&Vec<IpRule>> {
        self.rare.as_ref()?.rules.as_ref()
    }

    /// A routing table (`MAIN`, `LOCAL`, or another's number), None if nothing was ever put into it.
    #[must_use]
    pub fn table(&self, number: u32) -> Option<&RouteTable> {
        match number {
            MAIN => Some(&self.main),
            LOCAL => Some(&self.local),
            other => self.rare.as_ref()?.tables.get(&other),
        }
    }

    /// A routing table to change.
    pub fn table_mut(&mut self, number: u32) -> &mut RouteTable {
        match number {
            MAIN => &mut self.main,
            LOCAL => &mut self.local,
            other => self.rare_mut().tables.entry(other).or_default(),
        }
    }

    /// The routing policy, by priority.
    #[must_use]
    pub fn rules(&self) -> Vec<IpRule> {
        self.own_rules().cloned().unwrap_or_else(IpRule::defaults)
    }

    /// The routing policy to change; keep it sorted by priority.
    pub fn rules_mut(&mut self) -> &mut Vec<IpRule> {
        self.rare_mut().rules.get_or_insert_with(IpRule::defaults)
    }

    /// The route of a packet and the table that has it.
    #[must_use]
    pub fn route(&self, flow: &Flow) -> Option<(&Route, u32)> {
        let Some(rules) = self.own_rules() else {
            return self
                .local
                .lookup(flow.dst, flow.oif)
                .map(|r| (r, LOCAL))
                .or_else(|| {
                    let main = self.main.lookup(flow.dst, flow.oif).map(|r| (r, MAIN));
                    main.or_else(|| {
                        Some((self.table(DEFAULT)?.lookup(flow.dst, flow.oif)?, DEFAULT))
                    })
                });
        };
        rules.iter().find_map(|rule| {
            let applies = rule
                .from
                .is_none_or(|net| flow.src.is_some_and(|src| net.contains(&src)))
                && rule.to.is_none_or(|net| net.contains(&flow.dst))
                && rule
                    .mark
                    .is_none_or(|(value, mask)| flow.mark & mask == value & mask)
                && rule.iif.is_none_or(|dev| flow.iif == Some(dev));
            if !applies {
                return None;
            }
            Some((
                self.table(rule.table)?.lookup(flow.dst, flow.oif)?,
                rule.table,
            ))
        })
    }

    /// Is this one of the namespace's own addresses? (The whole of 127.0.0.0/8 is.)
    #[must_use]
    pub fn is_local(&self, address: Ipv4Addr) -> bool {
        self.local
            .lookup(address, None)
            .is_some_and(|r| r.kind == crate::route::RouteKind::Local)
    }

    /// The neighbour table, by device and address.
    pub fn neighbours(&self) -> impl Iterator<Item = (LinkId, Ipv4Addr, &Neighbour)> {
        self.neighbours
            .iter()
            .map(|((link, address), n)| (*link, *address, n))
    }

    /// Sets or replaces an entry of the neighbour table.
    pub fn set_neighbour(&mut self, link: LinkId, address: Ipv4Addr, neighbour: Neighbour) {
        Arc::make_mut(&mut self.neighbours).insert((link, address), neighbour);
    }

    /// Removes an entry of the neighbour table; false if there was none.
    pub fn remove_neighbour(&mut self, link: LinkId, address: Ipv4Addr) -> bool {
        self.neighbours.contains_key(&(link, address))
            && Arc::make_mut(&mut self.neighbours)
                .remove(&(link, address))
                .is_some()
    }

    /// May a host be told of an error? At most one in `net.ipv4.icmp_ratelimit` milliseconds, but six at once
    /// (`icmpv4_xrlim_allow`, `inet_peer_xrlim_allow`).
    pub(crate) fn may_tell(&mut self, host: Ipv4Addr, now: Time) -> bool {
        let spacing = self.sysctls.number("net.ipv4.icmp_ratelimit");
        let cost = Time::from_millis(u64::try_from(spacing).unwrap_or(0));
        self.spend(host, cost, 6, now)
    }

    /// May a host be told that a packet of its has no route? At most once a second, but five times at once (`ip_error`);
    /// what [`Namespace::may_tell`] says is asked after that, and both spend the same budget.
    pub(crate) fn may_tell_of_route(&mut self, host: Ipv4Addr, now: Time) -> bool {
        self.spend(host, Time::from_secs(1), 5, now)
    }

    /// Takes the cost of an error out of a host's budget (`struct inet_peer`), which holds a burst of them at most.
    fn spend(&mut self, host: Ipv4Addr, cost: Time, burst: u64, now: Time) -> bool {
        const FRESH: Time = Time::from_secs(60);
        let budgets = &mut self.rare_mut().icmp_budgets;
        // Budgets that are as good as new say nothing.
        if budgets.len() >= 256 && budgets.len().is_power_of_two() {
            budgets.retain(|_, b| !b.is_full(FRESH.0, now.0));
        }
        budgets
            .entry(host)
            .or_insert_with(|| Bucket::full(FRESH.0, now.0))
            .take(cost.0, burst * cost.0, now.0)
    }

    /// Forgets the neighbours that a condition holds for.
    pub(crate) fn forget_neighbours(&mut self, which: impl Fn(LinkId) -> bool) {
        if self.neighbours.keys().any(|(link, _)| which(*link)) {
            Arc::make_mut(&mut self.neighbours).retain(|(link, _), _| !which(*link));
        }
    }

    /// Sockets that accept, by protocol and port.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The socket that a packet to this address and port reaches: one bound to the address before one bound to all.
    #[must_use]
    pub fn listener(&self, protocol: Protocol, address: Ipv4Addr, port: u16) -> Option<&Listener> {
        let start = self
            .listeners
            .partition_point(|l| (l.protocol, l.port) < (protocol, port));
        let all = self.listeners.get(start..).unwrap_or_default();
        let mut same = all
            .iter()
            .take_while(|l| l.protocol == protocol && l.port == port);
        same.clone()
            .find(|l| l.address == address)
            .or_else(|| same.find(|l| l.address.is_unspecified()))
    }
}
