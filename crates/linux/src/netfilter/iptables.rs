//! The `iptables` command, version 1.8.9 (nf_tables).

use std::fmt::Write;

use super::edit::{Edit, Refusal};
use super::list::{Format, heading, references};
use super::{Chain, ChainName, Counter, Hook, Netfilter, Policy, Rule, Table, TableKind};
use crate::tools::Output;

const VERSION: &str = "iptables v1.8.9 (nf_tables)";

/// What is asked for.
#[derive(Default)]
struct Command {
    table: Option<String>,
    verb: Option<char>,
    chain: Option<String>,
    /// A rule's number, a policy, or a new name.
    extra: Option<String>,
    rule: Vec<String>,
    format: Format,
}

fn problem(message: &str) -> Output {
    Output::failed(
        2,
        format!(
            "{VERSION}: {message}\nTry `iptables -h' or 'iptables --help' for more information.\n"
        ),
    )
}

fn refused(refusal: Refusal) -> Output {
    match refusal {
        Refusal::NoChain => Output::failed(1, "iptables: No chain/target/match by that name.\n"),
        Refusal::Exists => Output::failed(1, "iptables: Chain already exists.\n"),
        Refusal::BadRule => Output::failed(
            1,
            "iptables: Bad rule (does a matching rule exist in that chain?).\n",
        ),
        Refusal::TooBig => Output::failed(1, "iptables: Index of insertion too big.\n"),
        Refusal::NoBuiltIn => Output::failed(1, "iptables: Bad built-in chain name.\n"),
        Refusal::Busy(text) => Output::failed(4, format!("{VERSION}:  {text}\n")),
        Refusal::NoTarget(name) => problem(&format!("Chain '{name}' does not exist")),
        Refusal::Message(text) => Output::failed(4, format!("{VERSION}: {text}\n")),
    }
}

/// The letter of a command's option.
fn verb(word: &str) -> Option<char> {
    Some(match word {
        "-A" | "--append" => 'A',
        "-D" | "--delete" => 'D',
        "-I" | "--insert" => 'I',
        "-R" | "--replace" => 'R',
        "-C" | "--check" => 'C',
        "-L" | "--list" => 'L',
        "-S" | "--list-rules" => 'S',
        "-F" | "--flush" => 'F',
        "-Z" | "--zero" => 'Z',
        "-N" | "--new-chain" => 'N',
        "-X" | "--delete-chain" => 'X',
        "-P" | "--policy" => 'P',
        "-E" | "--rename-chain" => 'E',
        _ => return None,
    })
}

fn parse(args: &[String]) -> Result<Command, Output> {
    let mut command = Command::default();
    let mut words: Vec<String> = Vec::new();
    for arg in args {
        let letters = arg
            .strip_prefix('-')
            .filter(|l| l.len() > 1 && l.chars().all(|c| "nvxLSFZ".contains(c)));
        match letters {
            Some(letters) => words.extend(letters.chars().map(|c| format!("-{c}"))),
            None => words.push(arg.clone()),
        }
    }
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let missing = || problem(&format!("option \"{word}\" requires an argument"));
        match word.as_str() {
            "-t" | "--table" => command.table = Some(words.next().ok_or_else(missing)?),
            "-n" | "--numeric" if command.rule.is_empty() => command.format.numeric = true,
            "-v" | "--verbose" => command.format.verbose = true,
            "-x" | "--exact" => command.format.exact = true,
            "--line-numbers" | "--line-number" => command.format.line_numbers = true,
            "-4" | "--ipv4" => {}
            "-w" | "--wait" | "-W" | "--wait-interval" => {
                words.next_if(|w| w.parse::<u64>().is_ok());
            }
            "-V" | "--version" => return Err(Output::ok(format!("{VERSION}\n"))),
            _ => match verb(&word) {
                Some(letter) => {
                    if command.verb.is_some() {
                        return Err(problem(&format!(
                            "Cannot use -{letter} with -{}",
                            command.verb.unwrap_or(' ')
                        )));
                    }
                    command.verb = Some(letter);
                    command.chain = words.next_if(|w| !w.starts_with('-') && w != "!");
                    let needs = matches!(letter, 'A' | 'D' | 'I' | 'R' | 'C' | 'N' | 'P' | 'E');
                    if needs && command.chain.is_none() {
                        return Err(missing());
                    }
                    if letter == 'P' && words.peek().is_none_or(|w| w.starts_with('-')) {
                        return Err(problem("-P requires a chain and a policy"));
                    }
                    let second = match letter {
                        'P' | 'E' => words.next_if(|w| !w.starts_with('-')),
                        'D' | 'I' | 'R' | 'L' | 'S' | 'Z' => {
                            words.next_if(|w| w.parse::<usize>().is_ok())
                        }
                        _ => None,
                    };
                    command.extra = second;
                }
                None => command.rule.push(word),
            },
        }
    }
    Ok(command)
}

