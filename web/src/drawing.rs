//! What is on the map: rooms, doors, cables, pods and Services get their shapes here; their places come with them.

use kubarium_snapshot::geometry::{Point, Rect};
use kubarium_snapshot::map::{
    Cable, Desk, Device, DeviceKind, EndpointLine, PodBox, Room, ServiceLabel, State,
};
use leptos::prelude::*;

use crate::{
    filter::Filter,
    map::Depth,
    picture::{RoomSignals, part},
    simulator::Simulator,
    text::{fill, t},
};

/// Every thing that stands on the map, from the ground up, in one drawing.
#[component]
pub(crate) fn Drawing() -> impl IntoView {
    let picture = expect_context::<Simulator>().picture;
    view! {
        <Ground />
        <For each=move || picture.rooms.get() key=Clone::clone let:id>
            <RoomView id />
        </For>
        <Labels />
    }
}

/// The same in layers that lie one on the other, each a drawing of its own, so that a change in one room has nothing
/// drawn anew in the others. The children lie above all. Only where letters follow it do styles know the zoom: each change
/// of it costs a look at every style below.
#[component]
pub(crate) fn Layers(zoom: Memo<String>, children: Children) -> impl IntoView {
    let picture = expect_context::<Simulator>().picture;
    view! {
        <svg class="drawing" style=("--zoom", move || zoom.get())>
            <Ground />
        </svg>
        <For each=move || picture.rooms.get() key=Clone::clone let:id>
            <svg class="drawing">
                <RoomView id />
            </svg>
        </For>
        <svg class="drawing" style=("--zoom", move || zoom.get())>
            <Labels />
            {children()}
        </svg>
    }
}

/// What lies below the things in the rooms: the rooms' floors with their names among it. Lines to endpoints run over
/// the floors.
#[component]
fn Ground() -> impl IntoView {
    let picture = expect_context::<Simulator>().picture;
    view! {
        <OfficeView />
        <CorridorView />
        <For each=move || picture.rooms.get() key=Clone::clone let:id>
            <Wall id />
        </For>
        <For each=move || picture.services.get() key=Clone::clone let:id>
            <Endpoints id />
        </For>
        <For each=move || picture.rooms.get() key=Clone::clone let:id>
            <Plate id />
        </For>
    }
}

