//! A network namespace from inside, as live tables: devices, routes, neighbours, forwarding databases, sockets, tracked
//! connections, sets. What is new or changed since the last event is marked.

use std::collections::BTreeMap;
use std::sync::Arc;

use kubarium_snapshot::inside::{Cell, Inside, Row, Table, TableKind};
use kubarium_snapshot::{Reply, Request};
use leptos::{ev, prelude::*, wasm_split::wasm_split};

use crate::{
    icons,
    layout::Layout,
    panels::{Empty, Panel},
    parts::Loaded,
    simulator::Simulator,
    text::{fill, t},
};

/// For how long, in milliseconds, what has changed is marked.
const MARKED_MS: f64 = 4000.0;

/// What a table is called.
pub(crate) fn name(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Links => t("inside.links"),
        TableKind::Routes => t("inside.routes"),
        TableKind::Neighbours => t("inside.neighbours"),
        TableKind::Fdb => t("inside.fdb"),
        TableKind::Sockets => t("inside.sockets"),
        TableKind::Processes => t("inside.processes"),
        TableKind::Conntrack => t("inside.conntrack"),
        TableKind::Chains => t("inside.chains"),
        TableKind::IpSets => t("inside.sets"),
    }
}

/// The cells of a table by its rows' keys, and when each row came or changed last.
type Before = BTreeMap<(TableKind, String), (Vec<Cell>, f64)>;

/// The part of the page's module with this view.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| view! { <TablesPanel /> }.into_any())
}

/// The tables of what is selected; until something is that has any, those of the first node that does work.
#[component]
fn TablesPanel() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let of = Memo::new(move |before: Option<&Option<String>>| {
        let selected = simulator.selected.get();
        let has = |id: &String| {
            [
                "pod:",
                "node:",
                "host:",
                "device:",
                "container:",
                "component:",
                "object:pods/",
                "object:nodes/",
            ]
            .iter()
            .any(|kind| id.starts_with(kind))
        };
        let first = || {
            let map = simulator.map.read();
            map.rooms
                .get(1)
                .or(map.rooms.first())
                .map(|room| room.id.clone())
        };
        selected
            .filter(has)
            .or_else(|| before.cloned().flatten())
            .or_else(first)
    });
    let shown = Signal::derive(move || of.get().filter(|_| layout.is_shown(Panel::Tables)));
    view! { <Tables of=shown /> }
}

/// The tables of what is selected, of the id that `of` gives.
#[component]
pub(crate) fn Tables(of: Signal<Option<String>>) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let chosen = RwSignal::new(TableKind::Links);
    let answer = simulator.watch(move || {
        simulator.events.track();
        of.get().map(Request::Inside)
    });
    let inside = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Inside(inside)) => {
            let inside = inside.open();
            let asked = inside.filter(|inside| Some(&inside.id) == of.read().as_ref());
            asked.map(Arc::new)
        }
        _ => None,
    });
    // What the tables were: to mark what differs.
    let before = StoredValue::new((String::new(), Before::new()));
    let marked = Memo::new(move |_| {
        let inside = inside.get();
        before
            .try_update_value(|(id, before)| inside.as_deref().map(|now| changes(id, before, now)))
            .flatten()
            .unwrap_or_default()
    });
    let kinds = Memo::new(move |_| {
        let inside = inside.get();
        let tables = inside.iter().flat_map(|inside| &inside.tables);
        tables
            .map(|table| (table.kind, table.rows.len() + table.more))
            .collect::<Vec<_>>()
    });
    let active = Memo::new(move |_| {
        let (kinds, chosen) = (kinds.get(), chosen.get());
        let has = |kind| kinds.iter().any(|(other, _)| *other == kind);
        if has(chosen) {
            Some(chosen)
        } else {
            kinds.first().map(|(kind, _)| *kind)
        }
    });
    let table = move || {
        let inside = inside.get()?;
        let table = inside
            .tables
            .iter()
            .find(|table| Some(table.kind) == active.get())?;
        Some(table_view(simulator, table, &marked.read()))
    };
    let key = move |event: ev::KeyboardEvent| {
        let kinds = kinds.get_untracked();
        let at = kinds
            .iter()
            .position(|(kind, _)| Some(*kind) == active.get_untracked())
            .unwrap_or(0);
        let to = match event.key().as_str() {
            "ArrowRight" | "ArrowDown" => at + 1,
            "ArrowLeft" | "ArrowUp" => at + kinds.len().saturating_sub(1),
            _ => return,
        };
        event.prevent_default();
        if let Some((kind, _)) = kinds.get(to % kinds.len().max(1)) {
            chosen.set(*kind);
        }
    };
    let tab = move |(kind, count): (TableKind, usize)| {
        view! {
            <button
                type="button"
                role="tab"
                class="kind"
                aria-selected=move || (active.get() == Some(kind)).to_string()
                tabindex=move || if active.get() == Some(kind) { "0" } else { "-1" }
                on:click=move |_| chosen.set(kind)
            >
                {name(kind)} <span class="n">{count}</span>
            </button>
        }
    };
    view! {
        <Show
            when=move || inside.read().is_some()
            fallback=move || view! { <Empty icon=icons::OBJECTS what=t("inside.none") how=t("inside.none.how") /> }
        >
            <div class="inside">
                <p class="of">{move || inside.read().as_ref().map(|inside| whose(&inside.id))}</p>
                <div class="kinds" role="tablist" aria-label=t("inside") on:keydown=key>
                    {move || kinds.get().into_iter().map(tab).collect_view()}
                </div>
                {table}
            </div>
        </Show>
    }
}

