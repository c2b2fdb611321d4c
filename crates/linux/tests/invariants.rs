//! What must hold of every network at every moment, checked after each of many random connections
//! through random networks (those of the comparison with the kernel; here no kernel is asked).

#[path = "kernel/case.rs"]
mod case;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use case::{Case, Flow};
use kubarium_linux::conntrack::Direction;
use kubarium_linux::netfilter::restore::{Options, restore};
use kubarium_linux::{
    Connect, LOCAL, LinkKind, MAIN, NamespaceId, Network, Protocol, SeededDice, Time, tools,
};

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

fn build(case: &Case, now: Time) -> (Network, Vec<NamespaceId>) {
    let mut net = Network::new();
    let wire = net.add_segment("wire");
    let mut ids = Vec::new();
    for space in &case.spaces {
        let id = net.add_namespace(&space.name);
        if space.wired {
            let eth0 = net.add_physical(id, "eth0").expect("eth0");
            net.plug(eth0, wire).expect("plugged");
        }
        ids.push(id);
    }
    for cable in &case.cables {
        let (a, b) = (&cable.from, &cable.to);
        net.add_veth((ids[a.0], &a.1), (ids[b.0], &b.1))
            .expect("a cable");
    }
    for (space, id) in case.spaces.iter().zip(&ids) {
        for command in &space.setup {
            let output = tools::run(&mut net, *id, &words(command), now);
            assert_eq!(output.status, 0, "{command}: {}", output.stderr);
        }
        let output =
            tools::run_with_input(&mut net, *id, &words("ipset restore"), &space.sets, now);
        assert_eq!(output.status, 0, "{}", output.stderr);
        if !space.rules.is_empty() {
            let ns = net.namespace_mut(*id).expect("a namespace");
            restore(&mut ns.netfilter, &space.rules, Options::default()).expect("rules");
        }
        for protocol in [Protocol::TCP, Protocol::UDP] {
            net.listen(*id, protocol, Ipv4Addr::UNSPECIFIED, 80, 0)
                .expect("a socket");
        }
    }
    (net, ids)
}

/// Panics where something is wrong.
fn check(net: &Network, now: Time, about: &dyn Fn() -> String) {
    let mut wire = (0, 0);
    for link in net.namespaces().flat_map(|n| net.links_of(n.id)) {
        let own = net.traffic(link.id);
        let (left, came) = (
            own.sent.packets + own.copied,
            own.received.packets + own.lost,
        );
        match &link.kind {
            // What leaves one end of a cable arrives at the other or is counted as lost.
            LinkKind::Veth { peer } => {
                let (own, other) = (net.traffic(link.id), net.traffic(*peer));
                assert_eq!(
                    own.sent.packets + other.sent.packets,
                    own.received.packets + other.received.packets + own.lost + other.lost,
                    "{}: {}",
                    about(),
                    link.name
                );
            }
            LinkKind::Physical { .. } => wire = (wire.0 + left, wire.1 + came),
            _ => {}
        }
    }
    assert_eq!(wire.0, wire.1, "{}: the wire", about());
    for namespace in net.namespaces() {
        let name = &namespace.name;
        // Every tracked connection is found by the tuples of both its directions, and by no other's.
        let mut tuples = BTreeSet::new();
        for (id, entry) in namespace.conntrack.iter(now) {
            let found = |tuple| namespace.conntrack.find(tuple, now);
            let both = [
                (entry.original, Direction::Original),
                (entry.reply, Direction::Reply),
            ];
            for (tuple, direction) in both {
                assert_eq!(
                    found(tuple),
                    Some((id, direction)),
                    "{}: {name}: {entry:?}",
                    about()
                );
                assert!(tuples.insert(tuple), "{}: {name}: {tuple:?} twice", about());
            }
        }
        // What a namespace knows is about its own devices, and addresses have their routes.
        let own = namespace.links();
        for (link, address, _) in namespace.neighbours() {
            assert!(
                own.contains(&link),
                "{}: {name}: neighbour {address}",
                about()
            );
        }
        for number in [MAIN, LOCAL] {
            let routes = namespace.table(number).into_iter().flat_map(|t| t.iter());
            for route in routes {
                let there = route.dev.is_none_or(|dev| own.contains(&dev));
                assert!(there, "{}: {name}: {route:?}", about());
            }
        }
        for link in net.links_of(namespace.id) {
            for address in link.addresses.iter().filter(|_| link.up) {
                let local = namespace.is_local(address.net.addr());
                assert!(local, "{}: {name}: {}", about(), address.net);
            }
            match &link.kind {
                LinkKind::Veth { peer } => {
                    let back = net.link(*peer).map(|p| p.kind.clone());
                    let want = LinkKind::Veth { peer: link.id };
                    assert_eq!(back, Some(want), "{}: {name} {}", about(), link.name);
                }
                LinkKind::Bridge(bridge) => {
                    for port in &bridge.ports {
                        let master = net.link(*port).and_then(|p| p.master);
                        assert_eq!(master, Some(link.id), "{}: {name}", about());
                    }
                    for (mac, entry) in &bridge.fdb {
                        let known = bridge.ports.contains(&entry.port);
                        assert!(known, "{}: {name}: {mac} at no port", about());
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn networks_stay_sound() {
    let mut now = Time::from_secs(100);
    for number in 0..150 {
        let case = Case::random(42, number);
        let (mut net, ids) = build(&case, now);
        let mut dice = SeededDice(number);
        check(&net, now, &|| format!("case {number}, built"));
        for flow in &case.flows {
            let from = ids[flow.from()];
            let connect = match flow {
                Flow::Tcp { to, bytes, .. } => Connect {
                    request: *bytes,
                    timeout: Time::from_secs(4),
                    ..Connect::tcp(from, *to)
                },
                Flow::Udp { to, .. } => Connect::udp(from, *to),
                Flow::Icmp { to, .. } => Connect::ping(from, *to),
            };
            let fates = net.fates(&connect, now);
            let total: f64 = fates.iter().map(|f| f.probability).sum();
            assert!((total - 1.0).abs() < 1e-6, "case {number}: {flow}: {total}");
            let connection = net.connect(&connect, now, &mut dice, None);
            // What happens is one of what can happen.
            let verdict = connection.verdict;
            let possible = fates.iter().any(|f| f.connection.verdict == verdict);
            assert!(possible, "case {number}: {flow}: {verdict:?} is no fate");
            now = now + connection.elapsed + Time::from_millis(10);
            check(&net, now, &|| format!("case {number}, after {flow}"));
        }
        // A device that goes takes what was known of it along.
        let (id, name) = (ids[0], "eth0");
        let down = tools::run(
            &mut net,
            id,
            &words(&format!("ip link set {name} down")),
            now,
        );
        assert_eq!(down.status, 0, "{}", down.stderr);
        let pod = case.spaces.iter().position(|space| !space.wired);
        if let Some(pod) = pod {
            net.remove_namespace(ids[pod]);
        }
        check(&net, now, &|| format!("case {number}, with a pod less"));
    }
}
