//! The map: the cluster and its network, to be moved, come nearer to and searched. What is on it is drawn by
//! [`crate::drawing`].

use std::collections::BTreeMap;
use std::time::Duration;

use kubarium_snapshot::Request;
use kubarium_snapshot::geometry::{Point, Rect};
use leptos::{ev, html, prelude::*};
use wasm_bindgen::prelude::*;

use crate::{
    depths::{Depths, Sight},
    drawing::Layers,
    faults::{FaultList, Marks},
    filter::{Filter, FilterTools},
    icons,
    layout::Layout,
    moment::Moment,
    outline::{self, Outline},
    packet::Packet,
    panels::Panel,
    parts::Late,
    pictures::SavePicture,
    simulator::{Phase, Simulator},
    text::{fill, t},
};

/// The smallest and the largest zoom.
const ZOOM: std::ops::RangeInclusive<f64> = 0.1..=12.0;
/// The zoom beyond which nothing is shown whole.
pub(crate) const FIT_MAX: f64 = 1.25;
/// For how long a finger rests to ask for a menu.
const LONG_PRESS: Duration = Duration::from_millis(500);
/// For how long the map rests before its letters are drawn anew.
const SETTLED: Duration = Duration::from_millis(150);
/// How near the packet may come to the window's edge before the map follows it.
const EDGE: f64 = 48.0;

/// What part of the map is seen: map units at the window's corner, and pixels for a map unit.
#[derive(Clone, Copy, PartialEq)]
struct View {
    x: f64,
    y: f64,
    zoom: f64,
}

impl View {
    /// A part of the map in a window of that size; where `tall`, its upper part as wide as the window. What else there
    /// is room for is shown whole rather than cut.
    fn fit(part: Rect, whole: Rect, (width, height): (f64, f64), tall: bool) -> View {
        let wide = width / part.width.max(1.0);
        let high = height / part.height.max(1.0);
        let zoom = if tall { wide } else { wide.min(high) };
        let zoom = zoom.clamp(*ZOOM.start(), FIT_MAX);
        let below = (height / zoom - part.height) / 2.0;
        let seen = width / zoom;
        let x = if seen >= whole.width {
            whole.x - (seen - whole.width) / 2.0
        } else {
            let middle = part.x - (seen - part.width) / 2.0;
            middle.clamp(whole.x, whole.right() - seen)
        };
        View {
            x,
            y: part.y - if tall { below.max(0.0) } else { below },
            zoom,
        }
    }

    /// Nearer or farther, with the point under (x, y) of the window kept.
    fn zoomed(self, factor: f64, (x, y): (f64, f64)) -> View {
        let zoom = (self.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
        View {
            x: self.x + x / self.zoom - x / zoom,
            y: self.y + y / self.zoom - y / zoom,
            zoom,
        }
    }

    /// Moved by so many pixels.
    fn moved(self, dx: f64, dy: f64) -> View {
        View {
            x: self.x - dx / self.zoom,
            y: self.y - dy / self.zoom,
            zoom: self.zoom,
        }
    }

    /// Moved until a point is in sight, and no further aside than that takes.
    fn showing(self, at: Point, (width, height): (f64, f64)) -> View {
        let missing = |at: f64, size: f64| {
            let edge = EDGE.min(size / 2.0);
            let inside = (edge..=size - edge).contains(&at);
            if inside { 0.0 } else { size / 2.0 - at }
        };
        let (x, y) = ((at.x - self.x) * self.zoom, (at.y - self.y) * self.zoom);
        self.moved(missing(x, width), missing(y, height))
    }
}

/// How much is shown: more, the nearer one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// Rooms, pods as cells with a state, Services.
    Cluster,
    /// Devices, ports, addresses, cables.
    Node,
    /// A pod's end of the cable, and its containers.
    Namespace,
    /// What is inside network namespaces: routes, sockets, processes.
    Inside,
}

impl Depth {
    fn of(zoom: f64) -> Depth {
        match zoom {
            z if z < 0.5 => Depth::Cluster,
            z if z < 2.4 => Depth::Node,
            z if z < 4.6 => Depth::Namespace,
            _ => Depth::Inside,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Depth::Cluster => "cluster",
            Depth::Node => "node",
            Depth::Namespace => "namespace",
            Depth::Inside => "inside",
        }
    }
}

/// The cluster and its network, drawn.
#[component]
pub(crate) fn Map() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    view! {
        <Show when=move || simulator.started.get() fallback=Starting>
            <Canvas />
        </Show>
    }
}

