//! `jq`. Not there: modules, `--stream`, `--seq`, `?//`, SQL-like operators, dates as arrays of parts,
//! and numbers of more than 53 bits.

mod builtins;
mod eval;
mod json;
mod lexer;
mod parser;
mod paths;
mod text;

use super::{Context, Failure, Outcome};
use eval::{Binding, Engine, Item, Scope, Stop, bind};
use json::{Json, Reader, Style};
use std::collections::VecDeque;

pub(super) fn jq(context: &mut Context) -> Outcome {
    let options = read_options(context)?;
    let Some(program) = &options.program else {
        context
            .err
            .extend_from_slice(b"Usage:\tjq [OPTIONS] FILTER [FILES...]\n");
        return Ok(2);
    };
    let compile =
        |message: String| Failure::Message(3, format!("error: {message}\njq: 1 compile error"));
    let filter = parser::parse(program).map_err(compile)?;
    let mut scope: Scope = None;
    for definition in definitions() {
        scope = bind(&scope, Binding::Function(definition));
    }
    for (name, value) in &options.variables {
        scope = bind(&scope, Binding::Variable(name.clone(), value.clone()));
    }
    let named = Json::object(
        options
            .variables
            .iter()
            .map(|(n, v)| (n.as_str().into(), v.clone()))
            .collect(),
    );
    let arguments = Json::object(vec![
        ("named".into(), named),
        ("positional".into(), Json::array(options.positional.clone())),
    ]);
    scope = bind(&scope, Binding::Variable("ARGS".to_owned(), arguments));
    let reads = !options.null_input || program.contains("input");
    let (bytes, file_status) = match reads {
        true => context.read_all("jq", &options.files)?,
        false => (Vec::new(), 0),
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut broken = None;
    let mut values: VecDeque<Json> = VecDeque::new();
    if options.raw_input {
        match options.slurp {
            true => values.push_back(Json::string(&text)),
            false => values.extend(super::lines(&text).map(Json::string)),
        }
    } else {
        let mut reader = Reader::new(&text);
        loop {
            match reader.next() {
                Ok(Some(value)) => values.push_back(value),
                Ok(None) => break,
                Err(message) => {
                    broken = Some(message);
                    break;
                }
            }
        }
        if options.slurp {
            values = [Json::array(values.into())].into();
        }
    }
    let mut engine = Engine::new(values);
    engine.now_ns = context.now;
    engine.env = context
        .env
        .iter()
        .map(|(k, v)| (k.as_str().into(), Json::string(v)))
        .collect();
    let mut status = if file_status == 0 { 0 } else { 2 };
    let mut last = None;
    let mut first = true;
    loop {
        let input = match options.null_input {
            true if first => Json::Null,
            true => break,
            false => match engine.inputs.pop_front() {
                Some(value) => value,
                None => break,
            },
        };
        first = false;
        let mut out = String::new();
        let result = engine.run(&filter, &scope, Item::of(input), &mut |_, item| {
            match &item.value {
                Json::String(text) if options.raw => out.push_str(text),
                value => value.write(&mut out, &options.style, 0),
            }
            if !options.join {
                out.push(if options.nul { '\0' } else { '\n' });
            }
            last = Some(item.value.is_true());
            Ok(())
        });
        context.say(&out);
        context.err.append(&mut engine.err);
        match result {
            Ok(()) | Err(Stop::Break(_)) => {}
            Err(Stop::Error(value)) => {
                let message = match &value {
                    Json::String(text) => text.to_string(),
                    other => format!("{} (not a string)", other.text()),
                };
                context.complain("jq", &format!("error (at <stdin>:0): {message}"));
                status = 5;
            }
            Err(Stop::Over(0, _)) => return Ok(status),
            Err(Stop::Over(3, message)) => return Err(compile(message)),
            Err(Stop::Over(code, message)) => return Err(Failure::Message(code, message)),
        }
    }
    context.steps += engine.steps / 4;
    if let Some(message) = broken {
        context.complain("jq", &format!("parse error: {message}"));
        return Ok(5);
    }
    match last {
        _ if status != 0 || !options.exit_status => Ok(status),
        Some(true) => Ok(0),
        Some(false) => Ok(1),
        None => Ok(4),
    }
}

/// The functions that are written in jq.
fn definitions() -> Vec<std::rc::Rc<parser::Definition>> {
    let mut all = Vec::new();
    let mut next = parser::parse(builtins::PRELUDE).ok();
    while let Some(filter) = next.take() {
        if let parser::Node::Define(definition, rest) = &*filter {
            all.push(definition.clone());
            next = Some(rest.clone());
        }
    }
    all
}

#[derive(Default)]
struct Options {
    program: Option<String>,
    files: Vec<String>,
    variables: Vec<(String, Json)>,
    positional: Vec<Json>,
    style: Style,
    raw: bool,
    join: bool,
    nul: bool,
    null_input: bool,
    raw_input: bool,
    slurp: bool,
    exit_status: bool,
}

fn read_options(context: &Context) -> Result<Options, Failure> {
    let wrong = |message: String| {
        Failure::Message(
            2,
            format!("{message}\nUse jq --help for help with command-line options"),
        )
    };
    let mut options = Options {
        style: Style {
            indent: Some("  ".to_owned()),
            ..Style::default()
        },
        ..Options::default()
    };
    let mut words = context.args.iter();
    let mut positional = None;
    while let Some(word) = words.next() {
        let mut next = || {
            words
                .next()
                .cloned()
                .ok_or_else(|| wrong(format!("{word} takes more parameters")))
        };
        let long = match word.strip_prefix("--") {
            Some(name) => name,
            None => match word.strip_prefix('-').filter(|l| !l.is_empty()) {
                Some(letters) => {
                    for letter in letters.chars() {
                        let name = match letter {
                            'r' => "raw-output",
                            'j' => "join-output",
                            'c' => "compact-output",
                            'n' => "null-input",
                            'R' => "raw-input",
                            's' => "slurp",
                            'S' => "sort-keys",
                            'e' => "exit-status",
                            'a' => "ascii-output",
                            'C' | 'M' => "color-output",
                            'f' => "from-file",
                            other => return Err(wrong(format!("Unknown option: -{other}"))),
                        };
                        if name == "from-file" {
                            options.program = Some(program_file(context, &next()?)?);
                        } else {
                            options.flag(name);
                        }
                    }
                    continue;
                }
                None => {
                    match positional {
                        _ if options.program.is_none() => options.program = Some(word.clone()),
                        None => options.files.push(word.clone()),
                        Some(false) => options.positional.push(Json::string(word)),
                        Some(true) => options.positional.push(json_argument(word).map_err(wrong)?),
                    }
                    continue;
                }
            },
        };
        match long {
            "arg" => {
                let name = next()?;
                options.variables.push((name, Json::string(next()?)));
            }
            "argjson" => {
                let name = next()?;
                options
                    .variables
                    .push((name, json_argument(&next()?).map_err(wrong)?));
            }
            "slurpfile" | "rawfile" => {
                let (name, file) = (next()?, next()?);
                let text = program_file(context, &file)?;
                let value = if long == "rawfile" {
                    Json::string(text)
                } else {
                    let mut reader = Reader::new(&text);
                    let mut all = Vec::new();
                    while let Some(value) = reader.next().map_err(wrong)? {
                        all.push(value);
                    }
                    Json::array(all)
                };
                options.variables.push((name, value));
            }
            "args" => positional = Some(false),
            "jsonargs" => positional = Some(true),
            "from-file" => options.program = Some(program_file(context, &next()?)?),
            "indent" => {
                let count = next()?.parse::<usize>().ok().filter(|n| *n < 8);
                let Some(count) = count else {
                    return Err(wrong("Cannot indent more than 7 characters".to_owned()));
                };
                options.style.indent = (count > 0).then(|| " ".repeat(count));
            }
            "tab" => options.style.indent = Some("\t".to_owned()),
            "stream" | "seq" | "stream-errors" => {
                return Err(wrong(format!("--{long} is not simulated yet")));
            }
            name if options.flag(name) => {}
            _ => return Err(wrong(format!("Unknown option: {word}"))),
        }
    }
    Ok(options)
}

impl Options {
    /// Sets an option without a value; false where there is none of this name.
    fn flag(&mut self, name: &str) -> bool {
        match name {
            "raw-output" => self.raw = true,
            "raw-output0" => (self.raw, self.nul) = (true, true),
            "join-output" => (self.raw, self.join) = (true, true),
            "compact-output" => self.style.indent = None,
            "null-input" => self.null_input = true,
            "raw-input" => self.raw_input = true,
            "slurp" => self.slurp = true,
            "sort-keys" => self.style.sorted = true,
            "exit-status" => self.exit_status = true,
            "ascii-output" => self.style.ascii = true,
            "color-output" | "monochrome-output" | "unbuffered" => {}
            _ => return false,
        }
        true
    }
}

fn program_file(context: &Context, file: &str) -> Result<String, Failure> {
    match context.read(file)? {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(message) => Err(Failure::Message(
            2,
            format!("error: Could not open {message}"),
        )),
    }
}

fn json_argument(text: &str) -> Result<Json, String> {
    let invalid = || format!("Invalid JSON text passed to --argjson: {text}");
    Reader::new(text).next().ok().flatten().ok_or_else(invalid)
}
