//! A state that travels: what `sim save` writes and a link holds.
//!
//! The simulation is deterministic, so a state is not the cluster but how one gets there: the
//! cluster's configuration with its seed, and everything that was given to the terminal since, each
//! with its place in simulated time. `sim undo`, `sim goto` and `sim branch` are among it, so what
//! was undone and what lies on other branches is there too. Loading a state carries all of it out
//! again ([`Replay`]), and what comes of it goes on byte for byte as the original would.
//!
//! In JSON, `history` last, so that of a text that was cut short its beginning can be saved:
//!
//! ```json
//! {"format": "kubarium/state/v1", "program": "0.1.0", "cluster": {…}, "objects": […], "view": …,
//!  "end": {"at": 61000000000, "steps": 512, "events": 204},
//!  "history": [{"at": 9000000000, "steps": 400, "run": "kubectl get pods"},
//!              {"at": 9000000000, "steps": 400, "file": "/root/web.yaml", "text": "…"}]}
//! ```
//!
//! A command line in the foreground of a terminal has `begin`, `goOn` (to a time) and `interrupt`, what is typed at a shell
//! elsewhere `type`; `close` ends a terminal. `terminal` names one beside the first.
//! `at` is in nanoseconds of simulated time; `steps` counts the tasks carried out by then, which
//! tells the place among tasks of one moment. Binary files have `base64` in place of `text`.

use std::fmt::Write as _;
use std::sync::Arc;

use kubarium_cluster::{Config, EventId, Simulation, Time};
use kubarium_objects::{Value, array, base64, object};
use kubarium_posix::{Dialect, Reader};

use crate::session::Session;

/// The format's name without its number.
const FORMAT: &str = "kubarium/state/v";
/// The number of the format that is written, and the highest that is read.
const FORMAT_VERSION: u32 = 1;
/// The version of the program: another one may simulate something else.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// The most bytes of a state's text.
pub const STATE_BYTES_MAX: usize = 4 << 20;
/// The most that is kept of what was given to a terminal.
const HISTORY_MAX: usize = 10_000;
/// The most machines of a state: it may come from anybody.
const NODES_MAX: usize = 5_000;
/// The most bytes of the view.
const VIEW_BYTES_MAX: usize = 64 << 10;
/// Where a text is cut short, how many places are tried for its end.
const SALVAGE_TRIES: usize = 256;

/// Something that was given to the terminal from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The simulated time.
    pub at: Time,
    /// How many tasks had been carried out.
    pub steps: u64,
    /// What it was.
    pub given: Given,
    /// The terminal; empty for the first.
    pub terminal: String,
}

/// What was given to the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A command line, with its here-documents.
    Run(String),
    /// A command line that was begun in the foreground.
    Begin(String),
    /// The one in the foreground was let go on to that time.
    GoOn(Time),
    /// The one in the foreground was interrupted.
    Interrupt,
    /// A line for the shell elsewhere in the foreground.
    Type(String),
    /// The terminal was closed.
    Close,
    /// To go to the moment just after an event, on the timeline.
    Goto(EventId),
    /// A file's content.
    File {
        /// Its absolute path.
        path: String,
        /// What is in it.
        bytes: Arc<[u8]>,
    },
}

/// Where a history ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The simulated time.
    pub at: Time,
    /// How many tasks had been carried out.
    pub steps: u64,
    /// How many events the log had.
    pub events: usize,
}

/// A state, as described above.
#[derive(Clone, Debug)]
pub struct State {
    /// The version of the program that saved it.
    pub program: String,
    /// How the cluster was set up, with its seed and the objects that it started with.
    pub cluster: Config,
    /// What was given to the terminal, in order.
    pub history: Vec<Input>,
    /// Where it ended; `None` where that is not known: just after the last input.
    pub end: Option<End>,
    /// What was looked at, in the words of whoever draws; null on the command line.
    pub view: Value,
}

/// Why a state cannot be read.
#[derive(Clone, Debug)]
pub struct StateError {
    /// A sentence or two: what is wrong, and what to do.
    pub message: String,
    /// What can be saved of it.
    pub saved: Option<Box<State>>,
}

impl StateError {
    fn new(message: impl Into<String>) -> StateError {
        StateError {
            message: message.into(),
            saved: None,
        }
    }
}

/// What a terminal was given since it began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    inputs: Arc<Vec<Input>>,
    bytes: usize,
    /// Too much was given to be kept.
    overflown: bool,
}

impl Journal {
    pub fn add(&mut self, at: Time, steps: u64, given: Given, terminal: String) {
        self.bytes += match &given {
            Given::Run(text) | Given::Begin(text) | Given::Type(text) => text.len(),
            Given::GoOn(_) | Given::Interrupt | Given::Close | Given::Goto(_) => 0,
            Given::File { path, bytes } => path.len() + bytes.len(),
        };
        self.overflown |= self.inputs.len() >= HISTORY_MAX || self.bytes > STATE_BYTES_MAX / 2;
        if !self.overflown {
            Arc::make_mut(&mut self.inputs).push(Input {
                at,
                steps,
                given,
                terminal,
            });
        }
    }
}

