//! What the tools say to somebody whom the kernel does not let change a network, as it does not let the processes of
//! ordinary containers. Texts and statuses are those of iproute2 6.1, iptables 1.8.9, nftables 1.0.6, conntrack-tools
//! 1.4.7, ipset 7.17, net-tools 2.10 and procps 4.0.2 without the capability, or on a /proc/sys that is mounted read-only.

use super::{Output, sysctl};
use crate::link::NamespaceId;
use crate::network::Network;

/// What a process may do to its network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// It has `CAP_NET_ADMIN` (capabilities(7)).
    pub net_admin: bool,
    /// It may write parameters of the kernel (below /proc/sys).
    pub parameters: bool,
}

/// What comes of a command for somebody with these rights; `None` where it is done as anybody's.
#[must_use]
pub fn refused(
    net: &Network,
    namespace: NamespaceId,
    argv: &[String],
    rights: Rights,
) -> Option<Output> {
    let (name, args) = argv.split_first()?;
    let name = name.rsplit('/').next().unwrap_or(name);
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if name == "sysctl" && !rights.parameters {
        return sysctl::refused(net, namespace, &words);
    }
    if rights.net_admin {
        return None;
    }
    let (status, text) = match name {
        "ip" | "bridge" | "tc" => {
            let operands: Vec<&str> = words.into_iter().filter(|w| !w.starts_with('-')).collect();
            if device(&operands).is_some_and(|name| net.find_link(namespace, name).is_none()) {
                // That it is not there is found before the kernel is asked.
                return None;
            }
            iproute2(name, &operands)?
        }
        "ifconfig" => {
            net.find_link(namespace, words.first()?)?;
            ifconfig(words.get(1..)?)?
        }
        "conntrack" => conntrack(&words)?,
        "nft" => nft(&words)?,
        _ => other(name, &words)?,
    };
    // As conntrack's count, which it prints all the same.
    let stdout = match (name, args.first().map(String::as_str)) {
        ("conntrack", Some("-C" | "--count")) => "0\n",
        _ => "",
    };
    Some(Output {
        stdout: stdout.to_owned(),
        ..Output::failed(status, format!("{text}\n"))
    })
}

/// A refusal: exit status and text.
type Refusal = (i32, String);

/// The device that iproute2's words name.
fn device<'a>(operands: &[&'a str]) -> Option<&'a str> {
    let after = operands.iter().position(|w| *w == "dev");
    let named = match (operands, after) {
        (_, Some(at)) => operands.get(at + 1),
        ([object, verb, name, ..], None) if is(object, "link") && !is(verb, "add") => Some(name),
        _ => None,
    };
    named
        .copied()
        .filter(|name| !matches!(*name, "up" | "down"))
}

/// Whether a word is a name, or its beginning.
fn is(word: &str, name: &str) -> bool {
    !word.is_empty() && name.starts_with(word)
}

fn iproute2(name: &str, operands: &[&str]) -> Option<Refusal> {
    const CHANGES: [&str; 7] = [
        "add", "append", "change", "delete", "prepend", "replace", "set",
    ];
    let (object, verb) = (operands.first()?, operands.get(1)?);
    let flush = "Failed to send flush request: Operation not permitted";
    let netlink = "RTNETLINK answers: Operation not permitted";
    let (status, text) = match name {
        "ip" if is(verb, "flush") => match () {
            () if operands.get(2) == Some(&"cache") => return None,
            () if is(object, "rule") && !is(object, "route") => (
                255,
                "RTNETLINK answers: Operation not permitted\nDump terminated",
            ),
            () if is(object, "address") => (255, flush),
            () if is(object, "neighbour") || *object == "neighbor" => (1, flush),
            () => (2, flush),
        },
        // What begins with an `s` alone shows something, but for a link, which it sets.
        _ if *verb == "s" && !is(object, "link") => return None,
        "ip" if object.len() > 1
            && is(object, "maddress")
            && CHANGES.iter().any(|c| is(verb, c)) =>
        {
            (1, "ioctl: Operation not permitted")
        }
        "bridge" if is(verb, "flush") || CHANGES.iter().any(|c| is(verb, c)) => (255, netlink),
        _ if CHANGES.iter().any(|c| is(verb, c)) => (2, netlink),
        _ => return None,
    };
    Some((status, text.to_owned()))
}

