//! The machine: that it stops, goes on, is cloned, and never hangs.

use crate::common::options;
use kubarium_posix::{
    Dialect, Disposition, Limits, Machine, MemoryHost, Options, Progress, Reader, parse,
};
use proptest::prelude::*;

fn machine(script: &str) -> (Machine, MemoryHost) {
    (Machine::run(script, options()), MemoryHost::default())
}

#[test]
fn endless_loops_stop_at_the_budget() {
    let endless = [
        "while true; do :; done",
        "while :; do x=$((x + 1)); done",
        "f() { while :; do f2; done; }; f2() { :; }; f",
        "yes > /dev/null",
        "yes | tr y n > /dev/null",
        "for ((;;)); do true; done",
        "until false; do x=$(echo $x); done",
    ];
    for script in endless {
        let (mut machine, mut host) = machine(script);
        for _ in 0..3 {
            assert_eq!(machine.step(&mut host, 5_000), Progress::Ran, "{script}");
        }
    }
}

#[test]
fn growing_without_end_is_out_of_memory() {
    for script in [
        "x=a; while true; do x=$x$x; done",
        "x=$(seq 500); while :; do set -- \"$@\" $x; done",
        "yes | sort",
    ] {
        let limits = Limits {
            memory_bytes_max: 1 << 20,
            ..Limits::default()
        };
        let mut machine = Machine::run(
            script,
            Options {
                limits,
                ..options()
            },
        );
        let mut host = MemoryHost::default();
        let end = (0..100_000)
            .map(|_| machine.step(&mut host, 1_000_000))
            .find(|p| *p != Progress::Ran);
        assert_eq!(end, Some(Progress::OutOfMemory), "{script}");
        assert!(machine.memory_bytes() < 16 << 20, "{script}");
    }
}

#[test]
fn too_many_processes_are_refused() {
    let (mut machine, mut host) = machine("f() { sleep 100 & f; }; f");
    let end = machine.step(&mut host, 1_000_000);
    assert!(
        matches!(end, Progress::Finished(_) | Progress::Blocked(_)),
        "{end:?}"
    );
    assert!(
        host.err().contains("nesting") || host.err().contains("fork"),
        "{}",
        host.err()
    );
}

#[test]
fn a_clone_goes_on_by_itself() {
    let (mut machine, mut host) = machine("i=0; while sleep 1; do i=$((i + 1)); echo $i; done");
    let at = |machine: &mut Machine, host: &mut MemoryHost, until: u64| {
        while let Progress::Blocked(Some(time)) = machine.step(host, 10_000) {
            if time > until {
                break;
            }
            host.time = time;
        }
    };
    at(&mut machine, &mut host, 3_000_000_000);
    let (mut twin, mut twin_host) = (machine.clone(), host.clone());
    at(&mut machine, &mut host, 5_000_000_000);
    assert_eq!(twin_host.out(), "1\n2\n3\n");
    at(&mut twin, &mut twin_host, 5_000_000_000);
    assert_eq!(host.out(), "1\n2\n3\n4\n5\n");
    assert_eq!(twin_host.out(), host.out());
}

#[test]
fn a_trap_runs_after_the_command_in_the_foreground() {
    let (mut machine, mut host) =
        machine("trap 'echo bye; exit 0' TERM; while true; do sleep 0.2; done");
    assert_eq!(
        machine.step(&mut host, 10_000),
        Progress::Blocked(Some(200_000_000))
    );
    assert_eq!(machine.signal(15), Disposition::Trapped);
    assert_eq!(machine.signal(2), Disposition::Default);
    assert_eq!(
        machine.step(&mut host, 10_000),
        Progress::Blocked(Some(200_000_000))
    );
    host.time = 200_000_000;
    assert_eq!(machine.step(&mut host, 10_000), Progress::Finished(0));
    assert_eq!(host.out(), "bye\n");
    assert!(machine.has_exited());
}

#[test]
fn a_trap_ends_wait_at_once() {
    let (mut machine, mut host) = machine("trap 'echo bye; exit 3' TERM; sleep 1000 & wait");
    assert_eq!(
        machine.step(&mut host, 10_000),
        Progress::Blocked(Some(1_000_000_000_000))
    );
    machine.signal(15);
    assert_eq!(machine.step(&mut host, 10_000), Progress::Finished(3));
    assert_eq!(host.out(), "bye\n");
}

