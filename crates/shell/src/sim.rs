//! The simulator's own commands: `sim …`.

use std::fmt::Write as _;
use std::time::Duration;

use kubarium_cluster::config::{NodeConfig, Role};
use kubarium_cluster::trace::{PacketView, Trace, TraceRequest};
use kubarium_cluster::{EventId, Run};
use kubarium_linux::{Protocol, Verdict};
use kubarium_objects::ObjectKey;
use kubarium_objects::duration::GoDuration;
use serde::Serialize;

use crate::cause;
use crate::fault;
use crate::registry::{self, TOOLS};
use crate::session::{Finished, Session, Stream};
use crate::state::State;

pub(crate) type Result = std::result::Result<String, String>;

const QUIET: Duration = Duration::from_secs(4);
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn run(session: &mut Session, argv: &[String], cwd: &str) -> Finished {
    let words: Vec<&str> = argv.iter().skip(1).map(String::as_str).collect();
    let result = match words[..] {
        [] | ["help" | "--help" | "-h", ..] => Ok(help()),
        ["settle", ref options @ ..] => settle(session, options),
        ["advance", time] => advance(session, time),
        ["trace", ref rest @ ..] => {
            return trace(session, rest, cwd)
                .unwrap_or_else(|why| Finished::failed(1, format!("sim: {why}\n")));
        }
        ["events", ref rest @ ..] => cause::events(session, rest),
        ["why", ref rest @ ..] => cause::why(session, rest),
        ["effects", ref rest @ ..] => cause::effects(session, rest),
        ["fault", ref rest @ ..] => fault::run(session, rest),
        ["dial", target, amount] => fault::dial(session, target, amount),
        ["undo"] => moved(session.simulation.undo(), "there is nothing to undo"),
        ["redo"] => moved(session.simulation.redo(), "there is nothing to redo"),
        ["goto", event] => {
            number(event).and_then(|event| session.simulation.goto(event).map(|()| String::new()))
        }
        ["branches"] => Ok(branches(session)),
        ["branch", number] => branch(session, number),
        ["save", file] => save(session, &session.absolute(cwd, file)),
        ["load", file] => load(session, &session.absolute(cwd, file)),
        ["schedule", ref rest @ ..] => schedule(session, rest),
        ["reach", ref rest @ ..] => reach(session, rest),
        ["node", "add", name] => {
            session.changing();
            let node = NodeConfig::new(name, Role::Worker);
            let joined = session.change(|cluster| cluster.add_node(node));
            joined.map(|()| format!("machine {name} joins\n"))
        }
        ["node", "remove", name] => {
            session.changing();
            let gone = session.change(|cluster| cluster.remove_node(name));
            gone.map(|()| format!("machine {name} is gone\n"))
        }
        _ => Err(unknown(&words)),
    };
    match result {
        Ok(text) => Finished::done(text),
        Err(why) => Finished::failed(1, format!("sim: {why}\n")),
    }
}

fn help() -> String {
    let mut text = "The simulator's own commands:\n".to_owned();
    let own = TOOLS.iter().filter(|(name, ..)| name.starts_with("sim "));
    for (name, short, state) in own {
        let note = if state.works() {
            ""
        } else {
            " (not simulated yet)"
        };
        text.push_str(&format!("  {name:<14} {short}{note}\n"));
    }
    text
}

fn unknown(words: &[&str]) -> String {
    let name = format!("sim {}", words.first().unwrap_or(&""));
    match TOOLS.iter().find(|(known, ..)| *known == name) {
        Some((_, _, registry::State::NotYet(hint))) => registry::not_yet(&name, hint),
        Some((_, short, _)) => short.to_string(),
        None => format!("there is no command {name:?}; sim help lists them"),
    }
}

fn moved(done: bool, otherwise: &str) -> Result {
    if done {
        Ok(String::new())
    } else {
        Err(otherwise.to_owned())
    }
}

/// The branches, a line each: where it left another one, where it ends, and its last command.
fn branches(session: &Session) -> String {
    let mut text = String::new();
    for branch in session.simulation.branches() {
        let mark = if branch.current { '*' } else { ' ' };
        let left = match branch.left {
            Some((other, event)) => format!("leaves {other} after #{event}"),
            None => "from the start".to_owned(),
        };
        let last = branch.last_command.as_deref().unwrap_or("no command yet");
        let first_line = last.lines().next().unwrap_or("");
        let _ = writeln!(
            text,
            "{mark} {:<3} {left:<24} ends at {} with {} events: {first_line}",
            branch.number, branch.end, branch.events
        );
    }
    text
}

