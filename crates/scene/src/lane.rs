//! The packet lane: a trace as columns (network namespaces in the order in which they are crossed)
//! and steps, each with the packet as a stack of headers in which only what changed stands out.

use kubarium_cluster::trace::{Hop, Layer, PacketView, PhaseKind, Trace, Verdict};
use serde::Serialize;

use crate::geometry::{Point, Rect};
use crate::map::pod_id;

/// Room for the rows' names.
const ROW_NAMES: f64 = 96.0;
/// Room for the columns' names.
const COLUMN_NAMES: f64 = 36.0;
const COLUMN_MIN: f64 = 112.0;
const STEP: f64 = 26.0;
const STEP_MARGIN: f64 = 10.0;
const ROW: f64 = 22.0;
const BAND_GAP: f64 = 20.0;

/// A trace, ready to be drawn and played.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lane {
    /// Who asked whom.
    pub title: String,
    /// What became of it.
    pub verdict: Verdict,
    /// A sentence that says why.
    pub reason: String,
    /// The namespaces that are crossed, in order.
    pub columns: Vec<Column>,
    /// The steps in order, through all parts.
    pub steps: Vec<Step>,
    /// The parts with their bands.
    pub bands: Vec<Band>,
    /// The size of the drawing.
    pub size: Rect,
}

/// A part of the way as a band of the drawing: a row for each layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Band {
    /// The part.
    pub phase: PhaseKind,
    /// Its place.
    pub rect: Rect,
    /// Its rows: the layers that the part uses, with the row's height.
    pub rows: Vec<(Layer, f64)>,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// `pod default/curl`, `worker-1`.
    pub netns: String,
    /// Its name without its kind.
    pub title: String,
    /// Whether it is a pod's.
    pub pod: bool,
    /// The node on which it is.
    pub node: String,
    /// Its left edge.
    pub x: f64,
    /// Its width.
    pub width: f64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// From 1 on.
    pub n: usize,
    /// The part of the way.
    pub phase: PhaseKind,
    /// Its place among [`Lane::columns`].
    pub column: usize,
    /// Who decides.
    pub layer: Layer,
    /// What was decided, short.
    pub action: String,
    /// What happened and why.
    pub explanation: String,
    /// The place on the map: `device:worker-1/cbr0`.
    pub place: String,
    /// The rule that decided.
    pub rule: Option<RuleRef>,
    /// How many rules were passed without a match.
    pub passed: usize,
    /// The object responsible: `service:default/web`.
    pub object: Option<String>,
    /// The headers, outermost first.
    pub headers: Vec<Header>,
    /// Its place in the drawing.
    pub at: Point,
}

/// A rule of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRef {
    /// The node, or the namespace.
    pub netns: String,
    /// `nat`
    pub table: String,
    /// `KUBE-SERVICES`
    pub chain: String,
    /// Its number from 1 on; 0 for the chain's policy.
    pub rule: usize,
    /// As `iptables-save` prints it.
    pub text: String,
}

/// A header of the packet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Header {
    /// `Ethernet`, `IP`, `TCP`, `UDP`, `VXLAN`, `ICMP`, `Data`.
    pub name: &'static str,
    /// Whether it is around the packet rather than of it.
    pub outer: bool,
    /// Whether it was not there before.
    pub new: bool,
    /// Its fields.
    pub fields: Vec<HeaderField>,
}

/// A field of a header.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeaderField {
    /// `src`
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Its value before, where it changed at this step.
    pub before: Option<String>,
}

