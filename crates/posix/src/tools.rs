//! The usual text tools, as pure functions over arguments, standard input and files.
//!
//! They do what GNU's do; where [`Dialect::Ash`] says busybox, messages are busybox's.

pub(crate) mod format;
pub(crate) mod regex;
pub(crate) mod xargs;

mod awk;
mod cat;
mod columns;
mod compare;
mod count;
pub(crate) mod date;
mod encode;
mod ends;
pub(crate) mod files;
mod grep;
mod jq;
mod listing;
mod names;
mod options;
mod sed;
mod sort;
mod system;

use crate::host::{Files, Host, Status, Time};
use crate::process::{Process, Task};
use crate::syntax::Dialect;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a tool ends without a status of its own.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It wants its standard input, which has not been gathered yet. Nothing was changed so far.
    Starved,
    /// Its status, and the message that follows its name and a colon.
    Message(Status, String),
}

pub(crate) type Outcome = Result<Status, Failure>;

/// A failure with status 1.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Message(1, message.into()))
}

/// A text tool.
#[derive(Debug)]
pub(crate) struct Entry {
    pub name: &'static str,
    pub run: fn(&mut Context) -> Outcome,
    /// What it is run as, where it need not wait for the end of its standard input.
    pub stream: fn(Tool, &[String]) -> Option<Task>,
}

pub(crate) type Tool = &'static Entry;

/// What a tool is run with, and what it writes.
pub(crate) struct Context<'a> {
    /// Its arguments, without its name.
    pub args: &'a [String],
    stdin: Option<&'a [u8]>,
    pub files: &'a mut dyn Files,
    pub env: BTreeMap<String, String>,
    pub cwd: Arc<str>,
    pub now: Time,
    pub hostname: String,
    pub user: crate::User,
    pub uname: [String; 5],
    pub dialect: Dialect,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    /// Work done, in the machine's steps.
    pub steps: u64,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        host: &'a mut dyn Host,
        argv: &'a [String],
        stdin: Option<&'a [u8]>,
        process: &Process,
        dialect: Dialect,
    ) -> Context<'a> {
        Context {
            args: argv.get(1..).unwrap_or_default(),
            stdin,
            env: process.exported(),
            cwd: process.cwd.clone(),
            now: host.now(),
            hostname: host.hostname(),
            user: host.user(),
            uname: host.uname(),
            dialect,
            out: Vec::new(),
            err: Vec::new(),
            steps: 0,
            files: host.files_mut(),
        }
    }

    /// Standard input, whole.
    pub(crate) fn stdin(&self) -> Result<&'a [u8], Failure> {
        self.stdin.ok_or(Failure::Starved)
    }

    /// The absolute path that an argument means.
    pub(crate) fn path(&self, path: &str) -> String {
        crate::text::absolute(&self.cwd, path)
    }

    /// A file's content; `-` is standard input.
    pub(crate) fn read(&self, file: &str) -> Result<Result<Arc<[u8]>, String>, Failure> {
        if file == "-" || file == "/dev/stdin" {
            return Ok(Ok(self.stdin()?.into()));
        }
        if file == "/dev/null" {
            return Ok(Ok([].into()));
        }
        Ok(self
            .files
            .read(&self.path(file))
            .map_err(|error| match self.dialect {
                Dialect::Ash => format!("can't open '{file}': {error}"),
                _ => format!("{file}: {error}"),
            }))
    }

    /// All named files' text one after the other, standard input where none is named. Those that
    /// cannot be read are told of under `name`; the status says so.
    pub(crate) fn read_all(
        &mut self,
        name: &str,
        files: &[String],
    ) -> Result<(Vec<u8>, Status), Failure> {
        let mut all = Vec::new();
        let mut status = 0;
        if files.is_empty() {
            return Ok((self.stdin()?.to_vec(), 0));
        }
        for file in files {
            match self.read(file)? {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(message) => {
                    self.complain(name, &message);
                    status = 1;
                }
            }
        }
        Ok((all, status))
    }

    /// Runs another tool on an input: what it writes, and its status.
    pub(crate) fn nested(
        &mut self,
        tool: Tool,
        argv: &[String],
        input: &[u8],
    ) -> (Vec<u8>, Vec<u8>, Status) {
        let mut context = Context {
            args: argv.get(1..).unwrap_or_default(),
            stdin: Some(input),
            files: &mut *self.files,
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            now: self.now,
            hostname: self.hostname.clone(),
            user: self.user.clone(),
            uname: self.uname.clone(),
            dialect: self.dialect,
            out: Vec::new(),
            err: Vec::new(),
            steps: 0,
        };
        let status = match (tool.run)(&mut context) {
            Ok(status) => status,
            Err(Failure::Message(status, message)) => {
                context.complain(tool.name, &message);
                status
            }
            Err(Failure::Starved) => 1,
        };
        let Context {
            out, err, steps, ..
        } = context;
        self.steps += steps;
        (out, err, status)
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn complain(&mut self, name: &str, message: &str) {
        self.err
            .extend_from_slice(format!("{name}: {message}\n").as_bytes());
    }
}

