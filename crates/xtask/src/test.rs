//! Every test there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{run, say, watch};
use crate::{Result, page, score, serve, setup};

/// Where the native determinism test leaves what it saw: a digest in the first line, then the text.
const DETERMINISM: &str = "target/xtask/determinism.txt";
/// Seconds that one WebAssembly test file may take: unoptimised code in a browser on a busy machine.
const WASM_TIMEOUT: &str = "600";
/// Makes the command, which the recipe for mdBook calls.
const BUILD: [&str; 4] = ["build", "--quiet", "--package", "kubarium"];

/// What one group of tests came to: its name, the runners' own totals, and whether all passed.
struct Group {
    name: &'static str,
    totals: Vec<String>,
    ended: Result,
}

/// `cargo xtask test`: every group, even where an earlier one failed, then all their totals.
pub(crate) fn test(options: &[&str]) -> Result {
    let only = match options {
        [] => None,
        ["--only", group] => Some(*group),
        _ => return Err("test takes nothing, or --only native|wasm|page|scores".into()),
    };
    let wanted = |group| only.is_none_or(|only| only == group);
    let mut groups = Vec::new();
    if wanted("native") {
        groups.push(native());
    }
    if wanted("wasm") {
        groups.push(group(
            "wasm",
            || setup::for_page().and_then(|()| setup::for_tests()),
            || wasm(wanted("native")),
        ));
    }
    if wanted("page") {
        let prepare = || {
            setup::for_page()
                .and_then(|()| setup::for_tests())
                .map(|()| setup::for_recipes())
                .and_then(|()| page::build())
                .and_then(|()| run(Command::new("cargo").args(BUILD)))
        };
        groups.push(group("page", prepare, || end_to_end(&[])));
    }
    if wanted("scores") {
        let (totals, ended) = score::against_recordings();
        groups.push(Group {
            name: "scores",
            totals,
            ended,
        });
    }
    sum_up(&groups)
}

fn group(
    name: &'static str,
    prepare: impl Fn() -> Result,
    test: impl Fn() -> (Vec<String>, Result),
) -> Group {
    let (totals, ended) = match prepare() {
        Ok(()) => test(),
        Err(e) => (Vec::new(), Err(e)),
    };
    Group {
        name,
        totals,
        ended,
    }
}

/// Takes the pictures in docs/screenshots.
pub(crate) fn screenshots() -> Result {
    setup::for_page()?;
    setup::for_tests()?;
    page::build()?;
    end_to_end(&["screenshots"]).1
}

/// The line in which cargo's test runner, or wasm-bindgen's, says what a suite came to.
fn is_cargo_total(line: &str) -> bool {
    line.trim_start().starts_with("test result:")
}

/// The lines in which Playwright does.
fn is_playwright_total(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let number = words.next().is_some_and(|word| word.parse::<u32>().is_ok());
    number
        && matches!(
            words.next(),
            Some("passed" | "failed" | "flaky" | "skipped" | "interrupted" | "did")
        )
}

fn native() -> Group {
    say("Native tests (about 3 minutes on two cores the first time)");
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "--no-fail-fast"]);
    let (totals, ended) = match determinism_file() {
        Ok(file) => watch(cargo.env("KUBARIUM_DETERMINISM_FILE", file), is_cargo_total),
        Err(e) => (Vec::new(), Err(e)),
    };
    Group {
        name: "native",
        totals,
        ended,
    }
}

/// The place for what the native determinism test saw, with nothing in it yet.
fn determinism_file() -> Result<PathBuf> {
    let file = std::path::absolute(DETERMINISM)?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    // What an earlier run left must not pass for this one's.
    if file.is_file() {
        fs::remove_file(&file)?;
    }
    Ok(file)
}

/// What the native program makes of the determinism test, for the browser to compare with: from the native tests, where
/// they have just run, or else from that one test.
fn determinism_digest(native_ran: bool) -> Result<String> {
    if !native_ran {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "--quiet", "--package", "kubarium-shell"]);
        cargo.args(["--test", "determinism"]);
        run(cargo.env("KUBARIUM_DETERMINISM_FILE", determinism_file()?))?;
    }
    let text = fs::read_to_string(DETERMINISM)
        .map_err(|_| "the native determinism test left nothing to compare with")?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn wasm(native_ran: bool) -> (Vec<String>, Result) {
    let digest = match determinism_digest(native_ran) {
        Ok(digest) => digest,
        Err(e) => return (Vec::new(), Err(e)),
    };
    say("WebAssembly tests in a headless browser (about 3 minutes on two cores the first time)");
    let mut cargo = Command::new("cargo");
    cargo.args([
        "test",
        "--package",
        "kubarium-web",
        "--package",
        "kubarium-worker",
        "--target",
        "wasm32-unknown-unknown",
    ]);
    cargo.env(
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
        "wasm-bindgen-test-runner",
    );
    cargo.env("KUBARIUM_DETERMINISM_DIGEST", digest);
    cargo.env("WASM_BINDGEN_TEST_TIMEOUT", WASM_TIMEOUT);
    if let Some(driver) = setup::chromedriver() {
        cargo.env("CHROMEDRIVER", driver);
    }
    watch(&mut cargo, is_cargo_total)
}

fn end_to_end(arguments: &[&str]) -> (Vec<String>, Result) {
    say("The page, end to end, in a headless browser (about 2 minutes)");
    let port = match serve::beside(Path::new(page::DIST)) {
        Ok(port) => port,
        Err(e) => return (Vec::new(), Err(e)),
    };
    let mut playwright = Command::new("node_modules/.bin/playwright");
    playwright.args(["test", "--config", "tests/e2e/playwright.config.mjs"]);
    playwright.args(arguments);
    playwright.env("KUBARIUM_URL", format!("http://127.0.0.1:{port}/"));
    playwright.env(
        "KUBARIUM_SCREENSHOTS",
        if arguments.is_empty() { "" } else { "1" },
    );
    if let Some(chromium) = setup::chromium() {
        playwright.env("CHROMIUM", chromium);
    }
    // What the recipes' sites are built with.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let command = Path::new(&target).join("debug/kubarium");
    for (variable, path) in [
        ("KUBARIUM", &*command),
        ("KUBARIUM_PYTHON", Path::new(setup::PYTHON)),
    ] {
        playwright.env(variable, std::path::absolute(path).unwrap_or_default());
    }
    watch(&mut playwright, is_playwright_total)
}

/// Prints each group's totals, and fails where a group did.
fn sum_up(groups: &[Group]) -> Result {
    say("Totals");
    let mut failed = Vec::new();
    for Group {
        name,
        totals,
        ended,
    } in groups
    {
        for total in totals {
            println!("{name:8}{total}");
        }
        if let Err(e) = ended {
            println!("{name:8}FAILED: {e}");
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}
