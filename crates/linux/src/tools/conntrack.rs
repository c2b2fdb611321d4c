//! `conntrack` (conntrack-tools 1.4.7).

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::Output;
use super::words::Words;
use crate::conntrack::Entry;
use crate::link::NamespaceId;
use crate::network::Network;
use crate::packet::Protocol;
use crate::time::Time;

type Condition = Box<dyn Fn(&Entry) -> bool>;

fn address(text: &str, of: fn(&Entry) -> Ipv4Addr) -> Result<Condition, Output> {
    let net: ipnet::Ipv4Net = text
        .parse()
        .or_else(|_| format!("{text}/32").parse())
        .map_err(|_| problem(&format!("Invalid IP address `{text}'")))?;
    Ok(Box::new(move |e| net.contains(&of(e))))
}

fn port(text: &str, of: fn(&Entry) -> u16) -> Result<Condition, Output> {
    let port: u16 = text
        .parse()
        .map_err(|_| problem(&format!("Invalid port `{text}'")))?;
    Ok(Box::new(move |e| of(e) == port))
}

fn problem(message: &str) -> Output {
    Output::failed(
        2,
        format!(
            "conntrack v1.4.7 (conntrack-tools): {message}\nTry `conntrack -h' or 'conntrack --help' for more information.\n"
        ),
    )
}

/// A command line.
pub(super) struct Asked {
    verb: char,
    conditions: Vec<Condition>,
    /// `-e`: only these events; none is all of them.
    events: Vec<String>,
    /// `-o extended`: the address family before the protocol.
    pub(super) extended: bool,
    /// `-o id`
    numbers: bool,
    /// Another of conntrack's tables, of which nothing is kept.
    other: Option<&'static str>,
}

impl Asked {
    fn line(&self, id: u64, entry: &Entry, now: Time) -> String {
        let family = if self.extended { "ipv4     2 " } else { "" };
        let number = if self.numbers {
            // The kernel's is a hash of the connection's place in memory; this is as much of a name.
            let id = (id as u32).wrapping_add(1).wrapping_mul(0x9e37_79b1);
            format!(" id={id}")
        } else {
            String::new()
        };
        format!("{family}{}{number}\n", entry.line(now))
    }

    pub(super) fn wants(&self, entry: &Entry) -> bool {
        self.conditions.iter().all(|c| c(entry))
    }

    pub(super) fn wants_event(&self, word: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|e| e == word || e == "ALL")
    }

    fn event_mask(&mut self, words: &str) -> Result<(), Output> {
        for word in words.split(',') {
            let known = ["NEW", "UPDATES", "DESTROY", "ALL"];
            if !known.contains(&word) {
                return Err(problem(&format!("Bad parameter `{word}'")));
            }
            self.events.push(word.to_owned());
        }
        Ok(())
    }

    fn output(&mut self, kinds: &str) -> Result<(), Output> {
        for kind in kinds.split(',') {
            match kind {
                "extended" => self.extended = true,
                "id" => self.numbers = true,
                "timestamp" | "ktimestamp" => {}
                "xml" | "save" | "labels" | "userspace" => {
                    return Err(Output::unknown(&format!("conntrack -o {kind}")));
                }
                _ => return Err(problem(&format!("Bad parameter `{kind}'"))),
            }
        }
        Ok(())
    }
}

fn status(text: &str) -> Result<Condition, Output> {
    Ok(match text.to_uppercase().as_str() {
        "ASSURED" => Box::new(|e| e.assured),
        "SEEN_REPLY" => Box::new(|e| e.seen_reply),
        "UNSET" => Box::new(|e| !e.seen_reply && !e.assured),
        "SRC_NAT" => Box::new(|e| e.snat),
        "DST_NAT" => Box::new(|e| e.dnat),
        "FIXED_TIMEOUT" | "EXPECTED" => Box::new(|_| false),
        _ => return Err(problem(&format!("Bad parameter `{text}'"))),
    })
}

/// `-n`, `-g` and `-j`, perhaps with the address that took another's place.
fn translated(words: &mut Words, of: fn(&Entry) -> [Option<Ipv4Addr>; 2]) -> Condition {
    let address = words.peek().and_then(|word| word.parse::<Ipv4Addr>().ok());
    if address.is_some() {
        words.next();
    }
    Box::new(move |e| {
        of(e)
            .into_iter()
            .flatten()
            .any(|a| address.is_none_or(|b| a == b))
    })
}

fn source(e: &Entry) -> Option<Ipv4Addr> {
    e.snat.then_some(e.reply.dst)
}

fn destination(e: &Entry) -> Option<Ipv4Addr> {
    e.dnat.then_some(e.reply.src)
}

