//! How time and memory grow with the cluster: docs/SPEED.md.

use std::process::Command;

use crate::{Result, run};

const FILE: &str = "docs/SPEED.md";
const ABOUT: &str = "\
# How fast it is

Written by `cargo xtask speed`, which runs `crates/cluster/benches/scale.rs`: release build, native, one thread. \
Times are those of the processor that the thread has had (`/proc/thread-self/schedstat`), so that whatever else the \
machine does counts little. Memory is what the program has asked of its allocator and not given back; for pods it counts \
all that came with them: the objects, Kubernetes' own Events, the event log, network namespaces, containers, the \
scheduler's and the controllers' indexes.

";

/// Runs the measurements and writes them down.
pub(crate) fn speed() -> Result {
    run::say("Time and memory at scale (a few minutes)");
    let mut command = Command::new("cargo");
    command.args(["bench", "--package", "kubarium-cluster", "--bench", "scale"]);
    let (rows, ended) = run::watch(&mut command, |line| line.starts_with('|'));
    ended?;
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim());
    let rustc = run::output("rustc", &["--version"]).unwrap_or_default();
    let table = rows.join("\n");
    let text = format!(
        "{ABOUT}Measured on one core of: {model}; {rustc}.\n\n| what | time | each | more |\n| --- | --- | --- | --- |\n{table}\n"
    );
    std::fs::write(FILE, text)?;
    run::say(&format!("written to {FILE}"));
    Ok(())
}
