//! The packet lane: one connection, hop by hop.

use crate::{icons, panels::Empty, text::t};
use leptos::prelude::*;

/// One connection, hop by hop.
#[component]
pub(crate) fn Lane() -> impl IntoView {
    view! { <Empty icon=icons::LANE what=t("lane.empty") how=t("lane.empty.how") /> }
}
