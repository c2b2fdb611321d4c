//! Installing what the other tasks need. Each thing is looked for first, so a second call takes no time.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::run::{output, run, say, step, which};

const TRUNK: &str = "0.21.14";
const CARGO_DENY: &str = "0.20.2";
/// The oldest Node.js that the packages in package.json run on.
const NODE: u32 = 20;

/// What the page's build needs: the WebAssembly target, Trunk, wasm-bindgen, the npm packages.
pub(crate) fn for_page() -> Result {
    wasm_target()?;
    cargo_tool("trunk", "trunk", TRUNK, "about 6 minutes on two cores")?;
    cargo_tool(
        "wasm-bindgen",
        "wasm-bindgen-cli",
        &wasm_bindgen_version()?,
        "about 2 minutes on two cores",
    )?;
    npm_packages()
}

/// What the tests need beside that: a browser and its driver.
pub(crate) fn for_tests() -> Result {
    if chromium().is_some() && chromedriver().is_some() {
        return Ok(());
    }
    let root = output("id", &["-u"]).as_deref() == Some("0");
    if which("apt-get").is_none() || !root {
        return Err("the tests in the browser need Chromium and its driver. Install both (on Debian and Ubuntu: \
             `apt-get install chromium chromium-driver`), or name them in the variables CHROMIUM and CHROMEDRIVER."
            .into());
    }
    step(
        "Chromium and its driver, by apt-get (about 2 minutes, once)",
        "apt-get",
        &["update", "-q"],
    )?;
    let mut install = std::process::Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(install.args([
        "install",
        "-qy",
        "--no-install-recommends",
        "chromium",
        "chromium-driver",
    ]))
}

/// cargo-deny, which only `ci` needs.
pub(crate) fn for_ci() -> Result {
    cargo_tool(
        "cargo-deny",
        "cargo-deny",
        CARGO_DENY,
        "about 5 minutes on two cores",
    )
}

/// The browser to test in.
pub(crate) fn chromium() -> Option<PathBuf> {
    named(
        "CHROMIUM",
        &[
            "chromium",
            "chromium-browser",
            "google-chrome",
            "google-chrome-stable",
            "chrome",
        ],
    )
}

/// The program that drives it.
pub(crate) fn chromedriver() -> Option<PathBuf> {
    named("CHROMEDRIVER", &["chromedriver"])
}

fn named(variable: &str, programs: &[&str]) -> Option<PathBuf> {
    let given = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|file| file.is_file());
    given.or_else(|| programs.iter().find_map(|program| which(program)))
}

fn wasm_target() -> Result {
    let sysroot = output("rustc", &["--print", "sysroot"])
        .ok_or("rustc is not there: install Rust with rustup")?;
    if Path::new(&sysroot)
        .join("lib/rustlib/wasm32-unknown-unknown")
        .is_dir()
    {
        return Ok(());
    }
    if which("rustup").is_none() {
        return Err(
            "Rust's target wasm32-unknown-unknown is not there, and no rustup to add it with"
                .into(),
        );
    }
    step(
        "Rust's WebAssembly target (under a minute, once)",
        "rustup",
        &["target", "add", "wasm32-unknown-unknown"],
    )
}

/// Installs a tool from crates.io, unless that version is there.
fn cargo_tool(program: &str, package: &str, version: &str, time: &str) -> Result {
    let has = |text: String| text.split_whitespace().any(|word| word == version);
    if output(program, &["--version"]).is_some_and(has) {
        return Ok(());
    }
    say(&format!(
        "{package} {version}, compiled from source ({time}, once)"
    ));
    let install = ["install", package, "--version", version];
    let locked = [&install[..], &["--locked"]].concat();
    // A release's lock file can name a package that its registry has since withdrawn; then the versions are chosen anew.
    run(std::process::Command::new("cargo").args(locked))
        .or_else(|_| run(std::process::Command::new("cargo").args(install)))
}

/// The version of wasm-bindgen in Cargo.lock: the tool and the library must be the same.
fn wasm_bindgen_version() -> Result<String> {
    let lock = fs::read_to_string("Cargo.lock")?;
    let after = lock
        .split_once("name = \"wasm-bindgen\"\nversion = \"")
        .map(|(_, after)| after);
    let version = after
        .and_then(|after| after.split_once('"'))
        .map(|(version, _)| version.to_owned());
    version.ok_or_else(|| "Cargo.lock names no wasm-bindgen".into())
}

fn npm_packages() -> Result {
    let version =
        output("node", &["--version"]).ok_or("Node.js is not there: install it, with npm")?;
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < NODE) {
        return Err(format!("Node.js {NODE} or later is needed; this is {version}").into());
    }
    // npm writes its own copy of the lock file last, so a later one means that all is installed.
    let changed = |file: &str| fs::metadata(file).and_then(|data| data.modified()).ok();
    let installed = changed("node_modules/.package-lock.json");
    if installed.is_some() && installed >= changed("package-lock.json") {
        return Ok(());
    }
    step(
        "npm packages: the editor and the tests' tools (about half a minute, once)",
        "npm",
        &["ci", "--no-audit", "--no-fund"],
    )
}
