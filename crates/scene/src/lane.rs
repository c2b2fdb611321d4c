//! The packet lane of a trace: columns (network namespaces in the order in which they are crossed)
//! and steps, each with the packet as a stack of headers in which only what changed stands out.

use kubarium_cluster::trace::{self, Hop, PacketView, Trace};
use kubarium_snapshot::lane::{
    Column, Header, HeaderField, Lane, Layer, PhaseKind, RuleRef, Step, Verdict,
};
use kubarium_snapshot::map::pod_id;

use crate::score;

/// The lane of a trace.
pub fn lane(trace: &Trace) -> Lane {
    let mut lane = Lane {
        title: format!("{} → {}", trace.from, trace.to),
        verdict: verdict(trace.verdict),
        reason: trace.reason.clone(),
        ..Lane::default()
    };
    for part in &trace.phases {
        let mut before: Option<Vec<Header>> = None;
        let mut place = String::new();
        for hop in &part.hops {
            let column = column(&mut lane, hop);
            place = place_of(hop, &place);
            let headers = compare(stack(&hop.packet), before.as_deref());
            before = Some(headers.clone());
            lane.steps.push(Step {
                n: hop.n,
                phase: phase(part.phase),
                column,
                layer: layer(hop.layer),
                action: hop.action.to_string(),
                explanation: hop.explanation.clone(),
                place: place.clone(),
                rule: rule_of(hop),
                passed: hop.passed,
                object: hop.object.as_deref().map(str::to_owned),
                headers,
            });
        }
    }
    score::arrange(&mut lane);
    lane
}

fn verdict(verdict: trace::Verdict) -> Verdict {
    match verdict {
        trace::Verdict::Delivered => Verdict::Delivered,
        trace::Verdict::Refused => Verdict::Refused,
        trace::Verdict::Dropped => Verdict::Dropped,
        trace::Verdict::Unreachable => Verdict::Unreachable,
        trace::Verdict::Timeout => Verdict::Timeout,
        trace::Verdict::Unresolved => Verdict::Unresolved,
    }
}

fn phase(phase: trace::PhaseKind) -> PhaseKind {
    match phase {
        trace::PhaseKind::Dns => PhaseKind::Dns,
        trace::PhaseKind::Request => PhaseKind::Request,
        trace::PhaseKind::Reply => PhaseKind::Reply,
    }
}

fn layer(layer: trace::Layer) -> Layer {
    match layer {
        trace::Layer::Socket => Layer::Socket,
        trace::Layer::Route => Layer::Route,
        trace::Layer::Neighbour => Layer::Neighbour,
        trace::Layer::Link => Layer::Link,
        trace::Layer::Bridge => Layer::Bridge,
        trace::Layer::Netfilter => Layer::Netfilter,
        trace::Layer::Conntrack => Layer::Conntrack,
        trace::Layer::Tunnel => Layer::Tunnel,
    }
}

/// The hop's place among the lane's columns, which gains one where the namespace is new.
fn column(lane: &mut Lane, hop: &Hop) -> usize {
    let known = lane.columns.iter().position(|c| *c.netns == *hop.netns);
    known.unwrap_or_else(|| {
        let pod = hop.netns.strip_prefix("pod ");
        lane.columns.push(Column {
            netns: hop.netns.to_string(),
            title: pod.unwrap_or(&hop.netns).to_owned(),
            pod: pod.is_some(),
            node: hop.node.to_string(),
        });
        lane.columns.len() - 1
    })
}

/// Where on the map a hop happens. What happens on a node at no device is wherever the packet was before; the loopback
/// device is the node itself.
fn place_of(hop: &Hop, before: &str) -> String {
    let pod = hop.netns.strip_prefix("pod ");
    if let Some((namespace, name)) = pod.and_then(|pod| pod.split_once('/')) {
        return pod_id(namespace, name);
    }
    if &*hop.netns == "outside" {
        return "host:outside".to_owned();
    }
    match &*hop.device {
        "" if !before.is_empty() => before.to_owned(),
        "" | "lo" => format!("node:{}", hop.netns),
        veth if veth.starts_with("veth") => format!("port:{veth}"),
        device => format!("device:{}/{device}", hop.netns),
    }
}

