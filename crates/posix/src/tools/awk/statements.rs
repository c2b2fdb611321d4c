//! Statements, and what they write.

use super::interpreter::{Done, Flow, Interpreter, Key, OFMT, OFS, ORS};
use super::tree::{Expression, Output, Statement};
use super::value::{Value, sprintf};

impl Interpreter<'_, '_> {
    pub(super) fn execute(&mut self, statement: &Statement, depth: usize) -> Done<()> {
        self.step()?;
        match statement {
            Statement::Expression(expression) => drop(self.evaluate(expression)?),
            Statement::Block(statements) => {
                for statement in statements {
                    self.execute(statement, depth + 1)?;
                }
            }
            Statement::Print {
                formatted,
                arguments,
                to,
            } => self.print(*formatted, arguments, to.as_ref())?,
            Statement::If(condition, then, otherwise) => {
                if self.evaluate(condition)?.is_true() {
                    self.execute(then, depth + 1)?;
                } else if let Some(otherwise) = otherwise {
                    self.execute(otherwise, depth + 1)?;
                }
            }
            Statement::While {
                condition,
                body,
                first,
            } => {
                let mut unchecked = *first;
                while unchecked || self.evaluate(condition)?.is_true() {
                    unchecked = false;
                    if self.loop_body(body, depth)? {
                        break;
                    }
                }
            }
            Statement::For(parts, condition, body) => {
                if let Some(first) = &parts[0] {
                    self.execute(first, depth + 1)?;
                }
                loop {
                    if let Some(condition) = condition
                        && !self.evaluate(condition)?.is_true()
                    {
                        break;
                    }
                    if self.loop_body(body, depth)? {
                        break;
                    }
                    if let Some(step) = &parts[1] {
                        self.execute(step, depth + 1)?;
                    }
                }
            }
            Statement::ForIn(place, array, body) => {
                let at = self.array(array)?;
                let keys: Vec<Key> = self.arrays[at].keys().cloned().collect();
                for key in keys {
                    if !self.arrays[at].contains_key(&key) {
                        continue;
                    }
                    self.write_place(place, Value::input(&key.0))?;
                    if self.loop_body(body, depth)? {
                        break;
                    }
                }
            }
            Statement::Delete(array, index) => {
                let at = self.array(array)?;
                match index {
                    Some(index) => {
                        let key = self.key(index)?;
                        self.arrays[at].remove(&key);
                    }
                    None => self.arrays[at].clear(),
                }
            }
            Statement::Next => return Err(Flow::Next),
            Statement::NextFile => return Err(Flow::NextFile),
            Statement::Break => return Err(Flow::Break),
            Statement::Continue => return Err(Flow::Continue),
            Statement::Return(value) => {
                let value = match value {
                    Some(value) => self.evaluate(value)?,
                    None => Value::Unset,
                };
                return Err(Flow::Return(value));
            }
            Statement::Exit(status) => {
                if let Some(status) = status {
                    self.status = self.evaluate(status)?.number() as i32 & 0xff;
                }
                return Err(Flow::Exit);
            }
        }
        Ok(())
    }

    /// Runs a loop's body once; whether the loop is left.
    fn loop_body(&mut self, body: &Statement, depth: usize) -> Done<bool> {
        self.step()?;
        match self.execute(body, depth + 1) {
            Err(Flow::Break) => Ok(true),
            Err(Flow::Continue) | Ok(()) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn print(
        &mut self,
        formatted: bool,
        arguments: &[Expression],
        to: Option<&(Output, Expression)>,
    ) -> Done<()> {
        let mut values = Vec::new();
        for argument in arguments {
            values.push(self.evaluate(argument)?);
        }
        let text = if formatted {
            let convfmt = self.convfmt();
            let format = self.text_of(&values[0]);
            sprintf(&format, &values[1..], &convfmt).map_err(Flow::Failed)?
        } else if values.is_empty() {
            format!("{}{}", self.record, self.special(ORS))
        } else {
            let format = self.special(OFMT);
            let parts: Vec<String> = values.iter().map(|v| v.text(&format)).collect();
            parts.join(&self.special(OFS)) + &self.special(ORS)
        };
        self.bytes += text.len();
        let Some((how, target)) = to else {
            self.write(text.as_bytes());
            return Ok(());
        };
        let target = self.evaluate(target)?;
        let name = self.text_of(&target);
        match name.as_str() {
            "/dev/stdout" | "-" => self.write(text.as_bytes()),
            "/dev/stderr" | "cat 1>&2" | "cat >&2" => {
                self.context.err.extend_from_slice(text.as_bytes())
            }
            _ => {
                let entry = self
                    .outputs
                    .entry(name)
                    .or_insert_with(|| (*how, Vec::new()));
                entry.1.extend_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.context.out.extend_from_slice(bytes);
    }

    /// Ends an output or an input: 0, or -1 where there is none of that name.
    pub fn close(&mut self, name: &str) -> i32 {
        let was_input = self.inputs.remove(name).is_some();
        let Some((how, bytes)) = self.outputs.remove(name) else {
            return if was_input { 0 } else { -1 };
        };
        if how == Output::Pipe {
            return match self.command(name, &bytes) {
                Ok((out, status)) => {
                    self.write(&out);
                    status
                }
                Err(message) => {
                    self.context.complain("awk", &message);
                    127
                }
            };
        }
        let path = self.context.path(name);
        match self
            .context
            .files
            .write(&path, &bytes, how == Output::Append)
        {
            Ok(()) => 0,
            Err(error) => {
                self.context
                    .complain("awk", &format!("can't redirect to {name}: {error}"));
                self.status = 2;
                -1
            }
        }
    }

    /// Runs a text tool's command line, pipes between them; nothing else can be run from here.
    ///
    /// # Errors
    /// What cannot be run.
    pub fn command(&mut self, line: &str, input: &[u8]) -> Result<(Vec<u8>, i32), String> {
        let mut input = input.to_vec();
        let mut status = 0;
        for stage in line.split('|') {
            let mut argv: Vec<String> = Vec::new();
            let mut quote = None;
            let mut word: Option<String> = None;
            for c in stage.chars() {
                match (quote, c) {
                    (Some(q), c) if c == q => quote = None,
                    (None, '\'' | '"') => {
                        quote = Some(c);
                        word.get_or_insert_default();
                    }
                    (None, c) if c.is_whitespace() => argv.extend(word.take()),
                    (None, ';' | '&' | '>' | '<' | '$' | '`' | '(' | ')') => {
                        return Err(format!("{line}: only text tools are run from awk"));
                    }
                    (_, c) => word.get_or_insert_default().push(c),
                }
            }
            argv.extend(word);
            let Some(name) = argv.first().cloned() else {
                return Err(format!("{line}: no command"));
            };
            if name == "echo" {
                input = (argv[1..].join(" ") + "\n").into_bytes();
                continue;
            }
            let tool = super::super::find(super::super::base_name(&name))
                .filter(|tool| tool.name != "awk")
                .ok_or_else(|| format!("{name}: only text tools are run from awk"))?;
            let (out, err, code) = self.context.nested(tool, &argv, &input);
            self.context.err.extend(err);
            (input, status) = (out, code);
        }
        Ok((input, status))
    }
}