/// Runs `iptables` with these words (without its own name).
pub fn run(netfilter: &mut Netfilter, args: &[String]) -> Output {
    let command = match parse(args) {
        Ok(command) => command,
        Err(output) => return output,
    };
    let name = command.table.as_deref().unwrap_or("filter");
    if name == "security" {
        return Output::failed(1, "iptables: the table security is not simulated yet\n");
    }
    let Some(table) = TableKind::parse(name) else {
        return Output::failed(
            3,
            format!(
                "{VERSION}: table '{name}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.\n"
            ),
        );
    };
    match command.verb {
        None => problem("no command specified"),
        Some('L') => show(netfilter, table, &command, list_chain, true),
        Some('S') => show(netfilter, table, &command, spell_chain, false),
        Some(verb) => change(netfilter, table, verb, &command).unwrap_or_else(refused),
    }
}

fn change(
    netfilter: &mut Netfilter,
    table: TableKind,
    verb: char,
    command: &Command,
) -> Result<Output, Refusal> {
    let all: Vec<ChainName> = netfilter
        .table(table)
        .map(|t| t.chains().iter().map(|c| c.name.clone()).collect())
        .unwrap_or_default();
    let chain = command.chain.as_deref().map(ChainName::from);
    let number = command
        .extra
        .as_deref()
        .and_then(|e| e.parse::<usize>().ok());
    let extra = command.extra.as_deref().unwrap_or_default();
    let targets = chain.iter().cloned().collect::<Vec<_>>();
    let each = if chain.is_some() { &targets } else { &all };
    let mut edit = Edit::new(netfilter, table);
    let rule = match verb {
        'A' | 'I' | 'R' | 'C' => Some(Rule::parse(&command.rule)),
        'D' if number.is_none() => Some(Rule::parse(&command.rule)),
        _ => None,
    };
    let rule = match rule {
        Some(Ok(rule)) => Some(rule),
        Some(Err(message)) => return Ok(problem(&message)),
        None => None,
    };
    if let (Some(chain), Some(rule)) = (&chain, &rule)
        && let Some(message) = unfit_device(table, chain, rule)
    {
        return Ok(problem(&message));
    }
    match (verb, chain.as_ref(), rule) {
        ('A', Some(chain), Some(rule)) => edit.append(chain, rule, None)?,
        ('I', Some(chain), Some(rule)) => edit.insert(chain, number.unwrap_or(1), rule)?,
        ('R', Some(chain), Some(rule)) => {
            edit.replace(chain, number.ok_or(Refusal::TooBig)?, rule)?
        }
        ('C', Some(chain), Some(rule)) => {
            edit.find(chain, &rule)?;
            return Ok(Output::default());
        }
        ('D', Some(chain), Some(rule)) => {
            let number = edit.find(chain, &rule)?;
            edit.delete(chain, number)?;
        }
        ('D', Some(chain), None) => match edit.delete(chain, number.unwrap_or(0)) {
            Err(Refusal::TooBig) => {
                let text = "iptables: Index of deletion too big.\n";
                return Ok(Output::failed(1, text));
            }
            done => done?,
        },
        ('N', Some(chain), _) => {
            if chain.as_str().len() > 28 {
                return Ok(problem(&format!(
                    "chain name `{chain}' too long (must be under 29 chars)"
                )));
            }
            edit.create(chain)?;
        }
        ('P', Some(chain), _) => {
            let policy = match extra {
                "ACCEPT" => Policy::Accept,
                "DROP" => Policy::Drop,
                _ => {
                    let text = "iptables: Bad policy name. Run `dmesg' for more information.\n";
                    return Ok(Output::failed(1, text));
                }
            };
            edit.set_policy(chain, policy)?;
        }
        ('E', Some(chain), _) => edit.rename(chain, &extra.into())?,
        ('F', ..) => each.iter().try_for_each(|chain| edit.flush(chain))?,
        ('Z', ..) => each.iter().try_for_each(|chain| edit.zero(chain))?,
        ('X', Some(chain), _) => edit.remove(chain)?,
        ('X', None, _) => {
            for chain in all
                .iter()
                .filter(|c| table.hooks().iter().all(|h| h.name() != c.as_str()))
            {
                edit.remove(chain)?;
            }
        }
        _ => {}
    }
    edit.commit()?;
    Ok(Output::default())
}

