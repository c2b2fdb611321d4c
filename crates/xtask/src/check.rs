//! What is checked beside the tests before a change is taken.

use std::process::Command;

use crate::run::{run, say, step};
use crate::{Result, setup, test};

/// `cargo xtask ci`. Each check is quick to fail and they come in that order.
pub(crate) fn ci() -> Result {
    step("Formatting", "cargo", &["fmt", "--all", "--check"])?;
    setup::for_page()?;
    let strict = ["--", "-D", "warnings"];
    step(
        "Clippy, native",
        "cargo",
        &[&["clippy", "--quiet", "--all-targets"], &strict[..]].concat(),
    )?;
    let browser = [
        "clippy",
        "--quiet",
        "--package",
        "kubarium-web",
        "--package",
        "kubarium-worker",
        "--target",
        "wasm32-unknown-unknown",
        "--all-targets",
    ];
    step(
        "Clippy, the page and its simulator",
        "cargo",
        &[&browser[..], &strict].concat(),
    )?;
    say("Documentation");
    let mut doc = Command::new("cargo");
    doc.args(["doc", "--quiet", "--no-deps", "--document-private-items"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    setup::for_ci()?;
    step(
        "Licences, bans, sources",
        "cargo",
        &[
            "deny",
            "--all-features",
            "check",
            "licenses",
            "bans",
            "sources",
        ],
    )?;
    test::test(&[])
}
