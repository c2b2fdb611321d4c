//! What `ip -j` and `nft -j` print: JSON on one line.

use std::fmt::Write;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Number(u64),
    Signed(i64),
    /// `null`, `true`
    Word(&'static str),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub const NULL: Json = Json::Word("null");

    /// Is it an object whose first field is this?
    pub fn is_of(&self, key: &str) -> bool {
        matches!(self, Json::Object(fields) if fields.first().is_some_and(|f| f.0 == key))
    }

    pub fn text(text: impl ToString) -> Json {
        Json::Text(text.to_string())
    }

    pub fn texts<T: ToString>(texts: impl IntoIterator<Item = T>) -> Json {
        Json::List(texts.into_iter().map(Json::text).collect())
    }

    /// `spaced`: a blank after commas and colons.
    fn write(&self, spaced: bool, out: &mut String) {
        let (comma, colon) = if spaced { (", ", ": ") } else { (",", ":") };
        match self {
            Json::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Json::Signed(number) => {
                let _ = write!(out, "{number}");
            }
            Json::Word(word) => out.push_str(word),
            Json::Text(text) => {
                out.push('"');
                for c in text.chars() {
                    match c {
                        '"' | '\\' => {
                            out.push('\\');
                            out.push(c);
                        }
                        c if c < ' ' => {
                            let _ = write!(out, "\\u{:04x}", u32::from(c));
                        }
                        c => out.push(c),
                    }
                }
                out.push('"');
            }
            Json::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push_str(comma);
                    }
                    item.write(spaced, out);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (n, (key, value)) in fields.iter().enumerate() {
                    if n > 0 {
                        out.push_str(comma);
                    }
                    let _ = write!(out, "\"{key}\"{colon}");
                    value.write(spaced, out);
                }
                out.push('}');
            }
        }
    }

    /// A list of objects, as a command prints it.
    pub fn print(items: Vec<Json>) -> String {
        let mut out = String::new();
        Json::List(items).write(false, &mut out);
        out.push('\n');
        out
    }

    /// One value as nft (jansson) prints it.
    pub fn print_spaced(&self) -> String {
        let mut out = String::new();
        self.write(true, &mut out);
        out.push('\n');
        out
    }
}

/// JSON as iproute2's `-p` lays it out: fields on lines of their own.
pub(super) fn indented(text: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    let mut open = Vec::new();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&" ".repeat(4 * depth));
    };
    for c in text.trim_end().chars() {
        if quoted {
            out.push(c);
            (quoted, escaped) = (c != '"' || escaped, c == '\\' && !escaped);
            continue;
        }
        match c {
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' => {
                depth += 2;
                open.push(c);
                out.push(c);
                line(&mut out, depth);
            }
            '}' => {
                depth = depth.saturating_sub(2);
                open.pop();
                line(&mut out, depth + 1);
                out.push(c);
            }
            '[' => {
                open.push(c);
                out += "[ ";
            }
            ']' => {
                open.pop();
                if !out.ends_with("[ ") {
                    out.push(' ');
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                if open.last() == Some(&'{') {
                    line(&mut out, depth);
                }
            }
            ':' => out += ": ",
            c => out.push(c),
        }
    }
    out + "\n"
}
