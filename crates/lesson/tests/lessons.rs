//! Our own scenes and exercises do what they say.

use std::collections::BTreeSet;
use std::path::PathBuf;

use kubarium_lesson::{Exercise, Lesson, Scene};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

/// All files of a folder, read.
fn lessons(name: &str) -> Vec<(String, Lesson)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let lesson =
            Lesson::read(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|problems| {
                let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
                panic!("{file}: {}", told.join("\n"))
            });
        all.push((file, lesson));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn scenes() -> Vec<Scene> {
    let only = |(_, lesson)| match lesson {
        Lesson::Scene(scene) => Some(*scene),
        _ => None,
    };
    lessons("scenes").into_iter().filter_map(only).collect()
}

fn exercises() -> Vec<Exercise> {
    let only = |(_, lesson)| match lesson {
        Lesson::Exercise(exercise) => Some(*exercise),
        _ => None,
    };
    lessons("exercises").into_iter().filter_map(only).collect()
}

#[test]
fn every_scene_does_what_its_text_says() {
    let scenes = scenes();
    assert!(scenes.len() >= 14);
    for scene in &scenes {
        if let Err(why) = scene.prove() {
            panic!("{}: {why}", scene.name);
        }
        assert!(!scene.steps.is_empty(), "{}", scene.name);
        for step in &scene.steps {
            assert!(
                !step.check.is_empty(),
                "{}: {} claims nothing",
                scene.name,
                step.title
            );
        }
    }
}

#[test]
fn every_exercise_can_be_done_and_is_not_done_at_its_start() {
    let exercises = exercises();
    assert!(exercises.len() >= 12);
    for exercise in &exercises {
        let proof = exercise.prove();
        assert!(proof.holds(), "{}: {proof:?}", exercise.name);
        for task in &exercise.tasks {
            assert!(
                !task.hints.is_empty(),
                "{}: {} has no hint",
                exercise.name,
                task.name
            );
        }
    }
}

#[test]
fn the_lists_name_every_lesson_once() {
    for (name, kind) in [("scenes", "scene"), ("exercises", "exercise")] {
        let mut there = BTreeSet::new();
        let mut listed = BTreeSet::new();
        for (file, lesson) in lessons(name) {
            match lesson {
                Lesson::Scene(scene) => {
                    assert_eq!(scene.name, file);
                    there.insert((file, scene.title, scene.summary));
                }
                Lesson::Exercise(exercise) => {
                    assert_eq!(exercise.name, file);
                    there.insert((file, exercise.title, exercise.summary));
                }
                Lesson::Course(course) => {
                    for entry in course.lessons {
                        assert_eq!(entry.kind, kind);
                        assert!(listed.insert((entry.name, entry.title, entry.summary)));
                    }
                }
            }
        }
        assert_eq!(there, listed);
    }
}