/// A device that is not known yet, or no longer, where a built-in chain is asked.
fn unfit_device(table: TableKind, chain: &ChainName, rule: &Rule) -> Option<String> {
    let hook = table.builtin(chain.as_str())?;
    let unfit = match hook {
        Hook::Prerouting | Hook::Input => rule.out_interface.is_some().then_some("-o"),
        Hook::Output | Hook::Postrouting => rule.in_interface.is_some().then_some("-i"),
        Hook::Forward => None,
    };
    unfit.map(|option| format!("Can't use {option} with {chain}\n"))
}

type Printer = fn(&Netfilter, TableKind, &Chain, Option<usize>, Format, &mut String);

fn show(
    netfilter: &Netfilter,
    kind: TableKind,
    command: &Command,
    print: Printer,
    blank: bool,
) -> Output {
    let empty;
    let table = match netfilter.table(kind) {
        Some(table) => table,
        None => {
            empty = Table::new(kind);
            &empty
        }
    };
    let number = command.extra.as_deref().and_then(|e| e.parse().ok());
    let mut out = String::new();
    if let Some(name) = &command.chain {
        let Some(chain) = table.chain(&name.as_str().into()) else {
            return Output::failed(
                1,
                format!(
                    "{VERSION}: chain `{name}' in table `{}' is incompatible, use 'nft' tool.\n",
                    kind.name()
                ),
            );
        };
        if !blank && number.is_none() {
            head(netfilter, kind, chain, command.format, &mut out);
        }
        print(netfilter, kind, chain, number, command.format, &mut out);
        return Output::ok(out);
    }
    let chains = table.chains();
    if !blank {
        for chain in &chains {
            head(netfilter, kind, chain, command.format, &mut out);
        }
    }
    for (n, chain) in chains.iter().enumerate() {
        if blank && n > 0 {
            out.push('\n');
        }
        print(netfilter, kind, chain, None, command.format, &mut out);
    }
    Output::ok(out)
}

/// `-P INPUT ACCEPT`, `-N KUBE-SERVICES`
fn head(netfilter: &Netfilter, kind: TableKind, chain: &Chain, format: Format, out: &mut String) {
    match chain.policy {
        Some(policy) => {
            let _ = write!(out, "-P {} {}", chain.name, policy.name());
            if format.verbose {
                let counter = netfilter.policy_counter(kind, chain.name.as_str());
                let _ = write!(out, " -c {} {}", counter.packets, counter.bytes);
            }
            out.push('\n');
        }
        None => {
            let _ = writeln!(out, "-N {}", chain.name);
        }
    }
}

fn spell_chain(
    netfilter: &Netfilter,
    kind: TableKind,
    chain: &Chain,
    number: Option<usize>,
    format: Format,
    out: &mut String,
) {
    for index in 0..chain.rules.len() {
        if number.is_some_and(|n| n != index + 1) {
            continue;
        }
        out.push_str(&chain.rule_text(index));
        if format.verbose {
            let counter = netfilter.rule_counter(kind, chain.name.as_str(), index);
            let _ = write!(out, " -c {} {}", counter.packets, counter.bytes);
        }
        out.push('\n');
    }
}

fn list_chain(
    netfilter: &Netfilter,
    kind: TableKind,
    chain: &Chain,
    number: Option<usize>,
    format: Format,
    out: &mut String,
) {
    let counters = netfilter.counters(kind, &chain.name);
    if number.is_none() {
        let count = if chain.policy.is_none() {
            references(netfilter, kind, &chain.name)
        } else {
            0
        };
        heading(
            chain,
            count,
            counters.map_or(Counter::default(), |c| c.policy),
            format,
            out,
        );
    }
    for (index, rule) in chain.rules.iter().enumerate() {
        if number.is_none_or(|n| n == index + 1) {
            rule.list(
                index + 1,
                counters.map_or(Counter::default(), |c| c.rule(index)),
                format,
                out,
            );
        }
    }
}
