//! Comparison with recordings of a real cluster, by the scorers that came with them.
//!
//! A scorer prints percentages ([`crate::totals`] reads them). What was once reached must not be lost: `tests/floors.txt`
//! says, for each measure, below which percentage a change is a failure.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::run::{output, run, say, watch};
use crate::totals::{self, Measure};

/// Where the recordings lie, beside the workspace.
const RECORDINGS: &str = "../shared/oracle";
const FLOORS: &str = "tests/floors.txt";
const REPORT: &str = "docs/FIDELITY.md";

/// A scorer with what it is given.
struct Scorer {
    /// The first word of its measures' names.
    name: &'static str,
    /// What is compared, for the report.
    about: &'static str,
    /// Its program, in the folder of the recordings.
    program: &'static str,
    /// Its arguments: `{}` is the command `kubarium`; a path in the folder of the recordings begins with `@`, and one that
    /// ends with `*` and an ending is all such files, in order.
    arguments: &'static [&'static str],
    /// Reads a line that it prints.
    read: fn(&str) -> Vec<Measure>,
}

const SCORERS: [Scorer; 6] = [
    Scorer {
        name: "kubectl",
        about: "Sessions in a terminal: kubectl on a three-node cluster, line by line as it was printed.",
        program: "sessions/score.py",
        arguments: &["--run", "{}", "@sessions/kubectl/*.session"],
        read: totals::session,
    },
    Scorer {
        name: "network",
        about: "Sessions about the network: requests, node tools, rules, faults.",
        program: "sessions/score.py",
        arguments: &["--run", "{}", "@sessions/network/*.session"],
        read: totals::session,
    },
    Scorer {
        name: "own-manifests",
        about: "Manifests written for this, right and wrong: the API server's verdict, message and defaulted object.",
        program: "api/score.py",
        arguments: &["{}", "@api/own.jsonl"],
        read: totals::manifests,
    },
    Scorer {
        name: "found-manifests",
        about: "Manifests of public repositories: the same three.",
        program: "api/score.py",
        arguments: &["{}", "@api/found.jsonl"],
        read: totals::manifests,
    },
    Scorer {
        name: "scheduler",
        about: "kube-scheduler's decisions: verdict, node, feasible nodes, message, scores, victims.",
        program: "scheduler/score.py",
        arguments: &["--jobs", "2", "{}", "@scheduler/cases.jsonl"],
        read: totals::decisions,
    },
    Scorer {
        name: "kube-proxy",
        about: "kube-proxy's rules for random sets of Services, after one sync and after sequences of changes, and what \
                the kernel does with packets through them in hand-made networks. What differs is chance: one nftables \
                table was written before kube-proxy had heard of the ServiceCIDR, and only a full sync would have \
                written it again; eight flows can end in ways that their 4 to 39 repeats did not show, or that the \
                recorder took for time-outs of its own.",
        program: "kube-proxy-random/score.py",
        arguments: &["{}", "@kube-proxy-random"],
        read: totals::rules,
    },
];

/// What a scorer came to: the lines in which it says so, and what they measure.
struct Score {
    scorer: &'static Scorer,
    lines: Vec<String>,
    measures: Vec<Measure>,
}

/// Runs the scorers, holds what they say against the floors, and gives their totals.
pub(crate) fn against_recordings() -> (Vec<String>, Result) {
    say("Comparison with recordings of a real cluster (about 2 minutes)");
    if let Some(reason) = missing() {
        println!("Skipped: {reason}.");
        return (vec![format!("skipped: {reason}")], Ok(()));
    }
    let scores = match build("dev", "debug").and_then(|kubarium| measure(&kubarium)) {
        Ok(scores) => scores,
        Err(e) => return (Vec::new(), Err(e)),
    };
    let totals = scores
        .iter()
        .flat_map(|score| {
            let name = score.scorer.name;
            score
                .lines
                .iter()
                .map(move |line| format!("{name}: {line}"))
        })
        .collect();
    let ended = fs::read_to_string(FLOORS)
        .map_err(Into::into)
        .and_then(|floors| hold(&floors, &scores));
    (totals, ended)
}