/// Notes what the tables are; gives the rows that came or changed a moment ago: whether each is new.
fn changes(
    id: &mut String,
    before: &mut Before,
    now: &Inside,
) -> BTreeMap<(TableKind, String), bool> {
    let at = crate::simulator::now();
    let is_first = *id != now.id;
    let mut next = Before::new();
    let mut marked = BTreeMap::new();
    for table in &now.tables {
        for row in &table.rows {
            let key = (table.kind, row.key.clone());
            let old = before.get(&key).filter(|_| !is_first);
            let same = old.filter(|(cells, _)| same(table.kind, cells, &row.cells));
            let since = match same {
                Some((_, since)) => *since,
                None if is_first => f64::MIN,
                None => at,
            };
            if at - since < MARKED_MS {
                marked.insert(key.clone(), old.is_none());
            }
            next.insert(key, (row.cells.clone(), since));
        }
    }
    id.clone_from(&now.id);
    *before = next;
    marked
}

/// Whether a row is as it was: that time goes by is no change.
fn same(kind: TableKind, before: &[Cell], now: &[Cell]) -> bool {
    match kind {
        TableKind::Conntrack => {
            before.split_last().map(|(_, rest)| rest) == now.split_last().map(|(_, rest)| rest)
        }
        _ => before == now,
    }
}

fn table_view(
    simulator: Simulator,
    table: &Table,
    marked: &BTreeMap<(TableKind, String), bool>,
) -> impl IntoView + use<> {
    let cell = |cell: &Cell| {
        if cell.to.is_empty() {
            return view! { <td>{cell.text.clone()}</td> }.into_any();
        }
        let (to, title) = (cell.to.clone(), cell.to.clone());
        let text = if cell.text.is_empty() {
            cell.to.clone()
        } else {
            cell.text.clone()
        };
        view! {
            <td>
                <button type="button" class="link" title=title data-thing=to.clone() on:click=move |_| simulator.selected.set(Some(to.clone()))>
                    {text}
                </button>
                {(!cell.text.contains(&whose(&cell.to))).then(|| view! { <span class="whose">{whose(&cell.to)}</span> })}
            </td>
        }
        .into_any()
    };
    let row = |row: &Row| {
        let change = marked
            .get(&(table.kind, row.key.clone()))
            .map(|is_new| if *is_new { "new" } else { "changed" });
        let word = change.map(|change| {
            let word = if change == "new" {
                t("inside.new")
            } else {
                t("inside.changed")
            };
            view! { <span class="change">{word}</span> }
        });
        view! {
            <tr data-change=change>
                {row.cells.iter().map(cell).collect_view()}
                <td>{word}</td>
            </tr>
        }
    };
    let command = table.command.clone();
    let more = (table.more > 0).then(
        || view! { <p class="note">{fill("inside.more", &[("n", &table.more.to_string())])}</p> },
    );
    view! {
        <div class="rows" tabindex="0" role="group" aria-label=name(table.kind)>
            <table class="events mono">
                <thead>
                    <tr>
                        {table.columns.iter().map(|name| view! { <th scope="col">{name.clone()}</th> }).collect_view()}
                        <td></td>
                    </tr>
                </thead>
                <tbody>{table.rows.iter().map(row).collect_view()}</tbody>
            </table>
            {more}
        </div>
        <button type="button" class="hint-line" on:click=move |_| simulator.run(&command)>{table.command.clone()}</button>
    }
}

/// An id as a person reads it: `web-1`.
fn whose(id: &str) -> String {
    let name = id.split_once(':').map_or(id, |(_, name)| name);
    name.rsplit('/').next().unwrap_or(name).to_owned()
}
