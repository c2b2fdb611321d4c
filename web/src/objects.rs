//! Everything that the API server stores, as a table.

use kubarium_objects::ObjectKey;
use leptos::prelude::*;

use crate::{
    icons,
    panels::Empty,
    simulator::Simulator,
    text::{fill, t},
};

/// The most rows that are shown.
const ROWS_MAX: usize = 500;

#[derive(Clone, PartialEq)]
struct Row {
    key: ObjectKey,
    kind: String,
    revision: String,
}

/// Everything that the API server stores.
#[component]
pub(crate) fn Objects() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let wanted = RwSignal::new(String::new());
    let rows = Memo::new(move |_| {
        simulator.events.track();
        let wanted = wanted.get().to_lowercase();
        simulator
            .read(|cluster| {
                let mut rows = Vec::new();
                let mut all = 0;
                for resource in cluster.etcd.resources() {
                    for (key, object) in cluster.etcd.list(resource, None) {
                        let kind = object["kind"].str();
                        let hit = wanted.is_empty() && &**resource != "events"
                            || !wanted.is_empty()
                                && (key.to_string().contains(&wanted)
                                    || kind.to_lowercase().contains(&wanted));
                        if hit {
                            all += 1;
                            if rows.len() < ROWS_MAX {
                                let revision =
                                    object["metadata"]["resourceVersion"].str().to_owned();
                                rows.push(Row {
                                    key: key.clone(),
                                    kind: kind.to_owned(),
                                    revision,
                                });
                            }
                        }
                    }
                }
                (rows, all)
            })
            .unwrap_or_default()
    });
    view! {
        <div class="objects">
            <div class="tools">
                <label>
                    {t("objects.find")} " "
                    <input type="search" spellcheck="false" placeholder=t("objects.find.hint") on:input=move |e| wanted.set(event_target_value(&e)) />
                </label>
                <span class="note">{move || fill("objects.count", &[("n", &rows.read().1.to_string())])}</span>
            </div>
            <Show
                when=move || !rows.read().0.is_empty()
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
                        <For each=move || rows.get().0 key=|row| (row.key.clone(), row.revision.clone()) let:row>
                            {
                                let id = format!("object:{}/{}/{}", row.key.resource, row.key.namespace, row.key.name);
                                view! {
                                    <tr>
                                        <td>{row.kind.clone()}</td>
                                        <td>{row.key.namespace.to_string()}</td>
                                        <td>
                                            <button type="button" class="link" on:click=move |_| simulator.selected.set(Some(id.clone()))>
                                                {row.key.name.to_string()}
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
