//! The simulator as the page sees it: signals that say how the cluster is, requests, and the packet that is followed.
//!
//! The simulation itself runs in a thread of its own ([`crate::link`]). Here is what it said last, and what is asked of
//! it: [`Simulator::ask`] once, [`Simulator::watch`] again whenever something may have changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kubarium_snapshot::geometry::Point;
use kubarium_snapshot::lane::Step;
use kubarium_snapshot::message::{self, Output};
use kubarium_snapshot::time::{Broken, Past, Work};
use kubarium_snapshot::{FromSimulator, Lane, Map, MapChange, Reply, Request, ToSimulator};
use leptos::prelude::*;

use crate::crash;
use crate::link::{Heard, Link};
use crate::picture::Picture;

/// How long the packet stays at a stop, in milliseconds, at the usual pace.
const HOP_MS: f64 = 500.0;
/// The most of the terminal's past that is kept on the page.
const CONSOLE_MAX: usize = 400;
/// The most bytes that are kept of what one command prints.
const PRINTED_MAX: usize = 1 << 20;

/// How far the simulator has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    /// So many bytes of its module are there, of so many; of 0 where nobody knows.
    Loading(u32, u32),
    /// The cluster is booting.
    Booting,
    /// It answers.
    Up,
    /// It could not be loaded.
    Failed(String),
}

/// What stands in the terminal: a command with what it printed.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Its number, for the list.
    pub(crate) id: u32,
    /// The terminal in which it runs.
    pub(crate) place: String,
    /// What stood before it.
    pub(crate) sign: String,
    /// The command line.
    pub(crate) command: String,
    /// What it has printed so far.
    pub(crate) printed: ArcRwSignal<String>,
    /// Its exit status; none while it runs.
    pub(crate) status: ArcRwSignal<Option<i32>>,
}

type Then = Box<dyn FnOnce(Reply)>;

#[derive(Default)]
struct Line {
    link: Option<Link>,
    next: u32,
    /// What is to be done with the answers that are awaited.
    awaited: BTreeMap<u32, Then>,
    /// What was asked before there was anybody to answer.
    early: Vec<(u32, Request)>,
}

/// The simulator, as a context.
#[derive(Clone, Copy)]
pub(crate) struct Simulator {
    line: StoredValue<Line, LocalStorage>,
    /// How far it has come.
    pub(crate) phase: RwSignal<Phase>,
    /// Whether the cluster is up.
    pub(crate) started: Memo<bool>,
    /// What there is to draw, whole: for what lists much of it. What shows one thing reads [`Simulator::picture`].
    pub(crate) map: RwSignal<Arc<Map>>,
    /// What there is to draw, thing by thing.
    pub(crate) picture: Picture,
    /// How many events there are: what changes with the cluster.
    pub(crate) events: RwSignal<u32>,
    /// Simulated milliseconds since the start.
    pub(crate) now_ms: RwSignal<u64>,
    /// Whether time runs by itself.
    pub(crate) running: RwSignal<bool>,
    /// Simulated seconds in a second.
    pub(crate) speed: RwSignal<f64>,
    /// What is broken on purpose.
    pub(crate) broken: RwSignal<Vec<Broken>>,
    /// A command that lets time run and is not over.
    pub(crate) work: RwSignal<Option<Work>>,
    /// Whether the past is looked at.
    pub(crate) past: RwSignal<Option<Past>>,
    /// The moment that is to be gone to, and whether one is being gone to.
    wanted_ms: StoredValue<(Option<u64>, bool)>,
    /// The terminal in front: `node:worker-1`, `pod:default/web-1`; empty for the workstation's first; with a number behind
    /// it, `#2`, where there are more at a place.
    pub(crate) place: RwSignal<String>,
    /// The terminals beside the first.
    pub(crate) places: RwSignal<Vec<String>>,
    /// What stands before the next line of a terminal, where a shell elsewhere reads it.
    prompts: RwSignal<Vec<(String, String)>>,
    /// What was typed and printed.
    pub(crate) console: RwSignal<Vec<Entry>>,
    /// The packet that is followed.
    pub(crate) lane: RwSignal<Option<Arc<Lane>>>,
    /// A packet that was kept to be compared with it.
    pub(crate) beside: RwSignal<Option<Arc<Lane>>>,
    /// For each lane that is followed, by its number: the way on the map to each of its steps.
    ways: RwSignal<Vec<(u32, Vec<Vec<Point>>)>>,
    /// The step of the packet, from 0.
    pub(crate) step: RwSignal<usize>,
    /// The place on the map where the packet is.
    pub(crate) here: Memo<Option<String>>,
    /// The object that is responsible for what happens to it there.
    pub(crate) responsible: Memo<Option<String>>,
    /// Whether the packet moves by itself.
    pub(crate) playing: RwSignal<bool>,
    /// Hops in a second, relative to the usual pace.
    pub(crate) pace: RwSignal<f64>,
    /// What is selected anywhere: `pod:default/web-1`.
    pub(crate) selected: RwSignal<Option<String>>,
    /// What the pointer or the focus is on.
    pub(crate) pointed: RwSignal<Option<String>>,
    /// The thing whose menu is open, and where on the page.
    pub(crate) menu: RwSignal<Option<(String, f64, f64)>>,
    /// Messages for a page that embeds this one, oldest first.
    pub(crate) told: RwSignal<Vec<String>>,
}