/// The lines of a text, without their ends.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n')
        .unwrap_or(text)
        .split('\n')
        .filter(move |_| !text.is_empty())
}

/// Tools that wait for all of their input.
pub(crate) fn whole(_: Tool, _: &[String]) -> Option<Task> {
    None
}

/// Every tool, by name.
static TABLE: &[Entry] = &[
    entry("arch", system::arch, whole),
    entry("awk", awk::awk, whole),
    entry("base64", encode::base64, whole),
    entry("basename", names::basename, whole),
    entry("cat", cat::cat, cat::stream),
    entry("chmod", files::chmod, whole),
    entry("cmp", compare::cmp, whole),
    entry("column", columns::column, whole),
    entry("comm", compare::comm, whole),
    entry("cp", files::cp, whole),
    entry("cut", columns::cut, columns::cut_stream),
    entry("date", date::date, whole),
    entry("diff", compare::diff, whole),
    entry("dirname", names::dirname, whole),
    entry("du", listing::du, whole),
    entry("egrep", grep::egrep, grep::stream),
    entry("expr", compare::expr, whole),
    entry("fgrep", grep::fgrep, grep::stream),
    entry("find", listing::find, whole),
    entry("fold", columns::fold, whole),
    entry("gawk", awk::awk, whole),
    entry("grep", grep::grep, grep::stream),
    entry("head", ends::head, ends::head_stream),
    entry("hostname", system::hostname, whole),
    entry("id", system::id, whole),
    entry("jq", jq::jq, whole),
    entry("ln", files::ln, whole),
    entry("ls", listing::ls, whole),
    entry("mawk", awk::awk, whole),
    entry("md5sum", encode::md5sum, whole),
    entry("mkdir", files::mkdir, whole),
    entry("mktemp", files::mktemp, whole),
    entry("mv", files::mv, whole),
    entry("nl", columns::nl, whole),
    entry("nproc", system::nproc, whole),
    entry("paste", columns::paste, whole),
    entry("printenv", system::printenv, whole),
    entry("readlink", names::readlink, whole),
    entry("realpath", names::realpath, whole),
    entry("rev", columns::rev, whole),
    entry("rm", files::rm, whole),
    entry("rmdir", files::rmdir, whole),
    entry("sed", sed::sed, whole),
    entry("seq", names::seq, whole),
    entry("sha256sum", encode::sha256sum, whole),
    entry("sort", sort::sort, whole),
    entry("stat", listing::stat, whole),
    entry("sync", system::nothing, whole),
    entry("tac", columns::tac, whole),
    entry("tail", ends::tail, ends::tail_stream),
    entry("tee", files::tee, files::tee_stream),
    entry("touch", files::touch, whole),
    entry("tr", columns::tr, columns::tr_stream),
    entry("tty", system::tty, whole),
    entry("uname", system::uname, whole),
    entry("uniq", count::uniq, whole),
    entry("wc", count::wc, whole),
    entry("whoami", system::whoami, whole),
    entry("yes", system::nothing, system::yes_stream),
];

const fn entry(
    name: &'static str,
    run: fn(&mut Context) -> Outcome,
    stream: fn(Tool, &[String]) -> Option<Task>,
) -> Entry {
    Entry { name, run, stream }
}

/// The tool of this name.
pub(crate) fn find(name: &str) -> Option<Tool> {
    TABLE
        .binary_search_by_key(&name, |e| e.name)
        .ok()
        .map(|i| &TABLE[i])
}

/// Whether there is a text tool of this name (the last part of a path).
pub fn is_tool(name: &str) -> bool {
    find(base_name(name)).is_some()
}

/// The names of all text tools, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|e| e.name)
}

pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The task that runs a tool.
pub(crate) fn task(tool: Tool, argv: Vec<String>) -> Task {
    (tool.stream)(tool, &argv).unwrap_or(Task::Tool {
        tool,
        argv,
        input: None,
    })
}
