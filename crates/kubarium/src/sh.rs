//! `kubarium sh`: a script of commands against a fresh cluster.

use std::io::{Read, Write};
use std::time::Duration;

use kubarium_cluster::{Config, Simulation};
use kubarium_posix::{Complete, Dialect, Reader};
use kubarium_shell::{Output, Session, Stream};

use crate::options::{Arguments, Declaration, Declared};

/// How the command is used.
pub const DECLARATION: Declaration = Declaration {
    name: "sh",
    short: "Runs a script of commands against a fresh simulated cluster.",
    operands: "[SCRIPT|-]",
    operands_max: 1,
    options: &[
        Declared {
            name: "--cluster",
            value: "FILE|EMPTY",
            help: "the cluster's configuration and starting objects (YAML); EMPTY: no nodes, no\n\
                   objects beyond those that every API server and controller manager make",
        },
        Declared {
            name: "--nodes",
            value: "N",
            help: "N worker nodes beside the control plane, whatever the file says (default 2)",
        },
        Declared {
            name: "--seed",
            value: "N",
            help: "the seed of every random choice (default 1)",
        },
        Declared {
            name: "--transcript",
            value: "",
            help: "prints each command first, as `$ command`, its further lines as `> line`, and\n\
                   after its output `? N` where its exit status N is not 0; standard error goes\n\
                   where standard output goes",
        },
        Declared {
            name: "-e",
            value: "",
            help: "stops at the first command that fails",
        },
        Declared {
            name: "--time",
            value: "N",
            help: "stops with status 124 after N seconds of real time",
        },
    ],
    long: "\
Without SCRIPT, or where it is -, the script is read from standard input. It prints what each
command prints and exits with the status of the last one. The language is the shell's: quotes,
variables, $(…), $((…)), pipes, redirections, here-documents, if, for, while, case, functions.
Files are the script's own: what it writes with `>` can be given to -f. Commands take no
simulated time of their own, but for those that wait, such as kubectl wait, curl and sleep.

Commands: kubectl; ssh NODE COMMAND (a node's tools; `outside` is the host beside the cluster);
sim (the simulator's own, `sim help`); and the usual text tools.

  kubarium sh --transcript - <<'EOF'
  kubectl create deployment web --image=nginx --replicas=3
  sim settle
  kubectl get pods -o wide | sort -k7
  EOF
",
};

/// The status for `--time`: as timeout(1) has it.
const TIMED_OUT: i32 = 124;
/// How many workers there may be.
const NODES_MAX: usize = 5_000;

/// How a script is run and shown.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    transcript: bool,
    stops_at_failure: bool,
}

/// Runs the command on its arguments; the script's exit status.
///
/// # Errors
/// A message for standard error; the exit status is then 2.
pub fn run(arguments: &Arguments) -> Result<i32, String> {
    let config = config(arguments)?;
    let script = script(arguments.operands.first().map(String::as_str))?;
    if let Some(seconds) = arguments.number::<f64>("--time")? {
        let limit = Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("--time wants a number of seconds, not {seconds}"))?;
        // The simulation knows nothing of real time: what ends it stands outside of it.
        std::thread::spawn(move || {
            std::thread::sleep(limit);
            eprintln!("kubarium: stopped after {seconds} seconds");
            std::process::exit(TIMED_OUT);
        });
    }
    let manner = Manner {
        transcript: arguments.has("--transcript"),
        stops_at_failure: arguments.has("-e"),
    };
    let mut session = Session::new(Simulation::new(config));
    Ok(play(&mut session, &script, manner, &mut print))
}

/// The cluster that the options describe.
fn config(arguments: &Arguments) -> Result<Config, String> {
    let mut config = match arguments.value("--cluster") {
        None => Config::default(),
        Some("EMPTY") => Config::empty(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("--cluster {file}: {error}"))?;
            Config::parse(&text).map_err(|error| format!("--cluster {file}: {error}"))?
        }
    };
    if let Some(workers) = arguments.number::<usize>("--nodes")? {
        if workers > NODES_MAX {
            return Err(format!(
                "--nodes {workers}: at most {NODES_MAX} are possible"
            ));
        }
        config.nodes = Config::machines(workers);
    }
    if let Some(seed) = arguments.number("--seed")? {
        config.seed = seed;
    }
    Ok(config)
}

fn script(file: Option<&str>) -> Result<String, String> {
    let bytes = match file {
        None | Some("-") => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            read.map(|_| bytes)
                .map_err(|error| format!("standard input: {error}"))?
        }
        Some(file) => std::fs::read(file).map_err(|error| format!("{file}: {error}"))?,
    };
    String::from_utf8(bytes).map_err(|_| "the script is not UTF-8".to_owned())
}

