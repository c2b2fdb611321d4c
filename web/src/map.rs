//! The map: the cluster and its network, drawn. Rooms, doors and cables come with their places from the scene; here they
//! get their shapes.

use std::sync::Arc;

use kubarium_snapshot::geometry::{Point, Rect};
use kubarium_snapshot::map::{Device, DeviceKind, EndpointLine, PodBox, Room, ServiceLabel, State};
use leptos::{ev, html, prelude::*};

use crate::packet::Packet;
use crate::{
    icons,
    layout::Layout,
    simulator::{Phase, Simulator},
    text::{fill, t},
};

/// The smallest and the largest zoom.
const ZOOM: std::ops::RangeInclusive<f64> = 0.15..=3.0;

/// The height of the tools above the map, in pixels.
const TOOLS: f64 = 48.0;

/// What part of the map is seen: map units at the window's corner, and pixels for a map unit.
#[derive(Clone, Copy, PartialEq)]
struct View {
    x: f64,
    y: f64,
    zoom: f64,
}

impl View {
    /// All of the map in a window of that size.
    fn fit(bounds: Rect, (width, height): (f64, f64)) -> View {
        // The tools lie over the upper edge.
        let height = (height - TOOLS).max(1.0);
        let zoom = (width / bounds.width.max(1.0)).min(height / bounds.height.max(1.0));
        let zoom = zoom.clamp(*ZOOM.start(), 1.25);
        View {
            x: bounds.x - (width / zoom - bounds.width) / 2.0,
            y: bounds.y - (height / zoom - bounds.height) / 2.0 - TOOLS / zoom,
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
            None => view! {
                <div class="starting" role="status">
                    {icons::BRAND.view()}
                    <p class="what">{what}</p>
                    <progress aria-label=what value=move || share().map(|share| share.to_string())></progress>
                    <p class="how">{how}</p>
                </div>
            }.into_any(),
            Some(why) => view! {
                <div class="starting" role="alert">
                    {icons::WARNING.view()}
                    <p class="what">{t("map.failed")}</p>
                    <p class="how">{t("map.failed.how")}</p>
                    <p class="why"><code>{why}</code></p>
                    <button type="button" class="button primary" on:click=move |_| simulator.load()>{t("map.failed.again")}</button>
                </div>
            }.into_any(),
        }}
    }
}

/// A number of bytes as a person reads it: `1.4`.
fn megabytes(bytes: u32) -> String {
    format!("{:.1}", f64::from(bytes) / 1e6)
}

/// The layer whose hue a device has.
fn device_layer(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Link => "link",
        DeviceKind::Bridge => "bridge",
        DeviceKind::Tunnel => "tunnel",
    }
}

