//! A host that is nothing but memory: for tests, and to try the shell out.

use crate::files::MemoryFiles;
use crate::host::{Command, Files, Found, Host, Job, Reply, Stream, Time};

/// A host with files in memory, a clock set by hand and no command of its own.
#[derive(Clone, Debug, Default)]
pub struct MemoryHost {
    /// Its files.
    pub files: MemoryFiles,
    /// Its clock.
    pub time: Time,
    /// All that was written, in order.
    pub written: Vec<(Stream, Vec<u8>)>,
}

impl MemoryHost {
    /// What was written to standard output.
    pub fn out(&self) -> String {
        self.text(Stream::Out)
    }

    /// What was written to standard error.
    pub fn err(&self) -> String {
        self.text(Stream::Err)
    }

    fn text(&self, wanted: Stream) -> String {
        let bytes: Vec<u8> = self
            .written
            .iter()
            .filter(|(s, _)| *s == wanted)
            .flat_map(|(_, b)| b.iter().copied())
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Host for MemoryHost {
    fn now(&self) -> Time {
        self.time
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        self.written.push((stream, bytes.to_vec()));
    }

    fn find(&self, argv: &[String]) -> Found {
        match argv
            .first()
            .and_then(|name| crate::tools::find(crate::tools::base_name(name)))
        {
            Some(_) => Found::Tool,
            None => Found::Missing,
        }
    }

    fn start(&mut self, _: Command) -> Reply {
        Reply::exited(127, "", "")
    }

    fn poll(&mut self, _: Job) -> Reply {
        Reply::exited(127, "", "")
    }

    fn kill(&mut self, _: Job, _: i32) {}

    fn files(&self) -> &dyn Files {
        &self.files
    }

    fn files_mut(&mut self) -> &mut dyn Files {
        self.files.time = self.time;
        &mut self.files
    }

    fn hostname(&self) -> String {
        "localhost".to_owned()
    }
}
