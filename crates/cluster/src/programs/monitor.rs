//! `conntrack -E` and `ip monitor` as programs: they look again and again at what has changed.

use std::time::Duration;

use kubarium_linux::tools::monitor::Monitor;
use kubarium_posix::Stream;

use super::{Io, Place, Program, Step};
use crate::cluster::Cluster;
use crate::time::Time;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn start(cluster: &mut Cluster, place: &Place, argv: &[String], now: Time) -> Program {
    let now = kubarium_linux::Time(now.0);
    match Monitor::start(&mut cluster.net, place.netns, argv, now) {
        Ok(monitor) => Program::Monitor(Box::new(monitor)),
        Err(output) => super::said(output),
    }
}

pub(super) fn step(monitor: &mut Monitor, io: &mut Io<'_>) -> Step {
    let now = kubarium_linux::Time(io.now.0);
    let said = monitor.go_on(&mut io.cluster.net, now);
    if !said.stderr.is_empty() {
        io.err(said.stderr);
    }
    if !said.stdout.is_empty() {
        io.out(said.stdout);
    }
    Step::Wait(Some(io.now + LOOK))
}

/// It is interrupted: what it still says.
pub(crate) fn stop(monitor: Monitor, cluster: &mut Cluster, output: &mut Vec<(Stream, Vec<u8>)>) {
    let text = monitor.stop(&mut cluster.net);
    if !text.is_empty() {
        output.push((Stream::Err, text.into_bytes()));
    }
}