fn branch(session: &mut Session, number: &str) -> Result {
    let number = number
        .parse()
        .map_err(|_| format!("{number:?} is no branch's number; sim branches lists them"))?;
    session.simulation.switch(number).map(|()| String::new())
}

/// A state is what was given to the terminal, line by line: half a line cannot be saved.
fn alone(session: &Session, command: &str) -> std::result::Result<(), String> {
    if session.alone {
        return Ok(());
    }
    Err(format!(
        "sim {command} has to be a command line of its own: without ;, &&, | or a loop around it"
    ))
}

fn save(session: &mut Session, path: &str) -> Result {
    alone(session, "save")?;
    let text = session.state()?.write();
    session
        .put_file(path, text.as_bytes())
        .map(|()| String::new())
        .map_err(|error| format!("{path}: {error}"))
}

fn load(session: &mut Session, path: &str) -> Result {
    alone(session, "load")?;
    let bytes = session
        .read_file(path)
        .ok_or_else(|| format!("{path}: there is no such file; sim save writes one"))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{path} is no saved state"))?;
    let state = State::read(text).map_err(|error| format!("{path}: {}", error.message))?;
    let (loaded, remark) = Session::from_state(state);
    session.replaced_by = Some(Box::new(loaded));
    Ok(remark.map_or_else(String::new, |remark| format!("sim: {remark}\n")))
}

/// A number of an event: `17` or `#17`.
pub(crate) fn number(text: &str) -> std::result::Result<EventId, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits
        .parse()
        .map(EventId)
        .map_err(|_| format!("{text:?} is no event's number; sim events lists them"))
}

pub(crate) fn duration(text: &str) -> std::result::Result<Duration, String> {
    let time: GoDuration = text.parse().map_err(|e| format!("{e}"))?;
    u64::try_from(time.0)
        .map(Duration::from_nanos)
        .map_err(|_| format!("{text:?} lies in the past"))
}

/// Options with their values, in order, and the words that are none.
pub(crate) type Taken<'a> = (Vec<(&'a str, &'a str)>, Vec<&'a str>);

/// Takes `--name VALUE` and `--name=VALUE` apart.
pub(crate) fn options<'a>(
    words: &[&'a str],
    flags: &[&str],
) -> std::result::Result<Taken<'a>, String> {
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
    let run = Run::settle(&session.simulation.cluster, quiet, timeout);
    session.let_run(run);
    Ok(String::new())
}

fn advance(session: &mut Session, time: &str) -> Result {
    let time = duration(time)?;
    session.changing();
    let end = session.simulation.cluster.now + time;
    session.let_run(Run::until(end));
    Ok(String::new())
}

fn trace(
    session: &mut Session,
    words: &[&str],
    cwd: &str,
) -> std::result::Result<Finished, String> {
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
    let file = format.ends_with(".pcap") || format.ends_with(".pcapng");
    if !matches!(format, "json" | "text" | "pcap") && !file {
        return Err(format!(
            "trace -o {format}: the output is text, json, pcap (to standard output), or a file whose name ends in .pcap"
        ));
    }
    session.changing();
    let request = TraceRequest {
        from: from.to_owned(),
        to: to.to_owned(),
        udp,
    };
    let captured = file || format == "pcap";
    let (trace, capture) = session.change(|cluster| {
        if captured {
            cluster.trace_captured(&request)
        } else {
            cluster.trace(&request).map(|trace| (trace, Vec::new()))
        }
    })?;
    let done = match format {
        "json" => Finished::done(serde_json::to_string(&trace).unwrap_or_default() + "\n"),
        "text" => Finished::done(in_words(&trace)),
        "pcap" => Finished {
            output: vec![(Stream::Out, capture)],
            status: 0,
        },
        name => {
            let path = session.absolute(cwd, name);
            (session.put_file(&path, &capture))
                .map_err(|error| format!("trace -o {name}: {error}"))?;
            Finished::done(format!("{}\n", trace.reason))
        }
    };
    session.last_trace = Some(trace);
    Ok(done)
}

