//! kubectl v1.37: its commands, what they print and how they fail.

pub(crate) mod command;
mod commands;
pub(crate) mod complete;
mod configuration;
mod describe;
mod error;
mod flags;
mod follow;
#[cfg(test)]
mod fuzz;
mod gotemplate;
mod help;
pub(crate) use kubarium_objects::{jsonpath, printers};
mod kyaml;
pub(crate) mod manifest;
mod output;
mod request;
mod resource;
mod table;
pub(crate) mod tree;

pub(crate) use commands::apply::apply_patch;

use std::collections::BTreeSet;
use std::time::Duration;

use kubarium_cluster::{Cluster, Time};
use kubarium_objects::Text;

use crate::kubeconfig::Kubeconfig;
use crate::registry::{self, State};
use crate::session::{Finished, Session, Stream};
use command::{Command, GLOBAL};
use error::{Error, Result};
use flags::{FlagError, Flags};
use follow::Follow;

/// The longest that a command waits that would wait for ever, in simulated time.
const PATIENCE: Duration = Duration::from_secs(600);

/// One run of kubectl.
pub(crate) struct Kubectl<'a> {
    pub session: &'a mut Session,
    pub command: &'static Command,
    /// `kubectl rollout status`
    pub path: String,
    pub flags: Flags,
    pub stdin: Vec<u8>,
    pub cwd: String,
    output: Vec<(Stream, String)>,
    warned: BTreeSet<String>,
    /// What goes on when the command itself has returned.
    follow: Option<Follow>,
    /// What `-k` has built, and of which directory.
    kustomized: Option<(String, String)>,
    /// What `--record` notes beside objects.
    cause: Option<String>,
}

/// A run of kubectl that goes on: it watches, follows or waits while simulated time runs.
#[derive(Clone)]
pub(crate) struct Ongoing {
    command: &'static Command,
    path: String,
    flags: Flags,
    cwd: String,
    warned: BTreeSet<String>,
    started: Time,
    follow: Follow,
    /// The configuration of another file.
    own: Option<Kubeconfig>,
}

/// What `--dry-run` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    None,
    Client,
    Server,
}

impl DryRun {
    /// What is added to a message: ` (dry run)`.
    pub fn suffix(self) -> &'static str {
        match self {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }
}

/// Whether a command line reads its standard input.
pub(crate) fn reads_stdin(argv: &[String]) -> bool {
    let mut words = argv.iter().take_while(|w| *w != "--").peekable();
    while let Some(word) = words.next() {
        let next_is_dash = words.peek().is_some_and(|n| *n == "-");
        let reads = match word.as_str() {
            "-f" | "--filename" | "--patch-file" => next_is_dash,
            "-f-" | "-f=-" | "--filename=-" => true,
            "-i" | "-it" | "-ti" | "--stdin" | "--stdin=true" => true,
            _ => false,
        };
        if reads {
            return true;
        }
    }
    false
}

/// Runs a command line, `argv[0]` being `kubectl`. What goes on after that comes back beside what was
/// written so far.
pub(crate) fn run(
    session: &mut Session,
    argv: &[String],
    stdin: Vec<u8>,
    cwd: &str,
    kubeconfig: &str,
) -> (Finished, Option<Ongoing>) {
    let words = argv.get(1..).unwrap_or(&[]);
    let mut kubectl = match prepare(session, words) {
        Ok(kubectl) => kubectl,
        Err(finished) => return (finished, None),
    };
    kubectl.stdin = stdin;
    kubectl.cwd = cwd.to_owned();
    if let Some(error) = kubectl.connection_error() {
        return (Finished::failed(1, format!("{error}\n")), None);
    }
    let aside = match kubectl.use_own_files(kubeconfig) {
        Ok(aside) => aside,
        Err(error) => return (kubectl.finish(Err(error)), None),
    };
    let mut result = kubectl.carry_out();
    let mut own = None;
    if let Some(aside) = aside {
        own = Some(kubectl.session.kubeconfig.clone());
        result = result.and(kubectl.put_back(aside));
    }
    let ongoing = match kubectl.follow.take() {
        Some(follow) if result.is_ok() => Some(Ongoing {
            command: kubectl.command,
            path: kubectl.path.clone(),
            flags: kubectl.flags.clone(),
            cwd: cwd.to_owned(),
            warned: kubectl.warned.clone(),
            started: kubectl.cluster().now,
            follow,
            own,
        }),
        _ => None,
    };
    (kubectl.finish(result), ongoing)
}

