//! A random network with random rules and flows, as commands that both worlds understand.

use std::fmt;
use std::net::SocketAddrV4;

#[path = "case/rules.rs"]
mod rules;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// True in so many of a hundred.
    fn percent(&mut self, n: usize) -> bool {
        self.below(100) < n
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn one<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// A network namespace and how it is set up.
pub struct Space {
    pub name: String,
    /// It has an `eth0` on the wire that all hosts share.
    pub wired: bool,
    pub setup: Vec<String>,
    /// For `ipset restore`.
    pub sets: String,
    /// For `iptables-restore`.
    pub rules: String,
    /// Its own addresses.
    pub addresses: Vec<String>,
}

/// A veth pair: space and name of each end.
pub struct Cable {
    pub from: (usize, String),
    pub to: (usize, String),
}

pub enum Flow {
    Tcp {
        from: usize,
        name: String,
        to: SocketAddrV4,
        bytes: u32,
    },
    Udp {
        from: usize,
        name: String,
        to: SocketAddrV4,
    },
    Icmp {
        from: usize,
        name: String,
        to: std::net::Ipv4Addr,
    },
}

impl Flow {
    pub fn from(&self) -> usize {
        match self {
            Flow::Tcp { from, .. } | Flow::Udp { from, .. } | Flow::Icmp { from, .. } => *from,
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flow::Tcp {
                name, to, bytes, ..
            } => write!(f, "{name} -> {to} TCP, {bytes} bytes"),
            Flow::Udp { name, to, .. } => write!(f, "{name} -> {to} UDP"),
            Flow::Icmp { name, to, .. } => write!(f, "{name} -> {to} ICMP"),
        }
    }
}

pub struct Case {
    pub spaces: Vec<Space>,
    pub cables: Vec<Cable>,
    pub flows: Vec<Flow>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for space in &self.spaces {
            writeln!(f, "== {}", space.name)?;
            for command in &space.setup {
                writeln!(f, "{command}")?;
            }
            write!(f, "{}{}", space.sets, space.rules)?;
        }
        for cable in &self.cables {
            let name = |at: usize| &self.spaces[at].name;
            let ((a, one), (b, other)) = (&cable.from, &cable.to);
            writeln!(f, "{} {one} -- {} {other}", name(*a), name(*b))?;
        }
        for flow in &self.flows {
            writeln!(f, "{flow}")?;
        }
        Ok(())
    }
}

/// A network being made.
struct Maker {
    random: Random,
    case: Case,
    hosts: usize,
    /// Addresses that somebody has.
    known: Vec<String>,
    /// Whether the host has rules as kube-proxy writes them.
    services: bool,
    /// Tunnels between hosts.
    overlay: bool,
}

impl Case {
    pub fn random(seed: u64, number: u64) -> Case {
        let mut maker = Maker {
            random: Random(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number)),
            case: Case {
                spaces: Vec::new(),
                cables: Vec::new(),
                flows: Vec::new(),
            },
            hosts: 2,
            known: Vec::new(),
            services: false,
            overlay: false,
        };
        maker.random.next();
        maker.hosts = 1 + maker.random.below(3);
        maker.services = maker.random.percent(70);
        maker.overlay = maker.random.percent(50);
        for host in 1..=maker.hosts {
            maker.host(host);
        }
        maker.outside();
        maker.rules();
        maker.flows();
        maker.case
    }
}

/// What nobody has, or nobody answers at.
const NOWHERE: [&str; 5] = [
    "10.1.0.200",
    "172.18.0.200",
    "10.77.1.1",
    "198.51.100.7",
    "10.9.0.1",
];

impl Maker {
    fn space(&mut self, name: &str, wired: bool) -> usize {
        let mut setup = vec!["ip link set lo up".to_owned()];
        for key in [
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.all.accept_redirects=0",
            "net.ipv4.conf.default.send_redirects=0",
        ] {
            setup.push(format!("sysctl -qw {key}"));
        }
        if wired {
            setup.push("sysctl -qw net.ipv4.conf.eth0.send_redirects=0".to_owned());
        }
        self.case.spaces.push(Space {
            name: name.to_owned(),
            wired,
            setup,
            sets: String::new(),
            rules: String::new(),
            addresses: vec!["127.0.0.1".to_owned()],
        });
        self.case.spaces.len() - 1
    }

    fn run(&mut self, at: usize, command: String) {
        self.case.spaces[at].setup.push(command);
    }

    fn address(&mut self, at: usize, device: &str, address: &str) {
        self.run(at, format!("ip addr add {address} dev {device}"));
        let bare = address.split('/').next().unwrap_or(address).to_owned();
        self.case.spaces[at].addresses.push(bare.clone());
        self.known.push(bare);
    }

