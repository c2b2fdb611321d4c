//! Builds, serves, tests and measures Kubarium.

mod schema;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("schema") => schema::generate(
            Path::new("../shared/oracle/api"),
            Path::new("crates/objects/src/schema/builtin.txt"),
        ),
        _ => Err("usage: cargo xtask schema".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
