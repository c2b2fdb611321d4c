//! Commands that go on: watches and what is in the foreground.

use std::time::Duration;

use kubarium_posix::{Complete, Dialect, Reader};

use super::{prints, session};
use crate::{Going, Session, Stream};

#[test]
fn watches_go_on_until_they_are_ended() {
    let mut session = session();
    let watched = session.run(
        "kubectl get cm -w -l k=v --no-headers & W=$!\nkubectl create cm a\nkubectl create cm b\nkubectl label cm a k=v\nkubectl label cm a more=1\nkubectl label cm a k-\nkubectl delete cm b\nsleep 1\nkill $W\nkubectl label cm a k=v\nsleep 1",
    );
    let lines: Vec<String> = watched
        .stdout()
        .lines()
        .filter(|l| l.starts_with("a "))
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines, ["a 0 0s", "a 0 0s", "a 0 0s"], "{}", watched.text());
    prints(&["kubectl create cm a", "sleep 2"], "", 0);
    prints(&["timeout 3 kubectl get pods -w -n nosuch"], "", 124);
    prints(
        &[
            "kubectl create cm a",
            "timeout 3 kubectl get cm a -w -o name",
        ],
        "configmap/a\n",
        124,
    );
    prints(
        &["kubectl get cm,secrets -w"],
        "error: you may only specify a single resource type\n",
        1,
    );
    prints(
        &["kubectl get cm --output-watch-events"],
        "error: --output-watch-events option can only be used with --watch or --watch-only\n",
        1,
    );
}

/// A command line in the foreground, piece by piece.
#[test]
fn a_foreground_command_writes_while_time_runs() {
    let command = |line: &str| -> Complete {
        match Reader::new(line, Dialect::Bash).next() {
            Some(Ok(command)) => command,
            other => panic!("{other:?}"),
        }
    };
    let mut session = session();
    assert_eq!(
        session.begin(&command("kubectl get pods -w -o name")),
        Going::Running
    );
    assert!(session.is_running() && session.take_written().is_empty());
    // Another command meanwhile, as an editor's button gives it.
    assert_eq!(session.run("kubectl run web --image=nginx").status, 0);
    let end = session.simulation.cluster.now + Duration::from_secs(30);
    assert_eq!(session.go_on(end), Going::Running);
    let written: String = session.take_written().into_iter().map(|(_, t)| t).collect();
    let lines: Vec<&str> = written.lines().collect();
    assert!(
        lines.len() >= 4 && lines.iter().all(|l| *l == "pod/web"),
        "{written}"
    );
    assert!(session.interrupt() && !session.is_running());
    assert_eq!(session.run("echo here").text(), "here\n");

    assert_eq!(
        session.begin(&command("echo $((1+2)); sleep 2; echo end")),
        Going::Running
    );
    let halfway = session.simulation.cluster.now + Duration::from_secs(1);
    assert_eq!(session.go_on(halfway), Going::Running);
    assert_eq!(session.take_written(), [(Stream::Out, "3\n".to_owned())]);
    let end = halfway + Duration::from_secs(5);
    assert_eq!(session.go_on(end), Going::Finished(0));
    assert_eq!(session.take_written(), [(Stream::Out, "end\n".to_owned())]);
    assert_eq!(session.go_on(end), Going::Finished(0));

    // What was begun, and how far it went, is part of a saved state.
    let line = "sleep 1; kubectl create cm late; sleep 9; kubectl create cm later";
    assert_eq!(session.begin(&command(line)), Going::Running);
    let end = end + Duration::from_secs(3);
    assert_eq!(session.go_on(end), Going::Running);
    session.interrupt();
    let state = session.state().unwrap().write();
    let (again, remark) = Session::from_state(crate::state::State::read(&state).unwrap());
    assert_eq!(remark, None);
    let log = |s: &Session| {
        s.simulation
            .cluster
            .log
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(log(&again), log(&session));
}
