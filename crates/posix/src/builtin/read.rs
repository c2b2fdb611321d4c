//! `read`.

use super::After;
use crate::exec::Abort;
use crate::host::Host;
use crate::machine::Machine;
use crate::process::{Process, Read, Task};

pub(super) fn read(
    machine: &mut Machine,
    process: &mut Process,
    host: &mut dyn Host,
    argv: &[String],
) -> Result<After, Abort> {
    let mut read = Read {
        names: Vec::new(),
        raw: false,
        fd: 0,
        delimiter: b'\n',
        count: None,
        until: None,
        line: Vec::new(),
    };
    let mut words = argv[1..].iter();
    while let Some(word) = words.next() {
        let Some(options) = word
            .strip_prefix('-')
            .filter(|o| !o.is_empty() && read.names.is_empty())
        else {
            read.names.push(word.clone());
            continue;
        };
        let options = options.char_indices();
        for (at, option) in options {
            if matches!(option, 'r' | 's' | 'e') {
                read.raw |= option == 'r';
                continue;
            }
            let rest = &word[1 + at + option.len_utf8()..];
            let value = if rest.is_empty() {
                words.next().cloned().unwrap_or_default()
            } else {
                rest.to_owned()
            };
            let illegal = || Abort {
                message: format!("read: Illegal number: {value}"),
                status: 2,
            };
            match option {
                'p' => machine.put(process, host, 2, value.as_bytes()),
                'd' => read.delimiter = value.bytes().next().unwrap_or(0),
                'n' | 'N' => read.count = Some(value.parse().map_err(|_| illegal())?),
                'u' => read.fd = value.parse().map_err(|_| illegal())?,
                't' => {
                    let wait = crate::text::duration(&value).ok_or_else(illegal)?;
                    read.until = Some(host.now().saturating_add(wait));
                }
                _ => {
                    return Ok(machine.refuse(
                        process,
                        host,
                        2,
                        &format!("read: Illegal option -{option}"),
                    ));
                }
            }
            break;
        }
    }
    if let Some(name) = read.names.iter().find(|name| !crate::parse::is_name(name)) {
        let message = format!("read: {name}: bad variable name");
        return Ok(machine.refuse(process, host, 2, &message));
    }
    if read.names.is_empty() {
        read.names.push("REPLY".to_owned());
    }
    Ok(After::Task(Task::Read(Box::new(read))))
}

/// The line's fields for so many variables; the last one has all the rest.
pub(crate) fn split(line: &str, ifs: &str, count: usize, raw: bool) -> Vec<String> {
    // Characters, each with whether a backslash protects it.
    let mut chars = Vec::new();
    let mut source = line.chars();
    while let Some(c) = source.next() {
        match c {
            '\\' if !raw => chars.extend(source.next().map(|c| (c, true))),
            c => chars.push((c, false)),
        }
    }
    let blank = |x: &(char, bool)| !x.1 && x.0.is_ascii_whitespace() && ifs.contains(x.0);
    let separator = |x: &(char, bool)| !x.1 && ifs.contains(x.0);
    let mut at = chars.iter().take_while(|x| blank(x)).count();
    let mut fields = Vec::new();
    while fields.len() + 1 < count {
        let end = (at..chars.len())
            .find(|i| separator(&chars[*i]))
            .unwrap_or(chars.len());
        fields.push(chars[at..end].iter().map(|x| x.0).collect());
        at = end;
        at += chars[at..].iter().take_while(|x| blank(x)).count();
        if chars.get(at).is_some_and(&separator) && chars.get(end).is_some() && !blank(&chars[at]) {
            at += 1;
            at += chars[at..].iter().take_while(|x| blank(x)).count();
        }
    }
    let mut rest = &chars[at.min(chars.len())..];
    while rest.last().is_some_and(blank) {
        rest = &rest[..rest.len() - 1];
    }
    // One separator at the very end belongs to the last field, unless it is the only one.
    let separators = rest.iter().filter(|x| separator(x)).count();
    if separators == 1 && rest.last().is_some_and(separator) {
        rest = &rest[..rest.len() - 1];
    }
    fields.push(rest.iter().map(|x| x.0).collect());
    fields
}
