//! ICMP errors and resets: who is told of what how often, and what they leave behind. Seen on Linux 6.18.

use kubarium_linux::{Connect, Protocol, Time, Verdict};

use super::connections::cluster;
use super::lab::{Lab, ip};

/// What becomes of one after another of these, each begun so many milliseconds after the one before.
fn one_after_another(lab: &mut Lab, from: &str, all: &[(u64, &str, &str)]) {
    for (n, (pause, to, expect)) in all.iter().enumerate() {
        lab.now = lab.now + Time::from_millis(*pause);
        let request = Connect {
            timeout: Time::from_millis(50),
            ..lab.request(from, to, Protocol::TCP)
        };
        let connection = lab.connect(&request);
        assert_eq!(lab.outcome(&connection), *expect, "{to}, number {n}");
    }
}

const NOWHERE: &str = "10.77.0.1:80";

/// Each error takes two tokens of five: one for the route, one for ICMP.
#[test]
fn who_has_no_route_is_told_so_seldom() {
    let mut lab = cluster(true);
    lab.run("worker-1", "ip route add unreachable 10.77.0.0/16");
    let (told, not) = ("unreachable", "timeout");
    let all = [(0, told), (0, told), (0, not), (2_100, told), (500, not)];
    let all = all.map(|(pause, expect)| (pause, NOWHERE, expect));
    one_after_another(&mut lab, "box-1", &all);
}

/// An error that costs nothing leaves nothing of what was saved up.
#[test]
fn a_free_error_empties_the_budget() {
    let mut lab = cluster(true);
    lab.run("worker-1", "sysctl -w net.ipv4.icmp_ratelimit=0");
    lab.run("worker-1", "ip route add unreachable 10.77.0.0/16");
    let all = [
        (0, "10.43.0.5:80", "refused"),
        (0, NOWHERE, "timeout"),
        (1_100, NOWHERE, "unreachable"),
    ];
    one_after_another(&mut lab, "box-1", &all);
}

/// What worker-1 tracks of a connection after some rules have said their part.
fn tracked(rules: &[&str], from: &str, to: &str) -> String {
    let mut lab = cluster(true);
    for rule in rules {
        lab.run("worker-1", rule);
    }
    let request = Connect {
        sport: Some(40_000),
        timeout: Time::from_millis(50),
        ..lab.request(from, to, Protocol::TCP)
    };
    lab.connect(&request);
    lab.run("worker-1", "conntrack -L")
}

#[test]
fn a_connection_that_a_rule_resets_is_closing() {
    let reset = "iptables -A OUTPUT -p tcp --sport 8090 -j REJECT --reject-with tcp-reset";
    let list = tracked(&[reset], "box-1", "172.18.0.3:8090");
    assert!(list.contains("6 9 CLOSE src=10.42.1.11 "), "{list}");
}

/// An error about a reset goes the way of the packet that was reset, and enters its connection.
#[test]
fn an_answer_to_an_answer_enters_the_connection() {
    let reset = "iptables -A OUTPUT -p tcp --dport 8090 -j REJECT --reject-with tcp-reset";
    let refuse = "iptables -A INPUT -p tcp --sport 8090 -j REJECT";
    let list = tracked(&[reset], "worker-1", "172.18.0.3:8090");
    assert!(!list.contains("sport=40000"), "{list}");
    let list = tracked(&[reset, refuse], "worker-1", "172.18.0.3:8090");
    assert!(
        list.contains("sport=40000 dport=8090 [UNREPLIED]"),
        "{list}"
    );
}

/// ping asks for its source first, and for a way with that.
#[test]
fn ping_wants_a_way_for_its_source() {
    let mut lab = cluster(true);
    let request = Connect::ping(lab.id("worker-1"), ip("10.42.1.10"));
    let verdict = |lab: &mut Lab| lab.connect(&request).verdict;
    assert_eq!(verdict(&mut lab), Verdict::Connected);
    lab.run("worker-1", "ip route add blackhole default table 100");
    lab.run("worker-1", "ip rule add from 10.42.1.0/24 table 100");
    assert_eq!(verdict(&mut lab), Verdict::Unreachable);
}
