//! The tools that people look at a Linux network with, printing what Debian 12's print.

use crate::link::NamespaceId;
use crate::network::Network;
use crate::time::Time;

mod bridge;
mod conntrack;
mod counters;
mod device_tools;
mod ip;
mod ip_link;
mod ip_maddr;
mod ip_neigh;
mod ip_route;
mod ip_tunnel;
mod ipset;
pub(crate) mod json;
pub mod monitor;
mod net_tools;
mod permission;
pub mod proc;
mod ss;
mod sysctl;
pub mod tcpdump;
mod words;

pub use permission::{Rights, refused};

/// What a command printed, and its exit status.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit status.
    pub status: i32,
}

impl Output {
    /// Success.
    #[must_use]
    pub fn ok(stdout: impl Into<String>) -> Output {
        Output {
            stdout: stdout.into(),
            ..Output::default()
        }
    }

    /// Failure.
    #[must_use]
    pub fn failed(status: i32, stderr: impl Into<String>) -> Output {
        Output {
            stderr: stderr.into(),
            status,
            ..Output::default()
        }
    }

    /// A command, or a form of one, that is not modelled.
    #[must_use]
    pub(crate) fn unknown(what: &str) -> Output {
        Output::failed(1, format!("{what}: not simulated yet\n"))
    }
}

/// The commands that `run` knows.
pub const COMMANDS: &[&str] = &[
    "ip",
    "bridge",
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "nft",
    "ipvsadm",
    "ipvsadm-save",
    "ipset",
    "arp",
    "conntrack",
    "ss",
    "sysctl",
    "route",
    "ifconfig",
    "netstat",
    "ethtool",
    "tc",
    "arping",
    "dmesg",
];

/// Runs a command in a namespace: `argv` is its words, its own name first.
pub fn run(net: &mut Network, namespace: NamespaceId, argv: &[String], now: Time) -> Output {
    run_with_input(net, namespace, argv, "", now)
}

