//! `iptables-restore` and `iptables-save`: rules as text.
//!
//! One parser reads both the spelling that kube-proxy writes and what `iptables-save` prints; one printer prints as
//! iptables-save 1.8.9 (nf_tables) does.

use std::fmt;
use std::fmt::Write;

use super::arguments::words;
use super::edit::{Edit, Refusal};
use super::{ChainName, Counter, Netfilter, Policy, Rule, TableKind};

/// How to restore.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `--noflush`: keep what the text does not mention.
    pub noflush: bool,
    /// `--counters`: take counters from the text.
    pub counters: bool,
    /// `--test`: only look whether it could be done.
    pub test: bool,
}

/// Why a text was not restored, and at which line (from 1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreError {
    /// The line.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for RestoreError {
    /// As iptables-restore prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            return write!(f, "iptables-restore: line {} failed", self.line);
        }
        write!(
            f,
            "iptables-restore v1.8.9 (nf_tables): {}\nError occurred at line: {}\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.",
            self.message, self.line
        )
    }
}

impl std::error::Error for RestoreError {}

/// Longest text that is read, in bytes: about 200,000 rules.
const LIMIT: usize = 64 << 20;

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::NoTarget(name) => {
            format!("Couldn't load target `{name}':No such file or directory\n")
        }
        Refusal::NoChain => "No chain/target/match by that name.".to_owned(),
        Refusal::Message(text) | Refusal::Busy(text) => text,
        _ => String::new(),
    }
}

/// `[12:345]`
fn counter(text: &str) -> Option<Counter> {
    let (packets, bytes) = text.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
    Some(Counter {
        packets: packets.parse().ok()?,
        bytes: bytes.parse().ok()?,
    })
}

/// Reads rules as iptables-restore does. Each table takes effect at its COMMIT, whole or not at all; after an error
/// nothing of its table has.
pub fn restore(
    netfilter: &mut Netfilter,
    text: &str,
    options: Options,
) -> Result<(), RestoreError> {
    let fail = |line: usize, message: String| RestoreError { line, message };
    if text.len() > LIMIT {
        return Err(fail(1, format!("more than {LIMIT} bytes")));
    }
    let mut copy;
    let target = if options.test {
        copy = netfilter.clone();
        &mut copy
    } else {
        netfilter
    };
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(name) = line.strip_prefix('*') else {
            return Err(fail(number, String::new()));
        };
        let table = TableKind::parse(name.trim())
            .ok_or_else(|| fail(number, format!("The table `{}' is unknown", name.trim())))?;
        let mut edit = Edit::new(target, table);
        if !options.noflush {
            edit.clear();
        }
        let end = loop {
            let Some((number, line)) = lines.next() else {
                return Err(fail(number, "COMMIT expected".to_owned()));
            };
            let line = line.trim();
            if line == "COMMIT" {
                break number;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let done = match line.strip_prefix(':') {
                Some(chain) => chain_line(&mut edit, chain, options),
                None => command(&mut edit, line, options),
            };
            done.map_err(|message| fail(number, message))?;
        };
        edit.commit().map_err(|r| fail(end, refused(r)))?;
    }
    Ok(())
}

fn chain_line(edit: &mut Edit, line: &str, options: Options) -> Result<(), String> {
    let mut parts = line.split_whitespace();
    let name = parts
        .next()
        .filter(|n| n.len() < 29)
        .ok_or("invalid chain name")?;
    let policy = parts
        .next()
        .ok_or_else(|| format!("no policy for chain {name}"))?;
    let name = ChainName::from(name);
    match policy {
        "ACCEPT" | "DROP" if edit.table.hooks().iter().any(|h| h.name() == name.as_str()) => {
            let policy = if policy == "DROP" {
                Policy::Drop
            } else {
                Policy::Accept
            };
            edit.set_policy(&name, policy).map_err(refused)?;
            if let Some(counter) = parts.next().and_then(counter).filter(|_| options.counters) {
                edit.set_policy_counter(&name, counter);
            }
            Ok(())
        }
        "-" if edit.table.hooks().iter().all(|h| h.name() != name.as_str()) => {
            edit.reset(&name);
            Ok(())
        }
        "-" => Ok(()),
        other => Err(format!(
            "Can't set policy `{other}' on `{name}' line: Bad built-in chain name"
        )),
    }
}

