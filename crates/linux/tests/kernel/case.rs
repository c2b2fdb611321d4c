//! A random network with random rules and flows, as commands that both worlds understand.

use std::fmt::{self, Write};
use std::net::SocketAddrV4;

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

    fn rules(&mut self) {
        for at in 0..self.case.spaces.len() {
            let name = self.case.spaces[at].name.clone();
            let node = name.starts_with('h') && !name.contains('p');
            if !self.random.percent(if node { 90 } else { 8 }) {
                continue;
            }
            let devices: Vec<String> = self.devices(at);
            let set = node && self.random.percent(40);
            if set {
                let mut sets = String::from("create S hash:ip\ncreate N hash:net\n");
                for _ in 0..3 {
                    let address = self.random.one(&self.known).clone();
                    if !sets.contains(&format!("S {address}\n")) {
                        let _ = writeln!(sets, "add S {address}");
                    }
                }
                for net in ["10.1.0.0/24", "10.2.0.0/28"] {
                    let _ = writeln!(sets, "add N {net}");
                }
                self.case.spaces[at].sets = sets;
            }
            let services = node && self.services && self.random.percent(85);
            let mut text = String::new();
            for table in ["raw", "mangle", "filter", "nat"] {
                let often = match table {
                    "raw" => 25,
                    "mangle" => 35,
                    "filter" => 80,
                    _ => 50,
                };
                let extra = self.random.percent(often);
                let served = services && matches!(table, "filter" | "nat");
                if extra || served {
                    text += &self.table(table, &devices, served, extra, set);
                }
            }
            self.case.spaces[at].rules = text;
        }
    }

    fn devices(&self, at: usize) -> Vec<String> {
        let mut devices = vec!["lo".to_owned()];
        if self.case.spaces[at].wired {
            devices.push("eth0".to_owned());
        }
        for cable in &self.case.cables {
            for end in [&cable.from, &cable.to] {
                if end.0 == at {
                    devices.push(end.1.clone());
                }
            }
        }
        for command in &self.case.spaces[at].setup {
            if let Some(rest) = command.strip_prefix("ip link add ") {
                devices.extend(rest.split(' ').next().map(str::to_owned));
            }
        }
        devices
    }

    fn table(
        &mut self,
        table: &str,
        devices: &[String],
        services: bool,
        extra: bool,
        set: bool,
    ) -> String {
        let chains: &[&str] = match table {
            "raw" => &["PREROUTING", "OUTPUT"],
            "mangle" => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
            "filter" => &["INPUT", "FORWARD", "OUTPUT"],
            _ => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        };
        let mut heads = String::new();
        let mut rules = String::new();
        for chain in chains {
            let drops = table == "filter" && *chain == "FORWARD" && self.random.percent(12);
            let _ = writeln!(
                heads,
                ":{chain} {} [0:0]",
                if drops { "DROP" } else { "ACCEPT" }
            );
        }
        if services {
            self.service_rules(table, &mut heads, &mut rules);
        }
        if extra {
            for user in ["A", "B"] {
                let _ = writeln!(heads, ":{user} - [0:0]");
            }
            let count = 1 + self.random.below(6);
            for _ in 0..count {
                let chain = self.random.of(chains);
                let rule = self.rule(table, chain, devices, set);
                let at = if self.random.percent(60) { "-A" } else { "-I" };
                let _ = writeln!(rules, "{at} {chain} {rule}");
            }
            for user in ["A", "B"] {
                // Reached from anywhere: only what every hook allows.
                for _ in 0..self.random.below(3) {
                    let conditions = self.conditions(table, "", devices, set);
                    let target = match (table, user) {
                        ("filter", "A") => "-g B",
                        ("filter", _) => self.random.of(&[
                            "-j ACCEPT",
                            "-j DROP",
                            "-j RETURN",
                            "-j REJECT --reject-with icmp-admin-prohibited",
                        ]),
                        ("mangle", _) => self.random.of(&[
                            "-j MARK --set-xmark 0x10/0x10",
                            "-j RETURN",
                            "-j ACCEPT",
                        ]),
                        _ => self.random.of(&[
                            "-j RETURN",
                            "-j ACCEPT",
                            "-j MARK --set-xmark 0x20/0x20",
                        ]),
                    };
                    let _ = writeln!(rules, "-A {user} {conditions}{target}");
                }
            }
        }
        format!("*{table}\n{heads}{rules}COMMIT\n")
    }

    /// What kube-proxy and flannel write, in small: a cluster address, a node port, marks to masquerade.
    fn service_rules(&mut self, table: &str, heads: &mut String, rules: &mut String) {
        if table == "filter" {
            *heads += ":KUBE-FORWARD - [0:0]\n";
            *rules +=
                "-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD\n";
            *rules += "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n";
            *rules += "-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT\n";
            *rules += "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
            let how = self
                .random
                .of(&["DROP", "REJECT --reject-with icmp-port-unreachable"]);
            let _ = writeln!(
                *rules,
                "-A FORWARD -d 10.96.0.9/32 -m conntrack --ctstate NEW -j {how}"
            );
            let _ = writeln!(
                *rules,
                "-A OUTPUT -d 10.96.0.9/32 -m conntrack --ctstate NEW -j {how}"
            );
            return;
        }
        for chain in [
            "KUBE-SERVICES",
            "KUBE-SVC",
            "KUBE-EXT",
            "KUBE-MARK-MASQ",
            "KUBE-POSTROUTING",
            "KUBE-NODEPORTS",
        ] {
            let _ = writeln!(*heads, ":{chain} - [0:0]");
        }
        let pods: Vec<String> = (self.known.iter())
            .filter(|a| a.ends_with(".0.10") || a.ends_with(".0.11"))
            .cloned()
            .collect();
        let backends: Vec<String> = (0..1 + self.random.below(3))
            .map(|_| self.random.one(&pods).clone())
            .collect();
        for chain in ["PREROUTING", "OUTPUT"] {
            let _ = writeln!(
                *rules,
                "-A {chain} -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES"
            );
        }
        *rules += "-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING\n";
        *rules += "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n";
        *rules += "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n";
        let fully = self.random.of(&["", " --random-fully"]);
        let _ = writeln!(*rules, "-A KUBE-POSTROUTING -j MASQUERADE{fully}");
        *rules += "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n";
        for protocol in ["tcp", "udp"] {
            let _ = writeln!(
                *rules,
                "-A KUBE-SERVICES -d 10.96.0.1/32 -p {protocol} -m {protocol} --dport 80 -j KUBE-SVC"
            );
            let _ = writeln!(
                *rules,
                "-A KUBE-NODEPORTS -p {protocol} -m {protocol} --dport 30080 -j KUBE-EXT"
            );
        }
        *rules += "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n";
        *rules += "-A KUBE-EXT -j KUBE-MARK-MASQ\n-A KUBE-EXT -j KUBE-SVC\n";
        if self.random.percent(60) {
            *rules += "-A KUBE-SVC ! -s 10.0.0.0/8 -d 10.96.0.1/32 -j KUBE-MARK-MASQ\n";
        }
        let affinity = self.random.percent(25);
        for n in 0..backends.len() {
            let _ = writeln!(*heads, ":KUBE-SEP{n} - [0:0]");
            if affinity {
                let _ = writeln!(
                    *rules,
                    "-A KUBE-SVC -m recent --rcheck --seconds 10800 --reap --name KUBE-SEP{n} --mask 255.255.255.255 --rsource -j KUBE-SEP{n}"
                );
            }
        }
        for (n, backend) in backends.iter().enumerate() {
            let left = backends.len() - n;
            let draw = if left > 1 {
                format!("-m statistic --mode nth --every {left} --packet 0 ")
            } else {
                String::new()
            };
            let _ = writeln!(*rules, "-A KUBE-SVC {draw}-j KUBE-SEP{n}");
            let _ = writeln!(*rules, "-A KUBE-SEP{n} -s {backend}/32 -j KUBE-MARK-MASQ");
            let recent = if affinity {
                format!("-m recent --set --name KUBE-SEP{n} --mask 255.255.255.255 --rsource ")
            } else {
                String::new()
            };
            for protocol in ["tcp", "udp"] {
                let _ = writeln!(
                    *rules,
                    "-A KUBE-SEP{n} -p {protocol} {recent}-m {protocol} -j DNAT --to-destination {backend}:80"
                );
            }
        }
        if self.random.percent(50) {
            *rules += "-A POSTROUTING -s 10.0.0.0/8 ! -d 10.0.0.0/8 -j MASQUERADE\n";
        }
    }

    fn network(&mut self) -> String {
        match self.random.below(6) {
            0 => "10.0.0.0/8".to_owned(),
            1 => format!("10.{}.0.0/24", 1 + self.random.below(self.hosts)),
            2 => "172.18.0.0/24".to_owned(),
            3 => "10.96.0.0/16".to_owned(),
            _ => format!("{}/32", self.random.one(&self.known)),
        }
    }

    /// Conditions, each with a blank after it. `chain` is empty for users' chains.
    fn conditions(&mut self, table: &str, chain: &str, devices: &[String], set: bool) -> String {
        let mut out = String::new();
        let mut protocol = "";
        if self.random.percent(35) {
            let not = if self.random.percent(20) { "! " } else { "" };
            let net = self.network();
            let _ = write!(out, "{not}-s {net} ");
        }
        if self.random.percent(35) {
            let not = if self.random.percent(20) { "! " } else { "" };
            let net = self.network();
            let _ = write!(out, "{not}-d {net} ");
        }
        if self.random.percent(20) && matches!(chain, "PREROUTING" | "INPUT" | "FORWARD") {
            let not = if self.random.percent(15) { "! " } else { "" };
            let device = self.random.one(devices).clone();
            let _ = write!(out, "{not}-i {device} ");
        }
        if self.random.percent(20) && matches!(chain, "OUTPUT" | "POSTROUTING" | "FORWARD") {
            let device = self.random.one(devices).clone();
            let _ = write!(out, "-o {device} ");
        }
        if self.random.percent(60) {
            protocol = self.random.of(&["tcp", "tcp", "udp", "icmp"]);
            let _ = write!(out, "-p {protocol} ");
        }
        if matches!(protocol, "tcp" | "udp") && self.random.percent(50) {
            let match_ = self.random.of(&[
                "--dport 80",
                "--dport 81",
                "! --dport 80",
                "--sport 80",
                "--dport 1:1000",
            ]);
            let _ = write!(out, "-m {protocol} {match_} ");
        } else if matches!(protocol, "tcp" | "udp") && self.random.percent(20) {
            let ports = self
                .random
                .of(&["--dports 80,8080", "--ports 80", "! --dports 81,82:90"]);
            let _ = write!(out, "-m multiport {ports} ");
        } else if protocol == "icmp" && self.random.percent(60) {
            let kind = self.random.of(&["8", "0", "3", "3/3", "3/4"]);
            let _ = write!(out, "-m icmp --icmp-type {kind} ");
        }
        if table != "raw" && self.random.percent(25) {
            let state = self.random.of(&[
                "--ctstate NEW",
                "--ctstate RELATED,ESTABLISHED",
                "--ctstate INVALID",
                "--ctstate DNAT",
                "--ctstate SNAT",
                "! --ctstate NEW",
                "--ctstate UNTRACKED",
            ]);
            let _ = write!(out, "-m conntrack {state} ");
        }
        if self.random.percent(10) {
            out += self.random.of(&[
                "-m mark --mark 0x4000/0x4000 ",
                "-m mark ! --mark 0x10/0x10 ",
                "-m mark --mark 0x20 ",
            ]);
        }
        if self.random.percent(12) {
            let source = self.random.of(&[
                "--src-type LOCAL",
                "--dst-type LOCAL",
                "! --dst-type LOCAL",
                "--dst-type UNICAST",
            ]);
            let _ = write!(out, "-m addrtype {source} ");
        }
        if self.random.percent(8)
            && matches!(chain, "FORWARD" | "POSTROUTING" | "INPUT" | "PREROUTING")
        {
            let port = match (chain, self.random.below(3)) {
                ("FORWARD" | "POSTROUTING", 0) => "--physdev-is-bridged",
                ("FORWARD" | "POSTROUTING", 1) if chain == "FORWARD" => {
                    "--physdev-out veth0 --physdev-is-bridged"
                }
                ("POSTROUTING", _) => "--physdev-is-bridged",
                _ => self
                    .random
                    .of(&["--physdev-in veth0", "! --physdev-in veth+"]),
            };
            let _ = write!(out, "-m physdev {port} ");
        }
        // How many packets a connection takes is not what is compared: only its first is counted.
        if self.random.percent(15) && table == "nat" {
            let every = 2 + self.random.below(2);
            let _ = write!(
                out,
                "-m statistic --mode nth --every {every} --packet {} ",
                self.random.below(every)
            );
        }
        if self.random.percent(6) {
            out += self.random.of(&[
                "-m recent --set --name R --mask 255.255.255.255 --rsource ",
                "-m recent --rcheck --seconds 300 --name R --mask 255.255.255.255 --rsource ",
                "-m recent --update --seconds 300 --hitcount 2 --name R --mask 255.255.255.255 --rsource ",
            ]);
        }
        if set && self.random.percent(20) {
            out += self.random.of(&[
                "-m set --match-set S src ",
                "-m set --match-set S dst ",
                "-m set ! --match-set N src ",
                "-m set --match-set N dst ",
            ]);
        }
        out
    }

    fn rule(&mut self, table: &str, chain: &str, devices: &[String], set: bool) -> String {
        let mut conditions = self.conditions(table, chain, devices, set);
        let has = |c: &str, protocol: &str| c.contains(&format!("-p {protocol} "));
        let target = match (table, chain) {
            ("raw", _) => self
                .random
                .of(&[
                    "-j CT --notrack",
                    "-j DROP",
                    "-j RETURN",
                    "-j ACCEPT",
                    "-j A",
                ])
                .to_owned(),
            ("mangle", _) => self
                .random
                .of(&[
                    "-j MARK --set-xmark 0x10/0x10",
                    "-j MARK --set-xmark 0x4000/0x4000",
                    "-j MARK --set-xmark 0x20/0xffffffff",
                    "-j RETURN",
                    "-j A",
                    "-j DROP",
                ])
                .to_owned(),
            ("filter", _) => match self.random.below(9) {
                0 | 1 => "-j ACCEPT".to_owned(),
                2 => "-j DROP".to_owned(),
                3 => "-j RETURN".to_owned(),
                4 => "-j A".to_owned(),
                5 if has(&conditions, "tcp") => "-j REJECT --reject-with tcp-reset".to_owned(),
                _ => format!(
                    "-j REJECT --reject-with {}",
                    self.random.of(&[
                        "icmp-port-unreachable",
                        "icmp-host-unreachable",
                        "icmp-net-unreachable",
                        "icmp-proto-unreachable",
                        "icmp-net-prohibited",
                        "icmp-host-prohibited",
                        "icmp-admin-prohibited",
                    ])
                ),
            },
            (_, "PREROUTING" | "OUTPUT") => {
                let ported = has(&conditions, "tcp") || has(&conditions, "udp");
                match self.random.below(5) {
                    0 | 1 => {
                        let to = self.random.one(&self.known).clone();
                        let port = if ported {
                            self.random.of(&["", ":80", ":8080"])
                        } else {
                            ""
                        };
                        format!("-j DNAT --to-destination {to}{port}")
                    }
                    2 if ported => "-j REDIRECT --to-ports 8080".to_owned(),
                    3 => "-j RETURN".to_owned(),
                    _ => "-j A".to_owned(),
                }
            }
            (_, "POSTROUTING") => match self.random.below(5) {
                0 | 1 => "-j MASQUERADE".to_owned(),
                2 => {
                    let to = self.random.one(&self.known).clone();
                    format!("-j SNAT --to-source {to}")
                }
                3 => "-j RETURN".to_owned(),
                _ => "-j A".to_owned(),
            },
            _ => self
                .random
                .of(&["-j RETURN", "-j ACCEPT", "-j A"])
                .to_owned(),
        };
        // Everything that breaks all connections alike teaches nothing.
        if conditions.is_empty() && !target.ends_with(" A") {
            conditions = "-s 10.1.0.0/24 ".to_owned();
        }
        format!("{conditions}{target}")
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
