//! Three nodes, flannel's VXLAN, hand-written Services: who reaches whom, and as whom.

use crate::lab::Lab;
use kubarium_linux::{Connect, Protocol, Time, Trace, Verdict};

/// What kube-proxy makes for a few Services, and flannel's own rules for node `n`.
fn rules(n: u8) -> String {
    let mut filter = String::new();
    let mut nat = String::new();
    let mut chains = String::new();
    let mut service = |name: &str,
                       protocol: &str,
                       address: &str,
                       node_port: u16,
                       endpoints: &[&str]| {
        let p = format!("-p {protocol} -m {protocol}");
        if endpoints.is_empty() {
            filter += &format!(
                "-A KUBE-SERVICES -d {address}/32 {p} --dport 80 -j REJECT --reject-with icmp-port-unreachable\n"
            );
            return;
        }
        chains += &format!(":KUBE-SVC-{name} - [0:0]\n:KUBE-EXT-{name} - [0:0]\n");
        nat += &format!(
            "-A KUBE-SERVICES -d {address}/32 {p} --dport 80 -m comment --comment \"default/{name} cluster IP\" -j KUBE-SVC-{name}\n"
        );
        nat += &format!(
            "-A KUBE-SVC-{name} ! -s 10.42.0.0/16 -d {address}/32 {p} --dport 80 -j KUBE-MARK-MASQ\n"
        );
        if node_port != 0 {
            nat += &format!(
                "-A KUBE-NODEPORTS {p} --dport {node_port} -j KUBE-EXT-{name}\n-A KUBE-EXT-{name} -j KUBE-MARK-MASQ\n-A KUBE-EXT-{name} -j KUBE-SVC-{name}\n"
            );
        }
        for (i, endpoint) in endpoints.iter().enumerate() {
            let rest = endpoints.len() - i;
            let draw = if rest > 1 {
                format!(
                    "-m statistic --mode random --probability {:.10} ",
                    1.0 / rest as f64
                )
            } else {
                String::new()
            };
            chains += &format!(":KUBE-SEP-{name}{i} - [0:0]\n");
            nat += &format!("-A KUBE-SVC-{name} {draw}-j KUBE-SEP-{name}{i}\n");
            nat += &format!(
                "-A KUBE-SEP-{name}{i} -s {}/32 -j KUBE-MARK-MASQ\n",
                endpoint.split(':').next().unwrap_or_default()
            );
            nat += &format!("-A KUBE-SEP-{name}{i} {p} -j DNAT --to-destination {endpoint}\n");
        }
    };
    service("FAR", "tcp", "10.43.0.2", 30002, &["10.42.2.10:8080"]);
    service("NEAR", "tcp", "10.43.0.1", 30001, &["10.42.1.10:8080"]);
    service("SELF", "tcp", "10.43.0.3", 0, &["10.42.1.11:8080"]);
    service(
        "BOTH",
        "tcp",
        "10.43.0.4",
        0,
        &["10.42.1.10:8080", "10.42.2.10:8080"],
    );
    service("NONE", "tcp", "10.43.0.5", 0, &[]);
    service("NOUDP", "udp", "10.43.0.5", 0, &[]);
    service("DEAD", "tcp", "10.43.0.6", 0, &["10.42.1.99:8080"]);
    service("UDP", "udp", "10.43.0.1", 0, &["10.42.1.10:8080"]);
    service("HOST", "tcp", "10.43.0.7", 30007, &["172.18.0.3:8090"]);
    format!(
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-FORWARD - [0:0]\n:FLANNEL-FWD - [0:0]\n\
         -A FORWARD -j KUBE-FORWARD\n-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES\n-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES\n-A FORWARD -j FLANNEL-FWD\n\
         -A FLANNEL-FWD -s 10.42.0.0/16 -j ACCEPT\n-A FLANNEL-FWD -d 10.42.0.0/16 -j ACCEPT\n\
         -A KUBE-FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP\n-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT\n\
         -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n{filter}COMMIT\n\
         *nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:FLANNEL-POSTRTG - [0:0]\n{chains}\
         -A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n-A POSTROUTING -j KUBE-POSTROUTING\n-A POSTROUTING -j FLANNEL-POSTRTG\n\
         -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000\n-A KUBE-POSTROUTING -j MASQUERADE --random-fully\n\
         -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -j RETURN\n-A FLANNEL-POSTRTG -s 10.42.{n}.0/24 -d 10.42.0.0/16 -j RETURN\n-A FLANNEL-POSTRTG -s 10.42.0.0/16 -d 10.42.{n}.0/24 -j RETURN\n\
         -A FLANNEL-POSTRTG ! -s 10.42.0.0/16 -d 10.42.{n}.0/24 -j RETURN\n-A FLANNEL-POSTRTG -s 10.42.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully\n-A FLANNEL-POSTRTG ! -s 10.42.0.0/16 -d 10.42.0.0/16 -j MASQUERADE --random-fully\n\
         {nat}-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\nCOMMIT\n"
    )
}