/// The same with something on standard input (`iptables-restore` reads it).
pub fn run_with_input(
    net: &mut Network,
    namespace: NamespaceId,
    argv: &[String],
    input: &str,
    now: Time,
) -> Output {
    let Some((name, args)) = argv.split_first() else {
        return Output::failed(127, "no command\n");
    };
    if net.namespace(namespace).is_none() {
        return Output::failed(1, "no such network namespace\n");
    }
    let name = name.rsplit('/').next().unwrap_or(name);
    // Whoever looks sees the host's own tables.
    if matches!(
        name,
        "ip" | "bridge" | "arp" | "route" | "netstat" | "arping"
    ) {
        net.leave_mesh(namespace);
    }
    match name {
        "ip" => ip::run(net, namespace, args, now),
        "bridge" => bridge::run(net, namespace, args, now),
        "conntrack" => conntrack::run(net, namespace, args, now),
        "ss" => ss::run(net, namespace, args),
        "dmesg" => device_tools::dmesg(net, namespace, args),
        "route" => net_tools::route(net, namespace, args),
        "ifconfig" => net_tools::ifconfig(net, namespace, args),
        "netstat" => net_tools::netstat(net, namespace, args),
        "ethtool" => device_tools::ethtool(net, namespace, args),
        "tc" => device_tools::tc(net, namespace, args),
        "arping" => device_tools::arping(net, namespace, args, now),
        "arp" => ip_neigh::arp(net, namespace, args, now),
        "ipset" => ipset::run(net, namespace, args, input),
        "sysctl" => sysctl::run(net, namespace, args),
        // A kernel without ip_vs, as its own tool finds it.
        "ipvsadm" | "ipvsadm-save" => Output::failed(
            255,
            "Can't initialize ipvs: Protocol not available\nAre you sure that IP Virtual Server is built in the kernel or as module?\n",
        ),
        "iptables" | "iptables-nft" => net
            .namespace_mut(namespace)
            .map_or_else(Output::default, |ns| {
                crate::netfilter::iptables::run(&mut ns.netfilter, args)
            }),
        "iptables-save" | "iptables-nft-save" => words::iptables_save(net, namespace, args),
        "iptables-restore" | "iptables-nft-restore" => {
            words::iptables_restore(net, namespace, args, input)
        }
        "ip6tables" | "ip6tables-nft" | "ip6tables-save" | "ip6tables-nft-save" => {
            words::ip6tables(net, namespace, name, args)
        }
        "nft" => {
            let devices: Vec<_> = net.links_of(namespace).map(|l| l.name.clone()).collect();
            net.namespace_mut(namespace)
                .map_or_else(Output::default, |ns| {
                    crate::netfilter::nft::run(&mut ns.netfilter, &devices, args, input, now)
                })
        }
        other => Output::failed(127, format!("{other}: not simulated yet\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> (Network, NamespaceId) {
        let mut net = Network::new();
        let id = net.add_namespace("host");
        for command in [
            "ip link add br0 type bridge",
            "ip link set br0 up",
            "ip addr add 10.1.0.1/24 brd + dev br0",
            "ip link add eth9 type veth peer name va",
            "ip link set eth9 up",
            "ip link set va up",
            "ip link set va master br0",
            "ip addr add 10.9.0.1/24 dev eth9",
            "ip link add flannel.1 type vxlan id 1 local 10.9.0.1 dev eth9 dstport 8472 nolearning",
            "ip link set flannel.1 up",
            "ip route add 10.2.0.0/24 via 10.2.0.0 dev flannel.1 onlink",
            "ip route add blackhole 10.77.0.0/16",
            "ip route add 10.3.0.0/24 via 10.9.0.2 metric 5",
            "ip neigh add 10.2.0.0 lladdr 7a:00:00:00:00:02 dev flannel.1 nud permanent",
            "ip rule add from 10.1.0.0/24 to 10.2.0.0/24 iif br0 table 100 priority 999",
            "ip rule add fwmark 0x10/0x10 table 100 priority 1000",
            "sysctl -w net.ipv6.conf.all.disable_ipv6=1",
        ] {
            let output = said(&mut net, id, command);
            assert_eq!(output.status, 0, "{command}: {}", output.stderr);
        }
        (net, id)
    }

    fn said(net: &mut Network, id: NamespaceId, command: &str) -> Output {
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        run(net, id, &words, Time::from_secs(10))
    }

    /// As iproute2 6.1 printed them.
    #[test]
    fn groups_are_those_that_the_kernel_joins() {
        let (mut net, id) = network();
        let mut shows = |command: &str, want: &str| {
            assert_eq!(said(&mut net, id, command).stdout, want, "{command}");
        };
        shows(
            "ip maddr show dev br0",
            "2:\tbr0\n\tlink  33:33:00:00:00:01\n\tlink  01:00:5e:00:00:6a\n\tlink  33:33:00:00:00:6a\n\tlink  01:00:5e:00:00:01\n\tinet  224.0.0.1\n\tinet  224.0.0.106\n\tinet6 ff02::6a\n\tinet6 ff02::1\n\tinet6 ff01::1\n",
        );
        shows("ip -4 maddr show lo", "1:\tlo\n\tinet  224.0.0.1\n");
        shows("ip -4 -o maddr show dev lo", "1:\tlo\\\tinet  224.0.0.1\n");
        shows(
            "ip -j -4 maddr show lo",
            "[{\"ifindex\":1,\"ifname\":\"lo\",\"maddr\":[{\"family\":\"inet\",\"address\":\"224.0.0.1\"}]}]\n",
        );
    }

    /// As iproute2 6.1 printed it on a machine set up so.
    #[test]
    fn ip_prints_json() {
        let (mut net, id) = network();
        for (command, want) in [
            (
                "ip -j route",
                r#"[{"dst":"10.1.0.0/24","dev":"br0","protocol":"kernel","scope":"link","prefsrc":"10.1.0.1","flags":[]},{"dst":"10.2.0.0/24","gateway":"10.2.0.0","dev":"flannel.1","flags":["onlink"]},{"dst":"10.3.0.0/24","gateway":"10.9.0.2","dev":"eth9","metric":5,"flags":[]},{"dst":"10.9.0.0/24","dev":"eth9","protocol":"kernel","scope":"link","prefsrc":"10.9.0.1","flags":[]},{"type":"blackhole","dst":"10.77.0.0/16","flags":[]}]"#,
            ),
            (
                "ip -j neigh",
                r#"[{"dst":"10.2.0.0","dev":"flannel.1","lladdr":"7a:00:00:00:00:02","state":["PERMANENT"]}]"#,
            ),
            (
                "ip -j rule",
                r#"[{"priority":0,"src":"all","table":"local"},{"priority":999,"src":"10.1.0.0","srclen":24,"dst":"10.2.0.0","dstlen":24,"iif":"br0","table":"100"},{"priority":1000,"src":"all","fwmark":"0x10","fwmask":"0x10","table":"100"},{"priority":32766,"src":"all","table":"main"},{"priority":32767,"src":"all","table":"default"}]"#,
            ),
            (
                "ip -j -br addr",
                r#"[{"ifname":"lo","operstate":"UNKNOWN","addr_info":[{"local":"127.0.0.1","prefixlen":8}]},{"ifname":"br0","operstate":"UP","addr_info":[{"local":"10.1.0.1","prefixlen":24}]},{"link":"va","ifname":"eth9","operstate":"UP","addr_info":[{"local":"10.9.0.1","prefixlen":24}]},{"link":"eth9","ifname":"va","operstate":"UP","addr_info":[]},{"ifname":"flannel.1","operstate":"UNKNOWN","addr_info":[]}]"#,
            ),
            (
                "ip -j addr show lo",
                r#"[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue","operstate":"UNKNOWN","group":"default","txqlen":1000,"link_type":"loopback","address":"00:00:00:00:00:00","broadcast":"00:00:00:00:00:00","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo","valid_life_time":4294967295,"preferred_life_time":4294967295}]}]"#,
            ),
            (
                "arp -n",
                "Address                  HWtype  HWaddress           Flags Mask            Iface
10.2.0.0                 ether   7a:00:00:00:00:02   CM                    flannel.1",
            ),
            (
                "arp -an",
                "? (10.2.0.0) at 7a:00:00:00:00:02 [ether] PERM on flannel.1",
            ),
        ] {
            let output = said(&mut net, id, command);
            assert_eq!(
                output.stdout,
                format!(
                    "{want}
"
                ),
                "{command}"
            );
        }
    }

    /// As iptables 1.8.9, iproute2 6.1 and the kernel did.
    #[test]
    fn rules_log_and_links_delay() {
        let (mut net, id) = network();
        for command in [
            "iptables -A OUTPUT -p icmp -m limit --limit 5/min --limit-burst 2 -j LOG --log-prefix ping:",
            "iptables -A OUTPUT -j NFLOG --nflog-group 5 --nflog-prefix abc",
            "iptables -A INPUT -m limit --limit 2/second -j ACCEPT",
            "tc qdisc add dev eth9 root netem delay 20ms loss 10%",
        ] {
            let output = said(&mut net, id, command);
            assert_eq!(output.status, 0, "{command}: {}", output.stderr);
        }
        let saved = said(&mut net, id, "iptables-save -t filter").stdout;
        for line in [
            "-A INPUT -m limit --limit 2/sec -j ACCEPT",
            "-A OUTPUT -p icmp -m limit --limit 5/min --limit-burst 2 -j LOG --log-prefix \"ping:\"",
            "-A OUTPUT -j NFLOG --nflog-prefix abc --nflog-group 5",
        ] {
            assert!(saved.lines().any(|l| l == line), "{line}\n{saved}");
        }
        let listed = said(&mut net, id, "iptables -nL OUTPUT").stdout;
        let want = "limit: avg 5/min burst 2 LOG flags 0 level 4 prefix \"ping:\"";
        assert!(listed.contains(want), "{listed}");
        // Three echoes at a time: the bucket lets two of them be logged.
        let mut dice = crate::SeededDice(1);
        let echo = crate::Connect::ping(id, std::net::Ipv4Addr::LOCALHOST);
        for _ in 0..3 {
            net.connect(&echo, Time::from_secs(10), &mut dice, None);
        }
        let log = said(&mut net, id, "dmesg -t").stdout;
        let questions = log.lines().filter(|l| l.contains("TYPE=8")).count();
        assert_eq!((questions, log.lines().count()), (1, 2), "{log}");
        assert!(
            log.starts_with("ping:IN= OUT=lo SRC=127.0.0.1 DST=127.0.0.1 LEN=84 TOS=0x00 PREC=0x00 TTL=64 ID=1 PROTO=ICMP TYPE=8 CODE=0 "),
            "{log}"
        );
        for (command, want) in [
            (
                "tc qdisc show dev eth9",
                "qdisc netem 8001: root refcnt 2 limit 1000 delay 20ms loss 10%\n",
            ),
            ("ethtool -i nosuch", ""),
            (
                "ip -6 rule",
                "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n",
            ),
            (
                "ip -p -j route show 10.1.0.0/24",
                "[ {\n        \"dst\": \"10.1.0.0/24\",\n        \"dev\": \"br0\",\n        \"protocol\": \"kernel\",\n        \"scope\": \"link\",\n        \"prefsrc\": \"10.1.0.1\",\n        \"flags\": [ ]\n    } ]\n",
            ),
        ] {
            assert_eq!(said(&mut net, id, command).stdout, want, "{command}");
        }
    }

    /// As ipset 7.17 did; of hashes the order is the kernel's own.
    #[test]
    fn sets_are_kept() {
        let (mut net, id) = network();
        for (command, status, want) in [
            ("ipset create S hash:ip", 0, ""),
            (
                "ipset create S hash:ip",
                1,
                "ipset v7.17: Set cannot be created: set with the same name already exists
",
            ),
            ("ipset create -exist S hash:ip", 0, ""),
            ("ipset add S 10.0.0.1", 0, ""),
            (
                "ipset add S 10.0.0.1",
                1,
                "ipset v7.17: Element cannot be added to the set: it's already added
",
            ),
            (
                "ipset test S 10.0.0.1",
                0,
                "Warning: 10.0.0.1 is in set S.
",
            ),
            (
                "ipset test S 10.0.0.2",
                1,
                "10.0.0.2 is NOT in set S.
",
            ),
            (
                "ipset del S 1.1.1.1",
                1,
                "ipset v7.17: Element cannot be deleted from the set: it's not added
",
            ),
            (
                "ipset add X 1.2.3.4",
                1,
                "ipset v7.17: The set with the given name does not exist
",
            ),
            (
                "ipset add S foo",
                1,
                "ipset v7.17: Syntax error: cannot parse foo: resolving to IPv4 address failed
",
            ),
            (
                "ipset create Z hash:foo",
                1,
                "ipset v7.17: Syntax error: typename 'hash:foo' is unknown
",
            ),
            (
                "iptables -A FORWARD -m set --match-set S src -j DROP",
                0,
                "",
            ),
            (
                "ipset destroy S",
                1,
                "ipset v7.17: Set cannot be destroyed: it is in use by a kernel component
",
            ),
        ] {
            let output = said(&mut net, id, command);
            assert_eq!(
                (output.status, output.stderr.as_str()),
                (status, want),
                "{command}"
            );
        }
        let _ = said(&mut net, id, "ipset create N hash:net timeout 0");
        let _ = said(&mut net, id, "ipset add N 10.1.0.0/25 nomatch");
        let _ = said(&mut net, id, "ipset add N 10.1.0.0/24");
        let saved = said(&mut net, id, "ipset save N").stdout;
        assert!(
            saved.contains(
                "add N 10.1.0.0/25 timeout 0 nomatch
"
            ),
            "{saved}"
        );
        let words: Vec<String> = vec![
            "ipset".to_owned(),
            "restore".to_owned(),
            "-exist".to_owned(),
        ];
        let output = run_with_input(&mut net, id, &words, &saved, Time::ZERO);
        assert_eq!(output.status, 0, "{}", output.stderr);
        let listed = said(&mut net, id, "ipset list N").stdout;
        assert!(
            listed.contains(
                "Type: hash:net
"
            ) && listed.contains(
                "Number of entries: 2
"
            ),
            "{listed}"
        );
    }
}