impl Lane {
    /// The lane of a trace.
    pub fn of(trace: &Trace) -> Lane {
        let mut lane = Lane {
            title: format!("{} → {}", trace.from, trace.to),
            verdict: trace.verdict,
            reason: trace.reason.clone(),
            ..Lane::default()
        };
        for phase in &trace.phases {
            let mut before: Option<Vec<Header>> = None;
            let mut place = String::new();
            for hop in &phase.hops {
                let column = lane.column(hop);
                place = place_of(hop).unwrap_or(place);
                let headers = compare(stack(&hop.packet), before.as_deref());
                before = Some(headers.clone());
                lane.steps.push(Step {
                    n: hop.n,
                    phase: phase.phase,
                    column,
                    layer: hop.layer,
                    action: hop.action.clone(),
                    explanation: hop.explanation.clone(),
                    place: place.clone(),
                    rule: rule_of(hop),
                    passed: hop.passed,
                    object: hop.object.clone(),
                    headers,
                    at: Point::default(),
                });
            }
        }
        lane.arrange();
        lane
    }

    /// Gives every step its place: columns side by side, each as wide as its fullest part needs;
    /// a band for each part; in it a row for each layer. Replies run back from right to left.
    fn arrange(&mut self) {
        let phases: Vec<PhaseKind> = [PhaseKind::Dns, PhaseKind::Request, PhaseKind::Reply]
            .into_iter()
            .filter(|phase| self.steps.iter().any(|s| s.phase == *phase))
            .collect();
        let count = |column: usize, phase: PhaseKind| {
            self.steps
                .iter()
                .filter(|s| s.column == column && s.phase == phase)
                .count()
        };
        let mut x = ROW_NAMES;
        for at in 0..self.columns.len() {
            let most = phases
                .iter()
                .map(|phase| count(at, *phase))
                .max()
                .unwrap_or(0);
            let width = (most as f64 * STEP + 2.0 * STEP_MARGIN).max(COLUMN_MIN);
            (self.columns[at].x, self.columns[at].width) = (x, width);
            x += width;
        }
        let mut y = COLUMN_NAMES;
        for phase in phases {
            let mut layers: Vec<Layer> = self
                .steps
                .iter()
                .filter(|s| s.phase == phase)
                .map(|s| s.layer)
                .collect();
            layers.sort_unstable();
            layers.dedup();
            let rows: Vec<(Layer, f64)> = layers
                .iter()
                .enumerate()
                .map(|(row, layer)| (*layer, y + 12.0 + row as f64 * ROW))
                .collect();
            let height = 24.0 + (rows.len() as f64 - 1.0) * ROW;
            self.place(phase, &rows);
            self.bands.push(Band {
                phase,
                rect: Rect::new(0.0, y, x, height),
                rows,
            });
            y += height + BAND_GAP;
        }
        self.size = Rect::new(0.0, 0.0, x, y);
    }

    fn place(&mut self, phase: PhaseKind, rows: &[(Layer, f64)]) {
        for (number, column) in self.columns.iter().enumerate() {
            let within: Vec<usize> = (0..self.steps.len())
                .filter(|at| self.steps[*at].column == number && self.steps[*at].phase == phase)
                .collect();
            let gap = (column.width - 2.0 * STEP_MARGIN) / within.len().max(1) as f64;
            for (nth, at) in within.iter().enumerate() {
                let nth = if phase == PhaseKind::Reply {
                    within.len() - 1 - nth
                } else {
                    nth
                };
                let y = rows
                    .iter()
                    .find(|(layer, _)| *layer == self.steps[*at].layer)
                    .map_or(0.0, |(_, y)| *y);
                self.steps[*at].at =
                    Point::new(column.x + STEP_MARGIN + (nth as f64 + 0.5) * gap, y);
            }
        }
    }

    fn column(&mut self, hop: &Hop) -> usize {
        self.columns
            .iter()
            .position(|c| c.netns == hop.netns)
            .unwrap_or_else(|| {
                let pod = hop.netns.strip_prefix("pod ");
                self.columns.push(Column {
                    netns: hop.netns.clone(),
                    title: pod.unwrap_or(&hop.netns).to_owned(),
                    pod: pod.is_some(),
                    node: hop.node.clone(),
                    x: 0.0,
                    width: 0.0,
                });
                self.columns.len() - 1
            })
    }

