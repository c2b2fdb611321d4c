//! `kubarium render`: a picture of a lesson or of a saved state, as SVG.

use kubarium_lesson::Lesson;
use kubarium_scene::{Layout, lane, map, rules, svg};
use kubarium_shell::Session;
use kubarium_shell::state::State;

use crate::options::{Arguments, Declaration, Declared};

/// How the command is used.
pub const DECLARATION: Declaration = Declaration {
    name: "render",
    short: "Draws a scene, an exercise or a saved state as SVG.",
    operands: "FILE",
    operands_max: 1,
    options: &[
        Declared {
            name: "--view",
            value: "VIEW",
            help: "map (usual), packet or rules",
        },
        Declared {
            name: "--step",
            value: "N",
            help: "after so many steps of the scene, or solutions of the exercise (default: all)",
        },
        Declared {
            name: "--trace",
            value: "FROM=TO",
            help: "the packet that is drawn, such as pod/client=http://web; without it, the last\n\
                   one that the file's commands sent",
        },
        Declared {
            name: "--node",
            value: "NODE",
            help: "the node whose rules are drawn (default worker-1)",
        },
        Declared {
            name: "--table",
            value: "TABLE",
            help: "the table that is drawn (default nat)",
        },
        Declared {
            name: "--dark",
            value: "",
            help: "light on dark",
        },
        Declared {
            name: "-o",
            value: "FILE",
            help: "the file that is written (default: standard output)",
        },
    ],
    long: "\
  kubarium render scenes/pod-to-service.yaml --view map -o pod-to-service.svg
",
};

/// Runs the command on its arguments; its text.
///
/// # Errors
/// A message for standard error.
pub fn run(arguments: &Arguments) -> Result<String, String> {
    let [file] = &arguments.operands[..] else {
        return Err("render needs the file of a scene, an exercise or a saved state".to_owned());
    };
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let steps = arguments.number::<usize>("--step")?.unwrap_or(usize::MAX);
    let mut session = open(&text, steps).map_err(|why| format!("{file}: {why}"))?;
    if let Some(trace) = arguments.value("--trace") {
        let (from, to) = trace
            .split_once('=')
            .ok_or("--trace wants FROM=TO, such as pod/client=http://web")?;
        let line = format!(
            "sim trace {} {}",
            kubarium_posix::quote(from),
            kubarium_posix::quote(to)
        );
        let output = session.run(&line);
        if output.status != 0 {
            return Err(output.text());
        }
    }
    let theme = if arguments.has("--dark") {
        svg::Theme::Dark
    } else {
        svg::Theme::Light
    };
    let picture = match arguments.value("--view").unwrap_or("map") {
        "map" => {
            let cluster = &session.simulation.cluster;
            let mut layout = Layout::default();
            layout.update(cluster);
            svg::map(&map::draw(cluster, &layout), theme)
        }
        "packet" => match &session.last_trace {
            Some(trace) => svg::lane(&lane::lane(trace), theme),
            None => return Err("no packet was sent; name one with --trace FROM=TO".to_owned()),
        },
        "rules" => {
            let node = arguments.value("--node").unwrap_or("worker-1");
            let table = arguments.value("--table").unwrap_or("nat");
            let lane = session.last_trace.as_ref().map(lane::lane);
            let cluster = &mut session.simulation.cluster;
            kubarium_cluster::kube_proxy::bring_up_to_date(cluster, node);
            svg::rules(
                &rules::rule_book(cluster, node, table, lane.as_ref(), ""),
                theme,
            )
        }
        other => {
            return Err(format!(
                "there is no view {other:?}; use map, packet or rules"
            ));
        }
    };
    match arguments.value("-o") {
        None => Ok(picture),
        Some(path) => std::fs::write(path, picture)
            .map(|()| String::new())
            .map_err(|error| format!("{path}: {error}")),
    }
}

/// A terminal as it is after the file's commands.
fn open(text: &str, steps: usize) -> Result<Session, String> {
    if text.trim_start().starts_with('{') {
        let state = State::read(text).map_err(|error| error.message)?;
        return Ok(Session::from_state(state).0);
    }
    let lesson = Lesson::read(text).map_err(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        told.join("\n")
    })?;
    let (setting, commands): (_, Vec<Vec<String>>) = match lesson {
        Lesson::Scene(scene) => (
            scene.setting.clone(),
            scene.steps.into_iter().map(|step| step.run).collect(),
        ),
        Lesson::Exercise(exercise) => (
            exercise.setting.clone(),
            exercise
                .tasks
                .into_iter()
                .map(|task| task.solution)
                .collect(),
        ),
        Lesson::Course(_) => return Err("a list of lessons has no picture".to_owned()),
    };
    let mut session = setting.begin()?;
    for line in commands.iter().take(steps).flatten() {
        session.run(line);
    }
    session.run("sim settle");
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lessons_are_drawn() {
        let scene = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../scenes/pod-to-service.yaml"
        );
        let drawn = |options: &str| {
            let words: Vec<String> = format!("{scene} {options}")
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            run(&DECLARATION.read(&words)?)
        };
        for (options, want) in [
            ("--step 0", "nginx-"),
            ("--step 1 --dark", "flannel.1"),
            ("--view packet --step 3", "DNAT"),
            (
                "--view rules --step 3 --trace pod/pod-1=http://nginx",
                "KUBE-SVC-",
            ),
        ] {
            let svg = drawn(options).unwrap();
            assert!(svg.starts_with("<svg ") && svg.contains(want), "{options}");
        }
        for (options, want) in [
            ("--view sky", "there is no view \"sky\""),
            ("--view packet --step 0", "no packet was sent"),
            ("--trace x", "--trace wants FROM=TO"),
            ("--trace pod/none=x", "there is no pod"),
        ] {
            assert!(
                drawn(options).is_err_and(|error| error.contains(want)),
                "{options}"
            );
        }
    }
}
