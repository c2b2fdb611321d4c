//! Terminals: each has a shell of its own, on the workstation or elsewhere.

use std::time::Duration;

use kubarium_cluster::{Config, Simulation};
use kubarium_shell::state::State;
use kubarium_shell::{Complete, Going, Session};

fn session() -> Session {
    Session::new(Simulation::new(Config::default()))
}

fn command(line: &str) -> Complete {
    let (mut commands, wrong) = Session::read(line);
    assert_eq!(wrong, None, "{line}");
    commands.remove(0)
}

/// What the session in the foreground has written.
fn written(session: &mut Session) -> String {
    session.take_written().into_iter().map(|(_, t)| t).collect()
}

#[test]
fn each_terminal_has_a_shell_of_its_own_here_or_elsewhere() {
    let mut session = session();
    session.run("kubectl run box --image=busybox -- sleep 1d; sim settle");
    let open = |session: &mut Session, name: &str, line: &str| {
        let going = session.at(name, |session| session.begin(&command(line)));
        assert_eq!(going, Going::Reading(0), "{line}");
    };
    open(&mut session, "node", "ssh worker-1");
    open(&mut session, "pod", "kubectl exec -it box -- sh");
    // Each: what is typed, where, what is written, the status, the next prompt.
    let mut typed = |name: &str, line: &str, wants: (&str, i32, &str)| {
        session.at(name, |session| {
            let going = session.type_in(line);
            let text = written(session);
            let prompt = session.prompt().unwrap_or_default();
            assert_eq!(going, Going::Reading(wants.1), "{line}: {text}");
            assert_eq!(
                (text.as_str(), prompt.as_str()),
                (wants.0, wants.2),
                "{line}"
            );
        });
    };
    let (node, tmp) = ("root@worker-1:~# ", "root@worker-1:/tmp# ");
    typed("node", "x=5; hostname", ("worker-1\n", 0, node));
    typed(
        "pod",
        "echo ${x:-none}; hostname",
        ("none\nbox\n", 0, "/ # "),
    );
    typed("node", "cd /tmp", ("", 0, tmp));
    typed("node", "echo $x; pwd", ("5\n/tmp\n", 0, tmp));
    typed("node", "false", ("", 1, tmp));
    typed("pod", "cd /etc", ("", 0, "/etc # "));
    typed("node", "", ("", 1, tmp));
    let wrong = session.at("node", |session| session.type_in("echo a; for"));
    assert_eq!(wrong, Going::Reading(2));
}

#[test]
fn what_runs_in_one_terminal_leaves_the_others_alone() {
    let mut session = session();
    session.begin(&command("ssh worker-1"));
    session.at("2", |session| session.begin(&command("sleep 1; echo two")));
    let end = session.simulation.cluster.now + Duration::from_secs(2);
    assert_eq!(session.type_in("sleep 60; echo no"), Going::Running);
    assert_eq!(session.go_on(end), Going::Running);
    let (going, text) = session.at("2", |session| (session.go_on(end), written(session)));
    assert_eq!((going, text.as_str()), (Going::Finished(0), "two\n"));
    // Ctrl C ends what runs in the shell elsewhere, and not that shell.
    assert!(session.interrupt() && !session.interrupt());
    assert_eq!(session.type_in("echo $?"), Going::Reading(0));
    assert_eq!(written(&mut session), "130\n");
    let state = session.state().unwrap().write();
    assert_eq!(session.type_in("exit 3"), Going::Finished(3));
    assert_eq!(written(&mut session), "Connection to worker-1 closed.\n");
    assert_eq!(session.run("echo here").text(), "here\n");
    // All of that is part of a saved state.
    let (mut again, remark) = Session::from_state(State::read(&state).unwrap());
    assert_eq!(remark, None);
    assert_eq!(again.prompt().as_deref(), Some("root@worker-1:~# "));
    assert_eq!(again.type_in("echo on"), Going::Reading(0));
}

#[test]
fn a_shell_elsewhere_ends_with_what_it_runs_in() {
    let mut session = session();
    session.run("kubectl run box --image=busybox -- sleep 1d; sim settle");
    session.begin(&command("kubectl exec -it box -- sh"));
    session.run("kubectl delete pod box --force --grace-period=0; sim settle");
    let now = session.simulation.cluster.now;
    assert_eq!(session.go_on(now), Going::Finished(137));
    assert!(written(&mut session).contains("exit code 137"));
    session.at("2", |session| session.begin(&command("ssh worker-1")));
    session.close("2");
    assert_eq!(session.at("2", |session| session.prompt()), None);
}

/// A single command elsewhere writes when it has something to say, and goes on until it is ended or its count is full.
#[test]
fn single_commands_elsewhere_write_while_time_runs() {
    let mut session = session();
    session.run("kubectl run box --image=busybox -- sleep 1d; sim settle");
    let second = |session: &Session| session.simulation.cluster.now + Duration::from_secs(1);
    // Nothing to wait for: it is over at once.
    for (line, text, status) in [
        ("ssh worker-1 hostname", "worker-1\n", 0),
        ("ssh worker-1 'exit 3'", "", 3),
        (
            "ssh worker-1 nosuch",
            "bash: line 1: nosuch: command not found\n",
            127,
        ),
        ("kubectl exec box -- hostname", "box\n", 0),
        (
            "kubectl exec box -- sh -c 'exit 4'",
            "command terminated with exit code 4\n",
            4,
        ),
        ("ssh worker-1 'echo a; echo b' | tail -n 1", "b\n", 0),
    ] {
        assert_eq!(
            session.begin(&command(line)),
            Going::Finished(status),
            "{line}"
        );
        assert_eq!(written(&mut session), text, "{line}");
    }
    let line = "ssh worker-1 ping -c 3 127.0.0.1";
    assert_eq!(session.begin(&command(line)), Going::Running);
    let first = written(&mut session);
    assert!(
        first.contains("icmp_seq=1") && !first.contains("icmp_seq=2"),
        "{first}"
    );
    // Meanwhile another terminal works, and what it does is seen.
    session.at("2", |session| {
        let going = session.begin(&command("ssh worker-1 tcpdump -l -n -i lo icmp"));
        assert_eq!(going, Going::Running);
    });
    let end = second(&session) + Duration::from_secs(2);
    assert_eq!(session.go_on(end), Going::Finished(0));
    assert!(written(&mut session).contains("3 packets transmitted"));
    session.at("2", |session| {
        assert_eq!(session.go_on(end), Going::Running);
        let text = written(session);
        assert!(
            text.contains("echo request") && !text.contains("captured"),
            "{text}"
        );
        assert!(session.interrupt());
        assert_eq!(session.go_on(end), Going::Finished(130));
        let text = written(session);
        assert!(text.contains("packets captured"), "{text}");
    });
    let line = "kubectl exec box -- sleep 100";
    assert_eq!(session.begin(&command(line)), Going::Running);
    assert!(session.interrupt());
    let end = second(&session);
    assert_eq!(session.go_on(end), Going::Finished(130));
    assert_eq!(session.run("echo here").text(), "here\n");
}
