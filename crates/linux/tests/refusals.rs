//! What the tools say to what they do not take, and to what is not there: as iproute2 6.1 and iptables 1.8.9 said it on
//! Linux 6.18. A line for each: the command, the exit status, and what it said.

use kubarium_linux::{NamespaceId, Network, Time, tools};

const SAID: &[(&str, i32, &str)] = &[
    ("ip foo", 1, "Object \"foo\" is unknown, try \"ip help\"."),
    (
        "ip addr add 10.0.0.1/24",
        1,
        "Not enough information: \"dev\" argument is required.",
    ),
    (
        "ip link set lo foo",
        255,
        "Error: either \"dev\" is duplicate, or \"foo\" is a garbage.",
    ),
    (
        "ip link add",
        255,
        "Not enough information: \"type\" argument is required",
    ),
    (
        "ip link add foo type nosuch",
        2,
        "Error: Unknown device type.",
    ),
    (
        "ip link show master br0",
        255,
        "Error: argument \"br0\" is wrong: Device does not exist",
    ),
    (
        "ip route add foo dev lo",
        1,
        "Error: any valid prefix is expected rather than \"foo\".",
    ),
    (
        "ip route get foo",
        1,
        "Error: any valid prefix is expected rather than \"foo\".",
    ),
    (
        "ip route show table 99",
        2,
        "Error: ipv4: FIB table does not exist.\nDump terminated",
    ),
    ("ip route show proto kernel", 0, ""),
    ("ip rule add", 1, "\"ip rule add\" requires arguments."),
    (
        "ip rule foo",
        255,
        "Command \"foo\" is unknown, try \"ip rule help\".",
    ),
    (
        "bridge foo",
        255,
        "Object \"foo\" is unknown, try \"bridge help\".",
    ),
    (
        "bridge fdb add",
        255,
        "Device and address are required arguments.",
    ),
    ("bridge mdb", 0, ""),
    ("iptables -A INPUT -p tcp --dport 80 -j ACCEPT", 0, ""),
    (
        "iptables -D INPUT 9",
        1,
        "iptables: Index of deletion too big.",
    ),
    (
        "iptables -X INPUT",
        4,
        "iptables v1.8.9 (nf_tables):  CHAIN_DEL failed (Device or resource busy): chain INPUT",
    ),
    ("iptables -X OUTPUT", 0, ""),
    (
        "iptables -P INPUT foo",
        1,
        "iptables: Bad policy name. Run `dmesg' for more information.",
    ),
    (
        "iptables -P foo DROP",
        1,
        "iptables: Bad built-in chain name.",
    ),
    (
        "iptables -P INPUT",
        2,
        "iptables v1.8.9 (nf_tables): -P requires a chain and a policy",
    ),
    (
        "iptables -t nat -A POSTROUTING -j DNAT --to-destination 1.2.3.4",
        4,
        "iptables v1.8.9 (nf_tables):  RULE_APPEND failed (Invalid argument): rule in chain POSTROUTING",
    ),
    (
        "iptables -A INPUT -j MASQUERADE",
        4,
        "iptables v1.8.9 (nf_tables):  RULE_APPEND failed (Invalid argument): rule in chain INPUT",
    ),
    (
        "iptables -t nat -A PREROUTING -j DNAT",
        2,
        "iptables v1.8.9 (nf_tables): DNAT: option \"--to-destination\" must be specified\n",
    ),
    (
        "iptables -A INPUT -m comment -j ACCEPT",
        2,
        "iptables v1.8.9 (nf_tables): comment: option \"--comment\" must be specified\n",
    ),
    (
        "iptables -A INPUT -i eth0 -o eth1 -j ACCEPT",
        2,
        "iptables v1.8.9 (nf_tables): Can't use -o with INPUT\n",
    ),
    (
        "iptables -A OUTPUT -i eth0 -j ACCEPT",
        2,
        "iptables v1.8.9 (nf_tables): Can't use -i with OUTPUT\n",
    ),
    (
        "iptables -A INPUT -j ACCEPT -j DROP",
        2,
        "iptables v1.8.9 (nf_tables): multiple -j flags not allowed",
    ),
    (
        "iptables -A INPUT -j MARK",
        2,
        "iptables v1.8.9 (nf_tables): MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required",
    ),
    (
        "iptables -A INPUT -m multiport --dports 80 -j ACCEPT",
        2,
        "iptables v1.8.9 (nf_tables): multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'",
    ),
    (
        "iptables -A INPUT -p icmp --icmp-type foo -j ACCEPT",
        2,
        "iptables v1.8.9 (nf_tables): Unknown ICMP type `foo'",
    ),
    (
        "iptables-save -t nosuch",
        1,
        "Table `nosuch' does not exist",
    ),
];

fn said(net: &mut Network, id: NamespaceId, command: &str) -> (i32, String) {
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    let output = tools::run(net, id, &words, Time::from_secs(10));
    (output.status, output.stdout + &output.stderr)
}

#[test]
fn tools_refuse_as_the_real_ones() {
    let mut net = Network::new();
    let id = net.add_namespace("host");
    let help = "Try `iptables -h' or 'iptables --help' for more information.\n";
    for (command, status, text) in SAID {
        let (code, printed) = said(&mut net, id, command);
        let printed = printed.strip_suffix(help).unwrap_or(&printed);
        let printed = printed.strip_suffix('\n').unwrap_or(printed);
        let printed = match text.ends_with('\n') {
            true => printed,
            false => printed.trim_end(),
        };
        assert_eq!((code, printed), (*status, *text), "{command}");
    }
}

/// Routes are chosen by what is asked for, and flushed alike.
#[test]
fn routes_are_chosen() {
    let mut net = Network::new();
    let id = net.add_namespace("host");
    for command in [
        "ip link add a type veth peer name b",
        "ip link set a up",
        "ip link set b up",
        "ip addr add 10.0.0.1/24 dev a",
        "ip route add 10.5.0.0/16 via 10.0.0.9",
        "ip route add 10.6.0.0/16 via 10.0.0.8 proto static",
    ] {
        assert_eq!(said(&mut net, id, command), (0, String::new()), "{command}");
    }
    let first = |net: &mut Network, choice: &str| -> Vec<String> {
        let (_, text) = said(net, id, &format!("ip route show {choice}"));
        let first = |line: &str| line.split(' ').next().unwrap_or("").to_owned();
        text.lines().map(first).collect()
    };
    for (choice, want) in [
        ("", vec!["10.0.0.0/24", "10.5.0.0/16", "10.6.0.0/16"]),
        ("proto kernel", vec!["10.0.0.0/24"]),
        ("proto static", vec!["10.6.0.0/16"]),
        ("via 10.0.0.9", vec!["10.5.0.0/16"]),
        ("match 10.5.1.2", vec!["10.5.0.0/16"]),
        ("scope link", vec!["10.0.0.0/24"]),
        ("root 10.4.0.0/14", vec!["10.5.0.0/16", "10.6.0.0/16"]),
    ] {
        assert_eq!(first(&mut net, choice), want, "{choice}");
    }
    assert_eq!(said(&mut net, id, "ip route flush via 10.0.0.9").0, 0);
    assert_eq!(first(&mut net, ""), ["10.0.0.0/24", "10.6.0.0/16"]);
}