fn parse(args: &[String]) -> Result<Asked, Output> {
    let mut asked = Asked {
        verb: 'L',
        conditions: Vec::new(),
        events: Vec::new(),
        extended: false,
        numbers: false,
        other: None,
    };
    let mut words = Words::new(args);
    while let Some(word) = words.next() {
        let (word, given) = word
            .split_once('=')
            .filter(|_| word.starts_with("--"))
            .map_or((word, None), |(w, v)| (w, Some(v)));
        match word {
            "-L" | "--dump" => asked.verb = 'L',
            "-D" | "--delete" => asked.verb = 'D',
            "-C" | "--count" => asked.verb = 'C',
            "-F" | "--flush" => asked.verb = 'F',
            "conntrack" | "-z" | "--zero" => {}
            "dying" | "unconfirmed" => asked.other = Some("flow entries"),
            "expect" => asked.other = Some("expectations"),
            "-E" | "--event" => asked.verb = 'E',
            "-S" | "--stats" => asked.verb = 'S',
            "-n" | "--src-nat" => {
                let condition = translated(&mut words, |e| [source(e), None]);
                asked.conditions.push(condition);
            }
            "-g" | "--dst-nat" => {
                let condition = translated(&mut words, |e| [destination(e), None]);
                asked.conditions.push(condition);
            }
            "-j" | "--any-nat" => {
                let condition = translated(&mut words, |e| [source(e), destination(e)]);
                asked.conditions.push(condition);
            }
            word if !WITH_VALUE.contains(&word) => {
                return Err(problem(&format!("unknown option `{word}'")));
            }
            _ => {
                let value = match given {
                    Some(value) => value,
                    None => words
                        .next()
                        .ok_or_else(|| problem(&format!("option `{word}' requires an argument")))?,
                };
                let condition: Condition = match word {
                    "-p" | "--proto" | "--protonum" => {
                        let protocol = Protocol::parse(value)
                            .ok_or_else(|| problem(&format!("`{value}' unsupported protocol")))?;
                        Box::new(move |e: &Entry| e.original.protocol == protocol)
                    }
                    "-s" | "--src" | "--orig-src" => address(value, |e| e.original.src)?,
                    "-d" | "--dst" | "--orig-dst" => address(value, |e| e.original.dst)?,
                    "-r" | "--reply-src" => address(value, |e| e.reply.src)?,
                    "-q" | "--reply-dst" => address(value, |e| e.reply.dst)?,
                    "--sport" | "--orig-port-src" => port(value, |e| e.original.sport)?,
                    "--dport" | "--orig-port-dst" => port(value, |e| e.original.dport)?,
                    "--reply-port-src" => port(value, |e| e.reply.sport)?,
                    "--reply-port-dst" => port(value, |e| e.reply.dport)?,
                    "--state" => {
                        let state = value.to_uppercase();
                        Box::new(move |e: &Entry| e.tcp.is_some_and(|t| t.name() == state))
                    }
                    "-u" | "--status" => status(value)?,
                    "-m" | "--mark" => {
                        let (mark, mask) = value.split_once('/').unwrap_or((value, ""));
                        let (mark, mask) = (number(mark), number(mask));
                        let mask = mask.unwrap_or(u32::MAX);
                        Box::new(move |e: &Entry| Some(e.mark & mask) == mark)
                    }
                    "-f" | "--family" => {
                        let own = value == "ipv4";
                        Box::new(move |_: &Entry| own)
                    }
                    "-o" | "--output" => {
                        asked.output(value)?;
                        continue;
                    }
                    "-e" | "--event-mask" => {
                        asked.event_mask(value)?;
                        continue;
                    }
                    other => return Err(Output::unknown(&format!("conntrack {other}"))),
                };
                asked.conditions.push(condition);
            }
        }
    }
    Ok(asked)
}

/// Options that take a value.
const WITH_VALUE: [&str; 37] = [
    "-p",
    "--proto",
    "--protonum",
    "-s",
    "--src",
    "--orig-src",
    "-d",
    "--dst",
    "--orig-dst",
    "-r",
    "--reply-src",
    "-q",
    "--reply-dst",
    "--sport",
    "--orig-port-src",
    "--dport",
    "--orig-port-dst",
    "--reply-port-src",
    "--reply-port-dst",
    "--state",
    "-f",
    "--family",
    "-o",
    "--output",
    "-u",
    "--status",
    "-m",
    "--mark",
    "-e",
    "--event-mask",
    "-t",
    "--timeout",
    "-w",
    "--zone",
    "-l",
    "--label",
    "-b",
];

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What `conntrack -E` was asked for.
pub(super) fn events_asked(args: &[String]) -> Result<Asked, Output> {
    parse(args)
}

pub(super) fn run(net: &mut Network, namespace: NamespaceId, args: &[String], now: Time) -> Output {
    let asked = match parse(args) {
        Ok(asked) => asked,
        Err(output) => return output,
    };
    if let Some(what) = asked.other {
        return Output {
            stderr: format!("conntrack v1.4.7 (conntrack-tools): 0 {what} have been shown.\n"),
            ..Output::default()
        };
    }
    let Some(ns) = net.namespace_mut(namespace) else {
        return Output::default();
    };
    let wanted = |e: &Entry| asked.wants(e);
    let mut output = Output::default();
    let lines: Vec<String> = ns
        .conntrack
        .iter(now)
        .filter(|(_, e)| wanted(e))
        .map(|(id, e)| asked.line(id, e, now))
        .collect();
    let said = |n: usize, done: &str| {
        format!("conntrack v1.4.7 (conntrack-tools): {n} flow entries have been {done}.\n")
    };
    match asked.verb {
        'C' => output.stdout = format!("{}\n", ns.conntrack.iter(now).count()),
        'S' => {
            // What the kernel counts for each processor: packets are all one's work here.
            let counts = ns.conntrack.counts;
            output.stdout = format!(
                "cpu=0   \tfound=0 invalid={} insert=0 insert_failed={} drop={} early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 \n",
                counts.invalid, counts.insert_failed, counts.insert_failed
            );
        }
        'F' => {
            Arc::make_mut(&mut ns.conntrack).delete(now, |_| true);
            output.stderr =
                "conntrack v1.4.7 (conntrack-tools): connection tracking table has been emptied.\n"
                    .to_owned();
        }
        'D' => {
            Arc::make_mut(&mut ns.conntrack).delete(now, wanted);
            output.stderr = said(lines.len(), "deleted");
            output.status = i32::from(lines.is_empty());
            output.stdout = lines.concat();
        }
        _ => {
            output.stderr = said(lines.len(), "shown");
            output.stdout = lines.concat();
        }
    }
    output
}
