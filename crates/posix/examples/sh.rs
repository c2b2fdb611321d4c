//! Runs a script against nothing but memory: `cargo run --example sh -- 'echo hello | tr a-z A-Z'`.

use kubarium_posix::{Machine, MemoryHost, Options, Progress};

fn main() {
    let mut host = MemoryHost::default();
    let script = std::env::args().nth(1).unwrap_or_default();
    let mut machine = Machine::run(&script, Options::default());
    let end = loop {
        match machine.step(&mut host, 10_000_000) {
            Progress::Blocked(Some(time)) => host.time = time,
            end => break end,
        }
    };
    print!("{}", host.out());
    eprint!("{}", host.err());
    eprintln!("{end:?}");
}
