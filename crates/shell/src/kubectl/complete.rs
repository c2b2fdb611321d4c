//! What could stand at the cursor of a kubectl command line.

use kubarium_objects::{ObjectMeta, Resource};

use super::command::GLOBAL;
use super::flags::{Flag, Kind as Takes};
use super::{Found, find, tree};
use crate::complete::{Candidate, Kind, candidate};
use crate::session::Session;

/// Kinds that people ask for most: they come first.
const FIRST: &[&str] = &[
    "pods",
    "deployments",
    "services",
    "nodes",
    "namespaces",
    "configmaps",
    "secrets",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "ingresses",
    "endpointslices",
    "networkpolicies",
    "persistentvolumeclaims",
    "persistentvolumes",
    "events",
];

/// The candidates behind the words that stand between `kubectl` and the cursor's word.
pub(crate) fn candidates(session: &Session, words: &[String], partial: &str) -> Vec<Candidate> {
    let Ok(Found { command, words, .. }) = find(words) else {
        return Vec::new();
    };
    let own = command.map_or(&[][..], |c| c.flags);
    let flags: Vec<&'static Flag> = own.iter().flat_map(|t| t.iter()).chain(GLOBAL).collect();
    // The word may be the value of the flag before it, or of a flag in the word itself.
    if let Some((name, _)) = partial.split_once('=').filter(|(n, _)| n.starts_with('-')) {
        let values = match named(&flags, name) {
            Some(flag) => values(session, flag, &words, &flags),
            None => Vec::new(),
        };
        return values
            .into_iter()
            .map(|c| Candidate {
                text: format!("{name}={}", c.text),
                ..c
            })
            .collect();
    }
    if let Some(flag) = words.last().and_then(|last| named(&flags, last))
        && !matches!(flag.kind, Takes::Bool | Takes::Optional(_))
        && words.last().is_some_and(|w| !w.contains('='))
    {
        return values(session, flag, &words, &flags);
    }
    if partial.starts_with('-') {
        let mut found: Vec<Candidate> = flags
            .iter()
            .filter(|f| f.state.works())
            .map(|f| candidate(format!("--{}", f.name), Kind::Flag, f.help))
            .collect();
        if partial.len() <= 2 {
            let short = flags.iter().filter_map(|f| Some((f.short?, f.help)));
            found.extend(short.map(|(c, help)| candidate(format!("-{c}"), Kind::Flag, help)));
        }
        return found;
    }
    let arguments = arguments(&words, &flags);
    let commands = command.map_or(tree::ROOT, |c| c.commands);
    if arguments.is_empty() && !commands.is_empty() {
        let works = commands.iter().filter(|c| c.state.works());
        let mut found: Vec<Candidate> = works
            .map(|c| candidate(c.name, Kind::Command, c.short))
            .collect();
        if command.is_none() {
            return found;
        }
        found.extend(positional(
            session,
            command.map_or("", |c| c.name),
            &arguments,
            partial,
            &words,
            &flags,
        ));
        return found;
    }
    let name = command.map_or("", |c| c.name);
    positional(session, name, &arguments, partial, &words, &flags)
}

fn named(flags: &[&'static Flag], word: &str) -> Option<&'static Flag> {
    let fits = |f: &&&'static Flag| match word.strip_prefix("--") {
        Some(long) => f.name == long,
        None => f.short.is_some_and(|s| word == format!("-{s}")),
    };
    flags.iter().find(fits).copied()
}

/// The words that are neither flags nor their values.
fn arguments(words: &[String], flags: &[&'static Flag]) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.starts_with('-') && word.len() > 1 {
            let takes = named(flags, word)
                .is_some_and(|f| !matches!(f.kind, Takes::Bool | Takes::Optional(_)));
            if takes {
                words.next();
            }
        } else {
            found.push(word.clone());
        }
    }
    found
}