fn ifconfig(words: &[&str]) -> Option<Refusal> {
    let (status, text) = match words.first()? {
        &"up" | &"down" => (255, "SIOCSIFFLAGS: Operation not permitted"),
        &"mtu" => (1, "SIOCSIFMTU: Operation not permitted"),
        _ => (
            255,
            "SIOCSIFADDR: Operation not permitted\nSIOCSIFFLAGS: Operation not permitted",
        ),
    };
    Some((status, text.to_owned()))
}

fn conntrack(words: &[&str]) -> Option<Refusal> {
    let me = "conntrack v1.4.7 (conntrack-tools): ";
    let why = format!(
        "{me}Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability to do this"
    );
    match *words.first()? {
        "-h" | "--help" | "-V" | "--version" => None,
        "-E" | "--event" => {
            let socket = "mnl_socket_bind: Operation not permitted";
            Some((1, format!("{socket}\n{me}Can't open netlink socket")))
        }
        "-F" | "--flush" => Some((
            1,
            format!("{me}connection tracking table has been emptied.\n{why}"),
        )),
        _ => Some((1, why)),
    }
}

fn nft(words: &[&str]) -> Option<Refusal> {
    let line = words.join(" ");
    let command = words.iter().find(|w| !w.starts_with('-'));
    match (words.first()?, command) {
        (&"-h" | &"--help" | &"-v" | &"--version" | &"-V", _) | (_, None) => None,
        (_, Some(&"list" | &"monitor")) => Some((
            1,
            "Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted".to_owned(),
        )),
        _ => {
            let under = "^".repeat(line.chars().count());
            let why = "Error: Could not process rule: Operation not permitted";
            Some((1, format!("{why}\n{line}\n{under}")))
        }
    }
}

