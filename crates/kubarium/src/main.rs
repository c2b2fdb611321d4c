//! The command kubarium.

mod exercise;
mod kube_proxy;
mod lab;
mod mdbook;
mod options;
mod render;
mod sh;

use std::io::{Read, Write};
use std::process::ExitCode;

use kubarium_shell::registry;
use mimalloc::MiMalloc;
use options::Declaration;

/// A cluster is many small objects: this allocator takes a tenth off the time of a large one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A command line that is no command, or options that are none: as kubectl and most tools have it.
const WRONG: i32 = 2;

/// The commands whose options are declared here.
const DECLARED: [&Declaration; 4] = [
    &sh::DECLARATION,
    &lab::DECLARATION,
    &exercise::DECLARATION,
    &render::DECLARATION,
];

/// Commands that read their own command line, with what they are for.
const OTHERS: [(&str, &str); 4] = [
    (
        "kube-proxy",
        "Prints the rules that kube-proxy makes of objects on one node.",
    ),
    (
        "mdbook",
        "A preprocessor for mdBook: blocks become live clusters.",
    ),
    (
        "version",
        "Prints the version, and that of Kubernetes which is simulated.",
    ),
    (
        "help",
        "Prints this, or all about one command: kubarium help sh.",
    ),
];

/// The version of Kubernetes whose behaviour is simulated.
const KUBERNETES: &str = "v1.37.2";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let status = match dispatch(&words) {
        Ok(Done::Text(text)) => {
            // A reader that has gone away (`| head`) is no error worth a word.
            let _ = std::io::stdout().write_all(text.as_bytes());
            0
        }
        Ok(Done::Status(status)) => status,
        Err((status, message)) => {
            eprintln!("kubarium: {message}");
            status
        }
    };
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

/// What a command has come to.
enum Done {
    /// A text to print; its status is 0.
    Text(String),
    /// It has printed by itself.
    Status(i32),
}

fn dispatch(words: &[String]) -> Result<Done, (i32, String)> {
    let (name, rest) = match words.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => return Err((WRONG, format!("which command?\n\n{}", overview()))),
    };
    if let Some(declaration) = DECLARED.iter().find(|d| d.name == name) {
        let arguments = declaration.read(rest).map_err(|message| (WRONG, message))?;
        if arguments.wants_help() {
            return Ok(Done::Text(declaration.help()));
        }
        if name == lab::DECLARATION.name {
            let (text, remarks) = lab::run(&arguments).map_err(|message| (1, message))?;
            for remark in remarks {
                eprintln!("kubarium: {remark}");
            }
            return Ok(Done::Text(text));
        }
        if name == render::DECLARATION.name {
            return render::run(&arguments)
                .map(Done::Text)
                .map_err(|message| (1, message));
        }
        if name == exercise::DECLARATION.name {
            let (text, status) = exercise::run(&arguments).map_err(|message| (WRONG, message))?;
            let _ = std::io::stdout().write_all(text.as_bytes());
            return Ok(Done::Status(status));
        }
        return sh::run(&arguments)
            .map(Done::Status)
            .map_err(|message| (WRONG, message));
    }
    match name {
        "kube-proxy" => match kube_proxy::run(rest, standard_input) {
            Ok(text) => Ok(Done::Text(text)),
            Err(message) => Err((1, message)),
        },
        "mdbook" => match mdbook::run(rest, standard_input) {
            Ok(text) => Ok(text.map_or(Done::Status(0), Done::Text)),
            Err(message) => Err((1, message)),
        },
        "version" | "--version" | "-V" => Ok(Done::Text(format!(
            "kubarium {}, simulating Kubernetes {KUBERNETES}\n",
            env!("CARGO_PKG_VERSION")
        ))),
        "help" | "--help" | "-h" => help(rest).map(Done::Text),
        name => {
            let message = format!("there is no command {name:?}\n\n{}", overview());
            Err((WRONG, message))
        }
    }
}

