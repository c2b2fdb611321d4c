//! Commands that the shell runs by itself.

mod control;
mod jobs;
mod output;
pub(crate) mod read;
pub(crate) mod shell;
pub(crate) mod test;
mod variables;

use crate::exec::Abort;
use crate::host::Host;
use crate::machine::Machine;
use crate::process::{Process, Task};

/// What comes after a builtin.
pub(crate) enum After {
    Status(i32),
    /// It goes on.
    Task(Task),
    /// It has changed where the process stands, and `$?` where it had to.
    Moved,
}

type Builtin = fn(&mut Machine, &mut Process, &mut dyn Host, &[String]) -> Result<After, Abort>;

/// Every builtin, by name.
const TABLE: &[(&str, Builtin)] = &[
    (".", shell::source),
    (":", control::succeed),
    ("[", test::test),
    ("alias", control::succeed),
    ("ash", shell::sh),
    ("bash", shell::sh),
    ("break", control::leave_loop),
    ("builtin", shell::command),
    ("busybox", shell::busybox),
    ("cd", variables::cd),
    ("command", shell::command),
    ("continue", control::leave_loop),
    ("dash", shell::sh),
    ("declare", variables::local),
    ("echo", output::echo),
    ("env", shell::env),
    ("eval", shell::eval),
    ("exec", shell::exec),
    ("exit", control::exit),
    ("export", variables::export),
    ("false", control::fail),
    ("getopts", variables::getopts),
    ("hash", control::succeed),
    ("jobs", jobs::jobs),
    ("kill", jobs::kill),
    ("let", variables::let_),
    ("local", variables::local),
    ("nice", shell::prefixed),
    ("nohup", shell::prefixed),
    ("printf", output::printf),
    ("pwd", variables::pwd),
    ("read", read::read),
    ("readonly", variables::export),
    ("return", control::return_),
    ("set", variables::set),
    ("setsid", shell::prefixed),
    ("sh", shell::sh),
    ("shift", variables::shift),
    ("shopt", control::succeed),
    ("sleep", jobs::sleep),
    ("source", shell::source),
    ("sudo", shell::prefixed),
    ("test", test::test),
    ("time", shell::prefixed),
    ("timeout", jobs::timeout),
    ("trap", jobs::trap),
    ("true", control::succeed),
    ("type", shell::which),
    ("typeset", variables::local),
    ("ulimit", control::succeed),
    ("umask", control::umask),
    ("unalias", control::succeed),
    ("unset", variables::unset),
    ("wait", jobs::wait),
    ("which", shell::which),
    ("xargs", shell::xargs),
];

pub(crate) fn find(name: &str) -> Option<Builtin> {
    let name = name
        .strip_prefix("/bin/")
        .or_else(|| name.strip_prefix("/usr/bin/"))
        .unwrap_or(name);
    TABLE
        .binary_search_by_key(&name, |(n, _)| n)
        .ok()
        .map(|i| TABLE[i].1)
}

/// Whether the builtin runs text in the shell's own process.
pub(crate) fn calls(name: &str) -> bool {
    matches!(name, "eval" | "." | "source")
}

/// Names of all builtins.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

impl Machine {
    /// Writes a text to standard output.
    fn say(&mut self, process: &mut Process, host: &mut dyn Host, text: &str) {
        self.put(process, host, 1, text.as_bytes());
    }

    /// A builtin's own message: status with it.
    fn refuse(
        &mut self,
        process: &mut Process,
        host: &mut dyn Host,
        status: i32,
        message: &str,
    ) -> After {
        self.complain(process, host, message);
        After::Status(status)
    }
}