impl Session {
    /// The state, to be saved.
    ///
    /// # Errors
    /// A sentence where more was given to the terminal than is kept.
    pub fn state(&self) -> Result<State, String> {
        if self.journal.overflown {
            return Err(format!(
                "the history is too long to be saved: it has more than {HISTORY_MAX} commands, or \
                 more than {} MiB of files",
                STATE_BYTES_MAX >> 21
            ));
        }
        let cluster = &self.simulation.cluster;
        Ok(State {
            program: PROGRAM.to_owned(),
            cluster: (*cluster.config).clone(),
            history: self.journal.inputs.to_vec(),
            end: Some(End {
                at: cluster.now,
                steps: cluster.steps(),
                events: cluster.log.len(),
            }),
            view: self.view.clone(),
        })
    }
}

impl State {
    /// The beginning of a history: a cluster to which nothing was given yet.
    pub fn new(cluster: Config) -> State {
        State {
            program: PROGRAM.to_owned(),
            cluster,
            history: Vec::new(),
            end: None,
            view: Value::Null,
        }
    }

    /// Its text, as described above.
    pub fn write(&self) -> String {
        let mut head = object([
            ("cluster", configuration(&self.cluster)),
            ("format", format!("{FORMAT}{FORMAT_VERSION}").into()),
            ("program", self.program.as_str().into()),
        ]);
        if !self.cluster.objects.is_empty() {
            head["objects"] = array(self.cluster.objects.iter().cloned());
        }
        if let Some(end) = self.end {
            head["end"] = object([
                ("at", integer(end.at.0)),
                ("steps", integer(end.steps)),
                ("events", integer(end.events as u64)),
            ]);
        }
        if !self.view.is_null() {
            head["view"] = self.view.clone();
        }
        let mut text = head.to_json();
        text.pop();
        text += ",\"history\":[";
        for (index, input) in self.history.iter().enumerate() {
            let mut entry = object([("at", integer(input.at.0)), ("steps", integer(input.steps))]);
            match &input.given {
                Given::Run(line) => entry["run"] = line.as_str().into(),
                Given::Begin(line) => entry["begin"] = line.as_str().into(),
                Given::GoOn(until) => entry["goOn"] = integer(until.0),
                Given::Interrupt => entry["interrupt"] = true.into(),
                Given::Type(line) => entry["type"] = line.as_str().into(),
                Given::Close => entry["close"] = true.into(),
                Given::Goto(event) => entry["goto"] = integer(event.0.into()),
                Given::File { path, bytes } => {
                    entry["file"] = path.as_str().into();
                    match std::str::from_utf8(bytes) {
                        Ok(text) => entry["text"] = text.into(),
                        Err(_) => entry["base64"] = base64::encode(bytes).into(),
                    }
                }
            }
            if !input.terminal.is_empty() {
                entry["terminal"] = input.terminal.as_str().into();
            }
            if index > 0 {
                text.push(',');
            }
            text += &entry.to_json();
        }
        text += "]}";
        text
    }

    /// Reads a state's text.
    ///
    /// # Errors
    /// What is wrong with it, and what can be saved of it.
    pub fn read(text: &str) -> Result<State, StateError> {
        if text.len() > STATE_BYTES_MAX {
            return Err(StateError::new(format!(
                "the state is larger than {} MiB, which is too much",
                STATE_BYTES_MAX >> 20
            )));
        }
        let why = match Value::from_json(text) {
            Ok(value) => return State::decode(&value),
            Err(error) => error,
        };
        let message = format!("the state is damaged or was cut short ({why})");
        // What is whole up to some entry of the history can be saved.
        let ends = text.match_indices('}').map(|(at, _)| at + 1);
        let ends: Vec<usize> = ends.collect();
        for end in ends.into_iter().rev().take(SALVAGE_TRIES) {
            let begun = format!("{}]}}", text.get(..end).unwrap_or(""));
            let Ok(value) = Value::from_json(&begun) else {
                continue;
            };
            let mut saved = match State::decode(&value) {
                Ok(state) => state,
                Err(StateError {
                    saved: Some(state), ..
                }) => *state,
                Err(_) => continue,
            };
            saved.end = None;
            return Err(StateError {
                message: format!(
                    "{message}; its first {} inputs can be saved",
                    saved.history.len()
                ),
                saved: Some(Box::new(saved)),
            });
        }
        Err(StateError::new(format!(
            "{message}; nothing can be saved of it"
        )))
    }

