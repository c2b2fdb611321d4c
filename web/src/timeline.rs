//! The timeline: who told whom, with causes.

use kubarium_snapshot::conversation::{Conversation, Message};
use kubarium_snapshot::inspect::Timeline;
use kubarium_snapshot::{Reply, Request};
use leptos::{prelude::*, wasm_split::wasm_split};

use crate::{
    icons,
    layout::Layout,
    panels::{Empty, Panel},
    parts::Loaded,
    sequence::Sequence,
    simulator::Simulator,
    text::{fill, t},
};

/// The most events of the plain list.
const LIST_MAX: usize = 300;

/// The part of the page's module with this view.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Timeline /> }.into_any())
}

/// What happened, and what caused it.
#[component]
fn Timeline() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    // The command whose consequences are shown; none: everything.
    let root = RwSignal::new(None::<u32>);
    let (drawn, told) = (RwSignal::new(true), RwSignal::new(true));
    let find = RwSignal::new(String::new());
    // A new command is the one that is looked at.
    let newest = RwSignal::new(None::<u32>);
    let layout = expect_context::<Layout>();
    let answer = simulator.watch(move || {
        simulator.events.track();
        layout.is_shown(Panel::Timeline).then(|| Request::Timeline {
            root: root.get(),
            most: LIST_MAX,
        })
    });
    let timeline = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Timeline(timeline)) => timeline.open(),
        _ => Timeline::default(),
    });
    let talk = Memo::new(move |_| timeline.read().talk.clone());
    let commands = Memo::new(move |_| timeline.read().commands.clone());
    Effect::new(move |_| {
        let last = commands.with(|commands| commands.last().map(|(id, _)| *id));
        if last != newest.get_untracked() {
            newest.set(last);
            root.set(last);
        }
    });
    view! {
        <div class="timeline">
            <div class="tools">
                <label>
                    {t("timeline.of")} " "
                    <select on:change=move |e| root.set(event_target_value(&e).parse().ok())>
                        <option value="" selected=move || root.get().is_none()>{t("timeline.all")}</option>
                        {move || {
                            commands
                                .get()
                                .into_iter()
                                .rev()
                                .map(|(id, text)| view! { <option value=id.to_string() selected=move || root.get() == Some(id)>{text}</option> })
                                .collect_view()
                        }}
                    </select>
                </label>
                <label class="check">
                    <input type="checkbox" prop:checked=move || drawn.get() on:change=move |e| drawn.set(event_target_checked(&e)) />
                    {t("timeline.drawn")}
                </label>
                <Show when=move || drawn.get()>
                    <label class="check">
                        <input type="checkbox" prop:checked=move || told.get() on:change=move |e| told.set(event_target_checked(&e)) />
                        {t("timeline.told")}
                    </label>
                    <label>
                        {t("sequence.find")} " "
                        <input
                            type="search"
                            spellcheck="false"
                            placeholder=t("sequence.find.hint")
                            prop:value=move || find.get()
                            on:input=move |e| find.set(event_target_value(&e).trim().to_owned())
                        />
                    </label>
                    <span class="note">{t("sequence.how")}</span>
                </Show>
            </div>
            <Show
                when=move || !talk.read().messages.is_empty()
                fallback=|| view! { <Empty icon=icons::TIMELINE what=t("timeline.empty") how=t("timeline.empty.how") /> }
            >
                {move || if drawn.get() {
                    view! { <Sequence talk told find /> }.into_any()
                } else {
                    view! { {move || list(simulator, &talk.read())} }.into_any()
                }}
            </Show>
        </div>
    }
}

/// The messages as a table: when, who to whom, what. The causes are links.
fn list(simulator: Simulator, talk: &Conversation) -> impl IntoView + use<> {
    let columns = talk.columns.clone();
    let name = move |at: usize| columns.get(at).cloned().unwrap_or_default();
    let row = |m: &Message| {
        let event = m.event;
        let who = if m.from == m.to {
            name(m.from)
        } else {
            format!("{} → {}", name(m.from), name(m.to))
        };
        let cause = m
            .cause
            .map(|c| view! { <a href=format!("#event-{c}")>{format!("#{c}")}</a> });
        view! {
            <tr id=format!("event-{event}") data-verb=m.verb.clone()>
                <td class="at">{format!("{:.3}", m.at_seconds)}</td>
                <td class="n">
                    <button type="button" class="link" title=t("timeline.goto") on:click=move |_| simulator.go_to(event)>
                        {format!("#{event}")}
                    </button>
                </td>
                <td class="n">{cause}</td>
                <td class="who">{who}</td>
                <td><span class="verb">{m.verb.clone()}</span></td>
                <td class="object">{m.object.clone()}</td>
                <td class="text">{m.text.clone()}</td>
            </tr>
        }
    };
    let rows = talk.messages.iter().rev().map(row).collect_view();
    let cut = talk.cut.then(|| view! { <p class="note">{fill("timeline.cut", &[("n", &talk.messages.len().to_string())])}</p> });
    view! {
        {cut}
        <table class="events">
            <thead>
                <tr>
                    <th scope="col">{t("timeline.at")}</th>
                    <th scope="col">{t("timeline.event")}</th>
                    <th scope="col">{t("timeline.cause")}</th>
                    <th scope="col">{t("timeline.who")}</th>
                    <th scope="col">{t("timeline.what")}</th>
                    <th scope="col">{t("timeline.object")}</th>
                    <th scope="col">{t("timeline.text")}</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
}
