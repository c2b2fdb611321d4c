//! Reading words of commands, and the two commands that are little more than that.

use crate::link::NamespaceId;
use crate::netfilter::TableKind;
use crate::netfilter::restore::{Options, restore, save};
use crate::network::Network;
use crate::tools::Output;

/// Words with a place in them.
pub(crate) struct Words<'a> {
    words: &'a [String],
    at: usize,
}

impl<'a> Words<'a> {
    pub fn new(words: &'a [String]) -> Self {
        Words { words, at: 0 }
    }

    pub fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    /// The next word, which stays.
    pub fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).map(String::as_str)
    }

    /// The word after an option. Errors: iproute2's complaint.
    pub fn value(&mut self) -> Result<&'a str, Output> {
        self.next().ok_or_else(|| {
            Output::failed(255, "Command line is not complete. Try option \"help\"\n")
        })
    }
}

/// Is `word` a beginning of `full`, as iproute2 lets people shorten words?
pub(crate) fn short(word: &str, full: &str) -> bool {
    !word.is_empty() && full.starts_with(word)
}

pub(super) fn iptables_save(net: &Network, namespace: NamespaceId, args: &[String]) -> Output {
    let Some(ns) = net.namespace(namespace) else {
        return Output::default();
    };
    let (mut only, mut counters) = (None, false);
    let mut words = Words::new(args);
    while let Some(word) = words.next() {
        match word {
            "-c" | "--counters" => counters = true,
            "-t" | "--table" => {
                let name = words.next().unwrap_or_default();
                match TableKind::parse(name) {
                    Some(table) => only = Some(table),
                    None => {
                        return Output::failed(1, format!("Table `{name}' does not exist\n"));
                    }
                }
            }
            _ => return Output::failed(1, format!("iptables-save: unknown option -- '{word}'\n")),
        }
    }
    Output::ok(save(&ns.netfilter, only, counters, ""))
}

/// `ip6tables` and `ip6tables-save`: the same commands on the other family's tables. Addresses of that family are not
/// known here.
pub(super) fn ip6tables(
    net: &mut Network,
    namespace: NamespaceId,
    name: &str,
    args: &[String],
) -> Output {
    let Some(ns) = net.namespace_mut(namespace) else {
        return Output::default();
    };
    ns.netfilter.swap_family();
    let mut output = if name.ends_with("-save") {
        iptables_save(net, namespace, args)
    } else {
        net.namespace_mut(namespace)
            .map_or_else(Output::default, |ns| {
                crate::netfilter::iptables::run(&mut ns.netfilter, args)
            })
    };
    if let Some(ns) = net.namespace_mut(namespace) {
        ns.netfilter.swap_family();
    }
    for text in [&mut output.stdout, &mut output.stderr] {
        *text = text.replace("iptables", "ip6tables");
    }
    output
}

pub(super) fn iptables_restore(
    net: &mut Network,
    namespace: NamespaceId,
    args: &[String],
    input: &str,
) -> Output {
    let mut options = Options::default();
    let mut words = Words::new(args);
    while let Some(word) = words.next() {
        match word {
            "-n" | "--noflush" => options.noflush = true,
            "-c" | "--counters" => options.counters = true,
            "-t" | "--test" => options.test = true,
            "-w" | "--wait" | "-W" | "--wait-interval" => {
                words.next();
            }
            _ => {
                return Output::failed(
                    1,
                    format!("iptables-restore: unrecognized option '{word}'\n"),
                );
            }
        }
    }
    let Some(ns) = net.namespace_mut(namespace) else {
        return Output::default();
    };
    match restore(&mut ns.netfilter, input, options) {
        Ok(()) => Output::default(),
        Err(error) => Output::failed(
            if error.message.is_empty() { 1 } else { 2 },
            format!("{error}\n"),
        ),
    }
}
