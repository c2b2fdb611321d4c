//! The top bar: the name, time, and the settings.

use crate::{icons, settings::Settings, text::t};
use leptos::prelude::*;

/// The top bar. `children` stand between the name and the settings: the scene, the clock.
#[component]
pub(crate) fn Bar(#[prop(optional)] children: Option<Children>) -> impl IntoView {
    view! {
        <header class="bar">
            <h1 class="brand">{icons::BRAND.view()} <span>{t("app.name")}</span></h1>
            <span class="gap"></span>
            {children.map(|children| children())}
            <Settings />
        </header>
    }
}
