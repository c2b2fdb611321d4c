//! A simulation that runs for whoever looks at it: it answers their requests, lets time run in slices, and says what has
//! changed since it last said so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use kubarium_cluster::{Cluster, Config, Event, EventId, Simulation, Time, kube_proxy};
use kubarium_lesson::protocol::{Gate, Tell};
use kubarium_shell::{Complete, Session};
use kubarium_snapshot::geometry::Point;
use kubarium_snapshot::message::{self, Output, Sealed};
use kubarium_snapshot::time::{Broken, Past, Work};
use kubarium_snapshot::{Lane, MapChange, Reply, Request, Update};

use crate::drawn::Drawn;
use crate::lessons::Classroom;
use crate::times::{self, Marks};
use crate::{
    Wiring, commands, faults, find, inside, inspect, lane, rare, rule_text, rules, versions,
};

mod host;
mod learn;
mod terminals;

/// Tasks between two looks at the clock.
const BATCH: usize = 32;
/// So many tasks are carried out at once of a command that lets time run: what is short is over before it is answered.
const HURRY: usize = 512;
/// How many lanes are kept: the two that can be looked at side by side, and some to go back to.
const LANES_MAX: usize = 8;
/// How many of them are followed on the map.
const FOLLOWED_MAX: usize = 2;
/// A cluster at rest has nothing but heartbeats: so many of them are tried for a next event.
const STEP_LIMIT: Duration = Duration::from_secs(3600);

/// How many messages are kept for a page that embeds this one, where nobody fetches them.
const TOLD_MAX: usize = 400;

/// A simulation with a terminal, and what was last said of it.
pub struct Engine {
    session: Session,
    /// The terminals, by their places.
    terminals: BTreeMap<String, Terminal>,
    /// The lesson that is open.
    classroom: Option<Classroom>,
    /// What is to be told to a page that embeds this one, and how many of its messages are let through.
    told: Vec<String>,
    gate: Gate,
    marks: Marks,
    running: bool,
    speed: f64,
    /// When the command that lets time run began to.
    hurried_from: Option<Time>,
    lanes: VecDeque<Lane>,
    next_lane: u32,
    memory: rule_text::Memory,
    drawn: Drawn,
    said: Said,
}

/// A terminal as the page sees it.
#[derive(Default)]
struct Terminal {
    /// The commands of its line that have not begun.
    unbegun: VecDeque<Complete>,
    /// Whether its line has not ended.
    busy: bool,
    /// What the line has done since the last update.
    going: message::Going,
}

/// What the last update said, or stood for.
#[derive(Default)]
struct Said {
    now_ms: u64,
    events: usize,
    running: bool,
    speed: f64,
    broken: Vec<Broken>,
    work: Option<Work>,
    past: Option<Past>,
    /// Whether something may have changed that no event tells of.
    stale: bool,
    /// Whether the ways must be said again.
    ways: bool,
}

impl Engine {
    /// A cluster that has just come up; its time runs.
    pub fn new(config: Config) -> Engine {
        Engine {
            session: Session::new(Simulation::new(config)),
            terminals: BTreeMap::new(),
            classroom: None,
            told: vec![Tell::Ready.write()],
            gate: Gate::default(),
            marks: Marks::default(),
            running: true,
            speed: 1.0,
            hurried_from: None,
            lanes: VecDeque::new(),
            next_lane: 1,
            memory: rule_text::Memory::new(),
            drawn: Drawn::default(),
            said: Said {
                stale: true,
                ..Said::default()
            },
        }
    }

    fn cluster(&self) -> &Cluster {
        &self.session.simulation.cluster
    }

    /// Whether time runs by itself.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// How long, in a person's time, nothing is due; none where nothing ever is.
    pub fn idle(&self) -> Option<Duration> {
        let at = self.cluster().queue.next_at()?;
        let simulated = Duration::from_nanos(at.0.saturating_sub(self.cluster().now.0));
        Some(simulated.div_f64(self.speed.max(1e-3)))
    }

    /// Lets simulated time run for as long as `wall` of a person's time, while `go_on` says so; whether it got there.
    /// A command that waits for nothing but time has it run as fast as it can.
    pub fn advance(&mut self, wall: Duration, mut go_on: impl FnMut() -> bool) -> bool {
        let until = self.cluster().now + wall.mul_f64(self.speed);
        loop {
            let there = if self.session.hurries().is_some() {
                self.hurry(BATCH) && !self.running
            } else if self.running {
                self.run_towards(until)
            } else {
                return true;
            };
            if there {
                return true;
            }
            if !go_on() {
                return false;
            }
        }
    }

