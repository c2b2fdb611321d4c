//! Sessions recorded on a real cluster (Kubernetes v1.37.2, three nodes, Linux), typed again.
//!
//! A file of `tests/sessions/` holds `$ command`, its further lines as `> line`, what it printed, and
//! `? N` where its exit status N was not 0. A line `# mode: nftables` names another mode of kube-proxy.
//! What no run repeats (addresses, ages, generated names) is masked on both sides, runs of blanks
//! count as one, and the order of lines within a command's output does not count.
//!
//! `SESSIONS=FOLDER` plays other files, `TRANSCRIPTS=FOLDER` writes down what was printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use kubarium_cluster::{Config, Simulation};
use kubarium_posix::{Dialect, Reader};
use kubarium_shell::Session;
use regex_lite::Regex;

/// How many of a hundred recorded lines must come out the same, at the least.
const FLOOR: usize = 99;

/// A command and the lines that it printed.
struct Step {
    command: String,
    lines: Vec<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        let printed = steps.last().is_some_and(|step| !step.lines.is_empty());
        if let Some(command) = line.strip_prefix("$ ") {
            let (command, lines) = (command.to_owned(), Vec::new());
            steps.push(Step { command, lines });
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("> ").filter(|_| !printed) {
                Some(more) => step.command += &format!("\n{more}"),
                None => step.lines.push(line.to_owned()),
            }
        }
    }
    steps
}

fn config(text: &str) -> Config {
    let mode = text.lines().find_map(|line| line.strip_prefix("# mode: "));
    Config::parse(&format!(
        "apiVersion: kubarium/v1alpha1\nkind: Cluster\nkubeProxy: {{mode: {}}}\nimages: {{unknown: fail}}\n",
        mode.unwrap_or("iptables")
    ))
    .expect("a configuration")
}

/// What a terminal shows for each of the commands.
fn play(config: Config, commands: &str) -> Vec<Step> {
    let mut session = Session::new(Simulation::new(config));
    let mut play = |command: kubarium_posix::Complete| {
        if !command.is_only("sim") {
            session.draw_breath();
        }
        let output = session.run_command(&command);
        let mut lines: Vec<String> = output.text().lines().map(str::to_owned).collect();
        if output.status != 0 {
            lines.push(format!("? {}", output.status));
        }
        let command = command.text;
        Step { command, lines }
    };
    let commands = Reader::new(commands, Dialect::Bash);
    commands.map(|command| play(command.unwrap())).collect()
}

/// What no run repeats, and what stands for it.
static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"/tmp/(LIVE|MERGED)-\d+", "/tmp/DIFF"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID"),
        (r"\b(sha256:|containerd://)?[0-9a-f]{12,64}\b", "ID"),
        (r"\bveth[0-9a-f]{6,8}\b", "veth"),
        (
            r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b|\bfe80::[0-9a-f:]+",
            "MAC",
        ),
        (r"\blink-netns(id)? \S+", "link-netns N"),
        (r"\bafter \d+ (ms|milliseconds)\b", "after N ms"),
        (
            r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000( UTC)?)",
            "TIME",
        ),
        (
            r"\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
            "TIME",
        ),
        (r"\bKUBE-SEP-[A-Z2-7]{16}\b", "KUBE-SEP"),
        (r"\b(endpoint|affinity)-[A-Z2-7]{8}-", "${1}-HASH-"),
        (r"\b10\.42\.\d+\.0/24\b", "PODNET"),
        (r"\b10\.42\.\d+\.\d+\b", "PODIP"),
        (
            r"\b10\.43\.([1-9]\d*\.\d+|0\.[2-9]|0\.\d\d\d|0\.[2-9]\d|0\.1[1-9])\b",
            "SVCIP",
        ),
        (r"\b172\.18\.0\.\d+\b", "NODEIP"),
        (r"\b(PODIP|SVCIP|NODEIP):\d{5}\b", "ADDR:PORT"),
        (r"\bworker-\d+\b", "worker"),
        (r"\b3[0-2]\d{3}\b", "NODEPORT"),
        (
            r"-[bcdf0-9][bcdfghjklmnpqrstvwxz2-9]{6,9}-[bcdfghjklmnpqrstvwxz2-9]{5}\b",
            "-NAME",
        ),
        (r"-[bcdf2-9]*[0-9][bcdfghjklmnpqrstvwxz2-9]{5,9}\b", "-NAME"),
        (r"-[bcdfghjklmnpqrstvwxz2-9]{8,10}\b", "-NAME"),
        (r"pod-template-hash=[0-9a-z]+", "pod-template-hash=HASH"),
        (r"-[bcdfghjklmnpqrstvwxz2-9]{5}\b", "-NAME"),
        (
            r"\b(\d+[ydhm])*\d+(\.\d+)?(s|ms|µs|m|h|d)\b|<unknown>|<invalid>",
            "AGE",
        ),
        (r"^[IWE]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "KLOG "),
        (r"\S*/(kubeconfig|\.kube/config)\b", "KUBECONFIG"),
        (
            r#"(Resource Version: +|resourceVersion"?: )"?\d+"?"#,
            "${1}RV",
        ),
        (r"Image size: \d+", "Image size: N"),
        (r"\(x\d+ over AGE\)", "(xN)"),
        (r"\s+", " "),
    ]
    .map(|(pattern, stands_for)| (Regex::new(pattern).unwrap(), stands_for))
    .into()
});

