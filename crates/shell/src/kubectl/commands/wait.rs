//! `kubectl wait`

use std::collections::VecDeque;
use std::time::Duration;

use kubarium_cluster::Time;
use kubarium_objects::{Status, Value, go};

use crate::kubectl::command::{
    ALL, ALL_NAMESPACES, Command, FIELD_SELECTOR, FILES, PRINT, SELECTOR,
};
use crate::kubectl::error::{Error, Result, plain};
use crate::kubectl::flags::{Flag, Kind, flag, switch};
use crate::kubectl::follow::Follow;
use crate::kubectl::resource::{Info, NOTHING_NAMED};
use crate::kubectl::{Kubectl, jsonpath};

const FLAGS: &[Flag] = &[
    flag(
        "for",
        Kind::Texts,
        "",
        "The condition to wait on: [create|delete|condition=condition-name[=condition-value]|jsonpath='{JSONPath expression}'=[JSONPath value]].",
    ),
    switch(
        "local",
        "If true, annotation will NOT contact api-server but run locally.",
    ),
    flag(
        "timeout",
        Kind::Duration,
        "30s",
        "The length of time to wait before giving up.  Zero means check once and don't wait, negative means wait for a week.",
    ),
];

pub(crate) const COMMAND: Command = Command::new(
    "wait",
    "([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) [--for=create|--for=delete|--for condition=available|--for=jsonpath='{}'[=value]] [options]",
    "Wait for a specific condition on one or many resources",
    run,
)
.flags(&[FILES, PRINT, SELECTOR, FIELD_SELECTOR, ALL, ALL_NAMESPACES, FLAGS])
.changing();

/// One of the conditions that are waited for.
#[derive(Clone, Debug)]
enum Condition {
    Create,
    Delete,
    Is {
        name: String,
        value: String,
    },
    Path {
        path: jsonpath::Template,
        value: Option<String>,
    },
}