/// What stands in no room: the Services; and where pods were a moment ago.
#[component]
fn Labels() -> impl IntoView {
    let picture = expect_context::<Simulator>().picture;
    view! {
        <For each=move || picture.services.get() key=Clone::clone let:id>
            <ServiceView id />
        </For>
        <For each=move || picture.gone.get() key=|(number, _)| *number let:gone>
            {
                let r = gone.1;
                view! { <rect class="ghost" x=r.x y=r.y width=r.width height=r.height rx="6" /> }
            }
        </For>
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

/// A state's mark.
fn state_mark(state: State, at: Point) -> impl IntoView {
    view! { <path class="mark" data-state=state_id(state) d=mark_shape(state, at) /> }
}

/// The shape of a state's mark: one for each, 10 wide, around a point. The point is a part of the path: a browser keeps
/// books about whatever is moved by a transform of its own, each time that the map is moved.
fn mark_shape(state: State, at: Point) -> String {
    let shape = match state {
        State::Ready => "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0m2.8.2l1.6 1.6l3-3.4",
        State::Progressing => "m0-4.5a4.5 4.5 0 0 1 4.5 4.5m-4.5 4.5a4.5 4.5 0 0 1-4.5-4.5",
        State::Terminating => "m-4.5 0h9",
        State::Done => "m-4 .5l2.8 2.8l5.4-6",
        State::Failing => "m0-4.8l5 9h-10zm0 3.6v2.4",
        State::Unknown => "m-2-2.2a2.1 2.1 0 1 1 3 2c-.8.4-1 .8-1 1.6m0 2.8v.1",
    };
    format!("M{} {}{shape}", at.x, at.y)
}

/// A thing's outline.
fn outline(r: Rect, corner: &'static str) -> impl IntoView {
    view! { <rect x=r.x y=r.y width=r.width height=r.height rx=corner /> }
}

/// A thing on the map that can be selected, by pointer and by keyboard, and is lit while the packet is at it. Whoever
/// shows the map hears both, and changes its marks.
#[component]
fn Thing(
    /// What is selected with it.
    id: String,
    class: &'static str,
    /// What assistive technology calls it.
    #[prop(into)]
    label: Signal<String>,
    /// The word by which styles know how it does.
    #[prop(into, default = Signal::derive(|| ""))]
    state: Signal<&'static str>,
    /// Whether something else can be looked for.
    #[prop(default = false)]
    can_dim: bool,
    children: Children,
) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let filter = can_dim.then(expect_context::<Filter>);
    let is = |now: Option<String>| (now.as_ref() == Some(&id)).then_some("");
    let lit = is(simulator.here.get_untracked()).or(is(simulator.responsible.get_untracked()));
    let selected = is(simulator.selected.get_untracked());
    let dims = filter.is_some_and(|filter| filter.dims(&id));
    view! {
        <g
            class=class
            tabindex="0"
            role="button"
            aria-label=label
            data-state=state
            data-dim=dims.then_some("")
            data-selected=selected
            data-lit=lit
            data-thing=id
        >
            {children()}
        </g>
    }
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
    match first.chars().count() {
        n if n + 3 <= most => format!("{first}, …"),
        n if n <= most => first.to_owned(),
        _ => "…".to_owned(),
    }
}

/// Shortens a name so that its beginning and its last part can be read: `coredns…xvgcx`.
pub(crate) fn shorten(name: &str, most: usize) -> String {
    let length = name.chars().count();
    if length <= most {
        return name.to_owned();
    }
    let last = name
        .rsplit('-')
        .next()
        .filter(|last| last.chars().count() + 4 <= most);
    let tail = last.map_or(most / 2, |last| last.chars().count());
    let head: String = name.chars().take(most - 1 - tail).collect();
    // A part of a name that is cut off in its middle says nothing.
    let head = match head.rfind('-') {
        Some(at) if at >= 3 => &head[..at],
        _ => &head,
    };
    let end: String = name.chars().skip(length - tail).collect();
    format!("{head}…{end}")
}

/// How many letters of that width fit.
fn letters(width: f64, letter: f64) -> usize {
    (width / letter).max(4.0) as usize
}

#[component]
fn OfficeView() -> impl IntoView {
    let office = expect_context::<Simulator>().picture.office;
    let at = Memo::new(move |_| office.read().rect);
    let desks = Memo::new(move |_| {
        let office = office.read();
        let ids = office.desks.iter().map(|desk| desk.id.clone());
        ids.collect::<Vec<_>>()
    });
    view! {
        <g class="office">
            <rect class="ground" x=move || at.get().x y=move || at.get().y width=move || at.get().width height=move || at.get().height rx="8" />
            <text class="title" x=move || at.get().x + 12.0 y=move || at.get().y + 18.0>{t("map.office")}</text>
            <For each=move || desks.get() key=Clone::clone let:id>
                <DeskView id />
            </For>
        </g>
    }
}

/// A member of the control plane.
#[component]
fn DeskView(id: String) -> impl IntoView {
    let office = expect_context::<Simulator>().picture.office;
    let desk = Memo::new(move |_| {
        let office = office.read();
        office.desks.iter().find(|desk| desk.id == id).cloned()
    });
    move || {
        desk.get().map(|desk| {
            let r = desk.rect;
            let name = shorten(&desk.name, letters(r.width - 40.0, 7.2));
            let label = format!("{} {}", desk.name, desk.detail);
            view! {
                <Thing id=desk.id class="desk" label=label state=state_id(desk.state)>
                    {outline(r, "6")}
                    {state_mark(desk.state, Point::new(r.x + 16.0, r.center().y))}
                    <text class="name" x=r.x + 30.0 y=r.y + 15.0>{name}</text>
                    <text class="detail" x=r.x + 30.0 y=r.y + 30.0>{desk.detail}</text>
                </Thing>
            }
        })
    }
}

#[component]
fn CorridorView() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let picture = simulator.picture;
    let doors = Memo::new(move |_| {
        let rooms = picture.rooms.read();
        let mut doors = Vec::new();
        for room in rooms.iter().filter_map(|id| picture.room(id)) {
            let room = room.frame.read();
            let is_door = |d: &&Device| d.kind != DeviceKind::Bridge;
            doors.extend(room.devices.iter().filter(is_door).cloned());
        }
        doors
    });
    // The tube is drawn as strongly as it is used: whether the packet is inside it now.
    let used = move || simulator.is_wrapped();
    view! {
        {move || {
            let corridors = picture.corridors.get();
            let hosts = picture.hosts.get();
            corridors
                .into_iter()
                .map(|corridor| {
                    let r = corridor.rect;
                    let (tube, floor) = (r.y + r.height * 0.3, r.y + r.height * 0.68);
                    let near = move |d: &Device| d.rect.bottom() < r.y && r.y - d.rect.bottom() < 48.0;
                    let end = hosts.iter().find(|host| r.contains(&host.rect)).map_or(r.right() - 16.0, |host| host.rect.x);
                    let drops: Vec<Device> = doors.get().into_iter().filter(near).collect();
                    let reach = |kind: DeviceKind| {
                        let xs: Vec<f64> = drops.iter().filter(|d| d.kind == kind).map(|d| d.rect.center().x).collect();
                        (xs.iter().copied().fold(f64::MAX, f64::min), xs.iter().copied().fold(f64::MIN, f64::max))
                    };
                    let (from, to) = reach(DeviceKind::Tunnel);
                    let overlay = (from < to).then(|| {
                        view! {
                            <line class="tube" data-used=move || used().then_some("") x1=from x2=to y1=tube y2=tube />
                            <text class="detail tunnel" x=from + 14.0 y=tube - 7.0>{t("map.overlay")}</text>
                        }
                    });
                    let drops = drops
                        .iter()
                        .map(|d| {
                            let to = if d.kind == DeviceKind::Tunnel { tube } else { floor };
                            let x = d.rect.center().x;
                            view! { <line class=device_layer(d.kind) x1=x x2=x y1=d.rect.bottom() y2=to /> }
                        })
                        .collect_view();
                    view! {
                        <g class="corridor" data-thing=corridor.id.clone()>
                            <rect class="ground" x=r.x y=r.y width=r.width height=r.height rx="8" />
                            <line class="wire" x1=r.x + 16.0 x2=end y1=floor y2=floor />
                            {overlay}
                            {drops}
                            <text class="detail" x=r.x + 16.0 y=r.bottom() - 6.0>{fill("map.segment", &[("cidr", &corridor.cidr)])}</text>
                        </g>
                    }
                })
                .collect_view()
        }}
        {move || {
            picture
                .hosts
                .get()
                .into_iter()
                .map(|host| {
                    let r = host.rect;
                    view! {
                        <Thing id=host.id class="host" label=format!("{} {}", host.name, host.address)>
                            <rect x=r.x y=r.y width=r.width height=r.height rx="6" />
                            <text class="name" x=r.x + 12.0 y=r.y + 18.0>{t("map.outside")}</text>
                            <text class="address" x=r.x + 12.0 y=r.y + 35.0>{host.address}</text>
                        </Thing>
                    }
                })
                .collect_view()
        }}
    }
}

