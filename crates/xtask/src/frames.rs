//! How long the page works for a frame, beside two graph libraries: a part of docs/SPEED.md.

use std::process::Command;

use crate::{Result, page, run, serve, setup};

const FILE: &str = "docs/SPEED.md";
/// What the browser's measurements are written under; what stands before it is the rest of the file.
pub(crate) const TITLE: &str = "\n## The page\n";
const ABOUT: &str = "
Written by `cargo xtask frames`, which runs `tests/bench/frames.mjs` in a headless browser: processor time of the main thread for a frame, \
as the browser's own trace has it, while the map is panned and zoomed, and while pods are deleted by commands and others take \
their place, or a rollout replaces them all; beside it two \
graph libraries (development packages, never shipped) that draw the same graph in the same run: a dot for each pod, a line \
to its node and one to its Service. The browser paints without a graphics card here. Input is the longest of twenty \
keys in the terminal and five clicks on pods, from the input until the frame that shows it has been handed on, while ten \
deleted pods are replaced, or all. The first row is the middle of \
three openings in an empty browser, by marks that the page takes itself.

";

/// Measures the page in the browser and writes that down, below the rest.
pub(crate) fn frames() -> Result {
    setup::for_page()?;
    setup::for_tests()?;
    page::build()?;
    frames_of(serve::beside(std::path::Path::new(page::DIST))?)
}

fn frames_of(port: u16) -> Result {
    run::say("Frames in a headless browser (a few minutes)");
    let rows = lines_of("tests/bench/frames.mjs", port, |line| line.starts_with('|'))?;
    let click = lines_of("tests/bench/click.mjs", port, |line| line.starts_with("> "))?;
    let text = std::fs::read_to_string(FILE)?;
    let before = text.split(TITLE).next().unwrap_or_default().trim_end();
    let (table, click) = (rows.join("\n"), click.concat());
    let click = click.trim_start_matches("> ");
    std::fs::write(
        FILE,
        format!(
            "{before}\n{TITLE}{ABOUT}| pods | what | pan | zoom | changes | input |\n| --- | --- | --- | --- | --- | --- |\n{table}\n\n{click}\n"
        ),
    )?;
    run::say(&format!("written to {FILE}"));
    Ok(())
}

/// The lines that a script writes which measures the page, those that `keep` picks.
fn lines_of(script: &str, port: u16, keep: fn(&str) -> bool) -> Result<Vec<String>> {
    let mut node = Command::new("node");
    node.arg(script);
    node.env("KUBARIUM_URL", format!("http://127.0.0.1:{port}/"));
    if let Some(chromium) = setup::chromium() {
        node.env("CHROMIUM", chromium);
    }
    let (lines, ended) = run::watch(&mut node, keep);
    ended.map(|()| lines)
}
