//! `conntrack` (conntrack-tools 1.4.7).

use std::sync::Arc;

use super::Output;
use super::words::Words;
use crate::conntrack::Entry;
use crate::link::NamespaceId;
use crate::network::Network;
use crate::packet::Protocol;
use crate::time::Time;

type Condition = Box<dyn Fn(&Entry) -> bool>;

fn address(text: &str, of: fn(&Entry) -> std::net::Ipv4Addr) -> Result<Condition, Output> {
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

fn parse(args: &[String]) -> Result<(char, Vec<Condition>), Output> {
    let mut verb = 'L';
    let mut conditions: Vec<Condition> = Vec::new();
    let mut words = Words::new(args);
    while let Some(word) = words.next() {
        let (word, given) = word
            .split_once('=')
            .filter(|_| word.starts_with("--"))
            .map_or((word, None), |(w, v)| (w, Some(v)));
        match word {
            "-L" | "--dump" => verb = 'L',
            "-D" | "--delete" => verb = 'D',
            "-C" | "--count" => verb = 'C',
            "-F" | "--flush" => verb = 'F',
            "conntrack" => {}
            "-E" | "--event" | "-S" | "--stats" => {
                return Err(Output::unknown(&format!(
                    "conntrack {word} (conntrack -L lists what is tracked)"
                )));
            }
            "-n" | "--src-nat" => conditions.push(Box::new(|e| e.snat)),
            "-g" | "--dst-nat" => conditions.push(Box::new(|e| e.dnat)),
            "-j" | "--any-nat" => conditions.push(Box::new(|e| e.snat || e.dnat)),
            _ => {
                let value = match given {
                    Some(value) => value,
                    None => words
                        .next()
                        .ok_or_else(|| problem(&format!("option `{word}' requires an argument")))?,
                };
                conditions.push(match word {
                    "-p" | "--proto" => {
                        let protocol = Protocol::parse(value)
                            .ok_or_else(|| problem(&format!("Unknown protocol `{value}'")))?;
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
                    "-f" | "--family" | "-o" | "--output" => Box::new(|_: &Entry| true),
                    other => return Err(Output::unknown(&format!("conntrack {other}"))),
                });
            }
        }
    }
    Ok((verb, conditions))
}

pub(super) fn run(net: &mut Network, namespace: NamespaceId, args: &[String], now: Time) -> Output {
    let (verb, conditions) = match parse(args) {
        Ok(parsed) => parsed,
        Err(output) => return output,
    };
    let Some(ns) = net.namespace_mut(namespace) else {
        return Output::default();
    };
    let wanted = |e: &Entry| conditions.iter().all(|c| c(e));
    let mut output = Output::default();
    let lines: Vec<String> = ns
        .conntrack
        .iter(now)
        .filter(|(_, e)| wanted(e))
        .map(|(_, e)| e.line(now) + "\n")
        .collect();
    let said = |n: usize, done: &str| {
        format!("conntrack v1.4.7 (conntrack-tools): {n} flow entries have been {done}.\n")
    };
    match verb {
        'C' => output.stdout = format!("{}\n", ns.conntrack.iter(now).count()),
        'F' => {
            ns.conntrack = Arc::default();
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