#[component]
fn ServiceView(id: String) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let service = simulator.picture.service(&id);
    service.map(|service| service_view(simulator, id, service))
}

fn service_view(
    simulator: Simulator,
    id: String,
    service: ArcRwSignal<ServiceLabel>,
) -> impl IntoView {
    let named = service.clone();
    let label = Signal::derive(move || {
        let s = named.read();
        format!(
            "Service {}/{} {} {}",
            s.namespace, s.name, s.address, s.ports
        )
    });
    let label_parts = part(&service, |s| ServiceLabel {
        endpoints: Vec::new(),
        ..s.clone()
    });
    // The pointer or the focus on it lights its lines.
    let (entered, focused) = (id.clone(), id.clone());
    let leave = move || simulator.pointed.set(None);
    view! {
        <g
            on:pointerenter=move |_| simulator.pointed.set(Some(entered.clone()))
            on:pointerleave=move |_| leave()
            on:focusin=move |_| simulator.pointed.set(Some(focused.clone()))
            on:focusout=move |_| leave()
        >
            <Thing id class="service" label can_dim=true>
                {move || service_label(&label_parts.read())}
            </Thing>
        </g>
    }
}

/// A Service's label: its name and address on the left, endpoints and ports on the right, as far as they have room.
fn service_label(s: &ServiceLabel) -> impl IntoView + use<> {
    let r = s.rect;
    let long = match s.count {
        1 => t("map.endpoint").to_owned(),
        n => fill("map.endpoints", &[("n", &n.to_string())]),
    };
    // Bold letters of 13 and plain ones of 12, about.
    let wide = |bold: usize, plain: usize| bold as f64 * 7.8 + plain as f64 * 6.4 + 12.0;
    let room = r.width - 36.0;
    let name_length = s.name.chars().count();
    // Where there is no room for the word, the number stands for it; the whole is in the title.
    let endpoints = match wide(name_length, long.chars().count()) <= room {
        true => long.clone(),
        false => format!("→ {}", s.count),
    };
    let left_for_name = (room - wide(0, endpoints.chars().count())) / 7.8;
    let name = shorten(&s.name, (left_for_name as usize).max(6));
    let address_room = letters(r.width - 36.0, 7.3);
    let left = address_room.saturating_sub(s.address.chars().count() + 2);
    // Nearly all is TCP: where there is no room, that goes without saying.
    let ports = match s.ports.chars().count() <= left {
        true => s.ports.clone(),
        false if left < 2 => String::new(),
        false => crop(&s.ports.replace("/TCP", ""), left),
    };
    let title = format!(
        "{}/{} {} {} {long}",
        s.namespace, s.name, s.address, s.ports
    );
    view! {
        <rect x=r.x y=r.y width=r.width height=r.height rx="22" />
        <text class="name" x=r.x + 18.0 y=r.y + 18.0>{name}</text>
        <text class="detail end" x=r.right() - 18.0 y=r.y + 18.0>{endpoints}</text>
        <text class="address" x=r.x + 18.0 y=r.y + 35.0>{s.address.clone()}</text>
        <text class="address end" x=r.right() - 18.0 y=r.y + 35.0>{ports}</text>
        <title>{title}</title>
    }
}

