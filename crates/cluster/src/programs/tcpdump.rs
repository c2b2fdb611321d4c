//! `tcpdump` as a program: it looks again and again at what its socket has seen.

use std::time::Duration;

use kubarium_linux::tools::tcpdump::{Progress, Tcpdump};
use kubarium_posix::{Files as _, Stream};

use super::{Io, Place, Program, Step};
use crate::cluster::Cluster;
use crate::runtime::files::View;
use crate::runtime::process::unix;
use crate::time::Time;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// A tcpdump, and where it was begun.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    tcpdump: Tcpdump,
    cwd: String,
}

pub(super) fn start(cluster: &mut Cluster, place: &Place, argv: &[String], cwd: &str) -> Program {
    let args = argv.get(1..).unwrap_or_default();
    let epoch = unix(Time::default());
    match Tcpdump::start(&mut cluster.net, place.netns, args, epoch) {
        Ok(tcpdump) => Program::Tcpdump(Box::new(Capture {
            tcpdump,
            cwd: cwd.to_owned(),
        })),
        Err(output) => Program::Say {
            out: output.stdout,
            err: output.stderr,
            status: output.status,
        },
    }
}

impl Capture {
    pub fn step(&mut self, io: &mut Io<'_>) -> Step {
        let progress = self.tcpdump.go_on(&mut io.cluster.net);
        if self.say(progress, io.files, io.output) {
            Step::Exit(0)
        } else {
            Step::Wait(Some(io.now + LOOK))
        }
    }

    /// It is interrupted: what it still says.
    pub fn stop(
        mut self,
        cluster: &mut Cluster,
        files: &mut View,
        output: &mut Vec<(Stream, Vec<u8>)>,
    ) {
        let progress = self.tcpdump.stop(&mut cluster.net);
        self.say(progress, files, output);
    }

    /// Writes what it says. True: it has ended.
    fn say(
        &self,
        progress: Progress,
        files: &mut View,
        output: &mut Vec<(Stream, Vec<u8>)>,
    ) -> bool {
        let mut write = |stream, text: Vec<u8>| {
            if !text.is_empty() {
                output.push((stream, text));
            }
        };
        if !progress.done {
            // Its heading comes before the first packet.
            write(Stream::Err, progress.stderr.into_bytes());
            write(Stream::Out, progress.stdout.into_bytes());
            return false;
        }
        write(Stream::Out, progress.stdout.into_bytes());
        write(Stream::Err, progress.stderr.into_bytes());
        match progress.file {
            Some((name, bytes)) if name == "-" => write(Stream::Out, bytes),
            Some((name, bytes)) => {
                let path = if name.starts_with('/') {
                    name.clone()
                } else {
                    format!("{}/{name}", self.cwd.trim_end_matches('/'))
                };
                if files.write(&path, &bytes, false).is_err() {
                    let text = format!("tcpdump: {name}: No such file or directory\n");
                    write(Stream::Err, text.into_bytes());
                }
            }
            None => {}
        }
        true
    }
}
