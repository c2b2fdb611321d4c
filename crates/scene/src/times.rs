//! The lines of history: what people did on each branch, and where it leaves another.

use std::collections::BTreeMap;

use kubarium_cluster::event::{Event, EventLog};
use kubarium_cluster::{Action, EventId, Simulation, Time};
use kubarium_snapshot::time::{BranchLine, Cause, MarkKind, TimeMark, Times};

/// The most marks of a branch.
const MARKS_MAX: usize = 200;
/// The most links of a chain of causes.
const CAUSES_MAX: usize = 40;

/// What people did on each branch, kept from one look to the next: a log only grows.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    branches: BTreeMap<usize, (usize, Vec<TimeMark>)>,
}

impl Marks {
    fn of(&mut self, number: usize, log: &EventLog) -> &[TimeMark] {
        let (seen, marks) = self.branches.entry(number).or_default();
        let same = |mark: &TimeMark| {
            let event = log.get(EventId(mark.event));
            event.is_some_and(|event| *event.text == *mark.text)
        };
        // Another cluster has been loaded since.
        if *seen > log.len() || !marks.last().is_none_or(same) {
            (*seen, *marks) = (0, Vec::new());
        }
        let from = EventId(u32::try_from(*seen).unwrap_or(u32::MAX));
        marks.extend(log.since(from).filter_map(mark));
        *seen = log.len();
        marks
    }
}

fn mark(event: &Event) -> Option<TimeMark> {
    let kind = match event.action {
        Action::Boot => MarkKind::Boot,
        Action::Command => MarkKind::Command,
        Action::Fault => MarkKind::Fault,
        _ => return None,
    };
    Some(TimeMark {
        event: event.id.0,
        at_ms: milliseconds(event.at),
        kind,
        text: event.text.to_string(),
    })
}

fn milliseconds(at: Time) -> u64 {
    at.0 / 1_000_000
}

/// The branches, and how the latest event came about.
pub fn times(simulation: &Simulation, marks: &mut Marks) -> Times {
    let ends = simulation.ends();
    let mut branches = Vec::new();
    for branch in simulation.branches() {
        let Some((_, end)) = ends.iter().find(|(number, _)| *number == branch.number) else {
            continue;
        };
        let first = branch
            .left
            .map_or(0, |(_, event)| event.0.saturating_add(1));
        let from = branch.left.and_then(|(_, event)| end.log.get(event));
        let own = marks.of(branch.number, &end.log);
        let own: Vec<&TimeMark> = own.iter().filter(|mark| mark.event >= first).collect();
        let latest = own.len().saturating_sub(MARKS_MAX);
        branches.push(BranchLine {
            number: branch.number,
            current: branch.current,
            left: branch.left.map(|(number, _)| number),
            switch: format!("sim branch {}", branch.number),
            from_ms: from.map_or(0, |event| milliseconds(event.at)),
            end_ms: milliseconds(branch.end),
            marks: own[latest..].iter().map(|mark| (*mark).clone()).collect(),
        });
    }
    Times {
        branches,
        now_ms: milliseconds(simulation.cluster.now),
        causes: causes(&simulation.cluster.log),
    }
}

/// How the latest event came about.
fn causes(log: &EventLog) -> Vec<Cause> {
    let Some(last) = log.iter().next_back() else {
        return Vec::new();
    };
    let chain = log.causes(last.id);
    let events = chain.iter().filter_map(|id| log.get(*id));
    let cause = |event: &Event| {
        let object = event.object.as_ref();
        let object = object.map_or(String::new(), |key| format!(" {key}"));
        let text = match event.text.as_ref() {
            "" => String::new(),
            text => format!(" {}", text.lines().next().unwrap_or_default()),
        };
        Cause {
            event: event.id.0,
            at_ms: milliseconds(event.at),
            who: match event.action {
                Action::Command | Action::Fault => String::new(),
                _ => event.from.to_string(),
            },
            what: match event.action {
                Action::Command => text.trim().to_owned(),
                action => format!("{}{object}{text}", action.word()),
            },
        }
    };
    events.take(CAUSES_MAX).map(cause).collect()
}

/// The last event up to a moment.
pub fn event_at(log: &EventLog, at: Time) -> Option<u32> {
    let mut range = 0..u32::try_from(log.len()).unwrap_or(u32::MAX);
    while !range.is_empty() {
        let middle = range.start + (range.end - range.start) / 2;
        let earlier = log.get(EventId(middle)).is_some_and(|event| event.at <= at);
        if earlier {
            range.start = middle + 1;
        } else {
            range.end = middle;
        }
    }
    range.start.checked_sub(1)
}
