//! The menu of a thing, by right click, long press, the Menu key or Shift F10: what can be seen of it, what can be done
//! to it, what can go wrong with it; each with its command line.
//!
//! Whatever has the attribute `data-thing` with the thing's id has this menu.

use kubarium_snapshot::inspect::{Card, Deed};
use kubarium_snapshot::{Reply, Request};
use leptos::{ev, html, prelude::*, wasm_split::wasm_split};
use wasm_bindgen::JsCast;

use crate::{
    deeds::{kind, name},
    layout::Layout,
    panels::Panel,
    parts::{Late, Loaded},
    simulator::Simulator,
    text::t,
};

/// The room that the menu takes at the most, in pixels, so that it is opened where it fits.
const WIDTH: f64 = 416.0;
const HEIGHT: f64 = 480.0;

/// Opens the menu of what is asked for.
#[component]
pub(crate) fn ThingMenu() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let asked = window_event_listener(ev::contextmenu, move |event| {
        // What is typed keeps the browser's own menu.
        if let Some((id, _)) = event.target().and_then(thing) {
            event.prevent_default();
            let (x, y) = (event.client_x().into(), event.client_y().into());
            simulator.menu.set(Some((id, x, y)));
        }
    });
    let key = window_event_listener(ev::keydown, move |event| {
        let wanted = event.key() == "ContextMenu" || event.key() == "F10" && event.shift_key();
        let focused = document().active_element().filter(|_| wanted);
        if let Some((id, element)) = focused.map(Into::into).and_then(thing) {
            event.prevent_default();
            let at = element.get_bounding_client_rect();
            let (x, y) = (at.left() + at.width() / 2.0, at.top() + at.height() / 2.0);
            simulator.menu.set(Some((id, x, y)));
        }
    });
    on_cleanup(move || {
        asked.remove();
        key.remove();
    });
    let wanted = Signal::derive(move || simulator.menu.read().is_some());
    view! { <Late load=|| Box::pin(part()) wanted /> }
}

/// The part of the page's module with the menu itself.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
fn part() -> Loaded {
    Ok(|| view! { <Opened /> }.into_any())
}

/// The menu that is open.
#[component]
fn Opened() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let id = Memo::new(move |_| simulator.menu.read().as_ref().map(|(id, ..)| id.clone()));
    let answer = simulator.watch(move || id.get().map(Request::Inspect));
    let card = Memo::new(move |_| match answer.read().as_deref() {
        Some(Reply::Card(card)) => card.open().filter(|c| Some(&c.id) == id.read().as_ref()),
        _ => None,
    });
    view! {
        {move || card.get().map(|card| view! { <Open card /> })}
    }
}

/// The thing that an element, or what it stands in, is about.
pub(crate) fn thing(target: web_sys::EventTarget) -> Option<(String, web_sys::Element)> {
    let element: web_sys::Element = target.dyn_into().ok()?;
    let element = element.closest("[data-thing]").ok()??;
    Some((element.get_attribute("data-thing")?, element))
}

