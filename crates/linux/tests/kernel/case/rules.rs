//! Random rules for every space: as people write them, and as kube-proxy does.

use std::fmt::Write;

use super::Maker;

impl Maker {
    pub(super) fn rules(&mut self) {
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
}
