//! The inspector: what is selected, and all there is to know about it.

use crate::{icons, panels::Empty, text::t};
use leptos::prelude::*;

/// What is selected, and all there is to know about it.
#[component]
pub(crate) fn Inspector() -> impl IntoView {
    view! { <Empty icon=icons::INSPECTOR what=t("inspector.empty") how=t("inspector.empty.how") /> }
}
