//! The application: the shell's panels in their places.

use crate::{
    bar::Bar,
    clock::Clock,
    files::Files,
    inside, inspector, lane,
    layout::{Layout, usual},
    learn::{Learn, LearnTools},
    lessons, manifests,
    map::Map,
    moment::TimeLine,
    notices::{NoticeList, Notices},
    objects,
    outline::Outline,
    palette::PaletteButton,
    panels::{Panel, PanelHead, Rail},
    parts::Late,
    preview, rules, scheduling,
    shortcuts::{ShortcutList, Shortcuts},
    simulator::Simulator,
    splitter::{Side, Splitter},
    tabs::Tabs,
    terminal::Terminal,
    text::{self, t},
    thing_menu::ThingMenu,
    timeline,
};
use leptos::{mount::mount_to, prelude::*};
use wasm_bindgen::JsCast;

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
    let simulator = Simulator::start();
    provide_context(simulator);
    let files = Files::load(notices);
    provide_context(files);
    let learn = Learn::new(simulator, layout, files);
    provide_context(learn);
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
    let line = TimeLine(RwSignal::new(false));
    provide_context(line);
    provide_context(Outline(RwSignal::new(false)));
    provide_context(Shortcuts(RwSignal::new(false)));
    // Another language says everything anew.
    move || {
        text::track();
        view! { <Shell simulator layout line /> }
    }
}

#[component]
fn Shell(simulator: Simulator, layout: Layout, line: TimeLine) -> impl IntoView {
    let shown =
        move |panel| Signal::derive(move || layout.is_shown(panel) && !layout.is_rail(panel));
    let learn = expect_context::<Learn>();
    let files = expect_context::<Files>();
    let compared = Signal::derive(move || files.comparing.get() || files.applied.read().is_some());
    view! {
        <a class="button primary skip" href="#panel-map">{t("app.skip")}</a>
        <div
            class="shell"
            data-narrow=move || layout.narrow.get().then(|| if layout.beside.get() { "beside" } else { "" })
            data-dock=move || layout.is_dock_folded().then_some("folded")
            style=("--files", move || layout.length(Panel::Files))
            style=("--inspector", move || layout.length(Panel::Inspector))
            style=("--lane", move || layout.length(Panel::Lane))
            style=("--dock", move || layout.length(Panel::Terminal))
            style=("--sheet", move || layout.sheet_length())
        >
            <Bar>
                <LearnTools />
                <PaletteButton />
                <Clock
                    now=simulator.now_ms
                    running=simulator.running
                    speed=simulator.speed
                    line=line.0
                    can_go_back=Signal::derive(move || simulator.events.get() > 1)
                    on_run=Callback::new(move |run| simulator.run_time(run))
                    on_step=Callback::new(move |()| simulator.step_time())
                    on_back=Callback::new(move |()| simulator.step_back())
                    on_speed=Callback::new(move |speed| simulator.set_speed(speed))
                />
            </Bar>
            <main>
            <SidePanel panel=Panel::Learn>
                <Late load=|| Box::pin(lessons::panel()) wanted=Signal::derive(move || layout.lesson_shown.get()) />
            </SidePanel>
            <SidePanel panel=Panel::Files>
                <Late load=|| Box::pin(manifests::part()) wanted=shown(Panel::Files) />
                // Beside it and not within: a part of the module does not load another.
                <Late load=|| Box::pin(preview::part()) wanted=compared />
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
            <TabPanel panel=Panel::Tables class="dock">
                <Late load=|| Box::pin(inside::part()) wanted=shown(Panel::Tables) />
            </TabPanel>
            <TabPanel panel=Panel::Objects class="dock">
                <Late load=|| Box::pin(objects::part()) wanted=shown(Panel::Objects) />
            </TabPanel>
            <TabPanel panel=Panel::Scheduling class="dock">
                <Late load=|| Box::pin(scheduling::part()) wanted=shown(Panel::Scheduling) />
            </TabPanel>
            <ThingMenu />
            </main>
        </div>
        <NoticeList />
        <ShortcutList />
        <div class="above">
            <Late load=|| Box::pin(lessons::part()) wanted=Signal::derive(move || learn.wanted.get() || simulator.started.get()) />
        </div>
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
        <Show when=move || layout.beside.get() || wide() && !layout.is_rail(Panel::Files)>
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
        <Show when=move || !wide() && !layout.beside.get()>
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