/// What stands here until the cluster is up: how far it has come, or what to do where it cannot come.
#[component]
fn Starting() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let failed = move || match simulator.phase.get() {
        Phase::Failed(why) => Some(why),
        _ => None,
    };
    let share = move || match simulator.phase.get() {
        Phase::Loading(loaded, total) if total > 0 => Some(f64::from(loaded) / f64::from(total)),
        _ => None,
    };
    let what = move || match simulator.phase.get() {
        Phase::Loading(..) => t("map.loading"),
        _ => t("map.starting"),
    };
    let how = move || match simulator.phase.get() {
        Phase::Loading(0, _) => t("map.loading.how").to_owned(),
        Phase::Loading(loaded, 0) => fill("map.loading.some", &[("n", &megabytes(loaded))]),
        Phase::Loading(loaded, total) => fill(
            "map.loading.of",
            &[("n", &megabytes(loaded)), ("all", &megabytes(total))],
        ),
        _ => t("map.starting.how").to_owned(),
    };
    view! {
        {move || match failed() {
            None => {
                view! {
                    <div class="starting" role="status">
                        {icons::BRAND.view()} <p class="what">{what}</p>
                        <progress aria-label=what value=move || share().map(|share| share.to_string())></progress>
                        <p class="how">{how}</p>
                    </div>
                }
                    .into_any()
            }
            Some(why) => {
                view! {
                    <div class="starting" role="alert">
                        {icons::WARNING.view()} <p class="what">{t("map.failed")}</p> <p class="how">{t("map.failed.how")}</p>
                        <p class="why">
                            <code>{why}</code>
                        </p>
                        <button type="button" class="button primary" on:click=move |_| simulator.load()>
                            {t("map.failed.again")}
                        </button>
                    </div>
                }
                    .into_any()
            }
        }}
    }
}

/// A number of bytes as a person reads it: `1.4`.
fn megabytes(bytes: u32) -> String {
    format!("{:.1}", f64::from(bytes) / 1e6)
}

