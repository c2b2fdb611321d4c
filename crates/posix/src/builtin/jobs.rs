//! Builtins on processes, signals and time.

use super::After;
use crate::exec::Abort;
use crate::host::Host;
use crate::machine::Machine;
use crate::process::{Pid, Process, Task};
use std::sync::Arc;

/// Signals by number: signal(7).
const SIGNALS: [(i32, &str); 19] = [
    (0, "EXIT"),
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (4, "ILL"),
    (5, "TRAP"),
    (6, "ABRT"),
    (8, "FPE"),
    (9, "KILL"),
    (10, "USR1"),
    (11, "SEGV"),
    (12, "USR2"),
    (13, "PIPE"),
    (14, "ALRM"),
    (15, "TERM"),
    (17, "CHLD"),
    (18, "CONT"),
    (19, "STOP"),
    (28, "WINCH"),
];

/// A signal's number by its name (`TERM`, `SIGTERM`) or its number.
pub(crate) fn signal_number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    match name.parse::<i32>() {
        Ok(number) => (0..=64).contains(&number).then_some(number),
        Err(_) => SIGNALS
            .iter()
            .find(|(_, n)| *n == short)
            .map(|(number, _)| *number),
    }
}

pub(super) fn sleep(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut total: u64 = 0;
    for word in &argv[1..] {
        match crate::text::duration(word) {
            Some(nanos) => total = total.saturating_add(nanos),
            None => {
                let text = match machine.dialect {
                    crate::Dialect::Ash => format!("sleep: invalid number '{word}'\n"),
                    _ => format!(
                        "sleep: invalid time interval '{word}'\nTry 'sleep --help' for more information.\n"
                    ),
                };
                machine.put(process, host, 2, text.as_bytes());
                return Ok(After::Status(1));
            }
        }
    }
    if argv.len() == 1 {
        machine.put(
            process,
            host,
            2,
            b"sleep: missing operand\nTry 'sleep --help' for more information.\n",
        );
        return Ok(After::Status(1));
    }
    Ok(After::Task(Task::Sleep(host.now().saturating_add(total))))
}

pub(super) fn wait(
    machine: &mut Machine,
    process: &mut Process,
    _: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut pids: Vec<Pid> = argv[1..]
        .iter()
        .filter_map(|w| w.trim_start_matches('%').parse().ok())
        .collect();
    let named = !pids.is_empty();
    if !named {
        pids = children(machine, process);
    }
    if pids.is_empty() {
        return Ok(After::Status(0));
    }
    Ok(After::Task(Task::Wait { pids, any: !named }))
}

fn children(machine: &Machine, process: &Process) -> Vec<Pid> {
    machine
        .processes
        .values()
        .filter(|p| p.parent == process.pid)
        .map(|p| p.pid)
        .collect()
}

pub(super) fn jobs(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    _: &[String],
) -> Result<After, Abort> {
    let running: Vec<Pid> = children(machine, process)
        .into_iter()
        .filter(|pid| machine.processes[pid].done.is_none())
        .collect();
    let text: String = running
        .iter()
        .enumerate()
        .map(|(i, pid)| format!("[{}]   Running   {pid}\n", i + 1))
        .collect();
    machine.say(process, host, &text);
    Ok(After::Status(0))
}

pub(super) fn kill(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut signal = 15;
    let mut words = argv[1..].iter().peekable();
    while let Some(option) = words.peek().and_then(|w| w.strip_prefix('-')) {
        let name = match option {
            "l" => {
                let names: Vec<&str> = SIGNALS[1..].iter().map(|(_, name)| *name).collect();
                machine.say(process, host, &format!("{}\n", names.join(" ")));
                return Ok(After::Status(0));
            }
            "s" | "n" => {
                words.next();
                words.peek().map(|w| w.as_str()).unwrap_or_default()
            }
            "-" => {
                words.next();
                break;
            }
            name => name,
        };
        match signal_number(name) {
            Some(number) => signal = number,
            None => {
                let message = format!("kill: bad signal name '{name}'");
                return Ok(machine.refuse(process, host, 1, &message));
            }
        }
        words.next();
    }
    let targets: Vec<&String> = words.collect();
    if targets.is_empty() {
        return Ok(machine.refuse(process, host, 2, "kill: you need to specify whom to kill"));
    }
    let mut status = 0;
    for target in targets {
        match target.trim_start_matches('%').parse::<Pid>() {
            Ok(pid) if pid == process.pid || (pid == 1 && process.pid != 1) => {
                signal_process(machine, process, host, pid, signal);
            }
            Ok(pid)
                if machine
                    .processes
                    .get(&pid)
                    .is_some_and(|p| p.done.is_none()) =>
            {
                signal_process(machine, process, host, pid, signal);
            }
            Ok(_) => {
                machine.complain(
                    process,
                    host,
                    &format!("kill: can't kill pid {target}: No such process"),
                );
                status = 1;
            }
            Err(_) => {
                machine.complain(process, host, &format!("kill: invalid number '{target}'"));
                status = 1;
            }
        }
    }
    Ok(if process.done.is_some() {
        After::Moved
    } else {
        After::Status(status)
    })
}

