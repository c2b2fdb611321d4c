//! How long a look at a learner's cluster takes: rows of `docs/SPEED.md`.

use std::path::Path;

use kubarium_lesson::{Attempt, Exercise, Lesson, Progress};

#[path = "../../cluster/benches/table/mod.rs"]
mod table;

use table::{Stopwatch, row, time};

/// Something that may have changed what every check depends on.
const CHANGE: &str = "kubectl label pods --all changed=yes --overwrite";

fn exercises() -> Vec<Exercise> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../exercises");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the exercises")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let texts = paths
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    let lessons = texts.filter_map(|text| Lesson::read(&text).ok());
    let only = |lesson| match lesson {
        Lesson::Exercise(exercise) => Some(*exercise),
        _ => None,
    };
    lessons.filter_map(only).collect()
}

fn main() {
    if std::env::args().skip(1).any(|word| !word.starts_with('-')) {
        // A filter for other benchmarks.
        return;
    }
    let (mut most, mut slowest, mut sum, mut looks) = (0.0_f64, String::new(), 0.0, 0);
    for exercise in exercises() {
        let Ok(mut session) = exercise.setting.begin() else {
            continue;
        };
        session.run("kubectl create deployment more --image=nginx:1.27 --replicas=30");
        session.run("sim settle");
        let mut attempt = Attempt::new(&exercise, &session, Progress::default());
        attempt.look(&exercise, &session);
        for _ in 0..5 {
            session.run(CHANGE);
            session.run("sim advance 30s");
            let watch = Stopwatch::start();
            attempt.look(&exercise, &session);
            let took = watch.seconds();
            sum += took;
            looks += 1;
            if took > most {
                (most, slowest) = (took, exercise.name.clone());
            }
        }
    }
    row(
        "an exercise's checks after a change, thirty pods more than it has",
        sum / f64::from(looks.max(1)),
        "",
        &format!("{} at the most ({slowest})", time(most)),
        "≤ 20 ms",
    );
}