impl Simulator {
    /// A simulator that is being loaded.
    pub(crate) fn start() -> Simulator {
        let phase = RwSignal::new(Phase::Loading(0, 0));
        let (lane, step) = (RwSignal::new(None::<Arc<Lane>>), RwSignal::new(0_usize));
        let at = move |what: fn(&Step) -> Option<String>| {
            Memo::new(move |_| {
                let step = step.get();
                what(lane.read().as_ref()?.steps.get(step)?)
            })
        };
        let simulator = Simulator {
            line: StoredValue::new_local(Line::default()),
            phase,
            started: Memo::new(move |_| *phase.read() == Phase::Up),
            map: RwSignal::new(Arc::default()),
            picture: Picture::new(),
            events: RwSignal::new(0),
            now_ms: RwSignal::new(0),
            running: RwSignal::new(true),
            speed: RwSignal::new(1.0),
            broken: RwSignal::new(Vec::new()),
            work: RwSignal::new(None),
            past: RwSignal::new(None),
            wanted_ms: StoredValue::new((None, false)),
            place: RwSignal::new(String::new()),
            places: RwSignal::new(Vec::new()),
            prompts: RwSignal::new(Vec::new()),
            console: RwSignal::new(Vec::new()),
            lane,
            here: at(|step| Some(step.place.clone())),
            responsible: at(|step| step.object.clone()),
            beside: RwSignal::new(None),
            ways: RwSignal::new(Vec::new()),
            step,
            playing: RwSignal::new(false),
            pace: RwSignal::new(1.0),
            selected: RwSignal::new(None),
            pointed: RwSignal::new(None),
            menu: RwSignal::new(None),
            told: RwSignal::new(Vec::new()),
        };
        // The page has all that its first view needs, and its thread is another.
        simulator.load();
        simulator.each_hop();
        simulator
    }

    /// Loads the simulator; anew, where it could not be loaded before.
    pub(crate) fn load(self) {
        self.phase.set(Phase::Loading(0, 0));
        match Link::open(move |heard| self.hear(heard)) {
            Ok(link) => self.line.update_value(|line| line.link = Some(link)),
            Err(why) => self.phase.set(Phase::Failed(why)),
        }
    }

    fn hear(self, heard: Heard) {
        match heard {
            Heard::Loading(loaded, total) => self.phase.set(Phase::Loading(loaded, total)),
            Heard::Begun => self.phase.set(Phase::Booting),
            Heard::Failed(why) if *self.phase.read_untracked() != Phase::Up => {
                self.line.update_value(|line| line.link = None);
                self.phase.set(Phase::Failed(why));
            }
            Heard::Failed(why) | Heard::Panicked(why) => crash::show(&why),
            Heard::Said(FromSimulator::Update(update)) => self.update(*update),
            Heard::Said(FromSimulator::Answer { id, reply }) => {
                let then = self
                    .line
                    .try_update_value(|line| line.awaited.remove(&id))
                    .flatten();
                if let Some(then) = then {
                    then(reply);
                }
            }
        }
    }