/// The lines from a Service to its endpoints.
#[component]
fn Endpoints(id: String) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let service = simulator.picture.service(&id);
    let lit = Memo::new(move |_| {
        let is = |of: Option<&str>| of == Some(id.as_str());
        is(simulator.selected.read().as_deref())
            || is(simulator.pointed.read().as_deref())
            || is(simulator.responsible.read().as_deref())
    });
    service.map(|service| {
        let lines = part(&service, |s| s.endpoints.clone());
        view! {
            <g class="endpoints" data-lit=move || lit.get().then_some("")>
                {move || lines.read().iter().map(endpoint_line).collect_view()}
                {move || lit.get().then(|| lines.read().iter().filter_map(|line| ring(simulator, line)).collect_view())}
            </g>
        }
    })
}

/// A ring around the pod, or the room of pods, at the end of a line that is lit.
fn ring(simulator: Simulator, line: &EndpointLine) -> Option<impl IntoView + use<>> {
    let pod = simulator
        .picture
        .pod(&line.to_id)
        .map(|pod| pod.read().rect);
    let room = || {
        simulator
            .picture
            .room(&line.to_id)
            .map(|room| room.frame.read().rect)
    };
    let r = pod.or_else(room)?;
    Some(
        view! { <rect class="ring" data-state=state_id(line.state) x=r.x - 4.0 y=r.y - 4.0 width=r.width + 8.0 height=r.height + 8.0 rx="9" /> },
    )
}

