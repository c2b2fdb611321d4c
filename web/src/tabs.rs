//! The tabs: of the panels below the map, and on the phone of the sheet (the ARIA tabs pattern, arrow keys between them).

use crate::{
    icons,
    layout::Layout,
    panels::Panel,
    text::{fill, t},
};
use leptos::{ev, prelude::*};

/// The tabs that there are now, and the button that folds the panels below them.
#[component]
pub(crate) fn Tabs() -> impl IntoView {
    let layout = expect_context::<Layout>();
    let shown = Memo::new(move |_| layout.tabs());
    let choose = move |panel: Panel| {
        layout.show(panel);
        if let Some(tab) = document().get_element_by_id(&format!("tab-{}", panel.id())) {
            focus(&tab);
        }
    };
    let key = move |event: ev::KeyboardEvent| {
        let tabs = shown.get_untracked();
        let Some(at) = tabs.iter().position(|tab| *tab == layout.active()) else {
            return;
        };
        let to = match event.key().as_str() {
            "ArrowRight" => (at + 1) % tabs.len(),
            "ArrowLeft" => (at + tabs.len() - 1) % tabs.len(),
            "Home" => 0,
            "End" => tabs.len() - 1,
            _ => return,
        };
        event.prevent_default();
        if let Some(panel) = tabs.get(to) {
            choose(*panel);
        }
    };
    let folded = move || layout.is_dock_folded();
    let fold_label = move || {
        let key = if folded() {
            "panel.unfold"
        } else {
            "panel.fold"
        };
        fill(key, &[("panel", layout.active().name())])
    };
    view! {
        <div class="tabs">
            <div class="tablist" role="tablist" aria-label=t("panels") on:keydown=key>
                <For each=move || shown.get() key=|panel| panel.id() let:panel>
                    <button
                        type="button"
                        class="tab"
                        role="tab"
                        id=format!("tab-{}", panel.id())
                        aria-controls=format!("panel-{}", panel.id())
                        aria-selected=move || (layout.active() == panel).to_string()
                        tabindex=move || if layout.active() == panel { "0" } else { "-1" }
                        on:click=move |_| layout.show(panel)
                    >
                        {panel.icon().view()}
                        <span>{move || if layout.narrow.get() { panel.short() } else { panel.name() }}</span>
                    </button>
                </For>
            </div>
            <Show when=move || !layout.narrow.get()>
                <button
                    type="button"
                    class="button plain icon"
                    aria-label=fold_label
                    title=fold_label
                    aria-expanded=move || (!folded()).to_string()
                    on:click=move |_| layout.fold_dock(!untrack(folded))
                >
                    {move || if folded() { icons::UP.view() } else { icons::DOWN.view() }}
                </button>
            </Show>
        </div>
    }
}

fn focus(element: &web_sys::Element) {
    use wasm_bindgen::JsCast;
    if let Some(element) = element.dyn_ref::<web_sys::HtmlElement>() {
        // An element that cannot take the focus leaves it where it was.
        let _ = element.focus();
    }
}
