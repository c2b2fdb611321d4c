//! The record and its fields.

use super::interpreter::{Done, FS, Flow, Interpreter, NF, OFS};
use super::value::Value;

impl Interpreter<'_, '_> {
    pub fn set_record(&mut self, record: String) {
        self.record = record;
        self.split = false;
    }

    pub fn record_text(&self) -> &str {
        &self.record
    }

    pub(super) fn split_record(&mut self) -> Done<()> {
        if self.split {
            return Ok(());
        }
        self.split = true;
        let record = std::mem::take(&mut self.record);
        let separator = self.special(FS);
        let parts = self.split_text(&record, &separator)?;
        self.record = record;
        self.fields = parts.iter().map(|t| Value::input(t)).collect();
        self.set_special(NF, Value::Number(self.fields.len() as f64));
        Ok(())
    }

    /// Splits a text as fields are.
    pub fn split_text(&mut self, text: &str, separator: &str) -> Done<Vec<String>> {
        self.steps += text.len() as u64 / 16;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let owned = |parts: std::str::Split<'_, char>| parts.map(str::to_owned).collect();
        let mut chars = separator.chars();
        Ok(match (chars.next(), chars.next()) {
            (None, _) => text.chars().map(String::from).collect(),
            (Some(' '), None) => text.split_whitespace().map(str::to_owned).collect(),
            (Some(c), None) if c != '\\' => owned(text.split(c)),
            _ => {
                let regex = self.regex(separator)?;
                let mut parts = Vec::new();
                let mut end = 0;
                for found in regex.find_iter(text).filter(|m| !m.is_empty()) {
                    parts.push(text[end..found.start()].to_owned());
                    end = found.end();
                }
                parts.push(text[end..].to_owned());
                parts
            }
        })
    }

    pub(super) fn field(&mut self, at: f64) -> Done<Value> {
        if at == 0.0 {
            return Ok(Value::input(&self.record));
        }
        self.split_record()?;
        Ok(self
            .fields
            .get(field_index(at)? - 1)
            .cloned()
            .unwrap_or_default())
    }

    pub(super) fn set_field(&mut self, at: f64, value: &Value) -> Done<()> {
        if at == 0.0 {
            let text = self.text_of(value);
            self.set_record(text);
            return Ok(());
        }
        self.split_record()?;
        let at = field_index(at)?;
        if self.fields.len() < at {
            self.fields.resize(at, Value::Text(String::new()));
        }
        let text = self.text_of(value);
        self.fields[at - 1] = match value {
            Value::Number(n) => Value::Input(text, *n),
            _ => Value::Text(text),
        };
        self.set_special(NF, Value::Number(self.fields.len() as f64));
        self.join_record();
        Ok(())
    }

    pub(super) fn join_record(&mut self) {
        let separator = self.special(OFS);
        self.record = self
            .fields
            .iter()
            .map(|f| self.text_of(f))
            .collect::<Vec<_>>()
            .join(&separator);
        self.steps += self.record.len() as u64 / 16;
        self.split = true;
    }
}

pub(super) fn field_index(at: f64) -> Done<usize> {
    if (0.0..=1_000_000.0).contains(&at) {
        Ok(at as usize)
    } else {
        Err(Flow::Failed(format!("attempt to access field {at}")))
    }
}