/// `sim reach`: clients are rows, servers columns, both with numbers.
fn reach(session: &mut Session, words: &[&str]) -> Result {
    let (found, rest) = options(words, &["--udp", "--sctp"])?;
    if !rest.is_empty() {
        return Err("usage: sim reach [--port N] [-n NAMESPACE] [--udp|--sctp]".to_owned());
    }
    let (mut namespace, mut port, mut protocol) = (None, 80, Protocol::TCP);
    for (name, value) in found {
        match (name, value) {
            ("-n" | "--namespace", value) => namespace = Some(value),
            ("--port", value) => {
                port =
                    (value.parse()).map_err(|_| format!("--port wants a number, not {value}"))?;
            }
            ("--udp", _) => protocol = Protocol::UDP,
            ("--sctp", _) => protocol = Protocol::SCTP,
            _ => return Err(format!("reach has no option {name} {value}")),
        }
    }
    let table = session.change(|cluster| cluster.reach(namespace, protocol, port))?;
    let wide = table.pods.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut text = format!("{:wide$}      to", format!("{protocol} port {port}"));
    for n in 1..=table.pods.len() {
        let _ = write!(text, "{n:>4}");
    }
    text.push('\n');
    for (n, (name, row)) in table.pods.iter().zip(&table.verdicts).enumerate() {
        let _ = write!(text, "{:>3}  {name:wide$}   ", n + 1);
        for verdict in row {
            let mark = match verdict {
                Verdict::Connected => '.',
                Verdict::Refused => 'X',
                Verdict::Timeout | Verdict::Stalled => '?',
                Verdict::Unreachable | Verdict::Denied => '!',
            };
            let _ = write!(text, "{mark:>4}");
        }
        text.push('\n');
    }
    text += ". connected   X refused   ? no answer   ! no way there\n";
    Ok(text)
}

fn schedule(session: &mut Session, words: &[&str]) -> Result {
    let (found, rest) = options(words, &[])?;
    let [pod] = rest[..] else {
        return Err("usage: sim schedule POD [-n NAMESPACE] [--to NODE] -o json".to_owned());
    };
    let mut namespace = session.kubeconfig.namespace("").to_owned();
    let mut forced = None;
    for (name, value) in found {
        match (name, value) {
            ("-n" | "--namespace", value) => namespace = value.to_owned(),
            ("--to", value) => forced = Some(value),
            ("-o" | "--output", "json") => {}
            _ => return Err(format!("schedule has no option {name} {value}")),
        }
    }
    session.changing();
    let key = ObjectKey::new("pods", namespace, pod.trim_start_matches("pod/"));
    let decision = session.change(|cluster| cluster.schedule_now(&key, forced))?;
    serde_json::to_string(&decision)
        .map(|text| text + "\n")
        .map_err(|e| e.to_string())
}

/// A trace for people: a line a hop, a heading a phase.
fn in_words(trace: &Trace) -> String {
    let mut text = format!(
        "{} -> {} ({}): {}\n",
        trace.from,
        trace.to,
        trace.protocol,
        word(&trace.verdict)
    );
    if !trace.reason.is_empty() {
        let _ = writeln!(text, "  {}", trace.reason);
    }
    if let Some(server) = &trace.server {
        let _ = writeln!(
            text,
            "  answered by {} {}; it sees {}",
            server.pod, server.container, server.sees_source
        );
    }
    for phase in &trace.phases {
        let _ = writeln!(text, "{}:", word(&phase.phase));
        for hop in &phase.hops {
            let place = if hop.device.is_empty() {
                hop.netns.to_string()
            } else {
                format!("{} {}", hop.netns, hop.device)
            };
            let _ = writeln!(
                text,
                "{:4}  {place:<32} {:<10} {}",
                hop.n,
                word(&hop.layer),
                hop.action
            );
            let _ = writeln!(text, "      {}", packet(&hop.packet));
            if let Some(rule) = &hop.rule_text {
                let _ = writeln!(text, "      {rule}");
            }
            if !hop.explanation.is_empty() {
                let _ = writeln!(text, "      {}", hop.explanation);
            }
        }
    }
    for entry in &trace.conntrack {
        let _ = writeln!(
            text,
            "conntrack {}: {} / {} {}",
            entry.node, entry.original, entry.reply, entry.state
        );
    }
    text
}

fn packet(packet: &PacketView) -> String {
    let (sport, dport, what) = match (&packet.tcp, &packet.udp) {
        (Some(tcp), _) => (
            format!(":{}", tcp.sport),
            format!(":{}", tcp.dport),
            format!("TCP {}", tcp.flags),
        ),
        (_, Some(udp)) => (
            format!(":{}", udp.sport),
            format!(":{}", udp.dport),
            "UDP".to_owned(),
        ),
        _ => (
            String::new(),
            String::new(),
            packet.icmp.as_deref().unwrap_or_default().to_owned(),
        ),
    };
    let mut text = format!(
        "{}{sport} -> {}{dport} ttl {} {what}",
        packet.ip.src, packet.ip.dst, packet.ip.ttl
    );
    if let Some(outer) = &packet.outer {
        let _ = write!(text, "  within {} -> {}", outer.ip.src, outer.ip.dst);
    }
    text
}

/// The word that a trace's enumeration has in JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}
