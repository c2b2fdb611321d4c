//! Builtins on variables, options, parameters and the working directory.

use super::After;
use crate::exec::Abort;
use crate::host::{FileError, FileKind, Host};
use crate::machine::Machine;
use crate::parse::is_name;
use crate::process::{CallKind, Control, Flags, Process};
use std::sync::Arc;

/// `export`, `readonly`
pub(super) fn export(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let readonly = argv[0] == "readonly";
    let mut words = &argv[1..];
    let mut export = true;
    while let Some(option) = words.first().filter(|w| w.starts_with('-')) {
        export &= option != "-n";
        words = &words[1..];
    }
    if words.is_empty() {
        let mut text = String::new();
        for (name, variable) in process.variables.iter() {
            if if readonly {
                variable.readonly
            } else {
                variable.exported
            } {
                let value = variable
                    .value
                    .as_ref()
                    .map(|v| format!("='{}'", v.replace('\'', "'\\''")));
                text += &format!("{} {name}{}\n", argv[0], value.unwrap_or_default());
            }
        }
        machine.say(process, host, &text);
    }
    for word in words {
        let (name, value) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
        if !is_name(name) {
            return Err(Abort::new(format!(
                "{}: {name}: bad variable name",
                argv[0]
            )));
        }
        if let Some(value) = value {
            machine.assign(process, name, value.to_owned())?;
        }
        let variable = Arc::make_mut(&mut process.variables)
            .entry(name.to_owned())
            .or_default();
        if readonly {
            variable.readonly = true;
        } else {
            variable.exported = export;
        }
    }
    Ok(After::Status(0))
}

/// `local`, `declare`, `typeset`
pub(super) fn local(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let function = process
        .control
        .iter()
        .rposition(|c| matches!(c, Control::Call(call) if call.kind == CallKind::Function));
    if function.is_none() && argv[0] == "local" {
        return Ok(machine.refuse(process, host, 1, "local: not in a function"));
    }
    let (mut export, mut readonly) = (false, false);
    for word in &argv[1..] {
        if let Some(options) = word.strip_prefix('-') {
            if options.contains(['a', 'A']) {
                return Ok(machine.refuse(process, host, 2, "arrays are not supported"));
            }
            export |= options.contains('x');
            readonly |= options.contains('r');
            continue;
        }
        let (name, value) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
        if !is_name(name) {
            return Err(Abort::new(format!(
                "{}: {name}: bad variable name",
                argv[0]
            )));
        }
        let old = process.variables.get(name).cloned();
        if let Some(Control::Call(call)) = function.and_then(|at| process.control.get_mut(at)) {
            call.saved.push((name.to_owned(), old.clone()));
        }
        match value {
            Some(value) => machine.assign(process, name, value.to_owned())?,
            // dash and ash keep the value of outside; bash does not.
            None if machine.dialect == crate::Dialect::Bash && function.is_some() => {
                Arc::make_mut(&mut process.variables).remove(name);
            }
            None => {}
        }
        if export || readonly {
            let variable = Arc::make_mut(&mut process.variables)
                .entry(name.to_owned())
                .or_default();
            variable.exported |= export;
            variable.readonly |= readonly;
        }
    }
    Ok(After::Status(0))
}

pub(super) fn unset(
    _: &mut Machine,
    process: &mut Process,
    _: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let functions = argv.get(1).is_some_and(|w| w == "-f");
    for name in argv[1..].iter().filter(|w| !w.starts_with('-')) {
        let is_variable = process.variables.contains_key(name);
        if functions || !is_variable {
            if process.functions.contains_key(name) {
                Arc::make_mut(&mut process.functions).remove(name);
            }
        } else if process.variables.get(name).is_some_and(|v| v.readonly) {
            return Err(Abort::new(format!("unset: {name}: is read only")));
        } else {
            Arc::make_mut(&mut process.variables).remove(name);
        }
    }
    Ok(After::Status(0))
}

