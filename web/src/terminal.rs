//! The terminal: the command lines that people type, and what they print.

use crate::{icons, panels::Empty, text::t};
use leptos::prelude::*;

/// The command lines that people type, and what they print.
#[component]
pub(crate) fn Terminal() -> impl IntoView {
    view! { <Empty icon=icons::TERMINAL what=t("terminal.empty") how=t("terminal.empty.how") /> }
}
