//! Answers to what views ask that are loaded when they are opened.

use std::collections::{BTreeMap, BTreeSet};

use kubarium_cluster::scheduler::{self, FILTERS, SCORERS};
use kubarium_cluster::{Action, Cluster, EventId, kube_proxy};
use kubarium_objects::{Value, array, object};
use kubarium_shell::Session;
use kubarium_shell::editor::{self, Offers, Told};
use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::{
    Brief, Candidate, Change, Decision, Effect, Preview, Question, RuleText, Scheduling,
};

use crate::commands::word;
use crate::inspect::{self, diagnostic};
use crate::rules;

/// The most decisions that are listed.
const RECENT_MAX: usize = 60;
/// The most lines of a node's rules that are sent.
const LINES_MAX: usize = 2000;
/// The most commands that are tried for the one that changed them, and the most events that are looked through.
const DEEDS_MAX: usize = 4;
const EVENTS_MAX: usize = 20_000;

/// What was worked out before: what a tool printed just before an event, by command line and event. To be forgotten
/// whenever the past may have become another.
pub(crate) type Memory = BTreeMap<(String, u32), Option<String>>;

/// The answer to a question, both in their binary form; empty for what is no question.
pub(crate) fn answer(session: &mut Session, memory: &mut Memory, question: &[u8]) -> Vec<u8> {
    let Some(question) = decode::<Question>(question) else {
        return Vec::new();
    };
    match question {
        Question::Offers {
            text,
            beside,
            line,
            column,
        } => encode(&offers(session.offers(&text, &beside, line, column)).to_json()),
        Question::Told { text, line, column } => {
            let told = session.told(&text, line, column);
            encode(&told.map_or_else(String::new, |told| told_json(told).to_json()))
        }
        Question::Diagnose { text, beside } => {
            let found = session.diagnose(&text, &beside);
            encode(
                &found
                    .iter()
                    .map(|d| diagnostic(&text, d))
                    .collect::<Vec<_>>(),
            )
        }
        Question::Preview(files) => {
            let previews = files
                .into_iter()
                .map(|(file, text)| preview(session, file, &text));
            encode(&previews.collect::<Vec<_>>())
        }
        Question::Write(files) => {
            for (file, text) in files {
                // A name that is no file's is told by kubectl, which does not find it.
                let _ = session.write_file(&file, text.as_bytes());
            }
            Vec::new()
        }
        Question::Scheduling(id) => encode(&scheduling(&session.simulation.cluster, &id)),
        Question::RuleText { node, table, since } => {
            encode(&rule_text(session, memory, &node, &table, since))
        }
    }
}

fn offers(offers: Offers) -> Value {
    let offer = |offer: editor::Offer| {
        object([
            ("label", offer.label.into()),
            ("insert", offer.insert.into()),
            ("detail", offer.detail.into()),
            ("words", offer.words.into()),
            ("required", offer.required.into()),
        ])
    };
    object([
        ("from", offers.from.into()),
        ("to", offers.to.into()),
        ("offers", array(offers.offers.into_iter().map(offer))),
    ])
}

fn told_json(told: Told) -> Value {
    object([
        ("from", told.from.into()),
        ("to", told.to.into()),
        ("path", told.path.into()),
        ("type", told.type_name.into()),
        ("required", told.required.into()),
        ("words", told.words.into()),
        ("default", told.default.into()),
        ("allowed", told.allowed.into()),
    ])
}

fn preview(session: &Session, file: String, text: &str) -> Preview {
    let found = session.preview(&file, text);
    let change = |change: editor::Change| Change {
        line: u32::try_from(change.line).unwrap_or(u32::MAX),
        kind: change.kind,
        name: change.name,
        effect: match change.effect {
            editor::Effect::Created => Effect::Created,
            editor::Effect::Changed => Effect::Changed,
            editor::Effect::Unchanged => Effect::Unchanged,
            editor::Effect::Refused => Effect::Refused,
            editor::Effect::Left => Effect::Left,
        },
        diff: change.diff,
        says: change.says,
    };
    Preview {
        file,
        changes: found.changes.into_iter().map(change).collect(),
        more: found.more,
    }
}

// --- The scheduler --------------------------------------------------------------------------------

fn scheduling(cluster: &Cluster, id: &str) -> Scheduling {
    let decisions = &cluster.scheduler;
    let brief = |(_, decision): (_, &scheduler::Decision)| Brief {
        id: format!("pod:{}", decision.pod),
        pod: decision.pod.to_string(),
        node: decision.node.as_deref().unwrap_or_default().to_owned(),
    };
    let key = inspect::key_of(id);
    let found = key.as_ref().and_then(|key| decisions.decision(key));
    Scheduling {
        recent: decisions
            .recent_decisions()
            .take(RECENT_MAX)
            .map(brief)
            .collect(),
        decision: found.map(decision),
    }
}