    fn decode(value: &Value) -> Result<State, StateError> {
        let format = value["format"].str();
        let Some(version) = format
            .strip_prefix(FORMAT)
            .and_then(|v| v.parse::<u32>().ok())
        else {
            return Err(StateError::new(format!(
                "this is no saved state: its format is {format:?}, not \"{FORMAT}{FORMAT_VERSION}\""
            )));
        };
        let mut wrong = Vec::new();
        if version > FORMAT_VERSION {
            wrong.push(format!(
                "the state was saved by a newer version (format {version}; this one reads up to \
                 {FORMAT_VERSION})"
            ));
        }
        let cluster = match cluster(value) {
            Ok(cluster) => cluster,
            Err(why) => {
                wrong.push(why);
                Config::default()
            }
        };
        let mut history = Vec::new();
        let entries = value["history"].items();
        for (index, entry) in entries.iter().enumerate().take(HISTORY_MAX) {
            match input(entry) {
                Ok(input) => history.push(input),
                Err(why) => {
                    wrong.push(format!("history[{index}]: {why}"));
                    break;
                }
            }
        }
        if entries.len() > HISTORY_MAX {
            wrong.push(format!("the history has more than {HISTORY_MAX} inputs"));
        }
        let mut view = value["view"].clone();
        if view.to_json().len() > VIEW_BYTES_MAX {
            wrong.push("the view is too large".to_owned());
            view = Value::Null;
        }
        let end = value
            .get("end")
            .filter(|_| wrong.is_empty())
            .map(|end| End {
                at: Time(natural(&end["at"])),
                steps: natural(&end["steps"]),
                events: natural(&end["events"]) as usize,
            });
        let state = State {
            program: value["program"].str().chars().take(64).collect(),
            cluster,
            history,
            end,
            view,
        };
        match wrong.first() {
            None => Ok(state),
            Some(first) => Err(StateError {
                message: format!(
                    "{first}; {} of its {} inputs can be saved",
                    state.history.len(),
                    entries.len()
                ),
                saved: Some(Box::new(state)),
            }),
        }
    }

    /// What was given to the terminal as a script for `kubarium sh`: readable, and all that is left
    /// where a state cannot be carried out.
    pub fn script(&self) -> String {
        let mut script = String::new();
        let mut before = Time::default();
        for input in &self.history {
            let waited = input.at.since(before).as_millis();
            if before != Time::default() && waited > 0 {
                let _ = writeln!(script, "sim advance {waited}ms");
            }
            before = input.at;
            match &input.given {
                Given::Run(line) | Given::Begin(line) => {
                    let _ = writeln!(script, "{line}");
                }
                Given::Goto(event) => {
                    let _ = writeln!(script, "sim goto {event}");
                }
                // A script has no shell that waits for it elsewhere.
                Given::Type(line) => {
                    let _ = writeln!(script, "# typed there: {}", line.replace('\n', "\n# "));
                }
                Given::GoOn(_) | Given::Interrupt | Given::Close => {}
                Given::File { path, bytes } => {
                    let text = String::from_utf8_lossy(bytes);
                    let mut mark = "END".to_owned();
                    while text.lines().any(|line| line == mark) {
                        mark.push('_');
                    }
                    let newline = if text.ends_with('\n') { "" } else { "\n" };
                    let _ = writeln!(
                        script,
                        "cat > {} <<'{mark}'\n{text}{newline}{mark}",
                        kubarium_posix::quote(path)
                    );
                }
            }
        }
        script
    }
}

