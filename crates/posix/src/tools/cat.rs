//! `cat`, `tac`, `rev`, `nl`, `tee`

use super::{Context, Outcome, Tool, options};
use crate::process::Task;

/// Plain `cat` of standard input passes it on as it comes.
pub(super) fn stream(_: Tool, argv: &[String]) -> Option<Task> {
    let plain = matches!(argv.get(1..), Some([] | [_]))
        && argv.get(1).is_none_or(|a| a == "-" || a == "-u");
    plain.then(|| Task::Copy {
        files: Vec::new(),
        lines: None,
        bytes: None,
        status: 0,
    })
}

pub(super) fn cat(context: &mut Context) -> Outcome {
    let options = options::parse(context, "nbsvteAETu", &[("number", 'n'), ("show-all", 'A')])?;
    let (bytes, status) = context.read_all("cat", &options.operands)?;
    let number = options.has('n') || options.has('b');
    let ends = options.has('E') || options.has('A') || options.has('e');
    let tabs = options.has('T') || options.has('A') || options.has('t');
    if !number && !ends && !tabs && !options.has('s') {
        context.out.extend(bytes);
        return Ok(status);
    }
    let mut count = 0;
    let mut blanks = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let blank = line == b"\n";
        blanks = if blank { blanks + 1 } else { 0 };
        if options.has('s') && blanks > 1 {
            continue;
        }
        if number && !(blank && options.has('b')) {
            count += 1;
            context.say(&format!("{count:6}\t"));
        }
        for byte in line {
            match byte {
                b'\n' if ends => context.say("$\n"),
                b'\t' if tabs => context.say("^I"),
                byte => context.out.push(*byte),
            }
        }
    }
    Ok(status)
}