fn endpoint_line(line: &EndpointLine) -> impl IntoView + use<> {
    let end = line.points.last().copied().unwrap_or_default();
    let bundle = (line.count > 1).then(|| {
        view! { <text class="count middle" x=end.x y=end.y - 5.0>{format!("{}×", line.count)}</text> }
    });
    view! {
        <polyline class="endpoint" data-state=state_id(line.state) data-bundle=(line.count > 1).then_some("") points=points(&line.points) />
        {bundle}
    }
}

/// A room's floor, by which the node is selected.
#[component]
fn Wall(id: String) -> impl IntoView {
    let room = expect_context::<Simulator>().picture.room(&id);
    room.map(|room| {
        let (frame, named) = (room.frame.clone(), room.frame);
        let label = Signal::derive(move || {
            let r = named.read();
            let state = state_name(r.state);
            let values = [("node", r.name.as_str()), ("state", state), ("address", &r.address)];
            fill("map.node", &values)
        });
        let at = part(&frame, |r| r.rect);
        view! {
            <Thing id class="wall" label>
                {move || {
                    let r = at.get();
                    view! { <rect class="ground" x=r.x y=r.y width=r.width height=r.height rx="10" /> }
                }}
            </Thing>
        }
    })
}

#[component]
fn RoomView(id: String) -> impl IntoView {
    let room = expect_context::<Simulator>().picture.room(&id);
    let depth = expect_context::<Memo<Depth>>();
    room.map(|RoomSignals { frame, pods }| {
        let near = Memo::new(move |_| depth.get() >= Depth::Namespace);
        let crowded = part(&frame, |r| r.crowded);
        let fixtures = part(&frame, |r| r.fixtures.clone());
        let devices = part(&frame, |r| r.devices.clone());
        view! {
            <g class="room" data-crowded=move || crowded.get().then_some("")>
                {move || fixtures.get().into_iter().map(fixture).collect_view()}
                {move || wires(&devices.read()).collect_view()}
                {move || devices.get().into_iter().map(device).collect_view()}
                <For each=move || pods.get() key=Clone::clone let:id>
                    <PodView id crowded near />
                </For>
            </g>
        }
    })
}

/// What is written on a room's wall.
#[component]
fn Plate(id: String) -> impl IntoView {
    let room = expect_context::<Simulator>().picture.room(&id);
    room.map(|room| {
        let plate = part(&room.frame, |r| Room {
            fixtures: Vec::new(),
            devices: Vec::new(),
            ..r.clone()
        });
        move || room_title(&plate.read())
    })
}

/// A room's name, and as many facts as have room beside it.
fn room_title(r: &Room) -> impl IntoView + use<> {
    let at = r.rect;
    let room = letters(at.width - 60.0, 8.0);
    let both = format!("{} · {}", r.badge, r.pod_cidr);
    let facts = match r.badge.as_str() {
        "" => r.pod_cidr.clone(),
        _ if r.name.len() + both.len() <= room => both,
        // The name says as much.
        "control plane" => r.pod_cidr.clone(),
        badge => badge.to_owned(),
    };
    view! {
        <g class="plate">
            {state_mark(r.state, Point::new(at.x + 20.0, at.y + 20.0))}
            <text class="title" x=at.x + 34.0 y=at.y + 25.0>{shorten(&r.name, room.saturating_sub(facts.len()))}</text>
            <text class="address end" x=at.right() - 14.0 y=at.y + 25.0>{facts}</text>
        </g>
    }
}

