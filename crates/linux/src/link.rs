//! Network devices and what each kind of them keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::packet::Mac;
use crate::time::Time;

/// A network namespace's number: never used twice in one `Network`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub struct NamespaceId(pub u32);

/// A device's number in the whole `Network` (not its `ifindex`): never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub struct LinkId(pub u32);

/// An Ethernet switch's number: never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub struct SegmentId(pub u32);

/// How far an address or route reaches (`/etc/iproute2/rt_scopes`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Scope {
    Global,
    Link,
    Host,
}

impl Scope {
    /// `global`, `link`, `host`
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::Global => "global",
            Scope::Link => "link",
            Scope::Host => "host",
        }
    }
}

/// An IPv4 address of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// Address and prefix length.
    pub net: Ipv4Net,
    /// Broadcast address, if one was set.
    pub broadcast: Option<Ipv4Addr>,
    /// How far it is valid.
    pub scope: Scope,
}

impl Address {
    /// As `ip addr add NET dev …` makes it: global, without a broadcast address.
    #[must_use]
    pub fn new(net: Ipv4Net) -> Address {
        Address {
            net,
            broadcast: None,
            scope: Scope::Global,
        }
    }

    /// The same with the network's broadcast address, as `ip addr add … brd +` and CNI plugins set it.
    #[must_use]
    pub fn with_broadcast(mut self) -> Address {
        self.broadcast = (self.net.prefix_len() < 31).then(|| self.net.broadcast());
        self
    }
}

/// One learned or set entry of a bridge's forwarding database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FdbEntry {
    /// The port behind which the address is; the bridge itself for its own.
    pub port: LinkId,
    /// Set by hand: does not age.
    pub is_static: bool,
    /// When a frame from it was last seen.
    pub updated: Time,
}

/// A bridge's own state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bridge {
    /// Its ports.
    pub ports: BTreeSet<LinkId>,
    /// Which address is behind which port.
    pub fdb: BTreeMap<Mac, FdbEntry>,
    /// Its MTU was changed by hand, and no longer follows its ports'.
    pub mtu_set: bool,
}

impl Bridge {
    /// Linux's default `ageing_time`.
    pub const AGEING: Time = Time::from_secs(300);
}

/// A VXLAN device (RFC 7348; `drivers/net/vxlan`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vxlan {
    /// Virtual network identifier.
    pub vni: u32,
    /// Source address of outer packets.
    pub local: Ipv4Addr,
    /// UDP port.
    pub port: u16,
    /// The device that outer packets leave by, if fixed.
    pub lower: Option<LinkId>,
    /// Does it learn from received frames?
    pub learning: bool,
    /// Address inside -> hosts; `00:00:00:00:00:00` is where unknown and group addresses go.
    pub fdb: BTreeMap<Mac, Vec<Ipv4Addr>>,
}

impl Vxlan {
    /// What a frame grows by: outer IPv4, UDP and VXLAN headers, and its own Ethernet header.
    pub const OVERHEAD: u32 = 20 + 8 + 8 + 14;
}

/// An IPIP tunnel's end (RFC 2003; `net/ipv4/ipip.c`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipip {
    /// Source address of outer packets; 0.0.0.0: the one that routing chooses.
    pub local: Ipv4Addr,
    /// The other end; 0.0.0.0: the next hop of the packet's route, and from anybody.
    pub remote: Ipv4Addr,
    /// TTL of outer packets; 0: that of the packet inside.
    pub ttl: u8,
    /// The device that outer packets leave by, if one is named.
    pub lower: Option<LinkId>,
    /// Are outer packets not to be fragmented?
    pub discovers_mtu: bool,
}

impl Ipip {
    /// What a packet grows by: an IPv4 header.
    pub const OVERHEAD: u32 = 20;
    /// The device that every namespace has once the kernel knows these tunnels.
    pub const FALLBACK: &str = "tunl0";

    /// The tunnel that takes what is nobody else's.
    #[must_use]
    pub fn fallback() -> Ipip {
        Ipip {
            local: Ipv4Addr::UNSPECIFIED,
            remote: Ipv4Addr::UNSPECIFIED,
            ttl: 0,
            lower: None,
            discovers_mtu: false,
        }
    }

    /// How well a packet's addresses fit this end (`ip_tunnel_lookup`); None: not at all.
    pub(crate) fn fits(&self, from: Ipv4Addr, to: Ipv4Addr) -> Option<u8> {
        let side = |own: Ipv4Addr, other: Ipv4Addr, good: u8| {
            if own == other {
                Some(good)
            } else {
                own.is_unspecified().then_some(0)
            }
        };
        Some(side(self.remote, from, 2)? + side(self.local, to, 1)?)
    }
}

