//! A state that was saved and loaded goes on as the original does.

use kubarium_cluster::{Config, EventId, Simulation};
use kubarium_objects::{Value, object};
use kubarium_shell::Session;
use kubarium_shell::state::{Given, State};

fn session() -> Session {
    let mut config = Config::default();
    config.nodes.truncate(2);
    config.dns = false;
    Session::new(Simulation::new(config))
}

/// Everything that can be told apart: the log, the files, what the shell remembers.
fn all_of(session: &mut Session) -> String {
    let look = "sim events; sim branches; cat *; echo $x; pwd; kubectl get all -A -o yaml; kubectl config view";
    session.clone().run(look).text()
}

/// Runs the lines, saves and loads through the text, and compares both, then and after more lines.
#[track_caller]
fn goes_on(lines: &[&str], more: &[&str]) {
    let mut original = session();
    for line in lines {
        match line.strip_prefix("steps ") {
            // The page's clock stops between any two tasks.
            Some(number) => {
                for _ in 0..number.parse().unwrap() {
                    original.simulation.step();
                }
            }
            None => match line.strip_prefix("goto ") {
                Some(event) => drop(original.goto(EventId(event.parse().unwrap()))),
                None => drop(original.run(line)),
            },
        }
    }
    original.view = object([("focus", "pod:default/web".into())]);
    let text = original.state().unwrap().write();
    let (mut loaded, remark) = Session::from_state(State::read(&text).unwrap());
    assert_eq!(remark, None, "{lines:?}");
    assert_eq!(all_of(&mut loaded), all_of(&mut original), "{lines:?}");
    assert_eq!(loaded.view["focus"].str(), "pod:default/web");
    assert_eq!(loaded.state().unwrap().write(), text, "{lines:?}");
    for line in more {
        let (a, b) = (original.run(line), loaded.run(line));
        assert_eq!(a, b, "{line} after {lines:?}");
    }
    assert_eq!(all_of(&mut loaded), all_of(&mut original), "{lines:?}");
}

#[test]
fn a_loaded_state_goes_on_byte_for_byte() {
    let web = "kubectl create deployment web --image=nginx --replicas=2";
    goes_on(&[], &[web, "sim settle"]);
    goes_on(
        &[web, "sim settle"],
        &["kubectl delete deployment web", "sim advance 20s"],
    );
    goes_on(
        &[
            "x=5; cd /tmp; echo a > b",
            "cat > c <<E\n$x\nE",
            "kubectl config set-context --current --namespace=n",
        ],
        &["cat c /tmp/b; echo $x"],
    );
    goes_on(
        &[
            web,
            "steps 7",
            "kubectl scale deployment web --replicas=1",
            "steps 11",
        ],
        &["sim settle"],
    );
    goes_on(
        &[web, "sim advance 1s", "sim undo", "sim redo"],
        &["sim settle", "sim undo"],
    );
    goes_on(
        &[web, "sim settle", "sim undo"],
        &["sim redo", "sim settle", "kubectl get pods"],
    );
    goes_on(
        &[
            web,
            "sim settle",
            "sim undo",
            "sim undo",
            "kubectl create configmap other",
        ],
        &[
            "sim branch 1",
            "sim branches",
            "sim settle",
            "sim branch 2",
            "sim undo",
        ],
    );
    goes_on(
        &[web, "sim settle", "goto 70", "goto 65", "steps 3"],
        &["sim settle", "sim redo", "kubectl create configmap c"],
    );
    goes_on(
        &[web, "sim settle", "sim goto 60", "steps 5"],
        &["sim settle", "sim redo"],
    );
}

#[test]
fn commands_save_and_load() {
    let mut session = session();
    let run = |session: &mut Session, line: &str| {
        let output = session.run(line);
        assert_eq!(output.status, 0, "{line}: {}", output.text());
        output.text()
    };
    run(&mut session, "kubectl create configmap one");
    run(&mut session, "sim save s");
    run(&mut session, "kubectl create configmap two");
    run(&mut session, "sim load s");
    // The file is part of what was saved: it can be loaded again.
    for _ in 0..2 {
        let names = run(&mut session, "kubectl get cm -o name | grep -v kube");
        assert_eq!(names, "configmap/one\n");
        run(&mut session, "sim load s");
    }
    for (line, want) in [
        ("sim load nothing", "there is no such file"),
        ("echo x > f; sim load f", "a command line of its own"),
        ("sim save f && echo", "a command line of its own"),
        (
            "for i in 1 2; do sim save f; done",
            "a command line of its own",
        ),
        ("sim load /tmp", "there is no such file"),
        ("sim branch 7", "there is no branch 7"),
        ("sim branch x", "is no branch's number"),
    ] {
        let output = session.run(line);
        assert!(output.text().contains(want), "{line}: {}", output.text());
        assert_ne!(output.status, 0, "{line}");
    }
    run(&mut session, "echo '{}' > f");
    assert!(
        session
            .run("sim load f")
            .text()
            .contains("is no saved state")
    );
}

