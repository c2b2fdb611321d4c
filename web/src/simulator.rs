//! The simulation behind the page: what views read, and the commands that they send.
//!
//! Views see plain-data snapshots in signals. Time runs in slices, a few milliseconds each frame, so the page never
//! freezes.

use std::sync::Arc;
use std::time::Duration;

use kubarium_cluster::{Cluster, Config, EventId, Simulation, Time, kube_proxy};
use kubarium_scene::rules::{RuleBook, rule_book};
use kubarium_scene::{Lane, Layout, Map, Wiring, geometry::Point};
use kubarium_shell::Session;
use leptos::prelude::*;

/// How long the simulation may work in one frame, in milliseconds.
const SLICE_MS: f64 = 6.0;
/// Tasks between two looks at the clock.
const BATCH: usize = 32;
/// The most of the terminal's past that is kept on the page.
const CONSOLE_MAX: usize = 400;

/// What stands in the terminal: a command with what it printed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its number, for the list.
    pub(crate) id: usize,
    /// The command line.
    pub(crate) command: String,
    /// What it printed.
    pub(crate) output: String,
    /// Its exit status.
    pub(crate) status: i32,
}

struct Inner {
    session: Session,
    layout: Layout,
    wiring: Wiring,
}

/// The simulation, as a context.
#[derive(Clone, Copy)]
pub(crate) struct Simulator {
    inner: StoredValue<Option<Inner>, LocalStorage>,
    /// Whether the cluster is up.
    pub(crate) started: RwSignal<bool>,
    /// What there is to draw.
    pub(crate) map: RwSignal<Arc<Map>>,
    /// How many events there are.
    pub(crate) events: RwSignal<usize>,
    /// Simulated milliseconds since the start.
    pub(crate) now_ms: RwSignal<u64>,
    /// Whether time runs by itself.
    pub(crate) running: RwSignal<bool>,
    /// Simulated seconds in a second.
    pub(crate) speed: RwSignal<f64>,
    /// What was typed and printed.
    pub(crate) console: RwSignal<Vec<Entry>>,
    /// The packet that is followed.
    pub(crate) lane: RwSignal<Option<Arc<Lane>>>,
    /// The step of the packet, from 0.
    pub(crate) step: RwSignal<usize>,
    /// Whether the packet moves by itself.
    pub(crate) playing: RwSignal<bool>,
    /// Hops in a second, relative to the usual pace.
    pub(crate) pace: RwSignal<f64>,
    /// What is selected anywhere: `pod:default/web-1`.
    pub(crate) selected: RwSignal<Option<String>>,
    next_entry: StoredValue<usize>,
}

impl Simulator {
    /// A simulation that comes up once the page has been painted.
    pub(crate) fn start() -> Simulator {
        let simulator = Simulator {
            inner: StoredValue::new_local(None),
            started: RwSignal::new(false),
            map: RwSignal::new(Arc::default()),
            events: RwSignal::new(0),
            now_ms: RwSignal::new(0),
            running: RwSignal::new(true),
            speed: RwSignal::new(1.0),
            console: RwSignal::new(Vec::new()),
            lane: RwSignal::new(None),
            step: RwSignal::new(0),
            playing: RwSignal::new(false),
            pace: RwSignal::new(1.0),
            selected: RwSignal::new(None),
            next_entry: StoredValue::new(0),
        };
        set_timeout(move || simulator.boot(), Duration::from_millis(30));
        simulator
    }

    fn boot(self) {
        let session = Session::new(Simulation::new(Config::default()));
        self.inner.set_value(Some(Inner {
            session,
            layout: Layout::default(),
            wiring: Wiring::default(),
        }));
        self.refresh();
        self.started.set(true);
        self.each_frame(now());
        self.each_hop();
    }

    /// Reads the cluster; `None` before it is up.
    pub(crate) fn read<T>(self, read: impl FnOnce(&Cluster) -> T) -> Option<T> {
        self.inner.with_value(|inner| {
            inner
                .as_ref()
                .map(|inner| read(&inner.session.simulation.cluster))
        })
    }