fn rule_of(hop: &Hop) -> Option<RuleRef> {
    Some(RuleRef {
        netns: hop.netns.to_string(),
        table: hop.table.as_deref()?.to_owned(),
        chain: hop.chain.as_deref()?.to_owned(),
        rule: hop.rule.unwrap_or(0),
        text: hop.rule_text.clone().unwrap_or_default(),
    })
}

/// The headers of a packet, outermost first.
fn stack(packet: &PacketView) -> Vec<Header> {
    let mut headers = Vec::new();
    if let Some(outer) = &packet.outer {
        for mut header in stack(outer) {
            header.outer = true;
            if header.name == "UDP" {
                header.name = "UDP + VXLAN".to_owned();
            }
            headers.push(header);
        }
    }
    let mut add = |name: &str, fields: Vec<(&str, String)>| {
        let fields = fields
            .into_iter()
            .map(|(name, value)| HeaderField {
                name: name.to_owned(),
                value,
                before: None,
            })
            .collect();
        headers.push(Header {
            name: name.to_owned(),
            outer: false,
            new: false,
            fields,
        });
    };
    if let Some(eth) = &packet.eth {
        add(
            "Ethernet",
            vec![("src", eth.src.to_string()), ("dst", eth.dst.to_string())],
        );
    }
    let ip = &packet.ip;
    add(
        "IP",
        vec![
            ("src", ip.src.to_string()),
            ("dst", ip.dst.to_string()),
            ("ttl", ip.ttl.to_string()),
        ],
    );
    if let Some(tcp) = &packet.tcp {
        add(
            "TCP",
            vec![
                ("sport", tcp.sport.to_string()),
                ("dport", tcp.dport.to_string()),
                ("flags", tcp.flags.to_string()),
            ],
        );
    }
    if let Some(udp) = &packet.udp {
        add(
            "UDP",
            vec![
                ("sport", udp.sport.to_string()),
                ("dport", udp.dport.to_string()),
            ],
        );
    }
    if let Some(icmp) = &packet.icmp {
        add("ICMP", vec![("message", icmp.to_string())]);
    }
    if !packet.payload.is_empty() {
        add("Data", vec![("text", packet.payload.clone())]);
    }
    headers
}

