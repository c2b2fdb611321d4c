//! `sim why`, `sim effects`, `sim events`: what happened, and what led to what, from an event or from an
//! object's change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kubarium_cluster::event::Event;
use kubarium_cluster::{EventId, Time};
use kubarium_objects::{ObjectKey, Value, object};

use crate::session::Session;
use crate::sim::{Result, duration, number, options};

/// `sim why EVENT`, `sim why KIND/NAME [--revision N]`: the causes back to the command that set it off;
/// of an object's last change, where none is named.
pub(crate) fn why(session: &Session, words: &[&str]) -> Result {
    let from = start(session, words, |changes| changes.last().copied())?;
    let log = &session.simulation.cluster.log;
    let chain = log.causes(from);
    let events = chain.iter().filter_map(|id| log.get(*id));
    Ok(events.map(|event| line(event, false)).collect())
}

/// `sim effects EVENT`, `sim effects KIND/NAME [--revision N]`: all that it has set off, indented by how
/// far it is from it; of an object's first change, where none is named.
pub(crate) fn effects(session: &Session, words: &[&str]) -> Result {
    let first = start(session, words, |changes| changes.first().copied())?;
    let log = &session.simulation.cluster.log;
    let mut depth = BTreeMap::new();
    let mut text = String::new();
    for event in log.effects(first).iter().filter_map(|id| log.get(*id)) {
        let far = match event.cause.and_then(|cause| depth.get(&cause)) {
            Some(far) if event.id != first => far + 1,
            _ => 0_usize,
        };
        depth.insert(event.id, far);
        let indent = far.min(20) * 2;
        let _ = write!(text, "{:indent$}{}", "", line(event, false));
    }
    Ok(text)
}

/// `sim events [KIND/NAME]`: all that happened, or what happened to an object.
pub(crate) fn events(session: &Session, words: &[&str]) -> Result {
    let (mut since, mut json, mut namespace) = (None, false, "");
    let (found, rest) = options(words, &[])?;
    for (name, value) in found {
        match (name, value) {
            ("--since", time) => since = Some(duration(time)?),
            ("-n" | "--namespace", name) => namespace = name,
            ("-o" | "--output", "json") => json = true,
            ("-o" | "--output", "text") => json = false,
            ("-o" | "--output", other) => {
                return Err(format!(
                    "there is no output format {other:?}; use json or text"
                ));
            }
            _ => return Err(format!("events has no option {name}")),
        }
    }
    let about = match rest[..] {
        [] => None,
        [word] => Some(object_key(session, word, namespace)?),
        _ => return Err("events takes one object at the most: KIND/NAME".to_owned()),
    };
    let cluster = &session.simulation.cluster;
    let first = since.map_or(Time::default(), |since| {
        Time(cluster.now.0.saturating_sub(since.as_nanos() as u64))
    });
    let shown = cluster.log.iter().filter(|event| event.at >= first);
    let shown = shown.filter(|event| about.is_none() || event.object == about);
    Ok(shown.map(|event| line(event, json)).collect())
}

/// The event that is meant: by its number, or as the change of an object that made a revision. `which`
/// chooses among the changes where no revision is named.
fn start(
    session: &Session,
    words: &[&str],
    which: impl FnOnce(&[EventId]) -> Option<EventId>,
) -> std::result::Result<EventId, String> {
    let (mut revision, mut namespace) = (None, "");
    let (found, rest) = options(words, &[])?;
    for (name, value) in found {
        match name {
            "--revision" => revision = Some(value),
            "-n" | "--namespace" => namespace = value,
            _ => return Err(format!("there is no option {name}; use --revision or -n")),
        }
    }
    let [word] = rest[..] else {
        return Err("name one event by its number, or one object as KIND/NAME".to_owned());
    };
    let log = &session.simulation.cluster.log;
    if !word.contains('/') {
        let event = number(word)?;
        let happened = log.get(event).map(|event| event.id);
        return happened.ok_or_else(|| format!("event {word} has not happened"));
    }
    let key = object_key(session, word, namespace)?;
    let writes = log
        .iter()
        .filter(|event| event.object.as_ref() == Some(&key));
    let changes: Vec<(EventId, u64)> = writes
        .filter_map(|event| Some((event.id, event.revision?)))
        .collect();
    if changes.is_empty() {
        return Err(format!("{key} was never written"));
    }
    match revision {
        None => {
            let ids: Vec<EventId> = changes.iter().map(|(id, _)| *id).collect();
            which(&ids).ok_or_else(|| format!("{key} was never written"))
        }
        Some(wanted) => {
            let made = |(_, revision): &&(EventId, u64)| revision.to_string() == wanted;
            let found = changes.iter().find(made);
            found.map(|(id, _)| *id).ok_or_else(|| {
                let all: Vec<String> = changes.iter().map(|(_, r)| r.to_string()).collect();
                format!("{key} has no revision {wanted}; it has {}", all.join(", "))
            })
        }
    }
}

/// The key of `KIND/NAME`, whether there is such an object now or not.
fn object_key(
    session: &Session,
    word: &str,
    namespace: &str,
) -> std::result::Result<ObjectKey, String> {
    let (kind, name) = word
        .split_once('/')
        .ok_or_else(|| format!("{word:?} is no object; write KIND/NAME"))?;
    let resource = session.simulation.cluster.resource_by_name(kind);
    let resource = resource.ok_or_else(|| format!("there is no kind {kind:?}"))?;
    let space = match (resource.namespaced, namespace) {
        (false, _) => "",
        (true, "") => session.kubeconfig.namespace(""),
        (true, given) => given,
    };
    Ok(ObjectKey::new(resource.id(), space, name))
}

fn line(event: &Event, json: bool) -> String {
    if !json {
        return format!("{event}\n");
    }
    let mut out = object([
        ("id", event.id.0.into()),
        ("time", event.at.rfc3339_micro().into()),
        ("component", event.from.name().into()),
        ("action", event.action.word().into()),
    ]);
    let more: [(&str, Value); 5] = [
        ("cause", event.cause.map(|c| c.0).into()),
        ("node", event.from.node().into()),
        (
            "object",
            event.object.as_ref().map(ToString::to_string).into(),
        ),
        ("revision", event.revision.map(|r| r as i64).into()),
        (
            "text",
            (!event.text.is_empty()).then_some(&event.text).into(),
        ),
    ];
    for (key, value) in more {
        if !value.is_null() {
            out[key] = value;
        }
    }
    format!("{out}\n")
}