    /// Shows what has changed.
    fn update(self, update: message::Update) {
        if let Some(change) = update.map {
            self.picture.apply(&change);
            self.map.update(|map| change.apply(Arc::make_mut(map)));
        }
        if !update.ways.is_empty() {
            self.ways.set(update.ways);
        }
        for going in update.terminals {
            self.hear_terminal(going);
        }
        if !update.told.is_empty() {
            self.told.update(|told| {
                told.extend(update.told);
                let surplus = told.len().saturating_sub(CONSOLE_MAX);
                told.drain(..surplus);
            });
        }
        set_if_new(self.now_ms, update.now_ms);
        set_if_new(self.running, update.running);
        set_if_new(self.speed, update.speed);
        set_if_new(self.work, update.work);
        set_if_new(self.past, update.past);
        if let Some(broken) = update.broken {
            self.broken.set(broken);
        }
        set_if_new(self.events, update.events);
        if !self.started.get_untracked() {
            self.phase.set(Phase::Up);
            let early = self
                .line
                .try_update_value(|line| std::mem::take(&mut line.early));
            for (id, request) in early.into_iter().flatten() {
                self.send(&ToSimulator::Ask { id, request });
            }
        }
        request_animation_frame(move || self.send(&ToSimulator::Drawn));
    }

    fn send(self, message: &ToSimulator) {
        self.line.with_value(|line| {
            if let Some(link) = &line.link {
                link.send(message);
            }
        });
    }

    /// Asks the simulator, and calls `then` with what it answers.
    pub(crate) fn ask(self, request: Request, then: impl FnOnce(Reply) + 'static) {
        let up = self.started.get_untracked();
        let asked = self.line.try_update_value(|line| {
            let id = line.next;
            line.next += 1;
            line.awaited.insert(id, Box::new(then));
            if up {
                return Some(ToSimulator::Ask { id, request });
            }
            line.early.push((id, request));
            None
        });
        if let Some(Some(message)) = asked {
            self.send(&message);
        }
    }

    /// The answer to a question that changes: asked when it does, never twice at a time. While there is no question
    /// (the view is not to be seen), the last answer stays. A question about the cluster tracks [`Simulator::events`].
    pub(crate) fn watch(
        self,
        question: impl Fn() -> Option<Request> + 'static,
    ) -> ReadSignal<Option<Arc<Reply>>> {
        let (answer, set_answer) = signal(None::<Arc<Reply>>);
        let wanted = StoredValue::new(None::<Request>);
        let busy = StoredValue::new(false);
        Effect::new(move |_| {
            if let Some(request) = question() {
                wanted.set_value(Some(request));
                self.ask_watched(wanted, busy, set_answer);
            }
        });
        answer
    }

    fn ask_watched(
        self,
        wanted: StoredValue<Option<Request>>,
        busy: StoredValue<bool>,
        answer: WriteSignal<Option<Arc<Reply>>>,
    ) {
        // The view may have gone since.
        if busy.try_get_value() != Some(false) {
            return;
        }
        let Some(request) = wanted.try_update_value(Option::take).flatten() else {
            return;
        };
        busy.set_value(true);
        self.ask(request, move |reply| {
            answer.try_maybe_update(|old| {
                let new = old.as_deref() != Some(&reply);
                if new {
                    *old = Some(Arc::new(reply));
                }
                (new, ())
            });
            busy.try_update_value(|busy| *busy = false);
            self.ask_watched(wanted, busy, answer);
        });
    }

    /// The same line to the simulator with a picture that stands still: another cluster's.
    pub(crate) fn still(self, map: &Map) -> Simulator {
        let still = Simulator {
            picture: Picture::new(),
            lane: RwSignal::new(None),
            beside: RwSignal::new(None),
            ways: RwSignal::new(Vec::new()),
            selected: RwSignal::new(None),
            ..self
        };
        still
            .picture
            .apply(&MapChange::between(&Map::default(), map));
        still
    }

