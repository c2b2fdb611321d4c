//! Answers to what views ask that are loaded when they are opened.

use kubarium_cluster::Cluster;
use kubarium_cluster::scheduler::{self, FILTERS, SCORERS};
use kubarium_objects::{Value, array, object};
use kubarium_shell::Session;
use kubarium_shell::editor::{self, Offers, Told};
use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::{
    Brief, Candidate, Change, Decision, Effect, Preview, Question, Scheduling,
};

use crate::gap;
use crate::inspect::{self, diagnostic};
use crate::rule_text::{self, Memory};

/// The most decisions that are listed.
const RECENT_MAX: usize = 60;
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
        Question::Gap(id) => encode(&gap::gap(&session.simulation.cluster, &id)),
        Question::RuleText { node, table } => encode(&rule_text::text(session, &node, &table)),
        Question::RuleChanges { node, table } => {
            encode(&rule_text::changes(session, memory, &node, &table))
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