    /// Neighbours that do not answer are given up sooner than usual.
    fn up(&mut self, at: usize, device: &str) {
        self.run(at, format!("ip link set {device} up"));
        self.run(
            at,
            format!("sysctl -qw net.ipv4.neigh.{device}.retrans_time_ms=40"),
        );
    }

    fn host(&mut self, n: usize) {
        let at = self.space(&format!("h{n}"), true);
        let mtu = self.random.of(&["1500", "1500", "1400"]);
        self.run(at, format!("ip link set eth0 mtu {mtu}"));
        self.up(at, "eth0");
        self.address(at, "eth0", &format!("172.18.0.{}/24", 10 + n));
        let forward = u8::from(self.random.percent(93));
        self.run(at, format!("sysctl -qw net.ipv4.ip_forward={forward}"));
        if self.random.percent(30) {
            let value = 1 + self.random.below(2);
            let device = self.random.of(&["all", "eth0"]);
            self.run(
                at,
                format!("sysctl -qw net.ipv4.conf.{device}.rp_filter={value}"),
            );
        }
        if self.random.percent(40) {
            self.run(
                at,
                "sysctl -qw net.ipv4.conf.all.route_localnet=1".to_owned(),
            );
        }
        if self.random.percent(20) {
            self.run(
                at,
                "sysctl -qw net.bridge.bridge-nf-call-iptables=0".to_owned(),
            );
        }
        if self.random.percent(5) {
            self.run(at, "sysctl -qw net.ipv4.conf.all.accept_local=1".to_owned());
        }
        let pods = 1 + self.random.below(2);
        if self.random.percent(80) {
            self.bridge(at, n, pods);
        } else {
            self.routed_pod(at, n);
        }
        if self.random.percent(30) {
            self.address(at, "lo", &format!("10.96.1.{n}/32"));
        }
        if self.overlay {
            self.tunnel(at, n);
        }
        for peer in (1..=self.hosts).filter(|p| *p != n) {
            self.peer(at, peer);
        }
        self.odd_routes(at, n);
    }

    fn bridge(&mut self, at: usize, n: usize, pods: usize) {
        let mtu = self.random.of(&["1500", "1450", "1450", "1300"]);
        self.run(at, "ip link add br0 type bridge".to_owned());
        self.run(at, format!("ip link set br0 mtu {mtu}"));
        self.up(at, "br0");
        self.run(
            at,
            "sysctl -qw net.ipv4.conf.br0.send_redirects=0".to_owned(),
        );
        self.address(at, "br0", &format!("10.{n}.0.1/24"));
        for pod in 0..pods {
            let veth = format!("veth{pod}");
            let inside = self.cable(at, n, pod, &veth);
            let mtu = if self.random.percent(85) { mtu } else { "1200" };
            self.run(at, format!("ip link set {veth} mtu {mtu}"));
            self.run(at, format!("ip link set {veth} master br0"));
            self.run(at, format!("ip link set {veth} up"));
            if self.random.percent(60) {
                self.run(at, format!("bridge link set dev {veth} hairpin on"));
            }
            self.run(inside, format!("ip link set eth0 mtu {mtu}"));
            self.up(inside, "eth0");
            self.address(inside, "eth0", &format!("10.{n}.0.{}/24", 10 + pod));
            self.run(inside, format!("ip route add default via 10.{n}.0.1"));
        }
    }

    /// A pod on a cable of its own.
    fn routed_pod(&mut self, at: usize, n: usize) {
        let inside = self.cable(at, n, 0, "cali0");
        self.up(at, "cali0");
        self.run(
            at,
            "sysctl -qw net.ipv4.conf.cali0.send_redirects=0".to_owned(),
        );
        self.address(at, "cali0", &format!("10.{n}.0.1/24"));
        self.up(inside, "eth0");
        self.address(inside, "eth0", &format!("10.{n}.0.10/24"));
        self.run(inside, format!("ip route add default via 10.{n}.0.1"));
    }

    fn cable(&mut self, at: usize, n: usize, pod: usize, outer: &str) -> usize {
        let inside = self.space(&format!("h{n}p{pod}"), false);
        self.case.cables.push(Cable {
            from: (at, outer.to_owned()),
            to: (inside, "eth0".to_owned()),
        });
        inside
    }