#[component]
fn Canvas() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let layout = expect_context::<Layout>();
    let frame = NodeRef::<html::Div>::new();
    let size = move || {
        frame.get_untracked().map_or((800.0, 600.0), |f| {
            (f.client_width().into(), f.client_height().into())
        })
    };
    let view = RwSignal::new(View {
        x: 0.0,
        y: 0.0,
        zoom: 1.0,
    });
    // Until a person moves the map, it shows everything.
    let moved = RwSignal::new(false);
    let bounds = Memo::new(move |_| simulator.map.read().bounds);
    let fit = move || view.set(View::fit(bounds.get_untracked(), size()));
    Effect::new(move |_| {
        bounds.track();
        layout.track_size();
        frame.track();
        if !moved.get_untracked() {
            request_animation_frame(fit);
        }
    });

    let held = RwSignal::new(None::<(i32, i32, View)>);
    let wheel = move |event: ev::WheelEvent| {
        event.prevent_default();
        moved.set(true);
        let at = (f64::from(event.offset_x()), f64::from(event.offset_y()));
        view.update(|v| *v = v.zoomed((-event.delta_y() / 400.0).exp(), at));
    };
    let down = move |event: ev::PointerEvent| {
        held.set(Some((
            event.client_x(),
            event.client_y(),
            view.get_untracked(),
        )))
    };
    let drag = move |event: ev::PointerEvent| {
        if let Some((x, y, from)) = held.get_untracked() {
            let (dx, dy) = (
                f64::from(event.client_x() - x),
                f64::from(event.client_y() - y),
            );
            if dx.abs() + dy.abs() > 3.0 {
                moved.set(true);
                view.set(View {
                    x: from.x - dx / from.zoom,
                    y: from.y - dy / from.zoom,
                    zoom: from.zoom,
                });
            }
        }
    };
    let by = move |factor: f64| {
        moved.set(true);
        let (width, height) = size();
        view.update(|v| *v = v.zoomed(factor, (width / 2.0, height / 2.0)));
    };
    let shift = move |dx: f64, dy: f64| {
        moved.set(true);
        view.update(|v| (v.x, v.y) = (v.x + dx / v.zoom, v.y + dy / v.zoom));
    };
    let key = move |event: ev::KeyboardEvent| {
        match event.key().as_str() {
            "+" | "=" => by(1.25),
            "-" => by(0.8),
            "0" => {
                moved.set(false);
                fit();
            }
            "ArrowLeft" => shift(-64.0, 0.0),
            "ArrowRight" => shift(64.0, 0.0),
            "ArrowUp" => shift(0.0, -64.0),
            "ArrowDown" => shift(0.0, 64.0),
            "Escape" => simulator.selected.set(None),
            _ => return,
        }
        event.prevent_default();
    };
    let depth = move || match view.get().zoom {
        z if z < 0.45 => "cluster",
        z if z < 1.6 => "node",
        _ => "namespace",
    };
    let transform = move || {
        let View { x, y, zoom } = view.get();
        format!("scale({zoom}) translate({} {})", -x, -y)
    };
    let rooms = move || {
        simulator
            .map
            .read()
            .rooms
            .iter()
            .map(|r| r.id.clone())
            .collect::<Vec<_>>()
    };
    let services = move || {
        simulator
            .map
            .read()
            .services
            .iter()
            .map(|s| s.id.clone())
            .collect::<Vec<_>>()
    };

    view! {
        <div
            class="canvas"
            node_ref=frame
            data-depth=depth
            data-held=move || held.get().is_some().then_some("")
            data-packet=move || simulator.lane.read().is_some().then_some("")
            on:wheel=wheel
            on:pointerdown=down
            on:pointermove=drag
            on:pointerup=move |_| held.set(None)
            on:pointerleave=move |_| held.set(None)
            on:keydown=key
        >
            <svg class="drawing" role="group" aria-label=t("map.label")>
                <g transform=transform>
                    <OfficeView />
                    <CorridorView />
                    <For each=rooms key=Clone::clone let:id>
                        <RoomView id />
                    </For>
                    <For each=services key=Clone::clone let:id>
                        <ServiceView id />
                    </For>
                    <Packet />
                </g>
            </svg>
            <div class="map-tools" role="toolbar" aria-label=t("map.tools")>
                <button
                    type="button"
                    class="button primary"
                    on:click=move |_| {
                        layout.lane_shown.set(true);
                        layout.show(crate::panels::Panel::Lane);
                    }
                >
                    {icons::LANE.view()}
                    {t("lane.open")}
                </button>
                <span class="group">
                    <button type="button" class="button plain icon" aria-label=t("map.farther") title=t("map.farther") on:click=move |_| by(0.8)>
                        {icons::MINUS.view()}
                    </button>
                    <button type="button" class="button plain icon" aria-label=t("map.nearer") title=t("map.nearer") on:click=move |_| by(1.25)>
                        {icons::PLUS.view()}
                    </button>
                    <button
                        type="button"
                        class="button plain icon"
                        aria-label=t("map.fit")
                        title=t("map.fit")
                        on:click=move |_| {
                            moved.set(false);
                            fit();
                        }
                    >
                        {icons::FIT.view()}
                    </button>
                </span>
            </div>
        </div>
    }
}

/// The words of a state.
pub(crate) fn state_name(state: State) -> &'static str {
    match state {
        State::Ready => t("state.ready"),
        State::Progressing => t("state.progressing"),
        State::Terminating => t("state.terminating"),
        State::Done => t("state.done"),
        State::Failing => t("state.failing"),
        State::Unknown => t("state.unknown"),
    }
}

/// The word by which styles know a state.
pub(crate) fn state_id(state: State) -> &'static str {
    match state {
        State::Ready => "ready",
        State::Progressing => "progressing",
        State::Terminating => "terminating",
        State::Done => "done",
        State::Failing => "failing",
        State::Unknown => "unknown",
    }
}