/// Lets a run go on: what it has written since, and when to ask again; `None` where it has ended.
pub(crate) fn go_on(session: &mut Session, ongoing: &mut Ongoing) -> (Finished, Option<Time>) {
    let unattended = !session.attended;
    if let Some(own) = &mut ongoing.own {
        std::mem::swap(own, &mut session.kubeconfig);
    }
    let mut kubectl = Kubectl {
        session,
        command: ongoing.command,
        path: ongoing.path.clone(),
        flags: ongoing.flags.clone(),
        stdin: Vec::new(),
        cwd: ongoing.cwd.clone(),
        output: Vec::new(),
        warned: std::mem::take(&mut ongoing.warned),
        follow: None,
        kustomized: None,
        cause: None,
    };
    let step = ongoing.follow.step(&mut kubectl);
    let now = kubectl.cluster().now;
    ongoing.warned = std::mem::take(&mut kubectl.warned);
    let (result, until) = match step {
        Ok(Some(_)) if unattended && now.since(ongoing.started) > PATIENCE * 6 => (
            Err(Error::Exit(
                130,
                format!(
                    "({} would go on for ever: end it with timeout, as in timeout 30s {})",
                    ongoing.path, ongoing.path
                ),
            )),
            None,
        ),
        Ok(until) => (Ok(()), until),
        Err(error) => (Err(error), None),
    };
    let finished = kubectl.finish(result);
    if let Some(own) = &mut ongoing.own {
        std::mem::swap(own, &mut session.kubeconfig);
    }
    (finished, until)
}

/// Finds the command and reads its flags.
fn prepare<'a>(
    session: &'a mut Session,
    words: &[String],
) -> std::result::Result<Kubectl<'a>, Finished> {
    let fail = |text: String| Finished::failed(1, text);
    let Found {
        command,
        path,
        words,
    } = find(words).map_err(fail)?;
    let Some(command) = command else {
        // pflag refuses what it does not know before there is a command.
        return Err(match Flags::parse(&[GLOBAL], &words, true) {
            Err(FlagError::Bad(text)) => fail(bad_flag(&text, &path)),
            _ => Finished::done(help::overview()),
        });
    };
    if let (State::NotYet(hint), None) = (command.state, command.run) {
        return Err(fail(format!("error: {}\n", registry::not_yet(&path, hint))));
    }
    let mut tables = command.flags.to_vec();
    tables.push(GLOBAL);
    let interspersed = command.name != "exec" || words.iter().any(|w| w == "--");
    let flags = match Flags::parse(&tables, &words, interspersed) {
        Ok(flags) => flags,
        Err(FlagError::Help) => return Err(Finished::done(help::command(command, &path))),
        Err(FlagError::Bad(text)) => {
            return Err(fail(bad_flag(&text, &path)));
        }
    };
    let (output, warned) = (Vec::new(), BTreeSet::new());
    Ok(Kubectl {
        session,
        command,
        path,
        flags,
        stdin: Vec::new(),
        cwd: String::new(),
        output,
        warned,
        follow: None,
        kustomized: None,
        cause: None,
    })
}

fn bad_flag(text: &str, path: &str) -> String {
    format!("error: {text}\nSee '{path} --help' for usage.\n")
}

/// Commands that need no server.
const LOCAL: [&str; 6] = [
    "kubectl config",
    "kubectl completion",
    "kubectl kustomize",
    "kubectl options",
    "kubectl plugin",
    "kubectl help",
];

impl Kubectl<'_> {
    /// What is printed instead of an answer while the API server cannot be reached.
    fn connection_error(&self) -> Option<String> {
        let local = self.is_local()
            || LOCAL.iter().any(|l| self.path.starts_with(l))
            || self.flags.str("dry-run") == "client" && self.path.starts_with("kubectl create ");
        if local {
            return None;
        }
        self.session.simulation.cluster.connection_error()
    }
}

struct Found {
    command: Option<&'static Command>,
    path: String,
    words: Vec<String>,
}

/// Finds the command among the words as cobra does: the first word that is no flag (nor a flag's
/// value) names it.
fn find(words: &[String]) -> std::result::Result<Found, String> {
    let mut words = words.to_vec();
    let mut path = "kubectl".to_owned();
    let mut here: Option<&'static Command> = None;
    loop {
        let commands = here.map_or(tree::ROOT, |c| c.commands);
        if commands.is_empty() {
            return Ok(Found {
                command: here,
                path,
                words,
            });
        }
        let Some(at) = first_word(&words, here) else {
            return Ok(Found {
                command: here,
                path,
                words,
            });
        };
        let word = words[at].clone();
        if here.is_none() && word == "help" {
            words.remove(at);
            words.push("--help".to_owned());
            continue;
        }
        match commands.iter().find(|c| c.is_called(&word)) {
            Some(command) => {
                path = format!("{path} {}", command.name);
                words.remove(at);
                here = Some(command);
            }
            None if here.is_none() => return Err(unknown_command(&word)),
            None => {
                return Ok(Found {
                    command: here,
                    path,
                    words,
                });
            }
        }
    }
}

