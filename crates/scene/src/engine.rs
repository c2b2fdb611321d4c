//! A simulation that runs for whoever looks at it: it answers their requests, lets time run in slices, and says what has
//! changed since it last said so.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use kubarium_cluster::{Cluster, Config, Event, EventId, Simulation, Time, kube_proxy};
use kubarium_lesson::protocol::{Gate, Tell};
use kubarium_shell::{Complete, Going, Session};
use kubarium_snapshot::geometry::Point;
use kubarium_snapshot::message::{self, Output};
use kubarium_snapshot::time::{Broken, Past, Work};
use kubarium_snapshot::{Lane, Map, MapChange, Reply, Request, Update};

use crate::lessons::Classroom;
use crate::times::{self, Marks};
use crate::{
    Layout, Wiring, commands, faults, find, inside, inspect, lane, map, rare, rules, versions,
};

mod host;
mod learn;

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
    /// The commands of the terminal's line that have not begun.
    unbegun: VecDeque<Complete>,
    /// What the command that goes on in the terminal has done since the last update.
    going: message::Going,
    /// The lesson that is open.
    classroom: Option<Classroom>,
    /// What is to be told to a page that embeds this one, and how many of its messages are let through.
    told: Vec<String>,
    gate: Gate,
    layout: Layout,
    marks: Marks,
    running: bool,
    speed: f64,
    /// When the command that lets time run began to.
    hurried_from: Option<Time>,
    lanes: VecDeque<Lane>,
    next_lane: u32,
    memory: rare::Memory,
    map: Map,
    said: Said,
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
            unbegun: VecDeque::new(),
            going: message::Going::default(),
            classroom: None,
            told: vec![Tell::Ready.write()],
            gate: Gate::default(),
            layout: Layout::default(),
            marks: Marks::default(),
            running: true,
            speed: 1.0,
            hurried_from: None,
            lanes: VecDeque::new(),
            next_lane: 1,
            memory: rare::Memory::new(),
            map: Map::default(),
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
        self.let_command_go_on();
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
        let Some(run) = self.session.hurries().cloned() else {
            return true;
        };
        self.hurried_from
            .get_or_insert(self.session.simulation.cluster.now);
        if !self.session.simulation.run_slice(&run, budget) {
            return false;
        }
        self.hurried_from = None;
        self.let_command_go_on();
        true
    }

    /// How far the command is that lets time run.
    fn work(&self) -> Option<Work> {
        let run = self.session.hurries()?;
        let progress = run.progress(self.hurried_from?, self.cluster());
        Some(Work {
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

    /// Tells the command line that goes on in the terminal how late it is.
    fn let_command_go_on(&mut self) {
        if !self.session.is_running() {
            return;
        }
        let going = self.session.go_on(self.cluster().now);
        let mut text = self.written();
        let status = match going {
            Going::Running => None,
            Going::Finished(status) => self.begin_rest(status, &mut text),
        };
        self.said.stale |= status.is_some();
        self.going.text += &text;
        self.going.status = status;
    }

    fn written(&mut self) -> String {
        let written = self.session.take_written();
        written.into_iter().map(|(_, text)| text).collect()
    }

    /// Begins the commands that have not begun, one after the other, until one goes on. Gives the last one's status,
    /// or none where one goes on.
    fn begin_rest(&mut self, mut status: i32, text: &mut String) -> Option<i32> {
        while let Some(command) = self.unbegun.pop_front() {
            let going = self.session.begin(&command);
            *text += &self.written();
            match going {
                Going::Running => return None,
                Going::Finished(ended) => status = ended,
            }
        }
        Some(status)
    }

    /// Ends what goes on in the terminal.
    fn interrupt(&mut self) {
        self.unbegun.clear();
        if self.session.interrupt() {
            let written = self.written();
            self.going.text += &written;
            self.going.status = Some(130);
            self.said.stale = true;
        }
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
                self.said.stale |= self.layout.across != across;
                self.layout.across = across;
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
                return Reply::Times(Box::new(times));
            }
            Request::Command(line) => return self.command(&line),
            Request::Apply { file, text } => {
                // A name that is no file's is told by kubectl, which does not find it.
                let _ = self.session.write_file(&file, text.as_bytes());
                return self.command(&format!("kubectl apply -f {}", commands::word(&file)));
            }
            Request::Inspect(id) => {
                return Reply::Card(inspect::card(self.cluster(), &id).map(Box::new));
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
                return Reply::Objects(table);
            }
            Request::Interrupt => self.interrupt(),
            Request::CommandAt { place, line } => {
                return self.command(&commands::at(&place, &line));
            }
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
                return Reply::Inside(inside.map(Box::new));
            }
            Request::History(id) => {
                let key = inspect::key_of(&id);
                let versions = key.map(|key| versions::versions(self.cluster(), &key));
                return Reply::History(versions.unwrap_or_default());
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
                return Reply::Rules(Box::new(book));
            }
            Request::Timeline { root, most } => {
                return Reply::Timeline(Box::new(inspect::timeline(self.cluster(), root, most)));
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
        self.interrupt();
        self.running = false;
        self.memory.clear();
        self.said.stale |= self.session.goto(EventId(event)).is_ok();
    }

    fn command(&mut self, line: &str) -> Reply {
        self.memory.clear();
        if let Some(refused) = self.refused(line) {
            return Reply::Output(Box::new(refused));
        }
        self.interrupt();
        // The one before ends before this one is answered: what it wrote last is told with the next update.
        let (commands, wrong) = Session::read(line);
        self.unbegun = commands.into();
        let was_past = self.session.simulation.is_replaying();
        let mut text = String::new();
        let mut status = self.begin_rest(0, &mut text);
        while status.is_none() && self.session.hurries().is_some() && self.hurry(HURRY) {
            text += &std::mem::take(&mut self.going.text);
            status = self.going.status.take();
        }
        // Whoever goes to a moment wants to look at it.
        self.running &= was_past || !self.session.simulation.is_replaying();
        if let Some(wrong) = wrong {
            text += &wrong;
            status = status.map(|_| 2);
        }
        Reply::Output(Box::new(self.output(line, text, status)))
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
            self.layout.update(cluster);
            let map = map::draw(cluster, &self.layout);
            change = MapChange::between(&self.map, &map);
            self.map = map;
        }
        let (work, past) = (self.work(), self.past());
        let mut broken = None;
        if self.said.stale || events != self.said.events || !change.is_empty() {
            let now = faults::broken(self.cluster(), &self.map);
            broken = (now != self.said.broken).then_some(now);
        }
        let ways = if !change.is_empty() || self.said.ways {
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
            && self.going == message::Going::default()
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
            terminal: (self.going != message::Going::default())
                .then(|| std::mem::take(&mut self.going)),
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
        let wiring = Wiring::of(&self.map);
        let followed = self.lanes.iter().take(FOLLOWED_MAX);
        followed.map(|lane| (lane.id, wiring.ways(lane))).collect()
    }

    /// The ids of what is drawn, for tests of what a view shows.
    pub fn drawn(&self) -> BTreeSet<&str> {
        self.map.pods().map(|pod| pod.id.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubarium_snapshot::inside::{Cell, Inside, TableKind};

    const WEB: &str = include_str!("../../../web/examples/web.yaml");

    fn engine() -> Engine {
        Engine::new(Config::default())
    }

    fn run(engine: &mut Engine, line: &str) -> Output {
        match engine.answer(Request::Command(line.to_owned())) {
            Reply::Output(output) => *output,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_updates_together_make_the_map() {
        let mut engine = engine();
        let mut seen = Map::default();
        let mut follow = |engine: &mut Engine| {
            while let Some(update) = engine.update() {
                if let Some(change) = update.map {
                    change.apply(&mut seen);
                }
            }
            assert!(
                seen == engine.map,
                "the map that is seen is not the one that is there"
            );
        };
        follow(&mut engine);
        let before = u32::try_from(engine.cluster().log.len()).unwrap_or_default();
        engine.answer(Request::Apply {
            file: "web.yaml".to_owned(),
            text: WEB.to_owned(),
        });
        for _ in 0..40 {
            engine.advance(Duration::from_millis(200), || true);
            follow(&mut engine);
        }
        for line in [
            "kubectl scale deployment web --replicas=30",
            "sim settle",
            "kubectl scale deployment web --replicas=2",
            "sim settle",
            "kubectl delete service web",
        ] {
            assert_eq!(run(&mut engine, line).status, Some(0), "{line}");
            follow(&mut engine);
        }
        engine.answer(Request::GoTo(before));
        follow(&mut engine);
        assert!(engine.drawn().iter().all(|pod| !pod.contains("web-")));
    }

    #[test]
    fn time_goes_back_event_by_event_over_a_command_too() {
        let mut engine = engine();
        run(&mut engine, "kubectl create deployment web --image=nginx");
        engine.advance(Duration::from_millis(40), || true);
        let mut events = engine.cluster().log.len();
        let command = |engine: &Engine| {
            let mut all = engine.cluster().log.iter();
            all.any(|e| e.text.contains("create deployment"))
        };
        while command(&engine) {
            engine.answer(Request::StepBack);
            let now = engine.cluster().log.len();
            assert!(now < events, "back from {events} events to {now}");
            events = now;
        }
        engine.answer(Request::StepTime);
        assert!(!engine.is_running());
    }

    #[test]
    fn a_command_that_waits_goes_on_with_time_until_it_ends_or_is_ended() {
        let mut engine = engine();
        run(&mut engine, "kubectl create deployment web --image=nginx");
        let waiting = run(
            &mut engine,
            "kubectl rollout status deployment web; echo after",
        );
        assert_eq!(waiting.status, None, "{}", waiting.text);
        let mut said = message::Going::default();
        for _ in 0..200 {
            engine.advance(Duration::from_millis(200), || true);
            if let Some(going) = engine.update().and_then(|update| update.terminal) {
                said.text += &going.text;
                said.status = going.status;
            }
        }
        assert_eq!(said.status, Some(0));
        assert!(
            said.text.ends_with("successfully rolled out\nafter\n"),
            "{}",
            said.text
        );
        assert_eq!(run(&mut engine, "kubectl get pods -w").status, None);
        engine.answer(Request::Interrupt);
        let ended = engine.update().and_then(|update| update.terminal);
        assert_eq!(ended.and_then(|going| going.status), Some(130));
        assert_eq!(run(&mut engine, "echo 'open").status, Some(2));
    }

    #[test]
    fn a_long_run_is_done_in_pieces_and_can_be_stopped() {
        let mut engine = engine();
        engine.answer(Request::Run(false));
        engine.update();
        let began = run(&mut engine, "sim advance 48h; echo after");
        assert_eq!(began.status, None, "{}", began.text);
        engine.advance(Duration::ZERO, || false);
        let update = engine.update().expect("how far it is");
        assert!(
            update
                .work
                .is_some_and(|work| (1..1000).contains(&work.share))
        );
        engine.answer(Request::Interrupt);
        let update = engine.update().expect("that it has ended");
        assert_eq!(update.work, None);
        assert_eq!(update.terminal.and_then(|going| going.status), Some(130));
        assert!(engine.cluster().now < Time::default() + Duration::from_secs(47 * 3600));
        let short = run(&mut engine, "sim advance 1s; echo after");
        assert_eq!((short.text.as_str(), short.status), ("after\n", Some(0)));
    }

    #[test]
    fn the_past_runs_as_it_ran_until_something_is_changed() {
        let mut engine = engine();
        run(&mut engine, "kubectl create deployment one --image=nginx");
        engine.advance(Duration::from_secs(5), || true);
        run(&mut engine, "kubectl create deployment two --image=nginx");
        engine.advance(Duration::from_secs(5), || true);
        run(&mut engine, "kubectl delete deployment one --wait=false");
        engine.advance(Duration::from_secs(40), || true);
        let lines = |engine: &Engine| {
            let log = &engine.cluster().log;
            log.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let all = lines(&engine);
        engine.answer(Request::GoToTime(0));
        let past = engine.update().and_then(|update| update.past);
        assert_eq!(past.map(|past| past.last as usize), Some(all.len() - 1));
        assert!(lines(&engine).len() < all.len() - 40);
        // Event by event, and then by time.
        for _ in 0..20 {
            engine.answer(Request::StepTime);
            let now = lines(&engine);
            assert_eq!(now[..], all[..now.len()], "a step");
        }
        engine.answer(Request::Run(true));
        for _ in 0..200 {
            engine.advance(Duration::from_millis(500), || true);
            let now = lines(&engine);
            let same = now.len().min(all.len());
            assert_eq!(now[..same], all[..same], "while it runs");
        }
        assert!(lines(&engine).len() >= all.len(), "it comes to the present");
        assert_eq!(engine.past(), None);
        // What is changed in the past begins a branch; the first stays as it was.
        let two = all
            .iter()
            .position(|line| line.contains("create deployment two"));
        let before = u32::try_from(two.expect("it was given") - 1).unwrap_or_default();
        engine.answer(Request::GoTo(before));
        run(&mut engine, "kubectl create deployment three --image=nginx");
        let Reply::Times(times) = engine.answer(Request::Times) else {
            panic!("no times")
        };
        let lines: Vec<_> = times
            .branches
            .iter()
            .map(|b| (b.number, b.left, b.current))
            .collect();
        assert_eq!(lines, [(1, None, false), (2, Some(1), true)]);
        let texts: Vec<_> = times.branches[1]
            .marks
            .iter()
            .map(|m| m.text.as_str())
            .collect();
        assert_eq!(texts, ["kubectl create deployment three --image=nginx"]);
        assert!(
            times
                .causes
                .last()
                .is_some_and(|cause| cause.what.contains("three"))
        );
        run(&mut engine, "sim branch 1");
        assert!(engine.cluster().log.len() >= all.len());
    }

    #[test]
    fn what_is_broken_is_said_with_its_marks_and_each_deed_can_be_done() {
        let mut engine = engine();
        let mut tried = 0;
        run(
            &mut engine,
            "kubectl create deployment web --image=nginx; sim settle",
        );
        engine.update();
        let pod = engine.drawn().into_iter().find(|id| id.contains("/web-"));
        let pod = pod.expect("a pod").to_owned();
        let container = pod.replace("pod:", "container:") + "/nginx";
        let cable = pod.replace("pod:", "device:") + "/eth0";
        for id in [
            &cable,
            &container,
            &pod,
            "component:kube-apiserver",
            "component:etcd",
            "component:kube-scheduler",
            "component:kube-controller-manager",
            "component:kubelet worker-1",
            "component:containerd worker-1",
            "component:kube-proxy worker-1",
            "node:worker-1",
            "device:worker-1/eth0",
            "host:outside",
            "segment:1",
            "rule:worker-1/nat/KUBE-SERVICES/1",
        ] {
            let Reply::Card(Some(card)) = engine.answer(Request::Inspect(id.to_owned())) else {
                panic!("{id}: no card")
            };
            assert!(!card.faults.is_empty(), "{id}");
            for deed in card.faults {
                tried += 1;
                let output = run(&mut engine, &deed.command);
                assert_eq!(output.status, Some(0), "{}: {}", deed.command, output.text);
                if !output.text.starts_with("fault ") {
                    run(&mut engine, "sim advance 5m");
                    while engine.session.hurries().is_some() {
                        engine.advance(Duration::ZERO, || true);
                    }
                    continue;
                }
                let update = engine.update().expect("what is broken");
                let broken = update.broken.expect("what is broken");
                let marked = broken.iter().all(|broken| !broken.marks.is_empty());
                assert!(marked, "{}: {broken:?}", deed.command);
                assert_eq!(run(&mut engine, &broken[0].mend).status, Some(0));
                let update = engine.update().expect("that it is mended");
                assert_eq!(update.broken, Some(Vec::new()), "{}", deed.command);
            }
        }
        assert!(tried > 30, "{tried}");
    }

    #[test]
    fn a_command_is_given_to_a_node_or_a_pod() {
        let mut engine = engine();
        run(
            &mut engine,
            "kubectl run curl -n kube-system --image=curlimages/curl --command -- sleep infinity; sim settle",
        );
        let mut at = |place: &str, line: &str| {
            let asked = Request::CommandAt {
                place: place.to_owned(),
                line: line.to_owned(),
            };
            match engine.answer(asked) {
                Reply::Output(output) => output.text,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            at("node:worker-1", "hostname; echo 'a  b' | wc -w"),
            "worker-1\n2\n"
        );
        assert_eq!(
            at("pod:kube-system/curl", "hostname; echo \"$((1+1))\""),
            "curl\n2\n"
        );
        assert!(at("node:nowhere", "true").contains("Could not resolve"));
    }

    #[test]
    fn what_is_looked_for_is_found_by_words_selectors_and_kinds() {
        let mut engine = engine();
        run(
            &mut engine,
            "kubectl create deployment web --image=nginx --replicas=2; kubectl create service clusterip web --tcp=80; kubectl run one --image=busybox -l tier=x; sim settle",
        );
        let mut check = |text: &str, namespace: &str, kind: &str, expect: (usize, usize)| {
            let asked = Request::Find {
                text: text.to_owned(),
                namespace: namespace.to_owned(),
                kind: kind.to_owned(),
            };
            let Reply::Found(found) = engine.answer(asked) else {
                panic!("{text}")
            };
            assert_eq!(
                (found.pods, found.ids.len()),
                expect,
                "{text} {namespace} {kind} {found:?}"
            );
        };
        check("web-", "", "", (2, 2));
        check("app=web", "", "", (2, 3));
        check("app = web", "", "pods", (2, 2));
        check("app in (web,other),!tier", "", "pods", (2, 2));
        check("app!=web,tier", "", "", (1, 1));
        check("NGINX", "", "", (2, 2));
        check("", "kube-system", "pods", (2, 2));
        check("", "", "deployments.apps", (4, 4));
        check("", "default", "services", (0, 2));
        check("nothing-at-all", "", "", (0, 0));
    }

    #[test]
    fn a_namespace_is_shown_from_inside_with_whom_each_address_belongs_to() {
        let mut engine = engine();
        run(
            &mut engine,
            "kubectl create deployment web --image=nginx; kubectl expose deployment web --port=80; kubectl run curl --image=curlimages/curl --command -- sleep infinity; sim settle; kubectl exec curl -- curl -s web",
        );
        engine.update();
        let pod = engine.drawn().into_iter().find(|id| id.contains("/web-"));
        let pod = pod.expect("a pod").to_owned();
        let mut look = |id: &str| match engine.answer(Request::Inside(id.to_owned())) {
            Reply::Inside(Some(inside)) => *inside,
            other => panic!("{id}: {other:?}"),
        };
        let cells = |inside: &Inside, kind: TableKind| {
            let table = inside.tables.iter().find(|table| table.kind == kind);
            let rows = table.map(|table| table.rows.clone()).unwrap_or_default();
            let cells = rows.iter().flat_map(|row| row.cells.clone());
            cells.collect::<Vec<_>>()
        };
        let has = |cells: &[Cell], text: &str, to: &str| {
            cells
                .iter()
                .any(|cell| cell.text.contains(text) && cell.to.starts_with(to))
        };
        let inside = look(&pod);
        assert!(has(&cells(&inside, TableKind::Links), "eth0", ""));
        assert!(has(
            &cells(&inside, TableKind::Routes),
            "10.42.",
            "node:worker-"
        ));
        assert!(has(
            &cells(&inside, TableKind::Sockets),
            "nginx",
            "container:default/web-"
        ));
        assert!(has(
            &cells(&inside, TableKind::Processes),
            "nginx",
            "container:"
        ));
        let nodes = ["node:worker-1", "node:worker-2"].map(&mut look);
        let all = |kind| {
            nodes
                .iter()
                .flat_map(|inside| cells(inside, kind))
                .collect::<Vec<_>>()
        };
        assert!(has(
            &all(TableKind::Conntrack),
            "10.43.",
            "service:default/web"
        ));
        assert!(has(
            &all(TableKind::Conntrack),
            "10.42.",
            "pod:default/web-"
        ));
        assert!(has(&all(TableKind::Fdb), "", "pod:default/web-"));
        assert!(has(&all(TableKind::Fdb), "", "node:"));
        assert!(has(&all(TableKind::Neighbours), "", "node:control-plane"));
        assert!(has(&all(TableKind::Chains), "nat", ""));
        assert!(has(
            &all(TableKind::Sockets),
            "kubelet",
            "component:kubelet worker-1"
        ));
        assert!(matches!(
            engine.answer(Request::Inside("pod:a/b".to_owned())),
            Reply::Inside(None)
        ));
    }

    #[test]
    fn an_object_is_told_with_its_family_its_aims_and_its_versions() {
        let mut engine = engine();
        run(
            &mut engine,
            "kubectl create deployment web --image=nginx --replicas=2; sim settle",
        );
        let id = "object:deployments.apps/default/web";
        let Reply::Card(Some(card)) = engine.answer(Request::Inspect(id.to_owned())) else {
            panic!("no card")
        };
        let kinds: Vec<_> = card
            .family
            .iter()
            .map(|r| (r.depth, r.kind.as_str()))
            .collect();
        assert_eq!(
            kinds,
            [(0, "Deployment"), (1, "ReplicaSet"), (2, "Pod"), (2, "Pod")]
        );
        assert!(
            card.aims
                .iter()
                .all(|aim| aim.wanted == "2" && aim.is == "2"),
            "{:?}",
            card.aims
        );
        let Reply::History(versions) = engine.answer(Request::History(id.to_owned())) else {
            panic!("no history")
        };
        assert_eq!(versions.last().map(|v| v.verb.as_str()), Some("create"));
        let ready = versions.iter().flat_map(|v| &v.fields);
        assert!(
            ready
                .into_iter()
                .any(|f| f.path == "status.readyReplicas" && f.after == "2")
        );
        let events = engine.cluster().log.len();
        let Reply::Output(look) = engine.answer(Request::Look(card.describe.clone())) else {
            panic!("no look")
        };
        assert!(look.text.starts_with("Name:"), "{}", look.text);
        assert_eq!(
            engine.cluster().log.len(),
            events,
            "a look leaves nothing behind"
        );
    }

    #[test]
    fn objects_stand_below_their_owners() {
        let mut engine = engine();
        run(
            &mut engine,
            "kubectl create deployment web --image=nginx; sim settle",
        );
        let asked = engine.answer(Request::Objects {
            resource: String::new(),
            namespace: "default".to_owned(),
            find: "web".to_owned(),
            tree: true,
            most: 100,
        });
        let Reply::Objects(table) = asked else {
            panic!("{asked:?}")
        };
        let rows: Vec<_> = (table.rows.iter())
            .map(|row| (row.depth, row.cells[0].as_str()))
            .collect();
        assert_eq!(rows, [(0, "Deployment"), (1, "ReplicaSet"), (2, "Pod")]);
        assert!(table.namespaces.contains(&"kube-system".to_owned()));
    }

    #[test]
    fn nothing_new_is_not_said() {
        let mut engine = engine();
        assert!(engine.update().is_some_and(|u| u.map.is_some()));
        assert_eq!(engine.update(), None);
        engine.answer(Request::Run(false));
        let update = engine.update().expect("that it is paused");
        assert!(!update.running && update.map.is_none());
        engine.advance(Duration::from_secs(5), || true);
        assert_eq!(engine.update(), None);
    }

    #[test]
    fn a_packet_that_is_sent_is_followed_over_the_map() {
        let mut engine = engine();
        run(
            &mut engine,
            "kubectl run curl --image=curlimages/curl --command -- sleep infinity",
        );
        run(&mut engine, "sim settle");
        let output = run(&mut engine, "sim trace pod/curl kube-dns.kube-system:53");
        let lane = output.lane.expect("a lane");
        let update = engine.update().expect("its ways");
        let (id, ways) = update.ways.first().expect("its ways");
        assert_eq!((*id, ways.len()), (lane.id, lane.steps.len()));
        assert!(ways.iter().any(|way| way.len() > 2), "it goes along lines");
        let asked = engine.answer(Request::Rules {
            node: "worker-1".to_owned(),
            table: "nat".to_owned(),
            lane: Some(lane.id),
            find: String::new(),
        });
        let Reply::Rules(book) = asked else {
            panic!("{asked:?}")
        };
        assert!(!book.chains.is_empty());
    }

    #[test]
    fn whatever_is_asked_is_answered() {
        let mut engine = engine();
        for id in [
            "",
            "pod:",
            "pod:default/none",
            "device:x/y",
            "device:worker-1/cbr0",
            "object:a/b",
            "host:outside",
            "component:nothing",
            "component:kubelet nowhere",
            "container:default/none/x",
            "device:default/none/eth0",
            "rule:worker-1/nat/X/0",
            "rule:nowhere/nat/X/1",
        ] {
            let found = matches!(
                engine.answer(Request::Inspect(id.to_owned())),
                Reply::Card(Some(_))
            );
            assert_eq!(
                found,
                id.starts_with("device:w") || id.starts_with("host"),
                "{id}"
            );
        }
        engine.answer(Request::GoTo(u32::MAX));
        engine.answer(Request::GoToTime(u64::MAX));
        engine.answer(Request::Times);
        engine.answer(Request::Speed(f64::NAN));
        engine.answer(Request::Rules {
            node: "nowhere".to_owned(),
            table: "nat".to_owned(),
            lane: None,
            find: "x".to_owned(),
        });
        engine.answer(Request::Timeline {
            root: Some(u32::MAX),
            most: usize::MAX,
        });
        for (resource, find) in [("", "pod"), ("pods", ""), ("nothing", "")] {
            engine.answer(Request::Objects {
                resource: resource.to_owned(),
                namespace: find.to_owned(),
                find: find.to_owned(),
                tree: true,
                most: 1,
            });
        }
        for id in ["", "pod:default/none", "node:worker-1"] {
            engine.answer(Request::History(id.to_owned()));
        }
        engine.answer(Request::Interrupt);
        for line in ["", " ", "kubectl get po", "ssh ", "größe '"] {
            engine.answer(Request::Complete {
                place: "node:worker-1".to_owned(),
                line: line.to_owned(),
            });
        }
        engine.answer(Request::Look("kubectl get nothing".to_owned()));
        engine.answer(Request::StepTime);
        engine.answer(Request::StepBack);
        engine.advance(Duration::from_secs(1), || false);
    }
}