fn parse(text: &str) -> Result<Condition> {
    let lower = text.to_lowercase();
    if lower == "delete" {
        return Ok(Condition::Delete);
    }
    if lower == "create" {
        return Ok(Condition::Create);
    }
    if let Some(rest) = text.strip_prefix("condition=") {
        let (name, value) = rest.split_once('=').unwrap_or((rest, "true"));
        return Ok(Condition::Is {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
    let Some(rest) = text.strip_prefix("jsonpath=") else {
        return plain(format!("unrecognized condition: {}", go::quote(text)));
    };
    let parts = split_path(rest);
    if parts.len() > 2 {
        return plain(
            "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or --for=jsonpath='{.status.readyReplicas}'",
        );
    }
    if parts[0].is_empty() {
        return plain("jsonpath expression cannot be empty");
    }
    let path = jsonpath::relaxed(&parts[0]).map_err(Error::Plain)?;
    let value = match parts.get(1) {
        None => None,
        Some(value) => match value.trim_matches(['\'', '"']) {
            "" => {
                return plain(
                    "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3",
                );
            }
            value => Some(value.to_owned()),
        },
    };
    Ok(Condition::Path { path, value })
}

/// Splits at single equals signs; a doubled one belongs to the expression.
fn split_path(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '=' && chars.next_if_eq(&'=').is_none() {
            parts.push(String::new());
            continue;
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
            if c == '=' {
                part.push(c);
            }
        }
    }
    parts
}

fn run(k: &mut Kubectl) -> Result {
    k.format()?;
    let conditions: Vec<Condition> = k
        .flags
        .list("for")
        .iter()
        .map(|text| parse(text))
        .collect::<Result<_>>()?;
    if conditions.is_empty() {
        return plain("unrecognized condition: []");
    }
    if k.flags.args.is_empty() && k.flags.list("filename").is_empty() {
        let selects = |flag| !k.flags.str(flag).is_empty();
        return plain(match selects("selector") || selects("field-selector") {
            true => "at least one resource must be specified to use a selector",
            false => NOTHING_NAMED,
        });
    }
    let limit = match k.flags.str("timeout") {
        text if text.starts_with('-') => WEEK,
        _ => k.flags.duration("timeout"),
    };
    k.follow = Some(Follow::Wait(Waiting {
        end: k.cluster().now + limit,
        once: limit.is_zero(),
        created: !conditions.iter().any(|c| matches!(c, Condition::Create)),
        conditions,
        infos: None,
        condition: 0,
    }));
    Ok(())
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often kubectl looks whether what is waited for has been made.
const POLL: Duration = Duration::from_millis(500);

/// What `kubectl wait` still waits for.
#[derive(Clone)]
pub(crate) struct Waiting {
    conditions: Vec<Condition>,
    end: Time,
    /// `--timeout=0`: one look.
    once: bool,
    /// `--for=create` has been waited for.
    created: bool,
    /// The objects whose turn is still to come, once they have been looked up.
    infos: Option<VecDeque<Info>>,
    /// Which condition of the first of them is waited for.
    condition: usize,
}

impl Waiting {
    pub fn step(&mut self, k: &mut Kubectl) -> Result<Option<Time>> {
        let now = k.cluster().now;
        if !self.created {
            match select(k) {
                Ok(infos) if !infos.is_empty() => self.created = true,
                Err(error) if !error.is_not_found() => return Err(error),
                _ if now >= self.end => return plain("timed out waiting for the condition"),
                _ => return Ok(Some((now + POLL).min(self.end))),
            }
        }
        let waits_for_end = self
            .conditions
            .iter()
            .any(|c| matches!(c, Condition::Delete));
        if self.infos.is_none() {
            let found = match select(k) {
                Err(error) if waits_for_end && error.is_not_found() => return Ok(None),
                found => found?,
            };
            if found.is_empty() && !waits_for_end {
                return plain("no matching resources found");
            }
            self.infos = Some(found.into());
        }
        while let Some(info) = self.infos.as_ref().and_then(|i| i.front()).cloned() {
            let Some(condition) = self.conditions.get(self.condition) else {
                self.condition = 0;
                self.infos.as_mut().map(VecDeque::pop_front);
                continue;
            };
            let key = info.key();
            let object = k.current(&key);
            let met = match (condition, &object) {
                (Condition::Delete, None) | (Condition::Create, _) => true,
                (Condition::Delete, Some(o)) => {
                    o["metadata"]["uid"].str() != info.object["metadata"]["uid"].str()
                }
                (_, None) => {
                    return Err(Status::not_found(&key.resource, &key.name).into());
                }
                (Condition::Is { name, value }, Some(o)) => has_condition(o, name, value),
                (Condition::Path { path, value }, Some(o)) => has_value(o, path, value)?,
            };
            if met {
                let shown = Info {
                    object: object.unwrap_or_else(|| info.object.clone()),
                    ..info
                };
                let format = k.format()?;
                k.report(&format, &shown, "condition met")?;
                self.condition += 1;
                continue;
            }
            if self.once {
                return plain(format!("condition not met for {}", info.plural()));
            }
            if now >= self.end {
                return plain(format!(
                    "timed out waiting for the condition on {}",
                    info.plural()
                ));
            }
            return Ok(Some(k.next_look(Some(self.end))));
        }
        Ok(None)
    }
}

/// The objects that the command line means.
fn select(k: &mut Kubectl) -> Result<Vec<Info>> {
    if !k.flags.list("filename").is_empty() {
        return super::infos(k);
    }
    let query = super::query(k);
    k.select(&query)?.all()
}

/// `jsonpath=`: exactly one value, and where one is named the same one.
fn has_value(object: &Value, path: &jsonpath::Template, value: &Option<String>) -> Result<bool> {
    let found = path.find(object).map_err(Error::Plain)?;
    match (&found[..], value) {
        ([], _) => Ok(false),
        ([_, _, ..], _) => plain("given jsonpath expression matches more than one value"),
        (_, None) => Ok(true),
        ([Value::Array(_) | Value::Object(_)], _) => {
            plain("jsonpath leads to a nested object or list which is not supported")
        }
        ([one], Some(wanted)) => Ok(go::print(one).trim() == wanted.trim()),
    }
}

fn has_condition(object: &Value, name: &str, value: &str) -> bool {
    let conditions = object["status"]["conditions"].items();
    let Some(found) = conditions
        .iter()
        .find(|c| c["type"].str().eq_ignore_ascii_case(name))
    else {
        return false;
    };
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    let observed = found["observedGeneration"]
        .as_i64()
        .or(object["status"]["observedGeneration"].as_i64());
    if observed.is_some_and(|o| o < generation) && generation != 0 {
        return false;
    }
    found["status"].str().eq_ignore_ascii_case(value)
}