/// Marks what differs from the packet before.
fn compare(mut headers: Vec<Header>, before: Option<&[Header]>) -> Vec<Header> {
    let Some(before) = before else {
        return headers;
    };
    for header in &mut headers {
        let Some(old) = before
            .iter()
            .find(|h| h.name == header.name && h.outer == header.outer)
        else {
            header.new = true;
            continue;
        };
        for field in &mut header.fields {
            let was = old.fields.iter().find(|f| f.name == field.name);
            field.before = was
                .filter(|f| f.value != field.value)
                .map(|f| f.value.clone());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubarium_cluster::trace::{Ip, Layer, Phase, PhaseKind, Tcp};
    use kubarium_linux::TcpFlags;

    const SERVICE: [u8; 4] = [10, 43, 0, 9];
    const POD: [u8; 4] = [10, 42, 2, 5];

    fn hop(netns: &str, device: &str, dst: [u8; 4]) -> Hop {
        Hop {
            n: 1,
            node: "worker-1".into(),
            netns: netns.into(),
            layer: Layer::Link,
            device: device.into(),
            table: None,
            chain: None,
            rule: None,
            rule_text: None,
            passed: 0,
            action: "".into(),
            explanation: String::new(),
            object: None,
            packet: PacketView {
                eth: None,
                ip: Ip {
                    src: [10, 42, 1, 7].into(),
                    dst: dst.into(),
                    ttl: 64,
                },
                tcp: Some(Tcp {
                    sport: 40_000,
                    dport: 80,
                    flags: TcpFlags::SYN,
                }),
                udp: None,
                icmp: None,
                payload: String::new(),
                outer: None,
            },
        }
    }

    #[test]
    fn what_a_node_sends_begins_at_the_node_and_its_loopback_is_there() {
        let places = |hops: &[(&str, &str)]| {
            let hops = hops.iter().map(|(netns, device)| hop(netns, device, POD));
            let trace = Trace {
                phases: vec![Phase {
                    phase: PhaseKind::Request,
                    hops: hops.collect(),
                }],
                ..Trace::default()
            };
            let steps = lane(&trace).steps;
            steps.into_iter().map(|s| s.place).collect::<Vec<_>>()
        };
        assert_eq!(
            places(&[("worker-1", ""), ("worker-1", "eth0"), ("worker-1", "")]),
            [
                "node:worker-1",
                "device:worker-1/eth0",
                "device:worker-1/eth0"
            ]
        );
        assert_eq!(places(&[("worker-1", "lo")]), ["node:worker-1"]);
    }

    #[test]
    fn only_what_changed_stands_out_and_each_step_has_its_place() {
        let hops = vec![
            hop("pod default/curl", "eth0", SERVICE),
            hop("worker-1", "veth12ab34cd", SERVICE),
            hop("worker-1", "", POD),
            hop("worker-1", "flannel.1", POD),
        ];
        let trace = Trace {
            phases: vec![Phase {
                phase: PhaseKind::Request,
                hops,
            }],
            ..Trace::default()
        };
        let lane = lane(&trace);
        let places: Vec<&str> = lane.steps.iter().map(|s| s.place.as_str()).collect();
        assert_eq!(
            places,
            [
                "pod:default/curl",
                "port:veth12ab34cd",
                "port:veth12ab34cd",
                "device:worker-1/flannel.1"
            ]
        );
        let columns: Vec<&str> = lane.columns.iter().map(|c| c.title.as_str()).collect();
        assert_eq!(columns, ["default/curl", "worker-1"]);
        let changed: Vec<Vec<String>> = lane
            .steps
            .iter()
            .map(|s| {
                s.headers
                    .iter()
                    .flat_map(|h| &h.fields)
                    .filter_map(|f| f.before.as_ref().map(|b| format!("{b}>{}", f.value)))
                    .collect()
            })
            .collect();
        assert_eq!(
            changed,
            [
                vec![],
                vec![],
                vec!["10.43.0.9>10.42.2.5".to_owned()],
                vec![]
            ]
        );
    }

    #[test]
    fn a_hook_with_its_rules_is_one_stop_that_says_what_came_of_it() {
        let at = |layer, action: &'static str, dst| Hop {
            layer,
            action: action.into(),
            ..hop("worker-1", "cbr0", dst)
        };
        let rule = |chain: &str, action: &'static str| Hop {
            table: Some("nat".into()),
            chain: Some(chain.into()),
            ..at(Layer::Netfilter, action, SERVICE)
        };
        let (service, pod) = (SERVICE, POD);
        let hops = vec![
            at(Layer::Socket, "send", service),
            at(Layer::Conntrack, "new", service),
            rule("PREROUTING", "jump KUBE-SERVICES"),
            rule("KUBE-SERVICES", "jump KUBE-SEP-X"),
            rule("KUBE-SEP-X", "dnat"),
            at(Layer::Conntrack, "DNAT", pod),
            at(Layer::Route, "forward", pod),
            Hop {
                packet: at(Layer::Link, "", pod).packet,
                ..rule("FORWARD", "policy ACCEPT")
            },
            at(Layer::Link, "transmit", pod),
        ];
        let lane = lane(&Trace {
            phases: vec![Phase {
                phase: PhaseKind::Request,
                hops,
            }],
            ..Trace::default()
        });
        let stops: Vec<_> = lane
            .stops
            .iter()
            .map(|s| (s.first, s.count, s.main, s.hook.as_str(), s.label.as_str()))
            .collect();
        assert_eq!(
            stops,
            [
                (0, 1, 0, "", ""),
                (1, 5, 5, "PREROUTING", "to 10.42.2.5:80"),
                (6, 1, 6, "", ""),
                (7, 1, 7, "FORWARD", ""),
                (8, 1, 8, "", ""),
            ]
        );
        assert_eq!(lane.parts.len(), 1);
        assert_eq!((lane.stop_of(4), lane.part_of(1)), (1, 0));
    }
}
