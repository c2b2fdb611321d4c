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
    let name = decision.pod.clone();
    let head = view! {
        <header class="verdict-of" data-bound=bound.then_some("")>
            <h2>
                <button type="button" class="link" on:click=move |_| simulator.selected.set(Some(id.clone()))>{name}</button>
            </h2>
            <p>{verdict}</p>
            {evicted}
        </header>
    };
    if decision.candidates.is_empty() {
        return view! { {head} <p class="note">{t("scheduling.plain")}</p> }.into_any();
    }
    let every = RwSignal::new(false);
    view! {
        {head}
        {move || nodes(&decision, every)}
    }
    .into_any()
}

/// The nodes by filters and scores. Filters that every node passed are folded, unless all are wanted.
fn nodes(decision: &Decision, every: RwSignal<bool>) -> impl IntoView + use<> {
    let all = every.get();
    let said_no = |at: &usize| decision.candidates.iter().any(|c| c.failed == Some(*at));
    let (shown, folded): (Vec<usize>, Vec<usize>) =
        (0..decision.filters.len()).partition(|at| all || said_no(at));
    let scored = decision.candidates.iter().any(|c| !c.scores.is_empty());
    let filters = shown
        .iter()
        .filter_map(|at| decision.filters.get(*at))
        .map(|name| view! { <th scope="col">{parted(name)}</th> })
        .collect_view();
    let scorers = scored.then(|| {
        let scorer = |(name, weight): &(String, i64)| {
            view! { <th scope="col" class="score">{parted(name)} " " <span class="weight">{format!("×{weight}")}</span></th> }
        };
        view! {
            {decision.scorers.iter().map(scorer).collect_view()}
            <th scope="col" class="score">{t("scheduling.total")}</th>
        }
    });
    let rows = decision
        .candidates
        .iter()
        .map(|candidate| row(candidate, decision, &shown, scored))
        .collect_view();
    let folded: Vec<&str> = folded
        .iter()
        .filter_map(|at| Some(decision.filters.get(*at)?.as_str()))
        .collect();
    let note =
        (!folded.is_empty()).then(|| fill("scheduling.folded", &[("filters", &folded.join(", "))]));
    let change = if all {
        t("scheduling.fold")
    } else {
        t("scheduling.unfold")
    };
    view! {
        <table class="decision">
            <caption class="unseen">{t("scheduling.caption")}</caption>
            <thead>
                <tr>
                    <th scope="col">{t("scheduling.node")}</th>
                    {filters}
                    {scorers}
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
        <p class="note">
            {note} " "
            <button type="button" class="link" on:click=move |_| every.set(!all)>{change}</button>
        </p>
        <p class="note">{t("scheduling.legend")}</p>
    }
}

/// A plugin's name that may be parted between its words.
fn parted(name: &str) -> String {
    let mut parted = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !parted.is_empty() {
            parted.push('\u{200b}');
        }
        parted.push(c);
    }
    parted
}

/// A node: what the filters said, and what each scorer gave.
fn row(
    candidate: &Candidate,
    decision: &Decision,
    shown: &[usize],
    scored: bool,
) -> impl IntoView + use<> {
    let chosen = candidate.node == decision.node;
    let passed = candidate.failed.is_none() && candidate.reasons.is_empty();
    let verdicts = shown.iter().map(|at| {
        let (sign, word, class) = match candidate.failed {
            Some(failed) if *at == failed => ("✗", t("scheduling.no"), "no"),
            Some(failed) if *at < failed => ("✓", t("scheduling.yes"), "yes"),
            None if passed => ("✓", t("scheduling.yes"), "yes"),
            _ => ("·", t("scheduling.unasked"), "unasked"),
        };
        view! { <td data-verdict=class title=word><span aria-hidden="true">{sign}</span><span class="unseen">{word}</span></td> }
    });
    let rest = if passed && scored {
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
        let span = if scored {
            decision.scorers.len() + 1
        } else {
            1
        };
        let reasons = candidate.reasons.join(", ");
        view! { <td class="reason" colspan=span.to_string()>{reasons}</td> }.into_any()
    };
    view! {
        <tr data-chosen=chosen.then_some("")>
            <th scope="row">
                {candidate.node.clone()}
                {chosen.then(|| view! { <span class="chip">{t("scheduling.chosen")}</span> })}
            </th>
            {verdicts.collect_view()}
            {rest}
        </tr>
    }
}