/// The lines from the rail to the doors.
fn wires(devices: &[Device]) -> impl Iterator<Item = impl IntoView + use<>> {
    let rail = devices.iter().find(|d| d.kind == DeviceKind::Bridge);
    let doors = devices.iter().filter(|d| d.kind != DeviceKind::Bridge);
    doors.filter_map(move |d| {
        let (x, from) = (d.rect.center().x, rail?.rect.bottom());
        Some(view! { <line class="inner" x1=x x2=x y1=from y2=d.rect.y /> })
    })
}

/// The layer whose hue a device has.
fn device_layer(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Link => "link",
        DeviceKind::Bridge => "bridge",
        DeviceKind::Tunnel => "tunnel",
    }
}

fn fixture(f: Desk) -> impl IntoView {
    let (at, label) = (f.rect, format!("{} {}", f.name, state_name(f.state)));
    view! {
        <Thing id=f.id class="fixture" label state=state_id(f.state)>
            <rect x=at.x y=at.y width=at.width height=at.height rx="4" />
            <text class="detail middle" x=at.center().x y=at.center().y + 4.0>{f.name}</text>
        </Thing>
    }
}

fn device(d: Device) -> impl IntoView {
    let r = d.rect;
    let rail = d.kind == DeviceKind::Bridge;
    let (name, address) = match rail {
        true => (
            Point::new(r.x + 10.0, r.y + 14.0),
            Point::new(r.x + 56.0, r.y + 14.0),
        ),
        false => (
            Point::new(r.x + 12.0, r.y + 17.0),
            Point::new(r.x + 12.0, r.y + 32.0),
        ),
    };
    view! {
        <g data-layer=device_layer(d.kind) data-up=d.up.to_string()>
            <Thing id=d.id class="device" label=format!("{} {}", d.name, d.address)>
                <rect x=r.x y=r.y width=r.width height=r.height rx=if rail { "4" } else { "6" } />
                <text class="name mono" x=name.x y=name.y>{d.name}</text>
                <text class="address" x=address.x y=address.y>{d.address}</text>
            </Thing>
        </g>
    }
}

#[component]
fn PodView(id: String, crowded: Memo<bool>, near: Memo<bool>) -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let pod = simulator.picture.pod(&id);
    pod.map(|pod| pod_view(id, crowded, near, pod))
}

fn pod_view(
    id: String,
    crowded: Memo<bool>,
    near: Memo<bool>,
    pod: ArcRwSignal<PodBox>,
) -> impl IntoView {
    let rect = part(&pod, |p| p.rect);
    let state = part(&pod, |p| p.state);
    let named = pod.clone();
    let label = Signal::derive(move || {
        let p = named.read();
        fill(
            "map.pod",
            &[
                ("pod", &p.name),
                ("status", &p.status),
                ("address", &p.address),
            ],
        )
    });
    let entitled = pod.clone();
    let title = move || {
        let p = entitled.read();
        format!("{}/{} {}", p.namespace, p.name, p.status)
    };
    view! {
        <Thing id class="pod" label state=Signal::derive(move || state_id(state.get())) can_dim=true>
            {move || match crowded.get() {
                true => cell(rect, state).into_any(),
                false => pod_box(&pod, rect, state, near).into_any(),
            }}
            <title>{title}</title>
        </Thing>
    }
}

/// A pod's outline and its mark. They are moved rather than drawn anew: when rooms grow, all pods move at once.
fn pod_shape(
    rect: Memo<Rect>,
    corner: &'static str,
    state: Memo<State>,
    mark: &'static str,
    at: fn(&Rect) -> Point,
) -> impl IntoView {
    let Rect { width, height, .. } = rect.get_untracked();
    view! {
        <rect x=move || rect.read().x y=move || rect.read().y width=width height=height rx=corner />
        <path class=mark data-state=move || state_id(state.get()) d=move || mark_shape(state.get(), at(&rect.read())) />
    }
}