#[test]
fn branches_stay_reachable() {
    let mut session = session();
    for line in [
        "kubectl create configmap a",
        "kubectl create configmap b",
        "sim undo",
    ] {
        session.run(line);
    }
    assert_eq!(session.simulation.branches().len(), 1);
    session.run("kubectl create configmap c");
    let names = |session: &mut Session| session.run("kubectl get cm -o name | grep -v kube").text();
    assert_eq!(names(&mut session), "configmap/a\nconfigmap/c\n");
    let branches = session.simulation.branches();
    let told: Vec<_> = branches
        .iter()
        .map(|b| {
            (
                b.number,
                b.current,
                b.left.map(|l| l.0),
                b.last_command.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, false, None, Some("kubectl create configmap b")),
            (2, true, Some(1), Some("kubectl create configmap c")),
        ]
    );
    session.run("sim branch 1");
    assert_eq!(names(&mut session), "configmap/a\nconfigmap/b\n");
    session.run("sim undo");
    assert_eq!(names(&mut session), "configmap/a\n");
    session.run("sim branch 2");
    assert_eq!(names(&mut session), "configmap/a\nconfigmap/c\n");
    // What was undone on the first branch is at its end still.
    session.run("sim branch 1");
    assert_eq!(names(&mut session), "configmap/a\nconfigmap/b\n");
    // The number of branches is limited; the newest stay.
    for _ in 0..40 {
        session.run("sim undo");
        session.run("kubectl create configmap d");
    }
    let branches = session.simulation.branches();
    assert_eq!(
        (branches.len(), branches.last().map(|b| b.number)),
        (16, Some(42))
    );
}

fn saved() -> String {
    let mut session = session();
    session.write_file("web.yaml", b"a: '}'").unwrap();
    session.write_file("bytes", b"\xff\x00").unwrap();
    session.run("kubectl create configmap a");
    session.run("echo '}]}'");
    session.state().unwrap().write()
}

#[test]
fn of_a_text_cut_short_its_beginning_is_saved() {
    let text = saved();
    let whole = State::read(&text).unwrap();
    assert_eq!(whole.history.len(), 4);
    assert_eq!(
        whole.history[1].given,
        Given::File {
            path: "/root/bytes".into(),
            bytes: b"\xff\x00".as_slice().into()
        }
    );
    let mut best = 0;
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        let error = State::read(&text[..end]).unwrap_err();
        let kept = error.saved.map_or(0, |s| s.history.len());
        assert!(kept >= best, "{end}: {kept}");
        best = kept;
        assert!(error.message.contains("cut short"), "{}", error.message);
    }
    // All but the brackets at the end may be there.
    assert_eq!(best, 4);
}

#[test]
fn what_is_wrong_is_said_and_the_rest_saved() {
    let text = saved();
    let error = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let error = State::read(&text.replacen(from, to, 1)).unwrap_err();
        (error.message, error.saved.map(|s| s.history.len()))
    };
    for (from, to, want, saved) in [
        ("state/v1", "state/v7", "a newer version (format 7", Some(4)),
        ("kubarium/state/v1", "other", "this is no saved state", None),
        (
            "\"run\":\"kubectl",
            "\"walk\":\"kubectl",
            "history[2]: it needs one of run, begin, goOn, interrupt, type, close, goto and file",
            Some(2),
        ),
        (
            "\"base64\":\"/",
            "\"base64\":\"!",
            "the base64 text is wrong at byte 0",
            Some(1),
        ),
        (
            "\"cluster\":{",
            "\"cluster\":{\"toaster\":1,",
            "the cluster: unknown field `toaster`",
            Some(4),
        ),
    ] {
        let (message, kept) = error(from, to);
        assert!(message.contains(want), "{message}");
        assert_eq!(kept, saved, "{message}");
    }
    assert!(
        State::read(&"x".repeat(5 << 20))
            .unwrap_err()
            .message
            .contains("larger than 4 MiB")
    );
    let nodes =
        "\"nodes\":[".to_owned() + &"{\"name\":\"n\"},".repeat(6000) + "{\"name\":\"n\"}],\"dns\"";
    let many = text
        .replacen("\"nodes\":[", "\"x\":[", 1)
        .replacen("\"dns\"", &nodes, 1);
    assert!(State::read(&many).is_err());
}

#[test]
fn a_state_is_readable_as_a_script() {
    let state = State::read(&saved()).unwrap();
    let script = state.script();
    assert!(
        script.contains("cat > /root/web.yaml <<'END'\na: '}'\nEND\n"),
        "{script}"
    );
    let mut session = session();
    session.run(&script);
    assert_eq!(
        session.run("cat web.yaml; kubectl get cm a -o name").text(),
        "a: '}'\nconfigmap/a\n"
    );
}

#[test]
fn a_history_that_is_too_long_says_so() {
    let mut session = session();
    let big = vec![b'x'; 1 << 20];
    for _ in 0..3 {
        session.write_file("big", &big).unwrap();
    }
    assert!(
        session
            .state()
            .unwrap_err()
            .contains("too long to be saved")
    );
    assert!(session.run("sim save f").text().contains("too long"));
    let value = Value::from_json(&saved()).unwrap();
    assert_eq!(value["format"].str(), "kubarium/state/v1");
}
