//! `kubarium lab`: what can become of flows in a network made by hand.

mod network;
mod topology;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use kubarium_linux::{Connect, Protocol, Time};
use serde::{Deserialize, Serialize};

use crate::kube_proxy;
use crate::options::{Arguments, Declaration, Declared};
use network::Lab;
use topology::Topology;

/// The command's options.
pub const DECLARATION: Declaration = Declaration {
    name: "lab",
    short: "Says what can become of flows in a hand-made network.",
    operands: "TOPOLOGY.yaml",
    operands_max: 1,
    options: &[
        Declared {
            name: "--objects",
            value: "FILE",
            help: "Services, EndpointSlices and Nodes (YAML) that kube-proxy makes its rules of",
        },
        Declared {
            name: "--flows",
            value: "FILE",
            help: "the flows, a line of JSON each: from, to, protocol, and bytes of a large payload",
        },
    ],
    long: "\
A topology has nodes (address, pod CIDR, bridge, VXLAN device, sysctls, host servers, and
commands that are run by hand after kube-proxy's sync), pods (node, address, ports), a host
outside with its routes and servers, and the flags of kube-proxy.

One line of JSON is printed for each flow, {\"outcomes\":[{\"verdict\",\"server\",\"source\",
\"probability\"}…]}: every outcome that it can have over all random choices. Verdicts are
connected, refused, unreachable, timeout, stalled (connected, but a large payload never
arrives whole) and denied (EPERM on sending).

  kubarium lab topology.yaml --objects objects.yaml --flows flows.jsonl
",
};

/// How long a TCP client waits for its connection.
const TCP_TIMEOUT: Time = Time::from_millis(4_600);
/// How long a UDP client waits for an answer, and after what time it sends again.
const UDP_TIMEOUT: Time = Time::from_millis(4_500);
const UDP_RESEND: Time = Time::from_millis(900);

/// A flow, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Flow {
    from: String,
    to: SocketAddrV4,
    protocol: String,
    bytes: Option<u32>,
}

/// One outcome. Server and source are there where there was a connection.
#[derive(Debug, PartialEq, Serialize)]
struct Outcome {
    verdict: kubarium_linux::Verdict,
    server: Option<String>,
    source: Option<String>,
    probability: f64,
}

#[derive(Debug, Serialize)]
struct Answer {
    outcomes: Vec<Outcome>,
}

/// Runs the command; its text for standard output, and remarks for standard error.
///
/// # Errors
/// What is wrong with which file; the exit status is then 1.
pub fn run(arguments: &Arguments) -> Result<(String, Vec<String>), String> {
    let Some(file) = arguments.operands.first() else {
        return Err("lab: which topology? Try: kubarium help lab".to_owned());
    };
    let topology = read(file)?;
    let topology = Topology::parse(&topology).map_err(|error| format!("{file}: {error}"))?;
    let objects = match arguments.value("--objects") {
        Some(file) => {
            kube_proxy::objects(&read(file)?).map_err(|error| format!("{file}: {error}"))?
        }
        None => Vec::new(),
    };
    let Some(flows_file) = arguments.value("--flows") else {
        return Err("lab: --flows FILE is missing".to_owned());
    };
    let flows = flows(&read(flows_file)?).map_err(|error| format!("{flows_file}: {error}"))?;
    let lab = Lab::build(&topology, &objects).map_err(|error| format!("{file}: {error}"))?;
    let mut text = String::new();
    for (line, flow) in flows {
        let answer =
            answer(&lab, &flow).map_err(|error| format!("{flows_file}: line {line}: {error}"))?;
        text += &serde_json::to_string(&answer).map_err(|error| error.to_string())?;
        text.push('\n');
    }
    Ok((text, lab.remarks))
}

fn read(file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))
}

/// The flows with the numbers of their lines.
fn flows(text: &str) -> Result<Vec<(usize, Flow)>, String> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| {
            let flow = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", n + 1))?;
            Ok((n + 1, flow))
        })
        .collect()
}

