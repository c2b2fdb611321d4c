//! The scheduler's decisions: nodes by filters and scores, and who was best.

use kubarium_snapshot::message::{decode, encode};
use kubarium_snapshot::rare::{Candidate, Decision, Question, Scheduling as Told};
use kubarium_snapshot::{Reply, Request};
use leptos::{prelude::*, wasm_split::wasm_split};

use crate::{
    icons,
    layout::Layout,
    panels::{Empty, Panel},
    parts::Loaded,
    simulator::Simulator,
    text::{fill, t},
};

/// The part of the page's module with this view.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Scheduling /> }.into_any())
}

/// The scheduler's decisions: the latest as a list, one of them as a table.
#[component]
fn Scheduling() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let chosen = RwSignal::new(String::new());
    // The pod that is selected anywhere is the one that is looked at.
    Effect::new(move |_| {
        if let Some(id) = simulator.selected.get().and_then(|id| pod_of(&id)) {
            chosen.set(id);
        }
    });
    let answer = simulator.watch(move || {
        simulator.events.track();
        let question = Question::Scheduling(chosen.get());
        layout
            .is_shown(Panel::Scheduling)
            .then(|| Request::Rare(encode(&question)))
    });
    let told = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Rare(bytes)) => decode::<Told>(bytes).unwrap_or_default(),
        _ => Told::default(),
    });
    // Before anything is chosen, the latest.
    Effect::new(move |_| {
        let latest = told.read().recent.first().map(|brief| brief.id.clone());
        if let Some(id) = latest.filter(|_| chosen.read_untracked().is_empty()) {
            chosen.set(id);
        }
    });
    let listed = Memo::new(move |_| told.read().recent.clone());
    let shown = Memo::new(move |_| told.read().decision.clone());
    view! {
        <div class="scheduling">
            <nav class="resources" aria-label=t("scheduling.recent")>
                <ul>
                    <For each=move || listed.get() key=|brief| (brief.id.clone(), brief.node.clone()) let:brief>
                        {
                            let (this, id) = (brief.id.clone(), brief.id);
                            let node = if brief.node.is_empty() { t("scheduling.waits").to_owned() } else { brief.node };
                            view! {
                                <li>
                                    <button type="button" class="resource" aria-pressed=move || (*chosen.read() == this).to_string() on:click=move |_| chosen.set(id.clone())>
                                        <span class="pod-name">{brief.pod}</span>
                                        <span class="n">{node}</span>
                                    </button>
                                </li>
                            }
                        }
                    </For>
                </ul>
            </nav>
            <div class="stored" tabindex="0" role="region" aria-label=t("panel.scheduling")>
                {move || match shown.get() {
                    Some(decision) => table(simulator, decision).into_any(),
                    None => view! { <Empty icon=icons::SCHEDULING what=t("scheduling.empty") how=t("scheduling.empty.how") /> }.into_any(),
                }}
            </div>
        </div>
    }
}

/// The pod of an id, as decisions know it.
fn pod_of(id: &str) -> Option<String> {
    if id.starts_with("pod:") {
        return Some(id.to_owned());
    }
    let name = id.strip_prefix("object:pods/")?;
    Some(format!("pod:{name}"))
}

fn table(simulator: Simulator, decision: Decision) -> impl IntoView {
    let id = decision.id.clone();
    let bound = !decision.node.is_empty();
    let verdict = if bound {
        fill("scheduling.bound", &[("node", &decision.node)])
    } else {
        decision.message.clone()
    };
    let evicted = (!decision.evicted.is_empty()).then(|| {
        let pods = decision.evicted.join(", ");
        view! { <p class="note">{fill("scheduling.evicted", &[("pods", &pods), ("node", &decision.nominated)])}</p> }
    });
    let plain = decision.candidates.is_empty();
    let scored = decision
        .candidates
        .iter()
        .any(|candidate| !candidate.scores.is_empty());
    let head =
        |name: &String| view! { <th scope="col" class="turned"><span>{name.clone()}</span></th> };
    let filters = decision.filters.iter().map(head).collect_view();
    let scorers = decision.scorers.iter().map(|(name, weight)| {
        let name = format!("{name} × {weight}");
        view! { <th scope="col" class="turned score"><span>{name}</span></th> }
    });
    let scorers = scored.then(|| scorers.collect_view());
    let total = scored.then(
        || view! { <th scope="col" class="turned score"><span>{t("scheduling.total")}</span></th> },
    );
    let rows = decision
        .candidates
        .iter()
        .map(|candidate| row(candidate, &decision, scored))
        .collect_view();
    view! {
        <header class="verdict-of" data-bound=bound.then_some("")>
            <h2>
                <button type="button" class="link" on:click=move |_| simulator.selected.set(Some(id.clone()))>{decision.pod.clone()}</button>
            </h2>
            <p>{verdict}</p>
            {evicted}
        </header>
        {if plain {
            view! { <p class="note">{t("scheduling.plain")}</p> }.into_any()
        } else {
            view! {
                <table class="decision">
                    <caption class="unseen">{t("scheduling.caption")}</caption>
                    <thead>
                        <tr>
                            <th scope="col">{t("scheduling.node")}</th>
                            {filters}
                            {scorers}
                            {total}
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
                <p class="note">{t("scheduling.legend")}</p>
            }
            .into_any()
        }}
    }
}

/// A node: what each filter said, and what each scorer gave.
fn row(candidate: &Candidate, decision: &Decision, scored: bool) -> impl IntoView + use<> {
    let chosen = candidate.node == decision.node;
    let passed = candidate.failed.is_none() && candidate.reasons.is_empty();
    let verdicts = decision.filters.iter().enumerate().map(|(at, filter)| {
        let (sign, word) = match candidate.failed {
            Some(failed) if at == failed => ("✗", t("scheduling.no")),
            Some(failed) if at < failed => ("✓", t("scheduling.yes")),
            None if passed => ("✓", t("scheduling.yes")),
            _ => ("·", t("scheduling.unasked")),
        };
        let described = format!("{filter}: {word}");
        let class = match sign {
            "✓" => "yes",
            "✗" => "no",
            _ => "unasked",
        };
        view! { <td data-verdict=class title=described><span aria-hidden="true">{sign}</span><span class="unseen">{word}</span></td> }
    });
    let reasons = candidate.reasons.join(", ");
    let span = (decision.scorers.len() + 1).to_string();
    let scores = scored.then(|| {
        if passed {
            let best = |at: usize| {
                let all = decision.candidates.iter().filter_map(|c| c.scores.get(at));
                all.max().copied().unwrap_or(0)
            };
            let cells = candidate.scores.iter().enumerate().map(|(at, score)| {
                let is_best = *score == best(at) && *score != 0;
                view! { <td class="score" data-best=is_best.then_some("")>{*score}</td> }
            });
            view! {
                {cells.collect_view()}
                <td class="score total">{candidate.total}</td>
            }
            .into_any()
        } else {
            view! { <td class="reason" colspan=span>{reasons.clone()}</td> }.into_any()
        }
    });
    let reason = (!scored && !passed).then(|| view! { <td class="reason">{reasons}</td> });
    view! {
        <tr data-chosen=chosen.then_some("") data-passed=passed.then_some("")>
            <th scope="row">
                {candidate.node.clone()}
                {chosen.then(|| view! { <span class="chip">{t("scheduling.chosen")}</span> })}
            </th>
            {verdicts.collect_view()}
            {scores}
            {reason}
        </tr>
    }
}
