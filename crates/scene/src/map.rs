//! Drawing the map: rooms with their pods, doors and cables, the corridor between them, the control
//! plane's office, and the Services' labels above.

use std::collections::{BTreeMap, BTreeSet};

use kubarium_cluster::{Cluster, Component};
use kubarium_linux::LinkKind;
use kubarium_objects::printers::pod::Summary;
use kubarium_objects::{ObjectKey, Text, Value};
use kubarium_snapshot::MapChange;
use kubarium_snapshot::geometry::{Point, Rect};
use kubarium_snapshot::map::{
    Cable, ContainerLine, Corridor, Desk, Device, DeviceKind, Host, Map, Office, PodBox, Room,
    State, pod_id,
};

use crate::faults;
use crate::layout::Layout;
use crate::services::{self, Grid};

/// Above this many slots in a room its pods become cells.
const CELLS_FROM: usize = crate::layout::MANY;
pub(crate) const MARGIN: f64 = 16.0;
/// The height of a desk, and the width from which all stand in one row.
const DESK: f64 = 38.0;
const OFFICE_WIDE: f64 = 640.0;
const POD: (f64, f64) = (144.0, 60.0);
const CELL: f64 = 20.0;
const CELL_GAP: f64 = 4.0;
pub(crate) const GAP: f64 = 12.0;
/// What is above the pods in a room: its name, and the fixtures on its wall.
const HEAD: f64 = 72.0;
/// What is below them: the rail, and the doors.
const FOOT: f64 = 96.0;
const DOOR: (f64, f64) = (128.0, 40.0);
const CORRIDOR: f64 = 64.0;
const OUTSIDE: (f64, f64) = (116.0, 44.0);
/// The room that a cable takes in a duct beside the pods.
const CABLE: f64 = 6.0;

/// The measures of all rooms of one picture: they are alike, so that all is aligned.
#[derive(Debug, Default)]
struct Measures {
    columns: usize,
    rows: usize,
    cells: bool,
    /// The duct left of each column, in which cables run down.
    duct: f64,
    room: (f64, f64),
    rooms_per_row: usize,
}

impl Measures {
    fn new(rooms: usize, capacity: usize, across: usize) -> Measures {
        let cells = capacity > CELLS_FROM;
        let columns = match capacity {
            0..=6 => 2,
            7..=9 => 3,
            10..=CELLS_FROM => 4,
            many => ((many as f64 * 2.0).sqrt().ceil() as usize).clamp(14, 48),
        };
        let rows = capacity.div_ceil(columns).max(2);
        let duct = if cells {
            0.0
        } else {
            10.0 + CABLE * rows as f64
        };
        let step = CELL + CELL_GAP;
        let inner = if cells {
            (columns as f64 * step - CELL_GAP, rows as f64 * step)
        } else {
            (columns as f64 * (POD.0 + duct), rows as f64 * (POD.1 + GAP))
        };
        let room = (inner.0.max(328.0) + 2.0 * GAP, HEAD + inner.1 + FOOT);
        // Up to three rooms stand side by side, more in a field that is wider than high.
        let rooms_per_row = match rooms {
            _ if across > 0 => across.min(rooms.max(1)),
            0..=3 => rooms.max(1),
            4 => 2,
            _ => ((rooms as f64 * 1.6 * room.1 / room.0).sqrt().ceil() as usize).clamp(3, 64),
        };
        Measures {
            columns,
            rows,
            cells,
            duct,
            room,
            rooms_per_row,
        }
    }

    fn slot(&self, room: &Rect, slot: usize) -> Rect {
        let (column, row) = ((slot % self.columns) as f64, (slot / self.columns) as f64);
        let top = room.y + HEAD;
        // The first row stands on the floor, later ones above it.
        let from_floor = (self.rows as f64 - 1.0) - row;
        if self.cells {
            let step = CELL + CELL_GAP;
            let (x, y) = (room.x + GAP + column * step, top + from_floor * step);
            return Rect::new(x, y, CELL, CELL);
        }
        let x = room.x + GAP + column * (POD.0 + self.duct) + self.duct;
        Rect::new(x, top + from_floor * (POD.1 + GAP), POD.0, POD.1)
    }

    /// The rail on which the pods stand.
    fn rail(&self, room: &Rect) -> Rect {
        let y = room.bottom() - FOOT + 4.0;
        Rect::new(room.x + GAP, y, room.width - 2.0 * GAP, 20.0)
    }

