//! The deepest level of the map: what is inside the network namespaces that are in sight, drawn where they stand.

use std::sync::Arc;

use kubarium_snapshot::geometry::Rect;
use kubarium_snapshot::inside::{Inside, Row, Table, TableKind};
use kubarium_snapshot::map::{DeviceKind, Room};
use kubarium_snapshot::{Reply, Request};
use leptos::{prelude::*, wasm_split::wasm_split};

use crate::{
    inside::name,
    parts::{Late, Loaded},
    simulator::Simulator,
    text::{fill, t},
};

/// The most namespaces that are looked into at once.
const LOOKED_MAX: usize = 8;
/// The size of the letters, of a line and of the margins, in map units.
const LETTERS: f64 = 2.6;
const LINE: f64 = 3.5;
const EDGE: f64 = 3.0;

/// The part of the map that is in sight, where one is near enough to look into namespaces. A context.
#[derive(Clone, Copy)]
pub(crate) struct Sight(pub(crate) Memo<Option<Rect>>);

/// The deepest level, where one is near enough.
#[component]
pub(crate) fn Depths() -> impl IntoView {
    let Sight(sight) = expect_context();
    view! { <Late load=|| Box::pin(part()) wanted=Signal::derive(move || sight.read().is_some()) /> }
}

/// The part of the page's module with the deepest level.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
fn part() -> Loaded {
    Ok(|| view! { <Insides /> }.into_any())
}

/// What is inside the namespaces in sight.
#[component]
fn Insides() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let Sight(sight) = expect_context();
    let seen = Memo::new(move |_| {
        let Some(sight) = sight.get() else {
            return Vec::new();
        };
        let map = simulator.map.read();
        let meets = |r: &Rect| {
            r.x < sight.right()
                && r.right() > sight.x
                && r.y < sight.bottom()
                && r.bottom() > sight.y
        };
        let mut seen = Vec::new();
        for room in map
            .rooms
            .iter()
            .filter(|room| meets(&room.rect) && !room.crowded)
        {
            if let Some(rect) = cabinet(room).filter(meets) {
                seen.push((room.id.clone(), rect, 1));
            }
            let pods = room.pods.iter().filter(|pod| meets(&pod.rect));
            seen.extend(pods.map(|pod| (pod.id.clone(), pod.rect, 3)));
        }
        seen.truncate(LOOKED_MAX);
        seen
    });
    view! {
        <For each=move || seen.get() key=|(id, rect, _)| (id.clone(), format!("{rect:?}")) let:one>
            <InsideOf id=one.0 rect=one.1 columns=one.2 />
        </For>
    }
}

/// Where a node's own namespace is written: beside its door to the segment.
fn cabinet(room: &Room) -> Option<Rect> {
    let device = |kind| room.devices.iter().find(|d| d.kind == kind);
    let door = device(DeviceKind::Link)?.rect;
    let top = device(DeviceKind::Bridge).map_or(door.y, |rail| rail.rect.bottom() + 5.0);
    let x = door.right() + 6.0;
    let rect = Rect::new(
        x,
        top,
        room.rect.right() - 12.0 - x,
        room.rect.bottom() - 6.0 - top,
    );
    (rect.width > 40.0 && rect.height > 20.0).then_some(rect)
}

#[component]
fn InsideOf(id: String, rect: Rect, columns: usize) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let (asked, label) = (id.clone(), id.clone());
    let answer = simulator.watch(move || {
        simulator.events.track();
        Some(Request::Inside(asked.clone()))
    });
    let inside = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Inside(inside)) => inside.open().filter(|inside| inside.id == id).map(Arc::new),
        _ => None,
    });
    view! {
        <g class="namespace" role="group" aria-label=fill("inside.of", &[("id", label.split_once(':').map_or("", |(_, name)| name))])>
            <rect x=rect.x y=rect.y width=rect.width height=rect.height rx="2" />
            {move || inside.get().map(|inside| plate(&inside, rect, columns))}
        </g>
    }
}

