//! A node's rules as its tool prints them, and what the last command changed in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_cluster::{Cluster, EventId, kube_proxy};
use kubarium_linux::netfilter::{Chain, TableKind};
use kubarium_linux::{NamespaceId, Network, tools};
use kubarium_shell::Session;
use kubarium_snapshot::rare::{RuleChanges, RuleText};

use crate::commands::word;
use crate::rules;

/// The most lines that are sent.
const LINES_MAX: usize = 2000;
/// The most commands that are tried for the one that changed them.
const DEEDS_MAX: usize = 4;

/// The networks just before commands, with the rules of one node up to date: by node and the command's event. To be
/// forgotten whenever the past may have become another.
pub(crate) type Memory = BTreeMap<(String, EventId), Before>;

/// A node's network as it was.
pub(crate) struct Before {
    net: Network,
    netns: NamespaceId,
}

impl Before {
    fn of(cluster: &Cluster, node: &str) -> Option<Before> {
        let netns = cluster.machines.get(node)?.netns;
        let net = cluster.net.clone();
        Some(Before { net, netns })
    }

    /// Of a cluster whose kube-proxy has not made its rules: it does when somebody looks.
    fn of_past(cluster: &Cluster, node: &str) -> Option<Before> {
        let mut cluster = cluster.clone();
        kube_proxy::bring_up_to_date(&mut cluster, node);
        Before::of(&cluster, node)
    }

    /// The chains of a table of iptables by name.
    fn chains(&self, table: TableKind) -> BTreeMap<&str, &Arc<Chain>> {
        let netfilter = self.net.namespace(self.netns).map(|ns| &ns.netfilter);
        let table = netfilter.and_then(|netfilter| netfilter.table(table));
        let chains = table.map_or_else(Vec::new, |table| table.chains());
        chains
            .into_iter()
            .map(|chain| (chain.name.as_str(), chain))
            .collect()
    }

    /// A table of nftables as `nft` prints it.
    fn printed(&self, table: &str) -> String {
        let argv = ["nft", "list", "table", "ip", table].map(str::to_owned);
        let output = tools::run(
            &mut self.net.clone(),
            self.netns,
            &argv,
            kubarium_linux::Time(0),
        );
        output.stdout
    }
}

/// A node's rules as its tool prints them, without the lines that tell the time.
pub(crate) fn text(session: &mut Session, node: &str, table: &str) -> RuleText {
    let cluster = &mut session.simulation.cluster;
    kube_proxy::bring_up_to_date(cluster, node);
    let command = format!(
        "ssh {} {}",
        word(node),
        rules::command(cluster, node, &word(table))
    );
    let printed = session.clone().run(&command);
    if printed.status != 0 {
        return RuleText::default();
    }
    let stdout = printed.stdout();
    let lines = || {
        stdout
            .split_inclusive('\n')
            .filter(|line| !line.starts_with('#'))
    };
    RuleText {
        text: lines().take(LINES_MAX).collect(),
        more: lines().count().saturating_sub(LINES_MAX),
        command,
    }
}

/// Of the last commands the one that made a difference, and which.
pub(crate) fn changes(
    session: &mut Session,
    memory: &mut Memory,
    node: &str,
    table: &str,
) -> RuleChanges {
    let simulation = &mut session.simulation;
    kube_proxy::bring_up_to_date(&mut simulation.cluster, node);
    let log = &simulation.cluster.log;
    // What had no consequences changed no rules.
    let caused = |event: EventId| {
        log.get(EventId(event.0.saturating_add(1)))
            .and_then(|next| next.cause)
            == Some(event)
    };
    let deeds = simulation.outside().filter(|(event, _)| caused(*event));
    let mut told = RuleChanges::default();
    let Some(now) = Before::of(&simulation.cluster, node) else {
        return told;
    };
    for (event, cluster) in deeds.take(DEEDS_MAX) {
        let known = memory.contains_key(&(node.to_owned(), event));
        if !known && let Some(before) = Before::of_past(cluster, node) {
            memory.insert((node.to_owned(), event), before);
        }
        let Some(before) = memory.get(&(node.to_owned(), event)) else {
            break;
        };
        let (added, removed) = differences(before, &now, table);
        let is_it = !added.is_empty() || !removed.is_empty();
        if is_it || told.since.is_empty() {
            let since = log
                .get(event)
                .map_or_else(String::new, |e| e.text.to_string());
            told = RuleChanges {
                since,
                added,
                removed,
            };
        }
        if is_it {
            break;
        }
    }
    told
}