    /// A door in the lower wall, around that share of its length.
    fn door(room: &Rect, share: f64) -> Rect {
        let x = room.x + room.width * share - DOOR.0 / 2.0;
        Rect::new(x, room.bottom() - DOOR.1, DOOR.0, DOOR.1)
    }
}

/// The ids of the components that do nothing.
struct Stopped(BTreeSet<String>);

impl Stopped {
    fn state(&self, id: &str) -> State {
        if self.0.contains(id) {
            State::Failing
        } else {
            State::Ready
        }
    }
}

/// What places depend on, beside the slots of pods: it stays as it is while no node and no Service comes or goes and the
/// rooms stay as big.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    measures: Measures,
    grid: Grid,
    nodes: Vec<Text>,
    services: Vec<ObjectKey>,
}

/// Draws the cluster with the pods where `layout` has them.
pub fn draw(cluster: &Cluster, layout: &Layout) -> Map {
    planned(cluster, layout).1
}

/// The whole map, and the plan that it follows.
pub(crate) fn planned(cluster: &Cluster, layout: &Layout) -> (Plan, Map) {
    let nodes: Vec<(&ObjectKey, &Value)> = in_order(cluster);
    let measures = Measures::new(nodes.len(), layout.capacity(), layout.across);
    let services = services::in_order(cluster);
    let width = measures.rooms_per_row as f64 * (measures.room.0 + MARGIN) + MARGIN;
    let inner = width - 2.0 * MARGIN;
    let mut top = MARGIN;
    let broken = Stopped(faults::stopped(cluster));
    let office = office(cluster, &broken, Point::new(MARGIN, top), inner);
    top += office.rect.height + MARGIN;
    let grid = Grid::new(top, inner);
    top += grid.height(services.len()) + MARGIN;
    let mut rooms = Vec::new();
    let mut corridors = Vec::new();
    for row in nodes.chunks(measures.rooms_per_row) {
        for (at, (key, node)) in row.iter().enumerate() {
            let x = MARGIN + at as f64 * (measures.room.0 + MARGIN);
            let rect = Rect::new(x, top, measures.room.0, measures.room.1);
            rooms.push(room(
                cluster, layout, &measures, &broken, &key.name, node, rect,
            ));
        }
        top += measures.room.1 + 20.0;
        corridors.push(Corridor {
            id: format!("segment:{}", corridors.len() + 1),
            rect: Rect::new(MARGIN, top, width - 2.0 * MARGIN, CORRIDOR),
            cidr: cluster.config.network.node_cidr.to_string(),
        });
        top += CORRIDOR + MARGIN;
    }
    let hosts = corridors.last().map(|corridor| outside(cluster, corridor));
    let plan = Plan {
        measures,
        grid,
        nodes: nodes.iter().map(|(key, _)| key.name.clone()).collect(),
        services: services.into_iter().cloned().collect(),
    };
    let places = Places::new(&plan, layout, &rooms);
    let labels = plan.services.iter().enumerate();
    let services = labels
        .filter_map(|(at, key)| services::label(cluster, &places, key, at, plan.grid.place(at)))
        .collect();
    let map = Map {
        bounds: Rect::new(0.0, 0.0, width, top),
        office,
        hosts: hosts.into_iter().collect(),
        services,
        rooms,
        corridors,
    };
    (plan, map)
}

/// The outside world: at the end of the last corridor.
fn outside(cluster: &Cluster, corridor: &Corridor) -> Host {
    let middle = corridor.rect.y + corridor.rect.height / 2.0;
    let (x, y) = (
        corridor.rect.right() - OUTSIDE.0 - 10.0,
        middle - OUTSIDE.1 / 2.0,
    );
    let address = cluster.config.network.node_cidr.hosts().next();
    Host {
        id: "host:outside".to_owned(),
        name: "outside".to_owned(),
        address: address.map(|a| a.to_string()).unwrap_or_default(),
        rect: Rect::new(x, y, OUTSIDE.0, OUTSIDE.1),
    }
}

/// What of a map is drawn anew.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// The nodes whose rooms are.
    pub(crate) rooms: BTreeSet<Text>,
    /// The namespaces whose Services are.
    pub(crate) namespaces: BTreeSet<Text>,
}