/// What of a row is written in a line, by the kind of its table.
fn words(kind: TableKind, row: &Row) -> String {
    let at = |n: usize| row.cells.get(n).map_or("", |cell| cell.text.as_str());
    match kind {
        TableKind::Links => format!("{} {} {} {}", at(0), at(1), at(2), at(7)),
        TableKind::Routes if at(1).is_empty() => format!("{} dev {}", at(0), at(2)),
        TableKind::Routes => format!("{} via {} dev {}", at(0), at(1), at(2)),
        TableKind::Neighbours => format!("{} {} {}", at(0), at(2), at(3)),
        TableKind::Fdb => format!("{} {} {}", at(0), at(1), at(2)),
        TableKind::Sockets => format!("{} {} {} {}", at(0), at(1), at(2), at(3)),
        TableKind::Processes => format!("{} {} {}", at(0), at(1), at(2)),
        TableKind::Conntrack => format!("{} {} → {} {}", at(0), at(2), at(6), at(1)),
        TableKind::Chains => format!("{} {} {}, {} rules", at(0), at(1), at(2), at(3)),
        TableKind::IpSets => format!("{} {}", at(0), at(2)),
    }
}

/// The tables as columns of lines; each column takes as many tables as it has room for, each table as many rows.
fn plate(inside: &Inside, rect: Rect, columns: usize) -> impl IntoView + use<> {
    let width = (rect.width - EDGE) / columns as f64;
    let letters = ((width - EDGE) / (LETTERS * 0.6)).floor().max(4.0) as usize;
    let lines = (((rect.height - 2.0 * EDGE) / LINE).floor() as usize).max(2);
    // In the order in which one asks: where am I, what is here, what passes through.
    let order = match columns {
        1 => &[
            TableKind::Routes,
            TableKind::Conntrack,
            TableKind::Chains,
            TableKind::Sockets,
            TableKind::Neighbours,
        ][..],
        _ => &[
            TableKind::Links,
            TableKind::Routes,
            TableKind::Processes,
            TableKind::Sockets,
            TableKind::Neighbours,
            TableKind::Conntrack,
            TableKind::Chains,
        ][..],
    };
    let tables: Vec<&Table> = order
        .iter()
        .filter_map(|kind| inside.tables.iter().find(|table| table.kind == *kind))
        .collect();
    let per_column = tables.len().div_ceil(columns).max(1);
    let mut texts = Vec::new();
    for (column, group) in tables.chunks(per_column).enumerate() {
        let x = rect.x + EDGE + column as f64 * width;
        let mut y = rect.y + EDGE + LETTERS;
        let mut left = lines;
        for (nth, table) in group.iter().enumerate() {
            let share = left / (group.len() - nth);
            if share < 2 {
                break;
            }
            let all = table.rows.len() + table.more;
            let shown = all.min(share - 1);
            let count = if shown < all {
                fill(
                    "inside.some",
                    &[("n", &shown.to_string()), ("all", &all.to_string())],
                )
            } else {
                String::new()
            };
            let title = format!("{} {count}", name(table.kind));
            texts.push(view! { <text class="deep title" x=x y=y>{title}</text> }.into_any());
            y += LINE;
            for row in table.rows.iter().take(shown) {
                let line = cut(&words(table.kind, row), letters);
                texts.push(view! { <text class="deep" x=x y=y>{line}</text> }.into_any());
                y += LINE;
            }
            left -= shown + 1;
        }
    }
    if tables.is_empty() {
        texts.push(view! { <text class="deep" x=rect.x + EDGE y=rect.y + EDGE + LETTERS>{t("inside.none")}</text> }.into_any());
    }
    texts
}

/// The beginning of a line that is too long.
fn cut(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        return line.to_owned();
    }
    let head: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{head}…")
}