fn command(edit: &mut Edit, line: &str, options: Options) -> Result<(), String> {
    let mut words = words(line)?;
    let mut counted = None;
    if let Some(first) = words.first()
        && first.starts_with('[')
    {
        counted = Some(counter(first).ok_or("invalid counters")?).filter(|_| options.counters);
        words.remove(0);
    }
    let mut rest = words.into_iter();
    let verb = rest.next().ok_or("empty command")?;
    let name = ChainName::from(
        rest.next()
            .ok_or_else(|| format!("option \"{verb}\" requires an argument"))?
            .as_str(),
    );
    let mut rest: Vec<String> = rest.collect();
    let number = rest.first().and_then(|w| w.parse::<usize>().ok());
    match verb.as_str() {
        "-A" | "--append" => edit.append(&name, Rule::parse(&rest)?, counted),
        "-I" | "--insert" => {
            if number.is_some() {
                rest.remove(0);
            }
            edit.insert(&name, number.unwrap_or(1), Rule::parse(&rest)?)
        }
        "-D" | "--delete" => match number {
            Some(number) => edit.delete(&name, number),
            None => {
                let rule = Rule::parse(&rest)?;
                edit.find(&name, &rule)
                    .and_then(|number| edit.delete(&name, number))
            }
        },
        "-R" | "--replace" => {
            let number = number.ok_or("-R requires a rule number")?;
            rest.remove(0);
            edit.replace(&name, number, Rule::parse(&rest)?)
        }
        "-X" | "--delete-chain" => edit.remove_with_rules(&name),
        "-N" | "--new-chain" => edit.create(&name),
        "-F" | "--flush" => edit.flush(&name),
        other => return Err(format!("unknown option \"{other}\"")),
    }
    .map_err(refused)
}

/// Prints a namespace's tables as `iptables-save` does, all or one. `counters` is its `-c`; `stamp` is put after
/// "Generated by" and "Completed" (" on DATE"), nothing if empty.
#[must_use]
pub fn save(netfilter: &Netfilter, only: Option<TableKind>, counters: bool, stamp: &str) -> String {
    let mut out = String::new();
    for kind in TableKind::ALL {
        let Some(table) = netfilter
            .table(kind)
            .filter(|_| only.is_none_or(|o| o == kind))
        else {
            continue;
        };
        let _ = writeln!(
            out,
            "# Generated by iptables-save v1.8.9 (nf_tables){stamp}\n*{}",
            kind.name()
        );
        let chains = table.chains();
        for chain in &chains {
            let counter = netfilter
                .counters(kind, &chain.name)
                .map_or(Counter::default(), |c| c.policy);
            let _ = match chain.policy {
                Some(policy) => writeln!(
                    out,
                    ":{} {} [{}:{}]",
                    chain.name,
                    policy.name(),
                    counter.packets,
                    counter.bytes
                ),
                None => writeln!(out, ":{} - [0:0]", chain.name),
            };
        }
        for chain in &chains {
            let counted = counters.then(|| netfilter.counters(kind, &chain.name));
            for (index, rule) in chain.rules.iter().enumerate() {
                if let Some(counted) = counted {
                    let c = counted.map_or(Counter::default(), |c| c.rule(index));
                    let _ = write!(out, "[{}:{}] ", c.packets, c.bytes);
                }
                let _ = write!(out, "-A {}", chain.name);
                rule.save(&mut out);
                out.push('\n');
            }
        }
        let _ = writeln!(out, "COMMIT\n# Completed{stamp}");
    }
    out
}
