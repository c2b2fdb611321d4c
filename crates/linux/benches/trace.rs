//! One explained connection from a pod to a pod of another node by its ClusterIP, among many Services.

use std::net::Ipv4Addr;
use std::sync::Arc;

use kubarium_linux::netfilter::restore::{Options, restore};
use kubarium_linux::netfilter::{Netfilter, TableKind};
use kubarium_linux::{Connect, Network, Protocol, SeededDice, Time, Trace};

#[path = "../tests/network/lab.rs"]
mod lab;

fn main() {
    divan::main();
}

/// kube-proxy's rules for this many Services, the asked one in the middle.
fn rules(services: u32) -> String {
    let (mut chains, mut nat) = (String::new(), String::new());
    for n in 0..services {
        let address = Ipv4Addr::from_bits(0x0a2b_0000 + 10 + n);
        let endpoint = if n == services / 2 {
            "10.42.2.10:8080".to_owned()
        } else {
            format!("10.42.2.{}:8080", 20 + n % 200)
        };
        chains += &format!(":KUBE-SVC-{n:016} - [0:0]\n:KUBE-SEP-{n:016} - [0:0]\n");
        nat += &format!(
            "-A KUBE-SERVICES -d {address}/32 -p tcp -m comment --comment \"default/s{n} cluster IP\" -m tcp --dport 80 -j KUBE-SVC-{n:016}\n"
        );
        nat += &format!(
            "-A KUBE-SVC-{n:016} ! -s 10.42.0.0/16 -d {address}/32 -p tcp -m comment --comment \"default/s{n} cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ\n"
        );
        nat += &format!(
            "-A KUBE-SVC-{n:016} -m comment --comment \"default/s{n} -> {endpoint}\" -j KUBE-SEP-{n:016}\n"
        );
        nat += &format!(
            "-A KUBE-SEP-{n:016} -s {}/32 -j KUBE-MARK-MASQ\n-A KUBE-SEP-{n:016} -p tcp -m tcp -j DNAT --to-destination {endpoint}\n",
            endpoint.trim_end_matches(":8080")
        );
    }
    format!(
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:KUBE-FORWARD - [0:0]\n-A FORWARD -j KUBE-FORWARD\n-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT\n-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n\
         *nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n{chains}\
         -A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n-A POSTROUTING -j KUBE-POSTROUTING\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n\
         -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000\n-A KUBE-POSTROUTING -j MASQUERADE --random-fully\n{nat}\
         -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\nCOMMIT\n"
    )
}

fn cluster(services: u32) -> (Network, Connect) {
    let mut lab = lab::Lab::new();
    let mut netfilter = Netfilter::default();
    restore(&mut netfilter, &rules(services), Options::default()).expect("rules");
    for (n, (name, address)) in [("worker-1", "172.18.0.3"), ("worker-2", "172.18.0.4")]
        .iter()
        .enumerate()
    {
        let id = lab.node(name, address, n as u8 + 1, 1450);
        let own = &mut lab.net.namespace_mut(id).expect("node").netfilter;
        for kind in [TableKind::Filter, TableKind::Nat] {
            own.set_table(kind, netfilter.table(kind).expect("table").clone());
        }
    }
    lab.peer("worker-1", 2, "172.18.0.4");
    lab.peer("worker-2", 1, "172.18.0.3");
    lab.pod("client", "worker-1", "10.42.1.10", 1450, true);
    let server = lab.pod("server", "worker-2", "10.42.2.10", 1450, true);
    lab.serve(server, "server", 8080);
    let address = Ipv4Addr::from_bits(0x0a2b_0000 + 10 + services / 2);
    let request = lab.request("client", &format!("{address}:80"), Protocol::TCP);
    lab.connect(&request);
    (lab.net, request)
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn explained_connection(bencher: divan::Bencher, services: u32) {
    let (mut net, request) = cluster(services);
    let mut dice = SeededDice(7);
    let mut now = Time::from_secs(101);
    bencher.bench_local(|| {
        now = now + Time::from_millis(1);
        let mut trace = Trace::new();
        let connection = net.connect(&request, now, &mut dice, Some(&mut trace));
        assert!(connection.server.is_some());
        trace.len()
    });
}

/// The part that is explained: SYN, SYN-ACK (and the ACK that ends the handshake).
#[divan::bench(args = [10, 1_000, 10_000])]
fn explained_handshake(bencher: divan::Bencher, services: u32) {
    let (mut net, request) = cluster(services);
    let request = Connect {
        handshake: true,
        ..request
    };
    let mut dice = SeededDice(7);
    let mut now = Time::from_secs(101);
    bencher.bench_local(|| {
        now = now + Time::from_millis(1);
        let mut trace = Trace::new();
        let connection = net.connect(&request, now, &mut dice, Some(&mut trace));
        assert!(connection.server.is_some());
        trace.len()
    });
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn connection_without_a_trace(bencher: divan::Bencher, services: u32) {
    let (mut net, request) = cluster(services);
    let mut dice = SeededDice(7);
    let mut now = Time::from_secs(101);
    bencher.bench_local(|| {
        now = now + Time::from_millis(1);
        net.connect(&request, now, &mut dice, None).server
    });
}

/// Everything that can become of a connection to a Service with this many endpoints.
#[divan::bench(args = [10, 100, 1_000], sample_count = 10)]
fn fates(bencher: divan::Bencher, endpoints: u32) {
    let (mut net, request) = cluster(1);
    let node = net.find("worker-1").expect("a node");
    let mut rules = String::from("*nat\n");
    for n in 0..endpoints {
        rules += &format!(":KUBE-SEP-{n:016} - [0:0]\n");
    }
    rules += ":KUBE-SVC-0000000000000000 - [0:0]\n";
    for n in 0..endpoints {
        let left = endpoints - n;
        let one = 1.0 / f64::from(left);
        rules += &format!(
            "-A KUBE-SVC-0000000000000000 -m statistic --mode random --probability {one:.11} -j KUBE-SEP-{n:016}\n-A KUBE-SEP-{n:016} -p tcp -m tcp -j DNAT --to-destination 10.42.2.10:{}\n",
            8080 + n
        );
    }
    rules += "COMMIT\n";
    let options = Options {
        noflush: true,
        ..Options::default()
    };
    let own = &mut net.namespace_mut(node).expect("a node").netfilter;
    restore(own, &rules, options).expect("rules");
    bencher.bench_local(|| net.fates(&request, Time::from_secs(101)).len());
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn snapshot(bencher: divan::Bencher, services: u32) {
    let (net, _) = cluster(services);
    bencher.bench_local(|| Arc::new(net.clone()));
}