fn integer(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn natural(value: &Value) -> u64 {
    value
        .as_i64()
        .and_then(|n| u64::try_from(n).ok())
        .unwrap_or(0)
}

/// What differs from the usual configuration.
fn configuration(config: &Config) -> Value {
    let fields = |config: &Config| {
        serde_json::to_string(config)
            .ok()
            .and_then(|text| Value::from_json(&text).ok())
            .unwrap_or_default()
    };
    let usual = fields(&Config::default());
    let mut own = fields(config);
    own.object_mut()
        .retain(|name, value| usual.get(name) != Some(value) && !value.is_null());
    own
}

fn cluster(value: &Value) -> Result<Config, String> {
    let text = match value.get("cluster") {
        Some(cluster) => cluster.to_json(),
        None => "{}".to_owned(),
    };
    let mut config: Config =
        serde_json::from_str(&text).map_err(|error| format!("the cluster: {error}"))?;
    if config.nodes.len() > NODES_MAX {
        return Err(format!(
            "the cluster has {} machines; at most {NODES_MAX} are possible",
            config.nodes.len()
        ));
    }
    config.objects = value["objects"].items().to_vec();
    Ok(config)
}

fn input(entry: &Value) -> Result<Input, String> {
    let given = match (entry.get("run"), entry.get("file")) {
        (Some(Value::String(line)), None) => Given::Run(line.to_string()),
        (None, None) if !entry["begin"].is_null() => Given::Begin(entry["begin"].str().to_owned()),
        (None, None) if !entry["goOn"].is_null() => Given::GoOn(Time(natural(&entry["goOn"]))),
        (None, None) if !entry["interrupt"].is_null() => Given::Interrupt,
        (None, None) if !entry["type"].is_null() => Given::Type(entry["type"].str().to_owned()),
        (None, None) if !entry["close"].is_null() => Given::Close,
        (None, None) if !entry["goto"].is_null() => {
            let event = u32::try_from(natural(&entry["goto"])).unwrap_or(u32::MAX);
            Given::Goto(EventId(event))
        }
        (None, Some(Value::String(path))) => {
            let bytes = match (entry.get("text"), entry.get("base64")) {
                (Some(Value::String(text)), None) => text.as_bytes().to_vec(),
                (None, Some(Value::String(text))) => base64::decode(text)
                    .map_err(|at| format!("the base64 text is wrong at byte {at}"))?,
                _ => return Err("a file needs its text or its base64".to_owned()),
            };
            Given::File {
                path: path.to_string(),
                bytes: bytes.into(),
            }
        }
        _ => {
            return Err(
                "it needs one of run, begin, goOn, interrupt, type, close, goto and file"
                    .to_owned(),
            );
        }
    };
    Ok(Input {
        at: Time(natural(&entry["at"])),
        steps: natural(&entry["steps"]),
        given,
        terminal: entry["terminal"].str().to_owned(),
    })
}

/// Gives a terminal again what it was given.
fn give(session: &mut Session, given: &Given) {
    match given {
        Given::Run(line) => {
            session.run(line);
        }
        Given::Begin(line) => {
            if let Some(Ok(command)) = Reader::new(line, Dialect::Bash).next() {
                session.begin(&command);
            }
        }
        Given::GoOn(until) => drop(session.go_on(*until)),
        Given::Interrupt => drop(session.interrupt()),
        Given::Type(line) => drop(session.type_in(line)),
        // The terminals are somebody else's to close.
        Given::Close => {}
        // Where there was no such moment, there is none now.
        Given::Goto(event) => drop(session.goto(*event)),
        Given::File { path, bytes } => {
            // It was written once, so there is room for it.
            let _ = session.write_file(path, bytes);
        }
    }
}

/// A state that is being carried out again, piece by piece where that takes long.
pub struct Replay {
    session: Session,
    state: State,
    next: usize,
    /// The same program saved it: its steps are ours.
    exact: bool,
}

impl Replay {
    /// Starts the cluster.
    pub fn new(state: State) -> Replay {
        let mut session = Session::new(Simulation::new(state.cluster.clone()));
        session.view = state.view.clone();
        Replay {
            exact: state.program == PROGRAM,
            session,
            state,
            next: 0,
        }
    }

    /// How many inputs have been given again, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.next, self.state.history.len())
    }

    /// Goes on with at most `budget` tasks of the cluster, or one input; whether all is done.
    pub fn run(&mut self, budget: usize) -> bool {
        let Some(input) = self.state.history.get(self.next).cloned() else {
            return match self.state.end {
                Some(end) => self.reach(end.at, end.steps, budget),
                None => true,
            };
        };
        if !self.reach(input.at, input.steps, budget) {
            return false;
        }
        match &input.given {
            Given::Close => self.session.close(&input.terminal),
            given => self
                .session
                .at(&input.terminal, |session| give(session, given)),
        }
        self.next += 1;
        false
    }

    /// Lets time run to a place in the history; whether it is there.
    fn reach(&mut self, at: Time, steps: u64, budget: usize) -> bool {
        let simulation = &mut self.session.simulation;
        for _ in 0..budget {
            let due = simulation.cluster.queue.next_at().is_some_and(|t| t <= at);
            if !due || (self.exact && simulation.cluster.steps() >= steps) {
                simulation.cluster.now = simulation.cluster.now.max(at);
                return true;
            }
            simulation.step();
        }
        false
    }

    /// The terminal as it was, and a remark where it is not quite so.
    pub fn finish(mut self) -> (Session, Option<String>) {
        while !self.run(usize::MAX) {}
        let cluster = &self.session.simulation.cluster;
        let remark = self.state.end.and_then(|end| {
            let now = (cluster.now, cluster.log.len());
            let same = now == (end.at, end.events);
            let other = if self.exact {
                String::new()
            } else {
                format!(" It was saved by version {}.", self.state.program)
            };
            (!same).then(|| {
                format!(
                    "the cluster is not quite as it was: it has {} events at {}, and had {} at {}.{other}",
                    now.1, now.0, end.events, end.at
                )
            })
        });
        (self.session, remark)
    }
}
