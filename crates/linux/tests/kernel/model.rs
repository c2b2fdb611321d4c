//! The network of a case in the simulator.

use std::net::{Ipv4Addr, SocketAddrV4};

use kubarium_linux::netfilter::restore::{Options, restore, save};
use kubarium_linux::{
    Connect, Connection, Hop, NamespaceId, Network, Protocol, SeededDice, Time, Trace, Verdict,
    tools,
};

use super::Observed;
use super::case::{Case, Flow};

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// `explained`: prints every hop of every flow.
pub fn run(case: &Case, patience: u64, explained: bool) -> Result<Observed, String> {
    let mut net = Network::new();
    let wire = net.add_segment("wire");
    let mut now = Time::from_secs(100);
    let mut ids: Vec<NamespaceId> = Vec::new();
    for space in &case.spaces {
        let id = net.add_namespace(&space.name);
        if space.wired {
            let eth0 = net.add_physical(id, "eth0").map_err(|e| e.to_string())?;
            net.plug(eth0, wire).map_err(|e| e.to_string())?;
        }
        ids.push(id);
    }
    for cable in &case.cables {
        let (a, b) = (&cable.from, &cable.to);
        net.add_veth((ids[a.0], &a.1), (ids[b.0], &b.1))
            .map_err(|e| format!("{} {}: {e}", a.1, b.1))?;
    }
    for (n, space) in case.spaces.iter().enumerate() {
        let id = ids[n];
        for command in &space.setup {
            let output = tools::run(&mut net, id, &words(command), now);
            if output.status != 0 {
                return Err(format!("{}: {command}: {}", space.name, output.stderr));
            }
        }
        if !space.sets.is_empty() {
            let output =
                tools::run_with_input(&mut net, id, &words("ipset restore"), &space.sets, now);
            if output.status != 0 {
                return Err(format!("{}: ipset: {}", space.name, output.stderr));
            }
        }
        if !space.rules.is_empty() {
            let ns = net.namespace_mut(id).ok_or("no namespace")?;
            restore(&mut ns.netfilter, &space.rules, Options::default())
                .map_err(|e| format!("{}: {e}\n{}", space.name, space.rules))?;
        }
        for port in [80, 8080] {
            for protocol in [Protocol::TCP, Protocol::UDP] {
                net.listen(id, protocol, Ipv4Addr::UNSPECIFIED, port, 0)
                    .map_err(|e| e.to_string())?;
            }
        }
    }
    let mut dice = SeededDice(7);
    let mut observed = Observed::default();
    for flow in &case.flows {
        let from = ids[flow.from()];
        let timeout = Time::from_millis(patience);
        let request = match flow {
            Flow::Tcp { to, bytes, .. } => Connect {
                request: *bytes,
                timeout,
                ..Connect::tcp(from, *to)
            },
            Flow::Udp { to, .. } => Connect {
                timeout,
                ..Connect::udp(from, *to)
            },
            Flow::Icmp { to, .. } => Connect {
                timeout,
                ..Connect::ping(from, *to)
            },
        };
        let mut trace = explained.then(Trace::new);
        let connection = net.connect(&request, now, &mut dice, trace.as_mut());
        for hop in trace.iter().flat_map(|t| t.hops(&net)) {
            println!("{flow}: {}", line(&hop));
        }
        observed.flows.push(text(&net, flow, &connection));
        now = now + connection.elapsed + Time::from_millis(20);
    }
    for (space, id) in case.spaces.iter().zip(&ids) {
        if space.rules.is_empty() {
            continue;
        }
        let ns = net.namespace(*id).ok_or("no namespace")?;
        let saved = save(&ns.netfilter, None, true, "");
        observed
            .rules
            .extend(super::rules::passed(&space.name, &saved));
        let lines = ns.conntrack.iter(now).map(|(_, e)| e.line(now));
        observed
            .tracked
            .extend(lines.filter_map(|l| super::rules::tracked(&space.name, &l)));
    }
    observed.tracked.sort();
    observed.tracked.dedup();
    Ok(observed)
}

fn line(hop: &Hop) -> String {
    let (place, device) = (&hop.namespace_name, hop.device.as_deref().unwrap_or("-"));
    format!("{place} {device}: {}", hop.explanation)
}

fn text(net: &Network, flow: &Flow, connection: &Connection) -> String {
    let verdict = format!("{:?}", connection.verdict).to_lowercase();
    if let Flow::Icmp { .. } = flow {
        return match (connection.verdict, connection.error) {
            (Verdict::Denied, _) => super::ECHO_DENIED.to_owned(),
            (Verdict::Connected | Verdict::Unreachable, None) => verdict,
            (_, Some(error)) => format!("{} from {}", said(error.kind, error.code), error.from),
            _ => verdict,
        };
    }
    match (
        connection.verdict,
        connection.server,
        connection.seen_source,
    ) {
        (Verdict::Connected, Some((server, _)), Some(seen)) => {
            let name = net.namespace(server).map_or("?", |n| &n.name);
            format!("connected {name} {}", SocketAddrV4::ip(&seen))
        }
        _ => verdict,
    }
}

/// As ping says it.
fn said(kind: u8, code: u8) -> &'static str {
    match (kind, code) {
        (3, 0) => "Destination Net Unreachable",
        (3, 1) => "Destination Host Unreachable",
        (3, 2) => "Destination Protocol Unreachable",
        (3, 3) => "Destination Port Unreachable",
        (3, 9) => "Destination Net Prohibited",
        (3, 10) => "Destination Host Prohibited",
        (3, 13) => "Packet filtered",
        (11, 0) => "Time to live exceeded",
        _ => "?",
    }
}