/// Draws a part of a map anew; gives what differs.
pub(crate) fn redraw(
    cluster: &Cluster,
    layout: &Layout,
    plan: &Plan,
    touched: &Touched,
    map: &mut Map,
) -> MapChange {
    let mut change = MapChange::default();
    let broken = Stopped(faults::stopped(cluster));
    let at = map.office.rect;
    let office = office(cluster, &broken, Point::new(at.x, at.y), at.width);
    if office != map.office {
        map.office = office.clone();
        change.office = Some(office);
    }
    for (name, drawn) in plan.nodes.iter().zip(&mut map.rooms) {
        if let Some(node) = cluster
            .find("nodes", "", name)
            .filter(|_| touched.rooms.contains(name))
        {
            let new = room(
                cluster,
                layout,
                &plan.measures,
                &broken,
                name,
                node,
                drawn.rect,
            );
            change.add_room(Some(&*drawn), &new);
            *drawn = new;
        }
    }
    let places = Places::new(plan, layout, &map.rooms);
    let labels = plan.services.iter().zip(&mut map.services).enumerate();
    for (at, (key, drawn)) in labels {
        let is_touched = touched.namespaces.contains(&key.namespace);
        let new =
            is_touched.then(|| services::label(cluster, &places, key, at, plan.grid.place(at)));
        if let Some(new) = new.flatten().filter(|new| *new != *drawn) {
            change.services.push(new.clone());
            *drawn = new;
        }
    }
    change
}

/// Where pods are drawn.
pub(crate) struct Places<'a> {
    measures: &'a Measures,
    layout: &'a Layout,
    rooms: BTreeMap<&'a Text, &'a Room>,
}

impl<'a> Places<'a> {
    fn new(plan: &'a Plan, layout: &'a Layout, rooms: &'a [Room]) -> Places<'a> {
        Places {
            measures: &plan.measures,
            layout,
            rooms: plan.nodes.iter().zip(rooms).collect(),
        }
    }

    /// The room of a pod, and its place in there.
    pub(crate) fn of(&self, pod: &ObjectKey) -> Option<(&'a Room, Rect)> {
        let (node, slot) = self.layout.place(pod)?;
        let room = *self.rooms.get(node)?;
        Some((room, self.measures.slot(&room.rect, slot)))
    }
}

/// The nodes in the order in which they joined, control plane first.
fn in_order(cluster: &Cluster) -> Vec<(&ObjectKey, &Value)> {
    let mut nodes: Vec<_> = cluster.etcd.list("nodes", None).collect();
    nodes.sort_by_key(|(key, node)| {
        let worker = node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"].is_null();
        (worker, natural(&key.name))
    });
    nodes
}

/// Orders `worker-2` before `worker-10`.
fn natural(name: &str) -> (String, u64) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem.to_owned(), number.parse().unwrap_or(0))
}

