//! What could stand at the cursor of a command line: for the terminal's Tab key and the command
//! palette. Commands and flags come from the tables that parse them, names from the live objects.

use kubarium_posix::tools;

use crate::kubectl;
use crate::registry::TOOLS;
use crate::session::Session;

/// What a candidate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command or a subcommand.
    Command,
    /// A flag: `--namespace`.
    Flag,
    /// One of a flag's values.
    Value,
    /// A kind of object: `deployments`.
    Resource,
    /// An object's name.
    Object,
    /// A machine's name.
    Node,
    /// A file or a directory of the session.
    File,
}

/// A word that could stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The whole word.
    pub text: String,
    /// What it is.
    pub kind: Kind,
    /// What it is for, in a line; empty where there is nothing to say.
    pub help: String,
}

/// The candidates for the word at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Where that word begins, in bytes: what stands from here to the cursor is replaced.
    pub start: usize,
    /// In order.
    pub candidates: Vec<Candidate>,
}

/// More are of no use to anybody.
const CANDIDATES_MAX: usize = 500;

pub(crate) fn candidate(text: impl Into<String>, kind: Kind, help: &str) -> Candidate {
    Candidate {
        text: text.into(),
        kind,
        help: help.to_owned(),
    }
}

impl Session {
    /// What could stand at the cursor (a place in bytes) of a line.
    pub fn complete(&self, line: &str, cursor: usize) -> Completion {
        let end = (0..=cursor.min(line.len()))
            .rev()
            .find(|at| line.is_char_boundary(*at))
            .unwrap_or(0);
        let (words, start) = words(&line[..end]);
        let (before, partial) = match words.split_last() {
            Some((partial, before)) => (before, partial.as_str()),
            None => (&[][..], ""),
        };
        let mut found = match before {
            [] => commands(),
            [first, rest @ ..] => self.arguments(first, rest, partial),
        };
        found.retain(|c| c.text.starts_with(partial));
        found.dedup_by(|a, b| a.text == b.text);
        found.truncate(CANDIDATES_MAX);
        Completion {
            start,
            candidates: found,
        }
    }

    fn arguments(&self, command: &str, words: &[String], partial: &str) -> Vec<Candidate> {
        match (command, words) {
            ("kubectl" | "k", words) => kubectl::complete::candidates(self, words, partial),
            ("ssh", []) => self.machines(),
            ("ssh", [_]) => on_nodes(),
            ("ssh", [_, rest @ ..]) if rest[0] == "etcdctl" => etcdctl(rest.len()),
            ("ssh", _) => Vec::new(),
            ("etcdctl", words) => etcdctl(words.len() + 1),
            ("sim", words) => self.sim(words),
            // What runs another command.
            ("timeout" | "time" | "watch" | "xargs", [.., last])
                if words.iter().any(|w| w == "kubectl") && last != "kubectl" =>
            {
                let at = words.iter().position(|w| w == "kubectl").unwrap_or(0);
                kubectl::complete::candidates(self, &words[at + 1..], partial)
            }
            ("timeout", [_]) | ("time", []) => commands(),
            _ => self.file_candidates(partial),
        }
    }

    pub(crate) fn machines(&self) -> Vec<Candidate> {
        let machines = self.simulation.cluster.machines.keys();
        let mut found: Vec<Candidate> = machines
            .map(|name| candidate(&**name, Kind::Node, "a node"))
            .collect();
        found.push(candidate(
            "outside",
            Kind::Node,
            "the host outside of the cluster",
        ));
        found
    }