fn decision(found: &scheduler::Decision) -> Decision {
    let mut candidates: Vec<Candidate> = (found.feasible.iter())
        .map(|node| {
            let scores = found.scores.get(node);
            Candidate {
                node: node.to_string(),
                scores: scores.map_or_else(Vec::new, |scores| {
                    let score =
                        |(plugin, _): &(&str, i64)| scores.get(plugin).copied().unwrap_or(0);
                    SCORERS.iter().map(score).collect()
                }),
                total: found.totals.get(node).copied().unwrap_or(0),
                ..Candidate::default()
            }
        })
        .collect();
    candidates.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.node.cmp(&b.node)));
    for (node, reasons) in &found.reasons {
        let filter = found.filters.get(node).copied().unwrap_or_default();
        candidates.push(Candidate {
            node: node.to_string(),
            failed: FILTERS.iter().position(|f| *f == filter),
            reasons: reasons.iter().map(ToString::to_string).collect(),
            ..Candidate::default()
        });
    }
    Decision {
        id: format!("pod:{}", found.pod),
        pod: found.pod.to_string(),
        node: found.node.as_deref().unwrap_or_default().to_owned(),
        message: found.message.as_deref().unwrap_or_default().to_owned(),
        filters: FILTERS.iter().map(|f| (*f).to_owned()).collect(),
        scorers: SCORERS
            .iter()
            .map(|(name, weight)| ((*name).to_owned(), *weight))
            .collect(),
        candidates,
        evicted: found.evicted.iter().map(ToString::to_string).collect(),
        nominated: found.nominated.as_deref().unwrap_or_default().to_owned(),
    }
}

// --- Rules as text --------------------------------------------------------------------------------

fn rule_text(
    session: &mut Session,
    memory: &mut Memory,
    node: &str,
    table: &str,
    since: Option<u32>,
) -> RuleText {
    let cluster = &mut session.simulation.cluster;
    // kube-proxy makes its rules when somebody looks.
    kube_proxy::bring_up_to_date(cluster, node);
    let table = rules::command(cluster, node, &word(table));
    let command = format!("ssh {} {table}", word(node));
    let Some(now) = dump(session, &command) else {
        return RuleText::default();
    };
    let candidates = match since {
        Some(event) => vec![event],
        None => deeds(&session.simulation.cluster),
    };
    let log = &session.simulation.cluster.log;
    let name = |event: u32| {
        let text = log.get(EventId(event)).map(|e| e.text.to_string());
        (event, text.unwrap_or_default())
    };
    // Of the last commands the one that made a difference.
    let mut since = candidates.first().map(|event| name(*event));
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for event in candidates {
        let before = memory
            .entry((command.clone(), event))
            .or_insert_with(|| earlier(session, event, node, &command));
        let Some(before) = before else {
            break;
        };
        (added, removed) = differences(before, &now);
        if !added.is_empty() || !removed.is_empty() {
            since = Some(name(event));
            break;
        }
    }
    let lines = now.lines().count();
    RuleText {
        text: now.split_inclusive('\n').take(LINES_MAX).collect(),
        more: lines.saturating_sub(LINES_MAX),
        command,
        since,
        added,
        removed,
    }
}

/// The last commands and faults that had consequences, the newest first.
fn deeds(cluster: &Cluster) -> Vec<u32> {
    let (mut causes, mut found) = (BTreeSet::new(), Vec::new());
    for event in cluster.log.iter().rev().take(EVENTS_MAX) {
        if matches!(event.action, Action::Command | Action::Fault) && causes.contains(&event.id) {
            found.push(event.id.0);
            if found.len() == DEEDS_MAX {
                break;
            }
        }
        causes.extend(event.cause);
    }
    found
}

/// What the tool prints, without the lines that tell the time.
fn dump(session: &Session, command: &str) -> Option<String> {
    let mut copy = session.clone();
    let printed = copy.run(command);
    (printed.status == 0).then(|| {
        let stdout = printed.stdout();
        let kept = stdout
            .split_inclusive('\n')
            .filter(|line| !line.starts_with('#'));
        kept.collect()
    })
}

/// What the tool printed just before an event.
fn earlier(session: &Session, event: u32, node: &str, command: &str) -> Option<String> {
    let mut copy = session.clone();
    copy.goto(EventId(event.checked_sub(1)?)).ok()?;
    kube_proxy::bring_up_to_date(&mut copy.simulation.cluster, node);
    dump(&copy, command)
}

/// The lines that only the second text has, and those that only the first has, each as often as it has them more.
fn differences(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let count = |text: &'_ str| {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            *lines.entry(plain(line).to_owned()).or_default() += 1;
        }
        lines
    };
    let only = |text: &str, other: &str| {
        let mut left = count(other);
        let is_new = |line: &&str| match left.get_mut(plain(line)) {
            Some(n) if *n > 0 => {
                *n -= 1;
                false
            }
            _ => true,
        };
        let lines = text.lines().filter(is_new).take(LINES_MAX);
        lines.map(|line| plain(line).to_owned()).collect()
    };
    (only(after, before), only(before, after))
}