    /// The rule book of a node's table. kube-proxy makes its rules when somebody looks: so it does now.
    pub(crate) fn rule_book(
        self,
        node: &str,
        table: &str,
        lane: Option<&Lane>,
    ) -> Option<RuleBook> {
        self.inner
            .try_update_value(|inner| {
                let cluster = &mut inner.as_mut()?.session.simulation.cluster;
                kube_proxy::bring_up_to_date(cluster, node);
                Some(rule_book(cluster, node, table, lane))
            })
            .flatten()
    }

    fn change<T>(self, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let result = self
            .inner
            .try_update_value(|inner| inner.as_mut().map(|inner| change(&mut inner.session)))
            .flatten();
        self.refresh();
        result
    }

    /// Takes new snapshots of what has changed.
    fn refresh(self) {
        let drawn = self.inner.try_update_value(|inner| {
            let inner = inner.as_mut()?;
            let cluster = &inner.session.simulation.cluster;
            inner.layout.update(cluster);
            let map = Map::draw(cluster, &inner.layout);
            inner.wiring = Wiring::of(&map);
            Some((map, cluster.log.len(), cluster.now))
        });
        if let Some(Some((map, events, time))) = drawn {
            if *self.map.read_untracked().as_ref() != map {
                self.map.set(Arc::new(map));
            }
            self.show_time(time);
            if self.events.get_untracked() != events {
                self.events.set(events);
            }
        }
    }

    fn show_time(self, time: Time) {
        let ms = time.0 / 1_000_000;
        if self.now_ms.get_untracked() / 100 != ms / 100 {
            self.now_ms.set(ms);
        }
    }

    // --- Time ---------------------------------------------------------------------------------

    fn each_frame(self, before: f64) {
        request_animation_frame(move || {
            let at = now();
            if self.running.get_untracked() {
                self.slice(at, (at - before).clamp(0.0, 250.0));
            }
            self.each_frame(at);
        });
    }

    /// Lets simulated time run for as long as the frame took, within the slice's bounds.
    fn slice(self, began: f64, frame_ms: f64) {
        let wanted = Duration::from_secs_f64(frame_ms / 1000.0 * self.speed.get_untracked());
        let happened = self.inner.try_update_value(|inner| {
            let simulation = &mut inner.as_mut()?.session.simulation;
            let before = simulation.cluster.log.len();
            let until = simulation.cluster.now + wanted;
            while !simulation.run_until(until, BATCH) && now() - began < SLICE_MS {}
            Some((
                simulation.cluster.log.len() != before,
                simulation.cluster.now,
            ))
        });
        match happened {
            Some(Some((true, _))) => self.refresh(),
            Some(Some((false, time))) => self.show_time(time),
            _ => {}
        }
    }

    /// Runs to the next event, and pauses.
    pub(crate) fn step_time(self) {
        self.running.set(false);
        self.change(|session| {
            let events = session.simulation.cluster.log.len();
            // A cluster at rest has nothing but heartbeats: an hour of them is enough to try.
            let limit = session.simulation.cluster.now + Duration::from_secs(3600);
            while session.simulation.cluster.log.len() == events
                && session
                    .simulation
                    .cluster
                    .queue
                    .next_at()
                    .is_some_and(|at| at < limit)
            {
                session.simulation.step();
            }
        });
    }

    /// Goes back to the event before, and pauses.
    pub(crate) fn step_back(self) {
        self.running.set(false);
        self.change(|session| {
            let last = session.simulation.cluster.log.len();
            if last >= 2 {
                // Before the first snapshot there is nothing to go back to.
                let _ = session.simulation.goto(EventId(last as u32 - 2));
            }
        });
    }

    /// Goes to just after an event.
    pub(crate) fn go_to(self, event: u32) {
        self.running.set(false);
        self.change(|session| {
            // An event of the past that is no longer kept leaves all as it is.
            let _ = session.simulation.goto(EventId(event));
        });
    }