fn first_word(words: &[String], here: Option<&'static Command>) -> Option<usize> {
    let takes_value = |word: &str| {
        let own = here.map_or(&[][..], |c| c.flags);
        let known = own.iter().flat_map(|t| t.iter()).chain(GLOBAL);
        let named = |f: &&flags::Flag| match word.strip_prefix("--") {
            Some(long) => f.name == long,
            None => f
                .short
                .is_some_and(|s| word.strip_prefix('-') == Some(s.encode_utf8(&mut [0; 4]))),
        };
        let found = known.into_iter().find(named);
        found.is_some_and(|f| !matches!(f.kind, flags::Kind::Bool | flags::Kind::Optional(_)))
    };
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if word == "--" {
            return None;
        }
        if word.starts_with('-') && word.len() > 1 {
            at += 1 + usize::from(takes_value(word));
        } else {
            return Some(at);
        }
    }
    None
}

fn unknown_command(word: &str) -> String {
    let mut text = format!(
        "error: unknown command {} for \"kubectl\"\n",
        kubarium_objects::go::quote(word)
    );
    let lower = word.to_lowercase();
    let near: Vec<&str> = tree::ROOT
        .iter()
        .map(|c| c.name)
        .filter(|name| distance(&lower, name) <= 2 || name.starts_with(&lower))
        .collect();
    if !near.is_empty() {
        text.push_str("\nDid you mean this?\n");
        near.iter()
            .for_each(|name| text.push_str(&format!("\t{name}\n")));
    }
    text
}

/// Levenshtein's distance, as cobra suggests by.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = corner + usize::from(ca != *cb);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

