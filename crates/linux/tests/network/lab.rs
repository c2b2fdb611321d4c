//! Builds, by hand, the network that three nodes with a bridge CNI and flannel's VXLAN have.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use kubarium_linux::{
    Address, Connect, Connection, LinkId, Mac, NamespaceId, Neighbour, NeighbourState, Network,
    PortFlags, Protocol, Route, SeededDice, SegmentId, Time, Vxlan,
};

pub struct Lab {
    pub net: Network,
    pub segment: SegmentId,
    pub now: Time,
    pub dice: SeededDice,
    /// Names of servers by token.
    pub servers: Vec<String>,
    nodes: BTreeMap<String, (NamespaceId, LinkId, Option<LinkId>)>,
}

pub fn ip(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

fn net(text: &str) -> ipnet::Ipv4Net {
    text.parse().expect("a network")
}

impl Lab {
    pub fn new() -> Lab {
        let mut net = Network::new();
        let segment = net.add_segment("kubnet");
        Lab {
            net,
            segment,
            now: Time::from_secs(100),
            dice: SeededDice(1),
            servers: vec!["echo".to_owned()],
            nodes: BTreeMap::new(),
        }
    }

    /// A host on 172.18.0.0/24 with a default route.
    pub fn host(
        &mut self,
        name: &str,
        address: &str,
        gateway: Option<&str>,
    ) -> (NamespaceId, LinkId) {
        let id = self.net.add_namespace(name);
        let eth0 = self.net.add_physical(id, "eth0").expect("eth0");
        self.net.plug(eth0, self.segment).expect("plugged");
        self.net.set_up(eth0, true).expect("up");
        self.net
            .add_address(eth0, Address::new(net(&format!("{address}/24"))))
            .expect("address");
        if let Some(gateway) = gateway {
            self.route(id, Route::via(net("0.0.0.0/0"), ip(gateway), eth0));
        }
        (id, eth0)
    }

    pub fn route(&mut self, id: NamespaceId, route: Route) {
        self.net
            .namespace_mut(id)
            .expect("namespace")
            .table_mut(kubarium_linux::MAIN)
            .replace(route);
    }

    /// A node: its cbr0 and flannel.1, as the `n`th node.
    pub fn node(&mut self, name: &str, address: &str, n: u8, bridge_mtu: u32) -> NamespaceId {
        let (id, eth0) = self.host(name, address, Some("172.18.0.1"));
        for key in ["net.ipv4.ip_forward", "net.ipv4.conf.all.route_localnet"] {
            self.net.set_sysctl(id, key, "1").expect("sysctl");
        }
        let bridge = self.net.add_bridge(id, "cbr0").expect("cbr0");
        self.net.set_mtu(bridge, bridge_mtu).expect("mtu");
        self.net.set_up(bridge, true).expect("up");
        self.net
            .add_address(bridge, Address::new(net(&format!("10.42.{n}.1/24"))))
            .expect("address");
        let vxlan = Vxlan {
            vni: 1,
            local: ip(address),
            port: 8472,
            lower: Some(eth0),
            learning: false,
            fdb: BTreeMap::new(),
        };
        let flannel = self
            .net
            .add_vxlan(id, "flannel.1", vxlan)
            .expect("flannel.1");
        self.net.set_mac(flannel, flannel_mac(n)).expect("mac");
        self.net.set_up(flannel, true).expect("up");
        self.net
            .add_address(flannel, Address::new(net(&format!("10.42.{n}.0/32"))))
            .expect("address");
        self.nodes
            .insert(name.to_owned(), (id, bridge, Some(flannel)));
        id
    }

    /// What flannel writes on one node about another.
    pub fn peer(&mut self, name: &str, peer: u8, address: &str) {
        let (id, _, flannel) = self.nodes[name];
        let flannel = flannel.expect("flannel.1");
        let gateway = Ipv4Addr::new(10, 42, peer, 0);
        self.route(
            id,
            Route {
                onlink: true,
                ..Route::via(net(&format!("{gateway}/24")), gateway, flannel)
            },
        );
        self.net
            .add_fdb(flannel, flannel_mac(peer), Some(ip(address)))
            .expect("fdb");
        let neighbour = Neighbour {
            mac: Some(flannel_mac(peer)),
            state: NeighbourState::Permanent,
            since: Time::ZERO,
        };
        self.net
            .namespace_mut(id)
            .expect("namespace")
            .set_neighbour(flannel, gateway, neighbour);
    }

    pub fn pod(
        &mut self,
        name: &str,
        node: &str,
        address: &str,
        mtu: u32,
        hairpin: bool,
    ) -> NamespaceId {
        let (host, bridge, _) = self.nodes[node];
        let id = self.net.add_namespace(name);
        let (eth0, veth) = self
            .net
            .add_veth((id, "eth0"), (host, &format!("veth{}", id.0)))
            .expect("veth");
        for link in [eth0, veth] {
            self.net.set_mtu(link, mtu).expect("mtu");
            self.net.set_up(link, true).expect("up");
        }
        self.net.set_master(veth, Some(bridge)).expect("master");
        self.net
            .set_port(
                veth,
                PortFlags {
                    hairpin,
                    learning: true,
                },
            )
            .expect("port");
        self.net
            .add_address(
                eth0,
                Address::new(net(&format!("{address}/24"))).with_broadcast(),
            )
            .expect("address");
        let gateway = self.net.link(bridge).expect("bridge").addresses[0]
            .net
            .addr();
        self.route(id, Route::via(net("0.0.0.0/0"), gateway, eth0));
        id
    }

    /// A server that listens on TCP and UDP, named by its token.
    pub fn serve(&mut self, id: NamespaceId, name: &str, port: u16) {
        let token = self
            .servers
            .iter()
            .position(|s| s == name)
            .unwrap_or_else(|| {
                self.servers.push(name.to_owned());
                self.servers.len() - 1
            });
        for protocol in [Protocol::TCP, Protocol::UDP] {
            self.net
                .listen(id, protocol, Ipv4Addr::UNSPECIFIED, port, token as u64)
                .expect("listening");
        }
    }

    pub fn id(&self, name: &str) -> NamespaceId {
        self.net
            .find(name)
            .unwrap_or_else(|| panic!("no namespace {name}"))
    }

    pub fn request(&self, from: &str, to: &str, protocol: Protocol) -> Connect {
        let to: SocketAddrV4 = to.parse().expect("address and port");
        let from = self.id(from);
        if protocol == Protocol::UDP {
            Connect {
                timeout: Time::from_millis(4500),
                resend: Some(Time::from_millis(900)),
                ..Connect::udp(from, to)
            }
        } else {
            Connect {
                timeout: Time::from_millis(4600),
                ..Connect::tcp(from, to)
            }
        }
    }

    pub fn connect(&mut self, request: &Connect) -> Connection {
        let connection = self.net.connect(request, self.now, &mut self.dice, None);
        self.now = self.now + connection.elapsed + Time::from_millis(10);
        connection
    }
}

pub fn flannel_mac(n: u8) -> Mac {
    Mac([0x7a, 0, 0x0a, 0x2a, n, 0])
}