pub(super) fn cluster(hairpin: bool) -> Lab {
    let mut lab = Lab::new();
    lab.host("outside", "172.18.0.1", None);
    let nodes = [
        ("control-plane", "172.18.0.2"),
        ("worker-1", "172.18.0.3"),
        ("worker-2", "172.18.0.4"),
    ];
    for (n, (name, address)) in nodes.iter().enumerate() {
        lab.node(name, address, n as u8, 1450);
    }
    for (n, (name, _)) in nodes.iter().enumerate() {
        for (m, (_, address)) in nodes.iter().enumerate() {
            if n != m {
                lab.peer(name, m as u8, address);
            }
        }
        lab.restore(name, &rules(n as u8), false);
    }
    for (name, node, address) in [
        ("web-1", "worker-1", "10.42.1.10"),
        ("box-1", "worker-1", "10.42.1.11"),
        ("web-2", "worker-2", "10.42.2.10"),
        ("box-2", "worker-2", "10.42.2.11"),
    ] {
        let id = lab.pod(name, node, address, 1450, hairpin);
        lab.serve(id, name, 8080);
    }
    let outside = lab.id("outside");
    lab.serve(outside, "outside", 5000);
    let worker = lab.id("worker-1");
    lab.serve(worker, "worker-1", 8090);
    lab
}

/// One connection in a fresh cluster after some commands (`NAMESPACE COMMAND…`).
fn check_after(commands: &[&str], from: &str, to: &str, protocol: Protocol, expect: &str) {
    let mut lab = cluster(true);
    for command in commands {
        let (name, command) = command.split_once(' ').expect("a namespace and a command");
        lab.run(name, command);
    }
    let request = lab.request(from, to, protocol);
    let connection = lab.connect(&request);
    assert_eq!(
        lab.outcome(&connection),
        expect,
        "{from} -> {to} after {commands:?}"
    );
}

fn check(from: &str, to: &str, expect: &str) {
    check_after(&[], from, to, Protocol::TCP, expect);
}

fn check_udp(from: &str, to: &str, expect: &str) {
    check_after(&[], from, to, Protocol::UDP, expect);
}

#[test]
fn pods_reach_pods_by_their_addresses() {
    check("box-1", "10.42.1.10:8080", "connected web-1 10.42.1.11");
    check("box-1", "10.42.2.10:8080", "connected web-2 10.42.1.11");
    check("box-1", "10.42.1.11:8080", "connected box-1 10.42.1.11");
    check("box-1", "127.0.0.1:8080", "connected box-1 127.0.0.1");
    check("box-1", "10.42.2.10:81", "refused");
    check("worker-1", "10.42.1.10:8080", "connected web-1 10.42.1.1");
    check("worker-1", "10.42.2.10:8080", "connected web-2 10.42.1.0");
    check(
        "control-plane",
        "10.42.2.10:8080",
        "connected web-2 10.42.0.0",
    );
    check("box-1", "172.18.0.1:5000", "connected outside 172.18.0.3");
    check("box-1", "172.18.0.3:8090", "connected worker-1 10.42.1.11");
    check("box-2", "172.18.0.3:8090", "connected worker-1 172.18.0.4");
}

