//! Comparison with recordings of a real cluster, by the scorers that came with them.
//!
//! A scorer prints percentages. What was once reached must not be lost: `tests/floors.txt` says, for each measure, below
//! which percentage a change is a failure.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::run::{output, run, say, watch};

/// Where the recordings lie, beside the workspace.
const RECORDINGS: &str = "../shared/oracle";
const FLOORS: &str = "tests/floors.txt";
const REPORT: &str = "docs/FIDELITY.md";

/// A scorer: its name, its program, and its arguments, in which `{}` is the command `kubarium`.
struct Scorer {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    /// What of the recordings it is given: files with this ending in these folders, or the folder itself.
    folders: &'static [&'static str],
    ending: Option<&'static str>,
}

const SCORERS: [Scorer; 2] = [
    Scorer {
        name: "sessions",
        program: "sessions/score.py",
        arguments: &["--run", "{}"],
        folders: &["sessions/kubectl", "sessions/network"],
        ending: Some("session"),
    },
    Scorer {
        name: "kube-proxy",
        program: "kube-proxy-random/score.py",
        arguments: &["{}"],
        folders: &["kube-proxy-random"],
        ending: None,
    },
];

/// One measure: what was measured, the percentage reached, and the scorer's own line.
struct Measure {
    name: String,
    percent: f64,
    line: String,
}

/// Runs the scorers that can run, holds what they say against the floors, and gives their totals.
pub(crate) fn against_recordings() -> (Vec<String>, Result) {
    say("Comparison with recordings of a real cluster (about 3 minutes)");
    if let Some(reason) = missing() {
        println!("Skipped: {reason}.");
        return (vec![format!("skipped: {reason}")], Ok(()));
    }
    let measures = match build("dev", "debug").and_then(|kubarium| measure(&kubarium)) {
        Ok(measures) => measures,
        Err(e) => return (Vec::new(), Err(e)),
    };
    let floors = fs::read_to_string(FLOORS).unwrap_or_default();
    let floor = |name: &str| {
        floors.lines().find_map(|line| {
            line.strip_prefix(name)?
                .trim()
                .strip_prefix('=')?
                .trim()
                .parse::<f64>()
                .ok()
        })
    };
    let lost: Vec<String> = measures
        .iter()
        .filter(|measure| floor(&measure.name).is_some_and(|floor| measure.percent < floor))
        .map(|measure| format!("{} fell to {} %", measure.name, measure.percent))
        .collect();
    let totals = measures.into_iter().map(|measure| measure.line).collect();
    (
        totals,
        if lost.is_empty() {
            Ok(())
        } else {
            Err(lost.join("; ").into())
        },
    )
}

/// `cargo xtask fidelity`: the release build against every recording, written to docs/FIDELITY.md.
pub(crate) fn fidelity() -> Result {
    if let Some(reason) = missing() {
        return Err(format!("nothing to measure against: {reason}").into());
    }
    let measures = measure(&build("release", "release")?)?;
    let mut report = String::from(
        "# Fidelity\n\nHow far Kubarium does what a real cluster (Kubernetes v1.37.2, Linux) did, by recordings of one.\n\
         Written by `cargo xtask fidelity`.\n\n| measure | reached |\n|---|---|\n",
    );
    for Measure {
        name,
        percent,
        line,
    } in &measures
    {
        writeln!(report, "| {name} | {percent} % ({line}) |")?;
    }
    fs::create_dir_all("docs")?;
    fs::write(REPORT, report)?;
    println!("\nWritten to {REPORT}.");
    Ok(())
}

/// Why the scorers cannot run, if they cannot.
fn missing() -> Option<&'static str> {
    if !Path::new(RECORDINGS).is_dir() {
        return Some("the recordings are not beside the workspace (../shared/oracle)");
    }
    output("python3", &["-c", "import yaml"])
        .is_none()
        .then_some("Python 3 with PyYAML is not there (python3-yaml)")
}

fn build(profile: &str, folder: &str) -> Result<PathBuf> {
    run(Command::new("cargo").args([
        "build",
        "--quiet",
        "--package",
        "kubarium",
        "--profile",
        profile,
    ]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Ok(std::path::absolute(target.join(folder).join("kubarium"))?)
}

fn measure(kubarium: &Path) -> Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for scorer in &SCORERS {
        let recordings = Path::new(RECORDINGS);
        let mut command = Command::new("python3");
        command.arg(recordings.join(scorer.program));
        for argument in scorer.arguments {
            command.arg(argument.replace("{}", &kubarium.to_string_lossy()));
        }
        for folder in scorer.folders {
            command.args(files(&recordings.join(folder), scorer.ending)?);
        }
        println!("\n{}:", scorer.name);
        let (lines, ended) = watch(&mut command, is_total);
        ended?;
        measures.extend(lines.into_iter().filter_map(|line| read(scorer.name, line)));
    }
    Ok(measures)
}

/// The folder itself, or its files with the ending, in order.
fn files(folder: &Path, ending: Option<&str>) -> Result<Vec<PathBuf>> {
    let Some(ending) = ending else {
        return Ok(vec![folder.to_owned()]);
    };
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|have| have == ending));
    files.sort();
    Ok(files)
}

/// A line that sums up, unlike one about a single recording.
fn is_total(line: &str) -> bool {
    !line.starts_with(' ') && line.contains(" %") && !line.contains(" % lines ")
}

/// Reads `dumps: 3/4 identical (75.0 %), …` or `75.0 % of 400 lines, …`.
fn read(scorer: &str, line: String) -> Option<Measure> {
    let (before, _) = line.split_once(" %")?;
    let percent = before.rsplit(['(', ' ']).next()?.parse().ok()?;
    let name = match line.split_once(": ") {
        Some((part, _)) => format!("{scorer} {part}"),
        None => scorer.to_owned(),
    };
    Some(Measure {
        name,
        percent,
        line: format!("{scorer}: {line}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_as_the_scorers_print_them() {
        let measure = |line: &str| {
            is_total(line)
                .then(|| read("x", line.to_owned()))
                .flatten()
                .map(|m| (m.name, m.percent))
        };
        assert_eq!(
            measure("dumps: 3/4 identical (75.0 %), 9/10 rules (90.00 %)"),
            Some(("x dumps".into(), 75.0))
        );
        assert_eq!(
            measure("12.5 % of 8 lines, 0 of 3 commands"),
            Some(("x".into(), 12.5))
        );
        assert_eq!(measure(" 12.5 % lines   0/3   commands  a.session"), None);
        assert_eq!(measure("100.0 % lines   3/3   commands  a.session"), None);
    }
}