    fn tunnel(&mut self, at: usize, n: usize) {
        let own = 10 + n;
        self.run(at, format!("ip link add flannel.1 type vxlan id 1 local 172.18.0.{own} dev eth0 dstport 8472 nolearning"));
        self.run(
            at,
            format!("ip link set flannel.1 address 7a:00:00:00:00:0{n}"),
        );
        if self.random.percent(30) {
            self.run(at, "ip link set flannel.1 mtu 1350".to_owned());
        }
        self.up(at, "flannel.1");
        self.address(at, "flannel.1", &format!("10.{n}.0.0/32"));
    }

    /// The way to another host's pods, now and then with a part of it missing.
    fn peer(&mut self, at: usize, peer: usize) {
        let missing = self.random.below(40);
        let host = 10 + peer;
        if !self.overlay {
            match missing {
                0 => {}
                1 => self.run(
                    at,
                    format!("ip route add 10.{peer}.0.0/24 via 172.18.0.199"),
                ),
                _ => self.run(
                    at,
                    format!("ip route add 10.{peer}.0.0/24 via 172.18.0.{host}"),
                ),
            }
            return;
        }
        if missing != 0 {
            self.run(
                at,
                format!("ip route add 10.{peer}.0.0/24 via 10.{peer}.0.0 dev flannel.1 onlink"),
            );
        }
        if missing != 1 {
            self.run(at, format!("ip neigh add 10.{peer}.0.0 lladdr 7a:00:00:00:00:0{peer} dev flannel.1 nud permanent"));
        }
        if missing != 2 {
            self.run(
                at,
                format!("bridge fdb add 7a:00:00:00:00:0{peer} dev flannel.1 dst 172.18.0.{host}"),
            );
        }
    }

    fn odd_routes(&mut self, at: usize, n: usize) {
        // A kernel soon stops telling one sender that there is no route, so few flows may come to that.
        self.run(at, "ip route add default via 172.18.0.50".to_owned());
        if self.random.percent(25) {
            let kind = self
                .random
                .of(&["blackhole", "blackhole", "unreachable", "prohibit"]);
            self.run(at, format!("ip route add {kind} 10.77.0.0/16"));
        }
        if self.random.percent(20) {
            let selector = match self.random.below(3) {
                0 => format!("from 10.{n}.0.0/24"),
                1 => "fwmark 0x10/0x10".to_owned(),
                _ => "to 198.51.100.0/24".to_owned(),
            };
            self.run(
                at,
                format!("ip rule add {selector} table 100 priority 1000"),
            );
            let route = match self.random.below(3) {
                0 => "ip route add blackhole default table 100".to_owned(),
                1 => "ip route add default via 172.18.0.50 dev eth0 table 100".to_owned(),
                _ => "ip route add 198.51.100.0/24 via 172.18.0.50 dev eth0 table 100".to_owned(),
            };
            self.run(at, route);
        }
    }

    /// A host that is no node, the nodes' default gateway.
    fn outside(&mut self) {
        let at = self.space("out", true);
        self.up(at, "eth0");
        self.address(at, "eth0", "172.18.0.50/24");
        for n in 1..=self.hosts {
            if self.random.percent(60) {
                let via = 11 + self.random.below(self.hosts);
                self.run(at, format!("ip route add 10.{n}.0.0/24 via 172.18.0.{via}"));
            }
        }
        let via = 11 + self.random.below(self.hosts);
        self.run(at, format!("ip route add 10.96.0.0/16 via 172.18.0.{via}"));
    }

    fn flows(&mut self) {
        let count = 7 + self.random.below(5);
        for _ in 0..count {
            let from = self.random.below(self.case.spaces.len());
            let name = self.case.spaces[from].name.clone();
            let host = 11 + self.random.below(self.hosts);
            let address = match self.random.below(14) {
                0..=3 if self.services => "10.96.0.1".to_owned(),
                4 if self.services => format!("172.18.0.{host}"),
                5 => self.random.of(&NOWHERE).to_owned(),
                6 => "127.0.0.1".to_owned(),
                7 => "10.96.0.9".to_owned(),
                _ => self.random.one(&self.known).clone(),
            };
            let port = match self.random.below(10) {
                0 => 81,
                1 => 8080,
                2 | 3 if self.services => 30080,
                _ => 80,
            };
            let ip: std::net::Ipv4Addr = address.parse().expect("an address");
            let to = SocketAddrV4::new(ip, port);
            self.case.flows.push(match self.random.below(10) {
                0 => Flow::Icmp { from, name, to: ip },
                1..=3 => Flow::Udp { from, name, to },
                _ => {
                    let bytes = if self.random.percent(25) { 9000 } else { 72 };
                    Flow::Tcp {
                        from,
                        name,
                        to,
                        bytes,
                    }
                }
            });
        }
    }
}