    /// What was shown of the cluster before is no more.
    pub(crate) fn forget(self) {
        self.lane.set(None);
        self.beside.set(None);
        self.playing.set(false);
        self.selected.set(None);
        self.places.set(Vec::new());
        self.prompts.set(Vec::new());
        self.place.set(String::new());
    }

    // --- Time ---------------------------------------------------------------------------------

    /// Lets time run, or pauses.
    pub(crate) fn run_time(self, run: bool) {
        self.running.set(run);
        self.ask(Request::Run(run), |_| {});
    }

    /// Lets so many simulated seconds pass in a second.
    pub(crate) fn set_speed(self, speed: f64) {
        self.speed.set(speed);
        self.ask(Request::Speed(speed), |_| {});
    }

    /// Goes to a moment of the branch, and pauses. While one is being gone to, only the last that was asked for counts.
    pub(crate) fn go_to_moment(self, ms: u64) {
        let busy = self.wanted_ms.try_update_value(|(wanted, busy)| {
            *wanted = Some(ms);
            std::mem::replace(busy, true)
        });
        if busy == Some(false) {
            self.go_to_wanted();
        }
    }

    fn go_to_wanted(self) {
        let wanted = self.wanted_ms.try_update_value(|(wanted, busy)| {
            *busy = wanted.is_some();
            wanted.take()
        });
        if let Some(Some(ms)) = wanted {
            self.ask(Request::GoToTime(ms), move |_| self.go_to_wanted());
        }
    }

    /// Goes to the present of the branch.
    pub(crate) fn go_to_present(self) {
        self.go_to_moment(u64::MAX / 2_000_000);
    }

    /// Runs to the next event, and pauses.
    pub(crate) fn step_time(self) {
        self.ask(Request::StepTime, |_| {});
    }

    /// Goes back to the event before, and pauses.
    pub(crate) fn step_back(self) {
        self.ask(Request::StepBack, |_| {});
    }

    /// Goes to just after an event, and pauses.
    pub(crate) fn go_to(self, event: u32) {
        self.ask(Request::GoTo(event), |_| {});
    }

    // --- Commands -----------------------------------------------------------------------------

    /// Runs a command line on the workstation, and shows it with what it prints in the terminal.
    pub(crate) fn run(self, line: &str) {
        self.run_followed(line);
    }

    /// Types a line in the terminal that is in front.
    pub(crate) fn run_there(self, line: &str) {
        let place = self.place.get_untracked();
        let line = line.to_owned();
        self.run_as(&line.clone(), Request::CommandAt { place, line });
    }

    /// Brings the terminal at a place to the front; it is opened where there is none.
    pub(crate) fn open_terminal(self, place: &str) {
        self.place.set(place.to_owned());
        if place.is_empty()
            || self
                .places
                .read_untracked()
                .iter()
                .any(|known| known == place)
        {
            return;
        }
        self.places.update(|places| places.push(place.to_owned()));
        // A shell there is opened at once, so that its prompt is seen.
        let (place, line) = (place.to_owned(), String::new());
        if place.contains(':') {
            self.ask(
                Request::CommandAt {
                    place: place.clone(),
                    line,
                },
                move |reply| {
                    if let Reply::Output(output) = reply {
                        let entry = self.enter(&place, &output.command);
                        self.finish(&entry, *output);
                    }
                },
            );
        }
    }

    /// Opens a terminal at a place, beside those that are there already.
    pub(crate) fn open_another(self, place: &str) {
        let is_free =
            |name: &String| !name.is_empty() && !self.places.read_untracked().contains(name);
        let names = std::iter::once(place.to_owned());
        let mut names = names.chain((2_u32..).map(|number| format!("{place}#{number}")));
        if let Some(name) = names.find(is_free) {
            self.open_terminal(&name);
        }
    }

    /// What stands before the next line of a terminal; empty at the workstation.
    pub(crate) fn prompt(self, place: &str) -> String {
        let prompts = self.prompts.read();
        let found = prompts.iter().find(|(known, _)| known == place);
        found.map_or_else(String::new, |(_, prompt)| prompt.clone())
    }

