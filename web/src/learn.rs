//! What the first view knows of lessons: whether there is one, and what the later part (`lessons`) is wanted for.

use std::collections::VecDeque;

use leptos::prelude::*;

use crate::{files::Files, icons, layout::Layout, simulator::Simulator, storage, text::t};

/// Lessons and sharing, as a context.
#[derive(Clone, Copy)]
pub(crate) struct Learn {
    pub(crate) simulator: Simulator,
    pub(crate) layout: Layout,
    pub(crate) files: Files,
    /// Whether the part that does it all is wanted before the cluster is up.
    pub(crate) wanted: RwSignal<bool>,
    /// Whether the gallery is open.
    pub(crate) gallery: RwSignal<bool>,
    /// Goes up when the state is to be shared.
    pub(crate) share: RwSignal<u32>,
    /// What became of it, for a while.
    pub(crate) said: RwSignal<String>,
    /// The file of the lesson that is open; empty for one that was dropped in.
    pub(crate) lesson: RwSignal<Option<String>>,
    /// What a person should know about what was opened.
    pub(crate) remark: RwSignal<String>,
    /// Goes up when a question was answered, a hint opened, or another lesson begun.
    pub(crate) touched: RwSignal<u32>,
    /// Command lines of a step that wait for the ones before to end.
    pub(crate) waiting: RwSignal<VecDeque<String>>,
}

impl Learn {
    /// Nothing is open yet. The part is wanted at once by whoever comes for the first time, follows a link, comes back to
    /// work that was kept, or sees the page inside another one.
    pub(crate) fn new(simulator: Simulator, layout: Layout, files: Files) -> Learn {
        let hash = window().location().hash().unwrap_or_default();
        let kept = |key| storage::get(key).is_some_and(|text| !text.is_empty());
        let wanted = storage::is_embedded() || hash.len() > 1 || kept("work") || !kept("visited");
        Learn {
            simulator,
            layout,
            files,
            wanted: RwSignal::new(wanted),
            gallery: RwSignal::new(false),
            share: RwSignal::new(0),
            said: RwSignal::new(String::new()),
            lesson: RwSignal::new(None),
            remark: RwSignal::new(String::new()),
            touched: RwSignal::new(0),
            waiting: RwSignal::new(VecDeque::new()),
        }
    }
}

/// The buttons that open the gallery and share the state.
#[component]
pub(crate) fn LearnTools() -> impl IntoView {
    let learn = expect_context::<Learn>();
    let gallery = move |_| {
        learn.wanted.set(true);
        learn.gallery.set(true);
    };
    let share = move |_| {
        learn.wanted.set(true);
        learn.share.update(|n| *n += 1);
    };
    view! {
        <span class="shared" role="status">{move || learn.said.get()}</span>
        <button type="button" class="button lessons" aria-label=t("learn") title=t("learn") on:click=gallery>
            {icons::LEARN.view()}
            <span>{t("learn")}</span>
        </button>
        <button
            type="button"
            class="button plain icon"
            aria-label=t("share")
            title=t("share")
            prop:disabled=move || !learn.simulator.started.get()
            on:click=share
        >
            {icons::SHARE.view()}
        </button>
    }
}
