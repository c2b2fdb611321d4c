//! The colour theme: the system's, or the one the person chose. The colours themselves are in `styles/tokens.css`.

use crate::{icons, notices::Notices, storage, text::t};
use leptos::prelude::*;

thread_local! {
    /// The one that the page has now. It belongs to nobody who may go.
    static NOW: ArcRwSignal<Theme> = ArcRwSignal::new(Theme::stored());
}

/// Which colours the page takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// What the system says, now and when it changes.
    System,
    /// Dark ink on light ground.
    Light,
    /// Light ink on dark ground.
    Dark,
}

/// All of them.
pub(crate) const THEMES: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

impl Theme {
    /// Its name as it is stored and as `data-theme` on the root element says it (`boot.js` reads both).
    fn name(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// What a person reads.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Theme::System => t("theme.system"),
            Theme::Light => t("theme.light"),
            Theme::Dark => t("theme.dark"),
        }
    }

    fn icon(self) -> icons::Icon {
        match self {
            Theme::System => icons::SYSTEM,
            Theme::Light => icons::SUN,
            Theme::Dark => icons::MOON,
        }
    }

    /// The one chosen before.
    fn stored() -> Theme {
        let name = storage::get("theme").unwrap_or_default();
        THEMES
            .into_iter()
            .find(|theme| theme.name() == name)
            .unwrap_or(Theme::System)
    }

    /// The one that the page has now.
    pub(crate) fn now() -> Theme {
        NOW.with(Get::get)
    }

    /// Gives the page this one, and remembers it.
    pub(crate) fn choose(self, notices: Notices) {
        NOW.with(|now| now.set(self));
        if let Some(root) = document().document_element() {
            // An attribute of this name can always be set.
            let _ = match self {
                Theme::System => root.remove_attribute("data-theme"),
                _ => root.set_attribute("data-theme", self.name()),
            };
        }
        notices.note_storage(storage::set("theme", self.name()));
    }
}

/// The switch between the themes.
#[component]
pub(crate) fn ThemeSwitch() -> impl IntoView {
    let notices = expect_context::<Notices>();
    view! {
        <fieldset class="choice">
            <legend class="unseen">{t("theme")}</legend>
            {THEMES
                .map(|each| {
                    view! {
                        <label title=each.label()>
                            <input
                                type="radio"
                                name="theme"
                                value=each.name()
                                prop:checked=move || Theme::now() == each
                                on:change=move |_| each.choose(notices)
                            />
                            <span class="unseen">{each.label()}</span>
                            {each.icon().view()}
                        </label>
                    }
                })
                .collect_view()}
        </fieldset>
    }
}