    fn sim(&self, words: &[String]) -> Vec<Candidate> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            [] => TOOLS
                .iter()
                .filter_map(|(name, help, _)| {
                    let name = name.strip_prefix("sim ")?;
                    Some(candidate(name, Kind::Command, help))
                })
                .collect(),
            ["trace", ..] => {
                let mut found = Vec::new();
                for (kind, resource) in [("pod", "pods"), ("svc", "services")] {
                    for (key, _) in self.simulation.cluster.etcd.list(resource, None) {
                        let name = match &*key.namespace {
                            "default" => key.name.to_string(),
                            namespace => format!("{}.{namespace}", key.name),
                        };
                        let text = match kind {
                            "pod" => format!("pod/{name}"),
                            _ if words.len() > 1 => name,
                            _ => continue,
                        };
                        found.push(candidate(text, Kind::Object, ""));
                    }
                }
                let nodes = self.machines().into_iter().filter(|c| c.text != "outside");
                found.extend(nodes.map(|c| candidate(format!("node/{}", c.text), Kind::Node, "")));
                found.push(candidate(
                    "outside",
                    Kind::Node,
                    "the host outside of the cluster",
                ));
                let options = ["-o", "--udp"].map(|o| candidate(o, Kind::Flag, ""));
                found.extend(options);
                found
            }
            ["node"] => ["add", "remove"]
                .map(|w| candidate(w, Kind::Command, ""))
                .into(),
            ["node", "remove"] => self.machines(),
            ["schedule"] => self.pending(),
            ["fault", ref rest @ ..] => self.faults(rest),
            ["settle"] => ["--quiet", "--timeout"]
                .map(|o| candidate(o, Kind::Flag, ""))
                .into(),
            ["events"] => ["--since", "-o"]
                .map(|o| candidate(o, Kind::Flag, ""))
                .into(),
            _ => Vec::new(),
        }
    }

    fn faults(&self, words: &[&str]) -> Vec<Candidate> {
        let cluster = &self.simulation.cluster;
        let found = kubarium_cluster::faults::complete(cluster, words, "default");
        found
            .into_iter()
            .map(|word| candidate(word, Kind::Command, ""))
            .collect()
    }

    fn pending(&self) -> Vec<Candidate> {
        let pods = self.simulation.cluster.etcd.list("pods", None);
        pods.filter(|(_, o)| o["spec"]["nodeName"].is_empty())
            .map(|(key, _)| candidate(&*key.name, Kind::Object, ""))
            .collect()
    }

    /// The files that begin like `partial`.
    pub(crate) fn file_candidates(&self, partial: &str) -> Vec<Candidate> {
        let (directory, _) = partial
            .rsplit_once('/')
            .map_or(("", partial), |(d, n)| (d, n));
        let absolute = self.absolute(
            &self.directory(),
            if partial.starts_with('/') && directory.is_empty() {
                "/"
            } else {
                directory
            },
        );
        let prefix = match partial.rfind('/') {
            Some(at) => &partial[..=at],
            None => "",
        };
        let mut found = Vec::new();
        for name in self.names_in(&absolute) {
            let path = format!("{}/{name}", absolute.trim_end_matches('/'));
            let slash = if self.is_directory(&path) { "/" } else { "" };
            found.push(candidate(format!("{prefix}{name}{slash}"), Kind::File, ""));
        }
        found
    }
}

fn commands() -> Vec<Candidate> {
    let mut found = vec![
        candidate("kubectl", Kind::Command, "Ask and change the cluster"),
        candidate("sim", Kind::Command, "The simulator's own commands"),
        candidate("ssh", Kind::Command, "Run a command on a node"),
    ];
    let tools = tools::names().chain([
        "cd", "echo", "export", "for", "if", "kill", "sleep", "timeout", "wait", "while",
    ]);
    let mut tools: Vec<Candidate> = tools
        .map(|name| candidate(name, Kind::Command, ""))
        .collect();
    tools.sort_by(|a, b| a.text.cmp(&b.text));
    found.extend(tools);
    found
}

/// Tools of a node, the most asked for first.
fn on_nodes() -> Vec<Candidate> {
    [
        ("ip", "addresses, links, routes, neighbours"),
        ("iptables-save", "the netfilter rules"),
        ("iptables", "look at netfilter rules, or change them"),
        ("nft", "look at nftables rules"),
        ("ipvsadm", "look at IPVS services"),
        ("ipset", "look at IP sets"),
        ("conntrack", "the connections that are tracked"),
        ("bridge", "the bridge's ports and addresses"),
        ("ss", "sockets"),
        ("sysctl", "kernel parameters"),
        ("crictl", "containers as the runtime sees them"),
        ("etcdctl", "etcd, on the control plane"),
        ("curl", "ask a web server"),
        ("ping", "whether a machine answers"),
        ("dig", "ask a name server"),
        ("nslookup", "ask a name server"),
        ("cat", "a file"),
        ("ls", "a directory"),
    ]
    .map(|(name, help)| candidate(name, Kind::Command, help))
    .into()
}