/// `kubarium help [COMMAND]`
fn help(words: &[String]) -> Result<String, (i32, String)> {
    let Some(name) = words.first() else {
        return Ok(overview() + &terminal());
    };
    if let Some(declaration) = DECLARED.iter().find(|d| d.name == name) {
        return Ok(declaration.help());
    }
    match (
        name.as_str(),
        OTHERS.iter().find(|(other, _)| other == name),
    ) {
        ("kube-proxy", _) => Ok(kube_proxy::USAGE.to_owned()),
        ("mdbook", _) => Ok(mdbook::USAGE.to_owned()),
        (name, Some((_, short))) => Ok(format!("{short}\n\nUsage: kubarium {name}\n")),
        (name, None) => Err((
            WRONG,
            format!("there is no command {name:?}\n\n{}", overview()),
        )),
    }
}

/// The commands, a line each.
fn overview() -> String {
    let mut text = "\
Kubarium: a Kubernetes cluster and its network, simulated.

Usage: kubarium COMMAND [OPTIONS]

Commands:
"
    .to_owned();
    let declared = DECLARED.iter().map(|d| (d.name, d.short));
    for (name, short) in declared.chain(OTHERS) {
        text += &format!("  {name:12}{short}\n");
    }
    text
}

/// What scripts and the page's terminal have, and how far.
fn terminal() -> String {
    let mut text = "\nCommands of a script (kubarium sh) and of the page's terminal:\n".to_owned();
    for entry in registry::entries() {
        // A flag is told of where its command is: `kubectl get --help`.
        if entry.name.contains(" --") {
            continue;
        }
        let state = match entry.state {
            registry::State::Works => String::new(),
            registry::State::Partly(what) => format!(" ({what})"),
            registry::State::NotYet(_) => " (not simulated yet)".to_owned(),
        };
        text += &format!(
            "  {}: {}{state}\n",
            entry.name,
            entry.short.trim_end_matches('.')
        );
    }
    let list = |names: Vec<&str>| {
        let mut lines = String::new();
        let mut line = String::from(" ");
        for name in names {
            if line.len() + name.len() > 96 {
                lines += &format!("{line}\n");
                line = String::from(" ");
            }
            line += &format!(" {name}");
        }
        format!("{lines}{line}\n")
    };
    text += &format!(
        "\nThe shell's own commands:\n{}",
        list(kubarium_posix::builtins().collect())
    );
    text += &format!(
        "\nText and file tools:\n{}",
        list(kubarium_posix::tools::names().collect())
    );
    text
}

/// All of standard input, as text.
fn standard_input() -> Result<String, String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| format!("standard input: {error}"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(line: &str) -> Result<String, (i32, String)> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        dispatch(&words).map(|done| match done {
            Done::Text(text) => text,
            Done::Status(status) => format!("status {status}"),
        })
    }

    #[test]
    fn help_tells_of_every_command_and_option() {
        let all = says("help").unwrap_or_default();
        for name in [
            "sh",
            "kube-proxy",
            "lab",
            "version",
            "kubectl get",
            "sim settle",
            "grep",
        ] {
            assert!(
                all.contains(&format!(" {name}")),
                "{name} is missing in\n{all}"
            );
        }
        for line in ["help sh", "sh --help"] {
            let help = says(line).unwrap_or_default();
            for option in sh::DECLARATION.options {
                assert!(
                    help.contains(option.name),
                    "{} is missing in\n{help}",
                    option.name
                );
            }
        }
        assert!(says("version").is_ok_and(|text| text.contains("v1.37.2")));
        assert!(says("help kube-proxy").is_ok_and(|text| text.contains("--node")));
    }

    #[test]
    fn what_is_wrong_is_said_with_status_2() {
        for (line, want) in [
            ("", "which command?"),
            ("nope", "there is no command \"nope\""),
            ("help nope", "there is no command \"nope\""),
            ("sh --nope", "unknown option --nope"),
            ("sh --cluster", "--cluster needs FILE|EMPTY"),
            ("sh /nonexistent/script", "/nonexistent/script: "),
        ] {
            let (status, message) = says(line).err().unwrap_or_default();
            assert!(message.contains(want), "{line:?}: {message}");
            assert_eq!(status, WRONG, "{line:?}");
        }
        for (line, want) in [
            ("lab", "which topology?"),
            ("lab /nonexistent/file --flows x", "/nonexistent/file: "),
        ] {
            let (status, message) = says(line).err().unwrap_or_default();
            assert!(message.contains(want), "{line:?}: {message}");
            assert_eq!(status, 1, "{line:?}");
        }
    }
}
