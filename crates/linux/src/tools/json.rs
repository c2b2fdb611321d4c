//! What `ip -j` prints: JSON on one line.

use std::fmt::Write;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub fn text(text: impl ToString) -> Json {
        Json::Text(text.to_string())
    }

    pub fn texts<T: ToString>(texts: impl IntoIterator<Item = T>) -> Json {
        Json::List(texts.into_iter().map(Json::text).collect())
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Number(number) => {
                let _ = write!(out, "{number}");
            }
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
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (n, (key, value)) in fields.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    let _ = write!(out, "\"{key}\":");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// A list of objects, as a command prints it.
    pub fn print(items: Vec<Json>) -> String {
        let mut out = String::new();
        Json::List(items).write(&mut out);
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