/// The lines that only the second has, and those that only the first has.
fn differences(before: &Before, after: &Before, table: &str) -> (Vec<String>, Vec<String>) {
    let Some(kind) = TableKind::parse(table) else {
        let (was, is) = (before.printed(table), after.printed(table));
        return (only(is.lines(), was.lines()), only(was.lines(), is.lines()));
    };
    let (was, is) = (before.chains(kind), after.chains(kind));
    let mut differ: Vec<&str> = was.keys().chain(is.keys()).copied().collect();
    differ.sort_unstable();
    differ.dedup();
    // What is unchanged is shared, most of it.
    differ.retain(|name| match (was.get(name), is.get(name)) {
        (Some(was), Some(is)) => !Arc::ptr_eq(was, is) && was != is,
        _ => true,
    });
    let lines = |of: &BTreeMap<&str, &Arc<Chain>>| -> Vec<String> {
        let chains = differ.iter().filter_map(|name| of.get(name));
        chains.flat_map(|chain| saved(chain)).collect()
    };
    let (was, is) = (lines(&was), lines(&is));
    let text = String::as_str;
    (
        only(is.iter().map(text), was.iter().map(text)),
        only(was.iter().map(text), is.iter().map(text)),
    )
}

/// A chain as `iptables-save` prints it, without its counters.
fn saved(chain: &Chain) -> impl Iterator<Item = String> + use<'_> {
    let policy = chain.policy.map_or("-", |policy| policy.name());
    let head = format!(":{} {policy}", chain.name);
    std::iter::once(head).chain((0..chain.rules.len()).map(move |at| chain.rule_text(at)))
}

/// The lines that the first has and the second has not, each as often as it has it more; as many as are sent.
fn only<'a>(
    these: impl Iterator<Item = &'a str>,
    those: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    those.for_each(|line| *left.entry(line).or_default() += 1);
    let is_new = |line: &&str| match left.get_mut(*line) {
        Some(n) if *n > 0 => {
            *n -= 1;
            false
        }
        _ => true,
    };
    these
        .filter(is_new)
        .take(LINES_MAX)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use kubarium_cluster::Config;
    use kubarium_snapshot::message::{decode, encode};
    use kubarium_snapshot::rare::Question;
    use kubarium_snapshot::{Reply, Request};

    fn engine(lines: &[&str]) -> Engine {
        let mut engine = Engine::new(Config::default());
        for line in lines {
            engine.answer(Request::Command((*line).to_owned()));
        }
        engine
    }

    fn ask(engine: &mut Engine, question: &Question) -> Vec<u8> {
        match engine.answer(Request::Rare(encode(question))) {
            Reply::Rare(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    const WEB: [&str; 4] = [
        "kubectl create deployment web --image=nginx --replicas=2",
        "sim settle",
        "kubectl expose deployment web --port=80",
        "sim settle",
    ];

    #[test]
    fn rules_are_told_as_their_tool_prints_them() {
        let question = Question::RuleText {
            node: "worker-1".to_owned(),
            table: "nat".to_owned(),
        };
        let told: RuleText = decode(&ask(&mut engine(&WEB), &question)).expect("an answer");
        assert_eq!(told.command, "ssh worker-1 iptables-save -t nat");
        assert!(
            told.text.starts_with("*nat\n:PREROUTING ACCEPT"),
            "{}",
            told.text
        );
        assert!(told.text.ends_with("COMMIT\n"), "{}", told.text);
    }

    /// What is told of the last command after all of them: a part of the command line, of an added and a removed line.
    fn check(more: &[&str], since: &str, added: &str, removed: &str) {
        let mut engine = engine(&WEB);
        for line in more {
            engine.answer(Request::Command((*line).to_owned()));
            engine.answer(Request::Command("sim settle".to_owned()));
        }
        let question = Question::RuleChanges {
            node: "worker-1".to_owned(),
            table: "nat".to_owned(),
        };
        let asked = ask(&mut engine, &question);
        let told: RuleChanges = decode(&asked).expect("an answer");
        assert!(told.since.contains(since), "{more:?}: {}", told.since);
        for (part, lines) in [(added, &told.added), (removed, &told.removed)] {
            let found = match part {
                "" => lines.is_empty(),
                part => lines.iter().any(|line| line.contains(part)),
            };
            assert!(found, "{more:?}: {part} in {lines:?}");
        }
        assert_eq!(ask(&mut engine, &question), asked, "asked again");
    }

    #[test]
    fn what_the_last_command_changed_is_told() {
        check(&[], "kubectl expose", "default/web cluster IP", "");
        let cluster_ip = ":KUBE-SVC-";
        check(
            &["kubectl delete service web"],
            "kubectl delete",
            "",
            cluster_ip,
        );
        check(
            &["kubectl scale deployment web --replicas=3"],
            "kubectl scale",
            ":KUBE-SEP-",
            "probability 0.5",
        );
        check(
            &["sim fault rule worker-1 nat KUBE-SERVICES 1"],
            "sim fault",
            "",
            "-A KUBE-SERVICES",
        );
        // What has changed no rule is passed over.
        check(
            &["kubectl create namespace shop"],
            "kubectl expose",
            "default/web",
            "",
        );
    }
}
