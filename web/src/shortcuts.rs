//! The list of keys: what can be done by keyboard, by place. The question mark opens it.

use leptos::{ev, html, prelude::*, wasm_split::wasm_split};
use wasm_bindgen::JsCast;

use crate::{
    icons,
    parts::{Late, Loaded},
    text::t,
};

/// Whether the list is open. A context.
#[derive(Clone, Copy)]
pub(crate) struct Shortcuts(pub(crate) RwSignal<bool>);

/// What reads letters, so that a question mark is one.
const WRITES: &str = "input, textarea, select, [contenteditable='true']";

/// The place of the list, and the key that opens it.
#[component]
pub(crate) fn ShortcutList() -> impl IntoView {
    let Shortcuts(shown) = expect_context();
    let key = window_event_listener(ev::keydown, move |event| {
        let target = event.target().and_then(|target| target.dyn_into().ok());
        let writes = |element: web_sys::Element| element.closest(WRITES).ok().flatten().is_some();
        if event.key() == "?" && !target.is_some_and(writes) {
            event.prevent_default();
            shown.set(true);
        }
    });
    on_cleanup(move || key.remove());
    view! { <Late load=|| Box::pin(part()) wanted=shown.into() /> }
}

/// The part of the page's module with the list itself.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
fn part() -> Loaded {
    Ok(|| view! { <List /> }.into_any())
}

/// The keys of a place: its name, and keys with what they do.
type Place = (&'static str, Vec<(&'static str, &'static str)>);

fn places() -> [Place; 6] {
    [
        (
            t("shortcuts.everywhere"),
            vec![
                ("Ctrl K", t("palette.open")),
                ("?", t("shortcuts")),
                ("Shift F10", t("shortcuts.menu")),
                ("Tab", t("shortcuts.tab")),
                ("Esc", t("shortcuts.close")),
            ],
        ),
        (
            t("panel.map"),
            vec![
                ("← ↑ ↓ →", t("shortcuts.move")),
                ("+ −", t("shortcuts.zoom")),
                ("0", t("map.fit")),
                ("Enter", t("shortcuts.select")),
            ],
        ),
        (
            t("shortcuts.panels"),
            vec![
                ("← →", t("shortcuts.tabs")),
                ("← ↑ ↓ →", t("shortcuts.edges")),
            ],
        ),
        (
            t("panel.lane"),
            vec![
                ("← →", t("shortcuts.hops")),
                ("Home End", t("shortcuts.ends")),
            ],
        ),
        (
            t("panel.terminal"),
            vec![
                ("↑ ↓", t("shortcuts.history")),
                ("Tab", t("shortcuts.complete")),
                ("Ctrl C", t("shortcuts.interrupt")),
                ("Ctrl L", t("shortcuts.clear")),
            ],
        ),
        (
            t("panel.files"),
            vec![
                ("Ctrl Space", t("shortcuts.offers")),
                ("F1", t("shortcuts.told")),
                ("F2", t("files.rename")),
                ("Alt ← →", t("shortcuts.shift")),
                ("Del", t("files.close")),
            ],
        ),
    ]
}

#[component]
fn List() -> impl IntoView {
    let Shortcuts(shown) = expect_context();
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        if shown.get()
            && let Some(dialog) = dialog.get().filter(|dialog| !dialog.open())
        {
            // A dialog that is in the document and closed can be shown.
            let _ = dialog.show_modal();
        }
    });
    let close = move |_| {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let line = |(keys, does): (&'static str, &'static str)| view! { <div><dt><kbd>{keys}</kbd></dt> <dd>{does}</dd></div> };
    let place = |(name, keys): Place| {
        view! {
            <section>
                <h3>{name}</h3>
                <dl>{keys.into_iter().map(line).collect_view()}</dl>
            </section>
        }
    };
    view! {
        <dialog class="shortcuts" node_ref=dialog aria-labelledby="shortcuts-title" on:close=move |_| shown.set(false)>
            <header>
                <h2 id="shortcuts-title">{t("shortcuts")}</h2>
                <button type="button" class="button plain icon" aria-label=t("shortcuts.done") title=t("shortcuts.done") on:click=close>
                    {icons::CLOSE.view()}
                </button>
            </header>
            <div class="places-of">{places().map(place).collect_view()}</div>
        </dialog>
    }
}
