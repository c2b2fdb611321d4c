//! Builtins that run other commands or texts.

use super::After;
use crate::code;
use crate::exec::Abort;
use crate::host::{Found, Host};
use crate::machine::{Machine, script_code};
use crate::process::{CallKind, Control, Process, Purpose, Task};
use std::sync::Arc;

pub(super) fn eval(
    machine: &mut Machine,
    process: &mut Process,
    _: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let text = argv[1..].join(" ");
    depth(machine, process)?;
    process.status = 0;
    machine.call_text(process, &text, CallKind::Eval);
    Ok(After::Moved)
}

fn depth(machine: &Machine, process: &Process) -> Result<(), Abort> {
    if process.calls() >= machine.limits.calls_max {
        return Err(Abort::new("maximum nesting level exceeded"));
    }
    Ok(())
}

pub(super) fn source(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let Some(file) = argv.get(1) else {
        return Ok(machine.refuse(
            process,
            host,
            2,
            &format!("{}: filename argument required", argv[0]),
        ));
    };
    depth(machine, process)?;
    let path = process.path(file);
    let text = if path == "/dev/null" {
        Ok([].into())
    } else {
        host.files().read(&path)
    };
    match text {
        Ok(bytes) => {
            process.status = 0;
            machine.call_text(process, &String::from_utf8_lossy(&bytes), CallKind::Source);
            if argv.len() > 2 {
                let parameters =
                    std::mem::replace(&mut process.parameters, Arc::new(argv[2..].to_vec()));
                if let Some(Control::Call(call)) = process.control.last_mut() {
                    call.parameters = Some(parameters);
                }
            }
            Ok(After::Moved)
        }
        Err(error) => {
            let message = match machine.dialect {
                crate::Dialect::Bash => format!("{file}: {error}"),
                _ => format!("{}: can't open '{file}': {error}", argv[0]),
            };
            if machine.dialect == crate::Dialect::Bash {
                return Ok(machine.refuse(process, host, 1, &message));
            }
            Err(Abort::new(message))
        }
    }
}

/// A child that runs a text as a shell of its own; `argv` is its `$0`, `$1` and so on.
pub(crate) fn child(
    machine: &mut Machine,
    process: &mut Process,
    text: &str,
    argv: Vec<String>,
) -> After {
    let dialect = machine.dialect;
    match machine.spawn(process, script_code(text, dialect)) {
        Ok(pid) => {
            if let Some(child) = machine.processes.get_mut(&pid) {
                Arc::make_mut(&mut child.variables).retain(|name, v| v.exported || name == "IFS");
                child.shell = pid;
                child.set("OPTIND", "1".to_owned());
                child.functions = Arc::default();
                child.quiet = false;
                let mut words = argv.into_iter();
                child.name = words.next().unwrap_or_else(|| "sh".to_owned());
                child.parameters = Arc::new(words.collect());
                child.flags = crate::process::Flags::default();
            }
            After::Task(Task::Child(pid))
        }
        Err(_) => After::Status(2),
    }
}

/// `sh [-eux] [-o OPTION] [-c TEXT [NAME [ARGUMENT…]]] [FILE [ARGUMENT…]]`
pub(super) fn sh(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut flags = crate::process::Flags::default();
    let mut at = 1;
    let mut has_text = false;
    while let Some(word) = argv.get(at) {
        let Some(options) = word.strip_prefix('-').filter(|o| !o.is_empty()) else {
            break;
        };
        at += 1;
        if word == "--" {
            break;
        }
        if options.starts_with('-') {
            continue;
        }
        for option in options.chars() {
            let known = match option {
                'c' => {
                    has_text = true;
                    true
                }
                'o' => {
                    at += 1;
                    argv.get(at - 1)
                        .is_some_and(|n| super::variables::set_named(&mut flags, n, true))
                }
                option => super::variables::set_letter(&mut flags, option, true),
            };
            if !known {
                return Ok(machine.refuse(process, host, 2, &format!("Illegal option -{option}")));
            }
        }
    }
    let rest = argv.get(at..).unwrap_or_default();
    let after = match rest.split_first() {
        Some((text, words)) if has_text => {
            let words = if words.is_empty() {
                vec![argv[0].clone()]
            } else {
                words.to_vec()
            };
            child(machine, process, text, words)
        }
        None if has_text => return Ok(machine.refuse(process, host, 2, "-c requires an argument")),
        Some((file, _)) => match host.files().read(&process.path(file)) {
            Ok(bytes) => child(
                machine,
                process,
                &String::from_utf8_lossy(&bytes),
                rest.to_vec(),
            ),
            Err(error) => {
                return Ok(machine.refuse(
                    process,
                    host,
                    127,
                    &format!("can't open '{file}': {error}"),
                ));
            }
        },
        None => {
            let argv = vec![argv[0].clone()];
            After::Task(Task::Gather {
                argv,
                input: Vec::new(),
                purpose: Purpose::Script,
            })
        }
    };
    if let After::Task(Task::Child(pid)) = &after
        && let Some(child) = machine.processes.get_mut(pid)
    {
        child.flags = flags;
    }
    Ok(after)
}

/// `busybox TOOL …`
pub(super) fn busybox(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    run(machine, process, host, &argv[1..])
}

