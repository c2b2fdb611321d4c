//! The tools that people look at a Linux network with, printing what Debian 12's print.

use crate::link::NamespaceId;
use crate::network::Network;
use crate::time::Time;

mod bridge;
mod conntrack;
mod ip;
mod ip_link;
mod ip_neigh;
mod ip_route;
mod ipset;
mod ss;
mod sysctl;
mod words;

/// What a command printed, and its exit status.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit status.
    pub status: i32,
}

impl Output {
    /// Success.
    #[must_use]
    pub fn ok(stdout: impl Into<String>) -> Output {
        Output {
            stdout: stdout.into(),
            ..Output::default()
        }
    }

    /// Failure.
    #[must_use]
    pub fn failed(status: i32, stderr: impl Into<String>) -> Output {
        Output {
            stderr: stderr.into(),
            status,
            ..Output::default()
        }
    }

    /// A command, or a form of one, that is not modelled.
    #[must_use]
    pub(crate) fn unknown(what: &str) -> Output {
        Output::failed(1, format!("{what}: not simulated yet\n"))
    }
}

/// The commands that `run` knows.
pub const COMMANDS: &[&str] = &[
    "ip",
    "bridge",
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "nft",
    "ipset",
    "conntrack",
    "ss",
    "sysctl",
];

/// Runs a command in a namespace: `argv` is its words, its own name first.
pub fn run(net: &mut Network, namespace: NamespaceId, argv: &[String], now: Time) -> Output {
    run_with_input(net, namespace, argv, "", now)
}

/// The same with something on standard input (`iptables-restore` reads it).
pub fn run_with_input(
    net: &mut Network,
    namespace: NamespaceId,
    argv: &[String],
    input: &str,
    now: Time,
) -> Output {
    let Some((name, args)) = argv.split_first() else {
        return Output::failed(127, "no command\n");
    };
    if net.namespace(namespace).is_none() {
        return Output::failed(1, "no such network namespace\n");
    }
    let name = name.rsplit('/').next().unwrap_or(name);
    match name {
        "ip" => ip::run(net, namespace, args, now),
        "bridge" => bridge::run(net, namespace, args, now),
        "conntrack" => conntrack::run(net, namespace, args, now),
        "ss" => ss::run(net, namespace, args),
        "ipset" => ipset::run(net, namespace, args, input),
        "sysctl" => sysctl::run(net, namespace, args),
        "iptables" | "iptables-nft" => net
            .namespace_mut(namespace)
            .map_or_else(Output::default, |ns| {
                crate::netfilter::iptables::run(&mut ns.netfilter, args)
            }),
        "iptables-save" | "iptables-nft-save" => words::iptables_save(net, namespace, args),
        "iptables-restore" | "iptables-nft-restore" => {
            words::iptables_restore(net, namespace, args, input)
        }
        "ip6tables" | "ip6tables-nft" | "ip6tables-save" | "ip6tables-nft-save" => {
            words::ip6tables(net, namespace, name, args)
        }
        "nft" => net
            .namespace_mut(namespace)
            .map_or_else(Output::default, |ns| {
                crate::netfilter::nft::run(&mut ns.netfilter, args, input, now)
            }),
        other => Output::failed(127, format!("{other}: not simulated yet\n")),
    }
}
