//! The line between two panels, moved by pointer or keyboard (the ARIA window splitter).

use crate::text::fill;
use leptos::{ev, prelude::*};

/// How far one press of an arrow key moves the line, in pixels.
const STEP: i32 = 16;

/// Which way the line lies and on which side of it the panel is whose size it sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// An upright line; the panel is left of it.
    Left,
    /// An upright line; the panel is right of it.
    Right,
    /// A flat line; the panel is below it.
    Below,
}

/// A splitter for the panel called `panel`, whose element has the id `controls`.
#[component]
pub(crate) fn Splitter(
    /// Its class, which says where it lies.
    class: &'static str,
    /// The panel's name, in the page's language.
    panel: &'static str,
    /// The panel's element.
    controls: &'static str,
    side: Side,
    /// The panel's size in pixels, which the splitter sets.
    size: RwSignal<i32>,
    /// The smallest and the largest size there is room for now.
    #[prop(into)]
    range: Signal<(i32, i32)>,
    /// The size that a double click goes back to.
    usual: i32,
) -> impl IntoView {
    // Where a drag began: the pointer's place and the panel's size there.
    let held = RwSignal::new(None::<(i32, i32)>);
    let put = move |to: i32| {
        let (least, most) = range.get_untracked();
        size.set(to.min(most).max(least));
    };
    let place = move |event: &ev::PointerEvent| match side {
        Side::Left => event.client_x(),
        Side::Right => -event.client_x(),
        Side::Below => -event.client_y(),
    };
    let down = move |event: ev::PointerEvent| {
        if event.button() != 0 {
            return;
        }
        let target: web_sys::Element = event_target(&event);
        // Without capture the drag ends at the line's edge; nothing worse.
        let _ = target.set_pointer_capture(event.pointer_id());
        held.set(Some((place(&event), size.get_untracked())));
    };
    let moved = move |event: ev::PointerEvent| {
        if let Some((from, start)) = held.get_untracked() {
            put(start + place(&event) - from);
        }
    };
    let key = move |event: ev::KeyboardEvent| {
        let (least, most) = range.get_untracked();
        let now = size.get_untracked();
        let to = match (event.key().as_str(), side) {
            ("ArrowRight", Side::Left) | ("ArrowLeft", Side::Right) | ("ArrowUp", Side::Below) => {
                now + STEP
            }
            ("ArrowLeft", Side::Left)
            | ("ArrowRight", Side::Right)
            | ("ArrowDown", Side::Below) => now - STEP,
            ("Home", _) => least,
            ("End", _) => most,
            _ => return,
        };
        event.prevent_default();
        put(to);
    };
    let (lie, label) = match side {
        Side::Left | Side::Right => ("vertical", "panel.resize"),
        Side::Below => ("horizontal", "panel.resize.height"),
    };
    let shape = if lie == "vertical" { "upright" } else { "flat" };
    view! {
        <div
            class=format!("splitter {shape} {class}")
            role="separator"
            tabindex="0"
            aria-orientation=lie
            aria-label=fill(label, &[("panel", panel)])
            aria-controls=controls
            aria-valuenow=move || size.get().to_string()
            aria-valuemin=move || range.get().0.to_string()
            aria-valuemax=move || range.get().1.to_string()
            aria-valuetext=move || fill("panel.resize.value", &[("n", &size.get().to_string())])
            data-held=move || held.get().map(|_| "")
            on:pointerdown=down
            on:pointermove=moved
            on:pointerup=move |_| held.set(None)
            on:pointercancel=move |_| held.set(None)
            on:dblclick=move |_| put(usual)
            on:keydown=key
        ></div>
    }
}
