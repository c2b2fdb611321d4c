//! The simulator's own commands: `sim …`.

use std::time::Duration;

use kubarium_cluster::event::Event;
use kubarium_cluster::trace::{PhaseKind, Trace, TraceRequest};
use kubarium_cluster::{EventId, Time};
use kubarium_objects::duration::GoDuration;
use kubarium_objects::{Value, object};

use crate::registry;
use crate::session::{Finished, Session};

type Result = std::result::Result<String, String>;

const QUIET: Duration = Duration::from_secs(4);
const TIMEOUT: Duration = Duration::from_secs(60);

/// The commands, with what they are for.
const USAGE: &str = "sim settle [--quiet 4s] [--timeout 60s]   lets time run until all is at rest
sim advance 30s                           lets time run by that much
sim trace FROM TO[:PORT] [--udp] [-o json|text]
                                          follows one connection; FROM is pod/NAME[.NAMESPACE], node/NAME or outside
sim events [--since 10s] [-o json]        tells what happened, each event with its cause
sim why EVENT                             tells an event's causes, back to the command
sim undo, sim redo, sim goto EVENT        back and forth in the history
";

pub(crate) fn run(session: &mut Session, argv: &[String]) -> Finished {
    let words: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
    let result = match words[..] {
        [] | ["help" | "--help" | "-h"] => Ok(USAGE.to_owned()),
        ["settle", ref options @ ..] => settle(session, options),
        ["advance", time] => advance(session, time),
        ["trace", ref rest @ ..] => trace(session, rest),
        ["events", ref options @ ..] => events(session, options),
        ["why", event] => why(session, event),
        ["undo"] => moved(session.simulation.undo(), "there is nothing to undo"),
        ["redo"] => moved(session.simulation.redo(), "there is nothing to redo"),
        ["goto", event] => {
            number(event).and_then(|event| session.simulation.goto(event).map(|()| String::new()))
        }
        _ => Err(registry::not_yet(&argv.join(" "), "")),
    };
    match result {
        Ok(text) => Finished::done(text),
        Err(why) => Finished::failed(1, format!("sim: {why}\n")),
    }
}

fn moved(done: bool, otherwise: &str) -> Result {
    if done {
        Ok(String::new())
    } else {
        Err(otherwise.to_owned())
    }
}

/// A number of an event: `17` or `#17`.
fn number(text: &str) -> std::result::Result<EventId, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits
        .parse()
        .map(EventId)
        .map_err(|_| format!("{text:?} is no event's number; sim events lists them"))
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    let time: GoDuration = text.parse().map_err(|e| format!("{e}"))?;
    u64::try_from(time.0)
        .map(Duration::from_nanos)
        .map_err(|_| format!("{text:?} lies in the past"))
}

/// Options with their values, in order, and the words that are none.
type Taken<'a> = (Vec<(&'a str, &'a str)>, Vec<&'a str>);

/// Takes `--name VALUE` and `--name=VALUE` apart.
fn options<'a>(words: &[&'a str], flags: &[&str]) -> std::result::Result<Taken<'a>, String> {
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        if !word.starts_with('-') || word == "-" {
            rest.push(word);
        } else if flags.contains(&word) {
            found.push((word, ""));
        } else if let Some((name, value)) = word.split_once('=') {
            found.push((name, value));
        } else {
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            found.push((word, *value));
        }
    }
    Ok((found, rest))
}

fn settle(session: &mut Session, words: &[&str]) -> Result {
    let (mut quiet, mut timeout) = (QUIET, TIMEOUT);
    for (name, value) in options(words, &[])?.0 {
        match name {
            "--quiet" => quiet = duration(value)?,
            "--timeout" => timeout = duration(value)?,
            _ => return Err(format!("settle has no option {name}")),
        }
    }
    session.changing();
    session.simulation.settle(quiet, timeout);
    Ok(String::new())
}

fn advance(session: &mut Session, time: &str) -> Result {
    let time = duration(time)?;
    session.changing();
    session.wait(time, |_| false);
    Ok(String::new())
}

fn trace(session: &mut Session, words: &[&str]) -> Result {
    let (found, rest) = options(words, &["--udp"])?;
    let [from, to] = rest[..] else {
        return Err("trace needs two places: sim trace pod/curl http://web".to_owned());
    };
    let (mut udp, mut format) = (false, "text");
    for (name, value) in found {
        match name {
            "--udp" => udp = true,
            "-o" | "--output" => format = value,
            _ => return Err(format!("trace has no option {name}")),
        }
    }
    let printed: fn(&Trace) -> String = match format {
        "text" => as_text,
        "json" => as_json,
        "pcap" => return Err(registry::not_yet("sim trace -o pcap", "")),
        other => {
            return Err(format!(
                "there is no output format {other:?}; use json or text"
            ));
        }
    };
    session.changing();
    let request = TraceRequest {
        from: from.to_owned(),
        to: to.to_owned(),
        udp,
    };
    let trace = session.simulation.cluster.trace(&request)?;
    let text = printed(&trace);
    session.last_trace = Some(trace);
    Ok(text)
}

fn as_json(trace: &Trace) -> String {
    serde_json::to_string(trace).unwrap_or_default() + "\n"
}

/// One line for each hop, in words.
fn as_text(trace: &Trace) -> String {
    let mut out = String::new();
    for phase in &trace.phases {
        let name = match phase.phase {
            PhaseKind::Dns => "DNS",
            PhaseKind::Request => "request",
            PhaseKind::Reply => "reply",
        };
        out += &format!("{name}\n");
        for hop in &phase.hops {
            out += &format!("{:>4}  {}  {}\n", hop.n, hop.netns, hop.explanation);
            if let (Some(table), Some(rule)) = (&hop.table, &hop.rule_text) {
                out += &format!("        {table} {rule}\n");
            }
        }
    }
    out + &trace.reason + "\n"
}

fn events(session: &mut Session, words: &[&str]) -> Result {
    let (mut since, mut json) = (None, false);
    for (name, value) in options(words, &[])?.0 {
        match (name, value) {
            ("--since", time) => since = Some(duration(time)?),
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
    let cluster = &session.simulation.cluster;
    let first = since.map_or(Time::default(), |since| {
        Time(cluster.now.0.saturating_sub(since.as_nanos() as u64))
    });
    let shown = cluster.log.iter().filter(|event| event.at >= first);
    Ok(shown.map(|event| line(event, json)).collect())
}

fn why(session: &mut Session, event: &str) -> Result {
    let log = &session.simulation.cluster.log;
    let chain = log.causes(number(event)?);
    if chain.is_empty() {
        return Err(format!("event {event} has not happened"));
    }
    Ok(chain
        .iter()
        .filter_map(|id| log.get(*id))
        .map(|event| line(event, false))
        .collect())
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
