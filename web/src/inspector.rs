//! What is selected: its YAML, its place in the API and in etcd, its owners and dependents, its events.

use kubarium_snapshot::inspect::Card;
use kubarium_snapshot::{Reply, Request};
use leptos::prelude::*;

use crate::{
    icons,
    layout::Layout,
    panels::{Empty, Panel},
    simulator::Simulator,
    text::t,
};

/// What is selected.
#[component]
pub(crate) fn Inspector() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    // A selection opens the panel in which it is explained.
    Effect::new(move |before: Option<Option<String>>| {
        let now = simulator.selected.get();
        if now.is_some()
            && before.is_some_and(|before| before != now)
            && !layout.narrow.get_untracked()
        {
            layout.inspector_folded.set(false);
        }
        now
    });
    let answer = simulator.watch(move || {
        simulator.events.track();
        let seen = layout.is_shown(Panel::Inspector) && !layout.is_rail(Panel::Inspector);
        simulator
            .selected
            .get()
            .filter(|_| seen)
            .map(Request::Inspect)
    });
    let shown = Memo::new(move |_| {
        let id = simulator.selected.get()?;
        match answer.read().as_deref() {
            Some(Reply::Card(Some(card))) if card.id == id => Some(card.clone()),
            _ => None,
        }
    });
    view! {
        {move || match shown.get() {
            Some(card) => card_view(simulator, *card).into_any(),
            None => view! { <Empty icon=icons::INSPECTOR what=t("inspector.empty") how=t("inspector.empty.how") /> }.into_any(),
        }}
    }
}

fn card_view(simulator: Simulator, card: Card) -> impl IntoView {
    let facts = [
        (t("inspector.rest"), card.rest),
        (t("inspector.etcd"), card.etcd),
        (t("inspector.node"), card.node),
    ];
    let facts = facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| view! { <dt>{name}</dt> <dd><code>{value}</code></dd> })
        .collect_view();
    let kind = match card.id.split_once(':') {
        Some(("host", _)) => t("inspector.host").to_owned(),
        Some(("device", _)) => t("inspector.device").to_owned(),
        _ => card.kind,
    };
    let relatives = (!card.relatives.is_empty()).then(|| {
        let items = card.relatives.into_iter().map(|id| {
            let shown = id.split_once(':').map_or(id.clone(), |(_, rest)| rest.to_owned());
            view! { <li><button type="button" class="link" on:click=move |_| simulator.selected.set(Some(id.clone()))>{shown}</button></li> }
        });
        view! {
            <h3>{t("inspector.family")}</h3>
            <ul class="relatives">{items.collect_view()}</ul>
        }
    });
    let commands = card
        .commands
        .into_iter()
        .map(|command| {
            let shown = command.clone();
            view! { <li><button type="button" class="hint-line" on:click=move |_| simulator.run(&command)>{shown}</button></li> }
        })
        .collect_view();
    let yaml = (!card.yaml.is_empty()).then(|| view! { <h3>{t("inspector.yaml")}</h3> <pre class="yaml" tabindex="0">{card.yaml}</pre> });
    view! {
        <article class="card">
            <header>
                <span class="chip">{kind}</span>
                <h2>{card.title}</h2>
            </header>
            <dl>{facts}</dl>
            <h3>{t("inspector.commands")}</h3>
            <ul class="hints">{commands}</ul>
            {relatives}
            {yaml}
        </article>
    }
}
