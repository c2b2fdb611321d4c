//! The product's icons: one style, lines of 1.5 on a field of 16, round ends, in the colour of the text.

use leptos::prelude::*;

/// An icon: the path of its lines.
#[derive(Clone, Copy)]
pub(crate) struct Icon(&'static str);

impl Icon {
    /// The icon as an SVG that assistive technology passes over: its name stands beside it or on its button.
    pub(crate) fn view(self) -> impl IntoView {
        view! {
            <svg
                viewBox="0 0 16 16"
                fill="none"
                stroke="currentColor"
                stroke-width="1.5"
                stroke-linecap="round"
                stroke-linejoin="round"
                aria-hidden="true"
            >
                <path d=self.0 />
            </svg>
        }
    }
}

pub(crate) const BRAND: Icon = Icon(
    "M2 3v8a3 3 0 0 0 3 3h6a3 3 0 0 0 3-3V3M2 6.5h12M6 6.5v3M10 6.5v3M5.2 10.5h1.6M9.2 10.5h1.6",
);
pub(crate) const SYSTEM: Icon = Icon("M2 3.5h12v7.5H2zM6 14h4M8 11v3");
pub(crate) const SUN: Icon = Icon(
    "M10.75 8a2.75 2.75 0 1 1-5.5 0 2.75 2.75 0 0 1 5.5 0M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7",
);
pub(crate) const MOON: Icon = Icon("M13.5 9.6A5.9 5.9 0 0 1 6.4 2.5a5.9 5.9 0 1 0 7.1 7.1");
pub(crate) const FILES: Icon =
    Icon("M4 1.75h5.5L12.5 5v9.25h-8.5zM9.25 2v3.25h3M6.25 8h4M6.25 10.75h4");
pub(crate) const LANE: Icon = Icon("M1.5 8h7M6.5 5.5 9 8l-2.5 2.5M11 4.5h3.5v7H11");
pub(crate) const TERMINAL: Icon = Icon("M2 3h12v10H2zM4.75 6l2 2-2 2M8.5 10h2.75");
pub(crate) const TIMELINE: Icon = Icon("M4 2v12M4 4.5h8.5M4 8h5.5M4 11.5h7");
pub(crate) const RULES: Icon = Icon("M2.5 3h6v3h-6zM7.5 10h6v3h-6zM5.5 6v5.5h2");
pub(crate) const OBJECTS: Icon =
    Icon("M8 1.75 13.5 4.9v6.2L8 14.25 2.5 11.1V4.9zM2.5 4.9 8 8l5.5-3.1M8 8v6.25");
pub(crate) const SCHEDULING: Icon =
    Icon("M2 3h12v10H2zM2 6.5h12M6 3v10M8.25 9.75l1.25 1.25 2.25-2.5");
pub(crate) const LEARN: Icon = Icon(
    "M8 4.5C6.5 3.2 4.5 2.75 2 2.75v9.5c2.5 0 4.5.45 6 1.75 1.5-1.3 3.5-1.75 6-1.75v-9.5c-2.5 0-4.5.45-6 1.75v9.5",
);
pub(crate) const SHARE: Icon = Icon("M8 10V2M5 4.5 8 2l3 2.5M5 7H3v7h10V7h-2");
pub(crate) const INSPECTOR: Icon =
    Icon("M11.25 7a4.25 4.25 0 1 1-8.5 0 4.25 4.25 0 0 1 8.5 0M10.2 10.2 13.5 13.5");
pub(crate) const FOLD_LEFT: Icon = Icon("M2 3h12v10H2zM6 3v10M11 6.25 9.25 8 11 9.75");
pub(crate) const FOLD_RIGHT: Icon = Icon("M2 3h12v10H2zM10 3v10M5 6.25 6.75 8 5 9.75");
pub(crate) const UNFOLD_LEFT: Icon = Icon("M2 3h12v10H2zM6 3v10M9.25 6.25 11 8 9.25 9.75");
pub(crate) const UNFOLD_RIGHT: Icon = Icon("M2 3h12v10H2zM10 3v10M6.75 6.25 5 8l1.75 1.75");
pub(crate) const DOWN: Icon = Icon("M4 6.5 8 10.5l4-4");
pub(crate) const UP: Icon = Icon("M4 9.5 8 5.5l4 4");
pub(crate) const CLOSE: Icon = Icon("M4 4l8 8M12 4l-8 8");
pub(crate) const RUN: Icon = Icon("M5 3.25 12.5 8 5 12.75z");
pub(crate) const PAUSE: Icon = Icon("M5.5 3.5v9M10.5 3.5v9");
pub(crate) const STEP: Icon = Icon("M4 3.5 10 8l-6 4.5zM12.5 3.5v9");
pub(crate) const BACK: Icon = Icon("M12 3.5 6 8l6 4.5zM3.5 3.5v9");
pub(crate) const ERROR: Icon = Icon("M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0M6 6l4 4M10 6l-4 4");
pub(crate) const WARNING: Icon = Icon("M8 2 14.5 13.5h-13zM8 6.5v3.25M8 11.6v.1");
pub(crate) const HINT: Icon = Icon("M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0M8 7.5V11M8 5.1v.1");
pub(crate) const PLUS: Icon = Icon("M8 3.5v9M3.5 8h9");
pub(crate) const MORE: Icon = Icon(
    "M4 8a1 1 0 1 1-2 0 1 1 0 0 1 2 0M9 8a1 1 0 1 1-2 0 1 1 0 0 1 2 0M14 8a1 1 0 1 1-2 0 1 1 0 0 1 2 0",
);
pub(crate) const MINUS: Icon = Icon("M3.5 8h9");
pub(crate) const FIT: Icon = Icon("M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10");
pub(crate) const TREE: Icon = Icon("M3 3.5h6M6 8h7M6 12.5h7M3 3.5v9h3M3 8h3");
pub(crate) const SAVE: Icon = Icon("M8 2v7.5M5 6.75l3 3 3-3M2.5 11v2.5h11V11");
pub(crate) const COPY: Icon = Icon("M5.5 5.5h8v8h-8zM10.5 2.5h-8v8");
pub(crate) const BESIDE: Icon = Icon("M2 3h12v10H2zM8 3v10M4 6.5h2M4 9h2M10 6.5h2");
pub(crate) const BROKEN: Icon = Icon("M9 1.75 3.5 9H8l-1 5.25L12.5 7H8z");
pub(crate) const PAST: Icon =
    Icon("M2.5 8a5.5 5.5 0 1 0 1.7-4M2.5 2.5v2.75h2.75M8 5v3.25l2.25 1.5");
pub(crate) const SETTINGS: Icon =
    Icon("M2 4.5h7M12.5 4.5H14M2 11.5h1.5M7 11.5h7M9 3h3.5v3H9zM3.5 10H7v3H3.5z");
pub(crate) const TABLES: Icon = Icon("M2 3h12v10H2zM2 6.5h12M2 10h12M6.5 3v10");
