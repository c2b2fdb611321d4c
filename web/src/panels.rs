//! The panels: what they are called, and the parts that all of them are made of.

use crate::{
    icons,
    layout::Layout,
    text::{fill, t},
};
use leptos::prelude::*;

/// A panel that can be folded, or chosen by a tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panel {
    /// The manifests being written.
    Files,
    /// The packet lane.
    Lane,
    /// The command line.
    Terminal,
    /// What happened, and what caused it.
    Timeline,
    /// The netfilter rules of the nodes.
    Rules,
    /// What the API server stores.
    Objects,
    /// Which node each pod got, and why.
    Scheduling,
    /// What is inside a network namespace. On the phone it is a part of the inspector.
    Tables,
    /// The scene or the exercise that is being worked on, beside the map like the manifests.
    Learn,
    /// What is selected.
    Inspector,
}

impl Panel {
    /// The panels below the map, as tabs.
    pub(crate) const DOCK: [Panel; 6] = [
        Panel::Terminal,
        Panel::Timeline,
        Panel::Rules,
        Panel::Tables,
        Panel::Objects,
        Panel::Scheduling,
    ];
    /// The panels of the phone's sheet, as tabs; the lane only while a packet is followed, the lesson while one is open.
    pub(crate) const SHEET: [Panel; 9] = [
        Panel::Learn,
        Panel::Files,
        Panel::Lane,
        Panel::Terminal,
        Panel::Timeline,
        Panel::Rules,
        Panel::Objects,
        Panel::Scheduling,
        Panel::Inspector,
    ];

    /// The panel's word in element ids, classes and what is remembered.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Panel::Files => "files",
            Panel::Lane => "lane",
            Panel::Terminal => "terminal",
            Panel::Timeline => "timeline",
            Panel::Rules => "rules",
            Panel::Objects => "objects",
            Panel::Scheduling => "scheduling",
            Panel::Tables => "tables",
            Panel::Learn => "learn",
            Panel::Inspector => "inspector",
        }
    }

    /// The panel's word in links, lessons and what a host page asks for; empty for one that has none.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Panel::Lane => "packet",
            Panel::Files => "editor",
            Panel::Terminal | Panel::Timeline | Panel::Rules | Panel::Objects => self.id(),
            Panel::Scheduling | Panel::Tables | Panel::Learn | Panel::Inspector => "",
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Panel::Files => t("panel.files"),
            Panel::Lane => t("panel.lane"),
            Panel::Terminal => t("panel.terminal"),
            Panel::Timeline => t("panel.timeline"),
            Panel::Rules => t("panel.rules"),
            Panel::Objects => t("panel.objects"),
            Panel::Scheduling => t("panel.scheduling"),
            Panel::Tables => t("inside"),
            Panel::Learn => t("panel.learn"),
            Panel::Inspector => t("panel.inspector"),
        }
    }

    /// Its name where room is short.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Panel::Files => t("panel.files.short"),
            Panel::Inspector => t("panel.inspector.short"),
            _ => self.name(),
        }
    }

    /// Its icon.
    pub(crate) fn icon(self) -> icons::Icon {
        match self {
            Panel::Files => icons::FILES,
            Panel::Lane => icons::LANE,
            Panel::Terminal => icons::TERMINAL,
            Panel::Timeline => icons::TIMELINE,
            Panel::Rules => icons::RULES,
            Panel::Objects => icons::OBJECTS,
            Panel::Scheduling => icons::SCHEDULING,
            Panel::Tables => icons::TABLES,
            Panel::Learn => icons::LEARN,
            Panel::Inspector => icons::INSPECTOR,
        }
    }
}

/// The head of a panel beside the map: its name, what can be done in it (`children`), and the button that folds it away.
#[component]
pub(crate) fn PanelHead(
    panel: Panel,
    /// Buttons and short facts, from the left.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let layout = expect_context::<Layout>();
    let icon = match panel {
        Panel::Files | Panel::Learn => icons::FOLD_LEFT,
        Panel::Inspector => icons::FOLD_RIGHT,
        _ => icons::DOWN,
    };
    view! {
        <header class="head">
            <Show
                when=move || layout.lesson_shown.get() && matches!(panel, Panel::Files | Panel::Learn)
                fallback=move || view! { <h2>{panel.name()}</h2> }
            >
                {[Panel::Learn, Panel::Files].map(|side| view! {
                    <button type="button" class="button plain side" aria-pressed=(side == panel).to_string() on:click=move |_| layout.show(side)>
                        {side.name()}
                    </button>
                })}
            </Show>
            <span class="gap"></span>
            {children.map(|children| children())}
            <Show when=move || !layout.narrow.get() && panel != Panel::Lane>
                <button
                    type="button"
                    class="button plain icon"
                    aria-label=fill("panel.fold", &[("panel", panel.name())])
                    title=fill("panel.fold", &[("panel", panel.name())])
                    on:click=move |_| layout.fold(panel, true)
                >
                    {icon.view()}
                </button>
            </Show>
        </header>
    }
}

/// What a folded side panel leaves: a rail with its name and the button that opens it again.
#[component]
pub(crate) fn Rail(panel: Panel) -> impl IntoView {
    let layout = expect_context::<Layout>();
    let icon = if panel != Panel::Inspector {
        icons::UNFOLD_LEFT
    } else {
        icons::UNFOLD_RIGHT
    };
    view! {
        <div class="rail">
            <button
                type="button"
                class="button plain icon"
                aria-label=fill("panel.unfold", &[("panel", panel.name())])
                title=fill("panel.unfold", &[("panel", panel.name())])
                on:click=move |_| layout.fold(panel, false)
            >
                {icon.view()}
            </button>
            <span class="name" aria-hidden="true">
                {panel.name()}
            </span>
        </div>
    }
}

/// What stands where there is nothing yet: what comes here, and how.
#[component]
pub(crate) fn Empty(icon: icons::Icon, what: &'static str, how: &'static str) -> impl IntoView {
    view! {
        <div class="empty">
            {icon.view()} <p class="what">{what}</p> <p class="how">{how}</p>
        </div>
    }
}
