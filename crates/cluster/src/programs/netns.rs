//! `ip netns` and `ip -n`: the pods' network namespaces as a machine's administrator finds them
//! (iproute2 6.1, `ip/ipnetns.c`). The container runtime mounts each under a name of its own.

use kubarium_linux::{LinkKind, NamespaceId};
use kubarium_objects::names;
use kubarium_posix::{Command, Found};

use super::{Place, Program, find, start};
use crate::cluster::Cluster;
use crate::rng::Rng;
use crate::runtime::files::View;
use crate::time::Time;

/// What an `ip` command line asks of other namespaces.
enum Asked<'a> {
    /// `ip netns …`
    Netns(&'a [String]),
    /// `ip -n NAME …`: the name, and where it stands.
    In(usize),
}

fn asked(argv: &[String]) -> Option<Asked<'_>> {
    let (name, words) = argv.split_first()?;
    if super::base_name(name) != "ip" {
        return None;
    }
    for (at, word) in words.iter().enumerate() {
        match word.as_str() {
            "-n" | "-netns" => return Some(Asked::In(at + 1)),
            option if option.starts_with('-') => {}
            object if object.starts_with("net") && "netns".starts_with(object) => {
                return Some(Asked::Netns(&words[at + 1..]));
            }
            _ => return None,
        }
    }
    None
}

pub(super) fn is_meant(argv: &[String]) -> bool {
    asked(argv).is_some()
}

fn failed(status: i32, err: String) -> Program {
    Program::Say {
        out: String::new(),
        err,
        status,
    }
}

/// Begins a command that [`is_meant`].
pub(super) fn begin(
    cluster: &mut Cluster,
    place: &Place,
    view: &View,
    command: Command,
    now: Time,
) -> Program {
    let argv = command.argv.clone();
    let (name, words) = match asked(&argv) {
        Some(Asked::In(at)) => {
            let name = argv.get(at + 1).cloned().unwrap_or_default();
            let rest = argv.iter().enumerate();
            let rest = rest.filter(|(i, _)| *i != at && *i != at + 1);
            (name, rest.map(|(_, word)| word.clone()).collect())
        }
        Some(Asked::Netns(words)) => match words.split_first() {
            None => return list(cluster, place),
            Some((verb, rest)) if is(verb, "exec") => match rest.split_first() {
                None => return failed(255, "No netns name specified\n".to_owned()),
                Some((_, [])) => return failed(255, "No command specified\n".to_owned()),
                Some((name, command)) => (name.clone(), command.to_vec()),
            },
            Some((verb, _)) if is(verb, "list") || is(verb, "show") || verb == "lst" => {
                return list(cluster, place);
            }
            Some((verb, _)) => return failed(255, unknown(verb)),
        },
        None => return failed(255, String::new()),
    };
    let Some(netns) = find_namespace(cluster, place, &name) else {
        let why = "No such file or directory";
        return failed(
            255,
            format!("Cannot open network namespace \"{name}\": {why}\n"),
        );
    };
    let inner = Place {
        netns,
        ..place.clone()
    };
    if matches!(find(&inner, view, &words), Found::Missing) {
        let program = words.first().map_or("", String::as_str);
        let why = "No such file or directory";
        return failed(1, format!("exec of \"{program}\" failed: {why}\n"));
    }
    let command = Command {
        argv: words,
        ..command
    };
    let program = start(cluster, &inner, view, command, now);
    Program::Within(netns, Box::new(program))
}

fn is(word: &str, full: &str) -> bool {
    !word.is_empty() && full.starts_with(word)
}

fn unknown(verb: &str) -> String {
    let known = [
        "add", "delete", "identify", "pids", "set", "attach", "monitor",
    ];
    match known.iter().any(|full| is(verb, full)) {
        true => format!("ip netns {verb}: not simulated yet\n"),
        false => format!("Command \"{verb}\" is unknown, try \"ip netns help\".\n"),
    }
}

/// The name under which a pod's namespace is mounted: made of the pod's uid, so that it stays.
fn mounted(uid: &str) -> String {
    let seed = u64::from(names::fnv1a_32(uid.as_bytes()));
    format!("cni-{}", Rng::new(seed << 32 | seed).uuid())
}

/// The pods' namespaces on a machine, the latest first as the file system lists them.
fn namespaces(cluster: &Cluster, place: &Place) -> Vec<(NamespaceId, String)> {
    let machine = cluster.machines.get(&place.node);
    let own = machine.filter(|machine| place.pod.is_none() && machine.netns == place.netns);
    let Some(machine) = own else {
        return Vec::new();
    };
    let sandboxes = machine.runtime.sandboxes.iter();
    let apart = sandboxes.filter(|(_, sandbox)| sandbox.netns != machine.netns);
    let mut all: Vec<_> = apart
        .map(|(uid, sandbox)| (sandbox.netns, mounted(uid)))
        .collect();
    all.sort_by_key(|(netns, _)| std::cmp::Reverse(*netns));
    all
}

fn find_namespace(cluster: &Cluster, place: &Place, name: &str) -> Option<NamespaceId> {
    let all = namespaces(cluster, place);
    let mut found = all.into_iter().filter(|(_, mounted)| mounted == name);
    found.next().map(|(netns, _)| netns)
}

/// `ip netns list`: the names, with the numbers by which the machine knows them.
fn list(cluster: &Cluster, place: &Place) -> Program {
    let mut numbers: Vec<NamespaceId> = Vec::new();
    for link in cluster.net.links_of(place.netns) {
        if let LinkKind::Veth { peer } = link.kind
            && let Some(other) = cluster.net.link(peer)
            && other.namespace != place.netns
            && !numbers.contains(&other.namespace)
        {
            numbers.push(other.namespace);
        }
    }
    let lines = namespaces(cluster, place).into_iter().map(|(netns, name)| {
        let number = numbers.iter().position(|known| *known == netns);
        let number = number.map_or(String::new(), |number| format!(" (id: {number})"));
        format!("{name}{number}\n")
    });
    Program::Say {
        out: lines.collect(),
        err: String::new(),
        status: 0,
    }
}