fn signal_process(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    pid: Pid,
    signal: i32,
) {
    if signal == 0 {
        return;
    }
    let own = pid == process.pid;
    let target = if own {
        Some(&mut *process)
    } else {
        machine.processes.get_mut(&pid)
    };
    let Some(target) = target else { return };
    match target.traps.get(&signal).map(String::is_empty) {
        Some(false) if signal != 9 => target.signals.push(signal),
        Some(true) if signal != 9 => {}
        // Process 1 of a container gets no signal that it has no trap for (pid_namespaces(7)).
        _ if pid == 1 => {}
        _ if matches!(signal, 17 | 18 | 28) => {}
        _ if own => process.die(128 + signal),
        _ => machine.kill_tree(host, pid, signal),
    }
}

pub(super) fn trap(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut words = &argv[1..];
    if words.first().is_some_and(|w| w == "--") {
        words = &words[1..];
    }
    let Some((first, rest)) = words.split_first().filter(|(w, _)| *w != "-p") else {
        let mut text = String::new();
        for (signal, command) in process.traps.iter() {
            let name = SIGNALS
                .iter()
                .find(|(n, _)| n == signal)
                .map_or("", |s| s.1);
            text += &format!("trap -- '{}' {name}\n", command.replace('\'', "'\\''"));
        }
        machine.say(process, host, &text);
        return Ok(After::Status(0));
    };
    // `trap TERM` and `trap - TERM` take the trap away.
    let alone = rest.is_empty() || first.parse::<u32>().is_ok();
    let names = if alone { words } else { rest };
    let command = if alone || first == "-" {
        None
    } else {
        Some(first.clone())
    };
    let mut status = 0;
    for name in names {
        match signal_number(name) {
            Some(signal) => {
                let traps = Arc::make_mut(&mut process.traps);
                match &command {
                    Some(command) => drop(traps.insert(signal, command.clone())),
                    None => drop(traps.remove(&signal)),
                }
            }
            // bash's own, which are no signals.
            None if matches!(name.as_str(), "ERR" | "DEBUG" | "RETURN") => {}
            None => {
                machine.complain(process, host, &format!("trap: {name}: bad trap"));
                status = 1;
            }
        }
    }
    Ok(After::Status(status))
}

/// `timeout [-s SIGNAL] [-k DURATION] DURATION COMMAND…`
pub(super) fn timeout(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut signal = 15;
    let mut at = 1;
    while let Some(option) = argv.get(at).filter(|w| w.starts_with('-')) {
        match option.as_str() {
            "-s" | "--signal" => {
                signal = argv
                    .get(at + 1)
                    .and_then(|n| signal_number(n))
                    .unwrap_or(15);
                at += 1;
            }
            "-k" | "--kill-after" | "-t" => at += 1,
            o if o.starts_with("-s") => signal = signal_number(&o[2..]).unwrap_or(15),
            _ => {}
        }
        at += 1;
    }
    let wait = argv.get(at).and_then(|w| crate::text::duration(w));
    let (Some(wait), Some(command)) = (wait, argv.get(at + 1..).filter(|c| !c.is_empty())) else {
        let message = match argv.get(at) {
            Some(word) if wait.is_none() => format!("timeout: invalid time interval '{word}'\n"),
            _ => "timeout: missing operand\n".to_owned(),
        };
        machine.put(process, host, 2, message.as_bytes());
        return Ok(After::Status(125));
    };
    let pid = machine.spawn(process, crate::code::argv(command.to_vec()))?;
    let at = if wait == 0 {
        u64::MAX
    } else {
        host.now().saturating_add(wait)
    };
    Ok(After::Task(Task::Timeout { pid, at, signal }))
}
