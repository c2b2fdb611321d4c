//! Everything that the API server stores, as a table.

use kubarium_snapshot::inspect::ObjectTable;
use kubarium_snapshot::{Reply, Request};
use leptos::prelude::*;

use crate::{
    icons,
    layout::Layout,
    panels::{Empty, Panel},
    simulator::Simulator,
    text::{fill, t},
};

/// The most rows that are shown.
const ROWS_MAX: usize = 500;

/// Everything that the API server stores.
#[component]
pub(crate) fn Objects() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let wanted = RwSignal::new(String::new());
    let answer = simulator.watch(move || {
        simulator.events.track();
        layout.is_shown(Panel::Objects).then(|| Request::Objects {
            find: wanted.get(),
            most: ROWS_MAX,
        })
    });
    let table = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Objects(table)) => table.clone(),
        _ => ObjectTable::default(),
    });
    view! {
        <div class="objects">
            <div class="tools">
                <label>
                    {t("objects.find")} " "
                    <input type="search" spellcheck="false" placeholder=t("objects.find.hint") on:input=move |e| wanted.set(event_target_value(&e)) />
                </label>
                <span class="note">{move || fill("objects.count", &[("n", &table.read().all.to_string())])}</span>
            </div>
            <Show
                when=move || !table.read().rows.is_empty()
                fallback=|| view! { <Empty icon=icons::OBJECTS what=t("objects.empty") how=t("objects.empty.how") /> }
            >
                <table class="events">
                    <thead>
                        <tr>
                            <th scope="col">{t("objects.kind")}</th>
                            <th scope="col">{t("objects.namespace")}</th>
                            <th scope="col">{t("objects.name")}</th>
                            <th scope="col">{t("objects.revision")}</th>
                        </tr>
                    </thead>
                    <tbody>
                        <For each=move || table.read().rows.clone() key=|row| (row.id.clone(), row.revision.clone()) let:row>
                            {
                                let id = row.id.clone();
                                view! {
                                    <tr>
                                        <td>{row.kind.clone()}</td>
                                        <td>{row.namespace.clone()}</td>
                                        <td>
                                            <button type="button" class="link" on:click=move |_| simulator.selected.set(Some(id.clone()))>
                                                {row.name.clone()}
                                            </button>
                                        </td>
                                        <td class="n">{row.revision.clone()}</td>
                                    </tr>
                                }
                            }
                        </For>
                    </tbody>
                </table>
            </Show>
        </div>
    }
}
