//! The page's own module, cut into the part that the first view needs and the parts that come later.
//!
//! Trunk builds the simulator's module and knows nothing of cutting, so this is a hook of it (see Trunk.toml): cargo links
//! the module with its relocations, wasm-split cuts it at the functions marked `#[wasm_split]`, wasm-bindgen makes what
//! starts the first part. All of it, and the scripts beside it, lies in one folder that is named by a digest of what is in it:
//! parts that were not built together never meet, and any server or cache may keep them for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::run::run;

/// What the page calls the folder until it has its name.
pub(crate) const FOLDER: &str = "page";
/// Scripts and styles of ours that lie in it too.
const OURS: [&str; 5] = [
    "boot.js",
    "editor.js",
    "later.css",
    "picture.js",
    "worker.js",
];
/// What FNV-1a begins with.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;
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
    fs::write(made.join("lessons.txt"), lessons()?)?;
    for file in OURS {
        fs::rename(staging.join(file), made.join(file))
            .or_else(|_| fs::copy(staging.join(file), made.join(file)).map(drop))
            .map_err(|e| format!("{file}: {e}"))?;
    }
    let mut files = Vec::new();
    list(made, &mut files)?;
    files.sort();
    let mut digest = FNV;
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
    let text = one_style(&staging, &text.replace(&plain, &named))?;
    fs::write(page, text)?;
    keep_offline(&staging)
}

/// Puts the page's styles into one file, in their order: one to fetch, and smaller together. Gives the page that names it.
fn one_style(staging: &Path, page: &str) -> Result<String> {
    const BEFORE: &str = "<link rel=\"stylesheet\" href=\"";
    let mut pieces = page.split(BEFORE);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    let mut styles = String::new();
    let mut rest = String::new();
    for piece in pieces {
        let (file, after) = piece
            .split_once("\"/>")
            .ok_or("the page names a style in an unusual way")?;
        let file = staging.join(file);
        styles += &fs::read_to_string(&file)?;
        fs::remove_file(file)?;
        rest += after;
    }
    let name = format!("styles-{:016x}.css", add_to_digest(FNV, styles.as_bytes()));
    fs::write(staging.join(&name), styles)?;
    text += &format!("{BEFORE}./{name}\"/>{rest}");
    Ok(text)
}

/// Tells the service worker which files there are.
fn keep_offline(staging: &Path) -> Result {
    let script = staging.join("sw.js");
    let mut files = Vec::new();
    list(staging, &mut files)?;
    files.retain(|file| *file != script);
    files.sort();
    let mut digest = FNV;
    let mut names = String::new();
    for file in &files {
        digest = add_to_digest(digest, &fs::read(file)?);
        let name = file
            .strip_prefix(staging)?
            .to_string_lossy()
            .replace('\\', "/");
        names += &format!("\n  {name:?},");
    }
    let text = fs::read_to_string(&script)?;
    let text = text.replace("VERSION = \"\"", &format!("VERSION = \"{digest:016x}\""));
    fs::write(
        script,
        text.replace("FILES = []", &format!("FILES = [{names}\n]")),
    )?;
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

/// The lists of lessons as the page's gallery reads them: a line each, its fields between tabs. So it shows them before the
/// simulator, which reads YAML, is there.
fn lessons() -> Result<String> {
    let mut lines = String::new();
    for folder in ["scenes", "exercises"] {
        let file = format!("{folder}/index.yaml");
        let list: serde_yaml::Value = serde_yaml::from_str(&fs::read_to_string(&file)?)?;
        let field = |value: &serde_yaml::Value, key: &str| {
            let text = value.get(key).and_then(serde_yaml::Value::as_str);
            text.unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        let text = field(&list, "text");
        lines += &["list", &field(&list, "title"), &text].join("\t");
        lines.push('\n');
        let kind = folder.trim_end_matches('s');
        let entries = list.get("lessons").and_then(serde_yaml::Value::as_sequence);
        for entry in entries.ok_or_else(|| format!("{file} has no lessons"))? {
            let before = entry
                .get("requires")
                .and_then(serde_yaml::Value::as_sequence);
            let before = before
                .into_iter()
                .flatten()
                .filter_map(serde_yaml::Value::as_str);
            let fields = [
                kind.to_owned(),
                field(entry, kind),
                field(entry, "part"),
                field(entry, "title"),
                field(entry, "summary"),
                before.collect::<Vec<_>>().join(" "),
            ];
            lines += &fields.join("\t");
            lines.push('\n');
        }
    }
    Ok(lines)
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