    fn set_prompt(self, place: &str, prompt: String) {
        self.prompts.update(|prompts| {
            prompts.retain(|(known, _)| known != place);
            prompts.push((place.to_owned(), prompt));
        });
    }

    /// Closes the terminal at a place; what it has printed is gone.
    pub(crate) fn close_terminal(self, place: &str) {
        self.ask(Request::CloseTerminal(place.to_owned()), |_| {});
        self.places
            .update(|places| places.retain(|known| known != place));
        self.console
            .update(|console| console.retain(|entry| entry.place != place));
        if *self.place.read_untracked() == place {
            self.place.set(String::new());
        }
    }

    /// Runs a command line as [`Simulator::run`] does, and gives its place in the terminal.
    pub(crate) fn run_followed(self, line: &str) -> Entry {
        self.place.set(String::new());
        // A shell elsewhere that was open there is left.
        self.set_prompt("", String::new());
        self.run_as(line, Request::Command(line.to_owned()))
    }

    /// Sends one request, and follows its packets.
    pub(crate) fn send_packet(self, from: &str, to: &str) {
        self.run(&format!("sim trace {} {}", word(from), word(to)));
    }

    fn run_as(self, line: &str, request: Request) -> Entry {
        let entry = self.enter(&self.place.get_untracked(), line);
        let entered = entry.clone();
        self.ask(request, move |reply| {
            if let Reply::Output(output) = reply {
                self.finish(&entry, *output);
            }
        });
        entered
    }

    /// Shows a command that somebody else had run.
    pub(crate) fn show_output(self, output: Output) {
        let entry = self.enter("", &output.command);
        self.finish(&entry, output);
    }

    /// A command line comes into the terminal.
    fn enter(self, place: &str, line: &str) -> Entry {
        let entry = Entry {
            id: self.line.with_value(|line| line.next),
            place: place.to_owned(),
            sign: untrack(|| self.prompt(place)),
            command: line.to_owned(),
            printed: ArcRwSignal::default(),
            status: ArcRwSignal::default(),
        };
        self.line.update_value(|line| line.next += 1);
        let entered = entry.clone();
        self.console.update(|console| {
            console.push(entered);
            let surplus = console.len().saturating_sub(CONSOLE_MAX);
            console.drain(..surplus);
        });
        entry
    }

    fn finish(self, entry: &Entry, output: Output) {
        entry.printed.set(output.text);
        entry.status.set(output.status);
        if output.status.is_some() {
            self.set_prompt(&entry.place, output.prompt);
        }
        self.console.notify();
        if let Some(lane) = output.lane {
            let first = lane.stops.first().map_or(0, |stop| stop.main);
            self.lane.set(Some(Arc::new(*lane)));
            self.step.set(first);
            self.playing.set(true);
        }
    }

    /// Shows what the command that goes on has done since.
    fn hear_terminal(self, going: message::Going) {
        let entry = self.console.with_untracked(|console| {
            let here = || console.iter().filter(|entry| entry.place == going.place);
            let running = |entry: &&Entry| entry.status.read_untracked().is_none();
            // What ends by itself, as a shell in a pod that goes, says so below what was typed last.
            here().find(running).or(here().next_back()).cloned()
        });
        if going.status.is_some() {
            self.set_prompt(&going.place, going.prompt);
        }
        let Some(entry) = entry else { return };
        if !going.text.is_empty() {
            entry.printed.update(|printed| {
                printed.push_str(&going.text);
                // Of a stream without end the latest is kept.
                let surplus = printed.len().saturating_sub(PRINTED_MAX);
                let cut = printed.ceil_char_boundary(surplus);
                printed.drain(..cut);
            });
        }
        if going.status.is_some() {
            entry.status.set(going.status);
        }
        self.console.notify();
    }

    /// Whether a command goes on in a terminal.
    pub(crate) fn is_busy(self, place: &str) -> bool {
        let console = self.console.read();
        let mut here = console.iter().filter(|entry| entry.place == place);
        here.any(|entry| entry.status.get().is_none())
    }

