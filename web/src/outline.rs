//! The map as a tree: the same things in words, for whoever does not see the drawing or would rather read it.

use std::collections::{BTreeMap, BTreeSet};

use kubarium_snapshot::map::{Device, Map, PodBox, Room, ServiceLabel, State};
use leptos::{attr::custom::custom_attribute, ev, html, prelude::*, wasm_split::wasm_split};
use wasm_bindgen::JsCast;

use crate::{
    drawing::{state_id, state_name},
    parts::Loaded,
    simulator::Simulator,
    text::{fill, t},
};

/// A room with more pods than this has them folded at first.
const PODS_OPEN_MAX: usize = 20;

/// Whether the tree stands in place of the drawing. A context.
#[derive(Clone, Copy)]
pub(crate) struct Outline(pub(crate) RwSignal<bool>);

/// The part of the page's module with the tree.
#[wasm_split(views, fallible, wasm_split_path = leptos::wasm_split)]
pub(crate) fn part() -> Loaded {
    Ok(|| {
        let Outline(shown) = expect_context();
        view! {
            <Show when=move || shown.get()>
                <Tree />
            </Show>
        }
        .into_any()
    })
}

/// A line of the tree.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Row {
    /// The ids from the top to it, as a thing may be told of in several places.
    path: String,
    /// The thing's id; a group has one of its own.
    id: String,
    /// How deep it stands, from 1.
    level: usize,
    /// What it is called.
    name: String,
    /// What else is to be said.
    note: String,
    /// The word by which styles know how it does, and the word for people.
    state: Option<(&'static str, &'static str)>,
    /// Whether what is below it is shown; none where there is nothing.
    open: Option<bool>,
    /// Whether it stands on the map too, so that it can be selected.
    thing: bool,
}

/// The lines, and which of them a person has folded or opened, by their paths.
struct Lines<'a> {
    turned: &'a BTreeSet<String>,
    rows: Vec<Row>,
    /// The paths of the line that was added last and of those above it.
    paths: Vec<String>,
}

impl Lines<'_> {
    fn add(&mut self, level: usize, id: &str, name: &str, note: String, state: Option<State>) {
        self.paths.truncate(level - 1);
        let above = self.paths.last().map_or("", String::as_str);
        let path = format!("{above} {id}");
        self.paths.push(path.clone());
        self.rows.push(Row {
            path,
            id: id.to_owned(),
            level,
            name: name.to_owned(),
            note,
            state: state.map(|state| (state_id(state), state_name(state))),
            open: None,
            thing: true,
        });
    }

    /// Gives the last line something below it; whether that is shown.
    fn holds(&mut self, usually: bool) -> bool {
        let Some(row) = self.rows.last_mut() else {
            return false;
        };
        let open = usually != self.turned.contains(&row.path);
        row.open = Some(open);
        open
    }

    /// Adds a group; whether it is open.
    fn group(&mut self, level: usize, id: &str, name: &str, usually: bool) -> bool {
        self.add(level, id, name, String::new(), None);
        if let Some(row) = self.rows.last_mut() {
            row.thing = false;
        }
        self.holds(usually)
    }
}

/// What is on the map, line by line.
fn lines(map: &Map, turned: &BTreeSet<String>) -> Vec<Row> {
    let mut lines = Lines {
        turned,
        rows: Vec::new(),
        paths: Vec::new(),
    };
    if lines.group(1, "group:office", t("map.office"), true) {
        for desk in &map.office.desks {
            let (name, detail) = (&desk.name, desk.detail.clone());
            lines.add(2, &desk.id, name, detail, Some(desk.state));
        }
    }
    let mut answers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for service in &map.services {
        for line in &service.endpoints {
            answers.entry(&line.to_id).or_default().push(&service.name);
        }
    }
    for room in &map.rooms {
        add_room(&mut lines, room, &answers);
    }
    if lines.group(1, "group:services", t("outline.services"), true) {
        for service in &map.services {
            add_service(&mut lines, service);
        }
    }
    if lines.group(1, "group:networks", t("outline.networks"), true) {
        for corridor in &map.corridors {
            let name = fill("map.segment", &[("cidr", &corridor.cidr)]);
            lines.add(2, &corridor.id, &name, String::new(), None);
        }
        for host in &map.hosts {
            lines.add(2, &host.id, t("map.outside"), host.address.clone(), None);
        }
    }
    lines.rows
}

