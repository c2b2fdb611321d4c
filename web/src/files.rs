//! What is done with the manifests: they are applied.

use leptos::prelude::*;

use crate::{simulator::Simulator, text::t};

/// The manifests' name, and the button that applies them.
#[component]
pub(crate) fn Tools(text: RwSignal<String>) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    view! {
        <div class="file-tools">
            <span class="file">{t("files.name")}</span>
            <button
                type="button"
                class="button primary"
                title="kubectl apply -f web.yaml"
                on:click=move |_| simulator.apply(t("files.name"), &text.get_untracked())
            >
                {t("files.apply")}
            </button>
        </div>
    }
}