/// The namespace that the command line means.
fn namespace(session: &Session, words: &[String], flags: &[&'static Flag]) -> String {
    let mut given = None;
    for (at, word) in words.iter().enumerate() {
        let (name, inline) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
        if named(flags, name).is_some_and(|f| f.name == "namespace") {
            given = inline
                .map(str::to_owned)
                .or_else(|| words.get(at + 1).cloned());
        }
    }
    given.unwrap_or_else(|| session.kubeconfig.namespace("").to_owned())
}

fn values(
    session: &Session,
    flag: &Flag,
    words: &[String],
    flags: &[&'static Flag],
) -> Vec<Candidate> {
    let fixed = |list: &[&str]| -> Vec<Candidate> {
        list.iter()
            .map(|v| candidate(*v, Kind::Value, ""))
            .collect()
    };
    let cluster = &session.simulation.cluster;
    match flag.name {
        "namespace" => objects(session, "namespaces", "", ""),
        "output" => fixed(&[
            "wide",
            "yaml",
            "json",
            "name",
            "jsonpath=",
            "custom-columns=",
            "go-template=",
            "kyaml",
        ]),
        "dry-run" => fixed(&["client", "server", "none"]),
        "cascade" => fixed(&["background", "foreground", "orphan"]),
        "restart" => fixed(&["Always", "OnFailure", "Never"]),
        "type" => fixed(&["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
        "validate" => fixed(&["strict", "warn", "ignore"]),
        "for" => fixed(&["condition=", "create", "delete", "jsonpath="]),
        "context" => session
            .kubeconfig
            .contexts
            .keys()
            .map(|c| candidate(c.as_str(), Kind::Value, "a context"))
            .collect(),
        "filename" | "kustomize" | "from-file" | "from-env-file" | "patch-file" => {
            session.file_candidates("")
        }
        "image" => cluster
            .etcd
            .list("pods", None)
            .flat_map(|(_, o)| o["spec"]["containers"].items().to_vec())
            .map(|c| candidate(c["image"].str(), Kind::Value, "an image that runs here"))
            .collect(),
        "container" => {
            let namespace = namespace(session, words, flags);
            let arguments = arguments(words, flags);
            let pod = arguments
                .first()
                .map_or("", |a| a.rsplit('/').next().unwrap_or(a));
            let containers = cluster.find("pods", &namespace, pod).map(|o| {
                let names = ["containers", "initContainers", "ephemeralContainers"];
                names
                    .iter()
                    .flat_map(|field| o["spec"][*field].items())
                    .map(|c| candidate(c["name"].str(), Kind::Object, "a container"))
                    .collect()
            });
            containers.unwrap_or_default()
        }
        "serviceaccount" => objects(
            session,
            "serviceaccounts",
            &namespace(session, words, flags),
            "",
        ),
        "selector" => {
            let namespace = namespace(session, words, flags);
            let pods = cluster.etcd.list("pods", Some(&namespace));
            let mut pairs: Vec<String> = pods
                .flat_map(|(_, o)| o.labels().entries().to_vec())
                .map(|(key, value)| format!("{key}={}", value.str()))
                .collect();
            pairs.sort();
            pairs.dedup();
            pairs
                .into_iter()
                .map(|p| candidate(p, Kind::Value, ""))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// What the commands take that are not told by their flags.
fn positional(
    session: &Session,
    command: &str,
    arguments: &[String],
    partial: &str,
    words: &[String],
    flags: &[&'static Flag],
) -> Vec<Candidate> {
    let namespace = namespace(session, words, flags);
    let first = arguments.is_empty();
    match command {
        "cordon" | "uncordon" | "drain" => objects(session, "nodes", "", ""),
        "taint" if first => vec![candidate("nodes", Kind::Resource, "")],
        "use-context" | "delete-context" | "set-context" | "rename-context" if first => session
            .kubeconfig
            .contexts
            .keys()
            .map(|c| candidate(c.as_str(), Kind::Value, "a context"))
            .collect(),
        "logs" | "exec" | "attach" | "port-forward" | "debug" | "cp" if first => {
            let mut found = of_kind(session, "pods", &namespace, "");
            if let Some((kind, _)) = partial.split_once('/') {
                found = of_word(session, kind, &namespace, true);
            } else if command != "cp" {
                for kind in ["deployment/", "service/", "job/"] {
                    found.push(candidate(kind, Kind::Resource, ""));
                }
            }
            found
        }
        "logs" => {
            let pod = session
                .simulation
                .cluster
                .find("pods", &namespace, &arguments[0]);
            let containers = pod.map(|o| o["spec"]["containers"].items().to_vec());
            let containers = containers.unwrap_or_default();
            containers
                .iter()
                .map(|c| candidate(c["name"].str(), Kind::Object, "a container"))
                .collect()
        }
        "explain" | "api-resources" => kinds(session, &[]),
        "status" | "history" | "undo" | "pause" | "resume" | "restart" => named_or_kinds(
            session,
            arguments,
            partial,
            &namespace,
            &["deployments", "daemonsets", "statefulsets"],
        ),
        "scale" => named_or_kinds(
            session,
            arguments,
            partial,
            &namespace,
            &[
                "deployments",
                "statefulsets",
                "replicasets",
                "replicationcontrollers",
            ],
        ),
        "autoscale" => named_or_kinds(
            session,
            arguments,
            partial,
            &namespace,
            &["deployments", "statefulsets", "replicasets"],
        ),
        "expose" => named_or_kinds(
            session,
            arguments,
            partial,
            &namespace,
            &[
                "deployments",
                "pods",
                "services",
                "replicasets",
                "replicationcontrollers",
            ],
        ),
        "image" | "env" | "resources" | "serviceaccount"
            if !first || command != "serviceaccount" =>
        {
            named_or_kinds(
                session,
                arguments,
                partial,
                &namespace,
                &[
                    "deployments",
                    "daemonsets",
                    "statefulsets",
                    "cronjobs",
                    "pods",
                ],
            )
        }
        "token" if first => objects(session, "serviceaccounts", &namespace, ""),
        "approve" | "deny" => objects(
            session,
            "certificatesigningrequests.certificates.k8s.io",
            "",
            "",
        ),
        "pod" | "node" if first => of_word(session, command, &namespace, false),
        "get" | "describe" | "delete" | "edit" | "label" | "annotate" | "patch" | "wait"
        | "taint" | "set-last-applied" | "view-last-applied" => {
            named_or_kinds(session, arguments, partial, &namespace, &[])
        }
        "can-i" if first => [
            "get", "list", "watch", "create", "update", "patch", "delete", "*",
        ]
        .map(|v| candidate(v, Kind::Value, ""))
        .into(),
        "can-i" => kinds(session, &[]),
        "kustomize" | "diff" | "apply" | "replace" => session.file_candidates(partial),
        _ => Vec::new(),
    }
}

fn named_or_kinds(
    session: &Session,
    arguments: &[String],
    partial: &str,
    namespace: &str,
    only: &[&str],
) -> Vec<Candidate> {
    match (partial.split_once('/'), arguments.first()) {
        (Some((kind, _)), _) => of_word(session, kind, namespace, true),
        (None, None) => kinds(session, only),
        (None, Some(kind)) if kind.contains('/') => Vec::new(),
        (None, Some(kind)) => of_word(session, kind, namespace, false),
    }
}

/// The kinds, the usual ones first.
fn kinds(session: &Session, only: &[&str]) -> Vec<Candidate> {
    let help = |r: &Resource| match (&r.short_names[..], &*r.group) {
        ([], "") => r.kind.to_string(),
        ([], group) => format!("{} ({group})", r.kind),
        (short, _) => format!("{}, {}", r.kind, short.join(", ")),
    };
    let mut all = session.simulation.cluster.resources();
    all.retain(|r| only.is_empty() || only.contains(&&*r.plural));
    all.sort_by_key(|r| {
        let place = FIRST
            .iter()
            .position(|f| *f == &*r.plural && !r.id().contains("events."));
        (place.unwrap_or(FIRST.len()), r.plural.clone())
    });
    all.iter()
        .map(|r| candidate(&*r.plural, Kind::Resource, &help(r)))
        .collect()
}

fn of_word(session: &Session, word: &str, namespace: &str, with_kind: bool) -> Vec<Candidate> {
    let last = word.rsplit(',').next().unwrap_or(word);
    match session.simulation.cluster.resource_by_name(last) {
        Some(resource) => {
            let prefix = if with_kind {
                format!("{word}/")
            } else {
                String::new()
            };
            of_kind(session, &resource.id(), namespace, &prefix)
        }
        None => Vec::new(),
    }
}

fn of_kind(session: &Session, id: &str, namespace: &str, prefix: &str) -> Vec<Candidate> {
    let namespaced = session
        .simulation
        .cluster
        .resource_by_id(id)
        .is_some_and(|r| r.namespaced);
    objects(session, id, if namespaced { namespace } else { "" }, prefix)
}

fn objects(session: &Session, id: &str, namespace: &str, prefix: &str) -> Vec<Candidate> {
    let within = (!namespace.is_empty()).then_some(namespace);
    let all = session.simulation.cluster.etcd.list(id, within);
    let state = |o: &kubarium_objects::Value| o["status"]["phase"].str().to_owned();
    all.map(|(key, o)| candidate(format!("{prefix}{}", key.name), Kind::Object, &state(o)))
        .collect()
}