pub(super) fn set(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    if argv.len() == 1 {
        let text: String = process
            .variables
            .iter()
            .filter_map(|(name, v)| v.value.as_ref().map(|value| (name, value)))
            .map(|(name, value)| format!("{name}='{}'\n", value.replace('\'', "'\\''")))
            .collect();
        machine.say(process, host, &text);
        return Ok(After::Status(0));
    }
    let mut words = argv[1..].iter();
    while let Some(word) = words.next() {
        let Some(sign) = word
            .chars()
            .next()
            .filter(|c| (*c == '-' || *c == '+') && word.len() > 1)
        else {
            let parameters: Vec<String> = std::iter::once(word).chain(words).cloned().collect();
            process.parameters = Arc::new(parameters);
            return Ok(After::Status(0));
        };
        if word == "--" {
            process.parameters = Arc::new(words.cloned().collect());
            return Ok(After::Status(0));
        }
        let on = sign == '-';
        for option in word[1..].chars() {
            let known = match option {
                'o' => match words.next() {
                    Some(name) => set_named(&mut process.flags, name, on),
                    None => true,
                },
                option => set_letter(&mut process.flags, option, on),
            };
            if !known {
                return Err(Abort::new(format!("set: Illegal option {word}")));
            }
        }
    }
    Ok(After::Status(0))
}

pub(super) fn set_letter(flags: &mut Flags, option: char, on: bool) -> bool {
    match option {
        'e' => flags.errexit = on,
        'u' => flags.nounset = on,
        'x' => flags.xtrace = on,
        'f' => flags.noglob = on,
        'a' => flags.allexport = on,
        // Read, and without effect here: job control, verbose and so on.
        'm' | 'b' | 'v' | 'h' | 'C' | 'n' | 'i' | 's' | 'E' | 'B' | 'H' | 'l' => {}
        _ => return false,
    }
    true
}

pub(super) fn set_named(flags: &mut Flags, name: &str, on: bool) -> bool {
    match name {
        "errexit" => flags.errexit = on,
        "nounset" => flags.nounset = on,
        "xtrace" => flags.xtrace = on,
        "noglob" => flags.noglob = on,
        "pipefail" => flags.pipefail = on,
        "allexport" => flags.allexport = on,
        "errtrace" | "monitor" | "noclobber" | "posix" | "vi" | "emacs" | "verbose"
        | "ignoreeof" => {}
        _ => return false,
    }
    true
}

pub(super) fn shift(
    _: &mut Machine,
    process: &mut Process,
    _: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let count = match argv.get(1).map(|n| n.parse::<usize>()) {
        None => 1,
        Some(Ok(count)) => count,
        Some(Err(_)) => return Err(Abort::new(format!("shift: Illegal number: {}", argv[1]))),
    };
    if count > process.parameters.len() {
        return Err(Abort::new("shift: can't shift that many"));
    }
    process.parameters = Arc::new(process.parameters[count..].to_vec());
    Ok(After::Status(0))
}

pub(super) fn pwd(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    _: &[String],
) -> Result<After, Abort> {
    let text = format!("{}\n", process.cwd);
    machine.say(process, host, &text);
    Ok(After::Status(0))
}

