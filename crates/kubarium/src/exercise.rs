//! `kubarium exercise`: what authors of scenes, exercises and courses need.

use std::path::Path;

use kubarium_lesson::junit::{self, Suite};
use kubarium_lesson::{Course, Exercise, Lesson, Scene};

use crate::options::{Arguments, Declaration, Declared};

/// How the command is used.
pub const DECLARATION: Declaration = Declaration {
    name: "exercise",
    short: "Checks scenes, exercises and courses, or makes a new exercise.",
    operands: "check FILE… | new",
    operands_max: 1000,
    options: &[Declared {
        name: "--junit",
        value: "FILE",
        help: "writes the report as JUnit's XML too",
    }],
    long: "\
`check` reads each file and says what is wrong in it, with its line and a hint. Of an exercise it
then proves that no task is done at the start, and that the tasks' solutions do them one after the
other; of a scene, that its commands work and its checks hold; of a course, that its lessons are
files beside it. The status is 0 where nothing is wrong, 1 otherwise.

`new` prints a commented exercise to begin with.

  kubarium exercise new > mine.yaml
  kubarium exercise check mine.yaml
",
};

/// What `new` prints.
const NEW: &str = include_str!("exercise.yaml");

/// Runs the command on its arguments; its text and its exit status.
///
/// # Errors
/// A message for standard error; the exit status is then 2.
pub fn run(arguments: &Arguments) -> Result<(String, i32), String> {
    let operands: Vec<&str> = arguments.operands.iter().map(String::as_str).collect();
    match operands[..] {
        ["new"] => Ok((NEW.to_owned(), 0)),
        ["check", ref files @ ..] if !files.is_empty() => check(files, arguments.value("--junit")),
        ["check"] => Err("exercise check needs the files to check".to_owned()),
        _ => Err(format!(
            "exercise wants check or new\n\n{}",
            DECLARATION.help()
        )),
    }
}

fn check(files: &[&str], report: Option<&str>) -> Result<(String, i32), String> {
    let suites: Vec<Suite> = files.iter().map(|file| suite(file)).collect();
    let mut text = String::new();
    let (mut passed, mut failed) = (0, 0);
    for suite in &suites {
        text += &format!("{}\n", suite.name);
        for (case, result) in &suite.cases {
            match result {
                Ok(()) => {
                    passed += 1;
                    text += &format!("  ok      {case}\n");
                }
                Err(why) => {
                    failed += 1;
                    text += &format!("  FAILED  {case}: {}\n", why.replace('\n', "\n          "));
                }
            }
        }
    }
    text += &format!("{passed} passed, {failed} failed\n");
    if let Some(path) = report {
        std::fs::write(path, junit::write(&suites)).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok((text, i32::from(failed > 0)))
}

/// Everything that can be tried in one file.
fn suite(file: &str) -> Suite {
    let mut suite = Suite {
        name: file.to_owned(),
        cases: Vec::new(),
    };
    let text = match std::fs::read(file).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            suite
                .cases
                .push(("can be read".to_owned(), Err("it is not UTF-8".to_owned())));
            return suite;
        }
        Err(error) => {
            suite
                .cases
                .push(("can be read".to_owned(), Err(error.to_string())));
            return suite;
        }
    };
    match Lesson::read(&text) {
        Err(problems) => {
            let told: Vec<String> = problems.iter().map(|p| p.to_string()).collect();
            suite
                .cases
                .push(("can be read".to_owned(), Err(told.join("\n"))));
        }
        Ok(lesson) => {
            suite.cases.push(("can be read".to_owned(), Ok(())));
            match lesson {
                Lesson::Scene(scene) => prove_scene(&scene, &mut suite),
                Lesson::Exercise(exercise) => prove_exercise(&exercise, &mut suite),
                Lesson::Course(course) => prove_course(&course, file, &mut suite),
            }
        }
    }
    suite
}

fn prove_scene(scene: &Scene, suite: &mut Suite) {
    let result = scene.prove().map(drop);
    suite
        .cases
        .push(("its commands work and its checks hold".to_owned(), result));
}

fn prove_exercise(exercise: &Exercise, suite: &mut Suite) {
    let proof = exercise.prove();
    for (task, result) in proof.tasks {
        suite.cases.push((format!("task {task}"), result));
    }
    for why in proof.wrong {
        suite.cases.push(("as a whole".to_owned(), Err(why)));
    }
}

fn prove_course(course: &Course, file: &str, suite: &mut Suite) {
    let folder = Path::new(file).parent().unwrap_or(Path::new("."));
    for lesson in &course.lessons {
        let path = folder.join(format!("{}.yaml", lesson.name));
        let found =
            std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
        let result = found.and_then(|text| match Lesson::read(&text) {
            Ok(Lesson::Exercise(e)) if lesson.kind == "exercise" => titled(&e.title, &lesson.title),
            Ok(Lesson::Scene(s)) if lesson.kind == "scene" => titled(&s.title, &lesson.title),
            Ok(_) => Err(format!("{} is no {}", path.display(), lesson.kind)),
            Err(_) => Err(format!("{} has mistakes; check it too", path.display())),
        });
        suite
            .cases
            .push((format!("{} {}", lesson.kind, lesson.name), result));
    }
}

fn titled(own: &str, listed: &str) -> Result<(), String> {
    if own == listed {
        return Ok(());
    }
    Err(format!(
        "its title is {own:?}, and {listed:?} in the course"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Result<(String, i32), String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        run(&DECLARATION.read(&words)?)
    }

    #[test]
    fn what_new_prints_passes_check() {
        let folder = std::env::temp_dir().join(format!("kubarium-exercise-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let (mine, broken, report) = (path("mine.yaml"), path("broken.yaml"), path("report.xml"));
        let new = said("new").unwrap().0;
        std::fs::write(&mine, &new).unwrap();
        let (text, status) = said(&format!("check {mine}")).unwrap();
        assert_eq!(status, 0, "{text}");
        assert!(text.ends_with("2 passed, 0 failed\n"), "{text}");

        std::fs::write(&broken, new.replace("title:", "titel:")).unwrap();
        let (text, status) = said(&format!(
            "check {mine} {broken} /nonexistent --junit {report}"
        ))
        .unwrap();
        assert_eq!(status, 1);
        assert!(
            text.contains("unknown field \"titel\" (did you mean title?)"),
            "{text}"
        );
        assert!(text.contains("FAILED  can be read: line "), "{text}");
        let xml = std::fs::read_to_string(&report).unwrap();
        assert!(
            xml.contains("<testsuites tests=\"4\" failures=\"2\">"),
            "{xml}"
        );

        let lazy = new.replace("--replicas=3", "--replicas=2");
        std::fs::write(&broken, lazy).unwrap();
        let (text, status) = said(&format!("check {broken}")).unwrap();
        assert!(
            status == 1 && text.contains("does not do it within"),
            "{text}"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, want) in [
            ("", "exercise wants check or new"),
            ("check", "needs the files"),
            ("make", "exercise wants check or new"),
        ] {
            assert!(
                said(line).is_err_and(|error| error.contains(want)),
                "{line}"
            );
        }
    }
}