impl Kubectl<'_> {
    fn carry_out(&mut self) -> Result {
        for flag in self.flags.given().collect::<Vec<_>>() {
            if !flag.deprecated.is_empty() {
                self.err(format!(
                    "Flag --{} has been deprecated, {}\n",
                    flag.name, flag.deprecated
                ));
            }
            let wanted = self.flags.str(flag.name) != flag.default;
            if let State::NotYet(hint) = flag.state
                && wanted
            {
                return error::plain(registry::not_yet(
                    &format!("{} --{}", self.path, flag.name),
                    hint,
                ));
            }
        }
        let missing = self.flags.missing();
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|n| format!("\"{n}\"")).collect();
            return error::plain(format!("required flag(s) {} not set", names.join(", ")));
        }
        self.check_globals()?;
        self.cause = self.flags.bool("record").then(|| self.command_line());
        if self.flags.str("dry-run") == "unchanged" {
            self.log_warning(
                "helpers.go:714",
                "--dry-run is deprecated and can be replaced with --dry-run=client.",
            );
        }
        if self.flags.changed("kustomize") {
            self.kustomize()?;
        }
        let dry = matches!(self.flags.str("dry-run"), "client" | "unchanged");
        if self.command.changes && !dry && !self.is_local() {
            self.session.changing();
        }
        match self.command.run {
            Some(run) => run(self),
            // `DefaultSubCommandRun`
            None if self.flags.args.is_empty() => {
                let text = help::command(self.command, &self.path);
                self.out(text);
                // This one alone prints its help as if it had been asked to (`certificates.go`).
                match self.command.name {
                    "certificate" => Ok(()),
                    _ => Err(Error::Exit(1, String::new())),
                }
            }
            None => Err(self.usage(format!(
                "unknown command {}",
                kubarium_objects::go::quote(&self.flags.args.join(" "))
            ))),
        }
    }

    /// `-k`: the directory's objects stand in for files.
    fn kustomize(&mut self) -> Result {
        if !self.flags.list("filename").is_empty() {
            return error::plain("only one of -f or -k can be specified");
        }
        if self.flags.bool("recursive") {
            return error::plain("the -k flag can't be used with -f or -R");
        }
        let directory = self.flags.str("kustomize").to_owned();
        let objects = commands::kustomize::build(self, &directory)?;
        let texts: Vec<String> = objects
            .iter()
            .map(kubarium_objects::yaml::to_yaml)
            .collect();
        self.kustomized = Some((directory.clone(), texts.join("---\n")));
        self.flags.give("filename", directory);
        Ok(())
    }

    fn check_globals(&mut self) -> Result {
        let timeout = self.flags.str("request-timeout");
        let fine = timeout.parse::<u64>().is_ok() || flags::go_duration(timeout).is_ok();
        if !fine {
            return error::plain(
                "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)",
            );
        }
        Ok(())
    }

    fn finish(mut self, result: Result) -> Finished {
        let status = match result {
            Ok(()) => 0,
            Err(error) => {
                let text = error.printed();
                self.err(text);
                // 1 says that there is a difference.
                match error {
                    Error::Exit(status, _) => status,
                    _ if self.command.name == "diff" => 2,
                    error => error.status(),
                }
            }
        };
        let output = self.output.into_iter();
        Finished {
            output: output.map(|(s, text)| (s, text.into_bytes())).collect(),
            status,
        }
    }

    /// Writes to standard output.
    pub fn out(&mut self, text: impl Into<String>) {
        self.put(Stream::Out, text.into());
    }

    /// Writes to standard error.
    pub fn err(&mut self, text: impl Into<String>) {
        self.put(Stream::Err, text.into());
    }

    fn put(&mut self, stream: Stream, text: String) {
        if text.is_empty() {
            return;
        }
        match self.output.last_mut() {
            Some((last, so_far)) if *last == stream => so_far.push_str(&text),
            _ => self.output.push((stream, text)),
        }
    }

    /// A warning as the API server sends it; the same one only once.
    pub fn warn(&mut self, text: &str) {
        if self.warned.insert(text.to_owned()) {
            self.err(format!("Warning: {text}\n"));
        }
    }

    /// A warning as kubectl's own log has it (klog).
    pub fn log_warning(&mut self, place: &str, text: &str) {
        let now = self.cluster().now.rfc3339_micro();
        let (date, clock) = (now.get(5..10).unwrap_or(""), now.get(11..26).unwrap_or(""));
        let date = date.replace('-', "");
        self.err(format!("W{date} {clock}    1000 {place}] {text}\n"));
    }

    /// `error: …` with a pointer to the command's help (`cmdutil.UsageErrorf`).
    pub fn usage(&self, text: impl AsRef<str>) -> Error {
        Error::Plain(format!(
            "{}\nSee '{} -h' for help and examples",
            text.as_ref(),
            self.path
        ))
    }

    /// Refuses arguments where a command takes none.
    pub fn no_arguments(&self) -> Result {
        if self.flags.args.is_empty() {
            return Ok(());
        }
        let given = self.flags.args.join(" ");
        Err(self.usage(format!("unexpected arguments: [{given}]")))
    }

    /// `cmdutil.GetPodRunningTimeoutFlag`
    pub fn pod_running_timeout(&self) -> Result<Duration> {
        let limit = self.flags.duration("pod-running-timeout");
        if limit.is_zero() {
            return Err(self.usage("--pod-running-timeout must be higher than zero"));
        }
        Ok(limit)
    }

    /// Whether the command works on files alone (`--local`).
    pub fn is_local(&self) -> bool {
        self.command.changes && self.flags.bool("local")
    }

    /// Whether what the command changes is only printed.
    pub fn only_prints(&self) -> Result<bool> {
        Ok(self.is_local() || self.dry_run()? == DryRun::Client)
    }

    /// Refuses `--local` together with `--dry-run=server`.
    pub fn check_local(&self) -> Result {
        if self.is_local() && self.dry_run()? == DryRun::Server {
            return error::plain(
                "cannot specify --local and --dry-run=server - did you mean --dry-run=client?",
            );
        }
        Ok(())
    }

    /// What a command that is not modelled says once its arguments are found right.
    pub fn not_yet(&self) -> Result {
        let hint = match self.command.state {
            State::NotYet(hint) => hint,
            _ => "",
        };
        error::plain(registry::not_yet(&self.path, hint))
    }

    pub fn cluster(&self) -> &Cluster {
        &self.session.simulation.cluster
    }

    /// The namespace of the command: `-n`, or the context's.
    pub fn namespace(&self) -> Text {
        match self.flags.str("namespace") {
            "" => Text::from(self.session.kubeconfig.namespace(self.flags.str("context"))),
            given => given.into(),
        }
    }

    /// Whether `-n` was given: objects that name another namespace are refused then.
    pub fn namespace_is_given(&self) -> bool {
        !self.flags.str("namespace").is_empty()
    }

    /// The moment, in seconds since the Unix epoch.
    pub fn now(&self) -> i64 {
        self.cluster().now.unix_seconds()
    }

    /// Changes the cluster, with the command as the cause.
    pub fn change<T>(&mut self, what: impl FnOnce(&mut Cluster) -> T) -> T {
        self.session.change(what)
    }

    /// Lets simulated time run until `done` says so; whether it did. Everything that waits, waits
    /// here.
    pub fn wait(&mut self, limit: Duration, done: impl FnMut(&Cluster) -> bool) -> bool {
        self.session.wait(limit, done)
    }

    /// How long a command with this time limit waits at the most; a limit of 0 means for ever.
    pub fn patience(limit: Duration) -> Duration {
        if limit.is_zero() { PATIENCE } else { limit }
    }

    /// What `--dry-run` says.
    pub fn dry_run(&self) -> Result<DryRun> {
        match self.flags.str("dry-run") {
            "client" => Ok(DryRun::Client),
            "server" => Ok(DryRun::Server),
            "none" | "" => Ok(DryRun::None),
            "unchanged" => Ok(DryRun::Client),
            other => error::plain(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            )),
        }
    }
}