pub(super) fn cd(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let target = argv[1..].iter().find(|w| *w == "-" || !w.starts_with('-'));
    let back = target.is_some_and(|t| t == "-");
    let target = match target {
        None => process.value("HOME").unwrap_or("/root").to_owned(),
        Some(_) if back => match process.value("OLDPWD") {
            Some(old) => old.to_owned(),
            None => return Ok(machine.refuse(process, host, 2, "cd: OLDPWD not set")),
        },
        Some(target) => target.clone(),
    };
    let path = process.path(&target);
    let error = match host.files().metadata(&path, true) {
        Ok(m) if m.kind == FileKind::Directory => None,
        Ok(_) => Some(FileError::NotDirectory),
        Err(error) => Some(error),
    };
    if let Some(error) = error {
        let message = match machine.dialect {
            crate::Dialect::Bash => format!("cd: {target}: {error}"),
            crate::Dialect::Ash => format!("cd: can't cd to {target}: {error}"),
            crate::Dialect::Dash => format!("cd: can't cd to {target}"),
        };
        return Ok(machine.refuse(
            process,
            host,
            if machine.dialect == crate::Dialect::Bash {
                1
            } else {
                2
            },
            &message,
        ));
    }
    let old = process.cwd.to_string();
    process.cwd = path.as_str().into();
    process.set("OLDPWD", old);
    process.set("PWD", path.clone());
    if back {
        machine.say(process, host, &format!("{path}\n"));
    }
    Ok(After::Status(0))
}

/// bash's `let`
pub(super) fn let_(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut value = 0;
    for word in &argv[1..] {
        value = machine.arithmetic(process, host, word)?;
    }
    Ok(After::Status(i32::from(value == 0)))
}

/// `getopts OPTIONS NAME [ARGUMENT…]`
pub(super) fn getopts(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let [_, options, name, rest @ ..] = argv else {
        return Ok(machine.refuse(
            process,
            host,
            2,
            "getopts: usage: getopts optstring var [arg ...]",
        ));
    };
    let arguments = if rest.is_empty() {
        process.parameters.to_vec()
    } else {
        rest.to_vec()
    };
    let mut index: usize = process
        .value("OPTIND")
        .and_then(|v| v.parse().ok())
        .unwrap_or(1)
        .max(1);
    // The place within a cluster such as -abc is kept in a variable of its own.
    let mut offset: usize = process
        .value("_OPTOFFSET")
        .and_then(|v| v.parse().ok())
        .unwrap_or(1);
    let mut set =
        |process: &mut Process, name: &str, value: String| machine.assign(process, name, value);
    let cluster = arguments
        .get(index - 1)
        .filter(|a| a.starts_with('-') && a.len() > 1)
        .cloned();
    let ended = match cluster.as_deref() {
        None => true,
        Some("--") => {
            set(process, "OPTIND", (index + 1).to_string())?;
            true
        }
        Some(_) => false,
    };
    let cluster: Vec<char> = cluster.unwrap_or_default().chars().collect();
    let Some(option) = cluster.get(offset).copied().filter(|_| !ended) else {
        set(process, name, "?".to_owned())?;
        return Ok(After::Status(1));
    };
    offset += 1;
    let silent = options.starts_with(':');
    let mut found = options
        .find(option)
        .filter(|_| option != ':')
        .map(|_| option.to_string());
    let wants = options.contains(&format!("{option}:"));
    let mut argument: Option<String> = None;
    let mut error = None;
    if found.is_none() {
        error = Some(format!("Illegal option -{option}"));
        argument = silent.then(|| option.to_string());
    } else if wants {
        let rest: String = cluster[offset..].iter().collect();
        offset = cluster.len();
        if !rest.is_empty() {
            argument = Some(rest);
        } else if let Some(next) = arguments.get(index) {
            argument = Some(next.clone());
            index += 1;
        } else {
            error = Some(format!("No arg for -{option} option"));
            argument = silent.then(|| option.to_string());
            found = silent.then(|| ":".to_owned());
        }
    }
    if offset >= cluster.len() {
        index += 1;
        offset = 1;
    }
    set(process, "OPTIND", index.to_string())?;
    set(process, "_OPTOFFSET", offset.to_string())?;
    set(process, name, found.unwrap_or_else(|| "?".to_owned()))?;
    match argument {
        Some(argument) => set(process, "OPTARG", argument)?,
        None => drop(Arc::make_mut(&mut process.variables).remove("OPTARG")),
    }
    if let Some(error) = error.filter(|_| !silent) {
        machine.complain(process, host, &error);
    }
    Ok(After::Status(0))
}