#[test]
fn services_lead_to_their_endpoints() {
    check("box-1", "10.43.0.1:80", "connected web-1 10.42.1.11");
    check("box-1", "10.43.0.2:80", "connected web-2 10.42.1.11");
    check("worker-1", "10.43.0.1:80", "connected web-1 10.42.1.1");
    check("worker-1", "10.43.0.2:80", "connected web-2 10.42.1.0");
    check("outside", "172.18.0.3:30001", "connected web-1 10.42.1.1");
    check("outside", "172.18.0.4:30001", "connected web-1 10.42.2.0");
    check("worker-1", "127.0.0.1:30001", "connected web-1 10.42.1.1");
    check("worker-2", "127.0.0.1:30001", "connected web-1 10.42.2.0");
    check("worker-1", "10.43.0.7:80", "connected worker-1 172.18.0.3");
    check(
        "outside",
        "172.18.0.4:30007",
        "connected worker-1 172.18.0.4",
    );
    check_udp("box-1", "10.43.0.1:80", "connected web-1 10.42.1.11");
}

#[test]
fn a_pod_that_draws_itself_comes_from_the_bridge() {
    check("box-1", "10.43.0.3:80", "connected box-1 10.42.1.1");
}

/// Six ICMP errors at once, and then one a second (`net.ipv4.icmp_ratelimit`).
#[test]
fn who_asks_too_often_is_told_less_often() {
    let mut lab = cluster(true);
    let request = Connect {
        resend: None,
        timeout: Time::from_millis(50),
        ..lab.request("box-1", "10.43.0.5:80", Protocol::UDP)
    };
    let mut told = |pause: u64| {
        lab.now = lab.now + Time::from_millis(pause);
        let connection = lab.connect(&request);
        lab.outcome(&connection)
    };
    for _ in 0..6 {
        assert_eq!(told(0), "refused");
    }
    assert_eq!(told(0), "timeout");
    assert_eq!(told(1000), "refused");
    assert_eq!(told(0), "timeout");
    lab.run("worker-1", "sysctl -w net.ipv4.icmp_ratelimit=0");
    let connection = lab.connect(&request);
    assert_eq!(lab.outcome(&connection), "refused");
}

#[test]
fn refusals_and_silence() {
    check("box-1", "10.43.0.5:80", "refused");
    check("worker-1", "10.43.0.5:80", "refused");
    check_udp("box-1", "10.43.0.5:80", "refused");
    check_udp("worker-1", "10.43.0.5:80", "denied");
    check("box-1", "10.43.0.1:81", "timeout");
    check("worker-1", "127.0.0.1:31000", "refused");
    check("outside", "172.18.0.9:80", "unreachable");
    check("box-1", "10.42.1.99:80", "unreachable");
    check("box-1", "10.43.0.6:80", "unreachable");
    check_udp("box-1", "10.42.1.99:80", "timeout");
}

#[test]
fn faults_have_their_known_consequences() {
    let tcp = Protocol::TCP;
    let nf = "worker-1 sysctl -w net.bridge.bridge-nf-call-iptables=0";
    check_after(&[nf], "box-1", "10.43.0.1:80", tcp, "timeout");
    check_after(
        &[nf],
        "box-1",
        "10.43.0.2:80",
        tcp,
        "connected web-2 10.42.1.11",
    );
    check_after(
        &[nf],
        "box-1",
        "10.43.0.3:80",
        tcp,
        "connected box-1 10.42.1.1",
    );
    check_after(
        &[nf],
        "worker-1",
        "10.43.0.1:80",
        tcp,
        "connected web-1 10.42.1.1",
    );
    let forward = "worker-1 sysctl -w net.ipv4.ip_forward=0";
    check_after(&[forward], "box-1", "10.43.0.1:80", tcp, "timeout");
    check_after(
        &[forward],
        "box-1",
        "10.42.1.10:8080",
        tcp,
        "connected web-1 10.42.1.11",
    );
    check_after(
        &[forward],
        "worker-1",
        "10.43.0.1:80",
        tcp,
        "connected web-1 10.42.1.1",
    );
    check_after(
        &["worker-1 bridge fdb del 7a:00:0a:2a:02:00 dev flannel.1 dst 172.18.0.4"],
        "box-1",
        "10.42.2.10:8080",
        tcp,
        "timeout",
    );
    check_after(
        &["worker-1 ip neigh del 10.42.2.0 dev flannel.1"],
        "box-1",
        "10.42.2.10:8080",
        tcp,
        "unreachable",
    );
    check_after(
        &["worker-1 ip route del 10.42.2.0/24"],
        "box-1",
        "10.42.2.10:8080",
        tcp,
        "timeout",
    );
    check_after(
        &["worker-2 iptables -I INPUT -p udp --dport 8472 -j DROP"],
        "box-1",
        "10.42.2.10:8080",
        tcp,
        "timeout",
    );
    check_after(
        &["worker-1 iptables -t nat -F"],
        "box-1",
        "10.43.0.1:80",
        tcp,
        "timeout",
    );
    check_after(
        &["worker-1 ip link set cbr0 down"],
        "box-1",
        "10.42.1.10:8080",
        tcp,
        "unreachable",
    );
    check_after(
        &["worker-1 sysctl -w net.ipv4.conf.all.route_localnet=0"],
        "worker-1",
        "127.0.0.1:30001",
        tcp,
        "timeout",
    );
}