    /// Lets time run towards a moment, not for long; whether it got there.
    fn run_towards(&mut self, until: Time) -> bool {
        let there = match self.session.simulation.next_outside() {
            // In the past what was given from outside comes again at its time.
            Some(next) if next.at <= until => {
                if self.cluster().steps() >= next.steps {
                    let events = self.cluster().log.len();
                    let came = self.session.goto(next.event).is_ok();
                    self.said.stale = true;
                    // A place that cannot be left so is left by letting time run.
                    !came || self.cluster().log.len() <= events
                } else {
                    let simulation = &mut self.session.simulation;
                    for _ in 0..BATCH {
                        if simulation.cluster.steps() >= next.steps || !simulation.step() {
                            break;
                        }
                    }
                    false
                }
            }
            None if self.past_ends_by(until) => {
                self.go_to_present();
                false
            }
            _ => self.session.simulation.run_until(until, BATCH),
        };
        self.let_commands_go_on();
        there
    }

    /// Whether the past is looked at, and the present comes before that moment.
    fn past_ends_by(&self, until: Time) -> bool {
        let simulation = &self.session.simulation;
        simulation.is_replaying() && simulation.latest().now <= until
    }

    fn go_to_present(&mut self) {
        let events = self.session.simulation.latest().log.len();
        let last = EventId(u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX));
        self.said.stale |= self.session.goto(last).is_ok();
    }

    /// Goes on with what a command lets time run for, `budget` tasks at the most; whether that is over.
    fn hurry(&mut self, budget: usize) -> bool {
        let Some((_, run)) = self.session.hurries() else {
            return true;
        };
        let run = run.clone();
        self.hurried_from
            .get_or_insert(self.session.simulation.cluster.now);
        if !self.session.simulation.run_slice(&run, budget) {
            return false;
        }
        self.hurried_from = None;
        self.let_commands_go_on();
        true
    }

    /// How far the command is that lets time run.
    fn work(&self) -> Option<Work> {
        let (place, run) = self.session.hurries()?;
        let progress = run.progress(self.hurried_from?, self.cluster());
        Some(Work {
            place: place.to_owned(),
            share: (progress * 1000.0) as u16,
        })
    }

    /// Where the present is, while the past is looked at.
    fn past(&self) -> Option<Past> {
        let simulation = &self.session.simulation;
        let end = simulation.is_replaying().then(|| simulation.latest())?;
        Some(Past {
            end_ms: end.now.0 / 1_000_000,
            last: u32::try_from(end.log.len().saturating_sub(1)).unwrap_or(u32::MAX),
        })
    }

    /// Carries a request out.
    pub fn answer(&mut self, request: Request) -> Reply {
        match request {
            Request::Run(run) => self.running = run,
            Request::Speed(speed) => {
                self.speed = if speed.is_finite() {
                    speed.clamp(0.0, 1e6)
                } else {
                    1.0
                }
            }
            Request::Across(across) => {
                self.said.stale |= self.drawn.layout.across != across;
                self.drawn.layout.across = across;
            }
            Request::StepTime => self.step_time(),
            Request::StepBack => {
                if let Some(before) = self.before_latest() {
                    self.go_to(before);
                }
            }
            Request::GoTo(event) => self.go_to(event),
            Request::GoToTime(ms) => {
                let simulation = &self.session.simulation;
                let at = Time(ms.saturating_mul(1_000_000));
                let event = times::event_at(&simulation.latest().log, at).unwrap_or(0);
                self.go_to(event.max(simulation.earliest().0));
            }
            Request::Times => {
                let times = times::times(&self.session.simulation, &mut self.marks);
                return Reply::Times(Sealed::of(&times));
            }
            Request::Command(line) => return self.command(&line),
            Request::Apply { file, text } => {
                // A name that is no file's is told by kubectl, which does not find it.
                let _ = self.session.write_file(&file, text.as_bytes());
                return self.command(&format!("kubectl apply -f {}", commands::word(&file)));
            }
            Request::Inspect(id) => {
                return Reply::Card(Sealed::of(&inspect::card(self.cluster(), &id)));
            }
            Request::Objects {
                resource,
                namespace,
                find,
                tree,
                most,
            } => {
                let wanted = inspect::Wanted {
                    resource: &resource,
                    namespace: &namespace,
                    find: &find,
                    tree,
                    most,
                };
                let table = inspect::objects(self.cluster(), wanted);
                return Reply::Objects(Sealed::of(&table));
            }
            Request::Interrupt(place) => self.interrupt(&place),
            Request::CloseTerminal(place) => {
                self.session.close(&place);
                self.terminals.remove(&place);
            }
            Request::CommandAt { place, line } => return self.typed(&place, &line),
            Request::Complete { place, line } => {
                let before = commands::before(&place);
                let whole = format!("{before}{line}");
                let found = self.session.complete(&whole, whole.len());
                let words = found.candidates.into_iter();
                return Reply::Completion(message::Completion {
                    start: found.start.saturating_sub(before.len()),
                    words: words.map(|word| (word.text, word.help)).collect(),
                });
            }
            Request::Look(line) => {
                let output = self.session.clone().run(&line);
                return Reply::Output(Box::new(Output {
                    text: output.text(),
                    status: Some(output.status),
                    command: line,
                    prompt: String::new(),
                    lane: None,
                }));
            }
            Request::Find {
                text,
                namespace,
                kind,
            } => {
                let found = find::find(self.cluster(), &text, &namespace, &kind);
                return Reply::Found(Box::new(found));
            }
            Request::Inside(id) => {
                let simulation = &mut self.session.simulation;
                let node = inside::node_of(&simulation.cluster, &id);
                if let Some(node) = node {
                    kube_proxy::bring_up_to_date(&mut simulation.cluster, &node);
                }
                let inside = inside::inside(&simulation.cluster, &id);
                return Reply::Inside(Sealed::of(&inside));
            }
            Request::History(id) => {
                let key = inspect::key_of(&id);
                let versions = key.map(|key| versions::versions(self.cluster(), &key));
                return Reply::History(Sealed::of(&versions.unwrap_or_default()));
            }
            Request::Rules {
                node,
                table,
                lane,
                find,
            } => {
                let lane = self.lanes.iter().find(|l| Some(l.id) == lane);
                let cluster = &mut self.session.simulation.cluster;
                // kube-proxy makes its rules when somebody looks.
                kube_proxy::bring_up_to_date(cluster, &node);
                let book = rules::rule_book(cluster, &node, &table, lane, &find);
                return Reply::Rules(Sealed::of(&book));
            }
            Request::Timeline { root, most } => {
                return Reply::Timeline(Sealed::of(&inspect::timeline(self.cluster(), root, most)));
            }
            Request::Rare(question) => {
                return Reply::Rare(rare::answer(&mut self.session, &mut self.memory, &question));
            }
            Request::Lesson(bytes) => return Reply::Lesson(self.learn(&bytes)),
        }
        Reply::Done
    }

    /// Runs to the next event, and pauses.
    fn step_time(&mut self) {
        self.running = false;
        let next = self.session.simulation.next_outside();
        let events = self.cluster().log.len();
        let simulation = &self.session.simulation;
        if simulation.is_replaying() && events >= simulation.latest().log.len() {
            self.go_to_present();
            return;
        }
        let simulation = &mut self.session.simulation;
        let limit = simulation.cluster.now + STEP_LIMIT;
        while simulation.cluster.log.len() == events
            && simulation
                .cluster
                .queue
                .next_at()
                .is_some_and(|at| at < limit)
        {
            if let Some(next) = next.filter(|next| next.steps <= simulation.cluster.steps()) {
                self.said.stale |= self.session.goto(next.event).is_ok();
                return;
            }
            simulation.step();
        }
    }

    /// The last event that is no part of the latest moment: of what one task or command did at once.
    fn before_latest(&self) -> Option<u32> {
        let log = &self.cluster().log;
        let last = log.iter().next_back()?;
        let root = |id| log.causes(id).last().copied();
        let other = |e: &&Event| e.at < last.at || root(e.id) != root(last.id);
        Some(log.iter().rev().find(other)?.id.0)
    }

    /// Goes to just after an event, and pauses. An event that is not kept any more leaves all as it is.
    fn go_to(&mut self, event: u32) {
        self.interrupt_all();
        self.running = false;
        self.memory.clear();
        self.said.stale |= self.session.goto(EventId(event)).is_ok();
    }

    /// Runs a command line to its end; simulated time goes on for as long as it waits.
    fn run_whole(&mut self, line: &str) -> Output {
        if let Some(refused) = self.refused(line) {
            return refused;
        }
        let output = self.session.run(line);
        self.output(line, output.text(), Some(output.status))
    }

    /// What a command line has printed, with the packet that it sent; whoever embeds the page is told.
    fn output(&mut self, line: &str, text: String, status: Option<i32>) -> Output {
        let traced = self.session.last_trace.take();
        self.said.stale = true;
        if let Some(status) = status.filter(|_| line.trim_start().starts_with("kubectl apply")) {
            let output = text.clone();
            self.tell(&Tell::Applied { output, status });
        }
        if let Some(trace) = &traced {
            self.tell(&Tell::Verdict {
                from: trace.from.clone(),
                to: trace.to.clone(),
                verdict: format!("{:?}", trace.verdict).to_lowercase(),
                reason: trace.reason.clone(),
            });
        }
        Output {
            command: line.to_owned(),
            text,
            status,
            prompt: String::new(),
            lane: traced.map(|trace| {
                let lane = Lane {
                    id: self.next_lane,
                    ..lane::lane(&trace)
                };
                self.follow(lane.clone());
                Box::new(lane)
            }),
        }
    }

    /// Keeps a message for a page that embeds this one; of too many the latest.
    fn tell(&mut self, what: &Tell) {
        if self.told.len() >= TOLD_MAX {
            self.told.remove(0);
        }
        self.told.push(what.write());
    }

    fn follow(&mut self, lane: Lane) {
        self.next_lane += 1;
        self.lanes.push_front(lane);
        self.lanes.truncate(LANES_MAX);
        self.said.ways = true;
    }

    /// What has changed since the last update; none where nothing has.
    pub fn update(&mut self) -> Option<Update> {
        let (now, events) = (self.cluster().now, self.cluster().log.len());
        let now_ms = now.0 / 1_000_000;
        let mut change = MapChange::default();
        if self.said.stale || events != self.said.events {
            let cluster = &self.session.simulation.cluster;
            change = self.drawn.update(cluster, self.said.stale);
        }
        let (work, past) = (self.work(), self.past());
        let mut broken = None;
        if self.said.stale || events != self.said.events || !change.is_empty() {
            let now = faults::broken(self.cluster(), &self.drawn.map);
            broken = (now != self.said.broken).then_some(now);
        }
        let ways = if change.moves || self.said.ways {
            self.ways()
        } else {
            Vec::new()
        };
        // The clock shows tenths of a second.
        let quiet = change.is_empty()
            && ways.is_empty()
            && now_ms / 100 == self.said.now_ms / 100
            && events == self.said.events
            && self.running == self.said.running
            && self.speed == self.said.speed
            && work == self.said.work
            && past == self.said.past
            && broken.is_none()
            && self
                .terminals
                .values()
                .all(|t| t.going == message::Going::default())
            && self.told.is_empty()
            && !self.said.stale;
        if quiet {
            return None;
        }
        self.said = Said {
            now_ms,
            events,
            running: self.running,
            speed: self.speed,
            broken: match &broken {
                Some(new) => new.clone(),
                None => std::mem::take(&mut self.said.broken),
            },
            work: work.clone(),
            past: past.clone(),
            stale: false,
            ways: false,
        };
        Some(Update {
            now_ms,
            events: u32::try_from(events).unwrap_or(u32::MAX),
            running: self.running,
            speed: self.speed,
            map: (!change.is_empty()).then(|| Box::new(change)),
            ways,
            terminals: self
                .terminals
                .values_mut()
                .filter_map(Terminal::told)
                .collect(),
            broken,
            work,
            past,
            told: std::mem::take(&mut self.told),
        })
    }

    /// The ways of the followed lanes on the map as it is.
    fn ways(&self) -> Vec<(u32, Vec<Vec<Point>>)> {
        if self.lanes.is_empty() {
            return Vec::new();
        }
        let wiring = Wiring::of(&self.drawn.map);
        let followed = self.lanes.iter().take(FOLLOWED_MAX);
        followed.map(|lane| (lane.id, wiring.ways(lane))).collect()
    }

    /// The ids of what is drawn, for tests of what a view shows.
    pub fn drawn(&self) -> BTreeSet<&str> {
        self.drawn.map.pods().map(|pod| pod.id.as_str()).collect()
    }
}

#[cfg(test)]
mod tests;