/// Prints at once: what a script has done is seen while it goes on. A reader that has gone away
/// (`| head`) is no error worth a word.
fn print(stream: Stream, text: &str) {
    let _ = match stream {
        Stream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
        Stream::Err => std::io::stderr().write_all(text.as_bytes()),
    };
}

/// Runs a script's commands one after the other; the status of the last one.
fn play(
    session: &mut Session,
    script: &str,
    manner: Manner,
    print: &mut dyn FnMut(Stream, &str),
) -> i32 {
    let mut status = 0;
    for command in Reader::new(script, Dialect::Bash) {
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                let stream = if manner.transcript {
                    Stream::Out
                } else {
                    Stream::Err
                };
                print(stream, &format!("kubarium: {error}\n"));
                return 2;
            }
        };
        if manner.transcript {
            print(Stream::Out, &prompted(&command));
        }
        if !command.is_only("sim") {
            session.draw_breath();
        }
        let output = session.run_command(&command);
        status = output.status;
        match output.binary.as_deref().filter(|_| !manner.transcript) {
            Some(bytes) => {
                let mut out = std::io::stdout().lock();
                let _ = out.write_all(bytes).and_then(|()| out.flush());
            }
            None => show(&output, manner, print),
        }
        if session.has_exited() || (manner.stops_at_failure && status != 0) {
            break;
        }
    }
    status
}

/// `$ command`, its further lines as `> line`.
fn prompted(command: &Complete) -> String {
    format!("$ {}\n", command.text.replace('\n', "\n> "))
}

fn show(output: &Output, manner: Manner, print: &mut dyn FnMut(Stream, &str)) {
    if !manner.transcript {
        output
            .written
            .iter()
            .for_each(|(stream, text)| print(*stream, text));
        return;
    }
    let mut text = output.text();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if output.status != 0 {
        text += &format!("? {}\n", output.status);
    }
    print(Stream::Out, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(script: &str, manner: Manner) -> (String, i32) {
        let mut session = Session::new(Simulation::new(Config::empty()));
        let mut text = String::new();
        let mut print = |stream, written: &str| {
            text += &match stream {
                Stream::Out => written.to_owned(),
                Stream::Err => format!("!{written}"),
            };
        };
        let status = play(&mut session, script, manner, &mut print);
        (text, status)
    }

    fn prints(script: &str, want: &str, status: i32) {
        let got = played(script, Manner::default());
        assert_eq!((got.0.as_str(), got.1), (want, status), "{script}");
    }

    fn transcript(script: &str, want: &str, status: i32) {
        let manner = Manner {
            transcript: true,
            ..Manner::default()
        };
        let got = played(script, manner);
        assert_eq!((got.0.as_str(), got.1), (want, status), "{script}");
    }

    #[test]
    fn a_script_prints_what_its_commands_print() {
        prints("echo a\necho b | tr b c", "a\nc\n", 0);
        prints("x=1; f() { echo f$x; }\nf\nfalse", "f1\n", 1);
        prints("echo a\nexit 3\necho b", "a\n", 3);
        prints("cat <<E > f\n$((1+1))\nE\ncat f", "2\n", 0);
        prints("nosuch", "!sh: line 1: nosuch: command not found\n", 127);
        prints(
            "echo a\n)",
            "a\n!kubarium: line 2: syntax error: \")\" unexpected\n",
            2,
        );
    }

    #[test]
    fn a_transcript_shows_commands_and_statuses() {
        transcript("echo a\nfalse", "$ echo a\na\n$ false\n? 1\n", 1);
        transcript(
            "# a comment\n\ncat <<E\nx\nE\nprintf y",
            "$ cat <<E\n> x\n> E\nx\n$ printf y\ny\n",
            0,
        );
        transcript(
            "nosuch",
            "$ nosuch\nsh: line 1: nosuch: command not found\n? 127\n",
            127,
        );
    }

    #[test]
    fn with_e_the_first_failure_is_the_end() {
        let manner = Manner {
            stops_at_failure: true,
            ..Manner::default()
        };
        assert_eq!(
            played("echo a\nfalse\necho b", manner),
            ("a\n".to_owned(), 1)
        );
        assert_eq!(
            played("false || echo a\necho b", manner),
            ("a\nb\n".to_owned(), 0)
        );
    }

    #[test]
    fn options_describe_the_cluster() {
        let described = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            config(&DECLARATION.read(&words)?).map(|c| (c.nodes.len(), c.seed))
        };
        assert_eq!(described(""), Ok((3, 1)));
        assert_eq!(described("--cluster EMPTY --seed 7"), Ok((0, 7)));
        assert_eq!(described("--nodes 5"), Ok((6, 1)));
        for line in [
            "--nodes x",
            "--nodes 100000",
            "--seed -1",
            "--cluster /nonexistent",
        ] {
            assert!(described(line).is_err(), "{line}");
        }
    }
}