/// Every outcome of one flow.
fn answer(lab: &Lab, flow: &Flow) -> Result<Answer, String> {
    let from = (lab.net.find(&flow.from))
        .ok_or_else(|| format!("from {:?}: there is no such pod, node or host", flow.from))?;
    let mut request = match flow.protocol.as_str() {
        "TCP" => Connect {
            timeout: TCP_TIMEOUT,
            ..Connect::tcp(from, flow.to)
        },
        "UDP" => Connect {
            timeout: UDP_TIMEOUT,
            resend: Some(UDP_RESEND),
            ..Connect::udp(from, flow.to)
        },
        "SCTP" => Connect {
            protocol: Protocol::SCTP,
            timeout: TCP_TIMEOUT,
            ..Connect::tcp(from, flow.to)
        },
        "ICMP" => Connect::ping(from, *flow.to.ip()),
        other => return Err(format!("protocol {other:?}: TCP, UDP, SCTP or ICMP")),
    };
    if let Some(bytes) = flow.bytes {
        request.request = bytes;
    }
    let mut outcomes: BTreeMap<(Option<String>, Option<String>, String), Outcome> = BTreeMap::new();
    for fate in lab.net.fates(&request, lab.now) {
        let connection = &fate.connection;
        let server = (connection.server).map(|(namespace, _)| lab.server(namespace));
        let source = connection.seen_source.map(|s| s.ip().to_string());
        let key = (
            server.clone(),
            source.clone(),
            format!("{:?}", connection.verdict),
        );
        let outcome = outcomes.entry(key).or_insert(Outcome {
            verdict: connection.verdict,
            server,
            source,
            probability: 0.0,
        });
        outcome.probability += fate.probability;
    }
    let mut outcomes: Vec<Outcome> = outcomes.into_values().collect();
    for outcome in &mut outcomes {
        outcome.probability = (outcome.probability * 1e9).round() / 1e9;
    }
    Ok(Answer { outcomes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPOLOGY: &str = "
mode: iptables
network: {cidr: 172.18.0.0/24, mtu: 1500, gateway: {ip: 172.18.0.1}}
nodes:
- name: worker-1
  ip: 172.18.0.3
  podCIDR: 10.42.1.0/24
  bridge: {name: cbr0, ip: 10.42.1.1/24, mtu: 1450, hairpin: true}
  vxlan: {device: flannel.1, vni: 1, port: 8472, local: 172.18.0.3, mac: '7a:00:0a:2a:01:00', address: 10.42.1.0/32, mtu: 1450}
  sysctls: {net.ipv4.ip_forward: 1}
  flannelRules: true
- name: worker-2
  ip: 172.18.0.4
  podCIDR: 10.42.2.0/24
  bridge: {name: cbr0, ip: 10.42.2.1/24, mtu: 1450, hairpin: true}
  vxlan: {device: flannel.1, vni: 1, port: 8472, local: 172.18.0.4, mac: '7a:00:0a:2a:02:00', address: 10.42.2.0/32, mtu: 1450}
  sysctls: {net.ipv4.ip_forward: 1}
  flannelRules: true
  commands: [iptables -I FORWARD -d 10.42.2.11/32 -j DROP]
  servers: [{name: host-worker-2, ports: [8090]}]
pods:
- {name: a, node: worker-1, ip: 10.42.1.10, mtu: 1450, ports: [8080]}
- {name: b, node: worker-2, ip: 10.42.2.10, mtu: 1450, ports: [8080]}
- {name: c, node: worker-2, ip: 10.42.2.11, mtu: 1450, ports: [8080]}
outside: {name: outside, ip: 172.18.0.50, routes: [{to: 10.43.0.0/16, via: 172.18.0.4}], servers: [{name: outside, ports: [8080]}]}
kubeProxyFlags: [--hostname-override=NODE, --cluster-cidr=10.42.0.0/16, --proxy-mode=iptables]
";

    const OBJECTS: &str = "
kind: Service
metadata: {name: web, namespace: default}
spec: {type: NodePort, clusterIP: 10.43.0.9, clusterIPs: [10.43.0.9], ports: [{name: http, port: 80, nodePort: 30080, protocol: TCP}]}
---
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
- {addresses: [10.42.1.10], conditions: {ready: true}, nodeName: worker-1}
- {addresses: [10.42.2.10], conditions: {ready: true}, nodeName: worker-2}
";

    fn lab() -> Lab {
        let topology = Topology::parse(TOPOLOGY).expect("topology");
        let objects = kube_proxy::objects(OBJECTS).expect("objects");
        Lab::build(&topology, &objects).expect("lab")
    }

    /// `connected b 10.42.1.0`, sorted.
    fn outcomes(lab: &Lab, from: &str, to: &str, protocol: &str) -> Vec<String> {
        let flow = Flow {
            from: from.to_owned(),
            to: to.parse().expect("address"),
            protocol: protocol.to_owned(),
            bytes: None,
        };
        let answer = answer(lab, &flow).expect("answer");
        let total: f64 = answer.outcomes.iter().map(|o| o.probability).sum();
        assert!((total - 1.0).abs() < 1e-6, "{answer:?}");
        let text = |o: &Outcome| match (&o.server, &o.source) {
            (Some(server), Some(source)) => format!("{server} sees {source}"),
            _ => format!("{:?}", o.verdict),
        };
        answer.outcomes.iter().map(text).collect()
    }

    #[test]
    fn flows_have_their_outcomes() {
        let lab = lab();
        for (from, to, protocol, want) in [
            (
                "pod/a",
                "10.43.0.9:80",
                "TCP",
                "a sees 10.42.1.1, b sees 10.42.1.10",
            ),
            (
                "outside",
                "172.18.0.3:30080",
                "TCP",
                "a sees 10.42.1.1, b sees 10.42.1.0",
            ),
            (
                "outside",
                "10.43.0.9:80",
                "TCP",
                "a sees 10.42.2.0, b sees 10.42.2.1",
            ),
            ("pod/a", "10.42.2.10:9", "TCP", "Refused"),
            ("pod/a", "10.42.2.10:9", "UDP", "Refused"),
            ("pod/a", "10.42.2.11:8080", "TCP", "Timeout"),
            ("pod/a", "10.42.1.99:8080", "TCP", "Unreachable"),
            (
                "pod/a",
                "172.18.0.4:8090",
                "UDP",
                "host-worker-2 sees 172.18.0.3",
            ),
            (
                "node/worker-1",
                "172.18.0.50:8080",
                "TCP",
                "outside sees 172.18.0.3",
            ),
            ("pod/a", "10.42.2.10:0", "ICMP", "b sees 10.42.1.10"),
        ] {
            let got = outcomes(&lab, from, to, protocol).join(", ");
            assert_eq!(got, want, "{from} -> {to} {protocol}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (topology, want) in [
            ("nodes: [", "line"),
            ("nodes: [{name: a, ip: x}]", "nodes[0]"),
            ("mode: ipvs", "ipvs"),
            (
                "nodes: [{name: a, ip: 172.18.0.3, podCIDR: 10.42.1.0/24, commands: [frobnicate]}]",
                "frobnicate",
            ),
            ("pods: [{name: a, node: nowhere, ip: 10.42.1.2}]", "nowhere"),
        ] {
            let built = Topology::parse(topology).and_then(|t| Lab::build(&t, &[]).map(|_| ()));
            let error = built.expect_err(topology);
            assert!(error.contains(want), "{topology}: {error}");
        }
        let lab = lab();
        let flow = |from: &str, protocol: &str| Flow {
            from: from.to_owned(),
            to: SocketAddrV4::new([10, 0, 0, 1].into(), 1),
            protocol: protocol.to_owned(),
            bytes: None,
        };
        let error = answer(&lab, &flow("pod/z", "TCP")).expect_err("no such pod");
        assert!(error.contains("pod/z"), "{error}");
        let error = answer(&lab, &flow("pod/a", "XTP")).expect_err("no such protocol");
        assert!(error.contains("XTP"), "{error}");
        assert!(flows("{}").is_err_and(|e| e.contains("line 1")));
    }
}
