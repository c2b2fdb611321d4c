//! The packet lane: a trace as columns (network namespaces in the order in which they are crossed)
//! and steps, each with the packet as a stack of headers in which only what changed stands out.

use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Rect};

/// Room for the rows' names.
const ROW_NAMES: f64 = 96.0;
/// Room for the columns' names.
const COLUMN_NAMES: f64 = 36.0;
const COLUMN_MIN: f64 = 112.0;
const STEP: f64 = 26.0;
const STEP_MARGIN: f64 = 10.0;
const ROW: f64 = 22.0;
const BAND_GAP: f64 = 20.0;

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
    /// The parts with their bands.
    pub bands: Vec<Band>,
    /// The size of the drawing.
    pub size: Rect,
}

/// A part of the way as a band of the drawing: a row for each layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The part.
    pub phase: PhaseKind,
    /// Its place.
    pub rect: Rect,
    /// Its rows: the layers that the part uses, with the row's height.
    pub rows: Vec<(Layer, f64)>,
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
    /// Its left edge.
    pub x: f64,
    /// Its width.
    pub width: f64,
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
    /// Its place in the drawing.
    pub at: Point,
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
    /// Gives every step its place: columns side by side, each as wide as its fullest part needs;
    /// a band for each part; in it a row for each layer. Replies run back from right to left.
    pub fn arrange(&mut self) {
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