fn other(name: &str, words: &[&str]) -> Option<Refusal> {
    let has = |all: &[&str]| words.iter().any(|w| all.contains(w));
    let (status, text) = match name {
        "iptables-legacy" if !has(&["-V", "--version", "-h", "--help"]) => (
            3,
            "iptables v1.8.9 (legacy): can't initialize iptables table `filter': Permission denied (you must be root)\nPerhaps iptables or your kernel needs to be upgraded.",
        ),
        "iptables" | "iptables-nft" | "iptables-save" | "iptables-restore" | "ip6tables"
        | "ip6tables-save"
            if !has(&["-V", "--version", "-h", "--help"]) =>
        {
            let name = name.trim_end_matches("-nft");
            let why =
                "Could not fetch rule set generation id: Permission denied (you must be root)";
            return Some((4, format!("{name} v1.8.9 (nf_tables): {why}")));
        }
        "ipset" if !words.is_empty() && !has(&["help", "--help", "-h"]) => (
            1,
            "ipset v7.17: Kernel error received: Operation not permitted",
        ),
        "route" if has(&["add"]) => (7, "SIOCADDRT: Operation not permitted"),
        "route" if has(&["del"]) => (7, "SIOCDELRT: Operation not permitted"),
        "arp" if has(&["-s", "--set"]) => (255, "SIOCSARP: Operation not permitted"),
        "arp" if has(&["-d", "--delete"]) => (255, "SIOCDARP(dontpub): Operation not permitted"),
        _ => return None,
    };
    Some((status, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Rights, refused};
    use crate::link::NamespaceId;
    use crate::network::Network;

    /// A namespace with its loopback device alone.
    fn network() -> (Network, NamespaceId) {
        let mut net = Network::new();
        let namespace = net.add_namespace("pod");
        (net, namespace)
    }

    /// What a line says to somebody without any right: status and first line.
    #[track_caller]
    fn says(line: &str, want: Option<(i32, &str)>) {
        let (net, namespace) = network();
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let none = Rights {
            net_admin: false,
            parameters: false,
        };
        let found = refused(&net, namespace, &argv, none);
        let first = |o: &crate::tools::Output| {
            let line = o.stderr.lines().next().unwrap_or("");
            (o.status, line.to_owned())
        };
        let want = want.map(|(status, line)| (status, line.to_owned()));
        assert_eq!(found.as_ref().map(first), want, "{line}");
    }

    #[test]
    fn changes_are_refused() {
        let netlink = "RTNETLINK answers: Operation not permitted";
        let flush = "Failed to send flush request: Operation not permitted";
        let tables = "Could not fetch rule set generation id: Permission denied (you must be root)";
        let save = format!("iptables-save v1.8.9 (nf_tables): {tables}");
        let list = format!("iptables v1.8.9 (nf_tables): {tables}");
        for (line, status, text) in [
            ("ip route del default", 2, netlink),
            ("ip r d default", 2, netlink),
            ("/sbin/ip -4 addr add 10.1.1.1/24 dev lo", 2, netlink),
            ("ip link set lo down", 2, netlink),
            ("ip l s lo down", 2, netlink),
            ("ip link add d0 type dummy", 2, netlink),
            ("ip rule flush", 255, netlink),
            ("ip route flush table main", 2, flush),
            ("ip addr flush dev lo", 255, flush),
            ("ip neigh flush dev lo", 1, flush),
            (
                "ip maddr add 33:33:00:00:00:01 dev lo",
                1,
                "ioctl: Operation not permitted",
            ),
            ("bridge fdb append 02:00:00:00:00:01 dev lo", 255, netlink),
            ("tc qdisc add dev lo root netem delay 1ms", 2, netlink),
            ("iptables -t nat -S", 4, &list),
            ("iptables-save", 4, &save),
            (
                "nft list ruleset",
                1,
                "Operation not permitted (you must be root)",
            ),
            (
                "nft add table ip x",
                1,
                "Error: Could not process rule: Operation not permitted",
            ),
            (
                "conntrack -E",
                1,
                "mnl_socket_bind: Operation not permitted",
            ),
            (
                "ipset list",
                1,
                "ipset v7.17: Kernel error received: Operation not permitted",
            ),
            (
                "route add default gw 10.1.1.1",
                7,
                "SIOCADDRT: Operation not permitted",
            ),
            (
                "arp -d 10.1.1.1",
                255,
                "SIOCDARP(dontpub): Operation not permitted",
            ),
            (
                "ifconfig lo 10.1.1.1",
                255,
                "SIOCSIFADDR: Operation not permitted",
            ),
            (
                "ifconfig lo mtu 1400",
                1,
                "SIOCSIFMTU: Operation not permitted",
            ),
            (
                "sysctl -w net.ipv4.ip_forward=1",
                1,
                "sysctl: permission denied on key \"net.ipv4.ip_forward\"",
            ),
        ] {
            says(line, Some((status, text)));
        }
    }

    #[test]
    fn what_only_looks_or_is_wrong_is_for_the_tool_itself() {
        for line in [
            "ip route",
            "ip r s",
            "ip -d link show lo",
            "ip route get 1.1.1.1",
            "ip link set nosuch down",
            "ip route flush cache",
            "tc qdisc show",
            "bridge fdb show",
            "ss -tln",
            "ifconfig lo",
            "ifconfig nosuch up",
            "iptables -V",
            "nft --version",
            "conntrack --version",
            "route -n",
            "arp -n",
            "sysctl net.ipv4.ip_forward",
        ] {
            says(line, None);
        }
    }
}