/// What a device is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// `lo`
    Loopback,
    /// One end of a pair.
    Veth {
        /// The other end.
        peer: LinkId,
    },
    /// A software bridge (no STP).
    Bridge(Box<Bridge>),
    /// A VXLAN tunnel's end.
    Vxlan(Box<Vxlan>),
    /// An IPIP tunnel's end.
    Ipip(Ipip),
    /// `dummy`: drops what it is given.
    Dummy,
    /// A network card.
    Physical {
        /// The switch its cable goes to.
        segment: Option<SegmentId>,
    },
}

/// Settings of a device as a bridge's port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortFlags {
    /// May a frame leave by the port it came in?
    pub hairpin: bool,
    /// Are source addresses learned?
    pub learning: bool,
}

impl Default for PortFlags {
    fn default() -> Self {
        PortFlags {
            hairpin: false,
            learning: true,
        }
    }
}

/// A device's own parameters (`net.ipv4.conf.DEVICE.*` joined with `all`), kept at hand for the packet path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct DeviceConf {
    pub forwarding: bool,
    pub route_localnet: bool,
    pub accept_local: bool,
    pub send_redirects: bool,
    pub rp_filter: u8,
    /// Milliseconds between questions for a neighbour beyond the usual 1000, or below them.
    pub retrans: i32,
}

/// A network device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    /// The namespace it is in.
    pub namespace: NamespaceId,
    /// Its index in that namespace.
    pub ifindex: u32,
    /// Its name.
    pub name: Arc<str>,
    /// `ip link set … alias`
    pub alias: Option<Arc<str>>,
    /// Ethernet address.
    pub mac: Mac,
    /// Largest IP packet.
    pub mtu: u32,
    /// Set up by the administrator?
    pub up: bool,
    /// The bridge it is a port of.
    pub master: Option<LinkId>,
    /// Its settings as a port.
    pub port: PortFlags,
    /// IPv4 addresses, in the order they were added.
    pub addresses: Vec<Address>,
    /// What it is.
    pub kind: LinkKind,
    /// Of 2^31 frames that it sends, how many are lost on the way (a fault; 0: none).
    pub loss: u32,
    /// How long each frame that it sends is under way (netem's delay).
    pub delay: Time,
    pub(crate) conf: DeviceConf,
}

/// What went one way through a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flowed {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that the device did not take.
    pub dropped: u64,
}

/// What passed a device both ways, in packets and bytes: of its [`Traffic`] what each frame counts up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    pub received: (u64, u64),
    pub sent: (u64, u64),
}

/// A device's counters (`ip -s link`, /proc/net/dev), and what became of its frames on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// What came in.
    pub received: Flowed,
    /// What was sent.
    pub sent: Flowed,
    /// Frames that were sent (or, where the device was down, that came for it) and arrived nowhere. No counter of the
    /// device's shows them.
    pub lost: u64,
    /// Further copies of frames that arrived at more than one device.
    pub copied: u64,
}

impl Link {
    /// Its first address of at least this reach, preferring one in the same network as `towards`
    /// (`inet_select_addr` of the kernel).
    #[must_use]
    pub fn select_address(&self, towards: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        let mut usable = self.addresses.iter().filter(|a| a.scope != Scope::Host);
        towards
            .and_then(|t| usable.clone().find(|a| a.net.contains(&t)))
            .or_else(|| usable.next())
            .map(|a| a.net.addr())
    }

    /// The bridge's state, if it is one.
    #[must_use]
    pub fn bridge(&self) -> Option<&Bridge> {
        match &self.kind {
            LinkKind::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    pub(crate) fn bridge_mut(&mut self) -> Option<&mut Bridge> {
        match &mut self.kind {
            LinkKind::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    /// The tunnel's state, if it is a VXLAN device.
    #[must_use]
    pub fn vxlan(&self) -> Option<&Vxlan> {
        match &self.kind {
            LinkKind::Vxlan(vxlan) => Some(vxlan),
            _ => None,
        }
    }

    /// The tunnel, if it is an IPIP device.
    #[must_use]
    pub fn ipip(&self) -> Option<&Ipip> {
        match &self.kind {
            LinkKind::Ipip(ipip) => Some(ipip),
            _ => None,
        }
    }

    pub(crate) fn vxlan_mut(&mut self) -> Option<&mut Vxlan> {
        match &mut self.kind {
            LinkKind::Vxlan(vxlan) => Some(vxlan),
            _ => None,
        }
    }
}
