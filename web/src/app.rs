//! The application: the shell's panels in their places.

use crate::{
    bar::Bar,
    clock::Clock,
    editor::Editor,
    files, inspector, lane,
    layout::{Layout, usual},
    map::Map,
    notices::{NoticeList, Notices},
    objects,
    palette::PaletteButton,
    panels::{Panel, PanelHead, Rail},
    parts::Late,
    rules,
    simulator::Simulator,
    splitter::{Side, Splitter},
    storage,
    tabs::Tabs,
    terminal::Terminal,
    text::t,
    timeline,
};
use kubarium_snapshot::inspect::Diagnostic;
use kubarium_snapshot::{Reply, Request};
use leptos::{mount::mount_to, prelude::*};
use wasm_bindgen::JsCast;

/// The manifests that a first visit begins with.
const FIRST_MANIFESTS: &str = include_str!("../examples/web.yaml");

/// Puts the application into the element `#app`, in place of the line that says it is loading.
pub(crate) fn mount() {
    let Some(place) = document().get_element_by_id("app") else {
        return;
    };
    if let Some(boot) = document().get_element_by_id("boot") {
        boot.remove();
    }
    mount_to(place.unchecked_into(), App).forget();
}

/// The whole page.
#[component]
pub(crate) fn App() -> impl IntoView {
    let notices = Notices::new();
    provide_context(notices);
    let layout = Layout::load();
    provide_context(layout);
    layout.remember(notices);
    let manifests = remembered("manifests", FIRST_MANIFESTS, notices);
    let simulator = Simulator::start();
    provide_context(simulator);
    let diagnostics = diagnose(simulator, manifests);
    Effect::new(move |_| {
        if simulator.lane.read().is_some() {
            layout.open_lane();
        }
    });

    // A selection opens the panel in which it is explained.
    Effect::new(move |before: Option<Option<String>>| {
        let now = simulator.selected.get();
        if now.is_some()
            && before.is_some_and(|before| before != now)
            && !layout.narrow.get_untracked()
        {
            layout.inspector_folded.set(false);
        }
        now
    });
    let shown =
        move |panel| Signal::derive(move || layout.is_shown(panel) && !layout.is_rail(panel));

    view! {
        <a class="button primary skip" href="#panel-map">{t("app.skip")}</a>
        <div
            class="shell"
            data-narrow=move || layout.narrow.get().then_some("")
            data-dock=move || layout.is_dock_folded().then_some("folded")
            style=("--files", move || layout.length(Panel::Files))
            style=("--inspector", move || layout.length(Panel::Inspector))
            style=("--lane", move || layout.length(Panel::Lane))
            style=("--dock", move || layout.length(Panel::Terminal))
            style=("--sheet", move || layout.sheet_length())
        >
            <Bar>
                <PaletteButton />
                <Clock
                    now=simulator.now_ms
                    running=simulator.running
                    can_go_back=Signal::derive(move || simulator.events.get() > 1)
                    on_run=Callback::new(move |run| simulator.run_time(run))
                    on_step=Callback::new(move |()| simulator.step_time())
                    on_back=Callback::new(move |()| simulator.step_back())
                />
            </Bar>
            <main>
            <SidePanel panel=Panel::Files>
                <files::Tools text=manifests />
                <Editor text=manifests diagnostics wanted=move || layout.is_shown(Panel::Files) && !layout.is_rail(Panel::Files) />
            </SidePanel>
            <Splitters />
            <section class="panel map" id="panel-map" tabindex="-1" aria-label=t("panel.map")>
                <Map />
            </section>
            <TabPanel panel=Panel::Lane class="lane">
                <Late load=|| Box::pin(lane::part()) wanted=shown(Panel::Lane) />
            </TabPanel>
            <SidePanel panel=Panel::Inspector>
                <Late load=|| Box::pin(inspector::part()) wanted=shown(Panel::Inspector) />
            </SidePanel>
            <Tabs />
            <TabPanel panel=Panel::Terminal class="dock">
                <Terminal />
            </TabPanel>
            <TabPanel panel=Panel::Timeline class="dock">
                <Late load=|| Box::pin(timeline::part()) wanted=shown(Panel::Timeline) />
            </TabPanel>
            <TabPanel panel=Panel::Rules class="dock">
                <Late load=|| Box::pin(rules::part()) wanted=shown(Panel::Rules) />
            </TabPanel>
            <TabPanel panel=Panel::Objects class="dock">
                <Late load=|| Box::pin(objects::part()) wanted=shown(Panel::Objects) />
            </TabPanel>
            </main>
        </div>
        <NoticeList />
    }
}

