//! The same scripts in this shell and in the machine's own `sh` with its own tools.

use crate::common::run_with;
use kubarium_posix::Dialect;
use std::process::{Command, Stdio};

/// One script a line; `\n` within a line is a newline of the script.
const SCRIPTS: &str = include_str!("scripts.txt");

/// What the machine's own shell does; None where it has none, or lacks a command.
fn real(shell: &str, script: &str, directory: &std::path::Path) -> Option<(String, i32)> {
    let output = Command::new(shell)
        .args(["-c", script])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/root")
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let err = String::from_utf8_lossy(&output.stderr);
    if err.contains("not found") && output.status.code() == Some(127) {
        return None;
    }
    Some((
        String::from_utf8_lossy(&output.stdout).into_owned(),
        output.status.code().unwrap_or(-1),
    ))
}

fn compare(shell: &str, dialect: Dialect, name: &str) {
    let scripts = section(name);
    let directory =
        std::env::temp_dir().join(format!("kubarium-posix-{}-{name}", std::process::id()));
    let mut different = Vec::new();
    let mut compared = 0;
    for script in &scripts {
        let _ = std::fs::remove_dir_all(&directory);
        if std::fs::create_dir_all(&directory).is_err() {
            println!("skipped: no temporary directory");
            return;
        }
        let Some((out, status)) = real(shell, script, &directory) else {
            println!("skipped, since this machine's {shell} cannot run it: {script}");
            continue;
        };
        compared += 1;
        let ours = run_with(&format!("cd /tmp\n{script}"), dialect);
        if (ours.out.as_str(), ours.status) != (out.as_str(), status) {
            let same = out
                .lines()
                .zip(ours.out.lines())
                .take_while(|(a, b)| a == b)
                .count();
            let rest = |text: &str| {
                text.lines()
                    .skip(same)
                    .take(6)
                    .collect::<Vec<_>>()
                    .join("\n  ")
            };
            different.push(format!(
                "$ {script}\n{same} lines are the same, then {shell} ({status}) has\n  {}\nand ours ({})\n  {}\n{}",
                rest(&out),
                ours.status,
                rest(&ours.out),
                ours.err
            ));
        }
    }
    let _ = std::fs::remove_dir_all(&directory);
    println!(
        "{compared} of {} scripts compared with {shell}",
        scripts.len()
    );
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}

/// The scripts of a section.
fn section(name: &str) -> Vec<String> {
    SCRIPTS
        .split("## ")
        .find(|part| part.starts_with(name))
        .map(|part| {
            part.lines()
                .skip(1)
                .filter(|l| !l.is_empty())
                .map(|l| l.replace("\\n", "\n"))
                .collect()
        })
        .unwrap_or_default()
}

#[test]
fn the_language_is_dash_s() {
    compare("dash", Dialect::Dash, "language");
}

#[test]
fn bash_s_additions_are_bash_s() {
    compare("bash", Dialect::Bash, "bash");
}

#[test]
fn the_tools_are_gnu_s() {
    compare("bash", Dialect::Bash, "tools");
}

#[test]
fn awk_is_awk() {
    compare("bash", Dialect::Bash, "awk");
}

#[test]
fn jq_is_jq() {
    compare("bash", Dialect::Bash, "jq");
}
