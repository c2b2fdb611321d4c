//! Building the page as it is published.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{run, say, step};
use crate::{Result, module, serve, setup};

/// Where the page is put.
pub(crate) const DIST: &str = "dist";
/// Where modules are kept as Trunk wrote them, and what wasm-opt made of them, so that none is shrunk twice.
const KEPT: &str = "target/xtask";
/// What the simulator's module, which the page loads after the first view, is named by, and its digest after it.
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
    let worker = worker()?;
    shrink(&worker, "worker")?;
    let parts = parts()?;
    for file in files(&parts)?
        .iter()
        .filter(|file| has_ending(file, "wasm"))
    {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        shrink(file, &name)?;
    }
    minify(Path::new(DIST))?;
    minify(&parts)?;
    tell_size(&worker)?;
    step("Sizes", "node", &["web/sizes.mjs", DIST])
}

/// The files of a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn has_ending(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|has| has == ending)
}

/// The one file or folder of the page whose name begins so.
fn built(beginning: &str, ending: &str) -> Result<PathBuf> {
    let has = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(beginning) && name.ends_with(ending)
    };
    let found = files(Path::new(DIST))?.into_iter().find(has);
    found.ok_or_else(|| format!("Trunk left no {beginning}…{ending} in {DIST}").into())
}

/// The simulator's module.
fn worker() -> Result<PathBuf> {
    built(WORKER, ".wasm")
}

/// The folder with the parts of the page's module.
fn parts() -> Result<PathBuf> {
    built(&format!("{}-", module::FOLDER), "")
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
    // What rustc's wasm32-unknown-unknown uses; a part does not say so itself, as a whole module does.
    opt.args([
        "--enable-bulk-memory",
        "--enable-multivalue",
        "--enable-mutable-globals",
        "--enable-nontrapping-float-to-int",
        "--enable-reference-types",
        "--enable-sign-ext",
    ]);
    run(&mut opt)?;
    fs::copy(after, module)?;
    fs::write(before, now)?;
    Ok(())
}

/// Makes a folder's scripts and styles smaller in place. The editor's script comes small from its own build.
fn minify(folder: &Path) -> Result {
    for file in files(folder)? {
        let is_text = has_ending(&file, "js") || has_ending(&file, "css");
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

/// Tells the page how large its simulator is, so that it can say how much there is to load.
fn tell_size(module: &Path) -> Result {
    let page = Path::new(DIST).join("index.html");
    let text = fs::read_to_string(&page)?;
    let plain = format!(
        "{}\"",
        module.file_name().unwrap_or_default().to_string_lossy()
    );
    if !text.contains(&plain) {
        return Err("the page does not name its simulator".into());
    }
    let size = fs::metadata(module)?.len();
    let told = format!("{}&{size}\"", plain.trim_end_matches('"'));
    fs::write(page, text.replace(&plain, &told))?;
    Ok(())
}
