//! `awk`: POSIX's, with some of gawk's functions. `system()` and pipes run text tools only.

mod expressions;
mod functions;
mod input;
mod interpreter;
mod lexer;
mod parser;
mod record;
mod statements;
mod tree;
mod value;

use super::{Context, Failure, Outcome};
use interpreter::Interpreter;

pub(super) fn awk(context: &mut Context) -> Outcome {
    let mut assignments: Vec<(String, String)> = Vec::new();
    let mut program: Option<String> = None;
    let mut words = context.args.iter();
    let mut operands: Vec<String> = Vec::new();
    let usage = |message: &str| Failure::Message(2, message.to_owned());
    while let Some(word) = words.next() {
        let mut value = |short: &str| match &word[short.len()..] {
            "" => words
                .next()
                .cloned()
                .ok_or_else(|| usage(&format!("option requires an argument -- {short}"))),
            hanging => Ok(hanging.to_owned()),
        };
        if word.starts_with("-F") {
            let separator = value("-F")?;
            let separator = if separator == "t" {
                "\\t".to_owned()
            } else {
                separator
            };
            assignments.push(("FS".to_owned(), separator));
        } else if word.starts_with("-v") {
            let text = value("-v")?;
            match text.split_once('=') {
                Some((name, value)) => assignments.push((name.to_owned(), value.to_owned())),
                None => {
                    return Err(usage(&format!(
                        "`{text}' argument to `-v' not in `var=value' form"
                    )));
                }
            }
        } else if word.starts_with("-f") {
            let file = value("-f")?;
            match context.read(&file)? {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes);
                    program = Some(program.unwrap_or_default() + &text + "\n");
                }
                Err(message) => return Err(usage(&message)),
            }
        } else if word == "--" {
            operands.extend(words.by_ref().cloned());
        } else if word.starts_with('-') && word.len() > 1 && operands.is_empty() {
            return Err(usage(&format!("unknown option {word}")));
        } else {
            operands.push(word.clone());
            // From the first operand on nothing is an option.
            operands.extend(words.by_ref().cloned());
        }
    }
    let text = match program {
        Some(text) => text,
        None if operands.is_empty() => {
            context.err.extend_from_slice(
                b"usage: awk [-F fs][-v var=value][prog | -f progfile][file ...]\n",
            );
            return Ok(2);
        }
        None => operands.remove(0),
    };
    let program = parser::parse(&text).map_err(|message| Failure::Message(2, message))?;
    let mut interpreter = Interpreter::new(context, &program, operands);
    for (name, value) in &assignments {
        interpreter
            .assign_text(name, value)
            .map_err(|message| Failure::Message(2, message))?;
    }
    interpreter.run()
}
