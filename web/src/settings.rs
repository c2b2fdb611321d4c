//! How the page looks and speaks: the theme and the language.

use leptos::prelude::*;

use crate::{
    icons,
    notices::Notices,
    storage,
    text::{self, t},
    theme::ThemeSwitch,
};

/// The button that opens the settings, and they.
#[component]
pub(crate) fn Settings() -> impl IntoView {
    let notices = expect_context::<Notices>();
    let choose = move |tag: String| {
        notices.note_storage(storage::set("language", &tag));
        text::speak(tag);
    };
    view! {
        <details class="settings">
            <summary class="button plain icon" aria-label=t("settings") title=t("settings")>{icons::SETTINGS.view()}</summary>
            <div class="popup" role="group" aria-label=t("settings")>
                <div class="setting">
                    <span aria-hidden="true">{t("theme")}</span>
                    <ThemeSwitch />
                </div>
                <label class="setting">
                    <span>{t("language")}</span>
                    <select on:change=move |event| choose(event_target_value(&event))>
                        {text::LANGUAGES
                            .map(|(tag, name)| view! { <option value=tag lang=tag selected=tag == text::tag()>{name}</option> })
                            .collect_view()}
                    </select>
                </label>
                <p class="note">{t("language.how")}</p>
            </div>
        </details>
    }
}
