//! Everything that the API server stores: its resources as a list, their objects as the table of `kubectl get`.

use kubarium_snapshot::inspect::{ObjectRow, ObjectTable, Stored};
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

/// The most rows that are shown.
const ROWS_MAX: usize = 500;

/// The part of the page's module with this view.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <Objects /> }.into_any())
}

/// Everything that the API server stores.
#[component]
fn Objects() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let (resource, find) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (namespace, tree) = (RwSignal::new(String::new()), RwSignal::new(false));
    let answer = simulator.watch(move || {
        simulator.events.track();
        layout.is_shown(Panel::Objects).then(|| Request::Objects {
            resource: resource.get(),
            namespace: namespace.get(),
            find: find.get(),
            tree: tree.get(),
            most: ROWS_MAX,
        })
    });
    let table = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Objects(table)) => table.open(),
        _ => ObjectTable::default(),
    });
    let columns = Memo::new(move |_| table.read().columns.clone());
    let namespaces = Memo::new(move |_| table.read().namespaces.clone());
    let choices = move || {
        let option = |name: String| {
            let value = name.clone();
            view! { <option value=value>{name}</option> }
        };
        namespaces.get().into_iter().map(option).collect_view()
    };
    let left_out = move || {
        let table = table.read();
        let more = table.all.saturating_sub(table.rows.len());
        (more > 0).then(|| fill("objects.more", &[("n", &more.to_string())]))
    };
    let resources = move || {
        let mut all = vec![Stored {
            resource: String::new(),
            kind: t("objects.all").to_owned(),
            count: 0,
        }];
        all.extend(table.read().resources.iter().cloned());
        all
    };
    let choice = move |stored: Stored| {
        let (this, chosen) = (stored.resource.clone(), stored.resource);
        let count = (stored.count > 0).then(|| stored.count.to_string());
        view! {
            <li>
                <button
                    type="button"
                    class="resource"
                    aria-pressed=move || (*resource.read() == this).to_string()
                    on:click=move |_| resource.set(chosen.clone())
                >
                    {stored.kind}
                    <span class="n">{count}</span>
                </button>
            </li>
        }
    };
    view! {
        <div class="objects">
            <nav class="resources" aria-label=t("objects.resources")>
                <ul>
                    <For each=resources key=|stored| (stored.resource.clone(), stored.count) let:stored>
                        {choice(stored)}
                    </For>
                </ul>
            </nav>
            <div class="stored">
                <div class="tools">
                    <label>
                        {t("objects.find")} " "
                        <input type="search" spellcheck="false" placeholder=t("objects.find.hint") on:input=move |e| find.set(event_target_value(&e)) />
                    </label>
                    <label>
                        {t("objects.namespace")} " "
                        <select on:change=move |e| namespace.set(event_target_value(&e))>
                            <option value="">{t("objects.namespace.all")}</option>
                            {choices}
                        </select>
                    </label>
                    <Show when=move || resource.read().is_empty()>
                        <label class="check">
                            <input type="checkbox" prop:checked=move || tree.get() on:change=move |e| tree.set(event_target_checked(&e)) />
                            {t("objects.tree")}
                        </label>
                    </Show>
                    <span class="note">{move || fill("objects.count", &[("n", &table.read().all.to_string())])}</span>
                    <span class="note mono">{move || path(&resource.read())}</span>
                </div>
                <Show
                    when=move || !table.read().rows.is_empty()
                    fallback=|| view! { <Empty icon=icons::OBJECTS what=t("objects.empty") how=t("objects.empty.how") /> }
                >
                    <table class="events">
                        <thead>
                            <tr>{move || columns.get().into_iter().map(|name| view! { <th scope="col">{name}</th> }).collect_view()}</tr>
                        </thead>
                        <tbody>
                            <For each=move || table.read().rows.clone() key=|row| (row.id.clone(), row.depth, row.cells.clone()) let:row>
                                {object_row(simulator, columns, row)}
                            </For>
                        </tbody>
                    </table>
                    <p class="note">{left_out}</p>
                </Show>
            </div>
        </div>
    }
}

/// An object's row; its name selects it.
fn object_row(simulator: Simulator, columns: Memo<Vec<String>>, row: ObjectRow) -> impl IntoView {
    let name_at = columns.with_untracked(|columns| columns.iter().position(|c| c == "Name"));
    let id = row.id.clone();
    let is_selected = move || *simulator.selected.read() == Some(id.clone());
    let cells = row.cells.into_iter().enumerate().map(|(at, cell)| {
        let id = row.id.clone();
        if Some(at) == name_at {
            view! {
                <td>
                    <button type="button" class="link" on:click=move |_| simulator.selected.set(Some(id.clone()))>{cell}</button>
                </td>
            }
            .into_any()
        } else if at == 0 && row.depth > 0 {
            let depth = row.depth.to_string();
            view! { <td class="below" style=("--depth", depth)>{cell}</td> }.into_any()
        } else {
            view! { <td>{cell}</td> }.into_any()
        }
    });
    view! { <tr aria-current=move || is_selected().then_some("true")>{cells.collect_view()}</tr> }
}

/// The key under which etcd keeps a resource's objects.
fn path(resource: &str) -> String {
    match resource.split_once('.') {
        None if resource.is_empty() => "/registry".to_owned(),
        None => format!("/registry/{resource}"),
        Some((plural, _)) => format!("/registry/{plural}"),
    }
}
