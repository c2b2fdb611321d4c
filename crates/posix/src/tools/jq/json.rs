//! JSON values: reading, writing, order.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::rc::Rc;

/// How deep arrays and objects may be nested.
pub(super) const DEPTH_MAX: usize = 200;

#[derive(Clone, Debug, Default)]
pub(super) enum Json {
    #[default]
    Null,
    Bool(bool),
    Number(f64),
    String(Rc<str>),
    Array(Rc<Nest<Json>>),
    /// In the order in which keys were set.
    Object(Rc<Nest<(Rc<str>, Json)>>),
}

/// The content of an array or object, with how deep it is nested.
#[derive(Clone, Debug)]
pub(super) struct Nest<T> {
    depth: usize,
    items: Vec<T>,
}

impl<T> std::ops::Deref for Nest<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl Json {
    pub fn string(text: impl AsRef<str>) -> Json {
        Json::String(text.as_ref().into())
    }

    pub fn array(items: Vec<Json>) -> Json {
        let depth = 1 + items.iter().map(Json::depth).max().unwrap_or(0);
        Json::Array(Rc::new(Nest { depth, items }))
    }

    pub fn object(fields: Vec<(Rc<str>, Json)>) -> Json {
        let depth = 1 + fields.iter().map(|(_, v)| v.depth()).max().unwrap_or(0);
        Json::Object(Rc::new(Nest {
            depth,
            items: fields,
        }))
    }

    /// How deep it is nested: 0 for what is neither array nor object.
    pub fn depth(&self) -> usize {
        match self {
            Json::Array(items) => items.depth,
            Json::Object(fields) => fields.depth,
            _ => 0,
        }
    }

    pub fn is_true(&self) -> bool {
        !matches!(self, Json::Null | Json::Bool(false))
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.iter().find(|(k, _)| &**k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// An object's keys in order.
    pub fn keys(fields: &[(Rc<str>, Json)]) -> Vec<Rc<str>> {
        let mut keys: Vec<Rc<str>> = fields.iter().map(|(k, _)| k.clone()).collect();
        keys.sort();
        keys
    }

    fn rank(&self) -> u8 {
        match self {
            Json::Null => 0,
            Json::Bool(false) => 1,
            Json::Bool(true) => 2,
            Json::Number(_) => 3,
            Json::String(_) => 4,
            Json::Array(_) => 5,
            Json::Object(_) => 6,
        }
    }

    /// jq's order of all values.
    pub fn order(&self, other: &Json) -> Ordering {
        match (self, other) {
            (Json::Number(a), Json::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Less),
            (Json::String(a), Json::String(b)) => a.cmp(b),
            (Json::Array(a), Json::Array(b)) => {
                let first = a
                    .iter()
                    .zip(b.iter())
                    .map(|(x, y)| x.order(y))
                    .find(|o| o.is_ne());
                first.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Json::Object(a), Json::Object(b)) => {
                let (keys, others) = (Json::keys(a), Json::keys(b));
                keys.cmp(&others).then_with(|| {
                    let at = |json: &Json, key: &str| json.get(key).cloned().unwrap_or_default();
                    let each = keys.iter().map(|k| at(self, k).order(&at(other, k)));
                    each.into_iter()
                        .find(|o| o.is_ne())
                        .unwrap_or(Ordering::Equal)
                })
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, &Style::default(), 0);
        out
    }

    pub fn write(&self, out: &mut String, style: &Style, level: usize) {
        let line = |out: &mut String, level: usize| {
            if let Some(indent) = &style.indent {
                out.push('\n');
                (0..level).for_each(|_| out.push_str(indent));
            }
        };
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(n) => out.push_str(&number(*n)),
            Json::String(text) => quote(text, out, style.ascii),
            Json::Array(items) if items.is_empty() => out.push_str("[]"),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    line(out, level + 1);
                    item.write(out, style, level + 1);
                }
                line(out, level);
                out.push(']');
            }
            Json::Object(fields) if fields.is_empty() => out.push_str("{}"),
            Json::Object(fields) => {
                let mut all: Vec<&(Rc<str>, Json)> = fields.iter().collect();
                if style.sorted {
                    all.sort_by(|a, b| a.0.cmp(&b.0));
                }
                out.push('{');
                for (i, (key, value)) in all.into_iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    line(out, level + 1);
                    quote(key, out, style.ascii);
                    out.push(':');
                    if style.indent.is_some() {
                        out.push(' ');
                    }
                    value.write(out, style, level + 1);
                }
                line(out, level);
                out.push('}');
            }
        }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.order(other).is_eq()
    }
}

/// How values are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    /// What a level is indented by; None: all on one line.
    pub indent: Option<String>,
    pub sorted: bool,
    pub ascii: bool,
}

