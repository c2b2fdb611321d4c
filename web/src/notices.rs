//! Notices: what the person should know although they did not ask. Each stays until it is dismissed.

use crate::{
    icons,
    storage::{self, StorageError},
    text::t,
};
use leptos::prelude::*;

/// The notices on the page, as a context for everything that may have one to give.
#[derive(Clone, Copy)]
pub(crate) struct Notices(RwSignal<Vec<String>>);

impl Notices {
    /// No notices yet.
    pub(crate) fn new() -> Self {
        Notices(RwSignal::new(Vec::new()))
    }

    /// Shows a text, once: one that is already there is not shown twice.
    pub(crate) fn show(self, text: impl Into<String>) {
        let text = text.into();
        self.0.update(|list| {
            if !list.contains(&text) {
                list.push(text);
            }
        });
    }

    /// Tells the person when something could not be remembered.
    pub(crate) fn note_storage(self, result: Result<(), StorageError>) {
        match result {
            Ok(()) => {}
            Err(StorageError::Full) => self.show(t("notice.storage.full")),
            // Inside another page nobody counts on being remembered: the settings say it.
            Err(StorageError::Unavailable) if storage::is_embedded() => {}
            Err(StorageError::Unavailable) => self.show(t("notice.storage.off")),
        }
    }
}

/// Where the notices stand.
#[component]
pub(crate) fn NoticeList() -> impl IntoView {
    let Notices(list) = expect_context();
    view! {
        <section class="notices" role="status" aria-label=t("notices")>
            <For each=move || list.get() key=Clone::clone let:text>
                <div class="notice">
                    {icons::WARNING.view()} <p>{text.clone()}</p>
                    <button
                        type="button"
                        class="button plain icon"
                        aria-label=t("notice.dismiss")
                        title=t("notice.dismiss")
                        on:click=move |_| list.update(|all| all.retain(|each| *each != text))
                    >
                        {icons::CLOSE.view()}
                    </button>
                </div>
            </For>
        </section>
    }
}