#[component]
fn Canvas() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let Outline(in_words) = expect_context();
    let filter = Filter::new(simulator);
    provide_context(filter);
    let frame = NodeRef::<html::Div>::new();
    let drawing = NodeRef::<html::Div>::new();
    let size = size_of(frame);
    let view = RwSignal::new(View {
        x: 0.0,
        y: 0.0,
        zoom: 1.0,
    });
    // While a hand moves the map, a picture of it is moved; what it shows follows when the hand rests.
    let settled = RwSignal::new(view.get_untracked());
    let is_moving = RwSignal::new(false);
    let show = move |to: View| {
        view.set(to);
        settled.set(to);
        is_moving.set(false);
    };
    let settling = StoredValue::new(None::<TimeoutHandle>);
    let drag_to = move |to: View| {
        view.set(to);
        is_moving.set(true);
        let rest = move || show(view.get_untracked());
        let timer = set_timeout_with_handle(rest, SETTLED).ok();
        if let Some(before) = settling
            .try_update_value(|t| std::mem::replace(t, timer))
            .flatten()
        {
            before.clear();
        }
    };
    let depth = Memo::new(move |_| Depth::of(settled.read().zoom));
    provide_context(depth);
    let sight = Memo::new(move |_| {
        let View { x, y, zoom } = settled.get();
        let (width, height) = size.get();
        (depth.get() == Depth::Inside).then(|| Rect::new(x, y, width / zoom, height / zoom))
    });
    provide_context(Sight(sight));
    // On a phone the rooms stand one below the other.
    Effect::new(move |_| {
        let across = usize::from(layout.column.get());
        simulator.ask(Request::Across(across), |_| {});
    });
    // Until a person moves the map, it shows everything; or all that the packet comes by, while one is followed.
    let moved = RwSignal::new(false);
    let part = Memo::new(move |_| {
        let all = simulator.picture.bounds.get();
        match simulator.lane.read().is_some() && !layout.column.get() {
            true => around(simulator, &simulator.path()).unwrap_or(all),
            false => all,
        }
    });
    let fit = move || {
        let tall = layout.column.get_untracked();
        let whole = simulator.picture.bounds.get_untracked();
        show(View::fit(
            part.get_untracked(),
            whole,
            size.get_untracked(),
            tall,
        ));
    };
    Effect::new(move |_| {
        part.track();
        size.track();
        if !moved.get_untracked() {
            fit();
        }
    });
    // What was moved by hand, or is too tall to be shown whole, follows the packet.
    Effect::new(move |_| {
        let follows = moved.get_untracked() || layout.column.get_untracked();
        if let Some(at) = simulator.way().last().filter(|_| follows) {
            let (at, size) = (*at, size.get_untracked());
            let shown = view.get_untracked().showing(at, size);
            if shown != view.get_untracked() {
                show(shown);
            }
        }
    });

    let corner = move || {
        let frame = frame.get_untracked().map(|f| f.get_bounding_client_rect());
        frame.map_or((0.0, 0.0), |c| (c.left(), c.top()))
    };
    let held = StoredValue::new(BTreeMap::<i32, (f64, f64)>::new());
    let grabbed = RwSignal::new(false);
    let wheel = move |event: ev::WheelEvent| {
        event.prevent_default();
        moved.set(true);
        let (left, top) = corner();
        let at = (
            f64::from(event.client_x()) - left,
            f64::from(event.client_y()) - top,
        );
        drag_to(
            view.get_untracked()
                .zoomed((-event.delta_y() / 400.0).exp(), at),
        );
    };
    let place =
        |event: &ev::PointerEvent| (f64::from(event.client_x()), f64::from(event.client_y()));
    // A finger that rests asks for the menu of what is under it.
    let resting = StoredValue::new(None::<TimeoutHandle>);
    let rest = move |event: Option<&ev::PointerEvent>| {
        if let Some(timer) = resting.try_update_value(Option::take).flatten() {
            timer.clear();
        }
        let Some(event) = event.filter(|event| event.pointer_type() == "touch") else {
            return;
        };
        let Some(id) = event.target().and_then(crate::thing_menu::thing) else {
            return;
        };
        let (x, y) = place(event);
        let ask = move || {
            held.update_value(BTreeMap::clear);
            simulator.menu.set(Some((id.0, x, y)));
        };
        resting.set_value(set_timeout_with_handle(ask, LONG_PRESS).ok());
    };
    let down = move |event: ev::PointerEvent| {
        held.update_value(|held| {
            held.insert(event.pointer_id(), place(&event));
        });
        rest(Some(&event));
    };
    let drag = move |event: ev::PointerEvent| {
        let now = place(&event);
        let Some(before) = held.with_value(|held| held.get(&event.pointer_id()).copied()) else {
            return;
        };
        let (dx, dy) = (now.0 - before.0, now.1 - before.1);
        if !grabbed.get_untracked() && dx.abs() + dy.abs() < 4.0 {
            return;
        }
        grabbed.set(true);
        moved.set(true);
        rest(None);
        let other = held.try_update_value(|held| {
            held.insert(event.pointer_id(), now);
            held.iter()
                .find(|(id, _)| **id != event.pointer_id())
                .map(|(_, at)| *at)
        });
        let shown = view.get_untracked();
        let Some(other) = other.flatten() else {
            drag_to(shown.moved(dx, dy));
            return;
        };
        // Two fingers: what is between them grows and moves with them.
        let apart = |a: (f64, f64)| (a.0 - other.0).hypot(a.1 - other.1).max(1.0);
        let (left, top) = corner();
        let middle = (
            (now.0 + other.0) / 2.0 - left,
            (now.1 + other.1) / 2.0 - top,
        );
        let factor = apart(now) / apart(before);
        drag_to(shown.moved(dx / 2.0, dy / 2.0).zoomed(factor, middle));
    };
    let up = move |event: ev::PointerEvent| {
        held.update_value(|held| {
            held.remove(&event.pointer_id());
        });
        grabbed.set(false);
        rest(None);
    };
    let by = move |factor: f64| {
        moved.set(true);
        let (width, height) = size.get_untracked();
        show(
            view.get_untracked()
                .zoomed(factor, (width / 2.0, height / 2.0)),
        );
    };
    let shift = move |dx: f64, dy: f64| {
        moved.set(true);
        show(view.get_untracked().moved(dx, dy));
    };
    let whole = move || {
        moved.set(false);
        fit();
    };
    // One listener for all that stands on the map.
    let select = move |target: Option<web_sys::EventTarget>| {
        if let Some((id, _)) = target.and_then(crate::thing_menu::thing) {
            simulator.selected.set(Some(id));
        }
    };
    let key = move |event: ev::KeyboardEvent| {
        match event.key().as_str() {
            "+" | "=" => by(1.25),
            "-" => by(0.8),
            "0" => whole(),
            "ArrowLeft" => shift(64.0, 0.0),
            "ArrowRight" => shift(-64.0, 0.0),
            "ArrowUp" => shift(0.0, 64.0),
            "ArrowDown" => shift(0.0, -64.0),
            "Escape" => simulator.selected.set(None),
            "Enter" | " " => select(event.target()),
            _ => return,
        }
        event.prevent_default();
    };
    // Enter in the search selects what is found first, and shows it.
    let find = move || {
        let Some(id) = filter.first() else { return };
        let map = simulator.map.read_untracked();
        let pod = map.pods().find(|pod| pod.id == id).map(|pod| pod.rect);
        let service = || map.services.iter().find(|s| s.id == id).map(|s| s.rect);
        let room = || {
            map.rooms
                .iter()
                .find(|room| room.id == id)
                .map(|room| room.rect)
        };
        if let Some(rect) = pod.or_else(service).or_else(room) {
            simulator.selected.set(Some(id));
            moved.set(true);
            let (width, height) = size.get_untracked();
            let (middle, zoom) = (rect.center(), view.get_untracked().zoom.max(1.0));
            show(View {
                x: middle.x - width / 2.0 / zoom,
                y: middle.y - height / 2.0 / zoom,
                zoom,
            });
        }
    };
    // Styles know the zoom in steps, and only where letters follow it.
    let zoom_for_styles = Memo::new(move |_| {
        let zoom = settled.read().zoom;
        match Depth::of(zoom) {
            Depth::Node => "1".to_owned(),
            _ => format!("{:.3}", 1.1_f64.powf((zoom.ln() / 1.1_f64.ln()).round())),
        }
    });
    let transform = move || {
        let View { x, y, zoom } = view.get();
        format!("translate({}px,{}px) scale({zoom})", -x * zoom, -y * zoom)
    };
    mark_all(simulator, filter, drawing);

    view! {
        <div class="map-tools" role="toolbar" aria-label=t("map.tools")>
            <FilterTools filter find />
            <span class="gap"></span>
            <FaultList />
            <button type="button" class="button primary" on:click=move |_| layout.show(Panel::Lane)>
                {icons::LANE.view()}
                {t("lane.open")}
            </button>
            <span class="group">
                <button type="button" class="button plain icon zoom" aria-label=t("map.farther") title=t("map.farther") on:click=move |_| by(0.8)>
                    {icons::MINUS.view()}
                </button>
                <button type="button" class="button plain icon zoom" aria-label=t("map.nearer") title=t("map.nearer") on:click=move |_| by(1.25)>
                    {icons::PLUS.view()}
                </button>
                <button type="button" class="button plain icon" aria-label=t("map.fit") title=t("map.fit") on:click=move |_| whole()>
                    {icons::FIT.view()}
                </button>
                <button
                    type="button"
                    class="button plain icon"
                    aria-label=t("outline")
                    title=t("outline")
                    aria-pressed=move || in_words.get().to_string()
                    on:click=move |_| in_words.update(|on| *on = !*on)
                >
                    {icons::TREE.view()}
                </button>
                <Show when=move || !in_words.get()>
                    <SavePicture of=move || drawing.get_untracked().map(Into::into) name="map" />
                </Show>
            </span>
        </div>
        <Moment />
        <Late load=|| Box::pin(outline::part()) wanted=in_words.into() />
        <div
            class="canvas"
            hidden=move || in_words.get()
            node_ref=frame
            data-depth=move || depth.get().name()
            data-inside=move || (depth.get() == Depth::Inside).then_some("")
            data-held=move || grabbed.get().then_some("")
            data-moving=move || is_moving.get().then_some("")
            data-packet=move || simulator.lane.read().is_some().then_some("")
            on:wheel=wheel
            on:pointerdown=down
            on:pointermove=drag
            on:pointerup=up
            on:pointercancel=up
            on:pointerleave=up
            on:keydown=key
            on:click=move |event| select(event.target())
        >
            <div class="stage" node_ref=drawing role="group" aria-label=t("map.label") style=("transform", transform)>
                <Layers zoom=zoom_for_styles>
                    <Depths />
                    <Marks />
                    <Packet />
                </Layers>
            </div>
        </div>
    }
}

