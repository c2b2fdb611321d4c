//! The editor's examples: each is taken as it stands, and comes to rest with all of its pods at work.

use std::fs;
use std::path::Path;

use kubarium_cluster::{Config, Simulation};
use kubarium_objects::Severity;
use kubarium_shell::Session;

/// The index's lines, each a file, a title and a sentence.
fn index(folder: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(folder.join("index.txt")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let entry = |line: &str| {
        let parts: Vec<&str> = line.split(" = ").collect();
        assert_eq!(parts.len(), 3, "a file, a title, a sentence: {line}");
        (parts[0].to_owned(), parts[1].to_owned())
    };
    lines.map(entry).collect()
}

#[test]
fn every_example_is_taken_and_comes_to_work() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/examples");
    let fresh = Session::new(Simulation::new(Config::default()));
    let listed = index(&folder);
    let files = fs::read_dir(&folder).map_or(0, Iterator::count);
    assert_eq!(listed.len() + 1, files, "the index names every example");
    for (file, title) in listed {
        let text = fs::read_to_string(folder.join(&file)).unwrap_or_default();
        let mut session = fresh.clone();
        let found = session.diagnose(&text, &[]);
        let wrong: Vec<_> = (found.iter())
            .filter(|d| d.severity != Severity::Hint)
            .collect();
        assert!(wrong.is_empty(), "{file}: {wrong:?}");
        session.write_file(&file, text.as_bytes()).unwrap();
        let applied = session.run(&format!("kubectl apply -f {file}"));
        assert_eq!(applied.status, 0, "{title}: {}", applied.text());
        session.run("sim settle");
        let pods = session.run("kubectl get pods -A --no-headers").stdout();
        for pod in pods.lines() {
            let fine = pod.contains("Running") || pod.contains("Completed");
            assert!(fine, "{file}: {pod}");
        }
    }
}
