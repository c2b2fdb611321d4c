//! How the page looks and speaks: the theme and the language.

use leptos::{prelude::*, wasm_split::wasm_split};

use crate::{
    icons,
    notices::Notices,
    parts::{Late, Loaded},
    shortcuts::Shortcuts,
    storage,
    text::{self, t},
    theme::ThemeSwitch,
};

/// The button that opens the settings, and their place.
#[component]
pub(crate) fn Settings() -> impl IntoView {
    let wanted = RwSignal::new(false);
    view! {
        <details class="settings">
            <summary class="button plain icon" aria-label=t("settings") title=t("settings") on:click=move |_| wanted.set(true)>
                {icons::SETTINGS.view()}
            </summary>
            <div class="popup" role="group" aria-label=t("settings")>
                <Late load=|| Box::pin(part()) wanted=wanted.into() />
            </div>
        </details>
    }
}

/// The part of the page's module with the settings themselves.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
fn part() -> Loaded {
    Ok(|| view! { <Choices /> }.into_any())
}

#[component]
fn Choices() -> impl IntoView {
    let notices = expect_context::<Notices>();
    let Shortcuts(keys) = expect_context();
    let choose = move |tag: String| {
        notices.note_storage(storage::set("language", &tag));
        text::speak(&tag);
    };
    view! {
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
        <button type="button" class="setting link" on:click=move |_| keys.set(true)>{t("shortcuts")} <kbd>"?"</kbd></button>
        {(!storage::is_kept()).then(|| view! { <p class="note">{t("settings.forgets")}</p> })}
    }
}