#[component]
fn Open(card: Card) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let list = NodeRef::<html::Div>::new();
    // The focus goes into the menu, and back to where it was.
    Effect::new(move |_| {
        if let Some(list) = list.get() {
            step(&list, |_, _| 0);
        }
    });
    let back = StoredValue::new_local(document().active_element());
    let close = move || {
        simulator.menu.set(None);
        if let Some(before) = back.get_value() {
            focus(&before);
        }
    };
    let outside = window_event_listener(ev::pointerdown, move |event| {
        let target = event
            .target()
            .and_then(|t| t.dyn_into::<web_sys::Node>().ok());
        let inside = list
            .get_untracked()
            .is_some_and(|list| list.contains(target.as_ref()));
        if !inside {
            simulator.menu.set(None);
        }
    });
    on_cleanup(move || outside.remove());
    let press = move |event: ev::KeyboardEvent| {
        let Some(list) = list.get_untracked() else {
            return;
        };
        match event.key().as_str() {
            "ArrowDown" => step(&list, |at, all| (at + 1) % all),
            "ArrowUp" => step(&list, |at, all| (at + all - 1) % all),
            "Home" => step(&list, |_, _| 0),
            "End" => step(&list, |_, all| all - 1),
            "Escape" | "Tab" => close(),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    };
    let (x, y) = simulator
        .menu
        .with_untracked(|menu| menu.as_ref().map_or((0.0, 0.0), |(_, x, y)| (*x, *y)));
    let (width, height) = layout.window_size();
    let left = x.min(width - WIDTH - 8.0).max(8.0);
    let top = y.min(height - HEIGHT - 8.0).max(8.0);
    let run = move |line: &str| {
        close();
        simulator.run(line);
    };
    let look = move |line: &String| {
        let command = line.clone();
        view! {
            <button type="button" role="menuitem" tabindex="-1" on:click=move |_| {
                layout.show(Panel::Terminal);
                run(&command);
            }>
                <code>{line.clone()}</code>
            </button>
        }
    };
    let deed = move |deed: &Deed| {
        let command = deed.command.clone();
        view! {
            <button type="button" role="menuitem" tabindex="-1" on:click=move |_| run(&command)>
                <span class="name">{name(deed)}</span>
                <code>{deed.command.clone()}</code>
            </button>
        }
    };
    let group = move |title: &'static str, class: &'static str, items: Vec<AnyView>| {
        (!items.is_empty()).then(|| {
            view! {
                <div role="group" aria-label=title class=class>
                    <p class="group-name" aria-hidden="true">{title}</p>
                    {items}
                </div>
            }
        })
    };
    let id = card.id.clone();
    let title = card.title.clone();
    let has_terminal = ["node:", "pod:", "host:"]
        .iter()
        .any(|kind| id.starts_with(kind));
    let terminal = has_terminal.then(|| {
        let place = id.clone();
        view! {
            <button type="button" role="menuitem" tabindex="-1" on:click=move |_| {
                close();
                simulator.open_terminal(&place);
                layout.show(Panel::Terminal);
            }>
                <span class="name">{t("menu.terminal")}</span>
            </button>
        }
    });
    let inspect = move |_| {
        close();
        simulator.selected.set(Some(id.clone()));
        layout.show(Panel::Inspector);
    };
    view! {
        <div
            class="thing-menu"
            role="menu"
            aria-label=title.clone()
            node_ref=list
            style=("left", format!("{left}px"))
            style=("top", format!("{top}px"))
            on:keydown=press
        >
            <p class="menu-head" role="presentation"><span class="chip">{kind(&card)}</span> <strong>{title.clone()}</strong></p>
            <button type="button" role="menuitem" tabindex="-1" on:click=inspect>
                <span class="name">{t("menu.inspect")}</span>
            </button>
            {terminal}
            {group(t("inspector.breaks"), "breaks", card.faults.iter().map(|d| deed(d).into_any()).collect())}
            {group(t("inspector.changes"), "changes", card.changes.iter().map(|d| deed(d).into_any()).collect())}
            {group(t("inspector.looks"), "looks", card.looks.iter().map(|l| look(l).into_any()).collect())}
        </div>
    }
}

/// Moves the focus among the menu's items: from where it is, of so many.
fn step(list: &web_sys::Element, to: impl Fn(usize, usize) -> usize) {
    let Ok(items) = list.query_selector_all("[role=menuitem]") else {
        return;
    };
    let all = items.length();
    if all == 0 {
        return;
    }
    let focused = document().active_element();
    let at = (0..all).find(|at| {
        items.item(*at).map(wasm_bindgen::JsValue::from) == focused.clone().map(Into::into)
    });
    let next = to(at.unwrap_or(0) as usize, all as usize) as u32;
    if let Some(item) = items
        .item(next)
        .and_then(|item| item.dyn_into::<web_sys::Element>().ok())
    {
        focus(&item);
    }
}

/// Puts the focus on an element; one that cannot take it leaves it where it was.
fn focus(element: &web_sys::Element) {
    if let Some(element) = element.dyn_ref::<web_sys::HtmlElement>() {
        let _ = element.focus();
    } else if let Some(element) = element.dyn_ref::<web_sys::SvgElement>() {
        let _ = element.focus();
    }
}
