//! IPIP tunnels, and what `conntrack -E` and `ip monitor` tell of what happens. The words are those of iproute2 6.1 and
//! conntrack-tools 1.4.7.

use std::net::Ipv4Addr;

use kubarium_linux::tools::monitor::Monitor;
use kubarium_linux::{Connect, NamespaceId, Network, Protocol, SeededDice, Time, Verdict, tools};

const NOW: Time = Time::from_secs(10);

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

fn run(net: &mut Network, id: NamespaceId, command: &str) -> String {
    let output = tools::run(net, id, &words(command), NOW);
    output.stdout + &output.stderr
}

fn setup(net: &mut Network, id: NamespaceId, commands: &[&str]) {
    for command in commands {
        assert_eq!(run(net, id, command), "", "{command}");
    }
}

/// Two hosts on a wire, each with a network behind a tunnel to the other: `a` names its end, `b` leaves it open.
fn hosts() -> (Network, NamespaceId, NamespaceId) {
    let mut net = Network::new();
    let wire = net.add_segment("wire");
    let mut host = |name: &str| {
        let id = net.add_namespace(name);
        let eth0 = net.add_physical(id, "eth0").unwrap();
        net.plug(eth0, wire).unwrap();
        id
    };
    let (a, b) = (host("a"), host("b"));
    setup(
        &mut net,
        a,
        &[
            "ip addr add 172.18.0.3/24 dev eth0",
            "ip link set eth0 up",
            "ip tunnel add tun1 mode ipip local 172.18.0.3 remote 172.18.0.4",
            "ip link set tun1 up",
            "ip addr add 10.1.0.1/32 dev tun1",
            "ip route add 10.2.0.0/24 dev tun1",
        ],
    );
    setup(
        &mut net,
        b,
        &[
            "ip addr add 172.18.0.4/24 dev eth0",
            "ip link set eth0 up",
            "ip link add tun9 type ipip remote 172.18.0.99",
            "ip link set tunl0 up",
            "ip addr add 10.2.0.1/32 dev tunl0",
            "ip route add 10.1.0.0/24 via 172.18.0.3 dev tunl0 onlink",
        ],
    );
    for id in [a, b] {
        net.listen(id, Protocol::TCP, Ipv4Addr::UNSPECIFIED, 80, 0)
            .unwrap();
    }
    (net, a, b)
}

#[test]
fn packets_go_through_ipip() {
    let (mut net, a, b) = hosts();
    let mut dice = SeededDice(1);
    for (from, to, want) in [
        (a, "10.2.0.1:80", Verdict::Connected),
        (b, "10.1.0.1:80", Verdict::Connected),
        (a, "10.2.0.1:81", Verdict::Refused),
        // Behind the tunnel nobody forwards to it.
        (a, "10.2.0.9:80", Verdict::Timeout),
    ] {
        let connect = Connect::tcp(from, to.parse().unwrap());
        let connection = net.connect(&connect, NOW, &mut dice, None);
        assert_eq!(connection.verdict, want, "{to}");
    }
    // The whole request fits the tunnel's MTU: 1500 less an IPv4 header.
    let whole = |bytes: u32| Connect {
        whole: true,
        request: bytes,
        ..Connect::ping(a, "10.2.0.1".parse().unwrap())
    };
    let mut sent = |bytes| net.connect(&whole(bytes), NOW, &mut dice, None).verdict;
    assert_eq!(sent(1452), Verdict::Connected);
    assert_ne!(sent(1453), Verdict::Connected);
    // The other end does not know a tunnel from there any more.
    setup(&mut net, b, &["ip link set tunl0 down"]);
    let connect = Connect::tcp(a, "10.2.0.1:80".parse().unwrap());
    let connection = net.connect(&connect, NOW, &mut dice, None);
    assert_ne!(connection.verdict, Verdict::Connected);
}

#[test]
fn ip_shows_tunnels() {
    let (mut net, a, b) = hosts();
    for (id, command, want) in [
        (
            a,
            "ip tunnel show",
            "tunl0: any/ip remote any local any ttl inherit nopmtudisc\ntun1: ip/ip remote 172.18.0.4 local 172.18.0.3 ttl inherit\n",
        ),
        (
            a,
            "ip link show tun1",
            "4: tun1@NONE: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1480 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000\n    link/ipip 172.18.0.3 peer 172.18.0.4\n",
        ),
        (
            b,
            "ip addr show tunl0",
            "3: tunl0@NONE: <NOARP,UP,LOWER_UP> mtu 1480 qdisc noqueue state UNKNOWN group default qlen 1000\n    link/ipip 0.0.0.0 brd 0.0.0.0\n    inet 10.2.0.1/32 scope global tunl0\n       valid_lft forever preferred_lft forever\n",
        ),
        (
            a,
            "ip tunnel add t mode foo",
            "Unknown tunnel mode \"foo\"\n",
        ),
        (
            a,
            "ip tunnel add",
            "cannot determine tunnel mode (ipip, gre, vti or sit)\n",
        ),
        (
            a,
            "ip tunnel del nosuch",
            "delete tunnel \"nosuch\" failed: No such device\n",
        ),
        (
            a,
            "ip tunnel add tun1 mode ipip",
            "add tunnel \"tun1\" failed: File exists\n",
        ),
        (a, "ip tunnel del tun1", ""),
    ] {
        assert_eq!(run(&mut net, id, command), want, "{command}");
    }
}

