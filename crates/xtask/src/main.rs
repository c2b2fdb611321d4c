//! Builds, serves, tests and measures Kubarium. `cargo xtask help` lists what it does.

mod check;
mod frames;
mod module;
mod page;
mod run;
mod schema;
mod score;
mod serve;
mod setup;
mod speed;
mod test;
mod totals;

use std::path::Path;
use std::process::ExitCode;

/// What every task gives: nothing, or why it failed, in words for the person at the terminal.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
cargo xtask TASK

  serve [--port N] [--no-serve]
              Builds the release page and serves it on 127.0.0.1. Installs what the build needs.
  test [--only native|wasm|page|scores]
              Runs every test there is: native, WebAssembly in a headless browser, the page end to end,
              and the comparison with recordings of a real cluster where they are at hand.
  ci          Formatting, clippy, the documentation, licences, then every test.
  setup       Installs what serve and test need, and nothing else.
  screenshots Takes the pictures of the page in docs/screenshots.
  bench [FILTER]
              Runs the benchmarks, or those whose names have FILTER in them.
  kernel [CASES] [SEED]
              Compares random networks with this machine's kernel, more of them than the tests do (2000): wants
              root, ip, bridge, unshare, iptables, and for some flows ping and ipset.
  speed       Measures how time and memory grow with the cluster, and writes docs/SPEED.md.
  frames      Measures the page's frames beside two graph libraries in a browser, and adds them to docs/SPEED.md.
  fidelity    Measures against the recordings, and writes docs/FIDELITY.md.
  module      Builds the page's own module in parts. Trunk calls it.
  schema      Makes the schema of the Kubernetes API from a server's own description of it.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match task(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn task(words: &[&str]) -> Result {
    let (task, options) = words.split_first().unwrap_or((&"help", &[]));
    // Every path below is relative to the workspace, wherever the task was called from.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))?;
    match *task {
        "serve" => page::serve(options),
        "test" => test::test(options),
        "ci" => check::ci(),
        "module" => module::module(),
        "setup" => setup::for_page()
            .and_then(|()| setup::for_tests())
            .map(|()| setup::for_recipes()),
        "screenshots" => test::screenshots(),
        // The glob names the benchmarks themselves, so that no tests are compiled with all optimizations beside them.
        "bench" => run::step(
            "Benchmarks (about 6 minutes on two cores the first time)",
            "cargo",
            &[
                &[
                    "bench",
                    "--workspace",
                    "--exclude",
                    "kubarium-web",
                    "--exclude",
                    "kubarium-worker",
                ][..],
                &["--bench", "*", "--"],
                options,
            ]
            .concat(),
        ),
        "kernel" => kernel(options),
        "speed" => speed::speed(),
        "frames" => frames::frames(),
        "fidelity" => score::fidelity(),
        "schema" => schema::generate(
            Path::new("../shared/oracle/api"),
            Path::new("crates/objects/src/schema/builtin.txt"),
            Path::new("crates/shell/src/kubectl/commands/descriptions.txt"),
        ),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no task {other}\n\n{HELP}").into()),
    }
}

/// `cargo xtask kernel`: the differential test, for longer.
fn kernel(options: &[&str]) -> Result {
    let mut numbers = options.iter().copied();
    let (cases, seed) = (
        numbers.next().unwrap_or("2000"),
        numbers.next().unwrap_or("1"),
    );
    run::say(&format!(
        "{cases} random networks in the simulator and in this machine's kernel"
    ));
    run::run(
        std::process::Command::new("cargo")
            .args(["test", "--package", "kubarium-linux", "--test", "kernel"])
            .env("KUBARIUM_KERNEL_CASES", cases)
            .env("KUBARIUM_KERNEL_SEED", seed),
    )
}