/// A state's mark: a shape for each, 10 wide, around the origin.
fn state_mark(state: State, x: f64, y: f64) -> impl IntoView {
    let shape = match state {
        State::Ready => "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0M-2.2.2l1.6 1.6l3-3.4",
        State::Progressing => "M0-4.5a4.5 4.5 0 0 1 4.5 4.5M0 4.5a4.5 4.5 0 0 1-4.5-4.5",
        State::Terminating => "M-4.5 0h9",
        State::Done => "M-4 .5l2.8 2.8l5.4-6",
        State::Failing => "M0-4.8l5 9h-10zM0-1.2v2.4",
        State::Unknown => "M-2-2.2a2.1 2.1 0 1 1 3 2c-.8.4-1 .8-1 1.6M0 4.2v.1",
    };
    view! { <path class="mark" data-state=state_id(state) d=shape transform=format!("translate({x} {y})") /> }
}

/// What makes a drawn thing selectable, by pointer and by keyboard.
fn select_on(
    simulator: Simulator,
    id: String,
) -> (
    impl Fn(ev::MouseEvent) + Clone,
    impl Fn(ev::KeyboardEvent) + Clone,
) {
    let (by_click, by_key) = (id.clone(), id);
    let click = move |event: ev::MouseEvent| {
        event.stop_propagation();
        simulator.selected.set(Some(by_click.clone()));
    };
    let key = move |event: ev::KeyboardEvent| {
        if matches!(event.key().as_str(), "Enter" | " ") {
            event.prevent_default();
            event.stop_propagation();
            simulator.selected.set(Some(by_key.clone()));
        }
    };
    (click, key)
}

fn points(points: &[Point]) -> String {
    points
        .iter()
        .map(|p| format!("{:.1},{:.1} ", p.x, p.y))
        .collect()
}

/// The first of a list that is too long to be shown whole.
fn crop(list: &str, most: usize) -> String {
    if list.chars().count() <= most {
        return list.to_owned();
    }
    let first = list.split(',').next().unwrap_or(list);
    format!("{first}, …")
}

/// Shortens a name from its middle, so that both ends can be read.
fn shorten(name: &str, most: usize) -> String {
    let length = name.chars().count();
    if length <= most {
        return name.to_owned();
    }
    let tail = most / 2;
    let head: String = name.chars().take(most - 1 - tail).collect();
    let end: String = name.chars().skip(length - tail).collect();
    format!("{head}…{end}")
}

#[component]
fn OfficeView() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let office = Memo::new(move |_| simulator.map.read().office.clone());
    let at = move || office.read().rect;
    view! {
        <g class="office">
            <rect class="ground" x=move || at().x y=move || at().y width=move || at().width height=move || at().height rx="8" />
            <text class="title" x=move || at().x + 16.0 y=move || at().y + 20.0>{t("map.office")}</text>
            {move || {
                office
                    .get()
                    .desks
                    .into_iter()
                    .map(|desk| {
                        let (click, key) = select_on(simulator, desk.id.clone());
                        let id = desk.id.clone();
                        view! {
                            <g
                                class="desk"
                                tabindex="0"
                                role="button"
                                aria-label=format!("{} {}", desk.name, desk.detail)
                                data-selected=move || (simulator.selected.read().as_deref() == Some(id.as_str())).then_some("")
                                on:click=click
                                on:keydown=key
                            >
                                <rect x=desk.rect.x y=desk.rect.y width=desk.rect.width height=desk.rect.height rx="6" />
                                {state_mark(desk.state, desk.rect.x + 16.0, desk.rect.center().y)}
                                <text class="name" x=desk.rect.x + 32.0 y=desk.rect.y + 21.0>{desk.name.clone()}</text>
                                <text class="detail" x=desk.rect.x + 32.0 y=desk.rect.y + 38.0>{desk.detail.clone()}</text>
                            </g>
                        }
                    })
                    .collect_view()
            }}
        </g>
    }
}

