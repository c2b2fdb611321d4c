//! Building the page as it is published.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{run, say, step};
use crate::{Result, serve, setup};

/// Where the page is put.
pub(crate) const DIST: &str = "dist";
/// The module as Trunk wrote it, and what wasm-opt made of it, kept so that the same module is not shrunk twice.
const BEFORE: &str = "target/xtask/before.wasm";
const AFTER: &str = "target/xtask/after.wasm";

/// `cargo xtask serve`.
pub(crate) fn serve(options: &[&str]) -> Result {
    let (mut port, mut stay) = (8080, true);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--port" => port = options.next().ok_or("--port wants a number")?.parse()?,
            "--no-serve" => stay = false,
            other => return Err(format!("serve has no option {other}").into()),
        }
    }
    setup::for_page()?;
    build()?;
    if stay {
        serve::forever(Path::new(DIST), port)
    } else {
        Ok(())
    }
}

/// Builds the release page into [`DIST`], and prints how large it is.
///
/// # Errors
/// Where a part of the build fails, or the first view is larger than it may be.
pub(crate) fn build() -> Result {
    say("The page (about 4 minutes on two cores the first time, seconds after small changes)");
    let mut trunk = Command::new("trunk");
    trunk.args([
        "build",
        "--release",
        "--cargo-profile",
        "page",
        "--color",
        "never",
    ]);
    // Trunk reads NO_COLOR as a truth value, and refuses the `1` that is its usual value elsewhere.
    run(trunk.env_remove("NO_COLOR"))?;
    shrink(&module()?)?;
    step("Sizes", "node", &["web/sizes.mjs", DIST])
}

fn module() -> Result<PathBuf> {
    let files = fs::read_dir(DIST)?
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.path());
    let mut modules = files.filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    });
    modules
        .next()
        .ok_or_else(|| format!("Trunk left no module in {DIST}").into())
}

/// Makes the module smaller in place, with npm's binaryen, which is the same everywhere.
fn shrink(module: &Path) -> Result {
    let now = fs::read(module)?;
    if fs::read(BEFORE).is_ok_and(|before| before == now) {
        fs::copy(AFTER, module)?;
        return Ok(());
    }
    say("wasm-opt (about a minute, when the module has changed)");
    fs::create_dir_all("target/xtask")?;
    // A first copy that is cut short must not pass for the module.
    let _ = fs::remove_file(BEFORE);
    let mut opt = Command::new("node_modules/.bin/wasm-opt");
    opt.arg("-Oz").arg(module).args(["-o", AFTER]);
    opt.args([
        "--strip-debug",
        "--strip-producers",
        "--strip-target-features",
    ]);
    run(&mut opt)?;
    fs::copy(AFTER, module)?;
    fs::write(BEFORE, now)?;
    Ok(())
}