fn mask(line: &str) -> String {
    let mut line = line.trim_end().to_owned();
    for (pattern, stands_for) in MASKS.iter() {
        line = pattern.replace_all(&line, *stands_for).into_owned();
    }
    line.trim().to_owned()
}

/// How often each line was recorded, less how often it is printed now.
fn difference(recorded: &[String], printed: &[String]) -> BTreeMap<String, isize> {
    let mut lines = BTreeMap::new();
    for (all, weight) in [(recorded, 1), (printed, -1)] {
        for line in all.iter().map(|line| mask(line)).filter(|l| !l.is_empty()) {
            *lines.entry(line).or_default() += weight;
        }
    }
    lines.retain(|_, count| *count != 0);
    lines
}

fn sessions() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    let folder = std::env::var_os("SESSIONS").map_or(own, PathBuf::from);
    let entries = fs::read_dir(folder).expect("the folder of the sessions");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "session"));
    files.sort();
    assert!(!files.is_empty(), "no session was found");
    files
}

fn write_down(file: &Path, printed: &[Step]) {
    let Some(folder) = std::env::var_os("TRANSCRIPTS") else {
        return;
    };
    let mut text = String::new();
    for step in printed {
        text += &format!("$ {}\n", step.command.replace('\n', "\n> "));
        step.lines.iter().for_each(|l| text += &format!("{l}\n"));
    }
    let name = file.file_name().unwrap_or_default();
    fs::write(Path::new(&folder).join(name), text).expect("a transcript is written");
}

#[test]
fn recorded_sessions_print_what_they_printed() {
    let (mut all, mut different, mut report) = (0, 0, String::new());
    for file in sessions() {
        let text = fs::read_to_string(&file).expect("a session");
        let recorded = steps(&text);
        let commands: String = recorded.iter().map(|s| s.command.clone() + "\n").collect();
        let printed = play(config(&text), &commands);
        write_down(&file, &printed);
        assert_eq!(printed.len(), recorded.len(), "{}", file.display());
        report += &format!("\n{}\n", file.display());
        for (want, got) in recorded.iter().zip(&printed) {
            let lines = difference(&want.lines, &got.lines);
            let missing: isize = lines.values().filter(|count| **count > 0).sum();
            let added: isize = -lines.values().filter(|count| **count < 0).sum::<isize>();
            all += want.lines.len().max(got.lines.len());
            different += missing.max(added).unsigned_abs();
            if !lines.is_empty() {
                report += &format!("$ {}\n", want.command.lines().next().unwrap_or_default());
            }
            for (line, count) in lines {
                report += &format!(
                    "  {}{} {line}\n",
                    if count > 0 { '-' } else { '+' },
                    count.abs()
                );
            }
        }
    }
    let same = all.saturating_sub(different);
    println!("{report}\n{same} of {all} lines are the same");
    assert!(same * 100 >= all * FLOOR, "{same} of {all}:{report}");
}
