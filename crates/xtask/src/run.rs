//! Running other programs.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use crate::Result;

/// When this program began.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Says what is about to be done, and at which minute since the first such line.
pub(crate) fn say(what: &str) {
    let minutes = BEGUN.elapsed().as_secs_f64() / 60.0;
    println!("\n\x1b[1m── {what}\x1b[0m  [{minutes:.1} min]");
}

/// Runs a program to its end, its output going where ours goes.
///
/// # Errors
/// Where it cannot be started or ends with anything but success.
pub(crate) fn step(what: &str, program: &str, arguments: &[&str]) -> Result {
    say(what);
    run(Command::new(program).args(arguments))
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(command, &status.to_string()))
    }
}

/// Runs a command to its end, printing its output as it comes, and gives the lines that `keep` picks.
pub(crate) fn watch(command: &mut Command, keep: fn(&str) -> bool) -> (Vec<String>, Result) {
    let mut kept = Vec::new();
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(e) => return (kept, Err(cannot_start(command, &e))),
    };
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out)
            .split(b'\n')
            .map_while(std::io::Result::ok)
        {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if keep(&line) {
                kept.push(line.trim().to_owned());
            }
        }
    }
    let ended = match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(command, &status.to_string())),
        Err(e) => Err(e.into()),
    };
    (kept, ended)
}

/// What a program prints, trimmed; nothing where it is not there or fails.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let out = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// Where a program lies on the PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn cannot_start(command: &Command, e: &std::io::Error) -> Box<dyn std::error::Error> {
    format!(
        "cannot run {}: {e}",
        command.get_program().to_string_lossy()
    )
    .into()
}

fn failed(command: &Command, status: &str) -> Box<dyn std::error::Error> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}` failed ({status})", words.join(" ")).into()
}
