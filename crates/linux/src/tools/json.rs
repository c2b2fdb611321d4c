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