#[component]
fn CorridorView() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let corridors = Memo::new(move |_| simulator.map.read().corridors.clone());
    let hosts = Memo::new(move |_| simulator.map.read().hosts.clone());
    let doors = Memo::new(move |_| {
        let map = simulator.map.read();
        map.rooms
            .iter()
            .flat_map(|r| {
                r.devices
                    .iter()
                    .filter(|d| d.kind != DeviceKind::Bridge)
                    .cloned()
            })
            .collect::<Vec<_>>()
    });
    view! {
        {move || {
            corridors
                .get()
                .into_iter()
                .map(|corridor| {
                    let r = corridor.rect;
                    let (tube, floor) = (r.y + r.height * 0.3, r.y + r.height * 0.68);
                    let near = move |d: &Device| d.rect.bottom() < r.y && r.y - d.rect.bottom() < 48.0;
                    let drops = doors
                        .get()
                        .into_iter()
                        .filter(near)
                        .map(|d| {
                            let to = if d.kind == DeviceKind::Tunnel { tube } else { floor };
                            let x = d.rect.center().x;
                            view! { <line class=device_layer(d.kind) x1=x x2=x y1=d.rect.bottom() y2=to /> }
                        })
                        .collect_view();
                    view! {
                        <g class="corridor">
                            <rect class="ground" x=r.x y=r.y width=r.width height=r.height rx="8" />
                            <line class="tube" x1=r.x + 16.0 x2=r.right() - 176.0 y1=tube y2=tube />
                            <line class="wire" x1=r.x + 16.0 x2=r.right() - 16.0 y1=floor y2=floor />
                            {drops}
                            <text class="detail" x=r.x + 16.0 y=r.bottom() - 7.0>{fill("map.segment", &[("cidr", &corridor.cidr)])}</text>
                            <text class="detail tunnel" x=r.x + 16.0 y=tube - 6.0>{t("map.overlay")}</text>
                        </g>
                    }
                })
                .collect_view()
        }}
        {move || {
            hosts
                .get()
                .into_iter()
                .map(|host| {
                    let r = host.rect;
                    let (click, key) = select_on(simulator, host.id.clone());
                    let id = host.id.clone();
                    view! {
                        <g
                            class="host"
                            tabindex="0"
                            role="button"
                            aria-label=format!("{} {}", host.name, host.address)
                            data-selected=move || (simulator.selected.read().as_deref() == Some(id.as_str())).then_some("")
                            on:click=click
                            on:keydown=key
                        >
                            <line class="link" x1=r.center().x x2=r.center().x y1=r.bottom() y2=r.bottom() + 68.0 />
                            <rect x=r.x y=r.y width=r.width height=r.height rx="6" />
                            <text class="name" x=r.x + 12.0 y=r.y + 26.0>{t("map.outside")}</text>
                            <text class="address" x=r.x + 12.0 y=r.y + 46.0>{host.address.clone()}</text>
                        </g>
                    }
                })
                .collect_view()
        }}
    }
}

#[component]
fn ServiceView(id: String) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let find = id.clone();
    let service = Memo::new(move |before: Option<&Option<ServiceLabel>>| {
        let map = simulator.map.read();
        map.services
            .iter()
            .find(|s| s.id == find)
            .cloned()
            .or_else(|| before.cloned().flatten())
    });
    let (click, key) = select_on(simulator, id.clone());
    let named = id.clone();
    let selected = Memo::new(move |_| simulator.selected.read().as_deref() == Some(named.as_str()));
    let lit = id;
    // The label resolves to the pod while the packet is rewritten for it.
    let active = Memo::new(move |_| {
        let step = simulator.step.get();
        simulator
            .lane
            .read()
            .as_ref()
            .and_then(|l| Some(l.steps.get(step)?.object.as_deref() == Some(lit.as_str())))
            .unwrap_or(false)
    });
    view! {
        {move || {
            service
                .get()
                .map(|s| {
                    let r = s.rect;
                    let endpoints = match s.endpoints.len() {
                        1 => t("map.endpoint").to_owned(),
                        n => fill("map.endpoints", &[("n", &n.to_string())]),
                    };
                    view! {
                        <g
                            class="service"
                            tabindex="0"
                            role="button"
                            aria-label=format!("Service {}/{} {} {}", s.namespace, s.name, s.address, s.ports)
                            data-selected=move || selected.get().then_some("")
                            data-lit=move || active.get().then_some("")
                            on:click=click.clone()
                            on:keydown=key.clone()
                        >
                            {s.endpoints.iter().map(endpoint_line).collect_view()}
                            <rect x=r.x y=r.y width=r.width height=r.height rx="24" />
                            <text class="name" x=r.x + 20.0 y=r.y + 20.0>{shorten(&s.name, 16)}</text>
                            <text class="detail end" x=r.right() - 18.0 y=r.y + 20.0>{endpoints}</text>
                            <text class="address" x=r.x + 20.0 y=r.y + 37.0>{s.address.clone()}</text>
                            <text class="address end" x=r.right() - 18.0 y=r.y + 37.0>{crop(&s.ports, 12)}</text>
                        </g>
                    }
                })
        }}
    }
}