/// Fails where a measure is below its floor, or no longer there.
fn hold(floors: &str, scores: &[Score]) -> Result {
    let reached = |name: &str| {
        let (scorer, measure) = name.split_once(' ')?;
        let score = scores.iter().find(|score| score.scorer.name == scorer)?;
        let measure = score.measures.iter().find(|m| m.name == measure)?;
        Some(measure.percent)
    };
    let mut lost = Vec::new();
    for line in floors.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let floor = line
            .split_once('=')
            .and_then(|(name, floor)| Some((name.trim(), floor.trim().parse::<f64>().ok()?)));
        let (name, floor) = floor.ok_or_else(|| format!("{FLOORS}: not a floor: {line}"))?;
        match reached(name) {
            Some(percent) if percent >= floor => {}
            Some(percent) => lost.push(format!("{name} fell to {percent} %, below {floor} %")),
            None => lost.push(format!("{name} was not measured")),
        }
    }
    if lost.is_empty() {
        Ok(())
    } else {
        Err(lost.join("; ").into())
    }
}

/// `cargo xtask fidelity`: the release build against every recording, written to docs/FIDELITY.md.
pub(crate) fn fidelity() -> Result {
    if let Some(reason) = missing() {
        return Err(format!("nothing to measure against: {reason}").into());
    }
    say(
        "Comparison with recordings of a real cluster (about 5 minutes on two cores, with the release build)",
    );
    let scores = measure(&build("release", "release")?)?;
    fs::create_dir_all("docs")?;
    fs::write(REPORT, report(&scores)?)?;
    println!("\nWritten to {REPORT}.");
    Ok(())
}

fn report(scores: &[Score]) -> std::result::Result<String, std::fmt::Error> {
    let mut text = String::from(
        "# Fidelity\n\nHow far Kubarium does what a real cluster (Kubernetes v1.37.2, Linux) did, by recordings of one. \
         Written by `cargo xtask fidelity`; what of it must not be lost again is in `tests/floors.txt`.\n",
    );
    for Score {
        scorer,
        lines,
        measures,
    } in scores
    {
        write!(
            text,
            "\n## {}\n\n{}\n\n| measure | the same |\n|---|---|\n",
            scorer.name, scorer.about
        )?;
        for Measure { name, percent } in measures {
            match percent {
                0.0 => writeln!(text, "| {name} | 0 %: not simulated yet |")?,
                _ => writeln!(text, "| {name} | {percent} % |")?,
            }
        }
        writeln!(text, "\n```text\n{}\n```", lines.join("\n"))?;
    }
    Ok(text)
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

fn measure(kubarium: &Path) -> Result<Vec<Score>> {
    let mut scores = Vec::new();
    for scorer in &SCORERS {
        println!("\n{}:", scorer.name);
        let mut command = Command::new("python3");
        command.arg(Path::new(RECORDINGS).join(scorer.program));
        for argument in scorer.arguments {
            match argument.strip_prefix('@') {
                Some(path) => command.args(files(path)?),
                None => command.arg(argument.replace("{}", &kubarium.to_string_lossy())),
            };
        }
        let (mut lines, ended) = watch(&mut command, |_| true);
        ended.map_err(|e| format!("{}: {e}", scorer.name))?;
        lines.retain(|line| !(scorer.read)(line).is_empty());
        let measures = lines.iter().flat_map(|line| (scorer.read)(line)).collect();
        scores.push(Score {
            scorer,
            lines,
            measures,
        });
    }
    Ok(scores)
}

/// What a path in the folder of the recordings stands for: itself, or all files with its ending.
fn files(path: &str) -> Result<Vec<PathBuf>> {
    let recordings = Path::new(RECORDINGS);
    let Some((folder, ending)) = path.split_once("*.") else {
        return Ok(vec![recordings.join(path)]);
    };
    let entries = fs::read_dir(recordings.join(folder))?.map(|entry| entry.map(|e| e.path()));
    let mut files = entries.collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|have| have == ending));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_fails_what_fell_below_it_or_is_gone() {
        let scores = [Score {
            scorer: &SCORERS[0],
            lines: Vec::new(),
            measures: totals::session("90.0 % of 10 lines, 1 of 2 commands"),
        }];
        let held = |floors: &str| hold(floors, &scores).map_err(|e| e.to_string());
        assert_eq!(
            held("# why\n\nkubectl lines = 90\nkubectl commands = 49.9\n"),
            Ok(())
        );
        for (floor, why) in [
            (
                "kubectl lines = 90.1",
                "kubectl lines fell to 90 %, below 90.1 %",
            ),
            ("kubectl words = 1", "kubectl words was not measured"),
            ("network lines = 1", "network lines was not measured"),
            (
                "kubectl lines",
                "tests/floors.txt: not a floor: kubectl lines",
            ),
        ] {
            assert_eq!(held(floor), Err(why.to_owned()));
        }
    }
}
