//! The rules of a node: chains from hook to verdict, with what the packet met lit.

use kubarium_snapshot::rules::{ChainView, RuleBook, RuleView};
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
    Ok(|| view! { <Rules /> }.into_any())
}

/// A node's chains.
#[component]
fn Rules() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let node = RwSignal::new(String::new());
    let table = RwSignal::new("nat".to_owned());
    let only_met = RwSignal::new(true);
    let nodes = Memo::new(move |_| {
        simulator
            .map
            .read()
            .rooms
            .iter()
            .map(|r| r.name.clone())
            .collect::<Vec<_>>()
    });
    Effect::new(move |_| {
        let nodes = nodes.get();
        if !nodes.contains(&node.get_untracked()) {
            node.set(nodes.get(1).or(nodes.first()).cloned().unwrap_or_default());
        }
    });
    // While a packet is followed, its rule is the one that is looked at.
    Effect::new(move |_| {
        let step = simulator.step.get();
        let rule = simulator
            .lane
            .read()
            .as_ref()
            .and_then(|l| l.steps.get(step)?.rule.clone());
        if let Some(rule) = rule.filter(|rule| nodes.get_untracked().contains(&rule.netns)) {
            node.set(rule.netns);
            table.set(rule.table);
        }
    });
    let answer = simulator.watch(move || {
        simulator.events.track();
        let lane = simulator.lane.read().as_ref().map(|lane| lane.id);
        let (node, table) = (node.get(), table.get());
        let wanted = layout.is_shown(Panel::Rules) && !node.is_empty();
        wanted.then_some(Request::Rules { node, table, lane })
    });
    let book = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Rules(book)) => Some(book.clone()),
        _ => None,
    });
    let current = Memo::new(move |_| {
        let step = simulator.step.get();
        simulator
            .lane
            .read()
            .as_ref()
            .and_then(|l| l.steps.get(step)?.rule.clone())
            .map(|r| (r.chain, r.rule))
    });
    view! {
        <div class="rules">
            <div class="tools">
                <label>
                    {t("rules.node")} " "
                    <select prop:value=move || node.get() on:change=move |e| node.set(event_target_value(&e))>
                        {move || {
                            nodes
                                .get()
                                .into_iter()
                                .map(|n| {
                                    let shown = n.clone();
                                    view! { <option value=n.clone() selected=move || node.get() == n>{shown}</option> }
                                })
                                .collect_view()
                        }}
                    </select>
                </label>
                <label>
                    {t("rules.table")} " "
                    <select prop:value=move || table.get() on:change=move |e| table.set(event_target_value(&e))>
                        {["raw", "mangle", "nat", "filter"]
                            .map(|n| view! { <option value=n selected=move || table.get() == n>{n}</option> })
                            .collect_view()}
                    </select>
                </label>
                <Show when=move || simulator.lane.read().is_some()>
                    <label class="check">
                        <input type="checkbox" prop:checked=move || only_met.get() on:change=move |e| only_met.set(event_target_checked(&e)) />
                        {t("rules.met")}
                    </label>
                </Show>
            </div>
            {move || {
                let followed = simulator.lane.read().is_some();
                match book.get() {
                    Some(book) if !book.chains.is_empty() => chains(&book, followed && only_met.get(), current).into_any(),
                    _ => view! { <Empty icon=icons::RULES what=t("rules.empty") how=t("rules.empty.how") /> }.into_any(),
                }
            }}
        </div>
    }
}

type Current = Memo<Option<(String, usize)>>;

fn chains(book: &RuleBook, only_met: bool, current: Current) -> impl IntoView + use<> {
    let met = book.chains.iter().any(|c| c.lit);
    let shown: Vec<&ChainView> = book
        .chains
        .iter()
        .filter(|c| !only_met || !met || c.lit)
        .collect();
    let left_out = book.chains.len() - shown.len() + book.more;
    let note = (left_out > 0).then(|| view! { <p class="note">{fill("rules.more.chains", &[("n", &left_out.to_string())])}</p> });
    view! {
        <div class="chains">{shown.into_iter().map(|c| chain(c, current)).collect_view()}</div>
        {note}
    }
}

fn chain(c: &ChainView, current: Current) -> impl IntoView + use<> {
    let policy = c
        .policy
        .as_deref()
        .map(|p| view! { <span class="policy">{fill("rules.policy", &[("policy", p)])}</span> });
    let rules = c
        .rules
        .iter()
        .map(|r| rule(&c.name, r, current))
        .collect_view();
    let more = (c.more > 0).then(
        || view! { <li class="note">{fill("rules.more", &[("n", &c.more.to_string())])}</li> },
    );
    let empty = (c.rules.is_empty() && c.more == 0)
        .then(|| view! { <li class="note">{t("rules.none")}</li> });
    view! {
        <section class="chain" data-lit=c.lit.then_some("") data-depth=c.depth.min(4).to_string()>
            <h2><span class="name">{c.name.clone()}</span> {policy}</h2>
            <ol>{rules} {more} {empty}</ol>
        </section>
    }
}

fn rule(chain: &str, r: &RuleView, current: Current) -> impl IntoView + use<> {
    let (chain, number) = (chain.to_owned(), r.number);
    let here = move || {
        current
            .get()
            .is_some_and(|(c, n)| c == chain && n == number)
    };
    view! {
        <li class="rule" data-lit=r.lit.then_some("") data-current=move || here().then_some("") value=r.number.to_string()>
            <span class="n">{r.number}</span>
            <span class="packets" title=t("rules.packets")>{r.packets}</span>
            <code>{r.text.clone()}</code>
        </li>
    }
}
