//! One helper for all tests: runs a script against a host in memory.

use kubarium_posix::{Dialect, Machine, MemoryHost, Options, Progress};

/// What a script did.
pub struct Ran {
    pub out: String,
    pub err: String,
    pub status: i32,
    /// Simulated time that it took, in nanoseconds.
    pub took: u64,
}

pub fn options() -> Options {
    Options {
        env: [("HOME".to_owned(), "/root".to_owned())].into(),
        ..Options::default()
    }
}

pub fn run_with(script: &str, dialect: Dialect) -> Ran {
    let mut host = MemoryHost {
        time: 1_700_000_000_000_000_000,
        ..MemoryHost::default()
    };
    host.files.make_directories("/tmp").unwrap();
    let started = host.time;
    let mut machine = Machine::run(
        script,
        Options {
            dialect,
            ..options()
        },
    );
    let status = loop {
        match machine.step(&mut host, 20_000_000) {
            Progress::Finished(_) if !machine.has_exited() => machine.end(),
            Progress::Finished(status) => break status,
            Progress::Blocked(Some(time)) => host.time = time,
            other => panic!(
                "{script:?} ended as {other:?}; it had written {:?}",
                host.out()
            ),
        }
    };
    Ran {
        out: host.out(),
        err: host.err(),
        status,
        took: host.time - started,
    }
}

pub fn run(script: &str) -> Ran {
    run_with(script, Dialect::Ash)
}

/// What a script writes to standard output, and after it `? N` where its status is not 0.
pub fn shown(script: &str) -> String {
    show(&run(script))
}

pub fn show(ran: &Ran) -> String {
    let mut out = ran.out.clone();
    if ran.status != 0 {
        out += &format!("? {}", ran.status);
    }
    out
}