    // --- Commands -----------------------------------------------------------------------------

    /// Runs a command line, and shows it with what it prints in the terminal.
    pub(crate) fn run(self, line: &str) {
        if let Some(output) = self.change(|session| session.run(line)) {
            self.print(line, output.text(), output.status);
        }
    }

    /// Applies manifests as `kubectl apply -f` does: they are a file of the terminal's own.
    pub(crate) fn apply(self, name: &str, text: &str) {
        let command = format!("kubectl apply -f {name}");
        let result = self.change(|session| {
            // The name is the page's own and the tree has room: writing it cannot fail.
            let _ = session.write_file(name, text.as_bytes());
            session.run(&command)
        });
        if let Some(output) = result {
            self.print(&command, output.text(), output.status);
        }
    }

    /// Sends one request, and follows its packets.
    pub(crate) fn send(self, from: &str, to: &str) {
        let command = format!("sim trace {} {}", word(from), word(to));
        let result = self.change(|session| {
            let output = session.run(&command);
            (output, session.last_trace.take())
        });
        let Some((output, trace)) = result else {
            return;
        };
        self.print(&command, output.text(), output.status);
        if let Some(trace) = trace {
            self.step.set(0);
            self.lane.set(Some(Arc::new(Lane::of(&trace))));
            self.playing.set(true);
        }
    }

    fn print(self, command: &str, output: String, status: i32) {
        let id = self.next_entry.get_value();
        self.next_entry.set_value(id + 1);
        self.console.update(|console| {
            console.push(Entry {
                id,
                command: command.to_owned(),
                output,
                status,
            });
            let surplus = console.len().saturating_sub(CONSOLE_MAX);
            console.drain(..surplus);
        });
    }

    /// Empties the terminal.
    pub(crate) fn clear(self) {
        self.console.set(Vec::new());
    }

    // --- The packet ---------------------------------------------------------------------------

    /// How many steps the packet takes.
    pub(crate) fn steps(self) -> usize {
        self.lane
            .with(|lane| lane.as_ref().map_or(0, |lane| lane.steps.len()))
    }

    /// Puts the packet at a step.
    pub(crate) fn seek(self, step: usize) {
        let last = self
            .lane
            .with_untracked(|lane| lane.as_ref().map_or(0, |lane| lane.steps.len()))
            .saturating_sub(1);
        self.step.set(step.min(last));
    }

    fn each_hop(self) {
        let ms = 400.0 / self.pace.get_untracked().max(0.05);
        set_timeout(
            move || {
                if self.playing.get_untracked() {
                    let step = self.step.get_untracked();
                    self.seek(step + 1);
                    if self.step.get_untracked() == step {
                        self.playing.set(false);
                    }
                }
                self.each_hop();
            },
            Duration::from_secs_f64(ms / 1000.0),
        );
    }

    /// The way on the map from the place of the step before to the place of `step`.
    pub(crate) fn way(self, step: usize) -> Vec<Point> {
        let places = self.lane.with_untracked(|lane| {
            let steps = &lane.as_ref()?.steps;
            let to = steps.get(step)?;
            // A phase begins where its packet is made: nothing travels there.
            let from = step
                .checked_sub(1)
                .and_then(|at| steps.get(at))
                .filter(|from| from.phase == to.phase);
            Some((from.unwrap_or(to).place.clone(), to.place.clone()))
        });
        let Some((from, to)) = places else {
            return Vec::new();
        };
        self.inner
            .with_value(|inner| inner.as_ref().map(|inner| inner.wiring.way(&from, &to)))
            .unwrap_or_default()
    }
}

/// Milliseconds since the page was opened.
pub(crate) fn now() -> f64 {
    web_sys::window()
        .and_then(|w| w.performance())
        .map_or(0.0, |p| p.now())
}

/// A text as one word of a command line.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