/// A pod among very many.
fn cell(rect: Memo<Rect>, state: Memo<State>) -> impl IntoView {
    pod_shape(rect, "4", state, "dot", Rect::center)
}

/// A pod with its cable and what is written on it: each part is drawn anew when it changes, and only it.
fn pod_box(
    pod: &ArcRwSignal<PodBox>,
    rect: Memo<Rect>,
    state: Memo<State>,
    near: Memo<bool>,
) -> impl IntoView + use<> {
    let cable = part(pod, |p| p.cable.clone());
    let name = shorten(&pod.read_untracked().name, 13);
    let pod = pod.clone();
    view! {
        {move || cable.get().map(|cable| cable_view(cable, near.get()))}
        {pod_shape(rect, "6", state, "mark", |r| Point::new(r.x + 15.0, r.y + 16.0))}
        <text class="name" x=move || rect.read().x + 26.0 y=move || rect.read().y + 20.0>{name}</text>
        {move || match near.get() {
            true => near_pod(&pod.read(), rect.get()).into_any(),
            false => far_pod(&pod, rect.get()).into_any(),
        }}
    }
}

fn cable_view(cable: Cable, near: bool) -> impl IntoView {
    let end = cable.points.last().copied().unwrap_or_default();
    view! {
        <g class="cable" data-thing=cable.id>
            <polyline class="grip" points=points(&cable.points) />
            <polyline points=points(&cable.points) />
            <circle cx=end.x cy=end.y r="3.5" />
            {near.then(|| view! { <text class="fine" x=end.x + 5.0 y=end.y - 4.0>{cable.port}</text> })}
        </g>
    }
}

/// What is written on a pod from afar: its address and how it does.
fn far_pod(pod: &ArcRwSignal<PodBox>, r: Rect) -> impl IntoView + use<> {
    let (addressed, pod) = (pod.clone(), pod.clone());
    let address = move || match addressed.read().address.as_str() {
        "" => "–".to_owned(),
        address => address.to_owned(),
    };
    let status = move || {
        let p = pod.read();
        format!("{} {}/{}", shorten(&p.status, 15), p.ready.0, p.ready.1)
    };
    view! {
        <text class="address" x=r.x + 10.0 y=r.y + 37.0>{address}</text>
        <text class="detail" x=r.x + 10.0 y=r.y + 52.0>{status}</text>
    }
}

/// What is inside a pod: its end of the cable, and its containers.
fn near_pod(p: &PodBox, r: Rect) -> impl IntoView + use<> {
    let interface = p
        .cable
        .as_ref()
        .map(|c| format!("eth0  {}  {}", p.address, c.mac));
    let interface =
        interface.unwrap_or_else(|| format!("{}  {}", t("map.host-network"), p.address));
    let container = format!("container:{}/{}", p.namespace, p.name);
    let containers = p
        .containers
        .iter()
        .take(4)
        .enumerate()
        .map(|(at, c)| {
            let y = r.y + 38.0 + at as f64 * 6.5;
            view! {
                <text class="fine" x=r.x + 10.0 y=y data-thing=format!("{container}/{}", c.name)>
                    <tspan class="strong">{c.name.clone()}</tspan>
                    {format!("  {}  ", c.image)}
                    <tspan data-state=state_id(c.state)>{c.doing.clone()}</tspan>
                </text>
            }
        })
        .collect_view();
    view! {
        <text class="fine" x=r.x + 10.0 y=r.y + 29.0>{interface}</text>
        {containers}
    }
}

#[cfg(test)]
mod tests {
    use super::shorten;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn a_long_name_keeps_its_beginning_and_its_last_part() {
        assert_eq!(shorten("web-1", 15), "web-1");
        assert_eq!(shorten("coredns-548dccf7d5-xvgcx", 15), "coredns…xvgcx");
        assert_eq!(shorten("web-764494d557-cxxgg", 15), "web…cxxgg");
        assert_eq!(
            shorten("averyverylongnamewithoutanything", 15),
            "averyve…nything"
        );
    }
}