    /// Ends the command that goes on in a terminal.
    pub(crate) fn interrupt(self, place: &str) {
        self.ask(Request::Interrupt(place.to_owned()), |_| {});
    }

    /// Ends the command that lets time run.
    pub(crate) fn stop_work(self) {
        let place = self
            .work
            .read_untracked()
            .as_ref()
            .map(|work| work.place.clone());
        if let Some(place) = place {
            self.interrupt(&place);
        }
    }

    /// Empties the terminal, but for what still runs.
    pub(crate) fn clear(self) {
        let place = self.place.get_untracked();
        let stays = |entry: &Entry| entry.place != place || entry.status.read_untracked().is_none();
        self.console.update(|console| console.retain(stays));
    }

    // --- The packet ---------------------------------------------------------------------------

    /// How many stops the packet makes.
    pub(crate) fn stops(self) -> usize {
        self.lane
            .with(|lane| lane.as_ref().map_or(0, |lane| lane.stops.len()))
    }

    /// The stop at which the packet is, from 0.
    pub(crate) fn stop(self) -> usize {
        let step = self.step.get();
        self.lane
            .with(|lane| lane.as_ref().map_or(0, |lane| lane.stop_of(step)))
    }

    /// Puts the packet at a stop, where its outcome is seen; at the last where there are not so many.
    pub(crate) fn seek(self, stop: usize) {
        let step = self.lane.with_untracked(|lane| {
            let stops = &lane.as_ref()?.stops;
            Some(stops.get(stop).or(stops.last())?.main)
        });
        if let Some(step) = step {
            self.step.set(step);
        }
    }

    /// Puts the packet at a single step.
    pub(crate) fn seek_step(self, step: usize) {
        self.playing.set(false);
        self.step.set(step);
    }

    fn each_hop(self) {
        let ms = HOP_MS / self.pace.get_untracked().max(0.05);
        set_timeout(
            move || {
                if self.playing.get_untracked() {
                    let stop = untrack(move || self.stop());
                    if stop + 1 < untrack(move || self.stops()) {
                        self.seek(stop + 1);
                    } else {
                        self.playing.set(false);
                    }
                }
                self.each_hop();
            },
            Duration::from_secs_f64(ms / 1000.0),
        );
    }

    /// Whether the packet is inside the tunnel now.
    pub(crate) fn is_wrapped(self) -> bool {
        let step = self.step.get();
        let lane = self.lane.read();
        let headers = lane
            .as_ref()
            .and_then(|lane| Some(&lane.steps.get(step)?.headers));
        headers.is_some_and(|headers| headers.iter().any(|header| header.outer))
    }

    /// The way on the map to where the packet is, from the stop before.
    pub(crate) fn way(self) -> Vec<Point> {
        let step = self.step.get();
        let (lane, ways) = (self.lane.read(), self.ways.read());
        let Some(lane) = lane.as_ref() else {
            return Vec::new();
        };
        let Some((_, ways)) = ways.iter().find(|(id, _)| *id == lane.id) else {
            return Vec::new();
        };
        let first = match lane
            .stop_of(step)
            .checked_sub(1)
            .and_then(|stop| lane.stops.get(stop))
        {
            Some(before) if before.main < step => before.main + 1,
            _ => step,
        };
        let mut way: Vec<Point> = ways
            .get(first..=step)
            .into_iter()
            .flatten()
            .flatten()
            .copied()
            .collect();
        way.dedup();
        way
    }

    /// Where on the map the packet comes by, all in all.
    pub(crate) fn path(self) -> Vec<Point> {
        let (lane, ways) = (self.lane.read(), self.ways.read());
        let id = lane.as_ref().map(|lane| lane.id);
        let ways = ways.iter().find(|(way, _)| Some(*way) == id);
        ways.into_iter()
            .flat_map(|(_, ways)| ways.iter().flatten().copied())
            .collect()
    }
}

fn set_if_new<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if *signal.read_untracked() != value {
        signal.set(value);
    }
}

/// Milliseconds since the page was opened.
pub(crate) fn now() -> f64 {
    web_sys::window()
        .and_then(|w| w.performance())
        .map_or(0.0, |p| p.now())
}

/// A text as one word of a command line.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