fn endpoint_line(line: &EndpointLine) -> impl IntoView + use<> {
    let (a, b) = (line.from, line.to);
    let middle = (a.y + b.y) / 2.0;
    let path = format!(
        "M{} {}C{} {middle} {} {middle} {} {}",
        a.x, a.y, a.x, b.x, b.x, b.y
    );
    view! { <path class="endpoint" data-state=state_id(line.state) d=path /> }
}

#[component]
fn RoomView(id: String) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let find = id.clone();
    let room = Memo::new(move |before: Option<&Arc<Room>>| {
        let map = simulator.map.read();
        let found = map.rooms.iter().find(|r| r.id == find);
        found
            .map(|r| Arc::new(r.clone()))
            .or_else(|| before.cloned())
            .unwrap_or_default()
    });
    // All but the pods: they have components of their own.
    let frame = Memo::new(move |_| {
        let mut frame = room.get().as_ref().clone();
        frame.pods.clear();
        frame
    });
    let pods = move || {
        room.read()
            .pods
            .iter()
            .map(|p| p.id.clone())
            .collect::<Vec<_>>()
    };
    let (click, key) = select_on(simulator, id.clone());
    let selected = Memo::new(move |_| simulator.selected.read().as_deref() == Some(id.as_str()));
    view! {
        <g class="room" data-selected=move || selected.get().then_some("")>
            {move || {
                let r = frame.get();
                let label = fill("map.node", &[("node", &r.name), ("state", state_name(r.state)), ("address", &r.address)]);
                view! {
                    <g class="wall" tabindex="0" role="button" aria-label=label on:click=click.clone() on:keydown=key.clone()>
                        <rect class="ground" x=r.rect.x y=r.rect.y width=r.rect.width height=r.rect.height rx="10" />
                        {state_mark(r.state, r.rect.x + 20.0, r.rect.y + 22.0)}
                        <text class="title" x=r.rect.x + 36.0 y=r.rect.y + 27.0>{r.name.clone()}</text>
                        <text class="address end" x=r.rect.right() - 16.0 y=r.rect.y + 27.0>
                            {if r.badge.is_empty() { r.pod_cidr.clone() } else { format!("{} · {}", r.badge, r.pod_cidr) }}
                        </text>
                    </g>
                    {r
                        .fixtures
                        .iter()
                        .map(|f| {
                            view! {
                                <g class="fixture" data-state=state_id(f.state)>
                                    <rect x=f.rect.x y=f.rect.y width=f.rect.width height=f.rect.height rx="4" />
                                    <text class="detail middle" x=f.rect.center().x y=f.rect.center().y + 4.0>{f.name.clone()}</text>
                                </g>
                            }
                        })
                        .collect_view()}
                    {inner_wires(&r)}
                    {r.devices.iter().map(|d| device(simulator, d)).collect_view()}
                }
            }}
            <For each=pods key=Clone::clone let:id>
                <PodView id room />
            </For>
        </g>
    }
}

/// The lines from the rail to the doors.
fn inner_wires(room: &Room) -> impl IntoView + use<> {
    let rail = room
        .devices
        .iter()
        .find(|d| d.kind == DeviceKind::Bridge)
        .map(|d| d.rect);
    let doors = room.devices.iter().filter(|d| d.kind != DeviceKind::Bridge);
    doors
        .filter_map(|d| {
            let rail = rail?;
            let x = d.rect.center().x;
            Some(view! { <line class="inner" x1=x x2=x y1=rail.bottom() y2=d.rect.y /> })
        })
        .collect_view()
}

