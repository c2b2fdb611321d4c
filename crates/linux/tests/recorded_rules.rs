//! Rules of a real cluster, read and printed again.

use std::path::{Path, PathBuf};

use kubarium_linux::netfilter::Netfilter;
use kubarium_linux::netfilter::restore::{Options, restore, save};

fn recordings() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle");
    if !path.is_dir() {
        println!("skipped: no recordings at {}", path.display());
        return None;
    }
    Some(path)
}

fn files(dir: &Path, suffix: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, suffix, found);
        } else if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
}

#[test]
fn saved_rules_print_as_they_were() {
    let Some(root) = recordings() else { return };
    let mut paths = Vec::new();
    files(&root, "iptables-save.txt", &mut paths);
    files(&root, ".iptables-save", &mut paths);
    paths.sort();
    assert!(paths.len() > 100, "only {} recordings", paths.len());
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("readable");
        // ip6tables is not simulated.
        if text.contains("icmp6-port-unreachable") || text.contains("::") {
            continue;
        }
        let mut netfilter = Netfilter::default();
        restore(&mut netfilter, &text, Options::default())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let printed = save(&netfilter, None, false, "");
        let rules = |text: &str| {
            text.lines()
                .filter(|l| !l.is_empty() && !l.starts_with('#'))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (want, got) = (rules(&text), rules(&printed));
        for (want, got) in want.iter().zip(&got) {
            assert_eq!(want, got, "{}", path.display());
        }
        assert_eq!(want.len(), got.len(), "{}", path.display());
    }
}