/// A line without its counters: `:INPUT ACCEPT [12:3456]`.
fn plain(line: &str) -> &str {
    match line
        .strip_suffix(']')
        .and_then(|rest| rest.rsplit_once(" ["))
    {
        Some((rest, _)) if line.starts_with(':') => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use kubarium_cluster::Config;
    use kubarium_snapshot::inspect::Diagnostic;
    use kubarium_snapshot::{Reply, Request};

    fn engine() -> Engine {
        let mut engine = Engine::new(Config::default());
        for line in [
            "kubectl create deployment web --image=nginx --replicas=2",
            "sim settle",
            "kubectl expose deployment web --port=80",
            "sim settle",
        ] {
            engine.answer(Request::Command(line.to_owned()));
        }
        engine
    }

    fn ask(engine: &mut Engine, question: &Question) -> Vec<u8> {
        match engine.answer(Request::Rare(encode(question))) {
            Reply::Rare(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_decision_is_a_table_of_nodes_by_filters_and_scores() {
        let mut engine = engine();
        let all: Scheduling =
            decode(&ask(&mut engine, &Question::Scheduling(String::new()))).expect("an answer");
        assert_eq!(all.decision, None);
        let web = all
            .recent
            .iter()
            .find(|brief| brief.pod.starts_with("default/web-"));
        let id = web.expect("a decision about web").id.clone();
        let found: Scheduling =
            decode(&ask(&mut engine, &Question::Scheduling(id.clone()))).expect("an answer");
        let decision = found.decision.expect("its decision");
        let best = &decision.candidates[0];
        assert_eq!((&best.node, best.failed), (&decision.node, None));
        assert_eq!(
            (best.scores.len(), best.scores.iter().sum::<i64>()),
            (decision.scorers.len(), best.total)
        );
        let control = decision
            .candidates
            .iter()
            .find(|c| c.node == "control-plane")
            .expect("the control plane");
        assert_eq!(
            control.failed.map(|at| decision.filters[at].as_str()),
            Some("TaintToleration")
        );
        assert_eq!(control.reasons, ["node(s) had untolerated taint(s)"]);
    }

    #[test]
    fn rules_are_told_as_text_and_by_what_the_last_command_changed() {
        let mut engine = engine();
        let question = Question::RuleText {
            node: "worker-1".to_owned(),
            table: "nat".to_owned(),
            since: None,
        };
        let told: RuleText = decode(&ask(&mut engine, &question)).expect("an answer");
        assert_eq!(told.command, "ssh worker-1 iptables-save -t nat");
        let since = told.since.map(|(_, line)| line).unwrap_or_default();
        assert_eq!(since, "kubectl expose deployment web --port=80");
        assert!(
            told.added
                .iter()
                .any(|line| line.contains("default/web cluster IP")),
            "{:?}",
            told.added
        );
        assert_eq!(told.removed, Vec::<String>::new());
        engine.answer(Request::Command("kubectl delete service web".to_owned()));
        engine.answer(Request::Command("sim settle".to_owned()));
        let told: RuleText = decode(&ask(&mut engine, &question)).expect("an answer");
        assert!(told.added.is_empty() && !told.removed.is_empty());
    }

    #[test]
    fn manifests_are_checked_as_the_api_server_would() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspek: {}\n".to_owned();
        let beside = Vec::new();
        let question = Question::Diagnose { text, beside };
        let found: Vec<Diagnostic> = decode(&ask(&mut engine(), &question)).expect("an answer");
        let found: Vec<_> = found
            .iter()
            .map(|d| (d.line, d.column, d.end_column, d.message.as_str()))
            .collect();
        assert_eq!(found, [(5, 1, 5, "unknown field \"spek\"")]);
    }

    #[test]
    fn what_an_editor_asks_is_answered_as_json() {
        let mut engine = engine();
        let (line, column) = (2, 7);
        let text = "apiVersion: v1\nkind: ".to_owned();
        let offers: String = decode(&ask(
            &mut engine,
            &Question::Offers {
                text: text.clone(),
                beside: Vec::new(),
                line,
                column,
            },
        ))
        .expect("an answer");
        assert!(offers.contains("\"insert\":\"ConfigMap\""), "{offers}");
        let told: String = decode(&ask(
            &mut engine,
            &Question::Told {
                text: text + "Pod",
                line,
                column,
            },
        ))
        .expect("an answer");
        assert!(told.contains("pods of v1"), "{told}");
        let previews: Vec<Preview> = decode(&ask(
            &mut engine,
            &Question::Preview(vec![("a.yaml".to_owned(), "kind: Pod".to_owned())]),
        ))
        .expect("an answer");
        assert_eq!(previews[0].changes[0].effect, Effect::Refused);
        let manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: written}\n";
        let files = vec![("b c.yaml".to_owned(), manifest.to_owned())];
        ask(&mut engine, &Question::Write(files));
        match engine.answer(Request::Command("kubectl apply -f 'b c.yaml'".to_owned())) {
            Reply::Output(output) => assert_eq!(output.text, "namespace/written created\n"),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            engine.answer(Request::Rare(vec![9, 9, 9])),
            Reply::Rare(Vec::new())
        );
    }
}
