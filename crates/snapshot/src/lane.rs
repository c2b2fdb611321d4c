//! The packet lane: a trace as columns (network namespaces in the order in which they are crossed)
//! and steps, each with the packet as a stack of headers in which only what changed stands out.

use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Rect};

/// What became of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Answered.
    Delivered,
    /// Somebody said no.
    Refused,
    /// A rule dropped it.
    Dropped,
    /// There is no way there.
    Unreachable,
    /// No answer came.
    #[default]
    Timeout,
    /// The name has no address.
    Unresolved,
}

/// Which part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PhaseKind {
    /// The name's query and its answer.
    Dns,
    /// Towards the server.
    Request,
    /// Back to the client.
    Reply,
}

/// Who decides at a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Layer {
    /// A program's socket.
    Socket,
    /// A route table.
    Route,
    /// The neighbour table, ARP.
    Neighbour,
    /// A device.
    Link,
    /// A bridge.
    Bridge,
    /// A rule.
    Netfilter,
    /// The connection tracking table.
    Conntrack,
    /// VXLAN.
    Tunnel,
}

/// A trace, ready to be drawn and played.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Its number: later lanes have higher ones.
    pub id: u32,
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
    /// The steps put together to what a person follows: a hook with all its rules is one stop.
    pub stops: Vec<Stop>,
    /// The exchanges: first the names' resolution, then the connection.
    pub parts: Vec<Part>,
}

/// An exchange: a question and its answer, drawn one above the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// [`PhaseKind::Dns`] or [`PhaseKind::Request`].
    pub phase: PhaseKind,
    /// Its first stop, among [`Lane::stops`].
    pub first: usize,
    /// The namespaces that it crosses: the place among [`Lane::columns`], its left edge and its width.
    pub columns: Vec<(usize, f64, f64)>,
    /// There and back.
    pub bands: Vec<Band>,
    /// The size of its drawing.
    pub size: Rect,
}

/// One way of an exchange as a band of the drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Whether it is the way back.
    pub back: bool,
    /// Its place.
    pub rect: Rect,
    /// Its rows, with the row's height.
    pub rows: Vec<(Row, f64)>,
    /// Its first stop and the one after its last, among [`Lane::stops`].
    pub stops: (usize, usize),
}

/// A row of a band: layers that are looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Row {
    /// Sockets.
    Application,
    /// Rules and connection tracking.
    Netfilter,
    /// Routes and neighbours.
    Routing,
    /// Devices and bridges.
    Link,
    /// VXLAN.
    Tunnel,
}

/// What a person follows as one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// Its first step, among [`Lane::steps`].
    pub first: usize,
    /// How many steps it has.
    pub count: usize,
    /// The step that says what came of it.
    pub main: usize,
    /// For netfilter: the hook (`PREROUTING`); else empty.
    pub hook: String,
    /// What changed in the packet that is worth a label: `to 10.42.2.4:80`; may be empty.
    pub label: String,
    /// Its row.
    pub row: Row,
    /// Its place in its part's drawing.
    pub at: Point,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// `pod default/curl`, `worker-1`.
    pub netns: String,
    /// Its name without its kind.
    pub title: String,
    /// Whether it is a pod's.
    pub pod: bool,
    /// The node on which it is.
    pub node: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

/// A rule of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// `Ethernet`, `IP`, `TCP`, `UDP`, `VXLAN`, `ICMP`, `Data`.
    pub name: String,
    /// Whether it is around the packet rather than of it.
    pub outer: bool,
    /// Whether it was not there before.
    pub new: bool,
    /// Its fields.
    pub fields: Vec<HeaderField>,
}

/// A field of a header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeaderField {
    /// `src`
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its value before, where it changed at this step.
    pub before: Option<String>,
}

impl Lane {
    /// The stop that a step belongs to.
    pub fn stop_of(&self, step: usize) -> usize {
        let after = self.stops.partition_point(|stop| stop.first <= step);
        after.saturating_sub(1)
    }

    /// The part that a stop belongs to.
    pub fn part_of(&self, stop: usize) -> usize {
        let after = self.parts.partition_point(|part| part.first <= stop);
        after.saturating_sub(1)
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