    /// The lane as text for a bug report.
    pub fn to_markdown(&self) -> String {
        let mut out = format!("## {}\n\n{}\n", self.title, self.reason);
        let mut phase = None;
        for step in &self.steps {
            if phase.replace(step.phase) != Some(step.phase) {
                out += match step.phase {
                    PhaseKind::Dns => "\n### DNS\n\n",
                    PhaseKind::Request => "\n### Request\n\n",
                    PhaseKind::Reply => "\n### Reply\n\n",
                };
            }
            let place = self
                .columns
                .get(step.column)
                .map_or("", |c| c.netns.as_str());
            out += &format!("{}. **{place}**: {}\n", step.n, step.explanation);
            if let Some(rule) = &step.rule {
                out += &format!("   `{} {}`\n", rule.table, rule.text);
            }
        }
        out
    }
}

/// Where on the map a hop happens; `None` where it is wherever the packet was before.
fn place_of(hop: &Hop) -> Option<String> {
    if let Some(pod) = hop.netns.strip_prefix("pod ") {
        let (namespace, name) = pod.split_once('/')?;
        return Some(pod_id(namespace, name));
    }
    if hop.netns == "outside" {
        return Some("host:outside".to_owned());
    }
    match hop.device.as_str() {
        "" | "lo" => None,
        veth if veth.starts_with("veth") => Some(format!("port:{veth}")),
        device => Some(format!("device:{}/{device}", hop.netns)),
    }
}

fn rule_of(hop: &Hop) -> Option<RuleRef> {
    Some(RuleRef {
        netns: hop.netns.clone(),
        table: hop.table.clone()?,
        chain: hop.chain.clone()?,
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
                header.name = "UDP + VXLAN";
            }
            headers.push(header);
        }
    }
    let mut add = |name, fields: Vec<(&'static str, String)>| {
        let fields = fields
            .into_iter()
            .map(|(name, value)| HeaderField {
                name,
                value,
                before: None,
            })
            .collect();
        headers.push(Header {
            name,
            outer: false,
            new: false,
            fields,
        });
    };
    if let Some(eth) = &packet.eth {
        add(
            "Ethernet",
            vec![("src", eth.src.clone()), ("dst", eth.dst.clone())],
        );
    }
    let ip = &packet.ip;
    add(
        "IP",
        vec![
            ("src", ip.src.clone()),
            ("dst", ip.dst.clone()),
            ("ttl", ip.ttl.to_string()),
        ],
    );
    if let Some(tcp) = &packet.tcp {
        add(
            "TCP",
            vec![
                ("sport", tcp.sport.to_string()),
                ("dport", tcp.dport.to_string()),
                ("flags", tcp.flags.clone()),
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
        add("ICMP", vec![("message", icmp.clone())]);
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
    use kubarium_cluster::trace::{Ip, Phase, Tcp};

    fn hop(netns: &str, device: &str, dst: &str) -> Hop {
        Hop {
            n: 1,
            node: "worker-1".to_owned(),
            netns: netns.to_owned(),
            layer: Layer::Link,
            device: device.to_owned(),
            table: None,
            chain: None,
            rule: None,
            rule_text: None,
            passed: 0,
            action: String::new(),
            explanation: String::new(),
            object: None,
            packet: PacketView {
                ip: Ip {
                    src: "10.42.1.7".to_owned(),
                    dst: dst.to_owned(),
                    ttl: 64,
                },
                tcp: Some(Tcp {
                    sport: 40_000,
                    dport: 80,
                    flags: "SYN".to_owned(),
                }),
                ..PacketView::default()
            },
        }
    }

    #[test]
    fn only_what_changed_stands_out_and_each_step_has_its_place() {
        let hops = vec![
            hop("pod default/curl", "eth0", "10.43.0.9"),
            hop("worker-1", "veth12ab34cd", "10.43.0.9"),
            hop("worker-1", "", "10.42.2.5"),
            hop("worker-1", "flannel.1", "10.42.2.5"),
        ];
        let trace = Trace {
            phases: vec![Phase {
                phase: PhaseKind::Request,
                hops,
            }],
            ..Trace::default()
        };
        let lane = Lane::of(&trace);
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
}
