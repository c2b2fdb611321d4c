//! How a lane is drawn: steps are put together to stops, ways to exchanges, and each stop gets its place: columns are
//! namespaces, rows are layers, time runs to the right on the way there and to the left on the way back.

use kubarium_snapshot::geometry::{Point, Rect};
use kubarium_snapshot::lane::{Band, Lane, Layer, Part, PhaseKind, Row, Step, Stop};

/// Room for the rows' names.
const ROW_NAMES: f64 = 84.0;
/// Room for the columns' names.
const COLUMN_NAMES: f64 = 34.0;
const COLUMN_MIN: f64 = 132.0;
const STOP: f64 = 28.0;
const MARGIN: f64 = 12.0;
const ROW: f64 = 20.0;
const BAND_GAP: f64 = 6.0;
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// Puts a lane's steps together, and gives what comes of it a place.
pub(crate) fn arrange(lane: &mut Lane) {
    lane.stops = stops(&lane.steps);
    for (phase, ways) in exchanges(lane) {
        let part = draw(lane, phase, &ways);
        lane.parts.push(part);
    }
}

fn row(layer: Layer) -> Row {
    match layer {
        Layer::Socket => Row::Application,
        Layer::Netfilter | Layer::Conntrack => Row::Netfilter,
        Layer::Route | Layer::Neighbour => Row::Routing,
        Layer::Link | Layer::Bridge => Row::Link,
        Layer::Tunnel => Row::Tunnel,
    }
}

/// Whether a step begins a way: something is sent.
fn begins(step: &Step) -> bool {
    step.layer == Layer::Socket && step.action == "send"
}

fn stops(steps: &[Step]) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let hook = hook(step);
        let joins = stops.last().is_some_and(|last| {
            let before = &steps[at - 1];
            let known = hook.is_empty() || last.hook.is_empty() || last.hook == hook;
            let same = before.column == step.column && before.phase == step.phase;
            let row = row(step.layer);
            let joinable = !matches!(row, Row::Application | Row::Tunnel);
            same && joinable && row == last.row && known
        });
        match stops.last_mut() {
            Some(last) if joins => {
                last.count += 1;
                if last.hook.is_empty() {
                    last.hook = hook;
                }
            }
            _ => stops.push(Stop {
                first: at,
                count: 1,
                main: at,
                hook,
                label: String::new(),
                row: row(step.layer),
                at: Point::default(),
            }),
        }
    }
    for stop in &mut stops {
        let own = &steps[stop.first..stop.first + stop.count];
        let labels: Vec<String> = own.iter().map(label).collect();
        stop.main = stop.first + decisive(own, &labels);
        stop.label = labels
            .into_iter()
            .find(|l| !l.is_empty())
            .unwrap_or_default();
    }
    stops
}

/// The hook at which a rule's chain hangs; empty where the chain was jumped to.
fn hook(step: &Step) -> String {
    let Some(rule) = &step.rule else {
        return String::new();
    };
    // nftables' base chains are named after their hooks in small letters: `nat-prerouting`.
    let is_hook =
        |hook: &&str| rule.chain == **hook || rule.chain.ends_with(&hook.to_ascii_lowercase());
    HOOKS.iter().copied().find(is_hook).unwrap_or("").to_owned()
}

/// Which of a stop's steps says what came of it.
fn decisive(steps: &[Step], labels: &[String]) -> usize {
    let word = |words: &'static [&'static str]| {
        move |step: &Step| words.iter().any(|word| step.action.starts_with(word))
    };
    let last = |is: &dyn Fn(&Step) -> bool| steps.iter().rposition(is);
    last(&word(&["drop", "reject"]))
        .or_else(|| last(&word(&["dnat", "DNAT", "snat", "SNAT", "masquerade"])))
        .or_else(|| labels.iter().position(|label| !label.is_empty()))
        .or_else(|| last(&word(&["accept", "policy"])))
        .or_else(|| last(&|step| step.layer == Layer::Netfilter))
        .or_else(|| last(&|step| step.layer == Layer::Route))
        .unwrap_or(steps.len() - 1)
}

