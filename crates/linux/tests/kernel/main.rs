//! Random networks, built twice: in the kernel of the machine that runs this, and in the simulator. Random flows through
//! both must end alike, see the same addresses, pass the same rules and leave the same tracked connections.
//!
//! It wants root, `ip`, `bridge`, `unshare`, `ping`, `ipset` and `iptables-nft-restore` (or `iptables-restore`), and says
//! so where they are absent.
//! All of it happens in namespaces of its own, which end with it.
//!
//! `KUBARIUM_KERNEL_CASES=2000 KUBARIUM_KERNEL_SEED=7 cargo test -p kubarium-linux --test kernel` runs more of them;
//! `KUBARIUM_KERNEL_FIRST` is the first of them, where many are run in pieces. `KUBARIUM_KERNEL_ONLY=12` runs one, and
//! tells all about it.

mod agent;
mod case;
mod model;
mod real;
mod rules;

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::Case;

const CASES: usize = 100;
/// Most of a case is waiting for what never comes.
const WORKERS: usize = 6;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("agent") => agent::run(),
        Some("inside") => inside(),
        Some("--list") => ExitCode::SUCCESS,
        _ => outside(),
    }
}

/// What ping says of an echo that its own host's rules refuse is one of many things.
const ECHO_DENIED: &str = "echo denied";

/// What both worlds are asked, and must agree on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// How each flow ended: `connected h1p0 10.1.0.10`, `timeout` …
    pub flows: Vec<String>,
    /// `h1 filter -A FORWARD …` of every rule that something passed, and built-in chains whose policy decided.
    pub rules: Vec<String>,
    /// Tracked connections.
    pub tracked: Vec<String>,
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// Starts itself again in namespaces of its own.
fn outside() -> ExitCode {
    let root = std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|s| s.lines().any(|l| l.starts_with("Uid:\t0\t")));
    if !root {
        println!("skipped: comparing with this machine's kernel wants root");
        return ExitCode::SUCCESS;
    }
    for tool in [
        "ip",
        "unshare",
        "bridge",
        "ipset",
        "ping",
        real::restore_program(),
    ] {
        if Command::new(tool).arg("--version").output().is_err() {
            println!("skipped: comparing with this machine's kernel wants the program {tool}");
            return ExitCode::SUCCESS;
        }
    }
    let program = std::env::current_exe().expect("its own program");
    let status = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(program)
        .arg("inside")
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) if status.code() == Some(77) => {
            println!("skipped: this machine lets nobody make network namespaces");
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("skipped: unshare: {error}");
            ExitCode::SUCCESS
        }
    }
}

fn inside() -> ExitCode {
    if let Err(missing) = real::probe() {
        println!("skipped: this machine's kernel has no {missing}");
        return ExitCode::SUCCESS;
    }
    let seed = number("KUBARIUM_KERNEL_SEED").unwrap_or(1) as u64;
    let only = number("KUBARIUM_KERNEL_ONLY");
    let cases = number("KUBARIUM_KERNEL_CASES").unwrap_or(CASES);
    let first = number("KUBARIUM_KERNEL_FIRST").unwrap_or(0);
    let range = only.map_or(first..first + cases, |n| n..n + 1);
    let next = AtomicUsize::new(range.start);
    let failures: Mutex<Vec<(usize, String)>> = Mutex::default();
    let flows = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS.min(range.len()) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= range.end {
                        return;
                    }
                    let case = Case::random(seed, n as u64);
                    flows.fetch_add(case.flows.len(), Ordering::Relaxed);
                    if only.is_some() {
                        println!("{case}");
                    }
                    if let Err(why) = compare(&case, only.is_some()) {
                        println!("case {n} of seed {seed}:\n{why}");
                        failures.lock().expect("no panics").push((n, why));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panics");
    println!(
        "{} of {} cases alike, {} flows (seed {seed})",
        range.len() - failures.len(),
        range.len(),
        flows.into_inner()
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A machine under load loses time, and what comes too late counts as never: what differs is tried again with patience.
/// In the end with more than a second: here packets go there and back while a socket is still sending, and an error that
/// comes so early is not heard; a SYN's repetition is.
fn compare(case: &Case, explained: bool) -> Result<(), String> {
    let mut why = String::new();
    for patience in [500, 900, 2500] {
        let mut real = real::run(case, patience)?;
        let model = model::run(case, patience, explained)?;
        for (real, model) in real.flows.iter_mut().zip(&model.flows) {
            if model == ECHO_DENIED && *real != "connected" {
                *real = ECHO_DENIED.to_owned();
            }
        }
        if real == model {
            return Ok(());
        }
        why = difference(case, &real, &model);
    }
    Err(why)
}

fn difference(case: &Case, real: &Observed, model: &Observed) -> String {
    let mut out = String::new();
    for ((flow, real), model) in case.flows.iter().zip(&real.flows).zip(&model.flows) {
        if real != model {
            out += &format!("  {flow}: kernel {real}, simulator {model}\n");
        }
    }
    let sides = [
        ("rule", &real.rules, &model.rules),
        ("connection", &real.tracked, &model.tracked),
    ];
    for (what, real, model) in sides {
        for one in real.iter().filter(|one| !model.contains(one)) {
            out += &format!("  {what} only in the kernel: {one}\n");
        }
        for one in model.iter().filter(|one| !real.contains(one)) {
            out += &format!("  {what} only in the simulator: {one}\n");
        }
    }
    out
}