fn add_room(lines: &mut Lines, room: &Room, answers: &BTreeMap<&str, Vec<&str>>) {
    let note = [room.badge.as_str(), &room.address, &room.pod_cidr];
    let note: Vec<&str> = note.into_iter().filter(|note| !note.is_empty()).collect();
    lines.add(1, &room.id, &room.name, note.join(", "), Some(room.state));
    if !lines.holds(true) {
        return;
    }
    for fixture in &room.fixtures {
        let (name, state) = (&fixture.name, Some(fixture.state));
        lines.add(2, &fixture.id, name, String::new(), state);
    }
    for device in &room.devices {
        lines.add(2, &device.id, &device.name, device_note(device), None);
    }
    let pods = fill("outline.pods", &[("n", &room.pods.len().to_string())]);
    let few = room.pods.len() <= PODS_OPEN_MAX;
    if !room.pods.is_empty() && lines.group(2, &format!("pods:{}", room.id), &pods, few) {
        for pod in &room.pods {
            add_pod(lines, pod, answers);
        }
    }
}

fn device_note(device: &Device) -> String {
    match device.up {
        true => device.address.clone(),
        false => format!("{} {}", device.address, t("outline.down")),
    }
}

fn add_pod(lines: &mut Lines, pod: &PodBox, answers: &BTreeMap<&str, Vec<&str>>) {
    let (ready, all) = pod.ready;
    let mut note = format!("{} {ready}/{all}", pod.status);
    for text in [&pod.address, &pod.namespace] {
        if !text.is_empty() {
            note += &format!(", {text}");
        }
    }
    if let Some(services) = answers.get(pod.id.as_str()) {
        note += ", ";
        note += &fill("outline.answers", &[("services", &services.join(", "))]);
    }
    lines.add(3, &pod.id, &pod.name, note, Some(pod.state));
    if !lines.holds(false) {
        return;
    }
    if let Some(cable) = &pod.cable {
        let note = fill(
            "outline.cable",
            &[("mac", &cable.mac), ("port", &cable.port)],
        );
        lines.add(4, &cable.id, "eth0", note, None);
    }
    for container in &pod.containers {
        let id = format!(
            "container:{}/{}/{}",
            pod.namespace, pod.name, container.name
        );
        let note = format!("{}, {}", container.image, container.doing);
        lines.add(4, &id, &container.name, note, Some(container.state));
    }
}

fn add_service(lines: &mut Lines, service: &ServiceLabel) {
    let count = match service.count {
        1 => t("map.endpoint").to_owned(),
        n => fill("map.endpoints", &[("n", &n.to_string())]),
    };
    let note = [
        &service.kind,
        &service.namespace,
        &service.address,
        &service.ports,
        &count,
    ];
    let note: Vec<&str> = note.into_iter().map(String::as_str).collect();
    let note: Vec<&str> = note.into_iter().filter(|text| !text.is_empty()).collect();
    lines.add(2, &service.id, &service.name, note.join(", "), None);
    if service.endpoints.is_empty() || !lines.holds(false) {
        return;
    }
    for line in &service.endpoints {
        let (kind, name) = line.to_id.split_once(':').unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default();
        let note = match kind {
            "node" => fill("map.endpoints", &[("n", &line.count.to_string())]),
            _ => String::new(),
        };
        lines.add(3, &line.to_id, name, note, Some(line.state));
    }
}

/// The lines with their places by their paths.
#[derive(Clone, Default, PartialEq)]
struct Outlined {
    rows: Vec<Row>,
    places: BTreeMap<String, usize>,
}

impl Outlined {
    fn of(map: &Map, turned: &BTreeSet<String>) -> Outlined {
        let rows = lines(map, turned);
        let paths = rows.iter().map(|row| row.path.clone());
        let places = paths.zip(0..).collect();
        Outlined { rows, places }
    }

    fn get(&self, path: &str) -> Option<&Row> {
        self.rows.get(*self.places.get(path)?)
    }
}

