//! Building the page as it is published.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{run, say, step};
use crate::{Result, serve, setup};

/// Where the page is put.
pub(crate) const DIST: &str = "dist";
/// Where modules are kept as Trunk wrote them, and what wasm-opt made of them, so that none is shrunk twice.
const KEPT: &str = "target/xtask";
/// The simulator's module, which the page loads after the first view.
const WORKER: &str = "kubarium-worker";

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
    let (page, worker) = modules()?;
    shrink(&page, "page")?;
    shrink(&worker, "worker")?;
    minify()?;
    name_worker(&worker)?;
    step("Sizes", "node", &["web/sizes.mjs", DIST])
}

/// The page's module and the simulator's.
fn modules() -> Result<(PathBuf, PathBuf)> {
    let worker = Path::new(DIST).join(format!("{WORKER}_bg.wasm"));
    let files = fs::read_dir(DIST)?
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.path());
    let mut modules = files.filter(|file| {
        let is_module = file.extension().is_some_and(|ending| ending == "wasm");
        is_module && *file != worker
    });
    match modules.next() {
        Some(page) if worker.is_file() => Ok((page, worker)),
        _ => Err(format!("Trunk left no two modules in {DIST}").into()),
    }
}

/// Makes a module smaller in place, with npm's binaryen, which is the same everywhere.
fn shrink(module: &Path, name: &str) -> Result {
    let before = Path::new(KEPT).join(format!("{name}-before.wasm"));
    let after = Path::new(KEPT).join(format!("{name}-after.wasm"));
    let now = fs::read(module)?;
    if fs::read(&before).is_ok_and(|before| before == now) {
        fs::copy(after, module)?;
        return Ok(());
    }
    say(&format!(
        "wasm-opt, the {name}'s module (about a minute, when it has changed)"
    ));
    fs::create_dir_all(KEPT)?;
    // A first copy that is cut short must not pass for the module.
    let _ = fs::remove_file(&before);
    let mut opt = Command::new("node_modules/.bin/wasm-opt");
    opt.arg("-Oz").arg(module).arg("-o").arg(&after);
    opt.args([
        "--strip-debug",
        "--strip-producers",
        "--strip-target-features",
    ]);
    run(&mut opt)?;
    fs::copy(after, module)?;
    fs::write(before, now)?;
    Ok(())
}

/// Makes the page's scripts and styles smaller in place. The editor's script comes small from its own build.
fn minify() -> Result {
    for entry in fs::read_dir(DIST)? {
        let file = entry?.path();
        let is_text = file
            .extension()
            .is_some_and(|ending| ending == "js" || ending == "css");
        if !is_text || file.ends_with("editor.js") {
            continue;
        }
        let mut esbuild = Command::new("node_modules/.bin/esbuild");
        esbuild.args(["--minify", "--log-level=error", "--allow-overwrite"]);
        let mut outfile = std::ffi::OsString::from("--outfile=");
        outfile.push(&file);
        run(esbuild.arg(&file).arg(outfile))?;
    }
    Ok(())
}

/// Tells the page its simulator by a digest and a size: a browser that kept an older one asks anew, and the page can say
/// how much there is to load. Trunk gives only the page's own files names by their content.
fn name_worker(module: &Path) -> Result {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    let module = fs::read(module)?;
    let glue = fs::read(Path::new(DIST).join(format!("{WORKER}.js")))?;
    for byte in module.iter().chain(&glue) {
        digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let page = Path::new(DIST).join("index.html");
    let text = fs::read_to_string(&page)?;
    let plain = "worker.js\"";
    if !text.contains(plain) {
        return Err("the page does not name its worker".into());
    }
    let named = format!("worker.js?{digest:016x}-{}\"", module.len());
    fs::write(page, text.replace(plain, &named))?;
    Ok(())
}
