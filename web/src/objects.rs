//! The objects: everything that the API server stores.

use crate::{icons, panels::Empty, text::t};
use leptos::prelude::*;

/// Everything that the API server stores.
#[component]
pub(crate) fn Objects() -> impl IntoView {
    view! { <Empty icon=icons::OBJECTS what=t("objects.empty") how=t("objects.empty.how") /> }
}