/// Runs one command line in a child.
fn run(
    machine: &mut Machine,
    process: &mut Process,
    _: &mut dyn Host,
    command: &[String],
) -> Result<After, Abort> {
    if command.is_empty() {
        return Ok(After::Status(0));
    }
    let pid = machine.spawn(process, code::argv(command.to_vec()))?;
    if let Some(child) = machine.processes.get_mut(&pid) {
        child.functions = Arc::default();
    }
    Ok(After::Task(Task::Child(pid)))
}

/// `nohup`, `nice`, `time`, `sudo`, `setsid`: the command after the options.
pub(super) fn prefixed(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut at = 1;
    while let Some(option) = argv.get(at).filter(|w| w.starts_with('-')) {
        at += if matches!(option.as_str(), "-n" | "-u") {
            2
        } else {
            1
        };
    }
    run(machine, process, host, argv.get(at..).unwrap_or_default())
}

pub(super) fn exec(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let command = argv[1..]
        .strip_prefix(&["--".to_owned()])
        .unwrap_or(&argv[1..]);
    if command.is_empty() {
        // Redirections alone: they stay.
        return Ok(After::Status(0));
    }
    let name = &command[0];
    // What follows is never reached: the shell ends with the command's status.
    process.traps = Arc::default();
    process.code = Arc::new([
        code::Op::Argv(command.to_vec().into()),
        code::Op::Run { line: 0 },
        code::Op::ExitLast,
    ]);
    process.pc = 0;
    process.control.clear();
    if super::find(name).is_none()
        && let Found::Host { reads_stdin } = host.find(command)
    {
        process.code = Arc::new([code::Op::ExitLast]);
        return Ok(if reads_stdin {
            let purpose = Purpose::Host {
                replaces_shell: true,
            };
            After::Task(Task::Gather {
                argv: command.to_vec(),
                input: Vec::new(),
                purpose,
            })
        } else {
            machine.start_host(process, host, command.to_vec(), Vec::new(), true)
        });
    }
    Ok(After::Moved)
}

/// `env [-i] [-u NAME] [NAME=VALUE…] [COMMAND…]`
pub(super) fn env(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut variables = process.exported();
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        match word.as_str() {
            "-i" | "-" | "--ignore-environment" => variables.clear(),
            "-u" => {
                at += 1;
                variables.remove(argv.get(at).map_or("", String::as_str));
            }
            "--" => {
                at += 1;
                break;
            }
            word => match word.split_once('=') {
                Some((name, value)) => drop(variables.insert(name.to_owned(), value.to_owned())),
                None if word.starts_with('-') => {
                    let text = format!("env: unrecognized option '{word}'\n");
                    machine.put(process, host, 2, text.as_bytes());
                    return Ok(After::Status(125));
                }
                None => break,
            },
        }
        at += 1;
    }
    let command = argv.get(at..).unwrap_or_default();
    if command.is_empty() {
        let text: String = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        machine.say(process, host, &text);
        return Ok(After::Status(0));
    }
    let after = run(machine, process, host, command)?;
    if let After::Task(Task::Child(pid)) = &after
        && let Some(child) = machine.processes.get_mut(pid)
    {
        let all = Arc::make_mut(&mut child.variables);
        all.retain(|_, v| !v.exported);
        for (name, value) in variables {
            all.insert(
                name,
                crate::process::Variable {
                    value: Some(value),
                    exported: true,
                    readonly: false,
                },
            );
        }
    }
    Ok(after)
}

/// `command [-v|-V] NAME…`, `builtin NAME…`
pub(super) fn command(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    match argv.get(1).map(String::as_str) {
        None => Ok(After::Status(0)),
        Some("-v" | "-V") => which(machine, process, host, argv),
        Some(first) => {
            let rest = &argv[if first == "-p" || first == "--" { 2 } else { 1 }..];
            match rest.first().and_then(|name| super::find(name)) {
                Some(builtin) => builtin(machine, process, host, rest),
                None => Ok(machine.external(process, host, rest.to_vec(), false)),
            }
        }
    }
}

/// `which`, `type`, `command -v`
pub(super) fn which(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let (which, describe) = (
        argv[0] == "which",
        argv[0] == "type" || argv.get(1).is_some_and(|w| w == "-V"),
    );
    let mut status = 0;
    for name in argv[1..].iter().filter(|w| !w.starts_with('-')) {
        let path = if name.contains('/') {
            name.clone()
        } else {
            format!("/usr/bin/{name}")
        };
        let line = match () {
            () if !which && process.functions.contains_key(name) => match describe {
                true => format!("{name} is a function"),
                false => name.clone(),
            },
            () if !which && super::find(name).is_some() => match describe {
                true => format!("{name} is a shell builtin"),
                false => name.clone(),
            },
            () if !matches!(host.find(std::slice::from_ref(name)), Found::Missing)
                || super::find(name).is_some() =>
            {
                if describe {
                    format!("{name} is {path}")
                } else {
                    path
                }
            }
            () => {
                status = if which { 1 } else { 127 };
                if describe {
                    machine.complain(process, host, &format!("type: {name}: not found"));
                }
                continue;
            }
        };
        machine.say(process, host, &format!("{line}\n"));
    }
    Ok(After::Status(status))
}

pub(super) fn xargs(
    _: &mut Machine,
    _: &mut Process,
    _: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    Ok(After::Task(Task::Gather {
        argv: argv.to_vec(),
        input: Vec::new(),
        purpose: Purpose::Xargs,
    }))
}
