//! `echo` and `printf`.

use super::After;
use crate::exec::Abort;
use crate::host::Host;
use crate::machine::Machine;
use crate::process::Process;
use crate::syntax::Dialect;
use crate::text::{Escapes, unescape};

pub(super) fn echo(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut newline = true;
    // dash's echo knows no option but -n, and always escapes.
    let mut escapes = machine.dialect == Dialect::Dash;
    let known = if escapes { "n" } else { "neE" };
    let mut words = &argv[1..];
    while let Some(options) = words.first().and_then(|w| w.strip_prefix('-')) {
        if options.is_empty() || !options.chars().all(|c| known.contains(c)) {
            break;
        }
        for option in options.chars() {
            match option {
                'n' => newline = false,
                'e' => escapes = true,
                _ => escapes = false,
            }
        }
        words = &words[1..];
    }
    let mut text = words.join(" ");
    if escapes {
        let (unescaped, stopped) = unescape(&text, Escapes::Echo);
        text = unescaped;
        newline &= !stopped;
    }
    if newline {
        text.push('\n');
    }
    machine.say(process, host, &text);
    Ok(After::Status(0))
}

pub(super) fn printf(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut words = &argv[1..];
    let mut variable = None;
    if words.first().is_some_and(|w| w == "-v") {
        variable = words.get(1).cloned();
        words = words.get(2..).unwrap_or_default();
    }
    if words.first().is_some_and(|w| w == "--") {
        words = &words[1..];
    }
    let Some((format, arguments)) = words.split_first() else {
        return Ok(machine.refuse(process, host, 2, "printf: usage: printf format [arguments]"));
    };
    let (text, errors) = crate::tools::format::printf(format, arguments);
    match variable {
        Some(name) => machine.assign(process, &name, text)?,
        None => machine.say(process, host, &text),
    }
    for error in &errors {
        machine.complain(process, host, &format!("printf: {error}"));
    }
    Ok(After::Status(i32::from(!errors.is_empty())))
}
