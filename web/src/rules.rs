//! The rules: the netfilter chains of a node.

use crate::{icons, panels::Empty, text::t};
use leptos::prelude::*;

/// The netfilter chains of a node.
#[component]
pub(crate) fn Rules() -> impl IntoView {
    view! { <Empty icon=icons::RULES what=t("rules.empty") how=t("rules.empty.how") /> }
}
