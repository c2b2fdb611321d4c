//! The map: the cluster and its network, drawn.

use crate::{icons, panels::Empty, text::t};
use leptos::prelude::*;

/// The cluster and its network, drawn.
#[component]
pub(crate) fn Map() -> impl IntoView {
    view! { <Empty icon=icons::MAP what=t("map.empty") how=t("map.empty.how") /> }
}
