//! Builtins that change where the script goes on.

use super::After;
use crate::exec::Abort;
use crate::host::Host;
use crate::machine::Machine;
use crate::process::Process;

pub(super) fn succeed(
    _: &mut Machine,
    _: &mut Process,
    _: &mut dyn Host,
    _: &[String],
) -> Result<After, Abort> {
    Ok(After::Status(0))
}

pub(super) fn fail(
    _: &mut Machine,
    _: &mut Process,
    _: &mut dyn Host,
    _: &[String],
) -> Result<After, Abort> {
    Ok(After::Status(1))
}

pub(super) fn umask(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    if argv.len() == 1 {
        machine.say(process, host, "0022\n");
    }
    Ok(After::Status(0))
}

/// `break [N]`, `continue [N]`
pub(super) fn leave_loop(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let count = match argv.get(1).map(|n| n.parse::<usize>()) {
        None => 1,
        Some(Ok(count)) if count > 0 => count,
        Some(_) => {
            return Err(Abort::new(format!(
                "{}: Illegal number: {}",
                argv[0], argv[1]
            )));
        }
    };
    process.status = 0;
    if machine.leave_loop(process, count, argv[0] == "continue") {
        return Ok(After::Moved);
    }
    if machine.dialect == crate::Dialect::Bash {
        let message = format!(
            "{}: only meaningful in a `for', `while', or `until' loop",
            argv[0]
        );
        return Ok(machine.refuse(process, host, 0, &message));
    }
    Ok(After::Status(0))
}

fn status(argv: &[String], process: &Process) -> Result<i32, Abort> {
    match argv.get(1) {
        None => Ok(process.status),
        Some(text) => match text.parse::<i64>() {
            Ok(n) => Ok((n & 0xff) as i32),
            Err(_) => Err(Abort::new(format!("{}: Illegal number: {text}", argv[0]))),
        },
    }
}

pub(super) fn exit(
    machine: &mut Machine,
    process: &mut Process,
    _: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let status = status(argv, process)?;
    machine.exit(process, status);
    Ok(After::Moved)
}

pub(super) fn return_(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let status = status(argv, process)?;
    if machine.leave_call(process) {
        process.status = status;
        return Ok(After::Moved);
    }
    if machine.dialect == crate::Dialect::Bash {
        let message = "return: can only `return' from a function or sourced script";
        return Ok(machine.refuse(process, host, 2, message));
    }
    machine.exit(process, status);
    Ok(After::Moved)
}