fn monitor(net: &mut Network, id: NamespaceId, command: &str) -> Monitor {
    assert!(Monitor::is_meant(&words(command)), "{command}");
    Monitor::start(net, id, &words(command), NOW).unwrap()
}

/// What one who looks on has seen since.
fn seen(monitor: &mut Monitor, net: &mut Network, now: Time) -> String {
    let said = monitor.go_on(net, now);
    assert_eq!(said.stderr, "");
    said.stdout
}

#[test]
fn conntrack_tells_what_happens() {
    let (mut net, a, _) = hosts();
    setup(
        &mut net,
        a,
        &["iptables -A OUTPUT -m conntrack --ctstate NEW"],
    );
    let mut all = monitor(&mut net, a, "conntrack -E");
    let mut ended = monitor(&mut net, a, "conntrack -E -p tcp -e DESTROY -o extended");
    let request = Connect {
        sport: Some(40_000),
        ..Connect::tcp(a, "172.18.0.4:80".parse().unwrap())
    };
    net.connect(&request, NOW, &mut SeededDice(1), None);
    let there = "src=172.18.0.3 dst=172.18.0.4 sport=40000 dport=80";
    let back = "src=172.18.0.4 dst=172.18.0.3 sport=80 dport=40000";
    let told = seen(&mut all, &mut net, NOW);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[..3],
        [
            format!("    [NEW] tcp      6 120 SYN_SENT {there} [UNREPLIED] {back}"),
            format!(" [UPDATE] tcp      6 60 SYN_RECV {there} {back}"),
            format!(" [UPDATE] tcp      6 432000 ESTABLISHED {there} {back} [ASSURED]"),
        ]
    );
    assert!(lines.last().unwrap().contains("TIME_WAIT"), "{told}");
    assert_eq!(seen(&mut ended, &mut net, NOW), "");
    // Its time is over, two minutes later.
    let later = NOW + Time::from_secs(200);
    let gone = format!("[DESTROY] ipv4     2 tcp      6 TIME_WAIT {there} {back} [ASSURED]\n");
    assert_eq!(seen(&mut ended, &mut net, later), gone);
    let said = "conntrack v1.4.7 (conntrack-tools): 1 flow events have been shown.\n";
    assert_eq!(ended.stop(&mut net), said);
    assert!(seen(&mut all, &mut net, later).starts_with("[DESTROY] tcp      6 TIME_WAIT"));
    assert!(run(&mut net, a, "conntrack -S").starts_with("cpu=0   \tfound=0 invalid=0 "));
    let summary = run(&mut net, a, "ss -s");
    assert!(
        summary.contains("\nTCP\t  1         0         1        \n"),
        "{summary}"
    );
}

#[test]
fn who_reads_too_seldom_loses_events_and_is_told() {
    let (mut net, a, _) = hosts();
    let rule = "iptables -A OUTPUT -m conntrack --ctstate NEW";
    setup(&mut net, a, &[rule]);
    let mut slow = monitor(&mut net, a, "conntrack -E -e NEW");
    for port in 0..5000 {
        let request = Connect {
            sport: Some(10_000 + port),
            ..Connect::udp(a, "172.18.0.4:53".parse().unwrap())
        };
        net.connect(&request, NOW, &mut SeededDice(1), None);
    }
    let told = slow.go_on(&mut net, NOW);
    assert!(told.stderr.starts_with("WARNING: We have hit ENOBUFS!"));
    assert!(told.stdout.contains("sport=14999 ") && !told.stdout.contains("sport=10000 "));
    assert_eq!(seen(&mut slow, &mut net, NOW), "");
}

#[test]
fn ip_tells_what_changes() {
    let (mut net, a, _) = hosts();
    let mut all = monitor(&mut net, a, "ip monitor");
    let mut routes = monitor(&mut net, a, "ip monitor route label");
    assert_eq!(seen(&mut all, &mut net, NOW), "");
    for (command, told) in [
        (
            "ip route add 10.66.0.0/16 via 172.18.0.9",
            "10.66.0.0/16 via 172.18.0.9 dev eth0 \n",
        ),
        (
            "ip route del 10.66.0.0/16",
            "Deleted 10.66.0.0/16 via 172.18.0.9 dev eth0 \n",
        ),
        (
            "ip neigh add 172.18.0.77 lladdr 02:00:00:00:00:01 dev eth0",
            "172.18.0.77 dev eth0 lladdr 02:00:00:00:00:01 PERMANENT\n",
        ),
        (
            "ip rule add from 1.2.3.4 table 7",
            "32765:\tfrom 1.2.3.4 lookup 7\n",
        ),
    ] {
        setup(&mut net, a, &[command]);
        let said = seen(&mut all, &mut net, NOW);
        let trim = |text: &str| text.replace(" \n", "\n");
        assert_eq!(trim(&said), trim(told), "{command}");
    }
    assert_eq!(seen(&mut routes, &mut net, NOW), "");
    setup(&mut net, a, &["ip route add blackhole 10.67.0.0/16"]);
    let told = seen(&mut routes, &mut net, NOW);
    assert!(told.starts_with("[ROUTE]blackhole 10.67.0.0/16"), "{told}");
    let wrong = Monitor::start(&mut net, a, &words("ip monitor foo"), NOW).unwrap_err();
    let text = "Argument \"foo\" is unknown, try \"ip monitor help\".\n";
    assert_eq!((wrong.status, wrong.stderr.as_str()), (255, text));
}