#[test]
fn a_neighbour_that_does_not_answer_takes_three_seconds() {
    let mut lab = cluster(true);
    let request = lab.request("box-1", "10.42.1.99:80", Protocol::TCP);
    let connection = lab.connect(&request);
    assert_eq!(connection.verdict, Verdict::Unreachable);
    assert!(
        (3000..3200).contains(&connection.elapsed.as_millis()),
        "{:?}",
        connection.elapsed
    );
    lab.run("worker-1", "ip neigh del 10.42.2.0 dev flannel.1");
    let request = lab.request("box-1", "10.42.2.10:8080", Protocol::TCP);
    lab.connect(&request);
    assert_eq!(
        lab.run("worker-1", "ip neigh show 10.42.2.0 dev flannel.1"),
        "10.42.2.0 INCOMPLETE \n"
    );
}

/// A SYN that is sent again takes another way where its hash chooses: the tunnel's packets leave by another port.
#[test]
fn a_repeated_syn_has_another_hash() {
    let mut lab = cluster(true);
    lab.run("worker-2", "iptables -A INPUT -p udp --dport 8472 -j DROP");
    let request = Connect {
        timeout: Time::from_millis(2500),
        ..lab.request("box-1", "10.42.2.10:8080", Protocol::TCP)
    };
    let connection = lab.connect(&request);
    assert_eq!(lab.outcome(&connection), "timeout");
    let list = lab.run("worker-1", "conntrack -L");
    let outer = list
        .lines()
        .filter(|line| line.contains("dport=8472 [UNREPLIED]"));
    assert_eq!(outer.count(), 3, "{list}");
}

#[test]
fn without_hairpin_a_drawn_self_is_drawn_again() {
    let lab = cluster(false);
    let request = lab.request("web-1", "10.43.0.4:80", Protocol::TCP);
    let fates = lab.net.fates(&request, lab.now);
    let total: f64 = fates.iter().map(|f| f.probability).sum();
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    let first = fates.iter().find(|f| {
        f.connection.verdict == Verdict::Connected && f.connection.elapsed > Time::from_secs(1)
    });
    assert!(first.is_some(), "one is connected by its second SYN");
    assert!(fates.iter().all(
        |f| lab.outcome(&f.connection) == "connected web-2 10.42.1.10"
            || f.connection.verdict == Verdict::Timeout
    ));
}

#[test]
fn both_endpoints_are_drawn_with_half_the_probability() {
    let lab = cluster(true);
    let request = lab.request("box-1", "10.43.0.4:80", Protocol::TCP);
    let fates = lab.net.fates(&request, lab.now);
    let got: Vec<(String, f64)> = fates
        .iter()
        .map(|f| (lab.outcome(&f.connection), f.probability))
        .collect();
    assert_eq!(
        got,
        [
            ("connected web-1 10.42.1.11".to_owned(), 0.5),
            ("connected web-2 10.42.1.11".to_owned(), 0.5)
        ]
    );
}