#[wasm_bindgen]
extern "C" {
    /// The browser's own.
    type ResizeObserver;
    #[wasm_bindgen(constructor)]
    fn new(seen: &Closure<dyn FnMut()>) -> ResizeObserver;
    #[wasm_bindgen(method)]
    fn observe(this: &ResizeObserver, element: &web_sys::Element);
    #[wasm_bindgen(method)]
    fn disconnect(this: &ResizeObserver);
}

/// The size of an element, from when it is there; one that is hidden keeps the size that it had.
fn size_of(frame: NodeRef<html::Div>) -> RwSignal<(f64, f64)> {
    let size = RwSignal::new((800.0, 600.0));
    let look = Closure::<dyn FnMut()>::new(move || {
        let frame = frame.try_get_untracked().flatten();
        let now = frame.map_or((0.0, 0.0), |f| {
            (f.client_width().into(), f.client_height().into())
        });
        if now.0 > 0.0 && now.1 > 0.0 {
            size.try_set(now);
        }
    });
    let observer = ResizeObserver::new(&look);
    // The observer calls it for as long as it observes.
    let kept = StoredValue::new_local((observer, look));
    Effect::new(move |_| {
        if let Some(frame) = frame.get() {
            kept.with_value(|(observer, _)| observer.observe(&frame));
        }
    });
    on_cleanup(move || {
        kept.try_with_value(|(observer, _)| observer.disconnect());
    });
    size
}

