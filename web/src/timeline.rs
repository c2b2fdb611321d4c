//! The timeline: what happened, in order, each with its cause.

use crate::{icons, panels::Empty, text::t};
use leptos::prelude::*;

/// What happened, in order, each with its cause.
#[component]
pub(crate) fn Timeline() -> impl IntoView {
    view! { <Empty icon=icons::TIMELINE what=t("timeline.empty") how=t("timeline.empty.how") /> }
}