fn etcdctl(place: usize) -> Vec<Candidate> {
    if place == 1 {
        return ["get", "member", "endpoint", "watch"]
            .map(|w| candidate(w, Kind::Command, ""))
            .into();
    }
    [
        "--prefix",
        "--keys-only",
        "--count-only",
        "--print-value-only",
        "--from-key",
        "--limit",
        "/registry/",
    ]
    .map(|w| candidate(w, Kind::Value, ""))
    .into()
}

/// The words of the last command of a line, the last of them the one at its end, and where that
/// begins.
fn words(line: &str) -> (Vec<String>, usize) {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut begun, mut start, mut quote) = (String::new(), false, line.len(), None);
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => word.push(c),
            None if c == '\'' || c == '"' => {
                if !begun {
                    start = at;
                }
                (begun, quote) = (true, Some(c));
            }
            None if matches!(c, '|' | ';' | '&' | '(' | '\n') => {
                words.clear();
                word.clear();
                begun = false;
            }
            None if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            None => {
                if !begun {
                    start = at;
                }
                begun = true;
                match c {
                    '\\' => word.extend(chars.next().map(|(_, c)| c)),
                    c => word.push(c),
                }
            }
        }
    }
    if !begun {
        start = line.len();
    }
    words.push(word);
    // Assignments stand in front of the command.
    let assignments = words
        .iter()
        .take(words.len() - 1)
        .take_while(|w| w.contains('=') && !w.starts_with('-'))
        .count();
    words.drain(..assignments);
    (words, start)
}

#[cfg(test)]
mod tests {
    use crate::tests::session;

    #[track_caller]
    fn offers(line: &str, want: &[&str]) {
        let completion = session().complete(line, line.len());
        let texts: Vec<&str> = completion
            .candidates
            .iter()
            .map(|c| c.text.as_str())
            .collect();
        for text in want {
            assert!(
                texts.contains(text),
                "{line}: {text} is not among {texts:?}"
            );
        }
        let word = &line[completion.start..];
        for text in &texts {
            assert!(
                text.starts_with(word.trim_start_matches(['"', '\''])),
                "{line}: {text}"
            );
        }
    }

    #[test]
    fn candidates_fit_their_place() {
        offers("ku", &["kubectl"]);
        offers("kubectl ro", &["rollout"]);
        offers("kubectl rollout ", &["status", "undo", "history"]);
        offers("kubectl get deplo", &["deployments"]);
        offers("kubectl get nodes work", &["worker-1", "worker-2"]);
        offers("kubectl get node/", &["node/worker-1"]);
        offers("kubectl get pods -n kube-", &["kube-system"]);
        offers("kubectl -n kube-system get pods core", &[]);
        offers("kubectl get pods --name", &["--namespace"]);
        offers("kubectl get pods -o ", &["wide", "yaml", "jsonpath="]);
        offers("kubectl get pods --output=y", &["--output=yaml"]);
        offers(
            "kubectl create cm x --dry-run=",
            &["--dry-run=client", "--dry-run=server"],
        );
        offers("kubectl cordon ", &["worker-1"]);
        offers("kubectl create secret ", &["generic", "tls"]);
        offers(
            "kubectl config use-context ",
            &["kubernetes-admin@kubernetes"],
        );
        offers("kubectl get pods | gre", &["grep"]);
        offers("kubectl get pods; ssh wor", &["worker-1"]);
        offers("ssh worker-1 ipt", &["iptables-save"]);
        offers("sim tr", &["trace"]);
        offers("sim trace node/", &["node/worker-1"]);
        offers("timeout 5 kubectl get po", &["pods"]);
        offers("kubectl explain po", &["pods"]);
        offers("X=1 kubectl desc", &["describe"]);
        for line in [
            "",
            "'",
            "\"",
            "kubectl '",
            "kubectl get pods --",
            "\\",
            "é",
            "kubectl -",
            "|",
        ] {
            for cursor in 0..=line.len() + 1 {
                session().complete(line, cursor);
            }
        }
    }
}