/// Marks on the map what is selected, where the packet is, and what is looked for: only what changes is touched. What is
/// drawn anew has its marks from the beginning.
fn mark_all(simulator: Simulator, filter: Filter, drawing: NodeRef<html::Div>) {
    Effect::new(move |_| {
        let selected = simulator.selected.get();
        mark(drawing, "data-selected", selected.as_slice());
    });
    Effect::new(move |_| {
        let lit: Vec<String> = [simulator.here.get(), simulator.responsible.get()]
            .into_iter()
            .flatten()
            .collect();
        mark(drawing, "data-lit", &lit);
    });
    Effect::new(move |_| {
        filter.track();
        let things = drawing
            .get_untracked()
            .and_then(|d| d.query_selector_all(".pod, .service").ok());
        for thing in things.iter().flat_map(elements) {
            let id = thing.get_attribute("data-thing").unwrap_or_default();
            let _ = thing.toggle_attribute_with_force("data-dim", filter.dims(&id));
        }
    });
}

/// Gives an attribute to the things with these ids, and takes it from all others.
fn mark(drawing: NodeRef<html::Div>, attribute: &str, ids: &[String]) {
    let Some(drawing) = drawing.get_untracked() else {
        return;
    };
    let find = |selector: &str| drawing.query_selector_all(selector).ok();
    for old in find(&format!("[{attribute}][data-thing]"))
        .iter()
        .flat_map(elements)
    {
        let _ = old.remove_attribute(attribute);
    }
    for id in ids {
        for new in find(&format!("[tabindex][data-thing=\"{id}\"]"))
            .iter()
            .flat_map(elements)
        {
            let _ = new.set_attribute(attribute, "");
        }
    }
}

fn elements(list: &web_sys::NodeList) -> impl Iterator<Item = web_sys::Element> {
    (0..list.length()).filter_map(|at| list.item(at)?.dyn_into().ok())
}

/// The part of the map in which points lie: whole rooms, corridors and hosts, and the Services above.
fn around(simulator: Simulator, points: &[Point]) -> Option<Rect> {
    let map = simulator.map.read_untracked();
    let inside = |rect: &Rect| {
        points
            .iter()
            .any(|p| rect.contains(&Rect::new(p.x, p.y, 0.0, 0.0)))
    };
    let rooms = map.rooms.iter().map(|room| room.rect).filter(inside);
    let corridors = map
        .corridors
        .iter()
        .map(|corridor| corridor.rect)
        .filter(inside);
    let rooms: Vec<Rect> = rooms.collect();
    let (left, right) = rooms.iter().fold((f64::MAX, f64::MIN), |(left, right), r| {
        (left.min(r.x), right.max(r.right()))
    });
    let hosts = map.hosts.iter().map(|host| host.rect).filter(inside);
    // Of a corridor only what lies below the rooms counts.
    let corridors = corridors.map(|c| {
        Rect::new(
            left.max(c.x),
            c.y,
            (right - left).clamp(1.0, c.width),
            c.height,
        )
    });
    let labels = map
        .services
        .iter()
        .map(|s| s.rect)
        .filter(|r| r.x < right && r.right() > left);
    let all: Vec<Rect> = rooms
        .iter()
        .copied()
        .chain(corridors)
        .chain(hosts)
        .chain(labels)
        .collect();
    let first = *rooms.first()?;
    let whole = all.iter().fold(first, |whole, r| {
        let (x, y) = (whole.x.min(r.x), whole.y.min(r.y));
        Rect::new(
            x,
            y,
            whole.right().max(r.right()) - x,
            whole.bottom().max(r.bottom()) - y,
        )
    });
    Some(Rect::new(
        whole.x - 12.0,
        whole.y - 12.0,
        whole.width + 24.0,
        whole.height + 24.0,
    ))
}