/// A panel beside the map: with a head, and on a wide page foldable to a rail.
#[component]
fn SidePanel(panel: Panel, children: Children) -> impl IntoView {
    let layout = expect_context::<Layout>();
    let is_rail = move || layout.is_rail(panel);
    view! {
        <section
            class=format!("panel {}", panel.id())
            id=format!("panel-{}", panel.id())
            role=move || if layout.narrow.get() { "tabpanel" } else { "region" }
            aria-label=panel.name()
            hidden=move || !layout.is_shown(panel)
        >
            <Show when=is_rail>
                <Rail panel />
            </Show>
            <Show when=move || !is_rail() && !layout.narrow.get()>
                <PanelHead panel />
            </Show>
            <div class="body" hidden=is_rail>
                {children()}
            </div>
        </section>
    }
}

/// A panel below the map: chosen by a tab, or the packet lane, which is there while a packet is followed.
#[component]
fn TabPanel(panel: Panel, class: &'static str, children: Children) -> impl IntoView {
    let layout = expect_context::<Layout>();
    let is_tab = move || layout.narrow.get() || panel != Panel::Lane;
    view! {
        <section
            class=format!("panel {class}")
            id=format!("panel-{}", panel.id())
            role=move || if is_tab() { "tabpanel" } else { "region" }
            aria-label=panel.name()
            hidden=move || !layout.is_shown(panel)
        >
            <div class="body">{children()}</div>
        </section>
    }
}

/// The lines between the panels, those that there are now.
#[component]
fn Splitters() -> impl IntoView {
    let layout = expect_context::<Layout>();
    let wide = move || !layout.narrow.get();
    view! {
        <Show when=move || wide() && !layout.is_rail(Panel::Files)>
            <Splitter
                class="files"
                panel=Panel::Files.name()
                controls="panel-files"
                side=Side::Left
                size=layout.files
                range=move || layout.files_range()
                usual=usual::FILES
            />
        </Show>
        <Show when=move || wide() && !layout.is_rail(Panel::Inspector)>
            <Splitter
                class="inspector"
                panel=Panel::Inspector.name()
                controls="panel-inspector"
                side=Side::Right
                size=layout.inspector
                range=move || layout.inspector_range()
                usual=usual::INSPECTOR
            />
        </Show>
        <Show when=move || wide() && layout.lane_shown.get()>
            <Splitter
                class="lane"
                panel=Panel::Lane.name()
                controls="panel-lane"
                side=Side::Below
                size=layout.lane
                range=move || layout.lane_range()
                usual=usual::LANE
            />
        </Show>
        <Show when=move || wide() && !layout.is_dock_folded()>
            <Splitter
                class="dock"
                panel=t("panels")
                controls="panel-terminal"
                side=Side::Below
                size=layout.dock
                range=move || layout.dock_range()
                usual=usual::DOCK
            />
        </Show>
        <Show when=move || !wide()>
            <Splitter
                class="sheet"
                panel=t("panels")
                controls="panel-files"
                side=Side::Below
                size=layout.sheet
                range=move || layout.sheet_range()
                usual=usual::SHEET
            />
        </Show>
    }
}

/// How long after the last change, in milliseconds, a text is remembered, and how long after it is checked.
const REMEMBER_AFTER: u64 = 400;
const LINT_AFTER: u64 = 150;

/// What the simulator says about the manifests, shortly after each change.
fn diagnose(simulator: Simulator, manifests: RwSignal<String>) -> Signal<Vec<Diagnostic>> {
    let settled = RwSignal::new(manifests.get_untracked());
    after_pause(manifests, LINT_AFTER, move |text| settled.set(text));
    let answer = simulator.watch(move || Some(Request::Diagnose(settled.get())));
    Signal::derive(move || match answer.read().as_deref() {
        Some(Reply::Diagnosed(found)) => found.clone(),
        _ => Vec::new(),
    })
}

/// A text that is remembered under `key`, shortly after each change.
fn remembered(key: &'static str, first: &str, notices: Notices) -> RwSignal<String> {
    let text = RwSignal::new(storage::get(key).unwrap_or_else(|| first.to_owned()));
    after_pause(text, REMEMBER_AFTER, move |text| {
        notices.note_storage(storage::set(key, &text));
    });
    // A page that is left within the pause loses nothing.
    let left = window_event_listener(leptos::ev::pagehide, move |_| {
        // There is nobody to tell any more.
        let _ = storage::set(key, &text.get_untracked());
    });
    on_cleanup(move || left.remove());
    text
}

/// Calls `then` with the text when it has changed and then been left alone for so many milliseconds.
fn after_pause(text: RwSignal<String>, milliseconds: u64, then: impl Fn(String) + Copy + 'static) {
    let pending = StoredValue::new(None::<TimeoutHandle>);
    Effect::new(move |before: Option<()>| {
        text.track();
        if before.is_none() {
            return;
        }
        if let Some(timer) = pending.get_value() {
            timer.clear();
        }
        let later = std::time::Duration::from_millis(milliseconds);
        let call = move || then(text.get_untracked());
        pending.set_value(set_timeout_with_handle(call, later).ok());
    });
}