/// What a step changed in the packet that is worth a label.
fn label(step: &Step) -> String {
    if step.action == "encapsulate" {
        return "into the tunnel".to_owned();
    }
    if step.action == "decapsulate" {
        return "out of the tunnel".to_owned();
    }
    let inner = || step.headers.iter().filter(|h| !h.outer);
    let field = |header: &str, name: &str| {
        let header = inner().find(|h| h.name == header)?;
        header.fields.iter().find(|f| f.name == name)
    };
    let port = |name: &str| field("TCP", name).or_else(|| field("UDP", name));
    let changed = |address: &str, name: &str| {
        let (address, port) = (field("IP", address)?, port(name));
        let new = address.before.is_some() || port.is_some_and(|p| p.before.is_some());
        new.then(|| match port {
            Some(port) => format!("{}:{}", address.value, port.value),
            None => address.value.clone(),
        })
    };
    match (changed("dst", "dport"), changed("src", "sport")) {
        (Some(to), _) => format!("to {to}"),
        (None, Some(from)) => format!("from {from}"),
        (None, None) => String::new(),
    }
}

/// A way as a range of stops.
type Way = (usize, usize);

/// The exchanges with their ways: what is sent, and what comes back.
fn exchanges(lane: &Lane) -> Vec<(PhaseKind, Vec<Way>)> {
    let mut exchanges: Vec<(PhaseKind, Vec<Way>)> = Vec::new();
    let mut from = 0;
    let step = |stop: usize| &lane.steps[lane.stops[stop].first];
    for at in 1..=lane.stops.len() {
        let over = at == lane.stops.len()
            || step(at).phase != step(from).phase
            || begins(step(at)) && at > from;
        if !over {
            continue;
        }
        let phase = match step(from).phase {
            PhaseKind::Dns => PhaseKind::Dns,
            _ => PhaseKind::Request,
        };
        match exchanges.last_mut() {
            // An answer belongs to its question.
            Some((last, ways)) if *last == phase && ways.len() == 1 => ways.push((from, at)),
            _ => exchanges.push((phase, vec![(from, at)])),
        }
        from = at;
    }
    exchanges
}

fn draw(lane: &mut Lane, phase: PhaseKind, ways: &[Way]) -> Part {
    let column = |lane: &Lane, stop: usize| lane.steps[lane.stops[stop].first].column;
    let mut order: Vec<usize> = Vec::new();
    for stop in ways.iter().flat_map(|way| way.0..way.1) {
        let column = column(lane, stop);
        if !order.contains(&column) {
            order.push(column);
        }
    }
    let mut x = ROW_NAMES;
    let mut columns = Vec::new();
    for at in order {
        let count = |way: &Way| {
            (way.0..way.1)
                .filter(|stop| column(lane, *stop) == at)
                .count()
        };
        let most = ways.iter().map(count).max().unwrap_or(0);
        let width = (most as f64 * STOP + 2.0 * MARGIN).max(COLUMN_MIN);
        columns.push((at, x, width));
        x += width;
    }
    let mut y = COLUMN_NAMES;
    let mut bands = Vec::new();
    for (nth, &(first, end)) in ways.iter().enumerate() {
        let back = nth > 0;
        let mut rows: Vec<Row> = lane.stops[first..end].iter().map(|stop| stop.row).collect();
        rows.sort_unstable();
        rows.dedup();
        let place = |at: usize| y + 16.0 + at as f64 * ROW;
        let rows: Vec<(Row, f64)> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| (*row, place(at)))
            .collect();
        for &(at, left, width) in &columns {
            let within: Vec<usize> = (first..end)
                .filter(|stop| column(lane, *stop) == at)
                .collect();
            let gap = (width - 2.0 * MARGIN) / within.len().max(1) as f64;
            for (nth, stop) in within.iter().enumerate() {
                let nth = if back { within.len() - 1 - nth } else { nth };
                let y = rows.iter().find(|(row, _)| *row == lane.stops[*stop].row);
                let y = y.map_or(0.0, |(_, y)| *y);
                lane.stops[*stop].at = Point::new(left + MARGIN + (nth as f64 + 0.5) * gap, y);
            }
        }
        let height = 28.0 + (rows.len() as f64 - 1.0) * ROW;
        bands.push(Band {
            back,
            rect: Rect::new(0.0, y, x, height),
            rows,
            stops: (first, end),
        });
        y += height + BAND_GAP;
    }
    Part {
        phase,
        first: ways.first().map_or(0, |way| way.0),
        columns,
        bands,
        size: Rect::new(0.0, 0.0, x, y),
    }
}
