//! Running an awk program.

use super::super::regex::{self, Kind};
use super::super::{Context, Failure, Outcome as Ended};
use super::input::Input;
use super::parser::SPECIAL;
use super::record::field_index;
use super::tree::{Argument, Expression, Output, Pattern, Place, Program, Source, Variable};
use super::value::Value;
use regex_lite::Regex;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How many steps a program may take.
const STEPS_MAX: u64 = 20_000_000;
/// How deep functions may call one another.
const CALLS_MAX: usize = 100;
/// How many bytes a program may hold and write.
const BYTES_MAX: usize = 32 << 20;

/// An array's key: numbers in their order before all else, so that loops over arrays have one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(pub String);

impl Key {
    fn number(&self) -> Option<i64> {
        let plain =
            !self.0.is_empty() && self.0.len() < 16 && self.0.bytes().all(|b| b.is_ascii_digit());
        if plain { self.0.parse().ok() } else { None }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => a.cmp(&b).then_with(|| self.0.cmp(&other.0)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.0.cmp(&other.0),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

pub(super) type Array = BTreeMap<Key, Value>;

/// What a variable holds.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Value(Value),
    /// An array, by its number.
    Array(usize),
}

/// What ends a statement early.
pub(super) enum Flow {
    Next,
    NextFile,
    Break,
    Continue,
    Return(Value),
    Exit,
    Failed(String),
    Starved,
}

pub(super) type Done<T> = Result<T, Flow>;

pub(super) struct Interpreter<'a, 'c> {
    pub context: &'a mut Context<'c>,
    pub(super) program: &'a Program,
    globals: Vec<Cell>,
    frames: Vec<Vec<Cell>>,
    pub arrays: Vec<Array>,
    /// The record and its fields, which are split when they are first wanted.
    pub(super) record: String,
    pub(super) fields: Vec<Value>,
    pub(super) split: bool,
    pub input: Input,
    regexes: BTreeMap<String, Rc<Regex>>,
    /// What goes to files and commands, by name, until it is closed.
    pub(super) outputs: BTreeMap<String, (Output, Vec<u8>)>,
    pub inputs: BTreeMap<String, Input>,
    ranges: Vec<bool>,
    pub(super) steps: u64,
    pub(super) bytes: usize,
    pub(super) status: i32,
    pub random: u64,
    pub seed: f64,
}

pub(super) const NF: usize = 0;
pub(super) const NR: usize = 1;
pub(super) const FNR: usize = 2;
pub(super) const FS: usize = 3;
pub(super) const OFS: usize = 4;
pub(super) const RS: usize = 5;
pub(super) const ORS: usize = 6;
pub(super) const FILENAME: usize = 7;
const SUBSEP: usize = 8;
pub(super) const RSTART: usize = 9;
pub(super) const RLENGTH: usize = 10;
const CONVFMT: usize = 11;
pub(super) const OFMT: usize = 12;
const ENVIRON: usize = 13;
const ARGV: usize = 14;

impl<'a, 'c> Interpreter<'a, 'c> {
    pub fn new(context: &'a mut Context<'c>, program: &'a Program, operands: Vec<String>) -> Self {
        let mut globals = vec![Cell::Value(Value::Unset); program.globals.len()];
        let text = |text: &str| Cell::Value(Value::Text(text.to_owned()));
        for (at, value) in [
            (FS, " "),
            (OFS, " "),
            (RS, "\n"),
            (ORS, "\n"),
            (SUBSEP, "\u{1c}"),
            (CONVFMT, "%.6g"),
            (OFMT, "%.6g"),
        ] {
            globals[at] = text(value);
        }
        let environment = context
            .env
            .iter()
            .map(|(k, v)| (Key(k.clone()), Value::input(v)))
            .collect();
        let words = std::iter::once("awk".to_owned()).chain(operands.iter().cloned());
        let arguments = words
            .enumerate()
            .map(|(i, w)| (Key(i.to_string()), Value::input(&w)))
            .collect();
        globals[ENVIRON] = Cell::Array(0);
        globals[ARGV] = Cell::Array(1);
        debug_assert_eq!(SPECIAL.len(), ARGV + 1);
        Interpreter {
            context,
            program,
            globals,
            frames: Vec::new(),
            arrays: vec![environment, arguments],
            record: String::new(),
            fields: Vec::new(),
            split: true,
            input: Input::main(operands),
            regexes: BTreeMap::new(),
            outputs: BTreeMap::new(),
            inputs: BTreeMap::new(),
            ranges: vec![false; program.rules.len()],
            steps: 0,
            bytes: 0,
            status: 0,
            random: 0x2545_f491_4f6c_dd1d,
            seed: 0.0,
        }
    }

    /// `-v name=value` and `name=value` among the files.
    pub fn assign_text(&mut self, name: &str, value: &str) -> Result<(), String> {
        if !crate::parse::is_name(name) {
            return Err(format!("`{name}' is not a legal variable name"));
        }
        let (value, _) = crate::text::unescape(value, crate::text::Escapes::Ansi);
        if let Some(at) = self.program.globals.iter().position(|n| n == name) {
            self.globals[at] = Cell::Value(Value::input(&value));
        }
        Ok(())
    }

    pub fn run(mut self) -> Ended {
        let program = self.program;
        let begins = program
            .rules
            .iter()
            .filter(|r| matches!(r.pattern, Pattern::Begin));
        let mut result = Ok(());
        for rule in begins {
            if let Some(body) = &rule.body {
                result = result.and_then(|()| self.execute(body, 0));
            }
        }
        let reads = program
            .rules
            .iter()
            .any(|r| !matches!(r.pattern, Pattern::Begin));
        if result.is_ok() && reads {
            result = self.records();
        }
        // `exit` before the end still runs the END rules; `exit` in one ends them all.
        if matches!(result, Ok(()) | Err(Flow::Exit)) {
            let ends = program
                .rules
                .iter()
                .filter(|r| matches!(r.pattern, Pattern::End));
            let mut ended = Ok(());
            for rule in ends {
                if let Some(body) = &rule.body {
                    ended = ended.and_then(|()| self.execute(body, 0));
                }
            }
            if ended.is_err() {
                result = ended;
            }
        }
        self.context.steps += self.steps / 4;
        if matches!(result, Err(Flow::Starved)) {
            return Err(Failure::Starved);
        }
        let names: Vec<String> = self.outputs.keys().cloned().collect();
        for name in names {
            self.close(&name);
        }
        match result {
            Err(Flow::Failed(message)) => Err(Failure::Message(2, message)),
            _ => Ok(self.status),
        }
    }

    fn records(&mut self) -> Done<()> {
        let program = self.program;
        while let Some(record) = self.next_record()? {
            self.set_record(record);
            for (i, rule) in program.rules.iter().enumerate() {
                let chosen = match &rule.pattern {
                    Pattern::Begin | Pattern::End => false,
                    Pattern::Always => true,
                    Pattern::When(condition) => self.evaluate(condition)?.is_true(),
                    Pattern::Range(first, last) => {
                        if !self.ranges[i] {
                            self.ranges[i] = self.evaluate(first)?.is_true();
                        }
                        let within = self.ranges[i];
                        if within && self.evaluate(last)?.is_true() {
                            self.ranges[i] = false;
                        }
                        within
                    }
                };
                if !chosen {
                    continue;
                }
                let result = match &rule.body {
                    Some(body) => self.execute(body, 0),
                    None => {
                        let line = format!("{}{}", self.record_text(), self.special(ORS));
                        self.write(line.as_bytes());
                        Ok(())
                    }
                };
                match result {
                    Err(Flow::Next) => break,
                    Err(Flow::NextFile) => {
                        self.input.skip_file();
                        break;
                    }
                    other => other?,
                }
            }
        }
        Ok(())
    }

    pub(super) fn step(&mut self) -> Done<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX || self.bytes > BYTES_MAX {
            return Err(Flow::Failed("stopped: it went on for too long".to_owned()));
        }
        Ok(())
    }

    /// A special variable's text.
    pub fn special(&self, at: usize) -> String {
        match &self.globals[at] {
            Cell::Value(value) => value.text("%.6g"),
            Cell::Array(_) => String::new(),
        }
    }

    pub fn set_special(&mut self, at: usize, value: Value) {
        self.globals[at] = Cell::Value(value);
    }

    pub fn convfmt(&self) -> String {
        self.special(CONVFMT)
    }

    pub fn text_of(&self, value: &Value) -> String {
        match value {
            // What is whole needs no format.
            Value::Number(n) if n.fract() != 0.0 => value.text(&self.convfmt()),
            value => value.text("%.6g"),
        }
    }

    pub fn regex(&mut self, pattern: &str) -> Done<Rc<Regex>> {
        if let Some(regex) = self.regexes.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = regex::compile(pattern, Kind::Extended, false)
            .map_err(|message| Flow::Failed(format!("regular expression {pattern}: {message}")))?;
        let regex = Rc::new(regex);
        if self.regexes.len() < 1000 {
            self.regexes.insert(pattern.to_owned(), regex.clone());
        }
        Ok(regex)
    }

    // Variables.

    fn cell(&mut self, variable: &Variable) -> &mut Cell {
        match variable {
            Variable::Local(at) if self.frames.last().is_some_and(|f| f.len() > *at) => {
                let last = self.frames.len() - 1;
                &mut self.frames[last][*at]
            }
            Variable::Local(_) => &mut self.globals[ENVIRON],
            Variable::Global(at) => &mut self.globals[*at],
        }
    }

    /// The number of the array that a variable is, which it becomes where it is nothing yet.
    pub fn array(&mut self, variable: &Variable) -> Done<usize> {
        let next = self.arrays.len();
        match self.cell(variable) {
            Cell::Array(at) => Ok(*at),
            cell @ Cell::Value(Value::Unset) => {
                *cell = Cell::Array(next);
                self.arrays.push(Array::new());
                Ok(next)
            }
            Cell::Value(_) => Err(Flow::Failed(
                "attempt to use a scalar value as array".to_owned(),
            )),
        }
    }

    pub(super) fn key(&mut self, index: &[Expression]) -> Done<Key> {
        let mut parts = Vec::new();
        for part in index {
            let value = self.evaluate(part)?;
            parts.push(self.text_of(&value));
        }
        Ok(Key(parts.join(&self.special(SUBSEP))))
    }

    pub(super) fn read_place(&mut self, place: &Place) -> Done<Value> {
        match place {
            Place::Variable(variable) => {
                if matches!(variable, Variable::Global(NF)) {
                    self.split_record()?;
                }
                match self.cell(variable) {
                    Cell::Value(value) => Ok(value.clone()),
                    Cell::Array(_) => Err(Flow::Failed(
                        "attempt to use array in a scalar context".to_owned(),
                    )),
                }
            }
            Place::Field(index) => {
                let at = self.evaluate(index)?.number();
                self.field(at)
            }
            Place::Element(array, index) => {
                let key = self.key(index)?;
                let at = self.array(array)?;
                self.bytes += key.0.len();
                Ok(self.arrays[at].entry(key).or_default().clone())
            }
        }
    }

    pub fn write_place(&mut self, place: &Place, value: Value) -> Done<()> {
        if let Value::Text(text) = &value {
            self.steps += text.len() as u64 / 64;
            self.bytes += text.len() / 64;
            if text.len() > BYTES_MAX {
                return Err(Flow::Failed("stopped: a text is too long".to_owned()));
            }
        }
        match place {
            Place::Variable(variable) => {
                match self.cell(variable) {
                    Cell::Array(_) => {
                        return Err(Flow::Failed(
                            "attempt to use array in a scalar context".to_owned(),
                        ));
                    }
                    cell => *cell = Cell::Value(value),
                }
                if matches!(variable, Variable::Global(NF)) {
                    let count = self.special(NF).parse::<f64>().unwrap_or(0.0);
                    if !self.split {
                        self.split_record()?;
                        self.set_special(NF, Value::Number(count));
                    }
                    self.fields
                        .resize(field_index(count.max(0.0))?, Value::Text(String::new()));
                    self.join_record();
                }
            }
            Place::Field(index) => {
                let at = self.evaluate(index)?.number();
                self.set_field(at, &value)?;
            }
            Place::Element(array, index) => {
                let key = self.key(index)?;
                let at = self.array(array)?;
                self.bytes += key.0.len() + 32;
                self.arrays[at].insert(key, value);
            }
        }
        Ok(())
    }

    // Expressions.

    pub fn evaluate(&mut self, expression: &Expression) -> Done<Value> {
        self.step()?;
        Ok(match expression {
            Expression::Number(n) => Value::Number(*n),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Regex(pattern) => {
                let regex = self.regex(pattern)?;
                Value::truth(regex.is_match(&self.record))
            }
            Expression::Place(place) => self.read_place(place)?,
            Expression::Group(inner) => self.evaluate(inner)?,
            Expression::Assign(operator, place, right) => {
                let right = self.evaluate(right)?;
                let value = match operator.strip_suffix('=') {
                    Some("") | None => right,
                    Some(operator) => {
                        let left = self.read_place(place)?.number();
                        Value::Number(arithmetic(operator, left, right.number())?)
                    }
                };
                self.write_place(place, value.clone())?;
                value
            }
            Expression::Condition(parts) => {
                let chosen = if self.evaluate(&parts[0])?.is_true() {
                    &parts[1]
                } else {
                    &parts[2]
                };
                self.evaluate(chosen)?
            }
            Expression::And(sides) => Value::truth(
                self.evaluate(&sides[0])?.is_true() && self.evaluate(&sides[1])?.is_true(),
            ),
            Expression::Or(sides) => Value::truth(
                self.evaluate(&sides[0])?.is_true() || self.evaluate(&sides[1])?.is_true(),
            ),
            Expression::Not(inner) => Value::truth(!self.evaluate(inner)?.is_true()),
            Expression::Minus(inner) => Value::Number(-self.evaluate(inner)?.number()),
            Expression::Plus(inner) => Value::Number(self.evaluate(inner)?.number()),
            Expression::Arithmetic(operator, sides) => {
                let (left, right) = (
                    self.evaluate(&sides[0])?.number(),
                    self.evaluate(&sides[1])?.number(),
                );
                Value::Number(arithmetic(operator, left, right)?)
            }
            Expression::Concat(parts) => {
                let mut out = String::new();
                for part in parts {
                    let value = self.evaluate(part)?;
                    out += &self.text_of(&value);
                }
                self.steps += out.len() as u64 / 64;
                Value::Text(out)
            }
            Expression::Compare(operator, sides) => {
                let (left, right) = (self.evaluate(&sides[0])?, self.evaluate(&sides[1])?);
                let order = left.compare(&right, &self.convfmt());
                Value::truth(match *operator {
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    ">=" => order.is_ge(),
                    "==" => order.is_eq(),
                    _ => order.is_ne(),
                })
            }
            Expression::Match { negated, sides } => {
                let left = self.evaluate(&sides[0])?;
                let regex = self.regex_of(&sides[1])?;
                let text = self.text_of(&left);
                self.steps += text.len() as u64 / 16;
                Value::truth(regex.is_match(&text) != *negated)
            }
            Expression::In(index, array) => {
                let key = self.key(index)?;
                let at = self.array(array)?;
                Value::truth(self.arrays[at].contains_key(&key))
            }
            Expression::Increment { place, by, before } => {
                let old = self.read_place(place)?.number();
                self.write_place(place, Value::Number(old + by))?;
                Value::Number(if *before { old + by } else { old })
            }
            Expression::Call(name, arguments) => self.call(name, arguments)?,
            Expression::Builtin(name, arguments) => self.builtin(name, arguments)?,
            Expression::Split(text, array, separator) => {
                self.split_into(text, array, separator.as_deref())?
            }
            Expression::Substitute {
                all,
                regex,
                with,
                place,
            } => self.substitute(*all, regex, with, place)?,
            Expression::Getline(place, source) => self.getline(place.as_ref(), source)?,
        })
    }

    pub fn set_status(&mut self, status: i32) {
        self.status = status;
    }

    /// How many elements a variable has, if it is an array.
    pub fn array_length(&mut self, variable: &Variable) -> Option<usize> {
        match self.cell(variable) {
            Cell::Array(at) => {
                let at = *at;
                Some(self.arrays[at].len())
            }
            Cell::Value(_) => None,
        }
    }

    pub fn default_separator(&self) -> String {
        self.special(FS)
    }

    pub fn read_text(&mut self, place: &Place) -> Done<String> {
        let value = self.read_place(place)?;
        Ok(self.text_of(&value))
    }

    /// A regular expression given as one, or as a text.
    pub fn regex_of(&mut self, expression: &Expression) -> Done<Rc<Regex>> {
        match expression {
            Expression::Regex(pattern) => self.regex(pattern),
            other => {
                let value = self.evaluate(other)?;
                let pattern = self.text_of(&value);
                self.regex(&pattern)
            }
        }
    }

    pub(super) fn call(&mut self, name: &str, arguments: &[Argument]) -> Done<Value> {
        let program = self.program;
        let Some(function) = program.functions.get(name) else {
            return Err(Flow::Failed(format!("function `{name}' not defined")));
        };
        if self.frames.len() >= CALLS_MAX {
            return Err(Flow::Failed(format!(
                "{name}: functions call one another more than {CALLS_MAX} deep"
            )));
        }
        if arguments.len() > function.parameters {
            return Err(Flow::Failed(format!(
                "function `{name}' called with more arguments than declared"
            )));
        }
        let mut frame = Vec::with_capacity(function.parameters);
        // Names that are nothing yet may become arrays in the function.
        let mut open = Vec::new();
        for argument in arguments {
            frame.push(match argument {
                Argument::Value(expression) => Cell::Value(self.evaluate(expression)?),
                Argument::Name(variable) => {
                    if matches!(variable, Variable::Global(NF)) {
                        self.split_record()?;
                    }
                    let cell = self.cell(variable).clone();
                    if matches!(cell, Cell::Value(Value::Unset)) {
                        open.push((frame.len(), variable.clone()));
                    }
                    cell
                }
            });
        }
        frame.resize(function.parameters, Cell::Value(Value::Unset));
        self.frames.push(frame);
        let result = self.execute(&function.body, 0);
        let frame = self.frames.pop().unwrap_or_default();
        for (at, variable) in open {
            if let Some(Cell::Array(array)) = frame.get(at) {
                *self.cell(&variable) = Cell::Array(*array);
            }
        }
        match result {
            Ok(()) => Ok(Value::Unset),
            Err(Flow::Return(value)) => Ok(value),
            Err(other) => Err(other),
        }
    }

    // Input.

    fn next_record(&mut self) -> Done<Option<String>> {
        let mut input = std::mem::take(&mut self.input);
        let record = input.next(self);
        self.input = input;
        let record = record?;
        if record.is_some() {
            for at in [NR, FNR] {
                let count = self.special(at).parse::<f64>().unwrap_or(0.0) + 1.0;
                self.set_special(at, Value::Number(count));
            }
        }
        Ok(record)
    }

    fn getline(&mut self, place: Option<&Place>, source: &Source) -> Done<Value> {
        let record = match source {
            Source::Main => self.next_record()?,
            Source::File(name) | Source::Command(name) => {
                let name = self.evaluate(name)?;
                let name = self.text_of(&name);
                if !self.inputs.contains_key(&name) {
                    let bytes = match source {
                        Source::Command(_) => match self.command(&name, &[]) {
                            Ok((bytes, _)) => bytes,
                            Err(message) => {
                                self.context.complain("awk", &message);
                                return Ok(Value::Number(-1.0));
                            }
                        },
                        _ => match self.context.read(&name) {
                            Ok(Ok(bytes)) => bytes.to_vec(),
                            Ok(Err(_)) => return Ok(Value::Number(-1.0)),
                            Err(_) => return Err(Flow::Starved),
                        },
                    };
                    self.inputs.insert(name.clone(), Input::of(&bytes));
                }
                let Some(mut input) = self.inputs.remove(&name) else {
                    return Ok(Value::Number(-1.0));
                };
                let record = input.next(self);
                self.inputs.insert(name, input);
                let record = record?;
                if record.is_some() && place.is_none() {
                    let count = self.special(NR).parse::<f64>().unwrap_or(0.0) + 1.0;
                    self.set_special(NR, Value::Number(count));
                }
                record
            }
        };
        let Some(record) = record else {
            return Ok(Value::Number(0.0));
        };
        match place {
            Some(place) => self.write_place(place, Value::input(&record))?,
            None => self.set_record(record),
        }
        Ok(Value::Number(1.0))
    }
}

fn arithmetic(operator: &str, left: f64, right: f64) -> Done<f64> {
    Ok(match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" | "%" if right == 0.0 => return Err(Flow::Failed("division by zero".to_owned())),
        "/" => left / right,
        "%" => left % right,
        _ => left.powf(right),
    })
}
