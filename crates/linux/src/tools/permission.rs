//! What the tools say to somebody whom the kernel does not let change a network: a process without `CAP_NET_ADMIN`
//! (capabilities(7)), as those of ordinary containers are. Texts and statuses are those of iproute2 6.1, iptables 1.8.9,
//! nftables 1.0.6, conntrack-tools 1.4.7, ipset 7.17, net-tools and procps.

use super::Output;

/// What comes of a command for somebody without `CAP_NET_ADMIN`; `None` where it is done all the same.
#[must_use]
pub fn without_net_admin(argv: &[String]) -> Option<Output> {
    let (name, args) = argv.split_first()?;
    let name = name.rsplit('/').next().unwrap_or(name);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let has = |all: &[&str]| words.iter().any(|w| all.contains(w));
    let refused = |status, text: &str| Some(Output::failed(status, format!("{text}\n")));
    let tables = |v: &str| {
        let why = "Could not fetch rule set generation id: Permission denied (you must be root)";
        refused(4, &format!("{name} v1.8.9 ({v}): {why}"))
    };
    match name {
        "ip" | "bridge" | "tc" if changes(&words) => {
            refused(2, "RTNETLINK answers: Operation not permitted")
        }
        "iptables" | "iptables-save" | "ip6tables" | "ip6tables-save"
            if !has(&["-V", "--version", "-h", "--help"]) =>
        {
            tables("nf_tables")
        }
        "nft" if has(&["list"]) => refused(
            1,
            "Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted",
        ),
        "nft"
            if has(&[
                "add", "create", "delete", "flush", "insert", "replace", "rename", "reset",
                "destroy",
            ]) =>
        {
            let line = words.join(" ");
            let under = "^".repeat(line.chars().count());
            refused(
                1,
                &format!("Error: Could not process rule: Operation not permitted\n{line}\n{under}"),
            )
        }
        "conntrack" if has(&["-E", "--event"]) => refused(
            1,
            "mnl_socket_bind: Operation not permitted\nconntrack v1.4.7 (conntrack-tools): Can't open netlink socket",
        ),
        "conntrack" if !has(&["-h", "--help", "-V", "--version"]) => refused(
            1,
            "conntrack v1.4.7 (conntrack-tools): Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability to do this",
        ),
        "ipset" if !has(&["help", "--help", "-h", "version", "-v", "--version"]) => refused(
            1,
            "ipset v7.17: Kernel error received: Operation not permitted",
        ),
        "route" if has(&["add"]) => refused(7, "SIOCADDRT: Operation not permitted"),
        "route" if has(&["del"]) => refused(7, "SIOCDELRT: Operation not permitted"),
        "arp" if has(&["-s", "--set"]) => refused(255, "SIOCSARP: Operation not permitted"),
        "arp" if has(&["-d", "--delete"]) => {
            refused(255, "SIOCDARP(dontpub): Operation not permitted")
        }
        "ifconfig" if has(&["up", "down"]) => refused(255, "SIOCSIFFLAGS: Operation not permitted"),
        "ifconfig" if words.len() > 1 && words.first() != Some(&"-a") => {
            refused(255, "SIOCSIFADDR: Operation not permitted")
        }
        _ => None,
    }
}

/// Whether iproute2's words (options, an object, a verb) change something.
fn changes(words: &[&str]) -> bool {
    let mut words = words.iter().filter(|w| !w.starts_with('-'));
    let verb = words.nth(1).copied().unwrap_or("");
    let all = [
        "add", "append", "change", "delete", "prepend", "replace", "set",
    ];
    // Verbs may be cut short; what begins with an `s` alone is `show`.
    !matches!(verb, "" | "s") && all.iter().any(|v| v.starts_with(verb))
}

#[cfg(test)]
mod tests {
    use super::without_net_admin;

    fn answers(line: &str, want: Option<(i32, &str)>) {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let found = without_net_admin(&argv);
        let first = found
            .as_ref()
            .map(|o| (o.status, o.stderr.lines().next().unwrap_or("")));
        assert_eq!(first, want, "{line}");
    }

    #[test]
    fn who_may_not_change_a_network_is_told() {
        let rtnetlink = Some((2, "RTNETLINK answers: Operation not permitted"));
        for line in [
            "ip route del default",
            "ip r d default",
            "/sbin/ip -4 addr add 10.1.1.1/24 dev eth0",
            "ip link set eth0 down",
            "ip neigh replace 10.1.1.2 lladdr 02:00:00:00:00:01 dev eth0",
            "bridge fdb append 02:00:00:00:00:01 dev eth0",
            "tc qdisc add dev eth0 root netem delay 1ms",
        ] {
            answers(line, rtnetlink);
        }
        for line in [
            "ip route",
            "ip -d link show eth0",
            "ip route get 1.1.1.1",
            "tc qdisc show",
            "ss -tln",
            "ifconfig eth0",
        ] {
            answers(line, None);
        }
        let nf = "iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)";
        answers("iptables -t nat -S", Some((4, nf)));
        answers("iptables -V", None);
        answers(
            "nft list ruleset",
            Some((1, "Operation not permitted (you must be root)")),
        );
        answers(
            "nft add table ip x",
            Some((1, "Error: Could not process rule: Operation not permitted")),
        );
        answers(
            "conntrack -E",
            Some((1, "mnl_socket_bind: Operation not permitted")),
        );
        answers(
            "route add default gw 10.1.1.1",
            Some((7, "SIOCADDRT: Operation not permitted")),
        );
        answers(
            "ifconfig eth0 10.1.1.1",
            Some((255, "SIOCSIFADDR: Operation not permitted")),
        );
    }
}