pub(super) fn number(n: f64) -> String {
    if n.is_nan() {
        return "null".to_owned();
    }
    let n = if n.is_infinite() {
        f64::MAX.copysign(n)
    } else {
        n
    };
    if n == n.trunc() && n.abs() < 1e17 {
        return format!("{:.0}", if n == 0.0 { 0.0 } else { n });
    }
    if n.abs() >= 1e17 || n.abs() < 1e-5 {
        let text = format!("{n:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        return format!(
            "{mantissa}e{}{:02}",
            if exponent < 0 { '-' } else { '+' },
            exponent.abs()
        );
    }
    n.to_string()
}

fn quote(text: &str, out: &mut String, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Reads values from a text, one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Reader<'a> {
        Reader {
            bytes: text.as_bytes(),
            text,
            at: 0,
        }
    }

    /// The next value, if there is one.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn next(&mut self) -> Result<Option<Json>, String> {
        self.blanks();
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        self.value(0).map(Some)
    }

    fn blanks(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn error<T>(&self, what: &str) -> Result<T, String> {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        let column = before.iter().rev().take_while(|b| **b != b'\n').count();
        Err(format!("{what} at line {line}, column {column}"))
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return self.error("Exceeds depth limit for parsing");
        }
        self.blanks();
        match self.bytes.get(self.at) {
            Some(b'{') => {
                self.at += 1;
                let mut fields: Vec<(Rc<str>, Json)> = Vec::new();
                let mut index = std::collections::BTreeMap::new();
                self.blanks();
                if self.accept(b'}') {
                    return Ok(Json::object(fields));
                }
                loop {
                    self.blanks();
                    if self.bytes.get(self.at) != Some(&b'"') {
                        return self.error("Object keys must be strings");
                    }
                    let key: Rc<str> = self.string()?.into();
                    self.blanks();
                    if !self.accept(b':') {
                        return self.error("Objects must consist of key:value pairs");
                    }
                    let value = self.value(depth + 1)?;
                    // A key given twice: the last value counts.
                    match index.get(&key) {
                        Some(at) => {
                            let at: usize = *at;
                            fields[at].1 = value;
                        }
                        None => {
                            index.insert(key.clone(), fields.len());
                            fields.push((key, value));
                        }
                    }
                    self.blanks();
                    if self.accept(b'}') {
                        return Ok(Json::object(fields));
                    }
                    if !self.accept(b',') {
                        return self.error("Expected separator between values");
                    }
                }
            }
            Some(b'[') => {
                self.at += 1;
                let mut items = Vec::new();
                self.blanks();
                if self.accept(b']') {
                    return Ok(Json::array(items));
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    self.blanks();
                    if self.accept(b']') {
                        return Ok(Json::array(items));
                    }
                    if !self.accept(b',') {
                        return self.error("Expected separator between values");
                    }
                }
            }
            Some(b'"') => Ok(Json::String(self.string()?.into())),
            Some(_) => {
                let rest = &self.bytes[self.at..];
                let length = rest
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
                    .count();
                let word = &self.text[self.at..self.at + length];
                let value = match word {
                    "null" => Json::Null,
                    "true" => Json::Bool(true),
                    "false" => Json::Bool(false),
                    "nan" | "NaN" => Json::Number(f64::NAN),
                    word if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                        match word.parse() {
                            Ok(number) => Json::Number(number),
                            Err(_) => return self.error("Invalid numeric literal"),
                        }
                    }
                    _ => return self.error("Invalid literal"),
                };
                self.at += length;
                Ok(value)
            }
            None => self.error("Unfinished JSON term"),
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(_) => {
                    let escape = self.bytes.get(self.at + 1).copied();
                    self.at += 2;
                    out.push(match escape {
                        Some(b'n') => '\n',
                        Some(b't') => '\t',
                        Some(b'r') => '\r',
                        Some(b'b') => '\u{8}',
                        Some(b'f') => '\u{c}',
                        Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
                        Some(b'u') => self.unicode()?,
                        _ => return self.error("Invalid escape"),
                    });
                }
                None => return self.error("Unfinished string"),
            }
        }
    }

    fn unicode(&mut self) -> Result<char, String> {
        let unit = |reader: &mut Self| {
            let digits = reader.text.get(reader.at..reader.at + 4);
            let value = digits.and_then(|d| u16::from_str_radix(d, 16).ok());
            reader.at += 4;
            value
        };
        let Some(first) = unit(self) else {
            return self.error("Invalid escape");
        };
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) && self.text.get(self.at..self.at + 2) == Some("\\u") {
            self.at += 2;
            units.extend(unit(self));
        }
        Ok(char::decode_utf16(units)
            .next()
            .and_then(Result::ok)
            .unwrap_or('\u{fffd}'))
    }
}