fn device(simulator: Simulator, d: &Device) -> impl IntoView + use<> {
    let (click, key) = select_on(simulator, d.id.clone());
    let r = d.rect;
    let rail = d.kind == DeviceKind::Bridge;
    let (id, here) = (d.id.clone(), d.id.clone());
    let at = Memo::new(move |_| {
        let step = simulator.step.get();
        simulator
            .lane
            .read()
            .as_ref()
            .and_then(|l| Some(l.steps.get(step)?.place == here))
            .unwrap_or(false)
    });
    let (name_y, address_y) = if rail {
        (r.y + 14.0, r.y + 14.0)
    } else {
        (r.y + 18.0, r.y + 34.0)
    };
    let (name_x, address_x) = if rail {
        (r.x + 10.0, r.x + 64.0)
    } else {
        (r.x + 12.0, r.x + 12.0)
    };
    view! {
        <g
            class="device"
            data-layer=device_layer(d.kind)
            data-up=d.up.to_string()
            tabindex="0"
            role="button"
            aria-label=format!("{} {}", d.name, d.address)
            data-selected=move || (simulator.selected.read().as_deref() == Some(id.as_str())).then_some("")
            data-lit=move || at.get().then_some("")
            on:click=click
            on:keydown=key
        >
            <rect x=r.x y=r.y width=r.width height=r.height rx=if rail { "4" } else { "6" } />
            <text class="name mono" x=name_x y=name_y>{d.name.clone()}</text>
            <text class="address" x=address_x y=address_y>{d.address.clone()}</text>
        </g>
    }
}

#[component]
fn PodView(id: String, room: Memo<Arc<Room>>) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let find = id.clone();
    let pod = Memo::new(move |before: Option<&Option<PodBox>>| {
        let room = room.read();
        room.pods
            .iter()
            .find(|p| p.id == find)
            .cloned()
            .or_else(|| before.cloned().flatten())
    });
    let crowded = move || room.read().crowded;
    let (click, key) = select_on(simulator, id.clone());
    let (named, here) = (id.clone(), id);
    let selected = Memo::new(move |_| simulator.selected.read().as_deref() == Some(named.as_str()));
    let at = Memo::new(move |_| {
        let step = simulator.step.get();
        simulator
            .lane
            .read()
            .as_ref()
            .and_then(|l| Some(l.steps.get(step)?.place == here))
            .unwrap_or(false)
    });
    view! {
        {move || {
            pod.get()
                .map(|p| {
                    let r = p.rect;
                    let label = fill("map.pod", &[("pod", &p.name), ("status", &p.status), ("address", &p.address)]);
                    let cable = p.cable.as_ref().map(|c| {
                        let end = c.points.last().copied().unwrap_or_default();
                        view! {
                            <g class="cable">
                                <polyline points=points(&c.points) />
                                <circle cx=end.x cy=end.y r="3.5" />
                                <text class="port" x=end.x + 5.0 y=end.y - 5.0>{c.port.clone()}</text>
                            </g>
                        }
                    });
                    let inside = (!crowded()).then(|| {
                        view! {
                            {state_mark(p.state, r.x + 14.0, r.y + 16.0)}
                            <text class="name" x=r.x + 26.0 y=r.y + 20.0>{shorten(&p.name, 14)}</text>
                            <text class="address" x=r.x + 10.0 y=r.y + 37.0>{if p.address.is_empty() { "–".to_owned() } else { p.address.clone() }}</text>
                            <text class="detail" x=r.x + 10.0 y=r.y + 52.0>
                                {format!("{} {}/{}", shorten(&p.status, 12), p.ready.0, p.ready.1)}
                            </text>
                        }
                    });
                    view! {
                        <g
                            class="pod"
                            data-state=state_id(p.state)
                            tabindex="0"
                            role="button"
                            aria-label=label
                            data-selected=move || selected.get().then_some("")
                            data-lit=move || at.get().then_some("")
                            on:click=click.clone()
                            on:keydown=key.clone()
                        >
                            {cable}
                            <rect x=r.x y=r.y width=r.width height=r.height rx=if crowded() { "3" } else { "6" } />
                            {inside}
                            <title>{format!("{}/{} {}", p.namespace, p.name, p.status)}</title>
                        </g>
                    }
                })
        }}
    }
}
