//! How time and memory grow with the cluster: docs/SPEED.md.

use std::process::Command;

use crate::{Result, frames, run};

const FILE: &str = "docs/SPEED.md";
const ABOUT: &str = "\
# How fast it is

Written by `cargo xtask speed`, which runs `crates/cluster/benches/scale.rs`, `crates/scene/benches/page.rs`, \
`crates/lesson/benches/checks.rs` and, in node, `web/worker/tests/speed.rs`: release builds, one thread, native where \
nothing else is said. \
Times are those of the processor that the thread has had (`/proc/thread-self/schedstat`), so that whatever else the \
machine does counts little; those of WebAssembly are by the clock. Memory is what the program has asked of its allocator \
and not given back; for pods it counts all that came with them: the objects, Kubernetes' own Events, the event log, \
network namespaces, containers, the scheduler's and the controllers' indexes.

";

/// The benchmarks, each of its package.
const BENCHES: [(&str, &str); 3] = [
    ("kubarium-cluster", "scale"),
    ("kubarium-scene", "page"),
    ("kubarium-lesson", "checks"),
];

/// Runs the measurements and writes them down.
pub(crate) fn speed() -> Result {
    let mut rows = Vec::new();
    for (package, bench) in BENCHES {
        run::say(&format!("Time and memory at scale: {bench}"));
        let mut command = Command::new("cargo");
        command.args(["bench", "--package", package, "--bench", bench]);
        let (more, ended) = run::watch(&mut command, is_row);
        ended?;
        rows.extend(more);
    }
    run::say("The same in WebAssembly");
    let mut command = Command::new("cargo");
    // As it is shipped.
    command.args(["test", "--profile", "page", "--package", "kubarium-worker"]);
    command.args(["--target", "wasm32-unknown-unknown", "--test", "speed"]);
    command.args(["--", "--include-ignored", "--nocapture"]);
    command.env(
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
        "wasm-bindgen-test-runner",
    );
    command.env("WASM_BINDGEN_TEST_TIMEOUT", "600");
    let (more, ended) = run::watch(&mut command, is_row);
    rows.extend(more);
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim());
    let rustc = run::output("rustc", &["--version"]).unwrap_or_default();
    let table = rows.join("\n");
    let text = format!(
        "{ABOUT}Measured on one core of: {model}; {rustc}.\n\n| what | time | each | more | asked |\n| --- | --- | --- | --- | --- |\n{table}\n"
    );
    // What `frames` has measured stays.
    let old = std::fs::read_to_string(FILE).unwrap_or_default();
    let page = old.find(frames::TITLE).map_or("", |at| &old[at..]);
    std::fs::write(FILE, text + page)?;
    run::say(&format!("written to {FILE}"));
    // What was measured natively is written down in any case.
    ended
}

/// Is a line a row of the table?
fn is_row(line: &str) -> bool {
    line.trim_start().starts_with("| ")
}
