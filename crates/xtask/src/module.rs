//! The page's own module, cut into the part that the first view needs and the parts that come later.
//!
//! Trunk builds the simulator's module and knows nothing of cutting, so this is a hook of it (see Trunk.toml): cargo links
//! the module with its relocations, wasm-split cuts it at the functions marked `#[wasm_split]`, wasm-bindgen makes what
//! starts the first part. All of it lies in one folder that is named by a digest of what is in it: parts that were not built
//! together never meet, and any server or cache may keep them for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::run::run;

/// What the page calls the folder until it has its name.
pub(crate) const FOLDER: &str = "page";
/// Where the parts are put together.
const MADE: &str = "target/xtask/parts";

/// Builds the page's module for Trunk, which says in variables how and where.
///
/// # Errors
/// Where Trunk did not call this, or a step fails.
pub(crate) fn module() -> Result {
    let told = |name: &str| {
        std::env::var(name).map_err(|_| format!("{name} is not set: Trunk calls this"))
    };
    let staging = PathBuf::from(told("TRUNK_STAGING_DIR")?);
    let is_release = told("TRUNK_PROFILE")? == "release";
    let linked = link(is_release)?;
    let made = Path::new(MADE);
    if made.exists() {
        fs::remove_dir_all(made)?;
    }
    cut(&fs::read(linked)?, made)?;
    bind(made)?;
    let mut files = Vec::new();
    list(made, &mut files)?;
    files.sort();
    let mut digest = 0xcbf2_9ce4_8422_2325;
    for file in &files {
        digest = add_to_digest(digest, &fs::read(file)?);
    }
    let folder = format!("{FOLDER}-{digest:016x}");
    for file in &files {
        let to = staging.join(&folder).join(file.strip_prefix(made)?);
        fs::create_dir_all(to.parent().unwrap_or(&staging))?;
        fs::copy(file, to)?;
    }
    let page = staging.join("index.html");
    let text = fs::read_to_string(&page)?;
    let (plain, named) = (format!("{FOLDER}/"), format!("{folder}/"));
    if !text.contains(&plain) {
        return Err(format!("the page names no file of the folder {FOLDER}").into());
    }
    fs::write(page, text.replace(&plain, &named))?;
    Ok(())
}

/// All files in a folder and in the folders in it.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// FNV-1a of the bytes after those that gave `digest`.
fn add_to_digest(digest: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(digest, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Compiles the module, and says where it is.
fn link(is_release: bool) -> Result<PathBuf> {
    let (profile, folder) = if is_release {
        ("page", "page")
    } else {
        ("dev", "debug")
    };
    let mut cargo = Command::new("cargo");
    cargo.args([
        "rustc",
        "--package",
        "kubarium-web",
        "--bin",
        "kubarium-web",
    ]);
    cargo.args(["--target", "wasm32-unknown-unknown", "--profile", profile]);
    cargo.args(["--", "-C", "link-arg=--emit-relocs"]);
    run(&mut cargo)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let built = Path::new(&target)
        .join("wasm32-unknown-unknown")
        .join(folder);
    Ok(built.join("kubarium-web.wasm"))
}

/// Cuts the module: `main.wasm`, the parts, and the script that loads them.
fn cut(linked: &[u8], made: &Path) -> Result {
    let main = made.join("main.wasm");
    let mut options = wasm_split_cli_support::Options::new(linked);
    options.output_dir = made;
    options.main_out_path = &main;
    options.main_module = "./page.js";
    options.link_name = "./parts.js";
    wasm_split_cli_support::transform(options).map_err(|e| format!("wasm-split: {e:?}"))?;
    Ok(())
}

/// Makes the script that starts the first part, and the part as that script wants it.
fn bind(made: &Path) -> Result {
    let main = made.join("main.wasm");
    let mut bindgen = Command::new("wasm-bindgen");
    // The other parts use what the linker exports for them.
    bindgen.args(["--target", "web", "--no-typescript", "--keep-lld-exports"]);
    bindgen.args(["--out-name", "page", "--out-dir"]).arg(made);
    run(bindgen.arg(&main))?;
    fs::remove_file(main)?;
    Ok(())
}