/// A number of things, in words for one and for several.
fn counted(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

fn office(cluster: &Cluster, broken: &Stopped, at: Point, width: f64) -> Office {
    let waiting = (cluster.etcd.count("pods")).saturating_sub(cluster.index.bound_count());
    let desks = [
        (
            "kube-apiserver",
            format!("{} kinds served", cluster.resources().len()),
        ),
        ("etcd", format!("revision {}", cluster.etcd.revision())),
        (
            "kube-scheduler",
            counted(waiting, "pod waiting", "pods waiting"),
        ),
        (
            "kube-controller-manager",
            format!(
                "{} control loops",
                kubarium_cluster::controller_names().count()
            ),
        ),
    ];
    let across = if width < OFFICE_WIDE { 2 } else { desks.len() };
    let desk = (width - GAP) / across as f64 - GAP;
    let rows = desks.len().div_ceil(across) as f64;
    let rect = Rect::new(at.x, at.y, width, 34.0 + rows * (DESK + 8.0) - 8.0);
    let desks = desks
        .into_iter()
        .enumerate()
        .map(|(nth, (name, detail))| {
            let (column, row) = ((nth % across) as f64, (nth / across) as f64);
            let (x, y) = (GAP + column * (desk + GAP), 26.0 + row * (DESK + 8.0));
            let id = format!("component:{name}");
            Desk {
                state: broken.state(&id),
                id,
                name: name.to_owned(),
                detail,
                rect: Rect::new(rect.x + x, rect.y + y, desk, DESK),
            }
        })
        .collect();
    Office { rect, desks }
}

fn room(
    cluster: &Cluster,
    layout: &Layout,
    measures: &Measures,
    broken: &Stopped,
    name: &Text,
    node: &Value,
    rect: Rect,
) -> Room {
    let conditions = node["status"]["conditions"].items();
    let ready = conditions
        .iter()
        .find(|c| c["type"].str() == "Ready")
        .map(|c| c["status"].str());
    let state = match ready {
        Some("True") => State::Ready,
        Some("False") => State::Failing,
        Some(_) => State::Unknown,
        None => State::Progressing,
    };
    let addresses = node["status"]["addresses"].items();
    let address = addresses
        .iter()
        .find(|a| a["type"].str() == "InternalIP")
        .map(|a| a["address"].str())
        .unwrap_or("");
    let control_plane =
        !node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"].is_null();
    let badge = match (node["spec"]["unschedulable"].as_bool(), control_plane) {
        (Some(true), _) => "cordoned",
        (_, true) => "control plane",
        _ => "",
    };
    let rail = measures.rail(&rect);
    let pods = layout
        .pods(name)
        .filter_map(|(slot, key)| {
            Some(pod_box(
                cluster,
                measures,
                &rect,
                &rail,
                slot,
                key,
                cluster.etcd.get(key)?,
            ))
        })
        .collect();
    Room {
        id: format!("node:{name}"),
        name: name.to_string(),
        address: address.to_owned(),
        pod_cidr: node["spec"]["podCIDR"].str().to_owned(),
        badge: badge.to_owned(),
        state,
        fixtures: fixtures(broken, name, &rect),
        devices: devices(cluster, name, &rect, &rail),
        pods,
        crowded: measures.cells,
        rect,
    }
}

fn fixtures(broken: &Stopped, node: &Text, room: &Rect) -> Vec<Desk> {
    let components = [
        (Component::Kubelet(node.clone()), "kubelet"),
        (Component::Runtime(node.clone()), "containerd"),
        (Component::Cni(node.clone()), "CNI"),
        (Component::KubeProxy(node.clone()), "kube-proxy"),
    ];
    let width = (room.width - 2.0 * GAP - 3.0 * 8.0) / 4.0;
    components
        .into_iter()
        .enumerate()
        .map(|(at, (component, name))| Desk {
            id: format!("component:{component}"),
            name: name.to_owned(),
            detail: String::new(),
            rect: Rect::new(
                room.x + GAP + at as f64 * (width + 8.0),
                room.y + 40.0,
                width,
                22.0,
            ),
            state: broken.state(&format!("component:{component}")),
        })
        .collect()
}

/// The rail, and the two doors beneath it.
fn devices(cluster: &Cluster, node: &Text, room: &Rect, rail: &Rect) -> Vec<Device> {
    let Some(machine) = cluster.machines.get(node) else {
        return Vec::new();
    };
    let doors = [
        ("cbr0", DeviceKind::Bridge, *rail),
        ("flannel.1", DeviceKind::Tunnel, Measures::door(room, 0.22)),
        ("eth0", DeviceKind::Link, Measures::door(room, 0.62)),
    ];
    let mut devices = Vec::new();
    for (name, kind, rect) in doors {
        let link = cluster
            .net
            .find_link(machine.netns, name)
            .and_then(|id| cluster.net.link(id));
        if let Some(link) = link {
            devices.push(Device {
                id: format!("device:{node}/{name}"),
                name: name.to_owned(),
                kind,
                address: link
                    .addresses
                    .first()
                    .map(|a| a.net.to_string())
                    .unwrap_or_default(),
                up: link.up,
                rect,
            });
        }
    }
    devices
}

fn pod_box(
    cluster: &Cluster,
    measures: &Measures,
    room: &Rect,
    rail: &Rect,
    slot: usize,
    key: &ObjectKey,
    pod: &Value,
) -> PodBox {
    let rect = measures.slot(room, slot);
    let containers = pod["spec"]["containers"].items();
    let summary = Summary::of(pod);
    let state = pod_state(pod, &summary);
    let own_network = pod["spec"]["hostNetwork"].as_bool() != Some(true);
    let port = port(cluster, key).filter(|_| own_network && !measures.cells);
    PodBox {
        id: pod_id(&key.namespace, &key.name),
        slot,
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        address: pod["status"]["podIP"].str().to_owned(),
        state,
        ready: (summary.ready, summary.containers),
        status: summary.reason,
        image: containers
            .first()
            .map(|c| c["image"].str().to_owned())
            .unwrap_or_default(),
        labels: labels(pod),
        containers: if measures.cells {
            Vec::new()
        } else {
            let statuses = pod["status"]["containerStatuses"].items();
            containers.iter().map(|c| container(c, statuses)).collect()
        },
        cable: port.map(|(port, mac)| Cable {
            mac,
            ..cable(measures, &rect, rail, slot, key, &port)
        }),
        rect,
    }
}

fn labels(pod: &Value) -> Vec<String> {
    let labels = pod["metadata"]["labels"].entries();
    labels
        .iter()
        .map(|(key, value)| format!("{key}={}", value.str()))
        .collect()
}

/// A container and what it does.
fn container(container: &Value, statuses: &[Value]) -> ContainerLine {
    let name = container["name"].str();
    let status = statuses.iter().find(|s| s["name"].str() == name);
    let state = status.map(|s| &s["state"]);
    let reason = |which: &str| {
        let state = state?;
        let reason = state[which]["reason"].str();
        (!reason.is_empty()).then(|| reason.to_owned())
    };
    let ready = status.is_some_and(|s| s["ready"].as_bool() == Some(true));
    let running = state.is_some_and(|s| !s["running"].is_null());
    let (doing, state) = match (reason("waiting"), reason("terminated")) {
        (Some(why), _) if why == "ContainerCreating" || why == "PodInitializing" => {
            (why, State::Progressing)
        }
        (Some(why), _) => (why, State::Failing),
        (_, Some(why)) if why == "Completed" => (why, State::Done),
        (_, Some(why)) => (why, State::Failing),
        _ if running && ready => ("running".to_owned(), State::Ready),
        _ if running => ("running, not ready".to_owned(), State::Progressing),
        _ => ("waiting".to_owned(), State::Progressing),
    };
    ContainerLine {
        name: name.to_owned(),
        image: container["image"].str().to_owned(),
        doing,
        state,
    }
}

/// The node's end of a pod's veth pair, and the Ethernet address of the pod's.
fn port(cluster: &Cluster, key: &ObjectKey) -> Option<(String, String)> {
    let pod = cluster
        .net
        .find(&format!("pod {}/{}", key.namespace, key.name))?;
    let eth0 = cluster.net.link(cluster.net.find_link(pod, "eth0")?)?;
    let LinkKind::Veth { peer } = eth0.kind else {
        return None;
    };
    Some((
        cluster.net.link(peer)?.name.to_string(),
        eth0.mac.to_string(),
    ))
}

/// Out of the pod's left side, down its row's place in the duct, to the rail.
fn cable(
    measures: &Measures,
    pod: &Rect,
    rail: &Rect,
    slot: usize,
    key: &ObjectKey,
    port: &str,
) -> Cable {
    let row = slot / measures.columns;
    let x = pod.x - 8.0 - CABLE * row as f64;
    let node = &key.namespace;
    let y = pod.y + pod.height / 2.0;
    Cable {
        id: format!("device:{node}/{}/eth0", key.name),
        port_id: format!("port:{port}"),
        port: port.to_owned(),
        mac: String::new(),
        points: vec![
            Point::new(pod.x, y),
            Point::new(x, y),
            Point::new(x, rail.y),
        ],
    }
}

/// What the word of `kubectl get pods` means.
pub(crate) fn pod_state(pod: &Value, summary: &Summary) -> State {
    if summary.reason == "Terminating" {
        return State::Terminating;
    }
    let statuses = ["initContainerStatuses", "containerStatuses"]
        .iter()
        .flat_map(|list| pod["status"][*list].items());
    let is_bad = |container: &Value| {
        let state = &container["state"];
        let ordinary = ["", "ContainerCreating", "PodInitializing"];
        !ordinary.contains(&state["waiting"]["reason"].str())
            || state["terminated"]["exitCode"]
                .as_i64()
                .is_some_and(|code| code != 0)
    };
    if statuses.into_iter().any(is_bad) {
        return State::Failing;
    }
    match pod["status"]["phase"].str() {
        "Running" if summary.ready == summary.containers => State::Ready,
        "Succeeded" => State::Done,
        "Failed" => State::Failing,
        "Unknown" => State::Unknown,
        _ => State::Progressing,
    }
}
