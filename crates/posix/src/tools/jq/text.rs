//! jq's functions of texts, paths and times, and its formats.

use super::eval::{Engine, Stop, error, named};
use super::json::Json;
use super::paths::{delete_none, set_path};
use crate::tools::date::{days_from_civil, moment, strftime};
use std::rc::Rc;

pub(super) fn string<'j>(value: &'j Json, what: &str) -> Result<&'j Rc<str>, Stop> {
    match value {
        Json::String(text) => Ok(text),
        other => error(format!("{} {what}", named(other))),
    }
}

pub(super) fn number(value: &Json, what: &str) -> Result<f64, Stop> {
    match value {
        Json::Number(n) => Ok(*n),
        other => error(format!("{} {what}", named(other))),
    }
}

pub(super) fn to_text(value: &Json) -> String {
    match value {
        Json::String(text) => text.to_string(),
        other => other.text(),
    }
}

/// `@base64` and its like.
pub(super) fn format(name: &str, value: &Json) -> Result<String, Stop> {
    let text = to_text(value);
    let row = |joint: &str, write: &dyn Fn(&str) -> String| match value {
        Json::Array(items) => {
            let cells: Result<Vec<String>, Stop> = items
                .iter()
                .map(|item| match item {
                    Json::String(text) => Ok(write(text)),
                    Json::Null => Ok(String::new()),
                    Json::Array(_) | Json::Object(_) => {
                        error(format!("{} is not valid in a csv row", named(item)))
                    }
                    other => Ok(other.text()),
                })
                .collect();
            cells.map(|cells| cells.join(joint))
        }
        other => error(format!(
            "{} cannot be {}-formatted, only an array can be",
            named(other),
            name
        )),
    };
    Ok(match name {
        "text" => text,
        "json" => value.text(),
        "base64" => crate::tools::encode::encode(text.as_bytes()),
        "base64d" => match crate::tools::encode::decode(text.as_bytes(), false) {
            (bytes, _) if !bytes.is_empty() || text.is_empty() => {
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => return error(format!("{} is not valid base64 data", named(value))),
        },
        "csv" => row(",", &|text| format!("\"{}\"", text.replace('"', "\"\"")))?,
        "tsv" => row("\t", &|text| {
            text.replace('\\', "\\\\")
                .replace('\t', "\\t")
                .replace('\n', "\\n")
                .replace('\r', "\\r")
        })?,
        "html" => text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('\'', "&#39;")
            .replace('"', "&quot;"),
        "uri" => text
            .bytes()
            .map(|b| match b {
                b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect(),
        "sh" => {
            let quote = |item: &Json| match item {
                Json::String(text) => Ok(format!("'{}'", text.replace('\'', "'\\''"))),
                Json::Array(_) | Json::Object(_) => {
                    error(format!("{} can not be escaped for shell", named(item)))
                }
                other => Ok(other.text()),
            };
            match value {
                Json::Array(items) => items
                    .iter()
                    .map(quote)
                    .collect::<Result<Vec<_>, _>>()?
                    .join(" "),
                other => quote(other)?,
            }
        }
        name => return Err(Stop::Over(3, format!("{name} is not a valid format"))),
    })
}

pub(super) fn split(text: &str, by: &str) -> Json {
    let parts: Vec<Json> = match (text, by) {
        ("", _) => Vec::new(),
        (text, "") => text.chars().map(|c| Json::string(c.to_string())).collect(),
        (text, by) => text.split(by).map(Json::string).collect(),
    };
    Json::array(parts)
}

/// Matches of a regular expression, as `match` gives them.
fn matches(text: &str, pattern: &str, flags: &str) -> Result<Vec<Json>, Stop> {
    let translated = if flags.contains('x') {
        pattern.split_whitespace().collect()
    } else {
        pattern.to_owned()
    };
    let regex = crate::tools::regex::build(&translated, flags.contains('i')).map_err(|_| {
        Stop::Error(Json::string(format!(
            "{pattern} (at offset 0) is not a valid regex"
        )))
    })?;
    let names: Vec<Option<&str>> = regex.capture_names().skip(1).collect();
    let chars = |at: usize| Json::Number(text[..at].chars().count() as f64);
    let mut all = Vec::new();
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        let groups = captures.iter().skip(1).zip(&names).map(|(group, name)| {
            let (offset, length, value) = match group {
                Some(m) => (
                    chars(m.start()),
                    m.as_str().chars().count() as f64,
                    Json::string(m.as_str()),
                ),
                None => (Json::Number(-1.0), 0.0, Json::Null),
            };
            Json::object(vec![
                ("offset".into(), offset),
                ("length".into(), Json::Number(length)),
                ("string".into(), value),
                ("name".into(), name.map_or(Json::Null, Json::string)),
            ])
        });
        all.push(Json::object(vec![
            ("offset".into(), chars(whole.start())),
            (
                "length".into(),
                Json::Number(whole.as_str().chars().count() as f64),
            ),
            ("string".into(), Json::string(whole.as_str())),
            ("captures".into(), Json::array(groups.collect())),
        ]));
        if !flags.contains('g') {
            break;
        }
    }
    Ok(all)
}

impl Engine {
    /// Functions of texts, paths and times.
    pub(super) fn text_function(
        &mut self,
        name: &str,
        arguments: &[Json],
        input: &Json,
    ) -> Result<Vec<Json>, Stop> {
        let one = |value: Json| Ok(vec![value]);
        let text = |value: String| Ok(vec![Json::string(value)]);
        let truth = |value: bool| Ok(vec![Json::Bool(value)]);
        match (name, arguments) {
            ("ascii_downcase", []) => {
                text(string(input, "cannot be lowercased")?.to_ascii_lowercase())
            }
            ("ascii_upcase", []) => {
                text(string(input, "cannot be uppercased")?.to_ascii_uppercase())
            }
            ("startswith", [Json::String(with)]) => truth(
                string(
                    input,
                    "cannot be checked: startswith() requires string inputs",
                )?
                .starts_with(&**with),
            ),
            ("endswith", [Json::String(with)]) => truth(
                string(
                    input,
                    "cannot be checked: endswith() requires string inputs",
                )?
                .ends_with(&**with),
            ),
            ("startswith" | "endswith", [_]) => error(format!("{name}() requires string inputs")),
            ("ltrimstr", [with]) => match (input, with) {
                (Json::String(t), Json::String(w)) => {
                    text(t.strip_prefix(&**w).unwrap_or(t).to_owned())
                }
                _ => one(input.clone()),
            },
            ("rtrimstr", [with]) => match (input, with) {
                (Json::String(t), Json::String(w)) if !w.is_empty() => {
                    text(t.strip_suffix(&**w).unwrap_or(t).to_owned())
                }
                _ => one(input.clone()),
            },
            ("trim", []) => text(string(input, "cannot be trimmed")?.trim().to_owned()),
            ("ltrim", []) => text(string(input, "cannot be trimmed")?.trim_start().to_owned()),
            ("rtrim", []) => text(string(input, "cannot be trimmed")?.trim_end().to_owned()),
            ("split", [Json::String(by)]) => one(split(string(input, "cannot be split")?, by)),
            ("split", [Json::String(pattern), flags]) => {
                let source = string(input, "cannot be split")?;
                let chars: Vec<char> = source.chars().collect();
                let flags = if let Json::String(f) = flags {
                    format!("g{f}")
                } else {
                    "g".to_owned()
                };
                let mut parts = Vec::new();
                let mut from = 0;
                for found in matches(source, pattern, &flags)? {
                    let place = |key| {
                        if let Some(Json::Number(n)) = found.get(key) {
                            *n as usize
                        } else {
                            0
                        }
                    };
                    let (offset, length) = (place("offset"), place("length"));
                    parts.push(Json::string(
                        chars[from.min(offset)..offset].iter().collect::<String>(),
                    ));
                    from = offset + length;
                }
                parts.push(Json::string(
                    chars[from.min(chars.len())..].iter().collect::<String>(),
                ));
                one(Json::array(parts))
            }
            ("test", [Json::String(pattern), rest @ ..]) => {
                let flags = if let [Json::String(f)] = rest {
                    f.to_string()
                } else {
                    String::new()
                };
                let source = string(input, "cannot be matched, as it is not a string")?;
                truth(!matches(source, pattern, &flags)?.is_empty())
            }
            ("match", [Json::String(pattern), rest @ ..]) => {
                let flags = if let [Json::String(f)] = rest {
                    f.to_string()
                } else {
                    String::new()
                };
                let source = string(input, "cannot be matched, as it is not a string")?;
                self.spend(source.len() / 16)?;
                matches(source, pattern, &flags)
            }
            ("test" | "match", [other, ..]) => error(format!(
                "{} cannot be matched, as it is not a string",
                named(other)
            )),
            ("explode", []) => {
                let codes = string(input, "cannot be exploded")?
                    .chars()
                    .map(|c| Json::Number(f64::from(u32::from(c))));
                one(Json::array(codes.collect()))
            }
            ("implode", []) => {
                let Json::Array(items) = input else {
                    return error("Implode input must be an array");
                };
                let chars = items.iter().map(|i| {
                    if let Json::Number(n) = i {
                        char::from_u32(*n as u32)
                    } else {
                        None
                    }
                });
                match chars.collect::<Option<String>>() {
                    Some(joined) => text(joined),
                    None => error("Unicode codepoint must be numeric"),
                }
            }
            ("index" | "rindex" | "indices" | "_indices", [wanted]) => {
                let all: Vec<Json> = match (input, wanted) {
                    (Json::String(source), Json::String(w)) if !w.is_empty() => {
                        let chars: Vec<char> = source.chars().collect();
                        let w: Vec<char> = w.chars().collect();
                        self.spend(chars.len())?;
                        (0..chars.len())
                            .filter(|i| chars[*i..].starts_with(&w))
                            .map(|i| Json::Number(i as f64))
                            .collect()
                    }
                    (Json::Array(_), Json::Array(_)) => match super::paths::index(input, wanted)? {
                        Json::Array(found) => found.to_vec(),
                        _ => Vec::new(),
                    },
                    (Json::Array(items), wanted) => {
                        let at = items.iter().enumerate().filter(|(_, i)| *i == wanted);
                        at.map(|(i, _)| Json::Number(i as f64)).collect()
                    }
                    _ => Vec::new(),
                };
                one(match name {
                    "index" => all.first().cloned().unwrap_or_default(),
                    "rindex" => all.last().cloned().unwrap_or_default(),
                    _ if matches!(input, Json::Null) => Json::Null,
                    _ => Json::array(all),
                })
            }
            ("setpath", [Json::Array(path), value]) => one(set_path(input, path, value.clone())?),
            ("delpaths", [Json::Array(paths)]) => {
                let list = |path: &Json| {
                    if let Json::Array(keys) = path {
                        keys.to_vec()
                    } else {
                        Vec::new()
                    }
                };
                one(delete_none(input, paths.iter().map(list).collect())?)
            }
            ("fromdateiso8601" | "fromdate", []) => {
                let source = string(input, "cannot be parsed as a date")?;
                match from_iso(source) {
                    Some(time) => one(Json::Number(time)),
                    None => error(format!(
                        "date \"{source}\" does not match format \"%Y-%m-%dT%H:%M:%SZ\""
                    )),
                }
            }
            ("todateiso8601", []) => {
                self.text_function("strftime", &[Json::string("%Y-%m-%dT%H:%M:%SZ")], input)
            }
            ("strftime", [Json::String(format)]) => {
                let seconds =
                    number(input, "strftime/1 requires parsed datetime inputs")?.clamp(-1e11, 1e11);
                text(strftime(format, &moment(seconds.floor() as i64, 0)))
            }
            ("getpath" | "input_filename", _) => one(Json::Null),
            ("has" | "contains" | "split" | "setpath" | "delpaths" | "strftime", _) => {
                error(format!("{name} cannot be used so on {}", named(input)))
            }
            _ => Err(Stop::Over(
                3,
                format!("{name}/{} is not defined", arguments.len()),
            )),
        }
    }
}

/// Seconds since 1970 of `2026-11-23T10:00:00Z`.
fn from_iso(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let time = time.split('.').next()?;
    let mut time = time.split(':').map(str::parse::<i64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let month = u32::try_from(month).ok().filter(|m| (1..=12).contains(m))?;
    let day = u32::try_from(day).ok().filter(|d| (1..=31).contains(d))?;
    Some((days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) as f64)
}