/// The tree: one line has the focus, arrow keys move it. A line that changes stays the same element, so that it keeps the
/// focus.
#[component]
fn Tree() -> impl IntoView {
    let simulator = expect_context::<Simulator>();
    let turned = RwSignal::new(BTreeSet::<String>::new());
    let all = Memo::new(move |_| Outlined::of(&simulator.map.read(), &turned.read()));
    // The path of the line that has the focus or gets it.
    let at = RwSignal::new(String::new());
    let here = Memo::new(move |_| {
        let all = all.read();
        let place = all.places.get(&*at.read()).copied().unwrap_or(0);
        all.rows.get(place).map(|row| row.path.clone())
    });
    let tree = NodeRef::<html::Ul>::new();
    let go = move |to: usize| {
        if let Some(row) = all.read_untracked().rows.get(to) {
            at.set(row.path.clone());
        }
        let item = tree
            .get_untracked()
            .and_then(|tree| tree.query_selector_all("[role=treeitem]").ok())
            .and_then(|items| items.item(u32::try_from(to).ok()?))
            .and_then(|item| item.dyn_into::<web_sys::HtmlElement>().ok());
        if let Some(item) = item {
            // What cannot take the focus leaves it where it was.
            let _ = item.focus();
        }
    };
    let turn = move |path: &str| {
        turned.update(|turned| {
            if !turned.remove(path) {
                turned.insert(path.to_owned());
            }
        });
    };
    let key = move |event: ev::KeyboardEvent| {
        let now = here.get_untracked().unwrap_or_default();
        let Outlined { rows, places } = all.get_untracked();
        let now = places.get(&now).copied().unwrap_or(0);
        let Some(row) = rows.get(now) else { return };
        let above = || rows[..now].iter().rposition(|r| r.level < row.level);
        match event.key().as_str() {
            "ArrowDown" => go((now + 1).min(rows.len() - 1)),
            "ArrowUp" => go(now.saturating_sub(1)),
            "Home" => go(0),
            "End" => go(rows.len() - 1),
            "ArrowRight" if row.open == Some(false) => turn(&row.path),
            "ArrowRight" if row.open == Some(true) => go(now + 1),
            "ArrowLeft" if row.open == Some(true) => turn(&row.path),
            "ArrowLeft" => go(above().unwrap_or(now)),
            "Enter" | " " if row.thing => simulator.selected.set(Some(row.id.clone())),
            "Enter" | " " => turn(&row.path),
            _ => return,
        }
        event.prevent_default();
    };
    let paths = move || {
        let all = all.read();
        all.rows
            .iter()
            .map(|row| row.path.clone())
            .collect::<Vec<_>>()
    };
    let item = move |path: String| {
        let found = all.read_untracked().get(&path).cloned();
        let Some(first) = found else {
            return ().into_any();
        };
        let known = path.clone();
        let row = Memo::new(move |_| all.read().get(&known).cloned());
        let open = Memo::new(move |_| row.read().as_ref().and_then(|row| row.open));
        let state = Memo::new(move |_| row.read().as_ref().and_then(|row| row.state));
        let note = move || row.read().as_ref().map(|row| row.note.clone());
        let selected = first.id.clone();
        let is_selected = move || simulator.selected.read().as_deref() == Some(&*selected);
        let (own, folded) = (path.clone(), path.clone());
        let (id, thing) = (first.id.clone(), first.thing);
        let click = move |_| {
            at.set(path.clone());
            match thing {
                true => simulator.selected.set(Some(id.clone())),
                false => turn(&path),
            }
        };
        let fold = move |event: ev::MouseEvent| {
            event.stop_propagation();
            turn(&folded);
        };
        view! {
            <li
                role="treeitem"
                {..custom_attribute("aria-level", first.level.to_string())}
                aria-expanded=move || open.get().map(|open| open.to_string())
                aria-selected=move || is_selected().to_string()
                tabindex=move || if here.read().as_ref() == Some(&own) { "0" } else { "-1" }
                data-thing=first.thing.then_some(first.id)
                data-state=move || state.get().map(|(id, _)| id)
                style=("--level", first.level.to_string())
                on:click=click
            >
                <span class="fold" aria-hidden="true" on:click=fold></span>
                <span class="name">{first.name}</span>
                " "
                <span class="state">{move || state.get().map(|(_, word)| word)}</span>
                " "
                <span class="note">{note}</span>
            </li>
        }
        .into_any()
    };
    view! {
        <ul class="outline" role="tree" aria-label=t("outline") node_ref=tree on:keydown=key>
            <For each=paths key=Clone::clone let:path>
                {item(path)}
            </For>
        </ul>
    }
}
