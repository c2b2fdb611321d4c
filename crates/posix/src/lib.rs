//! The POSIX shell's language and the usual text tools, over any host.
//!
//! A [`Machine`] is a shell as plain data: it is stepped, stops where a command sleeps or waits, can
//! be cloned at any moment and goes on later. What is outside it, a [`Host`] gives: commands that the
//! shell does not know, [`Files`], the clock.
//!
//! ```
//! use kubarium_posix::{Machine, MemoryHost, Options, Progress};
//! let mut host = MemoryHost::default();
//! let mut machine = Machine::run("for i in 1 2; do echo $i; sleep 1; done | tac", Options::default());
//! while let Progress::Blocked(Some(time)) = machine.step(&mut host, 10_000) {
//!     host.time = time;
//! }
//! assert_eq!(host.out(), "2\n1\n");
//! ```

mod arith;
mod builtin;
mod code;
mod exec;
mod files;
mod host;
mod machine;
mod memory;
mod parse;
mod pattern;
mod process;
mod syntax;
mod text;
pub mod tools;

pub use files::MemoryFiles;
pub use host::{
    Command, FileError, FileKind, Files, Found, Host, Job, JobState, Metadata, Reply, Status,
    Stream, Time, User,
};
pub use machine::{Disposition, Limits, Machine, Options, Progress};
pub use memory::MemoryHost;
pub use parse::{Reader, parse};
pub use syntax::{Complete, Dialect, Script, SyntaxError};
pub use text::quote;

/// Names of the commands that the shell runs by itself, in order.
pub fn builtins() -> impl Iterator<Item = &'static str> {
    builtin::names()
}