#[test]
fn an_ignored_signal_is_ignored() {
    let (mut machine, mut host) = machine("trap '' TERM; while true; do sleep 1; done");
    machine.step(&mut host, 10_000);
    assert_eq!(machine.signal(15), Disposition::Ignored);
}

#[test]
fn a_session_keeps_its_state_between_commands() {
    let mut machine = Machine::new(Options {
        interactive: true,
        dialect: Dialect::Bash,
        ..options()
    });
    let mut host = MemoryHost::default();
    let script = "x=1\nf() {\n  echo $x\n}\nf; false\necho ${nope?gone}; echo never\necho $?\ncat <<E | tr a b\nabc\nE\n";
    let mut shown = String::new();
    for command in Reader::new(script, Dialect::Bash) {
        let command = command.unwrap();
        machine.feed(&command);
        let Progress::Finished(status) = machine.step(&mut host, 100_000) else {
            panic!("not finished")
        };
        shown += &format!("{}: {:?} -> {status}\n", command.line, command.text);
    }
    assert_eq!(
        shown,
        "1: \"x=1\" -> 0\n2: \"f() {\\n  echo $x\\n}\" -> 0\n5: \"f; false\" -> 1\n6: \"echo ${nope?gone}; echo never\" -> 2\n\
         7: \"echo $?\" -> 0\n8: \"cat <<E | tr a b\\nabc\\nE\" -> 0\n"
    );
    assert_eq!(host.out(), "1\n2\nbbc\n");
}

#[test]
fn what_could_still_go_on_is_incomplete() {
    let is_incomplete = |text: &str| parse(text, Dialect::Ash).err().map(|e| e.incomplete);
    for text in [
        "if true",
        "echo 'a",
        "echo \"a",
        "for i in 1 2; do",
        "cat <<E\nabc",
        "(echo",
        "echo $(ls",
        "a |",
        "a &&",
        "f() {",
        "case x in",
    ] {
        assert_eq!(is_incomplete(text), Some(true), "{text}");
    }
    for text in [
        "fi",
        "echo )",
        "if true; fi",
        "a=(1 2)",
        "| x",
        "for 1 in x; do :; done",
        ";;",
    ] {
        assert_eq!(is_incomplete(text), Some(false), "{text}");
    }
    for text in ["", "\n\n# nothing\n", "echo a # b", "a; b & c"] {
        assert_eq!(is_incomplete(text), None, "{text}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [
        ("(", ")"),
        ("$(", ")"),
        ("{ ", ";}"),
        ("if ", ""),
        ("${a:-", "}"),
        ("$((", "))"),
        ("[[ (", ") ]]"),
        ("\"$(", ")\""),
    ] {
        let text = format!("echo {}x{}", open.repeat(5000), close.repeat(5000));
        let _ = parse(&text, Dialect::Bash);
        let text = format!("{}x{}", open.repeat(5000), close.repeat(5000));
        let _ = parse(&text, Dialect::Bash);
        let (mut machine, mut host) = machine(&format!(
            "echo $(( {}1{} ))",
            "(".repeat(3000),
            ")".repeat(3000)
        ));
        machine.step(&mut host, 100_000);
    }
    let (mut machine, mut host) =
        machine("x=x; echo $((x)); y='y+1'; echo $((y)); eval \"$(echo 'eval \"$z\"')\"");
    machine.step(&mut host, 100_000);
}

const WORDS: [&str; 46] = [
    "if", "then", "fi", "while", "do", "done", "for", "in", "case", "esac", "{", "}", "(", ")",
    ";", ";;", "&", "&&", "|", "||", "\n", "!", "[[", "]]", "$(", "${", "$((", "))", "`", "'",
    "\"", "\\", "x=", "$x", "*", "<<E", "E", ">", "2>&1", "<<<", "echo", "f()", "#", "{a,b}", "@(",
    "=~",
];

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC{0,200}") {
        let _ = parse(&text, Dialect::Bash);
        let _ = parse(&text, Dialect::Ash);
    }

    #[test]
    fn scripts_of_any_words_end_or_stop(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40), spaced in any::<bool>()) {
        let text = words.join(if spaced { " " } else { "" });
        let mut machine = Machine::run(&text, Options { dialect: Dialect::Bash, ..options() });
        let mut host = MemoryHost::default();
        for _ in 0..20 {
            match machine.step(&mut host, 2_000) {
                Progress::Ran => {}
                Progress::Blocked(Some(time)) => host.time = time,
                Progress::Blocked(None) => prop_assert!(false, "{text:?} is stuck"),
                _ => break,
            }
        }
    }
}