#[test]
fn counters_and_connections_are_what_tools_show() {
    let mut lab = cluster(true);
    let request = Connect {
        sport: Some(41009),
        ..lab.request("box-1", "10.43.0.1:80", Protocol::TCP)
    };
    lab.connect(&request);
    let listing = lab.run("worker-1", "iptables -t nat -L KUBE-SEP-NEAR0 -n -v");
    let want = "Chain KUBE-SEP-NEAR0 (1 references)
 pkts bytes target     prot opt in     out     source               destination         
    0     0 KUBE-MARK-MASQ  0    --  *      *       10.42.1.10           0.0.0.0/0           
    1    60 DNAT       6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp to:10.42.1.10:8080
";
    assert_eq!(listing, want);
    let entries = lab.run("worker-1", "conntrack -L -p tcp --orig-port-src 41009");
    let line = entries.lines().next().unwrap_or_default();
    assert_eq!(
        line,
        "tcp      6 119 TIME_WAIT src=10.42.1.11 dst=10.43.0.1 sport=41009 dport=80 src=10.42.1.10 dst=10.42.1.11 sport=8080 dport=41009 [ASSURED] mark=0 use=1"
    );
    lab.run("worker-1", "sysctl -w net.bridge.bridge-nf-call-iptables=0");
    lab.now = lab.now + Time::from_secs(200);
    lab.connect(&request);
    let entries = lab.run("worker-1", "conntrack -L -p tcp --orig-port-src 41009");
    assert!(entries.contains("SYN_SENT src=10.42.1.11 dst=10.43.0.1 sport=41009 dport=80 [UNREPLIED] src=10.42.1.10 dst=10.42.1.11 sport=8080 dport=41009 mark=0 use=1"), "{entries}");
}

#[test]
fn a_trace_tells_the_whole_way() {
    let mut lab = cluster(true);
    let request = lab.request("box-1", "10.43.0.2:80", Protocol::TCP);
    let mut trace = Trace::new();
    lab.net
        .connect(&request, lab.now, &mut lab.dice, Some(&mut trace));
    let hops = trace.hops(&lab.net);
    for hop in &hops {
        println!(
            "{:>3} {:?} {:<10} {:<10} {:?} {:<8} {} | {}",
            hop.n,
            hop.phase,
            hop.namespace_name,
            hop.device.as_deref().unwrap_or("-"),
            hop.layer,
            hop.action,
            hop.explanation,
            hop.rule_text.as_deref().unwrap_or("")
        );
    }
    let has = |text: &str| hops.iter().any(|h| h.explanation.contains(text));
    for text in [
        "default/FAR cluster IP",
        "new one begins",
        "becomes 10.42.2.10:8080",
        "VXLAN 1 packet",
        "A socket listens on 10.42.2.10:8080",
        "The answer reaches the socket",
    ] {
        assert!(has(text), "no hop says {text:?}");
    }
    assert!(hops.iter().all(|h| !h.explanation.is_empty() && !h.dropped));
    assert!(serde_json::to_string(&hops).is_ok());
}

#[test]
fn ping_and_traceroute() {
    let mut lab = cluster(true);
    let from = lab.id("box-1");
    let ping = |lab: &mut Lab, to: &str, ttl: u8| {
        lab.net.connect(
            &Connect {
                ttl,
                ..Connect::ping(from, crate::lab::ip(to))
            },
            lab.now,
            &mut lab.dice,
            None,
        )
    };
    assert_eq!(ping(&mut lab, "10.42.1.1", 0).answer_ttl, Some(64));
    assert_eq!(ping(&mut lab, "10.42.2.10", 0).answer_ttl, Some(62));
    let first = ping(&mut lab, "10.42.2.10", 1);
    assert_eq!(
        (first.verdict, first.error.map(|e| e.from)),
        (Verdict::Unreachable, Some(crate::lab::ip("10.42.1.1")))
    );
    assert_eq!(
        ping(&mut lab, "10.42.2.10", 2).error.map(|e| e.from),
        Some(crate::lab::ip("10.42.2.0"))
    );
    assert_eq!(ping(&mut lab, "10.42.2.10", 3).verdict, Verdict::Connected);
}
